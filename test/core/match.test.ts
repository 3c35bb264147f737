import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  defaultMatchRules,
  indexCandidates,
  type MatchCandidate,
  type MatchRules,
  matchRecord,
  partialByName,
} from "../../src/core/match.ts";
import type { Profile } from "../../src/core/types.ts";

function user(id: string, profile: Profile): MatchCandidate {
  return { id, profile };
}

const ada = user("ada", {
  login: "ada@x.org",
  email: "ada@x.org",
  employeeNumber: "7",
  firstName: "Ada",
  lastName: "Lovelace",
  city: "Rome",
});
const alan = user("alan", {
  login: "alan@x.org",
  email: "alan@x.org",
  employeeNumber: 8,
  firstName: "Alan",
  lastName: "Turing",
});
const zoe = user("zoe", { login: "zoe@x.org", employeeNumber: "9", firstName: "Zoë", lastName: "Müller" });
const blank = user("blank", { login: "b@x.org", email: "", employeeNumber: null });
const people = [ada, alan, zoe, blank];
const byNumber: MatchRules = { exact: [["employeeNumber"], ["email"]], partial: null };
const byBoth: MatchRules = { exact: [["employeeNumber", "lastName"]], partial: null };
const byName: MatchRules = { exact: [["login"]], partial: partialByName };

/** "exact ada", "ambiguous ada,alan", "none". */
function whose(profile: Profile, rules: MatchRules, candidates = people, taken?: ReadonlySet<string>): string {
  const result = matchRecord(profile, indexCandidates(candidates, rules), taken);
  if (result.kind === "ambiguous") return `ambiguous ${result.fits.map((fit) => fit.user_id).join()}`;
  return result.kind === "none" ? "none" : `${result.kind} ${result.user_id}`;
}

describe("a record belongs to the one person with the same attributes", () => {
  test.each<[string, Profile, MatchRules, string]>([
    ["username", { login: "ada@x.org" }, defaultMatchRules, "exact ada"],
    ["whatever the case and spaces", { login: " ADA@X.org " }, defaultMatchRules, "exact ada"],
    ["e-mail", { login: "other", email: "alan@x.org" }, defaultMatchRules, "exact alan"],
    ["number as text", { employeeNumber: "8" }, byNumber, "exact alan"],
    ["several rules, one person", { employeeNumber: 7, email: "ada@x.org" }, byNumber, "exact ada"],
    ["two rules, two people", { employeeNumber: 7, email: "alan@x.org" }, byNumber, "ambiguous ada,alan"],
    ["a combination", { employeeNumber: "7", lastName: "lovelace" }, byBoth, "exact ada"],
    ["half a combination", { employeeNumber: "7", lastName: "Byron" }, byBoth, "none"],
    ["a combination with a gap", { employeeNumber: "7" }, byBoth, "none"],
    ["nobody", { login: "eve@x.org" }, defaultMatchRules, "none"],
    ["empty on empty", { email: "", employeeNumber: null }, byNumber, "none"],
    ["blank on blank", { email: "  " }, byNumber, "none"],
    ["a list", { email: ["ada@x.org"] }, byNumber, "none"],
    ["no rules", { email: "ada@x.org" }, { exact: [], partial: null }, "none"],
    ["a rule of nothing", { email: "ada@x.org" }, { exact: [[]], partial: null }, "none"],
    ["names are off", { firstName: "Ada", lastName: "Lovelace" }, defaultMatchRules, "none"],
  ])("%s", (_name, profile, rules, expected) => expect(whose(profile, rules)).toBe(expected));

  test("a gap on both sides is no agreement", () => {
    expect(whose({ employeeNumber: "5" }, byBoth, [user("gap", { employeeNumber: "5" })])).toBe("none");
  });
  test("two people with one address are for a person to tell apart", () => {
    expect(whose({ email: "ada@x.org" }, byNumber, [...people, user("twin", { email: "Ada@x.org" })])).toBe(
      "ambiguous ada,twin",
    );
  });
  test("whoever has an account already does not get another", () => {
    expect(whose({ employeeNumber: 7 }, byNumber, people, new Set(["ada"]))).toBe("ambiguous ada");
  });
  test("values of one rule cannot pass for those of another", () => {
    const rules: MatchRules = { exact: [["a", "b"], ["c"]], partial: null };
    expect(whose({ c: '7","8' }, rules, [user("x", { a: "7", b: "8" })])).toBe("none");
    expect(whose({ a: "x", b: "y z" }, rules, [user("x", { a: "x y", b: "z" })])).toBe("none");
  });
});

describe("likeness of names finds the person whose username changed", () => {
  test.each<[string, Profile, string]>([
    ["same names", { firstName: "ada", lastName: "LOVELACE" }, "partial ada"],
    ["without accents", { firstName: "Zoe", lastName: "Muller" }, "partial zoe"],
    ["a slip", { firstName: "Ada", lastName: "Lovelave" }, "partial ada"],
    ["two letters swapped", { firstName: "Alan", lastName: "Truing" }, "partial alan"],
    ["an initial", { firstName: "A.", lastName: "Turing" }, "partial alan"],
    ["same names, other city", { firstName: "Ada", lastName: "Lovelace", city: "Milan" }, "partial ada"],
    ["slips in both", { firstName: "Adaa", lastName: "Lovelave" }, "none"],
    ["first name only", { firstName: "Ada" }, "none"],
    ["another first name", { firstName: "Bob", lastName: "Lovelace" }, "none"],
    ["a dot for a name", { firstName: ".", lastName: "Lovelace" }, "none"],
    ["exact goes first", { login: "alan@x.org", firstName: "Ada", lastName: "Lovelace" }, "exact alan"],
  ])("%s", (_name, profile, expected) => expect(whose(profile, byName)).toBe(expected));

  const other = user("ada2", { firstName: "Ada", lastName: "Lovelace", city: "Milan" });
  test("namesakes are ambiguous", () => {
    expect(whose({ firstName: "Ada", lastName: "Lovelace" }, byName, [ada, other])).toBe("ambiguous ada,ada2");
  });
  test("unless the place tells them apart", () => {
    expect(whose({ firstName: "Ada", lastName: "Lovelace", city: "milan" }, byName, [ada, other])).toBe("partial ada2");
  });
  test("someone who has an account is not a namesake any more", () => {
    expect(whose({ firstName: "Ada", lastName: "Lovelace" }, byName, [ada, other], new Set(["ada"]))).toBe(
      "partial ada2",
    );
  });
  test("the score is explained attribute by attribute", () => {
    const result = matchRecord(
      { firstName: "Ada", lastName: "Lovelave", city: "Milan" },
      indexCandidates(people, {
        ...byName,
        partial: { ...partialByName, at_least: 0.5 },
      }),
    );
    expect(result).toMatchObject({
      why: "73 % alike: lastName alike, firstName the same, city differs",
      fit: {
        reasons: [
          { attribute: "lastName", likeness: 0.7, weight: 4 },
          { attribute: "firstName", likeness: 1, weight: 3 },
          { attribute: "city", likeness: 0, weight: 1 },
        ],
      },
    });
  });
});

const word = fc.constantFrom("", " ", "ada", "Ada", "adá", "adam", "bob", "bo", "b.");
const anyProfile = fc.dictionary(
  fc.constantFrom("login", "email", "firstName", "lastName", "city"),
  fc.oneof(word, fc.constant(null)),
) as fc.Arbitrary<Profile>;
const anyPeople = fc
  .array(anyProfile, { maxLength: 8 })
  .map((profiles) => profiles.map((profile, number) => user(`u${number}`, profile)));
const rules: MatchRules = { exact: [["login"], ["email", "city"]], partial: partialByName };

describe("laws of matching", () => {
  test("the order of people does not matter", () => {
    fc.assert(
      fc.property(anyProfile, anyPeople, (profile, candidates) => {
        const reversed = [...candidates].reverse();
        expect(matchRecord(profile, indexCandidates(reversed, rules))).toEqual(
          matchRecord(profile, indexCandidates(candidates, rules)),
        );
      }),
    );
  });
  test("nobody taken is given out, and a score is never above 1", () => {
    fc.assert(
      fc.property(anyProfile, anyPeople, (profile, candidates) => {
        const taken = new Set(["u0", "u1"]);
        const result = matchRecord(profile, indexCandidates(candidates, rules), taken);
        if (result.kind !== "exact" && result.kind !== "partial") return;
        expect(taken.has(result.user_id)).toBe(false);
        expect(result.fit.score).toBeLessThanOrEqual(1);
      }),
    );
  });
  test("an empty record is nobody's", () => {
    fc.assert(fc.property(anyPeople, (all) => whose({ login: " ", email: "", city: null }, rules, all) === "none"));
  });
});
