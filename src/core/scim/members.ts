/**
 * A PATCH of a group's members, told apart from the rest of an operation: members are rows of their own, and a group of
 * 50,000 is never read to change one. Every form that clients send is here: a list of values, a filter in the path, values
 * beside the path of a remove, and members within a value without a path.
 */
import { type FilterTree, parseTargetPath } from "../filter.ts";
import { defined, groupResource, placeOf } from "./definitions.ts";
import { type Judged, wrong } from "./fault.ts";
import type { Operation } from "./patch.ts";
import { isObject } from "./path.ts";
import { newReading, readValue } from "./values.ts";

export type Step = Readonly<{ verb: "add" | "remove" | "only"; ids: readonly string[] }>;

/** `step`: what the operation does to members; `other`: what is left of it for the group itself. */
export type Divided = Readonly<{ step?: Step; other?: Operation }>;

/** Divides an operation. */
export function memberStep(operation: Operation, strict: boolean): Judged<Divided> {
  if (operation.path === null) return divideWhole(operation, strict);
  const target = parseTargetPath(operation.path);
  if (!("ok" in target)) return { ok: { other: operation } };
  const { path, where, sub } = target.ok;
  const place = placeOf(groupResource, path.schema, path.names);
  if (place?.attribute.name !== "members") return { ok: { other: operation } };
  if (where === null && place.sub === null) return plainStep(operation, strict);
  if (where === null || sub !== null)
    return { fault: wrong("invalidPath", "members are added and removed as a whole") };
  if (operation.verb !== "remove") {
    return { fault: wrong("mutability", "a member cannot be changed: remove the one and add the other") };
  }
  const ids = idsOfFilter(where);
  if (ids === undefined) return { fault: wrong("invalidFilter", 'members are told by value: members[value eq "…"]') };
  return { ok: { step: { verb: "remove", ids } } };
}

function plainStep({ verb, value }: Operation, strict: boolean): Judged<Divided> {
  if (verb === "remove" && (value === undefined || value === null)) return { ok: { step: { verb: "only", ids: [] } } };
  if (verb === "remove" && strict)
    return { fault: wrong("invalidValue", "a remove takes no value: name it in the path") };
  const ids = idsOfValue(value, strict);
  if ("fault" in ids) return ids;
  return { ok: { step: { verb: verb === "replace" ? "only" : verb, ids: ids.ok } } };
}

function idsOfValue(value: unknown, strict: boolean): Judged<readonly string[]> {
  const definition = defined(groupResource.attributes, "members");
  const reading = newReading(strict);
  const list = definition && readValue(definition, value, reading);
  if (reading.fault) return { fault: reading.fault };
  const ids = (Array.isArray(list) ? list : []).map((one: unknown) => (isObject(one) ? one["value"] : undefined));
  const texts = ids.filter((id) => typeof id === "string");
  return texts.length === ids.length
    ? { ok: texts }
    : { fault: wrong("invalidValue", "each of members needs a value") };
}

/** `value eq "a" or value eq "b"`. */
function idsOfFilter(tree: FilterTree): readonly string[] | undefined {
  if (tree.kind === "or") {
    const all = tree.terms.map(idsOfFilter);
    return all.includes(undefined) ? undefined : all.flatMap((ids) => ids ?? []);
  }
  const named = tree.kind === "compare" && tree.operator === "eq" && tree.path.text.toLowerCase() === "value";
  return named && typeof tree.literal === "string" ? [tree.literal] : undefined;
}

function divideWhole(operation: Operation, strict: boolean): Judged<Divided> {
  const { value, verb } = operation;
  if (!isObject(value)) return { ok: { other: operation } };
  const entries = Object.entries(value);
  const members = entries.find(([name]) => name.toLowerCase() === "members");
  if (members === undefined) return { ok: { other: operation } };
  const divided = plainStep({ verb, path: "members", value: members[1] ?? [] }, strict);
  if ("fault" in divided) return divided;
  const rest = entries.filter((one) => one !== members);
  return { ok: { ...divided.ok, other: { ...operation, value: Object.fromEntries(rest) } } };
}
