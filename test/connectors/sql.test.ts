/** The source over a query, against a real PostgreSQL. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connector, type Context, secret } from "../../src/connectors/connector.ts";
import type { SqlConfig } from "../../src/connectors/sql/config.ts";
import { sqlConnector } from "../../src/connectors/sql/connector.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { type OverTcp, overTcp } from "../support/overTcp.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let db: Database;
let place: URL;
let way: OverTcp;
const ctx: Context = { signal: AbortSignal.timeout(120_000), log: () => {}, now: () => new Date() };

beforeAll(async () => {
  database = await testDatabase();
  place = new URL(database.url);
  way = await overTcp(database.url);
  db = openDatabase(database.url, { connections: 2 });
  await sql`
    create table staff (id int primary key, name text, hired date, left_at timestamptz, active boolean, level bigint,
      share float8, roles text[], note jsonb)`.execute(db);
  await sql`
    insert into staff select n, 'P' || n, date '2026-01-01' + n, null, n % 2 = 0, n, 0.5, '{}', '{}'
    from generate_series(1, 7) as n`.execute(db);
});
afterAll(async () => {
  await db.destroy();
  way.close();
  await database.drop();
});

function source(more: Partial<SqlConfig> = {}, allow_private = true): Connector {
  const config: SqlConfig = {
    host: way.host,
    port: way.port,
    database: place.pathname.slice(1),
    username: decodeURIComponent(place.username),
    tls: "off",
    query: "select id, name from staff order by id",
    id_column: "id",
    ...more,
  };
  return sqlConnector(config, { token: secret(decodeURIComponent(place.password)) }, { allow_private });
}

describe("the rows of a query", () => {
  test("come page by page, each once, and whole", async () => {
    const connector = source();
    const pages: string[] = [];
    let cursor: string | undefined;
    for (;;) {
      const page = await connector.list(ctx, { limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      pages.push(page.items.map(({ id }) => id).join(" "));
      cursor = page.next;
      if (cursor === undefined) {
        expect(page.complete).toBe(true);
        break;
      }
    }
    expect(pages).toEqual(["1 2 3", "4 5 6", "7"]);
  });

  test("are of one moment, whatever is written between two pages", async () => {
    const connector = source();
    const first = await connector.list(ctx, { limit: 4 });
    await sql`delete from staff where id = 6`.execute(db);
    const rest = await connector.list(ctx, { limit: 10, cursor: first.next ?? "" });
    expect(rest.items.map(({ id }) => id)).toEqual(["5", "6", "7"]);
    await sql`insert into staff (id, name, active) values (6, 'P6', true)`.execute(db);
  });

  test("keep numbers, truth values and lists; days and times are in ISO form; what is empty is left out", async () => {
    const query = `select 1 as id, 'Zoë' as name, date '2026-03-04' as hired, timestamptz '2026-03-04 05:06:07+02' as at,
      true as active, 9007199254740993 as big, 3::bigint as level, 0.5::float8 as share, array['a', 'b "c", \\'] as roles,
      '' as nothing, null::text as none, '{"a": 1}'::jsonb as note`;
    const connector = source({ query });
    expect((await connector.list(ctx, {})).items).toEqual([
      {
        id: "1",
        enabled: true,
        place: "row 1",
        profile: {
          ...{ id: 1, name: "Zoë", hired: "2026-03-04", at: "2026-03-04 03:06:07+00", active: true },
          ...{ big: "9007199254740993", level: 3, share: 0.5, roles: ["a", 'b "c", \\'], note: '{"a": 1}' },
        },
      },
    ]);
    expect((await connector.schema(ctx)).attributes).toMatchObject([
      { name: "id", type: "integer", required: true, writable: "never" },
      { name: "name", type: "string" },
      { name: "hired", type: "string" },
      { name: "at", type: "string" },
      { name: "active", type: "boolean" },
      { name: "big", type: "integer" },
      { name: "level", type: "integer" },
      { name: "share", type: "number" },
      { name: "roles", type: "string", array: true },
      { name: "nothing" },
      { name: "none" },
      { name: "note" },
    ]);
  });

  test("tell who works here, and give the columns that were chosen", async () => {
    const query = "select id, name as full_name, active from staff where id < 3 order by id";
    const { items } = await source({ query, columns: { name: "full_name" }, enabled_column: "active" }).list(ctx, {});
    expect(items).toMatchObject([
      { id: "1", enabled: false, profile: { name: "P1" } },
      { id: "2", enabled: true, profile: { name: "P2" } },
    ]);
    expect(items[0]?.profile).toEqual({ name: "P1" });
  });

  test("without an id, or with one that was there before, make the list incomplete", async () => {
    const page = await source({ query: "select * from (values ('1'), (null), ('1')) as v(id)" }).list(ctx, {});
    expect(page).toMatchObject({
      items: [{ id: "1" }],
      refused: [
        { place: "row 2", reason: "column id: the id is empty" },
        { place: "row 3", reason: "the id 1 was there before" },
      ],
      complete: false,
    });
  });

  test("of one id are all given to whoever wants several, as the jobs of one person", async () => {
    const query = "select * from (values ('1', 'Risk'), ('1', 'Trade')) as v(id, unit)";
    const page = await source({ query }).list(ctx, { repeats: true });
    expect([page.items.map(({ profile }) => profile["unit"]), page.complete]).toEqual([["Risk", "Trade"], true]);
    // Where one of an id is wanted, the list says that it has seen to it.
    expect([page.distinct, (await source({ query }).list(ctx, {})).distinct]).toEqual([undefined, true]);
  });

  test("are found by a value, and one by its id", async () => {
    expect(await source().find(ctx, { attribute: "name", value: "P3" })).toMatchObject([{ id: "3" }]);
    expect(await source().read(ctx, "4")).toMatchObject({ id: "4", profile: { name: "P4" } });
    expect(await source().read(ctx, "99")).toBeNull();
  });
});

describe("nothing is written, and what is wrong is told", () => {
  test.each<[string, Partial<SqlConfig>, string, RegExp]>([
    ["a query that writes", { query: "delete from staff returning id" }, "denied", /check the query/],
    ["a function that writes", { query: "select 1 as id, setval('s', 1)" }, "denied", /check the query|may only read/],
    ["a second statement", { query: "select 1 as id; drop table staff" }, "denied", /check the query/],
    ["a query that cannot be read", { query: "selct 1" }, "denied", /syntax error.*check the query/],
    ["a table that is not there", { query: "select id from nobody" }, "denied", /"nobody" does not exist/],
    ["a column that the query lacks", { columns: { mail: "email" } }, "denied", /no column named email, but id, name/],
    ["two columns of one name", { query: "select 1 as id, 2 as id" }, "denied", /two columns named id/],
    ["a database that is not there", { database: "nowhere" }, "denied", /check the database/],
    ["a server without TLS where TLS is asked for", { tls: "verify" }, "denied", /SSL/],
    ["a server that is not there", { port: 9 }, "retry", /ECONNREFUSED/],
  ])("%s", async (_name, config, kind, message) => {
    const failed = source(config).list(ctx, {});
    await expect(failed).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
    expect(await sql<{ n: number }>`select count(*)::int as n from staff`.execute(db)).toMatchObject({
      rows: [{ n: 7 }],
    });
  });

  test("a wrong password, without it", async () => {
    const config = { host: way.host, port: way.port, database: place.pathname.slice(1) };
    const form: SqlConfig = {
      ...config,
      username: place.username,
      tls: "off",
      query: "select 1 as id",
      id_column: "id",
    };
    const connector = sqlConnector(form, { token: secret("wr0ng-password") }, { allow_private: true });
    await expect(connector.test(ctx)).rejects.toMatchObject({
      kind: "denied",
      message: expect.not.stringContaining("wr0ng-password"),
    });
  });

  test.each([
    ["an address", "127.0.0.1"],
    ["a name", "localhost"],
  ])("a private %s that the operator did not open", async (_name, host) => {
    await expect(source({ host }, false).test(ctx)).rejects.toMatchObject({
      kind: "denied",
      message: /private address/,
    });
  });

  test("a deadline, while the database is at work", async () => {
    const soon = { ...ctx, signal: AbortSignal.timeout(300) };
    const begun = Date.now();
    const query = "select pg_sleep(30)::text as id";
    await expect(source({ query }).list(soon, {})).rejects.toMatchObject({ kind: "retry", status: "deadline" });
    expect(Date.now() - begun).toBeLessThan(10_000);
  });

  test("a list that is gone, after a restart", async () => {
    await expect(source().list(ctx, { cursor: "none" })).rejects.toMatchObject({ kind: "retry" });
  });
});
