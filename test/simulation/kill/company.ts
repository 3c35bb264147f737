/**
 * The company of the kill test: who there is, who asked for what, and what follows from it for each app and group. A
 * change counts from the moment the API acknowledged it; nothing here was ever read from Tenure's database.
 *
 * Every login says whose it is (`p017.r3@…` is the third login of person 17), so an account found in an app can be told
 * to be somebody's whatever Tenure thinks of it.
 */

export const departments = ["Engineering", "Sales", "Support", "Finance", "Research"] as const;
export const app_keys = ["chat", "code"] as const;
export type AppKey = (typeof app_keys)[number];

/** Filled by hand, where departments' groups are filled by rules. */
export const hand_groups = ["Team A", "Team B", "Team C"] as const;
/** A group by what it was first called: groups are renamed. */
export type GroupKey = (typeof departments)[number] | (typeof hand_groups)[number];

/** Which groups give which app. */
export const grants: Readonly<Record<AppKey, readonly GroupKey[]>> = {
  chat: ["Engineering", "Sales", "Team A"],
  code: ["Sales", "Support", "Team B"],
};

/** Which groups are written to which app: some that give it, and one whose people may or may not have it. */
export const pushes: Readonly<Record<AppKey, readonly GroupKey[]>> = {
  chat: ["Engineering", "Team A", "Team C"],
  code: ["Sales", "Team B", "Team C"],
};

/** Somebody, as everybody asked for. `absent`: not hired yet; `gone`: left, and may return. */
export type Person = {
  readonly number: number;
  id: string;
  state: "absent" | "here" | "suspended" | "gone";
  readonly first_login: string;
  login: string;
  /** How many logins there have been. */
  logins: number;
  department: (typeof departments)[number];
  title: string | null;
  last_name: string;
  /** Groups by hand. */
  readonly hand: Set<GroupKey>;
  /** Apps given to the person alone. */
  readonly own: Set<AppKey>;
};

export type Group = { readonly key: GroupKey; readonly id: string; name: string; names: number };

export type Company = Readonly<{
  people: readonly Person[];
  groups: ReadonlyMap<GroupKey, Group>;
  apps: Readonly<Record<AppKey, string>>;
}>;

/** The `n`-th login of a person, from 1. */
export function loginOf(number: number, n: number): string {
  return `p${`${number}`.padStart(3, "0")}.r${n}@kill.example`;
}

/** Whose login this is; null when it is nobody's. */
export function numberOf(login: string): number | null {
  const digits = /^p(\d{3,})\.r\d+@kill\.example$/i.exec(login)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** People none of whom is hired yet. */
export function invent(count: number): Person[] {
  return Array.from({ length: count }, (_, number) => ({
    number,
    id: "",
    state: "absent",
    first_login: loginOf(number, 1),
    login: loginOf(number, 1),
    logins: 1,
    department: departments[number % departments.length] ?? "Sales",
    title: "Associate",
    last_name: `Number${number}`,
    hand: new Set(),
    own: new Set(),
  }));
}

/** Is the person in the group? Rules keep nobody who has left out of it; their accounts are off all the same. */
export function isIn({ department, hand }: Person, group: GroupKey): boolean {
  return department === group || hand.has(group);
}

/** Must the person have an enabled account in the app now? */
export function entitled(person: Person, app: AppKey): boolean {
  return person.state === "here" && (person.own.has(app) || grants[app].some((group) => isIn(person, group)));
}
