/**
 * What is kept of the files of people, and of members of groups, that administrators brought: who, when, how many, and of
 * each changed row what it was before, so that an import can be taken back.
 *
 * Law: rows are kept in the transaction that changes the people, which also holds the import's row: whoever takes an
 * import back stops it first, and nothing it did is missing. A sensitive value is kept, to be set back, and never shown.
 *
 * Called by engine/importFile.ts, engine/undoFile.ts and the routes of server/admin/people.ts and members.ts.
 */
import type { RawBuilder, Selectable } from "kysely";
import type { Change } from "../core/diff.ts";
import type { Refusal, Schema } from "../core/types.ts";
import { type Database, json, sql } from "../store/database.ts";
import type { Tables } from "../store/tables.ts";
import { type Command, log, logAll, type Running, run } from "./command.ts";

export type PeopleImport = Selectable<Tables["people_imports"]>;
export type PeopleImportRow = Selectable<Tables["people_import_rows"]>;

/** What a file is of. */
export type FileKind = PeopleImport["kind"];

/** What an import is begun with. `exact`: of a file that says all members by hand of the groups that it names. */
export type FileBeginning = Readonly<{
  kind: FileKind;
  columns: readonly string[];
  activate?: boolean;
  exact?: boolean;
  /** Which node runs it. */
  node: string;
}>;

/** A row that changed something, as it is kept. */
export type KeptRow = Pick<PeopleImportRow, "line" | "user_id" | "login" | "outcome" | "changes"> &
  Partial<Pick<PeopleImportRow, "group_id" | "group_name">>;

/** How many rows ended how. */
export type PeopleCounts = Readonly<Record<string, number>>;

/** Begins an import that this node runs. Gives its id, and the event that leads to what it does. */
export async function beginPeopleImport(
  command: Command,
  { kind, columns, activate = false, exact = false, node }: FileBeginning,
): Promise<Readonly<{ id: string; cause: number }>> {
  const begun = await run(command, async (running) => {
    const { id } = await running.db
      .insertInto("people_imports")
      .values({
        ...{
          status: "RUNNING",
          kind,
          activate,
          exact,
          columns: json(columns),
          counts: json({}),
          started_at: running.now(),
        },
        ...{ started_by: json(running.actor), node },
      })
      .returning("id")
      .executeTakeFirstOrThrow();
    return { id, cause: await log(running, event("start", id, kind)) };
  });
  if ("refused" in begun) throw new Error(begun.refused);
  return begun;
}

const words = {
  people: { type: "user_csv", name: "people from a file" },
  members: { type: "membership_csv", name: "members of groups from a file" },
} as const;

const event = (what: string, id: string, kind: FileKind) => ({
  type: `system.import.${words[kind].type}.${what}`,
  targets: [{ id, type: "Import" as const, name: words[kind].name }],
});

/** Holds an import for this transaction. Gives it, or undefined when there is none. */
export async function holdPeopleImport(running: Running, id: string): Promise<PeopleImport | undefined> {
  return running.db.selectFrom("people_imports").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
}

/** Keeps what became of a chunk of rows, and how far the import is. */
export async function keepPeopleRows(
  running: Running,
  id: string,
  rows: readonly KeptRow[],
  counts: PeopleCounts,
): Promise<void> {
  await sql`
    insert into people_import_rows (import_id, line, user_id, login, outcome, changes, group_id, group_name)
    select ${id}, n.line, n.user_id, n.login, n.outcome, n.changes, n.group_id, n.group_name
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as n(line int, user_id text, login text, outcome text, changes jsonb, group_id text, group_name text)`.execute(
    running.db,
  );
  await running.db
    .updateTable("people_imports")
    .set({ counts: json(counts) })
    .where("id", "=", id)
    .execute();
}

/** Ends an import that still runs: as done, or stopped in the middle, saying why. */
export async function endPeopleImport(
  command: Command,
  id: string,
  { counts, reason }: Readonly<{ counts: PeopleCounts; reason: string | null }>,
): Promise<void> {
  await run<true>(command, async (running) => {
    const ended = await running.db
      .updateTable("people_imports")
      .set({ status: reason === null ? "DONE" : "STOPPED", reason, finished_at: running.now() })
      .where("id", "=", id)
      .where("status", "=", "RUNNING")
      .returning("kind")
      .executeTakeFirst();
    if (ended !== undefined)
      await log(running, { ...event("complete", id, ended.kind), reason, detail: { ...counts } });
    return true;
  });
}

const cut_off = "it was cut off, its server ended in the middle: run the file again, what was done is not done twice";

/**
 * Ends imports whose node is gone, each with its event. A node that says nothing of itself (it has no engine) is given
 * until `long_ago`.
 */
export function endForgottenPeople(
  command: Command,
  { silent_since, long_ago }: Readonly<{ silent_since: Date; long_ago: Date }>,
): Promise<void> {
  return endCutOff(
    command,
    sql`coalesce((select n.seen_at from nodes n where n.id = i.node) <= ${silent_since}::timestamptz,
      i.started_at <= ${long_ago}::timestamptz)`,
  );
}

/** Ends the imports of nodes that are known to have ended. */
export function endPeopleOfNodes(command: Command, nodes: readonly string[]): Promise<void> {
  return endCutOff(command, sql`i.node = any(${[...nodes]}::text[])`);
}

/** The nodes that imports are noted to run on. */
export async function nodesOfPeopleImports(db: Database): Promise<readonly string[]> {
  const { rows } = await sql<{ node: string }>`
    select distinct node from people_imports where status = 'RUNNING' and node is not null`.execute(db);
  return rows.map(({ node }) => node);
}

async function endCutOff(command: Command, which: RawBuilder<unknown>): Promise<void> {
  await run<true>(command, async (running) => {
    const { rows } = await sql<{ id: string; kind: FileKind; counts: PeopleCounts }>`
      update people_imports i set status = 'STOPPED', reason = ${cut_off}, finished_at = ${running.now()}::timestamptz
      where i.status = 'RUNNING' and ${which} returning i.id, i.kind, i.counts`.execute(running.db);
    if (rows.length === 0) return true;
    await logAll(
      running,
      rows.map(({ id, kind, counts }) => ({ ...event("complete", id, kind), reason: cut_off, detail: { ...counts } })),
    );
    return true;
  });
}

/**
 * Begins to take an import back, which stops it if it runs. What was left as it was, because it had changed since, is tried
 * again: a later import may have been taken back meanwhile. Refuses one that was taken back as a whole.
 */
export function beginUndo(command: Command, id: string, kind: FileKind): Promise<PeopleImport | Refusal> {
  return run<PeopleImport>(command, async (running) => {
    const found = await holdPeopleImport(running, id);
    if (found?.kind !== kind) return { refused: `there is no import ${id} of ${kind}`, code: "not_found", place: id };
    if (found.status === "UNDONE" && (await reopenLeft(running, id)) === 0) {
      const { undone_by, undone_at } = found;
      const refused = `import ${id} was taken back by ${undone_by?.name} at ${undone_at?.toISOString()}`;
      return { refused, code: "stale", place: "import" };
    }
    if (found.status !== "UNDOING") {
      const was = found.status === "RUNNING" ? { finished_at: running.now() } : {};
      await running.db
        .updateTable("people_imports")
        .set({ status: "UNDOING", undone_by: json(running.actor), ...was })
        .where("id", "=", id)
        .execute();
      await log(running, event("undo", id, kind));
    }
    return found;
  });
}

/** Opens the rows that were not taken back as a whole. Gives how many. */
async function reopenLeft(running: Running, id: string): Promise<number> {
  const { numAffectedRows } = await sql`
    update people_import_rows set undone = null, undone_reason = null
    where import_id = ${id} and undone in ('left', 'partly')`.execute(running.db);
  return Number(numAffectedRows ?? 0);
}

/** Rows of an import that are still to be taken back, in order of their lines. */
export async function openRows(db: Database, id: string, limit: number): Promise<readonly PeopleImportRow[]> {
  return db
    .selectFrom("people_import_rows")
    .selectAll()
    .where("import_id", "=", id)
    .where("undone", "is", null)
    .orderBy("line")
    .limit(limit)
    .execute();
}

/** Keeps what became of rows that were taken back. */
export async function keepUndone(
  running: Running,
  id: string,
  rows: readonly Readonly<{ line: number; undone: "undone" | "partly" | "left"; reason: string | null }>[],
): Promise<void> {
  await sql`
    update people_import_rows r set undone = n.undone, undone_reason = n.reason
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as n(line int, undone text, reason text)
    where r.import_id = ${id} and r.line = n.line`.execute(running.db);
}

/** An import has been taken back. */
export async function endUndo(running: Running, id: string): Promise<void> {
  await running.db
    .updateTable("people_imports")
    .set({ status: "UNDONE", undone_at: running.now(), undone_by: json(running.actor) })
    .where("id", "=", id)
    .execute();
}

/** Imports of a kind, the newest first, from the one behind `after`. */
export async function listPeopleImports(
  db: Database,
  kind: FileKind,
  { limit, after }: Readonly<{ limit: number; after?: string }>,
): Promise<readonly PeopleImport[]> {
  const { rows } = await sql<PeopleImport>`
    select i.* from people_imports i
    where i.kind = ${kind} and ${after === undefined ? sql`true` : sql`(i.started_at, i.id) < (select b.started_at, b.id from people_imports b where b.id = ${after})`}
    order by i.started_at desc, i.id desc limit ${limit}`.execute(db);
  return rows;
}

/** One import of a kind. */
export async function peopleImport(db: Database, id: string, kind: FileKind): Promise<PeopleImport | undefined> {
  return db.selectFrom("people_imports").selectAll().where("id", "=", id).where("kind", "=", kind).executeTakeFirst();
}

/** Changed rows of an import in order of their lines, behind the line `after`; sensitive values are hidden. */
export async function listPeopleRows(
  db: Database,
  schema: Pick<Schema, "attributes">,
  id: string,
  { limit, after = 0 }: Readonly<{ limit: number; after?: number }>,
): Promise<readonly PeopleImportRow[]> {
  const rows = await db
    .selectFrom("people_import_rows")
    .selectAll()
    .where("import_id", "=", id)
    .where("line", ">", after)
    .orderBy("line")
    .limit(limit)
    .execute();
  return rows.map((row) => ({ ...row, changes: shownChanges(row.changes, schema) }));
}

/** Changes as they may be shown: without the values of sensitive attributes. */
export function shownChanges(
  changes: readonly Change[],
  { attributes }: Pick<Schema, "attributes">,
): readonly Change[] {
  const hidden = new Set(attributes.filter(({ sensitive }) => sensitive).map(({ name }) => name));
  if (hidden.size === 0) return changes;
  const mask = (value: Change["before"]) => (value === null ? null : "(hidden)");
  return changes.map(({ attribute, before, after }) =>
    hidden.has(attribute) ? { attribute, before: mask(before), after: mask(after) } : { attribute, before, after },
  );
}
