/**
 * A SCIM app's groups: found by name, made, renamed, and their members changed by differences in requests of bounded
 * size. A request refused because of one member is split until that member is alone, so that the others still go in.
 *
 * Called by connector.ts.
 */

import { core_group_urn, elements, field, isObject, parsePath, type ScimObject } from "../../core/scim/path.ts";
import { resourceId } from "../../core/scim/resource.ts";
import {
  ConnectorFault,
  type Context,
  type ExternalId,
  type GroupOperations,
  type MemberResult,
  type RemoteGroup,
} from "../connector.ts";
import { type ListingMemory, listPage, searchAll } from "./paging.ts";
import { type Operation, patch_urn } from "./patch.ts";
import { answeredObject, resourcePath, type Wire } from "./wire.ts";

type Delta = Readonly<{ add: readonly ExternalId[]; remove: readonly ExternalId[] }>;

const members_path = parsePath("members")!;
/** Requests that one `change` may spend on finding the members that an app refuses. */
const splits_max = 32;

/** What surrounds one member's id in a request: a remove operation with its filter is the longest form. */
const member_overhead_bytes = 60;

function fromGroup(resource: unknown): RemoteGroup | null {
  const id = resourceId(resource);
  const name = field(resource, "displayName");
  if (id === undefined || typeof name !== "string") return null;
  const etag = field(field(resource, "meta"), "version");
  return { id, name, ...(typeof etag === "string" ? { etag } : {}) };
}

function memberIds(resource: ScimObject): readonly ExternalId[] {
  const ids = elements(resource, members_path).map((member) => (isObject(member) ? field(member, "value") : member));
  return [...new Set(ids.filter((id) => typeof id === "string" || typeof id === "number").map(String))];
}

function changeOperations(delta: Delta, wire: Wire): readonly Operation[] {
  const values = (ids: readonly ExternalId[]) => ids.map((value) => ({ value }));
  const { remove } = wire.profile.group.members;
  const operations: Operation[] = [];
  if (delta.remove.length > 0 && remove === "value_array") {
    operations.push({ op: "remove", path: "members", value: values(delta.remove) });
  } else {
    for (const id of delta.remove) operations.push({ op: "remove", path: `members[value eq ${JSON.stringify(id)}]` });
  }
  if (delta.add.length > 0) operations.push({ op: "add", path: "members", value: values(delta.add) });
  if (wire.profile.user.update.op_case === "lower") return operations;
  return operations.map((one) => ({ ...one, op: one.op.charAt(0).toUpperCase() + one.op.slice(1) }));
}

async function rawGroup(wire: Wire, ctx: Context, id: ExternalId): Promise<ScimObject | null> {
  const answer = await wire.send(ctx, { method: "GET", path: resourcePath("Groups", id) });
  const fault = wire.fault(ctx, answer);
  if (fault?.kind === "not_found") return null;
  if (fault !== null) throw fault;
  const resource = answeredObject(answer);
  if (resource === undefined || resourceId(resource) === undefined) {
    throw new ConnectorFault("denied", `${answer.request} answered ${answer.status} without a SCIM group`);
  }
  return resource;
}

async function knownGroup(wire: Wire, ctx: Context, id: ExternalId): Promise<ScimObject> {
  const raw = await rawGroup(wire, ctx, id);
  if (raw !== null) return raw;
  throw new ConnectorFault("not_found", `${wire.base_url}: there is no group ${id}`, { status: "404" });
}

/** A group as it may be sent back: what the app alone decides is left out. */
function puttable(raw: ScimObject, change: ScimObject): ScimObject {
  const { meta: _meta, ...rest } = raw;
  return { ...rest, schemas: [core_group_urn], ...change };
}

async function putMembers(wire: Wire, ctx: Context, id: ExternalId, delta: Delta): Promise<void> {
  const raw = await knownGroup(wire, ctx, id);
  const members = new Set(memberIds(raw));
  for (const member of delta.remove) members.delete(member);
  for (const member of delta.add) members.add(member);
  const json = puttable(raw, { members: [...members].map((value) => ({ value })) });
  await wire.call(ctx, { method: "PUT", path: resourcePath("Groups", id), json });
}

async function sendDelta(wire: Wire, ctx: Context, id: ExternalId, delta: Delta): Promise<void> {
  if (wire.profile.group.members.method === "put") return putMembers(wire, ctx, id, delta);
  const json = { schemas: [patch_urn], Operations: changeOperations(delta, wire) };
  await wire.call(ctx, { method: "PATCH", path: resourcePath("Groups", id), json });
}

function size(delta: Delta): number {
  return delta.add.length + delta.remove.length;
}

/** Two halves of a delta; removals and additions keep apart as far as they can. */
function halves({ add, remove }: Delta): readonly [Delta, Delta] {
  if (add.length > 0 && remove.length > 0)
    return [
      { add: [], remove },
      { add, remove: [] },
    ];
  const cut = (ids: readonly ExternalId[]) => Math.ceil(ids.length / 2);
  return [
    { add: add.slice(0, cut(add)), remove: remove.slice(0, cut(remove)) },
    { add: add.slice(cut(add)), remove: remove.slice(cut(remove)) },
  ];
}

/** Faults that one member among many may have caused. */
function mayBeOneMember(fault: unknown): fault is ConnectorFault {
  return fault instanceof ConnectorFault && (fault.kind === "invalid" || fault.kind === "not_found");
}

function failed(delta: Delta, fault: ConnectorFault): readonly MemberResult[] {
  return [...delta.add, ...delta.remove].map((id) => ({ id, fault: fault.kind, detail: fault.message }));
}

/** Sends a delta; where it is refused whole, narrows the refusal down to the members that cause it. */
async function narrowing(
  wire: Wire,
  ctx: Context,
  id: ExternalId,
  delta: Delta,
  budget: { left: number },
): Promise<readonly MemberResult[]> {
  if (size(delta) === 0) return [];
  try {
    await sendDelta(wire, ctx, id, delta);
    return [...delta.add, ...delta.remove].map((member) => ({ id: member }));
  } catch (fault) {
    if (!mayBeOneMember(fault)) throw fault;
    if (fault.kind === "not_found" && (await rawGroup(wire, ctx, id)) === null) throw fault;
    if (size(delta) === 1 && delta.remove.length === 1) return goneAlready(wire, ctx, id, delta, fault);
    if (size(delta) === 1 || budget.left <= 0) return failed(delta, fault);
    budget.left -= 2;
    const [front, back] = halves(delta);
    return [...(await narrowing(wire, ctx, id, front, budget)), ...(await narrowing(wire, ctx, id, back, budget))];
  }
}

/** A member that the app will not remove because it is not in the group is as good as removed. */
async function goneAlready(
  wire: Wire,
  ctx: Context,
  id: ExternalId,
  delta: Delta,
  fault: ConnectorFault,
): Promise<readonly MemberResult[]> {
  if (!wire.profile.group.members.readable) return failed(delta, fault);
  const members = memberIds(await knownGroup(wire, ctx, id));
  return members.includes(delta.remove[0]!) ? failed(delta, fault) : [{ id: delta.remove[0]! }];
}

/** Which kinds of change this app has been seen to carry out. */
type Trust = { add: boolean; remove: boolean };

function doubted(delta: Delta, trust: Trust, wire: Wire): boolean {
  const { readback, readable } = wire.profile.group.members;
  if (wire.profile.readback === "never" || readback === "never" || !readable) return false;
  if (readback === "always") return true;
  return (delta.add.length > 0 && !trust.add) || (delta.remove.length > 0 && !trust.remove);
}

/** Reads the group back and turns the successes that did not happen into faults. */
async function checked(
  wire: Wire,
  ctx: Context,
  id: ExternalId,
  delta: Delta,
  results: readonly MemberResult[],
  trust: Trust,
): Promise<readonly MemberResult[]> {
  const members = new Set(memberIds(await knownGroup(wire, ctx, id)));
  const adding = new Set(delta.add);
  const judged = results.map((result): MemberResult => {
    if (result.fault !== undefined || members.has(result.id) === adding.has(result.id)) return result;
    const what = adding.has(result.id)
      ? "adding the member, but it is not in"
      : "removing the member, but it is still in";
    return { id: result.id, fault: "invalid", detail: `${wire.base_url} answered as done ${what} the group ${id}` };
  });
  const kept = (ids: readonly ExternalId[]) =>
    ids.length > 0 && judged.every((one) => one.fault === undefined || !ids.includes(one.id));
  if (kept(delta.add)) trust.add = true;
  if (kept(delta.remove)) trust.remove = true;
  return judged;
}

function renaming(wire: Wire, id: ExternalId, name: string, raw: ScimObject | null) {
  const path = resourcePath("Groups", id);
  const { rename } = wire.profile.group;
  if (rename === "put") return { method: "PUT", path, json: puttable(raw ?? {}, { displayName: name }) } as const;
  const op = wire.profile.user.update.op_case === "lower" ? "replace" : "Replace";
  const operation: Operation =
    rename === "pathed" ? { op, path: "displayName", value: name } : { op, value: { id, displayName: name } };
  return { method: "PATCH", path, json: { schemas: [patch_urn], Operations: [operation] } } as const;
}

function unsupported(wire: Wire, what: string): ConnectorFault {
  return new ConnectorFault("unsupported", `${wire.base_url}: ${wire.profile.name} has no way to ${what}`);
}

/** Writing to groups as such: not to their members. */
function groupWrites(wire: Wire) {
  const create: GroupOperations["create"] = async (ctx, group) => {
    if (!wire.profile.group.create) throw unsupported(wire, "make groups; make it in the app and link it");
    const external = wire.profile.group.external_id ? { externalId: group.key } : {};
    const json = { schemas: [core_group_urn], displayName: group.name, ...external, members: [] };
    const answer = await wire.call(ctx, { method: "POST", path: "/Groups", json });
    const made = fromGroup(answeredObject(answer));
    if (made !== null) return made;
    const [found] = await findGroups(wire, ctx, group.name);
    if (found !== undefined) return found;
    throw new ConnectorFault("retry", `${answer.request} answered ${answer.status} without the group's id`);
  };
  const rename: GroupOperations["rename"] = async (ctx, id, to) => {
    const how = wire.profile.group.rename;
    if (how === "no") throw unsupported(wire, "rename groups");
    const raw = how === "put" ? await knownGroup(wire, ctx, id) : null;
    await wire.call(ctx, renaming(wire, id, to.name, raw));
    if (wire.profile.readback === "never") return;
    const after = fromGroup(await knownGroup(wire, ctx, id));
    if (after?.name === to.name) return;
    const found = `sent ${JSON.stringify(to.name)}, found ${JSON.stringify(after?.name ?? null)}`;
    throw new ConnectorFault("invalid", `${wire.base_url} answered as done the renaming of group ${id}: ${found}`, {
      attribute: "name",
    });
  };
  const remove: GroupOperations["delete"] = async (ctx, id) => {
    if (!wire.profile.group.delete) throw unsupported(wire, "delete groups");
    const answer = await wire.send(ctx, { method: "DELETE", path: resourcePath("Groups", id) });
    const fault = wire.fault(ctx, answer);
    if (fault !== null && fault.kind !== "not_found") throw fault;
  };
  return { create, rename, delete: remove } satisfies Partial<GroupOperations>;
}

function listQuery(wire: Wire): Readonly<Record<string, string>> {
  return wire.profile.group.exclude_members ? { excludedAttributes: "members" } : {};
}

function findGroups(wire: Wire, ctx: Context, name: string): Promise<readonly RemoteGroup[]> {
  const wanted = name.normalize("NFC").toLowerCase();
  return searchAll(wire, ctx, {
    path: "/Groups",
    query: { ...listQuery(wire), filter: `displayName eq ${JSON.stringify(name)}` },
    show: fromGroup,
    accept: (group) => group.name.normalize("NFC").toLowerCase() === wanted,
  });
}

/** The group half of a SCIM connector; undefined if the app's profile has no groups. */
export function scimGroups(wire: Wire, memory: ListingMemory): GroupOperations | undefined {
  const { group } = wire.profile;
  if (!group.enabled) return undefined;
  const trust: Trust = { add: false, remove: false };
  return {
    members_max: group.members.max,
    bytes_max: group.members.max_bytes,
    member_bytes: (id) => Buffer.byteLength(JSON.stringify(id)) + member_overhead_bytes,
    list: (ctx, page) =>
      listPage(wire, ctx, page, { path: "/Groups", query: listQuery(wire), show: fromGroup, memory }),
    async read(ctx, id) {
      const raw = await rawGroup(wire, ctx, id);
      return raw === null ? null : fromGroup(raw);
    },
    find: (ctx, name) => findGroups(wire, ctx, name),
    async members(ctx, id) {
      return group.members.readable ? memberIds(await knownGroup(wire, ctx, id)) : null;
    },
    async change(ctx, id, delta) {
      if (size(delta) > group.members.max) {
        throw new ConnectorFault("invalid", `At most ${group.members.max} members can change in one request`);
      }
      const results = await narrowing(wire, ctx, id, delta, { left: splits_max });
      return doubted(delta, trust, wire) ? checked(wire, ctx, id, delta, results, trust) : results;
    },
    ...groupWrites(wire),
  };
}
