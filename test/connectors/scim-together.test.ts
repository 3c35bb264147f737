/** Many accounts in one request, at servers that keep to the standard and at servers that answer it in every wrong way. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Connector, type ConnectorFault, type Context, secret } from "../../src/connectors/connector.ts";
import { scimConnector } from "../../src/connectors/scim/connector.ts";

type User = Record<string, unknown> & { id: string; userName: string };
type Operation = { bulkId: string; data: Record<string, unknown> };
type Answered = Record<string, unknown> & { bulkId?: string };
type Reply = Readonly<{ status: number; body?: unknown; dropped?: boolean }>;

/** `search` and `bulk`: what becomes of such a request, given what a right server would answer. */
type Ways = Readonly<{
  filter?: object;
  bulk_config?: object;
  config_status?: number;
  search?: (values: readonly string[], users: readonly User[]) => Reply | undefined;
  bulk?: (operations: readonly Operation[], right: () => Answered[]) => Reply | undefined;
}>;

let ways: Ways = {};
let users: User[] = [];
let requests: string[] = [];
let next = 1;

const list = (found: readonly User[], total = found.length) => ({
  schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
  ...{ totalResults: total, Resources: found },
});
const refused = (status: number, detail: string, scimType?: string) => ({
  status,
  body: { schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"], status: `${status}`, detail, scimType },
});
const byName = (value: string) => users.filter((one) => one.userName.toLowerCase() === value.toLowerCase());

function post(data: Record<string, unknown>): Reply {
  const userName = String(data["userName"]);
  if (byName(userName).length > 0) return refused(409, `${userName} is taken`, "uniqueness");
  const user: User = { ...data, id: `u${next++}`, userName };
  users.push(user);
  return { status: 201, body: user };
}

function bulk(operations: readonly Operation[]): Reply {
  const right = () =>
    operations.map(({ bulkId, data }): Answered => {
      const { status, body } = post(data);
      const location = status === 201 ? { location: `https://app.example.com/Users/${(body as User).id}` } : {};
      return {
        method: "POST",
        bulkId,
        status: `${status}`,
        ...location,
        ...(status === 201 ? {} : { response: body }),
      };
    });
  return ways.bulk?.(operations, right) ?? { status: 200, body: { schemas: [], Operations: right() } };
}

function search(filter: string): Reply {
  const values = [...filter.matchAll(/userName eq "([^"]*)"/g)].map((found) => found[1] ?? "");
  if (values.length === 1) return { status: 200, body: list(byName(values[0] ?? "")) };
  const found = [...new Set(values.flatMap(byName))];
  return ways.search?.(values, found) ?? { status: 200, body: list(found) };
}

function answer(method: string, url: URL, body: unknown): Reply {
  const { pathname } = url;
  if (pathname === "/ServiceProviderConfig") {
    const { filter = { supported: true, maxResults: 200 }, config_status = 200 } = ways;
    const offered = ways.bulk_config ?? { supported: true, maxOperations: 1_000, maxPayloadSize: 1_048_576 };
    return { status: config_status, body: { filter, bulk: offered } };
  }
  if (pathname === "/Bulk") return bulk((body as { Operations: Operation[] }).Operations);
  if (pathname === "/Users" && method === "POST") return post(body as Record<string, unknown>);
  if (pathname === "/Users") return search(url.searchParams.get("filter") ?? "");
  const user = users.find((one) => pathname === `/Users/${one.id}`);
  return user ? { status: 200, body: user } : refused(404, "not there");
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = "";
  for await (const chunk of request as AsyncIterable<Buffer>) text += chunk.toString("utf8");
  const url = new URL(request.url ?? "/", "http://app");
  requests.push(`${request.method} ${url.pathname.replace(/\/u\d+$/, "/ID")}`);
  const { status, body, dropped } = answer(request.method ?? "", url, text === "" ? undefined : JSON.parse(text));
  if (dropped) request.socket.destroy();
  else response.writeHead(status, { "content-type": "application/scim+json" }).end(JSON.stringify(body));
}

const server = createServer((request, response) => void handle(request, response));
let connector: Connector;
let base_url = "";

beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  base_url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await connector.close?.();
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  await connector?.close?.();
  connector = scimConnector({ base_url }, { token: secret("token") }, { allow_private: true });
  [ways, users, requests, next] = [{}, [], [], 1];
});

const context = (log: Context["log"] = () => undefined): Context => ({
  ...{ signal: AbortSignal.timeout(10_000), now: () => new Date() },
  log,
});

/** Searches for each and makes whoever is not there, as the engine does; gives how each ended. */
async function hire(names: readonly string[], ctx = context()): Promise<string[]> {
  const ends = names.map(async (name) => {
    try {
      const found = await connector.find(ctx, { attribute: "userName", value: name });
      if (found.length > 0) return `found ${found.map(({ profile }) => profile["userName"]).join()}`;
      const made = await connector.create(ctx, { profile: { userName: name, title: name }, enabled: true, key: name });
      return made.account?.profile["title"] === name ? "made" : "made, not seen";
    } catch (fault) {
      return (fault as ConnectorFault).kind;
    }
  });
  return Promise.all(ends);
}

const crowd = (name: string, n: number) => Array.from({ length: n }, (_, at) => `${name}${at}`);
const all = <T>(n: number, value: T) => Array.from({ length: n }, () => value);
const tally = (): Record<string, number> => {
  const times: Record<string, number> = {};
  for (const one of requests) times[one] = (times[one] ?? 0) + 1;
  return times;
};

/** From here on two accounts are known, so that searches can be proved. */
async function warm(): Promise<void> {
  await hire(crowd("first", 2));
  requests = [];
}

describe("a server that keeps to the standard", () => {
  it("is asked once about fifty, told once of fifty, and looked at once", async () => {
    await warm();
    expect(await hire(crowd("p", 50))).toEqual(all(50, "made"));
    expect(tally()).toEqual({ "GET /Users": 2, "POST /Bulk": 1 });
    expect(users).toHaveLength(52);
  });

  it("is asked what it offers once, however many begin at the same time", async () => {
    await Promise.all([hire(crowd("a", 20)), hire(crowd("b", 20))]);
    expect(tally()["GET /ServiceProviderConfig"]).toBe(1);
  });

  it("has those who are there found, and only the others made", async () => {
    await warm();
    users.push({ id: "old1", userName: "P3" }, { id: "old2", userName: "p7" });
    const ends = await hire(crowd("p", 20));
    expect(ends.filter((end) => end !== "made")).toEqual(["found P3", "found p7"]);
    expect(users).toHaveLength(22);
  });

  it("is told one at a time of one at a time, and asked nothing more", async () => {
    for (const name of crowd("p", 3)) await hire([name]);
    expect(tally()).toEqual({ "GET /Users": 3, "POST /Users": 3 });
  });

  it("has a conflict told to whoever it is about, with the app's words", async () => {
    await warm();
    users.push({ id: "old", userName: "p1" });
    const ctx = context();
    const ends = await Promise.allSettled(
      crowd("p", 3).map((name) => connector.create(ctx, { profile: { userName: name }, enabled: true, key: name })),
    );
    expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect((ends[1] as PromiseRejectedResult).reason).toMatchObject({
      kind: "conflict",
      message: expect.stringMatching(/POST http.*\/Users answered 409: p1 is taken/),
    });
  });

  it("has each account's log say what was called, for how many, and nobody else's name", async () => {
    await warm();
    const lines: string[] = [];
    await hire(
      crowd("somebody", 20),
      context(({ request }) => lines.push(request)),
    );
    expect(new Set(lines)).toEqual(
      new Set([`GET ${base_url}/Users (for 20 accounts)`, `POST ${base_url}/Bulk (for 20 accounts)`]),
    );
  });

  it.each([
    ["operations", { supported: true, maxOperations: 10, maxPayloadSize: 1_048_576 }, 5],
    ["bytes", { supported: true, maxOperations: 1_000, maxPayloadSize: 2_000 }, 5],
  ])("is sent no more %s at once than it takes", async (_name, bulk_config, least) => {
    ways = {
      bulk_config,
      bulk: (operations) => {
        const bytes = JSON.stringify({ schemas: [], Operations: operations }).length;
        const over = operations.length > bulk_config.maxOperations || bytes > bulk_config.maxPayloadSize;
        return over ? { status: 200, body: {} } : undefined;
      },
    };
    await warm();
    expect(await hire(crowd("p", 50))).toEqual(all(50, "made"));
    expect(tally()["POST /Bulk"]).toBeGreaterThanOrEqual(least);
  });
});

const nobody: Reply = { status: 200, body: list([]) };

describe("a server whose filters know no or", () => {
  it.each<[string, NonNullable<Ways["search"]>]>([
    ["answers an error", () => refused(400, "or?", "invalidFilter")],
    ["fails", () => refused(500, "or?")],
    ["denies it", () => refused(403, "or?")],
    ["finds nobody", () => nobody],
    ["finds the first part only", (values) => ({ status: 200, body: list(byName(values[0] ?? "")) })],
    ["finds the last part only", (values) => ({ status: 200, body: list(byName(values.at(-1) ?? "")) })],
    ["finds some parts only", (values) => ({ status: 200, body: list(values.slice(0, 5).flatMap(byName)) })],
    ["shows one page of what it found", (_, found) => ({ status: 200, body: list(found.slice(0, 2), found.length) })],
    ["answers no list", () => ({ status: 200, body: {} })],
  ])("and %s still has everyone found who is there", async (_name, search_way) => {
    ways = { search: search_way };
    await warm();
    for (const round of ["a", "b", "c", "d", "e"]) {
      users.push(...crowd(round, 10).map((userName): User => ({ id: userName, userName })));
      const ends = await hire([...crowd(round, 10), ...crowd(`new-${round}`, 4)]);
      expect(ends.slice(0, 10)).toEqual(crowd(round, 10).map((name) => `found ${name}`));
      expect(ends.slice(10)).toEqual(all(4, "made"));
    }
    expect(users).toHaveLength(2 + 5 * 14);
  });

  it("is asked so three times, and never again", async () => {
    const asked: number[] = [];
    ways = {
      bulk_config: { supported: false },
      search: (values) => (asked.push(values.length) > 0 ? nobody : undefined),
    };
    await warm();
    for (let n = 0; n < 6; n++) await hire(crowd(`round-${n}-`, 5));
    expect(asked).toHaveLength(3);
  });
});

describe("a server whose bulk is not what it says", () => {
  it.each<[string, NonNullable<Ways["bulk"]>, string, number]>([
    ["is not there", () => refused(501, "no"), "made", 1],
    ["takes less than it says", (all_of) => (all_of.length > 4 ? refused(413, "much") : undefined), "made", 3],
    ["is refused as wrong", () => refused(400, "what?", "invalidSyntax"), "retry", 1],
    ["answers nothing of use", (_, right) => ({ status: 200, body: right() && {} }), "retry", 1],
    ["fails inside", () => refused(500, "no"), "retry", 2],
    ["is lost on its way", () => ({ status: 0, dropped: true }), "retry", 2],
    ["asks for a pause", () => refused(429, "slow down"), "rate_limited", 2],
    ["refuses the token", () => refused(401, "who?"), "denied", 2],
  ])("and %s never has anybody made twice or blamed", async (_name, bulk_way, end, bulks) => {
    await warm();
    ways = { bulk: bulk_way };
    expect(await hire(crowd("p", 9))).toEqual(all(9, end));
    const switched_off = end === "retry" && bulks === 1;
    expect(await hire(crowd("q", 9))).toEqual(all(9, switched_off ? "made" : end));
    expect(tally()["POST /Bulk"]).toBe(bulks);
    expect(new Set(users.map((one) => one.userName)).size).toBe(users.length);
  });

  it("and takes less than it says is not asked again what it takes", async () => {
    await warm();
    ways = { bulk: (operations) => (operations.length > 12 ? refused(413, "much") : undefined) };
    for (let n = 0; n < 6; n++) expect(await hire(crowd(`round-${n}-`, 24))).toEqual(all(24, "made"));
    expect(tally()["POST /Bulk"]).toBe(1 + 5 * 2);
  });

  it("and says nothing of one has that one tried again, and the others made", async () => {
    ways = { bulk: (_, right) => ({ status: 200, body: { Operations: right().filter((__, n) => n !== 2) } }) };
    await warm();
    const ends = await hire(crowd("p", 5));
    expect(ends).toEqual(["made", "made", "retry", "made", "made"]);
    expect(await hire(["p2"])).toEqual(["found p2"]);
  });

  it.each<[string, (one: Answered) => Answered]>([
    ["a number", (one) => ({ ...one, status: 201 })],
    ["an object", (one) => ({ ...one, status: { code: "201" } })],
    [
      "a word beside the resource",
      (one) => ({ ...one, response: users.find(({ id }) => `${one["location"]}`.endsWith(id)) }),
    ],
  ])("and tells a status as %s is understood", async (_name, told) => {
    ways = { bulk: (_, right) => ({ status: 200, body: { Operations: right().map(told) } }) };
    await warm();
    expect(await hire(crowd("p", 5))).toEqual(all(5, "made"));
  });

  it("and fails for a while is given many again when it is well", async () => {
    let failing = true;
    ways = { bulk: () => (failing ? refused(503, "restarting") : undefined) };
    await warm();
    await hire(crowd("p", 20));
    failing = false;
    for (let n = 0; n < 6; n++) await hire(crowd(`round-${n}-`, 40));
    requests = [];
    expect(await hire(crowd("last", 40))).toEqual(all(40, "made"));
    expect(tally()["POST /Bulk"]).toBe(1);
  });
});

describe("a server that offers nothing, or says nothing", () => {
  it.each<[string, Ways]>([
    ["offers neither", { filter: { supported: false }, bulk_config: { supported: false, maxOperations: 0 } }],
    ["has no such document", { config_status: 404 }],
    ["answers it with words", { filter: "yes" as never, bulk_config: "no" as never }],
  ])("%s: is asked one at a time", async (_name, given) => {
    ways = given;
    await hire(crowd("p", 10));
    expect(await hire(crowd("q", 10))).toEqual(all(10, "made"));
    expect(tally()).toMatchObject({ "GET /ServiceProviderConfig": 1, "POST /Users": 20, "GET /Users": 20 });
    expect(tally()["POST /Bulk"]).toBeUndefined();
  });
});
