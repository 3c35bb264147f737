/**
 * What sign-on keeps of an app beside its body: which access policy it has, and which groups its ID tokens name. Neither
 * is acted on here; both are kept and given back, because clients that set an app up set them too.
 */
import { z } from "zod";
import type { Refusal, Value } from "../../core/types.ts";
import { type App, type Config, updateApp } from "../../directory/apps.ts";
import type { Command } from "../../directory/command.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { must } from "../errors.ts";
import { type KeptSettings, overlay } from "./appBody.ts";
import { app_params, oneApp } from "./oneApp.ts";

const text = z.string().max(1_000).optional();
const claim_input = z.object({
  ...{ valueType: text, groupFilterType: text, issuer: text, orgUrl: text, audience: text, issuerMode: text },
  ...{ name: text, value: text },
});

/** Registers the routes. */
export function appPolicyRoutes(server: Server, api: Api): void {
  const params = app_params.extend({ policy_id: z.string().regex(/^[0-9A-Za-z]{1,100}$/) });
  server.put(
    "/api/v1/apps/:app_id/policies/:policy_id",
    about("apps", "Say which access policy an app has; kept, not acted on", { params }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      must(await keep(api, commandOf(api, request), app, { access_policy: request.params.policy_id }));
      return reply.code(204).send();
    },
  );

  const url = "/api/v1/internal/apps/:app_id/settings/oauth/idToken";
  server.get(url, about("apps", "Which groups an app's ID tokens name", { params: app_params }), async (request) =>
    claimBody(await oneApp(api, request.params.app_id), request.base_url),
  );
  server.post(
    url,
    about("apps", "Say which groups an app's ID tokens name; kept, not acted on", {
      params: app_params,
      body: claim_input,
    }),
    async (request) => {
      const app = await oneApp(api, request.params.app_id);
      const given = Object.fromEntries(Object.entries(request.body).filter(([, value]) => value !== undefined));
      const changed = await keep(api, commandOf(api, request), app, { id_token: given as Record<string, Value> });
      return claimBody(must(changed), request.base_url);
    },
  );
}

function keep(api: Api, command: Command, app: App, more: Partial<KeptSettings>): Promise<App | Refusal> {
  return updateApp(command, app.id, { settings: { ...app.settings, ...more } as Config }, api.tools);
}

function claimBody(app: App, base: string) {
  const standard = { valueType: "NONE", issuer: base, orgUrl: base, audience: app.client_id, issuerMode: "ORG_URL" };
  return overlay(standard, (app.settings as KeptSettings).id_token);
}
