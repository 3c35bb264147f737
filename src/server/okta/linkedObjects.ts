/**
 * /api/v1/meta/schemas/user/linkedObjects: links between people (manager and subordinate), and who is linked to whom
 * under /api/v1/users/{id}/linkedObjects.
 */
import { z } from "zod";
import {
  createLinkedObject,
  deleteLinkedObject,
  endLink,
  getLinkedObject,
  type LinkedObject,
  linkedPeople,
  listLinkedObjects,
  setLink,
} from "../../directory/linkedObjects.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, found, must, notFound } from "../errors.ts";
import { setLinks } from "../paging.ts";
import { oneUser, user_params } from "./users.ts";

const end = z.object({
  name: z.string().min(1).max(100),
  title: z.string().min(1).max(200),
  description: z.string().max(1000).nullish(),
  type: z.literal("USER").default("USER"),
});
const definition = z.object({ primary: end, associated: end });
const params = z.object({ link: z.string().max(200) });
const links = "/api/v1/meta/schemas/user/linkedObjects";
const shown_max = 1_000;

/** Registers the routes. */
export function linkedObjectRoutes(server: Server, api: Api): void {
  server.get(links, about("schemas", "The links that people can have"), async (request) =>
    (await listLinkedObjects(api.db)).map((link) => linkBody(link, request.base_url)),
  );
  server.post(links, about("schemas", "Define a link", { body: definition }), async (request, reply) => {
    const { primary, associated } = request.body;
    const made = await createLinkedObject(commandOf(api, request), {
      primary_name: primary.name,
      primary_title: primary.title,
      primary_description: primary.description ?? null,
      associated_name: associated.name,
      associated_title: associated.title,
      associated_description: associated.description ?? null,
    });
    if (isRefusal(made) && made.code === "duplicate") {
      const summary = "Linked Object definition already exists in the current organization.";
      throw new ApiError(409, "E0000127", summary, [made.refused]);
    }
    return reply.code(201).send(linkBody(must(made, "linkedObject"), request.base_url));
  });
  const one = `${links}/:link`;
  server.get(one, about("schemas", "A link, by its primary or associated name", { params }), async (request) => {
    const { link } = request.params;
    return linkBody(found(await getLinkedObject(api.db, link), link, "LinkedObject"), request.base_url);
  });
  server.delete(one, about("schemas", "Remove a link from everyone", { params }), async (request, reply) => {
    const { link } = request.params;
    found(await getLinkedObject(api.db, link), link, "LinkedObject");
    must(await deleteLinkedObject(commandOf(api, request), link));
    return reply.code(204).send();
  });
  valueRoutes(server, api);
}

/** Who is linked to whom. */
function valueRoutes(server: Server, api: Api): void {
  const one_link = user_params.extend({ link: z.string().max(200) });
  const to_primary = one_link.extend({ primary_id: z.string().max(200) });
  server.put(
    "/api/v1/users/:user_id/linkedObjects/:link/:primary_id",
    about("users", "Link a person to another at the primary end", { params: to_primary }),
    async (request, reply) => {
      const { user_id, link, primary_id } = request.params;
      const [associated, primary] = [await oneUser(api, user_id), await oneUser(api, primary_id)];
      const held = await getLinkedObject(api.db, link);
      if (held?.primary_name !== link) throw notFound(link, "LinkedObject");
      must(
        await setLink(commandOf(api, request), { name: link, associated_id: associated.id, primary_id: primary.id }),
        "linkedObject",
      );
      return reply.code(204).send();
    },
  );
  const url = "/api/v1/users/:user_id/linkedObjects/:link";
  server.get(url, about("users", "Who a person is linked to", { params: one_link }), async (request, reply) => {
    const { id } = await oneUser(api, request.params.user_id);
    const people = await linkedPeople(api.db, id, request.params.link, shown_max);
    if (isRefusal(people)) throw notFound(request.params.link, "LinkedObject");
    setLinks(request, reply, undefined);
    return people.map((one) => ({ _links: { self: { href: `${request.base_url}/api/v1/users/${one}` } } }));
  });
  server.delete(url, about("users", "End a person's link", { params: one_link }), async (request, reply) => {
    const { id } = await oneUser(api, request.params.user_id);
    if (isRefusal(await endLink(commandOf(api, request), id, request.params.link))) {
      throw notFound(request.params.link, "LinkedObject");
    }
    return reply.code(204).send();
  });
}

function linkBody(link: LinkedObject, base: string) {
  const { primary_name, primary_title, primary_description } = link;
  const { associated_name, associated_title, associated_description } = link;
  return {
    primary: { name: primary_name, title: primary_title, description: primary_description ?? "", type: "USER" },
    associated: {
      name: associated_name,
      title: associated_title,
      description: associated_description ?? "",
      type: "USER",
    },
    _links: { self: { href: `${base}${links}/${primary_name}` } },
  };
}
