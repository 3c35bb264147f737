/**
 * Okta's own client for Node, unchanged, drives a whole life: an app is connected, people come, move, rest, leave and
 * return, and after every step the SCIM app behind it holds what it should. What the client promises its users
 * (retries, pages, polling, OAuth) holds here as it does there.
 */
import { generateKeyPairSync } from "node:crypto";
import { Client, type LogEvent, type OktaApiError } from "@okta/okta-sdk-nodejs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createUsers } from "../../src/directory/users.ts";
import { must, profileOf } from "../support/world.ts";
import { type ScimApp, type SdkNode, startScimApp, startSdkNode, untilDone } from "./sdkStage.ts";

const timeout = 120_000;
const ada = "ada.adams@example.com";
const bob = "bob.brown@example.com";
const cyd = "cyd.clark@example.com";
/** What is left of who was deleted. */
const gone = { [cyd]: "off" } as const;
const group_name = "Engineering";

/** The words of a refusal, which the client throws. */
async function refusal(asked: Promise<unknown>): Promise<readonly [number, string]> {
  try {
    await asked;
  } catch (error) {
    const { status, errorCode } = error as OktaApiError;
    return [Number(status), `${errorCode}`];
  }
  throw new Error("it was not refused");
}

describe("a life told by Okta's client, with a real SCIM app behind it", { timeout }, () => {
  let node: SdkNode;
  let app: ScimApp;
  let okta: Client;
  const ids = { app: "", ada: "", bob: "", group: "", rule: "", push: "" };
  const seen: LogEvent[] = [];
  let polling: { unsubscribe(): void };
  const troubles: Error[] = [];
  let began: Date;

  beforeAll(async () => {
    [node, app] = await Promise.all([startSdkNode(), startScimApp()]);
    okta = node.client();
    began = new Date();
  }, timeout);
  afterAll(async () => {
    polling?.unsubscribe();
    await node?.stop();
    await app?.stop();
  });

  /** The app holds exactly these accounts, and its group these members; null: there is no group. */
  async function appHolds(accounts: Record<string, "on" | "off">, members: readonly string[] | null = null) {
    await untilDone(node);
    expect({ accounts: await app.accounts(), members: await app.members(group_name) }).toEqual({ accounts, members });
  }
  /** The same client's reading: it remembers answers, and must not remember a person of before. */
  const statusOf = async (userId: string) => (await okta.userApi.getUser({ userId })).status;

  test("an app is made, told where it is, and what it keeps in step", async () => {
    const made = await okta.applicationApi.createApplication({
      application: {
        ...{ name: "okta_org2org", label: "Chat", signOnMode: "AUTO_LOGIN" },
        settings: { app: { baseUrl: "https://chat.example" } },
      } as object as Parameters<typeof okta.applicationApi.createApplication>[0]["application"],
    });
    ids.app = made.id ?? "";
    const appId = ids.app;
    expect(made.status).toBe("ACTIVE");
    const connection = () => okta.applicationApi.getDefaultProvisioningConnectionForApplication({ appId });
    const connect = (token: string) =>
      okta.applicationApi.updateDefaultProvisioningConnectionForApplication({
        ...{ appId, activate: true },
        ProvisioningConnectionRequest: { baseUrl: app.url, profile: { authScheme: "TOKEN", token } },
      });
    expect((await connection()).status).toBe("DISABLED");
    expect(await refusal(connect("a wrong token"))).toEqual([400, "E0000001"]);
    expect((await connection()).status).toBe("DISABLED");
    expect(await connect(app.token)).toMatchObject({ status: "ENABLED", baseUrl: app.url });
    expect(await connection()).toMatchObject({ status: "ENABLED", authScheme: "TOKEN" });
    await okta.applicationApi.updateFeatureForApplication({
      ...{ appId, name: "USER_PROVISIONING" },
      CapabilitiesObject: {
        create: { lifecycleCreate: { status: "ENABLED" } },
        update: { lifecycleDeactivate: { status: "ENABLED" }, profile: { status: "ENABLED" } },
      },
    });
    const feature = await okta.applicationApi.getFeatureForApplication({ appId, name: "USER_PROVISIONING" });
    expect(feature).toMatchObject({
      status: "ENABLED",
      capabilities: { create: { lifecycleCreate: { status: "ENABLED" } } },
    });
    await appHolds({});
  });

  test("whoever follows the log from here on is shown what comes", async () => {
    // A Date, which the client sends in words of its own.
    const events = await okta.systemLogApi.listLogEvents({ since: began as unknown as string, limit: 7 });
    polling = events.subscribe({
      interval: 50,
      next: (event) => void seen.push(event),
      error: (error) => void troubles.push(error),
      complete: () => {},
    });
  });

  test("a person who is made, and not yet active, has no account; nor has an active one without the app", async () => {
    const { id = "" } = await okta.userApi.createUser({
      ...{ activate: false },
      body: { profile: { ...profileOf("Ada", "Adams"), department: "Research" } },
    });
    ids.ada = id;
    await okta.applicationApi.assignUserToApplication({ appId: ids.app, appUser: { id } });
    await appHolds({});
    expect(await statusOf(id)).toBe("STAGED");
    await okta.applicationApi.unassignUserFromApplication({ appId: ids.app, userId: id });
    await okta.userApi.activateUser({ userId: id, sendEmail: false });
    expect(await statusOf(id)).toBe("PROVISIONED");
    await appHolds({});
  });

  test("who is given the app has an account there, with their attributes", async () => {
    await okta.applicationApi.assignUserToApplication({ appId: ids.app, appUser: { id: ids.ada, scope: "USER" } });
    await appHolds({ [ada]: "on" });
    expect(await app.raw(ada)).toMatchObject({ name: { givenName: "Ada", familyName: "Adams" } });
    const account = await okta.applicationApi.getApplicationUser({ appId: ids.app, userId: ids.ada });
    expect(account).toMatchObject({ scope: "USER", externalId: (await app.raw(ada)).id });
  });

  test("a rule fills a group, the group gives the app, and is itself pushed there", async () => {
    const group = await okta.groupApi.createGroup({ group: { profile: { name: group_name } } });
    ids.group = group.id ?? "";
    await okta.applicationApi.assignGroupToApplication({ appId: ids.app, groupId: ids.group });
    const bobs = await okta.userApi.createUser({
      ...{ activate: true },
      body: { profile: { ...profileOf("Bob", "Brown"), department: "Eng" } },
    });
    ids.bob = bobs.id ?? "";
    await appHolds({ [ada]: "on" });
    const rule = await okta.groupApi.createGroupRule({
      groupRule: {
        ...{ type: "group_rule", name: "Engineers" },
        conditions: { expression: { type: "urn:okta:expression:1.0", value: 'user.department == "Eng"' } },
        actions: { assignUserToGroups: { groupIds: [ids.group] } },
      },
    });
    ids.rule = rule.id ?? "";
    await appHolds({ [ada]: "on" });
    await okta.groupApi.activateGroupRule({ ruleId: ids.rule });
    await appHolds({ [ada]: "on", [bob]: "on" });
    const push = await okta.groupPushMappingApi.createGroupPushMapping({
      appId: ids.app,
      body: { sourceGroupId: ids.group, targetGroupName: group_name, status: "ACTIVE" },
    });
    ids.push = push.id ?? "";
    await appHolds({ [ada]: "on", [bob]: "on" }, [bob]);
  });

  test("a move goes where the rule says, and the new values arrive", async () => {
    const person = await okta.userApi.getUser({ userId: ids.ada });
    // The whole person goes back, with everything that only the server may say, as scripts do it.
    await okta.userApi.updateUser({
      userId: ids.ada,
      user: { ...person, profile: { ...person.profile, department: "Eng", lastName: "Archer" } } as object,
    });
    await appHolds({ [ada]: "on", [bob]: "on" }, [ada, bob]);
    expect(await app.raw(ada)).toMatchObject({ name: { familyName: "Archer" } });
    expect((await okta.userApi.getUser({ userId: ids.ada })).profile?.lastName).toBe("Archer");
    await okta.userApi.updateUser({ userId: ids.bob, user: { profile: { department: "Sales" } } });
    await appHolds({ [ada]: "on", [bob]: "off" }, [ada]);
    await okta.userApi.updateUser({ userId: ids.bob, user: { profile: { department: "Eng" } } });
    await appHolds({ [ada]: "on", [bob]: "on" }, [ada, bob]);
  });

  test("who is suspended is switched off and out of the group, and comes back", async () => {
    const before = await app.raw(ada);
    await okta.userApi.suspendUser({ userId: ids.ada });
    expect(await statusOf(ids.ada)).toBe("SUSPENDED");
    await appHolds({ [ada]: "off", [bob]: "on" }, [bob]);
    await okta.userApi.unsuspendUser({ userId: ids.ada });
    expect(await statusOf(ids.ada)).toBe("PROVISIONED");
    await appHolds({ [ada]: "on", [bob]: "on" }, [ada, bob]);
    expect((await app.raw(ada)).id).toBe(before.id);
  });

  test("who leaves is switched off; who returns has the account of before", async () => {
    const before = await app.raw(bob);
    await okta.userApi.deactivateUser({ userId: ids.bob });
    expect(await statusOf(ids.bob)).toBe("DEPROVISIONED");
    await appHolds({ [ada]: "on", [bob]: "off" }, [ada]);
    expect(await refusal(okta.userApi.suspendUser({ userId: ids.bob }))).toEqual([400, "E0000001"]);
    await okta.userApi.activateUser({ userId: ids.bob, sendEmail: false });
    expect(await statusOf(ids.bob)).toBe("PROVISIONED");
    await okta.userApi.reactivateUser({ userId: ids.bob, sendEmail: false });
    await appHolds({ [ada]: "on", [bob]: "on" }, [ada, bob]);
    expect((await app.raw(bob)).id).toBe(before.id);
  });

  test("who is deleted leaves an account that is off, and is known no more", async () => {
    const { id: userId = "" } = await okta.userApi.createUser({
      body: { profile: { login: cyd, email: cyd, firstName: "Cyd", lastName: "Clark" } },
    });
    await okta.applicationApi.assignUserToApplication({ appId: ids.app, appUser: { id: userId } });
    await appHolds({ [ada]: "on", [bob]: "on", [cyd]: "on" }, [ada, bob]);
    // In one breath, as scripts do it: the second waits until the account is off.
    await okta.userApi.deactivateUser({ userId });
    await okta.userApi.deleteUser({ userId });
    expect(await refusal(okta.userApi.getUser({ userId }))).toEqual([404, "E0000007"]);
    await appHolds({ ...gone, [ada]: "on", [bob]: "on" }, [ada, bob]);
    await okta.userApi.deleteUser({ userId: ids.bob });
    expect(await statusOf(ids.bob)).toBe("DEPROVISIONED");
    await appHolds({ ...gone, [ada]: "on", [bob]: "off" }, [ada]);
    await okta.userApi.deleteUser({ userId: ids.bob });
    expect(await refusal(okta.userApi.getUser({ userId: ids.bob }))).toEqual([404, "E0000007"]);
    await appHolds({ ...gone, [ada]: "on", [bob]: "off" }, [ada]);
  });

  test("a push that ends takes its group away; an app that ends is called no more", async () => {
    const { app: appId, push: mappingId } = ids;
    await okta.groupPushMappingApi.updateGroupPushMapping({ appId, mappingId, body: { status: "INACTIVE" } });
    await appHolds({ ...gone, [ada]: "on", [bob]: "off" }, [ada]);
    await okta.groupPushMappingApi.deleteGroupPushMapping({ appId, mappingId, deleteTargetGroup: true });
    await appHolds({ ...gone, [ada]: "on", [bob]: "off" });
    await okta.groupApi.deactivateGroupRule({ ruleId: ids.rule });
    await okta.groupApi.unassignUserFromGroup({ groupId: ids.group, userId: ids.ada });
    await appHolds({ ...gone, [ada]: "on", [bob]: "off" });
    await okta.applicationApi.unassignUserFromApplication({ appId, userId: ids.ada });
    await appHolds({ ...gone, [ada]: "off", [bob]: "off" });
    expect(await refusal(okta.applicationApi.deleteApplication({ appId }))).toEqual([403, "E0000056"]);
    await okta.applicationApi.deactivateApplication({ appId });
    expect((await okta.applicationApi.getApplication({ appId })).status).toBe("INACTIVE");
    await okta.applicationApi.deleteApplication({ appId });
    expect(await refusal(okta.applicationApi.getApplication({ appId }))).toEqual([404, "E0000007"]);
    await appHolds({ ...gone, [ada]: "off", [bob]: "off" });
  });

  test("the poller saw every event once, and the bounded log has the same", async () => {
    const whole: string[] = [];
    const until = new Date();
    const log = await okta.systemLogApi.listLogEvents({
      ...{ since: `${began}`, until: until.toISOString(), sortOrder: "ASCENDING", limit: 9 },
    });
    await log.each((event) => void whole.push(event.uuid ?? ""));
    const uuids = () => seen.filter(({ published }) => new Date(published ?? 0) < until).map(({ uuid }) => uuid ?? "");
    await expect.poll(() => uuids().length, { timeout: 10_000 }).toBeGreaterThanOrEqual(whole.length);
    expect([...uuids()].sort()).toEqual([...whole].sort());
    expect(new Set(whole).size).toBe(whole.length);
    expect(troubles).toEqual([]);
    const types = new Set(seen.map(({ eventType }) => eventType));
    for (const type of ["create", "activate", "suspend", "unsuspend", "deactivate", "delete.completed"]) {
      expect(types).toContain(`user.lifecycle.${type}`);
    }
  });
});

describe("a directory of more than a thousand people", { timeout }, () => {
  const count = 1_050;
  let node: SdkNode;
  let okta: Client;
  let before: number;
  beforeAll(async () => {
    node = await startSdkNode({ engine: false });
    okta = node.client();
    before = 0;
    await (await okta.userApi.listUsers()).each(() => void before++);
    const inputs = Array.from({ length: count }, (_, n) => ({ profile: profileOf(`P${n}`, "Many") }));
    await must(createUsers(node.command, inputs));
  }, timeout);
  afterAll(() => node?.stop());

  test.each([["each"], ["next"]] as const)("is read page by page, everybody once, by %s", async (how) => {
    const ids: string[] = [];
    const people = await okta.userApi.listUsers({ limit: 200 });
    if (how === "each") await people.each(({ id = "" }) => void ids.push(id));
    else {
      for (let one = await people.next(); one.value !== null; one = await people.next()) ids.push(one.value.id ?? "");
      expect(await people.next()).toEqual({ done: true, value: null });
    }
    expect([ids.length, new Set(ids).size]).toEqual([before + count, before + count]);
  });

  test("is read whole too where a page is exactly the last, and with a search", async () => {
    const ids: string[] = [];
    const people = await okta.userApi.listUsers({ search: 'profile.lastName eq "Many"', limit: count / 10 });
    await people.each(({ id = "" }) => void ids.push(id));
    expect([ids.length, new Set(ids).size]).toEqual([count, count]);
  });

  test("is read with a private key by whom it was granted to, and nothing else is", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
    const jwk = { ...publicKey.export({ format: "jwk" }), kid: "k1", use: "sig", alg: "RS256" };
    const made = await okta.applicationApi.createApplication({
      application: {
        ...{ name: "oidc_client", label: "Reader", signOnMode: "OPENID_CONNECT" },
        credentials: { oauthClient: { token_endpoint_auth_method: "private_key_jwt" } },
        settings: {
          oauthClient: {
            ...{ application_type: "service", grant_types: ["client_credentials"], response_types: ["token"] },
            jwks: { keys: [jwk] },
          },
        },
      } as object as Parameters<typeof okta.applicationApi.createApplication>[0]["application"],
    });
    const appId = made.id ?? "";
    await okta.applicationApi.grantConsentToScope({
      ...{ appId, oAuth2ScopeConsentGrant: { scopeId: "okta.users.read", issuer: node.url } },
    });
    const key = { ...privateKey.export({ format: "jwk" }), kid: "k1" };
    const clientOf = (scopes: string[]) =>
      new Client({
        ...{ orgUrl: node.url, authorizationMode: "PrivateKey", clientId: appId, scopes: scopes.join(" ") },
        privateKey: JSON.stringify(key),
      } as object);
    const reader = clientOf(["okta.users.read"]);
    let people = 0;
    await (await reader.userApi.listUsers({ limit: 200 })).each(() => void people++);
    expect(people).toBe(before + count);
    const body = { profile: { login: "no@example.com", email: "no@example.com", firstName: "N", lastName: "O" } };
    expect(await refusal(reader.userApi.createUser({ body }))).toEqual([403, "E0000006"]);
    const groups = await reader.groupApi.listGroups();
    expect(await refusal(groups.next())).toEqual([403, "E0000006"]);
    // The client does not look at the token endpoint's refusal of a scope that was not granted, and comes without a token.
    const other = await clientOf(["okta.groups.read"]).groupApi.listGroups();
    expect(await refusal(other.next())).toEqual([401, "E0000011"]);
  });
});

test("a client that is told to wait waits as long as it is told, and has its answer", { timeout }, async () => {
  const node = await startSdkNode({ engine: false, rate_limit: 60 });
  try {
    const okta = node.client();
    const answers = { waits: [] as number[], statuses: [] as number[] };
    (okta as object as { requestExecutor: NodeJS.EventEmitter }).requestExecutor.on(
      "backoff",
      (_request: unknown, response: { status: number }, _id: string, wait_ms: number) => {
        answers.statuses.push(response.status);
        answers.waits.push(wait_ms);
      },
    );
    for (let n = 0; n < 70 && answers.waits.length === 0; n++) {
      expect((await (await okta.groupApi.listGroups()).next()).value?.profile?.name).toBe("Everyone");
    }
    // Once was enough: the time that it was told was right.
    expect(answers.statuses).toEqual([429]);
    expect(Math.max(...answers.waits)).toBeLessThanOrEqual(10_000);
  } finally {
    await node.stop();
  }
});
