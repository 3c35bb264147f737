/**
 * Asking a source only for what has changed: what its last import gave for the next one is kept with the app, and an
 * incremental import hands it to the connector.
 *
 * Laws: it is kept only when all that was read until then has been applied (DONE), never of an import that was held, failed,
 * cancelled, dry or killed; a held one that is released keeps it then. It is of one configuration and is no good for
 * another. Where nothing is kept everything is read; nobody who is missing has left all the same.
 *
 * Called by import.ts.
 */
import type { Running } from "../directory/command.ts";
import { type Database, sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { hasDecisions } from "./importDecisions.ts";
import type { EngineApp } from "./world.ts";

/** What a list gave to be asked for what changes after it. `of`: a digest of the configuration; `at`: when it was begun. */
export type NextSince = Readonly<{ token: string; of: string; at: string }>;

/**
 * How a source is asked. `token`: for what changed since the import that began at `since_at`; without it for everything,
 * in an incremental import for the reason `whole`.
 */
export type Asked = Readonly<{ of: string; at: string; token?: string; since_at?: string; whole?: string }>;

/** A token longer than this is not kept: it comes from outside. */
const token_max = 10_000;

/** Is what is read here what the app is configured to read, and all of it? Then what it gives is for the next import. */
export const isConfigured = ({ request, pushed, people }: ImportRun): boolean =>
  request.session === undefined && request.file === undefined && people === undefined && !pushed;

/** How a run asks its source. */
export async function howToAsk(run: ImportRun, app: EngineApp): Promise<Asked> {
  const { world, app_id, request, sourcing } = run;
  const { rows } = await sql<{ of: string; token: string | null; since_at: Date | null; moved: boolean | null }>`
    select md5(a.config::text) as of, h.import_since as token, h.import_since_at as since_at,
      h.import_since_of <> md5(a.config::text) as moved
    from apps a left join app_health h on h.app_id = a.id where a.id = ${app_id}`.execute(world.db);
  const { of = "", token = null, since_at = null, moved } = rows[0] ?? {};
  const asked = { of, at: world.now().toISOString() };
  if (request.mode === "full" || !isConfigured(run)) return asked;
  // A row of somebody with several jobs would stand for all of them.
  if (sourcing.several_rows === true) return { ...asked, whole: "several of its rows are one person's" };
  if (moved === true) return { ...asked, whole: "its configuration has changed since" };
  if (token === null || since_at === null) {
    const can = app.connector.can.changes;
    return { ...asked, whole: can ? "it was not read as a whole before" : "it cannot say what has changed" };
  }
  // The rows that were decided about have not changed since.
  if (await hasDecisions(run)) return { ...asked, whole: "people have decided about rows that waited" };
  return { ...asked, token, since_at: since_at.toISOString() };
}

/** What a list gave at its end, for the next import; undefined: nothing that can be kept. */
export function nextSince(run: ImportRun, asked: Asked, token: string | undefined): NextSince | undefined {
  if (token === undefined || !isConfigured(run) || run.request.dry_run) return undefined;
  if (token.length > token_max || token.includes("\0") || !token.isWellFormed()) return undefined;
  return { token, of: asked.of, at: asked.at };
}

/** What a held import has kept until it is released. */
export async function heldSince(db: Database, import_id: string): Promise<NextSince | undefined> {
  const { rows } = await sql<{ next: NextSince | null }>`
    select detail->'next_since' as next from imports where id = ${import_id}`.execute(db);
  return rows[0]?.next ?? undefined;
}

/** Keeps it for the next import; in the transaction that ends this one. */
export async function keepSince(running: Running, app_id: string, { token, of, at }: NextSince): Promise<void> {
  await sql`
    insert into app_health as h (app_id, import_since, import_since_at, import_since_of)
    values (${app_id}, ${token}, ${at}::timestamptz, ${of})
    on conflict (app_id) do update set import_since = excluded.import_since,
      import_since_at = excluded.import_since_at, import_since_of = excluded.import_since_of
    where h.import_since_of is distinct from excluded.import_since_of
      or coalesce(h.import_since_at <= excluded.import_since_at, true)`.execute(running.db);
}
