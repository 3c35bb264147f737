/** Reads that share connections: each gets its own answer, none waits for a slow one, and nothing is written. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { openReads } from "../../src/store/reads.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let db: Database;
let reads: Database;
let now_ms = 0;

beforeAll(async () => {
  database = await testDatabase();
}, 120_000);
afterAll(() => database.drop());
beforeEach(() => {
  db = openDatabase(database.url, { connections: 4 });
  reads = openReads(db, () => now_ms);
});
afterEach(async () => {
  await reads.destroy();
  await db.destroy();
});

const pid = async (text = sql<{ pid: number }>`select pg_backend_pid() as pid`): Promise<number> =>
  (await text.execute(reads)).rows[0]?.pid ?? 0;
/** Of these connections, those that are there. */
const open = async (pids: readonly number[]): Promise<number> =>
  (await sql`select from pg_stat_activity where pid = any(${[...pids]}::int[])`.execute(db)).rows.length;
/** A list that takes so long. */
const list = (seconds = 0) =>
  sql<{ pid: number }>`
    select pg_backend_pid() as pid from pg_sleep(${seconds}::float8), generate_series(1, 30)`;
/** The connection of look-ups and that of lists, which a statement is known as when it has answered. */
const both = async (): Promise<readonly number[]> => {
  await pid(list());
  return [await pid(), await pid(list())];
};

test("many at a time get each their own answer, over one connection", async () => {
  const asked = Array.from({ length: 500 }, (_, n) => n);
  const answers = await Promise.all(
    asked.map(
      async (n) => (await sql<{ n: number }>`select ${n}::int as n, ${"x".repeat(n)} as text`.execute(reads)).rows,
    ),
  );
  expect(answers.map((rows) => rows[0]?.n)).toEqual(asked);
  expect(new Set(await Promise.all([pid(), pid(), pid(), pid(), pid()])).size).toBe(1);
});

// A machine that stands still for a moment answers out of order, or takes a list for a long statement.
test("a statement that answered with many rows is asked over another connection for a minute, where no look-up waits for it", {
  retry: 3,
}, async () => {
  const [lookups, lists] = await both();
  expect(lists).not.toBe(lookups);
  const order: string[] = [];
  await Promise.all([
    ...Array.from({ length: 4 }, () => pid(list(0.02)).then((at) => order.push(at === lists ? "list" : "elsewhere"))),
    ...Array.from({ length: 4 }, () => pid().then((at) => order.push(at === lookups ? "look-up" : "elsewhere"))),
  ]);
  expect(order).toEqual(["look-up", "look-up", "look-up", "look-up", "list", "list", "list", "list"]);
  now_ms += 61_000;
  expect(await pid(list())).toBe(lookups);
});

test("one that is wrong fails alone, with its own error", async () => {
  const wrong = sql`select 1 / ${0}::int`.execute(reads);
  const [bad, good] = await Promise.allSettled([wrong, pid(), pid()]);
  expect(bad).toMatchObject({ status: "rejected", reason: { code: "22012" } });
  expect(good.status).toBe("fulfilled");
});

test("one that takes long holds up nobody, is answered all the same, and its like go apart from then on for a minute", async () => {
  const slow = (how_long: number) =>
    sql<{ pid: number }>`select pg_backend_pid() as pid from pg_sleep(${how_long}::float8)`;
  const shared = new Set(await both());
  const order: string[] = [];
  await Promise.all([
    pid(slow(1)).then((at) => order.push(shared.has(at) ? "slow, shared" : "slow, apart")),
    ...Array.from({ length: 4 }, () => pid().then(() => order.push("quick"))),
  ]);
  expect(order).toEqual(["quick", "quick", "quick", "quick", "slow, apart"]);
  expect(shared.has(await pid(slow(0)))).toBe(false);
  now_ms += 61_000;
  expect(shared.has(await pid(slow(0)))).toBe(true);
});

test("nothing is written, and no transaction begins", async () => {
  await sql`create table notes (name text, value text)`.execute(db);
  await expect(sql`insert into notes (name, value) values ('a', '1')`.execute(reads)).rejects.toThrow(/only reads/);
  const hidden = sql`with made as (insert into notes (name, value) values ('a', '1') returning 1) select * from made`;
  await expect(hidden.execute(reads)).rejects.toMatchObject({ code: "25006" });
  await expect(reads.transaction().execute(async () => 1)).rejects.toThrow(/only reads/);
  expect((await sql`select from notes where name = 'a'`.execute(db)).rows).toEqual([]);
});

test("a connection that is cut in the middle costs nobody their answer", async () => {
  const before = await both();
  const asked = Array.from({ length: 50 }, () => pid());
  await sql`select pg_terminate_backend(pid) from unnest(${[...before]}::int[]) as pid`.execute(db);
  const more = Array.from({ length: 50 }, () => pid());
  expect((await Promise.all([...asked, ...more])).every((one) => one > 0)).toBe(true);
  await expect.poll(async () => (await both()).some((one) => before.includes(one))).toBe(false);
});

test("where the server has no connection left for them, the database's own answer", async () => {
  const name = `limited_${process.pid}`;
  await sql`create role ${sql.raw(name)} login password 'once' connection limit 1`.execute(db);
  const url = new URL(database.url);
  Object.assign(url, { username: name, password: "once" });
  const limited = openDatabase(url.href, { connections: 1 });
  const few = openReads(limited);
  try {
    const one = sql<{ one: number }>`select 1 as one`;
    expect((await one.execute(limited)).rows).toEqual([{ one: 1 }]);
    expect((await one.execute(few)).rows).toEqual([{ one: 1 }]);
  } finally {
    await few.destroy();
    await limited.destroy();
    await sql`drop role ${sql.raw(name)}`.execute(db);
  }
});

test("closing them closes their connections, and not the database's", async () => {
  const before = await both();
  await reads.destroy();
  await expect.poll(() => open(before), { timeout: 10_000 }).toBe(0);
  expect((await sql<{ one: number }>`select 1 as one`.execute(db)).rows).toEqual([{ one: 1 }]);
});
