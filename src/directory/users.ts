/**
 * Commands on people: create (newUsers.ts) and change profiles, one or ten thousand at once (an import and the API go
 * through the same functions). Status is userLifecycle.ts, reading is userQueries.ts.
 *
 * Laws: every profile passes the schema; a login belongs to one person whatever its case; a row is written, logged and
 * marked only if something differs; profiles of deactivated people are closed unless the setting
 * `edit_deactivated_users` is on. The plural functions ending in `Each` refuse row by row and keep the good rows; the
 * others are all or nothing.
 */
import { keepAliases } from "../core/aliases.ts";
import { type Change, canonicalValue, diffProfiles } from "../core/diff.ts";
import { isZone } from "../core/expression/functions/zones.ts";
import { mergeProfile, type ProfileRefusal } from "../core/schema.ts";
import type { Profile, Refusal, Schema, Value } from "../core/types.ts";
import { type Database, isRefusal, sql, violatedUnique } from "../store/database.ts";
import type { Provenance } from "../store/tables.ts";
import { claimsAliases } from "./aliases.ts";
import { type Command, logAll, priority, type Running, run } from "./command.ts";
import { dependents } from "./dependents.ts";
import { lockUsers } from "./locks.ts";
import { type Mark, markDirtyEach } from "./marks.ts";
import { allOrNone, noZone } from "./newUsers.ts";
import { forType, judgeProfile, schemaOfType, userSchema } from "./schemaQueries.ts";
import { readSetting } from "./settings.ts";
import { profileSources, type SourcedDay, sourcedRefusal } from "./sourced.ts";
import { findTaken, refusalOfConstraint, uniqueAttributes } from "./uniqueness.ts";
import type { StoredUser } from "./userQueries.ts";
import { userTarget } from "./userState.ts";
import { refuseUnknownTypes } from "./userTypes.ts";

export { lockUsers } from "./locks.ts";
export { createUsers, createUsersEach, type NewUser } from "./newUsers.ts";

/** A change of a person. `profile`: what is absent stays and null clears; with `replace` it is the whole new profile. */
export type UserChange = Readonly<{
  id: string;
  profile?: Profile;
  replace?: boolean;
  starts_at?: Date | null;
  ends_at?: Date | null;
  time_zone?: string | null;
  /** Another type of person (null: the default): values of attributes that it lacks go. */
  type_id?: string | null;
  provenance?: Provenance;
  /** A login that the change replaces is kept in this list attribute; null or absent: it is given up. */
  alias_attribute?: string | null;
}>;

/** The person after the command. `changed: false`: nothing differed, so nothing was written or logged. */
export type ChangedUser = Readonly<{ user: StoredUser; changed: boolean; changes: readonly Change[] }>;

export type ChangeOptions = Readonly<{
  /** Also change people who are deactivated, as the source that is about to bring one back must. */
  deactivated?: boolean;
  /** It is a source that says so: what comes from a source may change. */
  sourced?: boolean;
  /** How soon the engine looks at them; by default as a person's own change. */
  urgency?: number;
}>;

/** Changes people, all or none. Gives them in order with what really changed, or the first refusal. */
export function updateUsers(
  command: Command,
  changes: readonly UserChange[],
  options: ChangeOptions = {},
): Promise<readonly ChangedUser[] | Refusal> {
  return run(command, async (running) => allOrNone(await updateUsersEach(running, changes, options)));
}

/**
 * Changes those people who can be changed. Gives, in order, each with what really changed, or why that change was
 * refused. Two changes of one person in a set apply in order.
 */
export function updateUsersEach(
  command: Command,
  changes: readonly UserChange[],
  options: ChangeOptions = {},
): Promise<readonly (ChangedUser | Refusal)[] | Refusal> {
  return run(command, async (running) => {
    const schema = await userSchema(running.db);
    const refusedType = await refuseUnknownTypes(running.db, changes);
    if (refusedType) return refusedType;
    const before = await lockUsers(
      running.db,
      changes.map((change) => change.id),
    );
    const open = (options.deactivated ?? false) || (await readSetting(running.db, "edit_deactivated_users")) === true;
    const next = new Map(before);
    const refusals = new Map<number, Refusal>();
    for (const [n, change] of changes.entries()) {
      const outcome = applyChange(schema, next.get(change.id), change, open);
      if (isRefusal(outcome)) refusals.set(n, outcome);
      else next.set(change.id, outcome);
    }
    const everyone = [...next.values()].filter((user) => isMoved(before.get(user.id), user));
    const theirs = options.sourced === true ? new Map() : await sourcedRefusals(running.db, before, everyone);
    const moved = everyone.filter((user) => !theirs.has(user.id));
    // Whose unique values stay as they were cannot be in anybody's way.
    const claiming = moved.filter((user) => claimsValue(schema, before.get(user.id), user));
    const taken = await findTaken(running.db, schema, claiming);
    const refused = new Map([...theirs, ...[...taken].map(([n, refusal]) => [claiming[n]?.id, refusal] as const)]);
    const saved = await writeUsers(
      running,
      schema,
      moved.filter((user) => !refused.has(user.id)),
    );
    if (isRefusal(saved)) return saved;
    const diffs = await followChange(running, schema, before, [...saved.values()], options.urgency ?? priority.change);
    return changes.map((change, n): ChangedUser | Refusal => {
      const refusal = refusals.get(n) ?? refused.get(change.id);
      if (refusal) return refusal;
      const user = saved.get(change.id) ?? before.get(change.id);
      if (user === undefined) return notFound(change.id);
      return { user, changed: saved.has(change.id), changes: diffs.get(change.id) ?? [] };
    });
  });
}

function notFound(id: string): Refusal {
  return { refused: `there is no user ${id}; they may have been deleted`, code: "not_found", place: id };
}

/** The person as they would be after a change. */
function applyChange(
  schema: Schema,
  user: StoredUser | undefined,
  change: UserChange,
  open: boolean,
): StoredUser | Refusal {
  if (user === undefined) return notFound(change.id);
  if (change.profile !== undefined && user.status === "DEPROVISIONED" && !open) {
    return {
      refused: `${user.login} is deactivated and their profile is closed; activate them, or turn on "Edit deactivated people" (POST /api/v1/features/ftrEditsDeactivateds/enable)`,
      code: "forbidden",
      place: user.id,
    };
  }
  const type_id = change.type_id === undefined ? user.type_id : change.type_id;
  const its = schemaOfType(schema, type_id);
  const sourced = change.provenance !== undefined && change.profile !== undefined;
  const given = sourced ? { ...change, profile: forType(schema, its, change.profile) } : change;
  const after = profileAfter(its, user, given, type_id !== user.type_id);
  if (!("ok" in after)) return after;
  const keeps = its.attributes.some(({ name, array }) => name === change.alias_attribute && array);
  const kept = keeps ? keepAliases(change.alias_attribute ?? "", user.profile, after.ok) : after;
  if (!("ok" in kept)) return kept;
  const profile = kept.ok;
  const starts_at = change.starts_at === undefined ? user.starts_at : change.starts_at;
  const ends_at = change.ends_at === undefined ? user.ends_at : change.ends_at;
  if (starts_at && ends_at && starts_at >= ends_at) {
    return { refused: `${user.login} would end before starting`, code: "invalid", place: "ends_at" };
  }
  const time_zone = change.time_zone === undefined ? user.time_zone : change.time_zone;
  if (time_zone !== null && time_zone !== user.time_zone && !isZone(time_zone)) return noZone(user.login, time_zone);
  return { ...user, profile, starts_at, ends_at, time_zone, type_id, provenance: change.provenance ?? user.provenance };
}

/** `retyped`: the schema is another than before, so what the person has must fit it anew. */
function profileAfter(
  schema: Schema,
  user: StoredUser,
  change: UserChange,
  retyped: boolean,
): { readonly ok: Profile } | Refusal {
  if (change.profile === undefined && !retyped) return { ok: user.profile };
  const partial = change.replace !== true || change.profile === undefined;
  const judged = judgeProfile(schema, change.profile ?? {}, { partial });
  const named = (refusal: ProfileRefusal) => ({ ...refusal, refused: `${user.login}: ${refusal.refused}` });
  if (!("ok" in judged)) return named(judged);
  const merged = mergeProfile(user.profile, judged.ok, partial ? "partial" : "replace");
  if (!retyped) return { ok: merged };
  const has = new Set(schema.attributes.map(({ name }) => name));
  const whole = judgeProfile(schema, Object.fromEntries(Object.entries(merged).filter(([name]) => has.has(name))), {
    partial: false,
  });
  return "ok" in whole ? whole : named(whole);
}

/** Who would change what comes from their source, with the reason. */
async function sourcedRefusals(
  db: Database,
  before: ReadonlyMap<string, StoredUser>,
  after: readonly StoredUser[],
): Promise<ReadonlyMap<string, Refusal>> {
  const changes = after.flatMap((user) => {
    const was = before.get(user.id);
    const attributes = diffProfiles(was?.profile ?? {}, user.profile).map(({ attribute }) => attribute);
    const days = sourced_days.filter((name) => was?.[name]?.valueOf() !== user[name]?.valueOf());
    return attributes.length + days.length === 0 ? [] : [{ user, changed: { attributes, days } }];
  });
  const sources = await profileSources(
    db,
    changes.map(({ user }) => user.id),
  );
  return new Map(
    changes.flatMap(({ user, changed }) => {
      const refusal = sourcedRefusal(before.get(user.id)?.login ?? user.login, sources.get(user.id), changed);
      return refusal === undefined ? [] : [[user.id, refusal] as const];
    }),
  );
}

const sourced_days: readonly SourcedDay[] = ["starts_at", "ends_at", "time_zone"];

const dated = (user: StoredUser) =>
  [user.starts_at?.getTime(), user.ends_at?.getTime(), user.time_zone, user.type_id].join();

function isMoved(before: StoredUser | undefined, after: StoredUser): boolean {
  if (before === undefined || before === after) return false;
  return (
    diffProfiles(before.profile, after.profile).length > 0 ||
    dated(before) !== dated(after) ||
    diffProfiles(before.provenance as Profile, after.provenance as Profile).length > 0
  );
}

function claimsValue(schema: Schema, before: StoredUser | undefined, after: StoredUser): boolean {
  if (claimsAliases(schema, before?.profile ?? {}, after.profile)) return true;
  return uniqueAttributes(schema).some((attribute) => {
    const [was, is] = [before?.profile[attribute.name], after.profile[attribute.name]];
    return canonicalValue(was, attribute) !== canonicalValue(is, attribute);
  });
}

/** Writes changed people in one statement. A race on a unique value refuses the set. */
async function writeUsers(
  running: Running,
  schema: Schema,
  users: readonly StoredUser[],
): Promise<ReadonlyMap<string, StoredUser> | Refusal> {
  if (users.length === 0) return new Map();
  const lines = users.map(({ id, profile, provenance, starts_at, ends_at, time_zone, type_id }) => ({
    ...{ id, profile, provenance, starts_at, ends_at, time_zone, type_id },
  }));
  await sql`savepoint before_users`.execute(running.db);
  try {
    const { rows } = await sql<{ id: string; login: string }>`
      update users u set profile = n.profile, provenance = n.provenance, starts_at = n.starts_at, ends_at = n.ends_at,
        time_zone = n.time_zone, type_id = n.type_id, updated_at = ${running.now()}::timestamptz
      from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as n(id text, profile jsonb, provenance jsonb,
        starts_at timestamptz, ends_at timestamptz, time_zone text, type_id text)
      where u.id = n.id returning u.id, u.login`.execute(running.db);
    await sql`release savepoint before_users`.execute(running.db);
    const logins = new Map(rows.map((row) => [row.id, row.login]));
    const updated_at = running.now();
    return new Map(users.map((user) => [user.id, { ...user, login: logins.get(user.id) ?? user.login, updated_at }]));
  } catch (error) {
    const refusal = refusalOfConstraint(schema, violatedUnique(error) ?? "");
    if (refusal === undefined) throw error;
    await sql`rollback to savepoint before_users`.execute(running.db);
    return refusal;
  }
}

/** The log and the marks of changed people and of those whose mappings read them. Gives each one's changes. */
async function followChange(
  running: Running,
  schema: Schema,
  before: ReadonlyMap<string, StoredUser>,
  saved: readonly StoredUser[],
  urgency: number,
): Promise<ReadonlyMap<string, readonly Change[]>> {
  const hidden = new Set(schema.attributes.filter(({ sensitive }) => sensitive).map(({ name }) => name));
  const told = saved.flatMap((after) => {
    const was = before.get(after.id);
    if (was === undefined) return [];
    const changes = diffProfiles(was.profile, after.profile);
    return changes.length > 0 || dated(was) !== dated(after) ? [{ was, after, changes }] : [];
  });
  const seqs = await logAll(
    running,
    told.map(({ was, after, changes }) => ({
      type: "user.account.update_profile",
      targets: [userTarget(after)],
      user_id: after.id,
      detail: {
        changes: Object.fromEntries([...changes.map((change) => shown(change, hidden)), ...dates(was, after)]),
      },
    })),
  );
  const marks: Mark[] = told.map(({ after }, n) => ({ user_id: after.id, cause: seqs[n] ?? null }));
  const around = await dependents(
    running.db,
    told
      .filter(({ changes }) => changes.length > 0)
      .map(({ was, after }) => ({ id: after.id, profiles: [was.profile, after.profile] })),
  );
  const causes = new Map(marks.map((mark) => [mark.user_id, mark.cause]));
  const rest = around.map(({ user_id, reads }) => ({ user_id, cause: causes.get(reads) ?? null }));
  await markDirtyEach(running, [...rest, ...marks], urgency);
  return new Map(told.map(({ after, changes }) => [after.id, changes]));
}

function shown({ attribute, before, after }: Change, hidden: ReadonlySet<string>): [string, Value] {
  const mask = (value: Value): Value => (hidden.has(attribute) && value !== null ? "(hidden)" : value);
  return [attribute, { before: mask(before), after: mask(after) }];
}

function dates(was: StoredUser, after: StoredUser): [string, Value][] {
  const text = (at: Date | null) => at?.toISOString() ?? null;
  const all: [string, Value, Value][] = [
    ["starts_at", text(was.starts_at), text(after.starts_at)],
    ["ends_at", text(was.ends_at), text(after.ends_at)],
    ["time_zone", was.time_zone, after.time_zone],
    ["type_id", was.type_id, after.type_id],
  ];
  return all.filter(([, b, a]) => b !== a).map(([name, b, a]) => [name, { before: b, after: a }]);
}
