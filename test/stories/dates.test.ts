/**
 * Stories of dates that an HR file tells: hires and leaves ahead of time, late, taken back and moved. What changes between
 * the two is jobs.test.ts. Each row of what such a feed must be able to say is one of these promises.
 */
import { describe, expect, test } from "vitest";
import { createUsers, updateUsers } from "../../src/directory/users.ts";
import { sql } from "../../src/store/database.ts";
import { rowOf } from "../engine/hr.ts";
import { must, profileOf } from "../support/world.ts";
import { hrStage } from "./hrStage.ts";
import { stage } from "./support.ts";

const s = stage();
const { company, at, arrive, find, status, account, creations } = hrStage(s);
const ada = rowOf("1", "Ada", "Byron", { department: "Mills", start: "2025-01-01" });
const rome = { zone: "Europe/Rome" };

describe("a hire", () => {
  test("that lies ahead waits for midnight where the person is, to the minute", async () => {
    const { hr, app } = await company();
    await arrive(hr, { ...ada, ...rome, start: "2026-03-10" });
    await at("2026-03-09T22:59:00Z");
    expect([await status(), await account(app)]).toEqual(["STAGED", undefined]);
    await at("2026-03-09T23:00:00Z");
    expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
  });

  test("begins at the hour that the source's rules say, also on a day whose clocks are put forward", async () => {
    const { hr } = await company({ start_hour: 9 });
    const bob = rowOf("2", "Bob", "Stone", { start: "2026-03-29", ...rome });
    await arrive(hr, { ...ada, ...rome, start: "2026-03-10" }, bob);
    await at("2026-03-10T07:59:00Z");
    expect(await status()).toBe("STAGED");
    await at("2026-03-10T08:00:00Z");
    expect(await status()).toBe("PROVISIONED");
    await at("2026-03-29T06:59:00Z");
    expect(await status("bob.stone")).toBe("STAGED");
    await at("2026-03-29T07:00:00Z");
    expect(await status("bob.stone")).toBe("PROVISIONED");
  });

  test("has its accounts made switched off so many days before, and switched on with the first day, each once", async () => {
    const { hr, app } = await company({ hire_lead_days: 5 });
    await arrive(hr, { ...ada, ...rome, start: "2026-03-10" });
    await at("2026-03-04T22:59:00Z");
    expect(await account(app)).toBeUndefined();
    await at("2026-03-04T23:00:00Z");
    expect([await status(), await account(app)]).toEqual(["STAGED", false]);
    await at("2026-03-09T23:00:00Z");
    expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
    expect(creations(app)).toBe(1);
  });

  test("that is put off before it came waits for the new day, and its accounts stay switched off", async () => {
    const { hr, app } = await company({ hire_lead_days: 5 });
    await arrive(hr, { ...ada, start: "2026-03-05" });
    expect(await account(app)).toBe(false);
    await arrive(hr, { ...ada, start: "2026-04-05" });
    await at("2026-03-06T00:00:00Z");
    expect([await status(), await account(app)]).toEqual(["STAGED", false]);
    await at("2026-04-05T00:00:00Z");
    expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
    expect(creations(app)).toBe(1);
  });

  test("that is put off after it came takes the access back until the new day", async () => {
    const { hr, app } = await company();
    await arrive(hr, ada);
    await arrive(hr, { ...ada, start: "2026-03-20" });
    expect([await status(), await account(app)]).toEqual(["STAGED", false]);
    await at("2026-03-20T00:00:00Z");
    expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
  });

  test.each([
    ["its row is gone", () => []],
    ["its row is cancelled", () => [{ ...ada, start: "2026-03-10", state: "cancelled" }]],
  ])("that is taken back because %s never gets in, and comes in if it is told again", async (_how, rows) => {
    const { hr, app } = await company({ hire_lead_days: 30 });
    await arrive(hr, { ...ada, start: "2026-03-10" });
    expect(await account(app)).toBe(false);
    await arrive(hr, ...rows());
    await at("2026-03-11T00:00:00Z");
    expect([await status(), await account(app)]).toEqual(["DEPROVISIONED", false]);
    await arrive(hr, { ...ada, start: "2026-03-20" });
    expect([await status(), await account(app)]).toEqual(["STAGED", false]);
    await at("2026-03-20T00:00:00Z");
    expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
    expect(creations(app)).toBe(1);
  });

  test("whose first day is told to have passed, or is no more told, begins at once", async () => {
    const { hr } = await company();
    await arrive(hr, { ...ada, start: "2026-03-10" }, rowOf("2", "Bob", "Stone", { start: "2026-03-10" }));
    await arrive(hr, { ...ada, start: "2026-02-10" }, rowOf("2", "Bob", "Stone"));
    expect([await status(), await status("bob.stone")]).toEqual(["PROVISIONED", "PROVISIONED"]);
  });

  test("of someone whose last day is over makes nobody", async () => {
    const { hr } = await company();
    const run = await arrive(hr, { ...ada, end: "2026-02-01" });
    expect([run.counts, await find()]).toEqual([{ skipped: 1 }, undefined]);
  });
});

describe("a leave", () => {
  test("that lies ahead comes when the last day is over where the person is, or at the hour the rules say", async () => {
    const { hr, app } = await company({ end_hour: 18 });
    await arrive(hr, { ...ada, ...rome, end: "2026-03-20" });
    await at("2026-03-20T16:59:00Z");
    expect(await account(app)).toBe(true);
    await at("2026-03-20T17:00:00Z");
    expect([await status(), await account(app)]).toEqual(["DEPROVISIONED", false]);
  });

  test("that is withdrawn before it came does not come", async () => {
    const { hr, app } = await company();
    await arrive(hr, { ...ada, end: "2026-03-20" });
    await arrive(hr, ada);
    await at("2026-05-01T00:00:00Z");
    expect([await status(), await account(app)]).toEqual(["PROVISIONED", true]);
  });

  test("that is told late comes at once, and the log says how late", async () => {
    const { hr, app } = await company();
    await arrive(hr, ada);
    await arrive(hr, { ...ada, end: "2026-02-18" });
    expect([await status(), await account(app)]).toEqual(["DEPROVISIONED", false]);
    const { rows } = await sql<{ reason: string }>`
      select reason from events where type = 'user.lifecycle.deactivate'`.execute(s.world().db);
    expect(rows).toEqual([{ reason: "the last day is over, for 11 days already" }]);
  });

  test("and a hire that come by the clock are led back to whoever told the day", async () => {
    const { command } = s.world();
    const by = (name: string) => ({ ...command, actor: { id: `00u${name}`, type: "User", name } as const });
    const bob = { profile: profileOf("Bob", "Stone"), starts_at: new Date("2026-03-10T00:00:00Z") };
    const [user] = await must(createUsers(by("Anne"), [bob]));
    await at("2026-03-10T00:00:00Z");
    await must(
      updateUsers(by("Grace"), [{ id: user!.id, ends_at: new Date("2026-03-05T00:00:00Z"), starts_at: null }]),
    );
    await must(updateUsers(by("Hugo"), [{ id: user!.id, profile: { title: "Baker" } }]));
    await at("2026-03-10T01:00:00Z");
    const { rows } = await sql<{ type: string; cause: string; by: string }>`
      select e.type, c.type as cause, c.actor->>'name' as by from events e join events c on c.seq = e.cause
      where e.user_id = ${user!.id} and e.detail->>'by' in ('start_reached', 'end_reached') order by e.seq`.execute(
      s.world().db,
    );
    expect(rows).toEqual([
      { type: "user.lifecycle.activate", cause: "user.lifecycle.create", by: "Anne" },
      { type: "user.lifecycle.deactivate", cause: "user.account.update_profile", by: "Grace" },
    ]);
  });

  test("ends access with the last working day, though the employment goes on", async () => {
    const { hr, app } = await company();
    await arrive(hr, { ...ada, lastday: "2026-03-06", end: "2026-03-31" });
    await at("2026-03-06T23:59:00Z");
    expect(await account(app)).toBe(true);
    await at("2026-03-07T00:00:00Z");
    expect(await account(app)).toBe(false);
  });

  test("comes so many days before the employment ends, but never before a last working day that is told", async () => {
    const { hr, app } = await company({ leave_lead_days: 10 });
    const bob = rowOf("2", "Bob", "Stone", { end: "2026-03-31", lastday: "2026-03-30" });
    await arrive(hr, { ...ada, end: "2026-03-31" }, bob);
    await at("2026-03-22T00:00:00Z");
    expect([await account(app), await account(app, "bob.stone")]).toEqual([false, true]);
    await at("2026-03-31T00:00:00Z");
    expect(await account(app, "bob.stone")).toBe(false);
  });

  test("that is urgent comes at once, whatever the last day", async () => {
    const { hr, app } = await company();
    await arrive(hr, ada);
    await arrive(hr, { ...ada, lastday: "2026-03-20", end: "2026-03-31", urgent: "yes" });
    expect([await status(), await account(app)]).toEqual(["DEPROVISIONED", false]);
  });
});
