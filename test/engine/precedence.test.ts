/** Who comes before whom where there is too little for all. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { priority } from "../../src/directory/command.ts";
import { precedence, type UrgentTurn } from "../../src/engine/precedence.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const stage = () => {
  const [caughtUp, release] = [vi.fn(), vi.fn()];
  const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  return { caughtUp, release, before: precedence({ now_ms: () => Date.now(), wait, caughtUp, release }) };
};

const no_calls: UrgentTurn = { full: false, due: 0 };
const ended = (full: boolean): Promise<UrgentTurn> => Promise.resolve({ full, due: 0 });

describe("a wave", () => {
  test.each([
    ["stands back after a turn of leavers that was full", true, true],
    ["goes on after one that was not", false, false],
  ])("%s", async (_, full, stands_back) => {
    const { before, caughtUp } = stage();
    before.during(ended(full));
    await vi.advanceTimersByTimeAsync(1);
    expect(before.standsBack(priority.wave)).toBe(stands_back);
    expect(before.standsBack(priority.scan)).toBe(stands_back);
    before.during(ended(false));
    await vi.advanceTimersByTimeAsync(1);
    expect(before.standsBack(priority.wave)).toBe(false);
    expect(caughtUp).toHaveBeenCalledTimes(stands_back ? 1 : 0);
  });

  test("stands back while a turn of leavers takes long, and goes on when it has ended, also by an error", async () => {
    const { before } = stage();
    const turn = Promise.withResolvers<UrgentTurn>();
    before.during(turn.promise);
    await vi.advanceTimersByTimeAsync(299);
    expect(before.standsBack(priority.wave)).toBe(false);
    await vi.advanceTimersByTimeAsync(2);
    expect(before.standsBack(priority.wave)).toBe(true);
    turn.reject(new Error("the database is away"));
    await vi.advanceTimersByTimeAsync(1);
    expect(before.standsBack(priority.wave)).toBe(false);
  });

  test("is quiet until somebody urgent is found, and again when nobody was for five seconds", async () => {
    const { before } = stage();
    expect(before.quiet()).toBe(true);
    before.during(ended(false));
    await vi.advanceTimersByTimeAsync(1);
    expect(before.quiet()).toBe(true);
    before.found();
    expect(before.quiet()).toBe(false);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(before.quiet()).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(before.quiet()).toBe(true);
  });

  test("stands back for a turn that found somebody until its end, and is told of it", async () => {
    const { before, caughtUp, release } = stage();
    const turn = Promise.withResolvers<UrgentTurn>();
    before.during(turn.promise);
    expect(before.standsBack(priority.wave)).toBe(false);
    before.found();
    expect(before.standsBack(priority.wave)).toBe(true);
    expect(before.standsBack(priority.leaver)).toBe(false);
    const released = vi.fn();
    void before.released().then(released);
    await vi.advanceTimersByTimeAsync(20);
    expect([released, release].map((one) => one.mock.calls.length)).toEqual([0, 0]);
    turn.resolve(no_calls);
    await vi.advanceTimersByTimeAsync(1);
    expect(before.standsBack(priority.wave)).toBe(false);
    expect([released, release, caughtUp].map((one) => one.mock.calls.length)).toEqual([1, 1, 0]);
  });

  test("stands back until the calls of such a turn have ended, whatever turn is under way then", async () => {
    const { before, release } = stage();
    const turn = Promise.withResolvers<UrgentTurn>();
    before.during(turn.promise);
    before.found();
    turn.resolve({ full: false, due: 2 });
    await vi.advanceTimersByTimeAsync(10);
    const next = Promise.withResolvers<UrgentTurn>();
    before.during(next.promise);
    before.called();
    expect(before.standsBack(priority.wave)).toBe(true);
    before.called();
    // A call of somebody else's is not one of a turn that is still under way.
    before.called();
    expect([before.standsBack(priority.wave), release.mock.calls.length]).toEqual([true, 0]);
    next.resolve(no_calls);
    await vi.advanceTimersByTimeAsync(1);
    expect([before.standsBack(priority.wave), release.mock.calls.length]).toEqual([false, 1]);
  });

  test("waits no longer than 50 ms for calls: an app may be slow, paused, or another node's", async () => {
    const { before, release } = stage();
    before.during(Promise.resolve({ full: false, due: 3 }));
    before.found();
    await vi.advanceTimersByTimeAsync(49);
    expect([before.standsBack(priority.wave), release.mock.calls.length]).toEqual([true, 0]);
    await vi.advanceTimersByTimeAsync(2);
    expect([before.standsBack(priority.wave), release.mock.calls.length]).toEqual([false, 1]);
  });

  test("stands back for 100 ms of such a turn at most", async () => {
    const { before } = stage();
    before.during(Promise.withResolvers<UrgentTurn>().promise);
    before.found();
    const released = vi.fn();
    void before.released().then(released);
    await vi.advanceTimersByTimeAsync(99);
    expect(before.standsBack(priority.wave)).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(before.standsBack(priority.wave)).toBe(false);
    expect(released).toHaveBeenCalledOnce();
  });

  test("has half of the time where leavers come one after the other", async () => {
    const { before } = stage();
    let free_ms = 0;
    for (let leaver = 0; leaver < 100; leaver++) {
      const turn = Promise.withResolvers<UrgentTurn>();
      before.during(turn.promise);
      before.found();
      for (let ms = 0; ms < 20; ms++) {
        if (!before.standsBack(priority.wave)) free_ms++;
        await vi.advanceTimersByTimeAsync(1);
      }
      turn.resolve(no_calls);
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(free_ms / 2_000).toBeCloseTo(0.5, 1);
  });

  test("has one second of ten where leavers go on and on", async () => {
    const { before } = stage();
    let begun = 0;
    for (let second = 0; second < 60; second++) {
      before.during(ended(true));
      await vi.advanceTimersByTimeAsync(1_000);
      if (!before.standsBack(priority.wave)) begun += 1;
    }
    expect(begun).toBe(6);
  });
});

test.each([["leaver"], ["change"]] as const)("a %s stands back for nobody", async (name) => {
  const { before } = stage();
  before.during(ended(true));
  await vi.advanceTimersByTimeAsync(1);
  expect(before.standsBack(priority[name])).toBe(false);
});
