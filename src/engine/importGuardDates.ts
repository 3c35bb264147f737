/**
 * Whom an import would cut off by a date: a last day that is new or earlier than before, or a first day that is put off
 * for someone who works here. The clock carries it out later, when nobody counts any more; so it is counted now, whether
 * the day has come or lies ahead. A file whose days stand in the wrong column looks exactly like everyone leaving.
 */
import type { Profile, UserStatus } from "../core/types.ts";
import { sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { daysOf, rows_key, switchesOf } from "./importDates.ts";
import type { CutOff } from "./importHeld.ts";
import { changesOf, stageOf } from "./importStage.ts";

type Dated = Readonly<{
  line: number;
  profile: string;
  status: UserStatus;
  starts_at: Date | null;
  ends_at: Date | null;
}>;

const page = 2_000;

/** The people of this source who work here and would be cut off by their days. */
export async function findCutOff(run: ImportRun): Promise<readonly CutOff[]> {
  const { world, id, app_id, sourcing } = run;
  const switches = switchesOf(sourcing);
  const names = [
    ...[switches.start_attribute, switches.end_attribute, switches.time_zone_attribute],
    ...[switches.last_day_attribute, switches.urgent_attribute, switches.several_rows ? rows_key : null],
  ].filter((name) => name !== null);
  if (names.length === 0) return [];
  const moved = names.map((name) => sql`p.is->${name}::text is distinct from p.was->${name}::text`);
  const found: CutOff[] = [];
  let after = -1;
  for (;;) {
    const { rows } = await sql<Dated>`
      select p.line, p.is::text as profile, p.status, p.starts_at, p.ends_at
      from (select c.line, s.profile::jsonb as is, a.have->'profile' as was, u.status, u.starts_at, u.ends_at
        from ${changesOf(id)} c join ${stageOf(id)} s on s.line = c.line
        join accounts a on a.app_id = ${app_id} and a.user_id = c.user_id join users u on u.id = c.user_id
        where c.enabled and c.line > ${after} and u.status not in ('DEPROVISIONED', 'SUSPENDED', 'STAGED') offset 0) p
      where ${sql.join(moved, sql` or `)} order by p.line limit ${page}`.execute(world.db);
    for (const row of rows) {
      const at = cutOffAt(run, row);
      if (at !== undefined) found.push({ line: row.line, at });
    }
    after = rows.at(-1)?.line ?? after;
    if (rows.length < page) return found;
  }
}

/** From when someone is cut off who was not to be; undefined: they are not. */
function cutOffAt(
  { sourcing, world }: ImportRun,
  { profile, starts_at: began, ends_at: ended }: Dated,
): Date | undefined {
  const now = world.now();
  const days = daysOf(sourcing, JSON.parse(profile) as Profile, now);
  if ("refused" in days) return undefined;
  const { starts_at, ends_at } = days.ok.dates;
  if (ends_at != null && (ended === null || ends_at < ended)) return ends_at;
  return starts_at != null && starts_at > now && (began === null || began <= now) ? now : undefined;
}
