/**
 * The stage: a table of one import into which its source is read, page by page, before anything is decided. Memory holds
 * a page, whatever the size of the source.
 *
 * It is unlogged (a crash of the server empties it, and the import is run again), holds profiles as the text that was
 * read (they are parsed once, by whoever needs them), and is dropped at the end. What an import leaves behind for people
 * to read is in `import_rows` (importRows.ts). Reasons and figures: docs/decisions/0006-import-stage.md.
 */
import type { Context, Page, RemoteAccount } from "../connectors/connector.ts";
import { copyLine, openCopy } from "../store/copy.ts";
import { type Database, sql } from "../store/database.ts";
import { foldRows } from "./importFold.ts";
import { type Needs, requireAttributes } from "./importNeeds.ts";
import { type Outcome, writeOutcomes } from "./importRows.ts";
import type { EngineApp } from "./world.ts";

/** How much was read, and whether absence from it proves anything. `since`: what the source gave for the next import. */
export type Staged = Readonly<{ rows: number; refused: number; complete: boolean; since?: string }>;

/** Small pages are young garbage: 10,000 rows at a time cost a third more time than 2,000. */
const page_size = 2_000;
/** A node that has not been seen for this long does not run its imports any more. */
export const node_silence_ms = 60_000;
/** An hour bounds the reading of any source. */
export const reading_ms = 3_600_000;

const stageName = (import_id: string) => `import_stage_${import_id}`;
/** The name of an import's stage, as SQL. */
export const stageOf = (import_id: string) => sql.table(stageName(import_id));
/** The name of the table of what differs in an import (importChanges.ts), as SQL. */
export const changesOf = (import_id: string) => sql.table(`import_changes_${import_id}`);
/** The name of the table of whom an import's rows may match (importMatch.ts), as SQL. */
export const peopleOf = (import_id: string) => sql.table(`import_people_${import_id}`);

/**
 * What the source says of a staged row `s`, as its account remembers it. Put together as text and parsed once: 6.5
 * microseconds a row instead of 8.
 */
export const haveOf = sql`
  (case when s.enabled then '{"enabled": true, "profile": ' else '{"enabled": false, "profile": ' end || s.profile || '}')::jsonb`;

/** Makes an import's tables, and drops those of imports that nobody runs any more. */
export async function openStage(db: Database, import_id: string, now: Date): Promise<void> {
  await dropForgotten(db, now);
  // Never vacuumed: they are written once and dropped.
  await sql`
    create unlogged table ${stageOf(import_id)} (line int primary key, external_id text not null, profile text not null,
      enabled boolean not null, place text) with (autovacuum_enabled = false)`.execute(db);
  await sql`
    create unlogged table ${changesOf(import_id)} (line int primary key, user_id text, enabled boolean not null)
      with (autovacuum_enabled = false)`.execute(db);
}

/** Drops an import's tables. `kept`: all but what it has read, which waits for a person (importHeld.ts). */
export async function closeStage(db: Database, import_id: string, kept = false): Promise<void> {
  const tables = sql.join([...(kept ? [] : [stageOf(import_id)]), changesOf(import_id), peopleOf(import_id)]);
  await sql`drop table if exists ${tables}`.execute(db);
}

/**
 * A node that died leaves its tables, as do holds that are over. A node that says nothing of itself is given as long as a
 * source may be read, and whoever has just released a hold, as long as a node may be silent.
 */
async function dropForgotten(db: Database, now: Date): Promise<void> {
  const at = now.getTime();
  const silent_since = new Date(at - node_silence_ms);
  const { rows } = await sql<{ import_id: string }>`
    select distinct t.import_id from pg_class c,
      lateral (select regexp_replace(c.relname, '^import_(stage|changes|people)_', '') as import_id) t
    where c.relkind = 'r' and c.relname ~ '^import_(stage|changes|people)_imp[0-9a-z]+$' and pg_table_is_visible(c.oid)
      and not exists (
        select from imports i left join nodes n on n.id = i.detail->>'node'
        where i.id = t.import_id and (i.status = 'HELD'
          or (i.detail->>'ended' = 'released' and (i.detail->>'ended_at')::timestamptz > ${silent_since}::timestamptz)
          or (i.status = 'RUNNING' and (n.seen_at > ${silent_since}::timestamptz
            or i.started_at > ${new Date(at - reading_ms)}::timestamptz))))`.execute(db);
  for (const { import_id } of rows) await closeStage(db, import_id);
}

/** What happens while a source is read. */
export type Reading = Readonly<{
  needs: Needs;
  /** Only what changed is asked for: what the source gave before. */
  since?: string | undefined;
  /** Several rows of one id are one person's (importFold.ts); else the second one is refused. */
  several: boolean;
  /** Told how many rows were read. */
  onPage: (rows: number) => void;
  /** These lines, behind the first and up to the second, are in the stage. The reading goes on meanwhile. */
  onBlock: (after: number, to: number) => Promise<void>;
}>;

/**
 * Reads the whole source into the stage. @throws ConnectorFault as the source failed, or if it lacks what `needs` has;
 * then nothing is decided.
 */
export async function fillStage(
  db: Database,
  import_id: string,
  app: EngineApp,
  ctx: Context,
  { needs, since, several, onPage, onBlock }: Reading,
): Promise<Staged> {
  const blocks = openBlocks(db, import_id, onBlock);
  let [rows, refused, complete, distinct] = [0, 0, true, false];
  let cursor: string | undefined;
  let next: string | undefined;
  const first = since === undefined ? {} : { since };
  try {
    do {
      const page = await app.connector.list(ctx, {
        limit: page_size,
        repeats: several,
        ...(cursor === undefined ? first : { cursor }),
      });
      requireAttributes(page, needs);
      const judged = judgePage(page, rows + refused);
      await blocks.write(judged.good);
      await writeOutcomes(db, import_id, judged.bad);
      rows += judged.good.length;
      refused += judged.bad.length;
      complete = page.complete ?? page.next === undefined;
      distinct = page.distinct === true;
      [cursor, next] = [page.next, page.since];
      onPage(rows);
    } while (cursor !== undefined);
    await blocks.end();
  } catch (error) {
    await blocks.abandon();
    throw error;
  }
  const folded = several ? await foldRows(db, import_id) : { gone: 0, refused: 0 };
  const doubles = distinct ? 0 : await dropDoubles(db, import_id);
  return {
    rows: rows - doubles - folded.gone - folded.refused,
    refused: refused + doubles + folded.refused,
    complete: complete && doubles === 0,
    ...(next === undefined ? {} : { since: next }),
  };
}

/** Rows of a block: some tenths of a second of reading. */
const block_rows = 25_000;
/** Blocks that are looked at at a time: one alone takes PostgreSQL longer than Node reads the next. */
const looking_max = 2;

/**
 * The way into the stage, block by block; while one is written, those before it are looked at (`onBlock`). So comparing
 * a million rows adds a second to reading them, instead of seven.
 */
function openBlocks(db: Database, import_id: string, onBlock: Reading["onBlock"]): Rows {
  let block: Rows | undefined;
  let [after, to, held] = [0, 0, 0];
  const looking: Promise<void>[] = [];
  const next = async () => {
    await block?.end();
    block = undefined;
    if (held === 0) return;
    if (looking.length >= looking_max) await looking.shift();
    const look = onBlock(after, to);
    // Whoever waits for it is told; until then nobody is.
    look.catch(() => {});
    looking.push(look);
    [after, held] = [to, 0];
  };
  return {
    write: async (rows) => {
      block ??= await openRows(db, import_id);
      await block.write(rows);
      to = rows.at(-1)?.line ?? to;
      held += rows.length;
      if (held >= block_rows) await next();
    },
    end: async () => {
      await next();
      await Promise.all(looking);
    },
    abandon: async () => {
      await block?.abandon();
      await Promise.allSettled(looking);
    },
  };
}

type StagedRow = Readonly<{
  line: number;
  external_id: string;
  profile: string;
  enabled: boolean;
  place: string | null;
}>;
type Rows = Readonly<{
  write(rows: readonly StagedRow[]): Promise<void>;
  end(): Promise<void>;
  abandon(): Promise<void>;
}>;

const columns = ["line", "external_id", "profile", "enabled", "place"] as const;

/** The way into the stage: COPY where the database has it (2.4 microseconds a row instead of 9), else inserts. */
async function openRows(db: Database, import_id: string): Promise<Rows> {
  const copy = await openCopy(db, stageName(import_id), columns);
  if (copy !== undefined) {
    return {
      ...copy,
      write: (rows) =>
        copy.write(rows.map((row) => copyLine([row.line, row.external_id, row.profile, row.enabled, row.place]))),
    };
  }
  const write = async (rows: readonly StagedRow[]) => {
    await sql`
      insert into ${stageOf(import_id)} (line, external_id, profile, enabled, place)
      select line, external_id, profile, enabled, place from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as
        r(line int, external_id text, profile text, enabled boolean, place text)`.execute(db);
  };
  return { write, end: async () => {}, abandon: async () => {} };
}

/**
 * The rows of a page, numbered on from `from`; those that cannot be stored are refused as the source's own are. Whoever
 * is refused by id is in doubt, but has not left (importAbsence.ts).
 */
function judgePage(page: Page<RemoteAccount>, from: number): Readonly<{ good: StagedRow[]; bad: Outcome[] }> {
  const good: StagedRow[] = [];
  const bad: Outcome[] = [];
  let line = from;
  const refuse = (id: string | undefined, place: string, reason: string) => {
    line += 1;
    const known = id === undefined || !isClean(id) ? {} : { external_id: id };
    bad.push({ line, outcome: "refused", ...known, detail: { place, reason } });
  };
  for (const { id, profile, enabled, place } of page.items) {
    const text = JSON.stringify(profile);
    if (!isStorable(id, text)) {
      refuse(id, placeOf(id, place), "it holds a character that cannot be stored (NUL or half of a surrogate pair)");
      continue;
    }
    line += 1;
    good.push({ line, external_id: id, profile: text, enabled, place: place ?? null });
  }
  for (const { id, place, reason } of page.refused ?? []) refuse(id, place, reason);
  return { good, bad };
}

/** Where a row stands in the source, for messages. */
export const placeOf = (external_id: string, place: string | null | undefined): string =>
  place === null || place === undefined ? external_id : `${place}, ${external_id}`;

/** In JSON such a character can only be an escape: JSON.stringify writes no other of this kind. */
const unstorable = /(?:^|[^\\])(?:\\\\)*\\u(?:0000|d[89a-f])/;

const isClean = (id: string) => !id.includes("\0") && id.isWellFormed();

function isStorable(id: string, profile: string): boolean {
  if (!isClean(id)) return false;
  return !profile.includes("\\u") || !unstorable.test(profile);
}

/** Pages that shift while they are read show a row twice: the first counts. Gives how many others there were. */
async function dropDoubles(db: Database, import_id: string): Promise<number> {
  const stage = stageOf(import_id);
  // There are none but in a few lists: this much is asked on several processors.
  const some = await sql`select 1 from ${stage} group by external_id having count(*) > 1 limit 1`.execute(db);
  if (some.rows.length === 0) return 0;
  const { rows } = await sql<{ line: number; external_id: string; place: string | null }>`
    with firsts as (select external_id, min(line) as line from ${stage} group by external_id having count(*) > 1),
    others as (delete from ${stage} s using firsts f
      where s.external_id = f.external_id and s.line <> f.line returning s.line, s.external_id, s.place),
    unchanged as (delete from ${changesOf(import_id)} c using others o where c.line = o.line)
    select line, external_id, place from others`.execute(db);
  const reason = "the source listed this id before";
  await writeOutcomes(
    db,
    import_id,
    rows.map(({ line, external_id, place }) => ({
      ...{ line, external_id, outcome: "refused" },
      detail: { place: placeOf(external_id, place), reason },
    })),
  );
  return rows.length;
}
