/** An event of our log in the form of Okta's System Log. Both names are kept: what Okta has no event for keeps ours. */
import type { LogEvent } from "../../store/log.ts";
import type { Actor, Target } from "../../store/tables.ts";
import { date } from "./links.ts";

/** An event as `GET /api/v1/logs` gives it. */
export function logEventBody(event: LogEvent) {
  const { from } = event.actor;
  return {
    actor: party(event.actor),
    client: {
      ...{ userAgent: from?.agent ? { rawUserAgent: from.agent, os: null, browser: null } : null },
      ...{ zone: null, device: null, id: null, ipAddress: from?.ip ?? null, geographicalContext: null },
    },
    authenticationContext: {
      ...{ authenticationProvider: null, credentialProvider: null, credentialType: null, issuer: null },
      ...{ interface: null, authenticationStep: 0, externalSessionId: null },
    },
    displayMessage: words(event.type),
    eventType: event.type,
    legacyEventType: null,
    outcome: { result: event.outcome, reason: event.reason },
    published: date(event.published_at),
    securityContext: { asNumber: null, asOrg: null, isp: null, domain: null, isProxy: null },
    severity: event.severity,
    debugContext: {
      debugData: {
        ...{ ...event.detail, sequence: event.seq, cause: event.cause },
        ...(from ? { requestId: from.request } : {}),
      },
    },
    transaction: {
      type: event.actor.type === "User" ? "WEB" : "JOB",
      id: String(event.cause ?? event.seq),
      detail: {},
    },
    uuid: event.uuid,
    version: "0",
    request: { ipChain: from ? [chained(from.ip)] : [] },
    target: event.targets.length === 0 ? null : event.targets.map(party),
  };
}

const chained = (ip: string) => ({
  ...{ ip, version: ip.includes(":") ? "V6" : "V4", source: null, geographicalContext: null },
});

function party({ id, type, name }: Actor | Target) {
  return { id, type, alternateId: name, displayName: name, detailEntry: null };
}

/** `user.lifecycle.create` → "User lifecycle create": every event has a sentence, whoever adds one. */
function words(type: string): string {
  const text = type.replaceAll(/[._]/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
