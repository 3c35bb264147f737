/**
 * Which endpoints of Okta's API are called, and how they are answered: counted in memory, added to a table of days now
 * and then, shown by `tenure okta-coverage`. So an administrator sees what their scripts need before they find out.
 *
 * Laws: bounded memory, whatever is called; a path that is not served is kept as a pattern, with what looks like an id
 * or a name taken out; counting never fails or slows a request. Counts of the last half minute are lost with a node.
 */
import type { FastifyRequest } from "fastify";
import { features } from "../core/features.ts";
import { type Database, sql } from "../store/database.ts";
import type { Api, Server } from "./api.ts";

/** One line: how often a method on a path was answered so on a day. `served`: the path has a route. */
export type ApiCalls = Readonly<{ method: string; pattern: string; status: number; served: boolean; calls: number }>;

const flush_ms = 30_000;
const lines_max = 2_000;
const segments_max = 12;
const feature = features.find(({ setting }) => setting === "count_api_calls");

/** Counts what is answered from now on. */
export function countCalls(server: Server, api: Pick<Api, "db" | "world">): void {
  let counts = new Map<string, ApiCalls>();
  server.addHook("onResponse", (request, reply, done) => {
    const line = lineOf(request, reply.statusCode);
    if (line !== undefined) {
      const key = `${line.method} ${line.pattern} ${line.status}`;
      const before = counts.get(key)?.calls ?? 0;
      if (before > 0 || counts.size < lines_max) counts.set(key, { ...line, calls: before + 1 });
    }
    done();
  });
  const flush = async () => {
    const lines = [...counts.values()];
    counts = new Map();
    // The database may be away, or gone already while the server closes: these counts are lost, nothing else.
    await keepCalls(api.db, api.world.now(), lines).catch(() => {});
  };
  const timer = setInterval(() => void flush(), flush_ms);
  timer.unref();
  server.addHook("onClose", async () => {
    clearInterval(timer);
    await flush();
  });
}

function lineOf(request: FastifyRequest, status: number): ApiCalls | undefined {
  const path = request.url.split("?", 1)[0] ?? "";
  if (!/^\/(?:api\/v1|oauth2|\.well-known)\//.test(path)) return undefined;
  const { url } = request.routeOptions;
  const pattern = url === undefined ? patternOf(path) : url.replaceAll(/:(\w+)/g, "{$1}");
  return { method: request.method.slice(0, 10), pattern, status, served: url !== undefined, calls: 1 };
}

/** A path nobody serves, without ids, logins and names: words of letters stay. */
export function patternOf(path: string): string {
  const parts = path.split("/").slice(0, segments_max);
  return parts.map((part) => (/^(?:v1|oauth2|\.well-known|[A-Za-z-]{1,30})?$/.test(part) ? part : "{id}")).join("/");
}

async function keepCalls(db: Database, now: Date, lines: readonly ApiCalls[]): Promise<void> {
  if (lines.length === 0) return;
  await sql`
    insert into api_calls (day, method, pattern, status, served, calls)
    select ${now.toISOString().slice(0, 10)}::date, l.method, l.pattern, l.status, l.served, l.calls
    from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb)
      as l(method text, pattern text, status int, served boolean, calls bigint)
    where coalesce((select value <> 'false' from settings where name = ${feature?.setting ?? ""}), true)
    order by l.method, l.pattern, l.status
    on conflict (day, method, pattern, status) do update
      set calls = api_calls.calls + excluded.calls, served = excluded.served`.execute(db);
}

/** What was called since a day, most often first. */
export async function callsSince(db: Database, day: string, limit: number): Promise<readonly ApiCalls[]> {
  const { rows } = await sql<ApiCalls>`
    select method, pattern, status, bool_or(served) as served, sum(calls)::float8 as calls from api_calls
    where day >= ${day}::date group by method, pattern, status order by calls desc, pattern, method limit ${limit}`.execute(
    db,
  );
  return rows;
}
