/**
 * Who had what on a past day, in words: a person with their groups and accounts, the accounts of an app, the members of a
 * group. What is told is what the history kept; names are those of today, and an id where there is none any more.
 *
 * Law: no value of an account and no secret is told, and of a sensitive attribute only that there was one.
 */
import type { Profile, Refusal } from "../core/types.ts";
import { accountsAsOf } from "../directory/accounts.ts";
import { groupsAsOf, membersAsOf } from "../directory/groupQueries.ts";
import { userSchema } from "../directory/schemaQueries.ts";
import { getUser, getUsers, loginAsOf, type StoredUser, userAsOf } from "../directory/userQueries.ts";
import type { Database } from "../store/database.ts";
import { type Giver, nameGivers, nameReasons, type Reason } from "./reasons.ts";

/**
 * `enabled`: as the app had it, as far as we knew; null: it was still to be made. `source`: the app is a source, and this the
 * person's row there. `since`, `until`: of what we knew and wanted; the account itself may be older.
 */
export type PastAccountView = Readonly<{
  id: string;
  app: Readonly<{ id: string; label: string | null }>;
  source: boolean;
  user: Readonly<{ id: string; login: string | null }>;
  external_id: string | null;
  assigned: boolean;
  enabled: boolean | null;
  why: readonly Reason[];
  since: Date;
  until: Date | null;
}>;

/** `by`: by which grants they were in. */
export type PastMemberView = Readonly<{ user: Readonly<{ id: string; login: string | null }>; by: readonly Giver[] }>;

export type PastPerson = Readonly<{
  at: Date;
  user: Readonly<{ id: string; login: string; status: string; profile: Profile }>;
  groups: readonly Readonly<{ id: string; name: string | null; by: readonly Giver[] }>[];
  accounts: readonly PastAccountView[];
}>;

/** A rule's condition is that of today: of a past day only its name is told. */
const withoutRules = (givers: readonly Giver[]): readonly Giver[] =>
  givers.map((giver) => ({ ...giver, expression: null }));

/**
 * A person as they were at a moment: by id, by their login of today, or by the one they had then; also someone deleted since.
 * Refuses `not_found` whoever was not here then. At most 1,000 groups and 1,000 accounts.
 */
export async function pastPerson(db: Database, id_or_login: string, at: Date): Promise<PastPerson | Refusal> {
  const user = await personAsOf(db, id_or_login, at);
  if (user === undefined) {
    const refused = `${id_or_login} was not here at ${at.toISOString()}: nobody had this login or id then`;
    return { refused, code: "not_found", place: "user" };
  }
  const { id } = user;
  const [groups, accounts, schema] = [
    await groupsAsOf(db, user, at),
    await pastAccounts(db, { user_id: id, limit: 1_000 }, at),
    await userSchema(db),
  ];
  const givers = await nameGivers(
    db,
    groups.map(({ grants }) => grants),
  );
  const hidden = new Set(schema.attributes.flatMap(({ name, sensitive }) => (sensitive ? [name] : [])));
  const profile = Object.fromEntries(
    Object.entries(user.profile).map(([name, value]) => [name, hidden.has(name) ? "(hidden)" : value]),
  );
  return {
    at,
    user: { id, login: user.login, status: user.status, profile },
    groups: groups.map(({ group_id, name, grants }) => ({ id: group_id, name, by: withoutRules(givers(grants)) })),
    accounts,
  };
}

async function personAsOf(db: Database, id_or_login: string, at: Date): Promise<StoredUser | undefined> {
  const id = (await getUser(db, id_or_login))?.id ?? id_or_login;
  const known = await userAsOf(db, id, at);
  if (known !== undefined) return known;
  const then = await loginAsOf(db, id_or_login, at);
  return then === undefined ? undefined : userAsOf(db, then, at);
}

/** A page of the accounts of an app, or of a person, at a moment, in order of id: wanted ones, and those there. */
export async function pastAccounts(
  db: Database,
  filter: Readonly<{ app_id?: string; user_id?: string; after?: string; limit: number }>,
  at: Date,
): Promise<readonly PastAccountView[]> {
  const rows = await accountsAsOf(db, { ...filter, had: true }, at);
  const reason = await nameReasons(
    db,
    rows.flatMap(({ grants }) => grants),
  );
  return rows.map((row) => ({
    ...{ id: row.id, external_id: row.external_id, assigned: row.assigned, enabled: row.have?.enabled ?? null },
    app: { id: row.app_id, label: row.app_label },
    source: row.source,
    user: { id: row.user_id, login: row.login },
    why: row.grants.map((grant) => {
      const named = reason(grant);
      return { ...named, membership: withoutRules(named.membership) };
    }),
    since: row.valid_from,
    until: row.valid_to,
  }));
}

/** A page of the members of a group at a moment, in order of id; also of a group deleted since, by id. */
export async function pastMembers(
  db: Database,
  group_id: string,
  at: Date,
  page: Readonly<{ limit: number; after?: string }>,
): Promise<readonly PastMemberView[]> {
  const members = await membersAsOf(db, group_id, at, page);
  const givers = await nameGivers(
    db,
    members.map(({ grants }) => grants),
  );
  const users = await getUsers(
    db,
    members.map(({ user_id }) => user_id),
  );
  return members.map(({ user_id, grants }) => ({
    user: { id: user_id, login: users.get(user_id)?.login ?? null },
    by: withoutRules(givers(grants)),
  }));
}
