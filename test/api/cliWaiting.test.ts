/** `tenure waiting` against a node as people start it: what it lists, decides and refuses, and with which exit code. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestNode, type TestNode } from "../support/node.ts";

let node: TestNode;
const file = () => path.join(node.folder, "people.csv");
const well = async (...words: string[]) => {
  const ran = await node.cli(...words);
  expect([ran.code, ran.err], words.join(" ")).toEqual([0, ""]);
  return ran.out;
};
type Waiting = Readonly<{ external_id: string; decision: Readonly<{ kind: string }> | null }>;
const kinds = async () =>
  (JSON.parse(await well("waiting", "HR", "--json")) as Waiting[]).map(({ external_id, decision }) => [
    external_id,
    decision?.kind ?? null,
  ]);

beforeAll(async () => {
  node = await startTestNode("--allow-private");
  const rows = ["1,carl@x.co,Carl,Zed", "2,dora@x.co,Dora,Hill", "3=b,emil@x.co,Emil,Quinn"];
  writeFileSync(file(), ["id,mail,first,last,state", ...rows.map((row) => `${row},active`), ""].join("\n"));
  const columns = ["--id-column", "id", "--enabled-column", "state", "--columns-from", file()];
  await well("apps", "add", "csv", "--label", "HR", "--source", ...columns);
  const lines = ["login=appuser.mail", "email=appuser.mail", "firstName=appuser.first", "lastName=appuser.last"];
  await well("apps", "map", "HR", "--to-user", ...lines);
  await well("apps", "set", "HR", "source.auto_confirm=false", "source.auto_confirm_new=false");
  await well("users", "add", "carla@x.co", "--first", "Carla", "--last", "Zed");
  await node.cli("import", "HR", file());
});
afterAll(() => node.stop());

test.each([
  ["no app", ["waiting"], 2, ""],
  ["an app that is not there", ["waiting", "Nothing"], 3, "Nothing"],
  ["all of no kind", ["waiting", "HR", "--all", "delete"], 2, "create, link, ignore, undo"],
  ["a link without a user", ["waiting", "HR", "--link", "1"], 2, "ROW=USER"],
  ["a link to somebody who is not there", ["waiting", "HR", "--link", "1=nobody@x.co"], 3, "nobody@x.co"],
  ["a row decided twice", ["waiting", "HR", "--create", "1", "--ignore", "1"], 4, "twice"],
])("%s ends with its exit code and says why, and nothing is decided", async (_name, words, code, why) => {
  const ran = await node.cli(...words);
  expect([ran.code, ran.err]).toEqual([code, expect.stringContaining(why)]);
  expect(await kinds()).toEqual([
    ["1", null],
    ["2", null],
    ["3=b", null],
  ]);
});

test("a decision names what carries it out, with the file that the command must be given; nothing decided, nothing to run", async () => {
  const created = await well("waiting", "HR", "--create", "2");
  expect(created).toMatch(/decided +1/);
  expect(created).toContain("tenure import HR FILE.csv");
  const undone = await well("waiting", "HR", "--undo", "2");
  expect(undone).toMatch(/decided +1/);
  const again = await node.cli("waiting", "HR", "--undo", "2");
  expect([again.code, again.out, again.err]).toEqual([
    4,
    "",
    expect.stringContaining("nothing is decided about row 2"),
  ]);
  const none = await well("waiting", "HR", "--all", "undo");
  expect(none).toMatch(/decided +0/);
  expect(none).not.toContain("tenure import");
  const label = "Head office's people";
  await well("apps", "add", "scim-in", "--label", label);
  expect(await well("waiting", label, "--all", "create")).toMatch(/^decided +0\n$/);
});

test("the state of everything and of the app count the rows that wait for a decision", async () => {
  expect(await well("status")).toMatch(/^rows that wait +3 of HR: tenure waiting HR$/m);
  expect(await well("apps", "show", "HR")).toMatch(/^rows that wait +3: tenure waiting HR$/m);
  await well("waiting", "HR", "--create", "2");
  expect(await well("status")).toMatch(/^rows that wait +2 of HR/m);
  await well("waiting", "HR", "--undo", "2");
  expect(await well("status")).toMatch(/^engines +\S+$/m);
});

test("rows are listed, linked, made new, ignored and undone; the next import carries out what is left", async () => {
  expect(await well("waiting", "HR")).toMatch(/^ROW +LOGIN.*carl@x\.co.*emil@x\.co/s);
  await well("waiting", "HR", "--link", "1=carla@x.co", "--create", "2", "--ignore", "3=b");
  expect(await kinds()).toEqual([
    ["1", "link"],
    ["2", "create"],
    ["3=b", "ignore"],
  ]);
  expect((await node.cli("users", "show", "dora@x.co")).code).toBe(3);
  await well("waiting", "HR", "--undo", "2");
  await node.cli("import", "HR", file());
  expect(await kinds()).toEqual([
    ["2", null],
    ["3=b", "ignore"],
  ]);
  expect(await well("users", "show", "carl@x.co")).toContain("Carl");
  // Whom nobody ignores any more waits again from the next import on.
  await well("waiting", "HR", "--undo", "3=b");
  await node.cli("import", "HR", file());
  await well("waiting", "HR", "--all", "create");
  await node.cli("import", "HR", file());
  expect(await well("waiting", "HR")).toContain("nothing waits");
  expect(await well("users", "show", "emil@x.co")).toContain("Emil");
});

test("several users whom a row is alike to are listed with their scores and reasons, the best one first", async () => {
  await well("apps", "set", "HR", 'source.match_partial={"at_least":75}');
  await well("users", "add", "frida.old@x.co", "--first", "Frida", "--last", "Blom");
  await well("users", "add", "frida.older@x.co", "--first", "Fríða", "--last", "Blom");
  await well("users", "add", "frida.oldest@x.co", "--first", "Frída", "--last", "Blom");
  writeFileSync(file(), ["id,mail,first,last,state", "9,frida@x.co,Frida,Blom,active", ""].join("\n"));
  await node.cli("import", "HR", file());
  const alike = "(98 %, lastName the same, firstName alike)";
  expect(await well("waiting", "HR")).toContain(
    `frida.old@x.co (100 %, lastName the same, firstName the same); frida.oldest@x.co ${alike}`,
  );
});
