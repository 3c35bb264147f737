/** The first half of the API: Okta's Management API, one file per noun. */
import type { Api, Server } from "../api.ts";
import { credentialRoutes } from "./credentials.ts";
import { userLifecycleRoutes } from "./userLifecycle.ts";
import { userRoutes } from "./users.ts";

/** Registers every route under /api/v1, and /.well-known. */
export function oktaRoutes(server: Server, api: Api): void {
  userRoutes(server, api);
  userLifecycleRoutes(server, api);
  credentialRoutes(server, api);
}
