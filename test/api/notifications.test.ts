/** Notifications of sources: who may send them, what is kept of them, and that who was told of is read, whatever fails. */
import { createHmac } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { claimNotices, freeTurns, nodesOfNotices, readTold } from "../../src/engine/notices.ts";
import { realWorld } from "../../src/main/world.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { test_key } from "../support/outside.ts";
import { startWorkers, type Workers, type WorkersStage, worker, workersStage } from "../support/workers.ts";

let db: Database;
let workers: Workers;
let stage: WorkersStage;
let secret: string;
beforeAll(async () => {
  db = await memoryDatabase();
  workers = await startWorkers();
});
afterAll(async () => {
  workers.close();
  await db.destroy();
});
beforeEach(async () => {
  await wipe(db);
  workers.people = new Map(["1", "2", "3"].map((number) => [number, worker(number)]));
  workers.answers.clear();
  stage = await workersStage(db, workers);
  secret = await makeSecret();
  workers.asked = [];
});

const makeSecret = async () =>
  (await stage.api.call("POST", `/admin/v1/apps/${stage.app_id}/notifications/secret`)).body.secret as string;
const change = (number: string, more: object) => workers.people.set(number, worker(number, more));

type Headers = Readonly<Record<string, string>>;
async function send(body: unknown, headers: Headers = { authorization: `Bearer ${secret}` }, app_id = stage.app_id) {
  const payload = typeof body === "string" ? body : JSON.stringify(body);
  const answer = await stage.api.server.inject({
    ...{ method: "POST", url: `/sources/${app_id}/notify`, payload },
    headers: { host: "tenure.test", "content-type": "application/json", ...headers },
  });
  return { status: answer.statusCode, body: JSON.parse(answer.body), headers: answer.headers };
}

const now_s = () => Math.floor(Date.now() / 1_000);
/** The headers of a signed notification, made here a second time and not by the code that judges them. */
function signed(body: string, { at = now_s(), by = secret, id = "msg_1" } = {}): Headers {
  const key = Buffer.from(by.slice("whsec_".length), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${at}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": `${at}`, "webhook-signature": `v1,b2xk v1,${signature}` };
}

const soon = async () => {
  await stage.later(2_001);
  return stage.readTold();
};
const reads = () => workers.asked.filter((path) => path !== "/workers");

describe("a notification", () => {
  test("is answered at once, and the people in it are read soon after: who is new, changed, as before and left", async () => {
    for (const number of ["1", "2", "3"]) await stage.importNow(`?person=${number}`);
    workers.asked = [];
    change("1", { unit: "Sales" });
    change("2", { state: "ended" });
    change("4", {});
    expect(await send({ ids: ["1", "2", "3", 4] })).toMatchObject({ status: 202, body: { accepted: 4 } });
    expect(await stage.readTold()).toBe(0);
    expect(await soon()).toBe(1);
    const { body } = await stage.api.call("GET", "/admin/v1/imports?limit=1");
    expect(body[0]).toMatchObject({
      ...{ status: "DONE", mode: "incremental", counts: { updated: 1, left: 1, unchanged: 1, created: 1 } },
      detail: { people: ["1", "2", "3", "4"], told: true },
    });
    expect((await stage.user("w1@example.com")).profile.department).toBe("Sales");
    expect((await stage.user("w2@example.com")).status).toBe("DEPROVISIONED");
    expect(reads().sort()).toEqual(["/workers/1", "/workers/2", "/workers/3", "/workers/4"]);
    expect([await stage.waiting(), await stage.tasks()]).toEqual([[], []]);
    expect(await soon()).toBe(0);
  });

  test("a thousand times of a hundred people is a hundred reads in one import", { timeout: 120_000 }, async () => {
    workers.people = new Map(Array.from({ length: 100 }, (_, n) => [`${n}`, worker(`${n}`)]));
    for (let n = 0; n < 1_000; n++) expect((await send({ ids: [n % 100] })).status).toBe(202);
    expect((await stage.waiting()).length).toBe(100);
    expect(await soon()).toBe(1);
    expect([reads().length, (await stage.waiting()).length]).toEqual([100, 0]);
    const { body } = await stage.api.call("GET", "/admin/v1/imports");
    expect(body.map(({ counts }: { counts: object }) => counts)).toEqual([{ created: 100 }]);
  });

  test("of whom the source has no record lets nobody leave, and is a task until a full import has decided", async () => {
    await stage.importNow();
    workers.people.delete("2");
    await send({ ids: ["2", "unheard-of"] });
    await soon();
    expect((await stage.user("w2@example.com")).status).not.toBe("DEPROVISIONED");
    expect(await stage.tasks()).toEqual([expect.stringMatching(/^Workers told of w2@example.com and has no record/)]);
    expect(await stage.waiting()).toEqual([]);
    await stage.importNow();
    expect((await stage.user("w2@example.com")).status).toBe("DEPROVISIONED");
    expect(await stage.tasks()).toEqual([]);
  });

  test("of somebody who is told of again while being read is read once more", async () => {
    await send({ ids: ["1"] });
    await stage.later(2_001);
    const [source] = await claimNotices(stage.world);
    const told = async () => {
      workers.answers.clear();
      expect((await send({ ids: ["1"] })).status).toBe(202);
    };
    const stop = new AbortController();
    // While the first read is under way somebody changes it again.
    const { source: open } = stage.world;
    const world = { ...stage.world, source: (id: string) => told().then(() => open(id)) };
    await readTold(world, source!, stop.signal);
    expect(await stage.waiting()).toEqual(["1"]);
    expect(await soon()).toBe(1);
    expect(await stage.waiting()).toEqual([]);
  });

  test("whose leavers are too many is held, and waits for a person", async () => {
    await stage.importNow();
    await stage.api.call("PATCH", `/admin/v1/apps/${stage.app_id}`, {
      sourcing: { guard_people: 1, guard_percent: 20 },
    });
    for (const number of ["1", "2"]) change(number, { state: "ended" });
    await send({ ids: ["1", "2"] });
    await soon();
    expect((await stage.api.call("GET", "/admin/v1/imports?limit=1")).body[0].status).toBe("HELD");
    expect((await stage.user("w1@example.com")).status).not.toBe("DEPROVISIONED");
    expect(await stage.waiting()).toEqual([]);
    expect(await stage.tasks()).toEqual([expect.stringMatching(/^the import of Workers is held/)]);
  });
});

describe("who may send one", () => {
  const body = JSON.stringify({ ids: ["1"] });
  test.each<[string, number, () => Headers]>([
    ["the secret", 202, () => ({ authorization: `bearer ${secret}` })],
    ["a signature", 202, () => signed(body)],
    ["a signature four minutes old", 202, () => signed(body, { at: now_s() - 240 })],
    ["nothing", 401, () => ({})],
    [
      "another secret",
      401,
      () => ({ authorization: `Bearer ${secret.slice(0, -2)}${secret.endsWith("A=") ? "E=" : "A="}` }),
    ],
    ["an administrator's token", 401, () => ({ authorization: `SSWS ${stage.api.token}` })],
    ["a signature of another body", 401, () => signed('{"ids":["2"]}')],
    ["a signature by another secret", 401, () => signed(body, { by: `whsec_${btoa("another")}` })],
    ["a signature six minutes old", 401, () => signed(body, { at: now_s() - 360 })],
    ["a signature six minutes ahead", 401, () => signed(body, { at: now_s() + 360 })],
    ["a signature whose time was changed", 401, () => ({ ...signed(body), "webhook-timestamp": `${now_s() - 1}` })],
    ["a signature without time", 401, () => ({ ...signed(body), "webhook-timestamp": "" })],
    ["a secret and a signature that is none", 401, () => ({ authorization: "Bearer x", ...signed(body) })],
  ])("%s is answered %i", async (_name, status, headers) => {
    expect((await send(body, headers())).status).toBe(status);
    expect(await stage.waiting()).toEqual(status === 202 ? ["1"] : []);
  });

  test("an app that there is not, without a secret, switched off or no source is answered like a wrong secret", async () => {
    const wrong = { status: 401, body: expect.objectContaining({ errorCode: "E0000011" }) };
    for (const app_id of ["0oa0000000000000zzzz", "x", "%00", "Workers"]) {
      expect(await send(body, { authorization: `Bearer ${secret}` }, app_id)).toMatchObject(wrong);
    }
    const old = secret;
    secret = await makeSecret();
    expect(await send(body, { authorization: `Bearer ${old}` })).toMatchObject(wrong);
    expect((await send(body)).status).toBe(202);
    await stage.api.call("POST", `/api/v1/apps/${stage.app_id}/lifecycle/deactivate`);
    expect(await send(body)).toMatchObject(wrong);
    await stage.api.call("POST", `/api/v1/apps/${stage.app_id}/lifecycle/activate`);
    expect((await send(body)).status).toBe(202);
    await stage.api.call("DELETE", `/admin/v1/apps/${stage.app_id}/notifications/secret`);
    expect(await send(body)).toMatchObject(wrong);
  });

  test("the secret is shown once, and is in no event and no answer", async () => {
    const state = await stage.api.call("GET", `/admin/v1/apps/${stage.app_id}/notifications`);
    expect(state.body).toMatchObject({ secret: true, waiting: 0, problem: null });
    await send("{", { authorization: `Bearer ${secret}` });
    const { rows } = await sql<{ text: string }>`
      select (select string_agg(l::text, ' ') from events l) || (select string_agg(s::text, ' ') from secrets s) as text`.execute(
      db,
    );
    for (const text of [rows[0]?.text ?? "", JSON.stringify(state.body)]) {
      expect(text).not.toContain(secret.slice("whsec_".length));
      expect(text).toContain("secret");
    }
  });
});

describe("what one may hold", () => {
  test.each<[string, unknown, number, RegExp]>([
    ["no JSON", "{", 400, /not well-formed/],
    ["nothing", "", 400, /not well-formed/],
    ["no ids", { who: ["1"] }, 400, /there are no ids in it/],
    ["no list of texts", { ids: [{ id: "1" }] }, 400, /an id must be a text/],
    ["an empty id", { ids: [""] }, 400, /an id must be a text/],
    ["an id that is too long", { ids: ["x".repeat(513)] }, 400, /an id must be a text/],
    ["an id with NUL", { ids: ["a\0b"] }, 400, /an id must be a text/],
    ["half a character", '{"ids":["\\ud800"]}', 400, /an id must be a text/],
    ["a prototype", '{"__proto__":{"ids":["1"]}}', 400, /__proto__/],
    ["depth", `${"[".repeat(50_000)}${"]".repeat(50_000)}`, 400, /nested deeper/],
    ["too many ids", { ids: Array.from({ length: 10_001 }, (_, n) => n) }, 400, /more than 10000 ids/],
    ["more than a megabyte", { ids: ["x".repeat(512)], more: "y".repeat(1024 * 1024) }, 413, /larger than 1 MB/],
  ])("%s is refused, and nothing is kept", async (_name, body, status, words) => {
    const answer = await send(body);
    expect(answer.status).toBe(status);
    expect(answer.body.errorCauses.map((one: { errorSummary: string }) => one.errorSummary).join()).toMatch(words);
    expect(await stage.waiting()).toEqual([]);
  });

  test("another type is answered 415", async () => {
    const given = { authorization: `Bearer ${secret}`, "content-type": "text/plain" };
    expect((await send({ ids: ["1"] }, given)).status).toBe(415);
    expect((await send({ ids: ["1"] }, { ...given, "content-type": "application/cloudevents+json" })).status).toBe(202);
  });

  test("the id is where source.notify_id says", async () => {
    const place = (notify_id: string | null) =>
      stage.api.call("PATCH", `/admin/v1/apps/${stage.app_id}`, { sourcing: { notify_id } });
    expect((await place("/events/*/worker/a~1b")).status).toBe(200);
    const events = [{ worker: { "a/b": 7 } }, { worker: { "a/b": ["8", "9"] } }, { other: 1 }];
    expect((await send({ events })).body).toEqual({ accepted: 3 });
    expect(await stage.waiting()).toEqual(["7", "8", "9"]);
    expect((await send({ ids: ["1"] })).status).toBe(400);
    expect((await place("worker")).status).toBe(400);
    expect((await place(null)).status).toBe(200);
    expect((await send({ id: "1" })).status).toBe(202);
  });

  test("ten thousand wait for one source at most, and whoever waits already may be told of again", async () => {
    const many = Array.from({ length: 10_000 }, (_, n) => `m${n}`);
    expect((await send({ ids: many })).status).toBe(202);
    const full = await send({ ids: ["one more"] });
    expect([full.status, full.headers["retry-after"]]).toEqual([429, "60"]);
    expect((await send({ ids: ["m1", "m2"] })).status).toBe(202);
    expect((await stage.waiting()).length).toBe(10_000);
  });
});

describe("what cannot be read", () => {
  const state = async () => (await stage.api.call("GET", `/admin/v1/apps/${stage.app_id}/notifications`)).body;

  test("for the source is away is tried again with growing waits, becomes a task, and is read when it is there", async () => {
    await send({ ids: ["1", "2"] });
    workers.answers.set("*", { status: 500 });
    const waits = [];
    await stage.later(2_001);
    for (let tries = 0; tries < 5; tries++) {
      expect(await stage.readTold()).toBe(1);
      const wait_ms = new Date((await state()).next_at).getTime() - stage.world.now().getTime();
      waits.push(wait_ms);
      expect(await stage.readTold()).toBe(0);
      expect((await stage.tasks()).length).toBe(tries < 4 ? 0 : 1);
      await stage.later(wait_ms + 1);
    }
    expect(waits[4]! > 4 * waits[0]!).toBe(true);
    expect(await state()).toMatchObject({ waiting: 2, problem: expect.stringMatching(/500/) });
    expect(await stage.tasks()).toEqual([
      expect.stringMatching(/^the people that Workers told of cannot be read: .*500/),
    ]);
    workers.answers.clear();
    // Each person waits as long as their own turn takes, some longer than the source.
    await stage.later(3_600_000);
    expect(await stage.readTold()).toBe(1);
    expect([await stage.waiting(), await stage.tasks()]).toEqual([[], []]);
    expect((await stage.user("w1@example.com")).id).toBeDefined();
  });

  test("of one person holds up none of the others", async () => {
    workers.answers.set("/workers/1", { status: 500 });
    await send({ ids: ["1", "2", "3"] });
    await soon();
    expect([await stage.waiting(), await state()]).toMatchObject([["1"], { waiting: 1, failing: 1 }]);
    expect((await stage.user("w3@example.com")).id).toBeDefined();
    for (let tries = 1; tries < 5; tries++) {
      await send({ ids: ["2"] });
      await stage.later(120_000);
      await stage.readTold();
    }
    expect(await stage.tasks()).toEqual([
      expect.stringMatching(/^1 person that Workers told of cannot be read: 1: .*500/),
    ]);
    // Alone, nobody can tell whether it is the person or the source: others wait for minutes at most.
    for (let tries = 0; tries < 9; tries++) {
      await stage.later(3_600_000);
      await stage.readTold();
    }
    change("2", { unit: "Sales" });
    await send({ ids: ["2"] });
    await stage.later(301_000);
    await stage.readTold();
    expect((await stage.user("w2@example.com")).profile.department).toBe("Sales");
    workers.answers.clear();
    await stage.later(3_600_000);
    await stage.readTold();
    expect([await stage.waiting(), await stage.tasks()]).toEqual([[], []]);
  });

  test("because the source says not before is read then, and what was read before that is kept", async () => {
    workers.answers.set("/workers/2", { status: 429, headers: { "retry-after": "600" } });
    await send({ ids: ["1", "2", "3"] });
    await soon();
    expect(await stage.waiting()).toEqual(["2", "3"]);
    expect((await stage.user("w1@example.com")).id).toBeDefined();
    workers.answers.clear();
    await send({ ids: ["1"] });
    await stage.later(590_000);
    expect(await stage.readTold()).toBe(0);
    await stage.later(11_000);
    expect(await stage.readTold()).toBe(1);
    expect([await stage.waiting(), await stage.tasks()]).toEqual([[], []]);
  });

  test("while another import of the source runs waits for its end", async () => {
    await send({ ids: ["1"] });
    await stage.later(2_001);
    await sql`
      insert into imports (app_id, status, mode, dry_run, started_by, started_at, detail)
      values (${stage.app_id}, 'RUNNING', 'full', false, '{}', now(), jsonb_build_object('node', ${stage.world.node}::text))`.execute(
      db,
    );
    expect([await stage.readTold(), await stage.waiting()]).toEqual([1, ["1"]]);
    await sql`update imports set status = 'DONE' where status = 'RUNNING'`.execute(db);
    expect([await soon(), await stage.waiting(), await stage.tasks()]).toEqual([1, [], []]);
  });

  test("by a node that was killed is read by the next one, and by one node at a time", async () => {
    await send({ ids: ["1"] });
    await stage.later(2_001);
    const other = realWorld(db, test_key, { allow_private: true });
    await other.readClock();
    const claims = await Promise.all([claimNotices(stage.world), claimNotices(other), claimNotices(stage.world)]);
    expect(claims.flat().length).toBe(1);
    // It is killed now. The turn is taken when it has been silent, or when its process is known to be gone.
    expect(await stage.readTold(other)).toBe(0);
    expect(await nodesOfNotices(db)).toEqual([stage.world.node]);
    await freeTurns(db, [stage.world.node]);
    expect([await stage.readTold(other), await stage.waiting()]).toEqual([1, []]);
    await send({ ids: ["2"] });
    await stage.later(2_001);
    await other.readClock();
    expect((await claimNotices(stage.world)).length).toBe(1);
    await sql`update nodes set seen_at = seen_at - interval '2 minutes'`.execute(db);
    expect([await stage.readTold(other), await stage.waiting()]).toEqual([1, []]);
  });
});
