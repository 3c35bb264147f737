/**
 * What is known of the deliveries of event hooks: how each hook stands, every attempt, and setting a hook back to a place
 * in the log so that it is told again from there.
 *
 * Law: a replay sets the place and nothing else; whoever is delivering at that moment finds its claim gone.
 */
import type { Selectable } from "kysely";
import type { Refusal } from "../core/types.ts";
import type { EventHookDeliveryRow } from "../store/apiTables.ts";
import { type Database, sql } from "../store/database.ts";
import { type Command, log, run } from "./command.ts";
import { eventHookTarget, getEventHook, noSuchHook } from "./eventHooks.ts";

export type EventHookDelivery = Selectable<EventHookDeliveryRow>;

/** How a hook stands. `place`: through which event of the log it has been told; null: it has no place. */
export type EventHookState = Readonly<{
  id: string;
  name: string;
  status: "ACTIVE" | "INACTIVE";
  verified: boolean;
  url: string;
  state: "inactive" | "unverified" | "delivering" | "retrying" | "failing";
  attempts: number;
  failing_since: Date | null;
  next_attempt_at: Date | null;
  delivered_at: Date | null;
  error: string | null;
}>;

/** Every hook and how it stands. An address is shown without its query, which may hold a key. */
export async function listEventHookStates(db: Database): Promise<readonly EventHookState[]> {
  const { rows } = await sql<EventHookState>`
    select h.id, h.name, h.status, h.verified_at is not null as verified, split_part(h.url, '?', 1) as url,
      case when h.status = 'INACTIVE' then 'inactive' when h.verified_at is null then 'unverified'
        when p.told_at is not null then 'failing' when p.attempts > 0 then 'retrying' else 'delivering' end as state,
      coalesce(p.attempts, 0) as attempts, p.failing_since, case when p.attempts > 0 then p.due_at end as next_attempt_at,
      p.delivered_at, p.error
    from event_hooks h left join event_hook_places p on p.hook_id = h.id order by h.id`.execute(db);
  return rows;
}

/** Attempts of a hook, the newest first. */
export function listEventHookDeliveries(
  db: Database,
  hook_id: string,
  choice: Readonly<{ outcome?: EventHookDelivery["outcome"]; after?: string; limit: number }>,
): Promise<readonly EventHookDelivery[]> {
  let query = db.selectFrom("event_hook_deliveries").selectAll().where("hook_id", "=", hook_id);
  if (choice.outcome !== undefined) query = query.where("outcome", "=", choice.outcome);
  if (choice.after !== undefined) query = query.where("id", "<", choice.after);
  return query.orderBy("id", "desc").limit(choice.limit).execute();
}

export function getEventHookDelivery(
  db: Database,
  hook_id: string,
  id: string,
): Promise<EventHookDelivery | undefined> {
  return db
    .selectFrom("event_hook_deliveries")
    .selectAll()
    .where("id", "=", id)
    .where("hook_id", "=", hook_id)
    .executeTakeFirst();
}

/**
 * Sets a hook to an event of the log, by its number, or to the first one of a time on: from there it is told, again or for
 * the first time. A place further on than the present one passes over what lies between. Gives the number.
 */
export function replayEventHook(
  command: Command,
  id: string,
  from: Readonly<{ seq: number } | { at: Date }>,
): Promise<Readonly<{ from_seq: number }> | Refusal> {
  return run<Readonly<{ from_seq: number }>>(command, async (running) => {
    const hook = await getEventHook(running.db, id);
    if (hook === undefined) return noSuchHook(id);
    const first =
      "seq" in from
        ? sql`${from.seq}::bigint`
        : sql`coalesce((select min(seq) from events where published_at >= ${from.at}::timestamptz), (select max(seq) + 1 from events), 1)`;
    // Everything visible now is to be read, wherever it lies; what commits later comes after it, as ever.
    const { rows } = await sql<{ from_seq: number }>`
      update event_hook_places set seen = '1:1:', reading = pg_current_snapshot(), seq = ${first} - 1,
        last_seq = coalesce((select max(seq) from events), 0), due_at = ${running.now()}::timestamptz, attempts = 0,
        claimed_by = null, claimed_until = null
      where hook_id = ${id} returning seq + 1 as from_seq`.execute(running.db);
    const [moved] = rows;
    if (moved === undefined || hook.verified_at === null) {
      const refused = `the event hook "${hook.name}" is ${hook.status === "ACTIVE" ? "not verified: verify it" : "inactive: activate it"} first`;
      return { refused, code: "invalid", place: "eventHook" };
    }
    const from_seq = Number(moved.from_seq);
    await log(running, { type: "event_hook.replay", targets: [eventHookTarget(hook)], detail: { from_seq } });
    return { from_seq };
  });
}
