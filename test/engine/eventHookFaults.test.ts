/** Event hooks that do not take what they are told, are asked whether they want it, want some of it only, or want it again. */
import { describe, expect, test } from "vitest";
import { replayEventHook } from "../../src/directory/eventHookDeliveries.ts";
import { createEventHook, deactivateEventHook, getEventHook } from "../../src/directory/eventHooks.ts";
import { listTasks } from "../../src/directory/tasks.ts";
import { challengeHook, tellAgain } from "../../src/engine/eventHooks.ts";
import { startEngine } from "../../src/engine/loop.ts";
import { eventHookForm } from "../../src/server/okta/eventHookForm.ts";
import { sql } from "../../src/store/database.ts";
import { appendEvent } from "../../src/store/log.ts";
import { test_key } from "../support/outside.ts";
import { admin, must } from "../support/world.ts";
import { db, deliveries, hookTo, note, receiver, stageHooks, turn, wishOf, word, world } from "./hookStage.ts";

stageHooks();

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
    const refusal = await challengeHook(world, eventHookForm, hook, "word-123");
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
