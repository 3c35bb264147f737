/**
 * One grammar for every filter a client may send: Okta's `search` and `filter`, the System Log's `filter`, event-hook
 * filters and SCIM's (RFC 7644 3.4.2.2). Text → tree; a dialect says which parts of the grammar may be used.
 *
 *   filter  = term { ("and" | "or") term }            and binds tighter than or
 *   term    = "not" "(" filter ")" | "(" filter ")" | path "[" filter "]" [ "." name test ] | path test
 *   test    = "pr" | operator literal
 *   literal = "text" | number | true | false | null
 *
 * Laws: parsing ends whatever the text (length, nodes and depth are bounded) and never throws; a refusal names the
 * character where it went wrong; `parse(print(tree))` is the tree. core/filterMatch.ts evaluates a filter in memory,
 * core/filterSql.ts as SQL, with the same answers.
 */
import type { Refusal } from "./types.ts";

export type FilterOperator = "eq" | "ne" | "co" | "sw" | "ew" | "gt" | "ge" | "lt" | "le";

export type FilterLiteral = string | number | boolean | null;

/** `profile.email`; or, with a URN before the last colon, `urn:…:2.0:User:name.familyName`. `at`: offset of its start. */
export type FilterPath = Readonly<{ text: string; schema: string | null; names: readonly string[]; at: number }>;

export type FilterTree =
  | Readonly<{ kind: "compare"; path: FilterPath; operator: FilterOperator; literal: FilterLiteral; at: number }>
  | Readonly<{ kind: "present"; path: FilterPath }>
  | Readonly<{ kind: "and" | "or"; terms: readonly FilterTree[] }>
  | Readonly<{ kind: "not"; term: FilterTree }>
  /** One element of a multi-valued attribute that fulfils `where` itself: `emails[type eq "work" and primary eq true]`. */
  | Readonly<{ kind: "some"; path: FilterPath; where: FilterTree }>;

/** Which part of the grammar a client may use, and how names and values compare. */
export type Dialect = Readonly<{
  name: string;
  operators: ReadonlySet<FilterOperator | "pr">;
  not: boolean;
  value_path: boolean;
  /** Must a property's name have the right case? */
  names: "exact" | "any_case";
  /** Does the case of a text count, where the attribute does not say? */
  values: "exact" | "any_case";
  /** Is `""` a value for `pr`? Okta says yes, SCIM no. */
  blank_is_present: boolean;
}>;

/** okta-api 4.2 and 4.7, scim 5.1. */
export const dialects = {
  okta_search: {
    name: "search",
    operators: new Set(["eq", "sw", "co", "gt", "ge", "lt", "le", "pr"] as const),
    not: false,
    value_path: false,
    names: "exact",
    values: "any_case",
    blank_is_present: true,
  },
  okta_filter: {
    name: "filter",
    operators: new Set(["eq", "gt", "ge", "lt", "le"] as const),
    not: false,
    value_path: false,
    names: "exact",
    values: "exact",
    blank_is_present: true,
  },
  okta_log: {
    name: "System Log filter",
    operators: new Set(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"] as const),
    not: true,
    value_path: false,
    names: "exact",
    values: "any_case",
    blank_is_present: true,
  },
  okta_event_hook: {
    name: "event hook's filter",
    operators: new Set(["eq", "ne"] as const),
    not: true,
    value_path: true,
    names: "exact",
    values: "exact",
    blank_is_present: true,
  },
  scim: {
    name: "SCIM filter",
    operators: new Set(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"] as const),
    not: true,
    value_path: true,
    names: "any_case",
    values: "any_case",
    blank_is_present: false,
  },
} as const satisfies Record<string, Dialect>;

/** A parsed filter keeps its text, for messages, and its dialect, so that nobody evaluates it by other rules. */
export type Filter = Readonly<{ text: string; dialect: Dialect; tree: FilterTree }>;

/** `offset` counts characters (UTF-16 units) from 0, line and column from 1. The Okta API answers E0000031. */
export type FilterRefusal = Refusal & Readonly<{ offset: number; line: number; column: number }>;

export type FilterOutcome<T> = { readonly ok: T } | FilterRefusal;

export const filter_text_max = 10_000;
export const filter_nodes_max = 200;
export const filter_depth_max = 50;

type Token = Readonly<{
  kind: "word" | "text" | "number" | "(" | ")" | "[" | "]" | "." | "end";
  text: string;
  at: number;
}>;

/** Where the reader is, and how much it has built. */
type Reader = { text: string; dialect: Dialect; tokens: readonly Token[]; next: number; nodes: number; depth: number };

type Wrong = Readonly<{ wrong: string; at: number }>;
type Read<T> = T | Wrong;

/** Reads a filter in a dialect. Refuses with the place and what was expected there. */
export function parseFilter(text: string, dialect: Dialect): FilterOutcome<Filter> {
  if (text.length > filter_text_max) {
    return filterRefusal(text, filter_text_max, `the filter is longer than ${filter_text_max} characters`, "too_large");
  }
  const tokens = tokenize(text);
  if (isWrong(tokens)) return filterRefusal(text, tokens.at, tokens.wrong);
  const reader: Reader = { text, dialect, tokens, next: 0, nodes: 0, depth: 0 };
  const tree = readFilter(reader);
  if (isWrong(tree)) return filterRefusal(text, tree.at, tree.wrong);
  const rest = peek(reader);
  if (rest.kind !== "end") return filterRefusal(text, rest.at, `expected "and", "or" or the end, found ${named(rest)}`);
  return { ok: { text, dialect, tree } };
}

/** What a SCIM PATCH operation points at: `emails[type eq "work"].value` → path emails, where …, sub value. */
export type TargetPath = Readonly<{ path: FilterPath; where: FilterTree | null; sub: string | null }>;

/** Reads the `path` of a SCIM PATCH operation (RFC 7644 3.5.2) in a dialect that allows value paths. */
export function parseTargetPath(text: string, dialect: Dialect = dialects.scim): FilterOutcome<TargetPath> {
  if (text.length > filter_text_max) {
    return filterRefusal(text, filter_text_max, `the path is longer than ${filter_text_max} characters`, "too_large");
  }
  const tokens = tokenize(text);
  if (isWrong(tokens)) return filterRefusal(text, tokens.at, tokens.wrong);
  const target = readTarget({ text, dialect, tokens, next: 0, nodes: 0, depth: 0 });
  return isWrong(target) ? filterRefusal(text, target.at, target.wrong) : { ok: target };
}

/** A refusal at a place of the filter, for everyone who works on one. */
export function filterRefusal(
  text: string,
  offset: number,
  wrong: string,
  code: Refusal["code"] = "invalid",
): FilterRefusal {
  const before = text.slice(0, offset).split("\n");
  const line = before.length;
  const column = before.at(-1)!.length + 1;
  const place = `line ${line}, column ${column}`;
  return { refused: `Invalid filter at ${place}: ${wrong}`, code, place, offset, line, column };
}

function readTarget(reader: Reader): Read<TargetPath> {
  const path = readPath(reader);
  if (isWrong(path)) return path;
  let where: FilterTree | null = null;
  let sub: string | null = null;
  if (peek(reader).kind === "[") {
    const inside = readInside(reader, "]");
    if (isWrong(inside)) return inside;
    where = inside;
    if (peek(reader).kind === ".") {
      const name = readSub(reader);
      if (isWrong(name)) return name;
      sub = name.text;
    }
  }
  const rest = peek(reader);
  return rest.kind === "end" ? { path, where, sub } : wrongAt(rest, `expected the end, found ${named(rest)}`);
}

function readFilter(reader: Reader): Read<FilterTree> {
  return readJoined(reader, "or", () => readJoined(reader, "and", () => readTerm(reader)));
}

function readJoined(reader: Reader, joint: "and" | "or", readOne: () => Read<FilterTree>): Read<FilterTree> {
  const first = readOne();
  if (isWrong(first)) return first;
  const terms = [first];
  while (isWord(peek(reader), joint)) {
    reader.next += 1;
    const term = readOne();
    if (isWrong(term)) return term;
    terms.push(term);
  }
  return terms.length === 1 ? first : count(reader, { kind: joint, terms });
}

function readTerm(reader: Reader): Read<FilterTree> {
  const token = peek(reader);
  if (token.kind === "(") return readInside(reader, ")");
  if (isWord(token, "not") && reader.tokens[reader.next + 1]?.kind === "(") {
    if (!reader.dialect.not) return wrongAt(token, `a ${reader.dialect.name} has no "not"; ask for what is wanted`);
    reader.next += 1;
    const term = readInside(reader, ")");
    return isWrong(term) ? term : count(reader, { kind: "not", term });
  }
  const path = readPath(reader);
  if (isWrong(path)) return path;
  return peek(reader).kind === "[" ? readSome(reader, path) : readTest(reader, path);
}

/** What stands between the bracket that is next and the one that closes it. */
function readInside(reader: Reader, closing: ")" | "]"): Read<FilterTree> {
  const opening = take(reader);
  if (reader.depth >= filter_depth_max) {
    return wrongAt(opening, `the filter is nested deeper than ${filter_depth_max} levels`);
  }
  reader.depth += 1;
  const tree = readFilter(reader);
  reader.depth -= 1;
  if (isWrong(tree)) return tree;
  const token = take(reader);
  return token.kind === closing ? tree : wrongAt(token, `expected "and", "or" or "${closing}", found ${named(token)}`);
}

function readSome(reader: Reader, path: FilterPath): Read<FilterTree> {
  if (!reader.dialect.value_path) return wrongAt(peek(reader), `a ${reader.dialect.name} has no "[ ]"`);
  const where = readInside(reader, "]");
  if (isWrong(where)) return where;
  if (peek(reader).kind !== ".") return count(reader, { kind: "some", path, where });
  // `emails[type eq "work"].value co "@x"`: not in the RFC's filters, but clients send it, and it has one meaning.
  const sub = readSub(reader);
  if (isWrong(sub)) return sub;
  const test = readTest(reader, { text: sub.text, schema: null, names: [sub.text], at: sub.at });
  if (isWrong(test)) return test;
  const both = count(reader, { kind: "and", terms: [where, test] });
  return isWrong(both) ? both : count(reader, { kind: "some", path, where: both });
}

/** The name after `].`. */
function readSub(reader: Reader): Read<Token> {
  reader.next += 1;
  const token = take(reader);
  const plain = token.kind === "word" && !/[.:]/.test(token.text);
  return plain ? token : wrongAt(token, `expected the name of a sub-attribute, found ${named(token)}`);
}

function readPath(reader: Reader): Read<FilterPath> {
  const token = take(reader);
  if (token.kind !== "word" || isWord(token, "and") || isWord(token, "or")) {
    return wrongAt(token, `expected the name of a property, found ${named(token)}`);
  }
  const colon = token.text.lastIndexOf(":");
  const names = token.text.slice(colon + 1).split(".");
  if (colon === 0 || names.includes("")) return wrongAt(token, `${named(token)} has an empty part`);
  return { text: token.text, schema: colon < 0 ? null : token.text.slice(0, colon), names, at: token.at };
}

const ordering: ReadonlySet<string> = new Set(["gt", "ge", "lt", "le"]);
const partial: ReadonlySet<string> = new Set(["co", "sw", "ew"]);
const operators: ReadonlySet<string> = new Set(["eq", "ne", "pr", ...ordering, ...partial]);

function readTest(reader: Reader, path: FilterPath): Read<FilterTree> {
  const token = take(reader);
  const operator = token.text.toLowerCase() as FilterOperator | "pr";
  if (token.kind !== "word" || !operators.has(operator)) {
    return wrongAt(token, `expected an operator (${[...reader.dialect.operators].join(", ")}), found ${named(token)}`);
  }
  if (!reader.dialect.operators.has(operator)) {
    const hint = operator === "ne" && !reader.dialect.not ? '; write (… lt "x" or … gt "x")' : "";
    return wrongAt(token, `a ${reader.dialect.name} has no "${operator}"${hint}`);
  }
  if (operator === "pr") return count(reader, { kind: "present", path });
  const at = peek(reader).at;
  const literal = readLiteral(reader);
  if (isWrong(literal)) return literal;
  const { value } = literal;
  if (ordering.has(operator) && typeof value !== "string" && typeof value !== "number") {
    return { wrong: `"${operator}" compares texts, numbers and dates, not ${String(value)}`, at };
  }
  if (partial.has(operator) && typeof value !== "string" && typeof value !== "number") {
    return { wrong: `"${operator}" looks for a text, not ${String(value)}`, at };
  }
  return count(reader, { kind: "compare", path, operator, literal: value, at });
}

function readLiteral(reader: Reader): Read<Readonly<{ value: FilterLiteral }>> {
  const token = take(reader);
  if (token.kind === "text") return { value: token.text };
  if (token.kind === "number") return { value: Number(token.text) };
  if (isWord(token, "true")) return { value: true };
  if (isWord(token, "false")) return { value: false };
  if (isWord(token, "null")) return { value: null };
  const hint = token.kind === "word" ? `; put a text in double quotes: "${token.text.slice(0, 40)}"` : "";
  return wrongAt(token, `expected a value, found ${named(token)}${hint}`);
}

function count(reader: Reader, tree: FilterTree): Read<FilterTree> {
  reader.nodes += 1;
  if (reader.nodes <= filter_nodes_max) return tree;
  return wrongAt(peek(reader), `the filter has more than ${filter_nodes_max} conditions; ask in parts`);
}

function peek(reader: Reader): Token {
  return reader.tokens[reader.next]!;
}

/** The next token, which is used up; the end is never. */
function take(reader: Reader): Token {
  const token = peek(reader);
  if (token.kind !== "end") reader.next += 1;
  return token;
}

function isWord(token: Token, word: string): boolean {
  return token.kind === "word" && token.text.toLowerCase() === word;
}

function named(token: Token): string {
  return token.kind === "end" ? "the end" : `"${token.text.slice(0, 40)}"`;
}

function wrongAt(token: Token, wrong: string): Wrong {
  return { wrong, at: token.at };
}

function isWrong<T extends object>(read: T | Wrong): read is Wrong {
  return "wrong" in read;
}

/** Sticky, so that each is tried exactly where the last token ended; none can match in two ways. */
const space = /[ \t\r\n]*/y;
const word = /[A-Za-z_$][A-Za-z0-9_$.:-]*/y;
const number = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;
const quoted = /"((?:[^"\\]|\\.)*)"/sy;
const escapes = /\\(u[0-9a-fA-F]{4}|.)/gs;

function tokenize(text: string): Read<readonly Token[]> {
  const tokens: Token[] = [];
  let at = skip(space, text, 0);
  while (at < text.length) {
    const token = readToken(text, at);
    if (isWrong(token)) return token;
    tokens.push(token.token);
    at = skip(space, text, token.end);
  }
  tokens.push({ kind: "end", text: "", at: text.length });
  return tokens;
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

function readToken(text: string, at: number): Read<Readonly<{ token: Token; end: number }>> {
  const letter = text[at]!;
  if (letter === "(" || letter === ")" || letter === "[" || letter === "]" || letter === ".") {
    return { token: { kind: letter, text: letter, at }, end: at + 1 };
  }
  if (letter === '"') return readText(text, at);
  const word_end = skip(word, text, at);
  if (word_end > at) return { token: { kind: "word", text: text.slice(at, word_end), at }, end: word_end };
  const number_end = skip(number, text, at);
  if (number_end > at) return readNumber(text, at, number_end);
  if (letter === "'") return { wrong: 'texts stand in double quotes: "…"', at };
  const [shown] = text.slice(at, at + 2);
  return { wrong: `unexpected character "${shown}"`, at };
}

function readNumber(text: string, at: number, end: number): Read<Readonly<{ token: Token; end: number }>> {
  const digits = text.slice(at, end);
  if (!Number.isFinite(Number(digits))) return { wrong: "this number is too large", at };
  if (/[A-Za-z0-9_$:]/.test(text[end] ?? "")) return { wrong: 'a text stands in double quotes: "…"', at };
  return { token: { kind: "number", text: digits, at }, end };
}

/** A text in double quotes with JSON's escapes. */
function readText(text: string, at: number): Read<Readonly<{ token: Token; end: number }>> {
  const end = skip(quoted, text, at);
  if (end === at) return { wrong: 'this text has no closing "', at };
  const raw = text.slice(at + 1, end - 1);
  let wrong: Wrong | undefined;
  const value = raw.replace(escapes, (whole: string, letters: string, offset: number) => {
    const plain = unescaped(letters);
    if (plain === undefined)
      wrong ??= { wrong: `${whole} is no escape; a backslash is written \\\\`, at: at + 1 + offset };
    return plain ?? "";
  });
  if (wrong) return wrong;
  if (value.includes("\u0000") || !value.isWellFormed()) return { wrong: "no value can hold this text", at };
  return { token: { kind: "text", text: value, at }, end };
}

const escaped: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

function unescaped(letters: string): string | undefined {
  if (letters.length === 5) return String.fromCharCode(Number.parseInt(letters.slice(1), 16));
  return escaped.get(letters);
}

/** The tree as text again, in canonical spelling with only the parentheses it needs. */
export function printFilter(tree: FilterTree): string {
  switch (tree.kind) {
    case "compare":
      return `${tree.path.text} ${tree.operator} ${JSON.stringify(tree.literal)}`;
    case "present":
      return `${tree.path.text} pr`;
    case "not":
      return `not (${printFilter(tree.term)})`;
    case "some":
      return `${tree.path.text}[${printFilter(tree.where)}]`;
    default:
      return tree.terms
        .map((term) => (term.kind === "or" || term.kind === tree.kind ? `(${printFilter(term)})` : printFilter(term)))
        .join(` ${tree.kind} `);
  }
}
