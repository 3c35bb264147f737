/**
 * What a set of memberships is judged by: groups by what a file calls them, people by login or id, and the grants that
 * there are, each for many in one statement.
 *
 * Law: the caller locks the people before it reads grants (locks.ts); groups are kept from being deleted meanwhile.
 * Called by engine/importMembers.ts and engine/undoMembers.ts.
 */
import type { GrantKind, GroupType, Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { Running } from "./command.ts";
import { refusedGroup } from "./memberships.ts";
import { knownIds, usersByLogin } from "./userQueries.ts";

export type NamedGroup = Readonly<{ id: string; name: string; type: GroupType }>;

/** A pair of a person and a group. */
export type Pair = Readonly<{ user_id: string; group_id: string }>;

/** A grant of a pair; `rule_name`: of one by a rule. */
export type PairGrant = Pair &
  Readonly<{
    kind: GrantKind;
    source_id: string;
    reason: string | null;
    expires_at: Date | null;
    rule_name: string | null;
  }>;

/** Longer texts name nothing; those with a NUL no database can be asked about. */
const askable = (texts: readonly string[]) => [
  ...new Set(texts.filter((text) => text !== "" && text.length <= 300 && !text.includes("\0"))),
];

/** The groups that these texts name, by id or name; what is missing from the answer names none. */
export async function groupsNamed(
  running: Running,
  texts: readonly string[],
): Promise<(text: string) => NamedGroup | Refusal> {
  const asked = askable(texts);
  const { rows } = await sql<NamedGroup & { folded: string }>`
    select g.id, g.type, g.profile->>'name' as name, lower(g.profile->>'name') as folded from groups g
    where g.id = any(${asked}::text[])
      or lower(g.profile->>'name') = any((select array_agg(lower(t)) from unnest(${asked}::text[]) t)::text[])
    order by g.id for key share`.execute(running.db);
  const ids = new Map(rows.map((row) => [row.id, row]));
  const names = new Map<string, NamedGroup>();
  const folded = new Map<string, string>();
  // Names of our own groups are unique; an app may have one of the same name, which is not meant.
  for (const row of rows) {
    if (row.type !== "APP_GROUP" || !names.has(row.name)) names.set(row.name, row);
    folded.set(row.folded, row.name);
  }
  return (text) => {
    const group = ids.get(text) ?? names.get(text);
    if (group !== undefined) return group;
    const near = folded.get(text.toLowerCase());
    const hint = near === undefined ? "make it first, or put its name right" : `did you mean ${near}?`;
    return { refused: `there is no group "${text.slice(0, 100)}"; ${hint}`, code: "not_found", place: "group" };
  };
}

/** Why nobody can be put in a group by hand; undefined where they can. */
export const closedGroup = ({ type, name }: NamedGroup): Refusal | undefined => refusedGroup(type, name, "person");

/** The ids of the people whom these texts name, by id or by login in any case; who is missing is nobody. */
export async function peopleNamed(db: Database, texts: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const asked = askable(texts);
  const ids = await knownIds(db, asked);
  const logins = asked.filter((text) => !ids.has(text));
  const users = await usersByLogin(db, logins);
  const found = new Map([...ids].map((id) => [id, id]));
  for (const [n, { id }] of users) found.set(logins[n] ?? "", id);
  return found;
}

/** The grants that there are of these pairs, by `pairKey`. */
export async function grantsOfPairs(
  db: Database,
  pairs: readonly Pair[],
): Promise<ReadonlyMap<string, readonly PairGrant[]>> {
  const found = new Map<string, PairGrant[]>();
  if (pairs.length === 0) return found;
  const { rows } = await sql<PairGrant>`
    select m.user_id, m.group_id, m.kind, m.source_id, m.reason, m.expires_at, r.name as rule_name
    from (select distinct user_id, group_id
          from jsonb_to_recordset(${JSON.stringify(pairs.map(plain))}::jsonb) as p(user_id text, group_id text)) p
    join membership_grants m on m.user_id = p.user_id and m.group_id = p.group_id
    left join rules r on m.kind = 'rule' and r.id = m.source_id
    order by m.id`.execute(db);
  for (const row of rows) {
    const key = pairKey(row);
    found.set(key, [...(found.get(key) ?? []), row]);
  }
  return found;
}

const plain = ({ user_id, group_id }: Pair): Pair => ({ user_id, group_id });

/** A text for a pair. */
export const pairKey = ({ user_id, group_id }: Pair): string => `${group_id} ${user_id}`;

/** Members by hand of a group whose time is not over, in order of id, behind `after`. */
export async function handMembers(
  db: Database,
  group_id: string,
  { now, after, limit }: Readonly<{ now: Date; after: string; limit: number }>,
): Promise<readonly string[]> {
  const { rows } = await sql<{ user_id: string }>`
    select distinct user_id from membership_grants
    where group_id = ${group_id} and kind = 'person' and (expires_at is null or expires_at > ${now}::timestamptz)
      and user_id > ${after}
    order by user_id limit ${limit}`.execute(db);
  return rows.map(({ user_id }) => user_id);
}
