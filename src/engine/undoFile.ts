/**
 * Taking back an import of a file by hand, chunk by chunk, whatever the file was of.
 *
 * Law: a chunk is one transaction with what is kept of it: who was cut off asks again and it goes on.
 *
 * Called by engine/undoPeople.ts and engine/undoMembers.ts.
 */
import type { Refusal } from "../core/types.ts";
import { type Command, type Running, run } from "../directory/command.ts";
import {
  beginUndo,
  endUndo,
  type FileKind,
  holdPeopleImport,
  keepUndone,
  openRows,
  type PeopleImport,
  type PeopleImportRow,
} from "../directory/peopleImports.ts";
import { isRefusal } from "../store/database.ts";

/** What became of a row. `did`: what was done about the person; `group`: of a membership. */
export type UndoneRow = Readonly<{
  line: number;
  group?: string;
  login: string;
  undone: "undone" | "partly" | "left";
  did: "deactivated" | "set back" | "left" | "came back" | null;
  reason: string | null;
}>;

export type UndoSummary = Readonly<{ id: string; counts: Readonly<Record<UndoneRow["undone"], number>> }>;

/** What is said of a row that is taken back. */
export type Said = Pick<UndoneRow, "undone" | "did" | "reason">;

/** A row that stays as it is. */
export const left = (reason: string): Said => ({ undone: "left", did: null, reason });

/** Takes rows of an import back, in one transaction; gives what became of them by line. */
export type TakeBack = (
  running: Running,
  rows: readonly PeopleImportRow[],
  held: PeopleImport,
) => Promise<ReadonlyMap<number, Said>>;

const chunk_rows = 500;

/** Begins; gives the rest of the work, told chunk by chunk, or why it cannot be. */
export async function undoFile(
  command: Command,
  id: string,
  kind: FileKind,
  takeBack: TakeBack,
): Promise<AsyncGenerator<readonly UndoneRow[], UndoSummary> | Refusal> {
  const begun = await beginUndo(command, id, kind);
  return isRefusal(begun) ? begun : chunks(command, id, takeBack);
}

async function* chunks(
  command: Command,
  id: string,
  takeBack: TakeBack,
): AsyncGenerator<readonly UndoneRow[], UndoSummary> {
  const counts = { undone: 0, partly: 0, left: 0 };
  for (;;) {
    const rows = await run<readonly UndoneRow[]>(command, async (running) => {
      const held = await holdPeopleImport(running, id);
      // Somebody else who took it back at the same time may have ended it.
      if (held?.status !== "UNDOING") return [];
      const open = await openRows(running.db, id, chunk_rows);
      if (open.length === 0) {
        await endUndo(running, id);
        return [];
      }
      const said = await takeBack(running, open, held);
      const done = open.map(({ line, login, group_name }): UndoneRow => {
        const group = group_name === null ? {} : { group: group_name };
        return { line, ...group, login, ...(said.get(line) ?? left("not done")) };
      });
      await keepUndone(running, id, done);
      return done;
    });
    if (isRefusal(rows)) throw new Error(rows.refused);
    if (rows.length === 0) return { id, counts };
    for (const { undone } of rows) counts[undone] += 1;
    yield rows;
  }
}
