/**
 * The state of an in-memory app: its accounts and groups, what was written to them and in which order. It holds what
 * the app *is*; how calls to it fail is in connector.ts. Values are replaced, never changed in place, so that a
 * snapshot is a reference.
 *
 * Called by fake/connector.ts and, for edits behind the engine's back, by the simulation.
 */
import type { Attribute, Profile, Schema, Value } from "../../core/types.ts";
import { ConnectorFault } from "../connector.ts";

export type FakeAccount = Readonly<{ profile: Profile; enabled: boolean; password?: string }>;
export type FakeGroup = Readonly<{ name: string; description?: string; members: ReadonlySet<string> }>;

/** A table of the app: its rows, and for the last write what was there before it. */
export type Shelf<T> = Readonly<{
  rows: Map<string, T>;
  /** Sequence number of each row's last change; a removed row keeps its number with `gone`. */
  changes: Map<string, { seq: number; gone: boolean }>;
  put(id: string, row: T | null): void;
  /** Makes the next writes one step of the past for `lagging`. */
  step(): void;
  /** The rows as a replica shows them that has not yet heard of the last write. */
  lagging(): ReadonlyMap<string, T>;
  seq(): number;
}>;

/** An empty table. */
export function shelf<T>(): Shelf<T> {
  const rows = new Map<string, T>();
  const changes = new Map<string, { seq: number; gone: boolean }>();
  let before = new Map<string, T | null>();
  let seq = 0;
  return {
    rows,
    changes,
    put(id, row) {
      if (!before.has(id)) before.set(id, rows.get(id) ?? null);
      seq += 1;
      changes.set(id, { seq, gone: row === null });
      if (row === null) rows.delete(id);
      else rows.set(id, row);
    },
    step() {
      before = new Map();
    },
    lagging() {
      const past = new Map(rows);
      for (const [id, row] of before) {
        if (row === null) past.delete(id);
        else past.set(id, row);
      }
      return past;
    },
    seq: () => seq,
  };
}

function attribute(name: string, more: Partial<Attribute> = {}): Attribute {
  return {
    name,
    type: "string",
    array: false,
    required: false,
    writable: "always",
    readable: true,
    unique: false,
    case_exact: true,
    ...more,
  };
}

/** What a fake app's accounts hold unless a test says otherwise. */
export const fake_schema: Schema = {
  attributes: [
    attribute("userName", { required: true, unique: true, case_exact: false }),
    attribute("givenName"),
    attribute("familyName"),
    attribute("displayName"),
    attribute("email", { case_exact: false }),
    attribute("title"),
    attribute("department"),
    attribute("manager"),
    attribute("employeeNumber"),
    attribute("externalId"),
  ],
};

/** Are two values of an attribute the same to this app? */
export function sameValue(attribute: Attribute, a: Value | undefined, b: Value | undefined): boolean {
  if (typeof a === "string" && typeof b === "string" && !attribute.case_exact) {
    return a.toLowerCase() === b.toLowerCase();
  }
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

/** The profile after a change; null and absent are the same, so cleared attributes are left out. */
export function changedProfile(was: Profile, set: Profile): Profile {
  const merged = new Map<string, Value>(Object.entries(was));
  for (const [name, value] of Object.entries(set)) {
    if (value === null) merged.delete(name);
    else merged.set(name, value);
  }
  return Object.freeze(Object.fromEntries(merged));
}

/** What this app makes of a value that it does not store as given. */
export function normalised(schema: Schema, set: Profile): Profile {
  const loose = new Set(schema.attributes.filter((one) => !one.case_exact).map((one) => one.name));
  const change = ([name, value]: [string, Value]): [string, Value] =>
    loose.has(name) && typeof value === "string" ? [name, value.toLowerCase()] : [name, value];
  return Object.fromEntries(Object.entries(set).map(change));
}

/** Throws `invalid` for an attribute that the app has not got, may not be written or must not be empty. */
export function checkWrite(schema: Schema, set: Profile, creating: boolean): void {
  const known = new Map(schema.attributes.map((one) => [one.name, one]));
  for (const name of Object.keys(set)) {
    const found = known.get(name);
    if (found === undefined)
      throw new ConnectorFault("invalid", `The app has no attribute ${name}`, { attribute: name });
    if (found.writable === "never" || (found.writable === "create" && !creating)) {
      throw new ConnectorFault("invalid", `The app does not let ${name} be written`, { attribute: name });
    }
    if (found.required && set[name] === null) {
      throw new ConnectorFault("invalid", `The app needs ${name}`, { attribute: name });
    }
  }
  if (!creating) return;
  for (const one of schema.attributes) {
    if (one.required && (set[one.name] ?? null) === null) {
      throw new ConnectorFault("invalid", `The app needs ${one.name}`, { attribute: one.name });
    }
  }
}

/** Throws `conflict` if another account holds one of the unique values of `profile`. */
export function checkUnique(
  schema: Schema,
  rows: ReadonlyMap<string, FakeAccount>,
  id: string | null,
  profile: Profile,
): void {
  for (const one of schema.attributes) {
    const value = profile[one.name];
    if (!one.unique || value === undefined || value === null) continue;
    for (const [other, row] of rows) {
      if (other === id || !sameValue(one, row.profile[one.name], value)) continue;
      throw new ConnectorFault("conflict", `Another account has the ${one.name} ${JSON.stringify(value)}`, {
        attribute: one.name,
      });
    }
  }
}
