/** A group in Okta's form. */

import type { StoredGroup } from "../../directory/groupQueries.ts";
import { date } from "./links.ts";

/** A group as `GET /api/v1/groups/{id}` gives it. Okta gives groups no self link, and its clients cache by that link. */
export function groupBody(group: StoredGroup, base: string) {
  const self = `${base}/api/v1/groups/${group.id}`;
  const logo = (size: string) => ({ name: size, href: `${base}/img/groups/${size}`, type: "image/svg+xml" });
  return {
    id: group.id,
    created: date(group.created_at),
    lastUpdated: date(group.updated_at),
    lastMembershipUpdated: date(group.members_changed_at),
    objectClass: [group.type === "APP_GROUP" ? "tenure:app_group" : "okta:user_group"],
    type: group.type,
    profile: { name: group.profile["name"], description: null, ...group.profile },
    ...(group.source_app_id === null ? {} : { source: { id: group.source_app_id } }),
    _links: {
      logo: [logo("medium"), logo("large")],
      owners: { href: `${self}/owners` },
      users: { href: `${self}/users` },
      apps: { href: `${self}/apps` },
      ...(group.source_app_id === null ? {} : { source: { href: `${base}/api/v1/apps/${group.source_app_id}` } }),
    },
  };
}
