/** Regular expressions: what JavaScript's engine says on safe patterns, and never slow on evil ones. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compileRegex, type Regex } from "../../../src/core/expression/regex.ts";

function regex(pattern: string): Regex {
  const outcome = compileRegex(pattern);
  if ("ok" in outcome) return outcome.ok;
  throw new Error(`${pattern}: ${outcome.message}`);
}

test.each([
  ["abc", "abc", true],
  ["abc", "xabc", false],
  ["", "", true],
  ["a|", "", true],
  [".*@example\\.com", "ada@example.com", true],
  ["[A-Z]{2}\\d{3,}", "AB1234", true],
  ["[A-Z]{2}\\d{3,}", "AB12", false],
  ["(?i)sales.*", "SALES West", true],
  ["a(?i)b", "aB", true],
  ["a(?i)b", "AB", false],
  ["(?i:a)b", "Ab", true],
  ["(?i:a)b", "AB", false],
  ["(?i)[a-c]x", "BX", true],
  [".", "\n", false],
  ["(?s).", "\n", true],
  [".", "😀", true],
  ["[^a]", "😀", true],
  ["^a$", "a", true],
  ["a^b", "ab", false],
  ["\\bab\\b c", "ab c", true],
  ["a\\bb", "ab", false],
  ["\\Qa.b\\E+", "a.bb", true],
  ["\\p{L}+", "Straße", true],
  ["\\p{Lu}\\P{Lu}*", "Éa1", true],
  ["\\x41\\u0042\\x{1F600}", "AB😀", true],
  ["[]a]", "]", true],
  ["[a-]+", "a-", true],
  ["[\\w.-]+", "a.b-c_1", true],
  ["(a*)*b", "aab", true],
  ["(?<year>\\d{4})", "2026", true],
  ["a*?b??", "aab", true],
  ["a{0}", "", true],
  ["\\$\\{x\\}", "$\u007bx}", true],
])("%s on %j gives %s", (pattern, text, expected) => {
  expect(regex(pattern).matches(text)).toBe(expected);
});

test.each([
  ["(a)\\1", /refers back to a group/],
  ["(?=a)b", /looks ahead or behind/],
  ["(?<!a)b", /looks ahead or behind/],
  ["a*+", /possessive/],
  ["(a", /\( is not closed/],
  ["a)", /\) without its \(/],
  ["[a", /\[ is not closed/],
  ["*a", /nothing before \*/],
  ["a{2,1}", /counts backwards/],
  ["a{x}", /not followed by a count/],
  ["a\\", /ends with a backslash/],
  ["[z-a]", /does not go upwards/],
  ["[a&&[b]]", /class inside a class/],
  ["\\p{Greek}", /not supported/],
  ["(?x)a", /not supported/],
  ["((a{99}){99}){99}", /more than 2000 parts/],
  ["a{5000}", /more than 2000 times/],
  ["(".repeat(200), /nested more than 100/],
])("%s is refused with the reason", (pattern, reason) => {
  const outcome = compileRegex(pattern);
  expect("message" in outcome && outcome.message).toMatch(reason);
});

test.each([
  ["(a+)+$", "a"],
  ["(a|aa)*b", "a"],
  ["(.*)*x", "a"],
  ["(a?){50}a{50}", "a"],
  ["([a-z]+)*\\d", "z"],
])("the evil pattern %s ends on 50,000 characters at once", (pattern, character) => {
  const evil = regex(pattern);
  const started = performance.now();
  expect(evil.matches(`${character.repeat(50_000)}!`)).toBe(false);
  expect(performance.now() - started).toBeLessThan(2_000);
});

const atom = fc.constantFrom(
  "a",
  "b",
  "A",
  "1",
  " ",
  ".",
  "\\d",
  "\\w",
  "\\S",
  "[ab]",
  "[^a]",
  "[a-c1]",
  "[^\\d]",
  "\\.",
  "é",
  "😀",
  "[é😀]",
  "^",
  "$",
  "\\b",
  "\\B",
);
const quantifier = fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "+?");
const patterns = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { maxDepth: 3 },
    fc.tuple(atom, quantifier).map(([one, times]) => (/^(\^|\$|\\b|\\B)$/i.test(one) ? one : one + times)),
    fc.tuple(tie("pattern"), tie("pattern")).map(([left, right]) => left + right),
    fc.tuple(tie("pattern"), tie("pattern")).map(([left, right]) => `(?:${left}|${right})`),
    fc
      .tuple(tie("pattern"), fc.constantFrom("*", "+", "?", "{2}", "{0,3}"))
      .map(([inner, times]) => `(${inner})${times}`),
  ),
}));

test("on random patterns it says what JavaScript's engine says", () => {
  const texts = fc
    .array(fc.constantFrom("a", "b", "A", "1", " ", ".", "é", "😀", "c", "_"), { maxLength: 7 })
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(patterns.pattern, fc.array(texts, { minLength: 5, maxLength: 5 }), (pattern, given) => {
      const ours = regex(pattern);
      const theirs = new RegExp(`^(?:${pattern})$`, "u");
      for (const text of given) expect([pattern, text, ours.matches(text)]).toEqual([pattern, text, theirs.test(text)]);
    }),
    { numRuns: 5_000 },
  );
});

test("any text at all is a pattern or a reason", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc
          .array(
            fc.constantFrom("(", ")", "[", "]", "{", "}", "?", "*", "\\", "a", "1", ",", "|", "-", "^", "p", "<", ":"),
          )
          .map((p) => p.join("")),
      ),
      (pattern) => {
        const outcome = compileRegex(pattern);
        if ("ok" in outcome) outcome.ok.matches("aab1");
        else expect(outcome.message).not.toBe("");
      },
    ),
    { numRuns: 5_000 },
  );
});
