/** Imports that ask a hook about strangers: what its answers change, and what is done when there is none. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Profile } from "../../src/core/types.ts";
import { updateApp } from "../../src/directory/apps.ts";
import { deleteInlineHook, switchInlineHook } from "../../src/directory/inlineHooks.ts";
import { getUser } from "../../src/directory/userQueries.ts";
import { createUsers } from "../../src/directory/users.ts";
import { startImport } from "../../src/engine/import.ts";
import { type Database, sql } from "../../src/store/database.ts";
import {
  type Answer,
  by_hand,
  type Heard,
  type HookServer,
  hookServer,
  plainly,
  silence,
} from "../support/hookServer.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { test_key } from "../support/outside.ts";
import { admin, must, profileOf, type TestWorld, testWorld } from "../support/world.ts";
import { type Hr, hrSource, importHook, linesOf, rowOf } from "./hr.ts";

let db: Database;
let world: TestWorld;
let server: HookServer;
beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  await wipe(db);
  world = await testWorld(db);
  server = await hookServer();
});
afterEach(() => server.close());

const ada = rowOf("1", "Ada", "Byron", { department: "Mills" });
const bob = rowOf("2", "Bob", "Stone");

const makeHook = (on_failure?: "continue" | "refuse", type?: string) => importHook(world, server.url, on_failure, type);

/** A source whose imports ask the hook. */
async function asking(on_failure: "continue" | "refuse" = "continue", sourcing = {}): Promise<Hr> {
  return hrSource(world, { import_hook: await makeHook(on_failure), ...sourcing });
}

const update = (value: Profile) => ({ type: "com.okta.user.profile.update", value });
const updateRow = (value: Profile) => ({ type: "com.okta.appUser.profile.update", value });
const action = (result: string) => ({ type: "com.okta.action.update", value: { result } });
const whom = (id: string) => ({ type: "com.okta.user.update", value: { id } });
const commands = (...those: unknown[]) => ({ commands: those });
/** Says something about one person and nothing about others. */
const about = (first: string, said: unknown) =>
  server.answer(({ body }) => (body.data.appUser.profile.first === first ? said : undefined));
const hire = async (first: string, last: string, more: Profile = {}) => {
  const [user] = await must(createUsers(world.command, [{ profile: profileOf(first, last, more) }]));
  return user!.id;
};
const person = (name: string) => getUser(db, `${name}@example.com`);
const reasons = async (id: string) =>
  (await linesOf(world, id)).map(({ outcome, detail }) => `${outcome}: ${detail?.reason}`);
const first = (heard: readonly Heard[]) => heard[0]?.body;

describe("a hook is asked", () => {
  test("about each stranger once, in Okta's form, with its secret", async () => {
    const hr = await asking();
    const run = await hr.run([ada, bob]);
    expect([run.counts, run.reason]).toEqual([{ created: 2 }, undefined]);
    expect(server.heard).toHaveLength(2);
    expect(server.heard[0]?.headers["x-key"]).toBe("s3cret-of-the-hook");
    const byFirst = server.heard.map(({ body }) => body).find(({ data }) => data.appUser.profile.first === "Ada");
    expect(byFirst).toMatchObject({
      source: expect.stringMatching(/^cal/),
      eventType: "com.okta.import.transform",
      eventTypeVersion: "1.0",
      cloudEventVersion: "0.1",
      contentType: "application/json",
      data: {
        context: {
          conflicts: [],
          application: { id: hr.app_id, label: "HR", status: "ACTIVE" },
          job: { type: "import:users", dryRun: false },
          matches: [],
          policy: ["USERNAME"],
        },
        action: { result: "CREATE_USER" },
        appUser: { profile: { first: "Ada", department: "Mills" } },
        user: { profile: { firstName: "Ada", login: "ada.byron@example.com" } },
      },
    });
    expect(new Set(server.heard.map(({ body }) => body.eventId)).size).toBe(2);
  });

  test("not about people who are known, who leave, or who wait", async () => {
    const hr = await asking();
    await hr.run([ada, bob]);
    expect(server.heard).toHaveLength(2);
    await hr.run([{ ...ada, department: "Looms" }]);
    expect(server.heard).toHaveLength(2);
    await hire("Cy", "Young");
    const careful = await hrSource(world, { import_hook: await makeHook(), auto_confirm: false }, "Careful");
    await careful.run([rowOf("7", "Cy", "Young")]);
    expect(server.heard).toHaveLength(2);
  });

  test("whom a row matches, and which login is somebody else's", async () => {
    const id = await hire("Ada", "Byron");
    await (await asking()).run([ada]);
    expect(first(server.heard).data).toMatchObject({
      action: { result: "LINK_USER" },
      user: { id },
      context: { matches: [{ id }] },
    });
    const byMail = await hrSource(world, { import_hook: await makeHook(), match_on: ["email"] }, "By mail");
    await hire("Bob", "Stone", { email: "other@example.com" });
    await byMail.run([bob]);
    expect(server.heard.at(-1)?.body.data.context).toMatchObject({ conflicts: ["login"], policy: ["EMAIL"] });
  });

  test("about a row that is alike to somebody, once; a row that it makes so waits for a person", async () => {
    const id = await hire("Ada", "Byron", { login: "old@example.com", email: "old@example.com" });
    const hr = await asking("continue", { match_partial: { at_least: 75 }, auto_confirm_partial: true });
    await hr.run([ada]);
    expect(server.heard).toHaveLength(1);
    expect(first(server.heard).data).toMatchObject({ action: { result: "LINK_USER" }, user: { id } });
    const other = await hire("Bob", "Stone", { login: "bob.old@example.com", email: "bob.old@example.com" });
    server.answer(() => commands(update({ lastName: "Stone" })));
    const run = await hr.run([ada, rowOf("2", "Bob", "Unknown")]);
    expect(server.heard).toHaveLength(2);
    expect((await linesOf(world, run.id))[0]).toMatchObject({
      ...{ outcome: "waiting", user_id: other },
      detail: { reason: "100 % alike: lastName the same, firstName the same" },
    });
  });

  test("in a dry run, too, which tells what would become of a row and changes nothing", async () => {
    const hr = await asking();
    about("Ada", commands(update({ firstName: "Augusta" })));
    const run = await hr.run([ada], { dry_run: true });
    expect(run.counts).toEqual({ create: 1 });
    expect(first(server.heard).data.context.job.dryRun).toBe(true);
    expect((await linesOf(world, run.id))[0]?.detail).toMatchObject({ user: { firstName: "Augusta" } });
    expect(await person("ada.byron")).toBeUndefined();
  });

  test("not once when it is off, and not by a source that names none", async () => {
    const id = await makeHook("refuse");
    await must(switchInlineHook(world.command, id, "INACTIVE"));
    await (await hrSource(world, { import_hook: id })).run([ada]);
    await (await hrSource(world, {}, "Plain")).run([bob]);
    expect(server.heard).toEqual([]);
    expect(await person("ada.byron")).toBeDefined();
  });

  test("by sixteen calls at a time at most", async () => {
    const hr = await asking();
    let [under_way, most] = [0, 0];
    server.answer((_heard, response) => {
      under_way += 1;
      most = Math.max(most, under_way);
      setTimeout(() => {
        under_way -= 1;
        response.writeHead(204).end();
      }, 20);
      return by_hand;
    });
    const rows = Array.from({ length: 60 }, (_, n) => rowOf(`p${n}`, `First${n}`, "Person"));
    expect(await hr.run(rows)).toMatchObject({ counts: { created: 60 } });
    expect(most).toBe(16);
  });
});

describe("an answer changes", () => {
  test("the person's values, the row's, which the mapping reads, or both; the next import finds the row unchanged", async () => {
    const hr = await asking();
    about("Ada", commands(updateRow({ department: "Looms", last: "Lovelace" }), update({ title: "Countess" })));
    await hr.run([ada, bob]);
    expect(await person("ada.byron")).toMatchObject({
      profile: { firstName: "Ada", lastName: "Lovelace", department: "Looms", title: "Countess" },
    });
    expect(await hr.run()).toMatchObject({ counts: { unchanged: 2 } });
  });

  test("whom the row matches: values that it changes are matched anew", async () => {
    const id = await hire("Augusta", "King");
    const hr = await asking();
    about("Ada", commands(updateRow({ mail: "augusta.king@example.com" })));
    expect(await hr.run([ada])).toMatchObject({ counts: { linked: 1 } });
    expect((await linesOf(world, (await hr.run([{ ...ada, department: "Looms" }])).id))[0]).toMatchObject({
      user_id: id,
    });
  });

  test("what becomes of it: a link to whom it names", async () => {
    const id = await hire("Augusta", "King");
    const hr = await asking();
    about("Ada", commands(action("LINK_USER"), whom(id), update({ title: "Countess" })));
    expect(await hr.run([ada])).toMatchObject({ counts: { linked: 1 } });
    expect(await getUser(db, id)).toMatchObject({ profile: { title: "Countess", firstName: "Ada" } });
  });

  test("what becomes of it: another person than the one who matches", async () => {
    await hire("Ada", "Byron");
    const hr = await asking();
    about("Ada", commands(action("CREATE_USER"), update({ login: "ada2@example.com", email: "ada2@example.com" })));
    expect(await hr.run([ada])).toMatchObject({ counts: { created: 1 } });
    expect(await person("ada2")).toBeDefined();
  });

  test.each([
    ["a person who is not there", () => [action("LINK_USER"), whom("00unobody")], "there is no such user"],
    ["nobody at all", () => [action("LINK_USER")], "not to whom"],
    ["somebody without saying so", () => [whom("00unobody")], "does not say LINK_USER"],
    ["an attribute that nobody has", () => [update({ shoeSize: 41 })], "shoeSize"],
    ["a value of another kind", () => [update({ firstName: ["Ada"] })], "firstName"],
    ["a day that is none", () => [updateRow({ start: "soon" })], "start"],
  ])("nothing when it names %s: the row is refused with the reason", async (_what, said, why) => {
    const hr = await asking();
    about("Ada", commands(...said()));
    const run = await hr.run([ada, bob]);
    expect(run.counts).toEqual({ created: 1, refused: 1 });
    expect((await reasons(run.id)).join()).toContain(why);
    expect(await person("ada.byron")).toBeUndefined();
  });

  test("nothing when two rows are linked to one person, or one who has a row: the first has them", async () => {
    const id = await hire("Augusta", "King");
    const hr = await asking();
    server.answer(() => commands(action("LINK_USER"), whom(id)));
    const run = await hr.run([ada, bob]);
    expect(run.counts).toEqual({ linked: 1, refused: 1 });
    expect(await reasons(run.id)).toContainEqual(expect.stringContaining("another row (1)"));
    const more = await hr.run([ada, rowOf("3", "Cy", "Young")]);
    expect(await reasons(more.id)).toContainEqual(expect.stringContaining("comes from row 1"));
  });

  test("not who is created when another person has the login that it says is a new person's", async () => {
    await hire("Ada", "Byron");
    const hr = await asking();
    about("Ada", commands(action("CREATE_USER")));
    const run = await hr.run([ada]);
    expect(run.counts).toEqual({ refused: 1 });
    expect((await reasons(run.id)).join()).toContain("login");
  });

  test("nothing of a row that it refuses, whatever its policy, and the next import asks again", async () => {
    const hr = await asking();
    about("Ada", { error: { errorSummary: "not before Monday" } });
    const run = await hr.run([ada, bob]);
    expect(run.counts).toEqual({ created: 1, refused: 1 });
    expect(await reasons(run.id)).toContainEqual("refused: the hook Names refuses it: not before Monday");
    server.answer(() => undefined);
    expect(await hr.run()).toMatchObject({ counts: { created: 1, unchanged: 1 } });
  });
});

const broken: Answer = (_heard, response) => {
  response.destroy();
  return by_hand;
};

describe("without an answer", () => {
  const kinds = [
    ["a 5xx", plainly(500), "answered 500"],
    ["a 4xx", plainly(400), "answered 400"],
    ["a page", plainly(200, "<html></html>", { "content-type": "text/html" }), "no JSON"],
    ["torn JSON", plainly(200, '{"commands": [', { "content-type": "application/json" }), "torn"],
    ["an unknown command", () => commands({ type: "com.okta.user.delete", value: {} }), "no such command"],
    ["a redirect", plainly(307, "", { location: "/elsewhere" }), "redirect"],
    ["a connection that breaks", broken, "cannot be reached"],
  ] as const;

  test.each(kinds)("(%s) people are created as if nothing had been said", async (_what, answer) => {
    const hr = await asking("continue");
    server.answer(answer);
    const run = await hr.run([ada]);
    expect(run).toMatchObject({ status: "DONE", counts: { created: 1 } });
    expect(run.reason).toContain("the hook Names gave no answer about 1 row, which was taken as they are");
  });

  test.each(kinds)("(%s) or refused, where the hook's policy says so", async (_what, answer, why) => {
    const hr = await asking("refuse");
    server.answer(answer);
    const run = await hr.run([ada]);
    expect(run.counts).toEqual({ refused: 1 });
    expect((await reasons(run.id))[0]).toContain(why);
    expect((await reasons(run.id))[0]).toContain("the next import asks again");
  });

  test.each([
    ["continue", "created"],
    ["refuse", "refused"],
  ] as const)("in three seconds, twice, people are %s: %s", { timeout: 20_000 }, async (policy, outcome) => {
    const hr = await asking(policy);
    server.answer(silence);
    const began = performance.now();
    expect(await hr.run([ada])).toMatchObject({ counts: { [outcome]: 1 } });
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(server.heard).toHaveLength(2);
    expect(server.heard[0]?.body.eventId).toBe(server.heard[1]?.body.eventId);
  });

  test("ten times in a row it is not asked again in this import", async () => {
    const hr = await asking("refuse");
    server.answer(plainly(403));
    const rows = Array.from({ length: 60 }, (_, n) => rowOf(`p${n}`, `First${n}`, "Person"));
    const run = await hr.run(rows);
    expect(run.counts).toEqual({ refused: 60 });
    expect(server.heard.length).toBeLessThan(30);
    expect((await reasons(run.id)).at(-1)).toContain("10 times in a row");
  });

  test("because the import is cancelled, nothing more is decided", async () => {
    const hr = await asking();
    const controller = new AbortController();
    server.answer(() => {
      controller.abort();
      return by_hand;
    });
    hr.write([ada]);
    const began = performance.now();
    const run = await must(startImport(world, hr.app_id, { mode: "full", actor: admin, signal: controller.signal }));
    expect(run).toMatchObject({ status: "CANCELLED", counts: { undecided: 1 } });
    expect(performance.now() - began).toBeLessThan(2_500);
  });
});

describe("a source's hook", () => {
  const tools = { key: test_key, check: () => ({ refused: "not asked", code: "invalid" as const }) };
  const name = (hr: Hr, import_hook: string | null) =>
    updateApp(world.command, hr.app_id, { sourcing: { import_hook } }, tools);

  test("is one that is there and for imports", async () => {
    const hr = await hrSource(world);
    expect(await name(hr, "calnone")).toMatchObject({ place: "sourcing.import_hook" });
    const tokens = await makeHook(undefined, "com.okta.oauth2.tokens.transform");
    expect(await name(hr, tokens)).toMatchObject({ place: "sourcing.import_hook" });
    expect(await name(hr, await makeHook())).toMatchObject({
      sourcing: { import_hook: expect.stringMatching(/^cal/) },
    });
    expect(await name(hr, null)).toMatchObject({ sourcing: { import_hook: null } });
  });

  test("is not deleted while a source names it", async () => {
    const id = await makeHook();
    const hr = await hrSource(world, { import_hook: id });
    await must(switchInlineHook(world.command, id, "INACTIVE"));
    expect(await deleteInlineHook(world.command, id)).toMatchObject({
      refused: expect.stringContaining("asked by imports of HR"),
    });
    await must(name(hr, null));
    expect(await deleteInlineHook(world.command, id)).toMatchObject({ id });
  });

  test("has every call in the log, and in it nothing that was sent or said", async () => {
    const hr = await asking();
    about("Ada", commands(update({ title: "Countess-9" })));
    await hr.run([ada, bob]);
    server.answer(plainly(500, "stack trace: password=hunter2"));
    await hr.run([ada, bob, rowOf("3", "Cy", "Young")]);
    const { rows } = await sql<{ outcome: string; text: string }>`
      select outcome, events::text as text from events where type = 'inline_hook.executed' order by seq`.execute(db);
    expect(rows.map(({ outcome }) => outcome)).toEqual(["SUCCESS", "SUCCESS", "FAILURE"]);
    for (const { text } of rows) expect(text).not.toMatch(/Countess-9|hunter2|s3cret|Ada/);
  });
});
