/** docs/matching.md as a reader follows it, and what the queue of waiting rows refuses. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocksOf, commandsOf, runAll } from "../support/docs.ts";
import { startTestNode, type TestNode } from "../support/node.ts";

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode();
});
afterAll(() => node?.stop());

const show = async (login: string) => {
  const { out, err } = await node.cli("users", "show", login, "--json");
  expect(err).toBe("");
  return JSON.parse(out);
};
const waiting = async () => JSON.parse((await node.cli("waiting", "Personnel", "--json")).out);

test("every command of docs/matching.md works as it is written there, and each row becomes who was decided", async () => {
  const ada = await node.cli("users", "add", "ada.byron@example.com", "--first", "Ada", "--last", "Byron");
  expect(ada.code, ada.err).toBe(0);
  const before = await show("ada.byron@example.com");
  const lines = ["id,mail,first,last", "1,ada.byron@example.com,Augusta,Byron", "2,bob@example.com,Bob,Stone"];
  writeFileSync(path.join(node.folder, "staff.csv"), `${[...lines, "3,cy@example.com,Cy,Young"].join("\n")}\n`);
  const commands = commandsOf("docs/matching.md", "sh");
  expect(commands.length).toBe(16);
  await runAll(node, commands.slice(0, 5));
  expect((await waiting()).map((row: { external_id: string }) => row.external_id)).toEqual(["1", "2", "3"]);
  await runAll(node, commands.slice(5, 9));
  const linked = await show("ada.byron@example.com");
  expect([linked.id, linked.profile.firstName]).toEqual([before.id, "Augusta"]);
  expect((await show("bob@example.com")).profile.lastName).toBe("Stone");
  expect(await waiting()).toMatchObject([{ external_id: "3", decision: { kind: "ignore" } }]);
  await runAll(node, commands.slice(9, 12));
  expect((await show("cy@example.com")).profile.lastName).toBe("Young");
  expect(await waiting()).toEqual([]);
  const daniel = await node.cli("users", "add", "daniel.hill@example.com", "--first", "Daniel", "--last", "Hill");
  expect(daniel.code, daniel.err).toBe(0);
  writeFileSync(path.join(node.folder, "staff.csv"), `${[...lines, "4,dan@example.com,Dan,Hill"].join("\n")}\n`);
  await runAll(node, commands.slice(12));
  const { out } = await node.cli("waiting", "Personnel");
  const shown = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/ {2,}/));
  const [page = ""] = blocksOf("docs/matching.md", "");
  expect(shown(out)).toEqual(shown(page));
}, 240_000);

test.each([
  [["--link", "1"], 2, /takes ROW=USER, not "1"/],
  [["--link", "1=nobody@example.com"], 3, /nobody@example.com/],
  [["--all", "perhaps"], 2, /create, link, ignore, undo/],
  [["--create", "no-such-row"], 3, /no-such-row/],
])("tenure waiting Personnel %j is refused in words", async (words, code, message) => {
  const ran = await node.cli("waiting", "Personnel", ...words);
  expect([ran.code, ran.err]).toEqual([code, expect.stringMatching(message)]);
});
