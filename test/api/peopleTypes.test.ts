/** Types of people from a file, through HTTP: whom it makes of which type, and what it refuses. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { mappingOf, putMapping } from "../../src/directory/mappings.ts";
import type { Database } from "../../src/store/database.ts";
import { hrSource, linesOf, rowOf } from "../engine/hr.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { postFile } from "../support/fileAnswer.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { must, testWorld } from "../support/world.ts";

let db: Database;
let api: TestApi;
const folder = mkdtempSync(path.join(tmpdir(), "tenure-types-"));
beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(async () => {
  await db.destroy();
  rmSync(folder, { recursive: true, force: true });
});
let type: string;
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db, { import_folder: folder });
  const made = await api.call("POST", "/api/v1/meta/types/user", { name: "contractor", displayName: "Contractor" });
  type = made.body.id;
  const properties = { agency: { title: "Agency", type: "string", required: true } };
  const schema = `/api/v1/meta/schemas/user/osc${type.slice(3)}`;
  const defined = await api.call("POST", schema, { definitions: { custom: { properties, required: ["agency"] } } });
  expect(defined.status).toBe(200);
});

const send = (lines: readonly string[], query = "") =>
  postFile(api, `/admin/v1/users/imports${query}`, `${lines.join("\n")}\n`);
const header = "login,firstName,lastName,email,type,agency";
const row = (name: string, of: string, agency = "") => `${name}@x.co,${name},Lee,${name}@x.co,${of},${agency}`;
const typeOf = async (login: string) => (await api.call("GET", `/api/v1/users/${login}`)).body.type?.id;
const told = async (lines: readonly string[], query = "") =>
  (await send([header, ...lines], query)).rows.map(({ outcome, reason }) =>
    reason === undefined ? outcome : [outcome, reason],
  );

test("a column says of which type a new person is, also in a dry run; without a word it is the default one", async () => {
  const lines = [row("ann", "Contractor", "Temps"), row("ben", ""), row("cy", type, "Temps"), row("di", "user")];
  expect(await told(lines, "?dry_run=true")).toEqual(["create", "create", "create", "create"]);
  expect(await told(lines)).toEqual(["create", "create", "create", "create"]);
  const standard = await typeOf("ben@x.co");
  expect([await typeOf("ann@x.co"), await typeOf("cy@x.co"), await typeOf("di@x.co")]).toEqual([type, type, standard]);
  expect(standard).not.toBe(type);
  expect(await told(lines)).toEqual(["unchanged", "unchanged", "unchanged", "unchanged"]);
});

test("an unknown type refuses the row with those that there are, and a type is required what it requires", async () => {
  expect(await told([row("ann", "intern"), row("ben", "contractor"), row("cy", "", "Temps"), row("di", "")])).toEqual([
    ["refused", 'type: there is no type of people "intern": use user, contractor'],
    ["refused", expect.stringMatching(/agency/)],
    ["refused", expect.stringMatching(/agency/)],
    "create",
  ]);
});

test("nobody's type is changed by a file, and the other rows are done", async () => {
  await told([row("ann", "contractor", "Temps"), row("ben", "")]);
  expect(await told([row("ann", "user", "Temps"), row("ben", "contractor")])).toEqual([
    ["refused", expect.stringMatching(/^type: is contractor, and a file changes nobody's type/)],
    ["refused", expect.stringMatching(/^type: is user/)],
  ]);
  expect(await told([row("ann", "contractor", "Other"), row("ben", "")])).toEqual(["update", "unchanged"]);
});

test("a source names the type of a new person, an unknown one refuses the row, and who is there keeps theirs", async () => {
  const world = await testWorld(db, { prepared: true });
  const hr = await hrSource(world, { type_attribute: "type" }, "HR", true);
  const lines = (await mappingOf(db, hr.app_id, "to_user"))?.lines ?? {};
  const agency = { expression: "appuser.unit", push: "always", when_empty: "clear" } as const;
  await must(putMapping(world.command, hr.app_id, "to_user", { ...lines, agency }));
  const rows = [
    rowOf("1", "Ann", "Lee", { type: "contractor", unit: "Temps" }),
    rowOf("2", "Ben", "Ray"),
    rowOf("3", "Cy", "Fox", { type: "intern" }),
    rowOf("4", "Di", "Ost", { type: "contractor" }),
  ];
  expect((await hr.run(rows, { dry_run: true })).counts).toEqual({ create: 2, refused: 2 });
  const done = await hr.run(rows);
  expect(done.counts).toEqual({ created: 2, refused: 2 });
  const reasons = (await linesOf(world, done.id)).flatMap(({ detail }) => detail?.reason ?? []);
  expect(reasons).toEqual([
    expect.stringMatching(/there is no type of people "intern": use user, contractor/),
    expect.stringMatching(/agency|required/),
  ]);
  expect([await typeOf("ann.lee@example.com"), (await typeOf("ben.ray@example.com")) === type]).toEqual([type, false]);
  const [ann, ben] = [
    { ...rows[0], type: "user", department: "Mills" },
    { ...rows[1], department: "Mills" },
  ];
  expect((await hr.run([ann, ben])).counts).toEqual({ updated: 2 });
  expect(await typeOf("ann.lee@example.com")).toBe(type);
});
