/** Which apps have pushes to work on: due, not paused, switched on. */
import { sql } from "../store/database.ts";
import type { World } from "./world.ts";

/** Ids of the apps with due pushes that may be called now. */
export async function runnablePushes(world: World): Promise<string[]> {
  const now = world.now();
  const { rows } = await sql<{ app_id: string }>`
    select distinct p.app_id from pushed_groups p join apps a on a.id = p.app_id
      left join app_health h on h.app_id = p.app_id
    where p.due_at <= ${now}::timestamptz and (p.status = 'ACTIVE' or p.unlinking is not null)
      and (p.claimed_until is null or p.claimed_until <= ${now}::timestamptz)
      and a.status = 'ACTIVE' and (h.paused_until is null or h.paused_until <= ${now}::timestamptz)
    order by 1`.execute(world.db);
  return rows.map((row) => row.app_id);
}
