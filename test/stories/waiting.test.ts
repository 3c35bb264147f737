/** Rows of a source that wait for a person: what is decided about them is carried out by the next import, once. */
import { expect, test } from "vitest";
import { appHealth } from "../../src/directory/appHealth.ts";
import { getUser } from "../../src/directory/userQueries.ts";
import { createUsers } from "../../src/directory/users.ts";
import { decideAll, decideRows, listWaiting } from "../../src/directory/waitingRows.ts";
import { sql } from "../../src/store/database.ts";
import { type Hr, hrSource, rowOf } from "../engine/hr.ts";
import { must, profileOf } from "../support/world.ts";
import { stage } from "./support.ts";

const s = stage();
const [ada, bob, cy] = [rowOf("1", "Ada", "Byron"), rowOf("2", "Bob", "Stone"), rowOf("3", "Cy", "Young")];
const waiting = (hr: Hr) => listWaiting(s.world().db, hr.app_id, { limit: 100 });
const decide = (hr: Hr, external_id: string, kind: "create" | "link" | "ignore" | "undo", user_id?: string) =>
  decideRows(s.world().command, hr.app_id, [{ external_id, kind, ...(user_id === undefined ? {} : { user_id }) }]);
const made = async (first: string, last: string) =>
  (await must(createUsers(s.world().command, [{ profile: profileOf(first, last) }])))[0]!;

test("rows wait with whom they match; made new, linked and ignored, each is carried out by the next import and only once", async () => {
  const hr = await hrSource(s.world(), { auto_confirm: false, auto_confirm_new: false });
  const theirs = await made("Ada", "Byron");
  const other = await made("Robert", "Stone");
  expect((await hr.run([ada, bob, cy])).counts).toEqual({ waiting: 3 });
  expect(await waiting(hr)).toMatchObject([
    { external_id: "1", candidates: [{ id: theirs.id, login: "ada.byron@example.com" }], decision: null },
    { external_id: "2", candidates: [], reason: expect.stringContaining("someone new") },
    { external_id: "3" },
  ]);
  await must(decide(hr, "1", "link", theirs.id));
  await must(decide(hr, "2", "link", other.id));
  await must(decide(hr, "3", "ignore"));
  expect(await getUser(s.world().db, "bob.stone@example.com")).toBeUndefined();

  expect((await hr.run(undefined, { dry_run: true })).counts).toEqual({ link: 2, skipped: 1 });
  expect((await hr.run()).counts).toEqual({ linked: 2, skipped: 1 });
  expect(await getUser(s.world().db, "bob.stone@example.com")).toMatchObject({ id: other.id });
  expect(await waiting(hr)).toMatchObject([{ external_id: "3", decision: { kind: "ignore" } }]);
  expect((await hr.run()).counts).toEqual({ unchanged: 2, skipped: 1 });

  await must(decide(hr, "3", "undo"));
  expect(await waiting(hr)).toMatchObject([{ external_id: "3", decision: null }]);
  expect(await decide(hr, "4", "create")).toMatchObject({
    refused: expect.stringContaining("no row 4"),
    code: "not_found",
  });
  expect((await hr.run()).counts).toEqual({ unchanged: 2, waiting: 1 });
  await must(decide(hr, "3", "create"));
  expect((await hr.run()).counts).toEqual({ unchanged: 2, created: 1 });
  expect(await waiting(hr)).toEqual([]);
  const { rows } = await sql`select 1 from import_decisions`.execute(s.world().db);
  expect(rows).toEqual([]);
});

test("rows that nobody has decided about are counted by source, in its health", async () => {
  const open = { auto_confirm: false, auto_confirm_new: false };
  const [hr, payroll] = [await hrSource(s.world(), open), await hrSource(s.world(), open, "Payroll")];
  const counted = async () => {
    const health = await appHealth(s.world().db, s.world().now());
    const of = (one: Hr) => health.find(({ app_id }) => app_id === one.app_id)?.undecided;
    return [of(hr), of(payroll)];
  };
  expect(await counted()).toEqual([0, 0]);
  await hr.run([ada, bob, cy]);
  await payroll.run([ada]);
  expect(await counted()).toEqual([3, 1]);
  await must(decide(hr, "1", "create"));
  await must(decide(hr, "3", "ignore"));
  expect(await counted()).toEqual([1, 1]);
  await hr.run();
  expect(await counted()).toEqual([1, 1]);
  await must(decide(hr, "3", "undo"));
  expect(await counted()).toEqual([2, 1]);
  await hr.run([ada]);
  expect(await counted()).toEqual([0, 1]);
});

test("all at once: whoever matches one user is linked, the others are made, and what is undone waits again", async () => {
  const hr = await hrSource(s.world(), { auto_confirm: false, auto_confirm_new: false });
  await made("Ada", "Byron");
  await hr.run([ada, bob, cy]);
  const { command } = s.world();
  expect(await decideAll(command, hr.app_id, "link")).toBe(1);
  expect(await decideAll(command, hr.app_id, "create")).toBe(2);
  expect(await decideAll(command, hr.app_id, "undo")).toBe(3);
  expect((await hr.run()).counts).toEqual({ waiting: 3 });
  await decideAll(command, hr.app_id, "link");
  await decideAll(command, hr.app_id, "create");
  expect((await hr.run()).counts).toEqual({ linked: 1, created: 2 });
});

test("nobody is given to two rows, and no row to nobody", async () => {
  const hr = await hrSource(s.world(), { auto_confirm: false, auto_confirm_new: false });
  const theirs = await made("Ada", "Byron");
  await hr.run([ada, bob]);
  await must(decide(hr, "1", "link", theirs.id));
  expect(await decide(hr, "2", "link", theirs.id)).toMatchObject({ code: "duplicate" });
  expect(await decide(hr, "2", "link", "00unobody")).toMatchObject({ code: "not_found" });
  await hr.run();
  expect(await decide(hr, "2", "link", theirs.id)).toMatchObject({ code: "duplicate" });
  expect(await decide(hr, "1", "create")).toMatchObject({ code: "duplicate" });
});
