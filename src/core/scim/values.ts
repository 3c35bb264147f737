/**
 * Values as their definitions have them: what a client sent becomes what is stored, and names become the definitions' own.
 * Tolerant reading takes what Okta and Entra send (`"False"`, a manager as a text, one value where a list belongs); strict
 * reading takes what the RFC says and names the rest.
 *
 * Law: nothing is written under a name that a client chose. null, `""` and `[]` are no value.
 */
import { parseInstant } from "../instant.ts";
import type { Value } from "../types.ts";
import { type Definition, defined, extensionOf, type ResourceSchema } from "./definitions.ts";
import { type Judged, type ScimFault, wrong } from "./fault.ts";
import { isObject } from "./path.ts";

/** A resource, or a part of one: written only by this file and patch.ts. */
export type Stored = { [name: string]: Value };

/** `strict`: refuse what the RFC does not say. `ignored`: names that were passed over, for people. */
export type Reading = { readonly strict: boolean; fault?: ScimFault; readonly ignored: Set<string> };

export const newReading = (strict: boolean): Reading => ({ strict, ignored: new Set() });

export const text_max = 4_096;
/** A photo or a certificate. */
export const binary_max = 65_536;
export const values_max = 1_000;
/** Of a group, in one request. */
export const members_max = 50_000;
const ignored_max = 20;

/** Notes what is wrong; the first fault counts. */
export function fail(reading: Reading, fault: ScimFault): undefined {
  reading.fault ??= fault;
  return undefined;
}

/** Passes over a name that is not known, or refuses it. */
export function unknown(reading: Reading, name: string): undefined {
  const shown = name.slice(0, 100);
  if (reading.strict) return fail(reading, wrong("invalidSyntax", `there is no attribute "${shown}"`));
  if (reading.ignored.size < ignored_max) reading.ignored.add(shown);
  return undefined;
}

/** A whole resource as a client sent it, for POST and PUT. What only we write is passed over, as the RFC asks. */
export function readResource(schema: ResourceSchema, body: unknown, reading: Reading): Judged<Stored> {
  if (!isObject(body)) return { fault: wrong("invalidSyntax", "the body must be a JSON object") };
  const resource: Stored = {};
  const pathed: [string, unknown][] = [];
  for (const [name, given] of Object.entries(body)) {
    const key = name.toLowerCase();
    if (key === "schemas") continue;
    const extension = extensionOf(schema, name);
    const attribute = extension ? undefined : defined(schema.attributes, name);
    if (extension) {
      const part = readMembers(extension.attributes, given, reading, `${extension.urn}:`);
      if (part && Object.keys(part).length > 0) resource[extension.urn] = part;
    } else if (attribute) put(resource, attribute, readValue(attribute, given, reading));
    else pathed.push([name, given]);
  }
  for (const [name] of pathed) unknown(reading, name);
  judgeSchemas(schema, body, reading);
  for (const { name, required } of schema.attributes) {
    if (required && resource[name] === undefined) fail(reading, wrong("invalidValue", `${name} is required`));
  }
  return reading.fault ? { fault: reading.fault } : { ok: resource };
}

function judgeSchemas(schema: ResourceSchema, body: Readonly<Record<string, unknown>>, reading: Reading): void {
  if (!reading.strict) return;
  const given = Object.entries(body).find(([name]) => name.toLowerCase() === "schemas")?.[1];
  const all = Array.isArray(given) ? given.map((one) => `${one}`.toLowerCase()) : [];
  if (!all.includes(schema.urn.toLowerCase())) {
    fail(reading, wrong("invalidValue", `schemas must name ${schema.urn}`));
  }
}

function put(holder: Stored, { name, mutability }: Definition, value: Value | undefined): void {
  if (value !== undefined && mutability !== "readOnly" && mutability !== "writeOnly") holder[name] = value;
}

/** One attribute's value; undefined: none, or a fault was noted. */
export function readValue(definition: Definition, given: unknown, reading: Reading): Value | undefined {
  if (given === null || given === undefined || given === "") return undefined;
  if (definition.mutability === "readOnly") return undefined;
  return definition.multi ? readList(definition, given, reading) : readOne(definition, given, reading);
}

function readList(definition: Definition, given: unknown, reading: Reading): Value | undefined {
  const { name } = definition;
  if (!Array.isArray(given) && reading.strict) return fail(reading, wrong("invalidValue", `${name} must be a list`));
  const all: readonly unknown[] = Array.isArray(given) ? given : [given];
  const most = name === "members" ? members_max : values_max;
  if (all.length > most) {
    return fail(reading, {
      status: 413,
      type: "tooMany",
      detail: `${name} has more than ${most} values: send it in parts`,
    });
  }
  const values: Value[] = [];
  for (const one of all) {
    const value = readOne(definition, one, reading);
    if (value !== undefined) values.push(value);
  }
  return values.length === 0 ? undefined : tidyList(definition, values);
}

/** Equal values once; of several that are primary only the last. */
export function tidyList(definition: Definition, values: readonly Value[]): Value[] {
  const seen = new Map<string, Value>();
  for (const value of values) {
    const key = identity(value);
    if (!seen.has(key)) seen.set(key, value);
  }
  const kept = [...seen.values()];
  if (!defined(definition.subs, "primary")) return kept;
  const last = kept.findLastIndex(isPrimary);
  return kept.map((value, n) => (isPrimary(value) && n !== last ? { ...(value as Stored), primary: false } : value));
}

const isPrimary = (value: Value) => isObject(value) && value["primary"] === true;

/** Two values are one if they hold the same, whatever the order of their keys. */
export function identity(value: Value): string {
  if (!isObject(value)) return JSON.stringify(value);
  const { primary: _, ...rest } = value as Stored;
  return JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** One value of a list, or the value of an attribute that has one. */
export function readOne(definition: Definition, given: unknown, reading: Reading): Value | undefined {
  if (given === null || given === undefined || given === "") return undefined;
  const { strict } = reading;
  // `[{"value": "False"}]` is how some clients write one value.
  const plain = !strict && !definition.multi && Array.isArray(given) ? given[0] : given;
  if (definition.type === "complex") return readComplex(definition, plain, reading);
  const value = !strict && isObject(plain) && "value" in plain ? plain["value"] : plain;
  return value === null || value === undefined || value === "" ? undefined : readPlain(definition, value, reading);
}

function readComplex(definition: Definition, given: unknown, reading: Reading): Value | undefined {
  if (isObject(given)) {
    const part = readMembers(definition.subs, given, reading, `${definition.name}.`);
    return part && Object.keys(part).length > 0 ? part : undefined;
  }
  const value = defined(definition.subs, "value");
  const scalar = typeof given === "string" || typeof given === "number";
  if (reading.strict || value === undefined || !scalar) {
    return fail(reading, wrong("invalidValue", `${definition.name} must be an object`));
  }
  const one = readPlain(value, given, reading);
  return one === undefined ? undefined : { value: one };
}

function readMembers(
  definitions: readonly Definition[],
  given: unknown,
  reading: Reading,
  before: string,
): Stored | undefined {
  if (given === null || given === undefined || given === "") return undefined;
  if (!isObject(given)) return fail(reading, wrong("invalidValue", `${before.slice(0, -1)} must be an object`));
  const part: Stored = {};
  for (const [name, one] of Object.entries(given)) {
    const definition = defined(definitions, name);
    if (definition === undefined) unknown(reading, `${before}${name}`);
    else put(part, definition, readValue(definition, one, reading));
  }
  return part;
}

function readPlain(definition: Definition, value: unknown, reading: Reading): Value | undefined {
  const { name, type } = definition;
  const refuse = (what: string) => fail(reading, wrong("invalidValue", `${name} must be ${what}`));
  switch (type) {
    case "boolean":
      return readBoolean(value, reading.strict) ?? refuse("true or false");
    case "integer":
    case "decimal": {
      const number = !reading.strict && typeof value === "string" && value.trim() !== "" ? Number(value) : value;
      const usable = typeof number === "number" && Number.isFinite(number);
      if (!usable || (type === "integer" && !Number.isInteger(number))) return refuse("a number");
      return number;
    }
    case "dateTime":
      return typeof value === "string" && parseInstant(value) !== undefined ? value : refuse("a date and time");
    default: {
      const text = !reading.strict && (typeof value === "number" || typeof value === "boolean") ? `${value}` : value;
      if (typeof text !== "string") return refuse("a text");
      const most = type === "binary" || type === "reference" ? binary_max : text_max;
      if (text.length > most) return refuse(`at most ${most} characters`);
      return text.includes("\0") || !text.isWellFormed() ? refuse("a text that can be stored") : text;
    }
  }
}

/** Tolerant: `"True"` and `"false"` too. */
export function readBoolean(value: unknown, strict: boolean): boolean | undefined {
  if (typeof value === "boolean") return value;
  const text = strict || typeof value !== "string" ? "" : value.toLowerCase();
  return text === "true" ? true : text === "false" ? false : undefined;
}
