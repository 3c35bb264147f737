/** What the directory's tests share: a command with a clock that stands still, people, groups, and a checked connector. */
import { randomBytes } from "node:crypto";
import type { Capabilities, Profile, Value } from "../../src/core/types.ts";
import type { AppTools, CheckConfig } from "../../src/directory/apps.ts";
import type { Command } from "../../src/directory/command.ts";
import { type Database, isRefusal, json, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";

export const noon = new Date("2026-05-01T12:00:00Z");
export const at = (minutes: number) => new Date(noon.getTime() + minutes * 60_000);

export function commandAt(db: Database, now: Date = noon): Command {
  return { db, now: () => now, actor: { ...system, id: "00uadmin", type: "User", name: "Ada Admin" } };
}

export const all: Capabilities = {
  create: true,
  update: true,
  disable: true,
  delete: true,
  password: true,
  groups: true,
  changes: false,
  writes_max: 100,
};

const attribute = (name: string, more: object = {}) => ({
  name,
  type: "string" as const,
  array: false,
  required: false,
  writable: "always" as const,
  readable: true,
  unique: false,
  case_exact: true,
  ...more,
});

export const appAttributes = [
  attribute("userName", { required: true }),
  attribute("email"),
  attribute("givenName"),
  attribute("displayName"),
  attribute("department"),
  attribute("role"),
  attribute("licences", { array: true, union: true }),
];

/** A connector's check as the registry gives it: "scim" has an address and a secret token, "plain" has no groups. */
export const check: CheckConfig = (kind, given) => {
  const can = kind === "plain" ? { ...all, groups: false, password: false } : all;
  if (kind !== "scim" && kind !== "plain")
    return { refused: `there is no connector "${kind}"`, code: "invalid", place: "kind" };
  const { token, ...config } = given;
  if (typeof config["url"] !== "string") return { refused: "url is needed", code: "invalid", place: "config.url" };
  const credentials: Record<string, Value> = token === undefined ? {} : { token };
  return { ok: { config, credentials, can, attributes: appAttributes, destination: new URL(config["url"]).host } };
};

export const tools: AppTools = { key: { id: "test", bytes: randomBytes(32) }, check };

/** The result of a command that must not be refused. */
export function granted<T>(result: T): Exclude<T, { refused: string }> {
  if (isRefusal(result)) throw new Error(`refused: ${result.refused}`);
  return result as Exclude<T, { refused: string }>;
}

/** What a command that must be refused says. */
export function refused(result: unknown): { refused: string; code: string; place?: string } {
  if (!isRefusal(result)) throw new Error(`not refused: ${JSON.stringify(result)}`);
  return result;
}

export async function person(db: Database, login: string, more: Profile = {}, status = "ACTIVE"): Promise<string> {
  const profile = {
    login: `${login}@example.com`,
    email: `${login}@example.com`,
    firstName: login,
    lastName: "Test",
    ...more,
  };
  const { rows } = await sql<{ id: string }>`
    insert into users (status, profile) values (${status}, ${json(profile)}) returning id`.execute(db);
  return rows[0]?.id ?? "";
}

export async function group(
  db: Database,
  name: string,
  members: readonly string[] = [],
  type = "OKTA_GROUP",
): Promise<string> {
  const { rows } = await sql<{ id: string }>`
    insert into groups (type, profile) values (${type}, ${json({ name })}) returning id`.execute(db);
  const id = rows[0]?.id ?? "";
  await sql`
    insert into membership_grants (user_id, group_id, kind, source_id)
    select m, ${id}, 'person', 'test' from unnest(${[...members]}::text[]) as m`.execute(db);
  return id;
}

/** An account as the engine leaves it: wanted, made, linked. */
export async function account(
  db: Database,
  app_id: string,
  user_id: string,
  more: Record<string, unknown> = {},
): Promise<string> {
  const row = {
    external_id: `ext-${user_id}`,
    assigned: true,
    want: { enabled: true, create: true, profile: { userName: user_id } },
    have: { enabled: true, profile: { userName: user_id } },
    pending: null,
    ...more,
  };
  const { rows } = await sql<{ id: string }>`
    insert into accounts (app_id, user_id, external_id, assigned, want, want_revision, have, have_revision, pending)
    values (${app_id}, ${user_id}, ${row.external_id}, ${row.assigned}, ${row.want && json(row.want)}, 1,
            ${row.have && json(row.have)}, 1, ${row.pending}) returning id`.execute(db);
  return rows[0]?.id ?? "";
}

/** Puts an account into work as the engine would, parked with a fault or due. */
export async function work(
  db: Database,
  account_id: string,
  fault: string | null,
  due_at: Date | null = null,
): Promise<void> {
  await sql`
    insert into work (account_id, app_id, user_id, revision, due_at, priority, fault, attempts, marked_at)
    select id, app_id, user_id, want_revision, ${due_at}::timestamptz, 10, ${fault}, 3, ${noon}::timestamptz
    from accounts where id = ${account_id}`.execute(db);
}

export async function dirty(db: Database): Promise<{ user_id: string; priority: number }[]> {
  return db.selectFrom("dirty").select(["user_id", "priority"]).orderBy("user_id").execute();
}

export const dirtyUsers = async (db: Database) => (await dirty(db)).map((row) => row.user_id);

/** The engine has answered everyone. */
export const settle = (db: Database) => sql`delete from dirty`.execute(db);

export async function eventTypes(db: Database): Promise<string[]> {
  const events = await db.selectFrom("events").select("type").orderBy("seq").execute();
  return events.map((event) => event.type);
}
