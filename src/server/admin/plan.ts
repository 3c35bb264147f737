/** Before and after: what would happen to a person's accounts, and why one of them is as it is. */
import { z } from "zod";
import { previewRule } from "../../directory/rules.ts";
import { explainAccount } from "../../engine/explain.ts";
import { previewUser } from "../../engine/preview.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { must } from "../errors.ts";
import { profile_input, profileOf } from "../okta/userInput.ts";
import { given } from "./shared.ts";

/** Registers the routes. */
export function planRoutes(server: Server, api: Api): void {
  const plan = z.object({
    user: z.string().min(1).max(200).describe("Id or login"),
    profile: profile_input.optional().describe("Attributes supposed instead of what is stored; null clears"),
  });
  server.post(
    "/admin/v1/plan",
    about(
      "users",
      "What would be done for a person now, or after a change, in every app, and why",
      { body: plan },
      { access: "read" },
    ),
    async (request) => {
      const { user, profile } = request.body;
      return must(await previewUser(api.world, user, given("profile", profile && profileOf(profile))));
    },
  );

  const explain = z.object({
    user: z.string().min(1).max(200).describe("Id or login"),
    app: z.string().min(1).max(200).describe("Id or label"),
    attribute: z.string().max(200).optional(),
  });
  server.get(
    "/admin/v1/explain",
    about("users", "Why an account is as it is: from the source's row to the last call", { querystring: explain }),
    async (request) => {
      const { user, app, attribute } = request.query;
      return must(await explainAccount(api.world, user, app, attribute));
    },
  );

  const rule = z.object({
    rule_id: z.string().max(100).nullish(),
    expression: z.string().min(1).max(20_000),
    group_ids: z.array(z.string().max(100)).max(1_000),
    exclude: z
      .array(z.string().max(100))
      .max(1_000)
      .nullish()
      .describe("Ids of people whom it is to leave alone for good; without it those whom it does now"),
  });
  server.post(
    "/admin/v1/rules/preview",
    about("rules", "Who would join and leave by a rule, before it is kept", { body: rule }, { access: "read" }),
    async (request) => {
      const { rule_id = null, expression, group_ids, exclude } = request.body;
      const input = { expression, group_ids, exclude: exclude ?? undefined };
      return must(await previewRule(commandOf(api, request), rule_id, input), "conditions");
    },
  );
}
