/**
 * Import: read a source, tell what changed, judge the whole, decide and apply each row. One path for every source.
 *
 * stage (pages, bounded memory) → compare (set-wise: an unchanged row costs nothing and dirties nobody) → guard (how many
 * would leave, before the first write) → pass (in chunks, each decided and applied in one transaction; a row that is
 * refused does not stop the rest). A source that could not be read to its end decides nothing; one that may lack rows
 * makes nobody leave.
 *
 * Killed in the middle it is simply run again: what was applied compares as unchanged.
 */
import type { RawBuilder } from "kysely";
import type { Context } from "../connectors/connector.ts";
import type { Refusal, Value } from "../core/types.ts";
import { type Command, log, run as runCommand } from "../directory/command.ts";
import { claimSession, endClaim, type SessionEnd } from "../directory/sessionTurns.ts";
import { raiseTasks } from "../directory/tasks.ts";
import { isAway, isContention, isRefusal, sql, transact, violatedUnique } from "../store/database.ts";
import type { Actor, Sourcing } from "../store/tables.ts";
import { findKept, type Kept, provesAbsence, tellKept } from "./importAbsence.ts";
import { type ChangeCounts, compareLines, finishComparing } from "./importChanges.ts";
import { settleDecisions } from "./importDecisions.ts";
import { closeClockTasks, endEarlier, voidHolds } from "./importEnds.ts";
import { compareFolded } from "./importFold.ts";
import { judgeImport, type Verdict } from "./importGuard.ts";
import {
  type Hold,
  isOfPushes,
  judgeRelease,
  keepHeld,
  keepReadSince,
  keepStage,
  keepToShown,
  markCutOff,
  peopleOfHeld,
  takeStage,
} from "./importHeld.ts";
import { loadNeeds, tellDangling } from "./importNeeds.ts";
import { passChanges } from "./importPass.ts";
import { type ImportPeople, onlyThese, people_max } from "./importPerson.ts";
import { prepareSource } from "./importPrepare.ts";
import { countOutcomes } from "./importRows.ts";
import { type Asked, heldSince, howToAsk, isConfigured, keepSince, type NextSince, nextSince } from "./importSince.ts";
import { closeStage, fillStage, node_silence_ms, openStage, reading_ms, type Staged } from "./importStage.ts";
import { settleMembers } from "./scimMembers.ts";
import { pushedSource } from "./scimSource.ts";
import { applyGroups, type GroupCounts } from "./sessionGroups.ts";
import { sessionSource } from "./sessionSource.ts";
import type { EngineApp, World } from "./world.ts";

/** `full`: whoever is missing has left. `file`: an uploaded file in place of the one configured. */
export type ImportRequest = Readonly<{
  mode: "full" | "incremental";
  actor: Actor;
  dry_run?: boolean;
  file?: string;
  /** What the source sent itself, in place of reading it. `single`: one record. `cause`: the event that started it. */
  session?: Readonly<{ id: string; single: boolean; cause: number | null }>;
  /** The held import that a person has seen and lets pass: what that one read is applied, and nothing is read anew. */
  released?: string;
  /** Only these people are read, as an incremental import reads whom it is told of. */
  people?: ImportPeople;
  /** The clock asked for it. */
  scheduled?: true;
  signal?: AbortSignal;
  onProgress?: (progress: ImportProgress) => void;
}>;

export type ImportProgress = Readonly<{
  id: string;
  phase: "reading" | "deciding" | "applying";
  done: number;
  total: number | null;
}>;

export type ImportStatus = "RUNNING" | "HELD" | "DONE" | "FAILED" | "CANCELLED";

/**
 * `counts`: outcome → rows. Applied: created, updated, linked, returned, left, outranked. Tried dry or held: create,
 * update, link, return, leave, vanish. In both: unchanged, refused, waiting, skipped; undecided, if it was stopped; kept:
 * people without a row, whom the list is not complete enough to call leavers.
 */
export type ImportSummary = Readonly<{
  id: string;
  status: ImportStatus;
  counts: Readonly<Record<string, number>>;
  complete: boolean;
  reason?: string;
}>;

/** A run under way: what every phase is given. */
export type ImportRun = Readonly<{
  world: World;
  command: Command;
  id: string;
  app_id: string;
  label: string;
  sourcing: Sourcing;
  request: ImportRequest;
  /** The source pushes over SCIM: what it said is kept, and an import goes over it again. */
  pushed: boolean;
  /** The held import whose rows are applied, in place of reading any. */
  again?: string;
  /** It is about these people of the source only; undefined: about all. */
  people?: readonly string[];
  /** Rows that came by themselves and have no stage of their own: a table of them, as SQL (scimPush.ts). */
  rows?: RawBuilder<unknown>;
}>;

/** Runs an import to its end. Refused when the app is no source or an import of it is running. */
export async function startImport(
  world: World,
  app_id: string,
  request: ImportRequest,
): Promise<ImportSummary | Refusal> {
  const run = await begin(world, app_id, request.people ? { ...request, mode: "incremental" } : request);
  if (isRefusal(run)) return run;
  const known: Known = {};
  try {
    return await proceed(run, known);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const cancelled = request.signal?.aborted === true;
    known.passing = isAway(error) || isContention(error);
    return await finish(run, known, cancelled ? "CANCELLED" : "FAILED", reason);
  } finally {
    await closeStage(world.db, run.id, known.hold?.rules !== undefined);
  }
}

/** Above every line. */
const line_max = 2_147_483_647;

/** What is known of an import so far. `passing`: what failed may well succeed the next time. `next`: for the next import. */
type Known = {
  asked?: Asked;
  next?: NextSince | undefined;
  hold?: Partial<Hold>;
  staged?: Staged;
  counts?: ChangeCounts;
  kept?: Kept;
  groups?: GroupCounts;
  passing?: boolean;
  /** Of a dry run: the guard would hold it. */
  held?: boolean;
};

async function begin(world: World, app_id: string, request: ImportRequest): Promise<ImportRun | Refusal> {
  const { rows } = await sql<{ id: string; label: string; kind: string; sourcing: Sourcing | null; status: string }>`
    select id, label, kind, sourcing, status from apps where id = ${app_id}`.execute(world.db);
  const app = rows[0];
  if (app === undefined) return { refused: `there is no app ${app_id}`, code: "not_found" };
  if (app.sourcing === null) {
    return {
      refused: `${app.label} is not a source: turn sourcing on for it first`,
      code: "invalid",
      place: "sourcing",
    };
  }
  if (app.status !== "ACTIVE") return { refused: `${app.label} is switched off: activate it first`, code: "invalid" };
  const { released } = request;
  // What a session sent waits in the session, and what was pushed is kept as it was pushed.
  const stays = released === undefined || request.session !== undefined || (await isOfPushes(world.db, released));
  const stale = stays ? undefined : await judgeRelease(world.db, app_id, released);
  if (stale !== undefined) return stale;
  const people = request.people?.ids ?? (await peopleOfHeld(world.db, released));
  if (people !== undefined && people.length > people_max) {
    return { refused: `${people.length} people are more than ${people_max} for one import of people`, code: "invalid" };
  }
  const id = await openImport(world, app_id, request, people);
  if (id === undefined) {
    return { refused: `an import of ${app.label} is running: wait for it, or cancel it`, code: "stale" };
  }
  const { session } = request;
  // Where the request came from is said of the import, not of a million people.
  const { from: _, ...actor } = request.actor;
  const base: Command = { db: world.db, now: () => world.now(), actor, cause: session?.cause ?? null };
  const cause = await log(
    { ...base, actor: request.actor },
    {
      type: "system.import.start",
      app_id,
      targets: [{ id: app_id, type: "AppInstance", name: app.label }],
      detail: {
        import: id,
        mode: request.mode,
        dry_run: request.dry_run ?? false,
        ...(session ? { session: session.id } : {}),
      },
    },
  );
  await sql`update imports set cause = ${cause} where id = ${id}`.execute(world.db);
  const run = {
    ...{ world, command: { ...base, cause }, id, app_id, label: app.label, sourcing: app.sourcing, request },
    ...{ pushed: app.kind === "scim_in", ...(stays ? {} : { again: released }), ...(people ? { people } : {}) },
  };
  await endEarlier(run);
  return run;
}

/** Notes a new import as running, and claims its session. Gives its id; undefined: something of the source runs already. */
async function openImport(
  world: World,
  app_id: string,
  request: ImportRequest,
  people: ImportRun["people"],
): Promise<string | undefined> {
  const { session } = request;
  const released = request.released !== undefined;
  const now = world.now();
  const silent_since = new Date(now.getTime() - node_silence_ms);
  const detail = JSON.stringify({ node: world.node, ...originOf(request, people) });
  try {
    const opened = await transact<string>(world.db, async (trx) => {
      // An import that had the session before has lost it by then, or the session is not given.
      const { rows } = await sql<{ id: string }>`
        insert into imports (app_id, status, mode, dry_run, cause, started_by, started_at, detail)
        select ${app_id}, 'RUNNING', ${request.mode}, ${request.dry_run ?? false}, null,
          ${JSON.stringify(request.actor)}::jsonb, ${now}::timestamptz, ${detail}::jsonb
        where not exists (
          select 1 from imports i join nodes n on n.id = i.detail->>'node'
          where i.app_id = ${app_id} and i.status = 'RUNNING' and n.seen_at > ${silent_since}::timestamptz
            and i.detail->>'session' is distinct from ${session?.id ?? ""})
        returning id`.execute(trx);
      const import_id = rows[0]?.id;
      const stale = { refused: "another runs", code: "stale" } as const;
      if (import_id === undefined || session === undefined) return import_id ?? stale;
      const running: Command & { db: typeof trx } = { db: trx, now: () => now, actor: request.actor };
      const claim = { session_id: session.id, import_id, released };
      return (await claimSession(running, claim, { now, silent_since })) ? import_id : stale;
    });
    return isRefusal(opened) ? undefined : opened;
  } catch (error) {
    if (violatedUnique(error) === "import_sessions_running") return undefined;
    throw error;
  }
}

/**
 * What an import remembers of how it began: its session, for whoever lets a held one pass; whom it is about; and whether
 * people came one by one, so that leavers among them are counted together.
 */
function originOf({ session, scheduled, people, released }: ImportRequest, ids: ImportRun["people"]): object {
  const again = released === undefined ? {} : { released: true };
  if (session !== undefined) return { session: session.id, single: session.single, ...again };
  if (ids !== undefined) return { single: true, people: ids, ...(people?.told ? { told: true } : {}), ...again };
  return scheduled === undefined ? {} : { scheduled };
}

async function sourceOf({ world, app_id, pushed, request, sourcing }: ImportRun): Promise<EngineApp> {
  const { session, file, people } = request;
  if (session) return sessionSource(world, app_id, session.id);
  const app = await world.source(app_id, file);
  const source = pushed ? await pushedSource(world, app) : app;
  return people === undefined ? source : onlyThese(source, people, sourcing.several_rows === true);
}

async function proceed(run: ImportRun, known: Known): Promise<ImportSummary> {
  const { world, request, id, app_id } = run;
  const { session, released } = request;
  const deadline = world.deadline(new Date(world.now().getTime() + reading_ms));
  const signal = request.signal ? AbortSignal.any([deadline, request.signal]) : deadline;
  const staged = run.again === undefined ? await read(run, known, signal) : await readAgain(run, known, run.again);
  if (isRefusal(staged)) return finish(run, known, "FAILED", staged.refused);
  if (run.sourcing.several_rows === true) await compareFolded(run, staged.complete);
  known.staged = staged;
  const vanished = request.mode === "full" && staged.complete;
  known.counts = await finishComparing(world.db, id, app_id, vanished, async () => {
    if (released !== undefined && session === undefined) await keepToShown(run, released);
    if (run.again !== undefined) await keepReadSince(run, run.again);
    if (released === undefined && run.pushed) await keepHeld(run);
  });
  const kept = await findKept(run, staged);
  if (kept !== undefined) known.kept = kept;
  const verdict = released === undefined ? await judgeImport(run, staged) : undefined;
  const held = verdict !== undefined && !request.dry_run;
  known.held = verdict !== undefined && request.dry_run === true;
  const note = await passChanges(run, known.counts, held || request.dry_run === true, signal);
  // Of whom the hook has said nothing is to be asked about again.
  if (note !== undefined) known.next = undefined;
  if (verdict !== undefined) await markCutOff(run, verdict.cut_off);
  const members = run.pushed && !held && !request.dry_run ? await settleMembers(run) : undefined;
  if (session && !held) known.groups = await applyGroups(run, session.id, signal);
  if (!request.dry_run) await voidHolds(run, held);
  if (held) return hold(run, known, verdict);
  if (!request.dry_run) await settleDecisions(run);
  await tellKept(run, kept, staged.complete);
  const dangling = await tellDangling(run, known.counts.arriving);
  const guarded = verdict && `it would be held: ${verdict.why}`;
  const told = [guarded, kept?.why, note, members, dangling].filter((one) => one !== undefined);
  return finish(run, known, "DONE", told.length === 0 ? undefined : told.join(". "));
}

/** Reads the source into the stage, comparing meanwhile. */
async function read(run: ImportRun, known: Known, signal: AbortSignal): Promise<Staged | Refusal> {
  const { world, request, id, app_id } = run;
  const app = await sourceOf(run);
  const ctx: Context = { signal, log: () => {}, now: () => world.now() };
  const unprepared = await prepareSource(run, app, ctx);
  if (unprepared !== undefined) return unprepared;
  await openStage(world.db, id, world.now());
  known.asked = await howToAsk(run, app);
  const staged = await fillStage(world.db, id, app, ctx, {
    needs: await loadNeeds(run),
    since: known.asked.token,
    several: run.sourcing.several_rows === true,
    onPage: (rows) => request.onProgress?.({ id, phase: "reading", done: rows, total: null }),
    onBlock: (after, to) => compareLines(world.db, id, app_id, after, to),
  });
  known.next = nextSince(run, known.asked, staged.since);
  return { ...staged, complete: await provesAbsence(run, staged) };
}

/** Compares what a held import has read with how everything is now. */
async function readAgain(run: ImportRun, known: Known, held: string): Promise<Staged> {
  const { world, request, id, app_id } = run;
  const staged = await takeStage(run, held);
  known.next = await heldSince(world.db, held);
  request.onProgress?.({ id, phase: "reading", done: staged.rows, total: staged.rows });
  await compareLines(world.db, id, app_id, 0, line_max);
  return staged;
}

/** Ends an import as held, with a task for whoever decides. */
async function hold(run: ImportRun, known: Known, { why, count }: Verdict): Promise<ImportSummary> {
  const { id, app_id, label, request } = run;
  // What a session sent waits in the session.
  known.hold = request.session ? { to_confirm: count } : await keepStage(run, count);
  await raiseTasks(run.command, [
    {
      kind: "import_held",
      title: `the import of ${label} is held: ${why}`,
      dedupe: `import:${app_id}`,
      app_id,
      detail: { import: id, reason: why },
    },
  ]);
  return finish(run, known, "HELD", why);
}

async function finish(run: ImportRun, known: Known, status: ImportStatus, reason?: string): Promise<ImportSummary> {
  const { world, id, request } = run;
  const counts = await countRows(run, known);
  const complete = (status === "DONE" || status === "HELD") && known.staged?.complete === true;
  const why = reason === undefined ? {} : { reason };
  const hold = status === "HELD" ? { ...known.hold, next_since: known.next } : {};
  const { since_at, whole } = known.asked ?? {};
  const would = known.held === true ? { would_be_held: true } : {};
  const detail = {
    complete,
    node: world.node,
    since_at,
    whole,
    ...would,
    ...why,
    ...hold,
    ...originOf(request, run.people),
  };
  await runCommand<true>(run.command, async (running) => {
    await sql`
      update imports set status = ${status}, finished_at = ${world.now()}::timestamptz, counts = ${JSON.stringify(counts)}::jsonb,
        detail = ${JSON.stringify(detail)}::jsonb where id = ${id}`.execute(running.db);
    if (status === "DONE" && known.next !== undefined) await keepSince(running, run.app_id, known.next);
    if (status === "DONE" && !request.dry_run && isConfigured(run)) await closeClockTasks(running, run);
    if (request.session) await endClaim(running, id, sessionEnd(run, known, status, reason));
    await log(running, {
      type: status === "HELD" ? "system.import.roadblock" : "system.import.complete",
      outcome: status === "DONE" || status === "HELD" ? "SUCCESS" : "FAILURE",
      reason: reason ?? null,
      app_id: run.app_id,
      targets: [{ id: run.app_id, type: "AppInstance", name: run.label }],
      detail: { import: id, ...counts } as Record<string, Value>,
    });
    return true;
  });
  return { id, status, counts, complete, ...why };
}

/** What becomes of a session whose import ended so: one that was cut off by time goes on, one that a person cancelled not. */
function sessionEnd({ request }: ImportRun, known: Known, status: ImportStatus, reason?: string): SessionEnd {
  if (status === "DONE") return { to: "COMPLETED" };
  if (status === "HELD") return { to: "held" };
  const again = status === "CANCELLED" ? request.released === undefined : known.passing === true;
  return again ? { to: "again" } : { to: "ERROR", reason: reason ?? status };
}

/** Rows by outcome: those that were written, and those that changed nothing or were not come to. */
async function countRows({ world, id }: ImportRun, known: Known): Promise<Record<string, number>> {
  const { staged, counts, kept, groups } = known;
  const written = { ...(await countOutcomes(world.db, id)), ...groups };
  if (staged === undefined || counts === undefined) return written;
  const differing = counts.arriving + counts.leaving;
  const people = Object.entries(written).filter(([outcome]) => !/^(group|member)/.test(outcome));
  const decided = people.reduce((sum, [, n]) => sum + n, 0) - staged.refused;
  const unchanged = staged.rows + counts.vanished - differing;
  const rest = { unchanged, undecided: differing - decided - (counts.renumbered ?? 0), kept: kept?.count ?? 0 };
  return { ...written, ...Object.fromEntries(Object.entries(rest).filter(([, n]) => n > 0)) };
}
