import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { sameValue } from "../../src/core/diff.ts";
import { apply, type PlanApp, plan, rune, type Step } from "../../src/core/plan.ts";
import type { Attribute, Capabilities, Have, Profile, Want } from "../../src/core/types.ts";

const all: Capabilities = {
  create: true,
  update: true,
  disable: true,
  delete: true,
  password: true,
  groups: true,
  changes: false,
  writes_max: 100,
};
const can = (...missing: (keyof Capabilities)[]): Capabilities => ({
  ...all,
  ...Object.fromEntries(missing.map((name) => [name, false])),
});

const attribute = (name: string, more: Partial<Attribute> = {}): Attribute => ({
  name,
  type: "string",
  array: false,
  required: false,
  writable: "always",
  readable: true,
  unique: false,
  case_exact: true,
  ...more,
});

const attributes: readonly Attribute[] = [
  attribute("userName", { case_exact: false }),
  attribute("title"),
  attribute("number", { type: "number" }),
  attribute("licences", { array: true }),
  attribute("born", { writable: "create" }),
  attribute("id", { writable: "never" }),
  attribute("pin", { readable: false }),
];
const app = (more: Partial<PlanApp> = {}): PlanApp => ({ can: all, attributes, update: true, state: true, ...more });

const on = (profile: Profile = {}): Want => ({ enabled: true, create: true, profile });
const off = (profile: Profile = {}): Want => ({ enabled: false, create: false, profile });
const has = (profile: Profile = {}, enabled = true): Have => ({ enabled, profile });

type Case = [what: string, want: Want | null, have: Have | null, app: PlanApp, step: Step | string];

const existence: readonly Case[] = [
  ["nothing wanted of nothing", null, null, app(), "="],
  ["an account to make", on({ title: "x" }), null, app(), { kind: "create", profile: { title: "x" }, enabled: true }],
  [
    "empty values are left out of a create",
    on({ title: null }),
    null,
    app(),
    { kind: "create", profile: {}, enabled: true },
  ],
  ["an account is never made only to be disabled", { ...off(), create: true }, null, app(), "="],
  ["an account that is not ours to make is not made", { ...on(), create: false }, null, app(), "="],
  [
    "an app that cannot make accounts says so",
    on(),
    null,
    app({ can: can("create") }),
    { kind: "unsupported", missing: "creating an account" },
  ],
  ["an account to delete", null, has(), app(), { kind: "delete" }],
  ["an account to delete where only disabling is possible", null, has(), app({ can: can("delete") }), "↓"],
  ["it is off already, and cannot be deleted", null, has({}, false), app({ can: can("delete") }), "="],
  ["neither is possible", null, has(), app({ can: can("delete", "disable") }), "!"],
  ["to disable where only deleting is possible", off(), has(), app({ can: can("disable") }), { kind: "delete" }],
  [
    "to disable where neither is possible",
    off(),
    has(),
    app({ can: can("disable", "delete") }),
    { kind: "unsupported", missing: "disabling an account" },
  ],
  ["to disable what is off", off(), has({}, false), app({ can: can("disable", "delete") }), "="],
];

const changes: readonly Case[] = [
  ["nothing differs", on({ title: "x" }), has({ title: "x", more: "theirs" }), app(), "="],
  [
    "one value differs",
    on({ title: "y", userName: "a" }),
    has({ title: "x", userName: "A" }),
    app(),
    { kind: "update", set: { title: "y" }, changes: [{ attribute: "title", before: "x", after: "y" }] },
  ],
  [
    "a value is cleared",
    on({ title: null }),
    has({ title: "x" }),
    app(),
    { kind: "update", set: { title: null }, changes: [{ attribute: "title", before: "x", after: null }] },
  ],
  [
    "a department and the enabled state are one write",
    on({ title: "y" }),
    has({ title: "x" }, false),
    app(),
    { kind: "update", set: { title: "y" }, enabled: true, changes: [{ attribute: "title", before: "x", after: "y" }] },
  ],
  ["an attribute that is not wanted is not ours", on({}), has({ title: "x" }), app(), "="],
  ["an attribute that the app has not got is not written", on({ shoe: 43 }), has(), app(), "="],
  ["what is set only at creation is not changed later", on({ born: "2000" }), has({ born: "1999" }), app(), "="],
  ["what the app decides is not written", on({ id: "1" }), has({ id: "2" }), app(), "="],
  ["what the app never tells is no drift", on({ pin: "1234" }), has({}), app(), "="],
  ["with updates off values are left alone", on({ title: "y" }), has({ title: "x" }), app({ update: false }), "="],
  [
    "with updates off the account is switched all the same",
    on({ title: "y" }),
    has({ title: "x" }, false),
    app({ update: false }),
    "↑",
  ],
  ["where the app says itself who works, nobody is switched on", on(), has({}, false), app({ state: false }), "="],
  ["nor off", off(), has(), app({ state: false }), "="],
  ["but values are written", on({ title: "y" }), has({ title: "x" }, false), app({ state: false }), "~"],
  [
    "an app that cannot change values is only switched",
    on({ title: "y" }),
    has({ title: "x" }, false),
    app({ can: can("update") }),
    "↑",
  ],
  ["the values of an ended assignment are frozen", off({ title: "y" }), has({ title: "x" }, false), app(), "="],
  [
    "a suspended person's account goes on being kept",
    { ...off({ title: "y" }), create: true },
    has({ title: "x" }, false),
    app(),
    "~",
  ],
];

const spellings: readonly [attribute: string, ours: Profile[string], theirs: Profile[string], drift: boolean][] = [
  ["userName", "ada@example.com", "ADA@EXAMPLE.COM", false],
  ["title", "ada", "ADA", true],
  ["number", 7, "7.0", false],
  ["number", 7, "8", true],
  ["licences", ["a", "b"], ["b", "a"], false],
  ["licences", ["a", "b"], ["b"], true],
  ["licences", [], null, false],
  ["title", "", null, false],
  ["title", "x", "x ", true],
];

describe("a plan", () => {
  it.each([...existence, ...changes])("%s", (_what, want, have, where, step) => {
    const found = plan(want, have, where);
    if (typeof step === "string") expect(rune(found)).toBe(step);
    else expect(found).toEqual(step);
  });

  it.each(spellings)("of %s %j against %j: drift is %s", (name, ours, theirs, drift) => {
    expect(plan(on({ [name]: ours }), has({ [name]: theirs }), app()).kind).toBe(drift ? "update" : "none");
  });

  it.each([["__proto__"], ["constructor"], ["toString"]])("reads only own values of %s", (name) => {
    const where = app({ attributes: [attribute(name)] });
    expect(plan(on({}), has({}), where).kind).toBe("none");
    const want = on(Object.fromEntries([[name, "x"]]));
    expect(plan(want, has({}), where)).toMatchObject({ kind: "update" });
    expect(Object.keys((plan(want, null, where) as { profile: Profile }).profile)).toEqual([name]);
  });
});

const value = fc.oneof(
  fc.constantFrom("", "x", "X", "y", "7", "7.0", "true"),
  fc.constantFrom(null, 7, 8, true, false),
  fc.array(fc.constantFrom("a", "b", "A"), { maxLength: 3 }),
);
const profile: fc.Arbitrary<Profile> = fc.dictionary(
  fc.constantFrom(...attributes.map((one) => one.name), "stranger"),
  value,
);
const wants = fc.option(fc.record({ enabled: fc.boolean(), create: fc.boolean(), profile }), { nil: null });
const haves = fc.option(fc.record({ enabled: fc.boolean(), profile }), { nil: null });
const apps: fc.Arbitrary<PlanApp> = fc.record({
  update: fc.boolean(),
  state: fc.boolean(),
  can: fc
    .record({ create: fc.boolean(), update: fc.boolean(), disable: fc.boolean(), delete: fc.boolean() })
    .map((some) => ({ ...all, ...some })),
  attributes: fc.tuple(
    ...attributes.map((one) =>
      fc
        .record({
          writable: fc.constantFrom("always", "create", "never"),
          readable: fc.boolean(),
          case_exact: fc.boolean(),
        })
        .map((more) => ({ ...one, ...more }) as Attribute),
    ),
  ),
});

test("a plan that was carried out leaves nothing to do, whatever is wanted, there and possible", () => {
  fc.assert(
    fc.property(wants, haves, apps, (want, have, where) => {
      const step = plan(want, have, where);
      const next = plan(want, apply(step, have), where);
      if (step.kind === "unsupported") expect(next).toEqual(step);
      // Where disabling is deleting, what is wanted disabled is gone; a person who returns is made anew.
      else expect(next.kind).toBe("none");
    }),
    { numRuns: 2_000 },
  );
});

test("a plan never writes what cannot be written, nor does what the app cannot do", () => {
  fc.assert(
    fc.property(wants, haves, apps, (want, have, where) => {
      const step = plan(want, have, where);
      const by = new Map(where.attributes.map((one) => [one.name, one]));
      if (step.kind === "create") {
        expect(where.can.create && want?.create && want.enabled && have === null).toBe(true);
        for (const [name, given] of Object.entries(step.profile)) {
          expect(by.get(name)?.writable).not.toBe("never");
          expect(given).not.toBeNull();
          expect(given).toEqual(want?.profile[name]);
        }
      }
      if (step.kind === "delete") expect(where.can.delete).toBe(true);
      if (step.kind !== "update") return;
      expect(have).not.toBeNull();
      if (step.enabled === false) expect(where.can.disable).toBe(true);
      if (Object.keys(step.set).length > 0) expect(where.can.update && where.update).toBe(true);
      expect(Object.keys(step.set).length > 0 || step.enabled !== undefined).toBe(true);
      for (const name of Object.keys(step.set))
        expect(by.get(name)).toMatchObject({ writable: "always", readable: true });
    }),
    { numRuns: 2_000 },
  );
});

test("a plan says of each value it writes what it was, and every one of them differs", () => {
  fc.assert(
    fc.property(wants, haves, apps, (want, have, where) => {
      const step = plan(want, have, where);
      if (step.kind !== "update") return;
      expect(Object.fromEntries(step.changes.map((change) => [change.attribute, change.after]))).toEqual(step.set);
      for (const { attribute: name, before, after } of step.changes) {
        expect(before).toEqual(have?.profile[name] ?? null);
        expect(
          sameValue(
            before,
            after,
            where.attributes.find((one) => one.name === name),
          ),
        ).toBe(false);
      }
    }),
  );
});

test("where whether an account works is the app's own affair, no plan changes that, nor ends it", () => {
  fc.assert(
    fc.property(wants, haves, apps, (want, have, some) => {
      fc.pre(have !== null);
      expect(apply(plan(want, have, { ...some, state: false }), have)?.enabled).toBe(have.enabled);
    }),
  );
});

test("an account that is there is off, or gone, after a plan that wants it off, unless the app can do neither", () => {
  fc.assert(
    fc.property(haves, apps, fc.option(profile, { nil: null }), (have, some, frozen) => {
      const where = { ...some, state: true };
      const want = frozen === null ? null : off(frozen);
      const after = apply(plan(want, have, where), have);
      if (where.can.disable || where.can.delete) expect(after?.enabled ?? false).toBe(false);
      else expect(after).toEqual(have);
    }),
  );
});
