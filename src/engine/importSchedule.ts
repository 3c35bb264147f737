/**
 * Imports by the clock: sources whose schedule has come are read, each by one node, and what went wrong is a task. A source
 * has two schedules, of full imports and of those that ask only for what changed.
 *
 * Laws: a turn that was slept through (nobody ran) is made up for once. Of two that come at once the full import is done. One
 * that comes while the last import still runs is left out, but for a full one that an incremental one is in the way of: it
 * comes right after. While an import is held the clock asks for no changes. An import that is cut off, by the end of its node
 * or a kill, is run again as soon as a node is there.
 *
 * Called by loop.ts.
 */
import { clockTasks, clockTasksSettledBy } from "../directory/appHealth.ts";
import type { Command } from "../directory/command.ts";
import { nextTurn } from "../directory/importSchedule.ts";
import { companyZone } from "../directory/organisation.ts";
import { readSetting } from "../directory/settings.ts";
import { closeTasksFor, raiseTasks } from "../directory/tasks.ts";
import { isRefusal, sql } from "../store/database.ts";
import { system } from "../store/log.ts";
import { startImport } from "./import.ts";
import type { Turn } from "./importEnds.ts";
import type { World } from "./world.ts";

/** A schedule as the source has it, with when it comes next and what that was worked out from. */
type Slot = Readonly<{ pattern: string | null; due_at: Date | null; known: string | null }>;
type Scheduled = Readonly<{ app_id: string; label: string; zone: string | null; full: Slot; incremental: Slot }>;
/** Whose turn it is. */
export type Source = Turn & Readonly<{ label: string }>;

/** Works out when changed schedules come next. Gives the sources whose turn it is, and that are this node's to read now. */
export async function claimTurns(world: World): Promise<readonly Source[]> {
  const now = world.now();
  const scheduled = await readSchedules(world);
  if (scheduled.length === 0) return [];
  const company = companyZone(await readSetting(world.db, "org"));
  const mine: Source[] = [];
  for (const { app_id, label, zone, full, incremental } of scheduled) {
    const [night, day] = [full, incremental].map((slot) => judge(slot, zone ?? company, now));
    if (night === undefined || day === undefined || !(night.moves || day.moves)) continue;
    // Whoever comes first: the others find it moved.
    const { rows: taken } = await sql`
      update app_health set import_due_at = ${night.next}::timestamptz, import_schedule = ${night.key},
        changes_due_at = ${day.next}::timestamptz, changes_schedule = ${day.key}
      where app_id = ${app_id} and import_schedule is not distinct from ${full.known}
        and import_due_at is not distinct from ${full.due_at}::timestamptz
        and changes_schedule is not distinct from ${incremental.known}
        and changes_due_at is not distinct from ${incremental.due_at}::timestamptz returning app_id`.execute(world.db);
    if (taken.length === 0) continue;
    await closeEnded(world, app_id, { full: ended(full, night), incremental: ended(incremental, day) });
    if (!(night.due || day.due)) continue;
    mine.push({ app_id, label, mode: night.due ? "full" : "incremental" });
  }
  return mine;
}

const ended = ({ known }: Slot, { key }: Judged): boolean => known !== null && key === null;

/** What failed by a schedule that was taken away cannot be done better the next time. */
async function closeEnded(world: World, app_id: string, slots: Readonly<Record<Turn["mode"], boolean>>): Promise<void> {
  const tasks = clockTasks(app_id);
  const dedupe = (["full", "incremental"] as const).filter((mode) => slots[mode]).map((mode) => tasks[mode]);
  if (dedupe.length === 0) return;
  const command: Command = { db: world.db, now: () => world.now(), actor: system };
  await closeTasksFor(command, { dedupe, note: "the schedule was taken away" });
}

async function readSchedules({ db }: World): Promise<readonly Scheduled[]> {
  const { rows } = await sql<
    Record<"app_id" | "label", string> & Record<"zone" | "night" | "day", string | null> & Kept
  >`
    select a.id as app_id, a.label, a.sourcing->>'schedule_zone' as zone, h.import_due_at, h.import_schedule,
      h.changes_due_at, h.changes_schedule, case when a.status = 'ACTIVE' then a.sourcing->>'schedule' end as night,
      case when a.status = 'ACTIVE' then a.sourcing->>'incremental_schedule' end as day
    from apps a join app_health h on h.app_id = a.id
    where (a.status = 'ACTIVE' and (a.sourcing->>'schedule' is not null or a.sourcing->>'incremental_schedule' is not null))
      or h.import_schedule is not null or h.changes_schedule is not null
    order by a.id`.execute(db);
  return rows.map(({ app_id, label, zone, night, day, ...kept }) => ({
    ...{ app_id, label, zone },
    full: { pattern: night, due_at: kept.import_due_at, known: kept.import_schedule },
    incremental: { pattern: day, due_at: kept.changes_due_at, known: kept.changes_schedule },
  }));
}

type Kept = Readonly<
  Record<"import_due_at" | "changes_due_at", Date | null> &
    Record<"import_schedule" | "changes_schedule", string | null>
>;
/** `moves`: something of it is written; as it is written is `next` and `key`. */
type Judged = Readonly<{ due: boolean; moves: boolean; next: Date | null; key: string | null }>;

function judge({ pattern, due_at, known }: Slot, zone: string, now: Date): Judged {
  const key = pattern === null ? null : `${pattern} ${zone}`;
  const changed = key !== known;
  const due = !changed && due_at !== null && due_at <= now;
  const moves = changed || due;
  return { due, moves, key, next: !moves ? due_at : pattern === null ? null : nextTurn(pattern, zone, now) };
}

/** Reads a source whose turn it is, to the end. `signal`: the node ends; whoever is there next reads it then. */
export async function importByClock(world: World, { app_id, label, mode }: Source, signal: AbortSignal): Promise<void> {
  const command: Command = { db: world.db, now: () => world.now(), actor: system };
  if (mode === "incremental" && (await isHeld(world, app_id))) return;
  const ended = await startImport(world, app_id, { mode, actor: system, scheduled: true, signal });
  if (signal.aborted) return readAgainSoon(command, [{ app_id, mode }]);
  const runs_already = isRefusal(ended) && ended.code === "stale";
  if (runs_already) {
    // Whoever has left is told only by a full import: it is not left out for one of changes.
    if (mode === "full" && !(await runsFull(world, app_id))) await readAgainSoon(command, [{ app_id, mode }]);
    return;
  }
  const wrong = isRefusal(ended)
    ? ended.refused
    : ended.status === "FAILED"
      ? (ended.reason ?? "it failed")
      : undefined;
  if (wrong === undefined) {
    // Also of an import that is held, and of a source that pushes: there the import itself settles none.
    const dedupe = clockTasksSettledBy(app_id, mode);
    await closeTasksFor(command, { dedupe, note: "the next import by the clock was carried out" });
    return;
  }
  const what = mode === "full" ? "import" : "incremental import";
  await raiseTasks(command, [
    {
      ...{
        kind: "import_failed",
        title: `the ${what} of ${label} by the clock failed: ${wrong}`,
        dedupe: clockTasks(app_id)[mode],
      },
      ...{ app_id, detail: { message: wrong, ...(isRefusal(ended) ? {} : { import: ended.id }) } },
    },
  ]);
}

/** Does an import of the source wait for a person? Changes would void it unseen, and they say nothing of who is missing. */
async function isHeld({ db }: World, app_id: string): Promise<boolean> {
  const { rows } = await sql`
    select from imports where app_id = ${app_id} and status = 'HELD' and not detail ?| array['session', 'scim'] limit 1`.execute(
    db,
  );
  return rows.length > 0;
}

async function runsFull({ db }: World, app_id: string): Promise<boolean> {
  const { rows } = await sql`
    select from imports where app_id = ${app_id} and status = 'RUNNING' and mode = 'full' limit 1`.execute(db);
  return rows.length > 0;
}

/** Sources whose import by the clock was cut off are due at once, where they still have that schedule. */
export async function readAgainSoon(command: Command, turns: readonly Turn[]): Promise<void> {
  const ids = (mode: Turn["mode"]) => turns.filter((turn) => turn.mode === mode).map(({ app_id }) => app_id);
  const [full, incremental] = [ids("full"), ids("incremental")];
  const now = command.now();
  if (full.length > 0) {
    await sql`
      update app_health set import_due_at = ${now}::timestamptz
      where app_id = any(${full}::text[]) and import_schedule is not null`.execute(command.db);
  }
  if (incremental.length === 0) return;
  await sql`
    update app_health set changes_due_at = ${now}::timestamptz
    where app_id = any(${incremental}::text[]) and changes_schedule is not null`.execute(command.db);
}
