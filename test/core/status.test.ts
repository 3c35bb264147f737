import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AccountFacts, accountStatus, accountSyncState } from "../../src/core/status.ts";
import type { FaultKind, Have, Want } from "../../src/core/types.ts";

const on: Want = { enabled: true, create: true, profile: {} };
const off: Want = { enabled: false, create: true, profile: {} };
const linkOnly: Want = { enabled: true, create: false, profile: {} };
const seen: Have = { enabled: true, profile: {} };
const disabled: Have = { enabled: false, profile: {} };

const settled: AccountFacts = {
  want: on,
  have: seen,
  external_id: "7",
  pending: null,
  fault: null,
  due: false,
  claimed: false,
  provisioning: true,
  assigned: true,
  imported: null,
};
const gone = { want: null, assigned: false };

describe("an account's Okta status follows from its facts", () => {
  const cases: [string, Partial<AccountFacts>, string, string][] = [
    ["assigned, create queued", { have: null, external_id: null, due: true }, "STAGED", "OUT_OF_SYNC"],
    ["assigned, create running", { have: null, external_id: null, claimed: true }, "STAGED", "SYNCING"],
    ["created", {}, "PROVISIONED", "SYNCHRONIZED"],
    ["changed, waiting", { due: true }, "PROVISIONED", "OUT_OF_SYNC"],
    ["confirmed import", { imported: "confirmed" }, "ACTIVE", "SYNCHRONIZED"],
    ["app without provisioning", { provisioning: false, have: null, external_id: null }, "ACTIVE", "DISABLED"],
    ["suspended, app without provisioning", { provisioning: false, want: off }, "SUSPENDED", "DISABLED"],
    ["accepted by the app, not seen yet", { have: null }, "PENDING", "SYNCING"],
    ["creation off, nobody made it", { want: linkOnly, have: null, external_id: null }, "PENDING", "SYNCHRONIZED"],
    ["manual app, task open", { have: null, external_id: null, pending: "create" }, "APPROVED", "OUT_OF_SYNC"],
    ["unassigned, manual task open", { ...gone, pending: "remove" }, "REVOKED", "OUT_OF_SYNC"],
    ["unassigned, disabling", { want: off, assigned: false, due: true }, "REVOKED", "OUT_OF_SYNC"],
    ["unassigned, disabled", { want: off, have: disabled, assigned: false }, "DEPROVISIONED", "SYNCHRONIZED"],
    ["unassigned, deleted", { ...gone, have: null, external_id: null }, "DEPROVISIONED", "SYNCHRONIZED"],
    ["unassigned, left alive", gone, "UNASSIGNED", "DISABLED"],
    ["disabled as wanted", { want: off, have: disabled }, "SUSPENDED", "SYNCHRONIZED"],
    ["disabled by the app", { have: disabled, due: true }, "INACTIVE", "OUT_OF_SYNC"],
    ["import of nobody we know", { ...gone, imported: "new" }, "IMPORTED", "DISABLED"],
    ["import waiting for confirmation", { ...gone, imported: "matched" }, "MATCHED", "DISABLED"],
    ["import not matched", { ...gone, imported: "skipped" }, "UNASSIGNED", "DISABLED"],
    ["wanted without an assignment", { assigned: false }, "IMPLICIT", "SYNCHRONIZED"],
  ];
  test.each(cases)("%s", (_name, facts, status, syncState) => {
    const account = { ...settled, ...facts };
    expect([accountStatus(account), accountSyncState(account)]).toEqual([status, syncState]);
  });

  test("the table shows all 13 statuses", () => {
    expect(new Set(cases.map(([, , status]) => status)).size).toBe(13);
  });
});

describe("a fault shows as ERROR only where a person must act", () => {
  const cases: [FaultKind, string][] = [
    ["retry", "OUT_OF_SYNC"],
    ["rate_limited", "OUT_OF_SYNC"],
    ["not_found", "OUT_OF_SYNC"],
    ["conflict", "ERROR"],
    ["invalid", "ERROR"],
    ["denied", "ERROR"],
    ["unsupported", "ERROR"],
  ];
  test.each(cases)("%s is %s", (fault, state) => {
    expect(accountSyncState({ ...settled, fault, due: true })).toBe(state);
  });
});

const anyFacts: fc.Arbitrary<AccountFacts> = fc.record({
  want: fc.constantFrom(null, on, off, linkOnly),
  have: fc.constantFrom(null, seen, disabled),
  external_id: fc.constantFrom(null, "7"),
  pending: fc.constantFrom(null, "create", "remove"),
  fault: fc.constantFrom<FaultKind | null>(null, "retry", "conflict", "denied"),
  due: fc.boolean(),
  claimed: fc.boolean(),
  provisioning: fc.boolean(),
  assigned: fc.boolean(),
  imported: fc.constantFrom(null, "new", "matched", "skipped", "confirmed"),
});

describe("status never claims more than was seen", () => {
  test("an account last seen enabled is never DEPROVISIONED", () => {
    fc.assert(fc.property(anyFacts, (facts) => !facts.have?.enabled || accountStatus(facts) !== "DEPROVISIONED"));
  });
  test("work that waits is never SYNCHRONIZED", () => {
    fc.assert(
      fc.property(anyFacts, (facts) => !(facts.due || facts.claimed) || accountSyncState(facts) !== "SYNCHRONIZED"),
    );
  });
});
