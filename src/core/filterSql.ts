/**
 * A filter as the condition of a PostgreSQL query, for the properties that a `resolve` knows as columns. Every value
 * of the client becomes a parameter; only `resolve` contributes text, so nothing a client writes is ever SQL.
 *
 * Laws (tested against PostgreSQL): a row is found exactly when core/filterMatch.ts says that it matches; a null never
 * leaks out of `not`; texts without case compare as `lower(column) = lower($n)`, `like` and `collate "C"`. What a
 * column says of its index (`folded`, `codes`) changes how it is asked, never what is found. The database must have a
 * UTF-8 ctype (C.UTF-8), or `lower` changes only ASCII. Timestamp columns are expected to hold whole milliseconds, as
 * everything we write does.
 */
import type { Filter, FilterOutcome, FilterPath, FilterTree } from "./filter.ts";
import { filterRefusal } from "./filter.ts";
import {
  type Comparison,
  type FilterType,
  operatorRefusal,
  type Property,
  prepare,
  unknownProperty,
} from "./filterMatch.ts";
import { foldCase } from "./fold.ts";

/**
 * Where a property's value is.
 * - `kind`: what the SQL gives: text; number (int or float8); boolean; instant (timestamptz); instant_text (an ISO
 *   8601 text, as profiles hold); complex (jsonb objects, for `emails[…]`; `member` then gives the column of a path
 *   inside one element).
 * - `shape`: `one` value (default); `json`: a jsonb expression that is a list, one value or null; `rows`: a query in
 *   parentheses with one column, without nulls.
 * - `folded`: of one text, what is indexed and equal to `lower(sql)`; equality and beginnings are asked of it.
 * - `codes`: of one text, every value there can be: equality without case is then asked of the column as it is.
 */
export type Column = Readonly<{
  kind: FilterType | "instant_text" | "complex";
  sql: string;
  shape?: "one" | "json" | "rows";
  member?: (item: string, path: FilterPath) => Column | undefined;
  folded?: string;
  codes?: readonly string[];
}> &
  Pick<Property, "case_exact" | "operators">;

export type ResolveColumn = (path: FilterPath) => Column | undefined;

/** A condition to stand after `where`, and its parameters from `$first` on. It may be null where it is not true. */
export type FilterSql = Readonly<{ text: string; values: readonly unknown[] }>;

type Writer = { readonly filter: Filter; readonly first: number; readonly values: unknown[]; aliases: number };

/** A condition, or the refusal of something in it. */
type Written = string | FilterOutcome<never>;

/**
 * The filter as SQL, with parameters numbered from `first`. Refuses, with the place, a property that `resolve` does
 * not know and a comparison that the property cannot take.
 */
export function filterSql(filter: Filter, resolve: ResolveColumn, first = 1): FilterOutcome<FilterSql> {
  const writer: Writer = { filter, first, values: [], aliases: 0 };
  const text = write(writer, filter.tree, resolve);
  return typeof text === "string" ? { ok: { text, values: writer.values } } : text;
}

function write(writer: Writer, tree: FilterTree, resolve: ResolveColumn): Written {
  switch (tree.kind) {
    case "and":
    case "or":
      return joined(writer, tree, resolve);
    case "not": {
      const term = write(writer, tree.term, resolve);
      return typeof term === "string" ? `((${term}) is not true)` : term;
    }
    case "some":
      return some(writer, tree, resolve);
    default:
      return test(writer, tree, resolve);
  }
}

function joined(writer: Writer, tree: Extract<FilterTree, { kind: "and" | "or" }>, resolve: ResolveColumn): Written {
  const terms: string[] = [];
  for (const term of tree.terms) {
    const text = write(writer, term, resolve);
    if (typeof text !== "string") return text;
    terms.push(text);
  }
  return `(${terms.join(` ${tree.kind} `)})`;
}

function some(writer: Writer, tree: Extract<FilterTree, { kind: "some" }>, resolve: ResolveColumn): Written {
  const column = resolve(tree.path);
  if (column === undefined) return unknown(writer, tree.path, resolve);
  const item = newAlias(writer);
  const where = write(writer, tree.where, (path) => memberOf(column, item, path));
  return typeof where === "string" ? `exists (select from ${elements(column)} as ${item}(item) where ${where})` : where;
}

/** Okta's attributes begin with `profile.`, which is easily left out; where a resolver knows no such word (SCIM), nothing is said. */
function unknown({ filter }: Writer, path: FilterPath, resolve: ResolveColumn): Written {
  const text = `profile.${path.text}`;
  const near = resolve({ ...path, text, names: ["profile", ...path.names] });
  return unknownProperty(filter, path, near && text);
}

/** The column of a path inside one element; a plain value has only itself, as `value`. */
function memberOf(column: Column, item: string, path: FilterPath): Column | undefined {
  if (column.kind === "complex") return column.member?.(`${item}.item`, path);
  if (path.text.toLowerCase() !== "value") return undefined;
  return { ...column, sql: itemSql(column, item), shape: "one" };
}

function test(
  writer: Writer,
  tree: Extract<FilterTree, { kind: "compare" | "present" }>,
  resolve: ResolveColumn,
): Written {
  const column = resolve(tree.path);
  if (column === undefined) return unknown(writer, tree.path, resolve);
  const refusal = operatorRefusal(writer.filter, tree, column);
  if (refusal) return refusal;
  if (tree.kind === "present") return present(writer, column);
  if (tree.literal === null) {
    const there = present(writer, column);
    return tree.operator === "ne" ? there : `((${there}) is not true)`;
  }
  if (column.kind === "complex") return complexTest(writer, tree, column);
  const type = column.kind === "instant_text" ? "instant" : column.kind;
  const comparison = prepare(tree, { ...column, type }, writer.filter.dialect);
  if (comparison === null || typeof comparison === "string") {
    return filterRefusal(writer.filter.text, tree.at, comparison ?? "nothing to compare with");
  }
  // `ne` is the opposite of `eq`, over all of a list's elements too.
  const asked = comparison.operator === "ne" ? ({ ...comparison, operator: "eq" } as Comparison) : comparison;
  const found = ofEach(writer, column, (sql) =>
    asked.type === "text"
      ? textCondition(writer, sql, asked, column)
      : condition(writer, column.kind === "instant_text" ? instantSql(sql) : sql, asked),
  );
  return comparison.operator === "ne" ? `((${found}) is not true)` : found;
}

/** `emails co "x"` asks for the `value` of an element (RFC 7643 2.4). */
function complexTest(writer: Writer, tree: Extract<FilterTree, { kind: "compare" }>, column: Column): Written {
  const negated = tree.operator === "ne";
  const path: FilterPath = { text: "value", schema: null, names: ["value"], at: tree.path.at };
  const where: FilterTree = { ...tree, path, operator: negated ? "eq" : tree.operator };
  const found = some(writer, { kind: "some", path: tree.path, where }, () => column);
  return negated && typeof found === "string" ? `((${found}) is not true)` : found;
}

function present(writer: Writer, column: Column): string {
  const blank_counts = writer.filter.dialect.blank_is_present;
  const textual = column.kind === "text" || column.kind === "instant_text";
  return ofEach(writer, column, (sql) => {
    if (column.kind === "complex") return `coalesce(${sql}, 'null') not in ('null', '{}')`;
    return textual && !blank_counts ? `(${sql} is not null and ${sql} <> '')` : `${sql} is not null`;
  });
}

/** The condition on the value, or on any of the values. */
function ofEach(writer: Writer, column: Column, on: (sql: string) => string): string {
  if (column.kind !== "complex" && (column.shape ?? "one") === "one") return on(`(${column.sql})`);
  const item = newAlias(writer);
  return `exists (select from ${elements(column)} as ${item}(item) where ${on(itemSql(column, item))})`;
}

/** What stands in `from` for a column of many values. No value is no row, as it is no element in memory. */
function elements(column: Column): string {
  const { sql } = column;
  if (column.shape === "rows") return sql;
  if (column.kind !== "complex" && column.shape !== "json") return `(select ${sql} where ${sql} is not null)`;
  const kind = `case coalesce(jsonb_typeof(${sql}), 'null')`;
  const list = `${kind} when 'array' then ${sql} when 'null' then '[]' else jsonb_build_array(${sql}) end`;
  return column.kind === "complex" ? `jsonb_array_elements(${list})` : `jsonb_array_elements_text(${list})`;
}

function itemSql(column: Column, item: string): string {
  if (column.shape !== "json") return `${item}.item`;
  const casts: Partial<Record<Column["kind"], string>> = { number: "::float8", boolean: "::boolean" };
  return `(${item}.item${casts[column.kind] ?? ""})`;
}

const symbols = { gt: ">", ge: ">=", lt: "<", le: "<=" } as const;

function condition(writer: Writer, sql: string, comparison: Exclude<Comparison, { type: "text" }>): string {
  const { operator } = comparison;
  switch (comparison.type) {
    case "boolean":
      return `${sql} is ${comparison.literal}`;
    case "number":
      return `${sql} ${symbolOf(operator)} ${parameter(writer, comparison.literal)}::float8`;
    case "instant":
      return `${sql} ${symbolOf(operator)} ${parameter(writer, new Date(comparison.literal).toISOString())}::timestamptz`;
  }
}

type TextComparison = Extract<Comparison, { type: "text" }>;

function textCondition(writer: Writer, sql: string, comparison: TextComparison, column: Column): string {
  const { operator, literal, fold } = comparison;
  const lower = (text: string) => (fold ? `lower(${text})` : text);
  const have = fold ? (column.folded ?? `lower(${sql})`) : sql;
  const want = (value: string) => lower(`${parameter(writer, value)}::text`);
  switch (operator) {
    case "co":
      return `${have} like ${want(`%${likeText(literal)}%`)}`;
    case "sw":
      return `${have} like ${want(`${likeText(literal)}%`)}`;
    case "ew":
      return `${have} like ${want(`%${likeText(literal)}`)}`;
    case "eq":
    case "ne":
      return equality(writer, sql, comparison, column);
    default:
      return `${have} collate "C" ${symbols[operator]} ${want(literal)}`;
  }
}

/** Equal texts are equal in lower case: where case counts, the index finds the few that may be, and `sql` decides. */
function equality(writer: Writer, sql: string, { literal, fold }: TextComparison, column: Column): string {
  if (fold && column.codes !== undefined) {
    const meant = column.codes.filter((code) => foldCase(code) === foldCase(literal));
    const list = meant.map((code) => `${parameter(writer, code)}::text`);
    return list.length === 0 ? "false" : `${sql} in (${list.join(", ")})`;
  }
  const want = `${parameter(writer, literal)}::text`;
  if (fold) return `${column.folded ?? `lower(${sql})`} = lower(${want})`;
  return column.folded === undefined ? `${sql} = ${want}` : `(${column.folded} = lower(${want}) and ${sql} = ${want})`;
}

function symbolOf(operator: Comparison["operator"]): string {
  return operator in symbols ? symbols[operator as keyof typeof symbols] : "=";
}

/** The text with what `like` would read as a wildcard made plain. */
function likeText(text: string): string {
  return text.replace(/[\\%_]/g, "\\$&");
}

function parameter(writer: Writer, value: unknown): string {
  writer.values.push(value);
  return `$${writer.first + writer.values.length - 1}`;
}

function newAlias(writer: Writer): string {
  writer.aliases += 1;
  return `f${writer.aliases}`;
}

/** The SQL of an ISO 8601 text as an instant, by the rules of core/instant.ts: UTC without an offset, cut to whole ms. */
function instantSql(sql: string): string {
  const cut = `regexp_replace(${sql}, '(\\.[0-9]{3})[0-9]+', '\\1')`;
  const zoned = `${sql} ~ '[Tt ].*([Zz]|[+-][0-9]{2}:?[0-9]{2})$'`;
  return `(case when ${zoned} then ${cut}::timestamptz else ${cut}::timestamp at time zone 'UTC' end)`;
}
