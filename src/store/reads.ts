/**
 * Reads that stand alone, as requests ask them: all of them share two connections, on which the next is sent before the
 * last is answered. What is asked in one turn of the event loop goes out in one write, and PostgreSQL finds the next
 * statement there when it has answered one: half of what a read cost Node was waking the other side. 32 clients that
 * read, search and page were answered 1,330 to 1,470 requests a second over a connection each, 1,700 to 2,000 so.
 *
 * Laws:
 * - They only read: PostgreSQL refuses to write here, and a transaction is refused before it begins.
 * - Nobody waits behind a list who asks for one thing: what answers with many rows goes over a connection of its own, a
 *   few at a time, so that between two pages of 200 people there is room for a hundred look-ups.
 * - Nobody waits long behind another: a statement that takes longer than `long_ms` is cancelled and asked again on a
 *   connection of its own, where its like go at once for a minute.
 * - A connection that breaks is nobody's fault: what it was asked is asked again, and the next read opens another.
 */
import type { Socket } from "node:net";
import { Kysely, PostgresDialect, type PostgresPoolClient } from "kysely";
import pg from "pg";
import { type Database, poolOf } from "./database.ts";
import { keepPlans } from "./plans.ts";
import type { Tables } from "./tables.ts";
import { turnstile } from "./turnstile.ts";

/**
 * A page of 200 people takes 2 to 5 ms, a look-up 0.1. With 50 a machine that stands still for a moment made a page long,
 * and pages then went past their bound for a minute.
 */
const long_ms = 100;
/**
 * A statement that has answered with more rows than this is a list. A search for one person gives one or a few who share a
 * value; twenty people take PostgreSQL 0.2 ms, twice a look-up, which nobody notices.
 */
const list_rows = 20;
/**
 * Lists that are asked at a time: PostgreSQL reads one, one is on its way, and one is written out. Of 32 clients that
 * read, search and page, the slowest hundredth waited for a search and for a page so many ms: with no bound 31 and 35,
 * with two 23 and 90, with three 26 and 49.
 */
const lists_max = 3;
/** So long is remembered of a statement what it was like. */
const known_ms = 60_000;
const known_max = 500;

/** What a connection is for. */
type Kind = "look-ups" | "lists";
/** A connection that many share. */
type Line = Readonly<{ client: pg.Client; ready: Promise<unknown> }>;
type Ask = (text: string, values: readonly unknown[]) => Promise<unknown>;

/**
 * Opens the connections for reads of a database, with the first read. Gives `db` itself where it has no pool (one in
 * memory). `destroy` of what it gives closes them, and leaves `db` as it is. `clock`: one that only goes forward, in ms.
 */
export function openReads(db: Database, clock = (): number => performance.now()): Database {
  const pool = poolOf(db);
  if (pool === undefined) return db;
  const lines = new Map<Kind, Line>();
  const long = statements(clock);
  const lists = statements(clock);
  const inTurn = turnstile(lists_max);
  const alone: Ask = async (text, values) => {
    const client = await pool.connect();
    try {
      return await client.query(text, [...values]);
    } finally {
      client.release();
    }
  };
  const over = async (kind: Kind, text: string, values: readonly unknown[]): Promise<unknown> => {
    // What keeps a connection from opening (there may be none left) says nothing of the statement.
    const line = await lineOf(lines, kind, pool.options).catch(() => undefined);
    if (line === undefined) return alone(text, values);
    try {
      const answer = await askShared(line, text, values);
      if (answer.rows.length > list_rows) lists.add(text);
      return answer;
    } catch (error) {
      if (isStatements(error)) throw error;
      if (isTooLong(error)) long.add(text);
      return alone(text, values);
    }
  };
  const ask: Ask = async (text, values) => {
    if (!/^\s*(select|with)\b/i.test(text)) throw new Error(`only reads are asked here, not "${text.slice(0, 40)}"`);
    if (long.has(text)) return alone(text, values);
    return lists.has(text) ? inTurn(() => over("lists", text, values)) : over("look-ups", text, values);
  };
  const shared = { query: ask, release: () => {} } as unknown as PostgresPoolClient;
  const end = async () => {
    await Promise.allSettled([...lines.values()].map(({ client }) => client.end()));
  };
  return new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: { connect: async () => shared, end, options: {} } }),
  });
}

/** Statements by their text, each for as long as it is known of them; a bounded number. */
function statements(clock: () => number) {
  const until = new Map<string, number>();
  return {
    has: (text: string): boolean => (until.get(text) ?? 0) > clock(),
    add: (text: string): void => {
      if (until.size >= known_max) until.clear();
      until.set(text, clock() + known_ms);
    },
  };
}

/** It is the statement's own fault, and would be again; not the connection's (SQLSTATE 08, 57, 26). */
const isStatements = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && !/^(08|57|26)/.test(error.code ?? "57");

const isTooLong = (error: unknown): boolean => error instanceof pg.DatabaseError && error.code === "57014";

/** The connection of this kind; a new one where there is none, or it broke. */
async function lineOf(lines: Map<Kind, Line>, kind: Kind, options: pg.PoolOptions): Promise<Line> {
  let line = lines.get(kind);
  if (line === undefined) {
    const { connectionString, keepAlive, connectionTimeoutMillis } = options;
    const client = new pg.Client({
      ...(connectionString === undefined ? {} : { connectionString }),
      ...(keepAlive === undefined ? {} : { keepAlive }),
      ...(connectionTimeoutMillis === undefined ? {} : { connectionTimeoutMillis }),
      application_name: "tenure reads",
      pipeline: true,
    } as pg.ClientConfig);
    line = { client, ready: begin(client) };
    lines.set(kind, line);
    const over = () => {
      if (lines.get(kind)?.client === client) lines.delete(kind);
    };
    client.on("error", over);
    client.on("end", over);
    line.ready.catch(over);
  }
  await line.ready;
  return line;
}

async function begin(client: pg.Client): Promise<void> {
  await client.connect();
  await client.query(`set jit = off; set default_transaction_read_only = on; set statement_timeout = ${long_ms}`);
  keepPlans(client);
}

/** Sends with all else that is asked in this turn of the event loop. */
function askShared({ client }: Line, text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  if (stream.writableCorked === 0) {
    stream.cork();
    setImmediate(() => stream.uncork());
  }
  return client.query(text, [...values]);
}
