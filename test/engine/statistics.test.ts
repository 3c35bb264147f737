/** What the planner believes of queues that were emptied and filled again, on a real PostgreSQL. */
import { beforeEach, describe, expect, test } from "vitest";
import { startEngine } from "../../src/engine/loop.ts";
import { tellPlanner } from "../../src/engine/statistics.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { migratedDatabase } from "../support/postgres.ts";
import { testWorld } from "../support/world.ts";

let db: Database;
// One connection: what it did is known to the statistics as soon as it says so itself.
migratedDatabase(1, (given) => {
  db = given;
});

const flush = () => sql`select pg_stat_force_next_flush()`.execute(db).then(() => sql`select 1`.execute(db));

/** As the planner expects it of a scan of all. */
async function expected(table: string): Promise<number> {
  const { rows } = await sql<{ "QUERY PLAN": [{ Plan: { "Plan Rows": number } }] }>`
    explain (format json) select from ${sql.table(table)}`.execute(db);
  return rows[0]?.["QUERY PLAN"][0].Plan["Plan Rows"] ?? Number.NaN;
}

const fill = (from: number, to: number) =>
  sql`insert into queue select n, repeat('x', 100) from generate_series(${from}::int, ${to}::int) n`.execute(db);

describe("a table that was emptied and has grown since", () => {
  beforeEach(async () => {
    await sql`drop table if exists queue, steady`.execute(db);
    await sql`create table queue (id int primary key, text text) with (autovacuum_enabled = false)`.execute(db);
    await sql`create table steady (id int primary key) with (autovacuum_enabled = false)`.execute(db);
    await fill(1, 5_000);
    await sql`insert into steady select generate_series(1, 5000)`.execute(db);
    // The last row stays, else the pages would be given back and the planner would count on their size.
    await sql`delete from queue where id < 5000`.execute(db);
    // What is counted and not yet told would be taken off what VACUUM sees: half of it, when a second lies between the two.
    await flush();
    await sql`vacuum analyze queue, steady`.execute(db);
    await fill(5_001, 10_000);
    await flush();
    expect(await expected("queue")).toBeLessThan(10);
  });

  test("is made known to the planner, once, and one that is as it believes is left alone", async () => {
    expect(await tellPlanner(db)).toEqual(["queue"]);
    expect(await expected("queue")).toBe(5_001);
    expect(await tellPlanner(db)).toEqual([]);
  });

  test("is made known to the planner by a node that runs", async () => {
    const engine = await startEngine(await testWorld(db), { schedule_ms: 20 });
    try {
      await expect.poll(() => expected("queue"), { timeout: 10_000 }).toBe(5_001);
    } finally {
      await engine.stop();
    }
  });
});

test("what no statement compares as a whole is not sampled, and all else is", async () => {
  const { rows } = await sql<{ table: string; type: string; sampled: boolean }>`
    select distinct attrelid::regclass::text as table, case atttypid when 'jsonb'::regtype then 'jsonb' else 'other' end as type,
      coalesce(attstattarget, -1) <> 0 as sampled
    from pg_attribute where attnum > 0 and not attisdropped and attrelid = any(array['users', 'users_history', 'accounts',
      'accounts_history', 'events', 'operations']::regclass[])`.execute(db);
  expect(rows).toHaveLength(12);
  for (const { table, type, sampled } of rows) expect([table, type, sampled]).toEqual([table, type, type !== "jsonb"]);
});
