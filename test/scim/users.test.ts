/** What a source says of its people over SCIM, and what becomes of them here. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startImport } from "../../src/engine/import.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { type Pusher, type ScimStage, scimStage, userOf } from "./stage.ts";

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

const person = async (login: string) =>
  (
    await sql<{ id: string; status: string; profile: Record<string, unknown> }>`
    select id, status, profile from users where login = ${login}`.execute(db)
  ).rows[0];

test("a user is made, read, found, changed, and deleted, and a person here follows at each step", async () => {
  const made = await hr.call("POST", "/Users", userOf("ada"));
  expect(made).toMatchObject({
    status: 201,
    body: { userName: "ada@example.com", active: true, meta: { version: 'W/"1"' } },
  });
  const { id } = made.body;
  expect(made.headers["location"]).toBe(`http://tenure.test/scim/v2/Users/${id}`);
  expect(await person("ada@example.com")).toMatchObject({
    status: "PROVISIONED",
    profile: { firstName: "Given", lastName: "Family" },
  });
  expect((await hr.call("GET", `/Users/${id}`)).body).toEqual(made.body);
  const found = await hr.call("GET", `/Users?filter=${encodeURIComponent('userName eq "ADA@example.com"')}`);
  expect(found.body).toMatchObject({ totalResults: 1, Resources: [{ id }] });
  const replaced = await hr.call(
    "PUT",
    `/Users/${id}`,
    userOf("ada", { title: "Analyst", name: { givenName: "Ada", familyName: "King" } }),
  );
  expect(replaced.body).toMatchObject({ title: "Analyst", meta: { version: 'W/"2"' } });
  expect(await person("ada@example.com")).toMatchObject({
    profile: { firstName: "Ada", lastName: "King", title: "Analyst" },
  });
  await hr.call("PATCH", `/Users/${id}`, { Operations: [{ op: "replace", value: { active: false } }] });
  expect(await person("ada@example.com")).toMatchObject({ status: "DEPROVISIONED" });
  await hr.call("PATCH", `/Users/${id}`, { Operations: [{ op: "replace", value: { active: true } }] });
  expect((await person("ada@example.com"))?.status).not.toBe("DEPROVISIONED");
  expect((await hr.call("DELETE", `/Users/${id}`)).status).toBe(204);
  expect(await person("ada@example.com")).toMatchObject({ status: "DEPROVISIONED" });
  for (const method of ["GET", "DELETE"]) expect((await hr.call(method, `/Users/${id}`)).status).toBe(404);
  const again = await hr.user("ada");
  expect(again).not.toBe(id);
  expect((await person("ada@example.com"))?.status).not.toBe("DEPROVISIONED");
});

test("a push is an import of its own row, with its events", async () => {
  await hr.user("ada");
  const { body } = await stage.api.call("GET", `/admin/v1/imports?app_id=${hr.app_id}`);
  expect(body).toMatchObject([{ status: "DONE", counts: { created: 1 } }]);
  const { rows } = await sql<{ type: string }>`select type from events order by seq desc limit 3`.execute(db);
  expect(rows.map(({ type }) => type)).toContain("system.import.complete");
  const { rows: made } = await sql<{ cause: string }>`
    select c.type as cause from events e join events c on c.seq = e.cause where e.type = 'user.lifecycle.create'`.execute(
    db,
  );
  expect(made[0]?.cause).toBe("system.import.start");
});

test("what the import refuses is not kept, and the caller is told why", async () => {
  const refused = await hr.call("POST", "/Users", userOf("ada", { name: {} }));
  expect(refused).toMatchObject({ status: 400, body: { scimType: "invalidValue", status: "400" } });
  expect(refused.body.detail).toContain("lastName");
  expect((await hr.call("GET", "/Users")).body.totalResults).toBe(0);
  const { body } = await stage.api.call("GET", `/admin/v1/imports?app_id=${hr.app_id}`);
  expect(body).toMatchObject([{ counts: { refused: 1 } }]);
});

test("who waits for a match is answered as pushed, and an import of the source matches them again", async () => {
  const login = "ada@example.com";
  await stage.api.call("POST", "/api/v1/users?activate=true", {
    profile: { login, email: login, firstName: "Ada", lastName: "King" },
  });
  const careful = await stage.source("Careful", { sourcing: { auto_confirm: false } });
  const id = await careful.user("ada", { title: "Analyst" });
  expect((await person(login))?.profile["title"]).toBeUndefined();
  expect((await careful.call("GET", `/Users/${id}`)).body.title).toBe("Analyst");
  await stage.api.call("PATCH", `/admin/v1/apps/${careful.app_id}`, { sourcing: { auto_confirm: true } });
  await stage.api.call("POST", `/admin/v1/apps/${careful.app_id}/imports`, { mode: "incremental" });
  await expect.poll(async () => (await person(login))?.profile["title"]).toBe("Analyst");
});

describe("the guard", () => {
  test("holds the leave that is one too many, and a release lets exactly those go who were shown", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 30; n++) ids.push(await hr.user(`p${n}`));
    for (const id of ids.slice(0, 11)) {
      const off = await hr.call("PATCH", `/Users/${id}`, {
        Operations: [{ op: "Replace", path: "active", value: "False" }],
      });
      expect(off).toMatchObject({ status: 200, body: { active: false } });
    }
    const left = async () =>
      (await sql<{ n: number }>`select count(*)::int as n from users where status = 'DEPROVISIONED'`.execute(db))
        .rows[0]?.n;
    expect(await left()).toBe(9);
    // Clients say it again and again.
    await hr.call("PATCH", `/Users/${ids[10]}`, { Operations: [{ op: "replace", path: "active", value: false }] });
    const held = (await stage.api.call("GET", `/admin/v1/imports?app_id=${hr.app_id}`)).body.filter(
      (one: { status: string }) => one.status === "HELD",
    );
    expect(held).toMatchObject([{ counts: { leave: 2 } }]);
    const rows = (await stage.api.call("GET", `/admin/v1/imports/${held[0].id}/rows`)).body;
    expect(rows.map((one: { external_id: string }) => one.external_id)).toEqual(ids.slice(9, 11));
    // An import of everything is no way around the guard.
    await startImport(stage.world, hr.app_id, { mode: "full", actor: system });
    expect(await left()).toBe(9);
    expect((await stage.api.call("POST", `/admin/v1/imports/${held[0].id}/release`, { count: 2 })).status).toBe(202);
    await expect.poll(left).toBe(11);
  });
});

test("another source's user is not there", async () => {
  const other = await stage.source("Other");
  const id = await hr.user("ada");
  for (const [method, body] of [
    ["GET"],
    ["DELETE"],
    ["PUT", userOf("ada")],
    ["PATCH", { Operations: [{ op: "remove", path: "title" }] }],
  ] as const) {
    expect((await other.call(method, `/Users/${id}`, body)).status).toBe(404);
  }
  expect((await other.call("GET", "/Users")).body.totalResults).toBe(0);
  expect((await hr.call("GET", `/Users/${id}`)).status).toBe(200);
});

test("a version that is not the newest is refused with 412, and nothing is changed", async () => {
  const id = await hr.user("ada");
  const stale = { "if-match": 'W/"7"' };
  expect((await hr.call("PUT", `/Users/${id}`, userOf("ada", { title: "x" }), stale)).status).toBe(412);
  expect((await hr.call("DELETE", `/Users/${id}`, undefined, stale)).status).toBe(412);
  const fresh = await hr.call("PUT", `/Users/${id}`, userOf("ada", { title: "x" }), { "if-match": 'W/"1"' });
  expect(fresh).toMatchObject({ status: 200, headers: { etag: 'W/"2"' } });
});
