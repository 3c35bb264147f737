/** Imports that ask only for what changed: what they keep for the next one, and when they do not. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { getUser } from "../../src/directory/userQueries.ts";
import type { ImportSummary } from "../../src/engine/import.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { testDatabase } from "../support/postgres.ts";
import { type TestWorld, testWorld } from "../support/world.ts";
import { openPersonnel, type Personnel, type SqlHr, sqlHr } from "./sqlHr.ts";

let db: Database;
let world: TestWorld;
let personnel: Personnel;
let hr: SqlHr;

beforeAll(async () => {
  db = await memoryDatabase();
  personnel = await openPersonnel();
});
afterAll(async () => {
  await db.destroy();
  await personnel.end();
});
beforeEach(async () => {
  await wipe(db);
  await personnel.clear();
  await personnel.run("insert into staff select n, 'P' || n, 'Risk', 'in', n from generate_series(1, 10) as n");
  world = await testWorld(db);
  hr = await sqlHr(world, personnel);
});

const change = (id: number, version: number, unit = "Trade", state = "in") =>
  personnel.run(`update staff set unit = '${unit}', state = '${state}', version = ${version} where id = ${id}`);
const kept = async () =>
  (
    await sql<{
      since: string | null;
    }>`select import_since as since from app_health where app_id = ${hr.app_id}`.execute(db)
  ).rows[0]?.since;
const told = async ({ id }: ImportSummary) =>
  (
    await sql<{ since_at: string | null; whole: string | null }>`
      select detail->>'since_at' as since_at, detail->>'whole' as whole from imports where id = ${id}`.execute(db)
  ).rows[0];
const unitOf = async (id: number) => (await getUser(db, `p${id}@example.com`))?.profile["department"];

describe("an incremental import", () => {
  test("asks for everything first, then for what changed; a row that is as it was is not applied again", async () => {
    const first = await hr.run();
    expect(first).toMatchObject({ status: "DONE", counts: { created: 10 } });
    expect(await told(first)).toEqual({ since_at: null, whole: "it was not read as a whole before" });
    expect(await kept()).toBe("number:10");
    world.clock.advance(60_000);
    await change(3, 11);
    await change(4, 12, "Risk", "out");
    const second = await hr.run();
    // The row that was the last one comes again, and is as it was.
    expect(second.counts).toEqual({ updated: 1, left: 1, unchanged: 1 });
    expect(await told(second)).toEqual({ since_at: "2026-03-02T09:00:00.000Z", whole: null });
    expect([await kept(), await unitOf(3)]).toEqual(["number:12", "Trade"]);
    expect((await getUser(db, "p4@example.com"))?.status).toBe("DEPROVISIONED");
    expect((await hr.run()).counts).toEqual({ unchanged: 1 });
  });

  test("makes nobody leave who is not in it; a full import does, and sets the mark anew", async () => {
    await hr.run({ mode: "full" });
    expect(await kept()).toBe("number:10");
    await personnel.run("delete from staff where id = 2");
    await change(5, 20);
    expect((await hr.run()).counts).toEqual({ updated: 1, unchanged: 1 });
    expect((await getUser(db, "p2@example.com"))?.status).toBe("PROVISIONED");
    const full = await hr.run({ mode: "full" });
    expect([full.counts, await told(full)]).toEqual([
      { left: 1, unchanged: 9 },
      { since_at: null, whole: null },
    ]);
    expect(await kept()).toBe("number:20");
  });

  test("that is dry, cancelled or fails keeps the mark that there was", async () => {
    await hr.run();
    await change(3, 11);
    expect((await hr.run({ dry_run: true })).counts).toMatchObject({ update: 1 });
    expect((await hr.run({ signal: AbortSignal.abort() })).status).toBe("CANCELLED");
    await personnel.run("alter table staff rename to gone");
    expect((await hr.run().catch(() => undefined))?.status).toBe("FAILED");
    await personnel.run("alter table gone rename to staff");
    expect(await kept()).toBe("number:10");
    expect((await hr.run()).counts).toEqual({ updated: 1, unchanged: 1 });
  });

  test("that is held keeps the mark that there was, until it is released; not if it is overtaken", async () => {
    hr = await (await wiped()).held();
    await hr.run();
    for (const id of [1, 2, 3, 4]) await change(id, 10 + id, "Risk", "out");
    const held = await hr.run();
    expect([held.status, await kept()]).toEqual(["HELD", "number:10"]);
    // The next one asks for the same again.
    const again = await hr.run();
    expect([again.status, again.counts["leave"], await kept()]).toEqual(["HELD", 4, "number:10"]);
    const released = await hr.run({ released: again.id });
    expect([released.status, released.counts["left"], await kept()]).toEqual(["DONE", 4, "number:14"]);
  });

  test("asks for everything after a change of the configuration, and with the first one again only then", async () => {
    await hr.run();
    await change(3, 11);
    const query = "select id::text, name, name || '@example.com' as mail, 'All' as unit, state, version from staff";
    await hr.configure({ query });
    const other = await hr.run();
    expect([other.counts, (await told(other))?.whole]).toEqual([
      { updated: 10 },
      "its configuration has changed since",
    ]);
    await hr.configure({});
    expect((await hr.run()).counts).toEqual({ updated: 10 });
    expect((await hr.run()).counts).toEqual({ unchanged: 1 });
  });

  test("asks for everything where one row does not stand for all that is told of a person, or a person has decided", async () => {
    await hr.run();
    await sql`
      insert into import_decisions (app_id, external_id, kind, decided_by, decided_at)
      values (${hr.app_id}, '99', 'create', 'admin', now())`.execute(db);
    const decided = await hr.run();
    expect([decided.counts, (await told(decided))?.whole]).toEqual([
      { unchanged: 10 },
      "people have decided about rows that waited",
    ]);
    await sql`update apps set sourcing = sourcing || '{"several_rows": true}' where id = ${hr.app_id}`.execute(db);
    expect((await told(await hr.run()))?.whole).toBe("several of its rows are one person's");
  });
});

/** The same people in a world whose source has the usual guard. */
async function wiped() {
  await wipe(db);
  world = await testWorld(db);
  return { held: () => sqlHr(world, personnel, { guard_people: 2, guard_percent: 20 }) };
}

test("an incremental import that is killed in the middle loses nothing: the next one asks for the same", async () => {
  const database = await testDatabase();
  const own = openDatabase(database.url);
  try {
    await migrate(own);
    world = await testWorld(own);
    hr = await sqlHr(world, personnel);
    await hr.run();
    await personnel.run("insert into staff select n, 'P' || n, 'Risk', 'in', n from generate_series(11, 6000) as n");
    const script = new URL("importSinceChild.ts", import.meta.url).pathname;
    const { form, password } = personnel;
    const child = spawn(process.execPath, [script, database.url, hr.app_id, JSON.stringify({ form, password })], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (text.includes("applying")) child.kill("SIGKILL");
    });
    const [, signal] = await once(child, "exit");
    expect(signal).toBe("SIGKILL");
    const next = await hr.run();
    expect(next.counts["created"]).toBeLessThan(5_990);
    expect((next.counts["created"] ?? 0) + (next.counts["unchanged"] ?? 0)).toBe(5_991);
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from users where login like 'p%'`.execute(own);
    expect(rows).toEqual([{ n: 6_000 }]);
  } finally {
    await own.destroy();
    await database.drop();
  }
}, 120_000);
