/** Reading people fast: text that the database wrote is the body all the same, and what is remembered is never stale. */
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { userStatuses } from "../../src/core/lifecycle.ts";
import { getUser, showUser } from "../../src/directory/userQueries.ts";
import { newMemory } from "../../src/server/memory.ts";
import { shown_names, userBody, userText } from "../../src/server/okta/userBody.ts";
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

describe("a person as text", () => {
  const word = fc.constantFrom("ann@x.co", "", "Žižek 😀", 'a "b"\\n', "(id)", null);
  const at = fc.constantFrom(null, "2026-03-02T09:00:00Z", "2026-03-02T09:00:00.25Z", "2026-12-31T23:59:59.123999+05");
  const anyone = fc.record({
    status: fc.constantFrom(...userStatuses),
    profile: fc.dictionary(fc.constantFrom(...shown_names, "title", "tags"), fc.oneof(word, fc.array(word))),
    credentials: fc.constantFrom({}, { password_hash: "x" }, { recovery_question: 'Who "?"', provider: { type: "A" } }),
    times: fc.tuple(at, at, at, at),
  });

  test("is what the body is, whoever it is", async () => {
    await fc.assert(
      fc.asyncProperty(anyone, async ({ status, profile, credentials, times }) => {
        const { rows } = await sql<{ id: string }>`
          insert into users (status, profile, credentials, activated_at, status_changed_at, last_login_at, password_changed_at)
          values (${status}, ${JSON.stringify({ ...profile, login: "l@x.co" })}::jsonb, ${JSON.stringify(credentials)}::jsonb,
            ${times[0]}::timestamptz, ${times[1]}::timestamptz, ${times[2]}::timestamptz, ${times[3]}::timestamptz)
          on conflict (login) do update set status = excluded.status, profile = excluded.profile,
            credentials = excluded.credentials, activated_at = excluded.activated_at,
            status_changed_at = excluded.status_changed_at, last_login_at = excluded.last_login_at,
            password_changed_at = excluded.password_changed_at
          returning id`.execute(db);
        const { id } = rows[0]!;
        const [stored, seen] = [(await getUser(db, id))!, (await showUser(db, id, shown_names))!];
        for (const which of ["all", "self"] as const) {
          const body = userBody(stored, "https://t.example", which);
          const text = userText(seen, "https://t.example", which);
          expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(body)));
        }
      }),
      { numRuns: 200 },
    );
  });

  test("has all links when it is read, and in lists only its own, as Okta's lists have", async () => {
    const made = await api.call("POST", "/api/v1/users", {
      profile: { login: "ann@x.co", email: "ann@x.co", firstName: "Ann", lastName: "X" },
    });
    const self = { self: { href: `http://tenure.test/api/v1/users/${made.body.id}` } };
    const [group] = (await api.call("GET", "/api/v1/groups?q=Everyone")).body;
    expect(Object.keys((await api.call("GET", "/api/v1/users/ann@x.co")).body._links)).toContain("deactivate");
    for (const list of ["users", 'users?search=profile.login eq "ann@x.co"', `groups/${group.id}/users`]) {
      const { body } = await api.call("GET", `/api/v1/${encodeURI(list)}`);
      expect(body.map((one: { _links: unknown }) => one._links)).toEqual([self]);
    }
  });

  test("pages of any size are JSON, whatever is in them", async () => {
    const profiles = Array.from({ length: 300 }, (_, n) => ({ login: `p${n}@x.co`, firstName: "Ż".repeat(n * 9) }));
    await sql`
      insert into users (status, profile) select 'ACTIVE', p from jsonb_array_elements(${JSON.stringify(profiles)}::jsonb) p`.execute(
      db,
    );
    const logins: string[] = [];
    for (let path: string | undefined = "/api/v1/users?limit=200"; path !== undefined; ) {
      const { body, next } = await api.call("GET", path);
      logins.push(...body.map((user: { profile: { login: string } }) => user.profile.login));
      path = next;
    }
    expect(logins).toEqual(profiles.map((profile) => profile.login));
  });

  test.each([
    ["p1", 200],
    ["P2", 200],
    ["p%", 404],
    ["p", 404],
  ])("a login without its domain is read where it means one person (%s: %i)", async (login, status) => {
    for (const one of ["p1@x.co", "p2@x.co", "px1@x.co", "pp@x.co", "pp@y.co"])
      await api.call("POST", "/api/v1/users", {
        profile: { login: one, email: one, firstName: "P", lastName: "Q" },
      });
    expect((await api.call("GET", `/api/v1/users/${encodeURIComponent(login)}`)).status).toBe(status);
    expect((await api.call("GET", "/api/v1/users/pp")).status).toBe(404);
  });
});

describe("what is remembered", () => {
  test("is loaded once while it is fresh, also when many ask at once, and again after a change", async () => {
    let now_ms = 0;
    let loads = 0;
    const memory = newMemory(1_000, () => now_ms);
    const ask = () => memory.recall("a", async () => ++loads);
    expect(await Promise.all([ask(), ask()])).toEqual([1, 1]);
    now_ms = 999;
    expect(await ask()).toBe(1);
    now_ms = 1_000;
    expect(await ask()).toBe(2);
    memory.forget();
    expect(await ask()).toBe(3);
  });

  test("is never that there was nothing, or an error", async () => {
    const memory = newMemory();
    expect(await memory.recall<number | undefined>("a", async () => undefined)).toBeUndefined();
    await expect(memory.recall("a", () => Promise.reject(new Error("away")))).rejects.toThrow("away");
    expect(await memory.recall("a", async () => 1)).toBe(1);
  });

  test("what was being loaded before a change is not given to who asks after it", async () => {
    const memory = newMemory();
    const slow = Promise.withResolvers<string>();
    const before = memory.recall("a", () => slow.promise);
    memory.forget();
    const after = memory.recall("a", async () => "new");
    slow.resolve("old");
    expect([await before, await after]).toEqual(["old", "new"]);
    expect(await memory.recall("a", async () => "newer")).toBe("new");
  });

  test("does not let a token live on after it was revoked, over the API", async () => {
    const made = (await api.call("POST", "/admin/v1/tokens", { name: "ci" })).body;
    expect((await api.call("GET", "/api/v1/users", undefined, made.text)).status).toBe(200);
    await api.call("DELETE", `/admin/v1/tokens/${made.id}`);
    expect((await api.call("GET", "/api/v1/users", undefined, made.text)).status).toBe(401);
  });
});
