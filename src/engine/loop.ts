/**
 * The loop of one node: while there is work, work; else sleep until woken or until the next poll. Any number of nodes
 * may run it over one database; nothing here is needed for correctness, so it may be killed at any moment.
 *
 * Beside each other run: `desire`, which answers dirty users; a pump for each app, which keeps that app's concurrency
 * filled; the schedule, which makes time pass; and the reconcile of one app at a time. One sick app therefore never slows another.
 */
import { isAway } from "../store/database.ts";
import { type Claimed, claim, runnable, takeTokens } from "./claim.ts";
import { confirm } from "./confirm.ts";
import { confirmPush } from "./confirmPush.ts";
import { desire } from "./desire.ts";
import { claimPushes, operatePush } from "./groupPush.ts";
import { asFault, operate, type Result } from "./provision.ts";
import { runnablePushes } from "./pushQueue.ts";
import { reconcileDue, schedule } from "./schedule.ts";
import type { EngineApp, World } from "./world.ts";

/** `poll_ms`: how often to look without being woken. `onError`: told of what the loop survived. */
export type EngineOptions = Readonly<{
  poll_ms?: number;
  schedule_ms?: number;
  onError?: (error: unknown, what: string) => void;
  /** Calls `wake` whenever another transaction marked work; gives a function that stops listening. */
  listen?: (wake: () => void) => Promise<() => Promise<void>>;
}>;

/** `stop` claims nothing more, waits for the calls under way and their confirms, and resolves. */
export type Engine = Readonly<{ stop(): Promise<void>; wake(): void }>;

const desire_batch = 200;
/** Results wait this long for company, so that a confirm carries many. */
const confirm_wait_ms = 15;
const confirm_batch = 100;

type State = {
  stopping: boolean;
  /** Counts the wakes, so that one that comes in the middle of a turn is not slept through. */
  wakes: number;
  sleepers: Set<() => void>;
  pumps: Map<string, Promise<void>>;
};

/** Starts the loop. */
export async function startEngine(world: World, options: EngineOptions = {}): Promise<Engine> {
  const state: State = { stopping: false, wakes: 0, sleepers: new Set(), pumps: new Map() };
  const wake = () => wakeUp(state);
  const unlisten = await options.listen?.(wake).catch(() => undefined);
  const tasks = [
    forever(world, state, options, "desire", options.poll_ms ?? 1_000, () => desireAll(world, state)),
    forever(world, state, options, "dispatch", options.poll_ms ?? 1_000, () => dispatch(world, state, options)),
    forever(world, state, options, "schedule", options.schedule_ms ?? 1_000, () => schedule(world)),
    forever(world, state, options, "reconcile", options.schedule_ms ?? 1_000, () => reconcileDue(world)),
  ];
  return {
    wake,
    stop: async () => {
      state.stopping = true;
      wake();
      await unlisten?.();
      await Promise.allSettled(tasks);
      await Promise.allSettled(state.pumps.values());
    },
  };
}

function wakeUp(state: State): void {
  state.wakes++;
  for (const sleeper of [...state.sleepers]) sleeper();
}

/** Runs `turn` again at once while it found work, else after a wake or `idle_ms`; a database that is away is waited for. */
async function forever(
  world: World,
  state: State,
  options: EngineOptions,
  what: string,
  idle_ms: number,
  turn: () => Promise<boolean>,
): Promise<void> {
  let failures = 0;
  while (!state.stopping) {
    const wakes = state.wakes;
    try {
      const found = await turn();
      failures = 0;
      if (!found && wakes === state.wakes) await sleep(state, idle_ms);
    } catch (error) {
      options.onError?.(error, what);
      failures++;
      const wait_ms = isAway(error) ? Math.min(5_000, 250 * 2 ** failures) : 1_000 * Math.min(failures, 10);
      await sleep(state, wait_ms * (0.5 + world.random() / 2));
    }
  }
}

function sleep(state: State, ms: number): Promise<void> {
  if (state.stopping) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      state.sleepers.delete(done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    state.sleepers.add(done);
  });
}

async function desireAll(world: World, state: State): Promise<boolean> {
  const counts = await desire(world, desire_batch);
  if (counts.due > 0) wakeUp(state);
  return counts.users > 0;
}

/** Starts a pump for each app that has due work and none running here. */
async function dispatch(world: World, state: State, options: EngineOptions): Promise<boolean> {
  const start = (key: string, pump: () => Promise<void>) => {
    if (state.pumps.has(key) || state.stopping) return;
    const wakes = state.wakes;
    const running = pump()
      .catch((error: unknown) => options.onError?.(error, key))
      .finally(() => {
        state.pumps.delete(key);
        // Work that became due between the pump's last claim and its end would wait for the next poll.
        if (wakes !== state.wakes) wakeUp(state);
      });
    state.pumps.set(key, running);
  };
  for (const { app_id, concurrency, probing } of await runnable(world)) {
    start(`accounts of ${app_id}`, () => pumpAccounts(world, state, options, app_id, probing ? 1 : concurrency));
  }
  for (const app_id of await runnablePushes(world)) {
    start(`pushes of ${app_id}`, () => pumpPushes(world, state, app_id));
  }
  return false;
}

/** Keeps one app's calls in flight up to its concurrency until nothing is due. */
async function pumpAccounts(
  world: World,
  state: State,
  options: EngineOptions,
  app_id: string,
  concurrency: number,
): Promise<void> {
  const app = await openApp(world, app_id);
  const results: Result[] = [];
  const flying = new Set<Promise<void>>();
  let confirming: Promise<void> = Promise.resolve();
  const flush = () => {
    const batch = results.splice(0, confirm_batch);
    if (batch.length > 0)
      confirming = confirming
        .then(() => confirmAll(world, batch))
        .catch((error) => options.onError?.(error, `confirm of ${app_id}`));
    return confirming;
  };
  let timer: NodeJS.Timeout | undefined;
  const done = (result: Result) => {
    results.push(result);
    if (results.length >= confirm_batch) void flush();
    timer ??= setTimeout(() => {
      timer = undefined;
      void flush();
    }, confirm_wait_ms);
  };
  while (!state.stopping) {
    const free = concurrency - flying.size;
    const allowed =
      "fault" in app || app.provisioning.rate_per_s === null
        ? free
        : await takeTokens(world, app_id, app.provisioning.rate_per_s, free);
    const claimed = allowed > 0 ? await claim(world, [{ app_id, n: allowed }]) : [];
    if (claimed.length === 0 && flying.size === 0) break;
    for (const one of claimed) {
      const flight: Promise<void> = work(world, app, one)
        .then(done)
        .finally(() => flying.delete(flight));
      flying.add(flight);
    }
    if (probingFailed(results)) break;
    // Claim again once half of the places are free: a claim per call would double the statements.
    while (flying.size > Math.floor(concurrency / 2)) await Promise.race(flying);
    if (claimed.length < free && flying.size > 0) await Promise.race(flying);
  }
  await Promise.all(flying);
  clearTimeout(timer);
  await flush();
  await confirming;
}

/** A fault that stops the app: leave the rest to the next dispatch, which knows of the pause. */
const probingFailed = (results: readonly Result[]) =>
  results.some(({ fault }) => fault?.kind === "denied" || fault?.kind === "rate_limited");

/** The app, or why it cannot be opened: then each claimed account gets that fault, and with it its task. */
async function openApp(world: World, app_id: string): Promise<EngineApp | { fault: unknown }> {
  try {
    return await world.app(app_id);
  } catch (fault) {
    if (isAway(fault)) throw fault;
    return { fault };
  }
}

async function work(world: World, app: EngineApp | { fault: unknown }, claimed: Claimed): Promise<Result> {
  if (!("fault" in app)) return operate(world, app, claimed);
  const now = world.now();
  const fault = asFault(app.fault);
  return {
    claimed,
    ended: "fault",
    external_id: claimed.external_id,
    have: claimed.have,
    fault,
    operations: [
      {
        step: "look",
        outcome: "fault",
        fault: fault.kind,
        detail: { message: fault.message },
        started_at: now,
        finished_at: now,
      },
    ],
  };
}

/** Confirms, waiting out a short absence of the database; longer, and the leases' end makes the rows unsure instead. */
async function confirmAll(world: World, batch: readonly Result[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await confirm(world, batch);
      return;
    } catch (error) {
      if (attempt >= 5 || !isAway(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200 * 2 ** attempt));
    }
  }
}

async function pumpPushes(world: World, state: State, app_id: string): Promise<void> {
  const app = await world.app(app_id);
  while (!state.stopping) {
    const claimed = await claimPushes(world, app_id, 2);
    if (claimed.length === 0) return;
    await Promise.all(claimed.map(async (one) => confirmPush(world, await operatePush(world, app, one))));
  }
}
