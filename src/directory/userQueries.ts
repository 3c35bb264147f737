/**
 * Reading users: one, a page, a count, one as they were on a past day, and the groups of one.
 *
 * Law: every list is bounded and pages by the last id seen, so a page costs the same at the millionth user as at the first.
 * Called by the server, the console's API, imports and previews.
 */
import type { RawBuilder, Selectable } from "kysely";
import { type Database, sql } from "../store/database.ts";
import type { GroupRow, UserRow } from "../store/tables.ts";
import { type Sorted, type Sorting, sorted } from "./sorting.ts";

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
  /** What over `u` to sort by instead of the id. */
  sort?: Sorting;
}>;

/**
 * A user to be shown and not worked with: what is JSON stays the text that the database writes. Making values of a
 * page's texts, only to write them again, took 6 of its 9 ms.
 */
export type ShownUser = Readonly<
  Pick<StoredUser, "id" | "status" | "type_id"> & {
    /** null: none. */
    credentials: StoredUser["credentials"] | null;
    /** JSON of the profile. */
    profile: string;
    /** Bit n: the profile has the n-th of the names that were asked for. */
    has: number;
    /** JSON of the addresses; null: none. */
    email: string | null;
    second_email: string | null;
    /** JSON list of `shown_times`: UTC without a zone, as in `["2026-03-02T09:00:00.25",null]`. */
    times: string;
  }
>;

/** The times of a ShownUser, in their order. */
export const shown_times = [
  "created_at",
  "activated_at",
  "status_changed_at",
  "last_login_at",
  "updated_at",
  "password_changed_at",
] as const;

/**
 * `to_json` writes ISO 8601 whatever the session's settings are. One list: as a column each, the times were a seventh of
 * what a page of 200 people cost the database, and a fifth of what reading it cost Node.
 */
const times = `to_json(array[${shown_times.map((name) => `u.${name} at time zone 'UTC'`).join()}])::text`;

/** What is selected of `u` for a ShownUser. */
function shown(names: readonly string[]): RawBuilder<unknown> {
  const known = shown_columns.get(names);
  if (known !== undefined) return known;
  const has = names
    .map((name, n) => `case when u.profile ? '${name.replaceAll("'", "''")}' then ${1 << n} else 0 end`)
    .join(" + ");
  // One text: as a fragment for each column, putting it together was a twentieth of what a read costs.
  const columns = sql.raw(`
  u.id, u.status, u.type_id, u.profile::text as profile, nullif(u.credentials, '{}') as credentials, ${has} as has,
  (u.profile->'email')::text as email, (u.profile->'secondEmail')::text as second_email,
  ${times} as times`);
  shown_columns.set(names, columns);
  return columns;
}

const shown_columns = new WeakMap<readonly string[], RawBuilder<unknown>>();

const all = sql`u.*`;

/**
 * The user with this id, this login, or, when the text has no @, the only login that begins with it and an @.
 * Undefined when there is none, or when several logins begin so.
 */
export function getUser(db: Database, id_or_login: string): Promise<StoredUser | undefined> {
  return findUser<StoredUser>(db, id_or_login, all);
}

/** The same user, to be shown. */
export function showUser(db: Database, id_or_login: string, names: readonly string[]): Promise<ShownUser | undefined> {
  return findUser<ShownUser>(db, id_or_login, shown(names));
}

async function findUser<Row extends { id: string }>(
  db: Database,
  id_or_login: string,
  columns: RawBuilder<unknown>,
): Promise<Row | undefined> {
  const { rows } = await sql<Row>`
    select ${columns} from users u where u.id = ${id_or_login} or u.login = lower(${id_or_login})`.execute(db);
  // A login may spell another's id: the id wins.
  const exact = rows.find((row) => row.id === id_or_login) ?? rows[0];
  if (exact !== undefined || id_or_login.includes("@")) return exact;
  const begins = `${likeText(id_or_login)}@%`;
  const { rows: short } = await sql<Row>`
    select ${columns} from users u where u.login like lower(${begins}) limit 2`.execute(db);
  return short.length === 1 ? short[0] : undefined;
}

/** A text as `like` finds it, without wildcards. */
const likeText = (text: string) => text.replace(/[\\%_]/g, "\\$&");

/** The users with these ids, by id; those that are not there are missing. */
export async function getUsers(db: Database, ids: readonly string[]): Promise<ReadonlyMap<string, StoredUser>> {
  if (ids.length === 0) return new Map();
  const { rows } = await sql<StoredUser>`select * from users where id = any(${[...new Set(ids)]}::text[])`.execute(db);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Who has these logins, in any case: by place in the list; those that nobody has are missing. */
export async function usersByLogin(db: Database, logins: readonly string[]): Promise<ReadonlyMap<number, StoredUser>> {
  if (logins.length === 0) return new Map();
  const { rows } = await sql<StoredUser & { place: number }>`
    select u.*, (asked.place - 1)::int as place
    from unnest(${[...logins]}::text[]) with ordinality as asked(login, place)
    join users u on u.login = lower(asked.login)`.execute(db);
  return new Map(rows.map(({ place, ...user }) => [place, user]));
}

/** Those of the ids that are somebody's. */
export async function knownIds(db: Database, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ id: string }>`
    select id from users where id = any(${[...new Set(ids)]}::text[])`.execute(db);
  return new Set(rows.map((row) => row.id));
}

/** A page of users in order of id (or of `sort`). Fewer than `limit`: it was the last. */
export function listUsers(db: Database, choice: UserChoice, page: UserPage): Promise<readonly StoredUser[]> {
  return findUsers<StoredUser>(db, choice, page, all);
}

/** The same page, to be shown. */
export function showUsers(
  db: Database,
  choice: UserChoice,
  page: UserPage,
  names: readonly string[],
): Promise<readonly (ShownUser & Sorted)[]> {
  return findUsers<ShownUser & Sorted>(db, choice, page, shown(names));
}

async function findUsers<Row>(
  db: Database,
  choice: UserChoice,
  page: UserPage,
  columns: RawBuilder<unknown>,
): Promise<readonly Row[]> {
  const by = page.sort && sorted(page.sort, sql`u.id`);
  const after = page.after === undefined ? sql`true` : sql`u.id > ${page.after}`;
  const { rows } = await sql<Row>`
    select ${columns}${by ? sql`, ${by.column}` : sql``} from users u
    where ${condition(choice)} and ${by?.behind ?? after}
    order by ${by?.order ?? sql`u.id`} limit ${page.limit}`.execute(db);
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
      (name) => sql`lower(u.profile->>${sql.lit(name)}) like lower(${`${likeText(choice.q ?? "")}%`})`,
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

/**
 * Whose login this was at a moment, when it is nobody's of today: their id. The whole history is read for it, a second of a
 * million changes.
 */
export async function loginAsOf(db: Database, login: string, at: Date): Promise<string | undefined> {
  const { rows } = await sql<{ id: string }>`
    select id from users_history where login = lower(${login}) and valid_from <= ${at}::timestamptz
      and valid_to > ${at}::timestamptz limit 1`.execute(db);
  return rows[0]?.id;
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
