/** Starting a node where it cannot start: one line that says what to do, exit code 1, and nothing of anybody else's lost. */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run, startNodeIn, startTestNode, type TestNode } from "../support/node.ts";

const main = path.join(import.meta.dirname, "../../src/main.ts");
let node: TestNode;
beforeAll(async () => {
  node = await startTestNode();
});
afterAll(() => node.stop());

describe("a node that cannot start", () => {
  const cases: readonly [string, readonly string[], Record<string, string>, RegExp][] = [
    ["with a short key", [], { TENURE_KEY: "abc" }, /^TENURE_KEY must be 32 bytes.*openssl rand/],
    ["with a database address that is none", [], { DATABASE_URL: "nonsense" }, /^DATABASE_URL .*postgres:\/\//],
    ["with one of another kind", [], { DATABASE_URL: "mysql://x/y" }, /^DATABASE_URL .*postgres:\/\//],
    [
      "on an address that is not this machine's",
      ["--host", "203.0.113.7"],
      {},
      /^--host 203\.0\.113\.7 .*this machine/,
    ],
    ["on a name that nobody knows", ["--host", "nowhere.invalid"], {}, /^--host nowhere\.invalid /],
  ];
  test.each(cases)("%s says so in one line", async (_what, words, env, line) => {
    const database = { DATABASE_URL: "postgres://127.0.0.1:9/none", ...env };
    const args = [main, "serve", "--data", path.join(node.folder, "other"), "--port", "0", ...words];
    const ran = await run(args, node.folder, database);
    expect(ran.err.trim()).toMatch(line);
    expect(ran.err.trim().split("\n")).toHaveLength(1);
    expect([ran.code, ran.out]).toEqual([1, ""]);
  });

  test("on a port in use says which and what to do", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => holder.once("listening", resolve));
    const { port } = holder.address() as { port: number };
    const args = [main, "serve", "--data", path.join(node.folder, "other"), "--port", `${port}`];
    const ran = await run(args, node.folder, { DATABASE_URL: "postgres://127.0.0.1:9/none" });
    holder.close();
    expect([ran.code, ran.err.trim()]).toEqual([
      1,
      expect.stringMatching(new RegExp(`^port ${port} is in use.*--port`)),
    ]);
  });

  test("with a key other than the database's says so, and touches nothing", async () => {
    const args = [main, "serve", "--data", node.folder, "--port", "0", "--no-engine", "--throwaway"];
    const ran = await run(args, node.folder, { TENURE_KEY: "00".repeat(32) });
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(/sealed with key [0-9a-f]{12}, and this node has [0-9a-f]{12}.*TENURE_KEY or secret\.key/);
  });
});

test("a second node in the same data folder leaves the first one's address to the command line", async () => {
  const file = path.join(node.folder, "server.json");
  const before = readFileSync(file, "utf8");
  const second = await startNodeIn(node.folder);
  expect(second.url).not.toBe(node.url);
  expect(readFileSync(file, "utf8")).toBe(before);
  await second.stop();
  expect(readFileSync(file, "utf8")).toBe(before);
  expect((await node.cli("status")).code).toBe(0);
});
