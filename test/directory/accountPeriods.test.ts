/** What an account was at a past moment, though its first confirm leaves no history: on a real database in memory. */
import fc from "fast-check";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { accountsAsOf } from "../../src/directory/accounts.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { at, noon, person } from "./support.ts";

let db: Database;
let ada: string;
beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  ada = await person(db, "ada");
  await sql`insert into apps (id, name, label, kind) values ('0oa1', 'crm', 'CRM', 'none')`.execute(db);
});
afterEach(() => wipe(db));

const clock = (now: Date) => sql`update clock set fixed_at = ${now}::timestamptz`.execute(db);
const desired = (now: Date) => sql`
  insert into accounts (id, app_id, user_id, assigned, want, want_revision, created_at, updated_at)
  values ('0ua1', '0oa1', ${ada}, true, '{"enabled": true}', 1, ${now}::timestamptz, ${now}::timestamptz)`;
const imported = (now: Date) => sql`
  insert into accounts (id, app_id, user_id, external_id, have, synced_at, created_at, updated_at)
  values ('0ua1', '0oa1', ${ada}, 'e0', '{"enabled": true}', ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz)`;

type Change = (now: Date) => ReturnType<typeof desired>;
const changes: Readonly<Record<string, Change>> = {
  confirmed: (now) => sql`
    update accounts set external_id = 'e1', have = want, have_revision = want_revision, error = null, pending = null,
      synced_at = ${now}::timestamptz`,
  "confirmed as absent": (now) => sql`
    update accounts set external_id = null, have = null, have_revision = want_revision, error = null, pending = null,
      synced_at = ${now}::timestamptz`,
  refused: () => sql`update accounts set error = 'no room'`,
  pending: () => sql`update accounts set pending = 'create'`,
  wanted: (now) => sql`
    update accounts set want = jsonb_build_object('enabled', true, 'n', want_revision), want_revision = want_revision + 1,
      updated_at = ${now}::timestamptz`,
  ended: (now) => sql`
    update accounts set assigned = false, want = '{"enabled": false}', want_revision = want_revision + 1,
      updated_at = ${now}::timestamptz`,
  "written without a change": () => sql`update accounts set pending = pending`,
  deleted: () => sql`delete from accounts`,
};

const facts = ["assigned", "external_id", "want", "have"] as const;
const told = (row: Readonly<Record<string, unknown>> | undefined) => row && facts.map((name) => row[name]);
const rowNow = async () => told((await sql<Record<string, unknown>>`select * from accounts`.execute(db)).rows[0]);
const kept = async () =>
  (await sql<{ n: number }>`select count(*)::int as n from accounts_history`.execute(db)).rows[0]?.n;

test("at any moment an account is told to have been what it then was, whatever happened to it", async () => {
  const life = fc.tuple(
    fc.constantFrom(desired, imported),
    fc.array(fc.constantFrom(...Object.keys(changes)), { minLength: 1, maxLength: 6 }),
  );
  await fc.assert(
    fc.asyncProperty(life, async ([begin, names]) => {
      await sql`delete from accounts`.execute(db);
      await sql`truncate accounts_history`.execute(db);
      const was: unknown[] = [];
      for (const [n, change] of [begin, ...names.map((name) => changes[name] as Change)].entries()) {
        await clock(at(n * 10));
        await change(at(n * 10)).execute(db);
        was.push(await rowNow());
      }
      for (const [n, then] of was.entries()) {
        const past = await accountsAsOf(db, { user_id: ada }, at(n * 10 + 5));
        expect([past.length, told(past[0])]).toEqual([then === undefined ? 0 : 1, then]);
      }
      expect(await accountsAsOf(db, { user_id: ada }, at(-5))).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

test("the first confirm of a new account leaves no history, and what comes after it does", async () => {
  await clock(noon);
  await desired(noon).execute(db);
  await clock(at(10));
  await changes["confirmed"]?.(at(10)).execute(db);
  expect(await kept()).toBe(0);
  const [before] = await accountsAsOf(db, { user_id: ada }, at(5));
  expect(before).toMatchObject({ external_id: null, have: null, valid_from: noon, valid_to: at(10) });
  await clock(at(20));
  await changes["confirmed"]?.(at(20)).execute(db);
  expect(await kept()).toBe(1);
});
