/**
 * `Arrays.*`. A list may be an array attribute, `{1, 2}`, or a comma-separated text (split at the commas, nothing trimmed).
 * Null is the empty list: its size is 0, it is empty, it contains nothing, and adding to it starts one. Positions count
 * from 0; a position outside the list gives null. `Arrays.get` is the same as `list[position]` and lives in the checker.
 */
import type { Value } from "../../types.ts";
import { charge, fits } from "../scope.ts";
import { condition, type Fragment, inexact, named, sql, type Writer } from "../sql_writer.ts";
import { either, isList, listOf, type Type } from "../types.ts";
import { isArray, same, textOf } from "../values.ts";
import { declare, type FunctionDeclaration, parameters } from "./declaration.ts";

type List = readonly Value[];

function elementOf(type: Type | undefined): Type {
  if (type === undefined || type === "null") return "null";
  if (isList(type)) return type.list;
  return type === "string" || type === "date" ? "string" : "any";
}

const add = declare<[List | null, Value]>({
  name: "Arrays.add",
  parameters: parameters({ list: "list", value: "value" }),
  result: ([list, value]) => listOf(either(elementOf(list), value!)),
  nulls: "handled",
  evaluate: (scope, list, value) => {
    const grown = (list?.length ?? 0) + 1;
    return charge(scope, grown) && fits(scope, grown) ? [...(list ?? []), value] : null;
  },
  summary: "The list with the value at its end.",
  example: ["Arrays.add({10, 20, 30}, 40)", [10, 20, 30, 40]],
});

const remove = declare<[List | null, Value]>({
  name: "Arrays.remove",
  parameters: parameters({ list: "list", value: "value" }),
  result: ([list]) => listOf(elementOf(list)),
  nulls: "handled",
  evaluate: (scope, list, value) =>
    charge(scope, list?.length ?? 0) ? (list ?? []).filter((item) => !same(item, value)) : null,
  summary: "The list without every element equal to the value.",
  example: ["Arrays.remove({10, 20, 30}, 20)", [10, 30]],
});

const clear = declare<[List | null]>({
  name: "Arrays.clear",
  parameters: parameters({ list: "list" }),
  result: ([list]) => listOf(elementOf(list)),
  nulls: "handled",
  evaluate: () => [],
  summary: "The empty list.",
  example: ["Arrays.clear({10, 20, 30})", []],
});

const flatten = declare<Value[]>({
  name: "Arrays.flatten",
  parameters: [],
  rest: parameters({ value: "value" }),
  result: (given) =>
    listOf(given.map((type) => (isList(type) ? type.list : type)).reduce((left, right) => either(left, right), "null")),
  nulls: "handled",
  evaluate: (scope, ...values) => {
    const flat: Value[] = [];
    for (const value of values) {
      if (!charge(scope, isArray(value) ? value.length : 1)) return null;
      if (isArray(value)) flat.push(...value);
      else if (value !== null) flat.push(value);
      if (!fits(scope, flat.length)) return null;
    }
    return flat;
  },
  summary: "One list of all the values and of the elements of all the lists; nulls are left out.",
  example: ["Arrays.flatten(10, {20, 30}, 40)", [10, 20, 30, 40]],
});

const contains = declare<[List | null, Value]>({
  name: "Arrays.contains",
  parameters: parameters({ list: "list", value: "value" }),
  result: "boolean",
  nulls: { give: false },
  evaluate: (scope, list, value) => charge(scope, list!.length) && list!.some((item) => same(item, value)),
  sql: (writer, list, value) => listContains(writer, list!, value!),
  summary: "Is one element equal to the value?",
  example: ["Arrays.contains({10, 20, 30}, 10)", true],
});

const size = declare<[List]>({
  name: "Arrays.size",
  parameters: parameters({ list: "list" }),
  result: "number",
  nulls: { give: 0 },
  evaluate: (_, list) => list.length,
  sql: (_, list) => sql("float8", `jsonb_array_length(${list!.text})::float8`),
  summary: "Number of elements; 0 for null.",
  example: ["Arrays.size(null)", 0],
});

const isEmpty = declare<[List]>({
  name: "Arrays.isEmpty",
  parameters: parameters({ list: "list" }),
  result: "boolean",
  nulls: { give: true },
  evaluate: (_, list) => list.length === 0,
  sql: (_, list) => sql("boolean", `jsonb_array_length(${list!.text}) = 0`),
  summary: "Has the list no elements? True for null.",
  example: ["Arrays.isEmpty(null)", true],
});

const toCsvString = declare<[List]>({
  name: "Arrays.toCsvString",
  parameters: parameters({ list: "list" }),
  result: "string",
  nulls: { give: null },
  evaluate: (scope, list) => {
    if (!charge(scope, list.length)) return null;
    let text = "";
    for (let index = 0; index < list.length; index += 1) {
      text += (index === 0 ? "" : ",") + (textOf(list[index]!) ?? "");
      if (!fits(scope, text.length)) return null;
    }
    return text;
  },
  summary: "The elements as one text with commas between them.",
  example: ['Arrays.toCsvString({"This", "is", " a ", "test"})', "This,is, a ,test"],
});

export const array_functions: readonly FunctionDeclaration[] = [
  ...[add, remove, clear, flatten, contains, size, isEmpty, toCsvString],
];

/** `@>` finds a scalar among an array's elements; for lists and objects it would also find parts, so those are refused. */
function listContains(writer: Writer, list: Fragment, value: Fragment): Fragment {
  if (value.type === "jsonb")
    return inexact(writer, "boolean", "Arrays.contains with a list or an object as the value");
  return condition(`${list.text} @> to_jsonb(${value.text})`);
}

/** `list[index]` in SQL for a written index: the element as jsonb; null outside the list. */
export function elementAt(writer: Writer, list: Fragment, index: Fragment): Fragment {
  const place = index.constant;
  // `-> -1` counts from the end in PostgreSQL; the language has no such places.
  if (typeof place !== "number") return inexact(writer, "jsonb", "a list position that is not written as a number");
  if (!Number.isInteger(place) || place < 0 || place > 2 ** 30) return sql("jsonb", "null::jsonb");
  return sql(
    "jsonb",
    named(writer, [list], (given) => `(${given} -> ${place})`),
  );
}

/** The list fragment of a comma-separated text. */
export function splitInSql(text: Fragment): Fragment {
  return sql("jsonb", `to_jsonb(string_to_array(${text.text}, ','))`);
}
