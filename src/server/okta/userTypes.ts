/** /api/v1/meta/types/user: the types of people (okta-api 4.6). Each has a schema of its own, schemas.ts. */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { default_type_id } from "../../directory/schemaQueries.ts";
import {
  changeUserType,
  createUserType,
  deleteUserType,
  getUserType,
  listUserTypes,
  type UserType,
} from "../../directory/userTypes.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, must } from "../errors.ts";
import { date, schemaIdOf } from "./links.ts";

const text = (max: number) => z.string().min(1).max(max);
const new_type = z.object({ name: text(50), displayName: text(100), description: z.string().max(1000).nullish() });
const type_change = new_type.partial();
const params = z.object({ type_id: z.string().max(100) });
const one = "/api/v1/meta/types/user/:type_id";

/** Registers the routes. */
export function userTypeRoutes(server: Server, api: Api): void {
  const types = "/api/v1/meta/types/user";
  server.get(types, about("schemas", "The types of users"), async (request) =>
    (await listUserTypes(api.db)).map((type) => typeBody(type, request.base_url)),
  );
  server.post(types, about("schemas", "Make a type of users", { body: new_type }), async (request) => {
    const { name, displayName, description } = request.body;
    const input = { name, display_name: displayName, description: description ?? null };
    return typeBody(must(await createUserType(commandOf(api, request), input), "userType"), request.base_url);
  });
  const changeOf = async (request: FastifyRequest, change: Parameters<typeof changeUserType>[2]) => {
    const { type_id } = request.params as z.infer<typeof params>;
    // 404 in Okta's words before anything else is judged.
    found(await getUserType(api.db, type_id), type_id, "CVDType");
    return typeBody(must(await changeUserType(commandOf(api, request), type_id, change), "userType"), request.base_url);
  };
  server.get(one, about("schemas", "A type of users", { params }), async (request) => {
    const { type_id } = request.params;
    return typeBody(found(await getUserType(api.db, type_id), type_id, "CVDType"), request.base_url);
  });
  server.post(one, about("schemas", "Change what a type is called", { params, body: type_change }), async (request) => {
    const { name, displayName, description } = request.body;
    const change = {
      ...(name === undefined ? {} : { name }),
      ...(displayName === undefined ? {} : { display_name: displayName }),
      ...(description === undefined ? {} : { description }),
    };
    return changeOf(request, change);
  });
  server.put(one, about("schemas", "Replace what a type is called", { params, body: new_type }), async (request) => {
    const { name, displayName, description } = request.body;
    const change = { name, display_name: displayName, description: description ?? null };
    return changeOf(request, change);
  });
  server.delete(one, about("schemas", "Take away a type that nobody has", { params }), async (request, reply) => {
    const { type_id } = request.params;
    found(await getUserType(api.db, type_id), type_id, "CVDType");
    must(await deleteUserType(commandOf(api, request), type_id), "userType");
    return reply.code(204).send();
  });
}

function typeBody(type: UserType, base: string) {
  return {
    id: type.id,
    displayName: type.display_name,
    name: type.name,
    description: type.description,
    createdBy: type.created_by,
    lastUpdatedBy: type.updated_by,
    created: date(type.created_at),
    lastUpdated: date(type.updated_at),
    default: type.id === default_type_id,
    _links: {
      schema: { rel: "schema", href: `${base}/api/v1/meta/schemas/user/${schemaIdOf(type.id)}`, method: "GET" },
      self: { rel: "self", href: `${base}/api/v1/meta/types/user/${type.id}`, method: "GET" },
    },
  };
}
