/**
 * Group rules: conditions that put people in groups (okta-lifecycle 6.2). Pure: from rules and one person's facts to the
 * grants the rules give, and the difference to those the person has.
 *
 * Laws:
 * - Okta has no order among rules; here a rule that reads groups runs after every rule that fills them, so one pass gives
 *   the settled answer. Rules that read each other in a circle have no such order and are refused by name.
 * - The answer depends on facts only: grants that these same rules gave before are not part of what they read.
 * - A rule that fails for a person is not a no: the person keeps what that rule gave.
 * - Nobody deactivated is judged: their groups stay as they were.
 *
 * Called by the engine (desire), by directory/rules.ts (order, preview) and by previews of a changed rule.
 */
import type { Dependencies, Facts, GroupFact } from "./expression/expression.ts";
import { compileRegex } from "./expression/regex.ts";
import type { GrantKind } from "./types.ts";

/** A rule ready to run. `targets`: the groups it fills. `reads`: what it reads of the person's groups, null: nothing. */
export type ReadyRule = Readonly<{
  id: string;
  name: string;
  targets: readonly GroupFact[];
  reads: Dependencies["groups"];
  /** The passing of time alone may change the answer. */
  clock: boolean;
  /** Reads people around the person, such as the manager. */
  people: boolean;
  /** Never throws. */
  test: (facts: Facts) => boolean | Readonly<{ error: string }>;
}>;

/** What the rules read of a person. */
export type RuledPerson = Readonly<{
  facts: Facts;
  /** group id → the grants that put the person there; BUILT_IN groups have none. */
  groups: ReadonlyMap<string, readonly Readonly<{ kind: GrantKind; source_id: string }>[]>;
  /** Ids of rules that must give this person nothing. */
  exceptions: ReadonlySet<string>;
}>;

/** A grant of a rule. */
export type RuleGrant = Readonly<{ user_id: string; group_id: string; rule_id: string }>;

/** A rule that could not be evaluated for a person. */
export type RuleError = Readonly<{ user_id: string; rule_id: string; message: string }>;

/** What the rules give a person. */
export type Ruling = Readonly<{ grants: readonly RuleGrant[]; errors: readonly RuleError[] }>;

/** What changes: grants to write and to end. */
export type RuleMoves = Readonly<{
  add: readonly RuleGrant[];
  remove: readonly RuleGrant[];
  errors: readonly RuleError[];
}>;

/**
 * Puts rules in an order in which each runs after those that fill the groups it reads; by id where it does not matter.
 *
 * @returns `ok` the ordered rules, or `cycle` the rules of one circle in the order in which they read each other.
 */
export function orderRules(
  rules: readonly ReadyRule[],
): { readonly ok: readonly ReadyRule[] } | { readonly cycle: readonly ReadyRule[] } {
  const sorted = rules.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const readers = sorted.filter((rule) => rule.reads !== null);
  const before = new Map(
    readers.map((rule) => {
      const isRead = groupReader(rule.reads);
      return [rule.id, sorted.filter(({ targets }) => targets.some(isRead))];
    }),
  );
  const ordered: ReadyRule[] = [];
  const state = new Map<string, "open" | "done">();
  /** Depth-first; gives the circle that was met. The path is explicit: two thousand rules may form one chain. */
  const visit = (start: ReadyRule): readonly ReadyRule[] | undefined => {
    const path: { rule: ReadyRule; next: number }[] = [{ rule: start, next: 0 }];
    state.set(start.id, "open");
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const needed = before.get(top.rule.id)?.[top.next++];
      if (needed === undefined) {
        state.set(top.rule.id, "done");
        ordered.push(top.rule);
        path.pop();
      } else if (state.get(needed.id) === "open") {
        const chain = path.map(({ rule }) => rule);
        return chain.slice(chain.findIndex(({ id }) => id === needed.id));
      } else if (!state.has(needed.id)) {
        state.set(needed.id, "open");
        path.push({ rule: needed, next: 0 });
      }
    }
    return undefined;
  };
  for (const rule of sorted) {
    const cycle = state.has(rule.id) ? undefined : visit(rule);
    if (cycle) return { cycle };
  }
  return { ok: ordered };
}

/**
 * Levels of `ordered` rules: a rule reads no group that a rule of its own or a later level fills. So one level after
 * another, each over everyone, gives what `evaluateRules` gives one person.
 */
export function levelsOf<T extends ReadyRule>(ordered: readonly T[]): readonly (readonly T[])[] {
  const levels: T[][] = [];
  for (const rule of ordered) {
    const isRead = groupReader(rule.reads);
    const fills = (level: readonly T[]) => level.some(({ targets }) => targets.some(isRead));
    const below = rule.reads === null ? -1 : levels.findLastIndex(fills);
    const level = levels[below + 1];
    if (level) level.push(rule);
    else levels.push([rule]);
  }
  return levels;
}

/**
 * Of `ordered` rules those with these ids, and those that read a group in which one of the chosen may begin or end a
 * membership.
 *
 * @param touched the groups that a rule fills, and those that it filled before and that its grants will leave.
 */
export function withReaders<T extends ReadyRule>(
  ordered: readonly T[],
  ids: ReadonlySet<string>,
  touched: (rule: T) => readonly GroupFact[],
): readonly T[] {
  const chosen = new Set(ordered.filter((rule) => ids.has(rule.id)));
  const groups = [...chosen].flatMap(touched);
  const readers = ordered.filter((rule) => rule.reads !== null);
  // Again and again: a group that a rule fills no more may be read by one that now comes before it.
  for (let more = true; more; ) {
    const found = readers.filter((rule) => !chosen.has(rule) && groups.some(groupReader(rule.reads)));
    for (const rule of found) chosen.add(rule);
    groups.push(...found.flatMap(touched));
    more = found.length > 0;
  }
  return ordered.filter((rule) => chosen.has(rule));
}

/** May a condition with these dependencies read this group? Exact for ids, names, prefixes, parts and patterns. */
export function groupReader(reads: ReadyRule["reads"]): (group: GroupFact) => boolean {
  if (reads === null) return () => false;
  if (reads.all) return () => true;
  const matches = reads.patterns.map((pattern) => {
    const regex = compileRegex(pattern);
    return "ok" in regex ? (name: string) => regex.ok.matches(name) : () => true;
  });
  return ({ id, name }) =>
    reads.ids.includes(id) ||
    reads.names.includes(name) ||
    reads.prefixes.some((prefix) => name.startsWith(prefix)) ||
    reads.parts.some((part) => name.includes(part)) ||
    matches.some((match) => match(name));
}

/** The same rules are evaluated for one person after the other. */
const known_ids = new WeakMap<readonly ReadyRule[], ReadonlySet<string>>();

function idsOf(rules: readonly ReadyRule[]): ReadonlySet<string> {
  const known = known_ids.get(rules) ?? new Set(rules.map((rule) => rule.id));
  known_ids.set(rules, known);
  return known;
}

/** What `ordered` rules give one person: each rule also sees the groups that the rules before it gave. */
export function evaluateRules(ordered: readonly ReadyRule[], person: RuledPerson): Ruling {
  const user_id = person.facts.user_id;
  const ids = idsOf(ordered);
  const groups = new Map<string, GroupFact>();
  for (const group of person.facts.groups) {
    if (staysWithout(person.groups.get(group.id) ?? [], ids)) groups.set(group.id, group);
  }
  const grants: RuleGrant[] = [];
  const errors: RuleError[] = [];
  for (const rule of ordered) {
    if (person.exceptions.has(rule.id)) continue;
    const facts = rule.reads === null ? person.facts : { ...person.facts, groups: [...groups.values()] };
    const answer = rule.test(facts);
    if (answer === false) continue;
    if (answer !== true) errors.push({ user_id, rule_id: rule.id, message: answer.error });
    for (const target of rule.targets) {
      if (answer !== true && !holds(person, target.id, rule.id)) continue;
      grants.push({ user_id, group_id: target.id, rule_id: rule.id });
      groups.set(target.id, target);
    }
  }
  return { grants, errors };
}

/** Is the person in the group whatever these rules say? No grants at all: a BUILT_IN group. */
function staysWithout(grants: readonly Readonly<{ kind: GrantKind; source_id: string }>[], rules: ReadonlySet<string>) {
  return grants.length === 0 || grants.some(({ kind, source_id }) => kind !== "rule" || !rules.has(source_id));
}

function holds(person: RuledPerson, group_id: string, rule_id: string): boolean {
  return (person.groups.get(group_id) ?? []).some(({ kind, source_id }) => kind === "rule" && source_id === rule_id);
}

const no_moves: RuleMoves = { add: [], remove: [], errors: [] };

/**
 * What to write so that the person has exactly what `ordered` rules give. Grants of rules that are not among them
 * (inactive, invalid) are left as they are.
 */
export function ruleMoves(ordered: readonly ReadyRule[], person: RuledPerson): RuleMoves {
  if (person.facts.user_status === "DEPROVISIONED" || ordered.length === 0) return no_moves;
  const { grants, errors } = evaluateRules(ordered, person);
  const ids = idsOf(ordered);
  const key = (group_id: string, rule_id: string) => `${group_id} ${rule_id}`;
  const wanted = new Set(grants.map((grant) => key(grant.group_id, grant.rule_id)));
  const remove: RuleGrant[] = [];
  for (const [group_id, held] of person.groups) {
    for (const { kind, source_id } of held) {
      if (kind !== "rule" || !ids.has(source_id) || wanted.has(key(group_id, source_id))) continue;
      remove.push({ user_id: person.facts.user_id, group_id, rule_id: source_id });
    }
  }
  return { add: grants.filter((grant) => !holds(person, grant.group_id, grant.rule_id)), remove, errors };
}
