/**
 * Which permission of a custom role opens which route. A permission that is not named here is kept and opens nothing:
 * better a role that can do less than it says than one that can do more.
 *
 * Called by server/auth, once for each route.
 */
import type { Access, Area } from "./authority.ts";

type Route = Readonly<{ area: Area; access: Access; method: string; pattern: string }>;

const lifecycle = (name: string) => [`okta.users.lifecycle.${name}`, "okta.users.lifecycle.manage"];
const credentials = (name: string) => [`okta.users.credentials.${name}`, "okta.users.credentials.manage"];

/** The last part of a path → what opens changing a person there. */
const user_actions: Readonly<Record<string, readonly string[]>> = {
  activate: lifecycle("activate"),
  reactivate: lifecycle("activate"),
  deactivate: lifecycle("deactivate"),
  suspend: lifecycle("suspend"),
  unsuspend: lifecycle("unsuspend"),
  unlock: lifecycle("unlock"),
  sessions: lifecycle("clearSessions"),
  reset_password: credentials("resetPassword"),
  expire_password: credentials("expirePassword"),
  reset_factors: credentials("resetFactors"),
  risk: ["okta.users.risk.manage"],
  // A file creates people and changes them, and taking it back deactivates them: only the whole of it is enough.
  imports: [],
  undo: [],
};

const reading: Readonly<Partial<Record<Area, readonly string[]>>> = {
  users: ["okta.users.read"],
  sessions: ["okta.users.read"],
  factors: ["okta.users.read"],
  groups: ["okta.groups.read", "okta.groups.manage"],
  members: ["okta.groups.read", "okta.groups.manage"],
  apps: ["okta.apps.read", "okta.apps.manage"],
  assignments: ["okta.apps.read", "okta.apps.manage"],
  roles: ["okta.iam.read"],
};

const writing: Readonly<Partial<Record<Area, readonly string[]>>> = {
  members: ["okta.groups.members.manage", "okta.groups.manage"],
  apps: ["okta.apps.manage"],
  assignments: ["okta.apps.assignment.manage", "okta.apps.manage"],
  secrets: ["okta.apps.manage"],
};

/** The permissions of which each opens the route; none: only standard roles may. */
export function permissionsFor({ area, access, method, pattern }: Route): readonly string[] {
  if (area === "secrets" && method === "GET") return ["okta.apps.clientCredentials.read"];
  if (access === "read") return withManage(area, reading[area] ?? []);
  if (area === "users" || area === "credentials" || area === "sessions" || area === "factors") {
    return [...userPermissions(area, method, pattern), "okta.users.manage"];
  }
  if (area === "groups") {
    return pattern.includes(":group_id") ? ["okta.groups.manage"] : ["okta.groups.create", "okta.groups.manage"];
  }
  return writing[area] ?? [];
}

const withManage = (area: Area, permissions: readonly string[]) =>
  ["users", "sessions", "factors"].includes(area) ? [...permissions, "okta.users.manage"] : permissions;

function userPermissions(area: Area, method: string, pattern: string): readonly string[] {
  const action = user_actions[pattern.split("/").at(-1) ?? ""];
  if (action !== undefined) return action;
  if (area === "credentials") return ["okta.users.credentials.manage"];
  if (area === "sessions") return lifecycle("clearSessions");
  if (area === "factors") return credentials("resetFactors");
  if (!pattern.includes(":user_id")) return ["okta.users.create"];
  return method === "DELETE" ? lifecycle("delete") : ["okta.users.userprofile.manage"];
}
