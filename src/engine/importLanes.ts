/**
 * Chunks of an import under way at the same time, so that Node, PostgreSQL and the disk all have something to do.
 *
 * Law: as if one by one. Two chunks that share a key (a login, or what rows are matched by) never run at the same time
 * and run in order, so that of two rows that want the same the later one is refused, as its place in the file says. A
 * chunk that lost against another in a deadlock is done again at the end, alone. Nothing begins after the signal.
 */
import { isContention } from "../store/database.ts";

/** A piece of work with what it shares with no other. */
export type Chunk = Readonly<{ keys: ReadonlySet<string>; work: () => Promise<void> }>;

type Lane = Readonly<{ keys: ReadonlySet<string>; ended: Promise<void> }>;

/**
 * Works off what `next` gives, until it gives nothing, `lanes` chunks at a time; the next one is made ready meanwhile.
 * The first error stops it, once the chunks under way have ended, and is thrown.
 */
export async function workInLanes(
  lanes: number,
  signal: AbortSignal,
  next: () => Promise<Chunk | undefined>,
): Promise<void> {
  const under_way = new Set<Lane>();
  const alone: Chunk[] = [];
  const failures: unknown[] = [];
  const begin = (chunk: Chunk) => {
    const ended = chunk.work().catch((error: unknown) => {
      if (isContention(error)) alone.push(chunk);
      else failures.push(error);
    });
    const lane: Lane = { keys: chunk.keys, ended: ended.then(() => void under_way.delete(lane)) };
    under_way.add(lane);
  };
  const stopped = () => failures.length > 0 || signal.aborted;
  try {
    while (!stopped()) {
      const chunk = await next();
      if (chunk === undefined) break;
      while (!stopped()) {
        const rivals = [...under_way].filter((lane) => shares(lane.keys, chunk.keys));
        if (rivals.length === 0 && under_way.size < lanes) {
          begin(chunk);
          break;
        }
        await Promise.race((rivals.length > 0 ? rivals : [...under_way]).map(({ ended }) => ended));
      }
    }
  } finally {
    await Promise.all([...under_way].map(({ ended }) => ended));
  }
  for (const chunk of alone) {
    if (stopped()) break;
    await chunk.work();
  }
  if (failures.length > 0) throw failures[0];
  signal.throwIfAborted();
}

function shares(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  for (const key of one) if (other.has(key)) return true;
  return false;
}
