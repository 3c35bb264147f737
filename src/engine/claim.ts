/**
 * Claim: take due accounts to work on, one statement for all apps.
 *
 * A claim sets a lease and makes the row unsure, giving back whether it was unsure before (rule 1 of provision.ts). Its
 * name is new for every claim, so a late worker can never pass for the one that took over. Which match key a create may
 * be sent with is noted here, before any call: after a lost reply and a new name, the account is found by the old one.
 */
import type { Have, Want } from "../core/types.ts";
import { sql } from "../store/database.ts";
import { planted, type World } from "./world.ts";

/** A claimed account: what it was and should be at the moment of the claim. */
export type Claimed = Readonly<{
  account_id: string;
  app_id: string;
  user_id: string;
  login: string;
  /** The want_revision this claim works on. */
  revision: number;
  want: Want | null;
  have: Have | null;
  external_id: string | null;
  match_key: string | null;
  /** Null where somebody without a name was tried by a node before this rule. */
  tried_keys: readonly (string | null)[];
  was_unsure: boolean;
  pending: "create" | "update" | "remove" | null;
  attempts: number;
  had_fault: boolean;
  first_fault_at: Date | null;
  priority: number;
  cause: number | null;
  claim: string;
  claimed_until: Date;
}>;

/** How many accounts of which app. */
export type ClaimLimit = Readonly<{ app_id: string; n: number }>;

let claims = 0;

/** The name of a claim: new for each, so that a late worker can never pass for the one that took over. */
export const claimName = (world: World): string => `${world.node}:${++claims}`;

/** Claims at most `n` due accounts of each app, the most urgent first. */
export async function claim(world: World, limits: readonly ClaimLimit[]): Promise<Claimed[]> {
  const now = world.now();
  const until = new Date(now.getTime() + world.lease_ms);
  const name = claimName(world);
  const unsure = planted(world, "no_unsure") ? sql`work.unsure` : sql`true`;
  const { rows } = await sql<Claimed>`
    with wanted as (
      select * from unnest(${limits.map((l) => l.app_id)}::text[], ${limits.map((l) => l.n)}::int[]) as w(app_id, n)
    ), picked as (
      select due.account_id, due.unsure
      from wanted cross join lateral (
        select account_id, unsure from work
        where work.app_id = wanted.app_id and due_at <= ${now}::timestamptz
          and (claimed_until is null or claimed_until <= ${now}::timestamptz)
        order by priority, due_at limit wanted.n for update skip locked) due
      -- Of the limits above the planner knows nothing and expects a tenth of all work: in a wave of 50,000 it then read
      -- every account and user for each claim, 6 ms and more, where these few take 1 ms.
      limit ${limits.reduce((sum, { n }) => sum + n, 0)}
    )
    update work set claimed_by = ${name}, claimed_until = ${until}::timestamptz, unsure = ${unsure},
      tried_keys = case when (a.external_id is null or picked.unsure) and a.match_key is not null
                             and a.match_key <> all (work.tried_keys)
                        then work.tried_keys || a.match_key else work.tried_keys end
    from picked, accounts a, users u
    where work.account_id = picked.account_id and a.id = picked.account_id and u.id = a.user_id
    returning work.account_id, work.app_id, work.user_id, u.login, a.want_revision as revision, a.want, a.have,
      a.external_id, a.match_key, work.tried_keys, picked.unsure as was_unsure, a.pending, work.attempts,
      (work.fault is not null or a.error is not null) as had_fault, work.first_fault_at, work.priority, work.cause, work.claimed_by as claim,
      work.claimed_until`.execute(world.db);
  return rows;
}

/**
 * An app that has due work and may be called now. `version` changes whenever its settings or its schema do; `urgency` is
 * the priority of its most urgent account.
 */
export type Runnable = Readonly<{
  app_id: string;
  concurrency: number;
  probing: boolean;
  version: string;
  urgency: number;
}>;

/**
 * The apps that have due accounts and are neither switched off nor paused. After repeated faults an app is half open:
 * one account at a time until one succeeds.
 */
export async function runnable(world: World): Promise<Runnable[]> {
  const now = world.now();
  const { rows } = await sql<Runnable>`
    select a.id as app_id, coalesce((a.provisioning->>'concurrency')::int, 16) as concurrency,
           coalesce(h.faults_in_row, 0) >= ${breaker_faults} as probing,
           concat_ws(' ', a.updated_at, s.updated_at) as version, w.priority as urgency
    from apps a left join app_health h on h.app_id = a.id left join schemas s on s.kind = 'app' and s.app_id = a.id
    cross join lateral (
      select priority from work where app_id = a.id and due_at <= ${now}::timestamptz
        and (claimed_until is null or claimed_until <= ${now}::timestamptz)
      order by priority, due_at limit 1) w
    where a.status = 'ACTIVE' and (h.paused_until is null or h.paused_until <= ${now}::timestamptz)
    order by a.id`.execute(world.db);
  return rows;
}

/** After this many faults of the network kind in a row the whole app is taken to be down. */
export const breaker_faults = 10;

/**
 * Takes up to `n` tokens of an app's rate limit, shared by all nodes: one row, refilled by the clock, a burst of two
 * seconds. Gives how many were granted. A negative `n` puts back what was not used.
 */
export async function takeTokens(world: World, app_id: string, rate_per_s: number, n: number): Promise<number> {
  const { rows } = await sql<{ granted: number }>`
    with level as (
      select app_id, least(${rate_per_s * 2}::float8, coalesce(tokens, ${rate_per_s}::float8) +
        ${rate_per_s}::float8 * greatest(0, extract(epoch from ${world.now()}::timestamptz - coalesce(refilled_at, ${world.now()}::timestamptz)))) as now
      from app_health where app_id = ${app_id} for update
    )
    update app_health h set tokens = level.now - least(floor(level.now), ${n}::float8), refilled_at = ${world.now()}::timestamptz
    from level where h.app_id = level.app_id
    returning least(floor(level.now), ${n}::float8)::int as granted`.execute(world.db);
  return rows[0]?.granted ?? n;
}
