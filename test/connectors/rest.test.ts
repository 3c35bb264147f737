/** The source over HTTP against a server that pages in each way, rightly and wrongly. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Connector, type Context, secret } from "../../src/connectors/connector.ts";
import type { RestConfig } from "../../src/connectors/rest/config.ts";
import { restConnector } from "../../src/connectors/rest/connector.ts";

type Answer = Readonly<{ status?: number; body: unknown; headers?: Record<string, string>; text?: string }>;
let server: Server;
let origin = "";
let asked: { url: URL; headers: IncomingMessage["headers"] }[] = [];
let answer: (url: URL) => Answer;
const ctx: Context = { signal: AbortSignal.timeout(60_000), log: () => {}, now: () => new Date() };

beforeAll(async () => {
  server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", origin);
    asked.push({ url, headers: request.headers });
    const { status = 200, body, headers, text } = answer(url);
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(text ?? JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  asked = [];
});

function source(more: Partial<RestConfig> = {}): Connector {
  const config = { base_url: `${origin}/hr`, path: "/workers", records: "/data", id: "/id", ...more };
  return restConnector(config, { token: secret("t0p-secret") }, { allow_private: true });
}

const people = Array.from({ length: 7 }, (_, n) => ({ id: n + 1, name: { first: `P${n + 1}` }, state: "Active" }));

async function all(connector: Connector) {
  const ids: string[] = [];
  for (let cursor: string | undefined, pages = 1; ; pages++) {
    const page = await connector.list(ctx, cursor === undefined ? {} : { cursor });
    ids.push(...page.items.map((one) => one.id));
    if (page.next === undefined) return { ids: ids.join(" "), pages, complete: page.complete };
    cursor = page.next;
  }
}

const some = (from: number, n: number) => people.slice(from, from + n);
const number = (url: URL, name: string) => Number(url.searchParams.get(name));

describe("a paged list is read to its end", () => {
  test.each<[string, Partial<RestConfig>, (url: URL) => Answer, number]>([
    ["in one piece", {}, () => ({ body: { data: people } }), 1],
    ["that is the whole body", { records: "" }, () => ({ body: people }), 1],
    [
      "by numbered pages, with fewer on each than was asked for",
      { paging: { kind: "page", parameter: "page", size_parameter: "per", size: 500 } },
      (url) => ({ body: { data: some((number(url, "page") - 1) * 3, 3) } }),
      4,
    ],
    [
      "by an offset, up to its total",
      { paging: { kind: "offset", parameter: "from", size: 3 }, total: "/total" },
      (url) => ({ body: { data: some(number(url, "from"), 3), total: 7 } }),
      3,
    ],
    [
      "by a cursor",
      { paging: { kind: "cursor", parameter: "after", next: "/meta/next" } },
      (url) => {
        const at = number(url, "after");
        return { body: { data: some(at, 3), meta: { next: at + 3 < 7 ? at + 3 : null } } };
      },
      3,
    ],
    [
      "by an address in the body",
      { paging: { kind: "url", next: "/next" } },
      (url) => {
        const at = number(url, "skip");
        return { body: { data: some(at, 3), ...(at + 3 < 7 ? { next: `/hr/workers?skip=${at + 3}` } : {}) } };
      },
      3,
    ],
    [
      "by a Link header",
      { paging: { kind: "link" } },
      (url) => {
        const at = number(url, "skip");
        const next = `<${origin}/hr/workers?skip=${at + 3}>; rel="next", <${origin}/hr/workers>; rel="first"`;
        return { body: { data: some(at, 3) }, ...(at + 3 < 7 ? { headers: { link: next } } : {}) };
      },
      3,
    ],
  ])("%s", async (_name, config, given, pages) => {
    answer = given;
    expect(await all(source(config))).toEqual({ ids: "1 2 3 4 5 6 7", pages, complete: true });
  });
});

describe("a list that cannot be vouched for says so", () => {
  test.each<[string, Partial<RestConfig>, (url: URL) => Answer]>([
    [
      "when the server gives the same page for ever",
      { paging: { kind: "page", parameter: "page", size: 3 } },
      () => ({ body: { data: some(0, 3) } }),
    ],
    ["when fewer came than its total", { total: "/total" }, () => ({ body: { data: people, total: 8 } })],
    ["when it should have a total and has none", { total: "/total" }, () => ({ body: { data: people } })],
    ["when a record has no id", {}, () => ({ body: { data: [...people, { name: "?" }] } })],
    ["when an id is there twice", {}, () => ({ body: { data: [...people, people[0]] } })],
    [
      "when the next page is this one",
      { paging: { kind: "cursor", parameter: "after", next: "/next" } },
      (url) => ({ body: { data: some(number(url, "after"), 3), next: "3" } }),
    ],
  ])("%s", async (_name, config, given) => {
    answer = given;
    expect((await all(source(config))).complete).toBe(false);
  });
});

describe("what a record says", () => {
  const record = {
    id: "a/1",
    active: "YES ",
    name: { first: "Zoë", "last/s": "O~k" },
    jobs: [{ dept: "D1" }],
    tags: ["x", "y"],
    level: 3,
    empty: "",
    none: null,
    nested: { deep: 1 },
  };

  test("is taken by place, and what is not there is left out", async () => {
    answer = () => ({ body: { data: [record] } });
    const columns = {
      first: "/name/first",
      last: "/name/last~1s",
      dept: "/jobs/0/dept",
      tags: "/tags",
      no: "/x/y",
      empty: "/empty",
    };
    const [one] = (await source({ columns, enabled_at: "/active" }).list(ctx, {})).items;
    const profile = { first: "Zoë", last: "O~k", dept: "D1", tags: ["x", "y"] };
    expect(one).toEqual({ id: "a/1", enabled: true, place: "record 1", profile });
  });

  test("is every plain value where no places are given, with its kind in the schema", async () => {
    answer = () => ({ body: { data: [record] } });
    const connector = source();
    expect((await connector.list(ctx, {})).items[0]?.profile).toEqual({
      id: "a/1",
      active: "YES ",
      tags: ["x", "y"],
      level: 3,
    });
    expect((await connector.schema(ctx)).attributes).toMatchObject([
      { name: "id", type: "string", required: true, writable: "never", external_name: "/id" },
      { name: "active", type: "string", array: false },
      { name: "tags", type: "string", array: true },
      { name: "level", type: "integer" },
    ]);
  });

  test("that is no plain value is refused with its id, and costs only itself", async () => {
    answer = () => ({
      body: {
        data: [
          { id: 1, name: {} },
          { id: 2, name: "B" },
        ],
      },
    });
    expect(await source({ columns: { name: "/name" } }).list(ctx, {})).toMatchObject({
      items: [{ id: "2" }],
      refused: [{ place: "record 1", id: "1", reason: "name: what is at /name is no plain value" }],
      complete: true,
    });
  });

  test("is never inherited, and pollutes nothing", async () => {
    answer = () => ({ body: {}, text: '{"data":[{"id":"1","__proto__":"x","constructor":"y"}]}' });
    const columns = { a: "/__proto__/polluted", b: "/toString", c: "/constructor" };
    const [chosen] = (await source({ columns }).list(ctx, {})).items;
    expect(chosen?.profile).toEqual({ c: "y" });
    const [whole] = (await source().list(ctx, {})).items;
    expect(Object.getPrototypeOf(whole?.profile)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});

describe("one person", () => {
  test("is read at their own place, with the id encoded; who is not there is null", async () => {
    answer = (url) =>
      url.pathname === "/hr/workers/a%2F1" ? { body: { worker: { id: "a/1" } } } : { status: 404, body: {} };
    const connector = source({ one: { path: "/workers/{id}", record: "/worker" } });
    expect(await connector.read(ctx, "a/1")).toMatchObject({ id: "a/1" });
    expect(await connector.read(ctx, "../admin")).toBeNull();
    expect(asked[1]?.url.pathname).toBe("/hr/workers/..%2Fadmin");
  });

  test("is looked for in the list where there is no such place, and not missing from half a list", async () => {
    answer = () => ({ body: { data: people, total: 9 } });
    expect(await source().read(ctx, "3")).toMatchObject({ id: "3" });
    expect(await source().find(ctx, { attribute: "state", value: "Active" })).toHaveLength(7);
    await expect(source({ total: "/total" }).read(ctx, "8")).rejects.toMatchObject({ kind: "unsupported" });
  });
});

describe("what goes wrong is told", () => {
  test.each<[string, Partial<RestConfig>, () => Answer, string, RegExp]>([
    ["a refused token", {}, () => ({ status: 401, body: {} }), "denied", /credentials/],
    [
      "too many requests",
      {},
      () => ({ status: 429, body: {}, headers: { "retry-after": "7" } }),
      "rate_limited",
      /429/,
    ],
    ["a failure", {}, () => ({ status: 500, body: {} }), "retry", /500/],
    [
      "a web page",
      {},
      () => ({ body: 0, text: "<!doctype html>", headers: { "content-type": "text/html" } }),
      "denied",
      /HTML/,
    ],
    [
      "no list where it should be",
      {},
      () => ({ body: { rows: [] } }),
      "denied",
      /what is at \/data is no list; it has \/rows/,
    ],
    [
      "a next page elsewhere",
      { paging: { kind: "url", next: "/next" } },
      () => ({ body: { data: people, next: "https://evil.example/hr/workers" } }),
      "denied",
      /leads to https:\/\/evil.example/,
    ],
    [
      "a next page above the base",
      { paging: { kind: "url", next: "/next" } },
      () => ({ body: { data: people, next: "/hr/../admin" } }),
      "denied",
      /not below/,
    ],
  ])("%s", async (_name, config, given, kind, message) => {
    answer = given;
    await expect(source(config).list(ctx, {})).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
  });

  test("an app is not connected where no record has an id at its place; one that lacks it is an import's business", async () => {
    answer = () => ({ body: { data: people } });
    await expect(source({ id: "/ID" }).test(ctx)).rejects.toMatchObject({
      kind: "denied",
      attribute: "id",
      message: expect.stringContaining("there is no id at /ID"),
    });
    answer = () => ({ body: { data: [{ name: "nobody" }, ...people] } });
    await source().test(ctx);
    answer = () => ({ body: { data: [] } });
    await source({ id: "/ID" }).test(ctx);
  });

  test("without the secret, and a missing one before anything is sent", async () => {
    answer = () => ({ status: 400, body: { error: "bad token t0p-secret" } });
    await expect(source().test(ctx)).rejects.toMatchObject({ message: expect.not.stringContaining("t0p-secret") });
    const config = { base_url: origin, path: "/", id: "/id" };
    expect(() => restConnector(config, {}, { allow_private: true })).toThrow(
      expect.objectContaining({ kind: "denied" }),
    );
  });

  test.each([
    ["bearer", {}, "authorization", "Bearer t0p-secret"],
    ["basic", { auth: "basic", username: "hr" }, "authorization", `Basic ${btoa("hr:t0p-secret")}`],
    ["header", { auth: "header", header: "X-Api-Key" }, "x-api-key", "t0p-secret"],
  ] as const)("signs in by %s", async (_name, config, header, value) => {
    answer = () => ({ body: { data: [] } });
    await source(config).test(ctx);
    expect(asked[0]?.headers[header]).toBe(value);
  });

  test("a cursor of somebody else's", async () => {
    await expect(source().list(ctx, { cursor: "xyz" })).rejects.toMatchObject({ kind: "invalid" });
  });

  test("any attempt to write", async () => {
    await expect(source().delete(ctx, "1")).rejects.toMatchObject({ kind: "unsupported" });
  });
});
