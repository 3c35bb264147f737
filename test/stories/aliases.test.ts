/** Stories of people whose name changes: the login that they had stays theirs, and is never anybody else's. */
import { describe, expect, test } from "vitest";
import type { Profile } from "../../src/core/types.ts";
import { updateApp } from "../../src/directory/apps.ts";
import { defineAttributes } from "../../src/directory/schemas.ts";
import { createUsers, updateUsers } from "../../src/directory/users.ts";
import { sql } from "../../src/store/database.ts";
import { linesOf, rowOf } from "../engine/hr.ts";
import { hrStage } from "./hrStage.ts";
import { must, stage } from "./support.ts";

const s = stage();
const { company: hrCompany, at, arrive, find } = hrStage(s);
const ada = rowOf("1", "Ada", "Byron", { start: "2025-01-01" });
const king = { ...ada, last: "King", mail: "Ada.King@example.com" };
const other = rowOf("2", "Ada", "Byron", { start: "2025-01-01" });
const kept =
  "login: ada.byron@example.com was ada.king@example.com's before and stays theirs; choose another, or take it out of that person's aliases";

async function company() {
  await must(defineAttributes(s.command(), "user", [{ name: "aliases", type: "string", array: true }]));
  return hrCompany({ alias_attribute: "aliases" });
}
const aliases = async (login: string) => (await find(login))?.profile["aliases"] ?? null;
const reasons = async (import_id: string) =>
  (await linesOf(s.world(), import_id)).flatMap(({ outcome, detail }) =>
    outcome === "refused" ? (detail?.reason ?? []) : [],
  );
const person = (login: string, more: Profile = {}) => ({
  profile: { login, email: login, firstName: "Eve", lastName: "New", ...more },
});

describe("a login that an import replaces", () => {
  test("becomes an alias, once and without case, and an app has it too where it is mapped", async () => {
    const { hr, app } = await company();
    await s.map(app, { licences: { expression: "user.aliases" } });
    await arrive(hr, ada);
    await arrive(hr, king);
    expect(await aliases("ada.king")).toEqual(["ada.byron@example.com"]);
    expect((await s.there(app, (await find("ada.king"))!.id))?.profile["licences"]).toEqual(["ada.byron@example.com"]);
    await arrive(hr, { ...king, mail: "ada.lovelace@example.com" });
    await arrive(hr, { ...king, mail: "ADA.KING@example.com" });
    expect(await aliases("ada.king")).toEqual(["ada.byron@example.com", "ada.lovelace@example.com"]);
    await arrive(hr, ada);
    expect(await aliases("ada.byron")).toEqual(["ada.lovelace@example.com", "ada.king@example.com"]);
  });

  test("is nobody else's: not another row's, whoever it is, nor one's that is made or renamed by hand", async () => {
    const { hr } = await company();
    await arrive(hr, ada);
    await arrive(hr, king);
    const run = await arrive(hr, king, other);
    expect([run.counts, await reasons(run.id)]).toEqual([{ unchanged: 1, refused: 1 }, [`${kept} (login)`]]);
    expect((await hr.run([king, other], { dry_run: true })).counts).toEqual({ unchanged: 1, refused: 1 });
    const eve = person("Ada.Byron@example.com");
    expect(await createUsers(s.command(), [eve])).toMatchObject({ refused: kept, code: "duplicate" });
    const [made] = await must(createUsers(s.command(), [person("eve@example.com")]));
    const rename = { id: made!.id, profile: { login: "ada.byron@example.com" } };
    expect(await updateUsers(s.command(), [rename])).toMatchObject({ refused: kept });
    const claim = person("bob@example.com", { aliases: ["ADA.byron@example.com"] });
    expect(await createUsers(s.command(), [claim])).toMatchObject({ refused: kept });
    const current = person("bob@example.com", { aliases: ["eve@example.com"] });
    expect(await createUsers(s.command(), [current])).toMatchObject({
      refused: expect.stringMatching(/is somebody's login/),
    });
  });

  test("is kept in the file that renames one and hires another under the name that is free", async () => {
    const { hr } = await company();
    await arrive(hr, ada);
    for (const rows of [
      [other, king],
      [other, king],
    ]) {
      expect((await arrive(hr, ...rows)).counts["refused"]).toBe(1);
    }
    expect(await aliases("ada.king")).toEqual(["ada.byron@example.com"]);
    expect(await find("ada.byron")).toBeUndefined();
  });

  test("is kept by the database itself, whoever writes", async () => {
    const { hr } = await company();
    await arrive(hr, ada);
    await arrive(hr, king, rowOf("3", "Bob", "Stone"));
    const theft = sql`update users set profile = profile || '{"login": "ada.byron@example.com"}' where login = 'bob.stone@example.com'`;
    await expect(theft.execute(s.world().db)).rejects.toThrow(/was another person's and stays theirs/);
  });

  test("is free once an administrator takes it out; leaving does not free it", async () => {
    const { hr } = await company();
    await arrive(hr, ada);
    await arrive(hr, king);
    await arrive(hr);
    expect((await arrive(hr, other)).counts["refused"]).toBe(1);
    await arrive(hr, king);
    await must(updateUsers(s.command(), [{ id: (await find("ada.king"))!.id, profile: { aliases: null } }]));
    expect((await arrive(hr, king, other)).counts["created"]).toBe(1);
  });

  test("is kept too when the change comes by the clock, and stays when the switch is off", async () => {
    const { hr } = await company();
    await arrive(hr, { ...ada, end: "2026-03-31" }, { ...king, start: "2026-04-01" });
    await at("2026-04-01T00:00:00Z");
    expect(await aliases("ada.king")).toEqual(["ada.byron@example.com"]);
    await must(updateApp(s.command(), hr.app_id, { sourcing: { alias_attribute: null } }, s.tools(hr.app_id)));
    expect(await createUsers(s.command(), [person("ada.byron@example.com")])).toMatchObject({ refused: kept });
  });

  test("counts also where it was written before the switch was on", async () => {
    await must(defineAttributes(s.command(), "user", [{ name: "aliases", type: "string", array: true }]));
    const { hr } = await hrCompany();
    const had = ["Ada.Byron@example.com", "eve@example.com"];
    await must(createUsers(s.command(), [person("ada.king@example.com", { aliases: had }), person("eve@example.com")]));
    await must(updateApp(s.command(), hr.app_id, { sourcing: { alias_attribute: "aliases" } }, s.tools(hr.app_id)));
    expect(await createUsers(s.command(), [person("ada.byron@example.com")])).toMatchObject({ refused: kept });
  });

  test("is not without end: a source that makes up a login a day is told", async () => {
    const { hr } = await company();
    await arrive(hr, ada);
    const all = Array.from({ length: 50 }, (_, n) => `old${n}@example.com`);
    await must(updateUsers(s.command(), [{ id: (await find())!.id, profile: { aliases: all } }]));
    const run = await arrive(hr, king);
    expect(await reasons(run.id)).toEqual([
      expect.stringMatching(/^ada\.king@example\.com had more than 50 logins before/),
    ]);
    expect(await find("ada.byron")).toBeDefined();
  });

  test("needs a list of users to be kept in", async () => {
    const { hr } = await company();
    for (const alias_attribute of ["nothing", "department"]) {
      const told = await updateApp(s.command(), hr.app_id, { sourcing: { alias_attribute } }, s.tools(hr.app_id));
      expect(told).toMatchObject({ refused: expect.stringMatching(/users have no list of texts/) });
    }
  });
});
