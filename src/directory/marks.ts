/**
 * Dirty marks for sets: each user with the event that led to it, or every user that a condition finds, without their
 * ids travelling through this process. `markDirty` (command.ts) is the plain form.
 *
 * Law: marks are written in order of user, and before groups are touched (the order of locks: locks.ts).
 */
import type { RawBuilder } from "kysely";
import { sql } from "../store/database.ts";
import { type Command, priority, run, wake } from "./command.ts";
import { closeGate } from "./gate.ts";

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
 * Marks dirty every user for whom `condition` (SQL over `u`, the users row) holds, in one statement; then closes the gate
 * (gate.ts) and marks whom the engine has brought into the condition meanwhile: it began before what this command
 * changes, and gave people groups and accounts without knowing of it.
 *
 * @returns how many users were marked.
 */
export async function markDirtyWhere(
  command: Command,
  condition: RawBuilder<unknown>,
  urgency: number,
  cause: number | null,
): Promise<number> {
  const marked = await run(command, async (running) => {
    const found = sql`
      select u.id, ${urgency}::smallint, ${command.now()}::timestamptz, ${cause}::bigint from users u where (${condition})`;
    const { numAffectedRows } = await sql`
      insert into dirty (user_id, priority, marked_at, cause) ${found} order by u.id
      on conflict (user_id) do update set priority = least(dirty.priority, excluded.priority), cause = excluded.cause`.execute(
      running.db,
    );
    await closeGate(running);
    // With a million marks waiting this takes 1.7 s and locks none of them; marking all again took 4.5 s and locked all.
    const again = await sql`
      insert into dirty (user_id, priority, marked_at, cause)
      ${found} and not exists (select from dirty d where d.user_id = u.id) order by u.id
      on conflict (user_id) do nothing`.execute(running.db);
    const count = Number(numAffectedRows ?? 0) + Number(again.numAffectedRows ?? 0);
    if (count > 0) await wake(running.db);
    return count;
  });
  return typeof marked === "number" ? marked : 0;
}
