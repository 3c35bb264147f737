/**
 * /api/v1/api-tokens: the tokens of administrators (okta-api 4.8), never their text. They are made at /admin/v1/tokens.
 * There are no network zones here: a token serves from anywhere.
 */
import { z } from "zod";
import { getToken, listTokens, renameToken, revokeToken, type Token } from "../../directory/tokens.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { afterOf, idCursor, limitOf, page } from "../paging.ts";
import { date } from "./links.ts";

const params = z.object({ token_id: z.string().min(1).max(100) });
const querystring = z.object({ after: afterOf, limit: limitOf(200, 200) });
const network = z.object({ connection: z.string().max(50), include: z.array(z.string()).max(100).nullish() });
const token_change = z.object({ name: z.string().max(200).optional(), network: network.nullish() });
const all = "/api/v1/api-tokens";

/** Registers the routes. */
export function apiTokenRoutes(server: Server, api: Api): void {
  server.get(all, about("tokens", "API tokens that are valid", { querystring }), async (request, reply) => {
    const from = idCursor(request.query.after, "00T");
    const { limit } = request.query;
    const after = from === undefined ? {} : { after: from };
    const rows = await listTokens(api.db, { limit: limit + 1, valid_at: api.world.now(), ...after });
    return page(request, reply, rows, limit, ({ id }) => id).map((token) => tokenBody(token, request.base_url));
  });
  server.delete(
    `${all}/current`,
    about("tokens", "End the token that asks", undefined, { own: true }),
    async (request, reply) => {
      must(await revokeToken(commandOf(api, request), request.bearer?.token_id ?? ""));
      return reply.code(204).send();
    },
  );
  const one = `${all}/:token_id`;
  const oneToken = async (id: string) => found(await getToken(api.db, id, api.world.now()), id, "Token");
  server.get(one, about("tokens", "An API token", { params }), async (request) =>
    tokenBody(await oneToken(request.params.token_id), request.base_url),
  );
  server.put(one, about("tokens", "Rename an API token", { params, body: token_change }), async (request) => {
    const token = await oneToken(request.params.token_id);
    const { name, network: wanted } = request.body;
    if (wanted && wanted.connection !== "ANYWHERE") {
      throw invalid("network", "network: there are no network zones here, so a token serves from ANYWHERE");
    }
    const changed = name === undefined ? token : must(await renameToken(commandOf(api, request), token, name));
    return tokenBody(changed, request.base_url);
  });
  server.delete(one, about("tokens", "End an API token", { params }), async (request, reply) => {
    const { id } = await oneToken(request.params.token_id);
    must(await revokeToken(commandOf(api, request), id));
    return reply.code(204).send();
  });
}

function tokenBody(token: Token, base: string) {
  return {
    id: token.id,
    name: token.name,
    userId: token.user_id,
    clientName: "Tenure API",
    // After this long without use it ends, where that feature is on (core/features.ts).
    tokenWindow: "P30D",
    network: { connection: "ANYWHERE" },
    expiresAt: date(token.expires_at),
    created: date(token.created_at),
    lastUpdated: date(token.last_used_at ?? token.created_at),
    _links: { self: { href: `${base}${all}/${token.id}`, hints: { allow: ["GET", "PUT", "DELETE"] } } },
  };
}
