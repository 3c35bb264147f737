/** What `tenure okta-import` makes of an Okta that fails, refuses or is odd, and of a move that was cut off. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { unfinished_why } from "../../src/cli/okta/applyApps.ts";
import type { Organisation } from "../../src/cli/okta/organisation.ts";
import { definitionOf } from "../../src/server/okta/schemaBody.ts";
import { type FakeOkta, fake, type Otherwise, startFakeOkta } from "../support/fakeOkta.ts";
import { nothing, plainApp, plainPerson } from "../support/organisation.ts";
import { startTenure, type Tenure } from "../support/tenure.ts";

let folder: string;
let target: Tenure;
const fakes: FakeOkta[] = [];

function write(name: string, content: unknown): string {
  const file = path.join(folder, name);
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

/** An Okta that is otherwise, and the words that read it. */
async function oktaWith(otherwise: Otherwise) {
  const okta = await startFakeOkta(otherwise);
  fakes.push(okta);
  return { okta, words: ["okta-import", okta.url, "--token-file", write("okta.token", okta.token)] };
}

const part = (document: Partial<Organisation>) => write("part.json", { ...nothing, ...document });
async function planOf(document: Partial<Organisation>) {
  const ran = await target.cli("okta-import", "--from", part(document), "--json");
  expect(ran.code, ran.out + ran.err).toBe(0);
  return JSON.parse(ran.out);
}
async function carry(document: Partial<Organisation>) {
  const ran = await target.cli("okta-import", "--from", part(document), "--apply", "--json");
  expect(ran.code, ran.out + ran.err).toBe(0);
  return JSON.parse(ran.out);
}

/** Answers once otherwise, at this path. */
function once(at: string, answer: (response: ServerResponse) => void): Otherwise {
  let met = false;
  const meddle = (where: string, response: ServerResponse) => {
    if (met || where !== at) return false;
    met = true;
    answer(response);
    return true;
  };
  return { meddle };
}

const always = (at: string, answer: (response: ServerResponse) => void): Otherwise => ({
  meddle: (where, response) => {
    if (where !== at) return false;
    answer(response);
    return true;
  },
});

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "tenure-move-"));
  target = await startTenure(folder, "target");
});
afterEach(async () => {
  await Promise.all(fakes.splice(0).map((okta) => okta.stop()));
});
afterAll(async () => {
  await target.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe("reading", () => {
  test.each<[string, (response: ServerResponse) => void]>([
    [
      "is cut off in the middle",
      (response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
        response.write("[{", () => response.destroy());
      },
    ],
    ["fails within Okta", (response) => fake.refuse(response, 500, "Internal Server Error")],
  ])("asks again when an answer %s", async (_name, answer) => {
    const { words } = await oktaWith(once("/api/v1/groups", answer));
    const ran = await target.cli(...words, "--json");
    expect([ran.code, JSON.parse(ran.out).counts.group.create], ran.err).toEqual([0, 2]);
  });

  test("says that an address answers with pages and not with an API", async () => {
    const { words } = await oktaWith(
      always("/api/v1/meta/types/user", (response) => response.writeHead(200).end("<html>Sign in</html>")),
    );
    const ran = await target.cli(...words);
    expect([ran.code, ran.err]).toEqual([
      1,
      expect.stringContaining("does not answer with JSON: is it the right address?"),
    ]);
  });

  test("ends when the token is revoked meanwhile, and takes no app for one that is not connected", async () => {
    const { words, okta } = await oktaWith(
      always(`/api/v1/apps/${fake.chat}/features`, (response) =>
        fake.answer(response, 401, { errorCode: "E0000011", errorSummary: "Invalid token provided", errorCauses: [] }),
      ),
    );
    const ran = await target.cli(...words, "--apply");
    const where = `(${new URL(okta.url).host}/api/v1/apps/${fake.chat}/features)`;
    expect([ran.code, ran.err]).toEqual([6, expect.stringContaining(`Invalid token provided ${where}`)]);
    expect(await target.call("GET", "/api/v1/groups?q=Sales")).toEqual([]);
  });

  test("leaves an app out that the token may not see whole, and says so", async () => {
    const { words } = await oktaWith(
      always(`/api/v1/apps/${fake.chat}/features`, (response) =>
        fake.refuse(response, 403, "You do not have permission"),
      ),
    );
    const { counts, notes } = JSON.parse((await target.cli(...words, "--json")).out);
    expect(counts.app.create).toBe(2);
    const why = expect.stringMatching(
      /left out, because the token may not see it: You do not have permission .*features/,
    );
    expect(notes).toContainEqual(expect.objectContaining({ kind: "app", name: "Chat", outcome: "unsupported", why }));
  });

  test("goes on where an app or a group is deleted meanwhile, and says so", async () => {
    const gone = [`/api/v1/apps/${fake.chat}/groups`, `/api/v1/groups/${fake.sales}/users`];
    const { words } = await oktaWith({
      meddle: (where, response) => {
        if (!gone.includes(where)) return false;
        fake.refuse(response, 404, "Not found");
        return true;
      },
    });
    const { counts, notes } = JSON.parse((await target.cli(...words, "--json")).out);
    expect([counts.app.create, counts.membership.create]).toEqual([2, 1]);
    const why = expect.stringContaining("was gone when it was to be read");
    expect(notes).toContainEqual(expect.objectContaining({ kind: "app", name: "Chat", why }));
    expect(notes).toContainEqual(expect.objectContaining({ kind: "membership", name: "OKTA_GROUP:Sales", why }));
  });

  test("takes what an organisation has not switched on for what is not there, whatever the status", async () => {
    const { words } = await oktaWith(
      always(`/api/v1/apps/${fake.chat}/group-push/mappings`, (response) =>
        fake.answer(response, 401, { errorCode: "E0000015", errorSummary: "You do not have access to this feature" }),
      ),
    );
    const { counts } = JSON.parse((await target.cli(...words, "--json")).out);
    expect([counts.app.create, counts["group push"].create]).toEqual([3, 0]);
  });

  test("names the list that the token may not see, where there is no going on without it", async () => {
    const { words, okta } = await oktaWith(
      always("/api/v1/groups/rules", (response) => fake.refuse(response, 403, "You do not have permission")),
    );
    const ran = await target.cli(...words);
    const place = `You do not have permission (${new URL(okta.url).host}/api/v1/groups/rules)`;
    expect([ran.code, ran.err]).toEqual([4, expect.stringContaining(place)]);
  });

  test("begins only when this Tenure answers: an hour's reading would be for nothing", async () => {
    const { words, okta } = await oktaWith({});
    const ran = await target.cli(...words, "--url", "http://127.0.0.1:9");
    expect([ran.code, ran.err]).toEqual([5, expect.stringContaining("127.0.0.1:9 (nothing listens there)")]);
    expect(okta.calls).toEqual([]);
  });

  test("makes a line of the user names that Okta cuts off at the @", async () => {
    const template = ["$", '{fn:substringBefore(source.login, "@")}'].join("");
    const wiki = fake.app(2, "company_wiki_1", "Wiki", {
      credentials: { userNameTemplate: { template, type: "BUILT_IN" } },
    });
    const { words, okta } = await oktaWith({ things: { "/api/v1/apps": [wiki] } });
    const file = path.join(folder, "prefix.json");
    const ran = await target.cli(...words, "--export", file);
    expect([ran.code, okta.calls.length > 0], ran.err).toEqual([0, true]);
    const planned = JSON.parse((await target.cli("okta-import", "--from", file, "--json")).out);
    expect(planned.notes.filter(({ kind }: { kind: string }) => kind === "mapping line")).toEqual([]);
    expect(planned.counts["mapping line"].create).toBe(1);
  });
});

describe("the plan", () => {
  const imported = { type: "APP_GROUP", name: "Clerks", app: "Payroll", profile: {} };
  const clerks = "group(APP_GROUP%3AClerks%20%28Payroll%29)";

  test("tells what asks for a group that is not carried over, and keeps its people in by hand", async () => {
    const [person] = [plainPerson(1)];
    const document = {
      people: [person],
      groups: [imported, { type: "OKTA_GROUP", name: "Of clerks", app: null, profile: {} }],
      members: [{ group: "OKTA_GROUP:Of clerks", people: [person.login] }],
      rules: [
        ...[["Clerks' rule", clerks] as const, ["Gone", "00gkkkkkkkkkkkkkkk99"] as const].map(([name, id]) => ({
          ...{ name, status: "ACTIVE", groups: ["OKTA_GROUP:Of clerks"], except: [] },
          expression: `user.city == null or isMemberOfAnyGroup("${id}")`,
        })),
      ],
      apps: [
        plainApp("Asks", {
          attributes: { userName: { type: "string", title: "User name" }, seat: { type: "string", title: "Seat" } },
          to_app: { seat: { expression: `isMemberOfAnyGroup("${clerks}") ? "full" : "light"`, push: true } },
        }),
      ],
    };
    const { notes, counts, failures } = await carry(document);
    expect(failures).toEqual([]);
    const told = notes.map(({ kind, name, why }: Record<string, string>) => `${kind} ${name}: ${why}`);
    expect(told).toContainEqual(
      expect.stringMatching(/^rule Clerks' rule: .*Clerks \(Payroll\), which is not carried over/),
    );
    expect(told).toContainEqual(expect.stringMatching(/^rule Gone: .*00gkkkkkkkkkkkkkkk99, which is not there either/));
    expect(told).toContainEqual(expect.stringMatching(/^mapping line Asks: seat: .*Clerks/));
    expect(counts.membership).toMatchObject({ create: 1, follows: 0 });
    expect((await planOf(document)).empty).toBe(true);
  });

  test("tells of lines of mappings that are not understood, and carries the others over", async () => {
    const attributes = Object.fromEntries(
      ["userName", "one", "two", "other"].map((name) => [name, { type: "string", title: name }]),
    );
    const document = {
      apps: [
        plainApp("Lines", {
          attributes,
          to_app: {
            userName: { expression: "user.login", push: true },
            one: { expression: "NoSuch.function(user.login)", push: true },
            two: { expression: "user.noSuchThing", push: true },
            other: { expression: "source.firstName", push: false },
          },
        }),
      ],
    };
    const { notes, failures } = await carry(document);
    expect(failures).toEqual([]);
    expect(notes.map(({ name, why }: Record<string, string>) => `${name}: ${why}`)).toEqual([
      expect.stringMatching(/^Lines: one: cannot be used here: .*NoSuch/),
      expect.stringMatching(/^Lines: two: cannot be used here: .*noSuchThing/),
    ]);
    expect((await planOf(document)).empty).toBe(true);
  });

  test("leaves people out whose type is defined nowhere, rather than making them of another", async () => {
    const stray = plainPerson(10, { type: "contractor" });
    const { notes, failures } = await carry({ people: [stray] });
    expect(failures).toEqual([]);
    expect(notes).toEqual([expect.objectContaining({ name: stray.login, why: expect.stringContaining("contractor") })]);
    await expect(target.call("GET", `/api/v1/users/${stray.login}`)).rejects.toThrow(/404/);
  });

  test("takes over what an organisation has decided of names and logins", async () => {
    const profile = { login: "CORP\\jim", email: "jim@x.co", firstName: "Jim" };
    const base = { lastName: { required: false }, login: { pattern: "[a-zA-Z\\\\@.0-9]+" } };
    const document = {
      user_types: [{ name: "user", title: "User", description: null, standard: true, attributes: {}, base }],
      people: [plainPerson(0, { login: "CORP\\jim", profile })],
    };
    const { failures } = await carry(document);
    expect(failures).toEqual([]);
    const { definitions } = await target.call("GET", "/api/v1/meta/schemas/user/default");
    expect(definitions.base.properties.login.pattern).toBe(base.login.pattern);
    expect(definitions.base.required).toEqual(["login", "firstName", "email"]);
    const wrong = { profile: { login: "not allowed!", email: "jim2@x.co", firstName: "Jim" } };
    await expect(target.call("POST", "/api/v1/users", wrong)).rejects.toThrow(/login/);
    expect((await planOf(document)).empty).toBe(true);
  });

  test("asks nobody for a value that was not asked for when they came, and keeps nobody out for an attribute", async () => {
    const [has, lacks] = [plainPerson(40), plainPerson(41)];
    const attributes = {
      office: { type: "string", title: "Office", required: true },
      "with-dash": { type: "string", title: "A name that is none here" },
    };
    const document = {
      user_types: [{ name: "user", title: "User", description: null, standard: true, attributes }],
      people: [{ ...has, profile: { ...has.profile, office: "North", "with-dash": "x" } }, lacks],
    };
    const ran = await target.cli("okta-import", "--from", part(document), "--apply", "--json");
    expect(ran.code, ran.err).toBe(7);
    const { failures, notes } = JSON.parse(ran.out);
    expect(failures.map(({ name }: { name: string }) => name)).toEqual(["user: with-dash"]);
    expect(notes).toEqual([
      expect.objectContaining({ name: "user: office", why: expect.stringMatching(/but 1 people have no value/) }),
    ]);
    expect((await target.call("GET", `/api/v1/users/${has.login}`)).profile.office).toBe("North");
    expect((await target.call("GET", `/api/v1/users/${lacks.login}`)).status).toBe("ACTIVE");
  });

  test.each([
    ["DEPROVISIONED", "SUSPENDED"],
    ["DEPROVISIONED", "STAGED"],
    ["STAGED", "SUSPENDED"],
    ["ACTIVE", "STAGED"],
  ])("tells that nothing leads from %s to %s, and does not try", async (before, after) => {
    const login = `${before}.${after}@x.co`.toLowerCase();
    const profile = { login, email: login, firstName: "No", lastName: "Way" };
    await carry({ people: [plainPerson(0, { login, profile, status: before })] });
    const later = { people: [plainPerson(0, { login, profile: { ...profile, title: "Changed" }, status: after })] };
    const { failures, counts } = await carry(later);
    expect(failures).toEqual([]);
    expect(counts.person.unsupported).toBe(1);
    expect((await planOf(later)).empty).toBe(true);
  });

  test("gives an app by itself to whom only a group gave it that is not carried over, so that it ends with them", async () => {
    const people = [plainPerson(20), plainPerson(21)];
    const app = plainApp("By a group", {
      ...{ kind: "scim", body: { settings: { app: { profile: "okta" } } } },
      groups: [
        { group: "APP_GROUP:Clerks (Payroll)", profile: {} },
        { group: "OKTA_GROUP:Carried", profile: {} },
      ],
      people: people.map(({ login }, n) => ({ login, scope: "GROUP", external_id: `e${n}`, profile: {} })),
    });
    const document = {
      people,
      groups: [imported, { type: "OKTA_GROUP", name: "Carried", app: null, profile: {} }],
      members: [{ group: "OKTA_GROUP:Carried", people: ["person21@x.co"] }],
      apps: [app],
    };
    const { failures } = await carry(document);
    expect(failures).toEqual([]);
    await target.settled();
    const { id } = await target.call("GET", "/admin/v1/apps/By%20a%20group");
    const has = (await target.call("GET", `/api/v1/apps/${id}/users?expand=user`)) as {
      scope: string;
      externalId: string;
    }[];
    const found = has.map(({ scope, externalId }) => `${externalId} ${scope}`);
    expect(found.sort()).toEqual(["e0 USER", "e1 GROUP"]);
    expect((await planOf(document)).empty).toBe(true);
  });

  test("takes no other built-in group for Everyone: what a person has for themselves stays theirs", async () => {
    const person = plainPerson(30);
    const app = plainApp("Built in", {
      attributes: { userName: { type: "string", title: "User name" }, seat: { type: "string", title: "Seat" } },
      groups: [{ group: "BUILT_IN:Okta Administrators", profile: { seat: "full" } }],
      people: [{ login: person.login, scope: "USER", external_id: null, profile: { seat: "full" } }],
    });
    await carry({ people: [person], apps: [app] });
    const { id } = await target.call("GET", "/admin/v1/apps/Built%20in");
    const [has] = await target.call("GET", `/api/v1/apps/${id}/users`);
    expect(has.profile.seat).toBe("full");
  });
});

describe("carrying out", () => {
  test("an app whose making was cut off is made whole, and is paused until it is connected", async () => {
    const made = await target.call("POST", "/api/v1/apps?activate=false", { name: "scim", label: "Cut off" });
    await target.call("POST", `/admin/v1/apps/${made.id}/pause`, { reason: unfinished_why });
    const document = {
      apps: [plainApp("Cut off", { kind: "scim", body: { settings: { app: { profile: "okta" } } } })],
    };
    expect((await planOf(document)).counts.app.change).toBe(1);
    const { failures } = await carry(document);
    expect(failures).toEqual([]);
    const { lines } = await target.call("GET", `/admin/v1/apps/${made.id}/mappings/to_app`);
    expect(Object.keys(lines)).toEqual(["userName"]);
    const now = await target.call("GET", `/admin/v1/apps/${made.id}`);
    expect([now.status, now.health.state, now.health.pause_reason]).toEqual([
      ...["ACTIVE", "paused"],
      expect.stringContaining("until the app is connected"),
    ]);
    expect((await planOf(document)).empty).toBe(true);
  });

  test("what the token may not do is told of each, and not asked for each", async () => {
    const made = await target.cli("token", "create", "reader", "--role", "READ_ONLY_ADMIN", "--json");
    expect(made.code, made.err).toBe(0);
    const people = Array.from({ length: 40 }, (_, n) => plainPerson(600 + n));
    const words = [
      "okta-import",
      "--from",
      part({ people }),
      "--apply",
      "--json",
      "--token",
      JSON.parse(made.out).text,
    ];
    const ran = await target.cli(...words);
    expect(ran.code, ran.err).toBe(7);
    const { failures } = JSON.parse(ran.out);
    expect(failures.length).toBe(40);
    expect(failures[0].why).toMatch(/The token "reader" may not change users/);
  });
});

test("an attribute's name in the app and its namespace are kept, also when only its title is changed", async () => {
  const { id } = await target.call("POST", "/api/v1/apps", { name: "scim", label: "Named" });
  const schema = `/api/v1/meta/schemas/apps/${id}/default`;
  const urn = "urn:okta:custom:1.0:User";
  const seat = { title: "Seat", type: "string", externalName: "seat", externalNamespace: urn };
  const core = {
    ...seat,
    title: "Nick",
    externalName: "nick.value",
    externalNamespace: "urn:ietf:params:scim:schemas:core:2.0:User",
  };
  const body = await target.call("POST", schema, { definitions: { custom: { properties: { seat, core } } } });
  const all = { ...body.definitions.base.properties, ...body.definitions.custom.properties };
  expect([all.seat, all.core]).toEqual([expect.objectContaining(seat), expect.objectContaining(core)]);
  const renamed = await target.call("POST", schema, {
    definitions: { custom: { properties: { seat: { type: "string", title: "Chair" } } } },
  });
  expect(renamed.definitions.base.properties.seat ?? renamed.definitions.custom.properties.seat).toMatchObject({
    ...seat,
    title: "Chair",
  });
  // Together they are the path by which it is written.
  expect([definitionOf("seat", seat), definitionOf("core", core)].map((one) => one?.external_name)).toEqual([
    `${urn}:seat`,
    "urn:ietf:params:scim:schemas:core:2.0:User:nick.value",
  ]);
});

test("a base attribute is changed as far as it may be, and what is sent back with it does no harm", async () => {
  const schema = "/api/v1/meta/schemas/user/default";
  const { definitions } = await target.call("GET", schema);
  const { login, ...base } = definitions.base.properties;
  const send = (properties: object) => target.call("POST", schema, { definitions: { base: { properties } } });
  const hidden = { ...base.city, permissions: [{ principal: "SELF", action: "HIDE" }] };
  await send({ ...base, city: hidden, firstName: { ...base.firstName, required: false } });
  await send({ login: { ...login, pattern: null } });
  const after = (await target.call("GET", schema)).definitions.base;
  expect(after.required).not.toContain("firstName");
  expect(after.properties.city.permissions).toEqual(hidden.permissions);
  expect(after.properties.login.pattern).toBeUndefined();
  await send({ firstName: { ...base.firstName, required: true } });
  await expect(send({ shoeSize: { type: "string" } })).rejects.toThrow(/400.*not a base attribute/);
  await expect(send({ login: { ...login, pattern: "(" } })).rejects.toThrow(/400.*pattern/);
});
