/** Evaluating rules over everyone gives each person what desire would give them, and tells it as large as it is. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { ruleMoves } from "../../src/core/rules.ts";
import type { Profile } from "../../src/core/types.ts";
import { assignGroups } from "../../src/directory/groupAssignments.ts";
import { createGroups } from "../../src/directory/groups.ts";
import { grantMemberships } from "../../src/directory/memberships.ts";
import {
  activateRule,
  addExceptions,
  createRule,
  deactivateRule,
  deleteRule,
  evaluateAgain,
  getRule,
  updateRule,
} from "../../src/directory/rules.ts";
import { transitionUser } from "../../src/directory/userLifecycle.ts";
import { createUsers } from "../../src/directory/users.ts";
import { loadCompany } from "../../src/engine/company.ts";
import { loadPeople } from "../../src/engine/people.ts";
import { type EvaluationOptions, evaluateRules } from "../../src/engine/ruleEvaluation.ts";
import { type Database, isRefusal, sql } from "../../src/store/database.ts";
import { wipe } from "../support/memory.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import { addFakeApp, must, profileOf, secondNode, settle, type TestWorld, testWorld } from "../support/world.ts";

let db: Database;
let world: TestWorld;
memoryWorld((...given) => {
  [db, world] = given;
});

const names = ["Ada", "Bo", "Cy", "Di", "Ed", "Fay", "Gus"];

async function hire(profiles: readonly Profile[]): Promise<readonly string[]> {
  const users = await must(
    createUsers(
      world.command,
      profiles.map((more, n) => ({ profile: profileOf(names[n] ?? `P${n}`, "Lee", more), activate: true })),
    ),
  );
  await sql`delete from dirty`.execute(db);
  return users.map((user) => user.id);
}

async function makeGroups(count: number): Promise<readonly string[]> {
  const inputs = Array.from({ length: count }, (_, n) => ({ profile: { name: `Group ${n}` } }));
  return (await must(createGroups(world.command, inputs))).map((group) => group.id);
}

async function makeRule(name: string, expression: string, group_ids: readonly string[]): Promise<string> {
  const rule = await must(createRule(world.command, { name, expression, group_ids }));
  await must(activateRule(world.command, rule.id));
  return rule.id;
}

const evaluate = (options: Partial<EvaluationOptions> = {}) => evaluateRules(world, options);

/** What desire would still move for anybody. */
async function leftToMove() {
  const company = await loadCompany(db, world.now());
  const { rows } = await sql<{ id: string }>`select id from users order by id`.execute(db);
  const people = await loadPeople(
    db,
    company,
    rows.map((row) => row.id),
    world.now(),
  );
  return [...people.values()].flatMap((person) => {
    const { add, remove } = ruleMoves(company.rules, person);
    return [...add.map((grant) => ({ add: grant })), ...remove.map((grant) => ({ remove: grant }))];
  });
}

async function membersOf(group_id: string | undefined): Promise<readonly string[]> {
  const { rows } = await sql<{ user_id: string }>`
    select distinct user_id from membership_grants where group_id = ${group_id} order by 1`.execute(db);
  return rows.map((row) => row.user_id);
}

async function dirty(): Promise<readonly string[]> {
  const { rows } = await sql<{ user_id: string }>`select user_id from dirty order by 1`.execute(db);
  return rows.map((row) => row.user_id);
}

async function events(type: string): Promise<readonly { user_id: string | null; detail: Record<string, unknown> }[]> {
  const { rows } = await sql<{ user_id: string | null; detail: Record<string, unknown> }>`
    select user_id, detail from events where type = ${type} order by seq`.execute(db);
  return rows;
}

const departments = ["Sales", "Legal", "sales"];
/** Conditions that SQL judges, that only closures judge, and that read groups; some fail for some people. */
const conditions = [
  ...departments.map((one) => `user.department == "${one}"`),
  'user.department != "Sales"',
  'user.title == null OR user.department == "Legal"',
  'String.startsWith(user.department, "S") AND !(user.title == "Lead")',
  'String.len(user.title) > 3 ? user.department == "Sales" : user.city == "Rome"',
  "user.title < user.department",
  'isMemberOfGroupName("Group 0")',
  'NOT isMemberOfAnyGroup("GROUP1", "GROUP2")',
  'isMemberOfGroupNameStartsWith("Group") AND user.city == "Rome"',
  'isMemberOfGroupNameRegex("Group [12]")',
  'user.getInternalProperty("status") == "SUSPENDED"',
  'Time.now() > "2020-01-01T00:00:00.000Z" AND user.city == "Rome"',
  'user.department + user.title == "SalesLead"',
];

const person = fc.record({
  department: fc.constantFrom(...departments, null),
  title: fc.constantFrom("Lead", "VP", "", null),
  city: fc.constantFrom("Rome", "Oslo", null),
});
const draft = fc.record({
  condition: fc.nat(conditions.length - 1),
  fills: fc.uniqueArray(fc.nat(4), { minLength: 1, maxLength: 2 }),
});
const company = fc.record({
  people: fc.array(person, { minLength: 1, maxLength: names.length }),
  rules: fc.array(draft, { minLength: 1, maxLength: 5 }),
  excepted: fc.array(fc.tuple(fc.nat(6), fc.nat(4)), { maxLength: 3 }),
  given: fc.array(fc.tuple(fc.nat(6), fc.nat(4)), { maxLength: 4 }),
  gone: fc.option(fc.nat(6)),
  changes: fc.array(fc.tuple(fc.nat(4), draft, fc.boolean()), { maxLength: 3 }),
  range: fc.integer({ min: 1, max: 8 }),
  slice: fc.integer({ min: 1, max: 4 }),
  each_max: fc.constantFrom(0, 2, 10_000),
});

describe("an evaluation over everyone", () => {
  it("leaves nothing for desire to move, whatever the rules, people, exceptions and changes", async () => {
    await fc.assert(
      fc.asyncProperty(company, async ({ people, rules, excepted, given, gone, changes, ...sizes }) => {
        await wipe(db);
        world = await testWorld(db);
        const users = await hire(people.map((one) => Object.fromEntries(Object.entries(one).filter(([, v]) => v))));
        const groups = await makeGroups(5);
        const text = (n: number) =>
          (conditions[n] ?? "").replace("GROUP1", groups[1] ?? "").replace("GROUP2", groups[2] ?? "");
        const fills = (some: readonly number[]) => some.flatMap((n) => groups[n] ?? []);
        const ids: string[] = [];
        for (const [n, one] of rules.entries()) {
          const name = `r${n}`;
          const made = await createRule(world.command, {
            name,
            expression: text(one.condition),
            group_ids: fills(one.fills),
          });
          // A rule may close a circle with those before it; then it stays inactive.
          if (isRefusal(made)) throw new Error(`${text(one.condition)}: ${made.refused}`);
          await activateRule(world.command, made.id);
          ids.push(made.id);
        }
        for (const [who, group] of given) {
          const user_id = users[who];
          const grant = { group_id: groups[group] ?? "", kind: "person" as const, source_id: "00uadmin" };
          if (user_id !== undefined) await must(grantMemberships(world.command, [{ user_id, ...grant }]));
        }
        for (const [who, which] of excepted) {
          const [user_id, rule] = [users[who], ids[which]];
          if (user_id !== undefined && rule !== undefined)
            await must(addExceptions(world.command, rule, [{ user_id }]));
        }
        await evaluate(sizes);
        expect(await leftToMove()).toEqual([]);
        const leaver = gone === null ? undefined : users[gone];
        if (leaver !== undefined) await must(transitionUser(world.command, leaver, { kind: "deactivate" }));
        for (const [which, { condition, fills: into }, stop] of changes) {
          const id = ids[which];
          if (id === undefined) continue;
          // May be refused for a circle.
          await updateRule(world.command, id, { expression: text(condition), group_ids: fills(into) });
          if (stop) await must(deactivateRule(world.command, id));
        }
        await evaluate(sizes);
        expect(await leftToMove()).toEqual([]);
        const { rows } = await sql`select from rules where due_at is not null or claimed_by is not null`.execute(db);
        expect(rows).toEqual([]);
      }),
      { numRuns: 40 },
    );
  }, 120_000);

  it("asks only the changed rule and those that read what it fills", async () => {
    const [ada] = await hire([{ department: "Sales" }]);
    const [one, two, three] = await makeGroups(3);
    const first = await makeRule("first", 'user.department == "Sales"', [one ?? ""]);
    await makeRule("second", 'isMemberOfGroupName("Group 0")', [two ?? ""]);
    await makeRule("third", 'user.department == "Sales"', [three ?? ""]);
    expect(await evaluate()).toEqual({ rules: 3, added: 3, removed: 0 });
    // Whoever is wrong by a rule that is not asked stays so until they are dirty.
    await sql`delete from membership_grants where group_id = ${three}`.execute(db);
    await must(updateRule(world.command, first, { expression: 'user.department == "Legal"' }));
    expect(await evaluate()).toEqual({ rules: 1, added: 0, removed: 2 });
    expect(await leftToMove()).toMatchObject([{ add: { user_id: ada, group_id: three } }]);
    expect(await evaluateAgain(world.command)).toBe(3);
    expect(await evaluate()).toEqual({ rules: 3, added: 1, removed: 0 });
    expect(await evaluate()).toBeNull();
  });

  it("asks those as well that read a group which the changed rule fills no more", async () => {
    await hire([{ department: "Sales" }]);
    const [one, two, three] = await makeGroups(3);
    const first = await makeRule("first", 'user.department == "Sales"', [one ?? ""]);
    await makeRule("reader", 'isMemberOfGroupName("Group 0")', [two ?? ""]);
    await evaluate();
    await must(updateRule(world.command, first, { group_ids: [three ?? ""] }));
    expect(await evaluate()).toEqual({ rules: 1, added: 1, removed: 2 });
    expect(await leftToMove()).toEqual([]);
  });

  it("takes back what a rule gave in a group that it fills no more, also when it is evaluated twice", async () => {
    const [ada] = await hire([{ department: "Sales" }]);
    const [one, two] = await makeGroups(2);
    const id = await makeRule("r", 'user.department == "Sales"', [one ?? ""]);
    await evaluate();
    await must(updateRule(world.command, id, { group_ids: [two ?? ""] }));
    expect((await getRule(db, id))?.groups_held).toEqual(expect.arrayContaining([one, two]));
    await evaluate();
    expect([await membersOf(one), await membersOf(two)]).toEqual([[], [ada]]);
    expect((await getRule(db, id))?.groups_held).toEqual([two]);
  });

  it("marks whom it moved in a group that gives an app, and nobody else", async () => {
    const [ada, bo, cy] = await hire([{ department: "Sales" }, { department: "Legal" }, {}]);
    const [sales, legal] = await makeGroups(2);
    const app = await addFakeApp(world);
    await must(assignGroups(world.command, app, [{ group_id: sales ?? "" }]));
    await sql`delete from dirty`.execute(db);
    await makeRule("sales", 'user.department == "Sales"', [sales ?? ""]);
    await evaluate();
    await makeRule("legal", 'user.department == "Legal"', [legal ?? ""]);
    await evaluate();
    expect(await dirty()).toEqual([ada]);
    expect(await membersOf(legal)).toEqual([bo]);
    expect(await membersOf(sales)).not.toContain(cy);
    await settle(world);
    expect(await leftToMove()).toEqual([]);
  });

  it("tells a small wave person by person, and a large one by rule and group with the event that led to it", async () => {
    const users = await hire(names.map(() => ({ department: "Sales" })));
    const [sales] = await makeGroups(1);
    const id = await makeRule("sales", 'user.department == "Sales"', [sales ?? ""]);
    await evaluate({ each_max: 7 });
    expect((await events("group.user_membership.add")).map((event) => event.user_id)).toEqual(users);
    await must(updateRule(world.command, id, { expression: 'user.department == "Legal"' }));
    await evaluate({ each_max: 6, slice: 4 });
    expect(await events("group.user_membership.remove")).toEqual([]);
    expect((await events("group.user_membership.rule.wave")).map((event) => event.detail)).toEqual([
      { added: 0, removed: 4 },
      { added: 0, removed: 3 },
    ]);
    await must(updateRule(world.command, id, { expression: 'user.department == "Sales"' }));
    await evaluate({ each_max: 0 });
    const { rows } = await sql<{ type: string }>`
      select distinct e.type from membership_grants m join events e on e.seq = m.cause`.execute(db);
    expect(rows).toEqual([{ type: "group_rule.lifecycle.update" }]);
  });
});

describe("a claim", () => {
  beforeEach(async () => {
    await hire([{ department: "Sales" }, { department: "Sales" }]);
    const [sales] = await makeGroups(1);
    await makeRule("sales", 'user.department == "Sales"', [sales ?? ""]);
  });

  it("keeps other nodes away, and ends when its node is silent", async () => {
    await sql`update rules set claimed_by = 'node-9', claimed_until = ${new Date(world.now().getTime() + 60_000)}`.execute(
      db,
    );
    expect(await evaluateRules(secondNode(world, "node-2"))).toBeNull();
    world.clock.advance(60_001);
    expect(await evaluateRules(secondNode(world, "node-2"))).toMatchObject({ added: 2 });
  });

  it("is given back when the node stops, and the rule stays due", async () => {
    let asked = 0;
    expect(await evaluate({ range: 1, lanes: 1, stopping: () => asked++ > 0 })).toMatchObject({ added: 1 });
    expect(await evaluate()).toEqual({ rules: 1, added: 1, removed: 0 });
  });

  it("is worth nothing for a rule that is deleted or switched off meanwhile", async () => {
    const { rows } = await sql<{ id: string }>`select id from rules`.execute(db);
    const id = rows[0]?.id ?? "";
    let asked = 0;
    const first = await evaluate({ range: 1, lanes: 1, stopping: () => asked++ > 0 });
    expect(first?.added).toBe(1);
    await must(deleteRule(world.command, id, { remove_users: true }));
    expect(await evaluate()).toBeNull();
    expect((await sql`select from membership_grants`.execute(db)).rows).toEqual([]);
  });
});
