/**
 * An app's health: the pause after a rate limit or a refused credential, and the breaker that opens after repeated
 * network faults and is probed with one account at a time. One row per app, written once per confirmed batch, so one
 * sick app costs neither a rewrite of its accounts' due times nor anyone else's time.
 */
import { backoff_ms, reactions } from "../core/faults.ts";
import { closeTasksFor, type NewTask } from "../directory/tasks.ts";
import { type Database, sql } from "../store/database.ts";
import { system } from "../store/log.ts";
import { breaker_faults } from "./claim.ts";
import type { Fault, Result } from "./provision.ts";
import type { World } from "./world.ts";

/** Without a Retry-After, a rate limit pauses about this long, so that a vendor's apps do not come back as one. Okta waits 300 s; a minute costs at most a few more refusals. */
const rate_pause_ms = 60_000;
/** A refused credential is tried again this often, in case it was mended on the other side. */
const denied_pause_ms = 300_000;

type Health = {
  app_id: string;
  faults: number;
  reset: boolean;
  paused_until: Date | null;
  fault: string | null;
  reason: string | null;
};

/** Notes a batch's outcomes for each app it touched. */
export async function recordHealth(world: World, db: Database, results: readonly Result[]): Promise<void> {
  const apps = Map.groupBy(results, (result) => result.claimed.app_id);
  const lines = [...apps].map(([app_id, some]) => summarise(world, app_id, some));
  await writeHealth(
    world,
    db,
    lines.filter((line) => line !== undefined),
  );
}

/** Notes one fault outside a batch of accounts: a group push or a reconcile. */
export async function recordFault(world: World, db: Database, app_id: string, fault: Fault): Promise<void> {
  const pause = pauseFor(world, fault);
  const faults = fault.kind === "retry" ? 1 : 0;
  if (pause === undefined && faults === 0) return;
  await writeHealth(world, db, [
    { app_id, faults, reset: false, paused_until: pause ?? null, fault: fault.kind, reason: fault.message },
  ]);
}

/** Notes that an app did what was asked of it outside a batch of accounts. */
export async function recordAnswer(world: World, db: Database, app_id: string): Promise<void> {
  await writeHealth(world, db, [{ app_id, faults: 0, reset: true, paused_until: null, fault: null, reason: null }]);
}

/** The one task of an app that refuses our credentials, whatever was asked of it; closed when it serves us again. */
export function deniedTask(app_id: string, fault: Fault, cause: number | null): NewTask {
  return {
    kind: "app_paused",
    title: "the app refuses our credentials",
    dedupe: dedupeOf(app_id),
    detail: { fault: fault.kind, message: fault.message },
    app_id,
    cause,
  };
}

const dedupeOf = (app_id: string) => `app:${app_id}:denied`;

function summarise(world: World, app_id: string, results: readonly Result[]): Health | undefined {
  const reached = results.some(
    (result) => looked(result) || result.operations.some((o) => o.outcome !== "fault") || answered(result.fault),
  );
  // Of many accounts in one call that was lost, one call was lost.
  const faults = new Set(results.flatMap(({ fault }) => (fault?.kind === "retry" ? [fault] : []))).size;
  const pauses = results.flatMap((result) => {
    const until = result.fault && pauseFor(world, result.fault);
    return until && result.fault ? [{ until, fault: result.fault }] : [];
  });
  const longest = pauses.toSorted((a, b) => b.until.getTime() - a.until.getTime())[0];
  if (!reached && faults === 0 && longest === undefined) return undefined;
  return {
    app_id,
    faults,
    reset: reached,
    paused_until: longest?.until ?? null,
    fault: longest?.fault.kind ?? null,
    reason: longest?.fault.message.slice(0, 2_000) ?? null,
  };
}

/** An unsure account was read, even if there was nothing to write. */
const looked = ({ claimed, ended }: Result) => claimed.was_unsure && (ended === "done" || ended === "again");

/** The app answered, if only to refuse this account: it is up. */
const answered = (fault: Fault | undefined) =>
  fault !== undefined && ["conflict", "invalid", "not_found"].includes(fault.kind);

function pauseFor(world: World, fault: Fault): Date | undefined {
  if (!reactions[fault.kind].pauses) return undefined;
  const wait_ms = fault.kind === "denied" ? denied_pause_ms : rate_pause_ms * (0.75 + world.random() / 2);
  return fault.retry_at ?? new Date(world.now().getTime() + Math.round(wait_ms));
}

async function writeHealth(world: World, db: Database, lines: readonly Health[]): Promise<void> {
  if (lines.length === 0) return;
  const now = world.now();
  const open_ms = backoff_ms(3, world.random());
  await sql`
    insert into app_health (app_id) select unnest(${lines.map((line) => line.app_id).toSorted()}::text[])
    on conflict (app_id) do nothing`.execute(db);
  const { rows } = await sql<{ app_id: string; mended: boolean }>`
    with input as (
      select * from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as
        i(app_id text, faults int, reset boolean, paused_until timestamptz, fault text, reason text)
    ), counted as (
      select h.app_id, i.paused_until, i.fault, i.reason, i.reset, h.pause_fault as before,
             case when i.reset then 0 else h.faults_in_row + i.faults end as faults_in_row
      from app_health h join input i using (app_id)
      where not (i.reset and i.paused_until is null and h.faults_in_row = 0 and h.pause_fault is null)
      order by h.app_id for update of h
    )
    update app_health h set
      faults_in_row = c.faults_in_row,
      paused_until = case
        when c.paused_until is not null then greatest(c.paused_until, h.paused_until)
        when c.faults_in_row >= ${breaker_faults} then ${new Date(now.getTime() + open_ms)}::timestamptz
        else h.paused_until end,
      pause_fault = case
        when c.fault is not null then c.fault
        when c.faults_in_row >= ${breaker_faults} then 'retry'
        when c.reset and coalesce(h.paused_until <= ${now}::timestamptz, true) then null else h.pause_fault end,
      pause_reason = case
        when c.fault is not null then c.reason
        when c.faults_in_row >= ${breaker_faults} then c.faults_in_row || ' calls in a row failed'
        when c.reset and coalesce(h.paused_until <= ${now}::timestamptz, true) then null else h.pause_reason end
    from counted c where h.app_id = c.app_id
    returning h.app_id, c.before = 'denied' and h.pause_fault is null as mended`.execute(db);
  const mended = rows.filter((row) => row.mended).map(({ app_id }) => dedupeOf(app_id));
  if (mended.length === 0) return;
  await closeTasksFor({ db, now: world.now, actor: system }, { dedupe: mended, note: "the app serves us again" });
}
