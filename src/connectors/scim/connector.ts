/**
 * The SCIM 2.0 client: one connector for every app that speaks SCIM, told by a profile how this vendor speaks it. It
 * sends pathed PATCH operations where it may, reads back what it wrote unless the profile trusts the app, and turns
 * everything that goes wrong into one of the seven faults.
 *
 * Made by registry.ts; its laws are those of connector.ts and are checked against real servers in test/contract.
 */

import { field } from "../../core/scim/path.ts";
import { fromResource } from "../../core/scim/resource.ts";
import type { Capabilities, Schema } from "../../core/types.ts";
import {
  type AccountChange,
  type AccountWrite,
  type Connector,
  ConnectorFault,
  type Context,
  type ExternalId,
  type MatchKey,
} from "../connector.ts";
import { type Http, type HttpOptions, httpClient } from "../http.ts";
import { oauthClient, tokenPlace } from "../oauth.ts";
import { bulkWriter } from "./bulk.ts";
import type { ScimConfig, ScimCredentials } from "./config.ts";
import { scimGroups } from "./groups.ts";
import { filterForms, find, findAlone, type Parts, readAccount } from "./look.ts";
import { offersReader } from "./offers.ts";
import { listPage, listResponse } from "./paging.ts";
import { overridden, type ScimProfile } from "./profile.ts";
import { profiles } from "./profiles/index.ts";
import { discoveredSchema, placed, profileSchema } from "./schema.ts";
import { type Search, searches } from "./searches.ts";
import { scimWire } from "./wire.ts";
import { create, remove, update } from "./write.ts";

/**
 * `schema`: the app's schema as an administrator has it by now, with the SCIM paths in `external_name`; without it the
 * profile's. `allow_private`: the operator lets connectors reach private and loopback addresses.
 */
export type ScimOptions = Readonly<{ schema?: Schema; allow_private?: boolean }>;

/** A user name that no one has: `test` looks for it, as other clients do. */
const nobody = "tenure-connection-test@invalid.example";

function capabilities(profile: ScimProfile): Capabilities {
  const { user, group } = profile;
  return {
    create: true,
    update: true,
    // An app that forgets an account when it is disabled is an app that can only delete.
    disable: user.deactivate.method !== "none" && user.deactivate.reversible,
    delete: user.delete === "hard" || !user.deactivate.reversible,
    password: user.create.password === "synced",
    groups: group.enabled,
    changes: false,
    writes_max: group.members.max,
  };
}

/** Who filled in OAuth wants it: in no case is the client secret sent to the app as if it were a token. */
function signIn({ auth, oauth }: ScimConfig, profile: ScimProfile) {
  if (oauth === undefined || auth === "oauth") return auth ?? profile.auth.kind;
  if (auth === undefined) return "oauth";
  throw new ConnectorFault("invalid", `oauth is for sign-in by oauth, and auth is ${auth}`, { attribute: "oauth" });
}

function headers(config: ScimConfig, credentials: ScimCredentials, profile: ScimProfile): Record<string, string> {
  const token = credentials.token.reveal();
  const kind = signIn(config, profile);
  if (kind === "basic") {
    return { authorization: `Basic ${Buffer.from(`${config.username ?? ""}:${token}`).toString("base64")}` };
  }
  if (kind === "oauth") return {};
  if (kind === "bearer") return { authorization: `Bearer ${token}` };
  return { [(config.header ?? profile.auth.header).toLowerCase()]: `${profile.auth.prefix}${token}` };
}

function client(config: ScimConfig, credentials: ScimCredentials, profile: ScimProfile, options: ScimOptions): Http {
  const token = credentials.token.reveal();
  if (!/^[\x20-\x7e]+$/.test(token)) {
    throw new ConnectorFault("invalid", "The token is empty, or holds characters that no HTTP header can carry", {
      attribute: "token",
    });
  }
  const http_options: HttpOptions = {
    base_url: config.base_url,
    headers: () => ({ ...profile.http.headers, ...headers(config, credentials, profile) }),
    secrets: () => [credentials.token.reveal()],
    ...(config.user_agent === undefined ? {} : { user_agent: config.user_agent }),
    ...(config.user_agent === undefined && profile.http.user_agent !== null
      ? { user_agent: profile.http.user_agent }
      : {}),
    concurrency: config.concurrency ?? profile.http.concurrency,
    timeout_ms: profile.http.timeout_ms,
    rate: profile.rate,
    allow_private: options.allow_private === true,
  };
  if (signIn(config, profile) !== "oauth") return httpClient(http_options);
  if (config.oauth !== undefined)
    return oauthClient(http_options, tokenPlace(config.oauth, credentials.token, http_options));
  throw new ConnectorFault("invalid", "Sign-in by oauth needs token_url and client_id in oauth", {
    attribute: "oauth",
  });
}

async function discover(parts: Parts, ctx: Context): Promise<Schema> {
  const { wire, profile } = parts;
  if (profile.discovery.use === "never") return profileSchema(profile);
  const answer = await wire.send(ctx, { method: "GET", path: "/Schemas" });
  const fault = wire.fault(ctx, answer);
  const passing = fault?.kind === "retry" || fault?.kind === "rate_limited" || answer.status === 401;
  if (fault !== null && (passing || profile.discovery.use === "required")) throw fault;
  if (fault !== null) return profileSchema(profile);
  const list = Array.isArray(answer.json) ? answer.json : field(answer.json, "Resources");
  return discoveredSchema(profile, Array.isArray(list) ? list : []);
}

/** Credentials, address and the ability to search, with no write: looks for a user that cannot be there. */
async function test({ wire, profile, schema }: Parts, ctx: Context): Promise<void> {
  if (profile.discovery.use === "required") {
    await wire.call(ctx, { method: "GET", path: profile.discovery.service_provider_config });
  }
  const at = schema.get("userName");
  const filter = at === undefined ? undefined : filterForms(at, nobody, profile)[0];
  const answer = await wire.send(ctx, {
    method: "GET",
    path: "/Users",
    query: filter === undefined ? { count: 1 } : { filter, count: 1 },
  });
  const fault = wire.fault(ctx, answer);
  // 404 may mean "none" where there is a filter, so it is asked again without: then it means that the place is wrong.
  if (fault?.kind === "not_found") {
    listResponse(await wire.call(ctx, { method: "GET", path: "/Users", query: { count: 1 } }));
    return;
  }
  if (fault !== null) throw fault;
  listResponse(answer);
}

/**
 * A connector for one SCIM app. Nothing is sent until it is used.
 * @param config the parsed form (config.ts)
 * Throws `invalid` or `denied` for a configuration that can never work.
 */
export function scimConnector(config: ScimConfig, credentials: ScimCredentials, options: ScimOptions = {}): Connector {
  const profile = overridden(profiles[config.profile ?? "strict"], config.overrides);
  const schema = placed(options.schema ?? profileSchema(profile));
  const http = client(config, credentials, profile, options);
  const wire = scimWire(http, profile, schema);
  const looking = { wire, profile, schema };
  const offers = offersReader(wire, profile);
  const alone = (ctx: Context, one: Search) => findAlone(looking, ctx, one);
  const parts: Parts = {
    ...{ ...looking, memory: new Map(), bulk: bulkWriter(wire, offers) },
    searches: searches({ wire, offers, alone, show: (one) => fromResource(one, schema) }),
  };
  const groups = scimGroups(wire, parts.memory);
  return Object.freeze({
    kind: "scim",
    can: capabilities(profile),
    test: (ctx: Context) => test(parts, ctx),
    schema: (ctx: Context) => discover(parts, ctx),
    list: (ctx: Context, page: Parameters<Connector["list"]>[1]) =>
      listPage(wire, ctx, page, { path: "/Users", show: (one) => fromResource(one, schema), memory: parts.memory }),
    read: (ctx: Context, id: ExternalId) => readAccount(parts, ctx, id),
    find: (ctx: Context, key: MatchKey) => find(parts, ctx, key),
    create: (ctx: Context, account: AccountWrite) => create(parts, ctx, account),
    update: (ctx: Context, id: ExternalId, change: AccountChange) => update(parts, ctx, id, change),
    delete: (ctx: Context, id: ExternalId) => remove(parts, ctx, id),
    ...(groups === undefined ? {} : { groups }),
    together: parts.bulk.most,
    close: http.close,
  });
}
