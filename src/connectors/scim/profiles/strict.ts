/** Any server that keeps to SCIM 2.0, and every server we know nothing of: the defaults of profile.ts and no more. */
import { defineProfile } from "../profile.ts";

export const strict = defineProfile({
  id: "strict",
  name: "SCIM 2.0",
  docs: ["https://www.rfc-editor.org/rfc/rfc7644"],
  notes: [
    "Every change is read back, because many servers answer 200 to what they do not do.",
    "Many people who are hired at once are searched for and made in requests of up to fifty, where the server says that it can.",
  ],
  batch: { search: true, bulk: true },
});
