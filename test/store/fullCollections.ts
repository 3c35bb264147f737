/**
 * A process that reads hundreds of megabytes over one connection and prints how many full collections of memory that took.
 * A process of its own, because a test runner keeps promises for reasons of its own.
 *
 *     node test/store/fullCollections.ts DATABASE_URL
 */
import { type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { asking } from "../../src/store/asking.ts";

const isMajor = (entry: PerformanceEntry & { detail?: unknown }): boolean =>
  (entry.detail as { kind: number }).kind === 4;
const client = new pg.Client({ connectionString: process.argv[2] });
await client.connect();
const ask = asking(client);

async function read(times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    await ask("select repeat('x', 1000) || i as text from generate_series(1, $1::int) as i", [100]);
  }
}

// Until the code is compiled, and what stays has grown old.
await read(1_000);
let count = 0;
const observer = new PerformanceObserver((list) => {
  count += list.getEntries().filter(isMajor).length;
});
observer.observe({ entryTypes: ["gc"] });
await read(3_000);
await sleep(50);
process.stdout.write(`${count}\n`);
await client.end();
