import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  assignable,
  type LifecycleEvent,
  type LifecycleReason,
  transition,
  type UserState,
  userStatuses,
} from "../../src/core/lifecycle.ts";
import type { UserStatus } from "../../src/core/types.ts";

const now = new Date("2026-03-02T08:00:00.000Z");
const past = new Date("2026-03-01T08:00:00.000Z");
const future = new Date("2026-03-03T08:00:00.000Z");

const person: UserState = {
  status: "ACTIVE",
  prior_status: null,
  has_password: true,
  signs_in_elsewhere: false,
  super_admin: false,
  hold: null,
  starts_at: null,
  ends_at: null,
};
const newcomer: Extract<LifecycleEvent, { kind: "create" }> = {
  kind: "create",
  activate: true,
  has_password: false,
  change_password: false,
  signs_in_elsewhere: false,
  starts_at: null,
};
const hold = { by: "Ada Admin", reason: "handover", until: null };
const inactive = (mode: "none" | "deactivate" | "suspend") => ({ kind: "source_inactive", mode }) as const;
const active = (suspended: boolean, deactivated: boolean) =>
  ({ kind: "source_active", reactivate_suspended: suspended, reactivate_deactivated: deactivated }) as const;

/** The status after, or the reason of the refusal. */
function outcome(user: UserState | null, event: LifecycleEvent): UserStatus | LifecycleReason {
  const result = transition(user, event, now);
  return "ok" in result ? result.ok.status : result.reason;
}

describe("a new person starts in the status Okta gives them", () => {
  const cases: [string, Partial<typeof newcomer>, UserStatus | LifecycleReason][] = [
    ["not activated", { activate: false }, "STAGED"],
    ["not activated, with a password", { activate: false, has_password: true }, "STAGED"],
    ["activated without a password", {}, "PROVISIONED"],
    ["activated with a password", { has_password: true }, "ACTIVE"],
    ["to change the password", { has_password: true, change_password: true }, "PASSWORD_EXPIRED"],
    ["federated", { signs_in_elsewhere: true }, "ACTIVE"],
    ["federated, not activated", { signs_in_elsewhere: true, activate: false }, "STAGED"],
    ["starting later", { starts_at: future, has_password: true }, "STAGED"],
    ["started already", { starts_at: past, has_password: true }, "ACTIVE"],
    ["federated with a password", { signs_in_elsewhere: true, has_password: true }, "password_elsewhere"],
    ["to change a password that is not there", { change_password: true }, "password_needed"],
    [
      "to change a password, staged",
      { change_password: true, has_password: true, activate: false },
      "password_needs_activation",
    ],
    [
      "to change a password, starting later",
      { change_password: true, has_password: true, starts_at: future },
      "password_needs_activation",
    ],
  ];
  test.each(cases)("%s", (_name, event, expected) => {
    expect(outcome(null, { ...newcomer, ...event })).toBe(expected);
  });
});

/** One letter per status in the order of `userStatuses`; `-` is a refusal. The whole of 1.2 on one screen. */
const letters: Record<string, UserStatus> = {
  S: "STAGED",
  P: "PROVISIONED",
  A: "ACTIVE",
  R: "RECOVERY",
  E: "PASSWORD_EXPIRED",
  L: "LOCKED_OUT",
  U: "SUSPENDED",
  D: "DEPROVISIONED",
};

describe("every status answers every event as the table says (from S P A R E L U D)", () => {
  const table: [string, LifecycleEvent, string, LifecycleReason?][] = [
    ["activate", { kind: "activate" }, "A------A"],
    ["reactivate", { kind: "reactivate" }, "-P-R----", "wrong_status"],
    ["deactivate", { kind: "deactivate" }, "DDDDDDD-", "wrong_status"],
    ["delete", { kind: "delete" }, "DDDDDDDD"],
    ["suspend", { kind: "suspend" }, "UUUUUU--", "cannot_suspend"],
    ["unsuspend", { kind: "unsuspend" }, "------A-", "cannot_unsuspend"],
    ["unlock", { kind: "unlock" }, "-----A--", "not_locked_out"],
    ["lock", { kind: "lock" }, "--L-----", "wrong_status"],
    ["reset_password", { kind: "reset_password" }, "-RRRRR--", "wrong_status"],
    ["complete_reset", { kind: "complete_reset" }, "-A-AA---", "wrong_status"],
    ["expire_password", { kind: "expire_password" }, "--E-E---", "wrong_status"],
    ["set_password", { kind: "set_password" }, "SAAAAL--", "wrong_status"],
    ["create", newcomer, "--------", "already_exists"],
    ["source inactive, do nothing", inactive("none"), "SPARELUD"],
    ["source inactive, deactivate", inactive("deactivate"), "DDDDDDDD"],
    ["source inactive, suspend", inactive("suspend"), "UUUUUUUD"],
    ["source active, both boxes off", active(false, false), "SPARELUD"],
    ["source active, suspended return", active(true, false), "SPARELAD"],
    ["source active, deactivated return", active(false, true), "SPARELUA"],
    ["start reached, no date", { kind: "start_reached" }, "SPARELUD"],
    ["end reached, no date", { kind: "end_reached" }, "SPARELUD"],
  ];
  test.each(table)("%s", (_name, event, row, reason) => {
    const got = userStatuses.map((status) => {
      const result = transition({ ...person, status }, event, now);
      if ("ok" in result) return Object.keys(letters).find((letter) => letters[letter] === result.ok.status);
      if (reason) expect(result.reason).toBe(reason);
      return "-";
    });
    expect(got.join("")).toBe(row);
  });
});

describe("a refused activation says why", () => {
  test.each<[UserStatus, LifecycleReason]>([
    ["ACTIVE", "already_active"],
    ["PROVISIONED", "already_active"],
    ["SUSPENDED", "wrong_status"],
  ])("from %s: %s", (status, reason) => {
    const result = transition({ ...person, status }, { kind: "activate" }, now);
    expect(result).toMatchObject({ reason, code: "illegal_transition", refused: expect.stringContaining(status) });
  });
});

describe("a suspension returns to where it came from", () => {
  test.each(userStatuses.filter((status) => status !== "SUSPENDED" && status !== "DEPROVISIONED"))("%s", (status) => {
    const suspended = transition({ ...person, status }, { kind: "suspend" }, now);
    expect(suspended).toMatchObject({ ok: { status: "SUSPENDED", prior_status: status } });
    const user = { ...person, status: "SUSPENDED", prior_status: status } as const;
    expect(transition(user, { kind: "unsuspend" }, now)).toMatchObject({ ok: { status, prior_status: null } });
    expect(transition(user, active(true, false), now)).toMatchObject({ ok: { status, prior_status: null } });
  });
});

describe("leaving and returning", () => {
  const gone: UserState = { ...person, status: "DEPROVISIONED", has_password: false };
  test("deactivation takes the snapshot before it ends the assignments, and erases the password", () => {
    expect(transition(person, { kind: "deactivate" }, now)).toMatchObject({
      ok: { effects: ["take_snapshot", "end_assignments", "erase_password", "end_sessions", "recompute"] },
    });
  });
  test("a return without a password waits for a new one", () => {
    expect(transition(gone, { kind: "activate" }, now)).toMatchObject({
      ok: { status: "PROVISIONED", effects: ["issue_activation", "recompute"] },
    });
  });
  test("a return of someone who signs in elsewhere is at once", () => {
    expect(outcome({ ...gone, signs_in_elsewhere: true }, { kind: "activate" })).toBe("ACTIVE");
  });
  test("only the deletion of a deactivated person erases them", () => {
    const first = transition(person, { kind: "delete" }, now);
    expect("ok" in first && first.ok.effects).not.toContain("erase_user");
    expect(transition(gone, { kind: "delete" }, now)).toMatchObject({ ok: { effects: ["erase_user"] } });
  });
  test.each([
    ["who starts later", { starts_at: future }, "STAGED"],
    ["whose end is past", { ends_at: past }, "DEPROVISIONED"],
    ["whose end is ahead", { ends_at: future }, "PROVISIONED"],
  ] as const)("a source returns someone %s: %s", (_name, dates, expected) => {
    expect(outcome({ ...gone, ...dates }, active(false, true))).toBe(expected);
  });
});

describe("dates activate and deactivate on the instant, and not before", () => {
  const staged: UserState = { ...person, status: "STAGED" };
  test.each<[string, UserState, "start_reached" | "end_reached", UserStatus | LifecycleReason]>([
    ["start ahead", { ...staged, starts_at: future }, "start_reached", "STAGED"],
    ["start now", { ...staged, starts_at: now }, "start_reached", "ACTIVE"],
    ["start past, no password", { ...staged, starts_at: past, has_password: false }, "start_reached", "PROVISIONED"],
    ["start past, over already", { ...staged, starts_at: past, ends_at: past }, "start_reached", "STAGED"],
    [
      "start past, withdrawn",
      { ...staged, status: "DEPROVISIONED", starts_at: past },
      "start_reached",
      "DEPROVISIONED",
    ],
    ["start past, held", { ...staged, starts_at: past, hold }, "start_reached", "held"],
    ["end ahead", { ...person, ends_at: future }, "end_reached", "ACTIVE"],
    ["end now", { ...person, ends_at: now }, "end_reached", "DEPROVISIONED"],
    ["end past, suspended", { ...person, status: "SUSPENDED", ends_at: past }, "end_reached", "DEPROVISIONED"],
    ["end past, held", { ...person, ends_at: past, hold }, "end_reached", "held"],
    ["end past, super administrator", { ...person, ends_at: past, super_admin: true }, "end_reached", "protected"],
  ])("%s", (_name, user, kind, expected) => {
    expect(outcome(user, { kind })).toBe(expected);
  });
});

describe("an administrator's hold beats sources", () => {
  const held: UserState = { ...person, hold };
  test("the source may neither cut off nor bring back", () => {
    expect(outcome(held, inactive("deactivate"))).toBe("held");
    expect(outcome({ ...held, status: "SUSPENDED" }, active(true, true))).toBe("held");
    expect(outcome({ ...held, status: "DEPROVISIONED" }, active(true, true))).toBe("held");
  });
  test("it names who holds and why", () => {
    expect(transition(held, inactive("suspend"), now)).toMatchObject({
      code: "forbidden",
      refused: expect.stringMatching(/Ada Admin \(handover\).*until it is lifted/),
    });
  });
  test("an administrator may do as they like", () => {
    expect(outcome(held, { kind: "deactivate" })).toBe("DEPROVISIONED");
  });
  test("a source that already agrees is not refused", () => {
    expect(outcome(held, active(true, true))).toBe("ACTIVE");
    expect(outcome({ ...held, status: "DEPROVISIONED" }, inactive("deactivate"))).toBe("DEPROVISIONED");
  });
  test.each([
    [future, "held"],
    [now, "DEPROVISIONED"],
    [past, "DEPROVISIONED"],
  ] as const)("it ends at its time (%s)", (until, expected) => {
    expect(outcome({ ...person, hold: { ...hold, until } }, inactive("deactivate"))).toBe(expected);
  });
});

describe("who signs in elsewhere has no password here", () => {
  test.each(["reset_password", "expire_password", "set_password"] as const)("%s is refused", (kind) => {
    expect(outcome({ ...person, signs_in_elsewhere: true }, { kind })).toBe("password_elsewhere");
  });
});

describe("a status says whether there are accounts", () => {
  const table: [UserStatus, string][] = [
    ["STAGED", "none"],
    ["PROVISIONED", "full"],
    ["ACTIVE", "full"],
    ["RECOVERY", "full"],
    ["PASSWORD_EXPIRED", "full"],
    ["LOCKED_OUT", "full"],
    ["SUSPENDED", "per_app"],
    ["DEPROVISIONED", "none"],
  ];
  test.each(table)("%s: %s", (status, expected) => expect(assignable(status)).toBe(expected));
  test("someone suspended before activation gets none", () => expect(assignable("SUSPENDED", "STAGED")).toBe("none"));
});

const anyDate = fc.constantFrom(null, past, now, future);
const anyUser: fc.Arbitrary<UserState> = fc.record({
  status: fc.constantFrom(...userStatuses),
  prior_status: fc.constant(null),
  has_password: fc.boolean(),
  signs_in_elsewhere: fc.boolean(),
  super_admin: fc.boolean(),
  hold: fc.option(fc.record({ by: fc.constant("Ada"), reason: fc.constant("x"), until: anyDate })),
  starts_at: anyDate,
  ends_at: anyDate,
});
const importEvent: fc.Arbitrary<LifecycleEvent> = fc.oneof(
  fc.constantFrom("none", "deactivate", "suspend").map((mode) => inactive(mode as "none")),
  fc.tuple(fc.boolean(), fc.boolean()).map(([a, b]) => active(a, b)),
  fc.constantFrom("start_reached", "end_reached").map((kind) => ({ kind }) as LifecycleEvent),
);
const anyEvent: fc.Arbitrary<LifecycleEvent> = fc.oneof(
  importEvent,
  fc.constant(newcomer),
  fc
    .constantFrom(
      ...(["activate", "reactivate", "deactivate", "suspend", "unsuspend", "unlock", "lock", "delete"] as const),
      ...(["reset_password", "complete_reset", "expire_password", "set_password"] as const),
    )
    .map((kind) => ({ kind })),
);

/** The user after the event, as the command would store it. */
function apply(user: UserState, event: LifecycleEvent): UserState {
  const result = transition(user, event, now);
  if (!("ok" in result)) return user;
  const { status, prior_status, effects } = result.ok;
  const stored = effects.includes("store_password") || user.has_password;
  return { ...user, status, prior_status, has_password: stored && !effects.includes("erase_password") };
}

describe("laws of the machine", () => {
  test("it is total and closed: any walk stays in the eight statuses, and prior_status is set exactly while suspended", () => {
    fc.assert(
      fc.property(anyUser, fc.array(anyEvent, { maxLength: 30 }), (start, events) => {
        let user: UserState = start.status === "SUSPENDED" ? { ...start, prior_status: "ACTIVE" } : start;
        for (const event of events) {
          user = apply(user, event);
          expect(userStatuses).toContain(user.status);
          expect(user.prior_status !== null).toBe(user.status === "SUSPENDED");
          expect(["SUSPENDED", "DEPROVISIONED"]).not.toContain(user.prior_status);
        }
      }),
    );
  });
  test("a refusal always says something, and never changes anything", () => {
    fc.assert(
      fc.property(anyUser, anyEvent, (user, event) => {
        const result = transition(user, event, now);
        if (!("ok" in result)) expect(result.refused.length).toBeGreaterThan(10);
        else if (!result.ok.changed) expect(result.ok).toMatchObject({ status: user.status, effects: [] });
      }),
    );
  });
  test("sources and dates say a level: saying it twice is saying it once", () => {
    fc.assert(
      fc.property(anyUser, importEvent, (user, event) => {
        const once = apply(user, event);
        const again = transition(once, event, now);
        expect("ok" in again ? again.ok.changed : false).toBe(false);
      }),
    );
  });
  test("nothing an import or a date says cuts off a super administrator", () => {
    fc.assert(
      fc.property(anyUser, fc.array(importEvent, { maxLength: 10 }), (start, events) => {
        fc.pre(start.status !== "SUSPENDED" && start.status !== "DEPROVISIONED");
        const end = events.reduce(apply, { ...start, super_admin: true });
        expect(["SUSPENDED", "DEPROVISIONED"]).not.toContain(end.status);
      }),
    );
  });
  test("nobody deactivated keeps a password", () => {
    fc.assert(
      fc.property(anyUser, fc.array(anyEvent, { maxLength: 20 }), (start, events) => {
        const end = events.reduce(apply, start.status === "DEPROVISIONED" ? { ...start, has_password: false } : start);
        expect(end.status === "DEPROVISIONED" && end.has_password).toBe(false);
      }),
    );
  });
});
