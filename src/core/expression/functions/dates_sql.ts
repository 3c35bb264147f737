/**
 * Dates in SQL: the same patterns as `dates.ts` decide what is a date, so PostgreSQL is only asked to read texts that it
 * and JavaScript read alike, and never fails on the others. A `case` is used because its branches are computed only when
 * their turn comes.
 */
import { type Fragment, named, parameter, sql, type Writer } from "../sql_writer.ts";
import { beyond_ms_pattern, date_pattern, instant, unzoned_pattern, zoned_pattern } from "./dates.ts";

/** The point in time a text means, as ms since 1970 in float8; null when it is no date. */
export function instantInSql(writer: Writer, date: Fragment): Fragment {
  if (typeof date.constant === "string") {
    const ms = instant(date.constant);
    return ms === null ? sql("float8", "null::float8") : parameter(writer, "float8", ms);
  }
  return sql(
    "float8",
    named(writer, [date], (text) => instantOf(writer, text)),
  );
}

function instantOf(writer: Writer, text: string): string {
  const pattern = (of: string): string => parameter(writer, "text", of).text;
  const cut = `regexp_replace(${text}, ${pattern(beyond_ms_pattern)}, '\\1')`;
  const ms = (zoned: string): string => `round(extract(epoch from (${zoned})::timestamptz) * 1000)::float8`;
  return [
    `case when char_length(${text}) > 35 then null`,
    `when ${text} ~ ${pattern(date_pattern)} then ${ms(`${text} || 'T00:00:00Z'`)}`,
    `when ${text} ~ ${pattern(zoned_pattern)} then ${ms(cut)}`,
    `when ${text} ~ ${pattern(unzoned_pattern)} then ${ms(`${cut} || 'Z'`)} end`,
  ].join(" ");
}

/** `Time.daysSince` (sign 1) and `daysUntil` (-1). The present and its day come from the caller, as facts do. */
export function daysInSql(writer: Writer, date: Fragment, sign: 1 | -1): Fragment {
  const present = parameter(writer, "float8", writer.clock.now_ms).text;
  const today = parameter(writer, "text", writer.clock.day).text;
  const pattern = parameter(writer, "text", date_pattern).text;
  const body = (text: string): string => {
    const days = `(${sign === 1 ? `${today}::date - ${text}::date` : `${text}::date - ${today}::date`})::float8`;
    const ms = instantOf(writer, text);
    const full = `floor((${sign === 1 ? `${present} - (${ms})` : `(${ms}) - ${present}`}) / 86400000)`;
    return `case when ${text} ~ ${pattern} then ${days} else ${full} end`;
  };
  return sql("float8", named(writer, [date], body));
}
