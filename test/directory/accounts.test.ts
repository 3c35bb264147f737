import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type AccountView,
  accountById,
  accountOf,
  accountsAsOf,
  decideOrphans,
  listAccounts,
  listOrphans,
  orphanCursor,
} from "../../src/directory/accounts.ts";
import { pauseApp } from "../../src/directory/appHealth.ts";
import { type App, createApp } from "../../src/directory/apps.ts";
import { assignUsers, unassignUsers } from "../../src/directory/assignments.ts";
import { completeTask, completeTasks } from "../../src/directory/completion.ts";
import { listTasks, raiseTasks } from "../../src/directory/tasks.ts";
import { type Database, json, sql } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { account, at, commandAt, eventTypes, granted, noon, person, refused, settle, tools, work } from "./support.ts";

let db: Database;
let app: App;
let ada: string;

beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  app = granted(
    await createApp(commandAt(db), { label: "Payroll", kind: "scim", config: { url: "https://pay.example" } }, tools),
  );
  ada = await person(db, "ada");
});
afterEach(() => wipe(db));

const state = (view: AccountView | undefined) => view && [view.status, view.sync_state, view.scope];
const viewOf = (user_id = ada, now = noon) => accountOf(db, app.id, user_id, now);
const grant = { scope: "GROUP", source_id: "00gclerks", kind: "group" };

describe("the view of an account", () => {
  test("an assignment shows at once as STAGED, and its end at once as not assigned", async () => {
    expect(await viewOf()).toBeUndefined();
    granted(await assignUsers(commandAt(db), app.id, [{ user_id: ada, profile: { role: "clerk" } }]));
    expect(await viewOf()).toMatchObject({ id: null, profile: { role: "clerk" }, login: "ada@example.com" });
    expect(state(await viewOf())).toEqual(["STAGED", "OUT_OF_SYNC", "USER"]);
    await account(db, app.id, ada);
    await settle(db);
    expect(state(await viewOf())).toEqual(["PROVISIONED", "SYNCHRONIZED", "USER"]);
    granted(await unassignUsers(commandAt(db), app.id, [ada]));
    expect(state(await viewOf())).toEqual(["REVOKED", "OUT_OF_SYNC", null]);
  });

  test("a group's account names its first granting group, and an own grant beside it makes it the person's", async () => {
    const id = await account(db, app.id, ada);
    await sql`update accounts set grants = ${json([grant])}`.execute(db);
    expect(await viewOf()).toMatchObject({ id, scope: "GROUP", group_id: "00gclerks" });
    expect(await accountById(db, id, noon)).toEqual(await viewOf());
    granted(await assignUsers(commandAt(db), app.id, [{ user_id: ada }]));
    expect(await viewOf()).toMatchObject({ scope: "USER", group_id: null });
  });

  test("faults, claims and marks show in the sync state", async () => {
    const id = await account(db, app.id, ada);
    granted(await assignUsers(commandAt(db), app.id, [{ user_id: ada }]));
    await settle(db);
    await work(db, id, "invalid");
    expect(await viewOf()).toMatchObject({ sync_state: "ERROR", fault: "invalid", attempts: 3 });
    await sql`update work set claimed_until = ${at(1)}::timestamptz`.execute(db);
    expect((await viewOf())?.sync_state).toBe("SYNCING");
    expect((await viewOf(ada, at(2)))?.sync_state).toBe("ERROR");
  });

  test("an import's account is ACTIVE, and an app without connector has only ACTIVE ones", async () => {
    await account(db, app.id, ada);
    granted(await assignUsers(commandAt(db), app.id, [{ user_id: ada, kind: "import", source_id: app.id }]));
    await settle(db);
    expect(state(await viewOf())).toEqual(["ACTIVE", "SYNCHRONIZED", "USER"]);
    const wiki = granted(await createApp(commandAt(db), { label: "Wiki", kind: "none" }, tools));
    granted(await assignUsers(commandAt(db), wiki.id, [{ user_id: ada }]));
    expect(state(await accountOf(db, wiki.id, ada, noon))).toEqual(["ACTIVE", "DISABLED", "USER"]);
  });

  test("an account that the app was allowed to keep is UNASSIGNED", async () => {
    await account(db, app.id, ada, { assigned: false });
    await sql`update accounts set released_at = ${noon}::timestamptz`.execute(db);
    expect(state(await viewOf())).toEqual(["UNASSIGNED", "DISABLED", null]);
  });
});

describe("lists", () => {
  test("pages of an app's people neither repeat nor skip, whether or not the engine has made their rows", async () => {
    const people = [ada];
    for (let n = 0; n < 24; n++) people.push(await person(db, `p${n}`));
    granted(
      await assignUsers(
        commandAt(db),
        app.id,
        people.slice(0, 15).map((user_id) => ({ user_id })),
      ),
    );
    for (const user_id of people.slice(10)) {
      await account(db, app.id, user_id);
      await sql`update accounts set grants = ${json([grant])}`.execute(db);
    }
    const seen: string[] = [];
    for (let after = ""; ; ) {
      const page = await listAccounts(db, { app_id: app.id, after, limit: 7 }, noon);
      seen.push(...page.map((view) => view.user_id));
      if (page.length < 7) break;
      after = page.at(-1)?.user_id ?? "";
    }
    expect(seen).toEqual(people);
  });

  test("ended accounts are in the whole list only; faulty ones can be picked, and people found by name", async () => {
    const [bob, cy] = [await person(db, "bob"), await person(db, "cy", { firstName: "Cyrus" })];
    await account(db, app.id, bob, { assigned: false, want: null, have: null, external_id: null });
    granted(await assignUsers(commandAt(db), app.id, [{ user_id: ada }, { user_id: cy }]));
    const faulty = await account(db, app.id, cy);
    await work(db, faulty, "conflict");
    const users = async (filter: object) =>
      (await listAccounts(db, { app_id: app.id, ...filter }, noon)).map((view) => view.user_id);
    expect(await users({})).toEqual([ada, cy]);
    expect(await users({ which: "all" })).toEqual([ada, bob, cy]);
    expect(await users({ fault: "any" })).toEqual([cy]);
    expect(await users({ fault: "invalid" })).toEqual([]);
    expect(await users({ q: "CYR" })).toEqual([cy]);
    expect(await users({ q: "a%" })).toEqual([]);
    expect((await listAccounts(db, { user_id: cy }, noon)).map((view) => view.app_label)).toEqual(["Payroll"]);
  });

  test("who had what on a past day can be read back, also of an app that is gone", async () => {
    const clock = (now: Date) => sql`update clock set fixed_at = ${now}::timestamptz`.execute(db);
    await clock(noon);
    const id = await account(db, app.id, ada);
    await clock(at(10));
    await sql`update accounts set assigned = false, have = ${json({ enabled: false, profile: {} })}`.execute(db);
    await clock(at(20));
    await sql`delete from apps`.execute(db);
    const then = async (now: Date) =>
      (await accountsAsOf(db, { user_id: ada }, now)).map((past) => [past.id, past.assigned, past.have?.enabled]);
    expect(await then(at(-1))).toEqual([]);
    expect(await then(at(5))).toEqual([[id, true, true]]);
    expect(await then(at(15))).toEqual([[id, false, false]]);
    expect(await then(at(25))).toEqual([]);
  });

  test("orphans are what apps kept and what was found there, page by page, until someone says to leave them", async () => {
    await account(db, app.id, ada, { assigned: false });
    await sql`update accounts set released_at = ${noon}::timestamptz`.execute(db);
    await sql`
      insert into orphans (app_id, external_id, profile, enabled, seen_at)
      select ${app.id}, 'zz' || n, '{"userName": "ghost"}', true, ${noon}::timestamptz from generate_series(1, 3) n`.execute(
      db,
    );
    const [first] = await listOrphans(db, { limit: 1 });
    expect(first).toMatchObject({ kind: "released", login: "ada@example.com", app_label: "Payroll", enabled: true });
    const rest = await listOrphans(db, { after: first ? orphanCursor(first) : "" });
    expect(rest.map((orphan) => [orphan.kind, orphan.external_id])).toEqual([
      ["found", "zz1"],
      ["found", "zz2"],
      ["found", "zz3"],
    ]);
    expect(await decideOrphans(commandAt(db), app.id, ["zz1", "zz3", "nope"], "ignore")).toBe(2);
    expect((await listOrphans(db, { app_id: app.id })).map((orphan) => orphan.external_id)).toEqual([
      `ext-${ada}`,
      "zz2",
    ]);
    expect(await listOrphans(db, { ignored: true })).toHaveLength(4);
  });
});

describe("manual apps (scenario 17)", () => {
  /** What the engine leaves when the manual connector has said that a person must do it. */
  async function pending(kind: "create" | "remove" | "update", more: Record<string, unknown> = {}) {
    const account_id = await account(db, app.id, ada, { pending: kind, ...more });
    const profile = { userName: "ada", role: "clerk" };
    const [task] = await raiseTasks(commandAt(db), [
      {
        kind: `${kind}_account`,
        title: `${kind} ada`,
        dedupe: `account:${account_id}`,
        account_id,
        app_id: app.id,
        user_id: ada,
        detail: { profile },
      },
    ]);
    return { account_id, task: task?.id ?? "" };
  }
  const fresh = {
    have: null,
    external_id: null,
    want: { enabled: true, create: true, profile: { userName: "ada", role: "clerk" } },
  };

  test("completing a creation makes the account what was asked for: APPROVED becomes PROVISIONED", async () => {
    granted(await assignUsers(commandAt(db), app.id, [{ user_id: ada }]));
    await settle(db);
    const { account_id, task } = await pending("create", fresh);
    expect((await viewOf())?.status).toBe("APPROVED");
    granted(await completeTask(commandAt(db), task, { note: "made it", external_id: "A-77" }));
    expect(await viewOf()).toMatchObject({
      id: account_id,
      status: "PROVISIONED",
      sync_state: "SYNCHRONIZED",
      external_id: "A-77",
      pending: null,
    });
    expect((await viewOf())?.have).toEqual({ enabled: true, profile: { userName: "ada", role: "clerk" } });
    expect(await eventTypes(db)).toEqual(
      expect.arrayContaining(["application.user_membership.approve", "application.user_membership.provision"]),
    );
    expect((await listTasks(db))[0]).toMatchObject({
      status: "DONE",
      closed_by: "00uadmin",
      notes: [{ text: "made it" }],
    });
  });

  test("completing a removal makes the account gone: REVOKED becomes DEPROVISIONED", async () => {
    const { task } = await pending("remove", { assigned: false, want: { enabled: false, create: false, profile: {} } });
    expect((await viewOf())?.status).toBe("REVOKED");
    granted(await completeTask(commandAt(db), task));
    expect(await viewOf()).toMatchObject({ status: "DEPROVISIONED", external_id: null, have: null });
    expect(await eventTypes(db)).toContain("application.user_membership.deprovision");
    expect(await db.selectFrom("work").selectAll().execute()).toEqual([]);
  });

  test("if more is wanted by then, the account is due again instead of taken for finished", async () => {
    const { task, account_id } = await pending("create", {
      ...fresh,
      want: { enabled: true, create: true, profile: { userName: "ada", role: "boss" } },
    });
    granted(await completeTask(commandAt(db), task));
    expect((await viewOf())?.have?.profile["role"]).toBe("clerk");
    expect(await db.selectFrom("work").select(["account_id", "due_at", "unsure"]).execute()).toEqual([
      { account_id, due_at: noon, unsure: false },
    ]);
  });

  test("an account without an id of its own in the app gets ours, and an id that is taken is refused", async () => {
    const bob = await person(db, "bob");
    await account(db, app.id, bob, { external_id: "A-1" });
    const { task, account_id } = await pending("create", fresh);
    expect(refused(await completeTask(commandAt(db), task, { external_id: "A-1" }))).toMatchObject({
      code: "duplicate",
      place: "external_id",
    });
    granted(await completeTask(commandAt(db), task));
    expect((await viewOf())?.external_id).toBe(account_id);
    expect(refused(await completeTask(commandAt(db), task)).code).toBe("not_found");
  });

  test("thousands are completed in one go", async () => {
    await sql`
      insert into users (status, profile) select 'ACTIVE', jsonb_build_object('login', 'u' || n) from generate_series(1, 2000) n`.execute(
      db,
    );
    await sql`
      insert into accounts (app_id, user_id, assigned, want, pending)
      select ${app.id}, id, true, '{"enabled": true, "create": true, "profile": {"userName": "x"}}', 'create' from users`.execute(
      db,
    );
    const accounts = await db.selectFrom("accounts").select("id").execute();
    const raised = await raiseTasks(
      commandAt(db),
      accounts.map(({ id }) => ({
        kind: "create_account",
        title: "create",
        dedupe: `account:${id}`,
        account_id: id,
        app_id: app.id,
      })),
    );
    expect(
      granted(
        await completeTasks(
          commandAt(db),
          raised.map((task) => task.id),
        ),
      ),
    ).toBe(2_001);
    const { rows } = await sql<{
      n: number;
    }>`select count(*)::int as n from accounts where pending is null and have is not null`.execute(db);
    expect(rows[0]?.n).toBe(2_001);
  });
});

describe("completing other tasks", () => {
  test("a fault that someone mended in the app is tried again, and a paused app resumed", async () => {
    const id = await account(db, app.id, ada);
    await work(db, id, "invalid");
    granted(await pauseApp(commandAt(db), app.id, { reason: "x" }));
    const raised = await raiseTasks(commandAt(db), [
      { kind: "provisioning_fault", title: "f", dedupe: `account:${id}`, account_id: id, app_id: app.id },
      { kind: "app_paused", title: "p", dedupe: `app:${app.id}:denied`, app_id: app.id },
    ]);
    expect(
      granted(
        await completeTasks(
          commandAt(db),
          raised.map((task) => task.id),
        ),
      ),
    ).toBe(2);
    expect(await db.selectFrom("work").select(["due_at", "attempts"]).execute()).toEqual([
      { due_at: noon, attempts: 0 },
    ]);
    expect(await db.selectFrom("app_health").select("paused_until").execute()).toEqual([{ paused_until: null }]);
    expect((await listTasks(db, { status: "OPEN" })).length).toBe(0);
  });
});
