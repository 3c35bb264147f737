/**
 * Which memberships of an organisation come from its rules. The API does not tell, but Okta says that whoever meets the
 * condition of an active rule is managed by that rule; so the rules are asked here, with the expressions that will be
 * asked there (core/rules.ts). Whom no rule gives a group was put there by hand.
 *
 * Law: pure. A rule that cannot be understood gives nothing, is named with the reason, and its people stay by hand.
 */
import { baseUserSchema } from "../../core/baseSchema.ts";
import { checkExpression, type GroupFact, type Shape } from "../../core/expression/expression.ts";
import { evaluateRules, orderRules, type ReadyRule } from "../../core/rules.ts";
import type { GroupType, UserStatus } from "../../core/types.ts";
import { fold, groupKey, type Organisation, type Rule, type Tree } from "./organisation.ts";
import { groupsNamed } from "./reading.ts";

/** `given`: group → folded logins. `problems`: rule → why it cannot act here. */
export type Given = Readonly<{
  given: ReadonlyMap<string, ReadonlySet<string>>;
  problems: ReadonlyMap<string, string>;
}>;

/** `now`: for rules that ask the clock. `here`: keys of the groups that there will be where the rules go. */
export type GivenOptions = Readonly<{ now: Date; here: ReadonlySet<string> }>;

/** Asks every rule over everyone. */
export function givenByRules(organisation: Organisation, { now, here }: GivenOptions): Given {
  const problems = new Map<string, string>();
  const groups = groupFacts(organisation);
  const ready = organisation.rules.flatMap((rule) => {
    const made = namesElsewhere(rule.expression, here) ?? readyRule(rule, organisation, groups);
    if (typeof made !== "string") return rule.status === "ACTIVE" ? [made] : [];
    problems.set(rule.name, made);
    return [];
  });
  const ordered = inOrderOf(ready, problems);
  const given = new Map<string, Set<string>>(ordered.flatMap((rule) => rule.targets.map(({ id }) => [id, new Set()])));
  if (ordered.length === 0) return { given, problems };
  const mine = groupsOfPeople(organisation, groups);
  const except = new Map<string, Set<string>>();
  for (const rule of organisation.rules)
    for (const login of rule.except) {
      const key = fold(login);
      except.set(key, (except.get(key) ?? new Set()).add(rule.name));
    }
  for (const { login, profile, status } of organisation.people) {
    const key = fold(login);
    const facts = {
      ...{ user: profile, user_id: login, user_status: status as UserStatus },
      ...{ groups: mine.get(key) ?? [], now, time_zone: "UTC" },
    };
    const person = { facts, groups: by_hand(facts.groups), exceptions: except.get(key) ?? new Set<string>() };
    for (const grant of evaluateRules(ordered, person).grants) given.get(grant.group_id)?.add(key);
  }
  return { given, problems };
}

/** What a rule reads of a person's groups is what they are in, whoever put them there. */
const by_hand = (groups: readonly GroupFact[]) =>
  new Map(groups.map(({ id }) => [id, [{ kind: "person" as const, source_id: "" }]]));

function groupFacts({ groups }: Organisation): ReadonlyMap<string, GroupFact> {
  const everyone = { id: "BUILT_IN:Everyone", name: "Everyone", type: "BUILT_IN" as const, source_id: null };
  const facts = groups.map((group): [string, GroupFact] => {
    const id = groupKey(group);
    const { name, type, app, profile } = group;
    return [id, { id, name, type: type as GroupType, source_id: app, source_name: app, profile: { ...profile, name } }];
  });
  return new Map([[everyone.id, everyone], ...facts]);
}

/** The groups that people are in, by folded login. */
function groupsOfPeople(organisation: Organisation, facts: ReadonlyMap<string, GroupFact>) {
  const mine = new Map<string, GroupFact[]>();
  for (const { group, people } of organisation.members) {
    const fact = facts.get(group);
    if (fact === undefined) continue;
    for (const login of people) {
      const list = mine.get(fold(login));
      if (list === undefined) mine.set(fold(login), [fact]);
      else list.push(fact);
    }
  }
  return mine;
}

/** Why an expression cannot act where there are only these groups. */
export function namesElsewhere(expression: string, here: ReadonlySet<string>): string | undefined {
  const missing = groupsNamed(expression).find((key) => !here.has(key));
  if (missing !== undefined) return `its condition asks for the group ${missing}, which is not carried over`;
  // An id that is still there is the id of nothing.
  const gone = /\b00g[0-9A-Za-z]{17}\b/.exec(expression)?.[0];
  return gone === undefined ? undefined : `its condition asks for the group ${gone}, which is not there either`;
}

/** Rules whose name is their id; a text says why it cannot act. */
function readyRule(rule: Rule, organisation: Organisation, groups: ReadonlyMap<string, GroupFact>): ReadyRule | string {
  if (rule.status === "INVALID") return "it does not work there either: mend it there, or leave it out";
  const targets: GroupFact[] = [];
  for (const key of rule.groups) {
    const group = groups.get(key);
    if (group === undefined) return `it fills the group ${key}, which is not there`;
    if (group.type !== "OKTA_GROUP") return `it fills ${key}, which is not a group that rules fill`;
    targets.push(group);
  }
  // Marks of groups are texts inside quotes, so the expression can be checked as it stands in the document.
  const expression = rule.expression.replaceAll(/\bgroup\(([^()"']+)\)/g, (_, key: string) => decodeURIComponent(key));
  const judged = checkExpression(expression, {
    context: "rule",
    user: shapeOfPeople(organisation),
    links: organisation.link_kinds.map(({ primary }) => primary.name),
  });
  if ("problems" in judged) {
    const [first] = judged.problems;
    return `its condition cannot be used here: ${first?.message ?? ""}${first?.hint ? ` ${first.hint}` : ""}`;
  }
  const { groups: reads, clock, people } = judged.ok.dependencies;
  const { test } = judged.ok.compile();
  return { id: rule.name, name: rule.name, targets, reads, clock, people: Object.keys(people).length > 0, test };
}

const shapes = new WeakMap<Organisation, Shape>();

/** What expressions know of people: the base attributes, and those of every type. */
export function shapeOfPeople(organisation: Organisation): Shape {
  const known = shapes.get(organisation);
  if (known !== undefined) return known;
  const custom = organisation.user_types.flatMap(({ attributes }) => shapeOf(attributes));
  const shape = [...baseUserSchema.attributes, ...custom];
  shapes.set(organisation, shape);
  return shape;
}

/** Attributes of a document, as expressions know them. */
export function shapeOf(attributes: Readonly<Record<string, Tree>>): Shape {
  return Object.entries(attributes).map(([name, { type, items, format }]) => {
    const array = type === "array";
    const inner = array && typeof items === "object" && items !== null && "type" in items ? items["type"] : type;
    const plain = inner === "string" && (format === "date" || format === "date-time") ? "date" : inner;
    return { name, array, type: (plain ?? "string") as Shape[number]["type"] };
  });
}

function inOrderOf(ready: readonly ReadyRule[], problems: Map<string, string>): readonly ReadyRule[] {
  let left = ready;
  for (;;) {
    const order = orderRules(left);
    if ("ok" in order) return order.ok;
    const circle = new Set(order.cycle.map(({ id }) => id));
    for (const name of circle)
      problems.set(name, `it reads a group that it, or one of ${[...circle].join(", ")}, fills`);
    left = left.filter(({ id }) => !circle.has(id));
  }
}
