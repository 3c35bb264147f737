/**
 * What every request asks and hardly ever changes (whose token this is, which attributes people have), remembered for a
 * second. Measured at 32 connections: a search costs one statement instead of three.
 *
 * Laws: a change made through this server is seen by the next request (`forget` runs before its answer leaves); one made
 * elsewhere, by another node or the engine, within a second. Nothing is remembered of what was not there, so a new
 * token works at once. Bounded, whoever asks.
 */

/** `recall` gives what is remembered under a key, or loads it; undefined is not remembered. */
export type Memory = Readonly<{
  recall<T>(key: string, load: () => Promise<T>): Promise<T>;
  forget(): void;
}>;

type Kept = Readonly<{ value: Promise<unknown>; until_ms: number }>;

const standard_ms = 1_000;
const keys_max = 1_000;

/** An empty memory. `keep_ms`: how long; `clock_ms`: a clock that never goes back. */
export function newMemory(keep_ms = standard_ms, clock_ms: () => number = () => performance.now()): Memory {
  const kept = new Map<string, Kept>();
  return {
    recall: <T>(key: string, load: () => Promise<T>): Promise<T> => {
      const now_ms = clock_ms();
      const known = kept.get(key);
      if (known !== undefined && known.until_ms > now_ms) return known.value as Promise<T>;
      if (kept.size >= keys_max) kept.clear();
      const value = load();
      const mine: Kept = { value, until_ms: now_ms + keep_ms };
      kept.set(key, mine);
      const drop = () => {
        if (kept.get(key) === mine) kept.delete(key);
      };
      value.then((loaded) => loaded === undefined && drop(), drop);
      return value;
    },
    // What is being loaded now was read before the change, perhaps: nobody who comes later gets it.
    forget: () => kept.clear(),
  };
}
