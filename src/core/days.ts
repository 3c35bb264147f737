/**
 * Days as people mean them: a first day begins, and a last day ends, at midnight where the person is. Pure; the zone
 * rules are those that came with the runtime.
 *
 * Law: a day begins when the one before it ends, also where clocks are put forward at midnight, and no 00:00 is shown.
 * Called by engine/importDates.ts for the first and last days that sources tell.
 */
import { offsetAt } from "./expression/functions/zones.ts";
import { parseInstant } from "./instant.ts";

const day_ms = 86_400_000;

/**
 * The instant at which a day (`2026-03-01`, or the day that an ISO date-time names) begins in a zone; undefined: the text
 * names no day. An unknown zone counts as UTC.
 */
export function dayBegins(day: string, zone: string): Date | undefined {
  const midnight = parseInstant(day) === undefined ? undefined : parseInstant(day.slice(0, 10));
  if (midnight === undefined) return undefined;
  // A day around it, the zone's clock may have been changed: the earliest instant that shows midnight or later is meant.
  const offsets = [offsetAt(zone, midnight - day_ms) ?? 0, offsetAt(zone, midnight + day_ms) ?? 0];
  const [early, late] = [midnight - Math.max(...offsets), midnight - Math.min(...offsets)];
  return new Date(early + (offsetAt(zone, early) ?? 0) >= midnight ? early : late);
}

/** The last day (`2026-03-01`) that is over at an instant in a zone, or is under way then. An unknown zone counts as UTC. */
export function dayBefore(at: Date, zone: string): string {
  const last = at.getTime() - 1;
  return new Date(last + (offsetAt(zone, last) ?? 0)).toISOString().slice(0, 10);
}

/** The instant at which a day is over in a zone: the beginning of the next. */
export function dayEnds(day: string, zone: string): Date | undefined {
  const midnight = parseInstant(day) === undefined ? undefined : parseInstant(day.slice(0, 10));
  return midnight === undefined ? undefined : dayBegins(new Date(midnight + day_ms).toISOString(), zone);
}
