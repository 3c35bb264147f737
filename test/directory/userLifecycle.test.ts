import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { LifecycleEvent } from "../../src/core/lifecycle.ts";
import type { UserStatus } from "../../src/core/types.ts";
import type { Command } from "../../src/directory/command.ts";
import { restorable, restoreAssignments } from "../../src/directory/departures.ts";
import { verifyPassword } from "../../src/directory/password.ts";
import { passwordPlace } from "../../src/directory/passwordKeeping.ts";
import {
  deleteUser,
  holdUser,
  transitionUser,
  transitionUsers,
  type UserEvent,
  unholdUser,
} from "../../src/directory/userLifecycle.ts";
import { getUser, userAsOf } from "../../src/directory/userQueries.ts";
import { type Database, isRefusal, json, sql } from "../../src/store/database.ts";
import { getSecret, openKey } from "../../src/store/secrets.ts";
import { memoryDatabase } from "../support/memory.ts";
import {
  accepted,
  clean,
  dirtyUsers,
  eventTypes,
  freshCompany,
  hire,
  lastEvent,
  refused,
  type SetTime,
} from "./company.ts";

let db: Database;
let command: Command;
let setTime: SetTime;

beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(async () => {
  ({ command, setTime } = await freshCompany(db));
});

const password = "correct horse";

describe("transitions", () => {
  const cases: [string, Parameters<typeof hire>[2], UserEvent["kind"][], UserStatus, string, number | null][] = [
    ["activation without a password", { activate: false }, ["activate"], "PROVISIONED", "user.lifecycle.activate", 10],
    ["activation with one", { activate: false, password }, ["activate"], "ACTIVE", "user.lifecycle.activate", 10],
    ["a resent activation", {}, ["reactivate"], "PROVISIONED", "user.lifecycle.reactivate", null],
    ["suspension", { password }, ["suspend"], "SUSPENDED", "user.lifecycle.suspend", 0],
    ["its end", { password }, ["suspend", "unsuspend"], "ACTIVE", "user.lifecycle.unsuspend", 10],
    ["a lock", { password }, ["lock"], "LOCKED_OUT", "user.account.lock", 10],
    ["its end", { password }, ["lock", "unlock"], "ACTIVE", "user.account.unlock_by_admin", 10],
    ["a reset", { password }, ["reset_password"], "RECOVERY", "user.account.reset_password", 10],
    ["an expiry", { password }, ["expire_password"], "PASSWORD_EXPIRED", "user.account.expire_password", 10],
    ["leaving", { password }, ["deactivate"], "DEPROVISIONED", "user.lifecycle.deactivate", 0],
    ["returning", { password }, ["deactivate", "activate"], "PROVISIONED", "user.lifecycle.activate", 10],
  ];
  it.each(cases)("%s gives the right status, event and mark", async (_, input, kinds, status, type, priority) => {
    const [ada] = await hire(command, ["Ada"], input);
    let last = 0;
    for (const kind of kinds) {
      await clean(db);
      last = await lastEvent(db);
      const result = accepted(await transitionUser(command, ada.id, { kind } as UserEvent));
      expect(result.changed).toBe(true);
    }
    expect((await getUser(db, ada.id))?.status).toBe(status);
    expect(await eventTypes(db, last)).toEqual([type]);
    const marks = await dirtyUsers(db);
    expect(marks.get(ada.id)).toEqual(priority === null ? undefined : { priority, cause: type });
  });

  it("a set goes on around those who are refused, and says who and why", async () => {
    const [ada, bo, cy] = await hire(command, ["Ada", "Bo", "Cy"], { password });
    accepted(await transitionUser(command, bo.id, { kind: "deactivate" }));
    const results = accepted(await transitionUsers(command, [ada.id, bo.id, "00unobody", cy.id], { kind: "suspend" }));
    expect(results.map((one) => (isRefusal(one) ? one.code : one.user.status))).toEqual([
      "SUSPENDED",
      "illegal_transition",
      "not_found",
      "SUSPENDED",
    ]);
    expect(isRefusal(results[1]) && results[1].refused).toContain("bo@example.org");
  });

  it("a source that says inactive spares the held and super administrators", async () => {
    const [ada, bo] = await hire(command, ["Ada", "Bo", "Cy"], { password });
    const [root] = await hire(command, ["Root"], { password, super_admin: true });
    accepted(await holdUser(command, bo.id, { reason: "on leave" }));
    const event: LifecycleEvent = { kind: "source_inactive", mode: "deactivate" };
    const results = accepted(await transitionUsers(command, [ada.id, bo.id, root.id], event));
    expect(results.map((one) => (isRefusal(one) ? one.reason : one.user.status))).toEqual([
      "DEPROVISIONED",
      "held",
      "protected",
    ]);
    accepted(await unholdUser(command, bo.id));
    expect(accepted(await transitionUser(command, bo.id, event)).user.status).toBe("DEPROVISIONED");
    expect(await eventTypes(db)).toEqual(expect.arrayContaining(["user.hold.add", "user.hold.remove"]));
  });

  it("the last super administrators who can sign in are neither deactivated, suspended nor deleted, by hand or together", async () => {
    const [root, second] = await hire(command, ["Root", "Second"], { password, super_admin: true, activate: true });
    const said = (outcome: unknown) => (isRefusal(outcome) ? outcome.refused : outcome);
    const both = accepted(await transitionUsers(command, [root.id, second.id], { kind: "deactivate" }));
    expect(both.map((one) => isRefusal(one) && one.code)).toEqual(["forbidden", "forbidden"]);
    accepted(await transitionUser(command, second.id, { kind: "suspend" }));
    for (const kind of ["deactivate", "suspend"] as const) {
      expect(said(await transitionUser(command, root.id, { kind }))).toBe(
        "root@example.org is the last super administrator who can sign in: make somebody else one first",
      );
    }
    expect(said(await deleteUser(command, root.id))).toContain("the last super administrator");
    expect((await getUser(db, root.id))?.status).toBe("ACTIVE");
    accepted(await transitionUser(command, second.id, { kind: "unsuspend" }));
    expect(accepted(await transitionUser(command, root.id, { kind: "deactivate" })).user.status).toBe("DEPROVISIONED");
  });

  it("a new password replaces the old one, and waits sealed for apps that take it", async () => {
    const [ada] = await hire(command, ["Ada"], { password });
    const key = openKey("/nonexistent", { TENURE_KEY: "00".repeat(32) });
    const set = { kind: "set_password" } as const;
    accepted(await transitionUser(command, ada.id, set, { password: "battery staple", key }));
    expect(await getSecret(db, key, passwordPlace(ada.id), command.now())).toBeUndefined();
    await sql`
      insert into apps (name, label, kind, provisioning) values ('x', 'X', 'scim', '{"password": "sync"}')`.execute(db);
    accepted(await transitionUser(command, ada.id, set, { password: "battery staple", key }));
    expect(await getSecret(db, key, passwordPlace(ada.id), command.now())).toBe("battery staple");
    const user = await getUser(db, ada.id);
    expect(await verifyPassword("battery staple", user?.credentials.password_hash ?? "")).toBe(true);
    expect(refused(await transitionUser(command, ada.id, set)).place).toBe("credentials.password");
  });

  it("tells the one-time token once and keeps only its hash", async () => {
    const [ada] = await hire(command, ["Ada"], { activate: false });
    const { token } = accepted(await transitionUser(command, ada.id, { kind: "activate" }));
    expect(token).toMatch(/^[\w-]{20,}$/);
    const { rows } = await sql<{ text: string }>`select users::text || events::text as text from users, events`.execute(
      db,
    );
    expect(rows.map((row) => row.text).join()).not.toContain(token);
  });

  it("activating by hand someone whose end date has passed lifts the end", async () => {
    const [ada] = await hire(command, ["Ada"], { password, ends_at: new Date("2026-03-03T00:00:00Z") });
    await setTime("2026-03-04T00:00:00Z");
    accepted(await transitionUser(command, ada.id, { kind: "end_reached" }));
    const { user } = accepted(await transitionUser(command, ada.id, { kind: "activate" }));
    expect(user).toMatchObject({ status: "PROVISIONED", ends_at: null });
  });
});

describe("leaving and returning", () => {
  async function assign(user_id: string) {
    await sql`insert into apps (id, name, label, kind) values ('0oa1', 'crm', 'CRM', 'none'), ('0oa2', 'wiki', 'Wiki', 'none')
      on conflict do nothing`.execute(db);
    await sql`
      insert into assignment_grants (user_id, app_id, kind, source_id, profile, expires_at) values
        (${user_id}, '0oa1', 'person', '00uadmin', '{"role": "Editor"}', null),
        (${user_id}, '0oa1', 'request', 'req1', '{}', '2026-03-10'),
        (${user_id}, '0oa2', 'import', '0oa2', '{}', null)`.execute(db);
    await sql`
      insert into accounts (user_id, app_id, assigned, want)
      values (${user_id}, '0oa1', true, ${json({ enabled: true, create: true, profile: { role: "Editor" } })})`.execute(
      db,
    );
  }

  it("scenario 13: leaving ends individual assignments and the password; only a restore gives the assignments back", async () => {
    const [ada] = await hire(command, ["Ada"], { password });
    await assign(ada.id);
    const { user } = accepted(await transitionUser(command, ada.id, { kind: "deactivate" }));
    expect(user.credentials).toEqual({});
    const kinds = async () => {
      const { rows } = await sql<{ kind: string }>`select kind from assignment_grants order by kind`.execute(db);
      return rows.map((row) => row.kind);
    };
    expect(await kinds()).toEqual(["import"]);
    expect(refused(await restoreAssignments(command, ada.id)).code).toBe("illegal_transition");
    await setTime("2026-03-20T09:00:00Z");
    accepted(await transitionUser(command, ada.id, { kind: "activate" }));
    expect(await kinds()).toEqual(["import"]);
    expect(await restorable(command, ada.id)).toMatchObject([
      { app_id: "0oa1", label: "CRM", snapshot: { grants: [{ kind: "person" }, { kind: "request" }] } },
    ]);
    expect(accepted(await restoreAssignments(command, ada.id))).toEqual(["0oa1"]);
    // The request's grant expired meanwhile.
    expect(await kinds()).toEqual(["import", "person"]);
    const { rows } = await sql<{
      profile: unknown;
    }>`select profile from assignment_grants where kind = 'person'`.execute(db);
    expect(rows[0]?.profile).toEqual({ role: "Editor" });
    expect((await eventTypes(db)).at(-1)).toBe("application.user_membership.restore");
  });

  it("scenario 18: delete needs DEPROVISIONED; on anyone else it deactivates", async () => {
    const [ada] = await hire(command, ["Ada"], { password });
    expect(accepted(await deleteUser(command, ada.id))).toEqual({ deleted: false });
    expect((await getUser(db, ada.id))?.status).toBe("DEPROVISIONED");
    const last = await lastEvent(db);
    const day = command.now();
    await setTime("2026-03-03T00:00:00Z");
    expect(accepted(await deleteUser(command, ada.id))).toEqual({ deleted: true });
    expect(await getUser(db, ada.id)).toBeUndefined();
    expect(await eventTypes(db, last)).toEqual(["user.lifecycle.delete.initiated", "user.lifecycle.delete.completed"]);
    expect((await userAsOf(db, ada.id, day))?.login).toBe("ada@example.org");
    expect(refused(await deleteUser(command, ada.id)).code).toBe("not_found");
  });

  it("does not forget a person whose account still works somewhere, unless forced", async () => {
    const [ada] = await hire(command, ["Ada"], { password });
    await assign(ada.id);
    await sql`update accounts set have = '{"enabled": true, "profile": {}}'`.execute(db);
    accepted(await deleteUser(command, ada.id));
    const refusal = refused(await deleteUser(command, ada.id));
    expect(refusal).toMatchObject({ code: "stale" });
    expect(refusal.refused).toContain("CRM");
    expect(accepted(await deleteUser(command, ada.id, { force: true }))).toEqual({ deleted: true });
  });
});
