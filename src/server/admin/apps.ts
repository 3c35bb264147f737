/** What Okta cannot say of an app: its health, pause, licence, every switch, what it holds that is nobody's. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { z } from "zod";
import { decideOrphans, listAccounts, listOrphans, orphanCursor } from "../../directory/accounts.ts";
import { appHealth, pauseApp, resumeApp } from "../../directory/appHealth.ts";
import { type App, listApps, orderSources, updateApp } from "../../directory/apps.ts";
import { convertAssignments } from "../../directory/assignments.ts";
import { seatCount, setLicence } from "../../directory/licences.ts";
import { type MappingRefusal, mappingOf, putMapping } from "../../directory/mappings.ts";
import { reconcileApp } from "../../engine/reconcile.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { invalid, must } from "../errors.ts";
import { page } from "../paging.ts";
import { anApp, app_params, given, mapping_lines, moment, paged } from "./shared.ts";
import { failing, keepUpload, learnColumns, upload_bytes_max } from "./uploads.ts";

const switches = z.record(z.string().max(50), z.json());

/** An app with its state, in our own words. */
async function appView(api: Api, app: App) {
  const [health] = await appHealth(api.db, api.world.now(), [app.id]);
  return {
    ...{ id: app.id, name: app.name, label: app.label, kind: app.kind, status: app.status, config: app.config },
    ...{ provisioning: app.provisioning, sourcing: app.sourcing, source_priority: app.source_priority },
    licence: { seats: app.seats, used: await seatCount(api.db, app.id), expires_at: app.licence_expires_at },
    health,
  };
}

/** Registers the routes. */
export function adminAppRoutes(server: Server, api: Api): void {
  server.get(
    "/admin/v1/connectors",
    about("apps", "Every kind of connector, with the form of its configuration"),
    async () => api.forms,
  );

  server.get(
    "/admin/v1/apps",
    about("apps", "Apps with their health", { querystring: z.object(paged) }),
    async (request, reply) => {
      const { after, limit } = request.query;
      const apps = page(
        request,
        reply,
        await listApps(api.db, { limit: limit + 1, ...given("after", after) }),
        limit,
        ({ id }) => id,
      );
      return Promise.all(apps.map((app) => appView(api, app)));
    },
  );

  server.get(
    "/admin/v1/apps/:app_id",
    about("apps", "An app with its health", { params: app_params }),
    async (request) => appView(api, await anApp(api, request.params.app_id)),
  );
  changeRoutes(server, api);
}

/** What administrators change of an app. */
function changeRoutes(server: Server, api: Api): void {
  const change = z.object({
    label: z.string().max(100).optional(),
    config: switches.optional(),
    provisioning: switches.optional(),
    sourcing: switches.nullish(),
    source_priority: z.int().min(0).nullish(),
  });
  server.patch(
    "/admin/v1/apps/:app_id",
    about("apps", "Change switches, sourcing rules, configuration", { params: app_params, body: change }),
    async (request) => {
      const app = await anApp(api, request.params.app_id);
      const changed = Object.fromEntries(Object.entries(request.body).filter(([, value]) => value !== undefined));
      // A change of the configuration names only what changes.
      const config = request.body.config === undefined ? {} : { config: { ...app.config, ...request.body.config } };
      return appView(api, must(await updateApp(commandOf(api, request), app.id, { ...changed, ...config }, api.tools)));
    },
  );

  const pause = z.object({ reason: z.string().min(1).max(500), until: moment.nullish() });
  server.post(
    "/admin/v1/apps/:app_id/pause",
    about("apps", "Stop all calls to an app; what is due stays due", { params: app_params, body: pause }),
    async (request) => {
      const { id } = await anApp(api, request.params.app_id);
      return must(
        await pauseApp(commandOf(api, request), id, { reason: request.body.reason, until: request.body.until ?? null }),
      );
    },
  );

  server.post(
    "/admin/v1/apps/:app_id/resume",
    about("apps", "Let an app be called again at once", { params: app_params }),
    async (request) => {
      const { id } = await anApp(api, request.params.app_id);
      return must(await resumeApp(commandOf(api, request), id));
    },
  );

  const licence = z.object({ seats: z.int().min(0).nullable(), expires_at: moment.nullable() });
  server.put(
    "/admin/v1/apps/:app_id/licence",
    about("apps", "Seats and end of an app's licence", { params: app_params, body: licence }),
    async (request) => {
      const { id } = await anApp(api, request.params.app_id);
      return must(await setLicence(commandOf(api, request), id, request.body));
    },
  );

  const order = z.object({ app_ids: z.array(z.string().max(100)).max(1_000) });
  server.put(
    "/admin/v1/sources",
    about("apps", "Put sources in order: the first wins", { body: order }),
    async (request) =>
      must(await orderSources(commandOf(api, request), request.body.app_ids)).map(({ id, label, source_priority }) => ({
        id,
        label,
        source_priority,
      })),
  );

  lookRoutes(server, api);
  mappingRoutes(server, api);
  accountRoutes(server, api);
}

/** What makes the app itself be asked. */
function lookRoutes(server: Server, api: Api): void {
  server.post(
    "/admin/v1/apps/:app_id/reconcile",
    about("apps", "Compare the whole app with what we believe, now", { params: app_params }),
    async (request) => {
      const { id } = await anApp(api, request.params.app_id);
      return failing(() => reconcileApp(api.world, id));
    },
  );

  server.post(
    "/admin/v1/apps/:app_id/discover",
    {
      ...about("apps", "Ask an app (or a text/csv body) for its attributes and take them over", { params: app_params }),
      bodyLimit: upload_bytes_max,
    },
    async (request) => {
      const app = await anApp(api, request.params.app_id);
      const file = request.body instanceof Readable ? await keepUpload(api, request.body) : undefined;
      try {
        return { attributes: await learnColumns(api, commandOf(api, request), app.id, file) };
      } finally {
        if (file !== undefined) await rm(join(api.import_folder, file), { force: true });
      }
    },
  );
}

function mappingRoutes(server: Server, api: Api): void {
  const params = app_params.extend({ direction: z.enum(["to_app", "to_user"]) });
  const lines = z.object({ lines: mapping_lines });
  server.get(
    "/admin/v1/apps/:app_id/mappings/:direction",
    about("mappings", "An app's mapping, in our words", { params }),
    async (request) => {
      const app = await anApp(api, request.params.app_id);
      const mapping = await mappingOf(api.db, app.id, request.params.direction);
      return { id: mapping?.id ?? null, lines: mapping?.lines ?? {} };
    },
  );
  server.put(
    "/admin/v1/apps/:app_id/mappings/:direction",
    about("mappings", "Replace an app's mapping", { params, body: lines }),
    async (request) => {
      const app = await anApp(api, request.params.app_id);
      const outcome = await putMapping(
        commandOf(api, request),
        app.id,
        request.params.direction,
        request.body.lines as Parameters<typeof putMapping>[3],
      );
      const { problems } = outcome as Partial<MappingRefusal>;
      if (problems !== undefined)
        throw invalid("mapping", ...problems.map((one) => `${one.attribute}: ${one.message}`));
      const { id, lines: kept } = must(outcome, "mapping");
      return { id, lines: kept };
    },
  );
}

function accountRoutes(server: Server, api: Api): void {
  const query = z.object({
    app: z.string().max(200).optional(),
    user_id: z.string().max(100).optional(),
    which: z.enum(["assigned", "all"]).default("assigned"),
    fault: z
      .enum(["retry", "rate_limited", "conflict", "not_found", "invalid", "denied", "unsupported", "any"])
      .optional(),
    q: z.string().max(200).optional(),
    ...paged,
  });
  server.get(
    "/admin/v1/accounts",
    about("assignments", "Accounts of an app or of a person, with their state", { querystring: query }),
    async (request, reply) => {
      const { app, user_id, which, fault, q, after, limit } = request.query;
      if (app === undefined && user_id === undefined) throw invalid("app", "say whose accounts: app or user_id");
      const app_id = app === undefined ? undefined : (await anApp(api, app)).id;
      const choice = {
        which,
        ...given("app_id", app_id),
        ...given("user_id", user_id),
        ...given("fault", fault),
        ...given("q", q),
        ...given("after", after),
      };
      const accounts = await listAccounts(api.db, { ...choice, limit: limit + 1 }, api.world.now());
      return page(request, reply, accounts, limit, (last) => (app_id === undefined ? last.app_id : last.user_id));
    },
  );

  const orphans = z.object({
    app: z.string().max(200).optional(),
    ignored: z.enum(["true", "false"]).default("false"),
    ...paged,
  });
  server.get(
    "/admin/v1/orphans",
    about("assignments", "What apps hold that is nobody's", { querystring: orphans }),
    async (request, reply) => {
      const { app, ignored, after, limit } = request.query;
      const choice = {
        ignored: ignored === "true",
        ...given("app_id", app === undefined ? undefined : (await anApp(api, app)).id),
        ...given("after", after),
      };
      return page(request, reply, await listOrphans(api.db, { ...choice, limit: limit + 1 }), limit, orphanCursor);
    },
  );
  decisionRoutes(server, api);
}

/** What administrators decide of many accounts at once. */
function decisionRoutes(server: Server, api: Api): void {
  const decision = z.object({
    external_ids: z.array(z.string().max(500)).min(1).max(10_000),
    decision: z.enum(["ignore"]).nullable(),
  });
  server.post(
    "/admin/v1/apps/:app_id/orphans/decide",
    about("assignments", "Leave orphans alone, or take that back", { params: app_params, body: decision }),
    async (request) => {
      const { id } = await anApp(api, request.params.app_id);
      return {
        decided: must(
          await decideOrphans(commandOf(api, request), id, request.body.external_ids, request.body.decision),
        ),
      };
    },
  );

  const who = z.object({ user_ids: z.array(z.string().max(100)).max(100_000).optional() }).nullish();
  server.post(
    "/admin/v1/apps/:app_id/assignments/convert",
    about("assignments", "Turn people's own assignments into their groups'", { params: app_params, body: who }),
    async (request) => {
      const { id } = await anApp(api, request.params.app_id);
      const { converted, kept } = must(
        await convertAssignments(commandOf(api, request), id, request.body?.user_ids ?? "all"),
      );
      return { converted: converted.length, kept };
    },
  );
}
