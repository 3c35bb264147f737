/** The import of people from a source: what each kind of row becomes, and what never happens. */
import { describe, expect, test } from "vitest";
import type { Profile } from "../../src/core/types.ts";
import { listTasks } from "../../src/directory/tasks.ts";
import { holdUser, transitionUser, unholdUser } from "../../src/directory/userLifecycle.ts";
import { getUser } from "../../src/directory/userQueries.ts";
import { createUsers, updateUsers } from "../../src/directory/users.ts";
import { startImport } from "../../src/engine/import.ts";
import { chunk_size } from "../../src/engine/importPass.ts";
import { originsOf } from "../../src/engine/origins.ts";
import { schedule } from "../../src/engine/schedule.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import { admin, must, profileOf, settle, type TestWorld } from "../support/world.ts";
import { type Hr, hrSource, linesOf, type Row, rowOf } from "./hr.ts";

let db: Database;
let world: TestWorld;
memoryWorld((...given) => {
  [db, world] = given;
});

const ada = rowOf("1", "Ada", "Byron", { department: "Mills" });
const bob = rowOf("2", "Bob", "Stone");
const cy = rowOf("3", "Cy", "Young");
const status = async (login: string) => (await getUser(db, `${login}@example.com`))?.status;
const dirty = async () => (await sql<{ n: number }>`select count(*)::int as n from dirty`.execute(db)).rows[0]?.n;
const at = async (time: string) => {
  world.clock.set(new Date(time));
  await settle(world);
};

describe("an import", () => {
  test("creates people, and the same file again is unchanged and concerns nobody", async () => {
    const hr = await hrSource(world);
    expect(await hr.run([ada, bob])).toMatchObject({ status: "DONE", complete: true, counts: { created: 2 } });
    const user = await getUser(db, "ada.byron@example.com");
    expect(user).toMatchObject({
      status: "PROVISIONED",
      profile: { firstName: "Ada", department: "Mills", employeeNumber: "1" },
      provenance: { "*": { source: hr.app_id } },
    });
    await settle(world);
    expect(await hr.run()).toMatchObject({ counts: { unchanged: 2 } });
    expect(await dirty()).toBe(0);
  });

  test("changes only whom a row changes, and clears what a row no longer says", async () => {
    const hr = await hrSource(world);
    await hr.run([ada, bob]);
    await settle(world);
    expect(await hr.run([{ ...ada, department: "" }, bob])).toMatchObject({ counts: { updated: 1, unchanged: 1 } });
    expect((await getUser(db, "ada.byron@example.com"))?.profile["department"]).toBeUndefined();
    expect(await dirty()).toBe(1);
  });

  test("follows a person whose name and mail change by the id of the row", async () => {
    const hr = await hrSource(world);
    await hr.run([ada]);
    const { id } = (await getUser(db, "ada.byron@example.com"))!;
    await hr.run([rowOf("1", "Ada", "Lovelace")]);
    expect(await getUser(db, "ada.lovelace@example.com")).toMatchObject({ id });
  });

  test("links who is there already by the match, whatever the case, without a second person", async () => {
    const hr = await hrSource(world);
    const [user] = await must(
      createUsers(world.command, [{ profile: profileOf("Ada", "Byron", { title: "Countess" }) }]),
    );
    expect(await hr.run([{ ...ada, mail: "ADA.Byron@EXAMPLE.com" }])).toMatchObject({ counts: { linked: 1 } });
    expect(await getUser(db, user!.id)).toMatchObject({ profile: { department: "Mills", title: "Countess" } });
    expect(await hr.run()).toMatchObject({ counts: { unchanged: 1 } });
  });

  test("leaves a match to a person when it is not to be confirmed by itself, or not clear", async () => {
    const careful = await hrSource(world, { auto_confirm: false });
    await must(createUsers(world.command, [{ profile: profileOf("Ada", "Byron") }]));
    const run = await careful.run([ada]);
    expect(await linesOf(world, run.id)).toMatchObject([
      { outcome: "waiting", detail: { reason: "waits to be confirmed" } },
    ]);

    const loose = await hrSource(world, { match_on: ["lastName"] }, "Loose");
    await must(createUsers(world.command, [{ profile: profileOf("Annabella", "Byron") }]));
    const [line] = await linesOf(world, (await loose.run([{ ...ada, mail: "new@example.com" }])).id);
    expect(line).toMatchObject({
      outcome: "waiting",
      detail: { reason: expect.stringContaining("2 users match by lastName") },
    });
    expect(line?.detail?.candidates).toHaveLength(2);
  });

  test("refuses two rows of one person, and applies the others", async () => {
    const hr = await hrSource(world);
    await hr.run([ada]);
    const run = await hr.run([ada, { ...ada, id: "9" }, bob]);
    expect(run).toMatchObject({ status: "DONE", counts: { unchanged: 1, refused: 1, created: 1 } });
    expect((await linesOf(world, run.id)).find((line) => line.outcome === "refused")).toMatchObject({
      external_id: "9",
      detail: { reason: expect.stringContaining("already comes from another row") },
    });
  });

  test("says of a row that cannot be a person why, and the others are not held up; mended, it is created", async () => {
    const hr = await hrSource(world);
    const run = await hr.run([{ ...ada, mail: "no mail" }, bob, { ...cy, last: "" }]);
    expect(run).toMatchObject({ status: "DONE", counts: { refused: 2, created: 1 } });
    const refused = (await linesOf(world, run.id)).filter((line) => line.outcome === "refused");
    expect(refused.map((line) => line.detail?.place)).toEqual(["line 2, 1", "line 4, 3"]);
    expect(refused[0]?.detail?.reason).toMatch(/login|email/);
    expect(refused[1]?.detail?.reason).toMatch(/lastName/);
    expect(await hr.run([ada, bob, cy])).toMatchObject({ counts: { created: 2, unchanged: 1 } });
  });

  test("skips who is not active in the source and nobody of ours", async () => {
    const hr = await hrSource(world);
    expect(await hr.run([{ ...ada, state: "left" }])).toMatchObject({ counts: { skipped: 1 } });
    expect(await getUser(db, "ada.byron@example.com")).toBeUndefined();
  });

  test("that is tried dry counts everything and writes nothing", async () => {
    const hr = await hrSource(world);
    await hr.run([ada, bob]);
    await settle(world);
    const before = (await sql`select * from users order by id`.execute(db)).rows;
    const run = await hr.run([{ ...ada, department: "Sales" }, cy], { dry_run: true });
    expect(run).toMatchObject({ status: "DONE", counts: { update: 1, create: 1, vanish: 1 } });
    expect((await sql`select * from users order by id`.execute(db)).rows).toEqual(before);
    expect(await dirty()).toBe(0);
    expect(await hr.run()).toMatchObject({ counts: { updated: 1, created: 1, left: 1 } });
  });

  test("that is tried dry judges every row as the import then does", async () => {
    const hr = await hrSource(world);
    await hr.run([ada, bob, cy, rowOf("4", "Di", "Held")]);
    const held = (await getUser(db, "di.held@example.com"))!;
    await must(holdUser(world.command, held.id, { reason: "on leave", until: null }));
    const many = Array.from({ length: chunk_size }, (_, n) => rowOf(`m${n}`, `P${n}`, "Worker"));
    const rows = [
      { ...ada, department: "Sales" },
      { ...bob, mail: "cy.young@example.com" },
      ...many,
      { ...rowOf("10", "Twice", "Over"), mail: "p0.worker@example.com" },
      { ...rowOf("11", "No", "Mail"), mail: "" },
      { ...rowOf("12", "Bad", "Day"), start: "soon" },
      rowOf("13", "New", "One"),
    ];
    const tried = await hr.run(rows, { dry_run: true });
    const lines = await linesOf(world, tried.id);
    const done = await hr.run(rows);
    const real = { create: "created", update: "updated", vanish: "left" } as Record<string, string>;
    const counts = Object.entries(tried.counts).map(([name, n]) => [real[name] ?? name, n]);
    expect(Object.fromEntries(counts)).toEqual(done.counts);
    expect(done.counts).toMatchObject({ refused: 4, skipped: 1 });
    const byLine = (all: typeof lines) => new Map(all.map((one) => [one.line, real[one.outcome ?? ""] ?? one.outcome]));
    expect(byLine(lines)).toEqual(byLine(await linesOf(world, done.id)));
    const told = (id: string) => lines.find((line) => line.external_id === id)?.detail;
    expect(told("1")).toMatchObject({ changes: { department: { before: "Mills", after: "Sales" } } });
    expect(told("13")).toMatchObject({ user: { login: "new.one@example.com" } });
  });

  test("is refused where it makes no sense: no such app, no source, switched off, one running already", async () => {
    const start = (app_id: string) => startImport(world, app_id, { mode: "full", actor: admin });
    expect(await start("0oanone")).toMatchObject({ code: "not_found" });
    const hr = await hrSource(world);
    hr.write([ada]);
    await schedule(world);
    const both = await Promise.all([start(hr.app_id), start(hr.app_id)]);
    expect(both.map((one) => ("refused" in one ? one.code : one.status)).sort()).toEqual(["DONE", "stale"]);
    await sql`update apps set status = 'INACTIVE'`.execute(db);
    expect(await start(hr.app_id)).toMatchObject({ refused: expect.stringContaining("switched off") });
  });

  test("is cancelled between two chunks; run again it goes on where it was", async () => {
    const hr = await hrSource(world);
    const people = Array.from({ length: chunk_size + 1 }, (_, n) => rowOf(`${n}`, `P${n}`, "Worker"));
    const stop = new AbortController();
    const onProgress = ({ phase, done }: { phase: string; done: number }) => {
      if (phase === "applying" && done >= chunk_size) stop.abort();
    };
    expect(await hr.run(people, { signal: stop.signal, onProgress })).toMatchObject({
      status: "CANCELLED",
      counts: { created: chunk_size, undecided: 1 },
    });
    expect(await hr.run()).toMatchObject({ status: "DONE", counts: { unchanged: chunk_size, created: 1 } });
  });
});

describe("who leaves and returns", () => {
  test("someone whom the source calls inactive leaves, and returns as the same person", async () => {
    const hr = await hrSource(world);
    await hr.run([ada, bob]);
    expect(await hr.run([{ ...ada, state: "left" }, bob])).toMatchObject({ counts: { left: 1, unchanged: 1 } });
    expect(await status("ada.byron")).toBe("DEPROVISIONED");
    expect(await hr.run([{ ...ada, department: "Sales" }, bob])).toMatchObject({ counts: { returned: 1 } });
    expect(await getUser(db, "ada.byron@example.com")).toMatchObject({
      status: "PROVISIONED",
      profile: { department: "Sales" },
    });
  });

  test("someone whom a complete file no longer has leaves; an incremental file without them says nothing", async () => {
    const hr = await hrSource(world);
    await hr.run([ada, bob]);
    expect(await hr.run([bob], { mode: "incremental" })).toMatchObject({ counts: { unchanged: 1 } });
    expect(await status("ada.byron")).toBe("PROVISIONED");
    expect(await hr.run([bob])).toMatchObject({ counts: { left: 1, unchanged: 1 } });
    expect(await status("ada.byron")).toBe("DEPROVISIONED");
    expect(await hr.run([ada, bob])).toMatchObject({ counts: { returned: 1 } });
    expect(await status("ada.byron")).toBe("PROVISIONED");
  });

  test.each([
    ["none", "PROVISIONED"],
    ["suspend", "SUSPENDED"],
    ["deactivate", "DEPROVISIONED"],
  ] as const)("a source that says inactive with mode %s leaves them %s", async (on_inactive, after) => {
    const hr = await hrSource(world, { on_inactive });
    await hr.run([ada]);
    await hr.run([{ ...ada, state: "left" }]);
    expect(await status("ada.byron")).toBe(after);
    await hr.run([ada]);
    expect(await status("ada.byron")).toBe("PROVISIONED");
  });

  test("a return is not undone, nor done, where the source may not reactivate", async () => {
    const hr = await hrSource(world, { reactivate_deactivated: false });
    await hr.run([ada]);
    await hr.run([{ ...ada, state: "left" }]);
    await hr.run([ada]);
    expect(await status("ada.byron")).toBe("DEPROVISIONED");
  });

  test("a hold beats the source as long as it lasts, and not longer", async () => {
    const hr = await hrSource(world);
    await hr.run([ada, bob]);
    const user = (await getUser(db, "ada.byron@example.com"))!;
    await must(holdUser(world.command, user.id, { reason: "handing over" }));
    const gone: Row[] = [{ ...ada, state: "left" }, bob];
    const run = await hr.run(gone);
    expect(run).toMatchObject({ counts: { skipped: 1, unchanged: 1 } });
    expect(await linesOf(world, run.id)).toMatchObject([
      { outcome: "skipped", detail: { reason: expect.stringContaining("handing over") } },
    ]);
    expect(await status("ada.byron")).toBe("PROVISIONED");

    await must(unholdUser(world.command, user.id));
    expect(await hr.run()).toMatchObject({ counts: { left: 1, unchanged: 1 } });
    expect(await status("ada.byron")).toBe("DEPROVISIONED");
  });

  test("someone deactivated by hand under a hold is not brought back by a source that lists them", async () => {
    const hr = await hrSource(world);
    await hr.run([ada]);
    const user = (await getUser(db, "ada.byron@example.com"))!;
    await must(holdUser(world.command, user.id, { reason: "under investigation" }));
    await must(transitionUser(world.command, user.id, { kind: "suspend" }));
    await hr.run([{ ...ada, department: "Sales" }]);
    expect(await status("ada.byron")).toBe("SUSPENDED");
  });

  test("super administrators are not cut off by a file", async () => {
    const hr = await hrSource(world);
    await hr.run([ada]);
    await sql`update users set super_admin = true`.execute(db);
    const run = await hr.run([{ ...ada, state: "left" }]);
    expect(run).toMatchObject({ counts: { skipped: 1 } });
    expect(await status("ada.byron")).toBe("PROVISIONED");
  });
});

describe("dates of a source", () => {
  const romans = { start: "2026-03-10", end: "2026-03-20", zone: "Europe/Rome" };

  test("someone with a first day ahead stays STAGED until local midnight, and leaves when the last day is over there", async () => {
    const hr = await hrSource(world);
    expect(await hr.run([{ ...ada, ...romans }])).toMatchObject({ counts: { created: 1 } });
    expect(await status("ada.byron")).toBe("STAGED");
    await at("2026-03-09T22:59:00Z");
    expect(await status("ada.byron")).toBe("STAGED");
    await at("2026-03-09T23:00:00Z");
    expect(await status("ada.byron")).toBe("PROVISIONED");
    await at("2026-03-20T22:59:00Z");
    expect(await status("ada.byron")).toBe("PROVISIONED");
    await at("2026-03-20T23:00:00Z");
    expect(await status("ada.byron")).toBe("DEPROVISIONED");
  });

  test("someone whose first day has passed starts at once; a prolonged end keeps them; a taken back end, too", async () => {
    const hr = await hrSource(world);
    await hr.run([{ ...ada, start: "2026-03-01", end: "2026-03-05" }]);
    expect(await status("ada.byron")).toBe("PROVISIONED");
    await hr.run([{ ...ada, start: "2026-03-01", end: "2026-03-09" }]);
    await at("2026-03-07T00:00:00Z");
    expect(await status("ada.byron")).toBe("PROVISIONED");
    await hr.run([{ ...ada, start: "2026-03-01" }]);
    await at("2026-06-01T00:00:00Z");
    expect(await status("ada.byron")).toBe("PROVISIONED");
  });

  test.each([
    ["start", "10/03/2026", "start"],
    ["end", "2026-02-30", "end"],
    ["zone", "Mars/Olympus", "zone"],
  ])(
    "a row whose %s is %j is refused, naming it, instead of starting someone too early or ending nobody",
    async (name, value, word) => {
      const hr = await hrSource(world);
      const run = await hr.run([{ ...ada, [name]: value }, bob]);
      expect(run).toMatchObject({ status: "DONE", counts: { refused: 1, created: 1 } });
      const [line] = await linesOf(world, run.id);
      expect(line?.detail).toMatchObject({ place: "line 2, 1", reason: expect.stringContaining(value) });
      expect(line?.detail?.reason).toContain(word);
      expect(await getUser(db, "ada.byron@example.com")).toBeUndefined();
    },
  );

  test("someone who ended and whom the source then gives a later end comes back", async () => {
    const hr = await hrSource(world);
    await hr.run([{ ...ada, end: "2026-03-05" }]);
    await at("2026-03-10T00:00:00Z");
    expect(await status("ada.byron")).toBe("DEPROVISIONED");
    await hr.run([{ ...ada, end: "2026-12-31" }]);
    expect(await status("ada.byron")).toBe("PROVISIONED");
  });
});

describe("the guard", () => {
  const many = (n: number) => Array.from({ length: n }, (_, i) => rowOf(`${i}`, `P${i}`, "Worker"));
  const guarded = async (): Promise<Hr> => {
    const hr = await hrSource(world, { guard_people: 5, guard_percent: 20 });
    await hr.run(many(40));
    return hr;
  };

  test("holds an import that would make too many leave, with nothing of it applied, until a person lets it pass", async () => {
    const hr = await guarded();
    const held = await hr.run([...many(40).slice(9), { ...ada, id: "900" }]);
    expect(held).toMatchObject({
      status: "HELD",
      reason: expect.stringContaining("9 of 40 people of source HR (22.5 %;"),
    });
    expect(await getUser(db, "ada.byron@example.com")).toBeUndefined();
    expect(await status("p0.worker")).toBe("PROVISIONED");
    const [task] = await listTasks(db, { status: "OPEN" });
    expect(task).toMatchObject({ kind: "import_held", title: expect.stringContaining("9 of 40") });

    expect(await hr.run(undefined, { released: held.id })).toMatchObject({
      status: "DONE",
      counts: { left: 9, created: 1 },
    });
    expect(await status("p0.worker")).toBe("DEPROVISIONED");
    expect(await listTasks(db, { status: "OPEN" })).toEqual([]);
  });

  test.each([
    [8, "DONE"],
    [9, "HELD"],
  ])("lets 20 %% pass and holds one more: %i leavers of 40 are %s", async (n, expected) => {
    const hr = await guarded();
    expect(await hr.run(many(40).slice(n))).toMatchObject({ status: expected });
  });

  test("counts those who are inactive in the file as well as those who are missing", async () => {
    const hr = await guarded();
    const rows = many(40).map((row, n) => (n < 5 ? { ...row, state: "left" } : row));
    expect(await hr.run(rows.slice(0, 36))).toMatchObject({
      status: "HELD",
      reason: expect.stringContaining("9 of 40"),
    });
  });

  test("lets a handful go in a small company, and never holds who has left already", async () => {
    const hr = await hrSource(world, { guard_people: 5, guard_percent: 20 });
    await hr.run([ada, bob, cy]);
    expect(await hr.run([ada])).toMatchObject({ status: "DONE", counts: { left: 2 } });
    expect(await hr.run([ada])).toMatchObject({ status: "DONE", counts: { unchanged: 1 } });
  });

  test("says in a dry run that it would hold", async () => {
    const hr = await guarded();
    expect(await hr.run(many(10), { dry_run: true })).toMatchObject({
      status: "DONE",
      reason: expect.stringMatching(/^it would be held: .*would deactivate/),
    });
  });
});

describe("two sources", () => {
  test("the first decides, the second one is remembered and cannot make anyone leave", async () => {
    const [first, second] = [await hrSource(world, {}, "HR"), await hrSource(world, {}, "Payroll")];
    await first.run([ada]);
    const linked = await second.run([{ ...ada, department: "Sales" }]);
    expect(linked.counts).toEqual({ outranked: 1 });
    expect((await getUser(db, "ada.byron@example.com"))?.profile).toMatchObject({ department: "Mills" });
    await second.run([{ ...ada, state: "left" }]);
    await second.run([]);
    expect(await status("ada.byron")).toBe("PROVISIONED");
    expect(await first.run([{ ...ada, state: "left" }])).toMatchObject({ counts: { left: 1 } });
    expect(await status("ada.byron")).toBe("DEPROVISIONED");
  });

  test("what a source gives is changed there and nowhere else; what it does not give is changed by hand, and stays", async () => {
    const hr = await hrSource(world);
    await hr.run([ada]);
    const user = (await getUser(db, "ada.byron@example.com"))!;
    const change = (profile: Profile) => updateUsers(world.command, [{ id: user.id, profile }]);
    expect(await change({ department: "Moon base", title: "Head" })).toMatchObject({
      code: "forbidden",
      place: "department",
      refused: expect.stringMatching(/department of ada\.byron@example\.com comes from HR.*change it there/),
    });
    expect(await change({ department: "Mills", title: "Head" })).toMatchObject([{ changed: true }]);
    await hr.run([{ ...ada, manager: "bob.stone@example.com" }]);
    expect((await getUser(db, user.id))?.profile).toMatchObject({ department: "Mills", title: "Head" });
  });

  test("whom no source has any more is changed by hand again", async () => {
    const hr = await hrSource(world);
    await hr.run([ada]);
    const user = (await getUser(db, "ada.byron@example.com"))!;
    await sql`update apps set status = 'INACTIVE'`.execute(db);
    expect(await updateUsers(world.command, [{ id: user.id, profile: { department: "Moon base" } }])).toMatchObject([
      { changed: true },
    ]);
  });
});

describe("where a value comes from", () => {
  test("is told attribute by attribute: a source only of what it gives, else who entered it and when", async () => {
    const hr = await hrSource(world);
    await hr.run([ada]);
    const user = (await getUser(db, "ada.byron@example.com"))!;
    const origins = () => originsOf(db, user, ["department", "title", "nickName", "login"]);
    const at = expect.any(Date);
    expect(await origins()).toMatchObject([
      { attribute: "department", value: "Mills", source: "HR", external_id: "1", by: null },
      { attribute: "title", value: null, by: null, source: "nobody has entered it" },
      { attribute: "nickName" },
      { attribute: "login", source: "HR", external_id: "1" },
    ]);
    await must(updateUsers(world.command, [{ id: user.id, profile: { title: "Engineer" } }]));
    const told = await originsOf(db, (await getUser(db, user.id))!, ["title", "department"]);
    expect(told).toMatchObject([
      { value: "Engineer", source: "entered by hand or over the API", external_id: null, by: admin.name, at },
      { source: "HR", external_id: "1" },
    ]);
    await sql`update apps set status = 'INACTIVE'`.execute(db);
    expect(await origins()).toMatchObject([{ source: "imported from HR", by: admin.name, at }, {}, {}, {}]);
  });

  test("of someone who was made by hand is whoever made them", async () => {
    const [user] = await must(
      createUsers(world.command, [{ profile: profileOf("Ada", "Byron", { title: "Countess" }) }]),
    );
    expect(await originsOf(db, user!, ["title"])).toMatchObject([
      { value: "Countess", source: "entered when the person was created", by: admin.name },
    ]);
  });
});
