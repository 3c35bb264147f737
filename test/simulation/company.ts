/**
 * The simulated company: three people, two groups, one rule, two apps in memory, and workers that can be stopped between
 * any two calls. It keeps a model of what people asked for beside the real thing, for oracle.ts to judge by.
 *
 * A worker's operation halts before each call to an app and waits to be let through (`release`), so that claims, calls,
 * confirms, crashes and the clock interleave in any order, one database statement at a time.
 */
import type { Connector, Context } from "../../src/connectors/connector.ts";
import { type FakeApp, type FakeFault, type FakeScript, fakeApp } from "../../src/connectors/fake/connector.ts";
import { assignGroups } from "../../src/directory/groupAssignments.ts";
import { createGroups } from "../../src/directory/groups.ts";
import { activateRule, createRule } from "../../src/directory/rules.ts";
import { createUsers } from "../../src/directory/users.ts";
import { type Claimed, claim, runnable } from "../../src/engine/claim.ts";
import { confirm } from "../../src/engine/confirm.ts";
import { confirmPush } from "../../src/engine/confirmPush.ts";
import { desire } from "../../src/engine/desire.ts";
import { type ClaimedPush, claimPushes, operatePush, type PushResult } from "../../src/engine/groupPush.ts";
import { operate, type Result } from "../../src/engine/provision.ts";
import type { Bug, EngineApp } from "../../src/engine/world.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { wipe } from "../support/memory.ts";
import { addFakeApp, admin, manualClock, must, seeded, type TestWorld, testWorld } from "../support/world.ts";

/** What people asked for, as plain facts. */
export type Person = {
  id: string;
  login: string;
  logins: string[];
  department: string;
  status: "ACTIVE" | "SUSPENDED" | "DEPROVISIONED";
  /** Groups given by hand. */
  groups: Set<number>;
  own: Set<number>;
  /** Apps the person was ever entitled to. */
  ever: Set<number>;
};

/** An operation under way: it waits before a call, or has ended. */
type Flight = {
  worker: number;
  what: Claimed | ClaimedPush;
  /** Lets the next call through. */
  go: (() => void) | null;
  ended: Result | PushResult | null;
  /** Told whenever it halts or ends. */
  moved: () => void;
};

export type FaultMix = Readonly<Partial<Record<FakeFault["kind"], number>>>;

export type Company = {
  world: TestWorld;
  people: Person[];
  groups: string[];
  apps: string[];
  fakes: FakeApp[];
  rule: { id: string; department: string };
  flights: Flight[];
  deadlines: { at: number; controller: AbortController }[];
  /** Something happened that only a reconcile can see. */
  needs_reconcile: boolean;
  /** Replies or reads so late that a person may have had two names at once in an app. */
  lagging: boolean;
  faults_on: boolean;
  steps: number;
};

export const workers = 2;
const departments = ["Sales", "Engineering"] as const;

/** Which groups give which app, and which group is pushed where: group 1 both grants app 1 and is pushed to it. */
export const grants: readonly (readonly number[])[] = [[0], [0, 1]];
export const pushes: readonly Readonly<{ app: number; group: number }>[] = [
  { app: 0, group: 0 },
  { app: 1, group: 1 },
];

/** What every run starts from: made once per database, because making it costs more than a whole run. */
type Ground = { apps: string[]; groups: string[]; rule_id: string; runs: number };

const grounds = new WeakMap<Database, Ground>();

async function makeGround(db: Database): Promise<Ground> {
  await wipe(db);
  const world = await testWorld(db);
  const { command } = world;
  const apps: string[] = [];
  for (const n of [0, 1])
    apps.push(
      await addFakeApp(world, { label: `App ${n}`, provisioning: { password: "random", reconcile_hours: 8_784 } }),
    );
  const groups = (
    await must(createGroups(command, [{ profile: { name: "Group 0" } }, { profile: { name: "Group 1" } }]))
  ).map((group) => group.id);
  for (const [app, some] of grants.entries()) {
    await must(
      assignGroups(
        command,
        apps[app] ?? "",
        some.map((group) => ({ group_id: groups[group] ?? "" })),
      ),
    );
  }
  const rule = await must(
    createRule(command, { name: "By department", expression: ruleText(departments[0]), group_ids: [groups[1] ?? ""] }),
  );
  await must(activateRule(command, rule.id));
  return { apps, groups, rule_id: rule.id, runs: 0 };
}

/** Takes away what a run has left, and puts the rule and the pushes back as they were. */
async function clear(db: Database, ground: Ground, now: Date): Promise<void> {
  // Without vacuum every table would be read through the dead rows of a thousand runs.
  if (ground.runs++ % 40 === 39) await sql`vacuum`.execute(db);
  for (const table of [
    "users",
    "pushed_groups",
    "events",
    "operations",
    "tasks",
    "orphans",
    "nodes",
    "users_history",
    "membership_grants_history",
    "assignment_grants_history",
    "accounts_history",
  ]) {
    await sql`delete from ${sql.table(table)}`.execute(db);
  }
  await sql`update app_health set paused_until = null, pause_fault = null, pause_reason = null, faults_in_row = 0`.execute(
    db,
  );
  await sql`update rules set expression = ${ruleText(departments[0])}, due_at = null, claimed_until = null`.execute(db);
  for (const { app, group } of pushes) {
    await sql`
      insert into pushed_groups (app_id, group_id, mode, due_at)
      values (${ground.apps[app]}, ${ground.groups[group]}, 'create', ${now}::timestamptz)`.execute(db);
  }
}

export const ruleText = (department: string) => `user.department == "${department}"`;

/** The company at the beginning of a run. `mix`: probability of each fault per call. */
export async function buildCompany(
  db: Database,
  seed: number,
  mix: FaultMix,
  bugs: ReadonlySet<Bug>,
): Promise<Company> {
  const ground = grounds.get(db) ?? (await makeGround(db));
  grounds.set(db, ground);
  const random = seeded(seed);
  const clock = manualClock();
  await sql`update clock set fixed_at = ${clock.now()}::timestamptz`.execute(db);
  await clear(db, ground, clock.now());
  const world = await testWorld(db, { seed, bugs, clock, prepared: true });
  const company: Company = {
    world,
    people: [],
    groups: ground.groups,
    apps: ground.apps,
    fakes: [],
    rule: { id: ground.rule_id, department: departments[0] },
    flights: [],
    deadlines: [],
    needs_reconcile: false,
    lagging: false,
    faults_on: false,
    steps: 0,
  };
  const deadline = (at: Date) => {
    const controller = new AbortController();
    if (!bugs.has("late_calls")) company.deadlines.push({ at: at.getTime(), controller });
    return controller.signal;
  };
  Object.assign(world, { deadline });
  const script: FakeScript = () => drawFault(company, random, mix);
  for (const [n, app_id] of ground.apps.entries()) {
    // The second app takes two accounts of one name, as some do.
    const fake = fakeApp({ now: world.now, script, unique: n === 0 });
    world.fakes.set(app_id, fake);
    // One account a page, so that a pager that repeats or skips really hides some.
    const list: Connector["list"] = (ctx, page) => fake.connector.list(ctx, { ...page, limit: 1 });
    world.connectors.set(app_id, { ...fake.connector, list });
    company.fakes.push(fake);
  }
  await hirePeople(company);
  company.faults_on = true;
  return company;
}

async function hirePeople(company: Company): Promise<void> {
  const people = ["ada", "bo", "cy"].map((name, n) => ({ name, department: departments[n % 2] ?? "Sales" }));
  const users = await must(
    createUsers(
      company.world.command,
      people.map(({ name, department }) => ({
        profile: {
          login: `${name}@example.com`,
          email: `${name}@example.com`,
          firstName: name,
          lastName: "Test",
          department,
        },
        activate: true,
      })),
    ),
  );
  company.people = users.map((user, n) => ({
    id: user.id,
    login: user.login,
    logins: [user.login],
    department: people[n]?.department ?? "Sales",
    status: "ACTIVE",
    groups: new Set(),
    own: new Set(),
    ever: new Set(),
  }));
}

function drawFault(company: Company, random: () => number, mix: FaultMix): FakeFault | undefined {
  if (!company.faults_on) return undefined;
  let point = random();
  for (const [kind, probability] of Object.entries(mix) as [FakeFault["kind"], number][]) {
    point -= probability;
    if (point >= 0) continue;
    if (kind === "slow" || kind === "stale_read") {
      company.needs_reconcile = true;
      company.lagging = true;
    }
    return kind === "rate_limit" ? { kind, after_ms: 5_000 } : { kind };
  }
  return undefined;
}

/** A worker claims due accounts, or pushes, and starts on them; each halts before its first call. */
export async function start(company: Company, worker: number, n: number): Promise<void> {
  const world = { ...company.world, node: `worker-${worker}` };
  const apps = await runnable(world);
  const claimed = await claim(
    world,
    apps.map(({ app_id }) => ({ app_id, n })),
  );
  for (const one of claimed) await launch(company, worker, one, (app) => operate(world, app, one));
}

/** A worker decides on people, claims as many new accounts at once as it has places for, and starts on them. */
export async function startNew(company: Company, worker: number, places: number): Promise<void> {
  const world = { ...company.world, node: `worker-${worker}` };
  const { claimed } = await desire(world, 10, { places: () => places });
  for (const one of claimed) await launch(company, worker, one, (app) => operate(world, app, one));
}

export async function startPushes(company: Company, worker: number): Promise<void> {
  const world = { ...company.world, node: `worker-${worker}` };
  for (const app_id of company.apps) {
    for (const one of await claimPushes(world, app_id, 1))
      await launch(company, worker, one, (app) => operatePush(world, app, one));
  }
}

async function launch(
  company: Company,
  worker: number,
  what: Claimed | ClaimedPush,
  begin: (app: EngineApp) => Promise<Result | PushResult>,
): Promise<void> {
  const flight: Flight = { worker, what, go: null, ended: null, moved: () => {} };
  const app = await company.world.app(what.app_id);
  const halted = new Promise<void>((resolve) => {
    flight.moved = resolve;
  });
  company.flights.push(flight);
  void begin({ ...app, connector: gated(app.connector, flight) }).then((result) => {
    flight.ended = result;
    flight.moved();
  });
  await halted;
}

/** The connector with a gate before every call. */
function gated(connector: Connector, flight: Flight): Connector {
  const gate = () =>
    new Promise<void>((resolve) => {
      flight.go = resolve;
      flight.moved();
    });
  const wrap =
    <A extends [Context, ...unknown[]], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await gate();
      return call(...args);
    };
  const groups = connector.groups;
  return {
    ...connector,
    read: wrap(connector.read),
    find: wrap(connector.find),
    create: wrap(connector.create),
    update: wrap(connector.update),
    delete: wrap(connector.delete),
    ...(groups
      ? {
          groups: {
            ...groups,
            read: wrap(groups.read),
            find: wrap(groups.find),
            members: wrap(groups.members),
            create: wrap(groups.create),
            rename: wrap(groups.rename),
            change: wrap(groups.change),
            delete: wrap(groups.delete),
          },
        }
      : {}),
  };
}

/** Lets one waiting operation (of one worker) make its next call; false: none waits. */
export async function release(company: Company, index: number, worker?: number): Promise<boolean> {
  const waiting = company.flights.filter((one) => one.go !== null && (worker === undefined || one.worker === worker));
  const flight = waiting[index % Math.max(1, waiting.length)];
  if (flight?.go == null) return false;
  const go = flight.go;
  flight.go = null;
  const halted = new Promise<void>((resolve) => {
    flight.moved = resolve;
  });
  go();
  await halted;
  return true;
}

/** A worker confirms what has ended. */
export async function confirmWorker(company: Company, worker: number): Promise<void> {
  const world = { ...company.world, node: `worker-${worker}` };
  const ended = company.flights.filter((flight) => flight.worker === worker && flight.ended !== null);
  company.flights = company.flights.filter((flight) => !ended.includes(flight));
  const results = ended.flatMap((flight) => (flight.ended && "operations" in flight.ended ? [flight.ended] : []));
  await confirm(world, results);
  for (const flight of ended) if (flight.ended && "added" in flight.ended) await confirmPush(world, flight.ended);
}

/** A worker dies: whatever it was doing is forgotten; what its calls did stays done. */
export function crash(company: Company, worker: number): void {
  company.flights = company.flights.filter((flight) => flight.worker !== worker);
}

/** Time passes; deadlines that lie behind now abort their calls. */
export async function pass(company: Company, ms: number): Promise<void> {
  company.world.clock.advance(ms);
  const now = company.world.now().getTime();
  for (const { at, controller } of company.deadlines) if (at <= now) controller.abort();
  company.deadlines = company.deadlines.filter(({ at }) => at > now);
  await sql`update clock set fixed_at = ${company.world.now()}::timestamptz`.execute(company.world.db);
}

export { admin, departments };
