/**
 * The user state machine: which of the eight statuses a person is in after an event, and what must happen with it
 * (okta-lifecycle 1.2). Where Okta contradicts itself, the decisions are: suspend is allowed from every live status
 * and remembers the one before; a manual hold beats sources and the clock; an import can never cut off a super
 * administrator.
 *
 * Law: total and closed. Every (status, event) pair gives one of the eight statuses or a refusal with its reason, and
 * nothing is guessed from outside: state, event and time are all there is. Events of sources and of the clock describe
 * a level ("the source says inactive"), so saying them again changes nothing and is never refused for that.
 *
 * Called by directory/users.ts for every change of status, whoever asks: API, console, import, clock.
 */
import type { Hold, Refusal, UserStatus } from "./types.ts";

/** The part of a user that decides a transition. */
export type UserState = Readonly<{
  status: UserStatus;
  /** What a suspension returns to; null when not suspended. */
  prior_status: UserStatus | null;
  has_password: boolean;
  /** Credentials live elsewhere (federation, social, AD, LDAP): no password is kept here. */
  signs_in_elsewhere: boolean;
  super_admin: boolean;
  hold: Hold | null;
  starts_at: Date | null;
  ends_at: Date | null;
}>;

export type LifecycleEvent =
  /** A new person: the event of nobody (`user` is null). `change_password`: Okta's nextLogin=changePassword. */
  | Readonly<{
      kind: "create";
      activate: boolean;
      has_password: boolean;
      change_password: boolean;
      signs_in_elsewhere: boolean;
      starts_at: Date | null;
      /** They come from another directory and go on here as they stood there. */
      stands?: UserStatus;
    }>
  | Readonly<{ kind: "activate" | "reactivate" | "deactivate" | "suspend" | "unsuspend" | "unlock" | "lock" }>
  | Readonly<{ kind: "reset_password" | "complete_reset" | "expire_password" | "set_password" | "delete" }>
  /** The person's highest-priority source says they are inactive or gone; `mode` is that source's setting. */
  | Readonly<{ kind: "source_inactive"; mode: "none" | "deactivate" | "suspend" }>
  | Readonly<{ kind: "source_active"; reactivate_suspended: boolean; reactivate_deactivated: boolean }>
  | Readonly<{ kind: "start_reached" | "end_reached" }>;

export type LifecycleEventKind = LifecycleEvent["kind"];

/** What the command must do in the same transaction as the change of status. */
export type LifecycleEffect =
  /** Mark the user dirty: groups, assignments and accounts are computed again. */
  | "recompute"
  /** Make the one-time activation token; the command decides whether to mail it. */
  | "issue_activation"
  /** Make the one-time password reset token. */
  | "issue_reset"
  /** Store the password that came with the event. */
  | "store_password"
  /** Forget the password for ever. */
  | "erase_password"
  | "end_sessions"
  /** Keep what the person has, so that a return can restore it (okta-lifecycle 10). Before `end_assignments`. */
  | "take_snapshot"
  /** End every individual assignment; groups and their memberships stay. */
  | "end_assignments"
  /** Remove the user itself. */
  | "erase_user";

/** `changed: false`: the event was a level that already held; nothing to write or log. */
export type Transition = Readonly<{
  status: UserStatus;
  prior_status: UserStatus | null;
  effects: readonly LifecycleEffect[];
  changed: boolean;
}>;

/**
 * Why a transition is refused. The Okta API maps the reason to its error code: already_active E0000016,
 * wrong_status E0000038, not_locked_out E0000032, cannot_suspend and cannot_unsuspend E0000001, password_elsewhere
 * E0000041 (create) or E0000017, password_needed E0000124, password_needs_activation E0000125.
 */
export type LifecycleReason =
  | "no_such_user"
  | "already_exists"
  | "already_active"
  | "wrong_status"
  | "not_locked_out"
  | "cannot_suspend"
  | "cannot_unsuspend"
  | "password_elsewhere"
  | "password_needed"
  | "password_needs_activation"
  | "held"
  | "protected";

export type LifecycleRefusal = Refusal & Readonly<{ reason: LifecycleReason }>;

export type LifecycleOutcome = { readonly ok: Transition } | LifecycleRefusal;

export const userStatuses: readonly UserStatus[] = [
  "STAGED",
  "PROVISIONED",
  "ACTIVE",
  "RECOVERY",
  "PASSWORD_EXPIRED",
  "LOCKED_OUT",
  "SUSPENDED",
  "DEPROVISIONED",
];

const leaving: readonly LifecycleEffect[] = [
  "take_snapshot",
  "end_assignments",
  "erase_password",
  "end_sessions",
  "recompute",
];

type Move = Readonly<{
  to: Readonly<Partial<Record<UserStatus, UserStatus>>>;
  effects: readonly LifecycleEffect[];
  reason: LifecycleReason;
  /** What the person asking is told when the status does not allow it. */
  allowed: string;
}>;

type SimpleEvent =
  | "reactivate"
  | "unlock"
  | "lock"
  | "reset_password"
  | "complete_reset"
  | "expire_password"
  | "set_password";

/** Events whose outcome is a plain look-up: from → to. A missing entry is a refusal. */
const moves: Readonly<Record<SimpleEvent, Move>> = {
  reactivate: {
    to: { PROVISIONED: "PROVISIONED", RECOVERY: "RECOVERY" },
    effects: ["issue_activation"],
    reason: "wrong_status",
    allowed: "Only a person with a pending activation or reset can be sent a new activation",
  },
  unlock: {
    to: { LOCKED_OUT: "ACTIVE" },
    effects: ["recompute"],
    reason: "not_locked_out",
    allowed: "Only a locked out person can be unlocked",
  },
  lock: {
    to: { ACTIVE: "LOCKED_OUT" },
    effects: ["end_sessions", "recompute"],
    reason: "wrong_status",
    allowed: "Only an active person can be locked out",
  },
  reset_password: {
    to: {
      PROVISIONED: "RECOVERY",
      ACTIVE: "RECOVERY",
      RECOVERY: "RECOVERY",
      PASSWORD_EXPIRED: "RECOVERY",
      LOCKED_OUT: "RECOVERY",
    },
    effects: ["issue_reset", "recompute"],
    reason: "wrong_status",
    allowed: "A password can be reset only for an activated person who is not suspended",
  },
  complete_reset: {
    to: { PROVISIONED: "ACTIVE", RECOVERY: "ACTIVE", PASSWORD_EXPIRED: "ACTIVE" },
    effects: ["store_password", "recompute"],
    reason: "wrong_status",
    allowed: "A new password is expected only from a person with a pending activation, reset or expired password",
  },
  expire_password: {
    to: { ACTIVE: "PASSWORD_EXPIRED", PASSWORD_EXPIRED: "PASSWORD_EXPIRED" },
    effects: ["recompute"],
    reason: "wrong_status",
    allowed: "A password can be expired only for an active person",
  },
  set_password: {
    // A lock outlives a new password: lifting it is `unlock`, a decision of its own.
    to: {
      STAGED: "STAGED",
      PROVISIONED: "ACTIVE",
      ACTIVE: "ACTIVE",
      RECOVERY: "ACTIVE",
      PASSWORD_EXPIRED: "ACTIVE",
      LOCKED_OUT: "LOCKED_OUT",
    },
    effects: ["store_password", "recompute"],
    reason: "wrong_status",
    allowed: "A password can be set only for a person who is neither suspended nor deactivated",
  },
};

const passwordEvents: ReadonlySet<string> = new Set<SimpleEvent>([
  "reset_password",
  "complete_reset",
  "expire_password",
  "set_password",
]);

/**
 * What `event` at `now` makes of `user`; `null` is nobody yet, whom only `create` accepts. Gives the next status,
 * prior status and effects, or a refusal with its reason. A deleted user keeps DEPROVISIONED and has `erase_user`
 * among the effects; `delete` on anyone else only deactivates, as in Okta (scenario 18).
 */
export function transition(user: UserState | null, event: LifecycleEvent, now: Date): LifecycleOutcome {
  if (event.kind === "create") {
    return user === null ? create(event, now) : refuse("already_exists", "This person already exists", "duplicate");
  }
  if (user === null) return refuse("no_such_user", "There is no such person", "not_found");
  switch (event.kind) {
    case "activate":
      return activate(user);
    case "deactivate":
      return user.status === "DEPROVISIONED"
        ? refuseStatus("wrong_status", user, "This person is already deactivated")
        : deactivated();
    case "delete":
      return user.status === "DEPROVISIONED" ? moved("DEPROVISIONED", ["erase_user"]) : deactivated();
    case "suspend":
      return suspend(user);
    case "unsuspend":
      return user.status === "SUSPENDED"
        ? unsuspended(user)
        : refuseStatus("cannot_unsuspend", user, "Only a suspended person can be unsuspended");
    case "source_inactive":
      return sourceInactive(user, event.mode, now);
    case "source_active":
      return sourceActive(user, event, now);
    case "start_reached":
      return startReached(user, now);
    case "end_reached":
      return endReached(user, now);
    default:
      return simple(user, event.kind);
  }
}

function simple(user: UserState, kind: SimpleEvent): LifecycleOutcome {
  const move = moves[kind];
  const to = move.to[user.status];
  if (to === undefined) return refuseStatus(move.reason, user, move.allowed);
  if (user.signs_in_elsewhere && passwordEvents.has(kind)) {
    return refuse(
      "password_elsewhere",
      "This person signs in through another system; change the password there",
      "illegal_transition",
    );
  }
  return moved(to, move.effects);
}

function create(event: Extract<LifecycleEvent, { kind: "create" }>, now: Date): LifecycleOutcome {
  const waits = !event.activate || isAhead(event.starts_at, now);
  if (event.has_password && event.signs_in_elsewhere) {
    return refuse(
      "password_elsewhere",
      "A person who signs in through another system cannot be given a password here; leave it out",
      "invalid",
      "credentials.password",
    );
  }
  if (event.change_password && !event.has_password) {
    return refuse(
      "password_needed",
      "A password that must be changed at the first sign-in has to be given",
      "invalid",
      "credentials.password",
    );
  }
  if (event.change_password && waits) {
    return refuse(
      "password_needs_activation",
      "A password change at the first sign-in can be asked for only of a person who is activated now, not staged or starting later",
      "invalid",
      "nextLogin",
    );
  }
  const stored: LifecycleEffect[] = event.has_password ? ["store_password"] : [];
  // No token is issued: whoever works there goes on working, and is not asked to activate anything.
  if (event.stands !== undefined) return moved(event.stands, [...stored, "recompute"]);
  if (waits) return moved("STAGED", [...stored, "recompute"]);
  if (event.change_password) return moved("PASSWORD_EXPIRED", [...stored, "recompute"]);
  if (event.has_password || event.signs_in_elsewhere) return moved("ACTIVE", [...stored, "recompute"]);
  return moved("PROVISIONED", ["issue_activation", "recompute"]);
}

function activate(user: UserState): LifecycleOutcome {
  if (user.status === "STAGED" || user.status === "DEPROVISIONED") return activated(user);
  if (user.status === "SUSPENDED") {
    return refuseStatus("wrong_status", user, "A suspended person is unsuspended, not activated");
  }
  return refuseStatus("already_active", user, "This person is already activated");
}

function activated(user: UserState): LifecycleOutcome {
  const usable = user.has_password || user.signs_in_elsewhere;
  return usable ? moved("ACTIVE", ["recompute"]) : moved("PROVISIONED", ["issue_activation", "recompute"]);
}

function deactivated(): LifecycleOutcome {
  return moved("DEPROVISIONED", leaving);
}

function suspend(user: UserState): LifecycleOutcome {
  if (user.status === "SUSPENDED") return refuseStatus("cannot_suspend", user, "This person is already suspended");
  if (user.status === "DEPROVISIONED") {
    return refuseStatus("cannot_suspend", user, "A deactivated person cannot be suspended");
  }
  return suspended(user);
}

function suspended(user: UserState): LifecycleOutcome {
  return {
    ok: { status: "SUSPENDED", prior_status: user.status, effects: ["end_sessions", "recompute"], changed: true },
  };
}

function unsuspended(user: UserState): LifecycleOutcome {
  // A suspended row without a prior status can only come from a foreign import; ACTIVE is what Okta returns to.
  return moved(user.prior_status ?? "ACTIVE", ["recompute"]);
}

function sourceInactive(user: UserState, mode: "none" | "deactivate" | "suspend", now: Date): LifecycleOutcome {
  const { status } = user;
  if (mode === "none" || status === "DEPROVISIONED") return unchanged(user);
  if (mode === "suspend" && status === "SUSPENDED") return unchanged(user);
  const stopped = cutOffRefusal(user, now, "The source says this person is inactive");
  if (stopped) return stopped;
  return mode === "suspend" ? suspended(user) : deactivated();
}

function sourceActive(
  user: UserState,
  event: Extract<LifecycleEvent, { kind: "source_active" }>,
  now: Date,
): LifecycleOutcome {
  const returns =
    (user.status === "SUSPENDED" && event.reactivate_suspended) ||
    (user.status === "DEPROVISIONED" && event.reactivate_deactivated);
  // Someone whose time is over is not brought back by a source that lists them, and one whose time is yet to come waits.
  if (isReached(user.ends_at, now)) return unchanged(user);
  if (isAhead(user.starts_at, now)) return waits(user, returns, now);
  if (!returns) return unchanged(user);
  if (isHeld(user, now)) return refuseHeld(user, "The source says this person is active");
  return user.status === "SUSPENDED" ? unsuspended(user) : activated(user);
}

/** Their first day lies ahead: the clock brings them in. Whoever is here already is taken out until then. */
function waits(user: UserState, returns: boolean, now: Date): LifecycleOutcome {
  const gone = user.status === "SUSPENDED" || user.status === "DEPROVISIONED";
  if (user.status === "STAGED" || (gone && !returns)) return unchanged(user);
  const stopped = cutOffRefusal(user, now, "The source says this person's first day lies ahead");
  return stopped ?? moved("STAGED", gone ? ["recompute"] : ["end_sessions", "recompute"]);
}

function startReached(user: UserState, now: Date): LifecycleOutcome {
  const due = user.status === "STAGED" && isReached(user.starts_at, now) && !isReached(user.ends_at, now);
  if (!due) return unchanged(user);
  if (isHeld(user, now)) return refuseHeld(user, "This person's start date is reached");
  return activated(user);
}

function endReached(user: UserState, now: Date): LifecycleOutcome {
  if (user.status === "DEPROVISIONED" || !isReached(user.ends_at, now)) return unchanged(user);
  // End dates are usually imported: without this, a source could cut off a super administrator through the clock.
  const stopped = cutOffRefusal(user, now, "This person's end date is reached");
  return stopped ?? deactivated();
}

/** The two protections against sources and the clock; undefined if neither applies. */
function cutOffRefusal(user: UserState, now: Date, what: string): LifecycleRefusal | undefined {
  if (user.super_admin) {
    return refuse(
      "protected",
      `${what}, but super administrators are never cut off by an import or a date; take the role away first, or deactivate by hand`,
      "forbidden",
    );
  }
  return isHeld(user, now) ? refuseHeld(user, what) : undefined;
}

function isHeld(user: UserState, now: Date): boolean {
  return user.hold !== null && (user.hold.until === null || isAhead(user.hold.until, now));
}

function isAhead(at: Date | null, now: Date): boolean {
  return at !== null && at.getTime() > now.getTime();
}

function isReached(at: Date | null, now: Date): boolean {
  return at !== null && at.getTime() <= now.getTime();
}

function moved(status: UserStatus, effects: readonly LifecycleEffect[]): LifecycleOutcome {
  return { ok: { status, prior_status: null, effects, changed: true } };
}

function unchanged(user: UserState): LifecycleOutcome {
  return { ok: { status: user.status, prior_status: user.prior_status, effects: [], changed: false } };
}

function refuseHeld(user: UserState, what: string): LifecycleRefusal {
  const by = user.hold === null ? "" : ` by ${user.hold.by} (${user.hold.reason})`;
  const until = user.hold?.until ? ` until ${user.hold.until.toISOString()}` : " until it is lifted";
  return refuse("held", `${what}, but a manual hold${by} keeps the status as it is${until}`, "forbidden");
}

function refuseStatus(reason: LifecycleReason, user: UserState, allowed: string): LifecycleRefusal {
  return refuse(reason, `${allowed}; the status is ${user.status}`, "illegal_transition");
}

function refuse(reason: LifecycleReason, refused: string, code: Refusal["code"], place?: string): LifecycleRefusal {
  return place === undefined ? { refused, code, reason } : { refused, code, reason, place };
}

/**
 * Does someone in this status get accounts (okta-lifecycle 1.3)? `full`: as their assignments say; `per_app`: each app
 * says whether a suspended person's account stays, is disabled or removed; `none`: no accounts. Someone suspended
 * before they were ever activated had none, so a suspension gives them none. `off`: as their assignments say, but switched
 * off, for someone whose first day is near.
 */
export function assignable(
  status: UserStatus,
  prior_status: UserStatus | null = null,
  prepared = false,
): "none" | "off" | "full" | "per_app" {
  switch (status) {
    case "STAGED":
      return prepared ? "off" : "none";
    case "DEPROVISIONED":
      return "none";
    case "SUSPENDED":
      return prior_status === "STAGED" ? "none" : "per_app";
    default:
      return "full";
  }
}
