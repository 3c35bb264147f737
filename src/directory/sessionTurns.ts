/**
 * Whose turn it is: sessions of sources that were started, one at a time for each source, in the order in which they were
 * started. A claim is by the import that carries the session out, for a time; how it ends is written here, too.
 *
 * Laws: a claim is fenced by the import's id, so that one which comes back late ends nothing. Single records do not wait
 * for whole sessions (a leaver must not), nor for records that are held; whole sessions wait for all that was sent before.
 *
 * Called by engine/import.ts in the transaction that begins or ends an import, by engine/sessionRuns.ts, and by the server
 * when a person discards what is held.
 */
import type { RawBuilder } from "kysely";
import { type Database, sql } from "../store/database.ts";
import { type Command, log, type Running, run } from "./command.ts";
import { type ImportSession, sessionTarget } from "./importSessions.ts";

/** An import of a session stops in time to be sure that nothing of it is under way when another takes over. */
export const session_lease_ms = 300_000;
export const session_work_ms = 240_000;
/** A session that takes its node down, or never gets through, is given up. */
const attempts_max = 5;

/** When it is, and since when a node that has said nothing is dead. */
export type Moment = Readonly<{ now: Date; silent_since: Date }>;

/** Nobody carries out the session `s` any more. */
const free = ({ now, silent_since }: Moment) => sql`
  (s.claimed_by is null or s.claimed_until <= ${now}::timestamptz or exists (
    select from imports i join nodes n on n.id = i.detail->>'node'
    where i.id = s.claimed_by and n.seen_at <= ${silent_since}::timestamptz))`;

/** It is the turn of the session `s`. */
const isNext = (moment: Moment): RawBuilder<unknown> => sql`
  s.status = 'TRIGGERED' and not s.held and s.attempts < ${attempts_max} and ${free(moment)}
  and not exists (
    select from import_sessions o where o.app_id = s.app_id and o.claimed_by is not null and o.id <> s.id)
  and not exists (
    select from import_sessions e where e.app_id = s.app_id and e.status = 'TRIGGERED' and not (e.single and e.held)
      and (e.single or not s.single) and (e.triggered_at, e.id) < (s.triggered_at, s.id))`;

/**
 * The sessions whose turn it is; those of sources that are switched off wait. `app_id`: only what this source sent as
 * single records.
 */
export async function nextSessions(
  db: Database,
  moment: Moment,
  limit: number,
  app_id?: string,
): Promise<readonly ImportSession[]> {
  const { rows } = await sql<ImportSession>`
    select s.* from import_sessions s join apps a on a.id = s.app_id
    where ${isNext(moment)} and a.status = 'ACTIVE' and a.sourcing is not null
      and ${app_id === undefined ? sql`true` : sql`s.app_id = ${app_id} and s.single`}
    order by s.single desc, s.triggered_at, s.id limit ${limit}`.execute(db);
  return rows;
}

/**
 * Gives a session to an import, if it is its turn; `released`: a person let it pass, whatever waits. Throws the violation
 * of `import_sessions_running` when another of the source was claimed in this moment.
 */
export async function claimSession(
  running: Running,
  { session_id, import_id, released }: Readonly<{ session_id: string; import_id: string; released: boolean }>,
  moment: Moment,
): Promise<boolean> {
  const until = new Date(moment.now.getTime() + session_lease_ms);
  const { rows } = await sql`
    update import_sessions s set claimed_by = ${import_id}, claimed_until = ${until}::timestamptz, import_id = ${import_id},
      attempts = s.attempts + 1, held = false, updated_at = ${moment.now}::timestamptz
    where s.id = ${session_id} and ${released ? sql`s.status = 'TRIGGERED' and s.held` : isNext(moment)}
    returning s.id`.execute(running.db);
  return rows.length > 0;
}

/** How an import of a session ended. `again`: it did not come to its end, and is carried out anew. */
export type SessionEnd = Readonly<{ to: "COMPLETED" | "held" | "again" } | { to: "ERROR"; reason: string }>;

/** Ends the claim of an import; one that has lost it ends nothing. */
export async function endClaim(running: Running, import_id: string, end: SessionEnd): Promise<void> {
  const { rows } = await sql<{ id: string; attempts: number }>`
    update import_sessions set claimed_by = null, claimed_until = null, held = ${end.to === "held"},
      updated_at = ${running.now()}::timestamptz
    where claimed_by = ${import_id} returning id, attempts`.execute(running.db);
  const session = rows[0];
  if (session === undefined || end.to === "held") return;
  if (end.to === "again") {
    if (session.attempts >= attempts_max) await close(running, session.id, "ERROR", given_up);
    return;
  }
  await close(running, session.id, end.to, "reason" in end ? end.reason : null);
}

const given_up = `its import did not get to its end in ${attempts_max} tries: look at the imports of this source`;

async function close(
  running: Running,
  id: string,
  status: "COMPLETED" | "ERROR",
  reason: string | null,
): Promise<void> {
  await sql`
    update import_sessions set status = ${status}, reason = ${reason}, held = false, claimed_by = null, claimed_until = null,
      updated_at = ${running.now()}::timestamptz where id = ${id}`.execute(running.db);
  await sql`delete from import_session_rows where session_id = ${id}`.execute(running.db);
}

/** Gives up a session that is held: a person discarded its import. */
export async function discardSession(running: Running, import_id: string, reason: string): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    select id from import_sessions where import_id = ${import_id} and held for update`.execute(running.db);
  if (rows[0]) await close(running, rows[0].id, "ERROR", reason);
}

/** Gives up the sessions that took down every node which tried. */
export async function giveUpSessions(command: Command, moment: Moment): Promise<void> {
  await run<true>(command, async (running) => {
    const { rows } = await sql<ImportSession & { label: string }>`
      select s.*, a.label from import_sessions s join apps a on a.id = s.app_id
      where s.status = 'TRIGGERED' and not s.held and s.attempts >= ${attempts_max} and ${free(moment)}
      order by s.id for update of s skip locked`.execute(running.db);
    for (const session of rows) {
      await close(running, session.id, "ERROR", given_up);
      await log(running, {
        type: "system.import.complete",
        outcome: "FAILURE",
        reason: given_up,
        app_id: session.app_id,
        targets: sessionTarget(session, session.label),
        detail: { session: session.id },
      });
    }
    return true;
  });
}
