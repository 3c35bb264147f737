/**
 * What a client asks for: filter and order as SQL over the stored resources, and the attributes of the answer.
 *
 * The SQL speaks of `s`, a row of scim_resources. Names in it come from the definitions, values are parameters.
 */
import { dialects, type FilterPath, type FilterTree, parseFilter } from "../filter.ts";
import { type Column, type FilterSql, filterSql, type ResolveColumn } from "../filterSql.ts";
import { type Definition, defined, extensionOf, type Place, placeOf, type ResourceSchema } from "./definitions.ts";
import { type Judged, wrong } from "./fault.ts";
import { isObject } from "./path.ts";
import type { Stored } from "./values.ts";

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

const kinds: Readonly<Record<Definition["type"], Column["kind"]>> = {
  ...{ string: "text", reference: "text", binary: "text", boolean: "boolean" },
  ...{ integer: "number", decimal: "number", dateTime: "instant_text", complex: "complex" },
};

/** What a definition's value is in SQL, out of the jsonb object `holder`. */
function valueColumn(definition: Definition, holder: string): Column {
  const kind = kinds[definition.type];
  const case_exact = definition.exact;
  const json = `${holder}->${quoted(definition.name)}`;
  if (definition.subs.length > 0) {
    const member = (item: string, path: FilterPath) => memberColumn(definition, item, path);
    return { kind: "complex", shape: "json", sql: `(${json})`, member };
  }
  if (definition.multi) return { kind, shape: "json", sql: `(${json})`, case_exact };
  const casts: Partial<Record<Column["kind"], string>> = { number: "::float8", boolean: "::boolean" };
  return { kind, sql: `(${holder}->>${quoted(definition.name)})${casts[kind] ?? ""}`, case_exact };
}

function memberColumn(definition: Definition, item: string, path: FilterPath): Column | undefined {
  const part =
    path.schema === null && path.names.length === 1 ? defined(definition.subs, path.names[0] ?? "") : undefined;
  return part && valueColumn(part, item);
}

/** A part of every value of a list: `emails.value`. */
function partsColumn(attribute: Definition, sub: Definition, holder: string): Column {
  const list = `${holder}->${quoted(attribute.name)}`;
  const all = `jsonb_array_elements(case jsonb_typeof(${list}) when 'array' then ${list} else '[]' end)`;
  const one = valueColumn(sub, "e.item");
  const sql = `(select x.item from ${all} as e(item), lateral (select ${one.sql} as item) x where x.item is not null)`;
  return { kind: one.kind, shape: "rows", sql, case_exact: sub.exact };
}

const relations: Readonly<Record<string, string>> = {
  members: "(select m.member_id as item from scim_members m where m.group_id = s.id)",
  groups: "(select m.group_id as item from scim_members m where m.member_id = s.id)",
};

/** What is kept in columns of its own. */
function ownColumn({ type }: ResourceSchema, { attribute, sub }: Place): Column | undefined {
  const text = (sql: string, more: Partial<Column> = {}): Column => ({ kind: "text", sql, case_exact: true, ...more });
  const { name } = attribute;
  const relation = relations[name];
  if (relation !== undefined) {
    return sub === null || sub.name === "value" ? text(relation, { shape: "rows" }) : undefined;
  }
  if (name === "id") return text("s.id");
  if (name === "externalId") return text("s.external_id");
  if (name === (type === "User" ? "userName" : "displayName")) {
    return text(`(s.resource->>'${name}')`, { folded: "s.name_key", case_exact: false });
  }
  if (name !== "meta") return undefined;
  if (sub?.name === "created") return { kind: "instant", sql: "s.created_at" };
  if (sub?.name === "lastModified") return { kind: "instant", sql: "s.updated_at" };
  return sub?.name === "resourceType" ? text(quoted(type)) : undefined;
}

const resolver =
  (schema: ResourceSchema): ResolveColumn =>
  (path) => {
    const place = placeOf(schema, path.schema, path.names);
    if (place === undefined || place.attribute.returned === "never") return undefined;
    const own = ownColumn(schema, place);
    if (own !== undefined || ["meta", "members", "groups"].includes(place.attribute.name)) return own;
    const { urn, attribute, sub } = place;
    const holder = urn === null ? "s.resource" : `s.resource->${quoted(urn)}`;
    if (sub === null) return valueColumn(attribute, holder);
    if (attribute.multi) return partsColumn(attribute, sub, holder);
    return valueColumn(sub, `${holder}->${quoted(attribute.name)}`);
  };

/** The filter as a condition on `s`, its parameters numbered from `first`. */
export function filterCondition(schema: ResourceSchema, text: string, first: number): Judged<FilterSql> {
  const filter = parseFilter(text, dialects.scim);
  if (!("ok" in filter)) return { fault: wrong("invalidFilter", filter.refused) };
  const condition = filterSql(filter.ok, resolver(schema), first);
  if (!("ok" in condition)) return { fault: wrong("invalidFilter", condition.refused) };
  const mail = schema.type === "User" ? mailAsked(filter.ok.tree) : undefined;
  if (mail === undefined) return condition;
  const { values, text: all } = condition.ok;
  const indexed = `scim_mails(s.resource) @> array[lower($${first + values.length}::text)]`;
  return { ok: { text: `${indexed} and (${all})`, values: [...values, mail] } };
}

/** An e-mail address without which nobody fulfils the filter: those who have it are found by an index. */
function mailAsked(tree: FilterTree): string | undefined {
  const named = ({ names }: FilterPath) => names.join(".").toLowerCase();
  if (tree.kind === "and") return tree.terms.map(mailAsked).find((mail) => mail !== undefined);
  if (tree.kind === "some" && named(tree.path) === "emails") {
    const terms = tree.where.kind === "and" ? tree.where.terms : [tree.where];
    return terms.map((term) => equalTo(term, "value")).find((mail) => mail !== undefined);
  }
  return equalTo(tree, "emails.value") ?? equalTo(tree, "emails");
}

/** What a comparison asks an attribute of this name to be. */
function equalTo(tree: FilterTree, name: string): string | undefined {
  const asked = tree.kind === "compare" && tree.operator === "eq" && typeof tree.literal === "string";
  return asked && tree.path.names.join(".").toLowerCase() === name ? (tree.literal as string) : undefined;
}

/** What `sortBy` orders by: an expression of SQL. Of a list the primary value counts, else the first (RFC 7644 3.4.2.3). */
export function orderBy(schema: ResourceSchema, text: string): Judged<string> {
  const colon = text.lastIndexOf(":");
  const names = text.slice(colon + 1).split(".");
  const place = placeOf(schema, colon < 0 ? null : text.slice(0, colon), names);
  const column = place && resolver(schema)({ text, schema: colon < 0 ? null : text.slice(0, colon), names, at: 0 });
  if (place === undefined || column === undefined || column.shape === "rows" || column.kind === "complex") {
    const first = place && firstOfList(place);
    return first ? { ok: first } : { fault: wrong("invalidPath", `nothing can be ordered by "${text.slice(0, 100)}"`) };
  }
  if (column.kind !== "text") return { ok: column.sql };
  return {
    ok: column.case_exact ? `${column.sql} collate "C"` : `${column.folded ?? `lower(${column.sql})`} collate "C"`,
  };
}

function firstOfList({ urn, attribute, sub }: Place): string | undefined {
  const value = sub ?? defined(attribute.subs, "value");
  if (!attribute.multi || value === undefined || attribute.mutability === "readOnly" || attribute.name === "members")
    return undefined;
  const list = `s.resource${urn === null ? "" : `->${quoted(urn)}`}->${quoted(attribute.name)}`;
  const primary = `(e->>'primary' = 'true') is true desc`;
  return `(select lower(e->>${quoted(value.name)}) from jsonb_array_elements(coalesce(${list}, '[]')) with ordinality as t(e, n)
    order by ${primary}, n limit 1) collate "C"`;
}

/** Which attributes an answer shows: `only` those named, or all but those named. */
export type Selection = Readonly<{
  mode: "only" | "without";
  names: readonly Readonly<{ urn: string | null; names: readonly string[] }>[];
}>;

const selected_max = 200;

/** Reads `attributes` and `excludedAttributes`; a name that is not known selects nothing. */
export function readSelection(attributes: unknown, excluded: unknown): Judged<Selection> {
  const [only, without] = [namesOf(attributes), namesOf(excluded)];
  if (only.length > 0 && without.length > 0) {
    return { fault: wrong("invalidValue", "attributes and excludedAttributes cannot be asked for together") };
  }
  const names = only.length > 0 ? only : without;
  if (names.length > selected_max)
    return { fault: wrong("invalidValue", `more than ${selected_max} attributes are named`) };
  return { ok: { mode: only.length > 0 ? "only" : "without", names: names.map(splitName) } };
}

function namesOf(given: unknown): readonly string[] {
  const all = Array.isArray(given) ? given.map(String) : typeof given === "string" ? given.split(",") : [];
  return all.map((name) => name.trim()).filter((name) => name !== "");
}

/** `whole` names are compared before a colon splits them: an extension's URN has colons itself. */
function splitName(text: string) {
  const colon = text.lastIndexOf(":");
  return {
    whole: text.toLowerCase(),
    urn: colon < 0 ? null : text.slice(0, colon),
    names: text.slice(colon + 1).split("."),
  };
}

/** Would the answer show this attribute of the resource itself? */
export function shows(selection: Selection, name: string): boolean {
  const named = selection.names.some(({ names }) => names[0]?.toLowerCase() === name.toLowerCase());
  return selection.mode === "only"
    ? named
    : !selection.names.some(({ names }) => names.length === 1 && names[0]?.toLowerCase() === name.toLowerCase());
}

/** The resource with what the client wants to see; `schemas` and what is always returned stay. */
export function select(schema: ResourceSchema, resource: Stored, { mode, names }: Selection): Stored {
  if (names.length === 0) return resource;
  return mode === "only" ? chosen(schema, resource, names) : left(schema, resource, names);
}

type Names = Selection["names"];

function chosen(schema: ResourceSchema, resource: Stored, names: Names): Stored {
  const shown: Stored = { schemas: resource["schemas"] ?? [], id: resource["id"] ?? null };
  for (const name of names) {
    const extension = wholeExtension(schema, name);
    if (extension !== undefined) copy(shown, resource, extension);
    const place = extension === undefined ? placeOf(schema, name.urn, name.names) : undefined;
    if (place === undefined) continue;
    const from = place.urn === null ? resource : resource[place.urn];
    if (!isObject(from)) continue;
    if (place.urn !== null) shown[place.urn] ??= {};
    const to = place.urn === null ? shown : shown[place.urn];
    const [attribute, sub] = [place.attribute.name, place.sub?.name];
    if (sub === undefined) copy(to as Stored, from as Stored, attribute);
    else (to as Stored)[attribute] = withParts((to as Stored)[attribute], (from as Stored)[attribute], sub);
  }
  return Object.fromEntries(Object.entries(shown).filter(([, value]) => value !== undefined)) as Stored;
}

function copy(to: Stored, from: Stored, name: string): void {
  const value = from[name];
  if (value !== undefined) to[name] = value;
}

/** Of an object, or of each object of a list, one part more. */
function withParts(shown: unknown, from: unknown, sub: string): Stored[string] {
  if (Array.isArray(from)) {
    return from.map((one, n) => withParts(Array.isArray(shown) ? shown[n] : undefined, one, sub));
  }
  const part = isObject(from) ? (from[sub] as Stored[string] | undefined) : undefined;
  return { ...(isObject(shown) ? (shown as Stored) : {}), ...(part === undefined ? {} : { [sub]: part }) };
}

function left(schema: ResourceSchema, resource: Stored, names: Names): Stored {
  const shown = structuredClone(resource);
  for (const name of names) {
    const extension = wholeExtension(schema, name);
    if (extension !== undefined) delete shown[extension];
    const place = extension === undefined ? placeOf(schema, name.urn, name.names) : undefined;
    if (place === undefined || place.attribute.returned === "always") continue;
    const from = place.urn === null ? shown : shown[place.urn];
    if (!isObject(from)) continue;
    if (place.sub === null) delete from[place.attribute.name];
    else
      for (const one of [from[place.attribute.name]].flat()) if (isObject(one)) delete (one as Stored)[place.sub.name];
  }
  return shown;
}

function wholeExtension(schema: ResourceSchema, { urn, names }: Names[number]): string | undefined {
  return urn === null ? undefined : extensionOf(schema, `${urn}:${names.join(".")}`)?.urn;
}
