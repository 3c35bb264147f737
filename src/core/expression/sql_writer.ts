/**
 * The pieces that SQL is written with. A `Fragment` is SQL text with what the reader must know to combine it: its type,
 * and what its nulls mean. A `Writer` collects parameters, so no value of an expression is ever part of the text, and
 * remembers the first thing that SQL cannot say exactly; after that the text is meaningless and the caller drops it.
 */
import type { Value } from "../types.ts";
import { numberText } from "./values.ts";

export type SqlType = "text" | "float8" | "boolean" | "jsonb";

/**
 * `nulls`: `never` null; `null`: a null is the language's null; `false`: a null stands for false (a comparison with a
 * missing attribute), which costs nothing in a condition and must be turned into false elsewhere.
 */
export type Fragment = Readonly<{
  text: string;
  type: SqlType;
  nulls: "never" | "null" | "false";
  /** Cheap to write twice: a parameter or a bound name. */
  atom: boolean;
  /** Known before the query runs. */
  constant?: Value;
}>;

/** Where the rows are, in the query this text becomes part of. */
export type SqlPlace = Readonly<{
  /** Alias of the user's row: `id text, status text, profile jsonb`. In a push rule not used. */
  user: string;
  /** Alias of the group's row in a push rule: `id text, type text, profile jsonb`. */
  group: string;
  /** A relation `(user_id, group_id)` of current memberships: a name, or a query in parentheses. */
  memberships: string;
  /** A relation `(id, type, source_id, profile jsonb)` of groups: a name, or a query in parentheses. */
  groups: string;
  /**
   * Where a scalar attribute of the user stands already, as `attributeSql` (sql.ts) makes it: the name of a column. For
   * many conditions over one row; null: each reads the profile itself.
   */
  column: ((name: string, type: SqlType) => string) | null;
}>;

/** The present, as a point in time and as the day it is in the time zone that counts. */
export type SqlClock = Readonly<{ now_ms: number; day: string }>;

export type Writer = {
  readonly place: SqlPlace;
  readonly clock: SqlClock;
  /** Values that the text may refer to; `finished` keeps those that it does. */
  readonly values: unknown[];
  /** Which parameter already holds a value. */
  readonly keys: Map<string, number>;
  aliases: number;
  /** How many terms are being written inside one another. */
  depth: number;
  /** The first thing that cannot be said exactly. */
  inexact: string | null;
};

export function createWriter(place: SqlPlace, clock: SqlClock): Writer {
  return { place, clock, values: [], keys: new Map(), aliases: 0, depth: 0, inexact: null };
}

const casts: Readonly<Record<SqlType, string>> = {
  text: "text",
  float8: "float8",
  boolean: "boolean",
  jsonb: "jsonb",
};

/** Stands around a value's index until the text is finished; no SQL and no name of a relation holds this character. */
const mark = "\ue000";

/** The text with `$n` for every value it uses, from `first` on, and those values in order. */
export function finished(writer: Writer, text: string, first: number): Readonly<{ text: string; values: unknown[] }> {
  const order = new Map<string, number>();
  const numbered = text.replaceAll(/\ue000(\d+)\ue000/g, (_, index: string) => {
    const number = order.get(index) ?? first + order.size;
    order.set(index, number);
    return `$${number}`;
  });
  return { text: numbered, values: [...order.keys()].map((index) => writer.values[Number(index)]) };
}

/** A place in the text for a value; equal values share one. Never null: write `null` as `nothing`. */
export function parameter(writer: Writer, type: SqlType, value: Value): Fragment {
  const sent = type === "jsonb" ? JSON.stringify(value) : type === "float8" ? numberText(value as number) : value;
  const key = `${type}:${String(sent)}`;
  let index = writer.keys.get(key);
  if (index === undefined) {
    index = writer.values.length;
    writer.keys.set(key, index);
    writer.values.push(sent);
  }
  // float8 goes as text so that no driver rounds it on its way.
  const text = type === "float8" ? `${mark}${index}${mark}::text::float8` : `${mark}${index}${mark}::${casts[type]}`;
  return { text, type, nulls: "never", atom: true, constant: value };
}

export function nothing(type: SqlType): Fragment {
  return { text: `null::${casts[type]}`, type, nulls: "null", atom: true, constant: null };
}

/** Text that is null exactly when the language's value is null. In parentheses, so that it can stand anywhere. */
export function sql(type: SqlType, text: string): Fragment {
  return { text: `(${text})`, type, nulls: "null", atom: false };
}

/** A condition whose null stands for false. */
export function condition(text: string): Fragment {
  return { text: `(${text})`, type: "boolean", nulls: "false", atom: false };
}

/** Text that is never null. */
export function certain(type: SqlType, text: string): Fragment {
  return { text: `(${text})`, type, nulls: "never", atom: false };
}

/** Says that SQL cannot express this exactly, and why; the first reason is kept. */
export function inexact(writer: Writer, type: SqlType, reason: string): Fragment {
  writer.inexact ??= reason;
  return nothing(type);
}

/** The fragment as a value: a null that stands for false becomes false. */
export function asValue(fragment: Fragment): Fragment {
  if (fragment.nulls !== "false") return fragment;
  return { ...fragment, text: `coalesce(${fragment.text}, false)`, nulls: "never", atom: false };
}

/** The fragment, or `otherwise` where it is null. */
export function orElse(fragment: Fragment, otherwise: string): Fragment {
  if (fragment.nulls === "never") return fragment;
  return { ...fragment, text: `coalesce(${fragment.text}, ${otherwise})`, nulls: "never", atom: false };
}

/**
 * Writes `body` with names for the fragments, so that each is computed once however often `body` uses it. `offset 0`
 * keeps the planner from pasting the computation back into every use.
 */
export function named(writer: Writer, fragments: readonly Fragment[], body: (...names: string[]) => string): string {
  const columns: string[] = [];
  const names = fragments.map((fragment) => {
    if (fragment.atom) return fragment.text;
    writer.aliases += 1;
    columns.push(`${fragment.text} as v${writer.aliases}`);
    return `v${writer.aliases}`;
  });
  if (columns.length === 0) return body(...names);
  writer.aliases += 1;
  return `(select ${body(...names)} from (select ${columns.join(", ")} offset 0) as t${writer.aliases})`;
}
