/** What an app's health makes of lost calls, on a real database in memory. */
import { expect, test } from "vitest";
import { ConnectorFault } from "../../src/connectors/connector.ts";
import { createUsers } from "../../src/directory/users.ts";
import { claim } from "../../src/engine/claim.ts";
import { confirm } from "../../src/engine/confirm.ts";
import { desire } from "../../src/engine/desire.ts";
import { operate } from "../../src/engine/provision.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import { addFakeApp, must, profileOf, type TestWorld } from "../support/world.ts";

let db: Database;
let world: TestWorld;
memoryWorld((...given) => {
  [db, world] = given;
});

const lost = () => new ConnectorFault("retry", "no answer");

test.each([
  ["one call for all of them counts once", true, 1, false],
  ["calls of their own count each, and the app is taken to be down", false, 12, true],
])("of twelve accounts whose answer is lost, %s", async (_name, shared, expected, down) => {
  const app_id = await addFakeApp(world);
  const users = await must(
    createUsers(
      world.command,
      Array.from({ length: 12 }, (_, n) => ({ profile: profileOf(`P${n}`, "X") })),
    ),
  );
  await sql`
    insert into assignment_grants (user_id, app_id, kind, source_id)
    select id, ${app_id}, 'person', 'test' from unnest(${users.map(({ id }) => id)}::text[]) as id`.execute(db);
  await desire(world, 100);
  const app = await world.app(app_id);
  const one = lost();
  const connector = { ...app.connector, create: () => Promise.reject(shared ? one : lost()) };
  const claimed = await claim(world, [{ app_id, n: 100 }]);
  const results = await Promise.all(claimed.map((each) => operate(world, { ...app, connector }, each)));
  await confirm(world, results);
  const { rows } = await sql<{ faults: number; paused: boolean }>`
    select faults_in_row as faults, paused_until is not null as paused from app_health where app_id = ${app_id}`.execute(
    db,
  );
  expect(rows).toEqual([{ faults: expected, paused: down }]);
});
