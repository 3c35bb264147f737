/** What an import never does by mistake: a file that lacks something, or empties something, cuts nobody off. */
import { describe, expect, test } from "vitest";
import { listTasks } from "../../src/directory/tasks.ts";
import { getUser } from "../../src/directory/userQueries.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import type { TestWorld } from "../support/world.ts";
import { columns, hrSource, type Row, rowOf } from "./hr.ts";

let db: Database;
let world: TestWorld;
memoryWorld((...given) => {
  [db, world] = given;
});

const people = (count: number, more: Row = {}) =>
  Array.from({ length: count }, (_, n) => rowOf(`${n + 1}`, `P${n + 1}`, "Worker", { department: "Sales", ...more }));
const csvOf = (rows: readonly Row[], names: readonly string[]) =>
  [names.join(), ...rows.map((row) => names.map((name) => row[name as keyof Row] ?? "").join())].join("\n");
const departments = async () =>
  (await sql<{ n: number }>`select count(*)::int as n from users where profile->>'department' = 'Sales'`.execute(db))
    .rows[0]?.n;

const openTasks = async () => (await listTasks(db, { status: "OPEN" })).map(({ title }) => title);
const statusOf = async (n: number) => (await getUser(db, `p${n}.worker@example.com`))?.status;

describe("a column that is missing", () => {
  const without = (name: string) => columns.filter((one) => one !== name);

  test.each([
    ["one that a mapping line reads", "department"],
    ["one that dates are read from", "end"],
    ["the one that tells who works here", "state"],
    ["the one that tells rows apart", "id"],
  ])("refuses the whole file, naming it: %s", async (_what, name) => {
    const hr = await hrSource(world);
    await hr.run(people(3));
    hr.writeText(csvOf(people(3), without(name)));
    for (const request of [{}, { dry_run: true }, { mode: "incremental" as const }]) {
      const run = await hr.run(undefined, request);
      expect(run).toMatchObject({ status: "FAILED", reason: expect.stringMatching(/line 1/i) });
      expect(run.reason).toMatch(new RegExp(`column "?${name}"? is missing`));
    }
    expect(await departments()).toBe(3);
  });

  test("is nobody's concern if nothing reads it, and neither is a new one", async () => {
    const hr = await hrSource(world, { time_zone_attribute: null });
    await hr.run(people(3));
    hr.writeText(csvOf(people(3), [...without("zone"), "colour"]));
    expect(await hr.run()).toMatchObject({ status: "DONE" });
    expect(await departments()).toBe(3);
  });
});

describe("a file that has only its header", () => {
  const header_only = columns.join();

  test("is held however few work here, saying so, until a person lets it pass", async () => {
    const hr = await hrSource(world, { guard_people: 10, guard_percent: 20 });
    await hr.run(people(3));
    hr.writeText(header_only);
    const held = await hr.run();
    expect(held).toMatchObject({
      status: "HELD",
      reason:
        "The list of HR has no row that can be read. This would deactivate 3 of 3 people of source HR (100 %; the limit is 20 %)",
    });
    expect(await statusOf(1)).toBe("PROVISIONED");
    expect(await openTasks()).toEqual([expect.stringContaining("has no row that can be read")]);
    expect(await hr.run(undefined, { released: held.id })).toMatchObject({ status: "DONE", counts: { left: 3 } });
    expect(await statusOf(1)).toBe("DEPROVISIONED");
  });

  test("passes where the guard is off, or nobody of the source is left; one row is judged by the floor as ever", async () => {
    const off = await hrSource(world, { guard_people: 0, guard_percent: 100 }, "Off");
    await off.run(people(3));
    off.writeText(header_only);
    expect(await off.run()).toMatchObject({ status: "DONE", counts: { left: 3 } });
    expect(await off.run()).toMatchObject({ status: "DONE" });
    const hr = await hrSource(world, { guard_people: 10, guard_percent: 20 });
    hr.writeText(header_only);
    expect(await hr.run()).toMatchObject({ status: "DONE" });
    await hr.run([rowOf("71", "Ada", "Hill"), rowOf("72", "Bob", "Hill")]);
    expect(await hr.run([rowOf("71", "Ada", "Hill")])).toMatchObject({ status: "DONE", counts: { left: 1 } });
  });
});

describe("an attribute that is emptied", () => {
  test("for too many people holds the import, saying which attribute and how many, until a person lets it pass", async () => {
    const hr = await hrSource(world, { guard_people: 5, guard_percent: 20 });
    await hr.run(people(20));
    const emptied = people(20).map((row, n) => (n < 5 ? { ...row, department: "" } : row));
    const held = await hr.run(emptied);
    expect(held).toMatchObject({ status: "HELD", reason: expect.stringContaining("department of 5 of 20 people") });
    expect(await departments()).toBe(20);
    expect(await hr.run(undefined, { released: held.id })).toMatchObject({ status: "DONE", counts: { updated: 5 } });
    expect(await departments()).toBe(15);
  });

  test("for a few people, or changed for all, or filled for all, holds nothing", async () => {
    const hr = await hrSource(world, { guard_people: 5, guard_percent: 20 });
    await hr.run(people(20, { department: "" }));
    expect(await hr.run(people(20))).toMatchObject({ status: "DONE", counts: { updated: 20 } });
    expect(await hr.run(people(20, { department: "Trade" }))).toMatchObject({ status: "DONE" });
    const four = people(20, { department: "Trade" }).map((row, n) => (n < 4 ? { ...row, department: "" } : row));
    expect(await hr.run(four)).toMatchObject({ status: "DONE", counts: { updated: 4 } });
  });
});

describe("a row that cannot be read", () => {
  const file = (...lines: string[]) => [columns.join(), ...lines].join("\n");
  const line = (n: number) => csvOf(people(n).slice(-1), columns).split("\n")[1] ?? "";

  test.each([
    ["has cells missing", "2,p2.worker@example.com,P2"],
    ["has cells too many", `${line(2)},,,`],
    ["has a quote where none may be", '2,p2.worker@example.com,P"2,Worker,,active,,,,'],
    ["holds a character that cannot be stored", line(2).replace("Sales", "Sa\0les")],
  ])("but %s keeps whom it names, and whoever else is missing leaves", async (_what, broken) => {
    const hr = await hrSource(world);
    await hr.run(people(4));
    hr.writeText(file(line(1), broken, line(4)));
    expect(await hr.run()).toMatchObject({ status: "DONE", complete: true, counts: { refused: 1, left: 1 } });
    expect([await statusOf(2), await statusOf(3)]).toEqual(["PROVISIONED", "DEPROVISIONED"]);
    expect(await openTasks()).toEqual([]);
  });

  test.each([
    ["that leaves a quote open", '2,"p2.worker@example.com,P2,Worker,Sales,active,,,,'],
    ["whose quote ends lines later", '2,"p2.worker@example.com,P2,Worker,Sales,active,,,,\n9,"x",,,,,,,,'],
    ["whose id nobody knows", "77,p2.worker@example.com"],
    ["that has no id", ",p2.worker@example.com,P2,Worker,Sales,active,,,,"],
    ["whose id was there before", line(1)],
  ])("and does not tell whom it names, %s, keeps everyone, and that is said loudly", async (_what, broken) => {
    const hr = await hrSource(world);
    await hr.run(people(4));
    hr.writeText(file(line(1), broken, line(4)));
    const run = await hr.run();
    expect(run).toMatchObject({ status: "DONE", complete: false, counts: { kept: 2 } });
    expect(run.reason).toMatch(
      /^2 people are missing from HR and were kept, because 1 row could not be read: line 3: /,
    );
    expect([await statusOf(2), await statusOf(3)]).toEqual(["PROVISIONED", "PROVISIONED"]);
    expect(await openTasks()).toEqual([expect.stringContaining("2 people are missing from HR and were kept")]);
    expect(await hr.run([...people(1), ...people(4).slice(3)])).toMatchObject({ complete: true, counts: { left: 2 } });
    expect(await openTasks()).toEqual([]);
  });

  test("keeps everyone when its id may be another cell than it seems", async () => {
    const hr = await hrSource(world);
    const moved = ["last", "id", ...columns.filter((name) => name !== "last" && name !== "id")];
    hr.writeText(csvOf(people(3), moved));
    await hr.run();
    const [head, first, second] = csvOf(people(3), moved).split("\n");
    hr.writeText([head, first, `3,${second}`].join("\n"));
    expect(await hr.run()).toMatchObject({ complete: false, counts: { kept: 2 } });
    expect(await statusOf(2)).toBe("PROVISIONED");
  });

  test("is no reason to keep anyone in an incremental import, where nobody leaves anyway", async () => {
    const hr = await hrSource(world);
    await hr.run(people(4));
    hr.writeText(file(line(1), ",x"));
    const run = await hr.run(undefined, { mode: "incremental" });
    expect(run.reason).toBeUndefined();
    expect(await openTasks()).toEqual([]);
  });
});
