/**
 * The nouns of Tenure. Start reading here: every other file speaks in these words, and each word has one meaning
 * (docs/glossary.md). Everything is plain immutable data; nothing in this file runs.
 */

/** A JSON value an attribute can hold. Absent and `null` mean the same: no value. */
export type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value };

/** Attribute name → value: a user's profile, a group's profile, or an account's profile. */
export type Profile = Readonly<Record<string, Value>>;

/** Okta's eight user statuses (okta-lifecycle 1.1). */
export type UserStatus =
  | "STAGED"
  | "PROVISIONED"
  | "ACTIVE"
  | "RECOVERY"
  | "PASSWORD_EXPIRED"
  | "LOCKED_OUT"
  | "SUSPENDED"
  | "DEPROVISIONED";

/** A hold is an administrator's word that beats every source until it is lifted or ends. */
export type Hold = Readonly<{ by: string; reason: string; until: Date | null }>;

/** A person we manage. */
export type User = Readonly<{
  id: string;
  status: UserStatus;
  /** What a suspension returns to. */
  prior_status: UserStatus | null;
  profile: Profile;
  starts_at: Date | null;
  ends_at: Date | null;
  time_zone: string | null;
  hold: Hold | null;
}>;

/** OKTA_GROUP: ours. APP_GROUP: imported, read-only here. BUILT_IN: Everyone. */
export type GroupType = "OKTA_GROUP" | "APP_GROUP" | "BUILT_IN";

export type Group = Readonly<{ id: string; type: GroupType; profile: Profile }>;

/** Who or what gave a membership or an assignment. `source_id` is the person, group, rule, app or request. */
export type GrantKind = "person" | "group" | "rule" | "import" | "request";

/** One reason for a membership or an assignment; it ends when its last grant ends. */
export type Grant = Readonly<{
  kind: GrantKind;
  source_id: string;
  reason: string | null;
  granted_at: Date;
  expires_at: Date | null;
}>;

/** What an attribute is, in a user, group or app schema. Names are case-sensitive as stored, unique without case. */
export type Attribute = Readonly<{
  name: string;
  title?: string;
  description?: string;
  type: "string" | "number" | "integer" | "boolean" | "date" | "reference" | "object";
  array: boolean;
  required: boolean;
  /** always; only when the account is created; never (the app decides it). */
  writable: "always" | "create" | "never";
  /** false: the app never tells the value (a password), so it is never drift. */
  readable: boolean;
  unique: boolean;
  /** false: two values that differ only by case are the same (SCIM's caseExact). */
  case_exact: boolean;
  /** An array attribute of an app whose values from several groups are joined instead of taken by priority. */
  union?: boolean;
  /** Hidden from everyone but super administrators, and never in logs. */
  sensitive?: boolean;
  enum?: readonly Value[];
  min_length?: number;
  max_length?: number;
  /** Regular expression in the linear-time dialect of the expression language. */
  pattern?: string;
  /** The app's own name for it, if it differs (a SCIM path, an LDAP attribute). */
  external_name?: string;
  /** The types of user that have this custom attribute; without it, the default type alone. */
  types?: readonly string[];
  /** The 31 base attributes of a user cannot be removed. */
  base?: boolean;
}>;

/** `links`: of users, the names by which an expression reaches a linked person. */
export type Schema = Readonly<{
  attributes: readonly Attribute[];
  links?: readonly string[];
  aliases?: readonly string[];
}>;

/** What an account should be. `create: false`: change it if it is there, never make it. `null`: it must not be there. */
export type Want = Readonly<{ enabled: boolean; create: boolean; profile: Profile; early?: true }>;

/** What an account was last seen to be. `null`: it was not there. */
export type Have = Readonly<{ enabled: boolean; profile: Profile }>;

/** What a connector can do; data, so that the planner, the console and the docs can read it. */
export type Capabilities = Readonly<{
  create: boolean;
  update: boolean;
  disable: boolean;
  delete: boolean;
  password: boolean;
  groups: boolean;
  /** It can list only what changed since a token. */
  changes: boolean;
  /** The most changes one write may hold, as group members. */
  writes_max: number;
}>;

/** The seven ways a call to an app fails; each has one reaction (core/faults.ts). */
export type FaultKind = "retry" | "rate_limited" | "conflict" | "not_found" | "invalid" | "denied" | "unsupported";

/** A refusal is a value: what was asked, why it cannot be, and what to do instead. */
export type Refusal = Readonly<{ refused: string; code: RefusalCode; place?: string }>;

/** Each code has one HTTP status and one exit code; see server/errors.ts. */
export type RefusalCode =
  | "not_found"
  | "invalid"
  | "duplicate"
  | "illegal_transition"
  | "forbidden"
  | "stale"
  | "cycle"
  | "too_large"
  | "unavailable";

export type Outcome<T> = { readonly ok: T } | Refusal;

/** Key of a mapped attribute's empty policy: what an empty result does to the account (okta-lifecycle 5.4). */
export type WhenEmpty = "clear" | "keep" | "skip" | "default";

/** One line of a mapping: the expression that gives an attribute, and when it is pushed (okta-lifecycle 5.1). */
export type MappingLine = Readonly<{
  expression: string;
  push: "always" | "create";
  when_empty: WhenEmpty;
  default?: Value;
}>;

/** Attribute name of the target → line. */
export type MappingLines = Readonly<Record<string, MappingLine>>;
