/** The name of a node says which process of which machine it is, so that the machine can tell whether it still lives. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import process from "node:process";

/** A name for the node of this process; no other start has the same. */
export const newNodeName = (): string => `${hostname()}-${process.pid}-${randomBytes(3).toString("hex")}`;

/** Whether a node of this machine has ended for certain. @param own the node of this process. */
export function hasEnded(node: string, own: string): boolean {
  if (node === own || !node.startsWith(`${hostname()}-`)) return false;
  const pid = Number(/-(\d+)-[0-9a-f]{6}$/.exec(node)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(pid)) return false;
  // One start of this process's number that is not this one is over: in a container every start is number 1.
  return pid === process.pid || !isAlive(pid);
}

/** Whether there is a process of that number. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // It lives, and is somebody else's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
