/**
 * The one HTTP client towards apps, over undici's Pool (`fetch` costs four times the CPU). It makes every failure a
 * ConnectorFault and believes nothing that an app says about itself: bodies are bounded in size and depth, redirects
 * leave neither the host nor the method GET, addresses are judged when they are connected to (address.ts), and an
 * HTML page is never taken for an answer.
 *
 * Law: no secret is in a fault's message or in the call log. Called by the connectors that speak HTTP.
 */
import { isIP } from "node:net";
import { type Dispatcher, Pool } from "undici";
import type { FaultKind } from "../core/types.ts";
import { type AddressRule, address_refused_code, addressRefused, guardedLookup } from "./address.ts";
import { ConnectorFault, type Context } from "./connector.ts";
import { pacer, type RateBucket } from "./pace.ts";

export type HttpOptions = Readonly<{
  /** Absolute http or https URL; request paths are appended to its path. */
  base_url: string;
  /** Sent with every request. Called per request, so that a credential is revealed only on its way out. */
  headers: () => Readonly<Record<string, string>>;
  /** Texts to be blotted out wherever the app's words reach a message or the log. */
  secrets: () => readonly string[];
  user_agent?: string;
  concurrency?: number;
  timeout_ms?: number;
  body_max_bytes?: number;
  rate?: readonly RateBucket[];
  /** How many redirects a GET may be sent on by; 0: none is followed. */
  redirects_max?: number;
}> &
  AddressRule;

export type HttpRequest = Readonly<{
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below the base URL, starting with "/", each segment already encoded. */
  path: string;
  query?: Readonly<Record<string, string | number>>;
  /** A query already encoded, with its "?"; in place of `query`. Like it, it is in no message. */
  search?: string;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is, in place of `json`: where what is sent was signed, is no JSON, or is JSON already. */
  text?: string | Buffer;
  headers?: Readonly<Record<string, string>>;
  /** Further texts to blot out of this call's messages, such as a password in the body. */
  secrets?: readonly string[];
}>;

/** What came back, whatever its status. `json` is undefined when the body is empty or is not JSON. */
export type HttpAnswer = Readonly<{
  /** "PATCH https://host/path", for messages; never holds a secret. */
  request: string;
  status: number;
  header(name: string): string | undefined;
  text: string;
  json: unknown;
  html: boolean;
  /** Takes this call's secrets out of a text that is about to be shown. */
  blot(text: string): string;
}>;

export type Http = Readonly<{
  /** Gives any answer; throws a fault only if none came that can be read. */
  send(ctx: Context, request: HttpRequest): Promise<HttpAnswer>;
  /** The origin and path that requests go under, for messages. */
  base_url: string;
  close(): Promise<void>;
}>;

export const product_user_agent = "Tenure/0.1 (+SCIM 2.0 client)";
const timeout_default_ms = 60_000;
const connect_timeout_ms = 10_000;
const body_max_default_bytes = 16 * 1024 * 1024;
const json_depth_max = 64;
const redirects_default_max = 3;
const detail_max_chars = 500;

/** Checks a base URL; gives it without a slash at its end. Throws `invalid` with what is wrong. */
export function checkedBaseUrl(text: string, rule: AddressRule): URL {
  const refuse = (why: string) => new ConnectorFault("invalid", `The base URL ${why}`, { attribute: "base_url" });
  const url = URL.parse(text);
  if (url === null) throw refuse(`"${text.slice(0, 200)}" is not a URL`);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refuse("must start with https:// or http://");
  if (url.username !== "" || url.password !== "") throw refuse("must not hold a user name or password");
  if (url.search !== "" || url.hash !== "") throw refuse("must not hold a query or a fragment");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const why = isIP(host) === 0 ? null : addressRefused(host, rule);
  if (why !== null) throw new ConnectorFault("denied", `Not connecting to ${url.origin}: ${host} ${why}`);
  url.pathname = url.pathname.replace(/\/+$/, "");
  return url;
}

const certificate_codes = new Set([
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REVOKED",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

const deadline_codes = new Set(["UND_ERR_ABORTED", "ABORT_ERR"]);
const timeout_codes = new Set(["UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "UND_ERR_CONNECT_TIMEOUT"]);

/** First error code along `cause` and inside AggregateErrors. */
function errorCode(error: unknown): string {
  let at: unknown = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    const { code } = at as { code?: unknown };
    if (typeof code === "string") return code;
    at = at instanceof AggregateError ? at.errors[0] : at.cause;
  }
  return error instanceof Error ? error.name : "unknown error";
}

/** A failure without an answer. Whether the app acted on the request is not known, except where it was never sent. */
function networkFault(error: unknown, request: string, signal: AbortSignal): ConnectorFault {
  if (error instanceof ConnectorFault) return error;
  const code = errorCode(error);
  if (code === address_refused_code) {
    return new ConnectorFault("denied", `Not sent: ${request}: ${(error as Error).message}`, { status: code });
  }
  if (certificate_codes.has(code)) {
    const hint = "renew the app's certificate, or give its authority to this server (NODE_EXTRA_CA_CERTS)";
    return new ConnectorFault("denied", `${request}: the app's certificate is not trusted (${code}); ${hint}`, {
      status: code,
    });
  }
  if (signal.aborted || deadline_codes.has(code)) {
    return new ConnectorFault("retry", `${request}: no answer before the deadline`, { status: "deadline" });
  }
  if (timeout_codes.has(code)) {
    return new ConnectorFault("retry", `${request}: the app does not answer (${code})`, { status: code });
  }
  return new ConnectorFault("retry", `${request}: the app cannot be reached (${code})`, { status: code });
}

/** Does a JSON text nest deeper than `max`? Looked at before parsing, so that no later recursion can be overrun. */
function deeperThan(text: string, max: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x22) at = endOfString(text, at);
    else if (char === 0x7b || char === 0x5b) {
      if (++depth > max) return true;
    } else if (char === 0x7d || char === 0x5d) depth--;
  }
  return false;
}

/**
 * Where the JSON string that begins at a quote has its other one; the text's end if it has none. Most of an answer is
 * within strings, and looking at each of their letters took half as long again as parsing.
 */
function endOfString(text: string, begin: number): number {
  for (let end = text.indexOf('"', begin + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return end;
  }
  return text.length;
}

function looksLikeHtml(type: string | undefined, text: string): boolean {
  if (type !== undefined && /^(text\/html|application\/xhtml)/i.test(type)) return true;
  return /^\s*<(!doctype|html|head|body)\b/i.test(text.slice(0, 200));
}

/**
 * Seconds or an HTTP date → a time not in the past and not more than a day away; undefined if it is neither.
 * @param served the answer's own Date: the wait until a date is counted from it, so that no clock need be right
 */
export function retryAfter(value: string | undefined, now: Date, served?: string): Date | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  const then = served === undefined ? Number.NaN : Date.parse(served);
  const skew_ms = Number.isNaN(then) ? 0 : now.getTime() - then;
  const at = /^\d+(\.\d+)?$/.test(text) ? now.getTime() + Number(text) * 1000 : Date.parse(text) + skew_ms;
  if (Number.isNaN(at)) return undefined;
  return new Date(Math.min(Math.max(at, now.getTime()), now.getTime() + 86_400_000));
}

/** When a 429 does not say how long. */
const rate_pause_ms = 30_000;

/** Statuses with a meaning of their own; the rest goes by its hundred (design.md section 5). */
const status_kinds: Readonly<Record<number, FaultKind>> = {
  401: "denied",
  402: "denied",
  403: "denied",
  404: "not_found",
  405: "unsupported",
  407: "denied",
  408: "retry",
  409: "conflict",
  410: "not_found",
  412: "conflict",
  415: "unsupported",
  421: "retry",
  423: "retry",
  425: "retry",
  429: "rate_limited",
  501: "unsupported",
  505: "unsupported",
};

/** Makes the app's words fit for a message: one line, bounded, printable. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: taking control characters out is the point
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim();
  return plain.length > detail_max_chars ? `${plain.slice(0, detail_max_chars)}…` : plain;
}

const html_hint =
  "an HTML page came instead of JSON: the base URL is wrong, or a sign-in page or a proxy answers in the app's place";

/**
 * The fault that an answer's status means, or null for a 2xx that is not a web page.
 * @param detail the app's own words, if the caller found them in the body
 */
export function statusFault(
  answer: HttpAnswer,
  now: Date,
  more: Readonly<{ detail?: string | undefined; attribute?: string | undefined; kind?: FaultKind | undefined }> = {},
): ConnectorFault | null {
  const { status, request } = answer;
  const good = status >= 200 && status < 300;
  // A 404 page is a web server's word about a URL, not an app's word about an account: never forget an id for it.
  if (answer.html && (good || status === 400 || status === 404 || status === 405 || status === 410)) {
    return new ConnectorFault("denied", `${request} answered ${status}: ${html_hint}`, { status: `${status}` });
  }
  if (good) return null;
  const after = retryAfter(answer.header("retry-after"), now, answer.header("date"));
  const paced = status === 503 && after !== undefined;
  const kind = more.kind ?? (paced ? "rate_limited" : (status_kinds[status] ?? (status >= 500 ? "retry" : "invalid")));
  const detail = answer.html ? html_hint : oneLine(answer.blot(more.detail ?? answer.text));
  const hint = status === 401 || status === 403 ? " (check the app's credentials and their rights)" : "";
  const retry_at = kind === "rate_limited" ? (after ?? new Date(now.getTime() + rate_pause_ms)) : after;
  return new ConnectorFault(kind, `${request} answered ${status}${detail === "" ? "" : `: ${detail}`}${hint}`, {
    status: `${status}`,
    ...(more.attribute === undefined ? {} : { attribute: more.attribute }),
    ...(retry_at === undefined ? {} : { retry_at }),
  });
}

function parseJson(text: string, html: boolean, type: string | undefined, request: string): unknown {
  if (text === "" || html) return undefined;
  if (deeperThan(text, json_depth_max)) {
    throw new ConnectorFault("unsupported", `${request}: the answer nests deeper than ${json_depth_max} levels`);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (type === undefined || !/json/i.test(type)) return undefined;
    throw new ConnectorFault("retry", `${request}: the answer is called JSON but is torn or malformed`, { cause });
  }
}

/** Where a redirect may be followed to: GET only, same origin. Anything else would carry the credential elsewhere. */
function redirectTarget(answer: HttpAnswer, from: URL, method: string, left: number): URL {
  const location = answer.header("location");
  const to = location === undefined ? null : URL.parse(location, from.href);
  const told = to === null ? "without an address" : `to ${to.origin}${to.pathname}`;
  if (to === null || to.origin !== from.origin || method !== "GET" || left <= 0) {
    const hint = "redirects are not followed here; set the base URL to the app's final address";
    throw new ConnectorFault("denied", `${answer.request} answered ${answer.status}, a redirect ${told}; ${hint}`, {
      status: `${answer.status}`,
    });
  }
  return to;
}

/** Where a request goes: path and query as they are sent. */
type Place = Readonly<{ path: string; query: string }>;

function placeOf(base_path: string, request: HttpRequest): Place {
  const terms = Object.entries(request.query ?? {});
  // Not URLSearchParams: several servers do not read "+" as a space. An apostrophe is quoted as a URL quotes it.
  if (request.search !== undefined) return { path: base_path + request.path, query: request.search };
  const query = terms.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&");
  return { path: base_path + request.path, query: query === "" ? "" : `?${query.replaceAll("'", "%27")}` };
}

type Reply = Readonly<{
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  text: string;
}>;

/** One exchange; gives what was answered. Throws what undici says, the signal's reason, or `tooLarge` of the body. */
function exchange(
  pool: Pool,
  ended: Ended,
  options: Dispatcher.DispatchOptions,
  signal: AbortSignal,
  max_bytes: number,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let status = 0;
    let headers: Reply["headers"] = {};
    let controller: Dispatcher.DispatchController | undefined;
    let error: Error | undefined;
    const abort = (reason: unknown) => {
      error ??= reason instanceof Error ? reason : new Error("aborted", { cause: reason });
      // Before its connection is there a request cannot be taken back, only refused when it is about to begin.
      if (controller) controller.abort(error);
      else reject(error);
    };
    const forget = ended(signal, abort);
    pool.dispatch(options, {
      onRequestStart: (given) => {
        controller = given;
        if (error !== undefined) given.abort(error);
      },
      onResponseStart: (_, code, given) => {
        status = code;
        headers = given;
      },
      onResponseData: (_, chunk) => {
        size += chunk.length;
        if (size > max_bytes) abort(tooLarge);
        else chunks.push(chunk);
      },
      onResponseEnd: () => {
        forget();
        const [first] = chunks;
        const body = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
        resolve({ status, headers, text: body.toString("utf8") });
      },
      onResponseError: (_, failure) => {
        forget();
        reject(error ?? failure);
      },
    });
  });
}

/** Known by identity; the message is told by `bodyFault`. */
const tooLarge = new Error("the answer is too large");

/** Calls `abort` when a signal does; gives a function that forgets it. */
type Ended = (signal: AbortSignal, abort: (reason: unknown) => void) => () => void;

/** One listener for each signal: the calls of a claim share one, and adding and taking away a listener costs more than a call's JSON. */
function endings(): Ended {
  const calls = new WeakMap<AbortSignal, Calls>();
  return (signal, abort) => {
    const mine = calls.get(signal) ?? listenTo(signal);
    calls.set(signal, mine);
    mine.add(abort);
    return () => mine.delete(abort);
  };
}

type Calls = Set<(reason: unknown) => void>;

/**
 * A listener lives as long as its signal and holds all that is in its scope, so it has one of its own: beside a call's
 * `abort` it kept the first request of each signal, with the 64 KB that its body was cut from, until the lease ended.
 */
function listenTo(signal: AbortSignal): Calls {
  const calls: Calls = new Set();
  const end = () => {
    for (const one of [...calls]) one(signal.reason);
  };
  signal.addEventListener("abort", end, { once: true });
  return calls;
}

/**
 * A client for one app. Nothing is connected until the first call.
 * Throws `invalid` or `denied` at once for a base URL that can never be used.
 */
export function httpClient(options: HttpOptions): Http {
  const base = checkedBaseUrl(options.base_url, options);
  const timeout = options.timeout_ms ?? timeout_default_ms;
  const pool = new Pool(base.origin, {
    connections: options.concurrency ?? 16,
    pipelining: 1, // a POST on a connection that drops must not take others with it
    allowH2: false,
    headersTimeout: timeout,
    bodyTimeout: timeout,
    connect: { lookup: guardedLookup(options), timeout: Math.min(connect_timeout_ms, timeout) },
  });
  const pace = pacer(options.rate ?? []);
  const body_max = options.body_max_bytes ?? body_max_default_bytes;
  const redirects_max = options.redirects_max ?? redirects_default_max;
  const base_path = base.pathname.replace(/\/+$/, "");
  const ended = endings();
  const blotCredentials = credentialBlotter(options.secrets);

  async function once(ctx: Context, { path, query }: Place, request: HttpRequest): Promise<HttpAnswer> {
    const label = `${request.method} ${base.origin}${path}`;
    const blot = request.secrets?.length ? blotter([...options.secrets(), ...request.secrets]) : blotCredentials;
    const started = performance.now();
    const log = (more: { status?: number; note?: string }) =>
      ctx.log({ request: `${label}${blot(query)}`, ms: Math.round(performance.now() - started), ...more });
    try {
      ctx.signal.throwIfAborted();
      const call = {
        method: request.method,
        path: path + query,
        headers: {
          "user-agent": options.user_agent || product_user_agent,
          ...options.headers(),
          ...request.headers,
        },
        body: request.text ?? (request.json === undefined ? null : JSON.stringify(request.json)),
      };
      const { status, headers, text } = await exchange(pool, ended, call, ctx.signal, body_max);
      const header = (name: string) => {
        const value = headers[name];
        return Array.isArray(value) ? value[0] : value;
      };
      log({ status });
      const html = looksLikeHtml(header("content-type"), text);
      const json = parseJson(text, html, header("content-type"), label);
      return { request: label, status, header, text, json, html, blot };
    } catch (error) {
      const fault = error === tooLarge ? bodyFault(label, body_max) : networkFault(error, label, ctx.signal);
      log({ note: fault.status ?? fault.kind });
      throw fault;
    }
  }

  return Object.freeze({
    base_url: base.href.replace(/\/+$/, ""),
    async send(ctx: Context, request: HttpRequest): Promise<HttpAnswer> {
      await pace(ctx, request);
      let place = placeOf(base_path, request);
      for (let followed = 0; ; followed++) {
        const answer = await once(ctx, place, request);
        if (answer.status < 300 || answer.status >= 400 || answer.status === 304) return answer;
        const from = new URL(`${base.origin}${place.path}${place.query}`);
        const { pathname, search } = redirectTarget(answer, from, request.method, redirects_max - followed);
        place = { path: pathname, query: search };
      }
    },
    close: () => pool.destroy(),
  });
}

function bodyFault(request: string, max_bytes: number): ConnectorFault {
  const limit =
    max_bytes < 1024 * 1024
      ? `${max_bytes / 1024} KiB`
      : `${Math.floor(max_bytes / 1024 / 1024)} MiB; use a smaller page size`;
  return new ConnectorFault("unsupported", `${request}: the answer is larger than ${limit}`);
}

/** A client's credentials hardly ever change: their blotter is made once, not for each call. */
function credentialBlotter(secrets: () => readonly string[]): (text: string) => string {
  let known: readonly string[] = [];
  let blot = blotter(known);
  return (text) => {
    const now = secrets();
    if (now.length !== known.length || now.some((one, n) => one !== known[n])) {
      known = now;
      blot = blotter(now);
    }
    return blot(text);
  };
}

/** Blots secrets out of a text. Short ones are left alone: blotting every "a" would say more than it hides. */
function blotter(secrets: readonly string[]): (text: string) => string {
  let spelled: ReadonlySet<string> | undefined;
  return (text) => {
    if (text === "") return text;
    spelled ??= new Set(
      secrets
        .filter((secret) => secret.length >= 6)
        .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]),
    );
    let out = text;
    for (const word of spelled) if (out.includes(word)) out = out.replaceAll(word, "[secret]");
    return out;
  };
}
