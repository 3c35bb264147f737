/** tenure users template, import and imports: people from a file, by hand. */
import { closeSync, existsSync, openSync, realpathSync, writeSync } from "node:fs";
import { csvRow } from "../core/csv.ts";
import type { Given } from "./args.ts";
import type { Client } from "./client.ts";
import { CliError, type ExitCode, exit_codes } from "./errors.ts";
import { plain, print, printFacts, printJson, printRows, progress, table } from "./output.ts";
import { limitOf, type Part } from "./parts.ts";
import { sending } from "./upload.ts";

type Change = Readonly<{ attribute: string; before: unknown; after: unknown }>;
type Row = Readonly<{
  line: number;
  login: string;
  outcome: "create" | "update" | "unchanged" | "refused";
  changes?: readonly Change[];
  reason?: string;
  column?: string;
  cells?: readonly string[];
  mend?: true;
}>;
type Summary = Readonly<{ id: string | null; counts: Readonly<Record<string, number>>; reason: string | null }>;
type UndoneRow = Readonly<{ line: number; login: string; undone: string; did: string | null; reason: string | null }>;

/** One line of an answer. */
type Line<R> = Readonly<{
  file?: Readonly<{ columns: readonly string[]; rows: number }>;
  progress?: Readonly<{ id: string | null; done: number; total: number }>;
  row?: R;
  done?: Summary;
  error?: string;
}>;

type Past = Readonly<{
  id: string;
  status: string;
  counts: Readonly<Record<string, number>>;
  started_by: string;
  started_at: string;
  reason: string | null;
}>;

const rows_shown = 50;
const delimiters: Readonly<Record<string, string>> = {
  ",": "comma",
  ";": "semicolon",
  "\\t": "tab",
  "\t": "tab",
  "|": "pipe",
};

type Properties = Readonly<Record<string, unknown>>;
type UserSchema = Readonly<{
  definitions: Readonly<
    Record<"base" | "custom", Readonly<{ properties?: Properties; required?: readonly string[] }> | undefined>
  >;
}>;

/** A CSV header of every attribute that people have, the required ones first. */
export const template: Part = {
  usage: {
    name: "users template",
    words: "",
    summary: "Prints the header of a CSV file for tenure users import: every attribute, the required ones first.",
    options: {},
  },
  least: 0,
  run: async (client, given) => {
    const { base, custom } = (await client.get<UserSchema>("/api/v1/meta/schemas/user/default")).definitions;
    const required = [...new Set(["login", ...(base?.required ?? []), ...(custom?.required ?? [])])];
    const names = [...Object.keys(base?.properties ?? {}), ...Object.keys(custom?.properties ?? {})];
    const columns = [...required, ...names.filter((name) => !required.includes(name))];
    if (given.flag("json")) printJson({ columns, required });
    else print(csvRow(columns).trimEnd());
  },
};

/** Creates and changes people from a file, or takes that back. */
export const bring: Part = {
  usage: {
    name: "users import",
    words: "FILE.csv",
    summary: `Creates and changes people from a CSV file whose columns are named like attributes (tenure users template). Who
has the login of a row is changed: only what the file has columns for, and an empty cell clears that attribute; else
somebody new is created, staged. Exit code 7: done, but rows were refused.`,
    options: {
      "dry-run": { help: "Tell what would be done, and do nothing" },
      activate: { help: "Activate whom the file creates" },
      delimiter: { value: "CHARACTER", help: "Between the cells: , (else) ; | or \\t" },
      errors: { value: "FILE", help: "Write the refused rows there, with a column error; mend and import it again" },
      rows: { help: "Print every row, also the unchanged ones" },
      undo: { value: "IMPORT", help: "Take an import back: see tenure users imports" },
    },
  },
  least: 0,
  most: 1,
  run: async (client, given, [file]) => {
    const undone = given.text("undo");
    if (undone !== undefined) return undo(client, given, undone, file);
    if (file === undefined) throw new CliError(exit_codes.usage, "tenure users import: which file?");
    const delimiter = delimiters[given.text("delimiter") ?? ","];
    if (delimiter === undefined) throw new CliError(exit_codes.usage, "--delimiter is one of , ; | and \\t");
    return importFile(client, given, file, delimiter);
  },
};

async function importFile(client: Client, given: Given, file: string, delimiter: string): Promise<ExitCode> {
  const errors = errorFile(given.text("errors"), file);
  const bar = progress(given);
  const rows: Row[] = [];
  let more = 0;
  let done: Summary | undefined;
  const onLine = (line: Line<Row>) => {
    if (line.file !== undefined) errors.write([...line.file.columns, "error"]);
    if (line.progress !== undefined) bar.show("importing", line.progress.done, line.progress.total);
    if (line.error !== undefined) throw new CliError(exit_codes.failed, line.error);
    if (line.row?.outcome === "refused") errors.write([...(line.row.cells ?? []), whyOf(line.row)]);
    if (line.row !== undefined && (given.flag("rows") || line.row.outcome !== "unchanged")) {
      if (given.flag("rows") || given.flag("json") || rows.length < rows_shown) rows.push(line.row);
      else more++;
    }
    done = line.done ?? done;
  };
  const query = { dry_run: given.flag("dry-run"), activate: given.flag("activate"), delimiter };
  try {
    await sending(given, file, (upload) =>
      client.followUpload("/admin/v1/users/imports", upload, query, (line) => onLine(line as Line<Row>)),
    );
  } finally {
    bar.end();
    errors.close();
  }
  if (done === undefined) throw new CliError(exit_codes.failed, "the answer was cut off: run the file again to go on");
  if (given.flag("json")) printJson({ ...done, rows });
  else tell(done, rows, more);
  if (done.reason !== null) return exit_codes.failed;
  return (done.counts["refused"] ?? 0) > 0 ? exit_codes.partly : exit_codes.done;
}

/** Where refused rows go; nowhere without a name. @throws CliError for the file that is imported: it would be gone. */
function errorFile(name: string | undefined, imported: string) {
  if (name === undefined) return { write: () => {}, close: () => {} };
  if (existsSync(name) && existsSync(imported) && realpathSync(name) === realpathSync(imported)) {
    throw new CliError(exit_codes.usage, "--errors names the file that is imported: give it another name");
  }
  // People's data: for nobody else on this machine.
  const file = openSync(name, "w", 0o600);
  return {
    write: (cells: readonly string[]) => void writeSync(file, csvRow(cells)),
    close: () => closeSync(file),
  };
}

/** The server refuses a row whose cell says MEND, until that is taken out (engine/handFile.ts). */
const whyOf = ({ line, reason, mend }: Row) => `${mend ? "MEND: " : ""}line ${line}: ${reason ?? ""}`;
const told = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");

function tell({ id, counts, reason }: Summary, rows: readonly Row[], more: number): void {
  const which = id === null ? "dry run, nothing was done" : `import ${id}`;
  print(`${which}: ${told(counts)}`);
  if (reason !== null) print(`  ${reason}`);
  if (rows.length === 0) return;
  print("");
  print(
    table(rows, [
      ["LINE", (r) => r.line],
      ["OUTCOME", (r) => r.outcome],
      ["LOGIN", (r) => r.login],
      ["CHANGES", changesOf],
      ["WHY", (r) => r.reason],
    ]),
  );
  if (more > 0) print(`… and ${more} more: --rows has them all`);
  if (id !== null) print(`\nto take it back: tenure users import --undo ${id}`);
}

/** "department: Mills -> Sales; title: nothing -> Head"; of somebody new only what they have. */
function changesOf({ outcome, changes = [] }: Row): string {
  const shown = (value: unknown) => (value === null || value === undefined ? "nothing" : plain(value));
  if (outcome === "create") {
    const given = changes.filter(({ attribute }) => attribute !== "login");
    return given.map(({ attribute, after }) => `${attribute}: ${shown(after)}`).join("; ");
  }
  return changes.map(({ attribute, before, after }) => `${attribute}: ${shown(before)} -> ${shown(after)}`).join("; ");
}

async function undo(client: Client, given: Given, id: string, file: string | undefined): Promise<ExitCode> {
  if (file !== undefined || given.flag("dry-run")) {
    throw new CliError(exit_codes.usage, "tenure users import --undo takes the id of an import, and nothing else");
  }
  const rows: UndoneRow[] = [];
  let done: Summary | undefined;
  await client.follow(`/admin/v1/users/imports/${encodeURIComponent(id)}/undo`, {}, (one) => {
    const line = one as Line<UndoneRow>;
    if (line.error !== undefined) throw new CliError(exit_codes.failed, line.error);
    if (line.row !== undefined) rows.push(line.row);
    done = line.done ?? done;
  });
  if (done === undefined) throw new CliError(exit_codes.failed, "the answer was cut off: ask again to go on");
  if (given.flag("json")) printJson({ ...done, rows });
  else {
    print(`import ${id} taken back: ${told(done.counts)}`);
    const shown = given.flag("rows") ? rows : rows.slice(0, rows_shown);
    if (shown.length > 0) {
      print("");
      print(
        table(shown, [
          ["LINE", (r) => r.line],
          ["LOGIN", (r) => r.login],
          ["OUTCOME", (r) => r.undone],
          ["DONE", (r) => r.did],
          ["WHY", (r) => r.reason],
        ]),
      );
    }
    if (rows.length > shown.length) print(`… and ${rows.length - shown.length} more: tenure users imports ${id}`);
  }
  return rows.some(({ undone }) => undone !== "undone") ? exit_codes.partly : exit_codes.done;
}

/** What was imported by hand so far. */
export const imports: Part = {
  usage: {
    name: "users imports",
    words: "[IMPORT]",
    summary: "Lists imports of files of people, the newest first; with IMPORT, what it did.",
    options: { limit: { value: "N", help: "At most this many (50)" } },
  },
  least: 0,
  most: 1,
  run: async (client, given, [id]) => {
    const limit = limitOf(given, 50);
    if (id === undefined) {
      const list = await client.all<Past>("/admin/v1/users/imports", {}, limit);
      printRows(
        given,
        list,
        [
          ["ID", (i) => i.id],
          ["STATUS", (i) => i.status],
          ["ROWS", (i) => told(i.counts)],
          ["BY", (i) => i.started_by],
          ["AT", (i) => i.started_at],
        ],
        "no imports",
      );
      return;
    }
    const path = `/admin/v1/users/imports/${encodeURIComponent(id)}`;
    const [past, rows] = [await client.get<Past>(path), await client.all<Row & UndoneRow>(`${path}/rows`, {}, limit)];
    if (given.flag("json")) return printJson({ ...past, rows });
    printFacts(given, past, [
      ["id", past.id],
      ["status", past.status],
      ["rows", told(past.counts)],
      ["by", past.started_by],
      ["at", past.started_at],
      ["reason", past.reason],
    ]);
    print("");
    printRows(given, rows, [
      ["LINE", (r) => r.line],
      ["OUTCOME", (r) => r.outcome],
      ["LOGIN", (r) => r.login],
      ["CHANGES", changesOf],
      ["TAKEN BACK", (r) => r.undone],
    ]);
  },
};
