import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Command } from "../../src/directory/command.ts";
import { deleteGroups, updateGroups } from "../../src/directory/groups.ts";
import { grantMemberships, revokeMemberships } from "../../src/directory/memberships.ts";
import {
  activateRule,
  addExceptions,
  createRule,
  deactivateRule,
  deleteRule,
  expireExceptions,
  getRule,
  listExceptions,
  loadRules,
  previewRule,
  removeExceptions,
  updateRule,
} from "../../src/directory/rules.ts";
import { defineAttributes, removeAttributes } from "../../src/directory/schemas.ts";
import { transitionUser } from "../../src/directory/userLifecycle.ts";
import { updateUsers } from "../../src/directory/users.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryDatabase } from "../support/memory.ts";
import {
  accepted,
  clean,
  counting,
  dirtyUsers,
  eventTypes,
  freshCompany,
  groupsBy,
  hire,
  lastEvent,
  makeGroups,
  refused,
  type SetTime,
  settleRules,
} from "./company.ts";

let db: Database;
let command: Command;
let everyone: string;
let setTime: SetTime;

beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  ({ command, everyone, setTime } = await freshCompany(db));
});

/** Due rules with the types of the events that made them so. */
async function dueRules(db: Database): Promise<readonly (readonly [string, string])[]> {
  const { rows } = await sql<{ name: string; type: string }>`
    select r.name, e.type from rules r left join events e on e.seq = r.due_cause
    where r.due_at is not null order by r.name`.execute(db);
  return rows.map(({ name, type }) => [name, type]);
}

const in_sales = 'user.department == "Sales"';

/** An active rule, settled. */
async function rule(name: string, expression: string, group_ids: string[]) {
  const made = accepted(await createRule(command, { name, expression, group_ids }));
  const active = accepted(await activateRule(command, made.id));
  await settleRules(command);
  return active;
}

describe("a rule", () => {
  it("begins inactive, and fills its groups once it is activated", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"], { profile: { department: "Sales" } });
    await hire(command, ["Bo", "Cy"]);
    await settleRules(command);
    const made = accepted(await createRule(command, { name: "r", expression: in_sales, group_ids: [sales.id] }));
    expect(made.status).toBe("INACTIVE");
    expect(await dueRules(db)).toEqual([]);
    accepted(await activateRule(command, made.id));
    expect(await dueRules(db)).toEqual([["r", "group.user_membership.rule.trigger"]]);
    await settleRules(command);
    expect(await dueRules(db)).toEqual([]);
    expect(await groupsBy(db, ada.id)).toEqual({ Sales: ["rule"] });
    accepted(await updateUsers(command, [{ id: ada.id, profile: { department: "Legal" } }]));
    const last = await lastEvent(db);
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({});
    expect(await eventTypes(db, last)).toEqual(["group.user_membership.remove"]);
  });

  it("does not take over someone who was added by hand", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"], { group_ids: [sales.id], profile: { department: "Sales" } });
    await rule("r", in_sales, [sales.id]);
    expect(await groupsBy(db, ada.id)).toEqual({ Sales: ["person", "rule"] });
    accepted(await updateUsers(command, [{ id: ada.id, profile: { department: null } }]));
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({ Sales: ["person"] });
  });

  const wrong: [string, string, string][] = [
    ["user.department = ", "expression, line 1, column", "invalid"],
    ['user.department == "Sales" AND\n user.departmen == "x"', "expression, line 2, column", "invalid"],
    ["user.department", "expression, line 1, column", "invalid"],
    ['isMemberOfGroup("00gnowhere")', "expression", "invalid"],
  ];
  it.each(wrong)("is refused with the place for %j", async (expression, place, code) => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const result = refused(await createRule(command, { name: "r", expression, group_ids: [sales.id] }));
    expect(result.code).toBe(code);
    expect(result.place).toContain(place);
  });

  it("fills only groups of ours, at least one, under a name of its own", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const make = (group_ids: string[], name = "r") => createRule(command, { name, expression: in_sales, group_ids });
    expect(refused(await make([everyone])).refused).toContain("Everyone");
    expect(refused(await make([])).place).toBe("group_ids");
    expect(refused(await make(["00gnone"])).place).toBe("group_ids");
    accepted(await make([sales.id]));
    expect(refused(await make([sales.id])).code).toBe("duplicate");
  });

  it("changes while it is active, condition and groups", async () => {
    const [sales, legal] = await makeGroups(command, ["Sales", "Legal"]);
    const [ada] = await hire(command, ["Ada"], { profile: { department: "Sales" } });
    const [bo] = await hire(command, ["Bo"], { profile: { department: "Legal" } });
    await hire(command, ["Cy"]);
    const made = await rule("r", in_sales, [sales.id]);
    accepted(await updateRule(command, made.id, { name: "renamed" }));
    expect(await dueRules(db)).toEqual([]);
    const change = { expression: 'user.department == "Legal"', group_ids: [legal.id] };
    accepted(await updateRule(command, made.id, change));
    expect(await dueRules(db)).toEqual([["renamed", "group_rule.lifecycle.update"]]);
    await settleRules(command);
    expect([await groupsBy(db, ada.id), await groupsBy(db, bo.id)]).toEqual([{}, { Legal: ["rule"] }]);
  });

  it("leaves deactivated people where they are, and judges them again on return", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"], { profile: { department: "Sales" } });
    const made = await rule("r", in_sales, [sales.id]);
    accepted(await transitionUser(command, ada.id, { kind: "deactivate" }));
    accepted(await updateRule(command, made.id, { expression: 'user.department == "x"' }));
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({ Sales: ["rule"] });
    accepted(await transitionUser(command, ada.id, { kind: "activate" }));
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({});
  });
});

describe("exceptions", () => {
  it("scenario 6: a removal by hand is remembered and not undone; clearing it adds the person again", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"], { profile: { department: "Sales" } });
    const made = await rule("r", in_sales, [sales.id]);
    const last = await lastEvent(db);
    const removed = accepted(
      await revokeMemberships(command, [{ user_id: ada.id, group_id: sales.id, reason: "moved desks" }]),
    );
    expect(removed.excluded).toEqual([{ user_id: ada.id, rule_id: made.id }]);
    expect(await eventTypes(db, last)).toEqual([
      "group.user_membership.rule.add_exclusion",
      "group.user_membership.remove",
    ]);
    expect(await listExceptions(db, made.id, { limit: 10 })).toMatchObject([
      { login: "ada@example.org", reason: "moved desks", created_by: "00uadmin" },
    ]);
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({});
    expect(accepted(await removeExceptions(command, made.id, [ada.id]))).toEqual({ removed: 1 });
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({ Sales: ["rule"] });
  });

  it("take effect on people who are in the groups already, and end by themselves", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"], { profile: { department: "Sales" } });
    const made = await rule("r", in_sales, [sales.id]);
    const expires_at = new Date("2026-03-09T00:00:00Z");
    accepted(await addExceptions(command, made.id, [{ user_id: ada.id, reason: "leave", expires_at }]));
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({});
    await setTime("2026-03-09T00:00:00Z");
    expect(await expireExceptions(command, command.now(), 100)).toBe(1);
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({ Sales: ["rule"] });
  });

  it("can be given when the rule is made", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"], { profile: { department: "Sales" } });
    const input = { name: "r", expression: in_sales, group_ids: [sales.id], excluded: [ada.id] };
    const made = accepted(await createRule(command, input));
    accepted(await activateRule(command, made.id));
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({});
    const unknown = await createRule(command, { ...input, name: "s", excluded: ["00unone"] });
    expect(refused(unknown).code).toBe("not_found");
    expect(await loadRules(db)).toHaveLength(1);
  });
});

describe("the end of a rule (scenario 7)", () => {
  async function filled() {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"], { profile: { department: "Sales" } });
    const [bo] = await hire(command, ["Bo"], { profile: { department: "Sales" }, group_ids: [sales.id] });
    return { sales, ada, bo, made: await rule("r", in_sales, [sales.id]) };
  }

  it("deactivated: its members stay, whatever changes, until it is activated again", async () => {
    const { ada, made } = await filled();
    accepted(await deactivateRule(command, made.id));
    accepted(await updateUsers(command, [{ id: ada.id, profile: { department: null } }]));
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({ Sales: ["rule"] });
    accepted(await activateRule(command, made.id));
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({});
  });

  it("deleted with its users: only its own members leave", async () => {
    const { ada, bo, made } = await filled();
    const last = await lastEvent(db);
    accepted(await deleteRule(command, made.id, { remove_users: true }));
    expect([await groupsBy(db, ada.id), await groupsBy(db, bo.id)]).toEqual([{}, { Sales: ["person"] }]);
    expect(await eventTypes(db, last)).toEqual(["group_rule.lifecycle.delete", "group.user_membership.remove"]);
    const { rows } = await sql<{ chained: boolean }>`
      select cause = (select max(seq) from events where type = 'group_rule.lifecycle.delete') as chained
      from events order by seq desc limit 1`.execute(db);
    expect(rows[0]?.chained).toBe(true);
  });

  it("deleted without: they stay, as if added by the one who deleted it", async () => {
    const { ada, bo, made } = await filled();
    accepted(await deleteRule(command, made.id));
    await settleRules(command);
    expect([await groupsBy(db, ada.id), await groupsBy(db, bo.id)]).toEqual([
      { Sales: ["person"] },
      { Sales: ["person"] },
    ]);
    const { rows } = await sql<{ reason: string }>`
      select reason from membership_grants where user_id = ${ada.id}`.execute(db);
    expect(rows[0]?.reason).toBe('kept when rule "r" was deleted');
  });

  it("invalid when its group or attribute goes: it says why, its people stay elsewhere, and mending makes it inactive", async () => {
    const { ada, made, sales } = await filled();
    const [team] = await makeGroups(command, ["Team"]);
    accepted(await updateRule(command, made.id, { group_ids: [sales.id, team.id] }));
    await settleRules(command);
    accepted(await deleteGroups(command, [sales.id]));
    const broken = await getRule(db, made.id);
    expect(broken?.status).toBe("INVALID");
    expect(broken?.invalid_reason).toContain(sales.id);
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({ Team: ["rule"] });
    expect((await eventTypes(db)).filter((type) => type === "group.user_membership.rule.invalidate")).toHaveLength(1);
    expect(accepted(await updateRule(command, made.id, { group_ids: [team.id] })).status).toBe("INACTIVE");
    accepted(await defineAttributes(command, "user", [{ name: "floor", type: "string" }]));
    const floor = accepted(
      await createRule(command, { name: "f", expression: 'user.floor == "1"', group_ids: [team.id] }),
    );
    accepted(await removeAttributes(command, "user", ["floor"]));
    expect(await getRule(db, floor.id)).toMatchObject({ status: "INVALID" });
  });
});

describe("rules that build on each other", () => {
  it("settle in one pass, whatever the order they were made in", async () => {
    const [sales, staff, badge] = await makeGroups(command, ["Sales", "Staff", "Badge"]);
    const [ada] = await hire(command, ["Ada"], { profile: { department: "Sales" } });
    await rule("badge", `isMemberOfGroup("${staff.id}")`, [badge.id]);
    await rule("staff", 'isMemberOfGroupName("Sales")', [staff.id]);
    await rule("sales", in_sales, [sales.id]);
    expect(await groupsBy(db, ada.id)).toEqual({ Badge: ["rule"], Sales: ["rule"], Staff: ["rule"] });
    accepted(await updateUsers(command, [{ id: ada.id, profile: { department: null } }]));
    await settleRules(command);
    expect(await groupsBy(db, ada.id)).toEqual({});
  });

  it("are refused in a circle, naming them", async () => {
    const [a, b] = await makeGroups(command, ["A", "B"]);
    await rule("first", `isMemberOfGroup("${a.id}")`, [b.id]);
    const second = accepted(
      await createRule(command, { name: "second", expression: 'isMemberOfGroupName("B")', group_ids: [a.id] }),
    );
    const circle = refused(await activateRule(command, second.id));
    expect(circle).toMatchObject({ code: "cycle" });
    expect(circle.refused).toMatch(/"first".*"second"|"second".*"first"/);
    const self = accepted(
      await createRule(command, { name: "self", expression: 'isMemberOfGroupNameStartsWith("A")', group_ids: [a.id] }),
    );
    expect(refused(await activateRule(command, self.id)).refused).toContain('"self"');
  });

  it("become invalid when a new name of a group closes a circle", async () => {
    const [a, b] = await makeGroups(command, ["A", "B"]);
    const first = await rule("first", 'isMemberOfGroupName("A")', [b.id]);
    await rule("second", 'isMemberOfGroupName("C")', [a.id]);
    accepted(await updateGroups(command, [{ id: b.id, profile: { name: "C" } }]));
    expect(await getRule(db, first.id)).toMatchObject({ status: "INVALID" });
    expect(await loadRules(db)).toEqual([]);
  });
});

describe("previews and bulk", () => {
  it("counts whom a changed rule would add and remove, and changes nothing", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    await hire(command, ["Ada", "Bo"], { profile: { department: "Sales" } });
    await hire(command, ["Cy", "Di"], { profile: { department: "Legal" } });
    const made = await rule("r", in_sales, [sales.id]);
    const expression = 'user.department == "Legal" OR user.firstName == "Bo"';
    expect(await previewRule(command, made.id, { expression, group_ids: [sales.id] })).toEqual({
      matching: 3,
      joining: 2,
      joining_logins: ["cy@example.org", "di@example.org"],
      leaving: 1,
      leaving_logins: ["ada@example.org"],
    });
    const reading = `isMemberOfGroup("${everyone}") AND isMemberOfGroupName("Sales")`;
    expect(await previewRule(command, null, { expression: reading, group_ids: [sales.id] })).toMatchObject({
      matching: 2,
    });
    expect(await dirtyUsers(db)).toEqual(new Map());
  });

  it("tells who would come into a group and out of it, whatever else keeps them there", async () => {
    const [sales, legal] = await makeGroups(command, ["Sales", "Legal"]);
    const [ada, bo] = await hire(command, ["Ada", "Bo"], { profile: { department: "Sales" } });
    const [cy] = await hire(command, ["Cy", "Di"], { profile: { department: "Legal" } });
    const made = await rule("r", in_sales, [sales.id]);
    const byHand = (user_id: string) => ({ user_id, group_id: sales.id, kind: "person" as const, source_id: "admin" });
    accepted(await grantMemberships(command, [byHand(ada.id), byHand(cy.id)]));
    const preview = async (expression: string, group_ids: string[]) => {
      const found = accepted(await previewRule(command, made.id, { expression, group_ids }));
      return [found.joining_logins, found.leaving_logins];
    };
    // Deleted, it takes out whom nobody else has put in.
    expect(await preview("false", [sales.id])).toEqual([[], ["bo@example.org"]]);
    expect(await preview('user.department == "Legal"', [sales.id])).toEqual([["di@example.org"], ["bo@example.org"]]);
    // Who matches all the same comes out of a group that it does not fill any more.
    expect(await preview(in_sales, [legal.id])).toEqual([["ada@example.org", "bo@example.org"], ["bo@example.org"]]);
    accepted(await deleteRule(command, made.id, { remove_users: true }));
    expect(Object.keys(await groupsBy(db, bo.id))).not.toContain("Sales");
    expect(Object.keys(await groupsBy(db, ada.id))).toContain("Sales");
  });

  it("previews a rule with the people that it will leave alone, as with those that it leaves alone now", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada, bo, cy] = await hire(command, ["Ada", "Bo", "Cy"], { profile: { department: "Sales" } });
    const made = await rule("r", in_sales, [sales.id]);
    accepted(await addExceptions(command, made.id, [{ user_id: ada.id }]));
    const later = new Date(command.now().getTime() + 3_600_000);
    accepted(await addExceptions(command, made.id, [{ user_id: bo.id, expires_at: later }]));
    await settleRules(command);
    const preview = async (exclude?: readonly string[]) => {
      const input = { expression: in_sales, group_ids: [sales.id] };
      const found = accepted(
        await previewRule(command, made.id, exclude === undefined ? input : { ...input, exclude }),
      );
      return [found.matching, found.joining_logins, found.leaving_logins];
    };
    expect(await preview()).toEqual([1, [], []]);
    expect(await preview([ada.id])).toEqual([1, [], []]);
    // Whom it leaves alone until a day, it does until then.
    expect(await preview([])).toEqual([2, ["ada@example.org"], []]);
    expect(await preview([cy.id])).toEqual([1, ["ada@example.org"], ["cy@example.org"]]);
  });

  /** Ada is in Sales by a rule, and deactivated when it is made to fill Legal instead. */
  async function awayWhenChanged() {
    const [sales, legal] = await makeGroups(command, ["Sales", "Legal"]);
    const [ada] = await hire(command, ["Ada"], { profile: { department: "Sales" } });
    const made = await rule("r", in_sales, [sales.id]);
    accepted(await transitionUser(command, ada.id, { kind: "deactivate" }));
    await settleRules(command);
    accepted(await updateRule(command, made.id, { group_ids: [legal.id] }));
    await settleRules(command);
    return { ada, made };
  }

  it("leaves nobody in a group whom it put there before they were deactivated and it was changed and deleted", async () => {
    const { ada, made } = await awayWhenChanged();
    expect(Object.keys(await groupsBy(db, ada.id))).toContain("Sales");
    accepted(await deleteRule(command, made.id, { remove_users: true }));
    await settleRules(command);
    expect(Object.keys(await groupsBy(db, ada.id))).not.toContain("Sales");
  });

  it("takes whoever returns out of a group that the rule fills no more, and into the one it fills now", async () => {
    const { ada } = await awayWhenChanged();
    accepted(await transitionUser(command, ada.id, { kind: "activate" }));
    await settleRules(command);
    expect(Object.keys(await groupsBy(db, ada.id))).toEqual(["Legal"]);
  });

  it("gives a thousand people their groups in a bounded number of statements", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const names = Array.from({ length: 1000 }, (_, n) => `P${n}`);
    const users = await hire(command, names, { profile: { department: "Sales" } });
    const made = accepted(await createRule(command, { name: "r", expression: in_sales, group_ids: [sales.id] }));
    accepted(await activateRule(command, made.id));
    await settleRules(command);
    const { counted, count } = counting(db);
    const bulk = { ...command, db: counted };
    accepted(
      await grantMemberships(
        bulk,
        users.map(({ id }) => ({ user_id: id, group_id: sales.id, kind: "person", source_id: "00uadmin" })),
      ),
    );
    const removed = accepted(
      await revokeMemberships(
        bulk,
        users.map(({ id }) => ({ user_id: id, group_id: sales.id })),
      ),
    );
    expect(removed.ended).toHaveLength(1000);
    expect(removed.excluded).toHaveLength(1000);
    expect(count()).toBeLessThan(30);
    await clean(db);
  });
});
