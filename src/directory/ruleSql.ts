/**
 * Rules as SQL over everyone, for those whose condition has an exact SQL form (core/expression/sql.ts): who differs from
 * what the rules give, and by which grants. The checker decides which rules these are, never an author.
 *
 * Its law: for every person the differences are those of `ruleMoves` (core/rules.ts). Deactivated people are not judged,
 * an excepted one gets nothing from the rule, grants whose time is over are not read, nor are those that a due rule gave
 * in groups it fills no more. What a condition reads of groups must be settled before: the caller goes level by level.
 *
 * What a person should have is an array of keys (group and rule) made by one pass over users; what they have is an array
 * made from the key of membership_grants in its own order; so where nothing differs nothing is joined but one row with
 * one row.
 */
import type { RawBuilder } from "kysely";
import { attributeSql, type Checked, type SqlContext, type SqlType } from "../core/expression/expression.ts";
import type { Profile, Value } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { CheckedRule } from "./ruleChecks.ts";
import { fragment } from "./sqlText.ts";

/** What a condition reads beside the person. `org`: the setting of that name. */
export type Surroundings = Readonly<{
  now: Date;
  org: Value | undefined;
  /** Grants that count no more: pairs that are not filled. */
  stale?: readonly Pair[];
}>;

/** People with ids after `after` up to `to`, or to the end. */
export type Range = Readonly<{ after: string; to: string | null }>;

/** Who is asked: people of a range, or of a list. */
export type Whom = Range | readonly string[];

/**
 * A rule and a group in which it may have grants. `filled`: it fills the group; else what it gave there ends. `key`:
 * both ids, in the order of the key of membership_grants.
 */
export type Pair = Readonly<{ key: string; rule_id: string; group_id: string; filled: boolean }>;

/** A condition over `u`, the users row; undefined when only closures can judge it. */
export function conditionSql(
  checked: Checked,
  surroundings: Surroundings,
  column: SqlContext["column"] = null,
): RawBuilder<unknown> | undefined {
  // A person's own time zone decides which day it is, and SQL is given one for all.
  if (checked.dependencies.clock) return undefined;
  const { now, org, stale = [] } = surroundings;
  // $1 and $2 are ours; the expression's parameters follow.
  const written = checked.sql({
    memberships: membershipsSql(stale.length > 0),
    groups: "(select id, type, source_app_id as source_id, profile from groups)",
    now,
    time_zone: "UTC",
    org: isRecord(org) ? org : {},
    first_parameter: 3,
    column,
  });
  if (written === null) return undefined;
  const given = stale.map(({ rule_id, group_id }) => `${rule_id} ${group_id}`);
  return sql`(${fragment({ text: written.text, values: [now, given, ...written.values] })})`;
}

/** Memberships as a condition sees them: grants that hold, and everyone in Everyone. */
const membershipsSql = (without_stale: boolean) => `(
  select user_id, group_id from membership_grants
  where (expires_at is null or expires_at > $1::timestamptz)
    ${without_stale ? "and not (kind = 'rule' and source_id || ' ' || group_id = any($2::text[]))" : ""}
  union all select p.id, e.id from users p cross join groups e where e.type = 'BUILT_IN')`;

const isRecord = (value: Value | undefined): value is Profile =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The pairs of rules in order of keys. */
export function pairsOf(rules: readonly Pick<CheckedRule, "row">[]): readonly Pair[] {
  const pairs = rules.flatMap(({ row }) =>
    [...new Set([...row.group_ids, ...row.groups_held])].map((group_id) => {
      return { key: group_id + row.id, rule_id: row.id, group_id, filled: row.group_ids.includes(group_id) };
    }),
  );
  return pairs.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** The pairs as a relation `p(key, rule_id, group_id)`. */
const pairRows = (pairs: readonly Pair[]) => sql`unnest(${pairs.map((pair) => pair.key)}::text[],
  ${pairs.map((pair) => pair.rule_id)}::text[], ${pairs.map((pair) => pair.group_id)}::text[])
  as p(key, rule_id, group_id)`;

/** `column` is of one of these people. */
export function among(column: RawBuilder<unknown>, whom: Whom): RawBuilder<unknown> {
  if (!("after" in whom)) return sql`${column} = any(${[...whom]}::text[])`;
  return whom.to === null ? sql`${column} > ${whom.after}` : sql`${column} > ${whom.after} and ${column} <= ${whom.to}`;
}

/** Few enough that the index by group finds their grants faster than reading all grants of a range of people. */
const sought_max = 8;

/** What these people have of these rules: `(user_id, pairs text[])`, keys in order. */
export function heldSql(pairs: readonly Pair[], whom: Whom): RawBuilder<unknown> {
  return sql`
    select m.user_id, array_agg(m.group_id || m.source_id order by m.group_id, m.source_id) as pairs
    from membership_grants m
    where ${among(sql`m.user_id`, whom)} and m.kind = 'rule' and ${soughtSql(pairs)}
    group by m.user_id`;
}

/** A grant of `m` is of one of these rules. */
function soughtSql(pairs: readonly Pair[]): RawBuilder<unknown> {
  const groups = [...new Set(pairs.map((pair) => pair.group_id))];
  const rules = rulesOf(pairs);
  // Of many rules, the index would be asked for each; as a filter behind it they cost 20 % less.
  return groups.length <= sought_max
    ? sql`m.group_id = any(${groups}::text[]) and m.source_id = any(${rules}::text[])`
    : sql`m.source_id || '' = any(${rules}::text[])`;
}

const rulesOf = (pairs: readonly Pair[]): readonly string[] => [...new Set(pairs.map((pair) => pair.rule_id))];

/** The pairs that are excepted for these people: `(user_id, pairs text[])`. */
export function exceptedSql(pairs: readonly Pair[], now: Date, whom: Whom): RawBuilder<unknown> {
  return sql`
    select x.user_id, array_agg(p.key) as pairs from rule_exceptions x join ${pairRows(pairs)} on p.rule_id = x.rule_id
    where ${among(sql`x.user_id`, whom)} and (x.expires_at is null or x.expires_at > ${now}::timestamptz)
    group by x.user_id`;
}

/** Rules that SQL judges: their pairs and conditions, and the columns of `a` that the conditions read. */
export type SqlRules = Readonly<{
  pairs: readonly Pair[];
  conditions: ReadonlyMap<string, RawBuilder<unknown>>;
  columns: ReadonlyMap<string, RawBuilder<unknown>>;
  now: Date;
  /** Anybody is excepted from any of them. */
  excepts: boolean;
}>;

/**
 * The rules as SQL; without those that only closures can judge. `excepting`: rules that anybody is excepted from. An attribute is taken out of the profile once for all
 * conditions.
 */
export function sqlRules(
  rules: readonly CheckedRule[],
  surroundings: Surroundings & Readonly<{ excepting: ReadonlySet<string> }>,
): SqlRules {
  const columns = new Map<string, RawBuilder<unknown>>();
  const column = (name: string, type: SqlType) => {
    const label = `${type}_${name}`;
    if (!columns.has(label)) {
      const value = fragment({ text: attributeSql("u.profile", "$1::text", type), values: [name] });
      columns.set(label, sql`${value} as ${sql.id(label)}`);
    }
    return `u."${label.replaceAll('"', '""')}"`;
  };
  const conditions = new Map<string, RawBuilder<unknown>>();
  for (const { row, checked } of rules) {
    const condition = conditionSql(checked, surroundings, column);
    if (condition !== undefined) conditions.set(row.id, condition);
  }
  const judged = rules.filter(({ row }) => conditions.has(row.id));
  const excepts = judged.some(({ row }) => surroundings.excepting.has(row.id));
  return { pairs: pairsOf(judged), conditions, columns, now: surroundings.now, excepts };
}

/** What these people should have: `(user_id, pairs text[])`, for everyone who is judged, keys in order. */
function wantedSql({ pairs, conditions, columns, now, excepts }: SqlRules, whom: Whom): RawBuilder<unknown> {
  const filled = pairs.filter((pair) => pair.filled);
  const answers = new Map([...conditions.keys()].map((id, n) => [id, `b${n}`]));
  // A condition is computed once, however many groups its rule fills.
  const times = Map.groupBy(filled, (pair) => pair.rule_id);
  const repeated = [...conditions].filter(([id]) => (times.get(id)?.length ?? 0) > 1);
  const named = repeated.map(([id, condition]) => sql`${condition} as ${sql.raw(answers.get(id) ?? "")}`);
  const answer = ({ rule_id }: Pair) =>
    (times.get(rule_id)?.length ?? 0) > 1 ? sql.raw(answers.get(rule_id) ?? "") : conditions.get(rule_id);
  const chosen = filled.map((pair) => sql`case when ${answer(pair)} then ${sql.lit(pair.key)} end`);
  // "offset 0" keeps a value that was computed once from being pasted where it is used.
  const wanted = sql`
    select u.id as user_id, array_remove(array[${sql.join(chosen)}]::text[], null) as pairs
    from (
      select ${sql.join([sql`u.*`, ...named])}
      from (
        select ${sql.join([sql`u.id, u.status, u.profile`, ...columns.values()])} from users u
        where ${among(sql`u.id`, whom)} and u.status <> 'DEPROVISIONED' offset 0) as u
      offset 0) as u`;
  if (!excepts) return wanted;
  return sql`
    select w.user_id, case when x.pairs is null then w.pairs else
      array(select e from unnest(w.pairs) with ordinality as a(e, i) where e <> all(x.pairs) order by i) end as pairs
    from (${wanted}) as w left join (${exceptedSql(pairs, now, whom)}) as x on x.user_id = w.user_id`;
}

/** Ids of the people of a range who differ from what the rules give, in order. Takes no locks. */
export async function findDiffering(db: Database, rules: SqlRules, range: Range): Promise<readonly string[]> {
  const { rows } = await sql<{ user_id: string }>`
    select w.user_id from (${wantedSql(rules, range)}) as w
    left join (${heldSql(rules.pairs, range)}) as h on h.user_id = w.user_id
    where w.pairs is distinct from coalesce(h.pairs, '{}') order by w.user_id`.execute(db);
  return rows.map((row) => row.user_id);
}

/**
 * How these people differ, as a relation `(user_id, group_id, rule_id, adds)`. The people are locked. Whoever is judged
 * is read once: asking for the status of each grant's person again was a sixth of the whole.
 */
export function differencesSql(given: SqlRules, user_ids: readonly string[]): RawBuilder<unknown> {
  // Who was excepted since the rules were read is found under the person's lock.
  const rules = { ...given, excepts: true };
  const { pairs } = rules;
  return sql`
    with judged as materialized (${wantedSql(rules, user_ids)})
    select coalesce(w.user_id, h.user_id) as user_id, coalesce(w.group_id, h.group_id) as group_id,
      coalesce(w.rule_id, h.rule_id) as rule_id, h.user_id is null as adds
    from (
      select a.user_id, p.group_id, p.rule_id
      from judged as a cross join unnest(a.pairs) as one(key)
      join ${pairRows(pairs)} on p.key = one.key
    ) as w full join (
      select m.user_id, m.group_id, m.source_id as rule_id from membership_grants m
      where m.user_id = any(array(select user_id from judged)) and m.kind = 'rule' and ${soughtSql(pairs)}
    ) as h on h.user_id = w.user_id and h.group_id = w.group_id and h.rule_id = w.rule_id
    where w.user_id is null or h.user_id is null`;
}
