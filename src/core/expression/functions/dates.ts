/**
 * Dates as ISO 8601 texts, read in one way by both back ends: the patterns below admit exactly the texts that JavaScript
 * and PostgreSQL read alike (real calendar days, no leap seconds), and everything else is no date. A day without a time is
 * its midnight in UTC where a point in time is wanted; a time without a zone is in UTC; parts of a millisecond are cut.
 */

const day_pattern = [
  "((([0-9]{3}[1-9]|[0-9]{2}[1-9][0-9]|[0-9][1-9][0-9]{2}|[1-9][0-9]{3})-",
  "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])))",
  "|(([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)-02-29))",
].join("");

const time_pattern = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?";
const zone_pattern = "(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])";

/** A day: `2026-03-01`. Understood by both regular-expression engines, as are all of these. */
export const date_pattern = `^${day_pattern}$`;
/** A point in time with its zone: `2026-03-01T09:00:00Z`. */
export const zoned_pattern = `^${day_pattern}[T ]${time_pattern}${zone_pattern}$`;
/** A point in time that names no zone: `2026-03-01T09:00`. */
export const unzoned_pattern = `^${day_pattern}[T ]${time_pattern}$`;
/** What is cut from a second: everything after the millisecond. */
export const beyond_ms_pattern = "([.][0-9]{3})[0-9]+";

const date_regex = new RegExp(date_pattern);
const zoned_regex = new RegExp(zoned_pattern);
const unzoned_regex = new RegExp(unzoned_pattern);
const beyond_ms_regex = new RegExp(beyond_ms_pattern);

export const day_ms = 86_400_000;

/** Longest text that can be a date: `2026-03-01T09:00:00.123456789+05:30`. */
const date_text_max = 35;

/** The point in time a text means, in ms since 1970; null when it is no date. */
export function instant(text: string): number | null {
  if (text.length > date_text_max) return null;
  if (date_regex.test(text)) return Date.parse(`${text}T00:00:00Z`);
  const zone = zoned_regex.test(text) ? "" : unzoned_regex.test(text) ? "Z" : null;
  if (zone === null) return null;
  const exact = text.replace(beyond_ms_regex, "$1").replace(" ", "T") + zone;
  return Date.parse(exact.replace(/([+-]\d{2})(\d{2})$/, "$1:$2"));
}

/** Is it a day without a time? */
export function isDay(text: string): boolean {
  return text.length === 10 && date_regex.test(text);
}

/** Days since 1970-01-01 of a text for which `isDay` holds. */
export function dayNumber(text: string): number {
  return Date.parse(`${text}T00:00:00Z`) / day_ms;
}
