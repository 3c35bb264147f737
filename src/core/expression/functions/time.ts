/**
 * `Time.*`: texts in, texts out, as in Okta, with Joda's patterns; and ours, for rules about dates (`Time.daysSince`,
 * `Time.daysUntil`, `Time.plusDays` …). A text that is no date gives null, where Okta leaves the behaviour undefined. *Now*
 * is a fact, never the machine's clock. Days are counted on the calendar of the facts' time zone when the date is a day,
 * and as full spans of 24 hours when it is a point in time.
 */
import type { Value } from "../../types.ts";
import { fits, type Scope } from "../scope.ts";
import { day_ms, dayNumber, instant, isDay } from "./dates.ts";
import { daysInSql } from "./dates_sql.ts";
import { declare, type FunctionDeclaration, parameters } from "./declaration.ts";
import { formatJoda, type JodaPart, parseJoda, readJoda } from "./joda.ts";
import { dayIn, isoText, isZone, offsetAt, type Wall, wallAt, wallWithOffset } from "./zones.ts";

const null_gives_null = { give: null } as const;

/** Ticks of 100 ns between 1601 and 1970, in ms: what a Windows timestamp counts from. */
const windows_epoch_ms = 11_644_473_600_000;
/** The last millisecond that a four-digit year can show, and the first. */
const last_ms = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const first_ms = Date.parse("0001-01-01T00:00:00Z");

const now = declare<[(string | null)?, (string | null)?]>({
  name: "Time.now",
  parameters: parameters({ time_zone: "string", format: "string" }),
  optional: 2,
  result: "date",
  nulls: "handled",
  clock: true,
  refuse: ([zone, format]) => zoneProblem(zone) ?? formatProblem(format),
  evaluate: (scope, zone, format) => {
    const wall = wallAt(zone ?? "UTC", scope.facts.now.getTime());
    if (!wall) return null;
    return format === undefined || format === null ? isoText(wall) : formatted(scope, wall, format, zone ?? "UTC");
  },
  summary: "The present time in ISO 8601; in a time zone, and in a format, if given.",
  example: ['Time.now("UTC", "YYYY-MM-dd HH:mm:ss")', "2026-03-01 09:00:00"],
});

function fromNumber(
  name: string,
  kind: string,
  toInstant: (count: bigint) => bigint,
  example: [string, string],
): FunctionDeclaration {
  return declare<[string]>({
    name: `Time.${name}`,
    parameters: parameters({ time: "string" }),
    result: "date",
    nulls: null_gives_null,
    evaluate: (_, text) => (/^-?\d{1,18}$/.test(text) ? iso(Number(toInstant(BigInt(text)))) : null),
    summary: `A ${kind} timestamp as ISO 8601; null when it is none.`,
    example: [`Time.${name}("${example[0]}")`, example[1]],
  });
}

const fromWindows = fromNumber(
  "fromWindowsToIso8601",
  "Windows (LDAP)",
  (ticks) => ticks / 10_000n - BigInt(windows_epoch_ms),
  ["130831742370000000", "2015-08-04T15:03:57.000Z"],
);

const fromUnix = fromNumber("fromUnixToIso8601", "Unix", (seconds) => seconds * 1000n, [
  "1438360709",
  "2015-07-31T16:38:29.000Z",
]);

const fromString = declare<[string, string]>({
  name: "Time.fromStringToIso8601",
  parameters: parameters({ time: "string", format: "string" }),
  result: "date",
  nulls: null_gives_null,
  refuse: ([, format]) => formatProblem(format),
  evaluate: (_, text, format) => {
    const parts = partsOf(format);
    const read = parts && text.length <= 200 ? readJoda(parts, text) : null;
    if (!read) return null;
    const offset_ms = read.offset_ms ?? offsetOnWall(read.zone ?? "UTC", read.wall_ms);
    return offset_ms === null ? null : iso(read.wall_ms - offset_ms);
  },
  summary: "A time written in a format, as ISO 8601; null when the text does not fit. Without a zone it is in UTC.",
  example: ['Time.fromStringToIso8601("31/07/2015 17:18", "dd/MM/yyyy HH:mm")', "2015-07-31T17:18:00.000Z"],
});

function toNumber(
  name: string,
  kind: string,
  fromInstant: (ms: number) => bigint,
  example: [string, string],
): FunctionDeclaration {
  return declare<[string]>({
    name: `Time.${name}`,
    parameters: parameters({ date: "date" }),
    result: "string",
    nulls: null_gives_null,
    evaluate: (_, text) => {
      const ms = instant(text);
      return ms === null ? null : String(fromInstant(ms));
    },
    summary: `A date as a ${kind} timestamp; null when the text is no date.`,
    example: [`Time.${name}("${example[0]}")`, example[1]],
  });
}

const toWindows = toNumber("fromIso8601ToWindows", "Windows (LDAP)", (ms) => BigInt(ms + windows_epoch_ms) * 10_000n, [
  "2015-08-04T15:03:57Z",
  "130831742370000000",
]);
const toUnix = toNumber("fromIso8601ToUnix", "Unix", (ms) => BigInt(Math.floor(ms / 1000)), [
  "2015-07-31T16:38:29Z",
  "1438360709",
]);

const toText = declare<[string, string]>({
  name: "Time.fromIso8601ToString",
  parameters: parameters({ date: "date", format: "string" }),
  result: "string",
  nulls: null_gives_null,
  refuse: ([, format]) => formatProblem(format),
  evaluate: (scope, text, format) => {
    const ms = instant(text);
    if (ms === null) return null;
    const offset_ms = offsetIn(text);
    return formatted(scope, wallWithOffset(offset_ms, ms), format, offset_ms === 0 ? "UTC" : "");
  },
  summary: "A date written in a format, in the date's own zone; null when the text is no date.",
  example: ['Time.fromIso8601ToString("2015-07-31T17:18:37Z", "dd.MM.yyyy")', "31.07.2015"],
});

const toZone = declare<[string, string]>({
  name: "Time.toZone",
  parameters: parameters({ date: "date", time_zone: "string" }),
  result: "date",
  nulls: null_gives_null,
  refuse: ([, zone]) => zoneProblem(zone),
  evaluate: (_, text, zone) => {
    const ms = instant(text);
    const wall = ms === null ? null : wallAt(zone, ms);
    return wall && isoText(wall);
  },
  summary: "The same point in time as the clocks of a zone show it.",
  example: ['Time.toZone("2026-03-01T09:00:00Z", "Asia/Tokyo")', "2026-03-01T18:00:00.000+09:00"],
});

function daysBetween(name: string, sign: 1 | -1, summary: string, example: [string, number]): FunctionDeclaration {
  return declare<[string]>({
    name: `Time.${name}`,
    parameters: parameters({ date: "date" }),
    result: "number",
    nulls: null_gives_null,
    clock: true,
    evaluate: (scope, text) => {
      const { now: present, time_zone } = scope.facts;
      if (isDay(text)) return sign * (dayNumber(dayIn(time_zone, present.getTime())) - dayNumber(text)) + 0;
      const ms = instant(text);
      return ms === null ? null : Math.floor((sign * (present.getTime() - ms)) / day_ms) + 0;
    },
    sql: (writer, date) => daysInSql(writer, date!, sign),
    summary,
    example: [`Time.${name}("${example[0]}")`, example[1]],
  });
}

const units_ms = { Seconds: 1000, Minutes: 60_000, Hours: 3_600_000, Days: day_ms, Weeks: 7 * day_ms } as const;
const units = ["Seconds", "Minutes", "Hours", "Days", "Weeks", "Months", "Years"] as const;
type Unit = (typeof units)[number];

function moved(direction: "plus" | "minus", unit: Unit): FunctionDeclaration {
  const sign = direction === "plus" ? 1 : -1;
  const name = `Time.${direction}${unit}`;
  const word = unit.toLowerCase();
  return declare<[string, number]>({
    name,
    parameters: parameters({ date: "date", count: "number" }),
    result: "date",
    nulls: null_gives_null,
    evaluate: (_, text, count) => move(text, unit, sign * Math.trunc(count)),
    summary: `The date ${direction} so many ${word}; a day stays a day. null when the text is no date.`,
    example: [`${name}("2026-03-31T09:00:00Z", 1)`, move("2026-03-31T09:00:00Z", unit, sign)],
  });
}

function move(text: string, unit: Unit, count: number): string | null {
  const ms = instant(text);
  if (ms === null) return null;
  const offset_ms = offsetIn(text);
  const ahead =
    unit === "Months" || unit === "Years"
      ? addMonths(ms + offset_ms, unit === "Years" ? 12 * count : count) - offset_ms
      : ms + count * units_ms[unit];
  if (!(ahead >= first_ms && ahead <= last_ms)) return null;
  const whole_day = isDay(text) && unit !== "Seconds" && unit !== "Minutes" && unit !== "Hours";
  const moved_text = isoText(wallWithOffset(offset_ms, ahead));
  return whole_day ? moved_text.slice(0, 10) : moved_text;
}

/** A month after 31 January is the last day of February. */
function addMonths(ms: number, count: number): number {
  const date = new Date(ms);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + count);
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, last));
  return date.getTime();
}

function within(unit: keyof typeof units_ms): FunctionDeclaration {
  const name = `Time.within${unit}`;
  return declare<[string, number]>({
    name,
    parameters: parameters({ date: "date", count: "number" }),
    result: "boolean",
    nulls: { give: false },
    clock: true,
    evaluate: (scope, text, count) => {
      const ms = instant(text);
      return ms !== null && Math.abs(scope.facts.now.getTime() - ms) <= count * units_ms[unit];
    },
    summary: `Is the date at most so many ${unit.toLowerCase()} from now, before or after?`,
    example: [`${name}("2026-03-01T09:00:00Z", 1)`, true],
  });
}

const since = "Full days since the date; negative before it. A day is counted on the calendar of the time zone.";
const until = "Full days until the date; negative after it. A day is counted on the calendar of the time zone.";

export const time_functions: readonly FunctionDeclaration[] = [
  ...[now, fromWindows, fromUnix, fromString, toWindows, toUnix, toText, toZone],
  daysBetween("daysSince", 1, since, ["2026-02-19", 10]),
  daysBetween("daysUntil", -1, until, ["2026-03-11", 10]),
  ...units.map((unit) => moved("plus", unit)),
  ...units.map((unit) => moved("minus", unit)),
  ...(["Seconds", "Minutes", "Hours", "Days"] as const).map(within),
  Object.freeze({
    ...now,
    name: "DateTime.now",
    example: ['DateTime.now("UTC", "yyyy")', "2026"] as const,
    summary: "Other name of Time.now.",
  }),
];

function iso(ms: number): string | null {
  return ms >= first_ms && ms <= last_ms ? isoText(wallWithOffset(0, ms)) : null;
}

/** The offset a date text carries; none is UTC. */
function offsetIn(text: string): number {
  const found = /([+-])(\d{2}):?(\d{2})$/.exec(text.slice(11));
  return found ? (Number(found[2]) * 60 + Number(found[3])) * 60_000 * (found[1] === "-" ? -1 : 1) : 0;
}

/** The offset that holds when a zone's clocks show `wall_ms`. Asked twice, because the first guess may be across a change. */
function offsetOnWall(zone: string, wall_ms: number): number | null {
  const guess = offsetAt(zone, wall_ms);
  return guess === null ? null : offsetAt(zone, wall_ms - guess);
}

const known_formats = new Map<string, readonly JodaPart[] | null>();
const known_formats_max = 500;

function partsOf(format: string): readonly JodaPart[] | null {
  let parts = known_formats.get(format);
  if (parts === undefined) {
    const parsed = parseJoda(format);
    parts = "ok" in parsed ? parsed.ok : null;
    if (known_formats.size >= known_formats_max) known_formats.delete(known_formats.keys().next().value!);
    known_formats.set(format, parts);
  }
  return parts;
}

function formatted(scope: Scope, wall: Wall, format: string, zone: string): Value {
  const parts = partsOf(format);
  const text = parts && formatJoda(parts, wall, zone);
  return text !== null && fits(scope, text.length) ? text : null;
}

function formatProblem(format: Value | undefined): string | null {
  if (typeof format !== "string") return null;
  const parsed = parseJoda(format);
  return "ok" in parsed ? null : parsed.message;
}

function zoneProblem(zone: Value | undefined): string | null {
  return typeof zone !== "string" || isZone(zone)
    ? null
    : `"${zone}" is not a time zone; write one such as "Europe/Paris".`;
}
