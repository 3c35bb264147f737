/**
 * A world for tests and simulation: the real engine and directory on PGlite, apps in memory, a clock that moves only
 * when told, chance from a seed. Everything the engine takes from outside is here and nowhere else.
 */
import { type Connector, secret } from "../../src/connectors/connector.ts";
import { type FakeApp, type FakeOptions, fakeApp } from "../../src/connectors/fake/connector.ts";
import type { MappingLine, Profile } from "../../src/core/types.ts";
import { type AppTools, createApp } from "../../src/directory/apps.ts";
import type { Command } from "../../src/directory/command.ts";
import { mappingOf, putMapping } from "../../src/directory/mappings.ts";
import { ensureGround } from "../../src/directory/schemas.ts";
import { claim, runnable } from "../../src/engine/claim.ts";
import { confirm } from "../../src/engine/confirm.ts";
import { confirmPush } from "../../src/engine/confirmPush.ts";
import { desire } from "../../src/engine/desire.ts";
import { claimPushes, operatePush } from "../../src/engine/groupPush.ts";
import { operate } from "../../src/engine/provision.ts";
import { runnablePushes } from "../../src/engine/pushQueue.ts";
import { evaluateRules } from "../../src/engine/ruleEvaluation.ts";
import { schedule } from "../../src/engine/schedule.ts";
import type { Bug, EngineApp, World } from "../../src/engine/world.ts";
import { type Database, isRefusal, sql } from "../../src/store/database.ts";
import type { Actor, Provisioning, Sourcing } from "../../src/store/tables.ts";
import { outside, test_key } from "./outside.ts";

/** A time that can be moved. */
export type Clock = { now: () => Date; advance: (ms: number) => void; set: (at: Date) => void };

export function manualClock(start = "2026-03-02T09:00:00.000Z"): Clock {
  let at = new Date(start).getTime();
  return {
    now: () => new Date(at),
    advance: (ms) => {
      at += ms;
    },
    set: (to) => {
      at = to.getTime();
    },
  };
}

/** Numbers in [0, 1) that repeat with the seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const admin: Actor = { id: "00uadmin000000000000", type: "User", name: "admin@example.com" };

export type TestWorld = World & {
  clock: Clock;
  command: Command;
  /** App id → what is behind it. */
  fakes: Map<string, FakeApp>;
  connectors: Map<string, Connector>;
};

export type TestWorldOptions = Readonly<{
  seed?: number;
  node?: string;
  bugs?: ReadonlySet<Bug>;
  clock?: Clock;
  lease_ms?: number;
  /** The database has what every installation has. */
  prepared?: boolean;
}>;

/** A world over a migrated, empty database; makes what every installation has. */
export async function testWorld(db: Database, options: TestWorldOptions = {}): Promise<TestWorld> {
  const clock = options.clock ?? manualClock();
  const random = seeded(options.seed ?? 1);
  const fakes = new Map<string, FakeApp>();
  const connectors = new Map<string, Connector>();
  const command: Command = { db, now: clock.now, actor: admin };
  if (!options.prepared) {
    await sql`update clock set fixed_at = ${clock.now()}::timestamptz`.execute(db);
    await ensureGround(command);
  }
  let passwords = 0;
  const world: TestWorld = {
    db,
    node: options.node ?? "node-1",
    now: clock.now,
    random,
    deadline: () => new AbortController().signal,
    password: () => secret(`Initial-${++passwords}`),
    app: (app_id) => openApp(db, connectors, app_id),
    source: (app_id) => openApp(db, connectors, app_id),
    ...outside(db, clock.now),
    lease_ms: options.lease_ms ?? 60_000,
    ...(options.bugs ? { bugs: options.bugs } : {}),
    clock,
    command,
    fakes,
    connectors,
  };
  return world;
}

/** A second node over the same database and apps. */
export function secondNode(world: TestWorld, node: string): TestWorld {
  return { ...world, node };
}

async function openApp(db: Database, connectors: Map<string, Connector>, app_id: string): Promise<EngineApp> {
  const { rows } = await sql<{
    label: string;
    kind: string;
    provisioning: Provisioning;
    attributes: EngineApp["attributes"];
  }>`
    select a.label, a.kind, a.provisioning, coalesce(s.attributes, '[]') as attributes
    from apps a left join schemas s on s.kind = 'app' and s.app_id = a.id where a.id = ${app_id}`.execute(db);
  const row = rows[0];
  const connector = connectors.get(app_id);
  if (!row || !connector) throw new Error(`no app ${app_id} in this world`);
  return { id: app_id, connector, ...row };
}

/** Unwraps a command's result; a refusal fails the test with its words. */
export async function must<T>(result: Promise<T> | T): Promise<Exclude<T, { refused: string; code: unknown }>> {
  const value = await result;
  if (isRefusal(value)) throw new Error(`refused (${value.code}): ${value.refused}`);
  return value as Exclude<T, { refused: string; code: unknown }>;
}

const line = (expression: string, more: Partial<MappingLine> = {}): MappingLine => ({
  expression,
  push: "always",
  when_empty: "clear",
  ...more,
});

/** The mapping that tests start from. */
export const usual_lines = {
  userName: line("user.login"),
  givenName: line("user.firstName"),
  familyName: line("user.lastName"),
  email: line("user.email"),
  title: line("user.title"),
  department: line("user.department"),
};

export type FakeAppOptions = Readonly<{
  label?: string;
  provisioning?: Partial<Provisioning>;
  sourcing?: Partial<Sourcing>;
  lines?: Record<string, MappingLine>;
  fake?: Partial<FakeOptions>;
}>;

/** An app with a fake system behind it, mapped as usual. Gives its id. */
export async function addFakeApp(world: TestWorld, options: FakeAppOptions = {}): Promise<string> {
  const fake = fakeApp({ now: world.now, ...options.fake });
  const schema = await fake.connector.schema({ signal: new AbortController().signal, log: () => {}, now: world.now });
  const tools: AppTools = {
    key: test_key,
    check: (_kind, config) => ({
      ok: { config, credentials: {}, can: fake.connector.can, attributes: schema.attributes },
    }),
  };
  const app = await must(
    createApp(
      world.command,
      {
        label: options.label ?? `App ${world.connectors.size + 1}`,
        kind: "fake",
        provisioning: { password: "none", ...options.provisioning },
        ...(options.sourcing ? { sourcing: options.sourcing } : {}),
      },
      tools,
    ),
  );
  world.fakes.set(app.id, fake);
  world.connectors.set(app.id, fake.connector);
  await must(putMapping(world.command, app.id, "to_app", options.lines ?? usual_lines));
  return app.id;
}

/** Replaces the to-user mapping of a source. */
export async function mapSource(world: TestWorld, app_id: string, lines: Record<string, string>): Promise<void> {
  await mappingOf(world.db, app_id, "to_user");
  const full = Object.fromEntries(Object.entries(lines).map(([name, expression]) => [name, line(expression)]));
  await must(putMapping(world.command, app_id, "to_user", full));
}

/** Works until nothing is due by the clock; gives how many operations wrote or failed. Bounded: a loop is a failure. */
export async function settle(world: TestWorld, rounds = 60): Promise<number> {
  let operations = 0;
  for (let round = 0; round < rounds; round++) {
    if (round === 0) {
      await sql`update clock set fixed_at = ${world.now()}::timestamptz`.execute(world.db);
      await schedule(world);
    }
    const evaluated = await evaluateRules(world);
    const { users } = await desire(world, 1_000);
    const apps = await runnable(world);
    const claimed = await claim(
      world,
      apps.map(({ app_id, probing }) => ({ app_id, n: probing ? 1 : 1_000 })),
    );
    const results = await Promise.all(claimed.map(async (one) => operate(world, await world.app(one.app_id), one)));
    operations += results.reduce((sum, result) => sum + result.operations.length, 0);
    await confirm(world, results);
    let pushed = 0;
    for (const app_id of await runnablePushes(world)) {
      for (const one of await claimPushes(world, app_id, 100)) {
        const result = await operatePush(world, await world.app(app_id), one);
        await confirmPush(world, result);
        pushed++;
      }
    }
    if (evaluated === null && users + claimed.length + pushed === 0) return operations;
  }
  throw new Error(`still not settled after ${rounds} rounds`);
}

/** The account of a user as the fake app has it, found by the engine's link. */
export async function accountIn(world: TestWorld, app_id: string, user_id: string) {
  const { rows } = await sql<{ external_id: string | null }>`
    select external_id from accounts where app_id = ${app_id} and user_id = ${user_id}`.execute(world.db);
  const id = rows[0]?.external_id;
  const account = id ? world.fakes.get(app_id)?.accounts.get(id) : undefined;
  return account && id ? { id, ...account } : undefined;
}

/** A usual profile for a name. */
export function profileOf(first: string, last: string, more: Profile = {}): Profile {
  const login = `${first}.${last}@example.com`.toLowerCase();
  return { login, email: login, firstName: first, lastName: last, ...more };
}
