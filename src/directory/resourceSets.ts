/**
 * Sets of people, groups and apps over which custom roles hold, and who has which role over a set.
 *
 * Laws: labels are unique without regard to case; a set over which somebody has a role cannot be deleted; the same
 * resource is in a set once. Bindings are rows of `role_grants`, made and ended by adminRoles.ts.
 */
import type { Resource } from "../core/authority.ts";
import { readResource } from "../core/resources.ts";
import type { Refusal } from "../core/types.ts";
import { type Database, sql, violatedUnique } from "../store/database.ts";
import type { Target } from "../store/tables.ts";
import { type Command, log, type Running, run } from "./command.ts";

export type ResourceSet = Readonly<{
  id: string;
  label: string;
  description: string;
  created_at: Date;
  updated_at: Date;
}>;

/** A line of a set; `app_name` of a single app that is there. */
export type SetMember = Resource & Readonly<{ id: string; created_at: Date; app_name: string | null }>;

const lines_max = 1_000;
const columns = ["id", "label", "description", "created_at", "updated_at"] as const;
const target = (set: ResourceSet): Target => ({ id: set.id, type: "ResourceSet", name: set.label });

export async function getResourceSet(db: Database, id: string): Promise<ResourceSet | undefined> {
  return db.selectFrom("resource_sets").select(columns).where("id", "=", id).executeTakeFirst();
}

/** A page of sets in order of id. */
export function listResourceSets(
  db: Database,
  page: Readonly<{ limit: number; after?: string }>,
): Promise<readonly ResourceSet[]> {
  return db
    .selectFrom("resource_sets")
    .select(columns)
    .where("id", ">", page.after ?? "")
    .orderBy("id")
    .limit(page.limit)
    .execute();
}

async function onceLabelled<T>(work: () => Promise<T | Refusal>): Promise<T | Refusal> {
  try {
    return await work();
  } catch (error) {
    if (violatedUnique(error) === undefined) throw error;
    return { refused: "label: There is already a resource set with this name.", code: "duplicate", place: "label" };
  }
}

/** Makes a set; `resources`: ORNs or addresses. */
export function createResourceSet(
  command: Command,
  input: Readonly<{ label: string; description: string; resources: readonly string[] }>,
): Promise<ResourceSet | Refusal> {
  return onceLabelled(() =>
    run<ResourceSet>(command, async (running) => {
      const now = running.now();
      const set = await running.db
        .insertInto("resource_sets")
        .values({ label: input.label, description: input.description, created_at: now, updated_at: now })
        .returning(columns)
        .executeTakeFirstOrThrow();
      const refusal = await insertLines(running, set, input.resources);
      if (refusal) return refusal;
      await log(running, { type: "iam.resourceset.create", targets: [target(set)] });
      return set;
    }),
  );
}

async function insertLines(running: Running, set: ResourceSet, lines: readonly string[]): Promise<Refusal | undefined> {
  const resources: Resource[] = [];
  for (const line of lines) {
    const resource = readResource(line);
    if (resource === undefined) {
      const refused = `resources: "${line.slice(0, 100)}" is neither an ORN nor the address of a user, group or app`;
      return { refused, code: "invalid", place: "resources" };
    }
    resources.push(resource);
  }
  await sql`
    insert into resource_set_members (set_id, kind, ref, created_at)
    select ${set.id}, r.kind, r.ref, ${running.now()}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(resources)}::jsonb) as r(kind text, ref text) on conflict do nothing`.execute(
    running.db,
  );
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from resource_set_members where set_id = ${set.id}`.execute(running.db);
  if ((rows[0]?.n ?? 0) <= lines_max) return undefined;
  return { refused: `resources: a set holds at most ${lines_max}`, code: "too_large", place: "resources" };
}

/** Changes label and description. */
export function changeResourceSet(
  command: Command,
  set: ResourceSet,
  change: Readonly<{ label: string; description: string }>,
): Promise<ResourceSet | Refusal> {
  return onceLabelled(() =>
    run<ResourceSet>(command, async (running) => {
      const changed = await running.db
        .updateTable("resource_sets")
        .set({ ...change, updated_at: running.now() })
        .where("id", "=", set.id)
        .returning(columns)
        .executeTakeFirst();
      if (changed === undefined)
        return { refused: `there is no resource set ${set.id}`, code: "not_found", place: set.id };
      await log(running, { type: "iam.resourceset.update", targets: [target(changed)] });
      return changed;
    }),
  );
}

/** Deletes a set over which nobody has a role. */
export function deleteResourceSet(command: Command, set: ResourceSet): Promise<ResourceSet | Refusal> {
  return run<ResourceSet>(command, async (running) => {
    await sql`select from resource_sets where id = ${set.id} for update`.execute(running.db);
    const { rows } = await sql`select from role_grants where resource_set_id = ${set.id} limit 1`.execute(running.db);
    if (rows.length > 0) {
      const refused = `the resource set "${set.label}" is used by role assignments: end them first`;
      return { refused, code: "invalid", place: "resource-set" };
    }
    await running.db.deleteFrom("resource_sets").where("id", "=", set.id).execute();
    await log(running, { type: "iam.resourceset.delete", targets: [target(set)] });
    return set;
  });
}

/** A page of a set's lines in order of id. */
export async function membersOfSet(
  db: Database,
  set_id: string,
  page: Readonly<{ limit: number; after?: string }>,
): Promise<readonly SetMember[]> {
  const { rows } = await sql<SetMember>`
    select m.id, m.kind, m.ref, m.created_at, a.name as app_name
    from resource_set_members m left join apps a on m.kind = 'app' and a.id = m.ref
    where m.set_id = ${set_id} and m.id > ${page.after ?? ""} order by m.id limit ${page.limit}`.execute(db);
  return rows;
}

/** Adds lines to a set; those that are there stay. */
export function addToSet(command: Command, set: ResourceSet, lines: readonly string[]): Promise<ResourceSet | Refusal> {
  return run<ResourceSet>(command, async (running) => {
    await sql`select from resource_sets where id = ${set.id} for update`.execute(running.db);
    const refusal = await insertLines(running, set, lines);
    if (refusal) return refusal;
    return changed(running, set, { added: [...lines] });
  });
}

/** Takes a line out of a set. */
export function removeFromSet(command: Command, set: ResourceSet, id: string): Promise<ResourceSet | Refusal> {
  return run<ResourceSet>(command, async (running) => {
    const { rows } = await sql<{ id: string }>`
      delete from resource_set_members where set_id = ${set.id} and id = ${id} returning id`.execute(running.db);
    if (rows.length === 0) return { refused: "the set has no such resource", code: "not_found", place: id };
    return changed(running, set, { removed: id });
  });
}

async function changed(running: Running, set: ResourceSet, detail: Readonly<Record<string, string | string[]>>) {
  const now = running.now();
  await sql`update resource_sets set updated_at = ${now}::timestamptz where id = ${set.id}`.execute(running.db);
  await log(running, { type: "iam.resourceset.resource.update", targets: [target(set)], detail });
  return { ...set, updated_at: now };
}

/** Who has a role over a set: one line for each. */
export type Binding = Readonly<{
  id: string;
  role_id: string;
  assignee_user: string | null;
  assignee_group: string | null;
  created_at: Date;
  updated_at: Date;
}>;

/** The bindings of a set, of one role or of all, in order of id. */
export async function bindingsOf(
  db: Database,
  set_id: string,
  choice: Readonly<{ role_id?: string; after?: string; limit?: number }> = {},
): Promise<readonly Binding[]> {
  const { rows } = await sql<Binding>`
    select id, custom_role_id as role_id, assignee_user, assignee_group, created_at, updated_at from role_grants
    where resource_set_id = ${set_id} and id > ${choice.after ?? ""}
      and (${choice.role_id ?? null}::text is null or custom_role_id = ${choice.role_id ?? null})
    order by id limit ${choice.limit ?? 1_000}`.execute(db);
  return rows;
}

/** The person or group that a binding's member names: an id, an ORN or an address. */
export function readMember(text: string): Readonly<{ user: string } | { group: string }> | Refusal {
  const resource = /^00[ug]/.test(text)
    ? { kind: text.startsWith("00u") ? "user" : "group", ref: text }
    : readResource(text);
  if (resource?.kind === "user" && resource.ref !== null) return { user: resource.ref };
  if (resource?.kind === "group" && resource.ref !== null) return { group: resource.ref };
  const refused = `members: "${text.slice(0, 100)}" is neither a user nor a group`;
  return { refused, code: "invalid", place: "members" };
}
