/**
 * Sends requests that stand in a file, each once and in order, over so many keep-alive connections with one under way
 * each: a process of its own, so that the server is not timed with its client. It prints what it saw as one JSON line.
 *
 *     node bench/frame/requestClient.ts JOB.json
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { Pool } from "undici";

/** `status`: what the answer must have. */
export type PlannedRequest = Readonly<{
  method: "GET" | "POST" | "PATCH";
  path: string;
  body?: unknown;
  status: number;
}>;

export type RequestJob = Readonly<{
  origin: string;
  token: string;
  connections: number;
  requests: readonly PlannedRequest[];
}>;

/** `waits_ms`: of each request, in order of the requests. */
export type RequestsSeen = Readonly<{ seconds: number; waits_ms: readonly number[] }>;

async function run({ origin, token, connections, requests }: RequestJob): Promise<RequestsSeen> {
  const pool = new Pool(origin, { connections, pipelining: 1 });
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/scim+json" };
  // Written before the clock runs: the client is not what is timed.
  const bodies = requests.map(({ body }) => (body === undefined ? null : JSON.stringify(body)));
  const waits_ms: number[] = [];
  let next = 0;
  const began = performance.now();
  const connection = async () => {
    for (let n = next++; n < requests.length; n = next++) {
      const { method, path, status } = requests[n]!;
      const sent = performance.now();
      const answer = await pool.request({ method, path, headers, body: bodies[n] ?? null });
      const text = await answer.body.text();
      waits_ms[n] = performance.now() - sent;
      if (answer.statusCode !== status) throw new Error(`${method} ${path} answered ${answer.statusCode}: ${text}`);
    }
  };
  await Promise.all(Array.from({ length: connections }, connection));
  const seconds = (performance.now() - began) / 1000;
  await pool.close();
  return { seconds, waits_ms };
}

const job = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as RequestJob;
process.stdout.write(`${JSON.stringify(await run(job))}\n`);
