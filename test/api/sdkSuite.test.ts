/**
 * What the integration suite of Okta's own client for Node asserts (okta-api 2.2, 2.3), told again through that client, where
 * the story of sdk.test.ts does not come by.
 */
import type { Client } from "@okta/okta-sdk-nodejs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listed, newPerson, refusal, type SdkNode, startSdkNode, untilDone } from "./sdkStage.ts";

const timeout = 120_000;
let node: SdkNode;
let okta: Client;

beforeAll(async () => {
  node = await startSdkNode();
  okta = node.client();
}, timeout);
afterAll(() => node?.stop());

const person = (more: Record<string, unknown> = {}, activate = true) => newPerson(okta, more, activate);
const statusOf = async (id: string) => (await node.client().userApi.getUser({ userId: id })).status;
const found = async (search: string) => (await listed(okta.userApi.listUsers({ search }))).map(({ id }) => id);

describe("people", { timeout }, () => {
  test("one who was not activated is found by id and login, and is no more after the second delete", async () => {
    const { id, login } = await person({}, false);
    expect(await statusOf(id)).toBe("STAGED");
    expect((await okta.userApi.getUser({ userId: login })).id).toBe(id);
    await okta.userApi.deactivateUser({ userId: id });
    await okta.userApi.deleteUser({ userId: id });
    expect((await refusal(node.client().userApi.getUser({ userId: id }))).slice(0, 2)).toEqual([404, "E0000007"]);
  });

  test("every turn of a life is seen through filter and search", async () => {
    const { id, login } = await person({}, false);
    await okta.userApi.activateUser({ userId: id, sendEmail: false });
    expect(await statusOf(id)).toBe("ACTIVE");
    expect(await found(`profile.login eq "${login}"`)).toEqual([id]);
    await okta.userApi.suspendUser({ userId: id });
    const suspended = await listed(okta.userApi.listUsers({ filter: 'status eq "SUSPENDED"' }));
    expect(suspended.map((one) => one.id)).toEqual([id]);
    await okta.userApi.unsuspendUser({ userId: id });
    expect(await listed(okta.userApi.listUsers({ filter: 'status eq "SUSPENDED"' }))).toEqual([]);
    const expired = await okta.userApi.expirePassword({ userId: id });
    expect([expired.id, expired.status]).toEqual([id, "PASSWORD_EXPIRED"]);
    expect((await refusal(okta.userApi.unlockUser({ userId: id }))).slice(0, 2)).toEqual([403, "E0000032"]);
    await okta.userApi.resetFactors({ userId: id });
    await okta.userApi.revokeUserSessions({ userId: id });
  });

  test("a list in pages of two ends with its last page, and capitals join conditions", async () => {
    for (const n of [1, 2, 3]) await person({ lastName: "Paged", nickName: `page${n}` });
    for (const query of [
      { search: 'status eq "ACTIVE" AND profile.lastName eq "Paged"' },
      { filter: 'status eq "ACTIVE" AND profile.lastName eq "Paged"' },
    ]) {
      const people = await okta.userApi.listUsers({ ...query, limit: 2 });
      const pages: number[] = [];
      for (let page = await people.getNextPage(); page.length > 0; page = await people.getNextPage()) {
        pages.push(page.length);
        if (pages.length > 5) break;
        if (!(people as unknown as { nextUri?: string }).nextUri) break;
      }
      expect([query, pages]).toEqual([query, [2, 1]]);
    }
    expect((await found('profile.nickName eq "page2"')).length).toBe(1);
  });

  test("q looks at the beginning of names and leaves out who has left", async () => {
    const [stays, leaves] = [await person({ firstName: "Quentin" }), await person({ firstName: "Quentina" })];
    await okta.userApi.deactivateUser({ userId: leaves.id });
    expect((await listed(okta.userApi.listUsers({ q: "quent" }))).map(({ id }) => id)).toEqual([stays.id]);
  });

  test("an update may hold the whole person as it was read, links and all", async () => {
    const { id } = await person();
    const user = await node.client().userApi.getUser({ userId: id });
    user.profile!.nickName = "Whole";
    const updated = await okta.userApi.updateUser({ userId: id, user });
    expect(updated.profile?.nickName).toBe("Whole");
    expect(new Date(updated.lastUpdated ?? 0).getTime()).toBeGreaterThan(new Date(user.lastUpdated ?? 0).getTime());
  });

  test("passwords, questions and links for a new password are what the client expects", async () => {
    const { id, user } = await person();
    const changed = await okta.userApi.changePassword({
      userId: id,
      changePasswordRequest: { oldPassword: { value: "Abcd1234!suite" }, newPassword: { value: "Efgh5678!suite" } },
    });
    expect(changed.provider).toMatchObject({ type: "OKTA" });
    const after = await node.client().userApi.getUser({ userId: id });
    expect(new Date(after.passwordChanged ?? 0).getTime()).toBeGreaterThan(
      new Date(user.passwordChanged ?? 0).getTime(),
    );
    const question = await okta.userApi.changeRecoveryQuestion({
      userId: id,
      userCredentials: {
        password: { value: "Efgh5678!suite" },
        recovery_question: { question: "What is the answer?", answer: "forty-two" },
      },
    });
    expect(question.recovery_question).toEqual({ question: "What is the answer?" });
    // The client takes the answer for a person, and drops the password that is in it.
    await okta.userApi.expirePasswordAndGetTemporaryPassword({ userId: id });
    expect(await statusOf(id)).toBe("PASSWORD_EXPIRED");
    const link = await okta.userApi.generateResetPasswordToken({ userId: id, sendEmail: false });
    expect(link.resetPasswordUrl).toContain("http");
  });

  test("what nobody has is an empty list", async () => {
    const { id: userId } = await person();
    expect(await listed(okta.userApi.listUserClients({ userId }))).toEqual([]);
    expect(await listed(okta.userApi.listUserGrants({ userId }))).toEqual([]);
    expect(await listed(okta.userApi.listAppLinks({ userId }))).toEqual([]);
  });

  test("who is read after a turn is not read from the client's memory", async () => {
    const { id } = await person();
    const first = await okta.userApi.getUser({ userId: id });
    await okta.userApi.suspendUser({ userId: id });
    const again = await okta.userApi.getUser({ userId: id });
    expect([first.status, again.status]).toEqual(["ACTIVE", "SUSPENDED"]);
  });

  test("one is linked to another by either name of the link", async () => {
    const definition = {
      primary: { name: "suiteBoss", title: "Boss", description: "Boss", type: "USER" as const },
      associated: { name: "suiteReport", title: "Report", description: "Report", type: "USER" as const },
    };
    await okta.linkedObjectApi.createLinkedObjectDefinition({ linkedObject: definition });
    expect(
      (await okta.linkedObjectApi.getLinkedObjectDefinition({ linkedObjectName: "suiteReport" })).primary?.name,
    ).toBe("suiteBoss");
    const [boss, report] = [await person(), await person()];
    const link = { associatedUserId: report.id, primaryRelationshipName: "suiteBoss", primaryUserId: boss.id };
    await okta.userApi.setLinkedObjectForUser(link);
    const ends = async (userId: string, relationshipName: string) =>
      (await listed(okta.userApi.listLinkedObjectsForUser({ userId, relationshipName }))).map((one) =>
        (one as { _links?: { self?: { href?: string } } })._links?.self?.href?.split("/").at(-1),
      );
    expect(await ends(report.id, "suiteBoss")).toEqual([boss.id]);
    expect(await ends(boss.id, "suiteReport")).toEqual([report.id]);
    await okta.userApi.deleteLinkedObjectForUser({ userId: report.id, relationshipName: "suiteBoss" });
    expect(await ends(report.id, "suiteBoss")).toEqual([]);
    await okta.linkedObjectApi.deleteLinkedObjectDefinition({ linkedObjectName: "suiteBoss" });
    expect((await refusal(okta.linkedObjectApi.getLinkedObjectDefinition({ linkedObjectName: "suiteBoss" })))[0]).toBe(
      404,
    );
  });
});

type AppInput = Parameters<Client["applicationApi"]["createApplication"]>[0]["application"];

describe("schemas and types", { timeout }, () => {
  test("a type of people comes with a schema of its own, is changed in part or whole, and goes", async () => {
    const type = await okta.userTypeApi.createUserType({
      userType: { name: "suiteType", displayName: "Suite", description: "One" },
    });
    const typeId = type.id ?? "";
    const links = type._links as { schema?: { href?: string } } | undefined;
    const schemaId = links?.schema?.href?.split("/").at(-1) ?? "";
    expect((await okta.schemaApi.getUserSchema({ schemaId })).name).toBe("suiteType");
    const part = await okta.userTypeApi.updateUserType({ typeId, userType: { description: "Two" } });
    expect([part.displayName, part.description]).toEqual(["Suite", "Two"]);
    expect((await listed(okta.userTypeApi.listUserTypes())).map(({ name }) => name)).toContain("suiteType");
    await okta.userTypeApi.deleteUserType({ typeId });
    expect((await refusal(node.client().userTypeApi.getUserType({ typeId })))[0]).toBe(404);
  });

  test("an attribute is added, renamed and taken away by null, for people and for an app's accounts", async () => {
    const define = (property: object | null) => ({
      definitions: { custom: { id: "#custom", type: "object", properties: { suiteAttribute: property } } },
    });
    const users = (property: object | null) =>
      okta.schemaApi.updateUserProfile({ schemaId: "default", userSchema: define(property) as never });
    const one = {
      title: "One",
      type: "string",
      maxLength: 20,
      permissions: [{ principal: "SELF", action: "READ_WRITE" }],
    };
    const added = await users(one);
    expect(added.definitions?.custom?.properties?.["suiteAttribute"]).toMatchObject(one);
    expect((await users({ ...one, title: "Two" })).definitions?.custom?.properties?.["suiteAttribute"]).toMatchObject({
      title: "Two",
    });
    expect(Object.keys((await users(null)).definitions?.custom?.properties ?? {})).not.toContain("suiteAttribute");
    const app = await okta.applicationApi.createApplication({
      application: {
        label: "Schema app",
        name: "bookmark",
        signOnMode: "BOOKMARK",
        settings: { app: { url: "https://a.example" } },
      } as AppInput,
    });
    const appInstanceId = app.id ?? "";
    await okta.schemaApi.updateApplicationUserProfile({ appInstanceId, body: define(one) as never });
    const schema = await node.client().schemaApi.getApplicationUserSchema({ appInstanceId });
    expect(JSON.stringify(schema.definitions)).toContain("suiteAttribute");
    expect(schema.properties?.profile?.allOf?.map((part) => (part as { ref?: string }).ref)).toContain(
      "#/definitions/base",
    );
  });
});

describe("groups", { timeout }, () => {
  test("are made, found by the beginning of their names, paged, owned, and are no more after they are deleted", async () => {
    const groups = await Promise.all(
      ["Suite A", "Suite B", "Suite C"].map((name) => okta.groupApi.createGroup({ group: { profile: { name } } })),
    );
    const names = async (query: object) =>
      (await listed(okta.groupApi.listGroups(query))).map(
        ({ profile }) => (profile as { name?: string } | undefined)?.name,
      );
    expect(await names({ q: "suite b" })).toEqual(["Suite B"]);
    expect((await names({ search: 'profile.name sw "Suite"', limit: 2 })).sort()).toEqual([
      "Suite A",
      "Suite B",
      "Suite C",
    ]);
    const groupId = groups[0]?.id ?? "";
    const { id: userId } = await person();
    const owner = await okta.groupApi.assignGroupOwner({ groupId, GroupOwner: { id: userId, type: "USER" } });
    expect([owner.id, owner.type]).toEqual([userId, "USER"]);
    expect((await listed(okta.groupApi.listGroupOwners({ groupId }))).map(({ id }) => id)).toEqual([userId]);
    await okta.groupApi.deleteGroupOwner({ groupId, ownerId: userId });
    await okta.groupApi.assignUserToGroup({ groupId, userId });
    expect((await listed(okta.groupApi.listGroupUsers({ groupId }))).map(({ id }) => id)).toEqual([userId]);
    await okta.groupApi.unassignUserFromGroup({ groupId, userId });
    expect(await listed(okta.groupApi.listGroupUsers({ groupId }))).toEqual([]);
    for (const { id = "" } of groups) await okta.groupApi.deleteGroup({ groupId: id });
    expect((await refusal(node.client().groupApi.getGroup({ groupId })))[0]).toBe(404);
  });

  test("a rule is found by a word of its name, and one that was changed while it rested takes away who no longer fits", async () => {
    const group = await okta.groupApi.createGroup({ group: { profile: { name: "Suite ruled" } } });
    const groupId = group.id ?? "";
    const { id } = await person({ lastName: "Ruled" });
    const expression = (value: string) => ({
      expression: { value, type: "urn:okta:expression:1.0" },
      people: { users: { exclude: [] }, groups: { exclude: [] } },
    });
    const made = await okta.groupApi.createGroupRule({
      groupRule: {
        type: "group_rule",
        name: "Suite rule of names",
        conditions: expression('user.lastName=="Ruled"'),
        actions: { assignUserToGroups: { groupIds: [groupId] } },
      },
    });
    const ruleId = made.id ?? "";
    expect(made.status).toBe("INACTIVE");
    await okta.groupApi.activateGroupRule({ ruleId });
    await untilDone(node);
    const members = async () => (await listed(okta.groupApi.listGroupUsers({ groupId }))).map((one) => one.id);
    expect(await members()).toEqual([id]);
    expect((await listed(okta.groupApi.listGroupRules({ search: "rule of", limit: 1 }))).map((one) => one.id)).toEqual([
      ruleId,
    ]);
    await okta.groupApi.deactivateGroupRule({ ruleId });
    expect(await members()).toEqual([id]);
    const rule = await node.client().groupApi.getGroupRule({ ruleId });
    rule.conditions = expression('user.lastName=="nobody"');
    await okta.groupApi.replaceGroupRule({ ruleId, groupRule: rule });
    await okta.groupApi.activateGroupRule({ ruleId });
    await untilDone(node);
    expect(await members()).toEqual([]);
    await okta.groupApi.deleteGroupRule({ ruleId });
  });
});
