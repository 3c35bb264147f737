/**
 * /api/v1/iam/resource-sets/{id}/bindings: who has which custom role over a set. A binding is a role of the set with its
 * members; each member is a grant (roles.ts shows the same grants at the person or group).
 */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { type Assignee, findGrant, grantRole, revokeRole } from "../../directory/adminRoles.ts";
import { type Command, run } from "../../directory/command.ts";
import { type Binding, bindingsOf, type ResourceSet, readMember } from "../../directory/resourceSets.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { must, notFound } from "../errors.ts";
import { oneGroup } from "./groups.ts";
import { oneRole } from "./iamRoles.ts";
import { date } from "./links.ts";
import { oneSet } from "./resourceSets.ts";
import { oneUser } from "./users.ts";

const members = z.array(z.string().min(1).max(1_000)).max(100);
const text = z.string().min(1).max(200);
const params = z.object({ set_id: text });
const role_params = params.extend({ role_id: text });
const all = "/api/v1/iam/resource-sets/:set_id/bindings";
const one = `${all}/:role_id`;

/** Registers the routes. */
export function bindingRoutes(server: Server, api: Api): void {
  server.get(all, about("roles", "Who has a role over a set", { params }), async (request) => {
    const set = await oneSet(api, request.params.set_id);
    const self = setUrl(request, set);
    const roles = [...new Set((await bindingsOf(api.db, set.id)).map(({ role_id }) => role_id))];
    return {
      roles: roles.map((id) => ({
        id,
        _links: {
          self: { href: `${self}/bindings/${id}` },
          members: { href: `${self}/bindings/${id}/members` },
        },
      })),
      _links: { "resource-set": { href: self }, self: { href: `${self}/bindings` } },
    };
  });
  const binding = z.object({ role: text, members: members.optional() });
  server.post(all, about("roles", "Give a role over a set", { params, body: binding }), async (request) => {
    const set = await oneSet(api, request.params.set_id);
    const role = await oneRole(api, request.body.role);
    await give(api, request, set, role.id, request.body.members ?? []);
    return bindingBody(request, set, role.id);
  });
  server.get(one, about("roles", "A role over a set", { params: role_params }), async (request) => {
    const { set, role_id } = await bound(api, request.params.set_id, request.params.role_id);
    return bindingBody(request, set, role_id);
  });
  server.delete(one, about("roles", "End a role over a set", { params: role_params }), async (request, reply) => {
    const { bindings } = await bound(api, request.params.set_id, request.params.role_id);
    await end(api, commandOf(api, request), bindings);
    return reply.code(204).send();
  });
  memberRoutes(server, api);
}

function memberRoutes(server: Server, api: Api): void {
  const list = `${one}/members`;
  server.get(
    list,
    about("roles", "The people and groups with a role over a set", { params: role_params }),
    async (request) => {
      const { set, role_id, bindings } = await bound(api, request.params.set_id, request.params.role_id);
      const self = `${setUrl(request, set)}/bindings/${role_id}`;
      return {
        members: bindings.map((binding) => memberBody(request, binding, self)),
        _links: { binding: { href: self }, self: { href: `${self}/members` } },
      };
    },
  );
  server.patch(
    list,
    about("roles", "Give a role over a set to more", {
      params: role_params,
      body: z.object({ additions: members.min(1) }),
    }),
    async (request) => {
      const set = await oneSet(api, request.params.set_id);
      const role = await oneRole(api, request.params.role_id);
      await give(api, request, set, role.id, request.body.additions);
      return bindingBody(request, set, role.id);
    },
  );
  const member_params = role_params.extend({ member_id: text });
  const member = async (request: FastifyRequest) => {
    const { set_id, role_id: named, member_id } = request.params as z.infer<typeof member_params>;
    const { set, role_id, bindings } = await bound(api, set_id, named);
    const binding = bindings.find((one) => one.id === member_id);
    if (binding === undefined) throw notFound(member_id, "Member");
    return { binding, self: `${setUrl(request, set)}/bindings/${role_id}` };
  };
  server.get(
    `${list}/:member_id`,
    about("roles", "One who has a role over a set", { params: member_params }),
    async (request) => {
      const { binding, self } = await member(request);
      return memberBody(request, binding, self);
    },
  );
  server.delete(
    `${list}/:member_id`,
    about("roles", "Take a role over a set away from one", { params: member_params }),
    async (request, reply) => {
      const { binding } = await member(request);
      await end(api, commandOf(api, request), [binding]);
      return reply.code(204).send();
    },
  );
}

const setUrl = (request: FastifyRequest, set: ResourceSet) => `${request.base_url}/api/v1/iam/resource-sets/${set.id}`;

async function bound(api: Api, set_id: string, named: string) {
  const set = await oneSet(api, set_id);
  const role = await oneRole(api, named);
  const bindings = await bindingsOf(api.db, set.id, { role_id: role.id });
  if (bindings.length === 0) throw notFound(named, "RoleAssignment");
  return { set, role_id: role.id, bindings };
}

/** Gives the role to all of them or to none. */
async function give(api: Api, request: FastifyRequest, set: ResourceSet, role_id: string, names: readonly string[]) {
  const assignees: Assignee[] = [];
  for (const name of names) {
    const member = must(readMember(name));
    assignees.push(
      "user" in member ? { user: await oneUser(api, member.user) } : { group: await oneGroup(api, member.group) },
    );
  }
  const choice = { role: "CUSTOM" as const, custom_role_id: role_id, resource_set_id: set.id };
  must(
    await run<"given">(commandOf(api, request), async (running) => {
      for (const assignee of assignees) {
        const grant = await grantRole(running, assignee, choice);
        if (isRefusal(grant)) return grant;
      }
      return "given";
    }),
  );
}

async function end(api: Api, command: Command, bindings: readonly Binding[]): Promise<void> {
  for (const binding of bindings) {
    const assignee =
      binding.assignee_user === null
        ? { group: await oneGroup(api, binding.assignee_group ?? "") }
        : { user: await oneUser(api, binding.assignee_user) };
    const grant = await findGrant(api.db, assignee, binding.id);
    if (grant) must(await revokeRole(command, assignee, grant));
  }
}

function bindingBody(request: FastifyRequest, set: ResourceSet, role_id: string) {
  const self = `${setUrl(request, set)}/bindings/${role_id}`;
  return {
    id: role_id,
    _links: {
      self: { href: self },
      bindings: { href: `${setUrl(request, set)}/bindings` },
      "resource-set": { href: setUrl(request, set) },
      members: { href: `${self}/members` },
    },
  };
}

function memberBody(request: FastifyRequest, binding: Binding, self: string) {
  const path = binding.assignee_user === null ? `groups/${binding.assignee_group}` : `users/${binding.assignee_user}`;
  return {
    id: binding.id,
    created: date(binding.created_at),
    lastUpdated: date(binding.updated_at),
    _links: {
      self: { href: `${self}/members/${binding.id}` },
      binding: { href: self },
      member: { href: `${request.base_url}/api/v1/${path}` },
    },
  };
}
