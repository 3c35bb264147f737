/**
 * Aliases: the logins that a person had before. Mail still comes to them, so they stay theirs.
 *
 * Law: case does not matter, none is there twice, the login of today is none of them, and none is lost by itself.
 */
import type { Outcome, Profile, Value } from "./types.ts";

/** Whoever was renamed more often than this comes from a source that makes up logins. */
export const aliases_max = 50;

/** The profile after a change of a source, with the login that it replaces kept in a list attribute. */
export function keepAliases(attribute: string, before: Profile, after: Profile): Outcome<Profile> {
  const [was, is] = [aliasesIn(before, [attribute]), aliasesIn(after, [attribute])];
  const [old, login] = [folded(before["login"]), folded(after["login"])];
  if (old === login && was.length === 0) return { ok: after };
  const all = [...new Set([...was, ...is, old])].filter((one) => one !== login && one !== "");
  if (all.length > aliases_max) {
    const refused = `${login} had more than ${aliases_max} logins before: take those that nobody writes to any more out of ${attribute}`;
    return { refused, code: "too_large", place: attribute };
  }
  const same = all.length === was.length && all.every((one, n) => one === was[n]);
  return { ok: { ...after, [attribute]: same ? (before[attribute] ?? null) : all.length === 0 ? null : all } };
}

/** What these list attributes of a person hold, as aliases are compared. */
export function aliasesIn(profile: Profile, attributes: readonly string[]): readonly string[] {
  const lists = attributes.map((name) => (Object.hasOwn(profile, name) ? profile[name] : undefined));
  return lists.flatMap((list) => (Array.isArray(list) ? list.map(folded).filter((one) => one !== "") : []));
}

const folded = (value: Value | undefined): string => (typeof value === "string" ? value.toLowerCase() : "");
