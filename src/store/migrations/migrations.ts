/** All migrations in order. Forward only: a migration that has landed is never edited, the next one mends it. */
import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { ground } from "./0001_ground.ts";
import { history } from "./0002_history.ts";
import { imports } from "./0003_import.ts";
import { rules } from "./0004_rules.ts";
import { reads } from "./0006_reads.ts";
import { authority } from "./0010_authority.ts";
import { people } from "./0011_people.ts";
import { apps } from "./0012_apps.ts";
import { eventHooks } from "./0013_event_hooks.ts";
import { inlineHooks } from "./0014_inline_hooks.ts";
import { importSessions } from "./0015_import_sessions.ts";
import { dates } from "./0020_dates.ts";
import { importDecisions } from "./0021_import_decisions.ts";
import { scim } from "./0022_scim.ts";
import { facts } from "./0023_facts.ts";
import { peopleImports } from "./0024_people_imports.ts";
import { peopleImportNodes } from "./0025_people_import_nodes.ts";
import { schedules } from "./0026_schedules.ts";
import { memberImports } from "./0027_member_imports.ts";
import { importChanges } from "./0028_import_changes.ts";
import { sourceNotices } from "./0029_source_notices.ts";
import { unreadStatistics } from "./0030_unread_statistics.ts";
import { lighterWrites } from "./0031_lighter_writes.ts";
import { noEqualKeys } from "./0032_no_equal_keys.ts";
import { forgottenGrants } from "./0033_forgotten_grants.ts";
import { workWithoutKey } from "./0034_work_without_key.ts";
import { firstConfirms } from "./0035_first_confirms.ts";
import { cheaperHistory } from "./0036_cheaper_history.ts";

/** Statements of a script, one by one: PGlite's extended protocol takes no more; bodies between `$$` stay whole. */
function statements(script: string): string[] {
  const parts = script.split(/(\$\$[\s\S]*?\$\$)/);
  const marked = parts.map((part, n) => (n % 2 === 1 ? part : part.replaceAll(/;\s*\n/g, ";\0"))).join("");
  return marked.split(";\0").filter((statement) => statement.trim() !== "");
}

const run = (script: string): Migration => ({
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements(script)) await sql.raw(statement).execute(db);
  },
});

/** New ones come last: a database that has a later one does not take an earlier one any more. */
const migrations: Record<string, Migration> = {
  "0001_ground": run(ground),
  "0002_history": run(history),
  "0003_import": run(imports),
  "0004_rules": run(rules),
  "0006_reads": run(reads),
  "0010_authority": run(authority),
  "0011_people": run(people),
  "0012_apps": run(apps),
  "0013_event_hooks": run(eventHooks),
  "0014_inline_hooks": run(inlineHooks),
  "0015_import_sessions": run(importSessions),
  "0020_dates": run(dates),
  "0021_import_decisions": run(importDecisions),
  "0022_scim": run(scim),
  "0023_facts": run(facts),
  "0024_people_imports": run(peopleImports),
  "0025_people_import_nodes": run(peopleImportNodes),
  "0026_schedules": run(schedules),
  "0027_member_imports": run(memberImports),
  "0028_import_changes": run(importChanges),
  "0029_source_notices": run(sourceNotices),
  "0030_unread_statistics": run(unreadStatistics),
  "0031_lighter_writes": run(lighterWrites),
  "0032_no_equal_keys": run(noEqualKeys),
  "0033_forgotten_grants": run(forgottenGrants),
  "0034_work_without_key": run(workWithoutKey),
  "0035_first_confirms": run(firstConfirms),
  "0036_cheaper_history": run(cheaperHistory),
};

/**
 * Brings the database to the newest shape. Safe when several nodes start at once: the migrator takes a lock for the
 * transaction and the later ones find nothing to do.
 *
 * @throws Error naming the migration that failed; nothing of it is kept.
 */
export async function migrate<T>(db: Kysely<T>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error, results } = await migrator.migrateToLatest();
  const failed = results?.find((result) => result.status === "Error");
  if (error) throw new Error(`migration ${failed?.migrationName ?? ""} failed: ${String(error)}`, { cause: error });
}
