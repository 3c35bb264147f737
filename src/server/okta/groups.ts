/** /api/v1/groups: groups and who is in them (okta-api 4.3). Rules are groupRules.ts. */
import { sql } from "kysely";
import { z } from "zod";
import { getGroup, listGroups, membersOf, type StoredGroup } from "../../directory/groupQueries.ts";
import { createGroups, deleteGroups, updateGroups } from "../../directory/groups.ts";
import { grantMemberships, revokeMemberships } from "../../directory/memberships.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, must } from "../errors.ts";
import { afterOf, idCursor, limitOf, page, setLinks } from "../paging.ts";
import { appBody } from "./appBody.ts";
import { groupBody } from "./groupBody.ts";
import { groupApps, groupStats, sourceApps } from "./groupReads.ts";
import { filterGroups, isDescending, searchGroups, sortCursor, sortGroups } from "./search.ts";
import { userBody } from "./userBody.ts";
import { profile_input, profileOf } from "./userInput.ts";
import { oneUser } from "./users.ts";

export const group_params = z.object({ group_id: z.string().min(1).max(100) });
const member_params = group_params.extend({ user_id: z.string().min(1).max(200).describe("Id or login") });
const group_input = z.object({ profile: profile_input });

const list_query = z.object({
  search: z.string().max(10_000).optional().describe('As in profile.name sw "Sales"'),
  filter: z.string().max(10_000).optional().describe('As in type eq "OKTA_GROUP"'),
  q: z.string().max(200).optional().describe("Start of the name"),
  expand: z.string().max(100).optional().describe("stats: what each has; app: where an imported one comes from"),
  sortBy: z.string().max(200).optional(),
  sortOrder: z.string().optional(),
  after: afterOf,
  limit: limitOf(1_000, 10_000),
});

/** Registers the routes. */
export function groupRoutes(server: Server, api: Api): void {
  server.get(
    "/api/v1/groups",
    about("groups", "List or search groups", { querystring: list_query }),
    async (request, reply) => {
      const { expand, limit } = request.query;
      const { groups, after } = await listOf(api, request.query);
      const items = page(request, reply, groups, limit, after);
      const wanted = expand?.split(",") ?? [];
      const ids = items.map(({ id }) => id);
      const stats = wanted.includes("stats") ? await groupStats(api.db, ids) : undefined;
      const apps = wanted.includes("app") ? await sourceApps(api.db, ids) : undefined;
      return items.map((group) => {
        const app = apps?.get(group.source_app_id ?? "");
        const embedded = {
          ...(stats ? { stats: stats.get(group.id) } : {}),
          ...(app ? { app: appBody(app, request.base_url) } : {}),
        };
        const body = groupBody(group, request.base_url);
        return Object.keys(embedded).length === 0 ? body : { ...body, _embedded: embedded };
      });
    },
  );

  server.post("/api/v1/groups", about("groups", "Create a group", { body: group_input }), async (request) => {
    const [group] = must(await createGroups(commandOf(api, request), [{ profile: profileOf(request.body.profile) }]));
    return groupBody(group as StoredGroup, request.base_url);
  });
  oneGroupRoutes(server, api);
}

/** One group: reading, replacing, deleting it. */
function oneGroupRoutes(server: Server, api: Api): void {
  server.get("/api/v1/groups/:group_id", about("groups", "Read a group", { params: group_params }), async (request) =>
    groupBody(await oneGroup(api, request.params.group_id), request.base_url),
  );

  server.put(
    "/api/v1/groups/:group_id",
    about("groups", "Replace a group's profile", { params: group_params, body: group_input }),
    async (request) => {
      const { id } = await oneGroup(api, request.params.group_id);
      const change = { id, profile: profileOf(request.body.profile), replace: true };
      const [group] = must(await updateGroups(commandOf(api, request), [change]));
      return groupBody(group as StoredGroup, request.base_url);
    },
  );

  server.delete(
    "/api/v1/groups/:group_id",
    about("groups", "Delete a group", { params: group_params }),
    async (request, reply) => {
      const { id } = await oneGroup(api, request.params.group_id);
      must(await deleteGroups(commandOf(api, request), [id]));
      return reply.code(204).send();
    },
  );

  server.get(
    "/api/v1/groups/:group_id/apps",
    about("groups", "The apps assigned to a group", { params: group_params }),
    async (request, reply) => {
      const { id } = await oneGroup(api, request.params.group_id);
      setLinks(request, reply, undefined);
      return (await groupApps(api.db, id)).map((app) => appBody(app, request.base_url));
    },
  );

  memberRoutes(server, api);
}

function memberRoutes(server: Server, api: Api): void {
  const query = z.object({ after: afterOf, limit: limitOf(1_000, 1_000) });
  server.get(
    "/api/v1/groups/:group_id/users",
    about("members", "The people in a group", { params: group_params, querystring: query }),
    async (request, reply) => {
      const { group_id } = request.params;
      const { after, limit } = request.query;
      const from = idCursor(after, "00u");
      const users = found(
        await membersOf(api.db, group_id, { limit: limit + 1, ...(from === undefined ? {} : { after: from }) }),
        group_id,
        "UserGroup",
      );
      return page(request, reply, users, limit, ({ id }) => id).map((user) => userBody(user, request.base_url, "self"));
    },
  );

  server.put(
    "/api/v1/groups/:group_id/users/:user_id",
    about("members", "Put a person in a group", { params: member_params }),
    async (request, reply) => {
      const group = await oneGroup(api, request.params.group_id);
      const user = await oneUser(api, request.params.user_id);
      const command = commandOf(api, request);
      must(
        await grantMemberships(command, [
          { user_id: user.id, group_id: group.id, kind: "person", source_id: command.actor.id },
        ]),
      );
      return reply.code(204).send();
    },
  );

  server.delete(
    "/api/v1/groups/:group_id/users/:user_id",
    about("members", "Take a person out of a group, whoever put them there", { params: member_params }),
    async (request, reply) => {
      const group = await oneGroup(api, request.params.group_id);
      const user = await oneUser(api, request.params.user_id);
      must(await revokeMemberships(commandOf(api, request), [{ user_id: user.id, group_id: group.id }]));
      return reply.code(204).send();
    },
  );
}

type ListQuery = z.infer<typeof list_query>;

async function listOf(api: Api, query: ListQuery) {
  const { search, filter, q, limit, after, sortBy } = query;
  // Who asks for an order that is none is told so, sorted or not.
  isDescending(query.sortOrder);
  const where = [
    ...(search === undefined ? [] : [await searchGroups(api, search)]),
    ...(filter === undefined ? [] : [await filterGroups(api, filter)]),
  ];
  const choice = {
    ...(where.length === 0 ? {} : { where: sql.join(where, sql` and `) }),
    ...(q === undefined ? {} : { q }),
  };
  if (sortBy !== undefined) {
    const sort = await sortGroups(api, { ...query, sortBy });
    const groups = await listGroups(api.db, choice, { limit: limit + 1, sort });
    return { groups, after: sortCursor({ ...query, sortBy }) };
  }
  const from = idCursor(after, "00g");
  const groups = await listGroups(api.db, choice, { limit: limit + 1, ...(from === undefined ? {} : { after: from }) });
  return { groups, after: ({ id }: { id: string }) => id };
}

/** The group that a path names, or 404. */
export async function oneGroup(api: Api, id: string): Promise<StoredGroup> {
  return found(await getGroup(api.db, id), id, "UserGroup");
}
