/**
 * Several nodes over one database: N people are assigned to an app that takes 20 ms to answer, and 1, 2 and 4 engine
 * processes provision them, from the commit of the assignment to the last account confirmed. Then once more with four,
 * one of which is killed in the middle: how long until the others have done its work, and whether anything was lost or
 * made twice.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { assignUsers } from "../src/directory/assignments.ts";
import { sql } from "../src/store/database.ts";
import type { Bench } from "./frame/bench.ts";
import { type Call, callAll, usersOf } from "./frame/calls.ts";
import { commandOf, everyoneIn, founded, giveToEveryone, must, untilDone } from "./frame/engine.ts";
import type { Ground } from "./frame/ground.ts";
import { measure } from "./frame/meter.ts";
import { type NodeProcess, spawnNode } from "./frame/nodeProcess.ts";
import { median } from "./frame/stats.ts";
import { spawnTarget, type Target } from "./frame/target.ts";

const concurrency = 16;
const latency_ms = 20;
const counts = [1, 2, 4] as const;
/** Accounts for each node before the measurement. */
const warm_up = 500;
/** A share of the accounts that is done when a node is killed. */
const killed_at = 0.4;

export const bench: Bench = {
  name: "nodes",
  about: "1, 2 and 4 engine processes over one database, and one of four killed",
  default_size: 12_000,
  run: async (ground, { size, runs, say }) => {
    const target = await spawnTarget({ latency_ms });
    try {
      const seconds = new Map<number, number[]>(counts.map((count) => [count, []]));
      let cpu_postgres_s: number | null = null;
      for (let run = 0; run < runs; run++) {
        for (const count of counts) {
          const one = await provision(await ground.fresh(), target, size, count);
          seconds.get(count)?.push(one.seconds);
          if (count === 4) cpu_postgres_s = one.cpu_postgres_s;
          say(`${count} nodes: ${Math.round(size / one.seconds)} accounts/s`);
        }
      }
      const [one_s = 0, two_s = 0, four_s = 0] = counts.map((count) => median(seconds.get(count) ?? []));
      const ceiling_s = await bare(target);
      const taken = await killOne(await ground.fresh(), target, size);
      return {
        size,
        seconds: four_s,
        rate: size / four_s,
        ceiling_rate: size / ceiling_s,
        ratio: ceiling_s / four_s,
        rss_peak_mb: process.memoryUsage.rss() / 2 ** 20,
        cpu_node_s: 0,
        cpu_postgres_s,
        rate_1: size / one_s,
        rate_2: size / two_s,
        rate_4: size / four_s,
        speedup_2: one_s / two_s,
        speedup_4: one_s / four_s,
        ...taken,
        latency_ms,
        concurrency,
      };
    } finally {
      await target.stop();
    }
  },
};

/** Nodes over a company, which have worked for a while: a node that has just started compiles, and it runs for weeks. */
async function staffed(ground: Ground, target: Target, size: number, count: number) {
  const { key, app_id } = await founded(ground, target, { size: size + count * warm_up, concurrency });
  const nodes = await Promise.all(Array.from({ length: count }, () => spawnNode(ground, key)));
  const first = (await everyoneIn(ground.db)).slice(0, count * warm_up);
  const grants = first.map((user_id) => ({ user_id, kind: "person" as const, source_id: "bench" }));
  await must(assignUsers(commandOf(ground.db), app_id, grants));
  await untilDone(ground.db);
  return { app_id, nodes, all: size + first.length };
}

/** From the commit of the assignment to the last account confirmed. */
async function provision(ground: Ground, target: Target, size: number, count: number) {
  const { app_id, nodes, all } = await staffed(ground, target, size, count);
  try {
    const metered = await measure(ground, async () => {
      await giveToEveryone(ground, app_id);
      await untilDone(ground.db);
    });
    const { lost, doubled } = await judge(ground, target, app_id, all);
    if (lost + doubled > 0) throw new Error(`${lost} accounts lost, ${doubled} made twice`);
    return metered;
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
}

async function judge(ground: Ground, target: Target, app_id: string, size: number) {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from accounts
    where app_id = ${app_id} and external_id is not null and (have->>'enabled')::boolean`.execute(ground.db);
  const { users, conflicts } = await target.counts();
  return { lost: size - (rows[0]?.n ?? 0), doubled: users - size + conflicts };
}

/** Kills one of four. `takeover_s`: from then until another has taken each of the accounts that it held. */
async function killOne(ground: Ground, target: Target, size: number) {
  const { app_id, nodes, all } = await staffed(ground, target, size, 4);
  try {
    await giveToEveryone(ground, app_id);
    while ((await target.counts()).users < all * killed_at) await sleep(50);
    const [victim] = nodes as [NodeProcess, ...NodeProcess[]];
    await victim.kill();
    const began = performance.now();
    const held = await sql<{ account_id: string }>`
      select account_id from work where claimed_by like ${`${victim.name}:%`}`.execute(ground.db);
    await untilTaken(ground, victim.name);
    const takeover_s = (performance.now() - began) / 1000;
    await untilDone(ground.db);
    return { takeover_s, held_by_killed: held.rows.length, ...(await judge(ground, target, app_id, all)) };
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
}

async function untilTaken(ground: Ground, node: string): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ left: boolean }>`
      select exists (select from work where claimed_by like ${`${node}:%`}) as left`.execute(ground.db);
    if (!rows[0]?.left) return;
    await sleep(100);
  }
}

/** The two calls for each account by a bare pool, as many at a time as four nodes make. */
async function bare(target: Target): Promise<number> {
  const users = await usersOf(target);
  await target.reset();
  const calls = users.flatMap(({ id: _id, meta: _meta, ...body }): Call[] => {
    const filter = `userName eq ${JSON.stringify(body["userName"])}`;
    return [
      { method: "GET", path: `/Users?filter=${encodeURIComponent(filter)}` },
      { method: "POST", path: "/Users", body: JSON.stringify(body) },
    ];
  });
  return callAll(target, 4 * concurrency, calls);
}
