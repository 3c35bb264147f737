/** Work for accounts that go meanwhile: on a real PostgreSQL, because it takes two sessions. */
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { priority } from "../../src/directory/command.ts";
import { markAccountsDue } from "../../src/directory/reach.ts";
import { claim } from "../../src/engine/claim.ts";
import { confirm } from "../../src/engine/confirm.ts";
import { desire } from "../../src/engine/desire.ts";
import { operate } from "../../src/engine/provision.ts";
import { doubt } from "../../src/engine/reconcile.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { freshCompany, hire } from "../directory/company.ts";
import { migratedDatabase } from "../support/postgres.ts";
import { addFakeApp, type TestWorld, testWorld } from "../support/world.ts";

let db: Database;
let world: TestWorld;
let app_id: string;
migratedDatabase(4, (given) => {
  db = given;
});
beforeEach(async () => {
  const { command } = await freshCompany(db);
  world = await testWorld(db);
  app_id = await addFakeApp(world);
  const people = await hire(command, ["Ada", "Bob", "Cid"], { activate: true });
  await sql`
    insert into assignment_grants (user_id, app_id, kind, source_id)
    select id, ${app_id}, 'person', 'test' from unnest(${people.map(({ id }) => id)}::text[]) as id`.execute(db);
  await sql`insert into dirty (user_id, priority, marked_at) select id, ${priority.wave}, now() from users on conflict do nothing`.execute(
    db,
  );
  await desire(world, 100);
});

const left = async () => (await sql<{ account_id: string }>`select account_id from work`.execute(db)).rows.length;
const accounts = async () =>
  (await sql<{ id: string }>`select id from accounts order by id`.execute(db)).rows.map(({ id }) => id);
const removed = () => sql`delete from users where id in (select user_id from accounts)`;

async function waiting(): Promise<void> {
  for (;;) {
    const { rows } = await sql`
      select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`.execute(db);
    if (rows.length > 0) return;
    await sleep(5);
  }
}

type Maker = (trx: Database) => Promise<unknown>;

/** What makes work again for accounts whose work is done. */
const makers: readonly (readonly [string, () => Promise<Maker>])[] = [
  ["a mark", async () => (trx) => markAccountsDue({ ...world.command, db: trx }, app_id, sql`true`)],
  [
    "a doubt",
    async () => {
      const ids = await accounts();
      return (trx) => doubt(world, trx, ids);
    },
  ],
];

test("an account that somebody else made while it was decided is not taken for a new one", async () => {
  const [dan] = await hire(world.command, ["Dan"], { activate: true });
  await sql`insert into assignment_grants (user_id, app_id, kind, source_id) values (${dan.id}, ${app_id}, 'person', 't')`.execute(
    db,
  );
  let met = false;
  const places = () => 10;
  const interrupted = db.withPlugin({
    transformQuery: ({ node }) => node,
    transformResult: async ({ result }) => {
      // His facts have been read: from here on an account is new to desire.
      if (!met && result.rows.some((row) => "login" in row && "profile" in row)) {
        met = true;
        await sql`
          insert into accounts (app_id, user_id, external_id, have) values (${app_id}, ${dan.id}, 'theirs', '{}')`.execute(
          db,
        );
      }
      return result;
    },
  });
  const { claimed } = await desire({ ...world, db: interrupted }, 10, { places });
  expect([met, claimed]).toEqual([true, []]);
  const [due] = await claim(world, [{ app_id, n: 10 }]).then((all) => all.filter((one) => one.user_id === dan.id));
  expect(due?.external_id).toBe("theirs");
});

describe("work of an account that goes", () => {
  test("goes with it, whether its user or its app goes", async () => {
    expect(await left()).toBe(3);
    await sql`delete from users where id = (select min(user_id) from accounts)`.execute(db);
    expect(await left()).toBe(2);
    await sql`delete from apps where id = ${app_id}`.execute(db);
    expect(await left()).toBe(0);
  });

  test.each(makers)("is not left behind by %s of which its deletion knew nothing", async (_name, prepare) => {
    const make = await prepare();
    await sql`delete from work`.execute(db);
    let deleting: Promise<unknown> = Promise.resolve();
    await db.transaction().execute(async (trx) => {
      await make(trx);
      deleting = removed().execute(db);
      await waiting();
    });
    await deleting;
    expect(await accounts()).toEqual([]);
    expect(await left()).toBe(0);
  });

  test.each(makers)("is not made by %s that waits for its deletion", async (_name, prepare) => {
    const make = await prepare();
    await sql`delete from work`.execute(db);
    let making: Promise<unknown> = Promise.resolve();
    await db.transaction().execute(async (trx) => {
      await removed().execute(trx);
      making = db.transaction().execute(make);
      await waiting();
    });
    await making;
    expect(await left()).toBe(0);
  });

  test("is not made again by a confirm that comes too late", async () => {
    const claimed = await claim(world, [{ app_id, n: 3 }]);
    const app = await world.app(app_id);
    const results = await Promise.all(claimed.map((one) => operate(world, app, one)));
    await sql`delete from users where id = ${claimed[0]?.user_id}`.execute(db);
    const { refused } = await confirm(world, results);
    expect(refused).toEqual([claimed[0]?.account_id]);
    expect(await left()).toBe(0);
    expect(await accounts()).toHaveLength(2);
  });
});
