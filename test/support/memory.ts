/** A whole PostgreSQL in memory for unit tests and simulation: never for data, it does not sync to disk. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import process from "node:process";
import { PGlite } from "@electric-sql/pglite";
import { Kysely, PGliteDialect, sql } from "kysely";
import type { Database } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import type { Tables } from "../../src/store/tables.ts";

/** Where a whole test run keeps one that is migrated (global.ts); elsewhere each is made anew. */
export const kept_variable = "TENURE_TEST_MEMORY";

/**
 * A migrated PGlite: a second, so once per test file; `wipe` between cases. The first of a test run is made, which takes
 * more than five, and the others are copies of it.
 */
export async function memoryDatabase(): Promise<Database> {
  const file = process.env[kept_variable];
  if (file !== undefined && existsSync(file)) {
    return over(await PGlite.create({ loadDataDir: new Blob([readFileSync(file)]) }));
  }
  const pglite = new PGlite();
  const db = over(pglite);
  await migrate(db);
  if (file !== undefined) await keep(pglite, file);
  return db;
}

const over = (pglite: PGlite): Database => new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) });

/** Under its name once it is whole: two test files may be first. */
async function keep(pglite: PGlite, file: string): Promise<void> {
  const dump = await pglite.dumpDataDir("none");
  writeFileSync(`${file}.${process.pid}`, Buffer.from(await dump.arrayBuffer()));
  renameSync(`${file}.${process.pid}`, file);
}

/** Empties every table and starts ids again, so that each case sees the same ids. */
export async function wipe(db: Database): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select format('%I', tablename) as name from pg_tables
    where schemaname = 'public' and tablename not like 'kysely%'`.execute(db);
  await sql.raw(`truncate ${rows.map((row) => row.name).join(", ")} restart identity cascade`).execute(db);
  await sql`insert into clock default values`.execute(db);
  await sql`alter sequence ids restart`.execute(db);
}
