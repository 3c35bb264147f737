/**
 * The seven faults and their one reaction each. A connector turns every failure of an app into one of them; the
 * engine never looks at anything else of a failure.
 */
import type { FaultKind } from "./types.ts";

/** What the engine does about a fault. */
export type Reaction = Readonly<{
  /** The account may have been written all the same: look before the next write. */
  unsure: boolean;
  /** Does this try count against the account? A rate limit is the app's doing, not the account's. */
  counts: boolean;
  /** When to come back: after a backoff, at once, or only when want, mapping or an administrator changes something. */
  again: "backoff" | "now" | "parked";
  /** Stop the whole app. */
  pauses: boolean;
  /** Raise a task: never, after a day of trying, or now; one for the account or one for the app. */
  task: "never" | "after_a_day" | "account" | "app";
}>;

export const reactions: Readonly<Record<FaultKind, Reaction>> = {
  retry: { unsure: true, counts: true, again: "backoff", pauses: false, task: "after_a_day" },
  rate_limited: { unsure: true, counts: false, again: "now", pauses: true, task: "never" },
  conflict: { unsure: true, counts: true, again: "backoff", pauses: false, task: "account" },
  not_found: { unsure: true, counts: true, again: "now", pauses: false, task: "never" },
  invalid: { unsure: true, counts: true, again: "parked", pauses: false, task: "account" },
  denied: { unsure: true, counts: false, again: "now", pauses: true, task: "app" },
  unsupported: { unsure: true, counts: true, again: "parked", pauses: false, task: "account" },
};

const backoff_base_ms = 2_000;
/** An hour: an app that was down all night is served again before anyone asks. */
export const backoff_max_ms = 3_600_000;

/**
 * How long to wait before try number `attempts` + 1, in ms: doubling from 2 s to an hour, with jitter that spreads a
 * wave over half of the wait. `seed` in [0, 1) makes it repeatable.
 */
export function backoff_ms(attempts: number, seed: number): number {
  const full = Math.min(backoff_max_ms, backoff_base_ms * 2 ** Math.min(attempts, 20));
  return Math.round(full * (0.5 + seed / 2));
}
