/**
 * Pushes of people wait here for a moment, so that those that come together are one transaction: sixteen clients that
 * create people cost one commit and one set of statements for what each round brings, instead of sixteen.
 *
 * Laws: a resource, or a name, is once in a batch, so that each change sees the one before; a batch that fails as a whole
 * is done again one by one, so that no push fails for another's sake. Nothing waits here that its caller does not wait for.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ScimFault } from "../../core/scim/fault.ts";
import { type PushResult, pushUsers, taken, type UserJob } from "../../engine/scimPush.ts";
import { PushBusy } from "../../engine/scimRecord.ts";
import type { ScimSource } from "../../engine/scimSource.ts";
import type { World } from "../../engine/world.ts";
import { violatedUnique } from "../../store/database.ts";
import type { Actor } from "../../store/tables.ts";

/** Rows of a transaction: some tens of milliseconds. */
const batch_max = 64;
/**
 * After a batch its callers send their next pushes: for so long they are waited for, unless as many are there before. One
 * batch of sixteen takes little longer than one of five: 16 clients created 169 people a second in two batches at a time
 * that began with whoever was there.
 */
const gather_ms = 6;
/** Callers who wait: more are told to come again. */
const waiting_max = 2_000;
const busy_tries = 60;
const busy_ms = 250;

type Waiting = Readonly<{
  job: UserJob;
  source: ScimSource;
  actor: Actor;
  done: (result: PushResult) => void;
  failed: (error: unknown) => void;
}>;
type Queue = {
  waiting: Waiting[];
  running: boolean;
  /** How many the last batch had, while its callers may be on their way back. */
  expected: number;
  gathering: NodeJS.Timeout | undefined;
};

const queues = new WeakMap<World, Map<string, Queue>>();

const unavailable = (detail: string): ScimFault => ({ status: 503, detail });

/** Does one job, with those that are there. */
export function submitUser(world: World, source: ScimSource, actor: Actor, job: UserJob): Promise<PushResult> {
  const queue = queueOf(world, source.app_id);
  if (queue.waiting.length >= waiting_max) {
    return Promise.resolve({ fault: unavailable("too many requests of this source wait: send it again later") });
  }
  const answer = Promise.withResolvers<PushResult>();
  queue.waiting.push({ job, source, actor, done: answer.resolve, failed: answer.reject });
  pump(world, queue);
  return answer.promise;
}

function queueOf(world: World, app_id: string): Queue {
  const of_world = queues.get(world) ?? new Map<string, Queue>();
  queues.set(world, of_world);
  const queue = of_world.get(app_id) ?? { waiting: [], running: false, expected: 0, gathering: undefined };
  of_world.set(app_id, queue);
  return queue;
}

function pump(world: World, queue: Queue): void {
  if (queue.running || queue.waiting.length < Math.max(1, queue.expected)) return;
  clearTimeout(queue.gathering);
  const batch = takeBatch(queue);
  queue.running = true;
  void work(world, batch).finally(() => {
    queue.running = false;
    queue.expected = batch.length;
    queue.gathering = setTimeout(() => {
      queue.expected = 0;
      pump(world, queue);
    }, gather_ms);
    pump(world, queue);
  });
}

/** Those that may be done together: of one actor, and each resource and name once. The others stay, in order. */
function takeBatch(queue: Queue): readonly Waiting[] {
  const [first] = queue.waiting;
  const keys = new Set<string>();
  const batch: Waiting[] = [];
  const rest: Waiting[] = [];
  for (const one of queue.waiting) {
    const key = keyOf(one.job);
    const fits =
      batch.length < batch_max && one.actor.id === first?.actor.id && one.source.strict === first.source.strict;
    if (fits && !keys.has(key)) batch.push(one);
    else rest.push(one);
    keys.add(key);
  }
  queue.waiting = rest;
  return batch;
}

const keyOf = (job: UserJob) =>
  job.kind === "create" ? `name ${String(job.resource["userName"]).toLowerCase()}` : job.id;

async function work(world: World, batch: readonly Waiting[]): Promise<void> {
  try {
    await attempt(world, batch);
  } catch (error) {
    if (batch.length > 1) for (const one of batch) await work(world, [one]);
    else
      for (const { job, done, failed } of batch) {
        const fault = faultOf(error, job);
        if (fault === undefined) failed(error);
        else done({ fault });
      }
  }
}

function faultOf(error: unknown, job: UserJob): ScimFault | undefined {
  if (error instanceof PushBusy) return unavailable(`${error.message}: send it again in a minute`);
  if (violatedUnique(error) !== "scim_resources_name") return undefined;
  return taken(job.kind === "create" ? job.resource["userName"] : "userName");
}

async function attempt(world: World, batch: readonly Waiting[]): Promise<void> {
  const [first] = batch;
  if (first === undefined) return;
  const jobs = batch.map(({ job }) => job);
  for (let left = busy_tries; ; left--) {
    try {
      const results = await pushUsers(world, first.source, first.actor, jobs);
      for (const [n, { done }] of batch.entries()) {
        const result = results[n];
        if (result !== undefined) done(result);
      }
      return;
    } catch (error) {
      if (!(error instanceof PushBusy) || left === 0) throw error;
      await sleep(busy_ms);
    }
  }
}
