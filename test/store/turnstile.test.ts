/** A door that lets so many through at a time. */
import { expect, test } from "vitest";
import { turnstile } from "../../src/store/turnstile.ts";

test("no more than so many run at a time, each in its turn, whether the one before it fails or not", async () => {
  const inTurn = turnstile(2);
  const ends: (() => void)[] = [];
  const begun: number[] = [];
  const answers = Array.from({ length: 5 }, (_, n) =>
    inTurn(async () => {
      begun.push(n);
      await new Promise<void>((end) => ends.push(end));
      if (n === 0) throw new Error("refused");
      return n;
    }),
  );
  const told = Promise.allSettled(answers);
  for (let n = 0; n < 5; n++) {
    await expect.poll(() => begun).toEqual([0, 1, 2, 3, 4].slice(0, n + 2));
    ends[n]?.();
  }
  expect((await told).map((one) => (one.status === "fulfilled" ? one.value : one.reason.message))).toEqual([
    "refused",
    ...[1, 2, 3, 4],
  ]);
});
