/**
 * The kill test: waves of hires, moves, leaves and returns asked for over the API of a real node, with two real SCIM apps
 * of other makers, while the node is killed and started again. At the end both apps must hold what was asked for, and a
 * reader who followed the log through it all must have been shown every event once, in order.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { seeded } from "../../support/world.ts";
import type { Person } from "./company.ts";
import type { Findings } from "./compare.ts";
import { followLog, type LogFindings, type Poller } from "./log.ts";
import { kill, playWave, type Stage, setStage, settle } from "./stage.ts";
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
 * between claim and confirm; `unrest`: work left after the time to settle; `log_events`: events that the log's reader was
 * shown.
 */
export type KillReport = Readonly<
  Record<"rounds" | "kills" | "people" | "asked" | "again" | "caught" | "accounts" | "enabled" | "members", number> &
    Record<
      "seconds" | "settle_seconds" | "lost" | "doubled" | "left_enabled" | "strangers" | "unrest" | "seed",
      number
    > &
    Record<"log_events" | keyof LogFindings, number>
> &
  Readonly<{ findings: Findings & LogFindings & Readonly<{ unrest: readonly string[] }> }>;

const kill_within_ms = 800;
/** One kill in so many is followed by another while the node starts. */
const start_kills = 0.12;

/** Two servers that others wrote. */
const apps = { chat: { name: "scimmy" }, code: { name: "betterAuth" } } as const;

/** Plays it all and gives what came of it. Leaves no process and no file. */
export async function play(options: KillOptions): Promise<KillReport> {
  const { people, say, database_url } = options;
  const began = Date.now();
  const stage = await setStage({ people, apps, ...(database_url === undefined ? {} : { database_url }) });
  const log = followLog(stage);
  try {
    return await report(stage, log, began, options);
  } finally {
    await log.stop();
    for (const error of await stage.close()) say(`while stopping: ${error.message}`);
  }
}

async function report(stage: Stage, log: Poller, began: number, options: KillOptions): Promise<KillReport> {
  const { rounds, people, seed, say } = options;
  await playRounds(stage, seeded(seed), options);
  const settling = Date.now();
  const { asked, again, kills, caught } = stage.counts;
  say(`${kills} kills caught ${caught} claims; waiting until everything is done`);
  const { seen, unrest } = await settle(stage);
  const settle_seconds = secondsSince(settling);
  const logged = await log.end();
  const { lost, doubled, left_enabled, strangers } = seen.findings;
  const { log_missed, log_doubled, log_disordered } = logged.findings;
  return {
    ...{ rounds, kills, people, asked, again, caught },
    ...{ accounts: seen.accounts, enabled: seen.enabled, members: seen.members },
    ...{ seconds: secondsSince(began), settle_seconds },
    ...{ lost: lost.length, doubled: doubled.length, left_enabled: left_enabled.length, strangers: strangers.length },
    ...{ log_events: logged.events, log_missed: log_missed.length, log_doubled: log_doubled.length },
    ...{ log_disordered: log_disordered.length, unrest: unrest.length, seed },
    findings: { ...seen.findings, ...logged.findings, unrest },
  };
}

const secondsSince = (at_ms: number) => Math.round((Date.now() - at_ms) / 100) / 10;

async function playRounds(stage: Stage, draw: Draw, { rounds, people, say, signal }: KillOptions): Promise<void> {
  const { counts } = stage;
  const size = Math.max(6, Math.round(people / 14));
  const hires = Math.max(1, Math.ceil((people * 2) / rounds));
  const recent = new Set<Person>();
  for (let round = 1; round <= rounds; round++) {
    signal?.throwIfAborted();
    const wave = playWave(stage, drawWave(stage.company, draw, { size, hires, recent }));
    // Whatever goes wrong in the wave is told when it is waited for.
    wave.catch(() => {});
    // Sooner more often than later: the engine is soon done with a wave.
    await sleep(draw() ** 2 * kill_within_ms);
    await killAndStart(stage, draw);
    await wave;
    if (round % 10 === 0 || round === rounds)
      say(`round ${round} of ${rounds}: ${counts.asked} changes, ${counts.again} asked again, ${counts.caught} caught`);
  }
}

/** SIGKILL, and a new start; now and then killed again while it starts. */
async function killAndStart(stage: Stage, draw: Draw): Promise<void> {
  await kill(stage);
  while (draw() < start_kills) {
    const starting = stage.node.start().catch(() => {});
    await sleep(draw() * 2 * kill_within_ms);
    await kill(stage);
    await starting;
  }
  await stage.node.start();
}
