/**
 * Importing a file that an administrator brought by hand, chunk by chunk, whatever it is of: what is said of each row is
 * told as it is done.
 *
 * Laws: a chunk is one transaction with what is kept of it: who was cut off runs the file again, and the rows that are
 * done are unchanged. A dry run does the same and takes it back.
 *
 * Called by engine/importPeople.ts and engine/importMembers.ts; undoFile.ts takes an import back.
 */
import type { Refusal } from "../core/types.ts";
import { type Command, priority, type Running, run } from "../directory/command.ts";
import {
  beginPeopleImport,
  endPeopleImport,
  type FileBeginning,
  holdPeopleImport,
  type KeptRow,
  keepPeopleRows,
} from "../directory/peopleImports.ts";
import { type Database, isRefusal } from "../store/database.ts";

/** Which of these (people or groups, by id) may not be changed by whoever asks, with the reason. */
export type OutOfReach = (db: Database, ids: readonly string[]) => Promise<ReadonlyMap<string, string>>;

/** How many rows ended how. */
export type Counts = Readonly<Record<string, number>>;

/**
 * `id`: of what is kept; null for a dry run. `notes`: what else is to be known. `held`: nothing was done, because it
 * concerns so many that it must be said again.
 */
export type FileSummary = Readonly<{
  id: string | null;
  counts: Counts;
  reason: string | null;
  notes?: readonly string[];
  held?: true;
}>;

/** What is told on the way: the rows of a chunk, and how far it is. */
export type FilePage<Told> = Readonly<{ id: string | null; rows: readonly Told[]; done: number; total: number }>;

/** An import as it is told. */
export type FilePages<Told> = AsyncGenerator<FilePage<Told>, FileSummary>;

/** What is done with the rows of a file. */
export type FileWork<Row, Told extends { readonly outcome: string }> = Readonly<{
  beginning: FileBeginning;
  dry_run: boolean;
  /** Rows of the file; chunks may have more, which come behind it. */
  total: number;
  /** Every outcome that there is, at 0. */
  counts: Counts;
  chunks(): AsyncIterable<readonly Row[]>;
  /** Does a chunk, in its transaction; it may be tried again. */
  apply(running: Running, chunk: readonly Row[]): Promise<readonly Told[] | Refusal>;
  /** The chunk has been done for good, or tried for good. */
  settled?(rows: readonly Told[]): void;
  kept(row: Told): readonly KeptRow[];
  shown(row: Told, id: string | null): Told;
  notes?(): readonly string[];
}>;

/** More rows than these stand back behind leavers and people's own changes. */
const wave_rows = 1_000;

/** How soon the engine looks at whom a file of so many rows concerns. */
export const urgencyOf = (rows: number): number => (rows > wave_rows ? priority.wave : priority.change);

/** Imports a file. Whoever ends the generator ends the import behind the chunk that was told last. */
export async function* importFile<Row, Told extends { readonly outcome: string }>(
  command: Command,
  work: FileWork<Row, Told>,
): FilePages<Told> {
  const { total } = work;
  const begun = work.dry_run ? undefined : await beginPeopleImport(command, work.beginning);
  const id = begun?.id ?? null;
  const caused = begun === undefined ? command : { ...command, cause: begun.cause };
  const counts = { ...work.counts };
  let reason: string | null = "it was cut off: run the file again to go on";
  const summary = (): FileSummary => ({ id, counts, reason, ...(work.notes ? { notes: work.notes() } : {}) });
  try {
    yield { id, rows: [], done: 0, total };
    let done = 0;
    for await (const chunk of work.chunks()) {
      const rows = await importChunk(caused, work, { id, chunk, counts });
      if (isRefusal(rows)) {
        reason = rows.refused;
        return summary();
      }
      work.settled?.(rows);
      count(counts, rows);
      done = Math.min(done + chunk.length, total);
      yield { id, rows: rows.map((row) => work.shown(row, id)), done, total };
    }
    reason = null;
    return summary();
  } finally {
    if (id !== null) await endPeopleImport(caused, id, { counts, reason });
  }
}

function count(counts: Record<string, number>, rows: readonly Readonly<{ outcome: string }>[]): void {
  for (const { outcome } of rows) counts[outcome] = (counts[outcome] ?? 0) + 1;
}

type Chunk<Row> = Readonly<{ id: string | null; chunk: readonly Row[]; counts: Counts }>;

/** One transaction; of a dry run nothing stays. */
async function importChunk<Row, Told extends { readonly outcome: string }>(
  command: Command,
  work: FileWork<Row, Told>,
  { id, chunk, counts }: Chunk<Row>,
): Promise<readonly Told[] | Refusal> {
  let tried: readonly Told[] | undefined;
  const outcome = await run<readonly Told[]>(command, async (running) => {
    if (id === null) {
      const rows = await work.apply(running, chunk);
      if (isRefusal(rows)) return rows;
      tried = rows;
      return { refused: "only tried", code: "stale" };
    }
    const { status, undone_by } = (await holdPeopleImport(running, id)) ?? {};
    if (status === "STOPPED")
      return { refused: "it was taken for cut off: run the file again to go on", code: "stale" };
    if (status !== "RUNNING") {
      return { refused: `it was stopped and is taken back by ${undone_by?.name ?? "somebody"}`, code: "stale" };
    }
    const rows = await work.apply(running, chunk);
    if (isRefusal(rows)) return rows;
    const after = { ...counts };
    count(after, rows);
    await keepPeopleRows(running, id, rows.flatMap(work.kept), after);
    return rows;
  });
  return tried ?? outcome;
}
