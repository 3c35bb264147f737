/** The parser reads what it prints, knows the whole surface, and says where and why when it cannot read. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseExpression } from "../../../src/core/expression/expression.ts";
import { print } from "../../../src/core/expression/print.ts";
import type { BinaryOperator, Node } from "../../../src/core/expression/tree.ts";
import { expressions } from "./generate.ts";

const at = { line: 1, column: 1 };

function parsed(text: string): Node {
  const outcome = parseExpression(text);
  if ("ok" in outcome) return outcome.ok;
  throw new Error(`${text}: ${JSON.stringify(outcome.problems)}`);
}

test.each([
  ["user.firstName", "user.firstName"],
  ["user.profile.firstName", "user.profile.firstName"],
  ["a.b+c.d *2", "a.b + c.d * 2"],
  ["(a.b+c.d)*2", "(a.b + c.d) * 2"],
  ["a.b - (c.d - 1)", "a.b - (c.d - 1)"],
  ["!a.b and c.d || e.f", "!a.b AND c.d OR e.f"],
  ["!(a.b && c.d)", "!(a.b AND c.d)"],
  ["not a.b", "!a.b"],
  ["a.b ?: c.d ?: 'x'", 'a.b ?: c.d ?: "x"'],
  ["(a.b ?: c.d) ?: 'x'", '(a.b ?: c.d) ?: "x"'],
  ["a.b == 1 ? 2 : c.d == 3 ? 4 : 5", "a.b == 1 ? 2 : c.d == 3 ? 4 : 5"],
  ["(a.b ? true : false) ? 1 : 2", "(a.b ? true : false) ? 1 : 2"],
  ["a.b eq 1 AND a.c ge 2 AND a.d mod 2 ne 0", "a.b == 1 AND a.c >= 2 AND a.d % 2 != 0"],
  ["a.b matches '(?i)x.*'", 'a.b matches "(?i)x.*"'],
  ['\'it\'\'s\' + "say ""hi"""', '"it\'s" + "say ""hi"""'],
  ['"XDOMAIN\\" + user.login', '"XDOMAIN\\" + user.login'],
  ["- -1", "--1"],
  ["TRUE == False", "true == false"],
  ["Arrays.size(NULL)", "Arrays.size(null)"],
  ["{1,2}[0]", "{1, 2}[0]"],
  ["{ }", "{}"],
  [
    "user.getGroups({'group.type': {'OKTA_GROUP'}}).![profile.name]",
    'user.getGroups({"group.type": {"OKTA_GROUP"}}).![profile.name]',
  ],
  ['getManagerUser("active_directory").firstName', 'getManagerUser("active_directory").firstName'],
  ["user.department.toUpperCase().contains('X')", 'user.department.toUpperCase().contains("X")'],
  ['user["odd-name"]', 'user["odd-name"]'],
  ["user.matches", "user.matches"],
  ["1e3 + 0.5", "1000 + 0.5"],
])("%s is read and printed as %s", (text, canonical) => {
  expect(print(parsed(text))).toBe(canonical);
  expect(print(parsed(canonical))).toBe(canonical);
});

test.each([
  ["user.department = 'Sales'", 1, 17, "Unexpected character =", "Use == to compare; an expression cannot assign."],
  ["user.firstName +", 1, 17, "The expression ends too early.", "A value is missing after +."],
  ["user.firstName\n  + ) + 1", 2, 5, "Unexpected ).", "A value is missing after +."],
  [
    "substring(user.firstName, 0, 1",
    1,
    31,
    "This ( is not closed. Expected ) but found the end.",
    "It was opened at line 1, column 10.",
  ],
  [
    "(user.firstName",
    1,
    16,
    "This parenthesis is not closed. Expected ) but found the end.",
    "It was opened at line 1, column 1.",
  ],
  ["'Sales", 1, 1, "This text has no closing quote.", "Add ' where it ends."],
  [
    "user.firstName user.lastName",
    1,
    16,
    "Unexpected user.",
    "Put an operator such as +, == or AND between two values, and texts in quotes.",
  ],
  ["user.a == user.b == true", 1, 18, "Comparisons cannot be chained.", "Join two comparisons with AND or OR."],
  ["user.a ? 1", 1, 11, "The condition has no : part.", "Write condition ? value : otherwise."],
  ["“Sales”", 1, 1, "Unexpected character “", 'Use straight quotes: "'],
  ["user.a & user.b", 1, 8, "Unexpected character &", "Write AND (or &&)."],
  ["user.", 1, 6, "A name is missing after the dot.", "Write the attribute, such as user.email."],
  ["", 1, 1, "The expression is empty.", "Write a value, such as user.email."],
  ["user.a)", 1, 7, "Unexpected ).", "It closes nothing; remove it."],
  ["1e999", 1, 1, "The number 1e999 is too large.", undefined],
  ["12abc", 1, 1, "A name cannot start with a digit: 12a…", "Put texts in quotes."],
])("%s is refused at its place with what to do", (text, line, column, message, hint) => {
  const outcome = parseExpression(text);
  expect(outcome).toEqual({
    problems: [hint === undefined ? { message, line, column } : { message, line, column, hint }],
  });
});

test.each([
  ["a text beyond 10,000 characters", `"${"x".repeat(10_000)}"`, /limit is 10000/],
  ["more than 2,000 nodes", Array.from({ length: 1_500 }, () => "1").join("+"), /more than 2000 parts/],
  ["parentheses 101 deep", `${"(".repeat(101)}1${")".repeat(101)}`, /more than 100 levels/],
  ["negations 5,000 deep", `${"!".repeat(5_000)}true`, /more than 100 levels/],
  ["lists 2,000 deep", `${"{".repeat(2_000)}1`, /more than 100 levels/],
  ["a character 0", "'\0'", /not valid Unicode/],
  ["half a surrogate pair", "'\ud800'", /not valid Unicode/],
])("%s is refused", (_, text, message) => {
  const outcome = parseExpression(text);
  expect("problems" in outcome && outcome.problems[0]!.message).toMatch(message);
});

test("a chain of 390 alternatives is not nesting", () => {
  const chain = Array.from({ length: 390 }, (_, index) => `a.b == ${index}`).join(" OR ");
  expect(parsed(chain).kind).toBe("binary");
});

const binary: readonly BinaryOperator[] = [
  "?:",
  "OR",
  "AND",
  "==",
  "!=",
  "<",
  ">",
  "<=",
  ">=",
  "matches",
  "+",
  "-",
  "*",
  "/",
  "%",
];
const name = fc.constantFrom("user", "appuser", "x1", "_y", "String", "eq", "mod", "matchesX");
const attribute = fc.oneof(name, fc.constantFrom("and", "or", "not", "matches", "null", "true"));
const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 6 }), fc.constantFrom("'", '"', '""', "\\", "\n"));

/** Any tree that a text can mean. */
const trees = fc.letrec<{ node: Node }>((tie) => {
  const node = tie("node");
  const args = fc.array(node, { maxLength: 3 });
  return {
    node: fc.oneof(
      { maxDepth: 5 },
      fc
        .oneof(text, fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), fc.constantFrom(true, false, null))
        .map((value): Node => ({ kind: "literal", value: Object.is(value, -0) ? 0 : value, at })),
      name.map((given): Node => ({ kind: "name", name: given, at })),
      fc.tuple(node, attribute).map(([target, given]): Node => ({ kind: "member", target, name: given, at })),
      fc
        .tuple(fc.option(node), name, args)
        .map(([target, given, list]): Node => ({ kind: "call", target, name: given, args: list, at })),
      fc.tuple(node, node).map(([target, index]): Node => ({ kind: "index", target, index, at })),
      fc
        .tuple(node, fc.array(attribute, { minLength: 1, maxLength: 2 }))
        .map(([target, path]): Node => ({ kind: "project", target, path, at })),
      args.map((items): Node => ({ kind: "list", items, at })),
      fc
        .array(fc.record({ key: text, value: node }), { minLength: 1, maxLength: 2 })
        .map((entries): Node => ({ kind: "map", entries, at })),
      fc
        .tuple(fc.constantFrom("!", "-"), node)
        .map(([operator, operand]): Node => ({ kind: "unary", operator: operator as "!" | "-", operand, at })),
      fc
        .tuple(fc.constantFrom(...binary), node, node)
        .map(([operator, left, right]): Node => ({ kind: "binary", operator, left, right, at })),
      fc
        .tuple(node, node, node)
        .map(([condition, then, otherwise]): Node => ({ kind: "ternary", condition, then, otherwise, at })),
    ),
  };
});

/** The tree with all positions made one. */
function placeless(node: unknown): unknown {
  return JSON.parse(JSON.stringify(node, (key, value: unknown) => (key === "at" ? at : value)));
}

test("parsing what was printed gives the same tree", () => {
  fc.assert(
    fc.property(trees.node, (tree) => {
      const printed = print(tree);
      const again = parseExpression(printed);
      // A text that lost its well-formedness, or a tree beyond the limits, is refused and says so.
      if ("problems" in again) expect(again.problems[0]!.message).toMatch(/limit|not valid Unicode|levels deep|parts/);
      else expect(placeless(again.ok)).toEqual(placeless(tree));
    }),
    { numRuns: 3_000 },
  );
});

test("printing is stable on what authors write", () => {
  fc.assert(
    fc.property(fc.oneof(expressions.text, expressions.condition), (written) => {
      const once = print(parsed(written));
      expect(print(parsed(once))).toBe(once);
    }),
    { numRuns: 2_000 },
  );
});

test("any text at all gives a tree or one problem with a place inside it", () => {
  const pieces = fc.constantFrom(
    "user",
    ".",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
    "?",
    ":",
    "?:",
    "==",
    "=",
    "!",
    "-",
    "+",
    "1",
    "a",
    " ",
    "\n",
    ".![",
    "AND",
    ",",
    "é",
    "\ud800",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join("")),
        fc.string({ unit: "binary" }),
      ),
      (written) => {
        const outcome = parseExpression(written);
        if ("ok" in outcome) return;
        const [first] = outcome.problems;
        expect(outcome.problems).toHaveLength(1);
        expect(first!.line).toBeLessThanOrEqual(written.split("\n").length);
        expect(first!.column).toBeGreaterThan(0);
      },
    ),
    { numRuns: 5_000 },
  );
});
