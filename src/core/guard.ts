/**
 * The blast radius: how much a plan would take away, against how much there is. A broken HR export looks exactly like
 * half the company leaving; whoever runs a plan asks here before the first write (okta-lifecycle 3.4 point 5).
 *
 * Laws (tested): monotone, taking away more is never held less; exact, a limit of 20 % lets 20 % pass and stops the
 * next one, without rounding; only losses count, so a plan that gives is never held.
 *
 * Called by engine/import.ts, engine/reconcile.ts, group push, and every preview.
 */

/** What can be taken away. */
export type LossKind =
  | "users_deactivated"
  | "users_suspended"
  | "users_deleted"
  | "assignments_removed"
  | "accounts_disabled"
  | "accounts_deleted"
  | "memberships_removed"
  | "values_cleared";

/** Of what: everything, one source, one app, one group. */
export type Scope = Readonly<{ type: "org" | "source" | "app" | "group"; id: string; name: string }>;

/** `count` of the `total` there are now. `attribute`: what is cleared, of `values_cleared`. */
export type Loss = Readonly<{ kind: LossKind; scope: Scope; count: number; total: number; attribute?: string }>;

/**
 * Held when `count` is above `percent` of the total and at least `at_least`, or above `absolute`. null switches a
 * limit off.
 */
export type Limit = Readonly<{ percent: number | null; at_least: number; absolute: number | null }>;

/** On by default: a fifth, but not for a handful. */
export const defaultLimit: Limit = { percent: 20, at_least: 10, absolute: null };

/** An exception: the limit for these losses; null matches all of them. The first rule that fits decides. */
export type GuardRule = Readonly<{
  kind: LossKind | null;
  scope_type: Scope["type"] | null;
  scope_id: string | null;
  limit: Limit;
}>;

/** Why a plan is held, as figures and as a sentence. `allowed`: the most that would have passed. */
export type HeldReason = Readonly<{ loss: Loss; by: "percent" | "absolute"; allowed: number; why: string }>;

export type Judgement = Readonly<{ held: readonly HeldReason[] }> | Readonly<{ ok: true }>;

/** Judges a whole plan. One loss above its limit holds all of it; every reason is told. */
export function judgeLosses(losses: readonly Loss[], rules: readonly GuardRule[] = []): Judgement {
  const held = losses.flatMap((loss) => reasonsFor(loss, limitFor(loss, rules)));
  return held.length > 0 ? { held } : { ok: true };
}

/** The limit that a loss is held to. */
export function limitFor(loss: Loss, rules: readonly GuardRule[]): Limit {
  const rule = rules.find(
    ({ kind, scope_type, scope_id }) =>
      (kind === null || kind === loss.kind) &&
      (scope_type === null || scope_type === loss.scope.type) &&
      (scope_id === null || scope_id === loss.scope.id),
  );
  return rule?.limit ?? defaultLimit;
}

function reasonsFor(loss: Loss, limit: Limit): readonly HeldReason[] {
  const { count, total } = loss;
  const reasons: HeldReason[] = [];
  // Multiplied out, so that no rounding decides about the twenty-first of a hundred.
  if (limit.percent !== null && count >= limit.at_least && count * 100 > limit.percent * total) {
    const allowed = Math.max(Math.floor((limit.percent * total) / 100), limit.at_least - 1);
    reasons.push({ loss, by: "percent", allowed, why: percentSentence(loss, limit.percent) });
  }
  if (limit.absolute !== null && count > limit.absolute) {
    reasons.push({ loss, by: "absolute", allowed: limit.absolute, why: absoluteSentence(loss, limit.absolute) });
  }
  return reasons;
}

const deeds: Readonly<Record<LossKind, readonly [deed: string, what: string]>> = {
  users_deactivated: ["deactivate", "people"],
  users_suspended: ["suspend", "people"],
  users_deleted: ["delete", "people"],
  assignments_removed: ["take the app from", "people"],
  accounts_disabled: ["disable", "accounts"],
  accounts_deleted: ["delete", "accounts"],
  memberships_removed: ["remove", "memberships"],
  values_cleared: ["clear", "people"],
};

function percentSentence(loss: Loss, percent: number): string {
  // Rounded up: a share is never shown as no more than the limit it exceeds.
  const share = loss.total === 0 ? "" : `${Math.ceil((loss.count * 1000) / loss.total) / 10} %; `;
  return `${sentenceStart(loss)} (${share}the limit is ${percent} %)`;
}

function absoluteSentence(loss: Loss, absolute: number): string {
  return `${sentenceStart(loss)} (the limit is ${absolute})`;
}

function sentenceStart({ kind, scope, count, total, attribute }: Loss): string {
  const [verb, what] = deeds[kind];
  const deed = attribute === undefined ? verb : `${verb} ${attribute} of`;
  const where = scope.type === "org" ? "" : ` of ${scope.type} ${scope.name}`;
  return `This would ${deed} ${count} of ${total} ${what}${where}`;
}
