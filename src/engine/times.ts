/**
 * What a day brings people: first days that have come, last days that are over, accounts made ahead of a first day,
 * absences that begin and end, and values that were told with a date. Set by set; a hold is stronger than the clock.
 *
 * Law: levels. Whatever is due by the clock and not done is done, however late, once; the last days come before the
 * changes, so that a return that was told beforehand comes after the leave. Called by schedule.ts.
 */
import type { Refusal } from "../core/types.ts";
import { type Command, priority, type Running, run } from "../directory/command.ts";
import { markDirtyEach } from "../directory/marks.ts";
import { raiseTasks } from "../directory/tasks.ts";
import { transitionUsers } from "../directory/userLifecycle.ts";
import { type UserChange, updateUsersEach } from "../directory/users.ts";
import { isRefusal, sql } from "../store/database.ts";
import type { ScheduledDates, Sourcing } from "../store/tables.ts";
import { endWarnings, warnAnew } from "./endWarnings.ts";
import { switchesOf } from "./importDates.ts";
import type { World } from "./world.ts";

const batch = 500;
const day_ms = 86_400_000;

/** Does what is due of people's days. Gives true when there may be more. */
export async function passDays(world: World, command: Command): Promise<boolean> {
  const done = [
    await endAndStart(world, command),
    await applyScheduledChanges(world, command),
    await prepareAccounts(world, command),
    await beginAbsences(world, command),
    await endAbsences(world, command),
    await endWarnings(command, batch),
  ];
  return done.some((count) => count >= batch);
}

const freeAt = (now: Date) => sql`(u.hold is null or (u.hold->>'until')::timestamptz <= ${now}::timestamptz)`;

/** The event that gave the person `u` the day they have: their last change of it, else how they came. */
const toldBy = (day: "starts_at" | "ends_at") => sql`
  (select e.seq from events e where e.user_id = u.id and (e.type = 'user.lifecycle.create'
    or (e.type = 'user.account.update_profile' and e.detail->'changes' ? ${sql.lit(day)})) order by e.seq desc limit 1)`;

type DuePerson = Readonly<{ id: string; told_by: number | null }>;

const causesOf = (people: readonly DuePerson[]): ReadonlyMap<string, number> =>
  new Map(people.flatMap(({ id, told_by }) => (told_by === null ? [] : [[id, told_by] as const])));

async function endAndStart(world: World, command: Command): Promise<number> {
  const now = world.now();
  const ending = await sql<DuePerson & { ends_at: Date }>`
    select id, ends_at, ${toldBy("ends_at")} as told_by from users u where status <> 'DEPROVISIONED' and ends_at <= ${now}::timestamptz and not super_admin
      and ${freeAt(now)} order by ends_at limit ${batch}`.execute(world.db);
  const starting = await sql<DuePerson>`
    select id, ${toldBy("starts_at")} as told_by from users u where status = 'STAGED' and starts_at <= ${now}::timestamptz
      and (ends_at is null or ends_at > ${now}::timestamptz) and ${freeAt(now)} order by starts_at limit ${batch}`.execute(
    world.db,
  );
  const late = Map.groupBy(ending.rows, ({ ends_at }) => Math.floor((now.getTime() - ends_at.getTime()) / day_ms));
  for (const [days, people] of late) {
    const since = days === 0 ? "" : `, for ${days === 1 ? "a day" : `${days} days`} already`;
    const ids = people.map(({ id }) => id);
    const told = { reason: `the last day is over${since}`, causes: causesOf(people) };
    await transitionUsers(command, ids, { kind: "end_reached" }, told);
  }
  const ids = starting.rows.map((row) => row.id);
  if (ids.length > 0) {
    const told = { reason: "the first day has come", causes: causesOf(starting.rows) };
    await transitionUsers(command, ids, { kind: "start_reached" }, told);
  }
  return Math.max(starting.rows.length, ending.rows.length);
}

type Scheduled = Readonly<{
  id: number;
  user_id: string;
  profile: UserChange["profile"] & object;
  source_id: string;
  effective_at: Date;
  dates: ScheduledDates | null;
  sourcing: Sourcing | null;
}>;

/** Values that were told with a date of their own, and the days of a return that was told with the leave. */
async function applyScheduledChanges(world: World, command: Command): Promise<number> {
  const done = await run<{ count: number }>(command, async (running) => {
    const { rows } = await sql<Scheduled>`
      select c.id, c.user_id, c.profile, c.source_id, c.effective_at, c.dates, s.sourcing
      from scheduled_changes c left join apps s on s.id = c.source_id
      where c.effective_at <= ${world.now()}::timestamptz
      order by c.effective_at, c.id limit ${batch} for update of c skip locked`.execute(running.db);
    if (rows.length === 0) return { count: 0 };
    const changes = rows.map(({ user_id, profile, dates, sourcing }): UserChange => {
      const alias_attribute = sourcing?.alias_attribute ?? null;
      if (dates === null) return { id: user_id, profile, alias_attribute };
      const at = (text: string | null) => (text === null ? null : new Date(text));
      return { id: user_id, profile, alias_attribute, starts_at: at(dates.starts_at), ends_at: at(dates.ends_at) };
    });
    const changed = await updateUsersEach(running, changes, { deactivated: true, sourced: true });
    if (isRefusal(changed)) return changed;
    await tellRefused(running, rows, changed);
    await bringBack(running, rows);
    await sql`delete from scheduled_changes where id = any(${rows.map((row) => row.id)}::bigint[])`.execute(running.db);
    return { count: rows.length };
  });
  if (isRefusal(done)) throw new Error(done.refused);
  return done.count;
}

async function tellRefused(running: Running, rows: readonly Scheduled[], changed: readonly unknown[]): Promise<void> {
  const refused = rows.flatMap((row, n) => (isRefusal(changed[n]) ? [{ row, refusal: changed[n] as Refusal }] : []));
  await raiseTasks(
    running,
    refused.map(({ row, refusal }) => ({
      kind: "import_row",
      title: `a change planned for ${row.effective_at.toISOString().slice(0, 10)} could not be made: ${refusal.refused}`,
      dedupe: `scheduled:${row.user_id}`,
      user_id: row.user_id,
      ...(row.sourcing === null ? {} : { app_id: row.source_id }),
      detail: { message: refusal.refused, attribute: refusal.place ?? null },
    })),
  );
}

/** Whose change brought days of a later time of employment: they wait for its first day, or are back already. */
async function bringBack(running: Running, rows: readonly Scheduled[]): Promise<void> {
  const dated = rows.filter(({ dates }) => dates !== null);
  for (const [source_id, theirs] of Map.groupBy(dated, ({ source_id: id }) => id)) {
    const sourcing = theirs[0]?.sourcing;
    const event = {
      kind: "source_active" as const,
      reactivate_suspended: false,
      reactivate_deactivated: sourcing?.reactivate_deactivated ?? false,
    };
    const ids = [...new Set(theirs.map(({ user_id }) => user_id))];
    await transitionUsers(running, ids, event, { reason: `planned by ${source_id}` });
    await sql`
      update person_dates d set prepares_at = g.at, prepared = d.prepared and coalesce(g.at <= ${running.now()}::timestamptz, false)
      from unnest(${theirs.map(({ user_id }) => user_id)}::text[], ${theirs.map(({ dates }) => dates?.prepares_at ?? null)}::timestamptz[])
        as g(user_id, at)
      where d.user_id = g.user_id and d.prepares_at is not null`.execute(running.db);
    const switches = sourcing && switchesOf(sourcing);
    if (switches && switches.end_required_attribute !== null) {
      const ahead = theirs.flatMap(({ user_id, dates }) => (dates === null ? [] : [{ user_id, dates }]));
      await warnAnew(running, ahead, switches.end_warning_days);
    }
  }
}

/** Accounts are made, switched off, some days before a first day. Each person is come to once. */
async function prepareAccounts(world: World, command: Command): Promise<number> {
  const now = world.now();
  const done = await run<{ count: number }>(command, async (running) => {
    const { rows } = await sql<{ user_id: string; status: string }>`
      with due as (
        select d.user_id from person_dates d where not d.prepared and d.prepares_at <= ${now}::timestamptz
        order by d.prepares_at limit ${batch} for update of d skip locked)
      update person_dates d set prepared = true from due, users u
      where d.user_id = due.user_id and u.id = d.user_id returning d.user_id, u.status`.execute(running.db);
    const waiting = rows.filter(({ status }) => status === "STAGED").map(({ user_id }) => ({ user_id, cause: null }));
    await markDirtyEach(running, waiting, priority.change);
    return { count: rows.length };
  });
  return isRefusal(done) ? 0 : done.count;
}

/** Absences that have begun: suspended, unless an administrator has brought them back from it already. */
async function beginAbsences(world: World, command: Command): Promise<number> {
  const now = world.now();
  const { rows } = await sql<{ id: string }>`
    select u.id from person_dates d join users u on u.id = d.user_id
    where d.absent_from <= ${now}::timestamptz and (d.absent_until is null or d.absent_until > ${now}::timestamptz)
      and not d.away and u.status not in ('STAGED', 'SUSPENDED', 'DEPROVISIONED') and not u.super_admin and ${freeAt(now)}
    order by d.absent_from limit ${batch}`.execute(world.db);
  const event = { kind: "source_inactive" as const, mode: "suspend" as const };
  return turnAway(
    command,
    rows.map(({ id }) => id),
    event,
    true,
  );
}

/** Absences that are over, that the source has taken back, or that a leave has ended: a return begins them anew. */
async function endAbsences(world: World, command: Command): Promise<number> {
  const now = world.now();
  const { rows } = await sql<{ id: string }>`
    select u.id from person_dates d join users u on u.id = d.user_id
    where d.away and (d.absent_from is null or d.absent_from > ${now}::timestamptz or d.absent_until <= ${now}::timestamptz
        or u.status in ('STAGED', 'DEPROVISIONED'))
      and ${freeAt(now)} limit ${batch}`.execute(world.db);
  const event = { kind: "source_active" as const, reactivate_suspended: true, reactivate_deactivated: false };
  return turnAway(
    command,
    rows.map(({ id }) => id),
    event,
    false,
  );
}

async function turnAway(
  command: Command,
  ids: readonly string[],
  event: Parameters<typeof transitionUsers>[2],
  away: boolean,
): Promise<number> {
  if (ids.length === 0) return 0;
  const done = await run<{ count: number }>(command, async (running) => {
    const reason = away ? "an absence has begun" : "the absence is over";
    const results = await transitionUsers(running, ids, event, { reason });
    if (isRefusal(results)) return results;
    const turned = ids.filter((_, n) => !isRefusal(results[n]));
    await sql`update person_dates set away = ${away} where user_id = any(${turned}::text[])`.execute(running.db);
    return { count: ids.length };
  });
  if (isRefusal(done)) throw new Error(done.refused);
  return done.count;
}
