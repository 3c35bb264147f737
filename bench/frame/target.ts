/**
 * The app that benchmarks provision into: the server of scimTarget.ts in a process of its own. It differs from a real
 * app in that it does as little as a server can: it keeps resources in memory, checks only what SCIM asks of every
 * server (a userName once), and may answer late on purpose, as an app far away does.
 */
import { fileURLToPath } from "node:url";
import { request } from "undici";
import { spawnApp } from "../../demo/apps/spawn.ts";

/** Requests since the last reset, by `METHOD kind`, as in "POST Users", and how many users are there and enabled. */
export type TargetCounts = Readonly<{
  requests: Readonly<Record<string, number>>;
  total: number;
  users: number;
  active: number;
  /** userNames that were created twice in a row of time: always 0 for a correct client. */
  conflicts: number;
}>;

export type Target = Readonly<{
  /** The SCIM base URL. */
  url: string;
  token: string;
  pid: number;
  counts: () => Promise<TargetCounts>;
  /** Forgets resources and counts. */
  reset: () => Promise<void>;
  /** When (milliseconds since 1970) each of these external ids was last disabled; absent: never. */
  disabled: () => Promise<Readonly<Record<string, number>>>;
  stop: () => Promise<void>;
}>;

/**
 * `latency_ms`: every answer waits so long. `max_members`: a PATCH with more member values is refused with 413. `bulk_max`:
 * it takes so many operations in a bulk, and filters that join values by `or`; without it neither.
 */
export type TargetOptions = Readonly<{ latency_ms?: number; max_members?: number; bulk_max?: number }>;

/** Starts a target. */
export async function spawnTarget(options: TargetOptions = {}): Promise<Target> {
  const file = fileURLToPath(new URL("./scimTarget.ts", import.meta.url));
  const args = [
    ...(options.latency_ms === undefined ? [] : ["--latency", `${options.latency_ms}`]),
    ...(options.bulk_max === undefined ? [] : ["--bulk", `${options.bulk_max}`]),
    ...(options.max_members === undefined ? [] : ["--members", `${options.max_members}`]),
  ];
  const app = await spawnApp("target", { file, args });
  const origin = new URL(app.url).origin;
  const ask = async (path: string, method: "GET" | "POST" = "GET") => {
    const answer = await request(`${origin}${path}`, { method });
    return (await answer.body.json()) as never;
  };
  return {
    url: app.url,
    token: app.token,
    pid: app.pid,
    counts: () => ask("/__counts"),
    reset: async () => void (await ask("/__reset", "POST")),
    disabled: () => ask("/__disabled"),
    stop: app.stop,
  };
}
