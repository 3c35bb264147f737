/** docs/scim-inbound.md as a reader follows it: every command, and what the printed address and token then do. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { commandsOf, runAll } from "../support/docs.ts";
import { startTestNode, type TestNode } from "../support/node.ts";

const page = "docs/scim-inbound.md";
let node: TestNode;

beforeAll(async () => {
  node = await startTestNode();
});
afterAll(() => node?.stop());

const push = (address: string, token: string, body: object) =>
  fetch(`${address}/Users`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/scim+json" },
    body: JSON.stringify(body),
  });

const userOf = (name: string) => ({
  ...{ schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"], userName: `${name}@example.com` },
  name: { givenName: name, familyName: "Pushed" },
  emails: [{ value: `${name}@example.com`, type: "work" }],
});

const lineOf = (out: string, name: string) => new RegExp(`^${name}\\s+(\\S+)$`, "m").exec(out)?.[1] ?? "";

test("every command of docs/scim-inbound.md works as it is written there", async () => {
  const commands = commandsOf(page, "sh");
  expect(commands.length).toBeGreaterThan(5);
  await runAll(node, commands);
  const { sourcing } = JSON.parse((await node.cli("apps", "show", "Personnel", "--json")).out);
  expect(sourcing).toMatchObject({ on_inactive: "suspend", guard_percent: 10 });
});

test("one command gives an address and a token that work; the token is renewed and revoked, and shown nowhere again", async () => {
  const added = await node.cli("apps", "add", "scim-in", "--label", "Branch", "--strict");
  expect(added.code, added.err).toBe(0);
  const [address, token] = [lineOf(added.out, "address"), lineOf(added.out, "token")];
  expect(address).toBe(`${node.url}/scim/v2`);
  expect((await push(address, token, userOf("mia"))).status).toBe(201);
  expect((await node.cli("users", "show", "mia@example.com")).code).toBe(0);
  const { schemas: _, ...without } = userOf("ida");
  expect((await push(address, token, without)).status).toBe(400);
  const renewed = JSON.parse((await node.cli("apps", "token", "Branch", "--json")).out);
  expect((await push(address, renewed.text, userOf("eva"))).status).toBe(201);
  const id = lineOf(added.out, "token id");
  expect((await node.cli("token", "revoke", id)).code).toBe(0);
  expect((await push(address, token, userOf("leo"))).status).toBe(401);
  expect((await push(address, renewed.text, userOf("leo"))).status).toBe(201);
  for (const words of [
    ["apps", "show", "Branch", "--json"],
    ["token", "list", "--json"],
    ["log", "--json"],
  ]) {
    expect((await node.cli(...words)).out).not.toContain(renewed.text);
  }
});

test("only a source that sends its people has tokens", async () => {
  expect((await node.cli("apps", "add", "bookmark", "--label", "Badges")).code).toBe(0);
  const refused = await node.cli("apps", "token", "Badges");
  expect(refused.code).toBe(4);
  expect(refused.err).toContain("Badges is of kind");
});
