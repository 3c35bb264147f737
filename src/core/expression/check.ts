/**
 * Tree → meaning: resolves every name against the environment, gives every term a type, writes every conversion into the
 * tree, and reports every mistake with its place and what to do. Its law: a term that passes can be evaluated for any
 * person without a type error, because what is read is held to its declared type and null has a result everywhere.
 * Called through `expression.ts` when something is saved, and again when a schema changes.
 */
import { checkCall, elementOf } from "./check_calls.ts";
import { isTerm, profileOf, readAttribute } from "./check_references.ts";
import { asText, type Checker, complain, condition, constantOf, contextName, taken } from "./checker.ts";
import type { Environment } from "./environment.ts";
import { instant } from "./functions/dates.ts";
import { compileRegex } from "./regex.ts";
import type { Arithmetic, Order, Term } from "./term.ts";
import type { BinaryNode, Judged, MemberNode, Node, Position, ProjectNode } from "./tree.ts";
import { comparable, describeType, either, isList, isText, listOf, type Type } from "./types.ts";

/** The meaning of `node` in `environment`, or everything that is wrong with it. */
export function check(node: Node, environment: Environment): Judged<Term> {
  const checker: Checker = { environment, problems: [], check: (inner) => checkNode(checker, inner) };
  const term = checker.check(node);
  if (checker.problems.length === 0) checkResult(checker, term);
  return checker.problems.length === 0 ? { ok: term } : { problems: checker.problems };
}

function checkResult(checker: Checker, term: Term): void {
  const { type } = term;
  if (checker.environment.context !== "mapping") {
    if (type === "boolean" || type === "null") return;
    const hint = 'Compare it, such as user.department == "Sales".';
    complain(
      checker,
      term.at,
      `The result of ${contextName(checker)} must be true or false, but this is ${describeType(type)}.`,
      hint,
    );
  } else if (type === "group" || (isList(type) && type.list === "group")) {
    complain(checker, term.at, "A group is not a value to map.", "Take one property of it: .![name], or [0].name");
  }
}

function checkNode(checker: Checker, node: Node): Term {
  switch (node.kind) {
    case "literal":
      return { kind: "constant", value: node.value, type: typeOfLiteral(node.value), at: node.at };
    case "name":
      return checkName(checker, node, node.name);
    case "member":
      return checkMember(checker, node);
    case "call":
      return checkProfileCall(checker, node) ?? checkCall(checker, node);
    case "index":
      return checkIndex(checker, node.target, node.index, node.at);
    case "project":
      return checkProjection(checker, node);
    case "list":
      return checkList(checker, node.items, node.at);
    case "map":
      return complain(checker, node.at, "A filter in braces stands only in user.getGroups and user.isMemberOf.");
    case "unary":
      return checkUnary(checker, node.operator, checker.check(node.operand), node.at);
    case "binary":
      return checkBinary(checker, node);
    case "ternary": {
      const test = condition(checker, checker.check(node.condition), "What stands before ?");
      const then = checker.check(node.then);
      const otherwise = checker.check(node.otherwise);
      return { kind: "choose", condition: test, then, otherwise, type: either(then.type, otherwise.type), at: node.at };
    }
    default:
      return node satisfies never;
  }
}

function typeOfLiteral(value: string | number | boolean | null): Type {
  return value === null ? "null" : (typeof value as "string" | "number" | "boolean");
}

/** A profile on its own is not a value. */
function checkName(checker: Checker, node: Node, written: string): Term {
  const profile = profileOf(checker, node)!;
  if (isTerm(profile)) return profile;
  return complain(
    checker,
    node.at,
    `${written} is a whole profile, not a value.`,
    `Name an attribute: ${written}.email`,
  );
}

function checkProfileCall(checker: Checker, node: Node): Term | undefined {
  const profile = profileOf(checker, node);
  if (profile === undefined || isTerm(profile)) return profile;
  const { written } = profile;
  return complain(
    checker,
    node.at,
    `${written} is a whole profile, not a value.`,
    `Name an attribute: ${written}.email`,
  );
}

function checkMember(checker: Checker, node: MemberNode): Term {
  const profile = profileOf(checker, node.target);
  if (profile !== undefined) return isTerm(profile) ? profile : readAttribute(checker, profile, node.name, node.at);
  const target = checker.check(node.target);
  const { type } = target;
  if (type === "any" || type === "group") {
    if (target.kind === "member") return { ...target, path: [...target.path, node.name] };
    return {
      kind: "member",
      target,
      path: [node.name],
      type: type === "group" ? groupPathType(node.name) : "any",
      at: node.at,
    };
  }
  const hint = isList(type) ? `Take one element first: [0], or one property of each: .![${node.name}]` : undefined;
  return complain(checker, node.at, capital(`${describeType(type)} has no attribute ${node.name}.`), hint);
}

function groupPathType(name: string): Type {
  return ["id", "name", "type"].includes(name) ? "string" : "any";
}

function checkIndex(checker: Checker, target: Node, index: Node, at: Position): Term {
  const profile = profileOf(checker, target);
  if (profile !== undefined) {
    if (isTerm(profile)) return profile;
    if (index.kind === "literal" && typeof index.value === "string")
      return readAttribute(checker, profile, index.value, at);
    return complain(checker, index.at, "The attribute must be written in quotes.", `Write ${profile.written}["name"].`);
  }
  return elementOf(checker, checker.check(target), checker.check(index), at);
}

function checkProjection(checker: Checker, { target, path, at }: ProjectNode): Term {
  const list = checker.check(target);
  const element = isList(list.type) ? list.type.list : undefined;
  if (list.type === "any") return { kind: "project", list: taken(list, listOf("any")), path, type: listOf("any"), at };
  if (element === "any") return { kind: "project", list, path, type: listOf("any"), at };
  if (element === "group") {
    const texts = ["id", "name", "type", "profile.name", "profile.description", "source.id"].includes(path.join("."));
    return { kind: "project", list, path, type: listOf(texts ? "string" : "any"), at };
  }
  return complain(checker, at, `.![…] takes a property of each group, and this is ${describeType(list.type)}.`);
}

function checkList(checker: Checker, nodes: readonly Node[], at: Position): Term {
  const items = nodes.map((item) => checker.check(item));
  const element = items.map((item) => item.type).reduce((left, right) => either(left, right), "null");
  return { kind: "list", items, type: listOf(element), at };
}

function checkUnary(checker: Checker, operator: "!" | "-", operand: Term, at: Position): Term {
  if (operator === "!")
    return { kind: "not", operand: condition(checker, operand, "What stands after !"), type: "boolean", at };
  const number = asNumber(checker, operand, "-");
  if (number.kind === "constant" && typeof number.value === "number") return { ...number, value: 0 - number.value, at };
  const zero: Term = { kind: "constant", value: 0, type: "number", at };
  return { kind: "arithmetic", operator: "-", left: zero, right: number, type: "number", at };
}

function checkBinary(checker: Checker, node: BinaryNode): Term {
  const { operator, at } = node;
  const left = checker.check(node.left);
  const right = checker.check(node.right);
  switch (operator) {
    case "AND":
    case "OR":
      return {
        kind: operator === "AND" ? "and" : "or",
        left: condition(checker, left, `What stands before ${operator}`),
        right: condition(checker, right, `What stands after ${operator}`),
        type: "boolean",
        at,
      };
    case "?:":
      return { kind: "elvis", left, right, type: either(left.type, right.type), at };
    case "==":
    case "!=":
      return checkEqual(checker, operator, left, right, at);
    case "<":
    case ">":
    case "<=":
    case ">=":
      return checkOrder(checker, operator, left, right, at);
    case "matches":
      return checkMatches(checker, left, right, at);
    case "+":
      return checkPlus(checker, left, right, at);
    default:
      return arithmetic(checker, operator, left, right, at);
  }
}

function checkEqual(checker: Checker, operator: "==" | "!=", left: Term, right: Term, at: Position): Term {
  if (!comparable(left.type, right.type)) {
    const message = `${describeType(left.type)} can never equal ${describeType(right.type)}.`;
    return complain(checker, at, capital(message), equalHint(left, right));
  }
  const by = comparedByDate(left, right) ? "date" : "value";
  const equal: Term = { kind: "equal", by, left, right, type: "boolean", at };
  return operator === "==" ? equal : { kind: "not", operand: equal, type: "boolean", at };
}

/** Dates are compared as points in time, unless with a written text that is no date (such as "", to ask for emptiness). */
function comparedByDate(left: Term, right: Term): boolean {
  const date = (term: Term): boolean => {
    const value = constantOf(term);
    return typeof value === "string" ? instant(value) !== null : term.type === "date" || term.type === "string";
  };
  return (left.type === "date" || right.type === "date") && date(left) && date(right);
}

function equalHint(left: Term, right: Term): string {
  const number = [left, right].find((term) => typeof constantOf(term) === "number");
  if (number && (isText(left.type) || isText(right.type))) {
    return `Write the number as text: "${constantOf(number)}", or convert the text with Convert.toInt(…).`;
  }
  const truth = [left, right].find((term) => constantOf(term) === "true" || constantOf(term) === "false");
  if (truth) return `Write ${constantOf(truth)} without quotes.`;
  if (isList(left.type) || isList(right.type)) return "Use Arrays.contains(list, value) to look into a list.";
  return 'Convert one side with Convert.toInt(…), Convert.toNum(…) or by adding "" to it.';
}

function checkOrder(checker: Checker, operator: Order, left: Term, right: Term, at: Position): Term {
  const order = (by: "text" | "number" | "date" | "any"): Term => ({
    kind: "order",
    by,
    operator,
    left,
    right,
    type: "boolean",
    at,
  });
  const kinds = new Set([orderKind(left.type), orderKind(right.type)]);
  kinds.delete("null");
  if (kinds.has("none") || (kinds.has("number") && (kinds.has("text") || kinds.has("date")))) {
    const message = `${describeType(left.type)} and ${describeType(right.type)} have no order.`;
    return complain(
      checker,
      at,
      capital(message),
      kinds.has("number") ? equalHint(left, right) : "Compare two texts, numbers or dates.",
    );
  }
  if (kinds.has("any")) return order("any");
  if (!kinds.has("date")) return order(kinds.has("number") ? "number" : "text");
  const wrong = [left, right].find(
    (term) => typeof constantOf(term) === "string" && instant(constantOf(term) as string) === null,
  );
  if (!wrong) return order("date");
  return complain(
    checker,
    wrong.at,
    `"${constantOf(wrong)}" is not a date.`,
    'Write it as "2026-03-01" or "2026-03-01T09:00:00Z".',
  );
}

function orderKind(type: Type): "text" | "number" | "date" | "any" | "null" | "none" {
  if (type === "string") return "text";
  return type === "number" || type === "date" || type === "any" || type === "null" ? type : "none";
}

function checkMatches(checker: Checker, left: Term, right: Term, at: Position): Term {
  const pattern = constantOf(right);
  if (typeof pattern !== "string") {
    const message = "The regular expression after matches must be written in quotes.";
    return complain(checker, right.at, message, 'For example user.email matches ".*@example[.]com".');
  }
  const regex = compileRegex(pattern);
  if (!("ok" in regex)) {
    return complain(checker, right.at, `The regular expression cannot be used: ${regex.message}`, regex.hint);
  }
  const operand = asText(left);
  if (operand) return { kind: "matches", operand, regex: regex.ok, type: "boolean", at };
  return complain(checker, left.at, `matches tests text, and this is ${describeType(left.type)}.`);
}

/** `+` joins when either side is text, adds numbers otherwise. */
function checkPlus(checker: Checker, left: Term, right: Term, at: Position): Term {
  const list = [left, right].find((term) => isList(term.type) || term.type === "group");
  if (list) {
    const hint = "Use Arrays.add(list, value) or Arrays.flatten(list, list).";
    return complain(checker, list.at, `+ does not work on ${describeType(list.type)}.`, hint);
  }
  if (isText(left.type) || isText(right.type)) {
    const [first, second] = [asText(left), asText(right)];
    if (first && second) return { kind: "concat", left: first, right: second, type: "string", at };
  }
  if (left.type === "any" || right.type === "any") return { kind: "plus", left, right, type: "any", at };
  return arithmetic(checker, "+", left, right, at);
}

function arithmetic(checker: Checker, operator: Arithmetic, left: Term, right: Term, at: Position): Term {
  const first = asNumber(checker, left, operator);
  const second = asNumber(checker, right, operator);
  return { kind: "arithmetic", operator, left: first, right: second, type: "number", at };
}

function asNumber(checker: Checker, term: Term, operator: string): Term {
  if (term.type === "number" || term.type === "null") return term;
  if (term.type === "any") return taken(term, "number");
  const hint = isText(term.type) ? "Convert it with Convert.toInt(…) or Convert.toNum(…)." : undefined;
  return complain(checker, term.at, `${operator} works on numbers, and this is ${describeType(term.type)}.`, hint);
}

function capital(message: string): string {
  return message.charAt(0).toUpperCase() + message.slice(1);
}
