import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { type AppFacts, type Before, desiredAccounts, type OwnGrant, type Person } from "../../src/core/desired.ts";
import { userStatuses } from "../../src/core/lifecycle.ts";
import type { Attribute, GrantKind, Profile, UserStatus, Want } from "../../src/core/types.ts";

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

/** Facts are the user's profile; one line maps the login. */
type Facts = Readonly<{ login: string }>;

function app(id: string, more: Partial<AppFacts<Facts>> = {}): AppFacts<Facts> {
  return {
    id,
    active: true,
    expired: false,
    on_unassign: "disable",
    on_suspend: "disable",
    create: true,
    match_attribute: "userName",
    attributes: [
      attribute("userName"),
      attribute("role"),
      attribute("list", { array: true }),
      attribute("joined", { array: true, union: true }),
    ],
    groups: [],
    lines: [
      {
        attribute: "userName",
        line: { expression: "user.login", push: "always", when_empty: "clear" },
        evaluate: (facts) => ({ value: facts.login }),
      },
    ],
    ...more,
  };
}

type Some = Readonly<{
  status?: UserStatus;
  prior?: UserStatus | null;
  groups?: readonly string[];
  grants?: readonly OwnGrant[];
  before?: readonly Before[];
}>;

function person({ status = "ACTIVE", prior = null, groups = [], grants = [], before = [] }: Some): Person<Facts> {
  const membership = [{ kind: "rule" as const, source_id: "0pr1" }];
  return {
    status,
    prior_status: prior,
    prepared: false,
    groups: new Map(groups.map((id) => [id, membership])),
    grants,
    before,
    facts: () => ({ login: "ada" }),
  };
}

const own = (app_id: string, profile: Profile = {}, kind: GrantKind = "person"): OwnGrant => ({
  app_id,
  kind,
  source_id: "00u1",
  profile,
});
const want = (profile: Profile, more: Partial<Want> = {}): Want => ({ enabled: true, create: true, profile, ...more });
const before = (more: Partial<Before> = {}): Before => ({
  app_id: "a",
  assigned: true,
  want: want({ userName: "ada", role: "old" }),
  external: true,
  match_key: "ada",
  ...more,
});
const byGroup = (group_id: string, priority: number, profile: Profile = {}) => ({ group_id, priority, profile });

describe("an account is assigned", () => {
  const cases: readonly [what: string, Some, Partial<AppFacts<Facts>>, assigned: boolean][] = [
    ["by a grant of one's own", { grants: [own("a")] }, {}, true],
    ["by a group", { groups: ["g"] }, { groups: [byGroup("g", 0)] }, true],
    ["not by a group one is not in", { groups: ["h"] }, { groups: [byGroup("g", 0)] }, false],
    ["not by a grant for another app", { grants: [own("b")] }, {}, false],
    ["not once the licence has expired", { grants: [own("a")] }, { expired: true }, false],
    ["not to someone STAGED", { grants: [own("a")], status: "STAGED" }, {}, false],
    ["not to someone DEPROVISIONED", { grants: [own("a")], status: "DEPROVISIONED" }, {}, false],
    ["to someone LOCKED_OUT", { grants: [own("a")], status: "LOCKED_OUT" }, {}, true],
    ["to someone SUSPENDED", { grants: [own("a")], status: "SUSPENDED", prior: "ACTIVE" }, {}, true],
    [
      "not to someone suspended before they began",
      { grants: [own("a")], status: "SUSPENDED", prior: "STAGED" },
      {},
      false,
    ],
  ];

  it.each(cases)("%s", (_what, some, facts, assigned) => {
    const desired = desiredAccounts(person({ ...some, before: [before({ assigned: false })] }), [app("a", facts)]);
    expect(desired).toMatchObject([{ assigned }]);
    // Nobody who never had it gets a row for not having it.
    const stranger = desiredAccounts(person(some), [app("a", facts)]);
    expect(stranger.length).toBe(assigned ? 1 : 0);
  });

  it("by nothing at all in an inactive app: it is left as it is", () => {
    expect(desiredAccounts(person({ grants: [own("a")], before: [before()] }), [app("a", { active: false })])).toEqual(
      [],
    );
  });
});

describe("values", () => {
  const groups = [
    byGroup("next", 1, { role: "two", joined: ["b", "a"], list: ["y"] }),
    byGroup("top", 0, { role: "one", joined: ["a"], list: ["x"] }),
  ];
  const cases: readonly [what: string, Some, Profile][] = [
    [
      "of the group with the smallest priority win; joined lists are the union",
      { groups: ["top", "next"] },
      { role: "one", joined: ["a", "b"], list: ["x"] },
    ],
    [
      "are the next group's when the first one goes",
      { groups: ["next"] },
      { role: "two", joined: ["b", "a"], list: ["y"] },
    ],
    [
      "of one's own beat the groups', attribute by attribute",
      { groups: ["top", "next"], grants: [own("a", { role: "mine" })] },
      { role: "mine", joined: ["a", "b"], list: ["x"] },
    ],
    [
      "of one's own replace a joined list",
      { groups: ["top", "next"], grants: [own("a", { joined: ["z"] })] },
      { role: "one", joined: ["z"], list: ["x"] },
    ],
    [
      "of one's own that are null leave it to the groups",
      { groups: ["top"], grants: [own("a", { role: null })] },
      { role: "one", joined: ["a"], list: ["x"] },
    ],
  ];

  it.each(cases)("%s", (_what, some, profile) => {
    const [desired] = desiredAccounts(person(some), [app("a", { groups })]);
    expect(desired?.want?.profile).toEqual({ userName: "ada", ...profile });
  });

  it("given with an assignment beat the mapping, and the account is found by them", () => {
    const [desired] = desiredAccounts(person({ grants: [own("a", { userName: "other" })] }), [app("a")]);
    expect(desired).toMatchObject({ want: { profile: { userName: "other" } }, match_key: "other" });
  });

  it("that a group leaves to another one are taken from there", () => {
    const some = [byGroup("top", 0, { role: null }), byGroup("next", 1, { role: "two" })];
    const [desired] = desiredAccounts(person({ groups: ["top", "next"] }), [app("a", { groups: some })]);
    expect(desired?.want?.profile).toMatchObject({ role: "two" });
  });

  it("tell who gave the account: the person's own grants first, then groups by priority with the reason of the membership", () => {
    const [desired] = desiredAccounts(person({ groups: ["top", "next"], grants: [own("a")] }), [app("a", { groups })]);
    expect(desired?.grants.map((grant) => [grant.scope, grant.source_id, grant.priority])).toEqual([
      ["USER", "00u1", undefined],
      ["GROUP", "top", 0],
      ["GROUP", "next", 1],
    ]);
    expect(desired?.grants[1]?.membership).toEqual([{ kind: "rule", source_id: "0pr1" }]);
  });

  it("that match by nothing keep the key the account was known by", () => {
    const lines = app("a").lines.map((line) => ({ ...line, evaluate: () => ({ value: null }) }));
    const [desired] = desiredAccounts(person({ grants: [own("a")], before: [before()] }), [app("a", { lines })]);
    expect(desired).toMatchObject({ want: { profile: { userName: null } }, match_key: "ada" });
  });
});

describe("when an assignment ends", () => {
  const frozen = { userName: "ada", role: "old" };
  const cases: readonly [on_unassign: AppFacts<Facts>["on_unassign"], want: Want | null, release: boolean][] = [
    ["disable", { enabled: false, create: false, profile: frozen }, false],
    ["delete", null, false],
    ["keep", { enabled: true, create: false, profile: frozen }, true],
  ];

  it.each(cases)("an app that says %s wants %j, released: %s", (on_unassign, wanted, release) => {
    const [desired] = desiredAccounts(person({ before: [before()] }), [app("a", { on_unassign })]);
    expect(desired).toEqual({
      app_id: "a",
      assigned: false,
      want: wanted,
      grants: [],
      match_key: "ada",
      release,
      errors: [],
    });
  });

  it.each(cases)("and it ended before (%s), what was decided then stays", (on_unassign, wanted) => {
    const [desired] = desiredAccounts(person({ before: [before({ assigned: false, want: wanted })] }), [
      app("a", { on_unassign }),
    ]);
    expect(desired).toMatchObject({ assigned: false, want: wanted, release: false });
  });

  it("and begins again, create-only values are computed anew", () => {
    const lines = app("a").lines.map((line) => ({ ...line, line: { ...line.line, push: "create" as const } }));
    const had = { want: want({ userName: "first" }) };
    const value = (assigned: boolean) =>
      desiredAccounts(person({ grants: [own("a")], before: [before({ ...had, assigned })] }), [app("a", { lines })])[0]
        ?.want?.profile;
    expect(value(true)).toEqual({ userName: "first" });
    expect(value(false)).toEqual({ userName: "ada" });
  });
});

it.each([
  ["disable", false],
  ["keep", true],
] as const)(
  "a suspended person's account in an app that says %s is enabled: %s, and goes on being kept",
  (on_suspend, enabled) => {
    const some = { status: "SUSPENDED", prior: "ACTIVE", grants: [own("a")] } as const;
    expect(desiredAccounts(person(some), [app("a", { on_suspend })])).toMatchObject([
      { assigned: true, want: { enabled, create: true, profile: { userName: "ada" } } },
    ]);
  },
);

const profiles = fc.dictionary(fc.constantFrom("role", "userName"), fc.constantFrom("x", "y", null));
const joins = fc.uniqueArray(fc.constantFrom("g1", "g2", "g3"));
const worlds = fc.record({
  status: fc.constantFrom(...userStatuses),
  prior: fc.constantFrom<(UserStatus | null)[]>(null, "ACTIVE", "STAGED"),
  groups: joins,
  grants: fc.array(
    fc.record({
      app_id: fc.constantFrom("a", "b"),
      kind: fc.constantFrom<GrantKind[]>("person", "request"),
      source_id: fc.constantFrom("1", "2"),
      profile: profiles,
    }),
    { maxLength: 1 },
  ),
  before: fc.option(
    fc.record({
      assigned: fc.boolean(),
      want: fc.option(fc.record({ enabled: fc.boolean(), create: fc.boolean(), profile: profiles }), { nil: null }),
    }),
    { nil: undefined },
  ),
});
const companies = fc
  .array(
    fc.record({
      id: fc.constantFrom("a", "b", "c"),
      active: fc.boolean(),
      expired: fc.boolean(),
      create: fc.boolean(),
      on_unassign: fc.constantFrom("disable" as const, "delete" as const, "keep" as const),
      on_suspend: fc.constantFrom("disable" as const, "keep" as const),
      groups: fc.uniqueArray(
        fc.record({ group_id: fc.constantFrom("g1", "g2", "g3"), priority: fc.nat(2), profile: profiles }),
        { selector: (one) => one.group_id },
      ),
    }),
    { maxLength: 3 },
  )
  .map((all) => [...new Map(all.map((one) => [one.id, app(one.id, one)])).values()]);

const told = (some: typeof worlds extends fc.Arbitrary<infer T> ? T : never) =>
  person({ ...some, before: some.before === undefined ? [] : [before({ ...some.before })] });

test("the answer is total, at most one per active app, and enabled only for someone who may have accounts", () => {
  fc.assert(
    fc.property(worlds, companies, (some, all) => {
      const desired = desiredAccounts(told(some), all);
      expect(new Set(desired.map((one) => one.app_id)).size).toBe(desired.length);
      for (const one of desired) {
        const facts = all.find((each) => each.id === one.app_id);
        expect(facts?.active).toBe(true);
        expect(one.assigned).toBe(one.grants.length > 0);
        if (one.assigned) expect(["STAGED", "DEPROVISIONED"]).not.toContain(some.status);
        if (one.assigned) expect(facts?.expired).toBe(false);
        if (!one.assigned && some.before?.assigned === true && !one.release)
          expect(one.want?.enabled ?? false).toBe(false);
      }
    }),
    { numRuns: 1_000 },
  );
});

test("the order of apps, groups, memberships and grants does not matter", () => {
  fc.assert(
    fc.property(worlds, companies, (some, all) => {
      const sorted = (answer: ReturnType<typeof desiredAccounts>) =>
        answer.toSorted((a, b) => (a.app_id < b.app_id ? -1 : 1));
      const turned = all
        .map((one) => ({ ...one, groups: one.groups.toReversed(), attributes: one.attributes.toReversed() }))
        .toReversed();
      const other = { ...some, groups: some.groups.toReversed(), grants: some.grants.toReversed() };
      expect(sorted(desiredAccounts(told(other), turned))).toEqual(sorted(desiredAccounts(told(some), all)));
    }),
    { numRuns: 1_000 },
  );
});

test("deciding again from what was decided changes nothing", () => {
  fc.assert(
    fc.property(worlds, companies, (some, all) => {
      const first = desiredAccounts(told(some), all);
      const rows = first.map((one) =>
        before({ app_id: one.app_id, assigned: one.assigned, want: one.want, match_key: one.match_key }),
      );
      const again = desiredAccounts(person({ ...some, before: rows }), all);
      expect(again.map(({ release: _, ...rest }) => rest)).toEqual(first.map(({ release: _, ...rest }) => rest));
    }),
    { numRuns: 1_000 },
  );
});
