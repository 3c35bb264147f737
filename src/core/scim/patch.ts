/**
 * PATCH (RFC 7644 3.5.2) on a stored resource: all of its operations or none.
 *
 * Tolerant reading takes every form that Okta and Entra send: operations in capitals, no path with plain, dotted and URN
 * keys, an element made where a filter finds none, values to remove beside the path. Strict reading asks each operation to
 * have a path, as the interoperability profile does, and answers a filter that finds nothing with `noTarget`.
 *
 * Laws: the resource that is given stays as it is; keys come from the definitions only; a change that changes nothing gives
 * an equal resource. A group's members are not here: they are counted in tens of thousands (see `memberChanges`).
 */
import { dialects, type Filter, type FilterTree, parseTargetPath, type TargetPath } from "../filter.ts";
import { matches, valueAt } from "../filterMatch.ts";
import type { Value } from "../types.ts";
import { type Definition, defined, extensionOf, type Place, placeOf, type ResourceSchema } from "./definitions.ts";
import { type Judged, wrong } from "./fault.ts";
import { isObject } from "./path.ts";
import {
  fail,
  identity,
  type Reading,
  readBoolean,
  readOne,
  readValue,
  type Stored,
  tidyList,
  unknown,
} from "./values.ts";

export const operations_max = 1_000;

export type Verb = "add" | "replace" | "remove";

/** An operation whose form has been read; `value` undefined: none was sent. */
export type Operation = Readonly<{ verb: Verb; path: string | null; value: unknown }>;

const patch_urn = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const verbs: ReadonlySet<string> = new Set(["add", "replace", "remove"]);

/** The operations of a request. */
export function readOperations(body: unknown, reading: Reading): Judged<readonly Operation[]> {
  const { strict } = reading;
  if (!isObject(body)) return { fault: wrong("invalidSyntax", "the body must be a JSON object") };
  const schemas = body["schemas"];
  if (strict && !(Array.isArray(schemas) && schemas.includes(patch_urn))) {
    return { fault: wrong("invalidSyntax", `schemas must name ${patch_urn}`) };
  }
  const given = body["Operations"] ?? (strict ? undefined : body["operations"]);
  if (!Array.isArray(given) || given.length === 0) {
    return { fault: wrong("invalidSyntax", "Operations must be a list with at least one operation") };
  }
  if (given.length > operations_max) {
    return { fault: { status: 413, type: "tooMany", detail: `a PATCH has at most ${operations_max} operations` } };
  }
  const operations: Operation[] = [];
  for (const one of given) {
    const read = readOperation(one, strict);
    if ("fault" in read) return read;
    operations.push(read.ok);
  }
  return { ok: operations };
}

function readOperation(one: unknown, strict: boolean): Judged<Operation> {
  if (!isObject(one)) return { fault: wrong("invalidSyntax", "each operation must be an object") };
  const op = typeof one["op"] === "string" ? one["op"] : "";
  const verb = strict ? op : op.toLowerCase();
  if (!verbs.has(verb)) {
    return { fault: wrong("invalidSyntax", `op must be add, replace or remove, not "${op.slice(0, 40)}"`) };
  }
  const path = one["path"] ?? null;
  if (path !== null && typeof path !== "string") return { fault: wrong("invalidPath", "path must be a text") };
  const pathless = path === null || path === "";
  if (pathless && verb === "remove") return { fault: wrong("noTarget", "a remove needs a path") };
  if (pathless && strict) return { fault: wrong("invalidSyntax", "each operation needs a path here") };
  if (verb !== "remove" && one["value"] === undefined) {
    return { fault: wrong("invalidValue", `an operation of ${verb} needs a value`) };
  }
  return { ok: { verb: verb as Verb, path: pathless ? null : path, value: one["value"] } };
}

/** The resource with all operations done. */
export function applyPatch(
  schema: ResourceSchema,
  before: Stored,
  operations: readonly Operation[],
  reading: Reading,
): Judged<Stored> {
  const resource = structuredClone(before);
  for (const operation of operations) {
    if (operation.path === null) applyWhole(schema, resource, operation, reading);
    else applyAt(schema, resource, { ...operation, path: operation.path }, reading);
    if (reading.fault) return { fault: reading.fault };
  }
  for (const { name, required } of schema.attributes) {
    if (required && resource[name] === undefined) return { fault: wrong("invalidValue", `${name} is required`) };
  }
  return { ok: resource };
}

/** Without a path every key of the value is one; what only we write is passed over, as clients send whole resources. */
function applyWhole(schema: ResourceSchema, resource: Stored, { verb, value }: Operation, reading: Reading): undefined {
  if (!isObject(value)) return void fail(reading, wrong("invalidValue", "without a path the value must be an object"));
  for (const [name, one] of Object.entries(value)) {
    if (name.toLowerCase() === "schemas") continue;
    const extension = extensionOf(schema, name);
    if (extension === undefined) {
      applyAt(schema, resource, { verb, path: name, value: one }, reading, true);
      continue;
    }
    if (!isObject(one)) {
      fail(reading, wrong("invalidValue", `${extension.urn} must be an object`));
      continue;
    }
    for (const [part, inner] of Object.entries(one)) {
      applyAt(schema, resource, { verb, path: `${extension.urn}:${part}`, value: inner }, reading, true);
    }
  }
}

type At = Readonly<{ verb: Verb; path: string; value: unknown }>;

function applyAt(schema: ResourceSchema, resource: Stored, at: At, reading: Reading, whole = false): undefined {
  const extension = extensionOf(schema, at.path);
  if (extension) return applyExtension(schema, resource, at, reading);
  const target = parseTargetPath(at.path);
  if (!("ok" in target)) {
    const detail = `the path "${at.path.slice(0, 100)}" cannot be read: ${target.refused}`;
    return whole ? unknown(reading, at.path) : fail(reading, wrong("invalidPath", detail));
  }
  const { path, where, sub } = target.ok;
  const place = placeOf(schema, path.schema, [...path.names, ...(sub === null ? [] : [sub])]);
  if (place === undefined) {
    if (whole || !reading.strict) return unknown(reading, at.path);
    return fail(reading, wrong("invalidPath", `there is no attribute "${at.path.slice(0, 100)}"`));
  }
  const { attribute, sub: part } = place;
  if (attribute.mutability === "readOnly" || part?.mutability === "readOnly") {
    if (whole) return;
    return fail(reading, wrong("mutability", `${attribute.name} cannot be written`));
  }
  // A password is taken and kept nowhere.
  if (attribute.mutability === "writeOnly") return;
  const holder = holderOf(resource, place.urn);
  if (where === null) applyPlain(holder, place, at, reading);
  else applyChosen(holder, place, { ...at, where, path: target.ok }, reading);
  if (place.urn !== null && Object.keys(holder).length === 0) delete resource[place.urn];
}

/** A path that is an extension's URN: all of it. */
function applyExtension(schema: ResourceSchema, resource: Stored, at: At, reading: Reading): undefined {
  const extension = extensionOf(schema, at.path);
  if (extension === undefined) return;
  if (at.verb === "remove") delete resource[extension.urn];
  else applyWhole(schema, resource, { verb: at.verb, path: null, value: { [extension.urn]: at.value } }, reading);
}

/** The object that holds an attribute: the resource, or the part of an extension, which is made. */
function holderOf(resource: Stored, urn: string | null): Stored {
  if (urn === null) return resource;
  const part = resource[urn];
  if (isObject(part)) return part as Stored;
  const made: Stored = {};
  resource[urn] = made;
  return made;
}

function applyPlain(holder: Stored, { attribute, sub }: Place, at: At, reading: Reading): undefined {
  if (at.verb === "remove") return removePlain(holder, { urn: null, attribute, sub }, at, reading);
  if (sub !== null) return setPart(holder, attribute, sub, at, reading);
  const value = readValue(attribute, at.value, reading);
  if (reading.fault) return;
  if (value === undefined) {
    // Adding nothing adds nothing.
    if (at.verb === "replace" || !attribute.multi) clear(holder, attribute, reading);
    return;
  }
  const before = holder[attribute.name];
  if (attribute.multi) {
    const all = at.verb === "add" && Array.isArray(before) ? [...before, ...(value as Value[])] : (value as Value[]);
    holder[attribute.name] = tidyList(attribute, all);
  } else if (attribute.type === "complex" && isObject(before) && isObject(value)) {
    // The RFC: parts that are not named stay. Those that are named and empty go.
    holder[attribute.name] = merged(attribute, before as Stored, at.value, value as Stored);
  } else holder[attribute.name] = value;
}

function merged(attribute: Definition, before: Stored, given: unknown, value: Stored): Value {
  const after: Stored = { ...before, ...value };
  for (const name of isObject(given) ? Object.keys(given) : []) {
    const part = defined(attribute.subs, name);
    if (part && value[part.name] === undefined) delete after[part.name];
  }
  return after;
}

function clear(holder: Stored, attribute: Definition, reading: Reading): undefined {
  const { name, required } = attribute;
  // Whoever is neither active nor not would be let in by chance.
  if (required || name === "active") return fail(reading, wrong("mutability", `${name} cannot be taken away`));
  delete holder[name];
}

/** `name.givenName`; of a list (`emails.value`) the part of each of its values. */
function setPart(holder: Stored, attribute: Definition, sub: Definition, at: At, reading: Reading): undefined {
  const value = at.verb === "remove" ? undefined : readValue(sub, at.value, reading);
  if (reading.fault) return;
  const before = holder[attribute.name];
  if (attribute.multi) {
    const all = Array.isArray(before) ? (before as Value[]) : [];
    if (all.length === 0 && value !== undefined) {
      if (reading.strict) return fail(reading, wrong("noTarget", `${attribute.name} has no value`));
      holder[attribute.name] = [{ [sub.name]: value }];
    } else
      setList(
        holder,
        attribute,
        all.map((one) => withPart(one, sub.name, value)),
      );
    return;
  }
  const after = withPart(isObject(before) ? (before as Stored) : {}, sub.name, value) as Stored;
  if (Object.keys(after).length === 0) delete holder[attribute.name];
  else holder[attribute.name] = after;
}

function withPart(one: Value, name: string, value: Value | undefined): Value {
  const after: Stored = { ...(isObject(one) ? (one as Stored) : {}) };
  if (value === undefined) delete after[name];
  else after[name] = value;
  return after;
}

function setList(holder: Stored, attribute: Definition, values: readonly Value[]): undefined {
  const kept = values.filter((value) => !isObject(value) || Object.keys(value).length > 0);
  if (kept.length === 0) delete holder[attribute.name];
  else holder[attribute.name] = tidyList(attribute, kept);
}

function removePlain(holder: Stored, { attribute, sub }: Place, at: At, reading: Reading): undefined {
  if (sub !== null) return setPart(holder, attribute, sub, at, reading);
  if (attribute.multi && at.value !== undefined && at.value !== null) {
    if (reading.strict) return fail(reading, wrong("invalidValue", "a remove takes no value: name it in the path"));
    const gone = readValue(attribute, at.value, reading);
    const before = holder[attribute.name];
    if (reading.fault || !Array.isArray(before)) return;
    const keys = new Set((Array.isArray(gone) ? (gone as Value[]) : []).map(keyOfValue));
    return setList(
      holder,
      attribute,
      (before as Value[]).filter((one) => !keys.has(keyOfValue(one))),
    );
  }
  clear(holder, attribute, reading);
}

/** What tells one value of a list from another when it is to go: its `value`, if it has one. */
function keyOfValue(one: Value): string {
  const value = isObject(one) ? (one as Stored)["value"] : one;
  return value === undefined ? identity(one) : `${value}`.toLowerCase();
}

type Chosen = Omit<At, "path"> & Readonly<{ where: FilterTree; path: TargetPath }>;

/** `emails[type eq "work"]`, perhaps with `.value`. */
function applyChosen(holder: Stored, { attribute, sub }: Place, at: Chosen, reading: Reading): undefined {
  if (!attribute.multi)
    return fail(reading, wrong("invalidPath", `${attribute.name} has one value: leave out the filter`));
  const before = holder[attribute.name];
  const all = Array.isArray(before) ? (before as readonly Value[]) : [];
  const fits = chooser(attribute, at.where);
  if (at.verb === "remove") {
    const left =
      sub === null
        ? all.filter((one) => !fits(one))
        : all.map((one) => (fits(one) ? withPart(one, sub.name, undefined) : one));
    return setList(
      holder,
      attribute,
      left.filter((one, n) => one === all[n] || sub === null || hasMore(one, attribute)),
    );
  }
  const value = sub === null ? readOne(attribute, at.value, reading) : readValue(sub, at.value, reading);
  if (reading.fault) return;
  const given = termsOf(attribute, at.where, reading.strict);
  if (!all.some(fits)) {
    if (value === undefined) return;
    if (reading.strict || given === undefined) {
      return fail(reading, wrong("noTarget", `nothing of ${attribute.name} fits the filter`));
    }
    const made: Stored = { ...given, ...(sub === null ? (value as Stored) : { [sub.name]: value }) };
    return setList(holder, attribute, [...all, made]);
  }
  const changed = all.map((one): Value => {
    if (!fits(one)) return one;
    if (sub !== null) return withPart(one, sub.name, value);
    const part = isObject(value) ? (value as Stored) : {};
    return at.verb === "add" ? { ...(one as Stored), ...part } : { ...given, ...part };
  });
  setList(holder, attribute, primaryLast(changed, fits));
}

/** Is anything left of a value besides what says which it was? */
const hasMore = (one: Value, attribute: Definition) =>
  isObject(one) &&
  Object.keys(one).some((name) => !["type", "primary"].includes(name) && defined(attribute.subs, name));

/** A value that was just made the primary one is told last, so that it is the one that stays so. */
function primaryLast(values: readonly Value[], fits: (one: Value) => boolean): readonly Value[] {
  const primary = values.filter((one) => isObject(one) && one["primary"] === true);
  const mine = primary.find(fits);
  if (primary.length < 2 || mine === undefined) return values;
  return values.map((one) => (one === mine || !primary.includes(one) ? one : { ...(one as Stored), primary: false }));
}

/** Does a value of the list fit the filter? Booleans compare as such, whatever was written. */
function chooser(attribute: Definition, tree: FilterTree): (one: Value) => boolean {
  const filter: Filter = { text: "", dialect: dialects.scim, tree };
  return (one) =>
    matches(filter, ({ names }) => {
      const part = defined(attribute.subs, names[0] ?? "");
      const value = valueAt(isObject(one) ? one : { value: one }, names, "any_case");
      return {
        value,
        ...(part?.type === "boolean" ? { type: "boolean" as const } : {}),
        case_exact: part?.exact ?? false,
      };
    });
}

/** The parts that a filter of equalities names: what a value that is made for it must have. */
function termsOf(attribute: Definition, tree: FilterTree, strict: boolean): Stored | undefined {
  const terms = tree.kind === "and" ? tree.terms : [tree];
  const made: Stored = {};
  for (const term of terms) {
    if (term.kind !== "compare" || term.operator !== "eq" || term.literal === null) return undefined;
    const part = term.path.names.length === 1 ? defined(attribute.subs, term.path.names[0] ?? "") : undefined;
    if (part === undefined) return undefined;
    const literal = part.type === "boolean" ? readBoolean(term.literal, strict) : term.literal;
    if (literal === undefined) return undefined;
    made[part.name] = literal;
  }
  return made;
}
