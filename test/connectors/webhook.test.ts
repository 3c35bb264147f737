import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { ConnectorFault, secret } from "../../src/connectors/connector.ts";
import { type Webhook, type WebhookTarget, webhook } from "../../src/connectors/webhook.ts";

let servers: Server[] = [];
let hooks: Webhook[] = [];

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  servers.push(server);
  await new Promise((done) => server.once("listening", done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function open(target: WebhookTarget, allow_private = true): Webhook {
  const made = webhook(target, { allow_private });
  hooks.push(made);
  return made;
}

async function faultOf(call: () => Promise<unknown>): Promise<ConnectorFault> {
  const error = await (async () => call())().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConnectorFault);
  return error as ConnectorFault;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

afterEach(async () => {
  await Promise.all(hooks.map((one) => one.close()));
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  [servers, hooks] = [[], []];
});

describe("an address that is never called", () => {
  it.each([
    ["no URL", "hooks.example", false, "invalid"],
    ["plain http", "http://hooks.example/in", false, "invalid"],
    ["another protocol", "ftp://hooks.example/in", true, "invalid"],
    ["a password in it", "https://me:secret@hooks.example/in", false, "invalid"],
    ["loopback", "https://127.0.0.1/in", false, "denied"],
    ["loopback of IPv6", "https://[::1]/in", false, "denied"],
    ["a private network", "https://10.1.2.3/in", false, "denied"],
    ["cloud metadata", "https://169.254.169.254/latest", false, "denied"],
    ["cloud metadata, even where private is allowed", "http://169.254.169.254/latest", true, "denied"],
    ["loopback dressed up", "https://[::ffff:127.0.0.1]/in", false, "denied"],
    ["loopback in digits", "https://2130706433/in", false, "denied"],
  ])("%s", async (_, url, allow_private, kind) => {
    const fault = await faultOf(async () => open({ url }, allow_private));
    expect(fault.kind).toBe(kind);
    expect(fault.message).not.toContain("secret@");
  });

  it("a name that leads to loopback, found when it is connected to", async () => {
    const fault = await faultOf(() => open({ url: "https://localhost/in" }, false).call({ method: "GET" }));
    expect(fault.kind).toBe("denied");
  });
});

describe("a call", () => {
  it("sends what is given as it is, with its query, its headers and its secret", async () => {
    const seen: unknown[] = [];
    const url = await serve(async (request, response) => {
      const { authorization, "x-one": one, "content-type": type } = request.headers;
      seen.push([request.method, request.url, authorization, one, type, await bodyOf(request)]);
      response.end('{"ok":true}');
    });
    const one = open({
      url: `${url}/in/box?a=1&a=2&key=s%20t`,
      headers: { "X-One": "1" },
      secrets: { Authorization: secret("s3cret-word") },
    });
    expect(await one.call({ method: "POST", json: { a: "ü" } })).toMatchObject({ status: 200, json: { ok: true } });
    await one.call({ method: "POST", text: "a=b", headers: { "Content-Type": "text/plain" } });
    await one.call({ method: "GET" });
    expect(seen).toEqual([
      ["POST", "/in/box?a=1&a=2&key=s%20t", "s3cret-word", "1", "application/json", '{"a":"ü"}'],
      ["POST", "/in/box?a=1&a=2&key=s%20t", "s3cret-word", "1", "text/plain", "a=b"],
      ["GET", "/in/box?a=1&a=2&key=s%20t", "s3cret-word", "1", undefined, ""],
    ]);
  });

  it("follows no redirect, not even to its own host", async () => {
    let calls = 0;
    const url = await serve((_, response) => {
      calls++;
      response.writeHead(302, { location: "/elsewhere" }).end();
    });
    for (const method of ["GET", "POST"] as const) {
      const fault = await faultOf(() => open({ url }).call({ method }));
      expect(fault).toMatchObject({ kind: "denied", status: "302" });
    }
    expect(calls).toBe(2);
  });

  it("ends after three seconds, also when the answer trickles", async () => {
    const url = await serve((_, response) => {
      const drip = setInterval(() => response.write(" "), 200);
      response.on("close", () => clearInterval(drip));
    });
    const began = performance.now();
    const fault = await faultOf(() => open({ url }).call({ method: "GET" }));
    expect(fault).toMatchObject({ kind: "retry", status: "deadline" });
    expect(performance.now() - began).toBeLessThan(4_000);
  });

  it("reads no more than 256 KiB", async () => {
    const url = await serve((_, response) => response.end("x".repeat(300 * 1024)));
    const fault = await faultOf(() => open({ url }).call({ method: "GET" }));
    expect(fault.message).toContain("larger than 256 KiB");
  });

  it("tells neither the secret nor the query in a message", async () => {
    const url = await serve((_, response) => response.socket?.destroy());
    const secrets = { authorization: secret("s3cret-word") };
    const fault = await faultOf(() => open({ url: `${url}/in?key=hidden-key`, secrets }).call({ method: "GET" }));
    expect(fault.message).toContain("/in");
    expect(fault.message).not.toMatch(/s3cret-word|hidden-key/);
  });
});
