/**
 * The password policy applied: may this person have this password, and had they it before? The policy itself is
 * core/passwordPolicy.ts, kept as the setting `password_policy`.
 *
 * Called by newUsers.ts, userLifecycle.ts (whoever sets a password) and signIn.ts (people who change their own).
 */
import { type PasswordPolicy, passwordFaults, policyOf } from "../core/passwordPolicy.ts";
import type { Profile, Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { type NewPassword, verifyPassword } from "./password.ts";
import { readSetting } from "./settings.ts";
import type { StoredUser } from "./userQueries.ts";

export const policy_setting = "password_policy";

/** What passwords must be here. */
export async function passwordPolicy(db: Database): Promise<PasswordPolicy> {
  return policyOf(await readSetting(db, policy_setting));
}

/** Why this person cannot have this password; a hash made elsewhere is believed. */
export function refusePassword(
  policy: PasswordPolicy,
  password: NewPassword | undefined,
  profile: Profile,
): Refusal | undefined {
  if (typeof password !== "string") return undefined;
  const faults = passwordFaults(policy, password, profile);
  if (faults.length === 0) return undefined;
  return {
    refused: `password: Password requirements were not met. Password requirements: ${faults.join(", ")}.`,
    code: "invalid",
    place: "password",
  };
}

/** Why a person cannot choose this password: it is one of their last ones. */
export async function refuseReused(
  db: Database,
  user: StoredUser,
  clear: string,
  { history }: PasswordPolicy,
): Promise<Refusal | undefined> {
  if (history === 0) return undefined;
  const { rows } = await sql<{ hash: string }>`
    select hash from password_history where user_id = ${user.id} order by replaced_at desc limit ${history - 1}`.execute(
    db,
  );
  const hashes = [
    ...(user.credentials.password_hash ? [user.credentials.password_hash] : []),
    ...rows.map((row) => row.hash),
  ];
  for (const hash of hashes) {
    if (await verifyPassword(clear, hash)) {
      const refused = `password: Password requirements were not met. Password requirements: none of your last ${history} passwords.`;
      return { refused, code: "invalid", place: "password" };
    }
  }
  return undefined;
}

const kept_max = 24;

/** Remembers the hashes that are about to be replaced, as many as a policy can ask for. */
export async function keepOldPasswords(db: Database, user_ids: readonly string[], now: Date): Promise<void> {
  await sql`
    with kept as (
      insert into password_history (user_id, hash, replaced_at)
      select id, credentials->>'password_hash', ${now}::timestamptz from users
      where id = any(${[...user_ids]}::text[]) and credentials ? 'password_hash'
    )
    delete from password_history h using (
      select ctid as place, row_number() over (partition by user_id order by replaced_at desc) as age
      from password_history where user_id = any(${[...user_ids]}::text[])) as old
    where h.ctid = old.place and old.age >= ${kept_max}`.execute(db);
}
