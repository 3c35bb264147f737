/**
 * Who asks, and may they: `Authorization: SSWS <token>` or `Bearer <token>` is looked up by its hash (directory/tokens),
 * and its role says which areas it may change. Reading is allowed to every role but a source's, which may only feed its
 * own app.
 *
 * Law: every route names its area; a route without one is public. Called by server.ts before every handler.
 */
import type { FastifyRequest } from "fastify";
import type { Area } from "../core/authority.ts";
import { type Bearer, type Role, verifyToken } from "../directory/tokens.ts";
import type { Actor } from "../store/tables.ts";
import type { Api } from "./api.ts";
import { ApiError } from "./errors.ts";

export type { Area };

/** `area`: undefined makes a route public. `access`: by default read for GET, else write. */
export type Need = Readonly<{ area?: Area; access?: "read" | "write" }>;

/** The areas each role may change; super administrators change everything. */
const writes: Readonly<Record<Exclude<Role, `SOURCE:${string}` | "SUPER_ADMIN">, readonly Area[]>> = {
  ORG_ADMIN: [
    "users",
    "credentials",
    "groups",
    "members",
    "rules",
    "apps",
    "assignments",
    "mappings",
    "schemas",
    "imports",
    "tasks",
    "org",
    "hooks",
    "sessions",
    "factors",
    "features",
    "secrets",
    "sources",
  ],
  APP_ADMIN: ["apps", "assignments", "mappings", "schemas", "imports", "tasks", "secrets", "sources"],
  USER_ADMIN: ["users", "credentials", "groups", "members", "tasks", "sessions", "factors"],
  GROUP_MEMBERSHIP_ADMIN: ["members"],
  HELP_DESK_ADMIN: ["credentials", "sessions", "factors"],
  READ_ONLY_ADMIN: [],
};

/**
 * The bearer of the request's token, by the database's word of the last second (memory.ts). A token's life is measured
 * by our clock, which the demo may have moved.
 *
 * @throws ApiError 401 E0000011 without a valid token.
 */
export async function authenticate(
  { db, memory, world }: Pick<Api, "db" | "memory" | "world">,
  request: FastifyRequest,
): Promise<Bearer> {
  const [scheme = "", text = "", ...rest] = (request.headers.authorization ?? "").split(" ");
  const bearer =
    rest.length === 0 && /^(SSWS|Bearer)$/i.test(scheme)
      ? await memory.recall(`token ${text}`, () => verifyToken(db, text, world.now()))
      : undefined;
  if (bearer === undefined) throw new ApiError(401, "E0000011", "Invalid token provided");
  return bearer;
}

/** May this bearer do it? @throws ApiError 403 E0000006 saying which role it has and what the route needs. */
export function authorise(bearer: Bearer, need: Need, method: string, params: unknown): void {
  const access = need.access ?? (method === "GET" || method === "HEAD" ? "read" : "write");
  if (allowed(bearer.role, need.area ?? "org", access, params)) return;
  throw new ApiError(403, "E0000006", "You do not have permission to perform the requested action", [
    `The token "${bearer.name}" has the role ${bearer.role}, which may not ${access === "read" ? "read" : "change"} ${need.area}; use a token with another role`,
  ]);
}

function allowed(role: string, area: Area, access: "read" | "write", params: unknown): boolean {
  if (role === "SUPER_ADMIN") return true;
  if (role.startsWith("SOURCE:")) {
    return area === "imports" && (params as { app_id?: unknown } | null)?.app_id === role.slice("SOURCE:".length);
  }
  if (!Object.hasOwn(writes, role)) return false;
  if (access === "read") return area !== "tokens" || role === "ORG_ADMIN" || role === "READ_ONLY_ADMIN";
  return writes[role as keyof typeof writes].includes(area);
}

/** The actor that the log names for this bearer: the token's person, else the token itself. */
export function actorOf(bearer: Bearer): Actor {
  return bearer.user_id === null
    ? { id: bearer.token_id, type: "SystemPrincipal", name: bearer.name }
    : { id: bearer.user_id, type: "User", name: bearer.name };
}
