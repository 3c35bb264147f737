/** A full collection of garbage, for tests and benchmarks of what is held. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Collects everything that nobody holds. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // What a promise or a weak reference held for this turn is free in the next one.
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((done) => setImmediate(done));
    collect();
  }
}
