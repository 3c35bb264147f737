/** Asking a query only for what has changed, against the real databases: nothing that is committed late is lost. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connector, type Context, type Page, secret } from "../../src/connectors/connector.ts";
import { type SqlConfig, sql_config } from "../../src/connectors/sql/config.ts";
import { sqlConnector } from "../../src/connectors/sql/connector.ts";
import { marked, markOf, sinceOf, tokenOf } from "../../src/connectors/sql/watermark.ts";
import { openDatabase, sql } from "../../src/store/database.ts";
import { hasMariadb, startMariadb } from "../support/mariadb.ts";
import { overTcp } from "../support/overTcp.ts";
import { testDatabase } from "../support/postgres.ts";

const now = new Date("2026-03-05T00:00:00Z");
const ctx: Context = { signal: AbortSignal.timeout(120_000), log: () => {}, now: () => now };

type Place = Readonly<{
  form: Pick<SqlConfig, "dialect" | "host" | "port" | "database" | "username">;
  password: string;
  run(statement: string): Promise<void>;
  end(): Promise<void>;
}>;

async function postgresql(): Promise<Place> {
  const database = await testDatabase();
  const [url, way] = [new URL(database.url), await overTcp(database.url)];
  const db = openDatabase(database.url, { connections: 1 });
  const form = { host: way.host, port: way.port, database: url.pathname.slice(1), username: url.username };
  return {
    form: { dialect: "postgresql", ...form },
    password: decodeURIComponent(url.password),
    run: async (statement) => void (await sql.raw(statement).execute(db)),
    end: async () => {
      await db.destroy();
      way.close();
      await database.drop();
    },
  };
}

async function mariadb(): Promise<Place> {
  const { host, port, database, username, password, run, stop } = await startMariadb();
  return { form: { dialect: "mariadb", host, port, database, username }, password, run, end: stop };
}

/** Columns that tell of the last change, by their types; a row's value of each hour of a day. */
type Column = readonly [name: string, type: string, of: (n: number) => string];
const columns: Readonly<Record<"postgresql" | "mariadb", readonly Column[]>> = {
  postgresql: [
    ["a time", "timestamptz", (n: number) => `'2026-03-04 ${n}:30:00.123456+00'`],
    ["a time without a zone", "timestamp", (n: number) => `'2026-03-04 ${n}:30:00'`],
    ["a number", "bigint", (n: number) => String(9_007_199_254_740_993n + BigInt(n))],
    ["a fraction", "numeric", (n: number) => `${n}.5`],
    ["a text", "text", (n: number) => `'01J${n}'`],
  ],
  mariadb: [
    ["a time", "timestamp(6) null", (n: number) => `'2026-03-04 ${n}:30:00.123456'`],
    ["a time without a zone", "datetime", (n: number) => `'2026-03-04 ${n}:30:00'`],
    ["a number", "bigint", (n: number) => String(9_007_199_254_740_993n + BigInt(n))],
    ["a fraction", "decimal(10,2)", (n: number) => `${n}.5`],
    ["a text", "varchar(20) character set latin1", (n: number) => `'01J${n}'`],
  ],
};

describe.each([
  ["postgresql", postgresql, true],
  ["mariadb", mariadb, hasMariadb],
] as const)("%s", (dialect, open, present) => {
  describe.runIf(present)("is asked only for what has changed", () => {
    let place: Place;
    beforeAll(async () => {
      place = await open();
    }, 60_000);
    afterAll(() => place?.end());

    const source = (more: Partial<SqlConfig> = {}): Connector =>
      sqlConnector(
        {
          ...{ ...place.form, tls: "off", query: "select id, name, changed from staff order by id", id_column: "id" },
          ...{ changed_column: "changed", changed_overlap_numbers: 0 },
          ...more,
        },
        { token: secret(place.password) },
        { allow_private: true },
      );

    async function whole(connector: Connector, since?: string): Promise<Readonly<{ ids: string; last: Page }>> {
      const ids: string[] = [];
      for (let cursor: string | undefined; ; ) {
        const first = since === undefined ? {} : { since };
        const last = await connector.list(ctx, { limit: 2, ...(cursor === undefined ? first : { cursor }) });
        ids.push(...last.items.map(({ id }) => id));
        cursor = last.next;
        if (cursor === undefined) return { ids: ids.join(" "), last };
        expect(last.since).toBeUndefined();
      }
    }

    const staff = async (type: string, values: readonly string[]) => {
      await place.run("drop table if exists staff");
      await place.run(`create table staff (id int primary key, name text, changed ${type})`);
      for (const [n, value] of values.entries()) {
        await place.run(`insert into staff values (${n + 1}, 'P${n + 1}', ${value})`);
      }
    };

    test.each(columns[dialect])("where the column is %s", async (_name, type, of) => {
      await staff(type, [of(10), of(12), of(14), of(16), of(18), "null"]);
      const connector = source();
      const first = await whole(connector);
      expect([first.ids, first.last.complete]).toEqual(["1 2 3 4 5 6", true]);
      const token = first.last.since ?? "";
      // What was seen last is asked for again; a row that does not say when it changed always is.
      const second = await whole(connector, token);
      expect([second.ids, second.last.since]).toEqual(["5 6", token]);
      await place.run(`update staff set name = 'moved', changed = ${of(20)} where id = 2`);
      const third = await whole(connector, token);
      expect(third.ids).toBe("2 5 6");
      expect((await whole(connector, third.last.since)).ids).toBe("2 6");
    });

    test("and a row that is committed late, with an earlier time or number, is not lost", async () => {
      await staff(dialect === "mariadb" ? "datetime" : "timestamp", ["'2026-03-04 10:00:00'", "'2026-03-04 12:00:00'"]);
      const { last } = await whole(source({ changed_overlap_minutes: 60 }));
      await place.run("insert into staff values (3, 'late', '2026-03-04 11:30:00')");
      expect((await whole(source({ changed_overlap_minutes: 60 }), last.since)).ids).toBe("2 3");
      expect((await whole(source({ changed_overlap_minutes: 10 }), last.since)).ids).toBe("2");
      await staff("bigint", ["1000", "2000"]);
      const numbers = await whole(source({ changed_overlap_numbers: 100 }));
      await place.run("insert into staff values (3, 'late', 1950)");
      expect((await whole(source({ changed_overlap_numbers: 100 }), numbers.last.since)).ids).toBe("2 3");
    });

    test("and a time ahead of the clock hides nothing that comes after it", async () => {
      await staff(dialect === "mariadb" ? "datetime" : "timestamp", ["'2026-03-04 10:00:00'", "'9999-12-31 00:00:00'"]);
      const { last } = await whole(source());
      await place.run("insert into staff values (3, 'P3', '2026-03-05 00:10:00')");
      expect((await whole(source(), last.since)).ids).toBe("2 3");
    });

    test("and when a row was touched is no attribute of its own accord", async () => {
      await staff("bigint", ["1"]);
      expect((await source().list(ctx, {})).items[0]?.profile).toEqual({ id: 1, name: "P1" });
      const named = { columns: { name: "name", at: "changed" } };
      expect((await source(named).list(ctx, {})).items[0]?.profile).toEqual({ name: "P1", at: 1 });
      expect(source().can.changes).toBe(true);
    });

    test.each([
      ["nonsense", "run a full import"],
      ["time:2026-03-04 10:00:00' or '1'='1", "run a full import"],
      ["number:1e9999", "run a full import"],
      ["time:2026-03-04 10:00:00", "run a full import|check the query"],
    ])("and a mark that is none of this list is told: %s", async (since, why) => {
      await staff("bigint", ["1"]);
      await expect(source().list(ctx, { since })).rejects.toMatchObject({ message: expect.stringMatching(why) });
    });

    test("and a column that the query does not give, or a strange name, is told", async () => {
      await staff("bigint", ["1"]);
      await expect(source({ changed_column: "moved" }).list(ctx, {})).rejects.toMatchObject({
        message: expect.stringMatching(/no column named moved/),
      });
      const quote = dialect === "mariadb" ? "`" : '"';
      await expect(
        source({ changed_column: `x${quote} or 1=1` }).list(ctx, { since: "number:1" }),
      ).rejects.toMatchObject({ kind: "denied" });
    });
  });
});

describe("the mark of the last change", () => {
  const settings = (more = {}) =>
    sql_config.parse({ host: "h", database: "d", username: "u", query: "q", id_column: "id", ...more });

  test.each([
    ["time:2026-03-04 10:00:00.5+00", "2026-03-04 09:00:00.500+00"],
    ["time:2026-01-01 00:10:00", "2025-12-31 23:10:00.000"],
    ["day:2026-03-01", "2026-02-28"],
    ["number:9007199254740993", "9007199254739993"],
    ["text:01J", "01J"],
  ])("of %s asks from %s on", (token, from) => {
    expect(sinceOf(markOf(token), settings()).from).toBe(from);
  });

  test.each([
    ["time", ["2026-03-04 10:00:00", "infinity", "2026-03-04 09:00:00"], "time:2026-03-04 10:00:00"],
    ["number", ["9", "10", "NaN", "-11"], "number:10"],
    ["number", ["9007199254740993", "9007199254740992"], "number:9007199254740993"],
    ["day", ["2026-03-04", "0000-99-99", "2027-01-01"], "day:2026-03-05"],
    ["text", ["a", "", "b"], "text:b"],
  ] as const)("of %s is the highest that was seen: %j", (order, values, token) => {
    const mark = values.reduce<ReturnType<typeof marked>>((highest, value) => marked(highest, order, value), undefined);
    expect(mark && tokenOf(mark, now)).toBe(token);
  });
});
