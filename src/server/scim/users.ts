/** /scim/v2/Users: what a source says of its people. Each change is an import of one row (engine/scimPush.ts). */
import { applyPatch, readOperations } from "../../core/scim/patch.ts";
import { newReading, readResource, type Stored } from "../../core/scim/values.ts";
import type { ScimRow } from "../../directory/scimResources.ts";
import type { UserJob } from "../../engine/scimPush.ts";
import { stale } from "../../engine/scimPush.ts";
import type { World } from "../../engine/world.ts";
import type { Actor } from "../../store/tables.ts";
import { etagOf, ok, type Reply, ScimError, versionOf } from "./answer.ts";
import { submitUser } from "./queue.ts";
import { type Place, type Query, readOne, selectionOf, shown } from "./reads.ts";

/** Who asks, and of what. */
export type Caller = Place & Readonly<{ world: World; actor: Actor }>;

export type Asked = Readonly<{ id: string; body?: unknown; query: Query; match?: string | string[] | undefined }>;

/** A user, with those attributes that are asked for. */
export async function userReply(caller: Place, row: ScimRow, query: Query, status = 200): Promise<Reply> {
  // Whoever was made just now is in no group.
  const [body] = await shown(caller, "User", [row], selectionOf(query), status === 201);
  const location = `${caller.base}/Users/${row.id}`;
  return { status, body, headers: { etag: etagOf(row), [status === 201 ? "location" : "content-location"]: location } };
}

export async function createUser(caller: Caller, { body, query }: Asked): Promise<Reply> {
  selectionOf(query);
  const resource = ok(readResource(caller.source.users, body, newReading(caller.source.strict)));
  return userReply(caller, await submit(caller, { kind: "create", resource }), query, 201);
}

/** The whole resource anew. Whether the person is there is kept, where the client does not say. */
export async function replaceUser(caller: Caller, { id, body, query, match }: Asked): Promise<Reply> {
  selectionOf(query);
  const { users, strict } = caller.source;
  const resource = ok(readResource(users, body, newReading(strict)));
  const change = (before: Stored) => ({
    ok: { ...("active" in resource || !("active" in before) ? {} : { active: before["active"] ?? true }), ...resource },
  });
  return userReply(caller, await submit(caller, { kind: "change", id, match: matched(match), change }), query);
}

export async function patchUser(caller: Caller, { id, body, query, match }: Asked): Promise<Reply> {
  selectionOf(query);
  const { users, strict } = caller.source;
  const operations = ok(readOperations(body, newReading(strict)));
  const change = (before: Stored) => applyPatch(users, before, operations, newReading(strict));
  return userReply(caller, await submit(caller, { kind: "change", id, match: matched(match), change }), query);
}

export async function deleteUser(caller: Caller, { id, match }: Asked): Promise<Reply> {
  await submit(caller, { kind: "delete", id, match: matched(match) });
  return { status: 204 };
}

export async function getUser(place: Place, { id, query }: Asked): Promise<Reply> {
  return userReply(place, await readOne(place, "User", id), query);
}

/** The version that the request is about; a header that names none that there can be is of another version. */
export function matched(header: Asked["match"]): number | null {
  const version = versionOf(header);
  if (version === undefined) throw new ScimError(stale);
  return version;
}

const submit = async ({ world, source, actor }: Caller, job: UserJob): Promise<ScimRow> =>
  ok(await submitUser(world, source, actor, job));
