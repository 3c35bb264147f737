import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { baseGroupSchema, baseUserSchema } from "../../src/core/baseSchema.ts";
import { isEmpty } from "../../src/core/diff.ts";
import { compileRegex } from "../../src/core/expression/regex.ts";
import {
  type AttributeDefinition,
  defineAttribute,
  mergeProfile,
  redefineAttribute,
  validateProfile,
} from "../../src/core/schema.ts";
import type { Attribute, Profile, Schema, Value } from "../../src/core/types.ts";

/** The linear-time engine, as in the product. */
function matchesPattern(pattern: string, text: string): boolean {
  const regex = compileRegex(pattern);
  if (!("ok" in regex)) throw new Error(`${pattern}: ${regex.message}`);
  return regex.ok.matches(text);
}
const whole = { partial: false, matchesPattern };
const partial = { partial: true, matchesPattern };

function attribute(name: string, type: Attribute["type"], more: Partial<Attribute> = {}): Attribute {
  const defined = defineAttribute({ attributes: [] }, { name, type, ...more });
  if (!("ok" in defined)) throw new Error(defined.refused);
  return defined.ok;
}

const schema: Schema = {
  attributes: [
    attribute("login", "string", { required: true, min_length: 3, max_length: 10 }),
    attribute("grade", "integer"),
    attribute("rate", "number"),
    attribute("remote", "boolean"),
    attribute("hired", "date"),
    attribute("color", "string", { enum: ["red", "green"] }),
    attribute("tags", "string", { array: true, max_length: 3 }),
    attribute("code", "string", { pattern: "^[A-Z]+$" }),
    attribute("home", "object"),
    attribute("note", "string"),
  ],
};

/** The faults as "attribute: problem", or the valid profile. */
function check(profile: unknown, options: typeof whole & { keep_empty?: boolean } = whole): unknown {
  const result = validateProfile(schema, profile, options);
  return "ok" in result ? result.ok : result.faults.map((fault) => `${fault.attribute}: ${fault.problem}`);
}

describe("a profile that breaks its schema is refused, naming the attribute and what to do", () => {
  test.each<[string, Profile, RegExp]>([
    ["missing required", {}, /^login: is required; give it a value$/],
    ["empty required", { login: "" }, /^login: is required/],
    ["too short", { login: "ab" }, /^login: must be at least 3 characters, not 2$/],
    ["too long", { login: "a".repeat(11) }, /^login: must be at most 10 characters, not 11$/],
    ["number for text", { login: 12345 }, /^login: must be a text, not a number$/],
    ["text for integer", { login: "ada", grade: "7" }, /^grade: must be a whole number, not a text$/],
    ["fraction", { login: "ada", grade: 1.5 }, /^grade: must be a whole number between/],
    ["integer beyond exactness", { login: "ada", grade: 2 ** 53 }, /^grade: must be a whole number between/],
    ["not a number", { login: "ada", rate: Number.NaN }, /^rate: must be a number/],
    ["text for boolean", { login: "ada", remote: "true" }, /^remote: must be true or false, not a text$/],
    ["impossible date", { login: "ada", hired: "2026-02-30" }, /^hired: must be an ISO 8601 date/],
    ["outside the list", { login: "ada", color: "blue" }, /^color: must be one of "red", "green"$/],
    ["one for a list", { login: "ada", tags: "x" }, /^tags: takes a list of values$/],
    ["list for one", { login: "ada", note: ["x"] }, /^note: takes one value, not a list$/],
    ["item too long", { login: "ada", tags: ["a", "long"] }, /^tags: value 2 must be at most 3/],
    ["null item", { login: "ada", tags: [null] }, /^tags: value 1 is null/],
    ["too many items", { login: "ada", tags: Array(1001).fill("a") }, /^tags: holds at most 1000 values/],
    ["pattern", { login: "ada", code: "abc" }, /^code: must match the pattern \^\[A-Z\]\+\$$/],
    ["unknown, near", { login: "ada", colour: "red" }, /^colour: is not defined in the schema; did you mean color\?$/],
    ["unknown, case", { login: "ada", Grade: 1 }, /^Grade: .*did you mean grade\?$/],
    ["unknown, far", { login: "ada", salary: 1 }, /^salary: .*define it first/],
    ["NUL", { login: "a\u0000da" }, /^login: holds a character that cannot be stored/],
    ["half a character", { login: "ada", note: "\ud800" }, /^note: holds a character that cannot be stored/],
    ["endless text", { login: "ada", note: "x".repeat(40_000) }, /^note: must be at most 32768/],
    ["text for object", { login: "ada", home: "Rome" }, /^home: must be an object, not a text$/],
    ["reserved member", { login: "ada", home: JSON.parse('{"__proto__":1}') }, /^home: may not hold a member named/],
    ["endless object", { login: "ada", home: { a: Array(2000).fill(1) } }, /^home: holds more than 1000 values$/],
  ])("%s", (_name, profile, message) => {
    expect(check(profile)).toEqual([expect.stringMatching(message)]);
  });
  test("all at once, without repeating a value", () => {
    const result = validateProfile(schema, { login: "s3", grade: "s3cret", nope: "s3cret" }, whole);
    expect(result).toMatchObject({ code: "invalid", place: "login", faults: { length: 3 } });
    expect(JSON.stringify(result)).not.toContain("s3cret");
  });
  test("a deep object is refused without being walked to the end", () => {
    const deep = JSON.parse(`${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`);
    expect(check({ login: "ada", home: deep })).toEqual(["home: is nested deeper than 10 levels"]);
  });
  test.each([null, [], "ada", 7, new Date(0)])("a profile that is no object: %j", (profile) => {
    expect(check(profile)).toEqual([expect.stringContaining("must be an object")]);
  });
});

describe("no value is no value, however it is written", () => {
  test("a whole profile loses its empty attributes", () => {
    expect(check({ login: "ada", note: "", tags: [], color: null, code: undefined })).toEqual({ login: "ada" });
  });
  test("a change clears with them, and leaves the rest", () => {
    expect(check({ note: "", tags: [], color: null, code: undefined }, partial)).toEqual({
      note: null,
      tags: null,
      color: null,
    });
  });
  test("a change may not clear what is required", () => {
    expect(check({ login: null }, partial)).toEqual(["login: is required and cannot be cleared"]);
    expect(check({ login: "" }, { ...partial, keep_empty: true })).toEqual([
      "login: is required and cannot be cleared",
    ]);
  });
  test("an empty text is kept where that is asked for", () => {
    expect(check({ note: "" }, { ...partial, keep_empty: true })).toEqual({ note: "" });
  });
});

describe("merging a change", () => {
  const before = { login: "ada", note: "x", color: "red" };
  test("a partial change keeps what it does not name and removes what it nulls", () => {
    expect(mergeProfile(before, { note: null, grade: 2 }, "partial")).toEqual({ login: "ada", color: "red", grade: 2 });
  });
  test("a replacement keeps only what it names", () => {
    expect(mergeProfile(before, { login: "ada", note: null }, "replace")).toEqual({ login: "ada" });
  });
  test("a hostile key stays a key", () => {
    const merged = mergeProfile({}, JSON.parse('{"__proto__":{"admin":true}}'), "partial");
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
    expect((merged as { admin?: unknown }).admin).toBeUndefined();
  });
});

describe("the base schemas are Okta's", () => {
  test("31 attributes of a user, four of them required", () => {
    const names = baseUserSchema.attributes.map((one) => one.name);
    expect(new Set(names).size).toBe(31);
    const required = baseUserSchema.attributes.filter((one) => one.required).map((one) => one.name);
    expect(required).toEqual(["login", "firstName", "lastName", "email"]);
    expect(baseUserSchema.attributes.filter((one) => one.unique).map((one) => one.name)).toEqual(["login"]);
  });
  test.each<[string, Profile, string | undefined]>([
    ["a person", { login: "ada@example.org", email: "ada@example.org", firstName: "Ada", lastName: "L" }, undefined],
    ["no @", { login: "adalovelace", email: "ada@example.org", firstName: "Ada", lastName: "L" }, "login"],
    ["two @", { login: "ada@example.org", email: "a@b@example", firstName: "Ada", lastName: "L" }, "email"],
    ["no last name", { login: "ada@example.org", email: "ada@example.org", firstName: "Ada" }, "lastName"],
    [
      "a script for a page",
      { login: "a@b.org", email: "a@b.org", firstName: "A", lastName: "L", profileUrl: "javascript:alert(1)" },
      "profileUrl",
    ],
  ])("%s", (_name, profile, place) => {
    const result = validateProfile(baseUserSchema, profile, whole);
    expect("ok" in result ? undefined : result.place).toBe(place);
  });
  test.each(baseUserSchema.attributes.flatMap((one) => one.pattern ?? []))("the pattern %s can be used", (pattern) => {
    expect(compileRegex(pattern)).toHaveProperty("ok");
  });
  test("a group has a name", () => {
    expect(validateProfile(baseGroupSchema, { name: "Sales" }, whole)).toEqual({ ok: { name: "Sales" } });
    expect(validateProfile(baseGroupSchema, { description: "x" }, whole)).toMatchObject({ place: "name" });
  });
});

describe("defining a custom attribute", () => {
  const user: Schema = baseUserSchema;
  const crowded: Schema = {
    attributes: ["a", "b", "c", "d", "e"].map((name) => attribute(name, "string", { unique: true })),
  };
  test("gives the defaults", () => {
    expect(defineAttribute(user, { name: "badge", type: "string" })).toEqual({
      ok: {
        name: "badge",
        type: "string",
        array: false,
        required: false,
        writable: "always",
        readable: true,
        unique: false,
        case_exact: true,
      },
    });
  });
  test.each<[string, Schema, AttributeDefinition, RegExp]>([
    ["taken", user, { name: "city", type: "string" }, /the schema has city/],
    ["taken but for case", user, { name: "CITY", type: "string" }, /differ only by case/],
    ["reserved", user, { name: "Status", type: "string" }, /reserved/],
    ["reserved by JavaScript", user, { name: "constructor", type: "string" }, /reserved/],
    ["underscores first", user, { name: "__proto__", type: "string" }, /a name is a letter/],
    ["dotted", user, { name: "a.b", type: "string" }, /a name is a letter/],
    ["empty name", user, { name: "", type: "string" }, /a name is a letter/],
    ["lengths of a number", user, { name: "n", type: "number", max_length: 3 }, /for texts only/],
    ["negative length", user, { name: "n", type: "string", min_length: -1 }, /whole numbers from 0/],
    ["crossed lengths", user, { name: "n", type: "string", min_length: 5, max_length: 4 }, /above the maximum/],
    ["bad pattern", user, { name: "n", type: "string", pattern: "(" }, /the pattern cannot be used: unclosed/],
    ["list of booleans", user, { name: "n", type: "boolean", enum: [true] }, /cannot be limited/],
    ["empty list", user, { name: "n", type: "string", enum: [] }, /1 to 1000 values/],
    ["doubled value", user, { name: "n", type: "string", enum: ["a", "a"] }, /listed twice/],
    [
      "value of another type",
      user,
      { name: "n", type: "integer", enum: [1, "2"] },
      /allowed value 2 is not of type integer/,
    ],
    ["unique list", user, { name: "n", type: "string", array: true, unique: true }, /can be unique/],
    ["sixth unique", crowded, { name: "n", type: "string", unique: true }, /at most 5/],
  ])("refuses: %s", (_name, into, definition, message) => {
    const patternProblem = (pattern: string) => (pattern === "(" ? "unclosed group" : undefined);
    expect(defineAttribute(into, definition, { patternProblem })).toMatchObject({
      refused: expect.stringMatching(message),
    });
  });
});

describe("redefining an attribute", () => {
  const withBadge: Schema = { attributes: [...baseUserSchema.attributes, attribute("badge", "string")] };
  test.each<[string, Partial<Attribute>, RegExp | undefined]>([
    ["firstName", { required: false }, undefined],
    ["login", { pattern: "^[a-z]+$" }, undefined],
    ["title", { title: "Job" }, undefined],
    ["title", { required: true }, /required of a base attribute is fixed/],
    ["email", { required: false }, /fixed/],
    ["email", { required: true }, undefined],
    ["badge", { required: true, max_length: 9 }, undefined],
    ["badge", { type: "integer" }, /its type is fixed/],
    ["badge", { min_length: 3, max_length: 2 }, /above the maximum/],
    ["nobody", {}, /no such attribute/],
  ])("%s %j", (name, change, message) => {
    const result = redefineAttribute(withBadge, name, change);
    if (message) expect(result).toMatchObject({ refused: expect.stringMatching(message) });
    else expect(result).toMatchObject({ ok: { name, ...change } });
  });
});

const anyValue = fc.oneof(
  fc.constantFrom<Value>(null, "", "red", "ada", 1, 1.5, true, "2026-03-02"),
  fc.array(fc.constantFrom<Value>("", "a", null, 1), { maxLength: 3 }),
  fc.object().map((value) => value as Value),
);
const anyProfile = fc.dictionary(fc.constantFrom(...schema.attributes.map((one) => one.name), "nope"), anyValue);

describe("laws of validation", () => {
  test("what is valid once stays exactly as it is", () => {
    fc.assert(
      fc.property(anyProfile, fc.boolean(), (profile, isPartial) => {
        const options = { partial: isPartial, matchesPattern };
        const first = validateProfile(schema, profile, options);
        if ("ok" in first) expect(validateProfile(schema, first.ok, options)).toEqual(first);
      }),
    );
  });
  test("a valid whole profile holds no empty value and no unknown attribute", () => {
    fc.assert(
      fc.property(anyProfile, (profile) => {
        const result = validateProfile(schema, { login: "ada", ...profile }, whole);
        if (!("ok" in result)) return;
        expect(Object.values(result.ok).some(isEmpty)).toBe(false);
        expect(Object.keys(result.ok)).not.toContain("nope");
      }),
    );
  });
  test("a valid change merged into a valid profile is a valid profile", () => {
    fc.assert(
      fc.property(anyProfile, anyProfile, (one, two) => {
        const before = validateProfile(schema, { login: "ada", ...one }, whole);
        const change = validateProfile(schema, two, partial);
        if (!("ok" in before) || !("ok" in change)) return;
        const merged = mergeProfile(before.ok, change.ok, "partial");
        expect(validateProfile(schema, merged, whole)).toEqual({ ok: merged });
      }),
    );
  });
});
