/**
 * Commands on schemas: define, redefine and remove attributes of users and groups; keep the attributes an app was found
 * to have. A custom attribute marked unique has a unique index of its own, so no race can store a duplicate; an absent
 * value never conflicts.
 *
 * Law: base attributes stay. Removing an attribute takes its values out of every profile (history keeps them), and a
 * rule whose expression can no longer be read says so instead of emptying its groups.
 *
 * Called by the API and console, by the engine after discovering an app's schema, and at start (`ensureGround`).
 */
import { baseGroupSchema, baseUserSchema } from "../core/baseSchema.ts";
import { compileRegex } from "../core/expression/regex.ts";
import { type AttributeDefinition, defineAttribute, redefineAttribute } from "../core/schema.ts";
import type { Attribute, Refusal } from "../core/types.ts";
import { isRefusal, json, sql } from "../store/database.ts";
import type { Target } from "../store/tables.ts";
import { type Command, log, priority, type Running, run } from "./command.ts";
import { markDirtyWhere } from "./marks.ts";
import { recheckRules } from "./ruleChecks.ts";
import { default_type_id, loadSchema, type SchemaKind, type StoredSchema } from "./schemaQueries.ts";
import { uniqueIndexName } from "./uniqueness.ts";

/**
 * Makes what every installation has: the schemas of users and groups, the default type of users, and the group Everyone. Nothing happens where they
 * are; several nodes may do it at once.
 *
 * @returns the id of Everyone.
 */
export async function ensureGround(command: Command): Promise<string> {
  const now = command.now();
  await sql`
    insert into schemas (kind, app_id, attributes, created_at, updated_at)
    values ('user', null, ${json(baseUserSchema.attributes)}, ${now}::timestamptz, ${now}::timestamptz),
           ('group', null, ${json(baseGroupSchema.attributes)}, ${now}::timestamptz, ${now}::timestamptz)
    on conflict do nothing`.execute(command.db);
  await sql`
    insert into user_types (id, name, display_name, description, created_by, updated_by, created_at, updated_at)
    values (${default_type_id}, 'user', 'User', 'Okta user profile template with default permission settings', 'system',
            'system', ${now}::timestamptz, ${now}::timestamptz)
    on conflict do nothing`.execute(command.db);
  const everyone = { name: "Everyone", description: "All users in your organization" };
  await sql`
    insert into groups (type, profile, created_at, updated_at, members_changed_at)
    select 'BUILT_IN', ${json(everyone)}, ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz
    where not exists (select from groups where type = 'BUILT_IN')
    on conflict do nothing`.execute(command.db);
  const { id } = await command.db
    .selectFrom("groups")
    .select("id")
    .where("type", "=", "BUILT_IN")
    .executeTakeFirstOrThrow();
  return id;
}

/**
 * Defines new attributes of users or groups, and redefines those already there by the same name (type stays).
 *
 * @returns the schema, or a refusal naming the attribute; for a unique one also who shares a value today.
 */
export function defineAttributes(
  command: Command,
  kind: "user" | "group",
  definitions: readonly AttributeDefinition[],
): Promise<StoredSchema | Refusal> {
  return run(command, async (running) => {
    const before = await lockSchema(running, kind, null);
    if (isRefusal(before)) return before;
    let attributes = before.attributes;
    for (const definition of definitions) {
      const outcome = withDefinition(attributes, definition);
      if ("refused" in outcome) return outcome;
      attributes = outcome.ok;
    }
    const refused = await keepUnique(running, kind, before.attributes, attributes);
    return refused ?? (await storeSchema(running, before, attributes));
  });
}

function withDefinition(
  attributes: readonly Attribute[],
  definition: AttributeDefinition,
): { readonly ok: readonly Attribute[] } | Refusal {
  const rules = { patternProblem };
  const { name, ...change } = definition;
  if (!attributes.some((attribute) => attribute.name === name)) {
    const made = defineAttribute({ attributes }, definition, rules);
    return "ok" in made ? { ok: [...attributes, made.ok] } : made;
  }
  const changed = redefineAttribute({ attributes }, name, change, rules);
  if (!("ok" in changed)) return changed;
  return { ok: attributes.map((attribute) => (attribute.name === name ? changed.ok : attribute)) };
}

function patternProblem(pattern: string): string | undefined {
  const outcome = compileRegex(pattern);
  return "ok" in outcome ? undefined : outcome.message;
}

/**
 * Removes custom attributes with their values. People who had one are computed again.
 *
 * @returns the schema, or a refusal: unknown name, base attribute.
 */
export function removeAttributes(
  command: Command,
  kind: "user" | "group",
  names: readonly string[],
): Promise<StoredSchema | Refusal> {
  return run(command, async (running) => {
    const before = await lockSchema(running, kind, null);
    if (isRefusal(before)) return before;
    for (const name of names) {
      const attribute = before.attributes.find((one) => one.name === name);
      if (attribute === undefined) {
        return { refused: `the schema has no attribute ${name}; nothing to remove`, code: "not_found", place: name };
      }
      if (attribute.base) {
        return {
          refused: `${name} is a base attribute and stays; leave it empty instead`,
          code: "invalid",
          place: name,
        };
      }
    }
    const attributes = before.attributes.filter((attribute) => !names.includes(attribute.name));
    const refused = await keepUnique(running, kind, before.attributes, attributes);
    if (refused) return refused;
    const after = await storeSchema(running, before, attributes);
    await forgetValues(running, kind, names);
    await recheckRules(running, `the attribute ${names.join(", ")} was removed`);
    return after;
  });
}

async function forgetValues(running: Running, kind: "user" | "group", names: readonly string[]): Promise<void> {
  const held = sql`profile ?| ${[...names]}::text[]`;
  if (kind === "user") await markDirtyWhere(running, held, priority.wave, running.cause ?? null);
  await sql`
    update ${sql.table(tables[kind])} set profile = profile - ${[...names]}::text[], updated_at = ${running.now()}::timestamptz
    where ${held}`.execute(running.db);
}

/**
 * Keeps an app's attributes as they were discovered or configured, replacing those kept before. Uniqueness there is the
 * app's own affair.
 */
export function putAppSchema(
  command: Command,
  app_id: string,
  attributes: readonly Attribute[],
): Promise<StoredSchema | Refusal> {
  return run(command, async (running) => {
    await sql`
      insert into schemas (kind, app_id, attributes, created_at, updated_at)
      values ('app', ${app_id}, '[]', ${running.now()}::timestamptz, ${running.now()}::timestamptz)
      on conflict do nothing`.execute(running.db);
    const before = await lockSchema(running, "app", app_id);
    if (isRefusal(before)) return before;
    if (JSON.stringify(before.attributes) === JSON.stringify(attributes)) return before;
    return storeSchema(running, before, attributes);
  });
}

export async function lockSchema(
  running: Running,
  kind: SchemaKind,
  app_id: string | null,
): Promise<StoredSchema | Refusal> {
  await sql`select id from schemas where kind = ${kind} and app_id is not distinct from ${app_id} for update`.execute(
    running.db,
  );
  return (
    (await loadSchema(running.db, kind, app_id)) ?? {
      refused: `there is no ${kind} schema${app_id ? ` of app ${app_id}` : ""} yet; start the server once`,
      code: "not_found",
    }
  );
}

const eventTypes: Readonly<Record<SchemaKind, string>> = {
  user: "directory.user_profile.update",
  group: "directory.group_profile.update",
  app: "directory.app_user_profile.update",
};

export async function storeSchema(
  running: Running,
  before: StoredSchema,
  attributes: readonly Attribute[],
): Promise<StoredSchema> {
  const after = await running.db
    .updateTable("schemas")
    .set({ attributes: json(attributes), updated_at: running.now() })
    .where("id", "=", before.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const was = new Map(before.attributes.map((attribute) => [attribute.name, JSON.stringify(attribute)]));
  const is = new Set(attributes.map((attribute) => attribute.name));
  const target: Target = { id: before.id, type: "Schema", name: before.app_id ?? before.kind };
  await log(running, {
    type: eventTypes[before.kind],
    targets: [target],
    app_id: before.app_id,
    detail: {
      added: attributes.filter(({ name }) => !was.has(name)).map(({ name }) => name),
      changed: attributes
        .filter((one) => was.has(one.name) && was.get(one.name) !== JSON.stringify(one))
        .map(({ name }) => name),
      removed: [...was.keys()].filter((name) => !is.has(name)),
    },
  });
  return after;
}

const tables = { user: "users", group: "groups" } as const;

/** Names of base attributes that have an index from the first migration. */
const indexed = (attribute: Attribute) => attribute.unique && attribute.base !== true;

/** Makes the unique indexes fit the attributes: the database itself refuses duplicates, whoever writes. */
async function keepUnique(
  running: Running,
  kind: "user" | "group",
  before: readonly Attribute[],
  after: readonly Attribute[],
): Promise<Refusal | undefined> {
  const key = (attribute: Attribute) => `${attribute.name} ${attribute.case_exact}`;
  const wanted = new Set(after.filter(indexed).map(key));
  const held = new Set(before.filter(indexed).map(key));
  for (const attribute of before.filter(indexed)) {
    if (!wanted.has(key(attribute))) await sql`drop index if exists ${indexName(kind, attribute)}`.execute(running.db);
  }
  for (const attribute of after.filter(indexed)) {
    if (held.has(key(attribute))) continue;
    const refused = await judgeDuplicates(running, kind, attribute);
    if (refused) return refused;
    await sql`
      create unique index if not exists ${indexName(kind, attribute)}
      on ${sql.table(tables[kind])} ((${uniqueValue(attribute)}))`.execute(running.db);
  }
  return undefined;
}

/** The name leads back from a violation to the attribute. */
const indexName = (kind: "user" | "group", attribute: Attribute) =>
  sql.id(uniqueIndexName(tables[kind], attribute.name));

/** The SQL of what must be unique. The name is spelled by the schema's rule: letters, digits, underscores. */
function uniqueValue(attribute: Pick<Attribute, "name" | "case_exact">) {
  const value = sql`profile->>${sql.lit(attribute.name)}`;
  return attribute.case_exact ? value : sql`lower(${value})`;
}

async function judgeDuplicates(
  running: Running,
  kind: "user" | "group",
  attribute: Attribute,
): Promise<Refusal | undefined> {
  const name = kind === "user" ? sql`login` : sql`profile->>'name'`;
  const { rows } = await sql<{ who: string[] }>`
    select (array_agg(${name} order by id))[1:5] as who from ${sql.table(tables[kind])}
    where ${uniqueValue(attribute)} is not null group by ${uniqueValue(attribute)} having count(*) > 1 limit 1`.execute(
    running.db,
  );
  const who = rows[0]?.who;
  if (who === undefined) return undefined;
  return {
    refused: `${attribute.name} cannot be unique: ${who.join(", ")} share a value; give each their own first`,
    code: "duplicate",
    place: attribute.name,
  };
}
