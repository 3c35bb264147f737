/** A real process that imports, killed in the middle again and again: the next run goes on, and no effect comes twice. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chunk_size } from "../../src/engine/importPass.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { type TestWorld, testWorld } from "../support/world.ts";
import { type Hr, hrSource, type Row, rowOf } from "./hr.ts";

let database: TestDatabase;
let db: Database;
let world: TestWorld;
beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url);
  await migrate(db);
  world = await testWorld(db);
}, 120_000);
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

/** So many that two kills leave work for whoever comes after. */
const size = 6 * chunk_size;
const kills = 2;
const rows = (count: number, more: Row = {}) =>
  Array.from({ length: count }, (_, n) => rowOf(`${n}`, `P${n}`, "Worker", more));

/** Starts the import in a process of its own and kills it at its `nth` step of applying. Gives whether it was still at it. */
async function killed(hr: Hr, nth: number): Promise<boolean> {
  const script = new URL("importChild.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, database.url, hr.app_id, hr.path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let [text, steps] = ["", 0];
  child.stdout.setEncoding("utf8").on("data", (more: string) => {
    text += more;
    steps = text.split("applying").length - 1;
    if (steps >= nth) child.kill("SIGKILL");
  });
  const [, signal] = await once(child, "exit");
  return signal === "SIGKILL" && !text.includes("ended");
}

/** How many people have how many events of a type. */
const events = async (type: string) => {
  const { rows: found } = await sql<{ times: number; people: number }>`
    select times, count(*)::int as people from (
      select count(*)::int as times from events e, jsonb_array_elements(e.targets) t
      where e.type = ${type} and t->>'type' = 'User' group by t->>'id') p group by times order by times`.execute(db);
  return Object.fromEntries(found.map(({ times, people }) => [times, people]));
};

test("a killed import goes on where it was: everyone is created, changed and made to leave exactly once", async () => {
  const hr = await hrSource(world);
  let done_by_killed = 0;
  const outcomes = [];
  const files = [rows(size), rows(size, { department: "Trade" }), rows(100, { department: "Trade" })];
  for (const file of files) {
    hr.write(file);
    for (let nth = 1; nth <= kills; nth++) if (await killed(hr, nth)) done_by_killed += 1;
    outcomes.push((await hr.run()).counts);
  }
  // Most are killed in time; the rest of the work was left for whoever came after.
  expect(done_by_killed).toBeGreaterThanOrEqual(kills);
  expect(outcomes[0]).toMatchObject({ created: expect.any(Number), unchanged: expect.any(Number) });
  expect(await events("user.lifecycle.create")).toEqual({ 1: size });
  expect(await events("user.account.update_profile")).toEqual({ 1: size });
  expect(await events("user.lifecycle.deactivate")).toEqual({ 1: size - 100 });
  expect((await hr.run()).counts).toEqual({ unchanged: 100 });
  const { rows: imports } = await sql<{ status: string; n: number }>`
    select status, count(*)::int as n from imports where status <> 'DONE' group by 1`.execute(db);
  expect(imports).toEqual([{ status: "FAILED", n: done_by_killed }]);
}, 300_000);
