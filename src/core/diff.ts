/**
 * When two values are the same, and what differs between two profiles. This is where normalisation is told apart from
 * drift: an app that answers `ADA@EXAMPLE.ORG`, `"True"` or a list in another order holds what it was given.
 *
 * Laws (tested): sameness is an equivalence (both values are brought to one canonical text); null, absent, `""`, `[]`
 * and `{}` are all "no value" for an attribute; without an attribute nothing is normalised but null and absent.
 *
 * Called by core/plan.ts for accounts, core/sourcing.ts for provenance, directory/ to see whether a write changes
 * anything, and by previews.
 */
import { foldCase } from "./fold.ts";
import { parseInstant } from "./instant.ts";
import type { Attribute, Profile, Schema, Value } from "./types.ts";

/** One attribute's change; null is "no value". */
export type Change = Readonly<{ attribute: string; before: Value; after: Value }>;

/** What comparing needs to know of an attribute. */
export type Comparable = Pick<Attribute, "type" | "case_exact">;

/**
 * Are two values of an attribute the same? By the attribute's type and case rule, with arrays as sets; exactly (case,
 * order, `""` is a value) if no attribute is given.
 */
export function sameValue(a: Value | undefined, b: Value | undefined, attribute?: Comparable): boolean {
  if (a === b) return true;
  return canonicalValue(a, attribute) === canonicalValue(b, attribute);
}

/** A text that is equal for two values exactly when they are the same; null for no value. Usable as a key. */
export function canonicalValue(value: Value | undefined, attribute?: Comparable): string | null {
  return attribute === undefined ? exactText(value) : looseText(value, attribute);
}

/** Does the attribute have no value? Of what may be stored: null, absent, `""`, and lists and objects of nothing. */
export function isEmpty(value: Value | undefined): boolean {
  if (value === null || value === undefined || value === "") return true;
  if (Array.isArray(value)) return value.every(isEmpty);
  return typeof value === "object" && Object.values(value).every(isEmpty);
}

/**
 * What changes from one profile to the other, sorted by attribute name. With a schema, each attribute compares by its
 * own rule, and attributes that the schema lacks compare exactly; without one, all compare exactly.
 */
export function diffProfiles(before: Profile, after: Profile, schema?: Schema): readonly Change[] {
  const rules = new Map(schema?.attributes.map((attribute) => [attribute.name, attribute]));
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const changes: Change[] = [];
  for (const name of [...names].sort()) {
    const change = { attribute: name, before: own(before, name), after: own(after, name) };
    if (!sameValue(change.before, change.after, rules.get(name))) changes.push(change);
  }
  return changes;
}

/** The profile's own value; `constructor` and its kin are no attributes. */
function own(profile: Profile, name: string): Value {
  return Object.hasOwn(profile, name) ? (profile[name] ?? null) : null;
}

function exactText(value: Value | undefined): string | null {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return `[${value.map((item) => exactText(item) ?? "null").join()}]`;
  if (typeof value === "object") return objectText(value as Readonly<Record<string, Value>>, exactText);
  return JSON.stringify(value);
}

function looseText(value: Value | undefined, attribute: Comparable): string | null {
  if (isEmpty(value) || value === undefined || value === null) return null;
  if (Array.isArray(value)) {
    const items = value.map((item) => looseText(item, attribute)).filter((item) => item !== null);
    return `[${[...new Set(items)].sort().join()}]`;
  }
  if (typeof value === "object") {
    return objectText(value as Readonly<Record<string, Value>>, (member) => looseText(member, attribute));
  }
  return scalarText(value as string | number | boolean, attribute);
}

function objectText(
  value: Readonly<Record<string, Value>>,
  memberText: (member: Value | undefined) => string | null,
): string {
  const members: string[] = [];
  for (const name of Object.keys(value).sort()) {
    const text = memberText(value[name]);
    if (text !== null) members.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${members.join()}}`;
}

/** Apps answer numbers, booleans and dates as text, and texts as numbers: the attribute's type decides what it is. */
function scalarText(value: string | number | boolean, attribute: Comparable): string {
  switch (attribute.type) {
    case "number":
    case "integer":
      return JSON.stringify(typeof value === "string" ? readNumber(value) : value);
    case "boolean":
      return JSON.stringify(readBoolean(value));
    case "date":
      return typeof value === "string" ? (parseInstant(value)?.toString() ?? JSON.stringify(value)) : String(value);
    case "object":
      // Members of an object have types of their own, which nobody told us.
      return JSON.stringify(typeof value === "string" && !attribute.case_exact ? foldCase(value.normalize()) : value);
    default: {
      const text = String(value);
      return JSON.stringify(attribute.case_exact ? text : foldCase(text.normalize()));
    }
  }
}

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i;

function readNumber(text: string): number | string {
  const trimmed = text.trim();
  if (!decimal.test(trimmed)) return text;
  const number = Number(trimmed);
  // Beyond 2^53 two different ids would become one number.
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? trimmed : number;
}

function readBoolean(value: string | number | boolean): string | number | boolean {
  if (typeof value !== "string") return value;
  const text = value.toLowerCase();
  return text === "true" ? true : text === "false" ? false : value;
}
