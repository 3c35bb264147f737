/**
 * Folding: several rows of one id become one row of the stage, which holds them all (`$rows`, importDates.ts).
 *
 * Laws: their order in the source does not matter, so a file in another order is an unchanged file; nothing of the fold
 * hangs on the day. Where one row of a person cannot be read, the others are refused with it: what is left would say that
 * they start later, or that a change is off. Of more rows than one person can have, none is taken: the first alone might
 * say that they left. In a list that may lack rows, nobody has fewer than before.
 */
import { type Database, sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { rows_key } from "./importDates.ts";
import { changesOf, haveOf, stageOf } from "./importStage.ts";

/** Rows of one person: more are no jobs. */
const jobs_max = 100;

/** Folds a whole stage. Gives how many rows went into others, and how many were refused. */
export async function foldRows(db: Database, import_id: string): Promise<Readonly<{ gone: number; refused: number }>> {
  const stage = stageOf(import_id);
  const torn = await refuseRows(
    db,
    import_id,
    sql`select distinct external_id, 'another row of this person could not be read' as reason from import_rows
      where import_id = ${import_id} and outcome = 'refused' and external_id is not null`,
  );
  const many = await refuseRows(
    db,
    import_id,
    sql`select external_id, concat('there are ', count(*), ' rows of this person, and at most ', ${jobs_max}::int, ' are taken')
      as reason from ${stage} group by external_id having count(*) > ${jobs_max}::int`,
  );
  const folded = await sql<{ n: number }>`
    with people as (
      select external_id, min(line) as line, bool_or(enabled) as enabled,
        jsonb_agg(jsonb_build_object('enabled', enabled, 'profile', profile::jsonb) order by profile::jsonb, enabled) as jobs
      from ${stage} group by external_id having count(*) between 2 and ${jobs_max}::int),
    gone as (
      delete from ${stage} s using people p where s.external_id = p.external_id and s.line <> p.line returning s.line),
    unchanged as (delete from ${changesOf(import_id)} c using gone where c.line = gone.line),
    kept as (
      update ${stage} s set enabled = p.enabled,
        profile = ((p.jobs->0->'profile') || jsonb_build_object(${rows_key}::text, p.jobs))::text
      from people p where s.line = p.line)
    select count(*)::int as n from gone`.execute(db);
  return { gone: folded.rows[0]?.n ?? 0, refused: torn + many };
}

/** Refuses every staged row of some people. `whom`: their ids, each once, and the reason. Gives how many rows. */
async function refuseRows(db: Database, import_id: string, whom: ReturnType<typeof sql>): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    with refused as (
      delete from ${stageOf(import_id)} s using (${whom}) r
      where r.external_id = s.external_id returning s.line, s.external_id, s.place, r.reason),
    unchanged as (delete from ${changesOf(import_id)} c using refused where c.line = refused.line),
    told as (
      insert into import_rows (import_id, line, external_id, outcome, detail)
      select ${import_id}, line, external_id, 'refused',
        jsonb_build_object('place', concat_ws(', ', place, external_id), 'reason', reason)
      from refused)
    select count(*)::int as n from refused`.execute(db);
  return rows[0]?.n ?? 0;
}

/** Compares those who have several rows anew: each row of theirs was compared alone when it was read. */
export async function compareFolded({ world, id, app_id }: ImportRun, complete: boolean): Promise<void> {
  const [stage, changes] = [stageOf(id), changesOf(id)];
  const several = sql`s.profile like ${`%"${rows_key}"%`}`;
  await sql`delete from ${changes} c using ${stage} s where s.line = c.line and ${several}`.execute(world.db);
  await sql`
    insert into ${changes} (line, user_id, enabled)
    select s.line, a.user_id, s.enabled from ${stage} s
    left join accounts a on a.app_id = ${app_id} and a.external_id = s.external_id
    where ${several} and (a.user_id is null or a.have is distinct from ${haveOf})`.execute(world.db);
  if (complete) return;
  const jobs = (profile: ReturnType<typeof sql>) =>
    sql`coalesce(jsonb_array_length(case when jsonb_typeof(${profile}->${rows_key}::text) = 'array' then ${profile}->${rows_key}::text end), 1)`;
  await sql`
    delete from ${changes} c using ${stage} s, accounts a
    where s.line = c.line and a.app_id = ${app_id} and a.user_id = c.user_id
      and ${jobs(sql`s.profile::jsonb`)} < ${jobs(sql`(a.have->'profile')`)}`.execute(world.db);
}
