/** On a real PostgreSQL, many nodes at once: what no single connection can show. */
import { beforeEach, describe, expect, it } from "vitest";
import { createGroups } from "../../src/directory/groups.ts";
import { applyRuleGrants, grantMemberships, revokeMemberships } from "../../src/directory/memberships.ts";
import { activateRule, createRule, loadRules } from "../../src/directory/rules.ts";
import { ensureGround } from "../../src/directory/schemas.ts";
import { transitionUser } from "../../src/directory/userLifecycle.ts";
import { createUsers, updateUsers } from "../../src/directory/users.ts";
import { type Database, isRefusal, sql } from "../../src/store/database.ts";
import { migratedDatabase } from "../support/postgres.ts";
import { accepted, freshCompany, hire, makeGroups, profileOf } from "./company.ts";

let db: Database;

migratedDatabase(12, (given) => {
  db = given;
});

const start = async () => (await freshCompany(db)).command;
const many = <T>(n: number, work: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: n }, (_, i) => work(i)));

describe("many nodes at once", () => {
  beforeEach(start);

  it("make the ground once", async () => {
    const command = await start();
    await sql`truncate schemas, groups cascade`.execute(db);
    expect(new Set(await many(10, () => ensureGround(command))).size).toBe(1);
  });

  it("create a person once, and tell the others that they exist", async () => {
    const command = await start();
    const results = await many(10, () => createUsers(command, [{ profile: profileOf("Ada") }]));
    expect(results.filter(isRefusal)).toHaveLength(9);
    expect(results.filter(isRefusal).every((one) => one.code === "duplicate" && one.place === "login")).toBe(true);
  });

  it("give a login to one of those who want it", async () => {
    const command = await start();
    const users = await hire(command, ["Ada", "Bo", "Cy", "Di", "Ed"]);
    const results = await many(5, (n) =>
      updateUsers(command, [{ id: users[n]?.id ?? "", profile: { login: "new@example.org" } }]),
    );
    expect(results.filter(isRefusal).map((one) => one.code)).toEqual(Array(4).fill("duplicate"));
  });

  it("create a group once", async () => {
    const command = await start();
    const results = await many(8, () => createGroups(command, [{ profile: { name: "Sales" } }]));
    expect(results.filter(isRefusal)).toHaveLength(7);
  });

  it("cannot close a circle of rules from two sides", async () => {
    const command = await start();
    const [a, b] = await makeGroups(command, ["A", "B"]);
    const make = async (name: string, from: string, to: string) =>
      accepted(await createRule(command, { name, expression: `isMemberOfGroup("${from}")`, group_ids: [to] })).id;
    const ids = [await make("ab", a.id, b.id), await make("ba", b.id, a.id)];
    const results = await Promise.all(ids.map((id) => activateRule(command, id)));
    expect(results.filter(isRefusal).map((one) => one.code)).toEqual(["cycle"]);
    expect(await loadRules(db)).toHaveLength(1);
  });

  it("log each membership's beginnings and ends in turn, and end where the log ends", async () => {
    const command = await start();
    const [one, two] = await makeGroups(command, ["One", "Two"]);
    const users = await hire(command, ["Ada", "Bo", "Cy"]);
    const rule = accepted(await createRule(command, { name: "r", expression: "true", group_ids: [one.id] }));
    const ids = users.map((user) => user.id);
    await many(200, async (n) => {
      // Few pairs and many hands: the last grant of one often ends while another begins.
      const user_id = ids[n % 2] ?? "";
      const group_id = n % 20 === 0 ? two.id : one.id;
      // An engine that is through with everyone: then there are no marks to wait for.
      await sql`delete from dirty`.execute(db);
      const given = { user_id, group_id, rule_id: rule.id };
      switch (Math.floor(n / 2) % 5) {
        case 0:
          return accepted(
            await grantMemberships(command, [{ user_id, group_id, kind: "person", source_id: `p${n % 7}` }]),
          );
        case 1:
          return accepted(await revokeMemberships(command, [{ user_id, group_id }]));
        case 2:
          return accepted(await applyRuleGrants(command, { add: [given], remove: [] }));
        case 3:
          return accepted(await applyRuleGrants(command, { add: [], remove: [given] }));
        default:
          return accepted(await updateUsers(command, [{ id: user_id, profile: { title: `T${n}` } }]));
      }
    });
    const { rows } = await sql<{ pair: string; types: string[]; member: boolean }>`
      select e.user_id || ' ' || e.group_id as pair, array_agg(split_part(e.type, '.', 3) order by e.seq) as types,
        exists (select from membership_grants m where m.user_id = e.user_id and m.group_id = e.group_id) as member
      from events e where e.type in ('group.user_membership.add', 'group.user_membership.remove') group by e.user_id, e.group_id`.execute(
      db,
    );
    for (const { types, member } of rows) {
      expect(types).toEqual(types.map((_, n) => (n % 2 === 0 ? "add" : "remove")));
      expect(types.at(-1) === "add").toBe(member);
    }
  });

  it("deactivate a person once", async () => {
    const command = await start();
    const [ada] = await hire(command, ["Ada"]);
    const results = await many(6, () => transitionUser(command, ada.id, { kind: "deactivate" }));
    expect(results.filter(isRefusal)).toHaveLength(5);
  });
});

it("four thousand people leave a group in time proportional to their number, before the planner knows the table", async () => {
  const command = await start();
  const [sales] = await makeGroups(command, ["Sales"]);
  const users = await hire(
    command,
    Array.from({ length: 4_000 }, (_, n) => `P${n}`),
  );
  const pairs = users.map(({ id }) => ({ user_id: id, group_id: sales.id }));
  accepted(
    await grantMemberships(
      command,
      pairs.map((pair) => ({ ...pair, kind: "person", source_id: "00uadmin" })),
    ),
  );
  expect(accepted(await revokeMemberships(command, pairs)).ended).toHaveLength(4_000);
}, 30_000);
