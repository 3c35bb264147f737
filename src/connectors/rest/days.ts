/**
 * Days as systems that answer JSON write them: `2027-01-01`, with a time behind it, or `/Date(1798761600000)/` as OData 2
 * has it. Pure. Called by records.ts and slices.ts.
 */
import { parseInstant } from "../../core/instant.ts";

const odata_form = /^\/Date\((-?\d{1,17})(?:([+-])(\d{4}))?\)\/$/;
const minute_ms = 60_000;

/** The day that `/Date(…)/` names; undefined: it is no such text, or out of the calendar. */
export function odataDay(text: string): string | undefined {
  const parts = odata_form.exec(text);
  if (parts === null) return undefined;
  const [, ms, sign, minutes] = parts;
  const offset_ms = (sign === "-" ? -1 : 1) * Number(minutes ?? 0) * minute_ms;
  const at = new Date(Number(ms) + offset_ms);
  if (Number.isNaN(at.getTime())) return undefined;
  const day = at.toISOString().slice(0, 10);
  return parseInstant(day) === undefined ? undefined : day;
}

/** A value as a day; null: there is none, or an end that is left open (`9999-12-31`); undefined: it is no day. */
export function dayOf(value: unknown): string | null | undefined {
  if (typeof value !== "string") return undefined;
  const text = value.trim();
  if (text === "") return null;
  const day = odataDay(text) ?? (parseInstant(text) === undefined ? undefined : text.slice(0, 10));
  return day?.startsWith("9999-") ? null : day;
}

/** The day before, for the slice that another one follows. */
export function dayBeforeDay(day: string): string {
  return new Date((parseInstant(day) ?? 0) - 1_440 * minute_ms).toISOString().slice(0, 10);
}
