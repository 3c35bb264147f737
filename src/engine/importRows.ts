/**
 * What became of each row of an import that changed something or could not: `import_rows`, for people to read. A row is
 * written once, when its outcome is known, in the transaction that made it so.
 *
 * Law: rows that changed nothing are only counted. A row that was applied keeps no copy of its profile: the account of
 * the source has it; one that was refused, waits, or was only tried keeps it.
 */
import { column } from "../store/columns.ts";
import { type Database, sql } from "../store/database.ts";

/**
 * `line`: the row's number in the import; negative for people whom the source no longer has. `profile`: JSON text.
 * `detail`: by default only `place`, where the row stands in the source.
 */
export type Outcome = Readonly<{
  line: number;
  outcome: string;
  external_id?: string;
  enabled?: boolean;
  profile?: string;
  user_id?: string | null;
  place?: string;
  detail?: Readonly<Record<string, unknown>>;
}>;

/** Writes outcomes in one statement. */
export async function writeOutcomes(db: Database, import_id: string, rows: readonly Outcome[]): Promise<void> {
  if (rows.length === 0) return;
  await sql`
    insert into import_rows (import_id, line, external_id, profile, enabled, outcome, user_id, detail)
    select ${import_id}, r.line, r.external_id, r.profile::jsonb, coalesce(r.enabled, false), r.outcome, r.user_id,
      coalesce(r.detail::jsonb, jsonb_build_object('place', r.place))
    from rows from (unnest(${column(rows, (row) => row.line)}::int[]),
      unnest(${column(rows, (row) => row.external_id)}::text[]), unnest(${column(rows, (row) => row.profile)}::text[]),
      unnest(${column(rows, (row) => row.enabled)}::boolean[]), unnest(${column(rows, (row) => row.outcome)}::text[]),
      unnest(${column(rows, (row) => row.user_id)}::text[]), unnest(${column(rows, (row) => row.place)}::text[]),
      unnest(${column(rows, (row) => row.detail && JSON.stringify(row.detail))}::text[]))
      as r(line, external_id, profile, enabled, outcome, user_id, place, detail)`.execute(db);
}

/** How many rows have which outcome. */
export async function countOutcomes(db: Database, import_id: string): Promise<Record<string, number>> {
  const { rows } = await sql<{ outcome: string; n: number }>`
    select outcome, count(*)::int as n from import_rows where import_id = ${import_id} group by 1`.execute(db);
  return Object.fromEntries(rows.map((row) => [row.outcome, row.n]));
}
