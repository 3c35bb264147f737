/** Slack, SCIM version 2. */
import { defineProfile } from "../profile.ts";

const minute_ms = 60_000;
const writes = ["POST", "PUT", "PATCH", "DELETE"];

export const slack = defineProfile({
  id: "slack",
  name: "Slack",
  docs: ["https://docs.slack.dev/reference/scim-api/", "https://docs.slack.dev/reference/scim-api/rate-limits"],
  notes: [
    "Rates are counted per organisation over all its SCIM apps.",
    "Deleting an account disables it; it is only ever disabled here.",
  ],
  base_url_example: "https://api.slack.com/scim/v2",
  http: { concurrency: 8 },
  rate: [
    { methods: writes, count: 600, per_ms: minute_ms, burst: 180 },
    { methods: ["GET"], count: 1_000, per_ms: minute_ms, burst: 100 },
    { methods: writes, resources: ["Users"], count: 180, per_ms: minute_ms, burst: 20 },
    { methods: writes, resources: ["Groups"], count: 180, per_ms: minute_ms, burst: 80 },
  ],
  user: {
    required: ["userName", "email"],
    create: { password: "none" },
    delete: "deactivates",
  },
  paging: { size: 1_000 },
});
