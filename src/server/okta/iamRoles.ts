/** /api/v1/iam/roles: roles put together from permissions (okta-api 4.8). A role is named by its id or its label. */
import { z } from "zod";
import type { Value } from "../../core/types.ts";
import {
  type CustomRole,
  changeCustomRole,
  createCustomRole,
  deleteCustomRole,
  dropPermission,
  getCustomRole,
  listCustomRoles,
  type Permission,
  permissionsOf,
  setPermission,
} from "../../directory/customRoles.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, must, notFound } from "../errors.ts";
import { afterOf, limitOf, page } from "../paging.ts";
import { date } from "./links.ts";

const text = (max: number) => z.string().min(1).max(max);
const role_text = { label: text(100), description: z.string().max(1_000) };
const new_role = z.object({ ...role_text, permissions: z.array(text(200)).max(200) });
const role_change = z.object(role_text);
const conditions_input = z
  .object({ conditions: z.record(z.string().max(200), z.json()).nullish() })
  .nullish()
  .refine((body) => JSON.stringify(body ?? null).length <= 10_000, "conditions are at most 10,000 characters");
const params = z.object({ role_id: text(200) });
const permission_params = params.extend({ permission: text(200) });
const one = "/api/v1/iam/roles/:role_id";

/** Registers the routes. */
export function iamRoleRoutes(server: Server, api: Api): void {
  const querystring = z.object({ after: afterOf, limit: limitOf(100, 200) });
  server.get("/api/v1/iam/roles", about("roles", "Custom roles", { querystring }), async (request, reply) => {
    const { after, limit } = request.query;
    const roles = await listCustomRoles(api.db, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const items = page(request, reply, roles, limit, ({ id }) => id);
    const self = `${request.base_url}/api/v1/iam/roles`;
    const next = roles.length > limit ? { next: { href: `${self}?after=${items.at(-1)?.id}&limit=${limit}` } } : {};
    return { roles: items.map((role) => roleBody(role, request.base_url)), _links: { self: { href: self }, ...next } };
  });
  server.post("/api/v1/iam/roles", about("roles", "Make a custom role", { body: new_role }), async (request) =>
    roleBody(must(await createCustomRole(commandOf(api, request), request.body), "label"), request.base_url),
  );
  server.get(one, about("roles", "A custom role", { params }), async (request) =>
    roleBody(await oneRole(api, request.params.role_id), request.base_url),
  );
  server.put(one, about("roles", "Rename a custom role", { params, body: role_change }), async (request) => {
    const role = await oneRole(api, request.params.role_id);
    return roleBody(must(await changeCustomRole(commandOf(api, request), role, request.body)), request.base_url);
  });
  server.delete(one, about("roles", "Delete a custom role that nobody has", { params }), async (request, reply) => {
    must(await deleteCustomRole(commandOf(api, request), await oneRole(api, request.params.role_id)));
    return reply.code(204).send();
  });
  permissionRoutes(server, api);
}

function permissionRoutes(server: Server, api: Api): void {
  server.get(`${one}/permissions`, about("roles", "The permissions of a role", { params }), async (request) => {
    const role = await oneRole(api, request.params.role_id);
    const permissions = await permissionsOf(api.db, role.id);
    return { permissions: permissions.map((permission) => permissionBody(permission, request.base_url)) };
  });
  const part = `${one}/permissions/:permission`;
  server.get(part, about("roles", "One permission of a role", { params: permission_params }), async (request) => {
    const role = await oneRole(api, request.params.role_id);
    return permissionBody(await onePermission(api, role, request.params.permission), request.base_url);
  });
  const giving = { params: permission_params, body: conditions_input };
  server.post(part, about("roles", "Give a role a permission", giving), async (request, reply) => {
    const role = await oneRole(api, request.params.role_id);
    const conditions = (request.body?.conditions ?? null) as Record<string, Value> | null;
    must(await setPermission(commandOf(api, request), role, request.params.permission, conditions));
    return reply.code(204).send();
  });
  server.put(part, about("roles", "Change the conditions of a permission", giving), async (request) => {
    const role = await oneRole(api, request.params.role_id);
    await onePermission(api, role, request.params.permission);
    const conditions = (request.body?.conditions ?? null) as Record<string, Value> | null;
    const changed = must(await setPermission(commandOf(api, request), role, request.params.permission, conditions));
    return permissionBody(changed, request.base_url);
  });
  server.delete(
    part,
    about("roles", "Take a permission from a role", { params: permission_params }),
    async (request, reply) => {
      const role = await oneRole(api, request.params.role_id);
      await onePermission(api, role, request.params.permission);
      must(await dropPermission(commandOf(api, request), role, request.params.permission));
      return reply.code(204).send();
    },
  );
}

/** The role that a path names by id or label, or 404. */
export async function oneRole(api: Api, id_or_label: string): Promise<CustomRole> {
  return found(await getCustomRole(api.db, id_or_label), id_or_label, "CustomRole");
}

async function onePermission(api: Api, role: CustomRole, name: string): Promise<Permission> {
  const permission = (await permissionsOf(api.db, role.id)).find((one) => one.permission === name);
  if (permission === undefined) throw notFound(name, "Permission");
  return permission;
}

function roleBody(role: CustomRole, base: string) {
  const self = `${base}/api/v1/iam/roles/${role.id}`;
  return {
    id: role.id,
    label: role.label,
    isCloneable: false,
    description: role.description,
    created: date(role.created_at),
    lastUpdated: date(role.updated_at),
    _links: { permissions: { href: `${self}/permissions` }, self: { href: self } },
  };
}

function permissionBody(permission: Permission, base: string) {
  const role = `${base}/api/v1/iam/roles/${permission.role_id}`;
  return {
    label: permission.permission,
    created: date(permission.created_at),
    lastUpdated: date(permission.updated_at),
    conditions: permission.conditions,
    _links: { role: { href: role }, self: { href: `${role}/permissions/${permission.permission}` } },
  };
}
