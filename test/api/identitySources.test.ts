/** Sources that send many people at once, in sessions: on a real PostgreSQL, with the engine's import. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { run } from "../../src/directory/command.ts";
import { endClaim } from "../../src/directory/sessionTurns.ts";
import { listTasks } from "../../src/directory/tasks.ts";
import { startImport } from "../../src/engine/import.ts";
import { chunk_size } from "../../src/engine/importPass.ts";
import { schedule } from "../../src/engine/schedule.ts";
import { runNextSession } from "../../src/engine/sessionRuns.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import {
  gone,
  type Identity,
  identity,
  identityWorld,
  peopleBy,
  profileOf,
  range,
  upsert,
} from "../support/identity.ts";
import { wipe } from "../support/memory.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let db: Database;
let given: Identity;
beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.url);
  await migrate(db);
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});
beforeEach(async () => {
  await wipe(db);
  given = await identity(db);
});

const day_ms = 86_400_000;
const rowsLeft = async () =>
  (await sql<{ n: number }>`select count(*)::int as n from import_session_rows`.execute(db)).rows[0]?.n;
const importOf = async (id: string) => (await given.api.call("GET", `/admin/v1/imports/${id}`)).body;
const openTasks = async () => (await listTasks(db, { status: "OPEN" })).map(({ title }) => title);
const some = upsert([1]);

describe("a source of 10,000 people", () => {
  test("hires all in one session, and moves and deletes in the next", { timeout: 240_000 }, async () => {
    const hr = await given.source("HR");
    const first = await hr.send(...range(0, 50).map((n) => upsert(range(200 * n, 200 * n + 200))));
    expect(await hr.session(first)).toMatchObject({ status: "TRIGGERED", importType: "INCREMENTAL" });
    expect(await rowsLeft()).toBe(10_000);
    expect(await given.importNext()).toBe(true);
    const done = await hr.session(first);
    expect(done).toMatchObject({ id: first, identitySourceId: hr.id, status: "COMPLETED" });
    expect(await peopleBy(db, "department")).toEqual({ Mills: 10_000 });
    expect(await importOf(done.importId)).toMatchObject({
      status: "DONE",
      mode: "incremental",
      counts: { created: 10_000 },
    });
    expect(await rowsLeft()).toBe(0);

    const moved = upsert(range(0, 200), { department: "Trade" });
    const second = await hr.send(moved, upsert(range(200, 400)), gone(range(9_900, 10_000)), gone([20_000]));
    await given.importNext();
    const { importId } = await hr.session(second);
    expect((await importOf(importId)).counts).toEqual({ updated: 200, unchanged: 200, left: 100, skipped: 1 });
    expect(await peopleBy(db, "department")).toEqual({ Mills: 9_800, Trade: 200 });
    expect((await peopleBy(db, "status"))["DEPROVISIONED"]).toBe(100);

    const back = await hr.send(upsert([9_950]));
    await given.importNext();
    expect((await importOf((await hr.session(back)).importId)).counts).toEqual({ returned: 1 });
    expect(await given.importNext()).toBe(false);
  });

  test("is logged from the call to the person", async () => {
    const hr = await given.source("HR");
    await hr.send(some);
    await given.importNext();
    const { rows } = await sql<{ types: string[] }>`
      with recursive chain as (
        select seq, type, cause, 1 as n from events where type = 'user.lifecycle.create'
        union all select e.seq, e.type, e.cause, c.n + 1 from chain c join events e on e.seq = c.cause)
      select array_agg(type order by n) as types from chain`.execute(db);
    expect(rows[0]?.types).toEqual(["user.lifecycle.create", "system.import.start", "system.import.session.triggered"]);
    const [actor] = (
      await sql<{ name: string }>`
      select actor->>'name' as name from events where type = 'user.lifecycle.create'`.execute(db)
    ).rows;
    expect(actor?.name).toBe("a SUPER_ADMIN");
  });

  test.each([
    ["deactivate", "DEPROVISIONED"],
    ["suspend", "SUSPENDED"],
    ["none", "ACTIVE"],
  ])("whoever is deleted leaves as the source's rules say: on_inactive %s", async (on_inactive, status) => {
    const hr = await given.source("HR", { on_inactive });
    await hr.send(upsert([1, 2]));
    await given.importNext();
    await sql`update users set status = 'ACTIVE' where status = 'PROVISIONED'`.execute(db);
    await hr.send(gone([1]));
    await given.importNext();
    const { rows } = await sql<{ login: string; status: string }>`
      select login, status from users where login like 'p%@example.com' order by login`.execute(db);
    expect(rows.map((row) => row.status)).toEqual([status, "ACTIVE"]);
  });
});

describe("a call that is not right is refused whole, with Okta's code and the reason", () => {
  const user = (profile: unknown, externalId: unknown = "e1") => ({
    entityType: "USERS",
    profiles: [{ externalId, profile }],
  });
  test.each<[string, string, unknown, string, RegExp]>([
    ["no body", "bulk-upsert", undefined, "E0000003", /./],
    ["no list", "bulk-upsert", { entityType: "USERS" }, "E0000001", /^profiles/],
    ["an empty list", "bulk-upsert", { entityType: "USERS", profiles: [] }, "E0000001", /^profiles/],
    ["another type", "bulk-upsert", { ...user({}), entityType: "GROUPS" }, "E0000003", /entityType: must be USERS/],
    ["201 people", "bulk-upsert", upsert(range(0, 201))[1], "E0000001", /^profiles: .*200/],
    ["a list as a value", "bulk-upsert", user({ userName: ["a"] }), "E0000001", /^profiles\.0\.profile\.userName/],
    ["a number as a value", "bulk-upsert", user({ userName: 5 }), "E0000001", /^profiles\.0\.profile\.userName/],
    [
      "an unknown attribute",
      "bulk-upsert",
      user({ colour: "red" }),
      "E0000001",
      /^profiles\.0\.profile\.colour: HR has no such/,
    ],
    [
      "another id within",
      "bulk-upsert",
      user({ externalId: "e2" }),
      "E0000001",
      /externalId: never changes, and is e1/,
    ],
    ["an id of 513 characters", "bulk-upsert", user({}, "x".repeat(513)), "E0000001", /^profiles\.0\.externalId.*512/],
    ["an empty id", "bulk-upsert", user({}, ""), "E0000001", /^profiles\.0\.externalId/],
    ["a NUL", "bulk-upsert", user({ firstName: "a\0b" }), "E0000001", /firstName: .*NUL/],
    [
      "somebody twice",
      "bulk-upsert",
      upsert([1, 2, 1])[1],
      "E0000001",
      /^profiles\.2\.externalId: is at profiles\.0 already/,
    ],
    ["somebody twice", "bulk-delete", gone([1, 1])[1], "E0000001", /^profiles\.1\.externalId/],
    ["another type", "bulk-delete", { profiles: [{ externalId: "e1" }] }, "E0000003", /entityType/],
    ["no groups", "bulk-groups-upsert", { profiles: [] }, "E0000001", /^profiles/],
    [
      "a long name",
      "bulk-groups-upsert",
      { profiles: [{ externalId: "g", profile: { displayName: "n".repeat(256) } }] },
      "E0000001",
      /displayName/,
    ],
    ["no ids", "bulk-groups-delete", { externalIds: [] }, "E0000001", /^externalIds/],
    [
      "a group without members",
      "bulk-group-memberships-upsert",
      { memberships: [{ groupExternalId: "g", memberExternalIds: [] }] },
      "E0000001",
      /^memberships\.0\.memberExternalIds/,
    ],
    [
      "a member twice",
      "bulk-group-memberships-delete",
      { memberships: [{ groupExternalId: "g", memberExternalIds: ["a", "a"] }] },
      "E0000001",
      /^memberships\.0\.memberExternalIds\.1/,
    ],
  ])("%s to %s", async (_what, action, body, code, cause) => {
    const hr = await given.source("HR");
    const session = await hr.begin();
    const answer = await hr.call("POST", `/sessions/${session}/${action}`, body);
    expect([answer.status, answer.body.errorCode]).toEqual([400, code]);
    expect(answer.body.errorCauses[0].errorSummary).toMatch(cause);
    expect(await hr.session(session)).toMatchObject({ status: "CREATED" });
    expect(await rowsLeft()).toBe(0);
  });

  test("more than 200 KB, or more than 50 calls", async () => {
    const hr = await given.source("HR");
    const session = await hr.begin();
    const large = await hr.call(
      "POST",
      `/sessions/${session}/bulk-upsert`,
      upsert([1], { department: "x".repeat(210_000) })[1],
    );
    expect([large.status, large.body.errorCauses[0].errorSummary]).toEqual([413, expect.stringContaining("200 KB")]);
    for (let n = 0; n < 50; n++) await hr.load(session, ...upsert([n]));
    const more = await hr.call("POST", `/sessions/${session}/bulk-upsert`, upsert([50])[1]);
    expect(more.body).toMatchObject({ errorCode: "E0000001", errorSummary: "Api validation failed: importSessionId" });
    expect(await rowsLeft()).toBe(50);
  });

  test.each([
    ["no source", { name: "bookmark", label: "Site" }, /is no identity source: make an app of kind push/],
    ["one without sourcing", { name: "push", label: "Idle" }, /is no identity source: turn sourcing on/],
  ])("an app that is %s", async (_what, body, cause) => {
    const { id } = (await given.api.call("POST", "/api/v1/apps", body)).body;
    const answer = await given.api.call("POST", `/api/v1/identity-sources/${id}/sessions`);
    expect(answer.body.errorCauses[0]?.errorSummary).toMatch(cause);
    expect((await given.api.call("GET", "/api/v1/identity-sources/0oaxxxxxxxxxxxxxxxxx/sessions")).status).toBe(404);
  });
});

describe("a session", () => {
  test("goes from CREATED to IN_PROGRESS, TRIGGERED and COMPLETED, and takes in each state what Okta's does", async () => {
    const hr = await given.source("HR");
    const id = await hr.begin();
    const status = async (method: string, path: string, body?: unknown) => {
      const { status: code, body: answer } = await hr.call(method, `/sessions/${id}${path}`, body);
      return code === 400 ? answer.errorSummary : code;
    };
    const wrong = "Api validation failed: importSessionId";
    expect(await status("POST", "/start-import")).toBe(wrong);
    expect(await status("POST", "/bulk-upsert", some[1])).toBe(202);
    expect((await hr.session(id)).status).toBe("IN_PROGRESS");
    expect(await status("POST", "/bulk-delete", gone([2])[1])).toBe(202);
    expect((await hr.call("GET", "/sessions")).body).toMatchObject([{ id, status: "IN_PROGRESS" }]);
    expect(await status("POST", "/start-import")).toBe(200);
    expect(await status("POST", "/start-import")).toBe(wrong);
    expect(await status("POST", "/bulk-upsert", some[1])).toBe(wrong);
    expect(await status("DELETE", "")).toBe(wrong);
    await given.importNext();
    expect((await hr.session(id)).status).toBe("COMPLETED");
    expect((await hr.call("GET", "/sessions")).body).toEqual([]);
    expect(await status("DELETE", "")).toBe(wrong);
    expect((await hr.call("GET", "/sessions/aps00000000000000xyz")).status).toBe(404);
  });

  test("is closed before it is started, and then holds nothing", async () => {
    const hr = await given.source("HR");
    const id = await hr.begin();
    await hr.load(id, ...some);
    expect((await hr.call("DELETE", `/sessions/${id}`)).status).toBe(204);
    expect((await hr.session(id)).status).toBe("CLOSED");
    expect(await rowsLeft()).toBe(0);
    expect((await hr.call("POST", "/sessions")).status).toBe(201);
  });

  test("is the only one that is loaded, and the next one waits five minutes, or until it is done", async () => {
    const hr = await given.source("HR");
    const refused = async () => (await hr.call("POST", "/sessions")).body.errorCauses?.[0]?.errorSummary;
    const first = await hr.begin();
    expect(await refused()).toContain(`session ${first} of HR is CREATED`);
    await hr.load(first, ...some);
    await hr.call("POST", `/sessions/${first}/start-import`);
    expect(await refused()).toContain("is being imported");
    given.world.later(301_000);
    const second = await hr.send(upsert([2]));
    expect(await refused()).toContain(`session ${second} of HR is being imported`);
    expect((await hr.call("GET", "/sessions")).body.map(({ id }: { id: string }) => id)).toEqual([second, first]);
    await given.importNext();
    expect([(await hr.session(first)).status, (await hr.session(second)).status]).toEqual(["COMPLETED", "TRIGGERED"]);
    await given.importNext();
    expect((await hr.call("POST", "/sessions")).status).toBe(201);
  });

  test("that nobody has loaded for a day is over, and what it held is gone", async () => {
    const hr = await given.source("HR");
    const id = await hr.begin();
    given.world.later(day_ms - 60_000);
    await hr.load(id, ...some);
    given.world.later(day_ms - 60_000);
    await schedule(given.world);
    expect((await hr.session(id)).status).toBe("IN_PROGRESS");
    given.world.later(120_000);
    const late = await hr.call("POST", `/sessions/${id}/bulk-upsert`, some[1]);
    expect(late.body.errorCauses[0].errorSummary).toContain("EXPIRED");
    await schedule(given.world);
    expect((await hr.session(id)).status).toBe("EXPIRED");
    expect(await rowsLeft()).toBe(0);
    const { rows } = await sql`select 1 from events where type = 'system.import.session.expired'`.execute(db);
    expect(rows).toHaveLength(1);
    const next = await hr.begin();
    given.world.later(day_ms + 1);
    expect(await hr.begin()).not.toBe(next);
  });

  test("waits while its source is switched off, and is an ERROR when nothing of it can be read", async () => {
    const hr = await given.source("HR");
    const id = await hr.send(some);
    await given.api.call("POST", `/api/v1/apps/${hr.id}/lifecycle/deactivate`);
    expect(await given.importNext()).toBe(false);
    await given.api.call("POST", `/api/v1/apps/${hr.id}/lifecycle/activate`);
    const lines = { email: { expression: "appuser.email" } };
    await given.api.call("PUT", `/admin/v1/apps/${hr.id}/mappings/to_user`, { lines });
    await given.importNext();
    expect(await hr.session(id)).toMatchObject({ status: "ERROR", reason: expect.stringContaining("login") });
    expect(await rowsLeft()).toBe(0);
  });

  test("says by row what its import refused, and imports the others", async () => {
    const hr = await given.source("HR");
    const profiles = [1, 2, 3].map((n) => ({
      externalId: `e${n}`,
      profile: profileOf(n, n === 2 ? { lastName: "" } : {}),
    }));
    const id = await hr.send(["bulk-upsert", { entityType: "USERS", profiles }]);
    await given.importNext();
    const { importId, status } = await hr.session(id);
    expect([status, (await importOf(importId)).counts]).toEqual(["COMPLETED", { created: 2, refused: 1 }]);
    const [row] = (await given.api.call("GET", `/admin/v1/imports/${importId}/rows?outcome=refused`)).body;
    expect(row).toMatchObject({
      external_id: "e2",
      detail: { reason: expect.stringContaining("lastName: is required") },
    });
  });

  test("tells of whole people: what it does not name has no value any more, and a later call of it replaces an earlier", async () => {
    const hr = await given.source("HR");
    await hr.send(upsert([1, 2]));
    await given.importNext();
    const { department: _, ...rest } = profileOf(1);
    await hr.send(
      ["bulk-upsert", { entityType: "USERS", profiles: [{ externalId: "e1", profile: rest }] }],
      gone([2]),
      upsert([2], { department: "Trade" }),
    );
    await given.importNext();
    expect(await peopleBy(db, "department")).toEqual({ "": 1, Trade: 1 });
    expect(await peopleBy(db, "status")).not.toHaveProperty("DEPROVISIONED");
  });
});

describe("a session that the guard holds", () => {
  const held = async () => {
    const hr = await given.source("HR", { guard_percent: 10, guard_people: 2 });
    await hr.send(upsert(range(0, 20)));
    await given.importNext();
    const id = await hr.send(gone(range(0, 5)), upsert([30]), [
      "bulk-groups-upsert",
      { profiles: [{ externalId: "g", profile: { displayName: "G" } }] },
    ]);
    await given.importNext();
    return { hr, id, session: await hr.session(id) };
  };

  test("says so, has done nothing, and passes when a person releases it; sessions behind it wait", async () => {
    const { hr, id, session } = await held();
    expect(session).toMatchObject({ status: "TRIGGERED", held: true });
    expect(await importOf(session.importId)).toMatchObject({ status: "HELD", counts: { leave: 5, create: 1 } });
    expect(await openTasks()).toEqual([expect.stringContaining("the import of HR is held")]);
    expect(await peopleBy(db, "department")).toEqual({ Mills: 20 });
    expect((await given.api.call("GET", "/api/v1/groups?q=G")).body).toEqual([]);
    const behind = await hr.send(upsert([40]));
    expect(await given.importNext()).toBe(false);
    expect((await given.api.call("POST", `/admin/v1/imports/${session.importId}/release`, { count: 5 })).status).toBe(
      202,
    );
    await expect.poll(async () => (await hr.session(id)).status, { timeout: 20_000 }).toBe("COMPLETED");
    expect((await peopleBy(db, "status"))["DEPROVISIONED"]).toBe(5);
    expect((await given.api.call("GET", "/api/v1/groups?q=G")).body).toHaveLength(1);
    expect(await openTasks()).toEqual([]);
    expect(await given.importNext()).toBe(true);
    expect((await hr.session(behind)).status).toBe("COMPLETED");
  });

  test("is an ERROR when a person discards it, and what it held is gone", async () => {
    const { hr, id, session } = await held();
    expect((await given.api.call("POST", `/admin/v1/imports/${session.importId}/discard`)).status).toBe(200);
    expect(await hr.session(id)).toMatchObject({ status: "ERROR", reason: expect.stringContaining("discarded") });
    expect([await rowsLeft(), await openTasks()]).toEqual([0, []]);
    expect((await peopleBy(db, "status"))["DEPROVISIONED"]).toBeUndefined();
  });
});

describe("a session whose import is cut off", () => {
  /** Chunks enough that some are left when the first is applied. */
  const size = 4 * chunk_size;
  const loads = () => range(0, size / 200).map((n) => upsert(range(200 * n, 200 * n + 200)));

  test("is taken up by another node when its own is dead, and nobody is doubled", { timeout: 120_000 }, async () => {
    const hr = await given.source("HR");
    const id = await hr.send(...loads());
    // A node of its own connections, which are cut while chunks are under way.
    const dying = openDatabase(database.url, { connections: 5 });
    const node = identityWorld(dying, "dying");
    await schedule(node);
    const { rows } = await sql<{ cause: number }>`select cause from import_sessions where id = ${id}`.execute(db);
    let cut: Promise<unknown> | undefined;
    const run = startImport(node, hr.id, {
      ...{ mode: "incremental", actor: system, session: { id, single: false, cause: Number(rows[0]?.cause) } },
      onProgress: ({ phase }) => {
        if (phase !== "applying" || cut !== undefined) return;
        cut = sql`select pg_terminate_backend(pid) from pg_stat_activity
          where pid <> pg_backend_pid() and datname = current_database() and application_name = 'tenure'
            and pid not in (select pid from pg_stat_activity where state = 'idle')`.execute(db);
        // Whatever it would still say is not heard: the process is gone.
        void dying.destroy();
      },
    });
    await run.catch(() => {});
    await cut;
    const applied = (await peopleBy(db, "department"))["Mills"] ?? 0;
    expect(applied).toBeGreaterThan(0);
    expect(applied).toBeLessThan(size);
    expect((await hr.session(id)).status).toBe("TRIGGERED");
    expect(await given.importNext()).toBe(false);

    given.world.later(61_000);
    const other = identityWorld(db, "other", { ahead_ms: 61_000 });
    expect(await runNextSession(other)).toBe(true);
    const done = await hr.session(id);
    expect(done.status).toBe("COMPLETED");
    expect((await importOf(done.importId)).counts).toEqual({ created: size - applied, unchanged: applied });
    expect(await peopleBy(db, "department")).toEqual({ Mills: size });
    expect(
      (await given.api.call("GET", `/admin/v1/imports?app=${hr.id}`)).body.map((one: { status: string }) => one.status),
    ).toEqual(["DONE", "FAILED"]);
  });

  test("goes on in another import when its time was over, and one that comes back late ends nothing", async () => {
    const hr = await given.source("HR");
    const id = await hr.send(...loads());
    const time = new AbortController();
    const late = await startImport(given.world, hr.id, {
      ...{ mode: "incremental", actor: system, session: { id, single: false, cause: null }, signal: time.signal },
      onProgress: ({ phase }) => {
        if (phase === "applying") time.abort();
      },
    });
    expect(late).toMatchObject({ status: "CANCELLED", counts: { undecided: expect.any(Number) } });
    expect(await hr.session(id)).toMatchObject({ status: "TRIGGERED", held: false });
    await sql`update import_sessions set claimed_by = 'impother', claimed_until = now() + interval '1 minute'`.execute(
      db,
    );
    expect(await given.importNext()).toBe(false);
    const command = { db, now: given.world.now, actor: system };
    await run(command, async (running) => {
      await endClaim(running, "implate", { to: "COMPLETED" });
      return true;
    });
    expect((await hr.session(id)).status).toBe("TRIGGERED");
    given.world.later(61_000);
    expect(await given.importNext()).toBe(true);
    expect((await hr.session(id)).status).toBe("COMPLETED");
    expect(await peopleBy(db, "department")).toEqual({ Mills: size });
  });

  test("is given up after five tries that got nowhere", async () => {
    const hr = await given.source("HR");
    const id = await hr.send(some);
    await sql`update import_sessions set attempts = 5 where id = ${id}`.execute(db);
    expect(await given.importNext()).toBe(false);
    await schedule(given.world);
    expect(await hr.session(id)).toMatchObject({ status: "ERROR", reason: expect.stringContaining("5 tries") });
    expect(await rowsLeft()).toBe(0);
  });

  test("is carried out once, however many nodes try at the same moment", async () => {
    const sources = [await given.source("A"), await given.source("B")];
    for (const [n, source] of sources.entries()) await source.send(upsert(range(100 * n, 100 * n + 50)));
    const nodes = range(0, 4).map((n) => identityWorld(db, `n${n}`));
    const ran = await Promise.all([...nodes, ...nodes].map((node) => runNextSession(node)));
    expect(ran.filter((one) => one).length).toBe(2);
    const { rows } = await sql<{ status: string }>`select status from imports`.execute(db);
    expect(rows.map(({ status }) => status)).toEqual(["DONE", "DONE"]);
    expect(await peopleBy(db, "department")).toEqual({ Mills: 100 });
  });
});

describe("two sources side by side", () => {
  test("each feeds its own: by its token, under its ids", async () => {
    const [hr, lab] = [await given.source("HR"), await given.source("Lab")];
    const token = await given.api.tokenOf(`SOURCE:${hr.id}`);
    const made = await hr.call("POST", "/sessions", undefined, token);
    expect(made.status).toBe(201);
    expect((await hr.call("POST", `/sessions/${made.body.id}/bulk-upsert`, some[1], token)).status).toBe(202);
    expect((await hr.call("POST", `/sessions/${made.body.id}/start-import`, undefined, token)).status).toBe(200);
    for (const [method, path, body] of [
      ["POST", "/sessions", undefined],
      ["GET", "/sessions", undefined],
      ["GET", "/users/e1", undefined],
      ["POST", "/users", { externalId: "e1", profile: profileOf(1) }],
      ["GET", "/groups/g", undefined],
    ] as const) {
      expect((await lab.call(method, path, body, token)).body.errorCode, path).toBe("E0000006");
    }
    expect((await given.api.call("GET", "/api/v1/users", undefined, token)).status).toBe(403);
    // The same id in the other source is somebody else; a session of one is none of the other.
    const other = await lab.send([
      "bulk-upsert",
      { entityType: "USERS", profiles: [{ externalId: "e1", profile: profileOf(2) }] },
    ]);
    expect((await hr.call("GET", `/sessions/${other}`)).status).toBe(404);
    expect([await given.importNext(), await given.importNext(), await given.importNext()]).toEqual([true, true, false]);
    expect(await peopleBy(db, "department")).toEqual({ Mills: 2 });
    expect((await hr.call("GET", "/users/e1")).body.profile.userName).toBe("p1@example.com");
    expect((await lab.call("GET", "/users/e1")).body.profile.userName).toBe("p2@example.com");
  });
});
