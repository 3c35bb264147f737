/**
 * Completes `package-lock.json` with the platform packages that the registry in use did not serve.
 *
 * npm drops an optional dependency it cannot look up, and a lock file without it makes `npm ci` refuse to run and
 * leaves other platforms without their native binary. Run after any change of dependencies:
 *
 *     npm install --package-lock-only && node scripts/complete-lock.ts
 *
 * An added entry has a version and a platform but no integrity: the machine that installs it checks it by its own
 * registry.
 */
import { readFileSync, writeFileSync } from "node:fs";

type Entry = {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
};

const systems: Record<string, string> = {
  android: "android",
  darwin: "darwin",
  freebsd: "freebsd",
  netbsd: "netbsd",
  openbsd: "openbsd",
  openharmony: "openharmony",
  sunos: "sunos",
  aix: "aix",
  linux: "linux",
  win32: "win32",
  windows: "win32",
};
const processors = new Set([
  "arm64",
  "x64",
  "arm",
  "ia32",
  "ppc64",
  "s390x",
  "riscv64",
  "loong64",
  "mips64el",
  "wasm32",
]);

function platform(name: string): Pick<Entry, "os" | "cpu" | "libc"> | undefined {
  const words = name.split(/[-/.]/);
  const os = words.map((word) => systems[word]).find((word) => word !== undefined);
  const cpu = words.map((word) => (word === "ppc64le" ? "ppc64" : word)).find((word) => processors.has(word));
  if (os === undefined && cpu === undefined) return undefined;
  const libc = words.includes("musl") ? ["musl"] : words.includes("gnu") ? ["glibc"] : undefined;
  return { ...(cpu ? { cpu: [cpu] } : {}), ...(libc ? { libc } : {}), ...(os ? { os: [os] } : {}) };
}

const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, Entry> };
let added = 0;
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    const places = [`${path}/node_modules/${name}`, `node_modules/${name}`];
    if (places.some((place) => lock.packages[place.replace(/^\//, "")] !== undefined)) continue;
    const where = platform(name);
    if (where === undefined) {
      console.error(`left out: ${name}@${range} of ${path || "the root"} (no platform in its name)`);
      continue;
    }
    const dev = path !== "" && entry.dev === true ? { dev: true } : {};
    const version = range.replace(/^[\^~]/, "");
    lock.packages[`node_modules/${name}`] = { version, ...where, ...dev, optional: true };
    added++;
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
lock.packages = Object.fromEntries(sorted);
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
console.error(`package-lock.json: ${added} platform packages added`);
