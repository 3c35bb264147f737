/**
 * The database as the rest of Tenure sees it: a Kysely over a pg pool (or, in tests, over PGlite in memory).
 * Hot statements are written as SQL with the `sql` tag; everything takes its time as a parameter.
 */
import { Kysely, type Transaction as KyselyTransaction, PostgresDialect, type RawBuilder, sql } from "kysely";
import pg from "pg";
import type { Refusal } from "../core/types.ts";
import { isOutgrown, keepPlans } from "./plans.ts";
import type { Tables } from "./tables.ts";

export type Database = Kysely<Tables>;
export type Transaction = KyselyTransaction<Tables>;

// int8 arrives as text by default; every bigint of ours (sequence numbers, counts) stays far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/**
 * Opens a pool on a PostgreSQL >= 15.
 *
 * @param url postgres:// URL.
 * @param options `connections`: pool size; `onError`: told of idle connections that broke (a server restart).
 */
export function openDatabase(
  url: string,
  options: Readonly<{ connections?: number; onError?: (error: Error) => void }> = {},
): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.connections ?? 10,
    application_name: "tenure",
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    // Every statement of ours is short or set-based; a server of one's own compiles them unless told not to.
    onConnect: async (client) => {
      await client.query("set jit = off");
    },
  });
  // Without a listener a server stop (57P01) on an idle client would end the process.
  pool.on("error", (error) => options.onError?.(error));
  // Nor may one that breaks between two statements of a transaction: the next statement fails and says it.
  pool.on("connect", (client) => {
    client.on("error", () => {});
    keepPlans(client);
  });
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  pools.set(db, pool);
  return db;
}

const pools = new WeakMap<Database, pg.Pool>();

/** The pool of connections under a database; undefined for one in memory, which has a single connection. */
export const poolOf = (db: Database): pg.Pool | undefined => pools.get(db);

/** @throws Error when the server is older than PostgreSQL 15, saying which it is. */
export async function requireVersion(db: Database): Promise<void> {
  const { rows } = await sql<{ version: number }>`select current_setting('server_version_num')::int as version`.execute(
    db,
  );
  const version = rows[0]?.version ?? 0;
  if (version < 150_000) {
    throw new Error(
      `the database is PostgreSQL ${Math.floor(version / 10_000)}; Tenure needs 15 or newer: point DATABASE_URL at one, or unset it to use the embedded one`,
    );
  }
}

/** A jsonb parameter. Always through this: the driver would turn a JavaScript array into a PostgreSQL array. */
export function json<T>(value: T): RawBuilder<T> {
  return sql<T>`${JSON.stringify(value)}::jsonb`;
}

class Rollback extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super("rolled back");
    this.refusal = refusal;
  }
}

/**
 * Runs `work` in one transaction; inside one already, joins it. A refusal rolls everything back and is returned.
 * A deadlock or serialization failure is tried again, three times in all.
 */
export async function transact<T>(
  db: Database,
  work: (trx: Transaction) => Promise<T | Refusal>,
): Promise<T | Refusal> {
  if (db.isTransaction) return work(db as Transaction);
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction().execute(async (trx) => {
        const result = await work(trx);
        if (isRefusal(result)) throw new Rollback(result);
        return result;
      });
    } catch (error) {
      if (error instanceof Rollback) return error.refusal;
      if (attempt < 3 && isContention(error)) continue;
      throw error;
    }
  }
}

/** Tells a refusal from a result. */
export function isRefusal(result: unknown): result is Refusal {
  return typeof result === "object" && result !== null && "refused" in result && "code" in result;
}

/** A text, or nothing: the code of an aborted signal is a number. */
function code(error: unknown): string {
  const given = (error as { code?: unknown } | null)?.code;
  return typeof given === "string" ? given : "";
}

/** 40001 serialization_failure, 40P01 deadlock_detected, or a plan that its table outgrew: the same may succeed at once. */
export function isContention(error: unknown): boolean {
  return code(error) === "40001" || code(error) === "40P01" || isOutgrown(error);
}

/** The name of the violated unique constraint, or undefined. */
export function violatedUnique(error: unknown): string | undefined {
  return code(error) === "23505" ? ((error as { constraint?: string }).constraint ?? "") : undefined;
}

/** The database is away: wait and try again; nothing was kept of the transaction. */
export function isAway(error: unknown): boolean {
  const kind = code(error);
  if (kind.startsWith("08") || kind.startsWith("57P")) return true;
  if (["ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOENT", "ETIMEDOUT", "ENOTFOUND"].includes(kind)) return true;
  const message = error instanceof Error ? error.message : "";
  return /Connection terminated|timeout exceeded when trying to connect|not queryable/.test(message);
}

export { sql };
