/**
 * /api/v1/users/{id}/roles and /api/v1/groups/{id}/roles: who is an administrator of what (okta-api 4.8). What a role is
 * narrowed to is roleTargets.ts; only super administrators give and take roles (core/authority.ts).
 */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { grantId } from "../../core/adminRoles.ts";
import {
  type Assignee,
  assigneeId,
  findGrant,
  grantRole,
  isOwn,
  listAdministrators,
  listGrants,
  type RoleChoice,
  revokeRole,
  type StoredGrant,
} from "../../directory/adminRoles.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { invalid, must, notFound } from "../errors.ts";
import { afterOf, limitOf, page } from "../paging.ts";
import { oneGroup } from "./groups.ts";
import { date, org_id } from "./links.ts";
import { roleTargetRoutes } from "./roleTargets.ts";
import { oneUser } from "./users.ts";

const text = z.string().min(1).max(200);
const role_input = z.object({ type: text, role: text.optional(), "resource-set": text.optional() });
/** Whether administrators are told by mail: nobody is. */
const role_query = z.object({ disableNotifications: z.string().max(10).optional() });

/** Where assignees are found: the start of the path, and who stands there. */
export type RolePlace = Readonly<{
  path: string;
  params: z.ZodObject<Record<string, z.ZodString>>;
  of(request: FastifyRequest): Promise<Assignee>;
}>;

/** Registers the routes. */
export function roleRoutes(server: Server, api: Api): void {
  const params = (name: string) => z.object({ [name]: text });
  const named = (request: FastifyRequest, name: string) => (request.params as Record<string, string>)[name] ?? "";
  const places: readonly RolePlace[] = [
    {
      path: "/api/v1/users/:user_id/roles",
      params: params("user_id"),
      of: async (request) => ({ user: await oneUser(api, named(request, "user_id")) }),
    },
    {
      path: "/api/v1/groups/:group_id/roles",
      params: params("group_id"),
      of: async (request) => ({ group: await oneGroup(api, named(request, "group_id")) }),
    },
  ];
  for (const place of places) {
    grantRoutes(server, api, place);
    roleTargetRoutes(server, api, place);
  }
  assigneeRoutes(server, api);
}

function grantRoutes(server: Server, api: Api, { path, params, of }: RolePlace): void {
  server.get(path, about("roles", "The administrator roles of a person or group", { params }), async (request) => {
    const assignee = await of(request);
    const grants = await listGrants(api.db, assignee);
    return grants.map((grant) => grantBody(grant, assignee, request.base_url));
  });
  server.post(
    path,
    about("roles", "Give an administrator role", { params, querystring: role_query, body: role_input }),
    async (request, reply) => {
      const assignee = await of(request);
      const grant = must(await grantRole(commandOf(api, request), assignee, choiceOf(request.body)));
      return reply.code(201).send(grantBody(grant, assignee, request.base_url));
    },
  );
  const one = { params: params.extend({ grant_id: text }) };
  server.get(`${path}/:grant_id`, about("roles", "One administrator role", one), async (request) => {
    const assignee = await of(request);
    const { grant_id = "" } = request.params as Record<string, string>;
    return grantBody(await oneGrant(api, assignee, grant_id), assignee, request.base_url);
  });
  server.delete(
    `${path}/:grant_id`,
    about("roles", "Take an administrator role away", { ...one, querystring: role_query }),
    async (request, reply) => {
      const assignee = await of(request);
      const { grant_id = "" } = request.params as Record<string, string>;
      must(await revokeRole(commandOf(api, request), assignee, await ownGrant(api, assignee, grant_id)));
      return reply.code(204).send();
    },
  );
}

function choiceOf({ type, role, "resource-set": resource_set }: z.infer<typeof role_input>): RoleChoice {
  if (type !== "CUSTOM") return { role: type };
  if (role === undefined) throw invalid("role", "role: name the custom role by its id");
  if (resource_set === undefined) throw invalid("resource-set", "resource-set: name the resource set by its id");
  return { role: "CUSTOM", custom_role_id: role, resource_set_id: resource_set };
}

/** The grant that a path names, or 404. */
export async function oneGrant(api: Api, assignee: Assignee, id: string): Promise<StoredGrant> {
  const grant = await findGrant(api.db, assignee, id);
  if (grant === undefined) throw notFound(id, "RoleAssignment");
  return grant;
}

/** The same, to change it: what somebody has by a group is changed at the group. */
export async function ownGrant(api: Api, assignee: Assignee, id: string): Promise<StoredGrant> {
  const grant = await oneGrant(api, assignee, id);
  if (isOwn(grant, assignee)) return grant;
  throw invalid("roleId", `The role comes from the group ${grant.assignee_group}: change it there`);
}

/** A grant as Okta gives it. */
export function grantBody(grant: StoredGrant, assignee: Assignee, base: string) {
  const by = grant.assignee_group === null ? "USER" : "GROUP";
  const href =
    grant.assignee_group === null
      ? `${base}/api/v1/users/${grant.assignee_user}`
      : `${base}/api/v1/groups/${"group" in assignee ? assigneeId(assignee) : grant.assignee_group}`;
  const custom = grant.custom_role_id !== null && grant.resource_set_id !== null;
  const iam = `${base}/api/v1/iam`;
  return {
    id: grantId(grant.role, grant.id),
    label: grant.label,
    type: grant.role,
    status: "ACTIVE",
    created: date(grant.created_at),
    lastUpdated: date(grant.updated_at),
    assignmentType: by,
    ...(custom ? { role: grant.custom_role_id, "resource-set": grant.resource_set_id } : {}),
    _links: {
      assignee: { href },
      ...(custom
        ? {
            role: { href: `${iam}/roles/${grant.custom_role_id}` },
            "resource-set": { href: `${iam}/resource-sets/${grant.resource_set_id}` },
            permissions: { href: `${iam}/roles/${grant.custom_role_id}/permissions` },
            member: {
              href: `${iam}/resource-sets/${grant.resource_set_id}/bindings/${grant.custom_role_id}/members/${grant.id}`,
            },
          }
        : {}),
    },
  };
}

function assigneeRoutes(server: Server, api: Api): void {
  const querystring = z.object({ after: afterOf, limit: limitOf(100, 100) });
  server.get(
    "/api/v1/iam/assignees/users",
    about("roles", "The people who have a role of their own", { querystring }),
    async (request, reply) => {
      const { after, limit } = request.query;
      const ids = await listAdministrators(api.db, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
      const items = page(request, reply, ids, limit, (id) => id);
      const base = request.base_url;
      const next = ids.length > limit ? items.at(-1) : undefined;
      return {
        value: items.map((id) => ({
          id,
          orn: `orn:okta:directory:${org_id}:users:${id}`,
          _links: {
            roles: { href: `${base}/api/v1/users/${id}/roles` },
            self: { href: `${base}/api/v1/users/${id}` },
          },
        })),
        ...(next === undefined
          ? {}
          : { _links: { next: { href: `${base}/api/v1/iam/assignees/users?after=${next}&limit=${limit}` } } }),
      };
    },
  );
}
