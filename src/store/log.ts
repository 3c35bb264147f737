/**
 * The log: append-only, one event per attempt, each with the event that caused it, so that a chain leads from an HTTP
 * call back to the HR row, rule or administrator. Okta's event names where one exists (okta-lifecycle 11).
 */
import type { Value } from "../core/types.ts";
import { type Database, sql } from "./database.ts";
import type { Actor, Target } from "./tables.ts";

/** An event to append. `cause` is the sequence number of the event that led to it. */
export type NewEvent = Readonly<{
  type: string;
  actor: Actor;
  targets?: readonly Target[];
  outcome?: "SUCCESS" | "FAILURE" | "SKIPPED" | "DEFERRED";
  severity?: "DEBUG" | "INFO" | "WARN" | "ERROR";
  reason?: string | null;
  user_id?: string | null;
  app_id?: string | null;
  group_id?: string | null;
  cause?: number | null;
  detail?: Readonly<Record<string, Value>>;
}>;

/** The actor of everything the engine does by itself. */
export const system: Actor = { id: "system", type: "SystemPrincipal", name: "Tenure" };

/** Appends events in order, in one statement; gives their sequence numbers. Call it in the change's own transaction. */
export async function appendEvents(db: Database, at: Date, events: readonly NewEvent[]): Promise<number[]> {
  if (events.length === 0) return [];
  const { rows } = await sql<{ seq: number }>`
    insert into events (published_at, type, severity, outcome, reason, actor, targets, user_id, app_id, group_id, cause, detail)
    select ${at}::timestamptz, e.type, coalesce(e.severity, case e.outcome when 'FAILURE' then 'WARN' else 'INFO' end),
           coalesce(e.outcome, 'SUCCESS'), e.reason, e.actor, coalesce(e.targets, '[]'), e.user_id, e.app_id, e.group_id,
           e.cause, coalesce(e.detail, '{}')
    from rows from (jsonb_to_recordset(${JSON.stringify(events)}::jsonb) as
      (type text, severity text, outcome text, reason text, actor jsonb, targets jsonb, user_id text, app_id text,
       group_id text, cause bigint, detail jsonb)) with ordinality as
      e(type, severity, outcome, reason, actor, targets, user_id, app_id, group_id, cause, detail, n)
    order by e.n
    returning seq`.execute(db);
  return rows.map((row) => Number(row.seq));
}

/** Appends one event; gives its sequence number. */
export async function appendEvent(db: Database, at: Date, event: NewEvent): Promise<number> {
  const [seq] = await appendEvents(db, at, [event]);
  return seq ?? 0;
}
