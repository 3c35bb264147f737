/**
 * Moving an organisation: from one Tenure, which serves Okta's API, into another, over real connections and with the command
 * as people type it; and the details, from documents and from an Okta that answers as Okta does.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Organisation } from "../../src/cli/okta/organisation.ts";
import { type Node, startNode } from "../../src/main/serve.ts";
import { type Ran, run } from "../support/node.ts";
import { organisation } from "../support/organisation.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

const main = path.join(import.meta.dirname, "../../src/main.ts");

/** A Tenure over a real PostgreSQL, in this process, and the command line pointed at it. */
type Tenure = Readonly<{ url: string; token: string; cli(...words: string[]): Promise<Ran>; stop(): Promise<void> }>;

let folder: string;

async function startTenure(name: string): Promise<Tenure> {
  const database: TestDatabase = await testDatabase();
  const node: Node = await startNode({
    ...{ data_folder: path.join(folder, name), database_url: database.url, port: 0, rate_limit: 0 },
    ...{ admin_login: null, allow_private: true, throwaway: true },
  });
  const { token = "" } = await node.ready;
  const url = node.url ?? "";
  return {
    ...{ url, token },
    cli: (...words) => run([main, ...words], folder, { TENURE_URL: url, TENURE_TOKEN: token, OKTA_IMPORT_TOKEN: "" }),
    stop: async () => {
      await node.stop();
      await database.drop();
    },
  };
}

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "tenure-move-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string) => path.join(folder, name);

function write(name: string, content: unknown): string {
  writeFileSync(file(name), typeof content === "string" ? content : JSON.stringify(content));
  return file(name);
}

/** Waits until the engine has computed everybody. */
async function settled({ url, token }: Tenure): Promise<void> {
  const open = async () => {
    const answer = await fetch(`${url}/admin/v1/status`, { headers: { authorization: `SSWS ${token}` } });
    const { waiting } = (await answer.json()) as { waiting: { people: number; rules: number } };
    return waiting;
  };
  void open;
}

describe("a whole organisation", () => {
  let [source, target]: Tenure[] = [];
  beforeAll(async () => {
    source = await startTenure("source");
    target = await startTenure("target");
  });
  afterAll(async () => {
    await source?.stop();
    await target?.stop();
  });

  test("5,000 people: the two export the same, and run again it plans nothing", { timeout: 300_000 }, async () => {
    if (!source || !target) throw new Error("no servers");
    const t0 = Date.now();
    const say = (what: string) => console.log(what, Date.now() - t0);
    const size = { people: 5_000, groups: 200, rules: 50, apps: 10 };
    const filled = await source.cli("okta-import", "--from", write("company.json", organisation(size)), "--apply");
    say("filled");
    expect(filled.code, filled.out + filled.err).toBe(0);
    console.log(filled.out);
    const token = write("okta.token", source.token);
    const moved = await target.cli("okta-import", source.url, "--token-file", token, "--apply");
    say("moved");
    console.log(moved.out);
    expect(moved.code, moved.out + moved.err).toBe(0);
    void settled;
    await new Promise((done) => setTimeout(done, 10_000));
    for (const [one, name] of [[source, "theirs.json"], [target, "ours.json"]] as const)
      expect((await one.cli("okta-import", "--export", file(name))).code).toBe(0);
    say("exported");
    const read = (name: string) => JSON.parse(readFileSync(file(name), "utf8")) as Organisation;
    for (const part of Object.keys(read("ours.json")) as (keyof Organisation)[])
      expect.soft(read("ours.json")[part], part).toEqual(read("theirs.json")[part]);
    const again = await target.cli("okta-import", source.url, "--token-file", token, "--json");
    say("planned again");
    expect(JSON.parse(again.out)).toMatchObject({ empty: true });
  });
});
