/**
 * Completing tasks: an administrator says that something was done, and that has an effect. What was done by hand in a
 * manual app becomes a fact of its account; what was mended in an app is tried again; a paused app is resumed.
 *
 * Law: a completed task of a manual app is all that anyone knows about that account, so it is taken at its word: the
 * account is now what the task asked for. If more is wanted by then, the engine asks for the rest in a new task.
 *
 * Called by the API, console and CLI, for one task or for thousands at once.
 */
import { sql } from "kysely";
import type { Refusal } from "../core/types.ts";
import { violatedUnique } from "../store/database.ts";
import { resumeApp, retryFaulted } from "./appHealth.ts";
import { type Command, logAll, type Running, run, wake } from "./command.ts";
import { closeTasksFor, type TaskKind } from "./tasks.ts";

/** `external_ids`: task id → the account's id in the app, where whoever made it knows one. */
export type Completion = Readonly<{ note?: string; external_ids?: Readonly<Record<string, string>> }>;

type OpenTask = Readonly<{
  id: string;
  kind: TaskKind;
  title: string;
  app_id: string | null;
  user_id: string | null;
  account_id: string | null;
  push_id: string | null;
}>;

const byHand: ReadonlySet<TaskKind> = new Set(["create_account", "update_account", "remove_account"]);

/** Completes one task; refuses one that is not open. */
export async function completeTask(
  command: Command,
  id: string,
  how: Readonly<{ note?: string; external_id?: string }> = {},
): Promise<"completed" | Refusal> {
  const { note, external_id } = how;
  const done = await completeTasks(command, [id], {
    ...(note === undefined ? {} : { note }),
    ...(external_id === undefined ? {} : { external_ids: { [id]: external_id } }),
  });
  if (typeof done === "object" && "refused" in done) return done;
  return done === 1 ? "completed" : { refused: `there is no open task ${id.slice(0, 100)}`, code: "not_found" };
}

/** Completes open tasks, each with its effect; ids of others are passed over. Gives how many were completed. */
export async function completeTasks(
  command: Command,
  ids: readonly string[],
  how: Completion = {},
): Promise<number | Refusal> {
  try {
    return await run<number>(command, async (running) => {
      const { rows } = await sql<OpenTask>`
        select id, kind, title, app_id, user_id, account_id, detail->>'push' as push_id from tasks
        where id = any(${[...ids]}::text[]) and status = 'OPEN' order by dedupe for update`.execute(running.db);
      await completeByHand(
        running,
        rows.filter((task) => byHand.has(task.kind)),
        how.external_ids ?? {},
      );
      await tryAgain(running, rows);
      const note = how.note ?? "completed";
      // Resuming an app closes its tasks too, so this may find fewer open than were picked.
      await closeTasksFor(running, { ids: rows.map((task) => task.id), note });
      return rows.length;
    });
  } catch (error) {
    if (violatedUnique(error) !== "accounts_external") throw error;
    return {
      refused: "another person's account in this app has that id already: give the id of the new account",
      code: "duplicate",
      place: "external_id",
    };
  }
}

/** The accounts of manual tasks become what was asked for; what is still missing then is due again. */
async function completeByHand(
  running: Running,
  tasks: readonly OpenTask[],
  external_ids: Readonly<Record<string, string>>,
): Promise<void> {
  if (tasks.length === 0) return;
  const now = running.now();
  const ids = tasks.map((task) => task.id);
  const given = tasks.map((task) => (Object.hasOwn(external_ids, task.id) ? (external_ids[task.id] ?? null) : null));
  const { rows } = await sql<{ account_id: string; settled: boolean }>`
    with done as (
      select t.kind, t.account_id, t.detail->'profile' as profile, nullif(i.external_id, '') as external_id
      from tasks t join unnest(${ids}::text[], ${given}::text[]) as i(id, external_id) on i.id = t.id
    )
    update accounts a set
      have = case when d.kind = 'remove_account' then null else jsonb_build_object(
        'enabled', coalesce((a.want->>'enabled')::boolean, true), 'profile', coalesce(d.profile, a.want->'profile', '{}')) end,
      external_id = case d.kind when 'remove_account' then null
        when 'create_account' then coalesce(d.external_id, a.external_id, a.id) else a.external_id end,
      have_revision = a.want_revision, pending = null, error = null,
      synced_at = ${now}::timestamptz, updated_at = ${now}::timestamptz
    from done d where a.id = d.account_id
    returning a.id as account_id, case when a.have is null then a.want is null or not (a.want->>'enabled')::boolean
      else coalesce(a.want - 'create' = a.have, false) end as settled`.execute(running.db);
  const settled = rows.filter((row) => row.settled).map((row) => row.account_id);
  await sql`delete from work where account_id = any(${settled}::text[])`.execute(running.db);
  await sql`
    insert into work (account_id, app_id, user_id, revision, due_at, priority, marked_at)
    select id, app_id, user_id, want_revision, ${now}::timestamptz, 10, ${now}::timestamptz
    from accounts where id = any(${rows.filter((row) => !row.settled).map((row) => row.account_id)}::text[]) order by id
    on conflict (account_id) do update set due_at = excluded.due_at, claimed_by = null, claimed_until = null`.execute(
    running.db,
  );
  await wake(running.db);
  await logAll(running, tasks.map(eventOf));
}

function eventOf(task: OpenTask) {
  const type =
    task.kind === "create_account"
      ? "application.user_membership.provision"
      : task.kind === "remove_account"
        ? "application.user_membership.deprovision"
        : "application.provision.user.push_profile";
  const targets = [{ id: task.id, type: "Task" as const, name: task.title }];
  return { type, app_id: task.app_id, user_id: task.user_id, targets };
}

/** What an administrator says was mended in the app is tried again at once. */
async function tryAgain(running: Running, tasks: readonly OpenTask[]): Promise<void> {
  const faulted = tasks.filter((task) => ["provisioning_fault", "mismatch"].includes(task.kind));
  for (const [app_id, some] of Map.groupBy(faulted, (task) => task.app_id)) {
    const account_ids = some.flatMap((task) => task.account_id ?? []);
    if (app_id !== null && account_ids.length > 0) await retryFaulted(running, { app_id, account_ids });
  }
  const paused = new Set(tasks.filter((task) => task.kind === "app_paused").flatMap((task) => task.app_id ?? []));
  for (const app_id of paused) await resumeApp(running, app_id);
  const pushes = tasks.filter((task) => task.kind === "group_push_error").flatMap((task) => task.push_id ?? []);
  if (pushes.length === 0) return;
  await sql`
    update pushed_groups set due_at = ${running.now()}::timestamptz, attempts = 0, full_check = true, generation = generation + 1
    where id = any(${pushes}::text[])`.execute(running.db);
  await wake(running.db);
}
