/**
 * Mapping: from the facts of a person to the profile of one account. A line's expression is compiled elsewhere; here
 * are the two rules around it: when a value is pushed (create-only or always) and what an empty value does.
 */
import { setOwn } from "./profile.ts";
import type { MappingLine, Profile, Value } from "./types.ts";

/** A mapping line ready to run; `evaluate` never throws. */
export type CompiledLine<Facts> = Readonly<{
  attribute: string;
  line: MappingLine;
  evaluate: (facts: Facts) => { readonly value: Value } | { readonly error: string };
}>;

export type MappingError = Readonly<{ attribute: string; message: string }>;

/**
 * `profile`: attribute → value; null clears the attribute, an attribute that is not there is not managed.
 * `errors`: lines whose expression failed; their attribute keeps what it had.
 */
export type Mapped = Readonly<{ profile: Profile; errors: readonly MappingError[] }>;

const isEmpty = (value: Value | undefined) =>
  value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0);

/**
 * Runs every line.
 *
 * @param previous the profile of the running assignment; undefined when the assignment begins. Create-only lines keep
 *   its value (okta-lifecycle 5.1: "on first assignment"; unassign and assign again writes again).
 */
export function mapProfile<Facts>(
  lines: readonly CompiledLine<Facts>[],
  facts: Facts,
  previous: Profile | undefined,
): Mapped {
  const profile: Record<string, Value> = {};
  const errors: MappingError[] = [];
  for (const { attribute, line, evaluate } of lines) {
    const had = previous !== undefined && Object.hasOwn(previous, attribute) ? previous[attribute] : undefined;
    if (line.push === "create" && previous !== undefined) {
      if (had !== undefined) setOwn(profile, attribute, had);
      continue;
    }
    const result = evaluate(facts);
    if ("error" in result) {
      errors.push({ attribute, message: result.error });
      if (had !== undefined) setOwn(profile, attribute, had);
      continue;
    }
    const value = isEmpty(result.value) ? whenEmpty(line, had) : result.value;
    if (value !== undefined) setOwn(profile, attribute, value);
  }
  return { profile, errors };
}

/** The empty policy (okta-lifecycle 5.4): the value to want, or undefined for "not managed". */
function whenEmpty(line: MappingLine, had: Value | undefined): Value | undefined {
  switch (line.when_empty) {
    case "clear":
      return null;
    case "keep":
      return had;
    case "skip":
      return undefined;
    case "default":
      return line.default ?? null;
    default:
      return line.when_empty satisfies never;
  }
}
