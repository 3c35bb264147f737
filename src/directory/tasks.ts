/**
 * Tasks: work that only a person can do, raised by the engine and by imports, closed by people or when it mends itself.
 *
 * Laws: one open task for one piece of work (`dedupe`), however often it is raised: raising it again counts, and takes
 * the newest words. Nothing is ever lost: a closed task stays, with who closed it and why. Completing a task has
 * effects on accounts and apps; those are in completion.ts.
 */
import type { Refusal, Value } from "../core/types.ts";
import { type Database, json, sql } from "../store/database.ts";
import type { Target, TaskRow } from "../store/tables.ts";
import { type Command, log, logAll, type Running, run } from "./command.ts";
import { rowsOf } from "./pages.ts";

/** What there is to do, and so what its buttons are. */
export const taskKinds = [
  "create_account",
  "update_account",
  "remove_account",
  "provisioning_fault",
  "app_paused",
  "import_held",
  "import_failed",
  "import_row",
  "end_ahead",
  "group_push_error",
  "push_rule_error",
  "mapping_error",
  "mismatch",
  "orphan",
  "event_hook_failing",
] as const;
export type TaskKind = (typeof taskKinds)[number];

export type TaskStatus = "OPEN" | "DONE" | "DISMISSED";

/**
 * A task to raise. `dedupe` names the piece of work. `detail.fault`, `detail.attribute` and `detail.message` are what the
 * grouped view goes by; `detail.count` is kept here.
 */
export type NewTask = Readonly<{
  kind: TaskKind;
  title: string;
  dedupe: string;
  detail?: Readonly<Record<string, Value>>;
  app_id?: string | null;
  user_id?: string | null;
  account_id?: string | null;
  cause?: number | null;
  due_at?: Date | null;
  assignee?: string | null;
}>;

/** A task with the names a list shows beside its ids. */
export type Task = Readonly<
  Omit<TaskRow, "id" | "kind" | "status" | "detail" | "notes" | "due_at" | "created_at" | "closed_at"> & {
    id: string;
    kind: TaskKind;
    status: TaskStatus;
    detail: Readonly<Record<string, Value>>;
    notes: readonly Readonly<{ at: string; by: string; text: string }>[];
    due_at: Date | null;
    created_at: Date;
    closed_at: Date | null;
    app_label: string | null;
    login: string | null;
  }
>;

/** `created`: it was not open before, or it was open for another kind of work. */
export type RaisedTask = Readonly<{ id: string; dedupe: string; created: boolean }>;

const note_length_max = 4_000;
const notes_max = 200;

const target = (task: Readonly<{ id: string; title: string }>): Target => ({
  id: task.id,
  type: "Task",
  name: task.title,
});

/** Okta's names for the two sides of manual provisioning (okta-lifecycle 11, 25 and 27). */
const membershipEvent: Readonly<Partial<Record<TaskKind, string>>> = {
  create_account: "application.user_membership.approve",
  remove_account: "application.user_membership.revoke",
};

/** Raises tasks in one statement; several of one piece of work are one task. Gives them in order of `dedupe`. */
export async function raiseTasks(command: Command, tasks: readonly NewTask[]): Promise<RaisedTask[]> {
  const distinct = [...new Map(tasks.map((task) => [task.dedupe, task])).values()];
  if (distinct.length === 0) return [];
  const counts = Map.groupBy(tasks, (task) => task.dedupe);
  const lines = distinct.map((task) => ({ ...task, count: counts.get(task.dedupe)?.length ?? 1 }));
  const { rows } = await sql<
    RaisedTask & { kind: TaskKind; title: string; app_id: string | null; user_id: string | null; cause: number | null }
  >`
    with input as (
      select * from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as i(kind text, title text, dedupe text,
        detail jsonb, app_id text, user_id text, account_id text, cause bigint, due_at timestamptz, assignee text, count int)
    ), before as (
      select t.dedupe, t.kind from tasks t join input i using (dedupe) where t.status = 'OPEN'
    ), raised as (
      insert into tasks (kind, title, dedupe, detail, app_id, user_id, account_id, cause, due_at, assignee, created_at)
      select kind, title, dedupe, coalesce(detail, '{}') || jsonb_build_object('count', count), app_id, user_id,
             account_id, cause, due_at, assignee, ${command.now()}::timestamptz
      from input order by dedupe
      on conflict (dedupe) where status = 'OPEN' do update set
        kind = excluded.kind, title = excluded.title, cause = excluded.cause,
        due_at = coalesce(tasks.due_at, excluded.due_at), assignee = coalesce(tasks.assignee, excluded.assignee),
        detail = excluded.detail || jsonb_build_object('count', case when tasks.kind = excluded.kind
          then (tasks.detail->>'count')::int + (excluded.detail->>'count')::int
          else (excluded.detail->>'count')::int end)
      returning id, kind, title, dedupe, app_id, user_id, cause
    )
    select raised.*, before.kind is distinct from raised.kind as created
    from raised left join before using (dedupe) order by dedupe`.execute(command.db);
  const events = rows
    .filter((row) => row.created)
    .flatMap((row) => {
      const rest = { app_id: row.app_id, user_id: row.user_id, cause: row.cause ?? command.cause ?? null };
      const membership = membershipEvent[row.kind];
      return [
        ...(membership ? [{ type: membership, targets: [target(row)], ...rest }] : []),
        { type: "task.lifecycle.create", targets: [target(row)], detail: { kind: row.kind }, ...rest },
      ];
    });
  await logAll(command, events);
  return rows.map(({ id, dedupe, created }) => ({ id, dedupe, created: created === true }));
}

/** Which open tasks to close: all that match every given field. */
export type TaskChoice = Readonly<{
  ids?: readonly string[];
  account_ids?: readonly string[];
  app_id?: string;
  dedupe?: readonly string[];
  kinds?: readonly TaskKind[];
}>;

/**
 * Closes the open tasks of what has mended itself (or, by completion.ts, of what a person has done). Gives the closed
 * ones. A choice that names nothing closes nothing. `causes`: by account, what the log names as the cause of it.
 */
export async function closeTasksFor(
  command: Command,
  choice: TaskChoice &
    Readonly<{
      note?: string;
      status?: Exclude<TaskStatus, "OPEN">;
      causes?: ReadonlyMap<string, number | null>;
    }>,
): Promise<readonly Readonly<{ id: string; kind: TaskKind; title: string }>[]> {
  const { ids, account_ids, app_id, dedupe, kinds, note, status = "DONE", causes } = choice;
  if ([ids, account_ids, app_id, dedupe].every((part) => part === undefined)) return [];
  const added = note
    ? [{ at: command.now().toISOString(), by: command.actor.name, text: note.slice(0, note_length_max) }]
    : [];
  const { rows } = await sql<{
    id: string;
    kind: TaskKind;
    title: string;
    app_id: string | null;
    user_id: string | null;
    account_id: string | null;
  }>`
    with picked as (
      select id from tasks where status = 'OPEN'
        ${ids === undefined ? sql`` : sql`and id = any(${[...ids]}::text[])`}
        ${account_ids === undefined ? sql`` : sql`and account_id = any(${[...account_ids]}::text[])`}
        ${app_id === undefined ? sql`` : sql`and app_id = ${app_id}`}
        ${dedupe === undefined ? sql`` : sql`and dedupe = any(${[...dedupe]}::text[])`}
        ${kinds === undefined ? sql`` : sql`and kind = any(${[...kinds]}::text[])`}
      order by dedupe for update
    )
    update tasks t set status = ${status}, closed_at = ${command.now()}::timestamptz, closed_by = ${command.actor.id},
      notes = t.notes || ${json(added)}
    from picked where t.id = picked.id
    returning t.id, t.kind, t.title, t.app_id, t.user_id, t.account_id`.execute(command.db);
  await logAll(
    command,
    rows.map((row) => ({
      type: status === "DONE" ? "task.lifecycle.deactivate" : "system.org.task.remove",
      targets: [target(row)],
      app_id: row.app_id,
      user_id: row.user_id,
      reason: note ?? null,
      cause: causes?.get(row.account_id ?? "") ?? command.cause ?? null,
      detail: { kind: row.kind, status },
    })),
  );
  return rows;
}

/** What people change of an open task by hand: null takes away. `note` is added to the notes. */
export type TaskChange = Readonly<{ assignee?: string | null; due_at?: Date | null; note?: string }>;

/** Changes assignee or date, or adds a note. Notes may be added to closed tasks too. */
export function editTask(command: Command, id: string, change: TaskChange): Promise<Task | Refusal> {
  return run<Task>(command, async (running) => {
    const task = await lockTask(running, id);
    if ("refused" in task) return task;
    const { assignee = task.assignee, due_at = task.due_at, note } = change;
    if (task.status !== "OPEN" && (assignee !== task.assignee || due_at?.getTime() !== task.due_at?.getTime())) {
      return { refused: `task ${id} is closed: reopen it to assign or date it`, code: "illegal_transition" };
    }
    const refusal = noteProblem(task, note);
    if (refusal) return refusal;
    const added = note === undefined ? [] : [{ at: running.now().toISOString(), by: running.actor.name, text: note }];
    await running.db
      .updateTable("tasks")
      .set({ assignee, due_at, notes: json([...task.notes, ...added]) })
      .where("id", "=", id)
      .execute();
    await log(running, {
      type: "task.lifecycle.update",
      targets: [target(task)],
      app_id: task.app_id,
      user_id: task.user_id,
    });
    return readTask(running.db, id);
  });
}

function noteProblem(task: Task, note: string | undefined): Refusal | undefined {
  if (note === undefined) return undefined;
  if (note.trim() === "" || note.length > note_length_max) {
    return { refused: `a note has 1 to ${note_length_max} characters`, code: "invalid", place: "note" };
  }
  if (task.notes.length < notes_max) return undefined;
  return { refused: `task ${task.id} has ${notes_max} notes already`, code: "too_large", place: "note" };
}

/** Says that open tasks need not be done. Their accounts stay as they are. Gives how many were open. */
export function dismissTasks(command: Command, ids: readonly string[], note?: string): Promise<number | Refusal> {
  return run<number>(command, async (running) => {
    const closed = await closeTasksFor(running, { ids, status: "DISMISSED", ...(note ? { note } : {}) });
    return closed.length;
  });
}

/** Opens a closed task again, unless the same work has been raised anew since. */
export function reopenTask(command: Command, id: string): Promise<Task | Refusal> {
  return run<Task>(command, async (running) => {
    const task = await lockTask(running, id);
    if ("refused" in task || task.status === "OPEN") return task;
    const { rows } = await sql<{ id: string }>`
      select id from tasks where dedupe = ${task.dedupe} and status = 'OPEN'`.execute(running.db);
    if (rows[0]) {
      return { refused: `the same work is open as task ${rows[0].id}: work on that one`, code: "duplicate" };
    }
    await running.db
      .updateTable("tasks")
      .set({ status: "OPEN", closed_at: null, closed_by: null })
      .where("id", "=", id)
      .execute();
    await log(running, {
      type: "task.lifecycle.activate",
      targets: [target(task)],
      app_id: task.app_id,
      user_id: task.user_id,
    });
    return readTask(running.db, id);
  });
}

async function lockTask(running: Running, id: string): Promise<Task | Refusal> {
  await sql`select 1 from tasks where id = ${id} for update`.execute(running.db);
  return readTask(running.db, id);
}

const shown = sql`
  t.id, t.kind, t.status, t.title, t.detail, t.app_id, t.user_id, t.account_id, t.dedupe, t.cause, t.assignee, t.due_at,
  t.notes, t.created_at, t.closed_at, t.closed_by, apps.label as app_label, users.login
  from tasks t left join apps on apps.id = t.app_id left join users on users.id = t.user_id`;

/** One task, or a refusal. */
export async function readTask(db: Database, id: string): Promise<Task | Refusal> {
  const { rows } = await sql<Task>`select ${shown} where t.id = ${id}`.execute(db);
  return rows[0] ?? { refused: `there is no task ${id}`, code: "not_found" };
}

/** What a list of tasks is narrowed to. `after`: the last id of the page before. `fault` "" means: without a fault. */
export type TaskFilter = Readonly<{
  status?: TaskStatus;
  kind?: TaskKind;
  app_id?: string;
  user_id?: string;
  account_id?: string;
  assignee?: string;
  fault?: string;
  attribute?: string;
  /** Part of the title, without case. */
  q?: string;
  after?: string;
  limit?: number;
}>;

const conditions = (filter: TaskFilter) => sql`
  ${filter.status === undefined ? sql`true` : sql`t.status = ${filter.status}`}
  ${filter.kind === undefined ? sql`` : sql`and t.kind = ${filter.kind}`}
  ${filter.app_id === undefined ? sql`` : sql`and t.app_id = ${filter.app_id}`}
  ${filter.user_id === undefined ? sql`` : sql`and t.user_id = ${filter.user_id}`}
  ${filter.account_id === undefined ? sql`` : sql`and t.account_id = ${filter.account_id}`}
  ${filter.assignee === undefined ? sql`` : sql`and t.assignee = ${filter.assignee}`}
  ${filter.fault === undefined ? sql`` : sql`and coalesce(t.detail->>'fault', '') = ${filter.fault}`}
  ${filter.attribute === undefined ? sql`` : sql`and coalesce(t.detail->>'attribute', '') = ${filter.attribute}`}
  ${filter.q === undefined ? sql`` : sql`and strpos(lower(t.title), lower(${filter.q})) > 0`}`;

/** A page of tasks, the newest first. */
export async function listTasks(db: Database, filter: TaskFilter = {}): Promise<Task[]> {
  const { rows } = await sql<Task>`
    select ${shown} where ${conditions(filter)} ${filter.after === undefined ? sql`` : sql`and t.id < ${filter.after}`}
    order by t.id desc limit ${rowsOf(filter.limit)}`.execute(db);
  return rows;
}

/** Tasks that have one cause in one app: what the grouped view shows as one line. */
export type TaskGroup = Readonly<{
  kind: TaskKind;
  app_id: string | null;
  app_label: string | null;
  fault: string;
  attribute: string;
  count: number;
  oldest_at: Date;
  newest_at: Date;
  /** One of them, for a look: id, title, and what the app said. */
  sample_id: string;
  title: string;
  message: string | null;
}>;

/** The tasks of a filter by kind, app and cause, the largest group first: a thousand like failures are one line. */
export async function groupTasks(db: Database, filter: TaskFilter = { status: "OPEN" }): Promise<TaskGroup[]> {
  const { rows } = await sql<TaskGroup>`
    select g.*, apps.label as app_label, s.title, s.detail->>'message' as message
    from (
      select t.kind, t.app_id, coalesce(t.detail->>'fault', '') as fault, coalesce(t.detail->>'attribute', '') as attribute,
             count(*)::int as count, min(t.created_at) as oldest_at, max(t.created_at) as newest_at, max(t.id) as sample_id
      from tasks t where ${conditions(filter)} group by 1, 2, 3, 4
    ) g join tasks s on s.id = g.sample_id left join apps on apps.id = g.app_id
    order by g.count desc, g.sample_id desc limit ${rowsOf(filter.limit)}`.execute(db);
  return rows;
}
