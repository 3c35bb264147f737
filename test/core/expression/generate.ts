/**
 * Random expressions and random people for property tests. Expressions are made by type, so that most pass the checker;
 * texts of expressions and people come from one pool, so that comparisons often hold. The pool is nasty on purpose:
 * empty, spaces, quotes, wild cards, characters whose case changes length, characters beyond 16 bits, almost-dates.
 */
import fc from "fast-check";
import { printText } from "../../../src/core/expression/print.ts";
import type { Profile, Value } from "../../../src/core/types.ts";
import { user_shape } from "./world.ts";

export const texts = [
  ...["", " ", "a", "A", "Sales", "sales", "SALES west", "ada@example.com", "a,b", "a,,b", ","],
  ...["straße", "ﬁn", "İstanbul", "ΣΑΣ", "ǅ", "éa", "e\u0301", "😀", "😀é😀", "\uffee", "\u{10400}"],
  ...["'", '"', "%", "_a", "\\", "\\\\1", "a.b", "$1", "\t\n", "null", "true"],
  ...["12", "-7.5", "+3", "1e5", "007", "999999999999999", "9999999999999999", "12 ", ".5", "0.49999999999999994"],
  ...["2026-03-01", "2026-02-29", "2024-02-29", "1900-02-29", "2000-02-29", "0000-01-01", "0001-01-01", "2026-13-01"],
  ...["2026-03-01T00:00:00Z", "2026-03-01T09:00:00.5Z", "2026-03-01 09:00", "2026-03-01T09:00:00.123999+05:30"],
  ...["2026-03-01T24:00:00Z", "2026-03-01T09:00:60Z", "2026-03-01T10:00:00+0100", "9999-12-31T23:59:59Z"],
];
const numbers = [0, 1, 2, 3, 5, 7, 12, 1200, 0.1, 0.5, 2.5, 0.30000000000000004, 1e21, 1e-7, 123456789012345680000];

const group_ids = ["00g1", "00g2", "00g3", "00g4"];
const group_names = ["Sales", "SALES west", "Straße", "Everyone"];

/** Group rows that every generated person may be a member of. */
export const groups = group_ids.map((id, index) => ({
  id,
  type: (["OKTA_GROUP", "APP_GROUP", "OKTA_GROUP", "BUILT_IN"] as const)[index]!,
  source_id: index === 1 ? "0oa1" : null,
  name: group_names[index]!,
}));

const pick = <T>(items: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...items);
const text_literal = pick(texts).map(printText);
const number_literal = pick(numbers).map(String);

/** `name(arg, …)` with arguments from arbitraries. */
function call(name: string, ...args: fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc.tuple(...args).map((written) => `${name}(${written.join(", ")})`);
}

function infix(
  operators: readonly string[],
  left: fc.Arbitrary<string>,
  right: fc.Arbitrary<string>,
): fc.Arbitrary<string> {
  return fc.tuple(left, pick(operators), right).map(([first, operator, second]) => `(${first} ${operator} ${second})`);
}

function choice(condition: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(condition, value, value).map(([test, then, otherwise]) => `(${test} ? ${then} : ${otherwise})`);
}

const patterns = [
  ...[
    "Sales",
    "sales|SALES.*",
    "(?i)sales.*",
    "[a-z]+@[a-z.]+",
    "\\d+",
    "-?\\d{1,3}(\\.\\d)?",
    ".*",
    "",
    "[^a]*",
    "\\S+",
  ],
  ...[
    "(a|b|,)*",
    "(?:😀|é)+",
    "^Sa.es$",
    "[\\w ]{0,9}",
    "a?b?,*",
    "\\\\.*",
    "[\\d.+-]+",
    "(?s).*",
    ".{1,3}",
    "[ß-ÿ]+|x",
  ],
];

type Kinds = { text: string; number: string; condition: string; list: string; date: string };
type Parts = Readonly<{ [kind in keyof Kinds]: fc.Arbitrary<string> }>;

const place = pick(["0", "1", "2", "9", "-1"]);

/** Expressions that give text. */
function texts_of({ text, number, condition, list }: Parts): fc.Arbitrary<string> {
  return fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    text_literal,
    pick([
      "user.firstName",
      "user.department",
      "user.city",
      "user.csv",
      'user["odd-name"]',
      "user.constructor",
      "null",
    ]),
    call("String.append", text, text),
    call("String.join", text_literal, text, fc.oneof(text, number), text),
    call("String.removeSpaces", text),
    call("String.replace", text, text_literal, text),
    call("String.replaceFirst", text, text, text),
    call("String.stringSwitch", text, text, text_literal, text, text, text),
    call("String.substring", text, place, place),
    call("String.substring", text, place),
    call("String.substringAfter", text, text),
    call("String.substringBefore", text, text),
    call("String.toUpperCase", text),
    call("String.toLowerCase", text),
    call("coalesce", text, text, text),
    infix(["+"], text, fc.oneof(text, number, condition)),
    infix(["?:"], text, text),
    choice(condition, text),
    fc.tuple(list, place).map(([of, index]) => `${of}[${index}]`),
    pick(['user.getInternalProperty("status")', 'user.getInternalProperty("id")', "org.name"]),
  );
}

/** Expressions that give a number. */
function numbers_of({ text, number, condition, list, date }: Parts): fc.Arbitrary<string> {
  return fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    number_literal,
    pick(["user.salary", "user.level", "null", "user.scores[0]", "-user.salary", "-2"]),
    call("String.len", text),
    call("Arrays.size", list),
    call("Convert.toInt", fc.oneof(text, number)),
    call("Convert.toNum", fc.oneof(text, number)),
    call("Time.daysSince", date),
    call("Time.daysUntil", date),
    call("coalesce", number, number),
    infix(["?:"], number, number),
    infix(["+", "*", "/", "%"], number, number),
    choice(condition, number),
  );
}

/** Expressions that give a date, or text that may be one. */
function dates_of({ condition, date }: Parts): fc.Arbitrary<string> {
  return fc.oneof(
    { maxDepth: 3 },
    pick(["user.hireDate", "user.endDate", "user.city", "Time.now()", "null"]),
    text_literal,
    choice(condition, date),
  );
}

/** Expressions that give a list. */
function lists_of({ text, condition, list }: Parts): fc.Arbitrary<string> {
  return fc.oneof(
    { maxDepth: 3 },
    pick(["user.roles", "user.csv", "user.scores", "{}", '{"a", "Sales", ""}', "{1, 2.5}", "null"]),
    fc.tuple(text, text).map(([first, second]) => `{${first}, ${second}}`),
    call("Arrays.add", list, text),
    call("Arrays.remove", list, text),
    call("coalesce", list, list),
    choice(condition, list),
  );
}

/** Expressions that give true or false. */
function conditions_of({ text, number, condition, list, date }: Parts): fc.Arbitrary<string> {
  return fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    pick(["true", "false", "null", "user.isContractor", "user.isRemote"]),
    infix(["==", "!="], text, text),
    infix(["==", "!=", "<", ">", "<=", ">="], number, number),
    infix(["<", ">", "<=", ">="], text, text),
    infix(["==", "!=", "<", ">", "<=", ">="], date, date),
    infix(["==", "!="], condition, condition),
    infix(["==", "!="], list, list),
    infix(["AND", "OR"], condition, condition),
    condition.map((inner) => `!${inner}`),
    infix(["?:"], condition, condition),
    choice(condition, condition),
    call("String.startsWith", text, text),
    call("String.endsWith", text, text),
    call("String.stringContains", text, text),
    call("Arrays.contains", list, fc.oneof(text, number, condition)),
    call("Arrays.isEmpty", list),
    call("isBlank", fc.oneof(text, list, number, condition)),
    fc.tuple(text, pick(patterns)).map(([tested, pattern]) => `(${tested} matches ${printText(pattern)})`),
    call("isMemberOfGroup", pick(group_ids).map(printText)),
    call("isMemberOfAnyGroup", pick(group_ids).map(printText), text),
    call("isMemberOfGroupName", fc.oneof(pick(group_names).map(printText), text)),
    call("isMemberOfGroupNameStartsWith", text),
    call("isMemberOfGroupNameContains", text),
    call("isMemberOfGroupNameRegex", pick(patterns).map(printText)),
    pick([
      "user.isMemberOf({'group.profile.name': 'Sal'})",
      "user.isMemberOf({'group.profile.name': {'Sales', 'x'}, 'operator': 'EXACT'}, {'group.type': 'OKTA_GROUP'})",
      "Arrays.isEmpty(user.getGroups({'group.source.id': '0oa1'}))",
      "user.isMemberOf({'group.id': {'00g3', '00g4'}})",
      "user.isMemberOf({'group.profile.name': 'St.*'})",
    ]),
  );
}

/** Expressions of each type, as text. Most are accepted by the checker; those that are not are skipped by the tests. */
export const expressions = fc.letrec<Kinds>((tie) => {
  const parts: Parts = {
    ...{ text: tie("text"), number: tie("number"), condition: tie("condition") },
    ...{ list: tie("list"), date: tie("date") },
  };
  return {
    ...{ text: texts_of(parts), number: numbers_of(parts), condition: conditions_of(parts) },
    ...{ list: lists_of(parts), date: dates_of(parts) },
  };
});

const right: Readonly<Record<string, fc.Arbitrary<Value>>> = {
  string: pick(texts),
  date: pick(texts),
  number: pick(numbers),
  integer: pick([0, 1, 2, -3, 7]),
  boolean: fc.boolean(),
  object: fc.constant({ street: "Main" }),
};

/** Values of other types than declared: what a changed schema leaves behind. */
const wrong = pick<Value>([null, 0, 5, "", "5", true, false, [], ["Sales"], {}, { a: 1 }, "Sales"]);

/** A profile in which every attribute is right, wrong, null or absent. */
export const profiles: fc.Arbitrary<Profile> = fc
  .record(
    Object.fromEntries(
      user_shape.map(({ name, type, array }) => {
        const one = right[type]!;
        const some = array ? fc.array(fc.oneof({ weight: 6, arbitrary: one }, wrong), { maxLength: 4 }) : one;
        return [name, fc.oneof({ weight: 8, arbitrary: some as fc.Arbitrary<Value> }, wrong)];
      }),
    ),
    { requiredKeys: [] },
  )
  .map((profile) => ({ ...profile }) as Profile);

export const memberships: fc.Arbitrary<readonly string[]> = fc.subarray(group_ids);
