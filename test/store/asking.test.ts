/** Asking a connection: what was answered is let go soon, an error says who asked, and a stream is its own answer. */
import { execFile } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { from } from "pg-copy-streams";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { asking } from "../../src/store/asking.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await testDatabase();
}, 120_000);
afterAll(() => database.drop());
beforeEach(async () => {
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterEach(() => client.end());

test("rows that were read do not outlive young collections: 300 MB end in no full one", async () => {
  const script = fileURLToPath(new URL("./fullCollections.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, database.url]);
  expect(Number(stdout)).toBeLessThanOrEqual(2);
}, 60_000);

test("an error says who asked", async () => {
  const asker = async () => await asking(client)("select 1 / $1::int", [0]);
  const error = await asker().catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: "22012" });
  expect((error as Error).stack).toContain("asker");
});

test("a stream is handed through as it is, and so is who asks with a callback", async () => {
  const ask = asking(client);
  await ask("create temp table copied (text text)");
  const stream = ask(from("copy copied from stdin")) as unknown as ReturnType<typeof from>;
  await new Promise((resolve, reject) => stream.once("finish", resolve).once("error", reject).end("one\ntwo\n"));
  const told = await new Promise((resolve) => {
    void ask("select count(*)::int as n from copied", [], (_: unknown, answer: pg.QueryResult) => resolve(answer.rows));
  });
  expect(told).toEqual([{ n: 2 }]);
});
