/**
 * Administrator roles: what they are called, which can be narrowed to targets, and the id of a grant.
 *
 * Law: a role that can have targets has one grant per assignee, and that grant's id is the role's name in base 32
 * (recorded: APP_ADMIN is IFIFAX2BIRGUSTQ everywhere); other grants have ids of their own.
 *
 * Called by directory/adminRoles and by the API's routes.
 */

/** `targets`: what a grant can be narrowed to. */
type RoleFacts = Readonly<{ label: string; targets?: "groups" | "apps" }>;

/** The roles that everyone knows, in Okta's words. */
export const standard_roles = {
  SUPER_ADMIN: { label: "Super Administrator" },
  ORG_ADMIN: { label: "Organization Administrator" },
  APP_ADMIN: { label: "Application Administrator", targets: "apps" },
  USER_ADMIN: { label: "Group Administrator", targets: "groups" },
  HELP_DESK_ADMIN: { label: "Help Desk Administrator", targets: "groups" },
  GROUP_MEMBERSHIP_ADMIN: { label: "Group Membership Administrator", targets: "groups" },
  READ_ONLY_ADMIN: { label: "Read-only Administrator" },
  REPORT_ADMIN: { label: "Report Administrator" },
  API_ACCESS_MANAGEMENT_ADMIN: { label: "API Access Management Administrator" },
  MOBILE_ADMIN: { label: "Mobile Administrator" },
} as const satisfies Readonly<Record<string, RoleFacts>>;

export type StandardRole = keyof typeof standard_roles;

/** Is this the name of a role that everyone knows? */
export function isStandardRole(role: string): role is StandardRole {
  return Object.hasOwn(standard_roles, role);
}

/** What a grant of this role can be narrowed to; undefined: nothing. */
export function targetsOf(role: string): "groups" | "apps" | undefined {
  const facts: RoleFacts | undefined = isStandardRole(role) ? standard_roles[role] : undefined;
  return facts?.targets;
}

/** The id of a grant as clients see it. `row_id`: its id among all grants. */
export function grantId(role: string, row_id: string): string {
  return targetsOf(role) === undefined ? row_id : base32(role);
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** RFC 4648 base 32 of an ASCII text, without padding. */
function base32(text: string): string {
  const bits = [...text].map((letter) => (letter.codePointAt(0) ?? 0).toString(2).padStart(8, "0")).join("");
  const fives = bits.match(/.{1,5}/g) ?? [];
  return fives.map((five) => letters.charAt(Number.parseInt(five.padEnd(5, "0"), 2))).join("");
}
