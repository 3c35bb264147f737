/**
 * Remap: a running account's profile after some lines of its mapping have changed, from the profile it has: only the
 * changed lines are asked, the rest stays as it was computed.
 *
 * Law (tested): where a profile is what the old lines give, this is what the new lines give.
 */
import { sameValue } from "./diff.ts";
import { type CompiledLine, type MappingError, mapProfile } from "./mapping.ts";
import { setOwn } from "./profile.ts";
import type { Profile, Value } from "./types.ts";

/** `changed`: new lines and those that are not what they were. `removed`: attributes whose line is gone. */
export type LineChanges<Facts> = Readonly<{
  changed: readonly CompiledLine<Facts>[];
  removed: readonly string[];
}>;

/** `profile`: null when nothing would be different. `errors`: of the changed lines. */
export type Remapped = Readonly<{ profile: Profile | null; errors: readonly MappingError[] }>;

/** The profile after the change. `before`: of an account that is assigned now. */
export function remapProfile<Facts>(change: LineChanges<Facts>, facts: Facts, before: Profile): Remapped {
  const { profile: mapped, errors } = mapProfile(change.changed, facts, before);
  const isSame = (name: string) => sameValue(own(before, name), own(mapped, name));
  const same = change.changed.every((line) => isSame(line.attribute)) && change.removed.every(isSame);
  if (same) return { profile: null, errors };
  const gone = new Set([...change.removed, ...change.changed.map((line) => line.attribute)]);
  const profile: Record<string, Value> = {};
  for (const [name, value] of Object.entries(before)) if (!gone.has(name)) setOwn(profile, name, value);
  for (const [name, value] of Object.entries(mapped)) setOwn(profile, name, value);
  return { profile, errors };
}

const own = (profile: Profile, name: string): Value => (Object.hasOwn(profile, name) ? (profile[name] ?? null) : null);
