/**
 * Reconcile: look at a whole app and mark what differs. The last net under the four rules, and the place where accounts
 * changed outside (drift) and accounts of nobody (orphans) come to light.
 *
 * It never believes a list against a claim: what differs becomes unsure and due, so that the account is read again at
 * the last moment before anything is written. An account missing from the list is doubted only when the connector
 * vouches for the list being complete; a short or looping page deletes nobody.
 */
import type { Context, RemoteAccount } from "../connectors/connector.ts";
import { plan } from "../core/plan.ts";
import type { Have, Value, Want } from "../core/types.ts";
import { priority } from "../directory/command.ts";
import { type Database, sql } from "../store/database.ts";
import { appendEvent, system } from "../store/log.ts";
import { recordFault } from "./health.ts";
import { asFault } from "./provision.ts";
import { type EngineApp, planAppOf, planted, type World } from "./world.ts";

/** What a look at a whole app showed. `complete`: absence from the list counted. */
export type ReconcileCounts = Readonly<{
  listed: number;
  drifted: number;
  missing: number;
  orphans: number;
  complete: boolean;
}>;

/** A full pass over 100,000 accounts at 100 a page is 1,000 requests; ten minutes bound even a slow app. */
const pass_ms = 600_000;
const page_size = 100;

/**
 * Lists an app and marks what differs.
 *
 * @param onPage told of progress: accounts listed so far. @throws ConnectorFault as the app failed; marks made stay.
 */
export async function reconcileApp(
  world: World,
  app_id: string,
  options: Readonly<{ onPage?: (listed: number) => void; signal?: AbortSignal }> = {},
): Promise<ReconcileCounts> {
  const started_at = world.now();
  const app = await world.app(app_id);
  const deadline = world.deadline(new Date(started_at.getTime() + pass_ms));
  const signal = options.signal ? AbortSignal.any([deadline, options.signal]) : deadline;
  const ctx: Context = { signal, log: () => {}, now: () => world.now() };
  const counts = { listed: 0, drifted: 0, missing: 0, orphans: 0, complete: false };
  try {
    const seen = new Set<string>();
    let cursor: string | undefined;
    do {
      const page = await app.connector.list(ctx, { limit: page_size, ...(cursor === undefined ? {} : { cursor }) });
      // A broken pager shows an account twice, on one page or on two.
      const fresh = page.items.filter((item) => !seen.has(item.id) && seen.add(item.id));
      counts.listed += fresh.length;
      const found = await comparePage(world, app, fresh);
      counts.drifted += found.drifted;
      counts.orphans += found.orphans;
      counts.complete = page.complete ?? page.next === undefined;
      cursor = page.next;
      options.onPage?.(counts.listed);
    } while (cursor !== undefined);
    if (counts.complete || planted(world, "trust_short_list"))
      counts.missing = await doubtMissing(world, app_id, seen, started_at);
  } catch (error) {
    await recordFault(world, world.db, app_id, asFault(error));
    throw error;
  }
  await appendEvent(world.db, world.now(), {
    type: "application.provision.user.sync",
    actor: system,
    app_id,
    targets: [{ id: app_id, type: "AppInstance", name: app.label }],
    detail: { ...counts },
  });
  return counts;
}

type Known = { id: string; external_id: string; want: Want | null; have: Have | null; released: boolean };

/** Compares one page: drifted accounts are doubted, accounts of nobody noted as orphans. */
async function comparePage(
  world: World,
  app: EngineApp,
  items: readonly RemoteAccount[],
): Promise<{ drifted: number; orphans: number }> {
  if (items.length === 0) return { drifted: 0, orphans: 0 };
  const ids = items.map((item) => item.id);
  const { rows } = await sql<Known>`
    select id, external_id, want, have, released_at is not null as released from accounts
    where app_id = ${app.id} and external_id = any(${ids}::text[])`.execute(world.db);
  const known = new Map(rows.map((row) => [row.external_id, row]));
  const drifted = items.flatMap((item) => {
    const row = known.get(item.id);
    return row && !row.released && differs(app, row, item) ? [row.id] : [];
  });
  await doubt(world, world.db, drifted);
  const strangers = items.filter((item) => !known.has(item.id));
  await doubt(world, world.db, await lostCreates(world, app, strangers));
  await noteOrphans(
    world,
    app.id,
    strangers,
    rows.map((row) => row.external_id),
  );
  return { drifted: drifted.length, orphans: strangers.length };
}

/**
 * Accounts of ours without external id that a stranger answers to: a create that the app carried out after we had given
 * up on it. Looking for them again links the stranger, and disables it if its person has left.
 */
async function lostCreates(world: World, app: EngineApp, strangers: readonly RemoteAccount[]): Promise<string[]> {
  const keys = strangers
    .map((one) => one.profile[app.provisioning.match_attribute])
    .filter((key) => typeof key === "string");
  if (keys.length === 0) return [];
  const { rows } = await sql<{ id: string }>`
    select id from accounts where app_id = ${app.id} and external_id is null and released_at is null
      and lower(match_key) = any(${keys.map((key) => key.toLowerCase())}::text[])`.execute(world.db);
  return rows.map((row) => row.id);
}

/** Would anything have to be written, or is the account there although we believe it is not? */
function differs(app: EngineApp, row: Known, item: RemoteAccount): boolean {
  if (row.have === null || row.have.enabled !== item.enabled) return true;
  const seen: Have = { enabled: item.enabled, profile: item.profile };
  return plan(row.want, seen, planAppOf(app)).kind !== "none";
}

async function noteOrphans(
  world: World,
  app_id: string,
  strangers: readonly RemoteAccount[],
  ours: readonly string[],
): Promise<void> {
  if (ours.length > 0) {
    await sql`delete from orphans where app_id = ${app_id} and external_id = any(${[...ours]}::text[])`.execute(
      world.db,
    );
  }
  if (strangers.length === 0) return;
  const lines = strangers.map((s) => ({ external_id: s.id, profile: s.profile as Value, enabled: s.enabled }));
  await sql`
    insert into orphans (app_id, external_id, profile, enabled, seen_at)
    select ${app_id}, external_id, profile, enabled, ${world.now()}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as o(external_id text, profile jsonb, enabled boolean)
    on conflict (app_id, external_id) do update set profile = excluded.profile, enabled = excluded.enabled, seen_at = excluded.seen_at`.execute(
    world.db,
  );
}

/** Accounts we believe in that a complete list did not show, unless they were made after it began. */
async function doubtMissing(
  world: World,
  app_id: string,
  seen: ReadonlySet<string>,
  started_at: Date,
): Promise<number> {
  const ids = [...seen];
  const { rows } = await sql<{ id: string }>`
    select a.id from accounts a
    where a.app_id = ${app_id} and a.external_id is not null and a.have is not null and a.released_at is null
      and (a.synced_at is null or a.synced_at < ${started_at}::timestamptz)
      and not exists (select 1 from unnest(${ids}::text[]) as s(id) where s.id = a.external_id)`.execute(world.db);
  if (planted(world, "trust_short_list")) {
    const ids = rows.map((row) => row.id);
    await sql`update accounts set have = null, external_id = null where id = any(${ids}::text[])`.execute(world.db);
    return rows.length;
  }
  await doubt(
    world,
    world.db,
    rows.map((row) => row.id),
  );
  await sql`delete from orphans where app_id = ${app_id} and not exists (select 1 from unnest(${ids}::text[]) as s(id) where s.id = external_id)`.execute(
    world.db,
  );
  return rows.length;
}

/**
 * Makes accounts unsure and due, taking them from whoever holds them: a doubt must not be confirmed away by work that
 * began before it.
 */
export async function doubt(world: World, db: Database, account_ids: readonly string[]): Promise<void> {
  if (account_ids.length === 0) return;
  await sql`
    insert into work (account_id, app_id, user_id, revision, due_at, priority, unsure, marked_at)
    select id, app_id, user_id, want_revision, ${world.now()}::timestamptz, ${priority.scan}::smallint, true, ${world.now()}::timestamptz
    from accounts where id = any(${[...account_ids]}::text[]) order by id for key share
    on conflict (account_id) do update set unsure = true, claimed_by = null, claimed_until = null,
      due_at = least(coalesce(work.due_at, excluded.due_at), excluded.due_at)`.execute(db);
}
