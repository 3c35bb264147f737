/**
 * Who answers for a group: people, and groups whose members do. Kept as Okta keeps it; who may change a group's members is
 * the business of administrators' roles.
 */
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { type Command, log, type Running, run } from "./command.ts";
import { getGroup } from "./groupQueries.ts";
import { groupTarget } from "./groups.ts";

/** An owner: `id` is a person's or a group's. */
export type Owner = Readonly<{ id: string; type: "USER" | "GROUP"; name: string; created_at: Date }>;

const owners_max = 100;

/** A page of a group's owners, in order of ids. */
export async function listOwners(
  db: Database,
  group_id: string,
  page: Readonly<{ limit: number; after?: string | undefined }>,
): Promise<readonly Owner[]> {
  const { rows } = await sql<Owner>`
    select coalesce(o.owner_user, o.owner_group) as id, case when o.owner_user is null then 'GROUP' else 'USER' end as type,
      coalesce(g.profile->>'name', concat_ws(' ', u.profile->>'firstName', u.profile->>'lastName')) as name, o.created_at
    from group_owners o left join users u on u.id = o.owner_user left join groups g on g.id = o.owner_group
    where o.group_id = ${group_id} and coalesce(o.owner_user, o.owner_group) > ${page.after ?? ""}
    order by 1 limit ${page.limit}`.execute(db);
  return rows;
}

/** Makes somebody an owner. The owner must be there: the caller looked. */
export function addOwner(
  command: Command,
  group_id: string,
  owner: Readonly<{ id: string; type: Owner["type"] }>,
): Promise<Owner | Refusal> {
  return run<Owner>(command, async (running) => {
    const user = owner.type === "USER" ? owner.id : null;
    const group = owner.type === "GROUP" ? owner.id : null;
    const { rows } = await sql`
      insert into group_owners (group_id, owner_user, owner_group, created_at)
      select ${group_id}, ${user}, ${group}, ${running.now()}::timestamptz
      where (select count(*) from group_owners where group_id = ${group_id}) < ${owners_max}
      on conflict do nothing returning 1`.execute(running.db);
    const owners = await listOwners(running.db, group_id, { limit: owners_max });
    const known = owners.find(({ id }) => id === owner.id);
    if (rows.length === 0) {
      return known
        ? { refused: "Provided owner is already assigned to this group", code: "duplicate", place: "owner" }
        : { refused: `a group has ${owners_max} owners at most`, code: "too_large", place: "owner" };
    }
    await note(running, group_id, "add", known);
    return known ?? { refused: `there is no owner ${owner.id}`, code: "not_found", place: owner.id };
  });
}

/** Ends an ownership. False: there was none. */
export function removeOwner(command: Command, group_id: string, owner_id: string): Promise<boolean | Refusal> {
  return run<boolean>(command, async (running) => {
    const known = (await listOwners(running.db, group_id, { limit: owners_max })).find(({ id }) => id === owner_id);
    if (known === undefined) return false;
    await sql`
      delete from group_owners where group_id = ${group_id} and coalesce(owner_user, owner_group) = ${owner_id}`.execute(
      running.db,
    );
    await note(running, group_id, "remove", known);
    return true;
  });
}

async function note(running: Running, group_id: string, verb: string, owner: Owner | undefined): Promise<void> {
  const group = await getGroup(running.db, group_id);
  if (group === undefined || owner === undefined) return;
  const type = owner.type === "USER" ? "User" : "UserGroup";
  await log(running, {
    type: `group.owner.${verb}`,
    group_id,
    targets: [groupTarget(group), { id: owner.id, type, name: owner.name }],
  });
}
