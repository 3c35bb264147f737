/**
 * Writes CSV that is safe to open in a spreadsheet. A cell that a spreadsheet would run as a formula gets an apostrophe
 * in front, which spreadsheets take for "this is text": someone's job title must not send a company's people list away.
 *
 * Pure. Called by commands that write files, and `withoutGuard` by those who read them back.
 */

/** Characters that make a cell a formula, also behind white space that spreadsheets pass over, and behind apostrophes: those in front of them are told from ours by being one fewer. */
const formula = /^'*[\s\u00a0\ufeff]*[=+\-@\uff0b\uff0d\uff1d\uff20|%]/;
/** A number is a number, even with a sign. */
const plain_number = /^-?\d{1,15}(\.\d{1,15})?$/;

const guarded = (text: string) => !plain_number.test(text) && (formula.test(text) || /^[\t\r\n]/.test(text));

/**
 * What the reason in a file of refused rows begins with, where the row's own cells would be taken as they stand though
 * they are not what was meant: a row that was cut short would empty what it lacks, the second of two rows would overwrite
 * the first. Such a row is refused again until that is taken out.
 */
export const mend_first = "MEND:";

/** One cell, quoted where it must be. null and undefined are empty. */
export function csvCell(value: string | number | boolean | null | undefined): string {
  if (value === null || value === undefined) return "";
  const text = `${value}`;
  const shown = typeof value === "string" && guarded(text) ? `'${text}` : text;
  return /[",;\t\r\n|]|^\s|\s$/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown;
}

/** A cell as it was before `csvCell` put an apostrophe in front: a file that was written here is read back as it was meant. */
export function withoutGuard(cell: string): string {
  if (!cell.startsWith("'")) return cell;
  const rest = cell.slice(1);
  return guarded(rest) ? rest : cell;
}

/** One row with its line end (CRLF, as RFC 4180 has it). */
export function csvRow(values: readonly (string | number | boolean | null | undefined)[]): string {
  return `${values.map(csvCell).join(",")}\r\n`;
}
