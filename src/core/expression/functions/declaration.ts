/**
 * What a function of the language is: one declaration that the checker, both back ends and the documentation read.
 * A family of functions is one file of declarations beside this one; `catalogue.ts` lists them all. To add a function,
 * write its declaration: nothing else names it.
 */
import type { Value } from "../../types.ts";
import type { Scope } from "../scope.ts";
import type { Fragment, Writer } from "../sql_writer.ts";
import type { Type } from "../types.ts";

/**
 * What an argument must be. `list` also takes a comma-separated text; `string` also takes numbers and truth values,
 * written as text; `date` takes any text. `value` takes anything.
 */
export type ParameterType = "string" | "number" | "boolean" | "date" | "list" | "groups" | "value";

export type Parameter = Readonly<{ name: string; type: ParameterType }>;

export type FunctionDeclaration = Readonly<{
  /** As written: `String.append`, `isBlank`. */
  name: string;
  parameters: readonly Parameter[];
  /** How many of `parameters`, from the end, may be left out. */
  optional?: number;
  /** More arguments may follow, in turns of these (one, or a key and a value). */
  rest?: readonly Parameter[];
  /** The type of the result, or how the types of the arguments give it. */
  result: Type | ((given: readonly Type[]) => Type);
  /** What a null argument does: the whole call gives this, or `handled`: the function sees the null. */
  nulls: Readonly<{ give: Value }> | "handled";
  /** The result changes as time passes, though no fact does. */
  clock?: true;
  /** Reads the groups the user is in; names which way, for dependencies. */
  groups?: "id" | "name" | "prefix" | "part" | "pattern" | "any";
  /** Reads which accounts the user has. */
  accounts?: "active_directory" | "workday";
  /** Further demands on the written arguments: gives what is wrong, or null. */
  refuse?(constants: readonly (Value | undefined)[]): string | null;
  evaluate(scope: Scope, ...given: readonly Value[]): Value;
  /** The same in SQL, exactly. Absent: only a closure can say it. */
  sql?(writer: Writer, ...given: readonly Fragment[]): Fragment;
  /** For docs/expressions.md and the console: one line, and an example with its result. */
  summary: string;
  example: readonly [expression: string, result: Value];
}>;

type Typed<Given extends readonly unknown[]> = Omit<FunctionDeclaration, "evaluate"> &
  Readonly<{ evaluate(scope: Scope, ...given: Given): Value }>;

/**
 * Declares a function whose arguments have the types of `Given`. The cast is sound because the checker converts every
 * argument to its parameter's type, and nulls reach `evaluate` only where the declaration says `handled`.
 */
export function declare<Given extends readonly unknown[]>(declaration: Typed<Given>): FunctionDeclaration {
  return Object.freeze(declaration) as unknown as FunctionDeclaration;
}

/** Parameters from `name: type` pairs, in order. */
export function parameters(named: Readonly<Record<string, ParameterType>>): readonly Parameter[] {
  return Object.entries(named).map(([name, type]) => ({ name, type }));
}
