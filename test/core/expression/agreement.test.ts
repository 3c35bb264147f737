/**
 * The law of the two back ends: for every expression that the checker gives to SQL, and for every person, PostgreSQL
 * says what the closure says. Thousands of random expressions meet people with missing, null, empty, odd and mistyped
 * values; many expressions go in one query, so that this stays quick.
 */
import { PGlite } from "@electric-sql/pglite";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Checked, checkExpression, type Facts } from "../../../src/core/expression/expression.ts";
import type { Value } from "../../../src/core/types.ts";
import { expressions, groups, memberships, profiles } from "./generate.ts";
import { mapping } from "./world.ts";

const seed = Number(process.env["SEED"] ?? 20_260_301);
const batches = Number(process.env["BATCHES"] ?? 60);
const batch_size = 50;
const people_count = 60;

let database: PGlite;
let people: readonly Facts[];
const now = new Date("2026-03-01T22:30:00.250Z");
const time_zone = "Pacific/Auckland";
const org = { name: "Sales" };

beforeAll(async () => {
  people = fc.sample(fc.tuple(profiles, memberships), { seed, numRuns: people_count }).map(([profile, ids], index) => ({
    user: JSON.parse(JSON.stringify(profile)) as Facts["user"],
    user_id: `00u${index}`,
    user_status: index % 3 === 0 ? "SUSPENDED" : "ACTIVE",
    groups: groups.filter((group) => ids.includes(group.id)),
    ...{ now, time_zone, org },
  }));
  database = await PGlite.create();
  await database.exec(`
    set timezone to 'America/New_York'; set datestyle to 'German, DMY';
    create table users (id text primary key, status text, profile jsonb);
    create table groups (id text primary key, type text, source_id text, profile jsonb);
    create table memberships (user_id text, group_id text);`);
  for (const group of groups) {
    const row = [group.id, group.type, group.source_id, JSON.stringify({ name: group.name })];
    await database.query("insert into groups values ($1, $2, $3, $4)", row);
  }
  for (const facts of people) {
    const row = [facts.user_id, facts.user_status, JSON.stringify(facts.user)];
    await database.query("insert into users values ($1, $2, $3)", row);
    for (const group of facts.groups) {
      await database.query("insert into memberships values ($1, $2)", [facts.user_id, group.id]);
    }
  }
});

afterAll(() => database.close());

/** What PostgreSQL says: user → one value per expression. */
async function askSql(checked: readonly Checked[]): Promise<ReadonlyMap<string, readonly Value[]>> {
  const values: unknown[] = [];
  const columns = checked.map((expression) => {
    const written = expression.sql({ first_parameter: values.length + 1, now, time_zone, org })!;
    values.push(...written.values);
    return `to_jsonb(${written.text})`;
  });
  const text = `select u.id, jsonb_build_array(${columns.join(", ")}) as given from users as u`;
  const { rows } = await database.query<{ id: string; given: Value[] }>(text, values);
  return new Map(rows.map((row) => [row.id, row.given]));
}

/** Expressions and people for whom the two disagree. */
async function disagreements(checked: readonly Checked[]): Promise<string[]> {
  const given = await askSql(checked);
  const found: string[] = [];
  for (const [index, expression] of checked.entries()) {
    const compiled = expression.compile();
    for (const facts of people) {
      const result = compiled.evaluate(facts);
      if ("error" in result) continue;
      const by_sql = given.get(facts.user_id)![index]!;
      // In a condition, null and false are the same answer.
      const same =
        expression.type === "boolean"
          ? (result.value === true) === (by_sql === true)
          : JSON.stringify(result.value) === JSON.stringify(by_sql);
      if (!same) {
        const values = { closure: result.value, sql: by_sql, user: facts.user };
        found.push(`${expression.text}\n  ${JSON.stringify(values)}`);
        break;
      }
    }
  }
  return found;
}

test("for every random expression and person, SQL says what the closure says", { timeout: 300_000 }, async () => {
  const kinds = fc.oneof(
    { weight: 4, arbitrary: expressions.condition },
    { weight: 3, arbitrary: expressions.text },
    { weight: 2, arbitrary: expressions.number },
    expressions.list,
  );
  const written = fc.sample(kinds, { seed, numRuns: batches * batch_size });
  const checked = written.flatMap((text) => {
    const outcome = checkExpression(text, mapping);
    return "ok" in outcome && outcome.ok.backend.kind === "sql" ? [outcome.ok] : [];
  });
  // The property is worth little if the checker refuses or keeps most expressions.
  expect(checked.length).toBeGreaterThan(written.length * 0.5);
  for (let start = 0; start < checked.length; start += batch_size) {
    const batch = checked.slice(start, start + batch_size);
    expect(await disagreements(batch)).toEqual([]);
  }
});
