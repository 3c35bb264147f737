/**
 * `String.*` and the bare names Okta had before them. One rule for nulls: a function that changes one text gives null for
 * null; one that joins takes null as empty; one that answers a question says no (or 0). Places count characters from 0,
 * the end is exclusive, and a place outside the text means its edge. Case is changed character by character, without
 * regard to language or neighbours, because that is what both back ends can do alike.
 */
import type { Value } from "../../types.ts";
import { charge, fits, type Scope } from "../scope.ts";
import {
  certain,
  condition,
  type Fragment,
  inexact,
  named,
  orElse,
  parameter,
  sql,
  type Writer,
} from "../sql_writer.ts";
import { characters, slice } from "../values.ts";
import { caseTable, toLowerCase, toUpperCase } from "./case.ts";
import { declare, type FunctionDeclaration, parameters } from "./declaration.ts";

const null_gives_null = { give: null } as const;
const null_gives_false = { give: false } as const;

/** What removeSpaces removes: space, tab, line feed, vertical tab, form feed, carriage return. */
const spaces = " \t\n\v\f\r";

const append = declare<[string | null, string | null]>({
  name: "String.append",
  parameters: parameters({ text: "string", suffix: "string" }),
  result: "string",
  nulls: "handled",
  evaluate: (scope, text, suffix) => joined(scope, [text, suffix], ""),
  sql: (_, text, suffix) => concatenation([text!, suffix!]),
  summary: "The text with the suffix after it; null counts as empty.",
  example: ['String.append("This is", " a test")', "This is a test"],
});

const join = declare<[string | null, ...(string | null)[]]>({
  name: "String.join",
  parameters: parameters({ separator: "string" }),
  rest: parameters({ text: "string" }),
  result: "string",
  nulls: "handled",
  evaluate: (scope, separator, ...texts) => joined(scope, texts, separator ?? ""),
  sql: (_, separator, ...texts) =>
    concatenation(texts.flatMap((text, index) => (index === 0 ? [text] : [separator!, text]))),
  summary: "The texts with the separator between them; null counts as empty.",
  example: ['String.join(",", "This", "is", "a", "test")', "This,is,a,test"],
});

const len = declare<[string]>({
  name: "String.len",
  parameters: parameters({ text: "string" }),
  result: "number",
  nulls: { give: 0 },
  evaluate: (_, text) => characters(text),
  sql: (_, text) => sql("float8", `char_length(${text!.text})::float8`),
  summary: "Number of characters; 0 for null.",
  example: ['String.len("This")', 4],
});

const removeSpaces = declare<[string]>({
  name: "String.removeSpaces",
  parameters: parameters({ text: "string" }),
  result: "string",
  nulls: null_gives_null,
  evaluate: (_, text) => text.replace(/[ \t\n\v\f\r]+/g, ""),
  sql: (writer, text) => sql("text", `translate(${text!.text}, ${parameter(writer, "text", spaces).text}, '')`),
  summary: "The text without spaces, tabs and line ends.",
  example: ['String.removeSpaces("This is a test")', "Thisisatest"],
});

const replace = declare<[string, string, string]>({
  name: "String.replace",
  parameters: parameters({ text: "string", match: "string", replacement: "string" }),
  result: "string",
  nulls: null_gives_null,
  evaluate: (scope, text, match, replacement) => {
    if (match === "") return text;
    const parts = text.split(match);
    if (!charge(scope, text.length)) return null;
    if (!fits(scope, text.length + (parts.length - 1) * (replacement.length - match.length))) return null;
    return parts.join(replacement);
  },
  sql: (_, text, match, replacement) => sql("text", `replace(${text!.text}, ${match!.text}, ${replacement!.text})`),
  summary: "Every occurrence of the match replaced; an empty match changes nothing.",
  example: ['String.replace("This is a test", "is", "at")', "That at a test"],
});

const replaceFirst = declare<[string, string, string]>({
  name: "String.replaceFirst",
  parameters: parameters({ text: "string", match: "string", replacement: "string" }),
  result: "string",
  nulls: null_gives_null,
  evaluate: (scope, text, match, replacement) => {
    const found = match === "" ? -1 : text.indexOf(match);
    if (found < 0) return text;
    if (!fits(scope, text.length + replacement.length)) return null;
    return text.slice(0, found) + replacement + text.slice(found + match.length);
  },
  sql: (writer, text, match, replacement) =>
    sql(
      "text",
      named(writer, [text!, match!, replacement!], (given, searched, put) => {
        const found = `strpos(${given}, ${searched})`;
        const changed = `substr(${given}, 1, ${found} - 1) || ${put} || substr(${given}, ${found} + char_length(${searched}))`;
        const nothing_to_do = `${found} = 0 or ${searched} = ''`;
        return `case when ${put} is null then null when ${nothing_to_do} then ${given} when ${found} > 0 then ${changed} end`;
      }),
    ),
  summary: "The first occurrence of the match replaced.",
  example: ['String.replaceFirst("This is a test", "is", "at")', "That is a test"],
});

const startsWith = declare<[string, string]>({
  name: "String.startsWith",
  parameters: parameters({ text: "string", start: "string" }),
  result: "boolean",
  nulls: null_gives_false,
  evaluate: (_, text, start) => text.startsWith(start),
  sql: (_, text, start) => condition(`starts_with(${text!.text}, ${start!.text})`),
  summary: "Does the text start so? Upper and lower case differ.",
  example: ['String.startsWith("Paris", "Pa")', true],
});

const endsWith = declare<[string, string]>({
  name: "String.endsWith",
  parameters: parameters({ text: "string", end: "string" }),
  result: "boolean",
  nulls: null_gives_false,
  evaluate: (_, text, end) => text.endsWith(end),
  sql: (writer, text, end) =>
    condition(named(writer, [text!, end!], (given, ending) => `right(${given}, char_length(${ending})) = ${ending}`)),
  summary: "Does the text end so? Upper and lower case differ.",
  example: ['String.endsWith("ada@example.com", "@example.com")', true],
});

const stringContains = declare<[string, string]>({
  name: "String.stringContains",
  parameters: parameters({ text: "string", searched: "string" }),
  result: "boolean",
  nulls: null_gives_false,
  evaluate: (scope, text, searched) => charge(scope, text.length) && text.includes(searched),
  sql: (_, text, searched) => condition(`strpos(${text!.text}, ${searched!.text}) > 0`),
  summary: "Is the searched text somewhere in the text? Upper and lower case differ.",
  example: ['String.stringContains("This is a test", "test")', true],
});

const stringSwitch = declare<[string | null, string | null, ...(string | null)[]]>({
  name: "String.stringSwitch",
  parameters: parameters({ text: "string", default: "string" }),
  rest: parameters({ key: "string", value: "string" }),
  result: "string",
  nulls: "handled",
  evaluate: (scope, text, otherwise, ...pairs) => {
    if (text === null) return otherwise;
    for (let index = 0; index < pairs.length; index += 2) {
      const key = pairs[index]!;
      if (!charge(scope, text.length)) return null;
      if (key !== null && text.includes(key)) return pairs[index + 1]!;
    }
    return otherwise;
  },
  sql: (writer, text, otherwise, ...pairs) =>
    sql(
      "text",
      named(writer, [text!], (given) => {
        const cases: string[] = [];
        for (let index = 0; index < pairs.length; index += 2) {
          cases.push(`when strpos(${given}, ${pairs[index]!.text}) > 0 then ${pairs[index + 1]!.text}`);
        }
        return cases.length === 0 ? otherwise!.text : `case ${cases.join(" ")} else ${otherwise!.text} end`;
      }),
    ),
  summary: "The value of the first key that is a part of the text, in the order written; else the default.",
  example: ['String.stringSwitch("Substrings count", "default", "ring", "value1")', "value1"],
});

const substring = declare<[string, number, number?]>({
  name: "String.substring",
  parameters: parameters({ text: "string", start: "number", end: "number" }),
  optional: 1,
  result: "string",
  nulls: null_gives_null,
  evaluate: (_, text, start, end) => slice(text, Math.trunc(start), Math.trunc(end ?? text.length)),
  sql: (writer, text, start, end) => {
    const from = wholePlace(start!);
    const to = end === undefined ? null : wholePlace(end);
    if (from === undefined || to === undefined) {
      return inexact(writer, "text", "String.substring with places that are not written as whole numbers");
    }
    const count = to === null ? "" : `, ${Math.max(0, to - from)}`;
    return sql("text", `substr(${text!.text}, ${from + 1}${count})`);
  },
  summary: "The characters from start (counted from 0) up to, not including, end; to the end when end is left out.",
  example: ['String.substring("This is a test", 2, 9)', "is is a"],
});

const substringAfter = declare<[string, string]>({
  name: "String.substringAfter",
  parameters: parameters({ text: "string", searched: "string" }),
  result: "string",
  nulls: null_gives_null,
  evaluate: (_, text, searched) => {
    const found = text.indexOf(searched);
    return found < 0 ? "" : text.slice(found + searched.length);
  },
  sql: (writer, text, searched) =>
    sql(
      "text",
      named(writer, [text!, searched!], (given, after) => {
        const found = `strpos(${given}, ${after})`;
        const rest = `substr(${given}, ${found} + char_length(${after}))`;
        return `case when ${found} = 0 then '' when ${found} > 0 then ${rest} end`;
      }),
    ),
  summary: "What follows the first occurrence; empty when there is none.",
  example: ['String.substringAfter("abc@okta.com", "@")', "okta.com"],
});

const substringBefore = declare<[string, string]>({
  name: "String.substringBefore",
  parameters: parameters({ text: "string", searched: "string" }),
  result: "string",
  nulls: null_gives_null,
  evaluate: (_, text, searched) => {
    const found = text.indexOf(searched);
    return found < 0 ? text : text.slice(0, found);
  },
  sql: (writer, text, searched) =>
    sql(
      "text",
      named(writer, [text!, searched!], (given, before) => {
        const found = `strpos(${given}, ${before})`;
        return `case when ${found} = 0 then ${given} when ${found} > 0 then substr(${given}, 1, ${found} - 1) end`;
      }),
    ),
  summary: "What precedes the first occurrence; the whole text when there is none.",
  example: ['String.substringBefore("abc@okta.com", "@")', "abc"],
});

const upper = declare<[string]>({
  name: "String.toUpperCase",
  parameters: parameters({ text: "string" }),
  result: "string",
  nulls: null_gives_null,
  evaluate: (scope, text) => bounded(scope, toUpperCase(text)),
  sql: (writer, text) => changedCase(writer, text!, "upper"),
  summary: "The text in capitals.",
  example: ['String.toUpperCase("This")', "THIS"],
});

const lower = declare<[string]>({
  name: "String.toLowerCase",
  parameters: parameters({ text: "string" }),
  result: "string",
  nulls: null_gives_null,
  evaluate: (scope, text) => bounded(scope, toLowerCase(text)),
  sql: (writer, text) => changedCase(writer, text!, "lower"),
  summary: "The text in small letters.",
  example: ['String.toLowerCase("ThiS")', "this"],
});

/** The same function under the bare name it had before namespaces; still in use everywhere. */
function legacy(declaration: FunctionDeclaration): FunctionDeclaration {
  const name = declaration.name.replace("String.", "");
  const example = [declaration.example[0].replace("String.", ""), declaration.example[1]] as const;
  return Object.freeze({ ...declaration, name, example, summary: `Older name of ${declaration.name}.` });
}

export const string_functions: readonly FunctionDeclaration[] = [
  ...[append, join, len, removeSpaces, replace, replaceFirst, startsWith, endsWith, stringContains, stringSwitch],
  ...[substring, substringAfter, substringBefore, upper, lower],
  ...[substring, substringAfter, substringBefore, upper, lower].map(legacy),
];

function joined(scope: Scope, texts: readonly (string | null)[], separator: string): Value {
  let result = "";
  for (let index = 0; index < texts.length; index += 1) {
    result += (index === 0 ? "" : separator) + (texts[index] ?? "");
    if (!fits(scope, result.length)) return null;
  }
  return result;
}

function bounded(scope: Scope, text: string): Value {
  return fits(scope, text.length) ? text : null;
}

/** Texts one after another, null as empty: what `+`, append and join are in SQL. */
export function concatenation(texts: readonly Fragment[]): Fragment {
  const parts = texts.map((text) => orElse(text, "''").text);
  return certain("text", parts.length === 0 ? "''" : parts.join(" || "));
}

/** A place that is known and whole, at least 0; undefined when it is not known. */
function wholePlace(place: Fragment): number | undefined {
  if (typeof place.constant !== "number") return undefined;
  return Math.min(Math.max(0, Math.trunc(place.constant)), 2 ** 30);
}

/**
 * Case in SQL: PostgreSQL's own `lower` outside ASCII depends on its version and locale, so it is only asked about ASCII
 * (which `collate "C"` fixes); other texts go through the table that the closures use.
 */
function changedCase(writer: Writer, text: Fragment, to: "upper" | "lower"): Fragment {
  const table = caseTable(to);
  const from = parameter(writer, "text", table.from).text;
  const into = parameter(writer, "text", table.to).text;
  const body = (given: string): string => {
    let mapped = `translate(${given}, ${from}, ${into})`;
    for (const [character, expansion] of table.longer) {
      mapped = `replace(${mapped}, ${parameter(writer, "text", character).text}, ${parameter(writer, "text", expansion).text})`;
    }
    const ascii = `octet_length(${given}) = char_length(${given})`;
    return `case when ${ascii} then ${to}(${given} collate "C") else ${mapped} end`;
  };
  return sql("text", named(writer, [text], body));
}
