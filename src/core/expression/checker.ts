/**
 * What the parts of the checker share: the environment, the problems found so far, and the conversions that make a term
 * fit its place. A problem never stops the checker; it goes on with a term of any type, so that one save shows
 * every mistake. Conversions are written into the tree as terms, so both back ends convert alike.
 */
import { context_names, type Environment, type Shape } from "./environment.ts";
import type { ParameterType } from "./functions/declaration.ts";
import { problems_max } from "./limits.ts";
import { nearest } from "./suggest.ts";
import type { Term } from "./term.ts";
import { type Node, type Position, type Problem, problem } from "./tree.ts";
import { describeType, isList, isText, listOf, type Type, typeOfAttribute } from "./types.ts";

export type Checker = Readonly<{
  environment: Environment;
  problems: Problem[];
  /** The meaning of a node; a term of any type, and a problem, when it has none. */
  check(node: Node): Term;
}>;

/** Notes a problem and gives the term to go on with. */
export function complain(checker: Checker, at: Position, message: string, hint?: string): Term {
  if (checker.problems.length < problems_max) checker.problems.push(problem(at, message, hint));
  return { kind: "constant", value: null, type: "any", at };
}

/** "Did you mean …?" when something is near enough. */
export function didYouMean(name: string, known: Iterable<string>, write: (name: string) => string): string | undefined {
  const near = nearest(name, known);
  return near === null ? undefined : `Did you mean ${write(near)}?`;
}

export function contextName(checker: Checker): string {
  return context_names[checker.environment.context];
}

/** The type of an attribute of a shape, or undefined. Names are exact; the nearest is only suggested. */
export function attributeType(shape: Shape, name: string): Type | undefined {
  let types = types_of.get(shape);
  if (!types) {
    types = new Map(shape.map((attribute) => [attribute.name, typeOfAttribute(attribute)]));
    types_of.set(shape, types);
  }
  return types.get(name);
}

/** One index per schema, however many expressions are checked against it. */
const types_of = new WeakMap<Shape, ReadonlyMap<string, Type>>();

export function constantOf(term: Term | undefined): string | number | boolean | null | undefined {
  if (term?.kind !== "constant") return undefined;
  return typeof term.value === "object" && term.value !== null
    ? undefined
    : (term.value as string | number | boolean | null);
}

/** The term as a condition: true, false, or null (which counts as false). */
export function condition(checker: Checker, term: Term, what: string): Term {
  if (term.type === "boolean" || term.type === "null") return term;
  if (term.type === "any") return taken(term, "boolean");
  const hint = isText(term.type)
    ? 'Compare it: == "some text", or use !isBlank(…) to ask whether it has a value.'
    : "Compare it with ==, < or >.";
  return complain(checker, term.at, `${what} must be true or false, but this is ${describeType(term.type)}.`, hint);
}

/** A value of any kind, taken as a type: null at run time when it is not of it. */
export function taken(operand: Term, type: Type): Term {
  return { kind: "as", operand, type, at: operand.at };
}

/** The term as text: numbers and truth values are written out. Null where it has no text form. */
export function asText(term: Term): Term | null {
  if (isText(term.type) || term.type === "null") return term;
  if (term.type === "number" || term.type === "boolean" || term.type === "any") {
    return { kind: "text", operand: term, type: "string", at: term.at };
  }
  return null;
}

/** The term converted to what a parameter takes, or null when it cannot be. */
export function converted(term: Term, to: ParameterType): Term | null {
  const { type } = term;
  if (to === "groups") return isList(type) && type.list === "group" ? term : null;
  if (type === "group" || type === "criteria") return null;
  if (to === "value") return isList(type) && type.list === "group" ? null : term;
  if (to === "string") return asText(term);
  if (type === "null") return term;
  if (to === "list") {
    if (isList(type)) return term;
    if (isText(type)) return { kind: "split", operand: term, type: listOf("string"), at: term.at };
    return type === "any" ? taken(term, listOf("any")) : null;
  }
  if (type === "any") return taken(term, to === "date" ? "string" : to);
  if (to === "date") return isText(type) ? term : null;
  return type === to ? term : null;
}
