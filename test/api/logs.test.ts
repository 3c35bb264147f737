/** The log over HTTP: both of Okta's modes, on a real PostgreSQL, because only there do transactions overlap. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { startEmbedded } from "../../src/store/embedded.ts";
import { appendEvent, system } from "../../src/store/log.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let db: Database;
let api: TestApi;

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url);
  await migrate(db);
  api = await testApi(db);
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const note = (on: Database, reason: string) =>
  appendEvent(on, new Date(), {
    type: "test.note",
    actor: system,
    reason,
    targets: [{ id: "00u1", type: "User", name: "Ann" }],
  });
const reasons = (body: readonly { outcome: { reason: string } }[]) => body.map((event) => event.outcome.reason);
const only = (text: string) =>
  `filter=${encodeURIComponent(`eventType eq "test.note" and outcome.reason sw "${text}"`)}`;

describe("polling", () => {
  test("an event that commits late is not missed, whatever was shown before it", async () => {
    let next = `/api/v1/logs?${only("late")}`;
    const seen: string[] = [];
    const poll = async () => {
      const answer = await api.call("GET", next);
      seen.push(...reasons(answer.body));
      expect(answer.next).toBeDefined();
      next = answer.next ?? "";
    };
    await note(db, "late 0");
    let commitSlow = () => {};
    const gate = new Promise<void>((resolve) => {
      commitSlow = resolve;
    });
    let begun = () => {};
    const started = new Promise<void>((resolve) => {
      begun = resolve;
    });
    // Takes its transaction and its place first, and commits last.
    const slow = db.transaction().execute(async (trx) => {
      await note(trx, "late slow");
      begun();
      await gate;
    });
    await started;
    await note(db, "late 1");
    await poll();
    await note(db, "late 2");
    await poll();
    commitSlow();
    await slow;
    await note(db, "late 3");
    // Transactions of other databases on the same server delay what can be vouched for, and take nothing away.
    for (const deadline = Date.now() + 20_000; seen.length < 5 && Date.now() < deadline; ) await poll();
    expect(seen.toSorted()).toEqual(["late 0", "late 1", "late 2", "late 3", "late slow"]);
  });

  test("many writers at once and a poller with a small page: each event once", async () => {
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let n = 0; n < 20; n++) {
        await db.transaction().execute(async (trx) => {
          await note(trx, `many ${writer}/${n}`);
          if (n % 5 === 0) await sql`select pg_sleep(0.005)`.execute(trx);
        });
      }
    });
    const seen: string[] = [];
    let next = `/api/v1/logs?limit=7&${only("many")}`;
    const deadline = Date.now() + 30_000;
    while (seen.length < 160 && Date.now() < deadline) {
      const answer = await api.call("GET", next);
      seen.push(...reasons(answer.body));
      next = answer.next ?? "";
    }
    await Promise.all(writers);
    expect(seen.length).toBe(160);
    expect(new Set(seen).size).toBe(160);
  });
});

describe("bounded", () => {
  test("the next link ends with the last page, newest first or oldest first", async () => {
    for (let n = 0; n < 5; n++) await note(db, `page ${n}`);
    const all = async (query: string) => {
      const seen: string[] = [];
      let pages = 0;
      for (
        let next: string | undefined = `/api/v1/logs?limit=2&${query}&${only("page")}`;
        next !== undefined;
        pages++
      ) {
        const answer = await api.call("GET", next);
        seen.push(...reasons(answer.body));
        next = answer.next;
      }
      return [seen, pages];
    };
    const until = new Date(Date.now() + 1000).toISOString();
    expect(await all(`until=${until}`)).toEqual([["page 0", "page 1", "page 2", "page 3", "page 4"], 3]);
    expect(await all("sortOrder=DESCENDING")).toEqual([["page 4", "page 3", "page 2", "page 1", "page 0"], 3]);
  });

  test("filters reach into actor, target and outcome; q finds words; times may be JavaScript's own", async () => {
    await note(db, "words alpha beta");
    const count = async (query: string) =>
      (await api.call("GET", `/api/v1/logs?sortOrder=DESCENDING&${query}`)).body.length;
    const filter = (text: string) => `filter=${encodeURIComponent(text)}`;
    expect(await count(filter('target.id eq "00u1" and outcome.reason co "ALPHA"'))).toBe(1);
    expect(await count(filter('not (actor.id eq "system") and outcome.reason co "alpha"'))).toBe(0);
    expect(await count("q=alpha%20beta")).toBe(1);
    expect(await count("q=alpha%20gamma")).toBe(0);
    const date = encodeURIComponent("Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)");
    expect(await count(`since=${date}&q=alpha`)).toBe(1);
    expect((await api.call("GET", "/api/v1/logs?since=yesterday")).status).toBe(400);
    expect((await api.call("GET", `/api/v1/logs?${filter('nothing eq "x"')}`)).body.errorCode).toBe("E0000031");
  });
});

describe("the uuid of an event", () => {
  const mine = async (query: string): Promise<{ uuid: string }[]> =>
    (await api.call("GET", `/api/v1/logs?${only("uuid")}&${query}`)).body;

  test("is one of a kind, the same however the event is read, and finds it", async () => {
    await note(db, "uuid 1");
    await note(db, "uuid 2");
    const polled = await mine("");
    const bounded = await mine("until=2100-01-01T00:00:00Z&since=2020-01-01T00:00:00Z");
    const uuids = polled.map(({ uuid }) => uuid);
    expect(bounded.map(({ uuid }) => uuid)).toEqual(uuids);
    expect(new Set(uuids).size).toBe(2);
    for (const uuid of uuids) {
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      const found = await api.call(
        "GET",
        `/api/v1/logs?sortOrder=DESCENDING&until=2100-01-01T00:00:00Z&since=2020-01-01T00:00:00Z&filter=${encodeURIComponent(`uuid eq "${uuid}"`)}`,
      );
      expect(found.body).toMatchObject([{ uuid }]);
    }
  });

  test("stays what an older version drew for it", async () => {
    const drawn = "0f8fad5b-d9cb-469f-a165-70867728950e";
    const seq = await note(db, "uuid of old");
    await sql`update events set uuid = ${drawn} where seq = ${seq}`.execute(db);
    expect((await mine("")).filter(({ uuid }) => uuid === drawn)).toHaveLength(1);
  });
});

describe("what somebody asked for over HTTP", () => {
  // To the end of time: what is of this very millisecond is not before now.
  const period = "since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z&sortOrder=DESCENDING";
  const filter = (text: string) => `/api/v1/logs?${period}&filter=${encodeURIComponent(text)}`;

  test("says where the request came from, and is found by it; what nobody asked for says nothing", async () => {
    const profile = { login: "asked@example.com", email: "asked@example.com", firstName: "As", lastName: "Ked" };
    const made = await api.call("POST", "/api/v1/users?activate=true", { profile });
    const id = made.headers["x-okta-request-id"];
    const { body } = await api.call("GET", filter(`debugContext.debugData.requestId eq "${id}"`));
    expect(body.map(({ eventType }: { eventType: string }) => eventType).toSorted()).toEqual([
      "user.lifecycle.activate",
      "user.lifecycle.create",
    ]);
    const { client, request, debugContext } = body[0];
    expect(client).toMatchObject({ ipAddress: "127.0.0.1", userAgent: { rawUserAgent: "lightMyRequest" } });
    expect(request.ipChain).toMatchObject([{ ip: "127.0.0.1", version: "V4" }]);
    expect(debugContext.debugData.requestId).toBe(id);
    const found = await api.call(
      "GET",
      filter('client.ipAddress eq "127.0.0.1" and client.userAgent.rawUserAgent sw "light"'),
    );
    expect(found.body.length).toBeGreaterThanOrEqual(2);
    await note(db, "of ours");
    const [ours] = (await api.call("GET", filter('outcome.reason eq "of ours"'))).body;
    expect([ours.client.ipAddress, ours.client.userAgent, ours.request.ipChain]).toEqual([null, null, []]);
    expect(ours.debugContext.debugData).not.toHaveProperty("requestId");
  });

  test("is told of a sign-in too", async () => {
    const profile = { login: "signs@example.com", email: "signs@example.com", firstName: "Si", lastName: "Gns" };
    const credentials = { password: { value: "Correct-horse-7" } };
    await api.call("POST", "/api/v1/users?activate=true", { profile, credentials });
    const signed = await api.call("POST", "/api/v1/authn", { username: profile.login, password: "wrong" }, "");
    expect(signed.status).toBe(401);
    const [event] = (await api.call("GET", filter('eventType sw "user.session" and actor.alternateId sw "signs"')))
      .body;
    expect(event).toMatchObject({ client: { ipAddress: "127.0.0.1" }, outcome: { result: "FAILURE" } });
  });
});

test("nothing is missed after a crash of PostgreSQL, which gives numbers of lost transactions again", {
  timeout: 60_000,
}, async () => {
  const data_folder = mkdtempSync(path.join(tmpdir(), "tenure-crash-"));
  const embedded = await startEmbedded({ data_folder, log: () => {} });
  const own = openDatabase(embedded.url);
  try {
    await migrate(own);
    const there = await testApi(own);
    // Only commits write the log of the database: what was rolled back since is not kept.
    await sql`alter system set wal_writer_delay = '10s'`.execute(own);
    await sql`select pg_reload_conf()`.execute(own);
    let next = `/api/v1/logs?${only("crash")}`;
    const poll = async () => {
      const answer = await there.call("GET", next);
      next = answer.next ?? "";
      return reasons(answer.body);
    };
    const horizon = async () => {
      const { rows } = await sql<{ x: string }>`select pg_snapshot_xmin(pg_current_snapshot())::text as x`.execute(own);
      return BigInt(rows[0]?.x ?? 0);
    };
    await note(own, "crash 1");
    expect(await poll()).toEqual(["crash 1"]);
    for (let n = 0; n < 20; n++) {
      await own
        .transaction()
        .execute(async (trx) => {
          await note(trx, "crash rolled back");
          throw new Error("not this one");
        })
        .catch(() => {});
    }
    expect(await poll()).toEqual([]);
    const before = await horizon();
    // At once, as in a crash; it is started again, and recovers.
    process.kill(embedded.pid(), "SIGQUIT");
    await expect.poll(() => horizon().catch(() => before), { timeout: 30_000 }).toBeLessThan(before);
    await note(own, "crash 2");
    expect(await poll()).toEqual(["crash 2"]);
  } finally {
    await own.destroy();
    await embedded.stop();
    rmSync(data_folder, { recursive: true, force: true });
  }
});
