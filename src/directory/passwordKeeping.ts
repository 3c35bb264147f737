/**
 * A password on its way to apps: sealed for one hour where an app takes its people's passwords (provisioning.password
 * `sync`), so that the engine can deliver it after the command is over; nowhere else is a clear password kept.
 *
 * Called by users.ts and userLifecycle.ts. The engine opens it at { table: "users", row: user id, column: "password" }.
 */

import { sql } from "../store/database.ts";
import { type Key, type SecretPlace, seal } from "../store/secrets.ts";
import type { Running } from "./command.ts";

/** With the installation's key, a password is kept for the apps that wait for it; without, for nobody. */
export type PasswordKeeping = Readonly<{ key?: Key }>;

const kept_ms = 3_600_000;

/** Where a user's password waits for delivery. */
export const passwordPlace = (user_id: string): SecretPlace => ({ table: "users", row: user_id, column: "password" });

/** Seals the passwords if any app takes them. One statement, whatever their number. */
export async function keepPasswords(
  running: Running,
  { key }: PasswordKeeping,
  passwords: readonly Readonly<{ user_id: string; clear: string }>[],
): Promise<void> {
  if (key === undefined || passwords.length === 0) return;
  const lines = passwords.map(({ user_id, clear }) => ({
    user_id,
    sealed: seal(key, passwordPlace(user_id), clear).toString("base64"),
  }));
  const now = running.now();
  await sql`
    insert into secrets (table_name, row_id, column_name, key_id, sealed, expires_at, created_at)
    select 'users', p.user_id, 'password', ${key.id}, decode(p.sealed, 'base64'),
           ${new Date(now.getTime() + kept_ms)}::timestamptz, ${now}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as p(user_id text, sealed text)
    where exists (select from apps where status = 'ACTIVE' and provisioning->>'password' = 'sync')
    on conflict (table_name, row_id, column_name) do update
      set key_id = excluded.key_id, sealed = excluded.sealed, expires_at = excluded.expires_at`.execute(running.db);
}

/** Forgets passwords that wait for delivery, and those that were before: the person left, or was deleted. */
export async function forgetPasswords(running: Running, user_ids: readonly string[]): Promise<void> {
  await sql`delete from password_history where user_id = any(${[...user_ids]}::text[])`.execute(running.db);
  await sql`
    delete from secrets where table_name = 'users' and column_name = 'password'
      and row_id = any(${[...user_ids]}::text[])`.execute(running.db);
}
