/**
 * For machines that watch: /healthz (this process lives), /readyz (it can serve: the database answers and has our
 * shape) and /metrics (Prometheus). All three are public, as watchers expect; they tell counts and app labels, nothing
 * about people.
 *
 * Gauges are read from the database when asked for, so they are the same on every node; operations are counted here as
 * their records appear.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { type Database, sql } from "../store/database.ts";
import type { Api, Server } from "./api.ts";

const open = { config: { unlimited: true }, schema: { tags: ["health"] } };

/** Registers the three. */
export function metricsRoutes(server: Server, api: Api): void {
  const { scrape, registry } = metrics(api);
  server.get("/healthz", { ...open, schema: { ...open.schema, summary: "The process lives" } }, async () => ({
    status: "ok",
  }));
  server.get("/readyz", { ...open, schema: { ...open.schema, summary: "It can serve" } }, async (_request, reply) => {
    const problem = await readiness(api.db);
    if (problem === undefined) return { status: "ok" };
    return reply.code(503).send({ status: "unavailable", reason: problem });
  });
  server.get(
    "/metrics",
    { ...open, schema: { ...open.schema, summary: "Prometheus metrics" } },
    async (_request, reply) => {
      await scrape();
      return reply.header("content-type", registry.contentType).send(await registry.metrics());
    },
  );
}

/** Why this node cannot serve, or undefined. */
async function readiness(db: Database): Promise<string | undefined> {
  try {
    await sql`select tenure_now()`.execute(db);
    return undefined;
  } catch (error) {
    const code = (error as { code?: string }).code;
    // undefined_function, undefined_table: reachable, but not migrated.
    if (code === "42883" || code === "42P01") return "the database has not been migrated yet";
    return "the database cannot be reached";
  }
}

function metrics(api: Api): Readonly<{ registry: Registry; scrape(): Promise<void> }> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const labelNames = ["app"];
  const due = new Gauge({
    name: "tenure_due_accounts",
    help: "Accounts waiting to be worked on",
    labelNames,
    registers,
  });
  const oldest = new Gauge({
    name: "tenure_oldest_due_seconds",
    help: "How long the oldest due account has waited",
    labelNames,
    registers,
  });
  const faults = new Gauge({
    name: "tenure_faulty_accounts",
    help: "Accounts whose last call failed",
    labelNames,
    registers,
  });
  const paused = new Gauge({ name: "tenure_app_paused", help: "1 while an app is paused", labelNames, registers });
  const dirty = new Gauge({
    name: "tenure_dirty_users",
    help: "People whose accounts must be computed again",
    registers,
  });
  const tasks = new Gauge({ name: "tenure_open_tasks", help: "Open tasks", registers });
  const up = new Gauge({
    name: "tenure_node_up",
    help: "1 for a node seen in the last minute",
    labelNames: ["node"],
    registers,
  });
  const operations = new Counter({
    name: "tenure_operations_total",
    help: "Calls to apps seen since this process started",
    labelNames: ["app", "step", "outcome"],
    registers,
  });
  let seen: number | undefined;
  const scrape = async () => {
    const now = api.world.now();
    for (const gauge of [due, oldest, faults, paused, up]) gauge.reset();
    for (const app of await queues(api.db, now)) {
      due.set({ app: app.label }, app.due);
      oldest.set({ app: app.label }, app.oldest_s);
      faults.set({ app: app.label }, app.faults);
      paused.set({ app: app.label }, app.paused ? 1 : 0);
    }
    const totals = await readTotals(api.db, now);
    dirty.set(totals.dirty);
    tasks.set(totals.tasks);
    for (const node of totals.nodes) up.set({ node }, 1);
    const news = await newOperations(api.db, seen);
    for (const line of news.lines) operations.inc({ app: line.label, step: line.step, outcome: line.outcome }, line.n);
    seen = news.last;
  };
  return { registry, scrape };
}

/** One app's queue, as metrics and the status page show it. */
export type Queue = Readonly<{
  app_id: string;
  label: string;
  due: number;
  oldest_s: number;
  faults: number;
  paused: boolean;
}>;

/** The queue of every app, in order of labels. */
export async function queues(db: Database, now: Date): Promise<Queue[]> {
  const { rows } = await sql<Queue>`
    select a.id as app_id, a.label, count(w.due_at) filter (where w.due_at <= ${now}::timestamptz)::int as due,
           count(w.fault)::int as faults,
           coalesce(extract(epoch from ${now}::timestamptz - min(w.marked_at) filter (where w.due_at <= ${now}::timestamptz)), 0)::float8 as oldest_s,
           coalesce(h.paused_until > ${now}::timestamptz, false) as paused
    from apps a left join work w on w.app_id = a.id left join app_health h on h.app_id = a.id
    group by a.id, h.app_id order by a.label`.execute(db);
  return rows;
}

async function readTotals(db: Database, now: Date) {
  const { rows } = await sql<{ dirty: number; tasks: number; nodes: string[] }>`
    select (select count(*) from dirty)::int as dirty,
           (select count(*) from tasks where status = 'OPEN')::int as tasks,
           array(select id from nodes where seen_at > ${new Date(now.getTime() - 60_000)}::timestamptz order by id) as nodes`.execute(
    db,
  );
  return rows[0] ?? { dirty: 0, tasks: 0, nodes: [] };
}

/** Operations recorded behind `after`, counted; the first time only where to begin. */
async function newOperations(db: Database, after: number | undefined) {
  const { rows: top } = await sql<{ last: number }>`select coalesce(max(id), 0) as last from operations`.execute(db);
  const last = top[0]?.last ?? 0;
  if (after === undefined) return { last, lines: [] };
  const { rows: lines } = await sql<{ label: string; step: string; outcome: string; n: number }>`
    select coalesce(a.label, o.app_id) as label, o.step, o.outcome, count(*)::int as n
    from operations o left join apps a on a.id = o.app_id
    where o.id > ${after} and o.id <= ${last} group by 1, 2, 3`.execute(db);
  return { last, lines };
}
