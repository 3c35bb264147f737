/**
 * Confirm of a group push: fenced by its claim; due is cleared only if nothing of the group has moved since (the
 * generation). A refused confirm leaves the push unsure and due.
 */
import { backoff_ms, reactions } from "../core/faults.ts";
import { type Command, log } from "../directory/command.ts";
import { closeTasksFor, raiseTasks } from "../directory/tasks.ts";
import { sql, type Transaction } from "../store/database.ts";
import { system } from "../store/log.ts";
import type { PushResult } from "./groupPush.ts";
import { deniedTask, recordAnswer, recordFault } from "./health.ts";
import { appLabels } from "./record.ts";
import type { World } from "./world.ts";

/** Writes what one push found and did. */
export async function confirmPush(world: World, result: PushResult): Promise<void> {
  await world.db.transaction().execute(async (trx) => {
    const held = await writeBack(world, trx, result);
    await insertOperation(world, trx, result);
    if (result.fault) await recordFault(world, trx, result.claimed.app_id, result.fault);
    else if (reached(result)) await recordAnswer(world, trx, result.claimed.app_id);
    await tell(world, trx, result, held);
  });
}

/** The app was really asked for something. */
const reached = ({ claimed, added, removed, pushed_name }: PushResult) =>
  claimed.was_unsure || claimed.target_id === null || added + removed > 0 || pushed_name !== claimed.pushed_name;

async function writeBack(world: World, trx: Transaction, result: PushResult): Promise<boolean> {
  const { claimed, fault } = result;
  const now = world.now();
  const fence = sql`id = ${claimed.id} and claimed_by = ${claimed.claim} and claimed_until > ${now}::timestamptz`;
  if (result.ended === "unlinked") {
    const { numAffectedRows } = await sql`delete from pushed_groups where ${fence}`.execute(trx);
    return Number(numAffectedRows ?? 0) > 0 || doubt(world, trx, result);
  }
  const attempts = fault && reactions[fault.kind].counts ? claimed.attempts + 1 : fault ? claimed.attempts : 0;
  const again = fault ? reactions[fault.kind].again : "now";
  // A parked push waits for a change of the group, of its members, or for "push now".
  const wait_ms =
    again === "parked" ? null : again === "backoff" || attempts > 2 ? backoff_ms(attempts, world.random()) : 0;
  const later = wait_ms === null ? null : new Date(now.getTime() + wait_ms);
  const due = result.ended === "done" ? null : result.ended === "cut" ? now : later;
  const { numAffectedRows } = await sql`
    update pushed_groups set claimed_by = null, claimed_until = null,
      target_id = ${result.target_id}, pushed_name = ${result.pushed_name},
      unsure = ${result.ended === "fault"}, full_check = case when ${result.ended === "done"} then false else full_check end,
      due_at = case when generation = ${claimed.generation} then ${due}::timestamptz else ${now}::timestamptz end,
      attempts = ${attempts}, fault = ${fault?.kind ?? null}, error = ${fault?.message ?? null},
      pushed_at = case when ${result.ended === "done"} then ${now}::timestamptz else pushed_at end,
      reconciled_at = case when ${result.ended === "done" && (claimed.full_check || claimed.was_unsure)} then ${now}::timestamptz else reconciled_at end
    where ${fence}`.execute(trx);
  if (Number(numAffectedRows ?? 0) === 0) return doubt(world, trx, result);
  // The group we knew is gone, and its members with it: the one that is made instead begins empty.
  if (claimed.target_id !== null && result.target_id === null)
    await sql`delete from pushed_members where push_id = ${claimed.id}`.execute(trx);
  return true;
}

async function doubt(world: World, trx: Transaction, result: PushResult): Promise<boolean> {
  await sql`
    update pushed_groups set unsure = true, claimed_by = null, claimed_until = null,
      due_at = least(coalesce(due_at, ${world.now()}::timestamptz), ${world.now()}::timestamptz)
    where id = ${result.claimed.id}`.execute(trx);
  return false;
}

async function insertOperation(world: World, trx: Transaction, result: PushResult): Promise<void> {
  const { claimed, fault } = result;
  const quiet =
    result.ended === "done" && result.added + result.removed === 0 && result.pushed_name === claimed.pushed_name;
  if (quiet && claimed.target_id !== null) return;
  const detail = {
    added: result.added,
    removed: result.removed,
    member_faults: result.member_faults,
    requests: result.requests,
    ...(fault ? { message: fault.message } : {}),
  };
  await sql`
    insert into operations (app_id, push_id, step, outcome, fault, detail, cause, node, started_at, finished_at)
    values (${claimed.app_id}, ${claimed.id}, 'push', ${fault ? "fault" : "done"}, ${fault?.kind ?? null},
      ${JSON.stringify(detail)}::jsonb, ${claimed.cause}, ${world.node}, ${result.started_at}::timestamptz, ${world.now()}::timestamptz)`.execute(
    trx,
  );
  const command: Command = { db: trx, now: () => world.now(), actor: system, cause: claimed.cause };
  const labels = await appLabels(trx, new Set([claimed.app_id]));
  await log(command, {
    type: eventOf(result),
    outcome: fault ? "FAILURE" : "SUCCESS",
    reason: fault?.message ?? null,
    app_id: claimed.app_id,
    group_id: claimed.group_id,
    targets: [
      { id: claimed.group_id, type: "UserGroup", name: claimed.name },
      { id: claimed.app_id, type: "AppInstance", name: labels.get(claimed.app_id) ?? claimed.app_id },
    ],
    detail,
  });
}

function eventOf(result: PushResult): string {
  const base = "application.provision.group_push";
  if (result.ended === "unlinked")
    return result.claimed.unlinking === "delete" ? `${base}.delete_appgroup` : `${base}.removed`;
  if (result.fault) return `${base}.mapping.update.or.delete.failed`;
  if (result.claimed.target_id === null) return `${base}.pushed`;
  return result.added + result.removed > 0 ? `${base}.push_memberships` : `${base}.updated`;
}

async function tell(world: World, trx: Transaction, result: PushResult, held: boolean): Promise<void> {
  const { claimed, fault } = result;
  const command: Command = { db: trx, now: () => world.now(), actor: system, cause: claimed.cause };
  const dedupe = `push:${claimed.id}`;
  const when = fault && reactions[fault.kind].task;
  if (fault && when === "app") await raiseTasks(command, [deniedTask(claimed.app_id, fault, claimed.cause)]);
  else if (fault && when === "account") {
    await raiseTasks(command, [
      {
        kind: "group_push_error",
        title: `pushing the group ${claimed.name} failed`,
        dedupe,
        app_id: claimed.app_id,
        detail: { fault: fault.kind, message: fault.message, push: claimed.id, group: claimed.group_id },
      },
    ]);
  } else if (held && !fault && claimed.had_fault) {
    await closeTasksFor(command, { dedupe: [dedupe], note: "done" });
  }
}
