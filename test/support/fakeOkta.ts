/**
 * An organisation that answers as Okta's service does (shapes, pages, limits and refusals as recorded there), with what only
 * Okta has: its own apps, a directory with an agent, groups of apps, templates of user names, and a limit of requests that
 * is reached. Read-only, as the token that is given for a move.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type FakeOkta = Readonly<{
  url: string;
  token: string;
  /** Method and path of every request. */
  calls: readonly string[];
  stop(): Promise<void>;
}>;

const id = (prefix: string, n: number) => `${prefix}${String(n).padStart(20 - prefix.length, "k")}`;
/** A name in Okta's templates. */
const template = (name: string) => ["$", "{", name, "}"].join("");
const date = "2024-05-01T10:00:00.000Z";
const user = (n: number, login: string, status: string, more: object = {}) => ({
  ...{ id: id("00u", n), status, created: date, activated: date, lastLogin: null, lastUpdated: date },
  type: { id: id("oty", 1) },
  profile: { firstName: `First${n}`, lastName: `Last${n}`, mobilePhone: null, login, email: login, ...more },
  credentials: { password: {}, emails: [], provider: { type: "OKTA", name: "OKTA" } },
  _links: { self: { href: `https://company.okta.test/api/v1/users/${id("00u", n)}` } },
});
const group = (n: number, type: string, name: string, source?: string) => ({
  ...{ id: id("00g", n), created: date, lastUpdated: date, objectClass: ["okta:user_group"], type, _links: {} },
  profile: { name, description: null },
  ...(source === undefined ? {} : { source: { id: source } }),
});
const app = (n: number, name: string, label: string, more: object = {}) => ({
  ...{ id: id("0oa", n), name, label, status: "ACTIVE", created: date, lastUpdated: date },
  accessibility: { selfService: false, errorRedirectUrl: null, loginRedirectUrl: null },
  visibility: { autoLaunch: false, hide: { iOS: false, web: false }, appLinks: { [`${name}_link`]: true } },
  ...{ features: [], signOnMode: "SAML_2_0", _links: {} },
  credentials: userNames("source.login", "BUILT_IN"),
  settings: { app: {}, notifications: { vpn: { network: { connection: "DISABLED" } } }, signOn: { inlineHooks: [] } },
  ...more,
});
const userNames = (name: string, type: string) => ({
  userNameTemplate: { template: template(name), type },
  signing: { kid: "x8s9" },
});
const rule = (n: number, name: string, status: string, value: string, groups: string[]) => ({
  ...{ type: "group_rule", id: id("0pr", n), status, name, created: date, lastUpdated: date },
  conditions: { people: { users: { exclude: [] } }, expression: { value, type: "urn:okta:expression:1.0" } },
  actions: { assignUserToGroups: { groupIds: groups } },
});
const text = (title: string, more: object = {}) => ({ title, type: "string", scope: "NONE", ...more });
const schema = (base: object, custom: object) => ({
  definitions: { base: { id: "#base", properties: base }, custom: { id: "#custom", properties: custom } },
});
const account = (n: number, scope: string, externalId: string | null, userName: string, profile: object) => ({
  ...{ id: id("00u", n), externalId, created: date, scope, status: "PROVISIONED", profile, _links: {} },
  ...{ syncState: "SYNCHRONIZED", credentials: { userName } },
});

const nameless = { firstName: "Eve", lastName: null, countryCode: "Germany" };
const people = [
  user(1, "ann@company.test", "ACTIVE", { department: "Sales", costCentre: "C1", office: "North" }),
  user(2, "bob@company.test", "ACTIVE", { department: "Sales" }),
  user(3, "cid@company.test", "SUSPENDED", { department: "Finance" }),
  user(4, "dot@company.test", "STAGED"),
  // Okta lets an organisation say that a last name may be empty. The country is one that the schema here refuses.
  user(5, "eve@company.test", "ACTIVE", nameless),
];
const leavers = [user(6, "fay@company.test", "DEPROVISIONED", { department: "Sales" })];
const [sales, close, imported, everyone] = [id("00g", 1), id("00g", 2), id("00g", 3), id("00g", 4)];
const [chat, wiki, payroll] = [id("0oa", 1), id("0oa", 2), id("0oa", 3)];
const on = { status: "ENABLED" };
const features = (create: string) => [
  {
    ...{ name: "USER_PROVISIONING", status: "ENABLED" },
    capabilities: {
      create: { lifecycleCreate: { status: create } },
      update: {
        profile: on,
        lifecycleDeactivate: on,
        password: { status: "DISABLED", seed: "RANDOM", change: "CHANGE" },
      },
    },
  },
  {
    ...{ name: "INBOUND_PROVISIONING", status: "ENABLED" },
    capabilities: { importSettings: {}, importRules: { userCreateAndMatch: { exactMatchCriteria: "EMAIL" } } },
  },
];
const mapping = (n: number, app_id: string, to_app: boolean) => {
  const [theirs, type] = [
    { id: app_id, type: "appuser" },
    { id: id("oty", 1), type: "user" },
  ];
  return { id: id("prm", n), source: to_app ? type : theirs, target: to_app ? theirs : type };
};
const push = (expression: string, pushStatus = "PUSH") => ({ expression, pushStatus });

/** Path → what is there. */
const things: Readonly<Record<string, unknown>> = {
  "/api/v1/meta/types/user": [
    {
      ...{ id: id("oty", 1), name: "user", displayName: "User", description: null, default: true },
      _links: { schema: { href: `https://company.okta.test/api/v1/meta/schemas/user/${id("osc", 1)}` } },
    },
  ],
  "/api/v1/meta/schemas/user/default": schema(
    { firstName: text("First name", { required: true }), lastName: text("Last name") },
    {
      office: text("Office", { required: true }),
      costCentre: text("Cost centre", { master: { type: "OVERRIDE", priority: [{ type: "APP", value: payroll }] } }),
    },
  ),
  "/api/v1/meta/schemas/group/default": schema({ name: text("Name") }, {}),
  "/api/v1/meta/schemas/user/linkedObjects": [],
  "/api/v1/groups": [
    group(1, "OKTA_GROUP", "Sales"),
    group(2, "OKTA_GROUP", "Close (the year)"),
    group(3, "APP_GROUP", "Payroll clerks", payroll),
    group(4, "BUILT_IN", "Everyone"),
  ],
  [`/api/v1/groups/${sales}/users`]: [people[0], people[1]],
  [`/api/v1/groups/${close}/users`]: [people[0], people[2]],
  "/api/v1/groups/rules": [
    rule(1, "Sales", "ACTIVE", 'user.department=="Sales"', [sales]),
    rule(2, "Closing", "ACTIVE", `isMemberOfAnyGroup("${sales}") and user.costCentre=="C1"`, [close]),
    rule(3, "Of another time", "ACTIVE", 'user.noSuchThing == "x"', [sales]),
    rule(4, "Of a group that is gone", "INVALID", 'user.city == "x"', [id("00g", 99)]),
    rule(5, "Into an app's group", "ACTIVE", 'user.city == "x"', [imported]),
  ],
  "/api/v1/apps": [
    app(1, "chatty", "Chat", {
      features: ["PUSH_NEW_USERS", "PUSH_PROFILE_UPDATES", "GROUP_PUSH"],
      credentials: userNames("source.email", "BUILT_IN"),
      settings: { app: { loginURL: "https://chat.test" }, signOn: { inlineHooks: [{ id: "cal1" }] } },
    }),
    app(2, "company_wiki_1", "Wiki", { credentials: userNames("fn:toUpperCase(source.login)", "CUSTOM") }),
    app(3, "deelhr", "Payroll", { features: ["PROFILE_MASTERING", "IMPORT_NEW_USERS"] }),
    app(4, "bookmark", "wiki", { signOnMode: "BOOKMARK", settings: { app: { url: "https://wiki.test" } } }),
    app(5, "active_directory", "company.local", { signOnMode: null }),
    app(6, "saasure", "Okta Admin Console", { signOnMode: "OPENID_CONNECT" }),
  ],
  [`/api/v1/apps/${chat}/features`]: features("ENABLED"),
  [`/api/v1/apps/${chat}/connections/default`]: { status: "ENABLED", baseUrl: "https://chat.test/scim/v2" },
  [`/api/v1/meta/schemas/apps/${chat}/default`]: schema(
    {
      userName: text("Username", { required: true, mutability: "READ_WRITE" }),
      givenName: text("Given name", { externalName: "name.givenName" }),
    },
    { seat: text("Seat", { externalName: "seat", externalNamespace: "urn:chat" }) },
  ),
  [`/api/v1/mappings/${id("prm", 1)}`]: {
    properties: {
      givenName: push("user.firstName"),
      seat: push(`isMemberOfAnyGroup("${sales}") ? "full" : "light"`, "DONT_PUSH"),
    },
  },
  [`/api/v1/mappings/${id("prm", 2)}`]: { properties: {} },
  [`/api/v1/apps/${chat}/groups`]: [
    { id: everyone, priority: 3, profile: {} },
    { id: sales, priority: 0, profile: {} },
    { id: imported, priority: 1, profile: {} },
  ],
  [`/api/v1/apps/${chat}/users`]: [
    account(1, "GROUP", "chat-1", "ann@company.test", { givenName: "First1", seat: "full" }),
    account(2, "USER", "chat-2", "bob@company.test", { givenName: "Robert", seat: "light" }),
    account(6, "USER", "chat-6", "fay@company.test", {}),
  ],
  [`/api/v1/apps/${chat}/group-push/mappings`]: [
    { id: id("gPm", 1), sourceGroupId: sales, targetGroupId: imported, status: "ACTIVE" },
  ],
  [`/api/v1/meta/schemas/apps/${wiki}/default`]: schema({ userName: text("Username", { required: true }) }, {}),
  [`/api/v1/apps/${wiki}/groups`]: [],
  [`/api/v1/apps/${wiki}/users`]: [account(2, "USER", null, "BOB@COMPANY.TEST", {})],
  [`/api/v1/apps/${payroll}/features`]: features("DISABLED"),
  [`/api/v1/apps/${payroll}/connections/default`]: { status: "ENABLED", profile: { authScheme: "OAUTH2" } },
  [`/api/v1/meta/schemas/apps/${payroll}/default`]: schema({ userName: text("Username"), title: text("Title") }, {}),
  [`/api/v1/mappings/${id("prm", 3)}`]: { properties: { title: push("appuser.title") } },
  [`/api/v1/apps/${payroll}/groups`]: [],
  [`/api/v1/apps/${payroll}/users`]: [],
  "/api/v1/mappings": [mapping(1, chat, true), mapping(2, chat, false), mapping(3, payroll, false)],
};

type Headers = Readonly<Record<string, string>>;

function answer(response: ServerResponse, status: number, body: unknown, headers: Headers = {}): void {
  response.writeHead(status, { "content-type": "application/json", date: new Date().toUTCString(), ...headers });
  response.end(JSON.stringify(body));
}

function refuse(response: ServerResponse, status: number, errorSummary: string, headers: Headers = {}): void {
  const code = { errorCode: "E0000001", errorLink: "E0000001", errorId: "oae1" };
  answer(response, status, { ...code, errorSummary, errorCauses: [] }, headers);
}

/** What is otherwise in one organisation. `things`: laid over what is there. `meddle`: true, where it answers in its stead. */
export type Otherwise = Readonly<{
  things?: Readonly<Record<string, unknown>>;
  meddle?: (path: string, response: ServerResponse, request: IncomingMessage) => boolean;
}>;

/** Its ids, for whoever wants it otherwise. */
export const fake = {
  id,
  app,
  schema,
  text,
  rule,
  group,
  user,
  account,
  chat,
  wiki,
  sales,
  imported,
  things,
  refuse,
  answer,
};

/** Starts it. The first list of people says "too many requests" once, and comes in two pages. */
export async function startFakeOkta(otherwise: Otherwise = {}): Promise<FakeOkta> {
  const there = { ...things, ...otherwise.things };
  const [token, calls] = ["00okta-token", [] as string[]];
  let limited = false;
  const listPeople = (response: ServerResponse, query: URLSearchParams) => {
    if (!limited) {
      limited = true;
      const reset = { "x-rate-limit-reset": String(Math.floor(Date.now() / 1000) + 1) };
      return refuse(response, 429, "API call exceeded rate limit due to too many requests.", reset);
    }
    if (query.get("filter") !== null) return answer(response, 200, leavers);
    if (query.get("after") === "p2") return answer(response, 200, people.slice(3));
    // The link names the organisation as the world knows it: the token must not follow it there.
    const link = '<https://company.okta.test/api/v1/users?after=p2&limit=200>; rel="next"';
    return answer(response, 200, people.slice(0, 3), { link });
  };
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://okta.test");
    calls.push(`${request.method} ${pathname}`);
    if (request.headers.authorization !== `SSWS ${token}`) return refuse(response, 401, "Invalid token provided");
    if (request.method !== "GET") return refuse(response, 403, "You do not have permission");
    if (otherwise.meddle?.(pathname, response, request)) return;
    if (pathname === "/api/v1/users") return listPeople(response, searchParams);
    if (Object.hasOwn(there, pathname)) return answer(response, 200, there[pathname]);
    if (pathname.endsWith("/features")) return refuse(response, 400, "Provisioning is not supported.");
    return refuse(response, 404, `Not found: Resource not found: ${pathname} (Thing)`);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const stop = () =>
    new Promise<void>((closed) => {
      server.close(() => closed());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token, calls, stop };
}
