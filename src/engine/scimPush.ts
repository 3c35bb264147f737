/**
 * A push of people over SCIM: what the source says now is written down, and each row that differs is an import of one row:
 * matched, sourced, dated, judged by the guard and logged as any other. Pushes that come together are done together, in one
 * transaction, each with an answer of its own.
 *
 * Laws:
 * - the resource is what the source said; what became of the person is the import's business. A person who waits for a
 *   match, is on hold, or whose leave a guard holds, is answered as pushed.
 * - a row that the import refuses is not kept, and its caller is told why;
 * - one of several who want the same name gets it.
 *
 * Called by server/scim/queue.ts.
 */
import { isDeepStrictEqual } from "node:util";
import type { Judged, ScimFault } from "../core/scim/fault.ts";
import type { Stored } from "../core/scim/values.ts";
import type { Have } from "../core/types.ts";
import { type Command, priority, type Running, run as runCommand } from "../directory/command.ts";
import {
  buryUsers,
  insertResources,
  lockResources,
  newIds,
  reviveUsers,
  type ScimRow,
  updateResources,
} from "../directory/scimResources.ts";
import { isRefusal, sql } from "../store/database.ts";
import type { Actor } from "../store/tables.ts";
import type { HookEvent } from "./callHook.ts";
import type { ImportRun } from "./import.ts";
import type { Rivals } from "./importAlike.ts";
import { arrive, leave, tellMerged } from "./importApply.ts";
import type { ChangedRow, LeavingRow } from "./importChanges.ts";
import { type DecidedRow, decideChunk, prepareChunk } from "./importDecide.ts";
import { hasDecisions, settleDecisions } from "./importDecisions.ts";
import { judgeLeavers } from "./importGuard.ts";
import { askImportHook, openImportHook } from "./importHook.ts";
import { matchingOf } from "./importMatch.ts";
import type { ImportPlan } from "./importPass.ts";
import { type Applied, recordArrivals, recordLeavers } from "./importRecord.ts";
import { answered, askNow, type HookAnswers, Unasked } from "./scimHook.ts";
import { givePending, takeUnsaid } from "./scimMembers.ts";
import {
  beginPush,
  type Deciding,
  decidingBy,
  endPush,
  type Ground,
  holdPush,
  noteRefused,
  startPush,
} from "./scimRecord.ts";
import { flattened, type ScimSource } from "./scimSource.ts";
import type { World } from "./world.ts";

/** `match`: the version that the client knows, or any (null). `change` gives the resource as it is to be. */
export type UserJob =
  | Readonly<{ kind: "create"; resource: Stored }>
  | Readonly<{ kind: "change"; id: string; match: number | null; change: (before: Stored) => Judged<Stored> }>
  | Readonly<{ kind: "delete"; id: string; match: number | null }>;

/** What a job gave: the row as it is now (of a deletion, as it was). */
export type PushResult = Judged<ScimRow>;

const gone = (id: string): ScimFault => ({ status: 404, detail: `there is no user ${id.slice(0, 100)}` });
export const stale: ScimFault = { status: 412, detail: "the resource has another version by now: read it again" };
export const taken = (name: unknown): ScimFault => ({
  ...{ status: 409, type: "uniqueness" as const },
  detail: `the name "${String(name).slice(0, 100)}" is taken in this source`,
});

/** The import refused rows: the transaction is given up, and done again without them. */
class Refused extends Error {
  readonly rows: ReadonlyMap<number, string>;
  constructor(rows: ReadonlyMap<number, string>) {
    super("the import refuses rows");
    this.rows = rows;
  }
}

/** Does jobs of one source together. Each job's resource is there once. Gives their results in order. */
export async function pushUsers(
  world: World,
  source: ScimSource,
  actor: Actor,
  jobs: readonly UserJob[],
): Promise<readonly PushResult[]> {
  const results: (PushResult | undefined)[] = jobs.map(() => undefined);
  const command: Command = { db: world.db, now: () => world.now(), actor };
  const deciding = await decidingBy(world, source, command);
  const answers: HookAnswers = new Map();
  for (;;) {
    const left = jobs.flatMap((job, n) => (results[n] === undefined ? [{ job, n }] : []));
    if (left.length === 0) break;
    try {
      const done = await runCommand(command, (running) =>
        pushOnce(
          world,
          { source, deciding, answers },
          running,
          left.map(({ job }) => job),
        ),
      );
      if (isRefusal(done)) throw new Error(done.refused);
      for (const [at, result] of done.entries()) results[left[at]?.n ?? 0] = result;
    } catch (error) {
      if (error instanceof Unasked) {
        await askNow(world, error, answers);
        continue;
      }
      if (!(error instanceof Refused)) throw error;
      for (const [at, why] of error.rows) {
        results[left[at]?.n ?? 0] = { fault: refusalFault(why) };
      }
      await noteRefused(
        command,
        source,
        [...error.rows].map(([at, why]) => ({ name: nameOf(left[at]?.job), why })),
      );
    }
  }
  return results as readonly PushResult[];
}

function refusalFault(why: string): ScimFault {
  return { status: 400, type: "invalidValue", detail: why };
}

const nameOf = (job: UserJob | undefined) =>
  job?.kind === "create" ? String(job.resource["userName"]) : job?.kind === undefined ? "" : job.id;

/** A job whose row is written. `was`: before; null: it is new. */
type Written = Readonly<{ n: number; row: ScimRow; deleted: boolean }>;

type Pushing = Readonly<{ source: ScimSource; deciding: Deciding; answers: HookAnswers }>;

async function pushOnce(
  world: World,
  { source, deciding, answers }: Pushing,
  running: Running,
  jobs: readonly UserJob[],
): Promise<readonly PushResult[]> {
  const ground = { run: await beginPush(world, source, running), ...deciding };
  const results: PushResult[] = jobs.map((job) => ({ fault: gone("id" in job ? job.id : "") }));
  const created = await writeNew(running, source, jobs, results);
  const changed = await writeChanged(running, source, jobs, results);
  const written = [...created, ...changed];
  for (const { n, row } of written) results[n] = { ok: row };
  if (written.length > 0) await importRows(source, running, { ...ground, answers }, written);
  return results;
}

async function writeNew(
  running: Running,
  { app_id }: ScimSource,
  jobs: readonly UserJob[],
  results: PushResult[],
): Promise<readonly Written[]> {
  const fresh = jobs.flatMap((job, n) => (job.kind === "create" ? [{ n, resource: job.resource }] : []));
  if (fresh.length === 0) return [];
  const ids = await newIds(running.db, "scm", fresh.length);
  const given = fresh.map(({ n, resource }, at) => ({ n, id: ids[at] ?? "", resource }));
  const rows = await insertResources(running, app_id, "User", given);
  await reviveUsers(running, app_id, [...rows.keys()]);
  return given.flatMap(({ n, id, resource }) => {
    const row = rows.get(id);
    if (row === undefined) results[n] = { fault: taken(resource["userName"]) };
    return row === undefined ? [] : [{ n, row, deleted: false }];
  });
}

async function writeChanged(
  running: Running,
  { app_id }: ScimSource,
  jobs: readonly UserJob[],
  results: PushResult[],
): Promise<readonly Written[]> {
  const ids = jobs.flatMap((job) => (job.kind === "create" ? [] : [job.id]));
  const before = await lockResources(running, app_id, "User", ids);
  const [same, going, next]: [Written[], Written[], { n: number; id: string; resource: Stored }[]] = [[], [], []];
  for (const [n, job] of jobs.entries()) {
    const row = job.kind === "create" ? undefined : before.get(job.id);
    if (job.kind === "create" || row === undefined) continue;
    if (job.match !== null && job.match !== row.version) results[n] = { fault: stale };
    else if (job.kind === "delete") going.push({ n, row, deleted: true });
    else {
      const after = job.change(row.resource);
      if ("fault" in after) results[n] = after;
      // What could not be done last time is asked for again, also where nothing is new.
      else if (isDeepStrictEqual(after.ok, row.resource)) same.push({ n, row, deleted: false });
      else next.push({ n, id: job.id, resource: after.ok });
    }
  }
  await buryUsers(
    running,
    going.map(({ row }) => row.id),
  );
  const rows = await updateResources(running, next);
  const updated = next.flatMap(({ n, id }) => {
    const row = rows.get(id);
    return row === undefined ? [] : [{ n, row, deleted: false }];
  });
  return [...same, ...going, ...updated];
}

type Account = Readonly<{ external_id: string; user_id: string; have: Have | null; status: string }>;

type PushGround = Ground & Pick<Pushing, "answers">;

/** Imports the rows that differ from what the source's accounts remember. */
async function importRows(
  source: ScimSource,
  running: Running,
  ground: PushGround,
  written: readonly Written[],
): Promise<void> {
  const { app_id, placed } = source;
  const people = written.map(({ row, deleted }) => ({ id: row.id, resource: row.resource, gone: deleted }));
  const flat = await flattened(running.db, app_id, placed, people);
  const { rows: known } = await sql<Account>`
    select a.external_id, a.user_id, a.have, u.status from accounts a join users u on u.id = a.user_id
    where a.app_id = ${app_id} and a.external_id = any(${people.map(({ id }) => id)}::text[])`.execute(running.db);
  const accounts = new Map(known.map((account) => [account.external_id, account]));
  const lines = flat.flatMap(({ id, profile, enabled }, at) => {
    const account = accounts.get(id);
    const have = { enabled, profile };
    const nobody = account === undefined && written[at]?.deleted;
    if (nobody || (account && isDeepStrictEqual(account.have, have))) return [];
    return [
      {
        line: at,
        external_id: id,
        profile: JSON.stringify(profile),
        enabled,
        user_id: account?.user_id ?? null,
        account,
      },
    ];
  });
  if (lines.length === 0) return;
  const rows = sql`(select * from jsonb_to_recordset(${JSON.stringify(lines.map(({ account: _, ...line }) => ({ ...line, place: null })))}::jsonb)
    as r(line int, external_id text, user_id text, profile text, enabled boolean, place text))`;
  const begun = await startPush({ ...ground.run, rows }, running);
  const { run } = begun;
  const arriving = lines.flatMap(({ account, ...line }) =>
    line.enabled || !account ? [{ ...line, place: null }] : [],
  );
  const leaving = lines.flatMap(({ line, external_id, account, enabled }): Leaver[] =>
    enabled || !account
      ? []
      : [{ ...account, line, external_id, place: null, outcome: "leave", deleted: written[line]?.deleted ?? false }],
  );
  const applied = await applyArriving(run, begun.running, ground, arriving, written);
  // Whoever came under another id in the same moment has not left.
  const linked = new Set(applied.flatMap(({ outcome, user_id }) => (outcome === "linked" ? (user_id ?? []) : [])));
  const left = await applyLeaving(
    run,
    begun.running,
    leaving.filter(({ user_id }) => !linked.has(user_id)),
  );
  await takeUnsaid(run, begun.running, [...linked]);
  await givePending(
    run,
    begun.running,
    applied.flatMap(({ user_id }) => user_id ?? []),
  );
  await endPush(run, begun.running, [...applied.map(({ outcome }) => outcome), ...left]);
}

async function applyArriving(
  run: ImportRun,
  running: Running,
  { lines, schema, answers }: PushGround,
  rows: readonly ChangedRow[],
  written: readonly Written[],
): Promise<readonly Applied[]> {
  if (rows.length === 0) return [];
  const few = run.rows ?? sql`(select null::text as user_id, false as enabled where false)`;
  const matching = matchingOf(run, few);
  // These are all the rows there are.
  const rivals: Rivals = { rows: new Map(), put_off: 0, settled: true };
  const decisions = await hasDecisions(run);
  const plan: ImportPlan = {
    ...{ run, lines, schema, matching, urgency: priority.change, hope: { holds: false }, hook: undefined },
    ...{ decisions, rivals },
  };
  const { rows: mapped } = await prepareChunk(plan, rows);
  const first = await decideChunk(running.db, plan, mapped, { hope: false });
  const applied = await arrive(plan, running, await heardOf(plan, first, answers));
  const refused = applied.filter(({ outcome }) => outcome === "refused");
  if (refused.length > 0)
    throw new Refused(new Map(refused.map((one) => [written[one.one.row.line]?.n ?? 0, reasonOf(one)])));
  await recordArrivals(run, running, applied);
  await tellMerged(run, running, applied);
  if (decisions) await settleDecisions(run);
  return applied;
}

/** The rows as the source's hook, if it has one, will have them. @throws Unasked for what it has not been asked. */
async function heardOf(
  plan: ImportPlan,
  decided: readonly DecidedRow[],
  answers: HookAnswers,
): Promise<readonly DecidedRow[]> {
  const hook = await openImportHook(plan.run);
  if (hook === undefined) return decided;
  const questions: HookEvent[] = [];
  const known = answered(hook, answers, questions);
  // Nobody is called here, so nothing can take long.
  const heard = await askImportHook({ ...plan, hook: known }, known, decided, new AbortController().signal);
  if (questions.length > 0) throw new Unasked(hook, questions);
  await hook.open.close();
  return heard;
}

function reasonOf({ refusal, one: { verdict } }: Applied): string {
  if (refusal !== undefined)
    return refusal.place === undefined ? refusal.refused : `${refusal.place}: ${refusal.refused}`;
  return ("reason" in verdict ? verdict.reason : undefined) ?? "the import refused it";
}

type Leaver = LeavingRow & Readonly<{ status: string; deleted: boolean }>;

/** Gives what became of each; a leave that the guard holds is noted for a person to decide. */
async function applyLeaving(run: ImportRun, running: Running, rows: readonly Leaver[]): Promise<readonly string[]> {
  if (rows.length === 0) return [];
  const here = rows.filter(({ status }) => status !== "DEPROVISIONED" && status !== "SUSPENDED");
  const held = await judgeLeavers(run, here.length);
  if (held !== undefined) {
    await holdPush(
      run,
      running,
      held,
      rows.map(({ external_id, user_id }) => ({ external_id, user_id, outcome: "leave" })),
    );
    return [];
  }
  const { theirs, kept } = await leave(run, running, rows);
  await recordLeavers(run, running, rows, theirs, kept);
  await takeUnsaid(
    run,
    running,
    rows.flatMap(({ deleted, user_id }) => (deleted ? [user_id] : [])),
  );
  return rows.map(({ user_id }) => (kept.has(user_id) ? "skipped" : theirs.has(user_id) ? "outranked" : "left"));
}
