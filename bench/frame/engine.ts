/**
 * What the benchmarks of provisioning share: SCIM apps of a company in front of a target, a node's engine over a ground
 * as `tenure serve` starts it, and waiting until it has nothing left to do.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createApp } from "../../src/directory/apps.ts";
import type { Command } from "../../src/directory/command.ts";
import { assignGroups } from "../../src/directory/groupAssignments.ts";
import { putMapping } from "../../src/directory/mappings.ts";
import { type Engine, startEngine } from "../../src/engine/loop.ts";
import { checkConfig } from "../../src/main/appTools.ts";
import { realWorld } from "../../src/main/world.ts";
import { type Database, isRefusal, sql } from "../../src/store/database.ts";
import { listenForWork } from "../../src/store/listen.ts";
import { system } from "../../src/store/log.ts";
import type { Key } from "../../src/store/secrets.ts";
import type { Ground } from "./ground.ts";
import { insertPeople } from "./people.ts";
import type { Target } from "./target.ts";

/** Twelve attributes of an account, from the user's: the mapping of every benchmark. */
const lines = {
  userName: { expression: "user.login" },
  givenName: { expression: "user.firstName" },
  familyName: { expression: "user.lastName" },
  displayName: { expression: 'user.firstName + " " + user.lastName' },
  email: { expression: "String.toLowerCase(user.email)" },
  title: { expression: "user.title" },
  userType: { expression: 'user.userType == "employee" ? "Employee" : "Contractor"' },
  employeeNumber: { expression: "user.employeeNumber" },
  department: { expression: "user.department" },
  division: { expression: "user.division" },
  costCenter: { expression: "user.costCenter" },
  country: { expression: "user.countryCode" },
};

/** A key for the credentials of a benchmark; other processes of it are given the same. */
export const benchKey = (): Key => ({ id: "bench", bytes: randomBytes(32) });

export const commandOf = (db: Database): Command => ({ db, now: () => new Date(), actor: system });

/** A command's result, or an error with the words of its refusal. */
export async function must<T>(result: Promise<T>): Promise<Exclude<T, { refused: string }>> {
  const value = await result;
  if (isRefusal(value)) throw new Error(value.refused);
  return value as Exclude<T, { refused: string }>;
}

/** `concurrency`: calls at a time; without it the default of every app. `path`: below the target's base, one per app. */
export type BenchApp = Readonly<{ label?: string; concurrency?: number; key: Key; url: string; token: string }>;

/** Makes a SCIM app with twelve mapped attributes. Gives its id. Nobody has it yet. */
export async function addScimApp(ground: Ground, app: BenchApp): Promise<string> {
  const command = commandOf(ground.db);
  const calls: Record<string, number> = app.concurrency === undefined ? {} : { concurrency: app.concurrency };
  const made = await must(
    createApp(
      command,
      {
        label: app.label ?? "Target",
        kind: "scim",
        config: { base_url: app.url, token: app.token, ...calls },
        provisioning: calls,
      },
      { key: app.key, check: checkConfig(true) },
    ),
  );
  // No reconcile in the middle of a measurement.
  await sql`update app_health set reconcile_due_at = now() + interval '1 day', reconciled_at = now()`.execute(
    ground.db,
  );
  await must(putMapping(command, made.id, "to_app", lines));
  return made.id;
}

/** Gives an app to everyone: from here on they are marked, and an engine that starts has its work. */
export async function giveToEveryone(ground: Ground, app_id: string): Promise<void> {
  await must(assignGroups(commandOf(ground.db), app_id, [{ group_id: ground.everyone }]));
}

/** A node's engine; `stop` ends what is under way and closes its connectors. `name`: how its claims begin. */
export type BenchNode = Readonly<{ engine: Engine; name: string; stop: () => Promise<void> }>;

/** Starts the engine of a node as `tenure serve` does. Errors that it survives end the benchmark: a figure with faults is none. */
export async function startNode(ground: Pick<Ground, "db" | "url" | "folder">, key: Key): Promise<BenchNode> {
  const world = realWorld(ground.db, key, { allow_private: true, folder: ground.folder });
  const engine = await startEngine(world, {
    listen: (wake) => listenForWork(ground.url, wake),
    onError: (error, what) => {
      throw new Error(`the engine met an error in ${what}`, { cause: error });
    },
  });
  return {
    engine,
    name: world.node,
    stop: async () => {
      await engine.stop();
      await world.close();
    },
  };
}

/**
 * Each look reads past all that was just deleted, a millisecond and more of PostgreSQL: these are seldom enough, until
 * little is left. What an end is found late is measured too: with 150 ms until a thousand were left, up to 0.1 of 4 seconds.
 */
const far_look_ms = 400;
const look_ms = 100;
const late_look_ms = 40;
const last_look_ms = 10;
/** No node answers so many people in half a second. */
const many = 8_000;
const little = 1_000;

/** Waits until no user is dirty and no account due; gives how many seconds each took from now on. */
export async function untilDone(db: Database): Promise<Readonly<{ desired_s: number; done_s: number }>> {
  const began = performance.now();
  let desired_s: number | undefined;
  for (;;) {
    const { rows } = await sql<{ dirty: number; due: number }>`
      select (select count(*)::int from (select from dirty limit ${many}) as many) as dirty,
        (select count(*)::int from (select from work limit ${little}) as few) as due`.execute(db);
    const { dirty = 0, due = 0 } = rows[0] ?? {};
    const done_s = (performance.now() - began) / 1000;
    if (dirty === 0) desired_s ??= done_s;
    if (dirty === 0 && due === 0) return { desired_s: desired_s ?? done_s, done_s };
    const near_ms = due === little ? late_look_ms : last_look_ms;
    await sleep(dirty === many ? far_look_ms : dirty > 0 ? look_ms : near_ms);
  }
}

/** Runs a node's engine until it has nothing left to do. */
export async function work(ground: Pick<Ground, "db" | "url" | "folder">, key: Key): Promise<void> {
  const node = await startNode(ground, key);
  try {
    await untilDone(ground.db);
  } finally {
    await node.stop();
  }
}

type BenchCompany = Readonly<{ key: Key; app_id: string }>;
type CompanyOptions = Readonly<{ size: number; concurrency: number }>;

/** A company of `size` people with one app that nobody has yet. */
export async function founded(ground: Ground, target: Target, options: CompanyOptions): Promise<BenchCompany> {
  const { size, concurrency } = options;
  const key = benchKey();
  await target.reset();
  await insertPeople(ground.db, size);
  const app_id = await addScimApp(ground, { key, url: target.url, token: target.token, concurrency });
  return { key, app_id };
}

/** A company of `size` people with one app that everyone has; nothing has been computed yet. */
export async function assigned(ground: Ground, target: Target, options: CompanyOptions): Promise<BenchCompany> {
  const company = await founded(ground, target, options);
  await giveToEveryone(ground, company.app_id);
  return company;
}

/** The ids of everyone, in order. */
export async function everyoneIn(db: Database): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`select id from users order by id`.execute(db);
  return rows.map((row) => row.id);
}

/** Throws unless the app's accounts are what they should be: `enabled` of them, all confirmed. */
export async function expectAccounts(db: Database, app_id: string, enabled: number): Promise<void> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from accounts
    where app_id = ${app_id} and external_id is not null and (have->>'enabled')::boolean and error is null`.execute(db);
  if (rows[0]?.n !== enabled) throw new Error(`${rows[0]?.n} accounts are enabled and confirmed, not ${enabled}`);
}
