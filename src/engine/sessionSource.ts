/**
 * A session as a source: what a source sent by itself, listed page by page like any other source, so that everything
 * behind it (compare, guard, decide, apply, log) is the one import there is.
 *
 * Law: who is gone is listed as inactive, with what we know of them; a row that names only some attributes is laid over
 * what the source said before. Called by import.ts.
 */
import type { Context, Page, PageRequest } from "../connectors/connector.ts";
import type { Profile } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { EngineApp, World } from "./world.ts";

const page_default = 500;

/** The source `app_id` as its session `session_id` tells of it. */
export async function sessionSource(world: World, app_id: string, session_id: string): Promise<EngineApp> {
  const app = await world.app(app_id);
  const list = (ctx: Context, request: PageRequest) => pageOf(world.db, { app_id, session_id }, ctx, request);
  return { ...app, connector: { ...app.connector, list } };
}

type Place = Readonly<{ app_id: string; session_id: string }>;

async function pageOf(
  db: Database,
  { app_id, session_id }: Place,
  { signal }: Context,
  { cursor = "0", limit = page_default }: PageRequest,
): Promise<Page> {
  signal.throwIfAborted();
  const { rows } = await sql<{ n: number; external_id: string; enabled: boolean; profile: Profile }>`
    select r.n, r.external_id, not r.gone as enabled, case
        when r.gone then coalesce(a.have->'profile', '{}')
        when r.partial then jsonb_strip_nulls(coalesce(a.have->'profile', '{}') || r.profile)
        else jsonb_strip_nulls(r.profile) end as profile
    from import_session_rows r
    left join accounts a on a.app_id = ${app_id} and a.external_id = r.external_id
    where r.session_id = ${session_id} and r.kind = 'user' and r.n > ${Number(cursor)}::bigint
    order by r.n limit ${limit + 1}`.execute(db);
  const items = rows
    .slice(0, limit)
    .map(({ external_id, enabled, profile }) => ({ id: external_id, enabled, profile }));
  // What was sent is all of what was sent; of who is absent it says nothing (an incremental import asks nobody).
  if (rows.length <= limit) return { items, complete: false };
  return { items, next: String(rows[limit - 1]?.n) };
}
