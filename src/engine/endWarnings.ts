/**
 * Ends that are told ahead: somebody renews a contractor's end, or lets it come. So many days before, a task names the
 * person, the day and who answers for them; it closes by itself when the end is moved or the person is gone.
 *
 * Law: an end is told once, whatever becomes of the task; what was told is kept beside it (`warned_end`), so that looking
 * again says nothing twice. Set by set; called by times.ts.
 */
import { dayBefore } from "../core/days.ts";
import { warnsAt } from "../core/jobs.ts";
import type { Profile } from "../core/types.ts";
import { type Command, type Running, run } from "../directory/command.ts";
import { closeTasksFor, raiseTasks } from "../directory/tasks.ts";
import { column } from "../store/columns.ts";
import { isRefusal, sql } from "../store/database.ts";
import type { ScheduledDates } from "../store/tables.ts";
import { loadSuperiors, managerKey } from "./people.ts";

/** Closes what is out of date, and tells what is due. Gives how many people were looked at, of `batch` at most each. */
export async function endWarnings(command: Command, batch: number): Promise<number> {
  const done = await run<{ count: number }>(command, async (running) => {
    const counts = [await closeMoved(running, batch), await tellEnds(running, batch)];
    return { count: Math.max(...counts) };
  });
  if (isRefusal(done)) throw new Error(done.refused);
  return done.count;
}

/** When a person's end is due to be told, as it stands now. */
const due_at = sql`greatest(u.ends_at - make_interval(days => d.warn_days), u.starts_at)`;
const dedupe = (user_id: string) => `end:${user_id}`;

/** Ends that were told and are not theirs any more. */
async function closeMoved(running: Running, batch: number): Promise<number> {
  const { rows } = await sql<{ user_id: string }>`
    with moved as (
      select d.user_id from person_dates d join users u on u.id = d.user_id
      where d.warned_end is not null
        and (u.ends_at is distinct from d.warned_end or d.warn_days is null or u.status = 'DEPROVISIONED')
      order by d.user_id limit ${batch} for update of d skip locked)
    update person_dates d set warned_end = null, warns_at = case when u.status <> 'DEPROVISIONED' then ${due_at} end
    from moved, users u where d.user_id = moved.user_id and u.id = d.user_id returning d.user_id`.execute(running.db);
  if (rows.length > 0) {
    const note = "the last day is another one, or they are gone";
    await closeTasksFor(running, { dedupe: rows.map(({ user_id }) => dedupe(user_id)), note });
  }
  return rows.length;
}

type Ending = Readonly<{
  user_id: string;
  login: string;
  profile: Profile;
  time_zone: string | null;
  ends_at: Date | null;
  tell: boolean;
}>;

async function tellEnds(running: Running, batch: number): Promise<number> {
  const now = running.now();
  // Whoever's end was moved by hand is due later; who has none any more, or is gone, is not due at all.
  const { rows } = await sql<Ending>`
    with due as (
      select d.user_id from person_dates d where d.warns_at <= ${now}::timestamptz
      order by d.warns_at limit ${batch} for update of d skip locked),
    judged as (
      select d.user_id, u.login, u.profile, u.time_zone, u.ends_at, ${due_at} as at,
        coalesce(u.status <> 'DEPROVISIONED' and u.ends_at > ${now}::timestamptz, false) as comes,
        d.warned_end is distinct from u.ends_at as anew
      from due join person_dates d using (user_id) join users u on u.id = d.user_id),
    marked as (
      update person_dates d set
        warns_at = case when j.comes and j.anew and j.at > ${now}::timestamptz then j.at end,
        warned_end = case when j.comes and j.anew and j.at <= ${now}::timestamptz then j.ends_at else d.warned_end end
      from judged j where d.user_id = j.user_id)
    select user_id, login, profile, time_zone, ends_at, comes and anew and at <= ${now}::timestamptz as tell
    from judged order by user_id`.execute(running.db);
  const told = rows.filter(({ tell }) => tell);
  const managers = await loadSuperiors(running.db, told);
  await raiseTasks(
    running,
    told.map((person) => {
      const manager = managers.get(managerKey(person) ?? "")?.profile["login"] ?? null;
      const who = manager ?? managerKey(person) ?? null;
      const day = dayBefore(person.ends_at ?? now, person.time_zone ?? "UTC");
      const asked = who === null ? "nobody is named as their manager" : `their manager is ${String(who)}`;
      return {
        kind: "end_ahead" as const,
        title: `the last day of ${person.login} is ${day}; ${asked}: move it where it comes from, or let it come`,
        dedupe: dedupe(person.user_id),
        user_id: person.user_id,
        due_at: person.ends_at,
        detail: { day, manager: who },
      };
    }),
  );
  return rows.length;
}

/** A later time of employment has begun, with an end of its own to tell. */
export async function warnAnew(
  running: Running,
  people: readonly Readonly<{ user_id: string; dates: ScheduledDates }>[],
  days: number,
): Promise<void> {
  const at = (text: string | null) => (text === null ? null : new Date(text));
  const last = [...new Map(people.map((one) => [one.user_id, one.dates]))].map(([user_id, dates]) => {
    const period = { starts_at: at(dates.starts_at), ends_at: at(dates.ends_at), prepares_at: null };
    return { user_id, warns_at: warnsAt({ ...period, renewable: dates.renewable === true }, days) };
  });
  await sql`
    update person_dates d set warns_at = g.warns_at, warn_days = case when g.warns_at is not null then ${days}::int end
    from unnest(${column(last, (one) => one.user_id)}::text[], ${column(last, (one) => one.warns_at)}::timestamptz[])
      as g(user_id, warns_at)
    where d.user_id = g.user_id`.execute(running.db);
}
