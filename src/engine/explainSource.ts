/**
 * Explain, seen from a source: what its row says of a person, which of their attributes its mapping gives, whether it is
 * the one who gave each, and who did where it was not. Called by explain.ts.
 */
import type { Profile, Value } from "../core/types.ts";
import { type LoadedLine, loadMappings } from "../directory/mappings.ts";
import { userSchema } from "../directory/schemaQueries.ts";
import { profileSources } from "../directory/sourced.ts";
import type { StoredUser } from "../directory/userQueries.ts";
import type { Database } from "../store/database.ts";
import { type Origin, originsOf } from "./origins.ts";

/** One attribute of the person. `expression`: by which the source gives it; null: its mapping does not. */
export type SourcedAttribute = Readonly<{
  attribute: string;
  value: Value;
  expression: string | null;
  /** The source gives it only to whom an import makes. */
  at_creation: boolean;
  /** What the row says where the expression looks. */
  reads: Profile;
  /** The value is this source's. */
  wins: boolean;
  /** Who gave it. */
  given: Origin;
}>;

/** What a source has of a person; `external_id` and `row` are null where it has no row of theirs. */
export type ExplainedSource = Readonly<{
  external_id: string | null;
  row: Profile | null;
  decides: boolean;
  /** The source that decides about the person; null: none does. */
  decided_by: string | null;
  attributes: readonly SourcedAttribute[];
}>;

/** What is known of the person's row. */
export type SourceRow = Readonly<{ external_id: string | null; row: Profile | null }>;

/**
 * Tells what a source has to do with a person's attributes: with all that its mapping gives, or with one; `only` may also
 * be a column of the source, and stands for the attributes that read it.
 */
export async function explainSource(
  db: Database,
  user: StoredUser,
  app_id: string,
  { external_id, row }: SourceRow,
  only: string | undefined,
): Promise<ExplainedSource> {
  const lines = new Map(((await loadMappings(db)).get(app_id)?.to_user ?? []).map((line) => [line.attribute, line]));
  const names = await attributesOf(db, lines, only);
  const decider = (await profileSources(db, [user.id])).get(user.id);
  const decides = decider?.app_id === app_id;
  const attributes = (await originsOf(db, user, names)).map((given): SourcedAttribute => {
    const line = lines.get(given.attribute);
    return {
      attribute: given.attribute,
      value: given.value,
      expression: line?.line.expression ?? null,
      at_creation: line?.line.push === "create",
      reads: Object.fromEntries(line === undefined ? [] : columnsOf(line).map((name) => [name, row?.[name] ?? null])),
      // Only what a source gives has a row.
      wins: decides && given.external_id !== null,
      given,
    };
  });
  return { external_id, row, decides, decided_by: decider?.label ?? null, attributes };
}

async function attributesOf(
  db: Database,
  lines: ReadonlyMap<string, LoadedLine>,
  only: string | undefined,
): Promise<readonly string[]> {
  if (only === undefined) return [...lines.keys()].sort();
  const known = (await userSchema(db)).attributes.some(({ name }) => name === only);
  const readers = [...lines.values()].filter((line) => columnsOf(line).includes(only)).map((line) => line.attribute);
  return [...new Set([...(known ? [only] : []), ...readers])].sort();
}

const columnsOf = ({ reads }: LoadedLine): readonly string[] => [
  ...new Set([...(reads?.appuser ?? []), ...(reads?.source ?? [])]),
];
