/** Deadlines of calls: few signals whatever the load, never late, and none that is over. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { sharedDeadlines } from "../../src/main/world.ts";
import { collectGarbage } from "../support/collect.ts";

const now = () => new Date();

test("a thousand deadlines within a second share a dozen signals, and none is late", async () => {
  const deadline = sharedDeadlines(now);
  const from = Date.now() + 1_000;
  const signals = Array.from({ length: 1_000 }, (_, n) => deadline(new Date(from + n)));
  expect(new Set(signals).size).toBeLessThanOrEqual(12);
  const last = signals.at(-1);
  await new Promise((done) => last?.addEventListener("abort", done, { once: true }));
  expect(Date.now()).toBeLessThanOrEqual(from + 999 + 50);
  expect(signals.every((signal) => signal.aborted)).toBe(true);
});

test("one that is over is forgotten, though another is to come in an hour", async () => {
  const deadline = sharedDeadlines(now);
  const long = deadline(new Date(Date.now() + 3_600_000));
  const short = new WeakRef(deadline(new Date(Date.now() + 200)));
  await sleep(400);
  deadline(new Date(Date.now() + 1_000));
  await collectGarbage();
  expect(short.deref()).toBeUndefined();
  expect(long.aborted).toBe(false);
});
