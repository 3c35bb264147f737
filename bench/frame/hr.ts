/**
 * The HR department of a benchmark: a thread of its own that lets people leave, one by one at a steady pace, and says
 * when each departure was committed. A thread, because a busy node's own clock would be late to look.
 *
 * Started with `letLeave`; the same file is the thread.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { transitionUser } from "../../src/directory/userLifecycle.ts";
import { isRefusal, openDatabase } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";

type Order = Readonly<{ url: string; user_ids: readonly string[]; pace_ms: number }>;

/** When (milliseconds since 1970) a departure was committed. */
export type Departure = Readonly<{ user_id: string; at: number }>;

/** Lets people leave at a pace; `enough` ends it early. Gives those who left. */
export async function letLeave(order: Order, enough: () => boolean): Promise<readonly Departure[]> {
  const worker = new Worker(new URL(import.meta.url), { workerData: order });
  const left: Departure[] = [];
  return new Promise((resolve, reject) => {
    worker.on("message", (one: Departure) => {
      left.push(one);
      if (enough()) worker.postMessage("enough");
    });
    worker.on("error", reject);
    worker.on("exit", () => resolve(left));
  });
}

async function letThemLeave({ url, user_ids, pace_ms }: Order): Promise<void> {
  let enough = false;
  parentPort?.on("message", () => {
    enough = true;
  });
  const db = openDatabase(url, { connections: 2 });
  const command = { db, now: () => new Date(), actor: system };
  const began = performance.now();
  for (const [n, user_id] of user_ids.entries()) {
    await sleep(Math.max(0, began + n * pace_ms - performance.now()));
    if (enough) break;
    const result = await transitionUser(command, user_id, { kind: "deactivate" });
    if (isRefusal(result)) throw new Error(result.refused);
    parentPort?.postMessage({ user_id, at: Date.now() } satisfies Departure);
  }
  await db.destroy();
  parentPort?.close();
}

if (!isMainThread) await letThemLeave(workerData as Order);
