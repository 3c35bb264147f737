/**
 * Does something fulfil a filter? Evaluates a parsed filter over whatever a `lookup` finds in memory: log events,
 * event-hook filters, SCIM resources, elements of a multi-valued attribute.
 *
 * Laws: total, no I/O; the same answer as core/filterSql.ts (tested against PostgreSQL). Of several values any may
 * fulfil a comparison; `ne` is exactly the opposite of `eq`, so no value is `ne` everything; `eq null` is "not
 * present"; dates compare as instants; texts order by character code.
 */
import { compareTexts, numberText } from "./expression/values.ts";
import {
  type Dialect,
  type Filter,
  type FilterLiteral,
  type FilterOperator,
  type FilterOutcome,
  type FilterPath,
  type FilterTree,
  filterRefusal,
} from "./filter.ts";
import { foldCase } from "./fold.ts";
import { parseInstant } from "./instant.ts";
import type { Value } from "./types.ts";

export type FilterType = "text" | "number" | "boolean" | "instant";

/** What a property of a filter is. `case_exact` beats the dialect's rule; `operators` narrows the dialect's. */
export type Property = Readonly<{
  type: FilterType;
  case_exact?: boolean;
  operators?: ReadonlySet<FilterOperator | "pr">;
}>;

/**
 * What a path finds. A list means any of its elements; of an object, its member `value` counts (SCIM's rule). Without
 * a type the values decide. undefined: there is no such property, which is the same as no value: where that must be
 * refused, `checkFilter` comes first. Inside `emails[…]` it is asked for `emails.type` too, for type and case only.
 */
export type Found = Readonly<{ value: Value | undefined; type?: FilterType; case_exact?: boolean }>;

export type Lookup = (path: FilterPath) => Found | undefined;

/** A comparison with its literal read as what the property holds. */
export type Comparison =
  | Readonly<{ type: "text"; operator: FilterOperator; literal: string; fold: boolean }>
  | Readonly<{ type: "number" | "instant"; operator: FilterOperator; literal: number }>
  | Readonly<{ type: "boolean"; operator: FilterOperator; literal: boolean }>;

/** Does what `lookup` finds fulfil the filter? */
export function matches(filter: Filter, lookup: Lookup): boolean {
  return holds(filter.tree, filter.dialect, lookup);
}

/**
 * Refuses a filter that names a property `property` does not know, or compares one with what it can never be: the
 * place, and what to do. For a path before `[ ]` the paths inside are asked for as `emails.type`.
 */
export function checkFilter(
  filter: Filter,
  property: (path: FilterPath) => Property | "complex" | undefined,
): FilterOutcome<Filter> {
  return checkTree(filter, filter.tree, property) ?? { ok: filter };
}

function checkTree(
  filter: Filter,
  tree: FilterTree,
  property: (path: FilterPath) => Property | "complex" | undefined,
): FilterOutcome<never> | undefined {
  switch (tree.kind) {
    case "and":
    case "or":
      for (const term of tree.terms) {
        const refusal = checkTree(filter, term, property);
        if (refusal) return refusal;
      }
      return undefined;
    case "not":
      return checkTree(filter, tree.term, property);
    case "some":
      if (property(tree.path) === undefined) return unknownProperty(filter, tree.path);
      return checkTree(filter, tree.where, (inner) => property(innerPath(tree.path, inner)));
    case "present":
    case "compare": {
      const found = property(tree.path);
      if (found === undefined) return unknownProperty(filter, tree.path);
      const known: Property = found === "complex" ? { type: "text" } : found;
      const refusal = operatorRefusal(filter, tree, known);
      if (refusal || tree.kind === "present") return refusal;
      const comparison = prepare(tree, known, filter.dialect);
      return typeof comparison === "string" ? filterRefusal(filter.text, tree.at, comparison) : undefined;
    }
  }
}

/** `type` inside `emails[…]` is `emails.type`. */
export function innerPath(outer: FilterPath, inner: FilterPath): FilterPath {
  return {
    ...inner,
    text: `${outer.text}.${inner.text}`,
    schema: outer.schema,
    names: [...outer.names, ...inner.names],
  };
}

/** The refusal of a property nobody knows. `near`: one that may have been meant. */
export function unknownProperty(filter: Filter, path: FilterPath, near?: string): FilterOutcome<never> {
  const meant = near === undefined ? "" : `: did you mean ${near}?`;
  const wrong = `there is no property "${path.text.slice(0, 100)}" to look for${meant}`;
  return filterRefusal(filter.text, path.at, wrong);
}

/** The refusal if the property does not take this operator. */
export function operatorRefusal(
  filter: Filter,
  tree: Extract<FilterTree, { kind: "compare" | "present" }>,
  property: Pick<Property, "operators">,
): FilterOutcome<never> | undefined {
  const operator = tree.kind === "present" ? "pr" : tree.operator;
  if (property.operators === undefined || property.operators.has(operator)) return undefined;
  const allowed = [...property.operators].join(", ");
  return filterRefusal(filter.text, tree.path.at, `${tree.path.text} takes only ${allowed}, not ${operator}`);
}

/** The comparison by the property's type, or what is wrong with it. `null` literals are not comparisons: see `asksAbsent`. */
export function prepare(
  tree: Readonly<{ operator: FilterOperator; literal: FilterLiteral; path: FilterPath }>,
  property: Pick<Property, "type" | "case_exact">,
  dialect: Dialect,
): Comparison | string | null {
  const { operator, literal, path } = tree;
  if (literal === null) return null;
  const partial = operator === "co" || operator === "sw" || operator === "ew";
  if (partial && property.type !== "text") {
    return `${path.text} is a ${names[property.type]}: "${operator}" is for texts`;
  }
  switch (property.type) {
    case "text": {
      const fold = property.case_exact === undefined ? dialect.values === "any_case" : !property.case_exact;
      return { type: "text", operator, literal: literalText(literal), fold };
    }
    case "number": {
      const number = typeof literal === "string" && literal.trim() !== "" ? Number(literal) : literal;
      const usable = typeof number === "number" && Number.isFinite(number);
      return usable ? { type: "number", operator, literal: number } : `${path.text} is a number; compare it with one`;
    }
    case "instant": {
      const at = typeof literal === "string" ? parseInstant(literal) : undefined;
      if (at !== undefined) return { type: "instant", operator, literal: at };
      return `${path.text} is a date; compare it with one such as "2026-03-02T09:00:00.000Z"`;
    }
    case "boolean": {
      if (operator !== "eq" && operator !== "ne") return `${path.text} is true or false: it has no order`;
      const text = literalText(literal).toLowerCase();
      if (text === "true" || text === "false") return { type: "boolean", operator, literal: text === "true" };
      return `${path.text} is true or false; compare it with one of them`;
    }
  }
}

const names: Readonly<Record<FilterType, string>> = {
  text: "text",
  number: "number",
  boolean: "yes-or-no",
  instant: "date",
};

function literalText(literal: string | number | boolean): string {
  return typeof literal === "number" ? numberText(literal) : String(literal);
}

function holds(tree: FilterTree, dialect: Dialect, lookup: Lookup): boolean {
  switch (tree.kind) {
    case "and":
      return tree.terms.every((term) => holds(term, dialect, lookup));
    case "or":
      return tree.terms.some((term) => holds(term, dialect, lookup));
    case "not":
      return !holds(tree.term, dialect, lookup);
    case "present":
      return isPresent(lookup(tree.path)?.value, dialect);
    case "some":
      return elements(lookup(tree.path)?.value).some((item) =>
        holds(tree.where, dialect, (path) => {
          const value = valueAt(item, path.names, dialect.names);
          return { ...lookup(innerPath(tree.path, path)), value };
        }),
      );
    case "compare":
      return compares(tree, dialect, lookup);
  }
}

function compares(tree: Extract<FilterTree, { kind: "compare" }>, dialect: Dialect, lookup: Lookup): boolean {
  const found = lookup(tree.path);
  if (tree.literal === null) return isPresent(found?.value, dialect) === (tree.operator === "ne");
  if (tree.operator === "ne") return !compares({ ...tree, operator: "eq" }, dialect, lookup);
  return leaves(found?.value).some((value) => {
    const type = found?.type ?? typeOf(value, tree.literal);
    const comparison = prepare(tree, { type, ...caseOf(found) }, dialect);
    return comparison !== null && typeof comparison !== "string" && fulfils(value, comparison);
  });
}

function caseOf(found: Found | undefined): Pick<Property, "case_exact"> {
  return found?.case_exact === undefined ? {} : { case_exact: found.case_exact };
}

/** Where nobody says what a property is: two date-times are dates, otherwise the value decides. */
function typeOf(value: Value, literal: FilterLiteral): FilterType {
  if (typeof value === "number") return typeof literal === "number" ? "number" : "text";
  if (typeof value === "boolean") return "boolean";
  return isDateTime(value) && isDateTime(literal) ? "instant" : "text";
}

function isDateTime(value: Value): boolean {
  return typeof value === "string" && value[10] === "T" && parseInstant(value) !== undefined;
}

function fulfils(value: Value, comparison: Comparison): boolean {
  switch (comparison.type) {
    case "number":
      return typeof value === "number" && ordered(Math.sign(value - comparison.literal), comparison.operator);
    case "boolean":
      return value === comparison.literal;
    case "instant": {
      const at = typeof value === "string" ? parseInstant(value) : undefined;
      return at !== undefined && ordered(at - comparison.literal, comparison.operator);
    }
    case "text":
      return typeof value !== "object" && textFulfils(literalText(value), comparison);
  }
}

function textFulfils(value: string, comparison: Extract<Comparison, { type: "text" }>): boolean {
  const { operator, fold } = comparison;
  const have = fold ? foldCase(value) : value;
  const want = fold ? foldCase(comparison.literal) : comparison.literal;
  switch (operator) {
    case "co":
      return have.includes(want);
    case "sw":
      return have.startsWith(want);
    case "ew":
      return have.endsWith(want);
    default:
      return ordered(compareTexts(have, want), operator);
  }
}

function ordered(order: number, operator: FilterOperator): boolean {
  switch (operator) {
    case "gt":
      return order > 0;
    case "ge":
      return order >= 0;
    case "lt":
      return order < 0;
    case "le":
      return order <= 0;
    default:
      return order === 0;
  }
}

function isPresent(value: Value | undefined, dialect: Dialect): boolean {
  return elements(value).some((item) => {
    if (typeof item === "object" && item !== null) return Object.keys(item).length > 0;
    return item !== null && (item !== "" || dialect.blank_is_present);
  });
}

/** The values of a list of any depth, one value as a list of one, none as none. */
function elements(value: Value | undefined): readonly Value[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value.flatMap(elements) : [value];
}

/** What a comparison looks at: elements, an object standing for its `value`. */
function leaves(value: Value | undefined): readonly Value[] {
  return elements(value).flatMap((item) =>
    typeof item === "object" && item !== null && !Array.isArray(item)
      ? elements(member(item as Readonly<Record<string, Value>>, "value", "any_case")).filter(isScalar)
      : [item],
  );
}

function isScalar(value: Value): boolean {
  return typeof value !== "object";
}

/**
 * The value at a path of names in a resource, through lists (all their elements' values, as a list). Reads own members
 * only. The ordinary way to write a `Lookup`.
 */
export function valueAt(root: Value | undefined, path: readonly string[], rule: Dialect["names"]): Value | undefined {
  let values = elements(root);
  let many = Array.isArray(root);
  // `value` of something that is a plain value is itself: `members.value` over a list of ids.
  for (const [depth, name] of path.entries()) {
    const next: Value[] = [];
    for (const item of values) {
      if (isScalar(item)) {
        if (depth === path.length - 1 && name.toLowerCase() === "value") next.push(item);
        continue;
      }
      const inner = member(item as Readonly<Record<string, Value>>, name, rule);
      many ||= Array.isArray(inner);
      next.push(...elements(inner));
    }
    values = next;
  }
  return many ? values : values[0];
}

function member(object: Readonly<Record<string, Value>>, name: string, rule: Dialect["names"]): Value | undefined {
  if (Object.hasOwn(object, name)) return object[name];
  if (rule === "exact") return undefined;
  const wanted = name.toLowerCase();
  const key = Object.keys(object).find((candidate) => candidate.toLowerCase() === wanted);
  return key === undefined ? undefined : object[key];
}
