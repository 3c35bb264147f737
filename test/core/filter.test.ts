import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Dialect,
  dialects,
  type FilterOperator,
  type FilterPath,
  type FilterTree,
  parseFilter,
  parseTargetPath,
  printFilter,
} from "../../src/core/filter.ts";
import { checkFilter, matches, type Property, valueAt } from "../../src/core/filterMatch.ts";
import type { Value } from "../../src/core/types.ts";

const { okta_search, okta_filter, okta_log, scim } = dialects;

/** The canonical text of what was read, or the refusal. */
function read(text: string, dialect: Dialect = scim): string {
  const result = parseFilter(text, dialect);
  return "ok" in result ? printFilter(result.ok.tree) : result.refused;
}

describe("a filter is read as it is meant", () => {
  test.each<[string, string]>([
    ['userName eq "ada"', 'userName eq "ada"'],
    ['userName EQ "ada"', 'userName eq "ada"'],
    ['a eq "1" and b eq "2" or c pr', 'a eq "1" and b eq "2" or c pr'],
    ['a eq "1" or b eq "2" and c pr', 'a eq "1" or b eq "2" and c pr'],
    ['(a eq "1" or b eq "2") AND c pr', '(a eq "1" or b eq "2") and c pr'],
    ["((a pr))", "a pr"],
    ["not (a pr)", "not (a pr)"],
    ["NOT(not (a pr)) and b pr", "not (not (a pr)) and b pr"],
    ['emails[type eq "work" and value co "@x"]', 'emails[type eq "work" and value co "@x"]'],
    ['emails[type eq "work"].value co "@x"', 'emails[type eq "work" and value co "@x"]'],
    [
      'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName eq "x"',
      'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName eq "x"',
    ],
    ['a eq "say \\"hi\\" \\\\ \\u00e9\\n"', 'a eq "say \\"hi\\" \\\\ é\\n"'],
    ["a eq -1.5e2", "a eq -150"],
    ["a eq TRUE or a eq null", "a eq true or a eq null"],
    ['meta.lastModified gt "2026-03-02T00:00:00Z"', 'meta.lastModified gt "2026-03-02T00:00:00Z"'],
    ["  a\tpr\r\n", "a pr"],
    ["$ref pr and x-y pr", "$ref pr and x-y pr"],
    ["not pr", "not pr"],
    ['a eq"x"and(b pr)', 'a eq "x" and b pr'],
  ])("%s", (text, canonical) => expect(read(text)).toBe(canonical));

  test("a URN ends at its last colon", () => {
    const result = parseFilter("urn:x:2.0:User:name.familyName pr", scim);
    expect(result).toMatchObject({
      ok: { tree: { path: { schema: "urn:x:2.0:User", names: ["name", "familyName"], at: 0 } } },
    });
  });
});

describe("a filter that cannot be read is refused at the place where it went wrong", () => {
  test.each<[string, string, RegExp]>([
    ["", "line 1, column 1", /expected the name of a property, found the end/],
    ["a", "line 1, column 2", /expected an operator \(eq, ne, .*\), found the end/],
    ["a is 1", "line 1, column 3", /expected an operator .*found "is"/],
    ["a eq", "line 1, column 5", /expected a value, found the end/],
    ["a eq ACTIVE", "line 1, column 6", /put a text in double quotes: "ACTIVE"/],
    ["a eq 'x'", "line 1, column 6", /double quotes/],
    ['a eq "x', "line 1, column 6", /no closing "/],
    ['a eq "CORP\\ada" ', "line 1, column 11", /\\a is no escape; a backslash is written \\\\/],
    ['a eq "\\u12"', "line 1, column 7", /\\u is no escape/],
    ['a eq "\\u0000"', "line 1, column 6", /no value can hold/],
    ['a eq "\\ud800"', "line 1, column 6", /no value can hold/],
    ["a eq 1e999", "line 1, column 6", /too large/],
    ["a eq 12ab", "line 1, column 6", /double quotes/],
    ["a gt true", "line 1, column 6", /"gt" compares texts, numbers and dates, not true/],
    ["a le null", "line 1, column 6", /not null/],
    ["a co false", "line 1, column 6", /"co" looks for a text, not false/],
    ["(a pr", "line 1, column 6", /expected "and", "or" or "\)", found the end/],
    ["a pr)", "line 1, column 5", /expected "and", "or" or the end, found "\)"/],
    ["a pr b pr", "line 1, column 6", /expected "and", "or" or the end, found "b"/],
    ["a pr and", "line 1, column 9", /expected the name of a property/],
    ["a pr and or b pr", "line 1, column 10", /expected the name of a property, found "or"/],
    ["a..b pr", "line 1, column 1", /empty part/],
    ["a. pr", "line 1, column 1", /empty part/],
    ["a pr or\n  % pr", "line 2, column 3", /unexpected character "%"/],
    ["a[b pr", "line 1, column 7", /expected .*"\]"/],
    ["a[b pr].c.d pr", "line 1, column 9", /sub-attribute/],
    ["a[b pr].c", "line 1, column 10", /expected an operator/],
    [`${"(".repeat(51)}a pr${")".repeat(51)}`, "line 1, column 51", /nested deeper than 50/],
    [`${"not (".repeat(60)}a pr${")".repeat(60)}`, "line 1, column 255", /nested deeper than 50/],
    [Array(201).fill("a pr").join(" or "), "line 1, column 1605", /more than 200 conditions/],
    ["a".repeat(10_001), "line 1, column 10001", /longer than 10000/],
  ])("%.40s", (text, place, message) => {
    const result = parseFilter(text, scim);
    expect(result).toMatchObject({ place, refused: expect.stringMatching(message) });
  });
});

describe("a dialect says which parts may be used", () => {
  test.each<[Dialect, string, boolean]>([
    [okta_search, 'profile.email sw "a" and (status eq "ACTIVE" or created gt "2026-01-01")', true],
    [okta_search, 'a ne "x"', false],
    [okta_search, 'a ew "x"', false],
    [okta_search, "not (a pr)", false],
    [okta_search, "a[b pr]", false],
    [okta_filter, 'status eq "ACTIVE" or lastUpdated gt "2026-01-01"', true],
    [okta_filter, 'profile.login sw "a"', false],
    [okta_filter, "status pr", false],
    [okta_log, 'eventType sw "user." and not (actor.id eq "x") and severity ne "DEBUG"', true],
    [okta_log, 'target[type eq "User"]', false],
    [scim, 'not (emails[type eq "work"]) or userName ew "x"', true],
  ])("%o: %s: %s", (dialect, text, allowed) => {
    expect("ok" in parseFilter(text, dialect)).toBe(allowed);
  });
  test("the refusal of ne says what to write instead", () => {
    expect(read('a ne "x"', okta_search)).toMatch(/a search has no "ne"; write \(… lt "x" or … gt "x"\)/);
  });
});

describe("the path of a PATCH operation", () => {
  test.each<[string, unknown]>([
    ["userName", { path: { text: "userName" }, where: null, sub: null }],
    ["name.familyName", { path: { names: ["name", "familyName"] }, where: null, sub: null }],
    ['emails[type eq "work"]', { path: { text: "emails" }, where: { kind: "compare" }, sub: null }],
    ['emails[type eq "work"].value', { path: { text: "emails" }, where: { kind: "compare" }, sub: "value" }],
    ["urn:a:2.0:User:department", { path: { schema: "urn:a:2.0:User", names: ["department"] } }],
  ])("%s", (text, expected) => expect(parseTargetPath(text)).toMatchObject({ ok: expected }));
  test.each(["", "a b", "a[b pr", "a[b pr].", "a[b pr].c.d", 'a eq "x"', "[a pr]"])("refuses %s", (text) => {
    expect(parseTargetPath(text)).toMatchObject({ code: "invalid" });
  });
});

const person: Value = {
  userName: "Ada",
  active: true,
  age: 36,
  nickName: "",
  hired: "2026-03-02T01:00:00+01:00",
  tags: ["Red", "green"],
  name: { familyName: "Lovelace" },
  emails: [
    { type: "work", value: "ada@work.example", primary: true },
    { type: "home", value: "ada@home.example" },
  ],
  groups: [],
  plain: ["g1", "g2"],
};

function personMatches(text: string, dialect: Dialect = scim): boolean {
  const filter = parseFilter(text, dialect);
  if (!("ok" in filter)) throw new Error(filter.refused);
  return matches(filter.ok, (path: FilterPath) => ({ value: valueAt(person, path.names, dialect.names) }));
}

describe("a filter holds for what it describes", () => {
  test.each<[string, boolean]>([
    ['userName eq "ada"', true],
    ['USERNAME eq "ADA"', true],
    ['userName ne "ada"', false],
    ['userName sw "a" and userName ew "A" and userName co "D"', true],
    ['userName gt "abc"', true],
    ["active eq true", true],
    ['active eq "True"', true],
    ["active eq false", false],
    ["age gt 35", true],
    ["age gt 100", false],
    ["nickName pr", false],
    ["groups pr", false],
    ["emails pr", true],
    ["salary pr", false],
    ["salary eq null", true],
    ["userName ne null", true],
    ['salary ne "x"', true],
    ['salary eq "x"', false],
    ['not (salary eq "x")', true],
    ['hired eq "2026-03-02T00:00:00.000Z"', true],
    ['hired gt "2026-03-01T23:59:59Z"', true],
    ['tags eq "red"', true],
    ['tags ne "red"', false],
    ['tags eq "blue"', false],
    ['name.familyName sw "love"', true],
    ['emails.value co "@home"', true],
    ['emails co "@home"', true],
    ['emails[type eq "home" and value co "@work"]', false],
    ['emails.type eq "home" and emails.value co "@work"', true],
    ['emails[type eq "work" and primary eq true]', true],
    ['emails[not (type eq "work")].value sw "ada@h"', true],
    ['plain[value eq "g2"]', true],
    ['plain.value eq "g3"', false],
    ["constructor pr or __proto__ pr or toString pr", false],
    ['name eq "x"', false],
  ])("%s: %s", (text, expected) => expect(personMatches(text)).toBe(expected));
  test("a blank is a value for Okta", () => expect(personMatches("nickName pr", okta_search)).toBe(true));
  test("Okta's property names have a case", () => expect(personMatches("USERNAME pr", okta_search)).toBe(false));
  test("Okta's filter values have a case", () => {
    expect(personMatches('userName eq "ada"', okta_filter)).toBe(false);
    expect(personMatches('userName eq "Ada"', okta_filter)).toBe(true);
  });
});

describe("a filter about something unknown is refused with its place", () => {
  const properties: Record<string, Property | "complex"> = {
    status: { type: "text", operators: new Set<FilterOperator>(["eq"]) },
    age: { type: "number" },
    active: { type: "boolean" },
    created: { type: "instant" },
    emails: "complex",
    "emails.type": { type: "text" },
  };
  const check = (text: string) => {
    const filter = parseFilter(text, scim);
    return "ok" in filter ? checkFilter(filter.ok, (path) => properties[path.text]) : filter;
  };
  test.each<[string, RegExp, number]>([
    ["nothing pr", /no property "nothing"/, 1],
    ['status eq "A" and nothing eq 1', /no property "nothing"/, 19],
    ["not (nothing pr)", /no property/, 6],
    ['emails[kind eq "x"]', /no property "kind"/, 8],
    ["phones[type pr]", /no property "phones"/, 1],
    ['status co "A"', /status takes only eq, not co/, 1],
    ['age eq "old"', /age is a number; compare it with one/, 8],
    ["age co 1", /age is a number: "co" is for texts/, 8],
    ["active gt 1", /has no order/, 11],
    ['active eq "maybe"', /compare it with one of them/, 11],
    ['created gt "yesterday"', /created is a date; compare it with one such as/, 12],
    ["created gt 2026", /created is a date/, 12],
  ])("%s", (text, message, column) => {
    expect(check(text)).toMatchObject({ refused: expect.stringMatching(message), line: 1, column, code: "invalid" });
  });
  test.each(['status eq "A"', 'age gt "7"', "active eq true", 'created gt "2026-01-01"', 'emails[type eq "x"]'])(
    "accepts %s",
    (text) => expect(check(text)).toHaveProperty("ok"),
  );
});

const path: fc.Arbitrary<FilterPath> = fc
  .tuple(
    fc.constantFrom(null, "urn:x:2.0:User"),
    fc.array(fc.stringMatching(/^[a-z][A-Za-z0-9_$-]{0,6}$/), { minLength: 1, maxLength: 3 }),
  )
  .map(([schema, names]) => ({
    text: `${schema === null ? "" : `${schema}:`}${names.join(".")}`,
    schema,
    names,
    at: 0,
  }))
  .filter((one) => !["and", "or", "not"].includes(one.text));
const literal = fc.oneof(
  fc.string({ unit: "grapheme" }).filter((s) => !s.includes("\u0000")),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (n === 0 ? 0 : n)),
);
const anyTree: fc.Arbitrary<FilterTree> = fc.letrec<{ tree: FilterTree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.record({ kind: fc.constant("present" as const), path }),
    fc.record({
      kind: fc.constant("compare" as const),
      path,
      operator: fc.constantFrom<FilterOperator>("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"),
      literal,
      at: fc.constant(0),
    }),
    fc.record({ kind: fc.constant("not" as const), term: tie("tree") }),
    fc.record({ kind: fc.constant("some" as const), path, where: tie("tree") }),
    fc.record({
      kind: fc.constantFrom("and" as const, "or" as const),
      terms: fc.array(tie("tree"), { minLength: 2, maxLength: 3 }),
    }),
  ),
})).tree;

/** The tree without places, which printing changes. */
function placeless(tree: FilterTree): unknown {
  return JSON.parse(JSON.stringify(tree, (key, value) => (key === "at" ? undefined : value)));
}

describe("laws of reading", () => {
  test("what is printed is read back as the same tree", () => {
    fc.assert(
      fc.property(anyTree, (tree) => {
        const result = parseFilter(printFilter(tree), scim);
        expect("ok" in result ? placeless(result.ok.tree) : result.refused).toEqual(placeless(tree));
      }),
      { numRuns: 500 },
    );
  });
  test("any text is read or refused, in a moment", () => {
    const pieces = fc.constantFrom(
      "a",
      " eq ",
      '"x"',
      "(",
      ")",
      "[",
      "]",
      ".",
      "not ",
      " and ",
      " or ",
      "\\",
      '"',
      "1",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces, { maxLength: 200 }).map((all) => all.join("")),
        ),
        (text) => {
          for (const dialect of Object.values(dialects)) {
            const result = parseFilter(text, dialect);
            if (!("ok" in result)) expect(result.offset).toBeLessThanOrEqual(text.length);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
  test.each(['"'.padEnd(10_000, "\\"), "a.".repeat(5_000), "-".repeat(10_000), "(".repeat(10_000), " ".repeat(10_000)])(
    "ten thousand hostile characters take no time (%.5s…)",
    (text) => {
      const started = performance.now();
      parseFilter(text, scim);
      expect(performance.now() - started).toBeLessThan(200);
    },
  );
});
