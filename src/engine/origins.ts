/**
 * Where a person's values come from, attribute by attribute: the row of the source that gives it, or who entered it and
 * when, as the log has it.
 *
 * Law: nothing is guessed. A source is named only for what its mapping gives; of everything else the last change in the
 * log is told. Called by explain.ts.
 */
import type { Profile, Value } from "../core/types.ts";
import { profileSources } from "../directory/sourced.ts";
import type { StoredUser } from "../directory/userQueries.ts";
import { type Database, sql } from "../store/database.ts";

/**
 * Where a user's value came from. `external_id`, `row`: the source's row, as it was last read. `by`, `at`: who entered a
 * value that no source gives, and when.
 */
export type Origin = Readonly<{
  attribute: string;
  value: Value;
  source: string;
  external_id: string | null;
  row: Profile | null;
  by: string | null;
  at: Date | null;
}>;

type Entry = Readonly<{ at: Date; by: string; created: boolean; imported: string | null }>;

/** Tells where these attributes of a person come from, in their order. */
export async function originsOf(
  db: Database,
  user: StoredUser,
  attributes: readonly string[],
): Promise<readonly Origin[]> {
  const source = (await profileSources(db, [user.id])).get(user.id);
  const row = source === undefined ? null : await rowOf(db, user.id, source.app_id);
  const entries = await lastEntries(db, user.id, attributes);
  return attributes.map((attribute) => {
    const value = user.profile[attribute] ?? null;
    const entry = entries.get(attribute);
    const later = entry !== undefined && entry.imported === null && entry.at > (source?.synced_at ?? entry.at);
    const told = { attribute, value, external_id: null, row: null, by: null, at: null };
    if (source?.attributes.has(attribute) && !later) {
      return { ...told, source: source.label, external_id: source.external_id, row };
    }
    if (entry === undefined || (value === null && entry.created)) return { ...told, source: "nobody has entered it" };
    return { ...told, source: wordsOf(entry), by: entry.by, at: entry.at };
  });
}

function wordsOf({ created, imported }: Entry): string {
  if (imported !== null) return `imported from ${imported}`;
  return created ? "entered when the person was created" : "entered by hand or over the API";
}

async function rowOf(db: Database, user_id: string, app_id: string): Promise<Profile | null> {
  const { rows } = await sql<{ row: Profile | null }>`
    select have->'profile' as row from accounts where user_id = ${user_id} and app_id = ${app_id}`.execute(db);
  return rows[0]?.row ?? null;
}

/** The last event that changed each attribute; of one that was never changed, that which created the person. */
async function lastEntries(
  db: Database,
  user_id: string,
  attributes: readonly string[],
): Promise<ReadonlyMap<string, Entry>> {
  const { rows } = await sql<Entry & { attribute: string }>`
    select distinct on (n.attribute) n.attribute, e.published_at as at, e.actor->>'name' as by,
      e.type = 'user.lifecycle.create' as created, s.label as imported
    from unnest(${[...attributes]}::text[]) as n(attribute)
    join events e on e.user_id = ${user_id} and (e.type = 'user.lifecycle.create'
      or e.type = 'user.account.update_profile' and e.detail->'changes' ? n.attribute)
    left join events c on c.seq = e.cause and c.type = 'system.import.start'
    left join apps s on s.id = c.app_id
    order by n.attribute, e.seq desc`.execute(db);
  return new Map(rows.map(({ attribute, ...entry }) => [attribute, entry]));
}
