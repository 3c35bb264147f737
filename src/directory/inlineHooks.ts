/**
 * Inline hooks: outside systems that are asked while something is done. Here they are made, changed, switched and
 * deleted; who calls them is engine/callHook.ts.
 *
 * Laws: the secret is sealed apart from the row and never read out; it is not sent to another address than the one it
 * was given for; the type stays; a hook is deleted only when it is switched off and no source names it.
 */
import type { Selectable } from "kysely";
import { import_hook } from "../core/inlineHook.ts";
import type { Refusal, Value } from "../core/types.ts";
import type { HookChannel, InlineHookRow } from "../store/apiTables.ts";
import { type Database, json, sql, violatedUnique } from "../store/database.ts";
import { dropSecret, getSecret, type Key, putSecret, type SecretPlace } from "../store/secrets.ts";
import type { Target } from "../store/tables.ts";
import { type Command, log, type Running, run } from "./command.ts";

export type InlineHook = Selectable<InlineHookRow>;

/** `secret`: the header's value (HTTP) or the client secret (OAUTH); undefined keeps the one that is there. */
export type HookInput = Readonly<{
  name: string;
  version: string;
  channel: HookChannel;
  secret?: string | undefined;
}>;

/** Okta's ceiling. */
const hooks_max = 50;

/** Where a hook's secret is sealed, for whoever calls it. */
export const hookSecretPlace = (id: string): SecretPlace => ({ table: "inline_hooks", row: id, column: "secret" });
const missing = (id: string): Refusal => ({
  refused: `there is no inline hook ${id.slice(0, 100)}`,
  code: "not_found",
  place: id.slice(0, 100),
});

/** All hooks, or those of a type, oldest first. */
export function listInlineHooks(db: Database, type?: string): Promise<readonly InlineHook[]> {
  const all = db.selectFrom("inline_hooks").selectAll().orderBy("id").limit(hooks_max);
  return (type === undefined ? all : all.where("type", "=", type)).execute();
}

/** One hook, or undefined. */
export function getInlineHook(db: Database, id: string): Promise<InlineHook | undefined> {
  return db.selectFrom("inline_hooks").selectAll().where("id", "=", id).executeTakeFirst();
}

/** The first hook of a type that is switched on; of passwords there is only one. */
export function activeHook(db: Database, type: string): Promise<InlineHook | undefined> {
  return db
    .selectFrom("inline_hooks")
    .selectAll()
    .where("type", "=", type)
    .where("status", "=", "ACTIVE")
    .orderBy("id")
    .executeTakeFirst();
}

/** Makes a hook, switched on. */
export function createInlineHook(
  command: Command,
  key: Key,
  input: HookInput & Readonly<{ type: string }>,
): Promise<InlineHook | Refusal> {
  return unlessSecond(() =>
    run<InlineHook>(command, async (running) => {
      // Two at once would both count one too few.
      await sql`lock table inline_hooks in share row exclusive mode`.execute(running.db);
      const { rows } = await sql<{ n: number }>`select count(*)::int as n from inline_hooks`.execute(running.db);
      if ((rows[0]?.n ?? 0) >= hooks_max) {
        return {
          refused: `there are ${hooks_max} inline hooks: delete one first`,
          code: "too_large",
          place: "inlineHook",
        };
      }
      const unsigned = secretProblem(input.channel, input.secret);
      if (unsigned) return unsigned;
      const now = running.now();
      const made = await running.db
        .insertInto("inline_hooks")
        .values({
          ...{ type: input.type, name: input.name, version: input.version },
          channel: json(input.channel),
          created_at: now,
          updated_at: now,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      if (input.secret !== undefined) await putSecret(running.db, key, hookSecretPlace(made.id), input.secret);
      await note(running, made, "created");
      return made;
    }),
  );
}

/** Replaces name, version and channel. A secret that is not given again is kept, for the address it was given for. */
export function changeInlineHook(
  command: Command,
  key: Key,
  id: string,
  input: HookInput,
): Promise<InlineHook | Refusal> {
  return run<InlineHook>(command, async (running) => {
    const before = await lockHook(running, id);
    if (before === undefined) return missing(id);
    const kept = input.secret ?? (await getSecret(running.db, key, hookSecretPlace(id), running.now()));
    const unsigned = secretProblem(input.channel, kept);
    if (unsigned) return unsigned;
    const moved = destinations(before.channel) !== destinations(input.channel);
    if (moved && input.secret === undefined && kept !== undefined && needsSecret(input.channel)) {
      // Else whoever may edit a hook could read its secret by pointing it at a server of their own.
      const name = secretName(input.channel);
      return {
        refused: `${name}: give it again, because the hook is moved to another address`,
        code: "invalid",
        place: name,
      };
    }
    const after = await running.db
      .updateTable("inline_hooks")
      .set({ name: input.name, version: input.version, channel: json(input.channel), updated_at: running.now() })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    if (!needsSecret(input.channel)) await dropSecret(running.db, hookSecretPlace(id));
    else if (input.secret !== undefined) await putSecret(running.db, key, hookSecretPlace(id), input.secret);
    await note(running, after, "updated");
    return after;
  });
}

/** What is done when the hook gives no answer. */
export function setHookFailure(
  command: Command,
  id: string,
  on_failure: InlineHook["on_failure"],
): Promise<InlineHook | Refusal> {
  return run<InlineHook>(command, async (running) => {
    const before = await lockHook(running, id);
    if (before === undefined) return missing(id);
    if (before.on_failure === on_failure) return before;
    const after = await running.db
      .updateTable("inline_hooks")
      .set({ on_failure, updated_at: running.now() })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await note(running, after, "updated", { on_failure });
    return after;
  });
}

/** Switches a hook on or off; one that is so already stays as it is. */
export function switchInlineHook(
  command: Command,
  id: string,
  status: InlineHook["status"],
): Promise<InlineHook | Refusal> {
  return unlessSecond(() =>
    run<InlineHook>(command, async (running) => {
      const before = await lockHook(running, id);
      if (before === undefined) return missing(id);
      if (before.status === status) return before;
      const after = await running.db
        .updateTable("inline_hooks")
        .set({ status, updated_at: running.now() })
        .where("id", "=", id)
        .returningAll()
        .executeTakeFirstOrThrow();
      await note(running, after, status === "ACTIVE" ? "activated" : "deactivated");
      return after;
    }),
  );
}

/** Deletes a hook that is switched off and that no source names, with its secret. */
export function deleteInlineHook(command: Command, id: string): Promise<InlineHook | Refusal> {
  return run<InlineHook>(command, async (running) => {
    const hook = await lockHook(running, id);
    if (hook === undefined) return missing(id);
    if (hook.status === "ACTIVE") {
      return { refused: `${hook.name} is active: deactivate it first`, code: "invalid", place: "inlineHook" };
    }
    const { rows } = await sql<{ label: string }>`
      select label from apps where sourcing->>'import_hook' = ${id} order by id limit 1`.execute(running.db);
    if (rows[0] !== undefined) {
      return {
        refused: `${hook.name} is asked by imports of ${rows[0].label}: set that source's import_hook to null first`,
        code: "invalid",
        place: "inlineHook",
      };
    }
    await running.db.deleteFrom("inline_hooks").where("id", "=", id).execute();
    await note(running, hook, "deleted");
    return hook;
  });
}

/** Can imports of a source ask this hook? Holds it, so that it is not deleted meanwhile. */
export async function importHookProblem(running: Running, id: string): Promise<Refusal | undefined> {
  const { rows } = await sql<{ name: string; type: string }>`
    select name, type from inline_hooks where id = ${id} for share`.execute(running.db);
  const place = "sourcing.import_hook";
  if (rows[0] === undefined) {
    return { refused: `${place}: there is no inline hook ${id.slice(0, 100)}`, code: "invalid", place };
  }
  if (rows[0].type === import_hook) return undefined;
  return {
    refused: `${place}: ${rows[0].name} is of type ${rows[0].type}; imports ask ${import_hook}`,
    code: "invalid",
    place,
  };
}

async function lockHook(running: Running, id: string): Promise<InlineHook | undefined> {
  return running.db.selectFrom("inline_hooks").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
}

const needsSecret = ({ auth_header, oauth }: HookChannel) => auth_header !== null || oauth !== null;
const secretName = ({ type }: HookChannel) =>
  type === "OAUTH" ? "channel.config.clientSecret" : "channel.config.authScheme.value";

/** Where the secret goes, and what it is exchanged for. */
function destinations({ uri, oauth }: HookChannel): string {
  return [uri, ...(oauth === null ? [] : [oauth.token_url])].map((url) => new URL(url).origin).join(" ");
}

function secretProblem(channel: HookChannel, secret: string | undefined): Refusal | undefined {
  if (!needsSecret(channel) || secret !== undefined) return undefined;
  const name = secretName(channel);
  return { refused: `${name}: is required`, code: "invalid", place: name };
}

/** The target that the log names. */
export const hookTarget = ({ id, name }: Pick<InlineHook, "id" | "name">): Target => ({ id, type: "InlineHook", name });

async function note(
  running: Running,
  hook: InlineHook,
  verb: "created" | "updated" | "activated" | "deactivated" | "deleted",
  detail: Readonly<Record<string, Value>> = {},
): Promise<void> {
  await log(running, {
    type: `inline_hook.${verb}`,
    targets: [hookTarget(hook)],
    detail: { type: hook.type, ...detail },
  });
}

async function unlessSecond<T>(work: () => Promise<T | Refusal>): Promise<T | Refusal> {
  try {
    return await work();
  } catch (error) {
    if (violatedUnique(error) !== "inline_hooks_password") throw error;
    const refused = "only one password import hook can be active: deactivate the other one first";
    return { refused, code: "duplicate", place: "type" };
  }
}
