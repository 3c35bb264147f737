/**
 * Stories of what an HR file tells of someone who is there: changes ahead of time, conversions, several jobs, absences,
 * returns, other numbers and names, records that were merged.
 */
import { describe, expect, test } from "vitest";
import { sql } from "../../src/store/database.ts";
import { hrSource, linesOf, rowOf } from "../engine/hr.ts";
import { mapSource } from "../support/world.ts";
import { hrStage } from "./hrStage.ts";
import { stage } from "./support.ts";

const s = stage();
const { company, at, arrive, find, status, department, account, creations } = hrStage(s);
const ada = rowOf("1", "Ada", "Byron", { department: "Mills", start: "2025-01-01" });
const bob = rowOf("2", "Bob", "Stone", { department: "Mills", start: "2025-01-01" });
const rome = { zone: "Europe/Rome" };
const mills = { ...ada, ...rome, end: "2026-03-31" };
const sales = { ...ada, ...rome, department: "Sales", start: "2026-04-01" };

describe("a change", () => {
  test("that lies ahead is kept, and applied by the clock at midnight where the person is; the account follows", async () => {
    const { hr, app } = await company();
    await arrive(hr, mills, sales);
    await at("2026-03-31T21:59:00Z");
    expect([await department(), await status()]).toEqual(["Mills", "PROVISIONED"]);
    await at("2026-03-31T22:00:00Z");
    expect([await department(), await status(), await account(app)]).toEqual(["Sales", "PROVISIONED", true]);
    expect((await s.there(app, (await find())?.id ?? ""))?.profile).toMatchObject({ department: "Sales" });
  });

  test("is applied so many days before by its own lead, and at the hour that the rules say", async () => {
    const { hr } = await company({ change_lead_days: 2, start_hour: 8 });
    await arrive(hr, mills, sales);
    await at("2026-03-30T05:59:00Z");
    expect(await department()).toBe("Mills");
    await at("2026-03-30T06:00:00Z");
    expect(await department()).toBe("Sales");
  });

  test("that is taken back does not come; one that is corrected comes as it was corrected", async () => {
    const { hr } = await company();
    await arrive(hr, mills, sales);
    await arrive(hr, { ...ada, ...rome });
    await at("2026-04-02T00:00:00Z");
    expect(await department()).toBe("Mills");
    await arrive(hr, { ...mills, end: "2026-04-30" }, { ...sales, start: "2026-05-01" });
    await arrive(hr, { ...mills, end: "2026-04-30" }, { ...sales, start: "2026-05-01", department: "Trade" });
    await at("2026-05-02T00:00:00Z");
    expect(await department()).toBe("Trade");
  });

  test("whose day has passed when it is told is applied at once", async () => {
    const { hr } = await company();
    await arrive(hr, ada);
    await arrive(hr, { ...mills, end: "2026-01-31" }, { ...sales, start: "2026-02-01" });
    expect(await department()).toBe("Sales");
  });

  test("is the same whatever the order of the rows, and the same file again is unchanged", async () => {
    const { hr } = await company();
    await arrive(hr, mills, sales, bob);
    expect((await arrive(hr, sales, bob, mills)).counts).toEqual({ unchanged: 2 });
  });

  test("of someone who leaves before it is forgotten with them", async () => {
    const { hr } = await company();
    await arrive(hr, mills, sales, bob);
    await arrive(hr, bob);
    await at("2026-04-02T00:00:00Z");
    expect([await department(), await status()]).toEqual(["Mills", "DEPROVISIONED"]);
  });

  test("that cannot be made by its day is a task, not lost in silence", async () => {
    const { hr } = await company();
    await arrive(hr, mills, { ...sales, mail: "bob.stone@example.com" }, bob);
    await at("2026-04-01T12:00:00Z");
    expect(await status()).toBe("PROVISIONED");
    expect((await s.tasks()).map(({ title }) => title)).toEqual([
      expect.stringMatching(/^a change planned for 2026-03-31 could not be made: .*bob\.stone/),
    ]);
  });
});

describe("two rows of one person", () => {
  test("make a conversion from contractor to employee without a gap, and with the same account", async () => {
    const { hr, app } = await company({ start_hour: 9, end_hour: 18 });
    await arrive(hr, { ...mills, department: "Contractors" }, { ...sales, department: "Employees" });
    for (const when of ["2026-03-31T15:59:00Z", "2026-03-31T20:00:00Z", "2026-04-01T06:00:00Z"]) {
      await at(when);
      expect([when, await status(), await account(app)]).toEqual([when, "PROVISIONED", true]);
    }
    await at("2026-04-01T07:00:00Z");
    expect([await department(), creations(app)]).toEqual(["Employees", 1]);
    expect(await s.events("user.lifecycle.deactivate")).toBe(0);
  });

  test("are two jobs at once: the primary one counts, and when it ends, the other; the leave comes with the last", async () => {
    const { hr, app } = await company();
    const main = { ...ada, department: "Emergency", primary: "yes", end: "2026-03-31" };
    const second = { ...ada, department: "Training", start: "2026-02-01", end: "2026-06-30" };
    await arrive(hr, second, main);
    expect(await department()).toBe("Emergency");
    await at("2026-04-01T00:00:00Z");
    expect([await department(), await account(app)]).toEqual(["Training", true]);
    await at("2026-07-01T00:00:00Z");
    expect([await status(), await account(app), creations(app)]).toEqual(["DEPROVISIONED", false, 1]);
  });

  test("with a gap between them are a leave and a return, both by the clock, with the same account", async () => {
    const { hr, app } = await company({ hire_lead_days: 3 });
    await arrive(hr, { ...mills, zone: "" }, { ...sales, zone: "", start: "2026-06-01" });
    await at("2026-04-01T00:00:00Z");
    expect([await status(), await account(app)]).toEqual(["STAGED", false]);
    await at("2026-06-01T00:00:00Z");
    expect([await status(), await account(app), await department()]).toEqual(["PROVISIONED", true, "Sales"]);
    expect(creations(app)).toBe(1);
  });

  test.each([
    ["is broken", "1,x"],
    ["has a day that is none", undefined],
  ])("change nothing of the person when one of them %s, and that is told", async (_what, broken) => {
    const { hr } = await company();
    await arrive(hr, mills, sales, bob);
    if (broken === undefined) hr.write([mills, { ...sales, start: "1/4/2026" }, bob]);
    else {
      hr.write([sales, bob]);
      const { readFileSync } = await import("node:fs");
      hr.writeText(`${readFileSync(hr.path, "utf8")}\n${broken}`);
    }
    const run = await hr.run();
    await s.settle();
    expect([await status(), await department()]).toEqual(["PROVISIONED", "Mills"]);
    expect((await linesOf(s.world(), run.id)).map(({ outcome }) => outcome)).toContain("refused");
    await at("2026-04-01T00:00:00Z");
    expect(await department()).toBe("Sales");
  });

  test("are a mistake where the source is not told to have several", async () => {
    const { hr } = await company({ several_rows: false });
    const run = await arrive(hr, mills, sales);
    expect(run).toMatchObject({ complete: false, counts: { created: 1, refused: 1 } });
  });
});

describe("an absence", () => {
  const away = { ...ada, ...rome, away: "2026-03-10", back: "2026-03-20" };

  test("suspends from its first day to its last, and is no leave: the same password, groups and account after it", async () => {
    const { hr, app } = await company();
    await arrive(hr, away);
    await at("2026-03-09T22:59:00Z");
    expect(await account(app)).toBe(true);
    await at("2026-03-09T23:00:00Z");
    expect([await status(), await account(app)]).toEqual(["SUSPENDED", false]);
    await arrive(hr, { ...away, department: "Sales" });
    expect(await status()).toBe("SUSPENDED");
    await at("2026-03-20T23:00:00Z");
    expect([await status(), await account(app), creations(app)]).toEqual(["PROVISIONED", true, 1]);
    expect(await s.events("user.lifecycle.deactivate")).toBe(0);
  });

  test("leaves everything as it is where the source's rules keep access", async () => {
    const { hr, app } = await company({ on_absence: "keep" });
    await arrive(hr, away);
    await at("2026-03-12T00:00:00Z");
    expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
  });

  test("that is taken back, or without a last day until it is told, ends when the file says so", async () => {
    const { hr } = await company();
    await arrive(hr, { ...away, back: "" });
    await at("2026-06-01T00:00:00Z");
    expect(await status()).toBe("SUSPENDED");
    await arrive(hr, { ...ada, ...rome });
    expect(await status()).toBe("PROVISIONED");
  });

  test("that an administrator ended by hand is not begun again", async () => {
    const { hr } = await company();
    await arrive(hr, away);
    await at("2026-03-11T00:00:00Z");
    await s.turn((await find())?.id ?? "", "unsuspend");
    await at("2026-03-12T00:00:00Z");
    expect(await status()).toBe("PROVISIONED");
  });
});

test("an absence holds again for whoever left in the middle of it and came back, or begins later than was told", async () => {
  const { hr } = await company();
  const rows = [
    { ...ada, away: "2026-03-01", back: "2026-05-31" },
    { ...bob, away: "2026-03-01", back: "2026-05-31" },
  ];
  await arrive(hr, ...rows);
  expect([await status(), await status("bob.stone")]).toEqual(["SUSPENDED", "SUSPENDED"]);
  await arrive(hr, { ...rows[1]!, start: "2026-03-20" });
  expect([await status(), await status("bob.stone")]).toEqual(["DEPROVISIONED", "STAGED"]);
  await arrive(hr, rows[0]!, { ...rows[1]!, start: "2026-03-20" });
  expect(await status()).toBe("SUSPENDED");
  await at("2026-03-20T00:00:00Z");
  expect(await status("bob.stone")).toBe("SUSPENDED");
  await at("2026-06-01T00:00:00Z");
  expect([await status(), await status("bob.stone")]).toEqual(["PROVISIONED", "PROVISIONED"]);
});

describe("a return", () => {
  test("on a day ahead waits for it, and brings the same person the same account and what their new job gives", async () => {
    const { hr, app } = await company();
    await arrive(hr, { ...ada, end: "2026-03-05" });
    const before = await find();
    await at("2026-03-06T00:00:00Z");
    await arrive(hr, { ...ada, start: "2026-05-01", department: "Sales" });
    expect([await status(), await account(app)]).toEqual(["STAGED", false]);
    await at("2026-05-01T00:00:00Z");
    expect([await status(), await account(app), await department()]).toEqual(["PROVISIONED", true, "Sales"]);
    expect([(await find())?.id, creations(app)]).toEqual([before?.id, 1]);
  });

  test("under another number, which may be years later, is the same person", async () => {
    const { hr, app } = await company();
    await arrive(hr, ada, bob);
    await arrive(hr, bob);
    expect(await status()).toBe("DEPROVISIONED");
    const run = await arrive(hr, { ...ada, id: "77" }, bob);
    expect(run.counts).toEqual({ linked: 1, unchanged: 1 });
    expect([await status(), await account(app), creations(app)]).toEqual(["PROVISIONED", true, 2]);
    expect((await arrive(hr, { ...ada, id: "77" }, bob)).counts).toEqual({ unchanged: 2 });
  });
});

test("a transfer that gives someone another number is a move: nobody leaves, and a trial tells it so", async () => {
  const { hr, app } = await company();
  await arrive(hr, ada, bob);
  const there = { ...ada, id: "DE-1", department: "Berlin" };
  const tried = await hr.run([there, bob], { dry_run: true });
  expect(tried.counts).toEqual({ link: 1, unchanged: 1 });
  const run = await arrive(hr, there, bob);
  expect(run.counts).toEqual({ linked: 1, unchanged: 1 });
  expect([await status(), await department(), await account(app)]).toEqual(["PROVISIONED", "Berlin", true]);
  expect([creations(app), await s.events("user.lifecycle.deactivate")]).toEqual([2, 0]);
});

describe("a name that changes", () => {
  const married = { ...ada, last: "King", mail: "ada.king@example.com" };

  test("renames login and mail where the mapping follows them; person and account stay", async () => {
    const { hr, app } = await company();
    await arrive(hr, ada);
    const { id } = (await find())!;
    await arrive(hr, married);
    expect(await find("ada.king")).toMatchObject({ id, profile: { lastName: "King" } });
    expect(creations(app)).toBe(1);
    expect((await s.there(app, id))?.profile).toMatchObject({ userName: "ada.king@example.com" });
  });

  test("leaves the login as it was where the mapping gives it only once", async () => {
    const { hr } = await company();
    const once = { expression: "appuser.mail", push: "create" as const, when_empty: "clear" as const };
    await s.mapUser(hr.app_id, { login: once });
    await arrive(hr, ada);
    await arrive(hr, married);
    expect((await find())?.profile).toMatchObject({ lastName: "King", email: "ada.king@example.com" });
  });
});

test("a manager who comes later than their people is theirs as soon as they are there; until then it is told", async () => {
  const { hr, app } = await company();
  await s.map(app, { title: { expression: 'getManagerUser("active_directory").lastName' } });
  const title = async () => (await s.there(app, (await find())?.id ?? ""))?.profile["title"];
  const run = await arrive(hr, { ...ada, manager: "9" });
  expect(run.reason).toMatch(/^1 person has a manager whom nobody knows: ada\.byron@example\.com \(9\)/);
  const boss = rowOf("9", "Eve", "Boss", { manager: "1" });
  const later = await arrive(hr, { ...ada, manager: "9" }, boss);
  expect(later.reason).toBeUndefined();
  expect(await title()).toBe("Boss");
  await arrive(hr, { ...ada, manager: "9" });
  expect([await status("eve.boss"), await status()]).toEqual(["DEPROVISIONED", "PROVISIONED"]);
});

test("a record that was merged into another deletes nobody: it is a task that names both", async () => {
  const { hr, app } = await company();
  await arrive(hr, ada, bob);
  const run = await arrive(hr, { ...ada, merged: "2" }, bob);
  expect(run.counts).toEqual({ waiting: 1, unchanged: 1 });
  expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
  expect((await s.tasks()).map(({ title }) => title)).toEqual([
    expect.stringMatching(/^ada\.byron@example\.com \(1\) was merged into 2 in HR/),
  ]);
});

test("a source that ranks lower plans nothing for someone whom another decides about", async () => {
  const { hr } = await company();
  await arrive(hr, ada);
  const payroll = await hrSource(s.world(), { several_rows: true }, "Payroll");
  await mapSource(s.world(), payroll.app_id, { login: "appuser.mail", department: "appuser.department" });
  await payroll.run([mills, sales]);
  const { rows } = await sql`select from scheduled_changes`.execute(s.world().db);
  expect(rows).toEqual([]);
});
