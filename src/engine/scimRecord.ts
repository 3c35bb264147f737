/**
 * What a push over SCIM leaves behind as an import: its row with counts, its events, its refusals, and what a guard holds.
 *
 * Law: a source has at most one import of pushes that is held; what is held later joins it, so that a person decides about
 * all of it at once, with the names in front of them.
 */
import type { Schema } from "../core/types.ts";
import { type Command, log, type Running, run as runCommand } from "../directory/command.ts";
import { userSchema } from "../directory/schemaQueries.ts";
import { newIds } from "../directory/scimResources.ts";
import { raiseTasks } from "../directory/tasks.ts";
import { type Database, sql } from "../store/database.ts";
import type { Sourcing } from "../store/tables.ts";
import { loadSourceLines } from "./company.ts";
import type { ImportRun } from "./import.ts";
import type { Lines } from "./importDecide.ts";
import { prepareSource } from "./importPrepare.ts";
import { writeOutcomes } from "./importRows.ts";
import { node_silence_ms } from "./importStage.ts";
import type { ScimSource } from "./scimSource.ts";
import type { World } from "./world.ts";

/** Somebody else must be done first. */
export class PushBusy extends Error {}

/** What every push of a source needs. */
export type Ground = Deciding & Readonly<{ run: ImportRun }>;

/** The mapping, and what users have. */
export type Deciding = Readonly<{ lines: Lines; schema: Schema }>;
type Kept = Deciding & Readonly<{ until_ms: number }>;

/** Compiling every mapping for each push would cost more than the push. */
const keep_ms = 1_000;
const kept = new WeakMap<Database, Map<string, Kept>>();

/**
 * Holds the source, so that no import of the whole reads meanwhile, and begins the import of a push. Throws PushBusy while
 * one runs.
 */
export async function beginPush(world: World, source: ScimSource, running: Running): Promise<ImportRun> {
  const { app_id, label } = source;
  const { rows } = await sql<{ sourcing: Sourcing | null }>`
    select sourcing from apps where id = ${app_id} and status = 'ACTIVE' for share`.execute(running.db);
  const sourcing = rows[0]?.sourcing;
  const silent_since = new Date(world.now().getTime() - node_silence_ms);
  const [facts] = (
    await sql<{ id: string; busy: boolean }>`
      select new_id('imp') as id, exists (
        select from imports i join nodes n on n.id = i.detail->>'node'
        where i.app_id = ${app_id} and i.status = 'RUNNING' and n.seen_at > ${silent_since}::timestamptz) as busy`.execute(
      running.db,
    )
  ).rows;
  if (sourcing == null || facts === undefined || facts.busy)
    throw new PushBusy(`${label} is being imported, or switched off`);
  const inner: World = { ...world, db: running.db };
  const request = { mode: "incremental" as const, actor: running.actor };
  return { world: inner, command: running, id: facts.id, app_id, label, sourcing, request, pushed: true };
}

/** What decides about the rows of a source, as of the last second. */
export async function decidingBy(world: World, { app_id, label }: ScimSource, command: Command): Promise<Deciding> {
  const of_database = kept.get(world.db) ?? new Map<string, Kept>();
  kept.set(world.db, of_database);
  const known = of_database.get(app_id);
  if (known !== undefined && known.until_ms > world.now().getTime()) return known;
  let lines = await loadSourceLines(world.db, app_id);
  if (lines.length === 0) {
    // Nobody has written a mapping: the first push makes the one that most sources need.
    const ctx = { signal: new AbortController().signal, log: () => {}, now: () => world.now() };
    const unprepared = await prepareSource({ world, command, app_id, label }, await world.app(app_id), ctx);
    if (unprepared !== undefined) throw new PushBusy(unprepared.refused);
    lines = await loadSourceLines(world.db, app_id);
  }
  const fresh = { lines, schema: await userSchema(world.db), until_ms: world.now().getTime() + keep_ms };
  of_database.set(app_id, fresh);
  return fresh;
}

/** Says that the import of a push begins; all that it does has this event as its cause. */
export async function startPush(
  run: ImportRun,
  running: Running,
): Promise<Readonly<{ run: ImportRun; running: Running }>> {
  const { id, app_id, label } = run;
  const cause = await log(running, {
    ...{ type: "system.import.start", app_id },
    targets: [{ id: app_id, type: "AppInstance", name: label }],
    detail: { import: id, mode: "incremental", scim: true },
  });
  const caused = { ...running, cause };
  return { run: { ...run, command: caused }, running: caused };
}

type Outcomes = readonly string[];

const countsOf = (outcomes: Outcomes) =>
  Object.fromEntries([...Map.groupBy(outcomes, (one) => one)].map(([name, some]) => [name, some.length]));

/** Ends the import of a push: its row and its event. */
export async function endPush(run: ImportRun, running: Running, outcomes: Outcomes): Promise<void> {
  if (outcomes.length > 0) await writeImport(run, running, countsOf(outcomes));
}

/** Writes the row of an import of a push, with counts by outcome, and logs it. */
export async function writeImport(
  run: ImportRun,
  running: Running,
  counts: Readonly<Record<string, number>>,
): Promise<void> {
  const now = running.now();
  const detail = { single: true, scim: true, complete: false, node: run.world.node };
  await sql`
    insert into imports (id, app_id, status, mode, counts, detail, cause, started_by, started_at, finished_at)
    values (${run.id}, ${run.app_id}, 'DONE', 'incremental', ${JSON.stringify(counts)}::jsonb, ${JSON.stringify(detail)}::jsonb,
      ${running.cause ?? null}, ${JSON.stringify(running.actor)}::jsonb, ${now}::timestamptz, ${now}::timestamptz)`.execute(
    running.db,
  );
  await log(running, {
    type: "system.import.complete",
    app_id: run.app_id,
    targets: [{ id: run.app_id, type: "AppInstance", name: run.label }],
    detail: { import: run.id, scim: true, ...counts },
  });
}

type Held = Readonly<{ external_id: string; user_id?: string; outcome: string; place?: string }>;

/** Notes what the guard holds, and asks a person to decide. */
export async function holdPush(run: ImportRun, running: Running, why: string, given: readonly Held[]): Promise<void> {
  const { app_id, label } = run;
  const now = running.now();
  const { rows: open } = await sql<{ id: string; line: number }>`
    select i.id, coalesce((select max(r.line) from import_rows r where r.import_id = i.id), 0) as line
    from imports i where i.app_id = ${app_id} and i.status = 'HELD' and i.detail ? 'scim' for update`.execute(
    running.db,
  );
  const id = open[0]?.id ?? (await newIds(running.db, "imp", 1))[0] ?? "";
  const rows = await notHeldYet(running, id, given);
  if (rows.length === 0) return;
  const counts = countsOf(rows.map(({ outcome }) => outcome));
  if (open.length === 0) {
    const detail = { scim: true, complete: false, node: run.world.node, reason: why, to_confirm: rows.length };
    await sql`
      insert into imports (id, app_id, status, mode, counts, detail, started_by, started_at, finished_at)
      values (${id}, ${app_id}, 'HELD', 'incremental', ${JSON.stringify(counts)}::jsonb, ${JSON.stringify(detail)}::jsonb,
        ${JSON.stringify(running.actor)}::jsonb, ${now}::timestamptz, ${now}::timestamptz)`.execute(running.db);
    await log(running, {
      ...{ type: "system.import.roadblock", reason: why, app_id },
      targets: [{ id: app_id, type: "AppInstance", name: label }],
      detail: { import: id, scim: true },
    });
    await raiseTasks(running, [
      {
        ...{ kind: "import_held", title: `what ${label} pushes is held: ${why}`, dedupe: `import:${app_id}`, app_id },
        detail: { import: id, reason: why },
      },
    ]);
  } else {
    await sql`
      update imports i set counts = (
        select jsonb_object_agg(k, coalesce((i.counts->>k)::int, 0) + coalesce((c.more->>k)::int, 0))
        from (select ${JSON.stringify(counts)}::jsonb as more) c,
          lateral (select jsonb_object_keys(i.counts || c.more) as k) keys),
        detail = i.detail || jsonb_build_object('to_confirm', coalesce((i.detail->>'to_confirm')::int, 0) + ${rows.length}::int)
      where i.id = ${id}`.execute(running.db);
  }
  const after = (open[0]?.line ?? 0) + 1;
  await writeOutcomes(
    running.db,
    id,
    rows.map(({ external_id, user_id, outcome, place }, n) => ({
      ...{ line: after + n, external_id, outcome, place: place ?? external_id },
      ...(user_id === undefined ? {} : { user_id }),
    })),
  );
}

/** Clients say again and again what is not done: who is in the hold already is not counted twice. */
async function notHeldYet(running: Running, import_id: string, given: readonly Held[]): Promise<readonly Held[]> {
  const { rows } = await sql<{ key: string }>`
    select concat_ws(' ', r.outcome, r.detail->>'place') as key from import_rows r
    where r.import_id = ${import_id} and r.external_id = any(${given.map(({ external_id }) => external_id)}::text[])`.execute(
    running.db,
  );
  const held = new Set(rows.map(({ key }) => key));
  return given.filter((one) => !held.has(`${one.outcome} ${one.place ?? one.external_id}`));
}

/** Leaves a record of rows that an import refused, which nothing else keeps. */
export async function noteRefused(
  command: Command,
  { app_id, label }: ScimSource,
  rows: readonly Readonly<{ name: string; why: string }>[],
): Promise<void> {
  await runCommand<true>(command, async (running) => {
    const [id = ""] = await newIds(running.db, "imp", 1);
    const now = running.now();
    await sql`
      insert into imports (id, app_id, status, mode, counts, detail, started_by, started_at, finished_at)
      values (${id}, ${app_id}, 'DONE', 'incremental', ${JSON.stringify({ refused: rows.length })}::jsonb,
        '{"single": true, "scim": true, "complete": false}', ${JSON.stringify(running.actor)}::jsonb, ${now}::timestamptz,
        ${now}::timestamptz)`.execute(running.db);
    await writeOutcomes(
      running.db,
      id,
      rows.map(({ name, why }, line) => ({
        line,
        external_id: name,
        outcome: "refused",
        detail: { place: name, reason: why },
      })),
    );
    await log(running, {
      ...{ type: "system.import.complete", outcome: "FAILURE", reason: rows[0]?.why ?? null, app_id },
      targets: [{ id: app_id, type: "AppInstance", name: label }],
      detail: { import: id, scim: true, refused: rows.length },
    });
    return true;
  });
}
