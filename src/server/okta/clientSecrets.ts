/**
 * /api/v1/apps/{id}/credentials/secrets: what an OAuth client signs in with. Readable again, as in Okta, by those who may
 * change them, and the log says who looked.
 */
import { z } from "zod";
import type { App } from "../../directory/apps.ts";
import {
  addSecret,
  type ClientSecret,
  deleteSecret,
  listSecrets,
  noteSecretsRead,
  type OpenSecret,
  shortHash,
  switchSecret,
} from "../../directory/clients.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { date, hinted } from "./links.ts";
import { app_params, oneApp } from "./oneApp.ts";

const params = app_params.extend({ secret_id: z.string().min(1).max(100) });
const secret_input = z
  .object({ client_secret: z.string().max(200).nullish(), status: z.enum(["ACTIVE", "INACTIVE"]).optional() })
  .nullish();
const url = "/api/v1/apps/:app_id/credentials/secrets";
/** Reading them is as good as having them. */
const writers = { access: "write" } as const;

/** Registers the routes. */
export function clientSecretRoutes(server: Server, api: Api): void {
  const opened = async (app: App) => listSecrets(api.db, api.tools.key, app.id, api.world.now());

  server.get(
    url,
    about("secrets", "The secrets of an OAuth client", { params: app_params }, writers),
    async (request) => {
      const app = await oneClient(api, request.params.app_id);
      await noteSecretsRead(commandOf(api, request), app);
      return (await opened(app)).map((one) => secretBody(one, request.base_url));
    },
  );

  server.post(
    url,
    about("secrets", "Make another secret; two at most", { params: app_params, body: secret_input }),
    async (request, reply) => {
      const app = await oneClient(api, request.params.app_id);
      const { client_secret, status } = request.body ?? {};
      const wish = { secret: client_secret ?? undefined, active: status !== "INACTIVE" };
      const made = must(await addSecret(commandOf(api, request), api.tools.key, app, wish), "client_secret");
      return reply.code(201).send(secretBody(made, request.base_url));
    },
  );

  server.get(`${url}/:secret_id`, about("secrets", "One secret", { params }, writers), async (request) => {
    const app = await oneClient(api, request.params.app_id);
    const { secret_id } = request.params;
    const secret = found(
      (await opened(app)).find(({ id }) => id === secret_id),
      secret_id,
      "OAuth2ClientSecret",
    );
    await noteSecretsRead(commandOf(api, request), app);
    return secretBody(secret, request.base_url);
  });

  for (const [path, status] of [
    ["activate", "ACTIVE"],
    ["deactivate", "INACTIVE"],
  ] as const) {
    const summary = status === "ACTIVE" ? "Let a secret serve again" : "Let a secret serve no more";
    server.post(`${url}/:secret_id/lifecycle/${path}`, about("secrets", summary, { params }), async (request) => {
      const app = await oneClient(api, request.params.app_id);
      const { secret_id } = request.params;
      await requireSecret(opened, app, secret_id);
      must(await switchSecret(commandOf(api, request), app, secret_id, status), "client_secret");
      return secretBody(await requireSecret(opened, app, secret_id), request.base_url);
    });
  }

  server.delete(
    `${url}/:secret_id`,
    about("secrets", "Delete a secret that is switched off", { params }),
    async (request, reply) => {
      const app = await oneClient(api, request.params.app_id);
      const { secret_id } = request.params;
      await requireSecret(opened, app, secret_id);
      must(await deleteSecret(commandOf(api, request), app, secret_id), "client_secret");
      return reply.code(204).send();
    },
  );
}

async function requireSecret(
  opened: (app: App) => Promise<readonly OpenSecret[]>,
  app: App,
  secret_id: string,
): Promise<OpenSecret> {
  return found(
    (await opened(app)).find(({ id }) => id === secret_id),
    secret_id,
    "OAuth2ClientSecret",
  );
}

/** The app that a path names, if it is an OAuth client. */
export async function oneClient(api: Api, app_id: string): Promise<App> {
  const app = await oneApp(api, app_id);
  if (app.client_id === null)
    throw invalid("app", `${app.label} is no OAuth client: its signOnMode is not OPENID_CONNECT`);
  return app;
}

function secretBody(secret: OpenSecret, base: string) {
  const self = `${base}/api/v1/apps/${secret.app_id}/credentials/secrets/${secret.id}`;
  return {
    id: secret.id,
    created: date(secret.created_at),
    lastUpdated: date(secret.updated_at),
    status: secret.status,
    client_secret: secret.secret,
    secret_hash: shortHash(secret),
    _links: turns(self, secret.status),
  };
}

/** What may be done with a secret or a key: one in use is switched off before it is deleted. */
export function turns(self: string, status: ClientSecret["status"]) {
  return status === "ACTIVE"
    ? { deactivate: hinted(`${self}/lifecycle/deactivate`, "POST") }
    : { activate: hinted(`${self}/lifecycle/activate`, "POST"), delete: hinted(self, "DELETE") };
}
