/** What the forms of sources that give rows have in common: which column is what, and who works here. */
import { z } from "zod";

/** The fields that say by which words a row's state means that someone works here. */
export const enabled_values = z
  .array(z.string().max(200))
  .max(50)
  .default(["active", "true", "yes", "1"])
  .meta({ title: "Values of the state that mean enabled", description: "In any case of letters" });

/** The fields that say what the columns of a row are; a column's name has at most `max` characters. */
export function rowFields(max: number) {
  const column = z.string().min(1).max(max);
  return {
    id_column: column.meta({
      title: "Id column",
      description: "Tells rows apart and never changes, such as a personnel number",
    }),
    columns: z.record(z.string().min(1).max(100), column).optional().meta({
      title: "Columns",
      description: "Attribute → column. Left out: every column is an attribute of its name",
    }),
    enabled_column: column.optional().meta({ title: "State column", description: "Tells who works here" }),
    enabled_values,
  };
}

/** Tells of a state whether it means enabled. Made once for a list: it is asked of every row. */
export function isEnabledBy(values: readonly string[]): (state: string) => boolean {
  const words = new Set(values.map((value) => value.toLowerCase()));
  return (state) => words.has(state.trim().toLowerCase());
}
