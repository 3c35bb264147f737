/** Bad input, each with a message that names the place and says what to do, and nothing lost. */
import { beforeEach, expect, test } from "vitest";
import type { Refusal } from "../../src/core/types.ts";
import { mappingOf, putMapping } from "../../src/directory/mappings.ts";
import { createRule, listRules, updateRule } from "../../src/directory/rules.ts";
import { getUser } from "../../src/directory/userQueries.ts";
import { isRefusal, sql } from "../../src/store/database.ts";
import { columns, type Hr, hrSource, linesOf, rowOf } from "../engine/hr.ts";
import { must, stage, usual_lines } from "./support.ts";

const s = stage();
const header = columns.join();
const cells = (id: string, name: string, ...more: readonly string[]) =>
  [id, `${name}@example.com`, name, "Worker", ...more, ...Array.from({ length: 6 - more.length }, () => "")].join();
const [ann, ben] = [cells("1", "ann", "", "active"), cells("2", "ben", "", "active")];
let hr: Hr;

/** Ann and Ben came with a good file; what comes now is bad. */
beforeEach(async () => {
  hr = await hrSource(s.world());
  hr.writeText([header, ann, ben].join("\n"));
  expect(await hr.run()).toMatchObject({ status: "DONE", counts: { created: 2 } });
});

async function nothingLost(): Promise<void> {
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from users where status = 'PROVISIONED'`.execute(
    s.world().db,
  );
  expect(rows[0]?.n).toBeGreaterThanOrEqual(2);
  hr.writeText([header, ann, ben].join("\n"));
  expect(await hr.run(undefined, { mode: "incremental" })).toMatchObject({ status: "DONE", counts: { unchanged: 2 } });
}

const latin = Buffer.concat([Buffer.from(`${header}\n${ann}\n`), Buffer.from(cells("3", "müller"), "latin1")]);
const files: readonly [what: string, file: string | Uint8Array, message: RegExp][] = [
  [
    "has no header",
    "1,ann@example.com,Ann,Worker\n2,ben@example.com,Ben,Worker",
    /"id", "state" is missing; there are 1, ann@example.com/,
  ],
  [
    "lacks the id column",
    [header.replace("id,", "number,"), ann].join("\n"),
    /"id" is missing; there are number, mail/,
  ],
  ["has a column twice", [header.replace("first", "mail"), ann].join("\n"), /"mail" is there twice/],
  ["is separated by something else", [header, ann].join("\n").replaceAll(",", ";"), /separated by ";"/],
  ["is empty", "", /empty/],
  ["is in another encoding", latin, /^Line 3: the file is not UTF-8/],
  ["is UTF-16", Buffer.from(`\ufeff${header}\n${ann}\n`, "utf16le"), /UTF-16/],
];

test.each(files)("a file that %s is refused whole, and nobody leaves", async (_what, file, message) => {
  hr.writeText(file);
  const run = await hr.run();
  expect(run).toMatchObject({ status: "FAILED", complete: false, reason: expect.stringMatching(message) });
  expect(run.counts["left"]).toBeUndefined();
  await nothingLost();
});

const rows: readonly [what: string, row: string, place: string, message: RegExp][] = [
  ["too few cells", "3,cy@example.com", "line 3", /2 cells, the header 10/],
  ["a stray quote", cells("3", 'c"y'), "line 3", /column "mail": .*not quoted/],
  ["a quote never closed", `"3,cy@example.com,cy`, "line 3", /quote is not closed/],
  ["a line of two million characters", cells("3", "c".repeat(2_000_000)), "line 3", /longer than 1048576 bytes/],
  ["no id", cells("", "cy", "", "active"), "line 3", /column "id": the id is empty/],
  ["an id that was there", cells("1", "cy", "", "active"), "line 3", /the id 1 was there before/],
  ["an address that is none", cells("3", "c y", "", "active"), "line 3, 3", /login|email/],
  ["a day that is none", cells("3", "cy", "", "active", "soon"), "line 3, 3", /start: "soon" is no day; use the form/],
];

test.each(rows)(
  "a row with %s is told by its line, the others are applied, and nobody who is missing leaves for it",
  async (_what, row, place, message) => {
    hr.writeText([header, ann, row, cells("4", "di", "", "active")].join("\n"));
    const run = await hr.run();
    expect(run).toMatchObject({ status: "DONE", counts: { created: 1, unchanged: 1, refused: 1 } });
    const refused = (await linesOf(s.world(), run.id)).find((line) => line.outcome === "refused");
    expect(refused?.detail).toEqual({ place, reason: expect.stringMatching(message) });
    expect(await getUser(s.world().db, "di@example.com")).toBeDefined();
    // Ben is not in this file. Where a row could not be read it may have been his; else he has left.
    const readable = place.includes(",");
    expect((await getUser(s.world().db, "ben@example.com"))?.status).toBe(readable ? "DEPROVISIONED" : "PROVISIONED");
  },
);

test("a place is the line in the file, also behind broken rows, blank lines and cells of several lines", async () => {
  const wide = '3,cy@example.com,cy,Worker,"two\nlines",active,,,,';
  hr.writeText([header, ann, "broken", "", wide, ben, cells("5", "no good", "", "active")].join("\n"));
  const run = await hr.run();
  expect(
    (await linesOf(s.world(), run.id))
      .flatMap((line) => (line.outcome === "refused" ? [line.detail?.place] : []))
      .sort(),
  ).toEqual(["line 3", "line 8, 5"]);
});

test("a cell that a spreadsheet would run is that text, and so it goes to the apps", async () => {
  const formula = '=HYPERLINK("http://evil.example";"x")';
  hr.writeText(
    [header, ann, ben, `3,cy@example.com,cy,Worker,"${formula.replaceAll('"', '""')}",active,,,,`].join("\n"),
  );
  await hr.run();
  const app = await s.app();
  const cy = (await getUser(s.world().db, "cy@example.com"))!;
  await s.assign(app, cy.id);
  await s.settle();
  expect((await s.there(app, cy.id))?.profile).toMatchObject({ department: formula });
});

test("names that mean something to JavaScript or SQL are only names", async () => {
  const evil = `Robert'); drop table users;--`;
  hr.write([rowOf("1", "ann", "Worker"), rowOf("__proto__", "constructor", evil, { mail: "bobby@example.com" })]);
  expect(await hr.run()).toMatchObject({ status: "DONE" });
  const { rows: users } = await sql<{
    id: string;
  }>`select id from users where profile->>'firstName' = 'constructor'`.execute(s.world().db);
  expect(users).toHaveLength(1);
  expect(({} as Record<string, unknown>)["firstName"]).toBeUndefined();
});

const expressions: readonly [what: string, expression: string, line: number, column: number, message: RegExp][] = [
  ["a syntax error", 'user.department == "Sales" AND', 1, 31, /expected|ends/i],
  ["a string never closed", 'user.department == "Sales', 1, 20, /quote|closed|string/i],
  ["an assignment", 'user.department = "Sales"', 1, 17, /==/],
  ["an unknown attribute", "user.departement == null", 1, 1, /department/],
  ["an unknown function", 'String.reverse(user.login) == "x"', 1, 1, /reverse/],
  ["a type error", 'user.department == "Sales"\n  AND user.login', 2, 7, /true or false|boolean/i],
  ["too few arguments", 'String.startsWith("x")', 1, 1, /startsWith/],
  ["a regular expression that looks back", 'user.login matches "(a)\\1"', 1, 20, /cannot run in linear time/],
];

test.each(expressions)(
  "a rule with %s is refused with line and column, and nothing is saved",
  async (_what, expression, line, column, message) => {
    const group = await s.group("Target");
    const refusal = (await createRule(s.command(), { name: "Bad", expression, group_ids: [group] })) as Refusal;
    expect(isRefusal(refusal)).toBe(true);
    expect(refusal.refused).toMatch(message);
    expect(`${refusal.place} ${refusal.refused}`).toMatch(
      new RegExp(`line ${line}, column ${column}|${line}:${column}`),
    );
    expect(await listRules(s.world().db, { limit: 10 })).toEqual([]);

    const rule = await s.rule("Good", 'user.department == "Sales"', [group]);
    expect(isRefusal(await updateRule(s.command(), rule, { expression }))).toBe(true);
    const ada = await s.hire("Ada", "Byron", { department: "Sales" });
    await s.settle();
    expect(await s.membersOf(group)).toEqual(["ada.byron@example.com"]);
    expect(ada).toMatch(/^00u/);
  },
);

test("a mapping with a bad line is refused whole, naming attribute, line and column; what there was goes on", async () => {
  const app = await s.app();
  const before = await mappingOf(s.world().db, app, "to_app");
  const refusal = await putMapping(s.command(), app, "to_app", {
    ...usual_lines,
    title: { expression: "user.titel" },
    shoe_size: { expression: "user.title" },
  });
  expect(refusal).toMatchObject({
    code: "invalid",
    refused: expect.stringMatching(/title, line 1, column 1: .*\n.*shoe_size/),
  });
  expect(await mappingOf(s.world().db, app, "to_app")).toEqual(before);
});

test("a regular expression that would take others for ever takes no time", async () => {
  const group = await s.group("Target");
  await s.rule("Evil", 'user.department matches "(a+)+b"', [group]);
  await s.hire("Ada", "Byron", { department: "a".repeat(10_000) });
  await s.hire("Bob", "Stone", { department: `${"a".repeat(10_000)}b` });
  const began = performance.now();
  await s.settle();
  expect(performance.now() - began).toBeLessThan(5_000);
  expect(await s.membersOf(group)).toEqual(["bob.stone@example.com"]);
});

test("an expression that would grow without end stops at its limit, and the account keeps what it had", async () => {
  const app = await s.app();
  const ada = await s.hire("Ada", "Byron", { department: "x" });
  await s.assign(app, ada);
  await s.settle();
  const grow = Array.from({ length: 12 }).reduce<string>(
    (text) => `String.replace(${text}, "x", user.department)`,
    '"x"',
  );
  await must(putMapping(s.command(), app, "to_app", { ...usual_lines, department: { expression: grow } }));
  await s.move(ada, { department: "x".repeat(60) });
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ enabled: true, profile: { department: "x" } });
  expect(await s.tasks()).toMatchObject([{ kind: "mapping_error", detail: { attribute: "department" } }]);
});

test("a line of an attribute that the app requires is not taken away, and an empty one is a task that names it", async () => {
  const app = await s.app({ label: "Chat" });
  const { userName, ...others } = usual_lines;
  expect(await putMapping(s.command(), app, "to_app", others)).toMatchObject({
    refused: expect.stringMatching(/Chat requires userName/),
    place: "userName",
  });
  const ada = await s.hire("Ada", "Byron");
  const nick = { expression: "user.nickName" };
  await must(putMapping(s.command(), app, "to_app", { ...others, userName: nick }));
  await s.assign(app, ada);
  await s.settle();
  const task = { kind: "provisioning_fault", detail: { fault: "invalid", attribute: "userName" } };
  expect(await s.tasks()).toMatchObject([task]);
  expect((await s.tasks())[0]?.detail["message"]).toMatch(/userName.*is empty.*map/);
  await must(putMapping(s.command(), app, "to_app", { ...others, userName: userName ?? nick }));
  await s.settle();
  await must(putMapping(s.command(), app, "to_app", { ...others, userName: nick }));
  await s.settle();
  expect(await s.there(app, ada)).toMatchObject({ profile: { userName: "ada.byron@example.com" } });
  expect(await s.tasks()).toMatchObject([task]);
});
