/**
 * Imports by the clock: sources whose schedule has come are read, each by one node, and what went wrong is a task.
 *
 * Laws: a turn that was slept through (nobody ran) is made up for once. One that comes while the last import still runs is
 * left out. An import that is cut off, by the end of its node or a kill, is run again as soon as a node is there.
 *
 * Called by loop.ts.
 */
import { clockTask } from "../directory/appHealth.ts";
import type { Command } from "../directory/command.ts";
import { nextTurn } from "../directory/importSchedule.ts";
import { companyZone } from "../directory/organisation.ts";
import { readSetting } from "../directory/settings.ts";
import { closeTasksFor, raiseTasks } from "../directory/tasks.ts";
import { isRefusal, sql } from "../store/database.ts";
import { system } from "../store/log.ts";
import { startImport } from "./import.ts";
import type { World } from "./world.ts";

type Scheduled = Readonly<{
  app_id: string;
  label: string;
  schedule: string | null;
  zone: string | null;
  import_due_at: Date | null;
  import_schedule: string | null;
}>;

/** Works out when changed schedules come next. Gives the sources whose turn it is, and that are this node's to read now. */
export async function claimTurns(world: World): Promise<readonly Readonly<{ app_id: string; label: string }>[]> {
  const now = world.now();
  const { rows } = await sql<Scheduled>`
    select a.id as app_id, a.label, a.sourcing->>'schedule' as schedule, a.sourcing->>'schedule_zone' as zone,
      h.import_due_at, h.import_schedule
    from apps a join app_health h on h.app_id = a.id
    where (a.sourcing->>'schedule' is not null and a.status = 'ACTIVE') or h.import_schedule is not null
    order by a.id`.execute(world.db);
  if (rows.length === 0) return [];
  const company = companyZone(await readSetting(world.db, "org"));
  const mine = [];
  for (const { app_id, label, schedule, zone, import_due_at, import_schedule } of rows) {
    const key = schedule === null ? null : `${schedule} ${zone ?? company}`;
    const next = schedule === null ? null : nextTurn(schedule, zone ?? company, now);
    const changed = key !== import_schedule;
    const due = !changed && import_due_at !== null && import_due_at <= now;
    if (!changed && !due) continue;
    // Whoever comes first: the others find it moved.
    const { rows: taken } = await sql`
      update app_health set import_due_at = ${next}::timestamptz, import_schedule = ${key}
      where app_id = ${app_id} and import_schedule is not distinct from ${import_schedule}
        and import_due_at is not distinct from ${import_due_at}::timestamptz returning app_id`.execute(world.db);
    if (due && taken.length > 0) mine.push({ app_id, label });
  }
  return mine;
}

/** Reads a source whose turn it is, to the end. `signal`: the node ends; whoever is there next reads it then. */
export async function importByClock(
  world: World,
  { app_id, label }: Readonly<{ app_id: string; label: string }>,
  signal: AbortSignal,
): Promise<void> {
  const command: Command = { db: world.db, now: () => world.now(), actor: system };
  const ended = await startImport(world, app_id, { mode: "full", actor: system, scheduled: true, signal });
  if (signal.aborted) return readAgainSoon(command, [app_id]);
  const runs_already = isRefusal(ended) && ended.code === "stale";
  if (runs_already) return;
  const dedupe = clockTask(app_id);
  const wrong = isRefusal(ended)
    ? ended.refused
    : ended.status === "FAILED"
      ? (ended.reason ?? "it failed")
      : undefined;
  if (wrong === undefined) {
    await closeTasksFor(command, { dedupe: [dedupe], note: "the next import by the clock was carried out" });
    return;
  }
  await raiseTasks(command, [
    {
      ...{ kind: "import_failed", title: `the import of ${label} by the clock failed: ${wrong}`, dedupe, app_id },
      detail: { message: wrong, ...(isRefusal(ended) ? {} : { import: ended.id }) },
    },
  ]);
}

/** Sources whose import by the clock was cut off are due at once, where they still have a schedule. */
export async function readAgainSoon(command: Command, app_ids: readonly string[]): Promise<void> {
  if (app_ids.length === 0) return;
  await sql`
    update app_health set import_due_at = ${command.now()}::timestamptz
    where app_id = any(${[...app_ids]}::text[]) and import_schedule is not null`.execute(command.db);
}
