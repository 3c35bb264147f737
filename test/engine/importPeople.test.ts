/** Imports of some people of a source: all rows of theirs, from a file, from what was pushed, and never too many. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { getUser } from "../../src/directory/userQueries.ts";
import { startImport } from "../../src/engine/import.ts";
import { type Database, isRefusal, sql } from "../../src/store/database.ts";
import { scimStage, userOf } from "../scim/stage.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { admin, must, testWorld } from "../support/world.ts";
import { hrSource, linesOf, rowOf } from "./hr.ts";

let db: Database;
beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(() => wipe(db));

const only = (...ids: string[]) => ({ people: { ids } });
const byLogin = (name: string) => getUser(db, `${name}@example.com`);

describe("some people of a file", () => {
  test("are read with all rows of theirs, where a person has several, also when there are fewer than before", async () => {
    const world = await testWorld(db);
    const hr = await hrSource(world, { several_rows: true, every_job: {}, start_attribute: "start" });
    const [now, next] = [
      rowOf("1", "Ada", "Byron", { department: "Mills", start: "2020-01-01" }),
      rowOf("1", "Ada", "Byron", { department: "Sales", start: "2030-01-01" }),
    ];
    const other = rowOf("2", "Bea", "Cole");
    const jobs = async () =>
      (
        await sql<{ have: { profile: { $rows?: readonly unknown[] } } }>`
          select have from accounts where external_id = '1'`.execute(db)
      ).rows.map(({ have }) => have.profile.$rows?.length ?? 1);
    expect((await hr.run([now, other, next], only("1"))).counts).toEqual({ created: 1 });
    expect(await byLogin("bea.cole")).toBeUndefined();
    expect(await jobs()).toEqual([2]);
    expect((await hr.run(undefined, only("1"))).counts).toEqual({ unchanged: 1 });
    expect((await hr.run([now, other], only("1"))).counts).toEqual({ updated: 1 });
    expect(await jobs()).toEqual([1]);
  });

  test("whose row cannot be read are told, and the broken rows of others are nobody's concern", async () => {
    const world = await testWorld(db);
    const hr = await hrSource(world);
    await hr.run([rowOf("1", "Ada", "Byron"), rowOf("2", "Bea", "Cole")]);
    hr.writeText(
      "id,mail,first,last,department,state,start,end,zone,manager\n1,x\n2,bea.cole@example.com,Beatrice,Cole,,active,,,,\n",
    );
    const done = await hr.run(undefined, only("1", "2"));
    expect(done.counts).toEqual({ updated: 1, refused: 1 });
    expect((await linesOf(world, done.id)).find(({ outcome }) => outcome === "refused")?.external_id).toBe("1");
    expect((await hr.run(undefined, only("2"))).counts).toEqual({ unchanged: 1 });
    expect((await byLogin("ada.byron"))?.status).not.toBe("DEPROVISIONED");
  });

  test("of a file that is not whole are not read", async () => {
    const world = await testWorld(db);
    const hr = await hrSource(world, {}, "HR", false, { trailer: "END" });
    const done = await hr.run([rowOf("1", "Ada", "Byron")], only("1"));
    expect([done.status, done.reason]).toEqual(["FAILED", expect.stringMatching(/not whole/)]);
  });
});

test("somebody whom a source pushed is looked at again as it pushed them", async () => {
  const stage = await scimStage(db);
  const source = await stage.source("Pusher");
  const [ada, bea] = [await source.user("ada"), await source.user("bea", userOf("bea"))];
  await sql`delete from accounts where external_id = any(${[ada, bea]}::text[])`.execute(db);
  await sql`delete from users where login like '%@example.com'`.execute(db);
  const done = await must(startImport(stage.world, source.app_id, { mode: "full", actor: admin, ...only(ada) }));
  expect(done.counts).toEqual({ created: 1 });
  expect([(await byLogin("ada")) !== undefined, await byLogin("bea")]).toEqual([true, undefined]);
});

test("more than a hundred people at once are refused", async () => {
  const world = await testWorld(db);
  const hr = await hrSource(world);
  const ids = Array.from({ length: 101 }, (_, n) => `${n}`);
  const refused = await startImport(world, hr.app_id, { mode: "full", actor: admin, ...only(...ids) });
  expect(isRefusal(refused) && refused.refused).toMatch(/101 people are more than 100/);
});
