/** What `tenure okta-import` does with each kind of thing, and what it says of what it cannot do. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { spawnApp } from "../../demo/apps/spawn.ts";
import type { Organisation } from "../../src/cli/okta/organisation.ts";
import { type FakeOkta, startFakeOkta } from "../support/fakeOkta.ts";
import { hookServer } from "../support/hookServer.ts";
import { nothing, plainApp, plainPerson } from "../support/organisation.ts";
import { startTenure, type Tenure } from "../support/tenure.ts";

let folder: string;
let source: Tenure;
let target: Tenure;
let okta: FakeOkta;
const file = (name: string) => path.join(folder, name);

function write(name: string, content: unknown): string {
  writeFileSync(file(name), typeof content === "string" ? content : JSON.stringify(content));
  return file(name);
}

const part = (document: Partial<Organisation>) => write("part.json", { ...nothing, ...document });

/** Carries a document over and gives what the command says as JSON. */
async function carry(tenure: Tenure, document: Partial<Organisation>, code = 0) {
  const ran = await tenure.cli("okta-import", "--from", part(document), "--apply", "--json");
  expect(ran.code, ran.out + ran.err).toBe(code);
  return JSON.parse(ran.out);
}

async function planOf(tenure: Tenure, document: Partial<Organisation>) {
  const ran = await tenure.cli("okta-import", "--from", part(document), "--json");
  expect(ran.code, ran.out + ran.err).toBe(0);
  return JSON.parse(ran.out);
}

async function exported(tenure: Tenure): Promise<Organisation> {
  const ran = await tenure.cli("okta-import", "--export", file("export.json"));
  expect(ran.code, ran.err).toBe(0);
  return JSON.parse(readFileSync(file("export.json"), "utf8"));
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "tenure-move-"));
  const tenures = [startTenure(folder, "source"), startTenure(folder, "target")] as const;
  [source, target, okta] = await Promise.all([...tenures, startFakeOkta()]);
});
afterAll(async () => {
  await Promise.all([source.stop(), target.stop(), okta.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

describe("an Okta", () => {
  let plan: ReturnType<typeof JSON.parse>;
  const words = () => ["okta-import", okta.url, "--token-file", write("okta.token", okta.token)];

  test("is read in pages, waits where it says so, and is not written to", async () => {
    const ran = await target.cli(...words(), "--json");
    expect(ran.code, ran.err).toBe(0);
    plan = JSON.parse(ran.out);
    expect(plan.counts.person).toMatchObject({ create: 6 });
    expect(okta.calls.filter((call) => call === "GET /api/v1/users").length).toBe(4);
    expect(okta.calls.filter((call) => !call.startsWith("GET "))).toEqual([]);
    expect(ran.out + ran.err).not.toContain(okta.token);
  });

  test.each([
    ["unsupported", "attribute", "user: office", /required there, but 5 people have no value/],
    ["unsupported", "group", "APP_GROUP:Payroll clerks (Payroll)", /it is filled by Payroll/],
    ["unsupported", "rule", "Of another time", /noSuchThing/],
    ["unsupported", "rule", "Of a group that is gone", /does not work there either/],
    ["unsupported", "rule", "Into an app's group", /not a group that rules fill/],
    ["unsupported", "app", "company.local", /a directory with an agent/],
    ["unsupported", "app", "wiki", /another is called the same/],
    ["unsupported", "app", "Chat", /inline hooks/],
    ["unsupported", "app", "Chat", /settings of its own.*loginURL/],
    ["unsupported", "app group", "Chat", /Payroll clerks/],
    ["unsupported", "mapping line", "Wiki: userName", /fn:toUpperCase/],
    ["credential", "app", "Chat", /its token cannot be read/],
    ["credential", "app", "Payroll", /its token cannot be read/],
  ])("tells what is %s: %s %s", (outcome, kind, name, why) => {
    expect(plan.notes).toContainEqual(
      expect.objectContaining({ outcome, kind, name, why: expect.stringMatching(why) }),
    );
  });

  test("gives the command for each credential, with the address only where it is not known", () => {
    const commands = plan.notes.flatMap(({ command }: { command?: string }) => command ?? []);
    expect(commands).toEqual([
      "tenure apps connect 'Chat' --token-file FILE",
      "tenure apps connect 'Payroll' --base-url URL --token-file FILE",
    ]);
  });

  test("says the same to people, and that nothing was changed", async () => {
    const { out } = await target.cli(...words());
    expect(out).toMatch(/KIND +CREATE.*BY ITSELF.*NOT SUPPORTED/);
    expect(out).toContain("    tenure apps connect 'Chat' --token-file FILE");
    expect(out).toContain("Nothing was changed.");
    expect((await target.call("GET", "/api/v1/users")).length).toBe(0);
  });

  test("is carried over but for the one whom our schema refuses, who is named; the exit code says so", async () => {
    const ran = await target.cli(...words(), "--apply", "--json");
    expect(ran.code, ran.out + ran.err).toBe(7);
    expect(JSON.parse(ran.out).failures).toEqual([
      { kind: "person", name: "eve@company.test", why: expect.stringMatching(/countryCode: must be at most 2/) },
    ]);
    await target.settled();
    const ours = await exported(target);
    expect(Object.fromEntries(ours.people.map(({ login, status }) => [login.split("@")[0], status]))).toEqual({
      ...{ ann: "ACTIVE", bob: "ACTIVE", cid: "SUSPENDED", dot: "STAGED", fay: "DEPROVISIONED" },
    });
    const members = Object.fromEntries(ours.members.map(({ group, people }) => [group, people]));
    expect(members["OKTA_GROUP:Sales"]).toEqual(["ann@company.test", "bob@company.test"]);
    expect(members["OKTA_GROUP:Close (the year)"]).toEqual(["ann@company.test", "cid@company.test"]);
    // Only whom no rule gives the group is in it by hand, so that the others leave it with their department.
    const groups = (await target.call("GET", "/api/v1/groups?q=Close")) as { id: string }[];
    const why = async (login: string) =>
      (await target.call("GET", `/admin/v1/memberships/why?group_id=${groups[0]?.id}&user=${login}`)).map(
        ({ kind }: { kind: string }) => kind,
      );
    expect([await why("ann@company.test"), await why("cid@company.test")]).toEqual([["rule"], ["person"]]);
  });

  test("its apps are here: connected ones by SCIM, user names as a line, waiting to be connected", async () => {
    const { apps } = await exported(target);
    const chat = apps.find(({ label }) => label === "Chat");
    expect(chat).toMatchObject({
      ...{ kind: "scim", address: "https://chat.test/scim/v2", mode: "SAML_2_0" },
      provisioning: { create: { lifecycleCreate: { status: "ENABLED" } } },
      to_app: { givenName: { push: true }, seat: { push: false }, userName: { expression: "user.email", push: true } },
      groups: [{ group: "OKTA_GROUP:Sales" }, { group: "BUILT_IN:Everyone" }],
      pushes: [{ group: "OKTA_GROUP:Sales", status: "ACTIVE" }],
    });
    expect(chat?.to_app["seat"]?.expression).toContain("group(OKTA_GROUP%3ASales)");
    const accounts = Object.fromEntries((chat?.people ?? []).map(({ login, ...one }) => [login, one]));
    expect(accounts["ann@company.test"]).toMatchObject({ scope: "GROUP", external_id: "chat-1" });
    // The first name comes from the mapping and not from what somebody typed there once; the seat is his own.
    expect(accounts["bob@company.test"]).toMatchObject({
      ...{ scope: "USER", external_id: "chat-2", profile: { givenName: "First2", seat: "light" } },
    });
    expect(accounts["fay@company.test"]).toBeUndefined();
  });

  test("a source whose address is not known keeps its switches, also when it is connected", async () => {
    const { apps } = await exported(target);
    expect(apps.find(({ label }) => label === "Payroll")).toMatchObject({
      ...{ kind: "scim", address: null, sourcing: { exactMatchCriteria: "EMAIL" } },
    });
    const { id } = await target.call("GET", "/admin/v1/apps/Payroll");
    const body = { baseUrl: "https://payroll.test/scim", profile: { authScheme: "TOKEN", token: "t" } };
    await target.call("POST", `/api/v1/apps/${id}/connections/default`, body);
    const { provisioning } = await target.call("GET", "/admin/v1/apps/Payroll");
    expect(provisioning).toMatchObject({ create: false, update: true, on_unassign: "disable" });
  });

  test("moved again, only the refused one is left to be planned", async () => {
    const again = JSON.parse((await target.cli(...words(), "--json")).out);
    const left = Object.entries(again.counts as Record<string, { create: number; change: number }>).flatMap(
      ([kind, { create, change }]) => (create + change > 0 ? [[kind, create, change]] : []),
    );
    expect(left).toEqual([["person", 1, 0]]);
  });
});

describe("people", () => {
  const every = [
    ...["STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED"],
  ];
  const people = every.map((status, n) => plainPerson(100 + n, { status }));

  test("keep every status, without a password, an activation or a mail", async () => {
    await carry(source, { people });
    const found = (await exported(source)).people.filter(({ login }) => /^person10\d@/.test(login));
    expect(found.map(({ status }) => status)).toEqual(every);
    const user = await source.call("GET", "/api/v1/users/person102@x.co");
    expect(user.credentials.password).toBeUndefined();
    expect((await planOf(source, { people })).empty).toBe(true);
  });

  test.each([
    ["who has left there leaves here", "ACTIVE", "DEPROVISIONED", "DEPROVISIONED", "change"],
    ["who is suspended there is suspended here", "ACTIVE", "SUSPENDED", "SUSPENDED", "change"],
    ["who is back there is back here", "SUSPENDED", "ACTIVE", "ACTIVE", "change"],
    ["who returns there returns here, and is asked to activate", "DEPROVISIONED", "ACTIVE", "PROVISIONED", "change"],
    ["who begins there begins here", "STAGED", "ACTIVE", "PROVISIONED", "change"],
    ["a lock there is not a lock here", "ACTIVE", "LOCKED_OUT", "ACTIVE", "same"],
    ["what nothing leads to is told", "ACTIVE", "STAGED", "ACTIVE", "unsupported"],
  ])("later on, %s", async (name, before, after, here, outcome) => {
    const login = `${name.replaceAll(/[^a-z]/g, "")}@x.co`;
    const profile = { login, email: login, firstName: "Later", lastName: "On" };
    await carry(source, { people: [plainPerson(0, { login, profile, status: before })] });
    const later = { people: [plainPerson(0, { login, profile: { ...profile, title: "Changed" }, status: after })] };
    const quiet = { people: [plainPerson(0, { login, profile, status: after })] };
    expect((await planOf(source, quiet)).counts.person[outcome]).toBe(1);
    await carry(source, later);
    expect((await source.call("GET", `/api/v1/users/${login}`)).status).toBe(here);
    expect((await planOf(source, later)).empty).toBe(true);
  });

  test("sign in with the old password once the hook says that it is right, where that is asked for", async () => {
    const hook = await hookServer();
    try {
      hook.answer(() => ({ commands: [{ type: "com.okta.action.update", value: { credential: "VERIFIED" } }] }));
      const config = { uri: hook.url, headers: [], authScheme: { type: "HEADER", key: "X-Key", value: "of the hook" } };
      const type = "com.okta.user.credential.password.import";
      const channel = { type: "HTTP", version: "1.0.0", config };
      await source.call("POST", "/api/v1/inlineHooks", { name: "Okta", type, version: "1.0.0", channel });
      const [asked, plain] = [plainPerson(300), plainPerson(301)];
      const words = ["okta-import", "--from", part({ people: [asked] }), "--apply", "--ask-passwords"];
      expect((await source.cli(...words)).code).toBe(0);
      await carry(source, { people: [plain] });
      const signIn = ({ login }: { login: string }) =>
        source.call("POST", "/api/v1/authn", { username: login, password: "the old one" });
      expect((await signIn(asked)).status).toBe("SUCCESS");
      await expect(signIn(plain)).rejects.toThrow(/401/);
    } finally {
      hook.close();
    }
  });
});

const oauth = {
  ...{ application_type: "web", redirect_uris: ["https://a.test"] },
  ...{ grant_types: ["authorization_code"], response_types: ["code"] },
};
const modes = [
  ["BOOKMARK", "bookmark", { settings: { app: { url: "https://a.test" } } }],
  ["AUTO_LOGIN", null, { settings: { signOn: { loginUrl: "https://a.test", redirectUrl: "https://b.test" } } }],
  ["BASIC_AUTH", "template_basic_auth", { settings: { app: { url: "https://a.test", authURL: "https://b.test" } } }],
  ["BROWSER_PLUGIN", "template_swa", { settings: { app: { url: "https://a.test", usernameField: "u" } } }],
  ["SECURE_PASSWORD_STORE", "template_sps", { settings: { app: { url: "https://a.test" } } }],
  ["SAML_2_0", null, { settings: { signOn: { ssoAcsUrl: "https://a.test", audience: "a" } } }],
  ["SAML_1_1", "template_saml_1_1", { settings: { signOn: { audienceOverride: "https://a.test" } } }],
  ["OPENID_CONNECT", "oidc_client", { settings: { oauthClient: oauth } }],
  ["WS_FEDERATION", "template_wsfed", { settings: { app: { realm: "urn:a" } } }],
] as const;

describe("apps", () => {
  test("of every sign-on mode are moved from one Tenure to another, whole", async () => {
    const apps = modes.map(([mode, name, body], n) =>
      plainApp(`By ${mode}`, { mode, name, body, status: n % 2 === 0 ? "ACTIVE" : "INACTIVE" }),
    );
    await carry(source, { apps });
    const token = write("source.token", source.token);
    const moved = await target.cli("okta-import", source.url, "--token-file", token, "--apply", "--json");
    expect(moved.code, moved.out + moved.err).toBe(0);
    const [theirs, ours] = [await exported(source), await exported(target)];
    const those = (organisation: Organisation) => organisation.apps.filter(({ label }) => label.startsWith("By "));
    expect(those(theirs).length).toBe(modes.length);
    expect(those(ours)).toEqual(those(theirs));
    const found = those(ours).map(({ mode }) => mode);
    expect(found.sort()).toEqual(modes.map(([mode]) => mode).sort());
  });

  test("whose label is taken by another kind of app are left alone, and told", async () => {
    await carry(source, { apps: [plainApp("Taken", { mode: "BOOKMARK", name: "bookmark" })] });
    const scim = { kind: "scim", body: { settings: { app: { profile: "okta" } } } };
    for (const [more, why] of [
      [scim, /without a connector, and not with the connector scim/],
      [{ mode: "SAML_2_0" }, /signs on by BOOKMARK, not by SAML_2_0/],
    ] as const) {
      const plan = await planOf(source, { apps: [plainApp("Taken", more)] });
      const note = { name: "Taken", outcome: "unsupported", why: expect.stringMatching(why) };
      expect(plan.notes).toEqual([expect.objectContaining(note)]);
      expect(plan.empty).toBe(true);
    }
  });

  test("change where they differ, keep what only we say, and groups take their order", async () => {
    const groups = ["First", "Second", "Third"].map((name) => ({ type: "OKTA_GROUP", name, app: null, profile: {} }));
    const given = (order: readonly string[]) => order.map((name) => ({ group: `OKTA_GROUP:${name}`, profile: {} }));
    const body = { settings: { app: { url: "https://one.test" }, notes: { admin: "old" } } };
    const one = (more: object) => plainApp("Changing", { mode: "BOOKMARK", name: "bookmark", body, ...more });
    await carry(source, { groups, apps: [one({ groups: given(["First", "Second"]) })] });
    const changed = { status: "INACTIVE", body: { settings: { app: { url: "https://two.test" } } } };
    const apps = [one({ groups: given(["Third", "Second", "First"]), ...changed })];
    const applied = await carry(source, { groups, apps });
    expect(applied.counts["app group"]).toMatchObject({ create: 1, change: 2 });
    const found = (await exported(source)).apps.find(({ label }) => label === "Changing");
    expect(found).toMatchObject({
      status: "INACTIVE",
      body: { settings: { app: { url: "https://two.test" }, notes: { admin: "old" } } },
      groups: given(["Third", "Second", "First"]),
    });
    expect((await planOf(source, { groups, apps })).empty).toBe(true);
  });
});

test("one that is refused is named, and does not stop those beside it", async () => {
  const people = Array.from({ length: 20 }, (_, n) => plainPerson(400 + n));
  people[7] = { ...plainPerson(407), profile: { ...plainPerson(407).profile, noSuchAttribute: "x" } };
  const app = plainApp("Twelve", {
    kind: "scim",
    body: { settings: { app: { profile: "okta" } } },
    people: people.map(({ login }, n) => ({
      ...{ login, scope: "USER", profile: {} },
      external_id: n === 12 || n === 3 ? "same" : `e${n}`,
    })),
  });
  const group = { type: "OKTA_GROUP", name: "Twenty", app: null, profile: {} };
  const members = [{ group: "OKTA_GROUP:Twenty", people: people.map(({ login }) => login) }];
  const { failures } = await carry(source, { people, apps: [app], groups: [group], members }, 7);
  type Failure = Readonly<{ kind: string; name: string; why: string }>;
  const told = (failures as Failure[]).map(({ kind, name, why }) => `${kind} ${name}: ${why}`);
  expect(told.sort()).toEqual([
    expect.stringMatching(/^app user person407@x.co in Twelve: .*is not here/),
    expect.stringMatching(/^app user person412@x.co in Twelve: .*somebody else's already/),
    expect.stringMatching(/^membership person407@x.co in OKTA_GROUP:Twenty: .*is not here/),
    expect.stringMatching(/^person person407@x.co: .*noSuchAttribute/),
  ]);
  const { members: after } = await exported(source);
  expect(after.find(({ group: key }) => key === "OKTA_GROUP:Twenty")?.people.length).toBe(19);
});

const connecting = "accounts are found again by their ids when an app is connected, and none is made twice";
test(connecting, { timeout: 120_000 }, async () => {
  const app = await spawnApp("scimmy", { token: "chat-token" });
  try {
    const token = write("chat.token", "chat-token");
    const label = "Real chat";
    const add = ["apps", "add", "scim", "--label", label, "--base-url", app.url, "--token-file", token];
    const connected = await source.cli(...add);
    expect(connected.code, connected.err).toBe(0);
    await carry(source, { people: [1, 2, 3].map((n) => plainPerson(500 + n)) });
    for (const n of [1, 2, 3]) expect((await source.cli("assign", label, `person50${n}@x.co`)).code).toBe(0);
    const inApp = async () => {
      const answer = await fetch(`${app.url}/Users`, { headers: { authorization: "Bearer chat-token" } });
      return ((await answer.json()) as { Resources: unknown[] }).Resources;
    };
    await expect.poll(async () => (await inApp()).length, { timeout: 30_000 }).toBe(3);
    const linked = async (tenure: Tenure) => {
      const accounts = await tenure.call("GET", `/admin/v1/accounts?app=${encodeURIComponent(label)}`);
      return (accounts as { external_id: string | null; have: unknown }[]).filter((one) => one.external_id && one.have)
        .length;
    };
    await expect.poll(() => linked(source), { timeout: 30_000 }).toBe(3);
    const before = await inApp();
    const from = ["okta-import", source.url, "--token-file", write("source.token", source.token)];
    const moved = await target.cli(...from, "--apply", "--json");
    expect(moved.code, moved.out + moved.err).toBe(0);
    await target.settled();
    // What is typed is what the plan said, and goes on saying until it is done.
    const mine = async () =>
      JSON.parse((await target.cli(...from, "--json")).out).notes.filter(
        ({ name }: { name: string }) => name === label,
      );
    expect(await mine()).toEqual([
      expect.objectContaining({ command: `tenure apps connect '${label}' --token-file FILE` }),
    ]);
    expect(await linked(target)).toBe(0);
    const done = await target.cli("apps", "connect", label, "--token-file", token);
    expect(done.code, done.out + done.err).toBe(0);
    await expect.poll(() => linked(target), { timeout: 30_000 }).toBe(3);
    expect(await inApp()).toEqual(before);
    expect(await mine()).toEqual([]);
  } finally {
    await app.stop();
  }
});

test.each([
  ["no organisation", [], 2, /which organisation\?/],
  ["no token", ["https://company.okta.test"], 6, /--token-file FILE or set OKTA_IMPORT_TOKEN/],
  ["a token in clear over a network", ["http://company.okta.test", "--token-file", "okta.token"], 2, /in clear/],
  ["an address that is none", ["company", "--token-file", "okta.token"], 2, /no http\(s\) address/],
  ["an export that would also apply", ["--export", "x.json", "--apply"], 2, /either --export or --apply/],
  ["a file that is not there", ["--from", "missing.json"], 3, /--from: there is no file missing.json/],
  ["a file that is no document", ["--from", "bad.json"], 2, /version/],
  ["an Okta that is not there", ["http://127.0.0.1:9", "--token-file", "okta.token"], 5, /nothing listens there/],
] as const)("%s is said, with its exit code", async (_name, words, code, message) => {
  write("bad.json", { version: 2 });
  write("okta.token", okta.token);
  const ran = await target.cli("okta-import", ...words);
  expect([ran.code, ran.err]).toEqual([code, expect.stringMatching(message)]);
});

test("a token that Okta does not know, and this Tenure given as the organisation, are said", async () => {
  const wrong = await target.cli("okta-import", okta.url, "--token-file", write("wrong.token", "wrong"));
  expect([wrong.code, wrong.err]).toEqual([6, expect.stringContaining("Invalid token")]);
  const self = await target.cli("okta-import", target.url, "--token-file", write("self.token", target.token));
  expect([self.code, self.err]).toEqual([2, expect.stringContaining("is this Tenure itself")]);
});
