/**
 * The session with a MariaDB: one SELECT in a read-only transaction, whose rows are taken from the connection as they are
 * asked for. Its laws are those of session.ts.
 *
 * A read-only transaction is not enough here: what ends a transaction by itself, such as `truncate`, runs all the same. So
 * the query must first stand as a part of a SELECT, which only a SELECT can.
 */
import mysql from "mysql2";
import { portOf, type SqlSettings } from "./config.ts";
import {
  asPart,
  type Cell,
  connect_ms,
  type Field,
  guarded,
  guardedSocket,
  idle_ms,
  type Meanings,
  type OpenSession,
  type Place,
  type Rows,
  requireAddress,
  statement_ms,
} from "./session.ts";
import type { Since } from "./watermark.ts";

const meanings: Meanings = [
  [/ER_ACCESS_DENIED|ER_DBACCESS_DENIED|ER_BAD_DB/, "denied", "check the database, the user and the password"],
  [/AUTH_SWITCH_PLUGIN/, "denied", "let the user sign in by mysql_native_password"],
  [/ER_(TABLEACCESS|COLUMNACCESS)_DENIED/, "denied", "the user may not read that: grant it SELECT"],
  [/ER_DUP_FIELDNAME/, "denied", "the query gives two columns of this name: name one of them otherwise"],
  [/ER_UNKNOWN_SYSTEM_VARIABLE/, "denied", "is this a MariaDB of 10.5 or newer?"],
  [/ER_CANT_AGGREGATE_\dCOLLATIONS|ER_WRONG_ARGUMENTS/, "denied", "check the query"],
];

/** Opens a session on the query. @throws ConnectorFault as the database refused. */
export const openMariadb: OpenSession = async (place, ctx, since) => {
  requireAddress(place);
  const connection = connect(place);
  // A connection that breaks is told by the statement under way, or by the next one.
  connection.on("error", () => {});
  try {
    const reading = await guarded(place, ctx, meanings, async () => {
      await begin(connection, place.settings, since);
      const reading = openReading(connection, since);
      await reading.fields;
      return reading;
    });
    return {
      next: (ctx, n) => guarded(place, ctx, meanings, () => take(reading, n)),
      // Rows may still be on their way: to say goodbye in turn would take all of them.
      close: async () => connection.destroy(),
    };
  } catch (error) {
    connection.destroy();
    throw error;
  }
};

function connect({ settings, credentials, rule }: Place): mysql.Connection {
  const port = portOf(settings);
  return mysql.createConnection({
    host: settings.host,
    port,
    database: settings.database,
    user: settings.username,
    password: credentials.token.reveal(),
    charset: "utf8mb4_bin",
    connectTimeout: connect_ms,
    connectAttributes: { program_name: "tenure" },
    // A server may ask for files of ours: it gets none.
    flags: ["-LOCAL_FILES"],
    // Parsers that are made of column names as code are not for names of others.
    disableEval: true,
    ...(settings.tls === "off" ? {} : { ssl: { rejectUnauthorized: true, verifyIdentity: true } }),
    stream: () => guardedSocket(rule).connect(port, settings.host).setNoDelay(true),
  });
}

const quoted = (name: string) => `\`${name.replaceAll("`", "``")}\``;

/** One view of the data that is only read, and the query, judged. */
async function begin(connection: mysql.Connection, settings: SqlSettings, since: Since | undefined): Promise<void> {
  await say(connection, "set session time_zone = '+00:00'");
  await say(connection, `set session max_statement_time = ${statement_ms / 1_000}`);
  await say(connection, `set session net_write_timeout = ${idle_ms / 1_000}, wait_timeout = ${idle_ms / 1_000}`);
  await say(connection, "set session transaction isolation level repeatable read");
  await say(connection, "start transaction with consistent snapshot, read only");
  const part = `select * from ${asPart(settings)}`;
  await bind(connection, "set @tenure_query = ?", part);
  await say(connection, "prepare judged from @tenure_query");
  await say(connection, "deallocate prepare judged");
  if (since === undefined) return bind(connection, "set @tenure_query = ?", settings.query);
  const column = `people.${quoted(settings.changed_column ?? "")}`;
  await bind(connection, "set @tenure_query = ?", `${part} where ${column} >= ? or ${column} is null`);
  const value = since.order === "number" ? "cast(? as decimal(65,10))" : "?";
  await bind(connection, `set @tenure_since = ${value}`, since.from.replace(/\+00$/, ""));
}

/** A statement of ours. */
function say(connection: mysql.Connection, sql: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  connection.query(sql, (error) => (error === null ? resolve() : reject(error)));
  return promise;
}

/** A statement with a value that the server itself binds. */
function bind(connection: mysql.Connection, sql: string, value: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  connection.execute(sql, [value], (error) => (error === null ? resolve() : reject(error)));
  return promise;
}

/** Rows on their way. The connection rests while nobody takes them. */
type Reading = Readonly<{ fields: Promise<readonly Column[]>; rows: AsyncIterator<readonly (Buffer | null)[]> }>;

/** Rows that wait in our memory. */
const waiting_max = 500;

function openReading(connection: mysql.Connection, since: Since | undefined): Reading {
  const using = since === undefined ? "" : " using @tenure_since";
  // Through `execute immediate` rows come as text, and a second statement behind the first is refused.
  const query = connection.query({
    sql: `execute immediate @tenure_query${using}`,
    rowsAsArray: true,
    typeCast: false,
  } as mysql.QueryOptions);
  const { promise, resolve, reject } = Promise.withResolvers<readonly Column[]>();
  const stream = query.stream({ highWaterMark: waiting_max });
  query.on("fields", (fields: readonly mysql.FieldPacket[] | undefined) => resolve((fields ?? []).map(columnOf)));
  stream.on("error", reject);
  stream.on("end", () => resolve([]));
  // A connection that breaks tells only itself of it.
  connection.on("error", (error) => stream.destroy(error));
  return { fields: promise, rows: stream[Symbol.asyncIterator]() as Reading["rows"] };
}

async function take({ fields, rows }: Reading, n: number): Promise<Rows> {
  const columns = await fields;
  const found: Cell[][] = [];
  while (found.length < n) {
    const { done, value } = await rows.next();
    if (done === true) break;
    found.push(columns.map((column, at) => cellOf(value[at] ?? null, column)));
  }
  return { fields: columns, rows: found };
}

/** `read`: the cell of what the server sent. */
type Column = Field & Readonly<{ read: (bytes: Buffer) => Cell }>;

const { Types } = mysql;
/** What the server says of a text that is none, but bytes. */
const bytes_charset = 63;
/** Of a column's flags: its values are lists. */
const set_flag = 2_048;

const text = (bytes: Buffer) => bytes.toString("utf8");
/** Both databases write a time alike: without zeros that say nothing. */
const timeText = (bytes: Buffer) =>
  text(bytes)
    .replace(/(\.\d*?)0+$/, "$1")
    .replace(/\.$/, "");
/** MariaDB keeps days that there are not for "none". */
const unlessZero = (day: string) => (/^\d{4}-00|^\d{4}-\d\d-00/.test(day) ? null : day);
const hex = (bytes: Buffer) => `\\x${bytes.toString("hex")}`;
const isTrue = (bytes: Buffer) => text(bytes) !== "0";

function columnOf(field: mysql.FieldPacket): Column {
  const told = { name: field.name };
  const [type, width] = [field.columnType, field.columnLength];
  switch (type) {
    case Types.TINY:
      if (width === 1) return { ...told, kind: "boolean", order: "text", read: isTrue };
      return { ...told, kind: "integer", order: "number", read: text };
    case Types.SHORT:
    case Types.INT24:
    case Types.LONG:
    case Types.LONGLONG:
    case Types.YEAR:
      return { ...told, kind: "integer", order: "number", read: text };
    case Types.FLOAT:
    case Types.DOUBLE:
      return { ...told, kind: "number", order: "number", read: text };
    case Types.DECIMAL:
    case Types.NEWDECIMAL:
      return { ...told, kind: "text", order: "number", read: text };
    case Types.DATE:
    case Types.NEWDATE:
      return { ...told, kind: "text", order: "day", read: (bytes) => unlessZero(text(bytes)) };
    case Types.DATETIME:
      return { ...told, kind: "text", order: "time", read: (bytes) => unlessZero(timeText(bytes)) };
    case Types.TIMESTAMP:
      return { ...told, kind: "text", order: "time", read: (bytes) => zoned(unlessZero(timeText(bytes))) };
    case Types.TIME:
      return { ...told, kind: "text", order: "text", read: timeText };
    case Types.BIT:
      if (width === 1) return { ...told, kind: "boolean", order: "text", read: (bytes) => bytes[0] === 1 };
      return {
        ...told,
        kind: "integer",
        order: "text",
        read: (bytes) => BigInt(`0x${bytes.toString("hex")}`).toString(),
      };
    case Types.GEOMETRY:
      return { ...told, kind: "text", order: "text", read: hex };
    default:
      return otherColumn(field);
  }
}

function otherColumn({ name, flags, characterSet }: mysql.FieldPacket): Column {
  if ((Number(flags) & set_flag) !== 0) {
    return { name, kind: "texts", order: "text", read: (bytes) => (bytes.length === 0 ? [] : text(bytes).split(",")) };
  }
  return { name, kind: "text", order: "text", read: characterSet === bytes_charset ? hex : text };
}

const zoned = (time: string | null) => time && `${time}+00`;

const cellOf = (bytes: Buffer | null, { read }: Column): Cell => (bytes === null ? null : read(bytes));
