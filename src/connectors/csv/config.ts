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
  trailer: z.string().min(1).max(200).optional().meta({
    title: "Trailer",
    description:
      "What the first cell of the file's last row says, such as END; a number in its second cell is how many rows there are. A file without it is not read: it is not whole",
  }),
  quiet_seconds: z.int().min(0).max(86_400).default(0).meta({
    title: "Quiet seconds",
    description: "A file that was written to more recently than this is not read: it may not be whole yet",
  }),
  delimiter: z.enum([",", ";", "\t", "|"]).default(",").meta({ title: "Separator" }),
});

export type CsvConfig = z.input<typeof csv_config>;
