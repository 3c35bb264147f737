/**
 * Days as people mean them: a first day begins, and a last day ends, at midnight where the person is. Pure; the zone
 * rules are those that came with the runtime.
 */
import { offsetAt } from "./expression/functions/zones.ts";
import { parseInstant } from "./instant.ts";

const day_ms = 86_400_000;

/** The instant at which a day (`2026-03-01`, or the day of an ISO date-time) begins in a zone; undefined: no such day. */
export function dayBegins(day: string, zone: string): Date | undefined {
  const utc = parseInstant(day.slice(0, 10));
  if (utc === undefined) return undefined;
  // The offset of a day is found where it is asked for: twice, because the first guess may lie beyond a change of clocks.
  const guess = utc - (offsetAt(zone, utc) ?? 0);
  return new Date(utc - (offsetAt(zone, guess) ?? 0));
}

/** The instant at which a day is over in a zone: the beginning of the next. */
export function dayEnds(day: string, zone: string): Date | undefined {
  const utc = parseInstant(day.slice(0, 10));
  return utc === undefined ? undefined : dayBegins(new Date(utc + day_ms).toISOString(), zone);
}
