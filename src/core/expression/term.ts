/**
 * The checked tree: what an expression means. Every name is resolved, every sugar gone, every conversion explicit, every
 * term typed. Both back ends (`evaluate.ts`, `sql.ts`) and `dependencies.ts` read this one tree, so they cannot disagree
 * about what was written. Made by `check.ts` only.
 */
import type { Value } from "../types.ts";
import type { DirectoryKind } from "./facts.ts";
import type { FunctionDeclaration } from "./functions/declaration.ts";
import type { Regex } from "./regex.ts";
import type { Position } from "./tree.ts";
import type { Type } from "./types.ts";

/** Whom a relation leads to, seen from the user. */
export type Relation =
  | Readonly<{ relation: "manager" | "assistant"; source: string }>
  | Readonly<{ relation: "link"; name: string }>;

/** Whose attribute is read. */
export type Origin =
  | Readonly<{ from: "user" | "appuser" | "source" | "app" | "org" | "group" }>
  | Readonly<{ from: "account" | "app_named"; app: string }>
  | Readonly<{ from: "directory"; directory: DirectoryKind }>
  | Readonly<{ from: "person"; person: Relation }>
  | Readonly<{ from: "person_account"; person: Relation; app: string }>;

/** One `{…}` of `user.getGroups`: every key must match, by any of its values. */
export type Criterion = Readonly<{ key: CriterionKey; exact: boolean; values: Term }>;
export type CriterionKey = "group.id" | "group.source.id" | "group.type" | "group.profile.name";

type Base = Readonly<{ type: Type; at: Position }>;

export type Term =
  | (Base & Readonly<{ kind: "constant"; value: Value }>)
  | (Base & Readonly<{ kind: "read"; origin: Origin; name: string }>)
  | (Base & Readonly<{ kind: "internal"; of: "user" | "group"; name: "id" | "status" | "type" }>)
  | (Base & Readonly<{ kind: "call"; declaration: FunctionDeclaration; args: readonly Term[] }>)
  | (Base & Readonly<{ kind: "groups"; criteria: readonly Criterion[] }>)
  | (Base & Readonly<{ kind: "matches"; operand: Term; regex: Regex }>)
  | (Base & Readonly<{ kind: "not"; operand: Term }>)
  | (Base & Readonly<{ kind: "and" | "or"; left: Term; right: Term }>)
  | (Base & Readonly<{ kind: "equal"; by: "value" | "date"; left: Term; right: Term }>)
  | (Base &
      Readonly<{ kind: "order"; by: "text" | "number" | "date" | "any"; operator: Order; left: Term; right: Term }>)
  | (Base & Readonly<{ kind: "concat"; left: Term; right: Term }>)
  | (Base & Readonly<{ kind: "arithmetic"; operator: Arithmetic; left: Term; right: Term }>)
  | (Base & Readonly<{ kind: "plus"; left: Term; right: Term }>)
  | (Base & Readonly<{ kind: "choose"; condition: Term; then: Term; otherwise: Term }>)
  | (Base & Readonly<{ kind: "elvis"; left: Term; right: Term }>)
  | (Base & Readonly<{ kind: "list"; items: readonly Term[] }>)
  | (Base & Readonly<{ kind: "index"; list: Term; index: Term }>)
  | (Base & Readonly<{ kind: "member"; target: Term; path: readonly string[] }>)
  | (Base & Readonly<{ kind: "project"; list: Term; path: readonly string[] }>)
  /** A value of any kind taken as `type`: null when it is not of it. */
  | (Base & Readonly<{ kind: "as"; operand: Term }>)
  /** A number or truth value written as text; null stays null. */
  | (Base & Readonly<{ kind: "text"; operand: Term }>)
  /** A comma-separated text as a list. */
  | (Base & Readonly<{ kind: "split"; operand: Term }>);

export type Order = "<" | ">" | "<=" | ">=";
export type Arithmetic = "+" | "-" | "*" | "/" | "%";

/** The terms directly below a term, in the order they are written. */
export function children(term: Term): readonly Term[] {
  switch (term.kind) {
    case "constant":
    case "read":
    case "internal":
      return [];
    case "call":
      return term.args;
    case "groups":
      return term.criteria.map((criterion) => criterion.values);
    case "list":
      return term.items;
    case "index":
      return [term.list, term.index];
    case "choose":
      return [term.condition, term.then, term.otherwise];
    case "member":
      return [term.target];
    case "project":
      return [term.list];
    case "not":
    case "matches":
    case "as":
    case "text":
    case "split":
      return [term.operand];
    default:
      return [term.left, term.right];
  }
}

/** The term and everything below it, in no particular order. A list, not recursion: chains may be hundreds of terms deep. */
export function walk(term: Term): readonly Term[] {
  const found: Term[] = [term];
  for (let index = 0; index < found.length; index += 1) found.push(...children(found[index]!));
  return found;
}
