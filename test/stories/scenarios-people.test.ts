/** The acceptance scenarios of people's lives: 1, 2, 3, 12, 13 and 18. */
import { expect, test } from "vitest";
import type { FakeFault } from "../../src/connectors/fake/connector.ts";
import { listOrphans } from "../../src/directory/accounts.ts";
import { restoreAssignments } from "../../src/directory/departures.ts";
import { deleteUser } from "../../src/directory/userLifecycle.ts";
import { claim } from "../../src/engine/claim.ts";
import { confirm } from "../../src/engine/confirm.ts";
import { desire } from "../../src/engine/desire.ts";
import { operate } from "../../src/engine/provision.ts";
import { isRefusal } from "../../src/store/database.ts";
import { secondNode } from "../support/world.ts";
import { day_ms, hour_ms, minute_ms, must, stage } from "./support.ts";

const s = stage();

test("Scenario 1: created with activate=false is STAGED with no account job, whatever gives the app; activated, every account is made once", async () => {
  const [direct, grouped] = [await s.app({ label: "Direct" }), await s.app({ label: "Grouped" })];
  const group = await s.group("Staff");
  await s.grant(grouped, group);
  const ada = await s.hire("Ada", "Byron", {}, { activate: false });
  await s.assign(direct, ada);
  await s.join(group, [ada]);
  await s.settle();
  expect((await s.person(ada)).status).toBe("STAGED");
  expect([s.calls(direct), s.calls(grouped)]).toEqual([0, 0]);

  await s.turn(ada, "activate");
  expect(await s.settle()).toBe(2);
  for (const app of [direct, grouped]) {
    expect(await s.there(app, ada)).toMatchObject({ enabled: true, profile: { userName: "ada.byron@example.com" } });
    expect(s.calls(app, "create")).toBe(1);
  }
  expect(await s.settle()).toBe(0);
});

const mishaps: readonly [string, FakeFault["kind"]][] = [
  ["the answer to the create is lost", "lose_reply_after_effect"],
  ["the create times out and takes effect later", "slow"],
  ["the app answers 503 first", "refuse_before"],
  ["the app answers 409 although nothing is there", "conflict"],
];

test.each(mishaps)("Scenario 1: one account, although %s", async (_what, kind) => {
  const { app, trouble } = await s.sickApp();
  let struck = 0;
  trouble.script = ({ op }) => (op === "create" && struck++ === 0 ? { kind } : undefined);
  const ada = await s.hire("Ada", "Byron", {}, { activate: false });
  await s.assign(app, ada);
  await s.turn(ada, "activate");
  await s.settle();
  s.fake(app).deliverLate();
  await s.pass(2 * hour_ms);
  expect(struck).toBeGreaterThan(0);
  expect(s.fake(app).accounts.size).toBe(1);
  expect(await s.there(app, ada)).toMatchObject({ enabled: true, profile: { givenName: "Ada", familyName: "Byron" } });
  expect(await s.tasks()).toEqual([]);
});

test("Scenario 1: an account that someone makes between our look and our create is adopted by its 409", async () => {
  const { app, trouble } = await s.sickApp();
  trouble.script = ({ op }) => {
    if (op === "create" && s.fake(app).accounts.size === 0)
      s.fake(app).put({ profile: { userName: "ada.byron@example.com", title: "Made elsewhere" }, enabled: true });
    return undefined;
  };
  const ada = await s.hire("Ada", "Byron", { title: "Countess" });
  await s.assign(app, ada);
  await s.settle();
  expect(s.fake(app).accounts.size).toBe(1);
  expect(await s.there(app, ada)).toMatchObject({ profile: { title: "Countess", givenName: "Ada" } });
});

test("Scenario 1: a job that dies after its create and runs again on another node makes no second account, and the late one decides nothing", async () => {
  const app = await s.app();
  const ada = await s.hire("Ada", "Byron");
  await s.assign(app, ada);
  await desire(s.world(), 10);
  const [first] = await claim(s.world(), [{ app_id: app, n: 1 }]);
  const dead = await operate(s.world(), await s.world().app(app), first!);
  expect(dead).toMatchObject({ ended: "done", external_id: "a1" });

  s.world().clock.advance(5 * minute_ms);
  const other = secondNode(s.world(), "node-2");
  const [again] = await claim(other, [{ app_id: app, n: 1 }]);
  expect(again).toMatchObject({ was_unsure: true, external_id: null });
  await confirm(other, [await operate(other, await other.app(app), again!)]);
  expect((await confirm(s.world(), [dead])).refused).toEqual([first!.account_id]);
  await s.settle();
  expect(s.calls(app, "create")).toBe(1);
  expect(await s.there(app, ada)).toMatchObject({ id: "a1", enabled: true });
});

test.each([
  [true, "Countess", "and its profile pushed"],
  [false, "Typist", "and left as it is, because updates are off"],
])(
  "Scenario 2: with update=%s, a user name that exists downstream is linked, not doubled (title %s) %s",
  async (update, title) => {
    const app = await s.app({ provisioning: { update } });
    const old = s.fake(app).put({ profile: { userName: "ADA.Byron@example.com", title: "Typist" }, enabled: true });
    const ada = await s.hire("Ada", "Byron", { title: "Countess" });
    await s.assign(app, ada);
    await s.settle();
    expect(s.calls(app, "create")).toBe(0);
    expect(await s.there(app, ada)).toMatchObject({ id: old, enabled: true, profile: { title } });
    expect(await s.view(app, ada)).toMatchObject({ external_id: old, status: "PROVISIONED" });
  },
);

test("Scenario 2: a linked account that was off downstream is switched on", async () => {
  const app = await s.app({ provisioning: { update: false } });
  s.fake(app).put({ profile: { userName: "ada.byron@example.com" }, enabled: false });
  const ada = await s.hire("Ada", "Byron");
  await s.assign(app, ada);
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ id: "a1", enabled: true });
});

test("Scenario 2: an account that is somebody else's already is not shared; a task names the conflict", async () => {
  const lines = { userName: { expression: "user.department", push: "always", when_empty: "clear" } } as const;
  const app = await s.app({ lines, label: "Shared desk" });
  const ada = await s.hire("Ada", "Byron", { department: "desk-1" });
  await s.assign(app, ada);
  await s.settle();
  const bob = await s.hire("Bob", "Stone", { department: "desk-1" });
  await s.assign(app, bob);
  await s.settle();
  expect(s.fake(app).accounts.size).toBe(1);
  expect(await s.there(app, bob)).toBeUndefined();
  expect(await s.tasks()).toMatchObject([
    { kind: "provisioning_fault", login: "bob.stone@example.com", app_label: "Shared desk" },
  ]);
});

test("Scenario 3: with Deactivate off, unassigning leaves the account alive and lists it as an orphan, until it is assigned again", async () => {
  const app = await s.app({ provisioning: { on_unassign: "keep" } });
  const ada = await s.hire("Ada", "Byron");
  await s.assign(app, ada);
  await s.settle();
  const calls = s.calls(app);
  await s.unassign(app, ada);
  await s.settle();
  expect(s.calls(app)).toBe(calls);
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
  expect(await listOrphans(s.world().db)).toMatchObject([
    { kind: "released", external_id: "a1", login: "ada.byron@example.com", enabled: true },
  ]);
  expect(await s.view(app, ada)).toMatchObject({ assigned: false, status: "UNASSIGNED" });

  s.fake(app).edit("a1", { set: { title: "Changed by hand" } });
  await s.reconcile(app);
  expect(await s.there(app, ada)).toMatchObject({ profile: { title: "Changed by hand" } });

  await s.assign(app, ada);
  await s.settle();
  expect(await listOrphans(s.world().db)).toEqual([]);
  expect(s.calls(app, "create")).toBe(1);
  expect((await s.there(app, ada))?.profile["title"]).toBeUndefined();
});

test("Scenario 3: a leaver's account is kept alive and listed all the same", async () => {
  const app = await s.app({ provisioning: { on_unassign: "keep" } });
  const ada = await s.hire("Ada", "Byron");
  await s.assign(app, ada);
  await s.settle();
  await s.turn(ada, "deactivate");
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
  expect(await listOrphans(s.world().db)).toMatchObject([{ kind: "released", user_id: ada }]);
});

test("Scenario 12: a suspension is no call at all where the app keeps accounts, disables where it says so, and comes back as it was", async () => {
  const parity = await s.app({ label: "Parity", provisioning: { on_suspend: "keep" } });
  const strict = await s.app({ label: "Strict", provisioning: { on_suspend: "disable" } });
  const ada = await s.hire("Ada", "Byron");
  for (const app of [parity, strict]) await s.assign(app, ada);
  await s.settle();
  const before = s.calls(parity);

  await s.turn(ada, "suspend");
  await s.settle();
  expect(await s.there(parity, ada)).toMatchObject({ enabled: true });
  expect(await s.there(strict, ada)).toMatchObject({ enabled: false });
  expect(await s.view(strict, ada)).toMatchObject({ assigned: true, status: "SUSPENDED" });

  await s.move(ada, { department: "Engines" });
  await s.settle();
  expect(await s.there(parity, ada)).toMatchObject({ enabled: true, profile: { department: "Engines" } });

  await s.turn(ada, "unsuspend");
  await s.settle();
  expect((await s.person(ada)).status).toBe("ACTIVE");
  expect(await s.there(strict, ada)).toMatchObject({ enabled: true, profile: { department: "Engines" } });
  expect(s.calls(parity)).toBe(before + 1);
});

test.each([["lock"], ["expire_password"], ["reset_password"]] as const)(
  "Scenario 12: %s changes nothing downstream",
  async (event) => {
    const app = await s.app();
    const ada = await s.hire("Ada", "Byron");
    await s.assign(app, ada);
    await s.settle();
    const calls = s.calls(app);
    await s.turn(ada, event);
    expect(await s.settle()).toBe(0);
    expect(s.calls(app)).toBe(calls);
  },
);

test("Scenario 13: on return the group's app comes back with the same external id; the individual one only with restore", async () => {
  const [grouped, own] = [await s.app({ label: "Grouped" }), await s.app({ label: "Own" })];
  const group = await s.group("Staff");
  await s.grant(grouped, group);
  const ada = await s.hire("Ada", "Byron");
  await s.join(group, [ada]);
  await s.assign(own, ada, { role: "admin" });
  await s.settle();
  const ids = [(await s.there(grouped, ada))?.id, (await s.there(own, ada))?.id];

  await s.turn(ada, "deactivate");
  await s.settle();
  for (const app of [grouped, own]) expect(await s.there(app, ada)).toMatchObject({ enabled: false });

  await s.pass(30 * day_ms);
  await s.turn(ada, "activate");
  await s.settle();
  expect(await s.there(grouped, ada)).toMatchObject({ id: ids[0], enabled: true });
  expect(await s.there(own, ada)).toMatchObject({ id: ids[1], enabled: false });

  expect(await must(restoreAssignments(s.command(), ada))).toEqual([own]);
  await s.settle();
  expect(await s.there(own, ada)).toMatchObject({ id: ids[1], enabled: true, profile: { role: "admin" } });
  expect([s.calls(grouped, "create"), s.calls(own, "create")]).toEqual([1, 1]);
});

test("Scenario 13: an account that was deleted downstream meanwhile is made anew", async () => {
  const app = await s.app();
  const group = await s.group("Staff");
  await s.grant(app, group);
  const ada = await s.hire("Ada", "Byron");
  await s.join(group, [ada]);
  await s.settle();
  await s.turn(ada, "deactivate");
  await s.settle();
  s.fake(app).remove("a1");
  await s.turn(ada, "activate");
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({
    id: "a2",
    enabled: true,
    profile: { userName: "ada.byron@example.com" },
  });
});

test("Scenario 18: DELETE on ACTIVE only deactivates; on DEPROVISIONED it deletes, once no account works any more", async () => {
  const { app, trouble } = await s.sickApp({ label: "Slow to hear" });
  const ada = await s.hire("Ada", "Byron");
  await s.assign(app, ada);
  await s.settle();
  expect(await deleteUser(s.command(), ada)).toEqual({ deleted: false });
  expect((await s.person(ada)).status).toBe("DEPROVISIONED");

  trouble.script = () => ({ kind: "refuse_before" });
  await s.settle();
  const early = await deleteUser(s.command(), ada);
  expect(isRefusal(early) && early.refused).toContain("Slow to hear");

  trouble.script = undefined;
  await s.pass(2 * hour_ms);
  expect(s.fake(app).accounts.get("a1")).toMatchObject({ enabled: false });
  expect(await deleteUser(s.command(), ada)).toEqual({ deleted: true });
  expect(await s.person(ada)).toBeUndefined();
  // The account was off already: it is not touched, and its name is free for the next one of that name.
  expect(s.fake(app).accounts.size).toBe(1);
});
