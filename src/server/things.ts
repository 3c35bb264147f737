/**
 * The people, groups and apps that a request names, as far as authority asks about them (core/authority.ts). Read only
 * for tokens that may not do everything.
 */
import type { Kind, Things } from "../core/authority.ts";
import { appByIdOrLabel } from "../directory/apps.ts";
import { getUser } from "../directory/userQueries.ts";
import { type Database, sql } from "../store/database.ts";

/** What a path or a body names, by id (a person also by login, an app by label). */
export type Named = Readonly<Partial<Record<Kind, string>>>;

/** Looks up what is named; what is not there is missing from the answer. */
export async function thingsOf(db: Database, named: Named): Promise<Things> {
  const [user, group, app] = [
    named.user === undefined ? undefined : await userOf(db, named.user),
    named.group === undefined ? undefined : (await groupsOf(db, [named.group])).get(named.group),
    named.app === undefined ? undefined : await appOf(db, named.app),
  ];
  return { ...(user ? { user } : {}), ...(group ? { group } : {}), ...(app ? { app } : {}) };
}

async function userOf(db: Database, id_or_login: string): Promise<Things["user"]> {
  const user = await getUser(db, id_or_login);
  return user === undefined ? undefined : (await peopleOf(db, [user.id])).get(user.id);
}

/** People by id; those who are not there are missing. */
export async function peopleOf(
  db: Database,
  ids: readonly string[],
): Promise<ReadonlyMap<string, NonNullable<Things["user"]>>> {
  type Row = { id: string; super_admin: boolean; groups: string[]; super: boolean; administrator: boolean };
  const { rows } = await sql<Row>`
    with asked as (select id, super_admin from users where id = any(${[...ids]}::text[])),
         mine as (select m.user_id, m.group_id from membership_grants m join asked a on a.id = m.user_id),
         held as (
           select a.id as user_id, r.role from asked a join role_grants r on r.assignee_user = a.id
           union select m.user_id, r.role from mine m join role_grants r on r.assignee_group = m.group_id)
    select a.id, a.super_admin,
           array(select group_id from mine where user_id = a.id union select id from groups where type = 'BUILT_IN') as groups,
           exists (select from held where user_id = a.id and role = 'SUPER_ADMIN') as super,
           exists (select from held where user_id = a.id) as administrator
    from asked a`.execute(db);
  return new Map(
    rows.map(({ id, groups, ...facts }) => {
      const rank = facts.super_admin || facts.super ? "super" : facts.administrator ? "administrator" : "none";
      return [id, { id, groups, rank }] as const;
    }),
  );
}

/** Groups by id; those that are not there are missing. */
export async function groupsOf(
  db: Database,
  ids: readonly string[],
): Promise<ReadonlyMap<string, NonNullable<Things["group"]>>> {
  const { rows } = await sql<{ id: string; has_roles: boolean }>`
    select id, exists (select from admin_groups a where a.group_id = g.id) as has_roles
    from groups g where id = any(${[...ids]}::text[])`.execute(db);
  return new Map(rows.map((row) => [row.id, row]));
}

async function appOf(db: Database, id_or_label: string): Promise<Things["app"]> {
  const app = await appByIdOrLabel(db, id_or_label);
  if (app === undefined) return undefined;
  const { rows } = await sql`select from client_grants where app_id = ${app.id} limit 1`.execute(db);
  return { id: app.id, name: app.name, has_scopes: rows.length > 0 };
}
