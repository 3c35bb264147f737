/**
 * Rows of a query as accounts. Numbers, truth values and lists of texts keep their kind; all else is the text that the
 * database writes for it, dates and times in ISO form, alike in all databases where that can be. An empty value is no value.
 */
import { inKeptOrder, setOwn } from "../../core/profile.ts";
import type { Attribute, Value } from "../../core/types.ts";
import { ConnectorFault, type RemoteAccount } from "../connector.ts";
import { isEnabledBy } from "../rowForm.ts";
import type { SqlSettings } from "./config.ts";
import type { Cell, Field, Kind } from "./session.ts";

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
  const changed = settings.changed_column === undefined ? [] : [settings.changed_column];
  for (const name of [settings.id_column, ...state, ...changed, ...Object.values(settings.columns ?? {})]) {
    if (at.has(name)) continue;
    const there = [...at.keys()].slice(0, 30).join(", ");
    throw new ConnectorFault("denied", `The query gives no column named ${name}, but ${there}`, { attribute: "query" });
  }
  // A row that was only touched has not changed: when it was, is an attribute only for whoever names it as one.
  for (const name of settings.columns === undefined ? changed : []) at.delete(name);
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
): (row: readonly Cell[], line: number) => Read {
  const at = (name: string | undefined) => fields.findIndex((field) => field.name === name);
  const [id_at, state_at] = [at(settings.id_column), at(settings.enabled_column)];
  const isEnabled = isEnabledBy(settings.enabled_values);
  const attributes = inKeptOrder(places.keys()).map((name) => ({ name, n: places.get(name) ?? 0 }));
  return (row, line) => {
    const id = row[id_at];
    if (typeof id !== "string" || id === "") return { error: `column ${settings.id_column}: the id is empty` };
    const profile: Record<string, Value> = {};
    for (const { name, n } of attributes) {
      const value = cellValue(row[n], fields[n]?.kind);
      if (value !== undefined) setOwn(profile, name, value);
    }
    const state = state_at < 0 ? undefined : cellValue(row[state_at], fields[state_at]?.kind);
    const enabled = state_at < 0 || isEnabled(String(state ?? ""));
    return { id, profile, enabled, place: `row ${line}` };
  };
}

function cellValue(cell: Cell | undefined, kind: Kind | undefined): Value | undefined {
  if (cell === null || cell === undefined || typeof cell === "boolean") return cell ?? undefined;
  if (cell.length === 0) return undefined;
  if (kind === "integer") return Number.isSafeInteger(Number(cell)) ? Number(cell) : String(cell);
  if (kind === "number") return Number.isFinite(Number(cell)) ? Number(cell) : undefined;
  return typeof cell === "string" ? cell : [...cell];
}

const types: Readonly<Record<Kind, Attribute["type"]>> = {
  ...{ boolean: "boolean", integer: "integer", number: "number", texts: "string", text: "string" },
};

/** A column as an attribute. */
export function attributeOf(name: string, field: Field, { id_column }: SqlSettings): Attribute {
  const is_id = field.name === id_column;
  return {
    name,
    title: field.name,
    type: types[field.kind],
    array: field.kind === "texts",
    required: is_id,
    writable: "never",
    readable: true,
    unique: is_id,
    case_exact: true,
    external_name: field.name,
  };
}
