/** Client credentials against a token place and a list over HTTP on loopback: rightly, and as somebody hostile would answer. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Connector, type Context, secret } from "../../src/connectors/connector.ts";
import { createConnector } from "../../src/connectors/registry.ts";
import type { RestConfig } from "../../src/connectors/rest/config.ts";
import { restConnector } from "../../src/connectors/rest/connector.ts";
import { destinationOf } from "../../src/main/appTools.ts";
import { faultOf } from "./faultOf.ts";

type Asked = Readonly<{ method: string; url: string; headers: IncomingMessage["headers"]; body: string }>;
type Reply = Readonly<{ status?: number; body?: unknown; headers?: Record<string, string>; text?: string }>;

const client_secret = "cl!ent s3cret/with+marks";
let servers: Server[] = [];
let connectors: Connector[] = [];
let lines: string[] = [];
let asked: Asked[] = [];
let listed: Asked[] = [];
let token_url = "";
let base_url = "";
let grant: (asked: Asked, n: number) => Reply | Promise<Reply>;
let answer: (asked: Asked) => Reply;
let ms = 0;

const ctx = (signal: AbortSignal = AbortSignal.timeout(30_000)): Context => ({
  signal,
  log: (line) => lines.push(JSON.stringify(line)),
  now: () => new Date(),
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  servers.push(server);
  await new Promise((done) => server.once("listening", done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function read(request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { method = "", url = "", headers } = request;
  return { method, url, headers, body: Buffer.concat(chunks).toString("utf8") };
}

const replying =
  (kept: () => Asked[], reply: (asked: Asked, n: number) => Reply | Promise<Reply>): RequestListener =>
  async (request, response) => {
    const one = await read(request);
    kept().push(one);
    const { status = 200, body, headers, text } = await reply(one, kept().length);
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(text ?? JSON.stringify(body));
  };

beforeEach(async () => {
  [asked, listed, lines, ms] = [[], [], [], 0];
  grant = (_, n) => ({ body: { access_token: `token-number-${n}`, token_type: "Bearer", expires_in: 3600 } });
  answer = () => ({ body: [{ id: "1" }] });
  token_url = `${await serve(
    replying(
      () => asked,
      (one, n) => grant(one, n),
    ),
  )}/oauth/token?company=acme`;
  base_url = await serve(
    replying(
      () => listed,
      (one) => answer(one),
    ),
  );
});
afterEach(async () => {
  await Promise.all(connectors.map((one) => one.close?.()));
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  [servers, connectors] = [[], []];
});

const oauth = (more: object = {}) => ({ token_url, client_id: "tenure:1", ...more });

function source(more: Partial<RestConfig> = {}, text = client_secret): Connector {
  const config: RestConfig = { base_url, path: "/workers", id: "/id", auth: "oauth", oauth: oauth(), ...more };
  const made = restConnector(config, { token: secret(text) }, { allow_private: true, now_ms: () => ms });
  connectors.push(made);
  return made;
}

describe("a token", () => {
  test("is asked for by client credentials, with the client signed in by basic, each part encoded as a form", async () => {
    await source({ oauth: oauth({ scope: "hr.read people", extra: { audience: "https://hr.example/" } }) }).test(ctx());
    const [one] = asked;
    expect([one?.method, one?.url]).toEqual(["POST", "/oauth/token?company=acme"]);
    expect(one?.headers["content-type"]).toBe("application/x-www-form-urlencoded");
    expect(Object.fromEntries(new URLSearchParams(one?.body))).toEqual({
      grant_type: "client_credentials",
      scope: "hr.read people",
      audience: "https://hr.example/",
    });
    const basic = Buffer.from(one?.headers.authorization?.slice(6) ?? "", "base64").toString("utf8");
    expect(basic.split(":").map(decodeURIComponent)).toEqual(["tenure:1", client_secret]);
    expect(listed[0]?.headers.authorization).toBe("Bearer token-number-1");
  });

  test("is asked for with the client in the body where the form says so", async () => {
    await source({ oauth: oauth({ client_auth: "body" }) }).test(ctx());
    expect(asked[0]?.headers.authorization).toBeUndefined();
    expect(Object.fromEntries(new URLSearchParams(asked[0]?.body))).toMatchObject({
      client_id: "tenure:1",
      client_secret,
    });
  });

  test("is one for many callers at once, and for later ones until shortly before it ends", async () => {
    const connector = source();
    await Promise.all(Array.from({ length: 20 }, () => connector.list(ctx(), {})));
    ms = 3_539_000;
    await connector.list(ctx(), {});
    expect([asked.length, listed.length]).toEqual([1, 21]);
    ms = 3_541_000;
    await connector.list(ctx(), {});
    expect([asked.length, listed.at(-1)?.headers.authorization]).toEqual([2, "Bearer token-number-2"]);
  });

  test("is taken anew, once, where the list answers 401, also by many at once", async () => {
    answer = ({ headers }) =>
      headers.authorization === "Bearer token-number-1" ? { status: 401, body: {} } : { body: [{ id: "1" }] };
    const connector = source();
    await Promise.all(Array.from({ length: 8 }, () => connector.list(ctx(), {})));
    expect(asked).toHaveLength(2);
  });

  test("is not taken again and again where the list refuses every one; the list is what refused", async () => {
    answer = () => ({ status: 401, body: { error: "no token-number-2 here" } });
    const fault = await faultOf(source().list(ctx(), {}));
    expect([fault.kind, asked.length, listed.length]).toEqual(["denied", 2, 2]);
    expect(fault.message).toContain(`GET ${base_url}/workers answered 401`);
    expect(fault.message).not.toContain("token-number");
  });

  test.each<[string, unknown, number]>([
    ["is not told", undefined, 300],
    ["is a text", "3600", 3600],
    ["is nonsense", "soon", 300],
    ["is negative", -5, 300],
    ["is an object", { s: 1 }, 300],
    ["is nothing", 0, 5],
    ["is beyond all bounds", 1e300, 86_400],
  ])("whose life %s is neither kept for ever nor asked for at every call", async (_name, expires_in, life_s) => {
    grant = (_, n) => ({ body: { access_token: `token-number-${n}`, expires_in } });
    const connector = source();
    const margin_s = Math.min(60, life_s / 10);
    for (const [at_s, times] of [
      [0, 1],
      [life_s - margin_s - 0.1, 1],
      [life_s - margin_s + 0.1, 2],
    ] as const) {
      ms = at_s * 1_000;
      await connector.list(ctx(), {});
      expect([at_s, asked.length]).toEqual([at_s, times]);
    }
  });

  test("that is slow keeps nobody longer than their own deadline, and comes for the others", async () => {
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    grant = async () => {
      await gate;
      return { body: { access_token: "late-token" } };
    };
    const connector = source();
    const hasty = faultOf(connector.list(ctx(AbortSignal.timeout(50)), {}));
    const patient = connector.list(ctx(), {});
    expect(await hasty).toMatchObject({
      kind: "retry",
      message: expect.stringMatching(/oauth\/token: no token before/),
    });
    open();
    expect((await patient).items).toHaveLength(1);
    expect(asked).toHaveLength(1);
  });
});

describe("a token place that refuses or misleads is told as such, without secrets", () => {
  const refusals: readonly [string, Reply, string, RegExp][] = [
    [
      "with invalid_client",
      { status: 401, body: { error: "invalid_client", error_description: `not ${client_secret}` } },
      "denied",
      /oauth\/token answered 401: invalid_client \(not \[secret\]\); check the client id, the client secret/,
    ],
    [
      "with invalid_scope",
      { status: 400, body: { error: "invalid_scope" } },
      "denied",
      /invalid_scope; check the scope/,
    ],
    ["with no reason", { status: 403, body: {} }, "denied", /answered 403: no reason that RFC 6749 knows/],
    ["by not being there", { status: 404, body: {} }, "denied", /answered 404/],
    ["for now", { status: 503, body: {} }, "retry", /answered 503/],
    ["for now, in OAuth's words", { status: 400, body: { error: "temporarily_unavailable" } }, "retry", /answered 400/],
    ["for some time", { status: 429, body: {}, headers: { "retry-after": "9" } }, "rate_limited", /answered 429/],
    ["with an error that is a success", { body: { error: "invalid_client" } }, "denied", /answered: invalid_client/],
    ["without a token", { body: { token: "x" } }, "denied", /without an access_token/],
    ["with a list", { body: [1] }, "denied", /without an access_token/],
    ["with what is no text", { body: { access_token: 5 } }, "denied", /without an access_token/],
    ["with a token of two lines", { body: { access_token: "a\r\nX-Evil: 1" } }, "denied", /no HTTP header can carry/],
    ["with a long token", { body: { access_token: "a".repeat(20_000) } }, "denied", /more than 16000 characters/],
    ["with a token of 10 MB", { body: { access_token: "a".repeat(10_000_000) } }, "denied", /larger than 64 KiB/],
    ["with another type", { body: { access_token: "abc", token_type: "mac" } }, "denied", /another type than bearer/],
    ["with a page", { text: "<!doctype html>", headers: { "content-type": "text/html" } }, "denied", /HTML page/],
    ["with a bomb", { text: "[".repeat(60_000) }, "denied", /nests deeper/],
  ];
  test.each(refusals)("%s", async (_name, reply, kind, message) => {
    grant = () => reply;
    const fault = await faultOf(source().list(ctx(), {}));
    expect(fault).toMatchObject({ kind, message: expect.stringMatching(message) });
    expect(fault.message).toMatch(/^No token to sign in with: POST/);
    const everything = `${fault.message}${lines.join("")}`;
    for (const word of [client_secret, encodeURIComponent(client_secret), asked[0]?.headers.authorization ?? ""])
      expect(everything).not.toContain(word);
    expect(listed).toHaveLength(0);
  });

  test("by a word about no account: who is read is not taken to be gone", async () => {
    grant = () => ({ status: 404, body: {} });
    const connector = source({ one: { path: "/workers/{id}" } });
    await expect(connector.read(ctx(), "1")).rejects.toMatchObject({ kind: "denied" });
  });

  test("by a redirect, which is not followed: the secret goes to no other host", async () => {
    const other: Asked[] = [];
    const elsewhere = await serve(
      replying(
        () => other,
        () => ({ body: { access_token: "evil" } }),
      ),
    );
    for (const status of [302, 307, 308]) {
      grant = () => ({ status, body: {}, headers: { location: `${elsewhere}/token` } });
      const fault = await faultOf(source().list(ctx(), {}));
      expect(fault).toMatchObject({ kind: "denied", message: expect.stringMatching(/a redirect to .* token address/) });
    }
    expect(other).toHaveLength(0);
  });

  test("with a secret too short to be found in an answer: then only words of the standard are shown", async () => {
    grant = () => ({ status: 400, body: { error: "abc", error_description: "abc is wrong" } });
    expect((await faultOf(source({}, "abc").list(ctx(), {}))).message).not.toMatch(/abc/);
  });
});

describe("the address of a token place", () => {
  const make = (url: string, allow_private: boolean) => () =>
    restConnector(
      { base_url: "https://hr.example.com", path: "/w", id: "/id", oauth: { token_url: url, client_id: "c" } },
      { token: secret(client_secret) },
      { allow_private },
    );
  test.each([
    ["http://login.example.com/token", false, /must start with https/],
    ["https://user:pw@login.example.com/token", false, /user name or password/],
    ["https://login.example.com/token#x", false, /fragment/],
    ["https://10.0.0.1/token", false, /private address/],
    ["https://[::ffff:10.0.0.1]/token", false, /private address/],
    ["https://169.254.169.254/latest", true, /metadata/],
  ])("%s with private addresses %s is refused before anything is sent", (url, allow_private, message) => {
    expect(make(url, allow_private)).toThrow(message);
  });

  test("is where the client secret goes: moving it asks for the secret again", () => {
    const at = (url: string) => destinationOf({ base_url: "https://hr.example.com/x", oauth: { token_url: url } });
    expect(at("https://a.example/token")).toBe(at("https://a.example/v2/token"));
    expect(at("https://a.example/token")).not.toBe(at("https://b.example/token"));
  });
});

describe("the form", () => {
  test.each<[string, object, RegExp]>([
    ["lacks the token address", { auth: "oauth" }, /token_url and client_id/],
    [
      "has OAuth beside another sign-in",
      { auth: "bearer", oauth: { token_url: "https://a.b/t", client_id: "c" } },
      /oauth/,
    ],
    [
      "sends the secret as an extra",
      { oauth: { token_url: "https://a.b/t", client_id: "c", extra: { scope: "x" } } },
      /extra/,
    ],
  ])("that %s is refused, naming the field", (_name, more, message) => {
    const config = { base_url: "https://hr.example.com", path: "/w", id: "/id", ...more };
    expect(() => createConnector("rest", config, { token: secret("s") })).toThrow(message);
  });
});

test("a SCIM app whose form has OAuth never gets the client secret itself", async () => {
  const make = (more: object) =>
    createConnector(
      "scim",
      { base_url, oauth: oauth(), ...more },
      { token: secret(client_secret) },
      { allow_private: true },
    );
  expect(() => make({ auth: "bearer" })).toThrow(/auth is bearer/);
  answer = () => ({ body: { Resources: [], totalResults: 0 } });
  const app = make({});
  connectors.push(app);
  await app.test(ctx());
  expect(listed.map(({ headers }) => headers.authorization)).toEqual(["Bearer token-number-1"]);
});

test("a SCIM app is signed in to the same way, and a write that was refused with 401 is sent once more", async () => {
  answer = ({ headers, method }) => {
    if (headers.authorization !== "Bearer token-number-2") return { status: 401, body: {} };
    return method === "POST"
      ? { status: 201, body: { id: "7", userName: "ada" } }
      : { body: { Resources: [], totalResults: 0 } };
  };
  const config = { base_url, auth: "oauth", oauth: oauth(), overrides: { readback: "never" } };
  const app = createConnector("scim", config, { token: secret(client_secret) }, { allow_private: true });
  connectors.push(app);
  const made = await app.create(ctx(), { profile: { userName: "ada" }, enabled: true, key: "k" });
  expect(made.id).toBe("7");
  expect([asked.length, listed.filter(({ method }) => method === "POST").length]).toEqual([2, 2]);
  await app.test(ctx());
  expect(asked).toHaveLength(2);
});
