/**
 * What the tests of event hooks stand on: a real PostgreSQL, because only there do transactions overlap, real receivers, and
 * turns of the loop one by one.
 */
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { createEventHook, type EventHook, type EventHookWish, markVerified } from "../../src/directory/eventHooks.ts";
import { claimEventHooks } from "../../src/engine/eventHookPlaces.ts";
import { tellHook } from "../../src/engine/eventHooks.ts";
import { eventHookForm } from "../../src/server/okta/eventHookForm.ts";
import { type Database, openDatabase } from "../../src/store/database.ts";
import { appendEvent } from "../../src/store/log.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { wipe } from "../support/memory.ts";
import { test_key } from "../support/outside.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { admin, must, type TestWorld, testWorld } from "../support/world.ts";

export const word = "a-very-secret-word";
export let database: TestDatabase;
export let db: Database;
export let world: TestWorld;
let receivers: Receiver[] = [];

/** Registers what comes before and after the tests of a file. */
export function stageHooks(): void {
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
}

export async function receiver(): Promise<Receiver> {
  const made = await startReceiver();
  receivers.push(made);
  return made;
}

export const wishOf = (to: Receiver, more: Partial<EventHookWish> = {}): EventHookWish => ({
  ...{ name: "Billing", description: null, event_types: ["test.note"], filters: null, url: `${to.url}/in` },
  ...{ headers: [{ key: "X-Team", value: "ops" }], secret_header: "Authorization", secret: word },
  ...more,
});

/** A hook that is verified. */
export async function hookTo(to: Receiver, more: Partial<EventHookWish> = {}): Promise<EventHook> {
  const made = await must(createEventHook(world.command, test_key, wishOf(to, more), "http://tenure.test"));
  return must(markVerified(world.command, made.id, made.channel));
}

export const note = (on: Database, reason: string, type = "test.note") =>
  appendEvent(on, world.now(), { type, actor: admin, reason, targets: [{ id: "00u1", type: "User", name: "Ann" }] });

/** One turn of the loop. */
export async function turn(of: TestWorld = world): Promise<number> {
  const claimed = await claimEventHooks(of);
  await Promise.all(claimed.map((one) => tellHook(of, eventHookForm, one)));
  return claimed.length;
}

export const deliveries = async () =>
  (await db.selectFrom("event_hook_deliveries").selectAll().orderBy("id").execute()).map((row) => ({
    ...row,
    seqs: row.seqs.map(Number),
  }));

/** A transaction that has begun and done `work`; what is given back does `last` in it and commits. */
export async function slowly(
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
