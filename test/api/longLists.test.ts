/** Lists that are longer than the largest page: whoever follows the links sees everything in them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, sql } from "../../src/store/database.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { memoryDatabase } from "../support/memory.ts";

let db: Database;
let api: TestApi;
const many = 1_001;

beforeAll(async () => {
  db = await memoryDatabase();
  api = await testApi(db);
  await sql`insert into apps (id, name, label, kind) values ('0oa00000000000000long', 'long', 'Long', 'none')`.execute(
    db,
  );
  await sql`
    with people as (
      insert into users (status, profile) select 'ACTIVE', jsonb_build_object('login', 'p' || n || '@x.co')
      from generate_series(1, ${many}::int) n returning id)
    insert into accounts (app_id, user_id, assigned, external_id, have)
    select '0oa00000000000000long', id, true, id, '{"enabled": true, "profile": {}}' from people`.execute(db);
  await sql`
    insert into orphans (app_id, external_id, profile, enabled, seen_at)
    select '0oa00000000000000long', 'x' || n, '{}', true, now() from generate_series(1, ${many}::int) n`.execute(db);
  await sql`
    insert into tasks (kind, title, dedupe) select 'import_row', 'task ' || n, 'long:' || n from generate_series(1, ${many}::int) n`.execute(
    db,
  );
  await sql`
    insert into apps (name, label, kind) select 'app' || n, 'App ' || n, 'none' from generate_series(1, ${many - 1}::int) n`.execute(
    db,
  );
});
afterAll(() => db.destroy());

test.each([
  ["accounts of an app", () => "/admin/v1/accounts?app=Long&limit=1000"],
  ["what an app holds that is nobody's", () => "/admin/v1/orphans?app=Long&limit=1000"],
  ["open tasks", () => "/admin/v1/tasks?limit=1000"],
  ["apps", () => "/admin/v1/apps?limit=1000"],
  ["who had an app", () => `/admin/v1/past/apps/Long/accounts?limit=1000&at=${new Date().toISOString()}`],
])("%s go on behind the largest page", async (_what, first) => {
  let [count, path]: [number, string | undefined] = [0, first()];
  for (; path !== undefined; ) {
    const { status, body, next } = await api.call("GET", path);
    expect(status).toBe(200);
    count += body.length;
    path = next;
  }
  expect(count).toBe(many);
});
