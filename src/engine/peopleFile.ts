/**
 * A file of people that an administrator brings: columns named like attributes, `login` among them, one person a row. A
 * column `type` says of which type somebody is to be.
 *
 * Laws: those of handFile.ts; memory holds of the whole file only its logins and unique values. Of two rows with one login
 * or unique value the first counts.
 *
 * Called by engine/importPeople.ts and server/admin/people.ts.
 */
import type { CsvCells } from "../connectors/csv/read.ts";
import { readCell } from "../core/cells.ts";
import { withoutGuard } from "../core/csv.ts";
import { canonicalValue } from "../core/diff.ts";
import { nearest } from "../core/expression/suggest.ts";
import type { Attribute, Profile, Refusal, Schema, Value } from "../core/types.ts";
import { userSchema } from "../directory/schemaQueries.ts";
import { listUserTypes, typeNamed, type UserType } from "../directory/userTypes.ts";
import { type Database, isRefusal } from "../store/database.ts";
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

/** A file that can be imported. */
export type PeopleFile = HandFile &
  Readonly<{
    schema: Schema;
    /** Every type of people that there is. */
    types: readonly UserType[];
    /** Line → why it is refused: an earlier line has its login or unique value. */
    doubles: ReadonlyMap<number, string>;
  }>;

/**
 * A row: what it says (`profile`, without the login; null clears), or what is wrong with it. `cells`: as in the file.
 * `type`: the one it names, if it does.
 */
export type PersonRow = Readonly<{ line: number; login: string; cells: readonly string[] }> &
  (Readonly<{ profile: Profile; type?: UserType }> | RowProblem);

/** Reads a file to its end. Gives what it is, or why it cannot be imported at all. */
export async function checkPeopleFile(db: Database, path: string, delimiter: Delimiter): Promise<PeopleFile | Refusal> {
  const schema = await userSchema(db);
  const types = await listUserTypes(db);
  const taken = new Map<string, number>();
  const doubles = new Map<number, string>();
  const checked = await checkFile(
    path,
    { delimiter, required: ["login"] },
    (header) => columnsOf(schema, header),
    (row, known) => {
      const double = doubleOf(taken, known, row);
      if (double !== undefined) doubles.set(row.line, double);
    },
  );
  if (isRefusal(checked)) return checked;
  const columns = checked.header.filter((name) => !isReasons(schema, name));
  return { path, delimiter, schema, types, columns, rows: checked.rows, doubles };
}

const isReasons = ({ attributes }: Schema, name: string) =>
  name === reasons_column && !attributes.some((attribute) => attribute.name === name);

/** The column that names a type of people: no attribute is called so. */
const type_column: Attribute = {
  ...{ name: "type", type: "string", array: false, required: false, writable: "never", readable: true },
  ...{ unique: false, case_exact: false },
};

/** The attributes of the columns in order; undefined for the one of reasons. */
function columnsOf(schema: Schema, header: readonly string[]): readonly (Attribute | undefined)[] | Refusal {
  const known = new Map([type_column, ...schema.attributes].map((attribute) => [attribute.name, attribute]));
  const unknown = header.find((name) => !known.has(name) && !isReasons(schema, name));
  if (unknown === undefined) return header.map((name) => known.get(name));
  const near = nearest(unknown, known.keys());
  const hint = near === null ? "define the attribute first, or leave the column out" : `did you mean ${near}?`;
  return refuseFile(`Line 1: there is no attribute "${unknown.slice(0, 100)}" for this column; ${hint}`, "columns");
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
export function readPeople(file: PeopleFile): AsyncGenerator<readonly PersonRow[]> {
  return readFileChunks(file, (header) => {
    const columns = columnsOf(file.schema, header);
    if (isRefusal(columns)) throw new Error(`the schema changed while the file was read: ${columns.refused}`);
    return (row) => personOf(file, columns, row);
  });
}

function personOf(file: PeopleFile, columns: readonly (Attribute | undefined)[], row: CsvCells): PersonRow {
  const { cells, wrong } = cellsOf(row, columns.length, columns.indexOf(undefined));
  const login = cells[file.columns.indexOf("login")] ?? "";
  const told = { line: row.line, login, cells };
  if (wrong !== undefined) return { ...told, ...wrong };
  if (login === "") return { ...told, problem: "login: is empty; it says who the person is", column: "login" };
  const double = file.doubles.get(row.line);
  if (double !== undefined) return { ...told, problem: double, column: double.split(":")[0] ?? null, mend: true };
  const profile: [string, Value][] = [];
  let type: UserType | undefined;
  const known = columns.filter((attribute) => attribute !== undefined);
  for (const [n, attribute] of known.entries()) {
    if (attribute.name === "login") continue;
    if (attribute === type_column) {
      const named = typeNamed(file.types, cells[n] ?? "");
      if (isRefusal(named)) return { ...told, problem: `type: ${named.refused}`, column: attribute.name };
      type = named;
      continue;
    }
    const value = readCell(attribute, cells[n] ?? "");
    if (!("ok" in value)) return { ...told, problem: value.refused, column: attribute.name };
    profile.push([attribute.name, value.ok]);
  }
  return { ...told, profile: Object.fromEntries(profile), ...(type === undefined ? {} : { type }) };
}
