/**
 * Imports: reading a source now, from where it is configured or from an uploaded file. An import goes on after the
 * answer; it is looked at, cancelled, and, when a guard holds it, released or discarded here.
 *
 * Law: an upload is written below the import folder under a name of ours, never one of the client's, and bounded.
 */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { z } from "zod";
import type { Refusal } from "../../core/types.ts";
import { type Command, run } from "../../directory/command.ts";
import { loadSchema } from "../../directory/schemaQueries.ts";
import { discardSession } from "../../directory/sessionTurns.ts";
import { closeTasksFor } from "../../directory/tasks.ts";
import { type ImportProgress, type ImportRequest, type ImportSummary, startImport } from "../../engine/import.ts";
import { idInSource } from "../../engine/importPerson.ts";
import { closeStage } from "../../engine/importStage.ts";
import { isRefusal, sql } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, found, invalid, must } from "../errors.ts";
import { page } from "../paging.ts";
import { anApp, app_params, given, paged } from "./shared.ts";
import { keepUpload, learnColumns, upload_bytes_max } from "./uploads.ts";

const params = z.object({ import_id: z.string().min(1).max(100) });

type Running = { controller: AbortController; progress: ImportProgress };

type ImportRow = {
  id: string;
  app_id: string;
  label: string;
  status: ImportSummary["status"];
  mode: "full" | "incremental";
  dry_run: boolean;
  counts: Record<string, number>;
  detail: Record<string, unknown>;
  /** What whoever began it is called. */
  started_by: string | null;
  started_at: Date;
  finished_at: Date | null;
};

/** Registers the routes. */
export function importRoutes(server: Server, api: Api): void {
  const running = new Map<string, Running>();
  const query = z.object({
    mode: z.enum(["full", "incremental"]).default("full"),
    dry_run: z.enum(["true", "false"]).default("false"),
    person: z
      .string()
      .min(1)
      .max(512)
      .refine((text) => !text.includes("\0") && text.isWellFormed(), "it holds a character that no id has")
      .optional()
      .describe("Only this person: the id in the source, or login or number of somebody with an account there"),
  });
  server.post(
    "/admin/v1/apps/:app_id/imports",
    {
      ...about("imports", "Import a source now; a text/csv body is read instead of the configured file", {
        params: app_params,
        querystring: query,
      }),
      bodyLimit: upload_bytes_max,
    },
    async (request, reply) => {
      const app = await anApp(api, request.params.app_id);
      const uploaded = request.body instanceof Readable ? await keepUpload(api, request.body) : undefined;
      const command = commandOf(api, request);
      // The first file also tells which columns there are.
      if (uploaded !== undefined && (await userAttributes(api, app.id)) === 0)
        await learnColumns(api, command, app.id, uploaded);
      const { mode, dry_run, person } = request.query;
      const people = person === undefined ? undefined : { ids: [must(await idInSource(api.db, app.id, person))] };
      const wish = { mode, dry_run: dry_run === "true", actor: command.actor, ...given("people", people) };
      const id = await begin(api, running, app.id, { ...wish, ...given("file", uploaded) });
      return reply.code(202).send(await readImport(api, running, id));
    },
  );

  const list = z.object({ app: z.string().max(200).optional(), ...paged });
  server.get(
    "/admin/v1/imports",
    about("imports", "Imports, the newest first", { querystring: list }),
    async (request, reply) => {
      const { app, after, limit } = request.query;
      const app_id = app === undefined ? undefined : (await anApp(api, app)).id;
      const { rows } = await sql<ImportRow>`
      select ${columns} where ${app_id === undefined ? sql`true` : sql`i.app_id = ${app_id}`}
        and ${after === undefined ? sql`true` : sql`i.id < ${after}`}
      order by i.id desc limit ${limit + 1}`.execute(api.db);
      return page(request, reply, rows, limit, ({ id }) => id);
    },
  );
  readingRoutes(server, api, running);
}

/** Looking at imports. */
function readingRoutes(server: Server, api: Api, running: Map<string, Running>): void {
  server.get(
    "/admin/v1/imports/:import_id",
    about("imports", "One import, with how far it is", { params }),
    async (request) => readImport(api, running, request.params.import_id),
  );

  const rows_query = z.object({
    outcome: z.string().max(50).optional(),
    after: z.coerce.number().int().optional(),
    /** Only people who leave, or whom a date cuts off. */
    loses: z.enum(["true"]).optional(),
    limit: paged.limit,
  });
  server.get(
    "/admin/v1/imports/:import_id/rows",
    about("imports", "What became of each row that changed something", { params, querystring: rows_query }),
    async (request, reply) => {
      const { import_id } = request.params;
      const { outcome, loses, after, limit } = request.query;
      const { rows } = await sql<{ line: number }>`
      select r.line, r.external_id, r.outcome, r.user_id, u.login, r.detail, r.profile, r.enabled
      from import_rows r left join users u on u.id = r.user_id
      where r.import_id = ${import_id} and ${outcome === undefined ? sql`true` : sql`r.outcome = ${outcome}`}
        and ${loses === undefined ? sql`true` : sql`(r.outcome in ('leave', 'vanish', 'left') or r.detail ? 'cut_off')`}
        and ${after === undefined ? sql`true` : sql`r.line > ${after}`}
      order by r.line limit ${limit + 1}`.execute(api.db);
      return page(request, reply, rows, limit, ({ line }) => String(line));
    },
  );

  endings(server, api, running);
}

function endings(server: Server, api: Api, running: Map<string, Running>): void {
  server.post(
    "/admin/v1/imports/:import_id/cancel",
    about("imports", "Stop a running import; what it has applied stays", { params }),
    async (request) => {
      const { import_id } = request.params;
      const row = await readImport(api, running, import_id);
      const one = running.get(import_id);
      if (row.status !== "RUNNING" || one === undefined) {
        throw new ApiError(409, "E0000001", "Api validation failed: import", [
          `the import is ${row.status} ${row.status === "RUNNING" ? "on another node: cancel it there" : "already"}`,
        ]);
      }
      one.controller.abort();
      return readImport(api, running, import_id);
    },
  );

  server.post(
    "/admin/v1/imports/:import_id/release",
    about(
      "imports",
      "Let a held import pass: what it shows is applied, whatever the source says by now. `count`: how many people its reason names",
      { params, body: z.object({ count: z.int().min(0) }) },
    ),
    async (request, reply) => {
      const command = commandOf(api, request);
      await confirmCount(api, running, request.params.import_id, request.body.count);
      const held = await endHeld(api, running, request.params.import_id, command, "released");
      const wish = { mode: held.mode, actor: command.actor, released: held.id, ...given("session", sessionOf(held)) };
      const id = await begin(api, running, held.app_id, wish).catch(async (error: unknown) => {
        await holdAgain(api, held.id);
        throw error;
      });
      await sql`update imports set detail = detail || jsonb_build_object('ended_as', ${id}::text)
        where id = ${held.id}`.execute(api.db);
      await closeHeldTask(command, held.app_id, "the import was released");
      return reply.code(202).send(await readImport(api, running, id));
    },
  );

  server.post(
    "/admin/v1/imports/:import_id/discard",
    about("imports", "Do not apply a held import", { params }),
    async (request) => {
      const command = commandOf(api, request);
      const held = await endHeld(api, running, request.params.import_id, command, "discarded");
      await run<true>(command, async (running) => {
        await discardSession(running, held.id, `its import ${held.id} was discarded by ${command.actor.name}`);
        await closeHeldTask(running, held.app_id, "the import was discarded");
        return true;
      });
      await closeStage(api.db, held.id);
      return readImport(api, running, held.id);
    },
  );
}

/** Ends a hold, for whoever comes first. @throws ApiError saying what became of an import that is not held any more. */
async function endHeld(
  api: Api,
  running: Map<string, Running>,
  id: string,
  command: ReturnType<typeof commandOf>,
  word: "released" | "discarded",
): Promise<ImportRow> {
  const ended = { ended: word, ended_by: command.actor.name, ended_at: command.now().toISOString() };
  const { rows } = await sql`
    update imports set status = 'CANCELLED', detail = detail || ${JSON.stringify(ended)}::jsonb
    where id = ${id} and status = 'HELD' returning id`.execute(api.db);
  const row = await readImport(api, running, id);
  if (rows.length > 0) return row;
  throw new ApiError(409, "E0000001", "Api validation failed: import", [`import ${id} ${fateOf(row)}`]);
}

async function holdAgain(api: Api, id: string): Promise<void> {
  await sql`
    update imports set status = 'HELD', detail = detail - 'ended' - 'ended_by' - 'ended_at'
    where id = ${id} and status = 'CANCELLED'`.execute(api.db);
}

/** One task for a source: it stays while something else of it is held, as records that came one by one are. */
async function closeHeldTask(command: Command, app_id: string, note: string): Promise<void> {
  const { rows } = await sql`select 1 from imports where app_id = ${app_id} and status = 'HELD' limit 1`.execute(
    command.db,
  );
  if (rows.length === 0) await closeTasksFor(command, { dedupe: [`import:${app_id}`], note });
}

/** What a source had sent by itself when its import was held. */
function sessionOf({ detail: { session, single } }: ImportRow): ImportRequest["session"] {
  return typeof session === "string" ? { id: session, single: single === true, cause: null } : undefined;
}

/** @throws ApiError unless it is the number of people that a held import is about: whoever types it has seen it. */
async function confirmCount(api: Api, running: Map<string, Running>, id: string, count: number): Promise<void> {
  const { status, detail } = await readImport(api, running, id);
  const { to_confirm, reason } = detail;
  if (status !== "HELD" || to_confirm === count) return;
  throw invalid("count", `${count} is not the number of people this import is about: ${reason}`);
}

/** What became of an import that nobody can decide about any more. */
function fateOf({ status, detail }: ImportRow): string {
  const { ended, ended_by, ended_at, ended_as } = detail;
  if (typeof ended !== "string") return `is ${status}: it is not held, so there is nothing to decide`;
  if (ended === "overtaken")
    return `was overtaken by import ${ended_by} at ${ended_at}: import the source again instead`;
  return `was ${ended} by ${ended_by} at ${ended_at}${ended_as === undefined ? "" : `, as import ${ended_as}`}`;
}

/** Starts an import and gives its id as soon as it has one; what becomes of it is in its row. */
async function begin(api: Api, running: Map<string, Running>, app_id: string, wish: ImportRequest): Promise<string> {
  const controller = new AbortController();
  const started = Promise.withResolvers<string>();
  const work: Promise<ImportSummary | Refusal> = startImport(api.world, app_id, {
    ...wish,
    signal: controller.signal,
    onProgress: (progress) => {
      running.set(progress.id, { controller, progress });
      started.resolve(progress.id);
    },
  });
  work.then(
    async (outcome) => {
      if (isRefusal(outcome)) return;
      running.delete(outcome.id);
      started.resolve(outcome.id);
      // A file left behind is litter: it is cleared after the next import.
      if (wish.file !== undefined) await rm(join(api.import_folder, wish.file), { force: true }).catch(() => {});
    },
    () => {},
  );
  const first = await Promise.race([started.promise, work]);
  if (typeof first === "string") return first;
  if (isRefusal(first) && wish.file !== undefined) await rm(join(api.import_folder, wish.file), { force: true });
  return must(first).id;
}

async function userAttributes(api: Api, app_id: string): Promise<number> {
  return (await loadSchema(api.db, "app", app_id))?.attributes.length ?? 0;
}

const columns = sql`
  i.id, i.app_id, a.label, i.status, i.mode, i.dry_run, i.counts, i.detail - 'next_since' as detail,
  i.started_by->>'name' as started_by, i.started_at, i.finished_at
  from imports i join apps a on a.id = i.app_id`;

async function readImport(api: Api, running: ReadonlyMap<string, Running>, id: string) {
  const { rows } = await sql<ImportRow>`select ${columns} where i.id = ${id}`.execute(api.db);
  const row = found(rows[0], id, "Import");
  const progress = row.status === "RUNNING" ? running.get(id)?.progress : undefined;
  return {
    ...row,
    progress: progress === undefined ? null : { phase: progress.phase, done: progress.done, total: progress.total },
  };
}
