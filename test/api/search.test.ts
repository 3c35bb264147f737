/**
 * `search` and `filter` of people against an evaluation that shares nothing with them: invented people and invented
 * expressions, with PEOPLE=10000 EXPRESSIONS=2000 as many as we promise (a minute or two), by default fewer. Each expression is made together with a plain JavaScript predicate, from what Okta's
 * documentation says the words mean; neither our parser, nor our evaluator, nor SQL has a part in the predicate.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Profile } from "../../src/core/types.ts";
import { defineAttributes } from "../../src/directory/schemas.ts";
import { transitionUsers } from "../../src/directory/userLifecycle.ts";
import { createUsers } from "../../src/directory/users.ts";
import { createUserType } from "../../src/directory/userTypes.ts";
import { newMemory } from "../../src/server/memory.ts";
import { filterUsers, searchUsers } from "../../src/server/okta/search.ts";
import { type Database, isRefusal, openDatabase, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

const people_count = Number(process.env["PEOPLE"] ?? 2_000);
const expressions = Number(process.env["EXPRESSIONS"] ?? 500);
const search_count = Math.round(expressions * 0.8);
const filter_count = expressions - search_count;
const at_once = 20;
const over_http = 100;

/** Numbers that come again with the seed (mulberry32). */
function chance(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (n: number) => Math.floor(next() * n);
  return { below, one: <T>(from: readonly T[]): T => from[below(from.length)] as T, odds: (p: number) => next() < p };
}
type Chance = ReturnType<typeof chance>;

const firsts = [
  "Ada",
  "ada",
  "Bob",
  "Éva",
  "éva",
  "Σίμος",
  "O'Hara",
  "Ann-Lee",
  "a_b",
  "50%",
  "Zoë",
  "李",
  "Straße",
  "x\\y",
  'q"t',
];
const lasts = ["Lovelace", "Byron", "BYRON", "Nuñez", "Ng", "de la Cruz", "Øst", "McAdam", "😀", "Null", "true", "007"];
const departments = ["Sales", "sales", "Sales EMEA", "R&D", "Legal", "50% club", "a_b", "Über uns", null];
const tags = ["red", "Red", "blue", "deep blue", "50%", "ÉTÉ", "été"];
const days = ["2024-02-29", "2025-01-01T00:00:00Z", "2025-01-01T01:00:00+01:00", "2026-03-02T09:30:00.250Z", null];

/** A person as the predicates see one: every property by its name in an expression. */
type Person = Readonly<Record<string, unknown>> & Readonly<{ id: string }>;

/** An expression, and whom it is meant to find. */
type Asked = Readonly<{ text: string; holds: (person: Person) => boolean }>;

// ---- what the words mean: lower case letter by letter, order by code point, dates as instants

const lower = (text: string) => Array.from(text, (letter) => letter.toLowerCase()).join("");
const points = (text: string) => Array.from(text, (letter) => letter.codePointAt(0) ?? 0);

function compareTexts(a: string, b: string): number {
  const [x, y] = [points(a), points(b)];
  for (let n = 0; n < Math.min(x.length, y.length); n++) if (x[n] !== y[n]) return (x[n] ?? 0) - (y[n] ?? 0);
  return x.length - y.length;
}

const instant = (text: string) => Date.parse(/T/.test(text) ? text : `${text}T00:00:00Z`);

const signs: Readonly<Record<string, (order: number) => boolean>> = {
  eq: (order) => order === 0,
  gt: (order) => order > 0,
  ge: (order) => order >= 0,
  lt: (order) => order < 0,
  le: (order) => order <= 0,
};

const listOf = (value: unknown): readonly unknown[] => (value === null || value === undefined ? [] : [value].flat());

function textHolds(have: string, operator: string, want: string, exact: boolean): boolean {
  const [a, b] = exact ? [have, want] : [lower(have), lower(want)];
  if (operator === "sw") return a.startsWith(b);
  if (operator === "co") return a.includes(b);
  return signs[operator]?.(compareTexts(a, b)) ?? false;
}

type Kind = "text" | "number" | "boolean" | "instant";
type Property = Readonly<{ name: string; kind: Kind; exact?: boolean; literals: readonly unknown[] }>;

const operators: Readonly<Record<Kind, readonly string[]>> = {
  text: ["eq", "eq", "sw", "co", "gt", "ge", "lt", "le", "pr"],
  number: ["eq", "gt", "ge", "lt", "le", "pr"],
  boolean: ["eq", "pr"],
  instant: ["eq", "gt", "ge", "lt", "le", "pr"],
};

function valueHolds(value: unknown, { kind, exact }: Property, operator: string, literal: unknown): boolean {
  switch (kind) {
    case "text":
      return textHolds(String(value), operator, String(literal), exact === true);
    case "boolean":
      return value === literal;
    case "number":
      return signs[operator]?.(Number(value) - Number(literal)) ?? false;
    case "instant":
      return signs[operator]?.(instant(String(value)) - instant(String(literal))) ?? false;
  }
}

/** One comparison. Of a list, one element is enough; of nothing, nothing holds. */
function leaf(random: Chance, property: Property, allowed: readonly string[]): Asked {
  const operator = random.one(allowed);
  const { name } = property;
  if (operator === "pr") return { text: `${name} pr`, holds: (person) => listOf(person[name]).length > 0 };
  const whole = random.one(property.literals);
  const cut = typeof whole === "string" && property.kind === "text" && (operator === "sw" || operator === "co");
  const letters = cut ? Array.from(whole) : [];
  const literal =
    cut && letters.length > 2 ? letters.slice(operator === "sw" ? 0 : 1, 2 + random.below(2)).join("") : whole;
  const written =
    property.kind === "text" && random.odds(property.exact ? 0.15 : 0.5) ? swapCase(String(literal)) : literal;
  const spelled = random.odds(0.1) ? operator.toUpperCase() : operator;
  return {
    text: `${name} ${spelled} ${JSON.stringify(written)}`,
    holds: (person) => listOf(person[name]).some((value) => valueHolds(value, property, operator, written)),
  };
}

/** The other case of letters that have exactly one, so that nobody argues about ß. */
function swapCase(text: string): string {
  return Array.from(text, (letter) => (/[a-zA-Zéúñøëü]/.test(letter) ? otherCase(letter) : letter)).join("");
}
const otherCase = (letter: string) => (letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase());

/** Ors of ands, with parentheses here and there; without them `and` binds tighter. */
function expression(random: Chance, one: () => Asked, depth = 0): Asked {
  const part = (): Asked => {
    if (depth > 2 || random.odds(0.8)) return one();
    const inner = expression(random, one, depth + 1);
    return { text: random.odds(0.5) ? `(${inner.text})` : `( ${inner.text} )`, holds: inner.holds };
  };
  const ands = Array.from({ length: 1 + random.below(2) }, () => Array.from({ length: 1 + random.below(3) }, part));
  const [and, or] = random.odds(0.1) ? [" AND ", "  or\n"] : [" and ", " or "];
  return {
    text: ands.map((some) => some.map(({ text }) => text).join(and)).join(or),
    holds: (person) => ands.some((some) => some.every(({ holds }) => holds(person))),
  };
}

// ---- the people

const attributes = [
  { name: "score", type: "number" },
  { name: "level", type: "integer" },
  { name: "remote", type: "boolean" },
  { name: "hired", type: "date" },
  { name: "tags", type: "string", array: true },
  { name: "marks", type: "integer", array: true },
  { name: "nick", type: "string" },
] as const;

function profileOf(random: Chance, n: number): Profile {
  const [first, last] = [random.one(firsts), random.one(lasts)];
  const some = <T>(odds: number, value: T): T | null => (random.odds(odds) ? value : null);
  const made: Record<string, unknown> = {
    login: `p${n}@${random.one(["x.co", "Example.COM", "y.example"])}`,
    email: `${random.one(["p", "P", "q"])}${n}@x.co`,
    firstName: first,
    lastName: last,
    department: random.one(departments),
    employeeNumber: some(0.7, String(random.below(500))),
    nick: some(0.5, random.one([...firsts, " "])),
    score: some(0.6, random.one([0, -1, 1.5, 36, 0.1, 100])),
    level: some(0.6, random.below(6)),
    remote: some(0.7, random.odds(0.5)),
    hired: random.one(days),
    tags: some(
      0.6,
      Array.from({ length: random.below(3) + 1 }, () => random.one(tags)),
    ),
    marks: some(
      0.5,
      Array.from({ length: random.below(3) + 1 }, () => random.below(5)),
    ),
  };
  return Object.fromEntries(Object.entries(made).filter(([, value]) => value !== null)) as Profile;
}

async function ok<T>(outcome: Promise<T>) {
  const result = await outcome;
  if (isRefusal(result)) throw new Error(result.refused);
  return result as Exclude<T, { refused: string }>;
}

async function makePeople(db: Database, random: Chance): Promise<string> {
  const begin = Date.parse("2026-03-02T09:00:00.123Z");
  let shift = 0;
  const command = { db, now: () => new Date(begin + shift), actor: system };
  await ok(defineAttributes(command, "user", attributes));
  const type = await ok(createUserType(command, { name: "guest", display_name: "Guest", description: null }));
  const ids: string[] = [];
  for (let n = 0; n < people_count; n += 500) {
    shift = n * 40_000;
    const inputs = Array.from({ length: 500 }, (_, i) => ({
      profile: profileOf(random, n + i),
      activate: random.odds(0.7),
    }));
    ids.push(...(await ok(createUsers(command, inputs))).map(({ id }) => id));
  }
  shift += 86_400_000;
  const every = (nth: number) => ids.filter((_, n) => n % nth === 0);
  await ok(transitionUsers(command, every(7), { kind: "suspend" }));
  await ok(transitionUsers(command, every(11), { kind: "deactivate" }));
  // Another type for some, whatever their attributes: this is about finding them.
  await sql`update users set type_id = ${type.id} where id = any(${every(5)}::text[])`.execute(db);
  await sql`update users set last_login_at = created_at + interval '1 hour' where id = any(${every(3)}::text[])`.execute(
    db,
  );
  return type.id;
}

async function readPeople(db: Database): Promise<readonly Person[]> {
  const rows = await db.selectFrom("users").selectAll().orderBy("id").execute();
  const text = (at: Date | null) => at?.toISOString() ?? null;
  return rows.map((row) => ({
    id: row.id,
    status: row.status,
    created: text(row.created_at),
    activated: text(row.activated_at),
    statusChanged: text(row.status_changed_at),
    lastUpdated: text(row.updated_at),
    lastLogin: text(row.last_login_at),
    "type.id": row.type_id ?? "oty0000000000default",
    ...Object.fromEntries(Object.entries(row.profile).map(([name, value]) => [`profile.${name}`, value])),
  }));
}

function properties(people: readonly Person[], type_id: string): readonly Property[] {
  const sample = (name: string) => people.filter((_, n) => n % 199 === 0).flatMap((one) => listOf(one[name]));
  const dates = ["created", "activated", "statusChanged", "lastUpdated", "lastLogin"];
  const profile = (name: string) => `profile.${name}`;
  return [
    { name: "id", kind: "text", exact: true, literals: [...sample("id"), "00u"] },
    {
      name: "status",
      kind: "text",
      literals: ["ACTIVE", "STAGED", "PROVISIONED", "SUSPENDED", "DEPROVISIONED", "GONE"],
    },
    { name: "type.id", kind: "text", exact: true, literals: [type_id, "oty0000000000default"] },
    ...dates.map((name) => ({
      name,
      kind: "instant" as const,
      literals: [...sample(name), "2026-03-05", "1999-01-01T00:00:00Z"],
    })),
    ...["login", "email", "employeeNumber"].map((name) => ({
      name: profile(name),
      kind: "text" as const,
      literals: sample(profile(name)),
    })),
    { name: "profile.firstName", kind: "text", literals: firsts },
    { name: "profile.lastName", kind: "text", literals: lasts },
    { name: "profile.department", kind: "text", literals: departments.filter((one) => one !== null) },
    { name: "profile.nick", kind: "text", literals: [...firsts, " ", "nobody"] },
    { name: "profile.tags", kind: "text", literals: tags },
    { name: "profile.score", kind: "number", literals: [0, -1, 1.5, 2, 36, 1e3] },
    { name: "profile.level", kind: "number", literals: [0, 1, 3, 5.5] },
    { name: "profile.marks", kind: "number", literals: [0, 2, 4, 9] },
    { name: "profile.remote", kind: "boolean", literals: [true, false] },
    { name: "profile.hired", kind: "instant", literals: days.filter((one) => one !== null) },
  ];
}

/** What `filter` takes: a few properties, equality unless they are dates, and case counts. */
function filterLeaf(random: Chance, all: readonly Property[]): Asked {
  const names = [
    "id",
    "status",
    "lastUpdated",
    "profile.login",
    "profile.email",
    "profile.firstName",
    "profile.lastName",
  ];
  const property = random.one(all.filter(({ name }) => names.includes(name)));
  const dated = property.kind === "instant";
  return leaf(random, { ...property, exact: true }, dated ? ["eq", "gt", "ge", "lt", "le"] : ["eq"]);
}

let database: TestDatabase;
let db: Database;
let api: TestApi;
let people: readonly Person[];
let searches: readonly Asked[];
let filters: readonly Asked[];

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url);
  await migrate(db);
  api = await testApi(db);
  const random = chance(20_261_123);
  const type_id = await makePeople(db, random);
  await sql`analyze users`.execute(db);
  people = await readPeople(db);
  const all = properties(people, type_id);
  const one = () => {
    const property = random.one(all);
    return leaf(random, property, operators[property.kind]);
  };
  searches = Array.from({ length: search_count }, () => expression(random, one));
  filters = Array.from({ length: filter_count }, () => expression(random, () => filterLeaf(random, all)));
}, 120_000);

afterAll(async () => {
  await api?.server.close();
  await db?.destroy();
  await database?.drop();
});

/** Whom each of some expressions finds, in one statement. */
async function found(asked: readonly Asked[], how: typeof searchUsers): Promise<readonly (readonly string[])[]> {
  const reads = { db, memory: newMemory() };
  const conditions = [];
  for (const { text } of asked) conditions.push(await how(reads as Parameters<typeof searchUsers>[0], text));
  const columns = conditions.map(
    (condition, n) =>
      sql`coalesce(array_agg(u.id order by u.id) filter (where ${condition}), '{}') as ${sql.id(`r${n}`)}`,
  );
  const { rows } = await sql<Record<string, string[]>>`select ${sql.join(columns)} from users u`.execute(db);
  return asked.map((_, n) => rows[0]?.[`r${n}`] ?? []);
}

/** What two sets of people do not share, few enough to read; "" when they are the same. */
function difference({ text }: Asked, has: readonly string[], want: readonly string[]): string {
  const few = (ids: Iterable<string>) => JSON.stringify(people.filter(({ id }) => [...ids].slice(0, 2).includes(id)));
  const without = (some: readonly string[], others: readonly string[]) => {
    const known = new Set(others);
    return new Set(some.filter((id) => !known.has(id)));
  };
  const [extra, missing] = [without(has, want), without(want, has)];
  if (extra.size + missing.size === 0 && has.join() === want.join()) return "";
  return `${text}\nfound ${extra.size} too many: ${few(extra)}\nand missed ${missing.size}: ${few(missing)}`;
}

const expected = ({ holds }: Asked) => people.filter(holds).map(({ id }) => id);

describe.each([
  ["search", () => searches, searchUsers],
  ["filter", () => filters, filterUsers],
] as const)("%s", (_name, all, how) => {
  test("finds exactly the people whom an evaluation of its own finds", async () => {
    const sizes: number[] = [];
    for (let n = 0; n < all().length; n += at_once) {
      const some = all().slice(n, n + at_once);
      const results = await found(some, how);
      for (const [i, asked] of some.entries()) {
        const want = expected(asked);
        sizes.push(want.length);
        expect(difference(asked, results[i] ?? [], want)).toBe("");
      }
    }
    // Expressions that find nobody or everybody would prove little.
    const telling = sizes.filter((size) => size > 0 && size < people_count).length;
    expect(telling).toBeGreaterThan(all().length / 3);
  }, 600_000);

  test("gives the same people over HTTP, page after page", async () => {
    for (const asked of all().slice(0, over_http / 2)) {
      const answer = await api.call(
        "GET",
        `/api/v1/users?${new URLSearchParams({ [_name]: asked.text, limit: "200" })}`,
      );
      const want = expected(asked);
      expect([asked.text, answer.status]).toEqual([asked.text, 200]);
      const ids = answer.body.map((user: Person) => user.id);
      expect(difference(asked, ids, want.slice(0, 200))).toBe("");
      expect(answer.next !== undefined).toBe(want.length > 200);
    }
    const many = all().find((asked) => expected(asked).length > people_count / 8) as Asked;
    const ids: string[] = [];
    let path: string | undefined = `/api/v1/users?${new URLSearchParams({ [_name]: many.text, limit: "200" })}`;
    for (; path !== undefined; ) {
      const { body, next } = await api.call("GET", path);
      ids.push(...body.map((user: Person) => user.id));
      path = next;
    }
    expect(ids).toEqual(expected(many));
  }, 120_000);
});

/** Ways to spoil an expression: given a good one and a comparison, the text, and the offset that must be named. */
const spoilt: readonly (readonly [string, (good: string) => readonly [string, number]])[] = [
  ["a property that is not there", (good) => [`${good} and profile.nothing eq "x"`, good.length + 5]],
  ["a text without its end", (good) => [`${good} and profile.nick eq "x`, good.length + 21]],
  ["an operator that is none", (good) => [`${good} or profile.nick is "x"`, good.length + 17]],
  ["an operator that search has not", (good) => [`${good} or profile.nick ne "x"`, good.length + 17]],
  ["nothing to compare with", (good) => [`${good} and profile.nick eq`, good.length + 20]],
  ["a parenthesis that stays open", (good) => [`(${good}`, good.length + 1]],
  ["one that was never opened", (good) => [`${good})`, good.length]],
  ["two comparisons without a joint", (good) => [`${good} profile.nick pr`, good.length + 1]],
  ["nothing after and", (good) => [`${good} and`, good.length + 4]],
  ["a beginning of a number", (good) => [`${good} and profile.level sw "1"`, good.length + 22]],
  ["a number that is none", (good) => [`${good} and profile.level gt "high"`, good.length + 22]],
  ["a day that is none", (good) => [`${good} and created gt "yesterday"`, good.length + 16]],
  ["an order of yes and no", (good) => [`${good} and profile.remote gt true`, good.length + 23]],
  ["a single quote", (good) => [`${good} and profile.nick eq 'x'`, good.length + 21]],
  ["a word without quotes", (good) => [`${good} and profile.nick eq x`, good.length + 21]],
  ["a wrong escape", (good) => [`${good} and profile.nick eq "a\\q"`, good.length + 23]],
];

describe("a bad expression is 400 E0000031 and says where", () => {
  test.each(spoilt)("%s", async (_what, spoil) => {
    for (const { text: good } of searches.slice(0, 40)) {
      const [text, offset] = spoil(good);
      const before = text.slice(0, offset).split("\n");
      const place = `line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`;
      const answer = await api.call("GET", `/api/v1/users?${new URLSearchParams({ search: text })}`);
      expect([answer.status, answer.body.errorCode]).toEqual([400, "E0000031"]);
      expect([text, answer.body.errorCauses[0].errorSummary]).toEqual([text, expect.stringContaining(place)]);
    }
  });

  test.each([
    ["search", ""],
    ["search", "   "],
    ["filter", 'profile.nick eq "x"'],
    ["filter", 'profile.firstName sw "A"'],
    ["filter", "status pr"],
  ])("%s=%j is refused", async (kind, text) => {
    const answer = await api.call("GET", `/api/v1/users?${new URLSearchParams({ [kind]: text })}`);
    expect([answer.status, answer.body.errorCode]).toEqual([400, "E0000031"]);
    expect(answer.body.errorCauses[0].errorSummary).toMatch(/line 1, column \d+/);
  });

  test("an attribute without its word is told which may be meant, and what is none is not", async () => {
    const told = async (search: string) => {
      const { body } = await api.call("GET", `/api/v1/users?${new URLSearchParams({ search })}`);
      return body.errorCauses[0].errorSummary;
    };
    expect(await told('title eq "Head"')).toMatch(/no property "title" to look for: did you mean profile\.title\?/);
    expect(await told('tittle eq "Head"')).not.toContain("did you mean");
  });
});
