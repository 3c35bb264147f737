/** Stories of what the passing of time alone does: expiry, first and last days, holds, and values with a date. */
import { expect, test } from "vitest";
import { setLicence } from "../../src/directory/licences.ts";
import { addExceptions } from "../../src/directory/rules.ts";
import { defineAttributes } from "../../src/directory/schemas.ts";
import { holdUser, unholdUser } from "../../src/directory/userLifecycle.ts";
import { desire } from "../../src/engine/desire.ts";
import { schedule } from "../../src/engine/schedule.ts";
import { sql } from "../../src/store/database.ts";
import { day_ms, hour_ms, minute_ms, must, stage } from "./support.ts";

const s = stage();

/** An app that a group gives to Ada. */
async function salesApp() {
  const app = await s.app();
  const group = await s.group("Sales");
  await s.grant(app, group);
  const ada = await s.hire("Ada", "Byron");
  await s.join(group, [ada]);
  await s.settle();
  return { app, group, ada };
}

test("a membership with an end is over by the clock, and the app it gave with it; neither a minute before", async () => {
  const app = await s.app();
  const group = await s.group("Project");
  await s.grant(app, group);
  const ada = await s.hire("Ada", "Byron");
  await s.join(group, [ada], s.after(hour_ms));
  await s.settle();
  await s.pass(hour_ms - minute_ms);
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
  await s.pass(minute_ms);
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
  expect(await s.membersOf(group)).toEqual([]);
  expect(await s.events("group.user_membership.remove")).toBe(1);
});

test("a person's own assignment with an end is over by the clock", async () => {
  const app = await s.app();
  const ada = await s.hire("Ada", "Byron");
  await s.assign(app, ada, {}, s.after(hour_ms));
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
  await s.pass(hour_ms);
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
});

test("when an assignment ends and another grant goes on, the account stays and takes that grant's values", async () => {
  const { app, group, ada } = await salesApp();
  await s.grant(app, group, { profile: { role: "reader" } });
  await s.assign(app, ada, { role: "owner" }, s.after(hour_ms));
  await s.settle();
  expect((await s.there(app, ada))?.profile).toMatchObject({ role: "owner" });
  await s.pass(hour_ms);
  expect(await s.there(app, ada)).toMatchObject({ enabled: true, profile: { role: "reader" } });
});

test("a group's assignment with an end is over for every member; prolonging it in time keeps them", async () => {
  const { app, group, ada } = await salesApp();
  await s.grant(app, group, { expires_at: s.after(hour_ms) });
  await s.settle();
  await s.grant(app, group, { expires_at: s.after(2 * hour_ms) });
  await s.pass(hour_ms);
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
  await s.pass(hour_ms);
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
});

test("when an app's licence ends nobody has it, whoever gives it; renewed, everyone has the same account again", async () => {
  const { app, ada } = await salesApp();
  await must(setLicence(s.command(), app, { seats: 10, expires_at: s.after(day_ms) }));
  await s.pass(day_ms - minute_ms);
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
  await s.pass(minute_ms);
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
  await must(setLicence(s.command(), app, { seats: 10, expires_at: s.after(365 * day_ms) }));
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ id: "a1", enabled: true });
});

test("someone with a first day ahead waits STAGED without accounts and starts by the clock; a last day ends it", async () => {
  const app = await s.app();
  const group = await s.group("Staff");
  await s.grant(app, group);
  const dates = { starts_at: s.after(2 * day_ms), ends_at: s.after(5 * day_ms) };
  const ada = await s.hire("Ada", "Byron", {}, { ...dates, group_ids: [group] });
  await s.settle();
  expect((await s.person(ada)).status).toBe("STAGED");
  await s.pass(2 * day_ms - minute_ms);
  expect(s.calls(app)).toBe(0);
  await s.pass(minute_ms);
  expect((await s.person(ada)).status).toBe("ACTIVE");
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
  await s.pass(3 * day_ms);
  expect((await s.person(ada)).status).toBe("DEPROVISIONED");
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
});

test("a hold keeps someone over their last day until it is lifted, and at the latest until it ends", async () => {
  const app = await s.app();
  const [ada, bob] = [
    await s.hire("Ada", "Byron", {}, { ends_at: s.after(day_ms) }),
    await s.hire("Bob", "Stone", {}, { ends_at: s.after(day_ms) }),
  ];
  for (const one of [ada, bob]) await s.assign(app, one);
  await must(holdUser(s.command(), ada, { reason: "handing over" }));
  await must(holdUser(s.command(), bob, { reason: "handing over", until: s.after(3 * day_ms) }));
  await s.pass(2 * day_ms);
  for (const one of [ada, bob]) expect(await s.there(app, one)).toMatchObject({ enabled: true });
  await s.pass(day_ms);
  expect(await s.there(app, ada)).toMatchObject({ enabled: true });
  expect(await s.there(app, bob)).toMatchObject({ enabled: false });
  await must(unholdUser(s.command(), ada));
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
});

test("a hold does not stop an administrator", async () => {
  const { app, ada } = await salesApp();
  await must(holdUser(s.command(), ada, { reason: "under review" }));
  await s.turn(ada, "deactivate");
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: false });
});

test("an exception from a rule that has an end lets the rule decide again", async () => {
  const sales = await s.group("Sales");
  const rule = await s.rule("Sales people", 'user.department == "Sales"', [sales]);
  const ada = await s.hire("Ada", "Byron", { department: "Sales" });
  await must(addExceptions(s.command(), rule, [{ user_id: ada, reason: "on leave", expires_at: s.after(day_ms) }]));
  await s.settle();
  expect(await s.membersOf(sales)).toEqual([]);
  await s.pass(day_ms);
  expect(await s.membersOf(sales)).toEqual(["ada.byron@example.com"]);
});

test("a value with a date of its own is applied on that date, and the account follows", async () => {
  const { app, ada } = await salesApp();
  await sql`
    insert into scheduled_changes (user_id, profile, effective_at, source_id)
    values (${ada}, '{"title": "Director"}', ${s.after(day_ms)}::timestamptz, 'hr')`.execute(s.world().db);
  await s.pass(day_ms - minute_ms);
  expect((await s.there(app, ada))?.profile["title"]).toBeUndefined();
  await s.pass(minute_ms);
  expect((await s.there(app, ada))?.profile).toMatchObject({ title: "Director" });
});

test("a rule that asks the clock is asked again as time passes, without anyone changing the person", async () => {
  const attribute = { name: "hired", type: "date" } as const;
  await must(defineAttributes(s.command(), "user", [attribute]));
  const group = await s.group("Past probation");
  await s.rule("Past probation", "user.hired.plusDays(90) < DateTime.now()", [group]);
  await s.hire("Ada", "Byron", { hired: "2026-01-01" });
  await s.settle();
  expect(await s.membersOf(group)).toEqual([]);
  await s.pass(60 * day_ms);
  expect(await s.membersOf(group)).toEqual(["ada.byron@example.com"]);
});

test("leavers are worked on before people's own changes, and those before waves", async () => {
  const app = await s.app();
  const staff = await s.group("Staff");
  await s.grant(app, staff);
  const [wave, mover, leaver] = [
    await s.hire("Wave", "Rider"),
    await s.hire("Mover", "Smith"),
    await s.hire("Leaver", "Jones"),
  ];
  await s.join(staff, [wave, mover, leaver]);
  await s.settle();
  await s.map(app, { title: { expression: 'user.department + "!"' } });
  await s.move(mover, { department: "Mills" });
  await s.turn(leaver, "deactivate");
  const order: string[] = [];
  for (let n = 0; n < 3; n++) {
    const { rows } = await sql<{
      user_id: string;
    }>`select user_id from dirty order by priority, marked_at limit 1`.execute(s.world().db);
    order.push(rows[0]!.user_id);
    await desire(s.world(), 1);
  }
  expect(order).toEqual([leaver, mover, wave]);
  await schedule(s.world());
  const { rows } = await sql<{ user_id: string }>`select user_id from work order by priority, due_at`.execute(
    s.world().db,
  );
  expect(rows[0]).toEqual({ user_id: leaver });
});
