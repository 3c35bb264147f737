/**
 * Whom a change of an app or a group reaches: their people marked dirty, or their accounts marked due, in one statement
 * whatever their number. `marks.ts` has the law of lock order that these follow: dirty first, then work.
 *
 * The members of a BUILT_IN group (Everyone) are all who are not deactivated, whether or not rows say so.
 *
 * Called by apps, mappings, assignments and their expiry.
 */
import type { RawBuilder } from "kysely";
import { type Database, sql } from "../store/database.ts";
import { type Command, priority, wake } from "./command.ts";
import { markDirtyWhere } from "./marks.ts";

/** SQL: ids of the members of groups that `condition` (over `g`, the groups row) picks. */
function membersWhere(condition: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    select m.user_id from groups g join membership_grants m on m.group_id = g.id where ${condition}
    union
    select everyone.id from users everyone
    where everyone.status <> 'DEPROVISIONED' and exists (select from groups g where g.type = 'BUILT_IN' and ${condition})`;
}

/**
 * Marks dirty everyone whom an app concerns: who has or had an account in it, holds a grant, or is in a group that it is
 * assigned to. Gives how many.
 */
export function markAppDirty(
  command: Command,
  app_id: string,
  urgency: number = priority.wave,
  cause: number | null = command.cause ?? null,
): Promise<number> {
  const assigned = membersWhere(sql`g.id in (select group_id from group_assignments where app_id = ${app_id})`);
  return markDirtyWhere(
    command,
    sql`u.id in (
      select user_id from accounts where app_id = ${app_id}
      union select user_id from assignment_grants where app_id = ${app_id}
      union ${assigned})`,
    urgency,
    cause,
  );
}

/** Marks dirty everyone who has an assigned account in an app. Gives how many. */
export function markAssignedDirty(
  command: Command,
  app_id: string,
  urgency: number = priority.wave,
  cause: number | null = command.cause ?? null,
): Promise<number> {
  const assigned = sql`u.id in (select user_id from accounts where app_id = ${app_id} and assigned)`;
  return markDirtyWhere(command, assigned, urgency, cause);
}

/** Marks dirty every member of the groups. Gives how many. */
export function markMembersDirty(
  command: Command,
  group_ids: readonly string[],
  urgency: number = priority.change,
  cause: number | null = command.cause ?? null,
): Promise<number> {
  const members = membersWhere(sql`g.id = any(${[...group_ids]}::text[])`);
  return markDirtyWhere(command, sql`u.id in (${members})`, urgency, cause);
}

/**
 * Makes accounts of an app due, to be looked at in the app before anything is written: `which` is SQL over `a`, the
 * accounts row, and `w`, its work row or nulls. A claim that is under way loses its hold, so that it cannot confirm the
 * mark away (rule 3 of engine/provision.ts). Gives how many.
 */
export async function markAccountsDue(
  command: Command,
  app_id: string,
  which: RawBuilder<unknown>,
  urgency: number = priority.wave,
): Promise<number> {
  const now = command.now();
  const { numAffectedRows } = await sql`
    insert into work (account_id, app_id, user_id, revision, due_at, priority, unsure, cause, marked_at)
    select a.id, a.app_id, a.user_id, a.want_revision, ${now}::timestamptz, ${urgency}::smallint, true,
           ${command.cause ?? null}::bigint, ${now}::timestamptz
    from accounts a left join work w on w.account_id = a.id
    where a.app_id = ${app_id} and ${which} order by a.id for key share of a
    on conflict (account_id) do update set due_at = excluded.due_at, unsure = true, attempts = 0,
      priority = least(work.priority, excluded.priority), claimed_by = null, claimed_until = null,
      cause = excluded.cause`.execute(command.db);
  const count = Number(numAffectedRows ?? 0);
  if (count > 0) await wake(command.db);
  return count;
}

/** How many people a group has, as `markMembersDirty` counts them. */
export async function memberCount(db: Database, group_id: string): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from (${membersWhere(sql`g.id = ${group_id}`)}) as members`.execute(db);
  return rows[0]?.n ?? 0;
}
