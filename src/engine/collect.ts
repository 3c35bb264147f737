/**
 * The collector: takes the results of all apps' calls and confirms them in batches, one transaction each. A result waits
 * a moment for company; while a batch is being confirmed the next one gathers, so batches grow with the load.
 *
 * Law: a result is confirmed or its lease ends, never anything else; a database that is away is waited for until then.
 * Called by loop.ts; the pumps of all apps (pump.ts) share one.
 */
import { priority } from "../directory/command.ts";
import { isAway } from "../store/database.ts";
import { confirm } from "./confirm.ts";
import type { Result } from "./provision.ts";
import type { World } from "./world.ts";

export type Collector = Readonly<{
  add(result: Result): void;
  /** So many results wait that no further call should begin. */
  full(): boolean;
  /** Resolves when all that was added is confirmed. */
  flush(): Promise<void>;
}>;

/**
 * `released`: resolves when nobody more urgent needs what there is; a batch of waves only begins then. `quiet`: nobody more
 * urgent is to be expected, so batches may be large. `coming`: calls are under way, so there is company to wait for.
 * `confirmed`: told of each batch, and how many of its accounts are due again at once.
 */
export type CollectorTools = Readonly<{
  wait(ms: number): Promise<void>;
  released(): Promise<void>;
  quiet(): boolean;
  coming(): boolean;
  confirmed(batch: readonly Result[], due: number): void;
  onError(error: unknown, what: string): void;
}>;

/**
 * A result waits this long for company, and again while company keeps coming. A batch has fixed costs of some
 * milliseconds (eight statements, their planning, the disk): with 45 results in each they were a third of what
 * PostgreSQL did for an account, with 200 a tenth. Where all of them belong to waves nobody waits for the confirm, so
 * company is waited for even if it comes one by one: four nodes before a slow app confirmed three at a time.
 */
const wait_ms = 15;
const waits_max = 6;
const company = 10;
const batch_max = 150;
const quiet_batch_max = 1_000;
/** Confirmed at a time: while one transaction waits for the disk, the other one works. */
const lanes = 2;
const retry_max_ms = 2_000;

/** Makes a collector. */
export function collector(world: World, tools: CollectorTools): Collector {
  const results: Result[] = [];
  const running = new Set<Promise<void>>();
  let waiting = false;
  const most = () => (tools.quiet() ? quiet_batch_max : batch_max);

  const begin = () => {
    while (results.length > 0 && running.size < lanes) {
      // The last ones are shared out: a lane that has nothing to do would wait for the other.
      const share = tools.coming() ? most() : Math.max(company, Math.ceil(results.length / (lanes - running.size)));
      const batch = results.splice(0, Math.min(most(), share));
      const one: Promise<void> = confirmPatiently(world, tools, batch)
        .then((due) => tools.confirmed(batch, due))
        .catch((error: unknown) => {
          tools.onError(error, "confirm");
          tools.confirmed(batch, 0);
        })
        .finally(() => {
          running.delete(one);
          soon();
        });
      running.add(one);
    }
  };

  /** Begins when a batch is full or has waited long enough, and leavers are not at it. */
  const soon = () => {
    if (results.length === 0 || running.size >= lanes || waiting) return;
    waiting = true;
    void gather().then(() => {
      waiting = false;
      begin();
    });
  };

  const gather = async () => {
    for (let waits = 0, before = results.length; waits < waits_max; waits++, before = results.length) {
      if (results.length >= most()) break;
      await tools.wait(wait_ms);
      if (results.length - before < company && results.some(isAwaited)) break;
      if (!tools.coming()) break;
    }
    if (!results.slice(0, most()).some(isAwaited)) await tools.released();
  };

  return {
    add: (result) => {
      results.push(result);
      soon();
    },
    full: () => results.length >= 4 * most(),
    flush: async () => {
      begin();
      while (running.size > 0) {
        await Promise.allSettled(running);
        begin();
      }
    },
  };
}

/** Somebody may be looking for what becomes of it. */
const isAwaited = ({ claimed }: Result) => claimed.priority < priority.wave;

/** Confirms, trying again while the database is away and a lease still holds. After that the rows are unsure and due by themselves. */
async function confirmPatiently(world: World, tools: CollectorTools, batch: readonly Result[]): Promise<number> {
  const until = Math.max(...batch.map(({ claimed }) => claimed.claimed_until.getTime()));
  for (let attempt = 1; ; attempt++) {
    try {
      return (await confirm(world, batch)).due;
    } catch (error) {
      if (!isAway(error) || world.now().getTime() >= until) throw error;
      await tools.wait(Math.min(retry_max_ms, 100 * 2 ** attempt));
    }
  }
}
