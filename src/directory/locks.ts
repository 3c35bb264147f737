/**
 * Locks on people, so that two commands, or a command and the engine, never work on one person's groups, status or
 * profile at the same moment: what is read after the lock is what there is, and the log tells beginnings and ends in the
 * order in which they happened.
 *
 * Law, the order of locks: dirty marks, users, the gate (gate.ts), membership grants, groups, pushed groups; each by id.
 * Desire alone is in the gate from the beginning, and waits for no marks. The engine holds the
 * marks of a batch while it writes grants of rules, so everyone takes the marks first. What deadlocks remain (a bulk mark
 * between two steps) are rare and tried again by `transact`.
 */
import { type Database, sql } from "../store/database.ts";
import type { StoredUser } from "./userQueries.ts";

/** Locks people; gives their rows by id, without those who are not there. */
export async function lockUsers(db: Database, ids: readonly string[]): Promise<ReadonlyMap<string, StoredUser>> {
  await lockMarks(db, ids);
  const { rows } = await sql<StoredUser>`
    select * from users where id = any(${[...new Set(ids)]}::text[]) order by id for no key update`.execute(db);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Locks people whose rows are not needed; gives the ids of those who are there. `marked`: their marks are held already. */
export async function lockPeople(db: Database, ids: readonly string[], marked = false): Promise<ReadonlySet<string>> {
  if (!marked) await lockMarks(db, ids);
  const { rows } = await sql<{ id: string }>`
    select id from users where id = any(${[...new Set(ids)]}::text[]) order by id for no key update`.execute(db);
  return new Set(rows.map((row) => row.id));
}

/** Waits until the engine is through with these people. */
async function lockMarks(db: Database, ids: readonly string[]): Promise<void> {
  await sql`
    select user_id from dirty where user_id = any(${[...new Set(ids)]}::text[]) order by user_id for update`.execute(
    db,
  );
}
