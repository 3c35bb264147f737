import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { type CompiledLine, mapProfile } from "../../src/core/mapping.ts";
import type { MappingLine, Profile, Value, WhenEmpty } from "../../src/core/types.ts";

/** Facts are the values themselves, by attribute; `fails` names those whose expression fails. */
type Given = Readonly<{ values: Profile; fails?: readonly string[] }>;

function line(attribute: string, more: Partial<MappingLine> = {}): CompiledLine<Given> {
  return {
    attribute,
    line: { expression: attribute, push: "always", when_empty: "clear", ...more },
    evaluate: ({ values, fails = [] }) =>
      fails.includes(attribute) ? { error: `no ${attribute}` } : { value: values[attribute] ?? null },
  };
}

const empties: readonly Value[] = [null, "", []];
const policies: readonly [policy: Partial<MappingLine>, had: Profile | undefined, result: Profile][] = [
  [{ when_empty: "clear" }, undefined, { title: null }],
  [{ when_empty: "clear" }, { title: "was" }, { title: null }],
  [{ when_empty: "keep" }, undefined, {}],
  [{ when_empty: "keep" }, { title: "was" }, { title: "was" }],
  [{ when_empty: "keep" }, { title: null }, { title: null }],
  [{ when_empty: "skip" }, undefined, {}],
  [{ when_empty: "skip" }, { title: "was" }, {}],
  [{ when_empty: "default", default: "none" }, undefined, { title: "none" }],
  [{ when_empty: "default", default: "none" }, { title: "was" }, { title: "none" }],
  [{ when_empty: "default" }, { title: "was" }, { title: null }],
];

describe("an empty result", () => {
  for (const empty of empties) {
    it.each(policies)(`(${JSON.stringify(empty)}) with %j after %j gives %j`, (policy, had, result) => {
      expect({ ...mapProfile([line("title", policy)], { values: { title: empty } }, had).profile }).toEqual(result);
    });
  }

  it.each([[0], [false], [[null]], ["0"], [" "]])("is not %j", (value) => {
    const mapped = mapProfile(
      [line("title", { when_empty: "default", default: "none" })],
      { values: { title: value } },
      undefined,
    );
    expect(mapped.profile["title"]).toEqual(value);
  });
});

const pushes: readonly [what: string, push: MappingLine["push"], had: Profile | undefined, title: Value | undefined][] =
  [
    ["always, as the assignment begins", "always", undefined, "new"],
    ["always, later", "always", { title: "first" }, "new"],
    ["create-only, as the assignment begins", "create", undefined, "new"],
    ["create-only, later: what was first assigned stays", "create", { title: "first" }, "first"],
    ["create-only, later, where nothing was assigned at first: it is not managed", "create", {}, undefined],
    ["create-only, later, where it was empty at first: it stays empty", "create", { title: null }, null],
  ];

describe("a line", () => {
  it.each(pushes)("pushed %s", (_what, push, had, title) => {
    expect(mapProfile([line("title", { push })], { values: { title: "new" } }, had).profile["title"]).toEqual(title);
  });

  it("that fails keeps what the account had and says so, and the others are computed", () => {
    const lines = [line("title"), line("department")];
    const given = { values: { title: "new", department: "Mills" }, fails: ["title"] };
    const mapped = mapProfile(lines, given, { title: "old" });
    expect({ ...mapped.profile }).toEqual({ title: "old", department: "Mills" });
    expect(mapped.errors).toEqual([{ attribute: "title", message: "no title" }]);
    expect({ ...mapProfile(lines, given, undefined).profile }).toEqual({ department: "Mills" });
  });

  it("that is create-only is not evaluated again, so it cannot fail later", () => {
    const mapped = mapProfile(
      [line("title", { push: "create" })],
      { values: {}, fails: ["title"] },
      { title: "first" },
    );
    expect(mapped).toMatchObject({ profile: { title: "first" }, errors: [] });
  });

  it.each([["__proto__"], ["constructor"]])("for an attribute called %s reaches no prototype", (name) => {
    const { profile } = mapProfile([line(name, { when_empty: "keep" })], { values: Object.create(null) }, {});
    expect(Object.keys(profile)).toEqual([]);
    const set = mapProfile([{ ...line(name), evaluate: () => ({ value: "x" }) }], { values: {} }, undefined);
    expect(Object.keys(set.profile)).toEqual([name]);
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });
});

const names = ["a", "b", "c"] as const;
const values = fc.dictionary(fc.constantFrom(...names), fc.constantFrom<Value[]>("", "x", null, 0, ["x"], []));
const lines = fc.tuple(
  ...names.map((name) =>
    fc
      .record({
        push: fc.constantFrom("always" as const, "create" as const),
        when_empty: fc.constantFrom<WhenEmpty[]>("clear", "keep", "skip", "default"),
      })
      .map((more) => line(name, more)),
  ),
);

test("the order of lines does not matter, and mapping again with the result changes nothing", () => {
  fc.assert(
    fc.property(
      lines,
      values,
      fc.option(values, { nil: undefined }),
      fc.subarray([...names]),
      (all, given, had, fails) => {
        const facts = { values: given, fails };
        const once = mapProfile(all, facts, had);
        expect({ ...mapProfile(all.toReversed(), facts, had).profile }).toEqual({ ...once.profile });
        expect({ ...mapProfile(all, facts, once.profile).profile }).toEqual({ ...once.profile });
        for (const { attribute } of once.errors) expect(once.profile[attribute]).toEqual(had?.[attribute]);
      },
    ),
  );
});
