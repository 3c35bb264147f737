/**
 * Rows of a query as accounts. Numbers, truth values and lists of texts keep their kind; all else is the text that the
 * database writes for it, dates and times in ISO form. An empty value is no value.
 */
import { setOwn } from "../../core/profile.ts";
import type { Attribute, Value } from "../../core/types.ts";
import { ConnectorFault, type RemoteAccount } from "../connector.ts";
import { isEnabledBy } from "../rowForm.ts";
import type { SqlSettings } from "./config.ts";
import type { Field } from "./session.ts";

/** Numbers of PostgreSQL's own types (pg_type.dat), the same in every server. */
const bool = 16;
const integers = new Set([20, 21, 23]);
const floats = new Set([700, 701]);
const texts_list = new Set([1009, 1015]);

/** A row as an account, or why it is none. */
export type Read = RemoteAccount | Readonly<{ error: string }>;

/** Attribute → where its column stands. @throws ConnectorFault naming a column that the query does not give. */
export function placesOf(fields: readonly Field[], settings: SqlSettings): ReadonlyMap<string, number> {
  const at = new Map(fields.map(({ name }, n) => [name, n]));
  if (at.size < fields.length) {
    const double = fields.find(({ name }, n) => at.get(name) !== n);
    throw new ConnectorFault(
      "denied",
      `The query gives two columns named ${double?.name}: name one of them otherwise`,
      {
        attribute: "query",
      },
    );
  }
  const state = settings.enabled_column === undefined ? [] : [settings.enabled_column];
  for (const name of [settings.id_column, ...state, ...Object.values(settings.columns ?? {})]) {
    if (at.has(name)) continue;
    const there = [...at.keys()].slice(0, 30).join(", ");
    throw new ConnectorFault("denied", `The query gives no column named ${name}, but ${there}`, { attribute: "query" });
  }
  return new Map(
    settings.columns === undefined
      ? at
      : Object.entries(settings.columns).map(([name, column]) => [name, at.get(column) ?? 0]),
  );
}

/** What turns a query's rows into accounts; `places` as `placesOf` gives them. */
export function accountsUnder(
  fields: readonly Field[],
  places: ReadonlyMap<string, number>,
  settings: SqlSettings,
): (row: readonly unknown[], line: number) => Read {
  const at = (name: string | undefined) => fields.findIndex((field) => field.name === name);
  const [id_at, state_at] = [at(settings.id_column), at(settings.enabled_column)];
  const isEnabled = isEnabledBy(settings.enabled_values);
  return (row, line) => {
    const id = row[id_at];
    if (typeof id !== "string" || id === "") return { error: `column ${settings.id_column}: the id is empty` };
    const profile: Record<string, Value> = {};
    for (const [name, n] of places) {
      const value = cellValue(row[n], fields[n]?.type ?? 0);
      if (value !== undefined) setOwn(profile, name, value);
    }
    const state = state_at < 0 ? undefined : cellValue(row[state_at], fields[state_at]?.type ?? 0);
    const enabled = state_at < 0 || isEnabled(String(state ?? ""));
    return { id, profile, enabled, place: `row ${line}` };
  };
}

function cellValue(text: unknown, type: number): Value | undefined {
  if (typeof text !== "string" || text === "") return undefined;
  if (type === bool) return text === "t";
  if (integers.has(type)) return Number.isSafeInteger(Number(text)) ? Number(text) : text;
  if (floats.has(type)) return Number.isFinite(Number(text)) ? Number(text) : undefined;
  if (!texts_list.has(type)) return text;
  const list = textsOf(text);
  return list.length === 0 ? undefined : list;
}

/** The texts of an array as PostgreSQL writes it: `{a,"b \\"c\\"",NULL}`; of one dimension. */
function textsOf(text: string): string[] {
  const found: string[] = [];
  for (const [, quoted, plain] of text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,{}"]+)/g)) {
    if (quoted !== undefined) found.push(quoted.replaceAll(/\\(.)/g, "$1"));
    else if (plain !== undefined && plain !== "NULL") found.push(plain);
  }
  return found;
}

/** A column as an attribute. */
export function attributeOf(name: string, field: Field, { id_column }: SqlSettings): Attribute {
  const kinds: readonly [boolean, Attribute["type"]][] = [
    [field.type === bool, "boolean"],
    [integers.has(field.type), "integer"],
    [floats.has(field.type), "number"],
  ];
  const is_id = field.name === id_column;
  return {
    name,
    title: field.name,
    type: kinds.find(([yes]) => yes)?.[1] ?? "string",
    array: texts_list.has(field.type),
    required: is_id,
    writable: "never",
    readable: true,
    unique: is_id,
    case_exact: true,
    external_name: field.name,
  };
}
