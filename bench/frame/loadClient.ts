/**
 * The load generator of bench/api.ts, a process of its own: so many keep-alive connections, each with one request under
 * way and the next one as soon as its answer is read to the end. A closed loop: an overloaded server shows as longer
 * waits. What it asks stands in a file; it prints what it saw as one JSON line.
 *
 *     node bench/frame/loadClient.ts JOB.json
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { waits } from "./stats.ts";
import { openWire, requestText, type Wire } from "./wire.ts";

/**
 * One kind of request. `share`: how many of a hundred requests; all shares add up to a hundred. `follow`: each
 * connection goes on with the answer's next link, and with the next of `paths` after the last page. An answer shorter
 * than `least_bytes` is not what was asked for.
 */
export type LoadKind = Readonly<{
  name: string;
  share: number;
  paths: readonly string[];
  follow?: boolean;
  least_bytes: number;
}>;

export type LoadJob = Readonly<{
  origin: string;
  token: string;
  connections: number;
  seconds: number;
  kinds: readonly LoadKind[];
}>;

export type KindSeen = Readonly<{ requests: number; bytes: number; p50_ms: number; p95_ms: number; p99_ms: number }>;
/** `cpu_s`: what the load generator itself took. */
export type LoadSeen = Readonly<{
  requests: number;
  seconds: number;
  cpu_s: number;
  kinds: Readonly<Record<string, KindSeen>>;
}>;

type Answer = Readonly<{ bytes: number; next: string | undefined }>;
type Tally = { waits_ms: number[]; bytes: number; next_path: number };

/** Coprime with 100, so that a hundred steps meet every slot once and the kinds alternate. */
const stride = 37;

async function run(job: LoadJob): Promise<LoadSeen> {
  const wires = await Promise.all(Array.from({ length: job.connections }, () => openWire(job.origin)));
  const slots = job.kinds.flatMap((kind) => Array.from({ length: kind.share }, () => kind));
  const tallies = new Map(job.kinds.map((kind): [LoadKind, Tally] => [kind, { waits_ms: [], bytes: 0, next_path: 0 }]));
  let turn = 0;
  const cpu = process.cpuUsage();
  const began = performance.now();
  const ends = began + job.seconds * 1000;
  const connection = async (wire: Wire) => {
    const links = new Map<LoadKind, string>();
    while (performance.now() < ends) {
      const kind = slots[(turn++ * stride) % slots.length]!;
      const tally = tallies.get(kind)!;
      const path = links.get(kind) ?? kind.paths[tally.next_path++ % kind.paths.length]!;
      const sent = performance.now();
      const { bytes, next } = await ask(wire, job, path, kind);
      tally.waits_ms.push(performance.now() - sent);
      tally.bytes += bytes;
      if (!kind.follow) continue;
      if (next === undefined) links.delete(kind);
      else links.set(kind, next);
    }
  };
  await Promise.all(wires.map(connection));
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  for (const wire of wires) wire.close();
  const kinds = [...tallies].map(([{ name }, { waits_ms, bytes }]): [string, KindSeen] => [
    name,
    { requests: waits_ms.length, bytes, ...waits(waits_ms) },
  ]);
  const requests = kinds.reduce((sum, [, seen]) => sum + seen.requests, 0);
  return { requests, seconds, cpu_s: (user + system) / 1e6, kinds: Object.fromEntries(kinds) };
}

/** Counts the bytes of an answer, and reads from its head where the next page is. */
async function ask({ ask: send }: Wire, { origin, token }: LoadJob, path: string, kind: LoadKind): Promise<Answer> {
  const headers = [`authorization: SSWS ${token}`];
  const { status, head, bytes } = await send(requestText(origin, { method: "GET", path, headers }));
  if (status !== 200 || bytes < kind.least_bytes) throw new Error(`${path} answered ${status} with ${bytes} bytes`);
  const next = kind.follow ? /<https?:\/\/[^/]+([^>]*)>; rel="next"/.exec(head)?.[1] : undefined;
  return { bytes, next };
}

const job = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as LoadJob;
process.stdout.write(`${JSON.stringify(await run(job))}\n`);
