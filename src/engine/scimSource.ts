/**
 * What a source pushed over SCIM, as an import knows it: flat rows of people, and groups with their members. A push is an
 * import of its own row (scimPush.ts); read as a whole, the source is what it last said, so that a held import can be
 * released, a row that waits is matched again, and a preview sees everything.
 *
 * Law: an import of the whole and a push never work beside each other: a push holds its app's row while it writes, and
 * the import waits for that row before it reads.
 */
import type { Context, Page, PageRequest, RemoteAccount } from "../connectors/connector.ts";
import { type PlacedSchema, placeAttribute } from "../core/scim/attributes.ts";
import { placeOwn, type ResourceSchema, userResource } from "../core/scim/definitions.ts";
import { isObject } from "../core/scim/path.ts";
import { fromResource } from "../core/scim/resource.ts";
import type { Stored } from "../core/scim/values.ts";
import type { Attribute } from "../core/types.ts";
import { type Database, sql, transact } from "../store/database.ts";
import type { EngineApp, World } from "./world.ts";

/** A source as its bearer speaks to it. */
export type ScimSource = Readonly<{
  app_id: string;
  label: string;
  strict: boolean;
  users: ResourceSchema;
  placed: PlacedSchema;
}>;

type SourceFacts = Readonly<{ label: string; config: { strict?: boolean }; attributes: readonly Attribute[] | null }>;

/** The source of an app; undefined: the app is none that pushes over SCIM, or is switched off. */
export async function scimSourceOf(db: Database, app_id: string): Promise<ScimSource | undefined> {
  const { rows } = await sql<SourceFacts>`
    select a.label, a.config, s.attributes from apps a left join schemas s on s.kind = 'app' and s.app_id = a.id
    where a.id = ${app_id} and a.kind = 'scim_in' and a.status = 'ACTIVE' and a.sourcing is not null`.execute(db);
  const facts = rows[0];
  if (facts === undefined) return undefined;
  const attributes = facts.attributes ?? [];
  return {
    ...{ app_id, label: facts.label, strict: facts.config.strict === true },
    ...{ users: userResource(attributes), placed: placedAttributes(attributes) },
  };
}

function placedAttributes(attributes: readonly Attribute[]): PlacedSchema {
  return new Map(
    attributes.flatMap((one) => {
      const at = placeAttribute(placeOwn(one));
      return at === null ? [] : [[one.name, at] as const];
    }),
  );
}

type Person = Readonly<{ id: string; resource: Stored; gone: boolean }>;

/**
 * People as rows of an import. A manager is named by the person's id here, where the source has told of them, so that a
 * change of name changes nothing.
 */
export async function flattened(
  db: Database,
  app_id: string,
  placed: PlacedSchema,
  people: readonly Person[],
): Promise<readonly RemoteAccount[]> {
  const rows = people.flatMap(({ id, resource, gone }) => {
    const flat = fromResource({ ...resource, id }, placed);
    return flat === null ? [] : [{ ...flat, enabled: flat.enabled && !gone }];
  });
  const managers = [
    ...new Set(rows.flatMap(({ profile }) => (profile["manager"] ? [String(profile["manager"])] : []))),
  ];
  if (managers.length === 0) return rows;
  const { rows: known } = await sql<{ external_id: string; user_id: string }>`
    select external_id, user_id from accounts where app_id = ${app_id} and external_id = any(${managers}::text[])`.execute(
    db,
  );
  const ids = new Map(known.map(({ external_id, user_id }) => [external_id, user_id]));
  return rows.map((row) => {
    const manager = ids.get(String(row.profile["manager"] ?? ""));
    return manager === undefined ? row : { ...row, profile: { ...row.profile, manager } };
  });
}

const page_default = 500;

/** The source of an app as everything that it has pushed. */
export async function pushedSource(world: World, app: EngineApp): Promise<EngineApp> {
  const app_id = app.id;
  const placed = placedAttributes(
    app.attributes.length > 0 ? app.attributes : (await app.connector.schema(quiet(world))).attributes,
  );
  const list = async ({ signal }: Context, { cursor, limit = page_default }: PageRequest): Promise<Page> => {
    signal.throwIfAborted();
    // Pushes that were under way when the import began are over.
    if (cursor === undefined) await waitForPushes(world.db, app_id);
    const { rows } = await sql<Person>`
      select id, resource, deleted_at is not null as gone from scim_resources
      where app_id = ${app_id} and type = 'User' and id > ${cursor ?? ""} order by id limit ${limit + 1}`.execute(
      world.db,
    );
    const items = await flattened(world.db, app_id, placed, rows.slice(0, limit));
    const last = rows[limit - 1];
    return rows.length > limit && last !== undefined ? { items, next: last.id } : { items, complete: false };
  };
  return { ...app, connector: { ...app.connector, list, lists_only: true } };
}

const quiet = (world: World): Context => ({
  ...{ signal: new AbortController().signal, log: () => {}, now: () => world.now() },
});

async function waitForPushes(db: Database, app_id: string): Promise<void> {
  await transact<true>(db, async (trx) => {
    await sql`select from apps where id = ${app_id} for no key update`.execute(trx);
    return true;
  });
}

/** Is a resource's user there to work? */
export const isActive = (resource: Stored): boolean => (isObject(resource) ? resource["active"] !== false : true);
