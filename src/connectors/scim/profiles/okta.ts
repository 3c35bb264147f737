/**
 * Apps that were built against Okta's provisioning client: they know PUT of the whole resource for the profile, one
 * path-less PATCH for `active`, and often nothing else.
 */
import { defineProfile } from "../profile.ts";

export const okta = defineProfile({
  id: "okta",
  name: "Built for Okta",
  docs: ["https://developer.okta.com/docs/reference/scim/scim-20/"],
  notes: [
    "The profile is written by reading the account, changing what we map, and putting it back.",
    "A random password is sent with new accounts, as these apps expect one.",
  ],
  discovery: { use: "never" },
  user: {
    create: { password: "random", groups_empty: true },
    update: { method: "put_merge", form: "pathless" },
    deactivate: { method: "patch" },
    delete: "forbidden",
  },
  group: { rename: "pathless_with_id" },
});
