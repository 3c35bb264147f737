/**
 * What the integration suite of Okta's own client for Node asserts (okta-api 2.2, 2.3), told again through that client, where
 * the story of sdk.test.ts does not come by: apps, and the organisation. People and groups are sdkSuite.test.ts.
 */
import type { Client } from "@okta/okta-sdk-nodejs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listed, newPerson, refusal, type SdkNode, startSdkNode } from "./sdkStage.ts";

const timeout = 120_000;
let node: SdkNode;
let okta: Client;

beforeAll(async () => {
  node = await startSdkNode();
  okta = node.client();
}, timeout);
afterAll(() => node?.stop());

const person = (more: Record<string, unknown> = {}, activate = true) => newPerson(okta, more, activate);
/** An app of any kind, as the client reads it. */
type Made = Awaited<ReturnType<Client["applicationApi"]["createApplication"]>> & {
  name?: string;
  credentials?: { oauthClient?: object };
};
type AppInput = Parameters<Client["applicationApi"]["createApplication"]>[0]["application"];
const newApp = async (label: string, more: object) =>
  (await okta.applicationApi.createApplication({ application: { label, ...more } as AppInput })) as Made;

const oauth = {
  client_uri: "https://a.example",
  redirect_uris: ["https://a.example/cb"],
  response_types: ["code"],
  grant_types: ["authorization_code"],
  application_type: "native",
};
const saml = {
  ssoAcsUrl: "https://a.example",
  audience: "a",
  recipient: "https://a.example",
  destination: "https://a.example",
  subjectNameIdTemplate: ["$", "{user.userName}"].join(""),
  subjectNameIdFormat: "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
  responseSigned: true,
  assertionSigned: true,
  signatureAlgorithm: "RSA_SHA256",
  digestAlgorithm: "SHA256",
  honorForceAuthn: true,
  authnContextClassRef: "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
};
describe("apps", { timeout }, () => {
  test.each([
    ["bookmark", "BOOKMARK", { settings: { app: { requestIntegration: false, url: "https://a.example" } } }],
    [
      "template_basic_auth",
      "BASIC_AUTH",
      { settings: { app: { url: "https://a.example", authURL: "https://a.example/auth" } } },
    ],
    [
      "template_swa",
      "BROWSER_PLUGIN",
      {
        settings: {
          app: {
            buttonField: "b",
            passwordField: "p",
            usernameField: "u",
            url: "https://a.example",
            loginUrlRegex: ".",
          },
        },
      },
    ],
    [
      "template_swa3field",
      "BROWSER_PLUGIN",
      {
        settings: {
          app: {
            buttonSelector: "#b",
            passwordSelector: "#p",
            userNameSelector: "#u",
            targetURL: "https://a.example",
            extraFieldSelector: ".e",
            extraFieldValue: "v",
          },
        },
      },
    ],
    [
      "template_sps",
      "SECURE_PASSWORD_STORE",
      { settings: { app: { url: "https://a.example", passwordField: "p", usernameField: "u" } } },
    ],
    [
      undefined,
      "AUTO_LOGIN",
      { settings: { signOn: { redirectUrl: "https://a.example", loginUrl: "https://a.example" } } },
    ],
    [undefined, "SAML_2_0", { settings: { signOn: saml } }],
    [
      "oidc_client",
      "OPENID_CONNECT",
      { settings: { oauthClient: oauth }, credentials: { oauthClient: { token_endpoint_auth_method: "none" } } },
    ],
  ])("%s by %s is made, named, deleted only when it is off", async (name, signOnMode, more) => {
    const label = `Suite: ${name ?? "custom"} ${signOnMode}`;
    const app = await newApp(label, { ...(name === undefined ? {} : { name }), signOnMode, ...more });
    expect([app.label, app.signOnMode, app.status]).toEqual([label, signOnMode, "ACTIVE"]);
    if (name === undefined) expect(app.name).toContain(label.toLowerCase().replaceAll(/[^a-z0-9]/g, ""));
    else expect(app.name).toBe(name);
    if (signOnMode === "OPENID_CONNECT") {
      expect(app.credentials?.oauthClient).toMatchObject({
        client_id: expect.any(String),
      });
    }
    const appId = app.id ?? "";
    expect((await refusal(okta.applicationApi.deleteApplication({ appId }))).slice(0, 2)).toEqual([403, "E0000056"]);
    await okta.applicationApi.deactivateApplication({ appId });
    expect((await okta.applicationApi.getApplication({ appId })).status).toBe("INACTIVE");
    await okta.applicationApi.deleteApplication({ appId });
    expect((await refusal(node.client().applicationApi.getApplication({ appId })))[0]).toBe(404);
  });

  test("are found by q and filter, and by who has them", async () => {
    const app = await newApp("Quaint app", {
      name: "bookmark",
      signOnMode: "BOOKMARK",
      settings: { app: { url: "https://a.example" } },
    });
    const appId = app.id ?? "";
    const [{ id: userId, login }, other] = [await person({ firstName: "Appa" }), await person()];
    const appUser = await okta.applicationApi.assignUserToApplication({
      appId,
      appUser: { id: userId, scope: "USER", credentials: { userName: login } },
    });
    expect([appUser.id, appUser.scope, appUser.credentials?.userName]).toEqual([userId, "USER", login]);
    await okta.applicationApi.assignUserToApplication({ appId, appUser: { id: other.id } });
    const apps = async (query: object) =>
      (await listed(okta.applicationApi.listApplications(query))).map(({ id }) => id);
    expect(await apps({ q: "quaint" })).toEqual([appId]);
    expect(await apps({ filter: `user.id eq "${userId}"`, expand: `user/${userId}` })).toEqual([appId]);
    const users = async (query: object) =>
      (await listed(okta.applicationApi.listApplicationUsers({ appId, ...query }))).map(({ id }) => id);
    expect([await users({ q: "appa" }), (await users({ limit: 1 })).length]).toEqual([[userId], 2]);
    const [embedded] = await listed(okta.applicationApi.listApplicationUsers({ appId, q: "appa", expand: "user" }));
    expect((embedded?._embedded as { user?: { id?: string } } | undefined)?.user?.id).toBe(userId);
    const group = await okta.groupApi.createGroup({ group: { profile: { name: "Suite has app" } } });
    const groupId = group.id ?? "";
    const given = await okta.applicationApi.assignGroupToApplication({
      appId,
      groupId,
      applicationGroupAssignment: { priority: 0 },
    });
    expect([given.id, given.priority]).toEqual([groupId, 0]);
    expect(
      (await listed(okta.applicationApi.listApplicationGroupAssignments({ appId, q: "suite has" }))).map(
        ({ id }) => id,
      ),
    ).toEqual([groupId]);
    expect(await listed(okta.applicationApi.listApplicationGroupAssignments({ appId, q: "nothing" }))).toEqual([]);
    expect((await listed(okta.groupApi.listAssignedApplicationsForGroup({ groupId }))).map(({ id }) => id)).toEqual([
      appId,
    ]);
    await okta.applicationApi.unassignApplicationFromGroup({ appId, groupId });
    await okta.applicationApi.unassignUserFromApplication({ appId, userId });
    expect((await refusal(node.client().applicationApi.getApplicationUser({ appId, userId })))[0]).toBe(404);
    expect((await refusal(listed(okta.applicationApi.listFeaturesForApplication({ appId })))).slice(0, 2)).toEqual([
      400,
      "E0000001",
    ]);
  });

  test("an app that waits for its address says so, and a wrong credential is named", async () => {
    const app = await newApp("Suite org2org", {
      name: "okta_org2org",
      signOnMode: "SAML_2_0",
      settings: {
        app: { acsUrl: "https://a.example", audRestriction: "https://a.example", baseUrl: "https://a.example" },
      },
    });
    const appId = app.id ?? "";
    const connection = await okta.applicationApi.getDefaultProvisioningConnectionForApplication({ appId });
    expect([connection.status, connection.authScheme]).toEqual(["DISABLED", "TOKEN"]);
    const tried = await refusal(
      okta.applicationApi.updateDefaultProvisioningConnectionForApplication({
        ...{ appId, activate: true },
        ProvisioningConnectionRequest: { baseUrl: "http://127.0.0.1:9", profile: { authScheme: "TOKEN", token: "t" } },
      }),
    );
    expect(tried.slice(0, 2)).toEqual([400, "E0000001"]);
    const [mapping] = await listed(okta.profileMappingApi.listProfileMappings({ targetId: appId }));
    expect(mapping?.target?.id).toBe(appId);
  });
});

describe("the organisation", { timeout }, () => {
  test("hooks are made, rest, and are deleted only when they rest; one that does not answer is not verified", async () => {
    const channel = {
      type: "HTTP",
      version: "1.0.0",
      config: {
        uri: "http://127.0.0.1:9/hook",
        headers: [{ key: "X-Test", value: "t" }],
        authScheme: { type: "HEADER", key: "Authorization", value: "secret" },
      },
    } as const;
    const hook = await okta.eventHookApi.createEventHook({
      eventHook: {
        name: "Suite events",
        events: { type: "EVENT_TYPE", items: ["user.lifecycle.create"] },
        channel,
      } as never,
    });
    const eventHookId = hook.id ?? "";
    expect([hook.status, hook.verificationStatus]).toEqual(["ACTIVE", "UNVERIFIED"]);
    expect(JSON.stringify(hook)).not.toContain("secret");
    expect((await refusal(okta.eventHookApi.verifyEventHook({ eventHookId }))).slice(0, 2)).toEqual([400, "E0000001"]);
    expect((await refusal(okta.eventHookApi.deleteEventHook({ eventHookId })))[0]).toBeGreaterThanOrEqual(400);
    expect((await okta.eventHookApi.deactivateEventHook({ eventHookId })).status).toBe("INACTIVE");
    await okta.eventHookApi.deleteEventHook({ eventHookId });
    const inline = await okta.inlineHookApi.createInlineHook({
      inlineHook: { name: "Suite inline", type: "com.okta.import.transform", version: "1.0.0", channel } as never,
    });
    const inlineHookId = inline.id ?? "";
    expect(JSON.stringify(inline)).not.toContain("secret");
    expect((await okta.inlineHookApi.deactivateInlineHook({ inlineHookId })).status).toBe("INACTIVE");
    await okta.inlineHookApi.deleteInlineHook({ inlineHookId });
  });

  test("roles, tokens, features and the organisation itself are read and changed", async () => {
    const { id: userId } = await person();
    const role = await okta.roleAssignmentApi.assignRoleToUser({
      userId,
      assignRoleRequest: { type: "USER_ADMIN" } as never,
    });
    expect((role as { type?: string } | undefined)?.type).toBe("USER_ADMIN");
    const roles = await listed(okta.roleAssignmentApi.listAssignedRolesForUser({ userId }));
    expect(roles.length).toBe(1);
    await okta.roleAssignmentApi.unassignRoleFromUser({ userId, roleId: (roles[0] as { id?: string }).id ?? "" });
    expect(await listed(okta.roleAssignmentApi.listAssignedRolesForUser({ userId }))).toEqual([]);
    const [token] = await listed(okta.apiTokenApi.listApiTokens());
    expect((await okta.apiTokenApi.getApiToken({ apiTokenId: token?.id ?? "" })).name).toBe(token?.name);
    expect((await listed(okta.featureApi.listFeatures())).length).toBeGreaterThan(0);
    const before = await okta.orgSettingApi.getOrgSettings();
    const changed = await okta.orgSettingApi.updateOrgSettings({ OrgSetting: { city: "Suite City" } });
    expect([changed.city, changed.companyName]).toEqual(["Suite City", before.companyName]);
    expect((await okta.orgSettingApi.getWellknownOrgMetadata()).pipeline).toBe("v1");
  });

  test("the log is read by words, by filter, from the newest, page by page, and since a date as JavaScript writes it", async () => {
    const events = (query: object) =>
      listed(okta.systemLogApi.listLogEvents({ until: new Date().toISOString(), ...query } as never));
    expect((await events({ q: "user" })).length).toBeGreaterThan(5);
    const info = await events({ filter: 'severity eq "INFO"', limit: 5 });
    expect(new Set(info.map(({ severity }) => severity))).toEqual(new Set(["INFO"]));
    expect(new Set(info.map(({ uuid }) => uuid)).size).toBe(info.length);
    const until = new Date().toISOString();
    const uuids = async (query: object) => (await events({ until, ...query })).map(({ uuid }) => uuid);
    expect(await uuids({ sortOrder: "DESCENDING", limit: 20 })).toEqual((await uuids({})).reverse());
    expect((await events({ since: new Date(0) })).length).toBe(
      (await events({ since: new Date(0).toISOString() })).length,
    );
  });
});
