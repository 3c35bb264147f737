/** Stories of people with several jobs at once, whose groups look at all of them. */
import { describe, expect, test } from "vitest";
import { updateApp } from "../../src/directory/apps.ts";
import { defineAttributes } from "../../src/directory/schemas.ts";
import { updateUsers } from "../../src/directory/users.ts";
import type { Sourcing } from "../../src/store/tables.ts";
import { rowOf } from "../engine/hr.ts";
import { hrStage } from "./hrStage.ts";
import { must, stage } from "./support.ts";

const s = stage();
const { company: hrCompany, at, arrive, find, department } = hrStage(s);
const main = rowOf("1", "Ada", "Byron", { department: "Mills", start: "2025-01-01", primary: "yes" });
const second = { ...main, primary: "", department: "Payments", start: "2026-03-10", end: "2026-06-30" };
const departments = async () => (await find())?.profile["departments"] ?? null;

async function company(sourcing: Partial<Sourcing> = {}) {
  await must(defineAttributes(s.command(), "user", [{ name: "departments", type: "string", array: true }]));
  const { hr } = await hrCompany({ every_job: { departments: "department" }, ...sourcing });
  const payments = await s.group("Payments");
  await s.rule("Payments, by any job", 'Arrays.contains(user.departments, "Payments")', [payments]);
  return { hr, inPayments: async () => (await s.membersOf(payments)).length === 1 };
}

describe("a second job", () => {
  test("gives a group on its first day and takes it after its last, by the clock, while the other one goes on", async () => {
    const { hr, inPayments } = await company();
    await arrive(hr, main, { ...second, zone: "Europe/Rome" });
    await at("2026-03-09T22:59:00Z");
    expect([await departments(), await inPayments()]).toEqual([["Mills"], false]);
    await at("2026-03-09T23:00:00Z");
    expect([await departments(), await inPayments(), await department()]).toEqual([
      ["Mills", "Payments"],
      true,
      "Mills",
    ]);
    await at("2026-06-30T21:59:00Z");
    expect(await inPayments()).toBe(true);
    await at("2026-06-30T22:00:00Z");
    expect([await departments(), await inPayments(), await department()]).toEqual([["Mills"], false, "Mills"]);
  });

  test("gives nothing more after its own last working day, or from when it is urgent", async () => {
    const { hr, inPayments } = await company();
    await arrive(hr, main, { ...second, start: "2026-01-01", lastday: "2026-03-20" });
    await at("2026-03-20T23:59:00Z");
    expect(await inPayments()).toBe(true);
    await at("2026-03-21T00:00:00Z");
    expect(await inPayments()).toBe(false);
    await arrive(hr, main, { ...second, start: "2026-01-01" });
    expect(await inPayments()).toBe(true);
    await arrive(hr, main, { ...second, start: "2026-01-01", urgent: "yes" });
    expect([await inPayments(), await departments()]).toEqual([false, ["Mills"]]);
  });

  test("that is taken back, or that the source calls inactive, takes its group with it", async () => {
    const { hr, inPayments } = await company();
    await arrive(hr, main, { ...second, start: "2026-01-01" });
    expect(await inPayments()).toBe(true);
    await arrive(hr, main, { ...second, start: "2026-01-01", state: "inactive" });
    expect(await inPayments()).toBe(false);
    await arrive(hr, main, { ...second, start: "2026-01-01" });
    await arrive(hr, main);
    expect([await inPayments(), await departments()]).toEqual([false, ["Mills"]]);
  });

  test("counts before the first day as the job that is next, and a single row is one job", async () => {
    const { hr } = await company({ several_rows: false });
    await arrive(hr, { ...main, start: "2026-05-01" });
    expect(await departments()).toEqual(["Mills"]);
    await arrive(hr, { ...main, start: "2026-05-01", department: "" });
    expect(await departments()).toBeNull();
  });

  test("is the source's to tell: nobody changes the list by hand", async () => {
    const { hr } = await company();
    await arrive(hr, main, second);
    const change = { id: (await find())!.id, profile: { departments: ["Payments"] } };
    expect(await updateUsers(s.command(), [change])).toMatchObject({
      refused: expect.stringMatching(/departments .* HR/),
    });
  });

  test("is not looked at by a list that users do not have, or in a file without the column", async () => {
    const { hr } = await company();
    const sourcing = { every_job: { department: "department" } };
    expect(await updateApp(s.command(), hr.app_id, { sourcing }, s.tools(hr.app_id))).toMatchObject({
      refused: expect.stringMatching(/every_job: users have no list of texts department/),
    });
    await must(
      updateApp(s.command(), hr.app_id, { sourcing: { every_job: { departments: "office" } } }, s.tools(hr.app_id)),
    );
    expect(await arrive(hr, main)).toMatchObject({
      status: "FAILED",
      reason: expect.stringMatching(/column office is missing/),
    });
  });
});
