/**
 * Matching: users who agree with a row of a source in every attribute of one of the combinations that the source matches
 * on, whatever the case. Empty values match nobody. People of alike names are importAlike.ts.
 *
 * Law: a set of rows costs one query, and that query looks each row up in an index, whatever the planner knows of the
 * tables by then. Login and e-mail have one; for any other attribute the import makes a table of its own, of the people
 * who are there when it begins: people whom it creates itself are not matched by such an attribute.
 */
import type { RawBuilder } from "kysely";
import { matches_max } from "../core/arrival.ts";
import { foldCase } from "../core/fold.ts";
import { type Combination, combinationsOf, type PartialRule, partialRuleOf } from "../core/match.ts";
import type { Profile, Value } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { Sourcing } from "../store/tables.ts";
import { changesOf, peopleOf } from "./importStage.ts";

/** A row to find people for. `n`: its place, which comes back with each match. */
export type Wanted = Readonly<{ n: number; profile: Profile }>;

/**
 * `row`: the id of the row of this source that the user comes from already; null: of none. `former`: of one that the
 * source no longer has, or calls inactive. `by`: in which combinations they agree, as places in their list.
 */
export type Match = Readonly<{
  n: number;
  user_id: string;
  row: string | null;
  former: boolean;
  by: readonly number[];
}>;

/** How the rows of one import are matched. */
export type Matching = Readonly<{
  import_id: string;
  app_id: string;
  combinations: readonly Combination[];
  /** Likeness of names; null: off. */
  partial: PartialRule | null;
  /** A few rows, for which nothing was opened: people are looked for where they are, and these are all that differ. */
  few?: RawBuilder<unknown>;
}>;

/** How rows are matched by a source's rules. `few`: nothing is opened for them. */
export function matchingOf(
  run: Readonly<{ id: string; app_id: string; sourcing: Sourcing }>,
  few?: RawBuilder<unknown>,
): Matching {
  return {
    import_id: run.id,
    app_id: run.app_id,
    combinations: combinationsOf(run.sourcing.match_on).map(indexedFirst),
    partial: partialRuleOf(run.sourcing.match_partial),
    ...(few === undefined ? {} : { few }),
  };
}

const hasIndex = (attribute: string) => attribute === "login" || attribute === "email";

/** A combination is looked up by its first attribute, so one that has an index is to be it. */
const indexedFirst = (names: Combination): Combination => [
  ...names.filter(hasIndex),
  ...names.filter((name) => !hasIndex(name)),
];

/** Where in the table of people the names of `importAlike.ts` are; attributes are by their places. */
export const names_place = -1;
/** An index takes no longer keys; whatever is longer is compared whole once it is found. */
const key_letters = 500;

/** The attributes that have no index and by which a combination is looked up. */
const ownKeys = (combinations: readonly Combination[]): readonly string[] => [
  ...new Set(combinations.flatMap(([first]) => (first === undefined || hasIndex(first) ? [] : [first]))),
];

/**
 * Makes what matching needs, before the first row is matched: one table for all attributes without an index, filled in one
 * reading of the users, and `names` with it, which gives `key` and `id` of those to be found by name.
 */
export async function openMatching(db: Database, matching: Matching, names?: RawBuilder<unknown>): Promise<void> {
  const { import_id, combinations } = matching;
  await sql`create index on ${changesOf(import_id)} (user_id) where user_id is not null`.execute(db);
  const own = ownKeys(combinations);
  const parts = own.map(
    (name, place) => sql`
      select ${sql.lit(place)} as attribute, lower(left(u.profile->>${sql.lit(name)}, ${sql.lit(key_letters)})) as key, u.id
      from users u where u.profile ? ${sql.lit(name)}`,
  );
  if (names !== undefined) parts.push(sql`select ${sql.lit(names_place)} as attribute, n.key, n.id from (${names}) n`);
  if (parts.length === 0) return;
  const people = peopleOf(import_id);
  await sql`
    create unlogged table ${people} with (autovacuum_enabled = false) as
    ${sql.join(parts, sql` union all `)}`.execute(db);
  await sql`create index on ${people} (attribute, key, id)`.execute(db);
  // Else the planner takes a key for a common one, and reads the table instead of the index.
  await sql`analyze ${people}`.execute(db);
}

/** What a row is looked for by: undefined when a value is missing, so that it matches nobody. */
export function matchKeys(profile: Profile, names: Combination): readonly string[] | undefined {
  const keys = names.map((name) => foldCase(textOf(profile[name])));
  return keys.length === 0 || keys.includes("") ? undefined : keys;
}

/**
 * Of a user, as SQL: the `id` of the row of this source that they come from, and whether that row has left (`former`). A
 * whole import compared its rows with those we know; a few rows say themselves whose they are.
 */
export function theirRow({ import_id, app_id, few }: Matching, user_id: RawBuilder<unknown>): RawBuilder<unknown> {
  const changes = few ?? sql`${changesOf(import_id)}`;
  return sql`
      select a.external_id as id, case when (a.have->>'enabled')::boolean
        then exists (select from ${changes} c where c.user_id = ${user_id} and not c.enabled)
        else not exists (select from ${changes} c where c.user_id = ${user_id} and c.enabled) end as former
      from accounts a where a.app_id = ${sql.lit(app_id)} and a.user_id = ${user_id} and a.external_id is not null`;
}

/** The users who match, by the rows' places and in order of ids; of each combination one more than are told at most. */
export async function findMatches(
  db: Database,
  matching: Matching,
  rows: readonly Wanted[],
): Promise<readonly Match[]> {
  const searches = matching.combinations.flatMap((names, place) => searchFor(matching, names, place, rows) ?? []);
  if (searches.length === 0) return [];
  const { rows: found } = await sql<Match>`
    select m.n, m.id as user_id, case when not coalesce(r.former, false) then r.id end as row, coalesce(r.former, false) as former, m.by
    from (select f.n, f.id, array_agg(f.by order by f.by) as by
      from (${sql.join(searches, sql` union all `)}) f group by f.n, f.id) m
    left join lateral (${theirRow(matching, sql`m.id`)}) r on true
    order by m.n, m.id`.execute(db);
  return found;
}

/** Looks up the rows in one combination, as SQL; undefined: none of them has all its values. */
function searchFor(
  { import_id, combinations, few }: Matching,
  names: Combination,
  place: number,
  rows: readonly Wanted[],
): RawBuilder<unknown> | undefined {
  const [first, ...rest] = names;
  const wanted = rows.flatMap(({ n, profile }) => {
    const keys = matchKeys(profile, names);
    return keys === undefined ? [] : [{ n, keys }];
  });
  if (wanted.length === 0 || first === undefined) return undefined;
  const others = rest.map((name, n) => sql`and lower(u.profile->>${name}) = w.${sql.ref(`rest_${n}`)}`);
  const theirs = sql`lower(u.profile->>${first})`;
  const own = ownKeys(combinations).indexOf(first);
  const candidates = hasIndex(first)
    ? sql`users u where ${first === "login" ? sql`u.login` : sql`lower(u.profile->>'email')`} = w.key`
    : few !== undefined
      ? sql`users u where ${theirs} = w.key`
      : sql`${peopleOf(import_id)} p join users u on u.id = p.id
          where p.attribute = ${own} and p.key = left(w.key, ${key_letters}) and ${theirs} = w.key`;
  const values = names.map((_, at) => sql`unnest(${wanted.map(({ keys }) => keys[at] ?? "")}::text[])`);
  return sql`
    select w.n, ${place}::int as by, m.id
    from rows from (${sql.join([sql`unnest(${wanted.map(({ n }) => n)}::int[])`, ...values])})
      as w(${sql.join([sql.ref("n"), sql.ref("key"), ...rest.map((_, n) => sql.ref(`rest_${n}`))])})
    cross join lateral (select u.id from ${candidates} ${sql.join(others, sql` `)} limit ${matches_max + 1}) m`;
}

const textOf = (value: Value | undefined) =>
  typeof value === "string" || typeof value === "number" ? String(value).trim() : "";
