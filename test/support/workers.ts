/**
 * A personnel system over HTTP that has a list and a record for each person, as a source of a server over a PostgreSQL in
 * memory: the real connector, the real import, and a clock that can be moved on. Nothing runs by itself: `readTold` reads
 * whom the source told of, as the loop would.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createApp } from "../../src/directory/apps.ts";
import { claimNotices, readTold } from "../../src/engine/notices.ts";
import { schedule } from "../../src/engine/schedule.ts";
import { type RealWorld, realWorld } from "../../src/main/world.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import type { Sourcing } from "../../src/store/tables.ts";
import { type Answer, type TestApi, testApi } from "./api.ts";
import { fakeApp } from "./fakeConfig.ts";
import { test_key } from "./outside.ts";
import { must } from "./world.ts";

export type Worker = Readonly<{
  number: string;
  mail: string;
  first: string;
  last: string;
  unit: string;
  state: string;
}>;

/** A worker; the mail follows from the number. */
export const worker = (number: string, more: Partial<Worker> = {}): Worker => ({
  ...{ number, mail: `w${number}@example.com`, first: `W${number}`, last: "Worker", unit: "Mills", state: "active" },
  ...more,
});

/** The system: who works there, what it answers instead, and what it was asked. */
export type Workers = {
  people: Map<string, Worker>;
  /** Status of the answer for a path, in place of what is there; `*`: for every path. */
  answers: Map<string, Readonly<{ status: number; headers?: Record<string, string> }>>;
  asked: string[];
  url: string;
  close(): void;
};

/** Starts a system without anybody. */
export async function startWorkers(): Promise<Workers> {
  const system: Workers = { people: new Map(), answers: new Map(), asked: [], url: "", close: () => server.close() };
  const server = createServer((request, response) => {
    const path = (request.url ?? "").split("?")[0] ?? "";
    system.asked.push(path);
    const other = system.answers.get(path) ?? system.answers.get("*");
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) => {
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(JSON.stringify(body));
    };
    if (other !== undefined) return send(other.status, { error: "no" }, other.headers);
    if (path === "/workers") return send(200, { items: [...system.people.values()] });
    const one = system.people.get(decodeURIComponent(path.slice("/workers/".length)));
    return one === undefined ? send(404, { error: "none" }) : send(200, { worker: one });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  system.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return system;
}

/** The configuration of a source that reads it; `alone`: it can ask for one person. */
export const workersConfig = (url: string, alone: boolean) => ({
  ...{ base_url: url, path: "/workers", auth: "none", records: "/items", id: "/number" },
  ...{ enabled_at: "/state", enabled_values: ["active"] },
  columns: { number: "/number", mail: "/mail", first: "/first", last: "/last", unit: "/unit" },
  ...(alone ? { one: { path: "/workers/{id}", record: "/worker" } } : {}),
});

const lines = {
  login: "appuser.mail",
  email: "appuser.mail",
  firstName: "appuser.first",
  lastName: "appuser.last",
  department: "appuser.unit",
  employeeNumber: "appuser.number",
};

export type WorkersStage = Readonly<{
  api: TestApi;
  world: RealWorld;
  app_id: string;
  /** Moves the clock on. */
  later(ms: number): Promise<void>;
  /** Imports over the API and waits for the end. Gives the import with its rows. */
  importNow(query?: string): Promise<Answer["body"]>;
  user(login: string): Promise<Answer["body"]>;
  /** Reads whom sources told of and whose turn it is, as the loop would. Gives how many sources there were. */
  readTold(world?: RealWorld): Promise<number>;
  waiting(): Promise<readonly string[]>;
  tasks(): Promise<readonly string[]>;
}>;

/** A server over an empty database, with the system as its source. */
export async function workersStage(
  db: Database,
  workers: Workers,
  { alone = true, sourcing = {} }: Readonly<{ alone?: boolean; sourcing?: Partial<Sourcing> }> = {},
): Promise<WorkersStage> {
  const world = realWorld(db, test_key, { allow_private: true });
  const api = await testApi(db, { world });
  const command = { db, now: world.now, actor: system };
  const rules = { guard_people: 0, guard_percent: 100, ...sourcing };
  const app = await must(
    createApp(
      command,
      { label: "Workers", kind: "rest", config: workersConfig(workers.url, alone), sourcing: rules },
      fakeApp.tools,
    ),
  );
  await api.call("POST", `/admin/v1/apps/${app.id}/discover`);
  const told = Object.fromEntries(Object.entries(lines).map(([name, expression]) => [name, { expression }]));
  const mapped = await api.call("PUT", `/admin/v1/apps/${app.id}/mappings/to_user`, { lines: told });
  if (mapped.status >= 300) throw new Error(JSON.stringify(mapped.body));
  const stays = new AbortController().signal;
  return {
    ...{ api, world, app_id: app.id },
    later: async (ms) => {
      await sql`update clock set shift = shift + make_interval(secs => ${ms / 1_000})`.execute(db);
      await world.readClock();
      await schedule(world);
    },
    importNow: async (query = "") => {
      const started = await api.call("POST", `/admin/v1/apps/${app.id}/imports${query}`);
      if (started.status !== 202) return started.body;
      for (;;) {
        const { body } = await api.call("GET", `/admin/v1/imports/${started.body.id}`);
        if (body.status !== "RUNNING") {
          return { ...body, rows: (await api.call("GET", `/admin/v1/imports/${body.id}/rows`)).body };
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    user: async (login) => (await api.call("GET", `/api/v1/users/${login}`)).body,
    readTold: async (node = world) => {
      const sources = await claimNotices(node);
      for (const source of sources) await readTold(node, source, stays);
      return sources.length;
    },
    waiting: async () =>
      (await sql<{ id: string }>`select external_id as id from source_notices order by 1`.execute(db)).rows.map(
        ({ id }) => id,
      ),
    tasks: async () =>
      (await sql<{ title: string }>`select title from tasks where status = 'OPEN' order by 1`.execute(db)).rows.map(
        ({ title }) => title,
      ),
  };
}
