/** The vendor profiles by their ids. To add a vendor, write its file and list it here. */
import type { ScimProfile } from "../profile.ts";
import { aws } from "./aws.ts";
import { entra } from "./entra.ts";
import { github } from "./github.ts";
import { okta } from "./okta.ts";
import { salesforce } from "./salesforce.ts";
import { slack } from "./slack.ts";
import { strict } from "./strict.ts";

export const profile_ids = ["strict", "okta", "entra", "aws", "github", "salesforce", "slack"] as const;
export type ProfileId = (typeof profile_ids)[number];

export const profiles: Readonly<Record<ProfileId, ScimProfile>> = {
  strict,
  okta,
  entra,
  aws,
  github,
  salesforce,
  slack,
};
