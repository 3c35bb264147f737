/**
 * Attributes that come from a source: whoever wants to change one by hand is told where to change it (okta-lifecycle 4.2:
 * sourced attributes are read-only here). What is entered twice would be true until the next import at best.
 *
 * Law: the first of a person's active sources decides, as for imports, and only what its mapping gives on every import is
 * its own. Called by users.ts, and by explain to say where a value comes from.
 */
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { loadMappings } from "./mappings.ts";

/** The source that decides about a person, the row there, and the attributes of users that it gives. */
export type ProfileSource = Readonly<{
  app_id: string;
  label: string;
  external_id: string | null;
  synced_at: Date | null;
  attributes: ReadonlySet<string>;
}>;

/** Each person's profile source, by user id; whoever has none is not in it. */
export async function profileSources(
  db: Database,
  user_ids: readonly string[],
): Promise<ReadonlyMap<string, ProfileSource>> {
  if (user_ids.length === 0) return new Map();
  const { rows } = await sql<
    Omit<ProfileSource, "attributes"> & { user_id: string; every_job: Readonly<Record<string, string>> | null }
  >`
    select distinct on (a.user_id) a.user_id, a.app_id, s.label, a.external_id, a.synced_at,
      s.sourcing->'every_job' as every_job
    from accounts a join apps s on s.id = a.app_id
    where a.user_id = any(${[...user_ids]}::text[]) and s.sourcing is not null and s.status = 'ACTIVE'
      and (a.have->>'enabled')::boolean
    order by a.user_id, s.source_priority, s.id`.execute(db);
  if (rows.length === 0) return new Map();
  const mappings = await loadMappings(db);
  return new Map(
    rows.map(({ user_id, every_job, ...source }) => {
      const lines = mappings.get(source.app_id)?.to_user ?? [];
      const always = lines.filter(({ line }) => line.push === "always").map(({ attribute }) => attribute);
      return [user_id, { ...source, attributes: new Set([...always, ...Object.keys(every_job ?? {})]) }];
    }),
  );
}

/** Why these attributes of a person may not be changed by hand; undefined: they may. */
export function sourcedRefusal(
  login: string,
  source: ProfileSource | undefined,
  changed: readonly string[],
): Refusal | undefined {
  const theirs = changed.filter((name) => source?.attributes.has(name));
  const [first] = theirs;
  if (source === undefined || first === undefined) return undefined;
  const verb = theirs.length === 1 ? "comes" : "come";
  return {
    refused: `${theirs.join(", ")} of ${login} ${verb} from ${source.label} (row ${source.external_id}): change it there, or take it out of that source's mapping`,
    code: "forbidden",
    place: first,
  };
}
