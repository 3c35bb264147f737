/**
 * Calls to an address that somebody gave us, such as a hook's: one JSON request and its answer, bounded in time and size.
 * Whoever gives an address may mean us harm with it, so what http.ts promises of apps holds here too, and more: https
 * only, unless the operator lets us reach private addresses; no redirect is followed.
 *
 * Law: the query of the address, the headers given as secret and their values are in no message and in no log. Called
 * through `World.webhook`.
 */

import type { AddressRule } from "./address.ts";
import { ConnectorFault, type Secret } from "./connector.ts";
import { type HttpAnswer, httpClient } from "./http.ts";

/** Where to, and what is sent with every call. `secrets`: headers whose values are revealed only on their way out. */
export type WebhookTarget = Readonly<{
  url: string;
  headers?: Readonly<Record<string, string>>;
  secrets?: Readonly<Record<string, Secret>>;
  /** Calls at a time; those that are more wait, and their time runs. */
  concurrency?: number;
}>;

/** `text`: sent as it is; say its content type. `json`: sent as JSON. Neither: no body. */
export type WebhookCall = Readonly<{
  method: "GET" | "POST";
  text?: string;
  json?: unknown;
  headers?: Readonly<Record<string, string>>;
  /** Nobody waits for the answer any more. */
  signal?: AbortSignal;
}>;

/** One address, with its connections. */
export type Webhook = Readonly<{
  /**
   * Gives any answer, whatever its status. Throws a ConnectorFault when none came in time, or none that may be read, or
   * when the address leads where it may not.
   */
  call(call: WebhookCall): Promise<HttpAnswer>;
  close(): Promise<void>;
}>;

/** A call's whole time, from the look-up of the name to the last byte of the answer. */
export const webhook_timeout_ms = 3_000;
const answer_max_bytes = 256 * 1024;
const user_agent = "Tenure/0.1 (+hooks)";

/**
 * Opens an address; nothing is connected before the first call. Throws a ConnectorFault of kind `invalid` or `denied` for
 * one that can never be used.
 */
export function webhook(target: WebhookTarget, rule: AddressRule): Webhook {
  const url = checkedAddress(target.url, rule);
  const search = url.search;
  const secrets = target.secrets ?? {};
  const http = httpClient({
    ...rule,
    base_url: url.origin,
    headers: () => ({
      accept: "application/json",
      ...lowered(target.headers ?? {}),
      ...lowered(Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, value.reveal()]))),
    }),
    secrets: () => Object.values(secrets).map((value) => value.reveal()),
    user_agent,
    concurrency: target.concurrency ?? 1,
    // The call's own deadline comes first, so that silence is told in one way and not by whichever clock was quicker.
    timeout_ms: 2 * webhook_timeout_ms,
    body_max_bytes: answer_max_bytes,
    redirects_max: 0,
  });
  return Object.freeze({
    call: ({ method, text, json, headers = {}, signal }: WebhookCall) =>
      http.send(
        { signal: bounded(signal), log: () => {}, now: () => new Date() },
        {
          method,
          path: url.pathname,
          search,
          ...(json === undefined ? {} : { json }),
          ...(text === undefined ? {} : { text }),
          headers: { ...(json === undefined ? {} : { "content-type": "application/json" }), ...lowered(headers) },
        },
      ),
    close: () => http.close(),
  });
}

function bounded(signal: AbortSignal | undefined): AbortSignal {
  const timeout = AbortSignal.timeout(webhook_timeout_ms);
  return signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
}

/** Names in small letters, so that one given twice is sent once: what is later wins. */
const lowered = (headers: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

function checkedAddress(text: string, { allow_private }: AddressRule): URL {
  const refuse = (why: string) => new ConnectorFault("invalid", `The address ${why}`, { attribute: "url" });
  const url = URL.parse(text);
  if (url === null) throw refuse(`"${text.slice(0, 200)}" is not a URL`);
  if (url.protocol !== "https:" && !(allow_private && url.protocol === "http:"))
    throw refuse("must start with https://");
  if (url.username !== "" || url.password !== "") throw refuse("must not hold a user name or password");
  if (url.hash !== "") throw refuse("must not hold a fragment");
  return url;
}
