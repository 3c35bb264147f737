/** "Members of groups" of docs/people.md as a reader follows it, and what the CLI writes and refuses. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commandsOf, runAll } from "../support/docs.ts";
import { startTestNode, type TestNode } from "../support/node.ts";

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode();
});
afterAll(() => node?.stop());

const inFolder = (name: string) => path.join(node.folder, name);
const csv = (name: string, ...lines: string[]) => writeFileSync(inFolder(name), `${lines.join("\n")}\n`);
const members = async () =>
  (JSON.parse((await node.cli("groups", "members", "Sales", "--json")).out) as { profile: { login: string } }[])
    .map(({ profile }) => profile.login)
    .sort();

test("every command of the section works as it is written there, and undone imports leave the group as it was", async () => {
  const people = Array.from({ length: 12 }, (_, n) => `p${n}@example.com`);
  csv("people.csv", "login,firstName,lastName,email", ...people.map((login) => `${login},P,Q,${login}`));
  await runAll(node, ["tenure users import people.csv", "tenure groups add Sales"]);
  const commands = commandsOf("docs/people.md", "sh").filter((line) => line.startsWith("tenure groups"));
  expect(commands.length).toBe(7);
  csv(
    "members.csv",
    "group,login,until",
    ...people.map((login) => `Sales,${login},`),
    "=Sale,p0@example.com,2099-01-01",
  );
  csv("all.csv", "group,login", "Sales,p0@example.com");
  await runAll(node, commands.slice(0, 2));
  expect(await members()).toEqual([...people].sort());
  expect(readFileSync(inFolder("refused-members.csv"), "utf8")).toMatch(
    /^group,login,until,error\r\n'=Sale,p0@example.com,2099-01-01,"line 14: /,
  );
  const held = await node.cli("groups", "import", "all.csv", "--exact");
  expect([held.code, held.err]).toEqual([
    4,
    expect.stringMatching(/Sales: 11 of its 12 members by hand leave. Nothing was done: say --yes/),
  ]);
  expect((await node.cli("groups", "import", "all.csv", "--exact", "--dry-run")).out).toMatch(
    /dry run, nothing was done: 0 join, 11 leave, 1 unchanged, 0 refused\n +Sales: 11 of its 12[\s\S]*leave +Sales +p11@/,
  );
  await runAll(node, commands.slice(2, 6));
  expect(await members()).toEqual(["p0@example.com"]);
  const past = JSON.parse((await node.cli("groups", "imports", "--json")).out) as { id: string }[];
  expect(past).toMatchObject([{ counts: { leave: 11 } }, { counts: { join: 12, refused: 1 } }]);
  const undo = (id = "") =>
    runAll(
      node,
      commands.slice(6).map((line) => line.replace("IMPORT", id)),
    );
  await undo(past[0]?.id);
  expect(await members()).toEqual([...people].sort());
  await undo(past[1]?.id);
  expect(await members()).toEqual([]);
  expect((await node.cli("groups", "imports", past[0]?.id ?? "")).out).toMatch(/UNDONE[\s\S]*leave +Sales +p.*undone/);
}, 240_000);

test.each([
  [["import"], 2, /which file/],
  [["import", "nowhere.csv"], 3, /no file nowhere.csv/],
  [["import", "one.csv"], 4, /"nothing" in a file of members/],
  [["import", "--undo", "pim0000"], 3, /pim0000/],
  [["import", "--undo", "pim0000", "--exact"], 2, /and nothing else/],
])("tenure groups %j is refused in words", async (words, code, message) => {
  csv("one.csv", "group,login,nothing", "Sales,a@example.com,x");
  const ran = await node.cli("groups", ...words);
  expect([ran.code, ran.err]).toEqual([code, expect.stringMatching(message)]);
});
