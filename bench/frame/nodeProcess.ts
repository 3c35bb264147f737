/**
 * A node's engine as a process of its own, as `tenure serve --no-server` is one: for benchmarks of several nodes over one
 * database. `spawnNode` starts it; the same file is the process. The key for the app's credentials comes in the
 * environment.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { openDatabase } from "../../src/store/database.ts";
import type { Key } from "../../src/store/secrets.ts";
import { startNode } from "./engine.ts";
import type { Ground } from "./ground.ts";

export type NodeProcess = Readonly<{
  /** How its claims begin. */
  name: string;
  /** Ends it with no chance to say goodbye. */
  kill: () => Promise<void>;
  stop: () => Promise<void>;
}>;

/** Starts a node and waits until its engine runs. */
export async function spawnNode(ground: Pick<Ground, "url" | "folder">, key: Key): Promise<NodeProcess> {
  const env = {
    ...process.env,
    BENCH_URL: ground.url,
    BENCH_FOLDER: ground.folder,
    BENCH_KEY: key.bytes.toString("hex"),
  };
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const name = await firstLine(child);
  const end = async (signal: "SIGKILL" | "SIGTERM") => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  return { name, kill: () => end("SIGKILL"), stop: () => end("SIGTERM") };
}

async function firstLine(child: ChildProcess): Promise<string> {
  const ended = once(child, "exit").then(() => Promise.reject(new Error("a node did not start")));
  ended.catch(() => {});
  const [chunk] = (await Promise.race([once(child.stdout ?? child, "data"), ended])) as [Buffer];
  return chunk.toString().trim();
}

async function run(): Promise<void> {
  const { BENCH_URL: url = "", BENCH_FOLDER: folder = "", BENCH_KEY: key = "" } = process.env;
  const db = openDatabase(url, { connections: 10 });
  const node = await startNode({ db, url, folder }, { id: "bench", bytes: Buffer.from(key, "hex") });
  process.once("SIGTERM", () => {
    void node.stop().then(() => db.destroy());
  });
  process.stdout.write(`${node.name}\n`);
}

if (import.meta.main) await run();
