/**
 * Keeps calls to one app within the rates its vendor publishes, so that the app need not answer 429 first. A bucket
 * holds tokens; a call takes one from every bucket that it matches. A short wait is slept; a long one becomes a
 * `rate_limited` fault, so that the engine pauses the app and no lease is spent on sleeping.
 *
 * The buckets live in one process: several nodes share an app's rate only through its 429 answers. Called by http.ts.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectorFault, type Context } from "./connector.ts";

/** `count` calls per `per_ms`, of which `burst` may come at once. `methods` and `resources` empty: all. */
export type RateBucket = Readonly<{
  methods: readonly string[];
  resources: readonly string[];
  count: number;
  per_ms: number;
  burst: number;
}>;

/** Waits until the call may be made; throws `rate_limited` if that is longer than a second away. */
export type Pace = (ctx: Context, call: Readonly<{ method: string; path: string }>) => Promise<void>;

const wait_max_ms = 1_000;

type State = { tokens: number; at_ms: number };

/** How long a call must wait in this bucket, in ms, having taken its token. A negative balance is a reservation. */
function take(bucket: RateBucket, state: State, now_ms: number): number {
  const per_token_ms = bucket.per_ms / bucket.count;
  state.tokens = Math.min(bucket.burst, state.tokens + Math.max(0, now_ms - state.at_ms) / per_token_ms);
  state.at_ms = now_ms;
  state.tokens -= 1;
  return state.tokens >= 0 ? 0 : -state.tokens * per_token_ms;
}

function matches(bucket: RateBucket, call: Readonly<{ method: string; path: string }>): boolean {
  if (bucket.methods.length > 0 && !bucket.methods.includes(call.method)) return false;
  return bucket.resources.length === 0 || bucket.resources.some((resource) => call.path.startsWith(`/${resource}`));
}

/** One pacer per connector; `buckets` come from the app's profile. */
export function pacer(buckets: readonly RateBucket[]): Pace {
  const states = buckets.map((bucket): State => ({ tokens: bucket.burst, at_ms: 0 }));
  return async (ctx, call) => {
    // The app's clock is the wall's, whatever a demo has done to ours.
    const now_ms = performance.now();
    let wait_ms = 0;
    const taken: State[] = [];
    buckets.forEach((bucket, index) => {
      if (!matches(bucket, call)) return;
      wait_ms = Math.max(wait_ms, take(bucket, states[index]!, now_ms));
      taken.push(states[index]!);
    });
    if (wait_ms === 0) return;
    if (wait_ms > wait_max_ms) {
      for (const state of taken) state.tokens += 1;
      throw new ConnectorFault("rate_limited", `The app's published rate for ${call.method} ${call.path} is used up`, {
        retry_at: new Date(ctx.now().getTime() + wait_ms),
      });
    }
    await sleep(wait_ms, undefined, { signal: ctx.signal }).catch((cause: unknown) => {
      throw new ConnectorFault("retry", `No time was left for ${call.method} ${call.path} within its deadline`, {
        cause,
      });
    });
  };
}
