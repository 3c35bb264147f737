import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Comparable, canonicalValue, diffProfiles, isEmpty, sameValue } from "../../src/core/diff.ts";
import { foldCase } from "../../src/core/fold.ts";
import { parseInstant } from "../../src/core/instant.ts";
import type { Attribute, Value } from "../../src/core/types.ts";

const text: Comparable = { type: "string", case_exact: true };
const anyCase: Comparable = { type: "string", case_exact: false };
const number: Comparable = { type: "number", case_exact: true };
const boolean: Comparable = { type: "boolean", case_exact: true };
const date: Comparable = { type: "date", case_exact: true };
const object: Comparable = { type: "object", case_exact: false };

describe("two values are the same if the attribute cannot tell them apart", () => {
  test.each<[Comparable | undefined, Value | undefined, Value | undefined, boolean]>([
    [text, "Sales", "Sales", true],
    [text, "Sales", "sales", false],
    [anyCase, "ADA@example.org", "ada@Example.org", true],
    [anyCase, "Zoe\u0301", "ZO\u00c9", true],
    [anyCase, "ada", "bob", false],
    [text, null, undefined, true],
    [text, null, "", true],
    [text, undefined, [], true],
    [text, ["", null], null, true],
    [text, "x", null, false],
    [text, ["a", "b"], ["b", "a"], true],
    [text, ["a", "b"], ["b", "a", "a"], true],
    [text, ["a", "b"], ["a", "c"], false],
    [anyCase, ["A", "b"], ["B", "a"], true],
    [text, 'a","b', ["a", "b"], false],
    [text, 42, "42", true],
    [number, 1, "1", true],
    [number, 1, " 1.0 ", true],
    [number, 0, -0, true],
    [number, 1, "one", false],
    [number, "9007199254740993", "9007199254740992", false],
    [boolean, true, "True", true],
    [boolean, false, null, false],
    [date, "2026-03-02", "2026-03-02T00:00:00.000Z", true],
    [date, "2026-03-02T01:00:00+01:00", "2026-03-02T00:00:00Z", true],
    [date, "2026-03-02", "2026-03-03", false],
    [date, "soon", "later", false],
    [object, { street: "A", city: "B" }, { city: "b", street: "a", zip: null }, true],
    [object, { street: "A" }, { street: "C" }, false],
    [object, {}, null, true],
    [undefined, "Sales", "sales", false],
    [undefined, "", null, false],
    [undefined, ["a", "b"], ["b", "a"], false],
    [undefined, { a: 1, b: null }, { a: 1 }, true],
    [undefined, 1, "1", false],
    [undefined, null, undefined, true],
    [undefined, [null], ["null"], false],
  ])("%o: %j and %j → %s", (attribute, a, b, same) => {
    expect(sameValue(a, b, attribute)).toBe(same);
    expect(sameValue(b, a, attribute)).toBe(same);
  });
});

describe("the difference of two profiles", () => {
  const login: Attribute = {
    name: "login",
    type: "string",
    array: false,
    required: true,
    writable: "always",
    readable: true,
    unique: true,
    case_exact: false,
  };
  const schema = { attributes: [login, { ...login, name: "title", case_exact: true }] };

  test("names what was added, changed and removed, in the order of names", () => {
    const before = { login: "ada", title: "Engineer", city: "Rome" };
    const after = { login: "ADA", title: "engineer", zip: "00100" };
    expect(diffProfiles(before, after, schema)).toEqual([
      { attribute: "city", before: "Rome", after: null },
      { attribute: "title", before: "Engineer", after: "engineer" },
      { attribute: "zip", before: null, after: "00100" },
    ]);
  });
  test("sees the change of case when told no schema", () => {
    expect(diffProfiles({ login: "ada" }, { login: "ADA" })).toHaveLength(1);
  });
  test("reads only a profile's own attributes", () => {
    expect(diffProfiles({}, JSON.parse('{"constructor":"x","__proto__":"y"}'))).toEqual([
      { attribute: "__proto__", before: null, after: "y" },
      { attribute: "constructor", before: null, after: "x" },
    ]);
  });
});

const anyValue = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<Value>(null, "", "a", "A", "1", 1, 0, true, "True", "2026-03-02", "2026-03-02T00:00:00Z"),
    fc.string(),
    fc.double({ noNaN: true }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "c"), tie("value"), { maxKeys: 3 }),
  ),
})).value;
const anyAttribute = fc.constantFrom(undefined, text, anyCase, number, boolean, date, object);

describe("laws of sameness", () => {
  test("it is an equivalence", () => {
    fc.assert(
      fc.property(anyValue, anyValue, anyValue, anyAttribute, (a, b, c, attribute) => {
        expect(sameValue(a, structuredClone(a), attribute)).toBe(true);
        expect(sameValue(a, b, attribute)).toBe(sameValue(b, a, attribute));
        if (sameValue(a, b, attribute) && sameValue(b, c, attribute)) expect(sameValue(a, c, attribute)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
  test("for an attribute, a value is empty exactly when it is the same as none", () => {
    fc.assert(fc.property(anyValue, (value) => isEmpty(value) === sameValue(value, null, text)));
  });
  test("what is the same exactly is the same by any attribute", () => {
    fc.assert(
      fc.property(anyValue, anyValue, anyAttribute, (a, b, attribute) => {
        if (sameValue(a, b)) expect(canonicalValue(a, attribute)).toBe(canonicalValue(b, attribute));
      }),
    );
  });
});

describe("folding case", () => {
  test.each([
    ["ADA", "ada"],
    ["ÄÉ", "äé"],
    ["ΟΔΟΣ", "οδοσ"],
    ["İ", "i"],
    ["ẞ", "ß"],
    ["𐐀", "𐐨"],
  ])("%s → %s", (from, to) => expect(foldCase(from)).toBe(to));
  test("folding twice is folding once", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (s) => foldCase(foldCase(s)) === foldCase(s)));
  });
});

describe("reading an instant", () => {
  test.each<[string, string | undefined]>([
    ["2026-03-02", "2026-03-02T00:00:00.000Z"],
    ["2026-03-02T09:30", "2026-03-02T09:30:00.000Z"],
    ["2026-03-02T09:30:15Z", "2026-03-02T09:30:15.000Z"],
    ["2026-03-02T09:30:15.123456Z", "2026-03-02T09:30:15.123Z"],
    ["2026-03-02T09:30:15.5+02:00", "2026-03-02T07:30:15.500Z"],
    ["2026-03-02 09:30:15-0330", "2026-03-02T13:00:15.000Z"],
    ["0001-01-01", "0001-01-01T00:00:00.000Z"],
    ["2024-02-29", "2024-02-29T00:00:00.000Z"],
    ["2026-02-29", undefined],
    ["1900-02-29", undefined],
    ["2026-13-01", undefined],
    ["2026-00-10", undefined],
    ["2026-04-31", undefined],
    ["2026-03-02T24:00:00Z", undefined],
    ["2026-03-02T10:00:00+99:00", undefined],
    ["02/03/2026", undefined],
    ["20260302", undefined],
    ["", undefined],
    ["2026-03-02T00:00:00Zx", undefined],
  ])("%s → %s", (from, to) => {
    const ms = parseInstant(from);
    expect(ms === undefined ? undefined : new Date(ms).toISOString()).toBe(to);
  });
  test("what a Date prints is read back", () => {
    const min = new Date("0001-01-01T00:00:00Z");
    const max = new Date("9999-12-31T23:59:59.999Z");
    fc.assert(fc.property(fc.date({ min, max, noInvalidDate: true }), (d) => parseInstant(d.toISOString()) === +d));
  });
});
