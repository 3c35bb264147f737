/** Many calls at a time, but never more than so many, in order of results; and an end to it that is asked for. */

/** Set by Ctrl-C. Whatever is under way is finished, nothing is begun. */
export type Stop = { asked: boolean };

/** Thrown where work ends because it was asked to. */
export class Stopped extends Error {}

/** Does `work` for each, `width` at a time; gives the results in the order of `items`. The first failure ends it. */
export async function inLanes<T, R>(
  items: readonly T[],
  width: number,
  stop: Stop,
  work: (item: T, n: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array<R>(items.length);
  let next = 0;
  let failed = false;
  const lane = async () => {
    while (next < items.length && !failed) {
      if (stop.asked) throw new Stopped();
      const n = next++;
      try {
        results[n] = await work(items[n] as T, n);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
}
