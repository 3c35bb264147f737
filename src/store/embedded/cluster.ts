/**
 * The data folder of the embedded PostgreSQL ("cluster" in PostgreSQL's words): making it, and the settings it runs with.
 *
 * Law: a cluster appears under its name only when it is complete. Settings are given at every start and never written
 * into the cluster, so that a newer Tenure brings its own.
 */
import { execFile } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { totalmem } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { Binaries } from "./binaries.ts";
import { EmbeddedError, useOwnServer } from "./error.ts";
import { giveTo, type Place } from "./place.ts";

const run = promisify(execFile);
const MB = 1024 * 1024;

/** The role and the database, both of this name. */
export const databaseName = "tenure";

/** Nothing of our own environment: it may hold secrets, and PG* variables that would lead elsewhere. */
export const environment = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC", HOME: "/" };

/** The major version that wrote a cluster; undefined when there is none yet. */
export function clusterVersion(cluster: string): number | undefined {
  const file = path.join(cluster, "PG_VERSION");
  return existsSync(file) ? Number.parseInt(readFileSync(file, "utf8"), 10) : undefined;
}

/**
 * Makes the cluster with initdb. One that was interrupted leaves only `pg.new`, which the next try removes.
 *
 * @param throwaway for tests: does not flush to disk.
 * @throws EmbeddedError `init_failed` with what initdb said.
 */
export async function createCluster(
  place: Place,
  binaries: Binaries,
  password: string,
  throwaway: boolean,
): Promise<void> {
  const part = `${place.cluster}.new`;
  const passwordFile = `${place.cluster}.password.new`;
  try {
    rmSync(part, { recursive: true, force: true });
    mkdirSync(part, { mode: 0o700 });
    chmodSync(part, 0o700);
    giveTo(part, place.owner);
    writeFileSync(passwordFile, password, { mode: 0o600 });
    if (place.owner) chownSync(passwordFile, place.owner.uid, place.owner.gid);
    const common = ["-D", part, "-U", databaseName, `--pwfile=${passwordFile}`, "--auth=scram-sha-256"];
    const options = ["--encoding=UTF8", "--no-instructions", ...(throwaway ? ["--no-sync"] : [])];
    await run(path.join(binaries.folder, "initdb"), [...common, ...options, ...locale(binaries.major)], {
      ...place.owner,
      cwd: "/",
      env: environment,
      timeout: 300_000,
    });
    renameSync(part, place.cluster);
    flush(path.dirname(place.cluster));
  } catch (error) {
    if (error instanceof EmbeddedError) throw error;
    const said = (error as { stderr?: string }).stderr?.trim() || (error as Error).message;
    throw new EmbeddedError(
      "init_failed",
      `could not make a database in ${place.cluster}: ${said}\nMake room or give the right to write there, or ${useOwnServer}.`,
    );
  } finally {
    rmSync(part, { recursive: true, force: true });
    rmSync(passwordFile, { force: true });
  }
}

/** Text sorts by code point and lower() knows all of Unicode, the same on every machine and after every upgrade. */
function locale(major: number): string[] {
  return major >= 17 ? ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"] : ["--locale=C.UTF-8"];
}

function flush(folder: string): void {
  const handle = openSync(folder, "r");
  fsyncSync(handle);
  closeSync(handle);
}

/**
 * The settings as arguments of `postgres`, for a machine that the server shares with Node. Durability is PostgreSQL's
 * default (fsync and synchronous_commit on) except for throwaway servers of tests, which survive a killed process but not
 * a killed machine.
 */
export function settings(throwaway: boolean): string[] {
  // Above 512 MB, a million people that are there already are compared in a sixth less time.
  const shared_mb = throwaway ? 64 : Math.max(64, Math.min(2_048, Math.floor(totalmem() / MB / 16)));
  const values: Record<string, string> = {
    shared_buffers: `${shared_mb}MB`,
    max_connections: throwaway ? "300" : "100",
    max_wal_size: throwaway ? "512MB" : "2GB",
    // The first use of each 16 MB of log writes them once instead of twice: a first import is 7 % faster for it.
    wal_init_zero: "off",
    // A chunk of an import writes 9 MB of log; with the default of 16 MB for all, two of them write it out in small pieces
    // (150,000 people: 18.3 s instead of 17.6).
    wal_buffers: throwaway ? "-1" : "64MB",
    work_mem: "16MB",
    maintenance_work_mem: "128MB",
    // Every statement of ours is short or set-based; compiling them costs more than it gives.
    jit: "off",
    // The data are on one local disk, mostly in memory.
    random_page_cost: "1.1",
    TimeZone: "UTC",
    log_timezone: "UTC",
    // Failed statements are reported to their caller; the server's log is for the server's own life.
    log_min_messages: "log",
    log_checkpoints: "off",
    ...(smallSharedMemory() ? { dynamic_shared_memory_type: "mmap" } : {}),
    ...(throwaway ? { fsync: "off", full_page_writes: "off" } : {}),
  };
  return Object.entries(values).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/** Containers commonly give /dev/shm 64 MB, which a parallel query can exhaust. */
function smallSharedMemory(): boolean {
  if (process.platform !== "linux") return false;
  try {
    const { bsize, blocks } = statfsSync("/dev/shm");
    return bsize * blocks < 256 * MB;
  } catch {
    return true;
  }
}
