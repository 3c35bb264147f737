/**
 * What a piece of work costs: time by the clock, processor time of this process and of PostgreSQL, and the most memory
 * this process held meanwhile.
 *
 * PostgreSQL's time is read from /proc: its live processes, and through the first one the ended ones, too. Elsewhere
 * than on Linux, or with a server on another machine, it is null.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { collectGarbage } from "../../test/support/collect.ts";
import type { Ground } from "./ground.ts";
import { median, spread } from "./stats.ts";

export type Metered<T> = Readonly<{
  value: T;
  seconds: number;
  cpu_node_s: number;
  cpu_postgres_s: number | null;
  rss_peak_mb: number;
}>;

/** Kernel ticks per second; 100 on every Linux that Node runs on. */
const ticks_per_s = 100;
const sample_ms = 50;

/** Runs `work` and measures it. */
export async function measure<T>(ground: Pick<Ground, "pids">, work: () => Promise<T>): Promise<Metered<T>> {
  let peak = process.memoryUsage.rss();
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, sample_ms);
  const cpu = process.cpuUsage();
  const postgres = postgresSeconds(ground);
  const began = performance.now();
  try {
    const value = await work();
    const seconds = (performance.now() - began) / 1000;
    const used = process.cpuUsage(cpu);
    const after = postgresSeconds(ground);
    return {
      value,
      seconds,
      cpu_node_s: (used.user + used.system) / 1e6,
      cpu_postgres_s: postgres === null || after === null ? null : after - postgres,
      rss_peak_mb: Math.max(peak, process.memoryUsage.rss()) / 2 ** 20,
    };
  } finally {
    clearInterval(timer);
  }
}

/** What every benchmark tells of several runs of the same work, by the run in the middle, and that run. */
export function ofRuns<T extends Readonly<{ seconds: number }>>(
  all: readonly Metered<T>[],
  rateOf: (value: T) => number,
  ceiling_rate: number,
) {
  const rates = all.map(({ value }) => rateOf(value));
  const rate = median(rates);
  const middle = all[rates.indexOf(rate)] as Metered<T>;
  const told = {
    seconds: middle.value.seconds,
    rate,
    ceiling_rate,
    ratio: rate / ceiling_rate,
    rss_peak_mb: Math.max(...all.map((one) => one.rss_peak_mb)),
    cpu_node_s: middle.cpu_node_s,
    cpu_postgres_s: middle.cpu_postgres_s,
    rates: spread(rates),
  };
  return { middle: middle.value, told };
}

/** Adds up what several measurements cost; the peak is the highest. */
export function together(all: readonly Metered<unknown>[]): Omit<Metered<unknown>, "value"> {
  return {
    seconds: sum(all.map((one) => one.seconds)),
    cpu_node_s: sum(all.map((one) => one.cpu_node_s)),
    cpu_postgres_s: all.some((one) => one.cpu_postgres_s === null)
      ? null
      : sum(all.map((one) => one.cpu_postgres_s ?? 0)),
    rss_peak_mb: Math.max(...all.map((one) => one.rss_peak_mb)),
  };
}

/** What this process holds when all garbage is collected, in MB: what RSS tells only as the collector comes and goes. */
export async function heldMb(): Promise<number> {
  await collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

/** User and system time of the server's processes. A backend that ended in between is in the first one's children. */
function postgresSeconds(ground: Pick<Ground, "pids">): number | null {
  const [first, ...rest] = ground.pids();
  if (first === undefined || process.platform !== "linux") return null;
  return (ticks(first, true) + sum(rest.map((pid) => ticks(pid, false)))) / ticks_per_s;
}

function ticks(pid: number, with_children: boolean): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    // Fields 14 to 17 of proc(5): utime, stime, cutime, cstime; the name and its number are cut off here.
    const own = Number(fields[11]) + Number(fields[12]);
    return with_children ? own + Number(fields[13]) + Number(fields[14]) : own;
  } catch {
    return 0;
  }
}
