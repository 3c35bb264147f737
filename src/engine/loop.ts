/**
 * The loop of one node: while there is work, work; else sleep until woken or until the next poll. Any number of nodes
 * may run it over one database; nothing here is needed for correctness, so it may be killed at any moment.
 *
 * Beside each other run: three lanes of desire, which answer dirty users; the evaluation of due rules; a pump for each app
 * (pump.ts); the collector, which confirms for all of them; the schedule, which makes time pass; the import of what
 * sources sent by themselves; the reconcile of one app at a time; a look at what the planner believes (statistics.ts); and
 * the event hooks that are being told. One sick app therefore never slows another, and nothing large makes a leaver wait.
 */
import { priority } from "../directory/command.ts";
import { isAway } from "../store/database.ts";
import { runnable } from "./claim.ts";
import { type Collector, collector } from "./collect.ts";
import { confirmPush } from "./confirmPush.ts";
import { desire, type Urgencies } from "./desire.ts";
import { claimEventHooks } from "./eventHookPlaces.ts";
import { type HookForm, tellHook } from "./eventHooks.ts";
import type { Places } from "./firstClaim.ts";
import { claimPushes, operatePush } from "./groupPush.ts";
import { claimTurns, importByClock } from "./importSchedule.ts";
import { claimNotices, readTold } from "./notices.ts";
import { type Precedence, precedence } from "./precedence.ts";
import type { Result } from "./provision.ts";
import { type Claimer, claimer, type Pump, pump } from "./pump.ts";
import { runnablePushes } from "./pushQueue.ts";
import { evaluateRules } from "./ruleEvaluation.ts";
import { reconcileDue, schedule } from "./schedule.ts";
import { runNextSession } from "./sessionRuns.ts";
import { tellPlanner, waveLooks } from "./statistics.ts";
import type { World } from "./world.ts";

/** `poll_ms`: how often to look without being woken. `onError`: told of what the loop survived. */
export type EngineOptions = Readonly<{
  poll_ms?: number;
  schedule_ms?: number;
  onError?: (error: unknown, what: string) => void;
  /**
   * Calls `wake` whenever another transaction marked work, with the payload of its notification (directory/command.ts);
   * gives a function that stops listening.
   */
  listen?: (wake: (payload: string) => void) => Promise<() => Promise<void>>;
  /** How events look to event hooks; without it they are told nothing. */
  hooks?: HookForm;
}>;

/** `stop` claims nothing more, waits for the calls under way and their confirms, and resolves. */
export type Engine = Readonly<{ stop(): Promise<void>; wake(): void }>;

/**
 * A lane of desire: which marks it takes, and how many at once: as many as `turn_ms` is enough for, so that what waits
 * for its rows waits no longer. Leavers have a lane with what people do one at a time, and only that one: in a turn of
 * the lane of waves a leaver would wait for hundreds of others. A turn has fixed costs of 25 ms where processors are
 * busy: with 40 ms for a turn a company of 10,000 that left went through by twenties, 470 a second; with 100 ms 1,300.
 * A turn of waves is in nobody's way for longer than 150 people take, and a batch of the collector's neither: with 1,000 a
 * leaver waited 79 ms (p95), with 250 66; on another machine with 250 76, with 150 63 and with 100 60 to 67. Each step costs
 * the wave less than a tenth, while leavers come.
 * `alone`: its bounds where nobody urgent is to be expected. A lane that is `quiet` has turns only there: of two waves' turns
 * one is computed while the other is written, 7,700 hires a second instead of 7,100. Both may fill the same places of an
 * app, which is then claimed for twice as far ahead.
 */
type Lane = {
  readonly name: string;
  readonly which: Urgencies;
  readonly turn_ms: number;
  readonly least: number;
  readonly most: number;
  readonly alone?: Readonly<{ turn_ms: number; most: number }>;
  readonly quiet?: true;
  people: number;
};

type State = {
  readonly world: World;
  readonly options: EngineOptions;
  readonly collector: Collector;
  readonly claims: Claimer;
  readonly precedence: Precedence;
  readonly waveLook: ReturnType<typeof waveLooks>;
  stopping: boolean;
  /** Counts the wakes, so that one that comes in the middle of a turn is not slept through: of all, and those about people. */
  wakes: Readonly<Record<Heard, number>>;
  sleepers: Map<() => void, Sleeper>;
  /** The turn under way of the lane of the urgent. */
  urgent: Promise<unknown> | undefined;
  pumps: Map<string, Pump>;
  pushes: Map<string, Promise<void>>;
  /** Event hooks that are being told. */
  telling: Set<Promise<void>>;
  /** Imports that the clock or a source asked for, and what ends them with the node. */
  imports: Set<Promise<void>>;
  readonly ending: AbortController;
};

/** What a wake is about: people who are dirty and accounts that are due, or accounts alone. */
type About = "people" | "accounts";
/** Whom a wake reaches: those who hear of everything, or of people only. A wave makes accounts due again and again. */
type Heard = "everything" | "people";
/** `wake`: what ends the sleep besides the clock. `first`: whoever sleeps so is waked before the others. */
type Sleeper = Readonly<{ wake: Heard | "nothing"; first: boolean }>;

/**
 * A wake is mostly about one person, for whom the lane of the urgent has all to do and the others nothing. While it is at
 * that, they would take half of the processors for their looks: they wait for its turn, so long at most.
 */
const urgent_alone_ms = 25;

const of_waves = {
  which: { from: priority.change, to: 32_767 },
  ...{ turn_ms: 80, least: 100, most: 150, people: 150 },
  alone: { turn_ms: 300, most: 800 },
};

const lanes = (): Lane[] => [
  {
    name: "desire of the urgent",
    which: { from: priority.leaver, to: priority.change },
    turn_ms: 100,
    least: 100,
    most: 500,
    people: 100,
  },
  { name: "desire", ...of_waves },
  { name: "desire beside it", ...of_waves, quiet: true },
];

/** A pump that is fed has work for a fifth of a second, so a wait leaves it enough; and no lane waits longer than that. */
const fed_wait_ms = 20;
const fed_waits_max = 10;

const by_wake: Sleeper = { wake: "everything", first: false };
const by_people: Sleeper = { wake: "people", first: false };
const by_clock: Sleeper = { wake: "nothing", first: false };

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts the loop. */
export async function startEngine(world: World, options: EngineOptions = {}): Promise<Engine> {
  const state: State = {
    ...{
      world,
      options,
      stopping: false,
      wakes: { everything: 0, people: 0 },
      sleepers: new Map(),
      pumps: new Map(),
      pushes: new Map(),
    },
    ...{ urgent: undefined, telling: new Set<Promise<void>>() },
    imports: new Set(),
    waveLook: waveLooks(),
    ending: new AbortController(),
    claims: claimer(world),
    precedence: precedence({
      ...{ now_ms: () => world.now().getTime(), wait, caughtUp: () => wakeUp(state) },
      release: () => stepAll(state),
    }),
    collector: collector(world, {
      wait,
      released: () => state.precedence.released(),
      quiet: () => state.precedence.quiet(),
      coming: () => [...state.pumps.values()].some((one) => one.calls()),
      confirmed: (batch, due) => confirmed(state, batch, due),
      onError: (error, what) => options.onError?.(error, what),
    }),
  };
  const unlisten = await options.listen?.((payload) => hear(state, payload)).catch(() => undefined);
  const poll_ms = options.poll_ms ?? 1_000;
  const schedule_ms = options.schedule_ms ?? 1_000;
  const tasks = [
    ...lanes().map((lane) =>
      forever(state, lane.name, poll_ms, { wake: "people", first: isUrgent(lane) }, () => desireLane(state, lane)),
    ),
    forever(state, "rules", poll_ms, by_people, () => evaluateDue(state)),
    forever(state, "dispatch", poll_ms, by_wake, () => dispatch(state)),
    // Time passes by itself: a wake changes nothing for these.
    forever(state, "schedule", schedule_ms, by_clock, () => schedule(world)),
    forever(state, "sessions of sources", schedule_ms, by_clock, () => runNextSession(world)),
    forever(state, "imports by the clock", schedule_ms, by_clock, () => startImports(state)),
    forever(state, "people whom sources told of", schedule_ms, by_clock, () => readNotices(state)),
    forever(state, "statistics", schedule_ms, by_clock, () => tellPlanner(world.db).then(() => false)),
    forever(state, "reconcile", schedule_ms, by_clock, () => reconcileDue(world)),
    // A wake means work for accounts, which is seldom something to tell.
    forever(state, "event hooks", schedule_ms, by_clock, () => tellHooks(state)),
  ];
  return {
    wake: () => wakeUp(state),
    stop: async () => {
      state.stopping = true;
      state.ending.abort();
      wakeUp(state);
      await unlisten?.();
      await Promise.allSettled(tasks);
      await Promise.allSettled([...state.pumps.values()].map((one) => one.stop()));
      await state.collector.flush();
      await Promise.allSettled(state.pushes.values());
      await Promise.allSettled(state.telling);
      await Promise.allSettled(state.imports);
    },
  };
}

/** A wake of another transaction; what this node made due itself it knows already. */
function hear(state: State, payload: string): void {
  if (payload !== state.world.node) wakeUp(state, payload === "" ? "people" : "accounts");
}

function wakeUp(state: State, about: About = "people"): void {
  const { everything, people } = state.wakes;
  state.wakes = { everything: everything + 1, people: about === "people" ? people + 1 : people };
  const reached = (wake: Sleeper["wake"]) => wake === "everything" || wake === about;
  const ended = [...state.sleepers].filter(([, { wake }]) => reached(wake) || state.stopping);
  for (const [sleeper, { first }] of ended) if (first) sleeper();
  for (const [sleeper, { first }] of ended) if (!first) sleeper();
}

/** Rules that are due are evaluated over everyone; in the middle of it, only a stop is heard. */
async function evaluateDue(state: State): Promise<boolean> {
  const done = await evaluateRules(state.world, { stopping: () => state.stopping });
  return done !== null;
}

/** Gives each event hook that has something to be told a run of its own, so that a slow one holds up no other. */
async function tellHooks(state: State): Promise<boolean> {
  const { world, options, telling } = state;
  if (options.hooks === undefined) return false;
  for (const claimed of await claimEventHooks(world)) {
    const work = tellHook(world, options.hooks, claimed, () => state.stopping);
    beside(state, telling, work, `event hook ${claimed.hook.id}`);
  }
  return false;
}

/** Reads each source whose turn it is, beside everything else. */
async function startImports(state: State): Promise<boolean> {
  const { world, imports, ending } = state;
  for (const source of await claimTurns(world)) {
    beside(state, imports, importByClock(world, source, ending.signal), `import of ${source.label}`);
  }
  return false;
}

/** Reads the people whom sources told of, each source beside everything else. */
async function readNotices(state: State): Promise<boolean> {
  const { world, imports, ending } = state;
  for (const source of await claimNotices(world)) {
    beside(state, imports, readTold(world, source, ending.signal), `people whom ${source.label} told of`);
  }
  return false;
}

/** Lets work go on beside the loop, in a set that the end of the node waits for. */
function beside({ options }: State, set: Set<Promise<void>>, work: Promise<void>, what: string): void {
  const running = work.catch((error: unknown) => options.onError?.(error, what)).finally(() => set.delete(running));
  set.add(running);
}

/** Runs `turn` again at once while it found work, else after a wake or `idle_ms`; a database that is away is waited for. */
async function forever(
  state: State,
  what: string,
  idle_ms: number,
  sleeper: Sleeper,
  turn: () => Promise<boolean>,
): Promise<void> {
  let failures = 0;
  while (!state.stopping) {
    const heard = () => (sleeper.wake === "nothing" ? 0 : state.wakes[sleeper.wake]);
    const before = heard();
    try {
      const found = await turn();
      failures = 0;
      if (found || heard() !== before) continue;
      await sleep(state, idle_ms, sleeper);
      if (sleeper.wake !== "nothing" && !sleeper.first && state.urgent)
        await Promise.race([state.urgent, wait(urgent_alone_ms)]);
    } catch (error) {
      state.options.onError?.(error, what);
      failures++;
      const wait_ms = isAway(error) ? Math.min(5_000, 250 * 2 ** failures) : 1_000 * Math.min(failures, 10);
      await sleep(state, wait_ms * (0.5 + state.world.random() / 2), sleeper);
    }
  }
}

function sleep(state: State, ms: number, sleeper: Sleeper): Promise<void> {
  if (state.stopping) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      state.sleepers.delete(done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    state.sleepers.set(done, sleeper);
  });
}

const isUrgent = ({ which }: Lane): boolean => which.to < priority.wave;

/** Waves are decided as fast as their accounts are begun: nobody has to claim what is begun with at once. Not for long. */
async function hungry(state: State): Promise<void> {
  const fed = () => !state.stopping && [...state.pumps.values()].some((one) => one.fed());
  for (let n = 0; n < fed_waits_max && fed(); n++) await wait(fed_wait_ms);
}

async function desireLane(state: State, lane: Lane): Promise<boolean> {
  const { world, precedence: before } = state;
  const urgent = isUrgent(lane);
  const rests = () => lane.quiet === true && !before.quiet();
  if (rests()) return false;
  if (!urgent) {
    await hungry(state);
    await before.released();
  }
  if (!urgent && before.standsBack(priority.wave)) return false;
  if (rests()) return false;
  const { turn_ms, most } = before.quiet() ? { ...lane, ...lane.alone } : lane;
  const people = Math.min(lane.people, most);
  const began = world.now().getTime();
  const places: Places = (app_id) => state.pumps.get(app_id)?.room() ?? 0;
  const turn = desire(world, people, { which: lane.which, places, ...(urgent ? { found: before.found } : {}) });
  if (urgent) {
    before.during(turn.then(({ users, due }) => ({ full: users === people, due })));
    state.urgent = turn.then(
      () => {},
      () => {},
    );
  }
  const counts = await turn.finally(() => {
    if (urgent) state.urgent = undefined;
  });
  for (const [app_id, some] of Map.groupBy(counts.claimed, (one) => one.app_id)) pumpOf(state, app_id).take(some);
  const took_ms = world.now().getTime() - began;
  // Those that are claimed already, as in a wave of hires, wait for nobody.
  if (counts.due > counts.claimed.length) wakeUp(state, "accounts");
  if (!urgent && state.waveLook(counts.due, counts.users === people)) await tellPlanner(world.db);
  // Only a full turn tells how long one takes.
  if (counts.users === people && took_ms > 0) {
    const fitting = Math.round((people * turn_ms) / took_ms);
    lane.people = Math.min(most, Math.max(lane.least, fitting));
  }
  return counts.users > 0;
}

/** Kicks the pump of each app that has due work and may be called, lets the others rest, and starts group pushes. */
async function dispatch(state: State): Promise<boolean> {
  const { world, pumps } = state;
  const due = new Map((await runnable(world)).map((app) => [app.app_id, app]));
  for (const [app_id, one] of pumps) if (!due.has(app_id)) one.rest();
  if (state.stopping) return false;
  for (const { app_id, concurrency, probing, version, urgency } of due.values()) {
    pumpOf(state, app_id).kick({ concurrency: probing ? 1 : concurrency, version, urgency });
  }
  for (const app_id of await runnablePushes(world)) startPush(state, app_id);
  return false;
}

function pumpOf(state: State, app_id: string): Pump {
  const { world, collector: results, claims, options } = state;
  const known = state.pumps.get(app_id);
  if (known !== undefined) return known;
  const made = pump(world, app_id, {
    done: (result) => {
      results.add(result);
      if (result.claimed.priority <= priority.change) state.precedence.called();
    },
    full: results.full,
    standsBack: state.precedence.standsBack,
    claims,
    onError: (error, what) => options.onError?.(error, what),
  });
  state.pumps.set(app_id, made);
  return made;
}

/** A batch is confirmed: what a refusal of an app led to is known now, and there is room for further results. */
function confirmed(state: State, batch: readonly Result[], due: number): void {
  for (const { claimed, fault } of batch) {
    if (fault?.kind === "denied" || fault?.kind === "rate_limited") state.pumps.get(claimed.app_id)?.release();
  }
  stepAll(state);
  if (due > 0) wakeUp(state, "accounts");
}

function stepAll({ pumps }: State): void {
  for (const one of pumps.values()) one.step();
}

/** Works on the pushed groups of an app, if nothing here does. */
function startPush(state: State, app_id: string): void {
  if (state.pushes.has(app_id) || state.stopping) return;
  const wakes = state.wakes.everything;
  const running = pumpPushes(state, app_id)
    .catch((error: unknown) => state.options.onError?.(error, `pushes of ${app_id}`))
    .finally(() => {
      state.pushes.delete(app_id);
      // Work that became due between the last claim and the end would wait for the next poll.
      if (wakes !== state.wakes.everything) wakeUp(state);
    });
  state.pushes.set(app_id, running);
}

async function pumpPushes(state: State, app_id: string): Promise<void> {
  const { world } = state;
  const app = await world.app(app_id);
  while (!state.stopping) {
    const claimed = await claimPushes(world, app_id, 2);
    if (claimed.length === 0) return;
    await Promise.all(claimed.map(async (one) => confirmPush(world, await operatePush(world, app, one))));
  }
}
