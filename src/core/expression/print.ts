/**
 * Tree → canonical text: one spelling for each meaning, with only the parentheses that are needed. The law:
 * parsing what was printed gives the same tree (positions aside), and printing that gives the same text. Used to show,
 * compare and diff expressions.
 */
import { type BinaryOperator, isPlainName, keywords, type Node } from "./tree.ts";

/** Tightness of each form; a child looser than its place needs parentheses. Mirrors the levels of `parse.ts`. */
const level: Readonly<Record<BinaryOperator, number>> = {
  ...{ "?:": 0, OR: 1, AND: 2 },
  ...{ "==": 3, "!=": 3, "<": 3, ">": 3, "<=": 3, ">=": 3, matches: 3 },
  ...{ "+": 4, "-": 4, "*": 5, "/": 5, "%": 5 },
};
const unary_level = 6;
const postfix_level = 7;

/** The canonical text of a tree. */
export function print(node: Node): string {
  switch (node.kind) {
    case "literal":
      return typeof node.value === "string" ? printText(node.value) : String(node.value);
    case "name":
      return node.name;
    case "member":
      return `${within(node.target, postfix_level)}.${node.name}`;
    case "call":
      return `${node.target ? `${within(node.target, postfix_level)}.` : ""}${node.name}(${printAll(node.args)})`;
    case "index":
      return `${within(node.target, postfix_level)}[${print(node.index)}]`;
    case "project":
      return `${within(node.target, postfix_level)}.![${node.path.join(".")}]`;
    case "list":
      return `{${printAll(node.items)}}`;
    case "map":
      return `{${node.entries.map(({ key, value }) => `${printText(key)}: ${print(value)}`).join(", ")}}`;
    case "unary":
      return `${node.operator}${within(node.operand, unary_level)}`;
    case "binary":
      return printBinary(node.operator, node.left, node.right);
    case "ternary":
      return `${within(node.condition, 1)} ? ${print(node.then)} : ${print(node.otherwise)}`;
    default:
      return node satisfies never;
  }
}

/** A text as a literal of the language, in double quotes. */
export function printText(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** `root.name`, or `root["odd name"]` when the name cannot stand bare. */
export function printAttribute(root: string, name: string): string {
  return isPlainName(name) && !keywords.has(name.toLowerCase()) ? `${root}.${name}` : `${root}[${printText(name)}]`;
}

function printBinary(operator: BinaryOperator, left: Node, right: Node): string {
  const own = level[operator];
  // Comparisons do not chain, so both sides must be tighter; `?:` leans right; the rest lean left.
  const left_level = own === 3 || own === 0 ? own + 1 : own;
  const right_level = own === 0 ? 0 : own + 1;
  return `${within(left, left_level)} ${operator} ${within(right, right_level)}`;
}

function printAll(nodes: readonly Node[]): string {
  return nodes.map(print).join(", ");
}

function within(node: Node, lowest: number): string {
  const text = print(node);
  return levelOf(node) < lowest ? `(${text})` : text;
}

function levelOf(node: Node): number {
  if (node.kind === "binary") return level[node.operator];
  if (node.kind === "ternary") return 0;
  return node.kind === "unary" ? unary_level : postfix_level;
}
