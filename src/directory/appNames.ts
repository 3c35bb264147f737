/**
 * The names of apps, by which expressions call their accounts. A client gives a name of Okta's catalogue or a connector's
 * kind, or none: then the label makes one.
 */
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";

/** What is wrong with a name that a client gives an app. */
export function nameProblem(name: string | undefined): Refusal | undefined {
  if (name === undefined || /^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(name)) return undefined;
  return {
    refused: "an app's name has letters, digits and _ only, and begins with a letter: expressions use it",
    code: "invalid",
    place: "name",
  };
}

const name_stem = "tenure_";

/** Was this name made from a label, for an app that was given none? */
export function isCustomName(name: string): boolean {
  return /^tenure_[a-z0-9]+_[0-9]+$/.test(name);
}

/** Okta's manner: the label squeezed to lower-case letters and digits, numbered where that is taken. */
export async function freeName(db: Database, label: string): Promise<string> {
  const squeezed =
    label
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, "")
      .slice(0, 60) || "app";
  const stem = `${name_stem}${squeezed}_`;
  const { rows } = await sql<{ n: number }>`
    select coalesce(max(substr(name, ${stem.length + 1})::int), 0) + 1 as n from apps
    where starts_with(name, ${stem}) and substr(name, ${stem.length + 1}) ~ '^[0-9]{1,6}$'`.execute(db);
  return `${stem}${rows[0]?.n ?? 1}`;
}
