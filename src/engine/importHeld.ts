/**
 * Held imports: what was read is kept until a person decides, and a release applies that and nothing else. What the source
 * says by then, and whoever came in between, is the next import's business.
 *
 * Law: a release makes nobody leave who was not shown as leaving. It is refused when the source's rules or mapping have
 * changed since, for then the same rows would mean something else.
 */
import { createHash } from "node:crypto";
import type { Refusal } from "../core/types.ts";
import { mappingOf } from "../directory/mappings.ts";
import { type Database, sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { changesOf, type Staged, stageOf } from "./importStage.ts";

/** What a held import remembers for its release. `to_confirm`: how many people it is about, to be typed in. */
export type Hold = Readonly<{ to_confirm: number; rules: string }>;

/** Keeps the stage over a crash of the database, which empties tables that are not logged. */
export async function keepStage(run: ImportRun, to_confirm: number): Promise<Hold> {
  await sql`alter table ${stageOf(run.id)} set logged`.execute(run.world.db);
  return { to_confirm, rules: await rulesOf(run.world.db, run.app_id) };
}

/** What rows of a source mean hangs on this: a digest of its mapping and rules. */
export async function rulesOf(db: Database, app_id: string): Promise<string> {
  const { rows } = await sql<{ sourcing: string }>`select sourcing::text from apps where id = ${app_id}`.execute(db);
  const mapping = await mappingOf(db, app_id, "to_user");
  const lines = Object.entries(mapping?.lines ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([rows[0]?.sourcing, lines]))
    .digest("hex");
}

/** Is it what the guard held of single pushes (scimRecord.ts)? */
export async function isOfPushes(db: Database, held: string): Promise<boolean> {
  const { rows } = await sql`select from imports where id = ${held} and detail ? 'scim'`.execute(db);
  return rows.length > 0;
}

/** Why a held import cannot be released; undefined: it can. */
export async function judgeRelease(db: Database, app_id: string, held: string): Promise<Refusal | undefined> {
  const { rows } = await sql<{ rules: string | null; there: boolean }>`
    select detail->>'rules' as rules, to_regclass(${`import_stage_${held}`}) is not null as there
    from imports where id = ${held} and app_id = ${app_id}`.execute(db);
  const [row] = rows;
  if (!row?.there) {
    return { refused: "what it read is not kept any more: discard it and import the source again", code: "stale" };
  }
  if (row.rules === (await rulesOf(db, app_id))) return undefined;
  const refused =
    "the rules or the mapping of the source have changed since it was held, so it would not do what it shows: discard it and import the source again";
  return { refused, code: "stale" };
}

/** Takes over what a held import had read, rows that could not be read included. */
export async function takeStage({ world, id }: ImportRun, held: string): Promise<Staged> {
  const { db } = world;
  await sql`alter table ${stageOf(held)} rename to ${stageOf(id)}`.execute(db);
  await sql`
    create unlogged table ${changesOf(id)} (line int primary key, user_id text, enabled boolean not null)
      with (autovacuum_enabled = false)`.execute(db);
  const refused = await sql`
    insert into import_rows (import_id, line, external_id, profile, enabled, outcome, user_id, detail)
    select ${id}, r.line, r.external_id, r.profile, r.enabled, r.outcome, r.user_id, r.detail from import_rows r
    where r.import_id = ${held} and r.outcome = 'refused'
      and not exists (select from ${stageOf(id)} s where s.line = r.line)`.execute(db);
  const { rows } = await sql<{ rows: number; complete: boolean }>`
    select (select count(*)::int from ${stageOf(id)}) as rows, coalesce((detail->>'complete')::boolean, false) as complete
    from imports where id = ${held}`.execute(db);
  return { rows: 0, complete: false, ...rows[0], refused: Number(refused.numAffectedRows ?? 0) };
}

/** Takes out of the changes whoever would leave and was not shown as leaving. */
export async function keepToShown({ world, id }: ImportRun, held: string): Promise<void> {
  await sql`
    delete from ${changesOf(id)} c where not c.enabled and c.user_id is not null and not exists (
      select from import_rows r where r.import_id = ${held} and r.user_id = c.user_id
        and r.outcome in ('leave', 'vanish', 'skipped', 'outranked'))`.execute(world.db);
}

/** Takes out of the changes of a source that pushes whoever would leave and is held: only a release lets them go. */
export async function keepHeld({ world, id, app_id }: ImportRun): Promise<void> {
  await sql`
    delete from ${changesOf(id)} c where not c.enabled and exists (
      select from imports i join import_rows r on r.import_id = i.id
      where i.app_id = ${app_id} and i.status = 'HELD' and i.detail ? 'scim' and r.outcome = 'leave'
        and r.user_id = c.user_id)`.execute(world.db);
}

/**
 * Takes out of the changes whoever was read alone since the import was held: what the source said of them then is newer
 * than what waits here, and may be that they have left.
 */
export async function keepReadSince({ world, id, app_id }: ImportRun, held: string): Promise<void> {
  await sql`
    delete from ${changesOf(id)} c using ${stageOf(id)} s
    where s.line = c.line and s.external_id in (
      select p.external_id from imports h, imports i, jsonb_array_elements_text(i.detail->'people') p(external_id)
      where h.id = ${held} and i.app_id = ${app_id} and i.status = 'DONE' and not i.dry_run and i.detail ? 'people'
        and i.started_at > h.started_at)`.execute(world.db);
}

/** The people that a held import is about; undefined: it is about all of its source, or there is none. */
export async function peopleOfHeld(db: Database, held: string | undefined): Promise<readonly string[] | undefined> {
  if (held === undefined) return undefined;
  const { rows } = await sql<{ people: readonly string[] | null }>`
    select detail->'people' as people from imports where id = ${held}`.execute(db);
  return rows[0]?.people ?? undefined;
}

/** Someone whom a date cuts off, by the line of their row, and when. */
export type CutOff = Readonly<{ line: number; at: Date }>;

/** Says of the rows that bring such a date whom it cuts off when: they are updates like others otherwise. */
export async function markCutOff({ world, id }: ImportRun, cut_off: readonly CutOff[]): Promise<void> {
  if (cut_off.length === 0) return;
  await sql`
    update import_rows r set detail = coalesce(r.detail, '{}') || jsonb_build_object('cut_off', g.at)
    from rows from (unnest(${cut_off.map(({ line }) => line)}::int[]),
      unnest(${cut_off.map(({ at }) => at.toISOString())}::text[])) as g(line, at)
    where r.import_id = ${id} and r.line = g.line`.execute(world.db);
}
