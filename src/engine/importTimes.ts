/**
 * What an import writes of days that the users row does not hold: accounts to be made early, absences, and rows that
 * count later. In the transaction that applied the row; the clock does the rest (times.ts).
 *
 * Law: a level. What a source told before of a person is replaced by what it tells now, so what it no longer tells is
 * not done: that is how a planned change, absence or return is taken back.
 */
import type { Period } from "../core/jobs.ts";
import type { Profile } from "../core/types.ts";
import type { Running } from "../directory/command.ts";
import { column } from "../store/columns.ts";
import { sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { type Preparations, prepares, switchesOf } from "./importDates.ts";

/** A change of a person from an instant on. `profile`: as a user's. */
export type LaterChange = Readonly<{ at: Date; profile: Profile; period: Period }>;

/** A person whose row was applied. */
export type Timed = Readonly<{
  user_id: string;
  later: readonly LaterChange[];
  preparations: Preparations | undefined;
}>;

/** Writes the days of people whose rows were applied. */
export async function writeTimes(run: ImportRun, running: Running, people: readonly Timed[]): Promise<void> {
  const switches = switchesOf(run.sourcing);
  if (switches.several_rows) await writeLater(run, running, people);
  if (!prepares(switches) || people.length === 0) return;
  await sql`
    insert into person_dates as p (user_id, prepares_at, warns_at, warn_days, absent_from, absent_until)
    select g.user_id, g.prepares_at, g.warns_at, case when g.warns_at is not null then ${switches.end_warning_days}::int end,
      g.absent_from, g.absent_until
    from rows from (unnest(${column(people, (one) => one.user_id)}::text[]),
      unnest(${column(people, (one) => one.preparations?.prepares_at)}::timestamptz[]),
      unnest(${column(people, (one) => one.preparations?.warns_at)}::timestamptz[]),
      unnest(${column(people, (one) => one.preparations?.absent_from)}::timestamptz[]),
      unnest(${column(people, (one) => one.preparations?.absent_until)}::timestamptz[]))
      as g(user_id, prepares_at, warns_at, absent_from, absent_until)
    order by g.user_id
    on conflict (user_id) do update set prepares_at = excluded.prepares_at,
      prepared = p.prepared and coalesce(excluded.prepares_at <= ${running.now()}::timestamptz, false),
      warns_at = excluded.warns_at, warn_days = excluded.warn_days,
      absent_from = excluded.absent_from, absent_until = excluded.absent_until`.execute(running.db);
}

async function writeLater(run: ImportRun, running: Running, people: readonly Timed[]): Promise<void> {
  await forgetLater(
    run,
    running,
    people.map(({ user_id }) => user_id),
  );
  const lines = people.flatMap(({ user_id, later }) =>
    later.map(({ at, profile, period }) => ({ user_id, profile, effective_at: at, dates: period })),
  );
  if (lines.length === 0) return;
  await sql`
    insert into scheduled_changes (user_id, profile, effective_at, source_id, dates, created_at)
    select l.user_id, l.profile, l.effective_at, ${run.app_id}, l.dates, ${running.now()}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as
      l(user_id text, profile jsonb, effective_at timestamptz, dates jsonb)
    order by l.user_id, l.effective_at`.execute(running.db);
}

/** Takes back what a source planned of people. */
export async function forgetLater(run: ImportRun, running: Running, user_ids: readonly string[]): Promise<void> {
  if (user_ids.length === 0) return;
  await sql`
    delete from scheduled_changes where source_id = ${run.app_id} and user_id = any(${[...user_ids]}::text[])`.execute(
    running.db,
  );
}

/** Those of these people who are suspended for an absence that lasts: their source lists them, and they stay away. */
export async function whoIsAway(running: Running, user_ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (user_ids.length === 0) return new Set();
  const { rows } = await sql<{ user_id: string }>`
    select user_id from person_dates where away and user_id = any(${[...user_ids]}::text[])`.execute(running.db);
  return new Set(rows.map(({ user_id }) => user_id));
}
