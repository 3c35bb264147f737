/**
 * What a password must be, how long it serves, and how many wrong ones are borne. The installation's policy is the setting
 * `password_policy`; what it does not say, and whatever is of the wrong kind, is as in `standard_policy`.
 *
 * Law: length counts most (the standard asks for no kinds of characters), and a password never holds the person's name.
 * Called by directory/passwordRules.ts and directory/signIn.ts.
 */
import type { Profile, Value } from "./types.ts";

export type PasswordPolicy = Readonly<{
  /** Characters, 4 to 64. */
  min_length: number;
  /** How many of each kind there must be at least. */
  min_lower: number;
  min_upper: number;
  min_number: number;
  min_symbol: number;
  /** No part of the login (4 characters or more) in it. */
  exclude_login: boolean;
  /** So many last passwords cannot be chosen again by the person. */
  history: number;
  /** After so many days it must be changed; 0: never. */
  max_age_days: number;
  /** So many wrong ones in a row lock the person out; 0: never. */
  max_attempts: number;
  /** A lock ends by itself after so many minutes; 0: never. */
  auto_unlock_minutes: number;
  /** Tell somebody who tries that they are locked out. */
  show_lockout: boolean;
  /** Let people who know the answer to their recovery question replace a forgotten password by themselves. */
  self_service: boolean;
}>;

export const standard_policy: PasswordPolicy = {
  min_length: 8,
  min_lower: 0,
  min_upper: 0,
  min_number: 0,
  min_symbol: 0,
  exclude_login: true,
  history: 4,
  max_age_days: 0,
  max_attempts: 10,
  auto_unlock_minutes: 0,
  show_lockout: false,
  self_service: false,
};

/** The largest value of each number. */
const largest: Readonly<Partial<Record<keyof PasswordPolicy, number>>> = {
  min_length: 64,
  min_lower: 8,
  min_upper: 8,
  min_number: 8,
  min_symbol: 8,
  history: 24,
  max_age_days: 3_650,
  max_attempts: 100,
  auto_unlock_minutes: 525_600,
};

/** The policy that a setting's value spells. */
export function policyOf(value: Value | undefined): PasswordPolicy {
  const given = typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  const known = Object.entries(standard_policy).map(([name, standard]) => {
    const said = Object.hasOwn(given, name) ? (given as Readonly<Record<string, Value>>)[name] : undefined;
    if (typeof standard === "boolean") return [name, typeof said === "boolean" ? said : standard];
    const least = name === "min_length" ? 4 : 0;
    const most = largest[name as keyof PasswordPolicy] ?? 0;
    return [name, Number.isInteger(said) ? Math.min(Math.max(said as number, least), most) : standard];
  });
  return Object.fromEntries(known) as PasswordPolicy;
}

const kinds = [
  ["min_lower", /\p{Ll}/gu, "lowercase letter"],
  ["min_upper", /\p{Lu}/gu, "uppercase letter"],
  ["min_number", /\p{Nd}/gu, "number"],
  ["min_symbol", /[^\p{L}\p{Nd}\s]/gu, "symbol"],
] as const;

const part_min = 4;

/** May this person have this password? Says what it lacks, in the order in which the policy says it. */
export function passwordFaults(policy: PasswordPolicy, password: string, profile: Profile): readonly string[] {
  const faults = [
    ...([...password].length < policy.min_length ? [`at least ${policy.min_length} characters`] : []),
    ...kinds.flatMap(([name, pattern, word]) =>
      (password.match(pattern)?.length ?? 0) < policy[name] ? [counted(policy[name], word)] : [],
    ),
  ];
  return policy.exclude_login && holdsLogin(password, profile) ? [...faults, "no parts of your username"] : faults;
}

/** The policy in words, as a form says it before anybody tries. */
export function policyWords(policy: PasswordPolicy): readonly string[] {
  return [
    `at least ${policy.min_length} characters`,
    ...kinds.flatMap(([name, , word]) => (policy[name] > 0 ? [counted(policy[name], word)] : [])),
    ...(policy.exclude_login ? ["no parts of your username"] : []),
    ...(policy.history > 0 ? [`none of your last ${policy.history} passwords`] : []),
  ];
}

const counted = (n: number, word: string) => (n === 1 ? `a ${word}`.replace("a upper", "an upper") : `${n} ${word}s`);

function holdsLogin(password: string, profile: Profile): boolean {
  const login = profile["login"];
  if (typeof login !== "string") return false;
  const lower = password.toLowerCase();
  // The domain is everybody's: it says nothing about this person.
  const parts = (login.toLowerCase().split("@")[0] ?? "").split(/[._#+-]/);
  return parts.some((part) => part.length >= part_min && lower.includes(part));
}
