/**
 * First and last day of a person as a source has them: midnight where the person is. A date or zone that cannot be read
 * is refused, because without it someone would start too early or never end.
 *
 * Called when rows are decided, so that a dry run tells, and again when they are applied.
 */
import { dayBegins, dayEnds } from "../core/days.ts";
import { isZone } from "../core/expression/functions/zones.ts";
import type { Outcome, Profile } from "../core/types.ts";
import type { NewUser } from "../directory/users.ts";
import type { Sourcing } from "../store/tables.ts";

/** What is not sourced is absent; what the source leaves empty is null. */
export type PersonDates = Pick<NewUser, "starts_at" | "ends_at" | "time_zone">;

/** The dates of one row. Refuses a day that is none and a zone that nobody knows, naming the attribute. */
export function datesOf(sourcing: Sourcing, row: Profile): Outcome<PersonDates> {
  const { start_attribute, end_attribute, time_zone_attribute } = sourcing;
  const text = (name: string | null): string | undefined => {
    const value = name === null ? undefined : row[name];
    return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
  };
  const zone = text(time_zone_attribute);
  if (zone !== undefined && !isZone(zone)) {
    return invalid(time_zone_attribute, zone, "no time zone; use a name such as Europe/Rome");
  }
  const [first, last] = [text(start_attribute), text(end_attribute)];
  const starts_at = first === undefined ? null : remembered(begins, dayBegins, first, zone ?? "UTC");
  const ends_at = last === undefined ? null : remembered(ends, dayEnds, last, zone ?? "UTC");
  if (starts_at === undefined) return invalid(start_attribute, first, "no day; use the form 2026-03-01");
  if (ends_at === undefined) return invalid(end_attribute, last, "no day; use the form 2026-03-01");
  return {
    ok: {
      ...(zone === undefined ? {} : { time_zone: zone }),
      ...(start_attribute === null ? {} : { starts_at }),
      ...(end_attribute === null ? {} : { ends_at }),
    },
  };
}

type Days = Map<string, Date | null>;
const [begins, ends]: [Days, Days] = [new Map(), new Map()];
const days_max = 20_000;

/** A million people share some thousand first days: a day costs 4 microseconds to work out and 0.1 to remember. */
function remembered(days: Days, of: typeof dayBegins, day: string, zone: string): Date | undefined {
  const key = zone === "UTC" ? day : `${zone} ${day}`;
  const known = days.get(key);
  if (known !== undefined) return known ?? undefined;
  if (days.size >= days_max) days.clear();
  const at = of(day, zone);
  days.set(key, at ?? null);
  return at;
}

function invalid(attribute: string | null, value: string | undefined, why: string): Outcome<never> {
  return { refused: `${attribute}: "${String(value).slice(0, 100)}" is ${why}`, code: "invalid" };
}
