/** Who had what on a past day, as it is told: people who moved, left and were deleted, apps and groups that are gone. */
import { beforeEach, describe, expect, test } from "vitest";
import { assignGroups } from "../../src/directory/groupAssignments.ts";
import { createGroups, deleteGroups } from "../../src/directory/groups.ts";
import { grantMemberships } from "../../src/directory/memberships.ts";
import { activateRule, createRule } from "../../src/directory/rules.ts";
import { transitionUser } from "../../src/directory/userLifecycle.ts";
import { createUsers, updateUsers } from "../../src/directory/users.ts";
import { pastAccounts, pastMembers, pastPerson } from "../../src/engine/past.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import { addFakeApp, must, profileOf, settle, type TestWorld } from "../support/world.ts";
import { hrSource, rowOf } from "./hr.ts";

let db: Database;
let world: TestWorld;
memoryWorld((...given) => {
  [db, world] = given;
});

const on = (day: string) => new Date(`${day}T12:00:00Z`);
const at = async (day: string) => {
  world.clock.set(new Date(`${day}T00:00:00Z`));
  await settle(world);
};

let [ada, sales, chat] = ["", "", ""];
/** Ada works in Sales from the 2nd of March, and so has Chat; she moves away on the 10th and leaves on the 20th. */
beforeEach(async () => {
  await at("2026-03-02");
  chat = await addFakeApp(world, { label: "Chat" });
  const [group] = await must(createGroups(world.command, [{ profile: { name: "Sales" } }]));
  sales = group!.id;
  await must(assignGroups(world.command, chat, [{ group_id: sales }]));
  const rule = { name: "Sellers", expression: 'user.department == "Sales"', group_ids: [sales] };
  await must(activateRule(world.command, (await must(createRule(world.command, rule))).id));
  const [user] = await must(
    createUsers(world.command, [{ profile: profileOf("Ada", "Byron", { department: "Sales" }) }]),
  );
  ada = user!.id;
  await settle(world);
  await at("2026-03-10");
  await must(updateUsers(world.command, [{ id: ada, profile: { department: "Mills" } }]));
  await settle(world);
  await at("2026-03-20");
  await must(transitionUser(world.command, ada, { kind: "deactivate" }));
  await settle(world);
});

const seller = [{ kind: "rule", source_id: expect.any(String), name: "Sellers", expression: null }];

describe("a person", () => {
  test("is told as they were: status, values, groups and accounts, each with its reason", async () => {
    expect(await pastPerson(db, "ada.byron@example.com", on("2026-03-05"))).toMatchObject({
      user: { id: ada, login: "ada.byron@example.com", status: "PROVISIONED", profile: { department: "Sales" } },
      groups: expect.arrayContaining([
        { id: sales, name: "Sales", by: seller },
        { id: expect.any(String), name: "Everyone", by: [] },
      ]),
      accounts: [
        { app: { label: "Chat" }, enabled: true, why: [{ scope: "GROUP", name: "Sales", membership: seller }] },
      ],
    });
    expect(await pastPerson(db, ada, on("2026-03-15"))).toMatchObject({
      user: { status: "PROVISIONED", profile: { department: "Mills" } },
      groups: [{ name: "Everyone" }],
      accounts: [{ enabled: false, why: [] }],
    });
    expect(await pastPerson(db, ada, on("2026-03-25"))).toMatchObject({
      user: { status: "DEPROVISIONED" },
      groups: [],
    });
  });

  test("who was not here yet, or never, is told to be so", async () => {
    const refused = { code: "not_found", refused: expect.stringContaining("was not here at 2026-03-01T12:00:00.000Z") };
    expect(await pastPerson(db, ada, on("2026-03-01"))).toMatchObject(refused);
    expect(await pastPerson(db, "nobody@example.com", on("2026-03-01"))).toMatchObject(refused);
  });

  test("is found by the login of then, also when it is another's or nobody's today", async () => {
    await sql`update users set profile = profile || '{"login": "ada.king@example.com"}' where id = ${ada}`.execute(db);
    expect(await pastPerson(db, "ada.byron@example.com", on("2026-03-05"))).toMatchObject({ user: { id: ada } });
    const [other] = await must(createUsers(world.command, [{ profile: profileOf("Ada", "Byron") }]));
    expect(await pastPerson(db, "ada.byron@example.com", on("2026-03-05"))).toMatchObject({ user: { id: ada } });
    await at("2026-03-22");
    expect(await pastPerson(db, "ada.byron@example.com", on("2026-03-21"))).toMatchObject({ user: { id: other!.id } });
  });

  test("had no account that was never made, nor one that was removed; a source's row is told as such", async () => {
    const hr = await hrSource(world, { match_on: ["login"] });
    await hr.run([rowOf("7", "Zoe", "Hill")]);
    await sql`
      update accounts set have = null, external_id = null, have_revision = have_revision + 1, synced_at = ${world.now()}::timestamptz
      where app_id = ${chat}`.execute(db);
    await at("2026-03-25");
    expect(await pastPerson(db, ada, on("2026-03-24"))).toMatchObject({ accounts: [] });
    expect(await pastPerson(db, "zoe.hill@example.com", on("2026-03-24"))).toMatchObject({
      accounts: [{ app: { label: "HR" }, source: true, external_id: "7", enabled: true, why: [] }],
    });
    expect(await pastAccounts(db, { app_id: chat, limit: 5 }, on("2026-03-24"))).toEqual([]);
    expect(await pastAccounts(db, { app_id: chat, limit: 5 }, on("2026-03-15"))).toMatchObject([{ source: false }]);
  });

  test("keeps sensitive values and credentials to themselves", async () => {
    await sql`update schemas set attributes = (
      select jsonb_agg(case when a->>'name' = 'department' then a || '{"sensitive": true}' else a end)
      from jsonb_array_elements(attributes) a) where kind = 'user'`.execute(db);
    const told = await must(pastPerson(db, ada, on("2026-03-05")));
    expect(told.user.profile["department"]).toBe("(hidden)");
    expect(Object.keys(told.user)).toEqual(["id", "login", "status", "profile"]);
  });
});

test("a membership with an end was over with it, however late that was seen to", async () => {
  const [board] = await must(createGroups(world.command, [{ profile: { name: "Board" } }]));
  const [cy] = await must(createUsers(world.command, [{ profile: profileOf("Cy", "Hill") }]));
  const grant = { user_id: cy!.id, group_id: board!.id, kind: "person" as const, source_id: "00uadmin" };
  await must(grantMemberships(world.command, [{ ...grant, expires_at: on("2026-03-22") }]));
  await at("2026-04-01");
  const groupsOn = async (day: string) => (await must(pastPerson(db, cy!.id, on(day)))).groups.map(({ name }) => name);
  expect((await groupsOn("2026-03-21")).sort()).toEqual(["Board", "Everyone"]);
  expect(await groupsOn("2026-03-23")).toEqual(["Everyone"]);
});

describe("of an app and of a group", () => {
  test("is told who had it, page by page, by names where there are any", async () => {
    const users = await must(
      createUsers(
        world.command,
        ["Bob", "Cy"].map((name) => ({ profile: profileOf(name, "Hill", { department: "Sales" }) })),
      ),
    );
    await settle(world);
    await at("2026-04-01");
    const first = await pastMembers(db, sales, on("2026-03-25"), { limit: 1 });
    const rest = await pastMembers(db, sales, on("2026-03-25"), { limit: 5, after: first[0]!.user.id });
    expect([...first, ...rest].map(({ user }) => user.login).sort()).toEqual([
      "bob.hill@example.com",
      "cy.hill@example.com",
    ]);
    expect(first[0]?.by).toEqual(seller);
    const had = async (day: string) =>
      (await pastAccounts(db, { app_id: chat, limit: 10 }, on(day)))
        .filter(({ enabled }) => enabled)
        .map(({ user }) => user.id);
    expect(await had("2026-03-01")).toEqual([]);
    expect(await had("2026-03-05")).toEqual([ada]);
    expect((await had("2026-03-25")).sort()).toEqual(users.map(({ id }) => id).sort());
  });

  test("everyone who was here and not deactivated was in Everyone", async () => {
    const { rows } = await sql<{ id: string }>`select id from groups where type = 'BUILT_IN'`.execute(db);
    const [bob] = await must(createUsers(world.command, [{ profile: profileOf("Bob", "Hill") }]));
    await at("2026-04-01");
    const members = async (day: string) =>
      (await pastMembers(db, rows[0]!.id, on(day), { limit: 5 })).map(({ user }) => user.id);
    expect([await members("2026-03-01"), await members("2026-03-05"), await members("2026-03-25")]).toEqual([
      ...[[], [ada], [bob!.id]],
    ]);
  });

  test("also after the group is gone: by its id, and what it gave by its id", async () => {
    await sql`delete from rules`.execute(db);
    await must(deleteGroups(world.command, [sales]));
    await settle(world);
    expect(await pastMembers(db, sales, on("2026-03-05"), { limit: 5 })).toMatchObject([{ user: { id: ada } }]);
    expect(await pastPerson(db, ada, on("2026-03-05"))).toMatchObject({
      groups: expect.arrayContaining([expect.objectContaining({ id: sales, name: null })]),
      accounts: [{ why: [{ name: sales }] }],
    });
  });
});
