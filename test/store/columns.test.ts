/** What goes to PostgreSQL as a column comes back as it was. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { column } from "../../src/store/columns.ts";
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
