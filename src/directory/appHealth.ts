/**
 * An app's health as people see and change it: paused, and by whom; which accounts are stuck, and trying them again.
 * The engine writes the same rows from what its calls meet (engine/health.ts).
 *
 * Law: a pause without a fault is an administrator's, and only an administrator ends it; a pause with a fault also ends
 * when what was at fault is changed.
 */
import type { RawBuilder } from "kysely";
import type { FaultKind, Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { type Command, log, priority, type Running, run, wake } from "./command.ts";
import { markAccountsDue } from "./reach.ts";
import { closeTasksFor } from "./tasks.ts";
import { undecidedRows } from "./waitingRows.ts";

/** The end of a pause that only an administrator ends. */
export const paused_for_good = new Date("9999-12-31T00:00:00Z");

/** `state`: trying is half open: after repeated faults one account at a time is tried. */
export type AppHealth = Readonly<{
  app_id: string;
  state: "ok" | "paused" | "trying" | "off";
  paused_until: Date | null;
  pause_reason: string | null;
  pause_fault: FaultKind | null;
  faults_in_row: number;
  reconciled_at: Date | null;
  reconcile_due_at: Date | null;
  /** Of a source with a schedule: when it is read next. */
  import_due_at: Date | null;
  /** Why the last import by the clock failed; null once one goes well. */
  import_failed: string | null;
  /** Accounts waiting to be worked on; accounts whose last operation failed; accounts that nothing will try again. */
  due: number;
  faulted: number;
  parked: number;
  /** How long the first of the waiting ones has waited. */
  oldest_due_at: Date | null;
  /** Of a source: rows that wait for a person to say who they are. */
  undecided: number;
}>;

/** The pieces of work whose tasks tell of an import by the clock that failed, by its mode. */
export const clockTasks = (app_id: string) => ({
  full: `import by the clock:${app_id}`,
  incremental: `changes by the clock:${app_id}`,
});

/** Those of them that an import of this mode settles: a full one has read what has changed, too. */
export const clockTasksSettledBy = (app_id: string, mode: "full" | "incremental"): readonly string[] => {
  const { full, incremental } = clockTasks(app_id);
  return mode === "full" ? [full, incremental] : [incremental];
};

/** The health of apps, all of them if none are named, in order of labels. */
export async function appHealth(db: Database, now: Date, app_ids?: readonly string[]): Promise<AppHealth[]> {
  const { full: of_full, incremental: of_changes } = clockTasks("");
  const named = app_ids === undefined ? sql`true` : sql`a.id = any(${[...app_ids]}::text[])`;
  const { rows } = await sql<AppHealth>`
    select a.id as app_id,
           case when a.status <> 'ACTIVE' then 'off' when h.paused_until > ${now}::timestamptz then 'paused'
                when h.faults_in_row > 0 and h.pause_fault is not null then 'trying' else 'ok' end as state,
           h.paused_until, h.pause_reason, h.pause_fault, coalesce(h.faults_in_row, 0) as faults_in_row,
           h.reconciled_at, h.reconcile_due_at, h.import_due_at, coalesce(w.due, 0) as due, coalesce(w.faulted, 0) as faulted,
           coalesce(w.parked, 0) as parked, w.oldest_due_at,
           coalesce(r.undecided, 0) as undecided,
           (select t.detail->>'message' from tasks t
            where t.dedupe = any(array[${of_full}::text || a.id, ${of_changes}::text || a.id]) and t.status = 'OPEN'
            order by t.dedupe = ${of_full}::text || a.id desc limit 1) as import_failed
    from apps a left join app_health h on h.app_id = a.id
    left join (
      select app_id, count(*) filter (where due_at is not null)::int as due,
             count(*) filter (where fault is not null)::int as faulted,
             count(*) filter (where fault is not null and due_at is null)::int as parked, min(due_at) as oldest_due_at
      from work group by app_id
    ) w on w.app_id = a.id
    left join (${undecidedRows(named)}) r on r.app_id = a.id
    where ${named}
    order by lower(a.label)`.execute(db);
  return rows;
}

/** Stops all calls to an app until `until`, or until somebody resumes it. What is due stays due. */
export function pauseApp(
  command: Command,
  app_id: string,
  why: Readonly<{ reason: string; until?: Date | null }>,
): Promise<AppHealth | Refusal> {
  return run<AppHealth>(command, async (running) => {
    const until = why.until ?? paused_for_good;
    if (why.reason.trim() === "" || why.reason.length > 500) {
      return { refused: "say in at most 500 characters why the app is paused", code: "invalid", place: "reason" };
    }
    if (until <= running.now()) {
      return { refused: "the pause would be over already: give an end in the future", code: "invalid", place: "until" };
    }
    const label = await labelOf(running.db, app_id);
    if (label === undefined) return { refused: `there is no app ${app_id}`, code: "not_found" };
    await sql`
      insert into app_health (app_id, paused_until, pause_reason) values (${app_id}, ${until}::timestamptz, ${why.reason})
      on conflict (app_id) do update set paused_until = excluded.paused_until, pause_reason = excluded.pause_reason,
        pause_fault = null`.execute(running.db);
    await tell(running, "application.provision.pause", app_id, label, why.reason);
    return healthAfter(running, app_id);
  });
}

/** Lets an app be called again at once, whoever paused it, and closes its task. */
export function resumeApp(command: Command, app_id: string, note = "resumed"): Promise<AppHealth | Refusal> {
  return run<AppHealth>(command, async (running) => {
    const label = await labelOf(running.db, app_id);
    if (label === undefined) return { refused: `there is no app ${app_id}`, code: "not_found" };
    await resume(running, app_id, label, sql`true`, note);
    return healthAfter(running, app_id);
  });
}

/**
 * What a changed configuration means for an app's health: a pause by a fault ends, and what was parked because the app
 * refused it, or could not do it, is tried again. Called by apps.ts in the change's transaction.
 */
export async function retryAfterChange(running: Running, app_id: string, label: string): Promise<void> {
  await resume(running, app_id, label, sql`pause_fault is not null`, "the configuration was changed");
  await retryFaulted(running, { app_id, faults: ["denied", "invalid", "unsupported"] });
}

async function resume(
  running: Running,
  app_id: string,
  label: string,
  which: RawBuilder<unknown>,
  note: string,
): Promise<void> {
  const { numAffectedRows } = await sql`
    update app_health set paused_until = null, pause_reason = null, pause_fault = null, faults_in_row = 0, probing = false
    where app_id = ${app_id} and (paused_until is not null or faults_in_row > 0) and ${which}`.execute(running.db);
  if (Number(numAffectedRows ?? 0) === 0) return;
  await tell(running, "application.provision.resume", app_id, label, note);
  await closeTasksFor(running, { app_id, kinds: ["app_paused"], note });
  await wake(running.db);
}

/** Which faulted accounts to try again: of an app, or of all. */
export type FaultedChoice = Readonly<{
  app_id: string;
  faults?: readonly FaultKind[];
  account_ids?: readonly string[];
}>;

/**
 * Tries again now what failed: accounts, each looked at in the app first, and pushed groups (unless accounts are
 * named). Their tasks close by themselves when it works. Gives how many of each.
 */
export async function retryFaulted(
  command: Command,
  choice: FaultedChoice,
): Promise<Readonly<{ accounts: number; groups: number }>> {
  const result = await run(command, async (running) => {
    const { app_id, faults, account_ids } = choice;
    const kinds = faults === undefined ? sql`w.fault is not null` : sql`w.fault = any(${[...faults]}::text[])`;
    const named = account_ids === undefined ? sql`true` : sql`a.id = any(${[...account_ids]}::text[])`;
    const accounts = await markAccountsDue(running, app_id, sql`${kinds} and ${named}`, priority.change);
    if (account_ids !== undefined) return { accounts, groups: 0 };
    const { numAffectedRows } = await sql`
      update pushed_groups w set due_at = ${running.now()}::timestamptz, attempts = 0, full_check = true,
        generation = generation + 1
      where w.app_id = ${app_id} and w.status = 'ACTIVE' and ${kinds}`.execute(running.db);
    const groups = Number(numAffectedRows ?? 0);
    if (groups > 0) await wake(running.db);
    return { accounts, groups };
  });
  // The work above refuses nothing.
  return "refused" in result ? { accounts: 0, groups: 0 } : result;
}

async function labelOf(db: Database, app_id: string): Promise<string | undefined> {
  const app = await db.selectFrom("apps").select("label").where("id", "=", app_id).executeTakeFirst();
  return app?.label;
}

async function tell(running: Running, type: string, app_id: string, label: string, reason: string): Promise<void> {
  await log(running, { type, app_id, reason, targets: [{ id: app_id, type: "AppInstance", name: label }] });
}

async function healthAfter(running: Running, app_id: string): Promise<AppHealth | Refusal> {
  const [health] = await appHealth(running.db, running.now(), [app_id]);
  return health ?? { refused: `there is no app ${app_id}`, code: "not_found" };
}
