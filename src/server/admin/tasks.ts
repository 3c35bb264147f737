/** Work for administrators: what the engine could not do, one line per cause, and saying what became of it. */
import { z } from "zod";
import { retryFaulted } from "../../directory/appHealth.ts";
import { completeTask, completeTasks } from "../../directory/completion.ts";
import {
  dismissTasks,
  editTask,
  groupTasks,
  listTasks,
  readTask,
  reopenTask,
  type TaskFilter,
  type TaskKind,
} from "../../directory/tasks.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { must } from "../errors.ts";
import { page } from "../paging.ts";
import { anApp, given, moment, paged } from "./shared.ts";

const params = z.object({ task_id: z.string().min(1).max(100) });
const faults = z.enum(["retry", "rate_limited", "conflict", "not_found", "invalid", "denied", "unsupported"]);
const filter = z.object({
  status: z.enum(["OPEN", "DONE", "DISMISSED"]).default("OPEN"),
  kind: z.string().max(50).optional(),
  app: z.string().max(200).optional(),
  user_id: z.string().max(100).optional(),
  assignee: z.string().max(200).optional(),
  fault: z.string().max(50).optional(),
  attribute: z.string().max(200).optional(),
  q: z.string().max(200).optional(),
});

async function filterOf(api: Api, query: z.infer<typeof filter>): Promise<TaskFilter> {
  const { app, kind, ...rest } = query;
  const named = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return {
    ...named,
    ...given("kind", kind as TaskKind | undefined),
    ...given("app_id", app === undefined ? undefined : (await anApp(api, app)).id),
  };
}

/** Registers the routes. */
export function taskRoutes(server: Server, api: Api): void {
  server.get(
    "/admin/v1/tasks",
    about("tasks", "Tasks, the newest first", { querystring: filter.extend(paged) }),
    async (request, reply) => {
      const { after, limit, ...query } = request.query;
      const tasks = await listTasks(api.db, {
        ...(await filterOf(api, query)),
        limit: limit + 1,
        ...given("after", after),
      });
      return page(request, reply, tasks, limit, ({ id }) => id);
    },
  );

  server.get(
    "/admin/v1/tasks/groups",
    about("tasks", "Tasks by cause: a thousand alike are one line", { querystring: filter }),
    async (request) => groupTasks(api.db, await filterOf(api, request.query)),
  );

  server.get("/admin/v1/tasks/:task_id", about("tasks", "One task", { params }), async (request) =>
    must(await readTask(api.db, request.params.task_id)),
  );

  const edit = z.object({
    assignee: z.string().max(200).nullish(),
    due_at: moment.nullish(),
    note: z.string().min(1).max(4_000).optional(),
  });
  server.patch(
    "/admin/v1/tasks/:task_id",
    about("tasks", "Assign, date or note a task", { params, body: edit }),
    async (request) => {
      const { assignee, due_at, note } = request.body;
      const change = { ...given("assignee", assignee), ...given("due_at", due_at), ...given("note", note) };
      return must(await editTask(commandOf(api, request), request.params.task_id, change));
    },
  );
  closingRoutes(server, api);
}

/** How a task ends. */
function closingRoutes(server: Server, api: Api): void {
  const completion = z
    .object({ note: z.string().max(4_000).optional(), external_id: z.string().max(500).optional() })
    .nullish();
  server.post(
    "/admin/v1/tasks/:task_id/complete",
    about("tasks", "Say that a task is done; an account made by hand becomes a fact", { params, body: completion }),
    async (request) => {
      const { task_id } = request.params;
      const how = { ...given("note", request.body?.note), ...given("external_id", request.body?.external_id) };
      must(await completeTask(commandOf(api, request), task_id, how));
      return must(await readTask(api.db, task_id));
    },
  );

  const dismissal = z.object({ note: z.string().max(4_000).optional() }).nullish();
  server.post(
    "/admin/v1/tasks/:task_id/dismiss",
    about("tasks", "Say that a task need not be done", { params, body: dismissal }),
    async (request) => {
      const { task_id } = request.params;
      must(await readTask(api.db, task_id));
      must(await dismissTasks(commandOf(api, request), [task_id], request.body?.note));
      return must(await readTask(api.db, task_id));
    },
  );

  server.post(
    "/admin/v1/tasks/:task_id/reopen",
    about("tasks", "Open a closed task again", { params }),
    async (request) => must(await reopenTask(commandOf(api, request), request.params.task_id)),
  );

  bulkRoutes(server, api);
}

function bulkRoutes(server: Server, api: Api): void {
  const many = z.object({
    ids: z.array(z.string().max(100)).min(1).max(1_000),
    note: z.string().max(4_000).optional(),
  });
  server.post(
    "/admin/v1/tasks/complete",
    about("tasks", "Complete many tasks at once", { body: many }),
    async (request) => ({
      completed: must(await completeTasks(commandOf(api, request), request.body.ids, given("note", request.body.note))),
    }),
  );
  server.post(
    "/admin/v1/tasks/dismiss",
    about("tasks", "Dismiss many tasks at once", { body: many }),
    async (request) => ({
      dismissed: must(await dismissTasks(commandOf(api, request), request.body.ids, request.body.note)),
    }),
  );

  const retry = z.object({
    app: z.string().min(1).max(200),
    faults: z.array(faults).max(7).optional(),
    account_ids: z.array(z.string().max(100)).max(10_000).optional(),
  });
  server.post(
    "/admin/v1/tasks/retry",
    about("tasks", "Try again now what failed in an app; tasks close by themselves when it works", { body: retry }),
    async (request) => {
      const app = await anApp(api, request.body.app);
      const choice = {
        app_id: app.id,
        ...given("faults", request.body.faults),
        ...given("account_ids", request.body.account_ids),
      };
      return retryFaulted(commandOf(api, request), choice);
    },
  );
}
