/** New accounts that are claimed by whoever decides on them, on a real database in memory. */
import { beforeEach, expect, test } from "vitest";
import { createUsers, updateUsers } from "../../src/directory/users.ts";
import { type Claimed, claim } from "../../src/engine/claim.ts";
import { confirm } from "../../src/engine/confirm.ts";
import { desire } from "../../src/engine/desire.ts";
import { operate } from "../../src/engine/provision.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import { addFakeApp, must, profileOf, settle, type TestWorld } from "../support/world.ts";

let db: Database;
let world: TestWorld;
let app_id: string;
memoryWorld((...given) => {
  [db, world] = given;
});
beforeEach(async () => {
  app_id = await addFakeApp(world);
});

async function hire(names: readonly string[], apps = [app_id]): Promise<readonly string[]> {
  const users = await must(
    createUsers(
      world.command,
      names.map((name) => ({ profile: profileOf(name, "X") })),
    ),
  );
  const ids = users.map(({ id }) => id);
  await sql`
    insert into assignment_grants (user_id, app_id, kind, source_id)
    select u, a, 'person', 'test' from unnest(${ids}::text[]) u, unnest(${apps}::text[]) a`.execute(db);
  return ids;
}

const work = async (claimed: readonly Claimed[]) => {
  const results = [];
  for (const one of claimed) results.push(await operate(world, await world.app(one.app_id), one));
  return confirm(world, results);
};
const claimAll = () => claim({ ...world, node: "other" }, [{ app_id, n: 100 }]);
const left = async () => (await sql`select from work`.execute(db)).rows.length;

test("as many new accounts are claimed as there are places, and the others are due for whoever comes", async () => {
  await hire(["Ada", "Bob", "Cid", "Dan", "Eve"]);
  const { claimed, due } = await desire(world, 10, { places: () => 2 });
  expect(due).toBe(5);
  expect(claimed.map(({ login }) => login)).toHaveLength(2);
  const others = await claimAll();
  expect(others).toHaveLength(3);
  expect(new Set([...claimed, ...others].map(({ account_id }) => account_id)).size).toBe(5);
  expect((await work(claimed)).refused).toEqual([]);
  await work(others);
  expect(world.fakes.get(app_id)?.accounts.size).toBe(5);
  expect(await left()).toBe(0);
});

test("a first claim is what any claim of the account would be", async () => {
  await hire(["Ada"]);
  const { claimed } = await desire(world, 10, { places: () => 1 });
  await sql`update work set claimed_by = null, claimed_until = null`.execute(db);
  const [again] = await claim(world, [{ app_id, n: 1 }]);
  expect(claimed).toEqual([{ ...again, claim: claimed[0]?.claim, claimed_until: claimed[0]?.claimed_until }]);
  expect(again?.claimed_until).toEqual(claimed[0]?.claimed_until);
  expect(again?.claim).not.toBe(claimed[0]?.claim);
});

test("each app has places of its own", async () => {
  const second = await addFakeApp(world, { label: "Second" });
  await hire(["Ada", "Bob", "Cid"], [app_id, second]);
  const { claimed } = await desire(world, 10, { places: (app) => (app === app_id ? 1 : 2) });
  const counts = Map.groupBy(claimed, (one) => one.app_id);
  expect([counts.get(app_id)?.length, counts.get(second)?.length]).toEqual([1, 2]);
});

test("an account that was there before is claimed as ever, whatever places there are", async () => {
  const [ada = ""] = await hire(["Ada"]);
  await settle(world);
  await must(updateUsers(world.command, [{ id: ada, profile: { department: "Elsewhere" } }]));
  const { claimed } = await desire(world, 10, { places: () => 10 });
  expect(claimed).toEqual([]);
});

test("who dies with a first claim is followed by another when the lease ends, who finds what was made", async () => {
  await hire(["Ada"]);
  const { claimed } = await desire(world, 10, { places: () => 10 });
  for (const one of claimed) await operate(world, await world.app(app_id), one);
  expect(await claimAll()).toEqual([]);
  world.clock.advance(world.lease_ms + 1);
  const again = await claimAll();
  expect(again).toMatchObject([{ was_unsure: true, tried_keys: ["ada.x@example.com"], external_id: null }]);
  await work(again);
  expect(world.fakes.get(app_id)?.accounts.size).toBe(1);
  expect(await left()).toBe(0);
  expect((await work(claimed)).refused).toHaveLength(1);
});

test("who is changed before the first claim is confirmed is worked on again", async () => {
  const [ada = ""] = await hire(["Ada"]);
  const { claimed } = await desire(world, 10, { places: () => 10 });
  await must(updateUsers(world.command, [{ id: ada, profile: { firstName: "Augusta" } }]));
  await desire(world, 10, { places: () => 10 });
  await work(claimed);
  expect(await left()).toBe(1);
  await settle(world);
  expect([...(world.fakes.get(app_id)?.accounts.values() ?? [])].map(({ profile }) => profile["givenName"])).toEqual([
    "Augusta",
  ]);
});
