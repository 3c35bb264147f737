/** Event hooks over HTTP, in Okta's form: making, changing, verifying them; and what we add to it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { webhook } from "../../src/connectors/webhook.ts";
import { claimEventHooks } from "../../src/engine/eventHookPlaces.ts";
import { tellHook } from "../../src/engine/eventHooks.ts";
import type { World } from "../../src/engine/world.ts";
import { eventHookForm } from "../../src/server/okta/eventHookForm.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { appendEvent, system } from "../../src/store/log.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { outside } from "../support/outside.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { testWorld } from "../support/world.ts";

const word = "a-very-secret-word";
const url = "/api/v1/eventHooks";
let db: Database;
let api: TestApi;
let to: Receiver;

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  [api, to] = [await testApi(db), await startReceiver()];
});
afterEach(() => to.stop());

type Body = Readonly<{ config?: object; events?: object; channel?: object }> & Readonly<Record<string, unknown>>;

/** A hook as Okta's clients send it; `more` beside or in place of its parts. */
const input = ({ config, events, channel, ...more }: Body = {}) => ({
  name: "Billing",
  events: { type: "EVENT_TYPE", items: ["user.lifecycle.create", "group.user_membership.add"], ...events },
  channel: {
    type: "HTTP",
    version: "1.0.0",
    config: {
      uri: "https://hooks.example.com/in?key=1",
      headers: [{ key: "X-Team", value: "ops" }],
      authScheme: { type: "HEADER", key: "Authorization", value: word },
      ...config,
    },
    ...channel,
  },
  ...more,
});

const make = async (more?: Body) => (await api.call("POST", url, input(more))).body;
const local = { config: { uri: "" } };
beforeEach(() => {
  local.config.uri = `${to.url}/in`;
});

const when = (event: string, expression: string | null, more: object = {}) => ({
  events: {
    filter: {
      type: "EXPRESSION_LANGUAGE",
      eventFilterMap: [{ event, condition: { version: null, expression } }],
      ...more,
    },
  },
});

describe("a hook", () => {
  test("is made ACTIVE and UNVERIFIED, in Okta's form, and its secret is not told", async () => {
    const { status, body } = await api.call("POST", url, input({ status: "INACTIVE", description: "Bills" }));
    expect(status).toBe(200);
    const self = `http://tenure.test${url}/${body.id}`;
    expect(body).toEqual({
      id: expect.stringMatching(/^who[0-9A-Za-z]{17}$/),
      status: "ACTIVE",
      verificationStatus: "UNVERIFIED",
      name: "Billing",
      description: "Bills",
      created: expect.stringMatching(/^\d{4}-.*Z$/),
      createdBy: expect.any(String),
      lastUpdated: body.created,
      events: { type: "EVENT_TYPE", items: ["user.lifecycle.create", "group.user_membership.add"], filter: null },
      channel: {
        type: "HTTP",
        version: "1.0.0",
        config: {
          uri: "https://hooks.example.com/in?key=1",
          headers: [{ key: "X-Team", value: "ops" }],
          method: "POST",
          authScheme: { type: "HEADER", key: "Authorization" },
        },
      },
      _links: {
        self: { href: self },
        verify: { href: `${self}/lifecycle/verify`, hints: { allow: ["POST"] } },
        deactivate: { href: `${self}/lifecycle/deactivate`, hints: { allow: ["POST"] } },
      },
    });
    expect((await api.call("GET", `${url}/${body.id}`)).body).toEqual(body);
    expect((await api.call("GET", url)).body).toEqual([body]);
  });

  test("is switched off and on, and deleted only when it is off", async () => {
    const { id } = await make();
    const refused = await api.call("DELETE", `${url}/${id}`);
    expect([refused.status, refused.body.errorCode]).toEqual([400, "E0000001"]);
    const off = await api.call("POST", `${url}/${id}/lifecycle/deactivate`);
    expect([off.status, off.body.status, Object.keys(off.body._links).sort()]).toEqual([
      ...[200, "INACTIVE"],
      ["activate", "delete", "self"],
    ]);
    expect((await api.call("POST", `${url}/${id}/lifecycle/activate`)).body.status).toBe("ACTIVE");
    await api.call("POST", `${url}/${id}/lifecycle/deactivate`);
    expect((await api.call("DELETE", `${url}/${id}`)).status).toBe(204);
    const gone = await api.call("GET", `${url}/${id}`);
    expect([gone.status, gone.body.errorCode, gone.body.errorSummary]).toEqual([
      ...[404, "E0000007"],
      `Not found: Resource not found: ${id} (Webhook)`,
    ]);
    const { rows } = await sql<{
      n: number;
    }>`select count(*)::int as n from secrets where table_name = 'event_hooks'`.execute(db);
    expect(rows[0]?.n).toBe(0);
  });

  test.each(["GET", "PUT", "DELETE"])("that is not there is 404 E0000007: %s", async (method) => {
    const { status, body } = await api.call(
      method,
      `${url}/whonothing0000000000`,
      method === "PUT" ? input() : undefined,
    );
    expect([status, body.errorCode]).toEqual([404, "E0000007"]);
  });

  test("is one of 25 that are active at most", async () => {
    for (let n = 0; n < 25; n++) expect((await api.call("POST", url, input({ name: `h${n}` }))).status).toBe(200);
    const many = await api.call("POST", url, input());
    expect([many.status, many.body.errorCauses[0].errorSummary]).toEqual([400, expect.stringMatching(/25 active/)]);
    const { id } = (await api.call("GET", url)).body[0];
    await api.call("POST", `${url}/${id}/lifecycle/deactivate`);
    expect((await api.call("POST", url, input())).status).toBe(200);
    expect((await api.call("POST", `${url}/${id}/lifecycle/activate`)).status).toBe(400);
  });

  test("says in the log what was done with it", async () => {
    const { id } = await make(local);
    await api.call("PUT", `${url}/${id}`, input(local));
    await api.call("POST", `${url}/${id}/lifecycle/verify`);
    await api.call("POST", `${url}/${id}/lifecycle/deactivate`);
    await api.call("POST", `${url}/${id}/lifecycle/activate`);
    await api.call("POST", `${url}/${id}/lifecycle/deactivate`);
    await api.call("DELETE", `${url}/${id}`);
    const { rows } = await sql<{
      type: string;
    }>`select type from events where type like 'event_hook.%' order by seq`.execute(db);
    expect(rows.map(({ type }) => type.slice("event_hook.".length))).toEqual([
      ...["created", "updated", "verified", "deactivated", "activated", "deactivated", "deleted"],
    ]);
  });
});

describe("what is refused with 400 E0000001, and nothing is kept", () => {
  test.each<[string, Body, RegExp]>([
    ["no name", { name: "" }, /^name/],
    ["no events", { events: { items: [] } }, /^events\.items/],
    ["301 events", { events: { items: Array.from({ length: 301 }, (_, n) => `a.b${n}`) } }, /^events\.items/],
    ["an event type that is none", { events: { items: ["everything"] } }, /^events\.items\.0.*event type/],
    ["another type of events", { events: { type: "FLOW_EVENT" } }, /^events\.type/],
    ["another channel", { channel: { type: "SMTP" } }, /^channel\.type/],
    ["another version", { channel: { version: "2" } }, /^channel\.version/],
    ["no address", { config: { uri: undefined } }, /^channel\.config\.uri/],
    ["no URL", { config: { uri: "hooks.example.com" } }, /^channel\.config\.uri.*not a URL/],
    ["a password in the address", { config: { uri: "https://a:b@hooks.example.com" } }, /user name or password/],
    ["another method", { config: { method: "PUT" } }, /^channel\.config\.method/],
    [
      "a header that is ours",
      { config: { headers: [{ key: "Content-Length", value: "1" }] } },
      /headers\.0\.key.*not yours/,
    ],
    ["a header's name that is none", { config: { headers: [{ key: "a b", value: "1" }] } }, /headers\.0\.key/],
    ["a header with a line's end", { config: { headers: [{ key: "a", value: "1\r\nb: 2" }] } }, /headers\.0\.value/],
    [
      "a secret with a line's end",
      { config: { authScheme: { type: "HEADER", key: "A", value: "1\n2" } } },
      /authScheme\.value/,
    ],
    ["another scheme", { config: { authScheme: { type: "BASIC", key: "A", value: "1" } } }, /authScheme\.type/],
    [
      "a filter on another event",
      when("user.lifecycle.delete", "event.outcome.result eq 'SUCCESS'"),
      /not among events\.items/,
    ],
    ["a filter without words", when("user.lifecycle.create", null), /expression: is required/],
    ["a filter that is none", when("user.lifecycle.create", "event.outcome.result eq"), /cannot be evaluated/],
    [
      "a filter over what it may not see",
      when("user.lifecycle.create", "event.client.ipAddress eq '1'"),
      /event\.outcome\.result/,
    ],
    [
      "a filter with more than equality",
      when("user.lifecycle.create", "event.actor.id matches '.*'"),
      /cannot be evaluated/,
    ],
    ["a filter that calls", when("user.lifecycle.create", "T(java.lang.Runtime).exit(0)"), /cannot be evaluated/],
    [
      "a filter in another language",
      when("user.lifecycle.create", "event.actor.id eq 'a'", { type: "JS" }),
      /filter\.type/,
    ],
  ])("%s", async (_, more, cause) => {
    const { status, body } = await api.call("POST", url, input(more));
    expect([status, body.errorCode]).toEqual([400, "E0000001"]);
    expect(body.errorCauses.map(({ errorSummary }: { errorSummary: string }) => errorSummary).join("\n")).toMatch(
      cause,
    );
    expect(JSON.stringify(body)).not.toContain(word);
    expect((await api.call("GET", url)).body).toEqual([]);
  });

  test.each([
    ["http", "http://hooks.example.com/in"],
    ["loopback", "https://127.0.0.1/in"],
    ["a private network", "https://192.168.1.1/in"],
    ["cloud metadata", "https://169.254.169.254/latest"],
  ])("an address inside, where the server may not reach it: %s", async (_, uri) => {
    const now = () => new Date();
    const world = { ...(await testWorld(db, { prepared: true })), ...outside(db, now), now } as World;
    const strict: World = { ...world, webhook: (target) => webhook(target, { allow_private: false }) };
    const shut = await testApi(db, { world: strict });
    const { status, body } = await shut.call("POST", url, input({ config: { uri } }));
    expect([status, body.errorCode]).toEqual([400, "E0000001"]);
    expect(body.errorCauses[0].errorSummary).toMatch(/^channel\.config\.uri/);
  });
});

describe("filters are kept as they were given", () => {
  test.each([
    "event.outcome.result eq 'SUCCESS'",
    "event.target.?[type eq 'UserGroup' && displayName eq 'Sales'].size()> 0 || event.actor.id ne \"00u1\"",
  ])("%s", async (expression) => {
    const given = when("group.user_membership.add", expression);
    const { id, events } = await make(given);
    expect(events.filter).toEqual(given.events.filter);
    expect((await api.call("GET", `${url}/${id}`)).body.events.filter).toEqual(given.events.filter);
  });
});

describe("replacing", () => {
  const scheme = (value?: string) => ({ authScheme: { type: "HEADER", key: "Authorization", value } });

  test.each<[string, string, () => Body]>([
    ["with the same", "VERIFIED", () => local],
    ["name and events", "VERIFIED", () => ({ ...local, name: "Other", events: { items: ["a.b"] } })],
    ["with the secret left out", "VERIFIED", () => ({ config: { ...local.config, ...scheme() } })],
    ["the path", "UNVERIFIED", () => ({ config: { uri: `${to.url}/other` } })],
    ["the headers", "UNVERIFIED", () => ({ config: { ...local.config, headers: [] } })],
    ["the secret", "UNVERIFIED", () => ({ config: { ...local.config, ...scheme("another-one") } })],
    ["the secret by none", "UNVERIFIED", () => ({ config: { ...local.config, authScheme: null } })],
  ])("%s leaves it %s", async (_, expected, more) => {
    const { id } = await make(local);
    expect((await api.call("POST", `${url}/${id}/lifecycle/verify`)).body.verificationStatus).toBe("VERIFIED");
    const { status, body } = await api.call("PUT", `${url}/${id}`, input(more()));
    expect([status, body.verificationStatus, body.status]).toEqual([200, expected, "ACTIVE"]);
  });

  test("the address does not send the secret to another host than it was given for", async () => {
    const { id } = await make(local);
    const elsewhere = { uri: "https://elsewhere.example.com/", authScheme: { type: "HEADER", key: "Authorization" } };
    const refused = await api.call("PUT", `${url}/${id}`, input({ config: elsewhere }));
    expect([refused.status, refused.body.errorCauses[0].errorSummary]).toEqual([
      400,
      expect.stringContaining("give it again"),
    ]);
    expect((await api.call("GET", `${url}/${id}`)).body.channel.config.uri).toBe(`${to.url}/in`);
  });
});

describe("verifying", () => {
  test("sends a word nobody can guess, with the secret and the headers, and believes who gives it back", async () => {
    const { id } = await make(local);
    const { status, body } = await api.call("POST", `${url}/${id}/lifecycle/verify`);
    expect([status, body.verificationStatus, body.status]).toEqual([200, "VERIFIED", "ACTIVE"]);
    await api.call("POST", `${url}/${id}/lifecycle/verify`);
    expect(
      to.got.map(({ method, url: path, headers }) => [method, path, headers["authorization"], headers["x-team"]]),
    ).toEqual([
      ["GET", "/in", word, "ops"],
      ["GET", "/in", word, "ops"],
    ]);
    const words = to.got.map(({ headers }) => String(headers["x-okta-verification-challenge"]));
    expect(new Set(words.filter((one) => one.length >= 32)).size).toBe(2);
  });

  test("is refused with 400 E0000001 when nobody is there, and is in the log", async () => {
    const { id } = await make({ config: { uri: "http://127.0.0.1:9/in" } });
    const { status, body } = await api.call("POST", `${url}/${id}/lifecycle/verify`);
    expect([status, body.errorCode, body.errorCauses.length]).toEqual([400, "E0000001", 1]);
    expect((await api.call("GET", `${url}/${id}`)).body.verificationStatus).toBe("UNVERIFIED");
    const { rows } = await sql`select from events where type = 'event_hook.verified' and outcome = 'FAILURE'`.execute(
      db,
    );
    expect(rows.length).toBe(1);
  });
});

describe("deliveries over the API", () => {
  const admin = "/admin/v1/event-hooks";

  async function told(reasons: readonly string[], of = "user.lifecycle.create") {
    const world = await testWorld(db, { prepared: true });
    const now = () => new Date();
    for (const reason of reasons) await appendEvent(db, now(), { type: of, actor: system, reason });
    for (const claimed of await claimEventHooks({ ...world, now })) {
      await tellHook({ ...world, now }, eventHookForm, claimed);
    }
  }

  test("are listed in pages, the newest first, and made again one by one or from an event on", async () => {
    const { id } = await make(local);
    await api.call("POST", `${url}/${id}/lifecycle/verify`);
    for (const reason of ["one", "two", "three"]) await told([reason]);
    const first = await api.call("GET", `${admin}/${id}/deliveries?limit=2`);
    const rest = await api.call("GET", first.next ?? "");
    expect([first.body.length, rest.body.length, rest.next]).toEqual([2, 1, undefined]);
    expect(first.body[0]).toMatchObject({ outcome: "DELIVERED", status: 204, attempt: 1, again: false, error: null });
    const again = await api.call("POST", `${admin}/${id}/replay`, { delivery_id: rest.body[0].id });
    expect([again.status, again.body.outcome, to.told().at(-1)]).toEqual([200, "DELIVERED", "one"]);
    const from_seq = first.body[1].seqs[0];
    expect((await api.call("POST", `${admin}/${id}/replay`, { from_seq })).body).toEqual({ from_seq });
    await told([]);
    expect(to.told()).toEqual(["one", "two", "three", "one", "two", "three"]);
    expect(JSON.stringify([first.body, (await api.call("GET", admin)).body])).not.toContain(word);
  });

  test("that fail show in how the hook stands", async () => {
    const { id } = await make(local);
    expect((await api.call("GET", admin)).body).toMatchObject([{ id, state: "unverified", verified: false }]);
    await api.call("POST", `${url}/${id}/lifecycle/verify`);
    to.answer((got, response) => void response.writeHead(500).end(`no ${got.headers["authorization"]}`));
    await told(["one"]);
    const [shown] = (await api.call("GET", admin)).body;
    expect(shown).toMatchObject({ state: "retrying", attempts: 1, error: expect.stringContaining("answered 500") });
    const { body } = await api.call("GET", `${admin}/${id}/deliveries?outcome=FAILED`);
    expect(body).toMatchObject([{ status: 500, error: expect.stringContaining("answered 500") }]);
    expect(JSON.stringify([shown, body])).not.toContain(word);
  });

  test.each([
    [{}, 400],
    [{ from_seq: 1, delivery_id: "whd1" }, 400],
    [{ from_seq: 0 }, 400],
    [{ from: "yesterday" }, 400],
    [{ anything: 1 }, 400],
    [{ delivery_id: "whdnothing0000000000" }, 404],
  ])("a replay that says %j is refused", async (body, status) => {
    const { id } = await make(local);
    await api.call("POST", `${url}/${id}/lifecycle/verify`);
    expect((await api.call("POST", `${admin}/${id}/replay`, body)).status).toBe(status);
  });
});
