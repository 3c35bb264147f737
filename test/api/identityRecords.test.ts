/** What sources send one by one, and the groups and members that they send: on a real PostgreSQL, with the engine's import. */
import okta from "@okta/okta-sdk-nodejs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { schedule } from "../../src/engine/schedule.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { gone, type Identity, identity, peopleBy, profileOf, range, type Source, upsert } from "../support/identity.ts";
import { wipe } from "../support/memory.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let db: Database;
let given: Identity;
beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url);
  await migrate(db);
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});
beforeEach(async () => {
  await wipe(db);
  given = await identity(db);
});

const person = (n: number, more: object = {}) => ({ externalId: `e${n}`, profile: profileOf(n, more) });
const groups = (...names: string[]) =>
  [
    "bulk-groups-upsert",
    {
      profiles: names.map((name) => ({ externalId: `g-${name}`, profile: { displayName: name, description: "ours" } })),
    },
  ] as const;
const members = (verb: "upsert" | "delete", name: string, which: readonly number[]) =>
  [
    `bulk-group-memberships-${verb}`,
    { memberships: [{ groupExternalId: `g-${name}`, memberExternalIds: which.map((n) => `e${n}`) }] },
  ] as const;
const membersOf = async (source: Source, name: string) =>
  (await source.call("GET", `/groups/g-${name}/membership`)).body.memberExternalIds as string[];
const countsOf = async (source: Source, session: string) => {
  const { importId } = await source.session(session);
  return (await given.api.call("GET", `/admin/v1/imports/${importId}`)).body.counts;
};
const typesOf = async (like: string) =>
  (await sql<{ type: string }>`select type from events where type like ${like} order by seq`.execute(db)).rows.map(
    ({ type }) => type,
  );

describe("one person", () => {
  test("is made, read, replaced, changed in part, and deleted, each by an import of one row", async () => {
    const hr = await given.source("HR");
    const made = await hr.call("POST", "/users", person(1));
    expect(made).toMatchObject({ status: 200, body: { externalId: "e1", profile: profileOf(1) } });
    expect((await given.api.call("GET", `/api/v1/users/${made.body.id}`)).body.profile).toMatchObject({
      login: "p1@example.com",
      employeeNumber: "e1",
    });
    const { department: _, ...rest } = profileOf(1);
    const replaced = await hr.call("PUT", "/users/e1", { profile: rest });
    expect([replaced.status, replaced.body.profile]).toEqual([200, rest]);
    const changed = await hr.call("PATCH", "/users/e1", { profile: { department: "Trade", firstName: "Ada" } });
    expect(changed.body.profile).toEqual({ ...rest, department: "Trade", firstName: "Ada" });
    expect(await peopleBy(db, "department")).toEqual({ Trade: 1 });
    expect((await hr.call("GET", "/users/e1")).body).toEqual(changed.body);
    expect((await hr.call("DELETE", "/users/e1")).status).toBe(204);
    expect(await peopleBy(db, "status")).toEqual({ DEPROVISIONED: 1 });
    for (const method of ["GET", "DELETE"]) expect((await hr.call(method, "/users/e1")).status).toBe(404);
    expect((await hr.call("PUT", "/users/e1", { profile: rest })).status).toBe(404);
    expect((await hr.call("POST", "/users", person(1))).status).toBe(200);
    expect(await peopleBy(db, "status")).not.toHaveProperty("DEPROVISIONED");
    expect((await hr.call("GET", "/sessions")).body).toEqual([]);
  });

  test.each<[string, string, string, unknown, RegExp]>([
    ["who is there already", "POST", "/users", person(1), /HR has e1 already/],
    [
      "with another id than the path's",
      "PUT",
      "/users/e1",
      { externalId: "e2", profile: profileOf(1) },
      /never changes, and is e1/,
    ],
    ["with an unknown attribute", "PATCH", "/users/e1", { profile: { colour: "red" } }, /HR has no such attribute/],
    ["with a list", "PATCH", "/users/e1", { profile: { department: ["a"] } }, /^profile\.department/],
    [
      "without what everybody must have",
      "PUT",
      "/users/e1",
      { profile: profileOf(1, { lastName: null }) },
      /lastName: is required/,
    ],
    [
      "with somebody's login",
      "POST",
      "/users",
      { externalId: "e3", profile: profileOf(2) },
      /already comes from another row \(e2\)/,
    ],
  ])("%s is refused with the import's words", async (_what, method, path, body, cause) => {
    const hr = await given.source("HR");
    await hr.send(upsert([1, 2]));
    await given.importNext();
    const answer = await hr.call(method, path, body);
    expect([answer.status, answer.body.errorCode]).toEqual([400, "E0000001"]);
    expect(answer.body.errorCauses[0].errorSummary).toMatch(cause);
  });

  test("whose id has 512 characters of any kind is found by it", async () => {
    const hr = await given.source("HR");
    const externalId = `${"日/".repeat(255)}ü?`;
    expect((await hr.call("POST", "/users", { externalId, profile: profileOf(1) })).status).toBe(200);
    const found = await hr.call("GET", `/users/${encodeURIComponent(externalId)}`);
    expect(found.body.externalId).toBe(externalId);
    expect((await hr.call("GET", `/users/${"x".repeat(513)}`)).status).toBe(400);
  });

  test("who is on hold does not leave, and the caller is told", async () => {
    const hr = await given.source("HR");
    await hr.call("POST", "/users", person(1));
    await given.api.call("POST", "/admin/v1/users/p1@example.com/hold", { reason: "HR is wrong" });
    const answer = await hr.call("DELETE", "/users/e1");
    expect([answer.status, answer.body.errorCode]).toEqual([403, "E0000038"]);
    expect(answer.body.errorCauses[0].errorSummary).toMatch(/HR is wrong|hold/);
  });

  test("who waits to be confirmed is accepted, and not made", async () => {
    const hr = await given.source("HR", { auto_confirm: false });
    const profile = { login: "p1@example.com", email: "p1@example.com", firstName: "A", lastName: "B" };
    await given.api.call("POST", "/api/v1/users", { profile });
    expect((await hr.call("POST", "/users", person(1))).status).toBe(202);
    expect((await hr.call("GET", "/users/e1")).status).toBe(404);
  });

  test("many at the same moment are imported one after the other, and each is answered", async () => {
    const hr = await given.source("HR");
    const answers = await Promise.all(range(0, 12).map((n) => hr.call("POST", "/users", person(n))));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(await peopleBy(db, "department")).toEqual({ Mills: 12 });
    const again = await Promise.all(
      ["A", "B", "C"].map((department) => hr.call("PATCH", "/users/e3", { profile: { department } })),
    );
    expect(again.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await peopleBy(db, "status")).toHaveProperty("PROVISIONED", 12);
  });

  test("the last word holds: a record that overtakes a session changes what waits there", async () => {
    const hr = await given.source("HR");
    await hr.send(upsert(range(1, 6)));
    await given.importNext();
    const session = await hr.send(upsert(range(1, 5), { department: "Trade", firstName: "Old" }), gone([5]));
    expect((await hr.call("PUT", "/users/e1", person(1, { department: "Law" }))).status).toBe(200);
    expect((await hr.call("PATCH", "/users/e2", { profile: { firstName: "New" } })).status).toBe(200);
    expect((await hr.call("DELETE", "/users/e3")).status).toBe(204);
    expect((await hr.call("PATCH", "/users/e5", { profile: { firstName: "New" } })).status).toBe(200);
    expect((await hr.session(session)).status).toBe("TRIGGERED");
    await given.importNext();
    const { rows } = await sql<{ line: string }>`
      select concat_ws(' ', login, profile->>'department', profile->>'firstName', status = 'DEPROVISIONED') as line
      from users where login like 'p%@example.com' order by login`.execute(db);
    expect(rows.map(({ line }) => line)).toEqual([
      "p1@example.com Law P1 f",
      "p2@example.com Trade New f",
      "p3@example.com Mills P3 t",
      "p4@example.com Trade Old f",
      "p5@example.com Mills New t",
    ]);
  });

  test("whose import waits behind one that runs is answered with 202, and imported later", {
    timeout: 30_000,
  }, async () => {
    const hr = await given.source("HR");
    await sql`insert into nodes (id, started_at, seen_at) values ('busy', now(), now())`.execute(db);
    await sql`
      insert into imports (app_id, status, mode, started_by, started_at, detail)
      values (${hr.id}, 'RUNNING', 'full', '{}', now(), '{"node": "busy"}')`.execute(db);
    expect((await hr.call("POST", "/users", person(1))).status).toBe(202);
    await sql`update imports set status = 'DONE'`.execute(db);
    expect(await given.importNext()).toBe(true);
    expect((await hr.call("GET", "/users/e1")).status).toBe(200);
    given.world.later(7_200_000);
    await schedule(given.world);
    expect((await sql`select 1 from import_sessions`.execute(db)).rows).toEqual([]);
  });

  test("leavers who are named one by one are guarded as if they were named at once; others go on", async () => {
    const hr = await given.source("HR", { guard_percent: 20, guard_people: 3 });
    await hr.send(upsert(range(0, 20)));
    await given.importNext();
    const answers = [];
    for (const n of range(0, 6)) answers.push((await hr.call("DELETE", `/users/e${n}`)).status);
    expect(answers).toEqual([204, 204, 204, 204, 202, 202]);
    expect(await peopleBy(db, "status")).toMatchObject({ DEPROVISIONED: 4 });
    expect((await hr.call("PATCH", "/users/e9", { profile: { department: "Trade" } })).status).toBe(200);
    const held = (await given.api.call("GET", "/admin/v1/imports?limit=50")).body.filter(
      ({ status }: { status: string }) => status === "HELD",
    );
    expect(held).toHaveLength(2);
    await given.api.call("POST", `/admin/v1/imports/${held[1].id}/release`, { count: 5 });
    await expect.poll(() => peopleBy(db, "status"), { timeout: 20_000 }).toMatchObject({ DEPROVISIONED: 5 });
    const open = () => given.api.call("GET", "/admin/v1/tasks?kind=import_held");
    expect((await open()).body).toHaveLength(1);
    await given.api.call("POST", `/admin/v1/imports/${held[0].id}/discard`);
    expect((await open()).body).toHaveLength(0);
    given.world.later(86_400_001);
    expect((await hr.call("DELETE", "/users/e10")).status).toBe(204);
  });
});

describe("groups", () => {
  test("of a source are made, changed and deleted in sessions, with who is in them, and give no rights to others", async () => {
    const hr = await given.source("HR");
    const first = await hr.send(
      upsert(range(0, 6)),
      groups("Cooks", "Bakers"),
      members("upsert", "Cooks", range(0, 4)),
    );
    await given.importNext();
    expect(await countsOf(hr, first)).toEqual({ created: 6, groups_created: 2, members_added: 4 });
    expect(await membersOf(hr, "Cooks")).toEqual(["e0", "e1", "e2", "e3"]);
    const group = (await hr.call("GET", "/groups/g-Cooks")).body;
    expect(group).toEqual({
      id: group.id,
      externalId: "g-Cooks",
      profile: { displayName: "Cooks", description: "ours" },
    });
    const shown = (await given.api.call("GET", `/api/v1/groups/${group.id}`)).body;
    expect(shown).toMatchObject({ type: "APP_GROUP", profile: { name: "Cooks" } });
    const user = (await hr.call("GET", "/users/e5")).body.id;
    expect((await given.api.call("PUT", `/api/v1/groups/${group.id}/users/${user}`)).status).toBe(403);

    const second = await hr.send(
      ["bulk-groups-upsert", { profiles: [{ externalId: "g-Cooks", profile: { displayName: "Chefs" } }] }],
      ["bulk-groups-delete", { externalIds: ["g-Bakers", "g-Unknown"] }],
      members("delete", "Cooks", [0, 5]),
      members("upsert", "Cooks", [4]),
    );
    await given.importNext();
    expect(await countsOf(hr, second)).toEqual({
      groups_updated: 1,
      groups_deleted: 1,
      members_added: 1,
      members_removed: 1,
    });
    expect(await membersOf(hr, "Cooks")).toEqual(["e1", "e2", "e3", "e4"]);
    expect((await hr.call("GET", "/groups/g-Cooks")).body.profile).toEqual({ displayName: "Chefs", description: null });
    expect((await hr.call("GET", "/groups/g-Bakers")).status).toBe(404);
    expect(await typesOf("group.user_membership.%")).toEqual([
      ...range(0, 4).map(() => "group.user_membership.add"),
      "group.user_membership.add",
      "group.user_membership.remove",
    ]);
    const third = await hr.send(members("upsert", "Cooks", [4]));
    await given.importNext();
    expect(await countsOf(hr, third)).toEqual({});
  });

  test("and members that cannot be are refused by row, and do not stop the rest", async () => {
    const hr = await given.source("HR");
    const session = await hr.send(
      upsert([1]),
      groups("Cooks"),
      ["bulk-groups-upsert", { profiles: [{ externalId: "g-Nameless", profile: {} }] }],
      members("upsert", "Cooks", [1, 9]),
      members("upsert", "Unknown", [1]),
    );
    await given.importNext();
    const { importId } = await hr.session(session);
    expect(await countsOf(hr, session)).toEqual({
      ...{ created: 1, groups_created: 1, members_added: 1 },
      ...{ group_refused: 1, member_refused: 2 },
    });
    const rows = (await given.api.call("GET", `/admin/v1/imports/${importId}/rows`)).body as {
      outcome: string;
      detail: { place: string; reason: string };
    }[];
    const told = rows
      .filter(({ outcome }) => outcome.endsWith("_refused"))
      .map(({ detail }) => `${detail.place}: ${detail.reason}`);
    expect(told).toEqual([
      expect.stringMatching(/^group g-Nameless: displayName .*required/),
      expect.stringMatching(/^member e9 of group g-Cooks: HR has no person e9/),
      expect.stringMatching(/^member e1 of group g-Unknown: HR has no group g-Unknown/),
    ]);
  });

  test("that would lose many members at once are held, and nothing is done", async () => {
    const hr = await given.source("HR", { guard_percent: 20, guard_people: 5 });
    await hr.send(
      upsert(range(0, 20)),
      groups("Cooks", "Bakers"),
      members("upsert", "Cooks", range(0, 16)),
      members("upsert", "Bakers", range(16, 20)),
    );
    await given.importNext();
    const small = await hr.send(["bulk-groups-delete", { externalIds: ["g-Bakers"] }]);
    await given.importNext();
    expect((await hr.session(small)).status).toBe("COMPLETED");
    const session = await hr.send(
      ["bulk-groups-delete", { externalIds: ["g-Cooks"] }],
      members("delete", "Cooks", [1]),
    );
    await given.importNext();
    const { importId, held } = await hr.session(session);
    expect(held).toBe(true);
    expect((await given.api.call("GET", `/admin/v1/imports/${importId}`)).body.detail.reason).toMatch(
      /remove 16 of 16 memberships/,
    );
    expect(await membersOf(hr, "Cooks")).toHaveLength(16);
  });

  test("one by one: made, changed in part, joined, left and deleted", async () => {
    const hr = await given.source("HR");
    await hr.call("POST", "/users", person(1));
    const made = await hr.call("POST", "/groups", {
      externalId: "g-A",
      profile: { displayName: "A", description: "d" },
    });
    expect(made).toMatchObject({
      status: 200,
      body: { externalId: "g-A", profile: { displayName: "A", description: "d" } },
    });
    const changed = await hr.call("POST", `/groups/${made.body.id}`, { profile: { displayName: "B" } });
    expect(changed.body.profile).toEqual({ displayName: "B", description: "d" });
    expect((await hr.call("POST", "/groups", { externalId: "g-A", profile: { displayName: "A" } })).status).toBe(400);
    expect((await hr.call("POST", `/groups/g-A/membership`, { memberExternalId: "e1" })).status).toBe(204);
    expect(await membersOf(hr, "A")).toEqual(["e1"]);
    expect((await hr.call("POST", `/groups/g-A/membership`, { memberExternalId: "e9" })).status).toBe(404);
    expect((await hr.call("DELETE", `/groups/g-A/membership/e1`)).status).toBe(204);
    expect(await membersOf(hr, "A")).toEqual([]);
    expect((await hr.call("DELETE", "/groups/g-A")).status).toBe(204);
    for (const method of ["GET", "DELETE"]) expect((await hr.call(method, "/groups/g-A")).status).toBe(404);
  });

  test("of two sources with the same ids are two, and the pages of members are followed to the end", async () => {
    const [hr, lab] = [await given.source("HR"), await given.source("Lab")];
    await hr.send(upsert(range(0, 7)), groups("Cooks"), members("upsert", "Cooks", range(0, 7)));
    await lab.send(groups("Cooks"));
    await given.importNext();
    await given.importNext();
    expect(await membersOf(lab, "Cooks")).toEqual([]);
    const pages: string[][] = [];
    let path: string | undefined = `/api/v1/identity-sources/${hr.id}/groups/g-Cooks/membership?limit=3`;
    while (path !== undefined) {
      const answer = await given.api.call("GET", path);
      pages.push(answer.body.memberExternalIds);
      path = answer.next;
    }
    expect(pages).toEqual([["e0", "e1", "e2"], ["e3", "e4", "e5"], ["e6"]]);
    await lab.send(["bulk-groups-delete", { externalIds: ["g-Cooks"] }]);
    await given.importNext();
    expect(await membersOf(hr, "Cooks")).toHaveLength(7);
  });
});

describe("Okta's own client", () => {
  test("sends a session and records, and reads what became of them", async () => {
    const hr = await given.source("HR");
    const orgUrl = await given.api.server.listen({ host: "127.0.0.1", port: 0 });
    try {
      const client = new okta.Client({ orgUrl, token: given.api.token });
      const api = client.identitySourceApi;
      const identitySourceId = hr.id;
      const begun = await api.createIdentitySourceSession({ identitySourceId });
      const at = { identitySourceId, sessionId: String(begun.id) };
      const profiles = [1, 2].map((n) => person(n));
      await api.uploadIdentitySourceDataForUpsert({ ...at, BulkUpsertRequestBody: { entityType: "USERS", profiles } });
      await api.uploadIdentitySourceDataForDelete({
        ...at,
        BulkDeleteRequestBody: { entityType: "USERS", profiles: [{ externalId: "e9" }] },
      });
      const group = { externalId: "g", profile: { displayName: "Cooks", description: "d" } };
      await api.uploadIdentitySourceGroupsForUpsert({ ...at, bulkGroupUpsertRequestBody: { profiles: [group] } });
      const memberships = [{ groupExternalId: "g", memberExternalIds: ["e1", "e2"] }];
      await api.uploadIdentitySourceGroupMembershipsForUpsert({
        ...at,
        bulkGroupMembershipsUpsertRequestBody: { memberships },
      });
      const listed = [];
      for await (const one of await api.listIdentitySourceSessions({ identitySourceId })) listed.push(one?.status);
      expect(listed).toEqual(["IN_PROGRESS"]);
      expect((await api.startImportFromIdentitySource(at)).status).toBe("TRIGGERED");
      await given.importNext();
      const done = await api.getIdentitySourceSession(at);
      expect([done.status, done.importType, done.created instanceof Date]).toEqual(["COMPLETED", "INCREMENTAL", true]);
      const inGroup = { identitySourceId, groupOrExternalId: "g" };
      expect((await api.getIdentitySourceGroupMemberships(inGroup)).memberExternalIds).toEqual(["e1", "e2"]);
      expect((await api.getIdentitySourceGroup(inGroup)).externalId).toBe("g");
      await api.deleteIdentitySourceGroupMemberships({ ...inGroup, memberExternalId: "e1" });
      await api.createIdentitySourceUser({ identitySourceId, userRequestSchema: person(3) });
      const changed = await api.updateIdentitySourceUsers({
        ...{ identitySourceId, externalId: "e3" },
        usersUpdateRequestSchema: {
          profile: { userName: "p3@example.com", email: "p3@example.com", firstName: "Ada" },
        },
      });
      expect(changed.profile?.firstName).toBe("Ada");
      const replaced = await api.replaceExistingIdentitySourceUser({
        ...{ identitySourceId, externalId: "e3" },
        userRequestSchema: person(3),
      });
      expect([replaced.externalId, replaced.profile?.firstName]).toEqual(["e3", "P3"]);
      await api.deleteIdentitySourceUser({ identitySourceId, externalId: "e3" });
      await expect(api.getIdentitySourceUser({ identitySourceId, externalId: "e3" })).rejects.toThrow(/404/);
      await api.deleteIdentitySourceGroup(inGroup);
      const next = await api.createIdentitySourceSession({ identitySourceId });
      await api.deleteIdentitySourceSession({ identitySourceId, sessionId: String(next.id) });
    } finally {
      await given.api.server.close();
    }
  });
});
