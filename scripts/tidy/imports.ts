/**
 * Rules: folders of src import only from folders above them (docs/architecture.md, layout), the core imports nothing
 * but itself, only the store and the connectors know a database driver, and no file of src is there for nobody.
 */
import path from "node:path";
import { type Problem, problem, type Source } from "./source.ts";

/** What each folder of src may import besides itself. */
const above: Readonly<Record<string, readonly string[]>> = {
  core: [],
  store: ["core"],
  connectors: ["core"],
  directory: ["core", "store"],
  engine: ["core", "store", "directory", "connectors"],
  server: ["core", "store", "directory", "engine"],
  cli: ["core"],
};

const drivers = new Set(["pg", "pg-copy-streams", "@electric-sql/pglite", "mysql2"]);

type Import = Readonly<{ target: string; at: number }>;

/** The modules that a file imports: `import`, `export … from`, and `import()`. */
export function importsOf(source: Source): Import[] {
  return source.strings
    .filter(({ at }) => /(?:\bfrom|\bimport)\s*\(?\s*$/.test(source.code.slice(Math.max(0, at - 200), at)))
    .map(({ value, at }) => ({ target: value, at }));
}

/**
 * @param composing files that wire the parts together, as main.ts and src/main/ do, and may import anything.
 */
export function checkOrder(source: Source, composing: ReadonlySet<string>): Problem[] {
  const folder = folderOf(source.path);
  if (folder === undefined || folder === "main" || composing.has(source.path)) return [];
  return importsOf(source).flatMap(({ target, at }) => {
    const fault = target.startsWith(".")
      ? relativeFault(folder, path.posix.join(path.posix.dirname(source.path), target))
      : packageFault(folder, target);
    return fault === undefined ? [] : [problem(source, at, fault)];
  });
}

/** The folder of src that a file is in; undefined for main.ts, for tests, and outside src. */
function folderOf(file: string): string | undefined {
  const [root, folder, ...rest] = file.split("/");
  return root === "src" && rest.length > 0 && !file.endsWith(".test.ts") ? folder : undefined;
}

function relativeFault(folder: string, target: string): string | undefined {
  const [root, to = "", ...rest] = target.split("/");
  const allowed = above[folder];
  if (allowed === undefined)
    return `src/${folder} has no place in the import order: give it one in scripts/tidy/imports.ts`;
  const may = `${folder} may import only ${[...allowed, "itself"].join(", ")}`;
  if (root !== "src") return `imports ${target}, outside src: move what is needed into src, or pass it in`;
  if (rest.length === 0) return `imports ${target}, which wires everything together; ${may}: pass in what is needed`;
  if (to === folder || allowed.includes(to)) return undefined;
  return `imports ${target}; ${may}: move the shared part to a folder above, or have src/main.ts pass it in`;
}

function packageFault(folder: string, target: string): string | undefined {
  if (folder === "core")
    return `imports ${target}; the core is pure and imports only itself: take the value as a parameter`;
  if (drivers.has(target) && folder !== "store" && folder !== "connectors") {
    return `imports ${target}; only src/store knows our database driver: use what src/store/database.ts exports`;
  }
  return undefined;
}

/**
 * Files of src that no other file imports or names in a string.
 *
 * @param entries files that are started by a person or a program, with a reason each.
 */
export function checkDead(sources: readonly Source[], entries: Readonly<Record<string, string>>): Problem[] {
  const named = new Set(
    sources.flatMap(({ path: from, strings }) =>
      strings
        .filter(({ value }) => /^\.{1,2}\/.*\.\w+$/.test(value))
        .map(({ value }) => path.posix.join(path.posix.dirname(from), value))
        .filter((target) => target !== from),
    ),
  );
  return sources
    .filter(({ path: file }) => file.startsWith("src/") && !file.endsWith(".test.ts"))
    .filter(({ path: file }) => !named.has(file) && entries[file] === undefined)
    .map((source) => problem(source, 0, "is imported by nobody: remove it, or import it where it belongs"));
}
