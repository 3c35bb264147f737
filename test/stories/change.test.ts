/** Stories of changes that reach many: mappings, rules on rules, managers, switched-off apps; and of apps that differ. */
import { expect, test } from "vitest";
import type { FakeFault } from "../../src/connectors/fake/connector.ts";
import { listOrphans } from "../../src/directory/accounts.ts";
import { appHealth, resumeApp } from "../../src/directory/appHealth.ts";
import { activateApp, deactivateApp } from "../../src/directory/apps.ts";
import { defineAttributes, removeAttributes } from "../../src/directory/schemas.ts";
import { claim, runnable } from "../../src/engine/claim.ts";
import { reconcileApp } from "../../src/engine/reconcile.ts";
import { day_ms, hour_ms, minute_ms, must, stage } from "./support.ts";

const s = stage();

/** An app that everyone hired here has. */
async function staffApp(names: readonly string[]) {
  const { app, trouble } = await s.sickApp({ label: "Mail" });
  const staff = await s.group("Staff");
  await s.grant(app, staff);
  const people = await s.hireAll(names, { department: "Mills" });
  await s.join(staff, people);
  await s.settle();
  return { app, trouble, staff, people };
}

test("an edited mapping is applied to everyone who has the app, one write each, and to nobody twice", async () => {
  const { app, people } = await staffApp(["Ada", "Bob", "Cy"]);
  await s.map(app, { title: { expression: 'user.department + " staff"' } });
  expect(await s.settle()).toBe(3);
  for (const user of people) expect((await s.there(app, user))?.profile).toMatchObject({ title: "Mills staff" });
  expect(await s.settle()).toBe(0);
  expect(s.calls(app, "update")).toBe(3);
});

test("a line whose attribute is gone keeps every account as it is and is one task; mended, the task closes", async () => {
  await must(defineAttributes(s.command(), "user", [{ name: "badge", type: "string" }]));
  const { app, people } = await staffApp(["Ada", "Bob"]);
  await s.map(app, { title: { expression: '"Badge " + user.badge' } });
  for (const user of people) await s.move(user, { badge: "7" });
  await s.settle();
  await must(removeAttributes(s.command(), "user", ["badge"]));
  await s.settle();
  for (const user of people)
    expect(await s.there(app, user)).toMatchObject({ enabled: true, profile: { title: "Badge 7" } });
  expect(await s.tasks()).toMatchObject([{ kind: "mapping_error", app_label: "Mail", detail: { attribute: "title" } }]);
  await s.map(app, { department: { expression: '"Old mills"' } });
  await s.settle();
  expect(await s.tasks()).toHaveLength(1);
  await s.map(app, { title: { expression: "user.title" } });
  await s.settle();
  for (const user of people) expect((await s.there(app, user))?.profile["title"]).toBeUndefined();
  expect(await s.tasks()).toEqual([]);
});

test("a rule on a rule: one change of a person goes through both at once, and back", async () => {
  const [sales, emea, app] = [await s.group("Sales"), await s.group("Sales EMEA"), await s.app()];
  await s.grant(app, emea);
  // Made in the order opposite to the one they run in.
  await s.rule("EMEA", 'isMemberOfGroupName("Sales") AND user.countryCode == "DE"', [emea]);
  await s.rule("Sales", 'user.department == "Sales"', [sales]);
  const ada = await s.hire("Ada", "Byron", { department: "Sales", countryCode: "DE" });
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
  await s.move(ada, { department: "Mills" });
  await s.settle();
  expect(await s.membersOf(emea)).toEqual([]);
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
});

test("an expression that reads groups is evaluated again when the membership changes", async () => {
  const { app, people } = await staffApp(["Ada"]);
  const vip = await s.group("VIP");
  await s.map(app, { title: { expression: 'isMemberOfGroupName("VIP") ? "important" : "normal"' } });
  await s.settle();
  expect((await s.there(app, people[0]!))?.profile).toMatchObject({ title: "normal" });
  await s.join(vip, people);
  await s.settle();
  expect((await s.there(app, people[0]!))?.profile).toMatchObject({ title: "important" });
});

test("a manager in a mapping follows the manager's own change, and a new manager", async () => {
  const app = await s.app();
  const expression = 'getManagerUser("active_directory").lastName';
  await s.map(app, { manager: { expression } });
  const boss = await s.hire("Grace", "Hopper");
  await s.hire("Mary", "Shelley");
  const ada = await s.hire("Ada", "Byron", { managerId: boss });
  await s.assign(app, ada);
  await s.settle();
  expect((await s.there(app, ada))?.profile).toMatchObject({ manager: "Hopper" });
  await s.move(boss, { lastName: "Murray" });
  await s.settle();
  expect((await s.there(app, ada))?.profile).toMatchObject({ manager: "Murray" });
  await s.move(ada, { managerId: "mary.shelley@example.com" });
  await s.settle();
  expect((await s.there(app, ada))?.profile).toMatchObject({ manager: "Shelley" });
});

test("an inactive app is left alone, for leavers too; switched on again it catches up with everything", async () => {
  const { app, people, staff } = await staffApp(["Ada", "Bob"]);
  await must(deactivateApp(s.command(), app));
  const calls = s.calls(app);
  await s.turn(people[0]!, "deactivate");
  const cy = await s.hire("Cy", "Worker");
  await s.join(staff, [cy]);
  await s.pass(day_ms);
  expect(s.calls(app)).toBe(calls);
  expect(await s.there(app, people[0]!)).toMatchObject({ enabled: true });
  await must(activateApp(s.command(), app));
  await s.settle();
  expect(await s.there(app, people[0]!)).toMatchObject({ enabled: false });
  expect(await s.there(app, people[1]!)).toMatchObject({ enabled: true });
  expect(await s.there(app, cy)).toMatchObject({ enabled: true });
});

test("credentials that are refused pause the app with one task for all its people; put right, all are worked on", async () => {
  const { app, trouble, staff } = await staffApp(["Ada"]);
  const well = await s.app({ label: "Well" });
  trouble.script = () => ({ kind: "denied" });
  const people = await s.hireAll(["Bob", "Cy", "Di", "Ed"]);
  await s.join(staff, people);
  await s.assign(well, people[0]!);
  await s.settle();
  expect(await s.tasks()).toMatchObject([{ kind: "app_paused", app_label: "Mail" }]);
  expect(await appHealth(s.world().db, s.world().now(), [app])).toMatchObject([
    { state: "paused", pause_fault: "denied" },
  ]);
  expect(await s.there(well, people[0]!)).toMatchObject({ enabled: true });

  trouble.script = undefined;
  await must(resumeApp(s.command(), app));
  await s.settle();
  for (const user of people) expect(await s.there(app, user)).toMatchObject({ enabled: true });
  expect(await s.tasks()).toEqual([]);
});

test("after ten faults in a row an app is tried with one account at a time, until one succeeds", async () => {
  const { app, trouble, staff } = await staffApp(["Ada"]);
  trouble.script = () => ({ kind: "refuse_before" });
  const people = await s.hireAll(Array.from({ length: 30 }, (_, n) => `P${n}`));
  await s.join(staff, people);
  await s.settle();
  const [health] = await appHealth(s.world().db, s.world().now(), [app]);
  expect(health).toMatchObject({ state: "paused", pause_fault: "retry" });
  expect(await runnable(s.world())).toEqual([]);

  const before = s.calls(app);
  s.world().clock.set(health!.paused_until!);
  await s.settle();
  expect(s.calls(app)).toBe(before + 1);

  trouble.script = undefined;
  await s.pass(2 * hour_ms);
  for (const user of people) expect(await s.there(app, user)).toMatchObject({ enabled: true });
  expect(await appHealth(s.world().db, s.world().now(), [app])).toMatchObject([{ state: "ok", faults_in_row: 0 }]);
});

test("what an app refuses is parked with a task that names the attribute, and tried again when the value changes", async () => {
  const { app, people } = await staffApp(["Ada"]);
  await s.map(app, { userName: { expression: 'user.department == "Void" ? null : user.login' } });
  await s.move(people[0]!, { department: "Void" });
  await s.settle();
  const [task] = await s.tasks();
  expect(task).toMatchObject({ kind: "provisioning_fault", detail: { fault: "invalid", attribute: "userName" } });
  const calls = s.calls(app);
  await s.pass(7 * day_ms);
  expect(s.calls(app)).toBe(calls);
  await s.move(people[0]!, { department: "Mills" });
  await s.settle();
  expect(await s.tasks()).toEqual([]);
});

test("reconcile mends drift, finds accounts that are missing, and lists accounts of nobody without touching them", async () => {
  const { app, people } = await staffApp(["Ada", "Bob", "Cy", "Di"]);
  const fake = s.fake(app);
  fake.edit("a1", { set: { department: "Meddled" } });
  fake.edit("a2", { enabled: false });
  fake.remove("a3");
  const eve = fake.put({ profile: { userName: "eve@example.com" }, enabled: true });
  s.world().clock.advance(minute_ms);
  expect(await s.reconcile(app)).toMatchObject({ listed: 4, drifted: 2, missing: 1, orphans: 1, complete: true });
  for (const user of people)
    expect(await s.there(app, user)).toMatchObject({ enabled: true, profile: { department: "Mills" } });
  expect(fake.accounts.get(eve)).toEqual({ profile: { userName: "eve@example.com" }, enabled: true });
  expect(await listOrphans(s.world().db)).toMatchObject([{ kind: "found", external_id: eve }]);

  s.world().clock.advance(minute_ms);
  const calls = s.calls(app, "create", "update", "delete");
  expect(await s.reconcile(app)).toMatchObject({ drifted: 0, missing: 0, orphans: 1 });
  expect(s.calls(app, "create", "update", "delete")).toBe(calls);
});

test("an account that comes back to life in the app after its person left is disabled again", async () => {
  const { app, people } = await staffApp(["Ada"]);
  await s.turn(people[0]!, "deactivate");
  await s.settle();
  s.fake(app).edit("a1", { enabled: true });
  await s.pass(minute_ms);
  await s.reconcile(app);
  expect(await s.there(app, people[0]!)).toMatchObject({ enabled: false });
});

test("a difference of spelling that the app makes itself is no drift", async () => {
  const { app, people } = await staffApp(["Ada"]);
  s.fake(app).edit("a1", { set: { userName: "ADA.WORKER@EXAMPLE.COM", email: "Ada.Worker@Example.com" } });
  await s.pass(minute_ms);
  expect(await s.reconcile(app)).toMatchObject({ drifted: 0 });
  expect((await s.there(app, people[0]!))?.profile).toMatchObject({ userName: "ADA.WORKER@EXAMPLE.COM" });
});

test.each<[string, FakeFault["kind"]]>([
  ["repeats a page for ever", "looping_page"],
  ["shows an account twice", "duplicate_page"],
  ["lags behind", "stale_read"],
])("a list that %s removes nobody and doubles nobody", async (_what, kind) => {
  const names = Array.from({ length: 120 }, (_, n) => `P${n}`);
  const { app, trouble, people } = await staffApp(names);
  let struck = 0;
  trouble.script = ({ op }) => (op === "list" && struck++ < 3 ? { kind } : undefined);
  await s.pass(minute_ms);
  await reconcileApp(s.world(), app).catch(() => undefined);
  trouble.script = undefined;
  await s.settle();
  expect(struck).toBeGreaterThan(0);
  expect(s.fake(app).accounts.size).toBe(people.length);
  expect([...s.fake(app).accounts.values()].every((account) => account.enabled)).toBe(true);
});

test("a list that the connector cannot vouch for doubts nobody who is not in it", async () => {
  const { app } = await staffApp(["Ada", "Bob"]);
  const honest = s.world().connectors.get(app)!;
  s.world().connectors.set(app, {
    ...honest,
    list: async () => ({ items: [], complete: false }),
  });
  await s.pass(minute_ms);
  expect(await s.reconcile(app)).toMatchObject({ listed: 0, missing: 0, complete: false });
  s.world().connectors.set(app, { ...honest, list: async () => ({ items: [], complete: true }) });
  const calls = s.calls(app, "create");
  // Even a complete list is not believed against the app's own answer about one account.
  expect(await s.reconcile(app)).toMatchObject({ listed: 0, missing: 2 });
  expect(s.calls(app, "create")).toBe(calls);
  expect([...s.fake(app).accounts.values()].every((account) => account.enabled)).toBe(true);
  expect(await claim(s.world(), [{ app_id: app, n: 10 }])).toEqual([]);
});
