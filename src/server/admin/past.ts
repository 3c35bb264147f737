/** Who had what on a past day: a person, the accounts of an app, the members of a group. */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { appByIdOrLabel } from "../../directory/apps.ts";
import { getGroup } from "../../directory/groupQueries.ts";
import { knownIds } from "../../directory/userQueries.ts";
import { pastAccounts, pastMembers, pastPerson } from "../../engine/past.ts";
import { type Api, about, type Server } from "../api.ts";
import { reach, reachAll } from "../auth.ts";
import { found, invalid, must } from "../errors.ts";
import { user_params } from "../okta/users.ts";
import { isId, page } from "../paging.ts";
import { app_params, given, moment, paged } from "./shared.ts";

const at = moment.describe("When: ISO 8601 with a zone; not ahead");

/** Registers the routes. */
export function historyRoutes(server: Server, api: Api): void {
  const past = (moment: Date): Date => {
    if (moment <= api.world.now()) return moment;
    throw invalid("at", `at: ${moment.toISOString()} has not been yet`);
  };

  server.get(
    "/admin/v1/past/users/:user_id",
    about("users", "A person as they were on a past day, with their groups and accounts, and why", {
      params: user_params,
      querystring: z.object({ at }),
    }),
    async (request) => {
      const told = must(await pastPerson(api.db, request.params.user_id, past(request.query.at)));
      const { id } = told.user;
      if ((await knownIds(api.db, [id])).size === 0) await reachAll(api, request);
      // Whose login it was then may be another than whose it is now, about whom the request was judged.
      else if (id !== request.params.user_id) await reach(api, request, { user: [id] });
      return told;
    },
  );

  server.get(
    "/admin/v1/past/apps/:app_id/accounts",
    about("assignments", "Who had an account in an app on a past day, and why; also of an app deleted since, by id", {
      params: app_params,
      querystring: z.object({ at, ...paged }),
    }),
    async (request, reply) => {
      const { after, limit } = request.query;
      const asked = request.params.app_id;
      const app = await appByIdOrLabel(api.db, asked);
      const app_id = app?.id ?? (await idOfGone(api, request, asked, ["0oa", "AppInstance"]));
      const wish = { app_id, ...given("after", after), limit: limit + 1 };
      return page(request, reply, await pastAccounts(api.db, wish, past(request.query.at)), limit, ({ id }) => id);
    },
  );

  const group_params = z.object({ group_id: z.string().min(1).max(100) });
  server.get(
    "/admin/v1/past/groups/:group_id/members",
    about("members", "Who was in a group on a past day, and by what; also of a group deleted since", {
      params: group_params,
      querystring: z.object({ at, ...paged }),
    }),
    async (request, reply) => {
      const { after, limit } = request.query;
      const asked = request.params.group_id;
      const group = await getGroup(api.db, asked);
      const group_id = group?.id ?? (await idOfGone(api, request, asked, ["00g", "UserGroup"]));
      const wish = { ...given("after", after), limit: limit + 1 };
      const members = await pastMembers(api.db, group_id, past(request.query.at), wish);
      return page(request, reply, members, limit, ({ user }) => user.id);
    },
  );
}

/** The id of what is gone, or never was: the history answers by it. 404 for a text that is none. */
async function idOfGone(
  api: Api,
  request: FastifyRequest,
  asked: string,
  [prefix, what]: readonly [prefix: string, what: string],
): Promise<string> {
  if (!isId(prefix, asked)) found(undefined, asked, what);
  await reachAll(api, request);
  return asked;
}
