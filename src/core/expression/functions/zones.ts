/**
 * Time zones: the offset of a zone at a point in time, and the wall clock it shows. The rules come from the runtime's own
 * copy of the IANA database (`Intl`). Unknown zones give null. Formatters are kept, because making one is a thousand
 * times dearer than using it.
 */

/** The wall clock in a zone. `ms` is within the second; `offset_ms` is what the zone is ahead of UTC. */
export type Wall = Readonly<{
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  ms: number;
  offset_ms: number;
}>;

const formatters = new Map<string, Intl.DateTimeFormat | null>();
/** IANA knows some 600 names; more are nonsense from outside and only crowd the others out. */
const formatters_max = 700;

function formatterOf(zone: string): Intl.DateTimeFormat | null {
  let formatter = formatters.get(zone);
  if (formatter === undefined) {
    formatter = makeFormatter(zone);
    if (formatters.size >= formatters_max) formatters.delete(formatters.keys().next().value!);
    formatters.set(zone, formatter);
  }
  return formatter;
}

function makeFormatter(zone: string): Intl.DateTimeFormat | null {
  const fields = {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  } as const;
  try {
    return new Intl.DateTimeFormat("en-u-ca-iso8601-nu-latn", {
      timeZone: zone,
      hourCycle: "h23",
      era: "short",
      ...fields,
    });
  } catch {
    // The only way to ask Intl whether a zone exists.
    return null;
  }
}

export function isZone(zone: string): boolean {
  return zone.length <= 60 && formatterOf(zone) !== null;
}

/** How far the zone is ahead of UTC at a point in time, in ms; null for an unknown zone. */
export function offsetAt(zone: string, instant_ms: number): number | null {
  if (zone === "UTC" || zone === "Z") return 0;
  const formatter = zone.length <= 60 ? formatterOf(zone) : null;
  if (!formatter) return null;
  const second_ms = Math.floor(instant_ms / 1000) * 1000;
  const part: Record<string, number> = {};
  for (const { type, value } of formatter.formatToParts(second_ms)) part[type] = Number(value);
  const wall = new Date(0);
  wall.setUTCFullYear(part["year"]!, part["month"]! - 1, part["day"]!);
  wall.setUTCHours(part["hour"]!, part["minute"]!, part["second"]!, 0);
  return wall.getTime() - second_ms;
}

/** The wall clock of a zone at a point in time; null for an unknown zone. */
export function wallAt(zone: string, instant_ms: number): Wall | null {
  const offset_ms = offsetAt(zone, instant_ms);
  return offset_ms === null ? null : wallWithOffset(offset_ms, instant_ms);
}

export function wallWithOffset(offset_ms: number, instant_ms: number): Wall {
  const shown = new Date(instant_ms + offset_ms);
  return {
    year: shown.getUTCFullYear(),
    month: shown.getUTCMonth() + 1,
    day: shown.getUTCDate(),
    hour: shown.getUTCHours(),
    minute: shown.getUTCMinutes(),
    second: shown.getUTCSeconds(),
    ms: shown.getUTCMilliseconds(),
    offset_ms,
  };
}

/** `+05:30`, or `Z` for none. */
export function offsetText(offset_ms: number, colon: boolean): string {
  const minutes = Math.abs(Math.trunc(offset_ms / 60_000));
  const hours = String(Math.floor(minutes / 60)).padStart(2, "0");
  return `${offset_ms < 0 ? "-" : "+"}${hours}${colon ? ":" : ""}${String(minutes % 60).padStart(2, "0")}`;
}

/** `2015-07-31T13:30:49.964-04:00`; UTC ends in Z. */
export function isoText(wall: Wall): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${String(wall.year).padStart(4, "0")}-${two(wall.month)}-${two(wall.day)}`;
  const time = `${two(wall.hour)}:${two(wall.minute)}:${two(wall.second)}.${String(wall.ms).padStart(3, "0")}`;
  return `${day}T${time}${wall.offset_ms === 0 ? "Z" : offsetText(wall.offset_ms, true)}`;
}

let last_day: Readonly<{ key: string; day: string }> = { key: "", day: "" };

/** The day it is in a zone, as `2026-03-01`; in UTC when the zone is unknown. Remembers the minute it was last asked. */
export function dayIn(zone: string, instant_ms: number): string {
  const key = `${Math.floor(instant_ms / 60_000)} ${zone}`;
  if (last_day.key !== key) {
    const wall = wallAt(zone, instant_ms) ?? wallWithOffset(0, instant_ms);
    last_day = { key, day: isoText(wall).slice(0, 10) };
  }
  return last_day.day;
}
