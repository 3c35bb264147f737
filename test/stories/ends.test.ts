/** Stories of people whose last day is compulsory, such as contractors: it is told, kept, and renewed ahead of time. */
import { describe, expect, test } from "vitest";
import { deactivateApp, updateApp } from "../../src/directory/apps.ts";
import { updateUsers } from "../../src/directory/users.ts";
import { hrSource, linesOf, rowOf } from "../engine/hr.ts";
import { hrStage } from "./hrStage.ts";
import { must, stage } from "./support.ts";

const s = stage();
const { company, at, arrive, find, status, department, account } = hrStage(s);
const contractors = { end_required_attribute: "type", end_required_values: ["contractor", "Vendor"] };
const bob = rowOf("2", "Bob", "Stone", { start: "2025-01-01", type: "employee" });
const ada = rowOf("1", "Ada", "Byron", {
  ...{ department: "Mills", start: "2025-01-01", end: "2026-03-31", zone: "Europe/Rome", manager: "2" },
  type: "Contractor",
});
const titles = async () => (await s.tasks()).map(({ title }) => title);
const told = (day: string, manager: string) =>
  `the last day of ada.byron@example.com is ${day}; ${manager}: move it where it comes from, or let it come`;

describe("a contractor without a last day", () => {
  const reason =
    'end: is empty, and whoever comes whose type is "Contractor" must have a last day: enter one; until then nothing of this person changes';

  test("is not made, and the import says what to do", async () => {
    const { hr } = await company(contractors);
    const run = await arrive(hr, { ...ada, end: "" }, { ...bob, end: "" });
    expect(run.counts).toEqual({ refused: 1, created: 1 });
    expect((await linesOf(s.world(), run.id)).flatMap(({ detail }) => detail?.reason ?? [])).toEqual([reason]);
    expect(await find()).toBeUndefined();
  });

  test("keeps the last day that was known, and leaves on it", async () => {
    const { hr, app } = await company(contractors);
    await arrive(hr, ada, bob);
    for (const department of ["Mills", "Sales"]) {
      expect((await arrive(hr, { ...ada, end: "", department }, bob)).counts).toEqual({ refused: 1, unchanged: 1 });
    }
    expect([await status(), await department()]).toEqual(["PROVISIONED", "Mills"]);
    await at("2026-03-31T22:00:00Z");
    expect([await status(), await account(app)]).toEqual(["DEPROVISIONED", false]);
  });

  test.each([
    ["for nobody", { end_required_values: [] }, /end_required_values: name those/],
    ["that nothing tells", { end_attribute: null }, /end_attribute: name the attribute/],
  ])("is not asked %s: the switch says what is missing", async (_what, more, refused) => {
    const { hr } = await company();
    const sourcing = { ...contractors, last_day_attribute: null, ...more };
    expect(await updateApp(s.command(), hr.app_id, { sourcing }, s.tools(hr.app_id))).toMatchObject({
      refused: expect.stringMatching(refused),
    });
  });

  test("is refused too where only one of their jobs lacks it", async () => {
    const { hr } = await company(contractors);
    const run = await arrive(hr, ada, { ...ada, start: "2026-04-01", end: "", type: "vendor" });
    expect(run.counts["refused"]).toBe(1);
    expect(await find()).toBeUndefined();
  });

  test("may become an employee, who needs none; and leaves when the source no longer lists them", async () => {
    const { hr } = await company(contractors);
    await arrive(hr, ada, bob);
    expect((await arrive(hr, { ...ada, end: "", type: "employee" }, bob)).counts).toEqual({ updated: 1, unchanged: 1 });
    await at("2026-05-01T00:00:00Z");
    expect(await status()).toBe("PROVISIONED");
    await arrive(hr, bob);
    expect(await status()).toBe("DEPROVISIONED");
  });
});

describe("the last day of a contractor", () => {
  test("is told a fortnight ahead, once, with the day where they are and with who answers for them", async () => {
    const { hr } = await company(contractors);
    await arrive(hr, ada, { ...bob, end: "2026-03-31" });
    await at("2026-03-17T21:59:00Z");
    expect(await titles()).toEqual([]);
    await at("2026-03-17T22:00:00Z");
    await at("2026-03-18T09:00:00Z");
    expect(await titles()).toEqual([told("2026-03-31", "their manager is bob.stone@example.com")]);
    expect(await s.tasks()).toMatchObject([
      { kind: "end_ahead", due_at: new Date("2026-03-31T22:00:00Z"), detail: { count: 1 } },
    ]);
  });

  test("is told again only when it is another one: the task closes when the end is moved, or comes", async () => {
    const { hr } = await company(contractors);
    await arrive(hr, ada, bob);
    await at("2026-03-20T00:00:00Z");
    expect(await titles()).toHaveLength(1);
    await arrive(hr, { ...ada, department: "Sales" }, bob);
    expect((await s.tasks()).map(({ detail }) => detail["count"])).toEqual([1]);
    await arrive(hr, { ...ada, end: "2026-05-31" }, bob);
    expect(await titles()).toEqual([]);
    await at("2026-05-20T00:00:00Z");
    expect(await titles()).toEqual([told("2026-05-31", "their manager is bob.stone@example.com")]);
    await at("2026-05-31T22:00:00Z");
    expect([await status(), await titles()]).toEqual(["DEPROVISIONED", []]);
    expect(await s.events("task.lifecycle.create")).toBe(2);
  });

  test("is told by the days that the rules say, and of a shorter contract when it begins; with 0 by nobody", async () => {
    const { hr } = await company({ ...contractors, end_warning_days: 60 });
    await arrive(hr, { ...ada, start: "2026-03-10", end: "2026-04-30", manager: "" });
    expect(await titles()).toEqual([]);
    await at("2026-03-10T00:00:00Z");
    expect(await titles()).toEqual([told("2026-04-30", "nobody is named as their manager")]);
    const quiet = await hrSource(s.world(), { ...contractors, end_warning_days: 0 }, "Agency", true);
    await arrive(quiet, rowOf("9", "Eve", "Quick", { end: "2026-03-12", type: "contractor" }));
    expect(await titles()).toHaveLength(1);
  });

  test("closes with the person who is gone before it, and with the contract that became an employment", async () => {
    const { hr } = await company(contractors);
    const eve = rowOf("3", "Eve", "Quick", { end: "2026-03-31", type: "vendor" });
    await arrive(hr, ada, eve, bob);
    await at("2026-03-20T00:00:00Z");
    expect(await titles()).toHaveLength(2);
    await arrive(hr, { ...eve, end: "", type: "employee" }, bob);
    expect([await status(), await status("eve.quick"), await titles()]).toEqual(["DEPROVISIONED", "PROVISIONED", []]);
  });

  test("is moved where it comes from, and is another one by hand once nothing tells it any more", async () => {
    const { hr } = await company(contractors);
    await arrive(hr, ada, bob);
    const { id } = (await find())!;
    await at("2026-03-20T00:00:00Z");
    const later = [{ id, ends_at: new Date("2026-04-15T22:00:00Z") }];
    expect(await updateUsers(s.command(), later)).toMatchObject({
      code: "forbidden",
      refused: "the last day of ada.byron@example.com comes from HR (row 1): change it there",
    });
    await must(deactivateApp(s.command(), hr.app_id));
    await must(updateUsers(s.command(), later));
    await s.settle();
    expect(await titles()).toEqual([]);
    await at("2026-04-02T00:00:00Z");
    expect(await titles()).toEqual([told("2026-04-15", "their manager is bob.stone@example.com")]);
    await at("2026-04-16T00:00:00Z");
    expect([await status(), await titles()]).toEqual(["DEPROVISIONED", []]);
  });

  test("is that of the next contract once it counts, by the clock", async () => {
    const { hr } = await company(contractors);
    await arrive(hr, ada, { ...ada, start: "2026-06-01", end: "2026-08-31" }, bob);
    await at("2026-03-20T00:00:00Z");
    expect(await titles()).toEqual([told("2026-03-31", "their manager is bob.stone@example.com")]);
    await at("2026-06-02T00:00:00Z");
    expect([await status(), await titles()]).toEqual(["PROVISIONED", []]);
    await at("2026-08-20T00:00:00Z");
    expect([await status(), await titles()]).toEqual([
      "PROVISIONED",
      [told("2026-08-31", "their manager is bob.stone@example.com")],
    ]);
  });
});
