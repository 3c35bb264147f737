/** Import of one person on demand, over the API and the real import, from a system that answers over HTTP. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { startWorkers, type Workers, type WorkersStage, worker, workersStage } from "../support/workers.ts";

let db: Database;
let workers: Workers;
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
});

const change = (number: string, more: object) => workers.people.set(number, worker(number, more));
const outcome = async (stage: WorkersStage, person: string, more = "") => {
  workers.asked = [];
  const { rows, counts, status } = await stage.importNow(`?person=${encodeURIComponent(person)}${more}`);
  return [status, counts, rows.map((row: { outcome: string }) => row.outcome)];
};

describe.each([
  ["asked for alone", true, ["/workers/2"]],
  ["found in the list", false, ["/workers"]],
])("one person, %s,", (_name, alone, asked) => {
  test("is made where nobody is, changed where something changed, and left as they are where nothing has", async () => {
    const stage = await workersStage(db, workers, { alone });
    expect(await outcome(stage, "2", "&dry_run=true")).toEqual(["DONE", { create: 1 }, ["create"]]);
    expect((await stage.user("w2@example.com")).errorCode).toBe("E0000007");
    expect(await outcome(stage, "2")).toEqual(["DONE", { created: 1 }, ["created"]]);
    expect(workers.asked).toEqual(asked);
    expect((await stage.user("w1@example.com")).errorCode).toBe("E0000007");
    expect(await outcome(stage, "2")).toEqual(["DONE", { unchanged: 1 }, []]);
    change("2", { unit: "Sales" });
    change("1", { unit: "Sales" });
    expect(await outcome(stage, "w2@example.com")).toEqual(["DONE", { updated: 1 }, ["updated"]]);
    expect((await stage.user("w2@example.com")).profile.department).toBe("Sales");
    change("2", { unit: "Sales", state: "ended" });
    expect(await outcome(stage, "2")).toEqual(["DONE", { left: 1 }, ["left"]]);
    expect((await stage.user("w2@example.com")).status).toBe("DEPROVISIONED");
    change("2", {});
    expect(await outcome(stage, "2")).toEqual(["DONE", { returned: 1 }, ["returned"]]);
  });

  test("is matched to whoever is here, as in every import", async () => {
    const stage = await workersStage(db, workers, { alone });
    const profile = { login: "w2@example.com", email: "w2@example.com", firstName: "W2", lastName: "Worker" };
    await stage.api.call("POST", "/api/v1/users", { profile });
    expect(await outcome(stage, "2")).toEqual(["DONE", { linked: 1 }, ["linked"]]);
  });

  test("who is gone there has not left by that, and an unknown id is told", async () => {
    const stage = await workersStage(db, workers, { alone });
    await stage.importNow();
    workers.people.delete("2");
    for (const person of ["2", "77"]) {
      const { counts, rows } = await stage.importNow(`?person=${person}`);
      expect(counts).toEqual({ refused: 1 });
      expect(rows[0]).toMatchObject({ outcome: "refused", external_id: person });
      expect(rows[0].detail.reason).toMatch(/^Workers has no record of this id\. Nobody leaves by/);
    }
    expect((await stage.user("w2@example.com")).status).not.toBe("DEPROVISIONED");
    await stage.importNow();
    expect((await stage.user("w2@example.com")).status).toBe("DEPROVISIONED");
  });
});

test("a source that cannot be reached fails the import with the reason", async () => {
  const stage = await workersStage(db, workers);
  workers.answers.set("*", { status: 403 });
  const { status, detail } = await stage.importNow("?person=2");
  expect([status, detail.reason]).toEqual(["FAILED", expect.stringMatching(/403/)]);
});

test("two people of one number are told apart, and a text that no id can be is refused", async () => {
  const stage = await workersStage(db, workers);
  await stage.importNow();
  await sql`
    update users set profile = profile || '{"employeeNumber":"same"}'
    where login in ('w1@example.com', 'w3@example.com')`.execute(db);
  const refused = await stage.importNow("?person=same");
  expect(refused.errorCauses?.[0]?.errorSummary ?? "not refused").toMatch(
    /^(person: )?same is w1@example.com and also w3/,
  );
  const long = await stage.api.call("POST", `/admin/v1/apps/${stage.app_id}/imports?person=${"x".repeat(513)}`);
  const nul = await stage.api.call("POST", `/admin/v1/apps/${stage.app_id}/imports?person=%00`);
  expect([long.status, nul.status]).toEqual([400, 400]);
});

describe("leavers that are read one by one", () => {
  const leave = async (stage: WorkersStage, number: string) => {
    change(number, { state: "ended" });
    return stage.importNow(`?person=${number}`);
  };
  const company = async () => {
    workers.people = new Map(Array.from({ length: 10 }, (_, n) => [`${n}`, worker(`${n}`)]));
    const stage = await workersStage(db, workers, { sourcing: { guard_people: 3, guard_percent: 20 } });
    await stage.importNow();
    return stage;
  };

  test("are counted together by the guard, which holds who is too many until a person lets them go", async () => {
    const stage = await company();
    const ends = [];
    for (const number of ["1", "2", "3", "4", "5"]) ends.push((await leave(stage, number)).status);
    expect(ends.slice(0, 2)).toEqual(["DONE", "DONE"]);
    expect(ends.at(-1)).toBe("HELD");
    const last = (await stage.api.call("GET", "/admin/v1/imports?limit=1")).body[0];
    expect((await stage.user("w5@example.com")).status).not.toBe("DEPROVISIONED");
    await stage.api.call("POST", `/admin/v1/imports/${last.id}/release`, { count: last.detail.to_confirm });
    await expect.poll(async () => (await stage.user("w5@example.com")).status).toBe("DEPROVISIONED");
  });

  test("void no hold of the whole source, and its release does not bring back who left meanwhile", async () => {
    const stage = await company();
    change("9", { unit: "Sales" });
    for (const number of ["1", "2", "3", "4"]) change(number, { state: "ended" });
    change("8", { unit: "Sales" });
    const held = await stage.importNow();
    expect(held.status).toBe("HELD");
    expect((await leave(stage, "9")).status).toBe("DONE");
    const state = async () => (await stage.api.call("GET", `/admin/v1/imports/${held.id}`)).body.status;
    expect(await state()).toBe("HELD");
    await stage.api.call("POST", `/admin/v1/imports/${held.id}/release`, { count: held.detail.to_confirm });
    await expect.poll(async () => (await stage.user("w4@example.com")).status).toBe("DEPROVISIONED");
    expect((await stage.user("w8@example.com")).profile.department).toBe("Sales");
    expect((await stage.user("w9@example.com")).status).toBe("DEPROVISIONED");
  });
});
