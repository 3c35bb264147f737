/**
 * A stored user as the state machine sees one, and as the log names one.
 */
import type { UserState } from "../core/lifecycle.ts";
import type { Target } from "../store/tables.ts";
import type { StoredUser } from "./userQueries.ts";

/** What decides a transition (core/lifecycle.ts). */
export function stateOf(user: StoredUser): UserState {
  const { hold } = user;
  const provider = user.credentials.provider?.type ?? "OKTA";
  return {
    status: user.status,
    prior_status: user.prior_status,
    has_password: user.credentials.password_hash !== undefined || user.credentials.password_hook === true,
    signs_in_elsewhere: provider !== "OKTA" && provider !== "IMPORT",
    super_admin: user.super_admin,
    hold: hold === null ? null : { ...hold, until: hold.until === null ? null : new Date(hold.until) },
    starts_at: user.starts_at,
    ends_at: user.ends_at,
  };
}

/** The user as a target of an event. */
export const userTarget = (user: Pick<StoredUser, "id" | "login">): Target => ({
  id: user.id,
  type: "User",
  name: user.login,
});
