/** Imports on a real PostgreSQL: by COPY and with several chunks under way, and still as if row by row. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { deleteUser, transitionUser } from "../../src/directory/userLifecycle.ts";
import { getUser } from "../../src/directory/userQueries.ts";
import { askMissing } from "../../src/engine/importAbsence.ts";
import { chunk_size } from "../../src/engine/importPass.ts";
import { closeStage, openStage, stageOf } from "../../src/engine/importStage.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { hookServer } from "../support/hookServer.ts";
import { wipe } from "../support/memory.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { must, settle, type TestWorld, testWorld } from "../support/world.ts";
import { hrSource, importHook, linesOf, type Row, rowOf } from "./hr.ts";

let database: TestDatabase;
let db: Database;
let world: TestWorld;
beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url);
  await migrate(db);
}, 120_000);
afterAll(async () => {
  await db.destroy();
  await database.drop();
});
beforeEach(async () => {
  await wipe(db);
  world = await testWorld(db);
});

const size = 4 * chunk_size + 321;
const company = (): Row[] =>
  Array.from({ length: size }, (_, n) => rowOf(`${n}`, `P${n}`, "Worker", { department: "Mills" }));
const count = async (table: string) =>
  (await sql<{ n: number }>`select count(*)::int as n from ${sql.table(table)}`.execute(db)).rows[0]?.n;
const stages = async () =>
  (
    await sql<{
      relname: string;
    }>`select relname from pg_class where relkind = 'r' and relname ~ '^import_(stage|changes)_'`.execute(db)
  ).rows;

test("who is missing from a list is found without going through it once for each person, whatever the planner expects", async () => {
  const { app_id } = await hrSource(world);
  const id = "imp000000000000plans";
  await openStage(db, id, world.now());
  await sql`
    insert into accounts (app_id, user_id, external_id, have)
    select ${app_id}, 'person ' || n, n::text, '{"enabled": true, "profile": {}}' from generate_series(1, 20000) n`.execute(
    db,
  );
  await sql`
    insert into ${stageOf(id)} (line, external_id, profile, enabled)
    select n, n::text, '{}', true from generate_series(1, 20000) n`.execute(db);
  await sql`analyze accounts, import_rows`.execute(db);
  const { rows } = await askMissing(db, { import_id: id, app_id }, (trx, missing) =>
    sql`explain (format json) select 1 from ${missing} a limit 1`.execute(trx),
  );
  expect(JSON.stringify(rows)).not.toContain("Nested Loop");
  await closeStage(db, id);
}, 60_000);

describe("a large import", () => {
  test("creates, finds unchanged, changes and ends people, marks only whom it concerns, and leaves no tables", async () => {
    const hr = await hrSource(world);
    const rows = company();
    expect(await hr.run(rows)).toMatchObject({ status: "DONE", complete: true, counts: { created: size } });
    expect(await count("accounts")).toBe(size);
    expect(await count("dirty")).toBe(size);
    await sql`delete from dirty`.execute(db);

    expect((await hr.run()).counts).toEqual({ unchanged: size });
    expect(await count("dirty")).toBe(0);

    const next = rows
      .filter((_, n) => n % 100 !== 7)
      .map((row, n) => (n % 50 === 0 ? { ...row, department: "Sales" } : row));
    const updated = next.filter(({ department }) => department === "Sales").length;
    const left = size - next.length;
    expect((await hr.run(next)).counts).toEqual({ unchanged: next.length - updated, updated, left });
    expect(await count("dirty")).toBe(updated + left);
    expect(await stages()).toEqual([]);
  }, 120_000);

  test("refuses the later of two rows that want one login, wherever they stand, and tells where", async () => {
    const hr = await hrSource(world);
    const rows = company();
    const twice = [5, chunk_size + 5, 3 * chunk_size].map((n) => ({ ...rows[3]!, id: `again ${n}` }));
    const run = await hr.run([
      ...rows,
      ...twice.slice(0, 1),
      { ...rows[2 * chunk_size]!, id: "other" },
      ...twice.slice(1),
    ]);
    expect(run).toMatchObject({ status: "DONE", counts: { created: size, refused: 4 } });
    const refused = (await linesOf(world, run.id)).filter((line) => line.outcome === "refused");
    expect(refused.map((line) => line.external_id)).toEqual([
      "again 5",
      "other",
      `again ${chunk_size + 5}`,
      `again ${3 * chunk_size}`,
    ]);
    for (const line of refused) expect(line.detail?.reason).toContain("already comes from another row");
    expect(refused[0]?.detail?.place).toBe(`line ${size + 2}, again 5`);
    const first = await getUser(db, "p3.worker@example.com");
    expect(first?.profile["employeeNumber"]).toBe("3");
  }, 120_000);

  test("asks a hook about everyone, chunk by chunk, and refuses the later of two rows that it gives one login", async () => {
    const server = await hookServer();
    try {
      server.answer(({ body }) => {
        const { id } = body.data.appUser.profile;
        const [login, many] = ["same@example.com", [7, 9, chunk_size + 7].includes(Number(id))];
        return {
          commands: [
            { type: "com.okta.user.profile.update", value: { title: `No ${id}`, ...(many ? { login } : {}) } },
          ],
        };
      });
      const hr = await hrSource(world, { import_hook: await importHook(world, server.url, "refuse") });
      const rows = company().slice(0, chunk_size + 100);
      const run = await hr.run(rows);
      expect(run).toMatchObject({ status: "DONE", counts: { created: rows.length - 2, refused: 2 } });
      const refused = (await linesOf(world, run.id)).filter((line) => line.outcome === "refused");
      expect(refused.map((line) => line.external_id)).toEqual(["9", `${chunk_size + 7}`]);
      expect(server.heard).toHaveLength(rows.length);
      expect((await getUser(db, "p3.worker@example.com"))?.profile["title"]).toBe("No 3");
      expect((await hr.run()).counts).toEqual({ unchanged: rows.length - 2, refused: 2 });
    } finally {
      await server.close();
    }
  }, 120_000);

  test("stops where it is cancelled, and goes on from there", async () => {
    const hr = await hrSource(world);
    const stop = new AbortController();
    const onProgress = ({ phase }: { phase: string }) => {
      if (phase === "applying") stop.abort();
    };
    const cancelled = await hr.run(company(), { signal: stop.signal, onProgress });
    const created = cancelled.counts["created"] ?? 0;
    expect(cancelled).toMatchObject({ status: "CANCELLED", counts: { created, undecided: size - created } });
    expect(created).toBeGreaterThan(0);
    expect(created).toBeLessThan(size);
    expect((await hr.run()).counts).toEqual({ unchanged: created, created: size - created });
  }, 120_000);

  test("drops the tables that a node left behind when it was killed", async () => {
    const hr = await hrSource(world);
    await openStage(db, "imp00000000000000abc", world.now());
    expect(await stages()).toHaveLength(2);
    await hr.run([rowOf("1", "Ada", "Byron")]);
    expect(await stages()).toEqual([]);
    await closeStage(db, "imp00000000000000abc");
  });

  test("keeps cells with tabs, backslashes and letters of any alphabet as they stand", async () => {
    const hr = await hrSource(world);
    const odd = { department: 'a\tb\\n"ü€𝄞', manager: "\\N" };
    const cell = (text: string) => `"${text.replaceAll('"', '""')}"`;
    hr.writeText(
      `id,mail,first,last,department,state,start,end,zone,manager\n1,a@b.example,Ada,Byron,${cell(odd.department)},active,,,,${cell(odd.manager)}\n`,
    );
    expect((await hr.run()).counts).toEqual({ created: 1 });
    expect((await getUser(db, "a@b.example"))?.profile).toMatchObject({
      department: odd.department,
      managerId: odd.manager,
    });
    expect((await hr.run()).counts).toEqual({ unchanged: 1 });
  });
});

describe("without foreign keys", () => {
  test("a person who is deleted takes their accounts and marks along, an app its accounts", async () => {
    const hr = await hrSource(world);
    await hr.run([rowOf("1", "Ada", "Byron"), rowOf("2", "Bob", "Stone")]);
    await settle(world);
    const ada = (await getUser(db, "ada.byron@example.com"))!;
    await must(transitionUser(world.command, ada.id, { kind: "deactivate" }));
    await must(deleteUser(world.command, ada.id, { force: true }));
    expect(await count("accounts")).toBe(1);
    const { rows } = await sql`select 1 from dirty where user_id = ${ada.id}`.execute(db);
    expect(rows).toEqual([]);
    await sql`delete from apps where id = ${hr.app_id}`.execute(db);
    expect([await count("accounts"), await count("imports"), await count("import_rows")]).toEqual([0, 0, 0]);
  });

  test("nobody is given an account in an app that is not there", async () => {
    const inserted = sql`insert into accounts (app_id, user_id) values ('0oanone', '00unone')`.execute(db);
    await expect(inserted).rejects.toThrow(/app of an account is not there/);
  });
});
