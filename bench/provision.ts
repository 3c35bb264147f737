/**
 * How fast accounts come to be: N people who are assigned to a SCIM app, twelve mapped attributes each, from the marks of
 * the assignment to the last account confirmed. Everything a user gets is in it: desire, claim, the search that comes
 * before every create, confirm, operations, events and history, flushed to disk.
 *
 * The ceiling is the same bodies posted to the same server by a bare undici pool with as many calls at a time. The server
 * takes many accounts in one request, as SCIM has it (RFC 7644 3.7), and the product makes use of that; beside it stands
 * what it reaches where a server does not (`one_by_one`). Between product and ceiling stand both calls of each account
 * alone, one account at a time, and these with the rows that they leave behind (frame/floor.ts).
 */
import { desire } from "../src/engine/desire.ts";
import { realWorld } from "../src/main/world.ts";
import type { Bench, BenchOptions } from "./frame/bench.ts";
import { type Call, callAll, usersOf } from "./frame/calls.ts";
import { assigned, expectAccounts, work } from "./frame/engine.ts";
import { type FloorBody, floor } from "./frame/floor.ts";
import type { Ground } from "./frame/ground.ts";
import { type Metered, measure } from "./frame/meter.ts";
import { median, spread } from "./frame/stats.ts";
import { spawnTarget, type Target } from "./frame/target.ts";

/** Calls at a time: the default of every app. */
const concurrency = 16;
/** Operations that the server takes in one request. */
const bulk_max = 100;

type Run = Readonly<{ whole: Metered<unknown>; posts_s: number; both_s: number; floor_s: number }>;

export const bench: Bench = {
  name: "provision",
  about: "people assigned to a SCIM app, to the last account confirmed",
  default_size: 20_000,
  run: async (ground, options) => {
    const { size, runs, say } = options;
    const target = await spawnTarget({ bulk_max });
    try {
      // A node that has just started compiles, and takes 20,000 accounts and more for it: the first run was 15 % slower than
      // the third after a warm-up of 2,000. A node runs for weeks.
      await provision(ground, target, size);
      const all: Run[] = [];
      for (let n = 0; n < runs; n++) {
        const one = await provision(await ground.fresh(), target, size);
        all.push(one);
        say(
          `run ${n + 1}: ${Math.round(size / one.whole.seconds)} accounts/s, ceiling ${Math.round(size / one.posts_s)}/s`,
        );
      }
      const apart = await inTwoSteps(await ground.fresh(), target, size);
      const single = await oneByOne(ground, size);
      return {
        ...result(size, all),
        ...apart,
        ...single,
        ...(options.scale ? await scale(ground, target, options, all) : {}),
      };
    } finally {
      await target.stop();
    }
  },
};

function result(size: number, all: readonly Run[]) {
  const seconds = median(all.map((one) => one.whole.seconds));
  const posts_s = median(all.map((one) => one.posts_s));
  const middle = all.find((one) => one.whole.seconds === seconds)?.whole;
  return {
    size,
    seconds,
    rate: size / seconds,
    ceiling_rate: size / posts_s,
    ratio: median(all.map((one) => one.posts_s / one.whole.seconds)),
    rss_peak_mb: Math.max(...all.map((one) => one.whole.rss_peak_mb)),
    cpu_node_s: middle?.cpu_node_s ?? 0,
    cpu_postgres_s: middle?.cpu_postgres_s ?? null,
    rates: spread(all.map((one) => size / one.whole.seconds)),
    ceiling_rates: spread(all.map((one) => size / one.posts_s)),
    /** With the search that comes before each create. */
    both_calls_rate: size / median(all.map((one) => one.both_s)),
    both_calls_ratio: median(all.map((one) => one.both_s / one.whole.seconds)),
    /** With the rows that an account leaves behind, and nothing else: about what can be had of a server one by one. */
    floor_rate: size / median(all.map((one) => one.floor_s)),
    floor_ratio: median(all.map((one) => one.posts_s / one.floor_s)),
    concurrency,
  };
}

async function provision(ground: Ground, target: Target, size: number): Promise<Run> {
  const { key, app_id } = await assigned(ground, target, { size, concurrency });
  const whole = await measure(ground, () => work(ground, key));
  await expectAccounts(ground.db, app_id, size);
  const { users, conflicts } = await target.counts();
  const doubled = `the target has ${users} users, ${conflicts} refused as double`;
  if (users !== size || conflicts > 0) throw new Error(doubled);
  // The accounts just made are gone before the ceiling is measured, and with them their autovacuum.
  const empty = await ground.fresh();
  const { bodies, ...bare } = await ceiling(target);
  return { whole, ...bare, floor_s: await bottom(empty, target, bodies) };
}

/** Desire alone, then the rest alone: two rates that no one sees in use, to know which of them bounds the whole. */
async function inTwoSteps(ground: Ground, target: Target, size: number) {
  const { key } = await assigned(ground, target, { size, concurrency });
  const world = realWorld(ground.db, key, { allow_private: true, folder: ground.folder });
  const desired = await measure(ground, async () => {
    while ((await desire(world, 500)).users > 0);
  });
  await world.close();
  const worked = await measure(ground, () => work(ground, key));
  return { desire_rate: size / desired.seconds, work_rate: size / worked.seconds };
}

/** The same with a server that takes one account in a request, and finds one in a search. */
async function oneByOne(ground: Ground, size: number) {
  const target = await spawnTarget();
  try {
    const { whole, posts_s } = await provision(await ground.fresh(), target, size);
    return { one_by_one_rate: size / whole.seconds, one_by_one_ratio: posts_s / whole.seconds };
  } finally {
    await target.stop();
  }
}

/** A tenth of the size in the same way: how the time grows. */
async function scale(ground: Ground, target: Target, { size, runs }: BenchOptions, all: readonly Run[]) {
  const small: Run[] = [];
  for (let n = 0; n < runs; n++) small.push(await provision(await ground.fresh(), target, Math.round(size / 10)));
  const seconds = median(small.map((one) => one.whole.seconds));
  const growth = median(all.map((one) => one.whole.seconds)) / seconds;
  return { tenth_s: seconds, growth };
}

/**
 * Takes the bodies that the server was sent, empties it, and posts them again as fast as an undici pool can. Then once
 * more with the search before each of them, which the product may not leave out (rule 4 of engine/provision.ts).
 */
async function ceiling(target: Target): Promise<Omit<Run, "whole" | "floor_s"> & { bodies: readonly FloorBody[] }> {
  const bodies = (await usersOf(target)).map(({ id: _id, meta: _meta, ...body }) => body);
  const posts = bodies.map((body): Call => ({ method: "POST", path: "/Users", body: JSON.stringify(body) }));
  await target.reset();
  const posts_s = await callAll(target, concurrency, posts);
  await target.reset();
  const both = posts.flatMap((post, n): Call[] => {
    const filter = `userName eq ${JSON.stringify(bodies[n]?.["userName"])}`;
    return [{ method: "GET", path: `/Users?filter=${encodeURIComponent(filter)}` }, post];
  });
  const both_s = await callAll(target, concurrency, both);
  return {
    ...{ posts_s, both_s },
    bodies: bodies.map((body, n) => ({ login: String(body["userName"]), text: posts[n]?.body ?? "" })),
  };
}

/** The same people in an empty company. */
async function bottom(ground: Ground, target: Target, bodies: readonly FloorBody[]): Promise<number> {
  const { app_id } = await assigned(ground, target, { size: bodies.length, concurrency });
  return floor(ground, target, app_id, bodies, concurrency);
}
