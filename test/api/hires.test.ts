/** People hired by hand with their days: all at once or not at all, tried before, in the zone where they are. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createApp } from "../../src/directory/apps.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { tools } from "../directory/support.ts";
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

const profile = (name: string, more = {}) => ({
  ...{ login: `${name}@x.co`, email: `${name}@x.co`, firstName: name, lastName: "Lee" },
  ...more,
});
const hire = (body: object) => api.call("POST", "/admin/v1/hires", body);
const dates = (user: string, body: object) => api.call("PATCH", `/admin/v1/users/${user}/dates`, body);
const users = async () => (await sql<{ n: number }>`select count(*)::int as n from users`.execute(db)).rows[0]?.n;
const wrong = ({ status, body }: Awaited<ReturnType<typeof hire>>) => [status, body.errorCauses?.[0]?.errorSummary];

describe("a hire", () => {
  test("has its days from the first moment: it is staged until they come, in the zone where the person is", async () => {
    const days = { starts_at: "2099-01-04", ends_at: "2099-12-31", time_zone: "America/New_York" };
    const made = await hire({ profile: profile("ann"), ...days });
    expect(made.body).toMatchObject({
      ...{ login: "ann@x.co", status: "STAGED", time_zone: "America/New_York" },
      ...{ starts_at: "2099-01-04T05:00:00.000Z", ends_at: "2100-01-01T05:00:00.000Z" },
    });
    expect((await api.call("GET", "/admin/v1/users/ann@x.co/dates")).body).toEqual({
      ...made.body,
      hold: null,
      ahead: [],
    });
  });

  test("without a zone has days of the company's", async () => {
    await sql`insert into settings (name, value) values ('org', '{"time_zone":"Asia/Tokyo"}')`.execute(db);
    const made = await hire({ profile: profile("ann"), starts_at: "2099-01-04", ends_at: "2099-01-04T12:00:00+01:00" });
    expect(made.body).toMatchObject({
      ...{ starts_at: "2099-01-03T15:00:00.000Z", ends_at: "2099-01-04T11:00:00.000Z", time_zone: null },
    });
  });

  test.each([
    ["ends before it starts", { starts_at: "2099-01-04", ends_at: "2098-01-04" }, /ann@x.co would end before starting/],
    ["is in no zone", { time_zone: "Mars" }, /"Mars" of ann@x.co is no time zone; use a name such as Europe\/Rome/],
    ["is on a day that is none", { starts_at: "2099-02-30" }, /starts_at: must be a day, as in 2026-03-02/],
    ["is an attribute that is none", { profile: profile("ann", { shoe: 43 }) }, /shoe/],
  ])("that %s is refused whole, and nobody is made, tried or not", async (_what, more, why) => {
    for (const dry_run of [true, false]) {
      const [status, text] = wrong(await hire({ profile: profile("ann"), dry_run, ...more }));
      expect([status, text], String(dry_run)).toEqual([400, expect.stringMatching(why)]);
    }
    expect(await users()).toBe(0);
  });

  test.each([true, false])("in a group that is none is not made (tried: %s)", async (dry_run) => {
    expect((await hire({ profile: profile("ann"), group_ids: ["00g0"], dry_run })).status).toBe(404);
    expect(await users()).toBe(0);
  });

  test("that is tried tells groups and apps of their working days, and leaves nothing behind", async () => {
    const sales = (await api.call("POST", "/api/v1/groups", { profile: { name: "Sales" } })).body;
    const site = (await api.call("POST", "/api/v1/apps", { name: "bookmark", label: "Site" })).body;
    await api.call("PUT", `/api/v1/apps/${site.id}/groups/${sales.id}`, {});
    const rule = { name: "Sales people", expression: 'user.department == "Sales"', group_ids: [sales.id] };
    const made = await api.call("POST", "/api/v1/groups/rules", {
      ...{ type: "group_rule", name: rule.name },
      conditions: { expression: { type: "urn:okta:expression:1.0", value: rule.expression } },
      actions: { assignUserToGroups: { groupIds: rule.group_ids } },
    });
    await api.call("POST", `/api/v1/groups/rules/${made.body.id}/lifecycle/activate`);
    const before = await sql<{
      n: string;
    }>`select count(*) || ' ' || (select count(*) from dirty) as n from events`.execute(db);
    const tried = await hire({
      ...{ profile: profile("ann", { department: "Sales" }), starts_at: "2099-01-04", dry_run: true },
    });
    expect(tried.body).toMatchObject({
      login: "ann@x.co",
      preview: {
        groups: { join: [{ group: "Sales", rule: "Sales people" }], leave: [] },
        steps: [{ app: "Site", rune: "+", step: "local", enabled: true }],
      },
    });
    const after = await sql<{
      n: string;
    }>`select count(*) || ' ' || (select count(*) from dirty) as n from events`.execute(db);
    expect([await users(), after.rows]).toEqual([0, before.rows]);
  });

  test("is not tried by whoever may not make one", async () => {
    const token = await api.tokenOf("READ_ONLY_ADMIN");
    const body = { profile: profile("ann"), dry_run: true };
    expect((await api.call("POST", "/admin/v1/hires", body, token)).status).toBe(403);
  });
});

describe("days by hand", () => {
  test.each([
    [{ time_zone: "Mars" }, 400, /is no time zone/],
    [{ starts_at: "2099-01-04", ends_at: "2099-01-03" }, 400, /would end before starting/],
    [{ ends_at: "soon" }, 400, /ends_at: must be a day/],
  ])("are refused where nobody can read them: %j", async (body, status, why) => {
    await hire({ profile: profile("ann"), time_zone: "Europe/Rome" });
    expect(wrong(await dates("ann@x.co", body))).toEqual([status, expect.stringMatching(why)]);
    expect((await api.call("GET", "/admin/v1/users/ann@x.co/dates")).body).toMatchObject({
      ...{ starts_at: null, ends_at: null, time_zone: "Europe/Rome" },
    });
  });

  test("are days where the person is, and are cleared", async () => {
    await hire({ profile: profile("ann"), time_zone: "Europe/Rome" });
    expect((await dates("ann@x.co", { ends_at: "2099-06-30" })).body.ends_at).toBe("2099-06-30T22:00:00.000Z");
    expect((await dates("ann@x.co", { ends_at: null, time_zone: null })).body).toMatchObject({
      ...{ ends_at: null, time_zone: null },
    });
  });

  test("that a source tells are changed there, and the others here", async () => {
    const command = { db, now: () => new Date(), actor: system };
    const sourcing = { end_attribute: "end", time_zone_attribute: "zone" };
    const config = { url: "https://hr.example/v2", token: "t" };
    const app = await createApp(command, { label: "HR", kind: "scim", config, sourcing }, tools);
    const { id } = (await hire({ profile: profile("ann"), time_zone: "Europe/Rome" })).body;
    await sql`
      insert into accounts (app_id, user_id, external_id, have)
      values (${(app as { id: string }).id}, ${id}, '7', '{"enabled":true,"profile":{}}')`.execute(db);
    for (const [body, what] of [
      [{ ends_at: "2099-06-30" }, /^the last day of ann@x.co comes from HR \(row 7\): change it there$/],
      [{ time_zone: "UTC", ends_at: "2099-06-30" }, /^the last day, the time zone of ann@x.co come from HR/],
    ] as const) {
      expect(wrong(await dates("ann@x.co", body))).toEqual([403, expect.stringMatching(what)]);
    }
    expect((await dates("ann@x.co", { starts_at: "2020-01-01" })).body.starts_at).toBe("2019-12-31T23:00:00.000Z");
    expect((await dates("ann@x.co", { time_zone: "Europe/Rome" })).status).toBe(200);
  });
});
