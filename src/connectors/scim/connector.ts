/**
 * The SCIM 2.0 client: one connector for every app that speaks SCIM, told by a profile how this vendor speaks it. It
 * sends pathed PATCH operations where it may, reads back what it wrote unless the profile trusts the app, and turns
 * everything that goes wrong into one of the seven faults.
 *
 * Made by registry.ts; its laws are those of connector.ts and are checked against real servers in test/contract.
 */
import { randomBytes } from "node:crypto";
import type { Capabilities, Profile, Schema } from "../../core/types.ts";
import {
  type AccountChange,
  type AccountWrite,
  type Connector,
  ConnectorFault,
  type Context,
  type ExternalId,
  type MatchKey,
  type RemoteAccount,
  type Written,
} from "../connector.ts";
import { type Http, type HttpAnswer, httpClient } from "../http.ts";
import type { ScimConfig, ScimCredentials } from "./config.ts";
import { scimGroups } from "./groups.ts";
import { type ListingMemory, listPage, listResponse, searchAll } from "./paging.ts";
import { needsCurrent, patch_urn, patchOperations } from "./patch.ts";
import { field, type ScimObject } from "./path.ts";
import { overridden, type ScimProfile } from "./profile.ts";
import { profiles } from "./profiles/index.ts";
import { fromResource, layOver, resourceId, toResource, withSchemas } from "./resource.ts";
import { discoveredSchema, type Placed, type PlacedSchema, placed, profileSchema } from "./schema.ts";
import { believe, contradictions, type Sent } from "./verify.ts";
import { answeredObject, resourcePath, scimType, scimWire, type Wire } from "./wire.ts";

/**
 * `schema`: the app's schema as an administrator has it by now, with the SCIM paths in `external_name`; without it the
 * profile's. `allow_private`: the operator lets connectors reach private and loopback addresses.
 */
export type ScimOptions = Readonly<{ schema?: Schema; allow_private?: boolean }>;

type Parts = Readonly<{ wire: Wire; profile: ScimProfile; schema: PlacedSchema; memory: ListingMemory }>;

/** A replica may lag behind the write by this much before its word counts. */
const second_look_ms = 300;
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

function headers(config: ScimConfig, credentials: ScimCredentials, profile: ScimProfile): Record<string, string> {
  const token = credentials.token.reveal();
  const kind = config.auth ?? profile.auth.kind;
  if (kind === "basic") {
    return { authorization: `Basic ${Buffer.from(`${config.username ?? ""}:${token}`).toString("base64")}` };
  }
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
  return httpClient({
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
  });
}

/** The account in an answer's body, if it is one. */
function echoed(answer: HttpAnswer, schema: PlacedSchema): RemoteAccount | null {
  const resource = answeredObject(answer);
  return resource === undefined ? null : fromResource(resource, schema);
}

async function rawAccount({ wire }: Parts, ctx: Context, id: ExternalId): Promise<ScimObject | null> {
  const answer = await wire.send(ctx, { method: "GET", path: resourcePath("Users", id) });
  const fault = wire.fault(ctx, answer);
  if (fault?.kind === "not_found") return null;
  if (fault !== null) throw fault;
  const resource = answeredObject(answer);
  if (resource === undefined || resourceId(resource) === undefined) {
    const hint = "what answers at this address is not a SCIM 2.0 server; check the base URL";
    throw new ConnectorFault("denied", `${answer.request} answered ${answer.status} without a SCIM user: ${hint}`);
  }
  return resource;
}

async function knownAccount(parts: Parts, ctx: Context, id: ExternalId): Promise<ScimObject> {
  const raw = await rawAccount(parts, ctx, id);
  if (raw !== null) return raw;
  throw new ConnectorFault("not_found", `${parts.wire.base_url}: there is no account ${id}`, { status: "404" });
}

async function readAccount(parts: Parts, ctx: Context, id: ExternalId): Promise<RemoteAccount | null> {
  const raw = await rawAccount(parts, ctx, id);
  return raw === null ? null : fromResource(raw, parts.schema);
}

/** Waits, unless the deadline comes first. */
function pause(ctx: Context, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      ctx.signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    ctx.signal.addEventListener("abort", done);
  });
}

/** Reads back what was written, twice if the first look contradicts it, and gives what the app holds. */
async function readBack(
  parts: Parts,
  ctx: Context,
  request: string,
  id: ExternalId,
  sent: Sent,
): Promise<RemoteAccount> {
  const { wire, schema, profile } = parts;
  const hidden = sent.enabled === false && profile.user.deactivate.afterwards === "gone";
  let found = await readAccount(parts, ctx, id);
  if (!hidden && (found === null || contradictions(sent, found, schema).length > 0)) {
    await pause(ctx, second_look_ms);
    found = await readAccount(parts, ctx, id);
  }
  if (found === null && hidden) return { id, profile: { ...sent.was?.profile, ...sent.set }, enabled: false };
  if (found === null) {
    throw new ConnectorFault("retry", `${request} was answered as done, but ${wire.base_url} shows no account ${id}`);
  }
  believe(request, sent, found, schema);
  return found;
}

// --- looking ---------------------------------------------------------------------------------------------------------

function filterPath({ attribute, path }: Placed, profile: ScimProfile): string {
  return profile.user.filters[attribute.name] ?? path.text;
}

/**
 * Every filter worth trying: the attribute's own path, then the form without brackets that older servers know; for a
 * value with quotes, which not every server can parse, at last the whole list. undefined: no filter.
 */
function filterForms(at: Placed, value: string, profile: ScimProfile): readonly (string | undefined)[] {
  const { filterable } = profile.user;
  if (!filterable.includes("*") && !filterable.includes(at.attribute.name)) return [undefined];
  const own = filterPath(at, profile);
  const plain = own.replace(/\[[^\]]*\]/, "");
  const literal = JSON.stringify(value);
  const forms = [own, plain].map((path) => `${path} eq ${literal}`);
  return [...new Set(forms), ...(literal === `"${value}"` ? [] : [undefined])];
}

async function search(parts: Parts, ctx: Context, at: Placed, value: string): Promise<readonly RemoteAccount[]> {
  const { wire, profile, schema } = parts;
  const folded = (text: string) =>
    at.attribute.case_exact ? text.normalize("NFC") : text.normalize("NFC").toLowerCase();
  const accept = (account: RemoteAccount) => {
    const held = account.profile[at.attribute.name];
    const values = Array.isArray(held) ? held : [held];
    return values.some((one) => typeof one === "string" && folded(one) === folded(value));
  };
  const forms = filterForms(at, value, profile);
  for (const [index, filter] of forms.entries()) {
    const query: Record<string, string> = filter === undefined ? {} : { filter };
    try {
      return await searchAll(wire, ctx, { path: "/Users", query, show: (one) => fromResource(one, schema), accept });
    } catch (fault) {
      if (!(fault instanceof ConnectorFault)) throw fault;
      if (fault.kind === "not_found") return []; // several apps say "none" this way
      if (fault.kind !== "invalid" || index === forms.length - 1) throw fault;
    }
  }
  return [];
}

async function find(parts: Parts, ctx: Context, key: MatchKey): Promise<readonly RemoteAccount[]> {
  const at = parts.schema.get(key.attribute);
  if (at === undefined) {
    throw new ConnectorFault("invalid", `${parts.wire.base_url}: there is no attribute ${key.attribute} to look by`, {
      attribute: key.attribute,
    });
  }
  const found = await search(parts, ctx, at, key.value);
  const lower = key.value.toLowerCase();
  if (found.length > 0 || at.attribute.case_exact || lower === key.value) return found;
  // The attribute minds no case, but some servers' filters do, and those store what they were given or lower case.
  return search(parts, ctx, at, lower);
}

// --- writing ---------------------------------------------------------------------------------------------------------

/** Refuses before sending what the app is known to refuse, naming the attribute. */
function checkNew(profile: Profile, { schema, profile: app, wire }: Parts): void {
  const refuse = (name: string, why: string) =>
    new ConnectorFault("invalid", `${wire.base_url}: ${name} ${why}`, { attribute: name });
  for (const [name, value] of Object.entries(profile)) {
    const attribute = schema.get(name)?.attribute;
    if (attribute === undefined) throw refuse(name, `is not an attribute of this app; take it out of the mapping`);
    if (attribute.writable === "never") throw refuse(name, "cannot be written, the app decides it");
    const max = app.user.max_length[name];
    if (max !== undefined && typeof value === "string" && value.length > max) {
      throw refuse(name, `is longer than the ${max} characters that ${app.name} takes`);
    }
  }
  for (const name of app.user.required) {
    if (!schema.has(name)) continue;
    const value = profile[name] ?? null;
    if (value === null || value === "") throw refuse(name, `is needed by ${app.name}; map a value to it`);
  }
}

function newPassword(account: AccountWrite, profile: ScimProfile): string | undefined {
  const { password } = profile.user.create;
  if (password !== "none" && account.password !== undefined) return account.password.reveal();
  // Four classes of characters, as password rules ask for; nobody knows it.
  return password === "random" ? `${randomBytes(24).toString("base64url")}aA1!` : undefined;
}

function newResource(account: AccountWrite, password: string | undefined, { schema, profile }: Parts): ScimObject {
  const base: ScimObject = { ...structuredClone(profile.user.create.constants) };
  if (profile.user.external_id === "writable") base["externalId"] = account.key;
  if (profile.user.create.groups_empty) base["groups"] = [];
  const resource = toResource(account.profile, account.enabled, schema, base);
  if (password !== undefined) resource["password"] = password;
  return resource;
}

/** The id of what a POST made, when its answer has no body: from Location, else by looking for the user name. */
async function createdId(parts: Parts, ctx: Context, answer: HttpAnswer, account: AccountWrite): Promise<ExternalId> {
  const id = resourceId(answeredObject(answer));
  if (id !== undefined) return id;
  const segment = /\/Users\/([^/?#]+)$/.exec(answer.header("location") ?? "")?.[1];
  try {
    if (segment !== undefined) return decodeURIComponent(segment);
  } catch {
    // A Location that cannot be read is as good as none.
  }
  const user_name = account.profile["userName"];
  const found =
    typeof user_name === "string" ? await find(parts, ctx, { attribute: "userName", value: user_name }) : [];
  if (found.length === 1) return found[0]!.id;
  throw new ConnectorFault("retry", `${answer.request} answered ${answer.status} without the account's id`);
}

async function create(parts: Parts, ctx: Context, account: AccountWrite): Promise<Written> {
  const { wire, profile, schema } = parts;
  checkNew(account.profile, parts);
  const password = newPassword(account, profile);
  const answer = await wire.call(ctx, {
    method: "POST",
    path: "/Users",
    json: newResource(account, password, parts),
    ...(password === undefined ? {} : { secrets: [password] }),
  });
  const id = await createdId(parts, ctx, answer, account);
  if (answer.status === 202) return { id, pending: true };
  const echo = echoed(answer, schema);
  if (profile.readback === "never" && echo === null) return { id };
  const sent: Sent = { set: account.profile, enabled: account.enabled };
  if (profile.readback === "always" || echo === null || contradictions(sent, echo, schema).length > 0) {
    return { id, account: await readBack(parts, ctx, answer.request, id, sent) };
  }
  return { id, account: echo };
}

/** What of a resource may be sent back by PUT: not what only the app decides. */
function puttable(raw: ScimObject): ScimObject {
  const own = new Set(["meta", "groups", "password"]);
  return Object.fromEntries(Object.entries(raw).filter(([name]) => !own.has(name.toLowerCase())));
}

async function put(
  parts: Parts,
  ctx: Context,
  id: ExternalId,
  change: AccountChange,
  merge: boolean,
): Promise<HttpAnswer> {
  const { schema, wire } = parts;
  const blind = !merge && change.was !== undefined;
  const raw = blind
    ? toResource(change.was.profile, change.was.enabled, schema, {})
    : await knownAccount(parts, ctx, id);
  const resource = puttable(structuredClone(raw));
  layOver(resource, change.set, schema);
  if (change.enabled !== undefined) resource["active"] = change.enabled;
  const password = change.password?.reveal();
  if (password !== undefined) resource["password"] = password;
  return wire.call(ctx, {
    method: "PUT",
    path: resourcePath("Users", id),
    json: { ...withSchemas(resource), id },
    ...(password === undefined ? {} : { secrets: [password] }),
  });
}

async function patch(parts: Parts, ctx: Context, id: ExternalId, change: AccountChange): Promise<HttpAnswer | null> {
  const { schema, profile, wire } = parts;
  const password = change.password?.reveal();
  const send = (raw: ScimObject | undefined) => {
    const { set, enabled, was } = change;
    const Operations = patchOperations({ set, enabled, password, raw, was }, schema, profile);
    if (Operations.length === 0) return null;
    const json = { schemas: [patch_urn], Operations };
    const secrets = password === undefined ? [] : [password];
    return wire.send(ctx, { method: "PATCH", path: resourcePath("Users", id), json, secrets });
  };
  const raw = needsCurrent(change.set, change.was, { schema, profile })
    ? await knownAccount(parts, ctx, id)
    : undefined;
  let answer = await send(raw);
  // What we believed to be there is not: look, and say it again in terms of what is. A refused PATCH has done nothing.
  if (answer !== null && raw === undefined && answer.status === 400 && scimType(answer) === "noTarget") {
    answer = await send(await knownAccount(parts, ctx, id));
  }
  const fault = answer === null ? null : wire.fault(ctx, answer);
  if (fault !== null) throw fault;
  return answer;
}

type Method = "patch" | "put" | "put_merge";

/** A change as one write, or as two for apps that take `active` and the rest in different ways: `active` goes first. */
function writes(change: AccountChange, profile: ScimProfile): readonly (readonly [Method, AccountChange])[] {
  const { update, deactivate } = profile.user;
  const by_active: Method = deactivate.method === "put" ? "put_merge" : "patch";
  const set_empty = Object.keys(change.set).length === 0;
  if (change.enabled === undefined || by_active === update.method) return [[update.method, change]];
  const { enabled, ...rest } = change;
  const first: AccountChange = { set: {}, enabled, ...(change.was === undefined ? {} : { was: change.was }) };
  const only_active = set_empty && change.password === undefined;
  return only_active
    ? [[by_active, change]]
    : [
        [by_active, first],
        [update.method, rest],
      ];
}

async function update(parts: Parts, ctx: Context, id: ExternalId, change: AccountChange): Promise<Written> {
  const { profile, schema } = parts;
  if (change.enabled === false && profile.user.deactivate.method === "none") {
    throw new ConnectorFault("unsupported", `${parts.wire.base_url}: ${profile.name} cannot disable an account`);
  }
  let answer: HttpAnswer | null = null;
  for (const [method, part] of writes(change, profile)) {
    answer =
      method === "patch" ? await patch(parts, ctx, id, part) : await put(parts, ctx, id, part, method === "put_merge");
  }
  if (answer?.status === 202) return { id, pending: true };
  const sent: Sent = { set: change.set, enabled: change.enabled, was: change.was };
  const request = answer?.request ?? `${parts.wire.base_url}/Users`;
  if (profile.readback !== "never") return { id, account: await readBack(parts, ctx, request, id, sent) };
  const echo = answer === null ? null : echoed(answer, schema);
  if (echo === null) return { id };
  believe(request, sent, echo, schema);
  return { id, account: echo };
}

async function remove(parts: Parts, ctx: Context, id: ExternalId): Promise<void> {
  const { wire, profile } = parts;
  if (!capabilities(profile).delete) {
    throw new ConnectorFault("unsupported", `${wire.base_url}: ${profile.name} cannot delete an account; disable it`);
  }
  const answer = await wire.send(ctx, { method: "DELETE", path: resourcePath("Users", id) });
  const fault = wire.fault(ctx, answer);
  if (fault !== null && fault.kind !== "not_found") throw fault;
}

// --- discovery -------------------------------------------------------------------------------------------------------

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
  const parts: Parts = { wire, profile, schema, memory: new Map() };
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
    close: http.close,
  });
}
