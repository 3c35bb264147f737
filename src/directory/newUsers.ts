/**
 * Commands that create people, one or ten thousand at once: the API and an import go through the same functions.
 *
 * Laws: as in users.ts. A set is inserted in the hope that nobody has any of its logins and unique values, which spares
 * a million people of a first import a look-up each (4 of 95 microseconds) and the care of `on conflict` (3 more); only
 * when the database objects is it asked whose they are, and everyone else inserted.
 *
 * Called through users.ts.
 */
import { transition } from "../core/lifecycle.ts";
import type { Profile, Refusal, Schema, UserStatus } from "../core/types.ts";
import { column, shared } from "../store/columns.ts";
import { isRefusal, sql, violatedUnique } from "../store/database.ts";
import type { Credentials, Provenance } from "../store/tables.ts";
import { type Command, logAll, priority, type Running, run } from "./command.ts";
import { type Mark, markDirtyEach } from "./marks.ts";
import { grantMemberships } from "./memberships.ts";
import { hashPassword, judgePassword, type NewPassword } from "./password.ts";
import { keepPasswords, type PasswordKeeping } from "./passwordKeeping.ts";
import { judgeProfile, userSchema } from "./schemaQueries.ts";
import { findDoubles, findTaken } from "./uniqueness.ts";
import type { StoredUser } from "./userQueries.ts";
import { userTarget } from "./userState.ts";

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

/** `urgency`: how soon the engine looks at them; by default as a person's own change. */
export type CreationOptions = PasswordKeeping & Readonly<{ urgency?: number }>;

/** Creates people, all or none. Gives the rows in order, or the first refusal. */
export function createUsers(
  command: Command,
  inputs: readonly NewUser[],
  options: CreationOptions = {},
): Promise<readonly StoredUser[] | Refusal> {
  return run(command, async (running) => allOrNone(await createUsersEach(running, inputs, options)));
}

/**
 * Creates those people who can be created. Gives, in order, each row or why that person was refused; a refusal as a
 * whole only when a group cannot be used. Passwords are hashed before anything is locked.
 */
export async function createUsersEach(
  command: Command,
  inputs: readonly NewUser[],
  options: CreationOptions = {},
): Promise<readonly (StoredUser | Refusal)[] | Refusal> {
  const credentials = await Promise.all(inputs.map((input) => (isBare(input) ? {} : credentialsOf(input))));
  return run(command, async (running) => {
    const schema = await userSchema(running.db);
    const now = running.now();
    const drafts = inputs.map((input, n) => draft(schema, input, credentials[n] ?? {}, now));
    const results: (StoredUser | Refusal)[] = drafts.map(notCreated);
    const good = drafts.flatMap((one, n) => (isRefusal(one) ? [] : [{ n, ...one }]));
    const ids = await newIds(running, good.length);
    const created = await insertFree(
      running,
      schema,
      good.map((row, index) => ({ ...row, id: ids[index] ?? "" })),
    );
    for (const [n, result] of created) results[n] = result;
    const refused = await followCreation(running, inputs, results, options);
    return refused ?? results;
  });
}

type Draft = Readonly<{
  profile: Profile;
  status: UserStatus;
  credentials: Credentials;
  input: NewUser;
}>;

/** A draft with its place among the inputs and its future id. */
type Row = Draft & Readonly<{ n: number; id: string }>;

const notCreated = (drafted: Draft | Refusal): Refusal =>
  isRefusal(drafted) ? drafted : { refused: "not created", code: "unavailable" };

/** Without any credentials: what a source sends. */
const isBare = ({ password, provider, recovery }: NewUser): boolean =>
  password === undefined && provider === undefined && recovery === undefined;

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

/** Inserts everyone whose login and unique values are free. Gives the person or the refusal by place among the inputs. */
async function insertFree(
  running: Running,
  schema: Schema,
  rows: readonly Row[],
): Promise<ReadonlyMap<number, StoredUser | Refusal>> {
  if (rows.length === 0) return new Map();
  const candidates = rows.map(({ profile }) => ({ id: null, profile }));
  if (findDoubles(schema, candidates).size === 0) {
    await sql`savepoint before_users`.execute(running.db);
    try {
      const inserted = await insertUsers(running, rows, "fail");
      await sql`release savepoint before_users`.execute(running.db);
      return new Map(inserted.map((user, index) => [rows[index]?.n ?? 0, user ?? justTaken(rows[index])]));
    } catch (error) {
      if (violatedUnique(error) === undefined) throw error;
      await sql`rollback to savepoint before_users`.execute(running.db);
    }
  }
  const taken = await findTaken(running.db, schema, candidates);
  const free = rows.filter((_, index) => !taken.has(index));
  const inserted = await insertUsers(running, free, "skip");
  return new Map([
    ...[...taken].map(([index, refusal]) => [rows[index]?.n ?? 0, refusal] as const),
    ...free.map((row, index) => [row.n, inserted[index] ?? justTaken(row)] as const),
  ]);
}

const justTaken = (row: Row | undefined): Refusal => ({
  refused: `login: ${String(row?.profile["login"])} was just taken by another change; read that person and update`,
  code: "duplicate",
  place: "login",
});

const byLogin = (a: Row, b: Row) => {
  const [one, other] = [String(a.profile["login"]).toLowerCase(), String(b.profile["login"]).toLowerCase()];
  return one < other ? -1 : one > other ? 1 : 0;
};

/**
 * Inserts in one statement, in order of login, so that two commands wait for each other in the same order. What a
 * concurrent command took meanwhile fails the set, or is skipped: undefined in its place.
 *
 * As arrays, and giving back only what Node does not know: 23 and 5 microseconds a row in PostgreSQL and Node, where
 * one JSON of whole rows and `returning *` took 42 and 18.
 */
async function insertUsers(
  running: Running,
  rows: readonly Row[],
  taken: "fail" | "skip",
): Promise<readonly (StoredUser | undefined)[]> {
  if (rows.length === 0) return [];
  const now = running.now();
  const sorted = rows.toSorted(byLogin);
  const credentials = shared(sorted.map((row) => row.credentials));
  const provenance = shared(sorted.map((row) => row.input.provenance ?? {}));
  const statuses = shared(sorted.map((row) => row.status));
  const { rows: inserted } = await sql<{ id: string; login: string }>`
    insert into users (id, status, profile, credentials, provenance, super_admin, time_zone, starts_at, ends_at,
      created_at, updated_at, status_changed_at, activated_at, password_changed_at)
    select n.id, n.status, n.profile, n.credentials, n.provenance, coalesce(n.super_admin, false), n.time_zone,
      n.starts_at, n.ends_at, ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz,
      case when n.status <> 'STAGED' then ${now}::timestamptz end, n.password_changed_at
    from (
      select r.*, ${statuses.list}::jsonb ->> r.status_at as status,
        ${credentials.list}::jsonb -> r.credentials_at as credentials, ${provenance.list}::jsonb -> r.provenance_at as provenance
      from rows from (unnest(${sorted.map((row) => row.id)}::text[]),
        jsonb_array_elements(${`[${sorted.map((row) => JSON.stringify(row.profile)).join(",")}]`}::jsonb),
        unnest(${statuses.at}::int[]), unnest(${credentials.at}::int[]), unnest(${provenance.at}::int[]),
        unnest(${column(sorted, (row) => row.input.super_admin || null)}::boolean[]),
        unnest(${column(sorted, (row) => row.input.time_zone)}::text[]),
        unnest(${column(sorted, (row) => row.input.starts_at)}::timestamptz[]),
        unnest(${column(sorted, (row) => row.input.ends_at)}::timestamptz[]),
        unnest(${column(sorted, (row) => passwordSet(row, now))}::timestamptz[]))
        as r(id, profile, status_at, credentials_at, provenance_at, super_admin, time_zone, starts_at, ends_at,
          password_changed_at)) n
    ${taken === "skip" ? sql`on conflict do nothing` : sql``} returning id, login`.execute(running.db);
  const logins = new Map(inserted.map((row) => [row.id, row.login]));
  return rows.map((row) => {
    const login = logins.get(row.id);
    return login === undefined ? undefined : storedUser(row, login, now);
  });
}

const passwordSet = ({ credentials }: Draft, now: Date): Date | null =>
  credentials.password_hash === undefined ? null : now;

/** The row as it was just inserted. */
function storedUser(row: Row, login: string, now: Date): StoredUser {
  const { id, status, profile, credentials, input } = row;
  return {
    ...{ id, status, prior_status: null, profile, login, credentials, provenance: input.provenance ?? {}, hold: null },
    ...{ super_admin: input.super_admin ?? false, time_zone: input.time_zone ?? null },
    ...{ starts_at: input.starts_at ?? null, ends_at: input.ends_at ?? null },
    ...{ created_at: now, updated_at: now, status_changed_at: now, activated_at: status === "STAGED" ? null : now },
    ...{ last_login_at: null, password_changed_at: passwordSet(row, now) },
  };
}

/** The log, the groups asked for, the marks and the passwords to deliver, for people who were just created. */
async function followCreation(
  running: Running,
  inputs: readonly NewUser[],
  results: readonly (StoredUser | Refusal)[],
  options: CreationOptions,
): Promise<Refusal | undefined> {
  const created = results.flatMap((result) => (isRefusal(result) ? [] : [result]));
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
  await markDirtyEach(running, marks, options.urgency ?? priority.change);
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
  await keepPasswords(running, options, clear);
  return undefined;
}

/** The rows when nobody was refused, else the first refusal, which rolls everything back. */
export function allOrNone<T>(results: readonly (T | Refusal)[] | Refusal): readonly T[] | Refusal {
  if (isRefusal(results)) return results;
  const refused = results.find(isRefusal);
  return refused ?? (results as readonly T[]);
}
