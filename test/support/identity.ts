/**
 * Sources that send their people themselves, over the API on a real PostgreSQL: a server over a world whose clock can be
 * moved on, and a source with its schema and mapping. Imports run when a test says so (`importNext`), as the loop would.
 */
import { secret } from "../../src/connectors/connector.ts";
import { createConnector } from "../../src/connectors/registry.ts";
import { provisioningDefaults } from "../../src/directory/provisioning.ts";
import { runNextSession } from "../../src/engine/sessionRuns.ts";
import type { EngineApp, World } from "../../src/engine/world.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { type Answer, type TestApi, testApi } from "./api.ts";
import { outside } from "./outside.ts";

/** `later`: moves the clock on. */
export type IdentityWorld = World & { later(ms: number): void };

/** A node over a database; nodes that share a `clock` see the same time. */
export function identityWorld(db: Database, node = "node-1", clock = { ahead_ms: 0 }): IdentityWorld {
  const now = () => new Date(Date.now() + clock.ahead_ms);
  const app = async (app_id: string): Promise<EngineApp> => {
    const row = await db.selectFrom("apps").selectAll().where("id", "=", app_id).executeTakeFirstOrThrow();
    const schema = await db.selectFrom("schemas").select("attributes").where("app_id", "=", app_id).executeTakeFirst();
    const connector = createConnector(row.kind, row.config);
    return {
      ...{ id: row.id, label: row.label, kind: row.kind, connector },
      provisioning: provisioningDefaults(connector.can),
      attributes: schema?.attributes ?? [],
    };
  };
  return {
    ...{ db, node, now, random: Math.random, lease_ms: 60_000, app, source: app },
    ...outside(db, now),
    deadline: () => new AbortController().signal,
    password: () => secret("Temporary-1!"),
    later: (ms) => {
      clock.ahead_ms += ms;
    },
  };
}

export type Source = Readonly<{
  id: string;
  /** Calls below the source. */
  call(method: string, path: string, body?: unknown, token?: string): Promise<Answer>;
  /** Begins a session and gives its id. */
  begin(): Promise<string>;
  /** Loads a session; fails unless it is taken. */
  load(session: string, action: string, body: unknown): Promise<void>;
  /** Begins a session, loads it and starts it. */
  send(...loads: readonly (readonly [action: string, body: unknown])[]): Promise<string>;
  session(id: string): Promise<Answer["body"]>;
}>;

/** What tests of identity sources start from. */
export type Identity = Readonly<{
  api: TestApi;
  world: IdentityWorld;
  source(label: string, sourcing?: object): Promise<Source>;
  importNext(): Promise<boolean>;
}>;

/** A server with identity sources over an empty database. */
export async function identity(db: Database): Promise<Identity> {
  const world = identityWorld(db);
  const api = await testApi(db, { world });
  return {
    ...{ api, world },
    source: (label, sourcing) => newSource(api, label, sourcing),
    importNext: () => runNextSession(world),
  };
}

const lines = {
  login: "appuser.userName",
  email: "appuser.email",
  firstName: "appuser.firstName",
  lastName: "appuser.lastName",
  department: "appuser.department",
  employeeNumber: "appuser.externalId",
};

async function newSource(api: TestApi, label: string, sourcing: object = {}): Promise<Source> {
  const ok = async (method: string, path: string, body?: unknown) => {
    const { status, body: answer } = await api.call(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
    return answer;
  };
  const { id } = await ok("POST", "/api/v1/apps", { name: "push", label });
  await ok("PATCH", `/admin/v1/apps/${id}`, { sourcing });
  const properties = { department: { title: "Department", type: "string" } };
  await ok("POST", `/api/v1/meta/schemas/apps/${id}/default`, { definitions: { custom: { properties } } });
  const told = Object.fromEntries(Object.entries(lines).map(([name, expression]) => [name, { expression }]));
  await ok("PUT", `/admin/v1/apps/${id}/mappings/to_user`, { lines: told });
  const below = `/api/v1/identity-sources/${id}`;
  const begin = async () => (await ok("POST", `${below}/sessions`)).id as string;
  const load = (session: string, action: string, body: unknown) =>
    ok("POST", `${below}/sessions/${session}/${action}`, body);
  return {
    id,
    call: (method, path, body, token) => api.call(method, `${below}${path}`, body, token),
    ...{ begin, load },
    send: async (...loads) => {
      const session = await begin();
      for (const [action, body] of loads) await load(session, action, body);
      await ok("POST", `${below}/sessions/${session}/start-import`);
      return session;
    },
    session: (session) => ok("GET", `${below}/sessions/${session}`),
  };
}

/** The profile of the nth person. */
export const profileOf = (n: number, more: object = {}) => ({
  ...{ userName: `p${n}@example.com`, email: `p${n}@example.com`, firstName: `P${n}`, lastName: "Worker" },
  ...{ department: "Mills", ...more },
});

/** A call of bulk-upsert with these people. */
export const upsert = (which: readonly number[], more: object = {}) =>
  [
    "bulk-upsert",
    { entityType: "USERS", profiles: which.map((n) => ({ externalId: `e${n}`, profile: profileOf(n, more) })) },
  ] as const;

/** A call of bulk-delete with these people. */
export const gone = (which: readonly number[]) =>
  ["bulk-delete", { entityType: "USERS", profiles: which.map((n) => ({ externalId: `e${n}` })) }] as const;

/** The numbers from one to another, the end left out. */
export const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

/** How many people there are by status, and by department. */
export async function peopleBy(db: Database, what: "status" | "department"): Promise<Record<string, number>> {
  const by = what === "status" ? sql`status` : sql`coalesce(profile->>'department', '')`;
  const { rows } = await sql<{ key: string; n: number }>`
    select ${by} as key, count(*)::int as n from users where login like 'p%@example.com' group by 1`.execute(db);
  return Object.fromEntries(rows.map(({ key, n }) => [key, n]));
}
