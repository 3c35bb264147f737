/**
 * Reads a CSV file (RFC 4180) as a stream of rows, in bounded memory whatever the file is. Made for files that people
 * and HR systems send: a broken row is told by line and column and costs only itself, while a file that is not what it
 * says (another encoding, a missing column, a column twice) is refused whole, before anything is believed.
 *
 * Our own splitter, because a general parser loses the rows behind a stray quote and cannot name the line of a wrong
 * byte. Values are data as they stand: nothing is trimmed, and a cell that looks like a formula is that text.
 * Called by csv/connector.ts and by the import of uploaded files.
 */
import { createReadStream } from "node:fs";
import { ConnectorFault } from "../connector.ts";

/** `line` counts from 1 in the file, the header being line 1; a row that spans lines has the line it starts on. */
export type CsvRow =
  | Readonly<{ line: number; record: Readonly<Record<string, string>> }>
  | Readonly<{ line: number; column: string | null; error: string }>;

export type CsvOptions = Readonly<{
  /** Columns without which the file is refused. */
  required?: readonly string[];
  delimiter?: "," | ";" | "\t" | "|";
  /** Longest row, in bytes. */
  row_max_bytes?: number;
}>;

/** A path, or the bytes themselves, such as an upload. */
export type CsvSource = string | AsyncIterable<Uint8Array>;

export const row_max_default_bytes = 1024 * 1024;
const columns_max = 1_000;

const newline = 0x0a;
const carriage_return = 0x0d;
const quote = 0x22;

function refused(message: string, attribute?: string): ConnectorFault {
  return new ConnectorFault("invalid", message, attribute === undefined ? {} : { attribute });
}

/** Where the row that starts at `from` ends: the index of its newline, or -1 if it goes on beyond the buffer. */
function rowEnd(bytes: Uint8Array, from: number, delimiter: number): number {
  let quoted = false;
  let at_start = true;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (quoted) {
      if (byte !== quote) continue;
      if (bytes[at + 1] === quote) at++;
      else quoted = false;
    } else if (byte === newline) return at;
    else if (byte === quote && at_start) {
      quoted = true;
      at_start = false;
    } else at_start = byte === delimiter;
  }
  return -1;
}

function countLines(bytes: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let at = bytes.indexOf(newline, from); at !== -1 && at < to; at = bytes.indexOf(newline, at + 1)) count += 1;
  return count;
}

type RawRow = Readonly<{ line: number; bytes: Uint8Array } | { line: number; error: string }>;

/** Bytes not yet handed out, and where in the file they begin. */
type Held = { bytes: Uint8Array; line: number; skipping: boolean };

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.length === 0 ? b : Buffer.concat([a, b]);
}

/** Gives up on the row at the front: takes its first line away, or all there is if the line goes on. */
function giveUp(held: Held): void {
  const end = held.bytes.indexOf(newline);
  held.skipping = end === -1;
  held.bytes = end === -1 ? new Uint8Array() : held.bytes.subarray(end + 1);
  if (end !== -1) held.line += 1;
}

/** Skips the rest of a line that was given up. */
function skipped(held: Held): boolean {
  if (!held.skipping) return true;
  giveUp(held);
  return !held.skipping;
}

/** All rows that are complete in what is held; at the end of the file, all rows. */
function* completeRows(held: Held, delimiter: number, max: number, at_end: boolean): Generator<RawRow> {
  if (!skipped(held)) return;
  let from = 0;
  while (from < held.bytes.length) {
    const end = rowEnd(held.bytes, from, delimiter);
    const size = (end === -1 ? held.bytes.length : end) - from;
    if (size > max || (end === -1 && at_end && unclosed(held.bytes.subarray(from), delimiter))) {
      const why =
        size > max ? `the row is longer than ${max} bytes, or a quote is not closed` : "a quote is not closed";
      yield { line: held.line, error: why };
      held.bytes = held.bytes.subarray(from);
      from = 0;
      giveUp(held);
      if (held.skipping) return;
      continue;
    }
    if (end === -1 && !at_end) break;
    const stop = end === -1 ? held.bytes.length : end;
    yield { line: held.line, bytes: held.bytes.subarray(from, stop) };
    held.line += 1 + countLines(held.bytes, from, stop);
    from = stop + 1;
  }
  held.bytes = held.bytes.subarray(from);
}

function unclosed(row: Uint8Array, delimiter: number): boolean {
  return rowEnd(joined(row, new Uint8Array([newline])), 0, delimiter) === -1;
}

async function* rawRows(source: AsyncIterable<Uint8Array>, delimiter: number, max: number): AsyncGenerator<RawRow> {
  const held: Held = { bytes: new Uint8Array(), line: 1, skipping: false };
  let first = true;
  for await (const chunk of source) {
    held.bytes = joined(held.bytes, chunk);
    if (first && held.bytes.length < 3) continue;
    if (first) held.bytes = withoutMark(held.bytes);
    first = false;
    yield* completeRows(held, delimiter, max, false);
  }
  if (first) held.bytes = withoutMark(held.bytes);
  yield* completeRows(held, delimiter, max, true);
}

/** Takes a UTF-8 byte order mark away and refuses the marks of other encodings. */
function withoutMark(bytes: Uint8Array): Uint8Array {
  const [a, b, c] = bytes;
  if (a === 0xef && b === 0xbb && c === 0xbf) return bytes.subarray(3);
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) {
    throw refused("Line 1: the file is UTF-16; save it as CSV UTF-8");
  }
  return bytes;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decoded(row: Uint8Array, line: number): string {
  const end = row.at(-1) === carriage_return ? row.length - 1 : row.length;
  try {
    return utf8.decode(row.subarray(0, end));
  } catch {
    throw refused(
      `Line ${line}: the file is not UTF-8 (a byte there belongs to another encoding); save it as CSV UTF-8`,
    );
  }
}

type Cells = Readonly<{ cells: readonly string[] } | { index: number; error: string }>;

/** The cells of one row, or the index of the cell that breaks it. */
function cellsOf(text: string, delimiter: string): Cells {
  const cells: string[] = [];
  let at = 0;
  for (;;) {
    const index = cells.length;
    if (text[at] === '"') {
      const cell = quotedCell(text, at + 1);
      if (cell === null) return { index, error: "a quote is not closed" };
      if (cell.next < text.length && text[cell.next] !== delimiter) {
        return { index, error: "there is text behind the closing quote; a quote inside a cell is written twice" };
      }
      cells.push(cell.value);
      at = cell.next;
    } else {
      const end = text.indexOf(delimiter, at);
      const value = text.slice(at, end === -1 ? text.length : end);
      if (value.includes('"')) return { index, error: "there is a quote in a cell that is not quoted" };
      cells.push(value);
      at = end === -1 ? text.length : end;
    }
    if (at >= text.length) return { cells };
    at += 1;
  }
}

function quotedCell(text: string, from: number): { value: string; next: number } | null {
  let at = from;
  for (;;) {
    const end = text.indexOf('"', at);
    if (end === -1) return null;
    if (text[end + 1] !== '"') return { value: text.slice(from, end).replaceAll('""', '"'), next: end + 1 };
    at = end + 2;
  }
}

function headerOf(text: string, delimiter: string, required: readonly string[]): readonly string[] {
  const split = cellsOf(text, delimiter);
  if ("error" in split) throw refused(`Line 1: the header cannot be read: ${split.error}`);
  const { cells } = split;
  if (cells.length > columns_max) throw refused(`Line 1: the header has more than ${columns_max} columns`);
  if (text.includes("\0")) throw refused("Line 1: the header has NUL bytes; is the file UTF-16? Save it as CSV UTF-8");
  const seen = new Set<string>();
  for (const [index, name] of cells.entries()) {
    if (name === "") throw refused(`Line 1: column ${index + 1} has no name`);
    if (seen.has(name)) throw refused(`Line 1: the column "${name}" is there twice`, name);
    seen.add(name);
  }
  const missing = required.filter((name) => !seen.has(name));
  if (missing.length > 0) {
    const names = missing.map((name) => `"${name}"`).join(", ");
    const other = [";", "\t", "|", ","].find((one) => one !== delimiter && cells.length === 1 && text.includes(one));
    const hint = other === undefined ? "" : `; the columns seem to be separated by ${JSON.stringify(other)}`;
    throw refused(
      `Line 1: the column ${names} is missing; there are ${cells.slice(0, 30).join(", ")}${hint}`,
      missing[0],
    );
  }
  return cells;
}

function rowOf(text: string, line: number, header: readonly string[], delimiter: string): CsvRow {
  const split = cellsOf(text, delimiter);
  if ("error" in split) return { line, column: header[split.index] ?? null, error: split.error };
  const { cells } = split;
  if (cells.length !== header.length) {
    const column = cells.length < header.length ? header[cells.length]! : null;
    return { line, column, error: `the row has ${cells.length} cells, the header ${header.length}` };
  }
  const broken = cells.findIndex((cell) => cell.includes("\0"));
  if (broken !== -1) return { line, column: header[broken]!, error: "the cell holds a NUL byte" };
  return { line, record: Object.fromEntries(header.map((name, index) => [name, cells[index]!])) };
}

function bytesOf(source: CsvSource): AsyncIterable<Uint8Array> {
  return typeof source === "string" ? createReadStream(source) : source;
}

type Opened = Readonly<{ line: number; text: string } | { line: number; error: string }>;

async function* texts(source: CsvSource, options: CsvOptions): AsyncGenerator<Opened> {
  const delimiter = (options.delimiter ?? ",").charCodeAt(0);
  const max = options.row_max_bytes ?? row_max_default_bytes;
  try {
    for await (const row of rawRows(bytesOf(source), delimiter, max)) {
      yield "error" in row ? row : { line: row.line, text: decoded(row.bytes, row.line) };
    }
  } catch (cause) {
    if (cause instanceof ConnectorFault) throw cause;
    const { code } = cause as { code?: string };
    if (code === "ENOENT") throw refused("There is no such file");
    if (code === "EISDIR") throw refused("That is a folder, not a file");
    throw new ConnectorFault("retry", `The file cannot be read (${code ?? "unknown error"})`, { cause });
  }
}

/**
 * Opens a CSV file. Gives its rows in order; blank lines are passed over, broken rows are given as such.
 * Throws a ConnectorFault `invalid` when the file as a whole cannot be right; rows given before it must not be acted upon
 * as if the file were complete.
 */
export async function* openCsv(source: CsvSource, options: CsvOptions = {}): AsyncGenerator<CsvRow> {
  const delimiter = options.delimiter ?? ",";
  let header: readonly string[] | null = null;
  for await (const row of texts(source, options)) {
    if (header === null) {
      if ("error" in row) throw refused(`Line ${row.line}: the header cannot be read: ${row.error}`);
      header = headerOf(row.text, delimiter, options.required ?? []);
    } else if ("error" in row) yield { line: row.line, column: null, error: row.error };
    else if (row.text !== "") yield rowOf(row.text, row.line, header, delimiter);
  }
  if (header === null) throw refused("The file is empty: it has not even a header");
}

/** The names of a file's columns. Throws as `openCsv` does. */
export async function csvHeader(source: CsvSource, options: CsvOptions = {}): Promise<readonly string[]> {
  for await (const row of texts(source, options)) {
    if ("error" in row) throw refused(`Line ${row.line}: the header cannot be read: ${row.error}`);
    return headerOf(row.text, options.delimiter ?? ",", options.required ?? []);
  }
  throw refused("The file is empty: it has not even a header");
}
