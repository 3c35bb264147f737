/**
 * The rows of what sources push over SCIM (scim_resources): written in sets, each with a new version. Who may, and what an
 * import makes of it, is decided by engine/scimPush.ts and engine/scimGroups.ts, in whose transaction these run.
 */
import type { Stored } from "../core/scim/values.ts";
import { type Database, sql } from "../store/database.ts";
import type { Running } from "./command.ts";

/** A resource as it is kept: without id, meta, and what only we tell. */
export type ScimRow = Readonly<{
  id: string;
  resource: Stored;
  version: number;
  created_at: Date;
  updated_at: Date;
  external_id: string | null;
}>;

const columns = sql`s.id, s.resource, s.version, s.created_at, s.updated_at, s.external_id`;

type Kind = "User" | "Group";
type Given = Readonly<{ id: string; resource: Stored }>;

/** New ids, in order. */
export async function newIds(db: Database, prefix: string, count: number): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`
    select new_id(${prefix}) as id from generate_series(1, ${count}::int)`.execute(db);
  return rows.map(({ id }) => id);
}

/** Writes new resources. Gives those that are there now; a missing one's name is another's. */
export async function insertResources(
  running: Running,
  app_id: string,
  type: Kind,
  given: readonly Given[],
): Promise<ReadonlyMap<string, ScimRow>> {
  if (given.length === 0) return new Map();
  const now = running.now();
  const { rows } = await sql<ScimRow>`
    insert into scim_resources as s (id, app_id, type, resource, created_at, updated_at)
    select g.id, ${app_id}, ${type}, g.resource::jsonb, ${now}::timestamptz, ${now}::timestamptz
    from unnest(${given.map(({ id }) => id)}::text[], ${given.map(({ resource }) => JSON.stringify(resource))}::text[])
      as g(id, resource)
    on conflict do nothing returning ${columns}`.execute(running.db);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Holds resources of a source; those that are not there, or are another source's, are missing. */
export async function lockResources(
  running: Running,
  app_id: string,
  type: Kind,
  ids: readonly string[],
): Promise<ReadonlyMap<string, ScimRow>> {
  if (ids.length === 0) return new Map();
  const { rows } = await sql<ScimRow>`
    select ${columns} from scim_resources s where s.id = any(${[...ids]}::text[]) and s.app_id = ${app_id}
      and s.type = ${type} and s.deleted_at is null order by s.id for update`.execute(running.db);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Writes resources that are held. Throws the violation of `scim_resources_name` for a name that another has. */
export async function updateResources(
  running: Running,
  given: readonly Given[],
): Promise<ReadonlyMap<string, ScimRow>> {
  if (given.length === 0) return new Map();
  const { rows } = await sql<ScimRow>`
    update scim_resources s set resource = g.resource::jsonb, version = s.version + 1, updated_at = ${running.now()}::timestamptz
    from unnest(${given.map(({ id }) => id)}::text[], ${given.map(({ resource }) => JSON.stringify(resource))}::text[])
      as g(id, resource)
    where s.id = g.id returning ${columns}`.execute(running.db);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Notes that users were deleted; they are in no group any more. */
export async function buryUsers(running: Running, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const now = running.now();
  await sql`delete from scim_members where member_id = any(${[...ids]}::text[])`.execute(running.db);
  await sql`
    update scim_resources set deleted_at = ${now}::timestamptz, updated_at = ${now}::timestamptz
    where id = any(${[...ids]}::text[])`.execute(running.db);
}

/** Whoever comes back under the name of a user who was deleted is the same person: they take over the account. */
export async function reviveUsers(running: Running, app_id: string, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await sql`
    with back as (
      select distinct on (n.id) n.id, o.id as old from scim_resources n
      join scim_resources o on o.app_id = n.app_id and o.name_key = n.name_key and o.type = 'User' and o.deleted_at is not null
      join accounts a on a.app_id = o.app_id and a.external_id = o.id
      where n.id = any(${[...ids]}::text[]) order by n.id, o.deleted_at desc),
    taken as (
      update accounts a set external_id = back.id from back where a.app_id = ${app_id} and a.external_id = back.old)
    delete from scim_resources o using back where o.id = back.old`.execute(running.db);
}
