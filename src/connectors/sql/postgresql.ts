/** The session with a PostgreSQL: a cursor in a read-only transaction. Its laws are those of session.ts. */
import pg from "pg";
import { portOf } from "./config.ts";
import {
  asPart,
  type Cell,
  connect_ms,
  type Field,
  guarded,
  guardedSocket,
  idle_ms,
  type Kind,
  type Meanings,
  type OpenSession,
  requireAddress,
  statement_ms,
} from "./session.ts";
import type { Order } from "./watermark.ts";

/** Numbers of PostgreSQL's own types (pg_type.dat), the same in every server. */
const kinds: ReadonlyMap<number, Kind> = new Map<number, Kind>([
  [16, "boolean"],
  ...[20, 21, 23].map((type) => [type, "integer"] as const),
  ...[700, 701].map((type) => [type, "number"] as const),
  ...[1009, 1015].map((type) => [type, "texts"] as const),
]);
const orders: ReadonlyMap<number, Order> = new Map<number, Order>([
  ...[20, 21, 23, 700, 701, 1700, 5069].map((type) => [type, "number"] as const),
  ...[1114, 1184].map((type) => [type, "time"] as const),
  [1082, "day"],
]);

const meanings: Meanings = [[/^42501/, "denied", "the user may not read that: grant it SELECT"]];

/** Opens a session on the query. @throws ConnectorFault as the database refused. */
export const openPostgresql: OpenSession = async (place, ctx, since) => {
  const { settings, credentials, rule } = place;
  requireAddress(place);
  const client = new pg.Client({
    host: settings.host,
    port: portOf(settings),
    database: settings.database,
    user: settings.username,
    password: credentials.token.reveal(),
    application_name: "tenure",
    connectionTimeoutMillis: connect_ms,
    statement_timeout: statement_ms,
    ssl: settings.tls === "off" ? false : { rejectUnauthorized: true },
    stream: () => guardedSocket(rule),
    // As the database wrote them; what they are is for the kinds to say.
    types: { getTypeParser: () => (text: string) => text } as never,
  });
  // A connection that breaks is told by the query under way, or by the next one.
  client.on("error", () => {});
  const close = () => client.end().catch(() => {});
  const column = pg.escapeIdentifier(settings.changed_column ?? "");
  const query =
    since === undefined
      ? settings.query
      : `select * from ${asPart(settings)} where people.${column} >= $1 or people.${column} is null`;
  try {
    await guarded(place, ctx, meanings, async () => {
      await client.connect();
      await client.query("begin transaction isolation level repeatable read, read only");
      await client.query("set local timezone = 'UTC'");
      await client.query("set local datestyle = 'ISO'");
      await client.query(`set local idle_in_transaction_session_timeout = ${idle_ms}`);
      // With its own protocol message a second statement behind the first is refused, whatever the text says.
      await client.query({
        text: `declare people no scroll cursor for ${query}`,
        queryMode: "extended",
        ...(since === undefined ? {} : { values: [since.from] }),
      } as never);
    });
  } catch (error) {
    void close();
    throw error;
  }
  return {
    next: (ctx, n) =>
      guarded(place, ctx, meanings, async () => {
        const { fields, rows } = await client.query<(string | null)[]>({
          text: `fetch forward ${Math.floor(n)} from people`,
          rowMode: "array",
        });
        const columns = fields.map(fieldOf);
        return { fields: columns, rows: rows.map((row) => row.map((text, n) => cellOf(text, columns[n]))) };
      }),
    close,
  };
};

const fieldOf = ({ name, dataTypeID }: pg.FieldDef): Field => ({
  name,
  kind: kinds.get(dataTypeID) ?? "text",
  order: orders.get(dataTypeID) ?? "text",
});

function cellOf(text: string | null, field: Field | undefined): Cell {
  if (text === null) return null;
  if (field?.kind === "boolean") return text === "t";
  return field?.kind === "texts" ? textsOf(text) : text;
}

/** The texts of an array as PostgreSQL writes it: `{a,"b \\"c\\"",NULL}`; of one dimension. */
function textsOf(text: string): string[] {
  const found: string[] = [];
  for (const [, quoted, plain] of text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,{}"]+)/g)) {
    if (quoted !== undefined) found.push(quoted.replaceAll(/\\(.)/g, "$1"));
    else if (plain !== undefined && plain !== "NULL") found.push(plain);
  }
  return found;
}
