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
  groups: readonly Readonly<{ group_id: string; priority: number; profile: Profile }>[];
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
  const before = new Map(person.before.map((row) => [row.app_id, row]));
  const desired: Desired[] = [];
  for (const app of apps) {
    if (!app.active) continue;
    const had = before.get(app.id);
    const grants = grantsFor(person, app);
    const may = assignable(person.status, person.prior_status, person.prepared);
    if (grants.length > 0 && may !== "none" && !app.expired) {
      const off = may === "off" || (may === "per_app" && app.on_suspend === "disable");
      desired.push(assigned(person, app, grants, had, off));
    } else if (had !== undefined) {
      desired.push(unassigned(app, had));
    }
  }
  return desired;
}

function grantsFor<Facts>(person: Person<Facts>, app: AppFacts<Facts>): AccountGrant[] {
  const own = person.grants
    .filter((grant) => grant.app_id === app.id)
    .map((grant): AccountGrant => ({ scope: "USER", source_id: grant.source_id, kind: grant.kind }));
  const byGroup = app.groups
    .filter((assignment) => person.groups.has(assignment.group_id))
    .toSorted((a, b) => a.priority - b.priority || (a.group_id < b.group_id ? -1 : 1))
    .map((assignment): AccountGrant => {
      const membership = person.groups.get(assignment.group_id) ?? [];
      return {
        scope: "GROUP",
        source_id: assignment.group_id,
        kind: "group",
        membership,
        priority: assignment.priority,
      };
    });
  return [...own, ...byGroup];
}

function assigned<Facts>(
  person: Person<Facts>,
  app: AppFacts<Facts>,
  grants: readonly AccountGrant[],
  had: Before | undefined,
  off: boolean,
): Desired {
  const previous = had?.assigned && had.want !== null ? had.want.profile : undefined;
  const mapped = mapProfile(app.lines, person.facts(app), previous);
  const profile = { ...mapped.profile, ...assignedValues(person, app) };
  const key = profile[app.match_attribute];
  return {
    app_id: app.id,
    assigned: true,
    want: { enabled: !off, create: app.create, profile, ...(person.status === "STAGED" ? { early: true } : {}) },
    grants,
    match_key: typeof key === "string" && key !== "" ? key : (had?.match_key ?? null),
    release: false,
    errors: mapped.errors,
  };
}

/** Values given with the assignments: groups by priority or joined, then the person's own on top, attribute by attribute. */
function assignedValues<Facts>(person: Person<Facts>, app: AppFacts<Facts>): Profile {
  const joined = new Set(app.attributes.filter((attribute) => attribute.array && attribute.union).map((a) => a.name));
  const values: Record<string, Value> = Object.create(null);
  const ranked = app.groups
    .filter((assignment) => person.groups.has(assignment.group_id))
    .toSorted((a, b) => a.priority - b.priority || (a.group_id < b.group_id ? -1 : 1));
  for (const { profile } of ranked) {
    for (const [name, value] of Object.entries(profile)) {
      if (value === null) continue;
      if (!Object.hasOwn(values, name)) values[name] = value;
      else if (joined.has(name)) values[name] = union(values[name], value);
    }
  }
  for (const grant of person.grants) {
    if (grant.app_id !== app.id) continue;
    for (const [name, value] of Object.entries(grant.profile)) if (value !== null) values[name] = value;
  }
  return values;
}

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
