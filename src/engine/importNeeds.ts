/**
 * What an import reads of its source: attributes without which nothing of it is believed. A file that has lost a column
 * looks exactly like a company in which nobody has a department any more.
 *
 * Law: a list that tells what its items can have (the header of a file) is refused whole when one that the mapping or the
 * dates read is missing, before anything is decided. What a list has and nobody reads is nobody's concern.
 */
import { ConnectorFault, type Page } from "../connectors/connector.ts";
import { type LoadedLine, loadMappings } from "../directory/mappings.ts";
import type { ImportRun } from "./import.ts";

/** Attribute of the source → what is read from it, for people. */
export type Needs = ReadonlyMap<string, string>;

/** Everything that the source's mapping and dates read. */
export async function loadNeeds({ world, app_id, sourcing }: ImportRun): Promise<Needs> {
  const lines = (await loadMappings(world.db)).get(app_id)?.to_user ?? [];
  const read = lines.flatMap((line) => readBy(line).map((name) => [name, line.attribute] as const));
  const dates = [
    [sourcing.start_attribute, "the first day"],
    [sourcing.end_attribute, "the last day"],
    [sourcing.time_zone_attribute, "the time zone"],
  ] as const;
  return new Map([...dates.flatMap(([name, what]) => (name === null ? [] : [[name, what] as const])), ...read]);
}

/** The attributes of the source that a line of its mapping reads. */
export function readBy({ reads }: LoadedLine): readonly string[] {
  return reads === null ? [] : [...reads.appuser, ...reads.source];
}

/** @throws ConnectorFault `invalid` naming what is missing, if the page tells what there is. */
export function requireAttributes({ attributes }: Page, needs: Needs): void {
  if (attributes === undefined) return;
  const there = new Set(attributes);
  const missing = [...needs].filter(([name]) => !there.has(name));
  const [first] = missing;
  if (first === undefined) return;
  const columns = missing.map(([name]) => name).join(", ");
  const read = missing.map(([name, what]) => `${what} is read from ${name}`).join(", ");
  throw new ConnectorFault(
    "invalid",
    `Line 1: column ${columns} is missing, and ${read}. Nothing was imported: mend the file, or change what reads it`,
    { attribute: first[0] },
  );
}
