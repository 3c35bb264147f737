/** How event hooks stand, every attempt to tell them, and telling them again: what Okta keeps to itself. */
import { z } from "zod";
import {
  type EventHookDelivery,
  listEventHookDeliveries,
  listEventHookStates,
  replayEventHook,
} from "../../directory/eventHookDeliveries.ts";
import { getEventHook } from "../../directory/eventHooks.ts";
import { tellAgain } from "../../engine/eventHooks.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { eventHookForm } from "../okta/eventHookForm.ts";
import { idCursor, page } from "../paging.ts";
import { given, moment, paged } from "./shared.ts";

const params = z.object({ hook_id: z.string().min(1).max(100) });
const choice = z.object({ outcome: z.enum(["DELIVERED", "FAILED"]).optional(), ...paged });
const replay_input = z.strictObject({
  from_seq: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional().describe("An event's debugData.sequence"),
  from: moment.optional().describe("The first event of this time on"),
  delivery_id: z.string().min(1).max(100).optional().describe("One delivery, now and out of turn"),
});

/** Registers the routes. */
export function eventHookDeliveryRoutes(server: Server, api: Api): void {
  server.get("/admin/v1/event-hooks", about("hooks", "How event hooks stand"), () => listEventHookStates(api.db));

  server.get(
    "/admin/v1/event-hooks/:hook_id/deliveries",
    about("hooks", "Attempts to tell an event hook, the newest first", { params, querystring: choice }),
    async (request, reply) => {
      const { hook_id } = request.params;
      const { outcome, after, limit } = request.query;
      found(await getEventHook(api.db, hook_id), hook_id);
      const deliveries = await listEventHookDeliveries(api.db, hook_id, {
        limit: limit + 1,
        ...given("outcome", outcome),
        ...given("after", idCursor(after, "whd")),
      });
      return page(request, reply, deliveries, limit, ({ id }) => id).map(deliveryBody);
    },
  );

  server.post(
    "/admin/v1/event-hooks/:hook_id/replay",
    about("hooks", "Tell an event hook again: from an event or a time on, or one delivery", {
      params,
      body: replay_input,
    }),
    async (request) => {
      const { hook_id } = request.params;
      const { from_seq, from, delivery_id } = request.body;
      const hook = found(await getEventHook(api.db, hook_id), hook_id);
      if ([from_seq, from, delivery_id].filter((one) => one !== undefined).length !== 1) {
        throw invalid("replay", "say one of from_seq, from and delivery_id");
      }
      if (delivery_id !== undefined) {
        const { id, outcome, status, duration_ms, error } = must(
          await tellAgain(api.world, commandOf(api, request), eventHookForm, hook, delivery_id),
          "replay",
        );
        return { delivery_id: id, outcome, status, duration_ms, error };
      }
      const place = from === undefined ? { seq: from_seq ?? 1 } : { at: from };
      return must(await replayEventHook(commandOf(api, request), hook_id, place), "replay");
    },
  );
}

function deliveryBody(delivery: EventHookDelivery) {
  const { id, event_id, attempt, outcome, status, duration_ms, error, again, node, started_at } = delivery;
  const seqs = delivery.seqs.map(Number);
  return { id, event_id, seqs, attempt, outcome, status, duration_ms, error, again, node, started_at };
}
