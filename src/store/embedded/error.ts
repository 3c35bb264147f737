/**
 * The one error of the embedded PostgreSQL. Its message says what is wrong and what to do, and is meant to be shown
 * as it is; `code` is for callers and tests.
 */
export type EmbeddedFault =
  | "unsupported_platform" // no embedded server for this operating system
  | "no_binaries" // no PostgreSQL >= 15 that this user can run
  | "wrong_version" // the data were written by another major version than the ones found
  | "cannot_switch_user" // root may not start a process as another user here
  | "data_unreachable" // the server's user cannot enter the folder that holds the data
  | "data_missing" // the data were kept outside the data folder, and are gone
  | "data_shared" // those data belong to another data folder, of which this one is a copy
  | "password_wrong" // the kept password does not open the server
  | "busy" // another start or stop holds the folder, or another machine uses it
  | "init_failed"
  | "start_failed";

export class EmbeddedError extends Error {
  readonly code: EmbeddedFault;

  constructor(code: EmbeddedFault, message: string) {
    super(message);
    this.name = "EmbeddedError";
    this.code = code;
  }
}

/** What always helps, for the end of a message. */
export const useOwnServer = "set DATABASE_URL to a PostgreSQL 15 or newer (postgresql://user:password@host/database)";

export function passwordWrong(): EmbeddedError {
  return new EmbeddedError(
    "password_wrong",
    "the database server refuses the password kept in pg.password of the data folder: bring that file back from a backup",
  );
}
