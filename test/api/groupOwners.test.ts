/** Owners of groups, and connections between apps: kept once, listed, ended, and gone with what they name. */
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

const create = async (path: string, body: unknown = {}) => (await api.call("POST", path, body)).body;
const read = async (path: string) => (await api.call("GET", path)).body;
const newGroup = async (name: string) => (await create("/api/v1/groups", { profile: { name } })).id as string;
const newUser = async (name: string) => {
  const login = `${name}@x.co`;
  const profile = { login, email: login, firstName: name, lastName: "Lee" };
  return (await create("/api/v1/users?activate=false", { profile })).id as string;
};

describe("owners", () => {
  test("people and groups own a group once each, in Okta's form, until they are taken away", async () => {
    const [group, board, ann] = [await newGroup("Sales"), await newGroup("Board"), await newUser("ann")];
    const url = `/api/v1/groups/${group}/owners`;
    const made = await api.call("POST", url, { id: ann, type: "USER" });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      ...{ id: ann, type: "USER", resolved: true, originId: null, originType: "OKTA_DIRECTORY" },
      displayName: "ann Lee",
    });
    expect((await create(url, { id: board, type: "GROUP" })).displayName).toBe("Board");
    const again = await api.call("POST", url, { id: ann, type: "USER" });
    expect([again.status, again.body.errorSummary, again.body.errorCauses[0].errorSummary]).toEqual([
      ...[400, "Api validation failed: owner", "Provided owner is already assigned to this group"],
    ]);
    const ids = (await read(url)).map(({ id }: { id: string }) => id);
    expect(ids.sort()).toEqual([ann, board].sort());
    expect((await api.call("GET", `${url}?limit=1`)).next).toContain("after=");
    expect((await api.call("DELETE", `${url}/${ann}`)).status).toBe(204);
    expect((await api.call("DELETE", `${url}/${ann}`)).body.errorSummary).toBe(
      `Not found: Resource not found: ${ann} (LinkedObject)`,
    );
    expect((await api.call("DELETE", `/api/v1/groups/${board}`)).status).toBe(204);
    expect(await read(url)).toEqual([]);
  });

  test("an owner must be there, and be what it is said to be", async () => {
    const [group, board] = [await newGroup("Sales"), await newGroup("Board")];
    const url = `/api/v1/groups/${group}/owners`;
    expect((await create(url, { id: board, type: "USER" })).errorSummary).toBe(
      `Not found: Resource not found: ${board} (User)`,
    );
    expect((await api.call("POST", url, { id: await newUser("ann"), type: "GROUP" })).status).toBe(404);
    expect((await api.call("POST", url, { id: board, type: "ROBOT" })).status).toBe(400);
  });
});

describe("connections between apps", () => {
  test("an app is connected to another once, switched, and let go", async () => {
    const [one, two] = await Promise.all(
      ["One", "Two"].map(async (label) => (await create("/api/v1/apps", { name: "bookmark", label })).id as string),
    );
    const url = `/api/v1/apps/${one}/cwo/connections`;
    const made = await api.call("POST", url, { resourceAppInstanceId: two });
    expect([made.status, made.body.status]).toEqual([201, "ACTIVE"]);
    expect((await api.call("POST", url, { resourceAppInstanceId: two })).status).toBe(400);
    expect((await api.call("POST", url, { resourceAppInstanceId: "0oa0000000000none001" })).status).toBe(404);
    expect((await api.call("PATCH", `${url}/${made.body.id}`, { status: "INACTIVE" })).body.status).toBe("INACTIVE");
    expect(await read(url)).toHaveLength(1);
    expect((await api.call("DELETE", `${url}/${made.body.id}`)).status).toBe(204);
    expect((await api.call("GET", `${url}/${made.body.id}`)).body.errorSummary).toContain("(Connection)");
  });
});
