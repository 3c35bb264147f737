/**
 * Slices: a list inside a record that says what holds from which day on, as rows of the person, one for each, with a first
 * and a last day. What several rows of one person mean is the engine's business (core/jobs.ts); here they only become so
 * whole that they can be read one by one. Pure. Called by connector.ts through records.ts.
 */
import { setOwn } from "../../core/profile.ts";
import type { Profile, Value } from "../../core/types.ts";
import { dayBeforeDay } from "./days.ts";
import type { RestSettings } from "./presets.ts";
import { type Rows, type Told, valueAt, valuesIn } from "./records.ts";

type Slices = NonNullable<RestSettings["slices"]>;

/** As many rows of one person as an import takes. */
const slices_max = 100;

/** The rows of a record. `base`: what it says itself. */
export function rowsIn(record: object, base: Profile, settings: RestSettings): Told<Rows> {
  const { slices } = settings;
  if (slices === undefined) return { ok: [base] };
  const list = valueAt(record, slices.at) ?? [];
  if (!Array.isArray(list)) return { error: `what is at ${slices.at} is no list` };
  if (list.length > slices_max)
    return { error: `there are ${list.length} slices at ${slices.at}; one person can have ${slices_max}` };
  const parts: Profile[] = [];
  for (const [n, slice] of list.entries()) {
    if (typeof slice !== "object" || slice === null || Array.isArray(slice))
      return { error: `${slices.at}/${n} is no object` };
    const values = valuesIn(slice, slices.columns, settings.days);
    if ("error" in values) return { error: `${slices.at}/${n}: ${values.error}` };
    if (slices.kind === "changes" && values.ok[slices.start] === undefined)
      return { error: `${slices.at}/${n}: ${slices.start}: there is no day from which the change holds` };
    parts.push(values.ok);
  }
  return slices.kind === "rows" ? wholeRows(base, parts, slices) : { ok: changedRows(base, parts, slices) };
}

/** Each slice with what the record says of the person beside. */
function wholeRows(base: Profile, parts: readonly Profile[], { at, columns }: Slices): Told<Rows> {
  // Without one, the person would be someone without days, who is here for ever.
  if (parts.length === 0) return { error: `there is no slice at ${at}` };
  const beside = Object.fromEntries(Object.entries(base).filter(([name]) => !Object.hasOwn(columns, name)));
  return { ok: parts.map((part) => ({ ...beside, ...part })) };
}

/**
 * What the record says holds until the first change, each change until the next. A change before the person's own first
 * day holds from that day on; one after their last day is left out, because they are gone by then.
 */
function changedRows(base: Profile, parts: readonly Profile[], { start, end }: Slices): Rows {
  const [first, last] = [dayAt(base, start), dayAt(base, end)];
  const rows: Profile[] = [base];
  for (const part of [...parts].sort((a, b) => order(dayAt(a, start), dayAt(b, start)))) {
    const told = dayAt(part, start) ?? "";
    const from = first !== undefined && told < first ? first : told;
    if (last !== undefined && from > last) break;
    const before = rows.at(-1) ?? base;
    const here = { ...before, ...part };
    setOwn(here, start, from);
    if (dayAt(before, start) === from) rows[rows.length - 1] = here;
    else {
      rows[rows.length - 1] = { ...before, [end]: dayBeforeDay(from) };
      rows.push(here);
    }
    // The end is the record's: no change moves it but by saying so.
    const ends: Value | undefined = part[end] ?? base[end];
    if (ends === undefined) delete here[end];
    else setOwn(here, end, ends);
  }
  return rows;
}

const order = (a = "", b = "") => (a < b ? -1 : a > b ? 1 : 0);

function dayAt(row: Profile, name: string): string | undefined {
  const value = row[name];
  return typeof value === "string" ? value : undefined;
}
