/** Explaining a person to the app they come from: what its row says, what it gives, and who gave what it does not. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { editMapping, mappingOf } from "../../src/directory/mappings.ts";
import { updateUsers } from "../../src/directory/users.ts";
import { explainAccount } from "../../src/engine/explain.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { must, type TestWorld, testWorld } from "../support/world.ts";
import { hrSource, rowOf } from "./hr.ts";

let db: Database;
let world: TestWorld;
const ada = "ada.byron@example.com";

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  world = await testWorld(db);
});

test("it tells the source's row, and of every attribute the mapping gives, whether it comes from there", async () => {
  const hr = await hrSource(world);
  await hr.run([rowOf("17", "Ada", "Byron", { department: "Mills" })]);
  const told = await must(explainAccount(world, ada, "HR"));
  expect(told.source).toMatchObject({
    row: { id: "17", department: "Mills", state: "active" },
    external_id: "17",
    decides: true,
    decided_by: "HR",
  });
  const by = new Map(told.source?.attributes.map((one) => [one.attribute, one]));
  expect(by.get("department")).toMatchObject({
    value: "Mills",
    expression: "appuser.department",
    reads: { department: "Mills" },
    wins: true,
    given: { source: "HR", external_id: "17" },
  });
  expect(by.has("title")).toBe(false);
});

test("of two sources the first gives the value, and to the other it is told who won and what its own row says", async () => {
  const first = await hrSource(world);
  const second = await hrSource(world, {}, "Payroll");
  await first.run([rowOf("17", "Ada", "Byron", { department: "Mills" })]);
  await second.run([rowOf("p9", "Ada", "Byron", { department: "Wages" })]);
  const { source } = await must(explainAccount(world, ada, "Payroll", "department"));
  expect(source).toMatchObject({ external_id: "p9", decides: false, decided_by: "HR" });
  expect(source?.attributes).toMatchObject([
    {
      attribute: "department",
      value: "Mills",
      reads: { department: "Wages" },
      wins: false,
      given: { source: "HR", external_id: "17" },
    },
  ]);
});

test("of one attribute it tells who gave the value, also where the source gives it at creation only, or never", async () => {
  const hr = await hrSource(world);
  const mapping = await mappingOf(db, hr.app_id, "to_user");
  await hr.run([rowOf("17", "Ada", "Byron")]);
  await must(editMapping(world.command, mapping!.id, { title: { expression: "appuser.zone", push: "create" } }));
  const { rows } = await sql<{ id: string }>`select id from users where login = ${ada}`.execute(db);
  await must(updateUsers(world.command, [{ id: rows[0]!.id, profile: { nickName: "Countess", title: "Head" } }]));
  for (const [attribute, mapped] of [
    ["nickName", null],
    ["title", "appuser.zone"],
  ] as const) {
    const { source } = await must(explainAccount(world, ada, "HR", attribute));
    expect(source?.attributes).toMatchObject([
      { attribute, expression: mapped, wins: false, given: { source: "entered by hand or over the API" } },
    ]);
  }
  expect(await explainAccount(world, ada, "HR", "shoe_size")).toMatchObject({
    code: "not_found",
    refused: expect.stringContaining("shoe_size"),
  });
});

test("of a column of the source it tells which attributes read it", async () => {
  const hr = await hrSource(world);
  await hr.run([rowOf("17", "Ada", "Byron")]);
  const { source, attributes } = await must(explainAccount(world, ada, "HR", "mail"));
  expect(source?.attributes.map((one) => one.attribute)).toEqual(["email", "login"]);
  expect(attributes.map((one) => one.attribute)).toEqual(["mail"]);
});

test("whom a source does not have is told so, with who gave the value", async () => {
  const hr = await hrSource(world);
  await hrSource(world, {}, "Payroll");
  await hr.run([rowOf("17", "Ada", "Byron", { department: "Mills" })]);
  const { account, source } = await must(explainAccount(world, ada, "Payroll", "department"));
  expect(account).toBe(null);
  expect(source).toMatchObject({ external_id: null, row: null, decided_by: "HR" });
  expect(source?.attributes).toMatchObject([{ value: "Mills", wins: false, given: { source: "HR" } }]);
});
