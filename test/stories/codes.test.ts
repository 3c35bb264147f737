/** Stories of codes and names in an HR file: codes and the person's own key decide, names and numbers are labels. */
import { describe, expect, test } from "vitest";
import { rowOf } from "../engine/hr.ts";
import { hrStage } from "./hrStage.ts";
import { stage } from "./support.ts";

const s = stage();
const { company, arrive, find, status, department, account, creations } = hrStage(s);
const ada = rowOf("p1", "Ada", "Byron", { department: "Mills", unit: "100", number: "7001" });
const bob = rowOf("p2", "Bob", "Stone", { department: "Mills", unit: "100", number: "7002" });

describe("a department", () => {
  test("that gets another name moves nobody where rules go by its code; another code moves, whatever the name", async () => {
    const { hr } = await company();
    await s.mapUser(hr.app_id, { costCenter: { expression: "appuser.unit" } });
    const unit = await s.group("Unit 100");
    await s.rule("Unit 100", 'user.costCenter == "100"', [unit]);
    await arrive(hr, ada, bob);
    const both = ["ada.byron@example.com", "bob.stone@example.com"];
    expect(await s.membersOf(unit)).toEqual(both);
    const given = await s.events("group.user_membership.add");
    await arrive(hr, { ...ada, department: "Mills & Looms" }, { ...bob, department: "Mills & Looms" });
    expect([await department(), await s.membersOf(unit)]).toEqual(["Mills & Looms", both]);
    expect([await s.events("group.user_membership.add"), await s.events("group.user_membership.remove")]).toEqual([
      given,
      0,
    ]);
    await arrive(hr, { ...ada, department: "Mills & Looms", unit: "200" }, { ...bob, department: "Mills & Looms" });
    expect(await s.membersOf(unit)).toEqual(["bob.stone@example.com"]);
  });
});

describe("an employee number", () => {
  async function numbered() {
    const { hr, app } = await company();
    await s.mapUser(hr.app_id, { employeeNumber: { expression: "appuser.number" } });
    await s.map(app, { title: { expression: 'getManagerUser("active_directory").lastName' } });
    const superior = async () => (await s.there(app, (await find("eve.quick"))!.id))?.profile["title"] ?? null;
    return { hr, app, superior };
  }
  const eve = rowOf("p3", "Eve", "Quick", { manager: "7001", number: "7003" });

  test("that changes is a change of the same person, who keeps account and groups", async () => {
    const { hr, app } = await numbered();
    await arrive(hr, ada, bob);
    const { id } = (await find())!;
    const run = await arrive(hr, { ...ada, number: "9001" }, bob);
    expect(run.counts).toEqual({ updated: 1, unchanged: 1 });
    expect(await find()).toMatchObject({ id, profile: { employeeNumber: "9001" } });
    expect([await account(app), creations(app), await s.events("user.lifecycle.deactivate")]).toEqual([true, 2, 0]);
  });

  test("that somebody else gets while its person has another makes nobody the other one", async () => {
    const { hr, superior } = await numbered();
    await arrive(hr, ada, eve);
    const { id } = (await find())!;
    expect(await superior()).toBe("Byron");
    const run = await arrive(hr, { ...ada, number: "9001" }, { ...bob, number: "7001" }, eve);
    expect(run.counts).toEqual({ updated: 1, created: 1, unchanged: 1 });
    expect([(await find())?.id, (await find("bob.stone"))?.id === id]).toEqual([id, false]);
    expect(await superior()).toBe("Stone");
  });

  test("of someone who left, given anew, names the one who works here as manager", async () => {
    const { hr, superior } = await numbered();
    await arrive(hr, ada, eve);
    await arrive(hr, eve);
    await arrive(hr, { ...bob, number: "7001" }, eve);
    expect([await status(), await superior()]).toEqual(["DEPROVISIONED", "Stone"]);
  });
});

test("someone whom HR deletes is deactivated and stays, account too: nothing of them is deleted", async () => {
  const { hr, app } = await company();
  await arrive(hr, ada, bob);
  await arrive(hr, bob);
  expect([await status(), await account(app), s.calls(app, "delete")]).toEqual(["DEPROVISIONED", false, 0]);
  expect(await s.events("user.lifecycle.delete.initiated")).toBe(0);
});
