/** Imports by the clock: on time where the clock is, by one node, made up for, and told when they fail. */
import { rmSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { appHealth } from "../../src/directory/appHealth.ts";
import { updateApp } from "../../src/directory/apps.ts";
import { nextTurn } from "../../src/directory/importSchedule.ts";
import { listTasks } from "../../src/directory/tasks.ts";
import { getUser } from "../../src/directory/userQueries.ts";
import { startImport } from "../../src/engine/import.ts";
import { endForgotten } from "../../src/engine/importEnds.ts";
import { claimTurns, importByClock } from "../../src/engine/importSchedule.ts";
import { schedule } from "../../src/engine/schedule.ts";
import { type Database, sql } from "../../src/store/database.ts";
import type { Sourcing } from "../../src/store/tables.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { admin, must, type TestWorld, testWorld } from "../support/world.ts";
import { type Hr, hrSource, rowOf } from "./hr.ts";

let db: Database;
let world: TestWorld;
let hr: Hr;

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  world = await testWorld(db);
  world.clock.set(new Date("2026-05-04T03:59:00Z"));
  hr = await hrSource(world, { schedule: "0 6 * * 1-5", schedule_zone: "Europe/Rome" });
  hr.write([rowOf("1", "Ada", "Byron")]);
  await claimTurns(world);
});

const go = (when: string) => world.clock.set(new Date(when));
const stays = new AbortController().signal;
const due = async () => (await claimTurns(world)).map(({ label }) => label);
const imports = async () =>
  (
    await sql<{ status: string; scheduled: boolean | null }>`
    select status, (detail->>'scheduled')::boolean as scheduled from imports order by id`.execute(db)
  ).rows;
const next = async () =>
  (
    await sql<{ at: Date | null }>`select import_due_at as at from app_health where app_id = ${hr.app_id}`.execute(db)
  ).rows[0]?.at?.toISOString();
const tools = {
  key: { id: "test", bytes: Buffer.alloc(32) },
  check: () => ({ refused: "none", code: "invalid" as const }),
};
const reschedule = (sourcing: Partial<Sourcing>) => must(updateApp(world.command, hr.app_id, { sourcing }, tools));

describe("a turn", () => {
  test.each([
    ["0 6 * * 1-5", "Europe/Rome", "2026-05-01T04:00:00Z", "2026-05-04T04:00:00.000Z"],
    ["@daily", "Asia/Tokyo", "2026-05-01T15:00:00Z", "2026-05-02T15:00:00.000Z"],
    ["*/15 * * * *", "UTC", "2026-05-01T15:01:00Z", "2026-05-01T15:15:00.000Z"],
    // The hour that is left out in spring, and the one that comes twice in autumn.
    ["30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00.000Z"],
    ["30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00.000Z"],
    ["30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00.000Z"],
  ])("of %s in %s after %s is at %s", (pattern, zone, after, at) => {
    expect(nextTurn(pattern, zone, new Date(after))?.toISOString()).toBe(at);
  });

  test("comes on the source's clock, once, and the source is read", async () => {
    expect([await next(), await due()]).toEqual(["2026-05-04T04:00:00.000Z", []]);
    go("2026-05-04T04:00:01Z");
    const turns = await Promise.all([claimTurns(world), claimTurns(world), claimTurns(world)]);
    expect(turns.flat().map(({ label }) => label)).toEqual(["HR"]);
    expect(await next()).toBe("2026-05-05T04:00:00.000Z");
    await importByClock(world, turns.flat()[0]!, stays);
    expect(await imports()).toEqual([{ status: "DONE", scheduled: true }]);
    expect(await getUser(db, "ada.byron@example.com")).toBeDefined();
  });

  test("that was slept through is made up for once", async () => {
    go("2026-05-08T12:00:00Z");
    expect([await due(), await due(), await next()]).toEqual([["HR"], [], "2026-05-11T04:00:00.000Z"]);
  });

  test("follows a schedule that is changed or taken away, and a source that is switched off has none", async () => {
    await reschedule({ schedule: "30 4 * * *", schedule_zone: null });
    expect([await due(), await next()]).toEqual([[], "2026-05-04T04:30:00.000Z"]);
    await sql`insert into settings (name, value) values ('org', '{"time_zone":"Asia/Tokyo"}')`.execute(db);
    expect([await due(), await next()]).toEqual([[], "2026-05-04T19:30:00.000Z"]);
    // A zone that there is not, of whatever wrote it, stops no source.
    await sql`update settings set value = '{"time_zone":"Mars"}' where name = 'org'`.execute(db);
    expect([await due(), await next()]).toEqual([[], "2026-05-04T04:30:00.000Z"]);
    await reschedule({ schedule: null });
    go("2026-06-04T04:00:01Z");
    expect([await due(), await next()]).toEqual([[], undefined]);
  });
});

describe("a source with two schedules", () => {
  const modes = async () => (await claimTurns(world)).map(({ mode }) => mode);
  const running = (mode: "full" | "incremental") =>
    sql`
      insert into imports (app_id, status, mode, dry_run, started_by, started_at, detail)
      values (${hr.app_id}, 'RUNNING', ${mode}, false, '{}', '2026-05-04T04:00:00Z',
        jsonb_build_object('node', ${world.node}::text, 'scheduled', true))`.execute(db);
  const done = async () =>
    (await sql<{ mode: string }>`select mode from imports where status = 'DONE' order by id`.execute(db)).rows;
  beforeEach(async () => {
    await reschedule({ incremental_schedule: "*/15 * * * *" });
    expect(await modes()).toEqual([]);
  });

  test("is asked for changes on its clock, and read in full where both come at once", async () => {
    go("2026-05-04T04:00:00Z");
    const turns = (await Promise.all([claimTurns(world), claimTurns(world)])).flat();
    expect(turns.map(({ mode }) => mode)).toEqual(["full"]);
    await importByClock(world, turns[0]!, stays);
    go("2026-05-04T04:14:59Z");
    expect(await modes()).toEqual([]);
    go("2026-05-04T04:15:00Z");
    const [changes] = await claimTurns(world);
    expect(changes?.mode).toBe("incremental");
    await importByClock(world, changes!, stays);
    expect(await done()).toEqual([{ mode: "full" }, { mode: "incremental" }]);
    // Both were slept through: made up for once, in full.
    go("2026-05-06T09:00:00Z");
    expect([await modes(), await modes()]).toEqual([["full"], []]);
    await reschedule({ schedule: null });
    expect(await modes()).toEqual([]);
    go("2026-05-07T04:00:00Z");
    expect(await modes()).toEqual(["incremental"]);
    await reschedule({ incremental_schedule: null });
    go("2026-05-08T04:00:00Z");
    expect(await modes()).toEqual([]);
  });

  test("is asked the same again when that was cut off, by the end of its node or a kill", async () => {
    go("2026-05-04T04:15:00Z");
    await claimTurns(world);
    go("2026-05-04T04:30:00Z");
    const [changes] = await claimTurns(world);
    await importByClock(world, changes!, AbortSignal.abort());
    expect(await modes()).toEqual(["incremental"]);
    await running("incremental");
    await sql`update imports set detail = detail || '{"node":"gone"}'`.execute(db);
    go("2026-05-04T06:31:00Z");
    expect(await modes()).toEqual(["incremental"]);
    await schedule(world);
    expect(await modes()).toEqual(["incremental"]);
  });

  test("is read in full right after an import of changes that was in the way, and not after a full one", async () => {
    await schedule(world);
    await sql`update nodes set seen_at = '2026-05-04T04:00:00Z'`.execute(db);
    await running("incremental");
    go("2026-05-04T04:00:00Z");
    const [full] = await claimTurns(world);
    await importByClock(world, full!, stays);
    expect(await modes()).toEqual(["full"]);
    await sql`update imports set mode = 'full'`.execute(db);
    await importByClock(world, full!, stays);
    expect([await modes(), await done()]).toEqual([[], []]);
  });

  test("is not asked for changes while an import of it is held, which one of changes would void unseen", async () => {
    await reschedule({ guard_people: 0, guard_percent: 1, schedule: "0 4 * * *" });
    await modes();
    hr.write([rowOf("1", "Ada", "Byron"), rowOf("2", "Tunde", "Bello")]);
    await hr.run();
    hr.write([rowOf("1", "Ada", "Byron")]);
    const held = await hr.run();
    expect(held.status).toBe("HELD");
    go("2026-05-04T04:15:00Z");
    const [changes] = await claimTurns(world);
    await importByClock(world, changes!, stays);
    expect((await imports()).map(({ status }) => status)).toEqual(["DONE", "HELD"]);
    expect((await hr.run(undefined, { released: held.id })).counts).toMatchObject({ left: 1 });
    await sql`update imports set status = 'CANCELLED' where status = 'HELD'`.execute(db);
    await importByClock(world, changes!, stays);
    expect(await done()).toEqual([{ mode: "full" }, { mode: "full" }, { mode: "incremental" }]);
  });

  test("has a task for each that fails, which its own next one closes, or a full one both", async () => {
    const turn = async (when: string) => {
      go(when);
      for (const source of await claimTurns(world)) await importByClock(world, source, stays);
      return (await listTasks(db, { status: "OPEN" })).map(({ title }) => title.replace(/:.*/, ""));
    };
    rmSync(hr.path);
    const [full, changes] = [
      "the import of HR by the clock failed",
      "the incremental import of HR by the clock failed",
    ];
    expect(await turn("2026-05-04T04:00:00Z")).toEqual([full]);
    expect((await turn("2026-05-04T04:15:00Z")).toSorted()).toEqual([full, changes].toSorted());
    hr.write([rowOf("1", "Ada", "Byron")]);
    expect(await turn("2026-05-04T04:30:00Z")).toEqual([full]);
    rmSync(hr.path);
    await turn("2026-05-04T04:45:00Z");
    hr.write([rowOf("1", "Ada", "Byron")]);
    expect(await turn("2026-05-05T04:00:00Z")).toEqual([]);
  });
});

describe("an import by the clock", () => {
  const turn = async (when: string) => {
    go(when);
    for (const source of await claimTurns(world)) await importByClock(world, source, stays);
  };
  const tasks = async () => (await listTasks(db, { status: "OPEN" })).map(({ kind, title }) => [kind, title]);

  test("that fails is a task that says why, once, and told of with the app; the next that goes well closes it", async () => {
    rmSync(hr.path);
    await turn("2026-05-04T04:00:00Z");
    await turn("2026-05-05T04:00:00Z");
    expect(await tasks()).toEqual([
      [
        "import_failed",
        expect.stringMatching(/^the import of HR by the clock failed: .*(no file|not there|ENOENT|does not exist)/i),
      ],
    ]);
    const failed = async () => (await appHealth(db, world.now(), [hr.app_id]))[0]?.import_failed;
    expect(await failed()).toMatch(/no file|not there/i);
    hr.write([rowOf("1", "Ada", "Byron")]);
    await turn("2026-05-06T04:00:00Z");
    expect([await tasks(), await failed()]).toEqual([[], null]);
  });

  test("that failed is done by whoever reads the source, and forgotten with its schedule", async () => {
    rmSync(hr.path);
    await turn("2026-05-04T04:00:00Z");
    expect((await tasks()).length).toBe(1);
    hr.write([rowOf("1", "Ada", "Byron")]);
    await startImport(world, hr.app_id, { mode: "full", dry_run: true, actor: admin });
    expect((await tasks()).length).toBe(1);
    await startImport(world, hr.app_id, { mode: "full", actor: admin });
    expect(await tasks()).toEqual([]);
    rmSync(hr.path);
    await turn("2026-05-05T04:00:00Z");
    expect((await tasks()).length).toBe(1);
    await reschedule({ schedule: null });
    await due();
    expect(await tasks()).toEqual([]);
  });

  test("is left out while another import of the source runs", async () => {
    await schedule(world);
    await sql`
      insert into imports (app_id, status, mode, dry_run, started_by, started_at, detail)
      values (${hr.app_id}, 'RUNNING', 'full', false, '{}', now(), jsonb_build_object('node', ${world.node}::text))`.execute(
      db,
    );
    await sql`update nodes set seen_at = '2026-05-04T04:00:00Z'`.execute(db);
    await turn("2026-05-04T04:00:00Z");
    expect([await tasks(), (await imports()).length]).toEqual([[], 1]);
  });

  test("that the end of its node cuts off, or a kill, is due again at once", async () => {
    go("2026-05-04T04:00:00Z");
    const [source] = await claimTurns(world);
    await importByClock(world, source!, AbortSignal.abort());
    expect(await due()).toEqual(["HR"]);
    await sql`
      insert into imports (app_id, status, mode, dry_run, started_by, started_at, detail)
      values (${hr.app_id}, 'RUNNING', 'full', false, '{}', '2026-05-04T04:00:00Z', '{"node":"gone","scheduled":true}')`.execute(
      db,
    );
    await sql`insert into nodes (id, started_at, seen_at) values ('gone', now(), '2026-05-04T04:00:00Z')`.execute(db);
    go("2026-05-04T04:20:00Z");
    expect(await due()).toEqual([]);
    await schedule(world);
    expect(await due()).toEqual(["HR"]);
    expect(await endForgotten(world.command)).toEqual([]);
  });
});

test.each([
  [{ schedule: "soon" }, /sourcing.schedule: "soon" is no schedule: write minute, hour/],
  [{ schedule: "* * * * * *" }, /is no schedule/],
  [{ schedule: "61 * * * *" }, /is no schedule/],
  [{ schedule: `0 0 * * ${"1,".repeat(90)}1` }, /is no schedule|Too big/],
  [{ schedule: "0 0 31 2 *" }, /names no day that ever comes/],
  [{ incremental_schedule: "often" }, /sourcing.incremental_schedule: "often" is no schedule/],
  [{ schedule: "0 6 * * *", schedule_zone: "Mars" }, /sourcing.schedule_zone: "Mars" is no time zone/],
])("a schedule that is none is refused: %j", async (sourcing, why) => {
  expect(await updateApp(world.command, hr.app_id, { sourcing }, tools)).toMatchObject({
    refused: expect.stringMatching(why),
  });
});
