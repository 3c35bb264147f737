/** Files of members of groups by hand, through HTTP: what becomes of each row, who leaves, and taking an import back. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createGroups } from "../../src/directory/groups.ts";
import { applyRuleGrants, grantMemberships } from "../../src/directory/memberships.ts";
import { createRule } from "../../src/directory/rules.ts";
import { createToken } from "../../src/directory/tokens.ts";
import { createUsers } from "../../src/directory/users.ts";
import { importMembers } from "../../src/engine/importMembers.ts";
import { checkMembersFile } from "../../src/engine/membersFile.ts";
import { type Database, isRefusal, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { postFile, type Sent } from "../support/fileAnswer.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";

let db: Database;
let api: TestApi;
let groups: Map<string, string>;
let people: Map<string, string>;
const folder = mkdtempSync(path.join(tmpdir(), "tenure-members-"));
const command = () => ({ db, now: () => new Date(), actor: system });
const must = <T>(outcome: T) => {
  if (isRefusal(outcome)) throw new Error(outcome.refused);
  return outcome as Exclude<T, { refused: string }>;
};

async function addPeople(names: readonly string[]): Promise<void> {
  const profile = (name: string) => ({ login: `${name}@x.co`, email: `${name}@x.co`, firstName: name, lastName: "L" });
  const made = must(
    await createUsers(
      command(),
      names.map((name) => ({ profile: profile(name), activate: true })),
    ),
  );
  for (const [n, { id }] of made.entries()) people.set(names[n] ?? "", id);
}

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(async () => {
  await db.destroy();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db, { import_folder: folder });
  people = new Map();
  await addPeople(["ann", "ben", "cy", "dot"]);
  const names = ["Sales", "Board", "42"];
  const made = must(
    await createGroups(
      command(),
      names.map((name) => ({ profile: { name } })),
    ),
  );
  groups = new Map(made.map(({ id, profile }) => [String(profile["name"]), id]));
});

const url = "/admin/v1/groups/imports";
const send = (lines: readonly string[], query = "", token?: string) =>
  postFile(api, `${url}${query}`, `${lines.join("\n")}\n`, token);
const undo = (id: string, token?: string) => postFile(api, `${url}/${id}/undo`, "{}", token);
const header = "group,login";
const id = (name: string) => people.get(name) ?? "";
const sales = () => groups.get("Sales") ?? "";
const give = async (name: string, expires_at: Date | null = null, by = "00uOTHER000000000000", group = sales()) =>
  must(
    await grantMemberships(command(), [
      { user_id: id(name), group_id: group, kind: "person", source_id: by, reason: "by hand", expires_at },
    ]),
  );

async function byRule(name: string): Promise<void> {
  const rule = must(await createRule(command(), { name: "Sellers", expression: "true", group_ids: [sales()] }));
  const add = [{ user_id: id(name), group_id: sales(), rule_id: rule.id }];
  must(await applyRuleGrants(command(), { add, remove: [] }));
}

async function members(group = "Sales"): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select distinct split_part(u.login, '@', 1) as name from membership_grants m join users u on u.id = m.user_id
    where m.group_id = ${groups.get(group)} order by 1`.execute(db);
  return rows.map(({ name }) => name);
}

/** Everything that an import may change. */
const state = async () =>
  (
    await sql`select (select jsonb_agg(m order by m.id) from membership_grants m) as grants,
      (select count(*) from events) as events, (select count(*) from people_imports) as imports`.execute(db)
  ).rows;

test("people join the groups that a file names, by name or id, and who is a member by hand is unchanged", async () => {
  await give("ben");
  await byRule("cy");
  const file = ["login,group,until,reason", "ANN@x.co,Sales,2099-05-01,on loan", "ben@x.co,Sales,,"];
  file.push(`${id("cy")},${sales()},,`, "dot@x.co,42,2099-05-01T17:00:00+02:00,");
  const { rows, done } = await send(file);
  expect(done.counts).toEqual({ join: 3, leave: 0, unchanged: 1, refused: 0 });
  const on_loan = [
    { attribute: "until", before: null, after: "2099-05-02T00:00:00.000Z" },
    { attribute: "reason", before: null, after: "on loan" },
  ];
  expect(rows).toMatchObject([
    { line: 2, outcome: "join", group: "Sales", login: "ann@x.co", changes: on_loan },
    { line: 3, outcome: "unchanged" },
    { line: 4, outcome: "join", login: "cy@x.co", note: "was in it by the rule Sellers already" },
    { line: 5, outcome: "join", group: "42", changes: [{ after: "2099-05-01T15:00:00.000Z" }] },
  ]);
  expect([await members(), await members("42")]).toEqual([["ann", "ben", "cy"], ["dot"]]);
  const why = await api.call("GET", `/admin/v1/memberships/why?group_id=${sales()}&user=ann@x.co`);
  expect(why.body).toMatchObject([{ kind: "person", reason: "on loan", expires_at: "2099-05-02T00:00:00.000Z" }]);
  expect((await send(file)).done.counts).toEqual({ join: 0, leave: 0, unchanged: 4, refused: 0 });
  expect(readdirSync(path.join(folder, "uploads"))).toEqual([]);
});

test("a day ends where the person is", async () => {
  await sql`update users set time_zone = 'Europe/Rome' where id = ${id("ann")}`.execute(db);
  const { rows } = await send([`${header},until`, "Sales,ann@x.co,2099-05-01"]);
  expect(rows).toMatchObject([{ changes: [{ after: "2099-05-01T22:00:00.000Z" }] }]);
});

describe("a row is refused with its reason, and the others are done:", () => {
  const past = "2020-01-01";
  test.each<[string, string, string, RegExp]>([
    ["no group of the name", "group", "Sale,ann@x.co,,", /there is no group "Sale"/],
    ["a name in other letters", "group", "sales,ann@x.co,,", /did you mean Sales\?/],
    ["no such person", "login", "Sales,eve@x.co,,", /nobody with the login or id "eve@x.co"/],
    ["a group of an app", "group", "Imported,ann@x.co,,", /the members of Imported are imported/],
    ["Everyone", "group", "Everyone,ann@x.co,,", /Everyone holds everyone/],
    ["somebody deactivated", "login", "Sales,dot@x.co,,", /dot@x.co is deactivated/],
    ["a pair that an earlier line has in other words", "login", "SALES-ID,BEN@x.co,,", /line 2 of this file/],
    ["a day that is over", "until", `Sales,ann@x.co,${past},`, /2020-01-01 is over already/],
    ["a moment without a zone", "until", "Sales,ann@x.co,2099-05-01T17:00:00,", /no moment with a zone/],
    ["a day that is none", "until", "Sales,ann@x.co,2099-02-30,", /no day/],
    ["another end than there is", "until", "Sales,cy@x.co,2099-05-01,", /member by hand already, without an end/],
    ["no group", "group", ",ann@x.co,,", /^group: is empty/],
    ["no login", "login", "Sales,,,", /^login: is empty/],
    ["a NUL", "login", "Sales,ann\0@x.co,,", /NUL/],
    ["a NUL in a row that is short", "group", "Sa\0les,ann@x.co", /has 2 cells/],
    ["a reason of 501 letters", "reason", `Sales,ann@x.co,,${"x".repeat(501)}`, /more than 500 letters/],
    ["a group of 100,000 letters", "group", `${"x".repeat(100_000)},ann@x.co,,`, /there is no group/],
    ["a quote that never ends", "login", 'Sales,"ann@x.co,,', /quote is not closed/],
  ])("%s", async (_what, column, row, message) => {
    await sql`insert into groups (type, profile) values ('APP_GROUP', '{"name": "Imported"}')`.execute(db);
    await sql`update users set status = 'DEPROVISIONED' where id = ${id("dot")}`.execute(db);
    await give("cy");
    const { rows, done } = await send([`${header},until,reason`, "Sales,ben@x.co,,", row.replace("SALES-ID", sales())]);
    expect(done.counts).toEqual({ join: 1, leave: 0, unchanged: 0, refused: 1 });
    expect(rows[1]).toMatchObject({ line: 3, outcome: "refused", reason: expect.stringMatching(message) });
    if (!/cells|quote/.test(message.source)) expect(rows[1]).toMatchObject({ column });
    expect(await members()).toEqual(["ben", "cy"]);
  });
});

describe("a file is refused as a whole, and nobody joins,", () => {
  const latin = Buffer.concat([Buffer.from(`${header}\nSales,ann@x.co\n`), Buffer.from("Sales,mü@x.co", "latin1")]);
  test.each<[string, string | Buffer, RegExp]>([
    ["without a column login", "group,until\nSales,\n", /"login" is missing/],
    ["without a column group", "login\nann@x.co\n", /"group" is missing/],
    ["with another column", "group,login,untill\nSales,ann@x.co,\n", /"untill".*did you mean until/],
    ["with a column __proto__", "group,login,__proto__\nSales,ann@x.co,\n", /no column "__proto__"/],
    ["with a column twice", "group,login,login\na,b,c\n", /"login" is there twice/],
    ["in another encoding, though its first rows are good", latin, /Line 3: the file is not UTF-8/],
    ["that is empty", "", /empty/],
  ])("%s", async (_what, file, message) => {
    const refused = await postFile(api, url, file);
    expect([refused.status, refused.causes]).toEqual([400, expect.stringMatching(message)]);
    expect(await members()).toEqual([]);
  });
});

test("a row that is not what was meant is refused again, as it stands in the file of refused rows", async () => {
  const { rows } = await send([header, "Sales,ann@x.co", "Sales,ANN@x.co"]);
  expect(rows[1]).toMatchObject({ mend: true, cells: ["Sales", "ANN@x.co"] });
  const again = await send([`${header},error`, "Sales,ben@x.co,MEND: line 3", "Sales,cy@x.co,line 4"]);
  expect(again.done.counts).toMatchObject({ join: 1, refused: 1 });
  expect(await members()).toEqual(["ann", "cy"]);
});

test("a dry run tells the same as the run after it and writes nothing", async () => {
  await give("ben");
  await give("dot", new Date("2099-01-01T00:00:00Z"));
  await byRule("dot");
  const file = [header, "Sales,ann@x.co", "Board,ben@x.co", "Board,ann@x.co"];
  const before = await state();
  const tried = await send(file, "?dry_run=true&exact=true");
  expect(await state()).toEqual(before);
  expect(tried.done).toMatchObject({ id: null, counts: { join: 3, leave: 2, unchanged: 0, refused: 0 } });
  const done = await send(file, "?exact=true");
  expect(done.rows).toEqual(tried.rows);
  expect(done.done.counts).toEqual(tried.done.counts);
  expect(await members()).toEqual(["ann", "dot"]);
});

describe("with exact", () => {
  test("who is a member by hand and not in the file leaves, and who is there by rule stays", async () => {
    for (const name of ["ann", "ben", "cy"]) await give(name);
    await byRule("cy");
    await give("dot", null, undefined, groups.get("Board"));
    const { rows, done } = await send([header, "Sales,ann@x.co"], "?exact=true");
    expect(done.counts).toEqual({ join: 0, leave: 2, unchanged: 1, refused: 0 });
    expect(rows.slice(1)).toMatchObject([
      { line: 3, outcome: "leave", group: "Sales", login: "ben@x.co" },
      { line: 4, outcome: "leave", login: "cy@x.co", note: "stays in it by the rule Sellers" },
    ]);
    expect([await members(), await members("Board")]).toEqual([["ann", "cy"], ["dot"]]);
    const { rows: exceptions } = await sql`select from rule_exceptions`.execute(db);
    expect(exceptions).toEqual([]);
  });

  test.each<[string, string, RegExp]>([
    ["one of its rows was refused", "Sales,eve@x.co", /^Sales: nobody leaves, because line 3 was refused/],
    ["its only row was refused", "Board,eve@x.co", /^Board: nobody leaves, because line 3 was refused/],
    ["a row names no group that there is", "Sale,ben@x.co", /^nobody leaves any group: which group line 3 is about/],
    ["a broken row does not say of which group it is", 'Sales,"ben@x.co', /^nobody leaves any group/],
  ])("nobody leaves a group when %s, and that is said", async (_what, row, note) => {
    await give("ben");
    await give("cy", null, undefined, groups.get("Board"));
    const { done } = await send([header, "Sales,ann@x.co", row], "?exact=true");
    expect(done.notes).toEqual([expect.stringMatching(note)]);
    expect(await members("Board")).toEqual(["cy"]);
    expect(await members()).toEqual(row.startsWith("Board") ? ["ann"] : ["ann", "ben"]);
  });

  test.each([
    [9, 40, false],
    [10, 50, false],
    [10, 49, true],
  ])("%i of %i members leave only when that is said again: %s", async (leave, all, held) => {
    const names = Array.from({ length: all }, (_, n) => `m${n}`);
    await addPeople(names);
    for (const name of names) await give(name);
    const file = [header, "Board,ann@x.co", ...names.slice(leave).map((name) => `Sales,${name}@x.co`)];
    const before = await state();
    const { done } = await send(file, "?exact=true");
    if (!held) return expect((await members()).length).toBe(all - leave);
    expect(await state()).toEqual(before);
    expect(done).toMatchObject({ id: null, held: true, counts: { join: 1, leave } });
    expect(done.notes).toEqual([`Sales: ${leave} of its ${all} members by hand leave`]);
    expect(done.reason).toMatch(/Nothing was done: ask with leave_many=true/);
    expect((await send(file, "?exact=true&leave_many=true")).done.counts).toMatchObject({ join: 1, leave });
    expect((await members()).length).toBe(all - leave);
  });
});

describe("taking an import back", () => {
  test("lets who joined leave and who left come back with what they had, and a second time is refused", async () => {
    const end = new Date("2099-01-01T00:00:00Z");
    await give("ben", end);
    await give("ben", null, "00uANOTHER0000000000");
    const before = await sql`select user_id, group_id, kind, source_id, reason, expires_at from membership_grants
      order by 1, 2, 4`.execute(db);
    const { done } = await send([`${header},until`, "Sales,ann@x.co,", "Board,ann@x.co,2099-05-01"], "?exact=true");
    expect(await members()).toEqual(["ann"]);
    const { rows } = await undo(done.id);
    expect(rows).toMatchObject([
      { line: 2, group: "Sales", login: "ann@x.co", undone: "undone", did: "left" },
      { line: 3, group: "Board", undone: "undone", did: "left" },
      { line: 4, group: "Sales", login: "ben@x.co", undone: "undone", did: "came back" },
    ]);
    const after = await sql`select user_id, group_id, kind, source_id, reason, expires_at from membership_grants
      order by 1, 2, 4`.execute(db);
    expect(after.rows).toEqual(before.rows);
    const again = await undo(done.id);
    expect([again.status, again.causes]).toEqual([409, expect.stringMatching(/was taken back by/)]);
    expect((await undo("pim00000000000000000")).status).toBe(404);
  });

  test("leaves what has changed since, names it, and can be asked again for it", async () => {
    const { done } = await send([header, "Sales,ann@x.co", "Sales,ben@x.co", "Sales,cy@x.co", "Board,dot@x.co"]);
    const join = (reason: string | null, expires_at: string | null) =>
      api.call("POST", "/admin/v1/memberships", { group_id: sales(), users: ["ann@x.co"], reason, expires_at });
    await join("longer", "2099-01-01T00:00:00Z");
    await api.call("POST", "/admin/v1/memberships/end", { group_id: sales(), users: ["ben@x.co"] });
    await byRule("cy");
    await api.call("DELETE", `/api/v1/groups/${groups.get("Board")}`);
    const first = await undo(done.id);
    expect(first.done.counts).toEqual({ undone: 2, partly: 0, left: 2 });
    expect(first.rows).toMatchObject([
      { undone: "left", reason: "until and reason changed since, and they stay in it" },
      { undone: "undone", did: null, reason: "they were out of it already" },
      { undone: "undone", did: "left", reason: "they stay in it by the rule Sellers" },
      { undone: "left", reason: "the group was deleted" },
    ]);
    expect(await members()).toEqual(["ann", "cy"]);
    await join(null, null);
    expect((await undo(done.id)).rows).toMatchObject([{ line: 2, undone: "undone", did: "left" }, { line: 5 }]);
    expect(await members()).toEqual(["cy"]);
  });

  test("is of its own kind: an import of people is not found here, nor one of members there", async () => {
    const { done } = await send([header, "Sales,ann@x.co"]);
    const sent = await postFile(api, "/admin/v1/users/imports", "login,title\nann@x.co,Cook\n");
    expect((await undo(sent.done.id)).status).toBe(404);
    expect((await postFile(api, `/admin/v1/users/imports/${done.id}/undo`, "{}")).status).toBe(404);
    expect((await api.call("GET", url)).body).toMatchObject([{ id: done.id, exact: false, counts: { join: 1 } }]);
    expect((await api.call("GET", "/admin/v1/users/imports")).body).toMatchObject([{ id: sent.done.id }]);
    const { body } = await api.call("GET", `${url}/${done.id}/rows`);
    expect(body).toMatchObject([{ line: 2, outcome: "join", group: "Sales", group_id: sales(), login: "ann@x.co" }]);
  });
});

describe("nobody changes through a file a group whose members they could not change one by one:", () => {
  async function narrowed(): Promise<string> {
    const given = await api.call("POST", `/api/v1/users/${id("dot")}/roles`, { type: "GROUP_MEMBERSHIP_ADMIN" });
    const targets = `/api/v1/users/${id("dot")}/roles/${given.body.id}/targets/groups`;
    expect((await api.call("PUT", `${targets}/${sales()}`)).status).toBe(204);
    return must(await createToken(command(), { name: "narrowed", user_id: id("dot") })).text;
  }

  test("a membership administrator of one group fills, empties and takes back that one only", async () => {
    await give("cy");
    await give("cy", null, undefined, groups.get("Board"));
    const token = await narrowed();
    const file = [header, "Sales,ann@x.co", "Board,ann@x.co"];
    const { rows } = await send(file, "?exact=true", token);
    expect(rows).toMatchObject([
      { outcome: "join" },
      { outcome: "refused", column: "group", reason: expect.stringMatching(/does not hold for this group/) },
      { outcome: "leave", group: "Sales" },
    ]);
    expect([await members(), await members("Board")]).toEqual([["ann"], ["cy"]]);
    const { done } = await send([header, "Board,ben@x.co", "Sales,ben@x.co"]);
    expect((await undo(done.id, token)).rows).toMatchObject([{ line: 2, undone: "left" }, { undone: "undone" }]);
    expect([await members(), await members("Board")]).toEqual([["ann"], ["ben", "cy"]]);
  });

  test("an organisation administrator no group that has a role", async () => {
    await api.call("POST", `/api/v1/groups/${sales()}/roles`, { type: "SUPER_ADMIN" });
    const { rows } = await send([header, "Sales,ann@x.co"], "", await api.tokenOf("ORG_ADMIN"));
    expect(rows).toMatchObject([{ outcome: "refused", reason: expect.stringMatching(/the group has a role/) }]);
    expect(await members()).toEqual([]);
  });

  test("help desk and readers nobody at all", async () => {
    for (const role of ["HELP_DESK_ADMIN", "READ_ONLY_ADMIN", "APP_ADMIN"]) {
      expect((await send([header, "Sales,ann@x.co"], "", await api.tokenOf(role))).status).toBe(403);
    }
  });
});

describe("a file of 5,000 rows", () => {
  const names = Array.from({ length: 2_500 }, (_, n) => `p${n}`);
  const file = [header, ...names.flatMap((name) => [`Sales,${name}@x.co`, `Board,${name}@x.co`])];
  const count = async () =>
    (await sql<{ n: number }>`select count(*)::int as n from membership_grants`.execute(db)).rows[0]?.n;
  const added = async () =>
    (
      await sql<{ n: number }>`select count(*)::int as n from events where type = 'group.user_membership.add'`.execute(
        db,
      )
    ).rows[0]?.n;

  test("is done chunk by chunk, each row once, logged once, and taken back", async () => {
    await addPeople(names);
    const { rows, done } = await send([...file, "Sales,P0@x.co"]);
    expect(done.counts).toEqual({ join: 5_000, leave: 0, unchanged: 0, refused: 1 });
    expect(rows.at(-1)).toMatchObject({ reason: "login: line 2 of this file has the same", mend: true });
    expect(rows.map(({ line }) => line)).toEqual(rows.map((_, n) => n + 2));
    expect([await count(), await added()]).toEqual([5_000, 5_000]);
    const held = await send([header, "Sales,ann@x.co"], "?exact=true");
    expect(held.done.held).toBe(true);
    const emptied = await send([header, "Sales,ann@x.co"], "?exact=true&leave_many=true");
    expect(emptied.done.counts).toEqual({ join: 1, leave: 2_500, unchanged: 0, refused: 0 });
    expect(await members()).toEqual(["ann"]);
    expect((await undo(emptied.done.id)).done.counts).toEqual({ undone: 2_501, partly: 0, left: 0 });
    expect((await undo(done.id)).done.counts).toEqual({ undone: 5_000, partly: 0, left: 0 });
    expect(await count()).toBe(0);
  }, 120_000);

  test("that is cut off keeps what it did, says so, and goes on when it is sent again", async () => {
    await addPeople(names);
    const at = path.join(folder, "cut.csv");
    writeFileSync(at, `${file.join("\n")}\n`);
    const checked = must(await checkMembersFile(at, ","));
    const outOfReach = async () => new Map<string, string>();
    const wish = { dry_run: false, exact: true, leave_many: true, outOfReach, node: "test" };
    await give("ann");
    const pages = importMembers(command(), checked, wish);
    const begun = (await pages.next()).value?.id as string;
    await pages.next();
    await pages.return({ id: begun, counts: {}, reason: null });
    expect((await api.call("GET", `${url}/${begun}`)).body).toMatchObject({
      ...{ status: "STOPPED", counts: { join: 500, leave: 0 }, reason: expect.stringMatching(/run the file again/) },
    });
    expect(await members()).toContain("ann");
    const rest: Sent = await send(file, "?exact=true");
    expect(rest.done.counts).toEqual({ join: 4_500, leave: 1, unchanged: 500, refused: 0 });
  }, 120_000);
});
