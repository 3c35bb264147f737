/**
 * The pump of one app: keeps its calls in flight up to its concurrency, with accounts claimed a little ahead so that no
 * call waits for the database, and hands the results to the collector.
 *
 * Claimed ahead is what the app got through in the last fifth of a second, so a slow app holds next to nothing and a
 * leaver, whose account is put at the front, waits for one claim and one call. A pump never ends: it rests until kicked.
 *
 * Called by loop.ts, one for each app. Events drive it: every change of its state ends in `step`.
 */
import { isAway } from "../store/database.ts";
import { type Claimed, claim, takeTokens } from "./claim.ts";
import { asFault, operate, type Result } from "./provision.ts";
import type { EngineApp, World } from "./world.ts";

/** What a dispatch says of an app: it may be called, so much at a time. Of `version` and `urgency` see claim.ts. */
export type Leave = Readonly<{ concurrency: number; version: string; urgency: number }>;

export type Pump = Readonly<{
  /** There may be due accounts: looks for them and works until there are none. */
  kick(leave: Leave): void;
  /** New accounts that may be claimed for it now, by whoever decides on them, and be given to `take`. */
  room(): number;
  /** It is fast, and has so much to do that new accounts may wait: what it has no room for would have to be claimed later. */
  fed(): boolean;
  /** Calls are under way. */
  calls(): boolean;
  /** Accounts that are claimed already. */
  take(claimed: readonly Claimed[]): void;
  /** Begins nothing more until kicked: nothing is due, or the app is switched off or paused. */
  rest(): void;
  /** Calls may begin again that the collector held up. */
  step(): void;
  /** The app's refusal of all of us is on record now, so a kick is to be believed again. */
  release(): void;
  /** Gives back what was not begun; resolves when no call is under way. */
  stop(): Promise<void>;
}>;

/**
 * `done`: takes each result. `full`: no further call may begin. `standsBack`: nothing of this urgency may begin now, for
 * others need what there is. `claims`: the claims of all apps, see `claimer`.
 */
export type PumpTools = Readonly<{
  done(result: Result): void;
  full(): boolean;
  standsBack(urgency: number): boolean;
  claims: Claimer;
  onError(error: unknown, what: string): void;
}>;

type Opened = EngineApp | Readonly<{ fault: unknown }>;

/** Work for this long is claimed ahead, by the rate of the last claims: two claims in that time. */
const ahead_ms = 200;
const ahead_max = 1_000;
/** First claims may be so many times further ahead: they come in larger pieces. */
const first_ahead = 2;
/** Accounts per ms: an app that takes so many is held up by what this node computes, not by its own answers. */
const fast = 1;
/** A dispatch comes every second, and with each piece of unclaimed work. */
const trust_ms = 2_000;
/** Accounts of so long share calls, where the app takes many in one. */
const together_ms = 50;
/** Results come in pieces: of a shorter time they say nothing. */
const measured_ms = 20;
/** After this long the rate before says nothing any more. */
const stale_ms = 1_000;

type State = {
  readonly world: World;
  readonly app_id: string;
  readonly tools: PumpTools;
  leave: Leave;
  opened: Readonly<{ version: string; app: Opened }> | undefined;
  /** Claimed and not begun, the most urgent first. */
  waiting: Claimed[];
  flying: number;
  claiming: boolean;
  /** Looking again would find nothing, as far as is known here. */
  dry: boolean;
  /** Something more urgent is due than what waits here: it is claimed at once. */
  overtaken: boolean;
  /** Until then the last dispatch is to be believed that the app may be called. */
  trusted_until: number;
  /** Counts the kicks, so that one that comes in the middle of a claim is not lost. */
  kicks: number;
  /** The app refused all of us; what it said is being confirmed. */
  refused: boolean;
  stopping: boolean;
  /** Accounts per ms, and since when how many were counted for the next estimate. */
  rate: number;
  counted: number;
  counted_from: number;
  ended: (() => void) | undefined;
};

/** Makes the pump of an app. It rests until its first kick. */
export function pump(world: World, app_id: string, tools: PumpTools): Pump {
  const state: State = {
    ...{
      world,
      app_id,
      tools,
      leave: { concurrency: 0, version: "", urgency: 0 },
      opened: undefined,
      waiting: [],
      flying: 0,
    },
    ...{ claiming: false, dry: true, overtaken: false, trusted_until: 0, kicks: 0, refused: false, stopping: false },
    ...{ rate: 0, counted: 0, counted_from: 0, ended: undefined },
  };
  return {
    kick: (leave) => {
      state.leave = leave;
      state.kicks++;
      state.trusted_until = world.now().getTime() + trust_ms;
      state.dry = false;
      state.overtaken = leave.urgency < (state.waiting.at(-1)?.priority ?? leave.urgency);
      step(state);
    },
    rest: () => {
      state.dry = true;
    },
    room: () => roomFor(state),
    calls: () => state.flying > 0,
    fed: () => state.rate >= fast && state.waiting.length > state.rate * ahead_ms,
    take: (claimed) => {
      queue(state, claimed);
      step(state);
    },
    step: () => step(state),
    release: () => {
      state.refused = false;
      // Whether the app may be called again, only a dispatch knows.
      state.dry = true;
      state.trusted_until = 0;
    },
    stop: () =>
      new Promise((resolve) => {
        state.stopping = true;
        state.ended = resolve;
        giveBack(state);
        step(state);
      }),
  };
}

function step(state: State): void {
  beginCalls(state);
  if (mayClaim(state)) void claimMore(state);
  if (state.stopping && state.flying === 0 && !state.claiming) state.ended?.();
}

function beginCalls(state: State): void {
  const { world, tools, waiting } = state;
  const app = state.opened?.app;
  while (app && state.flying < underWay(state) && !tools.full()) {
    const [claimed] = waiting;
    if (claimed === undefined || tools.standsBack(claimed.priority)) return;
    waiting.shift();
    if (isLate(world, claimed)) tools.done(givenBack(claimed));
    else beginCall(state, app, claimed);
  }
}

function beginCall(state: State, app: Opened, claimed: Claimed): void {
  state.flying++;
  void work(state.world, app, claimed).then((result) => {
    state.flying--;
    state.counted++;
    if (result.fault?.kind === "denied" || result.fault?.kind === "rate_limited") {
      state.refused = true;
      giveBack(state);
    }
    state.tools.done(result);
    step(state);
  });
}

function giveBack({ waiting, tools }: State): void {
  for (const claimed of waiting.splice(0)) tools.done(givenBack(claimed));
}

async function claimMore(state: State): Promise<void> {
  const { world, app_id, tools, kicks } = state;
  state.claiming = true;
  try {
    state.opened = await open(world, app_id, state);
    const n = state.overtaken ? state.leave.concurrency : placesFor(state);
    state.overtaken = false;
    const claimed = await claimUpTo(state, state.opened.app, n);
    state.dry = claimed.length < n && kicks === state.kicks;
    queue(state, claimed);
  } catch (error) {
    state.dry = true;
    tools.onError(error, `claim for ${app_id}`);
  } finally {
    state.claiming = false;
    step(state);
  }
}

function queue(state: State, claimed: readonly Claimed[]): void {
  state.waiting.push(...claimed);
  // Stable: within one urgency the order of the claims stays.
  state.waiting.sort((a, b) => a.priority - b.priority);
  if (state.stopping || state.refused) giveBack(state);
}

/** None for an app of which little is known: it is closed, just refused us, is probed, or has a rate that claims count. */
function roomFor(state: State): number {
  const { world, opened, leave, waiting, flying } = state;
  const app = opened?.app;
  if (app === undefined || "fault" in app || app.provisioning.rate_per_s !== null || leave.concurrency <= 1) return 0;
  if (state.refused || state.stopping || world.now().getTime() > state.trusted_until) return 0;
  measureRate(state);
  return underWay(state) + first_ahead * aheadOf(state) - waiting.length - flying;
}

/** At most `n`, and no more than the app's rate allows now; tokens that found no account go back. */
async function claimUpTo({ world, app_id, tools }: State, app: Opened, n: number): Promise<readonly Claimed[]> {
  const rate = "fault" in app ? null : app.provisioning.rate_per_s;
  if (rate === null) return tools.claims.ask(app_id, n);
  const granted = await takeTokens(world, app_id, rate, n);
  const claimed = granted > 0 ? await tools.claims.ask(app_id, granted) : [];
  if (claimed.length < granted) await takeTokens(world, app_id, rate, claimed.length - granted);
  return claimed;
}

/**
 * How many accounts may be under way. Where an app takes many in one call, as many as it got through in a twentieth of a
 * second, so that they come together, and no more than fill its calls: few of a slow app are at risk when a reply is lost.
 */
function underWay({ leave, opened, rate }: State): number {
  const { concurrency } = leave;
  const app = opened?.app;
  const together = app === undefined || "fault" in app ? 1 : (app.connector.together?.() ?? 1);
  // An app that is being probed is given one.
  if (together <= 1 || concurrency <= 1) return concurrency;
  return Math.min(concurrency * together, Math.max(concurrency, Math.ceil(rate * together_ms)));
}

const aheadOf = (state: State) => Math.min(ahead_max, Math.ceil(state.rate * ahead_ms));

/** When half of what may be held is gone: a claim for each account would double the statements. Or for who overtakes. */
function mayClaim(state: State): boolean {
  if (state.claiming || state.dry || state.refused || state.stopping || state.tools.full()) return false;
  if (state.tools.standsBack(state.leave.urgency)) return false;
  const room = underWay(state) + aheadOf(state);
  return state.overtaken || room - state.flying - state.waiting.length >= Math.ceil(room / 2);
}

/** Estimates the rate again, from what was got through since the last time. */
function measureRate(state: State): void {
  const now = state.world.now().getTime();
  const elapsed = now - state.counted_from;
  if (elapsed < measured_ms) return;
  const measured = state.counted / elapsed;
  // What comes after a rest is known from its first calls on; a pause in the middle is believed by half.
  state.rate = elapsed > stale_ms || measured > state.rate ? measured : (state.rate + measured) / 2;
  state.counted = 0;
  state.counted_from = now;
}

/** How many to claim, by the rate since the last claim. */
function placesFor(state: State): number {
  measureRate(state);
  return Math.max(1, underWay(state) + aheadOf(state) - state.flying - state.waiting.length);
}

/** Half of the lease is gone before the first call: another claim has more time for it. */
const isLate = (world: World, { claimed_until }: Claimed) =>
  claimed_until.getTime() - world.now().getTime() < world.lease_ms / 2;

/** A claim that ends before any call: the account is due again at once. */
const givenBack = (claimed: Claimed): Result => ({
  claimed,
  ended: "lapsed",
  external_id: claimed.external_id,
  have: claimed.have,
  operations: [],
});

/** The app, or why it cannot be opened: then each claimed account gets that fault, and with it its task. */
async function open(world: World, app_id: string, state: State): Promise<NonNullable<State["opened"]>> {
  const { version } = state.leave;
  if (state.opened?.version === version && !("fault" in state.opened.app)) return state.opened;
  try {
    return { version, app: await world.app(app_id, version) };
  } catch (fault) {
    if (isAway(fault)) throw fault;
    return { version, app: { fault } };
  }
}

async function work(world: World, app: Opened, claimed: Claimed): Promise<Result> {
  if (!("fault" in app)) {
    try {
      return await operate(world, app, claimed);
    } catch (error) {
      return failed(world, claimed, error);
    }
  }
  return failed(world, claimed, app.fault);
}

function failed(world: World, claimed: Claimed, error: unknown): Result {
  const now = world.now();
  const fault = asFault(error);
  const detail = { message: fault.message };
  return {
    claimed,
    ended: "fault",
    external_id: claimed.external_id,
    have: claimed.have,
    fault,
    operations: [{ step: "look", outcome: "fault", fault: fault.kind, detail, started_at: now, finished_at: now }],
  };
}

/** Claims for all apps together: what is asked for in one turn of the event loop becomes one statement. */
export type Claimer = Readonly<{ ask(app_id: string, n: number): Promise<readonly Claimed[]> }>;

/** Makes a claimer. A leaver of twenty apps costs one claim instead of twenty. */
export function claimer(world: World): Claimer {
  let next: { limits: { app_id: string; n: number }[]; claimed: Promise<Map<string, Claimed[]>> } | undefined;
  return {
    ask: async (app_id, n) => {
      if (next === undefined) {
        const limits: { app_id: string; n: number }[] = [];
        const claimed = Promise.resolve().then(async () => {
          next = undefined;
          return Map.groupBy(await claim(world, limits), (one) => one.app_id);
        });
        next = { limits, claimed };
      }
      next.limits.push({ app_id, n });
      return (await next.claimed).get(app_id) ?? [];
    },
  };
}
