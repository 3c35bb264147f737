/**
 * Attributes that come from a source: whoever wants to change one by hand is told where to change it (okta-lifecycle 4.2:
 * sourced attributes are read-only here). What is entered twice would be true until the next import at best.
 *
 * Law: the first of a person's active sources decides, as for imports, and only what its mapping gives on every import is
 * its own. Called by users.ts, and by explain to say where a value comes from.
 */
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { Sourcing } from "../store/tables.ts";
import { loadMappings } from "./mappings.ts";

/** The source that decides about a person, the row there, and the attributes and days of users that it gives. */
export type ProfileSource = Readonly<{
  app_id: string;
  label: string;
  external_id: string | null;
  synced_at: Date | null;
  attributes: ReadonlySet<string>;
  days: ReadonlySet<SourcedDay>;
}>;

/** What a source tells of a person beside their profile. */
export type SourcedDay = "starts_at" | "ends_at" | "time_zone";

/** Each person's profile source, by user id; whoever has none is not in it. */
export async function profileSources(
  db: Database,
  user_ids: readonly string[],
): Promise<ReadonlyMap<string, ProfileSource>> {
  if (user_ids.length === 0) return new Map();
  const { rows } = await sql<Omit<ProfileSource, "attributes" | "days"> & { user_id: string; sourcing: Sourcing }>`
    select distinct on (a.user_id) a.user_id, a.app_id, s.label, a.external_id, a.synced_at, s.sourcing
    from accounts a join apps s on s.id = a.app_id
    where a.user_id = any(${[...user_ids]}::text[]) and s.sourcing is not null and s.status = 'ACTIVE'
      and (a.have->>'enabled')::boolean
    order by a.user_id, s.source_priority, s.id`.execute(db);
  if (rows.length === 0) return new Map();
  const mappings = await loadMappings(db);
  return new Map(
    rows.map(({ user_id, sourcing, ...source }) => {
      const lines = mappings.get(source.app_id)?.to_user ?? [];
      const always = lines.filter(({ line }) => line.push === "always").map(({ attribute }) => attribute);
      const attributes = new Set([...always, ...Object.keys(sourcing.every_job ?? {})]);
      return [user_id, { ...source, attributes, days: daysOf(sourcing) }];
    }),
  );
}

function daysOf(sourcing: Sourcing): ReadonlySet<SourcedDay> {
  const { start_attribute, end_attribute, last_day_attribute = null, time_zone_attribute } = sourcing;
  return new Set<SourcedDay>([
    ...(start_attribute === null ? [] : ["starts_at" as const]),
    ...(end_attribute === null && last_day_attribute === null ? [] : ["ends_at" as const]),
    ...(time_zone_attribute === null ? [] : ["time_zone" as const]),
  ]);
}

const day_words: Readonly<Record<SourcedDay, string>> = {
  starts_at: "the first day",
  ends_at: "the last day",
  time_zone: "the time zone",
};

/** Why these attributes and days of a person may not be changed by hand; undefined: they may. */
export function sourcedRefusal(
  login: string,
  source: ProfileSource | undefined,
  changed: Readonly<{ attributes: readonly string[]; days: readonly SourcedDay[] }>,
): Refusal | undefined {
  if (source === undefined) return undefined;
  const attributes = changed.attributes.filter((name) => source.attributes.has(name));
  const days = changed.days.filter((name) => source.days.has(name));
  const [first] = [...attributes, ...days];
  if (first === undefined) return undefined;
  const theirs = [...attributes, ...days.map((name) => day_words[name])];
  const verb = theirs.length === 1 ? "comes" : "come";
  const rest = days.length === 0 ? ", or take it out of that source's mapping" : "";
  return {
    refused: `${theirs.join(", ")} of ${login} ${verb} from ${source.label} (row ${source.external_id}): change it there${rest}`,
    code: "forbidden",
    place: first,
  };
}
