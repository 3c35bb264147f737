/** The acceptance scenarios about people who come from a source, by their numbers. */
import { describe, expect, test } from "vitest";
import { getUser } from "../../src/directory/userQueries.ts";
import { sql } from "../../src/store/database.ts";
import { columns, hrSource, linesOf, rowOf } from "../engine/hr.ts";
import { hrStage } from "./hrStage.ts";
import { stage } from "./support.ts";

const s = stage();
const { company, arrive, account, status } = hrStage(s);
const [ada, bob] = [rowOf("1", "Ada", "Byron", { department: "Mills" }), rowOf("2", "Bob", "Stone")];
const many = (count: number) => Array.from({ length: count }, (_, n) => rowOf(`m${n}`, `P${n}`, "Worker"));
const byDefault = { guard_people: 10, guard_percent: 20 };
const events = async () =>
  (await sql<{ n: number }>`select count(*)::int as n from events where type like 'user.%'`.execute(s.world().db))
    .rows[0]?.n;

describe("Scenario 8: the source says inactive", () => {
  test.each([
    ["none", "PROVISIONED", true],
    ["suspend", "SUSPENDED", false],
    ["deactivate", "DEPROVISIONED", false],
  ] as const)("and with mode %s the person is %s, and the account follows", async (on_inactive, after, works) => {
    const { hr, app } = await company({ on_inactive });
    await arrive(hr, ada, bob);
    await arrive(hr, { ...ada, state: "left" }, bob);
    expect([await status(), await account(app)]).toEqual([after, works]);
    expect(await account(app, "bob.stone")).toBe(true);
  });

  test("but a source of lower priority cannot deactivate, by its word or by leaving someone out", async () => {
    const { hr, app } = await company();
    const payroll = await hrSource(s.world(), {}, "Payroll");
    await arrive(hr, ada);
    await arrive(payroll, ada);
    await arrive(payroll, { ...ada, state: "left" });
    expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
    await arrive(payroll, ada);
    await arrive(payroll);
    expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
  });

  test("but a super administrator is protected", async () => {
    const { hr, app } = await company();
    await arrive(hr, ada);
    await sql`update users set super_admin = true`.execute(s.world().db);
    expect((await arrive(hr, { ...ada, state: "left" })).counts).toEqual({ skipped: 1 });
    expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
  });
});

test("Scenario 9: of 105 people, 22 leavers (21 %) are stopped before any write, and 21 (20 %) pass", async () => {
  const hr = await hrSource(s.world(), byDefault);
  await hr.run(many(105));
  const before = await events();
  expect(await hr.run(many(105).slice(22))).toMatchObject({ status: "HELD", counts: { vanish: 22 } });
  expect(await events()).toBe(before);
  expect(await hr.run(many(105).slice(21))).toMatchObject({ status: "DONE", counts: { left: 21 } });
});

test("Scenario 10: whoever a full import lacks has left; of whom a delta lacks it says nothing, and the next full one catches them", async () => {
  const { hr, app } = await company();
  await arrive(hr, ada, bob);
  await hr.run([bob], { mode: "incremental" });
  await s.settle();
  expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
  await arrive(hr, bob);
  expect([await status(), await account(app)]).toEqual(["DEPROVISIONED", false]);
});

describe("Scenario 20: a CSV file", () => {
  const header = columns.join();
  test("in which a cell is empty empties the attribute", async () => {
    const hr = await hrSource(s.world());
    await hr.run([ada]);
    hr.writeText(`${header}\n1,ada.byron@example.com,Ada,Byron,,active,,,,`);
    expect(await hr.run()).toMatchObject({ counts: { updated: 1 } });
    const user = await getUser(s.world().db, "ada.byron@example.com");
    expect(user?.profile["department"] ?? null).toBeNull();
  });

  test("without its header is refused whole", async () => {
    const hr = await hrSource(s.world());
    hr.writeText("1,ada.byron@example.com,Ada,Byron,Mills,active,,,,");
    expect(await hr.run()).toMatchObject({ status: "FAILED", counts: {} });
    expect(await getUser(s.world().db, "ada.byron@example.com")).toBeUndefined();
  });

  test("with bad rows tells them in a trial, which applies nothing; good rows are applied once that is confirmed", async () => {
    const hr = await hrSource(s.world());
    const tried = await hr.run([ada, { ...bob, mail: "" }], { dry_run: true });
    expect(tried).toMatchObject({ status: "DONE", counts: { create: 1, refused: 1 } });
    expect((await linesOf(s.world(), tried.id)).find(({ outcome }) => outcome === "refused")).toMatchObject({
      external_id: "2",
      detail: { place: "line 3, 2", reason: expect.stringContaining("login") },
    });
    expect(await getUser(s.world().db, "ada.byron@example.com")).toBeUndefined();
    expect(await hr.run()).toMatchObject({ status: "DONE", counts: { created: 1, refused: 1 } });
    expect(await getUser(s.world().db, "ada.byron@example.com")).toBeDefined();
  });
});
