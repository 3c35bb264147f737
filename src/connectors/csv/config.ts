/** What an administrator enters to read people from a CSV file. The console builds its form from this schema. */
import { z } from "zod";
import { rowFields } from "../rowForm.ts";

export const csv_config = z.strictObject({
  file: z
    .string()
    .min(1)
    .max(500)
    .meta({ title: "File", description: "Its name in the server's import folder, such as hr/people.csv" }),
  ...rowFields(200),
  delimiter: z.enum([",", ";", "\t", "|"]).default(",").meta({ title: "Separator" }),
});

export type CsvConfig = z.input<typeof csv_config>;
