/** What must hold when real processes die: killed, one of several, or told to stop in the middle of work. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { seeded } from "../support/world.ts";
import type { Person } from "./kill/company.ts";
import { compareLog } from "./kill/log.ts";
import { play } from "./kill/play.ts";
import { claimsOf, kill, playWave, type Stage, setStage, settle } from "./kill/stage.ts";
import { freePort, killableNode } from "./kill/tenure.ts";
import { drawWave } from "./kill/waves.ts";

const timeout = 240_000;
const lease_ms = 60_000;

/** Every call takes so long that a kill or a stop comes in the middle of many. */
const slow = { name: "quirks", options: { args: ["--trouble", JSON.stringify({ latency_ms: 200 })] } } as const;
const nothing = { lost: [], doubled: [], left_enabled: [], strangers: [] };

let databases: TestDatabase[];
beforeAll(async () => {
  databases = [await testDatabase(), await testDatabase(), await testDatabase()];
});
afterAll(async () => {
  for (const database of databases) await database.drop();
});

/** A stage whose apps are slow, and the hiring of as many people as are given, not yet begun. */
async function slowStage(database_url: string, people: number) {
  const stage = await setStage({ people, apps: { chat: slow, code: slow }, database_url });
  const hiring = drawWave(stage.company, seeded(11), { size: 0, hires: people, recent: new Set<Person>() });
  return { stage, hiring };
}

/** Waits until a process holds at least `n` claims. */
async function untilHolding(stage: Stage, pid: number, n: number): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    if ((await claimsOf(stage, pid)) >= n) return;
    await sleep(20);
  }
  throw new Error("the node claimed nothing");
}

/** Accounts and groups that are claimed, or in doubt because a call for them was not confirmed. */
async function inDoubt({ database }: Stage): Promise<unknown> {
  const { rows } = await database.query(`
    select (select count(*) from work where claimed_by is not null)::int as claimed,
      (select count(*) from work where unsure and tried_keys <> '{}')::int as unsure,
      (select count(*) from pushed_groups where claimed_by is not null or (unsure and fault is null))::int as pushes`);
  return rows[0];
}

describe("what a poller was shown is held against the table", () => {
  const kept = ["a", "b", "c", "d"].map((uuid, n) => ({ uuid, seq: `${n}`, transaction_id: "7" }));
  const cases: readonly (readonly [string, readonly string[], readonly [number, number, number]])[] = [
    ["everything once and in order", ["a", "b", "c", "d"], [0, 0, 0]],
    ["an event that was not yet owed", ["a", "b", "c"], [0, 0, 0]],
    ["a page again", ["a", "b", "a", "b", "c"], [0, 2, 0]],
    ["a page left out", ["a", "c"], [1, 0, 0]],
    ["a late one behind another", ["a", "c", "b"], [0, 0, 1]],
    ["one that was never kept", ["a", "b", "x", "c"], [0, 0, 1]],
    ["nothing", [], [3, 0, 0]],
  ];
  test.each(cases)("%s", (_what, seen, [missed, doubled, disordered]) => {
    const { findings } = compareLog(kept.slice(0, 3), kept, seen);
    const { log_missed, log_doubled, log_disordered } = findings;
    expect([log_missed.length, log_doubled.length, log_disordered.length]).toEqual([missed, doubled, disordered]);
  });
});

// Most of the time of each is waiting for the leases of the dead to end: so they wait together.
describe.concurrent("real processes", () => {
  test("a node that is killed again and again loses nothing, doubles nobody and leaves no leaver enabled", {
    timeout,
  }, async () => {
    const report = await play({
      ...{ rounds: 6, people: 30, seed: 2, database_url: databases[0]?.url ?? "", say: () => {} },
    });
    const log = { log_missed: [], log_doubled: [], log_disordered: [] };
    expect(report).toMatchObject({ findings: { ...nothing, ...log, unrest: [] }, kills: expect.any(Number) });
    expect(report.log_events, "events that the poller was shown").toBeGreaterThan(report.asked);
    expect(report.caught, "kills that caught work").toBeGreaterThan(0);
  });

  test("of two nodes one is killed: the other takes over its work when the lease ends, once", { timeout }, async () => {
    const { stage, hiring } = await slowStage(databases[1]?.url ?? "", 120);
    const second = killableNode({
      ...{ data_folder: stage.data_folder, port: await freePort(), database_url: databases[1]?.url ?? "" },
      args: ["--no-server"],
    });
    try {
      await second.start();
      const hired = playWave(stage, hiring);
      await untilHolding(stage, second.pid(), 5);
      const pid = second.pid();
      await kill(stage, second);
      const killed_at = Date.now();
      expect(stage.counts.caught, "accounts the dead node held").toBeGreaterThan(0);
      await hired;
      while ((await claimsOf(stage, pid)) > 0 && Date.now() < killed_at + 2 * lease_ms) await sleep(200);
      expect(Date.now() - killed_at).toBeLessThan(lease_ms + 10_000);
      expect((await settle(stage)).seen.findings).toEqual(nothing);
    } finally {
      await second.stop();
      await stage.close();
    }
  });

  test("a node that is told to stop in the middle of a wave ends its calls, leaves nothing in doubt, and exits with 0", {
    timeout,
  }, async () => {
    const { stage, hiring } = await slowStage(databases[2]?.url ?? "", 80);
    try {
      const hired = playWave(stage, hiring);
      await untilHolding(stage, stage.node.pid(), 10);
      expect(await stage.node.stop()).toBe(0);
      expect(await inDoubt(stage)).toEqual({ claimed: 0, unsure: 0, pushes: 0 });
      await stage.node.start();
      await hired;
      // Nothing has to wait for a lease to end.
      const { seen, unrest } = await settle(stage, lease_ms - 10_000);
      expect({ ...seen.findings, unrest }).toEqual({ ...nothing, unrest: [] });
    } finally {
      await stage.close();
    }
  });
});
