/**
 * Who the embedded PostgreSQL runs as, and which folders that user can enter.
 *
 * Law: PostgreSQL refuses to run as root. Started by an ordinary user it runs as that user; started by root it runs as
 * the owner of the data that are already there, else as the user that was configured, else as `nobody`.
 */
import { readFileSync, type Stats, statSync } from "node:fs";
import path from "node:path";

/** A user and group number to start a process as. `undefined` wherever one is expected: the user we already are. */
export type Owner = Readonly<{ uid: number; gid: number }>;

export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * @param cluster the data folder of the server, which need not exist yet.
 * @param run_as what the administrator asked for; must be in the system's user database, says initdb.
 * @returns undefined when we are not root.
 */
export function chooseOwner(cluster: string, run_as?: Owner): Owner | undefined {
  if (!isRoot()) return undefined;
  const stat = statSync(cluster, { throwIfNoEntry: false });
  if (stat !== undefined && stat.uid !== 0) return { uid: stat.uid, gid: stat.gid };
  return run_as ?? nobody();
}

function nobody(): Owner {
  let lines: string[] = [];
  try {
    lines = readFileSync("/etc/passwd", "utf8").split("\n");
  } catch {
    // A minimal container may have no such file; the number works without it.
  }
  const fields = lines.find((line) => line.startsWith("nobody:"))?.split(":");
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  // macOS writes -2, which is this number unsigned.
  return uid > 0 && gid > 0 ? { uid, gid } : { uid: 65_534, gid: 65_534 };
}

/**
 * The first folder on the way to `folder` (itself included) that the owner may not enter, with the file system's own
 * rules; undefined when all can be entered. Folders that do not exist are not in the way.
 */
export function obstacle(folder: string, owner: Owner | undefined): string | undefined {
  if (owner === undefined) return undefined;
  for (const step of steps(path.resolve(folder))) {
    const stat = statSync(step, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (!allows(stat, owner, 1)) return step;
  }
  return undefined;
}

/** Whether the owner may read and execute a file, leaving aside the folders on the way to it. */
export function mayRun(file: string, owner: Owner | undefined): boolean {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat !== undefined && (owner === undefined || allows(stat, owner, 5));
}

/** `bits`: 1 execute or enter, 4 read, in the class that the system would look at. */
function allows(stat: Stats, owner: Owner, bits: number): boolean {
  const shift = stat.uid === owner.uid ? 6 : stat.gid === owner.gid ? 3 : 0;
  return ((stat.mode >> shift) & bits) === bits;
}

function steps(folder: string): string[] {
  const parent = path.dirname(folder);
  return parent === folder ? [folder] : [...steps(parent), folder];
}
