/**
 * Individual assignments: the grants that give one person one app, each with its giver, reason, own values and expiry.
 * A person has an app while any grant of theirs holds or any assigned group of theirs does (groupAssignments.ts).
 *
 * Laws: values of a person's own beat a group's, attribute by attribute, so giving one does not detach the others; a
 * grant that is given again is renewed, not doubled; what an account should be is computed by the engine from the marks
 * that every command here leaves, and the events `application.user_membership.*` are logged there, once per account.
 *
 * Called by the API, console and CLI, by imports and requests, and by the schedule (`expireAssignments`).
 */
import { type RawBuilder, type Selectable, sql } from "kysely";
import { mergeProfile } from "../core/schema.ts";
import type { GrantKind, Outcome, Profile, Refusal, Schema } from "../core/types.ts";
import { type Database, isRefusal } from "../store/database.ts";
import type { NewEvent } from "../store/log.ts";
import type { AssignmentGrantRow, Target } from "../store/tables.ts";
import { judgeAssignmentProfile, readTarget, type TargetApp } from "./assignmentValues.ts";
import { type Command, logAll, priority, type Running, run } from "./command.ts";
import { expireGroupAssignments } from "./groupAssignments.ts";
import { lockPeople } from "./locks.ts";
import { type Mark, markDirtyEach } from "./marks.ts";

export type AssignmentGrant = Selectable<AssignmentGrantRow>;

/** A grant to give. `kind` person and `source_id` the one who asks, unless said otherwise. */
export type NewAssignment = Readonly<{
  user_id: string;
  kind?: Exclude<GrantKind, "group" | "rule">;
  source_id?: string;
  reason?: string | null;
  /** Values for the account, in the app's attributes; they beat what groups and the mapping give. */
  profile?: Profile;
  expires_at?: Date | null;
}>;

/** `began`: people who had no grant of their own before; `changed`: whose grants are renewed or joined by another. */
export type Assigned = Readonly<{ began: readonly string[]; changed: readonly string[] }>;

/** `ended`: who has no grant of their own any more. `by_group`: those of them whom groups still give the app. */
export type Unassigned = Readonly<{
  ended: readonly string[];
  by_group: readonly Readonly<{ user_id: string; group_ids: readonly string[] }>[];
}>;

/** Most events in one statement: some megabytes of JSON. */
const events_max = 5_000;

/** Gives people an app. Refuses the whole set, naming whom, when somebody is unknown or deactivated or a value is wrong. */
export function assignUsers(
  command: Command,
  app_id: string,
  grants: readonly NewAssignment[],
): Promise<Assigned | Refusal> {
  return run<Assigned>(command, async (running) => {
    const app = await readTarget(running.db, app_id);
    if (isRefusal(app)) return app;
    // Else a departure under way could end grants that are not there yet, and the person would leave with the app.
    const people = grants.map((grant) => grant.user_id);
    await lockPeople(running.db, people);
    const refused = judgeGivers(running, grants) ?? (await judgePeople(running.db, people));
    if (refused) return refused;
    const lines = judgeValues(app.schema, grants);
    if ("refused" in lines) return lines;
    const { rows } = await sql<GrantEvent>`
      with given as (
        select distinct on (user_id, kind, source_id) *
        from jsonb_to_recordset(${JSON.stringify(lines.ok.map((line) => plain(running, line)))}::jsonb) as g(user_id text,
          kind text, source_id text, reason text, profile jsonb, expires_at timestamptz)
        order by user_id, kind, source_id
      ), changed as (
        insert into assignment_grants as a (user_id, app_id, kind, source_id, reason, profile, expires_at, cause, created_at)
        select user_id, ${app_id}, kind, source_id, reason, profile, expires_at, ${running.cause ?? null}::bigint,
               ${running.now()}::timestamptz
        from given order by user_id, kind, source_id
        on conflict (user_id, app_id, kind, source_id) do update
          set reason = excluded.reason, profile = excluded.profile, expires_at = excluded.expires_at
          where (a.reason, a.profile, a.expires_at) is distinct from (excluded.reason, excluded.profile, excluded.expires_at)
        returning user_id, kind, source_id, reason, expires_at
      )
      select c.*, u.login, not exists (
        select from assignment_grants had where had.app_id = ${app_id} and had.user_id = c.user_id) as turns
      from changed c join users u on u.id = c.user_id order by c.user_id, c.kind, c.source_id`.execute(running.db);
    await follow(running, "create", app, rows, priority.change);
    const began = new Set(rows.filter((row) => row.turns).map((row) => row.user_id));
    const changed = new Set(rows.filter((row) => !row.turns).map((row) => row.user_id));
    return { began: [...began], changed: [...changed] };
  });
}

/**
 * Takes people's own grants of an app away: all of them, or those of one kind and source. Who has none is passed over.
 * Groups may still give it; the answer says to whom.
 */
export function unassignUsers(
  command: Command,
  app_id: string,
  user_ids: readonly string[],
  only: Readonly<{ kind?: GrantKind; source_id?: string; reason?: string }> = {},
): Promise<Unassigned | Refusal> {
  return run<Unassigned>(command, async (running) => {
    const app = await readTarget(running.db, app_id);
    if (isRefusal(app)) return app;
    await lockPeople(running.db, user_ids);
    const chosen = sql`
      app_id = ${app_id} and user_id = any(${[...user_ids]}::text[])
      ${only.kind === undefined ? sql`` : sql`and kind = ${only.kind}`}
      ${only.source_id === undefined ? sql`` : sql`and source_id = ${only.source_id}`}`;
    const ended = await deleteGrants(running, chosen);
    await follow(running, "end", app, ended, priority.change, only.reason);
    const gone = [...new Set(ended.filter((grant) => grant.turns).map((grant) => grant.user_id))];
    return { ended: gone, by_group: await grantingGroups(running.db, app_id, gone, running.now()) };
  });
}

/**
 * Changes the values that a person's own assignment gives the account. Someone who has the app only through groups gets
 * a grant of their own with these values, as in Okta ("Administrator (overrides group)"); attributes that are not
 * named keep following the groups and the mapping.
 */
export function setAssignmentValues(
  command: Command,
  app_id: string,
  user_id: string,
  profile: Profile,
  mode: "partial" | "replace" = "partial",
): Promise<Assigned | Refusal> {
  return run<Assigned>(command, async (running) => {
    const own = await running.db
      .selectFrom("assignment_grants")
      .selectAll()
      .where("app_id", "=", app_id)
      .where("user_id", "=", user_id)
      .orderBy(sql`kind = 'person'`, "desc")
      .orderBy("id")
      .forUpdate()
      .execute();
    const [grant] = own;
    if (grant === undefined) {
      const groups = await grantingGroups(running.db, app_id, [user_id], running.now());
      if (groups.length > 0) return assignUsers(running, app_id, [{ user_id, profile, reason: "own values" }]);
      return { refused: `user ${user_id} is not assigned to app ${app_id}: assign first`, code: "not_found" };
    }
    const { kind, source_id, reason, expires_at } = grant;
    if (kind === "group" || kind === "rule") return { refused: `a ${kind} grant holds no values`, code: "invalid" };
    const merged = mergeProfile(grant.profile, profile, mode);
    return assignUsers(running, app_id, [{ user_id, kind, source_id, reason, expires_at, profile: merged }]);
  });
}

/**
 * Turns individual assignments into group ones where a group gives the app: the own grants, with their values, end, and
 * the account follows the groups. Whom no group gives it keeps their own.
 */
export function convertAssignments(
  command: Command,
  app_id: string,
  who: readonly string[] | "all",
): Promise<Readonly<{ converted: readonly string[]; kept: number }> | Refusal> {
  return run<Readonly<{ converted: readonly string[]; kept: number }>>(command, async (running) => {
    const app = await readTarget(running.db, app_id);
    if (isRefusal(app)) return app;
    const people = who === "all" ? sql`true` : sql`user_id = any(${[...who]}::text[])`;
    const granted = grantedByGroup(app_id, sql`assignment_grants.user_id`, running.now());
    const ended = await deleteGrants(running, sql`app_id = ${app_id} and ${people} and ${granted}`);
    await follow(running, "convert", app, ended, who === "all" ? priority.wave : priority.change);
    const { rows } = await sql<{ n: number }>`
      select count(distinct user_id)::int as n from assignment_grants where app_id = ${app_id} and ${people}`.execute(
      running.db,
    );
    return { converted: [...new Set(ended.map((grant) => grant.user_id))], kept: rows[0]?.n ?? 0 };
  });
}

/**
 * Ends the grants, of people and of groups, whose time is over; at most `limit` of each. Called by the schedule until it
 * gives less than `limit`; nodes may do it at once. Gives how many ended.
 */
export async function expireAssignments(command: Command, now: Date, limit: number): Promise<number> {
  const result = await run(command, async (running) => {
    const due = sql`id in (
      select id from assignment_grants where expires_at <= ${now}::timestamptz
      order by expires_at limit ${limit} for update skip locked)`;
    const ended = await deleteGrants(running, due);
    for (const [app_id, grants] of Map.groupBy(ended, (grant) => grant.app_id)) {
      const app = { id: app_id, label: grants[0]?.app_label ?? app_id };
      await follow(running, "expire", app, grants, priority.leaver);
    }
    const groups = await expireGroupAssignments(running, now, limit);
    return { ended: ended.length + groups };
  });
  // The work above refuses nothing.
  return "refused" in result ? 0 : result.ended;
}

/** A person's own grants of an app, the oldest first. */
export function grantsOf(db: Database, app_id: string, user_id: string): Promise<AssignmentGrant[]> {
  return db
    .selectFrom("assignment_grants")
    .selectAll()
    .where("app_id", "=", app_id)
    .where("user_id", "=", user_id)
    .orderBy("id")
    .execute();
}

/** Which of an app's groups give it to these people now, the highest priority first; who is in none is left out. */
export async function grantingGroups(
  db: Database,
  app_id: string,
  user_ids: readonly string[],
  now: Date,
): Promise<readonly Readonly<{ user_id: string; group_ids: readonly string[] }>[]> {
  if (user_ids.length === 0) return [];
  const { rows } = await sql<{ user_id: string; group_ids: string[] }>`
    select u.id as user_id, array_agg(ga.group_id order by ga.priority, ga.group_id) as group_ids
    from unnest(${[...user_ids]}::text[]) as u(id) cross join group_assignments ga
    where ga.app_id = ${app_id} and ${holds(sql`ga`, now)} and ${inGroup(sql`u.id`, now)}
    group by u.id order by u.id`.execute(db);
  return rows;
}

/** SQL: does any group assigned to the app have this user? */
function grantedByGroup(app_id: string, user_id: RawBuilder<unknown>, now: Date): RawBuilder<unknown> {
  return sql`exists (
    select from group_assignments ga
    where ga.app_id = ${app_id} and ${holds(sql`ga`, now)} and ${inGroup(user_id, now)})`;
}

const holds = (row: RawBuilder<unknown>, now: Date) =>
  sql`(${row}.expires_at is null or ${row}.expires_at > ${now}::timestamptz)`;

/** SQL: is the user in the group of `ga`? Everyone is in Everyone. */
const inGroup = (user_id: RawBuilder<unknown>, now: Date) => sql`(
  exists (select from groups g where g.id = ga.group_id and g.type = 'BUILT_IN')
  or exists (select from membership_grants m where m.group_id = ga.group_id and m.user_id = ${user_id} and ${holds(sql`m`, now)}))`;

/** A grant that was written or deleted. `turns`: it is the person's first of this app, or was the last. */
type GrantEvent = Readonly<{
  user_id: string;
  login: string;
  kind: GrantKind;
  source_id: string;
  reason: string | null;
  expires_at: Date | string | null;
  turns: boolean;
}>;

async function deleteGrants(
  running: Running,
  chosen: RawBuilder<unknown>,
): Promise<readonly (GrantEvent & { app_id: string; app_label: string })[]> {
  // What is left is asked as the statement began, so what is being deleted is taken out by its id.
  const { rows } = await sql<GrantEvent & { app_id: string; app_label: string }>`
    with ended as (
      delete from assignment_grants where ${chosen} returning id, app_id, user_id, kind, source_id, reason, expires_at
    )
    select e.app_id, e.user_id, e.kind, e.source_id, e.reason, e.expires_at, u.login, apps.label as app_label,
      not exists (select from assignment_grants left_over
        where left_over.app_id = e.app_id and left_over.user_id = e.user_id
          and left_over.id not in (select id from ended)) as turns
    from ended e join users u on u.id = e.user_id join apps on apps.id = e.app_id
    order by e.app_id, e.user_id, e.id`.execute(running.db);
  return rows;
}

const reasons = {
  create: null,
  end: null,
  convert: "converted to group assignment",
  expire: "the time was over",
} as const;

/** Logs grants and marks their people, each with its own event as the cause. */
async function follow(
  running: Running,
  what: keyof typeof reasons,
  app: TargetApp,
  grants: readonly GrantEvent[],
  urgency: number,
  reason?: string,
): Promise<void> {
  for (let start = 0; start < grants.length; start += events_max) {
    const some = grants.slice(start, start + events_max);
    const type = what === "create" ? "application.assignment_grant.create" : "application.assignment_grant.end";
    const events = some.map(
      (grant): Omit<NewEvent, "actor"> => ({
        type,
        user_id: grant.user_id,
        app_id: app.id,
        cause: running.cause ?? null,
        reason: reason ?? reasons[what] ?? grant.reason,
        targets: targetsOf(app, grant),
        detail: {
          kind: grant.kind,
          source: grant.source_id,
          // jsonb_to_recordset and the driver differ in how they give a time.
          expires_at: grant.expires_at === null ? null : new Date(grant.expires_at).toISOString(),
          only: grant.turns,
        },
      }),
    );
    const seqs = await logAll(running, events);
    const marks = some.map((grant, n): Mark => ({ user_id: grant.user_id, cause: seqs[n] ?? null }));
    await markDirtyEach(running, marks, urgency);
  }
}

const targetsOf = (app: TargetApp, grant: Readonly<{ user_id: string; login: string }>): Target[] => [
  { id: grant.user_id, type: "User", name: grant.login },
  { id: app.id, type: "AppInstance", name: app.label },
];

function judgeValues(schema: Schema, grants: readonly NewAssignment[]): Outcome<readonly NewAssignment[]> {
  const judged: NewAssignment[] = [];
  for (const grant of grants) {
    const profile = judgeAssignmentProfile(schema, grant.profile);
    if ("refused" in profile)
      return { ...profile, refused: `the values for user ${grant.user_id}: ${profile.refused}` };
    judged.push({ ...grant, profile: profile.ok });
  }
  return { ok: judged };
}

const plain = (running: Running, grant: NewAssignment) => ({
  user_id: grant.user_id,
  kind: grant.kind ?? "person",
  source_id: grant.source_id ?? running.actor.id,
  reason: grant.reason ?? null,
  profile: grant.profile ?? {},
  expires_at: grant.expires_at ?? null,
});

function judgeGivers(running: Running, grants: readonly NewAssignment[]): Refusal | undefined {
  const late = grants.find((grant) => grant.expires_at && grant.expires_at <= running.now());
  if (late) {
    return {
      refused: `the assignment of user ${late.user_id} would be over already`,
      code: "invalid",
      place: "expires_at",
    };
  }
  const foreign = grants.find((grant) => grant.kind && !["person", "import", "request"].includes(grant.kind));
  if (foreign === undefined) return undefined;
  return {
    refused: `a ${foreign.kind} gives no individual assignment: assign the group`,
    code: "invalid",
    place: "kind",
  };
}

async function judgePeople(db: Database, user_ids: readonly string[]): Promise<Refusal | undefined> {
  const { rows } = await sql<{ id: string; status: string | null }>`
    select asked.id, u.status from unnest(${[...new Set(user_ids)]}::text[]) as asked(id) left join users u on u.id = asked.id
    where u.id is null or u.status = 'DEPROVISIONED' order by u.status is not null, asked.id limit 5`.execute(db);
  const [first] = rows;
  if (first === undefined) return undefined;
  const names = rows
    .filter((row) => (row.status === null) === (first.status === null))
    .map((row) => row.id.slice(0, 100));
  return first.status === null
    ? { refused: `there is no user ${names.join(", ")}`, code: "not_found", place: "user_id" }
    : {
        refused: `user ${names.join(", ")} is deactivated: reactivate before assigning apps`,
        code: "illegal_transition",
        place: "user_id",
      };
}
