/** What an administrator enters to read people from a CSV file. The console builds its form from this schema. */
import { z } from "zod";

const column = z.string().min(1).max(200);

export const csv_config = z.strictObject({
  file: z
    .string()
    .min(1)
    .max(500)
    .meta({ title: "File", description: "Its name in the server's import folder, such as hr/people.csv" }),
  id_column: column.meta({
    title: "Id column",
    description: "Tells rows apart and never changes, such as a personnel number",
  }),
  columns: z
    .record(z.string().min(1).max(100), column)
    .optional()
    .meta({ title: "Columns", description: "Attribute → column. Left out: every column is an attribute of its name" }),
  enabled_column: column.optional().meta({ title: "State column", description: "Tells who works here" }),
  enabled_values: z
    .array(z.string().max(200))
    .max(50)
    .default(["active", "true", "yes", "1"])
    .meta({ title: "Values of that column that mean enabled", description: "In any case of letters" }),
  delimiter: z.enum([",", ";", "\t", "|"]).default(",").meta({ title: "Separator" }),
});

export type CsvConfig = z.input<typeof csv_config>;
