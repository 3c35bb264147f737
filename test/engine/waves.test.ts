/** How a node decides on a wave: on a real PostgreSQL, because what is told of it are two transactions at a time. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { priority } from "../../src/directory/command.ts";
import { assignGroups } from "../../src/directory/groupAssignments.ts";
import { startEngine } from "../../src/engine/loop.ts";
import { waveLooks } from "../../src/engine/statistics.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { freshCompany, hire } from "../directory/company.ts";
import { migratedDatabase } from "../support/postgres.ts";
import { addFakeApp, must, testWorld } from "../support/world.ts";

let db: Database;

migratedDatabase(10, (given) => {
  db = given;
});

/** How many turns have decided and wait to write. */
async function turns(): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from pg_locks where relation = 'accounts'::regclass and not granted`.execute(db);
  return rows[0]?.n ?? 0;
}

const markLeaver = (user_id: string) =>
  sql`insert into dirty (user_id, priority, marked_at) values (${user_id}, ${priority.leaver}, now())`.execute(db);

const noMarks = async () => (await sql`select from dirty`.execute(db)).rows.length === 0;

test.each([
  ["two turns at a time decide on a wave where nobody urgent came", false, 2],
  ["one turn at a time decides on a wave while somebody urgent may be expected", true, 1],
])(
  "%s",
  async (_, urgent, at_a_time) => {
    const { command, everyone } = await freshCompany(db);
    const users = await hire(
      command,
      Array.from({ length: 300 }, (_name, n) => `Ada${n}`),
      { activate: true },
    );
    const world = await testWorld(db, { prepared: true });
    const app_id = await addFakeApp(world);
    await sql`delete from dirty`.execute(db);
    const engine = await startEngine(world, { poll_ms: 20 });
    try {
      // Marked as a leaver: a change may be answered by a lane of waves, which expects nobody urgent after it.
      if (urgent) await markLeaver(users[0].id);
      await expect.poll(noMarks).toBe(true);
      await db.transaction().execute(async (trx) => {
        await sql`lock table accounts in exclusive mode`.execute(trx);
        await must(assignGroups({ ...command, db }, app_id, [{ group_id: everyone }]));
        engine.wake();
        await expect.poll(turns, { timeout: 10_000 }).toBe(at_a_time);
        await sleep(300);
        expect(await turns()).toBe(at_a_time);
      });
      await expect.poll(noMarks, { timeout: 10_000 }).toBe(true);
      const { rows } = await sql<{ n: number }>`select count(*)::int as n from accounts`.execute(db);
      expect(rows).toEqual([{ n: 300 }]);
    } finally {
      await engine.stop();
    }
  },
  60_000,
);

test("the planner is told after the first turn of a wave, when half as much again has come, and anew of the next wave", () => {
  const look = waveLooks();
  const wave = [200, 50, 50, 100, 100, 100, 100, 0];
  const looks = wave.map((due, n) => look(due, n < wave.length - 1));
  expect(looks).toEqual([true, false, false, true, false, false, true, false]);
  expect([look(10, true), look(4, true), look(2, false), look(1, true)]).toEqual([true, false, true, true]);
});
