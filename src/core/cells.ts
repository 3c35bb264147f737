/**
 * Cells of a file as values of attributes. A cell is text; the attribute says what it stands for: a number, true or
 * false, a list (parted by semicolons, or as JSON), an object as JSON. An empty cell is no value. Pure.
 *
 * Law: what is no value of its type is refused, never guessed at; whether the value may be is for the schema to say.
 * Called by engine/peopleFile.ts.
 */
import type { Attribute, Outcome, Value } from "./types.ts";

const decimal = /^[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d{1,3})?$/i;

/** The value that a cell stands for; null: none. */
export function readCell(attribute: Pick<Attribute, "name" | "type" | "array">, cell: string): Outcome<Value> {
  if (cell === "") return { ok: null };
  if (!attribute.array) return readOne(attribute, cell);
  if (/^\s*\[/.test(cell)) {
    const list = parsed(cell);
    return Array.isArray(list) ? { ok: list } : wrong(attribute, "begins like a list of JSON and is none");
  }
  const values: Value[] = [];
  for (const part of cell.split(";").map((text) => text.trim())) {
    if (part === "") continue;
    const value = readOne(attribute, part);
    if (!("ok" in value)) return value;
    values.push(value.ok);
  }
  return { ok: values };
}

function readOne(attribute: Pick<Attribute, "name" | "type">, text: string): Outcome<Value> {
  switch (attribute.type) {
    case "number":
    case "integer":
      return decimal.test(text.trim())
        ? { ok: Number(text) }
        : wrong(attribute, "takes a number, as in 12 or 12.5, without separators of thousands");
    case "boolean": {
      const word = text.trim().toLowerCase();
      return word === "true" || word === "false" ? { ok: word === "true" } : wrong(attribute, "takes true or false");
    }
    case "object": {
      const value = parsed(text);
      return value === null || value === undefined || typeof value !== "object" || Array.isArray(value)
        ? wrong(attribute, "takes an object of JSON")
        : { ok: value };
    }
    default:
      return { ok: text };
  }
}

function parsed(text: string): Value | undefined {
  try {
    return JSON.parse(text) as Value;
  } catch {
    return undefined;
  }
}

function wrong({ name }: Pick<Attribute, "name">, problem: string): Outcome<never> {
  return { refused: `${name}: ${problem}`, code: "invalid", place: name };
}
