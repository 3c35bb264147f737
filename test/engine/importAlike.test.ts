/** On a real PostgreSQL: matching by several combinations and by likeness of names, in files, trials and pushes. */
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { nameKeys } from "../../src/core/match.ts";
import type { Profile } from "../../src/core/types.ts";
import { getUser } from "../../src/directory/userQueries.ts";
import { createUsers } from "../../src/directory/users.ts";
import { decideRows, listWaiting } from "../../src/directory/waitingRows.ts";
import { namesOf } from "../../src/engine/importAlike.ts";
import type { Matching } from "../../src/engine/importMatch.ts";
import { chunk_size } from "../../src/engine/importPass.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { scimStage } from "../scim/stage.ts";
import { wipe } from "../support/memory.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { must, profileOf, type TestWorld, testWorld } from "../support/world.ts";
import { type Hr, hrSource, linesOf, type Row, rowOf } from "./hr.ts";

let database: TestDatabase;
let db: Database;
let world: TestWorld;
beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url);
  await migrate(db);
}, 120_000);
afterAll(async () => {
  await db.destroy();
  await database.drop();
});
beforeEach(async () => {
  await wipe(db);
  world = await testWorld(db);
});

const hire = async (first: string, last: string, more: Profile = {}) =>
  (await must(createUsers(world.command, [{ profile: profileOf(first, last, more) }])))[0]!.id;
const old = (login: string) => ({ login: `${login}@old.example.com`, email: `${login}@old.example.com` });
const outcomes = async (run: Readonly<{ id: string }>) =>
  (await linesOf(world, run.id)).map(({ external_id, outcome }) => `${external_id} ${outcome}`);
const waiting = (hr: Hr) => listWaiting(db, hr.app_id, { limit: 100 });
const partial = { match_partial: { at_least: 75 } };
const sure = { ...partial, auto_confirm_partial: true };
const john = rowOf("1", "John", "Smith", { department: "Mills" });

describe("several combinations", () => {
  const match_on = [["login"], ["email"], ["lastName", "employeeNumber"]];

  test("link whoever agrees in any of them, and in all of one", async () => {
    const hr = await hrSource(world, { match_on });
    const by_login = await hire("A", "One", { login: "ann.one@example.com", email: "x@example.com" });
    const by_mail = await hire("B", "Two", { login: "ben@old.example.com", email: "BEN.Two@example.com" });
    const by_number = await hire("C", "Three", { ...old("c"), employeeNumber: "3" });
    await hire("D", "Other", { ...old("d"), employeeNumber: "4" });
    const rows = [
      rowOf("1", "Ann", "One"),
      rowOf("2", "Ben", "Two"),
      rowOf("3", "Cy", "THREE"),
      rowOf("4", "Dora", "Four"),
    ];
    const run = await hr.run(rows);
    expect(run.counts).toEqual({ linked: 3, created: 1 });
    expect((await linesOf(world, run.id)).slice(0, 3).map(({ user_id }) => user_id)).toEqual([
      by_login,
      by_mail,
      by_number,
    ]);
  });

  test("that find two people make the row wait with both, and say by what each", async () => {
    const hr = await hrSource(world, { match_on });
    const one = await hire("A", "One", { login: "john.smith@example.com", email: "x@example.com" });
    const two = await hire("B", "Smith", { ...old("b"), employeeNumber: "1" });
    const run = await hr.run([john]);
    expect(run.counts).toEqual({ waiting: 1 });
    expect(await waiting(hr)).toMatchObject([
      {
        reason: "2 users match, 1 by login, 1 by lastName and employeeNumber: link it to one of them by hand",
        candidates: [
          { id: one, score: null, reasons: ["login the same"] },
          { id: two, score: null, reasons: ["lastName the same", "employeeNumber the same"] },
        ],
      },
    ]);
  });

  test("that find one person for two rows, chunks apart, link the first and refuse the other, as if row by row", async () => {
    const strangers = Array.from({ length: chunk_size - 1 }, (_, n) => rowOf(`s${n}`, `P${n}`, "Stranger"));
    const [first, second] = [rowOf("1", "Ann", "One"), rowOf("2", "Ben", "Two")];
    const id = await hire("A", "One", { login: "ben.two@example.com", email: "ann.one@example.com" });
    const hr = await hrSource(world, { match_on });
    const run = await hr.run([first, ...strangers, second]);
    expect(run.counts).toEqual({ linked: 1, created: chunk_size - 1, refused: 1 });
    const told = (await linesOf(world, run.id)).filter(({ external_id }) => !external_id?.startsWith("s"));
    expect(told).toMatchObject([
      { external_id: "1", outcome: "linked", user_id: id },
      { external_id: "2", outcome: "refused", detail: { reason: expect.stringContaining("another row (1)") } },
    ]);
  }, 60_000);

  test("that find one person find them once, and an empty value finds nobody", async () => {
    const hr = await hrSource(world, { match_on: [["login"], ["email"], ["department"], ["managerId"]] });
    await hire("No", "Body", { ...old("n"), department: "" });
    const id = await hire("John", "Smith", { employeeNumber: "1" });
    expect((await hr.run([john, rowOf("2", "Una", "New")])).counts).toEqual({ linked: 1, created: 1 });
    expect(await getUser(db, "john.smith@example.com")).toMatchObject({ id });
  });

  test("take values of any length", async () => {
    const long = "x".repeat(3_000);
    const hr = await hrSource(world, { match_on: [["department"], ["managerId"]] });
    const id = await hire("John", "Smith", { ...old("j"), department: `${long}a` });
    await hire("Jim", "Smith", { ...old("k"), department: `${long}b` });
    const run = await hr.run([{ ...john, department: `${long}A` }]);
    expect((await linesOf(world, run.id))[0]).toMatchObject({ outcome: "linked", user_id: id });
  });
});

describe("likeness of names", () => {
  test("is off unless a source asks for it", async () => {
    await hire("John", "Smith", old("js"));
    expect((await (await hrSource(world)).run([john])).counts).toEqual({ created: 1 });
  });

  test("makes a row wait with the person and the explained score, each time, until a person decides", async () => {
    const id = await hire("Johnny", "Smith", { ...old("js"), department: "Looms" });
    await hire("Jane", "Smith", old("jane"));
    const hr = await hrSource(world, partial);
    const [score, reasons] = [76, ["lastName the same", "firstName alike", "department differs"]];
    const reason = `${score} % alike: ${reasons.join(", ")}`;
    for (const dry_run of [true, false, true, false]) {
      const run = await hr.run([john], { dry_run });
      expect(run.counts).toEqual({ waiting: 1 });
      const [line] = await linesOf(world, run.id);
      expect(line).toMatchObject({ user_id: id, detail: { reason, fits: { [id]: { score, reasons } } } });
    }
    expect(await waiting(hr)).toMatchObject([
      { reason, candidates: [{ id, login: "js@old.example.com", score, reasons }], decision: null },
    ]);
    await must(decideRows(world.command, hr.app_id, [{ external_id: "1", kind: "link", user_id: id }]));
    expect((await hr.run()).counts).toEqual({ linked: 1 });
    expect(await getUser(db, "john.smith@example.com")).toMatchObject({ id });
  });

  test("links by itself where the source says so, and tells why", async () => {
    const id = await hire("JOHN", "Smïth", { ...old("js"), department: "mills" });
    const hr = await hrSource(world, sure);
    const reason = "98 % alike: lastName alike, firstName the same, department the same";
    const dry = await hr.run([john], { dry_run: true });
    expect(await linesOf(world, dry.id)).toMatchObject([{ outcome: "link", user_id: id, detail: { reason } }]);
    const run = await hr.run([john]);
    expect(await linesOf(world, run.id)).toMatchObject([{ outcome: "linked", user_id: id, detail: { reason } }]);
    expect((await hr.run()).counts).toEqual({ unchanged: 1 });
  });

  test("that is about equal for two makes the row wait with both, the better one first, whatever the source says", async () => {
    const [ann, zoe] = [await hire("John", "Smíth", old("a")), await hire("John", "Smith", old("z"))];
    const hr = await hrSource(world, sure);
    for (const dry_run of [true, false]) {
      const run = await hr.run([{ ...john, department: "" }], { dry_run });
      expect(await linesOf(world, run.id)).toMatchObject([
        {
          outcome: "waiting",
          detail: { reason: expect.stringMatching(/^2 users are about equally alike/), candidates: [zoe, ann] },
        },
      ]);
    }
    expect((await waiting(hr))[0]?.candidates).toMatchObject([
      { id: zoe, score: 100 },
      { id: ann, score: 97, reasons: ["lastName alike", "firstName the same"] },
    ]);
  });

  test("leaves a person to the row that matches them, wherever it stands, and in a trial as in an import", async () => {
    const id = await hire("John", "Smith", { email: "old@example.com" });
    const hr = await hrSource(world, sure);
    const other = rowOf("0", "John", "Smith", { mail: "john.smith2@example.com" });
    const strangers = Array.from({ length: chunk_size }, (_, n) => rowOf(`s${n}`, `P${n}`, "Stranger"));
    const rows = [other, ...strangers, john];
    expect((await hr.run(rows, { dry_run: true })).counts).toEqual({ link: 1, create: chunk_size + 1 });
    const run = await hr.run(rows);
    expect(run.counts).toEqual({ linked: 1, created: chunk_size + 1 });
    expect(await outcomes(run)).toEqual(expect.arrayContaining(["0 created", "1 linked"]));
    expect(await getUser(db, "john.smith@example.com")).toMatchObject({ id });
    expect((await hr.run()).counts).toEqual({ unchanged: chunk_size + 2 });
  }, 60_000);

  test("of two rows to one person, chunks apart, makes both wait, and says of each which the other is", async () => {
    const id = await hire("John", "Smith", old("js"));
    const hr = await hrSource(world, sure);
    const strangers = Array.from({ length: chunk_size }, (_, n) => rowOf(`s${n}`, `P${n}`, "Stranger"));
    const rows = [rowOf("a", "Johnny", "Smith"), ...strangers, rowOf("b", "John", "Smyth")];
    for (const [dry_run, made] of [
      [true, { create: chunk_size }],
      [false, { created: chunk_size }],
    ] as const) {
      const run = await hr.run(rows, { dry_run });
      expect(run.counts).toEqual({ waiting: 2, ...made });
      const told = (await linesOf(world, run.id)).filter(({ outcome }) => outcome === "waiting");
      expect(told).toMatchObject([
        {
          external_id: "a",
          user_id: id,
          detail: { reason: expect.stringContaining("row b is alike to the same user") },
        },
        {
          external_id: "b",
          user_id: id,
          detail: { reason: expect.stringContaining("row a is alike to the same user") },
        },
      ]);
    }
  }, 60_000);

  test("finds nobody who has a row of the source, but whoever's row has left: a person under a new number and name", async () => {
    const hr = await hrSource(world, sure);
    await hr.run([rowOf("1", "John", "Smith")]);
    const before = await getUser(db, "john.smith@example.com");
    const namesake = rowOf("2", "John", "Smith", { mail: "john2@example.com" });
    expect((await hr.run([rowOf("1", "John", "Smith"), namesake])).counts).toEqual({ unchanged: 1, created: 1 });
    const again = rowOf("3", "John", "Smith", { mail: "john3@example.com" });
    const rows = [namesake, again];
    expect((await hr.run(rows, { dry_run: true })).counts).toMatchObject({ unchanged: 1, link: 1 });
    expect((await hr.run(rows)).counts).toEqual({ unchanged: 1, linked: 1 });
    expect(await getUser(db, "john3@example.com")).toMatchObject({ id: before?.id, status: "PROVISIONED" });
  });

  test("makes both of two new people of one name, for neither was there before", async () => {
    const hr = await hrSource(world, sure);
    const rows = [john, { ...john, id: "2", mail: "john2@example.com" }];
    expect((await hr.run(rows)).counts).toEqual({ created: 2 });
  });

  test("of a name that very many nearly have, looks for the whole name alone, and links nobody by itself", async () => {
    const hr = await hrSource(world, sure);
    const crowd = Array.from({ length: 60 }, (_, n) => ({ profile: profileOf(`J${n}`, "Smith") }));
    await must(createUsers(world.command, crowd));
    const id = await hire("John", "Smith", old("js"));
    const run = await hr.run([john, rowOf("2", "J5x", "Smith")]);
    expect(await linesOf(world, run.id)).toMatchObject([
      {
        ...{ external_id: "1", outcome: "waiting", user_id: id },
        detail: {
          reason: "100 % alike: lastName the same, firstName the same; more than 50 people have nearly this name",
        },
      },
      { external_id: "2", outcome: "created" },
    ]);
  });

  test("is not kept from being sure by people who come from the source already, however many have the name", async () => {
    const hr = await hrSource(world, sure);
    const crowd = Array.from({ length: 60 }, (_, n) => rowOf(`c${n}`, `J${n}`, "Smith"));
    await hr.run(crowd);
    const id = await hire("John", "Smith", old("js"));
    const run = await hr.run([...crowd, john]);
    expect(run.counts).toEqual({ unchanged: 60, linked: 1 });
    expect(await getUser(db, "john.smith@example.com")).toMatchObject({ id });
  });

  test("comes after what people have decided, and after what a row matches", async () => {
    await hire("John", "Smith", old("js"));
    const id = await hire("Jack", "Jones", { email: "john.smith@example.com" });
    const hr = await hrSource(world, { ...partial, match_on: [["login"], ["email"]] });
    expect((await hr.run([john])).counts).toEqual({ linked: 1 });
    expect(await getUser(db, "john.smith@example.com")).toMatchObject({ id });
    await hr.run([john, { ...john, id: "2", mail: "john2@example.com" }]);
    await must(decideRows(world.command, hr.app_id, [{ external_id: "2", kind: "create" }]));
    expect((await hr.run()).counts).toEqual({ unchanged: 1, created: 1 });
  });
});

describe("laws", () => {
  const some = fc.constantFrom("John", "Johnny", "Jòhn", "J.", "Mary", "Smith", "Smyth", "Smít", "Jones");
  const one = fc.record({ first: some, last: some, department: fc.constantFrom("", "Mills", "Looms") });
  const file = fc.array(one, { minLength: 1, maxLength: 5 });
  /** People, of whom some have the login of a row. */
  const staff = fc.uniqueArray(fc.record({ at: fc.integer({ min: 0, max: 9 }), is: one }), {
    selector: ({ at }) => at,
    maxLength: 6,
  });
  type Staff = readonly Readonly<{ at: number; is: Readonly<{ first: string; last: string; department: string }> }>[];
  const words: Readonly<Record<string, string>> = { create: "created", link: "linked" };

  test("what becomes of a row hangs neither on the order of people nor of rows, and a trial tells it before", async () => {
    const play = async (people: Staff, rows: readonly Row[], confirm: boolean) => {
      await wipe(db);
      world = await testWorld(db);
      const logins = new Map<string, string>();
      for (const { at, is } of people) {
        const login = `r${at}@example.com`;
        const more = { login, email: login, department: is.department };
        logins.set(await hire(is.first, is.last, more), login);
      }
      const hr = await hrSource(world, confirm ? sure : partial);
      const told = async (dry_run: boolean) => {
        const run = await hr.run(rows, { dry_run });
        const lines = await linesOf(world, run.id);
        return lines
          .map(({ external_id, outcome, user_id, detail }) => {
            const users = [user_id ?? "", ...(detail?.candidates ?? [])].map((id) => logins.get(id) ?? "");
            return `${external_id} ${words[outcome ?? ""] ?? outcome} ${users.sort().join()}`;
          })
          .sort();
      };
      const [before, after] = [await told(true), await told(false)];
      expect(after).toEqual(before);
      const linked = after.filter((line) => line.includes(" linked ")).map((line) => line.split(" ")[2]);
      expect(new Set(linked).size).toBe(linked.length);
      return after;
    };
    await fc.assert(
      fc.asyncProperty(staff, file, fc.boolean(), async (people, people_of_file, confirm) => {
        const rows = people_of_file.map((is, n) => ({
          ...{ ...is, id: `${n}`, mail: `r${n}@example.com`, state: "active" },
        }));
        const there = await play(people, rows, confirm);
        expect(await play([...people].reverse(), [...rows].reverse(), confirm)).toEqual(there);
      }),
      { numRuns: 20 },
    );
  }, 120_000);
});

describe("a push over SCIM", () => {
  const name = { givenName: "Johnny", familyName: "Smith" };

  test("matches in the same ways: by any combination, and by likeness, which waits or links as the source says", async () => {
    const stage = await scimStage(db);
    const people = {
      mail: await hire("A", "One", { ...old("a"), email: "ann@example.com" }),
      alike: await hire("John", "Smith", old("js")),
    };
    const careful = await stage.source("Careful", { sourcing: { ...partial, match_on: [["login"], ["email"]] } });
    await careful.user("ann");
    expect(await getUser(db, "ann@example.com")).toMatchObject({ id: people.mail });
    await careful.user("js2", { name });
    const queue = await listWaiting(db, careful.app_id, { limit: 10 });
    const reason = "87 % alike: lastName the same, firstName alike";
    expect(queue).toMatchObject([{ reason, candidates: [{ id: people.alike, score: 87 }] }]);
    expect(await getUser(db, "js2@example.com")).toBeUndefined();

    const trusting = await stage.source("Trusting", { sourcing: sure });
    await trusting.user("js3", { name });
    expect(await getUser(db, "js3@example.com")).toMatchObject({ id: people.alike });
    // They have a row there now, so the next one is somebody else.
    await trusting.user("js4", { name });
    expect((await getUser(db, "js4@example.com"))?.id).not.toBe(people.alike);
  });
});

describe("the names by which people are found", () => {
  const matching: Matching = {
    import_id: "imp0",
    app_id: "0oa0",
    combinations: [],
    partial: null,
    few: sql`(select null::text as user_id, false as enabled where false)`,
  };
  const letter = fc.constantFrom(..."aAbJzÄäéÉßñÑİıŞşøŁœ'-. \t\u00a0\u2009\u3000\u0301\u0308ΣςσЯй한李");
  const name = fc.string({ unit: letter, minLength: 1, maxLength: 12 });
  const any = fc.oneof(
    name,
    fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 6 })
      .filter((text) => !/\p{Surrogate}|[^\0-\uffff]/u.test(text)),
    fc.constant("é".repeat(250)),
  );

  test("are the same in PostgreSQL as here, whatever the letters", async () => {
    const sample = fc.sample(fc.tuple(any, any), { numRuns: 400, seed: 7 }).map(([firstName, lastName]) => ({
      firstName: firstName.replaceAll("\u0000", ""),
      lastName: lastName.replaceAll("\u0000", ""),
    }));
    const ids = sample.map((_, n) => `00u${String(n).padStart(17, "0")}`);
    await sql`
      insert into users (id, status, profile)
      select g.id, 'STAGED', g.profile::jsonb || jsonb_build_object('login', g.id || '@example.com')
      from unnest(${ids}::text[], ${sample.map((profile) => JSON.stringify(profile))}::text[]) as g(id, profile)`.execute(
      db,
    );
    const { rows } = await sql<{ id: string; key: string }>`select id, key from (${namesOf(matching)}) n`.execute(db);
    const found = Map.groupBy(rows, ({ id }) => id);
    for (const [n, profile] of sample.entries()) {
      const keys = nameKeys(profile);
      const here = keys === undefined ? [] : [keys.whole, ...keys.near];
      const there = (found.get(ids[n] ?? "") ?? []).map(({ key }) => key);
      expect([...there].sort(), JSON.stringify(profile)).toEqual([...here].sort());
    }
  });
});
