/**
 * Ten minutes of mixed life at a steady rate: hires, moves, leaves, returns, edits of groups by hand, a reconcile each
 * minute, with rules, two SCIM apps and a pushed group. Nothing may grow but the company's own history: memory of this
 * process, dead rows, and the age of the oldest work must be flat.
 *
 * The rate is far below what the engine can do, because a queue that grows under a load one cannot bear shows nothing.
 * The ceiling is the rate asked for: a ratio of 1 says that life was never held up.
 */

import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { assignGroups } from "../src/directory/groupAssignments.ts";
import { createGroups } from "../src/directory/groups.ts";
import { grantMemberships, revokeMemberships } from "../src/directory/memberships.ts";
import { createPushes } from "../src/directory/pushes.ts";
import { activateRule, createRule } from "../src/directory/rules.ts";
import { transitionUsers } from "../src/directory/userLifecycle.ts";
import { createUsers, updateUsers } from "../src/directory/users.ts";
import { checkConfig } from "../src/main/appTools.ts";
import { type Database, sql } from "../src/store/database.ts";
import type { Bench, BenchOptions } from "./frame/bench.ts";
import { addScimApp, benchKey, commandOf, must, startNode, untilDone } from "./frame/engine.ts";
import type { Ground } from "./frame/ground.ts";
import { heldMb, measure } from "./frame/meter.ts";
import { insertPeople, profileOf, rowOf } from "./frame/people.ts";
import { spawnTarget } from "./frame/target.ts";

const rate_per_s = 20;
const seconds_default = 600;
const sample_ms = 1_000;
const reconcile_ms = 60_000;
const departments = ["Sales", "Engineering", "Finance", "People", "Legal"];

type Sample = Readonly<{ at_s: number; rss_mb: number; queue_age_s: number; dead: number; live: number }>;

/** What the process holds without garbage, once it has warmed up and at the end. */
type Held = Readonly<{ at_s: number; held_mb: number }>;
type Seen = Readonly<{ samples: Sample[]; held: Held[] }>;

/** What life acts on: ids by state, kept here so that choosing whom costs no query. */
type Company = { active: string[]; gone: string[]; groups: readonly string[]; next: number; size: number };

export const bench: Bench = {
  name: "soak",
  about: "ten minutes of mixed life at a steady rate: what grows",
  default_size: 5_000,
  run: async (ground, options) => {
    const targets = await Promise.all([spawnTarget(), spawnTarget()]);
    const key = benchKey();
    const { apps, company } = await found(ground, options, key, targets);
    const node = await startNode(ground, key);
    try {
      await untilDone(ground.db);
      options.say(`${options.size} people have their accounts; life begins`);
      const samples: Sample[] = [];
      const held: Held[] = [];
      const lived = await measure(ground, () => live(ground, options, company, apps, { samples, held }));
      return { ...resultOf(options, lived, samples), ...growthOf(held) };
    } finally {
      await node.stop();
      await Promise.all(targets.map((target) => target.stop()));
    }
  },
};

/** People, five groups with a rule each, two apps given to groups, one of the groups pushed. */
async function found(
  ground: Ground,
  { size }: BenchOptions,
  key: ReturnType<typeof benchKey>,
  targets: readonly Readonly<{ url: string; token: string }>[],
) {
  const command = commandOf(ground.db);
  await insertPeople(ground.db, size);
  const groups = await must(
    createGroups(
      command,
      [...departments, "Project"].map((name) => ({ profile: { name } })),
    ),
  );
  const apps: string[] = [];
  for (const [n, { url, token }] of targets.entries())
    apps.push(await addScimApp(ground, { key, url, token, label: `App ${n + 1}` }));
  const ids = groups.map((group) => group.id);
  await must(
    assignGroups(
      command,
      apps[0] ?? "",
      ids.slice(0, 3).map((group_id) => ({ group_id })),
    ),
  );
  await must(
    assignGroups(
      command,
      apps[1] ?? "",
      ids.slice(2).map((group_id) => ({ group_id })),
    ),
  );
  for (const [n, name] of departments.entries()) {
    const expression = `user.department == "${name}"`;
    const rule = await must(createRule(command, { name, expression, group_ids: [ids[n] ?? ""] }));
    await must(activateRule(command, rule.id));
  }
  const tools = { key, check: checkConfig(true) };
  await must(createPushes(command, apps[1] ?? "", [{ group_id: ids[3] ?? "", target_name: "Pushed" }], tools));
  const { rows } = await sql<{ id: string }>`select id from users order by id`.execute(ground.db);
  const company: Company = { active: rows.map((row) => row.id), gone: [], groups: ids, next: size, size: size * 1_000 };
  return { apps, company };
}

/** Acts at a steady rate until the time is over; one that is late is made up for, so the rate is kept. */
async function live(
  ground: Ground,
  options: BenchOptions,
  company: Company,
  apps: readonly string[],
  { samples, held }: Seen,
): Promise<number> {
  const seconds = options.seconds ?? seconds_default;
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  let done = 0;
  let reconciled_at = 0;
  let sampled_at = -sample_ms;
  while (elapsed() < seconds) {
    const now_ms = elapsed() * 1000;
    if (now_ms - sampled_at >= sample_ms) {
      sampled_at = now_ms;
      samples.push({ at_s: elapsed(), ...(await look(ground.db)) });
      if (samples.length % 60 === 0) options.say(`${Math.round(elapsed())} s: ${JSON.stringify(samples.at(-1))}`);
    }
    if (held.length === 0 && elapsed() > seconds / 3) held.push({ at_s: elapsed(), held_mb: await heldMb() });
    if (now_ms - reconciled_at >= reconcile_ms) {
      reconciled_at = now_ms;
      const app_id = apps[Math.round(now_ms / reconcile_ms) % apps.length];
      await sql`update app_health set reconcile_due_at = now() where app_id = ${app_id}`.execute(ground.db);
    }
    while (done < elapsed() * rate_per_s) await act(ground.db, company, done++);
    await sleep(10);
  }
  held.push({ at_s: elapsed(), held_mb: await heldMb() });
  return done;
}

/** One act: of ten, three move, two come, two leave, one returns, two change a group. */
async function act(db: Database, company: Company, n: number): Promise<void> {
  const command = commandOf(db);
  const pick = (list: readonly string[]) => list[(n * 7_919) % Math.max(1, list.length)];
  const kind = n % 10;
  const someone = pick(company.active) ?? "";
  if (kind < 3) {
    const department = departments[(n >> 2) % departments.length] ?? "";
    await must(updateUsers(command, [{ id: someone, profile: { department, title: `Title ${n}` } }]));
  } else if (kind < 5) {
    const row = rowOf(company.next++, company.size);
    const [made] = await must(createUsers(command, [{ profile: { ...profileOf(row), department: "Sales" } }]));
    if (made) company.active.push(made.id);
  } else if (kind < 7) {
    company.active.splice(company.active.indexOf(someone), 1);
    company.gone.push(someone);
    await must(transitionUsers(command, [someone], { kind: "deactivate" }));
  } else if (kind === 7) {
    const back = company.gone.shift();
    if (back === undefined) return;
    await must(transitionUsers(command, [back], { kind: "activate" }));
    company.active.push(back);
  } else {
    const grant = {
      user_id: someone,
      group_id: company.groups.at(-1) ?? "",
      kind: "person" as const,
      source_id: "soak",
    };
    if (kind === 8) await must(grantMemberships(command, [grant]));
    else await must(revokeMemberships(command, [grant]));
  }
}

async function look(db: Database): Promise<Omit<Sample, "at_s">> {
  const { rows } = await sql<Omit<Sample, "at_s" | "rss_mb">>`
    select coalesce(extract(epoch from now() - least(
        (select min(marked_at) from dirty), (select min(due_at) from work where due_at <= now()))), 0)::float8 as queue_age_s,
      dead, live from (select sum(n_dead_tup)::int as dead, sum(n_live_tup)::int as live from pg_stat_user_tables) s`.execute(
    db,
  );
  const { queue_age_s = 0, dead = 0, live = 0 } = rows[0] ?? {};
  return { rss_mb: process.memoryUsage.rss() / 2 ** 20, queue_age_s: Math.max(0, queue_age_s), dead, live };
}

function resultOf(
  { size }: BenchOptions,
  lived: Awaited<ReturnType<typeof measure<number>>>,
  samples: readonly Sample[],
) {
  // The first third warms up: compiled code, pools, the planner's statistics.
  const settled = samples.slice(Math.floor(samples.length / 3));
  const half = Math.floor(settled.length / 2);
  const share = (some: readonly Sample[]) =>
    some.reduce((sum, { dead, live }) => sum + dead / Math.max(1, dead + live), 0) / Math.max(1, some.length);
  return {
    ...{ size, seconds: lived.seconds, rate: lived.value / lived.seconds, ceiling_rate: rate_per_s },
    ratio: lived.value / lived.seconds / rate_per_s,
    ...{ rss_peak_mb: lived.rss_peak_mb, cpu_node_s: lived.cpu_node_s, cpu_postgres_s: lived.cpu_postgres_s },
    rss_slope_mb_per_min: slope(settled.map(({ at_s, rss_mb }) => [at_s / 60, rss_mb])),
    queue_age_max_s: Math.max(...settled.map((one) => one.queue_age_s)),
    dead_tuple_ratio: share(settled.slice(half)),
    dead_tuple_ratio_before: share(settled.slice(0, half)),
  };
}

/** Sawteeth of RSS are a minute and more apart and up to 100 MB high: whether memory grows, only what is held can tell. */
function growthOf(held: readonly Held[]) {
  const [first, last] = [held[0], held.at(-1)];
  if (first === undefined || last === undefined) return {};
  const minutes = (last.at_s - first.at_s) / 60;
  return {
    ...{ held_first_mb: first.held_mb, held_last_mb: last.held_mb },
    held_slope_mb_per_min: (last.held_mb - first.held_mb) / Math.max(1e-9, minutes),
  };
}

/** Of a straight line through points, by least squares. */
function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (index: 0 | 1) => points.reduce((sum, point) => sum + point[index], 0) / Math.max(1, points.length);
  const [x, y] = [mean(0), mean(1)];
  const over = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return (
    over /
    Math.max(
      1e-9,
      points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0),
    )
  );
}
