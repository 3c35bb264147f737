/**
 * Links between people, as Okta's linked objects: a definition names both ends (`manager` and `subordinate`), and each
 * person has at most one other at the primary end. `user.getLinkedObject("manager")` in a mapping or rule leads there.
 *
 * Laws: all names are different, whichever end they name; a definition takes its links with it when it goes; whoever's
 * expressions may read a link is computed again when it changes.
 */
import type { Selectable } from "kysely";
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { Tables, Target } from "../store/tables.ts";
import { type Command, log, markDirty, priority, type Running, run } from "./command.ts";
import { lockPeople } from "./locks.ts";
import { markDirtyWhere } from "./marks.ts";
import { recheckRules } from "./ruleChecks.ts";

export type LinkedObject = Selectable<Tables["linked_objects"]>;

const links_max = 200;

/** Every definition, by its primary name. */
export function listLinkedObjects(db: Database): Promise<readonly LinkedObject[]> {
  return db.selectFrom("linked_objects").selectAll().orderBy("created_at").orderBy("primary_name").execute();
}

/** The definition of which this is the primary or the associated name. */
export async function getLinkedObject(db: Database, name: string): Promise<LinkedObject | undefined> {
  const { rows } = await sql<LinkedObject>`
    select * from linked_objects where primary_name = ${name} or associated_name = ${name}`.execute(db);
  return rows[0];
}

/** Names that `user.getLinkedObject("…")` knows: the primary ones, for a person has many at the other end. */
export async function linkNames(db: Database): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`select primary_name as name from linked_objects order by 1`.execute(db);
  return rows.map(({ name }) => name);
}

const target = ({ primary_name }: LinkedObject): Target => ({
  id: primary_name,
  type: "LinkedObject",
  name: primary_name,
});

/** Defines a link. */
export function createLinkedObject(
  command: Command,
  input: Omit<LinkedObject, "created_at">,
): Promise<LinkedObject | Refusal> {
  return run<LinkedObject>(command, async (running) => {
    const names = [input.primary_name, input.associated_name];
    const bad = names.find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
    if (bad !== undefined) {
      const refused = `name: "${bad.slice(0, 100)}" cannot name a link; use letters, digits and _, not beginning with a digit`;
      return { refused, code: "invalid", place: "name" };
    }
    // One at a time: a name must be free at both ends, which no index of one column sees.
    await sql`lock table linked_objects in share row exclusive mode`.execute(running.db);
    const held = await listLinkedObjects(running.db);
    const taken = new Set(held.flatMap(({ primary_name, associated_name }) => [primary_name, associated_name]));
    const twice = names.find((name) => taken.has(name)) ?? (names[0] === names[1] ? names[0] : undefined);
    if (twice !== undefined) {
      return { refused: `the name ${twice} is taken by a link; choose another`, code: "duplicate", place: "name" };
    }
    if (held.length >= links_max) {
      return { refused: `there are ${links_max} links defined; delete one first`, code: "too_large", place: "name" };
    }
    const made = await running.db
      .insertInto("linked_objects")
      .values({ ...input, created_at: running.now() })
      .returningAll()
      .executeTakeFirstOrThrow();
    await log(running, { type: "linked_object.create", targets: [target(made)] });
    return made;
  });
}

/** Takes a definition away with all its links. Rules that read it say so. */
export function deleteLinkedObject(command: Command, name: string): Promise<"deleted" | Refusal> {
  return run<"deleted">(command, async (running) => {
    const link = await getLinkedObject(running.db, name);
    if (link === undefined) return noSuchLink(name);
    const held = sql`id in (select associated_id from linked_values where link = ${link.primary_name})`;
    await markDirtyWhere(running, held, priority.wave, running.cause ?? null);
    await sql`delete from linked_objects where primary_name = ${link.primary_name}`.execute(running.db);
    await log(running, { type: "linked_object.delete", targets: [target(link)] });
    await recheckRules(running, `the link ${link.primary_name} was removed`);
    return "deleted";
  });
}

function noSuchLink(name: string): Refusal {
  return {
    refused: `there is no link named ${name.slice(0, 100)}; define it first`,
    code: "not_found",
    place: name.slice(0, 100),
  };
}

/** Gives a person the other at the primary end, in place of the one before. */
export function setLink(
  command: Command,
  link: Readonly<{ name: string; associated_id: string; primary_id: string }>,
): Promise<"set" | Refusal> {
  return run<"set">(command, async (running) => {
    const definition = await getLinkedObject(running.db, link.name);
    // Set from the primary end only: a person has one there, and many at the other.
    if (definition === undefined || definition.primary_name !== link.name) return noSuchLink(link.name);
    const there = await lockPeople(running.db, [link.associated_id, link.primary_id]);
    const missing = [link.associated_id, link.primary_id].find((id) => !there.has(id));
    if (missing !== undefined) {
      return { refused: `there is no user ${missing}; they may have been deleted`, code: "not_found", place: missing };
    }
    const { rows } = await sql`
      insert into linked_values (link, associated_id, primary_id, created_at)
      values (${definition.primary_name}, ${link.associated_id}, ${link.primary_id}, ${running.now()}::timestamptz)
      on conflict (link, associated_id) do update set primary_id = excluded.primary_id, created_at = excluded.created_at
      where linked_values.primary_id <> excluded.primary_id returning link`.execute(running.db);
    if (rows.length > 0) await follow(running, definition, link.associated_id, link.primary_id);
    return "set";
  });
}

/** Ends a person's link to whoever is at the end of this name; none there is fine. */
export function endLink(command: Command, user_id: string, name: string): Promise<"ended" | Refusal> {
  return run<"ended">(command, async (running) => {
    const definition = await getLinkedObject(running.db, name);
    if (definition === undefined) return noSuchLink(name);
    // By the associated name everyone whose primary this person is.
    const side = definition.primary_name === name ? sql`associated_id` : sql`primary_id`;
    const { rows } = await sql<{ associated_id: string }>`
      delete from linked_values where link = ${definition.primary_name} and ${side} = ${user_id}
      returning associated_id`.execute(running.db);
    for (const { associated_id } of rows.slice(0, 1)) await follow(running, definition, associated_id, null);
    await markDirty(
      running,
      rows.slice(1).map((row) => row.associated_id),
      priority.wave,
    );
    return "ended";
  });
}

/** The log and the mark of a person whose link changed. */
async function follow(
  running: Running,
  link: LinkedObject,
  associated_id: string,
  primary_id: string | null,
): Promise<void> {
  const cause = await log(running, {
    type: primary_id === null ? "user.linked_object.remove" : "user.linked_object.add",
    targets: [target(link)],
    user_id: associated_id,
    detail: { primary: primary_id },
  });
  await markDirty(running, [associated_id], priority.change, cause);
}

/** Who is at the end of this name for a person: one by the primary name, any number by the associated one. */
export async function linkedPeople(
  db: Database,
  user_id: string,
  name: string,
  limit: number,
): Promise<readonly string[] | Refusal> {
  const definition = await getLinkedObject(db, name);
  if (definition === undefined) return noSuchLink(name);
  const { rows } =
    definition.primary_name === name
      ? await sql<{ id: string }>`
          select primary_id as id from linked_values
          where link = ${definition.primary_name} and associated_id = ${user_id}`.execute(db)
      : await sql<{ id: string }>`
          select associated_id as id from linked_values
          where link = ${definition.primary_name} and primary_id = ${user_id} order by associated_id limit ${limit}`.execute(
          db,
        );
  return rows.map(({ id }) => id);
}
