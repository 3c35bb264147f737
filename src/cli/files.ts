/**
 * The files that a command is given. What is wrong with one is said in one line, which names the option if there is one,
 * and before anything is asked of a server.
 */
import { closeSync, openSync, readFileSync, readSync, type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { CliError, exit_codes } from "./errors.ts";

const standard_input = "-";

const prefix = (option: string | undefined) => (option === undefined ? "" : `${option}: `);

/** What an error of the file system means, in words for who gave the file. */
function told(file: string, option: string | undefined, error: NodeJS.ErrnoException): CliError {
  const at = prefix(option);
  if (error.code === "ENOENT") return new CliError(exit_codes.not_found, `${at}there is no file ${file}`);
  if (error.code === "EISDIR") return new CliError(exit_codes.usage, `${at}${file} is a folder: name a file`);
  if (error.code === "EACCES" || error.code === "EPERM")
    return new CliError(exit_codes.usage, `${at}${file} may not be opened by this user`);
  return new CliError(exit_codes.usage, `${at}${file} cannot be opened (${error.code ?? error.message})`);
}

/** @throws CliError when there is no such file, or it is a folder. A pipe will do. `-`: standard input. */
export function requireFile(file: string, option?: string): void {
  if (file !== standard_input) statOf(file, option);
}

function statOf(file: string, option: string | undefined): Stats {
  let stats: Stats;
  try {
    stats = statSync(file);
  } catch (error) {
    throw told(file, option, error as NodeJS.ErrnoException);
  }
  if (stats.isDirectory()) throw told(file, option, Object.assign(new Error(), { code: "EISDIR" }));
  return stats;
}

/** A file whose size is known, open for reading. @throws CliError also for a pipe, whose size nobody knows. */
export function openFile(file: string, option?: string): Readonly<{ handle: number; size: number }> {
  const { size } = requirePlainFile(file, option);
  try {
    return { handle: openSync(file, "r"), size };
  } catch (error) {
    throw told(file, option, error as NodeJS.ErrnoException);
  }
}

/** @throws CliError when there is no such file, or it is not one that lies on a disk. */
export function requirePlainFile(file: string, option?: string): Stats {
  const stats = statOf(file, option);
  if (stats.isFile()) return stats;
  throw new CliError(exit_codes.usage, `${prefix(option)}${file} is no plain file: write it to one first`);
}

/** The whole text of a file; `-`: of standard input. */
export function readText(file: string, option?: string): string {
  requireFile(file, option);
  try {
    return readFileSync(file === standard_input ? 0 : file, "utf8");
  } catch (error) {
    throw told(file, option, error as NodeJS.ErrnoException);
  }
}

/** The first bytes of a file, at most so many. */
export function readStart(file: string, most: number, option?: string): Buffer {
  const { handle } = openFile(file, option);
  try {
    const start = Buffer.alloc(most);
    return start.subarray(0, readSync(handle, start, 0, most, 0));
  } catch (error) {
    throw told(file, option, error as NodeJS.ErrnoException);
  } finally {
    closeSync(handle);
  }
}

/** Opens a file that is written anew, which nobody else on this machine may read: it has people's data. */
export function openToWrite(file: string, option: string): number {
  requireWritable(file, option);
  try {
    return openSync(file, "w", 0o600);
  } catch (error) {
    throw told(file, option, error as NodeJS.ErrnoException);
  }
}

/** @throws CliError when the file that is to be written is a folder, or its folder is not there. */
export function requireWritable(file: string, option: string): void {
  const folder = dirname(file);
  const there = statSync(folder, { throwIfNoEntry: false });
  if (there?.isDirectory() !== true)
    throw new CliError(exit_codes.usage, `${option}: there is no folder ${folder}: make it first`);
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true)
    throw told(file, option, Object.assign(new Error(), { code: "EISDIR" }));
}
