/** Listing through pagers that do everything wrong: it ends, gives nobody twice, and vouches only for what is whole. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Connector, secret } from "../../src/connectors/connector.ts";
import { scimConnector } from "../../src/connectors/scim/connector.ts";
import type { ProfileOverrides } from "../../src/connectors/scim/profile.ts";

/** How a pager behaves. `cap`: most rows per page. `deaf`: it ignores startIndex. `wraps`: beyond the end it begins anew. */
type Pager = Readonly<{
  rows: number;
  cap: number;
  deaf: boolean;
  wraps: boolean;
  total: "right" | "page" | "absent" | "short" | "long";
  overlap: number;
  /** From this page on one row fewer is there, as when an account is deleted while we list. */
  vanishes_at: number;
}>;

const decent: Pager = { rows: 10, cap: 4, deaf: false, wraps: false, total: "right", overlap: 0, vanishes_at: 0 };
let pager: Pager = decent;
let calls = 0;

function totalOf(rows: number, shown: number): number | undefined {
  if (pager.total === "absent") return undefined;
  if (pager.total === "page") return shown;
  return pager.total === "short" ? Math.max(1, Math.floor(rows / 2)) : pager.total === "long" ? rows + 3 : rows;
}

function pageOf(query: URLSearchParams): unknown {
  calls += 1;
  const gone = pager.vanishes_at > 0 && calls >= pager.vanishes_at ? 1 : 0;
  const all = Array.from({ length: pager.rows }, (_, index) => ({ id: `u${index}`, userName: `u${index}` })).slice(
    gone,
  );
  const start = pager.deaf ? 0 : Math.max(0, Number(query.get("startIndex") ?? 1) - 1 - pager.overlap);
  const from = start >= all.length && pager.wraps ? 0 : start;
  const Resources = all.slice(from, from + Math.min(pager.cap, Number(query.get("count") ?? pager.cap)));
  const totalResults = totalOf(all.length, Resources.length);
  return { schemas: [], Resources, ...(totalResults === undefined ? {} : { totalResults }) };
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  response.setHeader("content-type", "application/scim+json").end(JSON.stringify(pageOf(url.searchParams)));
});
let url = "";
beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function connect(overrides: ProfileOverrides = {}): Connector {
  return scimConnector(
    { base_url: url, overrides: overrides as never },
    { token: secret("t") },
    { allow_private: true },
  );
}

const context = () => ({ signal: AbortSignal.timeout(10_000), log: () => undefined, now: () => new Date() });

type Listing = Readonly<{ ids: readonly string[]; complete: boolean; pages: number }>;

/** Lists everything; `retried` asks for every page twice, as after a crash. */
async function list(connector: Connector, how: Pager, retried = false): Promise<Listing> {
  pager = how;
  calls = 0;
  const ids: string[] = [];
  let cursor: string | undefined;
  for (let pages = 1; pages < 500; pages++) {
    const ask = cursor === undefined ? {} : { cursor };
    if (retried && cursor !== undefined) await connector.list(context(), ask);
    const page = await connector.list(context(), ask);
    ids.push(...page.items.map((one) => one.id));
    if (page.next === undefined) return { ids, complete: page.complete === true, pages };
    cursor = page.next;
  }
  throw new Error("The list does not end");
}

const cases: [string, Partial<Pager>, { count: number; complete: boolean }][] = [
  ["that keeps to the RFC", {}, { count: 10, complete: true }],
  ["that is empty", { rows: 0 }, { count: 0, complete: true }],
  [
    "that ignores the page asked for, and shows everything at once",
    { deaf: true, cap: 1000 },
    { count: 10, complete: true },
  ],
  ["that ignores the page asked for, and shows a part", { deaf: true }, { count: 4, complete: false }],
  ["that begins anew beyond the end", { wraps: true }, { count: 10, complete: true }],
  ["that counts only what it shows, as if it shrank", { total: "page" }, { count: 10, complete: false }],
  ["that does not count", { total: "absent" }, { count: 10, complete: true }],
  ["that counts too few", { total: "short" }, { count: 10, complete: true }],
  ["that counts too many", { total: "long" }, { count: 10, complete: false }],
  ["whose pages overlap", { overlap: 1 }, { count: 10, complete: false }],
  ["that loses a row while it is listed", { vanishes_at: 2 }, { count: 9, complete: false }],
];

describe("a list from a pager", () => {
  it.each(cases)("%s", async (_name, how, wanted) => {
    const { ids, complete } = await list(connect(), { ...decent, ...how });
    expect({ count: ids.length, complete }).toEqual(wanted);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("ends, gives nobody twice, and is complete only if everyone was in it", async () => {
    const connector = connect({ paging: { size: 5 } });
    const any = fc.record({
      rows: fc.integer({ min: 0, max: 30 }),
      cap: fc.integer({ min: 1, max: 12 }),
      deaf: fc.boolean(),
      wraps: fc.boolean(),
      total: fc.constantFrom("right" as const, "page" as const, "absent" as const, "short" as const, "long" as const),
      overlap: fc.integer({ min: 0, max: 2 }),
      vanishes_at: fc.integer({ min: 0, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(any, async (how) => {
        const { ids, complete, pages } = await list(connector, how);
        expect(new Set(ids).size).toBe(ids.length);
        expect(pages).toBeLessThanOrEqual(how.rows + 3);
        const steady = how.vanishes_at === 0 || how.vanishes_at > pages;
        // A count that is wrong by exactly what a broken pager hides cannot be seen through from outside.
        const honest = how.total === "right" || how.total === "absent" || how.total === "long";
        if (complete && steady && honest) expect(ids.length).toBe(how.rows);
      }),
      { numRuns: 300 },
    );
  });

  it("gives the same when a page is asked for again, and after a restart", async () => {
    expect(await list(connect(), decent, true)).toMatchObject({ complete: true, ids: { length: 10 } });
    pager = decent;
    let cursor: string | undefined;
    const ids: string[] = [];
    do {
      const page = await connect().list(context(), cursor === undefined ? {} : { cursor });
      ids.push(...page.items.map((one) => one.id));
      cursor = page.next;
    } while (cursor !== undefined && ids.length < 100);
    expect(ids).toHaveLength(10);
  });

  it("refuses a cursor that is not its own", async () => {
    await expect(connect().list(context(), { cursor: "nonsense" })).rejects.toMatchObject({ kind: "invalid" });
  });

  it("is searched to the end when the app ignores filters, and never guesses that someone is absent", async () => {
    pager = { ...decent, rows: 25 };
    expect((await connect().find(context(), { attribute: "userName", value: "u23" })).map((one) => one.id)).toEqual([
      "u23",
    ]);
    expect(await connect().find(context(), { attribute: "userName", value: "u99" })).toEqual([]);
    pager = { ...decent, deaf: true };
    await expect(connect().find(context(), { attribute: "userName", value: "u9" })).rejects.toMatchObject({
      kind: "unsupported",
    });
  });
});
