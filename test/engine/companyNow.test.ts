/** What a batch of desire takes for the company is what is stored, whatever was remembered. */
import { beforeAll, beforeEach, expect, test } from "vitest";
import { updateApp } from "../../src/directory/apps.ts";
import { assignGroups, unassignGroups } from "../../src/directory/groupAssignments.ts";
import { createGroups, updateGroups } from "../../src/directory/groups.ts";
import { mappingOf, putMapping } from "../../src/directory/mappings.ts";
import { grantMemberships } from "../../src/directory/memberships.ts";
import { activateRule, createRule } from "../../src/directory/rules.ts";
import { setSetting } from "../../src/directory/settings.ts";
import { createUsers } from "../../src/directory/users.ts";
import { type Company, loadCompany } from "../../src/engine/company.ts";
import { companyNow } from "../../src/engine/companyNow.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { addFakeApp, must, profileOf, type TestWorld, testWorld, usual_lines } from "../support/world.ts";

let db: Database;
let world: TestWorld;
let app_id: string;
let group_id: string;
beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  await wipe(db);
  world = await testWorld(db);
  app_id = await addFakeApp(world);
  const [group] = await must(createGroups(world.command, [{ profile: { name: "Sales" } }]));
  group_id = group!.id;
  await must(assignGroups(world.command, app_id, [{ group_id }]));
});

/** What of a company can be compared: functions are compiled from what stands beside them. */
function told(company: Company) {
  const { apps, rules, labels, by_name, external, properties, directories: _, ...rest } = company;
  return {
    ...rest,
    apps: apps.map(({ lines, ...app }) => ({
      ...app,
      lines: lines.map(({ attribute, line }) => ({ attribute, line })),
    })),
    rules: rules.map(({ test: _test, ...rule }) => rule),
    maps: [labels, by_name, external, properties].map((one) => [...one]),
  };
}

const rule = { name: "Salespeople", expression: 'user.department == "Sales"' };

const changes: Readonly<Record<string, () => Promise<unknown>>> = {
  "an app's settings": () =>
    must(
      updateApp(
        world.command,
        app_id,
        { provisioning: { on_unassign: "keep" } },
        {
          key: { id: "test", bytes: Buffer.alloc(32) },
          check: () => ({ ok: { config: {}, credentials: {}, can: world.fakes.get(app_id)!.connector.can } }),
        },
      ),
    ),
  "an app that is switched off": () => sql`update apps set status = 'INACTIVE'`.execute(db),
  "a licence that runs out by the clock": async () => {
    await sql`update apps set licence_expires_at = ${new Date(world.now().getTime() + 1_000)}::timestamptz`.execute(db);
    await companyNow(world, db);
    world.clock.advance(2_000);
  },
  "a mapping": async () => {
    const mapping = await mappingOf(db, app_id, "to_app");
    expect(mapping).toBeDefined();
    await must(
      putMapping(world.command, app_id, "to_app", { ...usual_lines, title: { expression: "user.department" } }),
    );
  },
  "a schema": () => sql`update schemas set attributes = attributes - 0 where app_id = ${app_id}`.execute(db),
  "a group that is given an app": async () => {
    const [other] = await must(createGroups(world.command, [{ profile: { name: "Legal" } }]));
    await must(assignGroups(world.command, app_id, [{ group_id: other!.id, profile: {} }]));
  },
  "a group that loses an app": () => must(unassignGroups(world.command, app_id, [group_id])),
  "an assignment that ends by the clock": async () => {
    const expires_at = new Date(world.now().getTime() + 1_000);
    await must(assignGroups(world.command, app_id, [{ group_id, expires_at }]));
    await companyNow(world, db);
    world.clock.advance(2_000);
  },
  "the organisation's time zone": () => must(setSetting(world.command, "org", { time_zone: "Asia/Tokyo" })),
  "the profile of Everyone": () =>
    sql`update groups set profile = profile || '{"description": "all"}' where type = 'BUILT_IN'`.execute(db),
  "a rule": async () => {
    const made = await must(createRule(world.command, { ...rule, group_ids: [group_id] }));
    await must(activateRule(world.command, made.id));
  },
  "the name of a group that a rule fills": async () => {
    const made = await must(createRule(world.command, { ...rule, group_ids: [group_id] }));
    await must(activateRule(world.command, made.id));
    await companyNow(world, db);
    await must(updateGroups(world.command, [{ id: group_id, profile: { name: "Sellers" } }]));
  },
};

for (const [what, change] of Object.entries(changes)) {
  test(`a change is seen at once: ${what}`, async () => {
    const before = told((await companyNow(world, db)).company);
    expect(before).toEqual(told(await loadCompany(db, world.now())));
    await change();
    const after = told((await companyNow(world, db)).company);
    expect(after).toEqual(told(await loadCompany(db, world.now())));
    expect(after).not.toEqual(before);
  });
}

test("while nothing of it changes the company is read once, whoever joins and leaves", async () => {
  await companyNow(world, db);
  const { company } = await companyNow(world, db);
  const [user] = await must(createUsers(world.command, [{ profile: profileOf("Ada", "Byron") }]));
  await must(
    grantMemberships(world.command, [
      { user_id: user!.id, group_id, kind: "person", source_id: "00uadmin000000000000" },
    ]),
  );
  expect((await companyNow(world, db)).company).toBe(company);
});
