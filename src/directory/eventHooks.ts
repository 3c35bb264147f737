/**
 * Event hooks: addresses that are told of events as they happen. What tells them is engine/eventHooks.ts.
 *
 * Laws: a hook is told only while it is ACTIVE and verified, and of what happens from the moment on at which it became
 * both; a new place begins there. Whatever changes where or with what it is called ends the verification, but not the
 * place: what happens until it is verified again waits. The secret is sealed, never given back, and goes to no other host
 * than it was given for. A wish has been checked by whoever passes it in.
 */
import type { Selectable } from "kysely";
import type { Refusal } from "../core/types.ts";
import type { EventHookFilter, EventHookRow } from "../store/apiTables.ts";
import { type Database, json, sql } from "../store/database.ts";
import { dropSecret, getSecret, type Key, putSecret, type SecretPlace } from "../store/secrets.ts";
import type { Target } from "../store/tables.ts";
import { type Command, log, type Running, run } from "./command.ts";
import { closeTasksFor } from "./tasks.ts";

export type EventHook = Selectable<EventHookRow>;

/** What a hook is to be. `secret`: undefined keeps the one there is, as long as the host stays the same. */
export type EventHookWish = Readonly<{
  name: string;
  description: string | null;
  event_types: readonly string[];
  filters: readonly EventHookFilter[] | null;
  url: string;
  headers: readonly Readonly<{ key: string; value: string }>[];
  secret_header: string | null;
  secret?: string | undefined;
}>;

export const active_hooks_max = 25;
/** Also those that are switched off are bounded: a list of them is one answer. */
const hooks_max = 500;

/** Where a hook's secret is sealed. */
export const eventHookSecret = (id: string): SecretPlace => ({ table: "event_hooks", row: id, column: "secret" });

/** The dedupe key of the task about a hook that fails. */
export const eventHookTask = (id: string) => `event_hook:${id}:failing`;

export const eventHookTarget = ({ id, name }: Pick<EventHook, "id" | "name">): Target => ({
  id,
  type: "EventHook",
  name,
});

/** Every hook, the oldest first. */
export function listEventHooks(db: Database): Promise<readonly EventHook[]> {
  return db.selectFrom("event_hooks").selectAll().orderBy("id").execute();
}

export function getEventHook(db: Database, id: string): Promise<EventHook | undefined> {
  return db.selectFrom("event_hooks").selectAll().where("id", "=", id).executeTakeFirst();
}

/** Makes a hook: ACTIVE, and told nothing before it is verified. `base_url`: how whoever makes it reaches us. */
export function createEventHook(
  command: Command,
  key: Key,
  wish: EventHookWish,
  base_url: string,
): Promise<EventHook | Refusal> {
  return run<EventHook>(command, async (running) => {
    const full = await lockAndCount(running);
    if (full !== undefined) return full;
    const { secret, filters, headers, event_types, ...rest } = wish;
    const made = await running.db
      .insertInto("event_hooks")
      .values({
        ...rest,
        ...{ event_types: [...event_types], filters: json(filters), headers: json(headers), base_url },
        ...{ created_by: running.actor.id, created_at: running.now(), updated_at: running.now() },
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    if (secret !== undefined) await putSecret(running.db, key, eventHookSecret(made.id), secret);
    await note(running, made, "created");
    return made;
  });
}

/** Puts another wish in the place of a hook's. */
export function replaceEventHook(
  command: Command,
  key: Key,
  id: string,
  wish: EventHookWish,
): Promise<EventHook | Refusal> {
  return run<EventHook>(command, async (running) => {
    const before = await lock(running, id);
    if (before === undefined) return noSuchHook(id);
    const kept = await getSecret(running.db, key, eventHookSecret(id), running.now());
    const elsewhere = new URL(wish.url).origin !== new URL(before.url).origin;
    const secret = wish.secret ?? (wish.secret_header === null ? undefined : kept);
    if (wish.secret === undefined && secret !== undefined && elsewhere) {
      const refused = `the secret was given for ${new URL(before.url).origin} and is not sent to another host: give it again`;
      return { refused, code: "invalid", place: "secret" };
    }
    const { secret: _, filters, headers, event_types, ...rest } = wish;
    const same =
      wish.url === before.url &&
      wish.secret_header === before.secret_header &&
      secret === kept &&
      JSON.stringify(headers) === JSON.stringify(before.headers.map(({ key: name, value }) => ({ key: name, value })));
    const after = await running.db
      .updateTable("event_hooks")
      .set({
        ...rest,
        ...{ event_types: [...event_types], filters: json(filters), headers: json(headers), updated_at: running.now() },
        ...(same ? {} : { channel: before.channel + 1, verified_at: null }),
      })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    if (secret === undefined) await dropSecret(running.db, eventHookSecret(id));
    else if (secret !== kept) await putSecret(running.db, key, eventHookSecret(id), secret);
    await retrySoon(running, id);
    await note(running, after, "updated");
    return after;
  });
}

/** Switches a hook on; what happens from now on is told, once it is verified. */
export function activateEventHook(command: Command, id: string): Promise<EventHook | Refusal> {
  return run<EventHook>(command, async (running) => {
    const hook = await lock(running, id);
    if (hook === undefined) return noSuchHook(id);
    if (hook.status === "ACTIVE") return hook;
    const full = await lockAndCount(running);
    if (full !== undefined) return full;
    const after = await setStatus(running, id, "ACTIVE");
    if (after.verified_at !== null) await begin(running, id);
    await note(running, after, "activated");
    return after;
  });
}

/** Switches a hook off. What it has not been told of yet, it is never told of, unless somebody replays it. */
export function deactivateEventHook(command: Command, id: string): Promise<EventHook | Refusal> {
  return run<EventHook>(command, async (running) => {
    const hook = await lock(running, id);
    if (hook === undefined) return noSuchHook(id);
    if (hook.status === "INACTIVE") return hook;
    const after = await setStatus(running, id, "INACTIVE");
    await sql`delete from event_hook_places where hook_id = ${id}`.execute(running.db);
    await closeTasksFor(running, { dedupe: [eventHookTask(id)], note: "the hook was switched off" });
    await note(running, after, "deactivated");
    return after;
  });
}

/** Takes an inactive hook away, with its secret and what is known of its deliveries. */
export function deleteEventHook(command: Command, id: string): Promise<"deleted" | Refusal> {
  return run<"deleted">(command, async (running) => {
    const hook = await lock(running, id);
    if (hook === undefined) return noSuchHook(id);
    if (hook.status === "ACTIVE") {
      const refused = `the event hook "${hook.name}" is active: deactivate it first, then delete it`;
      return { refused, code: "invalid", place: "eventHook" };
    }
    await running.db.deleteFrom("event_hooks").where("id", "=", id).execute();
    await dropSecret(running.db, eventHookSecret(id));
    await note(running, hook, "deleted");
    return "deleted";
  });
}

/** Notes that the address has shown whose it is. `channel`: which one was asked; another one has not shown anything. */
export function markVerified(command: Command, id: string, channel: number): Promise<EventHook | Refusal> {
  return run<EventHook>(command, async (running) => {
    const hook = await lock(running, id);
    if (hook === undefined) return noSuchHook(id);
    if (hook.channel !== channel) {
      const refused = `the address of "${hook.name}" was changed while it was being verified: verify it again`;
      return { refused, code: "stale", place: "eventHook" };
    }
    const after = await running.db
      .updateTable("event_hooks")
      .set({ verified_at: running.now(), updated_at: running.now() })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    if (after.status === "ACTIVE") await begin(running, id);
    await retrySoon(running, id);
    await note(running, after, "verified");
    return after;
  });
}

/** Says in the log that an address did not show whose it is. */
export async function noteUnverified(command: Command, hook: EventHook, reason: string): Promise<void> {
  await log(command, { type: "event_hook.verified", outcome: "FAILURE", reason, targets: [eventHookTarget(hook)] });
}

/** The hook, locked until the end of the transaction. */
function lock(running: Running, id: string): Promise<EventHook | undefined> {
  return running.db.selectFrom("event_hooks").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
}

/** Is there room for one more active hook? One at a time: two would both find the last place free. */
async function lockAndCount(running: Running): Promise<Refusal | undefined> {
  await sql`lock table event_hooks in share row exclusive mode`.execute(running.db);
  const { rows } = await sql<{ all: number; active: number }>`
    select count(*)::int as all, (count(*) filter (where status = 'ACTIVE'))::int as active from event_hooks`.execute(
    running.db,
  );
  const { all = 0, active = 0 } = rows[0] ?? {};
  if (active >= active_hooks_max) {
    const refused = `there are ${active_hooks_max} active event hooks, which is as many as there can be: deactivate one first`;
    return { refused, code: "too_large", place: "eventHook" };
  }
  if (all < hooks_max) return undefined;
  return { refused: `there are ${hooks_max} event hooks: delete one first`, code: "too_large", place: "eventHook" };
}

function setStatus(running: Running, id: string, status: EventHook["status"]): Promise<EventHook> {
  return running.db
    .updateTable("event_hooks")
    .set({ status, updated_at: running.now() })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** A place behind everything that is visible now, unless the hook has one. */
async function begin(running: Running, id: string): Promise<void> {
  await sql`
    insert into event_hook_places (hook_id, seen, due_at, pruned_at)
    values (${id}, pg_current_snapshot(), ${running.now()}::timestamptz, ${running.now()}::timestamptz)
    on conflict (hook_id) do nothing`.execute(running.db);
}

/** Something was mended: nobody waits for the end of a backoff. */
async function retrySoon(running: Running, id: string): Promise<void> {
  await sql`
    update event_hook_places set due_at = ${running.now()}::timestamptz, attempts = 0 where hook_id = ${id}`.execute(
    running.db,
  );
}

function note(running: Running, hook: EventHook, what: string): Promise<number> {
  return log(running, { type: `event_hook.${what}`, targets: [eventHookTarget(hook)] });
}

export function noSuchHook(id: string): Refusal {
  return { refused: `there is no event hook ${id.slice(0, 100)}`, code: "not_found", place: id.slice(0, 100) };
}
