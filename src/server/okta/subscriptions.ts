/** …/subscriptions of a role or a person: what they want to be told. Kept; no message is sent. */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { isStandardRole } from "../../core/adminRoles.ts";
import { isNotificationType, type NotificationType } from "../../core/subscriptions.ts";
import { getCustomRole } from "../../directory/customRoles.ts";
import { subscribe, subscriptionsOf } from "../../directory/subscriptions.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { notFound } from "../errors.ts";
import { hinted } from "./links.ts";
import { oneUser } from "./users.ts";

const text = z.string().min(1).max(200);

/** Registers the routes. */
export function subscriptionRoutes(server: Server, api: Api): void {
  const word = (request: FastifyRequest, name: string) => (request.params as Record<string, string>)[name] ?? "";
  placeRoutes(server, api, "/api/v1/roles/:role", z.object({ role: text }), async (request) => {
    const role = word(request, "role");
    if (isStandardRole(role)) return { subscriber: role, path: `roles/${role}` };
    const custom = await getCustomRole(api.db, role);
    if (custom === undefined) throw notFound(role, "Role");
    return { subscriber: custom.id, path: `roles/${custom.id}` };
  });
  placeRoutes(server, api, "/api/v1/users/:user_id", z.object({ user_id: text }), async (request) => {
    const { id } = await oneUser(api, word(request, "user_id"));
    return { subscriber: id, path: `users/${id}` };
  });
}

type Subscriber = Readonly<{ subscriber: string; path: string }>;

function placeRoutes(
  server: Server,
  api: Api,
  place: string,
  params: z.ZodObject<Record<string, z.ZodString>>,
  of: (request: FastifyRequest) => Promise<Subscriber>,
): void {
  const all = `${place}/subscriptions`;
  server.get(all, about("roles", "What somebody wants to be told", { params }), async (request) => {
    const { subscriber, path } = await of(request);
    const types = [...(await subscriptionsOf(api.db, subscriber))];
    return types.map(([type, on]) => subscriptionBody(`${request.base_url}/api/v1/${path}`, type, on));
  });
  const one = { params: params.extend({ notification_type: text }) };
  server.get(`${all}/:notification_type`, about("roles", "Whether somebody wants to be told", one), async (request) => {
    const { subscriber, path } = await of(request);
    const type = typeOf(request);
    const on = (await subscriptionsOf(api.db, subscriber)).get(type) === true;
    return subscriptionBody(`${request.base_url}/api/v1/${path}`, type, on);
  });
  for (const [verb, on] of [
    ["subscribe", true],
    ["unsubscribe", false],
  ] as const) {
    const options = about("roles", `${on ? "Be told" : "Do not be told"}`, one);
    server.post(`${all}/:notification_type/${verb}`, options, async (request, reply) => {
      const { subscriber } = await of(request);
      await subscribe(commandOf(api, request), subscriber, typeOf(request), on);
      return reply.code(200).send();
    });
  }
}

function typeOf(request: FastifyRequest): NotificationType {
  const { notification_type: text = "" } = request.params as Record<string, string>;
  if (!isNotificationType(text)) throw notFound(text, "NotificationType");
  return text;
}

function subscriptionBody(place: string, notificationType: NotificationType, on: boolean) {
  const self = `${place}/subscriptions/${notificationType}`;
  const verb = on ? "unsubscribe" : "subscribe";
  return {
    notificationType,
    channels: ["email"],
    status: on ? "subscribed" : "unsubscribed",
    _links: { [verb]: hinted(`${self}/${verb}`, "POST"), self: { href: self } },
  };
}
