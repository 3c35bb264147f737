/**
 * Checked tree → SQL for PostgreSQL 15 and later, for rules and previews over everybody at once. Its law: for every person
 * the SQL says what the closure says, or it is not offered. So this file asks PostgreSQL only for what is defined alike on
 * both sides (bytes, characters, doubles, `collate "C"`) and calls everything else inexact, with the reason. What does
 * not depend on the row (constants, the clock, the organisation) is computed by the closure and sent as a parameter; no
 * value of an expression is ever part of the text.
 *
 * Profiles are jsonb written by this product, so their numbers are doubles and their texts have no character 0. The
 * limits on steps and lengths belong to closures; where one would be reached, SQL gives a value and the closure an error.
 */
import type { Profile, Value } from "../types.ts";
import type { Context } from "./environment.ts";
import { compile } from "./evaluate.ts";
import type { Facts } from "./facts.ts";
import { elementAt, splitInSql } from "./functions/arrays.ts";
import { instantInSql } from "./functions/dates_sql.ts";
import type { ParameterType } from "./functions/declaration.ts";
import { memberOf, prefixOf } from "./functions/groups.ts";
import { concatenation } from "./functions/string.ts";
import { dayIn } from "./functions/zones.ts";
import { sql_depth_max, sql_text_max } from "./limits.ts";
import { regexInSql } from "./regex_sql.ts";
import {
  asValue,
  certain,
  condition,
  createWriter,
  type Fragment,
  finished,
  inexact,
  named,
  nothing,
  orElse,
  parameter,
  type SqlPlace,
  type SqlType,
  sql,
  type Writer,
} from "./sql_writer.ts";
import { type Criterion, type Term, walk } from "./term.ts";
import { isList, type Type } from "./types.ts";
import { isArray } from "./values.ts";

/** Where an expression can run. A closure can always; the reason says what keeps it from SQL. */
export type Backend = Readonly<{ kind: "sql" }> | Readonly<{ kind: "closure"; reason: string }>;

/** The query the text will stand in, and the facts that are the same for every row. */
export type SqlContext = Readonly<
  Partial<SqlPlace> & {
    /** Number of the first parameter; 1 when left out. */
    first_parameter?: number;
    now: Date;
    time_zone: string;
    org?: Profile;
  }
>;

/** A condition (true, or anything else for no) or a value, with its parameters from `first_parameter` on. */
export type SqlText = Readonly<{ text: string; values: readonly unknown[] }>;

const default_place: SqlPlace = { user: "u", group: "g", memberships: "memberships", groups: "groups", column: null };

/** Can SQL say this exactly? Found by writing it for an arbitrary moment. */
export function backendOf(term: Term, context: Context): Backend {
  const written = attempt(term, { now: new Date(0), time_zone: "UTC" });
  if (context === "mapping" && isList(term.type) && term.type.list === "group") {
    return { kind: "closure", reason: "groups are not values" };
  }
  return "ok" in written ? { kind: "sql" } : { kind: "closure", reason: written.inexact };
}

/** The text and its parameters; null when only a closure can say it. */
export function writeSql(term: Term, context: SqlContext): SqlText | null {
  const written = attempt(term, context);
  return "ok" in written ? written.ok : null;
}

/** What the functions below share: the writer, and the facts that hold for every row. */
type Scribe = Readonly<{ writer: Writer; facts: Facts }>;

function attempt(term: Term, context: SqlContext): Readonly<{ ok: SqlText }> | Readonly<{ inexact: string }> {
  const { now, time_zone, org = null, first_parameter = 1, ...place } = context;
  const clock = { now_ms: now.getTime(), day: dayIn(time_zone, now.getTime()) };
  const writer = createWriter({ ...default_place, ...place }, clock);
  const facts: Facts = { user: {}, user_id: "", user_status: "ACTIVE", groups: [], org, now, time_zone };
  const fragment = render({ writer, facts }, term);
  const { text } = term.type === "boolean" ? fragment : asValue(fragment);
  if (text.length > sql_text_max) writer.inexact ??= "its SQL text would be too long";
  return writer.inexact === null ? { ok: finished(writer, text, first_parameter) } : { inexact: writer.inexact };
}

function render(scribe: Scribe, term: Term): Fragment {
  const { writer } = scribe;
  if (writer.depth >= sql_depth_max) return inexact(writer, "text", "it is nested too deeply for PostgreSQL");
  writer.depth += 1;
  const fragment = renderTerm(scribe, term);
  writer.depth -= 1;
  return fragment;
}

function renderTerm(scribe: Scribe, term: Term): Fragment {
  // Never anything else, whatever it is made of.
  if (term.type === "null") return nothing("text");
  if (isFixed(term)) return renderFixed(scribe, term);
  const { writer } = scribe;
  switch (term.kind) {
    case "read":
      return renderRead(writer, term);
    case "internal": {
      const alias = term.of === "user" ? writer.place.user : writer.place.group;
      return { text: `${alias}.${term.name}`, type: "text", nulls: "null", atom: true };
    }
    case "call":
      return renderCall(scribe, term);
    case "matches":
      return renderMatches(scribe, term);
    case "not": {
      const operand = orElse(renderCondition(scribe, term.operand), "false");
      return certain("boolean", `not ${operand.text}`);
    }
    case "and":
    case "or": {
      const parts = chain(term, term.kind).map((part) => renderCondition(scribe, part).text);
      return condition(parts.join(` ${term.kind} `));
    }
    case "equal":
      return renderEqual(scribe, term);
    case "order":
      return renderOrder(scribe, term);
    case "concat":
      return concatenation(chain(term, "concat").map((part) => renderAs(scribe, part, "text")));
    case "choose":
      return renderChoice(scribe, term);
    case "elvis":
      return renderElvis(scribe, term);
    default:
      return renderPart(scribe, term);
  }
}

function renderPart(scribe: Scribe, term: Term): Fragment {
  const { writer } = scribe;
  switch (term.kind) {
    case "list": {
      const items = term.items.map((item) => asValue(render(scribe, item)).text);
      return certain("jsonb", `jsonb_build_array(${items.join(", ")})`);
    }
    case "index": {
      const element = elementAt(writer, renderAs(scribe, term.list, "jsonb"), renderAs(scribe, term.index, "float8"));
      return sql(
        sqlType(writer, term.type),
        named(writer, [element], (text) => fromJson(text, term.type)),
      );
    }
    case "text":
      return renderText(writer, asValue(render(scribe, term.operand)));
    case "split":
      return splitInSql(render(scribe, term.operand));
    case "arithmetic":
    case "plus":
      return inexact(
        writer,
        "float8",
        "PostgreSQL stops at an overflow or a division by zero, where a closure gives null",
      );
    case "groups":
      return inexact(writer, "jsonb", "a list of groups exists only in a closure");
    default:
      return inexact(writer, "jsonb", "a value of any kind (an object's part) is read only by a closure");
  }
}

/** The operands of a chain such as `a OR b OR c`, so that the text does not nest with its length. */
function chain(term: Term, kind: "and" | "or" | "concat"): Term[] {
  const parts: Term[] = [];
  let rest: Term = term;
  while (rest.kind === kind) {
    parts.unshift(rest.right);
    rest = rest.left;
  }
  return [rest, ...parts];
}

/** Is the value the same for every row? */
function isFixed(term: Term): boolean {
  for (const part of walk(term)) {
    if (part.kind === "internal" || part.kind === "groups") return false;
    if (part.kind === "read" && part.origin.from !== "org") return false;
    if (part.kind === "call" && (part.declaration.groups || part.declaration.accounts)) return false;
  }
  return true;
}

function renderFixed({ writer, facts }: Scribe, term: Term): Fragment {
  const type = sqlType(writer, term.type);
  const result = compile(term).evaluate(facts);
  if ("error" in result) return inexact(writer, type, result.error);
  const { value } = result;
  if (value === null) return nothing(type);
  if (typeof value === "boolean")
    return { text: String(value), type: "boolean", nulls: "never", atom: true, constant: value };
  return parameter(writer, type, value);
}

function sqlType(writer: Writer, type: Type): SqlType {
  if (isList(type)) return "jsonb";
  if (type === "number") return "float8";
  if (type === "boolean") return "boolean";
  if (type === "any") writer.inexact ??= "a value of any kind is read only by a closure";
  return "text";
}

/** A term where only yes or anything else counts. */
function renderCondition(scribe: Scribe, term: Term): Fragment {
  return term.type === "null" ? condition("false") : render(scribe, term);
}

/** A null literal takes the type its place needs. */
function renderAs(scribe: Scribe, term: Term, type: SqlType): Fragment {
  return term.type === "null" ? nothing(type) : asValue(render(scribe, term));
}

function renderRead(writer: Writer, term: Extract<Term, { kind: "read" }>): Fragment {
  const column = columnOf(writer, term);
  if (column !== null) return column;
  const value = jsonOf(writer, term);
  if (value === null)
    return inexact(
      writer,
      sqlType(writer, term.type),
      "attributes of apps and of other people are read only by a closure",
    );
  return sql(sqlType(writer, term.type), fromJson(value, term.type));
}

/** The attribute where it stands as a column already. */
function columnOf({ place }: Writer, { origin, name, type }: Extract<Term, { kind: "read" }>): Fragment | null {
  if (place.column === null || origin.from !== "user" || isList(type) || type === "any") return null;
  const sql_type = type === "number" ? "float8" : type === "boolean" ? "boolean" : "text";
  return { text: place.column(name, sql_type), type: sql_type, nulls: "null", atom: true };
}

/** An attribute of a profile as a value of its type, null when it is of another. `name` and `profile` are SQL. */
export function attributeSql(profile: string, name: string, type: SqlType): string {
  if (type !== "text") return fromJson(`(${profile} -> ${name})`, type === "float8" ? "number" : "boolean");
  return `case when jsonb_typeof(${profile} -> ${name}) = 'string' then ${profile} ->> ${name} end`;
}

/** The attribute as jsonb, when the row holds it. */
function jsonOf(writer: Writer, { origin, name }: Extract<Term, { kind: "read" }>): string | null {
  if (origin.from !== "user" && origin.from !== "group") return null;
  return `(${writer.place[origin.from]}.profile -> ${parameter(writer, "text", name).text})`;
}

/** jsonb held to a type: null when it is of another, as a closure reads it. */
function fromJson(json: string, type: Type): string {
  if (isList(type)) return `case when jsonb_typeof(${json}) = 'array' then ${json} end`;
  if (type === "boolean") return `case ${json} when 'true'::jsonb then true when 'false'::jsonb then false end`;
  if (type === "number") return `case when jsonb_typeof(${json}) = 'number' then (${json} #>> '{}')::float8 end`;
  return `case when jsonb_typeof(${json}) = 'string' then ${json} #>> '{}' end`;
}

function renderText(writer: Writer, value: Fragment): Fragment {
  if (value.type === "text") return value;
  if (value.type === "boolean") return sql("text", `${value.text}::text`);
  if (value.type === "jsonb") return inexact(writer, "text", "a list has no text");
  // Through numeric, so that no exponent is written.
  return sql("text", `${value.text}::text::numeric::text`);
}

function renderCall(scribe: Scribe, term: Extract<Term, { kind: "call" }>): Fragment {
  const { writer } = scribe;
  const { declaration, args } = term;
  const [first] = args;
  if (first?.kind === "groups") return renderGroups(scribe, declaration.name, first.criteria);
  const type = sqlType(writer, term.type);
  if (!declaration.sql) return inexact(writer, type, `${declaration.name} is computed only by a closure`);
  const formal = [...declaration.parameters];
  const { rest = [] } = declaration;
  const given = args.map((arg, index) => {
    const form = formal[index] ?? rest[(index - formal.length) % rest.length]!;
    return renderAs(scribe, arg, parameterType(form.type, arg.type));
  });
  const written = declaration.sql(writer, ...given);
  const { nulls } = declaration;
  if (nulls === "handled" || nulls.give === null) return written;
  if (nulls.give === false) return { ...written, nulls: "false" };
  return orElse(written, nulls.give === true ? "true" : `${Number(nulls.give)}::float8`);
}

function parameterType(form: ParameterType, given: Type): SqlType {
  if (form === "list" || form === "groups") return "jsonb";
  if (form === "number") return "float8";
  if (form === "boolean") return "boolean";
  return form === "value" && isList(given) ? "jsonb" : "text";
}

/** `Arrays.isEmpty(user.getGroups({…}))` and `Arrays.size(…)`, the two questions about a list of groups that SQL answers. */
function renderGroups({ writer, facts }: Scribe, name: string, criteria: readonly Criterion[]): Fragment {
  if (name !== "Arrays.isEmpty") return inexact(writer, "jsonb", "a list of groups exists only in a closure");
  const tests = criteria.map((criterion) => renderCriterion({ writer, facts }, criterion));
  const found = memberOf(writer, tests.length === 0 ? "true" : tests.join(" and "));
  return certain("boolean", `not ${found.text}`);
}

const criterion_columns = {
  "group.id": "g.id",
  "group.type": "g.type",
  "group.source.id": "g.source_id",
  "group.profile.name": "(g.profile ->> 'name')",
} as const;

function renderCriterion({ writer, facts }: Scribe, { key, exact, values }: Criterion): string {
  const result = isFixed(values) ? compile(values).evaluate(facts) : { error: "" };
  if ("error" in result) return inexact(writer, "boolean", "a group filter with computed values").text;
  const wanted: readonly Value[] = isArray(result.value) ? result.value : [result.value];
  const column = criterion_columns[key];
  const by_prefix = key === "group.profile.name" && !exact;
  const tests = wanted.flatMap((value) => {
    if (typeof value !== "string") return [];
    const text = parameter(writer, "text", by_prefix ? prefixOf(value) : value).text;
    return [by_prefix ? `starts_with(${column}, ${text})` : `${column} = ${text}`];
  });
  return tests.length === 0 ? "false" : `(${tests.join(" or ")})`;
}

function renderMatches(scribe: Scribe, { operand, regex }: Extract<Term, { kind: "matches" }>): Fragment {
  const { writer } = scribe;
  const pattern = regexInSql(regex);
  if (pattern === null) return inexact(writer, "boolean", "this regular expression has no exact form in PostgreSQL");
  return condition(`${renderAs(scribe, operand, "text").text} ~ ${parameter(writer, "text", pattern).text}`);
}

function renderEqual(scribe: Scribe, term: Extract<Term, { kind: "equal" }>): Fragment {
  const { writer } = scribe;
  const [left, right] = [term.left, term.right];
  if (term.by === "date") {
    const [first, second] = [left, right].map((side) => instantInSql(writer, renderAs(scribe, side, "text")));
    return certain("boolean", `${first!.text} is not distinct from ${second!.text}`);
  }
  if (left.type === "null") return certain("boolean", `${asValue(render(scribe, right)).text} is null`);
  if (right.type === "null") return certain("boolean", `${asValue(render(scribe, left)).text} is null`);
  const direct = directEqual(scribe, left, right) ?? directEqual(scribe, right, left);
  if (direct) return direct;
  const [first, second] = [asValue(render(scribe, left)), asValue(render(scribe, right))];
  if (first.nulls === "never" || second.nulls === "never") return condition(`${first.text} = ${second.text}`);
  return certain("boolean", `${first.text} is not distinct from ${second.text}`);
}

/** `user.x == constant`, the commonest rule of all: one comparison of jsonb, which is exact about types by itself. */
function directEqual(scribe: Scribe, side: Term, other: Term): Fragment | null {
  if (side.kind !== "read" || !isFixed(other) || isList(side.type) || side.type === "any" || side.origin.from === "org")
    return null;
  const column = columnOf(scribe.writer, side);
  const json = jsonOf(scribe.writer, side);
  const value = render(scribe, other);
  if (json === null || value.type !== sqlType(scribe.writer, side.type)) return null;
  if (value.constant === null || value.constant === undefined) return null;
  if (column !== null) return condition(`${column.text} = ${value.text}`);
  // A jsonb parameter is read once; `to_jsonb` of a text would be computed for every row.
  return condition(`${json} = ${parameter(scribe.writer, "jsonb", value.constant).text}`);
}

function renderOrder(scribe: Scribe, term: Extract<Term, { kind: "order" }>): Fragment {
  const { writer } = scribe;
  const { by, operator } = term;
  if (by === "any") return inexact(writer, "boolean", "the order of values of any kind is known only to a closure");
  const type = by === "number" ? "float8" : "text";
  const sides = [term.left, term.right].map((side) => renderAs(scribe, side, type));
  if (by === "text") return condition(`${sides[0]!.text} ${operator} ${sides[1]!.text} collate "C"`);
  const [first, second] = by === "date" ? sides.map((side) => instantInSql(writer, side)) : sides;
  return condition(`${first!.text} ${operator} ${second!.text}`);
}

function renderChoice(scribe: Scribe, term: Extract<Term, { kind: "choose" }>): Fragment {
  const type = sqlType(scribe.writer, term.type);
  const test = renderCondition(scribe, term.condition);
  const [then, otherwise] = [term.then, term.otherwise].map((side) => renderAs(scribe, side, type).text);
  return sql(type, `case when ${test.text} then ${then} else ${otherwise} end`);
}

function renderElvis(scribe: Scribe, term: Extract<Term, { kind: "elvis" }>): Fragment {
  const type = sqlType(scribe.writer, term.type);
  const [left, right] = [term.left, term.right].map((side) => renderAs(scribe, side, type).text);
  return sql(type, `coalesce(${type === "text" ? `nullif(${left}, '')` : left}, ${right})`);
}
