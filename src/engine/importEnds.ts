/**
 * Ends that an import does not come to by itself: its node died while it ran, or it was held and a newer import of the
 * same source has been carried out since. What it would do is then not what the source says any more.
 *
 * Called by import.ts and, for imports whose source is not read again, by schedule.ts and, at the start of a node, serve.ts.
 */
import type { RawBuilder } from "kysely";
import { clockTasksSettledBy } from "../directory/appHealth.ts";
import { type Command, logAll, type Running } from "../directory/command.ts";
import { closeTasksFor } from "../directory/tasks.ts";
import { type Database, sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { node_silence_ms, reading_ms } from "./importStage.ts";

/** An import that the clock asked for. */
export type Turn = Readonly<{ app_id: string; mode: "full" | "incremental" }>;

const stopped = "the node that ran it stopped; what it had applied stays";

type Forgotten = Readonly<{
  id: string;
  app_id: string;
  label: string;
  cause: string | null;
  scheduled?: boolean;
  mode: Turn["mode"];
}>;

/**
 * Ends the imports that nobody runs any more, each with its event. A node that says nothing of itself (it has no engine)
 * is given as long as a source may be read. Gives the turns of those that the clock had asked for.
 */
export function endForgotten(command: Command): Promise<readonly Turn[]> {
  const now = command.now();
  const [silent, long_ago] = [new Date(now.getTime() - node_silence_ms), new Date(now.getTime() - reading_ms)];
  return endRunning(
    command,
    sql`coalesce(n.seen_at <= ${silent}::timestamptz, r.started_at <= ${long_ago}::timestamptz)`,
  );
}

/** The nodes that imports are noted to run on. What a session sent has a turn of its own (directory/sessionTurns.ts). */
export async function nodesOfImports(db: Database): Promise<readonly string[]> {
  const { rows } = await sql<{ node: string }>`
    select distinct detail->>'node' as node from imports
    where status = 'RUNNING' and detail ? 'node' and not detail ? 'session'`.execute(db);
  return rows.map(({ node }) => node);
}

/** Ends the imports of nodes that are known to have ended. Gives the turns of those that the clock had asked for. */
export function endImportsOfNodes(command: Command, nodes: readonly string[]): Promise<readonly Turn[]> {
  return endRunning(command, sql`r.detail->>'node' = any(${[...nodes]}::text[]) and not r.detail ? 'session'`);
}

/** `which`: of the import `r` and its node `n`. */
async function endRunning(command: Command, which: RawBuilder<unknown>): Promise<readonly Turn[]> {
  const { rows } = await sql<Forgotten>`
    update imports i set status = 'FAILED', finished_at = ${command.now()}::timestamptz,
      detail = i.detail || ${JSON.stringify({ reason: stopped })}::jsonb
    from apps a, imports r left join nodes n on n.id = r.detail->>'node'
    where r.id = i.id and i.status = 'RUNNING' and a.id = i.app_id and ${which}
    returning i.id, i.app_id, a.label, i.cause, i.mode, (i.detail->>'scheduled')::boolean as scheduled`.execute(
    command.db,
  );
  await logEnds(command, rows);
  return rows.flatMap(({ app_id, mode, scheduled }) => (scheduled === true ? [{ app_id, mode }] : []));
}

/** Ends what else is noted as running of a run's source: the run was let in because no living node runs it. */
export async function endEarlier({ command, id, app_id }: ImportRun): Promise<void> {
  const { rows } = await sql<Forgotten>`
    update imports i set status = 'FAILED', finished_at = ${command.now()}::timestamptz,
      detail = i.detail || ${JSON.stringify({ reason: stopped })}::jsonb
    from apps a where i.app_id = ${app_id} and i.status = 'RUNNING' and i.id <> ${id} and a.id = i.app_id
    returning i.id, i.app_id, a.label, i.cause, i.mode`.execute(command.db);
  await logEnds(command, rows);
}

async function logEnds(command: Command, ends: readonly Forgotten[]): Promise<void> {
  await logAll(
    command,
    ends.map(({ id, app_id, label, cause }) => ({
      type: "system.import.complete",
      outcome: "FAILURE" as const,
      reason: stopped,
      app_id,
      cause: cause === null ? null : Number(cause),
      targets: [{ id: app_id, type: "AppInstance", name: label }],
      detail: { import: id },
    })),
  );
}

/**
 * Voids the holds of a source that a newer import has overtaken; not those of what it sent by itself, which no later
 * import tells again. One of single people overtakes what is held of the same people and nothing else. `again`: the newer
 * one is held itself, and the task is its own.
 */
export async function voidHolds({ command, id, app_id, people }: ImportRun, again: boolean): Promise<void> {
  const ended = { ended: "overtaken", ended_by: id, ended_at: command.now().toISOString() };
  const theirs = people === undefined ? sql`true` : sql`detail->'people' <@ ${JSON.stringify(people)}::jsonb`;
  const { rows } = await sql`
    update imports set status = 'CANCELLED', detail = detail || ${JSON.stringify(ended)}::jsonb
    where app_id = ${app_id} and status = 'HELD' and id < ${id} and ${theirs}
      and not detail ?| array['session', 'scim'] returning id`.execute(command.db);
  if (rows.length === 0 || again) return;
  const held = await sql`select from imports where app_id = ${app_id} and status = 'HELD' limit 1`.execute(command.db);
  // One task tells of all that is held of a source.
  if (held.rows.length > 0) return;
  await closeTasksFor(command, { dedupe: [`import:${app_id}`], note: `a newer import (${id}) was carried out` });
}

/** What the clock failed at has been done now, whoever asked for it. */
export async function closeClockTasks(running: Running, { app_id, request }: ImportRun): Promise<void> {
  const dedupe = clockTasksSettledBy(app_id, request.mode);
  await closeTasksFor(running, { dedupe, note: "the source has been read since" });
}
