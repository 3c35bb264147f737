/**
 * Rule: a file has at most so many lines, and so has a function. A `describe(…)` of a test groups functions and is not
 * one itself.
 */
import { type Brackets, type Problem, pairBrackets, problem, type Source } from "./source.ts";

export type Limits = Readonly<{ file_lines: number; function_lines: number }>;

type Body = Readonly<{ name: string; head: number; brace: number }>;

export function checkLengths(source: Source, limits: Limits): Problem[] {
  const lines = source.text.trimEnd().split("\n").length;
  const tooLong =
    lines > limits.file_lines
      ? [problem(source, 0, `${lines} lines; a file is one noun and has at most ${limits.file_lines}: split it`)]
      : [];
  const brackets = pairBrackets(source.code);
  const functions = [...named(source.code, brackets), ...arrows(source.code, brackets)];
  return [...tooLong, ...functions.flatMap((body) => judge(source, brackets, body, limits.function_lines))];
}

function judge(source: Source, brackets: Brackets, { name, head, brace }: Body, most: number): Problem[] {
  const end = brackets.partner.get(brace) ?? source.code.length;
  const lines = source.text.slice(head, end).split("\n").length;
  if (lines <= most) return [];
  return [
    problem(source, head, `${name} has ${lines} lines, at most ${most} are allowed: name a part of it and move it out`),
  ];
}

const notNames = new Set("if for while switch catch with return await typeof".split(" "));

/** `function f(…) {…}` and methods: a name, parameters, perhaps a type, and then a brace. */
function* named(code: string, brackets: Brackets): Generator<Body> {
  for (let open = code.indexOf("("); open !== -1; open = code.indexOf("(", open + 1)) {
    const before = skipGenericsBack(code, open, brackets);
    const name = /[\w$#]+$/.exec(code.slice(Math.max(0, before - 100), before))?.[0];
    const close = brackets.partner.get(open);
    if (name === undefined || notNames.has(name) || close === undefined) continue;
    const brace = bodyAfter(code, close + 1, brackets);
    if (brace !== undefined)
      yield { name: name === "function" ? "a function" : name, head: before - name.length, brace };
  }
}

function* arrows(code: string, brackets: Brackets): Generator<Body> {
  for (const match of code.matchAll(/=>\s*\{/g)) {
    const brace = match.index + match[0].length - 1;
    const outer = brackets.around.get(brace);
    if (outer !== undefined && callee(code, outer, brackets) === "describe") continue;
    const line = code.slice(code.lastIndexOf("\n", match.index) + 1, match.index);
    yield { name: /(?:const|let)\s+([\w$]+)/.exec(line)?.[1] ?? "an arrow function", head: match.index, brace };
  }
}

/** The first name of what is called with the bracket at `open`: `describe` of `describe.runIf(x)("…", () => {…})`. */
function callee(code: string, open: number, brackets: Brackets): string | undefined {
  for (let i = open - 1; i >= 0; ) {
    const c = code[i] ?? "";
    if (/\s|\./.test(c)) i--;
    else if (c === ")") i = (brackets.partner.get(i) ?? 0) - 1;
    else {
      const name = /[\w$]+$/.exec(code.slice(Math.max(0, i - 100), i + 1))?.[0];
      if (name === undefined) return undefined;
      i -= name.length;
      if (code[i] !== ".") return name;
    }
  }
  return undefined;
}

/** From a parameter list's bracket back over type parameters and space, to just after the name. */
function skipGenericsBack(code: string, open: number, brackets: Brackets): number {
  let i = open - 1;
  while (/\s/.test(code[i] ?? "")) i--;
  if (code[i] !== ">" || code[i - 1] === "=") return i + 1;
  for (let depth = 0; i >= 0; i--) {
    const c = code[i] ?? "";
    if (c === ">" && code[i - 1] !== "=") depth++;
    else if (c === "<" && --depth === 0) return i;
    else if (")]}".includes(c)) i = brackets.partner.get(i) ?? i;
    else if (c === ";") return open;
  }
  return open;
}

/** After a parameter list: where the body opens, past a return type; undefined when this was no function. */
function bodyAfter(code: string, from: number, brackets: Brackets): number | undefined {
  const next = (i: number) => i + (/^\s*/.exec(code.slice(i, i + 400))?.[0].length ?? 0);
  let i = next(from);
  if (code[i] === "{") return i;
  if (code[i] !== ":") return undefined;
  // A type alternates between operands and what joins them; a brace where a joint could be opens the body.
  let operand = true;
  for (i = next(i + 1); i < code.length; i = next(i)) {
    const rest = code.slice(i, i + 200);
    const c = code[i] ?? "";
    const word = /^(?:[\w$]+|"[^"]*"|'[^']*')/.exec(rest)?.[0];
    if (operand && "({[".includes(c)) {
      i = (brackets.partner.get(i) ?? code.length) + 1;
      operand = false;
    } else if (operand && word !== undefined) {
      i += word.length;
      operand = /^(?:keyof|typeof|readonly|asserts|infer|unique|new|abstract)$/.test(word);
    } else if (operand && "|&".includes(c)) i++;
    else if (operand) return undefined;
    else if (c === "{") return i;
    else if (c === "[") i = (brackets.partner.get(i) ?? code.length) + 1;
    else if (c === "<") i = skipGenerics(code, i, brackets);
    else {
      const joint = /^(?:=>|[|&.]|is\b|extends\b)/.exec(rest)?.[0];
      if (joint === undefined) return undefined;
      i += joint.length;
      operand = true;
    }
  }
  return undefined;
}

function skipGenerics(code: string, from: number, brackets: Brackets): number {
  for (let i = from, depth = 0; i < code.length; i++) {
    const c = code[i] ?? "";
    if (c === "<") depth++;
    else if (c === ">" && code[i - 1] !== "=" && --depth === 0) return i + 1;
    else if ("([{".includes(c)) i = brackets.partner.get(i) ?? i;
    else if (c === ";") return code.length;
  }
  return code.length;
}
