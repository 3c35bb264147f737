/**
 * /api/v1/apps/{id}/grants: the scopes of Okta's API that an OAuth client may be given. Taking one away ends what tokens
 * hold of it, because a token serves for what its client is granted now. Only super administrators do either: whoever
 * grants scopes could give themselves anything.
 *
 * /tokens are refresh tokens, of which there are none; federated claims are a feature that is not switched on.
 */
import { z } from "zod";
import type { App } from "../../directory/apps.ts";
import { type ClientGrant, grantScope, listGrants, revokeGrant } from "../../directory/clients.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, found, must, notFound } from "../errors.ts";
import { oneClient } from "./clientSecrets.ts";
import { date, hinted } from "./links.ts";
import { app_params, oneApp } from "./oneApp.ts";

const params = app_params.extend({ grant_id: z.string().min(1).max(100) });
const grant_input = z.object({ scopeId: z.string().min(1).max(200), issuer: z.string().max(2_000).nullish() });
const expand = z.object({ expand: z.string().max(100).optional().describe("scope") });
const url = "/api/v1/apps/:app_id/grants";

/** Registers the routes. */
export function clientGrantRoutes(server: Server, api: Api): void {
  server.get(
    url,
    about("oauth", "The scopes that a client was granted", { params: app_params, querystring: expand }),
    async (request) => {
      const app = await oneApp(api, request.params.app_id);
      const shown = request.query.expand === "scope";
      return (await listGrants(api.db, app.id)).map((grant) => grantBody(grant, app, request.base_url, shown));
    },
  );

  server.post(
    url,
    about("oauth", "Grant a scope to a client", { params: app_params, body: grant_input }),
    async (request) => {
      const app = await oneClient(api, request.params.app_id);
      const { scopeId, issuer } = request.body;
      const wish = { scope: scopeId, issuer: issuer ?? request.base_url };
      return grantBody(must(await grantScope(commandOf(api, request), app, wish)), app, request.base_url, true);
    },
  );

  server.get(`${url}/:grant_id`, about("oauth", "One grant", { params, querystring: expand }), async (request) => {
    const app = await oneApp(api, request.params.app_id);
    const { grant_id } = request.params;
    const grant = (await listGrants(api.db, app.id)).find(({ id }) => id === grant_id);
    const shown = request.query.expand === "scope";
    return grantBody(found(grant, grant_id, "OAuth2ScopeConsentGrant"), app, request.base_url, shown);
  });

  server.delete(
    `${url}/:grant_id`,
    about("oauth", "Take a scope from a client", { params }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const { grant_id } = request.params;
      const gone = must(await revokeGrant(commandOf(api, request), app, grant_id));
      found(gone || undefined, grant_id, "OAuth2ScopeConsentGrant");
      return reply.code(204).send();
    },
  );
  tokenRoutes(server, api);
}

function grantBody(grant: ClientGrant, app: App, base: string, expanded: boolean) {
  const href = `${base}/api/v1/apps/${app.id}`;
  const client = app.client_id ?? app.id;
  return {
    id: grant.id,
    status: "ACTIVE",
    created: date(grant.created_at),
    createdBy: { id: grant.created_by, type: grant.created_by_type },
    lastUpdated: date(grant.updated_at),
    issuer: grant.issuer,
    clientId: client,
    scopeId: grant.scope,
    source: "ADMIN",
    ...(expanded ? { _embedded: { scope: { id: grant.scope } } } : {}),
    _links: {
      app: { href, title: app.label },
      self: hinted(`${href}/grants/${grant.id}`, "GET", "DELETE"),
      client: { href: `${base}/oauth2/v1/clients/${client}`, title: app.label },
    },
  };
}

/** Refresh tokens are for people who sign on to apps, which they do elsewhere: there are none, and all may be revoked. */
function tokenRoutes(server: Server, api: Api): void {
  const tokens = "/api/v1/apps/:app_id/tokens";
  server.get(
    tokens,
    about("apps", "Always empty: there are no refresh tokens", { params: app_params }),
    async (request) => {
      await oneApp(api, request.params.app_id);
      return [];
    },
  );
  server.delete(
    tokens,
    about("apps", "Revoke all refresh tokens, of which there are none", { params: app_params }),
    async (request, reply) => {
      await oneApp(api, request.params.app_id);
      return reply.code(204).send();
    },
  );
  const one = app_params.extend({ token_id: z.string().min(1).max(100) });
  for (const method of ["GET", "DELETE"] as const) {
    server.route({
      method,
      url: `${tokens}/:token_id`,
      ...about("apps", "One refresh token: never there", { params: one }),
      handler: async (request) => {
        const { id } = await oneApp(api, request.params.app_id);
        throw notFound(`${id}.${request.params.token_id}`, "OAuth2RefreshTokenTx");
      },
    });
  }

  const claims = "/api/v1/apps/:app_id/federated-claims";
  for (const method of ["GET", "POST"] as const) {
    server.route({
      method,
      url: claims,
      ...about("apps", "Not served: federated claims belong to sign-on", { params: app_params }),
      handler: async (request) => {
        await oneApp(api, request.params.app_id);
        throw new ApiError(401, "E0000015", "You do not have permission to access the feature you are requesting");
      },
    });
  }
}
