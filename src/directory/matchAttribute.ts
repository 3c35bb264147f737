/** The attribute by which an app's accounts are found: one that the app has, or nobody would be found. Called by apps.ts. */
import { nearest } from "../core/expression/suggest.ts";
import type { Refusal } from "../core/types.ts";
import type { Provisioning } from "../store/tables.ts";
import type { Running } from "./command.ts";
import { loadSchema } from "./schemaQueries.ts";

/** What is wrong with the attribute that a change names; undefined: nothing, or none is named. */
export async function judgeMatchAttribute(
  { db }: Running,
  app_id: string,
  change: Readonly<Partial<Provisioning>> | undefined,
): Promise<Refusal | undefined> {
  const name = change?.match_attribute;
  if (typeof name !== "string") return undefined;
  const names = (await loadSchema(db, "app", app_id))?.attributes.map((attribute) => attribute.name) ?? [];
  if (names.length === 0 || names.includes(name)) return undefined;
  const near = nearest(name, names);
  const place = "provisioning.match_attribute";
  const hint = near === null ? "name one of its attributes" : `did you mean ${near}?`;
  return { refused: `${place}: the app has no attribute ${name.slice(0, 100)}: ${hint}`, code: "invalid", place };
}
