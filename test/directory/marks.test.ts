/** Marks of sets while the engine computes some of the same people: on a real PostgreSQL, because it takes two sessions. */
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { priority } from "../../src/directory/command.ts";
import { passGate } from "../../src/directory/gate.ts";
import { markDirtyWhere } from "../../src/directory/marks.ts";
import { type Database, sql, transact } from "../../src/store/database.ts";
import { migratedDatabase } from "../support/postgres.ts";
import { commandAt } from "./support.ts";

let db: Database;

migratedDatabase(4, (given) => {
  db = given;
});
beforeAll(async () => {
  await sql`
    insert into users (id, status, profile)
    select '00u' || n, 'ACTIVE', jsonb_build_object('login', n || '@x.example', 'department', case n when 3 then 'Sales' end)
    from generate_series(1, 3) as n`.execute(db);
});

const dirty = async () =>
  (await sql<{ user_id: string }>`select user_id from dirty order by user_id`.execute(db)).rows.map(
    (row) => row.user_id,
  );

test("somebody whom the engine brings into the condition while a set is marked is marked, too", async () => {
  await sql`insert into dirty (user_id, priority, marked_at) values ('00u1', 1, now()), ('00u2', 1, now())`.execute(db);
  let marking: Promise<unknown> | undefined;
  await transact(db, async (engine) => {
    // The engine has taken 00u1 and read the facts; 00u2 waits for its turn.
    await passGate({ db: engine });
    await sql`select from dirty where user_id = '00u1' for update`.execute(engine);
    const sales = sql`u.profile->>'department' = 'Sales'`;
    marking = transact(db, (trx) => markDirtyWhere({ ...commandAt(trx), db: trx }, sales, priority.change, null));
    await sleep(200);
    await sql`update users set profile = profile || '{"department": "Sales"}' where id = '00u1'`.execute(engine);
    await sql`delete from dirty where user_id = '00u1'`.execute(engine);
  });
  expect(await marking).toBe(2);
  expect(await dirty()).toEqual(["00u1", "00u2", "00u3"]);
});

test("the engine begins nothing between a mark of a set and the end of its command", async () => {
  const order: string[] = [];
  let engine: Promise<unknown> | undefined;
  await transact(db, async (trx) => {
    await markDirtyWhere({ ...commandAt(trx), db: trx }, sql`u.id = '00u3'`, priority.change, null);
    engine = transact(db, async (other) => {
      await passGate({ db: other });
      order.push("engine");
    });
    await sleep(200);
    order.push("command");
  });
  await engine;
  expect(order).toEqual(["command", "engine"]);
});
