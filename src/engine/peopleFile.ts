/**
 * A file of people that an administrator brings: columns named like attributes, `login` among them, one person a row.
 *
 * Laws: the file is read to its end before anything of it is believed, so one that is cut inside a letter, has an unknown
 * column or more rows than fit is refused whole; memory holds a chunk of rows, and of the whole file only its logins and
 * unique values. A row that is wrong costs only itself. Of two rows with one login or unique value the first counts.
 *
 * Called by engine/importPeople.ts and server/admin/people.ts.
 */
import { ConnectorFault } from "../connectors/connector.ts";
import { type CsvCells, type CsvOptions, openCsvBlocks } from "../connectors/csv/read.ts";
import { readCell } from "../core/cells.ts";
import { withoutGuard } from "../core/csv.ts";
import { canonicalValue } from "../core/diff.ts";
import { nearest } from "../core/expression/suggest.ts";
import type { Attribute, Profile, Refusal, Schema, Value } from "../core/types.ts";
import { userSchema } from "../directory/schemaQueries.ts";
import { type Database, isRefusal } from "../store/database.ts";

/** A file that can be imported. `columns`: without the one of reasons that our own file of refused rows has. */
export type PeopleFile = Readonly<{
  path: string;
  delimiter: Delimiter;
  schema: Schema;
  columns: readonly string[];
  rows: number;
  /** Line → why it is refused: an earlier line has its login or unique value. */
  doubles: ReadonlyMap<number, string>;
}>;

export type Delimiter = NonNullable<CsvOptions["delimiter"]>;

/**
 * A row: what it says (`profile`, without the login; null clears), or what is wrong with it. `cells`: as in the file.
 * `mend`: alone in a file it would be taken as it stands, though it is not what was meant.
 */
export type PersonRow = Readonly<{ line: number; login: string; cells: readonly string[] }> &
  (Readonly<{ profile: Profile }> | Readonly<{ problem: string; column: string | null; mend?: true }>);

/** 200,000 logins are some 30 MB while the file is read. */
export const rows_max = 200_000;
/** A profile is far below; a file whose quote was never closed is told early. */
const row_bytes_max = 256 * 1024;
/** Rows of a transaction: few enough that nobody waits long for the people in it. */
const chunk_rows = 500;
const chunk_letters = 2 * 1024 * 1024;
/** The column that our file of refused rows has besides. */
const reasons_column = "error";
/**
 * What its cell begins with where the row's own cells would be taken as they stand: a row that was cut short would empty
 * what it lacks, and the second of two rows would overwrite the first.
 */
export const mend_first = "MEND: ";

const refuse = (refused: string, place = "file"): Refusal => ({ refused, code: "invalid", place });

/** Reads a file to its end. Gives what it is, or why it cannot be imported at all. */
export async function checkPeopleFile(db: Database, path: string, delimiter: Delimiter): Promise<PeopleFile | Refusal> {
  const schema = await userSchema(db);
  const taken = new Map<string, number>();
  const doubles = new Map<number, string>();
  let header: readonly string[] | undefined;
  let rows = 0;
  try {
    for await (const block of openCsvBlocks(path, { delimiter, row_max_bytes: row_bytes_max, required: ["login"] })) {
      const known = columnsOf(schema, block.header);
      if (isRefusal(known)) return known;
      header = block.header;
      for (const row of block.rows) {
        if (++rows > rows_max) return refuse(`the file has more than ${rows_max} rows: import it in parts`);
        const double = "error" in row ? undefined : doubleOf(taken, known, row);
        if (double !== undefined) doubles.set(row.line, double);
      }
    }
  } catch (error) {
    if (error instanceof ConnectorFault && error.kind === "invalid") return refuse(error.message);
    throw error;
  }
  if (rows === 0) return refuse("the file has a header and no rows: there is nothing to import");
  const columns = (header ?? []).filter((name) => !isReasons(schema, name));
  return { path, delimiter, schema, columns, rows, doubles };
}

const isReasons = ({ attributes }: Schema, name: string) =>
  name === reasons_column && !attributes.some((attribute) => attribute.name === name);

/** The attributes of the columns in order; undefined for the one of reasons. */
function columnsOf(schema: Schema, header: readonly string[]): readonly (Attribute | undefined)[] | Refusal {
  const known = new Map(schema.attributes.map((attribute) => [attribute.name, attribute]));
  const unknown = header.find((name) => !known.has(name) && !isReasons(schema, name));
  if (unknown === undefined) return header.map((name) => known.get(name));
  const near = nearest(unknown, known.keys());
  const hint = near === null ? "define the attribute first, or leave the column out" : `did you mean ${near}?`;
  return refuse(`Line 1: there is no attribute "${unknown.slice(0, 100)}" for this column; ${hint}`, "columns");
}

/** What an earlier row has of this one's login and unique values; else they are this row's from now on. */
function doubleOf(
  taken: Map<string, number>,
  columns: readonly (Attribute | undefined)[],
  { line, cells }: Extract<CsvCells, { cells: readonly string[] }>,
): string | undefined {
  const keys = columns.flatMap((attribute, n) => {
    if (!attribute?.unique) return [];
    const value = readCell(attribute, withoutGuard(cells[n] ?? ""));
    const key = "ok" in value ? canonicalValue(value.ok, attribute) : null;
    return key === null ? [] : [[attribute.name, `${attribute.name} ${key}`] as const];
  });
  const double = keys.find(([, key]) => taken.has(key));
  if (double !== undefined) return `${double[0]}: line ${taken.get(double[1])} of this file has the same already`;
  for (const [, key] of keys) taken.set(key, line);
  return undefined;
}

/** The rows of a file that was checked, in chunks of some hundred. */
export async function* readPeople(file: PeopleFile): AsyncGenerator<readonly PersonRow[]> {
  let chunk: PersonRow[] = [];
  let letters = 0;
  const { delimiter } = file;
  for await (const { header, rows } of openCsvBlocks(file.path, { delimiter, row_max_bytes: row_bytes_max })) {
    const columns = columnsOf(file.schema, header);
    if (isRefusal(columns)) throw new Error(`the schema changed while the file was read: ${columns.refused}`);
    for (const row of rows) {
      chunk.push(personOf(file, columns, row));
      letters += ("error" in row ? row.before : row.cells).reduce((sum, cell) => sum + cell.length, 0);
      if (chunk.length < chunk_rows && letters < chunk_letters) continue;
      yield chunk;
      chunk = [];
      letters = 0;
    }
  }
  if (chunk.length > 0) yield chunk;
}

const not_mended = `${reasons_column}: still begins with ${mend_first.trim()} put the row right, and empty that cell`;

function personOf(file: PeopleFile, columns: readonly (Attribute | undefined)[], row: CsvCells): PersonRow {
  const given = "error" in row ? row.before : row.cells;
  const cells = columns.flatMap((attribute, n) => (attribute === undefined ? [] : [withoutGuard(given[n] ?? "")]));
  const login = cells[file.columns.indexOf("login")] ?? "";
  const told = { line: row.line, login, cells };
  const reasons_at = columns.indexOf(undefined);
  const unmended = reasons_at >= 0 && (given[reasons_at] ?? "").startsWith(mend_first.trim());
  if ("error" in row) return { ...told, problem: row.error, column: row.column, mend: true };
  if (unmended) return { ...told, problem: not_mended, column: reasons_column, mend: true };
  if (login === "") return { ...told, problem: "login: is empty; it says who the person is", column: "login" };
  const double = file.doubles.get(row.line);
  if (double !== undefined) return { ...told, problem: double, column: double.split(":")[0] ?? null, mend: true };
  const profile: [string, Value][] = [];
  const known = columns.filter((attribute) => attribute !== undefined);
  for (const [n, attribute] of known.entries()) {
    if (attribute.name === "login") continue;
    const value = readCell(attribute, cells[n] ?? "");
    if (!("ok" in value)) return { ...told, problem: value.refused, column: attribute.name };
    profile.push([attribute.name, value.ok]);
  }
  return { ...told, profile: Object.fromEntries(profile) };
}
