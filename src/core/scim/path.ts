/**
 * SCIM attribute paths (RFC 7644 section 3.5.2) as our schemas use them in `external_name`: an attribute, perhaps of an
 * extension, perhaps one element of a multi-valued one, perhaps one sub-attribute. Reading and writing plain JSON
 * along them, with names compared without case as the RFC asks.
 *
 *     userName · name.givenName · emails[type eq "work"].value · roles.value (every role's value)
 *     urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value
 *
 * Pure. Called by resource.ts, attributes.ts, and the SCIM connector.
 */
import type { Value } from "../types.ts";

export type ScimObject = { [name: string]: unknown };

export type ScimPath = Readonly<{
  /** The extension's URN, null for the core schema. */
  urn: string | null;
  attribute: string;
  filter: Readonly<{ attribute: string; value: string | boolean }> | null;
  sub: string | null;
  /** As written. */
  text: string;
}>;

export const core_user_urn = "urn:ietf:params:scim:schemas:core:2.0:User";
export const core_group_urn = "urn:ietf:params:scim:schemas:core:2.0:Group";
export const enterprise_urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

const name_pattern = /^[A-Za-z$][\w$-]*$/;
const filter_pattern = /^([A-Za-z][\w$-]*)\s+eq\s+("(?:[^"\\]|\\.)*"|true|false)$/i;
/** Names that are never looked up or written on a plain object. */
const forbidden_names = new Set(["__proto__", "prototype", "constructor"]);

/** The parts of a path, or null if it is not one. */
export function parsePath(text: string): ScimPath | null {
  const bracket = text.indexOf("[");
  const before = bracket === -1 ? text : text.slice(0, bracket);
  const colon = /^urn:/i.test(text) ? before.lastIndexOf(":") : -1;
  const urn = colon === -1 ? null : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  const parts = /^([^.[\]]+)(?:\[([^\]]*)\])?(?:\.([^.[\]]+))?$/.exec(rest);
  if (parts === null) return null;
  const [, attribute, condition, sub] = parts;
  for (const name of [attribute, sub]) {
    if (name !== undefined && (!name_pattern.test(name) || forbidden_names.has(name))) return null;
  }
  const filter = condition === undefined ? null : parseFilter(condition.trim());
  if (condition !== undefined && filter === null) return null;
  return {
    urn: urn === null || urn.toLowerCase() === core_user_urn.toLowerCase() ? null : urn,
    attribute: attribute!,
    filter,
    sub: sub ?? null,
    text,
  };
}

function parseFilter(text: string): ScimPath["filter"] {
  const parts = filter_pattern.exec(text);
  if (parts === null) return null;
  const [, attribute, literal] = parts;
  if (forbidden_names.has(attribute!)) return null;
  try {
    const value: unknown = JSON.parse(/^"/.test(literal!) ? literal! : literal!.toLowerCase());
    return { attribute: attribute!, value: value as string | boolean };
  } catch {
    return null;
  }
}

/** The path of the attribute as a whole: `urn:…:manager`, `emails`. */
export function attributePath(path: ScimPath): string {
  return path.urn === null ? path.attribute : `${path.urn}:${path.attribute}`;
}

/** The path of one element: `emails[type eq "work"]`. */
export function elementPath(path: ScimPath): string {
  const { filter } = path;
  return filter === null
    ? attributePath(path)
    : `${attributePath(path)}[${filter.attribute} eq ${JSON.stringify(filter.value)}]`;
}

export function isObject(value: unknown): value is ScimObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The key under which an object really holds `name`, whatever its case: names are ASCII, so that one of another length is another. */
export function keyOf(object: ScimObject, name: string): string | undefined {
  if (Object.hasOwn(object, name)) return name;
  let lower: string | undefined;
  // Unlike a list of the keys, this costs no memory; most names that are looked for are not there.
  for (const key in object) {
    if (key.length !== name.length || !Object.hasOwn(object, key)) continue;
    lower ??= name.toLowerCase();
    if (key.toLowerCase() === lower) return key;
  }
  return undefined;
}

/** Own property by name without case. */
export function field(object: unknown, name: string): unknown {
  if (!isObject(object)) return undefined;
  const key = keyOf(object, name);
  return key === undefined ? undefined : object[key];
}

function sameText(a: unknown, b: string | boolean): boolean {
  return a === b || `${a}`.toLowerCase() === `${b}`.toLowerCase();
}

/** The elements of a multi-valued attribute; one alone that is not in an array counts too. */
export function elements(resource: ScimObject, path: ScimPath): readonly unknown[] {
  const holder = path.urn === null ? resource : field(resource, path.urn);
  const value = field(holder, path.attribute);
  if (Array.isArray(value)) return value;
  return value === undefined || value === null ? [] : [value];
}

/** Does an element satisfy the path's filter? */
export function fits(path: ScimPath, element: unknown): boolean {
  return path.filter === null || sameText(field(element, path.filter.attribute), path.filter.value);
}

/**
 * The element that a filtered path means. Apps that keep no types answer the work address as the primary one or as
 * the only one: those are taken when nothing has the type itself.
 */
export function chosenElement(resource: ScimObject, path: ScimPath): unknown {
  const all = elements(resource, path);
  const exact = all.find((element) => fits(path, element));
  if (exact !== undefined || path.filter?.value !== "work") return exact;
  const only = all.length === 1 && field(all[0], "type") === undefined ? all[0] : undefined;
  return all.find((element) => sameText(field(element, "primary"), true)) ?? only;
}

/** What a resource holds at a path; undefined: nothing. `roles.value` gives an array. */
export function readPath(resource: ScimObject, path: ScimPath, array: boolean): unknown {
  if (array && path.filter === null) {
    const all = elements(resource, path);
    if (path.sub === null) return all.length === 0 ? undefined : all;
    const values = all.map((element) => field(element, path.sub!) ?? (isObject(element) ? undefined : element));
    const present = values.filter((value) => value !== undefined && value !== null);
    return present.length === 0 ? undefined : present;
  }
  if (path.filter !== null) {
    const element = chosenElement(resource, path);
    return path.sub === null || !isObject(element) ? element : field(element, path.sub);
  }
  const holder = path.urn === null ? resource : field(resource, path.urn);
  const value = field(holder, path.attribute);
  if (path.sub === null) return value;
  // A reference such as manager comes as {value}, as a bare string, or in an array of one.
  const single = Array.isArray(value) ? value[0] : value;
  return isObject(single) ? field(single, path.sub) : path.sub === "value" ? (single ?? undefined) : undefined;
}

/** The object under a name, made if it is not there. */
export function child(holder: ScimObject, name: string): ScimObject {
  const key = keyOf(holder, name) ?? name;
  const value = holder[key];
  if (isObject(value)) return value;
  const made: ScimObject = {};
  holder[key] = made;
  return made;
}

function setField(holder: ScimObject, name: string, value: unknown): void {
  const key = keyOf(holder, name) ?? name;
  if (value === null || value === undefined) delete holder[key];
  else holder[key] = value;
}

/** An element for a filtered path that has none yet; the work address is the primary one. */
export function newElement(path: ScimPath, primary: boolean): ScimObject {
  const made: ScimObject = {};
  if (path.filter !== null) made[path.filter.attribute] = path.filter.value;
  if (primary && path.attribute.toLowerCase() === "emails" && path.filter?.value === "work") made["primary"] = true;
  return made;
}

/** Writes a value into a resource of our own making, in place; null takes it away. */
export function writePath(resource: ScimObject, path: ScimPath, value: Value | undefined, array: boolean): void {
  const holder = path.urn === null ? resource : child(resource, path.urn);
  if (path.filter !== null) writeElement(resource, holder, path, value);
  else if (path.sub === null) setField(holder, path.attribute, value);
  else if (array) {
    const list = Array.isArray(value) ? value.map((one: Value) => ({ [path.sub!]: one })) : null;
    setField(holder, path.attribute, list);
  } else if (value === null && path.sub === "value") setField(holder, path.attribute, null);
  else setField(child(holder, path.attribute), path.sub, value);
}

function writeElement(resource: ScimObject, holder: ScimObject, path: ScimPath, value: Value | undefined): void {
  const all = elements(resource, path);
  const found = all.length === 0 ? undefined : chosenElement(resource, path);
  const gone = value === null || value === undefined;
  if (gone && !isObject(found)) return;
  const drop = gone && (path.sub === null || path.sub === "value");
  const primary = !all.some((element) => sameText(field(element, "primary"), true));
  const element: ScimObject = isObject(found) ? { ...found } : newElement(path, primary);
  if (path.sub !== null) setField(element, path.sub, value);
  else if (isObject(value)) Object.assign(element, value);
  const next = drop
    ? all.filter((one) => one !== found)
    : found === undefined
      ? [...all, element]
      : all.map((one) => (one === found ? element : one));
  setField(holder, path.attribute, next.length === 0 ? null : next);
}
