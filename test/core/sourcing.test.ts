import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { baseUserSchema } from "../../src/core/baseSchema.ts";
import { mergeProfile } from "../../src/core/schema.ts";
import {
  type AttributeSourcing,
  type LossReason,
  profileSource,
  type SourceValues,
  sourceProfile,
} from "../../src/core/sourcing.ts";
import type { Profile, Value } from "../../src/core/types.ts";

const schema = { attributes: baseUserSchema.attributes.filter(({ name }) => ["title", "city"].includes(name)) };
const hr: SourceValues = { app_id: "hr", values: { title: "Engineer", city: "" } };
const ad: SourceValues = { app_id: "ad", values: { title: "Dev", city: "Rome" } };
const crm: SourceValues = { app_id: "crm", values: { title: "Rep" } };

function sourced(current: Profile, sources: readonly SourceValues[], rule?: AttributeSourcing) {
  return sourceProfile(schema, current, sources, new Map(rule ? [["title", rule]] : []));
}

const override = (order: string[], fall_through: "first_non_empty" | "first_assigned" | "named") =>
  ({ mode: "override", order, fall_through }) as const;

describe("an attribute comes from the source that decides it", () => {
  const emptyHr: SourceValues = { app_id: "hr", values: { title: null } };
  const silentHr: SourceValues = { app_id: "hr", values: {} };
  test.each<[string, readonly SourceValues[], AttributeSourcing | undefined, string | null, Value]>([
    ["no source: ours", [], undefined, null, "Boss"],
    ["the profile source", [hr, ad], undefined, "hr", "Engineer"],
    ["the first of the person's sources", [ad, hr], undefined, "ad", "Dev"],
    ["inherit clears what the source has empty", [emptyHr, ad], undefined, "hr", null],
    ["inherit leaves what the source does not map", [silentHr, ad], undefined, null, "Boss"],
    ["ours whatever they say", [hr, ad], { mode: "okta" }, null, "Boss"],
    ["own order", [hr, ad], override(["ad", "hr"], "first_non_empty"), "ad", "Dev"],
    ["own order, only assigned", [hr, crm], override(["ad", "hr"], "first_non_empty"), "hr", "Engineer"],
    ["own order, none assigned", [crm], override(["ad", "hr"], "first_non_empty"), null, "Boss"],
    ["first non-empty passes the empty", [emptyHr, ad], override(["hr", "ad"], "first_non_empty"), "ad", "Dev"],
    ["first non-empty passes the unmapped", [silentHr, ad], override(["hr", "ad"], "first_non_empty"), "ad", "Dev"],
    ["first non-empty, all empty: no value", [emptyHr], override(["hr", "ad"], "first_non_empty"), "hr", null],
    ["first non-empty, all unmapped: ours", [silentHr], override(["hr"], "first_non_empty"), null, "Boss"],
    ["first assigned does not pass the empty", [emptyHr, ad], override(["hr", "ad"], "first_assigned"), "hr", null],
    [
      "first assigned, unmapped: no value, as in Okta",
      [silentHr, ad],
      override(["hr", "ad"], "first_assigned"),
      "hr",
      null,
    ],
    ["named and no other", [ad, hr], override(["hr", "ad"], "named"), "hr", "Engineer"],
    ["named, empty: no value", [emptyHr, ad], override(["hr", "ad"], "named"), "hr", null],
    ["named, not assigned: ours", [ad], override(["hr", "ad"], "named"), null, "Boss"],
  ])("%s", (_name, sources, rule, source, value) => {
    const result = sourced({ title: "Boss" }, sources, rule);
    expect(result.provenance["title"]).toMatchObject({ source, value });
    expect(result.changes).toMatchObject(value === "Boss" ? {} : { title: value });
  });
});

describe("every source that lost is told, and why", () => {
  test.each<[string, AttributeSourcing | undefined, [string, LossReason][]]>([
    [
      "inherit",
      undefined,
      [
        ["ad", "lower_priority"],
        ["crm", "lower_priority"],
      ],
    ],
    [
      "ours",
      { mode: "okta" },
      [
        ["hr", "edited_here"],
        ["ad", "edited_here"],
        ["crm", "edited_here"],
      ],
    ],
    [
      "order",
      override(["ad", "hr"], "first_non_empty"),
      [
        ["hr", "lower_priority"],
        ["crm", "not_in_order"],
      ],
    ],
    [
      "named",
      override(["crm", "hr"], "named"),
      [
        ["hr", "not_in_order"],
        ["ad", "not_in_order"],
      ],
    ],
  ])("%s", (_name, rule, expected) => {
    const losers = sourced({}, [hr, ad, crm], rule).provenance["title"]?.losers;
    expect(losers?.map(({ source, why }) => [source, why])).toEqual(expected);
  });
  test("one passed because it is empty", () => {
    const rule = override(["hr", "ad"], "first_non_empty");
    const { provenance } = sourceProfile(schema, {}, [hr, ad], new Map([["city", rule]]));
    expect(provenance["city"]).toEqual({
      source: "ad",
      value: "Rome",
      losers: [{ source: "hr", value: null, why: "empty" }],
    });
  });
});

test("only the first of the person's sources may end their access", () => {
  expect(profileSource([hr, ad])).toBe("hr");
  expect(profileSource([])).toBeUndefined();
});

test("a source cannot reach anything but its attributes", () => {
  const hostile = { app_id: "hr", values: JSON.parse('{"__proto__":{"title":"x"},"salary":1}') as Profile };
  expect(sourced({ title: "Boss" }, [hostile])).toEqual({
    changes: {},
    provenance: { title: { source: null, value: "Boss", losers: [] } },
  });
});

const anyValue = fc.constantFrom<Value>("a", "b", "", null, ["x"], []);
const anyProfile: fc.Arbitrary<Profile> = fc.dictionary(fc.constantFrom("title", "city"), anyValue);
const anySources: fc.Arbitrary<SourceValues[]> = fc.uniqueArray(
  fc.record({ app_id: fc.constantFrom("hr", "ad", "crm"), values: anyProfile }),
  { selector: (source) => source.app_id, maxLength: 3 },
);
const anyRule: fc.Arbitrary<AttributeSourcing> = fc.oneof(
  fc.constantFrom<AttributeSourcing>({ mode: "inherit" }, { mode: "okta" }),
  fc.record({
    mode: fc.constant("override" as const),
    order: fc.uniqueArray(fc.constantFrom("hr", "ad", "crm"), { maxLength: 3 }),
    fall_through: fc.constantFrom("first_non_empty", "first_assigned", "named"),
  }),
);

describe("laws of sourcing", () => {
  test("once applied, there is nothing left to change, and the provenance tells the profile", () => {
    fc.assert(
      fc.property(anyProfile, anySources, anyRule, anyRule, (current, sources, title, city) => {
        const rules = new Map([
          ["title", title],
          ["city", city],
        ]);
        const first = sourceProfile(schema, current, sources, rules);
        const after = mergeProfile(current, first.changes, "partial");
        const again = sourceProfile(schema, after, sources, rules);
        expect(again.changes).toEqual({});
        for (const [name, { value }] of Object.entries(again.provenance)) expect(after[name] ?? null).toEqual(value);
      }),
    );
  });
  test("every source that offers the attribute wins or loses, once", () => {
    fc.assert(
      fc.property(anyProfile, anySources, anyRule, (current, sources, rule) => {
        const { provenance } = sourceProfile(schema, current, sources, new Map([["title", rule]]));
        const told = provenance["title"];
        for (const { app_id, values } of sources) {
          if (!Object.hasOwn(values, "title")) continue;
          const times = told?.losers.filter((loser) => loser.source === app_id).length ?? 0;
          expect(times).toBe(told?.source === app_id ? 0 : 1);
        }
      }),
    );
  });
});
