/**
 * The facts of a set of people, loaded with one or two set queries: the user rows, their groups with the grants that
 * put them there, their own assignments, their account rows, and, when a mapping or rule reads them, the managers.
 * Grants that have expired by the clock do not count, whether or not the schedule has taken them away yet.
 */
import type { AccountGrant, AppFacts, Before, Person } from "../core/desired.ts";
import type { Facts, GroupFact, PersonFact } from "../core/expression/expression.ts";
import type { RuleMoves } from "../core/rules.ts";
import type { GrantKind, GroupType, Have, Profile, UserStatus } from "../core/types.ts";
import { column } from "../store/columns.ts";
import { type Database, sql } from "../store/database.ts";
import type { Company } from "./company.ts";

/** An account row as deciding needs it. */
export type AccountBefore = Before &
  Readonly<{ id: string; have: Have | null; external_id: string | null; grants: readonly AccountGrant[] }>;

/** One person: what `desiredAccounts` takes, and what the rest of the engine needs beside it. */
export type PersonRecord = Readonly<{
  id: string;
  login: string;
  person: Person<Facts>;
  /** By app. */
  accounts: ReadonlyMap<string, AccountBefore>;
  /** `group id → grants`, Everyone included. */
  groups: ReadonlyMap<string, readonly Grant[]>;
  /** Rules that must not give this person anything. */
  exceptions: ReadonlySet<string>;
  /** Facts without an app: what a rule sees. */
  facts: Facts;
}>;

type Grant = Readonly<{ kind: GrantKind; source_id: string }>;

type UserFacts = {
  id: string;
  login: string;
  status: UserStatus;
  prior_status: UserStatus | null;
  profile: Profile;
  time_zone: string | null;
  prepared: boolean;
};

type GrantFacts = Grant & {
  group_id: string;
  name: string;
  type: GroupType;
  source_app_id: string | null;
  profile: Profile;
};
type OwnFacts = Grant & { app_id: string; profile: Profile };
type AccountFacts = Omit<AccountBefore, "external">;

/** What is around a user row, as one column each; null: nothing. */
type Around = {
  grants: readonly GrantFacts[] | null;
  own: readonly OwnFacts[] | null;
  accounts: readonly AccountFacts[] | null;
  exceptions: readonly string[] | null;
};

/** What a preview supposes of a person: values of the profile (null clears), a status. */
export type Supposed = Readonly<{ profile?: Profile; status?: UserStatus }>;

/**
 * Loads people by id, in one statement: a leaver in the middle of a wave waits for each of them. Person by person, so that
 * a table that has grown since it was last analysed is not read as a whole.
 *
 * Who does not exist is not in the map. `supposed` is laid over what is stored.
 */
export async function loadPeople(
  db: Database,
  company: Company,
  ids: readonly string[],
  now: Date,
  supposed: Supposed = {},
): Promise<Map<string, PersonRecord>> {
  const users = await sql<UserFacts & Around>`
    select u.id, u.login, u.status, u.prior_status, u.profile, u.time_zone,
      u.status = 'STAGED' and exists (select from person_dates d where d.user_id = u.id and d.prepared) as prepared,
      (select json_agg(m) from (
         select m.group_id, m.kind, m.source_id, g.profile->>'name' as name, g.type, g.source_app_id, g.profile
         from membership_grants m join groups g on g.id = m.group_id
         where m.user_id = u.id and (m.expires_at is null or m.expires_at > ${now}::timestamptz)
         order by m.group_id, m.kind, m.source_id) as m) as grants,
      (select json_agg(o) from (
         select app_id, kind, source_id, profile from assignment_grants
         where user_id = u.id and (expires_at is null or expires_at > ${now}::timestamptz)
         order by app_id, kind, source_id) as o) as own,
      (select json_agg(a) from (
         select id, app_id, assigned, want, have, external_id, match_key, grants from accounts
         where user_id = u.id) as a) as accounts,
      (select json_agg(e.rule_id) from rule_exceptions e
       where e.user_id = u.id and (e.expires_at is null or e.expires_at > ${now}::timestamptz)) as exceptions
    from unnest(${column(ids, (id) => id)}::text[]) as p(id) join users u on u.id = p.id`.execute(db);
  for (const user of users.rows) {
    user.profile = { ...user.profile, ...supposed.profile };
    user.status = supposed.status ?? user.status;
  }
  const around = company.reads_people ? await loadSuperiors(db, users.rows) : new Map<string, PersonFact>();
  const linked = company.reads_people ? await loadLinked(db, ids) : new Map<string, Map<string, PersonFact>>();
  return new Map(
    users.rows.map((user) => [
      user.id,
      recordOf(company, now, user, {
        grants: user.grants ?? [],
        own: user.own ?? [],
        accounts: user.accounts ?? [],
        exceptions: user.exceptions ?? [],
        manager: managerOf(user, around),
        linked: linked.get(user.id),
      }),
    ]),
  );
}

type Rows = {
  grants: readonly GrantFacts[];
  own: readonly OwnFacts[];
  accounts: readonly AccountFacts[];
  exceptions: readonly string[];
  manager: PersonFact | null;
  linked: ReadonlyMap<string, PersonFact> | undefined;
};

const no_accounts: ReadonlyMap<string, AccountBefore> = new Map();
const no_exceptions: ReadonlySet<string> = new Set();

type InGroups = Readonly<{ groups: ReadonlyMap<string, readonly Grant[]>; seen: readonly GroupFact[] }>;

/** Whoever is in Everyone alone, as all of a wave of hires are, shares this: a batch lives for two collections of memory. */
const alone = new WeakMap<Company, InGroups>();

function groupsOf(company: Company, grants: readonly GrantFacts[]): InGroups {
  const known = grants.length === 0 ? alone.get(company) : undefined;
  if (known !== undefined) return known;
  const groups = new Map<string, readonly Grant[]>([[company.everyone.id, []]]);
  const seen = new Map<string, GroupFact>([[company.everyone.id, company.everyone]]);
  for (const [group_id, some] of Map.groupBy(grants, (row) => row.group_id)) {
    groups.set(
      group_id,
      some.map(({ kind, source_id }) => ({ kind, source_id })),
    );
    const [first] = some;
    if (first) seen.set(group_id, groupFact(company, group_id, first));
  }
  const all = { groups, seen: [...seen.values()] };
  if (grants.length === 0) alone.set(company, all);
  return all;
}

function recordOf(company: Company, now: Date, user: UserFacts, rows: Rows): PersonRecord {
  const { groups, seen } = groupsOf(company, rows.grants);
  const accounts =
    rows.accounts.length === 0
      ? no_accounts
      : new Map(rows.accounts.map((row) => [row.app_id, { ...row, external: row.external_id !== null }]));
  const profileIn = (app_id: string | undefined): Profile | null => {
    const account = app_id === undefined ? undefined : accounts.get(app_id);
    return account?.have?.profile ?? account?.want?.profile ?? null;
  };
  const facts: Facts = {
    user: user.profile,
    user_id: user.id,
    user_status: user.status,
    groups: seen,
    org: company.org,
    account: (name) => profileIn(company.by_name.get(name)),
    accounts_of: (kind) =>
      company
        .directories(kind)
        .map(profileIn)
        .filter((profile) => profile !== null),
    app_named: (name) => company.properties.get(company.by_name.get(name) ?? "") ?? null,
    manager: () => rows.manager,
    linked: (name) => rows.linked?.get(name) ?? null,
    now,
    time_zone: user.time_zone ?? company.time_zone,
  };
  return {
    id: user.id,
    login: user.login,
    accounts,
    groups,
    exceptions: rows.exceptions.length === 0 ? no_exceptions : new Set(rows.exceptions),
    facts,
    person: {
      status: user.status,
      prior_status: user.prior_status,
      prepared: user.prepared,
      groups,
      grants: rows.own,
      before: [...accounts.values()],
      facts: (app: AppFacts<Facts>) => ({
        ...facts,
        appuser: profileIn(app.id),
        app: company.properties.get(app.id) ?? null,
      }),
    },
  };
}

/** The person as they are once these moves are written, just as `loadPeople` would give them. */
export function afterMoves(company: Company, record: PersonRecord, { add, remove }: RuleMoves): PersonRecord {
  if (add.length + remove.length === 0) return record;
  const ended = new Set(remove.map(({ group_id, rule_id }) => `${group_id} ${rule_id}`));
  const targets = new Map(company.rules.flatMap((rule) => rule.targets.map((target) => [target.id, target] as const)));
  const known = new Map([...targets, ...record.facts.groups.map((group) => [group.id, group] as const)]);
  const given = Map.groupBy(add, (grant) => grant.group_id);
  const groups = new Map<string, readonly Grant[]>([[company.everyone.id, []]]);
  for (const group_id of [...new Set([...record.groups.keys(), ...given.keys()])].sort()) {
    if (group_id === company.everyone.id) continue;
    const grants = [
      ...(record.groups.get(group_id) ?? []).filter(
        ({ kind, source_id }) => kind !== "rule" || !ended.has(`${group_id} ${source_id}`),
      ),
      ...(given.get(group_id) ?? []).map(({ rule_id }) => ({ kind: "rule" as const, source_id: rule_id })),
    ];
    if (grants.length > 0) groups.set(group_id, grants.sort(byGrant));
  }
  const seen = { groups: [...groups.keys()].flatMap((id) => known.get(id) ?? []) };
  const before = record.person;
  return {
    ...record,
    groups,
    facts: { ...record.facts, ...seen },
    person: { ...before, groups, facts: (app) => ({ ...before.facts(app), ...seen }) },
  };
}

const byGrant = (a: Grant, b: Grant) =>
  a.kind === b.kind ? (a.source_id < b.source_id ? -1 : 1) : a.kind < b.kind ? -1 : 1;

/** A group as expressions see it. */
export function groupFact(
  company: Pick<Company, "labels">,
  id: string,
  row: Readonly<{ name: string; type: GroupType; source_app_id: string | null; profile: Profile }>,
): GroupFact {
  const source_name = row.source_app_id === null ? null : (company.labels.get(row.source_app_id) ?? null);
  return { id, name: row.name, type: row.type, source_id: row.source_app_id, source_name, profile: row.profile };
}

/**
 * `managerId` names the manager by our id, by login or by employee number, as sources do. Three searches by index: one
 * with `or` reads every user, 150 ms for each batch of a company of 100,000. Of those who have or had a number, it is
 * whoever works here: numbers are given anew.
 */
export async function loadSuperiors(
  db: Database,
  users: readonly Pick<UserFacts, "profile">[],
): Promise<Map<string, PersonFact>> {
  const keys = [...new Set(users.flatMap((user) => managerKey(user) ?? []))];
  if (keys.length === 0) return new Map();
  const { rows } = await sql<{ key: string; id: string; profile: Profile }>`
    with k as (select unnest(${keys}::text[]) as key)
    select distinct on (key) key, id, profile from (
      select k.key, u.id, u.profile, u.status, 1 as place from k join users u on u.id = k.key
      union all
      select k.key, u.id, u.profile, u.status, 2 from k join users u on u.login = lower(k.key)
      union all
      select k.key, u.id, u.profile, u.status, 3 from k
      join users u on lower(u.profile->>'employeeNumber') = lower(k.key) and u.profile->>'employeeNumber' = k.key) as found
    order by key, place, status = 'DEPROVISIONED', id`.execute(db);
  return new Map(rows.map((row) => [row.key, { id: row.id, profile: row.profile }]));
}

/** Who each of these people is linked to, by the link's primary name. */
async function loadLinked(db: Database, ids: readonly string[]): Promise<Map<string, Map<string, PersonFact>>> {
  const { rows } = await sql<{ user_id: string; link: string; id: string; profile: Profile }>`
    select v.associated_id as user_id, v.link, u.id, u.profile
    from linked_values v join users u on u.id = v.primary_id
    where v.associated_id = any(${[...ids]}::text[])`.execute(db);
  const linked = new Map<string, Map<string, PersonFact>>();
  for (const { user_id, link, id, profile } of rows) {
    const of_user = linked.get(user_id) ?? new Map<string, PersonFact>();
    linked.set(user_id, of_user.set(link, { id, profile }));
  }
  return linked;
}

/** What names a person's manager; undefined: nothing does. */
export function managerKey(user: Pick<UserFacts, "profile">): string | undefined {
  const key = user.profile["managerId"];
  return typeof key === "string" && key !== "" ? key : undefined;
}

function managerOf(user: UserFacts, around: ReadonlyMap<string, PersonFact>): PersonFact | null {
  const key = managerKey(user);
  return key === undefined ? null : (around.get(key) ?? null);
}
