/**
 * /api/v1/iam/resource-sets: sets of people, groups and apps, and the bindings that say who has which custom role over
 * them (okta-api 4.8).
 */
import { z } from "zod";
import { ornOf, pathOf } from "../../core/resources.ts";
import {
  addToSet,
  changeResourceSet,
  createResourceSet,
  deleteResourceSet,
  getResourceSet,
  listResourceSets,
  membersOfSet,
  type ResourceSet,
  removeFromSet,
  type SetMember,
} from "../../directory/resourceSets.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must, notFound } from "../errors.ts";
import { afterOf, limitOf, page } from "../paging.ts";
import { bindingRoutes } from "./bindings.ts";
import { date, org_id } from "./links.ts";

const lines = z.array(z.string().min(1).max(1_000)).max(1_000);
/** A label that is missing is answered in Okta's words, not the schema's. */
const set_input = z.object({ label: z.string().max(100).nullish(), description: z.string().max(1_000).nullish() });
const new_set = set_input.extend({ resources: lines.nullish() });
const additions = z.object({ additions: lines.min(1) });
const params = z.object({ set_id: z.string().min(1).max(200) });
const querystring = z.object({ after: afterOf, limit: limitOf(100, 100) });

const sets = "/api/v1/iam/resource-sets";
const one = `${sets}/:set_id`;

/** Registers the routes. */
export function resourceSetRoutes(server: Server, api: Api): void {
  server.get(sets, about("roles", "Resource sets", { querystring }), async (request, reply) => {
    const { after, limit } = request.query;
    const all = await listResourceSets(api.db, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const items = page(request, reply, all, limit, ({ id }) => id);
    const self = `${request.base_url}${sets}`;
    const next = all.length > limit ? { next: { href: `${self}?after=${items.at(-1)?.id}` } } : {};
    return {
      "resource-sets": items.map((set) => setBody(set, request.base_url)),
      _links: { self: { href: self }, ...next },
    };
  });
  server.post(sets, about("roles", "Make a resource set", { body: new_set }), async (request) => {
    const resources = request.body.resources ?? [];
    const set = await createResourceSet(commandOf(api, request), { ...textOf(request.body), resources });
    return setBody(must(set), request.base_url);
  });
  server.get(one, about("roles", "A resource set", { params }), async (request) =>
    setBody(await oneSet(api, request.params.set_id), request.base_url),
  );
  server.put(one, about("roles", "Rename a resource set", { params, body: set_input }), async (request) => {
    const set = await oneSet(api, request.params.set_id);
    return setBody(must(await changeResourceSet(commandOf(api, request), set, textOf(request.body))), request.base_url);
  });
  server.delete(one, about("roles", "Delete a resource set", { params }), async (request, reply) => {
    must(await deleteResourceSet(commandOf(api, request), await oneSet(api, request.params.set_id)));
    return reply.code(204).send();
  });
  memberRoutes(server, api);
  bindingRoutes(server, api);
}

function textOf({ label, description }: z.infer<typeof set_input>) {
  if (!label) throw invalid("label", "label: Label must be specified");
  return { label, description: description ?? "" };
}

function memberRoutes(server: Server, api: Api): void {
  server.get(
    `${one}/resources`,
    about("roles", "What a set holds", { params, querystring }),
    async (request, reply) => {
      const set = await oneSet(api, request.params.set_id);
      const { after, limit } = request.query;
      const all = await membersOfSet(api.db, set.id, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
      const items = page(request, reply, all, limit, ({ id }) => id);
      const self = `${request.base_url}${sets}/${set.id}`;
      const next = all.length > limit ? { next: { href: `${self}/resources?after=${items.at(-1)?.id}` } } : {};
      return {
        resources: items.map((member) => memberBody(member, self, request.base_url)),
        _links: { "resource-set": { href: self }, self: { href: `${self}/resources` }, ...next },
      };
    },
  );
  server.patch(`${one}/resources`, about("roles", "Add to a set", { params, body: additions }), async (request) => {
    const set = await oneSet(api, request.params.set_id);
    return setBody(must(await addToSet(commandOf(api, request), set, request.body.additions)), request.base_url);
  });
  server.delete(
    `${one}/resources/:resource_id`,
    about("roles", "Take something out of a set", { params: params.extend({ resource_id: z.string().max(200) }) }),
    async (request, reply) => {
      const set = await oneSet(api, request.params.set_id);
      const { resource_id } = request.params;
      const removed = await removeFromSet(commandOf(api, request), set, resource_id);
      if ("refused" in removed) throw notFound(resource_id, "Resource");
      return reply.code(204).send();
    },
  );
}

/** The set that a path names, or 404. */
export async function oneSet(api: Api, id: string): Promise<ResourceSet> {
  return found(await getResourceSet(api.db, id), id, "IAMPolicy");
}

function setBody(set: ResourceSet, base: string) {
  const self = `${base}${sets}/${set.id}`;
  return {
    id: set.id,
    label: set.label,
    description: set.description,
    created: date(set.created_at),
    lastUpdated: date(set.updated_at),
    _links: { bindings: { href: `${self}/bindings` }, self: { href: self }, resources: { href: `${self}/resources` } },
  };
}

function memberBody(member: SetMember, set: string, base: string) {
  const path = pathOf(member);
  return {
    id: member.id,
    orn: ornOf(member, org_id, member.app_name ?? undefined),
    created: date(member.created_at),
    lastUpdated: date(member.created_at),
    _links: {
      self: { href: path === undefined ? `${set}/resources/${member.id}` : `${base}${path}` },
      resource: { href: `${set}/resources/${member.id}` },
    },
  };
}
