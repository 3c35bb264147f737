/**
 * What a confirmed batch leaves behind besides the account rows: one operation row and one event per call, tasks where
 * a person is needed, and the pushed groups that wait for an account.
 */

import { reactions } from "../core/faults.ts";
import type { Value } from "../core/types.ts";
import { type Command, logAll } from "../directory/command.ts";
import { closeTasksFor, type NewTask, raiseTasks } from "../directory/tasks.ts";
import { column, jsonbList } from "../store/columns.ts";
import { sql, type Transaction } from "../store/database.ts";
import { system } from "../store/log.ts";
import { deniedTask } from "./health.ts";
import type { Operation, Result } from "./provision.ts";
import type { World } from "./world.ts";

/** A network fault becomes a task when it has lasted this long. */
const patience_ms = 24 * 3_600_000;

/** Okta's event name of a step (okta-lifecycle 11, "Provisioning"). */
const eventOf: Readonly<Record<Operation["step"], string>> = {
  create: "application.provision.user.push",
  update: "application.provision.user.push_profile",
  disable: "application.provision.user.deactivate",
  enable: "application.provision.user.reactivate",
  delete: "application.provision.user.deprovision",
  link: "application.provision.user.verify_exists",
  look: "application.provision.user.verify_exists",
  unsupported: "application.provision.user.push",
};

/**
 * Records a batch in the confirming transaction.
 *
 * @param refused accounts whose claim held no more; their calls happened too, so they are recorded as well, but they
 *   decide nothing.
 */
export async function record(
  world: World,
  trx: Transaction,
  results: readonly Result[],
  refused: ReadonlySet<string>,
): Promise<void> {
  const command: Command = { db: trx, now: () => world.now(), actor: system };
  const calls = results.flatMap((result) => result.operations.map((operation) => ({ result, operation })));
  await insertOperations(world, trx, calls);
  const labels = await appLabels(trx, new Set(calls.map(({ result }) => result.claimed.app_id)));
  const seqs = await logAll(
    command,
    calls.map(({ result: { claimed }, operation }) => ({
      type: eventOf[operation.step],
      outcome: operation.outcome === "fault" ? "FAILURE" : operation.outcome === "pending" ? "DEFERRED" : "SUCCESS",
      reason: operation.detail.message ?? null,
      user_id: claimed.user_id,
      app_id: claimed.app_id,
      cause: claimed.cause,
      targets: [
        { id: claimed.user_id, type: "User" as const, name: claimed.login },
        { id: claimed.app_id, type: "AppInstance" as const, name: labels.get(claimed.app_id) ?? claimed.app_id },
      ],
      detail: {
        account: claimed.account_id,
        step: operation.step,
        fault: operation.fault ?? null,
        changes: (operation.detail.changes ?? null) as Value,
      },
    })),
  );
  const causes = new Map(calls.map(({ result }, n) => [result.claimed.account_id, seqs[n] ?? null]));
  const held = results.filter((result) => !refused.has(result.claimed.account_id));
  await tellPeople(world, command, held, causes);
  await markWaitingPushes(world, trx, held);
}

/** What people call these apps, by id: the log is for them. */
export async function appLabels(trx: Transaction, ids: ReadonlySet<string>): Promise<ReadonlyMap<string, string>> {
  if (ids.size === 0) return new Map();
  const { rows } = await sql<{ id: string; label: string }>`
    select id, label from apps where id = any(${[...ids]}::text[])`.execute(trx);
  return new Map(rows.map(({ id, label }) => [id, label]));
}

async function insertOperations(
  world: World,
  trx: Transaction,
  calls: readonly { result: Result; operation: Operation }[],
): Promise<void> {
  if (calls.length === 0) return;
  await sql`
    insert into operations (app_id, account_id, user_id, revision, step, outcome, fault, detail, cause, node, started_at, finished_at)
    select app_id, account_id, user_id, revision, step, outcome, fault, detail, cause, ${world.node}, started_at, finished_at
    from rows from (unnest(${column(calls, ({ result }) => result.claimed.app_id)}::text[]),
      unnest(${column(calls, ({ result }) => result.claimed.account_id)}::text[]),
      unnest(${column(calls, ({ result }) => result.claimed.user_id)}::text[]),
      unnest(${column(calls, ({ result }) => result.claimed.revision)}::int[]),
      unnest(${column(calls, ({ operation }) => operation.step)}::text[]),
      unnest(${column(calls, ({ operation }) => operation.outcome)}::text[]),
      unnest(${column(calls, ({ operation }) => operation.fault)}::text[]),
      jsonb_array_elements(${jsonbList(calls.map(({ operation }) => operation.detail))}),
      unnest(${column(calls, ({ result }) => result.claimed.cause)}::bigint[]),
      unnest(${column(calls, ({ operation }) => operation.started_at)}::timestamptz[]),
      unnest(${column(calls, ({ operation }) => operation.finished_at)}::timestamptz[]))
      as o(app_id, account_id, user_id, revision, step, outcome, fault, detail, cause, started_at, finished_at)`.execute(
    trx,
  );
}

/** Raises the tasks that faults and manual work call for, and closes those that this batch mended. */
async function tellPeople(
  world: World,
  command: Command,
  results: readonly Result[],
  causes: ReadonlyMap<string, number | null>,
): Promise<void> {
  const tasks = results.flatMap(
    (result) => taskFor(world, result, causes.get(result.claimed.account_id) ?? null) ?? [],
  );
  if (tasks.length > 0) await raiseTasks(command, tasks);
  const mended = results.filter(
    ({ claimed, ended }) =>
      (ended === "done" && claimed.pending !== null) || ((ended === "done" || ended === "again") && claimed.had_fault),
  );
  const led = new Map(
    mended.map(({ claimed: { account_id, cause } }) => [account_id, causes.get(account_id) ?? cause]),
  );
  for (const [note, some] of Map.groupBy(mended, noteOf)) {
    await closeTasksFor(command, { account_ids: some.map(({ claimed }) => claimed.account_id), note, causes: led });
  }
}

/** Whom nobody had to make an account for has none. */
const noteOf = ({ claimed, have }: Result) =>
  claimed.pending === "create" && have === null ? "not needed any more" : "done";

function taskFor(world: World, result: Result, cause: number | null): NewTask | undefined {
  const { claimed, fault, pending } = result;
  const who = { app_id: claimed.app_id, user_id: claimed.user_id, account_id: claimed.account_id, cause };
  if (pending !== undefined) {
    const kind = pending === "create" ? "create_account" : pending === "remove" ? "remove_account" : "update_account";
    const profile = claimed.want?.profile ?? {};
    const title = `${pending} the account of ${claimed.login}`;
    return { kind, title, dedupe: `account:${claimed.account_id}`, detail: { profile }, ...who };
  }
  if (fault === undefined) return undefined;
  const when = reactions[fault.kind].task;
  const late = world.now().getTime() - (claimed.first_fault_at ?? world.now()).getTime() >= patience_ms;
  if (when === "never" || (when === "after_a_day" && !late)) return undefined;
  if (when === "app") return deniedTask(claimed.app_id, fault, cause);
  return {
    kind: "provisioning_fault",
    title: `provisioning ${claimed.login} failed`,
    dedupe: `account:${claimed.account_id}`,
    detail: { fault: fault.kind, message: fault.message, ...(fault.attribute ? { attribute: fault.attribute } : {}) },
    ...who,
  };
}

/** An account that appeared, vanished or changed sides wakes the groups of its app that the user is in. */
async function markWaitingPushes(world: World, trx: Transaction, results: readonly Result[]): Promise<void> {
  const moved = results.filter(
    ({ claimed, external_id, have, ended }) =>
      ended !== "pending" &&
      (external_id !== claimed.external_id || (have?.enabled ?? null) !== (claimed.have?.enabled ?? null)),
  );
  if (moved.length === 0 || !(await hasPushes(trx))) return;
  await markPushesOf(
    world,
    trx,
    moved.map(({ claimed }) => claimed),
  );
}

/**
 * Are groups pushed at all? Most companies push none, and asking is a tenth of what planning the mark of a thousand takes.
 * Asked with a value, because only such a statement is prepared (store/plans.ts); desire knows it from companyNow.ts.
 */
async function hasPushes(trx: Transaction): Promise<boolean> {
  const active = "ACTIVE";
  const { rows } = await sql<{ pushes: boolean }>`
    select exists (select from pushed_groups where status = ${active}) as pushes`.execute(trx);
  return rows[0]?.pushes ?? true;
}

/** Marks due the pushed groups of an app that hold any of these users. */
export async function markPushesOf(
  world: World,
  db: Transaction,
  accounts: readonly { app_id: string; user_id: string }[],
): Promise<void> {
  await sql`
    update pushed_groups p set due_at = least(coalesce(p.due_at, ${world.now()}::timestamptz), ${world.now()}::timestamptz),
      generation = p.generation + 1
    where p.status = 'ACTIVE' and p.id in (
      select p2.id
      from unnest(${column(accounts, (a) => a.app_id)}::text[], ${column(accounts, (a) => a.user_id)}::text[]) as x(app_id, user_id)
      join pushed_groups p2 on p2.app_id = x.app_id
      join groups g on g.id = p2.group_id
      where g.type = 'BUILT_IN' or exists (
        select 1 from membership_grants m where m.group_id = p2.group_id and m.user_id = x.user_id))`.execute(db);
}
