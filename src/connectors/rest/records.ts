/**
 * Records of a JSON answer as accounts: values by JSON pointer (RFC 6901), nothing inherited, nothing guessed. A record
 * that cannot be read is told by its place, with its id where it has one, and costs only itself.
 */
import { setOwn } from "../../core/profile.ts";
import type { Profile, Value } from "../../core/types.ts";
import type { RemoteAccount } from "../connector.ts";
import { isEnabledBy } from "../rowForm.ts";
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

/** What turns a list's records into accounts. `place` is where a record stands in the list, for messages. */
export function accountsUnder(settings: RestSettings): (record: unknown, place: string) => Read {
  const isEnabled = isEnabledBy(settings.enabled_values);
  return (record, place) => {
    if (typeof record !== "object" || record === null || Array.isArray(record)) return { error: "it is not an object" };
    const id = idOf(record, settings);
    if (id === undefined) return { error: `there is no id at ${settings.id}` };
    const profile = profileOf(record, settings);
    if ("error" in profile) return { error: profile.error, known_id: id };
    const state = settings.enabled_at === undefined ? undefined : valueAt(record, settings.enabled_at);
    const told = typeof state === "string" || typeof state === "boolean" || typeof state === "number";
    const enabled = settings.enabled_at === undefined || (told && isEnabled(String(state)));
    return { id, profile: profile.ok, enabled, place };
  };
}

function profileOf(record: object, { columns }: RestSettings): Readonly<{ ok: Profile }> | Readonly<{ error: string }> {
  const profile: Record<string, Value> = {};
  if (columns === undefined) {
    for (const [name, value] of Object.entries(record)) if (isPlain(value)) setOwn(profile, name, value);
    return { ok: profile };
  }
  for (const [name, pointer] of Object.entries(columns)) {
    const value = valueAt(record, pointer);
    if (value === undefined || value === null || value === "") continue;
    if (!isPlain(value)) return { error: `${name}: what is at ${pointer} is no plain value` };
    setOwn(profile, name, value);
  }
  return { ok: profile };
}

/** A value that an attribute can have: a text without NUL, a finite number, a truth value, or a list of these. */
function isPlain(value: unknown): value is Value {
  if (Array.isArray(value)) return value.length > 0 && value.every((one) => !Array.isArray(one) && isPlain(one));
  if (typeof value === "string") return value !== "" && !value.includes("\0");
  return typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value));
}
