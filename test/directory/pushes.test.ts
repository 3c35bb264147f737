import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type App, createApp } from "../../src/directory/apps.ts";
import { completeTasks } from "../../src/directory/completion.ts";
import {
  createPushes,
  keepLinked,
  listPushes,
  pausePushes,
  pushNow,
  readPush,
  resumePushes,
  unlinkPushes,
} from "../../src/directory/pushes.ts";
import {
  applyPushRules,
  createPushRule,
  deletePushRule,
  listPushRules,
  previewPushRule,
  refreshPushRules,
  updatePushRule,
} from "../../src/directory/pushRules.ts";
import { raiseTasks } from "../../src/directory/tasks.ts";
import { type Database, json, sql, transact } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { at, commandAt, eventTypes, granted, group, noon, refused, tools } from "./support.ts";

let db: Database;
let app: App;
let sales: string;
let staff: string;

beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  app = granted(
    await createApp(commandAt(db), { label: "Chat", kind: "scim", config: { url: "https://chat.example" } }, tools),
  );
  [sales, staff] = [await group(db, "Sales"), await group(db, "Staff")];
});
afterEach(() => wipe(db));

const push = async (...pushes: Parameters<typeof createPushes>[2]) =>
  createPushes(commandAt(db), app.id, pushes, tools);
const rule = async (name: string, expression: string) =>
  createPushRule(commandAt(db), { app_id: app.id, name, expression }, tools);
const pushed = async () => (await listPushes(db)).map((one) => [one.group_name, one.state, one.push_rule_id !== null]);
/** What a group command does: rename, then tell the rules, in one transaction. */
const rename = (id: string, name: string) =>
  transact(db, async (trx) => {
    await sql`update groups set profile = ${json({ name })} where id = ${id}`.execute(trx);
    await refreshPushRules({ ...commandAt(db), db: trx }, [id]);
    return name;
  });
/** The engine has pushed everything. */
const pushAll = () =>
  sql`update pushed_groups set due_at = null, target_id = 't-' || id, full_check = false where status = 'ACTIVE'`.execute(
    db,
  );

describe("pushing by name", () => {
  test("a group is created under its own name, linked by id, or created or linked by a name it keeps", async () => {
    const other = await group(db, "Other");
    granted(
      await push(
        { group_id: sales },
        { group_id: staff, target_id: "g-9" },
        { group_id: other, target_name: "Everybody", active: false },
      ),
    );
    const rows = await listPushes(db, { app_id: app.id });
    expect(
      rows.map((one) => [one.mode, one.target_id, one.target_name, one.status, one.full_check, one.due_at]),
    ).toEqual([
      ["create", null, null, "ACTIVE", true, noon],
      ["link", "g-9", null, "ACTIVE", true, noon],
      ["link", null, "Everybody", "INACTIVE", true, null],
    ]);
  });

  const wrong: [what: string, pushes: () => Promise<unknown>, code: string, says: RegExp][] = [
    ["the group is unknown", () => push({ group_id: "00gnone" }), "not_found", /00gnone/],
    ["the group is named twice", () => push({ group_id: sales }, { group_id: sales }), "duplicate", /twice/],
    [
      "both id and name of a target are given",
      () => push({ group_id: sales, target_id: "a", target_name: "b" }),
      "invalid",
      /not both/,
    ],
    [
      "two of the groups have one target",
      () => push({ group_id: sales, target_id: "a" }, { group_id: staff, target_id: "a" }),
      "duplicate",
      /one target/,
    ],
    [
      "the app is unknown",
      () => createPushes(commandAt(db), "0oanone", [{ group_id: sales }], tools),
      "not_found",
      /0oanone/,
    ],
  ];
  test.each(wrong)("is refused when %s", async (_, pushes, code, says) => {
    const answer = refused(await pushes());
    expect(answer.code).toBe(code);
    expect(answer.refused).toMatch(says);
    expect(await listPushes(db)).toEqual([]);
  });

  test("is refused to apps without groups, saying why", async () => {
    const plain = granted(
      await createApp(commandAt(db), { label: "Old", kind: "plain", config: { url: "https://old.example" } }, tools),
    );
    const wiki = granted(await createApp(commandAt(db), { label: "Wiki", kind: "none" }, tools));
    expect(refused(await createPushes(commandAt(db), plain.id, [{ group_id: sales }], tools)).refused).toContain(
      "no groups",
    );
    expect(refused(await createPushes(commandAt(db), wiki.id, [{ group_id: sales }], tools)).refused).toContain(
      "no connector",
    );
  });

  test("a group is pushed to an app once, a target follows one group, and an app's own group is not pushed back", async () => {
    granted(await push({ group_id: sales, target_id: "g-1" }));
    expect(refused(await push({ group_id: sales })).refused).toContain("pushed to it already");
    expect(refused(await push({ group_id: staff, target_id: "g-1" })).refused).toContain("Sales behind it");
    const own = await group(db, "Chat admins", [], "APP_GROUP");
    await sql`update groups set source_app_id = ${app.id}, external_id = 'x' where id = ${own}`.execute(db);
    expect(refused(await push({ group_id: own })).code).toBe("cycle");
  });
});

describe("a push", () => {
  test("is paused and goes on with a full comparison; a claim under way cannot undo the pause", async () => {
    const [one] = granted(await push({ group_id: sales }));
    const ids = [one?.id ?? ""];
    await pushAll();
    await sql`update pushed_groups set claimed_by = 'n', claimed_until = ${at(1)}::timestamptz`.execute(db);
    granted(await pausePushes(commandAt(db), ids));
    expect(await readPush(db, ids[0] ?? "")).toMatchObject({ state: "INACTIVE", due_at: null, claimed_by: null });
    expect(granted(await pushNow(commandAt(db), ids))[0]?.due_at).toBeNull();
    const [back] = granted(await resumePushes(commandAt(db), ids));
    expect(back).toMatchObject({ state: "ACTIVE", due_at: noon, full_check: true, target_id: `t-${ids[0]}` });
    expect(await eventTypes(db)).toEqual(
      expect.arrayContaining([
        "application.provision.group_push.deactivate_mapping",
        "application.provision.group_push.activate_mapping",
      ]),
    );
  });

  test("pushing now tries again what had failed, and so does completing its task", async () => {
    const [one] = granted(await push({ group_id: sales }));
    const id = one?.id ?? "";
    const fail = () =>
      sql`update pushed_groups set due_at = null, fault = 'invalid', error = 'too long', attempts = 4`.execute(db);
    await fail();
    expect(await listPushes(db, { state: "ERROR" })).toMatchObject([{ id, state: "ERROR", error: "too long" }]);
    expect(granted(await pushNow(commandAt(db), [id]))).toMatchObject([
      { due_at: noon, attempts: 0, full_check: true },
    ]);
    await fail();
    const [task] = await raiseTasks(commandAt(db), [
      { kind: "group_push_error", title: "t", dedupe: `push:${id}`, app_id: app.id, detail: { push: id } },
    ]);
    granted(await completeTasks(commandAt(db), [task?.id ?? ""]));
    expect(await readPush(db, id)).toMatchObject({ due_at: noon, attempts: 0 });
  });

  test("is unlinked by the engine, leaving or deleting the app's group, and can be taken back until then", async () => {
    const [one, two] = granted(await push({ group_id: sales }, { group_id: staff }));
    await pushAll();
    granted(await unlinkPushes(commandAt(db), [one?.id ?? ""], "delete"));
    granted(await unlinkPushes(commandAt(db), [two?.id ?? ""], "leave"));
    expect(await listPushes(db)).toEqual([]);
    expect((await listPushes(db, { unlinking: true })).map((each) => [each.unlinking, each.due_at])).toEqual([
      ["delete", noon],
      ["leave", noon],
    ]);
    expect(refused(await push({ group_id: sales })).refused).toContain("still being unlinked");
    granted(await keepLinked(commandAt(db), [one?.id ?? ""]));
    expect(await pushed()).toEqual([["Sales", "INACTIVE", false]]);
    expect(refused(await unlinkPushes(commandAt(db), ["gPmnone"], "leave")).code).toBe("not_found");
  });

  test("shows how many members the app has and how many it did not take", async () => {
    const [one] = granted(await push({ group_id: sales }));
    await sql`
      insert into pushed_members (push_id, user_id, external_id, fault, pushed_at)
      select ${one?.id}, 'u' || n, 'e' || n, case when n > 3 then 'invalid' end, ${noon}::timestamptz from generate_series(1, 5) n`.execute(
      db,
    );
    expect(await readPush(db, one?.id ?? "")).toMatchObject({
      members: 3,
      member_faults: 2,
      group_name: "Sales",
      app_label: "Chat",
    });
  });
});

describe("push rules (scenario 16)", () => {
  test("a rule pushes every group that matches, and picks up one that is made later", async () => {
    expect(granted(await rule("s", 'String.startsWith(group.name, "S")')).effect).toEqual({
      began: 2,
      resumed: 0,
      let_go: 0,
    });
    const later = await group(db, "Support");
    await rename(later, "Support");
    await rename(await group(db, "Legal"), "Legal");
    expect(await pushed()).toEqual([
      ["Sales", "ACTIVE", true],
      ["Staff", "ACTIVE", true],
      ["Support", "ACTIVE", true],
    ]);
  });

  test("a renamed group that no longer matches is let go with its target, and goes on there when it matches again", async () => {
    granted(await rule("sales", 'group.name == "Sales"'));
    await pushAll();
    await rename(sales, "Revenue");
    const [gone] = await listPushes(db);
    expect(gone).toMatchObject({
      state: "INACTIVE",
      target_id: `t-${gone?.id}`,
      error: "the group no longer matches its push rule",
    });
    expect(await eventTypes(db)).toContain("application.provision.group_push.mapping.deactivated.source.group.renamed");
    await rename(sales, "Sales");
    expect(await listPushes(db)).toMatchObject([
      { id: gone?.id, state: "ACTIVE", target_id: gone?.target_id, due_at: noon, full_check: true, error: null },
    ]);
  });

  test("what was pushed by name or paused by hand is nobody's business of a rule", async () => {
    const [byName] = granted(await push({ group_id: sales }));
    const made = granted(await rule("s", 'String.startsWith(group.name, "S")'));
    const staffPush = (await listPushes(db, { push_rule_id: made.rule.id }))[0]?.id ?? "";
    granted(await pausePushes(commandAt(db), [staffPush]));
    granted(await applyPushRules(commandAt(db)));
    expect(await pushed()).toEqual([
      ["Sales", "ACTIVE", false],
      ["Staff", "INACTIVE", true],
    ]);
    await rename(sales, "Revenue");
    expect((await readPush(db, byName?.id ?? ""))?.state).toBe("ACTIVE");
  });

  test("resuming by hand what a rule let go makes it a push by name", async () => {
    granted(await rule("sales", 'group.name == "Sales"'));
    await rename(sales, "Revenue");
    const [gone] = await listPushes(db);
    granted(await resumePushes(commandAt(db), [gone?.id ?? ""]));
    granted(await applyPushRules(commandAt(db), { app_id: app.id }));
    expect(await pushed()).toEqual([["Revenue", "ACTIVE", false]]);
  });

  test("of several rules the oldest that matches has the group, and another takes it over", async () => {
    const first = granted(await rule("first", 'group.name == "Sales"')).rule;
    const second = granted(await rule("second", 'String.startsWith(group.name, "S")')).rule;
    const owner = async () => (await listPushes(db, { group_id: sales }))[0]?.push_rule_id;
    expect(await owner()).toBe(first.id);
    const changed = granted(await updatePushRule(commandAt(db), first.id, { expression: 'group.name == "Nobody"' }));
    expect(changed.effect).toEqual({ began: 0, resumed: 0, let_go: 0 });
    expect(await owner()).toBe(second.id);
    expect((await readPush(db, (await listPushes(db, { group_id: sales }))[0]?.id ?? ""))?.state).toBe("ACTIVE");
  });

  test("a push that was paused by hand stays paused when another rule takes it over", async () => {
    const first = granted(await rule("first", 'group.name == "Sales"')).rule;
    granted(await rule("second", 'group.name == "Sales"'));
    const [one] = await listPushes(db);
    granted(await pausePushes(commandAt(db), [one?.id ?? ""]));
    granted(await updatePushRule(commandAt(db), first.id, { expression: "false" }));
    expect((await listPushes(db))[0]).toMatchObject({ state: "INACTIVE", due_at: null });
    expect((await listPushes(db))[0]?.push_rule_id).not.toBe(first.id);
  });

  test.each([
    ["keep", [["Sales", "ACTIVE", false, null]]],
    ["leave", [["Sales", "INACTIVE", false, "leave"]]],
    ["delete", [["Sales", "INACTIVE", false, "delete"]]],
  ] as const)("deleting a rule can %s what it pushed", async (pushes, expected) => {
    const made = granted(await rule("sales", 'group.name == "Sales"')).rule;
    expect(granted(await deletePushRule(commandAt(db), made.id, pushes))).toBe(1);
    const rows = await listPushes(db, { unlinking: true });
    expect(rows.map((one) => [one.group_name, one.state, one.push_rule_id !== null, one.unlinking])).toEqual(expected);
    expect(await listPushRules(db)).toEqual([]);
  });

  test("an expression is refused with line and column, also one that speaks of users; a preview shows what would match", async () => {
    expect(refused(await rule("x", "group.name ==")).refused).toMatch(/^line 1, column 14: /);
    expect(refused(await rule("x", 'user.title == "x"'))).toMatchObject({ code: "invalid", place: "expression" });
    const made = granted(await rule("x", "false")).rule;
    expect(refused(await updatePushRule(commandAt(db), made.id, { expression: "" })).place).toBe("expression");
    expect(refused(await rule("x", "true"))).toMatchObject({ code: "duplicate", place: "name" });
    expect(granted(await previewPushRule(db, app.id, 'group.name == "Staff"', noon))).toEqual({
      matches: 1,
      groups: [{ id: staff, name: "Staff" }],
      errors: [],
    });
    expect(await listPushes(db)).toEqual([]);
  });

  test("there is no cap: a rule that matches a thousand groups pushes them all in one go", async () => {
    await sql`
      insert into groups (type, profile) select 'OKTA_GROUP', jsonb_build_object('name', 'Team ' || n) from generate_series(1, 1000) n`.execute(
      db,
    );
    expect(granted(await rule("teams", 'String.startsWith(group.name, "Team")')).effect.began).toBe(1_000);
  });

  test("a rule that a changed schema broke leaves what it pushes alone and asks for a person", async () => {
    const made = granted(await rule("sales", 'group.name == "Sales"')).rule;
    await sql`update push_rules set expression = 'group.region == "EU"' where id = ${made.id}`.execute(db);
    granted(await applyPushRules(commandAt(db)));
    expect(await pushed()).toEqual([["Sales", "ACTIVE", true]]);
    expect(await db.selectFrom("tasks").select(["kind", "status"]).execute()).toEqual([
      { kind: "push_rule_error", status: "OPEN" },
    ]);
    granted(await updatePushRule(commandAt(db), made.id, { expression: 'group.name == "Sales"' }));
    expect(await db.selectFrom("tasks").select("status").execute()).toEqual([{ status: "DONE" }]);
  });
});
