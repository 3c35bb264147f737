/** Plans that are kept: for small statements that come often, made anew in time, and never in the way of an answer. */
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isContention } from "../../src/store/database.ts";
import { keepPlans } from "../../src/store/plans.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let client: pg.Client;
let now_ms = 0;

beforeAll(async () => {
  database = await testDatabase();
}, 120_000);
afterAll(() => database.drop());
beforeEach(async () => {
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  // Past the window of the test before.
  now_ms += 60_000;
  keepPlans(client, () => now_ms);
});
afterEach(() => client.end());

const kept = async (mark: string): Promise<number> => {
  const like = `%${mark}%`;
  const { rows } = await client.query(
    `select count(*)::int as n from pg_prepared_statements where statement like '${like}'`,
  );
  return rows[0].n;
};

async function often(text: string, values: readonly unknown[], times = 6): Promise<void> {
  for (let n = 0; n < times; n++) await client.query(text, [...values]);
}

describe("a plan", () => {
  const long = "x".repeat(5_000);
  const many = Array.from({ length: 100 }, (_, n) => `${n}`);
  test.each([
    ["is kept for a statement that comes often", "select $1::text as few", ["a"], 6, 1],
    ["is kept for short lists", "select $1::text[] as short", [["a", "b"]], 6, 1],
    ["is not kept for what came four times", "select $1::text as seldom", ["a"], 4, 0],
    ["is not kept for long lists", "select $1::text[] as lists", [many], 6, 0],
    ["is not kept for long texts", "select $1::text as texts", [long], 6, 0],
  ])("%s", async (_, text, values, times, expected) => {
    await often(text, values, times);
    expect(await kept(text.slice(7))).toBe(expected);
  });

  test("is not kept for a statement that comes once in a while", async () => {
    for (let n = 0; n < 10; n++) {
      now_ms += 11_000;
      await client.query("select $1::text as while", ["a"]);
    }
    expect(await kept("as while")).toBe(0);
  });

  test("of an empty table is made anew when the table has grown", async () => {
    await client.query("create table grown (id int primary key); analyze grown");
    const text = "select id from grown where id = $1";
    await often(text, [1], 20);
    await client.query("insert into grown select generate_series(1, 20000)");
    const explain = async () => {
      const [{ name }] = (
        await client.query("select name from pg_prepared_statements where statement like 'select id from grown%'")
      ).rows;
      await client.query("set plan_cache_mode = force_generic_plan");
      const { rows } = await client.query(`explain execute ${name}(1)`);
      return rows.map((row) => row["QUERY PLAN"]).join("\n");
    };
    now_ms += 21_000;
    await client.query(text, [1]);
    expect(await explain()).toContain("Index");
  });

  test("that is made anew in a transaction that has failed changes nothing of what is said", async () => {
    await often("select $1::int / $2::int as quotient", [1, 1]);
    await client.query("begin");
    await expect(client.query("select $1::int / $2::int as quotient", [1, 0])).rejects.toThrow("division by zero");
    now_ms += 21_000;
    await expect(client.query("select $1::int / $2::int as quotient", [1, 1])).rejects.toThrow("aborted");
    await client.query("rollback");
    expect((await client.query("select $1::int / $2::int as quotient", [4, 2])).rows).toEqual([{ quotient: 2 }]);
  });

  test("of a table that has changed is asked anew; in a transaction, when that is tried again", async () => {
    await client.query("create table changed (id int); insert into changed values (1)");
    const text = "select * from changed where id = $1";
    await often(text, [1]);
    await client.query("alter table changed add column more text default 'new'");
    expect((await client.query(text, [1])).rows).toEqual([{ id: 1, more: "new" }]);
    await often(text, [1]);
    await client.query("alter table changed add column last int");
    await client.query("begin");
    const error = await client.query(text, [1]).catch((reason: unknown) => reason);
    expect(isContention(error)).toBe(true);
    await client.query("rollback");
    expect((await client.query(text, [1])).rows).toEqual([{ id: 1, more: "new", last: null }]);
  });

  test("is kept for two hundred texts at most, and those beyond are answered all the same", async () => {
    for (let n = 0; n < 210; n++) await often(`select $1::int + ${n} as crowd`, [1]);
    expect((await client.query("select $1::int + 209 as crowd", [1])).rows).toEqual([{ crowd: 210 }]);
    const all = (await client.query("select count(*)::int as n from pg_prepared_statements")).rows[0].n;
    expect(all).toBeLessThanOrEqual(200);
    expect(await kept("as crowd")).toBeGreaterThan(150);
  });
});
