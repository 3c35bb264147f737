/** GitHub Enterprise Managed Users. */
import { defineProfile } from "../profile.ts";

const hour_ms = 3_600_000;

export const github = defineProfile({
  id: "github",
  name: "GitHub Enterprise Managed Users",
  docs: [
    "https://docs.github.com/enterprise-cloud@latest/admin/managing-iam/provisioning-user-accounts-with-scim/provisioning-users-and-groups-with-scim-using-the-rest-api",
  ],
  notes: [
    "Only one system may write to an enterprise's SCIM.",
    "Deleting an account suspends it for good; it is only ever disabled here.",
    "Stay under a thousand users an hour; the profile paces itself.",
  ],
  base_url_example: "https://api.github.com/scim/v2/enterprises/ENTERPRISE",
  http: { headers: { "x-github-api-version": "2022-11-28" }, concurrency: 4 },
  discovery: { use: "never" },
  rate: [
    { methods: ["POST", "PUT", "PATCH", "DELETE"], resources: ["Users"], count: 1_000, per_ms: hour_ms, burst: 50 },
  ],
  user: {
    filterable: ["userName", "externalId"],
    required: ["userName", "displayName", "email", "externalId"],
    enterprise: false,
    forbidden: [
      "secondEmail",
      "phoneNumber",
      "mobilePhone",
      "streetAddress",
      "locality",
      "region",
      "postalCode",
      "country",
    ],
    create: { password: "none" },
    delete: "deactivates",
  },
  errors: [{ status: 403, detail: "rate limit", kind: "rate_limited" }],
});
