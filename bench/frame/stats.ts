/** Figures of several measurements. All take at least one number. */

/** The value below which a share `p` (0 to 1) of the numbers lies, by the nearest rank. */
export function percentile(numbers: readonly number[], p: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * p) - 1))] ?? Number.NaN;
}

/** The middle one. */
export const median = (numbers: readonly number[]): number => percentile(numbers, 0.5);

/** Smallest, middle and largest. */
export function spread(numbers: readonly number[]): Readonly<{ min: number; median: number; max: number }> {
  return { min: Math.min(...numbers), median: median(numbers), max: Math.max(...numbers) };
}

/** p50, p95 and p99 of waits in milliseconds. */
export function waits(ms: readonly number[]): Readonly<{ p50_ms: number; p95_ms: number; p99_ms: number }> {
  return { p50_ms: percentile(ms, 0.5), p95_ms: percentile(ms, 0.95), p99_ms: percentile(ms, 0.99) };
}
