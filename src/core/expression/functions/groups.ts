/**
 * Functions over the groups the user is in. A name test finds groups of any source with that name, as in Okta. Unlike
 * Okta, a mapping that reads groups is evaluated again when a membership changes: `dependencies.ts` tells the engine.
 * `user.getGroups({…})` and `user.isMemberOf({…})` take criteria, so the checker makes terms of them; `matchesCriterion`
 * here is their meaning.
 */
import type { Value } from "../../types.ts";
import type { GroupFact } from "../facts.ts";
import { compileRegex, type Regex } from "../regex.ts";
import { charge, type Scope } from "../scope.ts";
import { condition, type Fragment, type Writer } from "../sql_writer.ts";
import type { CriterionKey } from "../term.ts";
import { listOf } from "../types.ts";
import { isArray, own } from "../values.ts";
import { declare, type FunctionDeclaration, parameters } from "./declaration.ts";

const no = { give: false } as const;

const isMemberOfGroup = declare<[string]>({
  name: "isMemberOfGroup",
  parameters: parameters({ group_id: "string" }),
  result: "boolean",
  nulls: no,
  groups: "id",
  evaluate: (scope, id) => some(scope, (group) => group.id === id),
  sql: (writer, id) => member(writer, `m.group_id = ${id!.text}`),
  summary: "Is the user in the group with this id?",
  example: ['isMemberOfGroup("00g1")', true],
});

const isMemberOfAnyGroup = declare<(string | null)[]>({
  name: "isMemberOfAnyGroup",
  parameters: [],
  rest: parameters({ group_id: "string" }),
  result: "boolean",
  nulls: "handled",
  groups: "id",
  evaluate: (scope, ...ids) => some(scope, (group) => ids.includes(group.id)),
  sql: (writer, ...ids) =>
    ids.length === 0 ? condition("false") : member(writer, `m.group_id in (${ids.map((id) => id.text).join(", ")})`),
  summary: "Is the user in one of the groups with these ids?",
  example: ['isMemberOfAnyGroup("00g1", "00g2")', true],
});

const isMemberOfGroupName = declare<[string]>({
  name: "isMemberOfGroupName",
  parameters: parameters({ name: "string" }),
  result: "boolean",
  nulls: no,
  groups: "name",
  evaluate: (scope, name) => some(scope, (group) => group.name === name),
  sql: (writer, name) => memberOf(writer, `${group_name} = ${name!.text}`),
  summary: "Is the user in a group of this name, of any source?",
  example: ['isMemberOfGroupName("Sales")', true],
});

const isMemberOfGroupNameStartsWith = declare<[string]>({
  name: "isMemberOfGroupNameStartsWith",
  parameters: parameters({ start: "string" }),
  result: "boolean",
  nulls: no,
  groups: "prefix",
  evaluate: (scope, start) => some(scope, (group) => group.name.startsWith(start)),
  sql: (writer, start) => memberOf(writer, `starts_with(${group_name}, ${start!.text})`),
  summary: "Is the user in a group whose name starts so?",
  example: ['isMemberOfGroupNameStartsWith("Sal")', true],
});

const isMemberOfGroupNameContains = declare<[string]>({
  name: "isMemberOfGroupNameContains",
  parameters: parameters({ part: "string" }),
  result: "boolean",
  nulls: no,
  groups: "part",
  evaluate: (scope, part) => some(scope, (group) => group.name.includes(part)),
  sql: (writer, part) => memberOf(writer, `strpos(${group_name}, ${part!.text}) > 0`),
  summary: "Is the user in a group whose name has this part?",
  example: ['isMemberOfGroupNameContains("ale")', true],
});

const isMemberOfGroupNameRegex = declare<[string]>({
  name: "isMemberOfGroupNameRegex",
  parameters: parameters({ pattern: "string" }),
  result: "boolean",
  nulls: no,
  groups: "pattern",
  refuse: ([pattern]) => {
    if (typeof pattern !== "string") return "The pattern must be written in quotes, so that it can be checked.";
    const regex = compileRegex(pattern);
    return "ok" in regex ? null : `The pattern cannot be used: ${regex.message}`;
  },
  evaluate: (scope, pattern) => {
    const regex = regexOf(pattern);
    return (
      regex !== null &&
      some(scope, (group) => charge(scope, group.name.length * regex.states) && regex.matches(group.name))
    );
  },
  summary: "Is the user in a group whose whole name matches the regular expression?",
  example: ['isMemberOfGroupNameRegex("S.*")', true],
});

/** Compiled patterns of written expressions; each passed the checker, and the oldest are dropped. */
const compiled = new Map<string, Regex | null>();
const compiled_max = 1_000;

function regexOf(pattern: string): Regex | null {
  let regex = compiled.get(pattern);
  if (regex === undefined) {
    const outcome = compileRegex(pattern);
    regex = "ok" in outcome ? outcome.ok : null;
    if (compiled.size >= compiled_max) compiled.delete(compiled.keys().next().value!);
    compiled.set(pattern, regex);
  }
  return regex;
}

const getFilteredGroups = declare<[readonly Value[] | null, string | null, number | null]>({
  name: "getFilteredGroups",
  parameters: parameters({ group_ids: "list", expression: "string", limit: "number" }),
  result: listOf("string"),
  nulls: "handled",
  groups: "any",
  refuse: ([, expression]) =>
    typeof expression === "string" && group_expressions.has(expression)
      ? null
      : `The second argument is one of ${[...group_expressions.keys()].map((name) => `"${name}"`).join(", ")}.`,
  evaluate: (scope, ids, expression, limit) => {
    const read = group_expressions.get(expression ?? "");
    if (!read || !ids || !charge(scope, ids.length + scope.facts.groups.length)) return [];
    const allowed = new Set(ids);
    return scope.facts.groups
      .filter((group) => allowed.has(group.id))
      .slice(0, Math.max(0, limit ?? 0))
      .map(read);
  },
  summary: "Of the groups with these ids that the user is in, the name, id or description; at most limit of them.",
  example: ['getFilteredGroups({"00g1"}, "group.name", 40)', ["Sales"]],
});

const group_expressions: ReadonlyMap<string, (group: GroupFact) => Value> = new Map([
  ["group.id", (group: GroupFact): Value => group.id],
  ["group.name", (group: GroupFact): Value => group.name],
  ["group.description", (group: GroupFact): Value => own(group.profile, "description")],
]);

/** `Groups.*`: names of the user's groups from one app (or "OKTA") by a test of the name. */
function claim(name: string, test: (name: string, pattern: string) => boolean, summary: string): FunctionDeclaration {
  return declare<[string, string, number]>({
    name: `Groups.${name}`,
    parameters: parameters({ app: "string", pattern: "string", limit: "number" }),
    result: listOf("string"),
    nulls: { give: null },
    groups: "any",
    evaluate: (scope, app, pattern, limit) => {
      if (!charge(scope, scope.facts.groups.length)) return null;
      const found = scope.facts.groups.filter((group) => isFrom(group, app) && test(group.name, pattern));
      return found.slice(0, Math.max(0, limit)).map((group) => group.name);
    },
    summary,
    example: [`Groups.${name}("OKTA", "${name === "endsWith" ? "les" : "Sal"}", 10)`, ["Sales"]],
  });
}

function isFrom(group: GroupFact, app: string): boolean {
  if (app === "OKTA") return group.type !== "APP_GROUP";
  return group.source_id === app || group.source_name === app;
}

export const group_functions: readonly FunctionDeclaration[] = [
  ...[isMemberOfGroup, isMemberOfAnyGroup, isMemberOfGroupName, isMemberOfGroupNameStartsWith],
  ...[isMemberOfGroupNameContains, isMemberOfGroupNameRegex, getFilteredGroups],
  claim(
    "contains",
    (name, pattern) => name.includes(pattern),
    "Names of the user's groups of an app that have this part.",
  ),
  claim(
    "startsWith",
    (name, pattern) => name.startsWith(pattern),
    "Names of the user's groups of an app that start so.",
  ),
  claim("endsWith", (name, pattern) => name.endsWith(pattern), "Names of the user's groups of an app that end so."),
];

function some(scope: Scope, test: (group: GroupFact) => boolean): boolean {
  return charge(scope, scope.facts.groups.length) && scope.facts.groups.some(test);
}

/** Does the group match one key of a criterion? A name without `EXACT` matches by its start; `.*` at its end is allowed. */
export function matchesCriterion(group: GroupFact, key: CriterionKey, exact: boolean, values: Value): boolean {
  const wanted = isArray(values) ? values : [values];
  return wanted.some((value) => {
    if (typeof value !== "string") return false;
    if (key === "group.id") return group.id === value;
    if (key === "group.type") return group.type === value;
    if (key === "group.source.id") return group.source_id === value;
    return exact ? group.name === value : group.name.startsWith(prefixOf(value));
  });
}

/** Okta once wrote prefixes as `West Coast.*`; such values still mean the prefix. */
export function prefixOf(value: string): string {
  return value.endsWith(".*") ? value.slice(0, -2) : value;
}

/** What `.![…]`, `[0].…` read of a group. */
export function readGroup(group: GroupFact, path: readonly string[]): Value {
  const name = path.join(".");
  if (name === "id") return group.id;
  if (name === "name" || name === "profile.name") return group.name;
  if (name === "type") return group.type;
  if (name === "source.id") return group.source_id;
  if (path.length === 1) return own(group.profile, path[0]!);
  return path.length === 2 && path[0] === "profile" ? own(group.profile, path[1]!) : null;
}

const group_name = "g.profile ->> 'name'";

function member(writer: Writer, test: string): Fragment {
  const { memberships, user } = writer.place;
  return condition(`exists (select 1 from ${memberships} as m where m.user_id = ${user}.id and ${test})`);
}

/** A membership in a group for which `test` (over the alias `g`) holds. */
export function memberOf(writer: Writer, test: string): Fragment {
  const { memberships, groups, user } = writer.place;
  const joined = `${memberships} as m join ${groups} as g on g.id = m.group_id`;
  return condition(`exists (select 1 from ${joined} where m.user_id = ${user}.id and ${test})`);
}
