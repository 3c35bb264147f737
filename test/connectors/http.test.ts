import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { afterEach, describe, expect, it } from "vitest";
import { addressRefused, guardedLookup } from "../../src/connectors/address.ts";
import { ConnectorFault, type Context } from "../../src/connectors/connector.ts";
import {
  type Http,
  type HttpAnswer,
  httpClient,
  product_user_agent,
  retryAfter,
  statusFault,
} from "../../src/connectors/http.ts";
import { collectGarbage } from "../support/collect.ts";
import { faultOf } from "./faultOf.ts";

const now = new Date("2026-11-23T12:00:00Z");
const lines: string[] = [];
let servers: Server[] = [];
let clients: Http[] = [];

function context(ms = 5_000): Context {
  return { signal: AbortSignal.timeout(ms), log: (line) => lines.push(JSON.stringify(line)), now: () => now };
}

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  servers.push(server);
  await new Promise((done) => server.once("listening", done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function client(base_url: string, more: Partial<Parameters<typeof httpClient>[0]> = {}): Http {
  const headers = () => ({ authorization: "Bearer s3cret-token" });
  const made = httpClient({ base_url, headers, secrets: () => ["s3cret-token"], allow_private: true, ...more });
  clients.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(clients.map((one) => one.close()));
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  [servers, clients] = [[], []];
  lines.length = 0;
});

function answer(status: number, headers: Record<string, string> = {}, text = "", html = false): HttpAnswer {
  const request = "PATCH https://app.example/Users/1";
  return { request, status, header: (name) => headers[name], text, json: undefined, html, blot: (one) => one };
}

describe("an answer's status", () => {
  it.each([
    [400, "invalid"],
    [401, "denied"],
    [402, "denied"],
    [403, "denied"],
    [404, "not_found"],
    [405, "unsupported"],
    [408, "retry"],
    [409, "conflict"],
    [410, "not_found"],
    [412, "conflict"],
    [413, "invalid"],
    [415, "unsupported"],
    [422, "invalid"],
    [423, "retry"],
    [425, "retry"],
    [429, "rate_limited"],
    [500, "retry"],
    [501, "unsupported"],
    [502, "retry"],
    [503, "retry"],
    [504, "retry"],
    [599, "retry"],
  ])("%i is %s", (status, kind) => {
    expect(statusFault(answer(status), now)).toMatchObject({ kind, status: `${status}` });
  });

  it.each([200, 201, 202, 204])("%i is no fault", (status) => {
    expect(statusFault(answer(status), now)).toBeNull();
  });

  it("503 with a time to come back is a rate limit", () => {
    const fault = statusFault(answer(503, { "retry-after": "20" }), now);
    expect(fault).toMatchObject({ kind: "rate_limited", retry_at: new Date("2026-11-23T12:00:20Z") });
  });

  it("429 without a time is a pause all the same", () => {
    expect(statusFault(answer(429), now)?.retry_at).toEqual(new Date("2026-11-23T12:00:30Z"));
  });

  it.each([200, 404, 410, 400, 405])("%i with a web page is never the app's word about an account", (status) => {
    expect(statusFault(answer(status, {}, "<html>", true), now)).toMatchObject({ kind: "denied" });
  });
});

describe("Retry-After", () => {
  it.each([
    ["120", "2026-11-23T12:02:00Z"],
    ["0", "2026-11-23T12:00:00Z"],
    ["1.5", "2026-11-23T12:00:01.500Z"],
    ["Mon, 23 Nov 2026 12:05:00 GMT", "2026-11-23T12:05:00Z"],
    ["Mon, 23 Nov 2020 12:05:00 GMT", "2026-11-23T12:00:00Z"],
    ["99999999999", "2026-11-24T12:00:00Z"],
  ])("%s is a time from now to a day", (value, at) => {
    expect(retryAfter(value, now)).toEqual(new Date(at));
  });

  it("as a date is counted from the answer's own clock", () => {
    const at = retryAfter("Mon, 23 Nov 2020 08:00:30 GMT", now, "Mon, 23 Nov 2020 08:00:00 GMT");
    expect(at).toEqual(new Date("2026-11-23T12:00:30Z"));
  });

  it.each([undefined, "", "soon", "-5x"])("%s is none", (value) => {
    expect(retryAfter(value, now)).toBeUndefined();
  });
});

const addresses: [address: string, private_refused: boolean, always_refused: boolean][] = [
  ["93.184.216.34", false, false],
  ["2606:2800:220:1::1", false, false],
  ["10.1.2.3", true, false],
  ["172.31.0.1", true, false],
  ["192.168.1.1", true, false],
  ["100.64.0.1", true, false],
  ["127.0.0.1", true, false],
  ["::1", true, false],
  ["fd12::1", true, false],
  ["::ffff:10.0.0.1", true, false],
  ["64:ff9b::7f00:1", true, false],
  ["2002:7f00:1::", true, false],
  ["169.254.169.254", true, true],
  ["::ffff:169.254.169.254", true, true],
  ["::ffff:a9fe:a9fe", true, true],
  ["64:ff9b::a9fe:a9fe", true, true],
  ["2002:a9fe:a9fe::1", true, true],
  ["fe80::1%eth0", true, true],
  ["fd00:ec2::254", true, true],
  ["100.100.100.200", true, true],
  ["0.0.0.0", true, true],
  ["::", true, true],
  ["255.255.255.255", true, true],
  ["224.0.0.1", true, true],
  ["ff02::1", true, true],
  ["not an address", true, true],
];

describe("an address", () => {
  it.each(addresses)("%s is judged whatever its dress", (address, private_refused, always_refused) => {
    expect(addressRefused(address, { allow_private: false }) !== null).toBe(private_refused);
    expect(addressRefused(address, { allow_private: true }) !== null).toBe(always_refused);
  });

  it.each([
    "http://169.254.169.254/latest",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://[::ffff:169.254.169.254]/",
  ])("%s is refused before anything is sent", (url) => {
    expect(() => client(url)).toThrow(/link-local, metadata or reserved/);
  });

  it.each([
    "ftp://app.example/",
    "https://user:pass@app.example/",
    "https://app.example/?a=1",
    "app.example",
    "file:///etc/passwd",
  ])("%s is no base URL", (url) => {
    expect(() => client(url)).toThrow(ConnectorFault);
  });

  it("is judged after its name was resolved, at the moment of connecting", async () => {
    const url = (await serve((_request, response) => response.end("{}"))).replace("127.0.0.1", "localhost");
    const refused = await faultOf(client(url, { allow_private: false }).send(context(), { method: "GET", path: "/" }));
    expect(refused).toMatchObject({ kind: "denied", message: expect.stringMatching(/private address.*allow_private/) });
    const lookup = guardedLookup({ allow_private: false });
    const error = await new Promise((done) => lookup("localhost", { all: true }, (wrong) => done(wrong)));
    expect(error).toMatchObject({ code: "ERR_ADDRESS_REFUSED" });
  });
});

describe("a call", () => {
  const lists = "[".repeat(80);
  it.each([
    ["as lists", lists + "]".repeat(80), true],
    ["as lists that never end", lists, true],
    ["behind a text with a quote in it", String.raw`["\"",` + lists, true],
    ["behind a text that ends with a backslash", String.raw`["\\",` + lists, true],
    ["only within a text", JSON.stringify([lists]), false],
    ["only within a text with quotes and backslashes", JSON.stringify([`\\"${lists}\\`, `"${lists}"`]), false],
    ["in a text that never ends", `["${lists}`, false],
  ])("is refused when its answer nests too deep, not when it seems to: %s", async (_, text, refused) => {
    const base = await serve((_request, response) => {
      response.setHeader("content-type", "application/json");
      response.end(text);
    });
    const ended = await client(base)
      .send(context(), { method: "GET", path: "/x" })
      .then(
        () => "read",
        (fault: ConnectorFault) => fault.message,
      );
    expect(ended.includes("nests deeper")).toBe(refused);
  });

  it("carries a User-Agent, the credential and JSON, under the base URL's path", async () => {
    const seen: { request?: IncomingMessage; body?: string } = {};
    const url = await serve((request, response) => {
      seen.request = request;
      request.on("data", (chunk) => {
        seen.body = `${seen.body ?? ""}${chunk}`;
      });
      request.on("end", () => response.setHeader("content-type", "application/json").end('{"ok":1}'));
    });
    const query = { filter: 'userName eq "a+b c"', count: 1 };
    const got = await client(`${url}/scim/v2/`).send(context(), {
      method: "POST",
      path: "/Users",
      query,
      json: { a: "ü" },
    });
    expect(got).toMatchObject({ status: 200, json: { ok: 1 }, html: false });
    expect(seen.request!.url).toBe("/scim/v2/Users?filter=userName%20eq%20%22a%2Bb%20c%22&count=1");
    expect(seen.request!.headers["user-agent"]).toBe(product_user_agent);
    expect(seen.request!.headers.authorization).toBe("Bearer s3cret-token");
    expect(seen.body).toBe('{"a":"ü"}');
  });

  it("follows redirects of a GET on the same host, and no others", async () => {
    const url = await serve((request, response) => {
      if (request.url === "/end") response.end("{}");
      else if (request.url === "/loop") response.writeHead(302, { location: "/loop" }).end();
      else if (request.url === "/away") response.writeHead(302, { location: "http://localhost:1/end" }).end();
      else response.writeHead(307, { location: "/end" }).end();
    });
    const http = client(url);
    expect((await http.send(context(), { method: "GET", path: "/start" })).status).toBe(200);
    for (const path of ["/loop", "/away"]) {
      expect((await faultOf(http.send(context(), { method: "GET", path }))).kind).toBe("denied");
    }
    expect((await faultOf(http.send(context(), { method: "POST", path: "/start", json: {} }))).kind).toBe("denied");
  });

  it("reads no more of an answer than its limit", async () => {
    const url = await serve((_request, response) => {
      const write = () => {
        while (!response.destroyed && response.write("x".repeat(65_536)));
        if (!response.destroyed) response.once("drain", write);
      };
      write();
    });
    const told = await faultOf(
      client(url, { body_max_bytes: 1_048_576 }).send(context(), { method: "GET", path: "/" }),
    );
    expect(told).toMatchObject({ kind: "unsupported", message: expect.stringMatching(/larger than 1 MiB/) });
  });

  it.each([
    ["a torn JSON body", '{"a":', "retry"],
    ["a body nested without end", "[".repeat(100_000), "unsupported"],
  ])("does not choke on %s", async (_name, text, kind) => {
    const url = await serve((_request, response) => response.setHeader("content-type", "application/json").end(text));
    expect((await faultOf(client(url).send(context(), { method: "GET", path: "/" }))).kind).toBe(kind);
  });

  it("counts brackets inside texts as text", async () => {
    const json = { a: `${"[{".repeat(100)}\\"` };
    const url = await serve((_request, response) =>
      response.setHeader("content-type", "application/json").end(JSON.stringify(json)),
    );
    expect((await client(url).send(context(), { method: "GET", path: "/" })).json).toEqual(json);
  });

  it("is a retry when the app drops the connection, or is silent beyond the deadline", async () => {
    const dropping = await serve((request) => request.socket.destroy());
    expect((await faultOf(client(dropping).send(context(), { method: "GET", path: "/" }))).kind).toBe("retry");
    const silent = await serve(() => undefined);
    const told = await faultOf(client(silent).send(context(150), { method: "GET", path: "/" }));
    expect(told).toMatchObject({ kind: "retry", status: "deadline" });
  });

  it("never lets a secret into a message or the log, even if the app says it back", async () => {
    const url = await serve((request, response) => {
      response.writeHead(400).end(`bad ${request.headers.authorization} and hunter2-hunter2 in ${request.url}`);
    });
    const http = client(url);
    const call = { method: "GET", path: "/x", query: { q: "hunter2-hunter2" }, secrets: ["hunter2-hunter2"] } as const;
    const fault = statusFault(await http.send(context(), call), now);
    expect(fault?.message).toContain("[secret]");
    expect(`${fault?.message}${lines.join()}`).not.toMatch(/s3cret-token|hunter2-hunter2/);
  });

  it("within a published rate waits a little, and beyond it asks for a pause", async () => {
    const url = await serve((_request, response) => response.end("{}"));
    const rate = [{ methods: ["POST"], resources: ["Users"], count: 1, per_ms: 60_000, burst: 2 }];
    const http = client(url, { rate });
    const post = () => http.send(context(), { method: "POST", path: "/Users", json: {} });
    await post();
    await post();
    const told = await faultOf(post());
    expect(told.kind).toBe("rate_limited");
    const wait_ms = told.retry_at!.getTime() - now.getTime();
    expect(wait_ms).toBeGreaterThan(55_000);
    expect(wait_ms).toBeLessThanOrEqual(60_000);
    expect((await http.send(context(), { method: "GET", path: "/Users" })).status).toBe(200);
  });
});

describe("a call that is over", () => {
  it("is held no longer, though its deadline is still to come", async () => {
    const http = client(await serve((_, response) => response.end("{}")));
    const signals: AbortSignal[] = [];
    const held = async () => {
      await collectGarbage();
      return process.memoryUsage().arrayBuffers / 2 ** 20;
    };
    const send = async (calls: number) => {
      for (let n = 0; n < calls; n++) {
        const ctx = context(60_000);
        signals.push(ctx.signal);
        await http.send(ctx, { method: "POST", path: "/Users", json: { text: "x".repeat(20_000), n } });
      }
    };
    await send(20);
    const before = await held();
    await send(300);
    // With a request for each signal: 6 MB and more.
    expect((await held()) - before).toBeLessThan(2);
    expect(signals.some((signal) => signal.aborted)).toBe(false);
  }, 60_000);
});
