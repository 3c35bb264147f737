/**
 * Reading schemas, and judging profiles by them. There is one schema of users, one of groups, and one of each app; base
 * attributes and custom ones are in one list.
 *
 * Law: a profile reaches a table only through `judgeProfile`.
 * Called by users.ts, groups.ts, rules.ts and mappings; schemas.ts changes what is read here.
 */
import type { Selectable } from "kysely";
import { baseGroupSchema, baseUserSchema } from "../core/baseSchema.ts";
import { compileRegex, type Regex } from "../core/expression/regex.ts";
import { type ProfileRefusal, validateProfile } from "../core/schema.ts";
import type { Attribute, Profile, Schema } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { Tables } from "../store/tables.ts";

export type SchemaKind = "user" | "group" | "app";

/** A schema with its id and dates. `app_id` is null but for kind app. */
export type StoredSchema = Selectable<Tables["schemas"]>;

/** The stored schema of users, of groups (`app_id` null) or of an app; undefined if none was defined. */
export async function loadSchema(
  db: Database,
  kind: SchemaKind,
  app_id: string | null = null,
): Promise<StoredSchema | undefined> {
  return db
    .selectFrom("schemas")
    .selectAll()
    .where("kind", "=", kind)
    .where("app_id", app_id === null ? "is" : "=", app_id)
    .executeTakeFirst();
}

/** The attributes of users of every type, links between them, and which hold their former logins; also before the first start has stored them. */
export async function userSchema(db: Database): Promise<Schema> {
  const { rows } = await sql<StoredSchema & { links: readonly string[]; aliases: readonly string[] }>`
    select s.*, array(select primary_name from linked_objects order by primary_name) as links,
      array(select name from alias_attributes order by name) as aliases
    from schemas s where s.kind = 'user' and s.app_id is null`.execute(db);
  return rows[0] ?? baseUserSchema;
}

/** The attributes of groups, also before the first start has stored them. */
export async function groupSchema(db: Database): Promise<Schema> {
  return (await loadSchema(db, "group")) ?? baseGroupSchema;
}

/**
 * The attributes that people of a type have (null: the default one): the base attributes, and the custom ones that name
 * the type. Remembered with the schema: a bulk import asks a million times.
 */
export function schemaOfType(schema: Schema, type_id: string | null): Schema {
  const { attributes } = schema;
  let known = of_types.get(attributes);
  if (known === undefined) {
    known = attributes.some(({ types }) => types !== undefined) ? new Map() : "all";
    of_types.set(attributes, known);
  }
  if (known === "all" && type_id === null) return schema;
  if (known === "all") known = new Map();
  const type = type_id ?? default_type_id;
  const of_type = known.get(type) ?? {
    attributes: attributes.filter(({ base, types = [default_type_id] }) => base === true || types.includes(type)),
  };
  known.set(type, of_type);
  return of_type;
}

const of_types = new WeakMap<readonly Attribute[], "all" | Map<string, Schema>>();

/**
 * What a source or a file says to somebody of a type, `its` being that type's part of `schema`: it has columns for all
 * types, and there is nothing to clear where the type has no such attribute.
 */
export function forType(schema: Schema, its: Schema, profile: Profile): Profile {
  if (its === schema) return profile;
  const has = new Set(its.attributes.map(({ name }) => name));
  return Object.fromEntries(Object.entries(profile).filter(([name, value]) => value !== null || has.has(name)));
}

/** The type of whoever has no other. */
export const default_type_id = "oty0000000000default";

/** Checks a profile from outside (a whole one, or with `partial` a change) and gives it normalised; see core/schema.ts. */
export function judgeProfile(
  schema: Schema,
  profile: unknown,
  options: Readonly<{ partial: boolean }>,
): { readonly ok: Profile } | ProfileRefusal {
  return validateProfile(schema, profile, { partial: options.partial, matchesPattern });
}

/** Compiled patterns by their text: a schema has few, a bulk import asks a million times. */
const patterns = new Map<string, Regex | undefined>();
const patterns_max = 1_000;

function matchesPattern(pattern: string, text: string): boolean {
  if (!patterns.has(pattern)) {
    if (patterns.size >= patterns_max) patterns.clear();
    const outcome = compileRegex(pattern);
    patterns.set(pattern, "ok" in outcome ? outcome.ok : undefined);
  }
  return patterns.get(pattern)?.matches(text) ?? false;
}
