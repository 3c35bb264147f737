/**
 * List attributes of users that a source is told to fill by its rules and not by its mapping: they must be there, and be
 * lists of texts, or every row would be refused. Called by apps.ts.
 */
import type { Refusal } from "../core/types.ts";
import type { Sourcing } from "../store/tables.ts";
import { nameAliases } from "./aliases.ts";
import type { Running } from "./command.ts";
import { userSchema } from "./schemaQueries.ts";

/** What is wrong with the lists that a source's rules name anew; guards the one that keeps former logins. */
export async function judgeLists(
  running: Running,
  before: Sourcing | null,
  after: Sourcing | null,
): Promise<Refusal | undefined> {
  const told = (before: Sourcing | null) => [
    ...(before?.alias_attribute ? [["alias_attribute", before.alias_attribute] as const] : []),
    ...Object.keys(before?.every_job ?? {}).map((name) => ["every_job", name] as const),
  ];
  const known = new Set(told(before).map(([, name]) => name));
  const named = told(after).filter(([, name]) => !known.has(name));
  if (named.length === 0) return undefined;
  const { attributes } = await userSchema(running.db);
  const lists = new Set(attributes.filter(({ type, array }) => type === "string" && array).map(({ name }) => name));
  for (const [rule, name] of named) {
    if (lists.has(name)) continue;
    const place = `sourcing.${rule}`;
    return { refused: `${place}: users have no list of texts ${name}: define it first`, code: "invalid", place };
  }
  if (after?.alias_attribute) await nameAliases(running, after.alias_attribute);
  return undefined;
}
