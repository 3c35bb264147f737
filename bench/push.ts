/**
 * What pushing a large group costs in requests: N members into a SCIM server that takes 100 members a request, then one
 * member out, one in, and a tenth of the members exchanged, each through the engine of a node, from the command that
 * changes the group to the last packet confirmed. The people have their accounts in the app already: provisioned, as
 * in real use, by the same engine before anything is counted.
 *
 * The minimum is one request for every 100 members that change, and one that makes the group. What a first push needs
 * besides is to look whether the group is there, and to see once that the app really does what it says it did.
 *
 * The ceiling of the time is the same packets sent one after the other by a bare undici pool.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import { createGroups } from "../src/directory/groups.ts";
import { grantMemberships, revokeMemberships } from "../src/directory/memberships.ts";
import { createPushes, unlinkPushes } from "../src/directory/pushes.ts";
import { checkConfig } from "../src/main/appTools.ts";
import { type Database, sql } from "../src/store/database.ts";
import type { Bench, BenchOptions } from "./frame/bench.ts";
import {
  addScimApp,
  benchKey,
  commandOf,
  expectAccounts,
  giveToEveryone,
  must,
  startNode,
  untilDone,
} from "./frame/engine.ts";
import type { Ground } from "./frame/ground.ts";
import { type Metered, measure } from "./frame/meter.ts";
import { insertPeople } from "./frame/people.ts";
import { median, spread } from "./frame/stats.ts";
import { spawnTarget, type Target } from "./frame/target.ts";

const members_max = 100;
const look_ms = 10;

type Requests = Readonly<{ writes: number; reads: number }>;
type Step = Requests & Metered<unknown>;
type Run = Readonly<{ first: Step; one_out: Step; one_in: Step; tenth: Step; ceiling_s: number }>;

export const bench: Bench = {
  name: "push",
  about: "members of one group pushed to a SCIM app that takes 100 a request",
  default_size: 50_000,
  run: async (ground, options) => {
    const target = await spawnTarget({ max_members: members_max });
    const key = benchKey();
    try {
      const { app_id, user_ids } = await company(ground, target, options, key);
      const node = await startNode(ground, key);
      try {
        const all: Run[] = [];
        for (let n = 0; n < options.runs; n++) {
          const one = await push(ground, target, { app_id, user_ids, size: options.size, key, n });
          all.push({ ...one, ceiling_s: await ceiling(target, options.size) });
          options.say(
            `run ${n + 1}: ${one.first.writes + one.first.reads} requests in ${one.first.seconds.toFixed(1)} s`,
          );
        }
        return result(options.size, all);
      } finally {
        await node.stop();
      }
    } finally {
      await target.stop();
    }
  },
};

function result(size: number, all: readonly Run[]) {
  const [one] = all;
  const seconds = median(all.map(({ first }) => first.seconds));
  const middle = all.find(({ first }) => first.seconds === seconds)?.first;
  const requests = ({ writes, reads }: Requests) => writes + reads;
  return {
    size,
    seconds,
    rate: size / seconds,
    ceiling_rate: size / median(all.map((run) => run.ceiling_s)),
    ratio: median(all.map((run) => run.ceiling_s / run.first.seconds)),
    rss_peak_mb: Math.max(...all.map(({ first }) => first.rss_peak_mb)),
    cpu_node_s: middle?.cpu_node_s ?? 0,
    cpu_postgres_s: middle?.cpu_postgres_s ?? null,
    // The first run's are the most: later ones need not see again that the app does what it says.
    requests_first: one === undefined ? 0 : requests(one.first),
    requests_min: packets(size) + 1,
    requests_one_change: Math.max(...all.flatMap((run) => [run.one_out.writes, run.one_in.writes])),
    reads_one_change: Math.max(...all.flatMap((run) => [run.one_out.reads, run.one_in.reads])),
    requests_tenth: one === undefined ? 0 : requests(one.tenth),
    requests_tenth_min: packets(2 * half(size)),
    one_change_ms: median(all.map((run) => run.one_in.seconds * 1000)),
    tenth_s: median(all.map((run) => run.tenth.seconds)),
    first_s: spread(all.map(({ first }) => first.seconds)),
  };
}

const packets = (members: number) => Math.ceil(members / members_max);
/** A twentieth leaves and a twentieth comes: a tenth of the members changes. */
const half = (size: number) => Math.ceil(size / 20);

/** People with accounts in one app: the members, and those who come later. */
async function company(ground: Ground, target: Target, { size, say }: BenchOptions, key: ReturnType<typeof benchKey>) {
  const people = size + half(size) + 1;
  await insertPeople(ground.db, people);
  const app_id = await addScimApp(ground, { key, url: target.url, token: target.token });
  await giveToEveryone(ground, app_id);
  const node = await startNode(ground, key);
  try {
    await untilDone(ground.db);
  } finally {
    await node.stop();
  }
  await expectAccounts(ground.db, app_id, people);
  say(`${people} accounts are there`);
  const { rows } = await sql<{ id: string }>`select id from users order by id`.execute(ground.db);
  return { app_id, user_ids: rows.map((row) => row.id) };
}

type Stage = Readonly<{
  app_id: string;
  user_ids: readonly string[];
  size: number;
  key: ReturnType<typeof benchKey>;
  n: number;
}>;

async function push(ground: Ground, target: Target, stage: Stage): Promise<Omit<Run, "ceiling_s">> {
  const { app_id, user_ids, size } = stage;
  const { db } = ground;
  const command = commandOf(db);
  const [group] = await must(createGroups(command, [{ profile: { name: `Everyone in it ${stage.n}` } }]));
  const group_id = group!.id;
  await join(db, group_id, user_ids.slice(0, size));
  // What the people's own accounts have to do with the group is settled before the push is asked for.
  await untilDone(db);
  const step = async (members: number, work: () => Promise<unknown>): Promise<Step> => {
    const before = await requestsOf(target);
    const metered = await measure(ground, async () => {
      await work();
      await untilPushed(db, group_id, members);
    });
    const after = await requestsOf(target);
    return { ...metered, writes: after.writes - before.writes, reads: after.reads - before.reads };
  };
  const leave = (ids: readonly string[]) =>
    must(
      revokeMemberships(
        command,
        ids.map((user_id) => ({ user_id, group_id })),
      ),
    );
  const tools = { key: stage.key, check: checkConfig(true) };
  const first = await step(size, () => must(createPushes(command, app_id, [{ group_id }], tools)));
  const one_out = await step(size - 1, () => leave(user_ids.slice(0, 1)));
  const one_in = await step(size, () => join(db, group_id, user_ids.slice(size, size + 1)));
  const tenth = await step(size, () =>
    command.db.transaction().execute(async (trx) => {
      const inside = { ...command, db: trx };
      await must(
        revokeMemberships(
          inside,
          user_ids.slice(1, 1 + half(size)).map((user_id) => ({ user_id, group_id })),
        ),
      );
      await join(trx, group_id, user_ids.slice(size + 1, size + 1 + half(size)));
    }),
  );
  const { rows } = await sql<{ id: string }>`select id from pushed_groups where group_id = ${group_id}`.execute(db);
  await must(unlinkPushes(command, [rows[0]!.id], "delete"));
  return { first, one_out, one_in, tenth };
}

function join(db: Database, group_id: string, user_ids: readonly string[]): Promise<unknown> {
  const grants = user_ids.map((user_id) => ({ user_id, group_id, kind: "person" as const, source_id: "bench" }));
  return must(grantMemberships(commandOf(db), grants));
}

/** Requests about groups so far; whoever else is called meanwhile is not counted. */
async function requestsOf(target: Target): Promise<Requests> {
  const { requests } = await target.counts();
  const reads = requests["GET Groups"] ?? 0;
  const all = Object.entries(requests).filter(([name]) => name.endsWith(" Groups"));
  return { reads, writes: all.reduce((sum, [, count]) => sum + count, 0) - reads };
}

/** Waits until the group is pushed and rests, and throws unless the app then has so many members of it. */
async function untilPushed(db: Database, group_id: string, members: number): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ resting: boolean; error: string | null; members: number }>`
      select p.due_at is null and p.claimed_by is null and not exists (select from dirty) as resting, p.error,
        (select count(*)::int from pushed_members m where m.push_id = p.id and m.fault is null) as members
      from pushed_groups p where p.group_id = ${group_id}`.execute(db);
    const row = rows[0];
    if (row?.error) throw new Error(row.error);
    if (row?.resting) {
      if (row.members !== members) throw new Error(`${row.members} members were pushed, not ${members}`);
      return;
    }
    await sleep(look_ms);
  }
}

/** A bare client that makes a group and puts `size` members in it, packet by packet. */
async function ceiling(target: Target, size: number): Promise<number> {
  const { origin, pathname } = new URL(target.url);
  const pool = new Pool(origin, { connections: 1, pipelining: 1 });
  const headers = { authorization: `Bearer ${target.token}`, "content-type": "application/scim+json" };
  const send = async (method: "POST" | "PATCH" | "DELETE", path: string, body: unknown) => {
    const answer = await pool.request({ method, path: `${pathname}${path}`, headers, body: JSON.stringify(body) });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`the target answered ${answer.statusCode}`);
    return text === "" ? undefined : (JSON.parse(text) as { id: string });
  };
  const began = performance.now();
  const group = await send("POST", "/Groups", { displayName: "Ceiling" });
  for (let from = 0; from < size; from += members_max) {
    const value = Array.from({ length: Math.min(members_max, size - from) }, (_, n) => ({ value: `t${from + n + 1}` }));
    const Operations = [{ op: "add", path: "members", value }];
    await send("PATCH", `/Groups/${group?.id}`, {
      schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
      Operations,
    });
  }
  const seconds = (performance.now() - began) / 1000;
  await send("DELETE", `/Groups/${group?.id}`, {});
  await pool.close();
  return seconds;
}
