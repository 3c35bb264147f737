/**
 * Things put into as few requests as an outsider's limits allow, in their order.
 *
 * Pure. Called by engine/pushMembers.ts and connectors/scim.
 */

/** `most` things and `size_max` in each; `size`: of one; `base`: of a request without any. */
export type PackLimits<T> = Readonly<{ most: number; size_max: number; size(one: T): number; base?: number }>;

/** Packs of at least one: what is too large by itself goes alone, and is the outsider's to refuse. */
export function* packs<T>(
  all: Iterable<T>,
  { most, size_max, size, base = 0 }: PackLimits<T>,
): Generator<readonly T[]> {
  let pack: T[] = [];
  let sum = base;
  for (const one of all) {
    const more = size(one);
    if (pack.length > 0 && (pack.length + 1 > most || sum + more > size_max)) {
      yield pack;
      pack = [];
      sum = base;
    }
    pack.push(one);
    sum += more;
  }
  if (pack.length > 0) yield pack;
}
