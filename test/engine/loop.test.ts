/** The loop of a node on a real PostgreSQL: what it asks first when it is waked. */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { updateUsers } from "../../src/directory/users.ts";
import { startEngine } from "../../src/engine/loop.ts";
import { type Database, openDatabase, poolOf, sql } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { accepted, freshCompany, hire } from "../directory/company.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { testWorld } from "../support/world.ts";

let database: TestDatabase;
let db: Database;
let watched: Database;
const asked: string[] = [];

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url, { connections: 2 });
  await migrate(db);
  watched = openDatabase(database.url);
  poolOf(watched)?.on("connect", (client: pg.PoolClient) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    const note = (...args: unknown[]) => {
      asked.push(String(args[0]).replaceAll(/\s+/g, " ").trim());
      return query(...args);
    };
    Object.assign(client, { query: note });
  });
});
afterAll(async () => {
  await watched.destroy();
  await db.destroy();
  await database.drop();
});

const quiet = async () => {
  for (let before = -1; before !== asked.length; await sleep(60)) before = asked.length;
};

test("a wake is first of all for whoever is urgent: nothing else is asked beside their turn", async () => {
  const { command } = await freshCompany(db);
  const [user] = await hire(command, ["Ada"], { activate: true });
  const engine = await startEngine(await testWorld(watched), { poll_ms: 60_000, schedule_ms: 60_000 });
  try {
    const turns: string[][] = [];
    for (const city of ["Rome", "Oslo", "Lima", "Bern", "Riga"]) {
      await quiet();
      asked.length = 0;
      accepted(await updateUsers(command, [{ id: user.id, profile: { city } }]));
      engine.wake();
      await quiet();
      turns.push(asked.slice(0, asked.indexOf("commit") + 1));
    }
    const marks = await sql`select from dirty`.execute(db);
    expect(marks.rows).toEqual([]);
    const alone = turns.filter(
      ([begin, gate, take, ...rest]) =>
        begin === "begin" &&
        gate?.startsWith("lock table company_gate") &&
        take?.includes("priority <= ") &&
        !rest.some((text) => text === "begin" || text.startsWith("update rules")),
    );
    // On a slow machine a turn may take longer than the others wait.
    expect(alone.length).toBeGreaterThanOrEqual(3);
  } finally {
    await engine.stop();
  }
});

test("accounts that another node made due wake only who works on them, and what this node made due nobody again", async () => {
  await freshCompany(db);
  const world = await testWorld(watched);
  let hear: (payload: string) => void = () => {};
  const listen = async (wake: typeof hear) => {
    hear = wake;
    return async () => {};
  };
  const engine = await startEngine(world, { poll_ms: 60_000, schedule_ms: 60_000, listen });
  const after = async (payload: string) => {
    await quiet();
    asked.length = 0;
    hear(payload);
    await quiet();
    const has = (text: string) => asked.some((one) => one.includes(text));
    return { people: has("from dirty"), rules: has("update rules"), accounts: has("from apps a") };
  };
  try {
    expect(await after("another-node")).toEqual({ people: false, rules: false, accounts: true });
    expect(await after(world.node)).toEqual({ people: false, rules: false, accounts: false });
    expect(await after("")).toEqual({ people: true, rules: true, accounts: true });
  } finally {
    await engine.stop();
  }
});
