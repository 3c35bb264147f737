/** The second half of the API: what Okta has no words for. */
import type { Api, Server } from "../api.ts";
import { adminAppRoutes } from "./apps.ts";
import { carryRoutes } from "./carry.ts";
import { coverageRoutes } from "./coverage.ts";
import { eventHookDeliveryRoutes } from "./eventHooks.ts";
import { grantRoutes } from "./grants.ts";
import { hireRoutes } from "./hires.ts";
import { importRoutes } from "./imports.ts";
import { adminInlineHookRoutes } from "./inlineHooks.ts";
import { memberImportRoutes } from "./members.ts";
import { notifyAdminRoutes } from "./notify.ts";
import { passwordPolicyRoutes } from "./passwordPolicy.ts";
import { historyRoutes } from "./past.ts";
import { peopleImportRoutes } from "./people.ts";
import { planRoutes } from "./plan.ts";
import { planMappingRoutes } from "./planMappings.ts";
import { pushRuleRoutes } from "./pushRules.ts";
import { statusRoutes } from "./status.ts";
import { taskRoutes } from "./tasks.ts";
import { waitingRoutes } from "./waiting.ts";

/** Registers every route under /admin/v1. */
export function adminRoutes(server: Server, api: Api): void {
  planRoutes(server, api);
  historyRoutes(server, api);
  planMappingRoutes(server, api);
  taskRoutes(server, api);
  importRoutes(server, api);
  waitingRoutes(server, api);
  notifyAdminRoutes(server, api);
  adminAppRoutes(server, api);
  pushRuleRoutes(server, api);
  grantRoutes(server, api);
  hireRoutes(server, api);
  carryRoutes(server, api);
  const under_way = { running: 0 };
  peopleImportRoutes(server, api, under_way);
  memberImportRoutes(server, api, under_way);
  statusRoutes(server, api);
  passwordPolicyRoutes(server, api);
  adminInlineHookRoutes(server, api);
  coverageRoutes(server, api);
  eventHookDeliveryRoutes(server, api);
}
