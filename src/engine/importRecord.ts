/**
 * What an import writes of a row that it has applied: the source's account of the person, so that the next import finds
 * the row unchanged, and the outcome, for people to read. In the transaction that applied it.
 *
 * Law: no account says what was refused or skipped; what could not be done today, because of a hold or a mistake, is asked
 * for again tomorrow.
 */
import type { RawBuilder } from "kysely";
import type { Change } from "../core/diff.ts";
import type { Refusal } from "../core/types.ts";
import type { Running } from "../directory/command.ts";
import { column, shared } from "../store/columns.ts";
import { sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import type { LeavingRow } from "./importChanges.ts";
import type { DecidedRow } from "./importDecide.ts";
import { type Outcome, writeOutcomes } from "./importRows.ts";
import { haveOf, placeOf, stageOf } from "./importStage.ts";

/**
 * What became of a row. `user_id`: of whose account the source's row now is; null: of nobody's, because of `refusal` or
 * as the row's verdict says. `changes`: of a person who was there.
 */
export type Applied = Readonly<{
  one: DecidedRow;
  outcome: string;
  user_id: string | null;
  refusal?: Refusal;
  changes?: readonly Change[];
}>;

/** The rows of a run, as SQL. */
const rowsOf = (run: ImportRun) => run.rows ?? stageOf(run.id);

/** Records a chunk of rows of people who are there, and of strangers. */
export async function recordArrivals(run: ImportRun, running: Running, rows: readonly Applied[]): Promise<void> {
  await linkRows(
    run,
    running,
    rows.filter((row) => row.outcome === "created"),
    sql``,
  );
  await linkRows(
    run,
    running,
    rows.filter((row) => row.user_id !== null && row.outcome !== "created"),
    sql`on conflict (app_id, user_id) do update set external_id = excluded.external_id, have = excluded.have,
      have_revision = a.have_revision + 1, synced_at = excluded.synced_at, updated_at = excluded.synced_at`,
  );
  await writeOutcomes(running.db, run.id, rows.filter((row) => row.user_id === null).map(outcomeOf));
}

/**
 * Accounts and outcomes in one statement, taken from the stage. Whoever was just created has no account yet: without `on
 * conflict` that costs 15.6 microseconds a row instead of 18; times that are given spare 8 more that two calls of
 * `tenure_now()` cost.
 */
async function linkRows(
  run: ImportRun,
  running: Running,
  rows: readonly Applied[],
  on_conflict: RawBuilder<unknown>,
): Promise<void> {
  if (rows.length === 0) return;
  const outcomes = shared(rows.map((row) => row.outcome));
  const now = running.now();
  await sql`
    with given as (
      select g.user_id, ${outcomes.list}::jsonb ->> g.outcome_at as outcome, g.reason, s.line, s.external_id, s.enabled, s.profile, s.place
      from rows from (unnest(${column(rows, (row) => row.one.row.line)}::int[]),
        unnest(${column(rows, (row) => row.user_id)}::text[]), unnest(${outcomes.at}::int[]),
        unnest(${column(rows, (row) => reasonOf(row))}::text[])) as g(line, user_id, outcome_at, reason)
      join ${rowsOf(run)} s on s.line = g.line
    ), linked as (
      insert into accounts as a (app_id, user_id, external_id, have, synced_at, created_at, updated_at)
      select ${run.app_id}, user_id, external_id, ${haveOf}, ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz
      from given s order by user_id ${on_conflict}
    )
    insert into import_rows (import_id, line, external_id, enabled, outcome, user_id, detail)
    select ${run.id}, line, external_id, enabled, outcome, user_id,
      case when reason is null then jsonb_object(array['place', coalesce(place || ', ', '') || external_id])
        else jsonb_object(array['place', coalesce(place || ', ', '') || external_id, 'reason', reason]) end
    from given`.execute(running.db);
}

/** Why someone was linked who is only alike. */
const reasonOf = ({ one: { verdict } }: Applied) => (verdict.outcome === "link" ? verdict.reason : undefined);

/** The outcome of a row that was not applied: it keeps its profile and tells why. */
function outcomeOf({ one, outcome, refusal }: Applied): Outcome {
  const { row, profile, verdict } = one;
  const { line, external_id, enabled } = row;
  const kept = { line, external_id, enabled, profile: row.profile, outcome };
  const place = placeOf(external_id, row.place);
  if (refusal !== undefined) {
    const where = refusal.place === undefined || outcome === "skipped" ? "" : ` (${refusal.place})`;
    return { ...kept, user_id: row.user_id, detail: { place, reason: `${refusal.refused}${where}` } };
  }
  const reason = "reason" in verdict ? verdict.reason : undefined;
  if (verdict.outcome !== "waiting") {
    const ignored = verdict.outcome === "skipped" && verdict.ignored ? { ignored: true } : {};
    return { ...kept, user_id: row.user_id, detail: { place, reason, ...ignored } };
  }
  const { candidates, fits, user_id } = verdict;
  return { ...kept, user_id: user_id ?? null, detail: { place, user: profile, reason, candidates, fits } };
}

/** Records a chunk of leavers. `theirs`: people whom another source decides about. `kept`: who may not be made to leave. */
export async function recordLeavers(
  run: ImportRun,
  running: Running,
  rows: readonly LeavingRow[],
  theirs: ReadonlySet<string>,
  kept: ReadonlyMap<string, Refusal>,
): Promise<void> {
  const gone = rows.filter((row) => !kept.has(row.user_id));
  const now = running.now();
  await sql`
    update accounts a set have = coalesce(
        (select ${haveOf} from ${rowsOf(run)} s where s.line = g.line), a.have || '{"enabled": false}'),
      have_revision = a.have_revision + 1, synced_at = ${now}::timestamptz, updated_at = ${now}::timestamptz
    from rows from (unnest(${column(gone, (row) => row.line)}::int[]), unnest(${column(gone, (row) => row.user_id)}::text[]))
      as g(line, user_id)
    where a.app_id = ${run.app_id} and a.user_id = g.user_id`.execute(running.db);
  const outcomes = rows.map((row): Outcome => {
    const { line, external_id, user_id } = row;
    const [place, refusal] = [placeOf(external_id, row.place), kept.get(user_id)];
    const told = { line, external_id, user_id, place };
    if (refusal === undefined) return { ...told, outcome: theirs.has(user_id) ? "outranked" : "left" };
    return { ...told, outcome: "skipped", detail: { place, reason: refusal.refused } };
  });
  await writeOutcomes(running.db, run.id, outcomes);
}
