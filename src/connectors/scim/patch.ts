/**
 * A change of an account as the operations of one PATCH request, in the form that the app's profile asks for. The form
 * of choice has a path to the sub-attribute in every operation, because servers disagree on everything else: whether
 * replacing a complex attribute merges, what a path-less value may hold, what an unmatched filter means.
 *
 * Pure. Called by connector.ts.
 */

import {
  attributePath,
  child,
  elementPath,
  elements,
  fits,
  newElement,
  type ScimObject,
  writePath,
} from "../../core/scim/path.ts";
import type { Profile, Value } from "../../core/types.ts";
import { ConnectorFault, type RemoteAccount } from "../connector.ts";
import type { ScimProfile } from "./profile.ts";
import type { Placed, PlacedSchema } from "./schema.ts";

export type Operation = Readonly<{ op: string; path?: string; value?: unknown }>;

export const patch_urn = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/** `raw`: the resource as it is, if it was read; else `was` says which elements there are to be changed. */
export type PatchInput = Readonly<{
  set: Profile;
  enabled?: boolean | undefined;
  password?: string | undefined;
  raw?: ScimObject | undefined;
  was?: RemoteAccount | undefined;
}>;

type Build = Readonly<{ input: PatchInput; schema: PlacedSchema; profile: ScimProfile }>;

/** The attributes of a change with their paths. Throws `invalid` naming one that cannot be written. */
function targets(set: Profile, schema: PlacedSchema): readonly (Placed & { value: Value })[] {
  return Object.entries(set).map(([name, value]) => {
    const at = schema.get(name);
    if (at === undefined) throw new ConnectorFault("invalid", `The app has no attribute ${name}`, { attribute: name });
    if (at.attribute.writable !== "always") {
      throw new ConnectorFault("invalid", `The app does not let ${name} be changed`, { attribute: name });
    }
    return { ...at, value: value === "" ? null : value };
  });
}

function wholly(at: Placed, profile: ScimProfile): boolean {
  if (at.path.filter === null) return false;
  return !profile.user.update.filter_paths || profile.user.single_value.includes(at.path.attribute);
}

/** Must the resource be read before the operations can be written? */
export function needsCurrent(set: Profile, was: RemoteAccount | undefined, build: Omit<Build, "input">): boolean {
  return targets(set, build.schema).some(
    (at) => at.path.filter !== null && (was === undefined || wholly(at, build.profile)),
  );
}

/** Is there an element for a filtered path, as far as we know? */
function elementThere(at: Placed, { input, schema }: Build): boolean {
  if (input.raw !== undefined) return elements(input.raw, at.path).some((element) => fits(at.path, element));
  const here = elementPath(at.path);
  const kin = [...schema.values()].filter((one) => one.path.filter !== null && elementPath(one.path) === here);
  return kin.some((one) => (input.was?.profile[one.attribute.name] ?? null) !== null);
}

/** Single-valued attributes and plain lists. */
function plainOperation(at: Placed & { value: Value }, profile: ScimProfile): Operation {
  const { path, attribute, value } = at;
  const { manager, clear } = profile.user.update;
  const reference = path.sub === "value" && path.filter === null && !attribute.array;
  const whole = attributePath(path);
  const full = path.sub === null || attribute.array ? whole : `${whole}.${path.sub}`;
  if (value === null) {
    const gone = reference && manager !== "sub" ? whole : full;
    return clear === "remove" ? { op: "remove", path: gone } : { op: "replace", path: gone, value: clearing(clear) };
  }
  if (attribute.array && path.sub !== null && Array.isArray(value)) {
    return { op: "replace", path: whole, value: value.map((one: Value) => ({ [path.sub!]: one })) };
  }
  if (reference && manager === "object") return { op: "replace", path: whole, value: { value } };
  return { op: "replace", path: reference && manager === "string" ? whole : full, value };
}

function clearing(form: "null" | "empty"): null | "" {
  return form === "null" ? null : "";
}

/** Attributes of one element of a multi-valued attribute, such as the parts of the work address. */
function elementOperations(group: readonly (Placed & { value: Value })[], build: Build): readonly Operation[] {
  const first = group[0]!;
  const { clear } = build.profile.user.update;
  if (!elementThere(first, build)) {
    const given = group.filter((at) => at.value !== null);
    if (given.length === 0) return [];
    const element = newElement(first.path, true);
    for (const { path, value } of given) element[path.sub ?? "value"] = value;
    return [{ op: "add", path: attributePath(first.path), value: [element] }];
  }
  return group.map(({ path, value }) => {
    const here = elementPath(path);
    const full = path.sub === null ? here : `${here}.${path.sub}`;
    if (value !== null) return { op: "replace", path: full, value };
    if (clear !== "remove") return { op: "replace", path: full, value: clearing(clear) };
    return { op: "remove", path: path.sub === "value" ? here : full };
  });
}

/** The whole multi-valued attribute, for apps without filters in paths or with one value only. */
function wholeOperation(group: readonly (Placed & { value: Value })[], build: Build): Operation {
  const { path } = group[0]!;
  const copy: ScimObject = structuredClone(build.input.raw ?? {});
  for (const at of group) writePath(copy, at.path, at.value, false);
  const all = elements(copy, path);
  if (all.length === 0) return { op: "remove", path: attributePath(path) };
  if (!build.profile.user.single_value.includes(path.attribute)) {
    return { op: "replace", path: attributePath(path), value: all };
  }
  const mine = all.find((element) => fits(path, element)) ?? all[0];
  return { op: "replace", path: attributePath(path), value: [mine] };
}

function grouped<T>(items: readonly T[], key: (item: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = key(item);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

/** Merges pathed operations without a filter into one without a path: nested objects, or dotted keys. */
function pathless(operations: readonly Operation[], form: "pathless" | "dotted"): readonly Operation[] {
  const mergeable = (one: Operation) => one.op === "replace" && one.path !== undefined && !one.path.includes("[");
  const value: ScimObject = {};
  for (const { path, value: given } of operations.filter(mergeable)) {
    const [, urn, rest] = /^(urn:.*):([^:]+)$/i.exec(path!) ?? [undefined, undefined, path!];
    const holder = urn === undefined || form === "dotted" ? value : child(value, urn);
    const [attribute, sub] = rest.split(".") as [string, string | undefined];
    if (form === "dotted") value[path!] = given;
    else if (sub === undefined) holder[attribute] = given;
    else child(holder, attribute)[sub] = given;
  }
  const others = operations.filter((one) => !mergeable(one));
  return Object.keys(value).length === 0 ? others : [{ op: "replace", value }, ...others];
}

/** The operations of one PATCH; empty if there is nothing to change. */
export function patchOperations(input: PatchInput, schema: PlacedSchema, profile: ScimProfile): readonly Operation[] {
  const build: Build = { input, schema, profile };
  const all = targets(input.set, schema);
  const plain = all.filter((at) => at.path.filter === null);
  const filtered = all.filter((at) => at.path.filter !== null);
  const operations: Operation[] = plain.map((at) => plainOperation(at, profile));
  const whole = filtered.filter((at) => wholly(at, profile));
  for (const group of grouped(whole, (at) => attributePath(at.path))) operations.push(wholeOperation(group, build));
  const single = filtered.filter((at) => !wholly(at, profile));
  for (const group of grouped(single, (at) => elementPath(at.path)))
    operations.push(...elementOperations(group, build));
  if (input.password !== undefined) operations.push({ op: "replace", path: "password", value: input.password });
  if (input.enabled !== undefined) operations.push({ op: "replace", path: "active", value: input.enabled });
  return dressed(operations, profile);
}

/** The last touches of a dialect: form, capitals, booleans as words. */
function dressed(operations: readonly Operation[], profile: ScimProfile): readonly Operation[] {
  const { form, op_case, boolean_as_string } = profile.user.update;
  const worded = boolean_as_string ? operations.map((one) => wordedBoolean(one)) : operations;
  const formed = form === "pathed" ? worded : pathless(worded, form);
  if (op_case === "lower") return formed;
  return formed.map((one) => ({ ...one, op: one.op.charAt(0).toUpperCase() + one.op.slice(1) }));
}

function wordedBoolean(operation: Operation): Operation {
  if (typeof operation.value !== "boolean") return operation;
  return { ...operation, value: operation.value ? "True" : "False" };
}
