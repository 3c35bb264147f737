/**
 * Group assignments: an app given to everyone in a group, with values of the app's attributes for them, a priority among
 * the app's groups (the smallest wins), and an optional expiry.
 *
 * Laws: an assignment keeps the priority it was given, whatever happens to the others, so that what a configuration file
 * says stays true; equal priorities are ordered by group id. Members are marked in one statement, whatever their number.
 *
 * Called by the API, console and CLI, and by the schedule through `expireAssignments`.
 */
import { type Selectable, sql } from "kysely";
import type { Profile, Refusal } from "../core/types.ts";
import { type Database, isRefusal } from "../store/database.ts";
import type { GroupAssignmentRow, Target } from "../store/tables.ts";
import { judgeAssignmentProfile, readTarget, type TargetApp } from "./assignmentValues.ts";
import { type Command, logAll, priority, type Running, run } from "./command.ts";
import { markMembersDirty } from "./reach.ts";

export type GroupAssignment = Selectable<GroupAssignmentRow>;

/** What is left out stays as it is; in a new assignment it is: the next priority, no values, no expiry. */
export type NewGroupAssignment = Readonly<{
  group_id: string;
  priority?: number;
  profile?: Profile;
  expires_at?: Date | null;
}>;

type Changed = Readonly<{ group_id: string; name: string; priority: number; turns: boolean }>;

const priority_max = 1_000_000;

/** Gives an app to groups, or changes how they have it. Gives the assignments as they are now, by priority. */
export function assignGroups(
  command: Command,
  app_id: string,
  assignments: readonly NewGroupAssignment[],
): Promise<readonly GroupAssignment[] | Refusal> {
  return run<readonly GroupAssignment[]>(command, async (running) => {
    const app = await readTarget(running.db, app_id);
    if (isRefusal(app)) return app;
    const refused = judgeInput(running, assignments) ?? (await judgeGroups(running.db, assignments));
    if (refused) return refused;
    const lines = [];
    for (const assignment of assignments) {
      const profile = judgeAssignmentProfile(app.schema, assignment.profile);
      if ("refused" in profile)
        return { ...profile, refused: `the values for group ${assignment.group_id}: ${profile.refused}` };
      lines.push({
        group_id: assignment.group_id,
        priority: assignment.priority ?? null,
        profile: assignment.profile === undefined ? null : profile.ok,
        expires_at: assignment.expires_at ?? null,
        expires_given: assignment.expires_at !== undefined,
      });
    }
    const changed = await upsert(running, app_id, lines);
    await follow(
      running,
      app,
      changed.filter((one) => one.turns),
      "add",
    );
    await follow(
      running,
      app,
      changed.filter((one) => !one.turns),
      "update",
    );
    return assignmentsOf(
      running.db,
      app_id,
      assignments.map((one) => one.group_id),
    );
  });
}

async function upsert(running: Running, app_id: string, lines: readonly object[]): Promise<readonly Changed[]> {
  // Two commands that take "the next" priority at once must not get the same one.
  await sql`select id from apps where id = ${app_id} for no key update`.execute(running.db);
  const { rows } = await sql<Changed>`
    with given as (
      select distinct on (group_id) * from rows from (jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as
        (group_id text, priority int, profile jsonb, expires_at timestamptz, expires_given boolean))
        with ordinality as g(group_id, priority, profile, expires_at, expires_given, n)
      order by group_id, n
    ), resolved as (
      select given.group_id, had.id is not null as had, coalesce(given.profile, had.profile, '{}') as profile,
        case when given.expires_given then given.expires_at else had.expires_at end as expires_at,
        coalesce(given.priority, had.priority,
          (select coalesce(max(priority) + 1, 0) from group_assignments where app_id = ${app_id})
            + row_number() over (partition by given.priority is null and had.id is null order by n)::int - 1) as priority
      from given left join group_assignments had on had.app_id = ${app_id} and had.group_id = given.group_id
    ), changed as (
      insert into group_assignments as a (app_id, group_id, priority, profile, expires_at, created_at, updated_at)
      select ${app_id}, group_id, priority, profile, expires_at, ${running.now()}::timestamptz, ${running.now()}::timestamptz
      from resolved order by group_id
      on conflict (app_id, group_id) do update set priority = excluded.priority, profile = excluded.profile,
        expires_at = excluded.expires_at, updated_at = excluded.updated_at
        where (a.priority, a.profile, a.expires_at) is distinct from
              (excluded.priority, excluded.profile, excluded.expires_at)
      returning group_id, priority
    )
    select c.group_id, c.priority, g.profile->>'name' as name, not r.had as turns
    from changed c join resolved r using (group_id) join groups g on g.id = c.group_id order by c.group_id`.execute(
    running.db,
  );
  return rows;
}

/** Takes an app away from groups; those that do not have it are passed over. Gives the groups that had it. */
export function unassignGroups(
  command: Command,
  app_id: string,
  group_ids: readonly string[],
): Promise<readonly string[] | Refusal> {
  return run<readonly string[]>(command, async (running) => {
    const app = await readTarget(running.db, app_id);
    if (isRefusal(app)) return app;
    const { rows } = await sql<Changed>`
      with ended as (
        delete from group_assignments where app_id = ${app_id} and group_id = any(${[...group_ids]}::text[])
        returning group_id, priority)
      select ended.*, g.profile->>'name' as name, true as turns
      from ended join groups g on g.id = ended.group_id order by group_id`.execute(running.db);
    await follow(running, app, rows, "remove");
    return rows.map((row) => row.group_id);
  });
}

/** Puts the app's groups in this order of priority, 0 first; groups that are not named follow in their old order. */
export function orderGroups(
  command: Command,
  app_id: string,
  group_ids: readonly string[],
): Promise<readonly GroupAssignment[] | Refusal> {
  return run<readonly GroupAssignment[]>(command, async (running) => {
    const app = await readTarget(running.db, app_id);
    if (isRefusal(app)) return app;
    await sql`select id from apps where id = ${app_id} for no key update`.execute(running.db);
    const before = await assignmentsOf(running.db, app_id);
    const known = new Set(before.map((one) => one.group_id));
    const stranger = group_ids.find((id) => !known.has(id));
    if (stranger !== undefined) {
      return {
        refused: `group ${stranger.slice(0, 100)} is not assigned to ${app.label}: assign it first`,
        code: "invalid",
      };
    }
    const order = [...new Set([...group_ids, ...known])];
    const { rows } = await sql<Changed>`
      with moved as (
        update group_assignments a set priority = o.n - 1, updated_at = ${running.now()}::timestamptz
        from unnest(${order}::text[]) with ordinality as o(group_id, n)
        where a.app_id = ${app_id} and a.group_id = o.group_id and a.priority <> o.n - 1
        returning a.group_id, a.priority)
      select moved.*, g.profile->>'name' as name, false as turns
      from moved join groups g on g.id = moved.group_id order by group_id`.execute(running.db);
    await follow(running, app, rows, "update");
    return assignmentsOf(running.db, app_id);
  });
}

/** Ends group assignments whose time is over, at most `limit`; their members come before other work. */
export async function expireGroupAssignments(running: Running, now: Date, limit: number): Promise<number> {
  const { rows } = await sql<Changed & { app_id: string; label: string }>`
    with ended as (
      delete from group_assignments where id in (
        select id from group_assignments where expires_at <= ${now}::timestamptz
        order by expires_at limit ${limit} for update skip locked)
      returning app_id, group_id, priority)
    select ended.*, g.profile->>'name' as name, true as turns, apps.label
    from ended join groups g on g.id = ended.group_id join apps on apps.id = ended.app_id
    order by app_id, group_id`.execute(running.db);
  for (const [app_id, some] of Map.groupBy(rows, (row) => row.app_id)) {
    const app = { id: app_id, label: some[0]?.label ?? app_id };
    await follow(running, app, some, "remove", { reason: "the time was over", urgency: priority.leaver });
  }
  return rows.length;
}

/** Logs each group's change and marks its members with that event as the cause. */
async function follow(
  running: Running,
  app: TargetApp,
  changed: readonly Changed[],
  what: "add" | "update" | "remove",
  more: Readonly<{ reason?: string; urgency?: number }> = {},
): Promise<void> {
  const seqs = await logAll(
    running,
    changed.map(({ group_id, name, priority: rank }) => ({
      type: `group.application_assignment.${what}`,
      app_id: app.id,
      group_id,
      reason: more.reason ?? null,
      targets: [
        { id: group_id, type: "UserGroup", name },
        { id: app.id, type: "AppInstance", name: app.label },
      ] satisfies Target[],
      detail: { priority: rank },
    })),
  );
  const urgency = more.urgency ?? (what === "remove" ? priority.change : priority.wave);
  for (const [n, { group_id }] of changed.entries()) {
    await markMembersDirty(running, [group_id], urgency, seqs[n] ?? null);
  }
}

/** An app's group assignments by priority; only those of `group_ids` if given. */
export async function assignmentsOf(
  db: Database,
  app_id: string,
  group_ids?: readonly string[],
): Promise<readonly GroupAssignment[]> {
  const { rows } = await sql<GroupAssignment>`
    select * from group_assignments where app_id = ${app_id}
      ${group_ids === undefined ? sql`` : sql`and group_id = any(${[...group_ids]}::text[])`}
    order by priority, group_id`.execute(db);
  return rows;
}

function judgeInput(running: Running, assignments: readonly NewGroupAssignment[]): Refusal | undefined {
  const ranks = assignments.flatMap((one) => one.priority ?? []);
  if (ranks.some((rank) => !(Number.isInteger(rank) && rank >= 0 && rank <= priority_max))) {
    return { refused: `a priority is a whole number from 0 to ${priority_max}`, code: "invalid", place: "priority" };
  }
  const late = assignments.find((one) => one.expires_at && one.expires_at <= running.now());
  if (late === undefined) return undefined;
  return {
    refused: `the assignment of group ${late.group_id} would be over already`,
    code: "invalid",
    place: "expires_at",
  };
}

async function judgeGroups(db: Database, assignments: readonly NewGroupAssignment[]): Promise<Refusal | undefined> {
  const { rows } = await sql<{ id: string }>`
    select asked.id from unnest(${assignments.map((one) => one.group_id)}::text[]) as asked(id)
    where not exists (select from groups g where g.id = asked.id) limit 5`.execute(db);
  if (rows.length === 0) return undefined;
  const names = rows.map((row) => row.id.slice(0, 100)).join(", ");
  return { refused: `there is no group ${names}`, code: "not_found", place: "group_id" };
}
