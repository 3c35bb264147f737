/**
 * Signing in to an app by OAuth client credentials (RFC 6749 section 4.4): its form, where tokens come from, and a client
 * that sends them. A token lives in memory until shortly before it ends, however many calls use it; many callers wait for
 * one request. A resource that answers 401 is asked once more with a new token.
 *
 * Laws: the token place is a host like any other, so what http.ts promises holds for it, and more: TLS unless the operator
 * lets us reach private addresses, no redirect, small answers. Neither secret nor token is in a message. A refusal says
 * that it was the token place, and is `denied`: it never reads as a word about an account. Used by rest and scim.
 */
import { z } from "zod";
import type { AddressRule } from "./address.ts";
import { ConnectorFault, type Context, type Secret } from "./connector.ts";
import {
  type Http,
  type HttpAnswer,
  type HttpOptions,
  type HttpRequest,
  httpClient,
  oneLine,
  statusFault,
} from "./http.ts";

const taken = new Set(["grant_type", "client_id", "client_secret", "scope"]);

/** The fields of the form, beside the app's secret, which is the client secret. */
export const oauth_form = z.strictObject({
  token_url: z
    .url({ protocol: /^https?$/ })
    .max(2_000)
    .meta({
      title: "Token address",
      description: "Where tokens are given, such as https://login.example.com/oauth/token",
    }),
  client_id: z.string().min(1).max(1_000).meta({ title: "Client id" }),
  scope: z.string().min(1).max(2_000).optional().meta({ title: "Scope", description: "Separated by spaces" }),
  extra: z
    .record(
      z
        .string()
        .min(1)
        .max(100)
        .refine((name) => !taken.has(name), "is sent by itself, so it cannot be an extra value"),
      z.string().max(2_000),
    )
    .optional()
    .meta({ title: "Extra values", description: "Sent with the request for a token, such as audience" }),
  client_auth: z
    .enum(["basic", "body"])
    .optional()
    .meta({ title: "Client sign-in", description: "How the client id and its secret are sent; usually basic" }),
});

export type OAuthForm = z.output<typeof oauth_form>;

/** `now_ms`: a clock that only goes on, for how long a token lives; for tests. */
export type OAuthOptions = AddressRule & Readonly<{ now_ms?: () => number }>;

/** Where an app's tokens come from. */
export type TokenPlace = Readonly<{
  /** A token that is still good; asks for one if need be. @throws ConnectorFault `retry`, `rate_limited` or `denied`. */
  token(ctx: Context): Promise<string>;
  /** The resource refused this token: it is not used again. */
  forget(token: string): void;
  /** Everything that must be in no message. */
  secrets(): readonly string[];
  close(): Promise<void>;
}>;

const answer_max_bytes = 64 * 1024;
/** More than servers take in a header. */
const token_max_chars = 16_000;
const asking_ms = 20_000;
/** How long a token is used whose end is not told, or told as nonsense. */
const unknown_life_s = 300;
const life_max_s = 86_400;
/** However short a token is said to live, it is not asked for at every call: who refuses it is asked with another. */
const life_min_s = 5;
const margin_max_s = 60;

type Kept = Readonly<{ token: string; until_ms: number }>;

/** Percent-encoding as a form has it; a space as %20 is read as one everywhere. */
const encoded = (text: string) =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/** Opens a token place; nothing is sent before the first token is needed. @throws ConnectorFault for an address that can never be used. */
export function tokenPlace(form: OAuthForm, secret: Secret, options: OAuthOptions): TokenPlace {
  const url = checkedTokenUrl(form.token_url, options);
  const now_ms = options.now_ms ?? (() => performance.now());
  const basic = () => Buffer.from(`${encoded(form.client_id)}:${encoded(secret.reveal())}`).toString("base64");
  let kept: Kept | undefined;
  let asking: Promise<Kept> | undefined;
  const secrets = () => {
    const clear = secret.reveal();
    return [clear, encoded(clear), basic(), ...(kept === undefined ? [] : [kept.token])];
  };
  const http = httpClient({
    allow_private: options.allow_private,
    base_url: url.origin,
    headers: () => ({
      accept: "application/json",
      "content-type": "application/x-www-form-urlencoded",
      ...(form.client_auth === "body" ? {} : { authorization: `Basic ${basic()}` }),
    }),
    secrets,
    concurrency: 1,
    timeout_ms: asking_ms,
    body_max_bytes: answer_max_bytes,
    redirects_max: 0,
  });
  const ask = async (ctx: Context): Promise<Kept> => {
    // A deadline of its own: many wait for this one, and whoever happened to be first may give up sooner.
    const own: Context = { ...ctx, signal: AbortSignal.timeout(asking_ms) };
    const started_ms = now_ms();
    const text = bodyOf(form, secret);
    const answer = await http
      .send(own, { method: "POST", path: url.pathname, search: url.search, text })
      .catch((error: unknown) => Promise.reject(ofTokenPlace(error)));
    const { token, life_s } = grantOf(answer, ctx, secret);
    return { token, until_ms: started_ms + 1_000 * (life_s - Math.min(margin_max_s, life_s / 10)) };
  };
  return Object.freeze({
    token: async (ctx: Context) => {
      if (kept !== undefined && now_ms() < kept.until_ms) return kept.token;
      asking ??= ask(ctx)
        .then((got) => {
          kept = got;
          return got;
        })
        .finally(() => {
          asking = undefined;
        });
      return (await within(ctx.signal, asking, url)).token;
    },
    forget: (token: string) => {
      if (kept?.token === token) kept = undefined;
    },
    secrets,
    close: http.close,
  });
}

function checkedTokenUrl(text: string, { allow_private }: AddressRule): URL {
  const refuse = (why: string) =>
    new ConnectorFault("invalid", `The token address ${why}`, { attribute: "oauth.token_url" });
  const url = URL.parse(text);
  if (url === null) throw refuse(`"${text.slice(0, 200)}" is not a URL`);
  if (url.protocol !== "https:" && !(allow_private && url.protocol === "http:"))
    throw refuse("must start with https://, because the client secret is sent there");
  if (url.username !== "" || url.password !== "") throw refuse("must not hold a user name or password");
  if (url.hash !== "") throw refuse("must not hold a fragment");
  return url;
}

function bodyOf({ client_id, scope, extra, client_auth }: OAuthForm, secret: Secret): string {
  const terms = [
    ["grant_type", "client_credentials"] as const,
    ...(client_auth === "body" ? [["client_id", client_id] as const, ["client_secret", secret.reveal()] as const] : []),
    ...(scope === undefined ? [] : [["scope", scope] as const]),
    ...Object.entries(extra ?? {}),
  ] as const;
  return terms.map(([name, value]) => `${encoded(name)}=${encoded(value)}`).join("&");
}

/** A wait that ends with the caller's deadline; the request goes on for those who still wait. */
function within<T>(signal: AbortSignal, asked: Promise<T>, { origin, pathname }: URL): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () =>
      reject(
        new ConnectorFault("retry", `POST ${origin}${pathname}: no token before the deadline`, { status: "deadline" }),
      );
    if (signal.aborted) end();
    signal.addEventListener("abort", end, { once: true });
    asked.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
  });
}

/** A fault of the token place. Only those that pass by themselves keep their kind: the others are no word about an account. */
function ofTokenPlace(error: unknown): unknown {
  if (!(error instanceof ConnectorFault)) return error;
  const { kind, status, retry_at } = error;
  const message = error.message
    .replaceAll("the base URL", "the token address")
    .replace("; use a smaller page size", "");
  return new ConnectorFault(
    kind === "retry" || kind === "rate_limited" ? kind : "denied",
    `No token to sign in with: ${message}`,
    {
      attribute: "oauth.token_url",
      ...(status === undefined ? {} : { status }),
      ...(retry_at === undefined ? {} : { retry_at }),
      cause: error,
    },
  );
}

/** What each `error` of RFC 6749 section 5.2 means for whoever filled in the form. */
const hints: Readonly<Record<string, string>> = {
  invalid_client:
    "check the client id, the client secret, and whether it is sent as basic or in the body (client_auth)",
  invalid_scope: "check the scope",
  unauthorized_client: "this client may not use client credentials there",
  unsupported_grant_type: "that server does not do client credentials, or the token address is not its token endpoint",
  invalid_request: "something is missing or too much: check the scope and the extra values",
};

/** The token of an answer and how long it lives. @throws ConnectorFault that says what the token place answered. */
function grantOf(answer: HttpAnswer, ctx: Context, secret: Secret): Readonly<{ token: string; life_s: number }> {
  const said = typeof answer.json === "object" && answer.json !== null ? (answer.json as Record<string, unknown>) : {};
  const own = (name: string) => (Object.hasOwn(said, name) ? said[name] : undefined);
  const code = own("error");
  if (answer.status < 200 || answer.status >= 300 || answer.html) {
    const detail = detailOf(code, own("error_description"), secret);
    const passing = code === "temporarily_unavailable" || code === "server_error";
    const kind = passing ? ({ kind: "retry" } as const) : {};
    throw ofTokenPlace(statusFault(answer, ctx.now(), { detail, ...kind }));
  }
  const refuse = (why: string) => ofTokenPlace(new ConnectorFault("denied", `${answer.request} ${why}`));
  if (typeof code === "string" && own("access_token") === undefined)
    throw refuse(`answered: ${answer.blot(detailOf(code, own("error_description"), secret))}`);
  const token = own("access_token");
  if (typeof token !== "string" || token === "")
    throw refuse("answered without an access_token: check that the token address is the token endpoint");
  if (token.length > token_max_chars) throw refuse(`gave a token of more than ${token_max_chars} characters`);
  if (!/^[\x21-\x7e]+$/.test(token)) throw refuse("gave a token with characters that no HTTP header can carry");
  const type = own("token_type");
  if (type !== undefined && (typeof type !== "string" || type.toLowerCase() !== "bearer"))
    throw refuse("gave a token of another type than bearer, which is not known here");
  return { token, life_s: lifeOf(own("expires_in")) };
}

/** The server's words, which may be anything: bounded, and nothing beyond the code where a secret is too short to be found in them. */
function detailOf(code: unknown, description: unknown, secret: Secret): string {
  const named = typeof code === "string" && /^[\x20-\x7e]{1,100}$/.test(code) ? code : "no reason that RFC 6749 knows";
  const known = Object.hasOwn(hints, named) ? `; ${hints[named]}` : "";
  if (secret.reveal().length < 6) return Object.hasOwn(hints, named) ? `${named}${known}` : "refused";
  const words = typeof description === "string" && description !== "" ? ` (${oneLine(description).slice(0, 300)})` : "";
  return `${named}${words}${known}`;
}

/** Seconds that a token lives. Some servers give the number as text; anything else is as good as not told. */
function lifeOf(expires_in: unknown): number {
  const told = typeof expires_in === "string" && /^\d{1,15}$/.test(expires_in) ? Number(expires_in) : expires_in;
  if (typeof told !== "number" || !Number.isFinite(told) || told < 0) return unknown_life_s;
  return Math.min(Math.max(told, life_min_s), life_max_s);
}

/** The client of an app that is signed in to by tokens. `options`: as for httpClient; its headers must hold no authorization. */
export function oauthClient(options: HttpOptions, place: TokenPlace): Http {
  const http = httpClient({ ...options, secrets: () => [...options.secrets(), ...place.secrets()] });
  const sendWith = (ctx: Context, request: HttpRequest, token: string) =>
    http.send(ctx, {
      ...request,
      headers: { ...request.headers, authorization: `Bearer ${token}` },
      secrets: [...(request.secrets ?? []), token],
    });
  return Object.freeze({
    base_url: http.base_url,
    async send(ctx: Context, request: HttpRequest): Promise<HttpAnswer> {
      const token = await place.token(ctx);
      const answer = await sendWith(ctx, request, token);
      if (answer.status !== 401) return answer;
      // A 401 was not acted upon, so asking again is safe for writes too.
      place.forget(token);
      const renewed = await place.token(ctx);
      return renewed === token ? answer : sendWith(ctx, request, renewed);
    },
    async close() {
      await Promise.all([http.close(), place.close()]);
    },
  });
}
