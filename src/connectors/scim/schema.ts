/**
 * The accounts of a SCIM app as flat attributes: the app's `name.givenName` is our `givenName`, and `external_name`
 * keeps the SCIM path. The base list is RFC 7643's user with the enterprise extension; what a server says of itself
 * under /Schemas narrows it and adds its own extensions.
 *
 * Pure. Called by connector.ts.
 */
import type { Attribute, Schema } from "../../core/types.ts";
import { ConnectorFault } from "../connector.ts";
import { core_user_urn, enterprise_urn, field, isObject, parsePath, type ScimObject, type ScimPath } from "./path.ts";
import type { ScimProfile } from "./profile.ts";

/** An attribute with its path parsed. `root`: the resource's own property in which it is, in lower case. */
export type Placed = Readonly<{ attribute: Attribute; path: ScimPath; root: string }>;
export type PlacedSchema = ReadonlyMap<string, Placed>;

type Line = readonly [name: string, path: string, title: string, more?: Partial<Attribute>];

const loose = { case_exact: false } as const;

const base_lines: readonly Line[] = [
  ["userName", "userName", "User name", { required: true, unique: true, case_exact: false }],
  ["externalId", "externalId", "External id"],
  ["givenName", "name.givenName", "Given name"],
  ["familyName", "name.familyName", "Family name"],
  ["middleName", "name.middleName", "Middle name"],
  ["honorificPrefix", "name.honorificPrefix", "Title before the name"],
  ["honorificSuffix", "name.honorificSuffix", "Title after the name"],
  ["formattedName", "name.formatted", "Full name"],
  ["displayName", "displayName", "Display name"],
  ["nickName", "nickName", "Nickname"],
  ["profileUrl", "profileUrl", "Profile page"],
  ["email", 'emails[type eq "work"].value', "E-mail", loose],
  ["secondEmail", 'emails[type eq "home"].value', "Private e-mail", loose],
  ["phoneNumber", 'phoneNumbers[type eq "work"].value', "Phone"],
  ["mobilePhone", 'phoneNumbers[type eq "mobile"].value', "Mobile phone"],
  ["title", "title", "Job title"],
  ["userType", "userType", "Kind of worker"],
  ["preferredLanguage", "preferredLanguage", "Language", loose],
  ["locale", "locale", "Locale", loose],
  ["timezone", "timezone", "Time zone", loose],
  ["streetAddress", 'addresses[type eq "work"].streetAddress', "Street"],
  ["locality", 'addresses[type eq "work"].locality', "City"],
  ["region", 'addresses[type eq "work"].region', "State or region"],
  ["postalCode", 'addresses[type eq "work"].postalCode', "Postal code"],
  ["country", 'addresses[type eq "work"].country', "Country"],
  ["roles", "roles.value", "Roles", { array: true }],
  ["entitlements", "entitlements.value", "Entitlements", { array: true }],
  ["employeeNumber", `${enterprise_urn}:employeeNumber`, "Employee number"],
  ["costCenter", `${enterprise_urn}:costCenter`, "Cost centre"],
  ["organization", `${enterprise_urn}:organization`, "Organisation"],
  ["division", `${enterprise_urn}:division`, "Division"],
  ["department", `${enterprise_urn}:department`, "Department"],
  ["manager", `${enterprise_urn}:manager.value`, "Manager", { type: "reference" }],
];

function made([name, external_name, title, more]: Line): Attribute {
  return {
    name,
    title,
    external_name,
    type: "string",
    array: false,
    required: false,
    writable: "always",
    readable: true,
    unique: false,
    case_exact: true,
    ...more,
  };
}

/** What the profile says the app has, of RFC 7643's user. */
export function profileSchema(profile: ScimProfile): Schema {
  const attributes = base_lines
    .map(made)
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
    const path = parsePath(attribute.external_name ?? attribute.name);
    if (path === null) {
      const text = attribute.external_name ?? attribute.name;
      throw new ConnectorFault("invalid", `${attribute.name}: "${text}" is not a SCIM attribute path`, {
        attribute: attribute.name,
      });
    }
    all.set(attribute.name, { attribute, path, root: (path.urn ?? path.attribute).toLowerCase() });
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
      added.push(narrowed(made([name, `${urn}:${name}`, name, { type, array, case_exact }]), definition));
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
