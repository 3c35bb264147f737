/** Who had what on a past day: a person, the accounts of an app, the members of a group. */
import { z } from "zod";
import { pastAccounts, pastMembers, pastPerson } from "../../engine/past.ts";
import { type Api, about, type Server } from "../api.ts";
import { reach } from "../auth.ts";
import { invalid, must } from "../errors.ts";
import { oneGroup } from "../okta/groups.ts";
import { user_params } from "../okta/users.ts";
import { page } from "../paging.ts";
import { anApp, app_params, given, moment, paged } from "./shared.ts";

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
      // Whose login it was then may be another than whose it is now, about whom the request was judged.
      if (told.user.id !== request.params.user_id) await reach(api, request, { user: [told.user.id] });
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
      const app = request.params.app_id;
      const app_id = isId("0oa", app) ? app : (await anApp(api, app)).id;
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
      const { group_id } = request.params;
      if (!isId("00g", group_id)) await oneGroup(api, group_id);
      const wish = { ...given("after", after), limit: limit + 1 };
      const members = await pastMembers(api.db, group_id, past(request.query.at), wish);
      return page(request, reply, members, limit, ({ user }) => user.id);
    },
  );
}

/** Whether a text is an id of this kind: then it is taken as it is, because whatever had it may be gone. */
const isId = (prefix: string, text: string): boolean => text.startsWith(prefix) && /^[0-9A-Za-z]{20}$/.test(text);
