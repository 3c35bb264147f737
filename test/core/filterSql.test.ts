import { PGlite } from "@electric-sql/pglite";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Dialect, dialects, type FilterOperator, type FilterPath, parseFilter } from "../../src/core/filter.ts";
import { type Lookup, matches, valueAt } from "../../src/core/filterMatch.ts";
import { type Column, filterSql } from "../../src/core/filterSql.ts";
import type { Value } from "../../src/core/types.ts";

/** A row as memory and as the database see it. */
type Row = { id: number; status: string; created: string; members: string[]; profile: Record<string, Value> };

const columns: Record<string, Column> = {
  status: { kind: "text", sql: "u.status", case_exact: true },
  created: { kind: "instant", sql: "u.created" },
  name: { kind: "text", sql: "u.profile->>'name'" },
  // The same two as indexes make them: whatever the index, what is found is the same.
  state: { kind: "text", sql: "u.status", codes: ["ACTIVE", "active", "STAGED"] },
  alias: { kind: "text", sql: "u.profile->>'name'", folded: "lower(u.profile->>'name')" },
  grade: { kind: "number", sql: "(u.profile->>'grade')::float8" },
  remote: { kind: "boolean", sql: "(u.profile->>'remote')::boolean" },
  hired: { kind: "instant_text", sql: "u.profile->>'hired'" },
  tags: { kind: "text", shape: "json", sql: "u.profile->'tags'" },
  marks: { kind: "number", shape: "json", sql: "u.profile->'marks'" },
  leaves: { kind: "instant_text", shape: "json", sql: "u.profile->'leaves'" },
  members: { kind: "text", shape: "rows", sql: "(select m.member from members m where m.user_id = u.id)" },
  "members.value": { kind: "text", shape: "rows", sql: "(select m.member from members m where m.user_id = u.id)" },
  emails: {
    kind: "complex",
    sql: "u.profile->'emails'",
    member: (item, path) =>
      ({
        type: { kind: "text", sql: `${item}->>'type'` } as const,
        value: { kind: "text", sql: `${item}->>'value'` } as const,
        primary: { kind: "boolean", sql: `(${item}->>'primary')::boolean` } as const,
      })[path.text],
  },
};

const types = { instant_text: "instant", complex: undefined } as const;

/** The same row for the evaluator: the resource's values, with the types the columns have. */
function lookupOf(row: Row): Lookup {
  const resource: Value = { status: row.status, created: row.created, members: row.members, ...row.profile };
  Object.assign(resource, { state: row.status, alias: row.profile["name"] ?? null });
  return (path) => {
    const column = columns[path.text];
    const kind = column?.kind;
    const type = kind === undefined ? undefined : kind in types ? types[kind as keyof typeof types] : kind;
    return {
      value: valueAt(resource, path.names, "exact"),
      ...(type ? { type: type as "text" } : {}),
      ...(column?.case_exact === undefined ? {} : { case_exact: column.case_exact }),
    };
  };
}

/** Every text that could go wrong: case, wildcards, escapes, non-ASCII, order beyond UTF-16. */
const texts = [
  "ada",
  "Ada",
  "ADA",
  "a",
  "",
  "50%",
  "a_b",
  "a\\b",
  "it's",
  "é",
  "É",
  "ß",
  "Σ",
  "σ",
  "ς",
  "😀",
  "\uffee",
  "$1",
];
const instants = [
  "2026-03-02",
  "2026-03-02T00:00:00.000Z",
  "2026-03-02T01:00:00+01:00",
  "2026-03-02T00:00:00",
  "2026-03-02T00:00:00.0009999Z",
  "2026-03-01 23:00:00.5-0100",
  "1969-12-31T23:59:59.999999Z",
  "0001-01-01",
  "9999-12-31T23:59:59.999Z",
];
const numbers = [0, 1, -1, 1.5, 36, 1e21, 0.1];
const some = <T>(from: readonly T[]) => fc.constantFrom(...from);

const anyRow: fc.Arbitrary<Omit<Row, "id">> = fc.record({
  status: some(["ACTIVE", "active", "STAGED"]),
  created: some(["2026-03-02T00:00:00.000Z", "2026-03-03T10:00:00.123Z", "1969-01-01T00:00:00.001Z"]),
  members: fc.array(some(texts), { maxLength: 2 }),
  profile: fc.record(
    {
      name: some([...texts, null]),
      grade: some([...numbers, null]),
      remote: some([true, false, null]),
      hired: some([...instants, null]),
      tags: fc.oneof(fc.array(some(texts), { maxLength: 3 }), some(texts), fc.constant(null)),
      marks: fc.array(some(numbers), { maxLength: 2 }),
      leaves: fc.array(some(instants), { maxLength: 2 }),
      emails: fc.array(
        fc.record(
          { type: some(["work", "Home"]), value: some(texts), primary: fc.boolean() },
          { requiredKeys: ["type"] },
        ),
        { maxLength: 2 },
      ),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<Record<string, Value>>,
});

const textOperator = some<FilterOperator>(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]);
const order = some<FilterOperator>(["eq", "ne", "gt", "ge", "lt", "le"]);
const equality = some<FilterOperator>(["eq", "ne"]);
const tested = (
  names: string[],
  operators: fc.Arbitrary<FilterOperator>,
  literals: readonly (string | number | boolean)[],
) =>
  fc.tuple(some(names), operators, some(literals)).map(([name, by, what]) => `${name} ${by} ${JSON.stringify(what)}`);

const emailTest = fc.oneof(
  tested(["type"], textOperator, ["work", "home", "WORK"]),
  tested(["value"], textOperator, texts),
  tested(["primary"], equality, [true, false, "True"]),
  some(["type pr", "value pr", "primary pr", "value eq null"]),
);
const leaf = fc.oneof(
  tested(["status", "state"], textOperator, ["ACTIVE", "active", "act"]),
  tested(["name", "alias", "tags", "members", "members.value", "emails"], textOperator, [...texts, 1]),
  tested(["grade", "marks"], order, [...numbers, "36"]),
  tested(["remote"], equality, [true, false, "False"]),
  tested(["created", "hired", "leaves"], order, instants),
  fc.tuple(some(Object.keys(columns)), some(["pr", "eq null", "ne null"])).map((parts) => parts.join(" ")),
  fc.array(emailTest, { minLength: 1, maxLength: 2 }).map((all) => `emails[${all.join(" and ")}]`),
  fc.tuple(emailTest, emailTest).map((both) => `emails[not (${both.join(" or ")})]`),
  tested(["value"], textOperator, texts).map((test) => `members[${test}]`),
);
const anyText = fc.letrec<{ text: string }>((tie) => ({
  text: fc.oneof(
    { maxDepth: 3 },
    leaf,
    tie("text").map((inner) => `not (${inner})`),
    fc.tuple(tie("text"), some(["and", "or"]), tie("text")).map(([a, joint, b]) => `(${a}) ${joint} (${b})`),
  ),
})).text;

const rows: Row[] = fc.sample(anyRow, { numRuns: 150, seed: 20260302 }).map((row, id) => ({ id, ...row }));
let database: PGlite;

beforeAll(async () => {
  database = new PGlite();
  await database.exec(`
    set time zone 'Asia/Kolkata';
    create table users (id int primary key, status text, created timestamptz, profile jsonb);
    create table members (user_id int, member text);
  `);
  for (const row of rows) {
    const { id, status, created, profile } = row;
    await database.query("insert into users values ($1, $2, $3, $4)", [id, status, created, JSON.stringify(profile)]);
    for (const member of row.members) await database.query("insert into members values ($1, $2)", [id, member]);
  }
});
afterAll(() => database.close());

const resolve = (path: FilterPath) => columns[path.text];

function parsed(text: string, dialect: Dialect) {
  const filter = parseFilter(text, dialect);
  if (!("ok" in filter)) throw new Error(`${text}: ${filter.refused}`);
  return filter.ok;
}

async function bySql(text: string, dialect: Dialect, first = 1): Promise<number[]> {
  const sql = filterSql(parsed(text, dialect), resolve, first);
  if (!("ok" in sql)) throw new Error(`${text}: ${sql.refused}`);
  const before = Array(first - 1).fill(0);
  const padding = before.map((_, index) => `$${index + 1}::int = 0 and `).join("");
  const query = `select u.id from users u where ${padding}(${sql.ok.text}) order by u.id`;
  const found = await database.query<{ id: number }>(query, [...before, ...sql.ok.values]);
  return found.rows.map((row) => row.id);
}

function byMemory(text: string, dialect: Dialect): number[] {
  const filter = parsed(text, dialect);
  return rows.filter((row) => matches(filter, lookupOf(row))).map((row) => row.id);
}

describe("SQL and memory find the same", () => {
  test("whatever the filter, in SCIM's dialect", async () => {
    await fc.assert(
      fc.asyncProperty(anyText, async (text) => {
        expect(await bySql(text, dialects.scim)).toEqual(byMemory(text, dialects.scim));
      }),
      { numRuns: 1500 },
    );
  });
  test("whatever the filter, where case and blanks count", async () => {
    const exact: Dialect = { ...dialects.scim, values: "exact", blank_is_present: true };
    await fc.assert(
      fc.asyncProperty(anyText, async (text) => {
        expect(await bySql(text, exact)).toEqual(byMemory(text, exact));
      }),
      { numRuns: 500 },
    );
  });
  test("and something, for most of the simple ones", async () => {
    const found = await Promise.all(
      fc.sample(leaf, { numRuns: 200, seed: 7 }).map((text) => bySql(text, dialects.scim)),
    );
    expect(found.filter((ids) => ids.length > 0 && ids.length < rows.length).length).toBeGreaterThan(100);
  });
});

describe("what a client writes never becomes SQL", () => {
  test("values are parameters, numbered from where the caller says", () => {
    const sql = filterSql(parsed(`name eq "'; drop table users; --" and grade gt 7`, dialects.scim), resolve, 5);
    expect(sql).toEqual({
      ok: {
        text: "(lower((u.profile->>'name')) = lower($5::text) and ((u.profile->>'grade')::float8) > $6::float8)",
        values: ["'; drop table users; --", 7],
      },
    });
  });
  test.each([
    ["where case does not count", dialects.scim, "u.login = lower($1::text)", ["Ada"]],
    ["and where it does", dialects.okta_filter, "(u.login = lower($1::text) and (u.name) = $1::text)", ["Ada"]],
  ])("equality is asked of what is indexed, %s", (_where, dialect, text, values) => {
    const column: Column = { kind: "text", sql: "u.name", folded: "u.login" };
    expect(filterSql(parsed('name eq "Ada"', dialect), () => column)).toEqual({ ok: { text, values } });
  });
  test.each([
    ["active", "(u.status) in ($1::text)", ["ACTIVE"]],
    ["nothing", "false", []],
  ])("a code is asked for as it is stored, whatever its case (%s)", (literal, text, values) => {
    const column: Column = { kind: "text", sql: "u.status", codes: ["ACTIVE", "STAGED"] };
    expect(filterSql(parsed(`status eq "${literal}"`, dialects.scim), () => column)).toEqual({ ok: { text, values } });
  });
  test("texts are ordered by character code, whatever the database's collation", () => {
    expect(filterSql(parsed('name gt "a"', dialects.scim), resolve)).toMatchObject({
      ok: { text: `lower((u.profile->>'name')) collate "C" > lower($1::text)` },
    });
  });
  test("parameters stand after the caller's", async () => {
    expect(await bySql('name eq "ada"', dialects.scim, 3)).toEqual(byMemory('name eq "ada"', dialects.scim));
  });
  test.each([
    ['nothing eq "x"', 1],
    ['grade eq "old"', 10],
    ['emails[kind eq "x"]', 8],
    ['members[type eq "x"]', 9],
    ["not (name pr and (nothing pr))", 19],
  ])("refuses %s at column %i", (text, column) => {
    expect(filterSql(parsed(text, dialects.scim), resolve)).toMatchObject({ code: "invalid", column });
  });
  test("a property may take fewer operators than its dialect", () => {
    const narrow: Column = { kind: "text", sql: "u.status", operators: new Set(["eq"]) };
    expect(filterSql(parsed("status pr", dialects.scim), () => narrow)).toMatchObject({
      refused: expect.stringContaining("status takes only eq, not pr"),
    });
  });
});
