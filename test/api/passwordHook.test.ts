/** People who were brought over without their passwords: the first sign-in asks the system that they come from. */
import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { setSetting } from "../../src/directory/settings.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { type Answer, by_hand, type HookServer, hookServer, plainly, silence } from "../support/hookServer.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";

let db: Database;
let api: TestApi;
let server: HookServer;

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db);
  server = await hookServer();
});
afterEach(() => server.close());

const password = "pw of old";
const profile = { login: "Ann.Lee@x.co", email: "ann.lee@x.co", firstName: "Ann", lastName: "Lee" };
const hire = async (query = "") =>
  (
    await api.call("POST", `/api/v1/users${query}`, {
      profile,
      credentials: { password: { hook: { type: "default" } } },
    })
  ).body;
const authn = (given = password) =>
  api.call("POST", "/api/v1/authn", { username: "ann.lee@x.co", password: given }, "");
const say = (credential: string) => ({ commands: [{ type: "com.okta.action.update", value: { credential } }] });
const verifies = () =>
  server.answer(({ body }) => say(body.data.context.credential.password === password ? "VERIFIED" : "UNVERIFIED"));
const stored = async (id: string) =>
  (await db.selectFrom("users").selectAll().where("id", "=", id).executeTakeFirstOrThrow()).credentials;

async function until(there: () => boolean): Promise<void> {
  while (!there()) await new Promise((resolve) => setTimeout(resolve, 20));
  // Whoever is refused has been told by then.
  await new Promise((resolve) => setTimeout(resolve, 200));
}

async function makeHook(): Promise<string> {
  const config = { uri: server.url, authScheme: { type: "HEADER", key: "X-Key", value: "a-secret-of-ours" } };
  const channel = { type: "HTTP", version: "1.0.0", config };
  const type = "com.okta.user.credential.password.import";
  const made = await api.call("POST", "/api/v1/inlineHooks", { name: "Old system", type, version: "1.0.0", channel });
  return made.body.id;
}

describe("the first sign-in", () => {
  test("asks the hook in Okta's form; a yes keeps the password as ours, and nobody asks again", async () => {
    const hook_id = await makeHook();
    const { id, status } = await hire();
    expect(status).toBe("ACTIVE");
    verifies();
    const answer = await authn();
    expect([answer.status, answer.body.status]).toEqual([200, "SUCCESS"]);
    expect(server.heard[0]?.headers["x-key"]).toBe("a-secret-of-ours");
    expect(server.heard[0]?.body).toMatchObject({
      source: `http://tenure.test/api/v1/inlineHooks/${hook_id}`,
      eventType: "com.okta.user.credential.password.import",
      data: {
        context: {
          request: { method: "POST", url: { value: "/api/v1/authn" }, ipAddress: expect.any(String) },
          credential: { username: "Ann.Lee@x.co", password },
        },
        action: { credential: "UNVERIFIED" },
      },
    });
    const after = await stored(id);
    expect(after.password_hash).toMatch(/^\$scrypt\$/);
    expect(after).not.toHaveProperty("password_hook");
    expect((await authn()).body.status).toBe("SUCCESS");
    expect((await authn("another")).status).toBe(401);
    expect(server.heard).toHaveLength(1);
    const { rows } = await sql<{ type: string; text: string }>`select type, events::text as text from events`.execute(
      db,
    );
    expect(rows.map(({ type }) => type)).toEqual(
      expect.arrayContaining(["inline_hook.executed", "user.import.password"]),
    );
    for (const { text } of rows) expect(text).not.toContain(password);
  });

  test.each([
    ["a no", () => say("UNVERIFIED")],
    ["nothing", () => undefined],
    ["an error", () => ({ error: { errorSummary: "closed" } })],
    ["a yes beside an error", () => ({ error: { errorSummary: "closed" }, ...say("VERIFIED") })],
    ["a 5xx", plainly(500)],
    ["a page", plainly(200, "<html>VERIFIED</html>")],
    ["a redirect", plainly(302, "", { location: "/yes" })],
    ["silence", silence],
  ])(
    "%s refuses in the usual words, keeps the mark, and counts like a wrong password",
    { timeout: 20_000 },
    async (_what, answer) => {
      await makeHook();
      const { id } = await hire();
      await setSetting({ db, now: () => new Date(), actor: system }, "password_policy", { max_attempts: 2 });
      server.answer(answer as Answer);
      const refused = await authn();
      expect([refused.status, refused.body.errorCode, refused.body.errorCauses]).toEqual([401, "E0000004", []]);
      expect(server.heard).toHaveLength(1);
      expect(await stored(id)).toMatchObject({ password_hook: true });
      verifies();
      await authn("wrong");
      expect((await authn()).status).toBe(401);
      expect((await api.call("GET", `/api/v1/users/${id}`)).body.status).toBe("LOCKED_OUT");
    },
  );

  test.each([
    ["there is no hook", async () => {}],
    [
      "the hook is off",
      async () => void (await api.call("POST", `/api/v1/inlineHooks/${await makeHook()}/lifecycle/deactivate`)),
    ],
    [
      "the person is suspended",
      async (id: string) => {
        await makeHook();
        await api.call("POST", `/api/v1/users/${id}/lifecycle/suspend`);
      },
    ],
  ])("is refused, and nobody is told the password, when %s", async (_what, prepare) => {
    const { id } = await hire();
    await prepare(id);
    verifies();
    expect((await authn()).status).toBe(401);
    expect(server.heard).toEqual([]);
  });

  test("without a password, or of somebody with one of ours, asks nobody", async () => {
    await makeHook();
    const { id } = await hire();
    verifies();
    expect((await authn("")).status).toBe(401);
    await api.call("POST", `/api/v1/users/${id}`, { credentials: { password: { value: "Chosen-by-an-admin-7" } } });
    expect(await stored(id)).not.toHaveProperty("password_hook");
    expect((await authn()).status).toBe(401);
    expect((await authn("Chosen-by-an-admin-7")).body.status).toBe("SUCCESS");
    expect(server.heard).toEqual([]);
  });

  test("of somebody whose password must change leads to a new one, by the password of old", async () => {
    await makeHook();
    const { id } = await hire();
    await api.call("POST", `/api/v1/users/${id}/lifecycle/expire_password`);
    verifies();
    const { body } = await authn();
    expect(body.status).toBe("PASSWORD_EXPIRED");
    const change = { stateToken: body.stateToken, oldPassword: password, newPassword: "Something-new-77" };
    const changed = await api.call("POST", "/api/v1/authn/credentials/change_password", change, "");
    expect(changed.body.status).toBe("SUCCESS");
    expect((await authn("Something-new-77")).body.status).toBe("SUCCESS");
  });

  test("keeps no more than eight sign-ins waiting, so that others can sign in; those that are more count for nothing", async () => {
    await makeHook();
    const { id } = await hire();
    const held: ServerResponse[] = [];
    server.answer((_heard, response) => {
      held.push(response);
      return by_hand;
    });
    const all = Array.from({ length: 12 }, () => authn());
    const busy = await Promise.all(
      all.map((one) => Promise.race([one, until(() => held.length === 8).then(() => undefined)])),
    );
    expect(busy.filter((one) => one !== undefined).map(({ status }) => status)).toEqual([429, 429, 429, 429]);
    for (const response of held) response.writeHead(204).end();
    expect((await Promise.all(all)).filter(({ status }) => status === 401)).toHaveLength(8);
    const { rows } = await sql<{
      failures: number;
    }>`select failures from sign_in_failures where user_id = ${id}`.execute(db);
    expect(rows).toEqual([{ failures: 8 }]);
  });

  test("counts from now on for the age of the password", async () => {
    await makeHook();
    const { id } = await hire();
    await sql`update users set created_at = now() - interval '90 days', password_changed_at = null where id = ${id}`.execute(
      db,
    );
    await setSetting({ db, now: () => new Date(), actor: system }, "password_policy", { max_age_days: 30 });
    verifies();
    expect((await authn()).body.status).toBe("SUCCESS");
    expect((await authn()).body.status).toBe("SUCCESS");
  });
});
