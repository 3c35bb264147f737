/** What commands that bring a file by hand share, whatever it is of: sending it, telling its rows, undo and the past. */
import { closeSync, existsSync, realpathSync, writeSync } from "node:fs";
import { csvRow, mend_first } from "../core/csv.ts";
import type { Given } from "./args.ts";
import type { Client } from "./client.ts";
import { CliError, type ExitCode, exit_codes } from "./errors.ts";
import { openToWrite, requirePlainFile } from "./files.ts";
import { countsText, plain, print, printFacts, printJson, printRows, progress, table } from "./output.ts";
import { listed, type Part } from "./parts.ts";
import { cutOffEarly, sending } from "./upload.ts";

type Change = Readonly<{ attribute: string; before: unknown; after: unknown }>;
type Row = Readonly<{
  line: number;
  group?: string;
  login: string;
  outcome: string;
  changes?: readonly Change[];
  note?: string;
  reason?: string;
  cells?: readonly string[];
  mend?: true;
}>;
type Counts = Readonly<Record<string, number>>;
type Summary = Readonly<{
  id: string | null;
  counts: Counts;
  reason: string | null;
  notes?: readonly string[];
  held?: true;
}>;
type UndoneRow = Readonly<{
  line: number;
  group?: string;
  login: string;
  undone: string;
  did: string | null;
  reason: string | null;
}>;

/** How far an import is; a dry run has no id. */
type Progress = Readonly<{ id: string | null; done: number; total: number }>;

/** One line of an answer. */
type Line<R> = Readonly<{
  file?: Readonly<{ columns: readonly string[]; rows: number }>;
  progress?: Progress;
  row?: R;
  done?: Summary;
  error?: string;
}>;

type Past = Readonly<{
  id: string;
  status: string;
  counts: Counts;
  started_by: string;
  started_at: string;
  reason: string | null;
}>;

/** What a file is of. `noun`: the command; `grouped`: its rows name groups. */
export type FileOf = Readonly<{ noun: "users" | "groups"; path: string; grouped: boolean }>;

const rows_shown = 50;
const delimiters: Readonly<Record<string, string>> = {
  ",": "comma",
  ";": "semicolon",
  "\\t": "tab",
  "\t": "tab",
  "|": "pipe",
};

/** Options that every such command has. */
export const file_options = (noun: FileOf["noun"]) => ({
  "dry-run": { help: "Tell what would be done, and do nothing" },
  delimiter: { value: "CHARACTER", help: "Between the cells: , (else) ; | or \\t" },
  errors: { value: "FILE", help: "Write the refused rows there, with a column error; mend and import it again" },
  rows: { help: "Print every row, also the unchanged ones" },
  undo: { value: "IMPORT", help: `Take an import back: see tenure ${noun} imports` },
});

/** Imports a file, or takes an import back. `wish`: what is asked beside what every file is asked with. */
export function bringFile(
  client: Client,
  given: Given,
  what: FileOf,
  file: string | undefined,
  wish: Readonly<Record<string, boolean>>,
): Promise<ExitCode> {
  const undone = given.text("undo");
  if (undone !== undefined) {
    const more = file !== undefined || given.flag("dry-run") || Object.values(wish).includes(true);
    if (!more) return undo(client, given, what, undone);
    const message = `tenure ${what.noun} import --undo takes the id of an import, and nothing else`;
    throw new CliError(exit_codes.usage, message);
  }
  if (file === undefined) throw new CliError(exit_codes.usage, `tenure ${what.noun} import: which file?`);
  const delimiter = delimiters[given.text("delimiter") ?? ","];
  if (delimiter === undefined) throw new CliError(exit_codes.usage, "--delimiter is one of , ; | and \\t");
  return importFile(client, given, what, file, { ...wish, dry_run: given.flag("dry-run"), delimiter });
}

async function importFile(
  client: Client,
  given: Given,
  what: FileOf,
  file: string,
  query: Readonly<Record<string, boolean | string>>,
): Promise<ExitCode> {
  requirePlainFile(file);
  const errors = errorFile(given.text("errors"), file);
  const bar = progress(given);
  const rows: Row[] = [];
  let more = 0;
  let done: Summary | undefined;
  let at: Progress | undefined;
  const onLine = (line: Line<Row>) => {
    if (line.file !== undefined) errors.write([...line.file.columns, "error"]);
    at = line.progress ?? at;
    if (line.progress !== undefined) bar.show("importing", line.progress.done, line.progress.total);
    if (line.error !== undefined) throw new CliError(exit_codes.failed, line.error);
    if (line.row?.outcome === "refused") errors.write([...(line.row.cells ?? []), whyOf(line.row)]);
    if (line.row !== undefined && (given.flag("rows") || line.row.outcome !== "unchanged")) {
      if (given.flag("rows") || given.flag("json") || rows.length < rows_shown) rows.push(line.row);
      else more++;
    }
    done = line.done ?? done;
  };
  try {
    await sending(given, file, (upload) =>
      client.followUpload(what.path, upload, query, (line) => onLine(line as Line<Row>)),
    );
    if (done === undefined)
      throw new CliError(
        exit_codes.failed,
        at === undefined ? "the answer was cut off: run the file again to go on" : "the answer was cut off",
      );
  } catch (error) {
    const { message } = error as Error;
    const told = error instanceof CliError ? error : new CliError(exit_codes.failed, message);
    throw at === undefined ? cutOffEarly(told) : cutOff(told, at);
  } finally {
    bar.end();
    errors.close();
  }
  if (done.held) {
    const notes = (done.notes ?? []).join("; ");
    throw new CliError(exit_codes.refused, `${notes}. Nothing was done: say --yes if that is what you want`);
  }
  if (given.flag("json")) printJson({ ...done, rows });
  else tell(what, done, rows, more);
  if (done.reason !== null) return exit_codes.failed;
  return (done.counts["refused"] ?? 0) > 0 ? exit_codes.partly : exit_codes.done;
}

/** An import whose answer ended in the middle: which it was, how far, and what to do. */
function cutOff(error: CliError, { id, done, total }: Progress): CliError {
  const far =
    id === null
      ? `the dry run was cut off behind row ${done} of ${total}; nothing was done`
      : `import ${id} was cut off: at least ${done} of ${total} rows are done, and stay`;
  const next = id === null ? "run it again" : "run it again: what was done is not done twice";
  return new CliError(error.exit_code, `${error.message}\n${far}; ${next}`);
}

/** Where refused rows go; nowhere without a name. @throws CliError for the file that is imported: it would be gone. */
function errorFile(name: string | undefined, imported: string) {
  if (name === undefined) return { write: () => {}, close: () => {} };
  if (existsSync(name) && existsSync(imported) && realpathSync(name) === realpathSync(imported)) {
    throw new CliError(exit_codes.usage, "--errors names the file that is imported: give it another name");
  }
  const file = openToWrite(name, "--errors");
  return {
    write: (cells: readonly string[]) => void writeSync(file, csvRow(cells)),
    close: () => closeSync(file),
  };
}

const whyOf = ({ line, reason, mend }: Row) => `${mend ? `${mend_first} ` : ""}line ${line}: ${reason ?? ""}`;

type Column<R> = readonly [heading: string, value: (row: R) => unknown];

/** The group of a row, where rows name groups. */
const groupColumn = <R extends Readonly<{ group?: string }>>({ grouped }: FileOf): Column<R>[] =>
  grouped ? [["GROUP", (r) => r.group]] : [];

function tell(what: FileOf, { id, counts, reason, notes = [] }: Summary, rows: readonly Row[], more: number): void {
  const which = id === null ? "dry run, nothing was done" : `import ${id}`;
  print(`${which}: ${countsText(counts)}`);
  if (reason !== null) print(`  ${reason}`);
  for (const note of notes) print(`  ${note}`);
  if (rows.length === 0) return;
  print("");
  print(
    table(rows, [
      // Who leaves stands in no line of the file.
      ["LINE", (r) => (r.outcome === "leave" ? "" : r.line)],
      ["OUTCOME", (r) => r.outcome],
      ...groupColumn<Row>(what),
      ["LOGIN", (r) => r.login],
      ["CHANGES", changesOf],
      ["WHY", (r) => r.reason ?? r.note],
    ]),
  );
  if (more > 0) print(`… and ${more} more: --rows has them all`);
  const changed = ["create", "update", "join", "leave"].some((outcome) => (counts[outcome] ?? 0) > 0);
  if (id !== null && changed) print(`\nto take it back: tenure ${what.noun} import --undo ${id}`);
}

/** "department: Mills -> Sales; title: nothing -> Head"; of somebody new only what they have. */
function changesOf({ outcome, changes = [] }: Row): string {
  const shown = (value: unknown) => (value === null || value === undefined ? "nothing" : plain(value));
  if (outcome === "create" || outcome === "join") {
    const given = changes.filter(({ attribute }) => attribute !== "login");
    return given.map(({ attribute, after }) => `${attribute}: ${shown(after)}`).join("; ");
  }
  return changes.map(({ attribute, before, after }) => `${attribute}: ${shown(before)} -> ${shown(after)}`).join("; ");
}

async function undo(client: Client, given: Given, what: FileOf, id: string): Promise<ExitCode> {
  const rows: UndoneRow[] = [];
  let done: Summary | undefined;
  await client.follow(`${what.path}/${encodeURIComponent(id)}/undo`, {}, (one) => {
    const line = one as Line<UndoneRow>;
    if (line.error !== undefined) throw new CliError(exit_codes.failed, line.error);
    if (line.row !== undefined) rows.push(line.row);
    done = line.done ?? done;
  });
  if (done === undefined) throw new CliError(exit_codes.failed, "the answer was cut off: ask again to go on");
  if (given.flag("json")) printJson({ ...done, rows });
  else {
    print(`import ${id} taken back: ${countsText(done.counts)}`);
    const shown = given.flag("rows") ? rows : rows.slice(0, rows_shown);
    if (shown.length > 0) {
      print("");
      print(
        table(shown, [
          ["LINE", (r) => r.line],
          ...groupColumn<UndoneRow>(what),
          ["LOGIN", (r) => r.login],
          ["OUTCOME", (r) => r.undone],
          ["DONE", (r) => r.did],
          ["WHY", (r) => r.reason],
        ]),
      );
    }
    const more = rows.length - shown.length;
    if (more > 0) print(`… and ${more} more: tenure ${what.noun} imports ${id}`);
  }
  return rows.some(({ undone }) => undone !== "undone") ? exit_codes.partly : exit_codes.done;
}

/** The part that lists what was imported by hand so far. */
export const pastPart = (what: FileOf, summary: string): Part => ({
  usage: {
    name: `${what.noun} imports`,
    words: "[IMPORT]",
    summary,
    options: { limit: { value: "N", help: "At most this many (50)" } },
  },
  least: 0,
  most: 1,
  run: async (client, given, [id]) => {
    if (id === undefined) {
      const list = await listed<Past>(client, given, what.path, { standard: 50 });
      printRows(
        given,
        list,
        [
          ["ID", (i) => i.id],
          ["STATUS", (i) => i.status],
          ["ROWS", (i) => countsText(i.counts)],
          ["BY", (i) => i.started_by],
          ["AT", (i) => i.started_at],
          ["WHY", (i) => i.reason],
        ],
        "no imports",
      );
      return;
    }
    const path = `${what.path}/${encodeURIComponent(id)}`;
    const [past, rows] = [
      await client.get<Past>(path),
      await listed<Row & UndoneRow>(client, given, `${path}/rows`, { standard: 50 }),
    ];
    if (given.flag("json")) return printJson({ ...past, rows });
    printFacts(given, past, [
      ["id", past.id],
      ["status", past.status],
      ["rows", countsText(past.counts)],
      ["by", past.started_by],
      ["at", past.started_at],
      ["reason", past.reason],
    ]);
    print("");
    printRows(given, rows, [
      ["LINE", (r) => r.line],
      ["OUTCOME", (r) => r.outcome],
      ...groupColumn<Row & UndoneRow>(what),
      ["LOGIN", (r) => r.login],
      ["CHANGES", (r) => (r.outcome === "leave" ? "" : changesOf(r))],
      ["TAKEN BACK", (r) => r.undone],
    ]);
  },
});
