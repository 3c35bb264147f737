/** What a benchmark is: one file of bench/, started by `npm run bench -- NAME` (run.ts), measured with meter.ts. */
import type { Ground } from "./ground.ts";

/** `size`: how many people (or what the benchmark counts). `runs`: how often to repeat what can be repeated. */
export type BenchOptions = Readonly<{
  size: number;
  runs: number;
  /** How long a benchmark lasts that lasts as long as it is told to. */
  seconds: number | undefined;
  json: boolean;
  /** Run a tenth of the size as well, and say how the time grows. */
  scale: boolean;
  /** A line of progress, on the error output. */
  say: (line: string) => void;
}>;

/**
 * What was measured: at least these. `rate` and `ceiling_rate` are per second, `ratio` is the one by the other, `seconds`
 * is what `rate` was measured over. More fields of its own may follow.
 */
export type BenchResult = Readonly<{
  size: number;
  seconds: number;
  rate: number;
  ceiling_rate: number;
  ratio: number;
  rss_peak_mb: number;
  cpu_node_s: number;
  /** null: the server is on another machine. */
  cpu_postgres_s: number | null;
}> &
  Readonly<Record<string, unknown>>;

export type Bench = Readonly<{
  name: string;
  /** One line for the list of benchmarks. */
  about: string;
  default_size: number;
  run: (ground: Ground, options: BenchOptions) => Promise<BenchResult>;
}>;
