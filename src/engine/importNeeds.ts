/**
 * What an import reads of its source: attributes without which nothing of it is believed. A file that has lost a column
 * looks exactly like a company in which nobody has a department any more.
 *
 * Law: a list that tells what its items can have (the header of a file) is refused whole when one that the mapping or the
 * dates read is missing, before anything is decided. What a list has and nobody reads is nobody's concern.
 */
import { ConnectorFault, type Page } from "../connectors/connector.ts";
import { type LoadedLine, loadMappings } from "../directory/mappings.ts";
import { sql } from "../store/database.ts";
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
    [sourcing.last_day_attribute ?? null, "the last working day"],
    [sourcing.urgent_attribute ?? null, "who leaves at once"],
    [sourcing.primary_attribute ?? null, "which job counts"],
    [sourcing.absence_start_attribute ?? null, "the first day of an absence"],
    [sourcing.absence_end_attribute ?? null, "the last day of an absence"],
    [sourcing.end_required_attribute ?? null, "who must have a last day"],
    [sourcing.merged_attribute ?? null, "what a record was merged into"],
    [sourcing.type_attribute ?? null, "the type of a new person"],
  ] as const;
  const every = Object.entries(sourcing.every_job ?? {}).map(([name, column]) => [column, name] as const);
  return new Map([
    ...every,
    ...dates.flatMap(([name, what]) => (name === null ? [] : [[name, what] as const])),
    ...read,
  ]);
}

/** More changed people than these are not asked for their managers: each costs three look-ups. */
const asked_max = 50_000;

/** Whose manager is nobody, of those whom an import changed: they may come yet, or be a mistake. */
export async function tellDangling({ world, id, app_id }: ImportRun, changed: number): Promise<string | undefined> {
  const lines = (await loadMappings(world.db)).get(app_id)?.to_user ?? [];
  if (changed === 0 || changed > asked_max || !lines.some(({ attribute }) => attribute === "managerId"))
    return undefined;
  const { rows } = await sql<{ login: string; manager: string; n: number }>`
    select u.login, u.profile->>'managerId' as manager, count(*) over ()::int as n
    from import_rows r join users u on u.id = r.user_id
    where r.import_id = ${id} and r.outcome in ('created', 'updated', 'linked', 'returned')
      and coalesce(u.profile->>'managerId', '') <> ''
      and not exists (select from users m where lower(m.profile->>'employeeNumber') = lower(u.profile->>'managerId')
        and m.profile->>'employeeNumber' = u.profile->>'managerId')
      and not exists (select from users m where m.login = lower(u.profile->>'managerId'))
      and not exists (select from users m where m.id = u.profile->>'managerId')
    order by r.line limit 1`.execute(world.db);
  const [first] = rows;
  if (first === undefined) return undefined;
  const who = first.n === 1 ? "1 person has" : `${first.n} people have`;
  const rest = first.n === 1 ? "" : " and others";
  return `${who} a manager whom nobody knows: ${first.login} (${first.manager})${rest}; who comes later is found then`;
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
