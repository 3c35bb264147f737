/** The machine a figure was measured on: without it a figure says nothing. */
import { availableParallelism, cpus, loadavg, platform, release, totalmem } from "node:os";
import process from "node:process";

export type Machine = Readonly<{
  cpu: string;
  cores: number;
  memory_gb: number;
  system: string;
  node: string;
  postgres: string;
  /** Load of the last minute when the run began: far above 0, and the figures are of a busy machine. */
  load_before: number;
}>;

export function describeMachine(postgres: string, load_before: number): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memory_gb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
    postgres,
    load_before,
  };
}

/** Load of the last minute. */
export const load = (): number => Math.round((loadavg()[0] ?? 0) * 100) / 100;
