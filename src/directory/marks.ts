/**
 * Dirty marks for sets: each user with the event that led to it, or every user that a condition finds, without their
 * ids travelling through this process. `markDirty` (command.ts) is the plain form.
 *
 * Law: marks are written in order of user, and before groups are touched (the order of locks: locks.ts).
 */
import type { RawBuilder } from "kysely";
import { sql } from "../store/database.ts";
import { type Command, priority, wake } from "./command.ts";

/** A user to compute again, and the log's sequence number of the event that asks for it. */
export type Mark = Readonly<{ user_id: string; cause: number | null }>;

/** Marks users dirty, each with its own cause; of several marks of one user the last cause stays. */
export async function markDirtyEach(
  command: Command,
  marks: readonly Mark[],
  urgency: number = priority.change,
): Promise<void> {
  if (marks.length === 0) return;
  const causes = new Map(marks.map((mark) => [mark.user_id, mark.cause]));
  await sql`
    insert into dirty (user_id, priority, marked_at, cause)
    select m.user_id, ${urgency}::smallint, ${command.now()}::timestamptz, m.cause
    from unnest(${[...causes.keys()]}::text[], ${[...causes.values()]}::bigint[]) as m(user_id, cause)
    order by m.user_id
    on conflict (user_id) do update set priority = least(dirty.priority, excluded.priority), cause = excluded.cause`.execute(
    command.db,
  );
  await wake(command.db);
}

/**
 * Marks dirty every user for whom `condition` (SQL over `u`, the users row) holds, in one statement, and waits for people
 * whom the engine is computing at this moment to be marked again: it began before what this command changes, and
 * `condition` does not yet see the groups and accounts that it is about to give them.
 *
 * @returns how many users were marked because of the condition.
 */
export async function markDirtyWhere(
  command: Command,
  condition: RawBuilder<unknown>,
  urgency: number,
  cause: number | null,
): Promise<number> {
  const { numAffectedRows } = await sql`
    insert into dirty (user_id, priority, marked_at, cause)
    select u.id, ${urgency}::smallint, ${command.now()}::timestamptz, ${cause}::bigint
    from users u where ${condition} order by u.id
    on conflict (user_id) do update set priority = least(dirty.priority, excluded.priority), cause = excluded.cause`.execute(
    command.db,
  );
  // A mark that is still there after the wait needs nothing (`where false`); one that was answered meanwhile comes back.
  const again = await sql`
    insert into dirty (user_id, priority, marked_at, cause)
    select user_id, priority, marked_at, cause from dirty order by user_id
    on conflict (user_id) do update set cause = excluded.cause where false`.execute(command.db);
  const count = Number(numAffectedRows ?? 0);
  if (count + Number(again.numAffectedRows ?? 0) > 0) await wake(command.db);
  return count;
}
