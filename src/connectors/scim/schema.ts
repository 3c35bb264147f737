/**
 * The accounts of a SCIM app as flat attributes: the app's `name.givenName` is our `givenName`, and `external_name`
 * keeps the SCIM path. The base list is RFC 7643's user with the enterprise extension; what a server says of itself
 * under /Schemas narrows it and adds its own extensions.
 *
 * Pure. Called by connector.ts.
 */

import {
  baseAttributes,
  madeAttribute,
  type Placed,
  type PlacedSchema,
  placeAttribute,
} from "../../core/scim/attributes.ts";
import {
  core_user_urn,
  enterprise_urn,
  field,
  isObject,
  parsePath,
  type ScimObject,
  type ScimPath,
} from "../../core/scim/path.ts";
import type { Attribute, Schema } from "../../core/types.ts";
import { ConnectorFault } from "../connector.ts";
import type { ScimProfile } from "./profile.ts";

export type { Placed, PlacedSchema };

/** What the profile says the app has, of RFC 7643's user. */
export function profileSchema(profile: ScimProfile): Schema {
  const attributes = baseAttributes
    .filter((one) => !profile.user.forbidden.includes(one.name))
    .filter((one) => profile.user.enterprise || !one.external_name!.startsWith(enterprise_urn))
    .filter((one) => one.name !== "externalId" || profile.user.external_id === "writable")
    .map((one) => {
      const max = profile.user.max_length[one.name];
      const required = one.required || profile.user.required.includes(one.name);
      return { ...one, required, ...(max === undefined ? {} : { max_length: max }) };
    });
  return { attributes };
}

/** Parses every path once. Throws `invalid` for an attribute whose external name is no SCIM path. */
export function placed(schema: Schema): PlacedSchema {
  const all = new Map<string, Placed>();
  for (const attribute of schema.attributes) {
    const at = placeAttribute(attribute);
    if (at === null) {
      const text = attribute.external_name ?? attribute.name;
      throw new ConnectorFault("invalid", `${attribute.name}: "${text}" is not a SCIM attribute path`, {
        attribute: attribute.name,
      });
    }
    all.set(attribute.name, at);
  }
  return all;
}

/** One of the server's schemas: its URN as it spells it, and its attributes. */
type Described = Readonly<{ urn: string; definitions: readonly ScimObject[] }>;

/** A server's /Schemas by URN in lower case. */
function described(resources: readonly unknown[]): ReadonlyMap<string, Described> {
  const all = new Map<string, Described>();
  for (const resource of resources) {
    const urn = field(resource, "id");
    const attributes = field(resource, "attributes");
    if (typeof urn !== "string" || !Array.isArray(attributes)) continue;
    all.set(urn.toLowerCase(), { urn, definitions: attributes.filter(isObject) });
  }
  return all;
}

function named(definitions: readonly ScimObject[] | undefined, name: string): ScimObject | undefined {
  const lower = name.toLowerCase();
  return definitions?.find((one) => `${field(one, "name")}`.toLowerCase() === lower);
}

function subDefinitions(definition: ScimObject): readonly ScimObject[] {
  const subs = field(definition, "subAttributes");
  return Array.isArray(subs) ? subs.filter(isObject) : [];
}

/** The server's definition of what a path leads to; undefined: it has no such attribute. */
function definitionAt(all: ReadonlyMap<string, Described>, path: ScimPath): ScimObject | undefined {
  const top = named(all.get((path.urn ?? core_user_urn).toLowerCase())?.definitions, path.attribute);
  if (top === undefined || path.sub === null) return top;
  const subs = subDefinitions(top);
  return subs.length === 0 ? top : named(subs, path.sub);
}

const types: Readonly<Record<string, Attribute["type"]>> = {
  string: "string",
  boolean: "boolean",
  decimal: "number",
  integer: "integer",
  datetime: "date",
  binary: "string",
  reference: "reference",
  complex: "object",
};

/** What the server says of an attribute, laid upon what we would have assumed. */
function narrowed(one: Attribute, definition: ScimObject): Attribute {
  const mutability = `${field(definition, "mutability") ?? "readWrite"}`.toLowerCase();
  const writable = mutability === "readonly" ? "never" : mutability === "immutable" ? "create" : one.writable;
  const hidden = mutability === "writeonly" || `${field(definition, "returned")}`.toLowerCase() === "never";
  const unique = `${field(definition, "uniqueness") ?? "none"}`.toLowerCase() !== "none";
  return {
    ...one,
    writable,
    readable: one.readable && !hidden,
    required: one.required || field(definition, "required") === true,
    unique: one.unique || unique,
  };
}

/** The server's own extensions of the user, which the base list does not know. */
function additions(all: ReadonlyMap<string, Described>, known: readonly Attribute[]): readonly Attribute[] {
  const taken = new Set(known.map((one) => one.name.toLowerCase()));
  const added: Attribute[] = [];
  for (const { urn, definitions } of all.values()) {
    if (/^urn:ietf:params:scim:schemas:core:2\.0:|:Group$/i.test(urn)) continue;
    if (urn.toLowerCase() === enterprise_urn.toLowerCase()) continue;
    for (const definition of definitions) {
      const name = `${field(definition, "name")}`;
      if (parsePath(`${urn}:${name}`) === null || taken.has(name.toLowerCase())) continue;
      taken.add(name.toLowerCase());
      const type = types[`${field(definition, "type")}`.toLowerCase()] ?? "string";
      const case_exact = field(definition, "caseExact") === true || type !== "string";
      const array = field(definition, "multiValued") === true;
      added.push(narrowed(madeAttribute([name, `${urn}:${name}`, name, { type, array, case_exact }]), definition));
    }
  }
  return added;
}

/**
 * The app's schema from its /Schemas and its profile: base attributes that the server has not got are left out, and
 * its extensions' attributes are added under their own names.
 * @param resources the `Resources` of the answer; if no user schema is among them, the profile's schema is all we know
 */
export function discoveredSchema(profile: ScimProfile, resources: readonly unknown[]): Schema {
  const base = profileSchema(profile);
  const all = described(resources);
  if ((all.get(core_user_urn.toLowerCase())?.definitions.length ?? 0) === 0) return base;
  const kept: Attribute[] = [];
  for (const one of base.attributes) {
    // externalId is common to all resources (RFC 7643 section 3.1) and need not be described.
    const definition = definitionAt(all, parsePath(one.external_name!)!);
    if (definition !== undefined) kept.push(narrowed(one, definition));
    else if (one.name === "externalId" || one.name === "userName") kept.push(one);
  }
  return { attributes: [...kept, ...additions(all, base.attributes)] };
}
