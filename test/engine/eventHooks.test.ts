/** Telling event hooks: what is sent, from when on, in which order, and through crashes. */
import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { replayEventHook } from "../../src/directory/eventHookDeliveries.ts";
import {
  activateEventHook,
  createEventHook,
  deactivateEventHook,
  markVerified,
  replaceEventHook,
} from "../../src/directory/eventHooks.ts";
import { claimEventHooks } from "../../src/engine/eventHookPlaces.ts";
import { tellHook } from "../../src/engine/eventHooks.ts";
import { eventHookForm } from "../../src/server/okta/eventHookForm.ts";
import { openDatabase } from "../../src/store/database.ts";
import { appendEvent, appendEvents } from "../../src/store/log.ts";
import { test_key } from "../support/outside.ts";
import { admin, must, secondNode } from "../support/world.ts";
import {
  database,
  db,
  deliveries,
  hookTo,
  note,
  receiver,
  slowly,
  stageHooks,
  turn,
  wishOf,
  word,
  world,
} from "./hookStage.ts";

stageHooks();

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
