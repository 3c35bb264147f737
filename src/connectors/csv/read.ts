/**
 * Reads a CSV file (RFC 4180) as a stream of rows, in bounded memory whatever the file is. Made for files that people
 * and HR systems send: a broken row is told by line and column and costs only itself, while a file that is not what it
 * says (another encoding, a missing column, a column twice) is refused whole, before anything is believed.
 *
 * Our own splitter, because a general parser loses the rows behind a stray quote and cannot name the line of a wrong
 * byte. Values are data as they stand: nothing is trimmed, and a cell that looks like a formula is that text.
 *
 * Rows come by the block, as they are read from the disk, and a block without a quote is only searched and split: a
 * million rows of 16 cells take 4.6 s; row by row they took 14 s. rows.ts finds the rows of a block.
 * Called by csv/connector.ts and by the import of uploaded files.
 */
import { createReadStream } from "node:fs";
import { ConnectorFault } from "../connector.ts";
import { type Block, cellsOf, type Row, rowsOf } from "./rows.ts";

/** `line` counts from 1 in the file, the header being line 1; a row that spans lines has the line it starts on. */
export type CsvRow =
  | Readonly<{ line: number; record: Readonly<Record<string, string>> }>
  | Readonly<{ line: number; column: string | null; error: string }>;

/**
 * A row as its cells, as many as the header has, or what breaks it. `before`: the cells that could be read all the same;
 * none of a broken row of several lines, because a quote left open may have swallowed the rows behind it.
 */
export type CsvCells =
  | Readonly<{ line: number; cells: readonly string[] }>
  | Readonly<{ line: number; column: string | null; error: string; before: readonly string[] }>;

/** Rows that were read together. Every block of a file has the same header. */
export type CsvBlock = Readonly<{ header: readonly string[]; rows: readonly CsvCells[] }>;

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
const block_bytes = 256 * 1024;

const newline = 0x0a;

function refused(message: string, attribute?: string): ConnectorFault {
  return new ConnectorFault("invalid", message, attribute === undefined ? {} : { attribute });
}

/** Bytes of a line that goes on, and whether the line was given up. */
type Tail = { parts: Uint8Array[]; bytes: number; skipping: boolean };

/** The rows of a source, block by block: bytes are cut behind their last newline, which no UTF-8 sequence can hold. */
async function* rawBlocks(source: AsyncIterable<Uint8Array>, delimiter: string, max: number): AsyncGenerator<Row[]> {
  const tail: Tail = { parts: [], bytes: 0, skipping: false };
  const block: Block = { text: "", line: 1 };
  let first = true;
  for await (const chunk of source) {
    let bytes = chunk;
    if (first) {
      bytes = joined(tail, bytes);
      if (bytes.length < 3) {
        hold(tail, bytes);
        continue;
      }
      bytes = withoutMark(bytes);
      first = false;
    }
    const end = bytes.lastIndexOf(newline) + 1;
    if (end > 0) {
      yield take(block, joined(tail, bytes.subarray(0, end)), delimiter, max, tail);
    }
    if (!tail.skipping || end > 0) hold(tail, bytes.subarray(end));
    if (tail.bytes <= max || tail.skipping) continue;
    // The line is too long whatever follows. What was held before it has waited for this line in vain.
    const rows = rowsOf(block, delimiter, max, true);
    rows.push({ line: block.line, error: `the row is longer than ${max} bytes, or a quote is not closed` });
    block.line += 1;
    Object.assign(tail, { parts: [], bytes: 0, skipping: true });
    yield rows;
  }
  let rest = joined(tail, new Uint8Array());
  if (first) rest = withoutMark(rest);
  const rows = tail.skipping ? [] : take(block, rest, delimiter, max, tail);
  if (block.text !== "" && !block.text.endsWith("\n")) block.text += "\n";
  yield [...rows, ...rowsOf(block, delimiter, max, true)];
}

/** Takes whole lines into the block and gives the rows that end in it. */
function take(block: Block, lines: Uint8Array, delimiter: string, max: number, tail: Tail): Row[] {
  // The end of a line that was given up is at the front.
  const bytes = tail.skipping ? lines.subarray(lines.indexOf(newline) + 1) : lines;
  tail.skipping = false;
  block.text += decoded(bytes, block);
  return rowsOf(block, delimiter, max, false);
}

function hold(tail: Tail, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  tail.parts.push(bytes);
  tail.bytes += bytes.length;
}

/** What was held and what follows it; nothing is held afterwards. */
function joined(tail: Tail, bytes: Uint8Array): Uint8Array {
  if (tail.parts.length === 0) return bytes;
  const all = Buffer.concat([...tail.parts, bytes]);
  Object.assign(tail, { parts: [], bytes: 0 });
  return all;
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

/** Whole lines as text. Throws naming the line of the first byte that is not UTF-8. */
function decoded(bytes: Uint8Array, block: Block): string {
  try {
    return utf8.decode(bytes);
  } catch {
    let line = block.line + block.text.split("\n").length - 1;
    for (let from = 0; from < bytes.length; line++) {
      const end = bytes.indexOf(newline, from);
      const stop = end === -1 ? bytes.length : end + 1;
      try {
        utf8.decode(bytes.subarray(from, stop));
      } catch {
        break;
      }
      from = stop;
    }
    throw refused(
      `Line ${line}: the file is not UTF-8 (a byte there belongs to another encoding); save it as CSV UTF-8`,
    );
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

function cellsOfRow(row: Row, header: readonly string[], delimiter: string): CsvCells {
  if ("error" in row) return { line: row.line, column: null, error: row.error, before: [] };
  const { line, text, quoted } = row;
  const split = quoted ? cellsOf(text, delimiter) : { cells: text.split(delimiter) };
  const sure = (cells: readonly string[]) => (text.includes("\n") ? [] : cells);
  if ("error" in split) {
    return { line, column: header[split.index] ?? null, error: split.error, before: sure(split.before) };
  }
  const { cells } = split;
  if (cells.length !== header.length) {
    const column = cells.length < header.length ? header[cells.length]! : null;
    const error = `the row has ${cells.length} cells, the header ${header.length}`;
    return { line, column, error, before: sure(cells) };
  }
  if (text.includes("\0")) {
    const broken = cells.findIndex((cell) => cell.includes("\0"));
    return { line, column: header[broken]!, error: "the cell holds a NUL byte", before: cells };
  }
  return { line, cells };
}

function bytesOf(source: CsvSource): AsyncIterable<Uint8Array> {
  return typeof source === "string" ? createReadStream(source, { highWaterMark: block_bytes }) : source;
}

async function* blocksOf(source: CsvSource, options: CsvOptions): AsyncGenerator<Row[]> {
  try {
    yield* rawBlocks(bytesOf(source), options.delimiter ?? ",", options.row_max_bytes ?? row_max_default_bytes);
  } catch (cause) {
    if (cause instanceof ConnectorFault) throw cause;
    const { code } = cause as { code?: string };
    if (code === "ENOENT") throw refused("There is no such file");
    if (code === "EISDIR") throw refused("That is a folder, not a file");
    throw new ConnectorFault("retry", `The file cannot be read (${code ?? "unknown error"})`, { cause });
  }
}

/**
 * Opens a CSV file. Gives its rows in order, in blocks of some hundred; blank lines are passed over, broken rows are
 * given as such. Throws a ConnectorFault `invalid` when the file as a whole cannot be right; rows given before it must
 * not be acted upon as if the file were complete.
 */
export async function* openCsvBlocks(source: CsvSource, options: CsvOptions = {}): AsyncGenerator<CsvBlock> {
  const delimiter = options.delimiter ?? ",";
  let header: readonly string[] | null = null;
  for await (const raw of blocksOf(source, options)) {
    const rows: CsvCells[] = [];
    for (const row of raw) {
      if (header === null) {
        if ("error" in row) throw refused(`Line ${row.line}: the header cannot be read: ${row.error}`);
        header = headerOf(row.text, delimiter, options.required ?? []);
      } else if ("error" in row || row.text !== "") rows.push(cellsOfRow(row, header, delimiter));
    }
    if (header !== null) yield { header, rows };
  }
  if (header === null) throw refused("The file is empty: it has not even a header");
}

/** Opens a CSV file and gives its rows one by one, each with the names of its columns; throws as `openCsvBlocks` does. */
export async function* openCsv(source: CsvSource, options: CsvOptions = {}): AsyncGenerator<CsvRow> {
  for await (const { header, rows } of openCsvBlocks(source, options)) {
    for (const row of rows) {
      if ("error" in row) yield { line: row.line, column: row.column, error: row.error };
      else yield { line: row.line, record: Object.fromEntries(header.map((name, n) => [name, row.cells[n]!])) };
    }
  }
}

/** The names of a file's columns. Throws as `openCsvBlocks` does. */
export async function csvHeader(source: CsvSource, options: CsvOptions = {}): Promise<readonly string[]> {
  for await (const { header } of openCsvBlocks(source, options)) return header;
  throw refused("The file is empty: it has not even a header");
}
