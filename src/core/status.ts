/**
 * What an account looks like to Okta's API: one of the 13 AppUser statuses and one of the 5 sync states, derived from
 * the account row (okta-lifecycle 3.5). Neither is ever stored: a stored status is a second truth that goes stale.
 *
 * Law: total and pure. Every combination of facts has exactly one status and one sync state, and none of them claims
 * more than the facts show: an account that was not seen gone is not DEPROVISIONED.
 *
 * Called by server/okta for app users, by the console's lists, and by reports.
 */
import { reactions } from "./faults.ts";
import type { FaultKind, Have, Want } from "./types.ts";

export type AccountStatus =
  | "STAGED"
  | "PROVISIONED"
  | "ACTIVE"
  | "PENDING"
  | "IMPORTED"
  | "MATCHED"
  | "UNASSIGNED"
  | "APPROVED"
  | "REVOKED"
  | "SUSPENDED"
  | "INACTIVE"
  | "DEPROVISIONED"
  | "IMPLICIT";

export type SyncState = "DISABLED" | "OUT_OF_SYNC" | "SYNCING" | "SYNCHRONIZED" | "ERROR";

/** The part of an account row, and of its app, that the two derived values rest on. */
export type AccountFacts = Readonly<{
  /** What it should be; null: it must not be there (or nothing was ever wanted of it). */
  want: Want | null;
  /** What it was last seen to be; null: not there, or not seen yet. */
  have: Have | null;
  external_id: string | null;
  /** The open manual task of this account, if any: someone must make it, or remove it, by hand. */
  pending: "create" | "remove" | null;
  /** The fault the last operation ended with; null once one succeeded. */
  fault: FaultKind | null;
  /** It has work waiting: `due_at` is set. */
  due: boolean;
  /** A worker holds its lease now. */
  claimed: boolean;
  /** The app's provisioning is on (the manual connector counts: its operations are tasks). */
  provisioning: boolean;
  /** A person or group grants it today. */
  assigned: boolean;
  /**
   * How an import left it: `new` waits to become a user, `matched` waits for its match to be confirmed, `skipped` was
   * not matched, `confirmed` was linked to its user. null: no import brought it.
   */
  imported: "new" | "matched" | "skipped" | "confirmed" | null;
}>;

/**
 * The AppUser `status` of an account.
 *
 * Two readings where Okta's words leave room: a disabled account is SUSPENDED if we want it so (it comes back as it
 * was) and INACTIVE if the app disabled it against our want; an unassigned account that is still alive is REVOKED
 * while its removal is under way and UNASSIGNED once nothing will remove it (the app's deactivation is off).
 */
export function accountStatus(facts: AccountFacts): AccountStatus {
  return facts.assigned ? assignedStatus(facts) : unassignedStatus(facts);
}

function assignedStatus(facts: AccountFacts): AccountStatus {
  const { want, have } = facts;
  if (facts.pending === "create") return "APPROVED";
  if (!facts.provisioning) return want !== null && !want.enabled ? "SUSPENDED" : "ACTIVE";
  if (have === null) {
    if (facts.external_id !== null) return "PENDING";
    // Creation is off: the assignment waits for somebody else to make the account.
    return want !== null && !want.create ? "PENDING" : "STAGED";
  }
  if (!have.enabled) return want?.enabled ? "INACTIVE" : "SUSPENDED";
  return facts.imported === "confirmed" ? "ACTIVE" : "PROVISIONED";
}

function unassignedStatus(facts: AccountFacts): AccountStatus {
  const { want, have } = facts;
  if (facts.pending === "remove") return "REVOKED";
  if (facts.imported === "new") return "IMPORTED";
  if (facts.imported === "matched") return "MATCHED";
  if (facts.imported === "skipped") return "UNASSIGNED";
  if (want?.enabled) return "IMPLICIT";
  if (have === null || !have.enabled) return "DEPROVISIONED";
  return facts.due || facts.claimed || facts.fault !== null ? "REVOKED" : "UNASSIGNED";
}

/** The AppUser `syncState` of an account. ERROR only where a person must act first: the engine retries the rest. */
export function accountSyncState(facts: AccountFacts): SyncState {
  if (!facts.provisioning) return "DISABLED";
  if (facts.claimed) return "SYNCING";
  if (facts.fault !== null && needsPerson(facts.fault)) return "ERROR";
  if (facts.due || facts.pending !== null) return "OUT_OF_SYNC";
  // The app accepted the account but has not shown it yet.
  if (facts.external_id !== null && facts.have === null && facts.want !== null) return "SYNCING";
  // It is there, and nothing will ever be pushed to it: an orphan, or an import that nobody confirmed.
  if (facts.want === null && facts.have !== null) return "DISABLED";
  return "SYNCHRONIZED";
}

function needsPerson(fault: FaultKind): boolean {
  const { task } = reactions[fault];
  return task === "account" || task === "app";
}
