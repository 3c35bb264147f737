/**
 * Checked tree → closures: each term becomes one small function, made once, called for every person. No code is
 * generated and no name is looked up at run time. Reading holds a value to its declared type (anything else is null), so
 * the functions below never meet a type they do not expect. Nothing here throws, loops without paying, or sees more of
 * an object than its own properties. Nulls: comparisons with null are false, except `null == null`; in a condition null
 * is false; `+` with text takes null as empty; arithmetic with null, or with no finite result, is null.
 */
import type { Value } from "../types.ts";
import type { Facts, GroupFact, PersonFact } from "./facts.ts";
import { instant } from "./functions/dates.ts";
import type { FunctionDeclaration } from "./functions/declaration.ts";
import { matchesCriterion, readGroup } from "./functions/groups.ts";
import { length_max, steps_max } from "./limits.ts";
import { charge, fits, type Limits, type Scope } from "./scope.ts";
import type { Arithmetic, Criterion, Order, Origin, Relation, Term } from "./term.ts";
import { isList, type Type } from "./types.ts";
import { compareTexts, isArray, own, same, splitCsv, textOf } from "./values.ts";

/** A value, or why there is none: a limit was reached. */
export type Result = Readonly<{ value: Value }> | Readonly<{ error: string }>;

export type Compiled = Readonly<{
  /** The value for these facts. Never throws. */
  evaluate(facts: Facts): Result;
  /** For conditions: true, false, or why neither could be found. An error is not a no: the caller keeps what is. */
  test(facts: Facts): boolean | Readonly<{ error: string }>;
}>;

type Run = (scope: Scope) => Value;

const default_limits: Limits = { steps: steps_max, length: length_max };

/** Makes the closures of a checked tree. Compile once; evaluate as often as there are people. */
export function compile(term: Term, limits: Limits = default_limits): Compiled {
  const run = compileTerm(term);
  return Object.freeze({
    evaluate: (facts: Facts) => {
      const scope: Scope = { facts, limits, steps: 0, error: null };
      const value = runIn(scope, run);
      return scope.error === null ? { value } : { error: scope.error };
    },
    test: (facts: Facts) => {
      const scope: Scope = { facts, limits, steps: 0, error: null };
      const value = runIn(scope, run);
      return scope.error === null ? value === true : { error: scope.error };
    },
  });
}

function runIn(scope: Scope, run: Run): Value {
  try {
    const value = run(scope);
    if (typeof value === "string") fits(scope, value.length);
    return value;
  } catch (error) {
    // The facts' own functions may fail, and one person's odd data must never stop a run over a whole company.
    scope.error = `The expression could not be evaluated: ${error instanceof Error ? error.message : "unknown fault"}`;
    return null;
  }
}

function compileTerm(term: Term): Run {
  switch (term.kind) {
    case "constant": {
      const { value } = term;
      return () => value;
    }
    case "read":
      return compileRead(term.origin, term.name, term.type);
    case "internal":
      return compileInternal(term.of, term.name);
    case "call":
      return compileCall(term.declaration, term.args.map(compileTerm));
    case "groups":
      return compileGroups(term.criteria);
    case "matches":
      return compileMatches(term);
    case "not": {
      const operand = compileTerm(term.operand);
      return (scope) => operand(scope) !== true;
    }
    case "and":
    case "or":
      return compileLogic(term.kind, compileTerm(term.left), compileTerm(term.right));
    case "equal":
      return compileEqual(term);
    case "order":
      return compileOrder(term);
    case "concat":
      return compileConcat(compileTerm(term.left), compileTerm(term.right));
    case "arithmetic":
      return compileArithmetic(term.operator, compileTerm(term.left), compileTerm(term.right));
    case "plus":
      return compilePlus(compileTerm(term.left), compileTerm(term.right));
    case "choose": {
      const [test, then, otherwise] = [term.condition, term.then, term.otherwise].map(compileTerm) as [Run, Run, Run];
      return (scope) => (test(scope) === true ? then(scope) : otherwise(scope));
    }
    case "elvis": {
      const [left, right] = [compileTerm(term.left), compileTerm(term.right)];
      return (scope) => {
        const value = left(scope);
        return value === null || value === "" ? right(scope) : value;
      };
    }
    case "list": {
      const items = term.items.map(compileTerm);
      return (scope) => items.map((item) => item(scope));
    }
    default:
      return compilePart(term);
  }
}

/** Terms that take something out of a value or turn it into another. */
function compilePart(term: Extract<Term, { kind: "index" | "member" | "project" | "as" | "text" | "split" }>): Run {
  switch (term.kind) {
    case "index":
      return compileIndex(compileTerm(term.list), compileTerm(term.index), term.type);
    case "member": {
      const target = compileTerm(term.target);
      const { path } = term;
      const read = term.target.type === "group" ? readGroupValue : readPath;
      return guard((scope) => read(target(scope), path), term.type);
    }
    case "project": {
      const list = compileTerm(term.list);
      const { path } = term;
      const read = isList(term.list.type) && term.list.type.list === "group" ? readGroupValue : readPath;
      const element = isList(term.type) ? term.type.list : "any";
      return (scope) => {
        const values = list(scope);
        if (!isArray(values) || !charge(scope, values.length)) return null;
        return values.map((value) => typed(read(value, path), element));
      };
    }
    case "as":
      return guard(compileTerm(term.operand), term.type);
    case "text": {
      const operand = compileTerm(term.operand);
      return (scope) => textOf(operand(scope));
    }
    case "split": {
      const operand = compileTerm(term.operand);
      return (scope) => {
        const value = operand(scope);
        return typeof value === "string" && charge(scope, value.length) ? splitCsv(value) : null;
      };
    }
    default:
      return term satisfies never;
  }
}

/** The value if it is of the type, else null. Lists are held to being lists; their elements when they are taken out. */
function typed(value: Value | undefined, type: Type): Value {
  if (value === undefined) return null;
  if (type === "any" || type === "null" || type === "group") return value;
  if (isList(type)) return isArray(value) ? value : null;
  return typeof value === (type === "date" ? "string" : type) ? value : null;
}

function guard(run: Run, type: Type): Run {
  return (scope) => typed(run(scope), type);
}

function compileRead(origin: Origin, name: string, type: Type): Run {
  if (origin.from === "user") {
    // The commonest term by far, so it has a closure of its own.
    if (type === "string" || type === "date") {
      return ({ facts: { user } }) => {
        const value = Object.hasOwn(user, name) ? user[name] : null;
        return typeof value === "string" ? value : null;
      };
    }
    return ({ facts }) => typed(own(facts.user, name), type);
  }
  const profile = profileReader(origin);
  return ({ facts }) => typed(own(profile(facts), name), type);
}

type ProfileOf = (facts: Facts) => Readonly<Record<string, Value>> | null | undefined;

function profileReader(origin: Exclude<Origin, { from: "user" }>): ProfileOf {
  switch (origin.from) {
    case "appuser":
    case "source":
    case "app":
    case "org":
      return (facts) => facts[origin.from as "appuser" | "source" | "app" | "org"];
    case "group":
      return (facts) => facts.group?.profile;
    case "account":
      return (facts) => facts.account?.(origin.app);
    case "app_named":
      return (facts) => facts.app_named?.(origin.app);
    case "directory":
      return (facts) => {
        const accounts = facts.accounts_of?.(origin.directory) ?? [];
        return accounts.length === 1 ? accounts[0] : null;
      };
    case "person": {
      const person = personReader(origin.person);
      return (facts) => person(facts)?.profile;
    }
    case "person_account": {
      const person = personReader(origin.person);
      return (facts) => person(facts)?.account?.(origin.app);
    }
    default:
      return () => null;
  }
}

function personReader(relation: Relation): (facts: Facts) => PersonFact | null | undefined {
  if (relation.relation === "link") return (facts) => facts.linked?.(relation.name);
  if (relation.relation === "manager") return (facts) => facts.manager?.(relation.source);
  return (facts) => facts.assistant?.(relation.source);
}

function compileInternal(of: "user" | "group", name: "id" | "status" | "type"): Run {
  if (of === "user") return name === "id" ? ({ facts }) => facts.user_id : ({ facts }) => facts.user_status;
  return name === "id" ? ({ facts }) => facts.group?.id ?? null : ({ facts }) => facts.group?.type ?? null;
}

/** Calls by number of arguments: without a spread, the engine inlines them. */
function compileCall(declaration: FunctionDeclaration, args: readonly Run[]): Run {
  const { nulls } = declaration;
  const [first, second] = args as [Run, Run];
  const evaluate: (scope: Scope, ...given: Value[]) => Value = declaration.evaluate;
  if (nulls === "handled") return (scope) => evaluate(scope, ...args.map((arg) => arg(scope)));
  const { give } = nulls;
  if (args.length === 1) {
    return (scope) => {
      const value = first(scope);
      return value === null ? give : evaluate(scope, value);
    };
  }
  if (args.length === 2) {
    return (scope) => {
      const left = first(scope);
      const right = second(scope);
      return left === null || right === null ? give : evaluate(scope, left, right);
    };
  }
  return (scope) => {
    const given = args.map((arg) => arg(scope));
    return given.includes(null) ? give : evaluate(scope, ...given);
  };
}

function compileGroups(criteria: readonly Criterion[]): Run {
  const tests = criteria.map(({ key, exact, values }) => ({ key, exact, values: compileTerm(values) }));
  return (scope) => {
    if (!charge(scope, scope.facts.groups.length * tests.length)) return null;
    const wanted = tests.map(({ key, exact, values }) => ({ key, exact, values: values(scope) }));
    const all = (group: GroupFact): boolean =>
      wanted.every(({ key, exact, values }) => matchesCriterion(group, key, exact, values));
    return scope.facts.groups.filter(all) as readonly Value[];
  };
}

function compileMatches({ operand, regex }: Extract<Term, { kind: "matches" }>): Run {
  const run = compileTerm(operand);
  return (scope) => {
    const text = run(scope);
    return typeof text === "string" && charge(scope, text.length * regex.states) && regex.matches(text);
  };
}

function compileLogic(kind: "and" | "or", left: Run, right: Run): Run {
  if (kind === "and") return (scope) => left(scope) === true && right(scope) === true;
  return (scope) => left(scope) === true || right(scope) === true;
}

function compileEqual(term: Extract<Term, { kind: "equal" }>): Run {
  const left = compileTerm(term.left);
  if (term.by === "date") {
    const right = compileTerm(term.right);
    return (scope) => instantOf(left(scope)) === instantOf(right(scope));
  }
  if (term.right.kind === "constant" && typeof term.right.value !== "object") {
    const wanted = term.right.value;
    return (scope) => left(scope) === wanted;
  }
  const right = compileTerm(term.right);
  return (scope) => {
    const [first, second] = [left(scope), right(scope)];
    return (
      first === second || (isArray(first) ? charge(scope, first.length) && same(first, second) : same(first, second))
    );
  };
}

function instantOf(value: Value): number | null {
  return typeof value === "string" ? instant(value) : null;
}

const orders: Readonly<Record<Order, (difference: number) => boolean>> = {
  "<": (difference) => difference < 0,
  ">": (difference) => difference > 0,
  "<=": (difference) => difference <= 0,
  ">=": (difference) => difference >= 0,
};

function compileOrder(term: Extract<Term, { kind: "order" }>): Run {
  const left = compileTerm(term.left);
  const right = compileTerm(term.right);
  const holds = orders[term.operator];
  if (term.by === "date") {
    return (scope) => {
      const [first, second] = [instantOf(left(scope)), instantOf(right(scope))];
      return first !== null && second !== null && holds(first - second);
    };
  }
  return (scope) => {
    const [first, second] = [left(scope), right(scope)];
    // Subtracting would lose the order of numbers that differ by less than the smallest double.
    if (typeof first === "number" && typeof second === "number")
      return holds(first < second ? -1 : first > second ? 1 : 0);
    return typeof first === "string" && typeof second === "string" && holds(compareTexts(first, second));
  };
}

function compileConcat(left: Run, right: Run): Run {
  return (scope) => {
    const text = ((left(scope) as string | null) ?? "") + ((right(scope) as string | null) ?? "");
    return fits(scope, text.length) ? text : null;
  };
}

function compileArithmetic(operator: Arithmetic, left: Run, right: Run): Run {
  const compute = operations[operator];
  return (scope) => {
    const [first, second] = [left(scope), right(scope)];
    if (typeof first !== "number" || typeof second !== "number") return null;
    const result = compute(first, second);
    // Adding 0 turns -0 into 0, which has one spelling.
    return Number.isFinite(result) ? result + 0 : null;
  };
}

const operations: Readonly<Record<Arithmetic, (left: number, right: number) => number>> = {
  "+": (left, right) => left + right,
  "-": (left, right) => left - right,
  "*": (left, right) => left * right,
  "/": (left, right) => left / right,
  "%": (left, right) => left % right,
};

/** `+` when only the facts tell whether it joins or adds. */
function compilePlus(left: Run, right: Run): Run {
  return (scope) => {
    const [first, second] = [left(scope), right(scope)];
    if (typeof first === "number" && typeof second === "number") {
      return Number.isFinite(first + second) ? first + second + 0 : null;
    }
    if (typeof first !== "string" && typeof second !== "string") return null;
    const text = (textOf(first) ?? "") + (textOf(second) ?? "");
    return fits(scope, text.length) ? text : null;
  };
}

function compileIndex(list: Run, index: Run, type: Type): Run {
  return (scope) => {
    const [values, place] = [list(scope), index(scope)];
    if (!isArray(values) || typeof place !== "number" || !Number.isInteger(place)) return null;
    return place >= 0 && place < values.length ? typed(values[place], type) : null;
  };
}

function readGroupValue(value: Value, path: readonly string[]): Value {
  return value === null ? null : readGroup(value as unknown as GroupFact, path);
}

function readPath(value: Value, path: readonly string[]): Value {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null || isArray(found)) return null;
    found = own(found as Readonly<Record<string, Value>>, name);
  }
  return found;
}
