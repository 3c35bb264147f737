/**
 * A regular expression's tree → PostgreSQL's own notation, where that means exactly the same set of texts. Every character
 * is written by its code inside brackets, so no character of an author's pattern is ever special to PostgreSQL. Patterns
 * that depend on word edges or Unicode properties, and large ones, stay closures.
 */
import type { Regex } from "./regex.ts";
import { complement, type Range, type RegexNode } from "./regex_syntax.ts";

/** PostgreSQL's bound on `{m,n}`. */
const repeat_max = 255;
/** Beyond this PostgreSQL may refuse a pattern as too complex, which would stop the whole query. */
const sql_states_max = 200;

/** The pattern for `text ~ pattern`, anchored at both ends; null when only a closure can say it. */
export function regexInSql(regex: Regex): string | null {
  if (regex.states > sql_states_max) return null;
  const body = write(regex.tree);
  return body === null ? null : `\\A(?:${body})\\Z`;
}

function write(node: RegexNode): string | null {
  switch (node.kind) {
    case "set":
      return node.set.properties.length > 0
        ? null
        : writeSet(node.set.negated ? complement(node.set.ranges) : node.set.ranges);
    case "assert":
      if (node.what === "start") return "\\A";
      return node.what === "end" ? "\\Z" : null;
    case "sequence":
    case "either": {
      const parts = node.parts.map(write);
      if (parts.includes(null)) return null;
      return node.kind === "sequence" ? parts.join("") : `(?:${parts.join("|")})`;
    }
    case "repeat": {
      const { part, least, most } = node;
      const inner = write(part);
      // An edge that repeats is legal here and an error there.
      if (inner === null || inner === "" || hasEdge(part) || Math.max(least, most ?? 0) > repeat_max) return null;
      return `(?:${inner}){${least},${most ?? ""}}`;
    }
    default:
      return node satisfies never;
  }
}

function hasEdge(node: RegexNode): boolean {
  if (node.kind === "assert") return true;
  if (node.kind === "repeat") return hasEdge(node.part);
  return node.kind !== "set" && node.parts.some(hasEdge);
}

function writeSet(ranges: readonly Range[]): string | null {
  const written: string[] = [];
  for (const [first, last] of ranges) {
    // A PostgreSQL text has no character 0.
    const from = Math.max(1, first);
    if (from <= last) written.push(from === last ? code(from) : `${code(from)}-${code(last)}`);
  }
  return written.length === 0 ? null : `[${written.join("")}]`;
}

function code(value: number): string {
  return `\\U${value.toString(16).padStart(8, "0")}`;
}
