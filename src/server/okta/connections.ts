/**
 * Where an app is and with which credentials (`connections/default`), and what is kept in step there (`features`):
 * Okta's names for our configuration, switches and sourcing rules (okta-api 4.5).
 */
import { z } from "zod";
import { combinationsOf, partialRuleOf, usual_partial } from "../../core/match.ts";
import type { Value } from "../../core/types.ts";
import { appHealth, pauseApp, resumeApp } from "../../directory/appHealth.ts";
import { type App, type Config, updateApp } from "../../directory/apps.ts";
import type { Provisioning, Sourcing } from "../../store/tables.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, invalid, must, notFound } from "../errors.ts";
import { isWaiting, unconfigured } from "./appBody.ts";
import { app_params, oneApp } from "./oneApp.ts";

const connection_input = z.object({
  baseUrl: z.string().max(2_000).optional(),
  profile: z
    .looseObject({ authScheme: z.string().max(50).optional(), token: z.string().max(10_000).optional() })
    .optional(),
});
const url = "/api/v1/apps/:app_id/connections/default";
const switched_off = "the connection was switched off";

/** Registers the routes. */
export function connectionRoutes(server: Server, api: Api): void {
  server.get(url, about("apps", "Where an app is", { params: app_params }), async (request) =>
    connectionBody(api, await oneApp(api, request.params.app_id), request.base_url),
  );

  const query = z.object({ activate: z.enum(["true", "false"]).default("false") });
  server.post(
    url,
    about("apps", "Say where an app is and how to sign in; activate=true tries it first", {
      params: app_params,
      querystring: query,
      body: connection_input,
    }),
    async (request) => {
      const app = await oneApp(api, request.params.app_id);
      const { baseUrl, profile } = request.body;
      const { authScheme, ...secrets } = profile ?? {};
      const asks = baseUrl !== undefined || Object.keys(secrets).length > 0;
      // Saying that nothing is known of the connection is true of an app without one.
      if (authScheme === "UNKNOWN" && !asks) return connectionBody(api, app, request.base_url);
      requireConnector(app);
      if (authScheme === "OAUTH2") {
        throw invalid("authScheme", "authScheme: apps are called with TOKEN here; let the app make a token for Tenure");
      }
      const config: Config = {
        ...app.config,
        ...(baseUrl === undefined ? {} : { base_url: baseUrl }),
        ...(secrets as Record<string, Value>),
      };
      const command = commandOf(api, request);
      if (request.query.activate === "true") await tryConnection(api, app, config);
      // Until it was said where the app is, its switches were off; whoever has set them meanwhile knows what they want.
      const { create, update, on_unassign } = app.provisioning;
      const first = isWaiting(app) && baseUrl !== undefined && !create && !update && on_unassign === "keep";
      const switches = first ? { provisioning: { create: true, update: true, on_unassign: "disable" as const } } : {};
      const changed = must(await updateApp(command, app.id, { config, ...switches }, api.tools));
      if (request.query.activate === "true") must(await resumeApp(command, app.id));
      return connectionBody(api, changed, request.base_url);
    },
  );

  server.post(
    `${url}/lifecycle/activate`,
    about("apps", "Let an app be called again", { params: app_params }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      if (isWaiting(app))
        throw invalid("credential", `Say first where ${app.label} is: POST baseUrl and profile.token`);
      // An app without connector is called by nobody: there is nothing to switch, and Okta says so by saying yes.
      if (app.kind !== "none") must(await resumeApp(commandOf(api, request), app.id));
      return reply.code(204).send();
    },
  );

  server.post(
    `${url}/lifecycle/deactivate`,
    about("apps", "Stop all calls to an app", { params: app_params }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      if (app.kind !== "none") must(await pauseApp(commandOf(api, request), app.id, { reason: switched_off }));
      return reply.code(204).send();
    },
  );

  featureRoutes(server, api);
}

function requireConnector(app: App): void {
  if (app.kind === "none") throw invalid("feature", "Provisioning is not supported.");
}

/** Refuses credentials that do not work, before anything is changed. */
async function tryConnection(api: Api, app: App, config: Config): Promise<void> {
  const problem = await api.testConfig?.(app, config);
  if (problem !== undefined) throw new ApiError(400, "E0000001", "Api validation failed: credential", [problem]);
}

async function connectionBody(api: Api, app: App, base: string) {
  if (app.kind === "none") return { status: "UNKNOWN", profile: { authScheme: "UNKNOWN" } };
  const self = `${base}/api/v1/apps/${app.id}/connections/default`;
  const [health] = await appHealth(api.db, api.world.now(), [app.id]);
  const address = app.config["base_url"];
  const off = isWaiting(app) || (health?.state === "paused" && health.pause_fault === null);
  const turn = off ? "activate" : "deactivate";
  return {
    status: off ? "DISABLED" : "ENABLED",
    authScheme: "TOKEN",
    ...(typeof address === "string" && address !== unconfigured ? { baseUrl: address } : {}),
    profile: { authScheme: "TOKEN" },
    _links: {
      self: { href: self, hints: { allow: ["GET", "POST"] } },
      [turn]: { href: `${self}/lifecycle/${turn}`, hints: { allow: ["POST"] } },
    },
  };
}

const enabled = z.object({ status: z.enum(["ENABLED", "DISABLED"]) }).optional();
/** Cron's five fields, on the clock of a zone. */
const import_schedule = z.looseObject({ expression: z.string().max(200), timezone: z.string().max(100).nullish() });

const capability_input = z.object({
  create: z.object({ lifecycleCreate: enabled }).optional(),
  update: z
    .object({
      profile: enabled,
      lifecycleDeactivate: enabled,
      password: z
        .object({
          status: z.enum(["ENABLED", "DISABLED"]),
          seed: z.enum(["RANDOM", "OKTA"]).optional(),
          change: z.string().optional(),
        })
        .optional(),
    })
    .optional(),
  status: z.enum(["ENABLED", "DISABLED"]).optional(),
  importSettings: z
    .looseObject({
      schedule: z
        .looseObject({
          status: z.enum(["ENABLED", "DISABLED"]).optional(),
          fullImport: import_schedule.nullish(),
          incrementalImport: import_schedule.nullish(),
        })
        .optional(),
    })
    .optional(),
  importRules: z
    .object({
      userCreateAndMatch: z
        .object({
          exactMatchCriteria: z.string().max(100).optional(),
          allowPartialMatch: z.boolean().optional(),
          autoConfirmPartialMatch: z.boolean().optional(),
          autoConfirmExactMatch: z.boolean().optional(),
          autoConfirmNewUsers: z.boolean().optional(),
          autoActivateNewUsers: z.boolean().optional(),
        })
        .optional(),
    })
    .optional(),
});

type CapabilityInput = z.infer<typeof capability_input>;

const names = ["USER_PROVISIONING", "INBOUND_PROVISIONING"] as const;
type FeatureName = (typeof names)[number];

function featureRoutes(server: Server, api: Api): void {
  server.get(
    "/api/v1/apps/:app_id/features",
    about("apps", "What is kept in step with an app", { params: app_params }),
    async (request) => {
      const app = await oneApp(api, request.params.app_id);
      requireConnector(app);
      return names.map((name) => featureBody(app, name, request.base_url));
    },
  );

  const params = app_params.extend({ name: z.string().max(100) });
  server.get(
    "/api/v1/apps/:app_id/features/:name",
    about("apps", "One feature of an app", { params }),
    async (request) => {
      const app = await oneApp(api, request.params.app_id);
      requireConnector(app);
      return featureBody(app, featureName(request.params.name), request.base_url);
    },
  );

  server.put(
    "/api/v1/apps/:app_id/features/:name",
    about("apps", "Change a feature of an app", { params, body: capability_input }),
    async (request) => {
      const app = await oneApp(api, request.params.app_id);
      requireConnector(app);
      const name = featureName(request.params.name);
      const change =
        name === "USER_PROVISIONING"
          ? { provisioning: switchesOf(request.body) }
          : { sourcing: sourcingOf(request.body, app.sourcing) };
      const changed = must(await updateApp(commandOf(api, request), app.id, change, api.tools));
      return featureBody(changed, name, request.base_url);
    },
  );
}

function featureName(text: string): FeatureName {
  const name = names.find((one) => one === text);
  if (name === undefined) throw notFound(text, "ApplicationFeature");
  return name;
}

function switchesOf({ create, update }: CapabilityInput): Partial<Provisioning> {
  const on = (state: { status: string } | undefined) => state?.status === "ENABLED";
  const password = update?.password;
  return {
    ...(create?.lifecycleCreate ? { create: on(create.lifecycleCreate) } : {}),
    ...(update?.profile ? { update: on(update.profile) } : {}),
    ...(update?.lifecycleDeactivate
      ? { on_unassign: on(update.lifecycleDeactivate) ? ("disable" as const) : ("keep" as const) }
      : {}),
    ...(password
      ? {
          password: !on(password)
            ? ("none" as const)
            : password.seed === "OKTA"
              ? ("sync" as const)
              : ("random" as const),
        }
      : {}),
  };
}

const criteria: Readonly<Record<string, readonly string[]>> = { EMAIL: ["email"], USERNAME: ["login"] };

function sourcingOf(input: CapabilityInput, before: Sourcing | null): Partial<Sourcing> | null {
  if (input.status === "DISABLED") return null;
  const rules = input.importRules?.userCreateAndMatch ?? {};
  const asked = rules.exactMatchCriteria;
  // Okta has one attribute; whoever gives back the one that was shown does not take the others away.
  const same = asked === undefined || (before !== null && asked === criterionOf(before));
  const match_partial =
    rules.allowPartialMatch === undefined
      ? undefined
      : rules.allowPartialMatch
        ? (before?.match_partial ?? usual_partial)
        : null;
  return {
    ...scheduleOf(input),
    ...(same ? {} : { match_on: criteria[asked] ?? [asked] }),
    ...(match_partial === undefined ? {} : { match_partial }),
    ...(rules.autoConfirmPartialMatch === undefined ? {} : { auto_confirm_partial: rules.autoConfirmPartialMatch }),
    ...(rules.autoConfirmExactMatch === undefined ? {} : { auto_confirm: rules.autoConfirmExactMatch }),
    ...(rules.autoConfirmNewUsers === undefined ? {} : { auto_confirm_new: rules.autoConfirmNewUsers }),
    ...(rules.autoActivateNewUsers === undefined ? {} : { auto_activate: rules.autoActivateNewUsers }),
  };
}

/** When the source is read by the clock, as Okta says it; nothing where nothing is said of it. */
function scheduleOf({ importSettings }: CapabilityInput): Partial<Sourcing> {
  const { status, fullImport, incrementalImport } = importSettings?.schedule ?? {};
  if (status === "DISABLED") return { schedule: null, incremental_schedule: null, schedule_zone: null };
  // Here both are on one clock.
  const zone = fullImport ?? incrementalImport;
  return {
    ...(fullImport === undefined ? {} : { schedule: fullImport?.expression ?? null }),
    ...(incrementalImport === undefined ? {} : { incremental_schedule: incrementalImport?.expression ?? null }),
    ...(zone === undefined ? {} : { schedule_zone: zone?.timezone ?? null }),
  };
}

function featureBody(app: App, name: FeatureName, base: string) {
  const self = { href: `${base}/api/v1/apps/${app.id}/features/${name}`, hints: { allow: ["GET", "PUT"] } };
  const state = (on: boolean) => ({ status: on ? "ENABLED" : "DISABLED" });
  const { create, update, on_unassign, password } = app.provisioning;
  if (name === "USER_PROVISIONING") {
    return {
      name,
      status: state(create || update || on_unassign !== "keep").status,
      description: "User provisioning settings from here to the app",
      capabilities: {
        create: { lifecycleCreate: state(create) },
        update: {
          profile: state(update),
          lifecycleDeactivate: state(on_unassign !== "keep"),
          password: {
            ...state(password !== "none"),
            seed: password === "sync" ? "OKTA" : "RANDOM",
            change: "KEEP_EXISTING",
          },
        },
      },
      _links: { self },
    };
  }
  return {
    name,
    status: state(app.sourcing !== null).status,
    description: "In-bound provisioning settings: the app as a source of people",
    capabilities: { importSettings: importSettings(app.sourcing), importRules: importRules(app.sourcing) },
    _links: { self },
  };
}

function importSettings(sourcing: Sourcing | null) {
  const { schedule = null, incremental_schedule = null, schedule_zone } = sourcing ?? {};
  const timed = (expression: string | null) => expression && { expression, timezone: schedule_zone ?? "UTC" };
  return {
    username: { userNameFormat: "EMAIL", userNameExpression: null },
    schedule: {
      status: schedule === null && incremental_schedule === null ? "DISABLED" : "ENABLED",
      fullImport: timed(schedule),
      incrementalImport: timed(incremental_schedule),
    },
  };
}

/** The first attribute of the first combination: Okta knows of one. */
function criterionOf(sourcing: Sourcing | null): string {
  const [[matched = "email"] = []] = combinationsOf(sourcing?.match_on ?? ["email"]);
  return matched === "email" ? "EMAIL" : matched === "login" ? "USERNAME" : matched;
}

function importRules(sourcing: Sourcing | null) {
  return {
    userCreateAndMatch: {
      exactMatchCriteria: criterionOf(sourcing),
      allowPartialMatch: partialRuleOf(sourcing?.match_partial) !== null,
      autoConfirmPartialMatch: sourcing?.auto_confirm_partial ?? false,
      autoConfirmExactMatch: sourcing?.auto_confirm ?? false,
      autoConfirmNewUsers: sourcing !== null && sourcing.auto_confirm_new !== false,
      autoActivateNewUsers: sourcing?.auto_activate ?? false,
    },
  };
}
