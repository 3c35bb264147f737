/** What goes to PostgreSQL as a column comes back as it was. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { column, jsonbList } from "../../src/store/columns.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url, { connections: 1 });
}, 120_000);
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const texts = async (values: readonly (string | null)[]) => {
  const { rows } = await sql<{ value: string | null }>`
    select value from unnest(${column(values, (value) => value)}::text[]) with ordinality as r(value, n) order by n`.execute(
    db,
  );
  return rows.map(({ value }) => value);
};

test("texts that look like the array's own signs come back as they were", async () => {
  const hostile = ["", "NULL", "null", ",", "{}", '"', "\\", '\\"', '",x"', " a ", "a\nb\tc", "Zoë 🐝", "'); drop--"];
  expect(await texts([...hostile, null])).toEqual([...hostile, null]);
});

test("any texts come back as they were", async () => {
  const stored = fc.string({ unit: "binary" }).filter((text) => text.isWellFormed() && !text.includes("\0"));
  const values = fc.array(fc.option(stored), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(
      values.filter((some) => some.some((one) => one !== null)),
      async (some) => {
        expect(await texts(some)).toEqual(some);
      },
    ),
    { numRuns: 100 },
  );
});

test("numbers, truths and instants come back as they were; a column without any value is none", async () => {
  const at = new Date("2026-03-01T09:30:00.123Z");
  const rows = [
    { n: 1.5, yes: true, at },
    { n: null, yes: null, at: null },
  ];
  const of = (value: (row: (typeof rows)[number]) => number | boolean | Date | null) => column(rows, value);
  const answer = await sql`
    select n, yes, at from rows from (unnest(${of((row) => row.n)}::float8[]), unnest(${of((row) => row.yes)}::boolean[]),
      unnest(${of((row) => row.at)}::timestamptz[])) as r(n, yes, at)`.execute(db);
  expect(answer.rows).toEqual(rows);
  expect(column(rows, () => null)).toBeNull();
});

test("what all rows have in common comes back for each of them", async () => {
  for (const value of ["one", '"', "", "NULL"]) {
    expect(await texts([value])).toEqual([value]);
    expect(await texts([value, value, value])).toEqual([value, value, value]);
    expect(await texts([value, value, null])).toEqual([value, value, null]);
    expect(await texts([null, null, value])).toEqual([null, null, value]);
  }
  expect([column([], () => 1), column([1, 2], () => null)]).toEqual([null, null]);
});

const lists = async (values: readonly unknown[]) => {
  const { rows } = await sql<{ value: unknown }>`
    select value from jsonb_array_elements(${jsonbList(values)}) with ordinality as r(value, n) order by n`.execute(db);
  return rows.map(({ value }) => value);
};

test("any JSON comes back from a list as it was, whatever letters it has, and what is absent as null", async () => {
  expect(await lists([])).toEqual([]);
  expect(await lists([undefined, null, "é", "Ł", "🐝", { 'a"b': ["\\", "\n"] }])).toEqual([
    ...[null, null, "é", "Ł", "🐝"],
    { 'a"b': ["\\", "\n"] },
  ]);
  const stored = fc.string({ unit: "binary" }).filter((text) => text.isWellFormed() && !text.includes("\0"));
  const value = fc.oneof(stored, fc.integer(), fc.boolean(), fc.constant(null), fc.dictionary(fc.string(), stored));
  const sound = (one: unknown) =>
    !JSON.stringify(one).includes("\\u0000") && !JSON.stringify(one).includes("__proto__");
  await fc.assert(
    fc.asyncProperty(fc.array(value.filter(sound), { maxLength: 20 }), async (some) => {
      expect(await lists(some)).toEqual(some.map((one) => JSON.parse(JSON.stringify(one))));
    }),
    { numRuns: 50 },
  );
});
