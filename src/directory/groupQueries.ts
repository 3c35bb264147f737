/**
 * Reading groups: one, a page, the members of one today and on a past day, and why someone is a member.
 *
 * Law: every list is bounded and pages by the last id seen. The members of Everyone are all who are not deactivated.
 * Called by the server, the console's API and previews.
 */
import type { RawBuilder, Selectable } from "kysely";
import type { GrantKind } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { GroupRow, MembershipGrantRow } from "../store/tables.ts";
import { type Sorted, type Sorting, sorted } from "./sorting.ts";
import type { StoredUser } from "./userQueries.ts";

/** A group as stored. */
export type StoredGroup = Selectable<GroupRow>;

/** What `listGroups` selects. `where`: SQL over `g`, the groups row. `q`: start of the name, in any case. */
export type GroupChoice = Readonly<{ where?: RawBuilder<unknown>; q?: string; type?: StoredGroup["type"] }>;

/** The group with this id. */
export async function getGroup(db: Database, id: string): Promise<StoredGroup | undefined> {
  return db.selectFrom("groups").selectAll().where("id", "=", id).executeTakeFirst();
}

/** The group Everyone. @throws Error before `ensureGround` has run. */
export async function everyone(db: Database): Promise<StoredGroup> {
  return db.selectFrom("groups").selectAll().where("type", "=", "BUILT_IN").executeTakeFirstOrThrow();
}

/** A page of groups in order of id (or of `sort`, over `g`). Fewer than `limit`: it was the last. */
export async function listGroups(
  db: Database,
  choice: GroupChoice,
  page: Readonly<{ limit: number; after?: string; sort?: Sorting }>,
): Promise<readonly (StoredGroup & Sorted)[]> {
  const by = page.sort && sorted(page.sort, sql`g.id`);
  const { rows } = await sql<StoredGroup & Sorted>`
    select g.*${by ? sql`, ${by.column}` : sql``} from groups g
    where (${condition(choice)}) and ${by?.behind ?? sql`g.id > ${page.after ?? ""}`}
    order by ${by?.order ?? sql`g.id`} limit ${page.limit}`.execute(db);
  return rows;
}

/** How many groups a choice has. */
export async function countGroups(db: Database, choice: GroupChoice = {}): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from groups g where ${condition(choice)}`.execute(db);
  return rows[0]?.n ?? 0;
}

function condition({ where, q, type }: GroupChoice): RawBuilder<unknown> {
  const parts = [where ?? sql`true`];
  if (type !== undefined) parts.push(sql`g.type = ${type}`);
  if (q !== undefined && q !== "") parts.push(sql`starts_with(lower(g.profile->>'name'), lower(${q}))`);
  return sql.join(
    parts.map((part) => sql`(${part})`),
    sql` and `,
  );
}

/** A page of a group's members in order of id. Undefined when there is no such group. */
export async function membersOf(
  db: Database,
  group_id: string,
  page: Readonly<{ limit: number; after?: string }>,
): Promise<readonly StoredUser[] | undefined> {
  const group = await getGroup(db, group_id);
  if (group === undefined) return undefined;
  const after = page.after ?? "";
  const { rows } = await (group.type === "BUILT_IN"
    ? sql<StoredUser>`
        select u.* from users u where u.status <> 'DEPROVISIONED' and u.id > ${after}
        order by u.id limit ${page.limit}`.execute(db)
    : sql<StoredUser>`
        select u.* from users u join (
          select distinct user_id from membership_grants
          where group_id = ${group_id} and user_id > ${after} order by user_id limit ${page.limit}) m on m.user_id = u.id
        order by u.id`.execute(db));
  return rows;
}

/** A membership as it was: who was in the group, by which grants. */
export type PastMember = Readonly<{
  user_id: string;
  grants: readonly Readonly<{ kind: GrantKind; source_id: string }>[];
}>;

/**
 * A page of those who were in a group at a moment, in order of id. Also of groups deleted since. In Everyone is whoever was
 * here and not deactivated, by no grant.
 */
export async function membersAsOf(
  db: Database,
  group_id: string,
  at: Date,
  page: Readonly<{ limit: number; after?: string }>,
): Promise<readonly PastMember[]> {
  const { rows: everyone } = await sql`select from groups where id = ${group_id} and type = 'BUILT_IN'`.execute(db);
  if (everyone.length > 0) {
    const { rows } = await sql<{ user_id: string }>`
      select id as user_id from users_periods where id > ${page.after ?? ""} and status <> 'DEPROVISIONED'
        and valid_from <= ${at}::timestamptz and (valid_to is null or valid_to > ${at}::timestamptz)
      order by id limit ${page.limit}`.execute(db);
    return rows.map(({ user_id }) => ({ user_id, grants: [] }));
  }
  const { rows } = await sql<PastMember>`
    select user_id, jsonb_agg(jsonb_build_object('kind', kind, 'source_id', source_id) order by kind, source_id) as grants
    from membership_grants_periods
    where group_id = ${group_id} and user_id > ${page.after ?? ""}
      and valid_from <= ${at}::timestamptz and (valid_to is null or valid_to > ${at}::timestamptz)
      and (expires_at is null or expires_at > ${at}::timestamptz)
    group by user_id order by user_id limit ${page.limit}`.execute(db);
  return rows;
}

/** A group of a person as it was then. `name`: as it is now; null: it was deleted since. */
export type PastGroup = Readonly<{ group_id: string; name: string | null; grants: PastMember["grants"] }>;

/** The groups of a person who was here at a moment, in order of id; at most 1,000, and Everyone unless they were deactivated. */
export async function groupsAsOf(
  db: Database,
  { id: user_id, status }: Pick<StoredUser, "id" | "status">,
  at: Date,
): Promise<readonly PastGroup[]> {
  const { rows } = await sql<PastGroup>`
    select id as group_id, profile->>'name' as name, '[]'::jsonb as grants from groups
    where type = 'BUILT_IN' and ${status !== "DEPROVISIONED"}::boolean
    union all (
    select m.group_id, g.profile->>'name' as name,
      jsonb_agg(jsonb_build_object('kind', m.kind, 'source_id', m.source_id) order by m.kind, m.source_id) as grants
    from membership_grants_periods m left join groups g on g.id = m.group_id
    where m.user_id = ${user_id} and m.valid_from <= ${at}::timestamptz
      and (m.valid_to is null or m.valid_to > ${at}::timestamptz)
      and (m.expires_at is null or m.expires_at > ${at}::timestamptz)
    group by m.group_id, g.profile->>'name' order by m.group_id limit 1000)
    order by group_id`.execute(db);
  return rows;
}

/** Why a user is in a group: the grants, oldest first; none in Everyone. */
export async function membershipGrants(
  db: Database,
  group_id: string,
  user_id: string,
): Promise<readonly Selectable<MembershipGrantRow>[]> {
  const { rows } = await sql<Selectable<MembershipGrantRow>>`
    select * from membership_grants where group_id = ${group_id} and user_id = ${user_id} order by id`.execute(db);
  return rows;
}
