/** Stories of group push, the faults of okta-lifecycle 7 mended: one group for both, in order, in full, member by member. */
import { expect, test } from "vitest";
import { updateGroups } from "../../src/directory/groups.ts";
import {
  createPushes,
  listPushes,
  type NewPush,
  pausePushes,
  pushNow,
  resumePushes,
  unlinkPushes,
} from "../../src/directory/pushes.ts";
import type { FakeAppOptions } from "../support/world.ts";
import { day_ms, hour_ms, must, stage } from "./support.ts";

const s = stage();
const [ada_login, bob_login] = ["ada.byron@example.com", "bob.stone@example.com"];

async function push(app: string, group_id: string, more: Omit<NewPush, "group_id"> = {}): Promise<string> {
  const [made] = await must(createPushes(s.command(), app, [{ group_id, ...more }], s.tools(app)));
  return made!.id;
}

/** A group that both gives the app and is pushed to it, with Ada and Bob in it; not yet settled. */
async function both(options: FakeAppOptions = {}) {
  const { app, trouble } = await s.sickApp({ label: "Chat", ...options });
  const group = await s.group("Sales");
  await s.grant(app, group);
  const pushed = await push(app, group);
  const [ada, bob] = [await s.hire("Ada", "Byron"), await s.hire("Bob", "Stone")];
  await s.join(group, [ada, bob]);
  return { app, trouble, group, pushed, ada, bob };
}

test("one group gives the app and is pushed to it: accounts come first, then the group with both of them in one request", async () => {
  const { app } = await both();
  await s.settle();
  expect(s.groupThere(app, "Sales")?.members).toEqual([ada_login, bob_login]);
  const ops = s
    .fake(app)
    .calls.map((call) => call.op)
    .filter((op) => ["create", "group_create", "group_change"].includes(op));
  expect(ops.lastIndexOf("create")).toBeLessThan(ops.indexOf("group_change"));
  expect(s.calls(app, "group_create", "group_change")).toBe(2);
  expect(await s.settle()).toBe(0);
});

test("someone whose account cannot be made yet joins the app's group as soon as it is there, and holds up nobody", async () => {
  const { app, trouble, ada, bob } = await both();
  trouble.script = ({ op }) =>
    op === "create" && s.fake(app).accounts.size > 0 ? { kind: "refuse_before" } : undefined;
  await s.settle();
  expect(s.groupThere(app, "Sales")?.members).toHaveLength(1);
  trouble.script = undefined;
  await s.pass(hour_ms);
  expect(s.groupThere(app, "Sales")?.members).toEqual([ada_login, bob_login]);
  for (const user of [ada, bob]) expect(await s.there(app, user)).toMatchObject({ enabled: true });
});

test("a leaver is taken out of the app's group, and put back by a return, without anyone pushing by hand", async () => {
  const { app, ada } = await both();
  await s.settle();
  await s.turn(ada, "deactivate");
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
  expect(s.groupThere(app, "Sales")?.members).toEqual([bob_login]);

  await s.turn(ada, "activate");
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ id: "a1", enabled: true });
  expect(s.groupThere(app, "Sales")?.members).toEqual([ada_login, bob_login]);
});

test("who is suspended is out of the app's group where the app disables, and in again after", async () => {
  const { app, ada } = await both();
  await s.settle();
  await s.turn(ada, "suspend");
  await s.settle();
  expect(s.groupThere(app, "Sales")?.members).toEqual([bob_login]);
  await s.turn(ada, "unsuspend");
  await s.settle();
  expect(s.groupThere(app, "Sales")?.members).toEqual([ada_login, bob_login]);
});

test("someone who leaves a group that also gave the app is out of both; the app's group never keeps them", async () => {
  const { app, group, ada } = await both();
  await s.settle();
  await s.quit(group, [ada]);
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
  expect(s.groupThere(app, "Sales")?.members).toEqual([bob_login]);
});

test("members changed in the app are mended by a full comparison, on schedule and by push now", async () => {
  const { app, pushed } = await both();
  await s.settle();
  const { id } = s.groupThere(app, "Sales")!;
  const meddle = (members: readonly string[]) =>
    s.fake(app).groups.set(id, { name: "Sales", members: new Set(members) });
  const eve = s.fake(app).put({ profile: { userName: "eve@example.com" }, enabled: true });
  meddle(["a1", eve]);
  await s.settle();
  expect(s.groupThere(app, "Sales")?.members).toEqual([ada_login, "eve@example.com"]);
  await must(pushNow(s.command(), [pushed]));
  await s.settle();
  expect(s.groupThere(app, "Sales")?.members).toEqual([ada_login, bob_login]);

  s.fake(app).groups.set(id, { name: "Renamed there", members: new Set([eve]) });
  await must(pushNow(s.command(), [pushed]));
  await s.settle();
  expect(s.groupThere(app, "Sales")).toEqual({ id, members: [ada_login, bob_login] });
});

test("a group that was deleted in the app is made again with all its members", async () => {
  const { app, pushed } = await both();
  await s.settle();
  s.fake(app).groups.delete(s.groupThere(app, "Sales")!.id);
  await must(pushNow(s.command(), [pushed]));
  await s.settle();
  expect(s.groupThere(app, "Sales")).toEqual({ id: "g2", members: [ada_login, bob_login] });
  expect(await s.tasks()).toEqual([]);
});

test("where an app does not show its members, what we sent is remembered: a leaver is taken out all the same", async () => {
  const { app, ada } = await both({ fake: { members_readable: false } });
  await s.settle();
  await s.turn(ada, "deactivate");
  await s.settle();
  expect(s.groupThere(app, "Sales")?.members).toEqual([bob_login]);
});

test("members are packed to the app's limit: 25 of them in requests of 10 are three, and only the change goes after that", async () => {
  const { app, group } = await both({ fake: { capabilities: { writes_max: 10 } } });
  const people = await s.hireAll(Array.from({ length: 23 }, (_, n) => `P${n}`));
  await s.join(group, people);
  await s.settle();
  expect(s.groupThere(app, "Sales")?.members).toHaveLength(25);
  expect(s.calls(app, "group_change")).toBe(3);
  await s.quit(group, people.slice(0, 2));
  await s.settle();
  expect(s.groupThere(app, "Sales")?.members).toHaveLength(23);
  expect(s.calls(app, "group_change")).toBe(4);
});

test("a member whom the app does not know is told, holds up nobody, and is back with an account made anew", async () => {
  const { app, pushed, trouble } = await both();
  // Bob's account vanishes between our making it and our pushing it.
  trouble.script = ({ op }) => {
    if (op === "group_change") s.fake(app).remove("a2");
    return undefined;
  };
  await s.settle(1).catch(() => undefined);
  const [state] = await listPushes(s.world().db);
  expect(state).toMatchObject({ id: pushed, members: 1, member_faults: 1 });
  expect(s.groupThere(app, "Sales")?.members).toEqual([ada_login]);

  await s.settle();
  expect(s.groupThere(app, "Sales")?.members).toEqual([ada_login, bob_login]);
  expect((await listPushes(s.world().db))[0]).toMatchObject({ members: 2, member_faults: 0 });
});

test("a group that was linked by its id and is gone from the app is a task that says so, not a silent loop", async () => {
  const app = await s.app({ label: "Chat" });
  s.fake(app).groups.set("g0", { name: "Vertrieb", members: new Set() });
  const group = await s.group("Sales");
  const pushed = await push(app, group, { target_id: "g0" });
  await s.settle();
  s.fake(app).groups.delete("g0");
  await must(pushNow(s.command(), [pushed]));
  await s.settle();
  expect(await s.tasks()).toMatchObject([
    {
      kind: "group_push_error",
      detail: { message: expect.stringMatching(/Chat no longer has .*: link another group/) },
    },
  ]);
  const calls = s.calls(app);
  await s.pass(day_ms);
  expect(s.calls(app)).toBe(calls);
});

test("a group that is there under the name is taken over by a push, with strangers taken out", async () => {
  const { app } = await both();
  const eve = s.fake(app).put({ profile: { userName: "eve@example.com" }, enabled: true });
  s.fake(app).groups.set("g0", { name: "sales", members: new Set([eve]) });
  await s.settle();
  expect(s.fake(app).groups.size).toBe(1);
  expect(s.groupThere(app, "Sales")).toEqual({ id: "g0", members: [ada_login, bob_login] });
});

test("a push that is linked to a group of the app by its id keeps that group's name until ours changes", async () => {
  const app = await s.app();
  s.fake(app).groups.set("g0", { name: "Vertrieb", members: new Set() });
  const group = await s.group("Sales");
  await s.grant(app, group);
  await push(app, group, { target_id: "g0" });
  await s.join(group, [await s.hire("Ada", "Byron")]);
  await s.settle();
  expect(s.groupThere(app, "Vertrieb")).toEqual({ id: "g0", members: [ada_login] });
  await must(updateGroups(s.command(), [{ id: group, profile: { name: "Field sales" } }]));
  await s.settle();
  expect(s.groupThere(app, "Field sales")).toMatchObject({ id: "g0" });
});

test.each([
  ["leave", 1],
  ["delete", 0],
] as const)("unlinking with %s leaves %i group in the app, and our members in their accounts", async (how, left) => {
  const { app, pushed, ada } = await both();
  await s.settle();
  await must(unlinkPushes(s.command(), [pushed], how));
  await s.settle();
  expect(s.fake(app).groups.size).toBe(left);
  expect(await listPushes(s.world().db, { unlinking: true })).toEqual([]);
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
});

test("an unlink waits for an app that cannot be reached", async () => {
  const { app, pushed, trouble } = await both();
  await s.settle();
  trouble.script = () => ({ kind: "refuse_before" });
  await must(unlinkPushes(s.command(), [pushed], "delete"));
  await s.settle();
  expect(s.fake(app).groups.size).toBe(1);
  trouble.script = undefined;
  await s.pass(day_ms);
  expect(s.fake(app).groups.size).toBe(0);
});

test("a paused push changes nothing in the app; resumed, it catches up in full", async () => {
  const { app, pushed, group, ada } = await both();
  await s.settle();
  await must(pausePushes(s.command(), [pushed]));
  await s.quit(group, [ada]);
  await must(updateGroups(s.command(), [{ id: group, profile: { name: "Field sales" } }]));
  await s.settle();
  expect(s.groupThere(app, "Sales")?.members).toEqual([ada_login, bob_login]);
  await must(resumePushes(s.command(), [pushed]));
  await s.settle();
  expect(s.groupThere(app, "Field sales")?.members).toEqual([bob_login]);
});

test.each([
  ["group_create", "lose_reply_after_effect"],
  ["group_change", "lose_reply_after_effect"],
  ["group_change", "partial_write"],
  ["group_change", "refuse_before"],
  ["group_members", "refuse_before"],
] as const)("one group with exactly its members, although a %s goes wrong: %s", async (where, kind) => {
  const { app, trouble } = await both();
  let struck = 0;
  trouble.script = ({ op }) => (op === where && struck++ === 0 ? { kind } : undefined);
  await s.settle();
  await s.pass(2 * hour_ms);
  expect(s.fake(app).groups.size).toBe(1);
  expect(s.groupThere(app, "Sales")?.members).toEqual([ada_login, bob_login]);
});
