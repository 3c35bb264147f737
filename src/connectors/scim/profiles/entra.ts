/**
 * Apps that were built against Microsoft Entra ID's provisioning client: PATCH with capitalised operations, one per
 * attribute with its path, `active` as a word, members removed by a list of values.
 */
import { defineProfile } from "../profile.ts";

export const entra = defineProfile({
  id: "entra",
  name: "Built for Microsoft Entra ID",
  docs: ["https://learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups"],
  user: {
    update: { op_case: "capital", boolean_as_string: true, manager: "string" },
  },
  group: { members: { remove: "value_array" } },
});
