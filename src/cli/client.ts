/**
 * The CLI's way to a server: finds its address and a token (options, environment, data folder, in this order), sends
 * JSON, follows pages, and turns every refusal into a CliError with the exit code of its kind.
 *
 * Law: a token goes to the address that it was given for and no other, whatever a link says; a server that says "too many
 * requests" is asked again when it said.
 */
import { existsSync, readFileSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Given } from "./args.ts";
import { CliError, type ExitCode, exit_codes } from "./errors.ts";

/** Query parameters; undefined ones are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export type Client = Readonly<{
  url: string;
  /** For `tenure okta-env`, which hands it on. */
  token: string;
  get<T>(path: string, query?: Query): Promise<T>;
  /** All items of a list, page by page; at most `max`. */
  all<T>(path: string, query?: Query, max?: number): Promise<readonly T[]>;
  /** A page and its next link. */
  page<T>(path: string, query?: Query): Promise<Readonly<{ items: readonly T[]; next: string | undefined }>>;
  send<T>(method: "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: unknown, query?: Query): Promise<T>;
  /** Sends JSON and reads an answer of JSON lines, each as soon as it is there. */
  follow(path: string, body: unknown, onLine: (line: unknown) => void): Promise<void>;
  /** Sends a stream as text/csv and reads an answer of JSON lines, each as soon as it is there. */
  followUpload(
    path: string,
    upload: Readonly<{ stream: Readable; size: number }>,
    query: Query,
    onLine: (line: unknown) => void,
  ): Promise<void>;
  /** Sends a stream as text/csv. */
  upload<T>(path: string, stream: Readable, size: number, query?: Query): Promise<T>;
}>;

type Answer = Readonly<{
  origin: string;
  status: number;
  text: string;
  link: string | undefined;
  request_id: string | undefined;
  /** With 429: how long to wait. */
  wait_ms: number;
}>;

/** An answer is a page or a thing; what is larger is no answer of these APIs. */
const answer_bytes_max = 64 * 1024 * 1024;
/** Longer silence is a lost connection. A page of a large organisation takes seconds. */
const silence_ms = 120_000;
/** Okta counts by the minute. */
const wait_max_ms = 120_000;
const waits_max = 20;

const standard_url = "http://127.0.0.1:4780";

/** An environment variable; one that is empty is as good as none. */
const set = (env: Readonly<Record<string, string | undefined>>, name: string) => env[name] || undefined;

/** The folder of the server's data on this machine. */
export function dataFolder(given: Given, env = process.env): string {
  return given.text("data") ?? set(env, "TENURE_DATA") ?? "tenure-data";
}

/** The client of a command. @throws CliError when there is no token to be found. */
export function openClient(given: Given, env = process.env): Client {
  const folder = dataFolder(given, env);
  const address = (given.text("url") ?? set(env, "TENURE_URL") ?? addressIn(folder) ?? standard_url).replace(
    /\/+$/,
    "",
  );
  const url = requireAddress(address);
  const token = given.text("token") ?? set(env, "TENURE_TOKEN") ?? readText(join(folder, "admin.token"));
  if (token === undefined || token === "") {
    throw new CliError(
      exit_codes.not_allowed,
      `no API token: give --token, set TENURE_TOKEN, or run where ${join(folder, "admin.token")} is (--data FOLDER)`,
    );
  }
  return clientAt(url, token);
}

/** A client of any server that speaks these APIs. */
export function clientAt(url: string, token: string): Client {
  // A link names the server as it knows itself, behind a proxy or not: its path is what counts.
  const own = (link: string) => {
    const { pathname, search } = new URL(link);
    return `${new URL(url).origin}${pathname}${search}`;
  };
  const call = async (method: string, path: string, query: Query | undefined, body?: string) => {
    const address = path.startsWith("http") ? own(path) : `${url}${path}${queryText(query)}`;
    for (let waits = 0; ; waits++) {
      const answer = await exchange(method, address, token, body);
      if (answer.status !== 429 || waits >= waits_max) return answer;
      await sleep(answer.wait_ms);
    }
  };
  const page = async <T>(path: string, query?: Query) => {
    const answer = await call("GET", path, query);
    return { items: parse<readonly T[]>(answer), next: nextOf(answer.link) };
  };
  return {
    url,
    token,
    page,
    get: async <T>(path: string, query?: Query) => parse<T>(await call("GET", path, query)),
    all: async <T>(path: string, query?: Query, max = 100_000) => {
      const items: T[] = [];
      for (
        let next: string | undefined = `${url}${path}${queryText(query)}`;
        next !== undefined && items.length < max;
      ) {
        const found: Awaited<ReturnType<typeof page<T>>> = await page<T>(next);
        items.push(...found.items);
        next = found.next;
      }
      return items.slice(0, max);
    },
    send: async <T>(method: string, path: string, body?: unknown, query?: Query) =>
      parse<T>(await call(method, path, query, body === undefined ? "" : JSON.stringify(body))),
    follow: async (path: string, body: unknown, onLine: (line: unknown) => void) => {
      const reader = lineReader(onLine);
      const answer = await exchange("POST", `${url}${path}`, token, JSON.stringify(body), { onPart: reader });
      if (answer.status >= 300) throw refusal(answer);
    },
    followUpload: async (path: string, { stream, size }, query: Query, onLine: (line: unknown) => void) => {
      const address = `${url}${path}${queryText(query)}`;
      const answer = await exchange("POST", address, token, stream, { size, onPart: lineReader(onLine) });
      if (answer.status >= 300) throw refusal(answer);
    },
    upload: async <T>(path: string, stream: Readable, size: number, query?: Query) =>
      parse<T>(await exchange("POST", `${url}${path}${queryText(query)}`, token, stream, { size })),
  };
}

/** @throws CliError for what is no address. */
export function requireAddress(text: string): string {
  if (/^https?:$/.test(URL.parse(text)?.protocol ?? "")) return text;
  throw new CliError(exit_codes.usage, `"${text}" is no http(s) address of a server`);
}

function addressIn(folder: string): string | undefined {
  const text = readText(join(folder, "server.json"));
  if (text === undefined) return undefined;
  try {
    return (JSON.parse(text) as { url?: string }).url;
  } catch {
    return undefined;
  }
}

function readText(file: string): string | undefined {
  try {
    return existsSync(file) ? readFileSync(file, "utf8").trim() : undefined;
  } catch (error) {
    throw new CliError(exit_codes.not_allowed, `cannot read ${file}: ${(error as Error).message}`);
  }
}

function queryText(query: Query | undefined): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {}))
    if (value !== undefined) parameters.append(name, String(value));
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

/** One request. node:http rather than fetch, so that an upload shows how far it is and an answer may come early. */
function exchange(
  method: string,
  address: string,
  token: string,
  body?: string | Readable,
  { size = 0, onPart }: Readonly<{ size?: number; onPart?: (part: string) => void }> = {},
): Promise<Answer> {
  const url = new URL(address);
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const stream = typeof body === "object";
  const headers = {
    authorization: `SSWS ${token}`,
    accept: onPart === undefined ? "application/json" : "application/x-ndjson",
    "user-agent": "tenure-cli",
    ...(stream ? { "content-type": "text/csv", "content-length": String(size) } : {}),
    ...(typeof body === "string"
      ? { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) }
      : {}),
  };
  return new Promise((resolve, reject) => {
    const request = send(url, { method, headers }, (response) => {
      const parts: Buffer[] = [];
      let length = 0;
      if (onPart === undefined || response.statusCode !== 200) {
        response.on("data", (part: Buffer) => {
          length += part.length;
          if (length > answer_bytes_max) response.destroy(new Error(`${url.origin} answers with more than fits`));
          parts.push(part);
        });
      } else {
        response.setEncoding("utf8").on("data", (part: string) => {
          try {
            onPart(part);
          } catch (error) {
            // Ours, such as a full disk: not the server's.
            reject(error);
            response.destroy();
          }
        });
      }
      // Of an answer that is cut off as little is known as of none. What has no code is an error of our own.
      response.on("error", (error: NodeJS.ErrnoException) =>
        reject(error.code === undefined ? error : unreachable(url, error)),
      );
      response.on("end", () =>
        resolve({
          origin: url.origin,
          status: response.statusCode ?? 0,
          text: Buffer.concat(parts).toString("utf8"),
          link: [response.headers.link ?? []].flat().join(", "),
          request_id: String(response.headers["x-okta-request-id"] ?? ""),
          wait_ms: waitOf(response.headers),
        }),
      );
    });
    request.on("error", (error: NodeJS.ErrnoException) => reject(unreachable(url, error)));
    if (method === "GET") request.setTimeout(silence_ms, () => request.destroy(new Error("it does not answer")));
    if (stream) {
      body.on("error", (error) => {
        reject(new CliError(exit_codes.failed, `the file could not be read to its end: ${error.message}`));
        request.destroy(error);
      });
      body.pipe(request);
    } else request.end(body);
  });
}

/** Until when a server wants to be left alone. Its clock and ours may differ, so its own date is what its reset is compared with. */
function waitOf(headers: IncomingHttpHeaders): number {
  const reset_s = Number(headers["x-rate-limit-reset"]);
  const date_ms = Date.parse(headers.date ?? "");
  const now_ms = Number.isNaN(date_ms) ? Date.now() : date_ms;
  const wait_ms = Number.isFinite(reset_s) ? reset_s * 1000 - now_ms + 1000 : Number(headers["retry-after"]) * 1000;
  return Math.min(wait_max_ms, Math.max(1000, Number.isNaN(wait_ms) ? 0 : wait_ms));
}

/** Cuts what comes into lines of JSON. */
function lineReader(onLine: (line: unknown) => void): (part: string) => void {
  let rest = "";
  return (part) => {
    const lines = `${rest}${part}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") onLine(JSON.parse(line));
  };
}

function unreachable(url: URL, error: NodeJS.ErrnoException): CliError {
  const why = error.code === "ECONNREFUSED" ? "nothing listens there" : error.message || (error.code ?? "no answer");
  const ours = /^(localhost|127\.|\[::1\])/.test(url.hostname);
  const next = ours ? "is the server started? (tenure serve)" : "is the address right, and is the way there open?";
  return new CliError(exit_codes.unreachable, `cannot reach ${url.origin} (${why}): ${next}`, undefined, error.code);
}

function nextOf(link: string | undefined): string | undefined {
  return /<([^>]*)>\s*;\s*rel="next"/.exec(link ?? "")?.[1];
}

function parse<T>(answer: Answer): T {
  if (answer.status < 200 || answer.status >= 300) throw refusal(answer);
  if (answer.text === "") return undefined as T;
  try {
    return JSON.parse(answer.text) as T;
  } catch {
    // A sign-in page, or a proxy's: a server of another kind stands at this address.
    throw new CliError(exit_codes.failed, `${answer.origin} does not answer with JSON: is it the right address?`);
  }
}

function refusal({ status, text, request_id }: Answer): CliError {
  let summary = `the server answered ${status}`;
  let causes: string[] = [];
  let code: string | undefined;
  try {
    const body = JSON.parse(text) as {
      errorCode?: string;
      errorSummary?: string;
      errorCauses?: { errorSummary: string }[];
    };
    code = body.errorCode;
    summary = body.errorSummary ?? summary;
    causes = (body.errorCauses ?? []).map((cause) => cause.errorSummary);
  } catch {
    // Not ours: a proxy's page. Its status is all there is to tell.
  }
  const told = causes.length > 0 ? causes.join("\n  ") : summary;
  const message = status >= 500 && status !== 503 ? `${told} (request ${request_id})` : told;
  return new CliError(codeOf(status), message, status, code);
}

function codeOf(status: number): ExitCode {
  if (status === 404) return exit_codes.not_found;
  if (status === 401 || status === 403) return status === 401 ? exit_codes.not_allowed : exit_codes.refused;
  if (status === 503 || status === 502 || status === 504) return exit_codes.unreachable;
  return status >= 400 && status < 500 ? exit_codes.refused : exit_codes.failed;
}
