/** What was called of Okta's API (coverage.ts). */
import { z } from "zod";
import { type Api, about, type Server } from "../api.ts";
import { callsSince } from "../coverage.ts";

const day_ms = 86_400_000;

/** Registers the route. */
export function coverageRoutes(server: Server, api: Api): void {
  const querystring = z.object({
    days: z.coerce.number().int().min(1).max(3_650).default(30),
    limit: z.coerce.number().int().min(1).max(2_000).default(500),
  });
  server.get(
    "/admin/v1/api-calls",
    about("logs", "What was called of Okta's API, and how it was answered", { querystring }),
    async (request) => {
      const { days, limit } = request.query;
      const since = new Date(api.world.now().getTime() - (days - 1) * day_ms).toISOString().slice(0, 10);
      return { since, calls: await callsSince(api.db, since, limit) };
    },
  );
}
