/**
 * A file of members of groups that an administrator brings: columns `group` and `login`, and if they like `until` and
 * `reason`; one membership a row.
 *
 * Laws: those of handFile.ts. What a row names is looked up when it is done (importMembers.ts), not here.
 *
 * Called by engine/importMembers.ts and server/admin/members.ts.
 */
import type { CsvCells } from "../connectors/csv/read.ts";
import { dayEnds } from "../core/days.ts";
import { nearest } from "../core/expression/suggest.ts";
import { parseInstant } from "../core/instant.ts";
import type { Refusal } from "../core/types.ts";
import { isRefusal } from "../store/database.ts";
import {
  cellsOf,
  checkFile,
  type Delimiter,
  type HandFile,
  type RowProblem,
  readFileChunks,
  reasons_column,
  refuseFile,
} from "./handFile.ts";

/** A row: what it says (`until` and `reason` as written, "" for nothing), or what is wrong with it. */
export type MemberRow = Readonly<{ line: number; group: string; login: string; cells: readonly string[] }> &
  (Readonly<{ until: string; reason: string }> | RowProblem);

const required = ["group", "login"];
const known = [...required, "until", "reason"];
const reason_letters_max = 500;

/** Reads a file to its end. Gives what it is, or why it cannot be imported at all. */
export async function checkMembersFile(path: string, delimiter: Delimiter): Promise<HandFile | Refusal> {
  const checked = await checkFile(path, { delimiter, required }, (header) => {
    const unknown = header.find((name) => !known.includes(name) && name !== reasons_column);
    if (unknown === undefined) return header;
    const near = nearest(unknown, known);
    const hint = near === null ? `the columns are ${known.join(", ")}` : `did you mean ${near}?`;
    return refuseFile(`Line 1: there is no column "${unknown.slice(0, 100)}" in a file of members; ${hint}`, "columns");
  });
  if (isRefusal(checked)) return checked;
  const columns = checked.header.filter((name) => name !== reasons_column);
  return { path, delimiter, columns, rows: checked.rows };
}

/** The rows of a file that was checked, in chunks of some hundred. */
export function readMembers(file: HandFile): AsyncGenerator<readonly MemberRow[]> {
  return readFileChunks(file, (header) => {
    const reasons_at = header.indexOf(reasons_column);
    return (row) => memberOf(file, header.length, reasons_at, row);
  });
}

function memberOf({ columns }: HandFile, width: number, reasons_at: number, row: CsvCells): MemberRow {
  const { cells, wrong } = cellsOf(row, width, reasons_at);
  const cell = (name: string) => cells[columns.indexOf(name)] ?? "";
  const told = { line: row.line, group: cell("group"), login: cell("login"), cells };
  if (wrong !== undefined) return { ...told, ...wrong };
  const empty = required.find((name) => cell(name) === "");
  if (empty !== undefined) return { ...told, problem: `${empty}: is empty; each row needs one`, column: empty };
  const nul = columns.find((name) => cell(name).includes("\0"));
  if (nul !== undefined) return { ...told, problem: `${nul}: has a NUL, which no text may have`, column: nul };
  const reason = cell("reason");
  if (reason.length > reason_letters_max) {
    return { ...told, problem: `reason: has more than ${reason_letters_max} letters`, column: "reason" };
  }
  return { ...told, until: cell("until"), reason };
}

const day = /^\d{4}-\d{2}-\d{2}$/;
const zoned = /(?:[Zz]|[+-]\d{2}:?\d{2})$/;

/** When a membership ends: a day, which ends in `zone`, or a moment with its own zone. A text says why it is neither. */
export function untilOf(text: string, zone: string, now: Date): Date | string | null {
  if (text === "") return null;
  const ms = day.test(text) ? dayEnds(text, zone)?.getTime() : zoned.test(text) ? parseInstant(text) : undefined;
  if (ms === undefined) {
    return `until: "${text.slice(0, 100)}" is no day (2026-05-01) and no moment with a zone (2026-05-01T17:00:00Z)`;
  }
  if (ms <= now.getTime()) return `until: ${text} is over already`;
  return new Date(ms);
}
