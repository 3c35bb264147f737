/**
 * An inline hook in Okta's form: what clients send, judged, and what they are answered.
 *
 * Law: what is secret (a header's value, a client secret) is only ever read in. Members that are not a client's to say
 * (links, dates, a status) are not looked at, because clients send back whole hooks.
 */
import { z } from "zod";
import { inline_hook_types } from "../../core/inlineHook.ts";
import type { HookInput, InlineHook } from "../../directory/inlineHooks.ts";
import type { HookChannel } from "../../store/apiTables.ts";
import { date, hinted } from "./links.ts";

const text = (max: number) => z.string().min(1).max(max);
/** What may stand in a header: no line ends, so that nobody smuggles in another. */
const header_text = (max: number) =>
  text(max).regex(/^[\t\x20-\x7e\x80-\xff]*$/, "holds a character that no header can");
/** Headers that are the call's own. */
const reserved =
  /^(host|content-length|content-type|connection|transfer-encoding|te|trailer|upgrade|expect|keep-alive)$/i;
const header_name = header_text(200).refine((name) => !reserved.test(name.trim()), "this header is the call's own");
const version = z.string().regex(/^\d{1,3}\.\d{1,3}\.\d{1,3}$/, "has the form 1.0.0");
const address = text(2_000);

const shared = {
  uri: address,
  headers: z
    .array(z.object({ key: header_name, value: header_text(2_000) }))
    .max(50)
    .nullish(),
  method: z
    .string()
    .regex(/^POST$/i, "is POST")
    .nullish(),
};
const auth_scheme = z.object({ type: z.literal("HEADER"), key: header_name, value: header_text(2_000).nullish() });
const http_config = z.object({ ...shared, authScheme: auth_scheme.nullish() });
const oauth_config = z.object({
  ...shared,
  authType: z.literal("client_secret_post", "is client_secret_post: keys for private_key_jwt are not kept here"),
  clientId: text(500),
  clientSecret: text(2_000).nullish(),
  tokenUrl: address,
  scope: text(1_000).nullish(),
});

const channel = z.discriminatedUnion("type", [
  z.object({ type: z.literal("HTTP"), version, config: http_config }),
  z.object({ type: z.literal("OAUTH"), version, config: oauth_config }),
]);

export const hook_type = z.enum(inline_hook_types as [string, ...string[]]);

/** A hook as it replaces another; `type` may be said again. */
export const hook_input = z.object({ name: text(255), type: hook_type.optional(), version, channel });
export const new_hook = hook_input.extend({ type: hook_type });
/** A partial change: what is not there stays. */
export const hook_change = z.object({
  name: z.json().optional(),
  type: z.json().optional(),
  version: z.json().optional(),
  channel: z.record(z.string().max(100), z.json()).nullish(),
});

/** What was sent, as the directory takes it. */
export function hookInput(input: z.infer<typeof hook_input>): HookInput {
  const { type, version, config } = input.channel;
  const common = {
    ...{ type, version, uri: config.uri, method: "POST" },
    headers: (config.headers ?? []).map(({ key, value }) => ({ key, value })),
  };
  if (type === "HTTP") {
    const scheme = (config as z.infer<typeof http_config>).authScheme;
    const kept: HookChannel = { ...common, auth_header: scheme?.key ?? null, oauth: null };
    return { name: input.name, version: input.version, channel: kept, secret: scheme?.value ?? undefined };
  }
  const { clientId, clientSecret, tokenUrl, authType, scope } = config as z.infer<typeof oauth_config>;
  const oauth = { client_id: clientId, token_url: tokenUrl, auth_type: authType, scope: scope ?? null };
  const kept: HookChannel = { ...common, auth_header: null, oauth };
  return { name: input.name, version: input.version, channel: kept, secret: clientSecret ?? undefined };
}

/** A hook with a partial change laid over it, to be judged like any other. */
export function merged(hook: InlineHook, change: z.infer<typeof hook_change>): unknown {
  const { name, type, version } = hook;
  const before = channelBody(hook.channel);
  const { config, ...rest } = change.channel ?? {};
  const said = Object.entries(change).filter(([key, value]) => key !== "channel" && value !== undefined);
  // Another kind of channel takes nothing over from the one before.
  const other = rest["type"] !== undefined && rest["type"] !== before.type;
  const own = typeof config === "object" && config !== null && !Array.isArray(config) ? config : {};
  const next = other
    ? { version: before.version, ...rest, config: own }
    : { ...before, ...rest, config: { ...before.config, ...own } };
  return { ...{ name, type, version }, ...Object.fromEntries(said), channel: next };
}

/** A hook as it goes out. */
export function hookBody(hook: InlineHook, base: string) {
  const self = `${base}/api/v1/inlineHooks/${hook.id}`;
  const active = hook.status === "ACTIVE";
  return {
    id: hook.id,
    status: hook.status,
    name: hook.name,
    type: hook.type,
    version: hook.version,
    channel: channelBody(hook.channel),
    created: date(hook.created_at),
    lastUpdated: date(hook.updated_at),
    _links: active
      ? {
          self: { href: self },
          execute: hinted(`${self}/execute`, "POST"),
          deactivate: hinted(`${self}/lifecycle/deactivate`, "POST"),
        }
      : {
          activate: hinted(`${self}/lifecycle/activate`, "POST"),
          self: { href: self },
          delete: hinted(self, "DELETE"),
        },
  };
}

function channelBody({ type, version, uri, method, headers, auth_header, oauth }: HookChannel) {
  const authScheme = auth_header === null ? null : { type: "HEADER", key: auth_header };
  return {
    type,
    version,
    config: {
      ...{ uri, headers, method, authScheme },
      ...(oauth === null
        ? {}
        : {
            clientId: oauth.client_id,
            tokenUrl: oauth.token_url,
            authType: oauth.auth_type,
            ...(oauth.scope === null ? {} : { scope: oauth.scope }),
          }),
    },
  };
}
