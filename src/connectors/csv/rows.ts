/**
 * The rows of a block of CSV text, and the cells of a row. Pure. A row without a quote ends at its newline and is split
 * at the delimiters; only a row with one is walked through character by character.
 *
 * Called by csv/read.ts, which reads and decodes the blocks.
 */

/** Text not yet handed out, ending in a newline unless it is the end of the file, and the line at which it begins. */
export type Block = { text: string; line: number };

/** A row without its line end, or why it is none. `quoted`: there is a quote in it. */
export type Row = Readonly<{ line: number; text: string; quoted: boolean }> | Readonly<{ line: number; error: string }>;

/** The cells of one row, or the index of the cell that breaks it, and those before it. */
export type Cells =
  | Readonly<{ cells: readonly string[] }>
  | Readonly<{ index: number; error: string; before: readonly string[] }>;

const newline = 10;
const carriage_return = 13;
const quote = 34;

/**
 * Takes all rows that are complete from the block's text; at the end of the file, all rows. A row longer than `max`
 * bytes, or whose quote is never closed, costs its first line.
 */
export function rowsOf(block: Block, delimiter: string, max: number, at_end: boolean): Row[] {
  const rows: Row[] = [];
  const { text } = block;
  let from = 0;
  let next_quote = text.indexOf('"');
  while (from < text.length) {
    let end = text.indexOf("\n", from);
    if (end === -1) break;
    if (next_quote !== -1 && next_quote < from) next_quote = text.indexOf('"', from);
    const quoted = next_quote !== -1 && next_quote < end;
    const first_end = end;
    if (quoted) end = quotedRowEnd(text, from, delimiter);
    const long = isLonger(text, from, end === -1 ? text.length : end, max);
    if (end === -1 && !at_end && !long) break;
    if (long || end === -1) {
      const why = long ? `the row is longer than ${max} bytes, or a quote is not closed` : "a quote is not closed";
      rows.push({ line: block.line, error: why });
      end = first_end;
      block.line += 1;
    } else {
      const stop = end > from && text.charCodeAt(end - 1) === carriage_return ? end - 1 : end;
      rows.push({ line: block.line, text: text.slice(from, stop), quoted });
      block.line += quoted ? linesIn(text, from, end) : 1;
    }
    from = end + 1;
  }
  block.text = text.slice(from);
  return rows;
}

/** Where the row that starts at `from` ends: the index of its newline, or -1 if it goes on beyond the text. */
function quotedRowEnd(text: string, from: number, delimiter: string): number {
  const separator = delimiter.charCodeAt(0);
  let quoted = false;
  let at_start = true;
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code !== quote) continue;
      if (text.charCodeAt(at + 1) === quote) at++;
      else quoted = false;
    } else if (code === newline) return at;
    else if (code === quote && at_start) {
      quoted = true;
      at_start = false;
    } else at_start = code === separator;
  }
  return -1;
}

/** Measured in bytes only where that can matter: a UTF-16 unit is at most three. */
function isLonger(text: string, from: number, end: number, max: number): boolean {
  if (end - from > max) return true;
  return (end - from) * 3 > max && Buffer.byteLength(text.slice(from, end)) > max;
}

function linesIn(text: string, from: number, end: number): number {
  let count = 1;
  for (let at = text.indexOf("\n", from); at !== -1 && at < end; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}

/** Splits one row into its cells. */
export function cellsOf(text: string, delimiter: string): Cells {
  const cells: string[] = [];
  let at = 0;
  for (;;) {
    const index = cells.length;
    if (text[at] === '"') {
      const cell = quotedCell(text, at + 1);
      if (cell === null) return { index, error: "a quote is not closed", before: cells };
      if (cell.next < text.length && text[cell.next] !== delimiter) {
        const error = "there is text behind the closing quote; a quote inside a cell is written twice";
        return { index, error, before: cells };
      }
      cells.push(cell.value);
      at = cell.next;
    } else {
      const end = text.indexOf(delimiter, at);
      const value = text.slice(at, end === -1 ? text.length : end);
      if (value.includes('"')) return { index, error: "there is a quote in a cell that is not quoted", before: cells };
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
