/** Administrators over the API: roles of people and groups, what they are narrowed to, custom roles, and what tokens of such people may do. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createToken } from "../../src/directory/tokens.ts";
import { type Database, isRefusal } from "../../src/store/database.ts";
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

async function create(path: string, body: unknown, status = 200): Promise<{ id: string; label: string }> {
  const answer = await api.call("POST", path, body);
  expect([path, answer.status, answer.body?.errorCauses]).toEqual([path, status, undefined]);
  return answer.body;
}
const person = (name: string, ...groupIds: string[]) =>
  create("/api/v1/users?activate=true", {
    profile: { login: `${name}@x.co`, email: `${name}@x.co`, firstName: name, lastName: "L" },
    credentials: { password: { value: "Xk29-vbQ.44-ulnm" } },
    groupIds,
  });
const group = (name: string) => create("/api/v1/groups", { profile: { name } });
const app = (label: string) =>
  create("/api/v1/apps", { label, name: "bookmark", settings: { app: { url: "https://example.com" } } });
async function tokenOf(user: { id: string }): Promise<string> {
  const made = await createToken({ db, now: () => new Date(), actor: system }, { name: "theirs", user_id: user.id });
  if (isRefusal(made)) throw new Error(made.refused);
  return made.text;
}
const suspend = async (user: { id: string }, token: string) =>
  (await api.call("POST", `/api/v1/users/${user.id}/lifecycle/expire_password`, undefined, token)).status;

describe("roles of people and groups", () => {
  test("are given once, listed, narrowed, widened and taken away", async () => {
    const [ann, sales, board] = [await person("ann"), await group("Sales"), await group("Board")];
    const roles = `/api/v1/users/${ann.id}/roles`;
    const given = await create(roles, { type: "HELP_DESK_ADMIN" }, 201);
    expect(given).toMatchObject({ id: "JBCUYUC7IRCVGS27IFCE2SKO", label: "Help Desk Administrator" });
    expect((await create(roles, { type: "HELP_DESK_ADMIN" }, 201)).id).toBe(given.id);
    expect((await api.call("GET", roles)).body).toHaveLength(1);
    const targets = `${roles}/${given.id}/targets/groups`;
    expect((await api.call("PUT", `${targets}/${sales.id}`)).status).toBe(204);
    expect((await api.call("PUT", `${targets}/${board.id}`)).status).toBe(204);
    expect((await api.call("PUT", `${targets}/${board.id}`)).status).toBe(204);
    const first = await api.call("GET", `${targets}?limit=1`);
    const second = await api.call("GET", first.next ?? "");
    expect([...first.body, ...second.body].map(({ id }) => id)).toEqual([sales.id, board.id]);
    expect(second.next).toBeUndefined();
    expect((await api.call("DELETE", `${targets}/${board.id}`)).status).toBe(204);
    const last = await api.call("DELETE", `${targets}/${sales.id}`);
    expect([last.status, last.body.errorCode]).toEqual([400, "E0000001"]);
    expect((await api.call("DELETE", `${roles}/${given.id}`)).status).toBe(204);
    const again = await api.call("DELETE", `${roles}/${given.id}`);
    expect(again.body.errorSummary).toBe(`Not found: Resource not found: ${given.id} (RoleAssignment)`);
    const types = (await api.call("GET", '/api/v1/logs?filter=eventType+sw+"user.account.privilege"')).body;
    expect(types.length).toBe(5);
  });

  test("an app administrator is narrowed to apps, by one or by name", async () => {
    const [ann, wiki] = [await person("ann"), await app("Wiki")];
    const { id } = await create(`/api/v1/users/${ann.id}/roles`, { type: "APP_ADMIN" }, 201);
    const targets = `/api/v1/users/${ann.id}/roles/${id}/targets/catalog/apps`;
    expect((await api.call("PUT", `${targets}/bookmark/${wiki.id}`)).status).toBe(204);
    expect((await api.call("PUT", `${targets}/oidc_client`)).status).toBe(204);
    expect((await api.call("PUT", `${targets}/bookmark/0oa00000000000nobody`)).status).toBe(404);
    const listed = (await api.call("GET", targets)).body as { id?: string; name: string }[];
    expect(listed.map(({ id: one, name }) => [one, name])).toEqual([
      [undefined, "oidc_client"],
      [wiki.id, "Wiki"],
    ]);
    expect(listed[0]).toMatchObject({ features: ["DEFAULT_PUSH_STATUS_TO_PUSH"], category: "OAUTH2" });
    const wrong = await api.call("PUT", `/api/v1/users/${ann.id}/roles/${id}/targets/groups/${(await group("G")).id}`);
    expect(wrong.status).toBe(400);
  });

  test.each([
    ["an unknown role", { type: "KING" }],
    ["a custom role without its resource set", { type: "CUSTOM", role: "cr000000000000000001" }],
    ["nothing", {}],
  ])("%s is refused", async (_what, body) => {
    const ann = await person("ann");
    expect((await api.call("POST", `/api/v1/users/${ann.id}/roles`, body)).status).toBe(400);
  });

  test("Everyone has no role, and the last super administrator stays one", async () => {
    const everyone = (await api.call("GET", "/api/v1/groups?q=Everyone")).body[0];
    expect((await api.call("POST", `/api/v1/groups/${everyone.id}/roles`, { type: "ORG_ADMIN" })).status).toBe(403);
    const [ann, bob] = [await person("ann"), await person("bob")];
    const first = await create(`/api/v1/users/${ann.id}/roles`, { type: "SUPER_ADMIN" }, 201);
    expect((await api.call("DELETE", `/api/v1/users/${ann.id}/roles/${first.id}`)).status).toBe(403);
    await create(`/api/v1/users/${bob.id}/roles`, { type: "SUPER_ADMIN" }, 201);
    // Who is suspended lets nobody in.
    expect((await api.call("POST", `/api/v1/users/${bob.id}/lifecycle/suspend`)).status).toBe(200);
    expect((await api.call("DELETE", `/api/v1/users/${ann.id}/roles/${first.id}`)).status).toBe(403);
    expect((await api.call("POST", `/api/v1/users/${bob.id}/lifecycle/unsuspend`)).status).toBe(200);
    expect((await api.call("DELETE", `/api/v1/users/${ann.id}/roles/${first.id}`)).status).toBe(204);
    const assignees = (await api.call("GET", "/api/v1/iam/assignees/users")).body.value;
    expect(assignees.map(({ id }: { id: string }) => id)).toEqual([bob.id]);
  });
});

describe("a token of a person does what that person may", () => {
  test("the help desk of a group helps its members, and not others, nor administrators", async () => {
    const [sales, board] = [await group("Sales"), await group("Board")];
    const [helper, member, other, chief] = [
      ...[await person("helper"), await person("member", sales.id), await person("other", board.id)],
      await person("chief", sales.id),
    ];
    await create(`/api/v1/users/${chief?.id}/roles`, { type: "READ_ONLY_ADMIN" }, 201);
    const { id } = await create(`/api/v1/users/${helper?.id}/roles`, { type: "HELP_DESK_ADMIN" }, 201);
    await api.call("PUT", `/api/v1/users/${helper?.id}/roles/${id}/targets/groups/${sales.id}`);
    const token = await tokenOf(helper as { id: string });
    expect(await suspend(member as { id: string }, token)).toBe(200);
    expect(await suspend(other as { id: string }, token)).toBe(403);
    expect(await suspend(chief as { id: string }, token)).toBe(403);
    // The group goes, and with it the only target: the role holds for nothing, not for everything.
    await api.call("DELETE", `/api/v1/groups/${sales.id}`);
    expect(await suspend(other as { id: string }, token)).toBe(403);
  });

  test("a role of a group is its members', from the next request on and until they leave", async () => {
    const desk = await group("Desk");
    const [helper, other] = [await person("helper"), await person("other")];
    await create(`/api/v1/groups/${desk.id}/roles`, { type: "HELP_DESK_ADMIN" }, 201);
    const token = await tokenOf(helper);
    expect(await suspend(other, token)).toBe(403);
    await api.call("PUT", `/api/v1/groups/${desk.id}/users/${helper.id}`);
    expect(await suspend(other, token)).toBe(200);
    const shown = (await api.call("GET", `/api/v1/users/${helper.id}/roles`)).body;
    expect(shown).toMatchObject([{ type: "HELP_DESK_ADMIN", assignmentType: "GROUP" }]);
    expect((await api.call("DELETE", `/api/v1/users/${helper.id}/roles/${shown[0].id}`)).status).toBe(400);
    await api.call("DELETE", `/api/v1/groups/${desk.id}/users/${helper.id}`);
    expect(await suspend(other, token)).toBe(403);
  });

  test("nobody below a super administrator puts anyone into a group that has a role, by whatever way", async () => {
    const [admins, org] = [await group("Admins"), await api.tokenOf("ORG_ADMIN")];
    const ann = await person("ann");
    await create(`/api/v1/groups/${admins.id}/roles`, { type: "SUPER_ADMIN" }, 201);
    const rule = {
      ...{ type: "group_rule", name: "up", conditions: { expression: { value: "true", type: "x" } } },
      actions: { assignUserToGroups: { groupIds: [admins.id] } },
    };
    const profile = { login: "new@x.co", email: "new@x.co", firstName: "N", lastName: "L" };
    const ways = [
      ["PUT", `/api/v1/groups/${admins.id}/users/${ann.id}`, undefined],
      ["POST", "/api/v1/users", { profile, groupIds: [admins.id] }],
      ["POST", "/api/v1/groups/rules", rule],
      ["POST", "/admin/v1/memberships", { group_id: admins.id, users: [ann.id] }],
      ["POST", `/api/v1/groups/${admins.id}/roles`, { type: "ORG_ADMIN" }],
      ["DELETE", `/api/v1/groups/${admins.id}`, undefined],
    ] as const;
    for (const [method, path, body] of ways) {
      const answer = await api.call(method, path, body, org);
      expect([path, answer.status, answer.body.errorCode]).toEqual([path, 403, "E0000006"]);
    }
  });

  test("a narrowed group administrator creates people in their group only", async () => {
    const [sales, board, ann] = [await group("Sales"), await group("Board"), await person("ann")];
    const { id } = await create(`/api/v1/users/${ann.id}/roles`, { type: "USER_ADMIN" }, 201);
    await api.call("PUT", `/api/v1/users/${ann.id}/roles/${id}/targets/groups/${sales.id}`);
    const token = await tokenOf(ann);
    const hire = async (n: number, groupIds: string[]) => {
      const profile = { login: `n${n}@x.co`, email: `n${n}@x.co`, firstName: "N", lastName: "L" };
      return (await api.call("POST", "/api/v1/users", { profile, groupIds }, token)).status;
    };
    expect([await hire(1, [sales.id]), await hire(2, [board.id]), await hire(3, [])]).toEqual([200, 403, 403]);
    expect((await api.call("GET", "/api/v1/users/me", undefined, token)).body.id).toBe(ann.id);
  });
});

describe("custom roles", () => {
  test("hold over a resource set for whom a binding names, and are found by label", async () => {
    const [sales, ann, bob] = [await group("Sales"), await person("ann"), await person("bob")];
    const member = await person("member", sales.id);
    const role = await create("/api/v1/iam/roles", {
      ...{ label: "Pauser", description: "d", permissions: ["okta.users.lifecycle.suspend"] },
    });
    const taken = await api.call("POST", "/api/v1/iam/roles", {
      label: "pauser",
      description: "",
      permissions: ["okta.users.read"],
    });
    expect([taken.status, taken.body.errorSummary]).toEqual([400, "Api validation failed: label"]);
    const set = await create("/api/v1/iam/resource-sets", {
      ...{
        label: "Sales people",
        description: "d",
        resources: [`https://acme.okta.com/api/v1/groups/${sales.id}/users`],
      },
    });
    const bindings = `/api/v1/iam/resource-sets/${set.id}/bindings`;
    await create(bindings, { role: "Pauser", members: [`http://tenure.test/api/v1/users/${ann.id}`] });
    const token = await tokenOf(ann);
    const pause = async (user: { id: string }) =>
      (await api.call("POST", `/api/v1/users/${user.id}/lifecycle/suspend`, undefined, token)).status;
    expect([await pause(member), await pause(bob)]).toEqual([200, 403]);
    expect(await suspend(member, token)).toBe(403);
    const shown = (await api.call("GET", `/api/v1/users/${ann.id}/roles`)).body[0];
    expect(shown).toMatchObject({ type: "CUSTOM", role: role.id, "resource-set": set.id, label: "Pauser" });
    expect((await api.call("DELETE", `/api/v1/iam/roles/${role.id}`)).status).toBe(400);
    expect((await api.call("DELETE", `/api/v1/iam/resource-sets/${set.id}`)).status).toBe(400);
    const [one] = (await api.call("GET", `${bindings}/${role.id}/members`)).body.members;
    expect((await api.call("DELETE", `${bindings}/${role.id}/members/${one.id}`)).status).toBe(204);
    expect(await pause(bob)).toBe(403);
    expect((await api.call("GET", bindings)).body.roles).toEqual([]);
    expect((await api.call("DELETE", `/api/v1/iam/roles/Pauser`)).status).toBe(204);
  });

  test("over whoever has a login now open nothing of whoever had it before, deleted people included", async () => {
    const [sales, ann, bob] = [await group("Sales"), await person("ann"), await person("bob")];
    const later = () => new Promise((resolve) => setTimeout(resolve, 5));
    await later();
    const then = new Date().toISOString();
    await later();
    await api.call("POST", `/api/v1/users/${bob.id}`, { profile: { login: "robert@x.co" } });
    const next = await person("bob", sales.id);
    await create("/api/v1/iam/roles", { label: "Reader", description: "d", permissions: ["okta.users.read"] });
    const resources = [`https://acme.okta.com/api/v1/groups/${sales.id}/users`];
    const set = await create("/api/v1/iam/resource-sets", { label: "Sales people", description: "d", resources });
    const member = `http://tenure.test/api/v1/users/${ann.id}`;
    await create(`/api/v1/iam/resource-sets/${set.id}/bindings`, { role: "Reader", members: [member] });
    const token = await tokenOf(ann);
    const who = async (at: string, asked?: string) => {
      const { status, body } = await api.call("GET", `/admin/v1/past/users/bob@x.co?at=${at}`, undefined, asked);
      return status === 200 ? body.user.id : status;
    };
    await later();
    const now = new Date().toISOString();
    expect([await who(then), await who(now), await who(then, token), await who(now, token)]).toEqual([
      ...[bob.id, next.id, 403, next.id],
    ]);
    for (let n = 0; n < 2; n++) expect((await api.call("DELETE", `/api/v1/users/${bob.id}`)).status).toBe(204);
    expect([await who(then), await who(then, token)]).toEqual([bob.id, 403]);
  });

  test("over some groups and apps open nothing of those that are gone", async () => {
    const [ann, sales, board] = [await person("ann"), await group("Sales"), await group("Board")];
    const [wiki, chat] = [await app("Wiki"), await app("Chat")];
    const permissions = ["okta.groups.read", "okta.apps.read"];
    await create("/api/v1/iam/roles", { label: "Reader", description: "d", permissions });
    const resources = [
      `https://acme.okta.com/api/v1/groups/${sales.id}`,
      `https://acme.okta.com/api/v1/apps/${wiki.id}`,
    ];
    const set = await create("/api/v1/iam/resource-sets", { label: "Some", description: "d", resources });
    const members = [`http://tenure.test/api/v1/users/${ann.id}`];
    await create(`/api/v1/iam/resource-sets/${set.id}/bindings`, { role: "Reader", members });
    await api.call("DELETE", `/api/v1/groups/${board.id}`);
    await api.call("POST", `/api/v1/apps/${chat.id}/lifecycle/deactivate`);
    await api.call("DELETE", `/api/v1/apps/${chat.id}`);
    const token = await tokenOf(ann);
    const at = new Date().toISOString();
    const answers = async (asked?: string) =>
      Promise.all(
        [
          `groups/${sales.id}/members`,
          `groups/${board.id}/members`,
          `apps/${wiki.id}/accounts`,
          `apps/${chat.id}/accounts`,
        ].map(async (path) => (await api.call("GET", `/admin/v1/past/${path}?at=${at}`, undefined, asked)).status),
      );
    expect([await answers(), await answers(token)]).toEqual([
      [200, 200, 200, 200],
      [200, 403, 200, 403],
    ]);
  });

  test("a permission with conditions opens nothing, because nobody checks them", async () => {
    const ann = await person("ann");
    const role = await create("/api/v1/iam/roles", { label: "R", description: "", permissions: ["okta.users.read"] });
    const conditions = { include: { "okta:ResourceAttribute/User/Profile": ["city"] } };
    await api.call("POST", `/api/v1/iam/roles/${role.id}/permissions/okta.users.manage`, { conditions });
    const set = await create("/api/v1/iam/resource-sets", {
      ...{ label: "All", description: "", resources: ["orn:okta:directory:00oX:users"] },
    });
    const giving = { type: "CUSTOM", role: role.id, "resource-set": set.id };
    await create(`/api/v1/users/${ann.id}/roles`, giving, 201);
    const token = await tokenOf(ann);
    expect((await api.call("GET", "/api/v1/users", undefined, token)).status).toBe(200);
    const bob = await person("bob");
    expect((await api.call("POST", `/api/v1/users/${bob.id}`, { profile: { city: "X" } }, token)).status).toBe(403);
  });
});
