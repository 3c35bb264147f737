/** Imports that are held by the guard: before any write, with the names, until a person lets pass what they were shown. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Value } from "../../src/core/types.ts";
import { putMapping } from "../../src/directory/mappings.ts";
import { transitionUser } from "../../src/directory/userLifecycle.ts";
import { getUser } from "../../src/directory/userQueries.ts";
import { createUsers } from "../../src/directory/users.ts";
import { type ImportSummary, startImport } from "../../src/engine/import.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import { admin, must, profileOf, type TestWorld } from "../support/world.ts";
import { type Hr, hrSource, type Row, rowOf } from "./hr.ts";

let db: Database;
let world: TestWorld;
memoryWorld((...given) => {
  [db, world] = given;
});

const people = (count: number, more: Row = {}) =>
  Array.from({ length: count }, (_, n) => rowOf(`${n}`, `P${n}`, "Worker", more));
const status = async (n: number) => (await getUser(db, `p${n}.worker@example.com`))?.status;
const byDefault = { guard_people: 10, guard_percent: 20 };
const company = async (count = 100): Promise<Hr> => {
  const hr = await hrSource(world, byDefault);
  await hr.run(people(count));
  return hr;
};
const facts = async () =>
  (
    await sql<{ users: Value; accounts: Value; memberships: Value }>`
      select (select jsonb_agg(u order by id) from users u) as users, (select jsonb_agg(a order by id) from accounts a) as accounts,
        (select jsonb_agg(m) from memberships m) as memberships`.execute(db)
  ).rows[0];
type Shown = { login: string; outcome: string; cut_off: string | null };
const shown = async (run: ImportSummary) =>
  (
    await sql<Shown>`
      select u.login, r.outcome, r.detail->>'cut_off' as cut_off from import_rows r join users u on u.id = r.user_id
      where r.import_id = ${run.id} and (r.outcome in ('leave', 'vanish') or r.detail ? 'cut_off') order by length(u.login), u.login`.execute(
      db,
    )
  ).rows;
const stages = async () =>
  (
    await sql<{
      relname: string;
    }>`select relname from pg_class where relkind = 'r' and relname ~ '^import_stage_'`.execute(db)
  ).rows.length;
const release = (hr: Hr, held: ImportSummary) => hr.run(undefined, { released: held.id });

describe("an import that takes away more than a fifth", () => {
  test.each([
    [20, "DONE"],
    [21, "HELD"],
  ])("by %i of 100 leavers is %s", async (leavers, expected) => {
    const hr = await company();
    expect(await hr.run(people(100).slice(leavers))).toMatchObject({ status: expected });
  });

  test("is held before any write, shows the names, and holds up no other source", async () => {
    const hr = await company();
    const other = await hrSource(world, {}, "Other");
    const before = await facts();
    const held = await hr.run([...people(100).slice(21), rowOf("900", "Ada", "Byron")]);
    expect(held).toMatchObject({ status: "HELD", reason: expect.stringContaining("21 of 100 people") });
    expect(await facts()).toEqual(before);
    expect((await shown(held)).map(({ login }) => login)).toEqual(people(21).map(({ mail }) => mail));
    expect(await other.run([rowOf("901", "Bob", "Stone")])).toMatchObject({ status: "DONE", counts: { created: 1 } });
  });

  test.each([
    ["today", "2026-03-02", "2026-03-03T00:00:00+00:00"],
    ["in the past", "2026-02-01", "2026-02-02T00:00:00+00:00"],
    ["that lies ahead", "2026-12-31", "2027-01-01T00:00:00+00:00"],
  ])("by last days %s is held as one with leavers is, and says whom they cut off when", async (_when, end, at) => {
    const hr = await company();
    const before = await facts();
    const held = await hr.run(people(100).map((row, n) => (n < 21 ? { ...row, end } : row)));
    expect(held).toMatchObject({ status: "HELD", reason: expect.stringContaining("21 of 100 people") });
    expect(await facts()).toEqual(before);
    const cut_off = (await shown(held)).map((one) => [one.login, one.outcome, new Date(one.cut_off ?? "").getTime()]);
    expect(cut_off).toEqual(people(21).map(({ mail }) => [mail, "update", new Date(at).getTime()]));
    const fewer = await hr.run(people(100).map((row, n) => (n < 20 ? { ...row, end } : row)));
    expect(fewer.status).toBe("DONE");
  });
});

describe("a release", () => {
  test("applies what was shown, whatever the source says by then, and keeps no rows after it", async () => {
    const hr = await company();
    const held = await hr.run([...people(100).slice(21), rowOf("900", "Ada", "Byron")]);
    hr.write([rowOf("901", "Bob", "Stone")]);
    const released = await release(hr, held);
    expect(released).toMatchObject({ status: "DONE", counts: { left: 21, created: 1, unchanged: 79 } });
    expect([await status(20), await status(21)]).toEqual(["DEPROVISIONED", "PROVISIONED"]);
    expect(await getUser(db, "ada.byron@example.com")).toBeDefined();
    expect(await getUser(db, "bob.stone@example.com")).toBeUndefined();
    expect(await stages()).toBe(0);
  });

  test("applies it with the source's file gone, and rows that could not be read stay refused", async () => {
    const hr = await company();
    hr.write([...people(100).slice(22), { ...rowOf("900", "No", "Mail"), mail: "" }]);
    const broken = "21,p21.worker@example.com,P21";
    hr.writeText([readFileSync(hr.path, "utf8"), broken, "901,bob.stone@example.com,Bob,Stone,,active,,,,"].join("\n"));
    const held = await hr.run();
    expect(held).toMatchObject({ status: "HELD", counts: { vanish: 21, refused: 2, create: 1 } });
    hr.writeText("");
    expect(await release(hr, held)).toMatchObject({ status: "DONE", counts: { left: 21, refused: 2, created: 1 } });
    expect(await status(21)).toBe("PROVISIONED");
  });

  test("makes nobody leave who was not shown: whoever came in between stays, whoever has left already is not asked again", async () => {
    const hr = await company();
    const held = await hr.run(people(100).slice(21));
    const gone = (await getUser(db, "p0.worker@example.com"))!;
    await must(transitionUser(world.command, gone.id, { kind: "deactivate" }));
    const [late] = await must(createUsers(world.command, [{ profile: profileOf("Late", "Comer") }]));
    await sql`
      insert into accounts (app_id, user_id, external_id, have)
      select app_id, ${late!.id}, 'late', have from accounts where external_id = '50'`.execute(db);
    expect(await release(hr, held)).toMatchObject({ status: "DONE" });
    expect((await getUser(db, late!.id))?.status).toBe(late!.status);
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from events where type = 'user.lifecycle.deactivate'`.execute(db);
    expect(rows[0]?.n).toBe(21);
  });

  test("is refused when the rules or the mapping have changed since, for then the rows would mean something else", async () => {
    const hr = await company();
    const held = await hr.run(people(100).slice(21));
    await must(
      putMapping(world.command, hr.app_id, "to_user", {
        login: { expression: "appuser.mail" },
        email: { expression: "appuser.mail" },
        firstName: { expression: "appuser.last" },
        lastName: { expression: "appuser.first" },
      }),
    );
    const answer = await startImport(world, hr.app_id, { mode: "full", actor: admin, released: held.id });
    expect(answer).toMatchObject({ code: "stale", refused: expect.stringContaining("mapping") });
    expect(await status(0)).toBe("PROVISIONED");
  });

  test("a second time is refused: what was read is not kept any more", async () => {
    const hr = await company();
    const held = await hr.run(people(100).slice(21));
    await release(hr, held);
    const again = await startImport(world, hr.app_id, { mode: "full", actor: admin, released: held.id });
    expect(again).toMatchObject({ code: "stale", refused: expect.stringContaining("not kept") });
  });

  test("of a hold that a newer import overtook is refused, and its rows are gone", async () => {
    const hr = await company();
    const held = await hr.run(people(100).slice(21));
    await hr.run(people(100));
    await hr.run(people(100));
    expect(await stages()).toBe(0);
    const answer = await startImport(world, hr.app_id, { mode: "full", actor: admin, released: held.id });
    expect(answer).toMatchObject({ code: "stale" });
  });
});
