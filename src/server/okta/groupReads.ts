/** What Okta shows beside a group: counts, and the apps assigned to it. */
import type { App } from "../../directory/apps.ts";
import { type Database, sql } from "../../store/database.ts";

export type GroupStats = Readonly<{
  usersCount: number;
  appsCount: number;
  groupPushMappingsCount: number;
  hasAdminPrivilege: boolean;
}>;

/** The counts of these groups, by id. */
export async function groupStats(db: Database, ids: readonly string[]): Promise<ReadonlyMap<string, GroupStats>> {
  const { rows } = await sql<GroupStats & { id: string }>`
    select g.id, exists (select from admin_groups a where a.group_id = g.id) as "hasAdminPrivilege",
      case when g.type = 'BUILT_IN' then (select count(*) from users where status <> 'DEPROVISIONED')
           else (select count(distinct user_id) from membership_grants m where m.group_id = g.id) end::int as "usersCount",
      (select count(*) from group_assignments a where a.group_id = g.id)::int as "appsCount",
      (select count(*) from pushed_groups p where p.group_id = g.id)::int as "groupPushMappingsCount"
    from groups g where g.id = any(${[...ids]}::text[])`.execute(db);
  return new Map(rows.map(({ id, ...stats }) => [id, stats]));
}

/** The apps assigned to a group, in order of ids. */
export async function groupApps(db: Database, group_id: string): Promise<readonly App[]> {
  const { rows } = await sql<App>`
    select a.* from apps a join group_assignments g on g.app_id = a.id
    where g.group_id = ${group_id} order by a.id`.execute(db);
  return rows;
}

/** The apps that these groups were imported from, by the app's id. */
export async function sourceApps(db: Database, group_ids: readonly string[]): Promise<ReadonlyMap<string, App>> {
  const { rows } = await sql<App>`
    select * from apps where id in (select source_app_id from groups where id = any(${[...group_ids]}::text[]))`.execute(
    db,
  );
  return new Map(rows.map((app) => [app.id, app]));
}
