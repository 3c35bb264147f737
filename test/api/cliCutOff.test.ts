/** A server that is killed under an import: the command says which it was, how far, and what to do; then it goes on. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ran, startNodeIn, type TestNode } from "../support/node.ts";

const folder = mkdtempSync(path.join(tmpdir(), "tenure-cut-"));
const size = 12_000;
let node: TestNode;

beforeAll(async () => {
  node = await startNodeIn(folder);
  const rows = Array.from({ length: size }, (_, n) => `p${n}@x.co,P${n},Worker,p${n}@x.co`);
  writeFileSync(path.join(folder, "people.csv"), ["login,firstName,lastName,email", ...rows, ""].join("\n"));
  const staff = Array.from({ length: size }, (_, n) => `${n},s${n}@x.co,S${n},Worker`);
  writeFileSync(path.join(folder, "staff.csv"), ["id,mail,first,last", ...staff, ""].join("\n"));
});
afterAll(async () => {
  await node.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Kills the node as soon as the command under way has done something, and gives how the command ended. */
async function killedUnder(command: Promise<Ran>, list: string): Promise<Ran> {
  const begun = async () => {
    const answer = await fetch(`${node.url}${list}`, { headers: { authorization: `SSWS ${node.token}` } });
    const [last] = (await answer.json()) as { counts: Record<string, number> }[];
    return Object.values(last?.counts ?? {}).some((count) => count > 0);
  };
  while (!(await begun())) await sleep(20);
  node.child.kill("SIGKILL");
  const ended = await command;
  const token = node.token;
  node = { ...(await startNodeIn(folder)), token };
  return ended;
}

test("a file of people: the import is named and counted, listed as stopped by the next start, and run again goes on", async () => {
  const ended = await killedUnder(node.cli("users", "import", "people.csv"), "/admin/v1/users/imports");
  expect(ended.code).toBe(5);
  expect(ended.err).toMatch(
    /^cannot reach .*\nimport pim\w{17} was cut off: at least \d+ of 12000 rows are done, and stay; run it again: what was done is not done twice\n$/,
  );
  const id = /pim\w{17}/.exec(ended.err)?.[0];
  const listed = await node.cli("users", "imports");
  expect(listed.out, listed.err).toMatch(new RegExp(`^${id} +STOPPED .*it was cut off, its server ended`, "m"));
  const again = await node.cli("users", "import", "people.csv");
  expect(again.out, again.err).toMatch(/: \d+ create, 0 update, [1-9]\d* unchanged, 0 refused/);
  expect(again.out).toContain("to take it back: tenure users import --undo pim");
  const third = await node.cli("users", "import", "people.csv", "--rows");
  expect(third.out, third.err).toMatch(/0 create, 0 update, 12000 unchanged/);
  expect(third.out).not.toContain("--undo");
});

test("a source's file: the import is named, with what it was at", async () => {
  const columns = ["--id-column", "id", "--columns-from", "staff.csv"];
  expect((await node.cli("apps", "add", "csv", "--label", "HR", "--source", ...columns)).code).toBe(0);
  const lines = ["login=appuser.mail", "email=appuser.mail", "firstName=appuser.first", "lastName=appuser.last"];
  expect((await node.cli("apps", "map", "HR", "--to-user", ...lines)).code).toBe(0);
  const started = node.cli("import", "HR", "staff.csv");
  const list = "/admin/v1/imports";
  const running = async () => {
    const answer = await fetch(`${node.url}${list}`, { headers: { authorization: `SSWS ${node.token}` } });
    const [last] = (await answer.json()) as { status: string }[];
    return last?.status === "RUNNING";
  };
  while (!(await running())) await sleep(10);
  // The command has its answer by then, and asks how far it is.
  await sleep(300);
  node.child.kill("SIGKILL");
  const ended = await started;
  expect(ended.code).toBe(5);
  expect(ended.err).toMatch(
    /^cannot reach .*\nlast seen of import imp\w{17} of HR.*When the server is there again, run it again: what was done is not done twice\n$/,
  );
  const token = node.token;
  node = { ...(await startNodeIn(folder)), token };
  // The advice holds at once: nobody waits for a node whose process is known to be gone.
  const again = await node.cli("import", "HR", "staff.csv");
  expect([again.code, again.err]).toEqual([0, ""]);
  expect((await node.cli("import", "HR", "staff.csv", "--dry-run")).out).toMatch(/12000 unchanged/);
  expect((await node.cli("imports", "--app", "HR")).out).toMatch(/FAILED .*the node that ran it stopped/);
}, 120_000);
