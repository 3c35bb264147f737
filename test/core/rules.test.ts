import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { baseUserSchema } from "../../src/core/baseSchema.ts";
import { checkExpression, type Facts, type GroupFact } from "../../src/core/expression/expression.ts";
import { evaluateRules, orderRules, type ReadyRule, type RuledPerson, ruleMoves } from "../../src/core/rules.ts";
import type { Profile, UserStatus } from "../../src/core/types.ts";

const group = (name: string): GroupFact => ({
  id: `00g${name}`,
  name,
  type: "OKTA_GROUP",
  source_id: null,
  profile: { name },
});

function rule(id: string, expression: string, targets: readonly string[]): ReadyRule {
  const judged = checkExpression(expression, { context: "rule", user: baseUserSchema.attributes });
  if (!("ok" in judged)) expect.fail(JSON.stringify(judged.problems));
  const { groups, clock, people } = judged.ok.dependencies;
  const reads = { reads: groups, clock, people: Object.keys(people).length > 0 };
  return { id, name: id, targets: targets.map(group), ...reads, test: judged.ok.compile().test };
}

/** A person whose groups are given as name → who granted them; a rule's grant is `rule:<id>`. */
function person(
  user: Profile,
  groups: Readonly<Record<string, readonly string[]>> = {},
  more: { status?: UserStatus; exceptions?: string[] } = {},
): RuledPerson {
  const facts: Facts = {
    user,
    user_id: "00u1",
    user_status: more.status ?? "ACTIVE",
    groups: Object.keys(groups).map(group),
    now: new Date(0),
    time_zone: "UTC",
  };
  const grants = Object.entries(groups).map(([name, givers]) => {
    const held = givers.map((giver) =>
      giver.startsWith("rule:")
        ? { kind: "rule" as const, source_id: giver.slice(5) }
        : { kind: "person" as const, source_id: giver },
    );
    return [`00g${name}`, held] as const;
  });
  return { facts, groups: new Map(grants), exceptions: new Set(more.exceptions ?? []) };
}

const ordered = (rules: readonly ReadyRule[]) => {
  const order = orderRules(rules);
  if ("cycle" in order) expect.fail(`circle of ${order.cycle.map((one) => one.id).join()}`);
  return order.ok;
};

const brief = (rules: readonly ReadyRule[], who: RuledPerson) => {
  const { add, remove, errors } = ruleMoves(ordered(rules), who);
  const text = (grant: { rule_id: string; group_id: string }) => `${grant.rule_id} ${grant.group_id.slice(3)}`;
  return { add: add.map(text), remove: remove.map(text), errors: errors.map((error) => error.rule_id) };
};

const sales = rule("r1", 'user.department == "Sales"', ["Sales", "All"]);

describe("the moves of one person", () => {
  const cases: [string, RuledPerson, { add: string[]; remove: string[] }][] = [
    ["match and are not in: join", person({ department: "Sales" }), { add: ["r1 Sales", "r1 All"], remove: [] }],
    [
      "match and are in by the rule: nothing",
      person({ department: "Sales" }, { Sales: ["rule:r1"], All: ["rule:r1"] }),
      { add: [], remove: [] },
    ],
    [
      "match and are in by hand: get the rule's grant beside it",
      person({ department: "Sales" }, { Sales: ["ada"], All: ["rule:r1"] }),
      { add: ["r1 Sales"], remove: [] },
    ],
    ["do not match: leave", person({}, { Sales: ["rule:r1", "ada"] }), { add: [], remove: ["r1 Sales"] }],
    [
      "hold a group the rule no longer fills: leave it",
      person({}, { Old: ["rule:r1"] }),
      { add: [], remove: ["r1 Old"] },
    ],
    ["hold a grant of a rule that is not running: keep it", person({}, { Old: ["rule:r9"] }), { add: [], remove: [] }],
    [
      "are excepted: leave, whatever matches",
      person({ department: "Sales" }, { Sales: ["rule:r1"] }, { exceptions: ["r1"] }),
      { add: [], remove: ["r1 Sales"] },
    ],
    [
      "are deactivated: stay as they are",
      person({}, { Sales: ["rule:r1"] }, { status: "DEPROVISIONED" }),
      { add: [], remove: [] },
    ],
  ];
  it.each(cases)("people who %s", (_, who, moves) => {
    expect(brief([sales], who)).toEqual({ ...moves, errors: [] });
  });

  it("a rule that fails is not a no: what it gave stays, and it gives nothing new", () => {
    const failing: ReadyRule = { ...sales, test: () => ({ error: "too many steps" }) };
    expect(brief([failing], person({}, { Sales: ["rule:r1"] }))).toEqual({ add: [], remove: [], errors: ["r1"] });
  });
});

describe("rules that read groups", () => {
  const staff = rule("a1", 'isMemberOfGroupName("Sales")', ["Staff"]);
  const badge = rule("a0", 'isMemberOfGroupNameStartsWith("Sta")', ["Badge"]);

  it("run after those that fill them", () => {
    expect(ordered([badge, staff, sales]).map((one) => one.id)).toEqual(["r1", "a1", "a0"]);
    expect(brief([badge, staff, sales], person({ department: "Sales" })).add).toEqual([
      "r1 Sales",
      "r1 All",
      "a1 Staff",
      "a0 Badge",
    ]);
  });

  it("do not feed on their own former grants", () => {
    const who = person({}, { Sales: ["rule:r1"], Staff: ["rule:a1"], Badge: ["rule:a0"] });
    expect(brief([badge, staff, sales], who).remove).toEqual(["r1 Sales", "a1 Staff", "a0 Badge"]);
  });

  it("read what is granted by hand, by rules that are not running, and what nobody granted", () => {
    for (const giver of [["ada"], ["rule:r9"], []]) {
      expect(brief([staff], person({}, { Sales: giver })).add).toEqual(["a1 Staff"]);
    }
  });

  const circles: [string, ReadyRule[], string[]][] = [
    ["itself", [rule("x", 'isMemberOfGroup("00gA")', ["A"])], ["x"]],
    [
      "two",
      [rule("x", 'isMemberOfGroup("00gA")', ["B"]), rule("y", 'isMemberOfGroupName("B")', ["A"]), sales],
      ["x", "y"],
    ],
    [
      "three, by name, part and pattern",
      [
        rule("x", 'isMemberOfGroupNameContains("lph")', ["Beta"]),
        rule("y", 'isMemberOfGroupNameRegex("Be.*")', ["Gamma"]),
        rule("z", 'isMemberOfGroupName("Gamma")', ["Alpha"]),
      ],
      ["x", "y", "z"],
    ],
  ];
  it.each(circles)("are refused in a circle of %s", (_, rules, ids) => {
    const order = orderRules(rules);
    expect("cycle" in order && order.cycle.map((one) => one.id).toSorted()).toEqual(ids);
  });

  it("form a chain as long as anyone likes", () => {
    const chain = Array.from({ length: 2_000 }, (_, n) =>
      rule(`c${2_000 - n}`, n === 0 ? "true" : `isMemberOfGroup("00gG${n - 1}")`, [`G${n}`]),
    );
    expect(evaluateRules(ordered(chain), person({})).grants).toHaveLength(2_000);
  });
});

describe("laws", () => {
  const names = ["A", "B", "C", "D", "E"] as const;
  /** A rule may read only groups of earlier letters than it fills, so no circle can come of it. */
  const anyRule = fc.tuple(fc.nat(4), fc.nat(4), fc.boolean()).map(([from, to, not]) => {
    const reads = from < to;
    const condition = reads ? `isMemberOfGroup("00g${names[from]}")` : 'user.department == "Sales"';
    return { expression: not ? `!(${condition})` : condition, target: names[to] ?? "A" };
  });
  const anyRules = fc
    .array(anyRule, { maxLength: 8 })
    .map((drafts) => drafts.map(({ expression, target }, n) => rule(`r${n}`, expression, [target])));
  const anyGroups = fc.dictionary(
    fc.constantFrom(...names),
    fc.uniqueArray(fc.constantFrom("ada", "rule:r0", "rule:r1", "rule:r9"), { minLength: 1 }),
  );

  it("after the moves there is nothing left to move, and the order of the rules does not matter", () => {
    fc.assert(
      fc.property(anyRules, anyGroups, fc.boolean(), (rules, groups, in_sales) => {
        const user: Profile = in_sales ? { department: "Sales" } : {};
        const moves = ruleMoves(ordered(rules), person(user, groups));
        const after: Record<string, string[]> = Object.fromEntries(
          Object.entries(groups).map(([name, givers]) => [name, [...givers]]),
        );
        for (const { group_id, rule_id } of moves.remove) {
          const name = group_id.slice(3);
          after[name] = (after[name] ?? []).filter((giver) => giver !== `rule:${rule_id}`);
          if (after[name].length === 0) delete after[name];
        }
        for (const { group_id, rule_id } of moves.add) {
          const name = group_id.slice(3);
          after[name] = [...(after[name] ?? []), `rule:${rule_id}`];
        }
        expect(ruleMoves(ordered(rules.toReversed()), person(user, after))).toEqual({
          add: [],
          remove: [],
          errors: [],
        });
      }),
    );
  });
});
