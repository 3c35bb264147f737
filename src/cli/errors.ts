/** How a command ends: one exit code per kind of end, so that scripts can tell them apart (docs/cli.md). */

export const exit_codes = {
  done: 0,
  /** Something nobody foresaw. */
  failed: 1,
  /** Wrong words or options. */
  usage: 2,
  not_found: 3,
  /** The server understood and refused: what is asked is not valid, not allowed in this state, or held by a guard. */
  refused: 4,
  /** No server there, or its database is away. */
  unreachable: 5,
  /** No token, an unknown one, or one whose role may not. */
  not_allowed: 6,
  /** Done, but not all of it: some rows of the file, or some things of an organisation, were refused. */
  partly: 7,
  /** Ended by Ctrl-C, in order. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exit_codes)[keyof typeof exit_codes];

/** The end of a command with a message for people. */
export class CliError extends Error {
  readonly exit_code: ExitCode;
  /** The status of the server's answer, if it was one. */
  readonly status: number | undefined;
  /** Its code in Okta's words, if it had one; where no answer came, the system's word for why. */
  readonly code: string | undefined;
  constructor(exit_code: ExitCode, message: string, status?: number, code?: string) {
    super(message);
    this.name = "CliError";
    this.exit_code = exit_code;
    this.status = status;
    this.code = code;
  }
}
