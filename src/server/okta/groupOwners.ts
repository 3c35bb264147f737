/** /api/v1/groups/{id}/owners: who answers for a group (okta-api 4.3). */
import { z } from "zod";
import { addOwner, listOwners, type Owner, removeOwner } from "../../directory/groupOwners.ts";
import { getUsers } from "../../directory/userQueries.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, must } from "../errors.ts";
import { afterOf, limitOf, page } from "../paging.ts";
import { group_params, oneGroup } from "./groups.ts";

const params = group_params.extend({ owner_id: z.string().min(1).max(100) });
const owner_input = z.object({ id: z.string().min(1).max(100), type: z.enum(["USER", "GROUP"]) });
const list_query = z.object({ search: z.string().max(1_000).optional(), after: afterOf, limit: limitOf(100, 1_000) });
const url = "/api/v1/groups/:group_id/owners";

/** Registers the routes. */
export function groupOwnerRoutes(server: Server, api: Api): void {
  server.get(
    url,
    about("groups", "The owners of a group", { params: group_params, querystring: list_query }),
    async (request, reply) => {
      const { id } = await oneGroup(api, request.params.group_id);
      const { after, limit } = request.query;
      const owners = await listOwners(api.db, id, { limit: limit + 1, after });
      return page(request, reply, owners, limit, (owner) => owner.id).map(ownerBody);
    },
  );

  server.post(
    url,
    about("groups", "Make a person or a group an owner", { params: group_params, body: owner_input }),
    async (request, reply) => {
      const group = await oneGroup(api, request.params.group_id);
      const { id, type } = request.body;
      if (type === "GROUP") await oneGroup(api, id);
      else found((await getUsers(api.db, [id])).get(id), id, "User");
      const owner = must(await addOwner(commandOf(api, request), group.id, { id, type }), "owner");
      return reply.code(201).send(ownerBody(owner));
    },
  );

  server.delete(`${url}/:owner_id`, about("groups", "End an ownership", { params }), async (request, reply) => {
    const { id } = await oneGroup(api, request.params.group_id);
    const { owner_id } = request.params;
    // Okta keeps owners as links, and says so when there is none.
    found(must(await removeOwner(commandOf(api, request), id, owner_id)) || undefined, owner_id, "LinkedObject");
    return reply.code(204).send();
  });
}

function ownerBody(owner: Owner) {
  return {
    id: owner.id,
    type: owner.type,
    resolved: true,
    originId: null,
    originType: "OKTA_DIRECTORY",
    displayName: owner.name,
    lastUpdated: owner.created_at.toISOString(),
  };
}
