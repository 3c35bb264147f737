/** A database that goes away in the middle and comes back: a clear answer meanwhile, and nothing lost. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Node, startNode } from "../../src/main/serve.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { type DatabaseProxy, databaseProxy } from "../support/proxy.ts";

let database: TestDatabase;
let proxy: DatabaseProxy;
let node: Node;
let token = "";
const folder = mkdtempSync(path.join(tmpdir(), "tenure-outage-"));
const told: string[] = [];

beforeAll(async () => {
  database = await testDatabase();
  proxy = await databaseProxy(database.url);
  await proxy.away();
  // Started while its database is not there: it must wait, say so, and go on by itself.
  const options = { data_folder: folder, database_url: proxy.url, port: 0, admin_login: null };
  node = await startNode({ ...options, log: (line) => told.push(line) });
});
afterAll(async () => {
  await node.stop();
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

async function call(method: string, url: string, body?: unknown) {
  const answer = await fetch(`${node.url}${url}`, {
    method,
    headers: { authorization: `SSWS ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    body: text === "" ? undefined : JSON.parse(text),
    retry: answer.headers.get("retry-after"),
  };
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(100)) if (await check()) return;
  throw new Error(`waited in vain: ${what}`);
}

const person = (n: number) => ({
  profile: { login: `p${n}@x.co`, email: `p${n}@x.co`, firstName: "P", lastName: `${n}`, department: "Sales" },
});

test("a node that starts before its database waits for it, and says so", async () => {
  expect((await call("GET", "/healthz")).status).toBe(200);
  expect((await call("GET", "/readyz")).body).toEqual({
    status: "unavailable",
    reason: "the database cannot be reached",
  });
  expect(told.join("\n")).toContain("the database cannot be reached");
  await proxy.back();
  token = (await node.ready).token ?? "";
  expect(token).toHaveLength(40);
  expect((await call("GET", "/readyz")).status).toBe(200);
});

test("while it is away every request is told to try again; then everything goes on and nothing is lost", async () => {
  const group = (await call("POST", "/api/v1/groups", { profile: { name: "Sales" } })).body;
  const rule = (
    await call("POST", "/api/v1/groups/rules", {
      type: "group_rule",
      name: "sales",
      conditions: { expression: { value: 'user.department == "Sales"' } },
      actions: { assignUserToGroups: { groupIds: [group.id] } },
    })
  ).body;
  await call("POST", `/api/v1/groups/rules/${rule.id}/lifecycle/activate`);
  const accepted = new Set<string>();
  let stop = false;
  // A client that goes on creating people, and believes only a 200.
  const client = (async () => {
    for (let n = 0; !stop; n++) {
      const answer = await call("POST", "/api/v1/users", person(n));
      if (answer.status === 200) accepted.add(answer.body.id);
      else expect([answer.status, answer.body.errorCode, answer.retry]).toEqual([503, "E0000010", "5"]);
    }
  })();
  await until("some people", async () => accepted.size > 10);
  await proxy.away();
  const during = await call("GET", "/api/v1/users");
  expect(during.status).toBe(503);
  expect(during.body.errorCauses[0].errorSummary).toContain("try it again");
  expect((await call("GET", "/readyz")).status).toBe(503);
  await sleep(1_000);
  const before = accepted.size;
  await proxy.back();
  await until("people again", async () => accepted.size > before + 10);
  stop = true;
  await client;
  // Every one that was confirmed is there, and the engine put every one of them in the group.
  const stored = new Set<string>();
  for (let after: string | undefined = ""; after !== undefined; ) {
    const page: { id: string }[] = (await call("GET", `/api/v1/users?limit=200${after && `&after=${after}`}`)).body;
    for (const user of page) stored.add(user.id);
    after = page.length === 200 ? page.at(-1)?.id : undefined;
  }
  expect([...accepted].filter((id) => !stored.has(id))).toEqual([]);
  await until("all members", async () => {
    const members: { id: string }[] = (await call("GET", `/api/v1/groups/${group.id}/users`)).body;
    return members.length === stored.size;
  });
});
