/**
 * Lists in order of a value that several may have, in pages that lose nobody: a page goes on behind the value and the id
 * at which the one before it ended, whatever was changed meanwhile. Whoever has no value comes last.
 *
 * Called by userQueries.ts and groupQueries.ts.
 */
import type { RawBuilder } from "kysely";
import { sql } from "../store/database.ts";

/** Where a page ended; `value` as PostgreSQL writes it, null for none. */
export type SortPlace = Readonly<{ value: string | null; id: string }>;

/** Instants are sorted by as seconds of an epoch, which are numeric. */
export type SortType = "text" | "numeric" | "float8" | "boolean";

/** What to sort by: `value` is SQL over the row, of `type`. `after`: where the page before ended. */
export type Sorting = Readonly<{
  value: RawBuilder<unknown>;
  type: SortType;
  descending: boolean;
  after?: SortPlace;
}>;

/** A row of a sorted list says at which value it stands. */
export type Sorted = Readonly<{ sort_value?: string | null }>;

/** The parts of a query that sorts: a column to select, what is behind the page before, and the order. */
export function sorted(
  sorting: Sorting,
  id: RawBuilder<unknown>,
): Readonly<{ column: RawBuilder<unknown>; behind: RawBuilder<unknown>; order: RawBuilder<unknown> }> {
  const { value, type, descending, after } = sorting;
  return {
    column: sql`(${value})::text as sort_value`,
    behind: after === undefined ? sql`true` : behind(sorting, sql.raw(type), after, id),
    order: sql`${value} ${sql.raw(descending ? "desc" : "asc")} nulls last, ${id}`,
  };
}

function behind(
  { value, descending }: Sorting,
  type: RawBuilder<unknown>,
  after: SortPlace,
  id: RawBuilder<unknown>,
): RawBuilder<unknown> {
  if (after.value === null) return sql`(${value} is null and ${id} > ${after.id})`;
  const last = sql`${after.value}::text::${type}`;
  const further = sql.raw(descending ? "<" : ">");
  return sql`(${value} ${further} ${last} or (${value} = ${last} and ${id} > ${after.id}) or ${value} is null)`;
}
