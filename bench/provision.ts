/**
 * How fast accounts come to be: N people who are assigned to a SCIM app, twelve mapped attributes each, from the marks of
 * the assignment to the last account confirmed. Everything a user gets is in it: desire, claim, the search that comes
 * before every create, confirm, operations, events and history, flushed to disk.
 *
 * The ceiling is the same bodies posted to the same server by a bare undici pool with as many calls at a time.
 */
import { Pool } from "undici";
import { desire } from "../src/engine/desire.ts";
import { realWorld } from "../src/main/world.ts";
import { sql } from "../src/store/database.ts";
import type { Bench, BenchOptions } from "./frame/bench.ts";
import { addScimApp, benchKey, expectAccounts, giveToEveryone, startNode, untilDone } from "./frame/engine.ts";
import type { Ground } from "./frame/ground.ts";
import { type Metered, measure } from "./frame/meter.ts";
import { insertPeople } from "./frame/people.ts";
import { median, spread } from "./frame/stats.ts";
import { spawnTarget, type Target } from "./frame/target.ts";

/** Calls at a time: the default of every app. */
const concurrency = 16;
const page = 200;

type Run = Readonly<{ whole: Metered<Readonly<{ desired_s: number }>>; ceiling_s: number }>;

export const bench: Bench = {
  name: "provision",
  about: "people assigned to a SCIM app, to the last account confirmed",
  default_size: 20_000,
  run: async (ground, options) => {
    const { size, runs, say } = options;
    const target = await spawnTarget();
    try {
      // A node that has just started compiles; it runs for weeks.
      await provision(ground, target, Math.min(size, 2_000));
      const all: Run[] = [];
      for (let n = 0; n < runs; n++) {
        const one = await provision(await ground.fresh(), target, size);
        all.push(one);
        say(
          `run ${n + 1}: ${Math.round(size / one.whole.seconds)} accounts/s, ceiling ${Math.round(size / one.ceiling_s)}/s`,
        );
      }
      const apart = await inTwoSteps(await ground.fresh(), target, size);
      return { ...result(size, all), ...apart, ...(options.scale ? await scale(ground, target, options, all) : {}) };
    } finally {
      await target.stop();
    }
  },
};

function result(size: number, all: readonly Run[]) {
  const seconds = median(all.map((one) => one.whole.seconds));
  const ceiling_s = median(all.map((one) => one.ceiling_s));
  const middle = all.find((one) => one.whole.seconds === seconds)?.whole;
  return {
    size,
    seconds,
    rate: size / seconds,
    ceiling_rate: size / ceiling_s,
    ratio: median(all.map((one) => one.ceiling_s / one.whole.seconds)),
    rss_peak_mb: Math.max(...all.map((one) => one.whole.rss_peak_mb)),
    cpu_node_s: middle?.cpu_node_s ?? 0,
    cpu_postgres_s: middle?.cpu_postgres_s ?? null,
    rates: spread(all.map((one) => size / one.whole.seconds)),
    ceiling_rates: spread(all.map((one) => size / one.ceiling_s)),
    concurrency,
  };
}

/** A company of `size` people with one app that everyone has; nothing has been computed yet. */
async function assigned(ground: Ground, target: Target, size: number) {
  const key = benchKey();
  await target.reset();
  await insertPeople(ground.db, size);
  const app_id = await addScimApp(ground, { key, url: target.url, token: target.token, concurrency });
  await giveToEveryone(ground, app_id);
  await sql`checkpoint`.execute(ground.db).catch(() => {});
  return { key, app_id };
}

async function provision(ground: Ground, target: Target, size: number): Promise<Run> {
  const { key, app_id } = await assigned(ground, target, size);
  let node: Awaited<ReturnType<typeof startNode>> | undefined;
  try {
    const whole = await measure(ground, async () => {
      node = await startNode(ground, key);
      return untilDone(ground.db);
    });
    await expectAccounts(ground.db, app_id, size);
    const { users, conflicts } = await target.counts();
    if (users !== size || conflicts > 0)
      throw new Error(`the target has ${users} users, ${conflicts} refused as double`);
    return { whole, ceiling_s: await ceiling(target) };
  } finally {
    await node?.stop();
  }
}

/** Desire alone, then the rest alone: two rates that no one sees in use, to know which of them bounds the whole. */
async function inTwoSteps(ground: Ground, target: Target, size: number) {
  const { key } = await assigned(ground, target, size);
  const world = realWorld(ground.db, key, { allow_private: true, folder: ground.folder });
  const desired = await measure(ground, async () => {
    while ((await desire(world, 500)).users > 0);
  });
  await world.close();
  let node: Awaited<ReturnType<typeof startNode>> | undefined;
  const worked = await measure(ground, async () => {
    node = await startNode(ground, key);
    return untilDone(ground.db);
  });
  await node?.stop();
  return { desire_rate: size / desired.seconds, work_rate: size / worked.seconds };
}

/** A tenth of the size in the same way: how the time grows. */
async function scale(ground: Ground, target: Target, { size, runs }: BenchOptions, all: readonly Run[]) {
  const small: Run[] = [];
  for (let n = 0; n < runs; n++) small.push(await provision(await ground.fresh(), target, Math.round(size / 10)));
  const seconds = median(small.map((one) => one.whole.seconds));
  const growth = median(all.map((one) => one.whole.seconds)) / seconds;
  return { tenth_s: seconds, growth };
}

/** Takes the bodies that the server was sent, empties it, and posts them again as fast as an undici pool can. */
async function ceiling(target: Target): Promise<number> {
  const bodies = await bodiesOf(target);
  await target.reset();
  const { origin, pathname } = new URL(target.url);
  const pool = new Pool(origin, { connections: concurrency, pipelining: 1 });
  const headers = {
    authorization: `Bearer ${target.token}`,
    "content-type": "application/scim+json",
    accept: "application/scim+json",
  };
  let next = 0;
  const poster = async () => {
    for (let body = bodies[next++]; body !== undefined; body = bodies[next++]) {
      const answer = await pool.request({ method: "POST", path: `${pathname}/Users`, headers, body });
      await answer.body.text();
      if (answer.statusCode !== 201) throw new Error(`the target answered ${answer.statusCode}`);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: concurrency }, poster));
  const seconds = (performance.now() - began) / 1000;
  await pool.close();
  return seconds;
}

async function bodiesOf(target: Target): Promise<readonly string[]> {
  const { origin, pathname } = new URL(target.url);
  const pool = new Pool(origin, { connections: 1 });
  const headers = { authorization: `Bearer ${target.token}` };
  const bodies: string[] = [];
  for (let start = 1; ; start += page) {
    const path = `${pathname}/Users?startIndex=${start}&count=${page}`;
    const answer = await pool.request({ method: "GET", path, headers });
    const { Resources } = (await answer.body.json()) as { Resources: Record<string, unknown>[] };
    for (const { id: _id, meta: _meta, ...body } of Resources) bodies.push(JSON.stringify(body));
    if (Resources.length < page) break;
  }
  await pool.close();
  return bodies;
}
