/**
 * What a list remembers for the next one, which asks only for what has changed since: the highest value of the column of
 * the last change, with how such values grow. Pure.
 *
 * Laws: a row that is committed late, with a value below one that was seen already, is asked for again (the overlap);
 * a row that is asked for twice is harmless. Any value that was seen is a safe mark, so the database's own order of texts
 * need not be known here. A time ahead of our clock marks only up to now, or a slip of the pen would hide all changes.
 */
import { ConnectorFault } from "../connector.ts";
import type { SqlSettings } from "./config.ts";

export type Order = "number" | "time" | "day" | "text";
/** Rows from this value on, as the database is asked for them. */
export type Since = Readonly<{ order: Order; from: string }>;

/** The highest value that was seen. */
export type Mark = Readonly<{ order: Order; value: string }>;

/** Longer than any value that is worth it: the token is kept with the app. */
const value_max = 1_000;
const number_form = /^-?\d{1,40}(\.\d{1,40})?(e[-+]?\d{1,3})?$/i;
/** As both databases write times here: in UTC, or without a zone. */
const time_form = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,9})?(\+00)?$/;
const day_form = /^\d{4}-\d\d-\d\d$/;

/** Can this be a value of the order? Others, such as PostgreSQL's `infinity`, mark nothing. */
function isOf(order: Order, value: string): boolean {
  if (order === "number") return number_form.test(value);
  if (order === "time") return time_form.test(value) && !Number.isNaN(timeOf(value));
  if (order === "day") return day_form.test(value) && !Number.isNaN(Date.parse(value));
  return value !== "" && value.length <= value_max && !value.includes("\0");
}

function timeOf(value: string): number {
  const [, day, clock, fraction = ""] = time_form.exec(value) ?? [];
  return Date.parse(`${day}T${clock}${fraction.slice(0, 4)}Z`);
}

function isHigher(order: Order, value: string, than: string): boolean {
  if (order !== "number") return value > than;
  if (/^-?\d+$/.test(value) && /^-?\d+$/.test(than)) return BigInt(value) > BigInt(than);
  return Number(value) > Number(than);
}

/** The higher of a mark and what a row says. */
export function marked(mark: Mark | undefined, order: Order, value: unknown): Mark | undefined {
  if (typeof value !== "string" || !isOf(order, value)) return mark;
  if (mark !== undefined && (mark.order !== order || !isHigher(order, value, mark.value))) return mark;
  return { order, value };
}

/** The token of a mark: opaque to everybody else. */
export function tokenOf(mark: Mark, now: Date): string {
  return `${mark.order}:${cappedAt(mark, now)}`;
}

function cappedAt({ order, value }: Mark, now: Date): string {
  if (order === "day") return value > dayText(now) ? dayText(now) : value;
  return order === "time" && timeOf(value) > now.getTime() ? timeText(now, value.endsWith("+00")) : value;
}

const dayText = (at: Date) => at.toISOString().slice(0, 10);
const timeText = (at: Date, zoned: boolean) =>
  `${at.toISOString().slice(0, 23).replace("T", " ")}${zoned ? "+00" : ""}`;

/** A token read back. @throws ConnectorFault for one that is none of ours. */
export function markOf(token: string): Mark {
  const [, order = "", value = ""] = /^(number|time|day|text):(.*)$/s.exec(token) ?? [];
  if (order !== "" && isOf(order as Order, value)) return { order: order as Order, value };
  throw new ConnectorFault("invalid", "What the last import kept to ask for changes cannot be read: run a full import");
}

/** From where rows are asked for: below the mark by the overlap. */
export function sinceOf({ order, value }: Mark, settings: SqlSettings): Since {
  const { changed_overlap_minutes: minutes, changed_overlap_numbers: numbers } = settings;
  if (order === "number") {
    if (/^-?\d+$/.test(value)) return { order, from: String(BigInt(value) - BigInt(numbers)) };
    return { order, from: String(Number(value) - numbers) };
  }
  if (order === "time") {
    return { order, from: timeText(new Date(timeOf(value) - minutes * 60_000), value.endsWith("+00")) };
  }
  if (order === "text") return { order, from: value };
  // A day is over an hour after its midnight, too.
  return { order, from: dayText(new Date(Date.parse(value) - Math.max(1, Math.ceil(minutes / 1_440)) * 86_400_000)) };
}
