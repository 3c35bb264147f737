/** Finding apps: `q`, and `filter` over their own columns, `user.id eq` and `group.id eq` for what somebody has. */
import type { RawBuilder } from "kysely";
import { dialects } from "../../core/filter.ts";
import type { Column } from "../../core/filterSql.ts";
import type { App } from "../../directory/apps.ts";
import { type Database, sql } from "../../store/database.ts";
import { condition } from "./search.ts";

const columns: Readonly<Record<string, Column>> = {
  id: { kind: "text", sql: "apps.id", case_exact: true },
  status: { kind: "text", sql: "apps.status", case_exact: false },
  name: { kind: "text", sql: "apps.name", case_exact: false },
  label: { kind: "text", sql: "apps.label", case_exact: false },
  "credentials.signing.kid": { kind: "text", sql: "apps.signing_kid", case_exact: true },
  "settings.slo.enabled": { kind: "text", sql: "'false'" },
  "user.id": {
    kind: "text",
    shape: "rows",
    sql: "(select user_id from accounts a where a.app_id = apps.id and a.assigned union select user_id from assignment_grants g where g.app_id = apps.id)",
  },
  "group.id": {
    kind: "text",
    shape: "rows",
    sql: "(select group_id from group_assignments g where g.app_id = apps.id)",
  },
};

/** A page of apps in order of ids. @throws ApiError 400 E0000031 for a filter that cannot be read. */
export async function findApps(
  db: Database,
  choice: Readonly<{ q?: string | undefined; filter?: string | undefined; after?: string | undefined; limit: number }>,
): Promise<readonly App[]> {
  const { q = "", filter, after = "", limit } = choice;
  const where = filter === undefined ? sql`true` : appCondition(filter);
  const { rows } = await sql<App>`
    select apps.* from apps
    where id > ${after} and (starts_with(lower(label), lower(${q})) or starts_with(lower(name), lower(${q}))) and (${where})
    order by id limit ${limit}`.execute(db);
  return rows;
}

function appCondition(filter: string): RawBuilder<unknown> {
  return condition(filter, dialects.okta_filter, (path) =>
    Object.hasOwn(columns, path.text) ? columns[path.text] : undefined,
  );
}
