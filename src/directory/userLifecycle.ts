/**
 * Commands on the status of people: every event of core/lifecycle.ts for a set of people at once, deletion, and manual
 * holds. The state machine decides; what stands here is doing what it says in the same transaction.
 *
 * Laws: leaving takes a snapshot, ends individual assignments, erases the password for ever and is computed before
 * anything else; DELETE removes only someone already deactivated, on anyone else it deactivates; a person is not
 * forgotten while an account of theirs still works.
 *
 * Called by the API and console, imports (source_inactive, source_active) and the schedule (start_reached, end_reached).
 */
import {
  type LifecycleEffect,
  type LifecycleEvent,
  type LifecycleRefusal,
  type Transition,
  transition,
} from "../core/lifecycle.ts";
import type { Refusal } from "../core/types.ts";
import { isRefusal, json, sql } from "../store/database.ts";
import type { Credentials } from "../store/tables.ts";
import { type Command, log, logAll, priority, type Running, run } from "./command.ts";
import { takeDepartures } from "./departures.ts";
import { dependents } from "./dependents.ts";
import { lockUsers } from "./locks.ts";
import { type Mark, markDirtyEach } from "./marks.ts";
import { markPushesDue } from "./memberships.ts";
import { hashPassword, judgePassword, type NewPassword, oneTimeToken } from "./password.ts";
import { forgetPasswords, keepPasswords, type PasswordKeeping } from "./passwordKeeping.ts";
import { keepOldPasswords, passwordPolicy, refusePassword } from "./passwordRules.ts";
import { endSessions } from "./sessions.ts";
import { lastAdministratorText, wouldEndAdministration } from "./superAdministrators.ts";
import type { StoredUser } from "./userQueries.ts";
import { stateOf, userTarget } from "./userState.ts";

/** An event that someone who exists can have. */
export type UserEvent = Exclude<LifecycleEvent, { kind: "create" | "delete" }>;

export type TransitionOptions = PasswordKeeping &
  Readonly<{
    /** For set_password and complete_reset: the new one; for expire_password: one that serves once. */
    password?: NewPassword;
    /** Why, for the log. */
    reason?: string;
    /** By person: the event that led to it, where that is not the command's own cause. */
    causes?: ReadonlyMap<string, number>;
  }>;

/** The person after the event. `token`: the one-time token of an activation or reset, told only here. */
export type TransitionResult = Readonly<{ user: StoredUser; changed: boolean; token?: string }>;

/** A transition that is allowed, with everything it needs. */
type Move = Readonly<{
  before: StoredUser;
  transition: Transition;
  token?: { token: string; hash: string; expires_at: string };
}>;

/** One person's event. Gives the person, or why the state machine or the password rules refuse. */
export async function transitionUser(
  command: Command,
  id: string,
  event: UserEvent,
  options: TransitionOptions = {},
): Promise<TransitionResult | LifecycleRefusal | Refusal> {
  const results = await transitionUsers(command, [id], event, options);
  return isRefusal(results) ? results : (results[0] ?? noSuchUser(id));
}

/**
 * The same event for many people. Gives, in the order of `ids`, each person or their refusal: one that is refused does
 * not hold up the others. The set as a whole is refused only for its password.
 */
export async function transitionUsers(
  command: Command,
  ids: readonly string[],
  event: UserEvent,
  options: TransitionOptions = {},
): Promise<readonly (TransitionResult | LifecycleRefusal)[] | Refusal> {
  const refused = judgeOptions(event, options);
  if (refused) return refused;
  const hash = options.password === undefined ? undefined : await hashPassword(options.password);
  return run(command, async (running) => {
    const before = await lockUsers(running.db, ids);
    const outcomes = new Map<string, Move | LifecycleRefusal>();
    const last = await lastAdministrators(running, event, before);
    for (const id of new Set(ids)) {
      const user = before.get(id);
      if (user !== undefined && last.has(id)) {
        outcomes.set(id, lastAdministrator(user));
        continue;
      }
      const outcome = transition(user === undefined ? null : stateOf(user), event, running.now());
      if (!("ok" in outcome)) outcomes.set(id, named(outcome, user));
      else if (user !== undefined) outcomes.set(id, withToken(user, outcome.ok, running.now()));
    }
    const unfit = await judgeNew(running, event, options, [...before.values()]);
    if (unfit) return unfit;
    const moves = [...outcomes.values()].filter(isMove).filter((move) => move.transition.changed);
    const saved = await writeMoves(running, event, moves, hash);
    await followMoves(running, event, moves, options);
    return ids.map((id): TransitionResult | LifecycleRefusal => {
      const outcome = outcomes.get(id);
      if (outcome === undefined) return noSuchUser(id);
      if (!isMove(outcome)) return outcome;
      const user = saved.get(id) ?? outcome.before;
      return { user, changed: outcome.transition.changed, ...(outcome.token ? { token: outcome.token.token } : {}) };
    });
  });
}

/** Super administrators whom an event would shut out with nobody left who could let them in again. */
async function lastAdministrators(
  { db }: Running,
  { kind }: UserEvent,
  before: ReadonlyMap<string, StoredUser>,
): Promise<ReadonlySet<string>> {
  const meant = [...before.values()].filter((user) => user.super_admin).map(({ id }) => id);
  if (meant.length === 0 || (kind !== "deactivate" && kind !== "suspend")) return new Set();
  return new Set((await wouldEndAdministration(db, meant)) ? meant : []);
}

function lastAdministrator(user: StoredUser): LifecycleRefusal {
  return { refused: lastAdministratorText(user.login), code: "forbidden", reason: "protected", place: user.id };
}

const isMove = (outcome: Move | LifecycleRefusal): outcome is Move => "transition" in outcome;

function judgeOptions(event: UserEvent, { password }: TransitionOptions): Refusal | undefined {
  const place = "credentials.password";
  const sets = event.kind === "set_password" || event.kind === "complete_reset";
  if (password === undefined)
    return sets ? { refused: "the new password is missing", code: "invalid", place } : undefined;
  if (sets || event.kind === "expire_password") return judgePassword(password);
  return { refused: `${event.kind} takes no password; set it with set_password`, code: "invalid", place };
}

/** Does the policy let these people have this password? One that serves once is ours, and need not. */
async function judgeNew(
  running: Running,
  event: UserEvent,
  { password }: TransitionOptions,
  users: readonly StoredUser[],
): Promise<Refusal | undefined> {
  if (password === undefined || event.kind === "expire_password") return undefined;
  const policy = await passwordPolicy(running.db);
  for (const user of users) {
    const refused = refusePassword(policy, password, user.profile);
    if (refused) return refused;
  }
  return undefined;
}

function named(refusal: LifecycleRefusal, user: StoredUser | undefined): LifecycleRefusal {
  return user === undefined ? refusal : { ...refusal, refused: `${user.login}: ${refusal.refused}`, place: user.id };
}

function noSuchUser(id: string): LifecycleRefusal {
  const refused = `there is no user ${id}; they may have been deleted`;
  return { refused, code: "not_found", reason: "no_such_user", place: id };
}

const has = (move: Move, effect: LifecycleEffect) => move.transition.effects.includes(effect);

/** How long a one-time token serves: a new colleague may read their mail on Monday; who forgot a password is waiting. */
const token_ms = { issue_activation: 7 * 86_400_000, issue_reset: 86_400_000 } as const;

function withToken(before: StoredUser, transition: Transition, now: Date): Move {
  const issued = transition.effects.find((effect) => effect === "issue_activation" || effect === "issue_reset");
  if (issued === undefined) return { before, transition };
  const expires_at = new Date(now.getTime() + token_ms[issued]).toISOString();
  return { before, transition, token: { ...oneTimeToken(), expires_at } };
}

/** The credentials after the move: erased, or with the new password or token. */
function credentialsAfter(move: Move, hash: string | undefined): Credentials {
  const { provider, ...own } = move.before.credentials;
  const kept = provider === undefined ? {} : { provider };
  if (has(move, "erase_password")) return kept;
  const { one_time_hash: _hash, one_time_expires_at: _until, password_hook, ...rest } = own;
  const hook = hash === undefined && password_hook === true ? { password_hook } : {};
  return {
    ...rest,
    ...hook,
    ...kept,
    ...(hash === undefined ? {} : { password_hash: hash }),
    ...(move.token ? { one_time_hash: move.token.hash, one_time_expires_at: move.token.expires_at } : {}),
  };
}

async function writeMoves(
  running: Running,
  event: UserEvent,
  moves: readonly Move[],
  hash: string | undefined,
): Promise<ReadonlyMap<string, StoredUser>> {
  if (moves.length === 0) return new Map();
  const now = running.now();
  if (hash !== undefined) {
    await keepOldPasswords(
      running.db,
      moves.map((move) => move.before.id),
      now,
    );
  }
  const lines = moves.map((move) => {
    const { before, transition: after } = move;
    const turned = before.status !== after.status;
    const begins = turned && (before.status === "STAGED" || before.status === "DEPROVISIONED");
    // An end that has passed would cut the person off again at the next tick: activating by hand lifts it.
    const lifts = event.kind === "activate" && before.ends_at !== null && before.ends_at <= now;
    return {
      ...{ id: before.id, status: after.status, prior_status: after.prior_status },
      credentials: credentialsAfter(move, hash),
      ends_at: lifts ? null : before.ends_at,
      activated_at: begins && after.status !== "DEPROVISIONED" ? now : before.activated_at,
      status_changed_at: turned ? now : before.status_changed_at,
      password_changed_at: hash === undefined ? before.password_changed_at : now,
    };
  });
  const { rows } = await sql<StoredUser>`
    update users u set status = n.status, prior_status = n.prior_status, credentials = n.credentials,
      ends_at = n.ends_at, activated_at = n.activated_at, status_changed_at = n.status_changed_at,
      password_changed_at = n.password_changed_at, updated_at = ${now}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as n(id text, status text, prior_status text,
      credentials jsonb, ends_at timestamptz, activated_at timestamptz, status_changed_at timestamptz,
      password_changed_at timestamptz)
    where u.id = n.id returning u.*`.execute(running.db);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Okta's event for what happened; sources and the clock are told by what they brought about. */
function eventType(event: UserEvent, { before, transition: after }: Move): string {
  switch (event.kind) {
    case "unlock":
      return "user.account.unlock_by_admin";
    case "lock":
      return "user.account.lock";
    case "reset_password":
      return "user.account.reset_password";
    case "expire_password":
      return "user.account.expire_password";
    case "set_password":
    case "complete_reset":
      return "user.account.update_password";
    case "reactivate":
      return "user.lifecycle.reactivate";
    default:
      if (after.status === "DEPROVISIONED") return "user.lifecycle.deactivate";
      if (after.status === "SUSPENDED") return "user.lifecycle.suspend";
      if (after.status === "STAGED") return "user.lifecycle.stage";
      return before.status === "SUSPENDED" ? "user.lifecycle.unsuspend" : "user.lifecycle.activate";
  }
}

/** Snapshots, the log, the marks and the passwords that wait, for people whose event was done. */
async function followMoves(
  running: Running,
  event: UserEvent,
  moves: readonly Move[],
  options: TransitionOptions,
): Promise<void> {
  if (moves.length === 0) return;
  const ids = (chosen: readonly Move[]) => chosen.map((move) => move.before.id);
  const leavers = moves.filter((move) => has(move, "end_assignments"));
  await takeDepartures(running, ids(leavers));
  if (leavers.length > 0) await forgetPasswords(running, ids(leavers));
  await endWhatWasOpen(running, event, moves, options);
  const seqs = await logAll(
    running,
    moves.map((move) => ({
      type: eventType(event, move),
      targets: [userTarget(move.before)],
      user_id: move.before.id,
      reason: options.reason ?? null,
      cause: options.causes?.get(move.before.id) ?? running.cause ?? null,
      detail: { by: event.kind, from: move.before.status, to: move.transition.status },
    })),
  );
  const marks = moves.map((move, n) => ({ move, user_id: move.before.id, cause: seqs[n] ?? null }));
  const recompute = marks.filter(({ move }) => has(move, "recompute"));
  const cutOff = ({ move }: { move: Move }) =>
    ["DEPROVISIONED", "SUSPENDED", "STAGED"].includes(move.transition.status);
  await markDirtyEach(running, recompute.filter(cutOff), priority.leaver);
  await markDirtyEach(running, recompute.filter((mark) => !cutOff(mark)) satisfies readonly Mark[], priority.change);
  const clear = options.password;
  if (typeof clear !== "string") return;
  await keepPasswords(
    running,
    options,
    moves.map((move) => ({ user_id: move.before.id, clear })),
  );
}

/** Sessions end with a status that has none and with the old password; wrong passwords are forgotten with it. */
async function endWhatWasOpen(
  running: Running,
  event: UserEvent,
  moves: readonly Move[],
  { password }: TransitionOptions,
): Promise<void> {
  const closed = moves.filter(
    (move) => password !== undefined || has(move, "end_sessions") || has(move, "issue_reset"),
  );
  const ids = closed.map((move) => move.before.id);
  if (ids.length > 0) await endSessions(running, ids);
  if (password === undefined && event.kind !== "unlock" && event.kind !== "reset_password") return;
  await sql`
    delete from sign_in_failures where user_id = any(${moves.map((move) => move.before.id)}::text[])`.execute(
    running.db,
  );
}

/** `deleted: false`: the person was not deactivated before, and now is. */
export type Deletion = Readonly<{ deleted: boolean }>;

/**
 * Deletes a deactivated person with their memberships, grants and account rows; anyone else is only deactivated
 * (scenario 18). History and the log keep what was. Refuses while an account of theirs still works in an app, because
 * nobody would remember it; `force` deletes all the same.
 */
export function deleteUser(
  command: Command,
  id: string,
  options: Readonly<{ force?: boolean }> = {},
): Promise<Deletion | Refusal> {
  return run<Deletion>(command, async (running) => {
    const user = (await lockUsers(running.db, [id])).get(id);
    if (user === undefined) return noSuchUser(id);
    const outcome = transition(stateOf(user), { kind: "delete" }, running.now());
    if (!("ok" in outcome)) return outcome;
    if (!outcome.ok.effects.includes("erase_user")) {
      const done = await transitionUser(running, id, { kind: "deactivate" });
      return isRefusal(done) ? done : { deleted: false };
    }
    const working = await workingAccounts(running, id);
    if (working.length > 0 && options.force !== true) {
      return {
        refused: `${user.login} still has a working account in ${working.join(", ")}; wait until it is disabled, or disable it there, then delete again`,
        code: "stale",
        place: id,
      };
    }
    await eraseUser(running, user, working);
    return { deleted: true };
  });
}

/** Apps in which the person's account is not known to be off, though we are to turn it off. */
async function workingAccounts(running: Running, user_id: string): Promise<readonly string[]> {
  const { rows } = await sql<{ label: string }>`
    select p.label from accounts a join apps p on p.id = a.app_id
    where a.user_id = ${user_id} and p.status = 'ACTIVE' and a.released_at is null
      and ((a.have->>'enabled')::boolean or exists (select from work w where w.account_id = a.id and w.unsure))
    order by p.label`.execute(running.db);
  return rows.map((row) => row.label);
}

async function eraseUser(running: Running, user: StoredUser, working: readonly string[]): Promise<void> {
  const about = { targets: [userTarget(user)], user_id: user.id };
  const cause = await log(running, { type: "user.lifecycle.delete.initiated", ...about });
  const around = await dependents(running.db, [{ id: user.id, profiles: [user.profile] }]);
  const { rows } = await sql<{ group_id: string }>`
    select distinct group_id from membership_grants where user_id = ${user.id}`.execute(running.db);
  await forgetPasswords(running, [user.id]);
  await sql`delete from users where id = ${user.id}`.execute(running.db);
  await markDirtyEach(
    running,
    around.map(({ user_id }) => ({ user_id, cause })),
  );
  await markPushesDue(
    running,
    rows.map((row) => row.group_id),
    cause,
  );
  await logAll(running, [{ type: "user.lifecycle.delete.completed", ...about, cause, detail: { left_in: working } }]);
}

/**
 * Holds a person's status against sources and the clock until it is lifted or `until` is reached. Holding again changes
 * reason and end.
 */
export function holdUser(
  command: Command,
  id: string,
  hold: Readonly<{ reason: string; until?: Date | null }>,
): Promise<StoredUser | Refusal> {
  return run(command, async (running) => {
    const user = (await lockUsers(running.db, [id])).get(id);
    if (user === undefined) return noSuchUser(id);
    const until = hold.until ?? null;
    if (hold.reason.trim() === "") return { refused: "a hold needs a reason", code: "invalid", place: "reason" };
    if (until !== null && until <= running.now()) {
      return { refused: "the end of a hold must be ahead", code: "invalid", place: "until" };
    }
    const value = { by: running.actor.name, reason: hold.reason, until: until?.toISOString() ?? null };
    return writeHold(running, user, value, "user.hold.add");
  });
}

/** Lifts a hold; none there is fine. Sources and the clock decide again at their next look. */
export function unholdUser(command: Command, id: string): Promise<StoredUser | Refusal> {
  return run(command, async (running) => {
    const user = (await lockUsers(running.db, [id])).get(id);
    if (user === undefined) return noSuchUser(id);
    return user.hold === null ? user : writeHold(running, user, null, "user.hold.remove");
  });
}

async function writeHold(
  running: Running,
  user: StoredUser,
  hold: StoredUser["hold"],
  type: string,
): Promise<StoredUser> {
  const { rows } = await sql<StoredUser>`
    update users set hold = ${hold === null ? sql`null` : json(hold)}, updated_at = ${running.now()}::timestamptz
    where id = ${user.id} returning *`.execute(running.db);
  await log(running, {
    type,
    targets: [userTarget(user)],
    user_id: user.id,
    reason: (hold ?? user.hold)?.reason ?? null,
    detail: { until: hold?.until ?? null },
  });
  return rows[0] ?? user;
}
