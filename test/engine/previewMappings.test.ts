/** Mappings foreseen: what a preview tells is what saving then does, whatever is changed, and nothing before. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { MappingLine, MappingLines, Profile } from "../../src/core/types.ts";
import { mappingOf, putMapping } from "../../src/directory/mappings.ts";
import {
  type MappingEdit,
  type PreviewOptions,
  planMappings,
  previewMappings,
} from "../../src/engine/previewMappings.ts";
import type { AccountChange, AppPreview } from "../../src/engine/previewTally.ts";
import { sql } from "../../src/store/database.ts";
import { must, stage, usual_lines } from "../stories/support.ts";

const s = stage();

/** No account can be without it. */
const least = { userName: { expression: "user.login" } };

type Foreseen = Readonly<{ apps: readonly AppPreview[]; changes: readonly AccountChange[] }>;

async function foresee(edits: readonly MappingEdit[], options: PreviewOptions = {}): Promise<Foreseen> {
  const pages = previewMappings(s.world(), await must(planMappings(s.world(), edits)), options);
  const changes: AccountChange[] = [];
  for (;;) {
    const page = await pages.next();
    if (page.done) return { apps: page.value, changes };
    changes.push(...page.value.changes);
  }
}

/** Three apps: one by a group that gives values, one by hand with a list, one that is told of no changes; eight people. */
async function company() {
  const crm = await s.app({ label: "CRM" });
  const wiki = await s.app({ label: "Wiki" });
  const mail = await s.app({ label: "Mail", provisioning: { update: false } });
  const [sales, heads] = [await s.group("Sales"), await s.group("Heads")];
  await s.grant(crm, sales, { profile: { role: "seller" } });
  await s.grant(crm, heads, { profile: { role: "head", licences: ["a", "b"] } });
  await s.grant(mail, sales);
  const people: string[] = [];
  for (const [n, first] of ["Ada", "Ben", "Cy", "Di", "Ed", "Fay", "Gus", "Žofie"].entries()) {
    const title: Profile = n % 3 === 0 ? {} : { title: `T${n}` };
    people.push(await s.hire(first, `L${n}`, { ...title, department: n % 2 === 0 ? "Sales" : "Mills" }));
  }
  await s.join(sales, people.slice(0, 6));
  await s.join(heads, people.slice(4, 7));
  for (const [n, one] of people.entries()) await s.assign(wiki, one, n === 1 ? { role: "own", licences: ["c"] } : {});
  await s.settle();
  await s.turn(people[2]!, "suspend");
  await s.turn(people[3]!, "deactivate");
  await s.settle();
  return { crm, wiki, mail, people };
}

const expressions = [
  "user.department",
  "user.title",
  '"fixed"',
  'user.lastName + ", " + user.firstName',
  "String.toUpperCase(user.lastName)",
  'isMemberOfGroupName("Heads") ? "head" : user.title',
  "appuser.department",
  'user.title == null ? appuser.givenName : "has"',
  "source.title",
  "app.label",
];

const line: fc.Arbitrary<MappingLine> = fc.record({
  expression: fc.constantFrom(...expressions),
  push: fc.constantFrom("always" as const, "always" as const, "create" as const),
  when_empty: fc.constantFrom("clear" as const, "keep" as const, "skip" as const, "default" as const),
  default: fc.constant("d"),
});
const list: fc.Arbitrary<MappingLine> = line.map((one) => ({
  ...one,
  expression: '{"b", "a"}',
  default: ["d"],
}));
/** What happens to each attribute: nothing, its line goes, or it is another. */
const edit = fc.record({
  ...Object.fromEntries(
    ["givenName", "displayName", "title", "department", "role"].map((name) => [
      name,
      fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, fc.constant(null), line),
    ]),
  ),
  licences: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, fc.constant(null), list),
}) as fc.Arbitrary<Record<string, MappingLine | null | undefined>>;

function edited(lines: MappingLines, change: Record<string, MappingLine | null | undefined>): MappingLines {
  const after = new Map(Object.entries(lines));
  for (const [name, one] of Object.entries(change)) {
    if (one === null) after.delete(name);
    else if (one !== undefined) after.set(name, one);
  }
  return Object.fromEntries(after);
}

type Done = Readonly<{ app_id: string; user_id: string; step: string; names: readonly string[] }>;
const inOrder = (some: readonly Done[]) =>
  some.toSorted((a, b) => (a.app_id + a.user_id < b.app_id + b.user_id ? -1 : 1));

async function revisions(): Promise<Map<string, number>> {
  const { rows } = await sql<{ key: string; want_revision: number }>`
    select app_id || user_id as key, want_revision from accounts`.execute(s.world().db);
  return new Map(rows.map((row) => [row.key, row.want_revision]));
}

async function written(after: number): Promise<readonly Done[]> {
  const { rows } = await sql<Done & { detail: { changes?: { attribute: string }[] } }>`
    select app_id, user_id, step, detail from operations where id > ${after} and step not in ('look', 'link')`.execute(
    s.world().db,
  );
  return inOrder(
    rows.map(({ app_id, user_id, step, detail }) => ({
      ...{ app_id, user_id, step },
      names: (detail.changes ?? []).map((one) => one.attribute).sort(),
    })),
  );
}

async function lastOperation(): Promise<number> {
  const { rows } = await sql<{ id: number }>`select coalesce(max(id), 0) as id from operations`.execute(s.world().db);
  return rows[0]?.id ?? 0;
}

/** Some accounts were last seen to be other than they should be, each in its way, and nobody has put that right yet. */
async function drift(n: number): Promise<void> {
  const seen = [{ department: "drifted" }, { licences: ["a", "b", "z"] }, { displayName: "fixed" }][n % 3];
  await sql`
    update accounts set have = jsonb_set(have, '{profile}', have->'profile' || ${JSON.stringify(seen)}::jsonb)
    where assigned and have is not null and (ascii(right(user_id, 1)) + ${n}) % 2 = 0`.execute(s.world().db);
}

describe("a preview of changed mappings", () => {
  test("is what saving them then does: the same wants move, the same attributes of the same accounts are written", async () => {
    const { crm, wiki, mail } = await company();
    const labels = new Map([
      ["CRM", crm],
      ["Wiki", wiki],
      ["Mail", mail],
    ]);
    let moves = 0;
    for (const [round, changes] of fc.sample(fc.tuple(edit, edit, edit), { numRuns: 40, seed: 20260302 }).entries()) {
      await drift(round);
      const edits: MappingEdit[] = [];
      for (const [n, app] of [crm, wiki, mail].entries()) {
        const before = (await mappingOf(s.world().db, app, "to_app"))!.lines;
        edits.push({ app, lines: edited(before, changes[n]!) });
      }
      const { changes: told, apps } = await foresee(edits, { page: 3 });
      const [before, last] = [await revisions(), await lastOperation()];
      for (const { app, lines } of edits) await must(putMapping(s.command(), app, "to_app", lines));
      await s.settle();
      const after = await revisions();
      const moved = [...after].filter(([key, revision]) => before.get(key) !== revision).map(([key]) => key);
      expect(told.map((one) => labels.get(one.app)! + one.user_id).sort()).toEqual(moved.sort());
      const foreseen = told
        .filter((one) => one.step !== "none")
        .map((one) => ({
          ...{ app_id: labels.get(one.app)!, user_id: one.user_id, step: one.step },
          names: one.changes.map((change) => change.attribute).sort(),
        }));
      expect(inOrder(foreseen)).toEqual(await written(last));
      expect(apps.map((one) => one.moved).reduce((a, b) => a + b)).toBe(told.length);
      moves += told.length;
    }
    expect(moves).toBeGreaterThan(100);
  });

  test("counts, samples and names, and tells what fails; nothing is written", async () => {
    const { wiki, people } = await company();
    const [before, last, events] = [
      await revisions(),
      await lastOperation(),
      await s.events("directory.mapping.update"),
    ];
    const lines = { ...usual_lines, givenName: { ...usual_lines.givenName, expression: '"Dr. " + user.firstName' } };
    const { apps } = await foresee([{ app: "wiki", lines }], { first: 2 });
    expect(apps).toMatchObject([
      {
        app_id: wiki,
        app: "Wiki",
        accounts: 7,
        looked: 7,
        moved: 7,
        steps: { update: 7 },
        attributes: [
          {
            attribute: "givenName",
            accounts: 7,
            samples: [{ login: "ada.l0@example.com", before: "Ada", after: "Dr. Ada" }, {}, {}],
          },
        ],
        first: [{ user_id: people[0], rune: "~" }, { user_id: people[1] }],
        problems: [],
      },
    ]);
    expect([await revisions(), await lastOperation(), await s.events("directory.mapping.update")]).toEqual([
      before,
      last,
      events,
    ]);
    expect(await s.settle()).toBe(0);
  });

  test("compares an attribute that nobody managed until now with what the app has", async () => {
    const { wiki, people } = await company();
    await sql`
      update accounts set have = jsonb_set(have, '{profile,displayName}', '"Mills"')
      where app_id = ${wiki} and user_id = ${people[4]}`.execute(s.world().db);
    const lines = { ...usual_lines, displayName: { expression: '"Mills"' } };
    const { apps, changes } = await foresee([{ app: wiki, lines }]);
    expect(apps).toMatchObject([{ moved: 7, steps: { none: 1, update: 6 } }]);
    expect(changes.find((one) => one.user_id === people[4])).toMatchObject({ step: "none", changes: [] });
  });

  test("names the apps whose mappings read these accounts", async () => {
    const crm = await s.app({ label: "CRM" });
    const wiki = await s.app({ label: "Wiki" });
    const { rows } = await sql<{ name: string }>`select name from apps where id = ${crm}`.execute(s.world().db);
    await s.map(wiki, { title: { expression: `${rows[0]!.name}.title` } });
    const { apps } = await foresee([{ app: crm, lines: least }]);
    expect(apps[0]?.read_by).toEqual(["Wiki"]);
  });

  test("of an app that is switched off tells that nothing changes until it is on", async () => {
    const { wiki } = await company();
    await sql`update apps set status = 'INACTIVE' where id = ${wiki}`.execute(s.world().db);
    const { apps } = await foresee([{ app: wiki, lines: least }]);
    expect(apps).toMatchObject([{ looked: 0, moved: 0, notes: [expect.stringContaining("switched off")] }]);
  });

  test.each([
    ["an unknown app", "Nowhere", {}, "there is no app Nowhere"],
    [
      "an attribute that is not there",
      "Wiki",
      { ...least, shoe: { expression: "user.title" } },
      "There is no attribute shoe",
    ],
    ["a line that an account cannot be without", "Wiki", {}, "requires userName"],
    ["an expression that cannot be read", "Wiki", { ...least, title: { expression: "user." } }, "title, line 1"],
  ])("is refused as saving would be: %s", async (_what, app, lines, words) => {
    await s.app({ label: "Wiki" });
    expect(await planMappings(s.world(), [{ app, lines }])).toMatchObject({ refused: expect.stringContaining(words) });
  });
});
