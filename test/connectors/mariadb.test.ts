/** The source over a query, against a real MariaDB: what it promises of PostgreSQL (sql.test.ts), and the same texts. */
import { generateKeyPairSync } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import tls from "node:tls";
import forge from "node-forge";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connector, ConnectorFault, type Context, secret } from "../../src/connectors/connector.ts";
import type { SqlConfig } from "../../src/connectors/sql/config.ts";
import { sqlConnector } from "../../src/connectors/sql/connector.ts";
import { hasMariadb, type Mariadb, startMariadb } from "../support/mariadb.ts";
import { seeded } from "../support/world.ts";

let server: Mariadb;
const ctx: Context = { signal: AbortSignal.timeout(120_000), log: () => {}, now: () => new Date() };

/** An authority, and its certificate for a server of this name. */
function certificates(name: string): Readonly<{ authority: string; options: string[] }> {
  const make = (subject: string, issuer: string, serial: string, signs: forge.pki.rsa.KeyPair | undefined) => {
    const made = generateKeyPairSync("rsa", {
      modulusLength: 2_048,
      privateKeyEncoding: { type: "pkcs1", format: "pem" },
      publicKeyEncoding: { type: "spki", format: "pem" },
    });
    const keys = {
      privateKey: forge.pki.privateKeyFromPem(made.privateKey),
      publicKey: forge.pki.publicKeyFromPem(made.publicKey),
    };
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = keys.publicKey;
    certificate.serialNumber = serial;
    certificate.validity.notBefore = new Date(Date.now() - 3_600_000);
    certificate.validity.notAfter = new Date(Date.now() + 86_400_000);
    certificate.setSubject([{ name: "commonName", value: subject }]);
    certificate.setIssuer([{ name: "commonName", value: issuer }]);
    certificate.setExtensions(
      signs === undefined
        ? [{ name: "basicConstraints", cA: true }]
        : [{ name: "subjectAltName", altNames: [{ type: 2, value: subject }] }],
    );
    certificate.sign((signs ?? keys).privateKey, forge.md.sha256.create());
    return { keys, pem: forge.pki.certificateToPem(certificate) };
  };
  const authority = make("Tests", "Tests", "01", undefined);
  const { keys, pem } = make(name, "Tests", "02", authority.keys);
  const files = { cert: pem, key: forge.pki.privateKeyToPem(keys.privateKey) };
  const at = (kind: keyof typeof files) => path.join(tmpdir(), `tenure-mariadb-${process.pid}.${kind}`);
  for (const kind of ["cert", "key"] as const) writeFileSync(at(kind), files[kind]);
  return { authority: authority.pem, options: [`--ssl-cert=${at("cert")}`, `--ssl-key=${at("key")}`] };
}

const { authority, options } = certificates("localhost");

beforeAll(async () => {
  if (!hasMariadb) return;
  server = await startMariadb(options);
  await server.run(`
    create table staff (id int primary key, name varchar(50), active boolean);
    insert into staff select seq, concat('P', seq), seq % 2 = 0 from seq_1_to_7;
    create table many (id int primary key, name text);
    insert into many select seq, repeat('x', 1000) from seq_1_to_20000;
    create sequence counter;
    create function hire() returns int modifies sql data begin insert into staff values (99, 'P99', true); return 1; end;
    grant execute, insert on personnel.* to reader@'%'`);
}, 60_000);
afterAll(async () => {
  for (const option of options) rmSync(option.replace(/^.*=/, ""), { force: true });
  await server?.stop();
});

function source(more: Partial<SqlConfig> = {}, allow_private = true, password = server.password): Connector {
  const { host, port, database, username } = server;
  const form: SqlConfig = {
    ...{ dialect: "mariadb", host, port, database, username, tls: "off" },
    ...{ query: "select id, name from staff order by id desc", id_column: "id" },
    ...more,
  };
  return sqlConnector(form, { token: secret(password) }, { allow_private });
}

describe.runIf(hasMariadb)("the rows of a query", () => {
  test("come page by page, each once, whole and in the query's order", async () => {
    const connector = source();
    const pages: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await connector.list(ctx, { limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      pages.push(page.items.map(({ id }) => id).join(" "));
      cursor = page.next;
      if (cursor !== undefined) continue;
      expect(page.complete).toBe(true);
      break;
    }
    expect(pages).toEqual(["7 6 5", "4 3 2", "1"]);
  });

  test("are of one moment, whatever is written between two pages", async () => {
    const connector = source({ query: "select id, name from many" });
    const first = await connector.list(ctx, { limit: 10 });
    await server.run("delete from many where id > 10");
    let count = first.items.length;
    for (let cursor = first.next; cursor !== undefined; ) {
      const page = await connector.list(ctx, { limit: 2_000, cursor });
      count += page.items.length;
      cursor = page.next;
    }
    expect(count).toBe(20_000);
    expect((await connector.list(ctx, { limit: 100 })).items).toHaveLength(10);
  });

  test("wait in the database until they are asked for, not in memory", async () => {
    const connector = source({ query: "select seq as id, repeat('x', 10000) as name from seq_1_to_1000000" });
    const before = process.memoryUsage().rss;
    const page = await connector.list(ctx, { limit: 10 });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    // Of 10 GB; what is on its way is some MB.
    expect([page.items.length, process.memoryUsage().rss - before < 100_000_000]).toEqual([10, true]);
    await connector.close?.();
  });

  test("are the texts that PostgreSQL gives: numbers, truth values, lists, days, times in UTC, bytes", async () => {
    await server.run(`
      create table kinds (id int, name varchar(20) character set latin1, hired date, at_ timestamp(6), naive datetime(3), clock time,
        active boolean, flag bit(1), bits bit(9), big bigint unsigned, level bigint, share double, price decimal(10,2),
        roles set('a', 'b', 'c'), status enum('in', 'out'), note json, raw varbinary(10), nothing varchar(5), none int,
        never date, born year);
      set time_zone = '+02:00';
      insert into kinds values (1, 'Zoë', '2026-03-04', '2026-03-04 05:06:07.120000', '2026-03-04 05:06:07', '05:06:07', true,
        b'1', b'100000001', 9007199254740993, 3, 0.5, 12.50, 'a,c', 'in', '{"a": 1}', 'hi', '', null, '0000-00-00', 1984)`);
    const connector = source({ query: "select * from kinds" });
    expect((await connector.list(ctx, {})).items).toEqual([
      {
        id: "1",
        enabled: true,
        place: "row 1",
        profile: {
          ...{
            id: 1,
            name: "Zoë",
            hired: "2026-03-04",
            at_: "2026-03-04 03:06:07.12+00",
            naive: "2026-03-04 05:06:07",
          },
          ...{ clock: "05:06:07", active: true, flag: true, bits: 257, big: "9007199254740993", level: 3, share: 0.5 },
          ...{ price: "12.50", roles: ["a", "c"], status: "in", note: '{"a": 1}', raw: "\\x6869", born: 1984 },
        },
      },
    ]);
    expect((await connector.schema(ctx)).attributes).toMatchObject([
      { name: "id", type: "integer", required: true, writable: "never" },
      ...["name", "hired", "at_", "naive", "clock"].map((name) => ({ name, type: "string" })),
      ...["active", "flag"].map((name) => ({ name, type: "boolean" })),
      ...["bits", "big", "level"].map((name) => ({ name, type: "integer" })),
      { name: "share", type: "number" },
      { name: "price", type: "string" },
      { name: "roles", type: "string", array: true },
      ...["status", "note", "raw", "nothing"].map((name) => ({ name, type: "string" })),
      { name: "none", type: "integer" },
      { name: "never", type: "string" },
      { name: "born", type: "integer" },
    ]);
  });

  test("tell who works here, and give the columns that were chosen", async () => {
    const query = "select id, name as full_name, active from staff where id < 3 order by id; ";
    const { items } = await source({ query, columns: { name: "full_name" }, enabled_column: "active" }).list(ctx, {});
    expect(items).toMatchObject([
      { id: "1", enabled: false, profile: { name: "P1" } },
      { id: "2", enabled: true, profile: { name: "P2" } },
    ]);
  });

  test("are found by a value, and one by its id", async () => {
    expect(await source().find(ctx, { attribute: "name", value: "P3" })).toMatchObject([{ id: "3" }]);
    expect(await source().read(ctx, "99")).toBeNull();
  });
});

describe.runIf(hasMariadb)("nothing is written, and what is wrong is told", () => {
  test.each<[string, Partial<SqlConfig>, string, RegExp]>([
    ["a query that writes", { query: "delete from staff returning id" }, "denied", /check the query/],
    ["one that ends a transaction", { query: "truncate table staff" }, "denied", /check the query/],
    ["a function that writes", { query: "select hire() as id" }, "denied", /may only read/],
    ["a number that is taken", { query: "select nextval(counter) as id" }, "denied", /may only read|grant it SELECT/],
    ["a file", { query: "select 1 as id into outfile '/tmp/tenure-people'" }, "denied", /check the query/],
    ["a variable", { query: "select 1 into @id" }, "denied", /check the query/],
    ["a second statement", { query: "select 1 as id; delete from staff" }, "denied", /check the query/],
    ["a way out of the part", { query: "select 1 as id) as a; delete from staff; --" }, "denied", /check the query/],
    ["a comment to the end", { query: "select 1 as id /*" }, "denied", /check the query/],
    ["a place for a value", { query: "select ? as id" }, "denied", /check the query|Incorrect arguments/],
    ["a query that cannot be read", { query: "selct 1" }, "denied", /error in your SQL syntax.*check the query/s],
    ["a table that is not there", { query: "select id from nobody" }, "denied", /nobody/],
    ["a table that may not be read", { query: "select user as id from mysql.user" }, "denied", /grant it SELECT/],
    ["a column that the query lacks", { columns: { mail: "email" } }, "denied", /no column named email, but id, name/],
    ["two columns of one name", { query: "select 1 as id, 2 as id" }, "denied", /two columns of this name/],
    ["a database that is not there", { database: "nowhere" }, "denied", /check the database/],
    ["a server that is not there", { port: 9 }, "retry", /ECONNREFUSED/],
  ])("%s", async (_name, config, kind, message) => {
    const failed = source(config).list(ctx, {});
    await expect(failed).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
    expect((await source().list(ctx, {})).items).toHaveLength(7);
  });

  test("a wrong password, without it", async () => {
    await expect(source({}, true, "wr0ng-password").test(ctx)).rejects.toMatchObject({
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
    const query = "select sleep(30) as id";
    await expect(source({ query }).list(soon, {})).rejects.toMatchObject({ kind: "retry", status: "deadline" });
    expect(Date.now() - begun).toBeLessThan(10_000);
  });

  test("answers that make no sense, as a fault within the deadline", async () => {
    const chance = seeded(7);
    let rate = 0;
    const proxy = createServer((client) => {
      const behind = connect(server.port, server.host);
      client.on("error", () => behind.destroy()).on("close", () => behind.destroy());
      behind.on("error", () => client.destroy()).on("close", () => client.end());
      client.pipe(behind);
      behind.on("data", (bytes) => client.write(bytes.map((byte) => (chance() < rate ? chance() * 256 : byte))));
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as AddressInfo;
    let faults = 0;
    for (let n = 0; n < 40; n++) {
      rate = [0.001, 0.01, 0.03, 0.2][n % 4] ?? 0;
      const soon = { ...ctx, signal: AbortSignal.timeout(300) };
      const failed = await source({ port })
        .list(soon, {})
        .then(
          () => undefined,
          (error: unknown) => error,
        );
      if (failed === undefined) continue;
      expect(failed).toBeInstanceOf(ConnectorFault);
      faults += 1;
    }
    expect(faults).toBeGreaterThan(10);
    proxy.close();
    // The user was refused so often that the server would let nobody in from here.
    await server.run("flush hosts");
  }, 30_000);

  test("a connection that breaks between two pages", async () => {
    const connector = source({ query: "select seq as id, repeat('x', 1000) as name from seq_1_to_100000" });
    const { next = "" } = await connector.list(ctx, { limit: 10 });
    await server.run(`
      begin not atomic
        for one in (select id from information_schema.processlist where user = 'reader')
        do kill one.id; end for;
      end`);
    const rest = connector.list({ ...ctx, signal: AbortSignal.timeout(20_000) }, { limit: 100_000, cursor: next });
    await expect(rest).rejects.toMatchObject({ kind: "retry", message: expect.not.stringMatching("deadline") });
  });
});

describe.runIf(hasMariadb)("TLS", () => {
  const usual = tls.getCACertificates("default");
  afterAll(() => tls.setDefaultCACertificates(usual));

  test("refuses a certificate of nobody whom this server trusts", async () => {
    await expect(source({ host: "localhost", tls: "verify" }).test(ctx)).rejects.toMatchObject({
      kind: "denied",
      message: /certificate is not trusted: give its authority/,
    });
  });

  test("takes one that is right, and refuses it for another name and for an address", async () => {
    tls.setDefaultCACertificates([...usual, authority]);
    expect((await source({ host: "localhost", tls: "verify" }).list(ctx, {})).items).toHaveLength(7);
    await expect(source({ host: "127.0.0.1", tls: "verify" }).test(ctx)).rejects.toMatchObject({
      kind: "denied",
      message: /altnames|certificate/,
    });
  });
});

test.runIf(hasMariadb)(
  "TLS is not done without where the server has none",
  async () => {
    const plain = await startMariadb(["--skip-ssl"]);
    try {
      await expect(source({ port: plain.port, tls: "verify" }).test(ctx)).rejects.toMatchObject({
        kind: "denied",
        message: /does not support secure connection.*set tls to off where/,
      });
    } finally {
      await plain.stop();
    }
  },
  60_000,
);
