/** What the catalogue makes of apps that clients name: their bodies, what is refused, and connectors that wait. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/store/database.ts";
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

const create = async (path: string, body: unknown = {}) => (await api.call("POST", path, body)).body;
const read = async (path: string) => (await api.call("GET", path)).body;

describe("an app's body", () => {
  test.each([
    ["bookmark", undefined, "BOOKMARK", ["login"]],
    ["template_swa", "BROWSER_PLUGIN", "BROWSER_PLUGIN", ["login"]],
    ["oidc_client", "OPENID_CONNECT", "OPENID_CONNECT", ["oidc_client_link"]],
    ["pagerduty", "AUTO_LOGIN", "BROWSER_PLUGIN", ["login"]],
    ["pagerduty", "SAML_2_0", "SAML_2_0", ["login"]],
    ["aws_console", "AUTO_LOGIN", "BROWSER_PLUGIN", ["aws_console_login"]],
    ["deelhr", "AUTO_LOGIN", null, ["deelhr_link"]],
    ["nobody_knows_it", "SAML_2_0", "SAML_2_0", ["login"]],
  ])("%s asked for as %s signs on as %s and is on people's pages as %j", async (name, asked, mode, links) => {
    const app = await create("/api/v1/apps", { name, label: "It", ...(asked ? { signOnMode: asked } : {}) });
    expect(app).toMatchObject({ name, signOnMode: mode });
    expect(app.orn.split(":")).toEqual(["orn", "okta", "idp", expect.stringMatching(/^00o/), "apps", name, app.id]);
    expect(app._links.appLinks.map((link: { name: string }) => link.name)).toEqual(links);
    expect(await read(`/api/v1/apps/${app.id}`)).toEqual(
      name === "oidc_client" ? expect.objectContaining({ id: app.id }) : app,
    );
  });

  test("a custom app's link has the name that was made for it", async () => {
    const app = await create("/api/v1/apps", { label: "Our Own Thing", signOnMode: "AUTO_LOGIN" });
    expect(app).toMatchObject({ name: "tenure_ourownthing_1", signOnMode: "AUTO_LOGIN" });
    expect(app.visibility.appLinks).toEqual({ tenure_ourownthing_1_link: true });
  });

  test("office365 shows seats, its many links and the settings that a client left out", async () => {
    const settings = { app: { domain: "example.com", wsFedConfigureType: "AUTO" } };
    const app = await create("/api/v1/apps", {
      ...{ name: "office365", label: "Office", signOnMode: "AUTO_LOGIN", settings },
    });
    expect(app.licensing).toEqual({ seatCount: 0 });
    expect(app.settings.app).toMatchObject({ domain: "example.com", tenantType: null, occSettings: null });
    expect(Object.keys(app.visibility.appLinks)).toHaveLength(19);
    const refused = await api.call("POST", "/api/v1/apps", {
      ...{ name: "office365", label: "Again", signOnMode: "SAML_1_1", settings },
    });
    expect([refused.status, refused.body.errorCauses[0].errorSummary]).toEqual([
      400,
      "In order to continue using WS-FED Auto for SSO, you must grant admin consent.",
    ]);
  });

  test("inline hooks of an app are linked", async () => {
    const app = await create("/api/v1/apps", {
      ...{ label: "Payroll", signOnMode: "SAML_2_0" },
      settings: { signOn: { inlineHooks: [{ id: "cal00000000000000001" }] } },
    });
    expect(app.settings.signOn.inlineHooks[0]._links.self.href).toBe(
      "http://tenure.test/api/v1/inlineHooks/cal00000000000000001",
    );
  });

  test("a custom app that is switched off is not replaced, as in Okta; one with a name is", async () => {
    const custom = await create("/api/v1/apps?activate=false", { label: "Custom", signOnMode: "AUTO_LOGIN" });
    const named = await create("/api/v1/apps?activate=false", { name: "bookmark", label: "Named" });
    const refused = await api.call("PUT", `/api/v1/apps/${custom.id}`, { label: "New", signOnMode: "AUTO_LOGIN" });
    expect([refused.status, refused.body.errorCode]).toEqual([400, "E0000024"]);
    expect((await api.call("PUT", `/api/v1/apps/${named.id}`, { label: "New" })).status).toBe(200);
  });

  test("what is kept of an app is bounded", async () => {
    const big = { name: "bookmark", label: "Site", settings: { app: { note: "x".repeat(300_000) } } };
    expect((await api.call("POST", "/api/v1/apps", big)).status).toBe(400);
  });

  test("an access policy and the groups of ID tokens are kept, also when the app is replaced", async () => {
    const app = await create("/api/v1/apps", { label: "Payroll", signOnMode: "SAML_2_0" });
    const path = `/api/v1/apps/${app.id}`;
    const claims = `/api/v1/internal/apps/${app.id}/settings/oauth/idToken`;
    expect((await api.call("PUT", `${path}/policies/rst00000000000000001`)).status).toBe(204);
    expect(await create(claims, { valueType: "GROUPS", name: "groups", value: "Sales" })).toMatchObject({
      ...{ valueType: "GROUPS", name: "groups", issuerMode: "ORG_URL" },
    });
    await api.call("PUT", path, { label: "Wages", signOnMode: "SAML_2_0" });
    expect((await read(path))._links.accessPolicy.href).toContain("/api/v1/policies/rst00000000000000001");
    expect(await read(claims)).toMatchObject({ name: "groups", value: "Sales" });
  });
});

describe("lists", () => {
  test.each([
    ["user/id", 400],
    ["user/id,group/id", 400],
    ["group/00g00000000000000001", 400],
    ["user/00u00000000000000001", 200],
  ])("expand=%s is answered with %d", async (expand, status) => {
    expect((await api.call("GET", `/api/v1/apps?expand=${encodeURIComponent(expand)}`)).status).toBe(status);
  });

  test("expand=user shows the person's account of each app that they have", async () => {
    const app = await create("/api/v1/apps", { name: "bookmark", label: "Site" });
    await create("/api/v1/apps", { name: "bookmark", label: "Other" });
    const user = await create("/api/v1/users", {
      profile: { login: "ann@x.co", email: "ann@x.co", firstName: "Ann", lastName: "Lee" },
    });
    await create(`/api/v1/apps/${app.id}/users`, { id: user.id });
    const filter = encodeURIComponent(`user.id eq "${user.id}"`);
    const listed = await read(`/api/v1/apps?filter=${filter}&expand=${encodeURIComponent(`user/${user.id}`)}`);
    expect(listed).toMatchObject([{ id: app.id, _embedded: { user: { id: user.id } } }]);
  });

  test.each(["/api/v1/apps", "/api/v1/groups", "/api/v1/groups/rules", "/api/v1/mappings"])(
    "a cursor that is none of %s is refused",
    async (path) => {
      const refused = await api.call("GET", `${path}?after=zzz`);
      expect([refused.status, refused.body.errorCode]).toEqual([400, "E0000029"]);
    },
  );
});

describe("apps that can be provisioned and wait for their address", () => {
  const deel = { name: "deelhr", label: "Deel", signOnMode: "AUTO_LOGIN", settings: { app: { region: "eu" } } };

  test("a group is pushed, stopped and let go before it is said where the app is", async () => {
    const app = await create("/api/v1/apps", deel);
    const group = await create("/api/v1/groups", { profile: { name: "Sales" } });
    const url = `/api/v1/apps/${app.id}/group-push/mappings`;
    const push = await create(url, { sourceGroupId: group.id, status: "ACTIVE", targetGroupName: "Sales" });
    expect(push).toMatchObject({ sourceGroupId: group.id, status: "ACTIVE" });
    expect(push._links.targetGroup.href).not.toMatch(/\/$/);
    expect(await read(`${url}?sourceGroupId=${group.id}`)).toHaveLength(1);
    expect((await api.call("PATCH", `${url}/${push.id}`, { status: "INACTIVE" })).body.status).toBe("INACTIVE");
    expect((await api.call("DELETE", `${url}/${push.id}?deleteTargetGroup=false`)).status).toBe(200);
  });

  test("its name and settings are the client's, its connection says that nothing is switched on", async () => {
    const app = await create("/api/v1/apps", deel);
    expect(app).toMatchObject({ name: "deelhr", kind: "scim", features: [], settings: { app: { region: "eu" } } });
    const connection = `/api/v1/apps/${app.id}/connections/default`;
    expect(await read(connection)).toMatchObject({ status: "DISABLED", authScheme: "TOKEN" });
    expect((await api.call("POST", `${connection}/lifecycle/activate`)).status).toBe(400);
    const replaced = await api.call("PUT", `/api/v1/apps/${app.id}`, { ...deel, settings: { app: { region: "us" } } });
    expect(replaced.body.settings.app).toEqual({ region: "us" });
    const asked = { baseUrl: "http://127.0.0.1:9/scim", profile: { authScheme: "TOKEN", token: "t" } };
    expect(await create(connection, asked)).toMatchObject({ baseUrl: "http://127.0.0.1:9/scim" });
    expect((await read(`/api/v1/apps/${app.id}`)).settings.app).toEqual({ region: "us" });
    expect((await read(`/api/v1/apps/${app.id}/features/USER_PROVISIONING`)).status).toBe("ENABLED");
  });

  test("saying that nothing is known of the connection is true of an app without one; a wish is refused", async () => {
    const app = await create("/api/v1/apps", { name: "bookmark", label: "Site" });
    const connection = `/api/v1/apps/${app.id}/connections/default`;
    const unknown = { status: "UNKNOWN", profile: { authScheme: "UNKNOWN" } };
    expect(await create(connection, { profile: { authScheme: "UNKNOWN" } })).toEqual(unknown);
    expect((await api.call("POST", connection, { profile: { authScheme: "TOKEN", token: "t" } })).status).toBe(400);
  });
});
