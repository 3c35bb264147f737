/**
 * Who judges due rules over many people: SQL for conditions with an exact SQL form, closures over streamed people for the
 * rest. Both give the same answer for a person, that of core/rules.ts.
 *
 * Closures that read only the person's own profile and status get just the attributes they read; those that read groups,
 * accounts or people around them get whole facts, as desire does.
 *
 * Called by ruleEvaluation.ts.
 */
import type { Dependencies, Facts } from "../core/expression/expression.ts";
import { type ReadyRule, ruleMoves } from "../core/rules.ts";
import type { Profile, UserStatus } from "../core/types.ts";
import type { CheckedRule } from "../directory/ruleChecks.ts";
import {
  among,
  differencesSql,
  exceptedSql,
  findDiffering,
  heldSql,
  type Pair,
  pairsOf,
  type Range,
  type SqlRules,
  type Whom,
} from "../directory/ruleSql.ts";
import { movesSql, type RuleMove, type RuleMoves } from "../directory/ruleWaves.ts";
import { type Database, sql } from "../store/database.ts";
import type { Company } from "./company.ts";
import { loadPeople, type PersonRecord } from "./people.ts";

/** Judges some rules of one level. */
export type Judge = Readonly<{
  /** In which its rules have or give grants. */
  groups: readonly string[];
  /** Its rules read more than the person's own row, groups and exceptions, which change only under the person's lock. */
  watched: boolean;
  /** Ids of the people of a range who differ from what the rules give, in order. */
  find: (db: Database, range: Range) => Promise<readonly string[]>;
  /** How these people differ. */
  moves: (db: Database, user_ids: readonly string[]) => Promise<RuleMoves>;
}>;

/** SQL judges these rules. */
export function sqlJudge(judged: SqlRules): Judge {
  return {
    ...{ groups: judged.pairs.map((pair) => pair.group_id), watched: false },
    find: (db, range) => findDiffering(db, judged, range),
    moves: async (_, user_ids) => differencesSql(judged, user_ids),
  };
}

/** Closures judge these rules. `stale`: grants that no condition reads, of rules in groups they fill no more. */
export function closureJudge(
  company: Company,
  rules: readonly CheckedRule[],
  stale: readonly Pair[],
  now: Date,
): Judge {
  const own = rules.every(
    ({ checked: { dependencies } }) => dependencies.groups === null && !readsOthers(dependencies),
  );
  const judge = own ? judgeThemselves(company, rules, now) : judgeWhole(company, rules, stale, now);
  return {
    groups: pairsOf(rules).map((pair) => pair.group_id),
    watched: rules.some(({ checked }) => readsOthers(checked.dependencies)),
    find: async (db, range) => [...new Set((await judge(db, range)).map((move) => move.user_id))],
    moves: async (db, user_ids) => movesSql(await judge(db, user_ids)),
  };
}

/** Does it read rows of others, or accounts? */
function readsOthers(read: Dependencies): boolean {
  const others = [read.accounts, read.directories, read.people].some((one) => Object.keys(one).length > 0);
  return others || [read.appuser, read.source, read.app, read.group].some((names) => names.length > 0);
}

type Row = {
  id: string;
  status: UserStatus;
  time_zone: string | null;
  profile: Profile;
  /** Keys of pairs. */
  held: string[] | null;
  excepted: string[] | null;
};

function judgeThemselves(company: Company, rules: readonly CheckedRule[], now: Date) {
  const ready = rules.map((rule) => rule.ready);
  const pairs = pairsOf(rules);
  const names = [...new Set(rules.flatMap(({ checked }) => checked.dependencies.user))];
  const profile = sql.join([...names].flatMap((name) => [sql`${name}::text`, sql`u.profile -> ${name}::text`]));
  return async (db: Database, whom: Whom): Promise<readonly RuleMove[]> => {
    const { rows } = await sql<Row>`
      select u.id, u.status, u.time_zone, jsonb_build_object(${names.length === 0 ? sql`` : profile}) as profile,
        h.pairs as held, x.pairs as excepted
      from users u
      left join (${heldSql(pairs, whom)}) as h on h.user_id = u.id
      left join (${exceptedSql(pairs, now, whom)}) as x on x.user_id = u.id
      where ${among(sql`u.id`, whom)} and u.status <> 'DEPROVISIONED' order by u.id`.execute(db);
    return rows.flatMap((row) => movesOf(company, ready, pairs, row, now));
  };
}

function movesOf(
  company: Company,
  rules: readonly ReadyRule[],
  pairs: readonly Pair[],
  row: Row,
  now: Date,
): readonly RuleMove[] {
  const facts: Facts = {
    user: row.profile,
    user_id: row.id,
    user_status: row.status,
    groups: [],
    org: company.org,
    app_named: (name) => company.properties.get(company.by_name.get(name) ?? "") ?? null,
    now,
    time_zone: row.time_zone ?? company.time_zone,
  };
  const held = new Set(row.held);
  const excepted = new Set(row.excepted);
  const moves: RuleMove[] = [];
  for (const rule of rules) {
    const answer = rule.test(facts);
    for (const { key, rule_id, group_id, filled } of pairs) {
      if (rule_id !== rule.id) continue;
      // A rule that fails is not a no: what it gave stays.
      const wants = filled && !excepted.has(key) && (answer === true || (answer !== false && held.has(key)));
      if (wants !== held.has(key)) moves.push({ user_id: row.id, group_id, rule_id, adds: wants });
    }
  }
  return moves;
}

/** People whose whole facts are in memory at once. */
const page = 1_000;

function judgeWhole(company: Company, rules: readonly CheckedRule[], stale: readonly Pair[], now: Date) {
  const ready = rules.map((rule) => rule.ready);
  const own = new Set(ready.map((rule) => rule.id));
  const foreign = new Set(
    stale.filter(({ rule_id }) => !own.has(rule_id)).map(({ rule_id, group_id }) => `${group_id} ${rule_id}`),
  );
  return async (db: Database, whom: Whom): Promise<readonly RuleMove[]> => {
    const ids = "after" in whom ? await idsOf(db, whom) : whom;
    const moves: RuleMove[] = [];
    for (let from = 0; from < ids.length; from += page) {
      const people = await loadPeople(db, company, ids.slice(from, from + page), now);
      for (const person of people.values()) {
        const { add, remove } = ruleMoves(ready, foreign.size === 0 ? person : withoutStale(person, foreign));
        moves.push(...add.map((grant) => ({ ...grant, adds: true })));
        moves.push(...remove.map((grant) => ({ ...grant, adds: false })));
      }
    }
    return moves;
  };
}

function withoutStale(person: PersonRecord, stale: ReadonlySet<string>): PersonRecord {
  const groups = new Map(
    [...person.groups].flatMap(([id, grants]) => {
      const left = grants.filter(({ source_id }) => !stale.has(`${id} ${source_id}`));
      return left.length === 0 && grants.length > 0 ? [] : [[id, left] as const];
    }),
  );
  const facts = { ...person.facts, groups: person.facts.groups.filter(({ id }) => groups.has(id)) };
  return { ...person, groups, facts };
}

/** Ids of everyone of a range who is judged, in order. */
export async function idsOf(db: Database, range: Range): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`
    select u.id from users u where ${among(sql`u.id`, range)} and u.status <> 'DEPROVISIONED' order by u.id`.execute(
    db,
  );
  return rows.map((row) => row.id);
}
