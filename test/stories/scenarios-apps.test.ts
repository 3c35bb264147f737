/** The acceptance scenarios of apps that resist, of pushed groups by rule, and of apps without connector: 11, 16 and 17. */

import { expect, test } from "vitest";
import { ConnectorFault } from "../../src/connectors/connector.ts";
import { appHealth } from "../../src/directory/appHealth.ts";
import { completeTask } from "../../src/directory/completion.ts";
import { deleteGroups, updateGroups } from "../../src/directory/groups.ts";
import { createPushRule, deletePushRule } from "../../src/directory/pushRules.ts";
import { sql } from "../../src/store/database.ts";
import { day_ms, hour_ms, minute_ms, must, stage } from "./support.ts";

const s = stage();

/** How long after its first call the app was called again, in seconds. */
function gaps(app: string): readonly number[] {
  const at = s
    .fake(app)
    .calls.filter((call) => call.op !== "schema")
    .map((call) => call.at.getTime());
  return at.slice(1).map((time, n) => (time - at[n]!) / 1_000);
}

test("Scenario 11: after a 429 with Retry-After 120 the app is left alone for 120 s, and the wait costs the account no try", async () => {
  const { app, trouble } = await s.sickApp();
  trouble.script = ({ op }) =>
    op === "create" && gaps(app).length < 3 ? { kind: "rate_limit", after_ms: 120_000 } : undefined;
  const [ada, bob] = [await s.hire("Ada", "Byron"), await s.hire("Bob", "Stone")];
  for (const user of [ada, bob]) await s.assign(app, user);
  await s.settle();
  const calls = s.calls(app);
  expect(await s.waiting(app, ada)).toMatchObject({ fault: "rate_limited", attempts: 0 });

  await s.pass(119_000);
  expect(s.calls(app)).toBe(calls);
  await s.pass(1_000);
  expect(s.calls(app)).toBeGreaterThan(calls);
  for (const user of [ada, bob]) expect(await s.there(app, user)).toMatchObject({ enabled: true });
  expect(await s.tasks()).toEqual([]);
});

test("Scenario 11: after a 429 without Retry-After the app is left alone for about a minute, never quite the same", async () => {
  const { app } = await s.sickApp();
  const honest = s.world().connectors.get(app)!;
  const find = () => Promise.reject(new ConnectorFault("rate_limited", "The app answered 429"));
  s.world().connectors.set(app, { ...honest, find });
  const ada = await s.hire("Ada", "Byron");
  await s.assign(app, ada);
  const pauses: number[] = [];
  for (let n = 0; n < 5; n++) {
    await s.settle();
    const [health] = await appHealth(s.world().db, s.world().now(), [app]);
    expect(health).toMatchObject({ state: "paused", pause_fault: "rate_limited" });
    pauses.push((health!.paused_until!.getTime() - s.world().now().getTime()) / 1_000);
    s.world().clock.set(health!.paused_until!);
  }
  for (const pause of pauses) expect(Math.abs(pause - 60)).toBeLessThanOrEqual(15);
  expect(new Set(pauses).size).toBe(pauses.length);
  s.world().connectors.set(app, honest);
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
});

test("Scenario 11: a 429 of one app does not hold up another", async () => {
  const { app: sick, trouble } = await s.sickApp();
  const well = await s.app();
  trouble.script = () => ({ kind: "rate_limit", after_ms: hour_ms });
  const ada = await s.hire("Ada", "Byron");
  for (const app of [sick, well]) await s.assign(app, ada);
  await s.settle();
  expect(await s.there(sick, ada)).toBeUndefined();
  expect(await s.there(well, ada)).toMatchObject({ enabled: true });
});

test("Scenario 11: without an answer from the app the waits double from seconds, with jitter, to at most an hour; after a day someone is told", async () => {
  const { app, trouble } = await s.sickApp();
  trouble.script = () => ({ kind: "refuse_before" });
  const ada = await s.hire("Ada", "Byron");
  await s.assign(app, ada);
  await s.settle();
  const waits: number[] = [];
  while ((await s.tasks()).length === 0 && waits.length < 100) {
    const due_at = (await s.waiting(app, ada))!.due_at!.getTime();
    const wait_ms = due_at - s.world().now().getTime();
    // The whole app is taken to be down by now, and is tried on its own time.
    waits.push(wait_ms / 1_000);
    await s.pass(Math.max(wait_ms, minute_ms));
  }
  expect(waits[0]).toBeGreaterThanOrEqual(2);
  expect(waits[0]).toBeLessThanOrEqual(4);
  expect(Math.max(...waits)).toBeLessThanOrEqual(3_600);
  expect(Math.max(...waits)).toBeGreaterThan(1_800);
  expect(new Set(waits).size).toBeGreaterThan(10);
  const days = gaps(app).reduce((sum, gap) => sum + gap, 0) / 86_400;
  expect(days).toBeGreaterThanOrEqual(1);
  expect(days).toBeLessThan(1.2);
  expect(await s.tasks()).toMatchObject([{ kind: "provisioning_fault", login: "ada.byron@example.com" }]);

  trouble.script = undefined;
  await s.pass(day_ms);
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
  expect(await s.tasks()).toEqual([]);
});

/** An app to which groups whose names begin with `app-` are pushed, and a person who has the app. */
async function pushedByRule() {
  const app = await s.app({ label: "Chat" });
  const ada = await s.hire("Ada", "Byron");
  await s.assign(app, ada);
  const made = await must(
    createPushRule(
      s.command(),
      { app_id: app, name: "App groups", expression: 'String.startsWith(group.name, "app-")' },
      s.tools(app),
    ),
  );
  return { app, ada, rule: made.rule.id };
}

test("Scenario 16: a push rule picks up a group that comes to match, with its members; a rename renames the target", async () => {
  const { app, ada } = await pushedByRule();
  const [group, other] = [await s.group("app-chat"), await s.group("Other")];
  for (const one of [group, other]) await s.join(one, [ada]);
  await s.settle();
  expect(s.groupThere(app, "app-chat")).toEqual({ id: "g1", members: ["ada.byron@example.com"] });
  expect(s.groupThere(app, "Other")).toBeUndefined();

  await must(updateGroups(s.command(), [{ id: group, profile: { name: "app-talk" } }]));
  await s.settle();
  expect(s.groupThere(app, "app-talk")).toEqual({ id: "g1", members: ["ada.byron@example.com"] });

  await must(updateGroups(s.command(), [{ id: other, profile: { name: "app-other" } }]));
  await s.settle();
  expect(s.groupThere(app, "app-other")).toMatchObject({ members: ["ada.byron@example.com"] });
  expect(s.fake(app).groups.size).toBe(2);
});

test.each([
  ["keep", 1],
  ["leave", 1],
  ["delete", 0],
] as const)(
  "Scenario 16: deleting the rule with %s leaves %i target, which follows our group only with keep",
  async (how, left) => {
    const { app, ada, rule } = await pushedByRule();
    const group = await s.group("app-chat");
    await s.settle();
    expect(await must(deletePushRule(s.command(), rule, how))).toBe(1);
    await s.join(group, [ada]);
    await s.settle();
    expect(s.fake(app).groups.size).toBe(left);
    expect(s.groupThere(app, "app-chat")?.members ?? []).toEqual(how === "keep" ? ["ada.byron@example.com"] : []);
  },
);

test("Scenario 16: a group that was deleted here is no longer pushed; what the app has of it is left", async () => {
  const { app } = await pushedByRule();
  const group = await s.group("app-chat");
  await s.settle();
  await must(deleteGroups(s.command(), [group]));
  await s.settle();
  expect(s.groupThere(app, "app-chat")).toBeDefined();
});

test("Scenario 17: an app without connector: assigning is a task to create, completing it PROVISIONED; unassigning a task to remove, completing it gone", async () => {
  const app = await s.manualApp("Door badges");
  const ada = await s.hire("Ada", "Byron", { department: "Engines" });
  await s.assign(app, ada);
  await s.settle();
  const [create] = await s.tasks();
  expect(create).toMatchObject({ kind: "create_account", app_label: "Door badges", login: "ada.byron@example.com" });
  expect(create?.detail["profile"]).toMatchObject({ userName: "ada.byron@example.com", department: "Engines" });
  expect(await s.view(app, ada)).toMatchObject({ status: "APPROVED" });

  expect(await must(completeTask(s.command(), create!.id, { external_id: "badge 7" }))).toBe("completed");
  await s.settle();
  expect(await s.view(app, ada)).toMatchObject({ status: "PROVISIONED", external_id: "badge 7" });
  expect(await s.tasks()).toEqual([]);

  await s.unassign(app, ada);
  await s.settle();
  const [remove] = await s.tasks();
  expect(remove).toMatchObject({ kind: "remove_account" });
  expect(await s.view(app, ada)).toMatchObject({ status: "REVOKED" });

  await must(completeTask(s.command(), remove!.id));
  await s.settle();
  expect(await s.view(app, ada)).toMatchObject({ status: "DEPROVISIONED" });
  expect(await s.tasks()).toEqual([]);
});

test("Scenario 17: a move asks for a change with the new values, and only once; a leaver whose account was never made needs nobody", async () => {
  const app = await s.manualApp("Door badges");
  const [ada, bob] = [await s.hire("Ada", "Byron"), await s.hire("Bob", "Stone")];
  await s.assign(app, ada);
  await s.settle();
  await must(completeTask(s.command(), (await s.tasks())[0]!.id));
  await s.move(ada, { department: "Mills" });
  await s.settle();
  await s.move(ada, { title: "Miller" });
  await s.settle();
  const open = await s.tasks();
  expect(open).toMatchObject([{ kind: "update_account" }]);
  expect(open[0]?.detail["profile"]).toMatchObject({ department: "Mills", title: "Miller" });
  await must(completeTask(s.command(), open[0]!.id));
  expect(await s.settle()).toBe(0);

  await s.assign(app, bob);
  await s.settle();
  await s.turn(bob, "deactivate");
  await s.settle();
  expect(await s.tasks()).toEqual([]);
  // What closed it leads back to the leave, and does not say that somebody did it.
  const { rows } = await sql<{ reason: string; cause: string; before: string }>`
    select e.reason, c.type as cause, b.type as before
    from events e left join events c on c.seq = e.cause left join events b on b.seq = c.cause
    where e.type = 'task.lifecycle.deactivate' and e.user_id = ${bob}`.execute(s.world().db);
  const chain = { cause: "application.user_membership.remove", before: "user.lifecycle.deactivate" };
  expect(rows).toEqual([{ reason: "not needed any more", ...chain }]);
});
