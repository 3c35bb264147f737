/**
 * Tokens → tree, by precedence climbing. From loosest to tightest: `? :` and `?:` (right to left), OR, AND,
 * comparisons (which do not chain), `+ -`, `* / %`, `!` and unary `-`, then `.name`, `.name(…)`, `[…]`, `.![…]`.
 * SpEL's words for operators (`eq`, `ne`, `lt`, `le`, `gt`, `ge`, `div`, `mod`, `not`) are read as the operators.
 * Problems are values: the parser stops at the first one. The tree is bounded in nodes and nesting (`limits.ts`).
 */
import { type Token, tokenize } from "./lexer.ts";
import { depth_max, nodes_max } from "./limits.ts";
import { type BinaryOperator, type Judged, keywords, type Node, type Position, type Problem, problem } from "./tree.ts";

/** Where the parser stands. The only mutable thing here; it lives for one call of `parse`. */
type State = {
  readonly tokens: readonly Token[];
  index: number;
  nodes: number;
  depth: number;
  problem: Problem | null;
};

/** The tree of `text`, or the first problem with line, column and what to do. */
export function parse(text: string): Judged<Node> {
  const tokens = tokenize(text);
  if ("problems" in tokens) return tokens;
  const state: State = { tokens: tokens.ok, index: 0, nodes: 0, depth: 0, problem: null };
  const node = parseExpression(state);
  if (node && peek(state).kind !== "end") complain(state, peek(state).at, unexpected(peek(state)), afterValue(state));
  return node && !state.problem ? { ok: node } : { problems: [state.problem!] };
}

const binary: ReadonlyMap<string, readonly [BinaryOperator, level: number]> = new Map([
  ...entries(1, { or: "OR", "||": "OR" }),
  ...entries(2, { and: "AND", "&&": "AND" }),
  ...entries(3, { "==": "==", "!=": "!=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", matches: "matches" }),
  ...entries(3, { eq: "==", ne: "!=", lt: "<", gt: ">", le: "<=", ge: ">=" }),
  ...entries(4, { "+": "+", "-": "-" }),
  ...entries(5, { "*": "*", "/": "/", "%": "%", div: "/", mod: "%" }),
]);

const comparison_level = 3;

function entries(level: number, names: Record<string, BinaryOperator>): [string, [BinaryOperator, number]][] {
  return Object.entries(names).map(([name, operator]) => [name, [operator, level]]);
}

function parseExpression(state: State): Node | null {
  if (state.depth >= depth_max) {
    const hint = "Split it into several attributes or rules.";
    return complain(state, peek(state).at, `The expression is nested more than ${depth_max} levels deep.`, hint);
  }
  state.depth += 1;
  const node = parseChoice(state);
  state.depth -= 1;
  return node;
}

function parseChoice(state: State): Node | null {
  const condition = parseBinary(state, 1);
  if (!condition) return null;
  if (accept(state, "?:")) {
    const right = parseExpression(state);
    return right && make(state, { kind: "binary", operator: "?:", left: condition, right, at: condition.at });
  }
  if (!accept(state, "?")) return condition;
  const then = parseExpression(state);
  if (!then) return null;
  if (!accept(state, ":")) {
    return complain(state, peek(state).at, "The condition has no : part.", "Write condition ? value : otherwise.");
  }
  const otherwise = parseExpression(state);
  return otherwise && make(state, { kind: "ternary", condition, then, otherwise, at: condition.at });
}

function parseBinary(state: State, lowest: number): Node | null {
  let left = parseUnary(state);
  let compared = false;
  while (left) {
    const token = peek(state);
    const found = binaryAt(token);
    if (!found || found[1] < lowest) return left;
    const [operator, level] = found;
    if (level === comparison_level && compared) {
      return complain(state, token.at, "Comparisons cannot be chained.", "Join two comparisons with AND or OR.");
    }
    state.index += 1;
    const right: Node | null = parseBinary(state, level + 1);
    left = right && make(state, { kind: "binary", operator, left, right, at: left.at });
    compared = level === comparison_level;
  }
  return null;
}

function binaryAt(token: Token): readonly [BinaryOperator, number] | undefined {
  if (token.kind === "symbol") return binary.get(token.value);
  return token.kind === "name" ? binary.get(token.value.toLowerCase()) : undefined;
}

function parseUnary(state: State): Node | null {
  const token = peek(state);
  const not = isSymbol(token, "!") || (token.kind === "name" && token.value.toLowerCase() === "not");
  if (!not && !isSymbol(token, "-")) {
    const primary = parsePrimary(state);
    return primary && parsePostfix(state, primary);
  }
  state.index += 1;
  state.depth += 1;
  // `! ! ! …` nests without parentheses, so it is counted here.
  const operand = state.depth > depth_max ? parseExpression(state) : parseUnary(state);
  state.depth -= 1;
  return operand && make(state, { kind: "unary", operator: not ? "!" : "-", operand, at: token.at });
}

function parsePrimary(state: State): Node | null {
  const token = peek(state);
  state.index += 1;
  if (token.kind === "text" || token.kind === "number") {
    return make(state, { kind: "literal", value: token.value, at: token.at });
  }
  if (token.kind === "name") return parseName(state, token.value, token.at);
  if (isSymbol(token, "(")) {
    const inner = parseExpression(state);
    if (!inner) return null;
    return expect(state, ")", "This parenthesis is not closed.", token.at) ? inner : null;
  }
  if (isSymbol(token, "{")) return parseBraces(state, token.at);
  state.index -= 1;
  const before = state.tokens[state.index - 1];
  const hint = before ? `A value is missing after ${show(before)}.` : "Start with a value, such as user.email.";
  return complain(state, token.at, unexpected(token), hint);
}

const constants: ReadonlyMap<string, boolean | null> = new Map([
  ["true", true],
  ["false", false],
  ["null", null],
]);

function parseName(state: State, name: string, at: Position): Node | null {
  if (isSymbol(peek(state), "(")) {
    const args = parseArguments(state);
    return args && make(state, { kind: "call", target: null, name, args, at });
  }
  const lower = name.toLowerCase();
  const constant = constants.get(lower);
  if (constant !== undefined) return make(state, { kind: "literal", value: constant, at });
  if (keywords.has(lower)) {
    return complain(state, at, `Unexpected ${name}`, `${name.toUpperCase()} stands between two values.`);
  }
  return make(state, { kind: "name", name, at });
}

function parsePostfix(state: State, first: Node): Node | null {
  let node: Node | null = first;
  while (node) {
    if (accept(state, ".")) node = parseMember(state, node);
    else if (accept(state, "[")) {
      const index = parseExpression(state);
      if (!index || !expect(state, "]", "This [ is not closed.", node.at)) return null;
      node = make(state, { kind: "index", target: node, index, at: node.at });
    } else return node;
  }
  return null;
}

function parseMember(state: State, target: Node): Node | null {
  const token = peek(state);
  if (isSymbol(token, "!")) return parseProjection(state, target);
  if (token.kind !== "name") {
    return complain(state, token.at, "A name is missing after the dot.", "Write the attribute, such as user.email.");
  }
  state.index += 1;
  if (!isSymbol(peek(state), "(")) {
    return make(state, { kind: "member", target, name: token.value, at: target.at });
  }
  const args = parseArguments(state);
  return args && make(state, { kind: "call", target, name: token.value, args, at: target.at });
}

function parseProjection(state: State, target: Node): Node | null {
  const at = peek(state).at;
  state.index += 1;
  if (!expect(state, "[", "A projection is written .![name].", at)) return null;
  const path: string[] = [];
  do {
    const token = peek(state);
    if (token.kind !== "name") {
      return complain(state, token.at, unexpected(token), "Name what to take of each element: .![profile.name]");
    }
    path.push(token.value);
    state.index += 1;
  } while (accept(state, "."));
  if (!expect(state, "]", "This .![ is not closed.", at)) return null;
  return make(state, { kind: "project", target, path: Object.freeze(path), at: target.at });
}

function parseArguments(state: State): readonly Node[] | null {
  const open = peek(state).at;
  state.index += 1;
  return parseItems(state, ")", open);
}

function parseItems(state: State, close: string, open: Position): readonly Node[] | null {
  const items: Node[] = [];
  if (accept(state, close)) return Object.freeze(items);
  do {
    const item = parseExpression(state);
    if (!item) return null;
    items.push(item);
  } while (accept(state, ","));
  return expect(state, close, `This ${close === ")" ? "(" : "{"} is not closed.`, open) ? Object.freeze(items) : null;
}

/** `{…}` is a map when a text and a colon come first, else a list. */
function parseBraces(state: State, at: Position): Node | null {
  const key = peek(state);
  const colon = state.tokens[state.index + 1];
  if (key.kind === "text" && colon && isSymbol(colon, ":")) return parseMap(state, at);
  const items = parseItems(state, "}", at);
  return items && make(state, { kind: "list", items, at });
}

function parseMap(state: State, at: Position): Node | null {
  const pairs: Readonly<{ key: string; value: Node }>[] = [];
  do {
    const key = peek(state);
    if (key.kind !== "text") return complain(state, key.at, unexpected(key), "Write 'key': value.");
    state.index += 1;
    if (!expect(state, ":", "A key is followed by a colon.", key.at)) return null;
    const value = parseExpression(state);
    if (!value) return null;
    pairs.push(Object.freeze({ key: key.value, value }));
  } while (accept(state, ","));
  if (!expect(state, "}", "This { is not closed.", at)) return null;
  return make(state, { kind: "map", entries: Object.freeze(pairs), at });
}

function make(state: State, node: Node): Node | null {
  state.nodes += 1;
  if (state.nodes > nodes_max) {
    return complain(state, node.at, `The expression has more than ${nodes_max} parts.`, "Split it into several.");
  }
  return Object.freeze(node);
}

function peek(state: State): Token {
  return state.tokens[Math.min(state.index, state.tokens.length - 1)]!;
}

function isSymbol(token: Token, symbol: string): boolean {
  return token.kind === "symbol" && token.value === symbol;
}

function accept(state: State, symbol: string): boolean {
  if (!isSymbol(peek(state), symbol)) return false;
  state.index += 1;
  return true;
}

/** Takes `symbol`, or complains about what stands in its place. */
function expect(state: State, symbol: string, message: string, open: Position): boolean {
  if (accept(state, symbol)) return true;
  const token = peek(state);
  const opened = `It was opened at line ${open.line}, column ${open.column}.`;
  complain(state, token.at, `${message} Expected ${symbol} but found ${show(token)}.`, opened);
  return false;
}

function complain(state: State, at: Position, message: string, hint?: string): null {
  state.problem ??= problem(at, message, hint);
  return null;
}

function unexpected(token: Token): string {
  return token.kind === "end" ? "The expression ends too early." : `Unexpected ${show(token)}.`;
}

function show(token: Token): string {
  if (token.kind === "end") return "the end";
  return token.kind === "text" ? `the text "${token.value.slice(0, 40)}"` : String(token.value);
}

function afterValue(state: State): string {
  const token = peek(state);
  if (isSymbol(token, ")") || isSymbol(token, "]") || isSymbol(token, "}")) return "It closes nothing; remove it.";
  return "Put an operator such as +, == or AND between two values, and texts in quotes.";
}
