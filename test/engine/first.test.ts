import { expect, test } from "vitest";
import { markDirty } from "../../src/directory/command.ts";
import { createGroups } from "../../src/directory/groups.ts";
import { grantMemberships } from "../../src/directory/memberships.ts";
import { transitionUser } from "../../src/directory/userLifecycle.ts";
import { createUsers, updateUsers } from "../../src/directory/users.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import { accountIn, addFakeApp, must, profileOf, settle, type TestWorld } from "../support/world.ts";

let db: Database;
let world: TestWorld;
memoryWorld((...given) => {
  [db, world] = given;
});

test("a hire gets the apps of a group, a move changes them, a leave disables, a return brings the same account back", async () => {
  const app = await addFakeApp(world);
  const [user] = await must(
    createUsers(world.command, [
      { profile: profileOf("Ada", "Byron", { department: "Sales" }), password: "Sunny-Meadow-42", activate: true },
    ]),
  );
  const [group] = await must(createGroups(world.command, [{ profile: { name: "Sales" } }]));
  await must(
    grantMemberships(world.command, [
      { user_id: user!.id, group_id: group!.id, kind: "person", source_id: "00uadmin000000000000" },
    ]),
  );
  await sql`insert into group_assignments (app_id, group_id, priority) values (${app}, ${group!.id}, 0)`.execute(db);
  await settle(world);
  const hired = await accountIn(world, app, user!.id);
  expect(hired).toMatchObject({ enabled: true, profile: { userName: "ada.byron@example.com", department: "Sales" } });
  await must(updateUsers(world.command, [{ id: user!.id, profile: { department: "Marketing" } }]));
  await settle(world);
  expect(await accountIn(world, app, user!.id)).toMatchObject({ id: hired!.id, profile: { department: "Marketing" } });
  await must(transitionUser(world.command, user!.id, { kind: "deactivate" }));
  await settle(world);
  expect(await accountIn(world, app, user!.id)).toMatchObject({ id: hired!.id, enabled: false });
  await must(transitionUser(world.command, user!.id, { kind: "activate" }));
  await settle(world);
  expect(await accountIn(world, app, user!.id)).toMatchObject({ id: hired!.id, enabled: true });
  expect(await settle(world)).toBe(0);
  await sql`delete from group_assignments`.execute(db);
  await markDirty(world.command, [user!.id]);
  await settle(world);
  expect(await accountIn(world, app, user!.id)).toMatchObject({ enabled: false });
});
