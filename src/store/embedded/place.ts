/**
 * Where the embedded PostgreSQL keeps its data, and how they are found again.
 *
 * Law: the data are in `<data folder>/pg`. Only when we are root and the server's unprivileged user cannot get there
 * (a clone below a home of mode 0700) are they kept outside, and `<data folder>/pg.location` says where; so they are
 * found again also after the clone was moved, and removing the data folder is still a fresh start.
 */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { EmbeddedError, useOwnServer } from "./error.ts";
import { chooseOwner, isRoot, type Owner, obstacle } from "./owner.ts";

/** Folders that outlive a restart of the machine and that any user may enter, in order of preference. */
export const outsideFolders: readonly string[] = ["/var/lib/tenure", "/var/tmp/tenure"];

/** `cluster`: PostgreSQL's own data folder, which may not exist yet; its parent does. */
export type Place = Readonly<{ cluster: string; owner: Owner | undefined }>;

/**
 * Finds or chooses the place, making the folders around the cluster. Called under the lock of the data folder.
 *
 * @param options `run_as`: see chooseOwner; `outside`: where to go when the data folder cannot be reached.
 * @throws EmbeddedError `data_missing`, `data_unreachable`.
 */
export function locate(
  data_folder: string,
  options: Readonly<{ run_as?: Owner; outside: readonly string[]; log: (line: string) => void }>,
): Place {
  const marker = path.join(data_folder, "pg.location");
  if (existsSync(marker)) return locateOutside(data_folder, options.run_as);
  const cluster = path.join(data_folder, "pg");
  const owner = chooseOwner(cluster, options.run_as);
  if (owner === undefined) return { cluster, owner };
  admit(data_folder);
  const blocked = obstacle(existsSync(cluster) ? cluster : data_folder, owner);
  if (blocked === undefined) {
    if (existsSync(cluster) && lstatSync(cluster).uid === 0) giveTo(cluster, owner);
    return { cluster, owner };
  }
  if (existsSync(cluster)) throw unreachable(cluster, blocked, owner);
  const base = options.outside.find((folder) => makeOutside(folder, owner));
  if (base === undefined) throw unreachable(cluster, blocked, owner);
  const home = path.join(base, `data-${randomBytes(6).toString("hex")}`);
  mkdirSync(home);
  chmodSync(home, 0o711);
  writeFileSync(marker, `${home}\n`, { mode: 0o600 });
  options.log(
    `the database runs as uid ${owner.uid}, which cannot enter ${blocked}: its data are kept in ${home} (noted in ${marker})`,
  );
  return locateOutside(data_folder, owner);
}

/**
 * Makes the data folder when it is absent. An ordinary user cannot go on with what Tenure made when it ran as root, or
 * as somebody else: told here, before anything is written.
 *
 * @throws EmbeddedError `data_unreachable`.
 */
export function openDataFolder(data_folder: string): void {
  if (!existsSync(data_folder)) mkdirSync(data_folder, { recursive: true, mode: 0o700 });
  const us = process.getuid?.();
  for (const folder of [data_folder, path.join(data_folder, "pg")]) {
    const owner = lstatSync(folder, { throwIfNoEntry: false })?.uid;
    if (us === 0 || owner === undefined || owner === us) continue;
    throw new EmbeddedError(
      "data_unreachable",
      `${folder} belongs to uid ${owner} and Tenure runs as uid ${us}: run it as the user it ran as before (root, if it was ` +
        `started as root), give the folder to this user with chown -R, choose another data folder, or ${useOwnServer}`,
    );
  }
}

function locateOutside(data_folder: string, run_as: Owner | undefined): Place {
  const marker = path.join(data_folder, "pg.location");
  const home = readFileSync(marker, "utf8").trim();
  if (!existsSync(home)) {
    throw new EmbeddedError(
      "data_missing",
      `the database was kept in ${home} (says ${marker}), and that folder is gone: bring it back from a backup, ` +
        `or remove ${marker} to start with an empty database`,
    );
  }
  // A moved data folder keeps its data; a copy of it must not write into the data of the first.
  const claim = path.join(home, "data-folder");
  const holder = existsSync(claim) ? readFileSync(claim, "utf8").trim() : data_folder;
  const others = path.join(holder, "pg.location");
  if (holder !== data_folder && existsSync(others) && readFileSync(others, "utf8").trim() === home) {
    throw new EmbeddedError(
      "data_shared",
      `${data_folder} is a copy of ${holder}, whose database is kept in ${home}: remove ${marker} and pg.password beside it ` +
        `to start this one with an empty database, or ${useOwnServer}`,
    );
  }
  writeFileSync(claim, `${data_folder}\n`, { mode: 0o600 });
  const cluster = path.join(home, "pg");
  return { cluster, owner: chooseOwner(cluster, run_as) };
}

/** Lets the server's user pass through the data folder (not list it); every file of ours in it is 0600. */
function admit(data_folder: string): void {
  const stat = lstatSync(data_folder);
  if (stat.isDirectory() && stat.uid === 0 && (stat.mode & 0o011) !== 0o011) chmodSync(data_folder, stat.mode | 0o011);
}

/**
 * Makes a folder for things that the server's user must reach. Gives false when that is not possible, or when somebody
 * else could have put something into it.
 */
export function makeOutside(folder: string, owner: Owner): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const stat = lstatSync(folder);
    if (!stat.isDirectory() || stat.uid !== 0 || (stat.mode & 0o022) !== 0) return false;
    chmodSync(folder, 0o755);
    return obstacle(folder, owner) === undefined;
  } catch {
    return false;
  }
}

/** Gives a folder and all below it to the owner; nothing to do when we are not root. */
export function giveTo(folder: string, owner: Owner | undefined): void {
  if (owner === undefined || !isRoot()) return;
  try {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      lchownSync(path.join(entry.parentPath, entry.name), owner.uid, owner.gid);
    }
    lchownSync(folder, owner.uid, owner.gid);
  } catch (error) {
    throw new EmbeddedError(
      "cannot_switch_user",
      `root may not give ${folder} to uid ${owner.uid} here (${(error as Error).message}): run Tenure as an ordinary user, or ${useOwnServer}`,
    );
  }
}

function unreachable(cluster: string, blocked: string, owner: Owner): EmbeddedError {
  return new EmbeddedError(
    "data_unreachable",
    `PostgreSQL does not run as root, and uid ${owner.uid}, which it would run as, cannot enter ${blocked} on the way to ` +
      `${cluster}: run Tenure as an ordinary user, move the data folder to a place that user can enter, or ${useOwnServer}`,
  );
}
