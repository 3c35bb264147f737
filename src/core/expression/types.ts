/**
 * The types that the checker reasons with. They are fewer than JSON's shapes on purpose: what is declared in a schema
 * (`string`, `number`, `boolean`, `date`, lists of them), `any` for objects and mixed values, `null` for the literal,
 * and two that never leave an expression: `group` (an element of `user.getGroups(…)`) and `criteria` (a `{key: …}` map).
 * Every type includes null: absence is a value like any other, with defined results (docs/expressions.md).
 */
import type { Attribute } from "../types.ts";

export type ListType = Readonly<{ list: Type }>;
export type Type = "string" | "number" | "boolean" | "date" | "any" | "null" | "group" | "criteria" | ListType;

const of_attribute: Readonly<Record<Attribute["type"], Type>> = {
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
  date: "date",
  reference: "string",
  object: "any",
};

/** The type that reading a declared attribute has. */
export function typeOfAttribute(attribute: Pick<Attribute, "type" | "array">): Type {
  const one = of_attribute[attribute.type];
  return attribute.array ? listOf(one) : one;
}

export function listOf(element: Type): ListType {
  return Object.freeze({ list: element });
}

export function isList(type: Type): type is ListType {
  return typeof type === "object";
}

/** Text and dates: a date is an ISO 8601 text that is compared as a point in time. */
export function isText(type: Type): boolean {
  return type === "string" || type === "date";
}

/** The type of a value that is either of two: what `? :`, `?:` and `coalesce` give. */
export function either(left: Type, right: Type): Type {
  if (left === "null") return right;
  if (right === "null" || sameType(left, right)) return left;
  if (isText(left) && isText(right)) return "string";
  if (isList(left) && isList(right)) return listOf(either(left.list, right.list));
  return "any";
}

export function sameType(left: Type, right: Type): boolean {
  return isList(left) && isList(right) ? sameType(left.list, right.list) : left === right;
}

/** Could two values of these types ever be equal? False is a mistake worth reporting. */
export function comparable(left: Type, right: Type): boolean {
  if (left === "any" || right === "any" || left === "null" || right === "null") return true;
  if (isList(left) && isList(right)) return comparable(left.list, right.list);
  return sameType(left, right) || (isText(left) && isText(right));
}

/** The type in words a reader of a message knows: `a list of text`. */
export function describeType(type: Type): string {
  if (isList(type))
    return type.list === "any" || type.list === "null" ? "a list" : `a list of ${plural[type.list as Named]}`;
  return words[type];
}

type Named = Exclude<Type, ListType>;
const words: Readonly<Record<Named, string>> = {
  string: "text",
  number: "a number",
  boolean: "true or false",
  date: "a date",
  any: "a value of any kind",
  null: "null",
  group: "a group",
  criteria: "a group filter",
};
const plural: Readonly<Record<Named, string>> = {
  string: "text",
  number: "numbers",
  boolean: "true and false",
  date: "dates",
  any: "values",
  null: "nothing",
  group: "groups",
  criteria: "group filters",
};
