/** The first half of the API: Okta's Management API, one file per noun. */
import type { Api, Server } from "../api.ts";
import { appGroupRoutes } from "./appGroups.ts";
import { appRoutes } from "./apps.ts";
import { appUserRoutes } from "./appUsers.ts";
import { connectionRoutes } from "./connections.ts";
import { credentialRoutes } from "./credentials.ts";
import { groupPushRoutes } from "./groupPush.ts";
import { groupRuleRoutes } from "./groupRules.ts";
import { groupRoutes } from "./groups.ts";
import { linkedObjectRoutes } from "./linkedObjects.ts";
import { logRoutes } from "./logs.ts";
import { mappingRoutes } from "./mappings.ts";
import { orgRoutes } from "./org.ts";
import { schemaRoutes } from "./schemas.ts";
import { uiSchemaRoutes } from "./uiSchemas.ts";
import { userLifecycleRoutes } from "./userLifecycle.ts";
import { userRoutes } from "./users.ts";
import { userTypeRoutes } from "./userTypes.ts";

/** Registers every route under /api/v1, and /.well-known. */
export function oktaRoutes(server: Server, api: Api): void {
  orgRoutes(server, api);
  userRoutes(server, api);
  userLifecycleRoutes(server, api);
  credentialRoutes(server, api);
  groupRoutes(server, api);
  groupRuleRoutes(server, api);
  appRoutes(server, api);
  connectionRoutes(server, api);
  appUserRoutes(server, api);
  appGroupRoutes(server, api);
  groupPushRoutes(server, api);
  schemaRoutes(server, api);
  userTypeRoutes(server, api);
  uiSchemaRoutes(server, api);
  linkedObjectRoutes(server, api);
  mappingRoutes(server, api);
  logRoutes(server, api);
}
