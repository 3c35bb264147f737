/**
 * A command is one transaction: the rows, the log and the dirty mark change together or not at all. Every function of
 * this folder that writes takes a `Command` first and works on a set where a set makes sense; one is a set of one.
 */
import type { Refusal } from "../core/types.ts";
import { type Database, sql, type Transaction, transact } from "../store/database.ts";
import { appendEvent, appendEvents, type NewEvent } from "../store/log.ts";
import type { Actor } from "../store/tables.ts";

/** What every command is given: where to write, when it is, who asks, and the event that led to it. */
export type Command = Readonly<{ db: Database; now: () => Date; actor: Actor; cause?: number | null }>;

/** The same command inside its transaction. */
export type Running = Command & Readonly<{ db: Transaction }>;

/** Runs a command's work in one transaction; a refusal rolls it back. */
export function run<T>(command: Command, work: (running: Running) => Promise<T | Refusal>): Promise<T | Refusal> {
  return transact(command.db, (trx) => work({ ...command, db: trx }));
}

/** Leavers before people's own changes before waves before scans (design: order of work). Smaller is first. */
export const priority = { leaver: 0, change: 10, wave: 20, scan: 30 } as const;

/** Logs an event of this command; gives its sequence number, the cause of what follows. */
export function log(command: Command, event: Omit<NewEvent, "actor" | "cause">): Promise<number> {
  return appendEvent(command.db, command.now(), { actor: command.actor, cause: command.cause ?? null, ...event });
}

/** Logs many events of this command in one statement, in order. */
export function logAll(
  command: Command,
  events: readonly (Omit<NewEvent, "actor" | "cause"> & { cause?: number | null })[],
): Promise<number[]> {
  return appendEvents(
    command.db,
    command.now(),
    events.map((event) => ({ actor: command.actor, cause: command.cause ?? null, ...event })),
  );
}

/**
 * Marks users dirty: their groups and accounts are computed again. Marking twice keeps the more urgent priority and the
 * first time. Ordered by id, so that two bulk commands never lock in opposite orders. Wakes the engine once.
 */
export async function markDirty(
  command: Command,
  user_ids: readonly string[],
  urgency: number = priority.change,
  cause: number | null = command.cause ?? null,
): Promise<void> {
  if (user_ids.length === 0) return;
  await sql`
    insert into dirty (user_id, priority, marked_at, cause)
    select id, ${urgency}::smallint, ${command.now()}::timestamptz, ${cause}::bigint
    from unnest(${[...user_ids]}::text[]) as id order by id
    on conflict (user_id) do update set priority = least(dirty.priority, excluded.priority), cause = excluded.cause`.execute(
    command.db,
  );
  await wake(command.db);
}

/** What engines listen to. A payload says that only accounts are due, and which node made them so; without one, people may be. */
export const work_channel = "tenure_work";

/** Wakes sleeping engines when the transaction commits, as part of a statement. Only a nudge: the loop polls all the same. */
export const nudge = sql`select pg_notify(${work_channel}, '')`;

/** The nudge as a statement. */
export async function wake(db: Database): Promise<void> {
  await nudge.execute(db);
}
