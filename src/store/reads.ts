/**
 * Reads that stand alone, as requests ask them: all of them share two connections, on which the next is sent before the
 * last is answered. What is asked in one turn of the event loop goes out in one write, and PostgreSQL finds the next
 * statement there when it has answered one: half of what a read cost Node was waking the other side. 32 clients that
 * read, search and page were answered 1,330 to 1,470 requests a second over a connection each, 1,700 to 2,000 so.
 *
 * Laws:
 * - They only read: PostgreSQL refuses to write here, and a transaction is refused before it begins.
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

/** One answers as many a second as two, but a page of 200 people then holds up all others. */
const lines_max = 2;
/** A page of 200 people takes 2 to 5 ms, a look-up 0.1. */
const long_ms = 100;
const apart_ms = 60_000;
const apart_max = 500;

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
  const lines = new Map<number, Line>();
  const apart = new Map<string, number>();
  // Which connection this turn of the event loop asks: each of them in every turn would be twice the writes, and 12 %
  // fewer look-ups a second.
  let turn = 0;
  let turning = false;
  const alone: Ask = async (text, values) => {
    const client = await pool.connect();
    try {
      return await client.query(text, [...values]);
    } finally {
      client.release();
    }
  };
  const ask: Ask = async (text, values) => {
    if (!/^\s*(select|with)\b/i.test(text)) throw new Error(`only reads are asked here, not "${text.slice(0, 40)}"`);
    if ((apart.get(text) ?? 0) > clock()) return alone(text, values);
    if (!turning) {
      turning = true;
      turn = (turn + 1) % lines_max;
      setImmediate(() => {
        turning = false;
      });
    }
    // What keeps a connection from opening (there may be none left) says nothing of the statement.
    const line = await lineAt(lines, turn, pool.options).catch(() => undefined);
    if (line === undefined) return alone(text, values);
    try {
      return await askShared(line, text, values);
    } catch (error) {
      if (isStatements(error)) throw error;
      if (isTooLong(error)) {
        if (apart.size >= apart_max) apart.clear();
        apart.set(text, clock() + apart_ms);
      }
      return alone(text, values);
    }
  };
  const shared = { query: ask, release: () => {} } as unknown as PostgresPoolClient;
  const end = async () => {
    await Promise.allSettled([...lines.values()].map(({ client }) => client.end()));
  };
  return new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: { connect: async () => shared, end, options: {} } }),
  });
}

/** It is the statement's own fault, and would be again; not the connection's (SQLSTATE 08, 57, 26). */
const isStatements = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && !/^(08|57|26)/.test(error.code ?? "57");

const isTooLong = (error: unknown): boolean => error instanceof pg.DatabaseError && error.code === "57014";

/** The connection in this place; a new one where there is none, or it broke. */
async function lineAt(lines: Map<number, Line>, place: number, options: pg.PoolOptions): Promise<Line> {
  let line = lines.get(place);
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
    lines.set(place, line);
    const over = () => {
      if (lines.get(place)?.client === client) lines.delete(place);
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
function askShared({ client }: Line, text: string, values: readonly unknown[]): Promise<unknown> {
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  if (stream.writableCorked === 0) {
    stream.cork();
    setImmediate(() => stream.uncork());
  }
  return client.query(text, [...values]);
}
