/**
 * How fast the API reads: N people behind a node as `tenure serve` starts it (token, permissions and rate limit of every
 * request, engine beside it), asked by 32 keep-alive connections of another process, each with one request under way.
 *
 * Of a hundred requests 50 read one person (25 by id, 25 by login), 40 search by an indexed attribute (login, e-mail
 * address and employee number in turn), and 10 take a page of 200 people, following the Link header through the whole
 * company from ever new places. Five of six people that are delivered are so delivered by pages.
 *
 * The ceiling is the same framework in the same process answering constants of the same sizes, to the same requests.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fastify from "fastify";
import { createToken } from "../src/directory/tokens.ts";
import { startNode } from "../src/main/serve.ts";
import { type Database, sql } from "../src/store/database.ts";
import type { Bench } from "./frame/bench.ts";
import { commandOf, must } from "./frame/engine.ts";
import type { Ground } from "./frame/ground.ts";
import type { LoadJob, LoadKind, LoadSeen } from "./frame/loadClient.ts";
import { measure, ofRuns } from "./frame/meter.ts";
import { insertPeople } from "./frame/people.ts";
import { median } from "./frame/stats.ts";

const connections = 32;
const page_size = 200;
const warm_up_s = 5;
const run_s = 15;
/** Far above what can be asked, but counted all the same. */
const rate_limit = 1_000_000_000;
/** People who are asked for; many enough that no cache of ours or of PostgreSQL's plans knows them. */
const asked_max = 5_000;

type Sample = Readonly<{ id: string; login: string; email: string; employee: string }>;

export const bench: Bench = {
  name: "api",
  about: "people read, searched and paged through over HTTP by 32 connections",
  default_size: 100_000,
  run: async (ground, { size, runs, say }) => {
    await insertPeople(ground.db, size);
    const { text: token } = await must(createToken(commandOf(ground.db), { name: "bench" }));
    const node = await startNode({ data_folder: ground.folder, database_url: ground.url, port: 0, rate_limit });
    try {
      await node.ready;
      const kinds = kindsOf(await sample(ground.db), size);
      const job = { origin: node.url ?? "", token, connections, kinds };
      await load(ground, { ...job, seconds: warm_up_s });
      const all = [];
      for (let n = 0; n < runs; n++) {
        const one = await measure(ground, () => load(ground, { ...job, seconds: run_s }));
        say(`run ${n + 1}: ${Math.round(one.value.requests / one.value.seconds)} requests/s ${worst(one.value)}`);
        all.push(one);
      }
      const constant = await ceiling(ground, job, all[0]!.value);
      const { middle, told } = ofRuns(
        all,
        ({ requests, seconds }) => requests / seconds,
        constant.requests / constant.seconds,
      );
      return {
        ...{ size, ...told },
        search_p99_ms: median(all.map((one) => one.value.kinds["search"]!.p99_ms)),
        page_p99_ms: median(all.map((one) => one.value.kinds["page"]!.p99_ms)),
        read_p99_ms: median(all.map((one) => one.value.kinds["read"]!.p99_ms)),
        cpu_client_s: middle.cpu_s,
        waits: middle.kinds,
        ceiling_waits: constant.kinds,
        connections,
      };
    } finally {
      await node.stop();
    }
  },
};

/** People from all over the company. */
async function sample(db: Database): Promise<readonly Sample[]> {
  const { rows } = await sql<Sample>`
    select id, login, profile->>'email' as email, profile->>'employeeNumber' as employee
    from users order by md5(id) limit ${asked_max}`.execute(db);
  return rows;
}

function kindsOf(people: readonly Sample[], size: number): readonly LoadKind[] {
  const search = (name: string, value: string) =>
    `/api/v1/users?search=${encodeURIComponent(`profile.${name} eq "${value}"`)}`;
  const read = people.flatMap(({ id, login }) => [`/api/v1/users/${id}`, `/api/v1/users/${login}`]);
  const searches = people.flatMap(({ login, email, employee }) => [
    search("login", login),
    search("email", email),
    search("employeeNumber", employee),
  ]);
  const pages = people.map(({ id }) => `/api/v1/users?limit=${page_size}&after=${id}`);
  return [
    { name: "read", share: 50, paths: read, least_bytes: 1_000 },
    { name: "search", share: 40, paths: searches, least_bytes: 800 },
    // The last page may have one person only.
    { name: "page", share: 10, paths: size < page_size ? read : pages, follow: true, least_bytes: 2 },
  ];
}

/** Runs the load generator over a job. */
async function load(ground: Ground, job: LoadJob): Promise<LoadSeen> {
  const file = join(ground.folder, "load.json");
  writeFileSync(file, JSON.stringify(job));
  const script = fileURLToPath(new URL("./frame/loadClient.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, file], { maxBuffer: 1e8 });
  return JSON.parse(stdout) as LoadSeen;
}

/** The same kinds from a server that has nothing to do: texts as long as the answers were on average. */
async function ceiling(ground: Ground, job: Omit<LoadJob, "seconds">, seen: LoadSeen): Promise<LoadSeen> {
  const server = fastify();
  const kinds = job.kinds.map((kind) => {
    const { bytes, requests } = seen.kinds[kind.name]!;
    const text = JSON.stringify("x".repeat(Math.max(1, Math.round(bytes / requests) - 2)));
    server.get(`/${kind.name}`, (_request, reply) => reply.header("content-type", "application/json").send(text));
    return { ...kind, paths: [`/${kind.name}`], follow: false };
  });
  await server.listen({ host: "127.0.0.1", port: 0 });
  const origin = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  try {
    await load(ground, { ...job, origin, kinds, seconds: 2 });
    return await load(ground, { ...job, origin, kinds, seconds: warm_up_s });
  } finally {
    await server.close();
  }
}

const worst = ({ kinds }: LoadSeen) =>
  Object.entries(kinds)
    .map(([name, { p50_ms, p99_ms }]) => `${name} p50 ${p50_ms.toFixed(1)} p99 ${p99_ms.toFixed(1)} ms`)
    .join(", ");
