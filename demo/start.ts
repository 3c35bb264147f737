/** Starts what the demo runs on: a database of its own, a node of Tenure as `tenure serve` would, and the HR system. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { address_file, type Node, type ServeOptions, startNode } from "../src/main/serve.ts";
import { startEmbedded } from "../src/store/embedded.ts";
import { apiAt } from "./api.ts";
import { freshDatabase } from "./database.ts";
import { hr_file } from "./found.ts";
import { csvLines } from "./hrFile.ts";
import type { DemoOptions } from "./options.ts";
import type { HrRow } from "./people.ts";
import type { Hr } from "./story/stage.ts";
import { type AppLabel, type RunningSystem, startSystem } from "./systems.ts";
import { type Tenure, tenureAt } from "./tenure.ts";

/** What must be stopped, in the order in which it was started. `told`: the exit code of a story that is over. */
export type Running = { readonly stops: (() => Promise<unknown>)[]; stopping: boolean; told?: number };

/** Notes that something is being started, so that it is stopped with the rest, even if that is asked for meanwhile. */
function track<T>(running: Running, start: () => Promise<T>, stop: (started: T) => Promise<unknown>): Promise<T> {
  if (running.stopping) return Promise.reject(new Error("the demo is being stopped"));
  const starting = start();
  running.stops.push(async () => stop(await starting));
  // Whoever waits for it hears of a failure; until then it must not end the process.
  starting.catch(() => {});
  return starting;
}

/** Stops everything, the last started first. */
export async function stopRunning(running: Running): Promise<void> {
  running.stopping = true;
  for (const stop of running.stops.splice(0).reverse()) await stop().catch(() => {});
}

/** Starts apps, all of these at once. */
export function startSystems<L extends AppLabel>(
  running: Running,
  labels: readonly L[],
): Readonly<Record<L, Promise<RunningSystem>>> {
  const start = (label: L) =>
    track(
      running,
      () => startSystem(label),
      (system) => system.stop(),
    );
  return Object.fromEntries(labels.map((label) => [label, start(label)])) as Record<L, Promise<RunningSystem>>;
}

/** An empty Tenure: database, engine and API. */
export async function startTenure(
  options: DemoOptions,
  running: Running,
  log: (line: string) => void,
): Promise<Readonly<{ tenure: Tenure; data_folder: string; url: string }>> {
  const data_folder = resolve(options.data);
  mkdirSync(data_folder, { recursive: true, mode: 0o700 });
  await requireFree(data_folder);
  const given = process.env["DATABASE_URL"];
  const server_url = given === undefined || given === "" ? await startDatabase(running, data_folder, log) : given;
  const database_url = await freshDatabase(server_url);
  const serve: ServeOptions = {
    ...{ data_folder, database_url, log },
    // The apps are on this machine, the story moves the clock, nobody else uses this server, and all people are HR's.
    ...{ allow_private: true, allow_clock: true, rate_limit: 0, admin_login: null },
  };
  const node = await track(
    running,
    () => startOn(serve, options.port, log),
    (started) => started.stop(),
  );
  const { token } = await node.ready;
  if (token === undefined || node.url === undefined) throw new Error("the new server gave no token");
  const tenure = tenureAt(apiAt(node.url, token));
  // The server counts from the first time it is asked.
  await tenure.operations();
  return { tenure, data_folder, url: node.url };
}

async function startDatabase(running: Running, data_folder: string, log: (line: string) => void): Promise<string> {
  const start = () => startEmbedded({ data_folder, log, throwaway: true });
  const server = await track(running, start, (one) => one.stop());
  const watch = stopWithUs(server.pid());
  // Before the server itself in the order of stopping, so that it is not stopped twice.
  running.stops.push(watch.dismiss);
  return server.url;
}

/**
 * Has a process stopped when this one ends, however it ends: a shell waits for the end of a pipe that only we hold. It
 * is deaf to signals, because Ctrl-C goes to it as well.
 */
function stopWithUs(pid: number): Readonly<{ dismiss(): Promise<void> }> {
  const script = 'trap "" INT TERM HUP; while read -r line; do :; done; kill -INT "$1" 2> /dev/null';
  const shell = spawn("sh", ["-c", script, "sh", `${pid}`], { stdio: ["pipe", "ignore", "ignore"] });
  shell.unref();
  return {
    async dismiss() {
      if (shell.exitCode !== null || shell.signalCode !== null) return;
      const ended = once(shell, "exit");
      shell.kill("SIGKILL");
      await ended;
    },
  };
}

/** Refuses a data folder in which a demo lives: a second one would empty its database. */
async function requireFree(data_folder: string): Promise<void> {
  const file = join(data_folder, address_file);
  if (!existsSync(file)) return;
  const { url, pid } = readAddress(file);
  // The file outlives a demo that was killed, and its process number is given again.
  if (!isAlive(pid) || !(await answers(url))) return;
  throw new Error(`a demo runs on this data already, at ${url} (process ${pid}): stop it, or use --data FOLDER`);
}

function readAddress(file: string): Readonly<{ url: string; pid: number }> {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as { url: string; pid: number };
  } catch {
    return { url: "", pid: 0 };
  }
}

function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(new URL("/healthz", url), { signal: AbortSignal.timeout(1_000) })).ok;
  } catch {
    return false;
  }
}

/** On the wanted port or, where another program has it, on a free one. */
async function startOn(serve: ServeOptions, port: number, log: (line: string) => void): Promise<Node> {
  try {
    return await startNode({ ...serve, port });
  } catch (error) {
    if ((error as { code?: string }).code !== "EADDRINUSE") throw error;
    log(`port ${port} is taken: using a free one`);
    return startNode({ ...serve, port: 0 });
  }
}

/** The HR system: its file in the import folder, replaced as a whole, and imported. */
export function hrSystem(tenure: Tenure, source: string, data_folder: string): Hr {
  const hr: Hr = {
    rows: [],
    async publish(rows: readonly HrRow[]) {
      hr.rows = rows;
      writeHrFile(data_folder, rows);
      const imported = await tenure.importNow(source);
      if (imported.status === "DONE") return imported;
      throw new Error(`the import of the HR file is ${imported.status}: ${imported.reason ?? "no reason given"}`);
    },
  };
  return hr;
}

/** Written beside its name and moved there, so that no reader sees half a file. */
export function writeHrFile(data_folder: string, rows: readonly HrRow[]): void {
  const folder = join(data_folder, "import");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, hr_file);
  writeFileSync(`${file}.new`, [...csvLines(rows)].join(""), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
