/**
 * SQL that pure code wrote (an expression's, a filter's: text with $1, $2 … and their values) as a piece of a query.
 *
 * Called by rules.ts, and by the server for the `where` of `listUsers`.
 */
import type { RawBuilder } from "kysely";
import { sql } from "../store/database.ts";

/** A condition or value; each `$n` of the text stands for `values[n - 1]`, as often as it occurs. */
export type WrittenSql = Readonly<{ text: string; values: readonly unknown[] }>;

/** The piece, its parameters numbered by whatever query it becomes part of. */
export function fragment({ text, values }: WrittenSql): RawBuilder<unknown> {
  const parts = text.split(/\$(\d+)/);
  const texts = parts.filter((_, n) => n % 2 === 0);
  const parameters = parts.filter((_, n) => n % 2 === 1).map((number) => values[Number(number) - 1]);
  return sql(Object.assign(texts, { raw: texts }), ...parameters);
}
