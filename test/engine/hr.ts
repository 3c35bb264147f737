/** An HR file as a source: rows written to a CSV file, imported by the engine into the directory of a test world. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CsvConfig } from "../../src/connectors/csv/config.ts";
import { csvConnector } from "../../src/connectors/csv/connector.ts";
import type { Attribute } from "../../src/core/types.ts";
import { type AppTools, createApp } from "../../src/directory/apps.ts";
import { createInlineHook, setHookFailure } from "../../src/directory/inlineHooks.ts";
import { type ImportRequest, type ImportSummary, startImport } from "../../src/engine/import.ts";
import { sql } from "../../src/store/database.ts";
import type { Sourcing } from "../../src/store/tables.ts";
import { test_key } from "../support/outside.ts";
import { admin, mapSource, must, type TestWorld } from "../support/world.ts";

export const columns = [
  "id",
  "mail",
  "first",
  "last",
  "department",
  "state",
  "start",
  "end",
  "zone",
  "manager",
] as const;
/** Columns of files whose days say more: a last working day, urgency, the job that counts, an absence, a merge, employment, codes. */
export const more_columns = [
  "lastday",
  "urgent",
  "primary",
  "away",
  "back",
  "merged",
  "type",
  "unit",
  "number",
] as const;
export type Row = Partial<Record<(typeof columns)[number] | (typeof more_columns)[number], string>>;

/** A person's row; the mail follows from the name. */
export const rowOf = (id: string, first: string, last: string, more: Row = {}): Row => ({
  id,
  mail: `${first}.${last}@example.com`.toLowerCase(),
  first,
  last,
  state: "active",
  ...more,
});

const attribute = (name: string): Attribute => ({
  name,
  type: "string",
  array: false,
  required: false,
  writable: "never",
  readable: true,
  unique: false,
  case_exact: true,
});

const lines = {
  login: "appuser.mail",
  email: "appuser.mail",
  firstName: "appuser.first",
  lastName: "appuser.last",
  department: "appuser.department",
  employeeNumber: "appuser.id",
  managerId: "appuser.manager",
};

export type Hr = Readonly<{
  app_id: string;
  path: string;
  write(rows: readonly Row[]): void;
  writeText(text: string | Uint8Array): void;
  /** Writes rows, if given, and imports the file; the source must be allowed to. */
  run(rows?: readonly Row[], request?: Partial<ImportRequest>): Promise<ImportSummary>;
}>;

/** A source with the usual columns; sources that are made first come first. */
export async function hrSource(
  world: TestWorld,
  sourcing: Partial<Sourcing> = {},
  label = "HR",
  more = false,
  form: Partial<CsvConfig> = {},
): Promise<Hr> {
  const folder = mkdtempSync(join(tmpdir(), "tenure-hr-"));
  const file = `${label}.csv`;
  const config: CsvConfig = { file, id_column: "id", enabled_column: "state", ...form };
  const connector = csvConnector(config, { folder });
  const header = [...columns, ...(more ? more_columns : [])];
  const check: AppTools["check"] = () => ({
    ok: { config: {}, credentials: {}, can: connector.can, attributes: header.map(attribute) },
  });
  const dates = { start_attribute: "start", end_attribute: "end", time_zone_attribute: "zone" };
  const app = await must(
    createApp(
      world.command,
      { label, kind: "csv", sourcing: { guard_people: 0, guard_percent: 100, ...dates, ...sourcing } },
      { key: { id: "test", bytes: Buffer.alloc(32) }, check },
    ),
  );
  world.connectors.set(app.id, connector);
  await mapSource(world, app.id, lines);
  const writeText = (text: string | Uint8Array) => writeFileSync(join(folder, file), text);
  const write = (rows: readonly Row[]) =>
    writeText([header.join(), ...rows.map((row) => header.map((name) => row[name] ?? "").join())].join("\n"));
  return {
    app_id: app.id,
    path: join(folder, file),
    write,
    writeText,
    run: async (rows, request = {}) => {
      if (rows) write(rows);
      return must(startImport(world, app.id, { mode: "full", actor: admin, ...request }));
    },
  };
}

/** An inline hook at an address, with a secret. Gives its id. */
export async function importHook(
  world: TestWorld,
  uri: string,
  on_failure: "continue" | "refuse" = "continue",
  type = "com.okta.import.transform",
): Promise<string> {
  const http = { type: "HTTP" as const, version: "1.0.0", uri, method: "POST", headers: [] };
  const channel = { ...http, auth_header: "x-key", oauth: null };
  const input = { name: "Names", type, version: "1.0.0", channel, secret: "s3cret-of-the-hook" };
  const hook = await must(createInlineHook(world.command, test_key, input));
  await must(setHookFailure(world.command, hook.id, on_failure));
  return hook.id;
}

export type ImportLine = Readonly<{
  line: number;
  external_id: string | null;
  outcome: string | null;
  user_id: string | null;
  detail: Readonly<{ place?: string; reason?: string; candidates?: readonly string[] }> | null;
}>;

/** What an import says of its rows, in order. */
export async function linesOf(world: TestWorld, import_id: string): Promise<readonly ImportLine[]> {
  const { rows } = await sql<ImportLine>`
    select line, external_id, outcome, user_id, detail from import_rows where import_id = ${import_id} order by line`.execute(
    world.db,
  );
  return rows;
}
