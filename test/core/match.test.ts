/** On what rows are matched, and how alike names are. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  combinationsOf,
  explained,
  type MatchCandidate,
  type MatchOn,
  mostAlike,
  nameKeys,
  partialRuleOf,
} from "../../src/core/match.ts";
import type { Profile } from "../../src/core/types.ts";

const user = (id: string, profile: Profile): MatchCandidate => ({ id, profile });
const ada = user("ada", { firstName: "Ada", lastName: "Lovelace", city: "Rome" });
const alan = user("alan", { firstName: "Alan", lastName: "Turing" });
const zoe = user("zoe", { firstName: "Zoë", lastName: "Müller" });
const blank = user("blank", { login: "b@x.org", firstName: "", lastName: null });
const people = [ada, alan, zoe, blank];
const usual = partialRuleOf({ at_least: 75 })!;

/** Whom an index over `nameKeys` would give, as the import's does. */
const near = (profile: Profile, all: readonly MatchCandidate[]) => {
  const keysOf = (one: Profile) => {
    const keys = nameKeys(one);
    return keys === undefined ? [] : [keys.whole, ...keys.near];
  };
  const wanted = new Set(keysOf(profile));
  return all.filter((one) => keysOf(one.profile).some((key) => wanted.has(key)));
};
/** "ada", "ada,alan", "". */
const whose = (profile: Profile, all = people, rule = usual) =>
  mostAlike(profile, near(profile, all), rule)
    .map((fit) => fit.user_id)
    .join();

describe("what a source is matched on", () => {
  test.each<[string, MatchOn, readonly (readonly string[])[]]>([
    ["one attribute", ["login"], [["login"]]],
    ["one combination", ["lastName", "employeeNumber"], [["lastName", "employeeNumber"]]],
    ["several combinations", [["login"], ["lastName", "employeeNumber"]], [["login"], ["lastName", "employeeNumber"]]],
  ])("%s is read as combinations", (_name, given, read) => expect(combinationsOf(given)).toEqual(read));

  test("likeness is off unless a source says how alike, and weighs names most unless it says what", () => {
    expect([partialRuleOf(null), partialRuleOf(undefined)]).toEqual([null, null]);
    expect(usual).toEqual({ at_least: 0.75, weights: { lastName: 4, firstName: 3, department: 1, city: 1 } });
    const weights = { lastName: 1, firstName: 1 };
    expect(partialRuleOf({ at_least: 90, weights })).toEqual({ at_least: 0.9, weights });
  });
});

describe("likeness of names finds the person whose username changed", () => {
  test.each<[string, Profile, string]>([
    ["same names", { firstName: "ada", lastName: "LOVELACE" }, "ada"],
    ["spaces around and between", { firstName: " Ada\u00a0", lastName: "Lovelace\t" }, "ada"],
    ["without accents", { firstName: "Zoe", lastName: "Muller" }, "zoe"],
    ["a slip", { firstName: "Ada", lastName: "Lovelave" }, "ada"],
    ["two letters swapped", { firstName: "Alan", lastName: "Truing" }, "alan"],
    ["an initial", { firstName: "A.", lastName: "Turing" }, "alan"],
    ["same names, other city", { firstName: "Ada", lastName: "Lovelace", city: "Milan" }, "ada"],
    ["slips in both", { firstName: "Adaa", lastName: "Lovelave" }, ""],
    ["first name only", { firstName: "Ada" }, ""],
    ["another first name", { firstName: "Bob", lastName: "Lovelace" }, ""],
    ["a dot for a name", { firstName: ".", lastName: "Lovelace" }, ""],
    ["empty on empty", { firstName: " ", lastName: "" }, ""],
    ["lists for names", { firstName: ["Ada"], lastName: ["Lovelace"] }, ""],
  ])("%s", (_name, profile, expected) => expect(whose(profile)).toBe(expected));

  const other = user("ada2", { firstName: "Ada", lastName: "Lovelace", city: "Milan" });
  test("namesakes are both told", () => {
    expect(whose({ firstName: "Ada", lastName: "Lovelace" }, [other, ada])).toBe("ada,ada2");
  });
  test("unless the place tells them apart", () => {
    expect(whose({ firstName: "Ada", lastName: "Lovelace", city: "milan" }, [ada, other])).toBe("ada2");
  });
  test("the score is explained attribute by attribute", () => {
    const [fit] = mostAlike({ firstName: "Ada", lastName: "Lovelave", city: "Milan" }, people, {
      ...usual,
      at_least: 0.5,
    });
    expect(fit && explained(fit)).toBe("73 % alike: lastName alike, firstName the same, city differs");
    expect(fit?.reasons).toEqual([
      { attribute: "lastName", likeness: 0.7, weight: 4 },
      { attribute: "firstName", likeness: 1, weight: 3 },
      { attribute: "city", likeness: 0, weight: 1 },
    ]);
  });
  test("an initial and a whole name are looked for by different keys", () => {
    const [one, two] = [nameKeys({ firstName: "J", lastName: "Doe" }), nameKeys({ firstName: "Doe", lastName: "J" })];
    const all = [one?.whole, ...(one?.near ?? []), two?.whole, ...(two?.near ?? [])];
    expect(new Set(all).size).toBe(6);
  });
});

const word = fc.constantFrom("", " ", "ada", "Ada", "adá", "adam", "bob", "bo", "b.");
const anyProfile = fc.dictionary(
  fc.constantFrom("login", "firstName", "lastName", "city"),
  fc.oneof(word, fc.constant(null)),
) as fc.Arbitrary<Profile>;
const anyPeople = fc
  .array(anyProfile, { maxLength: 8 })
  .map((profiles) => profiles.map((profile, number) => user(`u${number}`, profile)));

describe("laws of likeness", () => {
  test("the order of people does not matter", () => {
    fc.assert(
      fc.property(anyProfile, anyPeople, (profile, all) => {
        expect(mostAlike(profile, [...all].reverse(), usual)).toEqual(mostAlike(profile, all, usual));
      }),
    );
  });
  test("whoever is told is alike enough, never more than the same, and about as alike as the best", () => {
    fc.assert(
      fc.property(anyProfile, anyPeople, (profile, all) => {
        const fits = mostAlike(profile, all, usual);
        for (const { score } of fits) {
          expect(score).toBeGreaterThanOrEqual(usual.at_least);
          expect(score).toBeLessThanOrEqual(1);
          expect((fits[0]?.score ?? 0) - score).toBeLessThan(0.05);
        }
      }),
    );
  });
  test("a profile without names is alike to nobody", () => {
    const nameless = fc.record({ firstName: fc.constantFrom("", " ", null), lastName: word, city: word });
    fc.assert(fc.property(nameless, anyPeople, (profile, all) => whose(profile, all) === ""));
  });
});
