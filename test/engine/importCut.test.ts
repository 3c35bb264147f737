/** Files that are cut off, or still being written: nobody leaves because of what is not there yet. */
import { readFileSync, utimesSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { CsvConfig } from "../../src/connectors/csv/config.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { wipe } from "../support/memory.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import { type TestWorld, testWorld } from "../support/world.ts";
import { type Hr, hrSource, rowOf } from "./hr.ts";

let db: Database;
let world: TestWorld;
memoryWorld((...given) => {
  [db, world] = given;
});

const people = (count: number) => Array.from({ length: count }, (_, n) => rowOf(`${n}`, `P${n}`, "Worker"));
const gone = async () =>
  (await sql<{ n: number }>`select count(*)::int as n from users where status <> 'PROVISIONED'`.execute(db)).rows[0]?.n;
/** The guard is off, so that only what is told here keeps anyone. */
const source = (form: Partial<CsvConfig> = {}): Promise<Hr> => hrSource(world, {}, "HR", false, form);
const textOf = (hr: Hr, rows: number): string => {
  hr.write(people(rows));
  return readFileSync(hr.path, "utf8");
};

describe("a file cut in half", () => {
  test("within a row lets nobody leave, wherever in the row", async () => {
    const hr = await source();
    const text = textOf(hr, 8);
    await hr.run();
    const middle = text.lastIndexOf("\n", text.length / 2) + 1;
    const row = text.slice(middle, text.indexOf("\n", middle));
    // From behind its id up to its last separator: what is cut there is no whole row.
    for (let cut = row.indexOf(","); cut < row.lastIndexOf(","); cut++) {
      hr.writeText(text.slice(0, middle + cut));
      expect(await hr.run()).toMatchObject({ status: "DONE", complete: false });
    }
    expect(await gone()).toBe(0);
  });

  test("lets nobody leave where a trailer is told of, wherever it is cut", async () => {
    const hr = await source({ trailer: "END" });
    const text = `${textOf(hr, 8)}\nEND,8`;
    hr.writeText(text);
    expect(await hr.run()).toMatchObject({ status: "DONE", complete: true, counts: { created: 8 } });
    for (let cut = text.indexOf("\n") + 1; cut < text.indexOf("END"); cut += 7) {
      hr.writeText(text.slice(0, cut));
      expect(await hr.run()).toMatchObject({ status: "FAILED", reason: expect.stringContaining("is not whole") });
    }
    expect(await gone()).toBe(0);
    hr.writeText(text.replace("7,p7.worker", "9,p9.worker").replace("P7", "P9"));
    expect(await hr.run()).toMatchObject({ status: "DONE", counts: { created: 1, left: 1 } });
  });

  test.each([
    ["one row too few", 8, "END,9", "its trailer says 9 rows, and there are 8"],
    ["one row too many", 8, "END,7", "its trailer says 7 rows, and there are 8"],
    ["rows behind the trailer", 3, "END,3\n9,p9.worker@example.com,P9,Worker,,active,,,,", "behind the trailer"],
  ])("and put together with %s is not believed", async (_what, rows, end, words) => {
    const hr = await source({ trailer: "END" });
    hr.writeText(`${textOf(hr, 8)}\nEND,8`);
    await hr.run();
    hr.writeText(`${textOf(hr, rows)}\n${end}`);
    expect(await hr.run()).toMatchObject({ status: "FAILED", reason: expect.stringContaining(words) });
    expect(await gone()).toBe(0);
  });

  test("whose trailer has as many cells as a row, or says no number, is read as well; the trailer is nobody", async () => {
    for (const end of ["END,,,,,,,,,", "END"]) {
      await wipe(db);
      world = await testWorld(db);
      const hr = await source({ trailer: "END" });
      hr.writeText(`${textOf(hr, 2)}\n${end}\n`);
      expect(await hr.run()).toMatchObject({ status: "DONE", complete: true, counts: { created: 2 } });
    }
  });
});

describe("a file that is half written", () => {
  test("is not read before it has been left alone as long as the source says", async () => {
    const hr = await source({ quiet_seconds: 30 });
    hr.write(people(4));
    const wrote = (seconds: number) => {
      const at = new Date(world.now().getTime() - seconds * 1_000);
      utimesSync(hr.path, at, at);
    };
    wrote(29);
    expect(await hr.run()).toMatchObject({ status: "FAILED", reason: expect.stringContaining("29 seconds ago") });
    wrote(30);
    expect(await hr.run()).toMatchObject({ status: "DONE", counts: { created: 4 } });
  });

  test("and written on while it is read is not believed", async () => {
    const hr = await source();
    const many = people(2_500);
    await hr.run(many);
    const torn = await hr.run(undefined, {
      onProgress: ({ phase, done }) => {
        if (phase === "reading" && done < 2_500) hr.write(many.slice(0, 10));
      },
    });
    expect(torn).toMatchObject({ status: "FAILED", reason: expect.stringContaining("changed while it was read") });
    expect(await gone()).toBe(0);
  });
});
