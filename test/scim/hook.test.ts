/** A source whose pushes ask a hook: nothing is held while it thinks, and what it says is done. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createInlineHook, setHookFailure } from "../../src/directory/inlineHooks.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { by_hand, type HookServer, hookServer, silence } from "../support/hookServer.ts";
import { test_key } from "../support/outside.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { must } from "../support/world.ts";
import { type Pusher, type ScimStage, scimStage, userOf } from "./stage.ts";

let database: TestDatabase;
let db: Database;
let stage: ScimStage;
let server: HookServer;
let sources = 0;
beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url);
  await migrate(db);
  stage = await scimStage(db);
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});
beforeEach(async () => {
  server = await hookServer();
});
afterEach(() => server.close());

async function asking(on_failure: "continue" | "refuse" = "continue"): Promise<Pusher> {
  const command = { db, now: () => new Date(), actor: system };
  const http = { type: "HTTP" as const, version: "1.0.0", uri: server.url, method: "POST", headers: [] };
  const channel = { ...http, auth_header: "x-key", oauth: null };
  const name = `Hook ${++sources}`;
  const input = { name, type: "com.okta.import.transform", version: "1.0.0", channel, secret: "s3cret" };
  const { id } = await must(createInlineHook(command, test_key, input));
  await must(setHookFailure(command, id, on_failure));
  return stage.source(`HR ${sources}`, { sourcing: { import_hook: id } });
}

const profileOf = async (login: string) =>
  (await sql<{ profile: Record<string, unknown> }>`select profile from users where login = ${login}`.execute(db))
    .rows[0]?.profile;

test("no transaction is open while the hook thinks, and each stranger is asked about once", async () => {
  const hr = await asking();
  const open: number[] = [];
  server.answer((_heard, response) => {
    void sql<{ n: number }>`
      select count(*)::int as n from pg_stat_activity where datname = current_database() and xact_start is not null and backend_type = 'client backend'
        and pid <> pg_backend_pid()`
      .execute(db)
      .then(({ rows }) => {
        open.push(rows[0]?.n ?? -1);
        response.writeHead(204).end();
      });
    return by_hand;
  });
  // One after the other: the transaction of another push is none of theirs.
  for (const name of ["a1", "a2", "a3"]) expect((await hr.call("POST", "/Users", userOf(name))).status).toBe(201);
  expect(server.heard).toHaveLength(3);
  expect(open.filter((n) => n !== 0)).toEqual([]);
});

test("what the hook changes is what the person gets, and what it refuses is refused with its reason", async () => {
  const hr = await asking();
  server.answer(({ body }) =>
    body.data.appUser.profile.userName.startsWith("no")
      ? { error: { errorSummary: "not on the list" } }
      : { commands: [{ type: "com.okta.user.profile.update", value: { department: "Mills" } }] },
  );
  expect((await hr.call("POST", "/Users", userOf("ada"))).status).toBe(201);
  expect((await profileOf("ada@example.com"))?.["department"]).toBe("Mills");
  const refused = await hr.call("POST", "/Users", userOf("no.one"));
  expect(refused.status).toBe(400);
  expect(refused.body.detail).toContain("not on the list");
  expect(await profileOf("no.one@example.com")).toBeUndefined();
  expect((await hr.call("GET", '/Users?filter=userName eq "no.one@example.com"')).body.totalResults).toBe(0);
});

test("a hook that gives no answer refuses the push where it is to, and is passed over elsewhere", async () => {
  const strict = await asking("refuse");
  server.answer((heard, response) => {
    response.writeHead(500).end();
    return silence(heard, response);
  });
  expect((await strict.call("POST", "/Users", userOf("bob"))).status).toBe(400);
  const easy = await asking("continue");
  expect((await easy.call("POST", "/Users", userOf("bob"))).status).toBe(201);
});
