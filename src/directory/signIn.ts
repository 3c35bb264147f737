/**
 * People who prove who they are: by their password, by the one-time token of an activation or a reset, or by the answer
 * to their recovery question. A password that is right is worth a token, and that one session (sessions.ts).
 *
 * Laws: nobody learns whether a login exists, nor why a sign-in was refused, from the answer or its time; wrong passwords
 * are counted under the person's lock, so that many at once count as many; what is refused changes nothing but that count.
 */
import { randomBytes } from "node:crypto";
import type { PasswordPolicy } from "../core/passwordPolicy.ts";
import type { Refusal } from "../core/types.ts";
import { type Database, isRefusal, sql } from "../store/database.ts";
import { system } from "../store/log.ts";
import type { Origin } from "../store/tables.ts";
import { type Command, log, type Running, run } from "./command.ts";
import { lockUsers } from "./locks.ts";
import { hashPassword, hashToken, verifyPassword } from "./password.ts";
import type { PasswordKeeping } from "./passwordKeeping.ts";
import { passwordPolicy, refuseReused } from "./passwordRules.ts";
import { answersRecovery, changeRecovery } from "./recovery.ts";
import { issueToken, takeToken } from "./sessions.ts";
import { transitionUser } from "./userLifecycle.ts";
import { getUser, type StoredUser } from "./userQueries.ts";
import { userTarget } from "./userState.ts";

/** The database and the time, and where they ask from; whoever signs in acts as themselves. */
export type Ground = Pick<Command, "db" | "now"> & Readonly<{ from?: Origin }>;

/** What a step of a sign-in came to. `token`: of the next step. */
export type SignIn =
  | Readonly<{ status: "SUCCESS" | "PASSWORD_EXPIRED" | "PASSWORD_RESET" | "RECOVERY"; user: StoredUser } & Token>
  | Readonly<{ status: "LOCKED_OUT" }>;
type Token = Readonly<{ token: string; expires_at: Date }>;

export type SignInOptions = PasswordKeeping &
  Readonly<{
    /** Asks an outside system whether this is the password of a person who was brought over without it. */
    importPassword?: (user: StoredUser, clear: string) => Promise<boolean>;
  }>;

/** The person as the one who does it. */
export const asThemselves = ({ from, ...ground }: Ground, user: StoredUser): Command => ({
  ...ground,
  actor: { id: user.id, type: "User", name: user.login, ...(from ? { from } : {}) },
});

/** A hash of nobody's password, so that an unknown login costs what a known one does. */
let nobody: Promise<string> | undefined;
const nobodysHash = () => (nobody ??= hashPassword(randomBytes(16).toString("hex")));

/** Signs a person in. undefined: refused, for whatever reason. */
export async function signIn(
  ground: Ground,
  login: string,
  clear: string,
  options: SignInOptions = {},
): Promise<SignIn | undefined> {
  const user = await getUser(ground.db, login);
  const stored = user === undefined || isElsewhere(user) ? undefined : user.credentials.password_hash;
  const imported = stored === undefined && user?.credentials.password_hook === true && canSignIn(user);
  const right = imported
    ? clear !== "" && ((await options.importPassword?.(user, clear)) ?? false)
    : (await verifyPassword(clear, stored ?? (await nobodysHash()))) && stored !== undefined;
  if (user === undefined) return undefined;
  // Hashes of other systems are weaker, or the password was not here at all: from now on it is kept as ours.
  const renewed = right && (imported || stored?.startsWith("$import$")) ? await hashPassword(clear) : undefined;
  const outcome = await run<SignIn | "refused">(asThemselves(ground, user), async (running) => {
    const now = (await lockUsers(running.db, [user.id])).get(user.id);
    if (now === undefined || now.credentials.password_hash !== user.credentials.password_hash) return "refused";
    return judged(running, now, right, renewed);
  });
  return outcome === "refused" || isRefusal(outcome) ? undefined : outcome;
}

const canSignIn = ({ status }: StoredUser) => ["ACTIVE", "PASSWORD_EXPIRED", "LOCKED_OUT"].includes(status);

function isElsewhere({ credentials: { provider } }: StoredUser): boolean {
  return provider !== undefined && provider.type !== "OKTA" && provider.type !== "IMPORT";
}

/** What a right or wrong password comes to, under the person's lock. */
async function judged(
  running: Running,
  user: StoredUser,
  right: boolean,
  renewed: string | undefined,
): Promise<SignIn | "refused" | Refusal> {
  if (!canSignIn(user)) return "refused";
  const policy = await passwordPolicy(running.db);
  const { rows } = await sql<{ failures: number; failed_at: Date }>`
    select failures, failed_at from sign_in_failures where user_id = ${user.id}`.execute(running.db);
  const over = rows[0] !== undefined && lockIsOver(policy, rows[0].failed_at, running.now());
  const failures = over ? 0 : (rows[0]?.failures ?? 0);
  const locked =
    (user.status === "LOCKED_OUT" && !over) || (policy.max_attempts > 0 && failures >= policy.max_attempts);
  if (locked) {
    await logSignIn(running, user, "LOCKED_OUT");
    return policy.show_lockout ? { status: "LOCKED_OUT" } : "refused";
  }
  if (!right) return failed(running, user, policy, failures + 1);
  let open = user;
  if (user.status === "LOCKED_OUT") {
    const unlocked = await transitionUser(running, user.id, { kind: "unlock" }, { reason: "the lock's time is over" });
    if (isRefusal(unlocked)) return unlocked;
    open = unlocked.user;
  }
  await forgetFailures(running, user.id);
  return admitted(running, renewed === undefined ? open : await keepHash(running, open, renewed), policy);
}

/** Keeps a password as ours that was hashed elsewhere, or was not here at all: the latter counts as set just now. */
async function keepHash(running: Running, user: StoredUser, hash: string): Promise<StoredUser> {
  const came = user.credentials.password_hash === undefined;
  const now = running.now();
  const changed = came ? sql`, password_changed_at = ${now}::timestamptz` : sql``;
  await sql`
    update users set credentials = (credentials - 'password_hook') || jsonb_build_object('password_hash', ${hash}::text) ${changed}
    where id = ${user.id}`.execute(running.db);
  if (came) await log(running, { type: "user.import.password", targets: [userTarget(user)], user_id: user.id });
  const { password_hook: _, ...rest } = user.credentials;
  const credentials = { ...rest, password_hash: hash };
  return { ...user, credentials, ...(came ? { password_changed_at: now } : {}) };
}

function lockIsOver({ auto_unlock_minutes }: PasswordPolicy, failed_at: Date, now: Date): boolean {
  return auto_unlock_minutes > 0 && now.getTime() - failed_at.getTime() >= auto_unlock_minutes * 60_000;
}

async function failed(
  running: Running,
  user: StoredUser,
  policy: PasswordPolicy,
  failures: number,
): Promise<"refused" | SignIn | Refusal> {
  const now = running.now();
  await sql`
    insert into sign_in_failures (user_id, failures, failed_at) values (${user.id}, ${failures}, ${now}::timestamptz)
    on conflict (user_id) do update set failures = excluded.failures, failed_at = excluded.failed_at`.execute(
    running.db,
  );
  await logSignIn(running, user, "INVALID_CREDENTIALS");
  if (policy.max_attempts === 0 || failures < policy.max_attempts || user.status !== "ACTIVE") return "refused";
  const reason = `${failures} wrong passwords in a row`;
  const locked = await transitionUser(running, user.id, { kind: "lock" }, { reason });
  if (isRefusal(locked)) return locked;
  return policy.show_lockout ? { status: "LOCKED_OUT" } : "refused";
}

const day_ms = 86_400_000;

/** The password was right: in, unless it has served its time. */
async function admitted(running: Running, user: StoredUser, policy: PasswordPolicy): Promise<SignIn | Refusal> {
  const set_at = user.password_changed_at ?? user.created_at;
  const aged = policy.max_age_days > 0 && running.now().getTime() - set_at.getTime() >= policy.max_age_days * day_ms;
  if (user.status === "ACTIVE" && aged) {
    const reason = `the password is older than ${policy.max_age_days} days`;
    const expired = await transitionUser(running, user.id, { kind: "expire_password" }, { reason });
    if (isRefusal(expired)) return expired;
  }
  if (aged || user.status === "PASSWORD_EXPIRED") {
    return { status: "PASSWORD_EXPIRED", user, ...(await issueToken(running, "change", user.id)) };
  }
  return enter(running, user);
}

/** Notes the sign-in and gives the token that is worth a session. */
async function enter(running: Running, user: StoredUser): Promise<SignIn> {
  const now = running.now();
  await sql`update users set last_login_at = ${now}::timestamptz where id = ${user.id}`.execute(running.db);
  await logSignIn(running, user);
  const token = await issueToken(running, "session", user.id);
  return { status: "SUCCESS", user: { ...user, last_login_at: now }, ...token };
}

async function logSignIn(running: Running, user: StoredUser, reason?: string): Promise<void> {
  await log(running, {
    type: "user.session.start",
    targets: [userTarget(user)],
    user_id: user.id,
    ...(reason === undefined ? {} : { outcome: "FAILURE" as const, reason }),
  });
}

const forgetFailures = (running: Running, user_id: string) =>
  sql`delete from sign_in_failures where user_id = ${user_id}`.execute(running.db);

const refused_token: Refusal = {
  refused: "this token does not serve any more; begin again",
  code: "forbidden",
  place: "stateToken",
};

/**
 * A new password of a person's own choice: `token` is of a sign-in whose password had expired (`old` is that password),
 * or of a recovery. A password that the policy refuses leaves the token as it was.
 */
export function choosePassword(
  ground: Ground,
  token: string,
  choice: Readonly<{ old?: string; password: string }>,
  options: SignInOptions = {},
): Promise<SignIn | Refusal> {
  const kind = choice.old === undefined ? "reset" : "change";
  const nobody_yet: Command = { db: ground.db, now: ground.now, actor: system };
  return run<SignIn>(nobody_yet, async (outer) => {
    const taken = await takeToken(outer, token, [kind]);
    const user = taken && (await lockUsers(outer.db, [taken.user_id])).get(taken.user_id);
    if (user === undefined) return refused_token;
    const running = { ...outer, ...asThemselves(ground, user), db: outer.db };
    const { password_hash } = user.credentials;
    if (choice.old !== undefined && !(password_hash && (await verifyPassword(choice.old, password_hash)))) {
      return { refused: "oldPassword: is not correct", code: "forbidden", place: "oldPassword" };
    }
    const set = await chosen(running, user, choice.password, options);
    return isRefusal(set) ? set : enter(running, set);
  });
}

async function chosen(
  running: Running,
  user: StoredUser,
  password: string,
  options: SignInOptions,
): Promise<StoredUser | Refusal> {
  const reused = await refuseReused(running.db, user, password, await passwordPolicy(running.db));
  if (reused) return reused;
  const { key } = options;
  const event = { kind: user.status === "LOCKED_OUT" ? "set_password" : "complete_reset" } as const;
  const kind = user.status === "ACTIVE" ? ({ kind: "set_password" } as const) : event;
  const outcome = await transitionUser(running, user.id, kind, { password, ...(key ? { key } : {}) });
  return isRefusal(outcome) ? outcome : outcome.user;
}

/** Whose activation or reset this one-time token is, while it serves. */
export async function personOfToken(db: Database, token: string, now: Date): Promise<StoredUser | undefined> {
  if (token === "" || token.length > 200) return undefined;
  const { rows } = await sql<StoredUser>`
    select * from users
    where credentials ? 'one_time_hash' and credentials->>'one_time_hash' = ${hashToken(token)}
      and status in ('PROVISIONED', 'RECOVERY')`.execute(db);
  const user = rows[0];
  const until = user?.credentials.one_time_expires_at;
  return until !== undefined && new Date(until) <= now ? undefined : user;
}

/** Activates a person, or ends their reset, by its one-time token; the token serves once. */
export async function completeByToken(
  ground: Ground,
  token: string,
  choice: Readonly<{ password: string; recovery?: Readonly<{ question: string; answer: string }> }>,
  options: SignInOptions = {},
): Promise<StoredUser | Refusal> {
  const found = await personOfToken(ground.db, token, ground.now());
  if (found === undefined) return refused_token;
  return run<StoredUser>(asThemselves(ground, found), async (running) => {
    const user = (await lockUsers(running.db, [found.id])).get(found.id);
    if (user?.credentials.one_time_hash !== hashToken(token)) return refused_token;
    const set = await chosen(running, user, choice.password, options);
    if (isRefusal(set) || choice.recovery === undefined) return set;
    return changeRecovery(running, user.id, choice.recovery);
  });
}

/** The step after a one-time token that an administrator handed out: a new password may be chosen. */
export async function recoverByToken(ground: Ground, token: string): Promise<SignIn | undefined> {
  const user = await personOfToken(ground.db, token, ground.now());
  if (user === undefined) return undefined;
  return { status: "PASSWORD_RESET", user, ...(await issueToken(ground, "reset", user.id)) };
}

/** Someone forgot their password: where the policy lets people help themselves, the token for answering their question. */
export async function askRecovery(ground: Ground, login: string): Promise<SignIn | undefined> {
  const policy = await passwordPolicy(ground.db);
  const user = policy.self_service ? await getUser(ground.db, login) : undefined;
  const able = user !== undefined && ["ACTIVE", "PASSWORD_EXPIRED", "RECOVERY"].includes(user.status);
  if (!able || user.credentials.recovery_answer_hash === undefined || isElsewhere(user)) return undefined;
  return { status: "RECOVERY", user, ...(await issueToken(ground, "answer", user.id)) };
}

/** The answer to the recovery question. A wrong one counts like a wrong password, and takes the token. */
export async function answerRecovery(ground: Ground, token: string, answer: string): Promise<SignIn | undefined> {
  const taken = await takeToken(ground, token, ["answer"]);
  const user = taken && (await getUser(ground.db, taken.user_id));
  if (user === undefined) return undefined;
  const right = await answersRecovery(user, answer);
  const outcome = await run<SignIn | "refused">(asThemselves(ground, user), async (running) => {
    const now = (await lockUsers(running.db, [user.id])).get(user.id);
    if (now === undefined) return "refused";
    const policy = await passwordPolicy(running.db);
    const { rows } = await sql<{ failures: number }>`
      select failures from sign_in_failures where user_id = ${user.id}`.execute(running.db);
    const failures = rows[0]?.failures ?? 0;
    if (policy.max_attempts > 0 && failures >= policy.max_attempts) return "refused";
    if (!right) return failed(running, now, policy, failures + 1);
    const reset = await transitionUser(running, user.id, { kind: "reset_password" }, { reason: "recovery question" });
    if (isRefusal(reset)) return reset;
    await forgetFailures(running, user.id);
    return { status: "PASSWORD_RESET", user: reset.user, ...(await issueToken(running, "reset", user.id)) };
  });
  return outcome === "refused" || isRefusal(outcome) ? undefined : outcome;
}
