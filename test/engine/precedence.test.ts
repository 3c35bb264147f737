/** Who comes before whom where there is too little for all. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { priority } from "../../src/directory/command.ts";
import { precedence } from "../../src/engine/precedence.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const stage = () => {
  const caughtUp = vi.fn();
  const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  return { caughtUp, before: precedence({ now_ms: () => Date.now(), wait, caughtUp }) };
};

describe("a wave", () => {
  test.each([
    ["stands back after a turn of leavers that was full", true, true],
    ["goes on after one that was not", false, false],
  ])("%s", async (_, full, stands_back) => {
    const { before, caughtUp } = stage();
    before.during(Promise.resolve(full));
    await vi.advanceTimersByTimeAsync(1);
    expect(before.standsBack(priority.wave)).toBe(stands_back);
    expect(before.standsBack(priority.scan)).toBe(stands_back);
    before.during(Promise.resolve(false));
    await vi.advanceTimersByTimeAsync(1);
    expect(before.standsBack(priority.wave)).toBe(false);
    expect(caughtUp).toHaveBeenCalledTimes(stands_back ? 1 : 0);
  });

  test("stands back while a turn of leavers takes long, and goes on when it has ended, also by an error", async () => {
    const { before } = stage();
    const turn = Promise.withResolvers<boolean>();
    before.during(turn.promise);
    await vi.advanceTimersByTimeAsync(299);
    expect(before.standsBack(priority.wave)).toBe(false);
    await vi.advanceTimersByTimeAsync(2);
    expect(before.standsBack(priority.wave)).toBe(true);
    turn.reject(new Error("the database is away"));
    await vi.advanceTimersByTimeAsync(1);
    expect(before.standsBack(priority.wave)).toBe(false);
  });

  test("has one second of ten where leavers go on and on", async () => {
    const { before } = stage();
    let begun = 0;
    for (let second = 0; second < 60; second++) {
      before.during(Promise.resolve(true));
      await vi.advanceTimersByTimeAsync(1_000);
      if (!before.standsBack(priority.wave)) begun += 1;
    }
    expect(begun).toBe(6);
  });
});

test.each([["leaver"], ["change"]] as const)("a %s stands back for nobody", async (name) => {
  const { before } = stage();
  before.during(Promise.resolve(true));
  await vi.advanceTimersByTimeAsync(1);
  expect(before.standsBack(priority[name])).toBe(false);
});
