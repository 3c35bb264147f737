/**
 * The stage of the kill test: a real node in a process of its own, two apps that speak SCIM in theirs, a database, and the
 * company that is set up over the API. Changes are asked for until they are acknowledged, so what was asked for is never
 * in doubt.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { type Api, ApiRefusal, apiAt } from "../../../demo/api.ts";
import { type AppName, type SpawnedApp, type SpawnOptions, spawnApp } from "../../../demo/apps/spawn.ts";
import { tenureAt } from "../../../demo/tenure.ts";
import { startEmbedded } from "../../../src/store/embedded.ts";
import type { Change } from "./changes.ts";
import {
  type AppKey,
  app_keys,
  type Company,
  departments,
  type Group,
  grants,
  hand_groups,
  invent,
  pushes,
} from "./company.ts";
import { compare, type Seen } from "./compare.ts";
import { freePort, type KillableNode, killableNode, tokenIn } from "./tenure.ts";

export type StageOptions = Readonly<{
  people: number;
  /** Which server each app is. */
  apps: Readonly<Record<AppKey, Readonly<{ name: AppName; options?: SpawnOptions }>>>;
  /** A PostgreSQL to use, with an empty database; without it the embedded one. */
  database_url?: string;
}>;

export type Stage = {
  readonly node: KillableNode;
  readonly data_folder: string;
  readonly company: Company;
  readonly api: Api;
  readonly systems: Readonly<Record<AppKey, SpawnedApp>>;
  /** Only to see whether kills hit anything; what the apps hold is never judged by it. */
  readonly database: pg.Pool;
  /** Changes acknowledged; requests whose answer was lost; kills; claims that kills caught. */
  readonly counts: { asked: number; again: number; kills: number; caught: number };
  /** Stops and removes everything, the last thing started first. Gives what went wrong on the way. */
  close(): Promise<readonly Error[]>;
};

/** A killed node's claims end after a minute; a few backoffs may follow. */
const settle_ms = 180_000;
const at_a_time = 3;

/** Starts everything and founds the company. On failure leaves nothing behind. */
export async function setStage(options: StageOptions): Promise<Stage> {
  const stops: (() => Promise<unknown>)[] = [];
  const close = async () => {
    const errors: Error[] = [];
    for (const stop of stops.splice(0).reverse()) await stop().catch((error: Error) => errors.push(error));
    return errors;
  };
  try {
    return { ...(await build(options, stops)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function build(options: StageOptions, stops: (() => Promise<unknown>)[]): Promise<Omit<Stage, "close">> {
  const data_folder = mkdtempSync(path.join(tmpdir(), "tenure-kill-"));
  stops.push(async () => rmSync(data_folder, { recursive: true, force: true }));
  const started = await Promise.all(
    app_keys.map(async (key) => {
      const { name, options: how } = options.apps[key];
      const app = await spawnApp(name, how);
      stops.push(() => app.stop());
      return [key, app] as const;
    }),
  );
  const systems = Object.fromEntries(started) as Record<AppKey, SpawnedApp>;
  const { database_url } = options;
  const node = killableNode({
    data_folder,
    port: await freePort(),
    args: ["--rate-limit", "0"],
    ...(database_url === undefined ? {} : { database_url }),
  });
  stops.push(() => node.stop());
  await node.start();
  const database = await openDatabase(data_folder, database_url, stops);
  // The first life ends in order, so that its compiled modules are kept for the others.
  await node.stop();
  await node.start();
  const api = apiAt(node.url, tokenIn(data_folder));
  const company = await found(api, systems, options.people);
  return { node, data_folder, company, api, systems, database, counts: { asked: 0, again: 0, kills: 0, caught: 0 } };
}

/** The database of the node; the embedded one is adopted, and stopped at the end if a killed node left it running. */
async function openDatabase(
  data_folder: string,
  database_url: string | undefined,
  stops: (() => Promise<unknown>)[],
): Promise<pg.Pool> {
  let connectionString = database_url;
  if (connectionString === undefined) {
    const embedded = await startEmbedded({ data_folder, throwaway: true, log: () => {} });
    stops.push(() => embedded.stop());
    connectionString = embedded.url;
  }
  const pool = new pg.Pool({ connectionString, max: 1 });
  stops.push(() => pool.end());
  return pool;
}

/** Groups with their rules, both apps, who gets them, and what is pushed. */
async function found(api: Api, systems: Stage["systems"], people: number): Promise<Company> {
  const tenure = tenureAt(api);
  const groups = new Map<Group["key"], Group>();
  for (const key of [...departments, ...hand_groups]) {
    groups.set(key, { key, id: await tenure.createGroup(key, "of the kill test"), name: key, names: 1 });
  }
  const id = (key: Group["key"]) => groups.get(key)?.id ?? "";
  for (const key of departments) await tenure.createRule(key, `user.department == "${key}"`, id(key));
  const apps: Record<AppKey, string> = { chat: "", code: "" };
  for (const key of app_keys) {
    const { url, token } = systems[key];
    const config = { base_url: url, profile: "strict", token };
    const app = await tenure.createApp({ kind: "scim", label: key, config });
    apps[key] = app;
    for (const [priority, group] of grants[key].entries()) await tenure.grantGroup(app, id(group), priority);
    // Without a name of its own the pushed group follows ours.
    for (const group of pushes[key]) {
      await api.post(`/api/v1/apps/${app}/group-push/mappings`, { sourceGroupId: id(group) });
    }
  }
  return { people: invent(people), groups, apps };
}

/** How many accounts and groups the process with this number holds. */
export async function claimsOf({ database }: Stage, pid: number): Promise<number> {
  const { rows } = await database.query<{ claims: number }>(
    `select ((select count(*) from work where claimed_by like $1) +
      (select count(*) from pushed_groups where claimed_by like $1))::int as claims`,
    [`%-${pid}-%:%`],
  );
  return rows[0]?.claims ?? 0;
}

/** SIGKILL, counted with what it caught. */
export async function kill(stage: Stage, node = stage.node): Promise<void> {
  const pid = node.pid();
  await node.kill();
  stage.counts.kills++;
  stage.counts.caught += await claimsOf(stage, pid);
}

/** Asks for a wave's changes, several at a time, until each is acknowledged. */
export async function playWave(stage: Stage, wave: readonly Change[]): Promise<void> {
  const left = [...wave];
  const ask = async () => {
    for (let change = left.shift(); change !== undefined; change = left.shift()) await untilAcknowledged(stage, change);
  };
  await Promise.all(Array.from({ length: at_a_time }, ask));
}

async function untilAcknowledged(stage: Stage, change: Change): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await stage.node.ready();
    try {
      if (attempt === 1 || !(await change.holds(stage.api))) await change.make(stage.api);
      change.done();
      stage.counts.asked++;
      return;
    } catch (error) {
      if (!isLost(error)) throw new Error(`${change.words} (attempt ${attempt}): ${(error as Error).message}`);
      stage.counts.again++;
      // The connection may break before the end of the process is known.
      await sleep(20);
    }
  }
}

/** No answer, or none that says anything: the server ended in the middle. */
function isLost(error: unknown): boolean {
  return !(error instanceof ApiRefusal) || error.status === 503;
}

type Queues = Readonly<{ dirty: number; queues: readonly Readonly<{ due: number; faulted: number }>[] }>;

/** What the apps hold in the end; `unrest`: what was still to be done when the time to settle was over. */
export type Settled = Readonly<{ seen: Seen; unrest: readonly string[] }>;

/**
 * Waits until no work is left and the apps are as they should be, or too long; then the apps' word counts. Nothing is
 * reconciled: the engine must come right by itself.
 */
export async function settle({ api, company, systems }: Stage, within_ms = settle_ms): Promise<Settled> {
  const until = Date.now() + within_ms;
  for (;;) {
    const { dirty, queues } = await api.get<Queues>("/admin/v1/status");
    const busy = dirty > 0 || queues.some(({ due, faulted }) => due > 0 || faulted > 0);
    const late = Date.now() > until;
    if (!busy || late) {
      const seen = await compare(company, systems);
      const clean = Object.values(seen.findings).every((list) => list.length === 0);
      if (clean || late) return { seen, unrest: busy ? await tenureAt(api).standing() : [] };
    }
    await sleep(500);
  }
}
