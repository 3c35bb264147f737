/** COPY: what is written comes back as it was, and what is abandoned was never there. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyLine, openCopy } from "../../src/store/copy.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url, { connections: 2 });
  await sql`create table copied (n int, one text, two boolean)`.execute(db);
}, 120_000);
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const rows = async () =>
  (await sql<{ one: string | null; two: boolean | null }>`select one, two from copied order by n`.execute(db)).rows;

describe("a COPY", () => {
  test("gives back every text, null and truth value", async () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.constantFrom("\\N", "\t", "\n", "\\", "\r\n", "\\."),
    );
    const value = fc.option(text.filter((one) => one.isWellFormed() && !one.includes("\0")));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(value, fc.option(fc.boolean())), { maxLength: 20 }), async (given) => {
        await sql`truncate copied`.execute(db);
        const copy = (await openCopy(db, "copied", ["n", "one", "two"]))!;
        await copy.write(given.map(([one, two], n) => copyLine([n, one, two])));
        await copy.end();
        expect(await rows()).toEqual(given.map(([one, two]) => ({ one, two })));
      }),
      { numRuns: 50 },
    );
  });

  test("that is abandoned leaves nothing, and the next finds a connection", async () => {
    await sql`truncate copied`.execute(db);
    for (let n = 0; n < 5; n++) {
      const copy = (await openCopy(db, "copied", ["n", "one", "two"]))!;
      await copy.write([copyLine([n, "x", true])]);
      await copy.abandon();
    }
    expect(await rows()).toEqual([]);
  });

  test("tells what the server objects to", async () => {
    const copy = (await openCopy(db, "copied", ["n", "one", "two"]))!;
    await copy.write([copyLine(["no number", "x", true])]);
    await expect(copy.end()).rejects.toThrow(/invalid input syntax for type integer/);
    expect(await rows()).toEqual([]);
  });
});
