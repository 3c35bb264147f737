/** AWS IAM Identity Center. */
import { defineProfile } from "../profile.ts";

export const aws = defineProfile({
  id: "aws",
  name: "AWS IAM Identity Center",
  docs: [
    "https://docs.aws.amazon.com/singlesignon/latest/developerguide/limitations.html",
    "https://docs.aws.amazon.com/singlesignon/latest/developerguide/listusers.html",
    "https://docs.aws.amazon.com/singlesignon/latest/developerguide/patchgroup.html",
  ],
  notes: [
    "Given name, family name, user name and display name are needed.",
    "One e-mail address, one phone number and one address are kept; there are no passwords.",
    "The access token ends a year after it was made.",
  ],
  base_url_example: "https://scim.eu-west-1.amazonaws.com/TENANT/scim/v2",
  auth: { expires_after_days: 365 },
  user: {
    filterable: ["userName", "externalId"],
    required: ["userName", "givenName", "familyName", "displayName"],
    forbidden: ["secondEmail", "mobilePhone", "entitlements", "roles"],
    single_value: ["emails", "phoneNumbers", "addresses"],
    create: { password: "none" },
    update: { manager: "sub" },
  },
  group: { exclude_members: false, members: { max: 100, readable: false } },
  paging: { kind: "cursor", size: 100 },
  errors: [{ status: 400, detail: "throttl", kind: "rate_limited" }],
});
