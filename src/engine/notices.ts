/**
 * Reads the people whom sources told of: each is asked for in its source, by the import that reads people on demand
 * (importPerson.ts). A notification says only whom to look at; what has become of them, the source says.
 *
 * Laws:
 * - one node reads a source's at a time, and never beside another import of it; a node that dies has its turn taken.
 * - who is told of again while being read is read once more.
 * - what fails is tried again with growing waits, each person's own; a source that cannot be read at all waits for minutes
 *   at most, because what is wrong may be wrong with one person alone. Nobody is given up; after some tries it is a task.
 * - a source that says "not before" is not asked before.
 *
 * Called by loop.ts and, at the start of a node, main/serve.ts.
 */
import { backoff_ms } from "../core/faults.ts";
import type { Command } from "../directory/command.ts";
import { notice_settle_ms } from "../directory/sourceNotices.ts";
import { closeTasksFor, raiseTasks } from "../directory/tasks.ts";
import { type Database, isRefusal, sql, transact } from "../store/database.ts";
import { system } from "../store/log.ts";
import { startImport } from "./import.ts";
import { goneTask } from "./importAbsence.ts";
import { people_max } from "./importPerson.ts";
import { node_silence_ms } from "./importStage.ts";
import type { World } from "./world.ts";

/** A source whose turn it is. */
export type ToldSource = Readonly<{ app_id: string; label: string }>;

/** A source that failed is asked again after this at the latest: one person who cannot be read holds up nobody for long. */
const source_wait_max_ms = 300_000;
/** After so many tries in vain it is a person's business, too. */
const tries_before_task = 5;

/** The sources that told of people who are due, and are this node's to read now. */
export async function claimNotices(world: World): Promise<readonly ToldSource[]> {
  const now = world.now();
  const silent_since = new Date(now.getTime() - node_silence_ms);
  const { rows } = await sql<ToldSource>`
    update source_notice_turns t set node = ${world.node}
    from apps a
    where a.id = t.app_id and a.status = 'ACTIVE' and a.sourcing is not null
      and (t.due_at is null or t.due_at <= ${now}::timestamptz)
      and (t.node is null
        or (t.node <> ${world.node} and not exists (
          select from nodes n where n.id = t.node and n.seen_at > ${silent_since}::timestamptz)))
      and exists (select from source_notices n where n.app_id = t.app_id and n.due_at <= ${now}::timestamptz)
    returning t.app_id, a.label`.execute(world.db);
  return rows;
}

/** Reads all who are due of a source that was claimed, and gives the turn back. `signal`: the node ends. */
export async function readTold(world: World, source: ToldSource, signal: AbortSignal): Promise<void> {
  try {
    while (!signal.aborted && (await readSome(world, source, signal)));
  } finally {
    await sql`
      update source_notice_turns set node = null where app_id = ${source.app_id} and node = ${world.node}`.execute(
      world.db,
    );
  }
}

type Notice = Readonly<{ external_id: string; told: string; attempts: number }>;
type Unread = Readonly<{ reason: string; retry_at: Date | undefined }>;

/** Reads the next people in one import. Gives whether to go on. */
async function readSome(world: World, { app_id, label }: ToldSource, signal: AbortSignal): Promise<boolean> {
  // Whoever failed before comes last: what is wrong with one is not to be found first with everyone.
  const { rows } = await sql<Notice>`
    select external_id, told, attempts from source_notices
    where app_id = ${app_id} and due_at <= ${world.now()}::timestamptz
    order by attempts, due_at, external_id limit ${people_max}`.execute(world.db);
  if (rows.length === 0) return false;
  const unread = new Map<string, Unread>();
  const gone: string[] = [];
  const people = {
    ids: rows.map(({ external_id }) => external_id),
    told: true as const,
    onUnread: (id: string, reason: string, retry_at?: Date) => void unread.set(id, { reason, retry_at }),
    onGone: (id: string) => void gone.push(id),
  };
  const ended = await startImport(world, app_id, { mode: "incremental", actor: system, people, signal });
  if (signal.aborted) return false;
  const not_before = [...unread.values()].find(({ retry_at }) => retry_at !== undefined)?.retry_at;
  const runs_already = isRefusal(ended) && ended.code === "stale";
  if (runs_already) {
    await putOff(world, app_id, { at: new Date(world.now().getTime() + notice_settle_ms) });
    return false;
  }
  const failed = isRefusal(ended) || ended.status === "FAILED" || ended.status === "CANCELLED";
  if (failed) {
    const problem = (isRefusal(ended) ? ended.refused : ended.reason) ?? "the import failed";
    await noteFailures(world, app_id, rows, unread);
    const attempts = await putOff(world, app_id, { at: not_before, problem });
    if (not_before === undefined && attempts >= tries_before_task) await raise(world, { app_id, label }, problem);
    return false;
  }
  await settle(world, app_id, rows, unread);
  await tellGone(world, { app_id, label }, gone);
  await tellStuck(world, { app_id, label });
  if (not_before !== undefined) await putOff(world, app_id, { at: not_before });
  return not_before === undefined;
}

/** Puts a source's next turn off: to a moment, or for a while that grows with each failure. Gives how often it failed. */
async function putOff(
  world: World,
  app_id: string,
  { at, problem }: Readonly<{ at: Date | undefined; problem?: string }>,
): Promise<number> {
  const { rows } = await sql<{ attempts: number }>`
    select attempts from source_notice_turns where app_id = ${app_id}`.execute(world.db);
  // A source that says when is not failing.
  const attempts = (rows[0]?.attempts ?? 0) + (at === undefined ? 1 : 0);
  const wait_ms = Math.min(source_wait_max_ms, backoff_ms(attempts, world.random()));
  const due_at = at ?? new Date(world.now().getTime() + wait_ms);
  await sql`
    update source_notice_turns set due_at = ${due_at}::timestamptz, attempts = ${attempts},
      problem = coalesce(${problem ?? null}, problem) where app_id = ${app_id}`.execute(world.db);
  return attempts;
}

/** Notes what became of those who were to be read: done, to be read again, or failed. The source answers. */
async function settle(
  world: World,
  app_id: string,
  rows: readonly Notice[],
  unread: ReadonlyMap<string, Unread>,
): Promise<void> {
  const again_at = new Date(world.now().getTime() + notice_settle_ms);
  const done = rows.filter(({ external_id }) => !unread.has(external_id));
  const pairs = sql`rows from (unnest(${done.map(({ external_id }) => external_id)}::text[]),
    unnest(${done.map(({ told }) => String(told))}::bigint[])) as d(external_id, told)`;
  await transact<true>(world.db, async (trx) => {
    // In the line of those who tell (sourceNotices.ts): nobody is told of again between the two statements.
    await sql`
      update source_notice_turns set attempts = 0, problem = null, due_at = null where app_id = ${app_id}`.execute(trx);
    await sql`
      delete from source_notices n using ${pairs}
      where n.app_id = ${app_id} and n.external_id = d.external_id and n.told = d.told`.execute(trx);
    await sql`
      update source_notices n set attempts = 0, problem = null, due_at = ${again_at}::timestamptz
      from ${pairs} where n.app_id = ${app_id} and n.external_id = d.external_id`.execute(trx);
    return true;
  });
  await noteFailures(world, app_id, rows, unread);
}

/** Each who failed is tried again by itself, later each time. */
async function noteFailures(
  world: World,
  app_id: string,
  rows: readonly Notice[],
  unread: ReadonlyMap<string, Unread>,
): Promise<void> {
  const now = world.now();
  const failed = rows.flatMap(({ external_id, attempts }) => {
    const { reason, retry_at } = unread.get(external_id) ?? {};
    if (reason === undefined || retry_at !== undefined) return [];
    const at = new Date(now.getTime() + backoff_ms(attempts + 1, world.random()));
    return [{ external_id, problem: reason.slice(0, 1_000), at: at.toISOString() }];
  });
  if (failed.length === 0) return;
  await sql`
    update source_notices n set attempts = n.attempts + 1, problem = f.problem, due_at = f.at
    from jsonb_to_recordset(${JSON.stringify(failed)}::jsonb) as f(external_id text, problem text, at timestamptz)
    where n.app_id = ${app_id} and n.external_id = f.external_id`.execute(world.db);
}

const commandOf = (world: World): Command => ({ db: world.db, now: () => world.now(), actor: system });
const dedupeOf = (app_id: string) => `notices:${app_id}`;

async function raise(world: World, { app_id, label }: ToldSource, problem: string, who = "the people"): Promise<void> {
  await raiseTasks(commandOf(world), [
    {
      kind: "import_failed",
      title: `${who} that ${label} told of cannot be read: ${problem}`,
      dedupe: dedupeOf(app_id),
      app_id,
      detail: { message: problem },
    },
  ]);
}

/** Makes a task of people who could not be read for long, or closes it when there are none. */
async function tellStuck(world: World, source: ToldSource): Promise<void> {
  const { app_id } = source;
  const { rows } = await sql<{ n: number; first: string | null; problem: string | null }>`
    select count(*)::int as n, min(external_id) as first, (array_agg(problem order by external_id))[1] as problem
    from source_notices where app_id = ${app_id} and attempts >= ${tries_before_task}`.execute(world.db);
  const { n = 0, first, problem } = rows[0] ?? {};
  if (n > 0) return raise(world, source, `${first}: ${problem}`, n === 1 ? "1 person" : `${n} people`);
  const note = "those whom it told of could be read";
  await closeTasksFor(commandOf(world), { dedupe: [dedupeOf(app_id)], note });
}

/** Makes a task of people who work here and of whom their source has no record, for a person or a full import to decide. */
async function tellGone(world: World, { app_id, label }: ToldSource, gone: readonly string[]): Promise<void> {
  if (gone.length === 0) return;
  const { rows } = await sql<{ login: string }>`
    select u.login from accounts a join users u on u.id = a.user_id
    where a.app_id = ${app_id} and a.external_id = any(${[...gone]}::text[]) and (a.have->>'enabled')::boolean
      and u.status not in ('DEPROVISIONED', 'SUSPENDED') order by u.login`.execute(world.db);
  const [first] = rows;
  if (first === undefined) return;
  const who = rows.length === 1 ? first.login : `${first.login} and ${rows.length - 1} more`;
  const why = `${label} told of ${who} and has no record any more: import it whole, which lets whoever is gone leave`;
  await raiseTasks(commandOf(world), [
    {
      ...{ kind: "import_row", title: why, dedupe: goneTask(app_id), app_id },
      detail: { people: rows.map(({ login }) => login).slice(0, people_max), message: why },
    },
  ]);
}

/** The nodes whose turn it is noted to be. */
export async function nodesOfNotices(db: Database): Promise<readonly string[]> {
  const { rows } = await sql<{ node: string }>`
    select distinct node from source_notice_turns where node is not null`.execute(db);
  return rows.map(({ node }) => node);
}

/** Takes the turns of nodes that are known to have ended. */
export async function freeTurns(db: Database, nodes: readonly string[]): Promise<void> {
  await sql`update source_notice_turns set node = null where node = any(${[...nodes]}::text[])`.execute(db);
}
