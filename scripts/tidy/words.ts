/**
 * Rules about single words: no clock, randomness or waiting where time is a parameter; no empty names; nothing left
 * over from writing.
 */
import path from "node:path";
import { type Problem, problem, type Source } from "./source.ts";

/** An exception: `what` is the word as it stands in the code, `why` is for the reader. */
export type Allowed = Readonly<{ path: string; what: string; why: string }>;

const impure: readonly RegExp[] = [
  /\bDate\.now\b/g,
  /\b(?:new )?Date\(\s*\)/g,
  /\bMath\.random\b/g,
  /\bperformance\.now\b/g,
  /\bprocess\.hrtime\b/g,
  /\b(?:randomUUID|randomBytes|randomInt|getRandomValues)\b/g,
  /\b(?:setTimeout|setInterval|setImmediate)\b/g,
];

/** What the core does not do besides: wait, or reach out. */
const outward: readonly RegExp[] = [/\basync\b/g, /\bawait\b/g, /\bfetch\s*\(/g, /\bprocess\./g];

export function checkPurity(source: Source, allowed: readonly Allowed[]): Problem[] {
  const core = source.path.startsWith("src/core/");
  if ((!core && !source.path.startsWith("src/engine/")) || source.path.endsWith(".test.ts")) return [];
  return find(source, core ? [...impure, ...outward] : impure)
    .filter(({ word }) => !allowed.some((entry) => entry.path === source.path && word.startsWith(entry.what)))
    .map(({ word, at }) =>
      problem(
        source,
        at,
        core
          ? `uses ${word}; the core has no clock, randomness or I/O: take the value as a parameter`
          : `uses ${word}; in the engine, time and randomness are parameters: take now() or random() from the caller`,
      ),
    );
}

const emptyWords = ["manager", "helper", "util", "service", "processor", "handler"];
const emptyName = new RegExp(
  `(?:${emptyWords.map((word) => `${word[0]?.toUpperCase()}${word.slice(1)}`).join("|")})s?$`,
);

/** Names that we declare for others, and file names. What a library calls its own functions is not ours to name. */
export function checkNames(source: Source, allowed: readonly Allowed[]): Problem[] {
  const declared =
    /\bexport\s+(?:default\s+)?(?:async\s+)?(?:abstract\s+)?(?:function\s*\*?|const|let|class|type|interface)\s+([\w$]+)/g;
  const names = [...source.code.matchAll(declared)].map((match) => ({ name: match[1] ?? "", at: match.index }));
  const file = path.posix.basename(source.path).replace(/(\.test)?\.\w+$/, "");
  const fileWord =
    file
      .split(/[-_.]|(?=[A-Z])/)
      .at(-1)
      ?.toLowerCase() ?? "";
  const bad = [
    ...names.filter(({ name }) => emptyName.test(name)),
    ...(emptyWords.includes(fileWord.replace(/s$/, "")) ? [{ name: file, at: 0 }] : []),
  ];
  return bad
    .filter(({ name }) => !allowed.some((entry) => entry.path === source.path && entry.what === name))
    .map(({ name, at }) => problem(source, at, `the name ${name} says nothing: name what it is or does`));
}

/** Where a program speaks to the person who started it. */
const mayPrint = /^src\/(?:cli\/|main\.ts$)/;

export function checkLeftovers(source: Source): Problem[] {
  const at = (where: string, pattern: RegExp, what: (word: string) => string) =>
    [...where.matchAll(pattern)].map((match) => problem(source, match.index, what(match[0])));
  const printing = source.path.startsWith("src/") && !mayPrint.test(source.path);
  const test = source.path.endsWith(".test.ts");
  return [
    ...(printing ? at(source.code, /\bconsole\.\w+/g, (word) => `${word}: use the log that is passed in`) : []),
    ...at(source.code, /\bdebugger\b/g, () => "debugger: remove it"),
    ...at(source.code, /\bas any\b/g, () => "as any: say the type, or check it"),
    ...at(source.comments, /\b(?:TODO|FIXME|XXX)\b/g, (word) => `${word}: do it, or write an issue`),
    ...at(source.comments, /@ts-(?:ignore|nocheck)/g, (word) => `${word}: mend the type`),
    ...(test
      ? at(
          source.code,
          /\b(?:it|test|describe)\.(?:\w+\.)*(?:only|skip|todo)\b/g,
          (word) => `${word}: every test runs; see test/support/needs.ts for what a machine lacks`,
        )
      : []),
  ];
}

function find(source: Source, patterns: readonly RegExp[]): { word: string; at: number }[] {
  return patterns.flatMap((pattern) =>
    [...source.code.matchAll(pattern)].map((match) => ({ word: match[0], at: match.index })),
  );
}
