/**
 * Starts an example app as a process of its own and waits until it says where it is. Used by the demo company, the
 * contract tests and the benchmarks.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export type SpawnedApp = Readonly<{ url: string; token: string; pid: number; stop(): Promise<void> }>;

/** `args`: the app's own options; `file`: a script outside this folder; `start_ms`: how long it may take to be ready. */
export type SpawnOptions = Readonly<{
  port?: number;
  token?: string;
  args?: readonly string[];
  file?: string;
  start_ms?: number;
}>;

/** The apps of this folder. */
export type AppName = "scimmy" | "betterAuth" | "quirks";

const start_default_ms = 60_000;
const stop_ms = 3_000;

/** Starts `NAME.ts` of this folder, or `options.file`. Throws with the app's own words if it does not get ready. */
export async function spawnApp(name: AppName | (string & {}), options: SpawnOptions = {}): Promise<SpawnedApp> {
  const file = options.file ?? fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const token = options.token === undefined ? [] : ["--token", options.token];
  const args = [file, "--port", `${options.port ?? 0}`, ...token, ...(options.args ?? [])];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
  const errors: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => {
    errors.push(chunk.toString());
    if (errors.length > 50) errors.shift();
  });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), stop_ms);
    await ended;
    clearTimeout(timer);
  };
  const said = await firstWord(child.stdout, child, options.start_ms ?? start_default_ms);
  if (said === null) {
    await stop();
    throw new Error(`The app ${name} did not start: ${errors.join("").slice(-2_000)}`);
  }
  child.stdout.resume();
  return { ...said, pid: child.pid!, stop };
}

type Child = ReturnType<typeof spawn>;

/** The line in which the app says where it is; null if it ends or stays silent. */
async function firstWord(
  stdout: NodeJS.ReadableStream,
  child: Child,
  ms: number,
): Promise<{ url: string; token: string } | null> {
  const lines = createInterface({ input: stdout });
  const given_up = new Promise<null>((resolve) => {
    setTimeout(() => resolve(null), ms).unref();
    child.once("exit", () => resolve(null));
  });
  const said = new Promise<{ url: string; token: string }>((resolve) => {
    lines.on("line", (line) => {
      if (line.startsWith('{"url"')) resolve(JSON.parse(line) as { url: string; token: string });
    });
  });
  return Promise.race([said, given_up]);
}
