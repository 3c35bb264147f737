/** docs/people.md as a reader follows it, what a source owns, and what the CLI writes and refuses. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
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
const show = async (login: string) => JSON.parse((await node.cli("users", "show", login, "--json")).out);

test("every command of docs/people.md works as it is written there, and an undone import leaves people as they were", async () => {
  const commands = commandsOf("docs/people.md", "sh").filter((line) => !line.startsWith("tenure groups"));
  expect(commands.length).toBe(10);
  const lines = ["login,firstName,lastName,email,department,mobilePhone"];
  lines.push(
    "eve@example.com,Eve,Stone,eve@example.com,Finance,+49 30 1234",
    "max@example.com,Max,Reed,max@example.com,Sales,",
  );
  writeFileSync(inFolder("people.csv"), `${lines.join("\n")}\nbad,Bad,Row,=nowhere,Sales,+49 30 99\n`);
  await runAll(node, commands.slice(0, 8));
  expect((await node.cli("users", "template")).out).toMatch(/^login,firstName,lastName,email,middleName,.*,manager\n$/);
  expect(await show("eve@example.com")).toMatchObject({ status: "STAGED", profile: { department: "Finance" } });
  const refused = readFileSync(inFolder("refused.csv"), "utf8");
  expect(refused).toMatch(
    /^login,firstName,lastName,email,department,mobilePhone,error\r\nbad,Bad,Row,'=nowhere,Sales,'\+49 30 99,"?line 4: /,
  );
  // Mended, our own file is imported as it is.
  writeFileSync(
    inFolder("refused.csv"),
    refused.replace("bad,", "bea@example.com,").replace("'=nowhere", "bea@example.com"),
  );
  expect((await node.cli("users", "import", "refused.csv")).code).toBe(0);
  expect((await show("bea@example.com")).profile).toMatchObject({ mobilePhone: "+49 30 99" });
  const past = JSON.parse((await node.cli("users", "imports", "--json")).out) as { id: string; status: string }[];
  expect(past).toMatchObject([{ counts: { create: 1 } }, { counts: { create: 1, update: 1, refused: 1 } }]);
  await runAll(
    node,
    commands.slice(8).map((line) => line.replace("IMPORT", past[1]?.id ?? "")),
  );
  expect((await show("eve@example.com")).profile).toMatchObject({ department: "Sales" });
  expect((await show("eve@example.com")).profile.mobilePhone).toBeNull();
  expect((await show("max@example.com")).status).toBe("DEPROVISIONED");
  expect((await node.cli("users", "imports", past[1]?.id ?? "")).out).toMatch(/UNDONE[\s\S]*max@example.com.*undone/);
}, 240_000);

test("what comes from a source is refused for its row, with the source's name, and taken back people of a source stay", async () => {
  const csv = (name: string, ...lines: string[]) => writeFileSync(inFolder(name), `${lines.join("\n")}\n`);
  const staff = ["id,mail,first,last,unit", "1,sam@example.com,Sam,Hill,Risk"];
  csv("staff.csv", ...staff);
  const map = ["login=appuser.mail", "email=appuser.mail", "firstName=appuser.first", "lastName=appuser.last"];
  await runAll(node, [
    "tenure apps add csv --label Personnel --source --id-column id --columns-from staff.csv",
    `tenure apps map Personnel --to-user ${map.join(" ")} department=appuser.unit`,
    "tenure import Personnel staff.csv",
  ]);
  const people = "login,firstName,lastName,email,department,title";
  csv(
    "change.csv",
    people,
    "sam@example.com,Sam,Hill,sam@example.com,Sales,",
    "kim@example.com,Kim,Day,kim@example.com,,Cook",
  );
  const ran = await node.cli("users", "import", "change.csv", "--json");
  expect(ran.code, ran.err).toBe(7);
  const { id, rows } = JSON.parse(ran.out);
  expect(rows).toMatchObject([
    {
      line: 2,
      outcome: "refused",
      reason: expect.stringMatching(/department of sam@example.com comes from Personnel/),
    },
    { line: 3, outcome: "create" },
  ]);
  // What it does not own may be changed, also beside what it owns, as long as that stays.
  csv("title.csv", people, "sam@example.com,Sam,Hill,sam@example.com,Risk,Lead");
  expect((await node.cli("users", "import", "title.csv")).code).toBe(0);
  expect((await show("sam@example.com")).profile).toMatchObject({ title: "Lead", department: "Risk" });
  csv("staff.csv", ...staff, "2,kim@example.com,Kim,Day,Risk");
  expect((await node.cli("import", "Personnel", "staff.csv")).code).toBe(0);
  const undone = await node.cli("users", "import", "--undo", id);
  expect([undone.code, undone.out]).toEqual([
    7,
    expect.stringMatching(/kim@example.com +left .*come from Personnel by now/),
  ]);
  expect((await show("kim@example.com")).status).not.toBe("DEPROVISIONED");
}, 240_000);

test("whoever closes the connection ends the import behind a chunk, and leaves no file on the server", async () => {
  const rows = Array.from({ length: 20_000 }, (_, n) => `r${n}@example.com,R,S,r${n}@example.com`);
  const gone = new AbortController();
  const answer = await fetch(`${node.url}/admin/v1/users/imports`, {
    ...{ method: "POST", signal: gone.signal, body: `login,firstName,lastName,email\n${rows.join("\n")}\n` },
    headers: { authorization: `SSWS ${node.token}`, "content-type": "text/csv" },
  });
  let id: string | undefined;
  for await (const part of answer.body ?? []) {
    id = /"progress":\{"id":"(pim\w+)"/.exec(Buffer.from(part).toString())?.[1];
    if (id !== undefined) break;
  }
  gone.abort();
  const past = async () => JSON.parse((await node.cli("users", "imports", id ?? "", "--json")).out);
  await expect.poll(past, { timeout: 60_000 }).toMatchObject({ status: "STOPPED" });
  expect((await past()).counts.create).toBeLessThan(20_000);
  expect(readdirSync(path.join(node.folder, "import", "uploads"))).toEqual([]);
}, 120_000);

test.each([
  [["import"], 2, /which file/],
  [["import", "nowhere.csv"], 3, /no file nowhere.csv/],
  [["import", "one.csv", "--delimiter", "x"], 2, /--delimiter is one of/],
  [["import", "one.csv", "--errors", "./one.csv"], 2, /names the file that is imported/],
  [["import", "one.csv"], 4, /"nothing".*leave the column out/],
  [["import", "--undo", "pim0000"], 3, /pim0000/],
  [["import", "one.csv", "--undo", "pim0000"], 2, /and nothing else/],
])("tenure users %j is refused in words, and the file stays", async (words, code, message) => {
  writeFileSync(inFolder("one.csv"), "login,nothing\na@example.com,x\n");
  const ran = await node.cli("users", ...words);
  expect([ran.code, ran.err]).toEqual([code, expect.stringMatching(message)]);
  expect(readFileSync(inFolder("one.csv"), "utf8")).toContain("a@example.com");
});
