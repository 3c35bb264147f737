/**
 * OAuth scopes: which exist, and which of them open a route.
 *
 * Law: `okta.<noun>.manage` opens everything of its noun, `okta.<noun>.read` what only reads; what is behind a noun is
 * the route's area, save where Okta has scopes for a part of it. A route with no scope is for tokens of people.
 *
 * Called by server/auth, once for each route, and by the token endpoint.
 */
import type { Access, Area } from "./authority.ts";

/** The noun of an area; areas not named here are for no client. */
const nouns: Readonly<Partial<Record<Area, readonly string[]>>> = {
  users: ["users"],
  credentials: ["users"],
  groups: ["groups"],
  members: ["groups"],
  rules: ["groups"],
  apps: ["apps"],
  assignments: ["apps"],
  imports: ["apps"],
  tasks: ["apps"],
  secrets: ["apps"],
  mappings: ["profileMappings"],
  schemas: ["schemas"],
  logs: ["logs"],
  org: ["orgs"],
  tokens: ["apiTokens"],
  roles: ["roles"],
  hooks: ["eventHooks", "inlineHooks"],
  sessions: ["sessions"],
  factors: ["factors"],
  features: ["features"],
  oauth: ["appGrants"],
  sources: ["identitySources"],
};

/** Parts of an area with a noun of their own, by the start of the route. */
const parts: readonly (readonly [start: string, noun: string])[] = [
  ["/api/v1/eventHooks", "eventHooks"],
  ["/api/v1/inlineHooks", "inlineHooks"],
  ["/api/v1/org/factors", "factors"],
  ["/api/v1/meta/types", "userTypes"],
  ["/api/v1/meta/schemas/user/linkedObjects", "linkedObjects"],
  ["/api/v1/meta/uischemas", "uischemas"],
];

const all_nouns = [...new Set([...Object.values(nouns).flat(), ...parts.map(([, noun]) => noun)])];

/** Every scope that a client can be granted. */
export const scopes: readonly string[] = all_nouns.flatMap((noun) =>
  noun === "logs" ? ["okta.logs.read"] : [`okta.${noun}.manage`, `okta.${noun}.read`],
);

export const isScope = (text: string): boolean => scopes.includes(text);

/** The scopes of which each opens the route. */
export function scopesFor(area: Area, access: Access, pattern: string): readonly string[] {
  const part = parts.find(([start]) => pattern.startsWith(start));
  const of = part === undefined ? (nouns[area] ?? []) : [part[1]];
  return of.flatMap((noun) =>
    access === "read" ? [`okta.${noun}.read`, `okta.${noun}.manage`] : [`okta.${noun}.manage`],
  );
}
