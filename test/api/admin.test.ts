/** Our half of the API: grants with an end, tasks, imports, licences, orphans, tokens, the clock. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { secret } from "../../src/connectors/connector.ts";
import { createConnector } from "../../src/connectors/registry.ts";
import { provisioningDefaults } from "../../src/directory/provisioning.ts";
import { raiseTasks } from "../../src/directory/tasks.ts";
import type { EngineApp, World } from "../../src/engine/world.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { outside } from "../support/outside.ts";

let db: Database;
let api: TestApi;
const folder = mkdtempSync(path.join(tmpdir(), "tenure-import-"));

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(async () => {
  await db.destroy();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db, { world: csvWorld(), import_folder: folder });
});

/** A world whose apps are files in the import folder. */
function csvWorld(): World {
  const now = () => new Date();
  const source = async (app_id: string, file?: string): Promise<EngineApp> => {
    const app = await db.selectFrom("apps").selectAll().where("id", "=", app_id).executeTakeFirstOrThrow();
    const schema = await db.selectFrom("schemas").select("attributes").where("app_id", "=", app_id).executeTakeFirst();
    const connector = createConnector("csv", { ...app.config, ...(file ? { file } : {}) }, {}, { folder });
    return {
      ...{ id: app.id, label: app.label, kind: "csv", connector },
      provisioning: provisioningDefaults(connector.can),
      attributes: schema?.attributes ?? [],
    };
  };
  return {
    ...{ db, node: "test", now, random: Math.random, lease_ms: 60_000, source },
    deadline: (at) => AbortSignal.timeout(Math.max(0, at.getTime() - Date.now())),
    password: () => secret("Temporary-1!"),
    app: (app_id) => source(app_id),
    ...outside(db, now),
  };
}

const person = (login: string) => ({ profile: { login, email: login, firstName: "F", lastName: "L" } });
const create = async (url: string, body: unknown) => (await api.call("POST", url, body)).body;
const tomorrow = () => new Date(Date.now() + 86_400_000).toISOString();

describe("access with an end", () => {
  test("a membership and an assignment remember who gave them, why and until when", async () => {
    const user = await create("/api/v1/users", person("ann@x.co"));
    const group = await create("/api/v1/groups", { profile: { name: "Cooks" } });
    const app = await create("/api/v1/apps", { name: "bookmark", label: "Site" });
    const end = tomorrow();
    const joined = await create("/admin/v1/memberships", {
      group_id: group.id,
      users: ["ann@x.co"],
      reason: "summer",
      expires_at: end,
    });
    expect(joined.began).toEqual([{ user_id: user.id, group_id: group.id }]);
    const [grant] = (await api.call("GET", `/admin/v1/memberships/why?group_id=${group.id}&user=ann@x.co`)).body;
    expect(grant).toMatchObject({ kind: "person", reason: "summer", expires_at: end });
    const assigned = await create("/admin/v1/assignments", {
      app: "site",
      users: ["ann@x.co"],
      reason: "trial",
      expires_at: end,
      profile: { displayName: "A" },
    });
    expect(assigned.began).toEqual([user.id]);
    const [given] = (await api.call("GET", `/admin/v1/assignments/why?app=${app.id}&user=${user.id}`)).body;
    expect(given).toMatchObject({ reason: "trial", expires_at: end, profile: { displayName: "A" } });
    expect((await create("/admin/v1/assignments/end", { app: "Site", users: [user.id] })).ended).toEqual([user.id]);
    expect((await create("/admin/v1/memberships/end", { group_id: group.id, users: [user.id] })).ended.length).toBe(1);
  });

  test.each([
    ["to nobody", { app: "Site" }],
    ["to people and groups at once", { app: "Site", users: ["ann@x.co"], group_ids: ["00g"] }],
    ["over already", { app: "Site", users: ["ann@x.co"], expires_at: "2020-01-01T00:00:00Z" }],
    ["until no time", { app: "Site", users: ["ann@x.co"], expires_at: "tomorrow" }],
  ])("an assignment %s is refused", async (_name, body) => {
    await create("/api/v1/users", person("ann@x.co"));
    await create("/api/v1/apps", { name: "bookmark", label: "Site" });
    expect((await api.call("POST", "/admin/v1/assignments", body)).status).toBe(400);
  });

  test("a hold and the days a person comes and goes are set and lifted", async () => {
    await create("/api/v1/users", person("ann@x.co"));
    const held = await create("/admin/v1/users/ann@x.co/hold", { reason: "HR is late", until: tomorrow() });
    expect(held.hold).toMatchObject({ reason: "HR is late", by: "a SUPER_ADMIN" });
    expect((await api.call("DELETE", "/admin/v1/users/ann@x.co/hold")).body.hold).toBeNull();
    const dates = (
      await api.call("PATCH", "/admin/v1/users/ann@x.co/dates", { ends_at: tomorrow(), time_zone: "Europe/Rome" })
    ).body;
    expect(dates).toMatchObject({ starts_at: null, time_zone: "Europe/Rome" });
  });
});

describe("tasks", () => {
  const raise = (n: number) =>
    raiseTasks(
      { db, now: () => new Date(), actor: system },
      Array.from({ length: n }, (_, index) => ({
        kind: "provisioning_fault" as const,
        title: `task ${index}`,
        dedupe: `t${index}`,
        detail: { fault: "invalid", attribute: "email" },
      })),
    );

  test("a thousand alike are one line, and each is noted, assigned, dismissed and reopened", async () => {
    await raise(3);
    const [group] = (await api.call("GET", "/admin/v1/tasks/groups")).body;
    expect(group).toMatchObject({ count: 3, fault: "invalid", attribute: "email" });
    const [first, second] = (await api.call("GET", "/admin/v1/tasks?limit=2")).body;
    const edited = (
      await api.call("PATCH", `/admin/v1/tasks/${first.id}`, {
        assignee: "ann@x.co",
        due_at: tomorrow(),
        note: "asked the vendor",
      })
    ).body;
    expect(edited).toMatchObject({ assignee: "ann@x.co", notes: [{ by: "a SUPER_ADMIN", text: "asked the vendor" }] });
    expect((await create(`/admin/v1/tasks/${first.id}/dismiss`, { note: "gone" })).status).toBe("DISMISSED");
    expect((await create(`/admin/v1/tasks/${first.id}/reopen`, undefined)).status).toBe("OPEN");
    expect((await create(`/admin/v1/tasks/${second.id}/complete`, { note: "done" })).status).toBe("DONE");
    expect((await api.call("POST", `/admin/v1/tasks/${second.id}/complete`, {})).status).toBe(404);
    expect((await create("/admin/v1/tasks/dismiss", { ids: [first.id, second.id] })).dismissed).toBe(1);
  });
});

describe("imports", () => {
  const upload = (app: string, text: string, query = "") =>
    api.server.inject({
      method: "POST",
      url: `/admin/v1/apps/${app}/imports${query}`,
      headers: { authorization: `SSWS ${api.token}`, "content-type": "text/csv" },
      payload: text,
    });
  const rows = (ids: readonly number[]) =>
    ["id,login,first,last,mail", ...ids.map((id) => `${id},p${id}@x.co,F${id},L,p${id}@x.co`)].join("\n");
  const lines = {
    login: { expression: "appuser.login" },
    firstName: { expression: "appuser.first" },
    lastName: { expression: "appuser.last" },
    email: { expression: "appuser.mail" },
  };

  async function source(): Promise<string> {
    const { id } = await create("/api/v1/apps", {
      name: "csv",
      label: "HR",
      settings: { app: { file: "people.csv", id_column: "id" } },
    });
    await api.call("PATCH", `/admin/v1/apps/${id}`, { sourcing: { guard_people: 2, guard_percent: 10 } });
    const learnt = await api.server.inject({
      method: "POST",
      url: `/admin/v1/apps/${id}/discover`,
      headers: { authorization: `SSWS ${api.token}`, "content-type": "text/csv" },
      payload: rows([1]),
    });
    expect(learnt.json().attributes.map((one: { name: string }) => one.name)).toEqual([
      "id",
      "login",
      "first",
      "last",
      "mail",
    ]);
    expect((await api.call("PUT", `/admin/v1/apps/${id}/mappings/to_user`, { lines })).status).toBe(200);
    return id;
  }

  async function ended(id: string) {
    for (let tries = 0; tries < 200; tries++) {
      const { body } = await api.call("GET", `/admin/v1/imports/${id}`);
      if (body.status !== "RUNNING") return body;
      await new Promise((done) => setTimeout(done, 25));
    }
    throw new Error("the import does not end");
  }

  test("an upload is read, applied, told row by row, and its file is gone", async () => {
    const app = await source();
    const answer = await upload(app, `${rows([1, 2])}\n3,,,,`);
    expect(answer.statusCode).toBe(202);
    const done = await ended(answer.json().id);
    expect([done.status, done.counts.refused]).toEqual(["DONE", 1]);
    const bad = (await api.call("GET", `/admin/v1/imports/${done.id}/rows?outcome=refused`)).body;
    expect(bad[0].detail.reason).toContain("login");
    expect((await api.call("GET", "/api/v1/users")).body.length).toBe(2);
    await expect.poll(() => readdirSync(path.join(folder, "uploads"))).toEqual([]);
    expect((await api.call("GET", "/admin/v1/imports?app=HR")).body.length).toBe(1);
  });

  test("one that would cut off too many is held; released it passes, discarded it does not", async () => {
    const app = await source();
    const all = Array.from({ length: 20 }, (_, n) => n + 1);
    await ended((await upload(app, rows(all))).json().id);
    const held = await ended((await upload(app, rows([1, 2]))).json().id);
    expect(held.status).toBe("HELD");
    expect((await api.call("GET", "/admin/v1/tasks?kind=import_held")).body.length).toBe(1);
    expect((await create(`/admin/v1/imports/${held.id}/discard`, undefined)).status).toBe("CANCELLED");
    expect((await api.call("GET", "/admin/v1/tasks?kind=import_held")).body.length).toBe(0);
    const again = await ended((await upload(app, rows([1, 2]))).json().id);
    const shown = (await api.call("GET", `/admin/v1/imports/${again.id}/rows?loses=true`)).body;
    expect(shown.map(({ login }: { login: string }) => login)).toHaveLength(18);
    const wrong = await api.call("POST", `/admin/v1/imports/${again.id}/release`, { count: 17 });
    expect([wrong.status, wrong.body.errorCauses[0].errorSummary]).toEqual([400, expect.stringContaining("18 of 20")]);
    expect((await api.call("POST", `/admin/v1/imports/${again.id}/release`, {})).status).toBe(400);
    const released = await ended((await create(`/admin/v1/imports/${again.id}/release`, { count: 18 })).id);
    expect(released.status).toBe("DONE");
    const { rows: gone } = await sql<{
      n: number;
    }>`select count(*)::int as n from users where status = 'DEPROVISIONED'`.execute(db);
    expect(gone[0]?.n).toBe(18);
    const cause = async (import_id: string, word: string) => {
      const answer = await api.call("POST", `/admin/v1/imports/${import_id}/${word}`, { count: 18 });
      return [answer.status, answer.body.errorCauses[0].errorSummary];
    };
    const told = (words: string) => [409, expect.stringMatching(words)];
    const into = `was released by a SUPER_ADMIN at .*, as import ${released.id}`;
    expect(await cause(again.id, "release")).toEqual(told(into));
    expect(await cause(again.id, "discard")).toEqual(told(into));
    expect(await cause(held.id, "release")).toEqual(told("was discarded by a SUPER_ADMIN at 2"));
    expect(await cause(released.id, "release")).toEqual(told("is DONE: it is not held"));
    await expect.poll(() => readdirSync(path.join(folder, "uploads"))).toEqual([]);
  });

  test("one that is held and then overtaken by another is told so, and its file is gone", async () => {
    const app = await source();
    const all = Array.from({ length: 20 }, (_, n) => n + 1);
    await ended((await upload(app, rows(all))).json().id);
    const held = await ended((await upload(app, rows([1, 2]))).json().id);
    const newer = await ended((await upload(app, rows([...all, 21]))).json().id);
    expect(newer.status).toBe("DONE");
    const answer = await api.call("POST", `/admin/v1/imports/${held.id}/release`, { count: 18 });
    expect(answer.status).toBe(409);
    expect(answer.body.errorCauses[0].errorSummary).toContain(`was overtaken by import ${newer.id} at`);
    expect((await api.call("GET", "/admin/v1/tasks?kind=import_held")).body).toEqual([]);
    await expect.poll(() => readdirSync(path.join(folder, "uploads"))).toEqual([]);
  });

  test("a dry run applies nothing, and an empty or unreadable file is refused in words", async () => {
    const app = await source();
    const tried = await ended((await upload(app, rows([1, 2]), "?dry_run=true")).json().id);
    expect([tried.status, tried.dry_run]).toEqual(["DONE", true]);
    expect((await api.call("GET", "/api/v1/users")).body).toEqual([]);
    expect((await upload(app, "")).statusCode).toBe(400);
    const wrong = await ended((await upload(app, "a,b\n1,2\n")).json().id);
    expect([wrong.status, wrong.detail.reason]).toEqual(["FAILED", expect.stringContaining("id")]);
  });
});

describe("apps, tokens, clock", () => {
  test("an app is paused, resumed, licensed and switched in our own words", async () => {
    const app = await create("/api/v1/apps", {
      name: "scim",
      label: "Chat",
      settings: { app: { base_url: "http://127.0.0.1:9/scim", token: "t" } },
    });
    expect((await create("/admin/v1/apps/chat/pause", { reason: "the vendor is moving" })).state).toBe("paused");
    expect((await api.call("GET", "/admin/v1/apps")).body[0].health.pause_reason).toBe("the vendor is moving");
    expect((await create("/admin/v1/apps/chat/resume", undefined)).state).toBe("ok");
    expect((await api.call("PUT", "/admin/v1/apps/chat/licence", { seats: 5, expires_at: null })).body).toMatchObject({
      seats: 5,
      used: 0,
    });
    const changed = await api.call("PATCH", `/admin/v1/apps/${app.id}`, {
      provisioning: { on_unassign: "delete", concurrency: 4 },
    });
    expect(changed.body.provisioning).toMatchObject({ on_unassign: "delete", concurrency: 4, create: true });
    expect((await api.call("PATCH", `/admin/v1/apps/${app.id}`, { provisioning: { nothing: 1 } })).status).toBe(400);
    expect((await api.call("GET", "/admin/v1/connectors")).body.map((one: { kind: string }) => one.kind)).toEqual(
      expect.arrayContaining(["scim", "csv", "manual"]),
    );
  });

  test("a token is told once, has its role, and ends at once when it is revoked", async () => {
    const made = await create("/admin/v1/tokens", { name: "ci", role: "READ_ONLY_ADMIN" });
    expect((await api.call("GET", "/api/v1/groups", undefined, made.text)).status).toBe(200);
    const listed = (await api.call("GET", "/admin/v1/tokens")).body;
    expect(JSON.stringify(listed)).not.toContain(made.text);
    await api.call("DELETE", `/admin/v1/tokens/${made.id}`);
    expect((await api.call("GET", "/api/v1/groups", undefined, made.text)).status).toBe(401);
  });

  test("the clock moves only where the server was started for it", async () => {
    expect((await api.call("PUT", "/admin/v1/clock", { shift_ms: 1 })).status).toBe(405);
    let moved = 0;
    const movable = await testApi(db, { world: csvWorld(), moveClock: async () => void moved++ });
    expect((await movable.call("PUT", "/admin/v1/clock", { shift_ms: 86_400_000 })).status).toBe(200);
    expect(
      (await movable.call("PUT", "/admin/v1/clock", { shift_ms: 1 }, await movable.tokenOf("ORG_ADMIN"))).status,
    ).toBe(403);
    const { rows } = await sql<{
      ahead: boolean;
    }>`select tenure_now() > clock_timestamp() + interval '23 hours' as ahead`.execute(db);
    expect([moved, rows[0]?.ahead]).toEqual([1, true]);
  });

  test("a node that has been silent is told apart from one that lives, and one that is long gone is not named", async () => {
    await sql`
      insert into nodes (id, started_at, seen_at) select id, now(), now() - make_interval(secs => s)
      from (values ('lives', 12), ('silent', 25), ('gone', 70)) as n(id, s)`.execute(db);
    const { nodes } = (await api.call("GET", "/admin/v1/status")).body;
    expect(nodes).toMatchObject([
      { id: "lives", live: true },
      { id: "silent", live: false },
    ]);
  });

  test("the state of everything is one answer", async () => {
    await create("/api/v1/users", person("ann@x.co"));
    const status = (await api.call("GET", "/admin/v1/status")).body;
    expect(status).toMatchObject({ users: { PROVISIONED: 1 }, groups: 1, apps: 0, dirty: 1, tasks: 0, queues: [] });
  });
});
