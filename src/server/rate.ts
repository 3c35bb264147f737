/**
 * A ceiling on requests for each token, told in Okta's headers, so that a client gone wild cannot take the server from
 * everyone else: a bucket that holds a minute's requests and fills evenly, so a burst is served and a flood is slowed to
 * the rate. Generous by default; it is memory of one process and no accounting.
 *
 * Laws: bounded memory, whoever asks; nobody waits longer than for a tenth of a bucket, so that clients which sleep
 * until `reset` (Okta's do) find room for more than one request and do not sleep for a whole minute.
 */

/** What the headers say. `reset_at_s`: seconds since 1970, when there is room again. */
export type Allowance = Readonly<{ limit: number; remaining: number; reset_at_s: number; exceeded: boolean }>;

const minute_ms = 60_000;
const callers_max = 10_000;
const room = 0.1;

type Bucket = { left: number; at_ms: number };

/** Counts requests; `limit` per caller and minute. */
export function rateLimit(limit: number): (caller: string, now_ms: number) => Allowance {
  const buckets = new Map<string, Bucket>();
  const filled = ({ left, at_ms }: Bucket, now_ms: number) =>
    Math.min(limit, left + (Math.max(0, now_ms - at_ms) / minute_ms) * limit);
  const bucketOf = (caller: string, now_ms: number): Bucket => {
    const known = buckets.get(caller);
    if (known !== undefined) return known;
    if (buckets.size >= callers_max) {
      for (const [key, one] of buckets) if (filled(one, now_ms) >= limit) buckets.delete(key);
    }
    // Too many callers to tell apart share one bucket.
    const key = buckets.size < callers_max ? caller : "";
    const bucket = buckets.get(key) ?? { left: limit, at_ms: now_ms };
    buckets.set(key, bucket);
    return bucket;
  };
  return (caller, now_ms) => {
    const bucket = bucketOf(caller, now_ms);
    bucket.left = filled(bucket, now_ms);
    bucket.at_ms = Math.max(bucket.at_ms, now_ms);
    const exceeded = bucket.left < 1;
    if (!exceeded) bucket.left -= 1;
    const missing = Math.max(0, Math.max(1, limit * room) - bucket.left);
    return {
      limit,
      remaining: Math.floor(bucket.left),
      reset_at_s: Math.ceil((now_ms + (missing / limit) * minute_ms) / 1000),
      exceeded,
    };
  };
}
