/**
 * Reads TypeScript just well enough to judge it: tells code from comments, strings, templates and regular expressions,
 * and pairs its brackets. (TypeScript 7 has no API to ask.) Used by the rules beside it.
 *
 * Law: `code` and `comments` have the length and the line breaks of the text, so that an index means the same in all.
 */
export type Text = Readonly<{ value: string; at: number }>;

/** A file under judgement: its path from the repository's root, with `/`. */
export type Source = Readonly<{
  path: string;
  text: string;
  /** The text with comments and the insides of strings and regular expressions blanked. */
  code: string;
  /** Only the comments. */
  comments: string;
  /** The quoted strings; templates are left out. */
  strings: readonly Text[];
}>;

export type Problem = Readonly<{ path: string; line: number; what: string }>;

export function problem(source: Source, at: number, what: string): Problem {
  return { path: source.path, line: source.text.slice(0, at).split("\n").length, what };
}

/** Words after which a slash begins a regular expression, not a division. */
const beforeExpression = new Set(
  "return typeof case in of delete void throw new else do await yield instanceof".split(" "),
);

/** Takes a file apart. */
export function readSource(path: string, text: string): Source {
  const code = blank(text);
  const comments = blank(text);
  const strings: Text[] = [];
  // One entry per open `${`: how many plain braces are open inside it.
  const templates: number[] = [];
  const keep = (into: string[], from: number, to: number) => {
    for (let k = from; k < to; k++) into[k] = text[k] ?? "";
  };
  for (let i = 0; i < text.length; ) {
    const c = text[i] ?? "";
    const depth = templates.at(-1);
    if (c === "/" && (text[i + 1] === "/" || text[i + 1] === "*")) {
      const end = commentEnd(text, i);
      keep(comments, i, end);
      i = end;
    } else if (c === '"' || c === "'") {
      const end = stringEnd(text, i);
      strings.push({ value: text.slice(i + 1, end - 1), at: i });
      code[i] = c;
      code[end - 1] = c;
      i = end;
    } else if (c === "`" || (c === "}" && depth === 0)) {
      if (c === "}") templates.pop();
      code[i] = c === "}" ? ")" : c;
      const end = templateEnd(text, i + 1);
      // An expression in a template reads as one in parentheses.
      if (text[end - 1] === "{") templates.push(0);
      code[end - 1] = text[end - 1] === "{" ? "(" : "`";
      i = end;
    } else if (c === "/" && startsRegex(code, i)) {
      i = regexEnd(text, i);
    } else {
      if (depth !== undefined && c === "{") templates[templates.length - 1] = depth + 1;
      if (depth !== undefined && c === "}") templates[templates.length - 1] = depth - 1;
      code[i] = c;
      i++;
    }
  }
  return { path, text, code: code.join(""), comments: comments.join(""), strings };
}

const blank = (text: string): string[] =>
  Array.from({ length: text.length }, (_, i) => (text[i] === "\n" ? "\n" : " "));

function commentEnd(text: string, start: number): number {
  const line = text[start + 1] === "/";
  const end = text.indexOf(line ? "\n" : "*/", start + 2);
  return end === -1 ? text.length : end + (line ? 0 : 2);
}

function stringEnd(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text[i] !== text[start] && text[i] !== "\n") i += text[i] === "\\" ? 2 : 1;
  return i + 1;
}

/** From inside a template: to just after its closing backtick or the next `${`. */
function templateEnd(text: string, start: number): number {
  let i = start;
  while (i < text.length && text[i] !== "`" && !(text[i] === "$" && text[i + 1] === "{")) i += text[i] === "\\" ? 2 : 1;
  return text[i] === "$" ? i + 2 : i + 1;
}

function startsRegex(code: readonly string[], at: number): boolean {
  let end = at - 1;
  while (end >= 0 && /\s/.test(code[end] ?? "")) end--;
  const last = code[end] ?? "(";
  if (!/[\w$]/.test(last)) return !/[)\]}"'`]/.test(last);
  let start = end;
  while (start > 0 && /[\w$]/.test(code[start - 1] ?? "")) start--;
  return beforeExpression.has(code.slice(start, end + 1).join(""));
}

function regexEnd(text: string, start: number): number {
  let inClass = false;
  let i = start + 1;
  for (; i < text.length && text[i] !== "\n"; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "[") inClass = true;
    else if (text[i] === "]") inClass = false;
    else if (text[i] === "/" && !inClass) break;
  }
  i++;
  while (/[a-z]/.test(text[i] ?? "")) i++;
  return i;
}

/** `partner`: for each bracket its other half; `around`: for each opening bracket the opening one it stands in. */
export type Brackets = Readonly<{ partner: ReadonlyMap<number, number>; around: ReadonlyMap<number, number> }>;

export function pairBrackets(code: string): Brackets {
  const partner = new Map<number, number>();
  const around = new Map<number, number>();
  const open: number[] = [];
  for (let i = 0; i < code.length; i++) {
    const c = code[i] ?? "";
    if ("([{".includes(c)) {
      const outer = open.at(-1);
      if (outer !== undefined) around.set(i, outer);
      open.push(i);
    } else if (")]}".includes(c)) {
      const start = open.pop();
      if (start === undefined) continue;
      partner.set(start, i);
      partner.set(i, start);
    }
  }
  return { partner, around };
}
