import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Facts } from "../../src/core/expression/expression.ts";
import { mapProfile } from "../../src/core/mapping.ts";
import type { Profile } from "../../src/core/types.ts";
import { type App, adoptAppSchema, createApp } from "../../src/directory/apps.ts";
import {
  brokenLines,
  editMapping,
  listMappings,
  loadMappings,
  type Mapping,
  type MappingRefusal,
  mappingOf,
  putMapping,
} from "../../src/directory/mappings.ts";
import type { Database } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import {
  account,
  appAttributes,
  commandAt,
  dirtyUsers,
  granted,
  noon,
  person,
  refused,
  settle,
  tools,
} from "./support.ts";

let db: Database;
let app: App;
let mapping: Mapping;

beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  app = granted(
    await createApp(commandAt(db), { label: "Payroll", kind: "scim", config: { url: "https://pay.example" } }, tools),
  );
  mapping = (await mappingOf(db, app.id, "to_app")) as Mapping;
});
afterEach(() => wipe(db));

const facts = (user: Profile): Facts => ({
  user,
  source: user,
  user_id: "u",
  user_status: "ACTIVE",
  groups: [],
  now: noon,
  time_zone: "UTC",
});

const mapped = async (user: Profile) =>
  mapProfile((await loadMappings(db)).get(app.id)?.to_app ?? [], facts(user), undefined);

describe("a new app's mapping", () => {
  test("fills the attributes whose meaning is beyond doubt, and only those the app has", () => {
    expect(Object.fromEntries(Object.entries(mapping.lines).map(([name, line]) => [name, line.expression]))).toEqual({
      userName: "user.login",
      email: "user.email",
      givenName: "user.firstName",
      displayName: 'user.displayName ?: (user.firstName + " " + user.lastName)',
      department: "user.department",
    });
  });

  test("gives a display name to people who have none, and clears what a person lost", async () => {
    const { profile, errors } = await mapped({
      login: "ada@x.org",
      email: "ada@x.org",
      firstName: "Ada",
      lastName: "Byron",
    });
    expect(errors).toEqual([]);
    expect(profile).toMatchObject({ userName: "ada@x.org", displayName: "Ada Byron", department: null });
  });

  test("there is one each way, and an app adopted twice keeps the lines that people wrote", async () => {
    expect((await listMappings(db, { app_id: app.id })).map((one) => one.direction)).toEqual(["to_app", "to_user"]);
    granted(await editMapping(commandAt(db), mapping.id, { role: { expression: '"clerk"' } }));
    granted(await adoptAppSchema(commandAt(db), app.id, appAttributes));
    expect((await mappingOf(db, app.id, "to_app"))?.lines["role"]?.expression).toBe('"clerk"');
  });
});

describe("editing", () => {
  const cases: [what: string, attribute: string, expression: string, line: number, column: number, says: RegExp][] = [
    ["a syntax error", "role", "user.title +", 1, 13, /ends too early/],
    [
      "an attribute that users do not have, on the second line",
      "role",
      "user.title\n  + user.departmnt",
      2,
      5,
      /department/,
    ],
    ["an attribute that the app does not have", "rol", "user.title", 1, 1, /Did you mean role/],
    ["a list where one value belongs", "role", '{"a", "b"}', 1, 1, /one value/],
    ["one value where a list belongs", "licences", "user.title", 1, 1, /a list/],
  ];
  test.each(cases)("tells %s with attribute, line and column", async (_, attribute, expression, line, column, says) => {
    const answer = refused(
      await editMapping(commandAt(db), mapping.id, { [attribute]: { expression } }),
    ) as MappingRefusal;
    expect(answer).toMatchObject({ code: "invalid", place: attribute });
    expect(answer.problems[0]).toMatchObject({ attribute, line, column });
    expect(answer.refused).toMatch(says);
    expect(answer.refused).toContain(`${attribute}, line ${line}, column ${column}`);
    expect(await mappingOf(db, app.id, "to_app")).toEqual(mapping);
  });

  test("tells all problems of all lines at once, and saves none of them", async () => {
    const answer = refused(
      await editMapping(commandAt(db), mapping.id, {
        role: { expression: "user.nope" },
        email: { expression: "(" },
        department: { expression: "user.title" },
      }),
    ) as MappingRefusal;
    expect(answer.problems.map((problem) => problem.attribute).toSorted()).toEqual(["email", "role"]);
    expect((await mappingOf(db, app.id, "to_app"))?.lines["department"]?.expression).toBe("user.department");
  });

  test("marks everyone with an assigned account as one wave, and nobody else", async () => {
    const ada = await person(db, "ada");
    const bob = await person(db, "bob");
    await account(db, app.id, ada);
    await account(db, app.id, bob, { assigned: false });
    await settle(db);
    granted(await editMapping(commandAt(db), mapping.id, { role: { expression: "user.title" } }));
    expect(await db.selectFrom("dirty").select(["user_id", "priority", "cause"]).execute()).toEqual([
      { user_id: ada, priority: 20, cause: expect.any(Number) },
    ]);
  });

  test("a part of a line may be changed, null takes a line away, and saving the same marks nobody", async () => {
    await account(db, app.id, await person(db, "ada"));
    const command = commandAt(db);
    const edited = granted(await editMapping(command, mapping.id, { department: { push: "create" }, email: null }));
    expect(edited.lines["department"]).toEqual({ expression: "user.department", push: "create", when_empty: "clear" });
    expect(edited.lines).not.toHaveProperty("email");
    await settle(db);
    granted(await editMapping(command, mapping.id, { department: { push: "create" } }));
    expect(await dirtyUsers(db)).toEqual([]);
  });

  test("the mapping back to users reads the account and fills users' attributes", async () => {
    const back = (await mappingOf(db, app.id, "to_user")) as Mapping;
    granted(await editMapping(commandAt(db), back.id, { firstName: { expression: "appuser.givenName" } }));
    expect(refused(await editMapping(commandAt(db), back.id, { role: { expression: "appuser.role" } })).place).toBe(
      "role",
    );
    granted(await putMapping(commandAt(db), app.id, "to_user", { lastName: { expression: "source.displayName" } }));
    expect(Object.keys((await mappingOf(db, app.id, "to_user"))?.lines ?? {})).toEqual(["lastName"]);
  });

  test("source is the user on the way to an app, and properties of the app and company can be read", async () => {
    const expression = 'source.title + " at " + app.label + ", " + org.name';
    granted(await editMapping(commandAt(db), mapping.id, { role: { expression } }));
    const [line] = ((await loadMappings(db)).get(app.id)?.to_app ?? []).filter((one) => one.attribute === "role");
    expect(line?.evaluate({ ...facts({ title: "Clerk" }), app: { label: "Payroll" }, org: { name: "Acme" } })).toEqual({
      value: "Clerk at Payroll, Acme",
    });
  });

  test("another app's accounts are read by that app's name", async () => {
    granted(
      await createApp(
        commandAt(db),
        { label: "HR", name: "hr", kind: "scim", config: { url: "https://hr.example" } },
        tools,
      ),
    );
    granted(await editMapping(commandAt(db), mapping.id, { role: { expression: "hr.role" } }));
    const [line] = ((await loadMappings(db)).get(app.id)?.to_app ?? []).filter((one) => one.attribute === "role");
    expect(line?.reads?.accounts).toEqual({ hr: ["role"] });
  });

  test("a default that does not fit its attribute is refused", async () => {
    const line = { expression: "user.title", when_empty: "default" as const };
    expect(refused(await editMapping(commandAt(db), mapping.id, { role: line })).refused).toContain("give the default");
    expect(refused(await editMapping(commandAt(db), mapping.id, { role: { ...line, default: 7 } })).refused).toContain(
      "role",
    );
    granted(await editMapping(commandAt(db), mapping.id, { role: { ...line, default: "staff" } }));
    expect((await mapped({ login: "x", firstName: "X", lastName: "Y" })).profile["role"]).toBe("staff");
  });
});

describe("loading", () => {
  test("gives the same compiled lines until a mapping or a schema changes", async () => {
    const first = await loadMappings(db);
    expect(await loadMappings(db)).toBe(first);
    granted(await editMapping(commandAt(db), mapping.id, { role: { expression: "user.title" } }));
    expect(await loadMappings(db)).not.toBe(first);
  });

  test("a line whose attribute was removed from the schema fails for that attribute alone and is listed as broken", async () => {
    const without = appAttributes.filter((attribute) => attribute.name !== "department");
    granted(await adoptAppSchema(commandAt(db), app.id, without));
    const { profile, errors } = await mapped({
      login: "ada@x.org",
      firstName: "Ada",
      lastName: "Byron",
      department: "Sales",
    });
    expect(errors).toEqual([{ attribute: "department", message: expect.stringContaining("no attribute department") }]);
    expect(profile).toMatchObject({ userName: "ada@x.org" });
    expect(profile).not.toHaveProperty("department");
    expect(await brokenLines(db)).toMatchObject([{ app_id: app.id, direction: "to_app", attribute: "department" }]);
  });

  test("a broken line does not block mending another one", async () => {
    granted(
      await adoptAppSchema(
        commandAt(db),
        app.id,
        appAttributes.filter(({ name }) => name !== "department"),
      ),
    );
    granted(await editMapping(commandAt(db), mapping.id, { role: { expression: "user.title" } }));
    granted(await editMapping(commandAt(db), mapping.id, { department: null }));
    expect(await brokenLines(db)).toEqual([]);
  });
});
