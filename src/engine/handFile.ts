/**
 * A CSV file that an administrator brings by hand, whatever it is of: read to its end once before anything of it is
 * believed, then again in chunks.
 *
 * Laws: a file that is cut inside a letter, has an unknown column or more rows than fit is refused whole; memory holds a
 * chunk of rows. A row that is wrong costs only itself. Our own file of refused rows is read as it is, but for the rows
 * that are not to be taken as they stand.
 *
 * Called by engine/peopleFile.ts and engine/membersFile.ts.
 */
import { ConnectorFault } from "../connectors/connector.ts";
import { type CsvCells, type CsvOptions, openCsvBlocks } from "../connectors/csv/read.ts";
import { mend_first, withoutGuard } from "../core/csv.ts";
import type { Refusal } from "../core/types.ts";
import { isRefusal } from "../store/database.ts";

export type Delimiter = NonNullable<CsvOptions["delimiter"]>;

/** A file that was read to its end. `columns`: without the one of reasons that our own file of refused rows has. */
export type HandFile = Readonly<{ path: string; delimiter: Delimiter; columns: readonly string[]; rows: number }>;

/**
 * What is wrong with a row. `mend`: alone in a file it would be taken as it stands, though it is not what was meant.
 */
export type RowProblem = Readonly<{ problem: string; column: string | null; mend?: true }>;

/** 200,000 logins are some 30 MB while the file is read. */
export const rows_max = 200_000;
/** A row is far below; a file whose quote was never closed is told early. */
const row_bytes_max = 256 * 1024;
/** Rows of a transaction: few enough that nobody waits long for the people in it. */
export const chunk_rows = 500;
const chunk_letters = 2 * 1024 * 1024;
/** The column that our file of refused rows has besides. */
export const reasons_column = "error";
/** Why a file cannot be imported at all. */
export const refuseFile = (refused: string, place = "file"): Refusal => ({ refused, code: "invalid", place });

/** A row whose cells could be read. */
type Whole = Extract<CsvCells, { cells: readonly string[] }>;

/**
 * Reads a file to its end. Gives its header and how many rows it has, or why it cannot be imported at all.
 *
 * @param known what the columns are, or why one cannot be.
 * @param each told of every row whose cells could be read.
 */
export async function checkFile<Known>(
  path: string,
  { delimiter, required }: Readonly<{ delimiter: Delimiter; required: readonly string[] }>,
  known: (header: readonly string[]) => Known | Refusal,
  each: (row: Whole, known: Known) => void = () => {},
): Promise<Readonly<{ header: readonly string[]; rows: number }> | Refusal> {
  let header: readonly string[] = [];
  let rows = 0;
  try {
    for await (const block of openCsvBlocks(path, { delimiter, row_max_bytes: row_bytes_max, required })) {
      header = block.header;
      const columns = known(header);
      if (isRefusal(columns)) return columns;
      for (const row of block.rows) {
        if (++rows > rows_max) return refuseFile(`the file has more than ${rows_max} rows: import it in parts`);
        if (!("error" in row)) each(row, columns);
      }
    }
  } catch (error) {
    if (error instanceof ConnectorFault && error.kind === "invalid") return refuseFile(error.message);
    throw error;
  }
  if (rows === 0) return refuseFile("the file has a header and no rows: there is nothing to import");
  return { header, rows };
}

/** The rows of a file that was checked, in chunks of some hundred. `rowOf`: for its header, what a row is. */
export async function* readFileChunks<Row>(
  { path, delimiter }: Pick<HandFile, "path" | "delimiter">,
  rowOf: (header: readonly string[]) => (row: CsvCells) => Row,
): AsyncGenerator<readonly Row[]> {
  let chunk: Row[] = [];
  let letters = 0;
  for await (const { header, rows } of openCsvBlocks(path, { delimiter, row_max_bytes: row_bytes_max })) {
    const one = rowOf(header);
    for (const row of rows) {
      chunk.push(one(row));
      letters += ("error" in row ? row.before : row.cells).reduce((sum, cell) => sum + cell.length, 0);
      if (chunk.length < chunk_rows && letters < chunk_letters) continue;
      yield chunk;
      chunk = [];
      letters = 0;
    }
  }
  if (chunk.length > 0) yield chunk;
}

const not_mended = `${reasons_column}: still begins with ${mend_first} put the row right, and empty that cell`;

/** A row's cells without the one of reasons (at `reasons_at`, below 0 for none), and what is wrong with it at first sight. */
export function cellsOf(
  row: CsvCells,
  width: number,
  reasons_at: number,
): Readonly<{ cells: readonly string[]; wrong?: RowProblem }> {
  const given = "error" in row ? row.before : row.cells;
  const cells: string[] = [];
  for (let n = 0; n < width; n++) if (n !== reasons_at) cells.push(withoutGuard(given[n] ?? ""));
  if ("error" in row) return { cells, wrong: { problem: row.error, column: row.column, mend: true } };
  const said = reasons_at >= 0 ? (given[reasons_at] ?? "") : "";
  if (said.startsWith(mend_first)) {
    const why = said.slice(mend_first.length).trim().slice(0, 500);
    return { cells, wrong: { problem: `${not_mended} (${why})`, column: reasons_column, mend: true } };
  }
  return { cells };
}
