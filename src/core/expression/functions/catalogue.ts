/**
 * Every function of the language by its name, gathered from the families beside this file. The checker, the suggestions,
 * the documentation and its test all read this one list.
 */
import { array_functions } from "./arrays.ts";
import { blank_functions } from "./blank.ts";
import { convert_functions } from "./convert.ts";
import type { FunctionDeclaration } from "./declaration.ts";
import { group_functions } from "./groups.ts";
import { iso3166_functions } from "./iso3166.ts";
import { linked_functions } from "./linked.ts";
import { string_functions } from "./string.ts";
import { time_functions } from "./time.ts";

export const functions: ReadonlyMap<string, FunctionDeclaration> = new Map(
  [
    ...[string_functions, array_functions, convert_functions, iso3166_functions],
    ...[group_functions, linked_functions, time_functions, blank_functions],
  ]
    .flat()
    .map((declaration) => [declaration.name, declaration]),
);

/** Names that stand before a dot in front of a function: `String`, `Arrays`, … */
export const namespaces: ReadonlySet<string> = new Set(
  [...functions.keys()].filter((name) => name.includes(".")).map((name) => name.split(".")[0]!),
);
