/**
 * Calls that are made in one turn of the event loop, done together: a connector whose app takes many at once gathers
 * them here, so that who calls it need not know. Each call still has its own end, and nobody waits longer than the turn.
 *
 * Only calls of one deadline share a request: none of them may outlive its own (law of connector.ts).
 */
import type { Context } from "./connector.ts";

/**
 * `most`: so many at once, 1 as long as the app takes them one at a time. `together`: does them, at least two, and gives the
 * end of each in their order. `alone`: does one.
 */
export type Gathering<In, Out> = Readonly<{
  most(): number;
  together(ctx: Context, some: readonly In[]): Promise<readonly PromiseSettledResult<Out>[]>;
  alone(ctx: Context, one: In): Promise<Out>;
}>;

type Waiting<In, Out> = Readonly<{
  ctx: Context;
  one: In;
  resolve(value: Out): void;
  reject(reason: unknown): void;
}>;

/** Makes a function that does one, with whoever else comes in the same turn. */
export function gather<In, Out>(gathering: Gathering<In, Out>): (ctx: Context, one: In) => Promise<Out> {
  const waiting = new Map<AbortSignal, Waiting<In, Out>[]>();
  const begin = () => {
    for (const [signal, all] of [...waiting]) {
      waiting.delete(signal);
      while (all.length > 0) void run(gathering, all.splice(0, Math.max(1, gathering.most())));
    }
  };
  return (ctx, one) => {
    if (gathering.most() < 2) return gathering.alone(ctx, one);
    return new Promise((resolve, reject) => {
      if (waiting.size === 0) setImmediate(begin);
      const all = waiting.get(ctx.signal) ?? [];
      all.push({ ctx, one, resolve, reject });
      waiting.set(ctx.signal, all);
    });
  };
}

async function run<In, Out>({ together, alone }: Gathering<In, Out>, some: readonly Waiting<In, Out>[]): Promise<void> {
  const [first] = some;
  if (first === undefined) return;
  if (some.length === 1) {
    alone(first.ctx, first.one).then(first.resolve, first.reject);
    return;
  }
  try {
    const ends = await together(
      sharedContext(some.map(({ ctx }) => ctx)),
      some.map(({ one }) => one),
    );
    for (const [n, { resolve, reject }] of some.entries()) {
      const end = ends[n];
      if (end?.status === "fulfilled") resolve(end.value);
      else reject(end?.reason);
    }
  } catch (error) {
    for (const { reject } of some) reject(error);
  }
}

/** What is said of the call is said to everyone it is for, without the query: each would get the names of all others. */
function sharedContext(all: readonly Context[]): Context {
  const { signal, now } = all[0] as Context;
  return {
    signal,
    now,
    log: (line) => {
      const shared = { ...line, request: `${line.request.replace(/\?.*$/s, "")} (for ${all.length} accounts)` };
      for (const { log } of all) log(shared);
    },
  };
}
