/**
 * A CSV file in the server's import folder as a source: read only, streamed, page by page. Each row is an account; a
 * broken row is reported, with its id where that is beyond doubt, so that no one is missed for having a typing error in
 * their row. A broken row of unknown id, or a second one with the same id, may be anybody's: it makes the list incomplete.
 * So does a broken last row: that is how a file that was cut off ends. One that is told to have a trailer and has none, or
 * another number of rows than it says, is no list at all.
 *
 * A list keeps its place in the open file between pages; after a restart it counts its way back to the place, if the
 * file is still the same. Made by registry.ts.
 */
import { realpath, stat } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { inKeptOrder, setOwn } from "../../core/profile.ts";
import type { Attribute, Schema, Value } from "../../core/types.ts";
import {
  type Connector,
  ConnectorFault,
  type Context,
  type MatchKey,
  type Page,
  type PageRequest,
  type RemoteAccount,
} from "../connector.ts";
import { readOnly } from "../readOnly.ts";
import { isEnabledBy } from "../rowForm.ts";
import { type CsvConfig, csv_config } from "./config.ts";
import { type CsvBlock, type CsvCells, csvHeader, openCsvBlocks } from "./read.ts";

/** `folder`: the only place that files are read from; undefined: the operator has not set one. */
export type CsvOptions = Readonly<{ folder?: string }>;

/** Also the most: what is larger than a socket holds is only sent on between two pages (300,000 rows: 1.75 s instead of 1.92). */
const page_max = 500;
const readings_max = 4;

type Place = Readonly<{ stamp: string; row: number; whole: boolean }>;
/** An open file: the block under way with the next row in it, the ids that were there, and how many rows were given. */
type Reading = {
  blocks: AsyncGenerator<CsvBlock>;
  rows: readonly CsvCells[];
  at: number;
  accountOf: AccountOf;
  attributes: readonly string[];
  ids: Set<string>;
  row: number;
  /** The row before was broken, or was the trailer. */
  broken: boolean;
  trailer: CsvCells | undefined;
};
/** A row as an account, or why it is none; with its id if that is certain. */
type AccountOf = (row: CsvCells) => RemoteAccount | Readonly<{ line: number; error: string; known_id?: string }>;
type Parts = Readonly<{
  config: ReturnType<typeof csv_config.parse>;
  folder: string | undefined;
  readings: Map<string, Reading>;
}>;

/** The file's real path. Throws `denied` for one outside the folder, also through a symbolic link. */
async function filePath({ config, folder }: Parts): Promise<string> {
  if (folder === undefined) {
    throw new ConnectorFault("denied", "No import folder is set on this server; CSV files can only be read from there");
  }
  const root = await realpath(folder).catch(() => null);
  if (root === null) throw new ConnectorFault("denied", "The server's import folder is not there");
  const wanted = resolve(root, config.file);
  const path = await realpath(wanted).catch(() => null);
  if (!wanted.startsWith(root + sep) || (path !== null && !path.startsWith(root + sep))) {
    throw new ConnectorFault("denied", `${config.file} is not in the server's import folder`, { attribute: "file" });
  }
  if (path === null) {
    throw new ConnectorFault("retry", `There is no file ${config.file} in the server's import folder yet`, {
      attribute: "file",
    });
  }
  return path;
}

/** Tells one version of the file from another. */
async function stampOf(path: string): Promise<string> {
  const { size, mtimeMs } = await stat(path);
  return `${size}-${mtimeMs}`;
}

/** @throws ConnectorFault `retry` for a file that may still be written to. */
async function quietStamp({ config }: Parts, path: string, now: Date): Promise<string> {
  const { size, mtimeMs } = await stat(path);
  const seconds = (now.getTime() - mtimeMs) / 1_000;
  if (config.quiet_seconds === 0 || seconds >= config.quiet_seconds) return `${size}-${mtimeMs}`;
  const ago = `${Math.max(0, Math.round(seconds))} seconds ago`;
  throw new ConnectorFault("retry", `${config.file} was written to ${ago}: it may not be whole yet`);
}

function required({ config }: Parts): readonly string[] {
  const state = config.enabled_column === undefined ? [] : [config.enabled_column];
  return [...new Set([config.id_column, ...state, ...Object.values(config.columns ?? {})])];
}

function blocks(parts: Parts, path: string): AsyncGenerator<CsvBlock> {
  return openCsvBlocks(path, { required: required(parts), delimiter: parts.config.delimiter });
}

/** The attributes that rows under a header have. */
const attributesUnder = (header: readonly string[], { config }: Parts): readonly string[] =>
  config.columns === undefined ? header : Object.keys(config.columns);

/** What turns the rows under a header into accounts: where each attribute stands is looked up once. */
function accountsUnder(header: readonly string[], { config }: Parts): AccountOf {
  const place = new Map(header.map((name, n) => [name, n]));
  const columns = new Map(
    config.columns === undefined ? header.map((name) => [name, name]) : Object.entries(config.columns),
  );
  const attributes = inKeptOrder(columns.keys()).map((name) => ({ name, n: place.get(columns.get(name) ?? "") ?? 0 }));
  const id_at = place.get(config.id_column) ?? 0;
  const state_at = config.enabled_column === undefined ? undefined : place.get(config.enabled_column);
  const isEnabled = isEnabledBy(config.enabled_values);
  return (row) => {
    if ("error" in row) {
      const where = row.column === null ? "" : `column "${row.column}": `;
      const id = certainId(row.before, id_at, header.length);
      return { line: row.line, error: `${where}${row.error}`, ...(id === undefined ? {} : { known_id: id }) };
    }
    const { cells, line } = row;
    const id = cells[id_at] ?? "";
    if (id === "") return { line, error: `column "${config.id_column}": the id is empty` };
    const profile: Record<string, Value> = {};
    for (const { name, n } of attributes) if (cells[n] !== "") setOwn(profile, name, cells[n]!);
    const enabled = state_at === undefined || isEnabled(cells[state_at] ?? "");
    return { id, profile, enabled, place: `line ${line}` };
  };
}

/**
 * The id of a broken row. Where the number of cells is wrong, a cell may stand in another's place: only the first one
 * stands where it should.
 */
function certainId(before: readonly string[], id_at: number, columns: number): string | undefined {
  const id = id_at === 0 || before.length === columns ? before[id_at] : undefined;
  return id === undefined || id === "" || id.includes("\0") ? undefined : id;
}

/** The next row of the block under way; undefined at its end. */
function rowAtHand(reading: Reading, parts: Parts): CsvCells | undefined {
  const row = reading.rows[reading.at];
  if (row === undefined) return undefined;
  if (reading.trailer !== undefined)
    throw new ConnectorFault("retry", `Line ${row.line}: there is a row behind the trailer`);
  reading.at += 1;
  reading.row += 1;
  reading.broken = "error" in row;
  if (isTrailer(row, parts)) reading.trailer = row;
  return row;
}

const isTrailer = (row: CsvCells, { config }: Parts): boolean =>
  config.trailer !== undefined && cellsIn(row)[0]?.trim() === config.trailer;

const cellsIn = (row: CsvCells): readonly string[] => ("cells" in row ? row.cells : row.before);

/** @throws ConnectorFault `retry` for a file that does not end as it should, or was written to meanwhile. */
async function requireWhole(reading: Reading, path: string, stamp: string, { config }: Parts): Promise<void> {
  const { file, trailer } = config;
  if ((await stampOf(path)) !== stamp) {
    throw new ConnectorFault("retry", `${file} was changed while it was read; start the list again`);
  }
  if (trailer === undefined) return;
  if (reading.trailer === undefined) {
    throw new ConnectorFault("retry", `${file} is not whole: its last row is not the trailer "${trailer}"`);
  }
  const said = cellsIn(reading.trailer)[1]?.trim() ?? "";
  const rows = reading.row - 1;
  if (/^\d+$/.test(said) && Number(said) !== rows) {
    throw new ConnectorFault("retry", `${file} is not whole: its trailer says ${said} rows, and there are ${rows}`);
  }
}

/** The next row of an open file, waiting for its block if need be; undefined at the end of the file. */
async function nextRow(reading: Reading, parts: Parts): Promise<CsvCells | undefined> {
  while (reading.at >= reading.rows.length) {
    const { value, done } = await reading.blocks.next();
    if (done === true) return undefined;
    if (reading.row === 0) {
      reading.accountOf = accountsUnder(value.header, parts);
      reading.attributes = attributesUnder(value.header, parts);
    }
    reading.rows = value.rows;
    reading.at = 0;
  }
  return rowAtHand(reading, parts);
}

/**
 * Remembers an id. A long text cut from a block would keep the whole block in memory, and at last the whole file: it is
 * copied.
 */
function remember(ids: Set<string>, id: string): void {
  ids.add(id.length < 13 ? id : Buffer.from(id).toString());
}

function decode(cursor: string): Place {
  const [stamp, row, whole] = cursor.split("_");
  if (stamp === undefined || !/^\d+$/.test(row ?? "")) {
    throw new ConnectorFault("invalid", "The list cursor is not one of this connector's; start the list again");
  }
  return { stamp, row: Number(row), whole: whole === "1" };
}

/** The open file at a place: the one kept from the page before, or a new one counted forward. */
async function readingAt(parts: Parts, path: string, place: Place, key: string): Promise<Reading> {
  const kept = parts.readings.get(key);
  parts.readings.delete(key);
  if (kept !== undefined && kept.row === place.row) return kept;
  const none: AccountOf = (row) => ({ line: row.line, error: "the header was not read" });
  const reading: Reading = {
    ...{ blocks: blocks(parts, path), rows: [], at: 0 },
    ...{ accountOf: none, attributes: [], ids: new Set<string>(), row: 0, broken: false, trailer: undefined },
  };
  while (reading.row < place.row) {
    const row = await nextRow(reading, parts);
    if (row === undefined) break;
    if (row === reading.trailer) break;
    const account = reading.accountOf(row);
    if ("id" in account) remember(reading.ids, account.id);
  }
  return reading;
}

async function keep(parts: Parts, key: string, reading: Reading): Promise<void> {
  parts.readings.set(key, reading);
  if (parts.readings.size <= readings_max) return;
  const [oldest, dropped] = parts.readings.entries().next().value!;
  parts.readings.delete(oldest);
  await dropped.blocks.return(undefined);
}

async function list(parts: Parts, { signal, now }: Context, request: PageRequest): Promise<Page> {
  const path = await filePath(parts);
  const stamp = await quietStamp(parts, path, now());
  const fresh = request.cursor === undefined || request.cursor === "";
  const place = fresh ? { stamp, row: 0, whole: true } : decode(request.cursor!);
  if (place.stamp !== stamp) {
    throw new ConnectorFault("retry", `${parts.config.file} was changed while it was read; start the list again`);
  }
  const reading = await readingAt(parts, path, place, request.cursor ?? "");
  const items: RemoteAccount[] = [];
  const refused: { place: string; reason: string; id?: string }[] = [];
  const isWhole = () => place.whole && refused.every(({ id }) => id !== undefined);
  const limit = Math.min(request.limit ?? page_max, page_max);
  for (let count = 0; count < limit; count++) {
    if (signal.aborted) throw new ConnectorFault("retry", `${parts.config.file}: no time was left to read on`);
    const row = rowAtHand(reading, parts) ?? (await nextRow(reading, parts));
    if (row === undefined) {
      await requireWhole(reading, path, stamp, parts);
      return {
        items,
        complete: isWhole() && !reading.broken,
        ...(request.repeats === true ? {} : { distinct: true }),
        attributes: reading.attributes,
        ...(refused.length === 0 ? {} : { refused }),
      };
    }
    if (row === reading.trailer) {
      reading.broken = false;
      continue;
    }
    const account = reading.accountOf(row);
    if ("error" in account) {
      const { line, error, known_id } = account;
      refused.push({ place: `line ${line}`, reason: error, ...(known_id === undefined ? {} : { id: known_id }) });
    } else if (request.repeats !== true && reading.ids.has(account.id)) {
      refused.push({ place: `line ${row.line}`, reason: `the id ${account.id} was there before` });
    } else {
      remember(reading.ids, account.id);
      items.push(account);
    }
  }
  const next = `${stamp}_${reading.row}_${isWhole() ? 1 : 0}`;
  await keep(parts, next, reading);
  return { items, next, attributes: reading.attributes, ...(refused.length === 0 ? {} : { refused }) };
}

/** Every account that `accept` takes, by reading the whole file. */
async function scan(
  parts: Parts,
  signal: AbortSignal,
  accept: (one: RemoteAccount) => boolean,
): Promise<RemoteAccount[]> {
  const found: RemoteAccount[] = [];
  for await (const { header, rows } of blocks(parts, await filePath(parts))) {
    if (signal.aborted) throw new ConnectorFault("retry", `${parts.config.file}: no time was left to read on`);
    for (const account of rows.filter((row) => !isTrailer(row, parts)).map(accountsUnder(header, parts))) {
      if ("id" in account && accept(account)) found.push(account);
    }
  }
  return found;
}

function attribute(name: string, column: string, is_id: boolean): Attribute {
  return {
    name,
    title: column,
    type: "string",
    array: false,
    required: is_id,
    writable: "never",
    readable: true,
    unique: is_id,
    case_exact: true,
    external_name: column,
  };
}

async function schema(parts: Parts): Promise<Schema> {
  const { config } = parts;
  const header = await csvHeader(await filePath(parts), { required: required(parts), delimiter: config.delimiter });
  const columns =
    config.columns === undefined ? header.map((name) => [name, name] as const) : Object.entries(config.columns);
  return { attributes: columns.map(([name, column]) => attribute(name, column, column === config.id_column)) };
}

/** A source that reads one CSV file. Throws `invalid` for a configuration that does not fit its form. */
export function csvConnector(config: CsvConfig, options: CsvOptions = {}): Connector {
  const parts: Parts = { config: csv_config.parse(config), folder: options.folder, readings: new Map() };
  return Object.freeze({
    kind: "csv",
    ...readOnly("A CSV file"),
    lists_only: true,
    test: async () => void (await schema(parts)),
    schema: () => schema(parts),
    list: (ctx, page) => list(parts, ctx, page),
    read: async (ctx, id) => (await scan(parts, ctx.signal, (one) => one.id === id))[0] ?? null,
    find: (ctx, key: MatchKey) => scan(parts, ctx.signal, (one) => one.profile[key.attribute] === key.value),
    async close() {
      for (const { blocks: open } of parts.readings.values()) await open.return(undefined);
      parts.readings.clear();
    },
  } satisfies Connector);
}
