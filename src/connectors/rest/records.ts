/**
 * Records of a JSON answer as accounts: values by JSON pointer (RFC 6901), nothing inherited, nothing guessed. A record
 * that cannot be read is told by its place, with its id where it has one, and costs only itself.
 */
import { setOwn } from "../../core/profile.ts";
import type { Value } from "../../core/types.ts";
import type { RemoteAccount } from "../connector.ts";
import type { RestSettings } from "./config.ts";

/** A record as an account, or why it is none; with its id if that is certain. */
export type Read = RemoteAccount | Readonly<{ error: string; known_id?: string }>;

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

/** The id at its place as text; undefined where there is none. */
export function idOf(record: unknown, settings: Pick<RestSettings, "id">): string | undefined {
  const id = valueAt(record, settings.id);
  if (typeof id === "number" && Number.isSafeInteger(id)) return String(id);
  return typeof id === "string" && id !== "" && id.length <= 1_000 && !id.includes("\0") ? id : undefined;
}

/** A record as an account. `place` is where it stands in the list, for messages. */
export function accountOf(record: unknown, place: string, settings: RestSettings): Read {
  if (typeof record !== "object" || record === null || Array.isArray(record)) return { error: "it is not an object" };
  const id = idOf(record, settings);
  if (id === undefined) return { error: `there is no id at ${settings.id}` };
  const profile: Record<string, Value> = {};
  if (settings.columns === undefined) {
    for (const [name, value] of Object.entries(record)) if (isPlain(value)) setOwn(profile, name, value);
  } else {
    for (const [name, pointer] of Object.entries(settings.columns)) {
      const value = valueAt(record, pointer);
      if (value === undefined || value === null || value === "") continue;
      if (!isPlain(value)) return { error: `${name}: what is at ${pointer} is no plain value`, known_id: id };
      setOwn(profile, name, value);
    }
  }
  return { id, profile, enabled: isEnabled(record, settings), place };
}

function isEnabled(record: unknown, { enabled_at, enabled_values }: RestSettings): boolean {
  if (enabled_at === undefined) return true;
  const state = valueAt(record, enabled_at);
  if (typeof state !== "string" && typeof state !== "boolean" && typeof state !== "number") return false;
  const word = String(state).trim().toLowerCase();
  return enabled_values.some((value) => value.toLowerCase() === word);
}

/** A value that an attribute can have: a text without NUL, a finite number, a truth value, or a list of these. */
function isPlain(value: unknown): value is Value {
  if (Array.isArray(value)) return value.length > 0 && value.every((one) => !Array.isArray(one) && isPlain(one));
  if (typeof value === "string") return value !== "" && !value.includes("\0");
  return typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value));
}
