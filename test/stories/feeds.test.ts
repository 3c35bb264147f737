/**
 * Stories of feeds over HTTP that are dated by their effect: the real connector asks a server, the real import decides,
 * the clock does the rest.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Connector } from "../../src/connectors/connector.ts";
import type { RestConfig } from "../../src/connectors/rest/config.ts";
import { restConnector } from "../../src/connectors/rest/connector.ts";
import type { Attribute } from "../../src/core/types.ts";
import { type AppTools, createApp } from "../../src/directory/apps.ts";
import { changesAhead } from "../../src/directory/changesAhead.ts";
import { defineAttributes } from "../../src/directory/schemas.ts";
import { explainAccount } from "../../src/engine/explain.ts";
import { type ImportRequest, startImport } from "../../src/engine/import.ts";
import type { Sourcing } from "../../src/store/tables.ts";
import { linesOf } from "../engine/hr.ts";
import { admin, mapSource, must } from "../support/world.ts";
import { hrStage } from "./hrStage.ts";
import { stage } from "./support.ts";

const s = stage();
const { at, find, status, department } = hrStage(s);
let server: Server;
let origin = "";
let body: unknown;
let asked: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  asked = [];
});

const names = ["id", "mail", "first", "last", "department", "start", "end"];
const attribute = (name: string): Attribute => ({
  ...{ name, type: "string", array: false, required: false, writable: "never" },
  ...{ readable: true, unique: false, case_exact: true },
});

/** A source over HTTP whose rows are dated. `import`: what the server gives now comes in. */
async function feed(
  config: Partial<RestConfig>,
  sourcing: Partial<Sourcing> = {},
  wrap = (connector: Connector) => connector,
) {
  const form: RestConfig = { base_url: origin, path: "/people", id: "/userId", auth: "none", ...config };
  const connector = wrap(restConnector(form, {}, { allow_private: true }));
  const check: AppTools["check"] = () => ({
    ok: { config: {}, credentials: {}, can: connector.can, attributes: names.map(attribute) },
  });
  const dated = { start_attribute: "start", end_attribute: "end", several_rows: true };
  const rules = { guard_people: 0, guard_percent: 100, ...dated, ...sourcing };
  const app = await must(
    createApp(
      s.world().command,
      { label: "Feed", kind: "rest", sourcing: rules },
      { key: { id: "test", bytes: Buffer.alloc(32) }, check },
    ),
  );
  s.world().connectors.set(app.id, connector);
  await mapSource(s.world(), app.id, {
    ...{ login: "appuser.mail", email: "appuser.mail", firstName: "appuser.first", lastName: "appuser.last" },
    department: "appuser.department",
  });
  return async (now: unknown, request: Partial<ImportRequest> = {}) => {
    body = now;
    const run = await must(startImport(s.world(), app.id, { mode: "full", actor: admin, ...request }));
    await s.settle();
    return run;
  };
}

describe("an OData feed asked with fromDate and toDate, a row for each slice", () => {
  const odata: Partial<RestConfig> = {
    preset: "odata",
    query: { fromDate: "1990-01-01", toDate: "9999-12-31" },
    columns: {
      ...{ mail: "/email", first: "/firstName", last: "/lastName", department: "/department" },
      ...{ start: "/startDate", end: "/endDate" },
    },
  };
  const ada = { userId: "1", firstName: "Ada", lastName: "Byron", email: "ada.byron@example.com" };
  const bob = { userId: "2", firstName: "Bob", lastName: "Stone", email: "bob.stone@example.com" };
  const dayText = (day: string) => (day === "" ? "9999-12-31" : `/Date(${Date.parse(day)})/`);
  const slice = (who: object, department: string, start: string, end = "") => ({
    ...{ ...who, department, startDate: dayText(start), endDate: dayText(end) },
  });
  const d = (...results: object[]) => ({ d: { results } });
  const mills = slice(ada, "Mills", "2025-01-01", "2026-03-31");
  const sales = slice(ada, "Sales", "2026-04-01");

  test("keeps a slice that lies ahead and applies it on its day, without asking again", async () => {
    const comes = await feed(odata);
    expect((await comes(d(mills, sales))).counts).toMatchObject({ created: 1 });
    expect(asked).toEqual(["/people?fromDate=1990-01-01&toDate=9999-12-31"]);
    expect([await department(), await status()]).toEqual(["Mills", "PROVISIONED"]);
    const ahead = async () =>
      changesAhead(s.world().db, (await find()) as NonNullable<Awaited<ReturnType<typeof find>>>);
    const change = { at: new Date("2026-04-01T00:00:00Z"), source: "Feed", changes: { department: "Sales" } };
    expect(await ahead()).toEqual([change]);
    const said = async () =>
      (await must(explainAccount(s.world(), "ada.byron@example.com", "Feed", "department"))).source?.attributes[0]
        ?.reads;
    expect(await said()).toEqual({ department: "Mills" });
    await at("2026-04-01T00:00:00Z");
    expect([await ahead(), await said()]).toEqual([[], { department: "Sales" }]);
    expect([await department(), await status()]).toEqual(["Sales", "PROVISIONED"]);
    expect(asked).toHaveLength(1);
  });

  test("applies a slice that is told late at once", async () => {
    const comes = await feed(odata);
    await comes(d(slice(ada, "Mills", "2025-01-01")));
    await comes(d(slice(ada, "Mills", "2025-01-01", "2026-01-31"), slice(ada, "Sales", "2026-02-01")));
    expect(await department()).toBe("Sales");
  });

  test("replaces a slice by its correction, and forgets one that was withdrawn", async () => {
    const comes = await feed(odata);
    await comes(d(mills, sales));
    await comes(d(slice(ada, "Mills", "2025-01-01", "2026-04-30"), slice(ada, "Trade", "2026-05-01")));
    await at("2026-04-15T00:00:00Z");
    expect(await department()).toBe("Mills");
    await at("2026-05-01T00:00:00Z");
    expect(await department()).toBe("Trade");
    await comes(d(slice(ada, "Mills", "2025-01-01")));
    expect(await department()).toBe("Mills");
  });

  test("lets someone go at the end of their last slice; slices in another order are the same", async () => {
    const comes = await feed(odata);
    const last = slice(ada, "Sales", "2026-04-01", "2026-06-30");
    await comes(d(mills, last, slice(bob, "Mills", "2025-01-01")));
    expect((await comes(d(slice(bob, "Mills", "2025-01-01"), last, mills))).counts).toEqual({ unchanged: 2 });
    await at("2026-07-01T00:00:00Z");
    expect([await status(), await status("bob.stone")]).toEqual(["DEPROVISIONED", "PROVISIONED"]);
  });

  test("keeps whom it knew where one of their slices cannot be read, and says which", async () => {
    const comes = await feed(odata);
    await comes(d(mills, sales));
    const run = await comes(d(slice(ada, "Other", "2025-01-01", "2026-03-31"), { ...sales, startDate: "/Date(1e9)/" }));
    expect(await department()).toBe("Mills");
    expect((await linesOf(s.world(), run.id)).map(({ detail }) => detail?.reason)).toEqual(
      expect.arrayContaining([expect.stringMatching(/start: .* is no day/)]),
    );
  });

  test("with 10,000 slices of one person applies none of them, and costs only that one", async () => {
    const comes = await feed(odata);
    await comes(d(slice(ada, "Mills", "2025-01-01")));
    const many = Array.from({ length: 10_000 }, (_, n) => slice(ada, `D${n}`, "2025-01-01", "2025-12-31"));
    const run = await comes(d(...many, slice(bob, "Mills", "2025-01-01")));
    expect([await department(), await status()]).toEqual(["Mills", "PROVISIONED"]);
    expect(await status("bob.stone")).toBe("PROVISIONED");
    expect(run.counts).toMatchObject({ created: 1, refused: 10_000 });
    const [first] = await linesOf(s.world(), run.id);
    expect(first?.detail?.reason).toBe("there are 10000 rows of this person, and at most 100 are taken");
  });
});

describe("a report whose records have their future changes inside", () => {
  const report: Partial<RestConfig> = {
    preset: "report",
    auth: "none",
    id: "/Worker_ID",
    columns: {
      ...{ mail: "/Email", first: "/First", last: "/Last", department: "/Sup_Org" },
      ...{ start: "/Hire_Date", end: "/Term_Date" },
    },
    slices: {
      ...{ at: "/Future_Changes", kind: "changes", start: "start", end: "end" },
      columns: { start: "/Effective", department: "/Sup_Org" },
    },
  };
  const worker = (Future_Changes: readonly object[], more: object = {}) => ({
    Report_Entry: [
      {
        ...{ Worker_ID: "1", First: "Ada", Last: "Byron", Email: "ada.byron@example.com", Sup_Org: "Mills" },
        ...{ Hire_Date: "2025-01-01", Term_Date: "", Future_Changes, ...more },
      },
    ],
  });
  const to_sales = { Effective: "2026-04-01", Sup_Org: "Sales" };

  test("applies each on its day, and takes back what is not there any more", async () => {
    const comes = await feed(report);
    await comes(worker([to_sales]));
    await at("2026-03-31T23:59:00Z");
    expect(await department()).toBe("Mills");
    await at("2026-04-01T00:00:00Z");
    expect(await department()).toBe("Sales");
    await comes(worker([{ ...to_sales, Effective: "2026-06-01" }]));
    expect(await department()).toBe("Mills");
    await comes(worker([]));
    await at("2026-06-02T00:00:00Z");
    expect([await department(), await status()]).toEqual(["Mills", "PROVISIONED"]);
  });

  test("takes what held before with it where all jobs in force count", async () => {
    await must(defineAttributes(s.command(), "user", [{ name: "departments", type: "string", array: true }]));
    const comes = await feed(report, { every_job: { departments: "department" } });
    await comes(worker([to_sales]));
    expect((await find())?.profile["departments"]).toEqual(["Mills"]);
    await at("2026-04-01T00:00:00Z");
    expect((await find())?.profile["departments"]).toEqual(["Sales"]);
  });

  test("lets someone go on the day of the record, though a change was planned for later", async () => {
    const comes = await feed(report);
    await comes(worker([to_sales], { Term_Date: "2026-03-15" }));
    await at("2026-03-16T00:00:00Z");
    expect([await status(), await department()]).toEqual(["DEPROVISIONED", "Mills"]);
    await at("2026-04-02T00:00:00Z");
    expect(await status()).toBe("DEPROVISIONED");
  });

  test("leaves a hire ahead where it is, though a change is dated before it", async () => {
    const comes = await feed(report);
    await comes(worker([{ Effective: "2026-03-01", Sup_Org: "Sales" }], { Hire_Date: "2026-05-01" }));
    expect(await status()).toBe("STAGED");
    await at("2026-05-01T00:00:00Z");
    expect([await status(), await department()]).toEqual(["PROVISIONED", "Sales"]);
  });
});

describe("a list that was asked only for what changed", () => {
  const since = "2026-03-01T00:00:00Z";
  // The engine gives what it keeps of the last list; here the keeping is done by hand.
  const asking = (connector: Connector): Connector => ({
    ...connector,
    list: (ctx, page) => connector.list(ctx, page.cursor === undefined && told ? { ...page, since } : page),
  });
  let told = false;

  test("applies what is in it, and takes nobody who is not in it for gone, also in a full import", async () => {
    told = false;
    const config: Partial<RestConfig> = {
      changes: { parameter: "updated_since" },
      columns: { mail: "/mail", first: "/first", last: "/last", department: "/department" },
    };
    const comes = await feed(config, { start_attribute: null, end_attribute: null, several_rows: false }, asking);
    const ada = { userId: "1", first: "Ada", last: "Byron", mail: "ada.byron@example.com", department: "Mills" };
    const bob = { userId: "2", first: "Bob", last: "Stone", mail: "bob.stone@example.com", department: "Mills" };
    await comes([ada, bob]);
    told = true;
    await comes([{ ...bob, department: "Sales" }]);
    expect(asked).toEqual(["/people", "/people?updated_since=2026-03-01T00%3A00%3A00Z"]);
    expect([await status(), await department("bob.stone")]).toEqual(["PROVISIONED", "Sales"]);
    told = false;
    await comes([bob]);
    expect(await status()).toBe("DEPROVISIONED");
    expect(await find("bob.stone")).toBeDefined();
  });
});
