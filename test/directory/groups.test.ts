import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Command } from "../../src/directory/command.ts";
import { getGroup, listGroups, membersAsOf, membershipGrants, membersOf } from "../../src/directory/groupQueries.ts";
import {
  createGroups,
  deleteAppGroups,
  deleteGroups,
  updateGroups,
  upsertAppGroups,
} from "../../src/directory/groups.ts";
import { expireMemberships, grantMemberships, revokeMemberships } from "../../src/directory/memberships.ts";
import { ensureGround } from "../../src/directory/schemas.ts";
import { groupsOf } from "../../src/directory/userQueries.ts";
import { createUsers } from "../../src/directory/users.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryDatabase } from "../support/memory.ts";
import {
  accepted,
  clean,
  dirtyUsers,
  eventTypes,
  freshCompany,
  groupsBy,
  hire,
  lastEvent,
  makeGroups,
  profileOf,
  refused,
  type SetTime,
} from "./company.ts";

let db: Database;
let command: Command;
let everyone: string;
let setTime: SetTime;

beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  ({ command, everyone, setTime } = await freshCompany(db));
});

const by = (user_id: string, group_id: string, more = {}) => ({
  ...{ user_id, group_id, kind: "person" as const, source_id: "00uadmin" },
  ...more,
});

async function push(group_id: string): Promise<void> {
  await sql`insert into apps (id, name, label, kind) values ('0oa1', 'wiki', 'Wiki', 'scim') on conflict do nothing`.execute(
    db,
  );
  await sql`
    insert into pushed_groups (app_id, group_id, mode, target_id) values ('0oa1', ${group_id}, 'create', 't1')`.execute(
    db,
  );
}

async function pushes() {
  const { rows } = await sql<{ generation: number; due: boolean; cause: string | null }>`
    select generation::int, due_at is not null as due, e.type as cause
    from pushed_groups p left join events e on e.seq = p.cause`.execute(db);
  return rows;
}

describe("groups", () => {
  it("the ground is made once, however many nodes start", async () => {
    const ids = await Promise.all([ensureGround(command), ensureGround(command), ensureGround(command)]);
    expect(new Set(ids)).toEqual(new Set([everyone]));
    expect(await listGroups(db, {}, { limit: 10 })).toMatchObject([
      { type: "BUILT_IN", profile: { name: "Everyone" } },
    ]);
  });

  it("creates all or none, and refuses a name that is taken, by name", async () => {
    await makeGroups(command, ["Sales"]);
    const again = refused(
      await createGroups(command, [{ profile: { name: "Legal" } }, { profile: { name: "Sales" } }]),
    );
    expect(again).toMatchObject({ code: "duplicate" });
    expect(again.refused).toContain('"Sales"');
    expect(refused(await createGroups(command, [{ profile: { name: "A" } }, { profile: { name: "A" } }])).code).toBe(
      "duplicate",
    );
    expect(refused(await createGroups(command, [{ profile: {} }])).place).toBe("name");
    expect(await listGroups(db, { type: "OKTA_GROUP" }, { limit: 10 })).toHaveLength(1);
  });

  it("a rename is logged, and its members and pushes follow", async () => {
    const [sales, legal] = await makeGroups(command, ["Sales", "Legal"]);
    const [ada] = await hire(command, ["Ada", "Bo"]);
    accepted(await grantMemberships(command, [by(ada.id, sales.id)]));
    await push(sales.id);
    await clean(db);
    const last = await lastEvent(db);
    accepted(
      await updateGroups(command, [
        { id: sales.id, profile: { name: "Revenue" } },
        { id: legal.id, profile: {} },
      ]),
    );
    expect(await eventTypes(db, last)).toEqual(["group.profile.update"]);
    expect([...(await dirtyUsers(db)).keys()]).toEqual([ada.id]);
    expect(await pushes()).toEqual([{ generation: 1, due: true, cause: "group.profile.update" }]);
    expect(refused(await updateGroups(command, [{ id: sales.id, profile: { name: "Legal" } }])).code).toBe("duplicate");
  });

  it("a deleted group takes its grants along and computes its members again", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada", "Bo"]);
    accepted(await grantMemberships(command, [by(ada.id, sales.id)]));
    await push(sales.id);
    await clean(db);
    accepted(await deleteGroups(command, [sales.id]));
    expect(await getGroup(db, sales.id)).toBeUndefined();
    expect(await groupsBy(db, ada.id)).toEqual({});
    expect(await dirtyUsers(db)).toEqual(new Map([[ada.id, { priority: 10, cause: "group.lifecycle.delete" }]]));
    const { rows } = await sql<{ detail: unknown }>`select detail from events order by seq desc limit 1`.execute(db);
    expect(rows[0]?.detail).toEqual({ members: 1, left_in: ["Wiki"] });
  });

  it("imported groups come and go only by import", async () => {
    await sql`insert into apps (id, name, label, kind) values ('0oa9', 'ad', 'AD', 'ad')`.execute(db);
    const first = accepted(
      await upsertAppGroups(command, "0oa9", [
        { external_id: "g1", profile: { name: "Staff" } },
        { external_id: "g2", profile: { name: "Staff" } },
      ]),
    );
    expect(first.created).toHaveLength(2);
    const second = accepted(
      await upsertAppGroups(command, "0oa9", [
        { external_id: "g1", profile: { name: "Staff" } },
        { external_id: "g2", profile: { name: "People" } },
      ]),
    );
    expect(second).toMatchObject({ created: [], changed: [first.groups[1]?.id] });
    const [one] = first.groups;
    expect(refused(await deleteGroups(command, [one?.id ?? ""])).code).toBe("forbidden");
    const [ada] = await hire(command, ["Ada"]);
    const id = one?.id ?? "";
    expect(refused(await grantMemberships(command, [by(ada.id, id)])).code).toBe("forbidden");
    accepted(await grantMemberships(command, [by(ada.id, id, { kind: "import", source_id: "0oa9" })]));
    expect(refused(await revokeMemberships(command, [{ user_id: ada.id, group_id: id }])).code).toBe("forbidden");
    accepted(await revokeMemberships(command, [{ user_id: ada.id, group_id: id, kind: "import", source_id: "0oa9" }]));
    expect(await groupsBy(db, ada.id)).toEqual({});
    expect(accepted(await deleteAppGroups(command, "0oa9", [id]))).toHaveLength(1);
  });
});

describe("memberships", () => {
  it("is logged when it begins and when it ends, not when a second grant comes or goes", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"]);
    await push(sales.id);
    const steps: [() => Promise<unknown>, string[]][] = [
      [() => grantMemberships(command, [by(ada.id, sales.id)]), ["group.user_membership.add"]],
      [() => grantMemberships(command, [by(ada.id, sales.id)]), []],
      [() => grantMemberships(command, [by(ada.id, sales.id, { kind: "request", source_id: "r1" })]), []],
      [
        () => revokeMemberships(command, [{ user_id: ada.id, group_id: sales.id, kind: "request", source_id: "r1" }]),
        [],
      ],
      [() => revokeMemberships(command, [{ user_id: ada.id, group_id: sales.id }]), ["group.user_membership.remove"]],
      [() => revokeMemberships(command, [{ user_id: ada.id, group_id: sales.id }]), []],
    ];
    for (const [step, types] of steps) {
      const last = await lastEvent(db);
      accepted(await step());
      expect(await eventTypes(db, last)).toEqual(types);
    }
    expect(await pushes()).toEqual([{ generation: 2, due: true, cause: "group.user_membership.remove" }]);
  });

  it("a removal by hand ends every grant of the person at once", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"]);
    accepted(
      await grantMemberships(command, [
        by(ada.id, sales.id),
        by(ada.id, sales.id, { source_id: "00uother" }),
        by(ada.id, sales.id, { kind: "request", source_id: "r1" }),
      ]),
    );
    const removed = accepted(await revokeMemberships(command, [{ user_id: ada.id, group_id: sales.id }]));
    expect(removed).toEqual({ ended: [{ user_id: ada.id, group_id: sales.id }], excluded: [] });
    expect(await groupsBy(db, ada.id)).toEqual({});
  });

  it("touches the group's time of change and marks the person with the event as cause", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada, bo] = await hire(command, ["Ada", "Bo"]);
    await clean(db);
    await setTime("2026-03-05T00:00:00Z");
    accepted(await grantMemberships(command, [by(bo.id, sales.id), by(ada.id, sales.id)]));
    expect((await getGroup(db, sales.id))?.members_changed_at).toEqual(new Date("2026-03-05T00:00:00Z"));
    const { rows } = await sql<{ same: boolean }>`
      select e.user_id = d.user_id as same from dirty d join events e on e.seq = d.cause`.execute(db);
    expect(rows).toEqual([{ same: true }, { same: true }]);
  });

  it("refuses Everyone, unknown groups and unknown people, and then changes nothing", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"]);
    for (const [bad, code] of [
      [by(ada.id, everyone), "forbidden"],
      [by(ada.id, "00gnone"), "not_found"],
      [by("00unone", sales.id), "not_found"],
    ] as const) {
      expect(refused(await grantMemberships(command, [by(ada.id, sales.id), bad])).code).toBe(code);
    }
    expect(refused(await revokeMemberships(command, [{ user_id: ada.id, group_id: everyone }])).code).toBe("forbidden");
    expect(await groupsBy(db, ada.id)).toEqual({});
  });

  it("a grant with an end is gone after it, and one beside it keeps the person in", async () => {
    const [sales, legal] = await makeGroups(command, ["Sales", "Legal"]);
    const [ada] = await hire(command, ["Ada"]);
    const expires_at = new Date("2026-03-10T00:00:00Z");
    accepted(
      await grantMemberships(command, [
        by(ada.id, sales.id, { expires_at }),
        by(ada.id, legal.id, { expires_at, kind: "request", source_id: "r1" }),
        by(ada.id, legal.id),
      ]),
    );
    expect(await expireMemberships(command, command.now(), 100)).toBe(0);
    await setTime("2026-03-10T00:00:00Z");
    await clean(db);
    const last = await lastEvent(db);
    expect(await expireMemberships(command, command.now(), 100)).toBe(2);
    expect(await groupsBy(db, ada.id)).toEqual({ Legal: ["person"] });
    expect(await eventTypes(db, last)).toEqual(["group.user_membership.remove"]);
    expect([...(await dirtyUsers(db)).keys()]).toEqual([ada.id]);
  });

  it("everyone who is not deactivated is in Everyone, and pages are whole", async () => {
    const [ada] = await hire(command, ["Ada", "Bo", "Cy"]);
    const page = await membersOf(db, everyone, { limit: 2 });
    expect(page).toHaveLength(2);
    const rest = await membersOf(db, everyone, { limit: 2, after: page?.at(-1)?.id ?? "" });
    expect(rest).toHaveLength(1);
    expect((await groupsOf(db, ada.id)).map((group) => group.id)).toEqual([everyone]);
    expect(await membersOf(db, "00gnone", { limit: 2 })).toBeUndefined();
  });

  it("tells who was in a group on a past day and why, also after the group is gone", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"]);
    accepted(await grantMemberships(command, [by(ada.id, sales.id)]));
    expect(await membershipGrants(db, sales.id, ada.id)).toMatchObject([{ kind: "person", source_id: "00uadmin" }]);
    await setTime("2026-04-01T00:00:00Z");
    accepted(await revokeMemberships(command, [{ user_id: ada.id, group_id: sales.id }]));
    accepted(await deleteGroups(command, [sales.id]));
    const on = (day: string) => membersAsOf(db, sales.id, new Date(day), { limit: 10 });
    expect(await on("2026-03-15")).toEqual([{ user_id: ada.id, grants: [{ kind: "person", source_id: "00uadmin" }] }]);
    expect(await on("2026-04-15")).toEqual([]);
  });

  it("new people are in their groups with the same command, or not created at all", async () => {
    const [sales] = await makeGroups(command, ["Sales"]);
    const [ada] = await hire(command, ["Ada"], { group_ids: [sales.id] });
    expect(await groupsBy(db, ada.id)).toEqual({ Sales: ["person"] });
    expect(refused(await createUsers(command, [{ profile: profileOf("Bo"), group_ids: [everyone] }])).code).toBe(
      "forbidden",
    );
  });
});
