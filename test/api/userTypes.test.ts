/** Types of people, each with a schema of its own. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/store/database.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";

let db: Database;
let api: TestApi;

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db);
});

const types = "/api/v1/meta/types/user";
const profile = { login: "ann@x.co", email: "ann@x.co", firstName: "Ann", lastName: "Lee" };
const post = async (path: string, body?: unknown) => (await api.call("POST", path, body)).body;
const get = async (path: string) => (await api.call("GET", path)).body;
const causes = (body: { errorCauses: readonly { errorSummary: string }[] }) =>
  body.errorCauses.map(({ errorSummary }) => errorSummary).join("\n");

/** The path of a type's schema. */
const schemaOf = (type: { _links: { schema: { href: string } } }) => new URL(type._links.schema.href).pathname;
const define = (path: string, properties: Readonly<Record<string, unknown>>) =>
  api.call("POST", path, { definitions: { custom: { properties } } });
const customOf = async (path: string) => Object.keys((await get(path)).definitions.custom.properties);

const contractor = () => post(types, { name: "contractor", displayName: "Contractor", description: "From outside" });
const text = (title: string, more = {}) => ({ title, type: "string", ...more });

describe("types", () => {
  test("the default one is there, and a new one has the base attributes and nothing else", async () => {
    const made = await contractor();
    expect(made).toMatchObject({ name: "contractor", displayName: "Contractor", default: false });
    expect((await get(types)).map((type: { name: string }) => type.name)).toEqual(["user", "contractor"]);
    const schema = await get(schemaOf(made));
    expect([schema.name, schema.title]).toEqual(["contractor", "Contractor"]);
    expect(Object.keys(schema.definitions.base.properties)).toHaveLength(31);
    expect(schema.definitions.custom.properties).toEqual({});
    expect(schema._links.type.href).toBe(made._links.self.href);
  });

  test("POST changes what is said, PUT replaces it, and the name stays", async () => {
    const { id } = await contractor();
    expect(await post(`${types}/${id}`, { displayName: "Externals" })).toMatchObject({
      displayName: "Externals",
      description: "From outside",
    });
    const replaced = (await api.call("PUT", `${types}/${id}`, { name: "contractor", displayName: "X" })).body;
    expect([replaced.displayName, replaced.description]).toEqual(["X", null]);
    const renamed = await api.call("POST", `${types}/${id}`, { name: "other" });
    expect([renamed.status, causes(renamed.body)]).toEqual([400, expect.stringContaining("is fixed")]);
  });

  test.each([
    ["a name that is taken", { name: "Contractor", displayName: "x" }, "already"],
    ["a name with spaces", { name: "a b", displayName: "x" }, "letters, digits and _"],
    ["no displayName", { name: "x" }, "displayName"],
  ])("%s is refused", async (_what, body, words) => {
    await contractor();
    const refused = await api.call("POST", types, body);
    expect([refused.status, refused.body.errorCode]).toEqual([400, "E0000001"]);
    expect(causes(refused.body)).toContain(words);
  });

  test("the default type and one that somebody has stay; an unknown one is 404", async () => {
    const { id } = await contractor();
    await post("/api/v1/users", { profile, type: { id } });
    const refused = await api.call("DELETE", `${types}/${id}`);
    expect([refused.status, causes(refused.body)]).toEqual([400, expect.stringContaining("ann@x.co")]);
    expect((await api.call("DELETE", `${types}/default`)).status).toBe(400);
    const unknown = await api.call("DELETE", `${types}/otynobody`);
    expect([unknown.status, unknown.body.errorSummary]).toEqual([404, expect.stringContaining("(CVDType)")]);
  });
});

describe("schemas of types", () => {
  test("an attribute of one type is no other's, until the other takes it", async () => {
    const mine = schemaOf(await contractor());
    const theirs = "/api/v1/meta/schemas/user/default";
    await define(mine, { agency: text("Agency") });
    await define(theirs, { badge: text("Badge") });
    expect([await customOf(mine), await customOf(theirs)]).toEqual([["agency"], ["badge"]]);
    await define(mine, { badge: text("Badge") });
    expect([await customOf(mine), await customOf(theirs)]).toEqual([["agency", "badge"], ["badge"]]);
  });

  test("one name means one thing: another type cannot make it a number", async () => {
    const mine = schemaOf(await contractor());
    await define("/api/v1/meta/schemas/user/default", { badge: text("Badge") });
    const refused = await define(mine, { badge: { title: "Badge", type: "number" } });
    expect([refused.status, causes(refused.body)]).toEqual([400, expect.stringContaining("its type is fixed")]);
  });

  test("taken from one type, an attribute goes from its people only; from the last, for good", async () => {
    const type = await contractor();
    const [mine, theirs] = [schemaOf(type), "/api/v1/meta/schemas/user/default"];
    await define(theirs, { badge: text("Badge") });
    await define(mine, { badge: text("Badge") });
    const insider = await post("/api/v1/users", { profile: { ...profile, badge: "1" } });
    const outsider = { ...profile, login: "bob@x.co", email: "bob@x.co", badge: "2" };
    const { id } = await post("/api/v1/users", { profile: outsider, type: { id: type.id } });
    await define(mine, { badge: null });
    const badge = async (user_id: string) => (await get(`/api/v1/users/${user_id}`)).profile.badge;
    expect([await badge(insider.id), await badge(id)]).toEqual(["1", undefined]);
    await define(theirs, { badge: null });
    expect([await badge(insider.id), await customOf(theirs)]).toEqual([undefined, []]);
  });

  test("a schema that is not there is 404", async () => {
    expect((await api.call("GET", "/api/v1/meta/schemas/user/osc0000000000000none")).status).toBe(404);
  });
});

describe("people of a type", () => {
  test("have its attributes and no others, show it, link to it, and are found by it", async () => {
    const type = await contractor();
    await define(schemaOf(type), { agency: text("Agency", { required: true }) });
    const without = await api.call("POST", "/api/v1/users", { profile, type: { id: type.id } });
    expect([without.status, causes(without.body)]).toEqual([400, expect.stringContaining("agency: is required")]);
    const foreign = await api.call("POST", "/api/v1/users", { profile: { ...profile, agency: "A" } });
    expect([foreign.status, causes(foreign.body)]).toEqual([400, expect.stringContaining("agency")]);
    const user = await post("/api/v1/users", { profile: { ...profile, agency: "A" }, type: { id: type.id } });
    expect(user.type).toEqual({ id: type.id });
    expect(user._links.schema.href).toBe(type._links.schema.href);
    expect(await get(`/api/v1/users/${user.id}`)).toEqual(user);
    const found = await get(`/api/v1/users?search=${encodeURIComponent(`type.id eq "${type.id}"`)}`);
    expect(found.map((one: { id: string }) => one.id)).toEqual([user.id]);
  });

  test("change it: what the other type lacks goes, what it requires must be given", async () => {
    const type = await contractor();
    await define(schemaOf(type), { agency: text("Agency", { required: true }) });
    await define("/api/v1/meta/schemas/user/default", { badge: text("Badge") });
    const { id } = await post("/api/v1/users", { profile: { ...profile, badge: "7" } });
    const bare = await api.call("POST", `/api/v1/users/${id}`, { type: { id: type.id } });
    expect([bare.status, causes(bare.body)]).toEqual([400, expect.stringContaining("agency: is required")]);
    const moved = await post(`/api/v1/users/${id}`, { type: { id: type.id }, profile: { agency: "A" } });
    expect([moved.type.id, moved.profile.agency, moved.profile.badge]).toEqual([type.id, "A", undefined]);
    const back = await post(`/api/v1/users/${id}`, { type: { id: "oty0000000000default" } });
    expect([back.type.id, back.profile.agency]).toEqual(["oty0000000000default", undefined]);
  });

  test("cannot have a type that is not there", async () => {
    const refused = await api.call("POST", "/api/v1/users", { profile, type: { id: "oty000000000000nobody" } });
    expect([refused.status, refused.body.errorSummary]).toEqual([400, "Api validation failed: type.id"]);
  });

  test("a taken login is said in Okta's words first, and then whose it is", async () => {
    await post("/api/v1/users", { profile });
    const refused = await api.call("POST", "/api/v1/users", { profile: { ...profile, login: "ANN@x.co" } });
    expect(refused.body.errorCauses[0].errorSummary).toBe(
      "login: An object with this field already exists in the current organization",
    );
    expect(refused.body.errorCauses[1].errorSummary).toContain("ann@x.co exists already");
  });
});
