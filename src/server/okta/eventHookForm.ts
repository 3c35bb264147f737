/**
 * What an event hook is sent: Okta's envelope around events in the form of the System Log, the same as /api/v1/logs gives.
 * The engine, which knows no name of Okta's, is handed this as its `HookForm`.
 */
import type { Filter } from "../../core/filter.ts";
import type { Value } from "../../core/types.ts";
import type { HookForm } from "../../engine/eventHooks.ts";
import { isRefusal } from "../../store/database.ts";
import { fulfilsHookFilter, readHookFilter } from "./eventHookFilter.ts";
import { logEventBody } from "./logBody.ts";

export const eventHookForm: HookForm = {
  challenge: {
    header: "x-okta-verification-challenge",
    said: (json) =>
      typeof json === "object" && json !== null && "verification" in json ? json.verification : undefined,
    hint: 'the address must answer GET with 200 and {"verification": "<what X-Okta-Verification-Challenge said>"} in 3 seconds',
  },
  wanted: (hook) => {
    const filters = new Map<string, Filter>();
    for (const { type, expression } of hook.filters ?? []) {
      const filter = readHookFilter(expression);
      // Only what can be read is ever kept.
      if (isRefusal(filter))
        throw new Error(`the filter of the event hook ${hook.id} cannot be read: ${filter.refused}`);
      filters.set(type, filter);
    }
    return (event) => {
      const filter = filters.get(event.type);
      // Through JSON, which is how the hook would see it: values that are none there are none here.
      return (
        filter === undefined || fulfilsHookFilter(filter, JSON.parse(JSON.stringify(logEventBody(event))) as Value)
      );
    };
  },
  body: (hook, events, { event_id, at }) =>
    JSON.stringify({
      eventType: "com.okta.event_hook",
      eventTypeVersion: "1.0",
      cloudEventsVersion: "0.1",
      source: `${hook.base_url}/api/v1/eventHooks/${hook.id}`,
      eventId: event_id,
      data: { events: events.map(logEventBody) },
      eventTime: at.toISOString(),
      contentType: "application/json",
    }),
};
