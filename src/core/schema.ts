/**
 * What a profile may hold: validating one against its schema, merging a change into one, and defining attributes
 * (okta-lifecycle 4.1).
 *
 * Laws: everything wrong is told at once, each fault naming its attribute and what to do; no message repeats a value
 * (it may be sensitive); a valid profile holds no empty value, no unknown attribute and nothing PostgreSQL cannot
 * store; a profile's keys never reach an object's prototype.
 *
 * Called by directory/users.ts, groups.ts and schemas.ts; by imports before matching; by previews.
 */
import { baseUserSchema, reservedNames } from "./baseSchema.ts";
import { isEmpty } from "./diff.ts";
import { nearest } from "./expression/suggest.ts";
import { parseInstant } from "./instant.ts";
import { setOwn } from "./profile.ts";
import type { Attribute, Outcome, Profile, Refusal, Schema, Value } from "./types.ts";

/** Does the text match the pattern, in the linear-time dialect of the expression language? */
export type MatchesPattern = (pattern: string, text: string) => boolean;

/** One thing wrong with one attribute. `problem` completes the sentence "<attribute>: …". */
export type ProfileFault = Readonly<{ attribute: string; problem: string }>;

/** A refusal with every fault, in the order of the profile's keys, then of the schema; at most `faults_max`. */
export type ProfileRefusal = Refusal & Readonly<{ faults: readonly ProfileFault[] }>;

export type ValidateOptions = Readonly<{
  /** true: a change; what is absent stays, null clears. false: the whole profile. */
  partial: boolean;
  /** true: `""` is a value of its own and is kept. Default: it is no value. */
  keep_empty?: boolean;
  matchesPattern: MatchesPattern;
}>;

export const faults_max = 50;
/** Characters of a text whose attribute sets no limit of its own. */
export const text_max = 32_768;
export const items_max = 1_000;
const object_depth_max = 10;
const object_nodes_max = 1_000;
const attributes_max = 1_000;
const unique_max = 5;

/**
 * Checks a profile, or a partial change of one, from outside. Gives it normalised: empty values are gone from a whole
 * profile, and are null (clear it) in a partial one. Refuses with `invalid` and all faults.
 */
export function validateProfile(
  schema: Schema,
  profile: unknown,
  options: ValidateOptions,
): { readonly ok: Profile } | ProfileRefusal {
  if (!isPlainObject(profile)) {
    return profileRefusal([{ attribute: "profile", problem: "must be an object of attributes and their values" }]);
  }
  const { known, required } = namesOf(schema);
  const faults: ProfileFault[] = [];
  let normal = Object.getPrototypeOf(profile) === Object.prototype;
  for (const name of Object.keys(profile)) {
    if (faults.length >= faults_max) break;
    const value = profile[name];
    const attribute = known.get(name);
    const problem = attribute
      ? valueProblem(attribute, value, options)
      : value === undefined
        ? undefined
        : unknownProblem(name, known);
    if (problem !== undefined) faults.push({ attribute: name, problem });
    else if (value === undefined || isAbsent(value as Value, options)) normal = false;
  }
  for (const name of required) {
    if (faults.some((fault) => fault.attribute === name)) continue;
    const value = Object.hasOwn(profile, name) ? (profile[name] as Value | undefined) : undefined;
    if (!isEmpty(value)) continue;
    const told = value !== undefined && (options.partial || !isAbsent(value, options));
    if (told) faults.push({ attribute: name, problem: "is required and cannot be cleared" });
    else if (!options.partial) faults.push({ attribute: name, problem: "is required; give it a value" });
  }
  // Mostly there is nothing to normalise, and a bulk import need not hold each profile twice.
  if (faults.length === 0) return { ok: normal ? (profile as Profile) : normalised(profile as Profile, options) };
  return profileRefusal(
    faults.slice(0, faults_max).map(({ attribute, problem }) => ({ attribute: shown(attribute), problem })),
  );
}

/** Without empty values, or with null for them in a partial change. */
function normalised(profile: Profile, options: ValidateOptions): Profile {
  const normal: Record<string, Value> = {};
  for (const [name, value] of Object.entries(profile)) {
    if (value === undefined) continue;
    if (!isAbsent(value, options)) setOwn(normal, name, value);
    else if (options.partial) setOwn(normal, name, null);
  }
  return normal;
}

type Names = Readonly<{ known: ReadonlyMap<string, Attribute>; required: readonly string[] }>;

/** A bulk import asks a million times for one schema. */
const names_of = new WeakMap<readonly Attribute[], Names>();

function namesOf({ attributes }: Schema): Names {
  let names = names_of.get(attributes);
  if (names === undefined) {
    const required = attributes.filter((attribute) => attribute.required).map(({ name }) => name);
    names = { known: new Map(attributes.map((attribute) => [attribute.name, attribute])), required };
    names_of.set(attributes, names);
  }
  return names;
}

/** A schema's attributes by their names. */
export const attributesByName = (attributes: readonly Attribute[]): ReadonlyMap<string, Attribute> =>
  namesOf({ attributes }).known;

/**
 * The profile after a change. `partial`: absent attributes stay, null removes. `replace`: only what the change holds
 * stays. Gives a profile without nulls; the change is expected to be valid.
 */
export function mergeProfile(before: Profile, change: Profile, mode: "partial" | "replace"): Profile {
  const merged = new Map(mode === "partial" ? Object.entries(before) : []);
  for (const [name, value] of Object.entries(change)) merged.set(name, value);
  return Object.fromEntries([...merged].filter(([, value]) => value !== null && value !== undefined));
}

/** A new attribute as an administrator writes it: name and type, the rest by default. */
export type AttributeDefinition = Pick<Attribute, "name" | "type"> & Partial<Omit<Attribute, "base">>;

export type DefineOptions = Readonly<{
  /** Can this pattern be compiled? undefined if so, else what is wrong with it. */
  patternProblem?: (pattern: string) => string | undefined;
}>;

/** A custom attribute for this schema, complete with defaults; refuses names and limits that cannot work. */
export function defineAttribute(
  schema: Schema,
  definition: AttributeDefinition,
  options: DefineOptions = {},
): Outcome<Attribute> {
  const attribute: Attribute = {
    array: false,
    required: false,
    writable: "always",
    readable: true,
    unique: false,
    case_exact: true,
    ...definition,
  };
  const taken = schema.attributes.find((other) => other.name.toLowerCase() === attribute.name.toLowerCase());
  if (taken) {
    return {
      refused: `${shown(attribute.name)}: the schema has ${taken.name}, and two names may not differ only by case`,
      code: "duplicate",
      place: attribute.name.slice(0, 100),
    };
  }
  if (schema.attributes.length >= attributes_max) {
    return { refused: `A schema holds at most ${attributes_max} attributes; remove one first`, code: "too_large" };
  }
  const problem = nameProblem(attribute.name) ?? ruleProblem(attribute, options) ?? uniqueProblem(schema, attribute);
  return problem === undefined ? { ok: attribute } : attributeRefusal(attribute.name, problem);
}

/**
 * An attribute of this schema changed: its name and type stay. Of the base attributes only what Okta lets change may:
 * whether first and last name are required, the pattern of the login, titles and descriptions, sensitivity.
 */
export function redefineAttribute(
  schema: Schema,
  name: string,
  change: Partial<Omit<Attribute, "name" | "base">>,
  options: DefineOptions = {},
): Outcome<Attribute> {
  const before = schema.attributes.find((attribute) => attribute.name === name);
  if (!before) return { refused: `${shown(name)}: the schema has no such attribute`, code: "not_found" };
  const changed = (Object.keys(change) as (keyof typeof change)[]).filter(
    (key) => JSON.stringify(change[key]) !== JSON.stringify(before[key]),
  );
  for (const key of changed) {
    if (key === "type" || key === "array") {
      return attributeRefusal(name, "its type is fixed once made; define another attribute instead");
    }
    if (before.base && !baseMayChange(name, key)) {
      return attributeRefusal(name, `${key} of a base attribute is fixed`);
    }
  }
  const attribute: Attribute = { ...before, ...change };
  const others = { attributes: schema.attributes.filter((other) => other.name !== name) };
  const problem = ruleProblem(attribute, options) ?? uniqueProblem(others, attribute);
  return problem === undefined ? { ok: attribute } : attributeRefusal(name, problem);
}

function baseMayChange(name: string, key: keyof Attribute): boolean {
  if (key === "title" || key === "description" || key === "sensitive") return true;
  if (key === "required") return name === "firstName" || name === "lastName";
  return key === "pattern" && name === "login";
}

function isAbsent(value: Value, options: ValidateOptions): boolean {
  return options.keep_empty && value === "" ? false : isEmpty(value);
}

function valueProblem(attribute: Attribute, value: unknown, options: ValidateOptions): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (!attribute.array) {
    if (Array.isArray(value)) return "takes one value, not a list";
    return scalarProblem(attribute, value, options);
  }
  if (!Array.isArray(value)) return "takes a list of values";
  if (value.length > items_max) return `holds at most ${items_max} values, not ${value.length}`;
  for (const [index, item] of value.entries()) {
    const problem = item === null ? "is null; leave it out" : scalarProblem(attribute, item, options);
    if (problem !== undefined) return `value ${index + 1} ${problem}`;
  }
  return undefined;
}

function scalarProblem(attribute: Attribute, value: unknown, options: ValidateOptions): string | undefined {
  const problem = typeProblem(attribute, value);
  if (problem !== undefined) return problem;
  if (attribute.enum && !attribute.enum.includes(value as Value)) {
    const allowed = attribute.enum.slice(0, 20).map((item) => JSON.stringify(item));
    return `must be one of ${allowed.join(", ")}${attribute.enum.length > 20 ? ", …" : ""}`;
  }
  return typeof value === "string" ? textProblem(attribute, value, options) : undefined;
}

function typeProblem(attribute: Attribute, value: unknown): string | undefined {
  switch (attribute.type) {
    case "string":
    case "reference":
      return typeof value === "string" ? undefined : `must be a text, not ${kindOf(value)}`;
    case "number":
      return Number.isFinite(value) ? undefined : `must be a number, not ${kindOf(value)}`;
    case "integer":
      if (typeof value !== "number") return `must be a whole number, not ${kindOf(value)}`;
      return Number.isSafeInteger(value) ? undefined : "must be a whole number between -(2^53 - 1) and 2^53 - 1";
    case "boolean":
      return typeof value === "boolean" ? undefined : `must be true or false, not ${kindOf(value)}`;
    case "date":
      return typeof value === "string" && parseInstant(value) !== undefined
        ? undefined
        : "must be an ISO 8601 date such as 2026-03-02 or 2026-03-02T09:00:00Z";
    case "object":
      return isPlainObject(value) ? objectProblem(value) : `must be an object, not ${kindOf(value)}`;
  }
}

function textProblem(attribute: Attribute, text: string, options: ValidateOptions): string | undefined {
  if (!isStorable(text)) return "holds a character that cannot be stored (NUL or half of a surrogate pair)";
  const max = attribute.max_length ?? text_max;
  const min = attribute.min_length ?? 0;
  // A code point is one or two code units: they are counted exactly only when it can matter.
  if (text.length > max || text.length < min * 2) {
    const length = text.length > max * 2 ? text.length : [...text].length;
    if (length > max) return `must be at most ${max} characters, not ${length}`;
    if (length < min) return `must be at least ${min} characters, not ${length}`;
  }
  if (attribute.pattern !== undefined && !options.matchesPattern(attribute.pattern, text)) {
    return `must match the pattern ${attribute.pattern}`;
  }
  return undefined;
}

function objectProblem(object: object): string | undefined {
  const waiting: [unknown, number][] = [[object, 1]];
  let nodes = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [value, depth] = next;
    nodes += 1;
    if (nodes > object_nodes_max) return `holds more than ${object_nodes_max} values`;
    if (depth > object_depth_max) return `is nested deeper than ${object_depth_max} levels`;
    if (value === null || typeof value === "boolean" || Number.isFinite(value)) continue;
    if (typeof value === "string") {
      if (!isStorable(value) || value.length > text_max) return "holds a text that cannot be stored";
    } else if (Array.isArray(value)) {
      if (value.length > object_nodes_max) return `holds more than ${object_nodes_max} values`;
      for (const item of value) waiting.push([item, depth + 1]);
    } else if (isPlainObject(value)) {
      for (const [name, item] of Object.entries(value)) {
        if (isDangerous(name)) return `may not hold a member named ${name}`;
        if (!isStorable(name)) return "holds a name that cannot be stored";
        waiting.push([item, depth + 1]);
      }
    } else return `may not hold ${kindOf(value)}`;
  }
  return undefined;
}

function unknownProblem(name: string, known: ReadonlyMap<string, Attribute>): string {
  const near = nearest(name, known.keys());
  return `is not defined in the schema${near ? `; did you mean ${near}?` : "; define it first, or leave it out"}`;
}

function nameProblem(name: string): string | undefined {
  if (!/^[A-Za-z][A-Za-z0-9_]{0,99}$/.test(name)) {
    return "a name is a letter followed by at most 99 letters, digits and underscores";
  }
  return reservedNames.has(name.toLowerCase()) ? "this name is reserved; choose another" : undefined;
}

const textual: ReadonlySet<Attribute["type"]> = new Set(["string", "reference"]);

function ruleProblem(attribute: Attribute, options: DefineOptions): string | undefined {
  const { min_length, max_length, pattern } = attribute;
  const limits = min_length !== undefined || max_length !== undefined || pattern !== undefined;
  if (limits && !textual.has(attribute.type)) return "lengths and patterns are for texts only";
  for (const length of [min_length, max_length]) {
    if (length !== undefined && !(Number.isSafeInteger(length) && length >= 0 && length <= text_max)) {
      return `lengths are whole numbers from 0 to ${text_max}`;
    }
  }
  if (min_length !== undefined && max_length !== undefined && min_length > max_length) {
    return "the minimum length is above the maximum length";
  }
  const wrong = pattern === undefined ? undefined : options.patternProblem?.(pattern);
  if (wrong !== undefined) return `the pattern cannot be used: ${wrong}`;
  return attribute.enum === undefined ? undefined : enumProblem(attribute, attribute.enum);
}

function enumProblem(attribute: Attribute, values: readonly Value[]): string | undefined {
  if (attribute.type === "boolean" || attribute.type === "object") {
    return `a ${attribute.type} cannot be limited to a list of values`;
  }
  if (values.length === 0 || values.length > items_max) return `a list of allowed values has 1 to ${items_max} values`;
  if (new Set(values).size !== values.length) return "an allowed value is listed twice";
  const wrong = values.findIndex((value) => value === "" || typeProblem(attribute, value) !== undefined);
  return wrong < 0 ? undefined : `allowed value ${wrong + 1} is not of type ${attribute.type}`;
}

function uniqueProblem(schema: Schema, attribute: Attribute): string | undefined {
  if (!attribute.unique || attribute.base) return undefined;
  if (attribute.array || attribute.type === "boolean" || attribute.type === "object") {
    return "only a single text, number or date can be unique";
  }
  const others = schema.attributes.filter((other) => other.unique && !other.base).length;
  return others >= unique_max ? `at most ${unique_max} custom attributes can be unique` : undefined;
}

function attributeRefusal(name: string, problem: string): Refusal {
  return { refused: `${shown(name)}: ${problem}`, code: "invalid", place: name.slice(0, 100) };
}

function profileRefusal(faults: readonly ProfileFault[]): ProfileRefusal {
  const first = faults[0];
  return {
    refused: faults.map((fault) => `${fault.attribute}: ${fault.problem}`).join("; "),
    code: "invalid",
    ...(first ? { place: first.attribute } : {}),
    faults,
  };
}

function isDangerous(name: string): boolean {
  return name === "__proto__" || name === "constructor" || name === "prototype";
}

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes("\u0000");
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value === "string" ? "text" : typeof value}`;
}

/** A name from outside, short enough for a message. */
function shown(name: string): string {
  return name.length > 100 ? `${name.slice(0, 100)}…` : name;
}

/** Names of the user's base attributes, for those who must tell them from custom ones. */
export const baseUserNames: ReadonlySet<string> = new Set(baseUserSchema.attributes.map((attribute) => attribute.name));
