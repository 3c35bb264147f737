/**
 * Reading users: one, a page, a count, one as they were on a past day, and the groups of one.
 *
 * Law: every list is bounded and pages by the last id seen, so a page costs the same at the millionth user as at the first.
 * Called by the server, the console's API, imports and previews.
 */
import type { RawBuilder, Selectable } from "kysely";
import { type Database, sql } from "../store/database.ts";
import type { GroupRow, UserRow } from "../store/tables.ts";

/** A user as stored. */
export type StoredUser = Selectable<UserRow>;

/** What `listUsers` and `countUsers` select. `where`: SQL over `u`, the users row. */
export type UserChoice = Readonly<{
  where?: RawBuilder<unknown>;
  /** Start of first name, last name or e-mail address, in any case. */
  q?: string;
  /** false: without DEPROVISIONED, as Okta lists when it is given no filter. */
  deactivated?: boolean;
}>;

export type UserPage = Readonly<{
  limit: number;
  /** The last id of the page before. */
  after?: string;
  /** SQL over `u` to sort by instead of the id; pages then go by offset. */
  sort?: RawBuilder<unknown>;
  offset?: number;
}>;

/**
 * The user with this id, this login, or, when the text has no @, the only login that begins with it and an @.
 * Undefined when there is none, or when several logins begin so.
 */
export async function getUser(db: Database, id_or_login: string): Promise<StoredUser | undefined> {
  const { rows } = await sql<StoredUser>`
    select * from users where id = ${id_or_login} or login = lower(${id_or_login})`.execute(db);
  // A login may spell another's id: the id wins.
  const exact = rows.find((row) => row.id === id_or_login) ?? rows[0];
  if (exact !== undefined || id_or_login.includes("@")) return exact;
  const { rows: short } = await sql<StoredUser>`
    select * from users where split_part(login, '@', 1) = lower(${id_or_login}) limit 2`.execute(db);
  return short.length === 1 ? short[0] : undefined;
}

/** The users with these ids, by id; those that are not there are missing. */
export async function getUsers(db: Database, ids: readonly string[]): Promise<ReadonlyMap<string, StoredUser>> {
  if (ids.length === 0) return new Map();
  const { rows } = await sql<StoredUser>`select * from users where id = any(${[...new Set(ids)]}::text[])`.execute(db);
  return new Map(rows.map((row) => [row.id, row]));
}

/** A page of users in order of id (or of `sort`). Fewer than `limit`: it was the last. */
export async function listUsers(db: Database, choice: UserChoice, page: UserPage): Promise<readonly StoredUser[]> {
  const after = page.after === undefined ? sql`true` : sql`u.id > ${page.after}`;
  const order = page.sort === undefined ? sql`u.id` : sql`${page.sort}, u.id`;
  const { rows } = await sql<StoredUser>`
    select u.* from users u where ${condition(choice)} and ${after}
    order by ${order} limit ${page.limit} offset ${page.offset ?? 0}`.execute(db);
  return rows;
}

/** How many users a choice has. */
export async function countUsers(db: Database, choice: UserChoice = {}): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from users u where ${condition(choice)}`.execute(db);
  return rows[0]?.n ?? 0;
}

function condition(choice: UserChoice): RawBuilder<unknown> {
  const parts = [choice.where ?? sql`true`];
  if (choice.deactivated === false) parts.push(sql`u.status <> 'DEPROVISIONED'`);
  if (choice.q !== undefined && choice.q !== "") {
    const starts = ["firstName", "lastName", "email"].map(
      (name) => sql`starts_with(lower(u.profile->>${sql.lit(name)}), lower(${choice.q}))`,
    );
    parts.push(sql`(${sql.join(starts, sql` or `)})`);
  }
  return sql.join(
    parts.map((part) => sql`(${part})`),
    sql` and `,
  );
}

/** The user as they were at a moment, or undefined if there was no such user then. Also of users deleted since. */
export async function userAsOf(db: Database, id: string, at: Date): Promise<StoredUser | undefined> {
  const { rows } = await sql<StoredUser>`
    select * from users_periods
    where id = ${id} and valid_from <= ${at}::timestamptz and (valid_to is null or valid_to > ${at}::timestamptz)
    order by valid_from desc limit 1`.execute(db);
  return rows[0];
}

/** The groups of a user in order of id, Everyone among them unless the user is deactivated. */
export async function groupsOf(db: Database, user_id: string): Promise<readonly Selectable<GroupRow>[]> {
  const { rows } = await sql<Selectable<GroupRow>>`
    select g.* from groups g
    where g.id in (select group_id from membership_grants where user_id = ${user_id})
       or (g.type = 'BUILT_IN'
           and exists (select from users u where u.id = ${user_id} and u.status <> 'DEPROVISIONED'))
    order by g.id`.execute(db);
  return rows;
}
