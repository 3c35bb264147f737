/**
 * A ceiling on requests per token and minute, told in Okta's headers, so that a client gone wild cannot take the
 * server from everyone else. Generous by default; it is memory of one process and no accounting.
 *
 * Law: bounded memory. One window for all callers; it is forgotten when its minute ends.
 */

/** What the headers say. `reset_at_s`: seconds since 1970. */
export type Allowance = Readonly<{ limit: number; remaining: number; reset_at_s: number; exceeded: boolean }>;

const window_ms = 60_000;
const callers_max = 10_000;

/** Counts requests; `limit` per caller and minute. */
export function rateLimit(limit: number): (caller: string, now_ms: number) => Allowance {
  const counts = new Map<string, number>();
  let ends_at_ms = 0;
  return (caller, now_ms) => {
    if (now_ms >= ends_at_ms) {
      counts.clear();
      ends_at_ms = (Math.floor(now_ms / window_ms) + 1) * window_ms;
    }
    // Too many callers to tell apart share one count.
    const key = counts.size < callers_max || counts.has(caller) ? caller : "";
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return {
      limit,
      remaining: Math.max(0, limit - count),
      reset_at_s: Math.ceil(ends_at_ms / 1000),
      exceeded: count > limit,
    };
  };
}
