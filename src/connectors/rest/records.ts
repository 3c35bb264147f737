/**
 * Records of a JSON answer as accounts: values by JSON pointer (RFC 6901), nothing inherited, nothing guessed. A record
 * that cannot be read is told by its place, with its id where it has one, and costs only itself.
 */
import { setOwn } from "../../core/profile.ts";
import type { Profile, Value } from "../../core/types.ts";
import type { RemoteAccount } from "../connector.ts";
import { isEnabledBy } from "../rowForm.ts";
import { dayOf, odataDay } from "./days.ts";
import type { Places, RestSettings } from "./presets.ts";
import { rowsIn } from "./slices.ts";

/** A record as accounts, or why it is none; with its id if that is certain. */
export type Read =
  | Readonly<{ id: string; rows: readonly RemoteAccount[] }>
  | Readonly<{ error: string; known_id?: string }>;

/** The value at a JSON pointer; undefined where there is none. Only own properties and places of lists are followed. */
export function valueAt(body: unknown, pointer: string): unknown {
  let at: unknown = body;
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined;
    if (Array.isArray(at) && !/^\d+$/.test(key)) return undefined;
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}

/** The value at the first of several places that fits; undefined where none does. */
export function firstAt(body: unknown, places: Places, fits: (value: unknown) => boolean): unknown {
  for (const place of places) {
    const value = valueAt(body, place);
    if (fits(value)) return value;
  }
  return undefined;
}

/** The id at its place as text; undefined where there is none. */
export function idOf(record: unknown, settings: Pick<RestSettings, "id">): string | undefined {
  const id = valueAt(record, settings.id);
  if (typeof id === "number" && Number.isSafeInteger(id)) return String(id);
  return typeof id === "string" && id !== "" && id.length <= 1_000 && !id.includes("\0") ? id : undefined;
}

/** What could be read, or why it could not. */
export type Told<T> = Readonly<{ ok: T }> | Readonly<{ error: string }>;

/** The rows of one person, each whole; at least one. */
export type Rows = readonly Profile[];

/**
 * What turns a list's records into accounts: one for each of a record's slices. `place` is where a record stands in the
 * list, for messages.
 */
export function accountsUnder(settings: RestSettings): (record: unknown, place: string) => Read {
  const isEnabled = isEnabledBy(settings.enabled_values);
  return (record, place) => {
    if (typeof record !== "object" || record === null || Array.isArray(record)) return { error: "it is not an object" };
    const id = idOf(record, settings);
    if (id === undefined) return { error: `there is no id at ${settings.id}` };
    const profile = valuesIn(record, settings.columns, settings.days);
    if ("error" in profile) return { error: profile.error, known_id: id };
    const rows = rowsIn(record, profile.ok, settings);
    if ("error" in rows) return { error: rows.error, known_id: id };
    const state = settings.enabled_at === undefined ? undefined : valueAt(record, settings.enabled_at);
    const told = typeof state === "string" || typeof state === "boolean" || typeof state === "number";
    const enabled = settings.enabled_at === undefined || (told && isEnabled(String(state)));
    return { rows: rows.ok.map((row) => ({ id, profile: row, enabled, place })), id };
  };
}

/** The values at their places, or every plain value where no places are given; those that are days, as days. */
export function valuesIn(
  record: object,
  columns: Readonly<Record<string, string>> | undefined,
  days: ReadonlySet<string>,
): Told<Profile> {
  const profile: Record<string, Value> = {};
  const named = columns === undefined ? Object.entries(record) : Object.entries(columns);
  for (const [name, at] of named) {
    const value: unknown = columns === undefined ? at : valueAt(record, at);
    if (value === undefined || value === null || value === "") continue;
    if (days.has(name)) {
      const day = dayOf(value);
      if (day === undefined) return { error: `${name}: ${shown(value)} is no day` };
      if (day !== null) setOwn(profile, name, day);
    } else if (isPlain(value)) setOwn(profile, name, typeof value === "string" ? (odataDay(value) ?? value) : value);
    else if (columns !== undefined) return { error: `${name}: what is at ${at} is no plain value` };
  }
  return { ok: profile };
}

const shown = (value: unknown) => (typeof value === "string" ? `"${value.slice(0, 100)}"` : `a ${typeof value}`);

/** A value that an attribute can have: a text without NUL, a finite number, a truth value, or a list of these. */
function isPlain(value: unknown): value is Value {
  if (Array.isArray(value)) return value.length > 0 && value.every((one) => !Array.isArray(one) && isPlain(one));
  if (typeof value === "string") return value !== "" && !value.includes("\0");
  return typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value));
}
