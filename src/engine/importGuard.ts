/**
 * The guard: an import is judged whole before its first write. One that would make too many people leave is held with
 * nothing of it applied, until a person has looked at the names.
 */
import { sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";

/** Why the import is held, or undefined. Okta's measure (20 %) with a floor in people, so that small companies can work. */
export async function judgeImport(run: ImportRun): Promise<string | undefined> {
  const { sourcing, world, id, app_id } = run;
  if (sourcing.on_inactive === "none") return undefined;
  const { rows } = await sql<{ leaving: number; total: number }>`
    select (select count(*) from import_rows r join users u on u.id = r.user_id
            where r.import_id = ${id} and r.outcome in ('leave', 'vanish') and u.status not in ('DEPROVISIONED', 'SUSPENDED'))::int as leaving,
           (select count(*) from accounts a where a.app_id = ${app_id} and (a.have->>'enabled')::boolean)::int as total`.execute(
    world.db,
  );
  const { leaving, total } = rows[0] ?? { leaving: 0, total: 0 };
  if (leaving < sourcing.guard_people || leaving * 100 <= total * sourcing.guard_percent) return undefined;
  const percent = Math.round((leaving / Math.max(1, total)) * 1000) / 10;
  return `${leaving} of ${total} people (${percent} %) would leave; the limit is ${sourcing.guard_percent} % and ${sourcing.guard_people} people`;
}
