/**
 * The signing keys of apps, and requests for certificates over new ones.
 *
 * Laws: every app has the id of its key from the first moment (`apps.signing_kid`) and the key itself when somebody first
 * asks, so that making an app stays fast; two who ask at once get the same key. Private parts are sealed and never read
 * back out. A copy of a key in another app has the same id, as in Okta. Keys are made outside transactions.
 *
 * Called by the server (okta/appKeys.ts, appCsrs.ts, samlMetadata.ts).
 */
import type { Selectable } from "kysely";
import type { Refusal } from "../core/types.ts";
import type { AppKeyRow } from "../store/apiTables.ts";
import { type Database, isRefusal, sql } from "../store/database.ts";
import { getSecret, type Key, putSecret, type SecretPlace } from "../store/secrets.ts";
import type { Tables, Target } from "../store/tables.ts";
import type { App } from "./apps.ts";
import {
  certificateFor,
  certificateRequest,
  type NewKey,
  newKey,
  type PublicPart,
  type Subject,
  selfSigned,
} from "./certificates.ts";
import { type Command, log, type Running, run } from "./command.ts";
import { readSetting } from "./settings.ts";

export type AppKey = Selectable<AppKeyRow>;
export type Csr = Selectable<Tables["app_csrs"]>;

/** An app as far as its keys are concerned. */
type Keyed = Pick<App, "id" | "label" | "signing_kid">;

/** An app holds no more keys and open requests than this. */
const keys_max = 50;
const first_years = 10;

const keyPlace = (app_id: string, kid: string): SecretPlace => ({
  table: "app_keys",
  row: `${app_id}/${kid}`,
  column: "private_key",
});
const csrPlace = (app_id: string, id: string): SecretPlace => ({
  table: "app_csrs",
  row: `${app_id}/${id}`,
  column: "private_key",
});
const targets = (app: Keyed, kid: string): Target[] => [
  { id: app.id, type: "AppInstance", name: app.label },
  { id: kid, type: "AppKey", name: kid },
];

/** All keys of an app, oldest first; makes its first one. */
export async function listAppKeys(command: Command, key: Key, app: Keyed): Promise<readonly AppKey[] | Refusal> {
  const made = await makeFirstKey(command, key, app);
  if (isRefusal(made)) return made;
  return keysOf(command.db, app.id);
}

/** One key of an app, or undefined; makes the app's first one. */
export async function readAppKey(
  command: Command,
  key: Key,
  app: Keyed,
  kid: string,
): Promise<AppKey | undefined | Refusal> {
  const keys = await listAppKeys(command, key, app);
  return isRefusal(keys) ? keys : keys.find((one) => one.kid === kid);
}

function keysOf(db: Database, app_id: string): Promise<readonly AppKey[]> {
  return db
    .selectFrom("app_keys")
    .selectAll()
    .where("app_id", "=", app_id)
    .orderBy("created_at")
    .orderBy("kid")
    .execute();
}

/** Makes the key that the app has been promised, unless it is there. Also of an app whose last key was another app's. */
async function makeFirstKey(command: Command, key: Key, app: Keyed): Promise<"there" | Refusal> {
  const known = await command.db
    .selectFrom("app_keys")
    .select("kid")
    .where("app_id", "=", app.id)
    .where("kid", "=", app.signing_kid)
    .executeTakeFirst();
  if (known) return "there";
  const made = await newKey();
  return run<"there">(command, async (running) => {
    const kept = await keepKey(running, key, app, made, { kid: app.signing_kid, years: first_years });
    return isRefusal(kept) ? kept : "there";
  });
}

/** Makes another key with a certificate for 2 to 10 years. The app goes on signing with the one that it uses. */
export async function generateAppKey(command: Command, key: Key, app: Keyed, years: number): Promise<AppKey | Refusal> {
  if (!Number.isInteger(years) || years < 2 || years > 10) {
    return {
      refused: "validityYears: a certificate is made for 2 to 10 years",
      code: "invalid",
      place: "validityYears",
    };
  }
  const made = await newKey();
  return run<AppKey>(command, async (running) => {
    const full = await tooMany(running, "app_keys", app);
    if (full) return full;
    const kept = await keepKey(running, key, app, made, { kid: await freshKid(running.db), years });
    if (isRefusal(kept)) return kept;
    await log(running, { type: "app.keys.generate", app_id: app.id, targets: targets(app, kept.kid) });
    return kept;
  });
}

/** Copies a key to another app, under the same id. */
export function cloneAppKey(
  command: Command,
  key: Key,
  app: Keyed,
  kid: string,
  target: Keyed,
): Promise<AppKey | Refusal> {
  return run<AppKey>(command, async (running) => {
    const { rows } = await sql<AppKey>`
      insert into app_keys (app_id, kid, modulus, exponent, certificate, expires_at, created_at, updated_at)
      select ${target.id}, kid, modulus, exponent, certificate, expires_at, created_at, updated_at
      from app_keys where app_id = ${app.id} and kid = ${kid}
      on conflict do nothing returning *`.execute(running.db);
    const [copy] = rows;
    if (copy === undefined) {
      const there = (await keysOf(running.db, target.id)).some((one) => one.kid === kid);
      return there
        ? { refused: `${target.label} has this key already`, code: "duplicate", place: "targetAid" }
        : { refused: `${app.label} has no key ${kid}`, code: "not_found", place: kid };
    }
    const full = await tooMany(running, "app_keys", target);
    if (full) return full;
    const private_pem = await getSecret(running.db, key, keyPlace(app.id, kid), running.now());
    if (private_pem !== undefined) await putSecret(running.db, key, keyPlace(target.id, kid), private_pem);
    await log(running, { type: "app.keys.clone", app_id: target.id, targets: targets(target, kid) });
    return copy;
  });
}

async function keepKey(
  running: Running,
  key: Key,
  app: Keyed,
  made: NewKey,
  wish: Readonly<{ kid: string; years: number }>,
): Promise<AppKey | Refusal> {
  const subject = await subjectOf(running.db, app);
  const { certificate, expires_at } = selfSigned(made, subject, running.now(), wish.years);
  return storeKey(running, key, app, { ...made, kid: wish.kid, certificate, expires_at });
}

type StoredParts = NewKey & Readonly<{ kid: string; certificate: string; expires_at: Date }>;

/** Keeps a key and seals its private part; gives the one that was there, if somebody was faster. */
async function storeKey(running: Running, key: Key, app: Keyed, parts: StoredParts): Promise<AppKey | Refusal> {
  const { kid, modulus, exponent, certificate, expires_at, private_pem } = parts;
  const now = running.now();
  const { rows } = await sql<AppKey>`
    insert into app_keys (app_id, kid, modulus, exponent, certificate, expires_at, created_at, updated_at)
    select id, ${kid}, ${modulus}, ${exponent}, ${certificate}, ${expires_at}::timestamptz, ${now}::timestamptz, ${now}::timestamptz
    from apps where id = ${app.id}
    on conflict do nothing returning *`.execute(running.db);
  if (rows[0] !== undefined) {
    await putSecret(running.db, key, keyPlace(app.id, kid), private_pem);
    return rows[0];
  }
  const there = (await keysOf(running.db, app.id)).find((one) => one.kid === kid);
  return there ?? { refused: `there is no app ${app.id}`, code: "not_found", place: app.id };
}

/** Whom a certificate names: the company, and which app it is for. Each part holds 64 characters at most (X.520). */
async function subjectOf(db: Database, app: Keyed): Promise<Subject> {
  const company = await readSetting(db, "company_name");
  return {
    organizationName: (typeof company === "string" && company !== "" ? company : "Tenure").slice(0, 64),
    organizationalUnitName: "SSOProvider",
    commonName: app.id,
  };
}

async function freshKid(db: Database): Promise<string> {
  const { rows } = await sql<{ kid: string }>`select new_kid() as kid`.execute(db);
  return rows[0]?.kid ?? "";
}

async function tooMany(running: Running, table: "app_keys" | "app_csrs", app: Keyed): Promise<Refusal | undefined> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from ${sql.table(table)} where app_id = ${app.id}`.execute(running.db);
  if ((rows[0]?.n ?? 0) < keys_max) return undefined;
  const what = table === "app_keys" ? "keys" : "open certificate requests";
  return { refused: `${app.label} has ${keys_max} ${what}: no more fit`, code: "too_large", place: "credentials" };
}

/** Makes a key and a request that somebody else is to certify. */
export async function createCsr(
  command: Command,
  key: Key,
  app: Keyed,
  subject: Subject,
  dns_names: readonly string[],
): Promise<Csr | Refusal> {
  const made = await newKey();
  const request = certificateRequest(made, subject, dns_names);
  return run<Csr>(command, async (running) => {
    const full = await tooMany(running, "app_csrs", app);
    if (full) return full;
    const { rows } = await sql<Csr>`
      insert into app_csrs (app_id, request, modulus, exponent, created_at)
      values (${app.id}, ${request}, ${made.modulus}, ${made.exponent}, ${running.now()}::timestamptz)
      returning *`.execute(running.db);
    const csr = rows[0] as Csr;
    await putSecret(running.db, key, csrPlace(app.id, csr.id), made.private_pem);
    await log(running, { type: "app.keys.csr.generate", app_id: app.id, targets: targets(app, csr.id) });
    return csr;
  });
}

/** The open certificate requests of an app, oldest first. */
export function listCsrs(db: Database, app_id: string): Promise<readonly Csr[]> {
  return db
    .selectFrom("app_csrs")
    .selectAll()
    .where("app_id", "=", app_id)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
}

/** Ends a request, with its key. False: there was none. */
export function revokeCsr(command: Command, app: Keyed, id: string): Promise<boolean | Refusal> {
  return run<boolean>(command, async (running) => {
    const gone = await takeCsr(running, app, id);
    if (gone === undefined) return false;
    await log(running, { type: "app.keys.csr.revoke", app_id: app.id, targets: targets(app, id) });
    return true;
  });
}

/** Takes the certificate that came back: the request becomes a key of the app. `certificate`: PEM, DER, or its base64. */
export function publishCsr(
  command: Command,
  key: Key,
  app: Keyed,
  id: string,
  certificate: Buffer,
): Promise<AppKey | Refusal> {
  return run<AppKey>(command, async (running) => {
    const private_pem = await getSecret(running.db, key, csrPlace(app.id, id), running.now());
    const csr = await takeCsr(running, app, id);
    if (csr === undefined || private_pem === undefined)
      return { refused: `${app.label} has no certificate request ${id}`, code: "not_found", place: id };
    const part: PublicPart = { modulus: csr.modulus, exponent: csr.exponent };
    const judged = certificateFor(certificate, part);
    if (isRefusal(judged)) return judged;
    const full = await tooMany(running, "app_keys", app);
    if (full) return full;
    const kept = await storeKey(running, key, app, { ...part, ...judged, kid: id, private_pem });
    if (isRefusal(kept)) return kept;
    await log(running, { type: "app.keys.csr.publish", app_id: app.id, targets: targets(app, kept.kid) });
    return kept;
  });
}

function takeCsr(running: Running, app: Keyed, id: string): Promise<Csr | undefined> {
  return running.db
    .deleteFrom("app_csrs")
    .where("app_id", "=", app.id)
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirst();
}
