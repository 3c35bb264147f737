/** What the admin routes share: finding an app by id or label, a time from outside, and paging by id. */
import { z } from "zod";
import { type App, appByIdOrLabel } from "../../directory/apps.ts";
import type { Api } from "../api.ts";
import { found } from "../errors.ts";
import { afterOf, limitOf } from "../paging.ts";

export const app_params = z.object({ app_id: z.string().min(1).max(200).describe("Id or label") });

/** A moment from outside, as ISO 8601 with a zone. */
export const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

export const paged = { after: afterOf, limit: limitOf(100, 1_000) };

/** The app that a path or body names by id or label, or 404. */
export async function anApp(api: Api, id_or_label: string): Promise<App> {
  return found(await appByIdOrLabel(api.db, id_or_label), id_or_label, "AppInstance");
}

/** `{ name: value }`, or nothing where there is no value: what the directory's optional fields want. */
export function given<K extends string, V>(name: K, value: V | undefined): { [key in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [key in K]?: V };
}

/** Attribute → line: a whole mapping, as it is saved or planned. */
export const mapping_lines = z.record(
  z.string().max(200),
  z.object({
    expression: z.string().min(1).max(20_000),
    push: z.enum(["always", "create"]).optional(),
    when_empty: z.enum(["clear", "keep", "skip", "default"]).optional(),
    default: z.json().optional(),
  }),
);
