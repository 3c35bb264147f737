/**
 * The front door of the expression language: text in, a checked expression out, which can be compiled for people one by
 * one or written as SQL for all of them at once. Mappings, group rules, push rules and user filters use this file and no
 * other of the folder (and `facts.ts`, `environment.ts` for their shapes). docs/expressions.md is the reference for authors.
 *
 *   const checked = checkExpression('user.department == "Sales"', { context: "rule", user: schema.attributes });
 *   if ("problems" in checked) …           // each: message, line, column, hint
 *   const rule = checked.ok.compile();     // once
 *   rule.test(facts);                      // for each person: true, false, or { error }
 */
import { check } from "./check.ts";
import { type Dependencies, dependenciesOf } from "./dependencies.ts";
import type { Environment } from "./environment.ts";
import { type Compiled, compile } from "./evaluate.ts";
import { parse } from "./parse.ts";
import { print } from "./print.ts";
import type { Limits } from "./scope.ts";
import { attributeSql, type Backend, backendOf, type SqlContext, type SqlText, writeSql } from "./sql.ts";
import type { Judged, Node } from "./tree.ts";
import type { Type } from "./types.ts";

export type { Dependencies } from "./dependencies.ts";
export type { Context, Environment, Shape } from "./environment.ts";
export type { Compiled, Result } from "./evaluate.ts";
export type { Facts, GroupFact, PersonFact } from "./facts.ts";
export { compileRegex, type Regex } from "./regex.ts";
export type { Backend, SqlContext, SqlText } from "./sql.ts";
export type { SqlType } from "./sql_writer.ts";
export type { Judged, Node, Problem } from "./tree.ts";
export type { Type } from "./types.ts";
export { attributeSql };

/** An expression that is right in its environment. Immutable; keep it as long as text and schemas stay the same. */
export type Checked = Readonly<{
  /** As the author wrote it. */
  text: string;
  /** The canonical spelling. */
  canonical: string;
  tree: Node;
  type: Type;
  dependencies: Dependencies;
  /** Where it can run: `sql` when SQL says exactly the same, else `closure` with the reason. */
  backend: Backend;
  /** Closures; make them once. */
  compile(limits?: Limits): Compiled;
  /** SQL text with parameters; null exactly when `backend` is a closure. */
  sql(context: SqlContext): SqlText | null;
}>;

/** The tree of a text, or the first syntax error. */
export function parseExpression(text: string): Judged<Node> {
  return parse(text);
}

/** Parses and checks: everything that is known before a person is looked at, or every problem that was found. */
export function checkExpression(text: string, environment: Environment): Judged<Checked> {
  const parsed = parse(text);
  if ("problems" in parsed) return parsed;
  const checked = check(parsed.ok, environment);
  if ("problems" in checked) return checked;
  const term = checked.ok;
  const backend = backendOf(term, environment.context);
  return {
    ok: Object.freeze({
      text,
      canonical: print(parsed.ok),
      tree: parsed.ok,
      type: term.type,
      dependencies: dependenciesOf(term),
      backend,
      compile: (limits?: Limits) => compile(term, limits),
      sql: (context: SqlContext) => (backend.kind === "sql" ? writeSql(term, context) : null),
    }),
  };
}
