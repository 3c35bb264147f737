/** Desire beside a command that marks people in the middle of it: on a real PostgreSQL, because it takes two sessions. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { activateRule, createRule } from "../../src/directory/rules.ts";
import { desire } from "../../src/engine/desire.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { accepted, freshCompany, hire, makeGroups } from "../directory/company.ts";
import { migratedDatabase } from "../support/postgres.ts";
import { testWorld } from "../support/world.ts";

let db: Database;

migratedDatabase(4, (given) => {
  db = given;
});

test("a deadlock with a command that marks someone late is tried again, and nobody is forgotten", async () => {
  const { command } = await freshCompany(db);
  const [group] = await makeGroups(command, ["All"]);
  const rule = accepted(await createRule(command, { name: "all", expression: "true", group_ids: [group.id] }));
  accepted(await activateRule(command, rule.id));
  const [ada] = await hire(command, ["Ada"]);
  const world = await testWorld(db);
  const answering = await db.transaction().execute(async (trx) => {
    // Both would look for a deadlock after a second, 30 ms apart: on a busy machine this one could be first, and end for it.
    await sql`set local deadlock_timeout = '30s'`.execute(trx);
    await sql`select from users where id = ${ada.id} for no key update`.execute(trx);
    const running = desire(world, 10);
    while (!(await waiting())) await sleep(10);
    // Desire waits for her row and holds her mark: it looks for a deadlock first, and finds one.
    await sql`
      insert into dirty (user_id, priority, marked_at) values (${ada.id}, 10, now())
      on conflict (user_id) do update set priority = 10`.execute(trx);
    return { running };
  });
  await answering.running;
  while ((await desire(world, 10)).users > 0);
  const { rows } = await sql<{ user_id: string }>`select user_id from membership_grants`.execute(db);
  expect(rows).toEqual([{ user_id: ada.id }]);
}, 60_000);

async function waiting(): Promise<boolean> {
  const { rows } = await sql<{ waits: boolean }>`
    select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()) as waits`.execute(
    db,
  );
  return rows[0]?.waits ?? false;
}
