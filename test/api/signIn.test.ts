/** People who sign in: passwords, locks, expiry, one-use tokens, sessions, and the pages behind links. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Value } from "../../src/core/types.ts";
import { setSetting } from "../../src/directory/settings.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
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

const password = "Correct-Horse-9";
const profile = { login: "ann.lee@x.co", email: "ann.lee@x.co", firstName: "Ann", lastName: "Lee" };
const credentials = { password: { value: password } };

const post = (path: string, body?: unknown, token?: string) => api.call("POST", path, body, token);
const hire = async (query = "", more = {}) =>
  (await post(`/api/v1/users${query}`, { profile, credentials, ...more })).body;
const authn = (given = password, username = profile.login) => post("/api/v1/authn", { username, password: given }, "");
const statusOf = async (id: string) => (await api.call("GET", `/api/v1/users/${id}`)).body.status;
const policy = (value: Value) => setSetting({ db, now: () => new Date(), actor: system }, "password_policy", value);
const move = async (id: string, event: string) => post(`/api/v1/users/${id}/lifecycle/${event}`);

/** Signs in and makes a session; gives its id. */
async function session(): Promise<string> {
  const { sessionToken } = (await authn()).body;
  return (await post("/api/v1/sessions", { sessionToken })).body.id;
}
const isAlive = async (id: string) => (await api.call("GET", `/api/v1/sessions/${id}`)).status === 200;

describe("signing in", () => {
  test("a right password gives a token worth one session, and is noted as the last sign-in", async () => {
    const { id } = await hire();
    const answer = await authn();
    expect([answer.status, answer.body.status]).toEqual([200, "SUCCESS"]);
    expect(answer.body._embedded.user).toMatchObject({ id, profile: { login: profile.login, firstName: "Ann" } });
    const body = { sessionToken: answer.body.sessionToken };
    const made = await post("/api/v1/sessions", body);
    expect(made.body).toMatchObject({ userId: id, status: "ACTIVE", login: profile.login, amr: ["pwd"] });
    expect((await post("/api/v1/sessions", body)).body.errorCode).toBe("E0000004");
    expect((await api.call("GET", `/api/v1/users/${id}`)).body.lastLogin).not.toBeNull();
  });

  test("neither token nor session stands in the database", async () => {
    await hire();
    const { sessionToken } = (await authn()).body;
    const id = await session();
    const tables = ["sign_in_tokens", "sessions", "events"];
    for (const table of tables) {
      const { rows } = await sql`select * from ${sql.table(table)}`.execute(db);
      expect(JSON.stringify(rows)).not.toContain(sessionToken.slice(5));
      expect(JSON.stringify(rows)).not.toContain(id);
      expect(JSON.stringify(rows)).not.toContain(password);
    }
  });

  test.each([
    ["a wrong password", {}, "wrong", ""],
    ["no password", {}, "", ""],
    ["somebody unknown", { username: "nobody@x.co" }, password, ""],
    ["somebody staged", {}, password, "?activate=false"],
  ])(
    "%s is refused in the same words",
    async (_what, { username = profile.login }: { username?: string }, given, query) => {
      await hire(query);
      const answer = await authn(given, username);
      expect([answer.status, answer.body.errorCode, answer.body.errorCauses]).toEqual([401, "E0000004", []]);
    },
  );

  test.each(["suspend", "deactivate"])("after %s nobody signs in, and what was open is ended", async (event) => {
    const { id } = await hire();
    const open = await session();
    const { sessionToken } = (await authn()).body;
    await move(id, event);
    expect(await isAlive(open)).toBe(false);
    expect((await post("/api/v1/sessions", { sessionToken })).status).toBe(401);
    expect((await authn()).status).toBe(401);
  });

  test("a person who signs in elsewhere is refused here", async () => {
    const provider = { type: "FEDERATION", name: "FEDERATION" };
    await post("/api/v1/users", { profile, credentials: { provider } });
    expect((await authn("anything")).status).toBe(401);
  });

  test("a hash made elsewhere is replaced by ours at the first sign-in", async () => {
    const value = createHash("sha256").update(`salt${password}`).digest("base64");
    const hash = { algorithm: "SHA-256", value, salt: Buffer.from("salt").toString("base64"), saltOrder: "PREFIX" };
    const { body } = await post("/api/v1/users", { profile, credentials: { password: { hash } } });
    const stored = async () =>
      (await db.selectFrom("users").select("credentials").where("id", "=", body.id).executeTakeFirstOrThrow())
        .credentials.password_hash;
    expect(await stored()).toMatch(/^\$import\$/);
    expect((await authn()).body.status).toBe("SUCCESS");
    expect(await stored()).toMatch(/^\$scrypt\$/);
    expect((await authn()).body.status).toBe("SUCCESS");
  });
});

describe("wrong passwords", () => {
  test("so many in a row lock the person out, whatever comes then; unlock lets them in", async () => {
    const { id } = await hire();
    await policy({ max_attempts: 3 });
    await authn("wrong");
    await authn("wrong");
    expect((await authn()).body.status).toBe("SUCCESS");
    for (const _ of [1, 2, 3]) await authn("wrong");
    expect(await statusOf(id)).toBe("LOCKED_OUT");
    expect((await authn()).status).toBe(401);
    await move(id, "unlock");
    expect((await authn()).body.status).toBe("SUCCESS");
  });

  test("many at once count as many", async () => {
    const { id } = await hire();
    await policy({ max_attempts: 4 });
    await Promise.all([1, 2, 3, 4].map(() => authn("wrong")));
    expect(await statusOf(id)).toBe("LOCKED_OUT");
  });

  test("a policy that shows a lock shows it, and a lock whose time is over lifts itself", async () => {
    const { id } = await hire();
    await policy({ max_attempts: 1, show_lockout: true, auto_unlock_minutes: 30 });
    expect((await authn("wrong")).body.status).toBe("LOCKED_OUT");
    expect((await authn()).body.status).toBe("LOCKED_OUT");
    await sql`update sign_in_failures set failed_at = failed_at - interval '31 minutes'`.execute(db);
    expect((await authn()).body.status).toBe("SUCCESS");
    expect(await statusOf(id)).toBe("ACTIVE");
  });

  test("an expired password cannot be guessed for ever either", async () => {
    await hire("?nextLogin=changePassword");
    await policy({ max_attempts: 2 });
    await authn("wrong");
    await authn("wrong");
    expect((await authn()).status).toBe(401);
  });
});

describe("a password that has served its time", () => {
  const change = (stateToken: string, newPassword: string, oldPassword = password) =>
    post("/api/v1/authn/credentials/change_password", { stateToken, oldPassword, newPassword }, "");

  test("is changed at the next sign-in, and the person is active", async () => {
    const { id } = await hire("?nextLogin=changePassword");
    const answer = await authn();
    expect(answer.body).toMatchObject({ status: "PASSWORD_EXPIRED", _links: { next: { name: "changePassword" } } });
    const { stateToken } = answer.body;
    const changed = await change(stateToken, "Another-Horse-10");
    expect(changed.body.status).toBe("SUCCESS");
    expect(await statusOf(id)).toBe("ACTIVE");
    expect((await authn("Another-Horse-10")).body.status).toBe("SUCCESS");
    expect((await authn()).status).toBe(401);
    expect((await change(stateToken, "Third-Horse-11")).body.errorCode).toBe("E0000011");
  });

  test("what the policy refuses changes nothing, and the token serves again", async () => {
    await hire("?nextLogin=changePassword");
    const { stateToken } = (await authn()).body;
    for (const [given, words] of [
      ["short", "at least 8 characters"],
      [password, "last 4 passwords"],
    ] as const) {
      const refused = await change(stateToken, given);
      expect([refused.status, refused.body.errorCode]).toEqual([403, "E0000014"]);
      expect(refused.body.errorCauses[0].errorSummary).toContain(words);
    }
    expect((await change(stateToken, "Another-Horse-10")).body.status).toBe("SUCCESS");
  });

  test("by age, too: past its days it is to be changed", async () => {
    const { id } = await hire();
    await policy({ max_age_days: 30 });
    await sql`update users set password_changed_at = password_changed_at - interval '31 days'`.execute(db);
    expect((await authn()).body.status).toBe("PASSWORD_EXPIRED");
    expect(await statusOf(id)).toBe("PASSWORD_EXPIRED");
  });

  test("a token of a sign-in serves for minutes", async () => {
    await hire("?nextLogin=changePassword");
    const { stateToken } = (await authn()).body;
    await sql`update sign_in_tokens set expires_at = now() - interval '1 second'`.execute(db);
    expect((await change(stateToken, "Another-Horse-10")).status).toBe(401);
  });
});

describe("a policy for passwords", () => {
  test.each([
    [{ min_length: 20 }, "at least 20 characters"],
    [{ min_upper: 2, min_symbol: 3 }, "3 symbols"],
    [{ min_number: 2 }, "2 numbers"],
  ])("%j is asked of whoever sets one", async (value, words) => {
    await policy(value);
    const refused = await post("/api/v1/users", { profile, credentials });
    expect([refused.status, refused.body.errorSummary]).toEqual([400, "Api validation failed: password"]);
    expect(refused.body.errorCauses[0].errorSummary).toContain(words);
  });

  test("no part of the login, whatever the policy says else", async () => {
    const refused = await post("/api/v1/users", {
      profile: { ...profile, login: "annabel.lee@x.co" },
      credentials: { password: { value: "xxAnnabel99" } },
    });
    expect(refused.body.errorCauses[0].errorSummary).toContain("no parts of your username");
  });

  test("strict forbids one of the last ones to an administrator's tool as well", async () => {
    const { id } = await hire();
    const body = { oldPassword: { value: password }, newPassword: { value: password } };
    const path = `/api/v1/users/${id}/credentials/change_password`;
    expect((await post(`${path}?strict=true`, body)).body.errorCode).toBe("E0000014");
    expect((await post(path, body)).status).toBe(200);
  });
});

describe("sessions", () => {
  test("live on by refresh, end by DELETE, and are unknown afterwards", async () => {
    await hire();
    const id = await session();
    const path = `/api/v1/sessions/${id}`;
    expect((await post(`${path}/lifecycle/refresh`)).body.id).toBe(id);
    expect((await api.call("DELETE", path)).status).toBe(204);
    for (const answer of [
      await api.call("GET", path),
      await api.call("DELETE", path),
      await post(`${path}/lifecycle/refresh`),
    ]) {
      expect([answer.status, answer.body.errorCode]).toEqual([404, "E0000007"]);
      expect(answer.body.errorSummary).toContain("(AppSession)");
    }
  });

  test("end with the old password, and when an administrator ends all of a person's", async () => {
    const { id } = await hire();
    const first = await session();
    expect((await api.call("DELETE", `/api/v1/users/${id}/sessions`)).status).toBe(204);
    expect(await isAlive(first)).toBe(false);
    const second = await session();
    await post(`/api/v1/users/${id}`, { credentials: { password: { value: "Another-Horse-10" } } });
    expect(await isAlive(second)).toBe(false);
  });

  test("end when their time is over", async () => {
    await hire();
    const id = await session();
    await sql`update sessions set expires_at = now() - interval '1 second'`.execute(db);
    expect(await isAlive(id)).toBe(false);
  });
});

describe("a forgotten password", () => {
  const recover = (username: string) => post("/api/v1/authn/recovery/password", { username, factorType: "EMAIL" }, "");

  test("tells nobody whether there is such a person", async () => {
    await hire();
    const [known, unknown] = [await recover(profile.login), await recover("nobody@x.co")];
    expect([known.status, known.body]).toEqual([unknown.status, unknown.body]);
    expect(known.body.status).toBe("RECOVERY_CHALLENGE");
  });

  test("where people may help themselves, the right answer lets them choose a new one", async () => {
    const recovery_question = { question: "First pet?", answer: "A Goldfish" };
    const { id } = await hire("", { credentials: { ...credentials, recovery_question } });
    await policy({ self_service: true, max_attempts: 3 });
    const answer = (stateToken: string, text: string) =>
      post("/api/v1/authn/recovery/answer", { stateToken, answer: text }, "");
    const first = (await recover(profile.login)).body;
    expect(first).toMatchObject({
      status: "RECOVERY",
      _embedded: { user: { recovery_question: { question: "First pet?" } } },
    });
    expect((await answer(first.stateToken, "a dog")).status).toBe(401);
    expect((await answer(first.stateToken, "a goldfish")).status).toBe(401);
    const right = await answer((await recover(profile.login)).body.stateToken, " a goldfish ");
    expect(right.body.status).toBe("PASSWORD_RESET");
    const { stateToken } = right.body;
    const set = await post(
      "/api/v1/authn/credentials/reset_password",
      { stateToken, newPassword: "Another-Horse-10" },
      "",
    );
    expect(set.body.status).toBe("SUCCESS");
    expect(await statusOf(id)).toBe("ACTIVE");
  });

  test("an administrator's link token goes the same way", async () => {
    const { id } = await hire();
    const { resetPasswordUrl } = (await post(`/api/v1/users/${id}/lifecycle/reset_password?sendEmail=false`)).body;
    const recoveryToken = resetPasswordUrl.split("/").at(-1);
    const step = await post("/api/v1/authn/recovery/token", { recoveryToken }, "");
    expect(step.body.status).toBe("PASSWORD_RESET");
    const { stateToken } = step.body;
    await post("/api/v1/authn/credentials/reset_password", { stateToken, newPassword: "Another-Horse-10" }, "");
    expect((await authn("Another-Horse-10")).body.status).toBe("SUCCESS");
    expect((await post("/api/v1/authn/recovery/token", { recoveryToken }, "")).status).toBe(401);
  });
});

describe("pages behind links", () => {
  const form = async (path: string, fields: Readonly<Record<string, string>>) => {
    const headers = { host: "tenure.test", "content-type": "application/x-www-form-urlencoded" };
    return api.server.inject({ method: "POST", url: path, headers, payload: new URLSearchParams(fields).toString() });
  };
  const pathOf = (url: string) => new URL(url).pathname;
  const welcome = async () => {
    const { body } = await post("/api/v1/users?activate=false", { profile: { ...profile, firstName: "<Ann>" } });
    const { activationUrl } = (await post(`/api/v1/users/${body.id}/lifecycle/activate?sendEmail=false`)).body;
    return { id: body.id as string, path: pathOf(activationUrl) };
  };

  test("activation: the page greets, takes a password twice, and the person is active", async () => {
    const { id, path } = await welcome();
    const shown = await api.call("GET", path, undefined, "");
    expect([shown.status, shown.headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
    expect(shown.body).toContain("Welcome, &lt;Ann&gt;");
    expect(shown.body).not.toContain("<script");
    for (const name of ["password", "again", "question", "answer"])
      expect(shown.body).toContain(`<label for="${name}">`);
    expect(shown.headers["content-security-policy"]).toContain("frame-ancestors 'none'");
    expect(shown.headers["referrer-policy"]).toBe("no-referrer");
    const sent = { password, again: password, question: "First pet?", answer: "goldfish" };
    const done = await form(path, sent);
    expect([done.statusCode, await statusOf(id)]).toEqual([200, "ACTIVE"]);
    expect((await authn()).body.status).toBe("SUCCESS");
    expect([(await form(path, sent)).statusCode, (await api.call("GET", path, undefined, "")).status]).toEqual([
      404, 404,
    ]);
  });

  test.each([
    ["nothing", {}, "Enter a password"],
    ["two that differ", { password, again: "x" }, "differ"],
    ["too short a one", { password: "short", again: "short" }, "at least 8 characters"],
    ["a question without its answer", { password, again: password, question: "Pet?" }, "answer of at least 4"],
  ])("%s is refused on the page, which says what to do and repeats no password", async (_what, fields, words) => {
    const { id, path } = await welcome();
    const answer = await form(path, fields as Record<string, string>);
    expect(answer.statusCode).toBe(400);
    expect(answer.body).toContain('role="alert"');
    expect(answer.body).toContain(words);
    expect(answer.body).not.toContain(password);
    expect(await statusOf(id)).toBe("PROVISIONED");
  });

  test("reset: the link sets a new password once", async () => {
    const { id } = await hire();
    const { resetPasswordUrl } = (await post(`/api/v1/users/${id}/lifecycle/reset_password?sendEmail=false`)).body;
    expect(await statusOf(id)).toBe("RECOVERY");
    const again = "Another-Horse-10";
    expect((await form(pathOf(resetPasswordUrl), { password: again, again })).statusCode).toBe(200);
    expect((await authn(again)).body.status).toBe("SUCCESS");
  });

  test("a link serves for days, a newer one ends the older, and a made-up one is nobody's", async () => {
    const { id, path } = await welcome();
    const { activationUrl } = (await post(`/api/v1/users/${id}/lifecycle/reactivate?sendEmail=false`)).body;
    expect((await api.call("GET", path, undefined, "")).status).toBe(404);
    expect((await api.call("GET", pathOf(activationUrl), undefined, "")).status).toBe(200);
    expect((await api.call("GET", "/welcome/made-up", undefined, "")).status).toBe(404);
    await sql`
      update users set credentials = jsonb_set(credentials, '{one_time_expires_at}', '"2020-01-01T00:00:00Z"')`.execute(
      db,
    );
    expect((await api.call("GET", pathOf(activationUrl), undefined, "")).status).toBe(404);
  });
});
