/**
 * The repository's own rules, checked at the start of `npm test`: import order, purity, lengths, names, leftovers, dead
 * files, links. Prints `file:line: what, and what to do` for each breach and exits 1.
 *
 * Exceptions are listed here, each with its reason. The rules are in scripts/tidy/, one file each.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { checkDead, checkOrder } from "./tidy/imports.ts";
import { checkLengths } from "./tidy/lengths.ts";
import { checkLinks } from "./tidy/links.ts";
import { type Problem, readSource } from "./tidy/source.ts";
import { type Allowed, checkLeftovers, checkNames, checkPurity } from "./tidy/words.ts";

const limits = { file_lines: 500, function_lines: 70 };

/** Files of src that wire the parts together, and may import anything. Otherwise a command talks to the API. */
const composing: ReadonlySet<string> = new Set([
  "src/main.ts",
  "src/cli/serve.ts", // starts a node
  "src/cli/demo.ts", // starts a node and the invented company around it
  "src/cli/token.ts", // makes the first token, before there is one to call the API with
]);

/** Files of src that are started rather than imported. */
const entries: Readonly<Record<string, string>> = {
  "src/main.ts": "what `tenure` runs",
};

/** Clock, randomness and waiting in core and engine. */
const clocks: readonly Allowed[] = [
  {
    path: "src/engine/loop.ts",
    what: "setTimeout",
    why: "the one place that waits: until notified or the next due time",
  },
  { path: "src/engine/run.ts", what: "setTimeout", why: "ends a call to an app when its deadline passes" },
];

/** Names that end in an empty word for a good reason. */
const names: readonly Allowed[] = [];

const codeFolders = /^(?:src|test|scripts|demo|bench|bin)\//;
const ignored = new Set(["node_modules", ".git", "tenure-data", "coverage", "dist"]);

/**
 * Judges a repository given as data: the text of each file by its path from the root.
 *
 * @param paths further files and folders that exist, as targets of links.
 */
export function tidy(files: ReadonlyMap<string, string>, paths: Iterable<string> = []): Problem[] {
  const known = new Set([...paths, ...[...files.keys()].flatMap(withParents)]);
  const sources = [...files]
    .filter(([file]) => codeFolders.test(file) && /\.(?:ts|js)$/.test(file))
    .map(([file, text]) => readSource(file, text));
  const problems = [
    ...sources.flatMap((source) => [
      ...checkOrder(source, composing),
      ...checkPurity(source, clocks),
      ...checkLengths(source, limits),
      ...checkNames(source, names),
      ...checkLeftovers(source),
    ]),
    ...checkDead(sources, entries),
    ...[...files].filter(([file]) => file.endsWith(".md")).flatMap(([file, text]) => checkLinks(file, text, known)),
  ];
  return problems.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

const withParents = (file: string) => file.split("/").map((_, i, parts) => parts.slice(0, i + 1).join("/"));

/** Reads the code and the Markdown below a folder; other files only by name. */
function readRepository(root: string): { files: Map<string, string>; paths: string[] } {
  const files = new Map<string, string>();
  const paths: string[] = [];
  const visit = (folder: string) => {
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      const file = path.posix.join(folder, entry.name);
      if (ignored.has(entry.name)) continue;
      if (entry.isDirectory()) visit(file);
      else if (/\.(?:ts|js|md)$/.test(file)) files.set(file, readFileSync(path.join(root, file), "utf8"));
      paths.push(file);
    }
  };
  visit("");
  return { files, paths };
}

if (import.meta.main) {
  const { files, paths } = readRepository(path.dirname(import.meta.dirname));
  const problems = tidy(files, paths);
  for (const { path: file, line, what } of problems) process.stdout.write(`${file}:${line}: ${what}\n`);
  process.stdout.write(`${files.size} files, ${problems.length} ${problems.length === 1 ? "problem" : "problems"}\n`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
