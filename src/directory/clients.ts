/**
 * Apps as OAuth clients: who they are to a token endpoint, and what proves it. A client's settings (how it signs in, its
 * public keys) are part of what the API keeps of its app; its secrets and the scopes it was granted are rows.
 *
 * Laws: a secret is kept sealed, to be shown to who may see it, and hashed, to be compared; a client has two secrets at
 * most and keeps the last active one; a scope is granted once.
 *
 * Called by the server: `clientOf` by the token endpoint, the rest by okta/clientSecrets.ts, clientKeys.ts, clientGrants.ts.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Selectable } from "kysely";
import type { Refusal, Value } from "../core/types.ts";
import type { ClientGrantRow, ClientSecretRow } from "../store/apiTables.ts";
import { type Database, isRefusal, sql } from "../store/database.ts";
import { getSecret, type Key, putSecret, type SecretPlace } from "../store/secrets.ts";
import type { Target } from "../store/tables.ts";
import type { App } from "./apps.ts";
import { type Command, log, type Running, run } from "./command.ts";

/** A public key of a client, as RFC 7517 has it. */
export type Jwk = Readonly<{ kty: string; kid?: string; use?: string; alg?: string; [member: string]: unknown }>;

/** What a token endpoint needs to know of a client. */
export type Client = Readonly<{
  app_id: string;
  client_id: string;
  label: string;
  /** Its app is switched on. */
  active: boolean;
  /** client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, none. */
  auth_method: string;
  grant_types: readonly string[];
  /** It must prove possession of a key (DPoP) with every token. */
  dpop_bound: boolean;
  /** Its active public keys for signatures. */
  jwks: readonly Jwk[];
  /** Its active secrets' hashes; see `secretFits`. */
  secrets: readonly Readonly<{ id: string; hash: string }>[];
  granted_scopes: readonly string[];
}>;

export type ClientSecret = Selectable<ClientSecretRow>;
export type ClientGrant = Selectable<ClientGrantRow>;

const secrets_max = 2;
const grants_max = 500;
/** Okta's bounds of a secret that somebody else made up. */
const secret_form = /^[\x21-\x7e]{14,100}$/;
const scope_form = /^[A-Za-z][\w.:-]{0,199}$/;

/** The client with this id; undefined when no app is it. One statement. */
export async function clientOf(db: Database, client_id: string): Promise<Client | undefined> {
  type Row = Omit<Client, "jwks"> & { keys: unknown };
  const { rows } = await sql<Row>`
    select a.id as app_id, a.client_id, a.label, a.status = 'ACTIVE' as active,
      coalesce(a.settings#>>'{credentials,oauthClient,token_endpoint_auth_method}', 'client_secret_basic') as auth_method,
      coalesce(a.settings#>'{settings,oauthClient,grant_types}', '[]') as grant_types,
      coalesce(a.settings#>'{settings,oauthClient,dpop_bound_access_tokens}' = 'true', false) as dpop_bound,
      a.settings#>'{settings,oauthClient,jwks,keys}' as keys,
      (select coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'hash', s.hash) order by s.id), '[]')
        from client_secrets s where s.app_id = a.id and s.status = 'ACTIVE') as secrets,
      (select coalesce(jsonb_agg(g.scope order by g.scope), '[]') from client_grants g where g.app_id = a.id) as granted_scopes
    from apps a where a.client_id = ${client_id}`.execute(db);
  const [row] = rows;
  if (row === undefined) return undefined;
  const { keys, ...client } = row;
  const usable = (key: StoredJwk) => key.status !== "INACTIVE" && (key.use ?? "sig") === "sig";
  return {
    ...client,
    grant_types: Array.isArray(client.grant_types) ? client.grant_types : [],
    jwks: Array.isArray(keys) ? (keys as StoredJwk[]).filter(usable) : [],
  };
}

type StoredJwk = Jwk & Readonly<{ status?: string }>;

/** Is this one of the client's active secrets? Takes the same time whichever letter is wrong. */
export function secretFits(client: Pick<Client, "secrets">, given: string): boolean {
  const hash = Buffer.from(hashOf(given));
  return client.secrets.reduce((fits, one) => {
    const kept = Buffer.from(one.hash);
    return (kept.length === hash.length && timingSafeEqual(kept, hash)) || fits;
  }, false);
}

const hashOf = (secret: string) => createHash("sha256").update(secret).digest("base64url");

/** What of a client is public: to tell its secrets apart without showing them. */
export const shortHash = ({ hash }: Pick<ClientSecret, "hash">) => hash.slice(0, 22);

/** Does a client that signs in like this have a secret? */
export function needsSecret(auth_method: Value | undefined): boolean {
  return auth_method !== "none" && auth_method !== "private_key_jwt";
}

const place = (id: string): SecretPlace => ({ table: "client_secrets", row: id, column: "secret" });

type ClientApp = Pick<App, "id" | "label">;
const targets = (app: ClientApp, id: string, type: Target["type"], name: string): Target[] => [
  { id: app.id, type: "AppInstance", name: app.label },
  { id, type, name },
];

/** A secret with its text. */
export type OpenSecret = ClientSecret & Readonly<{ secret: string }>;

/** The secrets of a client, oldest first, with their texts. */
export async function listSecrets(db: Database, key: Key, app_id: string, now: Date): Promise<readonly OpenSecret[]> {
  const rows = await db
    .selectFrom("client_secrets")
    .selectAll()
    .where("app_id", "=", app_id)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
  return Promise.all(
    rows.map(async (row) => ({ ...row, secret: (await getSecret(db, key, place(row.id), now)) ?? "" })),
  );
}

/** Says in the log that somebody looked at secrets. */
export async function noteSecretsRead(command: Command, app: ClientApp): Promise<void> {
  await log(command, {
    type: "app.oauth2.credentials.read",
    app_id: app.id,
    targets: [{ id: app.id, type: "AppInstance", name: app.label }],
  });
}

/** Gives a client one more secret: this one, or a random one. */
export function addSecret(
  command: Command,
  key: Key,
  app: ClientApp,
  wish: Readonly<{ secret?: string | undefined; active?: boolean }> = {},
): Promise<OpenSecret | Refusal> {
  return run<OpenSecret>(command, async (running) => {
    const malformed = wish.secret === undefined ? undefined : secretProblem(wish.secret);
    if (malformed) return malformed;
    const held = await lockSecrets(running, app.id);
    if (held.length >= secrets_max) {
      return {
        refused: `${app.label} has ${secrets_max} client secrets: delete one before another is made`,
        code: "too_large",
        place: "client_secret",
      };
    }
    const secret = wish.secret ?? randomBytes(48).toString("base64url");
    const now = running.now();
    const row = await running.db
      .insertInto("client_secrets")
      .values({
        app_id: app.id,
        status: wish.active === false ? "INACTIVE" : "ACTIVE",
        hash: hashOf(secret),
        created_at: now,
        updated_at: now,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    await putSecret(running.db, key, place(row.id), secret);
    await logSecret(running, app, row, "create");
    return { ...row, secret };
  });
}

/** Makes this the client's secret: one it has already, or in place of its newest. */
export function setSecret(command: Command, key: Key, app: ClientApp, secret: string): Promise<"set" | Refusal> {
  return run<"set">(command, async (running) => {
    const malformed = secretProblem(secret);
    if (malformed) return malformed;
    const held = await lockSecrets(running, app.id);
    const hash = hashOf(secret);
    if (held.some((one) => one.hash === hash && one.status === "ACTIVE")) return "set";
    const replaced = held.at(-1);
    if (replaced !== undefined) {
      await running.db.deleteFrom("client_secrets").where("id", "=", replaced.id).execute();
      await logSecret(running, app, replaced, "delete");
    }
    const made = await addSecret(running, key, app, { secret });
    return isRefusal(made) ? made : "set";
  });
}

/** Makes a secret for a client that signs in with one and has none. */
export async function keepASecret(
  running: Running,
  key: Key,
  app: ClientApp,
  auth_method: Value | undefined,
): Promise<"kept" | Refusal> {
  if (!needsSecret(auth_method) || (await lockSecrets(running, app.id)).length > 0) return "kept";
  const made = await addSecret(running, key, app);
  return isRefusal(made) ? made : "kept";
}

/** Switches a secret. The last active one stays: the client could not sign in any more. */
export function switchSecret(
  command: Command,
  app: ClientApp,
  id: string,
  status: ClientSecret["status"],
): Promise<ClientSecret | Refusal> {
  return run<ClientSecret>(command, async (running) => {
    const held = await lockSecrets(running, app.id);
    const before = held.find((one) => one.id === id);
    if (before === undefined) return noSecret(id);
    if (before.status === status) return before;
    if (status === "INACTIVE" && held.filter((one) => one.status === "ACTIVE").length === 1) {
      return {
        refused: `${app.label} has no other active client secret: make or activate one before this is deactivated`,
        code: "invalid",
        place: "client_secret",
      };
    }
    const after = await running.db
      .updateTable("client_secrets")
      .set({ status, updated_at: running.now() })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await logSecret(running, app, after, status === "ACTIVE" ? "activate" : "deactivate");
    return after;
  });
}

/** Deletes a secret that is switched off. */
export function deleteSecret(command: Command, app: ClientApp, id: string): Promise<ClientSecret | Refusal> {
  return run<ClientSecret>(command, async (running) => {
    const before = (await lockSecrets(running, app.id)).find((one) => one.id === id);
    if (before === undefined) return noSecret(id);
    if (before.status === "ACTIVE") {
      return {
        refused: "an active client secret is not deleted: deactivate it first",
        code: "invalid",
        place: "client_secret",
      };
    }
    await running.db.deleteFrom("client_secrets").where("id", "=", id).execute();
    await logSecret(running, app, before, "delete");
    return before;
  });
}

/** Oldest first; the app's row is what two commands wait for, so that they count the same secrets. */
async function lockSecrets(running: Running, app_id: string): Promise<readonly ClientSecret[]> {
  await sql`select 1 from apps where id = ${app_id} for no key update`.execute(running.db);
  return running.db
    .selectFrom("client_secrets")
    .selectAll()
    .where("app_id", "=", app_id)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
}

function secretProblem(secret: string): Refusal | undefined {
  if (secret_form.test(secret)) return undefined;
  return {
    refused: "client_secret: takes 14 to 100 letters, digits and signs without spaces",
    code: "invalid",
    place: "client_secret",
  };
}

const noSecret = (id: string): Refusal => ({
  refused: `there is no client secret ${id}`,
  code: "not_found",
  place: id,
});

async function logSecret(running: Running, app: ClientApp, { id, hash }: ClientSecret, verb: string): Promise<void> {
  await log(running, {
    type: `app.oauth2.credentials.lifecycle.${verb}`,
    app_id: app.id,
    targets: targets(app, id, "ClientSecret", shortHash({ hash })),
  });
}

/** The scopes that a client was granted, oldest first. */
export function listGrants(db: Database, app_id: string): Promise<readonly ClientGrant[]> {
  return db
    .selectFrom("client_grants")
    .selectAll()
    .where("app_id", "=", app_id)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
}

/** Grants a scope; one that was granted is given back as it is. */
export function grantScope(
  command: Command,
  app: ClientApp,
  wish: Readonly<{ scope: string; issuer: string }>,
): Promise<ClientGrant | Refusal> {
  return run<ClientGrant>(command, async (running) => {
    if (!scope_form.test(wish.scope)) {
      return { refused: "scopeId: names a scope, as in okta.users.read", code: "invalid", place: "scopeId" };
    }
    await sql`select 1 from apps where id = ${app.id} for no key update`.execute(running.db);
    const held = await listGrants(running.db, app.id);
    const known = held.find((one) => one.scope === wish.scope);
    if (known) return known;
    if (held.length >= grants_max) {
      return { refused: `${app.label} has ${grants_max} grants: no more fit`, code: "too_large", place: "scopeId" };
    }
    const now = running.now();
    const grant = await running.db
      .insertInto("client_grants")
      .values({
        ...{ app_id: app.id, scope: wish.scope, issuer: wish.issuer, created_at: now, updated_at: now },
        ...{ created_by: running.actor.id, created_by_type: running.actor.type },
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    await log(running, {
      type: "app.oauth2.admin.consent.grant",
      app_id: app.id,
      targets: targets(app, grant.id, "ClientGrant", grant.scope),
    });
    return grant;
  });
}

/** Takes a scope away. False: it was not granted. */
export function revokeGrant(command: Command, app: ClientApp, id: string): Promise<boolean | Refusal> {
  return run<boolean>(command, async (running) => {
    const gone = await running.db
      .deleteFrom("client_grants")
      .where("id", "=", id)
      .where("app_id", "=", app.id)
      .returningAll()
      .executeTakeFirst();
    if (gone === undefined) return false;
    await log(running, {
      type: "app.oauth2.admin.consent.revoke",
      app_id: app.id,
      targets: targets(app, id, "ClientGrant", gone.scope),
    });
    return true;
  });
}
