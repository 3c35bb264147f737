/** Grants in words: the names behind the ids of an account's reasons, for previews and explanations. */
import type { AccountGrant } from "../core/desired.ts";
import type { GrantKind } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";

/** One way a membership was given. */
export type Giver = Readonly<{ kind: GrantKind; source_id: string; name: string; expression: string | null }>;

/** How a person is in a group. */
export type Membership = NonNullable<AccountGrant["membership"]>;

/** Why an account is wanted: by whom or by which group, and why the user is in that group. */
export type Reason = Readonly<{
  scope: "USER" | "GROUP";
  source_id: string;
  name: string;
  priority: number | null;
  membership: readonly Giver[];
}>;

/** Looks the names up for memberships; gives the function that words the grants of one. */
export async function nameGivers(
  db: Database,
  memberships: readonly Membership[],
): Promise<(membership: Membership) => readonly Giver[]> {
  // The group itself is not asked for: its grant is the way in which memberships are worded.
  const grantOf = (membership: Membership) => ({ scope: "GROUP", kind: "group", source_id: "", membership }) as const;
  const worded = await nameReasons(db, memberships.map(grantOf));
  return (membership) => worded(grantOf(membership)).membership;
}

/** Looks the names up in a handful of queries; gives the function that words a grant. */
export async function nameReasons(
  db: Database,
  grants: readonly AccountGrant[],
): Promise<(grant: AccountGrant) => Reason> {
  const ids = new Set(
    grants.flatMap((grant) => [grant.source_id, ...(grant.membership ?? []).map((m) => m.source_id)]),
  );
  const list = sql`any(${[...ids]}::text[])`;
  const { rows } = await sql<{ id: string; name: string; expression: string | null }>`
    select id, profile->>'name' as name, null as expression from groups where id = ${list}
    union all select id, name, expression from rules where id = ${list}
    union all select id, label, null from apps where id = ${list}
    union all select id, login, null from users where id = ${list}
    union all select id, name, null from tokens where id = ${list}`.execute(db);
  const named = new Map(rows.map((row) => [row.id, row]));
  const name = (id: string) => named.get(id)?.name ?? id;
  return (grant) => ({
    scope: grant.scope,
    source_id: grant.source_id,
    name: name(grant.source_id),
    priority: grant.priority ?? null,
    membership: (grant.membership ?? []).map((giver) => ({
      kind: giver.kind,
      source_id: giver.source_id,
      name: name(giver.source_id),
      expression: named.get(giver.source_id)?.expression ?? null,
    })),
  });
}
