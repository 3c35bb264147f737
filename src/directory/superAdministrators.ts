/** Law: somebody is always left who can let others in again. Without a super administrator nothing at all can be changed. */

import type { UserStatus } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";

const shut_out: readonly UserStatus[] = ["STAGED", "SUSPENDED", "DEPROVISIONED"];

/**
 * Would nobody be left who can sign in as super administrator, were these no longer one, or shut out? Locks the rows of
 * all, so that two commands do not end each other's.
 */
export async function wouldEndAdministration(db: Database, user_ids: readonly string[]): Promise<boolean> {
  const { rows } = await sql<{ id: string; status: UserStatus }>`
    select id, status from users where super_admin order by id for no key update`.execute(db);
  return !rows.some(({ id, status }) => !user_ids.includes(id) && !shut_out.includes(status));
}

/** What the refusal says, by the login of the last one. */
export const lastAdministratorText = (login: string): string =>
  `${login} is the last super administrator who can sign in: make somebody else one first`;
