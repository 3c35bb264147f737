/**
 * Absence: who is not in a list any more, and what that proves. In a complete list it proves that they have left, but for
 * those whose own row was there and could not be read. In a list with rows of unknown people it proves nothing: then
 * everyone is kept, and that is said loudly, because nobody notices a leaver who stays.
 */
import type { RawBuilder } from "kysely";
import { closeTasksFor, raiseTasks } from "../directory/tasks.ts";
import { type Database, sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { type Staged, stageOf } from "./importStage.ts";

/** What an import has read, and whose accounts it is compared with. */
type Compared = Readonly<{ import_id: string; app_id: string }>;

/**
 * Asks a question about `missing`: the source's active accounts that an import has no row of, readable or not, as SQL.
 *
 * It compares two whole lists, so no plan may go through one of them once for each row of the other: the planner thinks
 * half of all people missing, and to find one of them would start so. Where nobody was, that had not ended for 100,000
 * people after 2.5 minutes; their whole unchanged import takes 2 seconds.
 */
export function askMissing<Answer>(
  db: Database,
  compared: Compared,
  question: (db: Database, missing: RawBuilder<unknown>) => Promise<Answer>,
): Promise<Answer> {
  return db.transaction().execute(async (trx) => {
    await sql`set local enable_nestloop = off`.execute(trx);
    return question(trx, missingFrom(compared));
  });
}

const missingFrom = ({ import_id, app_id }: Compared) => sql`
  (select * from accounts a where a.app_id = ${app_id} and a.external_id is not null
    and coalesce((a.have->>'enabled')::boolean, false)
    and not exists (select from ${stageOf(import_id)} s where s.external_id = a.external_id)
    and not exists (select from import_rows r
      where r.import_id = ${import_id} and r.outcome = 'refused' and r.external_id = a.external_id))`;

/**
 * Does absence from what was read prove anything? Not if something may be missing that nobody named: a list that says so
 * itself, a row without an id that could be read, or one whose id we do not know, because it may be part of the damage.
 */
export async function provesAbsence({ world, id, app_id }: ImportRun, staged: Staged): Promise<boolean> {
  if (!staged.complete || staged.refused === 0) return staged.complete;
  const { rows } = await sql`
    select from import_rows r where r.import_id = ${id} and r.outcome = 'refused' and not exists (
      select from accounts a where a.app_id = ${app_id} and a.external_id = r.external_id) limit 1`.execute(world.db);
  return rows.length === 0;
}

/** The task about people whom a source told of and has no record of any more (notices.ts). */
export const goneTask = (app_id: string) => `gone:${app_id}`;

/** Those who are missing and were kept all the same, and why. */
export type Kept = Readonly<{ count: number; why: string }>;

/** Whom an import keeps only because it may lack rows; undefined: nobody. */
export async function findKept(
  { world, id, app_id, label, request }: ImportRun,
  staged: Staged,
): Promise<Kept | undefined> {
  if (request.mode !== "full" || staged.complete) return undefined;
  type Answer = { count: number; bad: number; first: string | null };
  const { rows } = await askMissing(world.db, { import_id: id, app_id }, (db, missing) =>
    sql<Answer>`
    with bad as (
      select line, concat_ws(': ', detail->>'place', detail->>'reason') as words from import_rows
      where import_id = ${id} and outcome = 'refused')
    select (select count(*)::int from ${missing} a) as count,
      (select count(*)::int from bad) as bad, (select words from bad order by line limit 1) as first`.execute(db),
  );
  const { count = 0, bad = 0, first } = rows[0] ?? {};
  if (count === 0) return undefined;
  const who = count === 1 ? "1 person is" : `${count} people are`;
  const were = request.dry_run ? "would be" : count === 1 ? "was" : "were";
  const why =
    bad === 0 ? "the list may not be complete" : `${bad === 1 ? "1 row" : `${bad} rows`} could not be read: ${first}`;
  return { count, why: `${who} missing from ${label} and ${were} kept, because ${why}` };
}

/** Makes a task of those who were kept, or closes it when an import has seen everyone. */
export async function tellKept(run: ImportRun, kept: Kept | undefined, complete: boolean): Promise<void> {
  const { command, app_id, id, request } = run;
  if (request.dry_run || request.mode !== "full") return;
  const dedupe = `import_rows:${app_id}`;
  if (kept === undefined) {
    const note = "a later import could say who has left";
    await closeTasksFor(command, { dedupe: [dedupe, ...(complete ? [goneTask(app_id)] : [])], note });
    return;
  }
  const detail = { import: id, kept: kept.count, message: kept.why };
  await raiseTasks(command, [{ kind: "import_row", title: `${kept.why}. Mend the source`, dedupe, app_id, detail }]);
}
