/** The past over HTTP and by the command line: whom it tells what, and what it refuses. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestNode, type TestNode } from "../support/node.ts";

let node: TestNode;
let before = "";

beforeAll(async () => {
  node = await startTestNode();
  for (const words of [
    ["users", "add", "ann@x.co", "--first", "Ann", "--last", "Hill"],
    ["groups", "add", "Finance"],
    ["groups", "join", "Finance", "ann@x.co"],
  ]) {
    const ran = await node.cli(...words);
    expect(ran.code, ran.err).toBe(0);
  }
  before = new Date().toISOString();
  expect((await node.cli("groups", "leave", "Finance", "ann@x.co")).code).toBe(0);
});
afterAll(() => node.stop());

describe("tenure past", () => {
  test("tells of a person and of a group what was, not what is", async () => {
    const then = await node.cli("past", "ann@x.co", "--at", before);
    expect([then.code, then.out]).toEqual([
      0,
      expect.stringMatching(/ann@x\.co at .*: \w+[\s\S]*was in Finance by person /),
    ]);
    expect((await node.cli("past", "--group", "Finance", "--at", before)).out).toContain("ann@x.co");
    expect((await node.cli("past", "--group", "Finance", "--at", "0m")).out).not.toContain("ann@x.co");
    // Without a zone it is UTC, wherever it is typed.
    expect((await node.cli("past", "--group", "Finance", "--at", before.slice(0, -1))).out).toContain("ann@x.co");
    const json = await node.cli("past", "ann@x.co", "--at", before, "--json");
    const names = JSON.parse(json.out).groups.map(({ name }: { name: string }) => name);
    expect(names.sort()).toEqual(["Everyone", "Finance"]);
    expect(JSON.parse(json.out)).toMatchObject({
      user: { login: "ann@x.co" },
      accounts: [],
    });
  });

  test.each([
    [["past", "ann@x.co"], 2, /--at WHEN is missing/],
    [["past", "", "--at", "2026-05-01"], 2, /USER is empty/],
    [["past", "--at", "2026-05-01"], 2, /name one of USER, --app APP, --group GROUP/],
    [["past", "ann@x.co", "--group", "Finance", "--at", "2026-05-01"], 2, /name one of/],
    [["past", "ann@x.co", "--at", "yesterday"], 2, /is no day/],
    [["past", "ann@x.co", "--at", "2001-01-01"], 3, /ann@x\.co was not here at 2001-01-01/],
    [["past", "ann@x.co", "--at", "2099-01-01"], 4, /has not been yet/],
    [["past", "--app", "Nothing", "--at", "2026-05-01"], 3, /Nothing/],
    [["past", "--group", "Nothing", "--at", "2026-05-01"], 3, /no group "Nothing"/],
  ])("%j is refused, saying why", async (words, code, message) => {
    const ran = await node.cli(...words);
    expect([ran.code, ran.err]).toEqual([code, expect.stringMatching(message)]);
  });
});
