import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { listSettings, readSetting, setSetting } from "../../src/directory/settings.ts";
import { createToken, listTokens, revokeToken, verifyToken } from "../../src/directory/tokens.ts";
import type { Database } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { at, commandAt, eventTypes, granted, noon, person, refused } from "./support.ts";

let db: Database;
beforeAll(async () => {
  db = await memoryDatabase();
});
afterEach(() => wipe(db));

describe("tokens", () => {
  test("a token is 40 characters, shown once, and only its hash is kept", async () => {
    const { token, text } = granted(await createToken(commandAt(db), { name: "CI" }));
    expect(text).toMatch(/^[\w-]{40}$/);
    const rows = JSON.stringify(await db.selectFrom("tokens").selectAll().execute());
    expect(rows).not.toContain(text);
    expect(JSON.stringify(await listTokens(db))).not.toContain("hash");
    expect(JSON.stringify(await db.selectFrom("events").selectAll().execute())).not.toContain(text);
    expect(await verifyToken(db, text, noon)).toEqual({
      ...{ client_id: null, jkt: null, scopes: null, grants: null },
      token_id: token.id,
      name: "CI",
      role: "SUPER_ADMIN",
      user_id: null,
      login: null,
    });
  });

  test("a token stops at its end, when it is revoked, and when its person may no longer sign in", async () => {
    const command = commandAt(db);
    const user_id = await person(db, "ada");
    const brief = granted(await createToken(command, { name: "brief", expires_at: at(10) }));
    const ended = granted(await createToken(command, { name: "ended" }));
    const own = granted(await createToken(command, { name: "own", user_id, role: "READ_ONLY_ADMIN" }));
    expect(await verifyToken(db, brief.text, at(9))).toBeDefined();
    expect(await verifyToken(db, brief.text, at(10))).toBeUndefined();
    granted(await revokeToken(command, ended.token.id));
    granted(await revokeToken(command, ended.token.id));
    expect(await verifyToken(db, ended.text, noon)).toBeUndefined();
    expect(await verifyToken(db, own.text, noon)).toMatchObject({ user_id, role: "READ_ONLY_ADMIN" });
    await db.updateTable("users").set({ status: "SUSPENDED" }).where("id", "=", user_id).execute();
    expect(await verifyToken(db, own.text, noon)).toBeUndefined();
    expect((await eventTypes(db)).filter((type) => type === "system.api_token.revoke")).toHaveLength(1);
  });

  test("use is noted once a minute, not at every request", async () => {
    const { text } = granted(await createToken(commandAt(db), { name: "busy" }));
    const used = async () => (await listTokens(db))[0]?.last_used_at;
    await verifyToken(db, text, at(1));
    await verifyToken(db, text, new Date(at(1).getTime() + 59_000));
    expect(await used()).toEqual(at(1));
    await verifyToken(db, text, at(2));
    expect(await used()).toEqual(at(2));
  });

  test.each([
    ["a name is missing", { name: " " }, "name"],
    ["the role is unknown", { name: "x", role: "GOD" }, "role"],
    ["the source app is not there", { name: "x", role: "SOURCE:0oa00000000000000009" }, "role"],
    ["the end is past", { name: "x", expires_at: at(-1) }, "expires_at"],
    ["the person is not there", { name: "x", user_id: "00unobody" }, "user_id"],
  ])("is refused when %s", async (_, input, place) => {
    expect(refused(await createToken(commandAt(db), input)).place).toBe(place);
  });
});

describe("settings", () => {
  test("a setting is kept, changed, listed and forgotten, and only changes are logged", async () => {
    const command = commandAt(db);
    await setSetting(command, "company.name", "Acme");
    await setSetting(command, "company.name", "Acme");
    await setSetting(command, "time_zone", "Europe/Berlin");
    expect(await readSetting(db, "company.name")).toBe("Acme");
    await setSetting(command, "company.name", null);
    expect(await listSettings(db)).toEqual([{ name: "time_zone", value: "Europe/Berlin" }]);
    expect(await eventTypes(db)).toHaveLength(3);
  });

  test("names and sizes from outside are bounded", async () => {
    expect(refused(await setSetting(commandAt(db), "__proto__", 1)).code).toBe("invalid");
    expect(refused(await setSetting(commandAt(db), "big", "x".repeat(70_000))).code).toBe("too_large");
  });
});
