/**
 * The embedded PostgreSQL: a real server, started as a child of ours when there is no DATABASE_URL.
 *
 * Law: one server per data folder, whoever starts it. A node that finds it running (another node's, or one that
 * outlived a killed Node) adopts it. Each node keeps one connection open as its sign of presence; a node that stops
 * stops the server only when no other node's connection is left. A server that dies while a node uses it is started
 * again. Called by main.ts and by test/support/postgres.ts; reasons in docs/decisions/0002-embedded-postgresql.md.
 */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { findBinaries } from "./embedded/binaries.ts";
import { clusterVersion, createCluster, databaseName } from "./embedded/cluster.ts";
import { EmbeddedError, passwordWrong, useOwnServer } from "./embedded/error.ts";
import { isAlive, withLock } from "./embedded/lock.ts";
import type { Owner } from "./embedded/owner.ts";
import { locate, openDataFolder, outsideFolders } from "./embedded/place.ts";
import { findServer, removeSocketFolder, type Server, serverUrl, startServer, stopServer } from "./embedded/server.ts";

export { EmbeddedError };

export type EmbeddedOptions = Readonly<{
  /** Where the data are kept (`./tenure-data`); made when absent. */
  data_folder: string;
  /** Told in one line what happened: started, adopted, recovering, data kept elsewhere. Never holds a secret. */
  log: Log;
  /** When we are root: the user to run PostgreSQL as, for new data. Default `nobody`. */
  run_as?: Owner;
  /** For tests: no flushing to disk, small memory. A crash of the machine loses the data. */
  throwaway?: boolean;
  /** Folders with `postgres` and `initdb` to look in, in place of the usual ones. */
  binaries?: readonly string[];
  /** Where data and programs go that an unprivileged user must reach, in place of the usual folders. */
  outside?: readonly string[];
}>;

export type Embedded = Readonly<{
  /** Connection string (with the password: keep it out of logs). Stays the same when the server is started again. */
  url: string;
  /** True when a server was already running on these data. */
  adopted: boolean;
  /** As in "18.4". */
  version: string;
  /** The process number of the server. */
  pid(): number;
  /** Leaves; the last node stops the server and waits for it. Close your own pools first. May be called twice. */
  stop(): Promise<void>;
}>;

type Session = Readonly<{ server: Server; adopted: boolean; client: pg.Client; url: string; version: string }>;

type Log = (line: string) => void;

const lock_wait_ms = 120_000;

/**
 * Starts the server of a data folder, or adopts the one that runs, and makes the database `tenure` the first time.
 * About one second for new data, 0.1 s after that.
 *
 * @throws EmbeddedError whose message says what to do (`code`: see embedded/error.ts).
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  if (process.platform === "win32") {
    throw new EmbeddedError(
      "unsupported_platform",
      `the built-in database runs on Linux and macOS; on Windows ${useOwnServer}`,
    );
  }
  const data_folder = path.resolve(options.data_folder);
  const application = `tenure-${randomBytes(4).toString("hex")}`;
  const enter = () => open(data_folder, application, options);
  let session = await enter();
  const first = session;
  let stopped: Promise<void> | undefined;

  const watch = () => session.client.once("end", () => void restart());
  const restart = async () => {
    for (let wait_ms = 100; stopped === undefined; wait_ms = Math.min(10_000, wait_ms * 2)) {
      try {
        options.log("lost the database server; looking for it");
        session = await enter();
        return watch();
      } catch (error) {
        options.log(`could not start the database server again: ${(error as Error).message}`);
        await sleep(wait_ms, undefined, { ref: false });
      }
    }
  };
  watch();

  return {
    url: first.url,
    adopted: first.adopted,
    version: first.version,
    pid: () => session.server.pid,
    stop() {
      stopped ??= leave(data_folder, application, () => session, options.log);
      return stopped;
    },
  };
}

/** Brings the server up if need be and connects; under the lock, so that a node that is leaving sees us or is gone. */
function open(data_folder: string, application: string, options: EmbeddedOptions): Promise<Session> {
  const outside = options.outside ?? outsideFolders;
  const throwaway = options.throwaway ?? false;
  openDataFolder(data_folder);
  return withLock(path.join(data_folder, "pg.lock"), lock_wait_ms, async () => {
    const began = Date.now();
    const place = locate(data_folder, { ...options, outside });
    const password = readPassword(data_folder, clusterVersion(place.cluster) !== undefined);
    let server = await findServer(place, password, options.log);
    const adopted = server !== undefined;
    if (server === undefined) {
      const major = clusterVersion(place.cluster);
      const wanted = {
        outside,
        log: options.log,
        ...(major && { major }),
        ...(options.binaries && { folders: options.binaries }),
      };
      const binaries = await findBinaries(place.owner, wanted);
      if (major === undefined) await createCluster(place, binaries, password, throwaway);
      const log_file = path.join(data_folder, "postgresql.log");
      server = await startServer(place, binaries, { log_file, throwaway, log: options.log });
    }
    const { pid } = server;
    const session = await connect(server, adopted, password, application).catch(async (error) => {
      if (!adopted) await stopServer(pid);
      throw (error as { code?: string }).code === "28P01" ? passwordWrong() : error;
    });
    const how = adopted ? "adopted, it was already running" : `started in ${Date.now() - began} ms`;
    options.log(`PostgreSQL ${session.version} in ${place.cluster}: ${how}`);
    return session;
  });
}

/** The password lives beside the data, readable by us only: a random one is made with the data. */
function readPassword(data_folder: string, hasData: boolean): string {
  const file = path.join(data_folder, "pg.password");
  if (existsSync(file)) return readFileSync(file, "utf8").trim();
  if (hasData) {
    throw new EmbeddedError(
      "password_wrong",
      `${file} is gone, and without it the data cannot be opened: bring it back from a backup`,
    );
  }
  const password = randomBytes(24).toString("base64url");
  writeFileSync(file, `${password}\n`, { mode: 0o600, flag: "wx" });
  return password;
}

/** Opens our sign of presence, first making the database if this is its first start. */
async function connect(server: Server, adopted: boolean, password: string, application: string): Promise<Session> {
  const url = serverUrl(server, password, application);
  try {
    return { server, adopted, url, ...(await openClient(url)) };
  } catch (error) {
    // 3D000: no such database.
    if ((error as { code?: string }).code !== "3D000") throw error;
  }
  const { client } = await openClient(serverUrl(server, password, application, "postgres"));
  await client.query(`create database ${databaseName}`);
  await client.end();
  return { server, adopted, url, ...(await openClient(url)) };
}

async function openClient(url: string): Promise<{ client: pg.Client; version: string }> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, keepAlive: true });
  // A lost connection shows as the event "end" too, which is the one that is acted upon.
  client.on("error", () => {});
  await client.connect();
  const { rows } = await client.query<{ version: string }>("select current_setting('server_version') as version");
  // A presence only: it must not keep a finished process from ending.
  (client as unknown as { unref(): void }).unref();
  return { client, version: rows[0]?.version.split(" ")[0] ?? "" };
}

function leave(data_folder: string, application: string, current: () => Session, log: Log): Promise<void> {
  return withLock(path.join(data_folder, "pg.lock"), lock_wait_ms, async () => {
    const { client, server, url } = current();
    await client.end().catch(() => {});
    if (await hasOthers(url, application))
      return log("the database server is left running: another Tenure node uses it");
    if (isAlive(server.pid)) await stopServer(server.pid);
    removeSocketFolder(server);
    log("the database server has stopped");
  });
}

/** Whether nodes other than us have a connection. A server that does not answer serves nobody. */
async function hasOthers(url: string, application: string): Promise<boolean> {
  try {
    const { client } = await openClient(url);
    const { rowCount } = await client.query(
      "select from pg_stat_activity where application_name ~ '^tenure' and application_name <> $1 limit 1",
      [application],
    );
    await client.end();
    return rowCount === 1;
  } catch {
    return false;
  }
}
