/**
 * A flat account profile as a SCIM user resource, and back. What apps answer is made canonical here: "False" is false,
 * an empty string or list is no value, a number where a string belongs is a string.
 *
 * Pure. Called by connectors/scim for what apps answer, and by engine/scimPush.ts for what sources send.
 */
import { setOwn } from "../profile.ts";
import type { Attribute, Profile, Value } from "../types.ts";
import type { Placed, PlacedSchema } from "./attributes.ts";
import { core_user_urn, field, isObject, keyOf, readPath, type ScimObject, writePath } from "./path.ts";

/** "true", "True", true, [{value: "true"}] → true; anything else that is not a boolean → undefined. */
export function asBoolean(value: unknown): boolean | undefined {
  const plain = Array.isArray(value) ? field(value[0], "value") : value;
  if (typeof plain === "boolean") return plain;
  const text = typeof plain === "string" ? plain.toLowerCase() : "";
  return text === "true" ? true : text === "false" ? false : undefined;
}

function asNumber(value: unknown): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}

/** One value as the attribute's type has it; undefined: no value, or none that makes sense. */
function canonicalOne(attribute: Attribute, value: unknown): Value | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (attribute.type === "boolean") return asBoolean(value);
  if (attribute.type === "number" || attribute.type === "integer") return asNumber(value);
  if (attribute.type === "object") return value as Value; // parsed JSON, and the client bounds its depth
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return `${value}`;
  return isObject(value) ? canonicalOne(attribute, field(value, "value")) : undefined;
}

/** A raw value in canonical form; undefined: no value. */
export function canonical(attribute: Attribute, value: unknown): Value | undefined {
  if (!attribute.array) return canonicalOne(attribute, value);
  if (value === undefined || value === null) return undefined;
  const all = (Array.isArray(value) ? value : [value]).map((one) => canonicalOne(attribute, one));
  const present = all.filter((one): one is Value => one !== undefined);
  return present.length === 0 ? undefined : present;
}

/** The resource's id: a non-empty string, or a number that some apps answer. */
export function resourceId(resource: unknown): string | undefined {
  const id = field(resource, "id");
  if (typeof id === "number") return `${id}`;
  return typeof id === "string" && id !== "" ? id : undefined;
}

/** What a resource says, in our words. `etag`: its version, where it has one. */
export type FlatAccount = Readonly<{ id: string; profile: Profile; enabled: boolean; etag?: string }>;

/** Resources of an app mostly have the same names: which attributes those can hold is found once for each set of names. */
const shapes = new WeakMap<PlacedSchema, Map<string, readonly Placed[]>>();
const shapes_max = 64;

/** The readable attributes that a resource can hold, in the schema's order. */
function placesIn(resource: ScimObject, schema: PlacedSchema): readonly Placed[] {
  const shape = Object.keys(resource).join("\n");
  const known = shapes.get(schema) ?? new Map<string, readonly Placed[]>();
  const found = known.get(shape);
  if (found !== undefined) return found;
  const names = new Set(Object.keys(resource).map((name) => name.toLowerCase()));
  const places = [...schema.values()].filter(({ attribute, root }) => attribute.readable && names.has(root));
  // What an app answers is not ours to bound.
  if (known.size < shapes_max && shape.length <= 1_000) shapes.set(schema, known.set(shape, places));
  return places;
}

/** What an app's resource says, in our words; null if it has no id. */
export function fromResource(resource: unknown, schema: PlacedSchema): FlatAccount | null {
  const id = resourceId(resource);
  if (id === undefined || !isObject(resource)) return null;
  const profile: Record<string, Value> = {};
  for (const { attribute, path } of placesIn(resource, schema)) {
    const value = canonical(attribute, readPath(resource, path, attribute.array));
    if (value !== undefined) setOwn(profile, attribute.name, value);
  }
  const etag = field(field(resource, "meta"), "version");
  return {
    id,
    profile: Object.freeze(profile),
    enabled: asBoolean(field(resource, "active")) ?? true,
    ...(typeof etag === "string" ? { etag } : {}),
  };
}

/** Names the schema URNs that a resource really uses, in place: the core one and every extension with something in it. */
export function withSchemas(resource: ScimObject): ScimObject {
  const key = keyOf(resource, "schemas");
  const given = key === undefined ? [] : resource[key];
  const urns = new Set<unknown>([core_user_urn, ...(Array.isArray(given) ? given : [])]);
  for (const name of Object.keys(resource)) {
    if (!/^urn:/i.test(name)) continue;
    const value = resource[name];
    if (isObject(value) && Object.keys(value).length === 0) {
      urns.delete(name);
      delete resource[name];
    } else urns.add(name);
  }
  if (key !== undefined && key !== "schemas") delete resource[key];
  resource["schemas"] = [...urns].filter((urn) => typeof urn === "string");
  return resource;
}

/** Lays attributes upon a resource, in place. Attributes that the schema has not got are left to the caller. */
export function layOver(resource: ScimObject, set: Profile, schema: PlacedSchema): void {
  for (const name of Object.keys(set)) lay(resource, name, set[name], schema);
}

function lay(resource: ScimObject, name: string, value: Value | undefined, schema: PlacedSchema): void {
  const at = schema.get(name);
  if (at !== undefined) writePath(resource, at.path, value, at.attribute.array);
}

/** A new resource upon `base`, in place: what the profile sends with every account. Empty values are left out. */
export function toResource(profile: Profile, enabled: boolean, schema: PlacedSchema, base: ScimObject): ScimObject {
  // First, and without what fills it: every account's object then grows in the same way.
  if (keyOf(base, "schemas") === undefined) base["schemas"] = [];
  for (const name of Object.keys(profile)) {
    const value = profile[name];
    if (value !== null && value !== "") lay(base, name, value, schema);
  }
  base["active"] = enabled;
  return withSchemas(base);
}
