/**
 * One PostgreSQL server process: starting it, finding one that already runs, asking it, stopping it. Who may stop it is
 * decided in embedded.ts.
 *
 * Law: the server has a session of its own, so that neither Ctrl-C nor the death of Node reaches it. It listens on a
 * Unix socket only. It is stopped with SIGINT (open transactions roll back, data are flushed), never with SIGKILL.
 */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chownSync,
  closeSync,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Binaries } from "./binaries.ts";
import { databaseName, environment, settings } from "./cluster.ts";
import { EmbeddedError, passwordWrong, useOwnServer } from "./error.ts";
import { isAlive } from "./lock.ts";
import type { Place } from "./place.ts";

/** A server process, as its own file postmaster.pid describes it. */
export type Server = Readonly<{ pid: number; port: number; socket_folder: string; status: string }>;

type Log = (line: string) => void;

/** The longest wait for a server to come up: replaying the log after a crash under load takes minutes at most. */
const start_ms = 600_000;
/** A fast stop flushes what is in memory; after this long, stopping at once and replaying later is better. */
const stop_ms = 60_000;

/**
 * A connection string for one database of the server. The `host` parameter (the socket's folder) is the one that
 * counts, for `pg` as for psql.
 */
export function serverUrl(server: Server, password: string, application: string, database = databaseName): string {
  const query = new URLSearchParams({ host: server.socket_folder, application_name: application });
  return `postgresql://${databaseName}:${password}@localhost:${server.port}/${database}?${query}`;
}

/**
 * Finds the server that already runs on a cluster, waiting for one that is coming up or going down. One that runs and
 * does not answer is stopped.
 *
 * @returns undefined when none is left running.
 * @throws EmbeddedError `password_wrong`; `busy` when the folder is in use by a machine or container we cannot see.
 */
export async function findServer(place: Place, password: string, log: Log): Promise<Server | undefined> {
  const deadline = Date.now() + start_ms;
  for (let silent = 0; Date.now() < deadline; ) {
    const server = readServer(place.cluster);
    if (server === undefined) return undefined;
    const answer = await ask(server, password);
    const answers = answer === "yes";
    const local = isAlive(server.pid) && runsIn(server.pid, place.cluster);
    if (answers && local) return server;
    if (answers) {
      throw new EmbeddedError(
        "busy",
        `${place.cluster} is in use by a PostgreSQL in another container or machine: give each its own data folder, or ` +
          "let all nodes use one server through DATABASE_URL",
      );
    }
    if (!local) {
      // The number now belongs to another program, which PostgreSQL itself could take for a server.
      if (isAlive(server.pid)) rmSync(path.join(place.cluster, "postmaster.pid"), { force: true });
      return undefined;
    }
    // Whoever says "not now" is recovering from the crash of a connection, and must be left to finish.
    if (server.status === "ready" && answer === "silent") silent++;
    if (silent >= 3) {
      log(`the database server (process ${server.pid}) does not answer: stopping it`);
      await stopServer(server.pid);
      return undefined;
    }
    await sleep(100);
  }
  throw new EmbeddedError("start_failed", `the database server in ${place.cluster} has been starting for 10 minutes`);
}

/** What postmaster.pid says: process, data folder, start time, port, socket folder, address, memory key, status. */
function readServer(cluster: string): Server | undefined {
  const file = path.join(cluster, "postmaster.pid");
  if (!existsSync(file)) return undefined;
  let lines: string[];
  try {
    lines = readFileSync(file, "utf8").split("\n");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const [pid = "", , , port = "", socket_folder = "", , , status = ""] = lines.map((line) => line.trim());
  return { pid: Number(pid), port: Number(port), socket_folder, status };
}

const cannot_connect_now = "57P03";

/** Whether a server takes connections. `not_now`: it lives, and comes up, recovers or goes down. */
async function ask(server: Server, password: string): Promise<"yes" | "not_now" | "silent"> {
  if (server.socket_folder === "") return "silent";
  const client = new pg.Client({
    connectionString: serverUrl(server, password, "embedded", "postgres"),
    connectionTimeoutMillis: 2_000,
  });
  // The server may go away while we ask; the rejected call says it already.
  client.on("error", () => {});
  try {
    await client.connect();
    return "yes";
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "28P01") throw passwordWrong();
    return code === cannot_connect_now ? "not_now" : "silent";
  } finally {
    await client.end().catch(() => {});
  }
}

/** A PostgreSQL server works inside its cluster folder, so that folder tells it from a reused process number. */
function runsIn(pid: number, cluster: string): boolean {
  try {
    if (process.platform === "linux") return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(cluster);
    return execFileSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" }).includes("postgres");
  } catch (error) {
    // Not ours to look at: then it is not ours. Gone meanwhile: then it is not running.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * Starts the server and waits until it takes connections.
 *
 * @param log_file receives the server's own log; kept below 2 MB over restarts.
 * @throws EmbeddedError `start_failed` with the end of the server's log; `cannot_switch_user`.
 */
export async function startServer(
  place: Place,
  binaries: Binaries,
  options: Readonly<{ log_file: string; throwaway: boolean; log: Log }>,
): Promise<Server> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const result = await launch(place, binaries, options);
    if (typeof result !== "string") return result;
    // The children of a killed server need a moment to notice; until then its shared memory is in use.
    const passing = /shared memory block|lock file .* already exists/.test(result);
    if (!passing || Date.now() > deadline) {
      throw new EmbeddedError(
        "start_failed",
        `PostgreSQL ${binaries.version} did not start on ${place.cluster}:\n${result}\n(all of it: ${options.log_file})\n` +
          `If this cannot be mended, ${useOwnServer}.`,
      );
    }
    await sleep(200);
  }
}

/** One try; gives the server, or the end of its log when it went away again. */
async function launch(
  place: Place,
  binaries: Binaries,
  options: Readonly<{ log_file: string; throwaway: boolean; log: Log }>,
): Promise<Server | string> {
  const handle = openLog(options.log_file);
  const start = fstatSync(handle).size;
  const socket = ["-c", `unix_socket_directories=${socketFolder(place)}`, "-c", "unix_socket_permissions=0700"];
  const args = [
    "-D",
    place.cluster,
    "-p",
    "5432",
    "-c",
    "listen_addresses=",
    ...socket,
    ...settings(options.throwaway),
  ];
  const child = spawn(path.join(binaries.folder, "postgres"), args, {
    ...place.owner,
    cwd: "/",
    env: environment,
    detached: true,
    stdio: ["ignore", handle, handle],
  });
  closeSync(handle);
  let ended: Error | true | undefined;
  child.on("error", (error) => {
    ended = error;
  });
  child.on("exit", () => {
    ended ??= true;
  });
  child.unref();
  const began = Date.now();
  for (let told = false; Date.now() - began < start_ms; await sleep(10)) {
    if (ended instanceof Error) throw cannotSpawn(ended, place);
    if (ended)
      return readFileSync(options.log_file).subarray(start).toString().trim().split("\n").slice(-12).join("\n");
    const server = readServer(place.cluster);
    if (server?.pid === child.pid && server?.status === "ready") return server;
    if (!told && Date.now() - began > 3_000) {
      options.log("the database server is still starting (after a crash it replays its log first)");
      told = true;
    }
  }
  return "it was not ready after 10 minutes";
}

function cannotSpawn(error: Error, place: Place): EmbeddedError {
  const uid = place.owner?.uid;
  if (uid === undefined) return new EmbeddedError("start_failed", `PostgreSQL could not be started: ${error.message}`);
  return new EmbeddedError(
    "cannot_switch_user",
    `PostgreSQL does not run as root, and starting it as uid ${uid} failed (${error.message}): run Tenure as an ordinary user, or ${useOwnServer}`,
  );
}

function openLog(file: string): number {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 1024 * 1024) renameSync(file, `${file}.1`);
  return openSync(file, "a", 0o600);
}

/**
 * The folder of the socket: the cluster itself, or below /tmp where that path is too long for a socket's address
 * (108 bytes on Linux, 104 on macOS, with a terminator).
 */
function socketFolder(place: Place): string {
  const name = "/.s.PGSQL.5432.lock";
  if (Buffer.byteLength(place.cluster + name) < 104 && !/[,"]/.test(place.cluster)) return place.cluster;
  const uid = place.owner?.uid ?? process.getuid?.();
  const hash = createHash("sha256").update(realpathSync(place.cluster)).digest("hex").slice(0, 16);
  const folder = `/tmp/tenure-${hash}`;
  if (!existsSync(folder)) {
    mkdirSync(folder, { mode: 0o700 });
    if (place.owner) chownSync(folder, place.owner.uid, place.owner.gid);
  }
  const stat = lstatSync(folder);
  if (stat.isDirectory() && stat.uid === uid && (stat.mode & 0o077) === 0) return folder;
  throw new EmbeddedError(
    "start_failed",
    `${folder} is needed for the database's socket and belongs to somebody else: remove it`,
  );
}

/** Removes the socket's folder after a stop, where it is one of ours below /tmp. */
export function removeSocketFolder(server: Server): void {
  if (!/^\/tmp\/tenure-[0-9a-f]{16}$/.test(server.socket_folder)) return;
  rmSync(server.socket_folder, { recursive: true, force: true });
}

/**
 * Stops a server and waits until it is gone: flushing its data, or after a minute without (it replays its log at the
 * next start).
 *
 * @throws EmbeddedError `busy` when it does not go.
 */
export async function stopServer(pid: number): Promise<void> {
  for (const signal of ["SIGINT", "SIGQUIT"] as const) {
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    const deadline = Date.now() + stop_ms;
    for (; Date.now() < deadline; await sleep(10)) if (!isAlive(pid)) return;
  }
  throw new EmbeddedError("busy", `the database server (process ${pid}) does not stop: end it by hand and start again`);
}
