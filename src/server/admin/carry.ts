/** People and accounts brought over from another directory, in sets: with the status and the ids that they have there. */
import { z } from "zod";
import type { UserStatus } from "../../core/types.ts";
import { carryAccounts } from "../../directory/carriedAccounts.ts";
import { createUsersEach } from "../../directory/users.ts";
import { storedTypeId } from "../../directory/userTypes.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { must } from "../errors.ts";
import { profile_input, profileOf } from "../okta/userInput.ts";
import { anApp, app_params, given } from "./shared.ts";

const statuses = [
  ...["STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED"],
] as [UserStatus, ...UserStatus[]];

const person = z.object({
  profile: profile_input,
  status: z.enum(statuses).describe("As it is in the directory that they come from"),
  type_id: z.string().max(100).optional(),
  password_hook: z.boolean().default(false).describe("Their password is asked of the password import hook"),
  provider: z.object({ type: z.string().min(1).max(50), name: z.string().min(1).max(100) }).optional(),
});
const account = z.object({
  user_id: z.string().min(1).max(100),
  own: z.boolean().default(false).describe("They have the app by themselves, not only through groups"),
  profile: profile_input.optional().describe("Values of their own assignment"),
  external_id: z.string().min(1).max(500).nullish().describe("The account's id in the app"),
});

/** Registers the routes. */
export function carryRoutes(server: Server, api: Api): void {
  server.post(
    "/admin/v1/users",
    about("users", "Bring people over, each as they stand elsewhere: no password, no mail, no activation", {
      body: z.object({ users: z.array(person).min(1).max(1_000) }),
    }),
    async (request) => {
      const inputs = request.body.users.map(({ profile, status, type_id, provider, password_hook }) => ({
        profile: profileOf(profile),
        stands: status,
        ...(type_id === undefined ? {} : { type_id: storedTypeId(type_id) }),
        ...(password_hook ? { password_hook } : {}),
        ...given("provider", provider),
      }));
      const results = must(await createUsersEach(commandOf(api, request), inputs, { key: api.tools.key }));
      return { users: results.map((one) => (isRefusal(one) ? { refused: one.refused } : { id: one.id })) };
    },
  );

  server.post(
    "/admin/v1/apps/:app_id/accounts",
    about("assignments", "Bring people's accounts in an app over, with their ids there", {
      params: app_params,
      body: z.object({ accounts: z.array(account).min(1).max(1_000) }),
    }),
    async (request) => {
      const { id } = await anApp(api, request.params.app_id);
      const accounts = request.body.accounts.map(({ user_id, own, profile, external_id }) => ({
        ...{ user_id, own, external_id: external_id ?? null },
        ...given("profile", profile && profileOf(profile)),
      }));
      return must(await carryAccounts(commandOf(api, request), id, accounts), "accounts");
    },
  );
}
