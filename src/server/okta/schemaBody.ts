/**
 * Schemas in Okta's form. Our attributes say what matters (type, limits, what is required); what only Okta has (who may
 * see it in a self-service page, titles of enum values …) is kept as it was sent, in the setting `okta.schema.<kind>`,
 * and laid over.
 */

import { baseUserSchema } from "../../core/baseSchema.ts";
import type { AttributeDefinition } from "../../core/schema.ts";
import { baseUserNames } from "../../core/schema.ts";
import type { Attribute, Value } from "../../core/types.ts";
import type { StoredSchema } from "../../directory/schemaQueries.ts";
import type { UserType } from "../../directory/userTypes.ts";
import { date, schemaIdOf } from "./links.ts";

export type Tree = Readonly<Record<string, Value>>;
/** Attribute → Okta's own properties of it, as they were sent. */
export type Extras = Readonly<Record<string, Tree>>;

/** What Okta keeps about an attribute that we have no word for. */
const extra_names = [
  "scope",
  "mutability",
  "permissions",
  "master",
  "oneOf",
  "enum",
  "items",
  "format",
  "unique",
  "externalName",
  "externalNamespace",
  "union",
];

const formats: Readonly<Record<string, string>> = {
  email: "email",
  secondEmail: "email",
  profileUrl: "uri",
  countryCode: "country-code",
  preferredLanguage: "language-code",
  locale: "locale",
  timezone: "timezone",
};

const self = (action: string) => [{ principal: "SELF", action }];
const open_names = new Set(["firstName", "lastName", "email", "secondEmail", "mobilePhone"]);
const hidden_names = new Set([
  "primaryPhone",
  "streetAddress",
  "city",
  "state",
  "zipCode",
  "countryCode",
  "postalAddress",
]);

/** Okta's types; a date is a string with a format, a reference a string. */
function typeOf({ type }: Attribute): string {
  if (type === "date" || type === "reference") return "string";
  return type;
}

/** One attribute as Okta shows it. */
export function attributeBody(attribute: Attribute, extra: Tree | undefined): Tree {
  const { name, array } = attribute;
  const action = open_names.has(name) ? "READ_WRITE" : hidden_names.has(name) ? "HIDE" : "READ_ONLY";
  const allowed = attribute.enum === undefined ? {} : { enum: attribute.enum };
  return {
    title: attribute.title ?? name,
    ...(attribute.description === undefined ? {} : { description: attribute.description }),
    type: array ? "array" : typeOf(attribute),
    ...(array ? { items: { type: typeOf(attribute), ...allowed } } : allowed),
    ...(attribute.required ? { required: true } : {}),
    mutability: { always: "READ_WRITE", create: "IMMUTABLE", never: "READ_ONLY" }[attribute.writable],
    scope: "NONE",
    ...(attribute.unique && !attribute.base ? { unique: "UNIQUE_VALIDATED" } : {}),
    ...(attribute.base && formats[name] !== undefined
      ? { format: formats[name] }
      : attribute.type === "date"
        ? { format: "date-time" }
        : {}),
    ...(attribute.min_length === undefined ? {} : { minLength: attribute.min_length }),
    ...(attribute.max_length === undefined ? {} : { maxLength: attribute.max_length }),
    ...patternBody(attribute),
    ...externalBody(attribute.external_name),
    ...(attribute.union === undefined ? {} : { union: attribute.union ? "ENABLE" : "DISABLE" }),
    permissions: self(action),
    master: { type: "PROFILE_MASTER" },
    ...extra,
  } as Tree;
}

/** Of base attributes Okta tells a pattern for the login alone, and only where an organisation has one of its own. */
function patternBody({ name, base, pattern }: Attribute): Tree {
  if (pattern === undefined) return {};
  if (!base) return { pattern };
  return name === "login" && pattern !== standard_login ? { pattern: pattern.slice(4, -2) } : {};
}

const standard_login = baseUserSchema.attributes.find(({ name }) => name === "login")?.pattern;

/** Okta's patterns are of the whole login; null is its way back to an e-mail address. undefined: nothing is said. */
export function loginPattern(sent: unknown): string | undefined {
  if (sent === null) return standard_login;
  return typeof sent === "string" ? `^(?:${sent})$` : undefined;
}

/** What is kept of a base attribute as it was sent: who may see and change it, and where it comes from. */
export function baseExtra(sent: Tree): Tree {
  const names = ["permissions", "master", "mutability"];
  return Object.fromEntries(Object.entries(sent).filter(([name]) => names.includes(name)));
}

/** Okta keeps apart what is one SCIM path here: the URN of the extension, and the attribute in it. */
function externalBody(external_name: string | undefined): Tree {
  if (external_name === undefined) return {};
  const path = external_name.split("[")[0] ?? "";
  const cut = /^urn:/i.test(path) ? path.lastIndexOf(":") : -1;
  if (cut === -1) return { externalName: external_name };
  return { externalName: external_name.slice(cut + 1), externalNamespace: external_name.slice(0, cut) };
}

/** The way back. What is whole already, or has a namespace that is no URN (not SCIM's), stays as it is. */
function externalOf(name: string | undefined, namespace: string | undefined): string | undefined {
  if (name === undefined || name === "" || /^urn:/i.test(name) || !/^urn:/i.test(namespace ?? "")) return name;
  return `${namespace}:${name}`;
}

/** A whole schema, `_links` left to the caller. */
export function schemaBody(schema: StoredSchema, extras: Extras, head: Tree, base: string) {
  const part = (which: readonly Attribute[]) =>
    Object.fromEntries(which.map((one) => [one.name, attributeBody(described(one, schema), extras[one.name])]));
  const required = (which: readonly Attribute[]) => which.filter((one) => one.required).map(({ name }) => name);
  const own = schema.attributes.filter((attribute) => attribute.base);
  const custom = schema.attributes.filter((attribute) => !attribute.base);
  return {
    id: `${base}/meta/schemas/${schema.kind === "group" ? "group" : "user"}/default`,
    $schema: "http://json-schema.org/draft-04/schema#",
    ...head,
    lastUpdated: date(schema.updated_at),
    created: date(schema.created_at),
    definitions: {
      custom: { id: "#custom", type: "object", properties: part(custom), required: required(custom) },
      base: { id: "#base", type: "object", properties: part(own), required: required(own) },
    },
    type: "object",
    properties: { profile: { allOf: [{ $ref: "#/definitions/custom" }, { $ref: "#/definitions/base" }] } },
  };
}

/** Okta describes the base attributes of groups, and those of users not. */
function described(attribute: Attribute, { kind }: StoredSchema): Attribute {
  const plain = kind === "group" && attribute.base && attribute.description === undefined;
  return plain ? { ...attribute, description: attribute.title ?? attribute.name } : attribute;
}

export const groupSchemaHead = { name: "group", title: "Okta group", description: "Okta group profile template" };

/** How the schema of a type of users begins. */
export const userSchemaHead = ({ name, display_name, description }: UserType): Tree => ({
  name,
  title: display_name,
  ...(description === null ? {} : { description }),
});

export function userSchemaLinks(type: UserType, base: string) {
  return {
    self: { rel: "self", href: `${base}/api/v1/meta/schemas/user/${schemaIdOf(type.id)}`, method: "GET" },
    type: { rel: "type", href: `${base}/api/v1/meta/types/user/${type.id}`, method: "GET" },
  };
}

/** Okta's properties to keep of an attribute as it was sent. */
export function extraOf(sent: Tree): Tree {
  return Object.fromEntries(Object.entries(sent).filter(([name]) => extra_names.includes(name)));
}

/** An attribute as it was sent, in our words; undefined when its type is none of Okta's. */
export function definitionOf(name: string, sent: Tree): AttributeDefinition | undefined {
  const items = isTree(sent["items"]) ? sent["items"] : {};
  const array = sent["type"] === "array";
  const type = ownType(array ? items["type"] : sent["type"], sent["format"]);
  if (type === undefined) return undefined;
  // An empty text among the allowed values is Okta's way to say that none is allowed too.
  const listed = (array ? items["enum"] : sent["enum"]) ?? undefined;
  const allowed = Array.isArray(listed) ? listed.filter((value) => value !== "") : [];
  const text = (key: string) => (typeof sent[key] === "string" ? sent[key] : undefined);
  const number = (key: string) => (typeof sent[key] === "number" ? sent[key] : undefined);
  const writable = { IMMUTABLE: "create", READ_ONLY: "never" }[String(sent["mutability"])] as
    | "create"
    | "never"
    | undefined;
  const optional = {
    title: text("title"),
    description: text("description"),
    min_length: number("minLength"),
    max_length: number("maxLength"),
    pattern: text("pattern"),
    external_name: externalOf(text("externalName"), text("externalNamespace")),
    union: { ENABLE: true, DISABLE: false }[String(sent["union"])],
    enum: allowed.length > 0 ? allowed : undefined,
  };
  return {
    name,
    type,
    array,
    required: sent["required"] === true,
    unique: sent["unique"] === "UNIQUE_VALIDATED" || sent["unique"] === true,
    ...(writable === undefined ? {} : { writable }),
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
}

function ownType(type: Value | undefined, format: Value | undefined): Attribute["type"] | undefined {
  if (type === "string") return format === "date-time" || format === "date" ? "date" : "string";
  return (["number", "integer", "boolean", "object"] as const).find((one) => one === type);
}

export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Is this one of the base attributes of a user? They may be sent back whole. */
export const isBase = (name: string) => baseUserNames.has(name);
