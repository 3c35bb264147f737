/**
 * How long a leaver keeps access: from the commit of the change in HR to the moment the last of twenty apps has received
 * the disable. 300 leavers one after the other on an idle node; then again while the same node provisions a wave of N
 * hires into one of those apps.
 *
 * The twenty apps are twenty SCIM tenants of one target process, which notes when each account was disabled.
 */
import { assignGroups } from "../src/directory/groupAssignments.ts";
import { createGroups } from "../src/directory/groups.ts";
import { createUsers } from "../src/directory/users.ts";
import { type Database, sql } from "../src/store/database.ts";
import type { Bench } from "./frame/bench.ts";
import { addScimApp, benchKey, commandOf, must, startNode, untilDone } from "./frame/engine.ts";
import { type Ground, serverAtRest } from "./frame/ground.ts";
import { letLeave } from "./frame/hr.ts";
import { measure } from "./frame/meter.ts";
import { profileOf, rowOf } from "./frame/people.ts";
import { median, waits } from "./frame/stats.ts";
import { spawnTarget, type Target } from "./frame/target.ts";

const apps = 20;
const leavers = 300;
const warm_up = 50;
/** Between two leavers on an idle node: one is over before the next begins. */
const idle_pace_ms = 100;
const wave_pace_ms = 75;
const hires_batch = 2_000;

export const bench: Bench = {
  name: "leaver",
  about: "from a leaver's last day to the last of 20 apps, idle and while N hires are provisioned",
  default_size: 50_000,
  run: async (ground, { size, runs, say }) => {
    const target = await spawnTarget();
    const company = await build(ground, target, size, runs);
    const node = await startNode(ground, company.key);
    try {
      await untilDone(ground.db);
      say("everyone has their accounts");
      await serverAtRest(ground.db);
      // A node that has just started compiles; it runs for weeks.
      await leave(ground, target, company.staff.splice(0, warm_up), idle_pace_ms);
      const idle: (readonly number[])[] = [];
      for (let run = 1; run <= runs; run++) {
        idle.push(await leave(ground, target, company.staff.splice(0, leavers), idle_pace_ms));
        say(`idle, run ${run}: ${JSON.stringify(waits(idle.at(-1) ?? []))}`);
      }
      const wave = await measure(ground, () => inWave(ground, target, company));
      const [quiet, busy] = [waits(idle.flat()), waits(wave.value.waited_ms)];
      return {
        size,
        seconds: wave.value.wave_s,
        rate: size / wave.value.wave_s,
        ceiling_rate: 1_000 / median(idle.flat()),
        ratio: busy.p95_ms / quiet.p95_ms,
        rss_peak_mb: wave.rss_peak_mb,
        cpu_node_s: wave.cpu_node_s,
        cpu_postgres_s: wave.cpu_postgres_s,
        idle: quiet,
        wave: busy,
        leavers_in_wave: wave.value.waited_ms.length,
        apps,
      };
    } finally {
      await node.stop();
      await target.stop();
    }
  },
};

type Company = Readonly<{ key: ReturnType<typeof benchKey>; hires: string; app_id: string; staff: string[] }>;

/** Staff with an account in each of twenty apps, and hires who have none yet. */
async function build(ground: Ground, target: Target, size: number, runs: number): Promise<Company> {
  const key = benchKey();
  const command = commandOf(ground.db);
  const groups = await must(createGroups(command, [{ profile: { name: "Staff" } }, { profile: { name: "Hires" } }]));
  const [staff_id = "", hires = ""] = groups.map((group) => group.id);
  const app_ids: string[] = [];
  for (let n = 1; n <= apps; n++) {
    app_ids.push(await addScimApp(ground, { key, label: `App ${n}`, url: `${target.url}/${n}`, token: target.token }));
  }
  const staff = await create(ground.db, staff_id, 0, warm_up + leavers * (runs + 1));
  await create(ground.db, hires, staff.length, size);
  for (const app_id of app_ids) await must(assignGroups(command, app_id, [{ group_id: staff_id }]));
  return { key, hires, app_id: app_ids[0] ?? "", staff };
}

async function create(db: Database, group_id: string, from: number, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at += hires_batch) {
    const people = Array.from({ length: Math.min(hires_batch, count - at) }, (_, n) => ({
      profile: profileOf(rowOf(from + at + n, from + count)),
      group_ids: [group_id],
    }));
    ids.push(...(await must(createUsers(commandOf(db), people))).map((user) => user.id));
  }
  return ids;
}

/** Lets people leave; gives for each how many ms passed from the commit until the last app was told. */
async function leave(
  ground: Ground,
  target: Target,
  user_ids: readonly string[],
  pace_ms: number,
  enough: () => boolean = () => false,
): Promise<readonly number[]> {
  const left = await letLeave({ url: ground.url, user_ids, pace_ms }, enough);
  await untilDone(ground.db);
  const disabled = await target.disabled();
  const { rows } = await sql<{ id: string; user_id: string }>`
    select id, user_id from accounts where user_id = any(${left.map((one) => one.user_id)}::text[])`.execute(ground.db);
  const accounts = Map.groupBy(rows, (row) => row.user_id);
  return left.map(({ user_id, at }) => {
    const told = (accounts.get(user_id) ?? []).map(({ id }) => disabled[id] ?? Number.NaN);
    const last = Math.max(...told);
    if (told.length !== apps || Number.isNaN(last)) throw new Error(`not every app was told that ${user_id} left`);
    return last - at;
  });
}

/** Gives all hires an app at once, and lets people leave until they all have it. */
async function inWave(ground: Ground, target: Target, { app_id, hires, staff }: Company) {
  await must(assignGroups(commandOf(ground.db), app_id, [{ group_id: hires }]));
  const began = performance.now();
  let wave_s: number | undefined;
  const wave = untilWaveDone(ground.db, app_id).then(() => {
    wave_s = (performance.now() - began) / 1000;
  });
  const waited_ms = await leave(ground, target, staff.splice(0, leavers), wave_pace_ms, () => wave_s !== undefined);
  await wave;
  return { waited_ms, wave_s: wave_s ?? Number.NaN };
}

/** Leavers come and go meanwhile, so only the hires count: nobody dirty as a wave, no account to be created. */
async function untilWaveDone(db: Database, app_id: string): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ busy: boolean }>`
      select exists (select from dirty where priority > 0)
        or exists (select from work where app_id = ${app_id} and priority > 0 and due_at is not null) as busy`.execute(
      db,
    );
    if (!rows[0]?.busy) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
