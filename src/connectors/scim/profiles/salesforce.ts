/** Salesforce. */
import { defineProfile } from "../profile.ts";

export const salesforce = defineProfile({
  id: "salesforce",
  name: "Salesforce",
  docs: ["https://help.salesforce.com/s/articleView?id=sf.identity_scim_rest_api.htm"],
  notes: [
    "A new account needs exactly one entitlement, the id of its Salesforce profile: map `entitlements`.",
    "Accounts are never deleted, only disabled.",
    "Groups are Salesforce's public groups, and are made there.",
  ],
  base_url_example: "https://MYDOMAIN.my.salesforce.com/services/scim/v2",
  discovery: { use: "optional", service_provider_config: "/ServiceProviderConfigs" },
  user: {
    required: ["userName", "familyName", "email", "entitlements"],
    create: { password: "none" },
    delete: "forbidden",
  },
  group: { create: false, delete: false },
  errors: [
    // Said with 409 though nothing is there twice: looking for a duplicate would find none, for ever.
    { status: 409, detail: "entitlement", kind: "invalid", attribute: "entitlements" },
    { status: 409, detail: "REQUIRED_FIELD_MISSING", kind: "invalid" },
    { status: 403, detail: "REQUEST_LIMIT_EXCEEDED", kind: "rate_limited" },
  ],
});
