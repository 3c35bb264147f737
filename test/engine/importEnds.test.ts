/** How imports end that did not come to their own end: holds that a newer import overtook, runs whose node died. */
import { expect, test } from "vitest";
import { listTasks } from "../../src/directory/tasks.ts";
import { schedule } from "../../src/engine/schedule.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import type { TestWorld } from "../support/world.ts";
import { type Hr, hrSource, rowOf } from "./hr.ts";

let db: Database;
let world: TestWorld;
memoryWorld((...given) => {
  [db, world] = given;
});

const many = (count: number) => Array.from({ length: count }, (_, n) => rowOf(`${n}`, `P${n}`, "Worker"));
const importOf = async (id: string) =>
  (await sql<{ status: string; detail: unknown }>`select status, detail from imports where id = ${id}`.execute(db))
    .rows[0];
const held = async (): Promise<[Hr, string]> => {
  const hr = await hrSource(world, { guard_people: 2, guard_percent: 10 });
  await hr.run(many(20));
  const run = await hr.run(many(2));
  expect(run.status).toBe("HELD");
  expect(await listTasks(db, { status: "OPEN" })).toHaveLength(1);
  return [hr, run.id];
};

test("a newer import that finishes voids a hold and closes its task", async () => {
  const [hr, hold] = await held();
  const newer = await hr.run(many(21));
  expect(await importOf(hold)).toMatchObject({
    status: "CANCELLED",
    detail: { ended: "overtaken", ended_by: newer.id },
  });
  expect(await listTasks(db, { status: "OPEN" })).toHaveLength(0);
});

test("a newer one that is held takes the place of the hold, with one task", async () => {
  const [hr, hold] = await held();
  const newer = await hr.run(many(3));
  expect([newer.status, (await importOf(hold))?.status]).toEqual(["HELD", "CANCELLED"]);
  expect(await listTasks(db, { status: "OPEN" })).toMatchObject([{ detail: { import: newer.id } }]);
});

test("a dry run, one that failed, and one of another source leave a hold as it is", async () => {
  const [hr, hold] = await held();
  const other = await hrSource(world, {}, "Other");
  expect((await other.run([rowOf("900", "Ada", "Byron")])).status).toBe("DONE");
  expect((await hr.run(many(21), { dry_run: true })).status).toBe("DONE");
  hr.writeText("nothing,of,it\n");
  expect((await hr.run()).status).toBe("FAILED");
  expect(await importOf(hold)).toMatchObject({ status: "HELD" });
  expect(await listTasks(db, { status: "OPEN" })).toHaveLength(1);
});

test("an import whose node died ends with an event as soon as another node notices", async () => {
  const hr = await hrSource(world);
  await hr.run(many(1));
  const { rows } = await sql<{ id: string }>`
    insert into imports (app_id, status, mode, dry_run, cause, started_by, started_at, detail)
    select app_id, 'RUNNING', mode, dry_run, cause, started_by, started_at, '{"node": "gone"}' from imports
    returning id`.execute(db);
  await sql`insert into nodes (id, started_at, seen_at) select 'gone', started_at, started_at from imports limit 1`.execute(
    db,
  );
  await schedule(world);
  expect(await importOf(rows[0]?.id ?? "")).toMatchObject({ status: "RUNNING" });
  world.clock.set(new Date(world.now().getTime() + 120_000));
  await schedule(world);
  await schedule(world);
  expect(await importOf(rows[0]?.id ?? "")).toMatchObject({
    status: "FAILED",
    detail: { reason: expect.stringContaining("stopped") },
  });
  const events = await sql<{ outcome: string; reason: string }>`
    select outcome, reason from events where type = 'system.import.complete' and detail->>'import' = ${rows[0]?.id}`.execute(
    db,
  );
  expect(events.rows).toMatchObject([{ outcome: "FAILURE", reason: expect.stringContaining("stopped") }]);
});
