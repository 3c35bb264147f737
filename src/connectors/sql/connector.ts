/**
 * People by a query of a PostgreSQL or MariaDB database. Read only, in one view of the data, page by page. Made by
 * registry.ts; its laws are those of connector.ts.
 *
 * A list keeps its session between pages. After a restart there is none, and the list is to be started again: another
 * session would see other data, and a page between two views could lack someone.
 */
import { randomUUID } from "node:crypto";
import type { Schema } from "../../core/types.ts";
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
import { type SqlConfig, type SqlCredentials, sql_config } from "./config.ts";
import { openMariadb } from "./mariadb.ts";
import { openPostgresql } from "./postgresql.ts";
import { accountsUnder, attributeOf, placesOf } from "./rows.ts";
import type { Field, OpenSession, Place, Rows, Session } from "./session.ts";
import { type Mark, marked, markOf, sinceOf, tokenOf } from "./watermark.ts";

/** `allow_private`: the operator lets connectors reach private and loopback addresses. */
export type SqlOptions = Readonly<{ allow_private?: boolean }>;

/** A list under way: its session, the ids that were there, how many rows were given, and the last change that was seen. */
type Reading = { session: Session; ids: Set<string>; row: number; whole: boolean; mark: Mark | undefined };
type Parts = Readonly<{ place: Place; readings: Map<string, Reading> }>;

const page_default = 500;
const readings_max = 2;

const openSession: OpenSession = (place, ctx, since) =>
  (place.settings.dialect === "mariadb" ? openMariadb : openPostgresql)(place, ctx, since);

/** The list that a cursor goes on with, taken out of those kept; a new one without a cursor. */
async function readingAt(parts: Parts, ctx: Context, { cursor, since }: PageRequest): Promise<Reading> {
  if (cursor === undefined || cursor === "") {
    const { settings } = parts.place;
    const mark = since === undefined || settings.changed_column === undefined ? undefined : markOf(since);
    const session = await openSession(parts.place, ctx, mark && sinceOf(mark, settings));
    return { session, ids: new Set(), row: 0, whole: true, mark };
  }
  const kept = parts.readings.get(cursor);
  if (kept === undefined) throw new ConnectorFault("retry", "The list that was under way is gone; start it again");
  parts.readings.delete(cursor);
  return kept;
}

async function keep(parts: Parts, reading: Reading): Promise<string> {
  const cursor = randomUUID();
  parts.readings.set(cursor, reading);
  if (parts.readings.size > readings_max) {
    const [oldest, dropped] = parts.readings.entries().next().value!;
    parts.readings.delete(oldest);
    await dropped.session.close();
  }
  return cursor;
}

async function list(parts: Parts, ctx: Context, request: PageRequest): Promise<Page> {
  const reading = await readingAt(parts, ctx, request);
  const limit = Math.max(1, request.limit ?? page_default);
  try {
    const { fields, rows } = await reading.session.next(ctx, limit);
    const places = placesOf(fields, parts.place.settings);
    const accountOf = accountsUnder(fields, places, parts.place.settings);
    const items: RemoteAccount[] = [];
    const refused: { place: string; reason: string }[] = [];
    for (const row of rows) {
      const account = accountOf(row, ++reading.row);
      const place = `row ${reading.row}`;
      if ("error" in account) refused.push({ place, reason: account.error });
      else if (request.repeats !== true && reading.ids.has(account.id))
        refused.push({ place, reason: `the id ${account.id} was there before` });
      else {
        reading.ids.add(account.id);
        items.push(account);
      }
    }
    reading.whole &&= refused.length === 0;
    reading.mark = markAfter(reading, fields, rows, parts.place.settings.changed_column);
    const told = { items, attributes: [...places.keys()], ...(refused.length === 0 ? {} : { refused }) };
    if (rows.length === limit) return { ...told, next: await keep(parts, reading) };
    await reading.session.close();
    const since = reading.mark === undefined ? {} : { since: tokenOf(reading.mark, ctx.now()) };
    const distinct = request.repeats === true ? {} : { distinct: true as const };
    return { ...told, complete: reading.whole, ...distinct, ...since };
  } catch (error) {
    await reading.session.close();
    throw error;
  }
}

/** The last change that was seen, after these rows. @throws ConnectorFault if the column is of another type by now. */
function markAfter(
  { mark }: Reading,
  fields: readonly Field[],
  rows: Rows["rows"],
  column: string | undefined,
): Mark | undefined {
  const at = fields.findIndex(({ name }) => name === column);
  const order = fields[at]?.order;
  if (order === undefined) return undefined;
  if (mark !== undefined && mark.order !== order) {
    const message = `The column ${column} is no ${mark.order} any more: run a full import`;
    throw new ConnectorFault("invalid", message, { attribute: "changed_column" });
  }
  return rows.reduce((highest, row) => marked(highest, order, row[at]), mark);
}

/** Every account that `accept` takes, by reading all rows. */
async function scan(parts: Parts, ctx: Context, accept: (one: RemoteAccount) => boolean): Promise<RemoteAccount[]> {
  const found: RemoteAccount[] = [];
  for (let cursor: string | undefined; ; ) {
    const page: Page = await list(parts, ctx, { limit: 2_000, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.items.filter(accept));
    if (page.next === undefined) return found;
    cursor = page.next;
  }
}

async function schema({ place }: Parts, ctx: Context): Promise<Schema> {
  const session = await openSession(place, ctx, undefined);
  try {
    const { fields } = await session.next(ctx, 0);
    return {
      attributes: [...placesOf(fields, place.settings)].map(([name, n]) =>
        attributeOf(name, fields[n]!, place.settings),
      ),
    };
  } finally {
    await session.close();
  }
}

/** A source that reads one query. Throws `invalid` for a configuration that does not fit its form. */
export function sqlConnector(config: SqlConfig, credentials: SqlCredentials, options: SqlOptions = {}): Connector {
  const rule = { allow_private: options.allow_private === true };
  const parts: Parts = { place: { settings: sql_config.parse(config), credentials, rule }, readings: new Map() };
  const reader = readOnly("This database");
  return Object.freeze({
    kind: "sql",
    ...reader,
    can: { ...reader.can, changes: parts.place.settings.changed_column !== undefined },
    test: async (ctx) => void (await schema(parts, ctx)),
    schema: (ctx) => schema(parts, ctx),
    list: (ctx, page) => list(parts, ctx, page),
    read: async (ctx, id) => (await scan(parts, ctx, (one) => one.id === id))[0] ?? null,
    find: (ctx, key: MatchKey) => scan(parts, ctx, ({ profile }) => profile[key.attribute] === key.value),
    async close() {
      for (const { session } of parts.readings.values()) await session.close();
      parts.readings.clear();
    },
  } satisfies Connector);
}
