/**
 * API tokens: shown once when they are made, kept only as a SHA-256 hash. A token carries 240 random bits, so a fast hash
 * is enough and a look-up by hash leaks nothing through time. A token bound to a person dies with that person's status.
 *
 * Called by server for every request (`verifyToken`), and by the administrator's token commands.
 */
import { createHash, randomBytes } from "node:crypto";
import type { Grant } from "../core/authority.ts";
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { Target } from "../store/tables.ts";
import { grantsOf } from "./adminRoles.ts";
import { type Command, log, run } from "./command.ts";

/** Okta's administrator roles; a source's token may only write its own app's people. */
export const roles = [
  "SUPER_ADMIN",
  "ORG_ADMIN",
  "APP_ADMIN",
  "USER_ADMIN",
  "GROUP_MEMBERSHIP_ADMIN",
  "HELP_DESK_ADMIN",
  "READ_ONLY_ADMIN",
] as const;

/** A role, or `SOURCE:<app id>` for the token that a source presents to our inbound SCIM. */
export type Role = (typeof roles)[number] | `SOURCE:${string}`;

/** A token as it is shown: never its text or hash. */
export type Token = Readonly<{
  id: string;
  name: string;
  user_id: string | null;
  role: string;
  created_at: Date;
  expires_at: Date | null;
  last_used_at: Date | null;
  revoked_at: Date | null;
}>;

/**
 * Who a valid token speaks for, and what bounds it: its role; `grants`, its person's roles (null: it belongs to nobody);
 * `scopes`, a client's (null: it is no client's); `jkt`, the thumbprint of the key whose holder alone may use it.
 */
export type Bearer = Readonly<{
  token_id: string;
  name: string;
  role: string;
  user_id: string | null;
  /** The person's. */
  login: string | null;
  client_id: string | null;
  jkt: string | null;
  scopes: readonly string[] | null;
  grants: readonly Grant[] | null;
}>;

const token_bytes = 30;
/** `last_used_at` is for people: once a minute is enough, and a write for every request is not free. */
const used_every_ms = 60_000;
/** Where idle tokens end (a feature, off by default): after 30 days, as Okta's do. */
const idle_ms = 30 * 86_400_000;

const columns = ["id", "name", "user_id", "role", "created_at", "expires_at", "last_used_at", "revoked_at"] as const;
const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");
const target = (token: Pick<Token, "id" | "name">): Target => ({ id: token.id, type: "Token", name: token.name });

function isRole(role: string): role is Role {
  return (roles as readonly string[]).includes(role) || /^SOURCE:0oa[0-9A-Za-z]{17}$/.test(role);
}

/**
 * Makes a token; `text` (40 characters of base64url) is known to nobody afterwards. Refuses an unknown role, person or
 * source app, and an end in the past.
 */
export function createToken(
  command: Command,
  input: Readonly<{ name: string; role?: string; user_id?: string | null; expires_at?: Date | null }>,
): Promise<Readonly<{ token: Token; text: string }> | Refusal> {
  return run<Readonly<{ token: Token; text: string }>>(command, async (running) => {
    const { name, role = "SUPER_ADMIN", user_id = null, expires_at = null } = input;
    const refusal = await judge(running, name, role, user_id, expires_at);
    if (refusal) return refusal;
    const text = randomBytes(token_bytes).toString("base64url");
    const token: Token = await running.db
      .insertInto("tokens")
      .values({ name, role, user_id, expires_at, hash: hashOf(text), created_at: running.now() })
      .returning(columns)
      .executeTakeFirstOrThrow();
    await log(running, { type: "system.api_token.create", targets: [target(token)], user_id, detail: { role } });
    return { token, text };
  });
}

async function judge(
  running: Command,
  name: string,
  role: string,
  user_id: string | null,
  expires_at: Date | null,
): Promise<Refusal | undefined> {
  if (name.trim() === "" || name.length > 200) {
    return {
      refused: "a token needs a name of at most 200 characters that says what uses it",
      code: "invalid",
      place: "name",
    };
  }
  if (!isRole(role)) {
    return {
      refused: `"${role.slice(0, 50)}" is no role: use ${roles.join(", ")} or SOURCE:<app id>`,
      code: "invalid",
      place: "role",
    };
  }
  if (expires_at !== null && expires_at <= running.now()) {
    return {
      refused: "the token would have expired already: give an end in the future",
      code: "invalid",
      place: "expires_at",
    };
  }
  if (role.startsWith("SOURCE:")) {
    const app = await running.db.selectFrom("apps").select("id").where("id", "=", role.slice(7)).executeTakeFirst();
    if (app === undefined)
      return { refused: `there is no app ${role.slice(7)} for this token`, code: "not_found", place: "role" };
  }
  if (user_id === null) return undefined;
  const user = await running.db.selectFrom("users").select("status").where("id", "=", user_id).executeTakeFirst();
  if (user === undefined) return { refused: `there is no user ${user_id}`, code: "not_found", place: "user_id" };
  if (user.status === "DEPROVISIONED") {
    return {
      refused: `user ${user_id} is deactivated: reactivate first`,
      code: "illegal_transition",
      place: "user_id",
    };
  }
  return undefined;
}

/**
 * Who a token's text speaks for, or undefined when it is unknown, revoked, expired, idle for too long where that counts,
 * its person may not sign in, or its client is switched off. A client's scopes are those it is granted now. Notes the
 * use, at most once a minute.
 */
export async function verifyToken(db: Database, text: string, now: Date): Promise<Bearer | undefined> {
  if (text.length < 20 || text.length > 200) return undefined;
  const { rows } = await sql<Omit<Bearer, "grants"> & { stale: boolean }>`
    select t.id as token_id, t.name, t.role, t.user_id, u.login, t.client_id, t.jkt,
           case when t.scopes is not null then array(
             select g.scope from client_grants g where g.app_id = a.id and g.scope = any(t.scopes)) end as scopes,
           t.last_used_at is null or t.last_used_at <= ${new Date(now.getTime() - used_every_ms)}::timestamptz as stale
    from tokens t left join users u on u.id = t.user_id left join apps a on a.client_id = t.client_id
    where t.hash = ${hashOf(text)} and t.revoked_at is null
      and (t.expires_at is null or t.expires_at > ${now}::timestamptz)
      and (t.user_id is null or u.status not in ('STAGED', 'SUSPENDED', 'DEPROVISIONED'))
      and (t.client_id is null or a.status = 'ACTIVE')
      and (coalesce(t.last_used_at, t.created_at) > ${new Date(now.getTime() - idle_ms)}::timestamptz
           or not exists (select from settings where name = 'idle_tokens_expire' and value = 'true'))`.execute(db);
  const row = rows[0];
  if (row === undefined) return undefined;
  if (row.stale) await sql`update tokens set last_used_at = ${now}::timestamptz where id = ${row.token_id}`.execute(db);
  const { stale: _, ...bearer } = row;
  return { ...bearer, grants: bearer.user_id === null ? null : await grantsOf(db, bearer.user_id) };
}

/**
 * Makes an access token for an app that asked as a client; `text` is told once. It may do what its scopes say, and ends
 * by itself: expired ones are forgotten here.
 */
export function createClientToken(
  command: Command,
  client: Readonly<{ app_id: string; client_id: string; label: string }>,
  input: Readonly<{ scopes: readonly string[]; jkt: string | null; expires_at: Date }>,
): Promise<Readonly<{ token: Token; text: string }> | Refusal> {
  return run<Readonly<{ token: Token; text: string }>>(command, async (running) => {
    await sql`delete from tokens where client_id is not null and expires_at <= ${running.now()}::timestamptz`.execute(
      running.db,
    );
    const text = randomBytes(token_bytes).toString("base64url");
    const { scopes, jkt, expires_at } = input;
    const row = {
      name: client.label.slice(0, 200),
      role: "SUPER_ADMIN",
      hash: hashOf(text),
      created_at: running.now(),
    };
    const token: Token = await running.db
      .insertInto("tokens")
      .values({ ...row, expires_at, scopes: [...scopes], client_id: client.client_id, jkt })
      .returning(columns)
      .executeTakeFirstOrThrow();
    const app: Target = { id: client.app_id, type: "AppInstance", name: client.label };
    const detail = { scopes: [...scopes] };
    await log(running, {
      type: "app.oauth2.as.token.grant.access_token",
      targets: [app],
      app_id: client.app_id,
      detail,
    });
    return { token, text };
  });
}

/** The client's token with this text that is valid still, for introspection and revocation. */
export async function clientToken(
  db: Database,
  client_id: string,
  text: string,
  now: Date,
): Promise<(Token & Readonly<{ scopes: readonly string[]; jkt: string | null }>) | undefined> {
  const row = await db
    .selectFrom("tokens")
    .select([...columns, "scopes", "jkt"])
    .where("hash", "=", hashOf(text))
    .where("client_id", "=", client_id)
    .where("revoked_at", "is", null)
    .where("expires_at", ">", now)
    .executeTakeFirst();
  return row === undefined ? undefined : { ...row, scopes: row.scopes ?? [] };
}

/** Ends a token for good. Revoking twice is no error and is logged once. */
export function revokeToken(command: Command, id: string): Promise<Token | Refusal> {
  return run<Token>(command, async (running) => {
    const token = await running.db
      .selectFrom("tokens")
      .select(columns)
      .where("id", "=", id)
      .forUpdate()
      .executeTakeFirst();
    if (token === undefined) return { refused: `there is no token ${id}`, code: "not_found" };
    if (token.revoked_at !== null) return token;
    const revoked_at = running.now();
    await running.db.updateTable("tokens").set({ revoked_at }).where("id", "=", id).execute();
    await log(running, { type: "system.api_token.revoke", targets: [target(token)], user_id: token.user_id });
    return { ...token, revoked_at };
  });
}

/**
 * Tokens in the order they were made, but for those that clients got. `after`: the last id of the page before;
 * `valid_at`: without those that were revoked or had ended by then.
 */
export function listTokens(
  db: Database,
  page: Readonly<{ after?: string; limit?: number; user_id?: string; valid_at?: Date }> = {},
): Promise<Token[]> {
  return db
    .selectFrom("tokens")
    .select(columns)
    .where("id", ">", page.after ?? "")
    .where("client_id", "is", null)
    .$if(page.user_id !== undefined, (query) => query.where("user_id", "=", page.user_id ?? ""))
    .$if(page.valid_at !== undefined, (query) =>
      query
        .where("revoked_at", "is", null)
        .where((is) => is.or([is("expires_at", "is", null), is("expires_at", ">", page.valid_at ?? new Date())])),
    )
    .orderBy("id")
    .limit(page.limit ?? 200)
    .execute();
}

/** A token that is valid still. */
export async function getToken(db: Database, id: string, now: Date): Promise<Token | undefined> {
  const row = await db
    .selectFrom("tokens")
    .select(columns)
    .where("id", "=", id)
    .where("client_id", "is", null)
    .where("revoked_at", "is", null)
    .where((is) => is.or([is("expires_at", "is", null), is("expires_at", ">", now)]))
    .executeTakeFirst();
  return row;
}

/** Calls a token otherwise. */
export function renameToken(command: Command, token: Token, name: string): Promise<Token | Refusal> {
  return run<Token>(command, async (running) => {
    const refusal = await judge(running, name, token.role, null, null);
    if (refusal) return refusal;
    await running.db.updateTable("tokens").set({ name }).where("id", "=", token.id).execute();
    const renamed = { ...token, name };
    await log(running, { type: "system.api_token.update", targets: [target(renamed)], user_id: token.user_id });
    return renamed;
  });
}
