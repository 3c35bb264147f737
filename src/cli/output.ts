/**
 * What commands print: aligned tables and plain facts for people, JSON for programs; progress on stderr, so that stdout
 * can be piped. No colours, no cursor moves where nobody looks at them.
 */
import type { Given } from "./args.ts";

/** A column of a table: its title and the text of a row. */
export type Column<T> = Readonly<[title: string, text: (row: T) => unknown]>;

const cell_max = 60;

/** Prints rows as JSON (--json) or as a table. */
export function printRows<T>(given: Given, rows: readonly T[], columns: readonly Column<T>[], empty = "nothing"): void {
  if (given.flag("json")) printJson(rows);
  else print(rows.length === 0 ? empty : table(rows, columns));
}

/** Prints one thing as JSON (--json) or as lines of name and value. */
export function printFacts(given: Given, value: unknown, facts: readonly (readonly [string, unknown])[]): void {
  if (given.flag("json")) {
    printJson(value);
    return;
  }
  const shown = facts.filter(([, fact]) => fact !== undefined && fact !== null && fact !== "");
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  print(shown.map(([name, fact]) => `${name.padEnd(width)}  ${plain(fact)}`).join("\n"));
}

/** Rows under titles, columns as wide as they need to be. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const lines = [
    columns.map(([title]) => title),
    ...rows.map((row) => columns.map(([, text]) => cut(plain(text(row))))),
  ];
  const widths = columns.map((_, n) => Math.max(...lines.map((line) => width(line[n] ?? ""))));
  return lines
    .map((line) =>
      line
        .map((cell, n) => cell + " ".repeat((widths[n] ?? 0) - width(cell)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A value as people read it; control characters of foreign text never reach the terminal. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text =
    typeof value === "string"
      ? value
      : value instanceof Date
        ? value.toISOString()
        : typeof value === "object"
          ? JSON.stringify(value)
          : String(value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be printed
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

const cut = (text: string) => {
  const line = text.replaceAll(/\s*\n\s*/g, " ");
  // Only a screen is narrow: whoever reads a pipe or a file wants all of it.
  return line.length > cell_max && process.stdout.isTTY ? `${line.slice(0, cell_max - 1)}…` : line;
};

/** Columns on a terminal: wide letters of East Asia take two. */
function width(text: string): number {
  let columns = 0;
  for (const letter of text)
    columns += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u.test(
      letter,
    )
      ? 2
      : /\p{M}/u.test(letter)
        ? 0
        : 1;
  return columns;
}

/** "2 created, 1 refused". */
export const countsText = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");

export function printJson(value: unknown): void {
  print(JSON.stringify(value ?? null, null, 2));
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A progress bar on stderr; silent where stderr is no terminal, but for its end. */
export type Progress = Readonly<{
  show(what: string, done: number, total: number | null): void;
  end(line?: string): void;
}>;

export function progress(given: Given): Progress {
  const live = process.stderr.isTTY === true && !given.flag("json");
  let shown_at = 0;
  return {
    show(what, done, total) {
      if (!live || Date.now() - shown_at < 80) return;
      shown_at = Date.now();
      const part = total === null || total === 0 ? undefined : Math.min(1, done / total);
      const bar =
        part === undefined ? "" : `[${"#".repeat(Math.round(part * 24)).padEnd(24, "-")}] ${Math.floor(part * 100)} % `;
      process.stderr.write(`\r\u001b[K${what} ${bar}${done}${total === null ? "" : ` of ${total}`}`);
    },
    end(line) {
      if (live) process.stderr.write("\r\u001b[K");
      if (line !== undefined && !given.flag("json")) process.stderr.write(`${line}\n`);
    },
  };
}
