import fc from "fast-check";
import { expect, test } from "vitest";
import { type CompiledLine, mapProfile } from "../../src/core/mapping.ts";
import { remapProfile } from "../../src/core/remap.ts";
import type { MappingLine, Profile, Value } from "../../src/core/types.ts";

type Facts = Readonly<Record<string, Value>>;

const values = fc.constantFrom<Value>("a", "b", "", null, 1, ["x"], []);
/** A line that gives what the facts hold under `reads`, or fails. */
const lineOf = fc.record({
  attribute: fc.constantFrom("name", "title", "team", "__proto__"),
  reads: fc.constantFrom("p", "q", "fails"),
  push: fc.constantFrom<MappingLine["push"]>("always", "create"),
  when_empty: fc.constantFrom<MappingLine["when_empty"]>("clear", "keep", "skip", "default"),
});
const mappingOf = fc.uniqueArray(lineOf, { selector: (line) => line.attribute }).map((lines) =>
  lines.map(
    ({ attribute, reads, push, when_empty }): CompiledLine<Facts> => ({
      attribute,
      line: { expression: reads, push, when_empty, default: "d" },
      evaluate: (facts) => (reads === "fails" ? { error: "no" } : { value: facts[reads] ?? null }),
    }),
  ),
);
const spelled = ({ attribute, line }: CompiledLine<Facts>) => JSON.stringify([attribute, line]);
const own = (profile: Profile, name: string) => (Object.hasOwn(profile, name) ? (profile[name] ?? null) : null);

test("where a profile is what the old lines give, the remapped one is what the new lines give", () => {
  fc.assert(
    fc.property(mappingOf, mappingOf, fc.record({ p: values, q: values }), (before, after, facts) => {
      const old = mapProfile(before, facts, undefined).profile;
      // A value that was kept is kept again: only what the lines give now is what they give.
      const held = mapProfile(before, facts, old).profile;
      const known = new Set(before.map(spelled));
      const changed = after.filter((line) => !known.has(spelled(line)));
      const names = new Set(after.map((line) => line.attribute));
      const removed = before.map((line) => line.attribute).filter((name) => !names.has(name));
      const wanted = mapProfile(after, facts, held);
      const { profile, errors } = remapProfile({ changed, removed }, facts, held);
      for (const name of ["name", "title", "team", "__proto__"])
        expect(own(profile ?? held, name)).toEqual(own(wanted.profile, name));
      expect(errors).toEqual(
        wanted.errors.filter((error) => changed.some((line) => line.attribute === error.attribute)),
      );
      expect(Object.getPrototypeOf(profile ?? {})).toBe(Object.prototype);
    }),
    { numRuns: 2_000 },
  );
});

test("a change that gives the same values gives nothing", () => {
  const line: CompiledLine<Facts> = {
    attribute: "name",
    line: { expression: "p", push: "always", when_empty: "clear" },
    evaluate: (facts) => ({ value: facts["p"] ?? null }),
  };
  expect(remapProfile({ changed: [line], removed: ["title"] }, { p: "a" }, { name: "a", team: "t" })).toEqual({
    profile: null,
    errors: [],
  });
  expect(remapProfile({ changed: [], removed: ["team"] }, {}, { name: "a", team: "t" }).profile).toEqual({ name: "a" });
});
