/** Feeds over HTTP: dated by their effect, paged by OData, asked only for what changed; as they should be and as they should not. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Connector, type Context, type Page, type PageRequest, secret } from "../../src/connectors/connector.ts";
import { createConnector } from "../../src/connectors/registry.ts";
import { sinceOf } from "../../src/connectors/rest/changes.ts";
import { type RestConfig, rest_config } from "../../src/connectors/rest/config.ts";
import { restConnector } from "../../src/connectors/rest/connector.ts";

type Answer = Readonly<{ status?: number; body: unknown; headers?: Record<string, string> }>;
let server: Server;
let origin = "";
let asked: { url: URL; authorization: string | undefined }[] = [];
let answer: (url: URL) => Answer;
const now = new Date("2026-11-23T12:00:00Z");
const ctx: Context = { signal: AbortSignal.timeout(60_000), log: () => {}, now: () => now };

beforeAll(async () => {
  server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", origin);
    asked.push({ url, authorization: request.headers.authorization });
    const { status = 200, body, headers } = answer(url);
    response.writeHead(status, {
      "content-type": "application/json",
      date: "Mon, 23 Nov 2026 11:00:00 GMT",
      ...headers,
    });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  asked = [];
});

function source(more: Partial<RestConfig> = {}): Connector {
  const config = { base_url: `${origin}/odata`, path: "/EmpJob", id: "/userId", auth: "none" as const, ...more };
  return restConnector(config, { token: secret("t0p-secret") }, { allow_private: true });
}

const list = (more: Partial<RestConfig>, request: PageRequest = { repeats: true }) => source(more).list(ctx, request);

/** Every page of a list, at most `max` of them. */
async function pages(connector: Connector, request: PageRequest = {}, max = 300): Promise<readonly Page[]> {
  const all: Page[] = [];
  for (let cursor: string | undefined; all.length < max; ) {
    const page = await connector.list(ctx, { ...request, ...(cursor === undefined ? {} : { cursor }) });
    all.push(page);
    if (page.next === undefined) break;
    cursor = page.next;
  }
  return all;
}

const idsOf = (all: readonly Page[]) => all.flatMap(({ items }) => items.map(({ id }) => id)).join(" ");

describe("slices in a record", () => {
  const columns = { start: "/Hire_Date", end: "/Term_Date", cost: "/Cost_Center", unit: "/Sup_Org" };
  const slices = {
    ...{ at: "/Future_Changes", kind: "changes" as const, start: "start", end: "end" },
    columns: { start: "/Effective", cost: "/Cost_Center" },
  };
  const report = { id: "/Worker_ID", columns, slices };
  const worker = (Future_Changes: unknown, more: object = {}) => [
    {
      Worker_ID: "1",
      Hire_Date: "2025-02-01",
      Term_Date: "",
      Cost_Center: "A",
      Sup_Org: "Pay",
      Future_Changes,
      ...more,
    },
  ];
  const profiles = async (more: Partial<RestConfig>, body: unknown) => {
    answer = () => ({ body });
    const { items } = await list(more);
    return items.map(
      ({ profile }) => `${profile["start"] ?? ""}..${profile["end"] ?? ""} ${profile["cost"]} ${profile["unit"]}`,
    );
  };

  test.each<[string, unknown, readonly string[]]>([
    ["are none where there are no changes", worker([]), ["2025-02-01.. A Pay"]],
    ["are none where the list is not there", worker(undefined), ["2025-02-01.. A Pay"]],
    [
      "each hold until the next, in whatever order they stand, and keep what they do not say",
      worker([
        { Effective: "2027-08-01", Cost_Center: "C" },
        { Effective: "2027-05-01", Cost_Center: "B" },
        { Effective: "2027-09-01", Cost_Center: "" },
      ]),
      [
        "2025-02-01..2027-04-30 A Pay",
        "2027-05-01..2027-07-31 B Pay",
        "2027-08-01..2027-08-31 C Pay",
        "2027-09-01.. C Pay",
      ],
    ],
    [
      "end with the person, and what would change after that is left out",
      worker(
        [
          { Effective: "2027-05-01", Cost_Center: "B" },
          { Effective: "2028-01-01", Cost_Center: "C" },
        ],
        { Term_Date: "2027-12-31" },
      ),
      ["2025-02-01..2027-04-30 A Pay", "2027-05-01..2027-12-31 B Pay"],
    ],
    [
      "never begin before the person does",
      worker([{ Effective: "2024-01-01", Cost_Center: "B" }]),
      ["2025-02-01.. B Pay"],
    ],
    [
      "of one day are one, the later said",
      worker([
        { Effective: "2027-05-01", Cost_Center: "B" },
        { Effective: "2027-05-01T00:00:00Z", Cost_Center: "C" },
      ]),
      ["2025-02-01..2027-04-30 A Pay", "2027-05-01.. C Pay"],
    ],
  ])("%s", async (_name, body, wanted) => {
    expect(await profiles(report, body)).toEqual(wanted);
  });

  test("are whole rows beside what the record says, where it is not itself one", async () => {
    const jobs = [
      { startDate: "/Date(1798761600000+0000)/", endDate: "9999-12-31", cost: "B" },
      { startDate: "2026-01-01", endDate: "/Date(1798675200000)/", cost: "A" },
    ];
    const form = {
      preset: "odata" as const,
      columns: { unit: "/unit", cost: "/cost" },
      slices: {
        ...{ at: "/jobs", start: "start", end: "end" },
        columns: { start: "/startDate", end: "/endDate", cost: "/cost" },
      },
    };
    const body = { d: { results: [{ userId: "1", unit: "Pay", cost: "none of theirs", jobs }] } };
    expect(await profiles(form, body)).toEqual(["2027-01-01.. B Pay", "2026-01-01..2026-12-31 A Pay"]);
  });

  test.each<[string, Partial<RestConfig>, unknown, RegExp]>([
    ["is no list", report, worker({}), /what is at \/Future_Changes is no list/],
    ["has what is no object", report, worker([7]), /\/Future_Changes\/0 is no object/],
    ["has a change without a day", report, worker([{ Cost_Center: "B" }]), /no day from which/],
    ["has a day that is none", report, worker([{ Effective: "2027-02-30" }]), /start: "2027-02-30" is no day/],
    ["has a day as a number", report, worker([{ Effective: 1798761600 }]), /start: a number is no day/],
    ["has a day out of the calendar", report, worker([{ Effective: "/Date(99999999999999999)/" }]), /is no day/],
    ["has 10,000 slices", report, worker(Array(10_000).fill({ Effective: "2027-01-01" })), /10000 slices/],
    ["has no slice", { ...report, slices: { ...slices, kind: "rows" } }, worker([]), /no slice at/],
  ])("that %s costs its record, which is named", async (_name, form, body, reason) => {
    answer = () => ({
      body: [...(body as object[]), { Worker_ID: "2" }].slice(0, form.slices?.kind === "rows" ? 1 : 2),
    });
    const page = await list(form);
    expect(page.refused).toMatchObject([{ place: "record 1", id: "1", reason: expect.stringMatching(reason) }]);
    expect(page.complete).toBe(true);
  });

  test("are refused, and the switch named, where the source does not take several rows", async () => {
    answer = () => ({ body: worker([{ Effective: "2027-05-01", Cost_Center: "B" }]) });
    const { items, refused } = await list(report, {});
    expect([items, refused?.[0]?.reason]).toEqual([[], expect.stringMatching(/2 slices .*several_rows/)]);
  });

  test("make the schema, and one person's record is read by them too", async () => {
    answer = (url) => ({ body: url.pathname.endsWith("/1") ? worker([])[0] : worker([{ Effective: "2027-05-01" }]) });
    const connector = source({ ...report, preset: "webhook" });
    expect((await connector.schema(ctx)).attributes.map(({ name }) => name)).toEqual(["start", "end", "cost", "unit"]);
    expect(await connector.read(ctx, "1")).toMatchObject({ id: "1", profile: { cost: "A" } });
  });
});

describe("rows of one person that stand apart", () => {
  const rows = (n: number, from = 0) => Array.from({ length: n }, (_, k) => ({ userId: "1", seq: from + k }));

  test("are no mistake where several are wanted, also over the end of a page", async () => {
    const paging = { kind: "offset" as const, parameter: "$skip", size: 3 };
    const total = "/count";
    answer = (url) => {
      const at = Number(url.searchParams.get("$skip"));
      return { body: { value: rows(7).slice(at, at + 3), count: "7" } };
    };
    const all = await pages(source({ records: "/value", paging, total }), { repeats: true });
    expect(all.map(({ items }) => items.length)).toEqual([3, 3, 1]);
    expect(all.at(-1)).toMatchObject({ complete: true });
    expect((await pages(source({ records: "/value", paging, total }))).at(-1)?.complete).toBe(false);
  });

  test("are known to come again where the server gives its first page for ever", async () => {
    answer = () => ({ body: rows(3) });
    const all = await pages(source({ paging: { kind: "page", parameter: "p", size: 3 } }), { repeats: true });
    expect([all.length, all.at(-1)?.complete]).toEqual([2, false]);
  });
});

describe("OData", () => {
  const person = (n: number) => ({ userId: `u${n}`, name: `P${n}`, startDate: `/Date(${n * 86_400_000})/` });
  const odata = { preset: "odata" as const, auth: "none" as const };

  test.each<[string, (at: number) => object]>([
    [
      "version 2, by absolute addresses",
      (at) => ({
        d: { results: [person(at)], ...(at < 3 ? { __next: `${origin}/odata/EmpJob?$skiptoken=${at + 1}` } : {}) },
      }),
    ],
    [
      "version 4, by relative ones",
      (at) => ({ value: [person(at)], ...(at < 3 ? { "@odata.nextLink": `EmpJob?$skiptoken=${at + 1}` } : {}) }),
    ],
  ])("of %s is read to its end, its days as days", async (_name, body) => {
    answer = (url) => ({ body: body(Number(url.searchParams.get("$skiptoken") ?? 0)) });
    const all = await pages(source(odata));
    expect([idsOf(all), all.at(-1)?.complete]).toEqual(["u0 u1 u2 u3", true]);
    expect(all[1]?.items[0]?.profile).toEqual({ userId: "u1", name: "P1", startDate: "1970-01-02" });
    expect(asked[0]?.url.search).toBe("?%24format=json");
  });

  test("goes on behind an empty page that leads on, for nobody of the next ones has left", async () => {
    answer = (url) => {
      const at = Number(url.searchParams.get("$skiptoken") ?? 0);
      return {
        body: {
          value: at === 1 ? [] : [person(at)],
          ...(at < 2 ? { "@odata.nextLink": `EmpJob?$skiptoken=${at + 1}` } : {}),
        },
      };
    };
    const all = await pages(source(odata));
    expect([idsOf(all), all.at(-1)?.complete]).toEqual(["u0 u2", true]);
  });

  test.each<[string, (at: number) => object, number]>([
    [
      "in a circle that is entered late",
      (at) => ({ value: [person(at)], "@odata.nextLink": `EmpJob?$skiptoken=${at < 20 ? at + 1 : 13}` }),
      60,
    ],
    ["to itself", (at) => ({ value: [person(at)], "@odata.nextLink": "EmpJob?$skiptoken=1" }), 3],
    ["on and on to empty pages", (at) => ({ value: [], "@odata.nextLink": `EmpJob?$skiptoken=${at + 1}` }), 110],
  ])("that leads %s ends, and proves nobody's absence", async (_name, body, most) => {
    answer = (url) => ({ body: body(Number(url.searchParams.get("$skiptoken") ?? 0)) });
    const all = await pages(source(odata));
    expect(all.length).toBeLessThan(most);
    expect(all.at(-1)).toMatchObject({ complete: false });
  });

  test.each<[string, unknown, RegExp]>([
    ["to another host", "https://evil.example/odata/EmpJob?$skiptoken=1", /leads to https:\/\/evil\.example/],
    ["to the same host by another name", "//evil.example/odata/EmpJob", /evil\.example/],
    ["above the base", "../../admin", /not below/],
    ["to an address of 17 KB", `EmpJob?x=${"a".repeat(17_000)}`, /no text of a bearable length/],
    ["to an object", { href: "x" }, /no text of a bearable length/],
  ])("whose next page leads %s is refused", async (_name, next, message) => {
    answer = () => ({ body: { value: [person(1)], "@odata.nextLink": next } });
    await expect(source(odata).list(ctx, {})).rejects.toMatchObject({
      kind: "denied",
      message: expect.stringMatching(message),
    });
    expect(asked).toHaveLength(1);
  });

  test("asks for one person by a key whose quotes are doubled", async () => {
    answer = () => ({ status: 404, body: {} });
    const connector = source({ ...odata, one: { path: "/EmpJob('{id}')", record: "/d" } });
    expect(await connector.read(ctx, "x') or ('1")).toBeNull();
    expect(asked[0]?.url.pathname).toBe("/odata/EmpJob('x%27%27)%20or%20(%27%271')");
  });

  test("reads dates out of range as no days where days are meant, and leaves them as they are elsewhere", async () => {
    const far = "/Date(8640000000000001)/";
    answer = () => ({
      body: {
        value: [
          { ...person(1), startDate: far },
          { ...person(2), touched: far },
        ],
      },
    });
    const page = await list(odata);
    expect(page.refused).toMatchObject([{ id: "u1", reason: `startDate: "${far}" is no day` }]);
    expect(page.items[0]?.profile["touched"]).toBe(far);
  });
});

describe("a preset", () => {
  test("gives what is usual, and every field can be given otherwise", async () => {
    answer = () => ({ body: { Report_Entry: [{ userId: "1" }], rows: [] } });
    const config = { base_url: origin, path: "/workers", id: "/userId", preset: "report" as const, username: "u" };
    const make = (more: Partial<RestConfig> = {}) =>
      restConnector({ ...config, ...more }, { token: secret("t0p-secret") }, { allow_private: true });
    expect((await make().list(ctx, {})).items).toHaveLength(1);
    expect((await make({ auth: "bearer", records: "/rows", query: {} }).list(ctx, {})).items).toHaveLength(0);
    expect(asked.map(({ url, authorization }) => [url.search, authorization])).toEqual([
      ["?format=json", `Basic ${btoa("u:t0p-secret")}`],
      ["", "Bearer t0p-secret"],
    ]);
  });

  test("stays a preset when the form is kept: nothing of it is written down as if it had been given", () => {
    const config = { base_url: origin, path: "/w", id: "/userId", preset: "odata" as const };
    expect(rest_config.parse(config)).toEqual({ ...config, enabled_values: ["active", "true", "yes", "1"] });
  });
});

describe("asked only for what changed", () => {
  const changes = { parameter: "updated_since" };
  const since = "2026-11-02T07:40:00Z";
  const params = () => Object.fromEntries(asked[0]?.url.searchParams ?? []);

  test.each<[string, Partial<RestConfig>, Record<string, string>]>([
    ["by a parameter", { changes }, { updated_since: since }],
    ["by a day", { changes: { ...changes, format: "date" } }, { updated_since: "2026-11-02" }],
    ["by seconds", { changes: { ...changes, format: "epoch" } }, { updated_since: "1793605200" }],
    ["by milliseconds", { changes: { ...changes, format: "epoch_ms" } }, { updated_since: "1793605200000" }],
    [
      "by an OData filter beside the one that is there",
      {
        query: { $filter: "country eq 'IT' or country eq 'DE'" },
        changes: { parameter: "$filter", value: "lastModifiedDateTime ge {since}", format: "odata2" },
      },
      { $filter: `(country eq 'IT' or country eq 'DE') and lastModifiedDateTime ge datetimeoffset'${since}'` },
    ],
  ])("%s", async (_name, more, query) => {
    answer = () => ({ body: [{ userId: "1" }] });
    const page = await list(more, { since });
    expect(params()).toEqual(query);
    // Whoever is not among what changed has not left.
    expect(page.complete).toBe(false);
  });

  test("on every page, and the next time from when this list began by the server's clock, less the overlap", async () => {
    answer = (url) => {
      const at = Number(url.searchParams.get("p"));
      // A later page is later: it is the first that counts.
      return { body: at > 2 ? [] : [{ userId: `${at}` }], headers: { date: `Mon, 23 Nov 2026 11:0${at}:00 GMT` } };
    };
    const paging = { kind: "page" as const, parameter: "p", size: 1 };
    const connector = source({ changes, paging });
    for (const [request, complete] of [
      [{}, true],
      [{ since }, false],
    ] as const) {
      asked = [];
      const all = await pages(connector, request);
      expect(all.map((page) => page.since)).toEqual([undefined, undefined, "2026-11-23T10:56:00Z"]);
      expect(all.at(-1)?.complete).toBe(complete);
      expect(new Set(asked.map(({ url }) => url.searchParams.get("updated_since")))).toEqual(
        new Set(["since" in request ? since : null]),
      );
    }
    expect(connector.can.changes).toBe(true);
    expect(source().can.changes).toBe(false);
  });

  test.each<[string, string | undefined, string]>([
    ["there is no Date", undefined, "2026-11-23T11:55:00Z"],
    ["the Date is nonsense", "yesterday", "2026-11-23T11:55:00Z"],
    [
      "the Date is years ahead: all that changes until then would be missed",
      "Wed, 01 Jan 2099 00:00:00 GMT",
      "2026-11-23T11:55:00Z",
    ],
    ["the server's clock is late", "Mon, 23 Nov 2026 09:00:00 GMT", "2026-11-23T08:55:00Z"],
    ["the Date is before all time", "Thu, 01 Jan 1970 00:00:01 GMT", "1970-01-01T00:00:00Z"],
  ])("from a moment that can be trusted where %s", (_name, date, wanted) => {
    expect(sinceOf(date, now, { ...changes, format: "iso", value: "{since}", overlap_seconds: 300 })).toBe(wanted);
  });

  test.each<[string, Partial<RestConfig>, unknown]>([
    ["something could not be read", { columns: { name: "/name" } }, [{ userId: "1", name: {} }, { userId: "2" }]],
    ["a record has no id", {}, [{ userId: "1" }, {}]],
    ["the list came out otherwise than its total", { records: "/v", total: "/n" }, { v: [{ userId: "1" }], n: 2 }],
  ])("with the moment left where it was when %s", async (_name, more, body) => {
    answer = () => ({ body });
    expect((await list({ changes, ...more }, {})).since).toBeUndefined();
  });

  test("and in whole where rows of one person stand apart: one that changed would say that the others are gone", async () => {
    answer = () => ({
      body: [
        { userId: "1", seq: 1 },
        { userId: "1", seq: 2 },
      ],
    });
    const page = await list({ changes }, { since, repeats: true });
    expect([params(), page.items.length, page.complete, page.since]).toEqual([{}, 2, true, "2026-11-23T10:55:00Z"]);
    const slices = { at: "/jobs", columns: { start: "/s" }, start: "start", end: "end" };
    answer = () => ({ body: [{ userId: "1", jobs: [{ s: "2026-01-01" }] }] });
    asked = [];
    expect((await list({ changes, slices }, { since, repeats: true })).complete).toBe(false);
    expect(params()).toEqual({ updated_since: since });
  });

  test.each(["x", "2026-13-01T00:00:00Z", `${since}' or 1 eq 1`, ""])(
    "with a token %j that is not ours it asks for nothing",
    async (token) => {
      await expect(list({ changes }, { since: token })).rejects.toMatchObject({ kind: "invalid" });
      expect(asked).toHaveLength(0);
    },
  );

  test("never, where the form does not say how", async () => {
    answer = () => ({ body: [{ userId: "1" }] });
    expect(await list({}, { since })).toMatchObject({ complete: true });
    expect(params()).toEqual({});
  });

  test("is refused where the parameter is in the query already", () => {
    const config = { base_url: origin, path: "/w", id: "/id", query: { updated_since: "x" }, changes };
    expect(() => createConnector("rest", config, { token: secret("s") }, { allow_private: true })).toThrow(
      /changes\.parameter/,
    );
  });
});
