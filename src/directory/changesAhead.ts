/**
 * What is known of a person's time to come: the changes that a source has told ahead and that the clock will make
 * (engine/times.ts). For people to look at; nothing is decided by it.
 */
import { sameValue } from "../core/diff.ts";
import { setOwn } from "../core/profile.ts";
import type { Profile, Value } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { StoredUser } from "./userQueries.ts";

/** `at`: when it is made. `source`: the label of the source that told it. `changes`: attributes with their values from then on; null clears. */
export type ChangeAhead = Readonly<{ at: Date; source: string | null; changes: Profile }>;

const shown_max = 100;

/** The changes that wait, the next first, a hundred at most; each as what it changes of all before it. */
export async function changesAhead(db: Database, user: Pick<StoredUser, "id" | "profile">): Promise<ChangeAhead[]> {
  const { rows } = await sql<{ at: Date; source: string | null; profile: Profile }>`
    select c.effective_at as at, a.label as source, c.profile
    from scheduled_changes c left join apps a on a.id = c.source_id
    where c.user_id = ${user.id} order by c.effective_at, c.id limit ${shown_max}`.execute(db);
  const known: Record<string, Value> = { ...user.profile };
  return rows.map(({ at, source, profile }) => {
    const moved = Object.entries(profile).filter(([name, value]) => !sameValue(known[name] ?? null, value ?? null));
    const changes: Record<string, Value> = {};
    for (const [name, value] of moved) {
      setOwn(changes, name, value);
      setOwn(known, name, value);
    }
    return { at, source, changes };
  });
}
