/** Apps that fail, and addresses where no app is: every failure is one of the seven faults and says what to do. */
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type SpawnedApp, spawnApp } from "../../demo/apps/spawn.ts";
import { type Connector, secret } from "../../src/connectors/connector.ts";
import { scimConnector } from "../../src/connectors/scim/connector.ts";
import { context, fault, faultKind, person } from "./suite.ts";

let app: SpawnedApp;
let connector: Connector;
const token = "the-token-of-this-test";

function connect(url: string): Connector {
  return scimConnector({ base_url: url }, { token: secret(token) }, { allow_private: true });
}

async function trouble(settings: object): Promise<void> {
  await fetch(new URL("/__trouble", app.url), { method: "PUT", body: JSON.stringify(settings) });
}

async function stats(): Promise<Record<string, number>> {
  return (await (await fetch(new URL("/__stats", app.url))).json()) as Record<string, number>;
}

beforeAll(async () => {
  app = await spawnApp("quirks", { token });
  connector = connect(app.url);
});
afterAll(async () => {
  await connector.close?.();
  await app.stop();
});

const hire = (name: string) => connector.create(context(), { profile: person(name), enabled: true, key: name });

describe("an address where no app is", () => {
  it.each([
    ["a web page", "html", "denied", /HTML page came instead of JSON: the base URL is wrong/],
    ["{} to everything", "empty", "denied", /without a SCIM list.*not a SCIM 2\.0 server; check the base URL/],
    ["a redirect to itself", "redirect", "denied", /redirects are not followed here; set the base URL/],
    ["a redirect to another host", "elsewhere", "denied", /a redirect to https:\/\/login\.example\.com.*base URL/],
  ])("that answers %s is told for what it is", async (_name, answers, kind, message) => {
    await trouble({ answers });
    const told = await fault(connector.test(context()));
    expect(told.kind).toBe(kind);
    expect(told.message).toMatch(message);
    expect(told.message).toContain(app.url);
    expect(await faultKind(hire("nobody"))).not.toBe("invalid");
    await trouble({});
  });

  it("that takes the call and never answers is given up at the deadline", async () => {
    await trouble({ answers: "silent" });
    const started = Date.now();
    const told = await fault(connector.test(context(300)));
    expect(told).toMatchObject({ kind: "retry", message: expect.stringMatching(/no answer before the deadline/) });
    expect(Date.now() - started).toBeLessThan(2_000);
    await trouble({});
  });

  it("where nothing listens is told as unreachable", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((done) => server.once("listening", done));
    const { port } = server.address() as { port: number };
    await new Promise((done) => server.close(done));
    const told = await fault(connect(`http://127.0.0.1:${port}/scim`).test(context()));
    expect(told).toMatchObject({ kind: "retry", status: "ECONNREFUSED" });
    expect(told.message).toContain(`http://127.0.0.1:${port}`);
  });

  it("beside the right one is told as a wrong base URL, for a test and for a create", async () => {
    const beside = connect(app.url.replace("/scim/v2", "/scim/v3"));
    const calls = [
      () => beside.test(context()),
      () => beside.list(context(), {}),
      () => beside.create(context(), { profile: person("lost"), enabled: true, key: "lost" }),
    ];
    for (const call of calls) {
      expect(await fault(call())).toMatchObject({ kind: "denied", message: expect.stringMatching(/SCIM base URL\?/) });
    }
    await beside.close?.();
  });
});

describe("an app in trouble", () => {
  it("that asks for a pause is left alone for as long as it says", async () => {
    await trouble({ rate: 0, retry_after_s: 17 });
    const before = Date.now();
    const told = await fault(hire("paused"));
    expect(told.kind).toBe("rate_limited");
    const wait_ms = told.retry_at!.getTime() - before;
    expect(wait_ms).toBeGreaterThan(16_000);
    expect(wait_ms).toBeLessThan(18_000);
    await trouble({});
  });

  it("that loses the answer after the effect leaves an account that a look finds", async () => {
    await trouble({ drop_every: 1 });
    expect(await faultKind(hire("dropped"))).toBe("retry");
    await trouble({});
    expect(await connector.find(context(), { attribute: "userName", value: "dropped@example.com" })).toHaveLength(1);
    expect((await stats())["drops"]).toBeGreaterThan(0);
  });

  it.each([
    ["fails inside", { error_every: 1 }, "retry"],
    ["tears its answers", { torn_every: 1 }, "retry"],
    ["puts a web page in an answer's place", { html_every: 1 }, "denied"],
  ])("that %s is answered by %s", async (_name, settings, kind) => {
    await trouble(settings);
    expect(await faultKind(hire(`in-${kind}-${Object.keys(settings)[0]}`))).toBe(kind);
    await trouble({});
  });

  it("that lies is caught by the look after the write", async () => {
    const made = await hire("believer");
    await trouble({ lie_every: 1 });
    const change = { set: { title: "Chef" }, enabled: false, was: made.account! };
    const told = await fault(connector.update(context(), made.id, change));
    expect(told).toMatchObject({ kind: "invalid", attribute: "enabled" });
    expect(told.message).toMatch(/did not keep enabled \(and title\): sent false, found true/);
    await trouble({});
  });

  it("whose pages go round in circles is listed once and not vouched for", async () => {
    for (let index = 0; index < 5; index++) await hire(`circle-${index}`);
    await trouble({ loop_pages: true });
    const seen: string[] = [];
    let cursor: string | undefined;
    let complete: boolean | undefined;
    let pages = 0;
    do {
      const page = await connector.list(context(), { limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.items.map((one) => one.id));
      ({ next: cursor, complete } = page);
      pages += 1;
    } while (cursor !== undefined && pages < 50);
    expect({ complete, pages, seen: seen.length, ids: new Set(seen).size }).toEqual({
      complete: false,
      pages: 2,
      seen: 3,
      ids: 3,
    });
    await trouble({});
  });
});
