/**
 * What a role is narrowed to: an application administrator to apps or to all apps of one name, the group roles to
 * groups.
 *
 * Laws: the first target turns "everything" into that one; the last one cannot be taken away, because the role would
 * silently hold for everything again (take the role away instead); a target that is deleted goes, and a role whose
 * targets are all gone holds for nothing.
 */
import { targetsOf } from "../core/adminRoles.ts";
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { Target } from "../store/tables.ts";
import { type Assignee, note, type StoredGrant } from "./adminRoles.ts";
import type { App } from "./apps.ts";
import { type Command, run } from "./command.ts";
import type { StoredGroup } from "./groupQueries.ts";
import { groupTarget } from "./groups.ts";

/** A target: one group, one app, or every app of one name. */
export type RoleTarget =
  | Readonly<{ group: StoredGroup }>
  | Readonly<{ app: Pick<App, "id" | "label" | "name"> }>
  | Readonly<{ app_name: string }>;

/** A target app as listed; `id` null: every app of this name. */
export type TargetApp = Readonly<{
  key: string;
  id: string | null;
  name: string;
  label: string | null;
  status: string;
  created_at: Date;
}>;

type Keys = Readonly<{ group_id: string | null; app_id: string | null; app_name: string | null }>;

const keysOf = (target: RoleTarget): Keys => ({
  group_id: "group" in target ? target.group.id : null,
  app_id: "app" in target ? target.app.id : null,
  app_name: "app_name" in target ? target.app_name : null,
});

const shown = (target: RoleTarget): Target =>
  "group" in target
    ? groupTarget(target.group)
    : "app" in target
      ? { id: target.app.id, type: "AppInstance", name: target.app.label }
      : { id: target.app_name, type: "AppInstance", name: target.app_name };

const is = ({ group_id, app_id, app_name }: Keys) =>
  sql`group_id is not distinct from ${group_id} and app_id is not distinct from ${app_id}
    and app_name is not distinct from ${app_name}`;

/** Narrows a grant to one thing more; one that it has already changes nothing. */
export function addTarget(
  command: Command,
  assignee: Assignee,
  grant: StoredGrant,
  target: RoleTarget,
): Promise<"added" | "there" | Refusal> {
  return run<"added" | "there">(command, async (running) => {
    const refusal = refuseKind(grant, target);
    if (refusal) return refusal;
    const now = running.now();
    const { group_id, app_id, app_name } = keysOf(target);
    await sql`select from role_grants where id = ${grant.id} for update`.execute(running.db);
    const { numAffectedRows } = await sql`
      insert into role_targets (grant_id, group_id, app_id, app_name, created_at)
      values (${grant.id}, ${group_id}, ${app_id}, ${app_name}, ${now}::timestamptz) on conflict do nothing`.execute(
      running.db,
    );
    if (Number(numAffectedRows ?? 0) === 0) return "there";
    await sql`update role_grants set narrowed = true, updated_at = ${now}::timestamptz where id = ${grant.id}`.execute(
      running.db,
    );
    await note(running, assignee, grant, "grant", [shown(target)]);
    return "added";
  });
}

/** Takes a target away; refuses when it is the last one. */
export function removeTarget(
  command: Command,
  assignee: Assignee,
  grant: StoredGrant,
  target: RoleTarget,
): Promise<"removed" | Refusal> {
  return run<"removed">(command, async (running) => {
    const refusal = refuseKind(grant, target);
    if (refusal) return refusal;
    await sql`select from role_grants where id = ${grant.id} for update`.execute(running.db);
    const { rows } = await sql<{ mine: boolean }>`
      select (${is(keysOf(target))}) as mine from role_targets where grant_id = ${grant.id}`.execute(running.db);
    if (!rows.some(({ mine }) => mine)) {
      return { refused: `the role has no target ${shown(target).name}`, code: "not_found", place: shown(target).id };
    }
    if (rows.length === 1) {
      const refused =
        "this is the role's last target; without it the role would hold for everything: take the role away, or add another target first";
      return { refused, code: "invalid", place: "target" };
    }
    await sql`delete from role_targets where grant_id = ${grant.id} and ${is(keysOf(target))}`.execute(running.db);
    await sql`update role_grants set updated_at = ${running.now()}::timestamptz where id = ${grant.id}`.execute(
      running.db,
    );
    await note(running, assignee, grant, "revoke", [shown(target)]);
    return "removed";
  });
}

function refuseKind(grant: StoredGrant, target: RoleTarget): Refusal | undefined {
  const wanted = "group" in target ? "groups" : "apps";
  if (targetsOf(grant.role) === wanted) return undefined;
  return { refused: `a ${grant.label} cannot be narrowed to ${wanted}`, code: "invalid", place: "target" };
}

/** A page of the groups a grant is narrowed to, in order of id. */
export async function targetGroups(
  db: Database,
  grant: StoredGrant,
  page: Readonly<{ limit: number; after?: string }>,
): Promise<readonly StoredGroup[]> {
  const { rows } = await sql<StoredGroup>`
    select g.* from groups g join role_targets t on t.group_id = g.id
    where t.grant_id = ${grant.id} and g.id > ${page.after ?? ""} order by g.id limit ${page.limit}`.execute(db);
  return rows;
}

/** A page of the apps a grant is narrowed to: kinds of app first by name, then single apps. */
export async function targetApps(
  db: Database,
  grant: StoredGrant,
  page: Readonly<{ limit: number; after?: string; status?: string }>,
): Promise<readonly TargetApp[]> {
  const { rows } = await sql<TargetApp>`
    select * from (
      select coalesce(t.app_id, ' ' || t.app_name) as key, t.app_id as id, coalesce(a.name, t.app_name) as name, a.label,
             coalesce(a.status, 'ACTIVE') as status, t.created_at
      from role_targets t left join apps a on a.id = t.app_id
      where t.grant_id = ${grant.id} and t.group_id is null) t
    where key collate "C" > ${page.after ?? ""} and (${page.status ?? null}::text is null or status = ${page.status ?? null})
    order by key collate "C" limit ${page.limit}`.execute(db);
  return rows;
}
