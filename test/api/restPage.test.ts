/** docs/connectors/rest.md as a reader follows it: its form and every command, against a node and a report over HTTP. */
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocksOf, commandsOf, runAll } from "../support/docs.ts";
import { startTestNode, type TestNode } from "../support/node.ts";

const page = "docs/connectors/rest.md";
let node: TestNode;
let server: Server;
let port = 0;
let workers: readonly object[] = [];
let slices: readonly object[] = [];
/** What the token place was asked with. */
let token_forms: URLSearchParams[] = [];

const worker = (id: string, first: string, last: string, more: object = {}) => ({
  ...{ Worker_ID: id, Name: { First: first, Last: last }, Email: `${first}.${last}@example.com`.toLowerCase() },
  ...{ Status: "Active", Sup_Org: "Payments EU", ...more },
});

/** The report behind a password, the feed in pages of two behind a token, and the place where tokens are given. */
async function answerOf(request: IncomingMessage): Promise<readonly [number, object]> {
  const url = new URL(request.url ?? "", `http://127.0.0.1:${port}`);
  const by = request.headers.authorization;
  if (url.pathname === "/oauth/token") {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    token_forms.push(new URLSearchParams(Buffer.concat(chunks).toString()));
    const known = by === `Basic ${btoa("tenure:feed-secret")}`;
    return known ? [200, { access_token: "feed-token", expires_in: 600 }] : [401, { error: "invalid_client" }];
  }
  if (url.pathname === "/scim/v2/Users")
    return by === "Bearer feed-token" ? [200, { Resources: [], totalResults: 0 }] : [401, {}];
  if (url.pathname === "/odata/v2/EmpJob") {
    const asked = url.searchParams.get("fromDate") === "1990-01-01" || url.searchParams.has("$skiptoken");
    if (by !== "Bearer feed-token" || !asked) return [401, {}];
    const at = Number(url.searchParams.get("$skiptoken") ?? 0);
    const __next = at + 2 < slices.length ? { __next: `${url.origin}${url.pathname}?$skiptoken=${at + 2}` } : {};
    return [200, { d: { results: slices.slice(at, at + 2), ...__next } }];
  }
  if (by !== `Basic ${btoa("tenure:report-secret")}`) return [401, { error: "no" }];
  return request.url === "/reports/workers?format=json" ? [200, { Report_Entry: workers }] : [404, {}];
}

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const [status, body] = await answerOf(request);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
  node = await startTestNode("--allow-private");
});
afterAll(async () => {
  await node?.stop();
  server.close();
});

type Form = Record<string, unknown>;

/** The page's `n`th form in a file, with its server where the test has one. */
function writeForm(change: (form: Form) => Form = (form) => form, n = 0, name = "workers.json"): string {
  const text = (blocksOf(page, "json")[n] ?? "{}").replaceAll("127.0.0.1:4790", `127.0.0.1:${port}`);
  const file = path.join(node.folder, name);
  writeFileSync(file, JSON.stringify(change(JSON.parse(text) as Form)));
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
  const commands = commandsOf(page, "sh").filter((line) => line.includes("Workers"));
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

test("the feed of docs/connectors/rest.md is signed in to by OAuth, its slices wait for their day, and a SCIM app signs in so too", async () => {
  const ada = { userId: "7", userNav: { email: "ada.byron@example.com", firstName: "Ada", lastName: "Byron" } };
  const slice = (department: string, startDate: string, endDate: string) => ({
    ...ada,
    department,
    startDate,
    endDate,
  });
  const day = (text: string) => `/Date(${Date.parse(text)})/`;
  slices = [
    slice("Sales", "2999-01-01", "9999-12-31"),
    slice("Mills", day("2025-01-01"), day("2998-12-31")),
    slice("Youth", day("2020-01-01"), day("2024-12-31")),
  ];
  token_forms = [];
  writeForm(undefined, 1, "feed.json");
  writeFileSync(path.join(node.folder, "feed.secret"), "feed-secret\n");
  const commands = commandsOf(page, "sh").filter((line) => line.includes("Feed"));
  expect(commands).toHaveLength(5);
  await runAll(node, commands);
  const shown = await node.cli("users", "show", "ada.byron@example.com", "--json");
  expect(JSON.parse(shown.out)).toMatchObject({ status: "PROVISIONED", profile: { department: "Mills" } });
  const wanted = { grant_type: "client_credentials", scope: "people.read", audience: "https://hr.example.com" };
  expect(Object.fromEntries(token_forms[0] ?? [])).toEqual(wanted);
  writeFileSync(path.join(node.folder, "desk.secret"), "feed-secret\n");
  const desk = commandsOf("docs/connectors/scim.md", "sh").map((line) => line.replaceAll("4790", `${port}`));
  expect(desk).toHaveLength(1);
  await runAll(node, desk);
  expect(Object.fromEntries(token_forms.at(-1) ?? [])).toEqual({ grant_type: "client_credentials", scope: "scim" });
  const moved = await node.cli(
    "apps",
    "set",
    "Feed",
    'config.oauth={"token_url":"http://localhost:1/t","client_id":"tenure"}',
  );
  expect([moved.code === 0, moved.err]).toEqual([false, expect.stringMatching(/credentials to another address/)]);
});

test.each<[string, (form: Form) => Form, string, RegExp]>([
  [
    "a wrong client secret",
    () => JSON.parse(blocksOf(page, "json")[1]?.replaceAll("4790", `${port}`) ?? "{}"),
    "wrong-secret",
    /No token to sign in with: POST .*invalid_client/,
  ],
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
