import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Command } from "../../src/directory/command.ts";
import { verifyPassword } from "../../src/directory/password.ts";
import { loadSchema } from "../../src/directory/schemaQueries.ts";
import { defineAttributes, removeAttributes } from "../../src/directory/schemas.ts";
import { setSetting } from "../../src/directory/settings.ts";
import { transitionUser } from "../../src/directory/userLifecycle.ts";
import { countUsers, getUser, listUsers, userAsOf } from "../../src/directory/userQueries.ts";
import { createUsers, createUsersEach, type NewUser, updateUsers, updateUsersEach } from "../../src/directory/users.ts";
import { type Database, isRefusal, json, sql } from "../../src/store/database.ts";
import { memoryDatabase } from "../support/memory.ts";
import {
  accepted,
  clean,
  counting,
  dirtyUsers,
  eventTypes,
  freshCompany,
  hire,
  lastEvent,
  profileOf,
  refused,
  type SetTime,
} from "./company.ts";

let db: Database;
let command: Command;
let setTime: SetTime;

beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  ({ command, setTime } = await freshCompany(db));
});

describe("creating people", () => {
  const cases: [string, Partial<NewUser>, string][] = [
    ["waits when not activated", { activate: false }, "STAGED"],
    ["waits with a stored password when not activated", { activate: false, password: "correct horse" }, "STAGED"],
    ["waits for the start date", { starts_at: new Date("2026-03-09T08:00:00Z") }, "STAGED"],
    ["is pending without a password", {}, "PROVISIONED"],
    ["is active with a password", { password: "correct horse" }, "ACTIVE"],
    [
      "must change a password that serves once",
      { password: "correct horse", must_change_password: true },
      "PASSWORD_EXPIRED",
    ],
    ["is active when credentials live elsewhere", { provider: { type: "FEDERATION", name: "idp" } }, "ACTIVE"],
  ];
  it.each(cases)("a new person %s", async (_, input, status) => {
    const [ada] = await hire(command, ["Ada"], input);
    expect(ada.status).toBe(status);
    const activated = status === "STAGED" ? [] : ["user.lifecycle.activate"];
    expect(await eventTypes(db)).toEqual(["user.lifecycle.create", ...activated]);
    const cause = activated[0] ?? "user.lifecycle.create";
    expect(await dirtyUsers(db)).toEqual(new Map([[ada.id, { priority: 10, cause }]]));
  });

  it("keeps only a hash of the password, and knows it again", async () => {
    const [ada] = await hire(command, ["Ada"], { password: "correct horse" });
    const { rows } = await sql<{ text: string }>`select users::text as text from users`.execute(db);
    expect(rows[0]?.text).not.toContain("correct horse");
    const hash = ada.credentials.password_hash ?? "";
    expect(await verifyPassword("correct horse", hash)).toBe(true);
    expect(await verifyPassword("correct horsf", hash)).toBe(false);
  });

  it("refuses a login that exists in another case, naming the person who has it", async () => {
    await hire(command, ["Ada"]);
    const again = refused(await createUsers(command, [{ profile: profileOf("Other", { login: "ADA@Example.org" }) }]));
    expect(again).toMatchObject({ code: "duplicate", place: "login" });
    expect(again.refused).toContain("ada@example.org");
    expect(await countUsers(db)).toBe(1);
  });

  it("refuses the second of two people with one login in the same set, and keeps the good rows when asked row by row", async () => {
    const inputs = [profileOf("Ada"), profileOf("Ada"), profileOf("Bo", { email: "nonsense" }), profileOf("Cy")].map(
      (profile) => ({ profile }),
    );
    const results = accepted(await createUsersEach(command, inputs));
    expect(results.map((one) => (isRefusal(one) ? one.place : one.login))).toEqual([
      "ada@example.org",
      "login",
      "email",
      "cy@example.org",
    ]);
    expect(isRefusal(results[2]) && results[2].refused).toContain("bo@example.org");
    expect(refused(await createUsers(command, inputs)).code).toBe("duplicate");
  });

  it("scenario 19: a unique attribute is refused twice, and no value never conflicts", async () => {
    accepted(await defineAttributes(command, "user", [{ name: "badge", type: "string", unique: true }]));
    await hire(command, ["Ada"], { profile: { badge: "B-1" } });
    await hire(command, ["Bo", "Cy"]);
    const again = refused(await createUsers(command, [{ profile: profileOf("Di", { badge: "B-1" }) }]));
    expect(again).toMatchObject({ code: "duplicate", place: "badge" });
    expect(again.refused).toMatch(/di@example\.org.*ada@example\.org/);
    const bo = await getUser(db, "bo@example.org");
    const change = refused(await updateUsers(command, [{ id: bo?.id ?? "", profile: { badge: "B-1" } }]));
    expect(change).toMatchObject({ code: "duplicate", place: "badge" });
    // The index itself, whoever writes.
    const raw = sql`update users set profile = profile || '{"badge":"B-1"}' where id = ${bo?.id}`.execute(db);
    await expect(raw).rejects.toMatchObject({ constraint: "users_unique_badge" });
  });

  it("makes an attribute unique only when nobody shares a value, and says who does", async () => {
    accepted(await defineAttributes(command, "user", [{ name: "badge", type: "string" }]));
    await hire(command, ["Ada", "Bo"], { profile: { badge: "same" } });
    const result = refused(await defineAttributes(command, "user", [{ name: "badge", type: "string", unique: true }]));
    expect(result.refused).toContain("ada@example.org, bo@example.org");
  });

  it("creates a thousand people in a bounded number of statements", async () => {
    accepted(await defineAttributes(command, "user", [{ name: "badge", type: "string", unique: true }]));
    const inputs = Array.from({ length: 1000 }, (_, n) => ({ profile: profileOf(`P${n}`, { badge: `b${n}` }) }));
    const { counted, count } = counting(db);
    const users = accepted(await createUsers({ ...command, db: counted }, inputs));
    expect(users.map((user) => user.login)).toEqual(
      inputs.map(({ profile }) => String(profile["login"]).toLowerCase()),
    );
    expect(count()).toBeLessThan(15);
    const update = counting(db);
    const changed = accepted(
      await updateUsers(
        { ...command, db: update.counted },
        users.map((user, n) => ({ id: user.id, profile: { title: n % 2 === 0 ? "Even" : null } })),
      ),
    );
    expect(changed.filter((one) => one.changed)).toHaveLength(500);
    expect(update.count()).toBeLessThan(15);
  });
});

describe("changing people", () => {
  it("writes, logs and marks only what differs, and tells before and after", async () => {
    const [ada, bo] = await hire(command, ["Ada", "Bo"]);
    await clean(db);
    const start = await lastEvent(db);
    const [first, second] = accepted(
      await updateUsers(command, [
        { id: ada.id, profile: { department: "Sales", title: null } },
        { id: bo.id, profile: { firstName: "Bo" } },
      ]),
    );
    expect(first).toMatchObject({
      changed: true,
      changes: [{ attribute: "department", before: null, after: "Sales" }],
    });
    expect(second).toMatchObject({ changed: false, changes: [] });
    expect(await eventTypes(db, start)).toEqual(["user.account.update_profile"]);
    expect([...(await dirtyUsers(db)).keys()]).toEqual([ada.id]);
    const { rows } = await sql<{ detail: unknown }>`select detail from events order by seq desc limit 1`.execute(db);
    expect(rows[0]?.detail).toEqual({ changes: { department: { before: null, after: "Sales" } } });
  });

  it("clears with null, keeps what is absent, and replaces the whole profile when asked", async () => {
    const [ada] = await hire(command, ["Ada"], { profile: { title: "Dr", city: "Rome" } });
    const [partial] = accepted(await updateUsers(command, [{ id: ada.id, profile: { title: null } }]));
    expect(partial?.user.profile).toEqual(profileOf("Ada", { city: "Rome" }));
    const [whole] = accepted(
      await updateUsers(command, [{ id: ada.id, profile: profileOf("Ada", { title: "Prof" }), replace: true }]),
    );
    expect(whole?.user.profile).toEqual(profileOf("Ada", { title: "Prof" }));
  });

  it("never writes a sensitive value into the log", async () => {
    accepted(await defineAttributes(command, "user", [{ name: "salary", type: "string", sensitive: true }]));
    const [ada] = await hire(command, ["Ada"]);
    accepted(await updateUsers(command, [{ id: ada.id, profile: { salary: "secret-42" } }]));
    const { rows } = await sql<{ text: string }>`select events::text as text from events`.execute(db);
    expect(rows.map((row) => row.text).join()).not.toContain("secret-42");
    expect(rows.at(-1)?.text).toContain("(hidden)");
  });

  it("closes profiles of deactivated people unless the setting opens them", async () => {
    const [ada] = await hire(command, ["Ada"]);
    accepted(await transitionUser(command, ada.id, { kind: "deactivate" }));
    const change = [{ id: ada.id, profile: { title: "Dr" } }];
    expect(refused(await updateUsers(command, change))).toMatchObject({ code: "forbidden" });
    accepted(await setSetting(command, "edit_deactivated_users", true));
    expect(accepted(await updateUsers(command, change))[0]).toMatchObject({ changed: true });
  });

  it("marks direct reports only when an expression reads managers", async () => {
    const [boss] = await hire(command, ["Boss"]);
    const [ada] = await hire(command, ["Ada"], { profile: { managerId: boss.id } });
    const [bo] = await hire(command, ["Bo"], { profile: { managerId: "boss@example.org" } });
    await clean(db);
    accepted(await updateUsers(command, [{ id: boss.id, profile: { title: "CEO" } }]));
    expect([...(await dirtyUsers(db)).keys()]).toEqual([boss.id]);
    await sql`insert into apps (id, name, label, kind) values ('0oa1', 'x', 'X', 'none')`.execute(db);
    const lines = { manager: { expression: 'getManagerUser("x").title' } };
    await sql`insert into mappings (app_id, direction, lines) values ('0oa1', 'to_app', ${json(lines)})`.execute(db);
    accepted(await updateUsers(command, [{ id: boss.id, profile: { title: "Chair" } }]));
    expect([...(await dirtyUsers(db)).keys()]).toEqual([boss.id, ada.id, bo.id]);
  });

  it("refuses row by row when asked, and applies two changes of one person in order", async () => {
    const [ada, bo] = await hire(command, ["Ada", "Bo"]);
    const results = accepted(
      await updateUsersEach(command, [
        { id: ada.id, profile: { title: "One" } },
        { id: ada.id, profile: { city: "Rome" } },
        { id: bo.id, profile: { login: "ada@example.org" } },
        { id: "00unobody", profile: {} },
        { id: bo.id, profile: { nonsense: 1 } },
      ]),
    );
    expect(results.map((one) => (isRefusal(one) ? one.code : one.changed))).toEqual([
      true,
      true,
      "duplicate",
      "not_found",
      "invalid",
    ]);
    expect((await getUser(db, ada.id))?.profile).toMatchObject({ title: "One", city: "Rome" });
  });
});

describe("reading people", () => {
  it("finds by id, by login in any case, and by an unambiguous beginning of it", async () => {
    const [isaac] = await hire(command, ["Isaac"]);
    await hire(command, ["Ada"]);
    await hire(command, ["Ada2"], { profile: { login: "ada@other.org" } });
    for (const text of [isaac.id, "isaac@example.org", "ISAAC@example.org", "isaac"]) {
      expect((await getUser(db, text))?.id).toBe(isaac.id);
    }
    expect(await getUser(db, "ada")).toBeUndefined();
    expect(await getUser(db, "isa")).toBeUndefined();
  });

  it("pages by id without losing or repeating anyone", async () => {
    await hire(command, ["Ada", "Bo", "Cy", "Di", "Ed"]);
    const seen: string[] = [];
    for (let after: string | undefined; ; after = seen.at(-1)) {
      const page = await listUsers(db, {}, { limit: 2, ...(after === undefined ? {} : { after }) });
      seen.push(...page.map((user) => user.id));
      if (page.length < 2) break;
    }
    expect(new Set(seen).size).toBe(5);
    expect(await listUsers(db, { q: "c" }, { limit: 10 })).toHaveLength(1);
    expect(await countUsers(db, { where: sql`u.login = 'ed@example.org'` })).toBe(1);
  });

  it("tells how a person was on a past day", async () => {
    const [ada] = await hire(command, ["Ada"], { profile: { department: "Sales" } });
    await setTime("2026-04-01T09:00:00Z");
    accepted(await updateUsers(command, [{ id: ada.id, profile: { department: "Legal" } }]));
    await setTime("2026-05-01T09:00:00Z");
    const at = async (day: string) => (await userAsOf(db, ada.id, new Date(day)))?.profile["department"];
    expect(await at("2026-03-15")).toBe("Sales");
    expect(await at("2026-04-15")).toBe("Legal");
    expect(await at("2026-01-01")).toBeUndefined();
  });
});

describe("schemas", () => {
  it("removing an attribute takes its values out of every profile and computes those people again", async () => {
    accepted(await defineAttributes(command, "user", [{ name: "badge", type: "string", unique: true }]));
    const [ada] = await hire(command, ["Ada"], { profile: { badge: "1" } });
    await hire(command, ["Bo"]);
    await clean(db);
    accepted(await removeAttributes(command, "user", ["badge"]));
    expect((await getUser(db, ada.id))?.profile).toEqual(profileOf("Ada"));
    expect([...(await dirtyUsers(db)).keys()]).toEqual([ada.id]);
    expect((await loadSchema(db, "user"))?.attributes.some(({ name }) => name === "badge")).toBe(false);
    const { rows } = await sql`select from pg_indexes where indexname = 'users_unique_badge'`.execute(db);
    expect(rows).toHaveLength(0);
  });

  it("keeps base attributes", async () => {
    expect(refused(await removeAttributes(command, "user", ["email"]))).toMatchObject({ place: "email" });
  });
});
