/**
 * Sends requests that stand in a file, each once and in order, over so many keep-alive connections with one under way
 * each: a process of its own, so that the server is not timed with its client. It prints what it saw as one JSON line.
 *
 *     node bench/frame/requestClient.ts JOB.json
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { openWire, requestText, type Wire } from "./wire.ts";

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
  const headers = [`authorization: Bearer ${token}`, "content-type: application/scim+json"];
  // Written before the clock runs: the client is not what is timed.
  const texts = requests.map(({ body, ...request }) =>
    requestText(origin, { ...request, headers, body: body === undefined ? undefined : JSON.stringify(body) }),
  );
  const wires = await Promise.all(Array.from({ length: connections }, () => openWire(origin)));
  const waits_ms = Array.from({ length: requests.length }, () => 0);
  let next = 0;
  const began = performance.now();
  const sendAll = async ({ ask }: Wire) => {
    for (let n = next++; n < requests.length; n = next++) {
      const sent = performance.now();
      const answer = await ask(texts[n]!);
      waits_ms[n] = performance.now() - sent;
      const { method, path, status } = requests[n]!;
      if (answer.status !== status) throw new Error(`${method} ${path} answered ${answer.status}: ${answer.start}`);
    }
  };
  await Promise.all(wires.map(sendAll));
  const seconds = (performance.now() - began) / 1000;
  for (const wire of wires) wire.close();
  return { seconds, waits_ms };
}

const job = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as RequestJob;
process.stdout.write(`${JSON.stringify(await run(job))}\n`);
