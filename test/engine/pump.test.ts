/** The pump, the collector and confirm, on a real database in memory and apps whose calls end when the test says so. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ConnectorFault } from "../../src/connectors/connector.ts";
import { priority } from "../../src/directory/command.ts";
import { createUsers } from "../../src/directory/users.ts";
import { claim, runnable } from "../../src/engine/claim.ts";
import { type Collector, collector } from "../../src/engine/collect.ts";
import { confirm } from "../../src/engine/confirm.ts";
import { desire } from "../../src/engine/desire.ts";
import { operate, type Result } from "../../src/engine/provision.ts";
import { claimer, type Leave, type Pump, pump } from "../../src/engine/pump.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import { addFakeApp, must, profileOf, type TestWorld } from "../support/world.ts";

let db: Database;
let world: TestWorld;
memoryWorld((...given) => {
  [db, world] = given;
});

/** Someone who waits at the app's door: whom the call is about, and what lets it go on. */
type Caller = Readonly<{ login: string; go: (fault?: ConnectorFault) => void }>;

type Stage = Readonly<{
  app_id: string;
  calls: Caller[];
  pump: Pump;
  results: Result[];
  collector: Collector;
  errors: string[];
  leave: (more?: Partial<Leave>) => Leave;
}>;

type StageOptions = Readonly<{
  concurrency?: number;
  rate_per_s?: number;
  standsBack?: (urgency: number) => boolean;
  /** So many accounts share a call. */
  together?: number;
}>;

/** An app that `logins` are to get, whose searches wait for the test; and a pump for it. */
async function stage(logins: readonly string[], options: StageOptions = {}) {
  const { concurrency = 1, rate_per_s = null } = options;
  const app_id = await addFakeApp(world, { provisioning: { concurrency, rate_per_s } });
  const calls: Caller[] = [];
  const { connector } = world.fakes.get(app_id)!;
  world.connectors.set(app_id, {
    ...connector,
    ...(options.together === undefined ? {} : { together: () => options.together ?? 1 }),
    find: (ctx, key) =>
      new Promise((resolve, reject) => {
        const go = (fault?: ConnectorFault) => (fault ? reject(fault) : resolve(connector.find(ctx, key)));
        calls.push({ login: key.value, go });
      }),
  });
  await hire(app_id, logins);
  const errors: string[] = [];
  const results: Result[] = [];
  const gathered = collector(world, {
    wait: () => Promise.resolve(),
    released: () => Promise.resolve(),
    quiet: () => false,
    coming: () => true,
    confirmed: (batch) => {
      for (const { fault } of batch) if (fault?.kind === "denied") one.release();
      one.step();
    },
    onError: (error, what) => errors.push(`${what}: ${error}`),
  });
  const one = pump(world, app_id, {
    done: (result) => {
      results.push(result);
      gathered.add(result);
    },
    full: gathered.full,
    standsBack: options.standsBack ?? (() => false),
    claims: claimer(world),
    onError: (error, what) => errors.push(`${what}: ${error}`),
  });
  const leave = (more: Partial<Leave> = {}): Leave => ({ concurrency, version: "1", urgency: priority.wave, ...more });
  return { app_id, calls, pump: one, results, collector: gathered, errors, leave } satisfies Stage;
}

/** Hires people for the app of a stage and claims their accounts as they are decided. */
const hireFor = (s: Pick<Stage, "app_id">, logins: readonly string[], places: number) => hire(s.app_id, logins, places);

async function hire(app_id: string, logins: readonly string[], places = 0) {
  const users = await must(
    createUsers(
      world.command,
      logins.map((name) => ({ profile: profileOf(name, "X") })),
    ),
  );
  await sql`
    insert into assignment_grants (user_id, app_id, kind, source_id)
    select id, ${app_id}, 'person', 'test' from unnest(${users.map((user) => user.id)}::text[]) as id`.execute(db);
  await sql`update dirty set priority = ${priority.wave}`.execute(db);
  return (await desire(world, 1_000, { places: () => places })).claimed;
}

const login = (name: string) => `${name.toLowerCase()}.x@example.com`;

async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 500; turn++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`waited in vain until ${what}`);
}

const left = async () => (await sql<{ n: number }>`select count(*)::int as n from work`.execute(db)).rows[0]?.n ?? 0;

describe("the pump of an app", () => {
  test("works off all that is due, never with more calls at a time than it may", async () => {
    const names = Array.from({ length: 40 }, (_, n) => `P${n}`);
    const s = await stage(names, { concurrency: 4 });
    let most = 0;
    s.pump.kick(s.leave());
    await until("everyone is there", async () => {
      most = Math.max(most, s.calls.length);
      for (const call of s.calls.splice(0)) call.go();
      return (await left()) === 0;
    });
    expect(most).toBeLessThanOrEqual(4);
    expect(world.fakes.get(s.app_id)?.accounts.size).toBe(40);
    expect(s.errors).toEqual([]);
    await s.pump.stop();
  });

  test.each([
    ["fast", 0.2, 4, 80],
    ["slow", 50, 4, 4],
    ["fast, and being probed", 0.2, 1, 1],
  ])(
    "has as many accounts under way, where the app takes many in a call, as it gets through: %s",
    async (_name, ms, concurrency, expected) => {
      const s = await stage(
        Array.from({ length: 300 }, (_, n) => `P${n}`),
        { concurrency: 4, together: 20 },
      );
      let most = 0;
      s.pump.kick(s.leave({ concurrency }));
      await until("everyone is there", async () => {
        most = Math.max(most, s.calls.length);
        world.clock.advance(Math.ceil(s.calls.length * ms));
        for (const call of s.calls.splice(0)) call.go();
        return (await left()) === 0;
      });
      expect(most).toBe(expected);
      expect(world.fakes.get(s.app_id)?.accounts.size).toBe(300);
      await s.pump.stop();
    },
  );

  test("calls first for who is more urgent, before those it had already claimed", async () => {
    const names = Array.from({ length: 150 }, (_, n) => `P${n}`);
    const s = await stage(names, { concurrency: 2 });
    const claimed = async () => {
      const { rows } = await sql<{ n: number }>`
        select count(*)::int as n from work where claimed_until is not null`.execute(db);
      return rows[0]?.n ?? 0;
    };
    s.pump.kick(s.leave());
    // At one account a millisecond, a tenth of a second is a hundred accounts.
    await until("as many are claimed ahead as the app gets through", async () => {
      world.clock.advance(s.calls.length);
      for (const call of s.calls.splice(0)) call.go();
      return (await claimed()) > 80;
    });
    await until("the app is asked again", () => s.calls.length === 2);
    await hire(s.app_id, ["Leaver"]);
    await sql`update work set priority = ${priority.leaver} where user_id = (select max(id) from users)`.execute(db);
    s.pump.kick(s.leave({ urgency: priority.leaver }));
    await until("the leaver is claimed", async () => {
      const { rows } = await sql<{ held: boolean }>`
        select claimed_until is not null as held from work where priority = ${priority.leaver}`.execute(db);
      return rows[0]?.held === true;
    });
    s.calls[0]?.go();
    await until("the next is asked about", () => s.calls.length === 3);
    expect(s.calls[2]?.login).toBe(login("Leaver"));
    const stopped = s.pump.stop();
    for (const call of s.calls) call.go();
    await stopped;
  });

  test("begins nothing of a wave that stands back, but a leaver's call all the same, and the wave's when it may", async () => {
    let back = true;
    const s = await stage(["Hire", "Leaver"], { standsBack: (urgency) => back && urgency >= priority.wave });
    s.pump.kick(s.leave());
    await sql`update work set priority = ${priority.leaver} where user_id = (select max(id) from users)`.execute(db);
    expect(s.calls).toEqual([]);
    s.pump.kick(s.leave({ urgency: priority.leaver }));
    await until("the leaver is asked about", () => s.calls.length === 1);
    expect(s.calls[0]?.login).toBe(login("Leaver"));
    s.calls[0]?.go();
    await until("the leaver is done", async () => (await left()) === 1);
    expect(s.calls).toHaveLength(1);
    back = false;
    s.pump.kick(s.leave());
    await until("the hire is asked about", () => s.calls.length === 2);
    s.calls[1]?.go();
    await s.pump.stop();
  });

  test("takes what was claimed for it by whoever decided, and calls first for who is more urgent", async () => {
    const s = await stage(["First"], { concurrency: 2 });
    s.pump.kick(s.leave());
    await until("the first is asked about", () => s.calls.length === 1);
    s.pump.take(await hireFor(s, ["Hire", "Other"], 10));
    expect(s.calls.map((call) => call.login)).toEqual(["First", "Hire"].map(login));
    const [urgent] = await hireFor(s, ["Urgent"], 10);
    s.pump.take(urgent ? [{ ...urgent, priority: priority.leaver }] : []);
    s.calls[0]?.go();
    await until("the next is asked about", () => s.calls.length === 3);
    expect(s.calls[2]?.login).toBe(login("Urgent"));
    await until("everyone is there", async () => {
      for (const call of s.calls.splice(0)) call.go();
      return (await left()) === 0;
    });
    expect(world.fakes.get(s.app_id)?.accounts.size).toBe(4);
    await s.pump.stop();
  });

  test("has room for new accounts only as long as a dispatch may be believed, and no more than it gets through soon", async () => {
    const s = await stage(["First"], { concurrency: 2 });
    expect(s.pump.room()).toBe(0);
    s.pump.kick(s.leave());
    await until("the first is asked about", () => s.calls.length === 1);
    expect(s.pump.room()).toBe(1);
    s.pump.take(await hireFor(s, ["Hire", "Other"], 10));
    expect(s.pump.room()).toBeLessThanOrEqual(0);
    for (const call of s.calls.splice(0)) call.go();
    await until("the others are asked about", () => s.calls.length > 0);
    s.pump.kick(s.leave({ concurrency: 1 }));
    expect(s.pump.room()).toBe(0);
    s.pump.kick(s.leave({ concurrency: 20 }));
    expect(s.pump.room()).toBeGreaterThan(0);
    world.clock.advance(2_001);
    expect(s.pump.room()).toBe(0);
    const stopped = s.pump.stop();
    for (const call of s.calls.splice(0)) call.go();
    await stopped;
  });

  test.each<[string, StageOptions, ConnectorFault | undefined]>([
    ["is called at a rate, which claims count", { rate_per_s: 100, concurrency: 2 }, undefined],
    ["refuses everyone", { concurrency: 2 }, new ConnectorFault("denied", "no")],
  ])("has no room for new accounts of an app that %s", async (_name, options, fault) => {
    const s = await stage(["A", "B"], options);
    s.pump.kick(s.leave());
    await until("both are asked about", () => s.calls.length === 2);
    if (fault) s.calls[0]?.go(fault);
    await until("it has been heard", () => fault === undefined || s.results.length > 0);
    expect(s.pump.room()).toBeLessThanOrEqual(0);
    s.calls[1]?.go();
    if (!fault) s.calls[0]?.go();
    await s.pump.stop();
  });

  test.each([
    ["fast", 0.5, true],
    ["slow", 20, false],
  ])("asks to be given no more when it has plenty, if it is %s", async (_name, ms, expected) => {
    const names = Array.from({ length: 700 }, (_, n) => `P${n}`);
    const s = await stage(names.slice(0, 40), { concurrency: 4, together: 20 });
    s.pump.kick(s.leave());
    await until("the first are there", async () => {
      world.clock.advance(Math.ceil(s.calls.length * ms));
      for (const call of s.calls.splice(0)) call.go();
      return (await left()) === 0;
    });
    s.pump.kick(s.leave());
    expect([s.pump.room() > 4, s.pump.fed()]).toEqual([true, false]);
    const claimed = await hireFor(s, names.slice(40), 660);
    s.pump.take(claimed);
    expect([claimed.length, s.pump.fed()]).toEqual([660, expected]);
    const stopped = s.pump.stop();
    for (const call of s.calls.splice(0)) call.go();
    await stopped;
  });

  test("gives back what it is given after its end", async () => {
    const s = await stage(["First"]);
    s.pump.kick(s.leave());
    await until("the first is asked about", () => s.calls.length === 1);
    const claimed = await hireFor(s, ["Hire", "Other"], 10);
    const stopped = s.pump.stop();
    s.calls[0]?.go();
    await stopped;
    s.pump.take(claimed);
    await s.collector.flush();
    expect(await claim({ ...world, node: "other" }, [{ app_id: s.app_id, n: 10 }])).toHaveLength(2);
  });

  test("gives back what it has not begun when it stops, and another node claims it at once", async () => {
    const s = await stage(["A", "B", "C", "D", "E", "F"], { concurrency: 2 });
    s.pump.kick(s.leave());
    await until("two are asked about", () => s.calls.length === 2);
    const stopped = s.pump.stop();
    for (const call of s.calls) call.go();
    await stopped;
    await s.collector.flush();
    expect(s.results.filter(({ ended }) => ended === "done")).toHaveLength(2);
    const other = await claim({ ...world, node: "other" }, [{ app_id: s.app_id, n: 10 }]);
    expect(other).toHaveLength(4);
  });

  test("calls no more for an app that refuses everyone, and looks again only when that is on record", async () => {
    const s = await stage(["A", "B", "C", "D"]);
    s.pump.kick(s.leave());
    await until("the first is asked about", () => s.calls.length === 1);
    s.calls[0]?.go(new ConnectorFault("denied", "the token has expired"));
    await until("the refusal is on record", async () => {
      const { rows } = await sql<{
        paused: boolean;
      }>`select paused_until is not null as paused from app_health`.execute(db);
      return rows[0]?.paused === true;
    });
    await s.collector.flush();
    expect(await runnable(world)).toEqual([]);
    expect(s.calls).toHaveLength(1);
    await s.pump.stop();
  });

  test("makes one claim for all apps that are kicked together", async () => {
    let claims = 0;
    const counted = claimer({
      ...world,
      get db() {
        claims++;
        return world.db;
      },
    });
    const asked = await Promise.all(["a", "b", "c"].map((app_id) => counted.ask(app_id, 3)));
    expect(asked).toEqual([[], [], []]);
    expect(claims).toBe(1);
  });

  test("takes no more than the app's rate allows, and puts back what it did not need", async () => {
    const s = await stage(["A", "B"], { concurrency: 10, rate_per_s: 5 });
    await sql`update app_health set tokens = 5, refilled_at = ${world.now()}::timestamptz`.execute(db);
    s.pump.kick(s.leave());
    await until("both are asked about", () => s.calls.length === 2);
    const { rows } = await sql<{ tokens: number }>`select tokens from app_health`.execute(db);
    expect(rows[0]?.tokens).toBe(3);
    for (const call of s.calls) call.go();
    await s.pump.stop();
  });
});

/** What is known of each account by the order of their ids, and what its work row says. */
async function held() {
  const { rows } = await sql`
    select a.external_id, a.have, a.have_revision = a.want_revision as current, w.unsure
    from accounts a left join work w on w.account_id = a.id order by a.external_id`.execute(db);
  return rows;
}

describe("the collector", () => {
  /** Those who were confirmed while a leaver's turn holds the waves up, and those who were after it. */
  async function confirmedOf(priorities: readonly number[]) {
    const s = await stage(priorities.map((_, n) => `P${n}`));
    const claimed = await claim(world, [{ app_id: s.app_id, n: priorities.length }]);
    const turn = Promise.withResolvers<void>();
    const confirmed: string[] = [];
    const gathered = collector(world, {
      wait: () => Promise.resolve(),
      released: () => turn.promise,
      quiet: () => false,
      coming: () => true,
      confirmed: (batch) => confirmed.push(...batch.map((result) => result.claimed.login)),
      onError: (error) => confirmed.push(`${error}`),
    });
    for (const [n, one] of claimed.entries()) {
      const have = { enabled: true, profile: {} };
      const turned = { ...one, priority: priorities[n] ?? 0 };
      gathered.add({ claimed: turned, ended: "done", external_id: one.login, have, operations: [] });
    }
    await sleep(200);
    const during = confirmed.length;
    turn.resolve();
    await until("all are confirmed", () => confirmed.length === priorities.length);
    return { during, after: confirmed.length - during };
  }

  test.each([
    ["confirms nothing of a wave in a leaver's turn", [priority.wave, priority.scan], { during: 0, after: 2 }],
    ["confirms a leaver with all who wait", [priority.wave, priority.leaver], { during: 2, after: 0 }],
  ])("%s", async (_, priorities, expected) => {
    expect(await confirmedOf(priorities)).toEqual(expected);
  });
});

describe("a confirm", () => {
  test("leaves an account's fault as it was when the claim lapsed before a write", async () => {
    const s = await stage(["A"]);
    await sql`
      update work set fault = 'retry', fault_detail = 'the app was down', attempts = 3,
        first_fault_at = ${world.now()}::timestamptz`.execute(db);
    await sql`update accounts set error = 'the app was down'`.execute(db);
    const [claimed] = await claim(world, [{ app_id: s.app_id, n: 1 }]);
    const lapsed: Result = { claimed: claimed!, ended: "lapsed", external_id: null, have: null, operations: [] };
    expect(await confirm(world, [lapsed])).toEqual({ refused: [], due: 1 });
    const { rows } = await sql`
      select fault, fault_detail, attempts, unsure, claimed_by, (select error from accounts) as error from work`.execute(
      db,
    );
    expect(rows).toEqual([
      {
        fault: "retry",
        fault_detail: "the app was down",
        attempts: 3,
        unsure: true,
        claimed_by: null,
        error: "the app was down",
      },
    ]);
  });

  test("says how many accounts are due again at once: refused ones, and those whose want has moved", async () => {
    const s = await stage(["A", "B", "C"]);
    const claimed = await claim(world, [{ app_id: s.app_id, n: 3 }]);
    const [a, b, c] = claimed.map(
      (one): Result => ({
        claimed: one,
        ended: "done",
        external_id: `x-${one.login}`,
        have: { enabled: true, profile: {} },
        operations: [],
      }),
    );
    await sql`update work set revision = revision + 1 where account_id = ${a?.claimed.account_id}`.execute(db);
    await sql`update work set claimed_by = 'other' where account_id = ${b?.claimed.account_id}`.execute(db);
    expect(await confirm(world, [a!, b!, c!])).toEqual({ refused: [b?.claimed.account_id], due: 2 });
  });

  test("writes down what the app holds, whether or not it is what was asked for", async () => {
    const s = await stage(["A", "B"]);
    // Made ahead of a first day: a mark of what is wanted, which no app holds.
    await sql`update accounts set want = want || '{"early": true}'`.execute(db);
    const claimed = await claim(world, [{ app_id: s.app_id, n: 2 }]);
    const other = { enabled: true, profile: { userName: "somebody else" } };
    const [a, b] = claimed.map(
      (one, n): Result => ({
        claimed: one,
        ended: "done",
        external_id: `x-${one.login}`,
        have: n === 0 ? { enabled: one.want!.enabled, profile: { ...one.want!.profile } } : other,
        operations: [],
      }),
    );
    await confirm(world, [a!, b!]);
    expect(await held()).toEqual([
      { external_id: a!.external_id, have: a!.have, current: true, unsure: null },
      { external_id: b!.external_id, have: other, current: true, unsure: null },
    ]);
  });

  test("believes nothing of an account whose want has moved meanwhile but its id, so that it is read first", async () => {
    const s = await stage(["A"]);
    const [claimed] = await claim(world, [{ app_id: s.app_id, n: 1 }]);
    const { enabled, profile } = claimed!.want!;
    const moved = { ...claimed!.want!, profile: { userName: "another name" } };
    await sql`update accounts set want = ${JSON.stringify(moved)}::jsonb, want_revision = want_revision + 1`.execute(
      db,
    );
    await sql`update work set revision = revision + 1`.execute(db);
    const have = { enabled, profile };
    expect(
      await confirm(world, [{ claimed: claimed!, ended: "done", external_id: "x1", have, operations: [] }]),
    ).toEqual({ refused: [], due: 1 });
    expect(await held()).toEqual([{ external_id: "x1", have: null, current: false, unsure: true }]);
  });
});

test("that our own database was away while an account was looked up is no fault of the app's", async () => {
  const s = await stage(["A"]);
  world.fakes.get(s.app_id)?.put({ profile: { userName: login("A") }, enabled: true });
  const [claimed] = await claim(world, [{ app_id: s.app_id, n: 1 }]);
  const away = openDatabase("postgres://nobody@127.0.0.1:1/nothing");
  const operated = operate({ ...world, db: away }, await world.app(s.app_id), claimed!);
  await until("the app was asked", () => s.calls.length === 1);
  s.calls[0]?.go();
  expect(await operated).toMatchObject({ ended: "lapsed", operations: [] });
  await away.destroy();
});
