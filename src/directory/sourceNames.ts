/**
 * Attributes of users that a source's rules name: those that its rows are matched on must be there and hold one value,
 * or nobody would ever be found and everybody made a second time; lists that it fills by its rules and not by its mapping
 * must be lists of texts, or every row would be refused. Called by apps.ts.
 */
import { nearest } from "../core/expression/suggest.ts";
import { combinationsOf, partialRuleOf } from "../core/match.ts";
import type { Attribute, Refusal } from "../core/types.ts";
import type { Sourcing } from "../store/tables.ts";
import { nameAliases } from "./aliases.ts";
import type { Running } from "./command.ts";
import { userSchema } from "./schemaQueries.ts";

/** What is wrong with the attributes that a source's rules name anew; guards the list that keeps former logins. */
export async function judgeNames(
  running: Running,
  before: Sourcing | null,
  after: Sourcing | null,
): Promise<Refusal | undefined> {
  const keys = newKeys(before, after);
  const lists = newLists(before, after);
  if (keys.length === 0 && lists.length === 0) return undefined;
  const { attributes } = await userSchema(running.db);
  const wrong = judgeKeys(attributes, keys) ?? judgeLists(attributes, lists);
  if (wrong !== undefined) return wrong;
  if (lists.length > 0 && after?.alias_attribute) await nameAliases(running, after.alias_attribute);
  return undefined;
}

type Key = readonly [rule: "match_on" | "match_partial", name: string];

const keysOf = (sourcing: Sourcing | null): readonly Key[] =>
  sourcing === null
    ? []
    : [
        ...combinationsOf(sourcing.match_on)
          .flat()
          .map((name) => ["match_on", name] as const),
        ...Object.keys(partialRuleOf(sourcing.match_partial)?.weights ?? {}).map(
          (name) => ["match_partial", name] as const,
        ),
      ];

function newKeys(before: Sourcing | null, after: Sourcing | null): readonly Key[] {
  const known = new Set(keysOf(before).map(([, name]) => name));
  return keysOf(after).filter(([, name]) => !known.has(name));
}

function judgeKeys(attributes: readonly Attribute[], keys: readonly Key[]): Refusal | undefined {
  const named = new Map(attributes.map((attribute) => [attribute.name, attribute]));
  for (const [rule, name] of keys) {
    const place = `sourcing.${rule}`;
    const attribute = named.get(name);
    if (attribute === undefined) {
      const near = nearest(name, named.keys());
      const hint = near === null ? "define it first, or match on another" : `did you mean ${near}?`;
      return { refused: `${place}: users have no attribute ${name.slice(0, 100)}: ${hint}`, code: "invalid", place };
    }
    if (attribute.array || attribute.type === "object" || attribute.type === "boolean") {
      const what = attribute.array ? "a list" : `of type ${attribute.type}`;
      return { refused: `${place}: ${name} is ${what}, which tells nobody from another`, code: "invalid", place };
    }
  }
  return undefined;
}

type List = readonly [rule: "alias_attribute" | "every_job", name: string];

const listsOf = (sourcing: Sourcing | null): readonly List[] => [
  ...(sourcing?.alias_attribute ? [["alias_attribute", sourcing.alias_attribute] as const] : []),
  ...Object.keys(sourcing?.every_job ?? {}).map((name) => ["every_job", name] as const),
];

function newLists(before: Sourcing | null, after: Sourcing | null): readonly List[] {
  const known = new Set(listsOf(before).map(([, name]) => name));
  return listsOf(after).filter(([, name]) => !known.has(name));
}

function judgeLists(attributes: readonly Attribute[], lists: readonly List[]): Refusal | undefined {
  const there = new Set(attributes.filter(({ type, array }) => type === "string" && array).map(({ name }) => name));
  for (const [rule, name] of lists) {
    if (there.has(name)) continue;
    const place = `sourcing.${rule}`;
    return { refused: `${place}: users have no list of texts ${name}: define it first`, code: "invalid", place };
  }
  return undefined;
}
