/**
 * Commands that create people, one or ten thousand at once: the API and an import go through the same functions.
 *
 * Laws: as in users.ts. A set is inserted in the hope that nobody has any of its logins and unique values, which spares
 * a million people of a first import a look-up each (4 of 95 microseconds) and the care of `on conflict` (3 more); only
 * when the database objects is it asked whose they are, and everyone else inserted.
 *
 * Called through users.ts.
 */
import type { RawBuilder } from "kysely";
import { isZone } from "../core/expression/functions/zones.ts";
import { transition } from "../core/lifecycle.ts";
import type { Profile, Refusal, Schema, UserStatus } from "../core/types.ts";
import { column, jsonbList, shared } from "../store/columns.ts";
import { isRefusal, json, sql, violatedUnique } from "../store/database.ts";
import type { Credentials, Provenance } from "../store/tables.ts";
import { type Command, nudge, priority, type Running, run } from "./command.ts";
import { dependentsOfNew } from "./dependents.ts";
import { markDirtyEach } from "./marks.ts";
import { grantMemberships } from "./memberships.ts";
import { hashPassword, judgePassword, type NewPassword } from "./password.ts";
import { keepPasswords, type PasswordKeeping } from "./passwordKeeping.ts";
import { passwordPolicy, refusePassword } from "./passwordRules.ts";
import { forType, judgeProfile, schemaOfType, userSchema } from "./schemaQueries.ts";
import { findDoubles, findTaken } from "./uniqueness.ts";
import type { StoredUser } from "./userQueries.ts";
import { refuseUnknownTypes } from "./userTypes.ts";

/** A person to create. `activate` (default true) gives the status of okta-lifecycle 1.2; with a start ahead they wait. */
export type NewUser = Readonly<{
  profile: Profile;
  activate?: boolean;
  /** The status they have in the directory that they come from; then `activate` says nothing. */
  stands?: UserStatus;
  password?: NewPassword;
  /** The password is asked of an outside system when the person first signs in. */
  password_hook?: boolean;
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
  /** Which type of person; null or absent: the default one. */
  type_id?: string | null;
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
  const credentials = inputs.every(isBare) ? [] : await Promise.all(inputs.map(credentialsOf));
  return run(command, async (running) => {
    const schema = await userSchema(running.db);
    const refusedType = await refuseUnknownTypes(running.db, inputs);
    if (refusedType) return refusedType;
    const now = running.now();
    const clear = inputs.some(({ password }) => typeof password === "string");
    const policy = clear ? await passwordPolicy(running.db) : undefined;
    const drafts = inputs.map((input, n) => {
      const refused = policy && refusePassword(policy, input.password, input.profile);
      return draft(schema, input, n, refused ?? credentials[n] ?? {}, now);
    });
    const results: (StoredUser | Refusal)[] = drafts.map(notCreated);
    const good = drafts.flatMap((one) => (isRefusal(one) ? [] : [one]));
    for (const [n, result] of await insertFree(running, schema, good, options.urgency ?? priority.change)) {
      results[n] = result;
    }
    const refused = await followCreation(running, inputs, results, options);
    return refused ?? results;
  });
}

/** A person to be; `n`: the place among the inputs. */
type Draft = Readonly<{
  n: number;
  profile: Profile;
  status: UserStatus;
  credentials: Credentials;
  input: NewUser;
}>;

const notCreated = (drafted: Draft | Refusal): Refusal =>
  isRefusal(drafted) ? drafted : { refused: "not created", code: "unavailable" };

/** Without any credentials: what a source sends. */
const isBare = ({ password, provider, recovery, password_hook }: NewUser): boolean =>
  password === undefined && provider === undefined && recovery === undefined && password_hook !== true;

async function credentialsOf(input: NewUser): Promise<Credentials | Refusal> {
  const refused = input.password === undefined ? undefined : judgePassword(input.password);
  if (refused) return refused;
  return {
    ...(input.password === undefined ? {} : { password_hash: await hashPassword(input.password) }),
    ...(input.password_hook === true ? { password_hook: true as const } : {}),
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
function draft(
  schema: Schema,
  input: NewUser,
  n: number,
  credentials: Credentials | Refusal,
  now: Date,
): Draft | Refusal {
  if (isRefusal(credentials)) return credentials;
  const its = schemaOfType(schema, input.type_id ?? null);
  const given = input.provenance === undefined ? input.profile : forType(schema, its, input.profile);
  const judged = judgeProfile(its, given, { partial: false });
  if (!("ok" in judged)) {
    const who = input.profile?.["login"];
    return typeof who === "string" ? { ...judged, refused: `${who.slice(0, 100)}: ${judged.refused}` } : judged;
  }
  const { starts_at = null, ends_at = null, time_zone = null } = input;
  if (time_zone !== null && !isZone(time_zone)) return noZone(String(judged.ok["login"]), time_zone);
  if (starts_at && ends_at && starts_at >= ends_at) {
    return { refused: `${String(judged.ok["login"])} would end before starting`, code: "invalid", place: "ends_at" };
  }
  const outcome = transition(
    null,
    {
      kind: "create",
      activate: input.activate ?? true,
      has_password: credentials.password_hash !== undefined || credentials.password_hook === true,
      change_password: input.must_change_password ?? false,
      signs_in_elsewhere: isElsewhere(input.provider),
      starts_at,
      ...(input.stands === undefined ? {} : { stands: input.stands }),
    },
    now,
  );
  if (!("ok" in outcome)) return outcome;
  return { n, profile: judged.ok, status: outcome.ok.status, credentials, input };
}

/** Nobody's clock goes by such a zone. */
export function noZone(login: string, zone: string): Refusal {
  const refused = `time_zone: "${zone.slice(0, 60)}" of ${login} is no time zone; use a name such as Europe/Rome`;
  return { refused, code: "invalid", place: "time_zone" };
}

/** Providers that keep no password here. */
function isElsewhere(provider: NewUser["provider"]): boolean {
  return provider !== undefined && provider.type !== "OKTA" && provider.type !== "IMPORT";
}

/** Inserts everyone whose login and unique values are free. Gives the person or the refusal by place among the inputs. */
async function insertFree(
  running: Running,
  schema: Schema,
  drafts: readonly Draft[],
  urgency: number,
): Promise<ReadonlyMap<number, StoredUser | Refusal>> {
  if (drafts.length === 0) return new Map();
  const candidates = drafts.map(({ profile }) => ({ id: null, profile }));
  if (findDoubles(schema, candidates).size === 0) {
    // It ends with the transaction: each answer costs the wait for whatever else Node is at.
    await sql`savepoint before_users`.execute(running.db);
    try {
      return await insertUsers(running, drafts, "fail", urgency);
    } catch (error) {
      if (violatedUnique(error) === undefined) throw error;
      await sql`rollback to savepoint before_users`.execute(running.db);
    }
  }
  const taken = await findTaken(running.db, schema, candidates);
  const free = drafts.filter((_, index) => !taken.has(index));
  const refused = [...taken].map(([index, refusal]) => [drafts[index]?.n ?? 0, refusal] as const);
  return new Map<number, StoredUser | Refusal>([
    ...refused,
    ...free.map((one) => [one.n, justTaken(one)] as const),
    ...(await insertUsers(running, free, "skip", urgency)),
  ]);
}

const justTaken = ({ profile }: Draft): Refusal => ({
  refused: `login: ${String(profile["login"])} was just taken by another change; read that person and update`,
  code: "duplicate",
  place: "login",
});

/** In order of login, so that two commands wait for each other in the same order. */
function byLogin(drafts: readonly Draft[]): readonly Draft[] {
  const keyed = drafts.map((one) => ({ one, key: String(one.profile["login"]).toLowerCase() }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ one }) => one);
}

/**
 * Inserts people, logs them and marks them dirty, in one statement. What a concurrent command took meanwhile fails the
 * set, or is skipped. Gives those who are there now, by their place among the inputs.
 *
 * As columns, and giving back only what Node does not know, for a person 39 microseconds in PostgreSQL (decision 15): a
 * list of whole rows with `returning *`, and the log and the marks as statements of their own, took a third more. What the
 * log says of one person is written together, with numbers taken before: next to each other in each index. `given` is
 * read as it was listed, so people are inserted in order of login without being sorted again; and where nobody is
 * skipped, the n-th who was made is the n-th of them.
 */
async function insertUsers(
  running: Running,
  drafts: readonly Draft[],
  taken: "fail" | "skip",
  urgency: number,
): Promise<ReadonlyMap<number, StoredUser>> {
  if (drafts.length === 0) return new Map();
  const now = running.now();
  const sorted = byLogin(drafts);
  const { rows } = await sql<{ place: number; id: string; login: string }>`
    with given as materialized (${givenColumns(sorted, now)}), made as (
      insert into users (id, status, profile, credentials, provenance, super_admin, time_zone, starts_at, ends_at,
        created_at, updated_at, status_changed_at, activated_at, password_changed_at, type_id)
      select id, status, profile, credentials, provenance, coalesce(super_admin, false), time_zone, starts_at, ends_at,
        ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz,
        case when status <> all (${not_activated}) then ${now}::timestamptz end, password_changed_at, type_id
      from given
      ${taken === "skip" ? sql`on conflict do nothing` : sql``} returning id, login, status
    ), told as materialized (
      select id, status, ${target} as targets, nextval('events_seq_seq') as created,
        case when status <> all (${not_activated}) then nextval('events_seq_seq') end as activated
      from made
    ), noted as (
      insert into events (seq, published_at, type, actor, targets, user_id, cause, detail) overriding system value
      select case when first then created else activated end, ${now}::timestamptz,
        case when first then 'user.lifecycle.create' else 'user.lifecycle.activate' end, ${json(running.actor)}, targets, id,
        case when first then ${running.cause ?? null}::bigint else created end,
        case when first then jsonb_object(array['status', status]) else '{}' end
      from told cross join (values (true), (false)) as two(first) where first or activated is not null
    ), marked as (
      insert into dirty (user_id, priority, marked_at, cause)
      select id, ${urgency}::smallint, ${now}::timestamptz, coalesce(activated, created) from told
    ), woken as materialized (${nudge})
    ${taken === "skip" ? sql`select place, id, login from made join given using (id), woken` : sql`select row_number() over () as place, id, login from made, woken`}`.execute(
    running.db,
  );
  return new Map(
    rows.flatMap(({ place, id, login }) => {
      const one = sorted[place - 1];
      return one === undefined ? [] : [[one.n, storedUser(one, id, login, now)] as const];
    }),
  );
}

/** Who begins like this was not activated here. */
const not_activated = sql`'{STAGED,DEPROVISIONED}'::text[]`;

/** `userTarget` in SQL: of texts, 0.7 microseconds; with `jsonb_build_object`, which asks for the type of each, 1.4. */
const target = sql`'[]'::jsonb || jsonb_object(array['id', id, 'type', 'User', 'name', login])`;

/** New rows of users as a query; `place` counts from 1. */
function givenColumns(drafts: readonly Draft[], now: Date): RawBuilder<unknown> {
  const statuses = shared(drafts.map((one) => one.status));
  const credentials = shared(drafts.map((one) => one.credentials));
  const provenance = shared(drafts.map((one) => one.input.provenance ?? {}));
  return sql`
    select r.*, new_id('00u') as id, ${statuses.list}::jsonb ->> r.status_at as status,
      ${credentials.list}::jsonb -> r.credentials_at as credentials, ${provenance.list}::jsonb -> r.provenance_at as provenance
    from rows from (jsonb_array_elements(${jsonbList(drafts.map((one) => one.profile))}),
      unnest(${statuses.at}::int[]), unnest(${credentials.at}::int[]), unnest(${provenance.at}::int[]),
      unnest(${column(drafts, (one) => one.input.super_admin || null)}::boolean[]),
      unnest(${column(drafts, (one) => one.input.time_zone)}::text[]),
      unnest(${column(drafts, (one) => one.input.starts_at)}::timestamptz[]),
      unnest(${column(drafts, (one) => one.input.ends_at)}::timestamptz[]),
      unnest(${column(drafts, (one) => passwordSet(one, now))}::timestamptz[]),
      unnest(${column(drafts, (one) => one.input.type_id)}::text[])) with ordinality
      as r(profile, status_at, credentials_at, provenance_at, super_admin, time_zone, starts_at, ends_at,
        password_changed_at, type_id, place)`;
}

const passwordSet = ({ credentials }: Draft, now: Date): Date | null =>
  credentials.password_hash === undefined ? null : now;

/** The row as it was just inserted. */
function storedUser(one: Draft, id: string, login: string, now: Date): StoredUser {
  const { status, profile, credentials, input } = one;
  return {
    id,
    status,
    prior_status: null,
    profile,
    login,
    credentials,
    provenance: input.provenance ?? {},
    hold: null,
    super_admin: input.super_admin ?? false,
    time_zone: input.time_zone ?? null,
    starts_at: input.starts_at ?? null,
    ends_at: input.ends_at ?? null,
    created_at: now,
    updated_at: now,
    activated_at: status === "STAGED" || status === "DEPROVISIONED" ? null : now,
    status_changed_at: now,
    last_login_at: null,
    password_changed_at: passwordSet(one, now),
    type_id: input.type_id ?? null,
  };
}

/** The groups asked for, and the passwords to deliver, for people who were just created. */
async function followCreation(
  running: Running,
  inputs: readonly NewUser[],
  results: readonly (StoredUser | Refusal)[],
  options: CreationOptions,
): Promise<Refusal | undefined> {
  const around = await dependentsOfNew(
    running.db,
    results.flatMap((result) => (isRefusal(result) ? [] : [result])),
  );
  await markDirtyEach(
    running,
    around.map(({ user_id }) => ({ user_id, cause: running.cause ?? null })),
    options.urgency,
  );
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
