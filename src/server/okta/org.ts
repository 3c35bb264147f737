/** The organisation: what clients ask before anything else. `pipeline` v1 tells them that there are no sign-on policies. */
import { readSetting } from "../../directory/settings.ts";
import { type Database, sql } from "../../store/database.ts";
import { type Api, about, type Server } from "../api.ts";
import { date } from "./links.ts";

const org_id = "00o00000000000000001";

/** Registers the routes. */
export function orgRoutes(server: Server, api: Api): void {
  server.get(
    "/.well-known/okta-organization",
    { schema: { tags: ["org"], summary: "What kind of organisation this is; public" } },
    async (request) => ({
      id: org_id,
      cell: "tenure",
      pipeline: "v1",
      settings: {
        analyticsCollectionEnabled: false,
        bugReportingEnabled: false,
        omEnabled: false,
        pssoEnabled: false,
        desktopMFAEnabled: false,
        itpEnabled: false,
        appManagementEnabled: false,
      },
      _links: { organization: { href: request.base_url } },
    }),
  );

  server.get("/api/v1/org", about("org", "Name and life of the organisation"), async (request) => {
    const name = (await readSetting(api.db, "company_name")) ?? "Tenure";
    const created = date(await firstDay(api.db));
    return {
      id: org_id,
      subdomain: new URL(request.base_url).hostname,
      companyName: name,
      status: "ACTIVE",
      website: (await readSetting(api.db, "company_website")) ?? null,
      created,
      lastUpdated: created,
      expiresAt: null,
      _links: { self: { href: `${request.base_url}/api/v1/org` } },
    };
  });
}

async function firstDay(db: Database): Promise<Date | null> {
  const { rows } = await sql<{ at: Date | null }>`select min(created_at) as at from schemas`.execute(db);
  return rows[0]?.at ?? null;
}
