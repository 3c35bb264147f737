/**
 * The guard: an import is judged whole before its first write. One that would make too many people leave is held with
 * nothing of it applied, until a person has looked at the names.
 */
import type { RawBuilder } from "kysely";
import { type Database, sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { changesOf } from "./importStage.ts";

/** Why the import is held, or undefined. Okta's measure (20 %) with a floor in people, so that small companies can work. */
export async function judgeImport(run: ImportRun): Promise<string | undefined> {
  const { sourcing, world, id, app_id } = run;
  if (sourcing.on_inactive === "none") return undefined;
  const leaving = await count(
    world.db,
    sql`${changesOf(id)} c join users u on u.id = c.user_id
        where not c.enabled and u.status not in ('DEPROVISIONED', 'SUSPENDED')`,
  );
  if (leaving < sourcing.guard_people) return undefined;
  const total = await count(world.db, sql`accounts a where a.app_id = ${app_id} and (a.have->>'enabled')::boolean`);
  if (leaving * 100 <= total * sourcing.guard_percent) return undefined;
  const percent = Math.round((leaving / Math.max(1, total)) * 1000) / 10;
  return `${leaving} of ${total} people (${percent} %) would leave; the limit is ${sourcing.guard_percent} % and ${sourcing.guard_people} people`;
}

async function count(db: Database, rows: RawBuilder<unknown>): Promise<number> {
  const found = await sql<{ n: number }>`select count(*)::int as n from ${rows}`.execute(db);
  return found.rows[0]?.n ?? 0;
}
