/**
 * A push of groups over SCIM: each becomes a group of its source (APP_GROUP), and its members memberships that only the
 * source ends.
 *
 * Laws: the group's row is held before anything of it is read, so that of many changes at a time none is lost; members are
 * written as rows that come and go, whatever the size of the group; who is no user of this source is no member of its
 * groups. What the guard holds is kept as pushed, and taken when a person lets it pass.
 *
 * Called by server/scim/groups.ts.
 */
import { isDeepStrictEqual } from "node:util";
import { type Judged, type ScimFault, wrong } from "../core/scim/fault.ts";
import type { Stored } from "../core/scim/values.ts";
import { type Command, type Running, run as runCommand } from "../directory/command.ts";
import { deleteAppGroups, upsertAppGroups } from "../directory/groups.ts";
import { insertResources, lockResources, newIds, type ScimRow, updateResources } from "../directory/scimResources.ts";
import { isRefusal, sql, violatedUnique } from "../store/database.ts";
import type { Actor } from "../store/tables.ts";
import type { ImportRun } from "./import.ts";
import { countTakenOut } from "./importGuard.ts";
import { give, judgeEnds, take } from "./scimMembers.ts";
import { type PushResult, stale, taken } from "./scimPush.ts";
import { beginPush, holdPush, startPush, writeImport } from "./scimRecord.ts";
import type { ScimSource } from "./scimSource.ts";
import type { World } from "./world.ts";

/** One step of a change of members: `only`, these and no others. */
export type MemberStep = Readonly<{ verb: "add" | "remove" | "only"; ids: readonly string[] }>;

export type GroupJob =
  | Readonly<{ kind: "create"; resource: Stored; members: readonly string[] }>
  | Readonly<{
      kind: "change";
      id: string;
      match: number | null;
      change: (before: Stored) => Judged<Stored>;
      members: readonly MemberStep[];
    }>
  | Readonly<{ kind: "delete"; id: string; match: number | null }>;

/** The group is not to be written: the transaction is given up. */
class Faulty extends Error {
  readonly fault: ScimFault;
  constructor(fault: ScimFault) {
    super(fault.detail);
    this.fault = fault;
  }
}

/** Does one job. Throws PushBusy while the source is imported as a whole. */
export async function pushGroup(world: World, source: ScimSource, actor: Actor, job: GroupJob): Promise<PushResult> {
  const command: Command = { db: world.db, now: () => world.now(), actor };
  try {
    const done = await runCommand<ScimRow>(command, async (running) => {
      const begun = await startPush(await beginPush(world, source, running), running);
      if (job.kind === "create") return create(source, begun, job);
      return job.kind === "delete" ? remove(source, begun, job) : change(source, begun, job);
    });
    return isRefusal(done) ? { fault: wrong("invalidValue", done.refused) } : { ok: done };
  } catch (error) {
    if (error instanceof Faulty) return { fault: error.fault };
    if (violatedUnique(error) === "scim_resources_name") return { fault: taken("displayName") };
    throw error;
  }
}

type Begun = Readonly<{ run: ImportRun; running: Running }>;

async function create(source: ScimSource, begun: Begun, job: Extract<GroupJob, { kind: "create" }>): Promise<ScimRow> {
  const { run, running } = begun;
  const [id = ""] = await newIds(running.db, "scm", 1);
  const row = (await insertResources(running, source.app_id, "Group", [{ id, resource: job.resource }])).get(id);
  if (row === undefined) throw new Faulty(taken(job.resource["displayName"]));
  await upsert(run, running, row);
  const added = await addMembers(source, begun, id, job.members);
  await writeImport(run, running, { groups_created: 1, ...(added > 0 ? { members_added: added } : {}) });
  return row;
}

async function upsert({ app_id }: ImportRun, running: Running, { id, resource }: ScimRow): Promise<void> {
  const { rows } = await sql<{ profile: Stored }>`
    select profile from groups where source_app_id = ${app_id} and external_id = ${id}`.execute(running.db);
  const profile = { description: null, ...rows[0]?.profile, name: resource["displayName"] ?? id };
  const done = await upsertAppGroups(running, app_id, [{ external_id: id, profile }]);
  if (isRefusal(done)) throw new Faulty(wrong("invalidValue", done.refused));
}

const gone = (id: string): ScimFault => ({ status: 404, detail: `there is no group ${id.slice(0, 100)}` });

async function held(source: ScimSource, running: Running, id: string, match: number | null): Promise<ScimRow> {
  const row = (await lockResources(running, source.app_id, "Group", [id])).get(id);
  if (row === undefined) throw new Faulty(gone(id));
  if (match !== null && match !== row.version) throw new Faulty(stale);
  return row;
}

async function change(source: ScimSource, begun: Begun, job: Extract<GroupJob, { kind: "change" }>): Promise<ScimRow> {
  const { run, running } = begun;
  const before = await held(source, running, job.id, job.match);
  const after = job.change(before.resource);
  if ("fault" in after) throw new Faulty(after.fault);
  let [added, removed] = [0, 0];
  for (const { verb, ids } of job.members) {
    if (verb !== "add") removed += await removeMembers(source, begun, job.id, verb, ids);
    if (verb !== "remove") added += await addMembers(source, begun, job.id, ids);
  }
  const same = isDeepStrictEqual(after.ok, before.resource);
  if (same && added + removed === 0) return before;
  const row = (await updateResources(running, [{ id: job.id, resource: after.ok }])).get(job.id) ?? before;
  if (!same) await upsert(run, running, row);
  const counts = { groups_updated: same ? 0 : 1, members_added: added, members_removed: removed };
  await writeImport(run, running, Object.fromEntries(Object.entries(counts).filter(([, n]) => n > 0)));
  return row;
}

type Pair = Readonly<{ user_id: string; group_id: string }>;

/**
 * A push of a person holds their row: so none of them is deleted, or becomes a person here, between the look at them and
 * what is written of their membership.
 */
const hold = sql`for share of s`;

/** Gives how many came. A member that is no user of the source is refused by name, and with it the whole change. */
async function addMembers(
  source: ScimSource,
  { run, running }: Begun,
  id: string,
  ids: readonly string[],
): Promise<number> {
  if (ids.length === 0) return 0;
  const { rows: held_users } = await sql<{ id: string }>`
    select s.id from scim_resources s where s.id = any(${[...ids]}::text[]) and s.app_id = ${source.app_id}
      and s.type = 'User' and s.deleted_at is null order by s.id ${hold}`.execute(running.db);
  const known = new Set(held_users.map((user) => user.id));
  const unknown = ids.find((one) => !known.has(one));
  if (unknown !== undefined) {
    throw new Faulty(wrong("invalidValue", `members: there is no user ${unknown.slice(0, 100)} in this source`));
  }
  const { rows } = await sql<{ user_id: string | null; group_id: string }>`
    with came as (
      insert into scim_members (group_id, member_id) select ${id}, w.id from unnest(${[...ids]}::text[]) as w(id) order by w.id
      on conflict do nothing returning member_id)
    select a.user_id, g.id as group_id from came
    join groups g on g.source_app_id = ${source.app_id} and g.external_id = ${id}
    left join accounts a on a.app_id = ${source.app_id} and a.external_id = came.member_id`.execute(running.db);
  const pairs = rows.flatMap(({ user_id, group_id }): Pair[] => (user_id === null ? [] : [{ user_id, group_id }]));
  await give(run, running, pairs);
  return rows.length;
}

async function removeMembers(
  source: ScimSource,
  { run, running }: Begun,
  id: string,
  verb: "remove" | "only",
  ids: readonly string[],
): Promise<number> {
  const named = sql`m.member_id = any(${[...ids]}::text[])`;
  const going = sql`m.group_id = ${id} and ${verb === "only" ? sql`not (${named})` : named}`;
  await sql`
    select from scim_members m join scim_resources s on s.id = m.member_id where ${going} order by s.id ${hold}`.execute(
    running.db,
  );
  const { rows } = await sql<{ user_id: string | null; group_id: string; external_id: string }>`
    with went as (
      delete from scim_members m where ${going} returning member_id)
    select a.user_id, g.id as group_id, went.member_id as external_id from went
    join groups g on g.source_app_id = ${source.app_id} and g.external_id = ${id}
    left join accounts a on a.app_id = ${source.app_id} and a.external_id = went.member_id`.execute(running.db);
  const pairs = rows.flatMap(({ user_id, group_id, external_id }) =>
    user_id === null ? [] : [{ user_id, group_id, external_id }],
  );
  const why = await judgeLoss(run, pairs.length);
  if (why === undefined)
    await take(
      run,
      running,
      pairs.map(({ user_id, group_id }) => ({ user_id, group_id })),
    );
  else {
    const place = (one: string) => `member ${one} of group ${id}`;
    await holdPush(
      run,
      running,
      why,
      pairs.map(({ user_id, external_id }) => ({
        external_id,
        user_id,
        outcome: "member_remove",
        place: place(external_id),
      })),
    );
  }
  return rows.length;
}

/**
 * Why so many members are not taken out before a person has looked: these, with those of the last day, for some systems take
 * out one at a time. The whole source is only counted where it matters.
 */
async function judgeLoss(run: ImportRun, going: number): Promise<string | undefined> {
  if (going === 0) return undefined;
  const before = await countTakenOut(run);
  return before + going < run.sourcing.guard_people ? undefined : judgeEnds(run, going, before);
}

async function remove(source: ScimSource, begun: Begun, job: Extract<GroupJob, { kind: "delete" }>): Promise<ScimRow> {
  const { run, running } = begun;
  const before = await held(source, running, job.id, job.match);
  const { rows } = await sql<{ id: string; n: number }>`
    select g.id, (select count(*)::int from membership_grants m where m.group_id = g.id) as n
    from groups g where g.source_app_id = ${source.app_id} and g.external_id = ${job.id}`.execute(running.db);
  const why = await judgeLoss(run, rows[0]?.n ?? 0);
  if (why !== undefined) {
    // A group has no half: it is refused as a whole, and can be deleted once its members were let go.
    throw new Faulty({ status: 403, detail: `${why}: take its members out first, which a person here decides about` });
  }
  await sql`delete from scim_resources where id = ${job.id}`.execute(running.db);
  const done = await deleteAppGroups(
    running,
    source.app_id,
    rows.map((row) => row.id),
  );
  if (isRefusal(done)) throw new Faulty(wrong("invalidValue", done.refused));
  await writeImport(run, running, { groups_deleted: 1 });
  return before;
}
