/**
 * /oauth2/v1: access tokens for apps that act as clients (client credentials), ended and asked about by the client that
 * has them. Access tokens are opaque: only this server reads them, so there are no keys to publish.
 *
 * Errors are OAuth's (`error`, `error_description`), not Okta's error object.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Client } from "../../directory/clients.ts";
import { clientToken, createClientToken, revokeToken } from "../../directory/tokens.ts";
import { isRefusal } from "../../store/database.ts";
import type { Actor } from "../../store/tables.ts";
import type { Api, Server } from "../api.ts";
import { isNonce, newNonce, readProof } from "../dpop.ts";
import { clientOfRequest, type Form, type OauthError } from "../oauthClient.ts";

const lifetime_s = 3_600;
const form_bytes_max = 65_536;
const scope_max = 5_000;

const fault = (error: string, error_description: string, status = 400): OauthError => ({
  status,
  error,
  error_description,
});

/** Registers the routes. */
export function oauthServerRoutes(server: Server, api: Api): void {
  const form = (summary: string) => ({ bodyLimit: form_bytes_max, schema: { tags: ["oauth"], summary } });
  server.post("/oauth2/v1/token", form("An access token for a client"), async (request, reply) =>
    withClient(api, request, reply, (client, body) => grant(api, request, reply, client, body)),
  );
  server.post("/oauth2/v1/revoke", form("End an access token"), async (request, reply) =>
    withClient(api, request, reply, async (client, body) => {
      const token = await clientToken(api.db, client.client_id, body["token"] ?? "", api.world.now());
      if (token) await revokeToken({ db: api.db, now: api.world.now, actor: actorOf(client) }, token.id);
      return reply.code(200).send();
    }),
  );
  server.post("/oauth2/v1/introspect", form("What an access token is good for"), async (request, reply) =>
    withClient(api, request, reply, async (client, body) => {
      const token = await clientToken(api.db, client.client_id, body["token"] ?? "", api.world.now());
      if (token === undefined) return { active: false };
      return {
        active: true,
        token_type: token.jkt === null ? "Bearer" : "DPoP",
        scope: token.scopes.join(" "),
        client_id: client.client_id,
        sub: client.client_id,
        iss: request.base_url,
        iat: seconds(token.created_at),
        exp: seconds(token.expires_at ?? token.created_at),
        ...(token.jkt === null ? {} : { cnf: { jkt: token.jkt } }),
      };
    }),
  );
  server.get(
    "/oauth2/v1/keys",
    { schema: { tags: ["oauth"], summary: "Always empty: access tokens are opaque; public" } },
    async () => ({ keys: [] }),
  );
}

const seconds = (at: Date) => Math.floor(at.getTime() / 1000);
const actorOf = (client: Client): Actor => ({ id: client.client_id, type: "App", name: client.label });

async function withClient(
  api: Api,
  request: FastifyRequest,
  reply: FastifyReply,
  work: (client: Client, form: Form) => Promise<unknown>,
): Promise<unknown> {
  const form = request.body;
  if (!isForm(form)) return answer(reply, fault("invalid_request", "Send a form: application/x-www-form-urlencoded."));
  const client = await clientOfRequest(api, request, form);
  return "error" in client ? answer(reply, client) : work(client, form);
}

const isForm = (body: unknown): body is Form =>
  typeof body === "object" && body !== null && Object.values(body).every((value) => typeof value === "string");

function answer(reply: FastifyReply, { status, error, error_description }: OauthError): FastifyReply {
  if (status === 401) reply.header("www-authenticate", 'Basic realm="oauth2"');
  return reply.code(status).send({ error, error_description });
}

async function grant(api: Api, request: FastifyRequest, reply: FastifyReply, client: Client, form: Form) {
  const scopes = judgeGrant(client, form);
  if ("error" in scopes) return answer(reply, scopes);
  const bound = client.dpop_bound ? await keyOf(api, request) : { jkt: null };
  if ("error" in bound) {
    if (bound.error === "use_dpop_nonce") reply.header("dpop-nonce", newNonce(api.tools.key));
    return answer(reply, bound);
  }
  const expires_at = new Date(api.world.now().getTime() + lifetime_s * 1000);
  const command = { db: api.db, now: api.world.now, actor: actorOf(client) };
  const made = await createClientToken(command, client, { scopes, jkt: bound.jkt, expires_at });
  if (isRefusal(made)) return answer(reply, fault("invalid_request", made.refused));
  return {
    token_type: bound.jkt === null ? "Bearer" : "DPoP",
    expires_in: lifetime_s,
    access_token: made.text,
    scope: scopes.join(" "),
  };
}

/** The scopes that the client asked for and has, or why it gets no token. */
function judgeGrant(client: Client, form: Form): readonly string[] | OauthError {
  if (form["grant_type"] !== "client_credentials") {
    return fault("unsupported_grant_type", "Only client_credentials is served here.");
  }
  if (!client.grant_types.includes("client_credentials")) {
    return fault("unauthorized_client", "The settings of the client do not allow client_credentials.");
  }
  const asked = [...new Set((form["scope"] ?? "").slice(0, scope_max).split(" ").filter(Boolean))];
  if (asked.length === 0) return fault("invalid_scope", "Name the scopes that are wanted; there are no default ones.");
  const missing = asked.filter((scope) => !client.granted_scopes.includes(scope));
  if (missing.length === 0) return asked;
  const named = missing.slice(0, 10).join(", ").slice(0, 500);
  return fault("invalid_scope", `The client was not granted ${named}; a super administrator grants scopes to its app.`);
}

/** The key that the token is bound to: that of a proof with a nonce of ours. */
async function keyOf(api: Api, request: FastifyRequest): Promise<Readonly<{ jkt: string }> | OauthError> {
  const proof = await readProof(api.db, request);
  if (proof === undefined)
    return fault("invalid_dpop_proof", "The client's tokens are bound: send a valid DPoP proof.");
  if (isNonce(api.tools.key, proof.nonce)) return { jkt: proof.jkt };
  return fault("use_dpop_nonce", "Authorization server requires nonce in DPoP proof.");
}
