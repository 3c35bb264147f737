/** A whole PostgreSQL in memory for unit tests and simulation: never for data, it does not sync to disk. */
import { PGlite } from "@electric-sql/pglite";
import { Kysely, PGliteDialect, sql } from "kysely";
import type { Database } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import type { Tables } from "../../src/store/tables.ts";

/** Boots PGlite and migrates it: seconds, so once per test file; `wipe` between cases. */
export async function memoryDatabase(): Promise<Database> {
  const db = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite: new PGlite() }) });
  await migrate(db);
  return db;
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
