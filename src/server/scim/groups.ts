/** /scim/v2/Groups: what a source says of its groups and their members (engine/scimGroups.ts). */
import { setTimeout as sleep } from "node:timers/promises";
import { groupResource } from "../../core/scim/definitions.ts";
import { wrong } from "../../core/scim/fault.ts";
import { memberStep } from "../../core/scim/members.ts";
import { applyPatch, type Operation, readOperations } from "../../core/scim/patch.ts";
import { isObject } from "../../core/scim/path.ts";
import { newReading, readResource, type Stored } from "../../core/scim/values.ts";
import type { ScimRow } from "../../directory/scimResources.ts";
import { type GroupJob, type MemberStep, pushGroup } from "../../engine/scimGroups.ts";
import { PushBusy } from "../../engine/scimRecord.ts";
import { etagOf, ok, type Reply, ScimError } from "./answer.ts";
import { type Place, type Query, readOne, selectionOf, shown } from "./reads.ts";
import { type Asked, type Caller, matched } from "./users.ts";

async function groupReply(caller: Place, row: ScimRow, query: Query, status = 200): Promise<Reply> {
  const [body] = await shown(caller, "Group", [row], selectionOf(query));
  const location = `${caller.base}/Groups/${row.id}`;
  return { status, body, headers: { etag: etagOf(row), [status === 201 ? "location" : "content-location"]: location } };
}

/** The group's own attributes, and the ids of its members. */
function read(
  { source }: Caller,
  body: unknown,
): Readonly<{ resource: Stored; members: readonly string[] | undefined }> {
  const { members, ...resource } = ok(readResource(groupResource, body, newReading(source.strict)));
  return { resource, members: Array.isArray(members) ? idsOf(members) : undefined };
}

function idsOf(members: readonly unknown[]): readonly string[] {
  return members.map((one) => {
    const value = isObject(one) ? one["value"] : undefined;
    if (typeof value !== "string") throw new ScimError(wrong("invalidValue", "each of members needs a value"));
    return value;
  });
}

export async function createGroup(caller: Caller, { body, query }: Asked): Promise<Reply> {
  selectionOf(query);
  const { resource, members = [] } = read(caller, body);
  return groupReply(caller, await submit(caller, { kind: "create", resource, members }), query, 201);
}

/** The whole group anew: who is not named is no member any more. */
export async function replaceGroup(caller: Caller, { id, body, query, match }: Asked): Promise<Reply> {
  selectionOf(query);
  const { resource, members = [] } = read(caller, body);
  const steps: MemberStep[] = [{ verb: "only", ids: members }];
  const job: GroupJob = { kind: "change", id, match: matched(match), change: () => ({ ok: resource }), members: steps };
  return groupReply(caller, await submit(caller, job), query);
}

/** Answered without a body, as Entra expects, unless attributes are asked for: a large group costs nobody anything. */
export async function patchGroup(caller: Caller, { id, body, query, match }: Asked): Promise<Reply> {
  selectionOf(query);
  const { strict } = caller.source;
  const [rest, steps]: [Operation[], MemberStep[]] = [[], []];
  for (const operation of ok(readOperations(body, newReading(strict)))) {
    const { step, other } = ok(memberStep(operation, strict));
    if (step) steps.push(step);
    if (other) rest.push(other);
  }
  const change = (before: Stored) => applyPatch(groupResource, before, rest, newReading(strict));
  const row = await submit(caller, { kind: "change", id, match: matched(match), change, members: steps });
  if (query["attributes"] !== undefined) return groupReply(caller, row, query);
  return { status: 204, headers: { etag: etagOf(row) } };
}

export async function deleteGroup(caller: Caller, { id, match }: Asked): Promise<Reply> {
  await submit(caller, { kind: "delete", id, match: matched(match) });
  return { status: 204 };
}

export async function getGroup(place: Place, { id, query }: Asked): Promise<Reply> {
  return groupReply(place, await readOne(place, "Group", id), query);
}

const busy_tries = 60;
const busy_ms = 250;

async function submit({ world, source, actor }: Caller, job: GroupJob): Promise<ScimRow> {
  for (let left = busy_tries; ; left--) {
    try {
      return ok(await pushGroup(world, source, actor, job));
    } catch (error) {
      if (!(error instanceof PushBusy)) throw error;
      if (left === 0) throw new ScimError({ status: 503, detail: `${error.message}: send it again in a minute` });
      await sleep(busy_ms);
    }
  }
}
