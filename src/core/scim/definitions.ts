/**
 * The attributes of the resources that we serve, by RFC 7643: what each holds and who may write it. Everything that reads
 * or writes a resource walks along these definitions, so a name that is not in them never becomes a key of an object.
 *
 * A source's own attributes (its app's schema) are an extension each URN; `resourceSchema` puts it all together.
 */
import type { Attribute } from "../types.ts";
import { baseAttributes, placeAttribute } from "./attributes.ts";
import { core_group_urn, core_user_urn, enterprise_urn } from "./path.ts";

export type DefinedType =
  | "string"
  | "boolean"
  | "integer"
  | "decimal"
  | "dateTime"
  | "reference"
  | "binary"
  | "complex";

/** `key`: the name in lower case. `returned`: `never` for secrets. */
export type Definition = Readonly<{
  name: string;
  key: string;
  type: DefinedType;
  multi: boolean;
  required: boolean;
  exact: boolean;
  mutability: "readWrite" | "readOnly" | "writeOnly" | "immutable";
  returned: "default" | "always" | "never";
  unique: boolean;
  subs: readonly Definition[];
}>;

export type Extension = Readonly<{ urn: string; name: string; attributes: readonly Definition[] }>;

export type ResourceType = "User" | "Group";

export type ResourceSchema = Readonly<{
  type: ResourceType;
  urn: string;
  attributes: readonly Definition[];
  extensions: readonly Extension[];
}>;

type Made = Readonly<Partial<Omit<Definition, "name" | "key">>>;

function define(name: string, more: Made = {}): Definition {
  return {
    ...{ name, key: name.toLowerCase(), type: more.subs ? "complex" : "string", multi: false, required: false },
    ...{ exact: false, mutability: "readWrite", returned: "default", unique: false, subs: [] },
    ...more,
  };
}

const texts = (...names: readonly string[]) => names.map((name) => define(name));
const read_only = { mutability: "readOnly" } as const;

/** The sub-attributes that multi-valued attributes have by default (RFC 7643 2.4). */
const plural = (value: Made = {}) => [
  define("value", value),
  define("display"),
  define("type"),
  define("primary", { type: "boolean" }),
];
const list = (name: string, value?: Made) => define(name, { multi: true, subs: plural(value) });

const meta = define("meta", {
  ...read_only,
  subs: [
    define("resourceType", { ...read_only, exact: true }),
    define("created", { ...read_only, type: "dateTime" }),
    define("lastModified", { ...read_only, type: "dateTime" }),
    define("location", { ...read_only, type: "reference", exact: true }),
    define("version", { ...read_only, exact: true }),
  ],
});

const id = define("id", { ...read_only, exact: true, returned: "always", unique: true });
const common: readonly Definition[] = [id, define("externalId", { exact: true }), meta];

const address = [
  ...texts("formatted", "streetAddress", "locality", "region", "postalCode", "country", "type"),
  define("primary", { type: "boolean" }),
];

const user_attributes: readonly Definition[] = [
  ...common,
  define("userName", { required: true, unique: true }),
  define("name", {
    subs: texts("formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"),
  }),
  ...texts("displayName", "nickName"),
  define("profileUrl", { type: "reference" }),
  ...texts("title", "userType", "preferredLanguage", "locale", "timezone"),
  define("active", { type: "boolean" }),
  define("password", { mutability: "writeOnly", returned: "never", exact: true }),
  ...[list("emails"), list("phoneNumbers"), list("ims"), list("photos", { type: "reference", exact: true })],
  define("addresses", { multi: true, subs: address }),
  define("groups", {
    ...{ ...read_only, multi: true },
    subs: [
      define("value", { ...read_only, exact: true }),
      define("$ref", { ...read_only, type: "reference", exact: true }),
      ...[define("display", read_only), define("type", read_only)],
    ],
  }),
  ...[list("entitlements"), list("roles"), list("x509Certificates", { type: "binary", exact: true })],
];

const group_attributes: readonly Definition[] = [
  ...common,
  define("displayName", { required: true, unique: true }),
  define("members", {
    multi: true,
    subs: [
      define("value", { mutability: "immutable", exact: true }),
      define("$ref", { mutability: "immutable", type: "reference", exact: true }),
      define("type", { mutability: "immutable" }),
      define("display", read_only),
    ],
  }),
];

const enterprise: Extension = {
  urn: enterprise_urn,
  name: "EnterpriseUser",
  attributes: [
    ...texts("employeeNumber", "costCenter", "organization", "division", "department"),
    define("manager", {
      subs: [
        define("value", { exact: true }),
        define("$ref", { type: "reference", exact: true }),
        define("displayName"),
      ],
    }),
  ],
};

/** Attributes that an administrator added to a source and that name no place of their own are here. */
export const own_urn = "urn:tenure:params:scim:schemas:extension:source:2.0:User";

const types: Readonly<Record<Attribute["type"], DefinedType | null>> = {
  ...{ string: "string", number: "decimal", integer: "integer", boolean: "boolean", date: "string" },
  ...{ reference: "string", object: null },
};

const base_names = new Set(baseAttributes.map(({ name }) => name.toLowerCase()));

/** Where an attribute of a source's schema is in its resources: one of an administrator without a place is in `own_urn`. */
export function placeOwn(attribute: Attribute): Attribute {
  const placed = attribute.external_name !== undefined || base_names.has(attribute.name.toLowerCase());
  return placed ? attribute : { ...attribute, external_name: `${own_urn}:${attribute.name}` };
}

/** The extensions that the attributes of a source's schema make: those of the RFC are known already. */
function ownExtensions(attributes: readonly Attribute[]): readonly Extension[] {
  const found = attributes.flatMap((one) => {
    const path = placeAttribute(placeOwn(one))?.path;
    const type = types[one.type];
    const own = path?.urn && path.urn.toLowerCase() !== enterprise_urn.toLowerCase() && path.filter === null;
    if (!path || !own || type === null || path.sub !== null) return [];
    const { required, unique, case_exact: exact, array: multi } = one;
    return [{ urn: path.urn ?? "", definition: define(path.attribute, { type, multi, required, unique, exact }) }];
  });
  return [...Map.groupBy(found, ({ urn }) => urn)].map(([urn, some]) => ({
    ...{ urn, name: urn === own_urn ? "SourceUser" : urn },
    attributes: some.map(({ definition }) => definition),
  }));
}

/** What users of a source have, whose app has these attributes. */
export const userResource = (attributes: readonly Attribute[]): ResourceSchema => ({
  ...{ type: "User", urn: core_user_urn, attributes: user_attributes },
  extensions: [enterprise, ...ownExtensions(attributes)],
});

export const groupResource: ResourceSchema = {
  ...{ type: "Group", urn: core_group_urn, attributes: group_attributes, extensions: [] },
};

/** A definition by its name in any case. */
export function defined(all: readonly Definition[], name: string): Definition | undefined {
  const key = name.toLowerCase();
  return all.find((one) => one.key === key);
}

/** An extension by its URN in any case. */
export function extensionOf(schema: ResourceSchema, urn: string): Extension | undefined {
  const key = urn.toLowerCase();
  return schema.extensions.find((one) => one.urn.toLowerCase() === key);
}

/** Where an attribute is: in the resource itself (`urn` null) or in an extension of it; `sub`: a part of it. */
export type Place = Readonly<{ urn: string | null; attribute: Definition; sub: Definition | null }>;

/**
 * The place of an attribute by the URN before it and its names; undefined: there is none. A dot instead of the last colon
 * (`urn:…:User.department`) is what Entra's oldest jobs send.
 */
export function placeOf(schema: ResourceSchema, urn: string | null, names: readonly string[]): Place | undefined {
  if (urn === null || urn.toLowerCase() === schema.urn.toLowerCase()) return placeIn(schema.attributes, null, names);
  const extension = extensionOf(schema, urn);
  if (extension) return placeIn(extension.attributes, extension.urn, names);
  const [first = "", ...rest] = names;
  const dotted = rest.length > 0 ? `${urn}:${first}` : undefined;
  if (dotted?.toLowerCase() === schema.urn.toLowerCase()) return placeIn(schema.attributes, null, rest);
  const other = dotted === undefined ? undefined : extensionOf(schema, dotted);
  return other && placeIn(other.attributes, other.urn, rest);
}

function placeIn(all: readonly Definition[], urn: string | null, names: readonly string[]): Place | undefined {
  const [name = "", part, ...more] = names;
  const attribute = defined(all, name);
  if (attribute === undefined || more.length > 0) return undefined;
  if (part === undefined) return { urn, attribute, sub: null };
  const sub = defined(attribute.subs, part);
  return sub && { urn, attribute, sub };
}
