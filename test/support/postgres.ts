/**
 * A fresh, empty database for a test file, on a real PostgreSQL: the server of DATABASE_URL when that is set, else one
 * embedded server for the whole run, started by the first file that asks.
 *
 *     const database = await testDatabase();   // in beforeAll
 *     await database.drop();                    // in afterAll, after closing your own pools
 */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, inject } from "vitest";
import { type Database, openDatabase } from "../../src/store/database.ts";
import { type Embedded, startEmbedded } from "../../src/store/embedded.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";

export type TestDatabase = Readonly<{ url: string; drop(): Promise<void> }>;

let embedded: Promise<Embedded> | undefined;

/**
 * @param template a database of the same server to copy (nobody may be connected to it), for tests that need the same
 *   rows many times.
 */
export async function testDatabase(template?: TestDatabase): Promise<TestDatabase> {
  const server = await serverUrl();
  const name = `test_${randomBytes(8).toString("hex")}`;
  const source = template === undefined ? "" : ` template ${new URL(template.url).pathname.slice(1)}`;
  await execute(server, `create database ${name}${source}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => execute(server, `drop database if exists ${name} with (force)`) };
}

/** A migrated database for all tests of a file, open from the first of them to the last. Call it beside the tests. */
export function migratedDatabase(connections: number, given: (db: Database) => void): void {
  let close: () => Promise<void> = async () => {};
  beforeAll(async () => {
    const database = await testDatabase();
    const db = openDatabase(database.url, { connections });
    close = async () => {
      await db.destroy();
      await database.drop();
    };
    await migrate(db);
    given(db);
  }, 120_000);
  afterAll(() => close());
}

async function serverUrl(): Promise<string> {
  const given = process.env["DATABASE_URL"];
  if (given !== undefined && given !== "") return given;
  embedded ??= startEmbedded({ data_folder: inject("test_data_folder"), throwaway: true, log: () => {} });
  return (await embedded).url;
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
