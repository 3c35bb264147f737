/**
 * What the stories are told with: people, groups and apps in a few words, over the real directory and engine on PGlite,
 * with apps in memory and a clock that moves when told. Every verb is one command an administrator could give.
 */
import { beforeAll, beforeEach } from "vitest";
import { fake_schema } from "../../src/connectors/fake/app.ts";
import type { FakeApp, FakeOp, FakeScript } from "../../src/connectors/fake/connector.ts";
import { manualConnector } from "../../src/connectors/manual/connector.ts";
import type { Attribute, Profile } from "../../src/core/types.ts";
import { accountOf } from "../../src/directory/accounts.ts";
import { type AppTools, createApp, updateApp } from "../../src/directory/apps.ts";
import { assignUsers, unassignUsers } from "../../src/directory/assignments.ts";
import { assignGroups, type NewGroupAssignment, unassignGroups } from "../../src/directory/groupAssignments.ts";
import { createGroups } from "../../src/directory/groups.ts";
import { editMapping, type MappingChange, mappingOf } from "../../src/directory/mappings.ts";
import { grantMemberships, revokeMemberships } from "../../src/directory/memberships.ts";
import { activateRule, createRule } from "../../src/directory/rules.ts";
import { listTasks, type Task } from "../../src/directory/tasks.ts";
import { transitionUser, type UserEvent } from "../../src/directory/userLifecycle.ts";
import { getUser } from "../../src/directory/userQueries.ts";
import { createUsers, type NewUser, updateUsers } from "../../src/directory/users.ts";
import { reconcileApp } from "../../src/engine/reconcile.ts";
import { type Database, sql } from "../../src/store/database.ts";
import type { Provisioning } from "../../src/store/tables.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import {
  accountIn,
  addFakeApp,
  type FakeAppOptions,
  must,
  profileOf,
  settle,
  type TestWorld,
  testWorld,
  usual_lines,
} from "../support/world.ts";

export { must, usual_lines };

export const minute_ms = 60_000;
export const hour_ms = 60 * minute_ms;
export const day_ms = 24 * hour_ms;

/** A hash made elsewhere, so that no story waits for one to be made. */
const a_password = { algorithm: "SHA-256", value: "c3Vubnk=" } as const;

/** Attributes beside the usual ones: values that are given with an assignment. */
const given: readonly Attribute[] = [
  { name: "role", array: false },
  { name: "licences", array: true },
].map((one) => ({
  type: "string",
  required: false,
  writable: "always",
  readable: true,
  unique: false,
  case_exact: true,
  ...one,
}));

/** The schema of a story's app; `union`: values of several groups for `licences` are joined. */
export const storySchema = (union = false) => ({
  attributes: [...fake_schema.attributes, ...given.map((one) => (union && one.array ? { ...one, union: true } : one))],
});

/** Everything of one app that a faulty script needs to be able to change in the middle of a story. */
export type Trouble = { script: FakeScript | undefined };

/** The stage of a test file: boots the database once, empties it before each story. */
export function stage() {
  let db: Database | undefined;
  let world: TestWorld | undefined;
  beforeAll(async () => {
    db = await memoryDatabase();
  });
  beforeEach(async () => {
    if (db === undefined) return;
    await wipe(db);
    world = await testWorld(db);
  });
  const now = (): TestWorld => {
    if (world === undefined) throw new Error("a story has no world outside a test");
    return world;
  };
  return { ...peopleVerbs(now), ...groupVerbs(now), ...appVerbs(now), ...timeVerbs(now) };
}

type Now = () => TestWorld;

function peopleVerbs(now: Now) {
  return {
    /** A person who is ACTIVE at once unless told otherwise. Gives the id. */
    async hire(first: string, last: string, profile: Profile = {}, more: Partial<NewUser> = {}): Promise<string> {
      const input = { profile: profileOf(first, last, profile), password: a_password, ...more };
      const [user] = await must(createUsers(now().command, [input]));
      return user!.id;
    },
    /** People by first name in one command; they have yet to choose a password. Gives the ids. */
    async hireAll(firsts: readonly string[], profile: Profile = {}): Promise<readonly string[]> {
      const inputs = firsts.map((first) => ({ profile: profileOf(first, "Worker", profile) }));
      return (await must(createUsers(now().command, inputs))).map((user) => user.id);
    },
    move: (user_id: string, profile: Profile) => must(updateUsers(now().command, [{ id: user_id, profile }])),
    turn: (user_id: string, kind: UserEvent["kind"]) =>
      must(transitionUser(now().command, user_id, { kind } as UserEvent)),
    person: async (user_id: string) => (await getUser(now().db, user_id))!,
  };
}

function groupVerbs(now: Now) {
  return {
    async group(name: string, profile: Profile = {}): Promise<string> {
      const [group] = await must(createGroups(now().command, [{ profile: { name, ...profile } }]));
      return group!.id;
    },
    join: (group_id: string, user_ids: readonly string[], expires_at: Date | null = null) =>
      must(
        grantMemberships(
          now().command,
          user_ids.map((user_id) => ({
            user_id,
            group_id,
            kind: "person",
            source_id: now().command.actor.id,
            expires_at,
          })),
        ),
      ),
    quit: (group_id: string, user_ids: readonly string[]) =>
      must(
        revokeMemberships(
          now().command,
          user_ids.map((user_id) => ({ user_id, group_id })),
        ),
      ),
    /** A rule that is switched on. Gives its id. */
    async rule(name: string, expression: string, group_ids: readonly string[]): Promise<string> {
      const made = await must(createRule(now().command, { name, expression, group_ids }));
      await must(activateRule(now().command, made.id));
      return made.id;
    },
    /** Logins of a group's members, in order. */
    async membersOf(group_id: string): Promise<readonly string[]> {
      const { rows } = await sql<{ login: string }>`
        select distinct u.login from membership_grants m join users u on u.id = m.user_id
        where m.group_id = ${group_id} order by 1`.execute(now().db);
      return rows.map((row) => row.login);
    },
  };
}

function appVerbs(now: Now) {
  const fakeOf = (app_id: string): FakeApp => now().fakes.get(app_id)!;
  const tools = (app_id: string): AppTools => ({
    key: { id: "test", bytes: Buffer.alloc(32) },
    check: (_kind, config) => ({ ok: { config, credentials: {}, can: now().connectors.get(app_id)!.can } }),
  });
  return {
    /** An app with a fake system behind it. Gives its id. */
    app: (options: FakeAppOptions = {}) =>
      addFakeApp(now(), { ...options, fake: { schema: storySchema(), ...options.fake } }),
    /** An app whose calls go wrong as `trouble.script` says, which may change at any time. */
    async sickApp(options: FakeAppOptions = {}): Promise<{ app: string; trouble: Trouble }> {
      const trouble: Trouble = { script: undefined };
      const fake = {
        schema: storySchema(),
        ...options.fake,
        script: (call: Parameters<FakeScript>[0]) => trouble.script?.(call),
      };
      return { app: await addFakeApp(now(), { ...options, fake }), trouble };
    },
    /** An app that people run by hand. Gives its id. */
    async manualApp(label: string): Promise<string> {
      const connector = manualConnector();
      const check: AppTools["check"] = () => ({
        ok: { config: {}, credentials: {}, can: connector.can, attributes: fake_schema.attributes },
      });
      const key = { id: "test", bytes: Buffer.alloc(32) };
      const made = await must(createApp(now().command, { label, kind: "manual" }, { key, check }));
      now().connectors.set(made.id, connector);
      return made.id;
    },
    tools,
    fake: fakeOf,
    switches: (app_id: string, provisioning: Partial<Provisioning>) =>
      must(updateApp(now().command, app_id, { provisioning }, tools(app_id))),
    map: async (app_id: string, change: MappingChange) => {
      const mapping = await mappingOf(now().db, app_id, "to_app");
      return must(editMapping(now().command, mapping!.id, change));
    },
    /** Changes what a source gives its people. */
    mapUser: async (app_id: string, change: MappingChange) => {
      const mapping = await mappingOf(now().db, app_id, "to_user");
      return must(editMapping(now().command, mapping!.id, change));
    },
    assign: (app_id: string, user_id: string, profile: Profile = {}, expires_at: Date | null = null) =>
      must(assignUsers(now().command, app_id, [{ user_id, profile, expires_at }])),
    unassign: (app_id: string, user_id: string) => must(unassignUsers(now().command, app_id, [user_id])),
    grant: (app_id: string, group_id: string, more: Omit<NewGroupAssignment, "group_id"> = {}) =>
      must(assignGroups(now().command, app_id, [{ group_id, ...more }])),
    ungrant: (app_id: string, group_id: string) => must(unassignGroups(now().command, app_id, [group_id])),
    /** The account as the app itself has it; undefined: the app has none that we know of. */
    there: (app_id: string, user_id: string) => accountIn(now(), app_id, user_id),
    /** The account as the API tells it. */
    view: (app_id: string, user_id: string) => accountOf(now().db, app_id, user_id, now().now()),
    /** How often the engine called the app; `ops`: with one of these only. */
    calls: (app_id: string, ...ops: readonly FakeOp[]) =>
      fakeOf(app_id).calls.filter(({ op }) => (ops.length === 0 ? op !== "schema" : ops.includes(op))).length,
    /** A group of the app itself by name: its id there and its members' user names. */
    groupThere(app_id: string, name: string) {
      const { accounts, groups } = fakeOf(app_id);
      const found = [...groups].find(([, group]) => group.name === name);
      if (found === undefined) return undefined;
      const names = [...found[1].members].map((id) => String(accounts.get(id)?.profile["userName"] ?? `? ${id}`));
      return { id: found[0], members: names.sort() };
    },
  };
}

function timeVerbs(now: Now) {
  return {
    world: now,
    command: () => now().command,
    /** Works until nothing is due; `rounds`: or that often. */
    settle: (rounds?: number) => settle(now(), rounds),
    /** Lets time pass and does what it brings. */
    async pass(ms: number): Promise<number> {
      now().clock.advance(ms);
      return settle(now());
    },
    after: (ms: number) => new Date(now().now().getTime() + ms),
    /** Compares a whole app, and mends what differs. */
    async reconcile(app_id: string) {
      const counts = await reconcileApp(now(), app_id);
      await settle(now());
      return counts;
    },
    tasks: (): Promise<Task[]> => listTasks(now().db, { status: "OPEN" }),
    /** When an account is next worked on, and what its last try ended with. */
    async waiting(app_id: string, user_id: string) {
      const { rows } = await sql<{ due_at: Date | null; fault: string | null; attempts: number; unsure: boolean }>`
        select w.due_at, w.fault, w.attempts, w.unsure from work w where app_id = ${app_id} and user_id = ${user_id}`.execute(
        now().db,
      );
      return rows[0];
    },
    async events(type: string): Promise<number> {
      const { rows } = await sql<{ n: number }>`select count(*)::int as n from events where type = ${type}`.execute(
        now().db,
      );
      return rows[0]?.n ?? 0;
    },
  };
}
