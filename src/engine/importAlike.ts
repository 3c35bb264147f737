/**
 * People of alike names, for rows that match nobody: found by an index over names, and scored by core/match.ts.
 *
 * Laws: whoever comes from a row of this source already, unless that row has left, is never found. A set of rows costs one
 * query. Of names that more people have than are looked at (`near_max`) only the whole name is looked for, and nobody is
 * linked by it without a person.
 *
 * Two rows of one import may be alike to one person. So while an import goes through its rows, those that are only alike to
 * somebody are put off until all others are done: whoever matches exactly has gone by then, and what several rows are alike
 * to waits. People whom the import itself creates have a row, so they are alike to nobody; those whom others create
 * meanwhile are found by the next import.
 */
import type { RawBuilder } from "kysely";
import type { ArrivalLikeness } from "../core/arrival.ts";
import { accent_class, mostAlike, name_letters, nameKeys, type PartialRule, space_class } from "../core/match.ts";
import type { Profile } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { type Matching, names_place, theirRow, type Wanted } from "./importMatch.ts";
import { peopleOf } from "./importStage.ts";

/** So many people are looked at by each key of a row's name: more of nearly the same name say nothing of one of them. */
const near_max = 50;
/** Longer values are compared by so many letters: a name is shorter, and memory is bounded. */
const value_letters = 1_000;

/** What rows of an import are alike to whom: user → the first two rows. `put_off`: rows that are to be decided at the end. */
export type Rivals = {
  readonly rows: Map<string, readonly string[]>;
  put_off: number;
  /** All rows have been seen: what is left may be decided. */
  settled: boolean;
};

/** Notes that a row is alike to a user. */
export function addRival(rivals: Rivals, user_id: string, row: string): void {
  const rows = rivals.rows.get(user_id) ?? [];
  if (rows.length < 2 && !rows.includes(row)) rivals.rows.set(user_id, [...rows, row]);
}

/** Why a row is not to be linked to a user without a person: another one is alike to them. */
export function rivalOf(rivals: Rivals, user_id: string, row: string): string | undefined {
  const other = rivals.rows.get(user_id)?.find((one) => one !== row);
  return other === undefined ? undefined : `row ${other} is alike to the same user`;
}

/** The names of everyone who may be found by likeness, as SQL with `key` and `id`, for `openMatching`. */
export function namesOf(matching: Matching, only?: readonly string[]): RawBuilder<unknown> {
  const these = only === undefined ? sql`` : sql`and k.key = any(${[...only]}::text[])`;
  return sql`
    select k.key, u.id from users u
    cross join lateral (select ${bare("firstName")} as first, ${bare("lastName")} as last offset 0) n
    cross join lateral (values ('=' || n.last || E'\\n' || n.first), ('<' || n.last || E'\\n' || left(n.first, 1)),
      ('>' || n.first || E'\\n' || left(n.last, 1))) k(key)
    where n.first <> '' and n.last <> '' ${these}
      and not exists (select from (${theirRow(matching, sql`u.id`)}) r where not r.former)`;
}

/**
 * A name as `nameKeys` of core/match.ts has it: without case, accents, and space around it. Most names are in plain letters,
 * and those cost a tenth.
 */
function bare(name: string): RawBuilder<unknown> {
  const text = sql`coalesce(u.profile->>${sql.lit(name)}, '')`;
  const spaced = sql`btrim(regexp_replace(lower(normalize(${text}, NFC)), ${sql.lit(`[${space_class}]+`)}, ' ', 'g'))`;
  const unaccented = sql`regexp_replace(normalize(${spaced}, NFD), ${sql.lit(`[${accent_class}]`)}, '', 'g')`;
  return sql`
    left(case when ${text} ~ '^[!-~]+( [!-~]+)*$' then lower(${text}) else replace(${unaccented}, 'ß', 'ss') end,
      ${sql.lit(name_letters)})`;
}

/** Takes out whomever an import, or its trial, has linked meanwhile. */
export async function forgetLinked(db: Database, { import_id }: Matching): Promise<void> {
  await sql`
    delete from ${peopleOf(import_id)} p using import_rows r
    where p.attribute = ${names_place} and r.import_id = ${import_id} and r.outcome in ('linked', 'link') and r.user_id = p.id`.execute(
    db,
  );
}

type Found = Readonly<{ n: number; user_id: string; former: boolean; profile: Profile; crowded: boolean }>;

/** Whom rows are alike to, by the rows' places. */
export async function findAlike(
  db: Database,
  matching: Matching,
  rule: PartialRule,
  rows: readonly Wanted[],
): Promise<ReadonlyMap<number, ArrivalLikeness>> {
  const people = Map.groupBy(await findNamesakes(db, matching, rule, rows), ({ n }) => n);
  return new Map(
    rows.flatMap(({ n, profile }) => {
      const near = people.get(n) ?? [];
      const former = new Set(near.flatMap((one) => (one.former ? [one.user_id] : [])));
      const candidates = near.map((one) => ({ id: one.user_id, profile: one.profile }));
      const fits = mostAlike(profile, candidates, rule);
      if (fits.length === 0) return [];
      const crowded = near.some((one) => one.crowded);
      const likeness: ArrivalLikeness = {
        fits: fits.map((fit) => (former.has(fit.user_id) ? { ...fit, former: true } : fit)),
        ...(crowded ? { unsure: `more than ${near_max} people have nearly this name` } : {}),
      };
      return [[n, likeness] as const];
    }),
  );
}

async function findNamesakes(
  db: Database,
  matching: Matching,
  rule: PartialRule,
  rows: readonly Wanted[],
): Promise<readonly Found[]> {
  const wanted = rows.flatMap(({ n, profile }) => {
    const keys = nameKeys(profile);
    if (keys === undefined) return [];
    return [{ n, key: keys.whole, near: false }, ...keys.near.map((key) => ({ n, key, near: true }))];
  });
  if (wanted.length === 0) return [];
  // For a few rows nothing was opened: the users are read once.
  const few = matching.few !== undefined;
  const keys = wanted.map(({ key }) => key);
  const names = few
    ? sql`names p where`
    : sql`${peopleOf(matching.import_id)} p where p.attribute = ${names_place} and`;
  const compared = Object.keys(rule.weights).flatMap((name) => [
    sql`${name}::text`,
    sql`left(u.profile->>${name}, ${value_letters})`,
  ]);
  const { rows: found } = await sql<Found>`
    with ${few ? sql`names as materialized (${namesOf(matching, keys)}),` : sql``}
    found as (
      select w.n, w.near, m.id, count(*) over (partition by w.n, w.key) > ${near_max} as crowded
      from rows from (unnest(${wanted.map(({ n }) => n)}::int[]), unnest(${keys}::text[]),
        unnest(${wanted.map(({ near }) => near)}::boolean[])) as w(n, key, near)
      cross join lateral (select p.id from ${names} p.key = w.key order by p.id limit ${near_max + 1}) m),
    told as (
      select distinct on (f.n, f.id) f.n, f.id, f.crowded from (
        select n, near, id, near and crowded as left_out, bool_or(crowded) over (partition by n) as crowded from found) f
      where not f.left_out order by f.n, f.id)
    select t.n, t.id as user_id, coalesce(r.former, false) as former, jsonb_build_object(${sql.join(compared)}) as profile, t.crowded
    from told t join users u on u.id = t.id left join lateral (${theirRow(matching, sql`t.id`)}) r on true
    where r.id is null or r.former order by t.n, t.id`.execute(db);
  return found;
}
