/**
 * Group push: our groups that are written to an app as groups of that app, members and all. Commands here say what is to
 * be pushed; the engine pushes it (engine/groupPush.ts) and ends a push that is being unlinked.
 *
 * Laws: a group is pushed to an app once, and a group of an app has one of ours behind it; the same group may both give
 * the app and be pushed to it; a group that was imported from an app is never pushed back to it.
 *
 * Which groups rules push is in pushRules.ts.
 */
import { type Selectable, sql } from "kysely";
import type { Refusal } from "../core/types.ts";
import { type Database, violatedUnique } from "../store/database.ts";
import type { PushedGroupRow, Target } from "../store/tables.ts";
import { type App, type AppTools, capabilitiesOf } from "./apps.ts";
import { type Command, logAll, type Running, run, wake } from "./command.ts";
import { rowsOf } from "./pages.ts";

/** A pushed group with names and figures. `state` is Okta's status: ERROR while its last push failed. */
export type Push = Readonly<
  Selectable<PushedGroupRow> & {
    state: "ACTIVE" | "INACTIVE" | "ERROR";
    group_name: string;
    app_label: string;
    /** Members in the app; those that it did not take. */
    members: number;
    member_faults: number;
  }
>;

/**
 * A group to push. With `target_id` it is linked to that group of the app; with `target_name` to the group of that name,
 * made if it is not there, and keeps that name; with neither it has our group's name, and is renamed with it.
 */
export type NewPush = Readonly<{ group_id: string; target_id?: string; target_name?: string; active?: boolean }>;

const name_max = 255;

/** Begins to push groups to an app. Refuses the whole set when the app has no groups or any of them cannot be pushed. */
export async function createPushes(
  command: Command,
  app_id: string,
  pushes: readonly NewPush[],
  tools: AppTools,
): Promise<readonly Push[] | Refusal> {
  try {
    return await run<readonly Push[]>(command, async (running) => {
      const app = await pushTarget(running, app_id, tools);
      if ("refused" in app) return app;
      const refused = judgeInput(pushes) ?? (await judgePushes(running.db, app, pushes));
      if (refused) return refused;
      const lines = pushes.map(({ group_id, target_id = null, target_name = null, active = true }) => ({
        group_id,
        target_id,
        target_name,
        status: active ? "ACTIVE" : "INACTIVE",
        mode: target_id === null && target_name === null ? "create" : "link",
      }));
      const { rows } = await sql<Changed>`
        with made as (
          insert into pushed_groups (app_id, group_id, status, mode, target_id, target_name, due_at, cause, created_at, updated_at)
          select ${app_id}, group_id, status, mode, target_id, target_name,
                 case when status = 'ACTIVE' then ${running.now()}::timestamptz end, ${running.cause ?? null}::bigint,
                 ${running.now()}::timestamptz, ${running.now()}::timestamptz
          from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb)
            as l(group_id text, target_id text, target_name text, status text, mode text) order by group_id
          returning id, app_id, group_id)
        select ${changed} from made p join groups g on g.id = p.group_id join apps a on a.id = p.app_id
        order by p.id`.execute(running.db);
      await follow(running, "mapping.created", rows);
      return readPushes(running.db, sql`p.id = any(${rows.map((row) => row.id)}::text[])`);
    });
  } catch (error) {
    if (violatedUnique(error) === undefined) throw error;
    return {
      refused: "one of these groups was just begun to be pushed by someone else: look again",
      code: "duplicate",
    };
  }
}

/** The app, if groups can be pushed to it; called by pushRules.ts too. */
export async function pushTarget(running: Running, app_id: string, tools: AppTools): Promise<App | Refusal> {
  const app = await running.db.selectFrom("apps").selectAll().where("id", "=", app_id).executeTakeFirst();
  if (app === undefined) return { refused: `there is no app ${app_id.slice(0, 100)}`, code: "not_found" };
  const can = await capabilitiesOf(running.db, tools, app, running.now());
  if (can?.groups) return app;
  const why =
    app.kind === "none"
      ? "has no connector"
      : can === undefined
        ? "is not fully configured"
        : "has no groups to write to";
  return { refused: `groups cannot be pushed to ${app.label}: it ${why}`, code: "unavailable", place: "app_id" };
}

function judgeInput(pushes: readonly NewPush[]): Refusal | undefined {
  for (const { group_id, target_id, target_name } of pushes) {
    if (target_id !== undefined && target_name !== undefined) {
      return {
        refused: `group ${group_id}: give the target's id or its name, not both`,
        code: "invalid",
        place: "target_id",
      };
    }
    const text = target_id ?? target_name;
    if (text !== undefined && (text.trim() === "" || text.length > name_max)) {
      return {
        refused: `group ${group_id}: a target has 1 to ${name_max} characters`,
        code: "invalid",
        place: "target_name",
      };
    }
  }
  const twice = pushes.find((push, n) => pushes.findIndex((other) => other.group_id === push.group_id) < n);
  return twice && { refused: `group ${twice.group_id} is named twice`, code: "duplicate", place: "group_id" };
}

async function judgePushes(db: Database, app: App, pushes: readonly NewPush[]): Promise<Refusal | undefined> {
  const ids = pushes.map((push) => push.group_id);
  const { rows } = await sql<{ id: string; name: string | null; own: boolean; pushed: boolean; unlinking: boolean }>`
    select asked.id, g.profile->>'name' as name, coalesce(g.source_app_id = ${app.id}, false) as own,
           p.id is not null as pushed, p.unlinking is not null as unlinking
    from unnest(${ids}::text[]) as asked(id) left join groups g on g.id = asked.id
      left join pushed_groups p on p.group_id = g.id and p.app_id = ${app.id}
    where g.id is null or g.source_app_id = ${app.id} or p.id is not null limit 1`.execute(db);
  const [bad] = rows;
  if (bad !== undefined) {
    if (bad.name === null)
      return { refused: `there is no group ${bad.id.slice(0, 100)}`, code: "not_found", place: "group_id" };
    if (bad.own) {
      return {
        refused: `${bad.name} was imported from ${app.label}: it cannot be pushed back there`,
        code: "cycle",
        place: "group_id",
      };
    }
    const state = bad.unlinking ? "still being unlinked from it: try again in a moment" : "pushed to it already";
    return {
      refused: `${bad.name} cannot be pushed to ${app.label}: it is ${state}`,
      code: "duplicate",
      place: "group_id",
    };
  }
  const targets = pushes.flatMap((push) => push.target_id ?? []);
  const names = pushes.flatMap((push) => push.target_name ?? []);
  const { rows: taken } = await sql<{ name: string; target: string }>`
    select g.profile->>'name' as name, coalesce(p.target_name, p.target_id) as target
    from pushed_groups p join groups g on g.id = p.group_id
    where p.app_id = ${app.id} and p.unlinking is null
      and (p.target_id = any(${targets}::text[]) or p.target_name = any(${names}::text[])) limit 1`.execute(db);
  if (taken[0] === undefined && new Set([...targets, ...names]).size === targets.length + names.length)
    return undefined;
  const holder = taken[0] ? `${taken[0].target} has ${taken[0].name} behind it` : "two of these groups have one target";
  return {
    refused: `in ${app.label}, ${holder}: a group there follows one group here`,
    code: "duplicate",
    place: "target_id",
  };
}

/** Stops pushes; the groups in the app stay as they are. */
export function pausePushes(command: Command, ids: readonly string[]): Promise<readonly Push[] | Refusal> {
  const set = sql`status = 'INACTIVE', due_at = null, claimed_by = null, claimed_until = null`;
  return change(command, ids, "deactivate_mapping", set, sql`p.status = 'ACTIVE'`);
}

/**
 * Lets pushes go on, with a full comparison first. One that its rule had let go becomes a push by name, so that the
 * rule does not stop it again.
 */
export function resumePushes(command: Command, ids: readonly string[]): Promise<readonly Push[] | Refusal> {
  return change(
    command,
    ids,
    "activate_mapping",
    sql`status = 'ACTIVE', error = null, fault = null, attempts = 0, full_check = true, due_at = ${command.now()}::timestamptz,
        push_rule_id = case when p.error = ${unmatched} then null else p.push_rule_id end`,
    sql`p.status = 'INACTIVE'`,
  );
}

/** Compares groups with the app's in full and pushes what differs, now: also what had failed or was parked. */
export function pushNow(command: Command, ids: readonly string[]): Promise<readonly Push[] | Refusal> {
  return change(
    command,
    ids,
    null,
    sql`full_check = true, attempts = 0, due_at = ${command.now()}::timestamptz`,
    sql`p.status = 'ACTIVE'`,
  );
}

/**
 * Ends pushes: the group in the app is left as it is, or deleted. The engine does it when the app can be reached, and
 * then the push is gone; until then it is listed as unlinking and can be taken back with `keepLinked`.
 */
export function unlinkPushes(
  command: Command,
  ids: readonly string[],
  target: "leave" | "delete",
): Promise<readonly Push[] | Refusal> {
  const set = sql`unlinking = ${target}, status = 'INACTIVE', attempts = 0, due_at = ${command.now()}::timestamptz`;
  return change(command, ids, null, set, sql`p.unlinking is distinct from ${target}`);
}

/** Takes back an unlink that the engine has not done yet: the push is paused, as before an unlink in Okta. */
export function keepLinked(command: Command, ids: readonly string[]): Promise<readonly Push[] | Refusal> {
  return change(command, ids, null, sql`unlinking = null, due_at = null`, sql`p.unlinking is not null`);
}

/** The `error` of a push that its rule no longer matches; the rule lets it go on when it matches again. */
export const unmatched = "the group no longer matches its push rule";

type Changed = Readonly<{ id: string; app_id: string; group_id: string; group_name: string; app_label: string }>;
const changed = sql`p.id, p.app_id, p.group_id, g.profile->>'name' as group_name, a.label as app_label`;

/** Changes those of the named pushes that `when` picks; refuses only when an id is of no push at all. */
async function change(
  command: Command,
  ids: readonly string[],
  event: string | null,
  set: ReturnType<typeof sql>,
  when: ReturnType<typeof sql>,
): Promise<readonly Push[] | Refusal> {
  return run<readonly Push[]>(command, async (running) => {
    const named = sql`p.id = any(${[...ids]}::text[])`;
    const { rows } = await sql<Changed>`
      with picked as (select p.id from pushed_groups p where ${named} and ${when} order by p.id for update),
      moved as (
        update pushed_groups p set ${set}, generation = p.generation + 1, updated_at = ${running.now()}::timestamptz
        from picked where p.id = picked.id returning p.id, p.app_id, p.group_id)
      select ${changed} from moved p join groups g on g.id = p.group_id join apps a on a.id = p.app_id
      order by p.id`.execute(running.db);
    if (event !== null) await follow(running, event, rows);
    else if (rows.length > 0) await wake(running.db);
    const found = await readPushes(running.db, named);
    const known = new Set(found.map((push) => push.id));
    const stranger = ids.find((id) => !known.has(id));
    return stranger === undefined
      ? found
      : { refused: `there is no pushed group ${stranger.slice(0, 100)}`, code: "not_found" };
  });
}

/** Logs changed pushes under Okta's names and wakes the engine; called by pushRules.ts too. */
export async function follow(
  running: Running,
  event: string,
  rows: readonly Changed[],
  reason?: string,
): Promise<void> {
  if (rows.length === 0) return;
  await logAll(
    running,
    rows.map((row) => ({
      type: `application.provision.group_push.${event}`,
      app_id: row.app_id,
      group_id: row.group_id,
      reason: reason ?? null,
      targets: [
        { id: row.id, type: "GroupPush", name: row.group_name },
        { id: row.group_id, type: "UserGroup", name: row.group_name },
        { id: row.app_id, type: "AppInstance", name: row.app_label },
      ] satisfies Target[],
    })),
  );
  await wake(running.db);
}

/** Which pushes to list. Those being unlinked are left out unless asked for. */
export type PushFilter = Readonly<{
  app_id?: string;
  group_id?: string;
  push_rule_id?: string;
  state?: Push["state"];
  unlinking?: boolean;
  updated_since?: Date;
  after?: string;
  limit?: number;
}>;

/** A page of pushes in order of ids. */
export function listPushes(db: Database, filter: PushFilter = {}): Promise<Push[]> {
  const states = {
    ACTIVE: sql`and p.status = 'ACTIVE' and p.fault is null`,
    INACTIVE: sql`and p.status = 'INACTIVE'`,
    ERROR: sql`and p.status = 'ACTIVE' and p.fault is not null`,
  };
  const where = sql`
    p.id > ${filter.after ?? ""} ${filter.unlinking ? sql`` : sql`and p.unlinking is null`}
    ${filter.app_id === undefined ? sql`` : sql`and p.app_id = ${filter.app_id}`}
    ${filter.group_id === undefined ? sql`` : sql`and p.group_id = ${filter.group_id}`}
    ${filter.push_rule_id === undefined ? sql`` : sql`and p.push_rule_id = ${filter.push_rule_id}`}
    ${filter.state === undefined ? sql`` : states[filter.state]}
    ${filter.updated_since === undefined ? sql`` : sql`and p.updated_at >= ${filter.updated_since}::timestamptz`}`;
  return readPushes(db, where, rowsOf(filter.limit ?? 100));
}

/** One push, unless it is gone. */
export async function readPush(db: Database, id: string): Promise<Push | undefined> {
  const [push] = await readPushes(db, sql`p.id = ${id}`);
  return push;
}

async function readPushes(db: Database, where: ReturnType<typeof sql>, limit = 1_000_000): Promise<Push[]> {
  const { rows } = await sql<Push>`
    select p.*, g.profile->>'name' as group_name, a.label as app_label,
      case when p.status = 'ACTIVE' and p.fault is not null then 'ERROR' else p.status end as state, m.members, m.member_faults
    from pushed_groups p join groups g on g.id = p.group_id join apps a on a.id = p.app_id
      cross join lateral (
        select count(*) filter (where fault is null)::int as members, count(*) filter (where fault is not null)::int as member_faults
        from pushed_members where push_id = p.id) m
    where ${where} order by p.id limit ${limit}`.execute(db);
  return rows;
}
