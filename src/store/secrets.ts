/**
 * Secrets at rest: connector credentials, and a password on its way to an app. AES-256-GCM; the additional data binds
 * table, row and column, so a sealed value moved elsewhere does not open. The key comes from TENURE_KEY (32 bytes in
 * base64 or hex) or from a 0600 file in the data folder, made at first start.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "./database.ts";

/** Where a secret lives; part of what is authenticated. */
export type SecretPlace = Readonly<{ table: string; row: string; column: string }>;

/** An opened key; `id` names it in the table, so that keys can be rotated. */
export type Key = Readonly<{ id: string; bytes: Buffer }>;

const keyOf = (bytes: Buffer): Key => ({ id: createHash("sha256").update(bytes).digest("hex").slice(0, 12), bytes });

/**
 * The key of this installation.
 *
 * @param data_folder holds the key file when TENURE_KEY is not set.
 * @throws Error when TENURE_KEY is not 32 bytes, saying how to make one.
 */
export function openKey(data_folder: string, env: Readonly<Record<string, string | undefined>> = process.env): Key {
  const given = env["TENURE_KEY"];
  if (given !== undefined && given !== "") {
    const bytes = /^[0-9a-f]{64}$/i.test(given) ? Buffer.from(given, "hex") : Buffer.from(given, "base64");
    if (bytes.length !== 32) throw new Error("TENURE_KEY must be 32 bytes in base64 or hex: openssl rand -base64 32");
    return keyOf(bytes);
  }
  const file = join(data_folder, "secret.key");
  if (!existsSync(file)) {
    mkdirSync(data_folder, { recursive: true });
    try {
      writeFileSync(file, randomBytes(32).toString("base64"), { mode: 0o600, flag: "wx" });
    } catch (error) {
      // Another node of this installation made it first.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    chmodSync(file, 0o600);
  }
  const bytes = Buffer.from(readFileSync(file, "utf8").trim(), "base64");
  if (bytes.length !== 32) throw new Error(`${file} does not hold a 32-byte key; restore it from a backup`);
  return keyOf(bytes);
}

const aad = (place: SecretPlace) => Buffer.from(`${place.table}\0${place.row}\0${place.column}`);

/** Seals a text for one place: nonce, tag, ciphertext. */
export function seal(key: Key, place: SecretPlace, clear: string): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key.bytes, nonce).setAAD(aad(place));
  const body = Buffer.concat([cipher.update(clear, "utf8"), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}

/** Opens what `seal` made. @throws Error when the key, the place or the bytes are not those it was sealed with. */
export function unseal(key: Key, place: SecretPlace, sealed: Uint8Array): string {
  const bytes = Buffer.from(sealed);
  const opener = createDecipheriv("aes-256-gcm", key.bytes, bytes.subarray(0, 12)).setAAD(aad(place));
  opener.setAuthTag(bytes.subarray(12, 28));
  return Buffer.concat([opener.update(bytes.subarray(28)), opener.final()]).toString("utf8");
}

/** Keeps a secret, replacing the one that was there. `expires_at`: after it the secret is as if it were not. */
export async function putSecret(
  db: Database,
  key: Key,
  place: SecretPlace,
  clear: string,
  expires_at: Date | null = null,
): Promise<void> {
  await sql`
    insert into secrets (table_name, row_id, column_name, key_id, sealed, expires_at)
    values (${place.table}, ${place.row}, ${place.column}, ${key.id}, ${seal(key, place, clear)}, ${expires_at}::timestamptz)
    on conflict (table_name, row_id, column_name) do update
      set key_id = excluded.key_id, sealed = excluded.sealed, expires_at = excluded.expires_at`.execute(db);
}

/** The secret of a place, or undefined. @throws Error when it was sealed with another key. */
export async function getSecret(db: Database, key: Key, place: SecretPlace, now: Date): Promise<string | undefined> {
  const { rows } = await sql<{ key_id: string; sealed: Uint8Array }>`
    select key_id, sealed from secrets
    where table_name = ${place.table} and row_id = ${place.row} and column_name = ${place.column}
      and (expires_at is null or expires_at > ${now}::timestamptz)`.execute(db);
  const row = rows[0];
  if (row === undefined) return undefined;
  if (row.key_id !== key.id) {
    throw new Error(
      `the secret of ${place.table} ${place.row} was sealed with key ${row.key_id}, this node has ${key.id}: start it with the same TENURE_KEY or secret.key`,
    );
  }
  return unseal(key, place, row.sealed);
}

const check: SecretPlace = { table: "secrets", row: "key", column: "check" };

/**
 * Is this the key that the database's secrets were sealed with? The first node to start seals a value with it. Gives why
 * not, or undefined: with another key every call to every app would fail, one by one.
 */
export async function judgeKey(db: Database, key: Key): Promise<Refusal | undefined> {
  await sql`
    insert into secrets (table_name, row_id, column_name, key_id, sealed)
    select ${check.table}, ${check.row}, ${check.column}, ${key.id}, ${seal(key, check, "tenure")}
    where not exists (select from secrets) on conflict do nothing`.execute(db);
  const { rows } = await sql<{ key_id: string }>`
    select key_id from secrets where key_id <> ${key.id} limit 1`.execute(db);
  const [other] = rows;
  if (other === undefined) return undefined;
  return {
    refused: `the database's secrets were sealed with key ${other.key_id}, and this node has ${key.id}: start it with the same TENURE_KEY or secret.key as before`,
    code: "invalid",
    place: "TENURE_KEY",
  };
}

/** Forgets a place's secret; none there is fine. */
export async function dropSecret(db: Database, place: SecretPlace): Promise<void> {
  await sql`delete from secrets where table_name = ${place.table} and row_id = ${place.row} and column_name = ${place.column}`.execute(
    db,
  );
}

/** Forgets every secret of a place's row. */
export async function dropSecretsOf(db: Database, { table, row }: Omit<SecretPlace, "column">): Promise<void> {
  await sql`delete from secrets where table_name = ${table} and row_id = ${row}`.execute(db);
}
