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

/** `offsets`: those that were asked for, by the minute since 1970. */
type Known = Readonly<{ formatter: Intl.DateTimeFormat; offsets: Map<number, number> }>;

const known_zones = new Map<string, Known | null>();
/** IANA knows some 600 names; more are nonsense from outside and only crowd the others out. */
const zones_max = 700;

function knownZone(zone: string): Known | null {
  let known = known_zones.get(zone);
  if (known === undefined) {
    const formatter = makeFormatter(zone);
    known = formatter && { formatter, offsets: new Map() };
    if (known_zones.size >= zones_max) known_zones.delete(known_zones.keys().next().value!);
    known_zones.set(zone, known);
  }
  return known;
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
  return zone.length <= 60 && knownZone(zone) !== null;
}

const minute_ms = 60_000;
/** Since 1973 every zone's clock has been changed at a full minute of UTC (St. John's at 00:01); before, at odd seconds. */
const minutes_from_ms = Date.UTC(1973, 0);
const offsets_max = 500;

/**
 * How far the zone is ahead of UTC at a point in time, in ms; null for an unknown zone. A day's people begin and end at a
 * few midnights, and asking the formatter takes 10 µs: in an import with dates it was a fifth of all.
 */
export function offsetAt(zone: string, instant_ms: number): number | null {
  if (zone === "UTC" || zone === "Z") return 0;
  const known = zone.length <= 60 ? knownZone(zone) : null;
  if (!known) return null;
  if (instant_ms < minutes_from_ms) return offsetOf(known.formatter, instant_ms);
  const { formatter, offsets } = known;
  const minute = Math.floor(instant_ms / minute_ms);
  let offset = offsets.get(minute);
  if (offset === undefined) {
    offset = offsetOf(formatter, instant_ms);
    if (offsets.size >= offsets_max) offsets.clear();
    offsets.set(minute, offset);
  }
  return offset;
}

function offsetOf(formatter: Intl.DateTimeFormat, instant_ms: number): number {
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
