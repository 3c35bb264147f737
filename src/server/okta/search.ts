/**
 * The filters of Okta's API as SQL: which property is which column, for people, groups and the log (okta-api 4.2).
 * The grammar and its evaluation are core/filter.ts and core/filterSql.ts; a filter that cannot be read is E0000031.
 */
import type { RawBuilder } from "kysely";
import {
  type Dialect,
  dialects,
  type Filter,
  type FilterOperator,
  type FilterPath,
  parseFilter,
} from "../../core/filter.ts";
import { type Column, filterSql, type ResolveColumn } from "../../core/filterSql.ts";
import { userStatuses } from "../../core/lifecycle.ts";
import type { Attribute, GroupType, Refusal, Schema } from "../../core/types.ts";
import { groupSchema, userSchema } from "../../directory/schemaQueries.ts";
import type { Sorted, Sorting, SortPlace, SortType } from "../../directory/sorting.ts";
import { fragment } from "../../directory/sqlText.ts";
import { sql } from "../../store/database.ts";
import type { Api } from "../api.ts";
import { ApiError } from "../errors.ts";
import { badCursor, cursor, readCursor } from "../paging.ts";
import { user_type_id } from "./links.ts";

type Columns = Readonly<Record<string, Column>>;
type Reads = Pick<Api, "db" | "memory">;

const text = (source: string, more: Partial<Column> = {}): Column => ({ kind: "text", sql: source, ...more });
const instant = (source: string): Column => ({ kind: "instant", sql: source });
/** Codes: their case counts for nobody. Those of `codes` are all there can be. */
const code = (source: string, codes: readonly string[]): Column => text(source, { case_exact: false, codes });

/** Indexed so by migrations 0001 and 0006. */
const folded: Readonly<Record<"u" | "g", ReadonlyMap<string, string>>> = {
  u: new Map([
    ["login", "u.login"],
    ["email", "lower(u.profile->>'email')"],
    ["employeeNumber", "lower(u.profile->>'employeeNumber')"],
  ]),
  g: new Map([["name", "lower(g.profile->>'name')"]]),
};

const user_columns: Columns = {
  id: text("u.id", { case_exact: true }),
  status: code("u.status", userStatuses),
  created: instant("u.created_at"),
  activated: instant("u.activated_at"),
  statusChanged: instant("u.status_changed_at"),
  lastUpdated: instant("u.updated_at"),
  lastLogin: instant("u.last_login_at"),
  passwordChanged: instant("u.password_changed_at"),
  "type.id": text(`coalesce(u.type_id, '${user_type_id}')`, { case_exact: true }),
};

const group_columns: Columns = {
  id: text("g.id", { case_exact: true }),
  type: code("g.type", ["OKTA_GROUP", "APP_GROUP", "BUILT_IN"] satisfies GroupType[]),
  created: instant("g.created_at"),
  lastUpdated: instant("g.updated_at"),
  lastMembershipUpdated: instant("g.members_changed_at"),
  "source.id": text("g.source_app_id"),
};

const equal: ReadonlySet<FilterOperator | "pr"> = new Set(["eq"] as const);
const user_filter = [
  "id",
  "status",
  "lastUpdated",
  "profile.login",
  "profile.email",
  "profile.firstName",
  "profile.lastName",
];
const group_filter = ["id", "type", "lastUpdated", "lastMembershipUpdated"];

/** `search=` of people, over `u`, the users row. */
export async function searchUsers(api: Reads, search: string): Promise<RawBuilder<unknown>> {
  return condition(search, dialects.okta_search, resolver(user_columns, "u", await userAttributes(api)));
}

/** `filter=` of people, over `u`: a few properties, and case counts. */
export async function filterUsers(api: Reads, filter: string): Promise<RawBuilder<unknown>> {
  return condition(
    filter,
    dialects.okta_filter,
    narrowed(resolver(user_columns, "u", await userAttributes(api)), user_filter),
  );
}

/** `search=` of groups, over `g`, the groups row. */
export async function searchGroups(api: Reads, search: string): Promise<RawBuilder<unknown>> {
  return condition(search, dialects.okta_search, resolver(group_columns, "g", await groupAttributes(api)));
}

/** `filter=` of groups, over `g`. */
export async function filterGroups(api: Reads, filter: string): Promise<RawBuilder<unknown>> {
  return condition(
    filter,
    dialects.okta_filter,
    narrowed(resolver(group_columns, "g", await groupAttributes(api)), group_filter),
  );
}

/** `sortBy=`, `sortOrder=` and `after=` of people. */
export async function sortUsers(api: Reads, wish: SortWish): Promise<Sorting> {
  return sorting(resolver(user_columns, "u", await userAttributes(api)), wish);
}

/** `sortBy=`, `sortOrder=` and `after=` of groups. */
export async function sortGroups(api: Reads, wish: SortWish): Promise<Sorting> {
  return sorting(resolver(group_columns, "g", await groupAttributes(api)), wish);
}

type SortWish = Readonly<{ sortBy: string; sortOrder?: string | undefined; after?: string | undefined }>;

/** Reading the attributes for each search was half of a search's time: 100 of 190 µs. */
const userAttributes = ({ db, memory }: Reads) => memory.recall("schema of users", () => userSchema(db));
const groupAttributes = ({ db, memory }: Reads) => memory.recall("schema of groups", () => groupSchema(db));

/** Texts are sorted by so much of them: the place of a page goes into its next link. */
const sorted_characters = 80;

function sorting(resolve: ResolveColumn, { sortBy, sortOrder = "asc", after }: SortWish): Sorting {
  const column = resolve({ text: sortBy, schema: null, names: sortBy.split("."), at: 0 });
  if (column === undefined || column.shape === "json")
    throw badSearch(`There is no property "${sortBy.slice(0, 100)}" to sort by`);
  const { type, value } = sortValue(column);
  const descending = isDescending(sortOrder);
  const place = sortPlace(after, type, sortName(sortBy, descending));
  return { value: sql.raw(value), type, descending, ...(place ? { after: place } : {}) };
}

/** What `sortOrder=` says, which without anything to sort by says nothing. @throws ApiError 400 for what is no order. */
export function isDescending(sortOrder = "asc"): boolean {
  if (!/^(asc|desc)(ending)?$/i.test(sortOrder))
    throw badSearch(`sortOrder: "${sortOrder.slice(0, 100)}" is no order; use asc or desc`);
  return sortOrder.toLowerCase().startsWith("desc");
}

function sortValue({ kind, sql: source }: Column): Readonly<{ type: SortType; value: string }> {
  if (kind === "instant") return { type: "numeric", value: `extract(epoch from ${source})` };
  if (kind === "number") return { type: "float8", value: source };
  if (kind === "boolean") return { type: "boolean", value: source };
  return { type: "text", value: `left(lower(${source}), ${sorted_characters})` };
}

/** A place of a list is none of the same list in another order. */
const sortName = (sortBy: string, descending: boolean) => `${sortBy} ${descending ? "desc" : "asc"}`;

/** The next link's place behind a row of a sorted list. */
export function sortCursor({ sortBy, sortOrder }: SortWish): (last: Sorted & { id: string }) => string {
  const name = sortName(sortBy, isDescending(sortOrder));
  return ({ id, sort_value = null }) => cursor("s", name, sort_value, id);
}

function sortPlace(after: string | undefined, type: SortType, name: string): SortPlace | undefined {
  if (after === undefined) return undefined;
  const [mode, of, value, id] = readCursor(after) ?? [];
  const known = value === null || (typeof value === "string" && isSortValue[type](value));
  if (mode !== "s" || of !== name || !known || typeof id !== "string" || !/^[0-9A-Za-z]{20}$/.test(id))
    throw badCursor(after);
  return { value: value as string | null, id };
}

const isNumber = (text: string) => /^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text) && Number.isFinite(Number(text));
/** Is it what PostgreSQL writes of such a value? A cursor comes from outside. */
const isSortValue: Readonly<Record<SortType, (text: string) => boolean>> = {
  text: (text) => text.isWellFormed() && !text.includes("\0"),
  numeric: isNumber,
  float8: isNumber,
  boolean: (text) => text === "true" || text === "false",
};

/** A filter as a condition. @throws ApiError 400 E0000031 saying where it went wrong. */
export function condition(given: string, dialect: Dialect, resolve: ResolveColumn): RawBuilder<unknown> {
  const parsed = parseFilter(given, dialect);
  const filter = told<Filter>(parsed);
  return fragment(told(filterSql(filter, resolve)));
}

function told<T>(outcome: { readonly ok: T } | Refusal): T {
  if ("ok" in outcome) return outcome.ok;
  throw badSearch(outcome.refused);
}

/** 400: what cannot be searched for, and why. */
export function badSearch(cause: string): ApiError {
  return new ApiError(400, "E0000031", "Invalid search criteria.", [cause]);
}

function resolver(columns: Columns, table: "u" | "g", schema: Schema): ResolveColumn {
  const attributes = attributesOf(schema);
  return (path) => {
    if (Object.hasOwn(columns, path.text)) return columns[path.text];
    const attribute = attributes.get(path.text);
    return attribute === undefined ? undefined : attributeColumn(attribute, table);
  };
}

/** By the path that names them; made once for each schema that is remembered. */
function attributesOf(schema: Schema): ReadonlyMap<string, Attribute> {
  const known = attributes_by_path.get(schema);
  if (known !== undefined) return known;
  const made = new Map(schema.attributes.map((attribute) => [`profile.${attribute.name}`, attribute]));
  attributes_by_path.set(schema, made);
  return made;
}

const attributes_by_path = new WeakMap<Schema, ReadonlyMap<string, Attribute>>();

/** Only some properties, compared only for equality unless they are dates. */
function narrowed(resolve: ResolveColumn, names: readonly string[]): ResolveColumn {
  return (path: FilterPath) => {
    const column = names.includes(path.text) ? resolve(path) : undefined;
    if (column === undefined || column.kind === "instant") return column;
    const { case_exact: _, ...rest } = column;
    return { ...rest, operators: equal };
  };
}

const kinds: Readonly<Record<Attribute["type"], Column["kind"]>> = {
  string: "text",
  reference: "text",
  object: "text",
  number: "number",
  integer: "number",
  boolean: "boolean",
  date: "instant_text",
};

function attributeColumn({ name, type, array }: Attribute, table: "u" | "g"): Column {
  const key = `'${name.replaceAll("'", "''")}'`;
  const value = `${table}.profile->${key}`;
  const kind = kinds[type];
  if (array) return { kind, sql: value, shape: "json" };
  const plain = `(${table}.profile->>${key})`;
  // A value of another type than the schema says must not stop the query.
  if (kind === "number")
    return { kind, sql: `(case when jsonb_typeof(${value}) = 'number' then ${plain}::float8 end)` };
  if (kind === "boolean")
    return { kind, sql: `(case when jsonb_typeof(${value}) = 'boolean' then ${plain}::boolean end)` };
  const index = folded[table].get(name);
  return { kind, sql: plain, ...(kind === "text" && index !== undefined ? { folded: index } : {}) };
}
