/**
 * People, rules and groups that change in the middle of an evaluation over everyone: on a real PostgreSQL, because it takes
 * several sessions. Between two statements of the evaluation something else begins; once all is through and desire has
 * answered who is dirty, everyone is as the rules say.
 */
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import type { KyselyPlugin } from "kysely";
import { expect, test } from "vitest";
import { ruleMoves } from "../../src/core/rules.ts";
import type { Command } from "../../src/directory/command.ts";
import { deleteGroups, updateGroups } from "../../src/directory/groups.ts";
import { grantMemberships, revokeMemberships } from "../../src/directory/memberships.ts";
import {
  activateRule,
  addExceptions,
  createRule,
  deactivateRule,
  deleteRule,
  removeExceptions,
  updateRule,
} from "../../src/directory/rules.ts";
import { transitionUser } from "../../src/directory/userLifecycle.ts";
import { updateUsers } from "../../src/directory/users.ts";
import { loadCompany } from "../../src/engine/company.ts";
import { desire } from "../../src/engine/desire.ts";
import { loadPeople } from "../../src/engine/people.ts";
import { evaluateRules } from "../../src/engine/ruleEvaluation.ts";
import { type Database, isContention, sql } from "../../src/store/database.ts";
import { accepted, freshCompany, hire, makeGroups } from "../directory/company.ts";
import { migratedDatabase } from "../support/postgres.ts";
import { type TestWorld, testWorld } from "../support/world.ts";

let db: Database;

migratedDatabase(12, (given) => {
  db = given;
});

/** The database, with `between` called after each statement. */
function interrupted(real: Database, between: () => Promise<void>): Database {
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => node,
    transformResult: async ({ result }) => {
      await between();
      return result;
    },
  };
  return real.withPlugin(plugin);
}

type Scene = Readonly<{
  command: Command;
  users: readonly string[];
  groups: readonly string[];
  rules: readonly string[];
}>;

const departments = ["Sales", "Legal", "Labs"];
const people = 6;

async function makeScene(): Promise<Scene> {
  const { command } = await freshCompany(db);
  const groups = (await makeGroups(command, ["One", "Two", "Three"])).map((group) => group.id);
  const names = Array.from({ length: people }, (_, n) => `P${n}`);
  const users = await Promise.all(
    names.map(async (name, n) => {
      const [user] = await hire(command, [name], { profile: { department: departments[n % 3] ?? "" }, activate: true });
      return user.id;
    }),
  );
  const drafts = [
    { name: "a", expression: 'user.department == "Sales"', group_ids: [groups[0] ?? ""] },
    { name: "b", expression: 'isMemberOfGroupName("One")', group_ids: [groups[1] ?? ""] },
    { name: "c", expression: 'isMemberOfGroupNameRegex("T.o") AND user.city != "Rome"', group_ids: [groups[2] ?? ""] },
  ];
  const rules: string[] = [];
  for (const draft of drafts) {
    const rule = accepted(await createRule(command, draft));
    accepted(await activateRule(command, rule.id));
    rules.push(rule.id);
  }
  return { command, users, groups, rules };
}

/** What may happen in between; what is refused has not happened. */
const happenings: readonly ((scene: Scene, who: number, which: number) => Promise<unknown>)[] = [
  ({ command, users }, who, which) =>
    updateUsers(command, [{ id: users[who] ?? "", profile: { department: departments[which] ?? "" } }]),
  ({ command, users }, who) => updateUsers(command, [{ id: users[who] ?? "", profile: { city: "Rome" } }]),
  ({ command, users }, who) => transitionUser(command, users[who] ?? "", { kind: "deactivate" }),
  ({ command, users, rules }, who, which) =>
    addExceptions(command, rules[which] ?? "", [{ user_id: users[who] ?? "" }]),
  ({ command, users, rules }, who, which) => removeExceptions(command, rules[which] ?? "", [users[who] ?? ""]),
  ({ command, users, groups }, who, which) =>
    grantMemberships(command, [
      { user_id: users[who] ?? "", group_id: groups[which] ?? "", kind: "person", source_id: "00uadmin" },
    ]),
  ({ command, users, groups }, who, which) =>
    revokeMemberships(command, [{ user_id: users[who] ?? "", group_id: groups[which] ?? "" }]),
  ({ command, rules }, who, which) =>
    updateRule(command, rules[which] ?? "", { expression: `user.department == "${departments[who % 3]}"` }),
  ({ command, rules, groups }, who, which) =>
    updateRule(command, rules[which] ?? "", { group_ids: [groups[who % 3] ?? ""] }),
  ({ command, rules }, _, which) => deactivateRule(command, rules[which] ?? ""),
  ({ command, rules }, _, which) => activateRule(command, rules[which] ?? ""),
  ({ command, rules }, who, which) => deleteRule(command, rules[which] ?? "", { remove_users: who % 2 === 0 }),
  ({ command, groups }, who, which) =>
    updateGroups(command, [{ id: groups[which] ?? "", profile: { name: ["One", "Two", "Four"][who % 3] ?? "" } }]),
  ({ command, groups }, _, which) => deleteGroups(command, [groups[which] ?? ""]),
];

/** Desire in another node, once. */
const answering = happenings.length;

async function wrong(world: TestWorld) {
  const company = await loadCompany(db, world.now());
  const { rows } = await sql<{ id: string }>`select id from users order by id`.execute(db);
  const all = await loadPeople(
    db,
    company,
    rows.map((row) => row.id),
    world.now(),
  );
  const orphans = await sql<{ id: string }>`
    select source_id as id from membership_grants m
    where not exists (select from groups g where g.id = m.group_id)
       or not exists (select from users u where u.id = m.user_id)
       or (kind = 'rule' and not exists (select from rules r where r.id = m.source_id))`.execute(db);
  const moves = [...all.values()].map((person) => ruleMoves(company.rules, person));
  return {
    orphans: orphans.rows,
    add: moves.flatMap(({ add }) => add),
    remove: moves.flatMap(({ remove }) => remove),
  };
}

const happening = fc.record({
  after: fc.nat(70),
  what: fc.nat(answering),
  who: fc.nat(people - 1),
  which: fc.nat(2),
  /** How long the evaluation waits for it; a lock may keep it waiting until the evaluation goes on. */
  head_start_ms: fc.constantFrom(0, 5, 25),
});

test("whatever happens in the middle of an evaluation, everyone ends as the rules say", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(happening, { minLength: 1, maxLength: 6 }),
      fc.record({
        range: fc.integer({ min: 2, max: 8 }),
        slice: fc.constantFrom(1, 3),
        each_max: fc.constantFrom(0, 99),
      }),
      async (plan, sizes) => {
        const scene = await makeScene();
        const world = await testWorld(db, { prepared: true });
        let statements = 0;
        const running: Promise<unknown>[] = [];
        const between = async () => {
          const now = statements++;
          for (const { after, what, who, which, head_start_ms } of plan) {
            if (after !== now) continue;
            const begun = what === answering ? desire(world, 4) : happenings[what]?.(scene, who, which);
            // A deadlock that outlives its retries is nobody's wrong answer: the loop, or the one who asked, tries again.
            running.push(Promise.resolve(begun).catch((error) => (isContention(error) ? null : Promise.reject(error))));
            await sleep(head_start_ms);
          }
        };
        const evaluated = evaluateRules({ ...world, db: interrupted(db, between) }, { lanes: 2, ...sizes });
        await evaluated.catch((error) => {
          if (!isContention(error)) throw error;
        });
        await Promise.all(running);
        for (let busy = true; busy; ) {
          const evaluation = await evaluateRules(world);
          const { users } = await desire(world, 100);
          busy = evaluation !== null || users > 0;
        }
        expect(await wrong(world)).toEqual({ orphans: [], add: [], remove: [] });
      },
    ),
    { numRuns: Number(process.env["RACE_RUNS"] ?? 30) },
  );
}, 600_000);

test("an exception from a rule that is just being deleted is refused: there is no such rule", async () => {
  const { command, users, rules } = await makeScene();
  let adding: Promise<unknown> = Promise.resolve();
  await db.transaction().execute(async (trx) => {
    await sql`delete from rules where id = ${rules[0]}`.execute(trx);
    adding = addExceptions(command, rules[0] ?? "", [{ user_id: users[0] ?? "" }]);
    adding.catch(() => {});
    await sleep(200);
  });
  expect(await adding).toMatchObject({ code: "not_found", place: rules[0] });
});

test("whoever is taken out while their rule is deleted stays out, at whichever statement of the deletion it begins", async () => {
  for (let at = 0; at < 12; at++) {
    const { command, users, groups, rules } = await makeScene();
    const world = await testWorld(db, { prepared: true });
    await evaluateRules(world);
    await desire(world, 100);
    const pair = { user_id: users[0] ?? "", group_id: groups[0] ?? "" };
    let statements = 0;
    let taking: Promise<unknown> | undefined;
    const between = async () => {
      if (statements++ !== at) return;
      taking = revokeMemberships(command, [pair]);
      taking.catch(() => {});
      await sleep(30);
    };
    await deleteRule({ ...command, db: interrupted(db, between) }, rules[0] ?? "", { remove_users: false });
    if (taking === undefined) break;
    await taking;
    const { rows } = await sql`select kind from membership_grants
      where user_id = ${pair.user_id} and group_id = ${pair.group_id}`.execute(db);
    expect({ at, rows }).toEqual({ at, rows: [] });
  }
}, 60_000);
