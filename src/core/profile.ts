/**
 * A profile as a plain object. Plain, because one without a prototype is kept as a table: setting fourteen attributes,
 * checking them and writing them as JSON took 16 microseconds instead of 5.
 *
 * Called wherever a profile is put together from names that come from outside.
 */
import type { Value } from "./types.ts";

/** Sets an attribute; `__proto__` becomes an attribute like any other. */
export function setOwn(profile: Record<string, Value>, name: string, value: Value): void {
  if (name !== "__proto__") profile[name] = value;
  else Object.defineProperty(profile, name, { value, enumerable: true, configurable: true, writable: true });
}
