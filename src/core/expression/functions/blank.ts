/**
 * Ours, not Okta's: `isBlank` and `coalesce`. Okta's guides tell authors to test `== null` and `== ""` both, because a
 * value that was cleared is empty and one that never was is null; these two treat them alike.
 */
import type { Value } from "../../types.ts";
import { type Fragment, named, nothing, parameter, sql, type Writer } from "../sql_writer.ts";
import { either } from "../types.ts";
import { declare, type FunctionDeclaration, parameters } from "./declaration.ts";

const spaces = " \t\n\v\f\r";
const blank_text = /^[ \t\n\v\f\r]*$/;

/** Nothing to see: null, the empty text, only spaces, the empty list. */
export function isBlankValue(value: Value): boolean {
  if (value === null) return true;
  if (typeof value === "string") return blank_text.test(value);
  return Array.isArray(value) && value.length === 0;
}

const isBlank = declare<[Value]>({
  name: "isBlank",
  parameters: parameters({ value: "value" }),
  result: "boolean",
  nulls: { give: true },
  evaluate: (_, value) => isBlankValue(value),
  sql: (writer, value) => sql("boolean", blankTest(writer, value!, value!.text)),
  summary: "Is it null, empty, only spaces, or an empty list?",
  example: ['isBlank("  ")', true],
});

const coalesce = declare<[Value, ...Value[]]>({
  name: "coalesce",
  parameters: parameters({ value: "value" }),
  rest: parameters({ value: "value" }),
  result: (given) => given.reduce((left, right) => either(left, right)),
  nulls: "handled",
  evaluate: (_, ...values) => values.find((value) => !isBlankValue(value)) ?? null,
  sql: (writer, ...values) => {
    const known = values.filter((value) => value.constant !== null);
    if (known.length === 0) return nothing("text");
    const parts = known.map((value) => {
      const body = (given: string): string => `case when not ${blankTest(writer, value, given)} then ${given} end`;
      return named(writer, [value], body);
    });
    return sql(known[0]!.type, `coalesce(${parts.join(", ")})`);
  },
  summary: "The first value that is not blank; null when all are.",
  example: ['coalesce(null, "", "x")', "x"],
});

export const blank_functions: readonly FunctionDeclaration[] = [isBlank, coalesce];

/** True when `text`, which names the value, is blank; null when the value is null. */
function blankTest(writer: Writer, { type }: Fragment, text: string): string {
  if (type === "text") return `(translate(${text}, ${parameter(writer, "text", spaces).text}, '') = '')`;
  return type === "jsonb" ? `(${text} = '[]'::jsonb)` : `(${text} is null)`;
}
