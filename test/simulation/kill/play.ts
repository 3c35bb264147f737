/**
 * The kill test: waves of hires, moves, leaves and returns asked for over the API of a real node, with two real SCIM apps
 * of other makers, while the node is killed and started again. At the end both apps must hold what was asked for.
 *
 * A request whose answer was lost is asked again until it is acknowledged, so what was asked for is never in doubt.
 * Nothing is reconciled: the engine must come right by itself.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { type Api, ApiRefusal, apiAt } from "../../../demo/api.ts";
import { type SpawnedApp, spawnApp } from "../../../demo/apps/spawn.ts";
import { tenureAt } from "../../../demo/tenure.ts";
import { startEmbedded } from "../../../src/store/embedded.ts";
import { seeded } from "../../support/world.ts";
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
  type Person,
  pushes,
} from "./company.ts";
import { compare, type Findings, type Seen } from "./compare.ts";
import { freePort, type KillableNode, killableNode, tokenIn } from "./tenure.ts";
import { type Draw, drawWave } from "./waves.ts";

export type KillOptions = Readonly<{
  rounds: number;
  people: number;
  seed: number;
  /** A PostgreSQL to use, with an empty database; without it the embedded one. */
  database_url?: string;
  say(line: string): void;
  signal?: AbortSignal;
}>;

/**
 * `asked`: changes acknowledged; `again`: requests whose answer was lost; `caught`: accounts and groups that a kill caught
 * between claim and confirm; `unrest`: work left after the time to settle.
 */
export type KillReport = Readonly<{
  rounds: number;
  kills: number;
  people: number;
  asked: number;
  again: number;
  caught: number;
  accounts: number;
  enabled: number;
  members: number;
  seconds: number;
  settle_seconds: number;
  lost: number;
  doubled: number;
  left_enabled: number;
  strangers: number;
  unrest: number;
  seed: number;
  findings: Findings & Readonly<{ unrest: readonly string[] }>;
}>;

/** What plays: the node, the apps, the company, and counters. */
export type Stage = {
  readonly node: KillableNode;
  readonly systems: Readonly<Record<AppKey, SpawnedApp>>;
  readonly company: Company;
  readonly api: Api;
  readonly draw: Draw;
  /** How many accounts and groups the process with this number has claimed: how much a kill has caught. */
  readonly claimsOf: (pid: number) => Promise<number>;
  asked: number;
  again: number;
  kills: number;
  caught: number;
};

/** A killed node's claims end after a minute; a few backoffs may follow. */
const settle_ms = 180_000;
const kill_within_ms = 800;
/** One kill in so many is followed by another while the node starts. */
const start_kills = 0.12;
const at_a_time = 3;

/** Plays it all and gives what came of it. Leaves no process and no file. */
export async function play(options: KillOptions): Promise<KillReport> {
  const data_folder = mkdtempSync(path.join(tmpdir(), "tenure-kill-"));
  const began = Date.now();
  const stops: (() => Promise<unknown>)[] = [async () => rmSync(data_folder, { recursive: true, force: true })];
  try {
    const stage = await setStage(options, data_folder, stops);
    await playRounds(stage, options);
    const settling = Date.now();
    options.say(`${stage.kills} kills, ${stage.asked} changes; waiting until everything is done`);
    const { seen, unrest } = await settle(stage);
    const { lost, doubled, left_enabled, strangers } = seen.findings;
    return {
      ...{ rounds: options.rounds, kills: stage.kills, people: options.people, asked: stage.asked, again: stage.again },
      caught: stage.caught,
      ...{ accounts: seen.accounts, enabled: seen.enabled, members: seen.members },
      ...{ seconds: secondsSince(began), settle_seconds: secondsSince(settling) },
      ...{ lost: lost.length, doubled: doubled.length, left_enabled: left_enabled.length, strangers: strangers.length },
      ...{ unrest: unrest.length, seed: options.seed, findings: { ...seen.findings, unrest } },
    };
  } finally {
    for (const stop of stops.reverse())
      await stop().catch((error: Error) => options.say(`while stopping: ${error.message}`));
  }
}

const secondsSince = (at_ms: number) => Math.round((Date.now() - at_ms) / 100) / 10;

async function setStage(options: KillOptions, data_folder: string, stops: (() => Promise<unknown>)[]): Promise<Stage> {
  const started = await Promise.all(
    app_keys.map(async (key) => {
      const app = await spawnApp(key);
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
  const claimsOf = await countClaims(data_folder, database_url, stops);
  // The first life ends in order, so that its compiled modules are kept for the others.
  await node.stop();
  await node.start();
  const api = apiAt(node.url, tokenIn(data_folder));
  const company = await found(api, systems, options.people);
  return { node, systems, company, api, draw: seeded(options.seed), claimsOf, asked: 0, again: 0, kills: 0, caught: 0 };
}

/** Adopts the database for the only look that is taken at it: whether the kills hit anything. */
async function countClaims(
  data_folder: string,
  database_url: string | undefined,
  stops: (() => Promise<unknown>)[],
): Promise<Stage["claimsOf"]> {
  let url = database_url;
  if (url === undefined) {
    const embedded = await startEmbedded({ data_folder, throwaway: true, log: () => {} });
    stops.push(() => embedded.stop());
    url = embedded.url;
  }
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  stops.push(() => pool.end());
  return async (pid) => {
    const mine = `%-${pid}-%:%`;
    const { rows } = await pool.query<{ claims: number }>(
      `select ((select count(*) from work where claimed_by like $1) +
        (select count(*) from pushed_groups where claimed_by like $1))::int as claims`,
      [mine],
    );
    return rows[0]?.claims ?? 0;
  };
}

/** Groups with their rules, both apps, who gets them, and what is pushed. */
export async function found(
  api: Api,
  systems: Readonly<Record<AppKey, Readonly<{ url: string; token: string }>>>,
  people: number,
): Promise<Company> {
  const tenure = tenureAt(api);
  const groups = new Map<Group["key"], Group>();
  for (const key of [...departments, ...hand_groups]) {
    groups.set(key, { key, id: await tenure.createGroup(key, "of the kill test"), name: key, names: 1 });
  }
  const id = (key: Group["key"]) => groups.get(key)?.id ?? "";
  for (const key of departments) await tenure.createRule(key, `user.department == "${key}"`, id(key));
  const apps: Record<AppKey, string> = { scimmy: "", betterAuth: "" };
  for (const app of app_keys) {
    const { url, token } = systems[app];
    apps[app] = await tenure.createApp({
      kind: "scim",
      label: app,
      config: { base_url: url, profile: "strict", token },
    });
    for (const [priority, key] of grants[app].entries()) await tenure.grantGroup(apps[app], id(key), priority);
    // Without a name of its own the pushed group follows ours.
    for (const key of pushes[app])
      await api.post(`/api/v1/apps/${apps[app]}/group-push/mappings`, { sourceGroupId: id(key) });
  }
  return { people: invent(people), groups, apps };
}

async function playRounds(stage: Stage, options: KillOptions): Promise<void> {
  const { rounds, people, say, signal } = options;
  const size = Math.max(6, Math.round(people / 14));
  const hires = Math.max(1, Math.ceil((people * 2) / rounds));
  const recent = new Set<Person>();
  for (let round = 1; round <= rounds; round++) {
    signal?.throwIfAborted();
    const wave = playWave(stage, drawWave(stage.company, stage.draw, { size, hires, recent }));
    // Whatever goes wrong in the wave is told when it is waited for.
    wave.catch(() => {});
    // Sooner more often than later: the engine is soon done with a wave.
    await sleep(stage.draw() ** 2 * kill_within_ms);
    await killAndStart(stage);
    await wave;
    if (round % 10 === 0 || round === rounds)
      say(`round ${round} of ${rounds}: ${stage.asked} changes, ${stage.again} asked again`);
  }
}

/** SIGKILL, and a new start; now and then killed again while it starts. */
async function killAndStart(stage: Stage): Promise<void> {
  await kill(stage);
  while (stage.draw() < start_kills) {
    const starting = stage.node.start().catch(() => {});
    await sleep(stage.draw() * 2 * kill_within_ms);
    await kill(stage);
    await starting;
  }
  await stage.node.start();
}

async function kill(stage: Stage): Promise<void> {
  const pid = stage.node.pid();
  await stage.node.kill();
  stage.kills++;
  stage.caught += await stage.claimsOf(pid);
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
      stage.asked++;
      return;
    } catch (error) {
      if (!isLost(error)) throw new Error(`${change.words} (attempt ${attempt}): ${(error as Error).message}`);
      stage.again++;
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

/** Waits until no work is left and the apps are as they should be, or too long; then the apps' word counts. */
export async function settle(stage: Stage, within_ms = settle_ms): Promise<{ seen: Seen; unrest: readonly string[] }> {
  const until = Date.now() + within_ms;
  for (;;) {
    const { dirty, queues } = await stage.api.get<Queues>("/admin/v1/status");
    const busy = dirty > 0 || queues.some(({ due, faulted }) => due > 0 || faulted > 0);
    const late = Date.now() > until;
    if (!busy || late) {
      const seen = await compare(stage.company, stage.systems);
      const clean = Object.values(seen.findings).every((list) => list.length === 0);
      if (clean || late) return { seen, unrest: busy ? await tenureAt(stage.api).standing() : [] };
    }
    await sleep(500);
  }
}
