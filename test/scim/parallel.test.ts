/** Many clients at a time, on a real PostgreSQL: nothing is made twice, and no change is lost. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { type Pusher, scimStage, userOf } from "./stage.ts";

let database: TestDatabase;
let db: Database;
let hr: Pusher;
beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url);
  await migrate(db);
  hr = await (await scimStage(db)).source("HR");
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const all = <T>(count: number, work: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, n) => work(n)));

test("six clients that create one userName get one 201 and five 409", async () => {
  for (let round = 0; round < 3; round++) {
    const answers = await all(6, (n) => hr.call("POST", "/Users", userOf(n % 2 ? `Same${round}` : `same${round}`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409]);
    expect(answers.find(({ status }) => status === 409)?.body).toMatchObject({ scimType: "uniqueness" });
  }
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from users where login like 'same%'`.execute(db);
  expect(rows[0]?.n).toBe(3);
});

test("a refusal among many that are pushed together is that one's alone", async () => {
  const answers = await all(20, (n) => hr.call("POST", "/Users", userOf(`many${n}`, n === 7 ? { name: {} } : {})));
  expect(answers.flatMap(({ status }, n) => (status === 201 ? [] : [[n, status]]))).toEqual([[7, 400]]);
});

test("fifty changes of one group's members at a time lose none, here and in the directory", async () => {
  const ids = await all(50, (n) => hr.user(`member${n}`));
  const group = await hr.group("Crowd");
  const add = (value: string) => ({ Operations: [{ op: "add", path: "members", value: [{ value }] }] });
  const answers = await all(50, (n) => hr.call("PATCH", `/Groups/${group}`, add(ids[n] ?? "")));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
  const { body } = await hr.call("GET", `/Groups/${group}`);
  expect(body.members.map((one: { value: string }) => one.value).sort()).toEqual([...ids].sort());
  expect(body.meta.version).toBe('W/"51"');
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from membership_grants m join groups g on g.id = m.group_id where g.external_id = ${group}`.execute(
    db,
  );
  expect(rows[0]?.n).toBe(50);
});

test("two changes of one group that come at the same moment are both kept", async () => {
  const group = await hr.group("Both 0");
  const patch = (path: string, value: string) =>
    hr.call("PATCH", `/Groups/${group}`, { Operations: [{ op: "replace", path, value }] });
  for (let round = 1; round <= 20; round++) {
    await Promise.all([patch("displayName", `Both ${round}`), patch("externalId", `both-${round}`)]);
    const { body } = await hr.call("GET", `/Groups/${group}`);
    expect([body.displayName, body.externalId]).toEqual([`Both ${round}`, `both-${round}`]);
  }
});

test("changes of one user at a time lose none", async () => {
  const id = await hr.user("busy");
  const types = Array.from({ length: 12 }, (_, n) => `t${n}`);
  await Promise.all(
    types.map((type) =>
      hr.call("PATCH", `/Users/${id}`, {
        Operations: [{ op: "add", path: "phoneNumbers", value: [{ type, value: type }] }],
      }),
    ),
  );
  const { body } = await hr.call("GET", `/Users/${id}`);
  expect(body.phoneNumbers.map((one: { type: string }) => one.type).sort()).toEqual(types.sort());
});

test("who is deleted while a group takes them in is in no group afterwards", async () => {
  const group = await hr.group("Revolving door");
  const ids = await all(24, (n) => hr.user(`leaver${n}`));
  const add = (value: string) => ({ Operations: [{ op: "add", path: "members", value: [{ value }] }] });
  await Promise.all(
    ids.flatMap((id) => [hr.call("PATCH", `/Groups/${group}`, add(id)), hr.call("DELETE", `/Users/${id}`)]),
  );
  const { rows } = await sql<{ members: number; gone: number }>`
    select (select count(*)::int from scim_members where member_id = any(${ids}::text[])) as members,
      (select count(*)::int from scim_resources where id = any(${ids}::text[]) and deleted_at is not null) as gone`.execute(
    db,
  );
  expect(rows).toEqual([{ members: 0, gone: 24 }]);
});
