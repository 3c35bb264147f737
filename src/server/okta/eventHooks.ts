/**
 * /api/v1/eventHooks: addresses that are told of events. Made ACTIVE and UNVERIFIED; told nothing before they are
 * verified, which is asking the address to give a word back. `authScheme.value` comes in and never goes out.
 */
import { randomBytes } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import {
  activateEventHook,
  createEventHook,
  deactivateEventHook,
  deleteEventHook,
  type EventHook,
  type EventHookWish,
  getEventHook,
  listEventHooks,
  markVerified,
  noteUnverified,
  replaceEventHook,
} from "../../directory/eventHooks.ts";
import { challengeHook, refuseAddress } from "../../engine/eventHooks.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { expression_max, readHookFilter } from "./eventHookFilter.ts";
import { eventHookForm } from "./eventHookForm.ts";
import { date, hinted } from "./links.ts";

const types_max = 300;
const headers_max = 50;

/** Headers that are the connection's, the body's or ours to say. */
const reserved =
  /^(host|connection|keep-alive|content-length|content-type|transfer-encoding|te|trailer|upgrade|expect|proxy-.*|x-okta-verification-challenge|x-tenure-.*)$/i;
const header_name = z
  .string()
  .max(200)
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "is no name of a header")
  .refine((name) => !reserved.test(name), "is a header that is not yours to set; choose another");
const header_value = z
  .string()
  .max(4_000)
  .regex(/^[\t\x20-\x7e]*$/, "can only be of printable ASCII characters");

const event_type = z
  .string()
  .max(200)
  .regex(/^[A-Za-z][\w]*(\.[A-Za-z_][\w]*)+$/, "is no event type; use one such as user.lifecycle.create");

const condition = z.object({
  event: event_type,
  condition: z
    .object({ version: z.string().max(50).nullish(), expression: z.string().max(expression_max).nullish() })
    .nullish(),
});

const hook_input = z.object({
  name: z.string().trim().min(1).max(255),
  description: z.string().max(1_000).nullish(),
  events: z.object({
    type: z.literal("EVENT_TYPE"),
    items: z.array(event_type).min(1).max(types_max),
    filter: z
      .object({ type: z.literal("EXPRESSION_LANGUAGE"), eventFilterMap: z.array(condition).max(types_max) })
      .nullish(),
  }),
  channel: z.object({
    type: z.literal("HTTP"),
    version: z.literal("1.0.0"),
    config: z.object({
      uri: z.string().min(1).max(2_000),
      method: z.literal("POST").nullish(),
      headers: z
        .array(z.object({ key: header_name, value: header_value }))
        .max(headers_max)
        .nullish(),
      authScheme: z
        .object({ type: z.literal("HEADER"), key: header_name, value: header_value.min(1).nullish() })
        .nullish(),
    }),
  }),
});

type HookInput = z.infer<typeof hook_input>;

const params = z.object({ hook_id: z.string().min(1).max(100) });
const all = "/api/v1/eventHooks";
const one = `${all}/:hook_id`;

/** Registers the routes. */
export function eventHookRoutes(server: Server, api: Api): void {
  server.get(all, about("hooks", "List event hooks"), async (request) =>
    (await listEventHooks(api.db)).map((hook) => hookBody(hook, request.base_url)),
  );

  server.post(all, about("hooks", "Make an event hook", { body: hook_input }), async (request) => {
    const wish = wishOf(api, request.body);
    const made = await createEventHook(commandOf(api, request), api.tools.key, wish, request.base_url);
    return hookBody(must(made, "eventHook"), request.base_url);
  });

  server.get(one, about("hooks", "Read an event hook", { params }), async (request) =>
    hookBody(await aHook(api, request.params.hook_id), request.base_url),
  );

  server.put(one, about("hooks", "Replace an event hook", { params, body: hook_input }), async (request) => {
    const { hook_id } = request.params;
    await aHook(api, hook_id);
    const wish = wishOf(api, request.body);
    const after = await replaceEventHook(commandOf(api, request), api.tools.key, hook_id, wish);
    return hookBody(must(after, "eventHook"), request.base_url);
  });

  server.delete(one, about("hooks", "Delete an inactive event hook", { params }), async (request, reply) => {
    const { hook_id } = request.params;
    await aHook(api, hook_id);
    must(await deleteEventHook(commandOf(api, request), hook_id), "eventHook");
    return reply.code(204).send();
  });
  lifecycleRoutes(server, api);
}

function lifecycleRoutes(server: Server, api: Api): void {
  for (const [word, command, summary] of [
    ["activate", activateEventHook, "Tell an event hook of what happens from now on"],
    ["deactivate", deactivateEventHook, "Tell an event hook nothing more"],
  ] as const) {
    server.post(`${one}/lifecycle/${word}`, about("hooks", summary, { params }), async (request) => {
      const { hook_id } = request.params;
      await aHook(api, hook_id);
      return hookBody(must(await command(commandOf(api, request), hook_id), "eventHook"), request.base_url);
    });
  }

  server.post(
    `${one}/lifecycle/verify`,
    about("hooks", "Ask an event hook's address whether it wants to be told", { params }),
    async (request) => verify(api, request, request.params.hook_id),
  );
}

async function verify(api: Api, request: FastifyRequest, hook_id: string) {
  const hook = await aHook(api, hook_id);
  const refusal = await challengeHook(api.world, eventHookForm, hook, randomBytes(24).toString("base64url"));
  if (refusal !== undefined) {
    await noteUnverified(commandOf(api, request), hook, refusal.refused);
    throw invalid("verification", refusal.refused);
  }
  return hookBody(must(await markVerified(commandOf(api, request), hook_id, hook.channel)), request.base_url);
}

async function aHook(api: Api, id: string): Promise<EventHook> {
  return found(await getEventHook(api.db, id), id, "Webhook");
}

/** What the hook is to be, checked as a whole. */
function wishOf(api: Api, { name, description, events, channel }: HookInput): EventHookWish {
  const { uri, headers, authScheme } = channel.config;
  // Where its name leads is seen when it is called.
  const refusal = refuseAddress(api.world, uri);
  if (refusal !== undefined) throw invalid("channel.config.uri", `channel.config.uri: ${refusal.refused}`);
  const event_types = [...new Set(events.items)];
  const filters = filtersOf(events.filter, event_types);
  return {
    ...{ name, description: description ?? null, event_types, filters, url: uri },
    headers: headers ?? [],
    secret_header: authScheme?.key ?? null,
    secret: authScheme?.value ?? undefined,
  };
}

function filtersOf(filter: HookInput["events"]["filter"], event_types: readonly string[]): EventHookWish["filters"] {
  if (filter === null || filter === undefined) return null;
  const filters = filter.eventFilterMap.map(({ event, condition: given }) => ({
    type: event,
    expression: given?.expression?.trim() ?? "",
  }));
  const wrong = filters.flatMap(({ type, expression }, n) => {
    const place = `events.filter.eventFilterMap.${n}`;
    if (!event_types.includes(type)) return [`${place}.event: ${type} is not among events.items; add it there`];
    if (filters.findIndex((other) => other.type === type) < n)
      return [`${place}.event: ${type} has a condition already`];
    if (expression === "") return [`${place}.condition.expression: is required; leave the entry out to be told of all`];
    const read = readHookFilter(expression);
    return isRefusal(read) ? [`${place}.condition.expression: ${read.refused}`] : [];
  });
  if (wrong.length > 0) throw invalid("events.filter", ...wrong.slice(0, 20));
  return filters;
}

function hookBody(hook: EventHook, base: string) {
  const self = `${base}${all}/${hook.id}`;
  const active = hook.status === "ACTIVE";
  return {
    id: hook.id,
    status: hook.status,
    verificationStatus: hook.verified_at === null ? "UNVERIFIED" : "VERIFIED",
    name: hook.name,
    description: hook.description,
    created: date(hook.created_at),
    createdBy: hook.created_by,
    lastUpdated: date(hook.updated_at),
    events: {
      type: "EVENT_TYPE",
      items: hook.event_types,
      filter:
        hook.filters === null
          ? null
          : {
              type: "EXPRESSION_LANGUAGE",
              eventFilterMap: hook.filters.map(({ type, expression }) => ({
                event: type,
                condition: { version: null, expression },
              })),
            },
    },
    channel: {
      type: "HTTP",
      version: "1.0.0",
      config: {
        uri: hook.url,
        headers: hook.headers,
        method: "POST",
        ...(hook.secret_header === null ? {} : { authScheme: { type: "HEADER", key: hook.secret_header } }),
      },
    },
    _links: {
      self: { href: self },
      ...(active
        ? {
            verify: hinted(`${self}/lifecycle/verify`, "POST"),
            deactivate: hinted(`${self}/lifecycle/deactivate`, "POST"),
          }
        : { activate: hinted(`${self}/lifecycle/activate`, "POST"), delete: hinted(self, "DELETE") }),
    },
  };
}
