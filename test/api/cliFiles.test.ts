/** Files that commands are given: what is wrong with one is said before any request. No server is there to be asked. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../support/node.ts";

const main = path.join(import.meta.dirname, "../../src/main.ts");
let folder: string;

/** Runs a command towards an address where nothing listens: code 5 tells that it asked. */
const asking = (...words: string[]) => run([main, ...words, "--url", "http://127.0.0.1:9", "--token", "x"], folder);

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "tenure-files-"));
  mkdirSync(path.join(folder, "folder"));
  writeFileSync(path.join(folder, "people.csv"), "login,firstName,lastName,email\nann@x.co,Ann,Lee,ann@x.co\n");
  writeFileSync(path.join(folder, "kept.csv"), "kept");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const csv = ["apps", "add", "csv", "--label", "HR"];
const scim = ["apps", "add", "scim", "--label", "Chat", "--base-url", "http://127.0.0.1:9"];
const okta = ["okta-import", "https://example.okta.com"];

test.each([
  [["users", "import", "folder"], /folder is a folder/],
  [["import", "HR", "folder"], /folder is a folder/],
  [["import", "HR", "folder", "--watch"], /folder is a folder/],
  [["apps", "discover", "HR", "folder"], /folder is a folder/],
  [[...csv, "--columns-from", "folder"], /^--columns-from: folder is a folder/],
  [["apps", "add", "rest", "--label", "HR", "--config-file", "folder"], /^--config-file: folder is a folder/],
  [[...scim, "--token-file", "folder"], /^--token-file: folder is a folder/],
  [["apps", "connect", "Chat", "--token-file", "folder"], /^--token-file: folder is a folder/],
  [[...okta, "--token-file", "folder"], /^--token-file: folder is a folder/],
  [["okta-import", "--from", "folder"], /^--from: folder is a folder/],
  [["users", "import", "people.csv", "--errors", "folder"], /^--errors: folder is a folder/],
  [["users", "import", "people.csv", "--errors", "nowhere/errors.csv"], /^--errors: there is no folder nowhere/],
])("a wrong place is told as such before anything is asked: %j", async (words, message) => {
  const ran = await asking(...words);
  expect([ran.code, ran.out, ran.err]).toEqual([2, "", expect.stringMatching(message)]);
  expect(ran.err.trim().split("\n").length).toBe(1);
});

test.each([
  [["users", "import", "none.csv"], /^there is no file none\.csv/],
  [["import", "HR", "none.csv"], /^there is no file none\.csv/],
  [["apps", "discover", "HR", "none.csv"], /^there is no file none\.csv/],
  [[...csv, "--columns-from", "none.csv"], /^--columns-from: there is no file none\.csv/],
  [
    ["apps", "add", "rest", "--label", "HR", "--config-file", "none.json"],
    /^--config-file: there is no file none\.json/,
  ],
  [[...scim, "--token-file", "none.token"], /^--token-file: there is no file none\.token/],
  [["okta-import", "--from", "none.json"], /^--from: there is no file none\.json/],
])("a file that is not there is told as such before anything is asked: %j", async (words, message) => {
  const ran = await asking(...words);
  expect([ran.code, ran.out, ran.err]).toEqual([3, "", expect.stringMatching(message)]);
  expect(ran.err).not.toContain("ENOENT");
});

test("a file of refused rows of an earlier import is kept when there is no file to import", async () => {
  const ran = await asking("users", "import", "none.csv", "--errors", "kept.csv");
  expect(ran.code).toBe(3);
  expect(readFileSync(path.join(folder, "kept.csv"), "utf8")).toBe("kept");
});

test("a server that ends before it has said anything of the import: what to do is told", async () => {
  const server = createServer((request, response) => {
    if (request.method === "GET") response.end(JSON.stringify({ id: "0oa1", label: "HR", kind: "csv", config: {} }));
    else request.socket.destroy();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const words of [
    ["users", "import", "people.csv"],
    ["import", "HR", "people.csv"],
    ["import", "HR"],
  ]) {
    const ran = await run([main, ...words, "--url", url, "--token", "x"], folder);
    expect([ran.code, ran.err], words.join(" ")).toEqual([
      5,
      expect.stringMatching(/^cannot reach .*\n.*run the same command again: what was done is not done twice\n$/),
    ]);
  }
  await new Promise((done) => server.close(done));
});

test.skipIf(!existsSync("/dev/full"))(
  "refused rows that cannot be written end the command with the reason, not as a server that is away",
  async () => {
    const server = createServer((request, response) => {
      request.resume().on("end", () => {
        response.writeHead(200, { "content-type": "application/x-ndjson" });
        response.write(`${JSON.stringify({ file: { columns: ["login"], rows: 1 } })}\n`);
      });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const words = ["users", "import", "people.csv", "--errors", "/dev/full"];
    const ran = await run([main, ...words, "--url", url, "--token", "x"], folder);
    expect([ran.code, ran.err]).toEqual([1, expect.stringMatching(/^ENOSPC: no space left on device, write\n$/)]);
    await new Promise((done) => server.close(done));
  },
);

test("a file that is there is sent, and then the server is what is missing", async () => {
  for (const words of [
    ["users", "import", "people.csv", "--errors", "errors.csv"],
    ["import", "HR", "people.csv"],
  ]) {
    const ran = await asking(...words);
    expect([ran.code, ran.err]).toEqual([5, expect.stringContaining("nothing listens there")]);
  }
});
