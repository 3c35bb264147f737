/** Chunks of an import under way at the same time: faster than one by one, and otherwise the same. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Chunk, workInLanes } from "../../src/engine/importLanes.ts";

const go = new AbortController().signal;
const turns = async (n: number) => {
  for (let turn = 0; turn < n; turn++) await Promise.resolve();
};

/** Gives chunks in order. */
function queue(chunks: readonly Chunk[]): () => Promise<Chunk | undefined> {
  const left = [...chunks];
  return async () => left.shift();
}

describe("chunks in lanes", () => {
  test("that share a key run one after the other in their order; no more run than there are lanes", async () => {
    const plan = fc.array(
      fc.record({ keys: fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 3 }), turns: fc.nat(20) }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(plan, fc.integer({ min: 1, max: 4 }), async (chunks, lanes) => {
        const running = new Set<number>();
        const ended: number[] = [];
        const made = chunks.map((chunk, n): Chunk => {
          const work = async () => {
            for (const other of running)
              expect(chunks[other]!.keys.some((key) => chunk.keys.includes(key))).toBe(false);
            running.add(n);
            expect(running.size).toBeLessThanOrEqual(lanes);
            await turns(chunk.turns);
            running.delete(n);
            ended.push(n);
          };
          return { keys: new Set(chunk.keys), work };
        });
        await workInLanes(lanes, go, queue(made));
        expect(ended.toSorted((a, b) => a - b)).toEqual(chunks.map((_, n) => n));
        for (const key of ["a", "b", "c", "d"] as const) {
          const order = ended.filter((n) => chunks[n]!.keys.includes(key));
          expect(order).toEqual(order.toSorted((a, b) => a - b));
        }
      }),
    );
  });

  test("stop at the first error, which is told once those under way have ended", async () => {
    const done: string[] = [];
    const chunk = (name: string, fails = false): Chunk => ({
      keys: new Set(),
      work: async () => {
        await turns(5);
        if (fails) throw new Error(name);
        done.push(name);
      },
    });
    const late = Array.from({ length: 20 }, (_, n) => chunk(`late ${n}`));
    await expect(workInLanes(2, go, queue([chunk("good"), chunk("bad", true), ...late]))).rejects.toThrow("bad");
    expect(done[0]).toBe("good");
    expect(done.length).toBeLessThan(5);
  });

  test("do a chunk that lost in a deadlock again, alone and last", async () => {
    const done: string[] = [];
    let tries = 0;
    const loser: Chunk = {
      keys: new Set(),
      work: async () => {
        tries += 1;
        if (tries === 1) throw Object.assign(new Error("deadlock detected"), { code: "40P01" });
        done.push("loser");
      },
    };
    const other = (n: number): Chunk => ({ keys: new Set(), work: async () => void done.push(`other ${n}`) });
    await workInLanes(2, go, queue([loser, other(1), other(2)]));
    expect(done).toEqual(["other 1", "other 2", "loser"]);
  });

  test("begin nothing after the signal, and say so", async () => {
    const stop = new AbortController();
    const done: number[] = [];
    const chunks = Array.from({ length: 5 }, (_, n) => ({
      keys: new Set<string>(),
      work: async () => {
        done.push(n);
        if (n === 1) stop.abort();
      },
    }));
    await expect(workInLanes(1, stop.signal, queue(chunks))).rejects.toThrow();
    expect(done).toEqual([0, 1]);
  });
});
