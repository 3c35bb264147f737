/**
 * Types of people. Each has a schema of its own: the base attributes and the custom ones that name the type
 * (schemaQueries.schemaOfType). The default type is always there; most people have it.
 *
 * Laws: a type's name is fixed once made; a type that somebody has, and the default one, stay. Taking a type away takes
 * its name out of the attributes; those that no other type has go with it.
 */
import type { Selectable } from "kysely";
import type { Attribute, Refusal } from "../core/types.ts";
import { type Database, isRefusal, sql, violatedUnique } from "../store/database.ts";
import type { Tables, Target } from "../store/tables.ts";
import { type Command, log, priority, type Running, run } from "./command.ts";
import { markDirtyWhere } from "./marks.ts";
import { default_type_id } from "./schemaQueries.ts";
import { lockSchema, removeAttributes, storeSchema } from "./schemas.ts";

export type UserType = Selectable<Tables["user_types"]>;

const place = "type.id";

/** Every type, the default one first. */
export async function listUserTypes(db: Database): Promise<readonly UserType[]> {
  const { rows } = await sql<UserType>`
    select * from user_types order by id <> ${default_type_id}, id`.execute(db);
  return rows;
}

/** The type with this id; `default` is the default one's other name. */
export async function getUserType(db: Database, id: string): Promise<UserType | undefined> {
  const { rows } = await sql<UserType>`
    select * from user_types where id = ${id === "default" ? default_type_id : id}`.execute(db);
  return rows[0];
}

/** The column's value for a type's id: null is the default type. */
export const storedTypeId = (id: string): string | null => (id === default_type_id ? null : id);

/** The type that a text names, by name or id; undefined: it names none. Refused with those that there are. */
export function typeNamed(types: readonly UserType[], given: string): UserType | Refusal | undefined {
  const text = given.trim();
  if (text === "") return undefined;
  const one = types.find(({ id, name }) => id === text || name.toLowerCase() === text.toLowerCase());
  if (one !== undefined) return one;
  const names = types.slice(0, types_shown).map(({ name }) => name);
  const known = `${names.join(", ")}${types.length > types_shown ? ", ..." : ""}`;
  return {
    refused: `there is no type of people "${text.slice(0, 100)}": use ${known}`,
    code: "invalid",
    place: "type",
  };
}

const types_shown = 20;

/** Why these people cannot have the types they are to have: one is not there. Those it finds stay until the end. */
export async function refuseUnknownTypes(
  db: Database,
  inputs: readonly Readonly<{ type_id?: string | null }>[],
): Promise<Refusal | undefined> {
  const ids = [...new Set(inputs.flatMap(({ type_id }) => type_id ?? []))];
  if (ids.length === 0) return undefined;
  const { rows } = await sql<{ id: string }>`
    select id from user_types where id = any(${ids}::text[]) order by id for key share`.execute(db);
  const missing = ids.find((id) => !rows.some((row) => row.id === id));
  if (missing === undefined) return undefined;
  return {
    refused: `there is no type of user ${missing}; GET /api/v1/meta/types/user lists them`,
    code: "invalid",
    place,
  };
}

/** What is said about a type. */
export type UserTypeInput = Readonly<{ name: string; display_name: string; description: string | null }>;

const target = (type: UserType): Target => ({ id: type.id, type: "UserType", name: type.name });

/** Makes a type; it has the base attributes. */
export function createUserType(command: Command, input: UserTypeInput): Promise<UserType | Refusal> {
  return run<UserType>(command, async (running) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(input.name)) {
      const refused = `name: "${input.name.slice(0, 100)}" cannot name a type; use letters, digits and _, not beginning with a digit`;
      return { refused, code: "invalid", place: "name" };
    }
    try {
      const now = running.now();
      const { rows } = await sql<UserType>`
        insert into user_types (name, display_name, description, created_by, updated_by, created_at, updated_at)
        values (${input.name}, ${input.display_name}, ${input.description}, ${running.actor.id}, ${running.actor.id},
                ${now}::timestamptz, ${now}::timestamptz) returning *`.execute(running.db);
      const type = rows[0] as UserType;
      await log(running, { type: "user_type.lifecycle.create", targets: [target(type)] });
      return type;
    } catch (error) {
      if (violatedUnique(error) !== "user_types_name") throw error;
      return {
        refused: `name: there is a type named ${input.name} already; choose another name`,
        code: "duplicate",
        place: "name",
      };
    }
  });
}

/** Changes what a type is called; its name stays. */
export function changeUserType(
  command: Command,
  id: string,
  change: Readonly<{ name?: string; display_name?: string; description?: string | null }>,
): Promise<UserType | Refusal> {
  return run<UserType>(command, async (running) => {
    const before = await lockType(running, id);
    if (isRefusal(before)) return before;
    if (change.name !== undefined && change.name !== before.name) {
      return {
        refused: `name: the name of the type ${before.name} is fixed; change its displayName instead`,
        code: "invalid",
        place: "name",
      };
    }
    const { display_name = before.display_name, description = before.description } = change;
    const { rows } = await sql<UserType>`
      update user_types set display_name = ${display_name}, description = ${description},
        updated_by = ${running.actor.id}, updated_at = ${running.now()}::timestamptz
      where id = ${before.id} returning *`.execute(running.db);
    await log(running, { type: "user_type.lifecycle.update", targets: [target(before)] });
    return rows[0] ?? before;
  });
}

/** Takes a type away that nobody has. */
export function deleteUserType(command: Command, id: string): Promise<"deleted" | Refusal> {
  return run<"deleted">(command, async (running) => {
    const type = await lockType(running, id);
    if (isRefusal(type)) return type;
    if (type.id === default_type_id) {
      return { refused: "the default type of users stays", code: "invalid", place };
    }
    const { rows } = await sql<{ login: string }>`
      select login from users where type_id = ${type.id} order by id limit 3`.execute(running.db);
    if (rows.length > 0) {
      const who = rows.map(({ login }) => login).join(", ");
      return { refused: `${type.name} is the type of ${who}; give them another type first`, code: "invalid", place };
    }
    const refused = await withoutType(running, type.id);
    if (isRefusal(refused)) return refused;
    await sql`delete from user_types where id = ${type.id}`.execute(running.db);
    await log(running, { type: "user_type.lifecycle.delete", targets: [target(type)] });
    return "deleted";
  });
}

/** Attributes of this type alone go; the others lose its name. */
async function withoutType(running: Running, id: string): Promise<Refusal | undefined> {
  const before = await lockSchema(running, "user", null);
  if (isRefusal(before)) return before;
  const of_it = before.attributes.filter(({ types }) => types?.includes(id));
  if (of_it.length === 0) return undefined;
  const only = of_it.filter(({ types }) => types?.length === 1).map(({ name }) => name);
  const removed = only.length === 0 ? before : await removeAttributes(running, "user", only);
  if (isRefusal(removed)) return removed;
  await storeSchema(
    running,
    removed,
    removed.attributes.map(
      (attribute): Attribute =>
        attribute.types?.includes(id)
          ? { ...attribute, types: attribute.types.filter((one) => one !== id) }
          : attribute,
    ),
  );
  return undefined;
}

/**
 * Takes custom attributes from one type, with the values of people who have it. An attribute that no other type has is
 * removed altogether.
 */
export function removeTypeAttributes(
  command: Command,
  type_id: string,
  names: readonly string[],
): Promise<"removed" | Refusal> {
  return run<"removed">(command, async (running) => {
    const before = await lockSchema(running, "user", null);
    if (isRefusal(before)) return before;
    const shared = new Set(
      before.attributes
        .filter(({ name, types = [default_type_id] }) => names.includes(name) && types.some((one) => one !== type_id))
        .map(({ name }) => name),
    );
    const only = names.filter((name) => !shared.has(name));
    const after = only.length === 0 ? before : await removeAttributes(running, "user", only);
    if (isRefusal(after)) return after;
    if (shared.size === 0) return "removed";
    await storeSchema(
      running,
      after,
      after.attributes.map((attribute): Attribute => {
        const { types = [default_type_id] } = attribute;
        return shared.has(attribute.name) ? { ...attribute, types: types.filter((one) => one !== type_id) } : attribute;
      }),
    );
    const held = sql`type_id is not distinct from ${storedTypeId(type_id)} and profile ?| ${[...shared]}::text[]`;
    await markDirtyWhere(running, held, priority.wave, running.cause ?? null);
    await sql`
      update users set profile = profile - ${[...shared]}::text[], updated_at = ${running.now()}::timestamptz
      where ${held}`.execute(running.db);
    return "removed";
  });
}

async function lockType(running: Running, id: string): Promise<UserType | Refusal> {
  const { rows } = await sql<UserType>`
    select * from user_types where id = ${id === "default" ? default_type_id : id} for update`.execute(running.db);
  return (
    rows[0] ?? { refused: `there is no type of user ${id.slice(0, 100)}`, code: "not_found", place: id.slice(0, 100) }
  );
}
