/**
 * /api/v1/apps/{id}/credentials/keys: what an app's sign-on signs with (okta-api 4.4). Every app has a key; the first
 * question makes it. The key in use is `credentials.signing.kid` of the app.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { type AppKey, cloneAppKey, generateAppKey, listAppKeys, readAppKey } from "../../directory/appKeys.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { reach } from "../auth.ts";
import { found, must } from "../errors.ts";
import { date } from "./links.ts";
import { app_params, oneApp } from "./oneApp.ts";

const params = app_params.extend({ kid: z.string().min(1).max(100) });
const url = "/api/v1/apps/:app_id/credentials/keys";

/** Registers the routes. */
export function appKeyRoutes(server: Server, api: Api): void {
  server.get(url, about("apps", "The signing keys of an app", { params: app_params }), async (request) => {
    const app = await oneApp(api, request.params.app_id);
    return must(await listAppKeys(commandOf(api, request), api.tools.key, app)).map(appKeyBody);
  });

  const years = z.object({ validityYears: z.coerce.number().int() });
  server.post(
    `${url}/generate`,
    about("secrets", "Make another signing key, valid for 2 to 10 years", { params: app_params, querystring: years }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const { validityYears } = request.query;
      const key = must(await generateAppKey(commandOf(api, request), api.tools.key, app, validityYears));
      return reply.code(201).send(appKeyBody(key));
    },
  );

  server.get(`${url}/:kid`, about("apps", "One signing key of an app", { params }), async (request) => {
    const app = await oneApp(api, request.params.app_id);
    const { kid } = request.params;
    const key = must(await readAppKey(commandOf(api, request), api.tools.key, app, kid));
    return appKeyBody(found(key, kid, "AppKey"));
  });

  const target = z.object({ targetAid: z.string().min(1).max(100) });
  server.post(
    `${url}/:kid/clone`,
    about("secrets", "Copy a signing key to another app", { params, querystring: target }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const other = await oneApp(api, request.query.targetAid);
      await reach(api, request, { app: [other.id] });
      const command = commandOf(api, request);
      const { kid } = request.params;
      found(must(await readAppKey(command, api.tools.key, app, kid)), kid, "AppKey");
      const copy = must(await cloneAppKey(command, api.tools.key, app, kid, other));
      return reply.code(201).send(appKeyBody(copy));
    },
  );
}

/** A key in Okta's form: a JWK with its certificate. */
export function appKeyBody(key: AppKey) {
  const { kid, modulus: n, exponent: e, certificate } = key;
  return {
    kty: "RSA",
    created: date(key.created_at),
    lastUpdated: date(key.updated_at),
    expiresAt: date(key.expires_at),
    kid,
    use: "sig",
    x5c: [certificate],
    "x5t#S256": createHash("sha256").update(Buffer.from(certificate, "base64")).digest("base64url"),
    e,
    n,
  };
}
