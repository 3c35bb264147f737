/**
 * /api/v1/logs: the log in the form of Okta's System Log (okta-api 4.7), in two modes.
 *
 * Bounded (`until` is given, or newest first): the next link ends with the last page. Polling (neither): there is always
 * a next link, also behind an empty page, and whoever follows it for ever misses nothing.
 *
 * Law of polling: events are read in the order of their transactions, and only of transactions that are over
 * (`transaction_id < pg_snapshot_xmin`). An event that commits late has a transaction that was not over, so it always
 * comes behind what was shown, never between. Sequence numbers alone do not have that order. A reader's place is always an
 * event, never the horizon: after a crash PostgreSQL gives the numbers of transactions again that left nothing behind.
 */
import type { RawBuilder } from "kysely";
import { z } from "zod";
import { dialects } from "../../core/filter.ts";
import type { Column } from "../../core/filterSql.ts";
import { parseInstant } from "../../core/instant.ts";
import { type Database, sql } from "../../store/database.ts";
import { event_as_json, type LogEvent, uuid_of_event } from "../../store/log.ts";
import { type Api, about, type Server } from "../api.ts";
import { invalid } from "../errors.ts";
import { afterOf, badCursor, cursor, limitOf, readCursor, setLinks } from "../paging.ts";
import { logEventBody } from "./logBody.ts";
import { condition, isDescending } from "./search.ts";

const query_input = z.object({
  since: z.string().max(200).optional().describe("Default: seven days before until"),
  until: z.string().max(200).optional(),
  filter: z.string().max(10_000).optional().describe('As in eventType eq "user.lifecycle.create"'),
  q: z.string().max(500).optional().describe("Words that must all be in the event"),
  sortOrder: z.string().max(20).optional().describe("ASCENDING or DESCENDING"),
  after: afterOf,
  limit: limitOf(100, 1_000),
});

type Query = z.infer<typeof query_input>;

const week_ms = 7 * 86_400_000;
const words_max = 10;

/** Registers the route. */
export function logRoutes(server: Server, api: Api): void {
  server.get(
    "/api/v1/logs",
    about("logs", "What happened: bounded by until, or polled for ever", { querystring: query_input }),
    async (request, reply) => {
      const descending = isDescending(request.query.sortOrder);
      const polling = request.query.until === undefined && !descending;
      const { events, next } = polling
        ? await poll(api.db, request.query, api.world.now())
        : await bounded(api.db, request.query, descending, api.world.now());
      setLinks(request, reply, next);
      return events.map(logEventBody);
    },
  );
}

type Found = Readonly<{ events: readonly LogEvent[]; next: string | undefined }>;

async function bounded(db: Database, query: Query, descending: boolean, now: Date): Promise<Found> {
  const until = instantOf("until", query.until);
  const since = instantOf("since", query.since) ?? new Date((until ?? now).getTime() - week_ms);
  // What is of this very millisecond is not before now.
  const before = until === undefined ? sql`true` : sql`e.published_at < ${until}::timestamptz`;
  const [mode, seq] = readCursor(query.after) ?? ["b", undefined];
  if (mode !== "b" || (seq !== undefined && typeof seq !== "number")) throw badCursor(query.after ?? "");
  const after = seq === undefined ? sql`true` : descending ? sql`e.seq < ${seq}` : sql`e.seq > ${seq}`;
  const { rows } = await sql<LogEvent>`
    select e.*, ${sql.raw(uuid_of_event)} as uuid from events e
    where e.published_at >= ${since}::timestamptz and ${before} and ${after} and ${wanted(query)}
    order by e.seq ${descending ? sql`desc` : sql`asc`} limit ${query.limit + 1}`.execute(db);
  const events = rows.slice(0, query.limit);
  const last = events.at(-1);
  return { events, next: rows.length > query.limit && last ? cursor("b", last.seq) : undefined };
}

async function poll(db: Database, query: Query, now: Date): Promise<Found> {
  const place = readCursor(query.after);
  const [mode, transaction, seq] = place ?? ["p", "0", 0];
  if (mode !== "p" || typeof transaction !== "string" || !/^\d{1,20}$/.test(transaction) || typeof seq !== "number") {
    throw badCursor(query.after ?? "");
  }
  const since =
    place === undefined ? (instantOf("since", query.since) ?? new Date(now.getTime() - week_ms)) : undefined;
  // One statement, so that the horizon, the rows and how far everything reaches are of one snapshot.
  const { rows } = await sql<{
    event: (LogEvent & { published_at: string }) | null;
    transaction: string | null;
    reached_transaction: string | null;
    reached_seq: string | null;
  }>`
    with horizon as (select pg_snapshot_xmin(pg_current_snapshot()) as x)
    select e.event, e.transaction, reached.transaction_id::text as reached_transaction, reached.seq::text as reached_seq
    from horizon left join lateral (
      select transaction_id, seq from events
      where (transaction_id, seq) > (${transaction}::text::xid8, ${seq}::bigint) and transaction_id < horizon.x
      order by transaction_id desc, seq desc limit 1
    ) reached on true left join lateral (
      select ${event_as_json} as event, e.transaction_id::text as transaction, e.transaction_id, e.seq from events e
      where (e.transaction_id, e.seq) > (${transaction}::text::xid8, ${seq}::bigint) and e.transaction_id < horizon.x
        and ${since === undefined ? sql`true` : sql`e.published_at >= ${since}::timestamptz`} and ${wanted(query)}
      order by e.transaction_id, e.seq limit ${query.limit}
    ) e on true order by e.transaction_id, e.seq`.execute(db);
  const shown = rows.flatMap(({ event }) =>
    event === null ? [] : [{ ...event, published_at: new Date(event.published_at) }],
  );
  const last = rows.at(-1);
  if (shown.length === query.limit && last?.event) {
    return { events: shown, next: cursor("p", last.transaction ?? "0", last.event.seq) };
  }
  return {
    events: shown,
    next: cursor("p", last?.reached_transaction ?? transaction, Number(last?.reached_seq ?? seq)),
  };
}

const jsonText = (source: string): Column => ({ kind: "text", sql: source });
const ofTargets = (member: string): Column => ({
  kind: "text",
  shape: "rows",
  sql: `(select t->>'${member}' from jsonb_array_elements(e.targets) t where t ? '${member}')`,
});

const columns: Readonly<Record<string, Column>> = {
  uuid: jsonText(`(${uuid_of_event})::text`),
  published: { kind: "instant", sql: "e.published_at" },
  eventType: jsonText("e.type"),
  severity: jsonText("e.severity"),
  "outcome.result": jsonText("e.outcome"),
  "outcome.reason": jsonText("e.reason"),
  "actor.id": jsonText("(e.actor->>'id')"),
  "actor.type": jsonText("(e.actor->>'type')"),
  "actor.alternateId": jsonText("(e.actor->>'name')"),
  "actor.displayName": jsonText("(e.actor->>'name')"),
  "client.ipAddress": jsonText("(e.actor#>>'{from,ip}')"),
  "client.userAgent.rawUserAgent": jsonText("(e.actor#>>'{from,agent}')"),
  "debugContext.debugData.requestId": jsonText("(e.actor#>>'{from,request}')"),
  "target.id": ofTargets("id"),
  "target.type": ofTargets("type"),
  "target.alternateId": ofTargets("name"),
  "target.displayName": ofTargets("name"),
  "transaction.id": jsonText("coalesce(e.cause, e.seq)::text"),
};

/** `filter` and `q` as a condition over `e`, the events row. */
function wanted({ filter, q }: Query): RawBuilder<unknown> {
  const parts = [sql`true`];
  if (filter !== undefined) {
    parts.push(
      condition(filter, dialects.okta_log, (path) =>
        Object.hasOwn(columns, path.text) ? columns[path.text] : undefined,
      ) as (typeof parts)[0],
    );
  }
  const words = (q ?? "").split(/\s+/).filter((word) => word !== "");
  for (const word of words.slice(0, words_max)) {
    parts.push(
      sql`strpos(lower(concat_ws(' ', e.type, e.severity, e.outcome, e.reason, e.actor, e.targets, e.detail)), lower(${word})) > 0`,
    );
  }
  return sql.join(parts, sql` and `);
}

/** ISO 8601, or what Okta's Node client makes of a Date: "Thu Jan 01 1970 00:00:00 GMT+0000 (…)". */
function instantOf(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const iso = parseInstant(text);
  const js = /^[A-Z][a-z]{2} [A-Z][a-z]{2} \d{2} \d{4,6} \d{2}:\d{2}:\d{2} GMT[+-]\d{4}( \([^)]*\))?$/.test(text);
  const at = iso ?? (js ? Date.parse(text.replace(/ \(.*$/, "")) : Number.NaN);
  if (Number.isNaN(at)) throw invalid(name, `${name}: use ISO 8601, such as 2026-05-01T00:00:00Z`);
  return new Date(at);
}
