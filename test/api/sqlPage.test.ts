/** docs/connectors/sql.md as a reader follows it: its form and every command, against a node and a real database. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { commandsOf, runAll } from "../support/docs.ts";
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
    create table workers (number int primary key, mail text, first_name text, last_name text, unit text, state text)`.execute(
    db,
  );
  await sql`
    insert into workers values (1, 'zoe@example.com', 'Zoë', 'Müller', 'Risk', 'employed'),
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
  await sql`update workers set state = 'left' where number = 2`.execute(db);
  expect((await node.cli("import", "Personnel database")).code).toBe(0);
  expect((await show("tunde@example.com")).status).toBe("DEPROVISIONED");
});
