/**
 * Moving an organisation from one Tenure, which serves Okta's API, into another: over real connections, with real
 * PostgreSQL, and with the command as people type it. The details are oktaImportCases.test.ts.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Organisation } from "../../src/cli/okta/organisation.ts";
import { organisation } from "../support/organisation.ts";
import { startTenure, type Tenure } from "../support/tenure.ts";

let folder: string;
let source: Tenure;
let target: Tenure;
const file = (name: string) => path.join(folder, name);

function write(name: string, content: unknown): string {
  writeFileSync(file(name), typeof content === "string" ? content : JSON.stringify(content));
  return file(name);
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "tenure-move-"));
  [source, target] = await Promise.all([startTenure(folder, "source"), startTenure(folder, "target")]);
});
afterAll(async () => {
  await Promise.all([source.stop(), target.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

describe("5,000 people, 200 groups, 50 rules and 10 apps", () => {
  test("are there after the move as they were, so that the two export the same", { timeout: 240_000 }, async () => {
    const company = organisation({ people: 5_000, groups: 200, rules: 50, apps: 10 });
    const filled = await source.cli("okta-import", "--from", write("company.json", company), "--apply");
    expect(filled.code, filled.out + filled.err).toBe(0);
    await source.settled();
    const token = write("okta.token", `${source.token}\n`);
    const moved = await target.cli("okta-import", source.url, "--token-file", token, "--apply", "--json");
    expect(moved.code, moved.out + moved.err).toBe(0);
    const { counts, failures } = JSON.parse(moved.out);
    expect(failures).toEqual([]);
    // By hand only those whom no rule gives the group.
    const by_hand = company.members.reduce((sum, { people }) => sum + people.length, 0);
    expect(counts.membership).toMatchObject({ create: by_hand, follows: expect.toSatisfy((n: number) => n > 3_000) });
    expect(counts.app).toMatchObject({ create: 10, credential: 5 });
    await target.settled();
    await Promise.all([
      source.cli("okta-import", "--export", file("theirs.json")),
      target.cli("okta-import", "--export", file("ours.json")),
    ]);
    const [theirs, ours] = ["theirs.json", "ours.json"].map((name) => readFileSync(file(name), "utf8"));
    const read = JSON.parse(ours ?? "") as Organisation;
    const before = JSON.parse(theirs ?? "") as Organisation;
    for (const part of Object.keys(before) as (keyof Organisation)[]) expect(read[part], part).toEqual(before[part]);
    expect(ours === theirs).toBe(true);
    expect([read.people.length, read.groups.length, read.rules.length, read.apps.length]).toEqual([5000, 200, 50, 10]);
    expect(read.apps.flatMap(({ people }) => people).filter(({ external_id }) => external_id).length).toBeGreaterThan(
      1_500,
    );
    // It names everyone: nobody else on the machine reads it.
    expect(statSync(file("ours.json")).mode & 0o077).toBe(0);
  });

  test("moved again, nothing is left to be planned", { timeout: 120_000 }, async () => {
    const again = await target.cli("okta-import", source.url, "--token-file", file("okta.token"), "--json");
    expect(again.code, again.err).toBe(0);
    const { empty, counts } = JSON.parse(again.out);
    expect(empty).toBe(true);
    const left = Object.entries(counts as Record<string, Record<string, number>>).filter(
      ([, { create = 0, change = 0 }]) => create + change > 0,
    );
    expect(left).toEqual([]);
  });

  test("and not one call was made to an app: each waits until somebody connects it", async () => {
    const apps = (await target.call("GET", "/admin/v1/apps?limit=100")) as {
      kind: string;
      health: { state: string };
    }[];
    const connected = apps.filter(({ kind }) => kind === "scim");
    expect(connected.map(({ health }) => health.state)).toEqual(Array.from({ length: 5 }, () => "paused"));
    const filter = encodeURIComponent('eventType sw "application.provision.user.push"');
    expect(await target.call("GET", `/api/v1/logs?filter=${filter}&until=2099-01-01T00:00:00Z`)).toEqual([]);
  });
});

test("Ctrl-C ends it in order, and a second run goes on with what is left", { timeout: 120_000 }, async () => {
  const third = await startTenure(folder, "third");
  try {
    const document = write("half.json", organisation({ people: 2_000, groups: 60, rules: 20, apps: 4 }));
    const words = third.words("okta-import", "--from", document, "--apply");
    const child = spawn(process.execPath, words, { env: { ...process.env, ...third.env }, cwd: folder });
    let told = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (told += part.toString()));
    const people = async () =>
      Object.values((await third.call("GET", "/admin/v1/status")).users as Record<string, number>).length;
    await expect.poll(people, { timeout: 60_000, interval: 20 }).toBeGreaterThan(0);
    child.kill("SIGINT");
    const [code] = (await once(child, "exit")) as [number];
    expect([code, told]).toEqual([130, expect.stringContaining("run it again to go on")]);
    expect(told).toContain("Carried over: ");
    const plan = JSON.parse((await third.cli("okta-import", "--from", document, "--json")).out);
    expect(plan.empty).toBe(false);
    expect(plan.counts.group.same).toBe(60);
    const rest = await third.cli("okta-import", "--from", document, "--apply");
    expect(rest.code, rest.out + rest.err).toBe(0);
    await third.settled();
    expect(JSON.parse((await third.cli("okta-import", "--from", document, "--json")).out).empty).toBe(true);
  } finally {
    await third.stop();
  }
});
