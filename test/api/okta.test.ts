/** Okta's half of the API, noun by noun: the way everyone goes, and what is refused on the way. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createToken } from "../../src/directory/tokens.ts";
import { type Database, isRefusal, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";

let db: Database;
let api: TestApi;

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db);
});

const profile = { login: "ann@x.co", email: "ann@x.co", firstName: "Ann", lastName: "Lee" };
const create = async (path: string, body: unknown) => (await api.call("POST", path, body)).body;

describe("users", () => {
  test("the six names are always shown, the rest when set, and links say what can be done", async () => {
    const user = await create("/api/v1/users?activate=false", { profile: { ...profile, title: "Chef" } });
    expect(user.profile).toEqual({ ...profile, mobilePhone: null, secondEmail: null, title: "Chef" });
    expect(user.status).toBe("STAGED");
    expect(Object.keys(user._links).sort()).toEqual(["activate", "schema", "self", "type"]);
    expect(user._links.self.href).toBe(`http://tenure.test/api/v1/users/${user.id}`);
    expect(user.created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test.each([
    ["without a password", {}, "?activate=true", "PROVISIONED"],
    ["with a password", { credentials: { password: { value: "Correct-Horse-9" } } }, "?activate=true", "ACTIVE"],
    [
      "with a password that must be changed",
      { credentials: { password: { value: "Correct-Horse-9" } } },
      "?nextLogin=changePassword",
      "PASSWORD_EXPIRED",
    ],
    [
      "with an imported hash",
      {
        credentials: {
          password: { hash: { algorithm: "SHA-256", value: "47DEQpj8HBSa", salt: "c2FsdA==", saltOrder: "PREFIX" } },
        },
      },
      "",
      "ACTIVE",
    ],
  ])("%s a new person begins in the right status", async (_name, more, query, status) => {
    expect((await create(`/api/v1/users${query}`, { profile, ...more })).status).toBe(status);
  });

  test("POST changes a part and PUT replaces: what PUT leaves out is gone", async () => {
    const { id } = await create("/api/v1/users", { profile: { ...profile, title: "Chef", nickName: "A" } });
    const changed = await create(`/api/v1/users/${id}`, { profile: { title: null, city: "Rome" } });
    expect(changed.profile).toMatchObject({ nickName: "A", city: "Rome" });
    expect(changed.profile.title).toBeUndefined();
    const replaced = (await api.call("PUT", `/api/v1/users/${id}`, { profile })).body;
    expect(replaced.profile.city).toBeUndefined();
  });

  test("everything wrong with a profile is told at once, and a taken login as well", async () => {
    const wrong = await api.call("POST", "/api/v1/users", { profile: { login: "x", wage: 3 } });
    expect([wrong.status, wrong.body.errorSummary]).toEqual([400, "Api validation failed: newUser"]);
    expect(wrong.body.errorCauses.length).toBeGreaterThan(3);
    await create("/api/v1/users", { profile });
    const taken = await api.call("POST", "/api/v1/users", { profile: { ...profile, login: "ANN@x.co" } });
    expect(taken.status).toBe(400);
    expect(taken.body.errorCauses[0].errorSummary).toContain("login");
  });

  test.each([
    ["activate", "ACTIVE", 403, "E0000016"],
    ["unlock", "ACTIVE", 403, "E0000032"],
    ["reactivate", "ACTIVE", 403, "E0000038"],
    ["unsuspend", "ACTIVE", 400, "E0000001"],
    ["reset_password", "ACTIVE", 400, "E0000028"],
  ])("lifecycle/%s of someone %s is %i %s", async (event, status, code, errorCode) => {
    const password = { credentials: { password: { value: "Correct-Horse-9" } } };
    const { id } = await create(`/api/v1/users?activate=${status === "ACTIVE"}`, { profile, ...password });
    const answer = await api.call("POST", `/api/v1/users/${id}/lifecycle/${event}`);
    expect([answer.status, answer.body.errorCode]).toEqual([code, errorCode]);
  });

  test.each([
    "/api/v1/users/%00",
    "/api/v1/groups/%00",
    "/api/v1/users?q=a%00",
    "/api/v1/groups?q=%00",
    "/api/v1/logs?q=%00",
  ])("NUL in an address is refused, not an error of the server: %s", async (path) => {
    const { status } = await api.call("GET", path);
    expect([400, 404]).toContain(status);
  });

  test("the log names who did something by their login, whatever their token is called", async () => {
    const user = await create("/api/v1/users?activate=true", {
      profile,
      credentials: { password: { value: "Ladder-27-x" } },
    });
    await sql`update users set super_admin = true where id = ${user.id}`.execute(db);
    const made = await createToken(
      { db, now: () => new Date(), actor: system },
      { name: "my script", role: "SUPER_ADMIN", user_id: user.id },
    );
    const token = isRefusal(made) ? "" : made.text;
    expect((await api.call("POST", "/api/v1/groups", { profile: { name: "Hers" } }, token)).status).toBe(200);
    const { body } = await api.call(
      "GET",
      `/api/v1/logs?filter=${encodeURIComponent('actor.alternateId eq "ann@x.co"')}`,
    );
    expect(body.map((event: { eventType: string }) => event.eventType)).toContain("group.lifecycle.create");
  });

  test("a base attribute is not changed in the guise of a custom one", async () => {
    const path = "/api/v1/meta/schemas/user/default";
    const custom = { properties: { lastName: { title: "Z", type: "string" } } };
    const { status, body } = await api.call("POST", path, { definitions: { custom } });
    expect([status, body.errorCauses[0].errorSummary]).toEqual([
      400,
      "lastName: is a base attribute; change what may be changed of it under base",
    ]);
    expect((await api.call("GET", path)).body.definitions.base.properties.lastName.title).toBe("Last name");
  });

  test("DELETE deactivates, and the second DELETE forgets", async () => {
    const { id } = await create("/api/v1/users", { profile });
    expect((await api.call("DELETE", `/api/v1/users/${id}`)).status).toBe(204);
    expect((await api.call("GET", `/api/v1/users/${id}`)).body.status).toBe("DEPROVISIONED");
    expect((await api.call("GET", "/api/v1/users")).body).toEqual([]);
    expect((await api.call("DELETE", `/api/v1/users/${id}`)).status).toBe(204);
    expect((await api.call("GET", `/api/v1/users/${id}`)).status).toBe(404);
  });

  test("passwords and recovery answers are changed by who knows the old ones, and never shown", async () => {
    const { id } = await create("/api/v1/users", {
      profile,
      credentials: { password: { value: "Correct-Horse-9" }, recovery_question: { question: "Pet?", answer: " Rex " } },
    });
    const path = `/api/v1/users/${id}/credentials`;
    const change = (oldPassword: string) =>
      api.call("POST", `${path}/change_password`, {
        oldPassword: { value: oldPassword },
        newPassword: { value: "Battery-Staple-7" },
      });
    expect((await change("wrong-Password-1")).body.errorCode).toBe("E0000014");
    const changed = await change("Correct-Horse-9");
    expect(changed.body).toEqual({
      password: {},
      recovery_question: { question: "Pet?" },
      provider: { type: "OKTA", name: "OKTA" },
    });
    const answer = await api.call("POST", `${path}/forgot_password_recovery_question`, {
      password: { value: "Third-Password-3" },
      recovery_question: { answer: "rex" },
    });
    expect(answer.status).toBe(200);
  });

  test("a filter counts case and a search does not; q leaves leavers out", async () => {
    const { id } = await create("/api/v1/users", { profile });
    const count = async (query: Record<string, string>) =>
      (await api.call("GET", `/api/v1/users?${new URLSearchParams(query)}`)).body.length;
    expect(await count({ search: 'profile.firstName eq "ANN"' })).toBe(1);
    expect(await count({ filter: 'profile.firstName eq "ANN"' })).toBe(0);
    expect(await count({ filter: `profile.firstName eq "Ann" and status eq "PROVISIONED"` })).toBe(1);
    await api.call("DELETE", `/api/v1/users/${id}`);
    expect(await count({ q: "ann" })).toBe(0);
    expect(await count({ search: 'status eq "DEPROVISIONED"' })).toBe(1);
  });
});

describe("groups and rules", () => {
  test("a membership put by hand is seen from both sides and ends", async () => {
    const user = await create("/api/v1/users", { profile });
    const group = await create("/api/v1/groups", { profile: { name: "Cooks" } });
    expect(group.profile).toEqual({ name: "Cooks", description: null });
    expect((await api.call("PUT", `/api/v1/groups/${group.id}/users/${user.id}`)).status).toBe(204);
    expect((await api.call("GET", `/api/v1/groups/${group.id}/users`)).body[0].id).toBe(user.id);
    const groups = (await api.call("GET", `/api/v1/users/${user.id}/groups`)).body;
    expect(groups.map((one: { profile: { name: string } }) => one.profile.name)).toEqual(["Everyone", "Cooks"]);
    expect((await api.call("DELETE", `/api/v1/groups/${group.id}/users/${user.id}`)).status).toBe(204);
    expect((await api.call("GET", `/api/v1/groups/${group.id}/users`)).body).toEqual([]);
  });

  test("Everyone cannot be changed, and a name is taken once", async () => {
    const [everyone] = (await api.call("GET", "/api/v1/groups?q=every")).body;
    expect((await api.call("DELETE", `/api/v1/groups/${everyone.id}`)).status).toBe(403);
    await create("/api/v1/groups", { profile: { name: "Cooks" } });
    expect((await api.call("POST", "/api/v1/groups", { profile: { name: "Cooks" } })).status).toBe(400);
    const stats = (await api.call("GET", "/api/v1/groups?expand=stats&q=every")).body[0]._embedded.stats;
    expect(stats).toMatchObject({ usersCount: 0, appsCount: 0 });
  });

  test("a rule begins inactive, takes its exclusions, and is changed while it acts", async () => {
    const group = await create("/api/v1/groups", { profile: { name: "Cooks" } });
    const user = await create("/api/v1/users", { profile });
    const body = (value: string, exclude: string[]) => ({
      type: "group_rule",
      name: "cooks",
      conditions: { people: { users: { exclude } }, expression: { value, type: "urn:okta:expression:1.0" } },
      actions: { assignUserToGroups: { groupIds: [group.id] } },
    });
    const rule = await create("/api/v1/groups/rules", body('user.title == "Cook"', []));
    expect(rule).toMatchObject({
      status: "INACTIVE",
      allGroupsValid: true,
      conditions: { people: { users: { exclude: [] }, groups: { exclude: [] } } },
    });
    expect((await api.call("POST", `/api/v1/groups/rules/${rule.id}/lifecycle/activate`)).status).toBe(204);
    const changed = await api.call("PUT", `/api/v1/groups/rules/${rule.id}`, body('user.title == "Chef"', [user.id]));
    expect(changed.body).toMatchObject({
      status: "ACTIVE",
      conditions: { people: { users: { exclude: [user.id] } }, expression: { value: 'user.title == "Chef"' } },
    });
    // Whom a PUT does not name is not left alone any more, which the preview says with the same list.
    const preview = async (more: object) => {
      const input = {
        rule_id: rule.id,
        expression: `user.login == "${profile.login}"`,
        group_ids: [group.id],
        ...more,
      };
      return (await api.call("POST", "/admin/v1/rules/preview", input)).body.matching;
    };
    expect([await preview({}), await preview({ exclude: [user.id] }), await preview({ exclude: [] })]).toEqual([
      0, 0, 1,
    ]);
    const wrong = await api.call("PUT", `/api/v1/groups/rules/${rule.id}`, body("user.titel ==", []));
    expect([wrong.status, wrong.body.errorCode]).toEqual([400, "E0000001"]);
    await api.call("DELETE", `/api/v1/groups/${group.id}`);
    const broken = (await api.call("GET", `/api/v1/groups/rules/${rule.id}`)).body;
    expect([broken.status, broken.allGroupsValid]).toEqual(["INVALID", false]);
    expect((await api.call("DELETE", `/api/v1/groups/rules/${rule.id}?removeUsers=false`)).status).toBe(202);
  });
});

describe("apps and who has them", () => {
  test("an app for sign-on keeps what clients say of it, over Okta's defaults, and without secrets", async () => {
    const app = await create("/api/v1/apps", {
      ...{ name: "template_swa", label: "Old Web", signOnMode: "BROWSER_PLUGIN", visibility: { hide: { web: true } } },
      credentials: { password: { value: "do-not-keep" }, revealPassword: true },
      settings: { app: { url: "https://old.example.com" }, notes: { admin: "old" } },
    });
    expect(app).toMatchObject({
      status: "ACTIVE",
      features: [],
      visibility: { hide: { web: true, iOS: false }, autoLaunch: false },
    });
    expect(app.settings).toMatchObject({
      app: { url: "https://old.example.com", checkbox: null },
      notes: { admin: "old", enduser: null },
    });
    expect(JSON.stringify(app)).not.toContain("do-not-keep");
    expect(app._links.self).toBeUndefined();
    expect((await api.call("DELETE", `/api/v1/apps/${app.id}`)).body.errorCode).toBe("E0000056");
    await api.call("POST", `/api/v1/apps/${app.id}/lifecycle/deactivate`);
    expect((await api.call("DELETE", `/api/v1/apps/${app.id}`)).status).toBe(204);
  });

  test("a SCIM app is not called before it is said where it is; the token is never told again", async () => {
    const app = await create("/api/v1/apps", { name: "scim", label: "Chat", settings: { app: { profile: "strict" } } });
    const path = `/api/v1/apps/${app.id}/connections/default`;
    expect((await api.call("GET", path)).body.status).toBe("DISABLED");
    expect((await api.call("GET", `/api/v1/apps/${app.id}/features/USER_PROVISIONING`)).body.status).toBe("DISABLED");
    const set = await api.call("POST", path, {
      baseUrl: "http://127.0.0.1:9/scim",
      profile: { authScheme: "TOKEN", token: "s3cret-token" },
    });
    expect(set.body).toMatchObject({ baseUrl: "http://127.0.0.1:9/scim", profile: { authScheme: "TOKEN" } });
    const feature = (await api.call("GET", `/api/v1/apps/${app.id}/features/USER_PROVISIONING`)).body;
    expect(feature.capabilities.create.lifecycleCreate.status).toBe("ENABLED");
    const everywhere = [
      await api.call("GET", `/api/v1/apps/${app.id}`),
      await api.call("GET", path),
      await api.call("GET", `/admin/v1/apps/${app.id}`),
      await api.call("GET", "/api/v1/logs"),
    ];
    expect(JSON.stringify(everywhere.map(({ body }) => body))).not.toContain("s3cret-token");
    // Whoever may edit an app must not learn its token by pointing it at a server of their own.
    const stolen = await api.call("POST", path, { baseUrl: "http://127.0.0.1:10/scim" });
    expect([stolen.status, stolen.body.errorCauses[0].errorSummary]).toEqual([400, expect.stringContaining("token")]);
  });

  test("switches and sourcing are Okta's features, and an app without connector has none", async () => {
    const app = await create("/api/v1/apps", {
      name: "scim",
      label: "Chat",
      settings: { app: { base_url: "http://127.0.0.1:9/scim", token: "t" } },
    });
    const path = `/api/v1/apps/${app.id}/features`;
    const off = await api.call("PUT", `${path}/USER_PROVISIONING`, {
      update: { lifecycleDeactivate: { status: "DISABLED" } },
    });
    expect(off.body.capabilities.update).toMatchObject({
      lifecycleDeactivate: { status: "DISABLED" },
      profile: { status: "ENABLED" },
    });
    const inbound = await api.call("PUT", `${path}/INBOUND_PROVISIONING`, {
      importRules: { userCreateAndMatch: { exactMatchCriteria: "EMAIL", autoActivateNewUsers: false } },
    });
    expect(inbound.body.capabilities.importRules.userCreateAndMatch).toMatchObject({
      exactMatchCriteria: "EMAIL",
      autoActivateNewUsers: false,
    });
    expect((await api.call("GET", `/admin/v1/apps/${app.id}`)).body).toMatchObject({
      provisioning: { on_unassign: "keep" },
      sourcing: { match_on: ["email"] },
    });
    for (const confirm of [false, true]) {
      const put = await api.call("PUT", `${path}/INBOUND_PROVISIONING`, {
        importRules: { userCreateAndMatch: { autoConfirmNewUsers: confirm } },
      });
      expect(put.body.capabilities.importRules.userCreateAndMatch.autoConfirmNewUsers).toBe(confirm);
      const kept = (await api.call("GET", `/admin/v1/apps/${app.id}`)).body.sourcing;
      expect(kept).toMatchObject({ auto_confirm_new: confirm, match_on: ["email"] });
    }
    const match = async (userCreateAndMatch?: object) => {
      const body = userCreateAndMatch && { importRules: { userCreateAndMatch } };
      const answer = await api.call(body ? "PUT" : "GET", `${path}/INBOUND_PROVISIONING`, body);
      return answer.body.capabilities.importRules.userCreateAndMatch;
    };
    expect(await match()).toMatchObject({ allowPartialMatch: false, autoConfirmPartialMatch: false });
    const both = { allowPartialMatch: true, autoConfirmPartialMatch: true };
    expect(await match(both)).toMatchObject(both);
    const sourcing = async (change?: object) =>
      (await api.call(change ? "PATCH" : "GET", `/admin/v1/apps/${app.id}`, change && { sourcing: change })).body
        .sourcing;
    expect(await sourcing()).toMatchObject({ match_partial: { at_least: 75 }, auto_confirm_partial: true });
    // What Okta has no words for stays as it is when a client gives back what it was shown.
    const ours = { match_on: [["login"], ["email"]], match_partial: { at_least: 90 } };
    await sourcing(ours);
    const shown = await match();
    expect(shown).toMatchObject({ exactMatchCriteria: "USERNAME", ...both });
    await match(shown);
    expect(await sourcing()).toMatchObject(ours);
    await match({ exactMatchCriteria: "EMAIL", allowPartialMatch: false });
    expect(await sourcing()).toMatchObject({ match_on: ["email"], match_partial: null });
    expect((await api.call("GET", `${path}/NOTHING`)).status).toBe(404);
    const plain = await create("/api/v1/apps", { name: "bookmark", label: "Site" });
    expect((await api.call("GET", `/api/v1/apps/${plain.id}/features`)).body.errorSummary).toBe(
      "Api validation failed: feature",
    );
  });

  test("a source is read by the clock as its feature says, and goes on being so when a client says nothing of it", async () => {
    const app = await create("/api/v1/apps", {
      ...{ name: "scim", label: "Clocked" },
      settings: { app: { base_url: "http://127.0.0.1:9/scim", token: "t" } },
    });
    const path = `/api/v1/apps/${app.id}/features`;
    const by_clock = async (schedule?: object) => {
      const body = schedule && { importSettings: { schedule } };
      const answer = await api.call(body ? "PUT" : "GET", `${path}/INBOUND_PROVISIONING`, body);
      return answer.status === 200 ? answer.body.capabilities.importSettings.schedule : answer.status;
    };
    const off = { status: "DISABLED", fullImport: null, incrementalImport: null };
    expect(await by_clock()).toEqual(off);
    const daily = { status: "ENABLED", fullImport: { expression: "0 5 * * *", timezone: "Europe/Rome" } };
    expect(await by_clock(daily)).toEqual({ ...daily, incrementalImport: null });
    const changes = { incrementalImport: { expression: "*/15 * * * *", timezone: "Europe/Rome" } };
    expect(await by_clock({ ...daily, ...changes })).toEqual({ ...daily, ...changes });
    expect(await by_clock(daily)).toEqual({ ...daily, ...changes });
    expect(await by_clock({ ...daily, incrementalImport: null })).toEqual({ ...daily, incrementalImport: null });
    expect(await by_clock({ ...daily, fullImport: { expression: "often" } })).toBe(400);
    await api.call("PUT", `${path}/INBOUND_PROVISIONING`, { importRules: {} });
    expect(await by_clock()).toMatchObject(daily);
    expect(await by_clock({ status: "DISABLED" })).toEqual(off);
  });

  test("an assignment shows at once, is changed, and ends; a group's is not ended at the person", async () => {
    const app = await create("/api/v1/apps", { name: "bookmark", label: "Site" });
    const user = await create("/api/v1/users", { profile });
    const made = await create(`/api/v1/apps/${app.id}/users`, {
      id: user.id,
      scope: "USER",
      credentials: { userName: "ann@x.co" },
      profile: {},
    });
    expect(made).toMatchObject({
      id: user.id,
      scope: "USER",
      status: "ACTIVE",
      syncState: "DISABLED",
      credentials: { userName: "ann@x.co" },
    });
    const changed = await create(`/api/v1/apps/${app.id}/users/${user.id}`, { profile: { displayName: "A. Lee" } });
    expect(changed.profile.displayName).toBe("A. Lee");
    // What the engine has computed meanwhile is not shown in place of what was given since.
    await sql`update accounts set want = '{"enabled": true, "profile": {"displayName": "A. Lee"}}'`.execute(db);
    const again = await create(`/api/v1/apps/${app.id}/users/${user.id}`, { profile: { displayName: "Ann Lee" } });
    expect(again.profile.displayName).toBe("Ann Lee");
    expect((await create(`/api/v1/apps/${app.id}/users/${user.id}`, { profile: { wage: 3 } })).errorCode).toBe(
      "E0000001",
    );
    expect((await api.call("DELETE", `/api/v1/apps/${app.id}/users/${user.id}`)).status).toBe(204);
    expect((await api.call("GET", `/api/v1/apps/${app.id}/users/${user.id}`)).status).toBe(404);
    expect(
      (await api.call("GET", `/api/v1/apps?filter=${encodeURIComponent(`user.id eq "${user.id}"`)}`)).body,
    ).toEqual([]);
  });

  test("a group takes the place it asks for, and the others move down", async () => {
    const app = await create("/api/v1/apps", { name: "bookmark", label: "Site" });
    const ids: string[] = [];
    for (const name of ["A", "B", "C"]) {
      const { id } = await create("/api/v1/groups", { profile: { name } });
      ids.push(id);
      const put = await api.call("PUT", `/api/v1/apps/${app.id}/groups/${id}`, { priority: 0 });
      expect(put.body.priority).toBe(0);
    }
    const order = async () =>
      (await api.call("GET", `/api/v1/apps/${app.id}/groups`)).body.map((one: { id: string; priority: number }) => [
        one.id,
        one.priority,
      ]);
    expect(await order()).toEqual([
      [ids[2], 0],
      [ids[1], 1],
      [ids[0], 2],
    ]);
    await api.call("PATCH", `/api/v1/apps/${app.id}/groups/${ids[2]}`, [
      { op: "replace", path: "/priority", value: 5 },
      { op: "add", path: "/profile/displayName", value: "C" },
    ]);
    expect((await api.call("GET", `/api/v1/apps/${app.id}/groups/${ids[2]}`)).body).toMatchObject({
      priority: 5,
      profile: { displayName: "C" },
    });
    expect((await api.call("GET", `/api/v1/groups/${ids[0]}/apps`)).body[0].label).toBe("Site");
    expect((await api.call("DELETE", `/api/v1/apps/${app.id}/groups/${ids[0]}`)).status).toBe(204);
    expect((await api.call("GET", `/api/v1/apps/${app.id}/groups/${ids[0]}`)).status).toBe(404);
  });
});

describe("schemas and mappings", () => {
  test("a custom attribute comes, is used, keeps what only Okta knows of it, and goes with its values", async () => {
    const path = "/api/v1/meta/schemas/user/default";
    const badge = {
      title: "Badge",
      type: "integer",
      enum: [1, 2],
      oneOf: [
        { const: 1, title: "one" },
        { const: 2, title: "two" },
      ],
      scope: "SELF",
      master: { type: "OKTA" },
    };
    const after = await create(path, {
      definitions: { custom: { id: "#custom", type: "object", properties: { badge } } },
    });
    expect(after.definitions.custom.properties.badge).toMatchObject({ ...badge, mutability: "READ_WRITE" });
    expect(after.definitions.base.required).toEqual(["login", "firstName", "lastName", "email"]);
    const user = await create("/api/v1/users", { profile: { ...profile, badge: 2 } });
    expect(user.profile.badge).toBe(2);
    expect((await create(`/api/v1/users/${user.id}`, { profile: { badge: 3 } })).errorCode).toBe("E0000001");
    await create(path, { definitions: { custom: { properties: { badge: { title: "Badge number" } } } } });
    await create(path, { definitions: { custom: { properties: { badge: null } } } });
    expect((await api.call("GET", `/api/v1/users/${user.id}`)).body.profile.badge).toBeUndefined();
  });

  test("a mapping is read in both directions, changed line by line, and a wrong line names its attribute", async () => {
    const app = await create("/api/v1/apps", {
      name: "scim",
      label: "Chat",
      settings: { app: { base_url: "http://127.0.0.1:9/scim", token: "t" } },
    });
    const mappings = (await api.call("GET", `/api/v1/mappings?targetId=${app.id}`)).body;
    expect(
      mappings.map((one: { source: { type: string }; target: { id: string } }) => [one.source.type, one.target.id]),
    ).toEqual([["user", app.id]]);
    const path = `/api/v1/mappings/${mappings[0].id}`;
    const before = (await api.call("GET", path)).body;
    expect(before.properties.userName).toMatchObject({ expression: "user.login", pushStatus: "PUSH" });
    const changed = await create(path, {
      properties: { title: { expression: "user.title", pushStatus: "DONT_PUSH" }, nickName: null },
    });
    expect(changed.properties.title.pushStatus).toBe("DONT_PUSH");
    expect(changed.properties.nickName).toBeUndefined();
    const wrong = await api.call("POST", path, {
      properties: { nothing: { expression: "user.title", pushStatus: "PUSH" } },
    });
    expect([wrong.status, wrong.body.errorSummary]).toEqual([400, "Api validation failed: updateMapping"]);
    expect(wrong.body.errorCauses[0].errorSummary).toContain("nothing");
  });

  test("the organisation can be asked about without a token, and says that it has no sign-on policies", async () => {
    expect((await api.call("GET", "/.well-known/okta-organization", undefined, "")).body.pipeline).toBe("v1");
    expect((await api.call("GET", "/api/v1/org")).body.status).toBe("ACTIVE");
    expect((await api.call("GET", "/api/v1/users/me")).body.profile.lastName).toBe("a SUPER_ADMIN");
  });
});
