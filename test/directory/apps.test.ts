import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { appHealth, pauseApp, resumeApp, retryFaulted } from "../../src/directory/appHealth.ts";
import {
  activateApp,
  appByIdOrLabel,
  createApp,
  deactivateApp,
  deleteApp,
  listApps,
  type NewApp,
  orderSources,
  readCredentials,
  updateApp,
} from "../../src/directory/apps.ts";
import { expireLicences, seatCount, setLicence } from "../../src/directory/licences.ts";
import { raiseTasks } from "../../src/directory/tasks.ts";
import { type Database, sql } from "../../src/store/database.ts";
import type { Sourcing } from "../../src/store/tables.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import {
  account,
  at,
  commandAt,
  dirty,
  dirtyUsers,
  eventTypes,
  granted,
  group,
  noon,
  person,
  refused,
  settle,
  tools,
  work,
} from "./support.ts";

let db: Database;
beforeAll(async () => {
  db = await memoryDatabase();
});
afterEach(() => wipe(db));

const scim = (label: string, more: Partial<NewApp> = {}): NewApp => ({
  label,
  kind: "scim",
  config: { url: "https://scim.example/v2", token: "t0p-secret" },
  ...more,
});
const make = async (input: NewApp) => granted(await createApp(commandAt(db), input, tools));
const change = async (id: string, to: Parameters<typeof updateApp>[2]) => updateApp(commandAt(db), id, to, tools);
const workRows = () =>
  db
    .selectFrom("work")
    .select(["account_id", "due_at", "unsure", "attempts", "fault", "claimed_by"])
    .orderBy("account_id")
    .execute();

describe("creating", () => {
  test("an app with a connector starts with every switch its connector can serve", async () => {
    const app = await make(scim("Payroll"));
    expect(app).toMatchObject({
      status: "ACTIVE",
      name: "tenure_payroll_1",
      sourcing: null,
      config: { url: "https://scim.example/v2" },
    });
    expect(app.provisioning).toEqual({
      create: true,
      update: true,
      on_unassign: "disable",
      on_suspend: "disable",
      state: true,
      password: "random",
      match_attribute: "userName",
      concurrency: 16,
      rate_per_s: null,
      reconcile_hours: 24,
    });
  });

  test("an app without connector has nothing to switch on, and still says who has it", async () => {
    const app = await make({ label: "Wiki", kind: "none" });
    expect(app.provisioning).toMatchObject({ create: false, update: false, password: "none" });
    expect(refused(await change(app.id, { provisioning: { create: true } })).refused).toContain("no connector");
    expect(refused(await change(app.id, { config: { url: "x" } })).place).toBe("config");
    expect(granted(await change(app.id, { label: "Wiki 2", config: {} })).label).toBe("Wiki 2");
  });

  test("credentials are sealed and in no row, answer or event; an update that leaves them out keeps them", async () => {
    const app = await make(scim("Payroll"));
    granted(await change(app.id, { config: { url: "https://scim.example/v2", page: 50 } }));
    expect(await readCredentials(db, tools.key, app.id, noon)).toEqual({ token: "t0p-secret" });
    const everything = JSON.stringify([
      await db.selectFrom("apps").selectAll().execute(),
      await db.selectFrom("events").selectAll().execute(),
    ]);
    expect(everything).not.toContain("t0p-secret");
  });

  test("credentials are not sent to another address than the one they were given for", async () => {
    const app = await make(scim("Payroll"));
    const answer = refused(await change(app.id, { config: { url: "https://evil.example/v2" } }));
    expect(answer).toMatchObject({ code: "invalid", place: "config.token" });
    granted(await change(app.id, { config: { url: "https://new.example/v2", token: "fresh" } }));
    expect(await readCredentials(db, tools.key, app.id, noon)).toEqual({ token: "fresh" });
    granted(await change(app.id, { config: { url: "https://new.example/v2", token: null } }));
    expect(await readCredentials(db, tools.key, app.id, noon)).toEqual({});
  });

  test("names are numbered where the squeezed label is taken, labels are unique without case", async () => {
    await make(scim("Pay-Roll"));
    expect((await make(scim("payroll"))).name).toBe("tenure_payroll_2");
    expect(refused(await createApp(commandAt(db), scim("PAYROLL"), tools))).toMatchObject({
      code: "duplicate",
      place: "label",
    });
    expect((await appByIdOrLabel(db, "pay-ROLL"))?.name).toBe("tenure_payroll_1");
  });

  test.each<[string, NewApp, string]>([
    ["the kind is unknown", { label: "X", kind: "teleport" }, "kind"],
    ["the configuration lacks a field", scim("X", { config: {} }), "config.url"],
    ["a switch is unknown", scim("X", { provisioning: { turbo: true } as never }), "provisioning.turbo"],
    [
      "a switch has no such value",
      scim("X", { provisioning: { on_unassign: "explode" } as never }),
      "provisioning.on_unassign",
    ],
    ["a number is out of bounds", scim("X", { provisioning: { concurrency: 0 } }), "provisioning.concurrency"],
    [
      "the connector cannot do it",
      { ...scim("X", { provisioning: { password: "random" } }), kind: "plain" },
      "provisioning.password",
    ],
    ["the label is empty", scim("  "), "label"],
    ["the name cannot stand in an expression", scim("X", { name: "a-b" }), "name"],
  ])("is refused when %s", async (_, input, place) => {
    expect(refused(await createApp(commandAt(db), input, tools))).toMatchObject({ place });
    expect(await listApps(db)).toEqual([]);
  });
});

describe("switches", () => {
  test("turning provisioning on after people were assigned marks all of them and looks for every account", async () => {
    const app = await make(scim("Payroll", { provisioning: { create: false, update: false } }));
    const [ada, bob, cy, dan] = [
      await person(db, "ada"),
      await person(db, "bob"),
      await person(db, "cy"),
      await person(db, "dan"),
    ];
    const had = await account(db, app.id, ada, { external_id: null, have: null });
    await account(db, app.id, bob, { assigned: false });
    const members = await group(db, "Clerks", [cy]);
    await sql`insert into group_assignments (app_id, group_id, priority) values (${app.id}, ${members}, 0)`.execute(db);
    await settle(db);
    granted(await change(app.id, { provisioning: { create: true, update: true } }));
    expect(await dirtyUsers(db)).toEqual([ada, bob, cy]);
    expect(await dirtyUsers(db)).not.toContain(dan);
    expect(await workRows()).toMatchObject([{ account_id: had, due_at: noon, unsure: true }]);
  });

  test("an app assigned to Everyone concerns all who are not deactivated", async () => {
    const app = await make(scim("Mail"));
    const ada = await person(db, "ada");
    await person(db, "gone", {}, "DEPROVISIONED");
    const everyone = await group(db, "Everyone", [], "BUILT_IN");
    await sql`insert into group_assignments (app_id, group_id, priority) values (${app.id}, ${everyone}, 0)`.execute(
      db,
    );
    await settle(db);
    granted(await deactivateApp(commandAt(db), app.id));
    expect(await dirty(db)).toEqual([{ user_id: ada, priority: 20 }]);
  });

  test("accounts are found by an attribute that the app has", async () => {
    const { id } = await make(scim("Chat"));
    expect(refused(await change(id, { provisioning: { match_attribute: "emial" } }))).toMatchObject({
      place: "provisioning.match_attribute",
      refused: "provisioning.match_attribute: the app has no attribute emial: did you mean email?",
    });
    expect(granted(await change(id, { provisioning: { match_attribute: "email" } })).provisioning).toMatchObject({
      match_attribute: "email",
    });
  });

  test("settings, labels and limits mark nobody", async () => {
    const app = await make(scim("Payroll"));
    await account(db, app.id, await person(db, "ada"));
    await settle(db);
    granted(
      await change(app.id, { label: "Pay", settings: { notes: "x" }, provisioning: { concurrency: 2, rate_per_s: 5 } }),
    );
    expect(await dirtyUsers(db)).toEqual([]);
    expect(await workRows()).toEqual([]);
  });

  test("a claim that is under way loses its hold when the app is switched, so it cannot confirm the mark away", async () => {
    const app = await make(scim("Payroll", { provisioning: { update: false } }));
    const id = await account(db, app.id, await person(db, "ada"));
    await work(db, id, null, noon);
    await sql`update work set claimed_by = 'node:1', claimed_until = ${at(1)}::timestamptz`.execute(db);
    granted(await change(app.id, { provisioning: { update: true } }));
    expect(await workRows()).toMatchObject([{ claimed_by: null, unsure: true, due_at: noon }]);
  });

  test("deleting needs a deactivated app, and takes along schema, secrets, grants and imported groups", async () => {
    const app = await make(scim("HR", { sourcing: {} }));
    const ada = await person(db, "ada");
    const imported = await group(db, "HR staff", [ada], "APP_GROUP");
    await sql`update groups set source_app_id = ${app.id}, external_id = 'g1' where id = ${imported}`.execute(db);
    await account(db, app.id, ada);
    expect(refused(await deleteApp(commandAt(db), app.id))).toMatchObject({ code: "illegal_transition" });
    granted(await deactivateApp(commandAt(db), app.id));
    await settle(db);
    granted(await deleteApp(commandAt(db), app.id));
    expect(await dirtyUsers(db)).toEqual([ada]);
    for (const table of [
      "apps",
      "accounts",
      "schemas",
      "secrets",
      "mappings",
      "groups",
      "membership_grants",
    ] as const) {
      expect(await db.selectFrom(table).selectAll().execute(), table).toEqual([]);
    }
    expect(await db.selectFrom("users").select("id").execute()).toHaveLength(1);
  });

  test("activating what is active says nothing and marks nobody", async () => {
    const app = await make(scim("Payroll"));
    granted(await activateApp(commandAt(db), app.id));
    expect((await eventTypes(db)).filter((type) => type === "application.lifecycle.activate")).toEqual([]);
  });
});

describe("sources", () => {
  test.each([
    ["no attribute of users", ["logn"], /users have no attribute logn: did you mean login\?/],
    ["one of two that is none", ["lastName", "shoe_size"], /users have no attribute shoe_size: define it first/],
    ["a name that objects have by themselves", ["__proto__"], /users have no attribute __proto__/],
  ])("what rows are matched on is refused where it is %s", async (_name, match_on, why) => {
    const wrong = { code: "invalid", place: "sourcing.match_on", refused: expect.stringMatching(why) };
    expect(refused(await createApp(commandAt(db), scim("HR", { sourcing: { match_on } }), tools))).toMatchObject(wrong);
    const app = await make(scim("HR", { sourcing: {} }));
    expect(refused(await change(app.id, { sourcing: { match_on } }))).toMatchObject(wrong);
    expect(granted(await change(app.id, { sourcing: { match_on: ["email"] } })).sourcing?.match_on).toEqual(["email"]);
  });

  test("so are the attributes whose likeness counts, of several ways to match each one", async () => {
    const weights = { lastName: 4, firstName: 3, shoe_size: 1 };
    expect(
      refused(
        await createApp(commandAt(db), scim("HR", { sourcing: { match_partial: { at_least: 75, weights } } }), tools),
      ),
    ).toMatchObject({
      place: "sourcing.match_partial",
      refused: expect.stringMatching(/users have no attribute shoe_size/),
    });
    const match_on = [["login"], ["lastName", "emial"]];
    expect(refused(await createApp(commandAt(db), scim("HR", { sourcing: { match_on } }), tools)).refused).toMatch(
      /no attribute emial: did you mean email\?/,
    );
  });

  test("a new source comes last, sources are put in order, and a source that is switched off leaves the order", async () => {
    const [hr, ad] = [
      await make(scim("HR", { sourcing: {} })),
      await make(scim("AD", { sourcing: { on_inactive: "suspend" } })),
    ];
    expect([hr.source_priority, ad.source_priority]).toEqual([0, 1]);
    expect(ad.sourcing).toMatchObject({ on_inactive: "suspend", match_on: ["login"], guard_percent: 20 });
    expect(granted(await orderSources(commandAt(db), [ad.id])).map((app) => app.label)).toEqual(["AD", "HR"]);
    expect(granted(await change(hr.id, { sourcing: null }))).toMatchObject({ sourcing: null, source_priority: null });
    expect((await listApps(db, { sources: true })).map((app) => app.label)).toEqual(["AD"]);
    expect(refused(await orderSources(commandAt(db), [hr.id])).code).toBe("invalid");
  });

  test.each([
    ["a combination", { match_on: ["lastName", "employeeNumber"] }],
    ["several combinations", { match_on: [["login"], ["lastName", "employeeNumber"]] }],
    ["likeness", { match_partial: { at_least: 80 } }],
    ["likeness by weights", { match_partial: { at_least: 50, weights: { lastName: 2, firstName: 1 } } }],
    ["no likeness", { match_partial: null }],
  ])("%s to match on is kept as it was given", async (_name, sourcing) => {
    const { id } = await make(scim("HR", { sourcing: {} }));
    expect(granted(await change(id, { sourcing })).sourcing).toMatchObject(sourcing);
  });

  test("likeness may be asked for, or not, in a word", async () => {
    const { id } = await make(scim("HR", { sourcing: {} }));
    const after = async (match_partial: unknown) =>
      granted(await change(id, { sourcing: { match_partial } as Partial<Sourcing> })).sourcing?.match_partial;
    expect([await after(true), await after(false)]).toEqual([{ at_least: 75 }, null]);
  });

  const eleven = Array.from({ length: 11 }, (_, n) => `a${n}`);
  test.each([
    ["nothing", { match_on: [] }, "match_on"],
    ["a combination of nothing", { match_on: [["login"], []] }, "match_on"],
    ["names and combinations at once", { match_on: ["login", ["email"]] }, "match_on"],
    ["too many names", { match_on: eleven }, "match_on"],
    ["too many combinations", { match_on: eleven.map((name) => [name]) }, "match_on"],
    ["how alike unsaid", { match_partial: {} }, "at_least"],
    ["how alike in words", { match_partial: "very" }, "match_partial"],
    ["too little likeness", { match_partial: { at_least: 49 } }, "at_least"],
    ["too much likeness", { match_partial: { at_least: 101 } }, "at_least"],
    ["weights without a name", { match_partial: { at_least: 75, weights: { lastName: 1 } } }, "firstName"],
    ["a weight of nothing", { match_partial: { at_least: 75, weights: { lastName: 1, firstName: 0 } } }, "firstName"],
  ])("%s to match on is refused, and the words name the switch", async (_name, sourcing, words) => {
    const { id } = await make(scim("HR", { sourcing: {} }));
    const { code, refused: why } = refused(await change(id, { sourcing: sourcing as unknown as Partial<Sourcing> }));
    expect([code, why]).toEqual(["invalid", expect.stringContaining(words)]);
    expect(why).not.toContain("Invalid input");
  });
});

describe("health", () => {
  async function stuck() {
    const app = await make(scim("Payroll"));
    const ids = [];
    for (const fault of ["denied", "invalid", "conflict"]) {
      const id = await account(db, app.id, await person(db, fault));
      await work(db, id, fault);
      ids.push(id);
    }
    return { app, ids };
  }

  test("new credentials resume an app that a fault had paused and try again what was parked", async () => {
    const { app, ids } = await stuck();
    await sql`
      update app_health set paused_until = ${at(60)}::timestamptz, pause_fault = 'denied', pause_reason = 'token expired'`.execute(
      db,
    );
    await raiseTasks(commandAt(db), [
      { kind: "app_paused", title: "refused", dedupe: `app:${app.id}:denied`, app_id: app.id },
    ]);
    granted(await change(app.id, { config: { url: "https://scim.example/v2", token: "new" } }));
    expect(await appHealth(db, noon, [app.id])).toMatchObject([
      { state: "ok", pause_fault: null, due: 2, faulted: 3, parked: 1 },
    ]);
    expect((await workRows()).filter((row) => row.due_at !== null).map((row) => row.account_id)).toEqual(
      ids.slice(0, 2),
    );
    expect(await db.selectFrom("tasks").select("status").execute()).toEqual([{ status: "DONE" }]);
  });

  test("an administrator's pause outlives a change of configuration and ends by resume", async () => {
    const app = await make(scim("Payroll"));
    granted(await pauseApp(commandAt(db), app.id, { reason: "migration weekend" }));
    granted(await change(app.id, { config: { url: "https://scim.example/v2", token: "new" } }));
    expect(await appHealth(db, at(1e6), [app.id])).toMatchObject([
      { state: "paused", pause_reason: "migration weekend" },
    ]);
    expect(granted(await resumeApp(commandAt(db), app.id))).toMatchObject({ state: "ok", paused_until: null });
    expect(refused(await pauseApp(commandAt(db), app.id, { reason: " " })).place).toBe("reason");
    expect(refused(await pauseApp(commandAt(db), app.id, { reason: "x", until: at(-1) })).place).toBe("until");
  });

  test("retrying takes the named fault or accounts only, looks before it writes, and forgets the attempts", async () => {
    const { app, ids } = await stuck();
    expect(await retryFaulted(commandAt(db), { app_id: app.id, faults: ["conflict"] })).toEqual({
      accounts: 1,
      groups: 0,
    });
    expect(await retryFaulted(commandAt(db), { app_id: app.id, account_ids: [ids[0] ?? ""] })).toEqual({
      accounts: 1,
      groups: 0,
    });
    expect((await workRows()).map((row) => [row.due_at === null, row.unsure, row.attempts])).toEqual([
      [false, true, 0],
      [true, false, 3],
      [false, true, 0],
    ]);
  });
});

describe("licences", () => {
  test("seats used are enabled accounts", async () => {
    const app = await make(scim("Payroll"));
    await account(db, app.id, await person(db, "ada"));
    await account(db, app.id, await person(db, "bob"), { have: { enabled: false, profile: {} } });
    await account(db, app.id, await person(db, "cy"), { have: null, external_id: null });
    expect(await seatCount(db, app.id)).toBe(1);
    expect(granted(await setLicence(commandAt(db), app.id, { seats: 5, expires_at: null }))).toMatchObject({
      seats: 5,
      used: 1,
    });
    expect(refused(await setLicence(commandAt(db), app.id, { seats: 1.5, expires_at: null })).place).toBe("seats");
  });

  test("when a licence ends its people are marked as leavers, once; renewing it marks them again", async () => {
    const app = await make(scim("Payroll"));
    const ada = await person(db, "ada");
    await account(db, app.id, ada);
    await settle(db);
    granted(await setLicence(commandAt(db), app.id, { seats: null, expires_at: at(10) }));
    expect(await dirtyUsers(db)).toEqual([]);
    expect(await expireLicences(commandAt(db), at(9))).toBe(0);
    expect(await expireLicences(commandAt(db), at(10))).toBe(1);
    expect(await dirty(db)).toEqual([{ user_id: ada, priority: 0 }]);
    expect(await expireLicences(commandAt(db), at(11))).toBe(0);
    await settle(db);
    await sql`update accounts set assigned = false`.execute(db);
    expect(await expireLicences(commandAt(db), at(12))).toBe(0);
    granted(await setLicence(commandAt(db, at(12)), app.id, { seats: null, expires_at: null }));
    expect(await dirty(db)).toEqual([{ user_id: ada, priority: 20 }]);
  });
});
