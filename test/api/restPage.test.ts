/** docs/connectors/rest.md as a reader follows it: its form and every command, against a node and a report over HTTP. */
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commandsOf, runAll } from "../support/docs.ts";
import { startTestNode, type TestNode } from "../support/node.ts";

const page = "docs/connectors/rest.md";
let node: TestNode;
let server: Server;
let port = 0;
let workers: readonly object[] = [];

const worker = (id: string, first: string, last: string, more: object = {}) => ({
  ...{ Worker_ID: id, Name: { First: first, Last: last }, Email: `${first}.${last}@example.com`.toLowerCase() },
  ...{ Status: "Active", Sup_Org: "Payments EU", ...more },
});

beforeAll(async () => {
  server = createServer((request, response) => {
    const known = request.headers.authorization === `Basic ${btoa("tenure:report-secret")}`;
    const there = request.url === "/reports/workers?format=json";
    response.writeHead(known ? (there ? 200 : 404) : 401, { "content-type": "application/json" });
    response.end(JSON.stringify(known && there ? { Report_Entry: workers } : { error: "no" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
  node = await startTestNode("--allow-private");
});
afterAll(async () => {
  await node?.stop();
  server.close();
});

/** The page's form in a file, with its server where the test has one. */
function writeForm(change: (form: Record<string, unknown>) => Record<string, unknown> = (form) => form): string {
  const text = readFileSync(path.join(import.meta.dirname, "../..", page), "utf8");
  const form = JSON.parse(/^```json\n([\s\S]*?)^```/m.exec(text)?.[1] ?? "{}") as Record<string, unknown>;
  const file = path.join(node.folder, "workers.json");
  writeFileSync(file, JSON.stringify(change({ ...form, base_url: `http://127.0.0.1:${port}/reports` })));
  return file;
}

test("every command of docs/connectors/rest.md works as it is written there, and who ends in the report leaves", async () => {
  workers = [
    worker("1", "Zoë", "Müller"),
    worker("2", "Tunde", "Bello"),
    worker("3", "An", "Nguyen", { Status: "Pre-Hire" }),
  ];
  writeForm();
  writeFileSync(path.join(node.folder, "workers.token"), "report-secret\n");
  const commands = commandsOf(page, "sh");
  expect(commands.length).toBeGreaterThan(3);
  await runAll(node, commands);
  const show = async (login: string) => JSON.parse((await node.cli("users", "show", login, "--json")).out);
  expect((await show("zoë.müller@example.com")).profile).toMatchObject({
    department: "Payments EU",
    employeeNumber: "1",
  });
  workers = [
    worker("1", "Zoë", "Müller", { Sup_Org: "Risk" }),
    worker("2", "Tunde", "Bello", { Status: "Terminated" }),
  ];
  const again = await node.cli("import", "Workers");
  expect(again.code, again.err).toBe(0);
  expect((await show("zoë.müller@example.com")).profile.department).toBe("Risk");
  expect((await show("tunde.bello@example.com")).status).toBe("DEPROVISIONED");
});

test.each<[string, (form: Record<string, unknown>) => Record<string, unknown>, string, RegExp]>([
  ["a wrong token", (form) => form, "wrong-secret", /401/],
  ["a wrong place", (form) => ({ ...form, path: "/staff" }), "report-secret", /404/],
  ["records that are elsewhere", (form) => ({ ...form, records: "/data" }), "report-secret", /no list.*\/Report_Entry/],
  ["a field that there is not", (form) => ({ ...form, recrods: "" }), "report-secret", /recrods/],
])("%s is refused with the reason, and nothing is left behind", async (_name, change, token, message) => {
  const file = writeForm(change);
  const token_file = path.join(node.folder, "other.token");
  writeFileSync(token_file, token);
  const ran = await node.cli(
    "apps",
    "add",
    "rest",
    "--label",
    "Other",
    "--config-file",
    file,
    "--token-file",
    token_file,
  );
  expect(ran.code).not.toBe(0);
  expect(ran.err).toMatch(message);
  expect(ran.err).not.toContain(token);
  expect((await node.cli("apps", "show", "Other")).code).toBe(3);
});
