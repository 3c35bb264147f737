/**
 * Who asks, and may they: `Authorization: SSWS <token>`, `Bearer <token>` or `DPoP <token>` is looked up by its hash
 * (directory/tokens.ts), and core/authority.ts judges its role, its person's roles and its scopes against what the
 * route needs.
 *
 * Laws: every route names its area; a route without one is public. What a token may do is read with the token and
 * remembered for a second (memory.ts), so that a request by one that may do everything asks the database nothing more.
 * A handler whose body names people, groups or apps says so (`within`) and asks with `reach`.
 *
 * Called by server.ts before every handler.
 */
import type { FastifyRequest } from "fastify";
import { type Area, type Authority, judge, type Kind, type Need as Needed } from "../core/authority.ts";
import { permissionsFor } from "../core/permissions.ts";
import { scopesFor } from "../core/scopes.ts";
import { type Bearer, verifyToken } from "../directory/tokens.ts";
import type { Database } from "../store/database.ts";
import type { Actor } from "../store/tables.ts";
import type { Api } from "./api.ts";
import { requireProof } from "./dpop.ts";
import { ApiError } from "./errors.ts";
import { groupsOf, type Named, peopleOf, thingsOf } from "./things.ts";

export type { Area };

/**
 * What a route says of itself. `area`: undefined makes it public. `access`: by default read for GET, else write.
 * `within`: it asks by itself (`reach`) about what its body names. `own`: it is about the token itself, which needs no
 * permission. `scim`: a source over SCIM asks it, with its own token (server/scim/routes.ts).
 * `notice`: a source tells something by a secret of its own, which the route judges by itself (server/notify/routes.ts).
 */
export type Need = Readonly<{
  area?: Area;
  access?: "read" | "write";
  within?: boolean;
  own?: boolean;
  scim?: boolean;
  notice?: boolean;
}>;

/** Who asks a route, as far as permission goes. */
type Asking = Readonly<{ bearer: Bearer; need: Needed }>;

/**
 * The bearer of the request's token, by the database's word of the last second. A token's life is measured by our
 * clock, which the demo may have moved.
 *
 * @throws ApiError 401 E0000011 without a valid token, or without the proof that a token bound to a key needs.
 */
export async function authenticate(
  api: Pick<Api, "db" | "memory" | "world">,
  request: FastifyRequest,
): Promise<Bearer> {
  const [scheme = "", text = "", ...rest] = (request.headers.authorization ?? "").split(" ");
  const bearer =
    rest.length === 0 && /^(SSWS|Bearer|DPoP)$/i.test(scheme)
      ? await api.memory.recall(`token ${text}`, () => verifyToken(api.db, text, api.world.now()))
      : undefined;
  if (bearer === undefined || (bearer.jkt === null) === /^DPoP$/i.test(scheme)) {
    throw new ApiError(401, "E0000011", "Invalid token provided");
  }
  if (bearer.jkt !== null) await requireProof(api, request, { jkt: bearer.jkt, token: text });
  return bearer;
}

/** The kinds of thing that paths name, by the name of their parameter. */
const kinds: readonly (readonly [param: string, kind: Kind])[] = [
  ["user_id", "user"],
  ["group_id", "group"],
  ["app_id", "app"],
];

const needs = new Map<string, Needed>();

/** What a route needs, worked out once from its method, its path and what it says of itself. */
export function needOf(method: string, pattern: string, { area = "org", access, within }: Need): Needed {
  const key = `${method} ${pattern}`;
  const known = needs.get(key);
  if (known !== undefined) return known;
  const means = access ?? (method === "GET" || method === "HEAD" ? "read" : "write");
  const need: Needed = {
    area,
    access: means,
    names: kinds.filter(([param]) => pattern.includes(`:${param}`)).map(([, kind]) => kind),
    within: within ?? false,
    permissions: permissionsFor({ area, access: means, method, pattern }),
    scopes: scopesFor(area, means, pattern),
  };
  needs.set(key, need);
  return need;
}

/** May this bearer do it? @throws ApiError 403 E0000006 saying why not. */
export async function authorise(api: Pick<Api, "db">, request: FastifyRequest): Promise<void> {
  const { bearer } = request;
  const { config, url = "" } = request.routeOptions;
  if (bearer === null || config.area === undefined) return;
  const need = needOf(request.method, url, config);
  const params = (request.params ?? {}) as Readonly<Record<string, string>>;
  if (bearer.role.startsWith("SOURCE:")) return requireSource({ bearer, need }, params["app_id"]);
  const named: Record<string, string> = {};
  for (const [param, kind] of kinds) if (params[param] !== undefined) named[kind] = params[param];
  if (bearer.scopes === null && (config.own || isSelf(bearer, need, named))) return;
  if (named["user"] === "me" && bearer.user_id !== null) named["user"] = bearer.user_id;
  await decide(api, { bearer, need }, named);
}

/** Whoever has a token may read whose it is. */
const isSelf = (bearer: Bearer, need: Needed, { user }: Named) =>
  need.access === "read" && need.area === "users" && (user === "me" || (user !== undefined && user === bearer.user_id));

/** A source may feed its own app and nothing else. */
function requireSource({ bearer, need }: Asking, app_id: string | undefined): void {
  const own = bearer.role.slice("SOURCE:".length);
  if (["imports", "sources"].includes(need.area) && app_id === own) return;
  throw refused({ bearer, need }, `it is the token of the source ${own}, which feeds its own app`);
}

async function decide(api: Pick<Api, "db">, asking: Asking, named: Named): Promise<void> {
  const { bearer, need } = asking;
  const authority: Authority = bearer;
  let verdict = judge(authority, need, undefined);
  if (verdict === "look") verdict = judge(authority, need, await thingsOf(api.db, named));
  if (verdict === "yes") return;
  throw refused(asking, verdict === "look" ? "it names nothing that could be judged" : verdict.no);
}

function refused({ bearer, need }: Asking, why: string): ApiError {
  return new ApiError(403, "E0000006", "You do not have permission to perform the requested action", [
    `The token "${bearer.name}" may not ${need.access === "read" ? "read" : "change"} ${need.area}: ${why}`,
  ]);
}

/**
 * May this bearer change what the body names? For routes that say `within`, and for those whose path does not name all
 * that they change. Naming nothing is asking for everything. `area`: what it does to them, where that is not what the
 * route is about (a person who is created in a group becomes its member).
 *
 * @throws ApiError 403 E0000006 for the first that is out of reach.
 */
export async function reach(
  api: Pick<Api, "db">,
  request: FastifyRequest,
  named: Readonly<Partial<Record<Kind, readonly string[]>>>,
  area?: Area,
): Promise<void> {
  const { bearer } = request;
  const { config, url = "" } = request.routeOptions;
  if (bearer === null || config.area === undefined || bearer.role.startsWith("SOURCE:")) return;
  const route = needOf(request.method, url, config);
  const permissions = area && permissionsFor({ area, access: "write", method: request.method, pattern: url });
  const need = { ...route, within: false, ...(area && permissions ? { area, permissions } : {}) };
  // The scopes were those of the route, and hold for all of it.
  const unscoped = { ...bearer, scopes: null };
  const all = Object.entries(named).flatMap(([kind, ids]) => ids.map((id) => [kind as Kind, id] as const));
  if (all.length === 0) await decide(api, { bearer: unscoped, need: { ...route, within: false } }, {});
  for (const [kind, id] of all) {
    await decide(api, { bearer: unscoped, need: { ...need, names: [kind] } }, { [kind]: id });
  }
}

/**
 * May this bearer see all that the route is about? For an answer about what is not there any more: no target and no resource
 * set holds it, so only whoever may see all is told.
 *
 * @throws ApiError 403 E0000006 for whoever is narrowed.
 */
export async function reachAll(api: Pick<Api, "db">, request: FastifyRequest): Promise<void> {
  const { bearer } = request;
  const { config, url = "" } = request.routeOptions;
  if (bearer === null || config.area === undefined) return;
  const need = { ...needOf(request.method, url, config), within: false, names: [] };
  await decide(api, { bearer: { ...bearer, scopes: null }, need }, {});
}

/**
 * Which of these people or groups this bearer may not change, with the reason: for routes that change many at once and
 * refuse one by one. `db`: the transaction that changes them.
 */
export async function outOfReach(
  db: Database,
  request: FastifyRequest,
  kind: "user" | "group",
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const { bearer } = request;
  const { config, url = "" } = request.routeOptions;
  if (bearer === null || ids.length === 0) return new Map();
  const need: Needed = { ...needOf(request.method, url, config), within: false, names: [kind] };
  // The scopes were those of the route, and hold for all of it.
  const unscoped = { ...bearer, scopes: null };
  if (judge(unscoped, need, undefined) === "yes") return new Map();
  const things = kind === "user" ? await peopleOf(db, ids) : await groupsOf(db, ids);
  return new Map(
    ids.flatMap((id) => {
      const thing = things.get(id);
      const verdict = judge(unscoped, need, thing === undefined ? {} : { [kind]: thing });
      if (verdict === "yes") return [];
      return [[id, verdict === "look" ? "nobody can say whether you may" : verdict.no] as const];
    }),
  );
}

/**
 * The actor that the log names for this bearer: the token's person by their login, as Okta's `alternateId`, else the client
 * or the token itself.
 */
export function actorOf(bearer: Bearer): Actor {
  if (bearer.user_id !== null) return { id: bearer.user_id, type: "User", name: bearer.login ?? bearer.name };
  if (bearer.client_id !== null) return { id: bearer.client_id, type: "App", name: bearer.name };
  return { id: bearer.token_id, type: "SystemPrincipal", name: bearer.name };
}
