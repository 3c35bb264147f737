/** The frame of the API: who may, how errors look, how pages go on, and what hostile requests get. */
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

const person = (n: number) => ({
  profile: { login: `p${n}@x.co`, email: `p${n}@x.co`, firstName: `F${n}`, lastName: "L" },
});

describe("a request without a valid token is refused in Okta's form", () => {
  test.each([
    ["none at all", {}],
    ["an unknown one", { authorization: "SSWS 0123456789012345678901234567890123456789" }],
    ["another scheme", { authorization: "Basic Zm9vOmJhcg==" }],
    ["a scheme without a token", { authorization: "SSWS" }],
    ["too many words", { authorization: "SSWS a b" }],
  ])("%s", async (_name, headers) => {
    const answer = await api.server.inject({ url: "/api/v1/users", headers });
    expect(answer.statusCode).toBe(401);
    expect(answer.json()).toEqual({
      errorCode: "E0000011",
      errorSummary: "Invalid token provided",
      errorLink: "E0000011",
      errorId: expect.stringMatching(/^oae/),
      errorCauses: [],
    });
  });

  test("Bearer is as good as SSWS", async () => {
    const answer = await api.server.inject({ url: "/api/v1/users", headers: { authorization: `Bearer ${api.token}` } });
    expect(answer.statusCode).toBe(200);
  });
});

describe("a role may change its own areas and nothing else", () => {
  test.each([
    ["READ_ONLY_ADMIN", "GET", "/api/v1/users", 200],
    ["READ_ONLY_ADMIN", "POST", "/api/v1/users", 403],
    ["USER_ADMIN", "POST", "/api/v1/users", 200],
    ["USER_ADMIN", "POST", "/api/v1/apps", 403],
    ["APP_ADMIN", "POST", "/api/v1/apps", 200],
    ["APP_ADMIN", "POST", "/admin/v1/tokens", 403],
    ["ORG_ADMIN", "POST", "/admin/v1/tokens", 403],
    ["HELP_DESK_ADMIN", "POST", "/api/v1/users", 403],
    ["GROUP_MEMBERSHIP_ADMIN", "POST", "/api/v1/groups", 403],
  ])("%s: %s %s gives %i", async (role, method, path, status) => {
    const bodies: Record<string, unknown> = {
      "/api/v1/users": person(1),
      "/api/v1/apps": { label: "A", name: "bookmark" },
    };
    const answer = await api.call(
      method,
      path,
      method === "GET" ? undefined : (bodies[path] ?? { name: "x" }),
      await api.tokenOf(role),
    );
    expect(answer.status).toBe(status);
    if (status === 403) expect(answer.body.errorCode).toBe("E0000006");
  });

  test("a source's token reads nothing and writes only its own app's imports", async () => {
    const app = (await api.call("POST", "/api/v1/apps", { label: "HR", name: "manual" })).body;
    const other = (await api.call("POST", "/api/v1/apps", { label: "Other", name: "manual" })).body;
    const token = await api.tokenOf(`SOURCE:${app.id}`);
    expect((await api.call("GET", "/api/v1/users", undefined, token)).status).toBe(403);
    expect((await api.call("POST", `/admin/v1/apps/${other.id}/imports`, undefined, token)).status).toBe(403);
    // Allowed, and refused only because the app is no source yet.
    expect((await api.call("POST", `/admin/v1/apps/${app.id}/imports`, undefined, token)).status).toBe(400);
  });
});

describe("what is not understood is refused in Okta's form", () => {
  test.each([
    ["an unknown path", "GET", "/api/v1/nothing", undefined, 404, "E0000008"],
    ["a wrong method", "PATCH", "/api/v1/users", {}, 405, "E0000022"],
    ["an unknown user", "GET", "/api/v1/users/nobody", undefined, 404, "E0000007"],
    ["broken JSON", "POST", "/api/v1/users", "{", 400, "E0000003"],
    ["a list for an object", "POST", "/api/v1/users", [], 400, "E0000003"],
    ["a prototype", "POST", "/api/v1/users", '{"__proto__":{"a":1}}', 400, "E0000003"],
    [
      "a nested constructor",
      "POST",
      "/api/v1/users",
      '{"profile":{"constructor":{"prototype":{"a":1}}}}',
      400,
      "E0000003",
    ],
    ["a wrong field", "POST", "/api/v1/users", { profile: 3 }, 400, "E0000001"],
    ["a wrong limit", "GET", "/api/v1/users?limit=many", undefined, 400, "E0000001"],
    ["a wrong search", "GET", "/api/v1/users?search=x", undefined, 400, "E0000031"],
    ["a wrong cursor", "GET", "/api/v1/logs?after=x", undefined, 400, "E0000029"],
    ["a broken address", "GET", "/api/v1/users/%zz", undefined, 400, "E0000003"],
  ])("%s", async (_name, method, path, body, status, code) => {
    const answer = await api.call(method, path, body);
    expect([answer.status, answer.body.errorCode]).toEqual([status, code]);
    expect(answer.body.errorLink).toBe(code);
    expect(Array.isArray(answer.body.errorCauses)).toBe(true);
    expect(({} as Record<string, unknown>)["a"]).toBeUndefined();
  });

  test.each([
    ["GET", "/api/v1/users?limit=many", undefined, "limit: must be a number, not what is given"],
    ["GET", "/api/v1/users?limit=0", undefined, "limit: must be at least 1"],
    ["POST", "/api/v1/users", [], "The body must be an object, not a list"],
    ["POST", "/api/v1/users", { profile: "Ada" }, "profile: must be an object, not a text"],
    ["POST", "/api/v1/groups/rules", { type: "group_rule" }, "name: is missing"],
    ["POST", "/api/v1/users?activate=perhaps", person(1), 'activate: must be "true" or "false"'],
  ])("%s %s with %j says in plain words what is wrong", async (method, path, body, words) => {
    const answer = await api.call(method as "GET", path, body);
    expect(answer.status).toBe(400);
    expect(answer.body.errorCauses.map((cause: { errorSummary: string }) => cause.errorSummary)).toContain(words);
  });

  test("another content type is E0000019, and a body that is too large is refused before it is read", async () => {
    const headers = { authorization: `SSWS ${api.token}` };
    const xml = await api.server.inject({
      method: "POST",
      url: "/api/v1/users",
      headers: { ...headers, "content-type": "text/xml" },
      payload: "<a/>",
    });
    expect([xml.statusCode, xml.json().errorCode]).toEqual([400, "E0000019"]);
    const large = await api.server.inject({
      method: "POST",
      url: "/api/v1/users",
      headers: { ...headers, "content-type": "application/json" },
      payload: `"${"x".repeat(11 * 1024 * 1024)}"`,
    });
    expect(large.statusCode).toBe(413);
  });

  test("an error nobody foresaw tells the client its id and nothing else", async () => {
    const told: string[] = [];
    const failing = await testApi(db, { onError: (line) => told.push(line) });
    await db.schema.alterTable("groups").renameTo("groups_gone").execute();
    try {
      const answer = await failing.call("GET", "/api/v1/groups");
      expect([answer.status, answer.body.errorCode, answer.body.errorCauses]).toEqual([500, "E0000009", []]);
      expect(told.at(-1)).toContain(`request ${answer.headers["x-okta-request-id"]}, error ${answer.body.errorId}`);
      expect(JSON.stringify(answer.body)).not.toContain("groups_gone");
      expect(told[0]).toContain(answer.body.errorId);
    } finally {
      await db.schema.alterTable("groups_gone").renameTo("groups").execute();
    }
  });
});

describe("every answer carries what Okta's clients look for", () => {
  test("a request id, no caching, and the rate that is left", async () => {
    const limited = await testApi(db, { rate_limit: 3 });
    const first = await limited.call("GET", "/api/v1/groups");
    expect(first.headers["x-okta-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(first.headers["cache-control"]).toBe("no-store");
    expect(first.headers["x-rate-limit-limit"]).toBe("3");
    await limited.call("GET", "/api/v1/groups");
    await limited.call("GET", "/api/v1/groups");
    const fourth = await limited.call("GET", "/api/v1/groups");
    expect([fourth.status, fourth.body.errorCode, fourth.headers["x-rate-limit-remaining"]]).toEqual([
      429,
      "E0000047",
      "0",
    ]);
    expect(Number(fourth.headers["x-rate-limit-reset"]) * 1000).toBeGreaterThan(Date.now() - 1000);
    // Probes are never refused.
    expect((await limited.call("GET", "/healthz", undefined, "")).status).toBe(200);
  });
});

describe("pages", () => {
  test("every item comes once, in order, and the last page has no next link", async () => {
    for (let n = 0; n < 7; n++) await api.call("POST", "/api/v1/users", person(n));
    const seen: string[] = [];
    let pages = 0;
    for (let path: string | undefined = "/api/v1/users?limit=3"; path !== undefined; ) {
      const answer = await api.call("GET", path);
      expect(answer.body.length).toBeGreaterThan(0);
      seen.push(...answer.body.map((user: { profile: { login: string } }) => user.profile.login));
      path = answer.next;
      pages++;
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6].map((n) => `p${n}@x.co`));
    expect(pages).toBe(3);
  });

  test("a page that ends exactly with the last item has no next link", async () => {
    for (let n = 0; n < 4; n++) await api.call("POST", "/api/v1/users", person(n));
    const second = await api.call("GET", (await api.call("GET", "/api/v1/users?limit=2")).next ?? "");
    expect([second.body.length, second.next]).toEqual([2, undefined]);
  });

  test("the links carry the other parameters and the host that was asked", async () => {
    for (let n = 0; n < 3; n++) await api.call("POST", "/api/v1/users", person(n));
    const query = `search=${encodeURIComponent('profile.lastName eq "l"')}&sortBy=profile.login&sortOrder=desc&limit=2`;
    const first = await api.call("GET", `/api/v1/users?${query}`);
    expect(first.next).toContain("sortOrder=desc");
    const second = await api.call("GET", first.next ?? "");
    const logins = [...first.body, ...second.body].map((user: { profile: { login: string } }) => user.profile.login);
    expect(logins).toEqual(["p2@x.co", "p1@x.co", "p0@x.co"]);
  });

  test("a script that changes what it pages over, sorted, sees everybody once, also whoever has no value", async () => {
    const titles = ["b", null, "a", "B", "c", null, "a"];
    for (const [n, title] of titles.entries()) {
      const { profile } = person(n);
      await api.call("POST", "/api/v1/users", { profile: { ...profile, ...(title === null ? {} : { title }) } });
    }
    const walk = async (sortBy: string, sortOrder: string, change: (id: string) => Promise<unknown>) => {
      const seen: string[] = [];
      const query = `search=${encodeURIComponent('profile.lastName eq "l"')}&sortBy=${sortBy}&sortOrder=${sortOrder}`;
      for (let path: string | undefined = `/api/v1/users?${query}&limit=2`; path !== undefined; ) {
        const answer = await api.call("GET", path);
        seen.push(...answer.body.map((user: { profile: { login: string } }) => user.profile.login.slice(0, 2)));
        for (const { id } of answer.body) await change(id);
        path = answer.next;
      }
      return seen;
    };
    const nothing = async () => {};
    expect(await walk("profile.title", "asc", nothing)).toEqual(["p2", "p6", "p0", "p3", "p4", "p1", "p5"]);
    expect(await walk("profile.title", "DESC", nothing)).toEqual(["p4", "p0", "p3", "p2", "p6", "p1", "p5"]);
    expect(await walk("created", "asc", nothing)).toEqual(["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    expect(await walk("created", "desc", nothing)).toEqual(["p6", "p5", "p4", "p3", "p2", "p1", "p0"]);
    // Each page is gone from the list when the next one is asked for.
    const rename = (id: string) => api.call("POST", `/api/v1/users/${id}`, { profile: { lastName: "other" } });
    expect(await walk("profile.title", "asc", rename)).toEqual(["p2", "p6", "p0", "p3", "p4", "p1", "p5"]);
  });

  test("a sorted list refuses an order that is none, and a place that is none of its own", async () => {
    const sorted = `search=${encodeURIComponent('status eq "ACTIVE"')}&sortBy=created`;
    const wrong = await api.call("GET", `/api/v1/users?${sorted}&sortOrder=NOPE`);
    expect([wrong.status, wrong.body.errorCauses[0].errorSummary]).toEqual([
      400,
      'sortOrder: "NOPE" is no order; use asc or desc',
    ]);
    const coded = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString("base64url");
    const place = (value: unknown, id: unknown) => coded("s", "created asc", value, id);
    const id = "00u00000000000000001";
    const places = [coded(200), place("2026-13-01", id), place("1'; drop table users --", id), place("1e999", id)];
    const others = [coded("s", "created desc", "1.5", id), coded("s", "lastUpdated asc", "1.5", id)];
    for (const after of [...places, ...others, place("1", "x"), place(1, id), coded("s", "1.5", id), "nonsense"]) {
      const answer = await api.call("GET", `/api/v1/users?${sorted}&after=${after}`);
      expect([answer.status, after]).toEqual([400, after]);
    }
    expect((await api.call("GET", `/api/v1/users?${sorted}&after=${place("1.5", id)}`)).status).toBe(200);
  });

  test.each(["users", "groups", "logs"])("an order that is none is refused of /%s, sorted or not", async (list) => {
    const wrong = await api.call("GET", `/api/v1/${list}?sortOrder=up`);
    expect([wrong.status, wrong.body.errorCauses?.[0].errorSummary]).toEqual([
      400,
      'sortOrder: "up" is no order; use asc or desc',
    ]);
    for (const order of ["asc", "DESCENDING"])
      expect((await api.call("GET", `/api/v1/${list}?sortOrder=${order}`)).status).toBe(200);
  });

  test("groups, sorted, go on behind the last one too", async () => {
    for (const name of ["Beta", "alpha", "Gamma"]) await api.call("POST", "/api/v1/groups", { profile: { name } });
    const first = await api.call("GET", "/api/v1/groups?sortBy=profile.name&limit=2");
    const second = await api.call("GET", first.next ?? "");
    const names = [...first.body, ...second.body].map((group: { profile: { name: string } }) => group.profile.name);
    expect(names).toEqual(["alpha", "Beta", "Everyone", "Gamma"]);
    expect(first.body[0]).not.toHaveProperty("sort_value");
  });
});

describe("for machines that watch", () => {
  test("health, readiness, metrics, the API's description and its page are public", async () => {
    for (const path of ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"]) {
      expect((await api.call("GET", path, undefined, "")).status, path).toBe(200);
    }
    const spec = (await api.call("GET", "/openapi.json")).body;
    expect(spec.openapi).toBe("3.1.0");
    expect(Object.keys(spec.paths).length).toBeGreaterThan(80);
    expect(spec.paths["/api/v1/users/{user_id}"].get.summary).toBe("Read a person");
    expect((await api.call("GET", "/metrics")).body).toContain("tenure_dirty_users 0");
  });

  test("a database without our tables is not ready, and says so", async () => {
    await db.schema.alterTable("clock").renameTo("clock_gone").execute();
    try {
      const answer = await api.call("GET", "/readyz", undefined, "");
      expect([answer.status, answer.body.reason]).toEqual([503, "the database has not been migrated yet"]);
    } finally {
      await db.schema.alterTable("clock_gone").renameTo("clock").execute();
    }
  });
});
