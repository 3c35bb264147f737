/** The acceptance scenarios of what gives access and with which values: 4, 5, 6, 7, 14 and 15. */
import { expect, test } from "vitest";
import { adoptAppSchema } from "../../src/directory/apps.ts";
import { convertAssignments, setAssignmentValues } from "../../src/directory/assignments.ts";
import { deactivateRule, deleteRule, listExceptions, removeExceptions } from "../../src/directory/rules.ts";
import { must, stage, storySchema } from "./support.ts";

const s = stage();

/** An app that two groups give, the first one with the higher priority, and a member of both. */
async function twoGroups() {
  const app = await s.app({ label: "CRM" });
  const [top, next] = [await s.group("Admins"), await s.group("Readers")];
  await s.grant(app, next, { priority: 1, profile: { role: "reader", licences: ["base"] } });
  await s.grant(app, top, { priority: 0, profile: { role: "admin", licences: ["base", "pro"] } });
  const ada = await s.hire("Ada", "Byron");
  for (const group of [top, next]) await s.join(group, [ada]);
  await s.settle();
  return { app, top, next, ada };
}

test("Scenario 4: two groups grant the app with different roles: priority wins; joined arrays are the union; the next group takes over; without both the account is disabled", async () => {
  const { app, top, next, ada } = await twoGroups();
  expect((await s.there(app, ada))?.profile).toMatchObject({ role: "admin", licences: ["base", "pro"] });

  await s.grant(app, next, { profile: { role: "reader", licences: ["base", "mobile"] } });
  await s.settle();
  expect((await s.there(app, ada))?.profile).toMatchObject({ role: "admin", licences: ["base", "pro"] });

  await must(adoptAppSchema(s.command(), app, storySchema(true).attributes));
  await s.settle();
  const joined = (await s.there(app, ada))?.profile;
  expect(joined).toMatchObject({ role: "admin", licences: expect.arrayContaining(["base", "pro", "mobile"]) });
  expect(joined?.["licences"]).toHaveLength(3);

  await s.ungrant(app, top);
  await s.settle();
  expect((await s.there(app, ada))?.profile).toMatchObject({ role: "reader", licences: ["base", "mobile"] });

  await s.quit(next, [ada]);
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ id: "a1", enabled: false });
  expect(s.calls(app, "create")).toBe(1);
});

test("Scenario 4: leaving the top group gives the next group's values; putting the groups in another order, too", async () => {
  const { app, top, next, ada } = await twoGroups();
  await s.grant(app, next, { priority: 0 });
  await s.grant(app, top, { priority: 1 });
  await s.settle();
  expect((await s.there(app, ada))?.profile).toMatchObject({ role: "reader" });
  await s.quit(next, [ada]);
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: true, profile: { role: "admin" } });
});

test("Scenario 5: with an individual assignment beside the group's, the app stays when the group goes", async () => {
  const { app, top, next, ada } = await twoGroups();
  await must(setAssignmentValues(s.command(), app, ada, { role: "owner" }));
  await s.settle();
  expect((await s.there(app, ada))?.profile).toMatchObject({ role: "owner", licences: ["base", "pro"] });
  await s.quit(top, [ada]);
  await s.quit(next, [ada]);
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: true, profile: { role: "owner" } });
  expect(await s.view(app, ada)).toMatchObject({ scope: "USER" });
});

test("Scenario 5: converted to the group's while in the group, its values follow the group; nobody loses the app by converting", async () => {
  const { app, top, next, ada } = await twoGroups();
  const bob = await s.hire("Bob", "Stone");
  for (const one of [ada, bob]) await s.assign(app, one, { role: "owner" });
  await s.settle();
  expect(await must(convertAssignments(s.command(), app, "all"))).toEqual({ converted: [ada], kept: 1 });
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: true, profile: { role: "admin" } });
  expect(await s.there(app, bob)).toMatchObject({ enabled: true, profile: { role: "owner" } });

  await s.grant(app, top, { profile: { role: "auditor" } });
  await s.settle();
  expect((await s.there(app, ada))?.profile).toMatchObject({ role: "auditor" });
  for (const group of [top, next]) await s.quit(group, [ada]);
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
});

/** A rule that fills Sales, which gives an app; Ada is in it by the rule, Bob by the rule and by hand. */
async function ruledSales() {
  const app = await s.app();
  const sales = await s.group("Sales");
  await s.grant(app, sales);
  const rule = await s.rule("Sales people", 'user.department == "Sales"', [sales]);
  const ada = await s.hire("Ada", "Byron", { department: "Sales" });
  const bob = await s.hire("Bob", "Stone", { department: "Sales" });
  await s.join(sales, [bob]);
  await s.settle();
  expect(await s.membersOf(sales)).toEqual(["ada.byron@example.com", "bob.stone@example.com"]);
  return { app, sales, rule, ada, bob };
}

test("Scenario 6: a rule's member who is taken out by hand is remembered as an exception and not added again; clearing it adds them and the app", async () => {
  const { app, sales, rule, ada } = await ruledSales();
  await s.quit(sales, [ada]);
  await s.settle();
  await s.move(ada, { title: "Head of Sales" });
  await s.settle();
  expect(await s.membersOf(sales)).toEqual(["bob.stone@example.com"]);
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
  expect(await listExceptions(s.world().db, rule, { limit: 10 })).toMatchObject([{ user_id: ada }]);

  await must(removeExceptions(s.command(), rule, [ada]));
  await s.settle();
  expect(await s.membersOf(sales)).toContain("ada.byron@example.com");
  expect(await s.there(app, ada)).toMatchObject({ id: "a1", enabled: true });
});

test("Scenario 7: of a deactivated rule the members stay, with their accounts, also when they no longer match", async () => {
  const { app, sales, rule, ada } = await ruledSales();
  await must(deactivateRule(s.command(), rule));
  await s.move(ada, { department: "Engines" });
  await s.settle();
  expect(await s.membersOf(sales)).toContain("ada.byron@example.com");
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
});

test("Scenario 7: of a rule that is deleted with its users only its own members leave", async () => {
  const { app, sales, rule, ada, bob } = await ruledSales();
  await must(deleteRule(s.command(), rule, { remove_users: true }));
  await s.settle();
  expect(await s.membersOf(sales)).toEqual(["bob.stone@example.com"]);
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
  expect(await s.there(app, bob)).toMatchObject({ enabled: true });
});

test("Scenario 7: of a rule that is deleted without its users nobody leaves", async () => {
  const { app, sales, rule, ada } = await ruledSales();
  await must(deleteRule(s.command(), rule));
  await s.move(ada, { department: "Engines" });
  await s.settle();
  expect(await s.membersOf(sales)).toContain("ada.byron@example.com");
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
});

test("Scenario 14: a create-only attribute is written when the assignment begins, not on later changes, and again when it begins anew", async () => {
  const app = await s.app();
  await s.map(app, { title: { push: "create" } });
  const ada = await s.hire("Ada", "Byron", { title: "Trainee", department: "Engines" });
  await s.assign(app, ada);
  await s.settle();
  await s.move(ada, { title: "Engineer", department: "Mills" });
  await s.settle();
  expect((await s.there(app, ada))?.profile).toMatchObject({ title: "Trainee", department: "Mills" });

  await s.unassign(app, ada);
  await s.settle();
  await s.assign(app, ada);
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ id: "a1", enabled: true, profile: { title: "Engineer" } });
});

test("Scenario 15: Okta's own examples give Okta's own results in an account (the functions one by one: test/core/expression/acceptance.test.ts)", async () => {
  const app = await s.app();
  await s.map(app, {
    title: { expression: 'String.stringSwitch("Substrings count", "default", "ring", "value1")' },
    department: { expression: 'substring("This is a test", 2, 9)' },
    manager: { expression: 'Arrays.size(null) == 0 AND Convert.toInt(123.6) == 124 ? "exact" : "off"' },
    displayName: { expression: 'user.nickName ?: "x"' },
  });
  const ada = await s.hire("Ada", "Byron");
  await s.assign(app, ada);
  await s.settle();
  expect((await s.there(app, ada))?.profile).toMatchObject({
    title: "value1",
    department: "is is a",
    manager: "exact",
    displayName: "x",
  });
});
