/**
 * `Convert.*`: texts to numbers. What is not a number gives null, so that a mapping's *when empty* decides, instead of
 * failing the whole account as Okta does. A number is a sign, up to 15 digits and up to 15 decimals: within this a
 * double is exact enough that both back ends round alike.
 */
import type { Value } from "../../types.ts";
import { type Fragment, named, parameter, sql, type Writer } from "../sql_writer.ts";
import { declare, type FunctionDeclaration, parameters } from "./declaration.ts";

/** Read by JavaScript and by PostgreSQL alike. */
const number_pattern = "^[+-]?[0-9]{1,15}([.][0-9]{1,15})?$";
const number_regex = new RegExp(number_pattern);

const toInt = declare<[Value]>({
  name: "Convert.toInt",
  parameters: parameters({ value: "value" }),
  result: "number",
  nulls: { give: null },
  evaluate: (_, value) => {
    const number = toNumber(value);
    return number === null ? null : Math.floor(number + 0.5);
  },
  sql: (writer, value) => {
    const number = numberInSql(writer, value!);
    return sql("float8", `floor(${number.text} + 0.5::float8)`);
  },
  summary: "The nearest whole number (halves go up); null when the text is not a number.",
  example: ["Convert.toInt(123.6)", 124],
});

const toNum = declare<[Value]>({
  name: "Convert.toNum",
  parameters: parameters({ value: "value" }),
  result: "number",
  nulls: { give: null },
  evaluate: (_, value) => toNumber(value),
  sql: (writer, value) => numberInSql(writer, value!),
  summary: "The number that the text holds; null when it holds none.",
  example: ['Convert.toNum("12.5")', 12.5],
});

export const convert_functions: readonly FunctionDeclaration[] = [toInt, toNum];

function toNumber(value: Value): number | null {
  if (typeof value === "number") return value;
  return typeof value === "string" && number_regex.test(value) ? Number(value) + 0 : null;
}

function numberInSql(writer: Writer, value: Fragment): Fragment {
  if (value.type === "float8") return value;
  if (value.type !== "text") return sql("float8", "null::float8");
  const pattern = parameter(writer, "text", number_pattern).text;
  const body = (text: string): string => `case when ${text} ~ ${pattern} then ${text}::float8 end`;
  return sql("float8", named(writer, [value], body));
}
