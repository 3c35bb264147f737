/**
 * Reading an instant from text: the ISO 8601 forms that Okta, SCIM and HR files use. Dates compare as instants, never
 * as texts, so `2026-03-02` and `2026-03-02T00:00:00.000Z` are one value.
 *
 * Law: pure and strict. It knows no clock and no local time zone; a text without an offset is UTC; a day that is not
 * in the calendar is not a date. (`Date.parse` accepts far more, and differs from one machine to the next.)
 */

const form =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?\s?([Zz]|[+-]\d{2}:?\d{2})?)?$/;

/** Milliseconds since 1970 of an ISO 8601 date or date-time; undefined if it is none. Finer fractions are cut off. */
export function parseInstant(text: string): number | undefined {
  if (text.length > 40) return undefined;
  const parts = form.exec(text);
  if (parts === null) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const offset_minutes = parseOffset(parts[8]);
  if (offset_minutes === undefined) return undefined;
  const ms = Number((parts[7] ?? "").padEnd(3, "0").slice(0, 3));
  const at = new Date(0);
  // Not Date.UTC, which reads the years 0 to 99 as 1900 to 1999.
  at.setUTCFullYear(year, month - 1, day);
  at.setUTCHours(hour, minute - offset_minutes, second, ms);
  return at.getTime();
}

function parseOffset(text: string | undefined): number | undefined {
  if (text === undefined || text === "Z" || text === "z") return 0;
  const hours = Number(text.slice(1, 3));
  const minutes = Number(text.slice(-2));
  // The world's offsets end at +14:00; PostgreSQL refuses those of 16 hours and more.
  if (hours > 14 || minutes > 59) return undefined;
  return (text.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
