/**
 * Writing a SCIM app's accounts: made, changed, deleted, in the form that the app's profile asks for, and looked at
 * afterwards unless the profile trusts the app.
 *
 * Called by connector.ts.
 */
import { randomBytes } from "node:crypto";
import type { ScimObject } from "../../core/scim/path.ts";
import { fromResource, layOver, resourceId, toResource, withSchemas } from "../../core/scim/resource.ts";
import type { Profile } from "../../core/types.ts";
import {
  type AccountChange,
  type AccountWrite,
  ConnectorFault,
  type Context,
  type ExternalId,
  type RemoteAccount,
  type Written,
} from "../connector.ts";
import type { HttpAnswer, HttpRequest } from "../http.ts";
import { find, knownAccount, type Parts, readAccount } from "./look.ts";
import { needsCurrent, patch_urn, patchOperations } from "./patch.ts";
import type { ScimProfile } from "./profile.ts";
import type { PlacedSchema } from "./schema.ts";
import { believe, contradictions, type Sent } from "./verify.ts";
import { answeredObject, resourcePath, scimType } from "./wire.ts";

/** A replica may lag behind the write by this much before its word counts. */
const second_look_ms = 300;

/** The account in an answer's body, if it is one. */
function echoed(answer: HttpAnswer, schema: PlacedSchema): RemoteAccount | null {
  const resource = answeredObject(answer);
  return resource === undefined ? null : fromResource(resource, schema);
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

/** Refuses before sending what the app is known to refuse, naming the attribute. */
function checkNew(profile: Profile, { schema, profile: app, wire }: Parts): void {
  const refuse = (name: string, why: string) =>
    new ConnectorFault("invalid", `${wire.base_url}: ${name} ${why}`, { attribute: name });
  for (const name of Object.keys(profile)) {
    const value = profile[name];
    const attribute = schema.get(name)?.attribute;
    if (attribute === undefined) throw refuse(name, `is not an attribute of this app; take it out of the mapping`);
    if (attribute.writable === "never") throw refuse(name, "cannot be written, the app decides it");
    const max = app.user.max_length[name];
    if (max !== undefined && typeof value === "string" && value.length > max) {
      throw refuse(name, `is longer than the ${max} characters that ${app.name} takes`);
    }
  }
  for (const name of app.user.required) {
    // Our own key goes where the app wants an external id and none is mapped.
    if (!schema.has(name) || name === "externalId") continue;
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
  const { constants } = profile.user.create;
  const base: ScimObject = Object.keys(constants).length === 0 ? {} : structuredClone(constants);
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

/** What a bulk made and did not show is looked at by one search for all of it; null: not seen so. */
async function lookTogether(
  { bulk, searches, schema, profile }: Parts,
  ctx: Context,
  id: ExternalId,
  account: AccountWrite,
): Promise<RemoteAccount | null> {
  const [at, value] = [schema.get("userName"), account.profile["userName"]];
  if (bulk.most() < 2 || profile.readback === "never" || at === undefined || typeof value !== "string") return null;
  const found = await searches.find(ctx, { at, value });
  return found.find((one) => one.id === id) ?? null;
}

/** Makes an account. Throws `conflict` if the app says it is there, `invalid` if it did not keep what was sent. */
export async function create(parts: Parts, ctx: Context, account: AccountWrite): Promise<Written> {
  const { wire, profile, schema } = parts;
  checkNew(account.profile, parts);
  const password = newPassword(account, profile);
  const request: HttpRequest = {
    method: "POST",
    path: "/Users",
    json: newResource(account, password, parts),
    ...(password === undefined ? {} : { secrets: [password] }),
  };
  const answer = await parts.bulk.send(ctx, request);
  wire.check(ctx, request, answer);
  const id = await createdId(parts, ctx, answer, account);
  if (answer.status === 202) return { id, pending: true };
  const echo = echoed(answer, schema) ?? (await lookTogether(parts, ctx, id, account));
  if (profile.readback === "never" && echo === null) return { id };
  const sent: Sent = { set: account.profile, enabled: account.enabled };
  const look = profile.readback === "always" || echo === null || contradictions(sent, echo, schema).length > 0;
  const made = look ? await readBack(parts, ctx, answer.request, id, sent) : echo;
  parts.searches.noticed(made);
  return { id, account: made };
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

/** Changes an account. Throws `invalid`, naming the attribute, if the app did not do what it answered as done. */
export async function update(parts: Parts, ctx: Context, id: ExternalId, change: AccountChange): Promise<Written> {
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

/** Deletes an account; one that is gone already is deleted. Throws `unsupported` where the app only disables. */
export async function remove(parts: Parts, ctx: Context, id: ExternalId): Promise<void> {
  const { wire, profile } = parts;
  const { delete: way, deactivate } = profile.user;
  if (way !== "hard" && !deactivate.reversible) {
    // In such an app disabling is deleting, and DELETE is not offered.
    await patch(parts, ctx, id, { set: {}, enabled: false }).catch((fault: unknown) => {
      if (!(fault instanceof ConnectorFault) || fault.kind !== "not_found") throw fault;
    });
    return;
  }
  if (way !== "hard") {
    throw new ConnectorFault("unsupported", `${wire.base_url}: ${profile.name} cannot delete an account; disable it`);
  }
  const answer = await wire.send(ctx, { method: "DELETE", path: resourcePath("Users", id) });
  const fault = wire.fault(ctx, answer);
  if (fault !== null && fault.kind !== "not_found") throw fault;
}
