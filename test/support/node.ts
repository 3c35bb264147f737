/** A whole node as people start it (`tenure serve`) on a data folder of its own, and the CLI that talks to it. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const main = path.join(import.meta.dirname, "../../src/main.ts");

export type Ran = Readonly<{ code: number; out: string; err: string }>;

export type TestNode = Readonly<{
  folder: string;
  url: string;
  token: string;
  child: ChildProcess;
  /** Everything the node printed so far. */
  output(): string;
  /** Runs a command of the CLI against this node. */
  cli(...args: string[]): Promise<Ran>;
  stop(): Promise<number | null>;
}>;

/** Starts a node with the embedded PostgreSQL and waits until it is ready. */
export async function startTestNode(...more: string[]): Promise<TestNode> {
  const node = await startNodeIn(mkdtempSync(path.join(tmpdir(), "tenure-node-")), ...more);
  const stop = async () => {
    const code = await node.stop();
    rmSync(node.folder, { recursive: true, force: true });
    return code;
  };
  return { ...node, stop };
}

/** Starts a node in a data folder that is kept when it stops. */
export async function startNodeIn(folder: string, ...more: string[]): Promise<TestNode> {
  const env = { ...process.env, DATABASE_URL: "", TENURE_URL: "", TENURE_TOKEN: "", NO_COLOR: "1" };
  const args = [main, "serve", "--data", folder, "--port", "0", "--throwaway", ...more];
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (out += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  await new Promise<void>((resolve, reject) => {
    const look = setInterval(() => {
      if (!/^Ready\.$/m.test(out) && child.exitCode === null) return;
      clearInterval(look);
      if (child.exitCode === null) resolve();
      else reject(new Error(`the node ended with ${child.exitCode}:\n${out}`));
    }, 50);
  });
  return {
    folder,
    url: /listens on (\S+)/.exec(out)?.[1] ?? "",
    token: /: (\S{40})$/m.exec(out)?.[1] ?? "",
    child,
    output: () => out,
    cli: (...words) => run([main, ...words, "--data", folder], folder),
    stop: async () => {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

/** Runs `node ARGS` in a folder. */
export function run(args: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args], {
      cwd,
      env: { ...process.env, DATABASE_URL: "", TENURE_URL: "", TENURE_TOKEN: "", NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const parts = { out: "", err: "" };
    child.stdout.on("data", (chunk: Buffer) => (parts.out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (parts.err += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? -1, ...parts }));
  });
}
