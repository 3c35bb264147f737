/** A user in Okta's form. The six names that Okta always shows are there even when they are empty. */
import type { UserStatus } from "../../core/types.ts";
import type { StoredUser } from "../../directory/userQueries.ts";
import type { Credentials } from "../../store/tables.ts";
import { actions, date, type Link, user_schema_id, user_type_id } from "./links.ts";

const shown = ["firstName", "lastName", "mobilePhone", "secondEmail", "login", "email"] as const;

const signedIn = {
  suspend: "lifecycle/suspend",
  resetPassword: "lifecycle/reset_password",
  forgotPassword: "credentials/forgot_password",
  expirePassword: "lifecycle/expire_password",
  changeRecoveryQuestion: "credentials/change_recovery_question",
  resetFactors: "lifecycle/reset_factors",
  changePassword: "credentials/change_password",
  deactivate: "lifecycle/deactivate",
};

/** What can be done with a person in each status; the recorded answers of Okta, and its words for the rest. */
const possible: Readonly<Record<UserStatus, Readonly<Record<string, string>>>> = {
  STAGED: { activate: "lifecycle/activate" },
  PROVISIONED: {
    suspend: "lifecycle/suspend",
    resetPassword: "lifecycle/reset_password",
    reactivate: "lifecycle/reactivate",
    resetFactors: "lifecycle/reset_factors",
    deactivate: "lifecycle/deactivate",
  },
  ACTIVE: signedIn,
  PASSWORD_EXPIRED: signedIn,
  RECOVERY: {
    suspend: "lifecycle/suspend",
    resetPassword: "lifecycle/reset_password",
    reactivate: "lifecycle/reactivate",
    deactivate: "lifecycle/deactivate",
  },
  LOCKED_OUT: {
    unlock: "lifecycle/unlock",
    suspend: "lifecycle/suspend",
    resetPassword: "lifecycle/reset_password",
    deactivate: "lifecycle/deactivate",
  },
  SUSPENDED: { unsuspend: "lifecycle/unsuspend", deactivate: "lifecycle/deactivate" },
  DEPROVISIONED: { activate: "lifecycle/activate" },
};

/** A user as `GET /api/v1/users/{id}` gives it; `base` begins every link. */
export function userBody(user: StoredUser, base: string) {
  const self = `${base}/api/v1/users/${user.id}`;
  const always = Object.fromEntries(shown.map((name) => [name, user.profile[name] ?? null]));
  const { firstName, lastName, mobilePhone, secondEmail, login, email } = always;
  return {
    id: user.id,
    status: user.status,
    created: date(user.created_at),
    activated: date(user.activated_at),
    statusChanged: date(user.status_changed_at),
    lastLogin: date(user.last_login_at),
    lastUpdated: date(user.updated_at),
    passwordChanged: date(user.password_changed_at),
    type: { id: user_type_id },
    profile: { firstName, lastName, mobilePhone, secondEmail, login, email, ...user.profile },
    credentials: { ...credentialsBody(user.credentials), emails: emails(user) },
    _links: links(user.status, self, base),
  };
}

/** Which credentials there are; never what they are. */
export function credentialsBody(credentials: Credentials) {
  return {
    ...(credentials.password_hash === undefined ? {} : { password: {} }),
    ...(credentials.recovery_question === undefined
      ? {}
      : { recovery_question: { question: credentials.recovery_question } }),
    provider: credentials.provider ?? { type: "OKTA", name: "OKTA" },
  };
}

function emails({ profile }: StoredUser) {
  const all = [
    { value: profile["email"], status: "VERIFIED", type: "PRIMARY" },
    { value: profile["secondEmail"], status: "VERIFIED", type: "SECONDARY" },
  ];
  return all.filter(({ value }) => value !== undefined && value !== null);
}

function links(status: UserStatus, self: string, base: string): Record<string, Link> {
  return {
    self: { href: self },
    schema: { href: `${base}/api/v1/meta/schemas/user/${user_schema_id}` },
    type: { href: `${base}/api/v1/meta/types/user/${user_type_id}` },
    ...actions(self, possible[status]),
    ...(status === "DEPROVISIONED" ? { delete: { href: self, method: "DELETE" } } : {}),
  };
}
