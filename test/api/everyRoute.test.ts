/**
 * Who may call what, for every route there is: the list comes from the server itself, so a route that somebody adds
 * without saying who may call it fails here.
 *
 * The tables are written a second time, in the words of docs/api.md, and not read from the code that they judge. What a
 * request does beyond being let in is not looked at: most of them name nothing that is there.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { grantRole } from "../../src/directory/adminRoles.ts";
import { createClientToken, createToken } from "../../src/directory/tokens.ts";
import { createUsers } from "../../src/directory/users.ts";
import { type RegisteredRoute, routesOf } from "../../src/server/server.ts";
import { type Database, isRefusal, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { memoryDatabase } from "../support/memory.ts";

/** Whom everybody may ask: probes, documentation, pictures, and what signs people and clients in. */
const public_routes = [
  ...["/.well-known/oauth-authorization-server", "/.well-known/okta-organization"],
  ...["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"],
  ...["/img/apps/:app_id", "/img/groups/:name"],
  ...["/oauth2/v1/token", "/oauth2/v1/revoke", "/oauth2/v1/introspect", "/oauth2/v1/keys"],
  ...["/api/v1/authn", "/api/v1/authn/cancel", "/api/v1/authn/credentials/change_password"],
  ...["/api/v1/authn/credentials/reset_password", "/api/v1/authn/recovery/answer"],
  ...["/api/v1/authn/recovery/password", "/api/v1/authn/recovery/token", "/api/v1/authn/recovery/unlock"],
  ...["/signin/reset-password/:token", "/welcome/:token"],
  // It asks for the source's own secret.
  "/sources/:app_id/notify",
];

/** Who may change what, by the area of the route. */
const writers: Readonly<Record<string, readonly string[]>> = {
  users: ["ORG_ADMIN", "USER_ADMIN"],
  credentials: ["ORG_ADMIN", "USER_ADMIN", "HELP_DESK_ADMIN"],
  sessions: ["ORG_ADMIN", "USER_ADMIN", "HELP_DESK_ADMIN"],
  factors: ["ORG_ADMIN", "USER_ADMIN", "HELP_DESK_ADMIN"],
  groups: ["ORG_ADMIN", "USER_ADMIN"],
  members: ["ORG_ADMIN", "USER_ADMIN", "GROUP_MEMBERSHIP_ADMIN"],
  rules: ["ORG_ADMIN"],
  apps: ["ORG_ADMIN", "APP_ADMIN"],
  assignments: ["ORG_ADMIN", "APP_ADMIN"],
  mappings: ["ORG_ADMIN", "APP_ADMIN"],
  schemas: ["ORG_ADMIN", "APP_ADMIN"],
  imports: ["ORG_ADMIN", "APP_ADMIN"],
  tasks: ["ORG_ADMIN", "APP_ADMIN", "USER_ADMIN"],
  org: ["ORG_ADMIN"],
  hooks: ["ORG_ADMIN"],
  features: ["ORG_ADMIN"],
  secrets: ["ORG_ADMIN", "APP_ADMIN"],
  sources: ["ORG_ADMIN", "APP_ADMIN"],
  logs: [],
  tokens: [],
  clock: [],
  roles: [],
  oauth: [],
};

/** Who may read where not every administrator may. Secrets are read by who may change them. */
const readers: Readonly<Record<string, readonly string[]>> = {
  tokens: ["ORG_ADMIN", "READ_ONLY_ADMIN"],
  secrets: ["ORG_ADMIN", "APP_ADMIN"],
};

const reports = ["users", "groups", "members", "apps", "assignments", "logs", "org"];

const roles = [
  ...["SUPER_ADMIN", "ORG_ADMIN", "APP_ADMIN", "USER_ADMIN", "GROUP_MEMBERSHIP_ADMIN", "HELP_DESK_ADMIN"],
  ...["READ_ONLY_ADMIN", "REPORT_ADMIN", "MOBILE_ADMIN", "API_ACCESS_MANAGEMENT_ADMIN"],
];

const nouns: Readonly<Record<string, readonly string[]>> = {
  users: ["users"],
  credentials: ["users"],
  groups: ["groups"],
  members: ["groups"],
  rules: ["groups"],
  apps: ["apps"],
  assignments: ["apps"],
  imports: ["apps"],
  tasks: ["apps"],
  secrets: ["apps"],
  mappings: ["profileMappings"],
  schemas: ["schemas"],
  logs: ["logs"],
  org: ["orgs"],
  tokens: ["apiTokens"],
  roles: ["roles"],
  hooks: ["eventHooks", "inlineHooks"],
  sessions: ["sessions"],
  factors: ["factors"],
  features: ["features"],
  oauth: ["appGrants"],
  sources: ["identitySources"],
  clock: [],
};

const nounsOfPaths: Readonly<Record<string, string>> = {
  "/api/v1/eventHooks": "eventHooks",
  "/api/v1/inlineHooks": "inlineHooks",
  "/api/v1/org/factors": "factors",
  "/api/v1/meta/types": "userTypes",
  "/api/v1/meta/schemas/user/linkedObjects": "linkedObjects",
  "/api/v1/meta/uischemas": "uischemas",
};

const accessOf = ({ config, method }: RegisteredRoute) => config.access ?? (method === "GET" ? "read" : "write");

function roleMay(role: string, route: RegisteredRoute): boolean {
  const area = route.config.area ?? "";
  if (role === "SUPER_ADMIN" || route.config.own) return true;
  if (accessOf(route) === "write") return writers[area]?.includes(role) ?? false;
  if (role === "REPORT_ADMIN") return reports.includes(area);
  return readers[area]?.includes(role) ?? readers[area] === undefined;
}

function scopeMay(scope: string, route: RegisteredRoute): boolean {
  const part = Object.entries(nounsOfPaths).find(([start]) => route.url.startsWith(start))?.[1];
  const wanted = part === undefined ? (nouns[route.config.area ?? ""] ?? []) : [part];
  return wanted.some(
    (noun) => scope === `okta.${noun}.manage` || (accessOf(route) === "read" && scope === `okta.${noun}.read`),
  );
}

let db: Database;
let api: TestApi;
let routes: readonly RegisteredRoute[];
const command = () => ({ db, now: () => new Date(), actor: system });

function must<T>(outcome: T): Exclude<T, { refused: string }> {
  if (isRefusal(outcome)) throw new Error(outcome.refused);
  return outcome as Exclude<T, { refused: string }>;
}

beforeAll(async () => {
  db = await memoryDatabase();
  api = await testApi(db);
  const all = routesOf(api.server).filter(({ method }) => method !== "HEAD" && method !== "OPTIONS");
  // The one route that ends the token it is asked with comes last.
  const ends = ({ method, url }: RegisteredRoute) => method === "DELETE" && url === "/api/v1/api-tokens/current";
  routes = [...all.filter((route) => !ends(route)), ...all.filter(ends)];
});
afterAll(() => db.destroy());

let people = 0;

/** A token of a new person who has one role. */
async function tokenOfPerson(role: string, login = `person${people++}@x.co`): Promise<string> {
  const profile = { login, email: login, firstName: role, lastName: "Admin" };
  const [user] = must(await createUsers(command(), [{ profile, activate: true, password: "Xk29-vbQ.44-ulnm" }]));
  if (user === undefined) throw new Error("nobody was created");
  must(await grantRole(command(), { user }, { role }));
  return must(await createToken(command(), { name: role, user_id: user.id })).text;
}

/** What the request of a token at a route is answered with: its status and Okta's code. */
async function answer({ method, url }: RegisteredRoute, token: string) {
  const path = url.replaceAll(/:[a-z_]+/g, "x");
  const { status, body } = await api.call(method, path, method === "GET" ? undefined : {}, token);
  return { status, code: body?.errorCode as string | undefined };
}

const named = ({ method, url }: RegisteredRoute) => `${method} ${url}`;
const shut = ({ status, code }: { status: number; code: string | undefined }) => status === 403 && code === "E0000006";

test("every route says what it is about, or is one of those that everybody may ask", () => {
  const open = routes.filter(({ config }) => config.area === undefined && !config.scim).map(({ url }) => url);
  expect([...new Set(open)].sort()).toEqual([...public_routes].sort());
  const unknown = routes.filter(({ config }) => config.area !== undefined && writers[config.area] === undefined);
  expect(unknown.map(named)).toEqual([]);
  expect(routes.length).toBeGreaterThan(200);
});

test("every route of SCIM lets in the token of a source over SCIM and no other", async () => {
  const source = (await api.call("POST", "/api/v1/apps", { name: "scim_in", label: "A source" })).body.id as string;
  await api.call("PATCH", `/admin/v1/apps/${source}`, { sourcing: {} });
  const own = must(await createToken(command(), { name: "source", role: `SOURCE:${source}` })).text;
  const wrong = [];
  for (const route of routes.filter(({ config }) => config.scim)) {
    const [none, other, mine] = [await answer(route, ""), await answer(route, api.token), await answer(route, own)];
    if (none.status !== 401 || other.status !== 403) wrong.push([named(route), none.status, other.status]);
    if (mine.status === 401 || mine.status === 403) wrong.push([named(route), mine.status]);
  }
  expect(wrong).toEqual([]);
  expect(routes.filter(({ url, config }) => url.startsWith("/scim/") !== (config.scim === true))).toEqual([]);
});

describe("without a valid token every route but those is refused with 401 E0000011", () => {
  test.each(["none", "unknown", "revoked", "of somebody suspended"])("%s", async (which) => {
    let token = which === "none" ? "" : "0123456789012345678901234567890123456789";
    if (which === "revoked") {
      token = must(await createToken(command(), { name: "gone" })).text;
      await sql`update tokens set revoked_at = now() where name = 'gone'`.execute(db);
    }
    if (which === "of somebody suspended") {
      token = await tokenOfPerson("SUPER_ADMIN", "suspended@x.co");
      await sql`update users set status = 'SUSPENDED' where login = 'suspended@x.co'`.execute(db);
    }
    const wrong = [];
    for (const route of routes.filter(({ config }) => config.area !== undefined)) {
      const { status, code } = await answer(route, token);
      if (status !== 401 || code !== "E0000011") wrong.push([named(route), status, code]);
    }
    expect(wrong).toEqual([]);
  });
});

describe("every route lets in the roles that may, and refuses the others with 403 E0000006", () => {
  test.each(roles)("%s", { timeout: 120_000 }, async (role) => {
    const token = await tokenOfPerson(role);
    const wrong = [];
    for (const route of routes.filter(({ config }) => config.area !== undefined)) {
      const given = await answer(route, token);
      if (shut(given) === roleMay(role, route)) wrong.push([named(route), route.config.area, given.status, given.code]);
    }
    expect(wrong).toEqual([]);
  });

  test("a person without any role may read who they are and nothing else", async () => {
    const token = await tokenOfPerson("READ_ONLY_ADMIN");
    await sql`delete from role_grants`.execute(db);
    expect((await api.call("GET", "/api/v1/users/me", undefined, token)).status).toBe(200);
    const open = [];
    for (const route of routes.filter(({ config }) => config.area !== undefined && !config.own)) {
      if (!shut(await answer(route, token))) open.push(named(route));
    }
    expect(open).toEqual([]);
  });
});

describe("every route lets in the scopes that may, and refuses the others with 403 E0000006", () => {
  const scopes = [...new Set([...Object.values(nouns).flat(), ...Object.values(nounsOfPaths)])].flatMap((noun) => [
    `okta.${noun}.read`,
    `okta.${noun}.manage`,
  ]);
  test("each scope alone", { timeout: 300_000 }, async () => {
    const app = (
      await api.call("POST", "/api/v1/apps", {
        ...{ name: "oidc_client", label: "A client", signOnMode: "OPENID_CONNECT" },
        settings: { oauthClient: { grant_types: ["client_credentials"], application_type: "service" } },
      })
    ).body;
    const client = { app_id: app.id as string, client_id: app.id as string, label: "A client" };
    const wrong = [];
    for (const scope of scopes) {
      await api.call("POST", `/api/v1/apps/${app.id}/grants`, { scopeId: scope, issuer: "http://tenure.test" });
      const expires_at = new Date(Date.now() + 3_600_000);
      const { text } = must(await createClientToken(command(), client, { scopes: [scope], jkt: null, expires_at }));
      for (const route of routes.filter(({ config }) => config.area !== undefined)) {
        const given = await refusedBy(route, text);
        if (given === scopeMay(scope, route)) wrong.push([scope, named(route), route.config.area]);
      }
    }
    expect(wrong).toEqual([]);
  });

  async function refusedBy(route: RegisteredRoute, token: string): Promise<boolean> {
    const path = route.url.replaceAll(/:[a-z_]+/g, "x");
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const { statusCode, body } = await api.server.inject({
      method: route.method as "GET",
      url: path,
      headers,
      ...(route.method === "GET" ? {} : { payload: "{}" }),
    });
    return statusCode === 403 && body.includes("E0000006");
  }
});
