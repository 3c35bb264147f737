/**
 * Matching: users who agree with a row of a source in every attribute the source matches on, whatever the case. Empty
 * values match nobody.
 *
 * Law: a set of rows costs one query, and that query looks each row up in an index, whatever the planner knows of the
 * tables by then. Login and e-mail have one; for any other first attribute the import makes one of its own, of the people
 * who are there when it begins: people whom it creates itself are not matched by such an attribute.
 */
import type { RawBuilder } from "kysely";
import { matches_max } from "../core/arrival.ts";
import type { Profile, Value } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { changesOf, peopleOf } from "./importStage.ts";

/** A row to find people for. `n`: its place, which comes back with each match. */
export type Wanted = Readonly<{ n: number; profile: Profile }>;

/**
 * `row`: the id of the row of this source that the user comes from already; null: of none. `former`: of one that the
 * source no longer has, or calls inactive.
 */
export type Match = Readonly<{ n: number; user_id: string; row: string | null; former: boolean }>;

/** How the rows of one import are matched. */
export type Matching = Readonly<{
  import_id: string;
  app_id: string;
  match_on: readonly string[];
  /** A few rows, for which nothing was opened: people are looked for where they are, and these are all that differ. */
  few?: RawBuilder<unknown>;
}>;

const hasIndex = (attribute: string) => attribute === "login" || attribute === "email";

/** Makes what matching needs, before the first row is matched. */
export async function openMatching(db: Database, { import_id, match_on }: Matching): Promise<void> {
  const [first] = match_on;
  await sql`create index on ${changesOf(import_id)} (user_id) where user_id is not null`.execute(db);
  if (first === undefined || hasIndex(first)) return;
  const people = peopleOf(import_id);
  await sql`
    create unlogged table ${people} with (autovacuum_enabled = false) as
    select lower(u.profile->>${sql.lit(first)}) as key, u.id from users u
    where u.profile ? ${sql.lit(first)}`.execute(db);
  await sql`create index on ${people} (key)`.execute(db);
}

/** What a row is looked for by: undefined when a value is missing, so that it matches nobody. */
export function matchKeys(profile: Profile, match_on: readonly string[]): readonly string[] | undefined {
  const keys = match_on.map((name) => textOf(profile[name]).toLowerCase());
  return keys.length === 0 || keys.includes("") ? undefined : keys;
}

/** The users who match, by the rows' places and in order of ids; one more than are told of a row at most. */
export async function findMatches(
  db: Database,
  matching: Matching,
  rows: readonly Wanted[],
): Promise<readonly Match[]> {
  const { import_id, app_id, match_on, few } = matching;
  const [first, ...rest] = match_on;
  const wanted = rows.flatMap(({ n, profile }) => {
    const keys = matchKeys(profile, match_on);
    return keys === undefined ? [] : [{ n, keys }];
  });
  if (wanted.length === 0 || first === undefined) return [];
  // A whole import compared its rows with those we know; a few rows say themselves whose they are.
  const changes = few ?? sql`${changesOf(import_id)}`;
  const others = rest.map((name, n) => sql`and lower(u.profile->>${name}) = w.${sql.ref(`rest_${n}`)}`);
  const key = sql`w.key`;
  const candidates =
    few !== undefined && !hasIndex(first)
      ? sql`users u where lower(u.profile->>${first}) = ${key}`
      : !hasIndex(first)
        ? sql`${peopleOf(import_id)} p join users u on u.id = p.id where p.key = ${key}`
        : sql`users u where ${first === "login" ? sql`u.login` : sql`lower(u.profile->>'email')`} = ${key}`;
  const { rows: found } = await sql<Match>`
    select w.n, m.id as user_id, case when not coalesce(r.former, false) then r.id end as row, coalesce(r.former, false) as former
    from rows from (${sql.join([sql`unnest(${wanted.map(({ n }) => n)}::int[])`, ...match_on.map((_, at) => sql`unnest(${wanted.map(({ keys }) => keys[at] ?? "")}::text[])`)])})
      as w(${sql.join([sql.ref("n"), sql.ref("key"), ...rest.map((_, n) => sql.ref(`rest_${n}`))])})
    cross join lateral (select u.id from ${candidates} ${sql.join(others, sql` `)} limit ${matches_max + 1}) m
    left join lateral (
      select a.external_id as id, case when (a.have->>'enabled')::boolean
        then exists (select from ${changes} c where c.user_id = m.id and not c.enabled)
        else not exists (select from ${changes} c where c.user_id = m.id and c.enabled) end as former
      from accounts a where a.app_id = ${app_id} and a.user_id = m.id and a.external_id is not null) r on true
    order by w.n, m.id`.execute(db);
  return found;
}

const textOf = (value: Value | undefined) =>
  typeof value === "string" || typeof value === "number" ? String(value).trim() : "";
