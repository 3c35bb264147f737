/** Features in Okta's form: those of this installation, and Okta's own, which are kept for clients that set them. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { okta_features } from "../../src/core/oktaFeatures.ts";
import { type Database, sql } from "../../src/store/database.ts";
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

const url = "/api/v1/features";

test("every feature has an id in Okta's form and a setting of its own, and is found by what the list says of it", async () => {
  const list = (await api.call("GET", url)).body;
  const ids = list.map(({ id }: { id: string }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(new Set(okta_features.map(({ setting }) => setting)).size).toBe(okta_features.length);
  for (const one of list) {
    expect(one.id).toMatch(/^ftr[0-9A-Za-z]{17}$/);
    const { pathname } = new URL(one._links.self.href);
    expect((await api.call("GET", pathname)).body).toEqual(one);
  }
  expect((await api.call("GET", `${url}/ftrNothingOfThisName`)).status).toBe(404);
});

test.each(["ftrORSUCHOzlLVkgi5is", "ftrIdleTokensExpired"])("%s is on or off as it was last turned", async (id) => {
  const stateOf = async () => (await api.call("GET", `${url}/${id}`)).body.status;
  expect(await stateOf()).toBe("DISABLED");
  const on = await api.call("POST", `${url}/${id}/ENABLE?mode=force`);
  expect([on.status, on.body.status, Object.keys(on.body._links)]).toEqual([
    200,
    "ENABLED",
    expect.arrayContaining(["disable"]),
  ]);
  expect(await stateOf()).toBe("ENABLED");
  const listed = (await api.call("GET", url)).body.find((one: { id: string }) => one.id === id);
  expect(listed.status).toBe("ENABLED");
  expect((await api.call("POST", `${url}/${id}/disable`)).body.status).toBe("DISABLED");
  expect((await api.call("POST", `${url}/${id}/toggle`)).status).toBe(400);
  for (const what of ["dependencies", "dependents"]) {
    expect((await api.call("GET", `${url}/${id}/${what}`)).body).toEqual([]);
  }
  const { rows } = await sql`select 1 from events where type = 'system.setting.update'`.execute(db);
  expect(rows).toHaveLength(2);
});
