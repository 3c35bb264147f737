/**
 * A real node that can be killed: `node src/main.ts serve …` as a child process on a port of its own, started again and
 * again over the same data. Who talks to it waits at `ready` while it is dead.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export type NodeOptions = Readonly<{
  data_folder: string;
  port: number;
  /** A PostgreSQL to use in place of the embedded one. */
  database_url?: string;
  args?: readonly string[];
}>;

export type KillableNode = Readonly<{
  url: string;
  pid(): number;
  /** Starts it; resolves when it works. */
  start(): Promise<void>;
  /** SIGKILL, at once, wherever it is; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; gives the exit code. */
  stop(): Promise<number | null>;
  /** Resolves when it works, be it now or after the next start; rejects when it ended without being told to. */
  ready(): Promise<void>;
  /** What it printed last. */
  output(): string;
}>;

const main = path.join(import.meta.dirname, "../../../src/main.ts");
const start_ms = 120_000;
const output_max = 20_000;

/** A node that is not started yet. */
export function killableNode(options: NodeOptions): KillableNode {
  const { data_folder, port, database_url = "", args = [] } = options;
  // Compiled modules are kept beside the data: a start takes half the time, and a hundred are made.
  const env = { ...process.env, DATABASE_URL: database_url, NODE_COMPILE_CACHE: path.join(data_folder, "compiled") };
  const words = [main, "serve", "--data", data_folder, "--port", `${port}`, "--allow-private", "--throwaway", ...args];
  let child: ChildProcess | undefined;
  let output = "";
  let up = gate();

  const ended = (which: ChildProcess) => which.exitCode !== null || which.signalCode !== null;
  const start = async () => {
    const life = spawn(process.execPath, words, { env, stdio: ["ignore", "pipe", "pipe"] });
    const mine = up;
    child = life;
    let said = "";
    for (const stream of [life.stdout, life.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        output = `${output}${chunk}`.slice(-output_max);
        if (/^Ready\.$/m.test(said)) mine.resolve();
      });
    }
    // After a kill there is another gate; this one being shut means that nobody asked it to end.
    life.once("exit", (code) =>
      mine.reject(new Error(`the node ended by itself with ${code}:\n${said.slice(-2_000)}`)),
    );
    const late = new AbortController();
    const slow = sleep(start_ms, undefined, { ref: false, signal: late.signal }).then(
      () => mine.reject(new Error(`the node was not ready after ${start_ms / 1_000} s:\n${said.slice(-2_000)}`)),
      () => {},
    );
    await mine.promise.finally(() => late.abort());
    await slow;
  };
  const end = async (signal: NodeJS.Signals) => {
    const life = child;
    if (life === undefined || ended(life)) return life?.exitCode ?? null;
    up = gate();
    const gone = once(life, "exit");
    life.kill(signal);
    await gone;
    return life.exitCode;
  };
  return {
    url: `http://127.0.0.1:${port}`,
    pid: () => child?.pid ?? 0,
    start,
    kill: async () => void (await end("SIGKILL")),
    stop: () => end("SIGTERM"),
    ready: async () => {
      for (;;) {
        const mine = up;
        try {
          return await mine.promise;
        } catch (error) {
          // It was killed while it started: the next start counts.
          if (mine === up) throw error;
        }
      }
    },
    output: () => output,
  };
}

type Gate = Readonly<{ promise: Promise<void>; resolve(): void; reject(error: Error): void }>;

function gate(): Gate {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Whoever waits for it hears of a failure; nobody may.
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** A port of the loopback address that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** The token that the first start of a data folder made. */
export function tokenIn(data_folder: string): string {
  return readFileSync(path.join(data_folder, "admin.token"), "utf8").trim();
}
