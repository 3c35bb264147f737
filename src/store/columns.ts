/**
 * Rows as columns: what a bulk statement takes as `unnest($1::text[])` and its like, side by side in `rows from (…)`.
 *
 * Called by bulk statements of all folders.
 */
import { type RawBuilder, sql } from "kysely";
import { listBytes } from "../core/utf8.ts";

/**
 * One value of each row, as PostgreSQL writes an array; null as a whole when no row has one, which `rows from` takes as a
 * column of nulls. The driver's own way from a list to that text took 2 microseconds more for what an import sends of a
 * person.
 */
export function column<Row>(
  rows: readonly Row[],
  value: (row: Row) => string | number | boolean | Date | null | undefined,
): string | null {
  const [head] = rows;
  if (head === undefined) return null;
  const first = value(head) ?? null;
  let text = element(first);
  // Half of all columns are what all rows share, such as their app or the time: they need no list of their own.
  let shared = 1;
  while (shared < rows.length && (value(rows[shared] as Row) ?? null) === first) shared++;
  if (shared === rows.length) return first === null ? null : `{${`,${text}`.repeat(shared).slice(1)}}`;
  let last = first;
  const values = rows.map((row, n) => {
    const one = n < shared ? first : (value(row) ?? null);
    if (one !== last) text = element(one);
    last = one;
    return text;
  });
  return `{${values.join(",")}}`;
}

function element(value: string | number | boolean | Date | null): string | number | boolean {
  if (value === null) return "NULL";
  if (typeof value === "string") return `"${special.test(value) ? value.replace(specials, "\\$&") : value}"`;
  return value instanceof Date ? instant(value) : value;
}

let written_ms = Number.NaN;
let written = "";

/** What happens in a batch mostly happens in the same few milliseconds, and writing an instant takes one microsecond. */
function instant(date: Date): string {
  const ms = date.getTime();
  if (ms !== written_ms) {
    written = date.toISOString();
    written_ms = ms;
  }
  return written;
}

/** Values as a jsonb list, in SQL: what people are called makes their text dear to write as one (core/utf8.ts). */
export function jsonbList(values: readonly unknown[]): RawBuilder<unknown> {
  const bytes = listBytes(
    "[",
    values.map((value) => JSON.stringify(value ?? null)),
    "]",
  );
  return sql`convert_from(${bytes}::bytea, 'UTF8')::jsonb`;
}

const special = /["\\]/;
const specials = /["\\]/g;

/**
 * Values of which many are the same, as a JSON list of the different ones and where in it each value is: in SQL
 * `list::jsonb -> at`.
 */
export function shared(values: readonly unknown[]): Readonly<{ list: string; at: string }> {
  const places = new Map<string, number>();
  let last: unknown;
  let place = 0;
  const at = values.map((value, n) => {
    // Mostly it is even the same object as before.
    if (n > 0 && value === last) return place;
    const text = JSON.stringify(value);
    place = places.get(text) ?? places.size;
    places.set(text, place);
    last = value;
    return place;
  });
  return { list: `[${[...places.keys()].join(",")}]`, at: `{${at.join(",")}}` };
}
