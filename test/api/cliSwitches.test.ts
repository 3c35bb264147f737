/** The switches of apps on the command line: named there as they are given there, all in the help, changes told in short. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { provisioningDefaults, sourcingDefaults } from "../../src/directory/provisioning.ts";
import { startTestNode, type TestNode } from "../support/node.ts";

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode();
  const made = await node.cli("apps", "add", "csv", "--label", "HR", "--source", "--id-column", "id");
  expect([made.code, made.err]).toEqual([0, ""]);
});
afterAll(() => node.stop());

test.each([
  [["source.match_on=login"], "source.match_on: give attributes that must all be equal"],
  [["source.guard_percnt=3"], "source.guard_percnt: there is no such switch: did you mean source.guard_percent?"],
  [["on_unassign=x"], 'on_unassign: must be "disable", "delete" or "keep"'],
  [["crate=true"], "crate: there is no such switch: did you mean create?"],
  [["source.alias_attribute=foo"], "source.alias_attribute: users have no list of texts foo: define it first"],
  [["config.id_column="], "config.id_column: is missing"],
])("a switch that is refused is called as it was given: %j", async (pairs, message) => {
  const ran = await node.cli("apps", "set", "HR", ...pairs);
  expect([ran.code, ran.out, ran.err]).toEqual([4, "", expect.stringContaining(message)]);
  expect(ran.err).toMatch(/^[^\n]+\n$/);
});

test.each([
  [["csv", "--label", "Two"], "--id-column: is missing"],
  [["csv", "--label", "Two", "--id-column", "id", "--config", "quiet_seconds=-1"], "--config quiet_seconds: must be"],
  [["scim", "--label", "Two", "--base-url", "https://x.test", "--no-test", "--profile", "x"], "--profile: must be"],
])("what is missing or wrong of a new app is told by its option: %j", async (words, message) => {
  const ran = await node.cli("apps", "add", ...words);
  expect([ran.code, ran.err]).toEqual([4, expect.stringContaining(message)]);
  expect(ran.err).not.toMatch(/\bconfig\./);
});

test("the help lists every switch there is", async () => {
  const { out } = await node.cli("apps", "set", "--help");
  const listed = [...out.matchAll(/^ {2}([\w.]+) {2,}\S/gm)].map(([, name = ""]) => name);
  const accounts = Object.keys(provisioningDefaults(undefined));
  const source = Object.keys(sourcingDefaults).map((name) => `source.${name}`);
  expect(listed.filter((name) => name !== "config.NAME").sort()).toEqual([...accounts, ...source].sort());
  for (const line of out.split("\n")) expect(line.length).toBeLessThan(121);
});

test("what was changed is told as a short table, and all of it as JSON", async () => {
  const ran = await node.cli(
    "apps",
    "set",
    "HR",
    "source.guard_percent=30",
    "config.enabled_column=state",
    "concurrency=16",
  );
  expect([ran.code, ran.err]).toEqual([0, ""]);
  expect(ran.out.trim().split("\n")).toEqual([
    expect.stringMatching(/^HR \(0oa\w+\)$/),
    expect.stringMatching(/^SWITCH +WAS +IS$/),
    expect.stringMatching(/^source\.guard_percent +20 +30$/),
    expect.stringMatching(/^config\.enabled_column +\S.* +state$/),
    expect.stringMatching(/^concurrency +16 +16$/),
  ]);
  const json = await node.cli("apps", "set", "HR", "source.guard_percent=20", "--json");
  expect(JSON.parse(json.out)).toMatchObject({ label: "HR", sourcing: { guard_percent: 20 } });
});

test("an app becomes a source only where that is said, and is one no more where that is said", async () => {
  expect((await node.cli("apps", "add", "manual", "--label", "Cards")).code).toBe(0);
  const slip = await node.cli("apps", "set", "Cards", 'source.match_on=["login"]');
  expect([slip.code, slip.err]).toEqual([2, expect.stringMatching(/Cards is no source, .*say --source/)]);
  const sourcing = async () => JSON.parse((await node.cli("apps", "show", "Cards", "--json")).out).sourcing;
  expect(await sourcing()).toBeNull();
  expect((await node.cli("apps", "set", "Cards", "--source", 'source.match_on=["email"]')).code).toBe(0);
  expect(await sourcing()).toMatchObject({ match_on: ["email"] });
  expect((await node.cli("apps", "set", "Cards", "--no-source")).code).toBe(0);
  expect(await sourcing()).toBeNull();
  for (const words of [[], ["--no-source", "source.guard_people=3"]]) {
    expect((await node.cli("apps", "set", "Cards", ...words)).code).toBe(2);
  }
});
