/**
 * The heart: from one person's facts to the accounts that person should have. Pure and total; the engine runs it for
 * dirty users, a preview runs it for anyone, and both get the same answer.
 *
 * Laws:
 * - an account is assigned while the person may have accounts, the app may be used, and at least one grant holds;
 * - for one attribute a person's own value beats a group's, the group with the smallest priority beats the others
 *   (or their values are joined, where the schema says so), and a group's beats the mapped value;
 * - when the assignment ends, the profile is frozen: only the enabled state, or the existence, still matters;
 * - an inactive app is left as it is: nothing is computed for it (okta-lifecycle 6.3).
 */
import { assignable } from "./lifecycle.ts";
import { type CompiledLine, type MappingError, mapProfile } from "./mapping.ts";
import type { Attribute, Grant, GrantKind, Profile, UserStatus, Value, Want } from "./types.ts";

/** Why an account is wanted. */
export type AccountGrant = Readonly<{
  scope: "USER" | "GROUP";
  source_id: string;
  kind: GrantKind;
  membership?: readonly Readonly<{ kind: GrantKind; source_id: string }>[];
  priority?: number;
}>;

/** An assignment of an app to a group, with the values that it gives. */
type GroupAssignment = Readonly<{ group_id: string; priority: number; profile: Profile }>;

/** An app as far as deciding goes. `lines` may be empty: an app without mappings has accounts with assigned values. */
export type AppFacts<Facts> = Readonly<{
  id: string;
  active: boolean;
  /** Licence expired: nobody may have it, whoever grants it. */
  expired: boolean;
  on_unassign: "disable" | "delete" | "keep";
  on_suspend: "disable" | "keep";
  create: boolean;
  match_attribute: string;
  attributes: readonly Attribute[];
  groups: readonly GroupAssignment[];
  lines: readonly CompiledLine<Facts>[];
}>;

/** A user's own grants for one app. */
export type OwnGrant = Pick<Grant, "kind" | "source_id"> & Readonly<{ app_id: string; profile: Profile }>;

/** What the account row said before; undefined: there is none. */
export type Before = Readonly<{
  app_id: string;
  assigned: boolean;
  want: Want | null;
  external: boolean;
  match_key: string | null;
}>;

export type Person<Facts> = Readonly<{
  status: UserStatus;
  prior_status: UserStatus | null;
  /** Their first day is near: accounts are made, switched off. */
  prepared: boolean;
  /** group id → the grants that put the user there. */
  groups: ReadonlyMap<string, readonly Readonly<{ kind: GrantKind; source_id: string }>[]>;
  grants: readonly OwnGrant[];
  before: readonly Before[];
  /** What the mapping expressions see, for one app. */
  facts: (app: AppFacts<Facts>) => Facts;
}>;

/** What one account should be. `release`: the app keeps it, and nobody manages it any more. */
export type Desired = Readonly<{
  app_id: string;
  assigned: boolean;
  want: Want | null;
  grants: readonly AccountGrant[];
  match_key: string | null;
  release: boolean;
  errors: readonly MappingError[];
}>;

/** The accounts a person should have, in the order of `apps`; an app with neither grant nor account is not in it. */
export function desiredAccounts<Facts>(person: Person<Facts>, apps: readonly AppFacts<Facts>[]): Desired[] {
  const desired: Desired[] = [];
  const may = assignable(person.status, person.prior_status, person.prepared);
  for (const app of apps) {
    if (!app.active) continue;
    const had = person.before.find((row) => row.app_id === app.id);
    const given = givenOf(person, app);
    if (given.own.length + given.by_group.length > 0 && may !== "none" && !app.expired) {
      const off = may === "off" || (may === "per_app" && app.on_suspend === "disable");
      desired.push(assigned(person, app, given, had, off));
    } else if (had !== undefined) {
      desired.push(unassigned(app, had));
    }
  }
  return desired;
}

/** What gives a person an app: their own grants, and their groups' assignments by priority. */
type Given = Readonly<{ own: readonly OwnGrant[]; by_group: readonly GroupAssignment[] }>;

function givenOf<Facts>(person: Person<Facts>, app: AppFacts<Facts>): Given {
  const by_group = app.groups.filter((assignment) => person.groups.has(assignment.group_id));
  if (by_group.length > 1) by_group.sort((a, b) => a.priority - b.priority || (a.group_id < b.group_id ? -1 : 1));
  return { own: person.grants.filter((grant) => grant.app_id === app.id), by_group };
}

function grantsFor<Facts>(person: Person<Facts>, { own, by_group }: Given): AccountGrant[] {
  const grants = own.map(({ source_id, kind }): AccountGrant => ({ scope: "USER", source_id, kind }));
  for (const { group_id, priority } of by_group) {
    const membership = person.groups.get(group_id) ?? [];
    grants.push({ scope: "GROUP", source_id: group_id, kind: "group", membership, priority });
  }
  return grants;
}

function assigned<Facts>(
  person: Person<Facts>,
  app: AppFacts<Facts>,
  given: Given,
  had: Before | undefined,
  off: boolean,
): Desired {
  const previous = had?.assigned && had.want !== null ? had.want.profile : undefined;
  const mapped = mapProfile(app.lines, person.facts(app), previous);
  const profile = { ...mapped.profile, ...assignedValues(app, given) };
  const key = profile[app.match_attribute];
  return {
    app_id: app.id,
    assigned: true,
    want: { enabled: !off, create: app.create, profile, ...(person.status === "STAGED" ? { early: true } : {}) },
    grants: grantsFor(person, given),
    match_key: typeof key === "string" && key !== "" ? key : (had?.match_key ?? null),
    release: false,
    errors: mapped.errors,
  };
}

/** Values given with the assignments: groups by priority or joined, then the person's own on top, attribute by attribute. */
function assignedValues<Facts>(app: AppFacts<Facts>, { own, by_group }: Given): Profile {
  const values: Record<string, Value> = Object.create(null);
  for (const { profile } of by_group) {
    for (const name of Object.keys(profile)) {
      const value = profile[name] ?? null;
      if (value === null) continue;
      if (!Object.hasOwn(values, name)) values[name] = value;
      else if (isJoined(app, name)) values[name] = union(values[name], value);
    }
  }
  for (const { profile } of own) {
    for (const name of Object.keys(profile))
      if ((profile[name] ?? null) !== null) values[name] = profile[name] as Value;
  }
  return values;
}

const isJoined = <Facts>(app: AppFacts<Facts>, name: string): boolean =>
  app.attributes.some((attribute) => attribute.name === name && attribute.array && attribute.union);

function union(a: Value | undefined, b: Value): Value {
  const all = [a ?? [], b].flat() as Value[];
  const seen = new Map(all.map((value) => [JSON.stringify(value), value]));
  return [...seen.values()];
}

function unassigned<Facts>(app: AppFacts<Facts>, had: Before): Desired {
  const rest = { app_id: app.id, assigned: false, grants: [], match_key: had.match_key, errors: [] };
  const frozen = had.want?.profile ?? {};
  // An account that ended before, or was never managed, keeps what was decided then.
  if (!had.assigned) return { ...rest, want: had.want, release: false };
  switch (app.on_unassign) {
    case "disable":
      return { ...rest, want: { enabled: false, create: false, profile: frozen }, release: false };
    case "delete":
      return { ...rest, want: null, release: false };
    case "keep":
      return { ...rest, want: had.want && { ...had.want, create: false }, release: true };
    default:
      return app.on_unassign satisfies never;
  }
}
