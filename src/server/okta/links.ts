/** Small pieces of Okta's form that every noun shares: links, dates, and the names of what there is only one of. */

/** A link as Okta gives it; `method` only on actions. */
export type Link = Readonly<{ href: string; method?: string }>;

/** There is one type of user. Its id and its schema's are fixed, in Okta's form, so that scripts can read them. */
export const user_type_id = "oty0000000000default";
export const user_schema_id = "osc0000000000default";

/** ISO 8601 with milliseconds, or null. */
export function date(at: Date | null): string | null {
  return at === null ? null : at.toISOString();
}

/** Links to actions on one thing: name → `POST <self>/<path>`. */
export function actions(self: string, paths: Readonly<Record<string, string>>): Record<string, Link> {
  return Object.fromEntries(
    Object.entries(paths).map(([name, path]) => [name, { href: `${self}/${path}`, method: "POST" }]),
  );
}
