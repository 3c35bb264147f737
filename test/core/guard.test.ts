import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultLimit, type GuardRule, judgeLosses, type Limit, type Loss } from "../../src/core/guard.ts";

const hr = { type: "source", id: "0oa1", name: "HR" } as const;

function leaving(count: number, total: number, more: Partial<Loss> = {}): Loss {
  return { kind: "users_deactivated", scope: hr, count, total, ...more };
}

function isHeld(loss: Loss, rules: readonly GuardRule[] = []): boolean {
  return "held" in judgeLosses([loss], rules);
}

describe("a fifth passes, the next one is stopped", () => {
  test.each<[number, number, boolean]>([
    [20, 100, false],
    [21, 100, true],
    [20, 101, false],
    [21, 101, true],
    [22, 110, false],
    [23, 110, true],
    [200, 1000, false],
    [201, 1000, true],
    [9, 10, false],
    [10, 10, true],
    [10, 50, false],
    [10, 49, true],
    [0, 0, false],
    [10, 0, true],
  ])("%i of %i: held %s", (count, total, held) => expect(isHeld(leaving(count, total))).toBe(held));
});

describe("a limit may be set for everything, a kind, an app or a group", () => {
  const limit = (more: Partial<Limit>): Limit => ({ ...defaultLimit, ...more });
  const off = limit({ percent: null });
  const rules: GuardRule[] = [
    { kind: "accounts_deleted", scope_type: "app", scope_id: "0oa2", limit: limit({ percent: null, absolute: 3 }) },
    { kind: "accounts_deleted", scope_type: "app", scope_id: null, limit: limit({ percent: 1, at_least: 1 }) },
    { kind: null, scope_type: "group", scope_id: null, limit: off },
  ];
  const app = (id: string) => ({ type: "app", id, name: id }) as const;
  const group = { type: "group", id: "00g1", name: "All" } as const;
  test.each<[string, Loss, boolean]>([
    ["this app: 3", leaving(3, 4, { kind: "accounts_deleted", scope: app("0oa2") }), false],
    ["this app: 4", leaving(4, 9999, { kind: "accounts_deleted", scope: app("0oa2") }), true],
    ["any app: 1 %", leaving(1, 100, { kind: "accounts_deleted", scope: app("0oa3") }), false],
    ["any app: more", leaving(2, 100, { kind: "accounts_deleted", scope: app("0oa3") }), true],
    ["other kind: default", leaving(20, 100, { kind: "accounts_disabled", scope: app("0oa2") }), false],
    ["groups: off", leaving(100, 100, { kind: "memberships_removed", scope: group }), false],
    ["sources: default", leaving(21, 100), true],
  ])("%s", (_name, loss, held) => expect(isHeld(loss, rules)).toBe(held));
});

describe("a held plan says why, in figures and words", () => {
  test("with the most that would have passed", () => {
    expect(judgeLosses([leaving(31, 100), leaving(1, 100)])).toEqual({
      held: [
        {
          loss: leaving(31, 100),
          by: "percent",
          allowed: 20,
          why: "This would deactivate 31 of 100 people of source HR (31 %; the limit is 20 %)",
        },
      ],
    });
  });
  test("a share just above the limit is not shown as the limit", () => {
    const judged = judgeLosses([leaving(200_001, 1_000_000)]);
    expect("held" in judged && judged.held[0]?.why).toContain("(20.1 %; the limit is 20 %)");
  });
});

const anyLoss = fc.tuple(fc.nat(2000), fc.nat(2000)).map(([a, b]) => leaving(Math.min(a, b), Math.max(a, b)));
const anyLimit: fc.Arbitrary<Limit> = fc.record({
  percent: fc.option(fc.nat(100)),
  at_least: fc.nat(20),
  absolute: fc.option(fc.nat(500)),
});

describe("laws of the guard", () => {
  test("taking away one more is never held less, and `allowed` passes where the next does not", () => {
    fc.assert(
      fc.property(anyLoss, anyLimit, (loss, limit) => {
        const rules: GuardRule[] = [{ kind: null, scope_type: null, scope_id: null, limit }];
        const judged = judgeLosses([loss], rules);
        if (!("held" in judged)) return;
        expect(isHeld({ ...loss, count: loss.count + 1 }, rules)).toBe(true);
        const allowed = Math.min(...judged.held.map((reason) => reason.allowed));
        expect(isHeld({ ...loss, count: allowed }, rules)).toBe(false);
        expect(isHeld({ ...loss, count: allowed + 1 }, rules)).toBe(true);
      }),
    );
  });
  test("a plan that takes nothing away is never held", () => {
    fc.assert(
      fc.property(fc.nat(), anyLimit, (total, limit) => {
        expect(isHeld(leaving(0, total), [{ kind: null, scope_type: null, scope_id: null, limit }])).toBe(false);
      }),
    );
  });
});
