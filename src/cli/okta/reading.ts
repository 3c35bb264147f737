/**
 * What reading an organisation goes by: lists page by page, things that may not be there, attributes as they can be sent
 * back, and groups named in expressions. Used by read.ts and readApps.ts.
 */
import type { Client, Query } from "../client.ts";
import { CliError } from "../errors.ts";
import { type Stop, Stopped } from "./lanes.ts";
import { canonicalTree, inOrder, isTree, type Lack, type Tree } from "./organisation.ts";

/** Where the things of a document are in the organisation that it was read from: name → id. */
export type Ids = Readonly<{
  types: Map<string, string>;
  schemas: Map<string, string>;
  groups: Map<string, string>;
  people: Map<string, string>;
  apps: Map<string, string>;
  rules: Map<string, string>;
  /** By label and group. */
  pushes: Map<string, string>;
  /** Labels of apps that have a connector and are not called. */
  waiting: Set<string>;
}>;

/** What readers share. `labels`, `logins`, `keys`: names by id. */
export type Reading = Readonly<{
  client: Client;
  stop: Stop;
  tell: (what: string, done: number, total: number | null) => void;
  lacks: Lack[];
  ids: Ids;
  labels: Map<string, string>;
  logins: Map<string, string>;
  keys: Map<string, string>;
  type_names: Map<string, string>;
}>;

/** Calls at a time. An organisation's limits are shared with everyone who works there. */
export const lanes = 4;
/** A text of an answer; what is none reads as nothing. */
export const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Reads a list page by page, and hands each page to `take`. */
export async function eachPage(
  { client, stop }: Reading,
  path: string,
  query: Query,
  take: (items: readonly Tree[]) => void,
): Promise<void> {
  for (let next: string | undefined = path, first = true; next !== undefined; first = false) {
    if (stop.asked) throw new Stopped();
    const page: Awaited<ReturnType<typeof client.page<Tree>>> = await client.page(next, first ? query : undefined);
    take(page.items);
    next = page.next;
  }
}

/** A list that is short enough to be held as it came. */
export async function all(reading: Reading, path: string, query: Query): Promise<Tree[]> {
  const taken: Tree[] = [];
  await eachPage(reading, path, query, (items) => taken.push(...items));
  return taken;
}

const no_such_thing = new Set([400, 404, 405, 410, 501]);
/** Okta's code for what an organisation has not bought or not switched on, whatever the status. */
const not_enabled = "E0000015";

/** What may not be there; undefined: it is not. That the token may not see it is another thing, and is thrown. */
export async function maybe<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const absent = error instanceof CliError && (error.code === not_enabled || no_such_thing.has(error.status ?? 0));
    if (absent) return undefined;
    throw error;
  }
}

/** What the token may not see, and what is deleted while it is read, is told as a lack. @param otherwise what is then gone by */
export async function orUnseen<T>(
  { lacks }: Pick<Reading, "lacks">,
  { kind, name }: Pick<Lack, "kind" | "name">,
  work: () => Promise<T>,
  otherwise: T,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CliError) || (error.status !== 403 && error.status !== 404)) throw error;
    const reason = error.status === 403 ? "the token may not see it" : "it was gone when it was to be read";
    lacks.push({ kind, name, why: `is left out, because ${reason}: ${error.message}` });
    return otherwise;
  }
}

/** Keeps the first of things that are called alike, and tells of the others. */
export function unique<T>(
  reading: Reading,
  kind: Lack["kind"],
  things: readonly T[],
  key: (one: T) => string,
  shown: (one: T) => string,
): T[] {
  const first = new Map<string, T>();
  for (const one of things) {
    if (!first.has(key(one))) first.set(key(one), one);
    else
      reading.lacks.push({
        ...{ kind, name: shown(one) },
        why: "another is called the same: rename one of them there, then run this again",
      });
  }
  return [...first.values()];
}

/** What of an attribute's definition is carried over; the rest is Okta's own business. */
const attribute_names = [
  ...["title", "description", "type", "items", "enum", "oneOf", "required", "minLength", "maxLength", "pattern"],
  ...["format", "unique", "scope", "mutability", "permissions", "master"],
];

/** The attributes of a schema, as they may be sent back. */
export function attributesOf(schema: Tree, names = attribute_names) {
  const definitions = isTree(schema["definitions"]) ? schema["definitions"] : {};
  const part = (name: string) => {
    const one = definitions[name];
    const properties = isTree(one) && isTree(one["properties"]) ? one["properties"] : {};
    const listed = isTree(one) && Array.isArray(one["required"]) ? one["required"] : [];
    return Object.fromEntries(
      Object.keys(properties)
        .sort(inOrder)
        .map((name) => [name, attributeOf(properties[name], names, listed.includes(name))]),
    );
  };
  return { base: part("base"), custom: part("custom") };
}

function attributeOf(given: unknown, names: readonly string[], listed: boolean): Tree {
  const all = isTree(given) ? given : {};
  const { required, master, ...rest } = Object.fromEntries(
    Object.entries(all).filter(([name]) => names.includes(name)),
  );
  return canonicalTree({
    ...rest,
    ...(required === true || listed ? { required: true } : {}),
    // Which source comes first is said of sources here, not of each attribute.
    ...(isTree(master) ? { master: { type: master["type"] ?? null } } : {}),
  });
}

/** What is at a path of an answer. */
export function at(body: Tree, ...path: readonly string[]): unknown {
  let here: unknown = body;
  for (const name of path) here = isTree(here) ? here[name] : undefined;
  return here;
}

/** An expression that names groups by their key where it names them by id. `unnamed` is the way back. */
export function named({ keys }: Pick<Reading, "keys">, expression: string): string {
  return expression.replaceAll(/\b00g[0-9A-Za-z]{17}\b/g, (id) => {
    const key = keys.get(id);
    return key === undefined ? id : `group(${encodeURIComponent(key).replaceAll(/[()']/g, escaped)})`;
  });
}

/** The groups that an expression of a document names by key. */
export function groupsNamed(expression: string): string[] {
  return [...expression.matchAll(/\bgroup\(([A-Z_]+%3A[^()"']+)\)/g)].map(([, key = ""]) => decodeURIComponent(key));
}

const escaped = (letter: string) => `%${letter.charCodeAt(0).toString(16)}`;

/** The expression for an organisation with these groups; one that it lacks stays as it is and will be refused by name. */
export function unnamed(ids: Pick<Ids, "groups">, expression: string): string {
  return expression.replaceAll(/\bgroup\(([A-Z_]+%3A[^()"']+)\)/g, (mark, key: string) => {
    return ids.groups.get(decodeURIComponent(key)) ?? mark;
  });
}
