/**
 * What a line of a resource set means: an ORN (`orn:okta:directory:<org>:groups:<id>`) or the address of the same thing
 * in the API. Both are read by what they end in; whose organisation and which of Okta's clouds they name is ignored,
 * because there is only one here.
 *
 * A line that names something we do not have is kept as it is and holds nothing.
 */
import type { Resource } from "./authority.ts";

const text_max = 1000;

/** The resource of a line; undefined: it is neither an ORN nor an address. */
export function readResource(line: string): Resource | undefined {
  if (line.length > text_max) return undefined;
  if (line.startsWith("orn:")) return readOrn(line);
  if (/^https?:\/\//.test(line)) return readAddress(line);
  return undefined;
}

function readOrn(line: string): Resource {
  const [, , service, , kind = "", ...rest] = line.split(":");
  const [ref = null, part] = rest;
  if (service === "directory" && kind === "users") return one("user", ref);
  if (service === "directory" && kind === "groups") {
    return part === "contained_resources" || part === "users" ? { kind: "group_users", ref } : one("group", ref);
  }
  if (service !== "idp" || kind !== "apps") return { kind: "other", ref: line };
  if (ref === null) return { kind: "apps", ref: null };
  // apps:<name>:<id> is one app, apps:<name> every app of that name; an id alone is seen, too.
  const id = part ?? (ref.startsWith("0oa") ? ref : undefined);
  return id === undefined ? { kind: "app_name", ref } : { kind: "app", ref: id };
}

function readAddress(line: string): Resource {
  const path = /^https?:\/\/[^/]+(\/[^#]*)/.exec(line)?.[1] ?? "";
  const [, noun, ref = null, part] =
    /^\/api\/v1\/(users|groups|apps)(?:\/([^/?]+))?(?:\/([^/?]+))?\/?(?:\?.*)?$/.exec(path) ?? [];
  if (noun === "users") return one("user", ref);
  if (noun === "groups") return part === "users" ? { kind: "group_users", ref } : one("group", ref);
  if (noun !== "apps") return { kind: "other", ref: line };
  const name = /[?&]filter=name(?:\+|%20)eq(?:\+|%20)(?:"|%22)([A-Za-z0-9_-]+)(?:"|%22)/.exec(path)?.[1];
  return name === undefined ? one("app", ref) : { kind: "app_name", ref: name };
}

const one = (kind: string, ref: string | null): Resource =>
  ref === null ? { kind: `${kind}s`, ref: null } : { kind, ref };

/** The ORN of a resource. `app_name`: the name of a single app. */
export function ornOf({ kind, ref }: Resource, org_id: string, app_name = "app"): string {
  const [directory, idp] = [`orn:okta:directory:${org_id}`, `orn:okta:idp:${org_id}`];
  switch (kind) {
    case "users":
    case "groups":
      return `${directory}:${kind}`;
    case "user":
    case "group":
      return `${directory}:${kind}s:${ref}`;
    case "group_users":
      return `${directory}:groups:${ref}:contained_resources`;
    case "apps":
      return `${idp}:apps`;
    case "app_name":
      return `${idp}:apps:${ref}`;
    case "app":
      return `${idp}:apps:${app_name}:${ref}`;
    default:
      return ref ?? "";
  }
}

/** Where in the API a resource is; undefined for one that is not ours. */
export function pathOf({ kind, ref }: Resource): string | undefined {
  switch (kind) {
    case "users":
    case "groups":
    case "apps":
      return `/api/v1/${kind}`;
    case "user":
    case "group":
    case "app":
      return `/api/v1/${kind}s/${ref}`;
    case "group_users":
      return `/api/v1/groups/${ref}/users`;
    case "app_name":
      return `/api/v1/apps?filter=name+eq+%22${ref}%22`;
    default:
      return undefined;
  }
}
