/**
 * What is due of each rule. A rule that begins to act, changes, or must be asked again is due: the engine evaluates it
 * over everyone (engine/ruleEvaluation.ts) and settles it. Everything else that changes the answer of a rule is about
 * some people, and marks those dirty.
 *
 * Laws: `revision` counts everything that makes a rule due or stops it, so an evaluation settles only what did not change
 * under it. A rule is claimed for a while by one node; if that node dies, the claim ends and another begins anew: an
 * evaluation writes only what differs, so nothing is lost or done twice.
 *
 * Called by rules.ts, the schedule (rules that ask the clock) and the engine.
 */
import { sql } from "../store/database.ts";
import { type Command, log, type Running, run, wake } from "./command.ts";
import { closeGate } from "./gate.ts";
import type { StoredRule } from "./ruleChecks.ts";

/** A due rule that this node has claimed. */
export type ClaimedRule = Readonly<{ id: string; revision: number; due_cause: number | null }>;

/** Makes active ones of these rules due. `cause`: the event that wants it. Gives how many. */
export async function markRulesDue(running: Running, ids: readonly string[], cause: number | null): Promise<number> {
  const { numAffectedRows } = await sql`
    update rules set due_at = ${running.now()}::timestamptz, due_cause = ${cause}::bigint, revision = revision + 1,
      claimed_by = null, claimed_until = null
    where id = any(${[...ids]}::text[]) and status = 'ACTIVE'`.execute(running.db);
  await closeGate(running);
  await wake(running.db);
  return Number(numAffectedRows ?? 0);
}

/** An administrator's "evaluate again": asks all active rules, or these, over everyone. Gives how many became due. */
export async function evaluateAgain(command: Command, ids: readonly string[] | null = null): Promise<number> {
  const due = await run<number>(command, async (running) => {
    const { rows } = await sql<{ id: string }>`
      select id from rules where status = 'ACTIVE' and (${ids === null} or id = any(${[...(ids ?? [])]}::text[]))
      order by id for update`.execute(running.db);
    if (rows.length === 0) return 0;
    const rule_ids = rows.map((row) => row.id);
    const cause = await log(running, { type: "group.user_membership.rule.evaluate", detail: { rule_ids } });
    return markRulesDue(running, rule_ids, cause);
  });
  return typeof due === "number" ? due : 0;
}

/** Claims every due rule that no node is at, until `until`. */
export async function claimDueRules(command: Command, node: string, until: Date): Promise<readonly ClaimedRule[]> {
  const now = command.now();
  const { rows } = await sql<ClaimedRule>`
    update rules r set claimed_by = ${node}, claimed_until = ${until}::timestamptz
    from (select id from rules
          where status = 'ACTIVE' and due_at <= ${now}::timestamptz
            and (claimed_until is null or claimed_until <= ${now}::timestamptz)
          order by id for update skip locked) as due
    where r.id = due.id returning r.id, r.revision, r.due_cause`.execute(command.db);
  return rows;
}

/** Prolongs the claim of this node; gives the claimed rules that are still as they were claimed. */
export async function renewClaims(
  command: Command,
  node: string,
  claimed: readonly ClaimedRule[],
  until: Date,
): Promise<readonly ClaimedRule[]> {
  const { rows } = await sql<{ id: string }>`
    update rules r set claimed_until = ${until}::timestamptz
    from ${asTable(claimed)} where r.id = c.id and r.revision = c.revision and r.claimed_by = ${node}
    returning r.id`.execute(command.db);
  const kept = new Set(rows.map((row) => row.id));
  return claimed.filter((rule) => kept.has(rule.id));
}

/** Ends the claims of this node; `settled`: everyone has been asked. What changed since it was claimed stays due. */
export async function releaseClaims(
  command: Command,
  node: string,
  claimed: readonly ClaimedRule[],
  settled: boolean,
): Promise<void> {
  const now = command.now();
  await sql`
    update rules r set claimed_by = null, claimed_until = null,
      due_at = case when ${settled} and r.revision = c.revision then null else r.due_at end,
      evaluated_at = case when ${settled} then ${now}::timestamptz else r.evaluated_at end,
      groups_held = case when ${settled} and r.revision = c.revision then ${still_held} else r.groups_held end
    from ${asTable(claimed)} where r.id = c.id and r.claimed_by = ${node}`.execute(command.db);
}

/** Whoever is deactivated keeps what a rule gave them, also in groups that it fills no more. */
const still_held = sql`array(
  select g from unnest(r.groups_held) g where g = any(r.group_ids) or exists (
    select from membership_grants m where m.group_id = g and m.kind = 'rule' and m.source_id = r.id))`;

const asTable = (claimed: readonly ClaimedRule[]) => sql`
  unnest(${claimed.map((rule) => rule.id)}::text[], ${claimed.map((rule) => rule.revision)}::int[]) as c(id, revision)`;

/** A rule's columns that say where it may have grants, as SQL over `m`, the grants row. */
export const grantsOfRule = (rule: Pick<StoredRule, "id" | "groups_held">) => sql`
  m.group_id = any(${[...rule.groups_held]}::text[]) and m.kind = 'rule' and m.source_id = ${rule.id}`;
