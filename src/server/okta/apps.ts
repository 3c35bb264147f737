/**
 * /api/v1/apps: connecting, changing and removing apps (okta-api 4.4). An app whose `name` is a connector's kind (scim,
 * csv, manual) gets that connector, with `settings.app` as its configuration; any other is for sign-on only: assigning
 * it is all there is. Credentials come by connections.ts.
 */
import { z } from "zod";
import type { Refusal, Value } from "../../core/types.ts";
import { pauseApp } from "../../directory/appHealth.ts";
import {
  type App,
  activateApp,
  appByIdOrLabel,
  type Config,
  createApp,
  deactivateApp,
  deleteApp,
  type NewApp,
  updateApp,
} from "../../directory/apps.ts";
import { type Command, run } from "../../directory/command.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, found, invalid, must } from "../errors.ts";
import { afterOf, limitOf, page, setLinks } from "../paging.ts";
import { appBody, type KeptSettings } from "./appBody.ts";
import { findApps } from "./appSearch.ts";
import { unconfigured } from "./connections.ts";

export const app_params = z.object({ app_id: z.string().min(1).max(200) });
const tree = z.record(z.string(), z.json());

const app_input = z.object({
  name: z.string().min(1).max(100).optional(),
  label: z.string({ error: "Label must be specified" }).min(1, "Label must be specified"),
  signOnMode: z.string().max(50).nullish(),
  accessibility: tree.nullish(),
  visibility: tree.nullish(),
  credentials: tree.nullish(),
  settings: tree.nullish(),
  profile: tree.nullish(),
});

type AppInput = z.infer<typeof app_input>;

const list_query = z.object({
  q: z.string().max(200).optional().describe("Start of label or name"),
  filter: z.string().max(10_000).optional().describe('As in status eq "ACTIVE", or user.id eq "00u…"'),
  expand: z.string().max(200).optional(),
  after: afterOf,
  limit: limitOf(20, 200),
});

/** Registers the routes. */
export function appRoutes(server: Server, api: Api): void {
  server.get("/api/v1/apps", about("apps", "List apps", { querystring: list_query }), async (request, reply) => {
    const { q, filter, expand, after, limit } = request.query;
    if (expand !== undefined && !expand.startsWith("user/"))
      throw invalid("RequestParams", "expand takes user/{id}, beside filter=user.id eq");
    const apps = await findApps(api.db, { q, filter, after, limit: limit + 1 });
    return page(request, reply, apps, limit, ({ id }) => id).map((app) => appBody(app, request.base_url));
  });

  const creating = z.object({ activate: z.enum(["true", "false"]).default("true") });
  server.post(
    "/api/v1/apps",
    about("apps", "Connect an app", { querystring: creating, body: app_input }),
    async (request) => {
      const input = request.body;
      const kind = api.forms.find((form) => form.kind === input.name)?.kind ?? "none";
      const config = kind === "none" ? undefined : configOf(input.settings);
      const waiting = kind === "scim" && config?.["base_url"] === undefined;
      const app = must(
        await createWaiting(
          commandOf(api, request),
          {
            label: input.label,
            kind,
            active: request.query.activate === "true",
            settings: keptOf(input, kind),
            ...(kind === "none" && input.name !== undefined && /^[A-Za-z_]\w*$/.test(input.name)
              ? { name: input.name }
              : {}),
            ...(config === undefined ? {} : { config: waiting ? { base_url: unconfigured, ...config } : config }),
          },
          waiting,
          api,
        ),
      );
      return appBody(app, request.base_url);
    },
  );
  oneAppRoutes(server, api);
  emptyLists(server, api);
}

/** One app: reading, replacing, switching, deleting it. */
function oneAppRoutes(server: Server, api: Api): void {
  server.get("/api/v1/apps/:app_id", about("apps", "Read an app", { params: app_params }), async (request) =>
    appBody(await oneApp(api, request.params.app_id), request.base_url),
  );

  server.put(
    "/api/v1/apps/:app_id",
    about("apps", "Replace an app", { params: app_params, body: app_input }),
    async (request) => {
      const before = await oneApp(api, request.params.app_id);
      const given = request.body.settings?.["app"] === undefined ? undefined : configOf(request.body.settings);
      const config = before.kind === "none" ? undefined : given;
      const app = must(
        await updateApp(
          commandOf(api, request),
          before.id,
          {
            label: request.body.label,
            settings: keptOf(request.body, before.kind),
            ...(config === undefined ? {} : { config }),
          },
          api.tools,
        ),
      );
      return appBody(app, request.base_url);
    },
  );

  server.delete(
    "/api/v1/apps/:app_id",
    about("apps", "Delete an app that is switched off", { params: app_params }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      if (app.status === "ACTIVE") {
        throw new ApiError(403, "E0000056", "Delete application forbidden.", [
          "The application must be deactivated before deletion.",
        ]);
      }
      must(await deleteApp(commandOf(api, request), app.id));
      return reply.code(204).send();
    },
  );

  for (const [path, command] of [
    ["activate", activateApp],
    ["deactivate", deactivateApp],
  ] as const) {
    const summary = path === "activate" ? "Switch an app on" : "Switch an app off: its accounts stay as they are";
    server.post(
      `/api/v1/apps/:app_id/lifecycle/${path}`,
      about("apps", summary, { params: app_params }),
      async (request) => {
        const { id } = await oneApp(api, request.params.app_id);
        must(await command(commandOf(api, request), id));
        return {};
      },
    );
  }
}

/** Things Okta's sign-on side keeps of an app, which nobody has here. */
function emptyLists(server: Server, api: Api): void {
  for (const what of ["tokens", "grants"]) {
    server.get(
      `/api/v1/apps/:app_id/${what}`,
      about("apps", `Always empty: sign-on keeps ${what}`, { params: app_params }),
      async (request, reply) => {
        await oneApp(api, request.params.app_id);
        setLinks(request, reply, undefined);
        return [];
      },
    );
  }
}

/** Makes an app; one whose address comes later is not called until then, and nothing is to be done there. */
function createWaiting(command: Command, input: NewApp, waiting: boolean, api: Api): Promise<App | Refusal> {
  if (!waiting) return createApp(command, input, api.tools);
  const provisioning = { create: false, update: false, on_unassign: "keep" as const };
  return run<App>(command, async (running) => {
    const app = await createApp(running, { ...input, provisioning }, api.tools);
    if (isRefusal(app)) return app;
    const paused = await pauseApp(running, app.id, { reason: "it is not said yet where the app is" });
    return isRefusal(paused) ? paused : app;
  });
}

/** The app that a path names by id, or 404. */
export async function oneApp(api: Api, id: string): Promise<App> {
  const app = await appByIdOrLabel(api.db, id);
  return found(app?.id === id ? app : undefined, id, "AppInstance");
}

/** `settings.app` as a connector's configuration; Okta writes baseUrl where our form says base_url. */
export function configOf(settings: AppInput["settings"]): Config {
  const app = settings?.["app"];
  if (typeof app !== "object" || app === null || Array.isArray(app)) return {};
  const { baseUrl, ...rest } = app as Record<string, Value>;
  return baseUrl === undefined ? rest : { base_url: baseUrl, ...rest };
}

/** What to keep of a request. Passwords and client secrets are for a sign-on system, which this is not. */
function keptOf(input: AppInput, kind: string): Config {
  const { app, ...rest } = (input.settings ?? {}) as Record<string, Value>;
  const settings = kind === "none" && app !== undefined ? { ...rest, app } : rest;
  const { password, ...credentials } = (input.credentials ?? {}) as Record<string, Value>;
  if (password !== undefined && password !== null) credentials["password"] = {};
  const client = credentials["oauthClient"];
  if (typeof client === "object" && client !== null && !Array.isArray(client)) {
    const { client_secret: _, ...plain } = client as Record<string, Value>;
    credentials["oauthClient"] = plain;
  }
  const kept: KeptSettings = {
    ...(input.signOnMode === undefined
      ? input.name === "bookmark"
        ? { signOnMode: "BOOKMARK" }
        : {}
      : { signOnMode: input.signOnMode }),
    ...(input.accessibility ? { accessibility: input.accessibility as Config } : {}),
    ...(input.visibility ? { visibility: input.visibility as Config } : {}),
    ...(input.profile ? { profile: input.profile as Config } : {}),
    credentials,
    settings,
  };
  return kept as Config;
}
