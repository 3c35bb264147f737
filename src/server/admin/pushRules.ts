/** Push rules: a condition that says which groups are pushed to an app; Okta has only names, and no API for them. */
import { z } from "zod";
import {
  createPushRule,
  deletePushRule,
  listPushRules,
  type PushRule,
  type PushRuleEffect,
  updatePushRule,
} from "../../directory/pushRules.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, must } from "../errors.ts";
import { anApp, app_params, given } from "./shared.ts";

const name = z.string().min(1).max(255);
const expression = z.string().min(1).max(20_000).describe('As in String.startsWith(group.name, "Team ")');
const params = app_params.extend({ rule_id: z.string().min(1).max(100) });
const url = "/admin/v1/apps/:app_id/push-rules";

/** Registers the routes. */
export function pushRuleRoutes(server: Server, api: Api): void {
  server.get(url, about("apps", "The rules that push groups to an app", { params: app_params }), async (request) => {
    const app = await anApp(api, request.params.app_id);
    return listPushRules(api.db, app.id);
  });

  const input = z.object({ name, expression, active: z.boolean().optional() });
  server.post(
    url,
    about("apps", "Push every group that a condition finds", { params: app_params, body: input }),
    async (request) => {
      const app = await anApp(api, request.params.app_id);
      const { active, ...rule } = request.body;
      const wish = { app_id: app.id, ...rule, ...given("active", active) };
      return view(must(await createPushRule(commandOf(api, request), wish, api.tools)));
    },
  );

  const change = z.object({
    name: name.optional(),
    expression: expression.optional(),
    status: z.enum(["ACTIVE", "INACTIVE"]).optional(),
  });
  server.patch(
    `${url}/:rule_id`,
    about("apps", "Change a push rule; it takes effect at once", { params, body: change }),
    async (request) => {
      const rule = await ruleOf(api, request.params.app_id, request.params.rule_id);
      const { name: to, expression: text, status } = request.body;
      const wish = { ...given("name", to), ...given("expression", text), ...given("status", status) };
      return view(must(await updatePushRule(commandOf(api, request), rule.id, wish)));
    },
  );

  const query = z.object({
    pushes: z.enum(["keep", "leave", "delete"]).default("keep").describe("What becomes of the groups it pushed"),
  });
  server.delete(
    `${url}/:rule_id`,
    about("apps", "Delete a push rule", { params, querystring: query }),
    async (request) => {
      const rule = await ruleOf(api, request.params.app_id, request.params.rule_id);
      return { pushes: must(await deletePushRule(commandOf(api, request), rule.id, request.query.pushes)) };
    },
  );
}

async function ruleOf(api: Api, app: string, rule_id: string): Promise<PushRule> {
  const rules = await listPushRules(api.db, (await anApp(api, app)).id);
  return found(
    rules.find((rule) => rule.id === rule_id),
    rule_id,
    "PushRule",
  );
}

function view({ rule, effect }: Readonly<{ rule: PushRule; effect: PushRuleEffect }>) {
  return { ...rule, effect };
}
