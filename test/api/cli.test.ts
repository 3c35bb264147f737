/** The command line against a node as people start it: what it prints, how it ends, and every command of its page. */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { spawnApp } from "../../demo/apps/spawn.ts";
import { commandsOf, runAll } from "../support/docs.ts";
import { hookServer } from "../support/hookServer.ts";
import { startTestNode, type TestNode } from "../support/node.ts";
import { startReceiver } from "../support/receiver.ts";

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode("--allow-private");
});
afterAll(() => node.stop());

const people = `employee_id,login,first,last,mail,dept,state
1,carl@x.co,Carl,Zed,carl@x.co,Sales,active
2,dora@x.co,Dora,,dora@x.co,Sales,active
3,emil@x.co,Emil,Quinn,emil@x.co,Ops,active
`;

describe("a node", () => {
  test("keeps its first token where only its owner reads it, and tells it once", () => {
    const file = path.join(node.folder, "admin.token");
    expect(readFileSync(file, "utf8").trim()).toBe(node.token);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(node.output().split(node.token).length).toBe(2);
  });

  test("listens on this machine only", () => {
    expect(new URL(node.url).hostname).toBe("127.0.0.1");
  });
});

describe("the command line", () => {
  test.each([
    ["no command", [], 2],
    ["an unknown command", ["nothing"], 2],
    ["an unknown part", ["users", "nothing"], 2],
    ["an unknown option", ["users", "list", "--nothing"], 2],
    ["a missing word", ["users", "show"], 2],
    ["a word too many", ["status", "now"], 2],
    ["somebody who is not there", ["users", "show", "nobody@x.co"], 3],
    ["what is not allowed in this state", ["users", "unsuspend", "carl@x.co"], 3],
    ["a server that is not there", ["status", "--url", "http://127.0.0.1:9"], 5],
    ["a token nobody knows", ["status", "--token", "0123456789012345678901234567890123456789"], 6],
    ["help", ["users", "add", "--help"], 0],
    ["its version", ["--version"], 0],
    ["a limit that is no number", ["users", "list", "--limit", "abc"], 2],
    ["a limit of nothing", ["tasks", "--limit", "0"], 2],
    ["a limit that is negative", ["log", "--limit", "-1"], 2],
    ["a kind of app that is none", ["apps", "add", "foo", "--label", "Foo"], 2],
    ["an import to cancel that is not there", ["import", "--cancel", "imp0"], 3],
    ["an event hook that is not there", ["hooks", "deliveries", "Payroll", "--failed"], 3],
    ["an event hook to replay that is not there", ["hooks", "replay", "Payroll", "--from", "2h"], 3],
    ["all help", ["--help"], 0],
  ])("%s ends with its exit code", async (_name, words, code) => {
    const ran = words.length === 0 ? await node.cli() : await node.cli(...words);
    expect(ran.code, ran.err).toBe(words.length === 0 ? 2 : code);
    if (code > 2) expect(ran.err.trim().length).toBeGreaterThan(10);
  });

  test.each([
    [["apps", "add", "SCIMM", "--label", "Foo"], /no kind "SCIMM": did you mean scim\?/],
    [["apps", "add", "foobar", "--label", "Foo"], /use scim, csv, rest, sql, manual, push, scim-in, bookmark/],
    [["apps", "add", "scim", "--label", "Foo"], /--base-url URL is missing/],
    [["apps", "add", "scim", "--label", "Foo", "--base-url", "http://127.0.0.1:9"], /--token-file FILE is missing/],
    [["rules", "add", "R", "--if", "true"], /--group GROUP is missing/],
    [["rules", "preview"], /--if EXPRESSION is missing/],
    [["users", "show"], /tenure users show: USER is missing/],
    [["explain", "carl@x.co"], /tenure explain: APP is missing/],
    [["hooks", "replay", "Billing"], /say one of --seq, --from and --delivery/],
    [["hooks", "replay", "Billing", "--seq", "one"], /takes an event's number/],
    [["assign", "HR"], /tenure assign: to whom\? Name people, or groups with --group/],
    [["user", "list"], /no command "user": did you mean users\?/],
    [["users", "lst"], /no "lst": did you mean list\?/],
  ])("what is missing or misspelt is named: %j", async (words, message) => {
    const ran = await node.cli(...words);
    expect([ran.code, ran.out, ran.err]).toEqual([2, "", expect.stringMatching(message)]);
  });

  test("no line of help ends in the middle of a sentence", async () => {
    for (const command of ["apps", "users", "groups", "rules", "tasks", "hooks", "token"]) {
      const { out } = await node.cli(command, "--help");
      const lines = out.split("\n").filter((line) => line.startsWith("  "));
      expect(lines.length).toBeGreaterThan(2);
      for (const line of lines) expect(line).toMatch(/(\.|\(the default\))$/);
    }
  });

  test("a hire is tried, refused whole, made with days, and shown with them", async () => {
    const ivy = ["users", "add", "ivy@example.com", "--first", "Ivy", "--last", "Lee"];
    const tried = await node.cli(...ivy, "--dry-run");
    expect([tried.code, tried.out]).toEqual([0, expect.stringMatching(/ivy@example.com would be made/)]);
    for (const [words, why] of [
      [["--start", "2099-01-04", "--end", "2098-01-04"], /would end before starting/],
      [["--zone", "Mars"], /is no time zone/],
    ] as const) {
      const refused = await node.cli(...ivy, ...words);
      expect([refused.code, refused.err], refused.out).toEqual([4, expect.stringMatching(why)]);
    }
    expect((await node.cli("users", "show", "ivy@example.com")).code).toBe(3);
    const days = ["--start", "2099-01-04", "--end", "2099-12-31", "--zone", "Europe/Rome"];
    expect((await node.cli(...ivy, ...days)).code).toBe(0);
    const shown =
      /first day +2099-01-04 \(from 2099-01-03T23:00:00.000Z\)\nlast day +2099-12-31 \(until .*\)\ntime zone +Europe\/Rome/;
    expect((await node.cli("users", "show", "ivy@example.com")).out).toMatch(shown);
    expect((await node.cli("users", "dates", "ivy@example.com")).out).toMatch(shown);
    const past = await node.cli("users", "dates", "ivy@example.com", "--start", "2020-01-04", "--end", "2020-02-04");
    expect([past.code, past.out]).toEqual([0, expect.stringMatching(/the last day is over: they are deactivated now/)]);
    const bare = await node.cli("users", "dates", "ivy@example.com", "--start", "none");
    expect([bare.code, bare.out]).toEqual([0, expect.not.stringContaining("first day")]);
    const gone = await node.cli(...ivy.with(2, "ian@example.com"), "--end", "2020-01-01", "--dry-run");
    expect(gone.out).toMatch(/last day +2020-01-01[\s\S]*they would be deactivated at once, and get nothing/);
    const status = async () => JSON.parse((await node.cli("users", "show", "ivy@example.com", "--json")).out).status;
    await expect.poll(status, { timeout: 20_000 }).toBe("DEPROVISIONED");
  });

  test("what concerns many is told before it is done, and done with --yes", async () => {
    await node.cli("groups", "add", "Crowd");
    await node.cli("groups", "add", "Others");
    await node.cli("apps", "add", "Bookmark", "--label", "Badges");
    for (let n = 0; n < 11; n++) {
      const one = ["--first", `F${n}`, "--last", "Crowd", "--group", "Crowd", "--set", "department=Crowd"];
      const added = await node.cli("users", "add", `crowd${n}@example.com`, ...one);
      expect(added.code, added.err).toBe(0);
    }
    await node.cli("rules", "add", "Crowd rule", "--if", 'user.department == "Crowd"', "--group", "Others");
    await node.cli("assign", "Badges", "--group", "Crowd");
    const why = await node.cli("groups", "why", "Others", "crowd0@example.com");
    expect(why.out, why.err).toMatch(/rule +Crowd rule/i);
    const used = async () => JSON.parse((await node.cli("apps", "show", "Badges", "--json")).out).licence.used;
    await expect.poll(used, { timeout: 20_000 }).toBe(11);
    for (const [words, told] of [
      [["apps", "licence", "Badges", "--ends", "2020-01-01"], "11 people would lose Badges"],
      [["unassign", "Badges", "--group", "Crowd"], "to 11 people"],
      [["rules", "change", "Crowd rule", "--if", "false"], "11 people would leave"],
      [["rules", "delete", "Crowd rule", "--remove-users"], "11 people would leave"],
      [["groups", "delete", "Crowd"], "11 people would leave Crowd, which gives 1 apps"],
    ] as const) {
      const asked = await node.cli(...words);
      expect([asked.code, asked.err], words.join(" ")).toEqual([4, expect.stringContaining(told)]);
      if (words[0] === "apps" || words[0] === "unassign" || words[1] === "change") continue;
      if (words[0] === "rules") await node.cli("rules", "deactivate", "Crowd rule");
      const done = await node.cli(...words, "--yes");
      expect(done.code, done.err).toBe(0);
    }
  });

  test("a rule is changed in part, and keeps whom it leaves alone, who are shown", async () => {
    await node.cli("groups", "add", "Night shift");
    const nia = ["--first", "Nia", "--last", "Owl", "--set", "department=Night"];
    expect((await node.cli("users", "add", "nia@example.com", ...nia)).code).toBe(0);
    await node.cli("rules", "add", "Night rule", "--if", 'user.department == "Night"', "--group", "Night shift");
    const excepted = await node.cli("rules", "change", "Night rule", "--except", "nia@example.com");
    expect([excepted.code, excepted.out]).toEqual([0, expect.stringMatching(/leaves alone +nia@example\.com/)]);
    const members = async () => (await node.cli("groups", "members", "Night shift")).out.includes("nia@example.com");
    await expect.poll(members, { timeout: 20_000 }).toBe(false);
    const renamed = await node.cli("rules", "change", "Night rule", "--name", "Late rule");
    expect(renamed.code, renamed.err).toBe(0);
    const shown = await node.cli("rules", "show", "Late rule");
    for (const told of [/status +ACTIVE/, /if +user\.department == "Night"/, /groups +Night shift/, /alone +nia@/])
      expect(shown.out, shown.err).toMatch(told);
    const wrong = await node.cli("rules", "change", "Late rule", "--if", 'user.departmnt == "Night"');
    expect([wrong.code, wrong.err]).toEqual([4, expect.stringContaining("departmnt")]);
    expect((await node.cli("rules", "change", "Night rule", "--name", "x")).code).toBe(3);
    // A condition that no one question to the database can answer: what it would do is known of one person at a time only.
    const slow = ["--if", 'String.substring(user.department, 0, String.len(user.department)) == "Night"'];
    const unseen = await node.cli("rules", "change", "Late rule", ...slow);
    expect([unseen.code, unseen.err]).toEqual([expect.any(Number), expect.stringContaining("say --yes to change it")]);
    expect(unseen.code).not.toBe(0);
    expect((await node.cli("rules", "change", "Late rule", ...slow, "--yes")).code).toBe(0);
    const both = ["--except", "nia@example.com", "--include", "nia@example.com"];
    for (const [words, told] of [
      [[], "say what is to change"],
      [["--except", ""], "--except takes a login or an id"],
      [both, "the same person"],
    ] as const) {
      const refused = await node.cli("rules", "change", "Late rule", ...words);
      expect([refused.code, refused.err]).toEqual([2, expect.stringContaining(told)]);
    }
    const again = await node.cli("rules", "change", "Late rule", "--include", "nia@example.com", "--json");
    expect(JSON.parse(again.out).conditions.people.users.exclude).toEqual([]);
    await expect.poll(members, { timeout: 20_000 }).toBe(true);
    await node.cli("groups", "delete", "Night shift", "--yes");
    const broken = await node.cli("rules", "show", "Late rule");
    expect(broken.out, broken.err).toMatch(/status +INVALID\n(?:.*\n)*groups +00g\w+ \(deleted\)/);
  });

  test("a source is connected, mapped, tried, imported; refused rows are told with line and reason", async () => {
    const file = path.join(node.folder, "people.csv");
    writeFileSync(file, people);
    const add = await node.cli(
      "apps",
      "add",
      "csv",
      "--label",
      "HR",
      "--source",
      "--id-column",
      "employee_id",
      "--enabled-column",
      "state",
      "--columns-from",
      file,
    );
    expect(add.code, add.err).toBe(0);
    const map = await node.cli(
      "apps",
      "map",
      "HR",
      "--to-user",
      "login=appuser.login",
      "firstName=appuser.first",
      "lastName=appuser.last",
      "email=appuser.mail",
      "department=appuser.dept",
    );
    expect(map.code, map.err).toBe(0);
    expect((await node.cli("import", "HR", file, "--dry-run")).out).toContain("nothing was applied");
    const tried = await node.cli("import", "HR", file, "--dry-run", "--rows");
    expect(tried.out).toMatch(/create +1 +carl@x\.co +line 2, 1/);
    expect([tried.code, tried.out]).toEqual([7, expect.stringContaining("2 create, 1 refused")]);
    const done = await node.cli("import", "HR", file);
    expect(done.code, done.err).toBe(7);
    expect(done.out).toMatch(/2 created?/);
    expect(done.out).toMatch(/dora@x\.co: lastName: is required/);
    const again = JSON.parse((await node.cli("import", "HR", file, "--json")).out);
    expect(again.status).toBe("DONE");
    expect(again.rows.length).toBe(1);
    const past = await node.cli("imports", "--app", "HR");
    expect(past.out.split("\n").filter((line) => /HR +DONE +admin@tenure\.example/.test(line)).length).toBeGreaterThan(
      1,
    );
    const one = await node.cli("imports", again.id, "--outcome", "refused");
    expect([one.code, one.out]).toEqual([0, expect.stringMatching(/refused[\s\S]*lastName: is required/)]);
    expect((await node.cli("imports", "imp0")).code).toBe(3);
    writeFileSync(file, people.replace("Zed,carl@x.co,Sales", "Zed,carl@x.co,Trade"));
    const changed = await node.cli("import", "HR", file, "--dry-run", "--rows");
    expect(changed.out).toMatch(/update +1 +carl@x\.co +line 2, 1 +department: Sales -> Trade/);
    writeFileSync(file, people);
  });

  test("a dry run that the guard would hold says whom it is about; released, it is told what became of the held one", async () => {
    const file = path.join(node.folder, "crew.csv");
    const crew = (n: number) =>
      ["id,login,mail", ...Array.from({ length: n }, (_, at) => `${at},c${at}@x.co,c${at}@x.co`)].join("\n");
    writeFileSync(file, `${crew(20)}\n`);
    const id = ["--label", "Crew", "--source", "--id-column", "id", "--columns-from", file];
    expect((await node.cli("apps", "add", "csv", ...id)).code).toBe(0);
    const lines = ["login=appuser.login", "email=appuser.mail", 'firstName="C"', 'lastName="Rew"'];
    expect((await node.cli("apps", "map", "Crew", "--to-user", ...lines)).code).toBe(0);
    expect((await node.cli("import", "Crew", file)).code).toBe(0);
    writeFileSync(file, `${crew(2)}\n`);
    const dry = await node.cli("import", "Crew", file, "--dry-run");
    expect([dry.code, dry.out]).toEqual([4, expect.stringMatching(/it would be held: .*18 of 20[\s\S]*c9@x\.co/)]);
    const held = JSON.parse((await node.cli("import", "Crew", file, "--json")).out);
    const passed = await node.cli("import", "--release", held.id, "--count", "18", "--json");
    expect(passed.code, passed.err).toBe(0);
    const { out } = await node.cli("imports", "--app", "Crew");
    expect(out).toMatch(
      /CANCELLED +admin@tenure\.example .*released by admin@tenure\.example, as import \w+: .*18 of 20/,
    );
  });

  test("an app that does not answer is not left half made, and its token is not told", async () => {
    const file = path.join(node.folder, "chat.token");
    writeFileSync(file, "very-secret-token\n");
    const words = [
      "apps",
      "add",
      "scim",
      "--label",
      "Chat",
      "--base-url",
      "http://127.0.0.1:9/scim/v2",
      "--token-file",
      file,
    ];
    const failed = await node.cli(...words);
    expect(failed.code).toBe(4);
    expect(failed.err).toContain("127.0.0.1:9");
    expect((await node.cli("apps", "show", "Chat")).code).toBe(3);
    const made = await node.cli(...words, "--no-test", "--profile", "slack");
    expect(made.code, made.err).toBe(0);
    const shown = await node.cli("apps", "show", "Chat", "--json");
    expect(JSON.parse(shown.out).config).toMatchObject({ profile: "slack", base_url: "http://127.0.0.1:9/scim/v2" });
    expect(failed.out + failed.err + made.out + shown.out + node.output()).not.toContain("very-secret-token");
  });

  test("a rule, a group and an app make an account, and the chain is told back to the source's row", async () => {
    await node.cli("groups", "add", "Sales");
    const rule = await node.cli(
      "rules",
      "add",
      "Sales people",
      "--if",
      'user.department == "Sales"',
      "--group",
      "Sales",
    );
    expect(rule.out, rule.err).toContain("ACTIVE");
    expect((await node.cli("apps", "add", "bookmark", "--label", "Wiki")).code).toBe(0);
    const assigned = await node.cli("assign", "Wiki", "--group", "Sales", "--until", "30d", "--reason", "trial");
    expect(assigned.out, assigned.err).toMatch(/groups that give it +1/);
    const told = async () => (await node.cli("explain", "carl@x.co", "Wiki")).out;
    for (let tries = 0; tries < 40 && !(await told()).includes("has it because"); tries++)
      await new Promise((done) => setTimeout(done, 250));
    const explained = await told();
    expect(explained).toContain("the group Sales (by rule Sales people");
    expect(explained).toMatch(/user\.login = carl@x\.co +<- .*HR/);
    const source = (await node.cli("explain", "carl@x.co", "HR")).out;
    expect(source).toMatch(/is the source that decides: HR\n {2}its row says:\n(.*\n)* {4}dept = Sales\n/);
    expect(source).toMatch(/ {4}department: Sales +<- HR row 1\n {6}by HR as appuser\.dept; its row says dept = Sales/);
    expect(source).not.toContain("not managed here");
    const one = await node.cli("explain", "carl@x.co", "HR", "department");
    expect([one.code, one.err]).toEqual([0, ""]);
    expect(one.out).toMatch(/department: Sales +<- HR row 1/);
    const plan = JSON.parse((await node.cli("plan", "carl@x.co", "--json")).out);
    expect(plan.login).toBe("carl@x.co");
    const logged = await node.cli("log", "--user", "carl@x.co");
    expect(logged.out).toContain("user.lifecycle.create");
    // Names, not ids; and what is long is whole where no screen is narrow.
    expect(logged.out).not.toMatch(/ {2}0oa\w{17}/);
    expect((await node.cli("import", "HR", path.join(node.folder, "people.csv"))).out).not.toContain("…");
    const shown = await node.cli("users", "show", "carl@x.co");
    expect(shown.out).toMatch(/HR +source +/);
  });

  test("an event hook is told by the node, listed with its deliveries, and told again", async () => {
    const receiver = await startReceiver();
    const send = async (path: string, body?: unknown) => {
      const headers = { authorization: `SSWS ${node.token}`, "content-type": "application/json" };
      const answer = await fetch(`${node.url}/api/v1/${path}`, {
        ...{ method: "POST", headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return (await answer.json()) as { id: string };
    };
    try {
      const config = { uri: receiver.url, authScheme: { type: "HEADER", key: "Authorization", value: "hook-secret" } };
      const { id } = await send("eventHooks", {
        name: "Billing",
        events: { type: "EVENT_TYPE", items: ["group.lifecycle.create"] },
        channel: { type: "HTTP", version: "1.0.0", config },
      });
      await send(`eventHooks/${id}/lifecycle/verify`);
      await node.cli("groups", "add", "Told");
      const events = () => receiver.got.flatMap(({ json }) => json?.data?.events ?? []);
      await expect.poll(() => events().length, { timeout: 10_000 }).toBe(1);
      expect(events()[0].target[0].displayName).toBe("Told");
      expect(receiver.got.at(-1)?.json.source).toBe(`${node.url}/api/v1/eventHooks/${id}`);
      const delivered = async () => JSON.parse((await node.cli("hooks", "deliveries", "Billing", "--json")).out);
      await expect.poll(async () => (await delivered()).length, { timeout: 10_000 }).toBe(1);
      const listed = await node.cli("hooks");
      expect(listed.out, listed.err).toMatch(/Billing +delivering/);
      const [{ id: delivery }] = await delivered();
      const again = await node.cli("hooks", "replay", "Billing", "--delivery", delivery);
      expect(again.out, again.err).toMatch(/outcome +DELIVERED/);
      const from = await node.cli("hooks", "replay", "Billing", "--from", "1h");
      expect(from.code, from.err).toBe(0);
      await expect
        .poll(() => events().filter((event) => event.target[0].displayName === "Told").length, { timeout: 10_000 })
        .toBe(3);
      expect(node.output() + listed.out + again.out).not.toContain("hook-secret");
      await send(`eventHooks/${id}/lifecycle/deactivate`);
    } finally {
      await receiver.stop();
    }
  });

  test("a source asks an inline hook that its settings name", async () => {
    const hook = await hookServer();
    try {
      const commands = [{ type: "com.okta.user.profile.update", value: { title: "From the hook" } }];
      hook.answer(() => ({ commands }));
      const channel = { type: "HTTP", version: "1.0.0", config: { uri: hook.url } };
      const made = await fetch(`${node.url}/api/v1/inlineHooks`, {
        method: "POST",
        headers: { authorization: `SSWS ${node.token}`, "content-type": "application/json" },
        body: JSON.stringify({ name: "Titles", type: "com.okta.import.transform", version: "1.0.0", channel }),
      });
      const { id } = (await made.json()) as { id: string };
      expect((await node.cli("apps", "set", "HR", "source.import_hook=calnone")).code).toBe(4);
      const set = await node.cli("apps", "set", "HR", `source.import_hook=${id}`);
      expect(set.out, set.err).toContain(id);
      const file = path.join(node.folder, "people.csv");
      writeFileSync(file, `${people}4,fred@x.co,Fred,Hook,fred@x.co,Ops,active\n`);
      await node.cli("import", "HR", file);
      expect((await node.cli("users", "show", "fred@x.co")).out).toContain("From the hook");
      expect((await node.cli("apps", "set", "HR", "source.import_hook=")).code).toBe(0);
    } finally {
      await hook.close();
    }
  });

  test("JSON is JSON, and a table is aligned and has no colours", async () => {
    const json = await node.cli("users", "list", "--json");
    expect(JSON.parse(json.out).length).toBeGreaterThan(0);
    const table = await node.cli("users", "list");
    const [head = "", first = ""] = table.out.split("\n");
    expect(head.indexOf("STATUS")).toBe(first.indexOf(first.includes("ACTIVE") ? "ACTIVE" : "PROVISIONED"));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what must not be there
    expect(table.out + table.err).not.toMatch(/\u001b/);
  });

  test("an import that is refused for its file ends with 4, and says what is wrong with it", async () => {
    const file = path.join(node.folder, "lacking.csv");
    writeFileSync(file, "employee_id,first\n1,Carl\n");
    const ran = await node.cli("import", "HR", file);
    expect(ran.code).toBe(4);
    expect(ran.out).toContain("Line 1: the column");
  });

  test.each([
    ["people", ["users", "list"]],
    ["members of a group", ["groups", "members", "Everyone"]],
    ["events", ["log"]],
  ])("a list of %s that is cut off says so, and only then", async (_, words) => {
    const cut = await node.cli(...words, "--limit", "1");
    expect(cut.err).toContain("1 are shown, and there are more");
    expect((await node.cli(...words, "--limit", "100000")).err).toBe("");
  });

  const docs = path.join(import.meta.dirname, "../..");
  test("every command of docs/cli.md works as it is written there", async () => {
    const commands = commandsOf("docs/cli.md", "sh");
    expect(commands.length).toBeGreaterThan(25);
    writeFileSync(
      path.join(node.folder, "staff.csv"),
      "id,login,first,last,mail,dept\n9,zoe@example.com,Zoe,Ash,zoe@example.com,Finance\n",
    );
    await runAll(node, commands);
  });

  test("so do those of the example apps and of the README, with an app that is started as it says there", async () => {
    const [label, group] = ["Chat", "Sales"];
    await node.cli("apps", "delete", label, "--yes");
    await node.cli("rules", "delete", "Sales people");
    await node.cli("groups", "delete", group, "--yes");
    writeFileSync(path.join(node.folder, "try-me.token"), "try-me\n");
    const app = await spawnApp("scimmy", { token: "try-me" });
    try {
      const written = commandsOf("docs/example-apps.md", "sh");
      expect(written.length).toBeGreaterThan(5);
      await runAll(
        node,
        written.map((line) => line.replace("http://127.0.0.1:9101/scim/v2", app.url)),
      );
      const readme = commandsOf("README.md", "").filter((line) => !line.startsWith("tenure serve"));
      expect(readme.length).toBeGreaterThan(2);
      await runAll(node, readme);
    } finally {
      await app.stop();
    }
  });

  test("every npm script that the pages name is there", () => {
    const { scripts } = JSON.parse(readFileSync(path.join(docs, "package.json"), "utf8"));
    const pages = ["README.md", "docs/demo.md", "CONTRIBUTING.md"].map((page) =>
      readFileSync(path.join(docs, page), "utf8"),
    );
    const named = [...pages.join("\n").matchAll(/npm (?:--silent )?(start|test|run (\w+))/g)];
    expect(named.length).toBeGreaterThan(8);
    for (const [, short = "", long] of named) expect(Object.keys(scripts)).toContain(long ?? short);
  });
});

describe("the end of a node", () => {
  test("SIGTERM ends it in order, and what it told this machine's CLI is taken back", async () => {
    const address = path.join(node.folder, "server.json");
    expect(existsSync(address)).toBe(true);
    node.child.kill("SIGTERM");
    await expect.poll(() => node.child.exitCode, { timeout: 20_000 }).toBe(0);
    expect(existsSync(address)).toBe(false);
    expect(node.output()).toContain("the database server has stopped");
    expect((await node.cli("status")).code).toBe(5);
  });
});
