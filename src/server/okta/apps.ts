/**
 * /api/v1/apps: connecting, changing and removing apps (okta-api 4.4). An app whose `name` is a connector's kind (scim,
 * csv, manual) gets that connector, with `settings.app` as its configuration; any other is for sign-on only: assigning
 * it is all there is. Credentials come by connections.ts.
 */
import { z } from "zod";
import { readPublicJwk } from "../../core/jwk.ts";
import type { Refusal, Value } from "../../core/types.ts";
import { pauseApp } from "../../directory/appHealth.ts";
import { isCustomName, nameProblem } from "../../directory/appNames.ts";
import {
  type App,
  activateApp,
  type Config,
  createApp,
  deactivateApp,
  deleteApp,
  type NewApp,
  updateApp,
} from "../../directory/apps.ts";
import { addSecret, keepASecret, needsSecret, setSecret } from "../../directory/clients.ts";
import { type Command, type Running, run } from "../../directory/command.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, invalid, must } from "../errors.ts";
import { afterOf, idCursor, limitOf, page } from "../paging.ts";
import { appBody, isTree, isWaiting, type KeptSettings, unconfigured } from "./appBody.ts";
import { findApps } from "./appSearch.ts";
import { appUserOf } from "./appUsers.ts";
import { entryOf, modeOf, type Tree } from "./catalogue.ts";
import { app_params, oneApp } from "./oneApp.ts";

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
    const user_id = expand === undefined ? undefined : /^user\/(00u[0-9A-Za-z]{17})$/.exec(expand)?.[1];
    if (expand !== undefined && user_id === undefined) {
      throw invalid("RequestParams", "Expand query is malformed.", "expand takes user/{id}, beside filter=user.id eq");
    }
    const apps = page(
      request,
      reply,
      await findApps(api.db, { q, filter, after: idCursor(after, "0oa"), limit: limit + 1 }),
      limit,
      ({ id }) => id,
    );
    const bodies = apps.map((app) => appBody(app, request.base_url));
    if (user_id === undefined) return bodies;
    const accounts = await Promise.all(apps.map((app) => appUserOf(api, app, user_id, request.base_url)));
    return bodies.map((body, n) => (accounts[n] ? { ...body, _embedded: { user: accounts[n] } } : body));
  });

  const creating = z.object({ activate: z.enum(["true", "false"]).default("true") });
  server.post(
    "/api/v1/apps",
    about("apps", "Connect an app", { querystring: creating, body: app_input }),
    async (request) => {
      const { app, secret } = must(
        await connect(api, commandOf(api, request), request.body, request.query.activate === "true"),
      );
      return withSecret(appBody(app, request.base_url), secret);
    },
  );
  oneAppRoutes(server, api);
}

type Connected = Readonly<{ app: App; secret?: string }>;

/** Makes the app that a client asks for, with its first client secret where it needs one. */
function connect(api: Api, command: Command, input: AppInput, active: boolean): Promise<Connected | Refusal> {
  const { kind, config } = connectorOf(api, input);
  const settings = keptOf(input, { kind, name: input.name });
  refuseConsent(input.name, settings);
  const client = clientInput(input);
  return run<Connected>(command, async (running) => {
    const wish = {
      ...{ label: input.label, kind, active, settings: settings as Config },
      ...(input.name !== undefined && input.name !== kind && nameProblem(input.name) === undefined
        ? { name: input.name }
        : {}),
      ...(config === undefined ? {} : { config }),
    };
    const app = await createWaiting(running, wish, api);
    if (isRefusal(app)) return app;
    if (app.client_id === null || !needsSecret(client.auth_method)) return { app };
    const made = await addSecret(running, api.tools.key, app, { secret: client.secret });
    return isRefusal(made) ? made : { app, secret: made.secret };
  });
}

/** Which connector a name stands for: its own kind, or SCIM where the catalogue knows of provisioning. */
function connectorOf(api: Api, input: AppInput): Readonly<{ kind: string; config?: Config }> {
  if (entryOf(input.name)?.provisioning) return { kind: "scim", config: { base_url: unconfigured } };
  const kind = api.forms.find((form) => form.kind === input.name)?.kind;
  if (kind === undefined) return { kind: "none" };
  const config = configOf(input.settings);
  const waiting = kind === "scim" && config["base_url"] === undefined;
  return { kind, config: waiting ? { base_url: unconfigured, ...config } : config };
}

/** Office 365 by WS-Federation would have to be set up there by us, which Okta wants consent for and we cannot do. */
function refuseConsent(name: string | undefined, { signOnMode, settings }: KeptSettings): void {
  const own = settings?.["app"];
  const automatic = isTree(own) && own["wsFedConfigureType"] === "AUTO";
  if (name !== "office365" || !automatic || !["SAML_1_1", "WS_FEDERATION"].includes(signOnMode ?? "")) return;
  throw invalid("settings", "In order to continue using WS-FED Auto for SSO, you must grant admin consent.");
}

/** The answer to whoever made the client is the one place where an app's body shows its secret. */
function withSecret(body: ReturnType<typeof appBody>, client_secret: string | undefined) {
  const client = body.credentials["oauthClient"];
  if (client_secret === undefined || !isTree(client)) return body;
  return { ...body, credentials: { ...body.credentials, oauthClient: { ...client, client_secret } } };
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
      const app = must(await replace(api, commandOf(api, request), before, request.body));
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

/** Replaces what a client may say of an app; its name and its client's id stay. */
function replace(api: Api, command: Command, before: App, input: AppInput): Promise<App | Refusal> {
  const custom = isCustomName(before.name);
  if (custom && before.status === "INACTIVE" && (before.settings as KeptSettings).signOnMode === "AUTO_LOGIN") {
    throw new ApiError(400, "E0000024", "Bad request. This operation on app metadata is not yet supported.", [
      "This operation on app metadata is not yet supported: No active instances.",
    ]);
  }
  const kept = keptOf(input, { kind: before.kind, name: custom ? undefined : before.name });
  const { access_policy, id_token } = before.settings as KeptSettings;
  const settings: KeptSettings = {
    ...withClientId(kept, before),
    ...(access_policy === undefined ? {} : { access_policy }),
    ...(id_token === undefined ? {} : { id_token }),
  };
  const configured = before.kind !== "none" && !entryOf(before.name)?.provisioning;
  const config = configured && input.settings?.["app"] !== undefined ? configOf(input.settings) : undefined;
  const signing = input.credentials?.["signing"];
  const kid = isTree(signing) ? signing["kid"] : undefined;
  const client = clientInput(input);
  return run<App>(command, async (running) => {
    const change = {
      ...{ label: input.label, settings: settings as Config },
      ...(config === undefined ? {} : { config }),
      ...(typeof kid === "string" && kid !== "" ? { signing_kid: kid } : {}),
    };
    const app = await updateApp(running, before.id, change, api.tools);
    if (isRefusal(app) || app.client_id === null) return app;
    const made =
      client.secret === undefined
        ? await keepASecret(running, api.tools.key, app, client.auth_method)
        : await setSecret(running, api.tools.key, app, client.secret);
    return isRefusal(made) ? made : app;
  });
}

/** A client's id is said once: tokens, grants and settings elsewhere name it. */
function withClientId(kept: KeptSettings, before: App): KeptSettings {
  const client = kept.credentials?.["oauthClient"];
  if (before.client_id === null || kept.signOnMode !== "OPENID_CONNECT") return kept;
  const asked = isTree(client) ? client["client_id"] : undefined;
  if (typeof asked === "string" && asked !== before.client_id) {
    throw invalid("client_id", `client_id: is ${before.client_id} and stays; make another app for another client`);
  }
  const named = { ...(isTree(client) ? client : {}), client_id: before.client_id };
  return { ...kept, credentials: { ...kept.credentials, oauthClient: named } };
}

/** Makes an app; one whose address comes later is not called until then, and nothing is to be done there. */
async function createWaiting(running: Running, input: NewApp, api: Api): Promise<App | Refusal> {
  if (input.config === undefined || !isWaiting({ config: input.config })) return createApp(running, input, api.tools);
  const provisioning = { create: false, update: false, on_unassign: "keep" as const };
  const app = await createApp(running, { ...input, provisioning }, api.tools);
  if (isRefusal(app)) return app;
  const paused = await pauseApp(running, app.id, { reason: "it is not said yet where the app is" });
  return isRefusal(paused) ? paused : app;
}

/** `settings.app` as a connector's configuration; Okta writes baseUrl where our form says base_url. */
export function configOf(settings: AppInput["settings"]): Config {
  const app = settings?.["app"];
  if (typeof app !== "object" || app === null || Array.isArray(app)) return {};
  const { baseUrl, ...rest } = app as Record<string, Value>;
  return baseUrl === undefined ? rest : { base_url: baseUrl, ...rest };
}

/** How a client signs in, and the secret that it was given from outside. */
function clientInput(input: AppInput): Readonly<{ auth_method: Value | undefined; secret: string | undefined }> {
  const client = input.credentials?.["oauthClient"];
  const { token_endpoint_auth_method: auth_method, client_secret } = isTree(client) ? client : ({} as Tree);
  if (auth_method !== undefined && auth_method !== null && !auth_methods.includes(String(auth_method))) {
    throw invalid("token_endpoint_auth_method", `token_endpoint_auth_method: is one of ${auth_methods.join(", ")}`);
  }
  return { auth_method, secret: typeof client_secret === "string" && client_secret !== "" ? client_secret : undefined };
}

const auth_methods = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"];
const kept_bytes_max = 256 * 1024;

/** What to keep of a request. Passwords and client secrets are kept elsewhere, or are for a sign-on system, which this is not. */
function keptOf(input: AppInput, { kind, name }: Readonly<{ kind: string; name: string | undefined }>): KeptSettings {
  const { app, ...rest } = (input.settings ?? {}) as Record<string, Value>;
  const own = (kind === "none" || entryOf(name)?.provisioning) && app !== undefined;
  const { password, signing: _, ...credentials } = (input.credentials ?? {}) as Record<string, Value>;
  if (password !== undefined && password !== null) credentials["password"] = {};
  const client = credentials["oauthClient"];
  if (isTree(client)) {
    const { client_secret: _, ...plain } = client;
    credentials["oauthClient"] = plain;
  }
  const mode = modeOf(name, input.signOnMode);
  const kept: KeptSettings = {
    ...(mode === null && input.signOnMode === undefined ? {} : { signOnMode: mode }),
    ...(input.accessibility ? { accessibility: input.accessibility as Config } : {}),
    ...(input.visibility ? { visibility: input.visibility as Config } : {}),
    ...(input.profile ? { profile: input.profile as Config } : {}),
    credentials,
    settings: withKeys(own ? { ...rest, app } : rest),
  };
  if (Buffer.byteLength(JSON.stringify(kept)) > kept_bytes_max) {
    throw invalid("settings", `settings: what is kept of an app is at most ${kept_bytes_max / 1024} KiB`);
  }
  return kept;
}

/** The settings with public keys that are what they say. */
function withKeys(settings: Tree): Tree {
  const client = settings["oauthClient"];
  const jwks = isTree(client) ? client["jwks"] : undefined;
  if (!isTree(client) || !isTree(jwks) || !Array.isArray(jwks["keys"])) return settings;
  if (jwks["keys"].length > 50) throw invalid("JsonWebKey", "keys: a client shows 50 keys at most");
  const keys = jwks["keys"].map((key: Value) => {
    const read = readPublicJwk(key);
    if (typeof read === "string") throw invalid("JsonWebKey", read);
    return read;
  });
  return { ...settings, oauthClient: { ...client, jwks: { ...jwks, keys } } };
}
