/**
 * Commands on people: create and change profiles, one or ten thousand at once (an import and the API go through the same
 * functions). Status is userLifecycle.ts, reading is userQueries.ts.
 *
 * Laws: every profile passes the schema; a login belongs to one person whatever its case; a row is written, logged and
 * marked only if something differs; profiles of deactivated people are closed unless the setting
 * `edit_deactivated_users` is on. The plural functions ending in `Each` refuse row by row and keep the good rows; the
 * others are all or nothing.
 */
import { type Change, diffProfiles } from "../core/diff.ts";
import { transition } from "../core/lifecycle.ts";
import { mergeProfile } from "../core/schema.ts";
import type { Profile, Refusal, Schema, UserStatus, Value } from "../core/types.ts";
import { isRefusal, sql, violatedUnique } from "../store/database.ts";
import type { Credentials, Provenance } from "../store/tables.ts";
import { type Command, logAll, priority, type Running, run } from "./command.ts";
import { dependents } from "./dependents.ts";
import { lockUsers } from "./locks.ts";
import { type Mark, markDirtyEach } from "./marks.ts";
import { grantMemberships } from "./memberships.ts";
import { hashPassword, judgePassword, type NewPassword } from "./password.ts";
import { keepPasswords, type PasswordKeeping } from "./passwordKeeping.ts";
import { judgeProfile, userSchema } from "./schemaQueries.ts";
import { readSetting } from "./settings.ts";
import { findTaken, refusalOfConstraint } from "./uniqueness.ts";
import type { StoredUser } from "./userQueries.ts";
import { userTarget } from "./userState.ts";

export { lockUsers } from "./locks.ts";

/** A person to create. `activate` (default true) gives the status of okta-lifecycle 1.2; with a start ahead they wait. */
export type NewUser = Readonly<{
  profile: Profile;
  activate?: boolean;
  password?: NewPassword;
  /** The password serves once: PASSWORD_EXPIRED until changed. */
  must_change_password?: boolean;
  recovery?: Readonly<{ question: string; answer: string }>;
  /** Where credentials are kept; without it, here. */
  provider?: Readonly<{ type: string; name: string }>;
  group_ids?: readonly string[];
  starts_at?: Date | null;
  ends_at?: Date | null;
  time_zone?: string | null;
  super_admin?: boolean;
  provenance?: Provenance;
}>;

/** A change of a person. `profile`: what is absent stays and null clears; with `replace` it is the whole new profile. */
export type UserChange = Readonly<{
  id: string;
  profile?: Profile;
  replace?: boolean;
  starts_at?: Date | null;
  ends_at?: Date | null;
  time_zone?: string | null;
  provenance?: Provenance;
}>;

/** The person after the command. `changed: false`: nothing differed, so nothing was written or logged. */
export type ChangedUser = Readonly<{ user: StoredUser; changed: boolean; changes: readonly Change[] }>;

export type ChangeOptions = Readonly<{
  /** Also change people who are deactivated, as the source that is about to bring one back must. */
  deactivated?: boolean;
}>;

/** Creates people, all or none. Gives the rows in order, or the first refusal. */
export function createUsers(
  command: Command,
  inputs: readonly NewUser[],
  keeping: PasswordKeeping = {},
): Promise<readonly StoredUser[] | Refusal> {
  return run(command, async (running) => allOrNone(await createUsersEach(running, inputs, keeping)));
}

/**
 * Creates those people who can be created. Gives, in order, each row or why that person was refused; a refusal as a
 * whole only when a group cannot be used. Passwords are hashed before anything is locked.
 */
export async function createUsersEach(
  command: Command,
  inputs: readonly NewUser[],
  keeping: PasswordKeeping = {},
): Promise<readonly (StoredUser | Refusal)[] | Refusal> {
  const credentials = await Promise.all(inputs.map(credentialsOf));
  return run(command, async (running) => {
    const schema = await userSchema(running.db);
    const now = running.now();
    const drafts = inputs.map((input, n) => draft(schema, input, credentials[n] ?? {}, now));
    const results: (StoredUser | Refusal)[] = drafts.map(notCreated);
    const good = drafts.flatMap((one, n) => (isRefusal(one) ? [] : [{ n, ...one }]));
    const taken = await findTaken(
      running.db,
      schema,
      good.map(({ profile }) => ({ id: null, profile })),
    );
    for (const [index, refusal] of taken) results[good[index]?.n ?? 0] = refusal;
    const free = good.filter((_, index) => !taken.has(index));
    const ids = await newIds(running, free.length);
    const rows = free.map((row, index) => ({ ...row, id: ids[index] ?? "" }));
    const created = await insertUsers(running, rows);
    for (const row of rows) {
      const user = created.get(row.id);
      results[row.n] = user ?? {
        refused: `login: ${String(row.profile["login"])} was just taken by another change; read that person and update`,
        code: "duplicate",
        place: "login",
      };
    }
    const made = rows.flatMap((row) => created.get(row.id) ?? []);
    const refused = await followCreation(running, made, inputs, results, keeping);
    return refused ?? results;
  });
}

type Draft = Readonly<{
  profile: Profile;
  status: UserStatus;
  credentials: Credentials;
  input: NewUser;
}>;

const notCreated = (drafted: Draft | Refusal): Refusal =>
  isRefusal(drafted) ? drafted : { refused: "not created", code: "unavailable" };

async function credentialsOf(input: NewUser): Promise<Credentials | Refusal> {
  const refused = input.password === undefined ? undefined : judgePassword(input.password);
  if (refused) return refused;
  return {
    ...(input.password === undefined ? {} : { password_hash: await hashPassword(input.password) }),
    ...(input.provider === undefined ? {} : { provider: input.provider }),
    ...(input.recovery === undefined
      ? {}
      : {
          recovery_question: input.recovery.question,
          recovery_answer_hash: await hashPassword(input.recovery.answer.trim().toLowerCase()),
        }),
  };
}

/** Everything about a new person that needs no database, or why they cannot be. */
function draft(schema: Schema, input: NewUser, credentials: Credentials | Refusal, now: Date): Draft | Refusal {
  if (isRefusal(credentials)) return credentials;
  const judged = judgeProfile(schema, input.profile, { partial: false });
  if (!("ok" in judged)) {
    const who = input.profile?.["login"];
    return typeof who === "string" ? { ...judged, refused: `${who.slice(0, 100)}: ${judged.refused}` } : judged;
  }
  const { starts_at = null, ends_at = null } = input;
  if (starts_at && ends_at && starts_at >= ends_at) {
    return { refused: `${String(judged.ok["login"])} would end before starting`, code: "invalid", place: "ends_at" };
  }
  const outcome = transition(
    null,
    {
      kind: "create",
      activate: input.activate ?? true,
      has_password: credentials.password_hash !== undefined,
      change_password: input.must_change_password ?? false,
      signs_in_elsewhere: isElsewhere(input.provider),
      starts_at,
    },
    now,
  );
  if (!("ok" in outcome)) return outcome;
  return { profile: judged.ok, status: outcome.ok.status, credentials, input };
}

/** Providers that keep no password here. */
function isElsewhere(provider: NewUser["provider"]): boolean {
  return provider !== undefined && provider.type !== "OKTA" && provider.type !== "IMPORT";
}

async function newIds(running: Running, count: number): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`
    select new_id('00u') as id from generate_series(1, ${count}::int)`.execute(running.db);
  return rows.map((row) => row.id);
}

/** Inserts in one statement; a row whose login or unique value a concurrent command took meanwhile is left out. */
async function insertUsers(
  running: Running,
  drafts: readonly (Draft & { id: string })[],
): Promise<ReadonlyMap<string, StoredUser>> {
  if (drafts.length === 0) return new Map();
  const now = running.now();
  const lines = drafts.map(({ id, profile, status, credentials, input }) => ({
    ...{ id, profile, status, credentials, provenance: input.provenance ?? {} },
    ...{ super_admin: input.super_admin ?? false, time_zone: input.time_zone ?? null },
    ...{ starts_at: input.starts_at ?? null, ends_at: input.ends_at ?? null },
    activated_at: status === "STAGED" ? null : now,
    password_changed_at: credentials.password_hash === undefined ? null : now,
  }));
  const { rows } = await sql<StoredUser>`
    insert into users (id, status, profile, credentials, provenance, super_admin, time_zone, starts_at, ends_at,
      created_at, updated_at, status_changed_at, activated_at, password_changed_at)
    select id, status, profile, credentials, provenance, super_admin, time_zone, starts_at, ends_at,
      ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz, activated_at, password_changed_at
    from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as n(id text, status text, profile jsonb, credentials jsonb,
      provenance jsonb, super_admin boolean, time_zone text, starts_at timestamptz, ends_at timestamptz,
      activated_at timestamptz, password_changed_at timestamptz)
    order by lower(profile->>'login')
    on conflict do nothing returning *`.execute(running.db);
  return new Map(rows.map((row) => [row.id, row]));
}

/** The log, the groups asked for, the marks and the passwords to deliver, for people who were just created. */
async function followCreation(
  running: Running,
  created: readonly StoredUser[],
  inputs: readonly NewUser[],
  results: readonly (StoredUser | Refusal)[],
  keeping: PasswordKeeping,
): Promise<Refusal | undefined> {
  if (created.length === 0) return undefined;
  const seqs = await logAll(
    running,
    created.map((user) => ({
      type: "user.lifecycle.create",
      targets: [userTarget(user)],
      user_id: user.id,
      detail: { status: user.status },
    })),
  );
  const active = created.flatMap((user, n) => (user.status === "STAGED" ? [] : [{ user, cause: seqs[n] ?? null }]));
  const activations = await logAll(
    running,
    active.map(({ user, cause }) => ({
      type: "user.lifecycle.activate",
      targets: [userTarget(user)],
      user_id: user.id,
      cause,
    })),
  );
  const marks: Mark[] = created.map((user, n) => ({ user_id: user.id, cause: seqs[n] ?? null }));
  for (const [n, { user }] of active.entries()) marks.push({ user_id: user.id, cause: activations[n] ?? null });
  await markDirtyEach(running, marks);
  const grants = results.flatMap((result, n) =>
    isRefusal(result)
      ? []
      : (inputs[n]?.group_ids ?? []).map((group_id) => ({
          ...{ user_id: result.id, group_id, kind: "person" as const, source_id: running.actor.id },
        })),
  );
  const refused = grants.length === 0 ? [] : await grantMemberships(running, grants);
  if (isRefusal(refused)) return refused;
  const clear = results.flatMap((result, n) => {
    const password = inputs[n]?.password;
    return isRefusal(result) || typeof password !== "string" ? [] : [{ user_id: result.id, clear: password }];
  });
  await keepPasswords(running, keeping, clear);
  return undefined;
}

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
    const moved = [...next.values()].filter((user) => isMoved(before.get(user.id), user));
    const taken = await findTaken(running.db, schema, moved);
    const refused = new Map([...taken].map(([n, refusal]) => [moved[n]?.id, refusal]));
    const saved = await writeUsers(
      running,
      schema,
      moved.filter((user) => !refused.has(user.id)),
    );
    if (isRefusal(saved)) return saved;
    const diffs = await followChange(running, schema, before, [...saved.values()]);
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
      refused: `${user.login} is deactivated and their profile is closed; activate them, or turn on the setting edit_deactivated_users`,
      code: "forbidden",
      place: user.id,
    };
  }
  let { profile } = user;
  if (change.profile !== undefined) {
    const judged = judgeProfile(schema, change.profile, { partial: change.replace !== true });
    if (!("ok" in judged)) return { ...judged, refused: `${user.login}: ${judged.refused}` };
    profile = mergeProfile(profile, judged.ok, change.replace === true ? "replace" : "partial");
  }
  const starts_at = change.starts_at === undefined ? user.starts_at : change.starts_at;
  const ends_at = change.ends_at === undefined ? user.ends_at : change.ends_at;
  if (starts_at && ends_at && starts_at >= ends_at) {
    return { refused: `${user.login} would end before starting`, code: "invalid", place: "ends_at" };
  }
  const time_zone = change.time_zone === undefined ? user.time_zone : change.time_zone;
  return { ...user, profile, starts_at, ends_at, time_zone, provenance: change.provenance ?? user.provenance };
}

const dated = (user: StoredUser) => [user.starts_at?.getTime(), user.ends_at?.getTime(), user.time_zone].join();

function isMoved(before: StoredUser | undefined, after: StoredUser): boolean {
  if (before === undefined || before === after) return false;
  return (
    diffProfiles(before.profile, after.profile).length > 0 ||
    dated(before) !== dated(after) ||
    diffProfiles(before.provenance as Profile, after.provenance as Profile).length > 0
  );
}

/** Writes changed people in one statement. A race on a unique value refuses the set. */
async function writeUsers(
  running: Running,
  schema: Schema,
  users: readonly StoredUser[],
): Promise<ReadonlyMap<string, StoredUser> | Refusal> {
  if (users.length === 0) return new Map();
  const lines = users.map(({ id, profile, provenance, starts_at, ends_at, time_zone }) => ({
    ...{ id, profile, provenance, starts_at, ends_at, time_zone },
  }));
  await sql`savepoint before_users`.execute(running.db);
  try {
    const { rows } = await sql<StoredUser>`
      update users u set profile = n.profile, provenance = n.provenance, starts_at = n.starts_at, ends_at = n.ends_at,
        time_zone = n.time_zone, updated_at = ${running.now()}::timestamptz
      from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as n(id text, profile jsonb, provenance jsonb,
        starts_at timestamptz, ends_at timestamptz, time_zone text)
      where u.id = n.id returning u.*`.execute(running.db);
    await sql`release savepoint before_users`.execute(running.db);
    return new Map(rows.map((row) => [row.id, row]));
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
  await markDirtyEach(running, [...rest, ...marks], priority.change);
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
  ];
  return all.filter(([, b, a]) => b !== a).map(([name, b, a]) => [name, { before: b, after: a }]);
}

/** The rows when nobody was refused, else the first refusal, which rolls everything back. */
function allOrNone<T>(results: readonly (T | Refusal)[] | Refusal): readonly T[] | Refusal {
  if (isRefusal(results)) return results;
  const refused = results.find(isRefusal);
  return refused ?? (results as readonly T[]);
}
