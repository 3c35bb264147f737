/**
 * Text of a regular expression → its tree: the subset that Java, RE2 and JavaScript share and that an automaton can run
 * in linear time. Classes, `\d \w \s`, `\p{…}`, anchors, groups, alternation, repetition and the flags `(?i)`, `(?s)`.
 * Back-references and looking ahead or behind are refused: they are what makes other engines hang. As in Java,
 * `\d \w \s` and `(?i)` know ASCII only. Called by `regex.ts`.
 */
import { depth_max, regex_states_max, text_max } from "./limits.ts";

/** An inclusive range of character codes. */
export type Range = readonly [first: number, last: number];

/** A set of characters: ranges and Unicode properties, or all others. */
export type CharacterSet = Readonly<{ ranges: readonly Range[]; properties: readonly RegExp[]; negated: boolean }>;

export type RegexNode =
  | Readonly<{ kind: "set"; set: CharacterSet }>
  | Readonly<{ kind: "sequence" | "either"; parts: readonly RegexNode[] }>
  | Readonly<{ kind: "repeat"; part: RegexNode; least: number; most: number | null }>
  | Readonly<{ kind: "assert"; what: Assertion }>;
export type Assertion = "start" | "end" | "word" | "not_word";

export type RegexProblem = Readonly<{ message: string; hint?: string }>;

const code_max = 0x10ffff;
/** Java's line ends, which `.` does not match. */
const line_ends: readonly Range[] = [
  [10, 10],
  [13, 13],
  [0x85, 0x85],
  [0x2028, 0x2029],
];
const digits: readonly Range[] = [[48, 57]];
const word: readonly Range[] = [
  [48, 57],
  [65, 90],
  [95, 95],
  [97, 122],
];
const space: readonly Range[] = [
  [9, 13],
  [32, 32],
];

const escapes: Readonly<Record<string, number>> = { t: 9, n: 10, r: 13, f: 12, a: 7, e: 27, v: 11 };
/** What `\p{…}` may name; anything else is refused, so that no author's text reaches the JavaScript engine. */
const properties = new Set(["L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "N", "Nd", "P", "S", "Z", "Zs"]);
const java_properties: Readonly<Record<string, readonly Range[]>> = {
  Lower: [[97, 122]],
  Upper: [[65, 90]],
  Alpha: [
    [65, 90],
    [97, 122],
  ],
  Digit: digits,
  Alnum: [
    [48, 57],
    [65, 90],
    [97, 122],
  ],
  Punct: [
    [33, 47],
    [58, 64],
    [91, 96],
    [123, 126],
  ],
  Space: space,
  ASCII: [[0, 127]],
};

type State = {
  readonly characters: readonly string[];
  index: number;
  depth: number;
  ignore_case: boolean;
  dot_all: boolean;
  problem: RegexProblem | null;
};

/** The tree of a pattern, or what cannot be used in it. */
export function parseRegex(pattern: string): Readonly<{ ok: RegexNode }> | RegexProblem {
  if (pattern.length > text_max) return { message: `it is longer than ${text_max} characters.` };
  const flags = { ignore_case: false, dot_all: false };
  const state: State = { characters: [...pattern], index: 0, depth: 0, ...flags, problem: null };
  const node = parseEither(state);
  if (!state.problem && state.index < state.characters.length)
    complain(state, "there is a ) without its (.", "Write \\) for the character.");
  return state.problem ?? { ok: node };
}

function parseEither(state: State): RegexNode {
  const parts = [parseSequence(state)];
  while (accept(state, "|")) parts.push(parseSequence(state));
  return parts.length === 1 ? parts[0]! : { kind: "either", parts };
}

function parseSequence(state: State): RegexNode {
  const parts: RegexNode[] = [];
  for (;;) {
    while (acceptEscape(state, "Q")) parseQuoted(state, parts);
    const next = peek(state);
    if (state.problem || next === undefined || next === "|" || next === ")") return { kind: "sequence", parts };
    const atom = parseAtom(state);
    if (atom) parts.push(parseRepeats(state, atom));
  }
}

/** `\Q…\E`: everything between is itself; what repeats after it is its last character. */
function parseQuoted(state: State, parts: RegexNode[]): void {
  while (!acceptEscape(state, "E") && peek(state) !== undefined) parts.push(single(state, take(state).codePointAt(0)!));
  const last = parts.pop();
  if (last) parts.push(parseRepeats(state, last));
}

/** One character, class, group or assertion; null for a bare flag group such as `(?i)`. */
function parseAtom(state: State): RegexNode | null {
  const character = take(state);
  switch (character) {
    case ".":
      return set(state.dot_all ? [] : line_ends, [], true);
    case "^":
      return { kind: "assert", what: "start" };
    case "$":
      return { kind: "assert", what: "end" };
    case "(":
      return parseGroup(state);
    case "[":
      return { kind: "set", set: parseClass(state) };
    case "\\":
      return parseEscape(state);
    case "*":
    case "+":
    case "?":
      return complain(
        state,
        `there is nothing before ${character} to repeat.`,
        `Write \\${character} for the character.`,
      );
    case "{":
      return complain(state, "there is nothing before { to repeat.", "Write \\{ for the character.");
    default:
      return single(state, character.codePointAt(0)!);
  }
}

function single(state: State, code: number): RegexNode {
  return set(state.ignore_case ? folded([[code, code]]) : [[code, code]], [], false);
}

function set(ranges: readonly Range[], unicode: readonly RegExp[], negated: boolean): RegexNode {
  return { kind: "set", set: { ranges, properties: unicode, negated } };
}

function parseGroup(state: State): RegexNode | null {
  const outer = { ignore_case: state.ignore_case, dot_all: state.dot_all };
  if (accept(state, "?")) {
    const bare = parseGroupHead(state);
    if (bare || state.problem) return null;
  }
  state.depth += 1;
  if (state.depth > depth_max) return complain(state, `it is nested more than ${depth_max} levels deep.`);
  const inner = parseEither(state);
  state.depth -= 1;
  Object.assign(state, outer);
  if (!accept(state, ")")) complain(state, "a ( is not closed.", "Write \\( for the character.");
  return inner;
}

/** After `(?`: a group head such as `:` or `i:`, or bare flags `i)`, which hold to the end of the group. True: bare. */
function parseGroupHead(state: State): boolean {
  const rest = state.characters.slice(state.index, state.index + 40).join("");
  if (/^(?:[=!]|<[=!])/.test(rest)) {
    complain(
      state,
      "it looks ahead or behind ((?= (?! (?<= (?<!), which cannot run in linear time.",
      "Split the test into two matches joined with AND or !.",
    );
    return false;
  }
  const named = /^<[A-Za-z][A-Za-z0-9]*>/.exec(rest)?.[0];
  if (named !== undefined) state.index += named.length;
  else {
    const flags = /^([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])/.exec(rest);
    const [whole = "", on = "", off = "", end = ""] = flags ?? [];
    if (!flags || /[^is]/.test(on + off)) {
      complain(
        state,
        `the group (?${rest.slice(0, 3)} is not supported.`,
        "Groups are (…), (?:…), (?<name>…), (?i) and (?s).",
      );
      return false;
    }
    if (/[is]/.test(on + off)) setFlags(state, on, off);
    state.index += whole.length;
    return end === ")";
  }
  return false;
}

function setFlags(state: State, on: string, off: string): void {
  if (on.includes("i")) state.ignore_case = true;
  if (on.includes("s")) state.dot_all = true;
  if (off.includes("i")) state.ignore_case = false;
  if (off.includes("s")) state.dot_all = false;
}

function parseRepeats(state: State, atom: RegexNode): RegexNode {
  let node = atom;
  for (;;) {
    const bounds = parseBounds(state);
    if (!bounds) return node;
    // `*?` matches the same whole texts as `*`; `*+` does not, and would silently mean something else.
    if (!accept(state, "?") && peek(state) === "+") {
      complain(state, "possessive repetition (*+ ++ ?+) is not supported.", "Remove the second +.");
      return node;
    }
    node = { kind: "repeat", part: node, least: bounds[0], most: bounds[1] };
  }
}

function parseBounds(state: State): readonly [number, number | null] | null {
  if (accept(state, "*")) return [0, null];
  if (accept(state, "+")) return [1, null];
  if (accept(state, "?")) return [0, 1];
  if (peek(state) !== "{") return null;
  const rest = state.characters.slice(state.index, state.index + 20).join("");
  const found = /^\{(\d{1,6})(?:(,)(\d{0,6}))?\}/.exec(rest);
  if (!found)
    return complain(state, "a { is not followed by a count such as {2} or {1,3}.", "Write \\{ for the character.");
  state.index += found[0].length;
  const least = Number(found[1]);
  const most = found[2] === undefined ? least : found[3] === "" ? null : Number(found[3]);
  if (most !== null && most < least) return complain(state, `{${least},${most}} counts backwards.`);
  if (Math.max(least, most ?? 0) > regex_states_max)
    return complain(state, `it repeats more than ${regex_states_max} times.`);
  return [least, most];
}

function parseEscape(state: State): RegexNode | null {
  const next = peek(state);
  if (next === "b" || next === "B") {
    state.index += 1;
    return { kind: "assert", what: next === "b" ? "word" : "not_word" };
  }
  if (next === "A" || next === "z" || next === "Z") {
    state.index += 1;
    return { kind: "assert", what: next === "A" ? "start" : "end" };
  }
  const item = parseEscapedItem(state);
  if (!item) return null;
  if (typeof item === "number") return single(state, item);
  return { kind: "set", set: item };
}

/** After a backslash, in or out of a class: a character's code, or a set. */
function parseEscapedItem(state: State): number | CharacterSet | null {
  const character = take(state);
  const ranges = { d: digits, w: word, s: space }[character.toLowerCase()];
  if (ranges && "dwsDWS".includes(character)) return { ranges, properties: [], negated: character < "a" };
  if (character === "p" || character === "P") return parseProperty(state, character === "P");
  if (Object.hasOwn(escapes, character)) return escapes[character]!;
  if (character === "x" || character === "u") return parseCode(state, character);
  if (/[1-9]/.test(character) || character === "k") {
    return complain(
      state,
      `it refers back to a group (\\${character}), which cannot run in linear time.`,
      "Write the repeated part again.",
    );
  }
  if (character === "") return complain(state, "it ends with a backslash.", "Write \\\\ for the character.");
  if (/[A-Za-z0-9]/.test(character)) return complain(state, `\\${character} is not supported.`);
  return character.codePointAt(0)!;
}

function parseProperty(state: State, negated: boolean): CharacterSet | null {
  const rest = state.characters.slice(state.index, state.index + 40).join("");
  const found = /^(?:\{(?:Is)?([A-Za-z]+)\}|([A-Z]))/.exec(rest);
  const name = found?.[1] ?? found?.[2] ?? "";
  if (found) state.index += found[0].length;
  if (Object.hasOwn(java_properties, name)) return { ranges: java_properties[name]!, properties: [], negated };
  if (properties.has(name)) return { ranges: [], properties: [new RegExp(`\\p{${name}}`, "u")], negated };
  return complain(
    state,
    `\\p{${name}} is not supported.`,
    `Known: ${[...properties, ...Object.keys(java_properties)].join(", ")}.`,
  );
}

function parseCode(state: State, kind: string): number | null {
  const rest = state.characters.slice(state.index, state.index + 12).join("");
  const pattern = kind === "x" ? /^(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})/ : /^([0-9a-fA-F]{4})/;
  const found = pattern.exec(rest);
  const code = Number.parseInt(found?.[1] ?? found?.[2] ?? "", 16);
  if (!found || code > code_max)
    return complain(state, `\\${kind} is not followed by a character's code.`, "Write \\x41 or \\u0041.");
  state.index += found[0].length;
  return code;
}

/** After `[`. */
function parseClass(state: State): CharacterSet {
  const negated = accept(state, "^");
  const ranges: Range[] = [];
  const unicode: RegExp[] = [];
  const empty: CharacterSet = { ranges: [], properties: [], negated: false };
  for (let first = true; first || peek(state) !== "]"; first = false) {
    if (peek(state) === undefined)
      return complain(state, "a [ is not closed.", "Write \\[ for the character.") ?? empty;
    if (peek(state) === "[" || (peek(state) === "&" && state.characters[state.index + 1] === "&")) {
      return (
        complain(state, "a class inside a class, or &&, is not supported.", "Write \\[ for the character.") ?? empty
      );
    }
    const item = parseClassItem(state);
    if (item === null) return empty;
    if (typeof item === "number") {
      const last = parseRangeEnd(state, item);
      if (last === null) return empty;
      ranges.push([item, last]);
    } else if (!addSet(state, item, ranges, unicode)) return empty;
  }
  state.index += 1;
  return { ranges: state.ignore_case ? folded(ranges) : ranges, properties: unicode, negated };
}

function parseClassItem(state: State): number | CharacterSet | null {
  const character = take(state);
  if (character !== "\\") return character.codePointAt(0)!;
  if (peek(state) === "b") return complain(state, "\\b stands for a word's edge and not inside a class.");
  return parseEscapedItem(state);
}

function parseRangeEnd(state: State, first: number): number | null {
  const after = state.characters[state.index + 1];
  if (peek(state) !== "-" || after === undefined || after === "]") return first;
  state.index += 1;
  const last = parseClassItem(state);
  if (typeof last === "number" && last >= first) return last;
  return last === null ? null : complain(state, "a range in [ ] does not go upwards.", "Write \\- for the character.");
}

/** Puts a set such as `\D` into a class. */
function addSet(state: State, item: CharacterSet, ranges: Range[], unicode: RegExp[]): boolean {
  if (item.negated && item.properties.length > 0) {
    complain(state, "\\P inside [ ] is not supported.", "Write it outside: (?:\\P{L}|…).");
    return false;
  }
  ranges.push(...(item.negated ? complement(item.ranges) : item.ranges));
  unicode.push(...item.properties);
  return true;
}

/** All characters outside the ranges, which are sorted and apart. */
export function complement(ranges: readonly Range[]): readonly Range[] {
  const outside: Range[] = [];
  let next = 0;
  for (const [first, last] of [...ranges].sort(([left], [right]) => left - right)) {
    if (first > next) outside.push([next, first - 1]);
    next = Math.max(next, last + 1);
  }
  if (next <= code_max) outside.push([next, code_max]);
  return outside;
}

/** The ranges with the other case of their ASCII letters. */
function folded(ranges: readonly Range[]): readonly Range[] {
  const both: Range[] = [...ranges];
  for (const [first, last] of ranges) {
    const upper: Range = [Math.max(first, 65) + 32, Math.min(last, 90) + 32];
    const lower: Range = [Math.max(first, 97) - 32, Math.min(last, 122) - 32];
    for (const range of [upper, lower]) if (range[0] <= range[1]) both.push(range);
  }
  return both;
}

function peek(state: State): string | undefined {
  return state.problem ? undefined : state.characters[state.index];
}

function take(state: State): string {
  const character = state.characters[state.index] ?? "";
  state.index += 1;
  return character;
}

function accept(state: State, character: string): boolean {
  if (peek(state) !== character) return false;
  state.index += 1;
  return true;
}

/** Takes a backslash and the letter after it. */
function acceptEscape(state: State, letter: string): boolean {
  if (peek(state) !== "\\" || state.characters[state.index + 1] !== letter) return false;
  state.index += 2;
  return true;
}

function complain(state: State, message: string, hint?: string): null {
  state.problem ??= hint === undefined ? { message } : { message, hint };
  return null;
}
