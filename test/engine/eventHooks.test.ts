/** Telling event hooks, on a real PostgreSQL (only there do transactions overlap) and real receivers. */
import { createHmac } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { replayEventHook } from "../../src/directory/eventHookDeliveries.ts";
import {
  activateEventHook,
  createEventHook,
  deactivateEventHook,
  type EventHook,
  type EventHookWish,
  getEventHook,
  markVerified,
  replaceEventHook,
} from "../../src/directory/eventHooks.ts";
import { listTasks } from "../../src/directory/tasks.ts";
import { claimEventHooks } from "../../src/engine/eventHookPlaces.ts";
import { challengeHook, tellAgain, tellHook } from "../../src/engine/eventHooks.ts";
import { startEngine } from "../../src/engine/loop.ts";
import { eventHookForm } from "../../src/server/okta/eventHookForm.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { appendEvent, appendEvents } from "../../src/store/log.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { wipe } from "../support/memory.ts";
import { test_key } from "../support/outside.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { admin, must, secondNode, type TestWorld, testWorld } from "../support/world.ts";

const word = "a-very-secret-word";
let database: TestDatabase;
let db: Database;
let world: TestWorld;
let receivers: Receiver[] = [];

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url);
  await migrate(db);
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});
beforeEach(async () => {
  await wipe(db);
  world = await testWorld(db);
});
afterEach(async () => {
  await Promise.all(receivers.map((one) => one.stop()));
  receivers = [];
});

async function receiver(): Promise<Receiver> {
  const made = await startReceiver();
  receivers.push(made);
  return made;
}

const wishOf = (to: Receiver, more: Partial<EventHookWish> = {}): EventHookWish => ({
  ...{ name: "Billing", description: null, event_types: ["test.note"], filters: null, url: `${to.url}/in` },
  ...{ headers: [{ key: "X-Team", value: "ops" }], secret_header: "Authorization", secret: word },
  ...more,
});

/** A hook that is verified. */
async function hookTo(to: Receiver, more: Partial<EventHookWish> = {}): Promise<EventHook> {
  const made = await must(createEventHook(world.command, test_key, wishOf(to, more), "http://tenure.test"));
  return must(markVerified(world.command, made.id, made.channel));
}

const note = (on: Database, reason: string, type = "test.note") =>
  appendEvent(on, world.now(), { type, actor: admin, reason, targets: [{ id: "00u1", type: "User", name: "Ann" }] });

/** One turn of the loop. */
async function turn(of: TestWorld = world): Promise<number> {
  const claimed = await claimEventHooks(of);
  await Promise.all(claimed.map((one) => tellHook(of, eventHookForm, one)));
  return claimed.length;
}

const deliveries = async () =>
  (await db.selectFrom("event_hook_deliveries").selectAll().orderBy("id").execute()).map((row) => ({
    ...row,
    seqs: row.seqs.map(Number),
  }));

/** A transaction that has begun and done `work`; what is given back does `last` in it and commits. */
async function slowly(
  work: (trx: Database) => Promise<unknown>,
  last: (trx: Database) => Promise<unknown> = () => Promise.resolve(),
): Promise<() => Promise<void>> {
  const [gate, started] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const whole = db.transaction().execute(async (trx) => {
    await work(trx);
    started.resolve();
    await gate.promise;
    await last(trx);
  });
  await started.promise;
  return () => {
    gate.resolve();
    return whole;
  };
}

describe("a delivery", () => {
  test("is Okta's envelope around events as the log gives them, with the secret, the headers and a signature", async () => {
    const to = await receiver();
    const hook = await hookTo(to);
    await note(db, "one");
    await note(db, "not asked for", "test.other");
    await note(db, "two");
    expect(await turn()).toBe(1);
    const [got] = to.got;
    expect(to.got.length).toBe(1);
    expect(got?.json).toEqual({
      eventType: "com.okta.event_hook",
      eventTypeVersion: "1.0",
      cloudEventsVersion: "0.1",
      contentType: "application/json",
      source: `http://tenure.test/api/v1/eventHooks/${hook.id}`,
      eventId: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      eventTime: world.now().toISOString(),
      data: { events: [expect.objectContaining({ eventType: "test.note", version: "0" }), expect.anything()] },
    });
    expect(to.told()).toEqual(["one", "two"]);
    expect(got?.headers).toMatchObject({ authorization: word, "x-team": "ops", "content-type": "application/json" });
    const [, seconds, digest] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(got?.headers["x-tenure-signature"])) ?? [];
    expect(createHmac("sha256", word).update(`${seconds}.${got?.text}`).digest("hex")).toBe(digest);
    expect(await deliveries()).toMatchObject([{ outcome: "DELIVERED", status: 204, attempt: 1, seqs: { length: 2 } }]);
    expect(await turn()).toBe(0);
  });

  test("has at most a hundred events and about a megabyte, and all come, in order", async () => {
    const to = await receiver();
    await hookTo(to);
    const many = Array.from({ length: 250 }, (_, n) => ({ type: "test.note", actor: admin, reason: `${n}` }));
    await appendEvents(db, world.now(), many);
    const large = { text: "x".repeat(300_000) };
    for (let n = 250; n < 256; n++) {
      await appendEvent(db, world.now(), { type: "test.note", actor: admin, reason: `${n}`, detail: large });
    }
    await turn();
    expect(to.told()).toEqual(Array.from({ length: 256 }, (_, n) => `${n}`));
    for (const { json, text } of to.got) {
      expect(json.data.events.length).toBeLessThanOrEqual(100);
      expect(text.length).toBeLessThan(1_000_001);
    }
  });

  test("is not made of a long stretch of log without anything for the hook, which is passed over", async () => {
    const to = await receiver();
    const hook = await hookTo(to);
    const others = Array.from({ length: 5_000 }, () => ({ type: "test.other", actor: admin }));
    await appendEvents(db, world.now(), others);
    expect(await turn()).toBe(0);
    await note(db, "first");
    await appendEvents(db, world.now(), others);
    await note(db, "last");
    await turn();
    expect(to.told()).toEqual(["first", "last"]);
    expect((await deliveries()).map(({ hook_id }) => hook_id)).toEqual([hook.id, hook.id]);
  });
});

describe("only what happens while the hook is active and verified is told", () => {
  test("from the moment on at which it became both, and not what waits in the log before it", async () => {
    const to = await receiver();
    await note(db, "before it was made");
    const made = await must(createEventHook(world.command, test_key, wishOf(to), "http://tenure.test"));
    await note(db, "before it was verified");
    expect(await turn()).toBe(0);
    await must(markVerified(world.command, made.id, made.channel));
    await note(db, "now");
    await turn();
    await must(deactivateEventHook(world.command, made.id));
    await note(db, "while it was off");
    expect(await turn()).toBe(0);
    await must(activateEventHook(world.command, made.id));
    await note(db, "again");
    await turn();
    expect(to.told()).toEqual(["now", "again"]);
  });

  test("what a transaction did that was under way at that moment comes when it commits", async () => {
    const to = await receiver();
    const commit = await slowly((trx) => note(trx, "under way"));
    await hookTo(to);
    await note(db, "after");
    await turn();
    await commit();
    await turn();
    expect(to.told()).toEqual(["after", "under way"]);
  });

  test("a new address waits to be verified, and then gets what happened meanwhile", async () => {
    const [old, to] = [await receiver(), await receiver()];
    const hook = await hookTo(old);
    const after = await must(replaceEventHook(world.command, test_key, hook.id, wishOf(to)));
    expect(after.verified_at).toBeNull();
    await note(db, "meanwhile");
    expect(await turn()).toBe(0);
    await must(markVerified(world.command, hook.id, after.channel));
    await turn();
    expect([old.told(), to.told()]).toEqual([[], ["meanwhile"]]);
  });

  test("a verification of the address before is none of the new one", async () => {
    const to = await receiver();
    const hook = await must(createEventHook(world.command, test_key, wishOf(to), "http://tenure.test"));
    await must(replaceEventHook(world.command, test_key, hook.id, wishOf(to, { url: `${to.url}/other` })));
    expect(await markVerified(world.command, hook.id, hook.channel)).toMatchObject({ code: "stale" });
  });
});

describe("order and completeness", () => {
  test("an event that commits late is told when it does, and nothing waits for it", async () => {
    const to = await receiver();
    await hookTo(to);
    const commit = await slowly((trx) => note(trx, "slow"));
    await note(db, "quick");
    await turn();
    expect(to.told()).toEqual(["quick"]);
    await note(db, "quick 2");
    await turn();
    await commit();
    await turn();
    expect(to.told()).toEqual(["quick", "quick 2", "slow"]);
    expect(await turn()).toBe(0);
  });

  test("what happened to a person comes in that order, whichever transaction began first", async () => {
    const to = await receiver();
    await hookTo(to);
    // Bob's has the smaller transaction id, and changes Ann after the other; a third one holds the horizon between them.
    const bob = await slowly(
      (trx) => note(trx, "Bob 1"),
      (trx) => note(trx, "Ann 2"),
    );
    const between = await slowly((trx) => note(trx, "between"));
    await note(db, "Ann 1");
    await bob();
    await turn();
    await between();
    await turn();
    const told = to.told();
    expect(told.indexOf("Ann 1")).toBeLessThan(told.indexOf("Ann 2"));
    expect(told.toSorted()).toEqual(["Ann 1", "Ann 2", "Bob 1", "between"]);
  });

  test("with several writers and two nodes at work nothing is left out and nothing is told twice", async () => {
    const to = await receiver();
    await hookTo(to);
    const [one, two] = [world, secondNode(world, "node-2")];
    let writing = true;
    const writers = Array.from({ length: 6 }, async (_, w) => {
      for (let n = 0; n < 40; n++) {
        await db.transaction().execute(async (trx) => {
          await note(trx, `${w}.${n} a`);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
          await note(trx, `${w}.${n} b`);
        });
      }
    });
    const nodes = [one, two].map(async (of) => {
      while (writing) await turn(of);
    });
    await Promise.all(writers);
    writing = false;
    await Promise.all(nodes);
    await turn();
    const told = to.told();
    expect(told.length).toBe(480);
    expect(new Set(told).size).toBe(480);
    for (let w = 0; w < 6; w++) {
      const own = told.filter((reason) => reason.startsWith(`${w}.`));
      expect(own).toEqual(Array.from({ length: 40 }, (_, n) => [`${w}.${n} a`, `${w}.${n} b`]).flat());
    }
  });
});

describe("at least once", () => {
  test("a node that dies between the answer and its note leaves the delivery to another, with the same id", async () => {
    const to = await receiver();
    await hookTo(to);
    await note(db, "one");
    const dying = openDatabase(database.url);
    const claimed = await claimEventHooks({ ...world, db: dying });
    to.answer(async (_, response) => {
      await dying.destroy();
      response.writeHead(200).end();
    });
    await expect(tellHook({ ...world, db: dying }, eventHookForm, claimed[0]!)).rejects.toThrow();
    to.answer((_, response) => void response.writeHead(200).end());
    const other = secondNode(world, "node-2");
    // The claim of the dead one is still there.
    expect(await turn(other)).toBe(0);
    world.clock.advance(world.lease_ms + 1);
    await note(db, "two");
    expect(await turn(other)).toBe(1);
    await turn(other);
    expect(to.told()).toEqual(["one", "one", "two"]);
    expect(to.got[0]?.json.eventId).toBe(to.got[1]?.json.eventId);
  });

  test("an answer that comes after the claim was taken away moves nothing", async () => {
    const to = await receiver();
    const hook = await hookTo(to);
    const seq = await note(db, "one");
    const [claimed] = await claimEventHooks(world);
    to.answer(async (_, response) => {
      await must(replayEventHook(world.command, hook.id, { seq }));
      response.writeHead(200).end();
    });
    await tellHook(world, eventHookForm, claimed!);
    to.answer((_, response) => void response.writeHead(200).end());
    await turn();
    expect(to.told()).toEqual(["one", "one"]);
  });
});

describe("a hook that does not take its events", () => {
  test.each([
    ["500", 500],
    ["a rate limit", 429],
    ["not found", 404],
    ["a redirect", 302],
  ])("is told again after a while: %s", async (_, code) => {
    const to = await receiver();
    await hookTo(to);
    await note(db, "one");
    await note(db, "two");
    to.answer((_got, response) => void response.writeHead(code, { location: `${to.url}/elsewhere` }).end("no"));
    expect(await turn()).toBe(1);
    expect(await turn()).toBe(0);
    world.clock.advance(2_001);
    expect(await turn()).toBe(1);
    to.answer((_got, response) => void response.writeHead(200).end());
    world.clock.advance(4_001);
    await turn();
    expect(to.told()).toEqual(["one", "two", "one", "two", "one", "two"]);
    const kept = await deliveries();
    expect(kept.map(({ outcome, attempt, status }) => [outcome, attempt, status])).toEqual([
      ["FAILED", 1, code],
      ["FAILED", 2, code],
      ["DELIVERED", 3, 200],
    ]);
    expect(new Set(kept.map(({ event_id }) => event_id)).size).toBe(1);
  });

  test("is told again when it did not answer in three seconds", async () => {
    const to = await receiver();
    await hookTo(to);
    await note(db, "one");
    to.answer(() => {});
    const began = performance.now();
    await turn();
    expect(performance.now() - began).toBeLessThan(4_500);
    expect(await deliveries()).toMatchObject([
      { outcome: "FAILED", status: null, error: expect.stringMatching(/deadline/) },
    ]);
    to.answer((_, response) => void response.writeHead(200).end());
    world.clock.advance(3_000);
    await turn();
    expect(to.told()).toEqual(["one", "one"]);
  });

  test("is an administrator's task after a quarter of an hour, once, until it takes them", async () => {
    const to = await receiver();
    const hook = await hookTo(to);
    await note(db, "one");
    to.answer((_, response) => void response.writeHead(503).end(`busy ${word}`));
    const open = async () => listTasks(db, { status: "OPEN", limit: 10 });
    for (let n = 0; n < 40; n++) {
      await turn();
      world.clock.advance(60_000);
      if (n < 10) expect(await open()).toEqual([]);
    }
    const tasks = await open();
    expect(tasks).toMatchObject([{ kind: "event_hook_failing", detail: { hook_id: hook.id, count: 1 } }]);
    expect(tasks[0]?.title).toContain("Billing");
    to.answer((_, response) => void response.writeHead(200).end());
    world.clock.advance(600_000);
    await turn();
    expect(await open()).toEqual([]);
    expect(new Set(to.told())).toEqual(new Set(["one"]));
    const { rows } = await sql<{ outcome: string }>`
      select outcome from events where type = 'event_hook.delivery' order by seq`.execute(db);
    expect(rows.map(({ outcome }) => outcome)).toEqual(["FAILURE", "SUCCESS"]);
  });

  test("holds up no other, however slow it is", async () => {
    const [slow, quick] = [await receiver(), await receiver()];
    await hookTo(slow, { name: "Slow" });
    await hookTo(quick, { name: "Quick" });
    slow.answer(() => {});
    const real = { ...world, now: () => new Date(world.clock.now().getTime() + performance.now()) };
    const engine = await startEngine(real, { schedule_ms: 20, poll_ms: 20, hooks: eventHookForm });
    try {
      for (let n = 0; n < 3; n++) {
        const began = performance.now();
        await note(db, `${n}`);
        await expect.poll(() => quick.told(), { interval: 10, timeout: 2_500 }).toContain(`${n}`);
        expect(performance.now() - began).toBeLessThan(2_000);
      }
      expect(slow.got.length).toBe(1);
    } finally {
      await engine.stop();
    }
  });
});

describe("filters", () => {
  const filtered = (expression: string) => ({ filters: [{ type: "test.note", expression }] });
  const of = (name: string, type: "User" | "UserGroup", reason: string) =>
    appendEvent(db, world.now(), { type: "test.note", actor: admin, reason, targets: [{ id: "00g1", type, name }] });

  test.each([
    ["event.outcome.reason eq 'a'", ["a"]],
    ["event.outcome.reason ne 'a'", ["b", "c"]],
    ["event.outcome.reason == 'a' || event.outcome.reason == 'c'", ["a", "c"]],
    ["event.outcome.result eq 'SUCCESS' && !(event.outcome.reason eq 'b')", ["a", "c"]],
    ["event.target.?[type eq 'UserGroup' && displayName eq 'Sales'].size()> 0", ["a"]],
    ["event.target.?[type eq 'UserGroup'].size() > 0 && event.target.?[displayName eq 'Sales'].size() gt 0", ["a"]],
    ["event.target.?[type eq 'UserGroup'].size() == 0", ["c"]],
    ["event.actor.type eq 'SystemPrincipal'", []],
    ["event.target.?[displayName eq 'sales'].size() > 0", []],
    ["event.outcome.reason eq 'it''s'", []],
  ])("%s", async (expression, expected) => {
    const to = await receiver();
    await hookTo(to, filtered(expression));
    await of("Sales", "UserGroup", "a");
    await of("Support", "UserGroup", "b");
    await of("Sales", "User", "c");
    await turn();
    expect(to.told()).toEqual(expected);
    expect(await turn()).toBe(0);
  });
});

describe("a replay", () => {
  test("tells again from an event on, or from a time on, and goes on with what is new", async () => {
    const to = await receiver();
    const hook = await hookTo(to);
    const seqs: number[] = [];
    for (const reason of ["one", "two", "three"]) {
      seqs.push(await note(db, reason));
      world.clock.advance(60_000);
    }
    await turn();
    await must(replayEventHook(world.command, hook.id, { seq: seqs[1] ?? 0 }));
    await note(db, "new");
    await turn();
    await turn();
    expect(to.told()).toEqual(["one", "two", "three", "two", "three", "new"]);
    const at = new Date(world.now().getTime() - 70_000);
    await must(replayEventHook(world.command, hook.id, { at }));
    await turn();
    expect(to.told().slice(6)).toEqual(["three", "new"]);
    expect(await turn()).toBe(0);
  });

  test("from further on passes over what cannot be taken", async () => {
    const to = await receiver();
    const hook = await hookTo(to);
    await note(db, "poison");
    to.answer((got, response) => void response.writeHead(got.text.includes("poison") ? 400 : 200).end());
    await turn();
    world.clock.advance(1_000);
    await must(replayEventHook(world.command, hook.id, { at: world.now() }));
    await note(db, "good");
    await turn();
    await turn();
    expect(to.told()).toEqual(["poison", "good"]);
  });

  test("of one delivery is made at once, under the same id, and moves nothing", async () => {
    const to = await receiver();
    const hook = await hookTo(to);
    await note(db, "one");
    await turn();
    await note(db, "two");
    const [first] = await deliveries();
    const again = await must(tellAgain(world, world.command, eventHookForm, hook, first?.id ?? ""));
    expect(again).toMatchObject({ outcome: "DELIVERED", event_id: first?.event_id, again: true });
    await turn();
    expect(to.told()).toEqual(["one", "one", "two"]);
    await must(deactivateEventHook(world.command, hook.id));
    const off = (await getEventHook(db, hook.id)) ?? hook;
    expect(await tellAgain(world, world.command, eventHookForm, off, first?.id ?? "")).toMatchObject({
      code: "invalid",
    });
    expect(await replayEventHook(world.command, hook.id, { seq: 1 })).toMatchObject({ code: "invalid" });
  });
});

describe("an address is asked whether it wants to be told", () => {
  test.each([
    ["gives the word back", undefined, undefined],
    ["another word", '{"verification":"else"}', /did not give the challenge back/],
    ["no JSON", "yes", /did not give the challenge back/],
    ["a list", "[]", /did not give the challenge back/],
    ["a page", "<html>hello</html>", /HTML page/],
  ])("%s", async (_, body, expected) => {
    const to = await receiver();
    const hook = await must(createEventHook(world.command, test_key, wishOf(to), "http://tenure.test"));
    if (body !== undefined) to.answer((_got, response) => void response.writeHead(200).end(body));
    const refusal = await challengeHook(world, hook, "word-123");
    expect(to.got[0]).toMatchObject({ method: "GET", headers: { "x-okta-verification-challenge": "word-123" } });
    expect(to.got[0]?.headers["authorization"]).toBe(word);
    if (expected === undefined) expect(refusal).toBeUndefined();
    else expect(refusal?.refused).toMatch(expected);
  });
});

test("the secret is in no table, no log, no task and no message in clear, also when the receiver says it", async () => {
  const to = await receiver();
  await hookTo(to);
  to.answer((got, response) => void response.writeHead(500).end(`you said ${got.headers["authorization"]}`));
  await note(db, "one");
  for (let n = 0; n < 30; n++) {
    await turn();
    world.clock.advance(120_000);
  }
  expect(to.got.length).toBeGreaterThan(3);
  const { rows: tables } = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = 'public' and tablename not like 'kysely%'`.execute(db);
  for (const { name } of tables) {
    const { rows } = await sql<{ line: string }>`select t::text as line from ${sql.id(name)} t`.execute(db);
    const hex = Buffer.from(word).toString("hex");
    for (const { line } of rows) expect(line.includes(word) || line.includes(hex), name).toBe(false);
  }
});

test("deliveries are kept for a month", async () => {
  const to = await receiver();
  await hookTo(to);
  await note(db, "old");
  await turn();
  world.clock.advance(31 * 86_400_000);
  await note(db, "new");
  await turn();
  expect((await deliveries()).length).toBe(1);
});
