/**
 * Reading what a source pushed: one resource, and lists by filter, in order, page by page: by index, or by cursor
 * (RFC 9865). A source sees only its own.
 *
 * Law: members are read only where they are shown.
 */
import type { RawBuilder } from "kysely";
import { groupResource, type ResourceSchema } from "../../core/scim/definitions.ts";
import { list_urn, page_default, page_max } from "../../core/scim/documents.ts";
import { wrong } from "../../core/scim/fault.ts";
import { filterCondition, orderBy, readSelection, type Selection, select, shows } from "../../core/scim/query.ts";
import type { Stored } from "../../core/scim/values.ts";
import type { ScimRow } from "../../directory/scimResources.ts";
import type { ScimSource } from "../../engine/scimSource.ts";
import { type Database, sql } from "../../store/database.ts";
import { notFound, ok, type Reply, resourceBody, ScimError } from "./answer.ts";

/** What is read from: the source, and where links begin. */
export type Place = Readonly<{ db: Database; source: ScimSource; base: string }>;

export type Query = Readonly<Record<string, unknown>>;

export const schemaOf = (source: ScimSource, type: "User" | "Group"): ResourceSchema =>
  type === "User" ? source.users : groupResource;

export const selectionOf = (query: Query): Selection =>
  ok(readSelection(query["attributes"], query["excludedAttributes"]));

const columns = sql.raw("s.id, s.resource, s.version, s.created_at, s.updated_at, s.external_id");

/** One resource as it goes out; throws 404 for one that is not this source's. */
export async function readOne(place: Place, type: "User" | "Group", id: string): Promise<ScimRow> {
  const { rows } = await sql<ScimRow>`
    select ${columns} from scim_resources s where s.id = ${id} and s.app_id = ${place.source.app_id} and s.type = ${type}
      and s.deleted_at is null`.execute(place.db);
  const [row] = rows;
  if (row === undefined) throw notFound(type, id);
  return row;
}

/** A row, with the groups of a user where they were read along. */
type ShownRow = ScimRow & Readonly<{ groups?: readonly Omit<Related, "owner">[] | null }>;

/** Resources as they go out, with what is kept elsewhere, where it is shown. `fresh`: nothing is related to them yet. */
export async function shown(
  place: Place,
  type: "User" | "Group",
  rows: readonly ShownRow[],
  selection: Selection,
  fresh = false,
): Promise<readonly Stored[]> {
  const schema = schemaOf(place.source, type);
  const relation = type === "User" ? "groups" : "members";
  const unread = shows(selection, relation) && !fresh ? rows.filter((row) => row.groups === undefined) : [];
  const related = await relatedOf(place, type, unread);
  return rows.map((row) => {
    const some = row.groups?.map((one) => relatedBody(place.base, type, one)) ?? related.get(row.id);
    return select(schema, resourceBody(place.base, schema, row, some ? { [relation]: some } : {}), selection);
  });
}

type Related = Readonly<{ owner: string; id: string; name: string | null }>;

async function relatedOf({ db, base }: Place, type: "User" | "Group", rows: readonly ScimRow[]) {
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return new Map<string, Stored[]>();
  const { rows: found } =
    type === "User"
      ? await sql<Related>`
          select m.member_id as owner, g.id, g.resource->>'displayName' as name from scim_members m
          join scim_resources g on g.id = m.group_id where m.member_id = any(${ids}::text[]) order by 1, 2`.execute(db)
      : await sql<Related>`
          select m.group_id as owner, u.id, coalesce(u.resource->>'displayName', u.resource->>'userName') as name
          from scim_members m join scim_resources u on u.id = m.member_id and u.deleted_at is null
          where m.group_id = any(${ids}::text[]) order by 1, 2`.execute(db);
  const of_owner = new Map<string, Stored[]>();
  for (const { owner, ...one } of found) {
    const some = of_owner.get(owner) ?? [];
    of_owner.set(owner, some);
    some.push(relatedBody(base, type, one));
  }
  return of_owner;
}

/** A group of a user, or a member of a group, as it is shown there. */
function relatedBody(base: string, type: "User" | "Group", { id, name }: Omit<Related, "owner">): Stored {
  const [other, kind] = type === "User" ? ["Group", "direct"] : ["User", "User"];
  return { value: id, $ref: `${base}/${other}s/${id}`, ...(name === null ? {} : { display: name }), type: kind };
}

type Page = Readonly<{ start: number; count: number; after: string | undefined; cursor: boolean }>;

function pageOf(query: Query): Page {
  const cursor = query["cursor"];
  const count = countOf(query["count"], cursor !== undefined);
  if (cursor === undefined)
    return {
      start: Math.max(1, wholeOf(query["startIndex"], "startIndex") ?? 1),
      count,
      after: undefined,
      cursor: false,
    };
  if (query["startIndex"] !== undefined)
    throw new ScimError(wrong("invalidValue", "cursor and startIndex cannot be asked for together"));
  return { start: 1, count: Math.max(1, count), after: readCursor(cursor), cursor: true };
}

function countOf(given: unknown, cursor: boolean): number {
  const count = wholeOf(given, "count") ?? page_default;
  if (cursor && count > page_max)
    throw new ScimError(wrong("invalidCount", `a page has at most ${page_max} resources`));
  return Math.min(Math.max(0, count), page_max);
}

function wholeOf(given: unknown, name: string): number | undefined {
  if (given === undefined || given === "") return undefined;
  const number = Number(given);
  if (Number.isSafeInteger(number) && Math.abs(number) < 2 ** 31) return number;
  throw new ScimError(wrong("invalidValue", `${name} must be a whole number`));
}

/** A cursor is the last id of the page before, sealed only against being taken for something to make up. */
function readCursor(given: unknown): string {
  if (given === "") return "";
  const text = typeof given === "string" ? Buffer.from(given, "base64url").toString("utf8") : "";
  const id = /^after:([0-9A-Za-z]{1,40})$/.exec(text)?.[1];
  if (id === undefined) throw new ScimError(wrong("invalidCursor", "this is no cursor of a page before"));
  return id;
}

const cursorOf = (id: string) => Buffer.from(`after:${id}`).toString("base64url");

/** The raw text of filterSql with its parameters in Kysely's form. */
function withValues(text: string, values: readonly unknown[]): RawBuilder<unknown> {
  const parts = text.split(/\$(\d+)/);
  return sql.join(
    parts.map((part, n) => (n % 2 === 0 ? sql.raw(part) : sql`${values[Number(part) - 1]}`)),
    sql.raw(""),
  );
}

/** The list that a query asks for, of one type of resource or of both. */
export async function readList(place: Place, types: readonly ("User" | "Group")[], query: Query): Promise<Reply> {
  const page = pageOf(query);
  const selection = selectionOf(query);
  const wanted = types.flatMap((type) => {
    const condition = conditionOf(place, type, query);
    return condition === undefined ? [] : [sql`(s.type = ${type} and ${condition})`];
  });
  const where = sql`s.app_id = ${place.source.app_id} and s.deleted_at is null
    and ${wanted.length === 0 ? sql`false` : sql`(${sql.join(wanted, sql` or `)})`}`;
  const found = page.count === 0 ? [] : await pageRows(place, types, query, page, where);
  // A first page that is not full, as of every look-up by name, is all there is.
  const all = found.length < page.count && page.start === 1 && !page.after;
  const total = all ? found.length : await countAll(place.db, where);
  const rows = found.slice(0, page.count);
  const bodies = await bodiesOf(place, rows, selection);
  const last = page.cursor && found.length > page.count ? rows.at(-1) : undefined;
  const body = {
    ...{ schemas: [list_urn], totalResults: total, itemsPerPage: rows.length },
    ...(page.cursor ? (last ? { nextCursor: cursorOf(last.id) } : {}) : { startIndex: page.start }),
    Resources: bodies,
  };
  return { status: 200, body };
}

async function countAll(db: Database, where: RawBuilder<unknown>): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from scim_resources s where ${where}`.execute(db);
  return rows[0]?.n ?? 0;
}

function conditionOf({ source }: Place, type: "User" | "Group", { filter }: Query): RawBuilder<unknown> | undefined {
  if (filter === undefined || filter === "") return sql`true`;
  if (typeof filter !== "string") throw new ScimError(wrong("invalidFilter", "the filter must be a text"));
  const { text, values } = ok(filterCondition(schemaOf(source, type), filter, 1));
  return withValues(`(${text})`, values);
}

type TypedRow = ShownRow & Readonly<{ type: "User" | "Group" }>;

/** The groups of users are few and read with them: a look-up, with which every client begins, is one statement. */
const with_groups = sql`, (
  select json_agg(json_build_object('id', g.id, 'name', g.resource->>'displayName') order by g.id)
  from scim_members m join scim_resources g on g.id = m.group_id where m.member_id = s.id) as groups`;

async function pageRows(
  { db, source }: Place,
  types: readonly ("User" | "Group")[],
  query: Query,
  page: Page,
  where: RawBuilder<unknown>,
): Promise<readonly TypedRow[]> {
  const by = query["sortBy"];
  if (page.cursor) {
    if (by !== undefined) throw new ScimError(wrong("invalidValue", "pages by cursor come in the order of ids"));
    const { rows } = await sql<TypedRow>`
      select ${columns}, s.type from scim_resources s where ${where} and s.id > ${page.after ?? ""} order by s.id
      limit ${page.count + 1}`.execute(db);
    return rows;
  }
  const [type = "User"] = types;
  const more = types.length === 1 && type === "User" && shows(selectionOf(query), "groups") ? with_groups : sql``;
  const order = typeof by === "string" && by !== "" ? ok(orderBy(schemaOf(source, type), by)) : undefined;
  const down = String(query["sortOrder"] ?? "").toLowerCase() === "descending";
  const sorted =
    order === undefined ? sql`` : sql`${sql.raw(order)} ${sql.raw(down ? "desc nulls first" : "asc nulls last")},`;
  const { rows } = await sql<TypedRow>`
    select ${columns}, s.type ${more} from scim_resources s where ${where} order by ${sorted} s.id
    limit ${page.count} offset ${page.start - 1}`.execute(db);
  return rows;
}

async function bodiesOf(place: Place, rows: readonly TypedRow[], selection: Selection): Promise<readonly Stored[]> {
  const bodies = new Map<string, Stored>();
  for (const type of ["User", "Group"] as const) {
    const mine = rows.filter((row) => row.type === type);
    const some = mine.length === 0 ? [] : await shown(place, type, mine, selection);
    for (const [n, row] of mine.entries()) bodies.set(row.id, some[n] ?? {});
  }
  return rows.map(({ id }) => bodies.get(id) ?? {});
}
