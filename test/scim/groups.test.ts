/** What becomes of groups that a source takes away: members one by one, many at once, and the group itself. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startImport } from "../../src/engine/import.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { type Pusher, patch_urn, type ScimStage, scimStage, userOf } from "./stage.ts";

let db: Database;
let stage: ScimStage;
let hr: Pusher;
beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  stage = await scimStage(db);
  hr = await stage.source("HR");
});

/** How many memberships a group of the source really gives. */
const given = async (group: string) =>
  (
    await sql<{ n: number }>`
      select count(*)::int as n from membership_grants m join groups g on g.id = m.group_id
      where g.external_id = ${group}`.execute(db)
  ).rows[0]?.n;

const removing = (ids: readonly string[]) => ({
  schemas: [patch_urn],
  Operations: [{ op: "remove", path: "members", value: ids.map((value) => ({ value })) }],
});

async function crowd(count: number): Promise<Readonly<{ ids: string[]; group: string }>> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push(await hr.user(`p${n}`));
  return { ids, group: await hr.group("Crowd", ids) };
}

const heldImports = async () =>
  (await stage.api.call("GET", `/admin/v1/imports?app_id=${hr.app_id}`)).body.filter(
    (one: { status: string }) => one.status === "HELD",
  );

describe("members that a source takes out", () => {
  test("lose what the group gave at once, where they are few", async () => {
    const { ids, group } = await crowd(12);
    expect((await hr.call("PATCH", `/Groups/${group}`, removing(ids.slice(0, 3)))).status).toBe(204);
    expect(await given(group)).toBe(9);
    expect(await heldImports()).toEqual([]);
  });

  test("are counted over a day: who takes out one at a time comes no further than who takes out all", async () => {
    const { ids, group } = await crowd(20);
    for (const id of ids.slice(0, 15)) await hr.call("PATCH", `/Groups/${group}`, removing([id]));
    expect(await given(group)).toBe(11);
    expect(await heldImports()).toMatchObject([{ counts: { member_remove: 6 }, detail: { to_confirm: 6 } }]);
  });

  test.each<[string, (ids: readonly string[]) => [string, object]]>([
    ["by name", (ids) => ["PATCH", removing(ids.slice(0, 11))]],
    ["by a whole new list", (ids) => ["PUT", { displayName: "Crowd", members: [{ value: ids[11] }] }]],
    ["by none at all", () => ["PATCH", { Operations: [{ op: "remove", path: "members" }] }]],
  ])(
    "are held by the guard when they are too many %s: answered as pushed, kept until a person lets them go",
    async (_name, of) => {
      const { ids, group } = await crowd(12);
      const [method, body] = of(ids);
      expect((await hr.call(method, `/Groups/${group}`, body)).status).toBeLessThan(300);
      const left = (await hr.call("GET", `/Groups/${group}`)).body.members?.length ?? 0;
      expect(left).toBeLessThan(2);
      expect(await given(group)).toBe(12);
      const [held] = await heldImports();
      expect(held.counts).toEqual({ member_remove: 12 - left });
      // An import of everything is no way around the guard.
      const everything = await startImport(stage.world, hr.app_id, { mode: "full", actor: system });
      expect(everything).toMatchObject({
        status: "DONE",
        reason: expect.stringContaining("go on until a person releases"),
      });
      expect([await given(group), (await heldImports()).length]).toEqual([12, 1]);
      const tasks = (await stage.api.call("GET", "/admin/v1/tasks")).body;
      expect(tasks.map((one: { kind: string }) => one.kind)).toContain("import_held");
      expect(
        (await stage.api.call("POST", `/admin/v1/imports/${held.id}/release`, { count: held.detail.to_confirm }))
          .status,
      ).toBe(202);
      await expect.poll(() => given(group)).toBe(left);
    },
  );

  test("of which many were put back while they were held are let go no more than was left to let go", async () => {
    const { ids, group } = await crowd(12);
    await hr.call("PATCH", `/Groups/${group}`, removing(ids.slice(0, 11)));
    const back = { Operations: [{ op: "add", path: "members", value: ids.slice(0, 8).map((value) => ({ value })) }] };
    expect((await hr.call("PATCH", `/Groups/${group}`, back)).status).toBe(204);
    const [held] = await heldImports();
    expect(
      (await stage.api.call("POST", `/admin/v1/imports/${held.id}/release`, { count: held.detail.to_confirm })).status,
    ).toBe(202);
    await expect.poll(() => given(group)).toBe(9);
  });
});

describe("a group that a source deletes", () => {
  test("gives its app to nobody any more, and the log tells of it", async () => {
    const { group } = await crowd(3);
    const { rows } = await sql<{ id: string }>`select id from groups where external_id = ${group}`.execute(db);
    const app = (await stage.api.call("POST", "/api/v1/apps", { name: "bookmark", label: "Badges" })).body.id;
    const assigned = await stage.api.call("PUT", `/api/v1/apps/${app}/groups/${rows[0]?.id}`, {});
    expect(assigned.status).toBe(200);
    expect((await hr.call("DELETE", `/Groups/${group}`)).status).toBe(204);
    expect((await hr.call("GET", `/Groups/${group}`)).status).toBe(404);
    expect((await stage.api.call("GET", `/api/v1/apps/${app}/groups`)).body).toEqual([]);
    expect(await given(group)).toBe(0);
    const events = (await stage.api.call("GET", '/api/v1/logs?filter=eventType eq "group.lifecycle.delete"')).body;
    expect(events).toHaveLength(1);
    expect((await hr.call("POST", "/Groups", { displayName: "Crowd" })).status).toBe(201);
  });

  test("is refused as a whole where more people are in it than the guard lets go, and stays as it was", async () => {
    const { group } = await crowd(12);
    const refused = await hr.call("DELETE", `/Groups/${group}`);
    expect(refused).toMatchObject({ status: 403, body: { status: "403" } });
    expect(refused.body.detail).toContain("take its members out first");
    expect((await hr.call("GET", `/Groups/${group}`)).body.members).toHaveLength(12);
    expect(await given(group)).toBe(12);
  });
});

test("someone who comes under another id while the old one leaves has not left, and keeps no group of the old id", async () => {
  await stage.api.call("PATCH", `/admin/v1/apps/${hr.app_id}`, { sourcing: { match_on: ["email"] } });
  const old = await hr.user("mia");
  const group = await hr.group("Old", [old]);
  const mail = { emails: [{ value: "mia@example.com", type: "work" }] };
  const [gone, made] = await Promise.all([
    hr.call("DELETE", `/Users/${old}`),
    hr.call("POST", "/Users", userOf("mia.new", mail)),
  ]);
  expect([gone.status, made.status]).toEqual([204, 201]);
  const { rows } = await sql<{ status: string; external_id: string }>`
    select u.status, a.external_id from accounts a join users u on u.id = a.user_id where a.app_id = ${hr.app_id}`.execute(
    db,
  );
  expect(rows).toEqual([{ status: "PROVISIONED", external_id: made.body.id }]);
  expect(await given(group)).toBe(0);
});
