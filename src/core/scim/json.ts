/**
 * A request's text as plain data. JSON.parse alone would take the last of two equal keys, nest as deep as it likes, and
 * make an own `__proto__`; here all three are refused before anything is built.
 *
 * Law: one pass over the text without recursion, so that a hostile text costs what its length costs.
 */
import { type Judged, wrong } from "./fault.ts";

export const json_depth_max = 16;
/** Keys of one object. A resource has some dozens. */
export const json_keys_max = 500;

const forbidden = new Set(["__proto__", "constructor", "prototype"]);

/** Reads a body. */
export function readJson(text: string): Judged<unknown> {
  const fault = judgeText(text);
  if (fault !== undefined) return { fault: wrong("invalidSyntax", fault) };
  try {
    return { ok: JSON.parse(text) };
  } catch {
    return { fault: wrong("invalidSyntax", "the body is not well-formed JSON") };
  }
}

/** Each open bracket: the keys of an object, or null for a list. */
type Open = Set<string> | null;

/** What is wrong with the structure, or undefined. What is no JSON otherwise is for the parser to say. */
function judgeText(text: string): string | undefined {
  const open: Open[] = [];
  let key: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at];
    if (letter === '"') {
      const end = endOfText(text, at);
      // Only what a colon may follow is worth cutting out.
      key = open.at(-1) ? text.slice(at, end + 1) : undefined;
      at = end;
    } else if (letter === "{" || letter === "[") {
      if (open.length >= json_depth_max) return `the body is nested deeper than ${json_depth_max} levels`;
      open.push(letter === "{" ? new Set() : null);
    } else if (letter === "}" || letter === "]") open.pop();
    else if (letter === ":") {
      const fault = judgeKey(open.at(-1), key);
      if (fault !== undefined) return fault;
    }
  }
  return undefined;
}

/** Where the text that begins at `from` ends. */
function endOfText(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const letter = text[at];
    if (letter === '"') return at;
    if (letter === "\\") at++;
  }
  return text.length;
}

function judgeKey(keys: Open | undefined, raw: string | undefined): string | undefined {
  if (!keys || raw === undefined) return undefined;
  let name: string;
  try {
    name = JSON.parse(raw) as string;
  } catch {
    return "a key of the body is not well-formed";
  }
  // Names are compared without case everywhere in SCIM, so `userName` and `username` are one key.
  const folded = name.toLowerCase();
  if (forbidden.has(folded)) return `"${folded}" is no attribute`;
  if (keys.has(folded)) return `the key "${name.slice(0, 60)}" is there twice`;
  if (keys.size >= json_keys_max) return `an object has more than ${json_keys_max} keys`;
  keys.add(folded);
  return undefined;
}
