/**
 * Who is an administrator: roles given to people and to groups, whose members have them too.
 *
 * Laws: an assignee has a role once (a custom role once for each resource set), and being given it again changes
 * nothing; the last person who is super administrator stays one; Everyone never has a role. A person's own SUPER_ADMIN
 * is `users.super_admin`, which the life cycle protects by; `admin_grants` shows it with the others.
 *
 * Called by the API's role routes, by the first start, and by authentication (`grantsOf`). What a grant is narrowed to
 * is adminTargets.ts.
 */
import { grantId, isStandardRole, standard_roles } from "../core/adminRoles.ts";
import type { Grant, Resource } from "../core/authority.ts";
import type { Refusal } from "../core/types.ts";
import type { RoleGrantRow } from "../store/apiTables.ts";
import { type Database, sql } from "../store/database.ts";
import type { Target } from "../store/tables.ts";
import { type Command, log, type Running, run } from "./command.ts";
import type { StoredGroup } from "./groupQueries.ts";
import { groupTarget } from "./groups.ts";
import { lastAdministratorText, wouldEndAdministration } from "./superAdministrators.ts";
import type { StoredUser } from "./userQueries.ts";
import { userTarget } from "./userState.ts";

/** Whose role it is. */
export type Assignee = Readonly<{ user: StoredUser }> | Readonly<{ group: StoredGroup }>;

/** A grant as stored, with the label of its role. */
export type StoredGrant = Omit<RoleGrantRow, "narrowed" | "created_at" | "updated_at"> &
  Readonly<{ narrowed: boolean; created_at: Date; updated_at: Date; label: string }>;

/** A role to give: a standard one, or a custom one over a resource set. */
export type RoleChoice =
  | Readonly<{ role: string }>
  | Readonly<{ role: "CUSTOM"; custom_role_id: string; resource_set_id: string }>;

const columns = sql`g.id, g.assignee_user, g.assignee_group, g.role, g.custom_role_id, g.resource_set_id, g.narrowed,
  g.created_at, g.updated_at, c.label as custom_label`;

const withLabel = ({ custom_label, ...grant }: StoredGrant & { custom_label?: string | null }): StoredGrant => ({
  ...grant,
  label: isStandardRole(grant.role) ? standard_roles[grant.role].label : (custom_label ?? grant.role),
});

/** The id of an assignee. */
export const assigneeId = (assignee: Assignee): string => ("user" in assignee ? assignee.user.id : assignee.group.id);

/** The grants of a person (with those of their groups) or of a group, oldest first. */
export async function listGrants(db: Database, assignee: Assignee): Promise<StoredGrant[]> {
  const mine =
    "user" in assignee
      ? sql`g.assignee_user = ${assignee.user.id} or g.assignee_group in (
          select group_id from membership_grants where user_id = ${assignee.user.id})`
      : sql`g.assignee_group = ${assignee.group.id}`;
  const { rows } = await sql<StoredGrant>`
    select ${columns} from admin_grants g left join custom_roles c on c.id = g.custom_role_id
    where ${mine} order by g.created_at, g.id`.execute(db);
  return rows.map(withLabel);
}

/** The grant of an assignee that clients know by this id; for a person also one by group. */
export async function findGrant(db: Database, assignee: Assignee, id: string): Promise<StoredGrant | undefined> {
  const grants = (await listGrants(db, assignee)).filter((grant) => grantId(grant.role, grant.id) === id);
  return grants.find((grant) => isOwn(grant, assignee)) ?? grants[0];
}

/** Was it given to the assignee itself, not to a group of theirs? */
export const isOwn = (grant: StoredGrant, assignee: Assignee): boolean =>
  (grant.assignee_user ?? grant.assignee_group) === assigneeId(assignee);

/** Gives a role. Having it already gives the grant that is there. */
export function grantRole(command: Command, assignee: Assignee, choice: RoleChoice): Promise<StoredGrant | Refusal> {
  return run<StoredGrant>(command, async (running) => {
    const refusal = await judge(running.db, assignee, choice);
    if (refusal) return refusal;
    const before = await sameGrant(running.db, assignee, choice);
    if (before) return before;
    await insertGrant(running, assignee, choice);
    const made = await sameGrant(running.db, assignee, choice);
    if (made === undefined) throw new Error("a grant that was just made is not there");
    await note(running, assignee, made, "grant");
    return made;
  });
}

async function insertGrant(running: Running, assignee: Assignee, choice: RoleChoice): Promise<void> {
  const now = running.now();
  const user_id = "user" in assignee ? assignee.user.id : null;
  if (choice.role === "SUPER_ADMIN" && user_id !== null) {
    await sql`update users set super_admin = true where id = ${user_id}`.execute(running.db);
    return;
  }
  const custom = "custom_role_id" in choice ? choice : null;
  await sql`
    insert into role_grants (id, assignee_user, assignee_group, role, custom_role_id, resource_set_id, created_at, updated_at)
    values (new_id(${custom ? "irb" : user_id === null ? "gra" : "ra1"}), ${user_id},
            ${"group" in assignee ? assignee.group.id : null}, ${choice.role}, ${custom?.custom_role_id ?? null},
            ${custom?.resource_set_id ?? null}, ${now}::timestamptz, ${now}::timestamptz)
    on conflict do nothing`.execute(running.db);
}

async function judge(db: Database, assignee: Assignee, choice: RoleChoice): Promise<Refusal | undefined> {
  if (!("custom_role_id" in choice) && !isStandardRole(choice.role)) {
    const names = Object.keys(standard_roles).join(", ");
    return {
      refused: `"${choice.role.slice(0, 60)}" is no administrator role: use ${names}, or CUSTOM with role and resource-set`,
      code: "invalid",
      place: "type",
    };
  }
  if ("group" in assignee && assignee.group.type === "BUILT_IN") {
    return { refused: "Everyone cannot have a role: everybody would be an administrator", code: "forbidden" };
  }
  if ("user" in assignee && assignee.user.status === "DEPROVISIONED") {
    const refused = `${assignee.user.login} is deactivated: activate them before giving them a role`;
    return { refused, code: "invalid", place: "user" };
  }
  if (!("custom_role_id" in choice)) return undefined;
  const { rows } = await sql<{ role: boolean; set: boolean }>`
    select exists (select from custom_roles where id = ${choice.custom_role_id}) as role,
           exists (select from resource_sets where id = ${choice.resource_set_id}) as set`.execute(db);
  if (!rows[0]?.role)
    return { refused: "there is no such custom role", code: "not_found", place: choice.custom_role_id };
  if (!rows[0].set)
    return { refused: "there is no such resource set", code: "not_found", place: choice.resource_set_id };
  return undefined;
}

async function sameGrant(db: Database, assignee: Assignee, choice: RoleChoice): Promise<StoredGrant | undefined> {
  const custom = "custom_role_id" in choice ? choice : undefined;
  return (await listGrants(db, assignee)).find(
    (grant) =>
      isOwn(grant, assignee) &&
      grant.role === choice.role &&
      (custom === undefined ||
        (grant.custom_role_id === custom.custom_role_id && grant.resource_set_id === custom.resource_set_id)),
  );
}

/** Takes a grant away. Refuses to take the last super administrator's. */
export function revokeRole(command: Command, assignee: Assignee, grant: StoredGrant): Promise<StoredGrant | Refusal> {
  return run<StoredGrant>(command, async (running) => {
    if (grant.role === "SUPER_ADMIN" && "user" in assignee) {
      if (await wouldEndAdministration(running.db, [assignee.user.id])) {
        return { refused: lastAdministratorText(assignee.user.login), code: "forbidden" };
      }
      await sql`update users set super_admin = false where id = ${assignee.user.id}`.execute(running.db);
    } else {
      await sql`delete from role_grants where id = ${grant.id}`.execute(running.db);
    }
    await note(running, assignee, grant, "revoke");
    return grant;
  });
}

/** Logs, in Okta's words, that an assignee's privileges changed. */
export async function note(
  running: Command,
  assignee: Assignee,
  grant: StoredGrant,
  what: "grant" | "revoke",
  more: readonly Target[] = [],
): Promise<void> {
  const role: Target = { id: grantId(grant.role, grant.id), type: "RoleGrant", name: grant.label };
  const detail = { privilegeGranted: grant.label, role: grant.role };
  if ("user" in assignee) {
    const targets = [userTarget(assignee.user), role, ...more];
    await log(running, { type: `user.account.privilege.${what}`, targets, user_id: assignee.user.id, detail });
  } else {
    const targets = [groupTarget(assignee.group), role, ...more];
    await log(running, { type: `group.privilege.${what}`, targets, group_id: assignee.group.id, detail });
  }
}

type GrantRow = Readonly<{
  id: string;
  role: string;
  group_id: string | null;
  narrowed: boolean;
  targets: readonly Readonly<{ group_id: string | null; app_id: string | null; app_name: string | null }>[];
  permissions: readonly string[];
  resources: readonly Resource[];
}>;

/**
 * Everything a person may do as an administrator: their own grants and those of their groups, with targets, permissions
 * and resources. One statement, so that one cached answer serves every request of a token.
 */
export async function grantsOf(db: Database, user_id: string): Promise<readonly Grant[]> {
  const { rows } = await sql<GrantRow>`
    select g.id, g.role, g.assignee_group as group_id, g.narrowed,
      (select coalesce(jsonb_agg(jsonb_build_object('group_id', t.group_id, 'app_id', t.app_id, 'app_name', t.app_name)), '[]')
       from role_targets t where t.grant_id = g.id) as targets,
      array(select permission from custom_role_permissions p where p.role_id = g.custom_role_id and p.conditions is null) as permissions,
      (select coalesce(jsonb_agg(jsonb_build_object('kind', m.kind, 'ref', m.ref)), '[]')
       from resource_set_members m where m.set_id = g.resource_set_id) as resources
    from admin_grants g
    where g.assignee_user = ${user_id}
       or g.assignee_group in (select group_id from membership_grants where user_id = ${user_id})
    order by g.created_at, g.id`.execute(db);
  return rows.map(({ targets, ...grant }) => ({
    ...grant,
    groups: targets.flatMap((target) => target.group_id ?? []),
    apps: targets.flatMap((target) => target.app_id ?? []),
    app_names: targets.flatMap((target) => target.app_name ?? []),
  }));
}

/** A page of the people with a role of their own, in order of id. */
export async function listAdministrators(
  db: Database,
  page: Readonly<{ limit: number; after?: string }>,
): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`
    select distinct assignee_user as id from admin_grants
    where assignee_user is not null and assignee_user > ${page.after ?? ""} order by 1 limit ${page.limit}`.execute(db);
  return rows.map(({ id }) => id);
}
