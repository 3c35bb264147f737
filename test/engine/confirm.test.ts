/** What a confirmed batch leaves in the database of what an app holds, on a real database in memory. */
import { beforeEach, expect, test } from "vitest";
import type { Profile } from "../../src/core/types.ts";
import { createUsers, updateUsers } from "../../src/directory/users.ts";
import { type Claimed, claim } from "../../src/engine/claim.ts";
import { confirm } from "../../src/engine/confirm.ts";
import { desire } from "../../src/engine/desire.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import { addFakeApp, must, profileOf, type TestWorld } from "../support/world.ts";

let db: Database;
let world: TestWorld;
let ada: string;
let claimed: Claimed;
memoryWorld((...given) => {
  [db, world] = given;
});
beforeEach(async () => {
  const app_id = await addFakeApp(world);
  const users = await must(createUsers(world.command, [{ profile: profileOf("Ada", "X") }]));
  ada = users[0]?.id ?? "";
  await sql`insert into assignment_grants (user_id, app_id, kind, source_id) values (${ada}, ${app_id}, 'person', 'test')`.execute(
    db,
  );
  await desire(world, 10);
  claimed = (await claim(world, [{ app_id, n: 1 }]))[0] as Claimed;
});

const wanted = (): Profile => claimed.want?.profile ?? {};
const holding = (profile: Profile) =>
  confirm(world, [{ claimed, ended: "done", external_id: "e1", have: { enabled: true, profile }, operations: [] }]);
const facts = async () => {
  const { rows } = await sql<{ have: unknown; unsure: boolean | null }>`
    select a.have, w.unsure from accounts a left join work w on w.account_id = a.id`.execute(db);
  return rows[0];
};

const first = "givenName";
const cases: readonly (readonly [string, () => Profile])[] = [
  ["just what was asked for", () => wanted()],
  ["what was asked for, and values of its own", () => ({ ...wanted(), externalId: 'a"b\\c', roles: ["x", "y"] })],
  [
    "what was asked for, and a value by the name of a prototype",
    () => ({ ...wanted(), ...JSON.parse('{"__proto__":"x"}') }),
  ],
  ["another value", () => ({ ...wanted(), [first]: "Augusta", externalId: "1" })],
  ["less", () => Object.fromEntries(Object.entries(wanted()).filter(([name]) => name !== first))],
  [
    "another value by another name",
    () => {
      const { [first]: value, ...rest } = wanted();
      return { ...rest, externalId: value ?? null };
    },
  ],
];
test.each(cases)("an app that holds %s is known to hold that", async (_, profile) => {
  await holding(profile());
  expect(await facts()).toEqual({ have: { enabled: true, profile: profile() }, unsure: null });
});

test("what an app holds of a want that has moved since is not taken for what the new one asks for", async () => {
  await must(updateUsers(world.command, [{ id: ada, profile: { firstName: "Augusta" } }]));
  await desire(world, 10);
  await holding({ ...wanted(), externalId: "1" });
  expect(await facts()).toEqual({ have: null, unsure: true });
});
