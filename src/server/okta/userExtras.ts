/**
 * What else hangs below /api/v1/users/{id}: the apps that a person has, how risky an administrator holds them to be, and
 * lists of sign-on that are always empty here, which clients read on their way.
 */
import { z } from "zod";
import { getRisk, type Risk, setRisk } from "../../directory/risk.ts";
import { sql } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, must } from "../errors.ts";
import { setLinks } from "../paging.ts";
import { hinted } from "./links.ts";
import { oneUser, user_params } from "./users.ts";

/** Registers the routes. */
export function userExtraRoutes(server: Server, api: Api): void {
  emptyLists(server, api);
  appLinks(server, api);
  riskRoutes(server, api);
}

/** Things of Okta's sign-on that nobody has here. */
function emptyLists(server: Server, api: Api): void {
  for (const what of ["clients", "grants", "idps"]) {
    server.get(
      `/api/v1/users/:user_id/${what}`,
      about("users", `Always empty: sign-on keeps ${what}`, { params: user_params }),
      async (request, reply) => {
        await oneUser(api, request.params.user_id);
        setLinks(request, reply, undefined);
        return [];
      },
    );
  }
  server.delete(
    "/api/v1/users/:user_id/grants",
    about("credentials", "Nothing to end: sign-on keeps grants", { params: user_params }),
    async (request, reply) => {
      await oneUser(api, request.params.user_id);
      return reply.code(204).send();
    },
  );
  server.get(
    "/api/v1/users/:user_id/blocks",
    about("users", "Not a feature of this organisation", { params: user_params }),
    async () => {
      throw new ApiError(401, "E0000015", "You do not have permission to access the feature you are requesting");
    },
  );
}

type AppLink = { account_id: string; app_id: string; name: string; label: string; url: string | null; sort: number };

/** The apps that a person has, as links: where a browser goes, if the app's settings say so. */
function appLinks(server: Server, api: Api): void {
  server.get(
    "/api/v1/users/:user_id/appLinks",
    about("assignments", "The apps of a person", { params: user_params }),
    async (request, reply) => {
      const { id } = await oneUser(api, request.params.user_id);
      const { rows } = await sql<AppLink>`
        select a.id as account_id, p.id as app_id, p.name, p.label,
          coalesce(p.settings->'settings'->'app'->>'url', p.settings->'settings'->'app'->>'loginUrl',
            p.settings->'settings'->'signOn'->>'loginUrl') as url,
          (row_number() over (order by p.label, p.id))::int - 1 as sort
        from accounts a join apps p on p.id = a.app_id
        where a.user_id = ${id} and a.assigned and p.status = 'ACTIVE' order by p.label, p.id limit 1000`.execute(
        api.db,
      );
      setLinks(request, reply, undefined);
      return rows.map((row) => ({
        id: row.account_id,
        label: row.label,
        linkUrl: row.url,
        logoUrl: null,
        appName: row.name,
        appInstanceId: row.app_id,
        appAssignmentId: row.account_id,
        credentialsSetup: false,
        hidden: false,
        sortOrder: row.sort,
      }));
    },
  );
}

function riskRoutes(server: Server, api: Api): void {
  const url = "/api/v1/users/:user_id/risk";
  server.get(url, about("users", "How risky a person is held to be", { params: user_params }), async (request) => {
    const { id } = await oneUser(api, request.params.user_id);
    return riskBody(id, (await getRisk(api.db, id))?.level, request.base_url);
  });
  const body = z.object({ riskLevel: z.enum(["LOW", "MEDIUM", "HIGH"]) });
  server.put(
    url,
    about("users", "Say how risky a person is held to be", { params: user_params, body }),
    async (request, reply) => {
      const { id } = await oneUser(api, request.params.user_id);
      const { riskLevel } = request.body;
      const { first } = must(await setRisk(commandOf(api, request), id, riskLevel));
      return reply.code(first ? 201 : 200).send(riskBody(id, riskLevel, request.base_url));
    },
  );
}

function riskBody(user_id: string, level: Risk["level"] | undefined, base: string) {
  const user = `${base}/api/v1/users/${user_id}`;
  return {
    riskLevel: level ?? "NONE",
    ...(level === undefined ? {} : { reason: "Admin override risk" }),
    _links: { user: hinted(user, "GET"), self: hinted(`${user}/risk`, "GET", "PUT") },
  };
}
