/**
 * An app with a vendor's peculiarities and, if wanted, trouble: rate limits, errors, answers lost after the effect,
 * web pages in place of JSON, lies. Everything happens by counting, so that a story or a test repeats.
 *
 *     node demo/apps/quirks.ts --port 0 [--profile aws] [--trouble '{"error_every":7,"latency_ms":50}']
 *
 * Trouble can be changed while it runs with `PUT /__trouble`; `GET /__stats` tells how often each kind struck.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { type ProfileId, profiles } from "../../src/connectors/scim/profiles/index.ts";
import { hostOptions, listening, ready } from "./host.ts";
import { type Ask, quirksRules, type Reply } from "./quirksRules.ts";

/**
 * `*_every`: every n-th call of the kind it can befall. `rate`: calls let through per second. `answers`: to everything,
 * whatever is asked: a web page, an empty object, nothing at all, an endless redirect.
 */
export type Trouble = Readonly<{
  latency_ms?: number;
  error_every?: number;
  drop_every?: number;
  html_every?: number;
  torn_every?: number;
  /** Writes that are answered 200 and not done. */
  lie_every?: number;
  rate?: number;
  retry_after_s?: number;
  /** Give the same page whatever is asked for. */
  loop_pages?: boolean;
  answers?: "html" | "empty" | "silent" | "redirect" | "elsewhere";
}>;

type Stats = Record<"calls" | "writes" | "errors" | "drops" | "html" | "torn" | "lies" | "limited", number>;

const options = hostOptions(["profile", "trouble"]);
const profile = profiles[(options.rest["profile"] ?? "strict") as ProfileId];
if (profile === undefined) throw new Error(`There is no profile ${options.rest["profile"]}`);
const rules = quirksRules(profile);
let trouble = JSON.parse(options.rest["trouble"] ?? "{}") as Trouble;
const stats: Stats = { calls: 0, writes: 0, errors: 0, drops: 0, html: 0, torn: 0, lies: 0, limited: 0 };
const recent: number[] = [];
const body_max_bytes = 2_000_000;
const page = "<!doctype html><html><head><title>Sign in</title></head><body>Please sign in</body></html>";

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > body_max_bytes) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, reply: Reply, headers: Record<string, string> = {}): void {
  const text = reply.body === undefined ? undefined : JSON.stringify(reply.body);
  response.writeHead(reply.status, {
    ...(text === undefined ? {} : { "content-type": profile.http.content_type }),
    ...headers,
  });
  response.end(text);
}

function sendPage(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
}

function refuse(status: number, detail: string): Reply {
  return { status, body: { schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"], status: `${status}`, detail } };
}

function everyNth(count: number, every: number | undefined): boolean {
  return every !== undefined && every > 0 && count % every === 0;
}

/** Is this call beyond the rate of the last second? */
function beyondRate(): boolean {
  if (trouble.rate === undefined) return false;
  const now = Date.now();
  while (recent.length > 0 && recent[0]! <= now - 1_000) recent.shift();
  if (recent.length >= trouble.rate) return true;
  recent.push(now);
  return false;
}

/** Answers that have nothing to do with the question. */
function deaf(request: IncomingMessage, response: ServerResponse): boolean {
  if (trouble.answers === undefined) return false;
  if (trouble.answers === "html") sendPage(response);
  if (trouble.answers === "empty") send(response, { status: 200, body: {} });
  if (trouble.answers === "redirect") response.writeHead(302, { location: request.url ?? "/" }).end();
  if (trouble.answers === "elsewhere") response.writeHead(302, { location: "https://login.example.com/" }).end();
  return true; // silent: the connection stays open and nothing comes
}

/** Trouble that strikes before the app looks at the request; true if it did. */
function stopped(response: ServerResponse): boolean {
  if (beyondRate()) {
    stats.limited += 1;
    send(response, refuse(429, "Too many requests"), { "retry-after": `${trouble.retry_after_s ?? 1}` });
    return true;
  }
  if (everyNth(stats.calls, trouble.html_every)) {
    stats.html += 1;
    sendPage(response);
    return true;
  }
  if (!everyNth(stats.calls, trouble.error_every)) return false;
  stats.errors += 1;
  send(response, refuse(stats.errors % 2 === 0 ? 500 : 503, "Something went wrong"));
  return true;
}

function askOf(request: IncomingMessage, url: URL, body: unknown): Ask | null {
  const parts = /^\/scim\/v2\/(Users|Groups)(?:\/([^/]+))?$/.exec(url.pathname);
  if (parts === null) return null;
  const id = parts[2] === undefined ? null : decodeURIComponent(parts[2]);
  if (trouble.loop_pages === true) for (const name of ["startIndex", "cursor"]) url.searchParams.delete(name);
  return { method: request.method ?? "GET", resource: parts[1] as Ask["resource"], id, query: url.searchParams, body };
}

/** Gives the answer to a write, or loses it, or tears it, as trouble has it. */
function finish(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  if (request.method !== "GET" && everyNth(stats.writes, trouble.drop_every)) {
    stats.drops += 1;
    request.socket.destroy();
  } else if (reply.body !== undefined && everyNth(stats.calls, trouble.torn_every)) {
    stats.torn += 1;
    response.writeHead(reply.status, { "content-type": "application/scim+json" });
    response.end(JSON.stringify(reply.body).slice(0, -5));
  } else send(response, reply);
}

async function control(request: IncomingMessage, response: ServerResponse, url: URL): Promise<boolean> {
  if (url.pathname === "/__stats") send(response, { status: 200, body: { ...stats, users: rules.users.size } });
  else if (url.pathname === "/__trouble" && request.method === "PUT") {
    trouble = ((await bodyOf(request)) ?? {}) as Trouble;
    send(response, { status: 204 });
  } else return false;
  return true;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://127.0.0.1");
  if (await control(request, response, url)) return;
  const body = await bodyOf(request);
  stats.calls += 1;
  if (trouble.latency_ms !== undefined) await sleep(trouble.latency_ms);
  if (deaf(request, response)) return;
  if (request.headers.authorization !== `Bearer ${options.token}`)
    return send(response, refuse(401, "The token is wrong"));
  if (profile.id === "github" && !request.headers["user-agent"]) return send(response, refuse(403, "No User-Agent"));
  if (stopped(response)) return;
  const ask = askOf(request, url, body);
  if (ask === null) return send(response, refuse(404, `There is no ${url.pathname}`));
  const writing = ask.method !== "GET";
  if (writing) stats.writes += 1;
  if (writing && everyNth(stats.writes, trouble.lie_every)) {
    stats.lies += 1;
    return send(response, { status: 200, body: rules.answer({ ...ask, method: "GET" }).body });
  }
  finish(request, response, rules.answer(ask));
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy());
});
const port = await listening(server, options.port);
ready(`http://127.0.0.1:${port}/scim/v2`, options.token);
