/**
 * Text → tokens. Quotes are written twice inside a text of the same quote (`'it''s'`); a backslash is an ordinary
 * character, as in Okta, where `"\"` is one backslash. Characters that a word processor leaves behind (curly quotes,
 * long dashes) are refused with the character to type instead. Called by `parse.ts` only.
 */
import { text_max } from "./limits.ts";
import { type Judged, type Position, type Problem, problem } from "./tree.ts";

export type Token =
  | Readonly<{ kind: "text"; value: string; at: Position }>
  | Readonly<{ kind: "number"; value: number; at: Position }>
  | Readonly<{ kind: "name"; value: string; at: Position }>
  | Readonly<{ kind: "symbol"; value: string; at: Position }>
  | Readonly<{ kind: "end"; value: ""; at: Position }>;

/** Longest first, so that `<=` is not read as `<`. */
const symbols = [
  ...["?:", "==", "!=", "<=", ">=", "&&", "||"],
  ...["?", ":", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", ",", "."],
];

const number_pattern = /[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const name_pattern = /[A-Za-z_][A-Za-z0-9_]*/y;
const blank_pattern = /[ \t\r\n\u00a0]+/y;

const hints: Readonly<Record<string, string>> = {
  "=": "Use == to compare; an expression cannot assign.",
  "&": "Write AND (or &&).",
  "|": "Write OR (or ||).",
  "“": 'Use straight quotes: "',
  "”": 'Use straight quotes: "',
  "‘": "Use straight quotes: '",
  "’": "Use straight quotes: '",
  "–": "Use the minus sign: -",
  "—": "Use the minus sign: -",
  ";": "An expression is one value; remove the semicolon.",
  "#": "Variables are not supported; name the attribute, such as user.department.",
  "@": "Put the text in quotes.",
  $: 'Use + to put values into text: "Hello " + user.firstName.',
  "\\": "A backslash can only stand inside quotes.",
};

/** The tokens of `text`, ended by one of kind `end`; or the first character that cannot be read. */
export function tokenize(text: string): Judged<readonly Token[]> {
  const refused = refuseText(text);
  if (refused) return { problems: [refused] };
  const tokens: Token[] = [];
  const place = placer(text);
  let offset = 0;
  for (;;) {
    offset += matchAt(blank_pattern, text, offset).length;
    const at = place(offset);
    if (offset >= text.length) {
      tokens.push({ kind: "end", value: "", at });
      return { ok: tokens };
    }
    const read = readToken(text, offset, at);
    if ("message" in read) return { problems: [read] };
    tokens.push(read.token);
    offset += read.length;
  }
}

function refuseText(text: string): Problem | null {
  const start = { line: 1, column: 1 };
  if (text.length > text_max) {
    return problem(start, `The expression is ${text.length} characters long; the limit is ${text_max}.`);
  }
  if (text.trim() === "") return problem(start, "The expression is empty.", "Write a value, such as user.email.");
  // PostgreSQL cannot hold either, so no back end will ever see them.
  if (!text.isWellFormed() || text.includes("\0")) {
    return problem(start, "The expression holds a character that is not valid Unicode text.", "Type it again.");
  }
  return null;
}

type Read = Readonly<{ token: Token; length: number }> | Problem;

function readToken(text: string, offset: number, at: Position): Read {
  const first = text[offset]!;
  if (first === "'" || first === '"') return readText(text, offset, first, at);
  const digits = matchAt(number_pattern, text, offset);
  if (digits !== "") return readNumber(text, offset, digits, at);
  const name = matchAt(name_pattern, text, offset);
  if (name !== "") return { token: { kind: "name", value: name, at }, length: name.length };
  const symbol = symbols.find((candidate) => text.startsWith(candidate, offset));
  if (symbol !== undefined) return { token: { kind: "symbol", value: symbol, at }, length: symbol.length };
  const shown = String.fromCodePoint(text.codePointAt(offset)!);
  return problem(at, `Unexpected character ${shown}`, Object.hasOwn(hints, shown) ? hints[shown] : undefined);
}

function readText(text: string, offset: number, quote: string, at: Position): Read {
  let end = offset + 1;
  for (;;) {
    end = text.indexOf(quote, end);
    if (end < 0) return problem(at, "This text has no closing quote.", `Add ${quote} where it ends.`);
    if (text[end + 1] !== quote) break;
    end += 2;
  }
  const value = text.slice(offset + 1, end).replaceAll(quote + quote, quote);
  return { token: { kind: "text", value, at }, length: end + 1 - offset };
}

function readNumber(text: string, offset: number, digits: string, at: Position): Read {
  const value = Number(digits);
  if (!Number.isFinite(value)) return problem(at, `The number ${digits} is too large.`);
  const after = text[offset + digits.length] ?? "";
  if (/[A-Za-z_0-9]/.test(after)) {
    return problem(at, `A name cannot start with a digit: ${digits}${after}…`, "Put texts in quotes.");
  }
  return { token: { kind: "number", value, at }, length: digits.length };
}

function matchAt(pattern: RegExp, text: string, offset: number): string {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0] ?? "";
}

/** Offset → place, for offsets that only grow: one pass over the text in all. */
function placer(text: string): (offset: number) => Position {
  let line = 1;
  let line_start = 0;
  let seen = 0;
  return (offset) => {
    for (let next = text.indexOf("\n", seen); next >= 0 && next < offset; next = text.indexOf("\n", seen)) {
      line += 1;
      line_start = next + 1;
      seen = next + 1;
    }
    return Object.freeze({ line, column: offset - line_start + 1 });
  };
}
