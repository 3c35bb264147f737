/** docs/notifications.md as a reader follows it, against a node as people start it; and a node that is killed in between. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocksOf } from "../support/docs.ts";
import { needs } from "../support/needs.ts";
import { run, startNodeIn, type TestNode } from "../support/node.ts";
import { startWorkers, type Workers, worker, workersConfig } from "../support/workers.ts";

const root = path.join(import.meta.dirname, "../..");
const has = (program: string) => spawnSync(program, [program === "openssl" ? "version" : "--version"]).status === 0;
const runs = needs("bash, curl, jq and openssl", ["bash", "curl", "jq", "openssl"].every(has));
const folder = mkdtempSync(path.join(tmpdir(), "tenure-notify-"));

let node: TestNode;
let workers: Workers;
beforeAll(async () => {
  workers = await startWorkers();
  node = await startNodeIn(folder, "--allow-private");
  workers.people.set("17", worker("17", { mail: "isaac.brock@example.com" }));
  writeFileSync(path.join(folder, "workers.json"), JSON.stringify(workersConfig(workers.url, true)));
  const form = ["--config-file", "workers.json", "--source"];
  const added = await node.cli("apps", "add", "rest", "--label", "Workers", ...form);
  expect(added.code, added.err).toBe(0);
  const lines = ["login=appuser.mail", "email=appuser.mail", "firstName=appuser.first", "lastName=appuser.last"];
  const mapped = await node.cli("apps", "map", "Workers", "--to-user", ...lines, "department=appuser.unit");
  expect(mapped.code, mapped.err).toBe(0);
}, 120_000);
afterAll(async () => {
  await node.stop();
  workers.close();
  rmSync(folder, { recursive: true, force: true });
});

const in_bash = `
import { spawnSync } from "node:child_process";
const { status } = spawnSync("bash", ["-c", process.env.SCRIPT], { stdio: "inherit" });
process.exit(status ?? 1);`;
const there = async (login: string) => (await node.cli("users", "show", login)).code;

test.runIf(runs)(
  "every command of docs/notifications.md works as it is written there",
  { timeout: 180_000 },
  async () => {
    workers.people.set("18", worker("18"));
    workers.people.set("19", worker("19"));
    const blocks = blocksOf("docs/notifications.md", "sh");
    expect(blocks.length).toBe(4);
    const tenure = `tenure() { "${process.execPath}" "${root}/src/main.ts" "$@" --data "${folder}"; }`;
    const ran = await run(["--input-type=module", "-e", in_bash], folder, {
      SCRIPT: `set -euo pipefail\n${tenure}\n${blocks.join("\n")}`,
    });
    expect(ran.code, `${ran.out}\n${ran.err}`).toBe(0);
    expect(ran.out).toMatch(/1 create[\s\S]*1 created[\s\S]*1 unchanged/);
    expect(ran.out.match(/"accepted":\d/g)).toEqual(['"accepted":2', '"accepted":1', '"accepted":2']);
    const options = { timeout: 60_000, interval: 1_000 };
    for (const login of ["w18@example.com", "w19@example.com"]) await expect.poll(() => there(login), options).toBe(0);
    const unknown = await node.cli("import", "Workers", "--person", "404");
    expect([unknown.code, unknown.out]).toEqual([
      7,
      expect.stringMatching(/Nobody leaves by an import of single people/),
    ]);
  },
);

test("who was told of is read by the next node where the first is killed at once", { timeout: 180_000 }, async () => {
  const made = JSON.parse((await node.cli("apps", "notify", "Workers", "--secret", "--json")).out);
  const told = () =>
    fetch(`${node.url}/sources/${made.address.split("/").at(-2)}/notify`, {
      method: "POST",
      headers: { authorization: `Bearer ${made.secret}`, "content-type": "application/json" },
      body: JSON.stringify({ ids: ["21"] }),
    });
  workers.people.set("21", worker("21"));
  expect((await told()).status).toBe(202);
  node.child.kill("SIGKILL");
  workers.asked = [];
  node = { ...(await startNodeIn(folder, "--allow-private")), token: node.token };
  await expect.poll(() => there("w21@example.com"), { timeout: 60_000, interval: 1_000 }).toBe(0);
  expect(workers.asked).toEqual(["/workers/21"]);
  expect((await node.cli("apps", "notify", "Workers")).out).toMatch(/waiting +0/);
  for (const words of [
    ["apps", "show", "Workers", "--json"],
    ["log", "--json"],
    ["apps", "notify", "Workers", "--json"],
  ]) {
    expect((await node.cli(...words)).out).not.toContain(made.secret);
  }
  expect(node.output()).not.toContain(made.secret);
  expect((await node.cli("apps", "notify", "Workers", "--revoke")).out).toMatch(/secret +none/);
  expect((await told()).status).toBe(401);
});
