/** /api/v1/inlineHooks in Okta's form, what is refused, what stays secret, and a hook that is really called. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { secret } from "../../src/connectors/connector.ts";
import { webhook } from "../../src/connectors/webhook.ts";
import type { World } from "../../src/engine/world.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { by_hand, type HookServer, hookServer, plainly, silence } from "../support/hookServer.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { outside } from "../support/outside.ts";

let db: Database;
let api: TestApi;
let hook: HookServer;

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db);
  hook = await hookServer();
});
afterEach(() => hook.close());

const url = "/api/v1/inlineHooks";
const header = { type: "HEADER", key: "X-Key", value: "a-secret-of-ours" };
const http = (config: object = {}, more: object = {}) => ({
  name: "Names",
  type: "com.okta.import.transform",
  version: "1.0.0",
  channel: {
    type: "HTTP",
    version: "1.0.0",
    config: { uri: "https://hooks.example/in", authScheme: header, ...config },
  },
  ...more,
});
const oauth = (config: object = {}) => ({
  ...http(),
  channel: {
    type: "OAUTH",
    version: "1.0.0",
    config: {
      ...{ uri: "https://hooks.example/in", authType: "client_secret_post", clientId: "ours" },
      ...{ clientSecret: "a-secret-of-ours", tokenUrl: "https://tokens.example/token", scope: "names", ...config },
    },
  },
});
const make = async (body: unknown) => (await api.call("POST", url, body)).body;
const causes = ({ body }: { body: { errorCauses: { errorSummary: string }[] } }) =>
  body.errorCauses.map(({ errorSummary }) => errorSummary).join("; ");
const eventsOf = async () =>
  (
    await sql<{ type: string; outcome: string; reason: string | null }>`
      select type, outcome, reason from events where type like 'inline_hook.%' order by seq`.execute(db)
  ).rows;

describe("an inline hook", () => {
  test("is made active, shown in Okta's form, switched off, and deleted", async () => {
    const made = await make({ ...http(), status: "INACTIVE" });
    const self = `http://tenure.test${url}/${made.id}`;
    const allow = (...methods: string[]) => ({ hints: { allow: methods } });
    expect(made).toEqual({
      id: expect.stringMatching(/^cal.{17}$/),
      status: "ACTIVE",
      name: "Names",
      type: "com.okta.import.transform",
      version: "1.0.0",
      channel: {
        type: "HTTP",
        version: "1.0.0",
        config: {
          uri: "https://hooks.example/in",
          headers: [],
          method: "POST",
          authScheme: { type: "HEADER", key: "X-Key" },
        },
      },
      created: expect.any(String),
      lastUpdated: expect.any(String),
      _links: {
        self: { href: self },
        execute: { href: `${self}/execute`, ...allow("POST") },
        deactivate: { href: `${self}/lifecycle/deactivate`, ...allow("POST") },
      },
    });
    const active = await api.call("DELETE", `${url}/${made.id}`);
    expect([active.status, active.body.errorCode]).toEqual([400, "E0000001"]);
    const off = await api.call("POST", `${url}/${made.id}/lifecycle/deactivate`);
    expect([off.status, off.body.status, Object.keys(off.body._links)]).toEqual([
      200,
      "INACTIVE",
      ["activate", "self", "delete"],
    ]);
    expect((await api.call("POST", `${url}/${made.id}/lifecycle/activate`)).body.status).toBe("ACTIVE");
    await api.call("POST", `${url}/${made.id}/lifecycle/deactivate`);
    expect((await api.call("DELETE", `${url}/${made.id}`)).status).toBe(204);
    const gone = await api.call("GET", `${url}/${made.id}`);
    expect([gone.status, gone.body.errorCode, gone.body.errorSummary]).toEqual([
      404,
      "E0000007",
      `Not found: Resource not found: ${made.id} (InlineHook)`,
    ]);
    expect((await eventsOf()).map(({ type }) => type)).toEqual([
      ...["inline_hook.created", "inline_hook.deactivated", "inline_hook.activated"],
      ...["inline_hook.deactivated", "inline_hook.deleted"],
    ]);
  });

  test("with a token of OAuth shows everything but the secret", async () => {
    const { channel } = await make(oauth());
    expect(channel.config).toEqual({
      ...{ uri: "https://hooks.example/in", headers: [], method: "POST", authScheme: null, clientId: "ours" },
      ...{ tokenUrl: "https://tokens.example/token", authType: "client_secret_post", scope: "names" },
    });
  });

  test("are listed, all or those of a type", async () => {
    await make(http());
    await make({ ...http(), type: "com.okta.oauth2.tokens.transform", name: "Tokens" });
    const names = async (query: string) =>
      (await api.call("GET", `${url}${query}`)).body.map(({ name }: { name: string }) => name);
    expect(await names("")).toEqual(["Names", "Tokens"]);
    expect(await names("?type=com.okta.oauth2.tokens.transform")).toEqual(["Tokens"]);
    expect((await api.call("GET", `${url}?type=com.okta.nothing`)).status).toBe(400);
  });

  test("is replaced as a whole by PUT, in parts by POST, and its type stays", async () => {
    const { id } = await make(http({ headers: [{ key: "X-A", value: "1" }] }));
    const part = await api.call("POST", `${url}/${id}`, { name: "Parts", channel: { config: { method: "POST" } } });
    expect([part.status, part.body.name]).toEqual([200, "Parts"]);
    expect(part.body.channel.config.headers).toEqual([{ key: "X-A", value: "1" }]);
    const whole = await api.call("PUT", `${url}/${id}`, http({}, { name: "Whole" }));
    expect([whole.body.name, whole.body.channel.config.headers]).toEqual(["Whole", []]);
    const other = await api.call("PUT", `${url}/${id}`, { ...http(), type: "com.okta.telephony.provider" });
    expect([other.status, causes(other)]).toEqual([400, expect.stringContaining("type: is com.okta.import.transform")]);
    expect((await api.call("POST", `${url}/${id}`, { channel: { config: { uri: "no" } } })).status).toBe(400);
    expect((await api.call("PUT", `${url}/calnone`, http())).status).toBe(404);
    const turned = await api.call("POST", `${url}/${id}`, { channel: oauth().channel });
    expect(turned.body.channel.config).toMatchObject({ authScheme: null, clientId: "ours" });
  });
});

describe("what is not right is refused whole, and each cause is named", () => {
  test.each([
    ["no name", { ...http(), name: "" }, "name"],
    ["an unknown type", { ...http(), type: "com.okta.nothing" }, "type"],
    ["no version", { ...http(), version: undefined }, "version"],
    ["no channel", { ...http(), channel: undefined }, "channel"],
    ["another channel", { ...http(), channel: { type: "SMTP", version: "1.0.0", config: {} } }, "channel.type"],
    ["no address", http({ uri: undefined }), "channel.config.uri"],
    ["an address that is none", http({ uri: "hooks" }), "channel.config.uri"],
    ["a password in the address", http({ uri: "https://me:it@hooks.example" }), "channel.config.uri"],
    ["cloud metadata", http({ uri: "https://169.254.169.254/latest" }), "channel.config.uri"],
    ["another method", http({ method: "GET" }), "channel.config.method"],
    [
      "a header that is the call's own",
      http({ headers: [{ key: "Host", value: "x" }] }),
      "channel.config.headers.0.key",
    ],
    [
      "a header with a line end",
      http({ headers: [{ key: "X", value: "a\r\nb: c" }] }),
      "channel.config.headers.0.value",
    ],
    [
      "no value of the scheme",
      http({ authScheme: { ...header, value: undefined } }),
      "channel.config.authScheme.value",
    ],
    ["another scheme", http({ authScheme: { ...header, type: "BASIC" } }), "channel.config.authScheme.type"],
    ["no client secret", oauth({ clientSecret: undefined }), "channel.config.clientSecret"],
    ["no client", oauth({ clientId: undefined }), "channel.config.clientId"],
    ["a key of ours that there is not", oauth({ authType: "private_key_jwt" }), "channel.config.authType"],
    ["a token address inside the cloud", oauth({ tokenUrl: "http://169.254.169.254/" }), "channel.config.tokenUrl"],
  ])("%s", async (_what, body, place) => {
    const answer = await api.call("POST", url, body);
    expect([answer.status, answer.body.errorCode]).toEqual([400, "E0000001"]);
    expect(causes(answer)).toContain(place);
    expect((await api.call("GET", url)).body).toEqual([]);
  });

  test("private addresses and plain http, unless the operator lets them be reached", async () => {
    const strict = await testApi(db, { world: strictWorld() });
    for (const uri of ["http://hooks.example/in", "https://127.0.0.1/in", "https://10.0.0.1/in"]) {
      expect((await strict.call("POST", url, http({ uri }))).status).toBe(400);
    }
  });

  test("a second active hook for passwords, and a fifty-first hook", async () => {
    const passwords = { ...http(), type: "com.okta.user.credential.password.import" };
    const first = await make(passwords);
    const second = await api.call("POST", url, passwords);
    expect([second.status, causes(second)]).toEqual([400, expect.stringContaining("only one password import hook")]);
    await api.call("POST", `${url}/${first.id}/lifecycle/deactivate`);
    expect((await api.call("POST", url, passwords)).status).toBe(200);
    expect((await api.call("POST", `${url}/${first.id}/lifecycle/activate`)).status).toBe(400);
    for (let n = 2; n < 50; n++) await make(http());
    expect((await api.call("POST", url, http())).status).toBe(400);
  });
});

describe("a hook's secret", () => {
  test.each([
    ["a header", http()],
    ["a client", oauth()],
  ])("of %s lies sealed and is in no answer, table or log; it goes with the hook", async (_what, body) => {
    const { id } = await make(body);
    await api.call("PUT", `${url}/${id}`, body);
    const tables = ["inline_hooks", "events", "secrets"];
    for (const table of tables) {
      const { rows } = await sql`select * from ${sql.table(table)}`.execute(db);
      expect(JSON.stringify(rows)).not.toContain("a-secret-of-ours");
    }
    expect(JSON.stringify((await api.call("GET", url)).body)).not.toContain("a-secret-of-ours");
    await api.call("POST", `${url}/${id}/lifecycle/deactivate`);
    await api.call("DELETE", `${url}/${id}`);
    expect((await sql`select 1 from secrets where table_name = 'inline_hooks'`.execute(db)).rows).toEqual([]);
  });

  test.each([
    ["a header", http(), http({ uri: "https://thief.example/in", authScheme: { ...header, value: undefined } })],
    ["a client", oauth(), oauth({ tokenUrl: "https://thief.example/", clientSecret: undefined })],
    ["what a client's token opens", oauth(), oauth({ uri: "https://thief.example/", clientSecret: undefined })],
  ])("of %s is not taken to another address, unless it is given again", async (_what, body, moved) => {
    const { id } = await make(body);
    const answer = await api.call("PUT", `${url}/${id}`, moved);
    expect([answer.status, causes(answer)]).toEqual([400, expect.stringContaining("give it again")]);
    expect((await api.call("GET", `${url}/${id}`)).body.channel.config.uri).toBe("https://hooks.example/in");
  });

  test("is kept when it is not given again, dropped when the hook wants none", async () => {
    const { id } = await make(http({ uri: `${hook.url}/in` }));
    await api.call(
      "PUT",
      `${url}/${id}`,
      http({ uri: `${hook.url}/other`, authScheme: { ...header, value: undefined } }),
    );
    await api.call("POST", `${url}/${id}/execute`, {});
    expect(hook.heard.map(({ path, headers }) => [path, headers["x-key"]])).toEqual([["/other", "a-secret-of-ours"]]);
    await api.call("PUT", `${url}/${id}`, http({ uri: `${hook.url}/in`, authScheme: null }));
    expect((await sql`select 1 from secrets where table_name = 'inline_hooks'`.execute(db)).rows).toEqual([]);
  });
});

describe("executing a hook", () => {
  test("sends the payload with the headers and gives what it answered", async () => {
    const { id } = await make(http({ uri: `${hook.url}/in?code=7`, headers: [{ key: "X-Test", value: "yes" }] }));
    const commands = [{ type: "com.okta.user.profile.update", value: { firstName: "Ann" } }];
    hook.answer(() => ({ commands }));
    const payload = { data: { user: { profile: { firstName: "ann" } } } };
    const answer = await api.call("POST", `${url}/${id}/execute`, payload);
    expect([answer.status, answer.body]).toEqual([200, { commands }]);
    expect(hook.heard[0]).toMatchObject({
      path: "/in?code=7",
      body: payload,
      headers: { "x-test": "yes", "x-key": "a-secret-of-ours", "content-type": "application/json" },
    });
    hook.answer(() => undefined);
    expect((await api.call("POST", `${url}/${id}/execute`, {})).body).toEqual({});
  });

  test("fetches a token with the client's secret first", async () => {
    const { id } = await make(oauth({ uri: `${hook.url}/in`, tokenUrl: `${hook.url}/token` }));
    hook.answer(({ path }) => (path === "/token" ? { access_token: "t-1", token_type: "Bearer", expires_in: 60 } : {}));
    expect((await api.call("POST", `${url}/${id}/execute`, {})).status).toBe(200);
    const [token, call] = hook.heard;
    expect(Object.fromEntries(new URLSearchParams(token?.text))).toEqual({
      ...{ grant_type: "client_credentials", client_id: "ours", client_secret: "a-secret-of-ours", scope: "names" },
    });
    expect(call?.headers.authorization).toBe("Bearer t-1");
    hook.answer(({ path }) => (path === "/token" ? { error: "invalid_client" } : {}));
    const refused = await api.call("POST", `${url}/${id}/execute`, {});
    expect([refused.status, causes(refused)]).toEqual([400, expect.stringContaining("without a token")]);
  });

  test("tries once more after a 5xx, and not after a no", async () => {
    const { id } = await make(http({ uri: hook.url }));
    let calls = 0;
    hook.answer((_heard, response) => {
      calls += 1;
      if (calls > 1) return { commands: [] };
      response.writeHead(503).end();
      return by_hand;
    });
    expect((await api.call("POST", `${url}/${id}/execute`, {})).status).toBe(200);
    expect(calls).toBe(2);
    hook.answer(plainly(403));
    expect((await api.call("POST", `${url}/${id}/execute`, {})).status).toBe(400);
    expect(hook.heard).toHaveLength(3);
  });

  test.each([
    ["a redirect", plainly(302, "", { location: "https://elsewhere.example/" }), "redirect"],
    ["a page", plainly(200, "<html></html>", { "content-type": "text/html" }), "no JSON"],
    ["torn JSON", plainly(200, "{", { "content-type": "application/json" }), "malformed"],
    ["a list", plainly(200, "[]", { "content-type": "application/json" }), "no JSON object"],
    ["too much", plainly(200, "x".repeat(300_000)), "256 KiB"],
    ["JSON in JSON in JSON", plainly(200, "[".repeat(1_000)), "nests"],
  ])("%s is no answer: 400 says what was wrong, and the log knows", async (_what, answer, words) => {
    const { id } = await make(http({ uri: hook.url }));
    hook.answer(answer);
    const refused = await api.call("POST", `${url}/${id}/execute`, {});
    expect([refused.status, refused.body.errorCode, causes(refused)]).toEqual([
      400,
      "E0000001",
      expect.stringContaining(words),
    ]);
    expect((await eventsOf()).at(-1)).toMatchObject({ type: "inline_hook.executed", outcome: "FAILURE" });
  });

  test("waits three seconds, twice", { timeout: 20_000 }, async () => {
    const { id } = await make(http({ uri: hook.url }));
    hook.answer(silence);
    const began = performance.now();
    const refused = await api.call("POST", `${url}/${id}/execute`, {});
    expect([refused.status, causes(refused)]).toEqual([400, expect.stringContaining("no answer before the deadline")]);
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(hook.heard).toHaveLength(2);
  });

  test("is not done with a hook that is off, or whose header nobody can send", async () => {
    const { id } = await make(http({ uri: hook.url, headers: [{ key: "Field 1", value: "Value 1" }] }));
    expect(causes(await api.call("POST", `${url}/${id}/execute`, {}))).toContain('"Field 1" is no name of a header');
    await api.call("POST", `${url}/${id}/lifecycle/deactivate`);
    expect(causes(await api.call("POST", `${url}/${id}/execute`, {}))).toContain("activate it first");
    expect(hook.heard).toEqual([]);
  });
});

describe("what is done without an answer", () => {
  test("is said over /admin/v1: go on by default, or refuse", async () => {
    const { id } = await make(http());
    const one = `/admin/v1/inline-hooks/${id}`;
    expect((await api.call("GET", one)).body).toMatchObject({ id, name: "Names", on_failure: "continue" });
    expect((await api.call("PATCH", one, { on_failure: "refuse" })).body.on_failure).toBe("refuse");
    expect((await api.call("PATCH", one, { on_failure: "shrug" })).status).toBe(400);
    expect((await api.call("GET", "/admin/v1/inline-hooks")).body).toHaveLength(1);
    expect((await api.call("PUT", `${url}/${id}`, http())).status).toBe(200);
    expect((await api.call("GET", one)).body.on_failure).toBe("refuse");
    expect((await api.call("PATCH", "/admin/v1/inline-hooks/calnone", { on_failure: "refuse" })).status).toBe(404);
  });
});

/** A world as an operator has it who does not let private addresses be reached. */
function strictWorld(): World {
  const now = () => new Date();
  return {
    ...{ db, node: "test", now, random: Math.random, lease_ms: 60_000, ...outside(db, now) },
    webhook: (target) => webhook(target, { allow_private: false }),
    deadline: () => new AbortController().signal,
    password: () => secret("Temporary-1!"),
    app: () => Promise.reject(new Error("no app is called in these tests")),
    source: () => Promise.reject(new Error("no app is called in these tests")),
  };
}
