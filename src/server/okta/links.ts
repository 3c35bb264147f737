/** Small pieces of Okta's form that every noun shares: links, dates, and the names of what there is only one of. */
import { default_type_id } from "../../directory/schemaQueries.ts";

/** A link as Okta gives it; `method` only on actions. */
export type Link = Readonly<{ href: string; method?: string }>;

/** There is one organisation. */
export const org_id = "00o00000000000000001";

/** The default type of users. Its id and its schema's are fixed, in Okta's form, so that scripts can read them. */
export const user_type_id = default_type_id;
export const user_schema_id = schemaIdOf(null);

/** The id of the schema of a type of users (null: the default one); they differ in their first letters only. */
export function schemaIdOf(type_id: string | null): string {
  return `osc${(type_id ?? default_type_id).slice(3)}`;
}

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

/** A link that says what it takes, as Okta's younger endpoints give it. */
export const hinted = (href: string, ...allow: readonly string[]) => ({ href, hints: { allow } });
