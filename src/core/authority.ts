/**
 * May they? A token's authority (its role, the grants of its person, its scopes) against what a route needs and the
 * people, groups and apps that the request names.
 *
 * Laws:
 * - everything that bounds a token holds at once: its own role, and its person's grants, and its scopes;
 * - a grant that is narrowed changes only what lies within its targets, and never something that is not named;
 * - a super administrator, a group that has a role, and a client with scopes are changed by super administrators only,
 *   other administrators by organisation administrators too: nobody lifts themselves up through someone else;
 * - every administrator may read everything but tokens and secrets; a custom role reads what its permissions say.
 *
 * Called by server/auth for every request: first without knowing what the request names (`look` asks for it, so that
 * a token that may do anything costs no question to the database), then with it.
 */
import { isStandardRole } from "./adminRoles.ts";

/** What a route is about. */
export type Area =
  | "users"
  | "credentials"
  | "groups"
  | "members"
  | "rules"
  | "apps"
  | "assignments"
  | "mappings"
  | "schemas"
  | "imports"
  | "tasks"
  | "logs"
  | "org"
  | "tokens"
  | "clock"
  | "roles"
  | "hooks"
  | "sessions"
  | "factors"
  | "features"
  | "secrets"
  | "oauth"
  | "sources";

export type Access = "read" | "write";

/** One line of a resource set. `ref`: the id or name where the kind wants one. */
export type Resource = Readonly<{ kind: string; ref: string | null }>;

/** A role that a person has, by themselves or by a group. */
export type Grant = Readonly<{
  id: string;
  role: string;
  group_id: string | null;
  /** Only for the targets that follow; none left: for nothing. */
  narrowed: boolean;
  groups: readonly string[];
  apps: readonly string[];
  app_names: readonly string[];
  /** Of a custom role. */
  permissions: readonly string[];
  resources: readonly Resource[];
}>;

/** `grants`: null for a token that belongs to nobody; `scopes`: null for one that has none. */
export type Authority = Readonly<{ role: string; grants: readonly Grant[] | null; scopes: readonly string[] | null }>;

export type Kind = "user" | "group" | "app";

/** What a route needs. */
export type Need = Readonly<{
  area: Area;
  access: Access;
  /** The kinds of thing that the path names. */
  names: readonly Kind[];
  /** The route itself asks about what its body names. */
  within: boolean;
  /** The permissions of custom roles that open it, each alone. */
  permissions: readonly string[];
  /** The scopes that open it, each alone. */
  scopes: readonly string[];
}>;

/** What the request names; a kind that is missing is not there, which is for the route to say. */
export type Things = Readonly<{
  user?: Readonly<{ id: string; groups: readonly string[]; rank: "none" | "administrator" | "super" }>;
  group?: Readonly<{ id: string; has_roles: boolean }>;
  app?: Readonly<{ id: string; name: string; has_scopes: boolean }>;
}>;

/** `look`: tell what the request names, and ask again. */
export type Verdict = "yes" | "look" | Readonly<{ no: string }>;

const user_areas: readonly Area[] = ["users", "credentials", "sessions", "factors"];

/** The areas each role may change; super administrators change everything, roles not named here nothing. */
const writes: Readonly<Record<string, readonly Area[]>> = {
  ORG_ADMIN: [
    ...user_areas,
    ...["groups", "members", "rules", "apps", "assignments", "mappings", "schemas", "imports"],
    ...["tasks", "org", "hooks", "features", "secrets", "sources"],
  ] as Area[],
  APP_ADMIN: ["apps", "assignments", "mappings", "schemas", "imports", "tasks", "secrets", "sources"],
  USER_ADMIN: [...user_areas, "groups", "members", "tasks"],
  GROUP_MEMBERSHIP_ADMIN: ["members"],
  HELP_DESK_ADMIN: ["credentials", "sessions", "factors"],
};

const token_readers = ["ORG_ADMIN", "READ_ONLY_ADMIN"];
/** Reports are made of these. */
const report_areas: readonly Area[] = ["users", "groups", "members", "apps", "assignments", "logs", "org"];

const no = (why: string): Verdict => ({ no: why });

/** Judges one request. `things`: undefined while nobody has looked. */
export function judge(authority: Authority, need: Need, things: Things | undefined): Verdict {
  if (authority.scopes !== null && !need.scopes.some((scope) => authority.scopes?.includes(scope))) {
    return no(`it needs the scope ${need.scopes[0] ?? "of no client"}`);
  }
  const ceiling = judgeRole(authority.role, undefined, need, things);
  if (authority.grants === null || ceiling !== "yes") return ceiling;
  const verdicts = authority.grants.map((grant) => judgeRole(grant.role, grant, need, things));
  if (verdicts.includes("yes")) return "yes";
  if (verdicts.includes("look")) return "look";
  return verdicts.find((verdict) => verdict !== "yes" && verdict !== "look") ?? no("its person has no role");
}

function judgeRole(role: string, grant: Grant | undefined, need: Need, things: Things | undefined): Verdict {
  if (role === "SUPER_ADMIN") return "yes";
  if (role === "CUSTOM") return grant === undefined ? no("it has no role") : judgeCustom(grant, need, things);
  const guarded = need.access === "write" || need.area === "secrets";
  if (!guarded) return mayRead(role, need.area) ? "yes" : no(`${role} may not read ${need.area}`);
  if (!(writes[role] ?? []).includes(need.area)) {
    return no(`${role} may not ${need.access === "read" ? "read" : "change"} ${need.area}`);
  }
  if (need.names.length > 0 && things === undefined) return "look";
  const above = outOfReach(role, need, things ?? {});
  if (above !== undefined) return no(above);
  if (grant === undefined || !grant.narrowed) return "yes";
  return withinTargets(grant, need, things ?? {});
}

function mayRead(role: string, area: Area): boolean {
  if (!isStandardRole(role)) return false;
  if (area === "tokens") return token_readers.includes(role);
  return role !== "REPORT_ADMIN" || report_areas.includes(area);
}

/** Why nobody of this role may change one of the things that are named. */
function outOfReach(role: string, { area, access }: Need, { user, group, app }: Things): string | undefined {
  if (user !== undefined && user_areas.includes(area) && access === "write") {
    if (user.rank === "super") return "only super administrators change a super administrator";
    if (user.rank === "administrator" && role !== "ORG_ADMIN") return "this person is an administrator";
  }
  if (group?.has_roles && ["groups", "members", "rules"].includes(area)) {
    return "the group has a role, so only super administrators say who is in it";
  }
  if (app?.has_scopes && ["apps", "secrets", "oauth"].includes(area)) {
    return "the app is a client with scopes, so only super administrators change it";
  }
  return undefined;
}

function withinTargets(grant: Grant, need: Need, { user, group, app }: Things): Verdict {
  if (need.names.length === 0) {
    return need.within ? "yes" : no(`its ${grant.role} holds for its targets only, and this is none of them`);
  }
  // A thing that is not there is for the route to say: with a 404, which tells nobody anything they could not read.
  if (grant.role === "APP_ADMIN") {
    if (!need.names.includes("app")) return no(`its ${grant.role} holds for its apps only`);
    if (app === undefined || grant.apps.includes(app.id) || grant.app_names.includes(app.name)) return "yes";
    return no(`its ${grant.role} does not hold for this app`);
  }
  if (need.names.includes("group")) {
    if (group === undefined || grant.groups.includes(group.id)) return "yes";
    return no(`its ${grant.role} does not hold for this group`);
  }
  if (!need.names.includes("user")) return no(`its ${grant.role} holds for its groups only`);
  if (user === undefined || user.groups.some((id) => grant.groups.includes(id))) return "yes";
  return no(`its ${grant.role} does not hold for this person, who is in none of its groups`);
}

function judgeCustom(grant: Grant, need: Need, things: Things | undefined): Verdict {
  if (!need.permissions.some((permission) => grant.permissions.includes(permission))) {
    return no(
      need.permissions.length === 0 ? "no custom role may do this" : `it needs ${need.permissions.join(" or ")}`,
    );
  }
  const kind = kindOf(need.area);
  const whole = grant.resources.some((resource) => resource.kind === `${kind}s`);
  if (!need.names.includes(kind)) {
    return whole || need.within ? "yes" : no(`its resource set does not hold all ${kind}s`);
  }
  if (things === undefined) return "look";
  const above = outOfReach("CUSTOM", need, things);
  if (above !== undefined) return no(above);
  if (whole || things[kind] === undefined) return "yes";
  return grant.resources.some((resource) => holds(resource, things))
    ? "yes"
    : no(`its resource set does not hold this ${kind}`);

  function holds({ kind: held, ref }: Resource, { user, group, app }: Things): boolean {
    if (ref === null) return false;
    if (kind === "user")
      return (held === "user" && ref === user?.id) || (held === "group_users" && user?.groups.includes(ref) === true);
    if (kind === "group") return held === "group" && ref === group?.id;
    return (held === "app" && ref === app?.id) || (held === "app_name" && ref === app?.name);
  }
}

/** The kind of thing that an area of a custom role is about. */
function kindOf(area: Area): Kind {
  if (user_areas.includes(area)) return "user";
  return area === "groups" || area === "members" ? "group" : "app";
}
