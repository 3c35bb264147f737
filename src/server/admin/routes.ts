/** The second half of the API: what Okta has no words for. */
import type { Api, Server } from "../api.ts";

/** Registers every route under /admin/v1. */
export function adminRoutes(_server: Server, _api: Api): void {}
