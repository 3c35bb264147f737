/** Files of people by hand, through HTTP: what becomes of each row, what is refused, and taking an import back. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { permissionsFor } from "../../src/core/permissions.ts";
import { grantRole } from "../../src/directory/adminRoles.ts";
import { defineAttributes } from "../../src/directory/schemas.ts";
import { createToken } from "../../src/directory/tokens.ts";
import { getUser, type StoredUser } from "../../src/directory/userQueries.ts";
import { importPeople } from "../../src/engine/importPeople.ts";
import { checkPeopleFile } from "../../src/engine/peopleFile.ts";
import { schedule } from "../../src/engine/schedule.ts";
import { type Database, isRefusal, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { postFile, type Sent } from "../support/fileAnswer.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { testWorld } from "../support/world.ts";

let db: Database;
let api: TestApi;
const folder = mkdtempSync(path.join(tmpdir(), "tenure-people-"));
const command = () => ({ db, now: () => new Date(), actor: system });

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(async () => {
  await db.destroy();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db, { import_folder: folder });
});

const post = (url: string, payload: string | Buffer, token?: string) => postFile(api, url, payload, token);
const send = (lines: readonly string[], query = "", token = api.token) =>
  post(`/admin/v1/users/imports${query}`, `${lines.join("\n")}\n`, token);
const undo = (id: string, token = api.token) => post(`/admin/v1/users/imports/${id}/undo`, "{}", token);
const show = async (login: string) => (await getUser(db, login)) as StoredUser;
const left = () => readdirSync(path.join(folder, "uploads"));
const header = "login,firstName,lastName,email,department";
const ann = "ann@x.co,Ann,Lee,ann@x.co,Mills";
const ben = "ben@x.co,Ben,Ray,ben@x.co,Mills";

test("a file creates who is not there, changes who is, and tells each row before and after", async () => {
  const first = await send([header, ann]);
  expect(first.done.counts).toEqual({ create: 1, update: 0, unchanged: 0, refused: 0 });
  expect((await show("ann@x.co")).status).toBe("STAGED");
  const second = await send(
    [
      "login,department,title,firstName,lastName,email",
      "ANN@x.co,Sales,,Ann,Lee,ann@x.co",
      "cy@x.co,,Cook,Cy,Fox,cy@x.co",
    ],
    "?activate=true",
  );
  expect(second.rows).toMatchObject([
    { line: 2, outcome: "update", changes: [{ attribute: "department", before: "Mills", after: "Sales" }] },
    { line: 3, outcome: "create" },
  ]);
  expect((await show("ann@x.co")).profile).toMatchObject({ login: "ann@x.co", department: "Sales" });
  expect((await show("ann@x.co")).status).toBe("STAGED");
  expect((await show("cy@x.co")).status).toBe("PROVISIONED");
  expect(left()).toEqual([]);
});

test("an empty cell clears the attribute, and a column that is not there leaves it", async () => {
  await send([`${header},title`, `${ann},Head`]);
  const { rows } = await send(["login,title", "ann@x.co,"]);
  expect(rows).toMatchObject([{ outcome: "update", changes: [{ attribute: "title", before: "Head", after: null }] }]);
  expect((await show("ann@x.co")).profile).toMatchObject({ department: "Mills" });
  expect((await show("ann@x.co")).profile).not.toHaveProperty("title");
});

test("a dry run tells the same as the run after it and writes nothing, and a second run changes nothing", async () => {
  await send([header, ann]);
  const file = [header, ann.replace("Mills", "Sales"), ben, "no-address,A,B,no-address,C"];
  const before = await sql`select (select count(*) from users) u, (select count(*) from events) e`.execute(db);
  const tried = await send(file, "?dry_run=true");
  expect(await sql`select (select count(*) from users) u, (select count(*) from events) e`.execute(db)).toEqual(before);
  expect(tried.done.id).toBeNull();
  expect(tried.rows.find(({ outcome }) => outcome === "create")).not.toHaveProperty("user_id");
  const done = await send(file);
  const without = (rows: Sent["rows"]) => rows.map(({ user_id: _, ...row }) => row);
  expect(without(tried.rows)).toEqual(without(done.rows));
  expect(done.done.counts).toEqual({ create: 1, update: 1, unchanged: 0, refused: 1 });
  expect((await send(file)).done.counts).toEqual({ create: 0, update: 0, unchanged: 2, refused: 1 });
});

describe("a file is refused as a whole, and nobody is written,", () => {
  const latin = Buffer.concat([Buffer.from(`${header}\n${ann}\n`), Buffer.from("mü@x.co,M,M,mu@x.co,", "latin1")]);
  test.each<[string, string | Buffer, RegExp]>([
    ["without a column login", `email,firstName\nann@x.co,Ann\n`, /"login" is missing/],
    ["with a column that is no attribute", `login,departement\nann@x.co,X\n`, /"departement".*did you mean department/],
    ["with a column __proto__", `login,__proto__\nann@x.co,X\n`, /no attribute "__proto__"/],
    ["with a column constructor", `login,constructor\nann@x.co,X\n`, /no attribute "constructor"/],
    ["with a column twice", `login,email,email\na,b,c\n`, /"email" is there twice/],
    ["of semicolons that nobody told of", `login;email\nann@x.co;ann@x.co\n`, /separated by ";"/],
    ["in another encoding, though its first rows are good", latin, /Line 3: the file is not UTF-8/],
    ["that is UTF-16", Buffer.from(`\ufeff${header}\n`, "utf16le"), /UTF-16/],
    ["that is empty", "", /empty/],
    ["that has a header only", `${header}\n`, /has a header and no rows/],
  ])("%s", async (_what, file, message) => {
    const refused = await post("/admin/v1/users/imports", file);
    expect([refused.status, refused.causes]).toEqual([400, expect.stringMatching(message)]);
    expect(await getUser(db, "ann@x.co")).toBeUndefined();
    expect((await api.call("GET", "/admin/v1/users/imports")).body).toEqual([]);
    expect(left()).toEqual([]);
  });
});

describe("a row is refused with its reason, and the others are done:", () => {
  test.each<[string, string, RegExp]>([
    ["no login", ",Ann,Lee,ann@x.co,X", /^login: is empty/],
    ["a new person who lacks what is required", "new@x.co,,Lee,new@x.co,X", /firstName: is required/],
    ["a value that the schema refuses", "new@x.co,New,Lee,nowhere,X", /email:/],
    ["a login that an earlier line has", "BEN@x.co,Ben,Ray,ben@x.co,Other", /^login: line 2 of this file has the same/],
    ["too few cells", "new@x.co,New", /has 2 cells, the header 5/],
    ["a quote that never ends", 'new@x.co,"New,Lee,new@x.co,X', /quote is not closed/],
    ["a cell of 1 MB", `new@x.co,New,Lee,new@x.co,${"x".repeat(1024 * 1024)}`, /longer than 262144 bytes/],
    ["a cell of 100,000 letters", `new@x.co,New,Lee,new@x.co,${"x".repeat(100_000)}`, /department:/],
    ["a NUL", "new@x.co,New,Lee,new@x.co,a\0b", /NUL/],
  ])("%s", async (_what, row, message) => {
    const { rows, done } = await send([header, ben, row]);
    expect(done.counts).toEqual({ create: 1, update: 0, unchanged: 0, refused: 1 });
    expect(rows[1]).toMatchObject({ line: 3, outcome: "refused", reason: expect.stringMatching(message) });
    expect((await show("ben@x.co")).profile).toMatchObject({ department: "Mills" });
  });
});

test("a row that is not what was meant is refused again, as it stands in the file of refused rows", async () => {
  const { rows } = await send([
    header,
    `${ben}`,
    `ben@x.co,Ben,Ray,ben@x.co,Other`,
    "ann@x.co,Ann",
    ",No,One,no@x.co,X",
  ]);
  expect(rows.map(({ mend }) => mend)).toEqual([undefined, true, true, undefined]);
  const refused = [`${header},error`, "ben@x.co,Ben,Ray,ben@x.co,Other,MEND: line 3", "ben@x.co,Ben,,,,MEND: line 4"];
  const again = await send(refused);
  expect(again.done.counts).toEqual({ create: 0, update: 0, unchanged: 0, refused: 2 });
  expect(again.rows[1]).toMatchObject({ reason: expect.stringMatching(/still begins with MEND/), mend: true });
  expect((await show("ben@x.co")).profile).toMatchObject({ department: "Mills", lastName: "Ray" });
  expect((await send(refused.slice(0, 2).map((row) => row.replace("MEND: ", "")))).done.counts).toMatchObject({
    update: 1,
  });
});

test("cells become numbers, lists and truth by the attribute, and a sensitive value is kept but not shown", async () => {
  const made = await defineAttributes(command(), "user", [
    { name: "badge", type: "integer", unique: true },
    { name: "remote", type: "boolean" },
    { name: "skills", type: "string", array: true },
    { name: "salary", type: "number", sensitive: true },
  ]);
  expect(isRefusal(made)).toBe(false);
  const more = `${header},badge,remote,skills,salary`;
  const { rows, done } = await send([
    more,
    `${ann},7,TRUE,cook; bake,12.5`,
    `${ben},7,,,`,
    "cy@x.co,C,F,cy@x.co,,,maybe,,",
  ]);
  expect((await show("ann@x.co")).profile).toMatchObject({
    badge: 7,
    remote: true,
    skills: ["cook", "bake"],
    salary: 12.5,
  });
  expect(rows.map(({ reason }) => reason)).toEqual([
    undefined,
    "badge: line 2 of this file has the same already",
    "remote: takes true or false",
  ]);
  expect(JSON.stringify(rows)).not.toContain("12.5");
  const { body } = await api.call("GET", `/admin/v1/users/imports/${done.id}/rows`);
  expect(body).toHaveLength(1);
  expect(JSON.stringify(body)).not.toContain("12.5");
  expect(JSON.stringify((await api.call("GET", "/admin/v1/users/imports")).body)).toContain(done.id);
});

test("a phone number that our file of refused rows guards against spreadsheets comes back as it was", async () => {
  await send([`${header},mobilePhone,error`, `${ann},'+49 30 1234,line 2: was refused`]);
  expect((await show("ann@x.co")).profile).toMatchObject({ mobilePhone: "+49 30 1234" });
});

describe("taking an import back", () => {
  test("deactivates whom it created, sets back what it changed, and names what has changed since", async () => {
    await send([`${header},title`, `${ann},Cook`, `${ben},Cook`]);
    const cy = "cy@x.co,Cy,Fox,cy@x.co,Sales,Head";
    const { done } = await send([
      `${header},title`,
      `ann@x.co,Ann,Lee,ann@x.co,Sales,Head`,
      `ben@x.co,Ben,Ray,ben@x.co,Sales,Cook`,
      cy,
    ]);
    await api.call("POST", "/api/v1/users/ann@x.co", { profile: { title: "Chef" } });
    await api.call("POST", "/api/v1/users/ben@x.co", { profile: { department: "Bakery" } });
    const { rows } = await undo(done.id);
    expect(rows).toEqual([
      { line: 2, login: "ann@x.co", undone: "partly", did: "set back", reason: "title changed since, and stays" },
      { line: 3, login: "ben@x.co", undone: "left", did: null, reason: "department changed since, and stays" },
      { line: 4, login: "cy@x.co", undone: "undone", did: "deactivated", reason: null },
    ]);
    expect((await show("ann@x.co")).profile).toMatchObject({ department: "Mills", title: "Chef" });
    expect((await show("ben@x.co")).profile).toMatchObject({ department: "Bakery" });
    expect((await show("cy@x.co")).status).toBe("DEPROVISIONED");
    // What was left is tried again.
    await api.call("POST", "/api/v1/users/ann@x.co", { profile: { title: "Head" } });
    expect((await undo(done.id)).rows).toMatchObject([
      { line: 2, undone: "undone", did: "set back" },
      { line: 3, undone: "left" },
    ]);
    expect((await show("ann@x.co")).profile).toMatchObject({ title: "Cook" });
    await api.call("POST", "/api/v1/users/ben@x.co", { profile: { department: "Mills" } });
    expect((await undo(done.id)).rows).toMatchObject([{ line: 3, undone: "undone", did: null }]);
    const again = await undo(done.id);
    expect([again.status, again.causes]).toEqual([409, expect.stringMatching(/was taken back by/)]);
    expect((await undo("pim00000000000000000")).status).toBe(404);
  });

  test("from the oldest on leaves what newer ones wrote, and goes on once those are taken back", async () => {
    await send([header, ann]);
    const of = (department: string) => send(["login,department", `ann@x.co,${department}`]);
    const [older, newer] = [(await of("Sales")).done.id, (await of("Legal")).done.id];
    expect((await undo(older)).rows).toMatchObject([{ undone: "left", reason: "department changed since, and stays" }]);
    expect((await undo(newer)).rows).toMatchObject([{ undone: "undone", did: "set back" }]);
    expect((await show("ann@x.co")).profile).toMatchObject({ department: "Sales" });
    expect((await undo(older)).rows).toMatchObject([{ undone: "undone", did: "set back" }]);
    expect((await show("ann@x.co")).profile).toMatchObject({ department: "Mills" });
    expect((await undo(older)).status).toBe(409);
  });

  test("sets back what was cleared and clears what was given, and leaves who was deleted", async () => {
    await send([header, ann, ben]);
    const { done } = await send(["login,department,title", "ann@x.co,,Head", "ben@x.co,Sales,"]);
    const { id } = await show("ben@x.co");
    await api.call("DELETE", `/api/v1/users/${id}`);
    await api.call("DELETE", `/api/v1/users/${id}`);
    expect((await undo(done.id)).rows).toMatchObject([
      { undone: "undone" },
      { undone: "left", reason: "they were deleted" },
    ]);
    const { profile } = await show("ann@x.co");
    expect(profile).toMatchObject({ department: "Mills" });
    expect(profile).not.toHaveProperty("title");
  });
});

describe("nobody changes through a file whom they could not change one by one:", () => {
  async function admin(role: string): Promise<string> {
    const login = `${role.toLowerCase()}@x.co`;
    await send([header, `${login},A,B,${login},`], "?activate=true");
    const user = await show(login);
    const granted = await grantRole(command(), { user }, { role });
    const token = await createToken(command(), { name: role, user_id: user.id });
    if (isRefusal(granted) || isRefusal(token)) throw new Error("no administrator");
    return token.text;
  }

  test("a user administrator neither an administrator nor by taking an import back", async () => {
    const token = await admin("USER_ADMIN");
    await admin("SUPER_ADMIN");
    const file = [header, "super_admin@x.co,A,B,thief@x.co,", ann];
    const { rows } = await send(file, "", token);
    expect(rows).toMatchObject([
      { outcome: "refused", reason: expect.stringMatching(/administrator/) },
      { outcome: "create" },
    ]);
    expect((await show("super_admin@x.co")).profile["email"]).toBe("super_admin@x.co");
    const { done } = await send(["login,department", "super_admin@x.co,Board"]);
    expect((await undo(done.id, token)).rows).toMatchObject([{ undone: "left" }]);
    expect((await show("super_admin@x.co")).profile["department"]).toBe("Board");
  });

  test("a custom role only with all of okta.users.manage", () => {
    for (const pattern of ["/admin/v1/users/imports", "/admin/v1/users/imports/:import_id/undo"]) {
      const route = { area: "users", access: "write", method: "POST", pattern } as const;
      expect(permissionsFor(route)).toEqual(["okta.users.manage"]);
    }
  });

  test("help desk and readers nobody at all", async () => {
    for (const role of ["HELP_DESK_ADMIN", "READ_ONLY_ADMIN"]) {
      expect((await send([header, ann], "", await api.tokenOf(role))).status).toBe(403);
    }
  });
});

test("a file of more rows than a transaction holds is done chunk by chunk, each row once", async () => {
  const many = Array.from({ length: 1_203 }, (_, n) => `p${n}@x.co,P,Q,p${n}@x.co,D${n % 7}`);
  const { rows, done } = await send([header, ...many]);
  expect(done.counts).toMatchObject({ create: 1_203, refused: 0 });
  expect(rows.map(({ line }) => line)).toEqual(many.map((_, n) => n + 2));
  const { body } = await api.call("GET", `/admin/v1/users/imports/${done.id}`);
  expect(body).toMatchObject({ status: "DONE", counts: { create: 1_203 }, columns: header.split(",") });
  expect((await undo(done.id)).done.counts).toEqual({ undone: 1_203, partly: 0, left: 0 });
});

describe("an import that is cut off", () => {
  const many = Array.from({ length: 1_100 }, (_, n) => `q${n}@x.co,Q,R,q${n}@x.co,`);
  const wish = { activate: false, dry_run: false, node: "n1", outOfReach: async () => new Map<string, string>() };
  async function begin() {
    const file = path.join(folder, "cut.csv");
    writeFileSync(file, `${[header, ...many].join("\n")}\n`);
    const checked = await checkPeopleFile(db, file, ",");
    if (isRefusal(checked)) throw new Error(checked.refused);
    const pages = importPeople(command(), checked, wish);
    const id = (await pages.next()).value?.id as string;
    await pages.next();
    return { pages, id };
  }
  const world = async () => ({ ...(await testWorld(db)), now: () => new Date() });
  const past = async (id: string) => (await api.call("GET", `/admin/v1/users/imports/${id}`)).body;

  test("keeps what it did, says so, and goes on when the file is sent again", async () => {
    const { pages, id } = await begin();
    await pages.return({ id, counts: { create: 0, update: 0, unchanged: 0, refused: 0 }, reason: null });
    expect(await past(id)).toMatchObject({
      status: "STOPPED",
      counts: { create: 500 },
      reason: expect.stringMatching(/run the file again/),
    });
    expect((await send([header, ...many])).done.counts).toMatchObject({ create: 600, unchanged: 500 });
    expect((await undo(id)).done.counts).toEqual({ undone: 500, partly: 0, left: 0 });
  });

  test("by the end of its node is over once the node is silent, and not before; it goes on with the file, and can be undone", async () => {
    const [here, { pages, id }] = [await world(), await begin()];
    const beat = (ago_s: number) =>
      sql`insert into nodes (id, started_at, seen_at) values ('n1', now(), now() - make_interval(secs => ${ago_s}))
        on conflict (id) do update set seen_at = excluded.seen_at`.execute(db);
    await beat(50);
    await schedule(here);
    expect(await past(id)).toMatchObject({ status: "RUNNING" });
    await beat(61);
    await schedule(here);
    expect(await past(id)).toMatchObject({
      status: "STOPPED",
      counts: { create: 500 },
      reason: expect.stringMatching(/cut off.*run the file again/),
      finished_at: expect.any(String),
    });
    // A node that was only slow writes nothing more of what is over.
    expect(await pages.next()).toMatchObject({ done: true, value: { reason: expect.stringMatching(/cut off/) } });
    expect(await getUser(db, "q600@x.co")).toBeUndefined();
    expect((await undo(id)).done.counts).toEqual({ undone: 500, partly: 0, left: 0 });
  });

  test("and whose node says nothing of itself is given an hour", async () => {
    const [here, { id }] = [await world(), await begin()];
    const age = (minutes: number) =>
      sql`update people_imports set started_at = now() - make_interval(mins => ${minutes})`.execute(db);
    await age(59);
    await schedule(here);
    expect(await past(id)).toMatchObject({ status: "RUNNING" });
    await age(61);
    await schedule(here);
    expect(await past(id)).toMatchObject({ status: "STOPPED" });
  });

  test("by somebody who takes it back writes nobody any more", async () => {
    const { pages, id } = await begin();
    expect((await undo(id)).done.counts).toEqual({ undone: 500, partly: 0, left: 0 });
    expect(await pages.next()).toMatchObject({ done: true, value: { reason: expect.stringMatching(/taken back by/) } });
    expect(await past(id)).toMatchObject({ status: "UNDONE" });
    expect(await getUser(db, "q600@x.co")).toBeUndefined();
  });
});
