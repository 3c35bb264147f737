/**
 * Who else must be computed again when a person changes: those whose mappings or rules read that person as their
 * manager, assistant or another person around them. Okta does not do this (okta-lifecycle 5.1), and a new manager name
 * never arrives.
 *
 * Called by users.ts after every change of a profile, and before a deletion.
 */
import type { Profile } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";

/** A changed person. `profiles`: before and after, for either may be what others point at. */
export type ChangedPerson = Readonly<{ id: string; profiles: readonly Profile[] }>;

/** `user_id` must be computed again because a mapping or rule of theirs reads the person `reads`. */
export type Dependent = Readonly<{ user_id: string; reads: string }>;

/** Names by which an expression reaches a person around the user. */
const reaches = "getManager|getAssistant|getLinkedObject";

/**
 * The live people whose `managerId` is one of these people's id, login or employee number, if any expression asks; and
 * those who are linked to one of them.
 */
export async function dependents(db: Database, changed: readonly ChangedPerson[]): Promise<readonly Dependent[]> {
  if (changed.length === 0) return [];
  const keys = changed.flatMap(({ id, profiles }) => {
    const own = profiles.flatMap((profile) => [profile["login"], profile["employeeNumber"]]);
    const lower = profiles.map((profile) => String(profile["login"] ?? id).toLowerCase());
    return [...new Set([id, ...own, ...lower])].filter((key) => typeof key === "string").map((key) => ({ id, key }));
  });
  const { rows } = await sql<Dependent>`
    select distinct on (user_id) user_id, reads from (
      select u.id as user_id, k.id as reads
      from jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as k(id text, key text)
      join users u on u.profile ? 'managerId' and u.profile->>'managerId' = k.key and u.status <> 'DEPROVISIONED'
      where exists (select from mappings where lines::text ~ ${reaches})
         or exists (select from rules where status = 'ACTIVE' and expression ~ ${reaches})
      union all
      select associated_id, primary_id from linked_values
      where primary_id = any(${changed.map(({ id }) => id)}::text[])) as found
    order by user_id`.execute(db);
  return rows;
}

/**
 * Who names one of these new people as their manager already: they came first. Of a first import nobody asks, unless an
 * expression does.
 */
export async function dependentsOfNew(
  db: Database,
  created: readonly Readonly<{ id: string; profile: Profile }>[],
): Promise<readonly Dependent[]> {
  if (created.length === 0) return [];
  const { rows } = await sql<{ asked: boolean }>`
    select exists (select from mappings where lines::text ~ ${reaches})
      or exists (select from rules where status = 'ACTIVE' and expression ~ ${reaches}) as asked`.execute(db);
  if (rows[0]?.asked !== true) return [];
  return dependents(
    db,
    created.map(({ id, profile }) => ({ id, profiles: [profile] })),
  );
}
