/** Who may do what to whom: the judgement alone, without a server. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { grantId } from "../../src/core/adminRoles.ts";
import {
  type Access,
  type Area,
  type Authority,
  type Grant,
  judge,
  type Kind,
  type Need,
  type Things,
} from "../../src/core/authority.ts";
import { permissionsFor } from "../../src/core/permissions.ts";
import { ornOf, pathOf, readResource } from "../../src/core/resources.ts";

const [sales, board] = ["00g0000000000000sales", "00g0000000000000board"];
const need = (area: Area, names: readonly Kind[] = [], more: Partial<Need> = {}): Need => ({
  ...{ area, access: "write", names, within: false, scopes: [] },
  permissions: permissionsFor({
    area,
    access: "write",
    method: "POST",
    pattern: names.map((n) => `:${n}_id`).join("/"),
  }),
  ...more,
});
const grant = (role: string, more: Partial<Grant> = {}): Grant => ({
  ...{ id: "g", role, group_id: null, narrowed: false },
  ...{ groups: [], apps: [], app_names: [], permissions: [], resources: [] },
  ...more,
});
const person = (...grants: Grant[]): Authority => ({ role: "SUPER_ADMIN", grants, scopes: null });
const user = (groups: readonly string[], rank: "none" | "administrator" | "super" = "none"): Things => ({
  user: { id: "00u1", groups, rank },
});
const group = (id: string, has_roles = false): Things => ({ group: { id, has_roles } });
const app = (id: string, name = "bookmark", has_scopes = false): Things => ({ app: { id, name, has_scopes } });
const ofSales = { narrowed: true, groups: [sales] };

describe("a role that is narrowed changes what lies within its targets and nothing else", () => {
  test.each<[string, Authority, Need, Things, boolean]>([
    [
      "help desk of a group, its member",
      person(grant("HELP_DESK_ADMIN", ofSales)),
      need("credentials", ["user"]),
      user([sales]),
      true,
    ],
    [
      "help desk of a group, somebody else",
      person(grant("HELP_DESK_ADMIN", ofSales)),
      need("credentials", ["user"]),
      user([board]),
      false,
    ],
    [
      "group administrator, own group",
      person(grant("USER_ADMIN", ofSales)),
      need("members", ["group", "user"]),
      { ...user([]), ...group(sales) },
      true,
    ],
    [
      "group administrator, other group",
      person(grant("USER_ADMIN", ofSales)),
      need("members", ["group", "user"]),
      { ...user([sales]), ...group(board) },
      false,
    ],
    ["group administrator, a new group", person(grant("USER_ADMIN", ofSales)), need("groups"), {}, false],
    [
      "one who lost all targets",
      person(grant("USER_ADMIN", { narrowed: true })),
      need("users", ["user"]),
      user([sales]),
      false,
    ],
    [
      "app administrator, own app",
      person(grant("APP_ADMIN", { narrowed: true, apps: ["0oa1"] })),
      need("apps", ["app"]),
      app("0oa1"),
      true,
    ],
    [
      "app administrator, other app",
      person(grant("APP_ADMIN", { narrowed: true, apps: ["0oa1"] })),
      need("apps", ["app"]),
      app("0oa2"),
      false,
    ],
    [
      "app administrator, every app of a name",
      person(grant("APP_ADMIN", { narrowed: true, app_names: ["slack"] })),
      need("assignments", ["app"]),
      app("0oa2", "slack"),
      true,
    ],
    [
      "app administrator, a new app",
      person(grant("APP_ADMIN", { narrowed: true, apps: ["0oa1"] })),
      need("apps"),
      {},
      false,
    ],
    [
      "two roles, the second holds",
      person(grant("HELP_DESK_ADMIN", ofSales), grant("USER_ADMIN", { narrowed: true, groups: [board] })),
      need("credentials", ["user"]),
      user([board]),
      true,
    ],
  ])("%s", (_what, authority, wanted, things, may) => {
    const verdict = judge(authority, wanted, things);
    expect(verdict === "yes").toBe(may);
    // Whoever was told to look decides by what is seen, and nobody decides yes before.
    if (!may) expect(judge(authority, wanted, undefined)).not.toBe("yes");
  });
});

describe("nobody lifts themselves up through someone or something else", () => {
  const higher: readonly [string, Need, Things][] = [
    ["a super administrator's password", need("credentials", ["user"]), user([sales], "super")],
    ["who is in a group that has a role", need("members", ["group"]), group(sales, true)],
    ["which group a rule fills", need("rules", ["group"]), group(sales, true)],
    ["the keys of a client with scopes", need("secrets", ["app"]), app("0oa1", "oidc_client", true)],
    ["who has which role", need("roles", ["user"]), user([sales])],
    ["which scopes a client has", need("oauth", ["app"]), app("0oa1")],
    ["tokens", need("tokens"), {}],
  ];
  const below = [
    "ORG_ADMIN",
    "APP_ADMIN",
    "USER_ADMIN",
    "GROUP_MEMBERSHIP_ADMIN",
    "HELP_DESK_ADMIN",
    "READ_ONLY_ADMIN",
  ];
  test.each(higher)("%s is changed by super administrators only", (_what, wanted, things) => {
    for (const role of below) expect(judge(person(grant(role)), wanted, things), role).toHaveProperty("no");
    expect(judge(person(grant("SUPER_ADMIN")), wanted, things)).toBe("yes");
  });

  test("an administrator who is not super is changed by organisation administrators too", () => {
    const things = user([sales], "administrator");
    expect(judge(person(grant("ORG_ADMIN")), need("credentials", ["user"]), things)).toBe("yes");
    expect(judge(person(grant("HELP_DESK_ADMIN")), need("credentials", ["user"]), things)).toHaveProperty("no");
  });
});

describe("everything that bounds a token holds at once", () => {
  test.each<[string, Authority, boolean]>([
    [
      "the role of a token bounds its person",
      { role: "READ_ONLY_ADMIN", grants: [grant("SUPER_ADMIN")], scopes: null },
      false,
    ],
    ["a person bounds their token", { role: "SUPER_ADMIN", grants: [grant("READ_ONLY_ADMIN")], scopes: null }, false],
    ["somebody without a role", { role: "SUPER_ADMIN", grants: [], scopes: null }, false],
    ["a token of nobody", { role: "SUPER_ADMIN", grants: null, scopes: null }, true],
    ["a client without the scope", { role: "SUPER_ADMIN", grants: null, scopes: ["okta.users.read"] }, false],
    ["a client with it", { role: "SUPER_ADMIN", grants: null, scopes: ["okta.users.manage"] }, true],
  ])("%s", (_what, authority, may) => {
    expect(judge(authority, need("users", [], { scopes: ["okta.users.manage"] }), {}) === "yes").toBe(may);
  });

  const areas: readonly Area[] = [
    "users",
    "credentials",
    "groups",
    "members",
    "apps",
    "rules",
    "logs",
    "org",
    "tokens",
    "roles",
  ];
  const roles = [
    "ORG_ADMIN",
    "APP_ADMIN",
    "USER_ADMIN",
    "HELP_DESK_ADMIN",
    "GROUP_MEMBERSHIP_ADMIN",
    "READ_ONLY_ADMIN",
  ];
  test("narrowing a role never opens anything", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...areas),
        fc.constantFrom<Access>("read", "write"),
        fc.constantFrom(...roles),
        fc.subarray([sales, board]),
        fc.subarray([sales, board]),
        (area, access, role, targets, groups) => {
          const wanted = need(area, ["user"], { access });
          const narrow = judge(person(grant(role, { narrowed: true, groups: targets })), wanted, user(groups));
          const wide = judge(person(grant(role)), wanted, user(groups));
          return narrow !== "yes" || wide === "yes";
        },
      ),
    );
  });
});

describe("a custom role does what its permissions say over what its resource set holds", () => {
  const custom = (permission: string, ...resources: { kind: string; ref: string | null }[]) =>
    person(grant("CUSTOM", { permissions: [permission], resources }));
  const route = (area: Area, method: string, pattern: string, names: readonly Kind[]): Need => {
    const access = method === "GET" ? "read" : "write";
    return { ...need(area, names), access, permissions: permissionsFor({ area, access, method, pattern }) };
  };
  const suspend = route("users", "POST", "/api/v1/users/:user_id/lifecycle/suspend", ["user"]);
  const rename = route("users", "POST", "/api/v1/users/:user_id", ["user"]);
  const list = route("users", "GET", "/api/v1/users", []);
  const assign = route("assignments", "POST", "/api/v1/apps/:app_id/users", ["app"]);
  test.each<[string, Authority, Need, Things, boolean]>([
    [
      "suspending people of a group",
      custom("okta.users.lifecycle.suspend", { kind: "group_users", ref: sales }),
      suspend,
      user([sales]),
      true,
    ],
    [
      "suspending others",
      custom("okta.users.lifecycle.suspend", { kind: "group_users", ref: sales }),
      suspend,
      user([board]),
      false,
    ],
    [
      "suspending does not rename",
      custom("okta.users.lifecycle.suspend", { kind: "users", ref: null }),
      rename,
      user([sales]),
      false,
    ],
    ["managing does both", custom("okta.users.manage", { kind: "users", ref: null }), rename, user([sales]), true],
    [
      "managing does not reach administrators",
      custom("okta.users.manage", { kind: "users", ref: null }),
      rename,
      user([sales], "administrator"),
      false,
    ],
    [
      "the group is not its people",
      custom("okta.users.manage", { kind: "group", ref: sales }),
      rename,
      user([sales]),
      false,
    ],
    ["listing all needs all", custom("okta.users.read", { kind: "group_users", ref: sales }), list, {}, false],
    ["listing all", custom("okta.users.read", { kind: "users", ref: null }), list, {}, true],
    [
      "assigning one app",
      custom("okta.apps.assignment.manage", { kind: "app", ref: "0oa1" }),
      assign,
      app("0oa1"),
      true,
    ],
    [
      "assigning every app of a name",
      custom("okta.apps.assignment.manage", { kind: "app_name", ref: "slack" }),
      assign,
      app("0oa9", "slack"),
      true,
    ],
    [
      "assigning another",
      custom("okta.apps.assignment.manage", { kind: "app", ref: "0oa1" }),
      assign,
      app("0oa2"),
      false,
    ],
    ["what no permission opens", custom("okta.users.manage", { kind: "users", ref: null }), need("rules"), {}, false],
  ])("%s", (_what, authority, wanted, things, may) => {
    expect(judge(authority, wanted, things) === "yes").toBe(may);
  });
});

describe("resources are read from ORNs and addresses, whosever they are, and written as ORNs", () => {
  const org = "00o1";
  test.each([
    ["orn:okta:directory:00oX:users", "users", null],
    ["orn:oktapreview:directory:00oX:users:00u1", "user", "00u1"],
    ["orn:okta:directory:00oX:groups", "groups", null],
    ["orn:okta:directory:00oX:groups:00g1", "group", "00g1"],
    ["orn:okta:directory:00oX:groups:00g1:contained_resources", "group_users", "00g1"],
    ["orn:okta:idp:00oX:apps", "apps", null],
    ["orn:okta:idp:00oX:apps:slack", "app_name", "slack"],
    ["orn:okta:idp:00oX:apps:bookmark:0oa1", "app", "0oa1"],
    ["https://acme.okta.com/api/v1/users", "users", null],
    ["https://acme.okta.com/api/v1/groups/00g1", "group", "00g1"],
    ["https://acme.okta.com/api/v1/groups/00g1/users", "group_users", "00g1"],
    ["https://acme.okta.com/api/v1/apps/0oa1", "app", "0oa1"],
    ['https://acme.okta.com/api/v1/apps?filter=name+eq+"slack"', "app_name", "slack"],
    ["https://acme.okta.com/api/v1/policies/00p1", "other", "https://acme.okta.com/api/v1/policies/00p1"],
  ])("%s", (line, kind, ref) => {
    const resource = readResource(line);
    expect(resource).toEqual({ kind, ref });
    if (resource === undefined || kind === "other") return;
    expect(readResource(ornOf(resource, org, "slack"))).toEqual(resource);
    expect(readResource(`http://tenure.test${pathOf(resource)}`)).toEqual(resource);
  });
  test.each(["users", "", "ftp://x/api/v1/users", "o".repeat(2_000)])("%s is neither", (line) => {
    expect(readResource(line)).toBeUndefined();
  });
});

test("a role that can have targets has the recorded id everywhere", () => {
  expect(grantId("APP_ADMIN", "ra1x")).toBe("IFIFAX2BIRGUSTQ");
  expect(grantId("USER_ADMIN", "ra1x")).toBe("KVJUKUS7IFCE2SKO");
  expect(grantId("HELP_DESK_ADMIN", "ra1x")).toBe("JBCUYUC7IRCVGS27IFCE2SKO");
  expect(grantId("GROUP_MEMBERSHIP_ADMIN", "ra1x")).toBe("I5JE6VKQL5GUKTKCIVJFGSCJKBPUCRCNJFHA");
  expect(grantId("SUPER_ADMIN", "ra1x")).toBe("ra1x");
});
