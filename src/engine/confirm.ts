/**
 * Confirm: write what a batch of operations found and did, fenced, in one transaction.
 *
 * Fenced: only the claim that still holds the row may write it. `due` is cleared only if want has not moved since the
 * claim (the observed revision), else the row stays due and is worked again. A refused confirm makes the row unsure and
 * due again, and takes it from whoever holds it now, so that the mark cannot be confirmed away (rule 3).
 *
 * A clean account has no work row at all.
 */
import { sameValue } from "../core/diff.ts";
import { backoff_ms, reactions } from "../core/faults.ts";
import type { Have, Profile, Want } from "../core/types.ts";
import { column } from "../store/columns.ts";
import { type Database, isContention, sql, type Transaction, violatedUnique } from "../store/database.ts";
import { recordHealth } from "./health.ts";
import type { Result } from "./provision.ts";
import { record } from "./record.ts";
import { planted, type World } from "./world.ts";

/** One row of the batch as SQL reads it. */
type Line = {
  account_id: string;
  claim: string;
  revision: number;
  /** The work row may go. */
  clean: boolean;
  /** The claim ended before a write: all that is known of the account stays as it was. */
  lapsed: boolean;
  due_at: Date | null;
  unsure: boolean;
  attempts: number;
  fault: string | null;
  fault_detail: string | null;
  fault_attribute: string | null;
  first_fault_at: Date | null;
  /** have and external id are facts now. */
  known: boolean;
  external_id: string | null;
  have: Have | null;
  /** have is what want asked for: the database holds that already. `beyond`: what the app holds that nobody asked for. */
  as_wanted: boolean;
  beyond: Profile | null;
  pending: string | null;
};

/** What became of a batch: the accounts whose claim was refused, and how many accounts are due again at once. */
export type Confirmed = Readonly<{ refused: readonly string[]; due: number }>;

/** Confirms a batch. An account that turns out to be linked twice becomes a conflict fault instead of stopping the rest. */
export async function confirm(world: World, results: readonly Result[], tries = 1): Promise<Confirmed> {
  if (results.length === 0) return { refused: [], due: 0 };
  try {
    return await world.db.transaction().execute((trx) => confirmIn(world, trx, results));
  } catch (error) {
    if (isContention(error) && tries < 3) return confirm(world, results, tries + 1);
    if (violatedUnique(error) !== "accounts_external") throw error;
    if (results.length === 1) return confirm(world, [asConflict(world, results[0] as Result)]);
    const each: Confirmed[] = [];
    for (const result of results) each.push(await confirm(world, [result]));
    return { refused: each.flatMap(({ refused }) => refused), due: each.reduce((sum, { due }) => sum + due, 0) };
  }
}

async function confirmIn(world: World, trx: Transaction, results: readonly Result[]): Promise<Confirmed> {
  const lines = results.map((result) => toLine(world, result));
  const { refused, moved } = await writeBack(world, trx, lines);
  await record(world, trx, results, refused);
  await recordHealth(world, trx, results);
  const now = world.now();
  const again = lines.filter((line) => moved.has(line.account_id) || (line.due_at !== null && line.due_at <= now));
  return { refused: [...refused], due: refused.size + again.length };
}

function toLine(world: World, result: Result): Line {
  const { claimed, fault } = result;
  const now = world.now();
  const line = {
    account_id: claimed.account_id,
    claim: claimed.claim,
    revision: claimed.revision,
    external_id: result.external_id,
    have: result.have,
    ...besideWant(result.have, claimed.want),
    attempts: 0,
    lapsed: result.ended === "lapsed",
    fault: null,
    fault_detail: null,
    fault_attribute: null,
    first_fault_at: null,
    pending: result.pending ?? null,
  };
  if (fault === undefined) {
    const known = result.ended === "done" || result.ended === "again";
    const clean = result.ended === "done" || result.ended === "pending";
    // A lapsed claim wrote nothing, but may have been cut short anywhere: it stays unsure.
    return {
      ...line,
      clean,
      known,
      unsure: result.ended === "lapsed",
      due_at: clean ? null : now,
      attempts: claimed.attempts,
    };
  }
  const reaction = reactions[fault.kind];
  const attempts = claimed.attempts + (reaction.counts ? 1 : 0);
  const wait = { now: 0, backoff: backoff_ms(attempts, world.random()), parked: null }[reaction.again];
  // A conflict or a vanished account that comes back at once must not spin.
  const pause_ms = wait === 0 && claimed.attempts > 2 ? backoff_ms(attempts, world.random()) : wait;
  return {
    ...line,
    clean: false,
    // An app that denies an account is not believed at once: the account is due and unsure, and looked for first.
    known: false,
    unsure: reaction.unsure,
    due_at: pause_ms === null ? null : new Date(now.getTime() + pause_ms),
    attempts,
    fault: fault.kind,
    fault_detail: fault.message.slice(0, 2_000),
    fault_attribute: fault.attribute ?? null,
    first_fault_at: claimed.first_fault_at ?? now,
  };
}

const otherwise = { as_wanted: false, beyond: null };

/** Does the app hold all that was asked for? Nearly always, after a write; often with a few values of its own. */
function besideWant(have: Have | null, want: Want | null): Pick<Line, "as_wanted" | "beyond"> {
  if (have === null || want === null || have.enabled !== want.enabled) return otherwise;
  let held = 0;
  for (const name of Object.keys(want.profile)) {
    if (!Object.hasOwn(have.profile, name) || !sameValue(have.profile[name], want.profile[name])) return otherwise;
    held++;
  }
  if (Object.keys(have.profile).length === held) return { as_wanted: true, beyond: null };
  const beyond = Object.entries(have.profile).filter(([name]) => !Object.hasOwn(want.profile, name));
  return { as_wanted: true, beyond: Object.fromEntries(beyond) };
}

/** What of have is sent, as JSON: all of it, or what is beyond want. */
const sentHave = ({ have, as_wanted, beyond }: Line): string | null =>
  as_wanted ? beyond && JSON.stringify(beyond) : JSON.stringify(have);

/**
 * The lines as SQL reads them, by columns. A have that is as wanted is not sent but taken from want, and only what the app
 * holds beyond it is: with it as a list of objects, reading its input was a third of what the statement cost.
 */
function columnsOf(lines: readonly Line[]) {
  const of = (value: (line: Line) => string | number | boolean | Date | null) => column(lines, value);
  return sql`
      select * from rows from (unnest(${of((line) => line.account_id)}::text[]), unnest(${of((line) => line.claim)}::text[]),
        unnest(${of((line) => line.revision)}::int[]), unnest(${of((line) => line.clean)}::boolean[]),
        unnest(${of((line) => line.lapsed)}::boolean[]), unnest(${of((line) => line.due_at)}::timestamptz[]),
        unnest(${of((line) => line.unsure)}::boolean[]), unnest(${of((line) => line.attempts)}::int[]),
        unnest(${of((line) => line.fault)}::text[]), unnest(${of((line) => line.fault_detail)}::text[]),
        unnest(${of((line) => line.fault_attribute)}::text[]), unnest(${of((line) => line.first_fault_at)}::timestamptz[]),
        unnest(${of((line) => line.known)}::boolean[]), unnest(${of((line) => line.external_id)}::text[]),
        unnest(${of(sentHave)}::text[]),
        unnest(${of((line) => line.as_wanted)}::boolean[]), unnest(${of((line) => line.pending)}::text[]))
        as i(account_id, claim, revision, clean, lapsed, due_at, unsure, attempts, fault, fault_detail, fault_attribute,
          first_fault_at, known, external_id, have, as_wanted, pending)`;
}

/**
 * The fenced statement. Of an account whose want moved since the claim, a have that is not sent is not known: it stays
 * what it was and the account is read before the next write. Gives those that are not as usual: accounts whose claim held no
 * more, and those of the others whose want has moved since.
 */
async function writeBack(
  world: World,
  trx: Database,
  lines: readonly Line[],
): Promise<Readonly<{ refused: ReadonlySet<string>; moved: ReadonlySet<string> }>> {
  const now = world.now();
  const fence = planted(world, "no_fencing")
    ? sql`true`
    : sql`w.claimed_by = i.claim and w.claimed_until > ${now}::timestamptz`;
  const settled = planted(world, "clear_always") ? sql`true` : sql`f.work_revision = f.revision`;
  const { rows } = await sql<{ account_id: string; held: boolean }>`
    with input as (
      ${columnsOf(lines)}
    ), fenced as (
      select i.*, w.revision as work_revision from input i join work w on w.account_id = i.account_id
      where ${fence} order by i.account_id for update of w
    ), gone as (
      delete from work w using fenced f where w.account_id = f.account_id and f.clean and ${settled}
    ), kept as (
      update work w set claimed_by = null, claimed_until = null, attempts = f.attempts,
        unsure = f.unsure or (f.known and f.as_wanted and f.work_revision <> f.revision),
        fault = case when f.lapsed then w.fault else f.fault end,
        fault_detail = case when f.lapsed then w.fault_detail else f.fault_detail end,
        fault_attribute = case when f.lapsed then w.fault_attribute else f.fault_attribute end,
        first_fault_at = case when f.lapsed then w.first_fault_at else f.first_fault_at end,
        due_at = case when f.work_revision = f.revision then f.due_at else ${now}::timestamptz end
      from fenced f where w.account_id = f.account_id and not (f.clean and ${settled})
    ), saved as (
      update accounts a set
        external_id = case when f.known then f.external_id else a.external_id end,
        have = case when not f.known then a.have when not f.as_wanted then nullif(f.have::jsonb, 'null')
                    when a.want_revision = f.revision
                      then jsonb_build_object('enabled', a.want->'enabled', 'profile',
                        case when f.have is null then a.want->'profile' else (a.want->'profile') || f.have::jsonb end)
                    else a.have end,
        have_revision = case when not f.known or (f.as_wanted and a.want_revision <> f.revision) then a.have_revision
                             else f.revision end,
        pending = f.pending,
        error = f.fault_detail,
        synced_at = case when f.known then ${now}::timestamptz else a.synced_at end
      from fenced f
      where a.id = f.account_id and not f.lapsed and (f.known or f.fault_detail is not null or a.error is not null
        or a.pending is distinct from f.pending)
    ), refused as (
      insert into work (account_id, app_id, user_id, revision, due_at, priority, unsure, marked_at)
      -- A node that slept through its lease may hold two results for one account in one batch.
      select a.id, a.app_id, a.user_id, a.want_revision, ${now}::timestamptz, 10, true, ${now}::timestamptz
      from (select distinct account_id from input where account_id not in (select account_id from fenced)) i
      join accounts a on a.id = i.account_id
      order by a.id for key share of a
      on conflict (account_id) do update set unsure = true, claimed_by = null, claimed_until = null,
        due_at = least(coalesce(work.due_at, excluded.due_at), excluded.due_at)
    )
    select account_id, true as held from fenced where work_revision <> revision
    union all
    select account_id, false from input where account_id not in (select account_id from fenced)`.execute(trx);
  const which = (held: boolean) => new Set(rows.filter((row) => row.held === held).map((row) => row.account_id));
  return { refused: which(false), moved: which(true) };
}

/** The app gave one account's id for two people: neither may be believed. */
function asConflict(world: World, result: Result): Result {
  const { external_id, claimed } = result;
  const message = `the app answered for ${claimed.login} with account ${external_id}, which is linked to another user: give each person an account of their own there, then retry`;
  const now = world.now();
  return {
    claimed,
    ended: "fault",
    external_id: claimed.external_id,
    have: claimed.have,
    fault: { kind: "conflict", message },
    operations: [
      ...result.operations,
      { step: "link", outcome: "fault", fault: "conflict", detail: { message }, started_at: now, finished_at: now },
    ],
  };
}
