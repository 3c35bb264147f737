/**
 * /admin/v1/password-policy: what passwords must be, how long they serve and how many wrong ones are borne
 * (core/passwordPolicy.ts). Okta keeps this among sign-on policies, which there are none of here.
 */
import { z } from "zod";
import { type PasswordPolicy, policyOf } from "../../core/passwordPolicy.ts";
import type { Value } from "../../core/types.ts";
import { passwordPolicy, policy_setting } from "../../directory/passwordRules.ts";
import { setSetting } from "../../directory/settings.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { must } from "../errors.ts";

const count = (max: number, min = 0) => z.int().min(min).max(max).optional();
const change = z.strictObject({
  min_length: count(64, 4).describe("Characters"),
  min_lower: count(8).describe("Lowercase letters, at least"),
  min_upper: count(8),
  min_number: count(8),
  min_symbol: count(8),
  exclude_login: z.boolean().optional().describe("No part of the login of 4 characters or more"),
  history: count(24).describe("So many last passwords cannot be chosen again by the person"),
  max_age_days: count(3650).describe("0: a password serves for ever"),
  max_attempts: count(100).describe("So many wrong ones in a row lock the person out; 0: never"),
  auto_unlock_minutes: count(525_600).describe("0: only an administrator unlocks"),
  show_lockout: z.boolean().optional().describe("Tell somebody who tries that they are locked out"),
  self_service: z.boolean().optional().describe("Who knows the recovery answer may replace a forgotten password"),
} satisfies Record<keyof PasswordPolicy, z.ZodType>);

/** Registers the routes. */
export function passwordPolicyRoutes(server: Server, api: Api): void {
  const url = "/admin/v1/password-policy";
  server.get(url, about("org", "What passwords must be"), async () => passwordPolicy(api.db));
  server.patch(url, about("org", "Change what passwords must be", { body: change }), async (request) => {
    const said = Object.entries(request.body).filter(([, value]) => value !== undefined);
    const policy = { ...(await passwordPolicy(api.db)), ...Object.fromEntries(said) };
    must(await setSetting(commandOf(api, request), policy_setting, policy as Value));
    return policyOf(policy as Value);
  });
}
