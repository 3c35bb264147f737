/** docs/connectors/sql.md as a reader follows it: its form and every command, against a node and a real database. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { commandsOf, runAll } from "../support/docs.ts";
import { hasMariadb, startMariadb } from "../support/mariadb.ts";
import { startTestNode, type TestNode } from "../support/node.ts";
import { type OverTcp, overTcp } from "../support/overTcp.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

const page = "docs/connectors/sql.md";
let node: TestNode;
let database: TestDatabase;
let db: Database;
let way: OverTcp;

beforeAll(async () => {
  database = await testDatabase();
  way = await overTcp(database.url);
  db = openDatabase(database.url, { connections: 1 });
  await sql`
    create table workers (number int primary key, mail text, first_name text, last_name text, unit text, state text,
      updated_at timestamptz default now())`.execute(db);
  await sql`
    insert into workers (number, mail, first_name, last_name, unit, state) values (1, 'zoe@example.com', 'Zoë', 'Müller', 'Risk', 'employed'),
      (2, 'tunde@example.com', 'Tunde', 'Bello', 'Risk', 'employed')`.execute(db);
  node = await startTestNode("--allow-private");
});
afterAll(async () => {
  await node?.stop();
  await db.destroy();
  way.close();
  await database.drop();
});

test("every command of docs/connectors/sql.md works as it is written there, and who ends in the database leaves", async () => {
  const text = readFileSync(path.join(import.meta.dirname, "../..", page), "utf8");
  const form = JSON.parse(/^```json\n([\s\S]*?)^```/m.exec(text)?.[1] ?? "{}") as Record<string, unknown>;
  const url = new URL(database.url);
  const here = { host: way.host, port: way.port, database: url.pathname.slice(1), username: url.username, tls: "off" };
  writeFileSync(path.join(node.folder, "personnel.json"), JSON.stringify({ ...form, ...here }));
  writeFileSync(path.join(node.folder, "personnel.password"), decodeURIComponent(url.password));
  const commands = commandsOf(page, "sh");
  expect(commands.length).toBeGreaterThan(3);
  await runAll(node, commands);
  const show = async (login: string) => JSON.parse((await node.cli("users", "show", login, "--json")).out);
  expect((await show("zoe@example.com")).profile).toMatchObject({ department: "Risk", employeeNumber: "1" });
  await sql`update workers set unit = 'Trade', updated_at = now() where number = 1`.execute(db);
  await sql`update workers set unit = 'Unseen', updated_at = now() - interval '1 day' where number = 2`.execute(db);
  const changes = await node.cli("import", "Personnel database", "--incremental");
  expect(changes).toMatchObject({ code: 0, out: expect.stringMatching(/asked only for what changed since 20\d\d-/) });
  expect((await show("zoe@example.com")).profile).toMatchObject({ department: "Trade" });
  expect((await show("tunde@example.com")).profile).toMatchObject({ department: "Risk" });
  await sql`update workers set state = 'left' where number = 2`.execute(db);
  expect((await node.cli("import", "Personnel database")).code).toBe(0);
  expect((await show("tunde@example.com")).status).toBe("DEPROVISIONED");
});

test.runIf(hasMariadb)(
  "what docs/connectors/sql.md says of MariaDB makes a source of one",
  async () => {
    const mariadb = await startMariadb();
    try {
      await mariadb.run(
        "create table workers (number int primary key, mail text, first_name text, last_name text, unit text)",
      );
      await mariadb.run("insert into workers values (1, 'ada@example.com', 'Ada', 'Byron', 'Risk')");
      const { host, port, database: name, username, password } = mariadb;
      const text = readFileSync(path.join(import.meta.dirname, "../..", page), "utf8");
      const column = /`(cast\(number as char\) as number)`/.exec(text)?.[1];
      expect(text).toContain('`"dialect": "mariadb"`');
      const form = {
        ...{ dialect: "mariadb", host, port, database: name, username, tls: "off", id_column: "number" },
        query: `select ${column}, mail as login, mail as email, first_name as firstName, last_name as lastName from workers`,
      };
      writeFileSync(path.join(node.folder, "maria.json"), JSON.stringify(form));
      writeFileSync(path.join(node.folder, "maria.password"), password);
      const add = "apps add sql --label Maria --source --config-file maria.json --token-file maria.password".split(" ");
      expect(await node.cli(...add)).toMatchObject({ code: 0, err: "" });
      const imported = await node.cli("import", "Maria", "--incremental");
      expect(imported).toMatchObject({
        code: 0,
        out: expect.stringMatching(/asked for everything: it cannot say what/),
      });
      expect((await node.cli("users", "show", "ada@example.com")).code).toBe(0);
      const moved = await node.cli("apps", "set", "Maria", "config.host=db.example.com");
      expect([moved.code, moved.err]).toEqual([4, expect.stringMatching(/credentials to another address/)]);
    } finally {
      await mariadb.stop();
    }
  },
  60_000,
);
