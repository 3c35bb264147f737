/** For each test of a file a world of its own over an empty database in memory. */
import { beforeAll, beforeEach } from "vitest";
import type { Database } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "./memory.ts";
import { type TestWorld, testWorld } from "./world.ts";

/** Call it beside the tests; `given` is told before each of them. */
export function memoryWorld(given: (db: Database, world: TestWorld) => void): void {
  let db: Database;
  beforeAll(async () => {
    db = await memoryDatabase();
  });
  beforeEach(async () => {
    await wipe(db);
    given(db, await testWorld(db));
  });
}
