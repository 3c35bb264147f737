/**
 * "Did you mean …?": the known name nearest to an unknown one. Names that differ only by case come first, because that
 * is the commonest slip; then the fewest changed letters. Bounded: long names and far ones are not compared.
 */

const distance_max = 3;
const name_max = 60;

/** The nearest of `known`, or null when none is near enough to be what was meant. */
export function nearest(name: string, known: Iterable<string>): string | null {
  const lower = name.toLowerCase();
  let best: string | null = null;
  let best_distance = Math.min(distance_max, Math.floor(name.length / 2)) + 1;
  for (const candidate of known) {
    const candidate_lower = candidate.toLowerCase();
    if (candidate_lower === lower) return candidate;
    if (Math.abs(candidate.length - name.length) >= best_distance) continue;
    const distance = editDistance(lower, candidate_lower);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

/** Levenshtein distance, one row at a time. */
function editDistance(left: string, right: string): number {
  if (left.length > name_max || right.length > name_max) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let index = 0; index < left.length; index += 1) {
    const next = [index + 1];
    for (let column = 0; column < right.length; column += 1) {
      const changed = row[column]! + (left[index] === right[column] ? 0 : 1);
      next.push(Math.min(changed, row[column + 1]! + 1, next[column]! + 1));
    }
    row = next;
  }
  return row[right.length]!;
}
