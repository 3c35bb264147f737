/**
 * Roles that an administrator puts together from permissions. What each permission opens is core/permissions.ts; over
 * what, a resource set says when the role is given (adminRoles.ts).
 *
 * Laws: labels are unique without regard to case; a role has at least one permission when it is made; one that somebody
 * has cannot be deleted. A permission with conditions is kept and opens nothing, because a condition that is not
 * checked would open more than it says.
 */
import type { Refusal, Value } from "../core/types.ts";
import { type Database, json, sql, violatedUnique } from "../store/database.ts";
import type { Target } from "../store/tables.ts";
import { type Command, log, run } from "./command.ts";

export type CustomRole = Readonly<{
  id: string;
  label: string;
  description: string;
  created_at: Date;
  updated_at: Date;
}>;

export type Conditions = Readonly<Record<string, Value>>;

export type Permission = Readonly<{
  role_id: string;
  permission: string;
  conditions: Conditions | null;
  created_at: Date;
  updated_at: Date;
}>;

const permission_form = /^okta(?:\.[A-Za-z]{1,40}){1,5}$/;
const permissions_max = 100;

const target = (role: CustomRole): Target => ({ id: role.id, type: "CustomRole", name: role.label });
const columns = ["id", "label", "description", "created_at", "updated_at"] as const;

const labelTaken: Refusal = {
  refused: "label: There is already an admin role with this name.",
  code: "duplicate",
  place: "label",
};

/** The role with this id or label. */
export async function getCustomRole(db: Database, id_or_label: string): Promise<CustomRole | undefined> {
  const { rows } = await sql<CustomRole>`
    select id, label, description, created_at, updated_at from custom_roles
    where id = ${id_or_label} or lower(label) = lower(${id_or_label}) order by id = ${id_or_label} desc limit 1`.execute(
    db,
  );
  return rows[0];
}

/** A page of roles in order of id. */
export function listCustomRoles(
  db: Database,
  page: Readonly<{ limit: number; after?: string }>,
): Promise<readonly CustomRole[]> {
  return db
    .selectFrom("custom_roles")
    .select(columns)
    .where("id", ">", page.after ?? "")
    .orderBy("id")
    .limit(page.limit)
    .execute();
}

/** Makes a role of permissions. */
export async function createCustomRole(
  command: Command,
  input: Readonly<{ label: string; description: string; permissions: readonly string[] }>,
): Promise<CustomRole | Refusal> {
  const permissions = [...new Set(input.permissions)];
  const wrong = refusePermissions(permissions);
  if (wrong) return wrong;
  return onceLabelled(() =>
    run<CustomRole>(command, async (running) => {
      const now = running.now();
      const role = await running.db
        .insertInto("custom_roles")
        .values({ label: input.label, description: input.description, created_at: now, updated_at: now })
        .returning(columns)
        .executeTakeFirstOrThrow();
      await sql`
        insert into custom_role_permissions (role_id, permission, created_at, updated_at)
        select ${role.id}, p, ${now}::timestamptz, ${now}::timestamptz from unnest(${permissions}::text[]) as p`.execute(
        running.db,
      );
      await log(running, { type: "iam.role.create", targets: [target(role)], detail: { permissions } });
      return role;
    }),
  );
}

function refusePermissions(permissions: readonly string[]): Refusal | undefined {
  const place = "permissions";
  if (permissions.length === 0) return { refused: "permissions: name at least one", code: "invalid", place };
  if (permissions.length > permissions_max) {
    return { refused: `permissions: at most ${permissions_max}`, code: "too_large", place };
  }
  const odd = permissions.find((permission) => !permission_form.test(permission));
  if (odd === undefined) return undefined;
  return {
    refused: `permissions: "${odd.slice(0, 60)}" is none; they look like okta.users.read`,
    code: "invalid",
    place,
  };
}

async function onceLabelled<T>(work: () => Promise<T | Refusal>): Promise<T | Refusal> {
  try {
    return await work();
  } catch (error) {
    if (violatedUnique(error) === undefined) throw error;
    return labelTaken;
  }
}

/** Changes label and description. */
export function changeCustomRole(
  command: Command,
  role: CustomRole,
  change: Readonly<{ label: string; description: string }>,
): Promise<CustomRole | Refusal> {
  return onceLabelled(() =>
    run<CustomRole>(command, async (running) => {
      const changed = await running.db
        .updateTable("custom_roles")
        .set({ ...change, updated_at: running.now() })
        .where("id", "=", role.id)
        .returning(columns)
        .executeTakeFirst();
      if (changed === undefined) return gone(role);
      await log(running, { type: "iam.role.update", targets: [target(changed)] });
      return changed;
    }),
  );
}

const gone = (role: CustomRole): Refusal => ({
  refused: `there is no role ${role.id} any more`,
  code: "not_found",
  place: role.id,
});

/** Deletes a role that nobody has. */
export function deleteCustomRole(command: Command, role: CustomRole): Promise<CustomRole | Refusal> {
  return run<CustomRole>(command, async (running) => {
    await sql`select from custom_roles where id = ${role.id} for update`.execute(running.db);
    const held = await running.db
      .selectFrom("role_grants")
      .select("id")
      .where("custom_role_id", "=", role.id)
      .limit(1)
      .executeTakeFirst();
    if (held) {
      const refused = `the role "${role.label}" is assigned: take it away from its members first`;
      return { refused, code: "invalid", place: "role" };
    }
    await running.db.deleteFrom("custom_roles").where("id", "=", role.id).execute();
    await log(running, { type: "iam.role.delete", targets: [target(role)] });
    return role;
  });
}

/** The permissions of a role, by name. */
export async function permissionsOf(db: Database, role_id: string): Promise<readonly Permission[]> {
  return db
    .selectFrom("custom_role_permissions")
    .selectAll()
    .where("role_id", "=", role_id)
    .orderBy("permission")
    .execute();
}

/** Gives a role a permission, or changes its conditions. */
export function setPermission(
  command: Command,
  role: CustomRole,
  permission: string,
  conditions: Conditions | null,
): Promise<Permission | Refusal> {
  return run<Permission>(command, async (running) => {
    const wrong = refusePermissions([permission]);
    if (wrong) return wrong;
    const now = running.now();
    const { rows } = await sql<Permission>`
      insert into custom_role_permissions (role_id, permission, conditions, created_at, updated_at)
      values (${role.id}, ${permission}, ${conditions === null ? null : json(conditions)}, ${now}::timestamptz, ${now}::timestamptz)
      on conflict (role_id, permission) do update set conditions = excluded.conditions, updated_at = excluded.updated_at
      returning *`.execute(running.db);
    await touch(running, role);
    await log(running, { type: "iam.role.permission.add", targets: [target(role)], detail: { permission } });
    return rows[0] as Permission;
  });
}

/** Takes a permission from a role; refuses to leave it without any. */
export function dropPermission(command: Command, role: CustomRole, permission: string): Promise<"dropped" | Refusal> {
  return run<"dropped">(command, async (running) => {
    await sql`select from custom_roles where id = ${role.id} for update`.execute(running.db);
    const before = await permissionsOf(running.db, role.id);
    if (!before.some((one) => one.permission === permission)) {
      return { refused: `the role has no permission ${permission}`, code: "not_found", place: permission };
    }
    if (before.length === 1) {
      const refused = "a role needs a permission: delete the role, or give it another one first";
      return { refused, code: "invalid", place: "permissions" };
    }
    await sql`delete from custom_role_permissions where role_id = ${role.id} and permission = ${permission}`.execute(
      running.db,
    );
    await touch(running, role);
    await log(running, { type: "iam.role.permission.remove", targets: [target(role)], detail: { permission } });
    return "dropped";
  });
}

async function touch(running: Command, role: CustomRole): Promise<void> {
  await sql`update custom_roles set updated_at = ${running.now()}::timestamptz where id = ${role.id}`.execute(
    running.db,
  );
}
