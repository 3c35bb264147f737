/**
 * The rows of membership_grants, in bulk: one statement whatever the number of grants. Each statement also tells, for
 * every grant it wrote or deleted, whether the membership itself turned: began with it, or ended with it.
 *
 * Law: the people are locked (locks.ts), so nothing turns beside. Answers are ordered by user and group, so that the grants of one membership are neighbours.
 * Called only by memberships.ts, which judges, logs and marks.
 */

import type { RawBuilder } from "kysely";
import type { GrantKind } from "../core/types.ts";
import { sql } from "../store/database.ts";
import type { Running } from "./command.ts";

export type GrantInput = Readonly<{
  user_id: string;
  group_id: string;
  kind: GrantKind;
  source_id: string;
  reason: string | null;
  expires_at: Date | null;
  /** The event that gave it, where it is not the command's cause. */
  cause?: number | null;
}>;

/** A grant that was written or deleted. `turns`: the membership began or ended in this statement. */
export type GrantChange = Readonly<{
  user_id: string;
  group_id: string;
  kind: GrantKind;
  source_id: string;
  reason: string | null;
  turns: boolean;
  login: string;
  group_name: string;
  rule_name: string | null;
}>;

/** Which grants to end: those of a pair, optionally only of one kind and source. */
export type GrantChoice = Readonly<{ user_id: string; group_id: string; kind?: GrantKind; source_id?: string }>;

/** Writes grants; one that is there already only takes the new reason and expiry. Gives those that changed. */
export async function insertGrants(running: Running, grants: readonly GrantInput[]): Promise<GrantChange[]> {
  if (grants.length === 0) return [];
  const { rows } = await sql<GrantChange>`
    with given as (
      select distinct on (user_id, group_id, kind, source_id) *
      from jsonb_to_recordset(${JSON.stringify(grants)}::jsonb)
        as g(user_id text, group_id text, kind text, source_id text, reason text, expires_at timestamptz, cause bigint)
      order by user_id, group_id, kind, source_id),
    changed as (
      insert into membership_grants (user_id, group_id, kind, source_id, reason, expires_at, cause, created_at)
      select user_id, group_id, kind, source_id, reason, expires_at, coalesce(cause, ${running.cause ?? null}::bigint), ${running.now()}::timestamptz
      from given order by user_id, group_id, kind, source_id
      on conflict (user_id, group_id, kind, source_id) do update
        set reason = excluded.reason, expires_at = excluded.expires_at
        where (membership_grants.reason, membership_grants.expires_at) is distinct from (excluded.reason, excluded.expires_at)
      returning *)
    select ${columns},
      not exists (select from membership_grants h where h.user_id = c.user_id and h.group_id = c.group_id) as turns
    ${named}
    order by c.user_id, c.group_id, c.id`.execute(running.db);
  return rows;
}

/** Ends grants; gives those that were there. */
export async function deleteGrants(running: Running, choice: readonly GrantChoice[]): Promise<GrantChange[]> {
  if (choice.length === 0) return [];
  return deleteWhere(
    running,
    sql`(m.user_id, m.group_id, m.kind, m.source_id) in (
      select h.user_id, h.group_id, h.kind, h.source_id from jsonb_to_recordset(${JSON.stringify(choice)}::jsonb)
        as g(user_id text, group_id text, kind text, source_id text)
      join membership_grants h on h.user_id = g.user_id and h.group_id = g.group_id
        and (g.kind is null or h.kind = g.kind) and (g.source_id is null or h.source_id = g.source_id))`,
  );
}

/** Ends the grants of these people whose time is over: one may have been prolonged since it was found. */
export function deleteExpired(running: Running, now: Date, user_ids: readonly string[]): Promise<GrantChange[]> {
  const people = sql`m.user_id = any(${[...new Set(user_ids)]}::text[])`;
  return deleteWhere(running, sql`${people} and m.expires_at <= ${now}::timestamptz`);
}

/** Ends the grants for which `condition`, over `m`, the grants row, holds; gives those that were there. */
export async function deleteWhere(running: Running, condition: RawBuilder<unknown>): Promise<GrantChange[]> {
  // A statement sees the table as it was when it began: what is left is what was there and is not deleted. The window
  // counts in one pass; joined with itself, a set whose size the planner cannot know would cost its square.
  const { rows } = await sql<GrantChange>`
    with changed as (delete from membership_grants m where ${condition} returning *)
    select ${columns},
      count(*) over (partition by c.user_id, c.group_id) =
        (select count(*) from membership_grants h where h.user_id = c.user_id and h.group_id = c.group_id) as turns
    ${named}
    order by c.user_id, c.group_id, c.id`.execute(running.db);
  return rows;
}

const columns = sql`c.user_id, c.group_id, c.kind, c.source_id, c.reason, u.login,
      g.profile->>'name' as group_name, r.name as rule_name`;

const named = sql`
    from changed c
    join users u on u.id = c.user_id
    join groups g on g.id = c.group_id
    left join rules r on c.kind = 'rule' and r.id = c.source_id`;
