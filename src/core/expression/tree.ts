/**
 * The syntax tree of an expression: what was written, not yet what it means. Nodes are frozen plain data tagged by
 * `kind`, each with the place where it starts, so that every later complaint can point at the text. `parse.ts` makes
 * them, `print.ts` writes them back, `check.ts` gives them meaning.
 */

/** A place in the text, both counted from 1. */
export type Position = Readonly<{ line: number; column: number }>;

/** What is wrong with an expression, where, and what to do about it. */
export type Problem = Readonly<{ message: string; line: number; column: number; hint?: string }>;

/** Either what was asked for, or everything that stands in its way. */
export type Judged<T> = Readonly<{ ok: T }> | Readonly<{ problems: readonly Problem[] }>;

export type BinaryOperator =
  | "?:"
  | "OR"
  | "AND"
  | "=="
  | "!="
  | "<"
  | ">"
  | "<="
  | ">="
  | "matches"
  | "+"
  | "-"
  | "*"
  | "/"
  | "%";

type At = Readonly<{ at: Position }>;

/** `'x'`, `12`, `true`, `null` */
export type LiteralNode = At & Readonly<{ kind: "literal"; value: string | number | boolean | null }>;
/** A name on its own: `user`, `appuser`, `String`, an app's name. */
export type NameNode = At & Readonly<{ kind: "name"; name: string }>;
/** `target.name` */
export type MemberNode = At & Readonly<{ kind: "member"; target: Node; name: string }>;
/** `name(…)` when `target` is null, else `target.name(…)`. */
export type CallNode = At & Readonly<{ kind: "call"; target: Node | null; name: string; args: readonly Node[] }>;
/** `target[index]` */
export type IndexNode = At & Readonly<{ kind: "index"; target: Node; index: Node }>;
/** `target.![a.b]`: the same path of every element. */
export type ProjectNode = At & Readonly<{ kind: "project"; target: Node; path: readonly string[] }>;
/** `{1, 2}` */
export type ListNode = At & Readonly<{ kind: "list"; items: readonly Node[] }>;
/** `{'group.type': {'OKTA_GROUP'}}` */
export type MapNode = At & Readonly<{ kind: "map"; entries: readonly Readonly<{ key: string; value: Node }>[] }>;
export type UnaryNode = At & Readonly<{ kind: "unary"; operator: "!" | "-"; operand: Node }>;
export type BinaryNode = At & Readonly<{ kind: "binary"; operator: BinaryOperator; left: Node; right: Node }>;
/** `condition ? then : otherwise` */
export type TernaryNode = At & Readonly<{ kind: "ternary"; condition: Node; then: Node; otherwise: Node }>;

export type Node =
  | LiteralNode
  | NameNode
  | MemberNode
  | CallNode
  | IndexNode
  | ProjectNode
  | ListNode
  | MapNode
  | UnaryNode
  | BinaryNode
  | TernaryNode;

/** The words that mean something between or before values, in any case; after a dot they are ordinary names. */
export const keywords: ReadonlySet<string> = new Set(["and", "or", "not", "true", "false", "null", "matches"]);

/** Can this be written as a bare name? Other attribute names are written `user["odd-name"]`. */
export function isPlainName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** A problem at a place. */
export function problem(at: Position, message: string, hint?: string): Problem {
  return hint === undefined
    ? { message, line: at.line, column: at.column }
    : { message, line: at.line, column: at.column, hint };
}
