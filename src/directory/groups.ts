/**
 * Commands on groups: our own (OKTA_GROUP) are made, renamed and deleted here; those of apps (APP_GROUP) come and go only
 * by import; Everyone (BUILT_IN) stays as it is. Members are memberships.ts.
 *
 * Laws: every profile passes the group schema; the names of our groups are unique; a group that goes takes its grants
 * along (a trigger ends them), its members are computed again, and a rule that needed it becomes INVALID with the reason;
 * push rules judge every group that is made or changed.
 *
 * Called by the API and console, and by imports.
 */
import { type Change, diffProfiles } from "../core/diff.ts";
import { mergeProfile } from "../core/schema.ts";
import type { Profile, Refusal, Schema } from "../core/types.ts";
import { isRefusal, sql, violatedUnique } from "../store/database.ts";
import type { Target } from "../store/tables.ts";
import { type Command, logAll, priority, type Running, run } from "./command.ts";
import type { StoredGroup } from "./groupQueries.ts";
import { markPushesDue } from "./memberships.ts";
import { refreshPushRules } from "./pushRules.ts";
import { markMembersDirty } from "./reach.ts";
import { recheckRules } from "./ruleChecks.ts";
import { groupSchema, judgeProfile } from "./schemaQueries.ts";

/** A group of ours to create. */
export type NewGroup = Readonly<{ profile: Profile }>;

/** A change of a group; `replace`: the profile is the whole new one. */
export type GroupChange = Readonly<{ id: string; profile: Profile; replace?: boolean }>;

/** A group as an app has it. */
export type AppGroup = Readonly<{ external_id: string; profile: Profile }>;

/** The group as a target of an event. */
export const groupTarget = (group: Pick<StoredGroup, "id" | "profile">): Target => ({
  id: group.id,
  type: "UserGroup",
  name: nameOf(group),
});

const nameOf = (group: Pick<StoredGroup, "id" | "profile">) => String(group.profile["name"] ?? group.id);

/** Creates groups of ours, all or none. Gives the rows in order, or a refusal naming the group. */
export function createGroups(command: Command, inputs: readonly NewGroup[]): Promise<readonly StoredGroup[] | Refusal> {
  return run(command, async (running) => {
    const schema = await groupSchema(running.db);
    const profiles: Profile[] = [];
    for (const input of inputs) {
      const judged = judgeProfile(schema, input.profile, { partial: false });
      if (!("ok" in judged)) return judged;
      profiles.push(judged.ok);
    }
    const now = running.now();
    const { rows } = await sql<StoredGroup>`
      insert into groups (type, profile, created_at, updated_at, members_changed_at)
      select 'OKTA_GROUP', g.profile, ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz
      from jsonb_to_recordset(${JSON.stringify(profiles.map((profile) => ({ profile })))}::jsonb) as g(profile jsonb)
      on conflict do nothing returning *`.execute(running.db);
    const made = new Map(rows.map((row) => [nameOf(row), row]));
    const names = profiles.map((profile) => String(profile["name"]));
    const taken = names.find((name, n) => !made.has(name) || names.indexOf(name) !== n);
    if (taken !== undefined) return nameTaken(taken);
    const created = profiles.flatMap((profile) => made.get(String(profile["name"])) ?? []);
    await followNew(running, created);
    return created;
  });
}

/** What an import of groups did. */
export type UpsertedGroups = Readonly<{
  groups: readonly StoredGroup[];
  created: readonly string[];
  changed: readonly string[];
}>;

/**
 * Makes an app's groups as the app has them: new ones are created, known ones (by external id) take the app's profile.
 * Groups the app no longer has are left alone; see `deleteAppGroups`.
 */
export function upsertAppGroups(
  command: Command,
  app_id: string,
  groups: readonly AppGroup[],
): Promise<UpsertedGroups | Refusal> {
  return run(command, async (running) => {
    const schema = await groupSchema(running.db);
    const lines: AppGroup[] = [];
    for (const { external_id, profile } of groups) {
      const judged = judgeProfile(schema, profile, { partial: false });
      if (!("ok" in judged)) return { ...judged, refused: `group ${external_id}: ${judged.refused}` };
      lines.push({ external_id, profile: judged.ok });
    }
    const now = running.now();
    const { rows } = await sql<StoredGroup & { was: Profile | null }>`
      with given as (
        select distinct on (external_id) * from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb)
          as g(external_id text, profile jsonb) order by external_id),
      written as (
        insert into groups (type, profile, source_app_id, external_id, created_at, updated_at, members_changed_at)
        select 'APP_GROUP', profile, ${app_id}, external_id, ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz
        from given order by external_id
        on conflict (source_app_id, external_id) do update set profile = excluded.profile, updated_at = excluded.updated_at
          where groups.profile is distinct from excluded.profile
        returning *)
      -- The table as it was when the statement began.
      select w.*, (select g.profile from groups g where g.id = w.id) as was from written w order by w.id`.execute(
      running.db,
    );
    const plain = rows.map(({ was: _, ...group }) => group);
    const created = plain.filter((_, n) => rows[n]?.was === null);
    const changed = plain.filter((_, n) => rows[n]?.was !== null);
    await followNew(running, created);
    await followProfiles(
      running,
      changed.map((group) => ({ group, before: rows.find(({ id }) => id === group.id)?.was ?? {} })),
    );
    const { rows: all } = await sql<StoredGroup>`
      select * from groups where source_app_id = ${app_id}
        and external_id = any(${lines.map((line) => line.external_id)}::text[]) order by id`.execute(running.db);
    return { groups: all, created: created.map(({ id }) => id), changed: changed.map(({ id }) => id) };
  });
}

/** Changes profiles of our groups, all or none; a group that does not differ is left alone. Gives the rows in order. */
export function updateGroups(
  command: Command,
  changes: readonly GroupChange[],
): Promise<readonly StoredGroup[] | Refusal> {
  return run(command, async (running) => {
    const schema = await groupSchema(running.db);
    const before = await lockGroups(
      running,
      changes.map((change) => change.id),
    );
    const next = new Map(before);
    for (const change of changes) {
      const group = applyChange(schema, next.get(change.id), change);
      if (isRefusal(group)) return group;
      next.set(change.id, group);
    }
    const moved = [...next.values()].filter(
      (group) => diffProfiles(before.get(group.id)?.profile ?? {}, group.profile).length > 0,
    );
    const saved = await writeProfiles(running, moved);
    if (isRefusal(saved)) return saved;
    await followProfiles(
      running,
      saved.map((group) => ({ group, before: before.get(group.id)?.profile ?? {} })),
    );
    const after = new Map(saved.map((group) => [group.id, group]));
    return changes.flatMap((change) => after.get(change.id) ?? before.get(change.id) ?? []);
  });
}

async function readGroups(running: Running, ids: readonly string[]): Promise<ReadonlyMap<string, StoredGroup>> {
  const { rows } = await sql<StoredGroup>`
    select * from groups where id = any(${[...new Set(ids)]}::text[]) order by id`.execute(running.db);
  return new Map(rows.map((row) => [row.id, row]));
}

async function lockGroups(running: Running, ids: readonly string[]): Promise<ReadonlyMap<string, StoredGroup>> {
  const { rows } = await sql<StoredGroup>`
    select * from groups where id = any(${[...new Set(ids)]}::text[]) order by id for update`.execute(running.db);
  return new Map(rows.map((row) => [row.id, row]));
}

function applyChange(schema: Schema, group: StoredGroup | undefined, change: GroupChange): StoredGroup | Refusal {
  const refused = judgeOurs(group, change.id, "changed");
  if (refused || group === undefined) return refused ?? noSuchGroup(change.id);
  const judged = judgeProfile(schema, change.profile, { partial: change.replace !== true });
  if (!("ok" in judged)) return { ...judged, refused: `${nameOf(group)}: ${judged.refused}` };
  return { ...group, profile: mergeProfile(group.profile, judged.ok, change.replace === true ? "replace" : "partial") };
}

async function writeProfiles(
  running: Running,
  groups: readonly StoredGroup[],
): Promise<readonly StoredGroup[] | Refusal> {
  if (groups.length === 0) return [];
  await sql`savepoint before_groups`.execute(running.db);
  try {
    const lines = groups.map(({ id, profile }) => ({ id, profile }));
    const { rows } = await sql<StoredGroup>`
      update groups g set profile = n.profile, updated_at = ${running.now()}::timestamptz
      from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as n(id text, profile jsonb)
      where g.id = n.id returning g.*`.execute(running.db);
    await sql`release savepoint before_groups`.execute(running.db);
    return rows;
  } catch (error) {
    if (violatedUnique(error) === undefined) throw error;
    await sql`rollback to savepoint before_groups`.execute(running.db);
    return nameTaken(groups.length === 1 ? groups[0]?.profile["name"] : undefined);
  }
}

type Renamed = Readonly<{ group: StoredGroup; before: Profile }>;

/** Expressions and pushes read a group's name and description: its members and pushes follow a change. */
async function followProfiles(running: Running, changed: readonly Renamed[]): Promise<void> {
  if (changed.length === 0) return;
  const seqs = await logAll(
    running,
    changed.map(({ group, before }) => ({
      type: "group.profile.update",
      targets: [groupTarget(group)],
      group_id: group.id,
      detail: { changes: Object.fromEntries(diffProfiles(before, group.profile).map(told)) },
    })),
  );
  const ids = changed.map(({ group }) => group.id);
  const cause = seqs.at(-1) ?? null;
  await markMembersDirty(running, ids, priority.wave, cause);
  await markPushesDue(running, ids, cause);
  await refreshPushRules({ ...running, cause }, ids);
  await recheckRules(running, "a group was renamed");
}

const told = ({ attribute, before, after }: Change) => [attribute, { before, after }] as const;

/** Deletes groups of ours, all or none. Gives the rows that were, or a refusal. */
export function deleteGroups(command: Command, ids: readonly string[]): Promise<readonly StoredGroup[] | Refusal> {
  return run(command, async (running) => {
    const before = await readGroups(running, ids);
    for (const id of ids) {
      const refused = judgeOurs(before.get(id), id, "deleted");
      if (refused) return refused;
    }
    return eraseGroups(running, [...before.values()]);
  });
}

/** Deletes imported groups that their app no longer has. Those of another app, or unknown, are left alone. */
export function deleteAppGroups(
  command: Command,
  app_id: string,
  ids: readonly string[],
): Promise<readonly StoredGroup[] | Refusal> {
  return run(command, async (running) => {
    const before = await readGroups(running, ids);
    return eraseGroups(
      running,
      [...before.values()].filter((group) => group.type === "APP_GROUP" && group.source_app_id === app_id),
    );
  });
}

/**
 * The members are marked, and with that the gate is closed, before the groups are locked: the engine touches groups while
 * it is in the gate. A group that somebody else deleted meanwhile is gone either way.
 */
async function eraseGroups(running: Running, groups: readonly StoredGroup[]): Promise<readonly StoredGroup[]> {
  if (groups.length === 0) return [];
  const ids = groups.map((group) => group.id);
  const { rows } = await sql<{ group_id: string; members: number; pushed: string[] | null }>`
    select g.id as group_id,
      (select count(distinct m.user_id)::int from membership_grants m where m.group_id = g.id) as members,
      (select array_agg(a.label order by a.label) from pushed_groups p join apps a on a.id = p.app_id
        where p.group_id = g.id and p.target_id is not null) as pushed
    from groups g where g.id = any(${ids}::text[])`.execute(running.db);
  const facts = new Map(rows.map((row) => [row.group_id, row]));
  const seqs = await logAll(
    running,
    groups.map((group) => ({
      type: "group.lifecycle.delete",
      targets: [groupTarget(group)],
      group_id: group.id,
      // A pushed group goes on living in its app, as in Okta: whoever deletes it here is told where.
      detail: { members: facts.get(group.id)?.members ?? 0, left_in: facts.get(group.id)?.pushed ?? [] },
    })),
  );
  await markMembersDirty(running, ids, priority.change, seqs.at(-1) ?? null);
  await lockGroups(running, ids);
  await sql`delete from groups where id = any(${ids}::text[])`.execute(running.db);
  await recheckRules(running, `${groups.map(nameOf).slice(0, 5).join(", ")} was deleted`);
  return groups;
}

function judgeOurs(group: StoredGroup | undefined, id: string, verb: string): Refusal | undefined {
  if (group === undefined) return noSuchGroup(id);
  if (group.type === "BUILT_IN") {
    return { refused: `${nameOf(group)} holds everyone and cannot be ${verb}`, code: "forbidden", place: id };
  }
  if (group.type === "APP_GROUP") {
    const refused = `${nameOf(group)} is imported and cannot be ${verb} here; change it in the app it comes from`;
    return { refused, code: "forbidden", place: id };
  }
  return undefined;
}

async function followNew(running: Running, groups: readonly StoredGroup[]): Promise<void> {
  const seqs = await logAll(
    running,
    groups.map((group) => ({
      type: "group.lifecycle.create",
      targets: [groupTarget(group)],
      group_id: group.id,
    })),
  );
  await refreshPushRules(
    { ...running, cause: seqs.at(-1) ?? null },
    groups.map((group) => group.id),
  );
}

function noSuchGroup(id: string): Refusal {
  return { refused: `there is no group ${id}; it may have been deleted`, code: "not_found", place: id };
}

function nameTaken(name: unknown): Refusal {
  const which = typeof name === "string" ? `a group "${name}"` : "a group of this name";
  return { refused: `${which} exists already; choose another name`, code: "duplicate", place: "name" };
}
