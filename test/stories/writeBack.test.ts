/**
 * Write-back: what is made here goes to the record of the source that people come from, by an app of its own with a
 * mapping of its own. The source says itself who works there.
 */
import { describe, expect, test } from "vitest";
import { updateApp } from "../../src/directory/apps.ts";
import { rowOf } from "../engine/hr.ts";
import { hrStage } from "./hrStage.ts";
import { must, stage } from "./support.ts";

const s = stage();
const { company, arrive, find, status } = hrStage(s);
const ada = rowOf("1", "Ada", "Byron", { department: "Mills" });
const line = (expression: string) => ({ expression, push: "always", when_empty: "clear" }) as const;
const only_values = { create: false, on_unassign: "keep", state: false } as const;

/** HR's file, and the same system as an app that e-mail addresses are written to: its records are named by number. */
async function withRecords(...records: readonly Readonly<{ number: string; enabled?: boolean }>[]) {
  const { hr } = await company();
  const back = await s.app({
    label: "HR write-back",
    lines: { userName: line("user.employeeNumber"), email: line("user.email") },
    provisioning: only_values,
  });
  for (const { number, enabled = true } of records) {
    s.fake(back).put({ profile: { userName: number, title: "Chief" }, enabled });
  }
  const everyone = await s.group("All of HR");
  await s.grant(back, everyone);
  await s.rule("All of HR", 'user.employeeNumber != ""', [everyone]);
  const record = (number: string) =>
    [...s.fake(back).accounts.values()].find(({ profile }) => profile["userName"] === number);
  return { hr, back, record };
}

test("an address that was made here is written to the person's record, and so is its change, and nothing else of it", async () => {
  const { hr, back, record } = await withRecords({ number: "1" });
  await arrive(hr, ada);
  expect(record("1")).toMatchObject({ enabled: true, profile: { email: "ada.byron@example.com", title: "Chief" } });
  await arrive(hr, { ...ada, mail: "ada.king@example.com" });
  expect(record("1")?.profile).toMatchObject({ email: "ada.king@example.com", title: "Chief" });
  expect([s.calls(back, "create"), s.fake(back).accounts.size]).toEqual([0, 1]);
});

describe("whoever works there is the source's to say:", () => {
  test("nobody is made there", async () => {
    const { hr, back } = await withRecords();
    await arrive(hr, ada);
    expect([s.fake(back).accounts.size, s.calls(back, "create")]).toEqual([0, 0]);
  });

  test("whoever has no number is looked for by none, and left alone", async () => {
    const { hr, back } = await withRecords({ number: "1" });
    await arrive(hr, ada);
    const by_hand = await s.hire("Pat", "Temp");
    await s.assign(back, by_hand);
    const before = s.calls(back, "find");
    await s.settle();
    expect([await s.waiting(back, by_hand), s.calls(back, "find") - before]).toEqual([undefined, 0]);
  });

  test("a record that HR has switched off is not switched on, and has its address", async () => {
    const { hr, record } = await withRecords({ number: "1", enabled: false });
    await arrive(hr, ada);
    expect(record("1")).toMatchObject({ enabled: false, profile: { email: "ada.byron@example.com" } });
  });

  test("whoever is suspended, leaves and comes back keeps the record as HR has it", async () => {
    const { hr, back, record } = await withRecords({ number: "1" });
    await arrive(hr, ada);
    const user = await find();
    await s.turn(user?.id ?? "", "suspend");
    await s.settle();
    expect(record("1")?.enabled).toBe(true);
    await arrive(hr, { ...ada, state: "left" });
    expect([await status(), record("1")?.enabled]).toEqual(["DEPROVISIONED", true]);
    const [id = ""] = [...s.fake(back).accounts.keys()];
    s.fake(back).edit(id, { set: { email: null } });
    await arrive(hr, ada);
    await s.reconcile(back);
    expect(record("1")).toMatchObject({ enabled: true, profile: { email: "ada.byron@example.com" } });
    expect(s.calls(back, "create", "delete")).toBe(0);
  });
});

test.each([
  [{ ...only_values, create: true }, "create"],
  [{ ...only_values, on_unassign: "disable" as const }, "on_unassign"],
])("state=false with an app that makes or ends accounts is refused: %j", async (provisioning, name) => {
  const app = await s.app();
  expect(await updateApp(s.command(), app, { provisioning }, s.tools(app))).toMatchObject({
    place: `provisioning.${name}`,
    refused: expect.stringMatching(/set create=false on_unassign=keep too/),
  });
  await must(updateApp(s.command(), app, { provisioning: only_values }, s.tools(app)));
});
