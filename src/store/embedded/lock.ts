/**
 * A lock between processes that share a data folder: a file made exclusively, touched every second by its owner.
 *
 * Law: a lock whose owner died is taken over, at once when the owner ran on this host, else after ten seconds without
 * a touch. Held only for the moments of starting and stopping the embedded PostgreSQL (embedded.ts).
 */
import { readFileSync, rmSync, statSync, utimes, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { EmbeddedError } from "./error.ts";

const beat_ms = 1_000;
const dead_after_ms = 10_000;

/**
 * Runs `work` while holding `file`.
 *
 * @param wait_ms how long to wait for another holder.
 * @throws EmbeddedError `busy` when the holder does not finish in that time; whatever `work` throws.
 */
export async function withLock<T>(file: string, wait_ms: number, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + wait_ms;
  while (!take(file)) {
    if (isAbandoned(file)) rmSync(file, { force: true });
    else if (Date.now() > deadline) {
      throw new EmbeddedError(
        "busy",
        `another Tenure process has been starting or stopping the database for ${Math.round(wait_ms / 1000)} s (${file}); wait for it or stop it`,
      );
    } else await sleep(25);
  }
  const beat = setInterval(() => utimes(file, new Date(), new Date(), () => {}), beat_ms);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    rmSync(file, { force: true });
  }
}

function take(file: string): boolean {
  try {
    writeFileSync(file, `${process.pid} ${hostname()}\n`, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function isAbandoned(file: string): boolean {
  const touched = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  if (touched === undefined) return false;
  if (Date.now() - touched > dead_after_ms) return true;
  const [pid, host] = readOrEmpty(file).trim().split(" ");
  return host === hostname() && !isAlive(Number(pid));
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Whether a process of this number exists, ours or not. */
export function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
