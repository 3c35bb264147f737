import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type App, createApp } from "../../src/directory/apps.ts";
import {
  assignUsers,
  convertAssignments,
  expireAssignments,
  grantingGroups,
  grantsOf,
  setAssignmentValues,
  unassignUsers,
} from "../../src/directory/assignments.ts";
import { assignGroups, assignmentsOf, orderGroups, unassignGroups } from "../../src/directory/groupAssignments.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import {
  at,
  commandAt,
  dirty,
  dirtyUsers,
  eventTypes,
  granted,
  group,
  noon,
  person,
  refused,
  settle,
  tools,
} from "./support.ts";

let db: Database;
let app: App;
let ada: string;
let bob: string;
let cy: string;

beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  app = granted(
    await createApp(commandAt(db), { label: "Payroll", kind: "scim", config: { url: "https://pay.example" } }, tools),
  );
  [ada, bob, cy] = [await person(db, "ada"), await person(db, "bob"), await person(db, "cy")];
});
afterEach(() => wipe(db));

const assign = async (...grants: Parameters<typeof assignUsers>[2]) => assignUsers(commandAt(db), app.id, grants);
const assignmentEvents = async () => (await eventTypes(db)).filter((type) => type.includes("assignment"));
const ranks = async () => (await assignmentsOf(db, app.id)).map((one) => [one.group_id, one.priority]);

describe("individual assignments", () => {
  test("many people are assigned in one go, each marked with the event of their own grant as the cause", async () => {
    expect(granted(await assign({ user_id: ada }, { user_id: bob, reason: "asked for it" }))).toEqual({
      began: [ada, bob],
      changed: [],
    });
    const marks = await db
      .selectFrom("dirty")
      .innerJoin("events", "events.seq", "dirty.cause")
      .select(["dirty.user_id", "events.user_id as of"])
      .execute();
    expect(marks.map((mark) => [mark.user_id, mark.of])).toEqual([
      [ada, ada],
      [bob, bob],
    ]);
    expect(await grantsOf(db, app.id, bob)).toMatchObject([
      { kind: "person", source_id: "00uadmin", reason: "asked for it" },
    ]);
  });

  test("the same grant given again changes nothing and says nothing; one with new values is renewed", async () => {
    await assign({ user_id: ada, profile: { role: "clerk" } });
    await settle(db);
    expect(granted(await assign({ user_id: ada, profile: { role: "clerk" } }))).toEqual({ began: [], changed: [] });
    expect(await dirtyUsers(db)).toEqual([]);
    expect(granted(await assign({ user_id: ada, profile: { role: "boss" } }))).toEqual({ began: [], changed: [ada] });
    expect(await dirtyUsers(db)).toEqual([ada]);
    expect(await assignmentEvents()).toHaveLength(2);
  });

  test("an assignment lasts as long as any of its grants", async () => {
    await assign({ user_id: ada }, { user_id: ada, kind: "request", source_id: "req1" });
    expect(granted(await unassignUsers(commandAt(db), app.id, [ada], { kind: "person" })).ended).toEqual([]);
    expect(granted(await unassignUsers(commandAt(db), app.id, [ada, cy])).ended).toEqual([ada]);
    expect(await grantsOf(db, app.id, ada)).toEqual([]);
  });

  test("taking a person's own grant away tells who keeps the app through which groups", async () => {
    const [top, low] = [await group(db, "Top", [ada]), await group(db, "Low", [ada, bob])];
    granted(
      await assignGroups(commandAt(db), app.id, [
        { group_id: low, priority: 5 },
        { group_id: top, priority: 1 },
      ]),
    );
    await assign({ user_id: ada }, { user_id: cy });
    const answer = granted(await unassignUsers(commandAt(db), app.id, [ada, cy]));
    expect(answer).toEqual({ ended: [ada, cy], by_group: [{ user_id: ada, group_ids: [top, low] }] });
  });

  const wrong: [what: string, grant: object, code: string, says: RegExp][] = [
    ["the person is unknown", { user_id: "00unobody" }, "not_found", /00unobody/],
    ["the attribute is unknown", { profile: { rol: "x" } }, "invalid", /rol/],
    ["the value has the wrong type", { profile: { role: 7 } }, "invalid", /role/],
    ["it would be over already", { expires_at: at(-1) }, "invalid", /over already/],
    ["a group is said to give it", { kind: "group" }, "invalid", /assign the group/],
  ];
  test.each(wrong)("the whole set is refused when %s", async (_, grant, code, says) => {
    const answer = refused(await assign({ user_id: bob }, { user_id: ada, ...grant } as never));
    expect(answer.code).toBe(code);
    expect(answer.refused).toMatch(says);
    expect(await db.selectFrom("assignment_grants").selectAll().execute()).toEqual([]);
    expect(await dirtyUsers(db)).toEqual([]);
  });

  test("a deactivated person is not assigned, a future one is", async () => {
    const [left, future] = [await person(db, "left", {}, "DEPROVISIONED"), await person(db, "future", {}, "STAGED")];
    expect(refused(await assign({ user_id: left })).code).toBe("illegal_transition");
    expect(granted(await assign({ user_id: future })).began).toEqual([future]);
  });

  test("own values override attribute by attribute: a change merges, a replacement replaces, null gives back", async () => {
    const command = commandAt(db);
    await assign({ user_id: ada, profile: { role: "clerk", department: "Sales" }, reason: "r" });
    granted(await setAssignmentValues(command, app.id, ada, { role: "boss" }));
    expect((await grantsOf(db, app.id, ada))[0]).toMatchObject({
      profile: { role: "boss", department: "Sales" },
      reason: "r",
    });
    granted(await setAssignmentValues(command, app.id, ada, { role: null }));
    expect((await grantsOf(db, app.id, ada))[0]?.profile).toEqual({ department: "Sales" });
    granted(await setAssignmentValues(command, app.id, ada, { email: "x@y.zz" }, "replace"));
    expect((await grantsOf(db, app.id, ada))[0]?.profile).toEqual({ email: "x@y.zz" });
  });

  test("someone who has the app through a group gets own values beside it; someone who has not is refused", async () => {
    const members = await group(db, "Clerks", [ada]);
    granted(await assignGroups(commandAt(db), app.id, [{ group_id: members }]));
    expect(granted(await setAssignmentValues(commandAt(db), app.id, ada, { role: "boss" })).began).toEqual([ada]);
    expect(refused(await setAssignmentValues(commandAt(db), app.id, bob, { role: "boss" })).code).toBe("not_found");
  });
});

describe("converting (scenario 5)", () => {
  test("individual grants end where a group gives the app, and stay where none does", async () => {
    const members = await group(db, "Clerks", [ada]);
    granted(await assignGroups(commandAt(db), app.id, [{ group_id: members, profile: { role: "clerk" } }]));
    await assign({ user_id: ada, profile: { role: "boss" } }, { user_id: bob });
    await settle(db);
    expect(granted(await convertAssignments(commandAt(db), app.id, "all"))).toEqual({ converted: [ada], kept: 1 });
    expect(await grantsOf(db, app.id, ada)).toEqual([]);
    expect(await grantsOf(db, app.id, bob)).toHaveLength(1);
    expect(await dirtyUsers(db)).toEqual([ada]);
    expect(await grantingGroups(db, app.id, [ada, bob], noon)).toEqual([{ user_id: ada, group_ids: [members] }]);
  });

  test("a group whose assignment or membership is over gives nothing to convert to", async () => {
    const [over, left] = [await group(db, "Over", [ada]), await group(db, "Left", [ada])];
    granted(await assignGroups(commandAt(db), app.id, [{ group_id: over, expires_at: at(5) }, { group_id: left }]));
    await sql`update membership_grants set expires_at = ${at(5)}::timestamptz where group_id = ${left}`.execute(db);
    await assign({ user_id: ada });
    expect(granted(await convertAssignments(commandAt(db, at(6)), app.id, [ada]))).toEqual({ converted: [], kept: 1 });
    expect(granted(await convertAssignments(commandAt(db, at(4)), app.id, [ada])).converted).toEqual([ada]);
  });
});

describe("group assignments (scenario 4)", () => {
  test("a group takes the next priority unless one is given, and no other group is moved by that", async () => {
    const [a, b, c, d] = [await group(db, "A"), await group(db, "B"), await group(db, "C"), await group(db, "D")];
    granted(await assignGroups(commandAt(db), app.id, [{ group_id: a }, { group_id: b }]));
    granted(await assignGroups(commandAt(db), app.id, [{ group_id: c, priority: 0 }, { group_id: d }]));
    expect(await ranks()).toEqual([
      [a, 0],
      [c, 0],
      [b, 1],
      [d, 2],
    ]);
    granted(await orderGroups(commandAt(db), app.id, [d, b]));
    expect(await ranks()).toEqual([
      [d, 0],
      [b, 1],
      [a, 2],
      [c, 3],
    ]);
    expect(refused(await orderGroups(commandAt(db), app.id, ["00gnone"])).code).toBe("invalid");
  });

  test("members are marked when the app comes, when its values change, and when it goes; nobody for the same again", async () => {
    const members = await group(db, "Clerks", [ada, bob]);
    const steps: [() => Promise<unknown>, number[]][] = [
      [() => assignGroups(commandAt(db), app.id, [{ group_id: members, profile: { role: "clerk" } }]), [20, 20]],
      [() => assignGroups(commandAt(db), app.id, [{ group_id: members }]), []],
      [() => assignGroups(commandAt(db), app.id, [{ group_id: members, profile: { role: "boss" } }]), [20, 20]],
      [() => unassignGroups(commandAt(db), app.id, [members]), [10, 10]],
      [() => unassignGroups(commandAt(db), app.id, [members]), []],
    ];
    for (const [step, priorities] of steps) {
      granted(await step());
      expect((await dirty(db)).map((row) => row.priority)).toEqual(priorities);
      await settle(db);
    }
    expect((await eventTypes(db)).filter((type) => type.startsWith("group."))).toEqual([
      "group.application_assignment.add",
      "group.application_assignment.update",
      "group.application_assignment.remove",
    ]);
  });

  test("an app for Everyone concerns all who are not deactivated", async () => {
    await person(db, "left", {}, "DEPROVISIONED");
    const everyone = await group(db, "Everyone", [], "BUILT_IN");
    granted(await assignGroups(commandAt(db), app.id, [{ group_id: everyone }]));
    expect(await dirtyUsers(db)).toEqual([ada, bob, cy]);
    expect(await grantingGroups(db, app.id, [cy], noon)).toEqual([{ user_id: cy, group_ids: [everyone] }]);
  });

  test("what is left out of a change stays; an expiry is taken away with null", async () => {
    const id = await group(db, "Clerks");
    const command = commandAt(db);
    granted(
      await assignGroups(command, app.id, [
        { group_id: id, priority: 7, profile: { role: "clerk" }, expires_at: at(60) },
      ]),
    );
    granted(await assignGroups(command, app.id, [{ group_id: id, priority: 3 }]));
    expect(await assignmentsOf(db, app.id)).toMatchObject([
      { priority: 3, profile: { role: "clerk" }, expires_at: at(60) },
    ]);
    const [now] = granted(await assignGroups(command, app.id, [{ group_id: id, expires_at: null, profile: {} }]));
    expect(now).toMatchObject({ priority: 3, profile: {}, expires_at: null });
  });

  test("unknown groups, wrong values and wrong priorities are refused by name", async () => {
    const id = await group(db, "Clerks");
    expect(refused(await assignGroups(commandAt(db), app.id, [{ group_id: "00gnone" }])).refused).toContain("00gnone");
    expect(
      refused(await assignGroups(commandAt(db), app.id, [{ group_id: id, profile: { rol: "x" } }])).refused,
    ).toContain("rol");
    expect(refused(await assignGroups(commandAt(db), app.id, [{ group_id: id, priority: -1 }])).place).toBe("priority");
    expect(await assignmentsOf(db, app.id)).toEqual([]);
  });
});

describe("expiry", () => {
  test("grants of people and groups end by the clock, at most so many at a time, and their people come first", async () => {
    const members = await group(db, "Clerks", [cy]);
    await assign({ user_id: ada, expires_at: at(10) }, { user_id: bob, expires_at: at(20) });
    granted(await assignGroups(commandAt(db), app.id, [{ group_id: members, expires_at: at(10) }]));
    await settle(db);
    expect(await expireAssignments(commandAt(db), at(9), 100)).toBe(0);
    expect(await expireAssignments(commandAt(db), at(10), 100)).toBe(2);
    expect(await dirty(db)).toEqual([
      { user_id: ada, priority: 0 },
      { user_id: cy, priority: 0 },
    ]);
    expect(await expireAssignments(commandAt(db), at(99), 1)).toBe(1);
    expect(await expireAssignments(commandAt(db), at(99), 1)).toBe(0);
    const reasons = await db
      .selectFrom("events")
      .select("reason")
      .where("type", "like", "%assignment%")
      .where("reason", "is not", null)
      .execute();
    expect(reasons.map((event) => event.reason)).toEqual(Array(3).fill("the time was over"));
  });

  test("a person whose other grant goes on keeps the app", async () => {
    await assign({ user_id: ada, expires_at: at(10) }, { user_id: ada, kind: "import", source_id: "0oahr" });
    await expireAssignments(commandAt(db), at(10), 100);
    expect(await grantsOf(db, app.id, ada)).toMatchObject([{ kind: "import" }]);
    const { rows } = await sql<{ only: boolean }>`
      select (detail->>'only')::boolean as only from events where type = 'application.assignment_grant.end'`.execute(
      db,
    );
    expect(rows).toEqual([{ only: false }]);
  });

  test("history tells who was assigned on a past day", async () => {
    await assign({ user_id: ada, expires_at: at(10) });
    await sql`update clock set fixed_at = ${at(10)}::timestamptz`.execute(db);
    await expireAssignments(commandAt(db, at(10)), at(10), 100);
    const { rows } = await sql<{ user_id: string; until: Date }>`
      select user_id, valid_to as until from assignment_grants_periods where app_id = ${app.id}
        and valid_from <= ${at(5)}::timestamptz and (valid_to is null or valid_to > ${at(5)}::timestamptz)`.execute(db);
    expect(rows).toEqual([{ user_id: ada, until: at(10) }]);
  });
});
