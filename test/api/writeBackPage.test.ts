/** docs/write-back.md as a reader follows it, with a real SCIM server as HR's own system. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type SpawnedApp, spawnApp } from "../../demo/apps/spawn.ts";
import { commandsOf, runAll } from "../support/docs.ts";
import { startTestNode, type TestNode } from "../support/node.ts";

let node: TestNode;
let hr: SpawnedApp;

beforeAll(async () => {
  node = await startTestNode("--allow-private");
  hr = await spawnApp("scimmy", { token: "hr-token" });
}, 120_000);
afterAll(async () => {
  await hr?.stop();
  await node?.stop();
});

const records = async (method = "GET", body?: object) => {
  const answer = await fetch(`${hr.url}/Users`, {
    method,
    headers: { authorization: `Bearer ${hr.token}`, "content-type": "application/scim+json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await answer.json()) as {
    Resources: { userName: string; active: boolean; emails?: { value: string }[]; name: { givenName: string } }[];
  };
};

test("every command of docs/write-back.md works, and HR's records get the address and nothing else", async () => {
  const schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"];
  const name = { givenName: "As HR", familyName: "writes it" };
  await records("POST", { schemas, userName: "1001", active: true, name });
  await records("POST", { schemas, userName: "1002", active: false, name });
  writeFileSync(path.join(node.folder, "hr.token"), "hr-token\n");
  const commands = commandsOf("docs/write-back.md", "sh");
  expect(commands.length).toBeGreaterThan(5);
  await runAll(
    node,
    commands.map((line) => line.replace("http://127.0.0.1:9101/scim/v2", hr.url)),
  );
  for (const [login, number] of [
    ["ann", "1001"],
    ["bob", "1002"],
    ["cy", "1003"],
  ]) {
    const added = await node.cli(
      "users",
      "add",
      `${login}@example.com`,
      "--first",
      "A",
      "--last",
      "B",
      "--set",
      `employeeNumber=${number}`,
    );
    expect(added.code, added.err).toBe(0);
  }
  expect((await node.cli("users", "add", "pat@example.com", "--first", "Pat", "--last", "Temp")).code).toBe(0);
  const seen = async () =>
    (await records()).Resources.map((one) => [one.userName, one.active, one.emails?.[0]?.value, one.name.givenName]);
  await expect.poll(seen, { timeout: 30_000 }).toEqual([
    ["1001", true, "ann@example.com", "As HR"],
    ["1002", false, "bob@example.com", "As HR"],
  ]);
  expect(JSON.parse((await node.cli("tasks", "--json")).out)).toEqual([]);
  expect((await node.cli("users", "deactivate", "ann@example.com")).code).toBe(0);
  await expect
    .poll(async () => (await node.cli("explain", "ann@example.com", "HR write-back")).out, { timeout: 20_000 })
    .toMatch(/not managed|released|orphan/);
  expect((await seen())[0]?.slice(0, 2)).toEqual(["1001", true]);
}, 120_000);
