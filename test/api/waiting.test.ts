/** The queue of rows that wait, over HTTP: what it lists page by page, what it refuses, and that it changes nobody. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createUsers } from "../../src/directory/users.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { type Hr, hrSource, rowOf } from "../engine/hr.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { must, profileOf, type TestWorld, testWorld } from "../support/world.ts";

let db: Database;
let api: TestApi;
let world: TestWorld;
let hr: Hr;
const path = () => `/admin/v1/apps/${hr.app_id}/waiting`;
const decisions = async () => (await sql`select 1 from import_decisions`.execute(db)).rows.length;
const made = async (first: string, last: string) =>
  (await must(createUsers(world.command, [{ profile: profileOf(first, last) }])))[0]!;

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db);
  world = await testWorld(db);
  hr = await hrSource(world, { auto_confirm: false, auto_confirm_new: false });
});

test.each([
  ["no body", undefined],
  ["an empty body", {}],
  ["no rows", { rows: [] }],
  ["a row without an id", { rows: [{ kind: "create" }] }],
  ["an empty id", { rows: [{ external_id: "", kind: "create" }] }],
  ["an id that is too long", { rows: [{ external_id: "x".repeat(1_001), kind: "create" }] }],
  ["an id with a NUL in it", { rows: [{ external_id: "1\u0000", kind: "create" }] }],
  ["a decision that is none", { rows: [{ external_id: "1", kind: "delete" }] }],
  ["a link to nobody named", { rows: [{ external_id: "1", kind: "link" }] }],
  ["a user where none is wanted", { rows: [{ external_id: "1", kind: "create", user_id: "00u1" }] }],
  [
    "a row named twice",
    {
      rows: [
        { external_id: "1", kind: "create" },
        { external_id: "1", kind: "ignore" },
      ],
    },
  ],
  ["too many rows", { rows: Array.from({ length: 10_001 }, (_, n) => ({ external_id: `${n}`, kind: "create" })) }],
  ["all of no kind", { all: "delete" }],
  ["all and rows at once", { all: "create", rows: [{ external_id: "1", kind: "create" }] }],
])("%s is refused in words, and nothing is decided", async (_name, body) => {
  await hr.run([rowOf("1", "Ada", "Byron")]);
  const answer = await api.call("POST", path(), body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(400);
  expect(answer.body.errorSummary.length).toBeGreaterThan(10);
  expect(await decisions()).toBe(0);
});

test("an app or a user that is not there, a reader, and nobody are refused, and nothing is decided", async () => {
  await hr.run([rowOf("1", "Ada", "Byron")]);
  const create = { rows: [{ external_id: "1", kind: "create" }] };
  expect((await api.call("GET", "/admin/v1/apps/Nothing/waiting")).status).toBe(404);
  expect((await api.call("POST", "/admin/v1/apps/Nothing/waiting", create)).status).toBe(404);
  const nobody = { rows: [{ external_id: "1", kind: "link", user_id: "00unobody" }] };
  expect((await api.call("POST", path(), nobody)).status).toBe(404);
  expect((await api.call("POST", path(), create, await api.tokenOf("READ_ONLY_ADMIN"))).status).toBe(403);
  expect((await api.call("POST", path(), create, "")).status).toBe(401);
  expect((await api.call("GET", path(), undefined, "")).status).toBe(401);
  expect(await decisions()).toBe(0);
});

test("the list goes page by page, long ids too, and a decision changes nobody before the next import", async () => {
  const ids = ["1", "2".repeat(600), "3"];
  await hr.run(ids.map((id, n) => rowOf(id, `First${n}`, "Last")));
  const seen: string[] = [];
  for (let next: string | undefined = `${path()}?limit=1`; next !== undefined; ) {
    const answer = await api.call("GET", next);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    seen.push(...answer.body.map(({ external_id }: { external_id: string }) => external_id));
    ({ next } = answer);
  }
  expect(seen).toEqual(ids);
  const people = async () => (await sql`select 1 from users`.execute(db)).rows.length;
  const before = await people();
  expect((await api.call("POST", path(), { all: "create" })).body).toEqual({ decided: 3 });
  expect(await people()).toBe(before);
  expect((await hr.run()).counts).toEqual({ created: 3 });
});

test("what is decided is undone once: the second time is refused, and of a set in which one row is undecided nothing is undone", async () => {
  await hr.run(["1", "2"].map((id, n) => rowOf(id, `First${n}`, "Last")));
  await api.call("POST", path(), { rows: [{ external_id: "1", kind: "create" }] });
  const undo = (...ids: string[]) =>
    api.call("POST", path(), { rows: ids.map((external_id) => ({ external_id, kind: "undo" })) });
  const mixed = await undo("1", "2");
  expect([mixed.status, JSON.stringify(mixed.body)]).toEqual([
    409,
    expect.stringContaining("nothing is decided about row 2"),
  ]);
  expect(await decisions()).toBe(1);
  expect((await undo("1")).body).toEqual({ decided: 1 });
  expect((await undo("1")).status).toBe(409);
});

test("a user whom one row was linked to by hand does not keep the other rows from being linked all at once", async () => {
  const ada = await made("Ada", "Byron");
  await made("Bob", "Stone");
  await hr.run([rowOf("1", "Ada", "Byron"), rowOf("2", "Bob", "Stone"), rowOf("3", "Augusta", "King")]);
  const link = { rows: [{ external_id: "3", kind: "link", user_id: ada.id }] };
  expect((await api.call("POST", path(), link)).body).toEqual({ decided: 1 });
  expect((await api.call("POST", path(), { all: "link" })).body).toEqual({ decided: 1 });
});
