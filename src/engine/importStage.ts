/**
 * Staging: a source's rows go into `import_rows` page by page, and one statement each tells which of them are as they
 * were. Memory holds one page, whatever the size of the source.
 */
import type { Context, Page, RemoteAccount } from "../connectors/connector.ts";
import type { Profile } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { EngineApp } from "./world.ts";

/** How much was read, and whether absence from it proves anything. */
export type Staged = Readonly<{ rows: number; refused: number; complete: boolean }>;

/** A staged row that needs a decision. */
export type StagedRow = Readonly<{
  line: number;
  external_id: string;
  profile: Profile;
  enabled: boolean;
  user_id: string | null;
  /** Where it stands in the source, for messages. */
  place: string;
}>;

const page_size = 1_000;

/** Reads the whole source into the stage. @throws ConnectorFault as the source failed; then nothing is decided. */
export async function stageSource(
  db: Database,
  import_id: string,
  app: EngineApp,
  ctx: Context,
  onPage: (rows: number) => Promise<void>,
): Promise<Staged> {
  let rows = 0;
  let refused = 0;
  let complete = true;
  let cursor: string | undefined;
  do {
    const page = await app.connector.list(ctx, { limit: page_size, ...(cursor === undefined ? {} : { cursor }) });
    await stagePage(db, import_id, rows + refused, page);
    rows += page.items.length;
    refused += page.refused?.length ?? 0;
    complete = page.complete ?? page.next === undefined;
    cursor = page.next;
    await onPage(rows);
  } while (cursor !== undefined);
  return { rows, refused, complete };
}

async function stagePage(db: Database, import_id: string, from: number, page: Page<RemoteAccount>): Promise<void> {
  const good = page.items.map((item, n) => ({
    line: from + n + 1,
    external_id: item.id,
    profile: item.profile,
    enabled: item.enabled,
    outcome: null,
    detail: { place: item.place === undefined ? item.id : `${item.place}, ${item.id}` },
  }));
  const bad = (page.refused ?? []).map((row, n) => ({
    line: from + good.length + n + 1,
    external_id: null,
    profile: null,
    enabled: false,
    outcome: "refused",
    detail: { place: row.place, reason: row.reason },
  }));
  if (good.length + bad.length === 0) return;
  await sql`
    insert into import_rows (import_id, line, external_id, profile, enabled, outcome, detail)
    select ${import_id}, line, external_id, profile, enabled, outcome, detail
    from jsonb_to_recordset(${JSON.stringify([...good, ...bad])}::jsonb) as
      r(line int, external_id text, profile jsonb, enabled boolean, outcome text, detail jsonb)`.execute(db);
}

/** Rows of people we know, unchanged and changed; the rest have no outcome yet. */
export async function compareStage(db: Database, import_id: string, app_id: string): Promise<void> {
  await sql`
    update import_rows r set user_id = a.user_id,
      outcome = case when a.have = jsonb_build_object('enabled', r.enabled, 'profile', r.profile)
                     then 'unchanged' else 'update' end
    from accounts a
    where r.import_id = ${import_id} and r.outcome is null and a.app_id = ${app_id} and a.external_id = r.external_id`.execute(
    db,
  );
}

/**
 * People of this source whom a complete list no longer has become rows of their own, numbered downwards from -1. Their
 * account is there no more, so they are inactive in the source.
 */
export async function stageVanished(db: Database, import_id: string, app_id: string): Promise<void> {
  await sql`
    insert into import_rows (import_id, line, external_id, profile, enabled, outcome, user_id)
    select ${import_id}, -row_number() over (order by a.id), a.external_id, a.have->'profile', false, 'vanish', a.user_id
    from accounts a
    where a.app_id = ${app_id} and a.external_id is not null and coalesce((a.have->>'enabled')::boolean, false)
      and not exists (select 1 from import_rows r where r.import_id = ${import_id} and r.external_id = a.external_id)`.execute(
    db,
  );
}

/** The next rows with one of these outcomes (null: undecided), in order of their line. */
export async function nextRows(
  db: Database,
  import_id: string,
  outcomes: readonly (string | null)[],
  after: number | null,
  limit: number,
): Promise<readonly StagedRow[]> {
  const names = outcomes.filter((outcome) => outcome !== null);
  const { rows } = await sql<StagedRow>`
    select line, external_id, profile, enabled, user_id, coalesce(detail->>'place', external_id) as place from import_rows
    where import_id = ${import_id} and (outcome = any(${names}::text[]) or (${outcomes.includes(null)} and outcome is null))
      and (${after}::int is null or line > ${after}::int)
    order by line limit ${limit}`.execute(db);
  return rows;
}

/** What was decided of a row, or became of it. */
export type Verdict = Readonly<{ line: number; outcome: string; user_id?: string | null; detail?: unknown }>;

/** Writes verdicts. */
export async function writeVerdicts(db: Database, import_id: string, verdicts: readonly Verdict[]): Promise<void> {
  if (verdicts.length === 0) return;
  await sql`
    update import_rows r set outcome = v.outcome, user_id = coalesce(v.user_id, r.user_id), detail = coalesce(v.detail, r.detail)
    from jsonb_to_recordset(${JSON.stringify(verdicts)}::jsonb) as v(line int, outcome text, user_id text, detail jsonb)
    where r.import_id = ${import_id} and r.line = v.line`.execute(db);
}

/** How many rows have which outcome. */
export async function countOutcomes(db: Database, import_id: string): Promise<Record<string, number>> {
  const { rows } = await sql<{ outcome: string; n: number }>`
    select coalesce(outcome, 'undecided') as outcome, count(*)::int as n from import_rows
    where import_id = ${import_id} group by 1`.execute(db);
  return Object.fromEntries(rows.map((row) => [row.outcome, row.n]));
}
