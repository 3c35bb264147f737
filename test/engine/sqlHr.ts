/** A personnel table in a real PostgreSQL as a source of a test world, with a column of the last change. */
import { secret } from "../../src/connectors/connector.ts";
import type { SqlConfig } from "../../src/connectors/sql/config.ts";
import { sqlConnector } from "../../src/connectors/sql/connector.ts";
import { type AppTools, createApp, updateApp } from "../../src/directory/apps.ts";
import { type ImportRequest, type ImportSummary, startImport } from "../../src/engine/import.ts";
import { openDatabase, sql } from "../../src/store/database.ts";
import type { Sourcing } from "../../src/store/tables.ts";
import { test_key } from "../support/outside.ts";
import { overTcp } from "../support/overTcp.ts";
import { testDatabase } from "../support/postgres.ts";
import { admin, mapSource, must, type TestWorld } from "../support/world.ts";

/** What a process needs to read the table. */
export type SqlForm = Readonly<{ form: SqlConfig; password: string }>;

export const sqlSource = ({ form, password }: SqlForm) =>
  sqlConnector(form, { token: secret(password) }, { allow_private: true });

export type Personnel = SqlForm &
  Readonly<{
    run(statement: string): Promise<void>;
    /** Empties the table. */
    clear(): Promise<void>;
    end(): Promise<void>;
  }>;

/** The table `staff`: id, name, unit, state, version. */
export async function openPersonnel(): Promise<Personnel> {
  const database = await testDatabase();
  const [url, way] = [new URL(database.url), await overTcp(database.url)];
  const db = openDatabase(database.url, { connections: 1 });
  const run = async (statement: string) => void (await sql.raw(statement).execute(db));
  await run("create table staff (id int primary key, name text, unit text, state text, version bigint)");
  const form: SqlConfig = {
    ...{ host: way.host, port: way.port, database: url.pathname.slice(1), username: url.username, tls: "off" },
    query: "select id::text, name, name || '@example.com' as mail, unit, state, version from staff",
    ...{ id_column: "id", columns: { id: "id", name: "name", mail: "mail", unit: "unit" } },
    ...{ enabled_column: "state", enabled_values: ["in"], changed_column: "version", changed_overlap_numbers: 0 },
  };
  return {
    ...{ form, password: decodeURIComponent(url.password), run },
    clear: () => run("truncate staff"),
    end: async () => {
      await db.destroy();
      way.close();
      await database.drop();
    },
  };
}

export type SqlHr = Readonly<{
  app_id: string;
  run(request?: Partial<ImportRequest>): Promise<ImportSummary>;
  /** Changes the app's configuration, as an administrator does. */
  configure(more: Partial<SqlConfig>): Promise<void>;
}>;

/** The table as a source. */
export async function sqlHr(world: TestWorld, personnel: Personnel, sourcing: Partial<Sourcing> = {}): Promise<SqlHr> {
  const { form } = personnel;
  const connector = sqlSource(personnel);
  const { attributes } = await connector.schema({ signal: AbortSignal.timeout(60_000), log: () => {}, now: world.now });
  const check: AppTools["check"] = (_kind, config) => ({
    ok: { config, credentials: {}, can: connector.can, attributes },
  });
  const tools: AppTools = { key: test_key, check };
  const config = JSON.parse(JSON.stringify(form));
  const rules = { guard_people: 0, guard_percent: 100, ...sourcing };
  const app = await must(createApp(world.command, { label: "HR", kind: "sql", config, sourcing: rules }, tools));
  world.connectors.set(app.id, connector);
  await mapSource(world, app.id, {
    ...{ login: "appuser.mail", email: "appuser.mail", firstName: "appuser.name", lastName: "appuser.name" },
    department: "appuser.unit",
  });
  return {
    app_id: app.id,
    run: (request = {}) => must(startImport(world, app.id, { mode: "incremental", actor: admin, ...request })),
    configure: async (more) => {
      await must(updateApp(world.command, app.id, { config: { ...config, ...more } }, tools));
      world.connectors.set(app.id, sqlSource({ ...personnel, form: { ...form, ...more } }));
    },
  };
}
