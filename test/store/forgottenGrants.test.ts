/** What rules forgot before migration 33: its SQL on rows as such an installation has them. */
import { beforeAll, beforeEach, expect, test } from "vitest";
import { type Database, sql } from "../../src/store/database.ts";
import { forgottenGrants } from "../../src/store/migrations/0033_forgotten_grants.ts";
import { freshCompany, hire, makeGroups } from "../directory/company.ts";
import { memoryDatabase } from "../support/memory.ts";

let db: Database;
let people: readonly string[];
let groups: readonly string[];
beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  const { command } = await freshCompany(db);
  people = (await hire(command, ["Ada", "Bob"])).map(({ id }) => id);
  groups = (await makeGroups(command, ["Old", "New"])).map(({ id }) => id);
  await sql`delete from dirty`.execute(db);
});

const grant = (user_id: string | undefined, group_id: string | undefined, kind: "rule" | "person", source_id: string) =>
  sql`insert into membership_grants (user_id, group_id, kind, source_id)
    values (${user_id}, ${group_id}, ${kind}, ${source_id})`.execute(db);
const mend = async () => {
  for (const statement of forgottenGrants.split(/;\n/).filter((text) => text.trim() !== "")) {
    await sql.raw(statement).execute(db);
  }
};

test("a rule remembers again in which groups it has somebody", async () => {
  await sql`
    insert into rules (id, name, expression, group_ids, groups_held)
    values ('0prkept', 'kept', 'true', array[${groups[1]}], array[${groups[1]}])`.execute(db);
  await grant(people[0], groups[0], "rule", "0prkept");
  await mend();
  const { rows } = await sql<{ groups_held: string[] }>`select groups_held from rules`.execute(db);
  expect(rows[0]?.groups_held.toSorted()).toEqual(groups.toSorted());
});

test("what is there by a rule that is gone ends, and nothing else, and its people are looked at", async () => {
  await grant(people[0], groups[0], "rule", "0prgone");
  await grant(people[0], groups[1], "person", "0prgone");
  await grant(people[1], groups[0], "person", "hand");
  await mend();
  const { rows } = await sql<{ user_id: string; kind: string }>`
    select user_id, kind from membership_grants where kind in ('rule', 'person') order by user_id`.execute(db);
  expect(rows).toEqual([
    { user_id: people[0], kind: "person" },
    { user_id: people[1], kind: "person" },
  ]);
  const dirty = await sql<{ user_id: string }>`select user_id from dirty`.execute(db);
  expect(dirty.rows).toEqual([{ user_id: people[0] }]);
});
