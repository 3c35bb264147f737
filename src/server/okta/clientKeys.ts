/** /api/v1/apps/{id}/credentials/jwks: the public keys by which an OAuth client proves who it is (private_key_jwt). */
import { z } from "zod";
import { readPublicJwk } from "../../core/jwk.ts";
import type { Value } from "../../core/types.ts";
import {
  addClientKey,
  type ClientKey,
  deleteClientKey,
  keysOf,
  nameOf,
  switchClientKey,
} from "../../directory/clientKeys.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { oneClient, turns } from "./clientSecrets.ts";
import { app_params } from "./oneApp.ts";

const params = app_params.extend({ key_id: z.string().min(1).max(200) });
const key_input = z.record(z.string().max(100), z.json());
const url = "/api/v1/apps/:app_id/credentials/jwks";

/** Registers the routes. */
export function clientKeyRoutes(server: Server, api: Api): void {
  server.get(url, about("apps", "The public keys of an OAuth client", { params: app_params }), async (request) => {
    const app = await oneClient(api, request.params.app_id);
    return keysOf(app).map((key) => keyBody(key, app.id, request.base_url));
  });

  server.post(
    url,
    about("secrets", "Add a public key: RSA of 2,048 bits or more, or EC", { params: app_params, body: key_input }),
    async (request, reply) => {
      const app = await oneClient(api, request.params.app_id);
      const key = readPublicJwk(request.body as Value);
      if (typeof key === "string") throw invalid("JsonWebKey", key);
      const { id: _, created: __, lastUpdated: ___, ...plain } = key;
      const made = must(await addClientKey(commandOf(api, request), app.id, plain), "JsonWebKey");
      return reply.code(201).send(keyBody(made, app.id, request.base_url));
    },
  );

  server.get(`${url}/:key_id`, about("apps", "One public key", { params }), async (request) => {
    const app = await oneClient(api, request.params.app_id);
    const { key_id } = request.params;
    const key = keysOf(app).find((one) => nameOf(one) === key_id);
    return keyBody(found(key, key_id, "OAuth2ClientSecret"), app.id, request.base_url);
  });

  for (const [path, status] of [
    ["activate", "ACTIVE"],
    ["deactivate", "INACTIVE"],
  ] as const) {
    const summary = status === "ACTIVE" ? "Let a key serve again" : "Let a key serve no more";
    server.post(`${url}/:key_id/lifecycle/${path}`, about("secrets", summary, { params }), async (request) => {
      const app = await oneClient(api, request.params.app_id);
      const { key_id } = request.params;
      found(
        keysOf(app).find((one) => nameOf(one) === key_id),
        key_id,
        "OAuth2ClientSecret",
      );
      const key = must(await switchClientKey(commandOf(api, request), app.id, key_id, status), "JsonWebKey");
      return keyBody(key, app.id, request.base_url);
    });
  }

  server.delete(
    `${url}/:key_id`,
    about("secrets", "Delete a key that is switched off", { params }),
    async (request, reply) => {
      const app = await oneClient(api, request.params.app_id);
      const { key_id } = request.params;
      found(
        keysOf(app).find((one) => nameOf(one) === key_id),
        key_id,
        "OAuth2ClientSecret",
      );
      must(await deleteClientKey(commandOf(api, request), app.id, key_id), "JsonWebKey");
      return reply.code(204).send();
    },
  );
}

function keyBody(key: ClientKey, app_id: string, base: string) {
  const self = `${base}/api/v1/apps/${app_id}/credentials/jwks/${encodeURIComponent(nameOf(key))}`;
  const status = key["status"] === "INACTIVE" ? "INACTIVE" : "ACTIVE";
  return { id: nameOf(key), ...key, status, _links: turns(self, status) };
}
